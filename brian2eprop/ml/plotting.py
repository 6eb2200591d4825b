"""Pictures of conversions."""

from __future__ import annotations

from typing import Any

from brian2eprop.ml.graph import Values


def plot_accuracy(accuracies: Values, timesteps: int, model: float, ax: Any = None) -> Any:
    """Draw accuracy against timesteps, and that of the model.

    Parameters
    ----------
    accuracies : array, shape (timesteps,) or (1,)
        After each timestep, or after the last one only.
    timesteps : int
        How many there are.
    model : float
        Accuracy of the model.
    ax : matplotlib.axes.Axes, optional
        Where to; without, a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    ImportError
        If there is no Matplotlib.
    """
    if ax is None:
        ax = _axes()
    steps = range(timesteps - len(accuracies) + 1, timesteps + 1)
    ax.plot(steps, 100 * accuracies, "o" if len(accuracies) == 1 else "-", label="spiking")
    ax.axhline(100 * model, color="0.4", linestyle="--", label="model")
    ax.set(xlabel="timesteps", ylabel="accuracy (%)", xlim=(0, timesteps + 0.5))
    ax.legend(loc="lower right")
    return ax


def _axes() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            "plot_accuracy draws with Matplotlib, which is not there; pip install matplotlib."
        ) from error
    return pyplot.subplots()[1]
