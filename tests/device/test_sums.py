"""Summed variables, parts of groups, and synapses onto synapses, as on Brian2's runtime."""

from __future__ import annotations

import numpy as np
import pytest
from alike import Found, check_alike
from brian2 import Network, NeuronGroup, StateMonitor, Synapses, ms

N = 7


def group_of(drive: np.ndarray, name: str = "cells") -> NeuronGroup:
    """Neurons with two variables that synapses may sum into."""
    group = NeuronGroup(
        drive.shape[-1],
        """dv/dt = (drive - v + a - 0.1*b)/(3*ms) : 1
           drive : 1
           a : 1
           b : 1
           heard : integer""",
        threshold="v > 1",
        reset="v = 0",
        method="euler",
        name=name,
    )
    group.drive, group.v, group.a, group.b = drive, "i/10.0", 3, 4
    return group


def copies(**variables: object) -> Found:
    return {name: np.array(variable) for name, variable in variables.items()}


@pytest.mark.parametrize(("how", "batch"), [("sparse", True), ("i != j", False)])
def test_sums_into_both_ends(backend: str, how: str, batch: bool) -> None:
    """A neuron without synapses has a sum of zero, whatever it had before."""

    def script(drive: np.ndarray) -> Found:
        group = group_of(drive)
        gaps = Synapses(
            group,
            group,
            """w : 1
               a_post = w*(v_pre - v_post) : 1 (summed)
               b_pre = w + j : 1 (summed)""",
            name="gaps",
        )
        if how == "sparse":
            gaps.connect(i=[5, 1, 1, 3, 1, 0], j=[2, 1, 4, 2, 4, 0])
        else:
            gaps.connect(how)
        gaps.w = 0.1 * np.sin(np.arange(len(gaps)))
        trace = StateMonitor(group, ("v", "a", "b"), record=True, name="trace")
        network = Network(group, gaps, trace)
        network.run(4 * ms)
        gaps.w = "0.05*j"
        network.run(4 * ms)
        return copies(v=trace.v, a=trace.a, b=trace.b)

    found = check_alike(script, backend, N, batch)
    assert len(np.unique(found["v"])) > 100


def test_sums_of_what_synapses_integrate(backend: str) -> None:
    def script(drive: np.ndarray) -> Found:
        group = group_of(drive)
        links = Synapses(
            group,
            group,
            """ds/dt = -s/(5*ms) : 1 (clock-driven)
               a_post = 0.3*s : 1 (summed)""",
            on_pre="s += 0.5",
            method="exact",
            delay=0.5 * ms,
            name="links",
        )
        links.connect(i=[6, 2, 2, 0, 5], j=[1, 1, 3, 3, 0])
        Network(group, links).run(10 * ms)
        return copies(v=group.v[:], a=group.a[:], s=links.s[:])

    check_alike(script, backend, N, batch=True)


def test_parts_of_groups(backend: str) -> None:
    """Spikes of a part, onto a part, and a sum that leaves the other neurons alone."""

    def script(drive: np.ndarray) -> Found:
        group = group_of(drive)
        other = group_of(drive[..., ::-1], "others")
        first, middle, last = group[:2], group[2:5], other[4:]
        forth = Synapses(
            middle,
            last,
            "w : 1\nseen : integer",
            on_pre="v_post += w\nheard_post += i + 1",
            on_post="seen += j + 1\nheard_pre += 100",
            delay={"pre": 0.3 * ms},
            name="forth",
        )
        forth.connect("i != j")
        forth.w = "0.1 + 0.05*i - 0.02*j"
        gaps = Synapses(
            last, middle, "a_post = 0.2*(v_pre - v_post)*(i + 2*j) : 1 (summed)", name="gaps"
        )
        gaps.connect(i=[0, 2, 2], j=[0, 0, 1])
        within = Synapses(first, first, on_pre="heard_post += 1000", name="within")
        within.connect()
        whole = Synapses(group, other, on_pre="heard_post += 10000", name="whole")
        whole.connect(j="i")
        network = Network(group, other, forth, gaps, within, whole)
        for duration in (5.2, 4.8):
            network.run(duration * ms)
        return copies(
            v=group.v[:],
            a=group.a[:],
            u=other.v[:],
            heard=group.heard[:],
            told=other.heard[:],
            seen=forth.seen[:],
            part=middle.v[:],
        )

    found = check_alike(script, backend, N, batch=True)
    assert (found["a"][:2] == 3).all() and (found["a"][5:] == 3).all() and found["a"][4] == 0


def test_synapses_onto_synapses(backend: str) -> None:
    """Their ends are counted as the user counts them, in whatever order they lie."""

    def script(drive: np.ndarray) -> Found:
        group = group_of(drive)
        inner = Synapses(
            group, group, "w : 1\nx : 1\nn : integer", on_pre="x += 0.1*w", name="inner"
        )
        inner.connect(i=[4, 0, 4, 1, 0], j=[2, 3, 0, 1, 1])
        inner.w = [1, 2, 3, 4, 5]
        outer = Synapses(
            group,
            inner,
            """g : 1
               w_post = g*v_pre + x_post : 1 (summed)""",
            on_pre="n_post += i + 1\nx_post += g*0.01",
            name="outer",
        )
        outer.connect(i=[1, 3, 3, 6, 2], j=[4, 0, 2, 0, 3])
        outer.g = "1 + 0.1*i + 0.01*j"
        back = Synapses(inner, group, "a_post = 0.1*x_pre : 1 (summed)", name="back")
        back.connect(i=[0, 1, 4, 4], j=[5, 5, 0, 2])
        Network(group, inner, outer, back).run(8 * ms)
        return copies(w=inner.w[:], x=inner.x[:], n=inner.n[:], a=group.a[:], v=group.v[:])

    found = check_alike(script, backend, N, batch=False)
    assert len(np.unique(found["w"])) == 5 and found["n"].any()
