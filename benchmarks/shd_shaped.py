"""A training step of the shape of the Heidelberg digits: 700 inputs, 20 classes, a second.

Tables. The first has milliseconds an example in batches of 32 on two cores, for steps of 1, 2
and 5 ms (as many input spikes in a second): e-prop's adjoint form, surrogate BPTT and a plain JAX
scan on one network, EventProp on one whose synapses add to currents, and what the bytes that e-prop
moves through the caches allow. The second has the memory that an example takes. The third is
e-prop's chunked form against the length of the trial. The fourth is one example of 100 steps: what
the kernels take of it, and what Python. The last is how long an answer takes, beside an LSTM of as
many neurons in JAX.

``--kept FOLDER`` keeps every row as it is found; rows that are there are not measured again.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

from beside_jax import CORES, JAX_PYTHON, run_jax  # before all that loads OpenMP
from kept import Kept
from limit import byte_limit
from machine import heading
from network import Step, make_trainer, timed
from rules import make_trainer as with_currents
from workload import Workload

import brian2eprop as b2e
from brian2eprop.device.program import Access

# A simulated second in steps of so many milliseconds; 8 of 700 inputs spike in a millisecond.
WIDTHS = (1, 2, 5)
DENSITY = 8 / 700
TITLES = ("e-prop", "surrogate BPTT", "EventProp", "JAX")


def workload(hidden: int, width: int, duration: int, batch: int) -> Workload:
    """``duration`` milliseconds in steps of ``width``."""
    return Workload(
        hidden=hidden,
        batch=batch,
        steps=duration // width,
        density=DENSITY * width,
        dt=1e-3 * width,
    )


def steps_of(work: Workload) -> dict[str, Step]:
    """The training step by each rule."""
    return {
        "e-prop": Step.of(work, make_trainer(work)),
        "surrogate BPTT": Step.of(work, make_trainer(work, b2e.SurrogateBPTT())),
        "EventProp": Step.of(work, with_currents(work, b2e.EventProp())),
    }


def in_turns(work: Workload, options: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds an example of each rule and of JAX, round by round, and what e-prop meets."""
    steps = steps_of(work)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in TITLES}
    for _ in range(options.rounds):
        for name, step in steps.items():
            times[name].append(timed(step.whole, options.repeats))
        if options.jax.exists():
            jax = run_jax(options.jax, work, options.repeats)
            times["JAX"].append((jax["ms"], jax["core_ms"]))
    rates = {name: step.first()["rate"] for name, step in steps.items()}
    limit = byte_limit(work, rates["e-prop"], len(CORES))
    kibibytes = {name: memory_of(step, work) for name, step in steps.items()}
    return {"times": times, "rates": rates, "limit": limit, "memory": kibibytes}


def memory_of(step: Step, work: Workload) -> float:
    """Kibibytes of the example that a worker has in hand, and of what is kept of an example."""
    step.engine.training.run(step.batch())
    session = step.engine.training
    memory, program = session.memory, session.program
    own = [a for a in program.all_arrays().values() if a.access is not Access.SHARED]
    events = memory.bytes_of(program, work.steps) - sum(
        memory.arrays[a.name].nbytes for a in program.all_arrays().values()
    )
    each = sum(
        memory.arrays[a.name].nbytes
        / (memory.instances if a.access is Access.PER_INSTANCE else memory.workers)
        for a in own
    )
    return float(each + events / memory.workers) / 1024


def first_tables(kept: Kept, options: argparse.Namespace) -> None:
    """Time, then memory, of an example."""
    rows = {}
    for hidden in options.hidden:
        for width in options.widths:
            work = workload(hidden, width, options.duration, options.batch)
            settings = {"work": asdict(work), "rounds": options.rounds, "repeats": options.repeats}
            name = f"step-{hidden}-{width}"
            rows[hidden, width] = kept.result(
                name, settings, lambda work=work: in_turns(work, options)
            )
    titles = " | ".join(TITLES)
    for title, column in (("ms an example", 0), ("ms of a core an example", 1)):
        print(f"\nhidden | step | spikes a neuron and step | {titles} | bytes allow ({title})")
        for (hidden, width), found in rows.items():
            cells = [shown(found["times"][name], column, options.batch) for name in TITLES]
            rates = [f"{100 * found['rates'][name]:.1f} %" for name in ("e-prop", "EventProp")]
            limit = found["limit"] / options.batch * (len(CORES) if column else 1)
            print(f"{hidden} | {width} ms | {', '.join(rates)} | {' | '.join(cells)} | {limit:.3f}")
    print("\nhidden | step | " + " | ".join(TITLES[:3]) + " (KiB an example)")
    for (hidden, width), found in rows.items():
        cells = [f"{found['memory'][name]:.0f}" for name in TITLES[:3]]
        print(f"{hidden} | {width} ms | {' | '.join(cells)}")


def shown(times: list[tuple[float, float]], column: int = 0, parts: int = 1) -> str:
    """Median of the rounds and, in brackets, the least."""
    found = [each[column] / parts for each in times]
    return f"{statistics.median(found):.3f} ({min(found):.3f})" if found else "-"


def against_length(work: Workload, options: argparse.Namespace) -> dict[str, Any]:
    """Time and memory of a batch by the chunked form and by the adjoint form."""
    found: dict[str, Any] = {}
    for form in ("chunked", "adjoint"):
        rule = b2e.EProp(form="chunked", chunk=100) if form == "chunked" else b2e.EProp()
        step = Step.of(work, make_trainer(work, rule))
        times = [timed(step.whole, 1) for _ in range(options.rounds)]
        found[form] = {"times": times, "memory": memory_of(step, work)}
    return found


def length_table(kept: Kept, options: argparse.Namespace) -> None:
    """The chunked form against the number of steps."""
    print(
        "\nsteps | chunked (ms) | of a core (ms) | memory (KiB) | "
        "adjoint (ms) | of a core (ms) | memory (KiB)"
    )
    for steps in options.lengths:
        work = workload(options.hidden[0], 1, steps, len(CORES))
        settings = {"work": asdict(work), "rounds": options.rounds}
        found = kept.result(
            f"length-{steps}", settings, lambda work=work: against_length(work, options)
        )
        cells = [
            f"{shown(found[form]['times'])} | {shown(found[form]['times'], 1)} | "
            f"{found[form]['memory']:.0f}"
            for form in ("chunked", "adjoint")
        ]
        print(f"{steps} | {' | '.join(cells)}")


def one_example(work: Workload, options: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds of a batch of one, and of its kernels."""
    step = Step.of(work, make_trainer(work))
    parts = {"whole": step.whole, **step.parts()}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in parts}
    for _ in range(options.rounds):
        for name, part in parts.items():
            times[name].append(timed(part, 20 * options.repeats))
    return times


def latency_table(kept: Kept, options: argparse.Namespace) -> None:
    """One example of 100 steps."""
    work = workload(options.hidden[0], 1, 100, 1)
    settings = {"work": asdict(work), "rounds": options.rounds, "repeats": options.repeats}
    found = kept.result("one", settings, lambda: one_example(work, options))
    print("\none example of 100 steps (ms) | whole | kernels | Python")
    for name, column in (("time", 0), ("of a core", 1)):
        for which, pick in (("median", statistics.median), ("least", min)):
            times = {part: pick(each[column] for each in found[part]) for part in found}
            kernels = times["gradient"] + times["update"]
            cells = (times["whole"], kernels, times["whole"] - kernels)
            print(f"{name}, {which} | {' | '.join(f'{cell:.3f}' for cell in cells)}")


def answer(work: Workload, options: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds of the network's answer, and of an LSTM's, round by round."""
    step = Step.of(work, make_trainer(work))
    times: dict[str, list[tuple[float, float]]] = {"ours": [], "LSTM": []}
    for _ in range(options.rounds):
        times["ours"].append(timed(step.answer, 5 * options.repeats))
        if options.jax.exists():
            jax = run_jax(options.jax, work, 5 * options.repeats, "jax_lstm.py")
            times["LSTM"].append((jax["ms"], jax["core_ms"]))
    return times


def answer_table(kept: Kept, options: argparse.Namespace) -> None:
    """How long an answer takes, of one example and of a batch."""
    print("\nexamples | steps | answer (ms) | of a core (ms) | LSTM in JAX | of a core (ms)")
    width = options.widths[-1]
    for batch in (1, options.batch):
        work = workload(options.hidden[0], width, options.duration, batch)
        settings = {"work": asdict(work), "rounds": options.rounds, "repeats": options.repeats}
        found = kept.result(f"answer-{batch}", settings, lambda work=work: answer(work, options))
        cells = [shown(found[who], column) for who in ("ours", "LSTM") for column in (0, 1)]
        print(f"{batch} | {work.steps} | {' | '.join(cells)}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hidden", type=int, nargs="*", default=[256, 1024])
    parser.add_argument("--widths", type=int, nargs="*", default=WIDTHS, help="of a step, in ms")
    parser.add_argument("--duration", type=int, default=1000, help="of an example, in ms")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lengths", type=int, nargs="*", default=[1000, 2000, 4000, 8000, 16000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3, help="steps in a round")
    parser.add_argument("--jax", type=Path, default=JAX_PYTHON, help="interpreter that has JAX")
    parser.add_argument("--kept", type=Path, help="folder in which results are kept")
    options = parser.parse_args()
    print(heading())
    kept = Kept(options.kept)
    latency_table(kept, options)
    first_tables(kept, options)
    length_table(kept, options)
    answer_table(kept, options)


if __name__ == "__main__":
    main()
