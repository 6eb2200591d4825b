"""E-prop of models of every kind: what is exact by differences, the rest by its two forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, Synapses, defaultclock, ms, mV, second, set_device

import brian2eprop as b2e
from brian2eprop.learning.model.membranes import reaches_threshold
from brian2eprop.learning.model.symbolic import parse

STEPS, N_IN, N_HIDDEN, N_OUT = 40, 6, 5, 3
LIF = "dv/dt = -v/tau_m : 1"
OUT = "dy/dt = (b - y)/tau_out : 1\nb : 1 (constant)\ntau_out : second (constant)"

LABELS = np.array([0, 2])


class Net:
    """A small network with what a test wants to be different."""

    def __init__(
        self,
        equations: str = LIF,
        *,
        threshold: str = "v > v_th",
        reset: str = "v -= v_th",
        method: str = "exact",
        on_pre: str = "v_post += w",
        readout: str = OUT,
        to_readout: str = "y_post += w",
        connect_out: bool = True,
        p_rec: float = 1.0,
        p_out: float = 1.0,
        drive: float = 1.0,
        refractory: Any = False,
    ) -> None:
        set_device("eprop_cuda", backend="cpu", precision="float64", seed=8)
        defaultclock.dt = 1 * ms
        rng = np.random.default_rng(8)
        tau_m, v_th = 20 * ms, 1.0
        space = {"tau_m": tau_m, "tau_s": 5 * ms, "tau_a": 50 * ms, "v_th": v_th, "beta": 0.2}
        self.inputs = b2e.SpikeSource(N_IN, name="inputs")
        self.hidden = NeuronGroup(
            N_HIDDEN,
            equations,
            threshold=threshold,
            reset=reset,
            method=method,
            refractory=refractory,
            namespace=space,
            name="hidden",
        )
        self.readout = NeuronGroup(N_OUT, readout, method="exact", name="readout")
        if "tau_out" in readout:
            self.readout.tau_out = np.linspace(10, 30, N_OUT) * ms
        self.w_in = Synapses(self.inputs, self.hidden, "w : 1", on_pre=on_pre, name="w_in")
        self.w_in.connect()
        self.w_in.w = drive * rng.normal(0.3, 0.5, N_IN * N_HIDDEN)
        self.w_rec = Synapses(self.hidden, self.hidden, "w : 1", on_pre=on_pre, name="w_rec")
        self.w_rec.connect(condition=f"rand() < {p_rec}")
        self.w_rec.w = drive * rng.normal(0, 0.4, len(self.w_rec))
        self.w_out = Synapses(self.hidden, self.readout, "w : 1", on_pre=to_readout, name="w_out")
        self.w_out.connect(p=p_out if connect_out else 0.0)
        self.w_out.w = rng.normal(0, 0.5, len(self.w_out))
        self.network = Network(
            self.inputs, self.hidden, self.readout, self.w_in, self.w_rec, self.w_out
        )
        self.spikes = b2e.Spikes.from_dense(rng.random((2, STEPS, N_IN)) < 0.3)

    def trainer(self, parameters: list[Any], rule: b2e.EProp | None = None) -> b2e.Trainer:
        return b2e.Trainer(
            self.network,
            output=self.readout.y,
            loss=b2e.CrossEntropy(window=(5 * ms, STEPS * ms)),
            rule=rule or b2e.EProp(),
            parameters=parameters,
            optimiser=b2e.SGD(1.0),
        )

    def gradients(self, parameters: list[Any], form: str = "adjoint") -> dict[str, Any]:
        trainer = self.trainer(parameters, b2e.EProp(form=form, chunk=6))  # type: ignore[arg-type]
        assert trainer.evaluate(self.spikes, [0, 2]).rates["hidden"] > 20
        return trainer.gradients(self.spikes, [0, 2])


def slopes(net: Net, view: Any, step: float = 1e-5) -> Any:
    """Central differences of the loss by each element of a variable."""
    values = np.array(view[:], dtype=float)
    unit = 1.0 if view.dim.is_dimensionless else second
    trainer = net.trainer([net.w_out.w])
    found = np.zeros_like(values)
    for n in range(len(values)):
        losses = []
        for sign in (1, -1):
            moved = values.copy()
            moved[n] *= 1 + sign * step
            view[:] = moved * unit
            losses.append(trainer.evaluate(net.spikes, [0, 2]).loss)
        found[n] = (losses[0] - losses[1]) / (2 * step * values[n])
    view[:] = values * unit
    return found


@pytest.mark.parametrize("name", ["b", "tau_out"])
def test_gradient_of_a_readouts_parameter_is_the_slope_of_the_loss(name: str) -> None:
    """Nothing between them and the loss spikes; tau_out's derivative depends on the state."""
    net = Net()
    net.readout.b = [0.3, -0.2, 0.5]
    view = getattr(net.readout, name)
    found = net.gradients([view])[f"readout_{name}"]
    np.testing.assert_allclose(found, slopes(net, view), rtol=1e-6)


def test_gradient_of_sparse_output_weights_is_the_slope_of_the_loss() -> None:
    net = Net(p_out=0.6)
    found = net.gradients([net.w_out.w])["w_out_w"]
    np.testing.assert_allclose(found, slopes(net, net.w_out.w), rtol=1e-6, atol=1e-9)


def test_gradient_through_a_readout_with_a_synaptic_current() -> None:
    two = "dy/dt = (x - y)/(20*ms) : 1\ndx/dt = -x/(4*ms) : 1"
    net = Net(readout=two, to_readout="x_post += w")
    found = net.gradients([net.w_out.w])["w_out_w"]
    np.testing.assert_allclose(found, slopes(net, net.w_out.w), rtol=1e-6, atol=1e-9)


UNIFORM = "dy/dt = (b - y)/(20*ms) : 1\nb : 1 (constant)"
KINDS = {
    "bias current": ({"equations": "dv/dt = (c - v)/tau_m : 1\nc : 1 (constant)"}, ["c"]),
    "membrane time": ({"equations": "dv/dt = -v/tau : 1\ntau : second (constant)"}, ["tau"]),
    "threshold": (
        {"equations": LIF + "\nth : 1 (constant)", "threshold": "v > th", "reset": "v -= th"},
        ["th"],
    ),
    "adaptation current": (
        {
            "equations": "dv/dt = (-v - k)/tau_m : 1\ndk/dt = -k/tau_a : 1",
            "reset": "v -= v_th; k += 0.2",
        },
        [],
    ),
    "multiplicative adaptation": (
        {
            "equations": LIF + "\nda/dt = -a/tau_a : 1",
            "threshold": "v > v_th + beta*a",
            "reset": "v -= v_th; a = 0.8*a + 1 - 0.1*v",
        },
        [],
    ),
    "nonlinear": ({"equations": "dv/dt = (0.3*v**2 - v)/tau_m : 1", "method": "euler"}, []),
    "exponential euler": (
        {
            "equations": "dv/dt = -v*(1 + a)/tau_m : 1\nda/dt = -a/tau_a : 1",
            "method": "exponential_euler",
            "reset": "v = 0; a += 0.5",
        },
        [],
    ),
    "two increments": (
        {
            "equations": "dv/dt = (x - v)/tau_m : 1\ndx/dt = -x/tau_s : 1",
            "on_pre": "v_post += 0.3*w; x_post += 2*w",
        },
        [],
    ),
    "refractory": (
        {"equations": LIF + " (unless refractory)", "refractory": 3 * ms, "on_pre": "v_post += w"},
        [],
    ),
    "sparse": ({"p_rec": 0.5, "p_out": 0.7}, []),
    "two-variable readout": (
        {
            "readout": "dy/dt = (x - y)/(20*ms) : 1\ndx/dt = -x/(4*ms) : 1",
            "to_readout": "x_post += w",
        },
        [],
    ),
    "two increments onto the readout": (
        {
            "readout": "dy/dt = (x - y)/(20*ms) : 1\ndx/dt = -x/(4*ms) : 1",
            "to_readout": "y_post += 0.3*w; x_post += 2*w",
        },
        [],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_forms_agree(kind: str) -> None:
    """Programs that share the derivatives only: the same numbers to rounding."""
    options, own = KINDS[kind]
    found = []
    for form in ("adjoint", "forward", "chunked"):
        net = Net(**{"readout": UNIFORM, **options})
        if "c" in own:
            net.hidden.c = np.linspace(0.1, 0.5, N_HIDDEN)
        if "tau" in own:
            net.hidden.tau = np.linspace(8, 30, N_HIDDEN) * ms
        if "th" in own:
            net.hidden.th = np.linspace(0.7, 1.2, N_HIDDEN)
        views = [net.w_in.w, net.w_rec.w, net.w_out.w, *(getattr(net.hidden, n) for n in own)]
        found.append(net.gradients(views, form))
    for name, adjoint in found[0].items():
        scale = np.abs(adjoint).max()
        assert scale > 0, name
        for other in found[1:]:
            assert np.abs(adjoint - other[name]).max() / scale < 1e-10, name


def test_adaptation_counts_and_the_membranes_reset_does_not() -> None:
    """Detaching the adaptation as well changes the gradient; naming the membrane does not."""
    adaptive = {
        "equations": LIF + "\nda/dt = -a/tau_a : 1",
        "threshold": "v > v_th + beta*a",
        "reset": "v -= v_th; a += 1",
    }
    found = []
    for detach in (None, ("hidden_v",), ("hidden_v", "hidden_a")):
        net = Net(**adaptive)
        trainer = net.trainer([net.w_in.w], b2e.EProp(detach=detach))
        found.append(trainer.gradients(net.spikes, [0, 2])["w_in_w"])
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() > 1e-3 * np.abs(found[0]).max()


ADAPTIVE = {
    "equations": LIF + "\nda/dt = -a/tau_a : 1\nth : 1 (constant)",
    "reset": "v -= th; a += 1",
    "readout": UNIFORM,
}
SPELLINGS = (
    "v > th + 0.2*a",
    "th + 0.2*a < v",
    "v - 0.2*a >= th",
    "3*v > 3*th + 0.6*a",
    "v/th > 1 + 0.2*a/th",
    "(v - beta*a)/th > 1",
    "beta*(v - th) > beta*beta*a",
    "exp(beta)*v > exp(beta)*(th + beta*a)",
    "-v < -th - beta*a",
)


@pytest.mark.parametrize("form", ["adjoint", "forward"])
@pytest.mark.parametrize("threshold", SPELLINGS[1:])
def test_what_is_detached_does_not_depend_on_how_the_threshold_is_spelled(
    threshold: str, form: str
) -> None:
    found = []
    for spelling in (SPELLINGS[0], threshold):
        net = Net(**ADAPTIVE, threshold=spelling)
        net.hidden.th = np.linspace(0.6, 1.2, N_HIDDEN)
        found.append(net.gradients([net.w_in.w, net.w_rec.w], form))
    for name, expected in found[0].items():
        # Another order of a few hundred operations of rounding 1e-16 each.
        np.testing.assert_allclose(found[1][name], expected, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize(
    "threshold",
    [
        "abs(v) > v_th + beta*a",
        "v*v > v_th + beta*a",
        "exp(v) > exp(v_th) + a",
        "v*g > v_th + a",
        "v/(v_th + beta*a) > 1",
    ],
)
@pytest.mark.parametrize("v", [0.0, 1.5])
def test_the_membrane_is_what_rises_to_the_threshold(threshold: str, v: float) -> None:
    """Also where the distance's slope depends on the state, and where neurons start above it."""
    found = []
    for detach in (None, ("hidden_v",), ()):
        net = Net(
            LIF + "\nda/dt = -a/tau_a : 1\ng : 1", threshold=threshold, reset="v *= 0.3; a += 0.2"
        )
        net.hidden.g, net.hidden.v = np.linspace(0.8, 1.5, N_HIDDEN), v
        rule = b2e.EProp(detach=detach, surrogate=b2e.Triangular(width=1))
        found.append(net.trainer([net.w_in.w], rule).gradients(net.spikes, [0, 2])["w_in_w"])
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.allclose(found[0], found[2])


@pytest.mark.parametrize(
    ("distance", "reached"),
    [("v - 3", True), ("1/(v - 1) - 3", False), ("log(v) - 3", True)],
)
def test_a_threshold_is_not_reached_at_a_pole(distance: str, reached: bool) -> None:
    """From 0 a step of length 1 meets the pole itself, where the distance is infinite."""
    found = reaches_threshold(parse(distance), "v", {"v": np.array([0.0, 0.5, 0.7])})
    assert found.tolist() == [reached] * 3


def test_the_only_state_of_a_threshold_is_its_membrane() -> None:
    found = []
    for detach in (None, ("hidden_v",)):
        net = Net(threshold="-v > 0.4*v_th", reset="v = 0")
        rule = b2e.EProp(detach=detach, surrogate=b2e.Triangular(width=1))
        found.append(net.trainer([net.w_in.w], rule).gradients(net.spikes, [0, 2])["w_in_w"])
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize(
    ("threshold", "why"),
    [
        ("-v > v_th + beta*a", "the rise of no variable alone takes a neuron there"),
        ("v > v_th + c*a", "the rise of 'hidden.a' takes some neurons there and others not"),
    ],
)
def test_a_membrane_that_cannot_be_told_is_to_be_named(threshold: str, why: str) -> None:
    net = Net(LIF + "\nda/dt = -a/tau_a : 1\nc : 1", threshold=threshold, reset="v = 0; a += 1")
    net.hidden.c = np.linspace(-1, 1, N_HIDDEN)
    with pytest.raises(b2e.LearningError) as caught:
        net.trainer([net.w_in.w])
    written = threshold.replace("*", " * ")
    assert str(caught.value) == (
        "EProp cannot tell which state takes hidden_spike_thresholder to the threshold "
        f"'{written}': {why}. Name those of hidden_a, hidden_v whose reset is to be left out of "
        "the derivative: EProp(detach=('...',))."
    )
    net.trainer([net.w_in.w], b2e.EProp(detach=("hidden_v",)))


def test_a_threshold_sees_the_flags_of_before_its_spikes() -> None:
    """Whoever may spike is not refractory, so a factor that says so changes nothing."""
    found = []
    for factor in ("", "*int(not_refractory)"):
        net = Net(
            LIF + "\nda/dt = -a/tau_a : 1",
            threshold=f"v > v_th + beta*a{factor}",
            reset="v -= v_th; a += 1",
            refractory=3 * ms,
        )
        found.append(net.gradients([net.w_in.w])["w_in_w"])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)


def test_random_feedback_is_drawn_by_the_seed() -> None:
    def gradient(seed: int) -> Any:
        net = Net()
        trainer = b2e.Trainer(
            net.network,
            output=net.readout.y,
            loss=b2e.CrossEntropy(),
            rule=b2e.EProp(feedback="random"),
            parameters=[net.w_in.w],
            optimiser=b2e.SGD(1.0),
            seed=seed,
        )
        return trainer.gradients(net.spikes, [0, 2])["w_in_w"]

    np.testing.assert_array_equal(gradient(1), gradient(1))
    assert not np.array_equal(gradient(1), gradient(2))


REFUSED = {
    "source at a spike": (
        {"to_readout": "y_post += w; v_pre = 0"},
        r"w_out_pre changes 'v_pre' at a spike, which is no variable of the target or of the syn",
    ),
    "noise": (
        {"to_readout": "y_post += w*(rand() < 0.9)"},
        r"w_out_pre draws random numbers in a run .*Leave them out, or give the noise as input",
    ),
    "synapse at a spike": (
        {"to_readout": "y_post += w; w *= 0.9"},
        r"w_out_pre carries the learning signal and so must add exactly one synaptic variable",
    ),
    "threshold": (
        {"threshold": "v > v_th or v < -5"},
        r"threshold '.*' of hidden_\w+ cannot be differentiated. Write it as one comparison",
    ),
    "no width": (
        {"threshold": "v > 0*v_th", "reset": "v = 0"},
        r"pseudo-derivative of hidden_\w+ has no width.*Triangular\(width=",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_trained_is_refused(case: str) -> None:
    options, text = REFUSED[case]
    options = {"to_readout": "y_post += w", **options}
    net = Net(**options)
    with pytest.raises(b2e.LearningError, match=text):
        net.trainer([net.w_in.w])


def test_output_that_is_no_state_is_refused() -> None:
    net = Net()
    text = "output 'readout.b' is no state variable of the network. Name one"
    with pytest.raises(b2e.LearningError, match=text):
        b2e.Trainer(
            net.network,
            output=net.readout.b,
            loss=b2e.CrossEntropy(),
            rule=b2e.EProp(),
            parameters=[net.w_in.w],
            optimiser=b2e.SGD(1.0),
        )


def test_population_without_a_readout_is_refused() -> None:
    net = Net()
    others = NeuronGroup(
        4,
        LIF,
        threshold="v > 1",
        reset="v = 0",
        method="exact",
        name="others",
        namespace={"tau_m": 10 * ms},
    )
    w_others = Synapses(net.hidden, others, "w : 1", on_pre="v_post += w", name="w_others")
    w_others.connect()
    net.network.add(others, w_others)
    text = (
        r"'w_others.w' is to be trained, but .*'others.v'.* no synapses onto the output.* Connect"
    )
    for form in ("adjoint", "forward"):
        with pytest.raises(b2e.LearningError, match=text):
            net.trainer([w_others.w], b2e.EProp(form=form))  # type: ignore[arg-type]


def test_readout_that_is_not_the_output_is_refused() -> None:
    """Its gradient would be zero; so would that of what only reaches it."""
    net = Net(readout=UNIFORM)
    other = NeuronGroup(2, UNIFORM, method="exact", name="other")
    w_other = Synapses(net.hidden, other, "w : 1", on_pre="y_post += w", name="w_other")
    w_other.connect()
    net.network.add(other, w_other)
    for form in ("adjoint", "forward"):
        for view, name in ((w_other.w, "w_other.w"), (other.b, "other.b")):
            with pytest.raises(b2e.LearningError, match=f"'{name}' is to be trained, but"):
                net.trainer([view], b2e.EProp(form=form))  # type: ignore[arg-type]


def test_output_that_spikes_is_for_the_adjoint_form() -> None:
    net = Net()
    for form, refused in (("adjoint", False), ("forward", True)):
        rule = b2e.EProp(form=form)  # type: ignore[arg-type]
        task: dict[str, Any] = {"loss": b2e.CrossEntropy(), "optimiser": b2e.SGD(1.0)}
        task |= {"output": net.hidden.v, "parameters": [net.w_in.w], "rule": rule}
        if refused:
            with pytest.raises(b2e.LearningError, match=r"'hidden.v' spike, .*form='adjoint'"):
                b2e.Trainer(net.network, **task)
        else:
            found = b2e.Trainer(net.network, **task).gradients(net.spikes, [0, 2])
            assert np.abs(found["w_in_w"]).max() > 0


def test_forward_form_needs_readouts_that_filter_alike() -> None:
    net = Net()
    with pytest.raises(b2e.LearningError, match=r"(?s)'tau_out' in .* Use EProp\(form='adjoint'\)"):
        net.trainer([net.w_in.w], b2e.EProp(form="forward"))


@pytest.mark.parametrize(("option", "value"), [("feedback", "antisymmetric"), ("form", "sideways")])
def test_unknown_option(option: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"EProp has no {option} '{value}'. Choose one of"):
        b2e.EProp(**{option: value})


def test_unknown_state_to_detach() -> None:
    net = Net()
    with pytest.raises(
        b2e.LearningError,
        match="'hidden_u' is no state variable of the network and cannot be detached",
    ):
        net.trainer([net.w_in.w], b2e.EProp(detach=("hidden_u",)))


def test_units_do_not_matter() -> None:
    """The same network in volts: the gradient by a weight in volts is that by its number."""
    net = Net(
        "dv/dt = -v/tau_m : volt",
        threshold="v > v_th*mV",
        reset="v -= v_th*mV",
        on_pre="v_post += w*mV",
    )
    plain = Net()
    found = net.gradients([net.w_in.w])["w_in_w"]
    np.testing.assert_allclose(found, plain.gradients([plain.w_in.w])["w_in_w"], rtol=1e-9)


VOLTS = {
    "equations": "dv/dt = (E_L - v)/tau_m : volt\nE_L : volt (constant)\nth : volt (constant)",
    "threshold": "v > th",
    "reset": "v = E_L",
    "on_pre": "v_post += 20*w*mV",
}


def in_volts(rest: float) -> Net:
    net = Net(**VOLTS)
    net.hidden.E_L, net.hidden.v, net.hidden.th = rest * mV, rest * mV, (rest + 20) * mV
    return net


@pytest.mark.parametrize("width", ["th - E_L", "20*mV", "-(E_L - th)", 20 * mV, 0.02])
def test_width_of_a_potential_that_rests_elsewhere(width: Any) -> None:
    """At rest at -70 mV with a width of 20 mV as at rest at 0, where that is the default."""
    plain, net = in_volts(0), in_volts(-70)
    rule = b2e.EProp(surrogate=b2e.Triangular(width=width))
    expected = plain.gradients([plain.w_in.w])["w_in_w"]
    found = net.trainer([net.w_in.w], rule).gradients(net.spikes, [0, 2])["w_in_w"]
    assert np.abs(expected).max() > 0
    # Potentials of 70 mV instead of 20 lose a digit more.
    np.testing.assert_allclose(found, expected, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (
            None,
            "The pseudo-derivative of hidden_spike_thresholder has no width: by default that is "
            "the distance to the threshold 'v > th' where all state is zero, and there no neuron "
            "is below it. Give it one, such as Triangular(width=20*mV) or "
            "Triangular(width='v_th - E_L').",
        ),
        (
            "E_L - th",
            "The width 'E_L - th' of Triangular is not positive for every neuron of "
            "hidden_spike_thresholder. Give one that is.",
        ),
        (
            "th - E_K",
            "The width 'th - E_K' of Triangular has 'E_K', which is neither a unit nor in the "
            "equations that hidden_spike_thresholder belongs to. Write it with their names, or "
            "give a number or Quantity.",
        ),
    ],
)
def test_a_width_without_meaning_is_refused(width: Any, text: str) -> None:
    net = in_volts(-70)
    with pytest.raises(b2e.LearningError) as caught:
        net.trainer([net.w_in.w], b2e.EProp(surrogate=b2e.Triangular(width=width)))
    assert str(caught.value) == text


@pytest.mark.parametrize("form", ["adjoint", "forward"])
def test_delays_of_each_synapse_are_those_of_pathways_apart(form: Any) -> None:
    """A synapse has the same gradient as in a pathway whose synapses all have its delay."""

    def gradients(apart: bool) -> tuple[float, np.ndarray, np.ndarray]:
        net = Net(readout="dy/dt = -y/(20*ms) : 1")
        weights, delays = [], []
        for made in (net.w_in, net.w_rec):
            i, j, w = made.i[:], made.j[:], np.array(made.w[:])
            steps = (3 * i + 2 * j) % 4
            groups = range(4) if apart else [slice(None)]
            net.network.remove(made)
            for group in groups:
                which = steps == group if apart else np.ones(len(i), bool)
                part = Synapses(made.source, made.target, "w : 1", on_pre="v_post += w")
                part.connect(i=i[which], j=j[which])
                part.w = w[which]
                part.delay = steps[which] * ms
                net.network.add(part)
                weights.append(part.w)
                delays.append((made is net.w_in, np.flatnonzero(which), len(i)))
        trainer = net.trainer(weights, b2e.EProp(form=form))
        found = trainer.gradients(net.spikes, LABELS)
        whole = {True: np.zeros(len(net.w_in)), False: np.zeros(len(net.w_rec))}
        for (is_input, where, _), gradient in zip(delays, found.values(), strict=True):
            whole[is_input][where] = gradient
        return (
            trainer.evaluate(net.spikes, LABELS).loss,
            whole[True],
            whole[False],
        )

    loss, w_in, w_rec = gradients(apart=False)
    wanted_loss, wanted_in, wanted_rec = gradients(apart=True)
    assert loss == pytest.approx(wanted_loss, rel=1e-12)
    np.testing.assert_allclose(w_in, wanted_in, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(w_rec, wanted_rec, rtol=1e-10, atol=1e-14)
    assert np.abs(w_rec).max() > 1e-6


def test_the_forward_form_follows_one_delay_a_pathway() -> None:
    net = Net()
    net.w_out.delay = "j*ms"
    with pytest.raises(b2e.LearningError) as caught:
        net.trainer([net.w_in.w], b2e.EProp(form="forward"))
    assert str(caught.value) == (
        "The synapses of w_out_pre have delays of their own, which the forward form does not "
        "follow. Give all of them the same delay, or use EProp(form='adjoint')."
    )


def test_given_feedback_follows_every_delay() -> None:
    """Feedback that is given as the weights are is the symmetric one, delay by delay."""
    found = {}
    for which in ("symmetric", "given", "one delay"):
        net = Net()
        if which != "one delay":
            net.w_out.delay = "((i + 2*j) % 4)*ms"
        matrix = np.zeros((len(net.hidden), len(net.readout)))
        matrix[net.w_out.i[:], net.w_out.j[:]] = net.w_out.w[:]
        rule = b2e.EProp(feedback={"w_out": matrix} if which == "given" else "symmetric")
        trainer = net.trainer([net.w_in.w], rule)
        (found[which],) = trainer.gradients(net.spikes, LABELS).values()
    np.testing.assert_allclose(found["given"], found["symmetric"], rtol=1e-10, atol=1e-14)
    assert np.abs(found["given"] - found["one delay"]).max() > 1e-6


def test_samples_know_nothing_of_when_synapses_were_formed() -> None:
    """Synapses that were added in a run of the network hear a sample from its first step on."""

    def loss(late: bool) -> float:
        net = Net(p_rec=0.0)
        net.w_in.delay = 3 * ms
        pairs = {"i": [0, 1, 2], "j": [1, 2, 3]}
        if not late:
            net.w_rec.connect(**pairs)
        net.inputs.spikes = b2e.Spikes.from_dense(np.zeros((1, 20, N_IN)))
        state = np.array(net.hidden.v[:])
        net.network.run(20 * ms)
        if late:
            net.w_rec.connect(**pairs)
        net.w_rec.w = 0.4
        net.w_rec.delay = 2 * ms
        net.hidden.v = state
        net.readout.y = 0
        return net.trainer([net.w_in.w]).evaluate(net.spikes, LABELS).loss

    assert loss(late=True) == loss(late=False)
