"""Surrogate rules against forward differentiation in NumPy, on models from a small grammar."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import brian2
import numpy as np
import pytest
from brian2 import NeuronGroup, defaultclock, ms, set_device
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import brian2eprop as b2e
from brian2eprop.learning.feedback import pathways
from tests.oracles import forward_mode as oracle
from tests.samples import sampled

N_IN, N_HIDDEN, N_OUT, STEPS = 4, 3, 2, 25

# A few thousand operations of rounding 1e-16 each, some of terms that nearly cancel, relative to
# the largest derivative.
TOLERANCE = 1e-9

# Rate and drift of the membrane and the adaptation, and whether exponential Euler can take them.
DYNAMICS = {
    "linear": (("-leak/10", "drive/10"), ("-1/50", "0"), True),
    "driven adaptation": (("-leak/10", "(drive - a)/10"), ("-1/30", "0.02*v"), True),
    "shunted": (("-leak*(1 + a)/10", "drive/10"), ("-1/50", "0"), True),
    "shunted euler": (("-leak*(1 + a)/10", "drive/10"), ("-1/50", "0"), False),
    "rational": (("-leak/10", "(drive + v**2/(1 + v**2))/10"), ("-1/50", "0.01*v"), False),
    "saturating": (("0", "(drive - tanh(leak*v))/10"), ("-1/40", "0.01*exp(-v)"), False),
}
# Threshold, its distance, and whether the distance is a width away from zero where all is zero.
THRESHOLDS = {
    "v > th + 0.2*a": "v - th - 0.2*a",
    "v/th > 1 + 0.2*a": "v/th - 1 - 0.2*a",
    "th + 0.2*a < v": "v - th - 0.2*a",
    "3*v >= 3*(th + a*th)": "3*v - 3*(th + a*th)",
    "(v - 0.1*a)/th > 1": "(v - 0.1*a)/th - 1",
    "exp(v) > exp(th) + a": "exp(v) - exp(th) - a",
    "abs(v) > th + 0.2*a": "abs(v) - th - 0.2*a",
}
RESETS = {
    "v -= th; a += 1": (("v", "v - th"), ("a", "a + 1")),
    "v = 0; a = 0.9*a + 1": (("v", "0*v"), ("a", "0.9*a + 1")),
    "v *= 0.2; a += 1 + 0.1*v": (("v", "v*0.2"), ("a", "a + 1 + 0.1*v")),
    "a += v; v -= th": (("a", "a + v"), ("v", "v - th")),
}
INTO = ("w", "0.5*w + w*w", "w - 0.2", "w*exp(-g_post)")
AMONG = (*INTO, "w*g_pre*g_post", "w*exp(-(x_pre - x_post)**2)", "(g_pre - x_post)*w")
OUT = ("w", "2*w*w", "w - 0.3", "w*g_pre", "exp(w)", "(x_pre - g_pre)*w")


@dataclass(frozen=True)
class Case:
    """One sentence of the grammar."""

    dynamics: str = "linear"
    threshold: str = "v > th + 0.2*a"
    reset: str = "v -= th; a += 1"
    width: float | None = None
    adds: tuple[str, str, str] = ("w", "w", "w")
    delays: tuple[int, int, int] = (0, 0, 0)
    density: float = 1.0
    seed: int = 0
    surrogate: str = "Triangular"

    keeps: tuple[str | None, str | None, str | None] = (None, None, None)
    judge: oracle.Judge | oracle.Reading | oracle.Views | None = None
    spread: int = 0  # of the delays of every synapse

    def network(self, crosses: bool = False, attached: bool = False) -> oracle.Network:
        """The case with numbers."""
        rng = np.random.default_rng(self.seed)
        (v_rate, v_drift), (a_rate, a_drift), exponential = DYNAMICS[self.dynamics]
        sizes = ((N_IN, N_HIDDEN), (N_HIDDEN, N_HIDDEN), (N_HIDDEN, N_OUT))
        synapses = []
        each = zip(sizes, self.adds, self.delays, self.keeps, strict=True)
        for (n_source, n_target), adds, delay, keeps in each:
            chosen = rng.random((n_source, n_target)) < self.density
            chosen[0, 0] = True
            i, j = np.nonzero(chosen)
            weights = rng.normal(0.4, 0.3, len(i))
            own = delay + rng.integers(0, self.spread + 1, len(i)) if self.spread else delay
            synapses.append(oracle.Synapses(i, j, weights, adds, own, keeps))
        return oracle.Network(
            {"v": v_rate, "a": a_rate},
            {"v": v_drift, "a": a_drift},
            exponential,
            THRESHOLDS[self.threshold],
            RESETS[self.reset],
            self.width,
            {
                "th": rng.uniform(0.5, 0.9, N_HIDDEN),
                "leak": rng.uniform(0.7, 1.3, N_HIDDEN),
                "drive": rng.uniform(0.1, 0.6, N_HIDDEN),
            },
            {"g": rng.uniform(0.5, 1.5, N_HIDDEN), "x": rng.normal(0, 1, N_HIDDEN)},
            *synapses,
            tau_out=8.0,
            crosses=crosses,
            attached=attached,
            surrogate=self.surrogate,
        )


@dataclass(frozen=True)
class Way:
    """A rule, with what the oracle calls the same."""

    rule: Callable[[b2e.Surrogate], Any]
    crosses: bool = False
    attached: bool = False


E_PROP = {
    "adjoint": Way(lambda surrogate: b2e.EProp(surrogate=surrogate)),
    "forward": Way(lambda surrogate: b2e.EProp(surrogate=surrogate, form="forward")),
    "chunked": Way(lambda surrogate: b2e.EProp(surrogate=surrogate, form="chunked", chunk=4)),
}
BPTT = {
    "bptt": Way(lambda surrogate: b2e.SurrogateBPTT(surrogate), crosses=True),
    "bptt, nothing detached": Way(
        lambda surrogate: b2e.SurrogateBPTT(surrogate, detach=()), crosses=True, attached=True
    ),
}


def trainer_of(
    case: Case, net: oracle.Network, way: Way, backend: str, **further: Any
) -> b2e.Trainer:
    set_device("eprop_cuda", backend=backend, precision="float64")
    defaultclock.dt = 1 * ms
    remembers = any(re.search(r"\b(n|lastspike)_", adds) for adds in case.adds)
    inputs = b2e.SpikeSource(N_IN, name="inputs")
    hidden = NeuronGroup(
        N_HIDDEN,
        f"""dv/dt = (({net.rate["v"]})*v + {net.drift["v"]})/ms : 1
            da/dt = (({net.rate["a"]})*a + {net.drift["a"]})/ms : 1
            th : 1
            leak : 1
            drive : 1
            g : 1
            x : 1
            n : integer""",
        threshold=case.threshold,
        reset=case.reset + ("; n += 1" if remembers else ""),
        refractory=0 * ms if remembers else False,
        method="exponential_euler" if net.exponential else "euler",
        name="hidden",
    )
    for name, values in {**net.own, **net.fixed}.items():
        setattr(hidden, name, values)
    readout = NeuronGroup(N_OUT, "dy/dt = -y/(8*ms) : 1", method="exact", name="readout")
    made = []
    for name, source, target, variable in (
        ("s_in", inputs, hidden, "v"),
        ("s_rec", hidden, hidden, "v"),
        ("s_out", hidden, readout, "y"),
    ):
        given: oracle.Synapses = getattr(net, name)
        synapses = brian2.Synapses(
            source,
            target,
            "w : 1" if given.keeps is None else "w : 1\nr : 1",
            on_pre=f"{variable}_post += {given.adds}"
            + ("" if given.keeps is None else f"; r = {given.keeps}"),
            name=name,
        )
        synapses.connect(i=given.i, j=given.j)
        if given.keeps is not None:
            synapses.r = 1
        synapses.delay = given.each_delay * ms
        synapses.w = given.weights
        made.append(synapses)
    own = [getattr(hidden, name) for name in net.own]
    output, loss = readout.y, b2e.MeanSquaredError()
    if case.judge is not None:
        loss = loss_of(case.judge)
    if isinstance(case.judge, oracle.Judge):
        output = hidden
        made.pop()
    return b2e.Trainer(
        brian2.Network(inputs, hidden, readout, *made),
        output=output,
        rule=way.rule(getattr(b2e, case.surrogate)(oracle.GAMMA, case.width)),
        parameters=[*(synapses.w for synapses in made), *own],
        **{"loss": loss, "optimiser": b2e.SGD(0.1), **further},
    )


def loss_of(judge: oracle.Judge | oracle.Reading | oracle.Views) -> Any:
    if isinstance(judge, oracle.Views):
        context, window = judge.context * ms, judge.window * ms
        if judge.margin is None:
            return b2e.ActivitySimilarity(window, context)
        return b2e.ContrastivePrediction(window, context, judge.margin, judge.follows)
    window = (judge.start * ms, judge.stop * ms)
    if isinstance(judge, oracle.Reading):
        return b2e.TrialCrossEntropy(window, judge.of, judge.tau * ms)
    if judge.tau is None:
        return b2e.SpikeCount(window, scale=judge.scale)
    return b2e.FirstSpikeTime(window, judge.tau * ms, judge.alpha, judge.late * ms)


def check(case: Case, backend: str, ways: Mapping[str, Way]) -> None:
    rng = np.random.default_rng(case.seed + 1)
    sent, target = rng.random((STEPS, N_IN)) < 0.4, rng.normal(0, 1, (STEPS, N_OUT))
    for label, way in ways.items():
        net = case.network(way.crosses, way.attached)
        expected = oracle.gradients(net, sent, target, case.judge)
        trainer = trainer_of(case, net, way, backend)
        labels = target[None] if case.judge is None else [case.judge.label]
        found = list(trainer.gradients(b2e.Spikes.from_dense(sent[None]), labels).values())
        if isinstance(case.judge, oracle.Judge):
            assert not expected.pop("s_out").any()
        scale = max(np.abs(part).max() for part in expected.values())
        for (name, reference), values in zip(expected.items(), found, strict=True):
            error = np.abs(values - reference).max() / scale
            assert error < TOLERANCE, f"{label}: {name} is off by {error:.1e}"
        assert np.abs(expected["s_in"]).max() > 0


@st.composite
def cases(draw: Any) -> Case:
    return Case(
        dynamics=draw(st.sampled_from(sorted(DYNAMICS))),
        threshold=draw(st.sampled_from(sorted(THRESHOLDS))),
        reset=draw(st.sampled_from(sorted(RESETS))),
        width=draw(st.sampled_from((None, 0.7))),
        adds=tuple(draw(st.sampled_from(choice)) for choice in (("w", "w*w"), AMONG, OUT)),  # type: ignore[arg-type]
        delays=tuple(draw(st.integers(0, 3)) for _ in range(3)),  # type: ignore[arg-type]
        density=draw(st.sampled_from((0.6, 1.0))),
        seed=draw(st.integers(0, 99)),
        surrogate=draw(st.sampled_from(sorted(oracle.SHAPES))),
    )


few = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@few
@given(cases())
def test_random_models(case: Case) -> None:
    check(case, "reference", E_PROP)


@few
@given(cases())
def test_random_models_by_bptt(case: Case) -> None:
    check(case, "reference", BPTT)


FIRST = oracle.Judge(1, 0, 25, tau=2.0, alpha=0.3, late=9.0)
JUDGED = {
    "first": Case(width=0.7, judge=FIRST),
    "first of a later window": Case(
        "driven adaptation", delays=(1, 2, 0), judge=replace(FIRST, start=4, stop=18), seed=2
    ),
    "some are silent": Case("shunted", judge=replace(FIRST, stop=3), surrogate="ArcTan", seed=7),
    "count": Case(judge=oracle.Judge(2, 0, 25, scale=0.7)),
    "count in a window": Case(
        "rational", judge=oracle.Judge(0, 5, 15), delays=(0, 1, 0), surrogate="SuperSpike"
    ),
}


@pytest.mark.parametrize("of", ["mean", "sum", "exponential", "linear", "max"])
@pytest.mark.parametrize("on", ["reference", "cpu", "emulated"])
def test_what_the_readout_comes_to(of: str, on: str) -> None:
    """Mean, weighted mean, sum and maximum over a window, or over all of the sample."""
    for start, stop in ((0, 25), (6, 19)):
        judge = oracle.Reading(1, start, stop, of, tau=7.0)
        case = Case("driven adaptation", judge=judge, delays=(0, 1, 2), seed=3)
        check(case, on, {"adjoint": E_PROP["adjoint"], "bptt": BPTT["bptt"]})


LIKE = oracle.Views(0.3, (3, 11), (12, 22))
PREDICTED = replace(LIKE, label=1, margin=33.0)  # some steps are within it, some beyond
VIEWS = {
    "alike": LIKE,
    "not alike": replace(LIKE, label=-0.5, context=(5, 9), window=(9, 25)),
    "goes on": PREDICTED,
    "does not": replace(PREDICTED, label=-1, margin=0.8, window=(11, 25)),
    "given context": replace(PREDICTED, follows=False),
}


@pytest.mark.parametrize("judge", VIEWS)
@pytest.mark.parametrize("on", ["reference", "cpu", "emulated"])
def test_two_views_of_a_sample(judge: str, on: str) -> None:
    """The whole gradient by the rules that wait for it, that of a given context by all."""
    ways = {"adjoint": E_PROP["adjoint"], "bptt": BPTT["bptt"]}
    check(
        Case("driven adaptation", judge=VIEWS[judge], delays=(0, 1, 2), seed=3),
        on,
        ways if VIEWS[judge].follows else {**E_PROP, **ways},
    )


@pytest.mark.parametrize(
    ("case", "on"),
    sampled(
        product(JUDGED, ["reference", "cpu", "emulated"]),
        lambda case: case[1] == "reference" or case[0].startswith("first"),
    ),
)
def test_judged_spikes(case: str, on: str) -> None:
    """Spikes that a loss judges are differentiated as the map of their surrogates is."""
    check(JUDGED[case], on, {"adjoint": E_PROP["adjoint"], **BPTT})


SPREAD = {
    "from none on": Case(adds=("w", "w", "w*g_pre"), spread=3),
    "from one on": Case(
        adds=("w", "w*exp(-(x_pre - x_post)**2)", "w"), delays=(0, 1, 2), spread=4, density=0.6
    ),
    "judged": Case(delays=(1, 2, 0), judge=FIRST, spread=2, seed=2),
}


@pytest.mark.parametrize("case", SPREAD)
@pytest.mark.parametrize("on", ["reference", "cpu", "emulated"])
def test_delays_of_every_synapse(case: str, on: str) -> None:
    """The learning signal goes back by the delay of each synapse, through long rows too."""
    check(SPREAD[case], on, {"adjoint": E_PROP["adjoint"], **BPTT})


HANDFUL = {
    "two refs of one array": Case(adds=("w", "w*exp(-(x_pre - x_post)**2)", "w*g_pre")),
    "affine": Case(adds=("w", "w - 0.2", "w - 0.3"), delays=(1, 2, 3), density=0.6),
    "not affine": Case("rational", adds=("w*w", "0.5*w + w*w", "exp(w)"), width=0.7, seed=4),
    "normalised": Case("shunted", "v/th > 1 + 0.2*a", "v *= 0.2; a += 1 + 0.1*v", delays=(0, 1, 0)),
    "arctan": Case(adds=("w", "w*g_pre*g_post", "w"), delays=(0, 2, 1), surrogate="ArcTan"),
    "superspike": Case("driven adaptation", delays=(0, 1, 0), surrogate="SuperSpike", seed=2),
    "gaussian": Case("shunted", density=0.6, surrogate="Gaussian", width=0.7, seed=5),
    "two-sided": Case("driven adaptation", "abs(v) > th + 0.2*a", "a += v; v -= th", seed=3),
}


@pytest.mark.parametrize(
    ("on", "case"),
    sampled(
        product(["reference", "cpu", "emulated"], HANDFUL),
        lambda case: case[0] == "reference" or case[1] in ("affine", "normalised", "two-sided"),
    ),
)
def test_fixed_models(case: str, on: str) -> None:
    check(HANDFUL[case], on, E_PROP | BPTT)


@pytest.mark.parametrize(
    ("on", "delays", "density"),
    sampled(
        product(["reference", "cpu", "emulated"], [(0, 0, 0), (2, 3, 1)], [1.0, 0.7]),
        lambda case: case[0] == "reference" or (case[1][0] > 0) == (case[2] < 1),
    ),
)
def test_long_rows_are_summed_as_they_lie(
    on: str, delays: tuple[int, int, int], density: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pathways, "_LONG_ROW", 1)
    adds = ("w", "w*exp(-(x_pre - x_post)**2)", "w*g_pre")
    case = Case(adds=adds, delays=delays, density=density)
    check(case, on, E_PROP | BPTT)


@dataclass(frozen=True)
class Layers:
    """Two layers: a recurrent network of which only the synapses between halves are there."""

    rule: Any
    crosses: bool = False
    straight: Any = None

    def check(self, on: str) -> None:
        rng = np.random.default_rng(3)
        sent = rng.random((STEPS, N_IN)) < 0.4
        target = rng.normal(0, 1, (STEPS, N_OUT))
        net = self.network(rng)
        expected = oracle.gradients(net, sent, target)
        samples = b2e.Spikes.from_dense(sent[None])
        *weights, th_first, th_second = (
            self.trainer(net, on).gradients(samples, target[None]).values()
        )
        found = [*weights, np.concatenate([th_first, th_second])]
        scale = max(np.abs(part).max() for part in expected.values())
        for (name, reference), values in zip(expected.items(), found, strict=True):
            assert np.abs(reference).max() > 0, name
            assert np.abs(values - reference).max() < TOLERANCE * scale, name

    def network(self, rng: np.random.Generator) -> oracle.Network:
        def pathway(sources: Any, targets: Any, delay: int) -> oracle.Synapses:
            i, j = (part.ravel() for part in np.meshgrid(sources, targets, indexing="ij"))
            return oracle.Synapses(i, j, rng.normal(0.5, 0.3, len(i)), "w", delay)

        first, second = np.arange(3), np.arange(3, 5)
        return oracle.Network(
            {"v": "-1/10", "a": "-1/50"},
            {"v": "0", "a": "0"},
            True,
            "v - th - 0.2*a",
            RESETS["v -= th; a += 1"],
            None,
            {"th": rng.uniform(0.5, 0.9, 5)},
            {},
            pathway(np.arange(N_IN), first, 1),
            pathway(first, second, 2),
            pathway(second, np.arange(N_OUT), 0),
            tau_out=8.0,
            crosses=self.crosses,
            surrogate="SuperSpike",
            straight=self.straight,
        )

    def trainer(self, net: oracle.Network, on: str) -> b2e.Trainer:
        set_device("eprop_cuda", backend=on, precision="float64")
        defaultclock.dt = 1 * ms
        layers = [
            NeuronGroup(
                size,
                "dv/dt = -v/(10*ms) : 1\nda/dt = -a/(50*ms) : 1\nth : 1",
                threshold="v > th + 0.2*a",
                reset="v -= th; a += 1",
                method="exact",
                name=name,
            )
            for name, size in (("first", 3), ("second", 2))
        ]
        layers[0].th, layers[1].th = net.own["th"][:3], net.own["th"][3:]
        inputs = b2e.SpikeSource(N_IN, name="inputs")
        readout = NeuronGroup(N_OUT, "dy/dt = -y/(8*ms) : 1", method="exact", name="readout")
        made = []
        for name, path, source, target, variable, shift in (
            ("s_in", net.s_in, inputs, layers[0], "v", (0, 0)),
            ("s_between", net.s_rec, layers[0], layers[1], "v", (0, 3)),
            ("s_out", net.s_out, layers[1], readout, "y", (3, 0)),
        ):
            synapses = brian2.Synapses(
                source,
                target,
                "w : 1",
                on_pre=f"{variable}_post += w",
                delay=path.delay * ms,
                name=name,
            )
            synapses.connect(i=path.i - shift[0], j=path.j - shift[1])
            synapses.w = path.weights
            made.append(synapses)
        return b2e.Trainer(
            brian2.Network(inputs, *layers, readout, *made),
            output=readout.y,
            loss=b2e.MeanSquaredError(),
            rule=self.rule,
            parameters=[*(synapses.w for synapses in made), *(layer.th for layer in layers)],
            optimiser=b2e.SGD(0.1),
        )


@pytest.mark.parametrize("on", ["reference", "cpu", "emulated"])
def test_layers_are_followed_through(on: str) -> None:
    Layers(b2e.SurrogateBPTT(b2e.SuperSpike(oracle.GAMMA)), crosses=True).check(on)


@pytest.mark.parametrize("on", ["reference", "cpu", "emulated"])
@pytest.mark.parametrize("form", ["adjoint", "forward", "chunked"])
def test_a_layer_hears_the_output_straight(on: str, form: Any) -> None:
    """The first layer's spikes change the outputs for the sake of their derivatives only."""
    given = np.random.default_rng(8).normal(0, 1, (3, N_OUT))
    rule = b2e.EProp(
        surrogate=b2e.SuperSpike(oracle.GAMMA),
        feedback={"first": given, "s_out": "symmetric"},
        form=form,
        chunk=6,
    )
    Layers(rule, straight=np.vstack([given, np.zeros((2, N_OUT))])).check(on)
