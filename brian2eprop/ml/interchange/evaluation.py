"""Numbers of Brian2's expressions, in base units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy
from brian2.core.variables import Variable
from brian2.parsing.sympytools import str_to_sympy
from brian2.utils.stringtools import get_identifiers

from brian2eprop.errors import Unsupported
from brian2eprop.ml.graph import Values


class Scope:
    """Where the names of a group's expressions are looked up.

    Parameters
    ----------
    owner : Group
        The group or synapses.
    namespace : mapping
        What is known besides its own variables and namespace.
    """

    def __init__(self, owner: Any, namespace: Mapping[str, Any]) -> None:
        self.owner = owner
        self._namespace = dict(namespace)

    def variables(self, code: str) -> dict[str, Any]:
        """What the names in an expression are."""
        names = get_identifiers(code)
        found: dict[str, Any] = self.owner.resolve_all(names, self._namespace, user_identifiers=())
        return found

    def symbols(self, code: str) -> Any:
        """An expression as sympy has it."""
        return str_to_sympy(code, self.variables(code))

    def number(self, expression: Any) -> Values:
        """An expression, without a state in it, as one number or one for each element.

        Raises
        ------
        Unsupported
            If it changes with time or calls a function of Brian2's.
        """
        names = sorted(symbol.name for symbol in expression.free_symbols)
        known = self.variables(" ".join(names)) if names else {}
        for name, variable in known.items():
            if not isinstance(variable, Variable) or name in ("t", "i", "t_in_timesteps"):
                raise Unsupported(
                    f"'{self.owner.name}' has '{name}' in '{expression}', which is no constant, "
                    "and NIR's parameters are; leave it out."
                )
        values = [np.asarray(known[name].get_value(), float) for name in names]
        symbols = [_symbol(expression, name) for name in names]
        calculate = sympy.lambdify(symbols, expression, "numpy")
        return np.asarray(calculate(*values), float)


def slope(expression: Any, name: str) -> Any:
    """The derivative of an expression by a name."""
    return sympy.simplify(expression.diff(_symbol(expression, name)))


def without(expression: Any, names: Any) -> Any:
    """An expression with names that are zero."""
    return sympy.simplify(expression.subs({_symbol(expression, name): 0 for name in names}))


def has(expression: Any, name: str) -> bool:
    """Whether a name is in an expression."""
    return any(symbol.name == name for symbol in expression.free_symbols)


def _symbol(expression: Any, name: str) -> Any:
    found = (symbol for symbol in expression.free_symbols if symbol.name == name)
    return next(found, sympy.Symbol(name, real=True))
