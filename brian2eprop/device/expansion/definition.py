"""What an expression gives, at each place or for each synapse, whenever it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.device.program import Access, Array, Body, DType

_TYPES = {"b": DType.BOOL, "i": DType.INT, "u": DType.INT, "f": DType.DOUBLE}


@dataclass(frozen=True)
class Seed:
    """Where the random numbers of one call of a user's are found.

    Parameters
    ----------
    seed : int
        The seed.
    shift : int
        The step in which they are drawn.
    """

    seed: int
    shift: int


@dataclass(frozen=True)
class Definition:
    """An expression, with everything that its value follows from.

    Parameters
    ----------
    body : Body
        Assigns a local. What it reads are refs to SOURCE, TARGET and SCALAR, and locals of other
        definitions; no two definitions of the same synapses have a name in common.
    contents : mapping of str to array
        The values that the arrays of its refs had when it was made.
    seed : Seed
        Where its random numbers are.
    after : frozenset of int
        The definitions whose locals it reads, by their numbers.
    """

    body: Body
    contents: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    seed: Seed = Seed(0, 0)
    after: frozenset[int] = frozenset()

    def arrays(self) -> tuple[Array, ...]:
        """The arrays of its refs."""
        return tuple(
            Array(name, _TYPES[values.dtype.kind], values.size, Access.SHARED)
            for name, values in self.contents.items()
        )


def needed(definitions: Sequence[Definition], last: int) -> list[int]:
    """The numbers of the definitions that one follows from, in order, and its own."""
    found = {last}
    for number in range(last, -1, -1):
        if number in found:
            found |= definitions[number].after
    return sorted(found)


def joined(definitions: Sequence[Definition], then: Body) -> Body:
    """A body that works definitions out, one after the other, and does something then.

    Parameters
    ----------
    definitions : sequence of Definition
        The definitions.
    then : Body
        What is done then.
    """
    bodies = [*(each.body for each in definitions), then]
    return Body(
        "\n".join(body.code for body in bodies),
        {name: ref for body in bodies for name, ref in body.refs.items()},
        {name: number for body in bodies for name, number in body.constants.items()},
        draws={name: draw for body in bodies for name, draw in body.draws.items()},
    )


def value(number: int) -> str:
    """The local of the definition of a number."""
    return f"_value_{number}"


def constant(number: int, given: float | int | bool) -> Definition:
    """The definition that is a number."""
    name = f"_given_{number}"
    return Definition(Body(f"{value(number)} = {name}", {}, {name: given}))


EVERYWHERE = Definition(Body("_taken = True", {}))


def as_stored(values: Any) -> npt.NDArray[Any] | None:
    """Values as an array of a Program can hold them; None where none can."""
    found = np.array(values)
    if found.dtype.kind not in _TYPES:
        return None
    if found.dtype.kind in "iu":
        fits = found.size == 0 or (abs(found.max()) < 2**31 and abs(found.min()) < 2**31)
        return found.astype(np.int32) if fits else None
    return found if found.dtype.kind == "b" else found.astype(np.float64)
