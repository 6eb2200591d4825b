"""Spoken digits by speakers that were never heard before: three rules on networks of one size.

``--data`` names the folder of the Free Spoken Digits. Each recording is heard by an inner ear with
700 channels; that takes seconds for a second of sound, so ``--heard FOLDER`` keeps it. The test
speaker is each of the six in turn, the next one validates, the other four train. ``--kept FOLDER``
keeps checkpoints and results: what is there is gone on from.

All networks are recurrent, their synapses add to currents, and a recording lasts a second. E-prop
trains adaptive neurons, EventProp and surrogate backpropagation leaky ones without adaptation.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import Hz, Network, NeuronGroup, Synapses, defaultclock, ms, set_device, start_scope
from heard_digits import N_CHANNELS, HeardDigits, hear
from kept import Kept
from learning import Split, line, summary, trained
from machine import heading

import brian2eprop as b2e

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
RULES = {
    "e-prop": b2e.EProp(),
    "EventProp": b2e.EventProp(),
    "BPTT": b2e.SurrogateBPTT(b2e.SuperSpike()),
}
BATCH = 32
LEAKY = "dv/dt = (I - v)/(20*ms) : 1\ndI/dt = -I/(10*ms) : 1"


def neurons(adaptive: bool, n: int) -> NeuronGroup:
    """Leaky integrate-and-fire neurons, with or without a threshold that adapts."""
    equations = LEAKY + "\nda/dt = -a/(200*ms) : 1" * adaptive
    threshold = "v > 1 + 0.1*a" if adaptive else "v > 1"
    reset = "v = 0; a += 1" if adaptive else "v = 0"
    return NeuronGroup(
        n, equations, threshold=threshold, reset=reset, method="exact", name="hidden"
    )


def build(rule: str, options: argparse.Namespace, seed: int, updates: int) -> b2e.Trainer:
    """The network that a rule trains."""
    start_scope()
    set_device("eprop_cuda", seed=seed)
    defaultclock.dt = options.width * ms
    inputs = b2e.SpikeSource(N_CHANNELS, name="inputs")
    hidden = neurons(rule == "e-prop", options.hidden)
    readout = NeuronGroup(10, LEAKY, method="exact", name="readout")
    w_in = Synapses(inputs, hidden, "w : 1", on_pre="I_post += w", name="w_in")
    w_rec = Synapses(
        hidden, hidden, "w : 1", on_pre="I_post += w", delay=options.width * ms, name="w_rec"
    )
    w_out = Synapses(hidden, readout, "w : 1", on_pre="I_post += w", name="w_out")
    rng = np.random.default_rng(seed)
    scale = options.hidden**-0.5
    for each, mean, deviation in ((w_in, 0.03, 0.06), (w_rec, 0, scale), (w_out, 0, scale)):
        each.connect()
        each.w = rng.normal(mean, deviation, len(each))
    return b2e.Trainer(
        Network(inputs, hidden, readout, w_in, w_rec, w_out),
        output=readout.v,
        loss=b2e.TrialCrossEntropy(of="mean"),
        rule=RULES[rule],
        parameters=[w_in.w, w_rec.w, w_out.w],
        optimiser=b2e.Adam(b2e.CosineDecay(options.learning_rate, decay_steps=updates)),
        regularisers=[b2e.FiringRate(10 * Hz, 10.0)],
        seed=seed,
    )


def split_of(heard: HeardDigits, test: str, width: int) -> Split:
    """The test speaker's recordings, the next speaker's, and all others'."""
    validation = SPEAKERS[(SPEAKERS.index(test) + 1) % len(SPEAKERS)]
    train = [name for name in SPEAKERS if name not in (test, validation)]
    parts = (heard.of(names, 1.0, 1e-3 * width) for names in (train, [validation], [test]))
    return Split(*parts)


def run(
    rule: str, split: Split, options: argparse.Namespace, kept: Kept, where: tuple[str, int]
) -> dict[str, Any]:
    """Train and test with one rule, test speaker and seed."""
    test, seed = where
    names = ("hidden", "epochs", "learning_rate", "width", "recordings")
    settings = {name: getattr(options, name) for name in names}
    updates = options.epochs * -(-len(split.train[1]) // BATCH)
    name = f"digits-{rule}-{test}-{seed}"

    def find() -> dict[str, Any]:
        trainer = build(rule, options, seed, updates)
        return trained(trainer, kept, name, split, options.epochs, batch_size=BATCH)

    return kept.result(name, settings, find)


def main() -> None:
    """Run all rules, test speakers and seeds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of the recordings")
    parser.add_argument("--heard", type=Path, required=True, help="where what is heard is kept")
    parser.add_argument("--recordings", type=int, default=50, help="of every word and speaker")
    parser.add_argument("--processes", type=int, default=2, help="recordings heard at a time")
    parser.add_argument("--rules", nargs="*", choices=RULES, default=list(RULES))
    parser.add_argument("--speakers", nargs="*", choices=SPEAKERS, default=SPEAKERS)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--width", type=int, default=4, help="of a step, in ms")
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--learning-rate", type=float, default=5e-3)
    parser.add_argument("--kept", type=Path, help="folder in which checkpoints and results are")
    options = parser.parse_args()
    heard = hear(options.data, options.heard, options.recordings, options.processes)
    print(heading())
    kept = Kept(options.kept)
    for rule in options.rules:
        results = []
        for test in options.speakers:
            split = split_of(heard, test, options.width)
            for seed in options.seeds:
                results.append(run(rule, split, options, kept, (test, seed)))
                print(line(f"{rule}, {test}, seed {seed}", results[-1]), flush=True)
        print(summary(f"{rule}, {len(options.speakers)} speakers", results), flush=True)


if __name__ == "__main__":
    main()
