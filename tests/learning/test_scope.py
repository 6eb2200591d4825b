"""Names in the bodies that the learning rules write: what a user calls things never matters."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, Synapses, defaultclock, ms, set_device

import brian2eprop as b2e
from brian2eprop.device.program import Body, Index, Ref
from brian2eprop.learning.model.scope import Scope

V, W = Ref("hidden.v", Index.ELEMENT), Ref("w:w", Index.SYNAPSE)


def test_an_element_has_one_name_and_another_a_fresh_one() -> None:
    scope = Scope()
    assert [scope.bind("v", V), scope.bind("v", W), scope.bind("other", V)] == ["v", "v_2", "v"]
    assert scope.bind("v", Ref("hidden.v", Index.ELEMENT, offset=-1)) == "v_3"
    assert scope.body().refs == {"v": V, "v_2": W, "v_3": Ref("hidden.v", Index.ELEMENT, -1)}


def test_a_number_has_one_name_for_each_value_and_type() -> None:
    scope = Scope()
    assert scope.bind("tau", V) == "tau"
    found = [scope.define("tau", value) for value in (0.5, 2.0, 0.5, 1, True, 1.0)]
    assert found == ["tau_2", "tau_3", "tau_2", "tau_4", "tau_5", "tau_6"]
    assert scope.body().constants["tau_3"] == 2.0


def test_what_every_body_has_is_never_given_away() -> None:
    scope = Scope()
    for name in ("t", "dt", "step", "exp", "clip", "_cond", "_value"):
        assert scope.bind(name, Ref(name, Index.ELEMENT)) == f"{name}_2"


def test_locals_are_never_given_away() -> None:
    scope = Scope()
    assert [scope.local("_next"), scope.local("_next")] == ["_next", "_next_2"]
    assert scope.bind("_next", V) == "_next_3"


@pytest.mark.parametrize(
    ("suggested", "name"),
    [
        ("hidden.v", "hidden_v"),
        ("gradient:w_in.w", "gradient_w_in_w"),
        ("2a", "_2a"),
        ("lambda", "_lambda"),
        ("", "_"),
    ],
)
def test_a_suggestion_becomes_an_identifier(suggested: str, name: str) -> None:
    assert Scope().bind(suggested, V) == name


def test_a_scope_around_a_body_keeps_its_meaning() -> None:
    body = Body("x = v*tau\nv = x", {"v": V}, {"tau": 0.5})
    scope = Scope.around(body)
    assert scope.bind("w", V) == "v"
    assert scope.define("tau", 0.5) == "tau"
    assert [scope.bind(name, W) for name in ("x", "y")] == ["x_2", "x_2"]
    assert scope.define("tau", 0.25) == "tau_2"


# What is called differently in the two networks: state, parameters and constants.
PLAIN = ("v", "a", "w", "gain", "leak", "v_th", "beta", "drive", "tau_m", "tau_a", "y", "b", "k")
TAKEN = (
    *("weight", "gradient", "feedback", "adjoint_spike", "spike_count", "trial_steps", "signal"),
    *("row", "target", "tape", "tape_2", "part", "total", "own", "loss", "steps", "prediction"),
    *("trace", "eligibility", "eligibility_sum", "filtered", "spiked", "adjoint", "initial"),
    *("rate_strength", "rate_target", "power", "peak", "share", "window_start", "window_stop"),
    *("gamma", "beta", "S", "I", "E", "zeta", "Q", "adjoint_v", "trace_v", "origin"),
)


def network(names: tuple[str, ...], form: Literal["adjoint", "forward"]) -> b2e.Trainer:
    set_device("eprop_cuda", backend="cpu", precision="float64")
    defaultclock.dt = 1 * ms
    v, a, w, gain, leak, v_th, beta, drive, tau_m, tau_a, y, b, k = names
    rng = np.random.default_rng(1)
    inputs = b2e.SpikeSource(5, name="inputs")
    hidden = NeuronGroup(
        6,
        f"""d{v}/dt = ({drive} - {leak}*{v} + 0.05*{v}**2)/{tau_m} : 1
            d{a}/dt = -{a}/{tau_a} : 1
            {gain} : 1
            {leak} : 1""",
        threshold=f"{v} > {v_th} + {beta}*{a}",
        reset=f"{v} -= {v_th}; {a} += 1 + 0.1*{v}",
        method="euler",
        namespace={v_th: 0.7, beta: 0.2, drive: 0.1, tau_m: 15 * ms, tau_a: 60 * ms},
        name="hidden",
    )
    setattr(hidden, gain, rng.uniform(0.5, 1.5, 6))
    setattr(hidden, leak, rng.uniform(0.8, 1.2, 6))
    readout = NeuronGroup(
        3,
        f"d{y}/dt = ({b} - {y})/{tau_m} : 1\n{b} : 1",
        method="euler",
        namespace={tau_m: 25 * ms},
        name="readout",
    )
    synapses = []
    for name, source, target, on_pre in (
        ("s_in", inputs, hidden, f"{v}_post += {w}*{k}"),
        ("s_rec", hidden, hidden, f"{v}_post += {k}*{w}*{gain}_pre*exp(-{gain}_post)"),
        ("s_out", hidden, readout, f"{y}_post += {w}*{k}"),
    ):
        made = Synapses(
            source, target, f"{w} : 1", on_pre=on_pre, name=name, namespace={k: len(name) / 5}
        )
        i, j = np.nonzero(rng.random((len(source), len(target))) < 0.8)
        made.connect(i=i, j=j)
        setattr(made, w, rng.normal(0.2, 0.5, len(i)))
        synapses.append(made)
    views = [getattr(made, w) for made in synapses] + [getattr(hidden, leak), getattr(readout, b)]
    return b2e.Trainer(
        Network(inputs, hidden, readout, *synapses),
        output=getattr(readout, y),
        loss=b2e.CrossEntropy(window=(3 * ms, 30 * ms)),
        rule=b2e.EProp(form=form),
        parameters=views,
        optimiser=b2e.SGD(0.1),
        regularisers=[b2e.FiringRate(strength=0.3), b2e.FiringRate(strength=0.5)],
    )


def gradients(names: tuple[str, ...], form: Literal["adjoint", "forward"]) -> list[Any]:
    dense = np.random.default_rng(2).random((2, 30, 5)) < 0.4
    found = network(names, form).gradients(b2e.Spikes.from_dense(dense), [0, 2])
    return list(found.values())


@pytest.mark.parametrize("form", ["adjoint", "forward"])
@pytest.mark.parametrize("first", range(0, len(TAKEN), len(PLAIN)))
def test_the_same_network_under_other_names(
    first: int, form: Literal["adjoint", "forward"]
) -> None:
    names = (TAKEN * 2)[first : first + len(PLAIN)]
    expected, found = gradients(PLAIN, form), gradients(names, form)
    for plain, renamed in zip(expected, found, strict=True):
        scale = np.abs(plain).max()
        assert scale > 0
        # The terms of a sum may be added in another order: a few hundred roundings of 1e-16.
        assert np.abs(plain - renamed).max() < 1e-12 * scale
