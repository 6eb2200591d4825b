"""A training step by each learning rule, on one network that suits all of them.

Prints milliseconds an example on the CPU: medians of rounds in which the rules take turns, the
ratio to e-prop, and the hidden neurons' rate. ``--hidden 256 --steps 1000`` and so on change the
shape, which is that of the Heidelberg digits: 700 inputs, 20 classes, 8 input spikes a step.

Beside them, on the same network, braintrace's e-prop, by an interpreter that has it (``make
braintrace``, or ``--braintrace``); if there is none it is left out. ``--other-batch`` is its batch.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
from pathlib import Path
from typing import Any

import brian2 as b2
from network import Step, milliseconds
from others import Rules, weights_of
from workload import Workload

import brian2eprop as b2e

RULES = {
    "e-prop": b2e.EProp(),
    "surrogate BPTT": b2e.SurrogateBPTT(),
    "EventProp": b2e.EventProp(),
}
BENCHMARKS = Path(__file__).parent
BRAINTRACE = BENCHMARKS.parent / ".venv-braintrace" / "bin" / "python"


def make_trainer(work: Workload, rule: Any) -> b2e.Trainer:
    """A recurrent network whose synapses add to currents, and a rule that trains it."""
    b2.set_device("eprop_cuda", backend="cpu", precision="float32")
    b2.start_scope()
    b2.defaultclock.dt = work.dt * b2.second
    equations = "dv/dt = (I - v)/tau : 1\ndI/dt = -I/tau_syn : 1"
    namespace = {"tau": work.tau * b2.second, "tau_syn": Rules.tau_synapse_ms * b2.ms}
    options = {"method": "exact", "namespace": namespace}
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
        made.w = weights_of(work)[name][made.i[:], made.j[:]]
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


def by_braintrace(given: argparse.Namespace) -> float:
    """Milliseconds an example by braintrace."""
    options = ["--hidden", given.hidden, "--steps", given.steps, "--batch", given.other_batch]
    command = [given.braintrace, BENCHMARKS / "braintrace_step.py", *map(str, options)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: float = json.loads(done.stdout.splitlines()[-1])["ms"]
    return found / given.other_batch


def parsed() -> argparse.Namespace:
    """The arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--other-batch", type=int, default=32)
    parser.add_argument("--braintrace", type=Path, default=BRAINTRACE, help="its interpreter")
    return parser.parse_args()


def main() -> None:
    """Time the rules in turns, then braintrace."""
    given = parsed()
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
    if given.braintrace.exists():
        ms = by_braintrace(given)
        print(f"e-prop of braintrace | {ms:.3f} | {ms / base:.2f}")


if __name__ == "__main__":
    main()
