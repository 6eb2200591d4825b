"""What an algorithm of conversion decides: scales, and the equations of neurons and synapses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from brian2eprop.ml.graph import Values
from brian2eprop.ml.stages import Kind, Stage, activations

# An input that has said more than the neuron makes it spike. Digits come the largest first, so
# the largest of some numbers begins as the largest of their beginnings; and the largest of some
# counts is a count that grows by at most one a step. So what was sent is all there is to compare.
FOLLOW = "v_post += w*int(sent_pre > sent_post)"


@dataclass(frozen=True)
class Neurons:
    """The neurons of a stage, as Brian2 writes them.

    Parameters
    ----------
    model : str
        Their equations, in which ``v`` is the membrane.
    threshold, reset : str, optional
        When they spike, and what happens then.
    on_pre : str
        What a spike of theirs adds to a neuron that it reaches by the weight ``w``, a product.
    follows : str, optional
        What a spike does to them in place of that, when all have been reset.
    each_step : str, optional
        What is done at the start of every step.
    takes_back : str, optional
        When they take a spike back.
    taken_back, on_taken_back : str
        What happens then, and what it does to a neuron that they reach.
    graded : bool
        Whether a spike of theirs carries a number, by which weights are multiplied.
    """

    model: str
    threshold: str | None = None
    reset: str | None = None
    on_pre: str = ""
    follows: str | None = None
    each_step: str | None = None
    takes_back: str | None = None
    taken_back: str = ""
    on_taken_back: str = ""
    graded: bool = False


class Algorithm(ABC):
    """How activations become spikes. All numbers of neurons are relative to their scale.

    An algorithm's attributes are what it is made with, so that one can be saved.
    """

    name: str
    timesteps: int
    # Whether the biases of channels are corrected on the samples.
    calibrated: bool = False
    input: Neurons
    hidden: Neurons
    maximum: Neurons
    output: Neurons
    # Whether there is an answer after every step that counts, or after the last one only.
    answers_each_step: bool

    def __init__(self, timesteps: int) -> None:
        whole = isinstance(timesteps, int | np.integer) and not isinstance(timesteps, bool)
        if not whole or timesteps < 1:
            raise ValueError(f"timesteps is {timesteps!r}; give a whole number from 1 up.")
        self.timesteps = int(timesteps)

    def observe(
        self, stages: tuple[Stage, ...], samples: Mapping[str, Values]
    ) -> Mapping[str, Values]:
        """Values by which the scales of stages are chosen: their activations.

        Parameters
        ----------
        stages : tuple of Stage
            Each after those that lead to it.
        samples : dict
            Typical inputs, by name of the stage, each of shape (samples, *shape of the input).

        Returns
        -------
        dict
            By name of the stage, arrays whose last axis is that of its channels.
        """
        return activations(stages, samples)

    def neurons(self, kind: Kind) -> Neurons:
        """The neurons of a kind of stage."""
        return {
            Kind.INPUT: self.input,
            Kind.HIDDEN: self.hidden,
            Kind.MAXIMUM: self.maximum,
            Kind.OUTPUT: self.output,
        }[kind]

    @property
    @abstractmethod
    def steps_per_stage(self) -> int:
        """Steps from when a stage begins to when the next one does; one if that is a maximum."""

    def latency(self, kind: Kind) -> int:
        """Steps for which a stage listens before it begins."""
        return {Kind.INPUT: 0, Kind.MAXIMUM: 1}.get(kind, self.steps_per_stage)

    @abstractmethod
    def steps(self, begin: int) -> int:
        """Steps of a run, with an output that begins at a step."""

    @abstractmethod
    def scale(self, values: Values, is_input: bool, ceiling: float = np.inf) -> Values:
        """By what activations are divided, by channel.

        Parameters
        ----------
        values : array, shape (samples, ..., channels)
            What :meth:`observe` gave of a stage.
        is_input : bool
            Whether it is the input.
        ceiling : float
            What its activations are at most.

        Returns
        -------
        array, shape (channels,)
            Positive numbers.
        """

    @abstractmethod
    def initial(self, bias: Values, is_output: bool) -> Mapping[str, Any]:
        """What variables of a stage are at the start, its bias being relative to its scale."""

    @abstractmethod
    def present(self, values: Values) -> Mapping[str, Values]:
        """What variables of the input are for samples relative to its scale."""

    @abstractmethod
    def quantise(self, values: Values) -> Values:
        """The nearest that neurons can say of activations relative to their scale."""

    @abstractmethod
    def decode(self, sent: Values, steps: int) -> Values:
        """Activations relative to their scale, from what neurons sent in a number of steps."""


def channel_scale(values: Values, of: Values, ceiling: float) -> Values:
    """Numbers by channel that can be divided by: silent channels get the largest of the others.

    Parameters
    ----------
    values : array, shape (channels,)
        What the scale is where it is positive.
    of : array
        Activations, whose largest stands in where all are zero.
    ceiling : float
        What goes on at most, which no scale may be above: neurons say no more than their scale.

    Returns
    -------
    array, shape (channels,)
        Positive numbers.
    """
    largest = float(np.max(np.abs(of), initial=0)) or 1.0
    return np.minimum(np.where(values > 0, values, largest), ceiling)
