"""A training step by each learning rule, on one network that suits all of them.

Prints milliseconds an example on the CPU: medians of rounds in which the rules take turns, the
ratio to e-prop, and the hidden neurons' rate. ``--hidden 256 --steps 1000`` and so on change the
shape, which is that of the Heidelberg digits: 700 inputs, 20 classes, 8 input spikes a step.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

import brian2 as b2
from network import Step, milliseconds
from workload import Workload

import brian2eprop as b2e

RULES = {
    "e-prop": b2e.EProp(),
    "surrogate BPTT": b2e.SurrogateBPTT(),
    "EventProp": b2e.EventProp(),
}
# The hidden neurons' current is larger than a membrane's jump by the ratio of time constants.
SCALE = {"w_in": 4.0, "w_rec": 1.0, "w_out": 4.0}


def make_trainer(work: Workload, rule: Any) -> b2e.Trainer:
    """A recurrent network whose synapses add to currents, and a rule that trains it."""
    b2.set_device("eprop_cuda", backend="cpu", precision="float32")
    b2.start_scope()
    b2.defaultclock.dt = work.dt * b2.second
    equations = "dv/dt = (I - v)/tau : 1\ndI/dt = -I/(5*ms) : 1"
    options = {"method": "exact", "namespace": {"tau": work.tau * b2.second}}
    inputs = b2e.SpikeSource(work.inputs, name="inputs")
    hidden = b2.NeuronGroup(
        work.hidden, equations, threshold="v > 1", reset="v = 0", name="hidden", **options
    )
    readout = b2.NeuronGroup(work.outputs, equations, name="readout", **options)
    synapses = []
    for name, source, target in (
        ("w_in", inputs, hidden),
        ("w_rec", hidden, hidden),
        ("w_out", hidden, readout),
    ):
        made = b2.Synapses(source, target, "w : 1", on_pre="I_post += w", name=name)
        made.connect()
        made.w = SCALE[name] * work.weights()[name][made.i[:], made.j[:]]
        synapses.append(made)
    return b2e.Trainer(
        b2.Network(inputs, hidden, readout, *synapses),
        output=readout.v,
        loss=b2e.CrossEntropy(),
        rule=rule,
        parameters=[each.w for each in synapses],
        optimiser=b2e.Adam(work.learning_rate),
        seed=work.seed,
    )


def main() -> None:
    """Time the rules in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    work = Workload(hidden=given.hidden, steps=given.steps, density=8 / 700)
    steps = {name: Step.of(work, make_trainer(work, rule)) for name, rule in RULES.items()}
    rate = next(iter(steps.values())).first()["rate"]
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(given.rounds):
        for name, step in steps.items():
            times[name].append(milliseconds(step.whole, 3) / work.batch)
    base = statistics.median(times["e-prop"])
    print(f"700-{given.hidden}-20, {given.steps} steps, batch 32, rate {100 * rate:.1f} % a step")
    print("rule | ms an example | by e-prop's")
    for name, found in times.items():
        median = statistics.median(found)
        print(f"{name} | {median:.3f} | {median / base:.2f}")


if __name__ == "__main__":
    main()
