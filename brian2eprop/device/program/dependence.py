"""What depends on what: runs of a body on one another, and what is done on what was before."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from brian2eprop.device.program.body import Body, Index

# How a body reaches the elements of an array: by an index, perhaps via an array of indices.
Way = tuple[Index, str | None]


def ways(body: Body, array: str) -> frozenset[Way]:
    """The ways in which a body reaches an array.

    Parameters
    ----------
    body : Body
        The body.
    array : str
        Name of the array.
    """
    refs = (body.refs[name] for name in _names(body, array))
    return frozenset((ref.index, ref.via) for ref in refs)


def aliases(body: Body) -> dict[str, frozenset[str]]:
    """The names that may stand for one element, which the body writes, each with the others.

    Parameters
    ----------
    body : Body
        The body.
    """
    found: dict[str, frozenset[str]] = {}
    for array in body.arrays(body.written):
        if len(ways(body, array)) > 1:
            names = _names(body, array)
            found |= {name: names - {name} for name in names}
    return found


def is_independent(body: Body, distinct: Collection[Index]) -> bool:
    """Whether no run of a body meets what another one writes.

    Parameters
    ----------
    body : Body
        The body.
    distinct : collection of Index
        The indices of which no two runs have the same element.
    """
    alone = {frozenset({(index, None)}) for index in distinct}
    return all(ways(body, array) in alone for array in body.arrays(body.written))


def changed(
    reads: frozenset[str],
    writes: frozenset[str],
    other_reads: frozenset[str],
    other_writes: frozenset[str],
) -> frozenset[str]:
    """What both of two use, and one of them changes."""
    return (writes & (other_reads | other_writes)) | (reads & other_writes)


def in_runs[T](found: Iterable[T], meet: Callable[[T, T], bool]) -> list[list[T]]:
    """What is done in turn, in runs such that nothing meets what was before it in its run.

    Parameters
    ----------
    found : iterable
        What is done, in order.
    meet : callable
        Whether the second meets what another worker does of the first.
    """
    runs: list[list[T]] = []
    for each in found:
        if runs and not any(meet(before, each) for before in runs[-1]):
            runs[-1].append(each)
        else:
            runs.append([each])
    return runs


def _names(body: Body, array: str) -> frozenset[str]:
    return frozenset(n for n in body.read | body.written if body.refs[n].array == array)
