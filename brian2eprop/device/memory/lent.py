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


class Lent:
    """Which variables are lent, and to whom."""

    def __init__(self) -> None:
        self._borrowers: dict[Any, tuple[Borrower, str]] = {}

    @contextmanager
    def lend(self, variables: Mapping[str, Any], borrower: Borrower) -> Iterator[None]:
        """While active, the borrower is asked before a variable is read, and told of changes.

        Parameters
        ----------
        variables : mapping of str to brian2 ArrayVariable
            The variables, by the name the borrower has for them.
        borrower : Borrower
            Who has their newest values.
        """
        before = self._borrowers
        self._borrowers = before | {v: (borrower, name) for name, v in variables.items()}
        try:
            yield
        finally:
            self._borrowers = before

    def pull(self, variable: Any) -> None:
        """Bring Brian2's array of a variable up to date, where it is lent."""
        found = self._borrowers.get(variable)
        if found is not None:
            found[0].pull(found[1])

    def touch(self, variable: Any) -> None:
        """Note that Brian2's array of a variable may be changed."""
        found = self._borrowers.get(variable)
        if found is not None:
            found[0].touch(found[1])

    def pull_all(self) -> None:
        """Bring Brian2's arrays of all variables up to date."""
        for borrower, name in self._borrowers.values():
            borrower.pull(name)
