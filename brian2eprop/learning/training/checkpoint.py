"""Checkpoints: a training state in one file, written whole or not at all.

An archive (``archives``): arrays under ``array.<name>``, source and target of the synapses under
``pairs.<name>``, both in Brian2's order, the rest is its state.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop import archives

FORMAT = archives.Format("checkpoint", "brian2eprop checkpoint", 6, "Trainer.save")
ARRAY, PAIRS = "array.", "pairs."

LOAD_INTO = "Load it into the network and optimiser it was saved from."
EARLIER = "Load an earlier checkpoint."

MAX_COUNT = 2**53

Values = npt.NDArray[Any]


@dataclass(frozen=True)
class Form:
    """What an array of a training's state must be.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    dtype : dtype
        Its type.
    squares : bool
        Whether it holds averages of squares, which are not negative.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    squares: bool = False


Layout = Mapping[str, Form]


@dataclass(frozen=True)
class State:
    """What a checkpoint says beside its arrays.

    Parameters
    ----------
    iteration : int
        Number of updates done.
    epoch : int
        Number of epochs done.
    history : mapping of str to list
        Metrics of these epochs.
    rng : mapping
        State of the generator that shuffles the samples.
    settings : mapping of str to object
        What optimiser, network, rule, loss and regularisers were made with.
    connectivity : mapping of str to str
        A hash of the connectivity of each Synapses.
    values : mapping of str to str
        A hash of the values of each variable that is not trained.
    frozen : sequence of str
        The arrays of parameters that are frozen.
    position : mapping, optional
        Where the training is within an epoch that was begun.
    callbacks : sequence of (str, object), optional
        Class and state of each callback of a training that was not over.
    """

    iteration: int
    epoch: int
    history: Mapping[str, list[Any]]
    rng: Mapping[str, Any]
    settings: Mapping[str, Any]
    connectivity: Mapping[str, str]
    values: Mapping[str, str]
    frozen: Sequence[str] = ()
    position: Mapping[str, Any] | None = None
    callbacks: Sequence[tuple[str, Any]] | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A training state.

    Parameters
    ----------
    arrays : mapping of str to array
        Parameters, the optimiser's state and the rule's own arrays.
    state : State
        The rest.
    pairs : mapping of str to array, shape (2, synapses)
        Source and target of the synapses of each Synapses.
    """

    arrays: Mapping[str, Values]
    state: State
    pairs: Mapping[str, Values]


def write(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write a checkpoint.

    Parameters
    ----------
    path : path
        The file; an earlier one is replaced only by a complete one. ``~`` is the home
        folder, and a link stays one.
    checkpoint : Checkpoint
        What to write.

    Raises
    ------
    ValueError
        If its history is so long that it could not be loaded.
    OSError
        If it cannot be written; an earlier file of that name is then as it was.
    """
    text = archives.state_text(FORMAT, asdict(checkpoint.state))
    if len(text) > archives.MAX_STATE_BYTES:
        raise ValueError(
            f"save: the history of {checkpoint.state.epoch} epochs takes {len(text)} bytes, more "
            f"than the {archives.MAX_STATE_BYTES} that can be loaded; go on with a new Trainer."
        )
    members = {f"{ARRAY}{name}": values for name, values in checkpoint.arrays.items()}
    members |= {f"{PAIRS}{name}": values for name, values in checkpoint.pairs.items()}
    archives.write(path, text, members)
