"""The device's hooks where synapses are, or may be, kept as a rule."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from brian2.core.namespace import get_local_namespace
from brian2.core.variables import VariableView
from brian2.synapses.synapses import Synapses
from brian2.units.fundamentalunits import Quantity, fail_for_dimension_mismatch

from brian2eprop.device import brian
from brian2eprop.device.backends import registry
from brian2eprop.device.backends.base import Backend
from brian2eprop.device.connecting.expressions import NotKept, define
from brian2eprop.device.connecting.keeping import keep_as, known_of
from brian2eprop.device.connecting.rules import Connect, recipe_for
from brian2eprop.device.expansion.definition import Definition, Seed, constant, value
from brian2eprop.device.expansion.recipe import Recipe, keep, recipe_of
from brian2eprop.device.memory.randomness import Numbers
from brian2eprop.device.memory.seeded import SeededDevice
from brian2eprop.device.program import Precision


def seed_of(numbers: Numbers) -> Seed:
    """Where the numbers of one call are."""
    return Seed(numbers.seed, numbers.first)


class KeepsRules(SeededDevice):
    """A device that keeps synapses as a rule where it can, and what they are set to."""

    def __init__(self) -> None:
        super().__init__()
        self._fine: Backend | None = None

    @property
    @abstractmethod
    def backend(self) -> Backend:
        """Where networks run."""

    @property
    def fine_backend(self) -> Backend:
        """The same in double precision: what decides where synapses are."""
        backend = self.backend
        if backend.precision is Precision.FLOAT64:
            return backend
        if self._fine is None or self._fine.name != backend.name:
            self._fine = registry.create(backend.name, Precision.FLOAT64)
        return self._fine

    def synapses_connect(
        self,
        synapses: Synapses,
        condition: Any = None,
        i: Any = None,
        j: Any = None,
        p: Any = 1.0,
        n: Any = 1,
        skip_if_invalid: bool = False,
        namespace: Any = None,
        level: int = 0,
    ) -> None:
        """Add synapses, as ``Synapses.connect`` does; many of them are kept as a rule."""
        if namespace is None:
            namespace = get_local_namespace(level=level + 2)
        call = Connect(condition, i, j, p, n, skip_if_invalid)
        if not self._keep_connected(synapses, call, namespace):
            original = brian.original(Synapses.connect)
            original(synapses, condition, i, j, p, n, skip_if_invalid, namespace)

    def _keep_connected(
        self, synapses: Synapses, call: Connect, namespace: Mapping[str, Any]
    ) -> bool:
        if synapses.variables["N"].device is not self:
            return False
        known, numbers = known_of(self, synapses), self.randomness.take(1)
        recipe = recipe_for(self, known, call, seed_of(numbers), namespace)
        if recipe is None:
            numbers.end(0)
            return False
        keep_as(self, synapses, recipe)
        return True

    def variableview_set_with_expression_conditional(
        self, view: VariableView, cond: str, code: str, run_namespace: Any, check_units: bool = True
    ) -> None:
        """Set a variable to an expression; of synapses that are kept as a rule, when needed."""
        if cond != "True" or not self._keep_expression(view, code, run_namespace):
            original = brian.original(VariableView.set_with_expression_conditional)
            original(view, cond, code, run_namespace, check_units)

    def _keep_expression(self, view: VariableView, code: str, namespace: Mapping[str, Any]) -> bool:
        synapses, recipe = self._kept(view)
        if recipe is None:
            return False
        number, dim = len(recipe.script), view.variable.dim
        known, numbers = known_of(self, synapses), self.randomness.take(1)
        try:
            found = define(known, code, value(number), number, seed_of(numbers), namespace, dim)
        except NotKept:
            numbers.end(0)
            return False
        self._assign(view.variable, synapses, recipe, found)
        return True

    def variableview_set_with_index_array(
        self, view: VariableView, item: Any, value: Any, check_units: bool
    ) -> None:
        """Set a variable; a number of synapses that are kept as a rule, when needed."""
        if not self._keep_number(view, item, value):
            super().variableview_set_with_index_array(view, item, value, check_units)

    def _keep_number(self, view: VariableView, item: Any, given: Any) -> bool:
        synapses, recipe = self._kept(view)
        number = isinstance(given, int | float | np.number | Quantity) and np.ndim(given) == 0
        whole = isinstance(item, slice) and item == slice(None)
        if recipe is None or not whole or not number:
            return False
        variable = view.variable
        if view.dim is not None:
            wrong = f"Incorrect unit for setting variable {view.name}"
            fail_for_dimension_mismatch(variable.dim, given, wrong)
        kind = bool if variable.is_boolean else int if variable.is_integer else float
        found = constant(len(recipe.script), kind(np.asarray(given)))
        self._assign(variable, synapses, recipe, found)
        return True

    def _kept(self, view: VariableView) -> tuple[Any, Recipe | None]:
        """The synapses that a view is of, and their rule if the variable is still to be made."""
        owner = brian.owner_of(view.variable)
        made = owner is None or self.postponed.fill_of(view.variable) is None
        return owner, None if made else recipe_of(owner)

    def _assign(self, variable: Any, synapses: Any, recipe: Recipe, found: Definition) -> None:
        keep(synapses, recipe.assigned(variable, found))
        self._touch(variable)
