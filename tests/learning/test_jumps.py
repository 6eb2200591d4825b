"""What a spike adds may depend on the state that it meets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, Synapses, defaultclock, ms, set_device
from test_forward_mode import (
    BPTT,
    E_PROP,
    N_IN,
    N_OUT,
    STEPS,
    TOLERANCE,
    Case,
    Way,
    check,
    trainer_of,
)

import brian2eprop as b2e
from tests.oracles import forward_mode as oracle

SATURATES = "w*(1.2 - v_post)"

MET = {
    "input, of the target": Case(adds=(SATURATES, "w", "w")),
    "input, of what the pathway leaves": Case(adds=("w*(1 + a_post)", "w", "w")),
    "input, not linear": Case("shunted", adds=("w*exp(-v_post)*(1 + a_post)", "w", "w")),
    "recurrent": Case("driven adaptation", adds=("w", SATURATES, "w"), seed=3),
    "recurrent, later": Case(adds=(SATURATES, SATURATES, "w"), delays=(1, 2, 0), density=0.6),
    "recurrent, of the source": Case(adds=("w", "w*(0.2 + a_pre)", "w"), delays=(0, 1, 0)),
    "output": Case(adds=("w", "w", "w*(1 - y_post)"), delays=(0, 0, 1)),
    "output, of the source": Case(adds=("w", "w", "w*(0.1 + v_pre - a_pre)"), delays=(0, 0, 1)),
    "all": Case(
        "rational",
        adds=(SATURATES, "w*exp(-v_post)*(1 + a_pre)", "w*(a_pre - y_post)"),
        delays=(0, 1, 2),
        seed=5,
    ),
    "synapses tire": Case(adds=("w*r", "w*r", "w*r"), keeps=("0.7*r", "0.6*r", "r - 0.4*r")),
    "synapses change and meet": Case(
        adds=("w*r*(1 - v_post)", "w*r*r", "w*r*(0.1 + a_pre)"),
        keeps=("r + 0.3*(2 - r)*w", "r*exp(-0.3*r)", "r - 0.1*w*r"),
        delays=(1, 0, 2),
        density=0.6,
    ),
}
REMEMBERED = {
    "numbers": Case(
        adds=("w*(1 + 0.3*n_post)", "w*(n_pre % 2 - 0.2*n_post)", "w*(1 + n_pre)"),
        delays=(0, 1, 0),
        seed=2,
    ),
    "times": Case(
        adds=(
            "w*(1 + exp(-(t - lastspike_post)/(5*ms)))",
            "w*int(t - lastspike_post > 3*ms)*exp(-(t - lastspike_pre)/(5*ms))",
            "w*(1 - exp(-(t - lastspike_pre)/(5*ms)))",
        ),
        delays=(0, 1, 2),
        seed=3,
    ),
    "both and state": Case(
        adds=("w*(1 + 0.2*n_post)*(1.2 - v_post)", "w*n_pre*(0.2 + a_pre)", "w*(n_pre - y_post)*r"),
        keeps=(None, None, "r - 0.1*r*n_pre"),
        delays=(0, 1, 2),
        density=0.6,
    ),
    "each delay": Case(
        adds=("w", "w*(1 - 0.2*n_pre)", "w*exp(-(t - lastspike_pre)/(9*ms))"), spread=3
    ),
}
WAYS = {"adjoint": E_PROP["adjoint"], **BPTT}
# The other backends run what is generated for all kinds of bodies.
ELSEWHERE = ("all", "synapses change and meet")


@pytest.mark.parametrize(
    ("case", "on"),
    [*((case, "reference") for case in MET)]
    + [(case, on) for case in ELSEWHERE for on in ("cpu", "emulated")],
)
def test_what_spikes_meet_is_followed(case: str, on: str) -> None:
    check(MET[case], on, WAYS)


@pytest.mark.parametrize(
    ("case", "on"),
    [*((case, "reference") for case in REMEMBERED), ("times", "cpu"), ("numbers", "emulated")],
)
def test_numbers_and_times_of_both_sides_are_read_as_they_were(case: str, on: str) -> None:
    check(REMEMBERED[case], on, WAYS)


@pytest.mark.parametrize("form", ["forward", "chunked"])
def test_the_other_forms_read_numbers_and_times(form: str) -> None:
    """Save at the output."""
    for case in ("numbers", "times"):
        adds = (*REMEMBERED[case].adds[:2], "w")
        check(replace(REMEMBERED[case], adds=adds), "reference", {form: E_PROP[form]})


def drawn(trainer: b2e.Trainer, folder: Path) -> Any:
    """The feedback's weights: as its synapses lie where spikes meet the state, else by target."""
    trainer.save(folder / "drawn.npz")
    with np.load(folder / "drawn.npz") as file:
        return file["array.feedback:s_out_pre"]


FEEDBACK = np.array([[0.4, -0.7], [1.1, 0.3], [-0.2, 0.9]])


@pytest.mark.parametrize("kind", ["random", "adaptive", "given"])
@pytest.mark.parametrize("case", ["output", "output, of the source"])
def test_what_spikes_meet_comes_back_by_the_feedback(case: str, kind: str, tmp_path: Path) -> None:
    """Spikes and the state of their source hear of the output by it alone, in any order."""
    met = replace(MET[case], density=0.7, seed=6)
    net = met.network()
    feedback: Any = {"s_out": FEEDBACK} if kind == "given" else kind
    way = Way(lambda surrogate: b2e.EProp(surrogate=surrogate, feedback=feedback))
    trainer = trainer_of(met, net, way, "reference", seed=4)
    weights = FEEDBACK[net.s_out.i, net.s_out.j]
    if kind != "given":
        weights = drawn(trainer, tmp_path)
        plain = replace(met, adds=("w", "w", "w"))
        alike = trainer_of(plain, plain.network(), way, "reference", seed=4)
        by_target = np.lexsort((net.s_out.i, net.s_out.j))
        np.testing.assert_array_equal(weights[by_target], drawn(alike, tmp_path))
    rng = np.random.default_rng(7)
    sent, target = rng.random((STEPS, N_IN)) < 0.4, rng.normal(0, 1, (STEPS, N_OUT))
    net = replace(net, s_out=replace(net.s_out, feedback=weights))
    expected = oracle.gradients(net, sent, target)
    found = trainer.gradients(b2e.Spikes.from_dense(sent[None]), target[None])
    scale = max(np.abs(part).max() for part in expected.values())
    for values, reference in zip(found.values(), expected.values(), strict=True):
        np.testing.assert_allclose(values, reference, rtol=0, atol=TOLERANCE * scale)


@pytest.mark.parametrize("case", ["input, of the target", "recurrent, later"])
def test_chunks_follow_what_spikes_meet(case: str) -> None:
    check(MET[case], "reference", {"chunked": E_PROP["chunked"]})


TIRING = {"model": "w : 1\ndr/dt = (1 - r)/(20*ms) : 1 (event-driven)"}
COUNTING = {"model": "w : 1\nk : integer"}
PARTS: dict[str, dict[str, Any]] = {
    "event-driven": TIRING | {"on_pre": "v_post += w*r*(2 - v_post); r -= 0.3*r"},
    "counted": COUNTING | {"on_pre": "v_post += w*(1 + 0.1*k); k += 1"},
    "counted by another": COUNTING | {"on_pre": {"a": "k += 1", "b": "v_post += w*(1 + 0.1*k)"}},
    "repeated": {"model": "w : 1", "on_pre": "v_post += w*(2 - v_post)*v_post", "n": 3},
}


def alone(
    model: str = "w : 1",
    on_pre: str | dict[str, str] = "v_post += w",
    rule: Any = None,
    out: str = "y_post += w",
    out_model: str = "w : 1",
    n: int = 1,
    **delay: Any,
) -> b2e.Trainer:
    """Neurons that hardly spike, judged by their voltage unless ``rule`` is given."""
    set_device("eprop_cuda", backend="cpu", precision="float64")
    defaultclock.dt = 1 * ms
    inputs = b2e.SpikeSource(3, name="inputs")
    leak = "dv/dt = (0.1 - v)/(20*ms) : 1\nda/dt = -a/(9*ms) : 1\nn : integer"
    hidden = NeuronGroup(
        2, leak, threshold="v > 50", reset="v = 0; n += 1", method="euler", name="hidden"
    )
    readout = NeuronGroup(
        2, "dy/dt = (J - y)/(20*ms) : 1\ndJ/dt = -J/(5*ms) : 1", method="exact", name="readout"
    )
    w_in = Synapses(inputs, hidden, model, on_pre=on_pre, method="exact", name="w_in")
    w_out = Synapses(hidden, readout, out_model, on_pre=out, name="w_out")
    w_in.connect(n=n)
    w_out.connect()
    w_in.w = 0.2 + 0.05 * np.arange(len(w_in))
    w_out.w = 0.3
    for synapses in (w_in, w_out):
        if "r" in synapses.variables:
            synapses.r = 1
    if delay:
        w_out.delay = np.arange(4) * ms
    return b2e.Trainer(
        Network(inputs, hidden, readout, w_in, w_out),
        output=hidden.v if rule is None else readout.y,
        loss=b2e.MeanSquaredError(),
        rule=rule or b2e.EProp(),
        parameters=[w_in.w, *([w_out.w] if rule else [])],
        optimiser=b2e.SGD(1.0),
    )


@pytest.mark.parametrize("case", PARTS)
def test_central_differences(case: str) -> None:
    """Without spikes of its own the loss is smooth: many spikes a step, and synapses repeated."""
    trainer = alone(**PARTS[case])
    rng = np.random.default_rng(2)
    spikes = b2e.Spikes.from_dense(rng.random((2, 30, 3)) < 0.4)
    goal = rng.normal(0, 1, (2, 30, 2))
    found = trainer.gradients(spikes, goal)["w_in_w"]
    values = trainer.parameter_values()["w_in_w"]
    for n in range(len(found)):
        moved = []
        for step in (1e-5, -1e-5):
            trainer.set_parameter_values({"w_in_w": values + step * (np.arange(len(values)) == n)})
            moved.append(trainer.evaluate(spikes, goal).loss)
        assert found[n] == pytest.approx((moved[0] - moved[1]) / 2e-5, rel=1e-6, abs=1e-9)


KEEPS = {"out_model": "w : 1\nr : 1", "out": "y_post += w*r; r -= 0.2*r"}
BPTT_RULE = b2e.SurrogateBPTT()
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "forward": (
        {"on_pre": "v_post += w*(1 - v_post)", "rule": b2e.EProp(form="forward")},
        "each spike changes the traces of all synapses onto its target",
    ),
    "readout in chunks": (
        {"out": "y_post += w*(1 - y_post)", "rule": b2e.EProp(form="chunked")},
        "adds to the output depends on the state, which only the adjoint form",
    ),
    "synapses in chunks": (
        KEEPS | {"rule": b2e.EProp(form="chunked")},
        "adds to the output depends on the state|changes 'r' of its synapses",
    ),
    "delays": (
        {"out": "y_post += w*(1 - y_post)", "rule": BPTT_RULE, "delay": True},
        "its synapses have delays of their own",
    ),
    "event-driven": (
        {
            "out": "y_post += w*r; r -= 0.2*r",
            "out_model": TIRING["model"],
            "rule": BPTT_RULE,
        },
        "sets 'lastupdate' at a spike, as event-driven equations do",
    ),
    "counted at the targets": (
        {"on_pre": "v_post += w*n_post; n_post += 1"},
        "a whole number, boolean or time that it changes at its targets.*Let the reset",
    ),
    "counted before": (
        COUNTING | {"on_pre": "k += 1; v_post += w*k"},
        "changes 'k' and reads it afterwards.*Let it change 'k' at its end",
    ),
    "EventProp, numbers": (
        {"on_pre": "a_post += w", "out": "J_post += w*n_pre", "rule": b2e.EventProp()},
        "depends on 'n_pre', which changes with the time",
    ),
    "EventProp, the time": (
        {"on_pre": "a_post += w", "out": "J_post += w*exp(-t/ms)", "rule": b2e.EventProp()},
        "depends on 't', which changes with the time",
    ),
    "source": ({"out": "y_post += w; v_pre = 0", "rule": BPTT_RULE}, "Let the reset of the source"),
    "EventProp, source": (
        {"on_pre": "a_post += w", "out": "J_post += w*a_pre", "rule": b2e.EventProp()},
        "depends on 'a_pre', which changes .* EventProp follows what depends on the floating-point",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_followed_is_refused(case: str) -> None:
    options, sentence = REFUSED[case]
    with pytest.raises(b2e.LearningError, match=sentence):
        alone(**options)


def test_a_chain_through_one_pathway_is_refused() -> None:
    case = Case(adds=("w", "w*v_pre", "w"))
    with pytest.raises(b2e.LearningError, match="do not follow spikes of one step from neuron"):
        check(case, "reference", {"adjoint": E_PROP["adjoint"]})
