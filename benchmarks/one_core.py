"""Time a neuron and step on one core, in both precisions, beside Brian2's C++ standalone.

    python -m benchmarks.one_core [--networks cuba adex] [--no-standalone]

The networks are those of Brian2's published examples in other words and sizes. Printed is the
least of several runs: in nanoseconds a neuron and step the time in the kernel, that of
``Network.run`` with its monitor, and that which C++ standalone measures of its own simulation.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import brian2 as b

import brian2eprop  # noqa: F401 (registers the device)
from brian2eprop.device.backends.cpu import CpuKernel

RUNS = 7
STEP = 0.1 * b.ms
FIRST = 50 * b.ms  # of which no time is taken


def cuba(n: int) -> list[Any]:
    """Currents of excitatory and inhibitory synapses; refractory neurons."""
    names = {"mV": b.mV, "ms": b.ms}
    cells = b.NeuronGroup(
        n,
        """dv/dt = (ge + gi - (v + 49*mV))/(20*ms) : volt (unless refractory)
           dge/dt = -ge/(5*ms) : volt
           dgi/dt = -gi/(10*ms) : volt""",
        threshold="v > -50*mV", reset="v = -60*mV", refractory=5 * b.ms, method="exact",
        namespace=names,
    )  # fmt: skip
    cells.v = "-60*mV + rand()*10*mV"
    return [cells, *balanced(cells, n, "ge += 1.62*mV", "gi -= 9*mV", names)]


def balanced(cells: Any, n: int, excite: str, inhibit: str, names: dict[str, Any]) -> list[Any]:
    """About 80 synapses a neuron, a fifth of them inhibitory."""
    found = [b.Synapses(cells, cells, on_pre=code, namespace=names) for code in (excite, inhibit)]
    found[0].connect("i < 0.8*N_pre", p=80 / n)
    found[1].connect("i >= 0.8*N_pre", p=80 / n)
    return found


def cobahh(n: int) -> list[Any]:
    """Conductances of synapses, channels by Hodgkin and Huxley, exponential Euler."""
    area = 20000 * b.umetre**2
    density = b.siemens * b.cm**-2 * area
    names = {
        "C": 1 * b.ufarad * b.cm**-2 * area, "g_l": 5e-5 * density, "g_na": 0.1 * density,
        "g_kd": 0.03 * density, "E_l": -60 * b.mV, "E_k": -90 * b.mV, "E_na": 50 * b.mV,
        "V_t": -63 * b.mV, "w_e": 6 * b.nS, "w_i": 67 * b.nS, "mV": b.mV, "ms": b.ms, "nS": b.nS,
    }  # fmt: skip
    cells = b.NeuronGroup(
        n,
        """dv/dt = (g_l*(E_l - v) - ge*v + gi*(-80*mV - v) - g_na*m**3*h*(v - E_na)
                    - g_kd*n**4*(v - E_k))/C : volt
           dm/dt = a_m*(1 - m) - b_m*m : 1
           dn/dt = a_n*(1 - n) - b_n*n : 1
           dh/dt = a_h*(1 - h) - b_h*h : 1
           dge/dt = -ge/(5*ms) : siemens
           dgi/dt = -gi/(10*ms) : siemens
           a_m = 1.28/exprel((13*mV - v + V_t)/(4*mV))/ms : Hz
           b_m = 1.4/exprel((v - V_t - 40*mV)/(5*mV))/ms : Hz
           a_h = 0.128*exp((17*mV - v + V_t)/(18*mV))/ms : Hz
           b_h = 4/(1 + exp((40*mV - v + V_t)/(5*mV)))/ms : Hz
           a_n = 0.16/exprel((15*mV - v + V_t)/(5*mV))/ms : Hz
           b_n = 0.5*exp((10*mV - v + V_t)/(40*mV))/ms : Hz""",
        threshold="v > -20*mV", refractory=3 * b.ms, method="exponential_euler", namespace=names,
    )  # fmt: skip
    cells.v = "E_l + (randn()*5 - 5)*mV"
    cells.ge, cells.gi = "(randn()*1.5 + 4)*10*nS", "(randn()*12 + 20)*10*nS"
    return [cells, *balanced(cells, n, "ge += w_e", "gi += w_i", names)]


def adex(n: int) -> list[Any]:
    """Adaptive exponential neurons without synapses."""
    names = {"pF": b.pF, "nS": b.nS, "mV": b.mV, "ms": b.ms, "nA": b.nA}
    cells = b.NeuronGroup(
        n,
        """dv/dt = (30*nS*(-70.6*mV - v + 2*mV*exp((v + 50.4*mV)/(2*mV))) + I - w)/(281*pF) : volt
           dw/dt = (4*nS*(v + 70.6*mV) - w)/(144*ms) : amp
           I : amp""",
        threshold="v > -40.4*mV", reset="v = -70.6*mV; w += 0.0805*nA", method="euler",
        namespace=names,
    )  # fmt: skip
    cells.v, cells.I = -70.6 * b.mV, "(0.8 + 0.4*rand())*nA"
    return [cells]


def brunel_hakim(n: int) -> list[Any]:
    """Noise in every neuron, inhibition after a delay."""
    names = {"mV": b.mV, "tau": 20 * b.ms}
    cells = b.NeuronGroup(
        n, "dv/dt = (25*mV - v + 1*mV*sqrt(tau)*xi)/tau : volt",
        threshold="v > 20*mV", reset="v = 10*mV", refractory=2 * b.ms, method="euler",
        namespace=names,
    )  # fmt: skip
    cells.v = 10 * b.mV
    synapses = b.Synapses(cells, cells, on_pre="v -= 0.1*mV", delay=2 * b.ms, namespace=names)
    synapses.connect(p=1000 / n)
    return [cells, synapses]


def stdp(n: int) -> list[Any]:
    """Poisson inputs, whose synapses learn, and one neuron."""
    names = {"mV": b.mV, "ms": b.ms}
    inputs = b.PoissonGroup(n, rates=15 * b.Hz)
    cell = b.NeuronGroup(
        1,
        """dv/dt = (-ge*v - 74*mV - v)/(10*ms) : volt
           dge/dt = -ge/(5*ms) : 1""",
        threshold="v > -54*mV", reset="v = -60*mV", method="euler", namespace=names,
    )  # fmt: skip
    synapses = b.Synapses(
        inputs, cell,
        """w : 1
           dpre/dt = -pre/(20*ms) : 1 (event-driven)
           dpost/dt = -post/(20*ms) : 1 (event-driven)""",
        on_pre="""ge += w
                  pre += 0.0001
                  w = clip(w + post, 0, 0.01)""",
        on_post="""post -= 0.000105
                   w = clip(w + pre, 0, 0.01)""",
        namespace=names,
    )  # fmt: skip
    synapses.connect()
    synapses.w = "rand()*0.01"
    return [inputs, cell, synapses]


NETWORKS: list[tuple[Callable[[int], list[Any]], int, Any]] = [
    (cuba, 4000, 500 * b.ms),
    (cuba, 40000, 100 * b.ms),
    (cobahh, 4000, 50 * b.ms),
    (adex, 4000, 500 * b.ms),
    (adex, 40000, 50 * b.ms),
    (adex, 100000, 20 * b.ms),
    (brunel_hakim, 5000, 100 * b.ms),
    (stdp, 4000, 500 * b.ms),
]


def made(build: Callable[[int], list[Any]], n: int) -> b.Network:
    """The network, with a SpikeMonitor."""
    b.start_scope()
    b.seed(1)
    objects = build(n)
    return b.Network(*objects, b.SpikeMonitor(objects[0]))


class Stopwatch:
    """Adds up the time that is spent in kernels."""

    def __init__(self) -> None:
        self.seconds = 0.0
        run = CpuKernel.run

        def timed(*given: Any) -> None:
            began = time.perf_counter()
            run(*given)
            self.seconds += time.perf_counter() - began

        CpuKernel.run = timed  # type: ignore[method-assign]


def ours(network: b.Network, duration: Any, stopwatch: Stopwatch) -> tuple[float, float]:
    """Least seconds in the kernel and in ``Network.run``."""
    network.run(FIRST)
    kernel, whole = [], []
    for _ in range(RUNS):
        stopwatch.seconds = 0.0
        began = time.perf_counter()
        network.run(duration)
        whole.append(time.perf_counter() - began)
        kernel.append(stopwatch.seconds)
    return min(kernel), min(whole)


def standalone(build: Callable[[int], list[Any]], n: int, duration: Any) -> float:
    """Least seconds of standalone's simulation."""
    b.prefs.codegen.cpp.extra_compile_args_gcc = ["-w", "-O3", "-ffast-math", "-march=native"]
    with tempfile.TemporaryDirectory() as folder:
        b.set_device("cpp_standalone", directory=folder, build_on_run=False)
        network = made(build, n)
        network.run(FIRST)
        network.run(duration)
        b.device.build(folder, run=False)
        times = []
        for _ in range(RUNS):
            b.device.run(folder, with_output=False)
            times.append(b.device._last_run_time)  # of the last run() in the script
        b.device.reinit()
    return min(times)


def main() -> None:
    """Print a line for each network."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--networks", nargs="*", default=None)
    parser.add_argument("--no-standalone", action="store_true")
    chosen = parser.parse_args()
    stopwatch = Stopwatch()
    print(f"{'':22}{'float64':>17}{'float32':>17}{'standalone':>12}   [ns a neuron and step]")
    for build, n, duration in NETWORKS:
        if chosen.networks and build.__name__ not in chosen.networks:
            continue
        per = 1e9 / n / float(duration / STEP)
        cells = []
        for precision in ("float64", "float32"):
            b.set_device("eprop_cuda", backend="cpu", precision=precision)
            kernel, whole = ours(made(build, n), duration, stopwatch)
            cells.append(f"{kernel * per:9.3f}{whole * per:8.3f}")
        rest = "" if chosen.no_standalone else f"{standalone(build, n, duration) * per:12.3f}"
        print(f"{build.__name__:13}{n:8d} {''.join(cells)}{rest}", flush=True)


if __name__ == "__main__":
    main()
