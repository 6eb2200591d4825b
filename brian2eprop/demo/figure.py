"""The demonstration's figure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2 import SpikeMonitor, StateMonitor, ms

from brian2eprop.demo.data import N_STEPS, Part
from brian2eprop.demo.model import N_CLASSES, Classifier


@dataclass(frozen=True)
class Response:
    """What the network does with one digit: spikes as (times in ms, neurons), softmax."""

    inputs: tuple[npt.NDArray[Any], npt.NDArray[Any]]
    hidden: tuple[npt.NDArray[Any], npt.NDArray[Any]]
    softmax: npt.NDArray[Any]  # (steps, classes)


def respond(classifier: Classifier, part: Part, sample: int) -> Response:
    """Run the trained network on one digit, as any Brian2 network, with monitors."""
    inputs, hidden = SpikeMonitor(classifier.inputs), SpikeMonitor(classifier.hidden)
    readout = StateMonitor(classifier.readout, "y", record=True, when="end")
    classifier.inputs.spikes = part.spikes[[sample]]
    monitors = (inputs, hidden, readout)
    classifier.network.add(*monitors)
    classifier.network.run(N_STEPS * ms, namespace={})
    classifier.network.remove(*monitors)
    exponentials = np.exp(readout.y.T - readout.y.max(axis=0)[:, None])
    return Response(
        (np.asarray(inputs.t / ms), np.asarray(inputs.i)),
        (np.asarray(hidden.t / ms), np.asarray(hidden.i)),
        exponentials / exponentials.sum(axis=1, keepdims=True),
    )


def confusion(labels: npt.NDArray[Any], predicted: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """How often each class (row) was taken for each class (column)."""
    counts = np.zeros((N_CLASSES, N_CLASSES), int)
    np.add.at(counts, (labels, predicted), 1)
    return counts


def draw(
    path: Path, history: dict[str, Any], classifier: Classifier, part: Part, accuracy: float
) -> None:
    """Draw learning curve, one digit's spikes and softmax, and confusion matrix."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    predicted = classifier.trainer.predict(part.spikes).argmax(axis=1)
    figure = plt.figure(figsize=(12, 7), layout="constrained")
    columns: Any = figure.subfigures(1, 2, width_ratios=(1, 1.1))
    curve, matrix = columns[0].subplots(2, 1, height_ratios=(1, 1.6))
    _draw_curve(curve, history, accuracy)
    _draw_confusion(matrix, confusion(part.labels, predicted))
    _draw_response(columns[1], respond(classifier, part, 0), part, 0)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _draw_curve(axes: Any, history: dict[str, Any], accuracy: float) -> None:
    epochs = np.arange(1, len(history["accuracy"]) + 1)
    axes.plot(epochs, 100 * np.array(history["accuracy"]), color="C7", label="training")
    axes.plot(epochs, 100 * np.array(history["val_accuracy"]), color="C0", label="validation")
    axes.axhline(100 * accuracy, color="C3", ls=":", label=f"test: {100 * accuracy:.1f} %")
    axes.set(xlabel="epoch", ylabel="accuracy (%)", ylim=(50, 101), title="Learning")
    axes.legend(loc="lower right", frameon=False)


def _draw_confusion(axes: Any, counts: npt.NDArray[Any]) -> None:
    axes.imshow(np.sqrt(counts), cmap="Blues")
    for (row, column), count in np.ndenumerate(counts):
        if count:
            color = "white" if row == column else "black"
            axes.text(column, row, count, ha="center", va="center", color=color, fontsize=8)
    axes.set(
        xlabel="predicted",
        ylabel="digit",
        xticks=range(N_CLASSES),
        yticks=range(N_CLASSES),
        title="Test digits",
    )


def _draw_response(figure: Any, response: Response, part: Part, sample: int) -> None:
    inputs, hidden, softmax = figure.subplots(3, 1, sharex=True, height_ratios=(1.2, 1.2, 1))
    image = inputs.inset_axes((0.82, 0.45, 0.17, 0.5))
    image.imshow(part.images[sample], cmap="gray_r")
    image.set(xticks=[], yticks=[])
    inputs.plot(*response.inputs, "|", color="k", ms=3)
    inputs.set(ylabel="input neuron", title=f"A test digit: {part.labels[sample]}")
    hidden.plot(*response.hidden, "|", color="C0", ms=3)
    hidden.set(ylabel="hidden neuron")
    for digit, values in enumerate(response.softmax.T):
        softmax.plot(values, color=f"C{digit}", label=str(digit))
    softmax.set(xlabel="time (ms)", ylabel="softmax", xlim=(-1, N_STEPS), ylim=(0, 1.02))
    softmax.legend(ncols=5, fontsize=8, frameon=False, loc="center right")
