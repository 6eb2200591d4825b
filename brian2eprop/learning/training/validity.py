"""Whether states are still numbers at the end of a trial."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Direction,
    DType,
    Index,
    Program,
    Reduce,
    Reduction,
    Ref,
    Sweep,
)

# Comparisons with NaN fail both. No comparison is negated: x >= 1 is not the opposite of x < 1.
_IS_NAN = "_value = (1 - int(x < 1))*(1 - int(x > -1))"


def counting_nan(program: Program, states: Iterable[str]) -> tuple[Program, Mapping[str, str]]:
    """The Program with a last sweep that counts what became NaN; a NaN stays one to the end.

    Parameters
    ----------
    program : Program
        What runs a batch.
    states : iterable of str
        Names of its state arrays.

    Returns
    -------
    program : Program
        The same with the counts.
    counts : mapping of str to str
        For every state of real numbers the PER_INSTANCE array (REAL, size 1) of the number of
        its elements that are NaN.
    """
    known = program.all_arrays()
    counted = [known[name] for name in states if known[name].dtype is DType.REAL]
    counts = {state.name: f"nan:{state.name}" for state in counted}
    arrays = [Array(name, DType.REAL, 1, Access.PER_INSTANCE) for name in counts.values()]
    phases = tuple(_count(state, counts[state.name]) for state in counted)
    sweep = [Sweep(Direction.ONCE, phases)] if phases else []
    counting = replace(program, arrays=(*program.arrays, *arrays), sweeps=(*program.sweeps, *sweep))
    return counting, counts


def _count(state: Array, into: str) -> Reduce:
    body = Body(_IS_NAN, {"x": Ref(state.name, Index.ELEMENT)})
    return Reduce(f"NaN in {state.name}", state.size, Reduction.SUM, body, into)
