"""A converted network, and samples that are run through it in batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from brian2 import get_device

from brian2eprop.ml.algorithm import Algorithm
from brian2eprop.ml.building import DT, MONITOR, Scaled, build
from brian2eprop.ml.graph import Values


class Running:
    """A network of stages on the device that is set, and what is read of it.

    Parameters
    ----------
    stages : tuple of Scaled
        The input first, the output last.
    algorithm : Algorithm
        What activations become.
    counted : bool
        Whether each neuron counts what it receives.

    Attributes
    ----------
    network : brian2.Network
        The network; each batch begins as it was stored.
    """

    def __init__(
        self, stages: tuple[Scaled, ...], algorithm: Algorithm, counted: bool = False
    ) -> None:
        self.stages = stages
        self.algorithm = algorithm
        self._batch_size: int | None = getattr(get_device(), "batch_size", None)
        self.network = build(stages, algorithm, counted)
        self.network.store()

    @property
    def steps(self) -> int:
        """Steps of a sample."""
        return self.algorithm.steps(self.stages[-1].depth)

    @property
    def silent_steps(self) -> int:
        """Steps before those that the output counts."""
        return self.steps - self.algorithm.timesteps

    def samples(self, x: Any) -> Values:
        """Samples as numbers, refused where they are none or have another shape.

        Raises
        ------
        ValueError
            If they are.
        """
        first = self.stages[0].stage
        try:
            samples = np.asarray(x)
        except ValueError:
            samples = np.array("")
        numbers = samples.dtype.kind in "biuf"
        if not numbers or samples.shape[1:] != first.shape or not samples.size:
            raise ValueError(
                f"The samples have the shape {samples.shape} and the type {samples.dtype}; the "
                f"input '{first.name}' takes numbers of the shape (samples, "
                f"{', '.join(map(str, first.shape))})."
            )
        return samples.astype(float)

    def batches(self, samples: Values) -> Iterator[int]:
        """Present batch after batch at the start of a run.

        Parameters
        ----------
        samples : array, shape (samples, *shape of the input)
            What is presented.

        Yields
        ------
        int
            How many instances are samples; others fill the last batch.
        """
        batch = self._batch_size or 1
        first = self.stages[0]
        for start in range(0, len(samples), batch):
            part = samples[start : start + batch] / first.scale
            values = np.zeros((batch, first.stage.size))
            values[: len(part)] = part.reshape(len(part), -1)
            self.network.restore()
            group = self.network[first.stage.name]
            for name, given in self.algorithm.present(values).items():
                setattr(group, name, given[0] if self._batch_size is None else given)
            yield len(part)

    def whole_batches(self, samples: Values) -> Iterator[int]:
        """As :meth:`batches`, each run to its end."""
        for count in self.batches(samples):
            self.run(self.steps)
            yield count

    def run(self, steps: int) -> None:
        """Run a number of steps."""
        self.network.run(steps * DT, namespace={})

    def output(self, count: int) -> Values:
        """What the output says when all is over, shape (count, outputs)."""
        return self.read(self.stages[-1], "v", count)

    def output_each_step(self, count: int) -> Values:
        """What it has said after each step that it counted yet, shape (count, steps, outputs)."""
        recorded = _of_instances(self.network[MONITOR].v, 2)[:count, :, self.silent_steps :]
        counted = np.moveaxis(recorded, -1, 1)
        return counted / np.arange(1, counted.shape[1] + 1)[:, None]

    def read(self, each: Scaled, variable: str, count: int) -> Values:
        """A variable of a stage's neurons, shape (count, neurons)."""
        return _of_instances(getattr(self.network[each.stage.name], variable)[:])[:count]

    def activations(self, samples: Values) -> dict[str, Values]:
        """What the spiking stages have said and the output says, in the model's units, by name."""
        spiking = [each for each in self.stages if self._sends(each)]
        found: dict[str, list[Values]] = {each.stage.name: [] for each in spiking}
        answers = []
        for count in self.whole_batches(samples):
            for each in spiking:
                steps = self.steps - each.depth * self.algorithm.steps_per_stage
                said = self.algorithm.decode(self.read(each, "sent", count), steps)
                found[each.stage.name].append(said.reshape(-1, *each.stage.shape) * each.scale)
            answers.append(self.answer(count))
        found[self.stages[-1].stage.name] = answers
        return {name: np.concatenate(values) for name, values in found.items()}

    def answer(self, count: int) -> Values:
        """Outputs of a run that is over, in the model's units."""
        if self.algorithm.answers_each_step:
            return self.output_each_step(count)[:, -1]
        return self.output(count)

    def _sends(self, each: Scaled) -> bool:
        return "sent" in self.network[each.stage.name].variables


def _of_instances(values: Any, axes: int = 1) -> Values:
    # Brian2's own devices give the memory in which the next run goes on.
    found = np.array(values)
    return found[None] if found.ndim == axes else found
