"""A topographic map refined by rewiring and spike-timing-dependent plasticity.

After Bamford, Murray and Willshaw (2010), Synaptic rewiring for topographic mapping and receptive
field development, Neural Networks 23(4):517-527. As there, synapses of low weight are taken away
far more readily than strong ones, and others are formed with a probability that falls with the
distance as a Gaussian does, while a localised stimulus wanders and STDP moves the weights.

What is simplified: both layers are rings of neurons, not grids; there are feedforward synapses
only; all of a rewiring is done at once every 10 ms, with as many synapses formed as are
eliminated, rather than place by place; a pair of neurons has one synapse at most, and nothing
limits how many a neuron has; the numbers are this script's own.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2 import Hz, Network, NeuronGroup, Synapses, defaultclock, ms, second, set_device

import brian2eprop as b2e

Values = npt.NDArray[Any]

INPUTS = """rate = 2*Hz + peak*exp(-ring**2/(2*width**2)) : Hz
            ring = N/2.0 - abs(N/2.0 - abs(i - centre)) : 1
            centre : 1 (shared)"""
OUTPUTS = "dv/dt = -v/(20*ms) : 1"
PLASTIC = """w : 1
             dbefore/dt = -before/(20*ms) : 1 (event-driven)
             dbehind/dt = -behind/(20*ms) : 1 (event-driven)"""
ELIMINATE = "rand() < strong + (weak - strong)*int(w < 0.5)"
FORM = "exp(-(N_pre/2.0 - abs(N_pre/2.0 - abs(i - j)))**2/(2*sigma**2))"


@dataclass
class Result:
    """The map before and after.

    Parameters
    ----------
    before, after : array, shape (neurons, neurons)
        The weights by source and target; NaN where there is no synapse.
    """

    before: Values
    after: Values


def distances(matrix: Values) -> Values:
    """How far apart on the ring the neurons of each synapse are."""
    i, j = np.nonzero(~np.isnan(matrix))
    apart = np.abs(i - j)
    return np.asarray(np.minimum(apart, len(matrix) - apart))


def simulate(n: int, duration: Any, stdp: bool = True, backend: str = "auto") -> Result:
    """The map of ``n`` neurons onto ``n``, at first connected anywhere.

    Parameters
    ----------
    n : int
        Number of neurons of each layer.
    duration : Quantity
        How long.
    stdp : bool
        Whether the weights change; else all stay weak.
    backend : str
        Where it runs.
    """
    set_device("eprop_cuda", backend=backend, seed=1)
    defaultclock.dt = 0.5 * ms
    names = {
        "peak": 150 * Hz, "width": n / 16, "sigma": n / 20, "weak": 0.02, "strong": 1e-4,
        "rise": 0.05 * stdp, "fall": 0.055 * stdp,
    }  # fmt: skip
    inputs = NeuronGroup(n, INPUTS, threshold="rand() < rate*dt", namespace=names, name="inputs")
    inputs.run_regularly("centre = int(N*rand())", dt=20 * ms)
    outputs = NeuronGroup(n, OUTPUTS, threshold="v > 1", reset="v = 0", method="exact")
    synapses = Synapses(
        inputs,
        outputs,
        PLASTIC,
        on_pre="v_post += 0.3*w; before += rise; w = clip(w - behind, 0, 1)",
        on_post="behind += fall; w = clip(w + before, 0, 1)",
        namespace=names,
        name="synapses",
    )
    synapses.connect(p=0.15)
    synapses.w = 0.45
    rule = b2e.Rewire(ELIMINATE, form=FORM, initial={"w": "0.45"})
    b2e.rewire(synapses, rule, dt=10 * ms)
    network = Network(inputs, outputs, synapses)
    before = weights(synapses, n)
    network.run(duration, namespace=names)
    return Result(before, weights(synapses, n))


def weights(synapses: Synapses, n: int) -> Values:
    """The weights by source and target; NaN where there is no synapse."""
    found = np.full((n, n), np.nan)
    found[synapses.i[:], synapses.j[:]] = synapses.w[:]
    return found


def main(n: int, seconds: float) -> None:
    """Run it, print how far synapses reach, and draw the map."""
    from matplotlib import pyplot as plt

    result = simulate(n, seconds * second)
    figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
    for ax, name in zip(axes, ("before", "after"), strict=True):
        matrix = getattr(result, name)
        reach = distances(matrix)
        print(f"{name}: {len(reach)} synapses, mean distance {reach.mean():.2f} neurons")
        image = ax.imshow(matrix.T, origin="lower", vmin=0, vmax=1)
        ax.set(title=name, xlabel="input neuron", ylabel="output neuron")
    figure.colorbar(image, ax=axes, label="weight")
    figure.savefig("topographic_map.png", dpi=150)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--neurons", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    main(arguments.neurons, arguments.seconds)
