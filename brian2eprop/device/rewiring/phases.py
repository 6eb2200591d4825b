"""The Program that rewires once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Choose,
    Dense,
    Direction,
    Draw,
    DType,
    ForEach,
    ForEachSynapse,
    Index,
    Over,
    Phase,
    Program,
    Ref,
    Rewire,
    Sparse,
    Sweep,
)
from brian2eprop.device.rewiring.rules import Share
from brian2eprop.number_checks import as_real, shown

Values = npt.NDArray[Any]

MARKS, SCORE = "_marks", "_score"
ZERO = {DType.BOOL: "False"}


@dataclass(frozen=True)
class Rewired:
    """Synapses that are rewired, and how.

    Parameters
    ----------
    connectivity : Sparse
        Where they are.
    weight : str
        The array of their weight.
    ends : tuple of str
        The arrays of the neurons before and behind each.
    variables : tuple of str
        The arrays of their variables, which go along with them.
    tables : tuple of str
        The tables of their delays, which do so too.
    mark : Body
        Marks those that go (``_marks``), or says how readily they do (``_score``).
    fraction : float or callable, optional
        The share of them that goes, where they are those of the greatest scores.
    form : Rewire
        How others are formed.
    fresh : Body
        What those are given.
    polarity : float, optional
        See :class:`~brian2eprop.device.rewiring.rules.Recipe`.
    seed : int
        Seed of what every place has.
    every : int
        After how many updates.
    """

    connectivity: Sparse
    weight: str
    ends: tuple[str, str]
    variables: tuple[str, ...]
    tables: tuple[str, ...]
    mark: Body
    fraction: Share | None
    form: Rewire
    fresh: Body
    polarity: float | None
    seed: int
    every: int

    @property
    def name(self) -> str:
        """Name of the synapses."""
        return self.connectivity.name

    @property
    def rows(self) -> tuple[str, str]:
        """The tables that say where the synapses are."""
        return self.connectivity.table("row"), self.connectivity.table("target")

    def own(self, part: str) -> str:
        """Name of an array of its own: ``source``, ``target``, ``score``, ``polarity``, ..."""
        return self.form.part(part)

    @property
    def everywhere(self) -> Dense | None:
        """All places, where those are to have a gradient: the array of ``own('gradient')``."""
        if self.form.scores is None:
            return None
        found = self.connectivity
        return Dense(f"{self.name}:everywhere", found.n_source, found.n_target)

    def number(self, updates: int) -> int:
        """How many go once so many updates were done.

        Raises
        ------
        ValueError
            If the schedule gives no share of them.
        """
        if not callable(self.fraction):
            return round((self.fraction or 0) * self.connectivity.size)
        given = self.fraction(updates)
        share = as_real(given)
        if share is None or not 0 <= share < 1:
            raise ValueError(
                f"The fraction of the synapses '{self.name}' that goes is {shown(given)} after "
                f"{updates} updates; let {self.fraction!r} give numbers from 0 to less than 1."
            )
        return round(share * self.connectivity.size)

    def contents(self) -> dict[str, Values]:
        """What its own tables hold, before any update."""
        sizes = {"source": self.connectivity.n_source, "target": self.connectivity.n_target}
        found = {self.own(side): np.arange(size, dtype=np.int32) for side, size in sizes.items()}
        number = {} if self.fraction is None else {self.own("number"): np.array([self.number(0)])}
        return found | number

    def arrays(self) -> tuple[Array, ...]:
        """Its own arrays."""
        found, kinds = self.connectivity, {"source": DType.INT, "target": DType.INT}
        sizes = {"source": found.n_source, "target": found.n_target, "rate": 1}
        beside = {"rate": DType.REAL}
        if self.fraction is not None:
            sizes["number"] = 1
            beside |= {"score": DType.REAL, "number": DType.INT}
        if self.everywhere is not None:
            sizes["gradient"] = self.everywhere.n_synapses
            beside["gradient"] = DType.REAL
        beside |= {"polarity": DType.INT} if self.polarity is not None else {}
        own = (
            Array(self.own(name), kind, sizes.get(name, found.size), Access.SHARED)
            for name, kind in (kinds | beside).items()
        )
        return *self.form.arrays(found), *own

    def draws(self) -> tuple[Draw, ...]:
        """All that it draws."""
        return tuple(dict.fromkeys((*self.mark.draws.values(), *self.form.drawn(),
                                    *self.fresh.draws.values())))  # fmt: skip

    def program(
        self,
        beside: Sequence[Array],
        others: Iterable[Array],
        numbered: tuple[Draw, ...],
        then: tuple[Phase, ...] = (),
    ) -> Program:
        """What rewires once.

        Parameters
        ----------
        beside : sequence of Array
            All arrays that go along with the synapses, ends and rows apart.
        others : iterable of Array
            Further arrays that the rule reads.
        numbered : tuple of Draw
            What all rules of a memory draw.
        then : tuple of Phase
            What is done last.
        """
        spare = [replace(array, name=self.own(f"spare:{array.name}")) for array in beside]
        phases = (
            *self._marking(),
            self.form,
            *_moving(self.form, beside, spare),
            self._each("fresh", self._emptied(beside)),
            ForEachSynapse(f"ends of {self.name}", self.name, self._ends()),
            *then,
        )
        known = (*beside, *spare, *others, *self.arrays())
        return Program(
            f"rewiring of {self.name}",
            1.0,
            tuple({array.name: array for array in known}.values()),
            (Sweep(Direction.ONCE, phases, Over.SHARED),),
            connectivities=(self.connectivity,),
            numbered=numbered,
        )

    def _marking(self) -> Iterable[Phase]:
        yield self._each("mark", self.mark)
        if self.fraction is not None:
            score, number, marks = (self.own(part) for part in ("score", "number", "marks"))
            yield Choose(f"choose of {self.name}", score, number, marks)
        if self.everywhere is not None:
            refs = {"gradient": Ref(self.own("gradient"), Index.ELEMENT)}
            body = Body("gradient = abs(gradient)", refs)
            yield ForEach(f"scores of {self.name}", self.everywhere.n_synapses, body)

    def _each(self, what: str, body: Body) -> Phase:
        """A phase over all synapses: one loop where nothing but synapses is met."""
        label = f"{what} of {self.name}"
        if {ref.index for ref in body.refs.values()} - {Index.SYNAPSE, Index.SCALAR}:
            return ForEachSynapse(label, self.name, body)
        refs = {
            name: replace(ref, index=Index.ELEMENT) if ref.index is Index.SYNAPSE else ref
            for name, ref in body.refs.items()
        }
        return ForEach(label, self.connectivity.size, replace(body, refs=refs))

    def _emptied(self, beside: Sequence[Array]) -> Body:
        """Everything of a formed synapse is zero, but for what it is given."""
        code, refs, guards = [], {}, {}
        names = {ref.array: name for name, ref in self.fresh.refs.items()}
        for number, array in enumerate(beside):
            name = names.get(array.name, f"_empty_{number}")
            refs[name] = Ref(array.name, Index.SYNAPSE)
            guards[name] = MARKS
            code.append(f"{name} = {ZERO.get(array.dtype, '0')}")
        refs |= {**self.fresh.refs, MARKS: Ref(self.own("marks"), Index.SYNAPSE)}
        code.append(self.fresh.code)
        return replace(
            self.fresh, code="\n".join(code), refs=refs, guards=guards | dict(self.fresh.guards)
        )

    def _ends(self) -> Body:
        refs = {
            "i": Ref(self.ends[0], Index.SYNAPSE),
            "j": Ref(self.ends[1], Index.SYNAPSE),
            "source": Ref(self.own("source"), Index.SOURCE),
            "target": Ref(self.own("target"), Index.TARGET),
        }
        return Body("i = source\nj = target", refs)


def _moving(form: Rewire, beside: Sequence[Array], spare: Sequence[Array]) -> Iterable[Phase]:
    """What brings everything of a synapse to where it is now."""
    origin, names = form.part("origin"), [f"x{number}" for number in range(len(beside))]
    there = {f"{n}_to": Ref(s.name, Index.ELEMENT) for n, s in zip(names, spare, strict=True)}
    back = {n: Ref(a.name, Index.ELEMENT) for n, a in zip(names, beside, strict=True)}
    here = {name: replace(ref, via=origin) for name, ref in back.items()}
    size = beside[0].size
    out = "\n".join(f"{name}_to = {name}" for name in names)
    home = "\n".join(f"{name} = {name}_to" for name in names)
    yield ForEach(f"move synapses of {form.connectivity}", size, Body(out, {**there, **here}))
    yield ForEach(f"moved synapses of {form.connectivity}", size, Body(home, {**there, **back}))
