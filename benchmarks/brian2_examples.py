"""Brian2's kinds of networks beside its Cython runtime and its C++ standalone, in turns.

    python benchmarks/brian2_examples.py [--networks cuba:4000 stdp ...] [--rounds 5]
        [--measures start simulation sweep] [--seconds 10] [--no-standalone] [--clock processor]

Prints a Markdown table of medians: ours, what it is compared with, by how much ours is faster,
and by how much it is meant to be.

``start`` takes a script's time in a fresh process, with nothing compiled yet (cold) and once more
(warm), until the spikes of 0.1 simulated seconds have been read. ``simulation`` takes the time of
``Network.run``, with a SpikeMonitor, after a first run; standalone's is what it measures of its
own simulation, without what it does before and after. One core is ``layout='per_instance'`` beside
standalone as it is, two cores are ``layout='team'`` beside the fastest standalone of one core or
two. ``sweep`` is CUBA with another parameter in each of 64 instances, beside one run of standalone.

Other programs make all of this longer. ``--clock processor`` counts the time in which a processor
works for a run instead, which is longer only by what they take of the caches; it has rows of one
core, and none of a start.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from contestants import Contestant, Setup
from machine import heading
from models import MODELS

MEASURES = ("start", "simulation", "sweep")
FIRST = 0.1  # simulated seconds of a first run
SWEEP = "swept_cuba"
OURS, CYTHON, STANDALONE = "eprop_cuda", "cython", "cpp_standalone"
Times = dict[str, float]


@dataclass(frozen=True)
class Row:
    """A measure in seconds, and the aim: of the ratio, or of the seconds if nothing is beside."""

    measure: str
    ours: float
    beside: str = ""
    theirs: float | None = None
    aim: float | None = None

    def __str__(self) -> str:
        aim = "" if self.aim is None else f"{self.aim:g}"
        if self.theirs is None:
            cells = [self.measure, f"{self.ours:.3g}", "", "", "", aim and f"below {aim} s"]
        else:
            ratio = f"{self.theirs / self.ours:.2f}"
            cells = [
                self.measure,
                f"{self.ours:.3g}",
                self.beside,
                f"{self.theirs:.3g}",
                ratio,
                aim,
            ]
        return " | ".join(cells)


@dataclass(frozen=True)
class Size:
    """A network of a size; what is measured of it is ``seconds`` of simulated time."""

    network: str
    n: int
    seconds: float
    clock: str = "wall"

    @property
    def cores(self) -> tuple[int, ...]:
        """How many cores are measured: of several, time adds up that passes at once."""
        return (1, 2) if self.clock == "wall" else (1,)

    def setup(self, device: str, threads: int, again: bool = True, **options: object) -> Setup:
        """The network, simulated by a device."""
        seconds = self.seconds if again else 0.0
        setup = Setup(
            device, self.network, self.n, FIRST, seconds, threads=threads, clock=self.clock
        )
        return replace(setup, **options)  # type: ignore[arg-type]


def medians(found: Sequence[Times]) -> Times:
    """The median of each entry."""
    return {name: statistics.median(each[name] for each in found) for name in found[0]}


def start(size: Size, rounds: int, standalone: bool) -> Iterator[Row]:
    """From the start of a script to its first result."""
    threads = {OURS: 1, CYTHON: 1} | ({STANDALONE: 0} if standalone else {})
    found: dict[tuple[str, str], list[Times]] = {}
    for _ in range(rounds):
        for device, n_threads in threads.items():
            with tempfile.TemporaryDirectory() as folder:
                for cache in ("cold", "warm"):
                    contestant = Contestant(size.setup(device, n_threads, False), Path(folder))
                    found.setdefault((device, cache), []).append(contestant.started)
                    contestant.end()
    times = {key: medians(each) for key, each in found.items()}
    for cache in ("cold", "warm"):
        for device in list(threads)[1:]:
            aim = 3.0 if device == STANDALONE else None
            ours, theirs = (times[each, cache]["result"] for each in (OURS, device))
            yield Row(f"start to result, {cache}", ours, device, theirs, aim)
    ours = times[OURS, "warm"]
    yield Row("warm: imports", ours["imported"])
    yield Row("warm: making the network", ours["built"] - ours["imported"])
    aim = 0.5 if size.network == "cuba" else None
    yield Row("warm: run() before the first step", ours["stepping"] - ours["built"], aim=aim)


def turns(setups: dict[str, Setup], rounds: int) -> dict[str, Times]:
    """Median times of later runs, taken in turns."""
    with tempfile.TemporaryDirectory() as base:
        contestants = {name: Contestant(s, Path(base) / name) for name, s in setups.items()}
        found: dict[str, list[Times]] = {name: [] for name in contestants}
        for _ in range(rounds):
            for name, contestant in contestants.items():
                found[name].append(contestant.again())
        for contestant in contestants.values():
            contestant.end()
    return {name: medians(each) for name, each in found.items()}


def simulation(size: Size, rounds: int, standalone: bool) -> Iterator[Row]:
    """A run after the first, on one core and on two, in both precisions."""
    layouts = dict(zip(size.cores, ("per_instance", "team"), strict=False))
    setups = {
        f"{precision} {cores}": size.setup(OURS, cores, precision=precision, layout=layout)
        for precision in ("float64", "float32")
        for cores, layout in layouts.items()
    }
    names = {0: "standalone"} | {cores: f"standalone, OpenMP {cores}" for cores in size.cores}
    if standalone:
        setups |= {name: size.setup(STANDALONE, cores) for cores, name in names.items()}
    times = turns(setups, rounds)
    for cores in layouts:
        double, single = (times[f"{precision} {cores}"] for precision in ("float64", "float32"))
        on = "1 core" if cores == 1 else "2 cores"
        if standalone:
            best = min((names[n] for n in range(cores + 1)), key=lambda name: times[name]["run"])
            yield Row(f"run, {on}", double["run"], best, times[best]["run"], 2.0)
            yield Row(f"kernel, {on}", double["kernel"], best, times[best]["run"], 3.0)
        yield Row(f"run in float32, {on}", single["run"], "float64", double["run"], 1.4)
        yield Row(f"kernel in float32, {on}", single["kernel"], "float64", double["kernel"], 1.4)


def sweep(size: Size, rounds: int, instances: int, standalone: bool) -> Iterator[Row]:
    """A sweep over instances, beside a run of each of them by standalone on one core."""
    setups = {
        f"{precision}, {cores} thread{'s'[: cores - 1]}": size.setup(
            OURS, cores, precision=precision, instances=instances
        )
        for precision in ("float64", "float32")
        for cores in size.cores
    }
    others = {"standalone": size.setup(STANDALONE, 0)} if standalone else {}
    times = turns(setups | others, rounds)
    for name in setups:
        measure, ours = f"an instance of {instances}, {name}", times[name]["run"] / instances
        if standalone:
            yield Row(measure, ours, "standalone", times["standalone"]["run"], 5.0)
        else:
            yield Row(measure, ours)


def chosen(options: argparse.Namespace) -> Iterator[Size]:
    """The networks that are asked for, as ``name`` or ``name:neurons``; all but the sweep's."""
    for name in options.networks or [name for name in MODELS if name != SWEEP]:
        network, _, n = name.partition(":")
        sizes = MODELS[network].seconds
        for neurons in [int(n)] if n else sizes:
            seconds = options.seconds or sizes.get(neurons, 1.0)
            yield Size(network, neurons, seconds, options.clock)


def rows(options: argparse.Namespace) -> Iterator[tuple[Size, Row]]:
    """All rows of the table, one measure after the other."""
    standalone = not options.no_standalone
    for measure, take in (("start", start), ("simulation", simulation)):
        if measure in options.measures and (measure, options.clock) != ("start", "processor"):
            for size in chosen(options):
                yield from ((size, row) for row in take(size, options.rounds, standalone))
    if "sweep" in options.measures:
        size = Size(SWEEP, options.sweep_neurons, options.seconds or 1.0, options.clock)
        found = sweep(size, options.rounds, options.instances, standalone)
        yield from ((size, row) for row in found)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--networks", nargs="*", help="name or name:neurons")
    parser.add_argument("--measures", nargs="*", choices=MEASURES, default=MEASURES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, help="simulated seconds of a run")
    parser.add_argument("--instances", type=int, default=64, help="of the sweep")
    parser.add_argument("--sweep-neurons", type=int, default=4000)
    parser.add_argument("--no-standalone", action="store_true")
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall")
    options = parser.parse_args()
    print(heading(), end="\n\n")
    print("network | simulated | measure | ours (s) | beside | theirs (s) | ratio | aim")
    print("---|---|---|---|---|---|---|---")
    for size, row in rows(options):
        print(f"{size.network} {size.n} | {size.seconds:g} s | {row}", flush=True)
    print(f"\n{heading()}")


if __name__ == "__main__":
    main()
