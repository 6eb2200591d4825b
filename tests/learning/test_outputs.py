"""A task of several outputs: its gradients are the sums of those of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, Synapses, defaultclock, ms, set_device

import brian2eprop as b2e
from brian2eprop.device.program import Program
from brian2eprop.learning.objective.task import Output, Task, TrainingPrograms
from brian2eprop.learning.training.host import training_device

STEPS, N_IN = 30, 5
Form = Literal["adjoint", "forward"]


@dataclass(frozen=True)
class Also:
    """E-prop with further outputs, which should be zero."""

    rule: b2e.EProp
    further: tuple[str, ...]

    def training_program(self, model: Program, task: Task) -> TrainingPrograms:
        outputs = tuple(Output(name, b2e.MeanSquaredError()) for name in self.further)
        return self.rule.training_program(model, replace(task, outputs=(*task.outputs, *outputs)))


def gradients(form: Form, output: str, *further: str) -> dict[str, Any]:
    """Hidden neurons that two readouts hear; one of these has two outputs."""
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
    heard = {name.split(".")[0] for name in (output, *further)}
    views = {"left.y": left.y, "right.y": right.y, "right.x": right.x}
    device: Any = training_device()
    trainer = b2e.Trainer(
        Network(inputs, hidden, left, right, *synapses),
        output=views[output],
        loss=b2e.MeanSquaredError(),
        rule=Also(b2e.EProp(form=form), tuple(device.array_name(views[n]) for n in further)),
        parameters=[made.w for made in synapses if made.name[2:] in {"in", *heard}],
        optimiser=b2e.SGD(0.1),
    )
    sent = b2e.Spikes.from_dense(rng.random((2, STEPS, N_IN)) < 0.4)
    return trainer.gradients(sent, np.zeros((2, len(views[output]))))


@pytest.mark.parametrize("form", ["adjoint", "forward"])
def test_gradients_of_several_outputs_are_sums(form: Form) -> None:
    outputs = ("left.y", "right.y", "right.x")
    alone = [gradients("adjoint", output) for output in outputs]
    for name, found in gradients(form, *outputs).items():
        expected = np.sum([part[name] for part in alone if name in part], axis=0)
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max())
