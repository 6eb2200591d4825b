"""Code outside of runs, once for each instance: all of them at once where that is possible."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from zlib import crc32

import numpy as np
from brian2.codegen.runtime.numpy_rt.numpy_rt import NumpyCodeObject
from brian2.core.functions import Function
from brian2.core.variables import ArrayVariable, Constant, Subexpression
from brian2.utils.stringtools import get_identifiers

from brian2eprop.device import brian
from brian2eprop.device.memory.instances import Instances

# Elements that are computed at once: enough for NumPy, little in memory.
AT_ONCE = 2**20


class InstanceLoop:
    """A code object that runs for each instance.

    Parameters
    ----------
    code_object : CodeObject
        What to run.
    instances : Instances
        The instances.
    varying : iterable of brian2 Variable
        The variables it reads or writes that have an instance axis.
    target : brian2 Variable, optional
        The one it writes.
    statements : str
        Its abstract code.
    """

    def __init__(
        self,
        code_object: Any,
        instances: Instances,
        varying: Iterable[Any],
        target: Any | None,
        statements: str,
    ) -> None:
        self.code_object = code_object
        self.instances = instances
        self.varying = tuple(varying)
        self.target = target
        self.statements = statements

    def __call__(self, **kwds: Any) -> Any:
        """Run; the results of the instances are stacked."""
        number = self.instances.number
        if self.target is not None and _elementwise(self.code_object, self.statements):
            self._at_once(kwds, 0, 1)
            with _numbers_of_others():
                self._at_once(kwds, 1, number)
            return None
        results = [self._run(0, kwds)]
        with _numbers_of_others():
            results += [self._run(k, kwds) for k in range(1, number)]
        if results[0] is None:
            return None
        if len({np.shape(result) for result in results}) > 1:
            raise ValueError(
                f"The condition selects different numbers of elements of "
                f"'{self.code_object.owner.name}' in different instances; read the whole array "
                "and mask it with NumPy."
            )
        return np.stack(results)

    def _run(self, instance: int, kwds: dict[str, Any]) -> Any:
        for variable in self.varying:
            self.instances.raw(variable)[:] = self.instances.arrays[variable][instance]
        result = self.code_object(**kwds)
        if self.target is not None:
            self.instances.arrays[self.target][instance] = self.instances.raw(self.target)
        return None if result is None else np.array(result)

    def _at_once(self, kwds: dict[str, Any], begin: int, end: int) -> None:
        """Run for many instances as if they were one long group."""
        code, n_elements = self.code_object, _size(self.code_object)
        original = code.namespace
        some = max(1, AT_ONCE // n_elements)
        for first in range(begin, end, some):
            n = min(some, end - first)
            code.namespace = {**original, "N": n * n_elements}
            for variable in _arrays(code):
                values = self.instances.arrays.get(variable)
                name = code.generator_class.get_array_name(variable)
                if values is not None:
                    code.namespace[name] = values[first : first + n].reshape(-1)
                else:
                    code.namespace[name] = np.tile(original[name], n)
            code(**kwds)
        code.namespace = original


@contextmanager
def _numbers_of_others() -> Iterator[None]:
    """Draw from other random numbers than those that a network without instances draws from.

    So the first instance, and the connections that are drawn later, do not depend on how many
    instances there are.
    """
    before: Any = np.random.get_state()
    np.random.seed(crc32(before[1].tobytes() + str(before[2:]).encode()))
    try:
        yield
    finally:
        np.random.set_state(before)


def _arrays(code: Any) -> list[Any]:
    arrays = (v for v in code.variables.values() if isinstance(v, ArrayVariable) and not v.scalar)
    return list(dict.fromkeys(arrays))


def _size(code: Any) -> int:
    return int(code.variables["N"].get_value())


def _elementwise(code: Any, statements: str) -> bool:
    """Whether code sets each element from values of this very element, and by known functions."""
    if not isinstance(code, NumpyCodeObject):
        return False
    if code.template_name != "group_variable_set_conditional":
        return False
    if not isinstance(code.variables.get("N"), Constant) or _uses_size(code, statements):
        return False
    return all(_of_element(code, name, found) for name, found in code.variables.items())


def _uses_size(code: Any, statements: str) -> bool:
    expressions = (v.expr for v in code.variables.values() if isinstance(v, Subexpression))
    return any("N" in get_identifiers(text) for text in (statements, *expressions))


def _of_element(code: Any, name: str, found: Any) -> bool:
    if isinstance(found, Function):
        return brian.DEFAULT_FUNCTIONS.get(name) is found
    if not isinstance(found, ArrayVariable):
        return True
    if found.scalar:
        return found not in code.device.instances.arrays
    return bool(code.variable_indices[name] == brian.ELEMENT)
