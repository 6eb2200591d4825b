"""In which layer a conversion goes wrong, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from brian2eprop.ml.building import Scaled
from brian2eprop.ml.graph import Values
from brian2eprop.ml.running import Running
from brian2eprop.ml.stages import Kind, activations
from brian2eprop.ml.tables import Table


@dataclass(frozen=True)
class LayerDiagnosis:
    """A layer beside that of the model. Errors are means, relative to the mean activation.

    Parameters
    ----------
    name : str
        Name of its group.
    correlation : float
        Between what its neurons said and the model's activations.
    error : float
        Of what they said from the model's activations: that of all layers before, too.
    own_error : float
        Of what they said from what the model would give of what reached them.
    cut_off : float
        The part of an activation that is more than neurons can say.
    rounding : float
        The error of the nearest that they can say of the rest.
    saturated : float
        The share of activations that are more than they can say.
    """

    name: str
    correlation: float
    error: float
    own_error: float
    cut_off: float
    rounding: float
    saturated: float


@dataclass(frozen=True)
class Diagnosis:
    """A converted network beside its model, layer by layer; ``print`` gives a table.

    Parameters
    ----------
    layers : tuple of LayerDiagnosis
        In their order.
    """

    layers: tuple[LayerDiagnosis, ...]

    @property
    def worst(self) -> LayerDiagnosis:
        """The layer with the largest error of its own."""
        return max(self.layers, key=lambda layer: layer.own_error)

    @property
    def sentence(self) -> str:
        """Where most goes wrong, why, and what to do."""
        worst = self.worst
        if worst.cut_off > worst.own_error / 2:
            why = "activations are above its scale: convert with samples in which they are as large"
        elif worst.rounding > worst.own_error / 2:
            why = "activations are rounded: convert with more timesteps, or a smaller scale"
        else:
            why = (
                "spikes come too early or too late, or not along the weights of the model: "
                "convert with more timesteps, and look at its synapses"
            )
        where = f"The largest error of its own is that of '{worst.name}' ({worst.own_error:.1%})"
        return f"{where}: {why}"

    def __str__(self) -> str:
        return f"{self._table()}\n{self.sentence}."

    def _repr_html_(self) -> str:
        return f"{self._table().html()}<p>{self.sentence}.</p>"

    def _table(self) -> Table:
        heads = ("layer", "correlation", "error", "own error", "cut off", "rounding", "saturated")
        return Table(
            heads,
            [
                (of.name, f"{of.correlation:.4f}", *(f"{share:.2%}" for share in _shares(of)))
                for of in self.layers
            ],
        )


def _shares(of: LayerDiagnosis) -> tuple[float, ...]:
    return of.error, of.own_error, of.cut_off, of.rounding, of.saturated


def diagnose(running: Running, samples: Mapping[str, Values]) -> Diagnosis:
    """Compare what each layer said with what it should have.

    Parameters
    ----------
    running : Running
        The network.
    samples : dict
        What is presented to each input, of shape (samples, *shape of the input).

    Returns
    -------
    Diagnosis
        The layers that spike, and the outputs.
    """
    stages = running.stages
    model = activations(tuple(each.stage for each in stages), samples)
    said = running.activations(samples)
    known = {**samples, **said}
    return Diagnosis(
        tuple(
            _layer(running, each, model[each.stage.name], known)
            for each in stages
            if each.stage.name in said
        )
    )


def _layer(
    running: Running, each: Scaled, model: Values, known: dict[str, Values]
) -> LayerDiagnosis:
    stage, said = each.stage, known[each.stage.name]
    wanted = stage.apply(known) if stage.projections else model
    sayable = wanted
    nearest = wanted
    if stage.kind is not Kind.OUTPUT:
        quantise = running.algorithm.quantise
        largest = quantise(np.full(stage.shape, np.inf)) * each.scale
        sayable = np.clip(wanted, -largest, largest)
        nearest = quantise(wanted / each.scale) * each.scale
    return LayerDiagnosis(
        stage.name,
        _correlation(said, model),
        _relative(said - model, model),
        _relative(said - wanted, wanted),
        _relative(sayable - wanted, wanted),
        _relative(nearest - sayable, wanted),
        float(np.mean(sayable != wanted)),
    )


def _relative(error: Values, to: Values) -> float:
    mistaken, size = float(np.abs(error).mean()), float(np.abs(to).mean())
    return mistaken / size if size else np.inf * mistaken if mistaken else 0.0


def _correlation(one: Values, other: Values) -> float:
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return float(np.array_equal(one, other))
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])
