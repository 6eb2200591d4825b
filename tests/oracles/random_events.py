"""python -m tests.oracles.random_events: EventProp's derivation on networks from the grammar.

Without a grid: what the package derives, in a solution with spikes at their exact times, against
central differences of such solutions, by weights, by delays, by time constants and by all other
parameters of neurons. Prints the largest errors, relative to the largest derivative.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import brian2
import numpy as np

from tests.oracles import event_adjoint, event_exact, in_brian2
from tests.oracles.grammar import Choices, each, systems
from tests.oracles.systems import INPUTS, OUTPUT, READOUT, Floats, System, is_time

# Central differences of step 1e-6 of a loss that is known to 1e-12 and has kinks, where a spike
# arrives as another neuron comes to its threshold.
TOLERANCE = 1e-6


def without_grid(system: System) -> event_exact.Net:
    """The system in continuous time: its input comes when steps end, its delays are no steps."""
    rng = np.random.default_rng(0)
    populations = {
        name: event_exact.Population(
            group.size,
            group.flows,
            {**group.own, **group.fixed},
            group.distance or None,
            tuple((x, f"{text} + 0*v") for x, text in group.reset),
        )
        for name, group in system.populations.items()
    }
    synapses = {}
    for name, found in system.synapses.items():
        sources = system.sent.shape[1] if found.source == INPUTS else populations[found.source].size
        shape = sources, populations[found.target].size
        delays = system.dt * (found.delays + rng.uniform(0.3, 0.8, len(found.delays)))
        synapses[name] = event_exact.Synapses(
            found.source,
            found.target,
            found.variable,
            found.weights.reshape(shape),
            delays.reshape(shape),
        )
    sent = [((step + 1) * system.dt, int(i)) for step, i in np.argwhere(system.sent)]
    end = (len(system.sent) + 1) * system.dt
    return event_exact.Net(populations, synapses, tuple(sent), (READOUT, OUTPUT), 0.3, end)


def kinds(net: event_exact.Net, system: System) -> dict[str, list[str]]:
    """The parameters, by what they are."""
    own = [
        f"{group}.{name}"
        for group, found in net.populations.items()
        for name in found.own
        if name in system.populations[group].own
    ]
    return {
        "weights": list(net.synapses),
        "delays": [f"{name}.delay" for name in net.synapses],
        "time constants": [key for key in own if is_time(key)],
        "other parameters": [key for key in own if not is_time(key)],
    }


def directions(keys: list[str], net: event_exact.Net) -> dict[str, Floats]:
    """A random direction in all of them at once."""
    return dict(event_exact.directions(net, tuple(keys), np.random.default_rng(1)))


def errors(system: System) -> dict[str, float]:
    """The derived gradients' errors; NaN where a spike comes or goes on the way."""
    net = without_grid(system)
    brian2.start_scope()
    in_brian2.trainer_of(system, event_adjoint.Watched(), "reference")
    found = event_adjoint.gradients(event_adjoint.Watched.seen[0], net)
    scale = max(np.abs(values).max() for values in found.values())
    errors = {}
    for kind, keys in kinds(net, system).items():
        if keys:
            direction = directions(keys, net)
            along = sum(float((found[key] * step).sum()) for key, step in direction.items())
            errors[kind] = abs(along - event_exact.slope(net, direction)) / scale
    return errors


def spikes(system: System) -> int:
    """The number of spikes, none where an equation has no solution."""
    try:
        return len(event_exact.Run(without_grid(system)).spikes)
    except ValueError:
        return 0


def each_system(count: int, start: int, do: Callable[[System], None]) -> None:
    """Do something with so many systems that EventProp follows and that spike."""
    each(systems(Choices(smooth=True)), lambda system: 2 < spikes(system) < 60, count, start, do)


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--systems", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    found: dict[str, list[float]] = {}
    seen = [0]

    def do(system: System) -> None:
        seen[0] += 1
        for kind, value in errors(system).items():
            print(seen[0], kind, f"{value:.1e}", sep=" | ", flush=True)
            if value > TOLERANCE:
                print(f"by {kind} off by {value:.1e}: {system}", flush=True)
            if not math.isnan(value):
                found.setdefault(kind, []).append(value)

    each_system(given.systems, given.seed, do)
    print(f"{seen[0]} systems", "compared", "largest error", sep=" | ")
    for kind, values in found.items():
        print(kind, len(values), f"{max(values):.1e}", sep=" | ")
    if max(map(max, found.values())) > TOLERANCE:
        raise SystemExit(f"An error is larger than {TOLERANCE}.")


if __name__ == "__main__":
    main()
