"""The Program that rewires once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.utils.stringtools import get_identifiers

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
    Forming,
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
NO_STARTS: Mapping[str, str] = MappingProxyType({})


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
    form : Rewire or Grow
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
    form: Forming
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
        if not isinstance(self.form, Rewire) or self.form.scores is None:
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
        scheduled = self.fraction is None or callable(self.fraction)
        return found if scheduled else found | {self.own("number"): np.array([self.number(0)])}

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
        starts: Mapping[str, str] = NO_STARTS,
        dt: float = 1.0,
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
            What is done last for what is shared.
        starts : mapping of str to str
            For arrays that do not start at zero the one, of size 1, that has what they start at.
        dt : float
            Of how many seconds its steps are.
        """
        shared = [array for array in beside if array.access is Access.SHARED]
        others_own = [array for array in beside if array.access is not Access.SHARED]
        spare = [*self._spare(shared), *self._spare(others_own)]
        phases = (
            *self._marking(),
            self.form,
            *self._moved(shared, starts),
            ForEachSynapse(f"ends of {self.name}", self.name, self._ends()),
            *then,
        )
        sweeps = [Sweep(Direction.ONCE, phases, Over.SHARED)]
        if others_own:
            sweeps.append(Sweep(Direction.ONCE, tuple(self._moved(others_own, starts))))
        known = (*beside, *spare, *others, *self.arrays())
        return _with_what_it_uses(
            Program(
                f"rewiring of {self.name}",
                dt,
                tuple({array.name: array for array in known}.values()),
                tuple(sweeps),
                connectivities=(self.connectivity,),
                numbered=numbered,
            )
        )

    def _spare(self, beside: Sequence[Array]) -> list[Array]:
        """Where what belongs to synapses lies while it is moved."""
        access = {Access.PER_INSTANCE: Access.SCRATCH}
        return [
            replace(a, name=self.own(f"spare:{a.name}"), access=access.get(a.access, a.access))
            for a in beside
        ]

    def _moved(self, beside: Sequence[Array], starts: Mapping[str, str]) -> Iterable[Phase]:
        """What belongs to synapses goes along with them; that of formed ones starts anew."""
        if beside:
            yield from _moving(self.form, beside, self._spare(beside))
            yield self._each("fresh", self._emptied(beside, starts))

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

    def _emptied(self, beside: Sequence[Array], starts: Mapping[str, str]) -> Body:
        """Everything of a formed synapse is zero, but for what it is given."""
        code, refs, guards = [], {}, {}
        given = self._given({array.name for array in beside})
        names = {ref.array: name for name, ref in given.refs.items()}
        for number, array in enumerate(beside):
            name = names.get(array.name, f"_empty_{number}")
            refs[name] = Ref(array.name, Index.SYNAPSE)
            guards[name] = MARKS
            value = ZERO.get(array.dtype, "0")
            if array.name in starts:
                value = f"_start_{number}"
                refs[value] = Ref(starts[array.name], Index.SCALAR)
            code.append(f"{name} = {value}")
        refs |= {**given.refs, MARKS: Ref(self.own("marks"), Index.SYNAPSE)}
        code.append(given.code)
        return replace(given, code="\n".join(code), refs=refs, guards=guards | dict(given.guards))

    def _given(self, arrays: Collection[str]) -> Body:
        """What some arrays of formed synapses are given."""
        refs = self.fresh.refs
        targets = {name for name, ref in refs.items() if ref.array in arrays}
        lines = [line for line in self.fresh.code.splitlines() if line.split(" =")[0] in targets]
        used = {name for line in lines for name in get_identifiers(line)}
        return replace(
            self.fresh,
            code="\n".join(lines),
            refs={name: ref for name, ref in refs.items() if name in used},
            guards={name: guard for name, guard in self.fresh.guards.items() if name in used},
            draws={name: draw for name, draw in self.fresh.draws.items() if name in used},
        )

    def with_arrays(self, others: Mapping[str, str]) -> Rewired:
        """The same, of other arrays in the stead of some."""

        def of(body: Body) -> Body:
            refs = {n: replace(r, array=others.get(r.array, r.array)) for n, r in body.refs.items()}
            return replace(body, refs=refs)

        return replace(self, mark=of(self.mark), fresh=of(self.fresh))

    def _ends(self) -> Body:
        refs = {
            "i": Ref(self.ends[0], Index.SYNAPSE),
            "j": Ref(self.ends[1], Index.SYNAPSE),
            "source": Ref(self.own("source"), Index.SOURCE),
            "target": Ref(self.own("target"), Index.TARGET),
        }
        return Body("i = source\nj = target", refs)


def _moving(form: Forming, beside: Sequence[Array], spare: Sequence[Array]) -> Iterable[Phase]:
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


def _with_what_it_uses(program: Program) -> Program:
    used = frozenset().union(*(phase.reads() | phase.writes() for phase in program.phases()))
    used |= {name for phase in program.phases() for _, name in phase.names()}
    tables = {table.name for table in program.tables()}
    arrays = tuple(array for array in program.arrays if array.name in used - tables)
    return replace(program, arrays=arrays)
