"""What is added to the loss beside what the output says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from brian2.units import Hz, Quantity

from brian2eprop.learning.model.scope import Scope
from brian2eprop.number_checks import in_unit, number


@dataclass(frozen=True)
class CountedSpikes:
    """What a regulariser knows of a neuron, as names in the body it writes for.

    Attributes
    ----------
    count, elapsed : str
        The neuron's spikes, and the number of steps that they are from: those of the trial, or,
        where they are asked for within it, those so far.
    steps : str
        The trial's number of steps.
    dt : float
        Length of a step in seconds.
    """

    count: str
    elapsed: str
    steps: str
    dt: float


@runtime_checkable
class Regulariser(Protocol):
    """A term of the loss that depends on how often neurons spike."""

    def terms(self, scope: Scope, spikes: CountedSpikes) -> list[str]:
        """The term's derivative by any one spike of a neuron, as a sum.

        Parameters
        ----------
        scope : Scope
            The body that the terms are for; what else they need is bound there.
        spikes : CountedSpikes
            What is known of the neuron.
        """
        ...


@dataclass(frozen=True)
class FiringRate:
    r"""Pull every spiking neuron's rate towards a target.

    .. math:: E_\text{reg} = \frac{c}{2} \sum_j (f_j - f^*)^2

    with :math:`f_j` the spikes of neuron j in a trial by the trial's number of steps, and
    :math:`f^*` the target in spikes a step.

    Parameters
    ----------
    target : Quantity
        Target rate (Hz).
    strength : float
        :math:`c` (dimensionless).

    References
    ----------
    Bellec et al. 2020, Nature Communications 11:3625, "firing rate regularization".
    """

    target: Quantity = field(default_factory=lambda: 10 * Hz)
    strength: float = 1.0

    def __post_init__(self) -> None:
        if in_unit("FiringRate's target", self.target, Hz, "a rate", "10*Hz") < 0:
            raise ValueError(f"FiringRate's target is {self.target}. Give a rate of zero or more.")
        number("FiringRate", "strength", self.strength)

    def terms(self, scope: Scope, spikes: CountedSpikes) -> list[str]:
        """See :class:`Regulariser`."""
        strength = scope.define("rate_strength", float(self.strength))
        target = scope.define("rate_target", float(self.target) * spikes.dt)
        return [f"{strength}/{spikes.steps}*({spikes.count}/{spikes.elapsed} - {target})"]
