"""The chunked form of e-prop: of any length of chunks, and with memory that does not grow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import Hz, Network, NeuronGroup, Synapses, ms, set_device

import brian2eprop as b2e
from brian2eprop.device.backends import base
from tests.samples import sampled

N_IN, N_HIDDEN, N_OUT = 3, 4, 2


def make_trainer(
    form: Any,
    chunk: int = 256,
    backend: str = "cpu",
    delay: int = 0,
    attached: bool = False,
    feedback: Any = "symmetric",
) -> b2e.Trainer:
    """An adaptive network with delays, refractoriness and regularised rates."""
    set_device("eprop_cuda", backend=backend, precision="float64")
    rng = np.random.default_rng(1)
    inputs = b2e.SpikeSource(N_IN, name="inputs")
    hidden = NeuronGroup(
        N_HIDDEN,
        """dv/dt = -v/(10*ms) : 1 (unless refractory)
           da/dt = -a/(80*ms) : 1
           th : 1 (constant)""",
        threshold="v > th + 0.1*a",
        reset="v -= th; a += 1",
        refractory=2 * ms,
        method="exact",
        name="hidden",
    )
    hidden.th = np.linspace(0.8, 1.2, N_HIDDEN)
    readout = NeuronGroup(
        N_OUT, "dy/dt = (b - y)/(15*ms) : 1\nb : 1 (constant)", method="exact", name="readout"
    )
    made = []
    for name, source, target, effect, steps in (
        ("w_in", inputs, hidden, "v_post += w", "i % 3"),
        ("w_rec", hidden, hidden, "v_post += w", "(i + j) % 4"),
        ("w_out", hidden, readout, "y_post += w", delay),
    ):
        synapses = Synapses(source, target, "w : 1", on_pre=effect, name=name)
        synapses.connect()
        synapses.w = rng.normal(0.4, 0.5, len(synapses))
        synapses.delay = f"({steps})*ms"
        made.append(synapses)
    return b2e.Trainer(
        Network(inputs, hidden, readout, *made),
        output=readout.y,
        loss=b2e.CrossEntropy(),
        rule=b2e.EProp(feedback, form=form, chunk=chunk, detach=() if attached else None),
        parameters=[*(synapses.w for synapses in made), hidden.th, readout.b],
        optimiser=b2e.SGD(0.1),
        regularisers=[b2e.FiringRate(20 * Hz, 5.0)],
        seed=4,
    )


def samples(steps: int, n: int = 1) -> b2e.Spikes:
    return b2e.Spikes.from_dense(np.random.default_rng(2).random((n, steps, N_IN)) < 0.3)


def check_same(found: dict[str, Any], expected: dict[str, Any], tolerance: float) -> None:
    for name, reference in expected.items():
        scale = np.abs(reference).max()
        assert scale > 0, name
        assert np.abs(found[name] - reference).max() < tolerance * scale, name


@pytest.mark.parametrize(
    ("chunk", "delay", "attached"),
    [(3, 3, False), (5, 0, True), (29, 2, True), (30, 1, False), (31, 0, False)],
)
def test_chunks_of_any_length_give_the_gradients_of_the_adjoint_form(
    chunk: int, delay: int, attached: bool, backend: str
) -> None:
    """Chunks that fit into a sample, that do not, that are a step shorter or longer than it.

    Samples differ in length; what differs is the order of some hundred operations.
    """
    found = [
        make_trainer(form, chunk, on, delay, attached).gradients(
            samples(30, 3), [0, 1, 1], lengths=[30, 17, 1 + chunk % 30]
        )
        for form, on in (("adjoint", "cpu"), ("chunked", backend))
    ]
    check_same(found[1], found[0], 1e-12)


def bytes_of(trainer: b2e.Trainer) -> int:
    memory = trainer._engine.training.memory
    return int(sum(values.nbytes for values in memory.arrays.values()))


@pytest.mark.parametrize("many", sampled([100_000, 1_000_000], (100_000).__eq__))
def test_a_million_steps_take_the_memory_of_a_thousand(many: int) -> None:
    """And give the gradients of the adjoint form, whose memory grows with them."""
    taken, found = {}, {}
    for form in ("adjoint", "chunked"):
        trainer = make_trainer(form, delay=1)
        for steps in (1000, many):
            found[form] = trainer.gradients(samples(steps), [1])
            taken[form, steps] = bytes_of(trainer)
    assert taken["chunked", many] == taken["chunked", 1000]
    assert taken["adjoint", many] > many / 2000 * taken["adjoint", 1000]
    # Sums of so many terms of alternating signs.
    check_same(found["chunked"], found["adjoint"], 1e-9)


@pytest.mark.parametrize("feedback", ["symmetric", "random"])
def test_the_chunked_form_is_taken_where_the_adjoint_form_does_not_fit(
    feedback: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From batch to batch, with the same feedback and the same gradients."""
    trainer = make_trainer("auto", feedback=feedback)
    engine, taken = trainer._engine, []
    needed = engine.backend.memory(1).bytes_of(engine.training.program, 600)
    monkeypatch.setattr(base, "free_bytes", lambda: needed)
    found = {}
    for steps in (600, 900, 500):
        found[steps] = trainer.gradients(samples(steps), [1])
        taken.append(engine.training.program.name.removeprefix("e-prop, "))
    assert taken == ["adjoint form", "chunked form", "adjoint form"]
    expected = make_trainer("adjoint", feedback=feedback).gradients(samples(900), [1])
    check_same(found[900], expected, 1e-11)


def test_the_adjoint_form_is_taken_where_nobody_knows_how_much_memory_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(base, "free_bytes", lambda: None)
    trainer = make_trainer("auto", backend="reference")
    trainer.gradients(samples(5), [1])
    assert trainer._engine.training.program.name == "e-prop, adjoint form"


def test_training_goes_on_as_in_the_adjoint_form() -> None:
    histories = []
    for form in ("adjoint", "chunked"):
        trainer = make_trainer(form, 16)
        histories.append(trainer.fit(samples(60, 4), [0, 1, 0, 1], epochs=3, verbose=False))
    assert histories[1]["loss"] == pytest.approx(histories[0]["loss"], rel=1e-10)
    assert histories[0]["loss"][-1] < histories[0]["loss"][0]


def test_a_chunk_is_not_shorter_than_a_spikes_way_to_the_output() -> None:
    with pytest.raises(b2e.LearningError) as caught:
        make_trainer("chunked", chunk=2, delay=3)
    assert str(caught.value) == (
        "EProp's chunk of 2 steps is shorter than the 3 steps that spikes of 'hidden' are on their "
        "way to the output. Give chunk=3 or more."
    )


@pytest.mark.parametrize("chunk", [0, -1, 2.5, True, "all"])
def test_a_chunk_is_a_whole_number(chunk: Any) -> None:
    with pytest.raises(ValueError) as caught:
        b2e.EProp(form="chunked", chunk=chunk)
    assert str(caught.value) == f"EProp's chunk is {chunk!r}. Give a whole number from 1 up."
