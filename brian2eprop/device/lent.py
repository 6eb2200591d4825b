"""Variables that are lent: somebody else, such as a training, has their newest values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol


class Borrower(Protocol):
    """Who has the newest values of some of the Program's arrays."""

    def pull(self, name: str) -> None:
        """Bring Brian2's array of a variable up to date."""

    def touch(self, name: str) -> None:
        """Note that Brian2's array of a variable may be changed."""

    def is_ahead(self, name: str) -> bool:
        """Whether Brian2's array of a variable is not up to date."""


class Lent:
    """Which variables are lent, and to whom."""

    def __init__(self) -> None:
        self._loans: dict[Any, list[tuple[Borrower, str]]] = {}

    @contextmanager
    def lend(self, variables: Mapping[str, Any], borrower: Borrower) -> Iterator[None]:
        """While active, the borrower is asked before a variable is read, and told of changes.

        Of several borrowers of a variable the last one has its newest values.

        Parameters
        ----------
        variables : mapping of str to brian2 ArrayVariable
            The variables, by the name the borrower has for them.
        borrower : Borrower
            Who has their newest values.
        """
        for name, variable in variables.items():
            self._loans.setdefault(variable, []).append((borrower, name))
        try:
            yield
        finally:
            for name, variable in variables.items():
                self._loans[variable].remove((borrower, name))
                if not self._loans[variable]:
                    del self._loans[variable]

    def pull(self, variable: Any) -> None:
        """Bring Brian2's array of a variable up to date, where it is lent."""
        for borrower, name in self._loans.get(variable, ())[-1:]:
            borrower.pull(name)

    def touch(self, variable: Any) -> None:
        """Note that Brian2's array of a variable may be changed: all borrowers must know."""
        for borrower, name in self._loans.get(variable, ()):
            borrower.touch(name)

    def is_ahead(self, variable: Any) -> bool:
        """Whether a variable's newest values are a borrower's: Brian2's array is as it was."""
        return any(b.is_ahead(name) for b, name in self._loans.get(variable, ())[-1:])

    def pull_all(self) -> None:
        """Bring Brian2's arrays of all variables up to date."""
        for variable in list(self._loans):
            self.pull(variable)
