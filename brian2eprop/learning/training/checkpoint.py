"""Checkpoints: a training state in one file, written whole or not at all.

The file is a NumPy archive without pickled objects: the arrays under ``array.<name>``, and
the rest as JSON text under ``state``.
"""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FORMAT = "brian2eprop checkpoint"
VERSION = 1
PREFIX = "array."

_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    TypeError,
    ValueError,
)


class CheckpointError(ValueError):
    """A file that is no checkpoint, or not one of this network and optimiser."""


@dataclass(frozen=True)
class Checkpoint:
    """A training state.

    Parameters
    ----------
    arrays : mapping of str to array
        Parameters, the optimiser's state and the rule's own arrays.
    iteration : int
        Number of updates done.
    epoch : int
        Number of epochs done.
    history : mapping of str to list
        Metrics of these epochs.
    rng : mapping
        State of the generator that shuffles the samples.
    """

    arrays: Mapping[str, npt.NDArray[Any]]
    iteration: int
    epoch: int
    history: Mapping[str, list[Any]]
    rng: Mapping[str, Any]


def write(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write the checkpoint to a temporary file beside ``path`` and rename it.

    Parameters
    ----------
    path : path
        The file; an earlier one is replaced only by a complete one.
    checkpoint : Checkpoint
        What to write.

    Raises
    ------
    OSError
        If it cannot be written; an earlier file of that name is then as it was.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        _write_whole(temporary, _members(checkpoint))
        temporary.replace(target)
    except OSError as error:
        raise OSError(
            error.errno,
            f"The checkpoint '{target}' could not be written ({error.strerror or error}); free "
            "space or choose another place. An earlier file of that name was kept",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def read(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    Checkpoint
        What it holds.

    Raises
    ------
    CheckpointError
        If the file is damaged or is no checkpoint.
    OSError
        If it cannot be opened.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            members = {name: archive[name] for name in archive.files}
        state = json.loads(str(members.pop("state")))
        _check_format(path, state)
        return Checkpoint(
            {name.removeprefix(PREFIX): values for name, values in members.items()},
            iteration=_count(state["iteration"]),
            epoch=_count(state["epoch"]),
            history={str(name): list(values) for name, values in dict(state["history"]).items()},
            rng=dict(state["rng"]),
        )
    except CheckpointError:
        raise
    except (*_UNREADABLE, AttributeError) as error:
        raise CheckpointError(
            f"The file '{path}' is damaged or is no checkpoint of brian2eprop "
            f"({type(error).__name__}); nothing was loaded. Use a file that Trainer.save wrote."
        ) from error


def check_arrays(
    path: str | os.PathLike[str], found: Mapping[str, Any], expected: Mapping[str, Any]
) -> None:
    """Check that a checkpoint's arrays are those of this training task.

    Parameters
    ----------
    path : path
        The file, for the sentence.
    found, expected : mapping of str to array
        The arrays of the file and of the task.

    Raises
    ------
    CheckpointError
        If names or shapes differ, or a value is not finite.
    """
    remedy = "nothing was loaded. Load it into the network and optimiser it was saved from."
    differing = sorted(set(found) ^ set(expected))
    if differing:
        name = differing[0]
        place = (
            "the file but not in this task" if name in found else "this task but not in the file"
        )
        raise CheckpointError(f"The checkpoint '{path}': array '{name}' is in {place}; {remedy}")
    for name, values in found.items():
        if values.shape != expected[name].shape:
            raise CheckpointError(
                f"The checkpoint '{path}': array '{name}' has the shape {values.shape} but "
                f"{expected[name].shape} is needed; {remedy}"
            )
        if values.dtype.kind not in "biuf" or not np.isfinite(values).all():
            raise CheckpointError(
                f"The checkpoint '{path}': array '{name}' holds values that are no finite "
                "numbers; nothing was loaded. Load an earlier checkpoint."
            )


def generator(path: str | os.PathLike[str], state: Mapping[str, Any]) -> np.random.Generator:
    """The random generator in a saved state.

    Parameters
    ----------
    path : path
        The file, for the sentence.
    state : mapping
        The state of its bit generator.

    Returns
    -------
    Generator
        A generator that goes on from there.

    Raises
    ------
    CheckpointError
        If the state is none.
    """
    rng = np.random.default_rng()
    try:
        rng.bit_generator.state = dict(state)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(
            f"The checkpoint '{path}' holds no valid state of the random generator; nothing was "
            "loaded. Load an earlier checkpoint."
        ) from error
    return rng


def _members(checkpoint: Checkpoint) -> dict[str, npt.NDArray[Any]]:
    state = {
        "format": FORMAT,
        "version": VERSION,
        "iteration": checkpoint.iteration,
        "epoch": checkpoint.epoch,
        "history": dict(checkpoint.history),
        "rng": dict(checkpoint.rng),
    }
    arrays = {f"{PREFIX}{name}": values for name, values in checkpoint.arrays.items()}
    return {**arrays, "state": np.array(json.dumps(state))}


def _write_whole(path: Path, members: dict[str, npt.NDArray[Any]]) -> None:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **members)
        file.flush()
        os.fsync(file.fileno())


def _check_format(path: str | os.PathLike[str], state: dict[str, Any]) -> None:
    if state.get("format") != FORMAT:
        raise ValueError("format")
    if state.get("version") != VERSION:
        raise CheckpointError(
            f"The checkpoint '{path}' has version {state.get('version')} of the format, but this "
            f"brian2eprop reads version {VERSION}; install the version that wrote it."
        )


def _count(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError("count")
    return value
