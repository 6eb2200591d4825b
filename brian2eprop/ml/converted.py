"""What a conversion gives: a Brian2 network that answers as the model does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from brian2 import Synapses, get_device
from numpy.typing import NDArray

from brian2eprop.ml.algorithm import Algorithm
from brian2eprop.ml.building import DT, MONITOR, Scaled, build
from brian2eprop.ml.graph import Values


class ConvertedNetwork:
    """A spiking network made of a model; see :func:`brian2eprop.ml.from_keras`.

    Parameters
    ----------
    stages : tuple of Scaled
        The input first, the output last.
    algorithm : Algorithm
        What activations become.

    Attributes
    ----------
    network : brian2.Network
        The network: ``network['conv']`` is the group of the layer 'conv', and
        ``network['conv_to_dense']`` the synapses from there to 'dense'.
    """

    def __init__(self, stages: tuple[Scaled, ...], algorithm: Algorithm) -> None:
        self._stages = stages
        self._algorithm = algorithm
        self._batch_size: int | None = getattr(get_device(), "batch_size", None)
        self.network = build(stages, algorithm)
        self.network.store()

    def predict(self, x: Any) -> Values:
        """What the output layer says, before a softmax, for samples.

        Samples are run in batches of the ``batch_size`` of the device that was set when the model
        was converted, without one in turn.

        Parameters
        ----------
        x : array, shape (samples, *shape of the model's input)
            The samples.

        Returns
        -------
        array, shape (samples, outputs)
            Estimates of the model's outputs.

        Raises
        ------
        ValueError
            If the samples have another shape.
        """
        return np.concatenate([answers[:, -1] for answers in self._answers(x)])

    def predict_each_step(self, x: Any) -> Values:
        """What :meth:`predict` would give after each timestep.

        Parameters
        ----------
        x : array, shape (samples, *shape of the model's input)
            The samples.

        Returns
        -------
        array, shape (samples, timesteps, outputs)
            Estimates after each step that the output counts; few-spike has the last one only.

        Raises
        ------
        ValueError
            If the samples have another shape.
        """
        return np.concatenate(list(self._answers(x)))

    def evaluate(self, x: Any, y: Any) -> NDArray[np.float64]:
        """How many samples are classified as they should be, after each timestep.

        Parameters
        ----------
        x : array, shape (samples, *shape of the model's input)
            The samples.
        y : array of int, shape (samples,)
            Their classes.

        Returns
        -------
        array, shape (timesteps,)
            Accuracies; few-spike has the last one only.

        Raises
        ------
        ValueError
            If the samples have another shape, or there are not as many classes.
        """
        samples, classes = self._samples(x), np.asarray(y)
        if classes.shape != (len(samples),) or classes.dtype.kind not in "iu":
            raise ValueError(
                f"evaluate: y has the shape {classes.shape} and the type {classes.dtype}; give "
                f"{len(samples)} whole numbers, the class of each sample."
            )
        answers = self.predict_each_step(samples).argmax(axis=-1)
        return np.asarray((answers == classes[:, None]).mean(axis=0))

    def activations(self, x: Any) -> dict[str, Values]:
        """What the neurons of each layer have said, in the model's own units.

        Parameters
        ----------
        x : array, shape (samples, *shape of the model's input)
            The samples.

        Returns
        -------
        dict
            By name of the group, arrays of the shape (samples, *shape of the layer), to be compared
            with the model's activations after their ReLU.

        Raises
        ------
        ValueError
            If the samples have another shape.
        """
        found: dict[str, list[Values]] = {each.stage.name: [] for each in self._spiking()}
        for count in self._runs(self._samples(x)):
            for each in self._spiking():
                sent = self._of_instances(self.network[each.stage.name].sent[:])[:count]
                steps = self._steps - each.depth * self._algorithm.steps_per_stage
                decoded = self._algorithm.decode(sent, steps)
                values = decoded.reshape(-1, *each.stage.shape) * each.scale
                found[each.stage.name].append(values)
        return {name: np.concatenate(values) for name, values in found.items()}

    def summary(self) -> str:
        """A table: neurons of each layer, synapses there are and weights that are stored.

        Returns
        -------
        str
            The table.
        """
        rows: list[tuple[str, ...]] = [("layer", "shape", "neurons", "synapses", "weights stored")]
        totals = np.zeros(3, int)
        for each in self._stages:
            stage = each.stage
            numbers = (
                stage.size,
                sum(len(synapses) for synapses in self._synapses_onto(stage.name)),
                sum(p.kernel.size for p in stage.projections),
            )
            totals += numbers
            shape = " x ".join(map(str, stage.shape))
            rows.append((stage.name, shape, *(f"{n:,}" for n in numbers)))
        rows.append(("sum", "", *(f"{n:,}" for n in totals)))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width) if i < 2 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        head = f"{self._algorithm.name}, {self._algorithm.timesteps} timesteps, "
        return "\n".join([head + f"{self._steps} steps of {DT} each sample", *lines])

    def _synapses_onto(self, name: str) -> list[Synapses]:
        objects = self.network.objects
        return [s for s in objects if isinstance(s, Synapses) and s.target.name == name]

    @property
    def _steps(self) -> int:
        return self._algorithm.steps(self._stages[-1].depth)

    def _spiking(self) -> list[Scaled]:
        return [
            each
            for each in self._stages
            if "sent" in getattr(self.network[each.stage.name], "variables", {})
        ]

    def _samples(self, x: Any) -> Values:
        shape = self._stages[0].stage.shape
        try:
            samples = np.asarray(x)
        except ValueError:
            samples = np.array("")
        if samples.dtype.kind not in "biuf" or samples.shape[1:] != shape or not samples.size:
            raise ValueError(
                f"The samples have the shape {samples.shape} and the type {samples.dtype}; the "
                f"input '{self._stages[0].stage.name}' takes numbers of the shape (samples, "
                f"{', '.join(map(str, shape))})."
            )
        return samples.astype(float)

    def _answers(self, x: Any) -> Iterator[Values]:
        """Outputs after each step that counts, batch by batch."""
        timesteps = self._algorithm.timesteps
        for count in self._runs(self._samples(x)):
            if self._algorithm.answers_each_step:
                recorded = self._of_instances(self.network[MONITOR].v, 2)[:count]
                counted = np.moveaxis(recorded[..., -timesteps:], -1, 1)
                yield counted / np.arange(1, timesteps + 1)[:, None]
            else:
                output = self._stages[-1].stage.name
                yield self._of_instances(self.network[output].v[:])[:count, None]

    def _of_instances(self, values: Any, axes: int = 1) -> Values:
        # Brian2's own devices give the memory in which the next run goes on.
        found = np.array(values)
        return found[None] if found.ndim == axes else found

    def _runs(self, samples: Values) -> Iterator[int]:
        """Run batches; how many of the instances are samples, rather than fill the last batch."""
        batch = self._batch_size or 1
        first = self._stages[0]
        for start in range(0, len(samples), batch):
            part = samples[start : start + batch] / first.scale
            values = np.zeros((batch, first.stage.size))
            values[: len(part)] = part.reshape(len(part), -1)
            self.network.restore()
            group = self.network[first.stage.name]
            for name, given in self._algorithm.present(values).items():
                setattr(group, name, given[0] if self._batch_size is None else given)
            self.network.run(self._steps * DT, namespace={})
            yield len(part)
