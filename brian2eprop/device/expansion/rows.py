"""Rows of synapses that are kept as a rule: how long they are, and where they lie once made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from brian2eprop.device.backends.base import Backend, Memory
from brian2eprop.device.codegen.storage import KEYS
from brian2eprop.device.expansion.definition import Definition, Seed
from brian2eprop.device.program import (
    Array,
    Connectivity,
    Dense,
    Direction,
    Draw,
    Expand,
    Over,
    Phase,
    Program,
    Sparse,
    Sweep,
    Transpose,
)
from brian2eprop.device.program.draws import Distribution, draw_keys
from brian2eprop.device.program.rules import Places, Rule
from brian2eprop.errors import Unsupported

Integers = npt.NDArray[np.integer[Any]]
_MOST = np.iinfo(np.int32).max


class Machines(Protocol):
    """Where rules are expanded."""

    @property
    def backend(self) -> Backend:
        """Where networks run."""

    @property
    def fine_backend(self) -> Backend:
        """The same place in double precision: where synapses are does not depend on precision."""


@dataclass(eq=False)
class Rows:
    """The rows of synapses, from a rule.

    Parameters
    ----------
    machines : Machines
        Where they are made.
    name, owner : str
        Name of the synapses, and who draws.
    rule : Rule
        The rule; of its rows where these are those of targets (``turned``).
    n_source, n_target : int
        Sizes of the whole populations.
    seed : Seed
        Where the rows' random numbers are.
    taken : Definition
        Which candidates are synapses.
    number : int array, shape (rows,), optional
        How many synapses each row of the rule has, where it asks for that.
    turned : bool
        Whether the rule's rows are those of targets.
    """

    machines: Machines
    name: str
    owner: str
    rule: Rule
    n_source: int
    n_target: int
    seed: Seed
    taken: Definition
    number: Integers | None = None
    turned: bool = False
    _made: tuple[Backend, Memory] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        sizes = self._count() if self.number is None else self._padded(self.number)
        self._starts = np.concatenate([[0], np.cumsum(sizes)])
        if self.n_synapses > _MOST:
            raise Unsupported(
                f"'{self.name}' would have {self.n_synapses} synapses, more than the {_MOST} that "
                "32-bit indices can count; divide them into several Synapses."
            )

    @property
    def n_synapses(self) -> int:
        """How many synapses there are."""
        return int(self._starts[-1])

    @property
    def connectivity(self) -> Connectivity:
        """What a Program is told of them."""
        whole = isinstance(self.rule, Places) and self.rule.chance >= 1
        square = self.n_source == self.n_target
        for diagonal in (True, False) if whole and square else (True,) * whole:
            dense = Dense(self.name, self.n_source, self.n_target, diagonal)
            if self.n_synapses == dense.n_synapses and (diagonal or self._leaves_out_diagonal):
                return dense
        return self._sparse

    @property
    def _leaves_out_diagonal(self) -> bool:
        return self.taken.body.code == WITHOUT_DIAGONAL

    @property
    def _sparse(self) -> Sparse:
        sizes = (self.n_source, self.n_target, self.n_synapses)
        return Sparse(self.name, *sizes, self.rule.repeats)

    # What is made of them

    def memory(self) -> Memory:
        """The memory of the backend with the tables ``row`` and ``target`` of a ``Sparse``."""
        backend = self.machines.fine_backend
        if self._made is None or self._made[0] is not backend:
            self._made = backend, self._turned() if self.turned else self._filled(self.name)
        return self._made[1]

    def forget(self) -> None:
        """Make them anew when they are asked for next."""
        self._made = None

    def pairs(self) -> tuple[Integers, Integers]:
        """Source and target of each synapse, on the host."""
        return self._sparse.pairs(self._tables())

    def numbers(self) -> tuple[Integers, Integers]:
        """How many synapses each source and each target has."""
        tables = self._tables()
        row, target = (tables[self._sparse.table(name)] for name in ("row", "target"))
        return np.diff(row), np.bincount(target, minlength=self.n_target)

    def _tables(self) -> Mapping[str, npt.NDArray[Any]]:
        memory = self.memory()
        return {table.name: memory.read(table.name) for table in self._sparse.tables(())}

    def ranges(self) -> list[int]:
        """The numbers by which phases find the rows of sources."""
        if self.turned:
            return [0, self.n_source, 0, self.n_target]
        return self._of_rule()

    def _of_rule(self) -> list[int]:
        sources, targets = self.rule.sources, self.rule.targets
        return [sources.first, sources.size, targets.first, targets.size]

    def _sizes(self) -> tuple[int, int]:
        """Number of rows of the rule, and of neurons at the other ends."""
        sizes = (self.n_source, self.n_target)
        return sizes[::-1] if self.turned else sizes

    def _padded(self, number: Integers) -> Integers:
        found = np.zeros(self._sizes()[0], np.int64)
        found[self.rule.sources.first :][: self.rule.sources.size] = number
        return found

    def _expand(self, name: str, counting: bool) -> Expand:
        sizes = self._sizes()
        label = "rows" if counting else "targets"
        return Expand(label, name, *sizes, self.taken.body, self.rule, self.owner, counting)

    def _run(self, phase: Expand, contents: Mapping[str, Any]) -> Memory:
        arrays = (*phase.arrays(self.n_synapses if not phase.counting else 0), *self.taken.arrays())
        contents = {
            phase.part("ranges"): self._of_rule(),
            phase.part("scale"): self.rule.scale,
            **self.taken.contents,
            **contents,
        }
        seeds = {phase.numbers: self.seed} | dict.fromkeys(
            self.taken.body.draws.values(), self.seed
        )
        memory = self.machines.fine_backend.memory(1)
        run_once(self.machines.fine_backend, memory, self.name, phase, arrays, contents, seeds)
        return memory

    def _count(self) -> Integers:
        phase = self._expand(self.name, True)
        return self._run(phase, {}).read(phase.part("number")).astype(np.int64)

    def _filled(self, name: str) -> Memory:
        phase = self._expand(name, False)
        return self._run(phase, {phase.part("row"): self._starts})

    def _turned(self) -> Memory:
        """Rows of sources from those of targets."""
        name, backend = f"{self.name}:turned", self.machines.fine_backend
        turned = Sparse(name, self.n_target, self.n_source, self.n_synapses, self.rule.repeats)
        memory = self._filled(name)
        phase = Transpose("sources", name)
        run_once(backend, memory, self.name, phase, phase.arrays(turned), {}, {}, (turned,))
        found = backend.memory(1)
        for ours, theirs in (("row", "column"), ("target", "source")):
            found.arrays[self._sparse.table(ours)] = memory.arrays[turned.table(theirs)]
        return found


# What keeps a neuron from being its own target.
WITHOUT_DIAGONAL = "_taken = _0_i != _0_j"


def run_once(
    backend: Backend,
    memory: Memory,
    name: str,
    phase: Phase,
    arrays: Iterable[Array],
    contents: Mapping[str, Any],
    seeds: Mapping[Draw, Seed],
    connectivities: tuple[Connectivity, ...] = (),
) -> None:
    """Run one phase over what is shared, and wait for it.

    Parameters
    ----------
    backend, memory
        Where.
    name : str
        What the Program is called.
    phase : Phase
        The phase.
    arrays : iterable of Array
        The arrays that it uses.
    contents : mapping of str to array
        Values of some of them.
    seeds : mapping of Draw to Seed
        Where each draw's numbers are.
    connectivities : tuple of Connectivity
        The connectivities that it goes through.
    """
    tables = {table.name for found in connectivities for table in found.tables(())}
    sweep = Sweep(Direction.ONCE, (phase,), Over.SHARED)
    own = tuple(array for array in arrays if array.name not in tables)
    program = Program(name, 1.0, own, (sweep,), (), connectivities)
    memory.reserve(program, 0)
    for each, values in contents.items():
        memory.write(each, values)
    if program.draws:
        keys = [draw_keys((draw,), seeds[draw].seed, seeds[draw].shift) for draw in program.draws]
        memory.write(KEYS, np.concatenate(keys))
    backend.compile(program).run(memory)
    # Another memory's stream does not wait for this one's.
    memory.read(min(memory.arrays, key=lambda each: memory.arrays[each].size))


def share_out(total: int, choices: Integers, repeats: bool, owner: str, seed: Seed) -> Integers:
    """How many of synapses that are drawn among all places each row gets.

    Parameters
    ----------
    total : int
        How many there are.
    choices : int array, shape (rows,)
        How many places each row has.
    repeats : bool
        Whether a place may be drawn several times.
    owner : str
        Who draws.
    seed : Seed
        Where the numbers are.
    """
    draw = Draw(Distribution.UNIFORM, f"{owner}:total", 0)
    words = draw_keys((draw,), seed.seed, seed.shift).view(np.uint64)
    generator = np.random.Generator(np.random.Philox(key=words))
    if repeats:
        return generator.multinomial(total, choices / choices.sum())
    return generator.multivariate_hypergeometric(choices, total, method="marginals")
