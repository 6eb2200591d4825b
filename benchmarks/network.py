"""The benchmarks' network in brian2eprop, and the parts of its training step."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import brian2 as b2
import numpy as np
import numpy.typing as npt
from workload import Workload

import brian2eprop as b2e
from brian2eprop.device.backends.base import Call
from brian2eprop.learning.training.data import Batch, batches
from brian2eprop.learning.training.engine import Engine
from brian2eprop.learning.training.numbers import fetch
from brian2eprop.learning.training.tally import Tally


def make_trainer(
    work: Workload,
    rule: Any = None,
    backend: str = "cpu",
    density: float = 1,
    rewiring: Any = None,
) -> b2e.Trainer:
    """The network of a workload, ready to be trained; by e-prop unless a rule is given.

    Of its input and recurrent synapses there are as many as ``density`` says; both are rewired.
    """
    b2.set_device("eprop_cuda", backend=backend, precision="float32")
    b2.start_scope()
    b2.defaultclock.dt = work.dt * b2.second
    namespace = {"tau": work.tau * b2.second}
    inputs = b2e.SpikeSource(work.inputs, name="inputs")
    hidden = b2.NeuronGroup(
        work.hidden,
        "dv/dt = -v/tau : 1",
        threshold="v > 1",
        reset="v -= 1",
        method="exact",
        namespace=namespace,
        name="hidden",
    )
    equations = "dy/dt = (b - y)/tau : 1\nb : 1"
    readout = b2.NeuronGroup(
        work.outputs, equations, method="exact", namespace=namespace, name="readout"
    )
    weights = work.weights()
    synapses = [
        _connect("w_in", inputs, hidden, "v", weights["w_in"], density),
        _connect("w_rec", hidden, hidden, "v", weights["w_rec"], density),
        _connect("w_out", hidden, readout, "y", weights["w_out"]),
    ]
    return b2e.Trainer(
        b2.Network(inputs, hidden, readout, *synapses),
        output=readout.y,
        loss=b2e.CrossEntropy(),
        rule=rule or b2e.EProp(),
        parameters=[*(each.w for each in synapses), readout.b],
        optimiser=b2e.Adam(work.learning_rate),
        rewiring={} if rewiring is None else dict.fromkeys(synapses[:2], rewiring),
        seed=work.seed,
    )


def _connect(
    name: str,
    source: Any,
    target: Any,
    variable: str,
    weights: npt.NDArray[Any],
    density: float = 1,
) -> b2.Synapses:
    effect = f"{variable}_post += w"
    synapses = b2.Synapses(source, target, "w : 1", on_pre=effect, name=name)
    if density == 1:
        synapses.connect()
    else:
        i, j = np.nonzero(np.random.default_rng(len(weights)).random(weights.shape) < density)
        synapses.connect(i=i, j=j)
    synapses.w = weights[synapses.i[:], synapses.j[:]] / np.sqrt(density)
    return synapses


@dataclass(frozen=True)
class Step:
    """One training step, whole and in parts; all of it runs on the same batch.

    The parts are the Programs themselves, without what Python does around them.
    """

    engine: Engine
    outputs: Any
    data: Any

    @classmethod
    def of(cls, work: Workload, trainer: b2e.Trainer) -> Step:
        """The training step of a trainer for a workload's batch."""
        engine: Engine = trainer._engine
        trainer.parameter_values()  # brings the network's values into the engine
        spikes = b2e.Spikes.from_dense(work.spikes())
        return cls(engine, trainer._outputs, trainer._labelled(spikes, work.labels()))

    def batch(self) -> Batch:
        """The batch, cut out of the data set as an epoch does."""
        return next(batches(self.data, self.data.n_samples, np.arange(self.data.n_samples)))

    def whole(self) -> None:
        """What ``Trainer.fit`` does for a batch."""
        batch, engine = self.batch(), self.engine
        engine.training.begin(batch)
        engine.training.advance(batch, range(batch.n_steps), engine.seeking)
        tally = Tally(self.outputs, engine.training)
        added, sums = tally.numbers(batch), engine.sums(engine.judged)
        found = fetch(engine.store.xp, {**added, **sums})
        tally.add(batch, {key: found[key] for key in added})
        engine.bad_gradient(found)
        engine.update()

    def rewire(self) -> None:
        """What follows an update where synapses are rewired; the device has done it."""
        engine = self.engine
        rates = dict.fromkeys(engine.gradients, 1e-9)
        engine.rewirings.run(engine.store, engine.iteration + 1, rates)
        engine.store.read(engine.rewirings.counts[0])

    def answer(self) -> None:
        """What ``Trainer.predict`` does for a batch."""
        batch, session = self.batch(), self.engine.evaluation
        session.run(batch)
        session.read(session.roles.outputs[0].prediction, batch.n_samples)

    def parts(self) -> dict[str, Callable[[], None]]:
        """The step's Programs by what they do."""
        batch = self.batch()
        sessions = {"trial": self.engine.evaluation, "gradient": self.engine.training}
        for session in sessions.values():
            session.run(batch)

        def runner(session: Any) -> Callable[[], None]:
            call = Call(0, batch.n_steps, batch.streams)
            return lambda: session.kernel.run(session.memory, call)

        parts = {name: runner(session) for name, session in sessions.items()}
        if self.engine.seeking:
            training, steps = self.engine.training, range(batch.n_steps)
            parts["gradients of places"] = lambda: training.advance(batch, steps, True)
        return parts | {"update": self.engine.update}

    def first(self) -> dict[str, float]:
        """Loss and hidden spikes a neuron and step, of the weights as they are."""
        batch = self.batch()
        session = self.engine.evaluation
        session.run(batch)
        counts = session.read(session.roles.counts["hidden"], batch.n_samples)
        loss = float(session.samples(session.roles.outputs[0].loss, batch.n_samples).mean())
        return {"loss": loss, "rate": float(counts.mean()) / batch.n_steps}


def milliseconds(work: Callable[[], None], repeats: int) -> float:
    """Median time of a call; one call before that is not counted."""
    return timed(work, repeats)[0]


def timed(work: Callable[[], None], repeats: int) -> tuple[float, float]:
    """Median time of a call and median time that cores were busy with it, in ms.

    The second counts all threads and, unlike the first, no waiting for cores that other programs
    keep busy. One call before that is not counted.
    """
    work()
    times = []
    for _ in range(repeats):
        begin = np.array([time.perf_counter(), time.process_time()])
        work()
        times.append([time.perf_counter(), time.process_time()] - begin)
    passed, busy = 1e3 * np.median(times, axis=0)
    return float(passed), float(busy)
