"""A converted network, and samples that are run through it in batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from brian2 import get_device

from brian2eprop.errors import Unsupported
from brian2eprop.ml.algorithm import Algorithm
from brian2eprop.ml.building import DT, MONITOR, Scaled, build
from brian2eprop.ml.graph import Values
from brian2eprop.ml.ports import Ports, number_of
from brian2eprop.ml.stages import Kind


class Running:
    """A network of stages on the device that is set, and what is read of it.

    Parameters
    ----------
    stages : tuple of Scaled
        Each after those that lead to it.
    algorithm : Algorithm
        What activations become.
    ports : Ports
        How arrays are arranged that enter, and that come out.
    counted : bool
        Whether each neuron counts what it receives.

    Attributes
    ----------
    network : brian2.Network
        The network; each batch begins as it was stored.
    """

    def __init__(
        self,
        stages: tuple[Scaled, ...],
        algorithm: Algorithm,
        ports: Ports,
        counted: bool = False,
    ) -> None:
        self.stages = stages
        self.algorithm = algorithm
        self.ports = ports
        self._batch_size: int | None = getattr(get_device(), "batch_size", None)
        self.network = build(stages, algorithm, counted)
        self.network.store()

    @property
    def steps(self) -> int:
        """Steps of a sample."""
        return self.algorithm.steps(max(each.begin for each in self.stages))

    @property
    def outputs(self) -> tuple[Scaled, ...]:
        """The stages that are read."""
        return tuple(each for each in self.stages if each.stage.kind is Kind.OUTPUT)

    def only_output(self, what: str) -> Scaled:
        """The one output there is.

        Raises
        ------
        Unsupported
            If there are several.
        """
        if len(self.outputs) > 1:
            raise Unsupported(
                f"{what} is for networks with one output, and this one has "
                f"{', '.join(self.ports.output_names)}; convert a model that ends at one of them."
            )
        return self.outputs[0]

    def classes(self, y: Any, n: int, what: str) -> dict[str, Any]:
        """The class of each sample, by name of the output; see :meth:`Ports.classes`.

        Raises
        ------
        Unsupported
            If an output is something else than a number for each class.
        ValueError
            If there are not as many classes, or others than the output has.
        """
        for each in self.outputs:
            if len(each.stage.shape) > 1:
                raise Unsupported(
                    f"{what}: the output '{each.stage.name}' has the shape {each.stage.shape}, and "
                    "not one number for each class; use predict_each_step."
                )
        found = self.ports.classes(y, n, what)
        for each in self.outputs:
            classes = found[each.stage.name]
            if classes.size and not 0 <= classes.min() <= classes.max() < each.stage.size:
                raise ValueError(
                    f"{what}: y has classes from {classes.min()} to {classes.max()}; those of the "
                    f"output '{each.stage.name}' are 0 to {each.stage.size - 1}."
                )
        return found

    def silent_steps(self, output: Scaled) -> int:
        """Steps before those that an output counts."""
        return output.begin - self.algorithm.latency(Kind.OUTPUT)

    def samples(self, x: Any) -> dict[str, Values]:
        """Samples of each input as numbers, refused where they are none or have another shape.

        Raises
        ------
        ValueError
            If they are.
        """
        return self.ports.samples(x, {each.stage.name: each.stage.shape for each in self.stages})

    def batches(self, samples: Mapping[str, Values]) -> Iterator[int]:
        """Present batch after batch at the start of a run.

        Parameters
        ----------
        samples : dict
            What is presented to each input, of shape (samples, *shape of the input).

        Yields
        ------
        int
            How many instances are samples; others fill the last batch.
        """
        batch, n = self._batch_size or 1, number_of(samples)
        inputs = [each for each in self.stages if each.stage.kind is Kind.INPUT]
        for start in range(0, n, batch):
            count = min(batch, n - start)
            self.network.restore()
            for each in inputs:
                part = samples[each.stage.name][start : start + count] / each.scale
                values = np.zeros((batch, each.stage.size))
                values[:count] = part.reshape(count, -1)
                group = self.network[each.stage.name]
                for name, given in self.algorithm.present(values).items():
                    setattr(group, name, given[0] if self._batch_size is None else given)
            yield count

    def whole_batches(self, samples: Mapping[str, Values]) -> Iterator[int]:
        """As :meth:`batches`, each run to its end."""
        for count in self.batches(samples):
            self.run(self.steps)
            yield count

    def run(self, steps: int) -> None:
        """Run a number of steps."""
        self.network.run(steps * DT, namespace={})

    def output_each_step(self, output: Scaled, count: int) -> Values:
        """What an output has said after each step that it counted yet.

        Returns
        -------
        array, shape (count, steps, *shape of the output)
            With an algorithm that answers when all is over, for that step alone.
        """
        if self.algorithm.answers_each_step:
            name, first = f"{output.stage.name}{MONITOR}", self.silent_steps(output)
            recorded = _of_instances(self.network[name].v, 2)[:count]
            counted = np.moveaxis(recorded[..., first : first + self.algorithm.timesteps], -1, 1)
            found = np.asarray(counted / np.arange(1, counted.shape[1] + 1)[:, None])
            return found.reshape(*found.shape[:2], *output.stage.shape)
        return self.read(output, "v", count).reshape(-1, 1, *output.stage.shape)

    def answers(self, samples: Mapping[str, Values]) -> dict[str, Values]:
        """What each output has said after each step that it counts, by name."""
        found: dict[str, list[Values]] = {each.stage.name: [] for each in self.outputs}
        for count in self.whole_batches(samples):
            for each in self.outputs:
                found[each.stage.name].append(self.output_each_step(each, count))
        return {name: np.concatenate(values) for name, values in found.items()}

    def read(self, each: Scaled, variable: str, count: int) -> Values:
        """A variable of a stage's neurons, shape (count, neurons)."""
        return _of_instances(getattr(self.network[each.stage.name], variable)[:])[:count]

    def activations(self, samples: Mapping[str, Values]) -> dict[str, Values]:
        """What the spiking stages have said and outputs say, in the model's units, by name."""
        spiking = [each for each in self.stages if self._sends(each)]
        found: dict[str, list[Values]] = {each.stage.name: [] for each in (*spiking, *self.outputs)}
        for count in self.whole_batches(samples):
            for each in spiking:
                said = self.algorithm.decode(
                    self.read(each, "sent", count), self.steps - each.begin
                )
                found[each.stage.name].append(said.reshape(-1, *each.stage.shape) * each.scale)
            for each in self.outputs:
                found[each.stage.name].append(self.output_each_step(each, count)[:, -1])
        return {name: np.concatenate(values) for name, values in found.items()}

    def _sends(self, each: Scaled) -> bool:
        return "sent" in self.network[each.stage.name].variables


def _of_instances(values: Any, axes: int = 1) -> Values:
    # Brian2's own devices give the memory in which the next run goes on.
    found = np.array(values)
    return found[None] if found.ndim == axes else found
