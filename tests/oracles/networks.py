"""What the references of this folder are told and what they give back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Pathway:
    """Synapses from one population to another.

    Parameters
    ----------
    weights : float array, shape (sources, targets)
        Weight of every pair; zero where there is no synapse.
    delay : int
        Delay in steps.
    exists : bool array, shape (sources, targets), optional
        Which pairs have a synapse; all, if left out.
    """

    weights: Floats
    delay: int = 1
    exists: Bools | None = None

    @property
    def mask(self) -> Bools:
        """Which pairs have a synapse."""
        return np.ones(self.weights.shape, bool) if self.exists is None else self.exists


@dataclass(frozen=True)
class Hidden:
    """Spiking neurons with a membrane ``v``, an adaptation ``a`` and, perhaps, a current ``I``.

    Parameters
    ----------
    tau_m : float array, shape (neurons,)
        Membrane time constants in seconds.
    v_th, gamma : float
        Threshold, and height of the pseudo-derivative times ``width``.
    width : float, optional
        Half-width of the pseudo-derivative; ``v_th`` if left out.
    beta : float array, shape (neurons,), optional
        Strength of the adaptation, ``a``'s part of the threshold; none if left out.
    tau_a : float
        Time constant of the adaptation in seconds.
    tau_syn : float, optional
        Time constant in seconds of a synaptic current, which then takes the input.
    refractory : int, optional
        Refractory period in steps.
    frozen : bool
        Whether ``v`` is declared ``(unless refractory)``.
    hard_reset : bool
        Whether a spike sets ``v`` to 0, in place of ``v -= v_th``.
    """

    tau_m: Floats
    v_th: float = 1.0
    gamma: float = 0.3
    width: float | None = None
    beta: Floats | None = None
    tau_a: float = 0.05
    tau_syn: float | None = None
    refractory: int | None = None
    frozen: bool = True
    hard_reset: bool = False

    @property
    def halts(self) -> bool:
        """Whether ``v`` stands still while a neuron is refractory."""
        return self.refractory is not None and self.frozen


@dataclass(frozen=True)
class Model:
    """A recurrent network with a readout without spikes.

    Parameters
    ----------
    w_in, w_rec, w_out : Pathway
        Onto the hidden neurons, among them, and onto the readout.
    hidden : Hidden
        The spiking neurons.
    bias : float array, shape (outputs,)
        The readout's ``b`` in ``dy/dt = (b - y)/tau_out``.
    tau_out : float
        Time constant of the readout in seconds.
    feedback : float array, shape (neurons, outputs), optional
        Weights of the learning signal; those of ``w_out`` if left out.
    dt : float
        Step in seconds.
    """

    w_in: Pathway
    w_rec: Pathway
    w_out: Pathway
    hidden: Hidden
    bias: Floats
    tau_out: float = 0.02
    feedback: Floats | None = None
    dt: float = 0.001


@dataclass(frozen=True)
class Goal:
    """What the readout should do in the learning window ``start <= step < stop``.

    Parameters
    ----------
    start, stop : int
        The window, in steps.
    label : int, optional
        The class: cross-entropy of the softmax, averaged over the window.
    values : float array, shape (steps, outputs), optional
        The values: half the squared error, summed over outputs, averaged over the window.
    strength, rate : float
        A further term of the loss, ``strength/2 * sum((f - rate)**2)``, with ``f`` the spikes of
        each hidden neuron by the number of all steps.
    """

    start: int
    stop: int
    label: int | None = None
    values: Floats | None = None
    strength: float = 0.0
    rate: float = 0.0


@dataclass(frozen=True)
class Gradients:
    """Derivatives of the loss, with what the network did.

    ``w_in``, ``w_rec``, ``w_out`` have the shapes of the weights, 0 where there is no synapse;
    ``bias`` has shape (outputs,), ``spikes`` (steps, neurons) and ``readout`` (steps, outputs).
    ``loss`` is that of the readout alone.
    """

    w_in: Floats
    w_rec: Floats
    w_out: Floats
    bias: Floats
    spikes: Bools
    readout: Floats
    loss: float
