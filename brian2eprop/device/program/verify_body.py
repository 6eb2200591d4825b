"""What is legal in a phase's body."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from brian2eprop.device.program.assignments import ALWAYS_THERE, Assignment, assignments
from brian2eprop.device.program.functions import FUNCTIONS
from brian2eprop.device.program.program import (
    Access,
    Array,
    Body,
    DType,
    Index,
    Layout,
    Program,
    Ref,
    Slots,
)


@dataclass(frozen=True)
class Domain:
    """What a phase offers its body.

    Parameters
    ----------
    sizes : mapping of Index to int
        The kinds of indices it has besides SCALAR, and the size of the arrays they fit.
    result : str, optional
        The local that the body must assign.
    """

    sizes: Mapping[Index, int]
    result: str | None = None


def body_faults(program: Program, body: Body, domain: Domain) -> Iterable[str]:
    """What is not legal in a body.

    Parameters
    ----------
    program : Program
        The Program that the body is part of.
    body : Body
        The body.
    domain : Domain
        What the body's phase offers it.

    Returns
    -------
    iterable of str
        The faults, each half a sentence.
    """
    try:
        lines = assignments(body.code)
    except ValueError as error:
        return [str(error)]
    # The rules of a group hold only where the groups before it found nothing.
    for rule in (_name_faults, _ref_faults, _guard_faults, _write_faults, _read_faults):
        faults = list(rule(program, body, domain, lines))
        if faults:
            return faults
    return []


def offset_fault(owner: str, slots: Slots | None, offset: int) -> Iterable[str]:
    """What is wrong with a step offset.

    Parameters
    ----------
    owner : str
        What has the slots, e.g. ``"array 'v'"``.
    slots : Slots, optional
        The slots.
    offset : int
        The offset in steps.

    Returns
    -------
    iterable of str
        No fault or one.
    """
    history = 0 if slots is None else slots.history
    if abs(offset) > history:
        yield (
            f"offset {offset} is out of {owner}, whose slots keep {history} other steps; "
            f"lengthen their history"
        )


def write_fault(program: Program, name: str, array: Array, operator: str) -> Iterable[str]:
    """What is wrong with writing an array.

    Parameters
    ----------
    program : Program
        The Program.
    name : str
        The name written.
    array : Array
        The array it stands for.
    operator : str
        Name of the ``ast`` class of the operator of an augmented assignment.

    Returns
    -------
    iterable of str
        No fault or one.
    """
    per_instance = program.layout is Layout.PER_INSTANCE
    if per_instance and array.access is Access.SHARED:
        yield (
            f"'{name}' writes array '{array.name}', which all instances share; "
            f"make it per instance or scratch"
        )
    if array.access is Access.ACCUMULATED and operator != "Add":
        yield f"'{name}' sets array '{array.name}', which is accumulated; write it by '+=' only"


def _name_faults(
    program: Program, body: Body, domain: Domain, lines: tuple[Assignment, ...]
) -> Iterable[str]:
    fixed = ALWAYS_THERE | FUNCTIONS.keys()
    for name in sorted(body.refs.keys() & body.constants.keys()):
        yield f"'{name}' is both a ref and a constant; rename one"
    for name in sorted(fixed & (body.refs.keys() | body.constants.keys())):
        yield f"'{name}' is a name of every body; rename the ref or constant"
    for name, value in body.constants.items():
        if not math.isfinite(value):
            yield f"constant '{name}' is {value}; give a finite number"
    known = ALWAYS_THERE | body.refs.keys() | body.constants.keys()
    for line in lines:
        if line.target in fixed | body.constants.keys():
            yield f"'{line.target}' is assigned and is no ref or local; rename it"
        read = line.names | ({line.target} if line.operator else set())
        for name in sorted(read - known):
            yield f"'{name}' has no value; make it a ref or a constant, or assign it before"
        known |= {line.target}
    if domain.result is not None and domain.result not in known - body.refs.keys():
        yield f"its body does not assign the local '{domain.result}'; assign it"


def _ref_faults(
    program: Program, body: Body, domain: Domain, lines: tuple[Assignment, ...]
) -> Iterable[str]:
    for name, ref in body.refs.items():
        yield from _ref_fault(program.all_arrays(), name, ref, domain)


def _ref_fault(arrays: Mapping[str, Array], name: str, ref: Ref, domain: Domain) -> Iterable[str]:
    for unknown in {ref.array, ref.via or ref.array} - arrays.keys():
        yield f"'{name}' stands for array '{unknown}', which is not there; declare it"
        return
    if ref.index is not Index.SCALAR and ref.index not in domain.sizes:
        legal = ", ".join(index.name for index in (Index.SCALAR, *domain.sizes))
        yield f"'{name}' has the index {ref.index.name}; legal are here: {legal}"
        return
    array = arrays[ref.array]
    yield from offset_fault(f"array '{ref.array}'", array.slots, ref.offset)
    indexed = array if ref.via is None else arrays[ref.via]
    if ref.via is not None and (indexed.dtype, indexed.access) != (DType.INT, Access.SHARED):
        yield f"'{name}' goes via array '{ref.via}', which is not INT and shared; make it both"
    size = domain.sizes.get(ref.index, max(indexed.size, 1))
    if indexed.size != size:
        yield (
            f"'{name}' stands for array '{indexed.name}' of size {indexed.size}, where "
            f"{ref.index.name} needs {size}; make them equal"
        )


def _guard_faults(
    program: Program, body: Body, domain: Domain, lines: tuple[Assignment, ...]
) -> Iterable[str]:
    arrays = program.all_arrays()
    for name, guard in body.guards.items():
        if name not in body.refs:
            yield f"'{name}' is guarded and no ref; guard refs only"
        if guard not in body.refs or arrays[body.refs[guard].array].dtype is not DType.BOOL:
            yield f"'{name}' is guarded by '{guard}', which is no BOOL ref; make it one"


def _write_faults(
    program: Program, body: Body, domain: Domain, lines: tuple[Assignment, ...]
) -> Iterable[str]:
    arrays = program.all_arrays()
    for line in lines:
        if line.target not in body.refs:
            continue
        ref = body.refs[line.target]
        yield from write_fault(program, line.target, arrays[ref.array], line.operator)
        if ref.index is Index.SOURCE:
            yield f"'{line.target}' is written at its source; loop over the neurons instead"
        if ref.via is not None:
            yield f"'{line.target}' is written via array '{ref.via}'; write it without"
        if ref.index is Index.SCALAR:
            yield f"'{line.target}' is written as a SCALAR; use a Reduce, or a loop of size 1"


def _read_faults(
    program: Program, body: Body, domain: Domain, lines: tuple[Assignment, ...]
) -> Iterable[str]:
    # Other instances may still add to it.
    if program.layout is Layout.ELEMENTWISE:
        return
    arrays = program.all_arrays()
    for name in sorted(body.refs.keys() & set().union(*(line.names for line in lines))):
        array = arrays[body.refs[name].array]
        if array.access is Access.ACCUMULATED:
            yield (
                f"'{name}' reads array '{array.name}' before its sum is complete; "
                f"read it in another program"
            )
