"""What the expressions of a rule may be: checked before anything is made of them."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeGuard

from brian2.core.variables import ArrayVariable, Constant, Subexpression
from brian2.parsing.expressions import is_boolean_expression, parse_expression_dimensions
from brian2.synapses.synapses import Synapses
from brian2.units.fundamentalunits import DIMENSIONLESS, get_unit_for_display, have_same_dimensions
from brian2.utils.stringtools import get_identifiers, word_substitute

from brian2eprop.device import brian
from brian2eprop.device.rewiring.rules import POLARITY, RATE, Recipe

# What Brian2 keeps of synapses for itself.
_KEPT = ("N_incoming", "N_outgoing", "_synaptic_pre", "_synaptic_post")


def is_own(variable: Any, synapses: Synapses) -> TypeGuard[ArrayVariable]:
    """Whether each of the synapses has a value of this variable; ends and delays apart."""
    return (
        isinstance(variable, ArrayVariable)
        and not variable.scalar
        and variable.owner.name == synapses.name
        and variable.name not in _KEPT
        and not brian.is_delay(variable)
    )


def check_expressions(synapses: Synapses, recipe: Recipe, namespace: Mapping[str, Any]) -> None:
    """Refuse expressions that are none, of another kind or unit than is asked for.

    Parameters
    ----------
    synapses : Synapses
        What is to be rewired.
    recipe : Recipe
        The rule.
    namespace : mapping of str to object
        Where external names are looked up.

    Raises
    ------
    TypeError, ValueError
        If an expression does not fit, or ``initial`` names what each synapse has none of.
    """
    check = _Checker(synapses, namespace)
    if recipe.fraction is None:
        check.condition("eliminate", recipe.eliminate, "give a fraction as well, or a condition")
    else:
        check.number("eliminate", recipe.eliminate)
    check.number("form", recipe.form, DIMENSIONLESS)
    check.condition("allowed", recipe.allowed, "give a condition")
    for name, value in recipe.initial.items():
        check.number(f"initial[{name!r}]", value, check.own(name).dim)


def expanded(synapses: Synapses, recipe: Recipe) -> Recipe:
    """The same rule with what subexpressions stand for, at either end too, in their stead."""

    def whole(text: str) -> str:
        found = {name: synapses.variables.get(name) for name in get_identifiers(text)}
        parts = {n: f"({f.expr})" for n, f in found.items() if isinstance(f, Subexpression)}
        return whole(word_substitute(text, parts)) if parts else text

    return replace(
        recipe,
        eliminate=whole(recipe.eliminate),
        form=whole(recipe.form),
        allowed=whole(recipe.allowed),
        initial={name: whole(value) for name, value in recipe.initial.items()},
    )


class _Checker:
    """Says of one rule what is wrong with it."""

    def __init__(self, synapses: Synapses, namespace: Mapping[str, Any]) -> None:
        self.synapses, self.namespace = synapses, namespace

    def condition(self, what: str, text: str, remedy: str) -> None:
        """Refuse what is not true or false, or compares what has other units."""
        self.number(what, text)
        if not is_boolean_expression(text, self._variables(what, text)):
            raise TypeError(f"{self._where(what, text)}, which is no condition; {remedy}.")

    def number(self, what: str, text: str, dim: Any = None) -> None:
        """Refuse what has another unit."""
        variables = self._variables(what, text)
        try:
            found = parse_expression_dimensions(text, variables)
        except Exception as error:
            raise ValueError(f"{self._where(what, text)}: {error} Mend its units.") from error
        if dim is not None and not have_same_dimensions(found, dim):
            unit = get_unit_for_display(found)
            raise ValueError(
                f"{self._where(what, text)}, which has the unit {unit}, and what it is for has "
                f"{get_unit_for_display(dim)}; give it in that."
            )

    def own(self, name: str) -> ArrayVariable:
        """A variable that each synapse has and that may be set."""
        found = self.synapses.variables.get(name)
        if name == "delay" or (isinstance(found, ArrayVariable) and brian.is_delay(found)):
            raise ValueError(
                f"The rule of '{self.synapses.name}' gives formed synapses a delay, and they have "
                "that which all have or, where these differ, none; leave it out."
            )
        if is_own(found, self.synapses) and not found.read_only:
            return found
        raise ValueError(
            f"The rule of '{self.synapses.name}' has initial[{name!r}], and '{name}' is no "
            "variable that each synapse has and that may be set; name one of the synapses' own."
        )

    def _where(self, what: str, text: str) -> str:
        return f"The rule of '{self.synapses.name}' has {what} '{text}'"

    def _variables(self, what: str, text: str) -> dict[str, Any]:
        """What the names of an expression stand for."""
        try:
            ast.parse(text.strip(), mode="eval")
        except SyntaxError as error:
            raise ValueError(
                f"{self._where(what, text)}, which is no expression; write one as Brian2 has them."
            ) from error
        ours = {name: Constant(name, value=1.0) for name in (POLARITY, RATE)}
        names = get_identifiers(text) - ours.keys() - {"True", "False", "and", "or", "not"}
        try:
            return {**self.synapses.resolve_all(names, self.namespace), **ours}
        except KeyError as error:
            raise ValueError(f"{self._where(what, text)}: {error.args[0]}") from error
