"""The C++ of one body: what comes before its loop, and what each iteration does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from brian2.codegen.statements import Statement

from brian2eprop.device.codegen.draws import Draws
from brian2eprop.device.codegen.lowering import Lowered
from brian2eprop.device.codegen.names import LOOP_VARIABLE, pointer, via
from brian2eprop.device.codegen.statements import (
    C_TYPES,
    DOUBLE_SUFFIX,
    STORED_TYPES,
    StatementWriter,
    since_name,
)
from brian2eprop.device.program import (
    Array,
    At,
    Body,
    DType,
    Foreign,
    Index,
    Number,
    Ref,
    Timed,
    fits,
)

NO_TIMES: Mapping[str, str] = {}


class Order(Enum):
    """How freely the iterations of a loop may be arranged."""

    FREE = "free"  # independent of one another
    BY_NEIGHBOUR = "by neighbour"  # those of one neighbour one after the other
    SERIAL = "serial"  # one after the other


@dataclass(frozen=True)
class Lines:
    """The C++ of one body.

    Attributes
    ----------
    before, each : tuple of str
        Before the loop, and in every iteration.
    sent : tuple of str
        Before the loop, once the delay of its events is known.
    some : tuple of str
        Before some of the iterations that follow one another; see ``Draws.in_groups``.
    rough : bool
        Whether these may be done again; see ``Draws.rough``.
    on_event : tuple of str
        For each element where there is an event.
    sums : tuple of str
        Variables that a row adds up.
    row_before, row_after : tuple of str
        Around the loop along a row.
    order : Order
        How freely the loop may be arranged.
    by_synapse : tuple of str
        Pointers to what lies in the order of synapses.
    """

    before: tuple[str, ...]
    each: tuple[str, ...]
    order: Order
    sent: tuple[str, ...] = ()
    some: tuple[str, ...] = ()
    rough: bool = False
    on_event: tuple[str, ...] = ()
    sums: tuple[str, ...] = ()
    row_before: tuple[str, ...] = ()
    row_after: tuple[str, ...] = ()
    by_synapse: tuple[str, ...] = ()


class BodyWriter:
    """Writes the C++ of one body.

    Parameters
    ----------
    body : Body
        The body.
    lowered : Lowered
        Its statements.
    arrays : mapping of str to Array
        The stored arrays.
    pointers : mapping of str to str
        C++ name of each array's pointer.
    summed : frozenset of str
        The arrays that instances add to together.
    on_event : sequence of str
        Refs that an event resets (see ``Detect``).
    fixed : Index, optional
        The index that all iterations along a row have in common.
    draws : Draws, optional
        Where its random numbers come from, if it draws some.
    times : mapping of str to str
        C++ of the times of other clocks.
    """

    def __init__(
        self,
        body: Body,
        lowered: Lowered,
        arrays: Mapping[str, Array],
        pointers: Mapping[str, str],
        summed: frozenset[str],
        on_event: Sequence[str] = (),
        fixed: Index | None = None,
        draws: Draws | None = None,
        times: Mapping[str, str] = NO_TIMES,
    ) -> None:
        self.body = body
        self.lowered = lowered
        self.arrays = arrays
        self.pointers = pointers
        self.summed = summed
        self.on_event = on_event
        self.draws = draws
        self.times = times
        self.names = sorted(lowered.read | lowered.written | set(on_event))
        self.scalars = [n for n in self.names if body.refs[n].index is Index.SCALAR]
        doubles = [n for n in self.scalars if self._type(n) == "real"]
        doubles += [name for name, value in body.constants.items() if isinstance(value, float)]
        exact = lowered.exact | {n for n in self.names if self._type(n) == "double"}
        self.statements = StatementWriter(body.wide, exact, doubles)
        self.row_sums = [n for n in sorted(lowered.written) if body.refs[n].index is fixed]

    def lines(self, order: Order, first_constant: int) -> Lines:
        """The body's lines; its constants stand from ``first_constant`` on."""
        # What is done one after the other may see what went before.
        self.row_sums = [] if order is Order.SERIAL else self.row_sums
        sent = [n for n in self.names if self.body.refs[n].offset is At.SENT]
        return Lines(
            before=tuple(self._before(first_constant)),
            each=tuple(self._each()),
            order=order,
            sent=tuple(line for name in sent for line in self._pointer(name)),
            some=tuple(self._some()),
            rough=self.draws is not None and self.draws.rough,
            on_event=tuple(map(self._reset_on_event, self.on_event)),
            sums=tuple(map(_row_sum, self.row_sums)),
            row_before=tuple(f"{self._type(n)} {_row_sum(n)} = 0;" for n in self.row_sums),
            row_after=tuple(line for n in self.row_sums for line in self._add_row_sum(n)),
            by_synapse=tuple(map(pointer, filter(self._is_by_synapse, self.names))),
        )

    def constants(self) -> list[tuple[str, Number]]:
        """The body's constants in the order of their numbers."""
        return sorted(self.body.constants.items())

    def _before(self, first_constant: int) -> list[str]:
        fixed_step = [n for n in self.names if self.body.refs[n].offset is not At.SENT]
        lines = [line for name in fixed_step for line in self._pointer(name)]
        lines += [self._timed(name, timed) for name, timed in sorted_items(self.body.timed)]
        lines += [_foreign(name, found) for name, found in sorted_items(self.body.foreign)]
        lines += [f"const double {name} = {time};" for name, time in self.times.items()]
        for number, (name, value) in enumerate(self.constants(), first_constant):
            lines += _constant(name, value, number)
        for name in self.scalars:
            lines.append(self._read(name))
            if self._type(name) == "real":
                lines.append(f"const double {name}{DOUBLE_SUFFIX} = {name};")
        if self.draws is not None:
            lines += [self.draws.before(*draw) for draw in sorted_items(self.body.draws)]
        lines += self.statements.hoisted(self.lowered.hoisted)
        return lines + [_since(step) for step in sorted(self.lowered.since, key=since_name)]

    def _some(self) -> list[str]:
        if self.draws is None or not self.draws.in_groups:
            return []
        return [line for draw in sorted_items(self.body.draws) for line in self.draws.some(*draw)]

    def _timed(self, name: str, timed: Timed) -> str:
        array, width = self.arrays[timed.array], timed.width
        kind = f"b2e::Timed<{STORED_TYPES[array.dtype]}>"
        shape = f"{array.size // width}, {width}, {timed.dt!r}, {timed.fractions}"
        return f"const {kind} {name} = {{{self.pointers[timed.array]}, {shape}}};"

    def _each(self) -> list[str]:
        lines = [self._read(name) for name in self.names if name not in self.scalars]
        if self.draws is not None:
            lines += [self.draws.each(*draw) for draw in sorted_items(self.body.draws)]
        lines += [line for s in self.lowered.statements for line in self._statement(s)]
        written = sorted(self.lowered.written - self.lowered.aliases.keys())
        lines += [self._write(name) for name in written]
        return [line for line in lines if line]

    def _statement(self, statement: Statement) -> list[str]:
        name = statement.var
        guard = self.body.guards.get(name)
        lines = self.statements.lines(statement)
        lines = [f"if ({guard}) {line}" for line in lines] if guard else lines
        others = self.lowered.aliases.get(name)
        if others is not None:
            lines.append(self._write(name))
            lines += [f"{other} = {self._element(other)};" for other in sorted(others)]
        return lines

    def _is_by_synapse(self, name: str) -> bool:
        ref = self.body.refs[name]
        return ref.index is Index.SYNAPSE and ref.via is None

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
        stored = STORED_TYPES[self._array(name).dtype]
        lines = [f"b2e::ptr<{stored}> {pointer(name)} = {self.slot(ref)};"]
        if ref.via:
            lines.append(f"b2e::ptr<int> {via(name)} = {self.pointers[ref.via]};")
        return lines

    def slot(self, ref: Ref) -> str:
        """The C++ of a pointer to the slot that a ref means."""
        if ref.index is Index.ENTRY:  # a log goes through all steps
            return self.pointers[ref.array]
        offset = "-delay" if ref.offset is At.SENT else ref.offset
        return slot_pointer(self.arrays[ref.array], self.pointers, offset)

    def _read(self, name: str) -> str:
        lowered = self.lowered
        if name in lowered.added:
            return f"{self._type(name)} {name} = 0;"
        if name in lowered.read:
            const = "" if name in lowered.written | lowered.aliases.keys() else "const "
            return f"{const}{self._type(name)} {name} = {self._element(name)};"
        return f"{self._type(name)} {name};" if name in lowered.written else ""

    def _reset_on_event(self, name: str) -> str:
        value = "false" if self._array(name).dtype is DType.BOOL else "t"
        return f"{self._element(name)} = {value};"

    def _write(self, name: str) -> str:
        line = f"{self._element(name)} = {name};"
        if name in self.row_sums:
            line = f"{_row_sum(name)} += {name};"
        elif name in self.lowered.added:
            line = self._add(name, name)
        # A sum that no line added to need not be stored.
        guard = self.body.guards.get(name)
        skips = name in self.lowered.added and guard and guard not in self.lowered.written
        return f"if ({guard}) {line}" if skips else line

    def _add(self, name: str, value: str) -> str:
        ref = self.body.refs[name]
        if ref.array in self.summed:
            return f"b2e::add({pointer(name)}, {LOOP_VARIABLE[ref.index]}, {value});"
        return f"{self._element(name)} += {value};"

    def _add_row_sum(self, name: str) -> list[str]:
        """Threads of a block add up what each of them met; one of them stores it."""
        total = _row_sum(name)
        return [
            f"{total} = b2e::block_sum({total});",
            f"if (B2E_LEADER) {self._add(name, total)}",
            "B2E_BARRIER();",
        ]


def sorted_items[T](found: Mapping[str, T]) -> list[tuple[str, T]]:
    """Names with what they stand for, in order."""
    return sorted(found.items(), key=lambda item: item[0])


def _foreign(name: str, function: Foreign) -> str:
    call = f'B2E_GUARDED("{function.symbol}", ::{function.symbol}(x...))'
    return f"const auto {name} = [](auto... x) {{ {call} }};"


def _since(step: str) -> str:
    return f"const b2e::Since {since_name(step)} = b2e::since({step}, dt{DOUBLE_SUFFIX});"


def _row_sum(name: str) -> str:
    return f"{name}row_sum"


def slot_pointer(array: Array, pointers: Mapping[str, str], offset: int | str = 0) -> str:
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
        # As in C++, an integer has the width that it needs.
        kind, read = ("int", "int") if fits(value, 32) else ("long long", "b2e::whole")
        return [f"const {kind} {name} = {read}({source});"]
    return [
        f"const double {name}{DOUBLE_SUFFIX} = {source};",
        f"const real {name} = real({name}{DOUBLE_SUFFIX});",
    ]


def packed(value: Number) -> float:
    """A constant as the double it is handed over in; a wide integer as its bits."""
    if isinstance(value, int) and not isinstance(value, bool) and not fits(value, 32):
        return float(np.int64(value).view(np.float64))
    return float(value)
