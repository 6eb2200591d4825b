"""What an object was made with: its declared fields, in a form that can be kept and compared."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from brian2.units import Quantity
from brian2.units.fundamentalunits import get_dimensions, is_dimensionless

KIND = "is"


def settings(value: Any) -> Any:
    """The fields of a dataclass in JSON form, down to numbers and words.

    Parameters
    ----------
    value : object
        A dataclass such as ``Adam(1e-3)``, or what its fields hold.

    Returns
    -------
    dict, list, str, number, bool or None
        A dictionary with the class's name under ``"is"`` and the fields that it takes; times
        and voltages with their unit, arrays by their hash, all other objects by their name.
    """
    if is_dataclass(value) and not isinstance(value, type):
        taken = {f.name: settings(getattr(value, f.name)) for f in fields(value) if f.init}
        return {KIND: type(value).__name__, **taken}
    if isinstance(value, Quantity) and not is_dimensionless(value):
        return {"value": settings(np.asarray(value).tolist()), "unit": repr(get_dimensions(value))}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return settings(value.item()) if value.ndim == 0 else _digest(value)
    if isinstance(value, Mapping):
        return {str(name): settings(held) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return [settings(held) for held in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return {KIND: getattr(value, "__qualname__", type(value).__name__)}


def difference(name: str, one: Any, other: Any) -> tuple[str, Any, Any] | None:
    """The first place where two settings differ, if any.

    Parameters
    ----------
    name : str
        What they are the settings of.
    one, other : object
        Two results of :func:`settings`.

    Returns
    -------
    tuple of (str, object, object) or None
        Name of the place, such as ``"loss.window"``, and what is there in each.
    """
    if isinstance(one, dict) and isinstance(other, dict) and one.get(KIND) == other.get(KIND):
        for key in sorted(one.keys() | other.keys()):
            found = difference(f"{name}.{key}", one.get(key), other.get(key))
            if found is not None:
                return found
        return None
    return None if one == other else (name, one, other)


def _digest(values: np.ndarray[Any, Any]) -> dict[str, Any]:
    content = np.ascontiguousarray(values, np.float64).tobytes()
    return {"shape": list(values.shape), "sha256": hashlib.sha256(content).hexdigest()}
