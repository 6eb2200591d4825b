"""What an inference costs: spikes and the additions that they cause, counted by the kernels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from brian2 import SpikeMonitor, Synapses

from brian2eprop.ml.building import ADDED, MULTIPLIED
from brian2eprop.ml.graph import Values
from brian2eprop.ml.ports import number_of
from brian2eprop.ml.running import Running
from brian2eprop.ml.stages import Kind
from brian2eprop.ml.tables import Table

# Horowitz (2014), https://doi.org/10.1109/ISSCC.2014.6757323: 45 nm, 0.9 V, 32-bit floating point.
ADDITION_PJ = 0.9
MULTIPLY_ACCUMULATE_PJ = 4.6


@dataclass(frozen=True)
class LayerCost:
    """What a layer is, and what happens in it for a sample.

    Parameters
    ----------
    name : str
        Name of its group.
    shape : tuple of int
        Its shape, channels last.
    weights : int
        Elements of the kernels that lead to it, which are all that is stored.
    synapses : int
        Synapses that lead to it.
    model_multiplications : int
        As many does the model with what is linear merged: one a synapse, none for a maximum.
    spikes, additions, multiplications : float
        Spikes of its neurons, weights that spikes added to them, and weights that were multiplied
        by a number and added, for a sample; without samples not a number.
    """

    name: str
    shape: tuple[int, ...]
    weights: int
    synapses: int
    model_multiplications: int
    spikes: float = np.nan
    additions: float = np.nan
    multiplications: float = np.nan

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape))


@dataclass(frozen=True)
class Cost:
    """What a converted network costs; ``print`` gives a table.

    Energies are estimates by the numbers of operations alone, with 0.9 pJ an addition and 4.6 pJ a
    multiplication with an addition (45 nm, 32-bit floating point; Horowitz 2014,
    https://doi.org/10.1109/ISSCC.2014.6757323). What memory and the neurons' own updates take is
    left out on either side.

    Parameters
    ----------
    algorithm : str
        The algorithm.
    timesteps, steps : int
        Those it was asked for, and all steps of a sample.
    layers : tuple of LayerCost
        The input first, the output last.
    """

    algorithm: str
    timesteps: int
    steps: int
    layers: tuple[LayerCost, ...]

    @property
    def neurons(self) -> int:
        """Neurons of all layers."""
        return sum(layer.neurons for layer in self.layers)

    @property
    def weights(self) -> int:
        """Weights that are stored."""
        return sum(layer.weights for layer in self.layers)

    @property
    def synapses(self) -> int:
        """Synapses of all layers."""
        return sum(layer.synapses for layer in self.layers)

    @property
    def spikes(self) -> float:
        """Spikes for a sample."""
        return sum(layer.spikes for layer in self.layers)

    @property
    def additions(self) -> float:
        """Additions for a sample."""
        return sum(layer.additions for layer in self.layers)

    @property
    def multiplications(self) -> float:
        """Multiplications with an addition for a sample."""
        return sum(layer.multiplications for layer in self.layers)

    @property
    def energy_nj(self) -> float:
        """Estimate of a sample's energy in nanojoule."""
        spent = self.additions * ADDITION_PJ + self.multiplications * MULTIPLY_ACCUMULATE_PJ
        return spent / 1000

    @property
    def model_energy_nj(self) -> float:
        """Estimate of the energy that the model takes for a sample, in nanojoule."""
        done = sum(layer.model_multiplications for layer in self.layers)
        return done * MULTIPLY_ACCUMULATE_PJ / 1000

    def __str__(self) -> str:
        return "\n".join([self._head(), str(self._table()), *self._energies()])

    def _repr_html_(self) -> str:
        lines = (f"<p>{line}</p>" for line in (self._head(), *self._energies()))
        return self._table().html() + "".join(lines)

    @property
    def _measured(self) -> bool:
        return bool(np.isfinite(self.spikes))

    def _head(self) -> str:
        return f"{self.algorithm}, {self.timesteps} timesteps, {self.steps} steps a sample"

    def _table(self) -> Table:
        heads = ["layer", "shape", "neurons", "synapses", "weights stored"]
        names = ["neurons", "synapses", "weights"]
        if self._measured:
            heads += ["spikes", "additions", "multiplications"]
            names += ["spikes", "additions", "multiplications"]
        rows = [
            [of.name, " x ".join(map(str, of.shape)), *(_count(getattr(of, n)) for n in names)]
            for of in self.layers
        ]
        rows.append(["sum", "", *(_count(getattr(self, name)) for name in names)])
        return Table(heads, rows)

    def _energies(self) -> list[str]:
        if not self._measured:
            return []
        return [
            f"estimated energy a sample: {self.energy_nj:,.1f} nJ; of the model "
            f"{self.model_energy_nj:,.1f} nJ ({ADDITION_PJ} pJ an addition, "
            f"{MULTIPLY_ACCUMULATE_PJ} pJ a multiplication with one, 45 nm)"
        ]


def sizes(running: Running) -> Cost:
    """What a network is, without running it.

    Parameters
    ----------
    running : Running
        The network.

    Returns
    -------
    Cost
        Numbers of neurons, weights and synapses.
    """
    layers = []
    for each in running.stages:
        onto = [
            found
            for found in running.network.objects
            if isinstance(found, Synapses) and found.target.name == each.stage.name
        ]
        synapses = sum(map(len, onto))
        layers.append(
            LayerCost(
                each.stage.name,
                each.stage.shape,
                sum(projection.kernel.size for projection in each.stage.projections),
                synapses,
                0 if each.stage.kind is Kind.MAXIMUM else synapses,
            )
        )
    chosen = running.algorithm
    return Cost(chosen.name, chosen.timesteps, running.steps, tuple(layers))


def measure(running: Running, samples: Mapping[str, Values]) -> Cost:
    """Count what samples cost, in a network of their own.

    Parameters
    ----------
    running : Running
        The network.
    samples : dict
        What is presented to each input, of shape (samples, *shape of the input).

    Returns
    -------
    Cost
        Means over the samples.
    """
    stages = running.stages
    running = Running(stages, running.algorithm, running.ports, counted=True)
    known = sizes(running)
    totals = np.zeros((len(stages), 3))
    monitors = _monitors(running)
    for count in running.whole_batches(samples):
        for number, each in enumerate(stages):
            name = each.stage.name
            if name in monitors:
                spikes = np.reshape(monitors[name].count[:], (-1, each.stage.size))[:count]
                totals[number, 0] += spikes.sum()
            for column, variable in enumerate((ADDED, MULTIPLIED), start=1):
                totals[number, column] += running.read(each, variable, count).sum()
    means = (totals / number_of(samples)).tolist()
    layers = tuple(
        replace(of, spikes=spikes, additions=additions, multiplications=multiplications)
        for of, (spikes, additions, multiplications) in zip(known.layers, means, strict=True)
    )
    return Cost(known.algorithm, known.timesteps, known.steps, layers)


def _monitors(running: Running) -> dict[str, SpikeMonitor]:
    """Monitors that count, of the stages that send spikes rather than numbers."""
    found = {}
    for each in running.stages:
        if running.algorithm.neurons(each.stage.kind).graded:
            continue
        group = running.network[each.stage.name]
        if "spike" in group.events:
            found[group.name] = SpikeMonitor(group, record=False, name=f"{group.name}_spikes")
    running.network.add(*found.values())
    running.network.store()
    return found


def _count(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:,.0f}"
