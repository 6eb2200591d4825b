"""What every optimiser is: an update of parameters by their gradients, as a Program."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType

from brian2eprop.device.backends.base import Memory
from brian2eprop.device.program import Array, Direction, Over, Program, Sweep
from brian2eprop.learning.training.clipping import LIMIT, Clipped, by_norm, by_value
from brian2eprop.learning.training.schedules import Rate, check_rate, rate_of
from brian2eprop.learning.training.update import Step, Update, like, own_number
from brian2eprop.number_checks import above_zero

LIMITS = ("clipnorm", "global_clipnorm", "clipvalue")
LEARNING_RATE = dict.fromkeys(("lr", "rate", "eta", "step_size"), "learning_rate")


@dataclass(repr=False)
class Optimiser(ABC):
    """An update rule for parameters.

    What changes from update to update, such as the learning rate, lies in arrays of size 1
    that :meth:`prepare` fills: the compiled Program stays the same. The arrays it uses have
    names with a colon, which no variable of Brian2 can have.

    Parameters
    ----------
    learning_rate : float or callable
        How far an update goes, or a function of the number of updates done that gives it, such
        as ``CosineDecay(1e-3, 1000)``; may be changed during training.
    clipnorm : float, optional
        Largest norm of the gradient of each parameter; a longer one is scaled down to it.
    global_clipnorm : float, optional
        Largest norm of all gradients together, as one vector.
    clipvalue : float, optional
        Largest size of an element of a gradient; larger ones are put to it.

    Raises
    ------
    ValueError
        If a limit is no finite number above zero, or more than one is given.
    """

    learning_rate: Rate
    clipnorm: float | None = field(default=None, kw_only=True)
    global_clipnorm: float | None = field(default=None, kw_only=True)
    clipvalue: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        self.learning_rate = check_rate(type(self).__name__, "learning_rate", self.learning_rate)
        for name in LIMITS if self._limit() else ():
            limit = getattr(self, name)
            setattr(self, name, None if limit is None else float(limit))

    def _limit(self) -> dict[str, float]:
        """The limit of gradients by its array, if there is one."""
        given = [name for name in LIMITS if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(
                f"{type(self).__name__}: {' and '.join(given)} are given; give one of them."
            )
        values = [above_zero(type(self).__name__, name, getattr(self, name)) for name in given]
        return dict(zip([LIMIT], values, strict=False))

    def __repr__(self) -> str:
        shown = (
            f"{f.name}={getattr(self, f.name)!r}"
            for f in sorted(fields(self), key=lambda f: f.kw_only is True)
            if not f.kw_only or getattr(self, f.name) is not None
        )
        return f"{type(self).__name__}({', '.join(shown)})"

    def update(
        self,
        parameters: Sequence[Array],
        gradients: Mapping[str, str],
        own_rates: Collection[str] = (),
    ) -> Update:
        """The Program of one update, and the part that each array plays.

        Parameters
        ----------
        parameters : sequence of Array
            The arrays that are trained.
        gradients : mapping of str to str
            For each of them the array of its gradient.
        own_rates : collection of str
            The arrays that have a learning rate of their own.

        Returns
        -------
        Update
            Over every parameter, its gradient and the optimiser's own arrays.
        """
        own = [like(p, gradients[p.name]) for p in parameters]
        clipping, clips = self._clipped(own)
        steps = [self._step(p, gradient) for p, gradient in zip(parameters, own, strict=True)]
        steps = [step.apart() if step.parameter.name in own_rates else step for step in steps]
        used = [*own, *clipping, *(array for step in steps for array in step.arrays)]
        arrays = {array.name: array for array in used}
        phases = (*clips, *(step.phase for step in steps))
        program = Program(
            name=f"{type(self).__name__.lower()}_update",
            dt=1.0,
            arrays=tuple(arrays.values()),
            sweeps=(Sweep(Direction.ONCE, phases, Over.SHARED),),
        )
        return Update(
            program,
            {beside.name: s.parameter.name for s in steps for beside in s.beside.values()},
            frozenset(s.beside[s.squares].name for s in steps if s.squares is not None),
        )

    def _clipped(self, gradients: Sequence[Array]) -> Clipped:
        """What is done to the gradients before the update."""
        self._limit()
        if self.clipvalue is not None:
            return by_value(gradients)
        if self.global_clipnorm is not None:
            return by_norm({"all gradients": gradients})
        if self.clipnorm is not None:
            return by_norm({gradient.name: [gradient] for gradient in gradients})
        return (), ()

    def prepare(
        self, memory: Memory, iteration: int, own_rates: Mapping[str, Rate] = MappingProxyType({})
    ) -> tuple[float, dict[str, float]]:
        """Fill the arrays of size 1 for one update; each schedule is asked once.

        Parameters
        ----------
        memory : Memory
            Memory that has been reserved for the Program.
        iteration : int
            Number of the update, 1 for the first.
        own_rates : mapping of str to float or callable
            Learning rates of arrays that have one of their own.

        Returns
        -------
        usual : float
            The learning rate.
        own : dict of str to float
            Those of arrays that have one of their own.

        Raises
        ------
        ValueError
            If a learning rate is no finite number from 0 up.
        """
        asked = {id(rate): rate for rate in (self.learning_rate, *own_rates.values())}
        owner, values = type(self).__name__, self._limit()
        now = {key: rate_of(owner, rate, iteration - 1) for key, rate in asked.items()}
        usual = now[id(self.learning_rate)]
        own = {parameter: now[id(rate)] for parameter, rate in own_rates.items()}
        values |= self._numbers(usual, iteration)
        for parameter, rate in own.items():
            values |= {
                own_number(name, parameter): value
                for name, value in self._numbers(rate, iteration).items()
            }
        for name in values.keys() & memory.arrays.keys():
            memory.write(name, values[name])
        return usual, own

    @abstractmethod
    def _numbers(self, rate: float, iteration: int) -> dict[str, float]:
        """What the arrays of size 1 hold in an update."""

    @abstractmethod
    def _step(self, parameter: Array, gradient: Array) -> Step:
        """How one parameter is updated."""
