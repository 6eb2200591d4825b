"""An update of parameters as a Program, with the part that each of its arrays plays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from brian2eprop.device.program import Access, Array, Body, ForEach, Index, Program, Ref


@dataclass(frozen=True)
class Update:
    """The Program of an update.

    Parameters
    ----------
    program : Program
        A sweep over what is shared.
    follows : mapping of str to str
        For each array that lies beside a parameter, element by element, that parameter.
    squares : frozenset of str
        Those of them that hold averages of squares.
    """

    program: Program
    follows: Mapping[str, str]
    squares: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Step:
    """How one parameter is updated, element by element; each array is known by its name in code.

    Parameters
    ----------
    kind : str
        What it is called.
    parameter, gradient : Array
        What the code calls ``w`` and ``g``.
    code : str
        What is done to each element.
    beside : mapping of str to Array
        The optimiser's own arrays that lie beside the parameter.
    numbers : mapping of str to Array
        Those of size 1.
    constants : mapping of str to float
        What never changes.
    squares : str, optional
        Which of the arrays beside the parameter holds averages of squares.
    """

    kind: str
    parameter: Array
    gradient: Array
    code: str
    beside: Mapping[str, Array]
    numbers: Mapping[str, Array]
    constants: Mapping[str, float]
    squares: str | None = None

    @property
    def phase(self) -> ForEach:
        """The step as a phase."""
        each = {"w": self.parameter, "g": self.gradient, **self.beside}
        refs = {name: Ref(array.name, Index.ELEMENT) for name, array in each.items()}
        refs |= {name: Ref(array.name, Index.SCALAR) for name, array in self.numbers.items()}
        body = Body(self.code, refs, self.constants)
        return ForEach(f"{self.kind}_{self.parameter.name}", self.parameter.size, body)

    @property
    def arrays(self) -> tuple[Array, ...]:
        """What it uses."""
        return self.parameter, self.gradient, *self.beside.values(), *self.numbers.values()

    def apart(self) -> Step:
        """The same with numbers of its own."""
        parameter = self.parameter.name
        own = {n: replace(a, name=own_number(a.name, parameter)) for n, a in self.numbers.items()}
        return replace(self, numbers=own)


def own_number(number: str, parameter: str) -> str:
    """A parameter's own array of size 1 in place of one that several have."""
    return f"{number}:{parameter}"


def like(parameter: Array, name: str) -> Array:
    """An array beside a parameter."""
    return Array(name, parameter.dtype, parameter.size, Access.SHARED)


def number_like(parameter: Array, name: str) -> Array:
    """An array of size 1 of a parameter's type."""
    return Array(name, parameter.dtype, 1, Access.SHARED)
