"""What is to be learned, and the Programs that learn it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy.typing as npt
from brian2.units.fundamentalunits import Dimension

from brian2eprop.device.program import ForEach, Program, Propagate
from brian2eprop.learning.objective.loss import Judged, Loss
from brian2eprop.learning.objective.regularisers import Regulariser


def _no_values(name: str) -> npt.NDArray[Any]:
    raise KeyError(name)


# PER_INSTANCE, REAL, size 1: the share of an instance in the gradients.
WEIGHT = "trial:weight"


@dataclass(frozen=True)
class Output:
    """What a loss reads, and what the loss counts.

    That is an array, at the end of every step, or the events of a population by their name.
    """

    array: str
    loss: Loss
    weight: float = 1.0


@dataclass(frozen=True)
class Task:
    """What is to be learned.

    Parameters
    ----------
    outputs : tuple of Output
        What is judged; the loss of the task is the sum of theirs.
    parameters : tuple of str
        Arrays to train, such as ``w_in_w``.
    frozen : frozenset of str
        Arrays that are parameters as well, and are not trained for now.
    regularisers : tuple of Regulariser
        What is added to the loss.
    contents : mapping of str to array
        Values of the model's SHARED integer arrays (the rows and targets of connectivities).
    values : callable
        The values that any array of the model has when the training begins, by name; only
        asked for where a model's equations do not decide.
    seed : int
        Seed of what the rule draws, such as random feedback.
    delays : mapping of str to ForEach
        For each parameter that is a delay, frozen or not, what rounds it to the table of steps
        that its pathway reads.
    rewired : frozenset of str
        The connectivities that change.
    sought : frozenset of str
        Those of them of which places without a synapse are to have a gradient as well.
    dimensions : mapping of str to Dimension
        The physical dimension of the arrays that hold a variable of Brian2.
    """

    outputs: tuple[Output, ...]
    parameters: tuple[str, ...]
    frozen: frozenset[str] = frozenset()
    regularisers: tuple[Regulariser, ...] = ()
    contents: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    values: Callable[[str], npt.NDArray[Any]] = field(default=_no_values, repr=False)
    seed: int = 0
    delays: Mapping[str, ForEach] = field(default_factory=dict)
    rewired: frozenset[str] = frozenset()
    sought: frozenset[str] = frozenset()
    dimensions: Mapping[str, Dimension] = field(default_factory=dict, repr=False)

    def without(self, frozen: frozenset[str]) -> Task:
        """The task while some of its parameters are not trained."""
        trained = tuple(name for name in self.parameters if name not in frozen)
        return replace(self, parameters=trained, frozen=frozen)

    def trained_delay(self, phase: Propagate) -> str | None:
        """The parameter that is the delay of a pathway, where it is trained."""
        found = (name for name in self.parameters if name in self.delays)
        return next((n for n in found if phase.delay in self.delays[n].writes()), None)

    @property
    def rewarded(self) -> bool:
        """Whether an output is judged by rewards."""
        return any(output.loss.by_reward for output in self.outputs)

    @property
    def states(self) -> tuple[Output, ...]:
        """The outputs of which state is judged."""
        return tuple(o for o in self.outputs if o.loss.judges is Judged.STATE)

    @property
    def counts_spikes(self) -> bool:
        """Whether something is judged by how many spikes there are, not by when they are."""
        judged = {output.loss.judges for output in self.outputs}
        return bool(self.regularisers) or Judged.SPIKE_COUNTS in judged

    def spike_losses(self, events: str) -> tuple[Loss, ...]:
        """The losses that judge a population's spikes."""
        return tuple(
            output.loss
            for output in self.outputs
            if output.array == events and output.loss.judges is not Judged.STATE
        )


@dataclass(frozen=True)
class OutputRoles:
    """Which array plays which part for an output.

    Attributes
    ----------
    output : str
        The output's array or events.
    target, prediction, loss : str
        PER_INSTANCE: what the loss compares with, what ``predict`` returns, and the loss of an
        instance (REAL, size 1).
    scale, weight : str
        PER_INSTANCE, REAL, size 1, given: one by the number of steps that count, and what the
        instance counts.
    window_steps : callable
        From an instance's number of steps, how many of them count.
    factor : float
        What the output's loss counts among those of all outputs.
    """

    output: str
    target: str
    prediction: str
    loss: str
    scale: str
    weight: str
    window_steps: Callable[[int], int]
    factor: float = 1.0


@dataclass(frozen=True)
class Roles:
    """Which array of a training Program plays which part.

    Attributes
    ----------
    initial : mapping of str to str
        For every state array of the model the SHARED array of its value at the start of a
        sample.
    counts : mapping of str to str
        For every group with a threshold the PER_INSTANCE array that counts its spikes.
    outputs : tuple of OutputRoles
        The parts that belong to each output, in the task's order.
    steps : str
        PER_INSTANCE, INT, size 1, given: the number of an instance's steps.
    weight : str, optional
        PER_INSTANCE, REAL, size 1, given: the share of an instance in the gradients (1/batch; 0
        for padding); where there are gradients.
    gradients : mapping of str to str
        For every parameter the array of the gradient of the weighted loss.
    clipped : mapping of str to str
        For every group of whose spikes some may not have been followed exactly the PER_INSTANCE
        array that counts these; only in the Program that trains.
    """

    initial: Mapping[str, str]
    counts: Mapping[str, str]
    outputs: tuple[OutputRoles, ...]
    steps: str
    weight: str | None = None
    gradients: Mapping[str, str] = field(default_factory=dict)
    clipped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Follower:
    """How an array is updated that is no parameter.

    Attributes
    ----------
    leader : str
        The parameter that it is updated as.
    gradient : str
        The array of its gradient.
    origin : str
        The array of the element of the leader that each of its elements follows.
    """

    leader: str
    gradient: str
    origin: str


@dataclass(frozen=True)
class Online:
    """How a sample is trained on in several calls, with an update after each.

    Attributes
    ----------
    begin : Program
        What brings an instance to a sample's beginning, before the first call.
    every : int
        Number of steps of a call; the last one is what is left.
    counts : callable
        Whether steps of a sample are among those that are judged.
    """

    begin: Program
    every: int
    counts: Callable[[range], bool]


@dataclass(frozen=True)
class TrainingPrograms:
    """The Programs of one task.

    Attributes
    ----------
    train : Program
        Forward sweep, loss and gradients of a batch.
    evaluate : Program
        The same without gradients.
    shared : mapping of str to array
        What the rule's own SHARED arrays hold at the start.
    refresh : Program, optional
        A sweep over what is shared, to be run at the start and after every change of the
        parameters.
    roles : Roles
        The parts that the Programs' arrays play.
    following : mapping of str to Follower
        The rule's own SHARED arrays that are updated as parameters are.
    sparing : callable, optional
        Makes a Program with the same results as ``train`` that needs less memory, to be run where
        that does not fit.
    online : Online, optional
        Where parameters are updated within a sample: ``train`` then goes through some of its
        steps, from where the call before it has ended.
    """

    train: Program
    evaluate: Program
    shared: Mapping[str, npt.NDArray[Any]]
    refresh: Program | None
    roles: Roles
    following: Mapping[str, Follower] = field(default_factory=dict)
    sparing: Callable[[], Program] | None = None
    online: Online | None = None


@runtime_checkable
class Rule(Protocol):
    """A learning rule: ``EProp``, ``SurrogateBPTT`` or ``EventProp``."""

    def training_program(self, model: Program, task: Task) -> TrainingPrograms:
        """The Programs that train a model on a task.

        Raises
        ------
        LearningError
            If the model, or what is asked of it, cannot be trained by this rule.
        """
        ...
