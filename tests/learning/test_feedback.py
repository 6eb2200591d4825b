"""Feedback that is given: the weights that carry the learning signal back."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, Synapses, ms, mV, set_device

import brian2eprop as b2e
from brian2eprop.device.program import Dense, Sparse
from brian2eprop.learning.feedback.pathways import FeedbackPathway, random, symmetric

Form = Literal["adjoint", "forward", "chunked"]

N_IN, N_HIDDEN, N_OUT, STEPS = 5, 6, 3, 40


def make_trainer(
    feedback: Any,
    form: Form,
    dense: bool,
    seed: int | None = None,
    optimiser: Any = None,
    constraint: Any = None,
    backend: str = "cpu",
    rate: float | None = None,
) -> tuple[b2e.Trainer, Any]:
    """A trainer, and its output weights as an array (nan where there is no synapse)."""
    set_device("eprop_cuda", backend=backend, precision="float64")
    rng = np.random.default_rng(3)
    inputs = b2e.SpikeSource(N_IN, name="inputs")
    hidden = NeuronGroup(
        N_HIDDEN,
        "dv/dt = -v/(10*ms) : 1",
        threshold="v > 1",
        reset="v -= 1",
        method="exact",
        name="hidden",
    )
    readout = NeuronGroup(N_OUT, "dy/dt = -y/(20*ms) : 1", method="exact", name="readout")
    w_in = Synapses(inputs, hidden, "w : 1", on_pre="v_post += w", name="w_in")
    w_in.connect()
    w_in.w = rng.normal(0.4, 0.5, len(w_in))
    w_out = Synapses(hidden, readout, "w : 1", on_pre="y_post += w", name="w_out")
    chosen = rng.permutation(N_HIDDEN * N_OUT)[: None if dense else 11]
    w_out.connect(i=chosen // N_OUT, j=chosen % N_OUT)
    w_out.w = rng.normal(0, 1, len(w_out))
    matrix = np.full((N_HIDDEN, N_OUT), np.nan)
    matrix[w_out.i[:], w_out.j[:]] = w_out.w[:]
    trainer = b2e.Trainer(
        Network(inputs, hidden, readout, w_in, w_out),
        output=readout.y,
        loss=b2e.CrossEntropy(),
        rule=b2e.EProp(feedback=feedback, form=form, chunk=7),
        parameters=[w_in.w, w_out.w],
        optimiser=optimiser or b2e.SGD(0.1),
        constraints={} if constraint is None else {w_out.w: constraint},
        learning_rates={} if rate is None else {w_out.w: rate},
        seed=seed,
    )
    return trainer, matrix


def gradients(trainer: b2e.Trainer) -> Any:
    spikes = np.random.default_rng(4).random((1, STEPS, N_IN)) < 0.3
    return trainer.gradients(b2e.Spikes.from_dense(spikes), [1])


@pytest.mark.parametrize("dense", [True, False], ids=["dense", "sparse"])
@pytest.mark.parametrize("form", ["adjoint", "forward"])
def test_output_weights_as_given_feedback_are_symmetric_feedback(form: Form, dense: bool) -> None:
    symmetric, weights = make_trainer("symmetric", form, dense)
    expected = gradients(symmetric)
    given, _ = make_trainer({"w_out": np.nan_to_num(weights)}, form, dense)
    found = gradients(given)
    assert np.abs(expected["w_in_w"]).max() > 0
    for name, reference in expected.items():
        np.testing.assert_array_equal(found[name], reference)


def test_the_learning_signal_is_proportional_to_given_feedback() -> None:
    feedback = np.random.default_rng(5).normal(0, 1, (N_HIDDEN, N_OUT))
    once, _ = make_trainer({"w_out": feedback}, "adjoint", dense=True)
    twice, _ = make_trainer({"w_out": 2 * feedback}, "adjoint", dense=True)
    before, after = gradients(once), gradients(twice)
    np.testing.assert_array_equal(after["w_in_w"], 2 * before["w_in_w"])
    np.testing.assert_array_equal(after["w_out_w"], before["w_out_w"])


@pytest.mark.parametrize(
    ("feedback", "cause", "remedy"),
    [
        ({"w_out": np.ones((3, 6))}, r"'w_out' has the shape \(3, 6\)", r"of shape \(6, 3\)"),
        ({"w_out": np.full((6, 3), np.nan)}, "'w_out' is not finite", "Give finite weights"),
        ({}, "no feedback for the synapses 'w_out'", r"Add 'w_out': an array of shape \(6, 3\)"),
        (
            {"w_out": np.ones((6, 3)), "w_in": np.ones((5, 6))},
            "feedback for 'w_in', but no synapses of that name",
            "Those that do are w_out",
        ),
        ({"w_out": np.ones((6, 3)) * mV}, "'w_out' has the unit", "in no unit, or plain numbers"),
        ({"w_out": np.ones((6, 3)) * 1j}, "'w_out' is no array of real", r"of shape \(6, 3\)"),
        ({"w_out": [["a"] * 3] * 6}, "'w_out' is no array of real", r"of shape \(6, 3\)"),
        ({"w_out": [[1.0], [1.0, 2.0]]}, "'w_out' is no array of real", r"of shape \(6, 3\)"),
        ({"hidden": np.ones((6, 3)) * mV}, "'hidden' has the unit", "in no unit, or plain"),
        (
            {"w_oot": "random"},
            "no feedback for the synapses 'w_out'.* for 'w_oot', but the names here are hidden, ",
            r"w_in, w_out; Synapses\(\.\.\., name='w_oot'\) would",
        ),
        (
            {"w_out": "random", "w_oot": "random"},
            "given feedback for 'w_oot', but no synapses",
            r"Synapses\(\.\.\., name='w_oot'\) would name synapses so",
        ),
    ],
)
def test_feedback_that_does_not_fit(feedback: Any, cause: str, remedy: str) -> None:
    with pytest.raises(b2e.LearningError, match=f"EProp.*{cause}.*{remedy}"):
        make_trainer(feedback, "adjoint", dense=True)


def in_volts(**settings: Any) -> Any:
    """Gradients, where the output weights are voltages."""
    set_device("eprop_cuda", backend="reference", precision="float64")
    inputs = b2e.SpikeSource(2, name="inputs")
    hidden = NeuronGroup(
        3, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v -= 1", name="hidden"
    )
    readout = NeuronGroup(2, "dy/dt = -y/(20*ms) : volt", method="exact", name="readout")
    w_in = Synapses(inputs, hidden, "w : 1", on_pre="v_post += w", name="w_in")
    w_out = Synapses(hidden, readout, "w : volt", on_pre="y_post += w", name="w_out")
    for made, weight in ((w_in, 0.9), (w_out, 1 * mV)):
        made.connect()
        made.w = weight
    trainer = b2e.Trainer(
        Network(inputs, hidden, readout, w_in, w_out), output=readout.y, loss=b2e.CrossEntropy(),
        rule=b2e.EProp(**settings), parameters=[w_in.w], optimiser=b2e.SGD(0.1), seed=1,
    )  # fmt: skip
    return trainer.gradients(b2e.Spikes.from_dense(np.ones((1, 9, 2), bool)), [1])["w_in_w"]


MATRIX = np.array([[1.0, 2], [3, -4], [0.5, 1]])


@pytest.mark.parametrize("name", ["w_out", "hidden"])
def test_feedback_in_the_unit_of_the_output_weights(name: str) -> None:
    found = in_volts(feedback={name: MATRIX * mV})
    assert found.any()
    np.testing.assert_allclose(found, in_volts(feedback={name: MATRIX * 1e-3}), rtol=1e-14)
    np.testing.assert_allclose(1e3 * found, in_volts(feedback={name: MATRIX}), rtol=1e-13)
    with pytest.raises(b2e.LearningError, match=r"has the unit .*; give values in V, or plain"):
        in_volts(feedback={name: MATRIX * ms})


def test_the_scale_of_feedback_has_the_unit_of_the_output_weights() -> None:
    for kind in ("random", {"w_out": "random"}):
        found = in_volts(feedback=kind, feedback_scale=2 * mV)
        assert found.any()
        np.testing.assert_array_equal(found, in_volts(feedback=kind, feedback_scale=2e-3))
        with pytest.raises(b2e.LearningError, match="feedback_scale, for 'w_out', has the unit"):
            in_volts(feedback=kind, feedback_scale=2 * ms)


def test_feedback_without_the_synapses_name() -> None:
    with pytest.raises(ValueError, match=r"EProp's feedback is neither.*\{'w_out': array\}"):
        b2e.EProp(feedback=np.ones((6, 3)))  # type: ignore[arg-type]


@pytest.mark.parametrize("n_targets", [63, 64])
def test_rows_that_are_long_in_the_mean_are_summed_as_they_lie(n_targets: int) -> None:
    """Whatever the kind of connectivity: half of 128 targets is as long a row as all of 64."""
    tables = {
        "w_out:row": n_targets * np.arange(11),
        "w_out:target": np.tile(2 * np.arange(n_targets), 10),
    }
    for pathway in (Dense("w_out", 10, n_targets), Sparse("w_out", 10, 128, 10 * n_targets)):
        turned = symmetric(FeedbackPathway("w_out_pre", pathway, tables), "w_out.w").turned
        assert turned == (n_targets < 64)


@pytest.mark.parametrize("form", ["adjoint", "forward"])
def test_the_signal_may_come_straight_to_neurons_with_synapses_onto_the_output(form: Form) -> None:
    symmetric, weights = make_trainer("symmetric", form, dense=True)
    expected = gradients(symmetric)
    found = gradients(make_trainer({"hidden": weights}, form, dense=True)[0])
    for name, reference in expected.items():
        np.testing.assert_allclose(found[name], reference, rtol=1e-12)


def layered(feedback: Any, form: Form, n_readouts: int = 1) -> b2e.Trainer:
    """A layer between input and the one with synapses onto one or more readouts."""
    set_device("eprop_cuda", backend="cpu", precision="float64")
    rng = np.random.default_rng(6)
    inputs = b2e.SpikeSource(N_IN, name="inputs")
    model = {"threshold": "v > 1", "reset": "v -= 1", "method": "exact"}
    first = NeuronGroup(4, "dv/dt = -v/(10*ms) : 1", name="first", **model)
    last = NeuronGroup(N_HIDDEN, "dv/dt = -v/(10*ms) : 1", name="last", **model)
    readouts = [
        NeuronGroup(N_OUT + n, "dy/dt = -y/(20*ms) : 1", method="exact", name=f"readout_{n}")
        for n in range(n_readouts)
    ]
    pairs = [(inputs, first), (first, last), *((last, readout) for readout in readouts)]
    made = []
    for source, target in pairs:
        variable = "y" if target in readouts else "v"
        w = Synapses(
            source, target, "w : 1", on_pre=f"{variable}_post += w", name=f"to_{target.name}"
        )
        w.connect()
        w.w = rng.normal(0.5, 0.5, len(w))
        made.append(w)
    return b2e.Trainer(
        Network(inputs, first, last, *readouts, *made),
        output=[readout.y for readout in readouts],
        loss=[b2e.CrossEntropy() for _ in readouts],
        rule=b2e.EProp(feedback=feedback, form=form, chunk=7),
        parameters=[w.w for w in made],
        optimiser=b2e.SGD(0.1),
        seed=2,
    )


def layered_gradients(trainer: b2e.Trainer, n_readouts: int = 1) -> Any:
    spikes = np.random.default_rng(4).random((1, STEPS, N_IN)) < 0.5
    labels = [[1]] * n_readouts if n_readouts > 1 else [1]
    return trainer.gradients(b2e.Spikes.from_dense(spikes), labels)


@pytest.mark.parametrize("form", ["adjoint", "forward", "chunked"])
def test_outputs_stand_side_by_side_in_what_is_given_to_neurons(form: Form) -> None:
    matrix = np.random.default_rng(7).normal(0, 1, (N_HIDDEN, 2 * N_OUT + 1))
    first = np.random.default_rng(8).normal(0, 1, (4, 2 * N_OUT + 1))
    apart = {"to_readout_0": matrix[:, :N_OUT], "to_readout_1": matrix[:, N_OUT:]}
    expected = layered_gradients(layered({"first": first, **apart}, form, 2), 2)
    found = layered_gradients(layered({"first": first, "last": matrix}, form, 2), 2)
    for name, reference in expected.items():
        assert np.abs(reference).max() > 0
        np.testing.assert_allclose(found[name], reference, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("feedback", ["random", {"first": "random", "to_readout_0": "random"}])
def test_random_feedback_comes_straight_where_there_are_no_synapses(feedback: Any) -> None:
    both = [
        layered_gradients(layered(feedback, form)) for form in ("adjoint", "forward", "chunked")
    ]
    for name, reference in both[0].items():
        assert np.abs(reference).max() > 0
        for other in both[1:]:
            np.testing.assert_allclose(other[name], reference, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(
    ("feedback", "text"),
    [
        (
            "symmetric",
            "'to_first.w' is to be trained, but the neurons it acts on ('first.v') have no "
            "synapses onto the output, so e-prop has no learning signal for them. Connect them to "
            "the output, send it straight to them (feedback='random', or feedback={'first': "
            "array}), or take it out of the parameters.",
        ),
        (
            {"first": np.ones((3, 4)), "to_readout_0": "symmetric"},
            "EProp's feedback for the neurons 'first' has the shape (3, 4). Give one weight for "
            "every neuron and output: an array of shape (4, 3).",
        ),
        (
            {"first": "symmetric", "to_readout_0": "symmetric"},
            "EProp's feedback for the neurons 'first' is 'symmetric', which is made of the weights "
            "of synapses, and their signal comes straight from the output. Give 'random', or an "
            "array.",
        ),
        (
            {"first": "random", "to_readout_0": "symmetric", "second": "random"},
            "EProp was given feedback for 'second', but no synapses of that name lead to the "
            "output, and no neurons of that name spike. Those that do are first, to_readout_0. It "
            "has feedback for 'second', but the names here are first, last, to_first, to_last, "
            "to_readout_0; Synapses(..., name='second') would name synapses so.",
        ),
    ],
)
def test_signals_that_cannot_come_straight(feedback: Any, text: str) -> None:
    with pytest.raises(b2e.LearningError) as caught:
        layered(feedback, "adjoint")
    assert str(caught.value) == text


@pytest.mark.parametrize("dense", [True, False], ids=["dense", "sparse"])
@pytest.mark.parametrize("optimiser", [b2e.SGD(0.3), b2e.AdamW(0.05, weight_decay=2.0)])
@pytest.mark.parametrize("form", ["adjoint", "forward", "chunked"])
def test_adaptive_feedback_learns_as_the_output_weights_do(
    form: Form, optimiser: Any, dense: bool, tmp_path: Path
) -> None:
    """Both get the same updates, so their distance changes by what both lose of themselves."""
    trainer, matrix = make_trainer("adaptive", form, dense, optimiser=optimiser)
    places = [np.argwhere(matrix == value)[0] for value in trainer.parameter_values()["w_out_w"]]
    by_target = np.lexsort(np.transpose(places))

    def both(name: str) -> Any:
        """Output weights and feedback, in the order of their targets."""
        trainer.save(tmp_path / name)
        with np.load(tmp_path / name) as file:
            return file["array.w_out.w"][by_target], file["array.feedback:w_out_pre"]

    before, drawn_at_first = both("before.npz")
    samples = b2e.Spikes.from_dense(np.random.default_rng(4).random((3, STEPS, N_IN)) < 0.3)
    trainer.fit(samples, [0, 1, 2], batch_size=1, verbose=False)
    after, learned = both("after.npz")
    left = (1 - 0.05 * 2.0) ** 3 if isinstance(optimiser, b2e.AdamW) else 1.0
    assert np.abs(learned - drawn_at_first).max() > 1e-3
    np.testing.assert_allclose(after - learned, left * (before - drawn_at_first), rtol=1e-9)


def test_adaptive_feedback_has_the_learning_rate_of_the_output_weights(tmp_path: Path) -> None:
    trainer, matrix = make_trainer(
        "adaptive", "adjoint", False, 1, b2e.SGD(0.1), backend="reference", rate=0.7
    )
    values = trainer.parameter_values()["w_out_w"]
    places = np.transpose([np.argwhere(matrix == value)[0] for value in values])
    order = np.lexsort(places)

    def distance(name: str) -> Any:
        trainer.save(tmp_path / name)
        with np.load(tmp_path / name) as file:
            return file["array.w_out.w"][order] - file["array.feedback:w_out_pre"]

    before = distance("before.npz")
    samples = b2e.Spikes.from_dense(np.random.default_rng(4).random((3, STEPS, N_IN)) < 0.3)
    trainer.fit(samples, [0, 1, 2], batch_size=1, verbose=False)
    assert np.abs(trainer.parameter_values()["w_out_w"] - values).max() > 1e-2
    np.testing.assert_allclose(distance("after.npz"), before, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("constraint", [b2e.NonNegative(), b2e.Dale([1, -1] * 3)], ids=repr)
@pytest.mark.parametrize("on", ["cpu", "emulated", "reference"])
def test_adaptive_feedback_is_moved_by_constraints_of_the_output_weights(
    on: str, constraint: Any, tmp_path: Path
) -> None:
    """What puts the output weights back is a part of their update: the distance stays."""
    trainer, matrix = make_trainer(
        "adaptive", "adjoint", False, 1, b2e.SGD(0.5), constraint, backend=on
    )
    values = trainer.parameter_values()["w_out_w"]
    by_target = np.lexsort(np.transpose([np.argwhere(matrix == value)[0] for value in values]))
    trainer.set_parameter_values({"w_out_w": np.zeros_like(values)})

    def feedback(of: b2e.Trainer, name: str) -> Any:
        of.save(tmp_path / name)
        with np.load(tmp_path / name) as file:
            assert not any("moved" in member or "origin" in member for member in file.files)
            return file["array.feedback:w_out_pre"]

    before = feedback(trainer, "before.npz")
    samples = b2e.Spikes.from_dense(np.random.default_rng(4).random((3, STEPS, N_IN)) < 0.3)
    for _ in range(2):
        trainer.fit(samples, [0, 1, 2], batch_size=1, verbose=False, shuffle=False)
    found, learned = trainer.parameter_values()["w_out_w"], feedback(trainer, "after.npz")
    assert 0 < np.count_nonzero(found) < found.size
    np.testing.assert_allclose(found[by_target] - learned, -before, rtol=1e-9, atol=1e-12)


def test_adaptive_feedback_rests_while_the_output_weights_do(tmp_path: Path) -> None:
    trainer, _ = make_trainer("adaptive", "adjoint", True)
    output_weights = trainer._mirror._network["w_out"].w
    samples = b2e.Spikes.from_dense(np.random.default_rng(4).random((3, STEPS, N_IN)) < 0.3)

    def after(name: str) -> Any:
        trainer.fit(samples, [0, 1, 2], batch_size=3, verbose=False)
        trainer.save(tmp_path / name)
        with np.load(tmp_path / name) as file:
            return [file[f"array.{a}"] for a in ("w_in.w", "w_out.w", "feedback:w_out_pre")]

    first = after("first.npz")
    trainer.freeze(output_weights)
    second = after("second.npz")
    trainer.unfreeze(output_weights)
    third = after("third.npz")
    moved = [
        [not np.array_equal(one, other) for one, other in zip(*pair, strict=True)]
        for pair in ((first, second), (second, third))
    ]
    assert moved == [[True, False, False], [True, True, True]]


def drawn(name: str, scale: float | None, seed: int = 3) -> Any:
    pathway = FeedbackPathway(name, Dense(name, 100, 400), {})
    found = random(pathway, scale, seed)
    return found.shared[found.weight]


@pytest.mark.parametrize(("scale", "deviation"), [(None, 0.1), (0.5, 0.5)])
def test_scale_of_random_feedback(scale: float | None, deviation: float) -> None:
    """By default one over the root of the number of neurons that receive the signal."""
    values = drawn("w_out", scale)
    # Four standard errors of the deviation and the mean of 40,000 numbers.
    assert np.std(values) == pytest.approx(deviation, rel=4 / np.sqrt(2 * 40_000))
    assert abs(np.mean(values)) < 4 * deviation / np.sqrt(40_000)


def test_random_feedback_of_two_pathways_is_independent() -> None:
    first, second = drawn("w_left", None), drawn("w_right", None)
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(40_000)
    np.testing.assert_array_equal(first, drawn("w_left", None))
    assert not np.array_equal(first, drawn("w_left", None, seed=4))


@pytest.mark.parametrize("scale", [0, -1.0, np.nan, np.inf, True, "x", 1j, 0 * mV])
def test_scale_that_is_not_positive(scale: Any) -> None:
    with pytest.raises(ValueError) as caught:
        b2e.EProp(feedback="random", feedback_scale=scale)
    assert str(caught.value) == f"EProp's feedback_scale is {scale!r}. Give a positive number."


@pytest.mark.parametrize("form", ["adjoint", "forward"])
def test_a_checkpoint_brings_the_feedback_that_was_drawn(form: Form, tmp_path: Path) -> None:
    saved, _ = make_trainer("random", form, dense=False, seed=1)
    expected = gradients(saved)
    saved.save(tmp_path / "run.npz")
    loaded, _ = make_trainer("random", form, dense=False, seed=2)
    assert not np.array_equal(gradients(loaded)["w_in_w"], expected["w_in_w"])
    loaded.load(tmp_path / "run.npz")
    np.testing.assert_array_equal(gradients(loaded)["w_in_w"], expected["w_in_w"])


@pytest.mark.parametrize("form", ["adjoint", "forward"])
def test_a_checkpoint_holds_what_is_changed_or_drawn_and_nothing_else(
    form: Form, tmp_path: Path
) -> None:
    trainer, _ = make_trainer("random", form, dense=False)
    trainer.save(tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz") as file:
        arrays = {name for name in file.files if name.startswith("array.")}
    changed = {"array.w_in.w", "array.w_out.w", "array.sgd:rate"}
    assert arrays == changed | {"array.feedback:w_out_pre"}
