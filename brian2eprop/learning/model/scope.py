"""A body in the making: the one place where names are given."""

from __future__ import annotations

import keyword
import re
from collections.abc import Hashable, Iterable
from itertools import chain, count

from brian2eprop.device.program import Body, Detect, Number, Reduce, Ref
from brian2eprop.device.program.assignments import ALWAYS_THERE, assignments
from brian2eprop.device.program.functions import FUNCTIONS

# What these mean does not depend on the body.
_TAKEN = ALWAYS_THERE | FUNCTIONS.keys() | {Detect.CONDITION, Reduce.VALUE}


class Scope:
    """Collects the lines of a body, and gives names to what they use.

    What a name is asked for is only suggested one: the same array element or number always
    has the same name, and another one that wants a name which is taken gets a fresh one. So
    equations of several objects, with whatever names their user chose, can meet in one body.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._refs: dict[str, Ref] = {}
        self._constants: dict[str, Number] = {}
        self._names: dict[Hashable, str] = {}
        self._taken = set(_TAKEN)

    @classmethod
    def around(cls, body: Body) -> Scope:
        """A scope in which a body's names mean what they mean there; its lines are left out."""
        scope = cls()
        scope._refs, scope._constants = dict(body.refs), dict(body.constants)
        scope._names = {ref: name for name, ref in body.refs.items()}
        scope._names |= {_number(name, value): name for name, value in body.constants.items()}
        scope._taken |= {*body.refs, *body.constants}
        scope._taken |= {line.target for line in assignments(body.code)}
        return scope

    @property
    def empty(self) -> bool:
        """Whether nothing is assigned."""
        return not self._lines

    def bind(self, suggested: str, ref: Ref) -> str:
        """The name that stands for an array element."""
        name = self._name(suggested, ref)
        self._refs[name] = ref
        return name

    def define(self, suggested: str, value: Number) -> str:
        """The name that stands for a number."""
        name = self._name(suggested, _number(suggested, value))
        self._constants[name] = value
        return name

    def local(self, suggested: str) -> str:
        """A new name that the lines may assign."""
        stem = re.sub(r"\W", "_", suggested)
        if not stem.isidentifier() or keyword.iskeyword(stem):
            stem = f"_{stem}"
        candidates = chain([stem], (f"{stem}_{number}" for number in count(2)))
        name = next(name for name in candidates if name not in self._taken)
        self._taken.add(name)
        return name

    def line(self, target: str, operator: str, terms: Iterable[str]) -> None:
        """One assignment of a sum; an addition of nothing is left out."""
        found = [term for term in terms if term]
        if found or operator == "=":
            self._lines.append(f"{target} {operator} {' + '.join(found) or '0.0'}")

    def body(self) -> Body:
        """The body."""
        return Body("\n".join(self._lines), dict(self._refs), dict(self._constants))

    def _name(self, suggested: str, meaning: Hashable) -> str:
        if meaning not in self._names:
            self._names[meaning] = self.local(suggested)
        return self._names[meaning]


def _number(name: str, value: Number) -> Hashable:
    """What tells constants apart: ``True``, ``1`` and ``1.0`` are three."""
    return name, type(value), value
