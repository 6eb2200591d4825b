"""Synapses that change by spikes of either side and by equations of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from alike import Found, check_alike, drives, on_device
from brian2 import Network, NeuronGroup, StateMonitor, Synapses, ms

N = 7

STDP = """w : 1
          dApre/dt = -Apre/(8*ms) : 1 (event-driven)
          dApost/dt = -Apost/(9*ms) : 1 (event-driven)"""
ON_PRE = "v_post += 0.2*w\nApre += 0.1\nw = clip(w + Apost, 0, 1)"
ON_POST = "Apost -= 0.105\nw = clip(w + Apre, 0, 1)"


def spiking(drive: np.ndarray, name: str, more: str = "") -> NeuronGroup:
    """Neurons that spike again and again, each at its own pace."""
    group = NeuronGroup(
        drive.shape[-1],
        "dv/dt = (drive - v)/(3*ms) : 1\ndrive : 1\nheard : integer" + more,
        threshold="v > 1",
        reset="v = 0",
        method="exact",
        name=name,
    )
    group.drive = drive
    return group


def values(**variables: Any) -> Found:
    """Copies of variables."""
    return {name: np.array(variable) for name, variable in variables.items()}


def connect(synapses: Synapses, how: str) -> None:
    """Synapses in one of the ways that lie differently in memory."""
    if how == "dense":
        synapses.connect()
    elif how == "no diagonal":
        synapses.connect("i != j")
    else:
        rng = np.random.default_rng(3)
        pairs = np.argwhere(rng.random((N, N)) < 0.4)
        i, j = rng.permutation(pairs).T
        extra = [0, 0] if how == "repeated" else []
        synapses.connect(i=[*i, *extra], j=[*j, *extra])


def stdp(how: str, delays: Callable[[Any], None], **kwds: Any) -> Callable[[np.ndarray], Found]:
    """A recurrent group with the pair rule; in two runs."""

    def script(drive: np.ndarray) -> Found:
        group = spiking(drive, "cells")
        synapses = Synapses(
            group, group, STDP, on_pre=ON_PRE, on_post=ON_POST, name="links", **kwds
        )
        connect(synapses, how)
        synapses.w = "0.3 + 0.05*i - 0.02*j"
        delays(synapses)
        trace = StateMonitor(group, "v", record=True, name="trace")
        network = Network(group, synapses, trace)
        network.run(13.3 * ms)
        first = np.array(synapses.w[:])
        network.run(10 * ms)
        return values(
            first=first,
            w=synapses.w[:],
            pre=synapses.Apre[:],
            post=synapses.Apost[:],
            last=synapses.lastupdate_[:],
            v=trace.v,
        )

    return script


def no_delays(synapses: Any) -> None:
    pass


def own_delays(synapses: Any) -> None:
    synapses.pre.delay = "(0.1*i + 0.3*j)*ms"
    synapses.post.delay = "(0.4*i + 0.1*abs(i - j))*ms"


@pytest.mark.parametrize(
    ("how", "delays", "batch"),
    [
        ("dense", own_delays, False),
        ("no diagonal", no_delays, True),
        ("sparse", own_delays, True),
        ("repeated", no_delays, False),
    ],
)
def test_spike_timing_dependent_plasticity(
    backend: str, how: str, delays: Callable[[Any], None], batch: bool
) -> None:
    found = check_alike(stdp(how, delays), backend, N, batch)
    assert len(np.unique(found["w"])) > 5
    assert (found["w"] != found["first"]).any()


def test_pathways_of_both_sides_have_delays_of_their_own(backend: str) -> None:
    script = stdp("sparse", no_delays, delay={"pre": 1.2 * ms, "post": 0.7 * ms})
    check_alike(script, backend, N, batch=True)


def test_several_pathways_of_each_side(backend: str) -> None:
    """They come in Brian2's order: first those of the source, then those of the target."""

    def script(drive: np.ndarray) -> Found:
        group = spiking(drive, "cells")
        synapses = Synapses(
            group,
            group,
            "x : 1\ny : 1",
            on_pre={"early": "x = 0.5*x + 1", "late": "y = 0.9*y + x"},
            on_post={"back": "x = 0.25*x - y\nheard_post += 1", "later": "heard_pre += 10"},
            delay={"late": 0.8 * ms, "later": 1.1 * ms},
            name="links",
        )
        connect(synapses, "sparse")
        Network(group, synapses).run(15 * ms)
        return values(x=synapses.x[:], y=synapses.y[:], heard=group.heard[:])

    assert check_alike(script, backend, N, batch=False)["heard"].max() > 20


def test_every_pathway_reads_its_own_delay(backend: str) -> None:
    def script(drive: np.ndarray) -> Found:
        group = spiking(drive, "cells")
        synapses = Synapses(
            group,
            group,
            "x : 1",
            on_pre={"one": "x += delay/ms", "two": "x += 100*delay/ms"},
            on_post="x += 10000*delay/ms",
            delay={"one": 1 * ms, "post": 2 * ms},
            name="links",
        )
        connect(synapses, "sparse")
        synapses.two.delay = "(0.1*i + 0.2*j)*ms"
        Network(group, synapses).run(8 * ms)
        return values(x=synapses.x[:])

    check_alike(script, backend, N, batch=False)


def test_spikes_of_the_target_are_on_their_way_between_runs(backend: str) -> None:
    """Also while synapses are added, which do not hear what was sent before."""

    def script(drive: np.ndarray) -> Found:
        group, other = spiking(drive, "cells"), spiking(drive[::-1], "others")
        synapses = Synapses(group, other, "n : integer", on_post="n += 1\nheard_pre += 1", name="s")
        synapses.connect(i=[0, 3, 3, 6], j=[1, 1, 2, 5])
        synapses.post.delay = [0.4, 2.2, 1.1, 3] * ms
        network = Network(group, other, synapses)
        found = {}
        for run in range(5):
            network.run(2.3 * ms)
            found[f"n{run}"], found[f"heard{run}"] = np.array(synapses.n), np.array(group.heard)
            synapses.connect(i=[run, 4], j=[1, run])
            synapses.post.delay[-2:] = [0.3 * run + 0.2, 2.5] * ms
        return found

    assert check_alike(script, backend, N, batch=False)["n4"].sum() > 5


def test_short_term_plasticity(backend: str) -> None:
    def script(drive: np.ndarray) -> Found:
        group = spiking(drive, "cells")
        synapses = Synapses(
            group,
            group,
            """w : 1
               du/dt = (0.2 - u)/(15*ms) : 1 (event-driven)
               dx/dt = (1 - x)/(8*ms) : 1 (event-driven)""",
            on_pre="u += 0.2*(1 - u)\nr = u*x\nx -= r\nv_post += r*w",
            name="links",
        )
        connect(synapses, "no diagonal")
        synapses.w, synapses.u, synapses.x = "0.3*rand()", 0.2, 1
        synapses.w = np.random.default_rng(1).uniform(0, 0.3, len(synapses))
        Network(group, synapses).run(20 * ms)
        return values(u=synapses.u[:], x=synapses.x[:], v=group.v[:])

    check_alike(script, backend, N, batch=True)


def test_times_of_updates_are_double_in_single_precision(backend: str) -> None:
    """After long times a float would have lost the steps."""

    def last(device: str, **options: Any) -> np.ndarray:
        def script(drive: np.ndarray) -> Found:
            group = spiking(drive, "cells")
            synapses = Synapses(group, group, STDP, on_pre=ON_PRE, on_post=ON_POST, name="links")
            synapses.connect()
            network = Network(group, synapses)
            network.t_ = 4000.0
            network.run(6 * ms)
            return values(last=synapses.lastupdate_[:])

        return on_device(script, drives(N), device, **options)["last"]

    ours = last("eprop_cuda", backend=backend, precision="float32")
    np.testing.assert_array_equal(ours, last("runtime"))
    assert ours.max() > 4000


@pytest.mark.parametrize(("how", "batch"), [("no diagonal", False), ("repeated", True)])
def test_equations_of_every_step(backend: str, how: str, batch: bool) -> None:
    """Some meet their own variables only, others those of the neurons at both ends."""

    def script(drive: np.ndarray) -> Found:
        group, other = spiking(drive, "cells"), spiking(drive[..., ::-1], "others")
        alone = Synapses(
            group,
            other,
            """ds/dt = -s/(5*ms) + gain*q*(1 - s)/ms : 1 (clock-driven)
               dq/dt = -q/(2*ms) : 1 (clock-driven)
               gain : 1 (shared)""",
            on_pre="q += 1\nv_post += 0.1*s",
            method="euler",
            name="alone",
        )
        both = Synapses(
            group,
            other,
            "dw/dt = (v_pre*(1 + i) - 2*v_post*w + both)/(4*ms) : 1 (clock-driven)\n"
            "both = drive_pre*drive_post : 1",
            method="euler",
            name="both",
        )
        for synapses in (alone, both):
            connect(synapses, how)
        alone.gain = 0.4
        trace = StateMonitor(both, "w", record=[0, 3], name="trace")
        Network(group, other, alone, both, trace).run(12 * ms)
        return values(s=alone.s[:], q=alone.q[:], w=both.w[:], trace=trace.w, v=other.v[:])

    check_alike(script, backend, N, batch)


def test_equations_of_synapses_that_were_never_made(backend: str) -> None:
    def script(drive: np.ndarray) -> Found:
        group = spiking(drive, "cells")
        none = Synapses(group, group, "dw/dt = v_pre/ms : 1 (clock-driven)", method="euler")
        none.connect(condition="False")
        Network(group, none).run(1 * ms)
        return values(v=group.v[:])

    check_alike(script, backend, N, batch=False)
