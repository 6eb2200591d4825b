"""A Program becomes one source text in a dialect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from brian2eprop.device.codegen.bodies import depth_name
from brian2eprop.device.codegen.dialect import Dialect
from brian2eprop.device.codegen.phases import PhaseWriter
from brian2eprop.device.codegen.statements import C_TYPES
from brian2eprop.device.program import Access, Array, DType, Layout, Precision, Program, Slots
from brian2eprop.device.program.verify import Stage, verify

ITEM_BYTES = {DType.DOUBLE: 8, DType.INT: 4, DType.BOOL: 1}


@dataclass(frozen=True)
class Source:
    """Generated source, and the order in which its entry takes what it needs.

    Attributes
    ----------
    text : str
        The source. Names of objects stand in comments only, so that two Programs that
        differ in names alone are one once comments are left out.
    arrays : tuple of str
        Arrays in the order of the ``arrays`` argument.
    slots : mapping of str to Slots
        The slots of those arrays that have some.
    depths : tuple of Slots
        Slots in the order of the ``depths`` argument.
    streams : tuple of str
        Streams in the order of the ``streams`` argument.
    constants : tuple of float
        Contents of the ``constants`` argument.
    resident_bytes : int
        Fast memory a worker needs.
    largest_loop : int
        Most iterations a parallel loop has.
    """

    text: str
    arrays: tuple[str, ...]
    slots: Mapping[str, Slots]
    depths: tuple[Slots, ...]
    streams: tuple[str, ...]
    constants: tuple[float, ...]
    resident_bytes: int
    largest_loop: int


@dataclass(frozen=True)
class ArrayView:
    """An array as the templates see it."""

    array: Array
    number: int
    pointer: str
    type: str
    depth: str  # C++ of its number of slots
    resident_at: int | None  # offset in fast memory, if it lives there

    @property
    def size(self) -> str:
        """C++ of its number of elements for one owner."""
        return f"{self.depth} * {self.array.size}"


def generate(program: Program, precision: Precision, dialect: Dialect) -> Source:
    """Generate the source of a Program.

    Raises
    ------
    ProgramError
        If the Program is not legal.
    """
    verify(program, Stage.GENERATION)
    if program.layout is Layout.ELEMENTWISE:
        dialect = replace(dialect, simd_loop=dialect.elementwise_loop, resident_bytes=0)
    arrays = program.all_arrays()
    pointers = {name: f"a{number}" for number, name in enumerate(arrays)}
    views, resident_bytes = _array_views(arrays, pointers, precision, dialect)
    writer = PhaseWriter(program, pointers, dialect.flag_bytes)
    depths = {depth_name(a): a.slots for a in arrays.values() if a.slots is not None}
    context = {
        "program": program,
        "dialect": dialect,
        "real": {"float32": "float", "float64": "double"}[precision.value],
        "headers": [_header(name) for name in dialect.headers],
        "arrays": views,
        "depths": list(depths),
        "sweeps": [(sweep.direction.value, writer.views(sweep.phases)) for sweep in program.sweeps],
        "slot": writer.slot,
        "round8": lambda n: -(-n // 8) * 8,
        "events": {buffer.name: buffer for buffer in program.events},
        "pointers": pointers,
        "sizes": {view.array.name: view.size for view in views},
        "streams": {stream.name: number for number, stream in enumerate(program.streams)},
        "resident_bytes": resident_bytes,
    }
    layout = program.layout.value.replace(" ", "_")
    template = environment().get_template(f"{layout}_{dialect.name}.cpp")
    return Source(
        template.render(context),
        tuple(arrays),
        {name: array.slots for name, array in arrays.items() if array.slots is not None},
        tuple(depths.values()),
        tuple(stream.name for stream in program.streams),
        tuple(writer.constants),
        resident_bytes,
        largest_loop(program),
    )


def _header(name: str) -> str:
    loader = environment().loader
    return str(loader.get_source(environment(), name)[0])


@cache
def environment() -> Any:
    """The templates; a misspelt name in one is an error."""
    return Environment(
        loader=PackageLoader("brian2eprop.device.codegen", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def largest_loop(program: Program) -> int:
    """Most iterations a loop over elements or targets has."""
    sizes = [getattr(phase, "size", 1) for phase in program.phases()]
    sizes += [connectivity.n_target for connectivity in program.connectivities]
    return max([1, *sizes])


def _array_views(
    arrays: dict[str, Array], pointers: dict[str, str], precision: Precision, dialect: Dialect
) -> tuple[list[ArrayView], int]:
    """The arrays in order, as many of the small ones as fit placed in fast memory."""
    offsets: dict[str, int] = {}
    used = 0
    for array in sorted(arrays.values(), key=lambda a: _bytes(a, precision)):
        size = -(-_bytes(array, precision) // 8) * 8
        if _may_reside(array) and used + size <= dialect.resident_bytes:
            offsets[array.name] = used
            used += size
    views = []
    for number, (name, array) in enumerate(arrays.items()):
        depth = "1" if array.slots is None else depth_name(array)
        views.append(
            ArrayView(array, number, pointers[name], C_TYPES[array.dtype], depth, offsets.get(name))
        )
    return views, used


def _may_reside(array: Array) -> bool:
    """Whether an array is an owner's own and its size known."""
    kept = array.slots is not None and array.slots.kept
    return array.access in (Access.PER_INSTANCE, Access.SCRATCH) and not kept


def _bytes(array: Array, precision: Precision) -> int:
    item = ITEM_BYTES.get(array.dtype, precision.dtype.itemsize)
    return item * array.size * (1 if array.slots is None else array.slots.depth(1))
