"""What is added to the loss beside what the output says."""

from __future__ import annotations

from dataclasses import dataclass, field

from brian2.units import Hz, Quantity
from brian2.units.fundamentalunits import fail_for_dimension_mismatch


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
        fail_for_dimension_mismatch(
            self.target, Hz, "The target of FiringRate must be a rate; write it as 10*Hz."
        )
        if not (float(self.target) >= 0 and float(self.strength) >= 0):
            raise ValueError(
                f"FiringRate takes a target and a strength of zero or more, not {self.target} "
                f"and {self.strength}."
            )
