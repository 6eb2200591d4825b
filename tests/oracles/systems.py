"""Networks of spiking neurons as texts and numbers: what oracles of all kinds are given.

Nothing here knows Brian2, JAX or the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
INPUTS, READOUT, OUTPUT = "inputs", "readout", "y"


def is_time(parameter: str) -> bool:
    """Whether a parameter is a time: in ms for the oracles, in seconds for Brian2."""
    return parameter.rpartition(".")[2].startswith("tau")


@dataclass(frozen=True)
class Population:
    """Neurons, with their equations by ms.

    Attributes
    ----------
    flows : mapping of str to str
        dx/dt of every state variable; names that begin with ``tau`` are times in ms.
    method : str
        How Brian2 integrates them.
    own, fixed : mapping of str to float array, shape (size,)
        Parameters that are trained, and others.
    threshold, distance : str
        The spike condition, and what is positive where it holds. Without them nothing spikes.
    reset : tuple of (str, str)
        Assignments, in order.
    refractory : int
        Refractory period in steps.
    frozen : tuple of str
        What is declared ``(unless refractory)``.
    """

    size: int
    flows: Mapping[str, str]
    method: str
    own: Mapping[str, Floats] = field(default_factory=dict)
    fixed: Mapping[str, Floats] = field(default_factory=dict)
    threshold: str = ""
    distance: str = ""
    reset: tuple[tuple[str, str], ...] = ()
    refractory: int = 0
    frozen: tuple[str, ...] = ()


@dataclass(frozen=True)
class Synapses:
    """Synapses from ``i`` to ``j``, each with a weight and a delay in steps.

    A spike adds ``adds``, in the weight ``w`` and the fixed values of both sides, to a variable of
    the target. ``together`` is whether the one delay of all is given as such.
    """

    source: str
    target: str
    variable: str
    i: npt.NDArray[np.int64]
    j: npt.NDArray[np.int64]
    weights: Floats
    delays: npt.NDArray[np.int64]
    adds: str = "w"
    together: bool = True


@dataclass(frozen=True)
class System:
    """A network that is judged by what its readout does.

    Attributes
    ----------
    populations : mapping of str to Population
        With the readout, whose variable ``y`` is the output.
    surrogate, width
        Name of the pseudo-derivative, and its width; by default a share of the distance to the
        threshold at rest.
    dt : float
        Step in ms.
    sent : bool array, shape (steps, inputs)
        Input spikes.
    target : float array, shape (steps, outputs)
        Where the output should be.
    """

    populations: Mapping[str, Population]
    synapses: Mapping[str, Synapses]
    sent: npt.NDArray[np.bool_]
    target: Floats
    surrogate: str = "Triangular"
    width: float | None = None
    dt: float = 1.0

    @property
    def parameters(self) -> dict[str, Floats]:
        """All that is trained, by ``<synapses>`` and ``<population>.<name>``."""
        found = {name: synapses.weights for name, synapses in self.synapses.items()}
        for group, population in self.populations.items():
            found |= {f"{group}.{name}": values for name, values in population.own.items()}
        return found

    def spiking(self) -> list[str]:
        """The populations with a threshold."""
        return [name for name, population in self.populations.items() if population.distance]
