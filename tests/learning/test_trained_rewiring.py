"""Synapses that are rewired while they are trained."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from brian2 import Network, NeuronGroup, Synapses, defaultclock, ms, set_device

import brian2eprop as b2e
from brian2eprop.device.backends.cpu import CpuKernel

Values = npt.NDArray[Any]

N = 12
MATRIX = np.random.default_rng(0).random((N, N)) < 0.25
MATRIX &= ~np.eye(N, dtype=bool)
RULES: dict[str, b2e.Rewire | b2e.DeepR | b2e.SET] = {
    "DeepR": b2e.DeepR(l1=0.02, temperature=1e-4, allowed="i != j"),
    "SET": b2e.SET(0.3, every=2, initial="0.01*randn()", allowed="i != j"),
    "own": b2e.Rewire(
        "w < 0",
        form="exp(-(x_pre - x_post)**2/0.1)",
        every=2,
        initial={"w": "0.01", "age": "rand()"},
        allowed="i != j and N_pre == N_post",
    ),
}
LEARNING: dict[str, Callable[[], Any]] = {
    "adjoint": lambda: b2e.EProp(form="adjoint"),
    "forward": lambda: b2e.EProp(form="forward"),
    "chunked": lambda: b2e.EProp(form="chunked", chunk=7),
    "bptt": lambda: b2e.SurrogateBPTT(),
}


class Model:
    """A recurrent network, its recurrent synapses in no order."""

    def __init__(
        self,
        backend: str = "cpu",
        delays: bool = False,
        out: bool = False,
        current: bool = False,
        precision: str = "float32",
        matrix: Values = MATRIX,
        late: int = 0,
        acts: str = "",
    ) -> None:
        set_device("eprop_cuda", backend=backend, precision=precision)
        defaultclock.dt = 1 * ms
        inputs = b2e.SpikeSource(5, name="inputs")
        hidden = NeuronGroup(
            N,
            f"""dv/dt = ({"I" if current else "0"} - v)/(10*ms) : 1
            dI/dt = -I/(5*ms) : 1
            x : 1 (constant)""",
            threshold="v > 0.5",
            reset="v -= 0.5",
            method="exact",
            name="hidden",
        )
        hidden.x = f"i/{N}.0"
        readout = NeuronGroup(
            2,
            f"""dy/dt = ({"I" if current else "0"} - y)/(10*ms) : 1
            dI/dt = -I/(5*ms) : 1""",
            method="exact",
            name="readout",
        )
        rng, adds = np.random.default_rng(3), "I_post += 4*w" if current else "v_post += w"
        self.w_in = Synapses(inputs, hidden, "w : 1", on_pre=adds, name="w_in")
        self.w_in.connect()
        self.w_in.w = rng.normal(0, 0.4, 5 * N)
        self.w_rec = w_rec = Synapses(
            hidden,
            hidden,
            """w : 1
            age : 1
            share : 1
            place : integer""",
            on_pre=acts or adds,
            delay=late * ms if late else None,
            name="w_rec",
        )
        order, weights = rng.permutation(MATRIX.sum()), np.zeros((N, N))
        i, j = (ends[order] for ends in np.nonzero(MATRIX))
        weights[i, j] = rng.normal(0, 0.03, i.size)
        if matrix is not MATRIX:
            i, j = np.nonzero(matrix)
        w_rec.connect(i=i, j=j)
        w_rec.w = weights[i, j]
        w_rec.age, w_rec.place = i * N + j, i * N + j
        if delays:
            w_rec.delay = (1 + (i * N + j) % 4) * ms
        self.w_out = Synapses(
            hidden, readout, "w : 1", on_pre=adds.replace("v_", "y_"), name="w_out"
        )
        self.w_out.connect(i=np.arange(N), j=np.arange(N) % 2) if out else self.w_out.connect()
        self.w_out.w = rng.normal(0, 0.3, len(self.w_out))
        self.output = readout.y
        parts = (inputs, hidden, readout, self.w_in, w_rec, self.w_out)
        self.network = Network(*parts)

    def trainer(self, rule: Any, learning: Any = None, **arguments: Any) -> b2e.Trainer:
        """A trainer that rewires the recurrent synapses."""
        given = {
            "optimiser": b2e.Adam(0.02),
            "parameters": [self.w_in.w, self.w_rec.w, self.w_out.w],
            "rewiring": {self.w_rec: rule},
            "seed": 5,
        }
        return b2e.Trainer(
            self.network,
            output=self.output,
            loss=b2e.CrossEntropy(),
            rule=learning or b2e.EProp(),
            **given | arguments,
        )

    def places(self) -> Values:
        """Where the recurrent synapses are, in Brian2's order."""
        return np.asarray(np.array(self.w_rec.i[:]) * N + np.array(self.w_rec.j[:]))


def samples() -> tuple[b2e.Spikes, Values]:
    """Random input, and labels."""
    rng = np.random.default_rng(1)
    return b2e.Spikes.from_dense(rng.random((12, 25, 5)) < 0.25), rng.integers(0, 2, 12)


def check(model: Model, before: Values, form: str = "") -> None:
    """Number, places, variables and Brian2's own counts are those of a network."""
    places, w_rec = model.places(), model.w_rec
    assert len(w_rec) == before.size == len(set(places.tolist()))
    assert (places // N != places % N).all()
    there = np.isin(places, before)
    assert 0 < there.sum() < before.size
    place, age = np.array(w_rec.place[:]), np.array(w_rec.age[:])
    # What was formed has none; a place that was left and taken again is one of those.
    old = place != 0
    assert (place[old] == places[old]).all()
    assert not old[~there].any()
    assert old.sum() > 0
    assert (age[old] == places[old]).all()
    fresh = age[~old]
    assert ((fresh > 0) & (fresh < 1)).all() if form == "own" else (fresh == 0).all()
    ends = places // N, places % N
    counts = [np.array(w_rec.variables[n].get_value()) for n in ("N_outgoing", "N_incoming")]
    for found, end in zip(counts, ends, strict=True):
        assert (found == np.bincount(end, minlength=N)).all()


def fitted(model: Model, trainer: b2e.Trainer, epochs: int = 3, **given: Any) -> b2e.History:
    spikes, labels = samples()
    return trainer.fit(spikes, labels, epochs=epochs, batch_size=4, verbose=False, **given)


@pytest.mark.parametrize("name", RULES)
def test_every_backend_makes_the_same_network(name: str) -> None:
    found = []
    for backend in ("cpu", "reference"):
        model = Model(backend)
        before = model.places()
        history = fitted(model, model.trainer(RULES[name]))
        check(model, before, name)
        found.append((model.places(), np.array(model.w_rec.w[:]), history["churn"]))
    (places, weights, churn), (others, theirs, again) = found
    assert (places == others).all()
    np.testing.assert_allclose(weights, theirs, rtol=1e-3, atol=1e-5)
    assert churn == again
    assert all(0 < epoch["w_rec"] <= 3 for epoch in churn)


def test_the_emulated_gpu_makes_the_same_network() -> None:
    found = []
    for backend in ("cpu", "emulated"):
        model = Model(backend)
        fitted(model, model.trainer(RULES["DeepR"]), epochs=2)
        found.append(model.places())
    assert (found[0] == found[1]).all()


@pytest.mark.parametrize("learning", LEARNING)
def test_every_learning_rule_follows(learning: str) -> None:
    """Gradients are those of a network that was made as it is after rewiring."""
    model = Model()
    before = model.places()
    trainer = model.trainer(RULES["SET"], LEARNING[learning]())
    fitted(model, trainer)
    check(model, before)
    spikes, labels = samples()
    found = trainer.gradients(spikes, labels)
    made_anew = model.trainer(RULES["SET"], LEARNING[learning]())
    wanted = made_anew.gradients(spikes, labels)
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-4, atol=1e-6)


def test_eventprop_follows() -> None:
    model = Model(current=True)
    learning = b2e.EventProp()
    trainer = model.trainer(RULES["SET"], learning)
    before = model.places()
    fitted(model, trainer)
    check(model, before)
    spikes, labels = samples()
    wanted = model.trainer(RULES["SET"], learning).gradients(spikes, labels)
    for name, values in trainer.gradients(spikes, labels).items():
        np.testing.assert_allclose(values, wanted[name], rtol=1e-4, atol=1e-6)


def by_place(model: Model, values: Any) -> dict[int, float]:
    """Values of the recurrent synapses by their places."""
    return dict(zip(model.places().tolist(), np.asarray(values).tolist(), strict=True))


def test_deep_rewiring_is_what_the_paper_says() -> None:
    """Each update beside a plain one: gradient, pull to zero, and who goes."""
    l1, eta = 0.5, 0.05
    model = Model()
    trainer = model.trainer(b2e.DeepR(l1=l1), optimiser=b2e.SGD(eta))
    spikes, labels = samples()
    before = by_place(model, model.w_rec.w[:])
    signs = {place: np.sign(weight) for place, weight in before.items()}
    gone = 0
    for _ in range(12):
        gradient = by_place(model, trainer.gradients(spikes, labels)["w_rec_w"])
        trainer.fit(spikes, labels, batch_size=12, verbose=False)
        after = by_place(model, model.w_rec.w[:])
        # The sign of a place that was formed shows once it has a weight.
        for place in before.keys() & after.keys():
            signs.setdefault(place, np.sign(after[place]))
        left = {}
        for place, weight in before.items():
            sign = signs.get(place, 0)
            moved = weight - eta * (gradient[place] + l1 * sign)
            if sign and moved * sign >= 0:
                left[place] = moved
            else:
                gone += 1
        for place, weight in after.items():
            assert weight == pytest.approx(left.get(place, 0), abs=1e-6)
            assert not weight or signs[place] == np.sign(weight)
        assert left.keys() <= after.keys()
        assert len(after) == len(before)
        before, signs = after, {place: sign for place, sign in signs.items() if sign}
    assert gone > 3


@pytest.mark.parametrize("name", RULES)
def test_a_training_goes_on_where_it_was_cut(name: str, tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    whole = Model()
    fitted(whole, whole.trainer(RULES[name]), epochs=4)
    first = Model()
    trainer = first.trainer(RULES[name])
    fitted(first, trainer, epochs=2)
    trainer.save(path)
    second = Model()
    again = second.trainer(RULES[name])
    again.load(path)
    assert (second.places() == first.places()).all()
    assert (second.w_rec.place[:] == first.w_rec.place[:]).all()
    fitted(second, again, epochs=2)
    assert (second.places() == whole.places()).all()
    assert np.array_equal(second.w_rec.w[:], whole.w_rec.w[:])
    assert again.history["churn"] == trainer.history["churn"] + again.history["churn"][2:]


class _Stop(b2e.Callback):
    """Ends the training after two batches."""

    def on_batch_end(self, trainer: Any, batch: int, values: Any) -> None:
        trainer.stop_training = batch == 2


def test_ctrl_c_leaves_an_update_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C, twice, while synapses are rewired is as if the training was stopped after it."""
    results = []
    for interrupted in (False, True):
        model = Model()
        trainer = model.trainer(RULES["SET"])
        with monkeypatch.context() as patch:
            if interrupted:
                patch.setattr(CpuKernel, "run", _interrupted_at(f"rewiring of {model.w_rec.name}"))
            fitted(model, trainer, epochs=1, callbacks=[] if interrupted else [_Stop()])
        before = model.places()
        fitted(model, trainer, epochs=1)
        results.append((before, model.places(), np.array(model.w_rec.w[:])))
    for one, other in zip(*results, strict=True):
        assert np.array_equal(one, other)


def _interrupted_at(name: str) -> Any:
    """Runs kernels, with Ctrl-C twice before one."""
    run = CpuKernel.run

    def found(kernel: CpuKernel, *arguments: Any) -> None:
        if kernel.program.name == name:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        run(kernel, *arguments)

    return found


def test_a_damaged_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    model = Model()
    trainer = model.trainer(RULES["SET"])
    fitted(model, trainer, epochs=1)
    trainer.save(path)
    with np.load(path) as file:
        members = dict(file)
    members["pairs.w_rec"][:, 0] = members["pairs.w_rec"][:, 1]
    np.savez(path, **members)
    before = model.places()
    with pytest.raises(b2e.CheckpointError, match="'w_rec' are not at places of their own"):
        trainer.load(path)
    assert (model.places() == before).all()


def test_delays_go_along() -> None:
    model = Model(delays=True)
    before = model.places()
    fitted(model, model.trainer(RULES["SET"]))
    check(model, before)
    places, steps = model.places(), np.round(np.array(model.w_rec.delay[:]) / 1e-3)
    old = np.array(model.w_rec.place[:]) != 0
    assert (steps[old] == 1 + places[old] % 4).all()
    assert (steps[~old] == 0).all()


def test_what_is_frozen_is_not_rewired() -> None:
    model = Model()
    trainer = model.trainer(RULES["SET"])
    trainer.freeze(model.w_rec.w)
    before = model.places()
    fitted(model, trainer)
    assert (model.places() == before).all()


@pytest.mark.parametrize("rule", [b2e.DeepR(l1=0.02), b2e.SET(0.3, every=3, initial="0.1*randn()")])
def test_neurons_keep_their_signs(rule: Any) -> None:
    model = Model()
    signs = np.where(np.arange(N) % 3 == 0, -1, 1)
    model.w_rec.w = np.abs(model.w_rec.w[:]) * signs[model.w_rec.i[:]]
    trainer = model.trainer(rule, constraints={model.w_rec.w: b2e.Dale(signs)})
    before = model.places()
    fitted(model, trainer)
    # The last update has formed some: they have the signs of their sources at once.
    assert not np.isin(model.places(), before).all()
    assert (model.w_rec.w[:] * signs[model.w_rec.i[:]]).min() >= 0
    fitted(model, trainer, epochs=1)
    assert (model.w_rec.w[:] * signs[model.w_rec.i[:]]).min() >= 0


def test_synapses_onto_the_output_are_rewired() -> None:
    model = Model(out=True)
    rewiring = {model.w_out: b2e.SET(0.25, every=1)}
    trainer = model.trainer(None, rewiring=rewiring)
    fitted(model, trainer)
    spikes, labels = samples()
    wanted = model.trainer(None, rewiring=rewiring).gradients(spikes, labels)
    for name, values in trainer.gradients(spikes, labels).items():
        np.testing.assert_allclose(values, wanted[name], rtol=1e-4, atol=1e-6)
    for feedback in ("random", "adaptive"):
        with pytest.raises(b2e.LearningError, match="'w_out' has weights of its own, and they"):
            model.trainer(None, b2e.EProp(feedback=feedback), rewiring=rewiring)


def refused(kind: type[Exception], sentence: str, **changes: Any) -> None:
    kinds = ("out", "delays", "acts")
    model = Model(**{kind: changes.pop(kind) for kind in kinds if kind in changes})
    given = changes.pop("given", None)
    rewiring = {model.w_rec: changes.pop("rule", RULES["SET"])}
    rewiring = rewiring if given is None else given(model)
    with pytest.raises(kind, match=sentence):
        model.trainer(None, changes.pop("learning", None), rewiring=rewiring, **changes)


def test_what_cannot_be_rewired() -> None:
    refused(TypeError, "give a dictionary by synapses", given=lambda model: [model.w_rec])
    refused(TypeError, "not one of their variables", given=lambda m: {"w_rec": RULES["SET"]})
    refused(TypeError, "the class SET; give a rule", rule=b2e.SET)
    refused(ValueError, "'w_in' cannot be rewired: they take every place there is",
            given=lambda model: {model.w_in: b2e.SET()})  # fmt: skip
    refused(ValueError, r"of its synapses are where the rule allows none \('i < j'\)",
            rule=b2e.SET(allowed="i < j"))  # fmt: skip
    refused(b2e.Unsupported, "asks for 'w' of a place without a synapse",
            rule=b2e.Rewire("w < 0", form="w"))  # fmt: skip
    refused(b2e.Unsupported, "asks for 't', and between", rule=b2e.Rewire("t > 1*second"))
    refused(b2e.Unsupported, "reads 'v', which a run changes", rule=b2e.Rewire("v_post < 0"))
    model = Model()
    with pytest.raises(ValueError, match="'w_rec' is to be rewired, and none of their variables"):
        model.trainer(RULES["SET"], parameters=[model.w_in.w])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: b2e.DeepR(l1=-1), "l1 is -1; give a finite number"),
        (lambda: b2e.DeepR(temperature=np.inf), "temperature is inf"),
        (lambda: b2e.DeepR(excitatory=2), "excitatory is 2; give a number from 0 to 1"),
        (lambda: b2e.DeepR(every=0), "every is 0; give a whole number"),
        (lambda: b2e.SET(1.0), "fraction is 1.0; give a number below 1"),
        (lambda: b2e.SET(initial=0), "initial is 0; give a Brian2 expression as text"),
        (lambda: b2e.Rewire(" "), "eliminate is empty"),
        (lambda: b2e.Rewire("w < 0", initial="0"), "initial is '0'; give a dictionary"),
        (lambda: b2e.Rewire("w < 0", fraction=0), "fraction is 0; give a number above zero"),
    ],
)
def test_what_is_no_rule(make: Callable[[], Any], sentence: str) -> None:
    with pytest.raises((ValueError, TypeError), match=sentence):
        make()
