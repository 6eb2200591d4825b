"""The C++ of one body: what comes before its loop, and what each iteration does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from brian2.codegen.statements import Statement

from brian2eprop.device.codegen.lowering import Lowered
from brian2eprop.device.codegen.names import pointer, via
from brian2eprop.device.codegen.statements import (
    C_TYPES,
    DOUBLE_SUFFIX,
    render_hoisted,
    render_statement,
)
from brian2eprop.device.program import Access, Array, Body, DType, Index, Number, Ref

LOOP_VARIABLE = {
    Index.SCALAR: "0",
    Index.ELEMENT: "element",
    Index.SOURCE: "source",
    Index.TARGET: "target",
    Index.SYNAPSE: "synapse",
}


class Order(Enum):
    """How freely the iterations of a loop may be arranged."""

    FREE = "free"  # independent of one another
    ATOMIC = "atomic"  # several may add to one element
    SERIAL = "serial"  # one after the other


@dataclass(frozen=True)
class Lines:
    """The C++ of one body."""

    before: tuple[str, ...]
    each: tuple[str, ...]
    order: Order


class BodyWriter:
    """Writes the C++ of one body.

    Parameters
    ----------
    body : Body
        The body.
    lowered : Lowered
        Its statements.
    arrays : mapping of str to Array
        The Program's arrays.
    pointers : mapping of str to str
        C++ name of each array's pointer.
    on_event : sequence of str
        Refs that an event resets (see ``Detect``).
    """

    def __init__(
        self,
        body: Body,
        lowered: Lowered,
        arrays: Mapping[str, Array],
        pointers: Mapping[str, str],
        on_event: Sequence[str] = (),
    ) -> None:
        self.body = body
        self.lowered = lowered
        self.arrays = arrays
        self.pointers = pointers
        self.on_event = on_event
        self.names = sorted(lowered.read | lowered.written | set(on_event))
        self.scalars = [n for n in self.names if body.refs[n].index is Index.SCALAR]

    def lines(self, order: Order, first_constant: int) -> Lines:
        """The body's lines; its constants stand from ``first_constant`` on."""
        return Lines(tuple(self._before(first_constant)), tuple(self._each(order)), order)

    def constants(self) -> list[tuple[str, Number]]:
        """The body's constants in the order of their numbers."""
        return sorted(self.body.constants.items())

    def _before(self, first_constant: int) -> list[str]:
        lines = [line for name in self.names for line in self._pointer(name)]
        doubles = [n for n in self.scalars if self._type(n) == "real"]
        for number, (name, value) in enumerate(self.constants(), first_constant):
            lines += _constant(name, value, number)
            if isinstance(value, float):
                doubles.append(name)
        for name in self.scalars:
            lines.append(self._read(name))
            if self._type(name) == "real":
                lines.append(f"const double {name}{DOUBLE_SUFFIX} = {name};")
        return lines + render_hoisted(self.lowered.hoisted, doubles)

    def _each(self, order: Order) -> list[str]:
        lines = [self._read(name) for name in self.names if name not in self.scalars]
        lines += [line for s in self.lowered.statements for line in self._statement(s)]
        lines += [self._reset_on_event(name) for name in self.on_event]
        lines += [self._write(name, order) for name in sorted(self.lowered.written)]
        return [line for line in lines if line]

    def _statement(self, statement: Statement) -> list[str]:
        guard = self.body.guards.get(statement.var)
        lines = render_statement(statement)
        return [f"if ({guard}) {line}" for line in lines] if guard else lines

    def _array(self, name: str) -> Array:
        return self.arrays[self.body.refs[name].array]

    def _type(self, name: str) -> str:
        return C_TYPES[self._array(name).dtype]

    def _element(self, name: str) -> str:
        ref = self.body.refs[name]
        element = LOOP_VARIABLE[ref.index]
        return f"{pointer(name)}[{f'{via(name)}[{element}]' if ref.via else element}]"

    def _pointer(self, name: str) -> list[str]:
        ref = self.body.refs[name]
        lines = [f"b2e::ptr<{self._type(name)}> {pointer(name)} = {self.slot(ref)};"]
        if ref.via:
            lines.append(f"b2e::ptr<int> {via(name)} = {self.pointers[ref.via]};")
        return lines

    def slot(self, ref: Ref) -> str:
        """The C++ of a pointer to the slot that a ref means."""
        return slot_pointer(self.arrays[ref.array], self.pointers, ref.offset)

    def _read(self, name: str) -> str:
        lowered = self.lowered
        if name in lowered.added:
            return f"{self._type(name)} {name} = 0;"
        if name in lowered.read:
            const = "" if name in lowered.written else "const "
            return f"{const}{self._type(name)} {name} = {self._element(name)};"
        return f"{self._type(name)} {name};" if name in lowered.written else ""

    def _reset_on_event(self, name: str) -> str:
        value = "false" if self._array(name).dtype is DType.BOOL else "t"
        return f"if (_cond) {self._element(name)} = {value};"

    def _write(self, name: str, order: Order) -> str:
        line = f"{self._element(name)} = {name};"
        if name in self.lowered.added:
            line = f"{self._element(name)} += {name};"
            if order is Order.ATOMIC or self._array(name).access is Access.ACCUMULATED:
                element = LOOP_VARIABLE[self.body.refs[name].index]
                line = f"b2e::add({pointer(name)}, {element}, {name});"
        # A sum that no line added to need not be stored.
        guard = self.body.guards.get(name)
        skips = name in self.lowered.added and guard and guard not in self.lowered.written
        return f"if ({guard}) {line}" if skips else line


def slot_pointer(array: Array, pointers: Mapping[str, str], offset: int = 0) -> str:
    """The C++ of a pointer to one slot of an array, or to the array where it has no slots."""
    pointer = pointers[array.name]
    if array.slots is None:
        return pointer
    depth = depth_name(array)
    slot = f"(long long)b2e::slot(step + ({offset}), {depth})"
    return f"b2e::slice({pointer}, {slot} * {array.size}, {array.size})"


def depth_name(array: Array) -> str:
    """C++ name of the number of slots; arrays with equal slots share it."""
    assert array.slots is not None
    return f"depth_{array.slots.history}{'_kept' if array.slots.kept else ''}"


def _constant(name: str, value: Number, number: int) -> list[str]:
    source = f"constants[{number}]"
    if isinstance(value, bool):
        return [f"const bool {name} = {source} != 0;"]
    if isinstance(value, int):
        return [f"const int {name} = int({source});"]
    return [
        f"const double {name}{DOUBLE_SUFFIX} = {source};",
        f"const real {name} = real({name}{DOUBLE_SUFFIX});",
    ]
