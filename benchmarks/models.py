"""Networks like those of Brian2's published examples, written anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import brian2 as b
import numpy as np


def cuba(n: int, rest: str = "-49*mV", more: str = "") -> list[Any]:
    """Currents of excitatory and inhibitory synapses; refractory neurons."""
    names = {"mV": b.mV, "ms": b.ms}
    cells = b.NeuronGroup(
        n,
        f"""dv/dt = (ge + gi - (v - ({rest})))/(20*ms) : volt (unless refractory)
            dge/dt = -ge/(5*ms) : volt
            dgi/dt = -gi/(10*ms) : volt
            {more}""",
        threshold="v > -50*mV", reset="v = -60*mV", refractory=5 * b.ms, method="exact",
        namespace=names,
    )  # fmt: skip
    cells.v = "-60*mV + rand()*10*mV"
    return [cells, *balanced(cells, n, "ge += 1.62*mV", "gi -= 9*mV", names)]


def swept_cuba(n: int) -> list[Any]:
    """CUBA with the level at which neurons rest as a variable, to be swept."""
    objects = cuba(n, "level", "level : volt (shared)")
    objects[0].level = -49 * b.mV
    return objects


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


@dataclass(frozen=True)
class Model:
    """A network, its sizes, and the seconds that a run of each simulates.

    A sweep gives ``swept``, a shared variable of the first object, a value between ``least`` and
    ``most`` in each instance.
    """

    build: Callable[[int], list[Any]]
    seconds: dict[int, float]
    swept: str = ""
    least: Any = None
    most: Any = None


MODELS = {
    "cuba": Model(cuba, {4000: 10.0, 40000: 10.0}),
    "cobahh": Model(cobahh, {4000: 1.0}),
    "brunel_hakim": Model(brunel_hakim, {5000: 5.0}),
    "stdp": Model(stdp, {4000: 10.0}),
    "adex": Model(adex, {4000: 10.0, 40000: 1.0, 100000: 0.5}),
    "swept_cuba": Model(swept_cuba, {4000: 1.0}, "level", -49.5 * b.mV, -48.5 * b.mV),
}


def make(name: str, n: int, instances: int = 1) -> tuple[b.Network, b.SpikeMonitor]:
    """A network on the device that is set, and the monitor of its spikes."""
    b.start_scope()
    b.seed(1)
    model = MODELS[name]
    objects = model.build(n)
    if instances > 1:
        setattr(objects[0], model.swept, np.linspace(model.least, model.most, instances))
    monitor = b.SpikeMonitor(objects[0])
    return b.Network(*objects, monitor), monitor
