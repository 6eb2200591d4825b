"""What is legal in a phase's body."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from brian2eprop.device.program.arrays import Access, Array, DType, Over, offset_faults
from brian2eprop.device.program.assignments import ALWAYS_THERE, Assignment, fits
from brian2eprop.device.program.body import At, Body, Domain, Index, Ref
from brian2eprop.device.program.functions import FUNCTIONS, PLAIN_FUNCTIONS
from brian2eprop.device.program.program import Program


def body_faults(program: Program, body: Body, domain: Domain, over: Over) -> Iterable[str]:
    """What is not legal in a body.

    Parameters
    ----------
    program : Program
        The Program that the body is part of.
    body : Body
        The body.
    domain : Domain
        What the body's phase offers it.
    over : Over
        What the phase's sweep is over.

    Returns
    -------
    iterable of str
        The faults, each half a sentence.
    """
    try:
        lines = body.lines
    except ValueError as error:
        return [str(error)]
    # The rules of a group hold only where the groups before it found nothing.
    rules: tuple[Callable[[], Iterable[str]], ...] = (
        lambda: _call_faults(body, lines),
        lambda: _name_faults(body, domain, lines),
        lambda: _timed_faults(program, body),
        lambda: _draw_faults(body),
        lambda: _ref_faults(program, body, domain),
        lambda: _guard_faults(program, body),
        lambda: _write_faults(program, body, over),
        lambda: _read_faults(program, body, over),
    )
    return next((faults for rule in rules if (faults := list(rule()))), [])


def _call_faults(body: Body, lines: tuple[Assignment, ...]) -> Iterable[str]:
    own = {name: function.n_arguments for name, function in body.functions.items()}
    known = FUNCTIONS | own
    for name, n_arguments, text in (call for line in lines for call in line.calls):
        if name not in known:
            there = ", ".join((*PLAIN_FUNCTIONS, *own))
            yield f"there is no function '{name}'; there are {there}"
        elif n_arguments != known[name]:
            yield f"'{text}' should have {known[name]} arguments; give as many"


def _timed_faults(program: Program, body: Body) -> Iterable[str]:
    for name, timed in body.timed.items():
        yield from timed.faults(name, program.all_arrays())


def _name_faults(body: Body, domain: Domain, lines: tuple[Assignment, ...]) -> Iterable[str]:
    fixed = ALWAYS_THERE | FUNCTIONS.keys() | body.functions.keys()
    for name in sorted(body.refs.keys() & body.constants.keys()):
        yield f"'{name}' is both a ref and a constant; rename one"
    for name in sorted(body.draws.keys() & (body.refs.keys() | body.constants.keys())):
        yield f"'{name}' is a draw and a ref or constant; rename one"
    given = body.refs.keys() | body.constants.keys() | body.draws.keys()
    for name in sorted(body.times.keys() & given):
        yield f"'{name}' is a time and a ref, a constant or a draw; rename one"
    for name in sorted(fixed & (given | body.times.keys())):
        yield f"'{name}' is a name of every body; rename the ref, constant, draw or time"
    for name, value in body.constants.items():
        if not fits(value, 64):
            yield f"constant '{name}' is {value}, which does not fit into 64 bits; make it real"
    numbers = body.constants.keys() | body.draws.keys() | body.times.keys()
    known = ALWAYS_THERE | body.refs.keys() | numbers
    for line in lines:
        if line.target in fixed | numbers:
            yield f"'{line.target}' is assigned and is no ref or local; rename it"
        read = line.names | ({line.target} if line.operator else set())
        for name in sorted(read - known):
            yield f"'{name}' has no value; make it a ref or a constant, or assign it before"
        known |= {line.target}
    if domain.result is not None and domain.result not in known - body.refs.keys():
        yield f"its body does not assign the local '{domain.result}'; assign it"


def _draw_faults(body: Body) -> Iterable[str]:
    known: dict[tuple[str, int], str] = {}
    for name, draw in body.draws.items():
        if draw.dtype not in (DType.REAL, DType.DOUBLE):
            yield f"draw '{name}' is {draw.dtype.value}; make it REAL or DOUBLE"
        other = known.setdefault((draw.owner, draw.call), name)
        if other != name:
            yield f"draw '{name}' has the numbers of draw '{other}'; give it a call of its own"


def _ref_faults(program: Program, body: Body, domain: Domain) -> Iterable[str]:
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
    yield from _step_fault(name, array, ref, domain)
    indexed = array if ref.via is None else arrays[ref.via]
    if ref.via is not None and (indexed.dtype, indexed.access) != (DType.INT, Access.SHARED):
        yield f"'{name}' goes via array '{ref.via}', which is not INT and shared; make it both"
    size = domain.sizes.get(ref.index, max(indexed.size, 1))
    if indexed.size != size:
        yield (
            f"'{name}' stands for array '{indexed.name}' of size {indexed.size}, where "
            f"{ref.index.name} needs {size}; make them equal"
        )


def _step_fault(name: str, array: Array, ref: Ref, domain: Domain) -> Iterable[str]:
    if ref.offset is not At.SENT:
        yield from offset_faults(f"array '{array.name}'", array.slots, ref.offset)
    elif domain.sent is None:
        yield f"'{name}' is taken where its event was sent, and there is no event; use Propagate"
    else:
        yield from offset_faults(f"array '{array.name}'", array.slots, -domain.sent.history)


def _guard_faults(program: Program, body: Body) -> Iterable[str]:
    arrays = program.all_arrays()
    for name, guard in body.guards.items():
        if name not in body.refs:
            yield f"'{name}' is guarded and no ref; guard refs only"
        if guard not in body.refs or arrays[body.refs[guard].array].dtype is not DType.BOOL:
            yield f"'{name}' is guarded by '{guard}', which is no BOOL ref; make it one"


def _write_faults(program: Program, body: Body, over: Over) -> Iterable[str]:
    arrays = program.all_arrays()
    for line in body.lines:
        if line.target not in body.refs:
            continue
        ref = body.refs[line.target]
        yield from arrays[ref.array].write_faults(line.target, over, line.operator == "Add")
        if ref.via is not None:
            yield f"'{line.target}' is written via array '{ref.via}'; write it without"
        if ref.index is Index.SCALAR:
            yield f"'{line.target}' is written as a SCALAR; use a Reduce, or a loop of size 1"


def _read_faults(program: Program, body: Body, over: Over) -> Iterable[str]:
    """Other instances may still add to what all of them share."""
    if over is Over.SHARED:
        return
    for name in sorted(body.read):
        if body.refs[name].array in program.summed:
            yield (
                f"'{name}' reads array '{body.refs[name].array}' before its sum is complete; read "
                f"it in a sweep over what is shared"
            )
