"""Every Program of a training compiles for every architecture, without a GPU."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import brian2eprop as b2e
from brian2eprop.device.backends.nvrtc import machine_code
from brian2eprop.device.codegen.dialect import CUDA
from brian2eprop.device.codegen.source import generate
from brian2eprop.device.program import Access, Array, DType, Precision, Program
from tests.device.test_nvrtc import ARCHITECTURES
from tests.learning.test_gradients import FORMS, trainer_of
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
    trainer = event_models.trainer_of(
        neurons, net, rule, "reference", 0.1, per_synapse=isinstance(rule, b2e.EventProp)
    )
    for turn, architecture in enumerate(ARCHITECTURES):
        precision = tuple(Precision)[turn % 2]
        assert_compiles(trainer._engine.training.program, precision, architecture)


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
    "optimiser", [b2e.Adam(1e-3), b2e.SGD(0.1)], ids=lambda o: type(o).__name__
)
def test_every_optimiser_compiles(
    optimiser: b2e.Adam | b2e.SGD, precision: Precision, architecture: str
) -> None:
    program = optimiser.program(
        [WEIGHTS, BIAS], {"w_in_w": "gradient_w", "readout_b": "gradient_b"}
    )
    assert_compiles(program, precision, architecture)
