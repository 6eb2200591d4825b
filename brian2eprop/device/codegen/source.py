"""A Program becomes one source text in a dialect."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from brian2eprop.device.codegen.bodies import depth_name
from brian2eprop.device.codegen.dialect import Dialect, Words, one_block
from brian2eprop.device.codegen.draws import AT_ONCE
from brian2eprop.device.codegen.environment import environment
from brian2eprop.device.codegen.merging import merged
from brian2eprop.device.codegen.parts import Layout, Part, parts
from brian2eprop.device.codegen.phases import PhaseView, PhaseWriter, by_clock
from brian2eprop.device.codegen.sharing import go_on, pieces, runs
from brian2eprop.device.codegen.statements import STORED_TYPES
from brian2eprop.device.codegen.storage import KEYS, count_of, index_of, stored_arrays
from brian2eprop.device.codegen.vectors import vector_functions
from brian2eprop.device.program import (
    OWNED,
    Access,
    Array,
    Chunks,
    DType,
    Foreign,
    Loop,
    Phase,
    Precision,
    Program,
    Slots,
    Sweep,
)
from brian2eprop.device.program.verify import Stage, verify
from brian2eprop.errors import Unsupported

# What stands before the code of a function of the script, and its call, each with its name.
CODE_OF_FOREIGN = "// of the script: "
CALL_OF_FOREIGN = r'B2E_GUARDED\("(\w+)"'

# What functions of the script are written in, by the dialect that runs them.
LANGUAGES = {"cpu": "C++", "cuda": "CUDA"}

ITEM_BYTES = {DType.DOUBLE: 8, DType.INT: 4, DType.BOOL: 1}


@dataclass(frozen=True)
class Launch:
    """One part of a Program, as whoever launches it needs to know it.

    Attributes
    ----------
    entry : str
        Name of its kernel, where each part has one.
    blocks : callable
        How many blocks it is given; see ``dialect.Words``.
    largest_loop : int
        Most iterations a parallel loop has.
    resident_bytes : int
        Fast memory a worker needs.
    by_step : bool
        Whether it runs one step, and is to be launched for each; neighbours are in turns.
    """

    entry: str
    blocks: Callable[[int, int, int], int]
    largest_loop: int
    resident_bytes: int = 0
    by_step: bool = False


@dataclass(frozen=True)
class Source:
    """Generated source, and the order in which its entries take what they need.

    Attributes
    ----------
    text : str
        The source. Names of objects stand in comments only, so that two Programs that
        differ in names alone are one once comments are left out.
    launches : tuple of Launch
        The Program's parts in order.
    arrays : tuple of str
        Arrays in the order of the ``arrays`` argument.
    slots : mapping of str to Slots
        The slots of those arrays that have some.
    depths : tuple of Slots
        Slots in the order of the ``depths`` argument.
    streams : tuple of str
        Streams in the order of the ``streams`` argument.
    sums : tuple of str
        Arrays in the order of the ``partial_sums`` argument.
    constants : tuple of float
        Contents of the ``constants`` argument.
    """

    text: str
    launches: tuple[Launch, ...]
    arrays: tuple[str, ...]
    slots: Mapping[str, Slots]
    depths: tuple[Slots, ...]
    streams: tuple[str, ...]
    sums: tuple[str, ...]
    constants: tuple[float, ...]


@dataclass(frozen=True)
class ArrayView:
    """An array as the templates see it."""

    array: Array
    number: int
    type: str
    sum: int | None = None  # number among the sums, if instances add to it here
    resident_at: int | None = None  # offset in fast memory, if it lives there

    @property
    def pointer(self) -> str:
        """C++ name of its pointer."""
        return f"a{self.number}"

    @property
    def size(self) -> str:
        """C++ of its number of elements for one owner."""
        if self.array.slots is None:
            return str(self.array.size)
        return f"(long long){depth_name(self.array)} * {self.array.size}"

    @property
    def is_kept(self) -> bool:
        """Whether its content outlives the instance's turn."""
        return self.array.access is Access.PER_INSTANCE


@dataclass(frozen=True)
class SweepView:
    """A sweep, or chunks, as the templates see it.

    ``steps`` is the C++ of the number of its steps; a sweep has the ``views`` of its phases,
    chunks have ``sweeps`` of their own and the ``length`` of each.
    """

    kind: str
    steps: str
    views: Sequence[PhaseView] = ()
    sweeps: Sequence[SweepView] = ()
    length: int = 0


def generate(
    program: Program,
    precision: Precision,
    dialect: Dialect,
    layout: Layout = Layout.PER_INSTANCE,
) -> Source:
    """Generate the source of a Program.

    Raises
    ------
    ProgramError
        If the Program is not legal.
    ValueError
        If it cannot have this layout.
    """
    verify(program, Stage.GENERATION)
    return _Generator(program, precision, dialect, layout).source()


class _Generator:
    """Generates one source."""

    def __init__(
        self, program: Program, precision: Precision, dialect: Dialect, layout: Layout
    ) -> None:
        self.program = program
        self.precision = precision
        self.dialect = dialect
        self.parts = parts(program, layout)
        self.arrays = stored_arrays(program)
        self.sums = tuple(sorted(program.summed, key=list(self.arrays).index))
        self.views = {
            name: ArrayView(array, number, STORED_TYPES[array.dtype])
            for number, (name, array) in enumerate(self.arrays.items())
        }
        self.depths = {depth_name(a): a.slots for a in self.arrays.values() if a.slots is not None}
        pointers = {name: view.pointer for name, view in self.views.items()}
        self.writer = PhaseWriter(
            program, self.arrays, pointers, dialect.flag_bytes, dialect.draws_in_groups, precision
        )
        self.own_headers = [*map(_header, self._headers()), *self._foreign()]
        self.context: dict[str, Any] = {
            "program": program,
            "dialect": dialect,
            "real": {"float32": "float", "float64": "double"}[precision.value],
            "headers": [*map(_header, self.dialect.headers), *self.own_headers],
            "depths": list(self.depths),
            "slot": self.writer.slot,
            "by_clock": by_clock,
            "merged": merged,
            "at_once": AT_ONCE,
            "round8": lambda n: -(-n // 8) * 8,
            "count_of": {events.name: count_of(events).name for events in program.events},
            "index_of": {events.name: index_of(events).name for events in program.events},
            "pointers": pointers,
            "keys": KEYS,
            "sizes": {name: view.size for name, view in self.views.items()},
            "streams": {stream.name: number for number, stream in enumerate(program.streams)},
            "owners": dialect.owners,
        }

    def _headers(self) -> tuple[str, ...]:
        loops = [phase for phase in self.program.phases() if isinstance(phase, Loop)]
        bodies = [loop.body for loop in loops]
        draws = any(any(loop.drawn()) for loop in loops)
        hashes = any("_hashed" in body.code for body in bodies)
        teams = any(part.layout is Layout.TEAM for part in self.parts)
        shared = self.dialect.team_headers if teams else ()
        in_groups = self.dialect.draws_in_groups and draws
        own = {
            "draws.h": draws or hashes,
            "distributions.h": draws,
            "draws_in_groups.h": in_groups,
            "rough_draws.h": in_groups,
            "timed.h": any(body.timed for body in bodies),
            f"guard_{self.dialect.name}.h": any(body.foreign for body in bodies),
        }
        kinds = {type(phase).__name__ for phase in self.program.phases()}
        phases = environment().get_template("phases.cpp").module.headers
        own |= {header: True for kind, header in phases.items() if kind in kinds}
        return (*shared, *(name for name, used in own.items() if used))

    def _foreign(self) -> tuple[str, ...]:
        texts: dict[str, str] = {}
        for phase in (found for found in self.program.phases() if isinstance(found, Loop)):
            for function in phase.body.foreign.values():
                for text in self._code_of(function, phase):
                    texts.setdefault(text, f"{CODE_OF_FOREIGN}{function.symbol}\n{text}")
        return tuple(texts.values())

    def _code_of(self, function: Foreign, phase: Phase) -> tuple[str, ...]:
        found = function.code.get(self.dialect.name)
        if found is None:
            given = ", ".join(LANGUAGES[dialect] for dialect in function.code)
            wanted = LANGUAGES[self.dialect.name]
            raise Unsupported(
                f"'{phase.label}' calls '{function.symbol}', which is given in {given} only, and "
                f"the backend runs {wanted}; give it in {wanted} too, with @implementation, or "
                "choose another backend."
            )
        return found

    def source(self) -> Source:
        """The source."""
        found = [self._part(part, f"b2e_run_{n}") for n, part in enumerate(self.parts)]
        template = environment().get_template(f"program_{self.dialect.name}.cpp")
        texts = [text for text, _ in found]
        whole = {
            "parts": texts,
            "arrays": list(self.views.values()),
            "n_constants": len(self.writer.constants),
            "vector_functions": vector_functions("\n".join([*self.own_headers, *texts])),
        }
        return Source(
            template.render(self.context | whole),
            tuple(launch for _, launches in found for launch in launches),
            tuple(self.arrays),
            {name: array.slots for name, array in self.arrays.items() if array.slots is not None},
            tuple(self.depths.values()),
            tuple(stream.name for stream in self.program.streams),
            self.sums,
            tuple(self.writer.constants),
        )

    def _part(self, part: Part, entry: str) -> tuple[str, list[Launch]]:
        """The text of a part, and what its launches need."""
        words = self.dialect.words[part.layout]
        if part.layout is Layout.TEAM:
            return self._team(part, entry, words)
        views, resident_bytes = self._array_views(part, words.by_instance)
        summed = self.program.summed if words.by_instance else frozenset()
        sweeps = [self._sweep_view(sweep, self._steps(sweep), summed) for sweep in part.sweeps]
        text = self._rendered(
            words, entry=entry, arrays=views, sweeps=sweeps, resident_bytes=resident_bytes
        )
        largest = part.largest_loop(self.program)
        return text, [Launch(entry, words.blocks, largest, resident_bytes)]

    def _sweep_view(self, sweep: Sweep | Chunks, steps: str, summed: frozenset[str]) -> SweepView:
        if isinstance(sweep, Sweep):
            return SweepView(sweep.direction.value, steps, self.writer.views(sweep.phases, summed))
        views = [self._sweep_view(each, "chunk_steps", summed) for each in sweep.sweeps]
        return SweepView("chunks", steps, sweeps=views, length=sweep.length)

    def _team(self, part: Part, entry: str, words: Words) -> tuple[str, list[Launch]]:
        """The text of a part that a team shares, in runs from meeting to meeting."""
        apart = runs(pieces(part.phases(), self.dialect.meets))
        entries = [f"{entry}_{number}" for number in range(len(apart) + 1)]
        found = [(name, self.writer.pieces(run)) for name, run in zip(entries, apart, strict=False)]
        text = self._rendered(
            words,
            entry=entries[-1],
            arrays=self._array_views(part, False)[0],
            runs=found,
            goes_on=go_on(apart),
        )
        sizes = [max(piece.phase.longest(self.program) for piece in run) for run in apart]
        launches = [
            Launch(name, words.blocks, size, by_step=True)
            for name, size in zip(entries, sizes, strict=False)
        ]
        return text, [*launches, Launch(entries[-1], one_block, 1, by_step=True)]

    def _rendered(self, words: Words, **context: Any) -> str:
        template = environment().get_template(words.template)
        return str(template.render(self.context | context | {"words": words}))

    def _steps(self, sweep: Sweep | Chunks) -> str:
        """The C++ of the number of steps that an instance goes through."""
        if sweep.steps is None:
            return "n_steps"
        return f"b2e::between(0, {self.views[sweep.steps].pointer}[0] - first_step, n_steps)"

    def _array_views(self, part: Part, by_instance: bool) -> tuple[list[ArrayView], int]:
        """A part's arrays in order, an instance's small ones in fast memory where they fit."""
        used = part.arrays(self.program)
        views = [view for name, view in self.views.items() if name in used]
        if not by_instance:
            return views, 0
        offsets, end = self._places(view.array for view in views)
        sums = {name: number for number, name in enumerate(self.sums)}
        return [
            replace(view, sum=sums.get(view.array.name), resident_at=offsets.get(view.array.name))
            for view in views
        ], end

    def _places(self, arrays: Iterable[Array]) -> tuple[dict[str, int], int]:
        offsets: dict[str, int] = {}
        end = 0
        for array in sorted(arrays, key=self._bytes):
            size = -(-self._bytes(array) // 8) * 8
            if _may_reside(array) and end + size <= self.dialect.resident_bytes:
                offsets[array.name] = end
                end += size
        return offsets, end

    def _bytes(self, array: Array) -> int:
        item = ITEM_BYTES.get(array.dtype, self.precision.dtype.itemsize)
        return item * array.size * (1 if array.slots is None else array.slots.depth(1))


def _may_reside(array: Array) -> bool:
    """Whether an array is an owner's own and its size known."""
    kept = array.slots is not None and array.slots.kept
    return array.access in OWNED and not kept


def _header(name: str) -> str:
    loader = environment().loader
    return str(loader.get_source(environment(), name)[0])
