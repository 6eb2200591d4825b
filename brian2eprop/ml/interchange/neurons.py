"""The neurons of NIR as Brian2 writes them: the equations are those of NIR's documentation.

Pedersen et al. (2024), https://doi.org/10.1038/s41467-024-52259-9.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Model:
    """A node with neurons.

    Parameters
    ----------
    equations : str
        What changes with time; NIR's symbols are its own.
    parameters : mapping of str to str
        The node's arrays, and their units.
    receives : str
        The symbol of what reaches a neuron.
    sends : str, optional
        The variable that is sent on where neurons do not spike.
    threshold : str, optional
        When they spike.
    reset : str, optional
        What happens then.
    """

    equations: str
    parameters: Mapping[str, str]
    receives: str
    sends: str | None = None
    threshold: str | None = None
    reset: str | None = None


_LEAK = {"tau": "second", "r": "1", "v_leak": "1"}
_CUBA = {"tau_syn": "second", "tau_mem": "second", "r": "1", "v_leak": "1", "w_in": "1"}
_SPIKE = {"v_threshold": "1", "v_reset": "1"}
_ABOVE, _RESET = "v > v_threshold", "v = v_reset"
_LEAKY = "dv/dt = (v_leak - v + r*I)/tau : 1"
_CURRENT = """dI/dt = (-I + w_in*S)/tau_syn : 1
dv/dt = (v_leak - v + r*I)/tau_mem : 1"""

MODELS: dict[str, Model] = {
    "I": Model("dv/dt = r*I : 1", {"r": "hertz"}, "I", "v"),
    "IF": Model("dv/dt = r*I : 1", {"r": "hertz", **_SPIKE}, "I", None, _ABOVE, _RESET),
    "LI": Model(_LEAKY, _LEAK, "I", "v"),
    "LIF": Model(_LEAKY, {**_LEAK, **_SPIKE}, "I", None, _ABOVE, _RESET),
    "CubaLI": Model(_CURRENT, _CUBA, "S", "v"),
    "CubaLIF": Model(_CURRENT, {**_CUBA, **_SPIKE}, "S", None, _ABOVE, _RESET),
    "Threshold": Model("", {"threshold": "1"}, "I", None, "I > threshold", ""),
}
