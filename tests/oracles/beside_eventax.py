"""python -m tests.oracles.beside_eventax PYTHON: EventProp beside eventax, on one network.

PYTHON is an interpreter that has eventax. Prints the largest differences from eventax's gradients,
relative to the largest of each kind: of the derivation without a grid, and of the compiled rule.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

import brian2eprop as b2e
from tests.oracles import event_adjoint, event_exact
from tests.oracles.event_convergence import LONGEST
from tests.oracles.event_models import (
    MODELS,
    N_IN,
    by_key,
    judged_by_spikes,
    network,
    samples,
    trainer_of,
)

STEPS = (0.1, 0.05, 0.025, 0.0125)
NEURONS = MODELS["LIF, hard reset"]


def with_distinct_delays(net: event_exact.Net) -> event_exact.Net:
    """No two spikes arrive at once: between such eventax has no derivative."""
    rng = np.random.default_rng(2)
    synapses = {
        name: replace(found, delays=rng.uniform(0.3, 3.0, found.delays.shape))
        for name, found in net.synapses.items()
    }
    return replace(net, synapses=synapses)


def asked(net: event_exact.Net) -> dict[str, Any]:
    """The network in the words of :mod:`tests.oracles.eventax_gradients`."""
    first = net.first
    assert first is not None
    rows = [[time for time, neuron in net.inputs if neuron == n] for n in range(N_IN)]
    longest = max(map(len, rows))
    both = [net.synapses["w_rec"], net.synapses["w_in"]]
    return {
        "weights": np.concatenate([synapses.weights for synapses in both]),
        "delays": np.concatenate([synapses.delays for synapses in both]),
        "tau": net.populations["hidden"].own["tau"],
        "tau_s": 5.0,
        "inputs": np.array([row + [np.inf] * (longest - len(row)) for row in rows]),
        "duration": net.duration,
        "events": 128,
        "softmax": first.tau,
        "label": first.label,
        "alpha": first.alpha,
        "late": first.late,
    }


def by_kind(gradients: Mapping[str, Any]) -> dict[str, Any]:
    """Our gradients, as eventax has them."""
    return {
        "weights": np.concatenate([gradients["w_rec"], gradients["w_in"]]),
        "delays": np.concatenate([gradients["w_rec.delay"], gradients["w_in.delay"]]),
        "tau": gradients["hidden.tau"],
    }


def main() -> None:
    """The table."""
    net = with_distinct_delays(judged_by_spikes(network(NEURONS, seed=1)))
    done = subprocess.run(
        [sys.argv[1], "-m", "tests.oracles.eventax_gradients"],
        input=pickle.dumps(asked(net)),
        stdout=subprocess.PIPE,
        check=True,
    )
    theirs = pickle.loads(done.stdout)
    trainer_of(NEURONS, net, event_adjoint.Watched(), "reference", 0.1)
    ours = {"no grid": by_kind(event_adjoint.gradients(event_adjoint.Watched.seen[0], net))}
    for dt in STEPS:
        trainer = trainer_of(NEURONS, net, b2e.EventProp(), "cpu", dt, longest=LONGEST)
        ours[f"dt {dt} ms"] = by_kind(by_key(net, trainer.gradients(*samples(net, dt))))
    run = event_exact.Run(net)
    print("first spikes differ by", f"{np.abs(theirs['times'] - run.first_times).max():.1e} ms")
    print("difference from eventax", *ours["no grid"], sep=" | ")
    for name, found in ours.items():
        each = (np.abs(found[k] - theirs[k]).max() / np.abs(theirs[k]).max() for k in found)
        print(name, *(f"{value:.1e}" for value in each), sep=" | ")


if __name__ == "__main__":
    main()
