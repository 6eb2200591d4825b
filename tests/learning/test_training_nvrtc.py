"""Every Program of a training compiles for every architecture, without a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import brian2eprop as b2e
from brian2eprop.device.backends.base import Kernel
from brian2eprop.device.backends.nvrtc import machine_code
from brian2eprop.device.backends.reference import ReferenceBackend
from brian2eprop.device.codegen.dialect import CUDA
from brian2eprop.device.codegen.parts import Layout
from brian2eprop.device.codegen.source import generate
from brian2eprop.device.program import Access, Array, DType, Precision, Program
from tests.device.test_nvrtc import ARCHITECTURES
from tests.learning import test_analogue_input, test_constraints
from tests.learning.test_gradients import FORMS, trainer_of
from tests.learning.test_spike_losses import LOSSES, Layers
from tests.learning.test_trial_cross_entropy import Model
from tests.oracles import event_models
from tests.oracles.test_eprop_in_brian2 import CASES

pytest.importorskip("cuda.bindings.nvrtc")

WEIGHTS = Array("w_in_w", DType.REAL, 1000, Access.SHARED)
BIAS = Array("readout_b", DType.REAL, 3, Access.SHARED)
# The one has adaptation, delays and random feedback; the other a current and refractoriness.
MODELS = ("delays", "refractory current")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", MODELS, ids=lambda name: name.replace(" ", "-"))
def test_every_training_program_compiles(case: str, form: str) -> None:
    model, goal = CASES[case]
    trainer = trainer_of(model, goal, form, "reference", "float64")
    for number, program in enumerate(programs_of(trainer)):
        # Every architecture and precision meets every kind of program, in turn.
        for turn, architecture in enumerate(ARCHITECTURES):
            precision = tuple(Precision)[(number + turn) % 2]
            assert_compiles(program, precision, architecture)


@pytest.mark.parametrize("name", ["ALIF", "conductance"])
@pytest.mark.parametrize("rule", [b2e.EventProp(), b2e.SurrogateBPTT()], ids=repr)
def test_every_rule_compiles(rule: b2e.EventProp | b2e.SurrogateBPTT, name: str) -> None:
    neurons = event_models.MODELS[name]
    net = event_models.network(neurons, seed=1)
    net = event_models.with_mixed_delays(net, np.random.default_rng(1))
    trainer = event_models.trainer_of(neurons, net, rule, "reference", 0.1, per_synapse=True)
    for turn, architecture in enumerate(ARCHITECTURES):
        precision = tuple(Precision)[turn % 2]
        assert_compiles(trainer._engine.training.program, precision, architecture)


def test_trained_delays_compile() -> None:
    net = event_models.network(event_models.MODELS["ALIF"], seed=1)
    trainer = event_models.trainer_of(
        event_models.MODELS["ALIF"], net, b2e.EventProp(), "reference", 0.1, longest=4.0
    )
    programs = list(programs_of(trainer))
    assert len(programs) == 3
    for number, program in enumerate(programs):
        for turn, architecture in enumerate(ARCHITECTURES):
            assert_compiles(program, tuple(Precision)[(number + turn) % 2], architecture)


@pytest.mark.parametrize("case", ["clip", "dale", "non-negative", "driven", "driven forward"])
def test_whatever_a_fit_compiles_compiles_for_a_gpu(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Program] = []
    compile_it = ReferenceBackend.compile

    def noted(backend: ReferenceBackend, program: Program, *layout: Layout) -> Kernel:
        found.append(program)
        return compile_it(backend, program, *layout)

    monkeypatch.setattr(ReferenceBackend, "compile", noted)
    if case in test_constraints.MADE:
        made, _ = test_constraints.MADE[case]
        test_constraints.Case(made(), "reference", signed=case != "non-negative").fit()
    else:
        rule = b2e.EProp(form="forward" if case.endswith("forward") else "adjoint")
        driven = test_analogue_input.Case(rule, "reference").trainer
        data = test_analogue_input.INPUT, test_analogue_input.PATHS
        driven.fit(*data, epochs=1, batch_size=3, verbose=False)
    assert len(found) > 1
    for number, program in enumerate(found):
        for turn, architecture in enumerate(ARCHITECTURES):
            assert_compiles(program, tuple(Precision)[(number + turn) % 2], architecture)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("rule", [b2e.EventProp(), b2e.SurrogateBPTT()], ids=repr)
def test_losses_of_spikes_compile(
    rule: b2e.EventProp | b2e.SurrogateBPTT, loss: b2e.FirstSpikeTime | b2e.SpikeCount
) -> None:
    trainer = Layers(rule, loss).trainer
    for turn, architecture in enumerate(ARCHITECTURES):
        for program in programs_of(trainer):
            assert_compiles(program, tuple(Precision)[turn % 2], architecture)


@pytest.mark.parametrize("of", ["exponential", "max"])
def test_losses_of_whole_trials_compile(of: Any) -> None:
    trainer = Model(b2e.TrialCrossEntropy(of=of), "reference").trainer
    for turn, architecture in enumerate(ARCHITECTURES):
        for program in programs_of(trainer):
            assert_compiles(program, tuple(Precision)[turn % 2], architecture)


def programs_of(trainer: b2e.Trainer) -> Iterator[Program]:
    """What a trainer runs on the device, but for the optimiser."""
    engine = trainer._engine
    yield engine.training.program
    yield engine.evaluation.program
    if engine.programs.refresh is not None:
        yield engine.programs.refresh


def assert_compiles(program: Program, precision: Precision, architecture: str) -> None:
    code = machine_code(generate(program, precision, CUDA).text, architecture)
    assert code.startswith(b"\x7fELF")
    assert b"b2e_run" in code


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize(
    "optimiser",
    [
        b2e.Adam(1e-3),
        b2e.SGD(0.1, clipvalue=1),
        b2e.AdamW(global_clipnorm=1),
        b2e.SGD(0.1, 0.9, True, clipnorm=1),
    ],
    ids=repr,
)
def test_every_optimiser_compiles(
    optimiser: b2e.Adam | b2e.SGD, precision: Precision, architecture: str
) -> None:
    update = optimiser.update([WEIGHTS, BIAS], {"w_in_w": "gradient_w", "readout_b": "gradient_b"})
    assert_compiles(update.program, precision, architecture)
