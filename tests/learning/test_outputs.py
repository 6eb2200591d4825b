"""Several outputs: losses, gradients, metrics and predictions are those of each, together."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, Synapses, defaultclock, ms, set_device

import brian2eprop as b2e

STEPS, N_IN = 30, 5
Form = Literal["adjoint", "forward"]

CLASSES = [1, 0]
PATH = np.random.default_rng(3).normal(0, 1, (2, STEPS, 3))
LABELS = {"left.y": CLASSES, "right.y": PATH, "right.x": PATH[::-1]}
LOSSES = {
    "left.y": b2e.CrossEntropy(),
    "right.y": b2e.MeanSquaredError(),
    "right.x": b2e.MeanSquaredError(window=(3 * ms, 20 * ms)),
}


class Heads:
    """Hidden neurons that two readouts hear; one of these has two outputs."""

    def __init__(self, *outputs: str, form: Form = "adjoint", **options: Any) -> None:
        set_device("eprop_cuda", backend="cpu", precision="float64")
        defaultclock.dt = 1 * ms
        rng = np.random.default_rng(0)
        inputs = b2e.SpikeSource(N_IN, name="inputs")
        hidden = NeuronGroup(
            4, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v -= 1", method="exact", name="h"
        )
        left = NeuronGroup(2, "dy/dt = -y/(20*ms) : 1", method="exact", name="left")
        right = NeuronGroup(
            3, "dy/dt = (x - y)/(9*ms) : 1\ndx/dt = -x/(5*ms) : 1", method="euler", name="right"
        )
        synapses = []
        for name, source, target, on_pre in (
            ("s_in", inputs, hidden, "v_post += w"),
            ("s_left", hidden, left, "y_post += w"),
            ("s_right", hidden, right, "x_post += w; y_post += 0.5*w"),
        ):
            made = Synapses(source, target, "w : 1", on_pre=on_pre, name=name, delay=len(name) * ms)
            made.connect()
            made.w = rng.normal(0.4, 0.4, len(made))
            synapses.append(made)
        heard = {name.split(".")[0] for name in outputs}
        views = {"left.y": left.y, "right.y": right.y, "right.x": right.x}
        given: dict[str, Any] = {
            "output": [views[name] for name in outputs],
            "loss": [LOSSES[name] for name in outputs],
        }
        self.trainer = b2e.Trainer(
            Network(inputs, hidden, left, right, *synapses),
            **given | options,
            rule=b2e.EProp(form=form),
            parameters=[made.w for made in synapses if made.name[2:] in {"in", *heard}],
            optimiser=b2e.SGD(0.1),
            seed=1,
        )
        self.spikes = b2e.Spikes.from_dense(rng.random((2, STEPS, N_IN)) < 0.4)
        labels = [LABELS[name] for name in outputs]
        self.data = self.spikes, labels if len(labels) > 1 else labels[0]


OUTPUTS = ("left.y", "right.y", "right.x")


@pytest.mark.parametrize("weights", [None, (1.0, 0.25, 3.0)])
@pytest.mark.parametrize("form", ["adjoint", "forward"])
def test_gradients_and_losses_are_sums(form: Form, weights: Any) -> None:
    alone = [Heads(name) for name in OUTPUTS]
    single = [head.trainer.gradients(*head.data) for head in alone]
    losses = [head.trainer.evaluate(*head.data).loss for head in alone]
    both = Heads(*OUTPUTS, form=form, loss_weights=weights)
    counts = weights or (1, 1, 1)
    for name, found in both.trainer.gradients(*both.data).items():
        parts = [c * g[name] for c, g in zip(counts, single, strict=True) if name in g]
        expected = np.sum(parts, axis=0)
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max())
    assert both.trainer.evaluate(*both.data).loss == pytest.approx(np.dot(counts, losses))


def test_each_output_has_its_metrics_and_predictions() -> None:
    both = Heads("left.y", "right.y")
    found = both.trainer.evaluate(*both.data)
    predicted = both.trainer.predict(both.spikes)
    for name, prediction in zip(("left.y", "right.y"), predicted, strict=True):
        head = Heads(name)
        alone = head.trainer.evaluate(*head.data)
        given = found.outputs[name.replace(".", "_")]
        assert given["loss"] == pytest.approx(alone.loss, rel=1e-12)
        assert given.get("accuracy") == alone.accuracy
        np.testing.assert_allclose(prediction, head.trainer.predict(head.spikes), rtol=1e-12)
    assert found.accuracy == found.outputs["left_y"]["accuracy"]


def test_a_history_has_every_output() -> None:
    both = Heads("left.y", "right.y")
    stop = b2e.EarlyStopping("val_right_y_loss", patience=5)
    history = both.trainer.fit(
        *both.data, epochs=2, validation_data=both.data, callbacks=[stop], verbose=False
    )
    names = {"loss", "accuracy", "left_y_loss", "left_y_accuracy", "right_y_loss"}
    assert set(history) == names | {f"val_{name}" for name in names} | {"rates"}
    total = np.add(history["val_left_y_loss"], history["val_right_y_loss"])
    np.testing.assert_allclose(history["val_loss"], total, rtol=1e-12)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"loss": [b2e.CrossEntropy()]}, "there are 2 outputs, 1 losses and loss_weights None; give o"),
    ({"loss": b2e.CrossEntropy()}, "loss is of type CrossEntropy; give a list"),
    ({"loss_weights": [1.0]}, "there are 2 outputs, 2 losses and loss_weights of type list; give"),
    ({"loss_weights": [1.0, -1.0]}, "loss_weights holds -1.0; give finite numbers from 0 up"),
    ({"loss_weights": [1.0, "a"]}, "loss_weights holds 'a'; give numbers"),
    ({"output": []}, "there are 0 outputs, 2 losses"),
]


@pytest.mark.parametrize(("given", "sentence"), WRONG)
def test_outputs_that_do_not_fit(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises((TypeError, ValueError), match=sentence):
        Heads("left.y", "right.y", **given)


def test_one_output_twice() -> None:
    with pytest.raises(ValueError, match=r"'left.y' is an output twice; give each variable one"):
        Heads("left.y", "left.y")


@pytest.mark.parametrize("labels", [CLASSES, [CLASSES], np.zeros(2), (CLASSES, PATH, PATH)])
def test_labels_of_other_outputs(labels: Any) -> None:
    both = Heads("left.y", "right.y")
    with pytest.raises(ValueError, match=r"labels"):
        both.trainer.evaluate(both.spikes, labels)


def test_weights_of_classes_are_for_one_output() -> None:
    both = Heads("left.y", "right.y")
    with pytest.raises(ValueError, match=r"class_weight is for one output with one class a sample"):
        both.trainer.gradients(*both.data, class_weight={0: 2.0})
