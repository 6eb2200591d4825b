"""A body in the making."""

from __future__ import annotations

from collections.abc import Iterable

from brian2eprop.device.program import Body, Number, Ref


class Lines:
    """Collects the lines, refs and constants of a body."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._refs: dict[str, Ref] = {}
        self._constants: dict[str, Number] = {}

    @property
    def empty(self) -> bool:
        """Whether nothing is assigned."""
        return not self._lines

    def bind(self, name: str, ref: Ref) -> str:
        """Let a name stand for an array element."""
        self._refs[name] = ref
        return name

    def define(self, name: str, value: Number) -> str:
        """Let a name stand for a number."""
        self._constants[name] = value
        return name

    def line(self, target: str, operator: str, terms: Iterable[str]) -> None:
        """One assignment of a sum; an addition of nothing is left out."""
        found = [term for term in terms if term]
        if found or operator == "=":
            self._lines.append(f"{target} {operator} {' + '.join(found) or '0.0'}")

    def body(self) -> Body:
        """The body."""
        return Body("\n".join(self._lines), dict(self._refs), dict(self._constants))
