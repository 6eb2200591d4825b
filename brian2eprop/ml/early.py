"""Answers that are given as soon as they are sure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from brian2eprop.errors import Unsupported
from brian2eprop.ml.building import Scaled
from brian2eprop.ml.graph import Values
from brian2eprop.ml.running import Running

# After how many steps it is asked whether all samples of a batch are sure.
_STEPS_BETWEEN = 8


class EarlyAnswers(NamedTuple):
    """Outputs of samples when they were sure, and after how many steps.

    Parameters
    ----------
    outputs : array, shape (samples, outputs)
        What the output layer said.
    steps : array of int, shape (samples,)
        How many of the timesteps that took.
    """

    outputs: Values
    steps: NDArray[np.int64]


def answer_early(running: Running, samples: Mapping[str, Values], margin: float) -> EarlyAnswers:
    """Run each batch until all of its samples are sure.

    After n of T steps a spike more or less moves an output by 1/n, so a lead counts n/T.

    Parameters
    ----------
    running : Running
        The network.
    samples : dict
        What is presented to each input, of shape (samples, *shape of the input).
    margin : float
        By how much the largest output must lead after all timesteps.

    Returns
    -------
    EarlyAnswers
        The same whatever the batches are.

    Raises
    ------
    Unsupported
        If there is no answer before the end, there are several outputs, or one of one number.
    """
    algorithm, output = running.algorithm, running.only_output("predict_early")
    if not algorithm.answers_each_step:
        raise Unsupported(
            f"The algorithm {algorithm.name!r} has an answer when all is over only, so none is "
            "early; convert with algorithm='rate'."
        )
    if len(output.stage.shape) > 1:
        raise Unsupported(
            f"predict_early: the output '{output.stage.name}' has the shape {output.stage.shape}, "
            "and not one number for each class; use predict_each_step."
        )
    if output.stage.size < 2:
        raise Unsupported(
            f"'{output.stage.name}' has a single output, which leads no other; use "
            "predict_each_step."
        )
    found = [_batch(running, output, count, margin) for count in running.batches(samples)]
    outputs, steps = zip(*found, strict=True)
    return EarlyAnswers(np.concatenate(outputs), np.concatenate(steps))


def _batch(running: Running, output: Scaled, count: int, margin: float) -> EarlyAnswers:
    timesteps, done = running.algorithm.timesteps, 0
    running.run(running.silent_steps(output))
    while True:
        more = min(_STEPS_BETWEEN, timesteps - done)
        running.run(more)
        done += more
        answers = running.output_each_step(output, count)
        best = np.sort(answers.reshape(count, done, -1), axis=-1)
        lead = (best[..., -1] - best[..., -2]) * np.arange(1, done + 1) / timesteps
        sure = lead >= margin
        if done == timesteps:
            sure[:, -1] = True
        if sure.any(axis=1).all():
            first = sure.argmax(axis=1)
            return EarlyAnswers(answers[np.arange(count), first], first + 1)
