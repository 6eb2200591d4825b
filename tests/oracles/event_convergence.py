"""python -m tests.oracles.event_convergence: how EventProp's error on a grid falls with dt.

Prints the median over random networks, relative to central differences of solutions with spikes
at their exact times, and the slope of its logarithm; with a file name, draws it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

import brian2eprop as b2e
from tests.oracles import event_exact
from tests.oracles.event_models import MODELS, by_key, network, samples, trainer_of

KEYS = ("w_in", "w_rec", "w_out")
DELAYS = ("w_in.delay", "w_rec.delay", "w_out.delay")
LONGEST = 4.0  # of delays that are trained, in ms
STEPS = (0.2, 0.1, 0.05, 0.025, 0.0125)
NETWORKS = 20


def errors(
    name: str,
    seed: int,
    steps: tuple[float, ...],
    backend: str = "cpu",
    change: Callable[[event_exact.Net], event_exact.Net] = lambda net: net,
    keys: tuple[str, ...] = KEYS,
) -> list[float]:
    """Errors of the compiled gradient, relative to the exact one, along a random direction.

    One direction in all parameters at once, so that a difference costs two solutions.
    """
    neurons = MODELS[name]
    net = change(network(neurons, seed))
    rng = np.random.default_rng(seed)
    direction = dict(event_exact.directions(net, keys, rng))
    expected = event_exact.slope(net, direction)
    found = []
    for dt in steps:
        longest = LONGEST if set(keys) & set(DELAYS) else None
        trainer = trainer_of(neurons, net, b2e.EventProp(), backend, dt, longest=longest)
        values = by_key(net, trainer.gradients(*samples(net, dt)))
        along = sum((values[key] * step).sum() for key, step in direction.items())
        found.append(abs(along - expected) / abs(expected))
    return found


def main() -> None:
    """The table, and perhaps the figure."""
    found = {}
    print(f"median of {NETWORKS} networks, dt in ms:", *STEPS, "slope", sep=" | ")
    for name in ("LIF, hard reset", "ALIF", "alpha synapse", "conductance"):
        for by, keys in (("weights", KEYS), ("delays", DELAYS)):
            each = [errors(name, seed, STEPS, keys=keys) for seed in range(100, 100 + NETWORKS)]
            median = np.nanmedian(each, axis=0)
            slope = np.polyfit(np.log(STEPS), np.log(median), 1)[0]
            row = (f"{error:.4f}" for error in median)
            print(f"{name}, by {by}", *row, f"{slope:.2f}", sep=" | ")
            found[name, by] = median
    if len(sys.argv) > 1:
        draw(found, sys.argv[1])


def draw(found: dict[tuple[str, str], np.ndarray], file: str) -> None:
    """The errors against dt, by weights and by delays."""
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(9, 3.5), sharey=True, layout="constrained")
    for axes, by in zip(panels, ("weights", "delays"), strict=True):
        for (name, kind), median in found.items():
            if kind == by:
                axes.loglog(STEPS, median, "o-", label=name)
        axes.loglog(STEPS, np.array(STEPS) / STEPS[0], "k:", label="proportional to dt")
        axes.set(xlabel="dt (ms)", title=f"by {by}")
        axes.set_xticks(STEPS, labels=[str(dt) for dt in STEPS])
        axes.set_xticks([], minor=True)
    panels[0].set(ylabel="relative error of the gradient (median)")
    panels[1].legend(frameon=False, loc="lower right", fontsize="small")
    figure.savefig(file, dpi=150)


if __name__ == "__main__":
    main()
