"""A network that grows until its neurons are as active as they are meant to be.

After Butz and van Ooyen (2013), A simple rule for dendritic spine and axonal bouton formation can
account for cortical reorganization after focal retinal lesions, PLoS Computational Biology
9(10):e1003259, doi:10.1371/journal.pcbi.1003259. Each neuron has a calcium trace of its own
spikes. Its axonal and dendritic elements grow by a Gaussian of the calcium between a least level
and the target, and retract outside; vacant elements find each other at random, and synapses whose
elements are gone are taken away. Halfway through the run a third of the neurons lose input.

What is simplified: neurons are excitatory leaky integrate-and-fire neurons with noise, without
the paper's layout in space; a pair has one synapse at most; vacant elements meet by mass action,
with a probability in proportion to both neurons' vacancies; and growth, ten thousand times slower
in the paper, is sped up.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2 import (
    Network,
    NeuronGroup,
    StateMonitor,
    Synapses,
    defaultclock,
    ms,
    second,
    set_device,
)

import brian2eprop as b2e

Values = npt.NDArray[Any]

# Calcium per spike and its decay: at TARGET neurons spike at TARGET/(RISE*DECAY) = 10 Hz.
RISE, DECAY, TARGET, LEAST = 0.1, 1 * second, 1.0, 0.1
RATE = 10.0
RUNS = 20

CELLS = """dv/dt = (drive - v)/(20*ms) + 0.35*sqrt(2/(20*ms))*xi : 1
           drive : 1
           dcalcium/dt = -calcium/decay : 1
           width = (target - least)/(2*sqrt(log(2))) : 1
           growth = 2*exp(-((calcium - (target + least)/2)/width)**2) - 1 : 1
           daxonal/dt = growth/(2*second) : 1
           ddendritic/dt = growth/(2*second) : 1"""
# Of the synapses of a neuron, as many go as it has more than elements.
ELIMINATE = """rand() > clip(axonal_pre/N_outgoing, 0, 1)*clip(dendritic_post/N_incoming, 0, 1)"""
FORM = """clip(clip(axonal_pre - N_outgoing, 0, inf)*clip(dendritic_post - N_incoming, 0, inf)
          *meeting, 0, 1)"""


@dataclass
class Result:
    """What became of the network.

    Parameters
    ----------
    times : array, shape (samples,)
        Times of the samples in seconds.
    calcium, axonal : array, shape (samples, neurons)
        Each neuron's calcium and axonal elements.
    synapses : array, shape (samples,)
        Numbers of synapses.
    lesioned : array, shape (neurons,)
        Which neurons lose their input halfway.
    """

    times: Values
    calcium: Values
    axonal: Values
    synapses: Values
    lesioned: Values


def simulate(n: int, duration: float, backend: str = "auto", seed: int = 1) -> Result:
    """A network of ``n`` neurons that begins with almost no synapses.

    Parameters
    ----------
    n : int
        Number of neurons.
    duration : float
        How long, in seconds; after half of it a third of the neurons lose their input.
    backend : str
        Where it runs.
    seed : int
        Seed of all random numbers.
    """
    set_device("eprop_cuda", backend=backend, seed=seed)
    defaultclock.dt = 1 * ms
    names = {"decay": DECAY, "target": TARGET, "least": LEAST, "rise": RISE, "meeting": 1 / n}
    cells = NeuronGroup(
        n, CELLS, threshold="v > 1", reset="v = 0; calcium += rise", refractory=2 * ms,
        method="euler", namespace=names, name="cells",
    )  # fmt: skip
    cells.drive, cells.calcium = 0.5, 0.3
    synapses = Synapses(
        cells, cells, "w : 1", on_pre="v_post += w", delay=2 * ms, namespace=names, name="synapses"
    )
    synapses.connect(i=np.arange(n), j=np.roll(np.arange(n), 1))
    synapses.w = 0.06
    rule = b2e.Rewire(ELIMINATE, form=FORM, initial={"w": "0.06"}, allowed="i != j", keep="none")
    b2e.rewire(synapses, rule, dt=100 * ms)
    monitor = StateMonitor(cells, ("calcium", "axonal"), record=True, dt=100 * ms)
    network, number, lesioned = Network(cells, synapses, monitor), [], np.arange(n) < n / 3
    for run in range(RUNS):
        if run == RUNS // 2:
            cells.drive[: lesioned.sum()] = 0.2
        network.run(duration / RUNS * second, namespace=names)
        number.append(len(synapses))
    every = slice(len(monitor.t) // RUNS - 1, None, len(monitor.t) // RUNS)
    return Result(
        np.array(monitor.t / second)[every],
        np.array(monitor.calcium).T[every],
        np.array(monitor.axonal).T[every],
        np.array(number),
        lesioned,
    )


def main(n: int, seconds: float) -> None:
    """Run it, print rates and numbers of synapses, and draw how they come about."""
    from matplotlib import pyplot as plt

    found = simulate(n, seconds)
    figure, (above, below) = plt.subplots(2, 1, figsize=(7, 5), sharex=True)
    for name, which in (("lesioned", found.lesioned), ("others", ~found.lesioned)):
        rate = found.calcium[:, which] / (RISE * float(DECAY / second))
        above.plot(found.times, rate.mean(axis=1), label=name)
        for when, at in (("at first", 0), ("before the lesion", len(rate) // 2 - 1), ("last", -1)):
            print(f"{name}, {when}: {rate[at].mean():.1f} Hz")
    above.axhline(RATE, color="grey", linestyle=":")
    above.set(ylabel="rate (Hz)")
    above.legend()
    below.plot(found.times, found.synapses)
    below.set(xlabel="time (s)", ylabel="synapses")
    print(f"synapses: {found.synapses[len(found.synapses) // 2 - 1]}, last {found.synapses[-1]}")
    figure.tight_layout()
    figure.savefig("homeostatic_rewiring.png", dpi=150)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--neurons", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=120.0)
    arguments = parser.parse_args()
    main(arguments.neurons, arguments.seconds)
