"""Rules by which sparse synapses are rewired."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from brian2eprop.number_checks import above_zero, number, whole

NOTHING: Mapping[str, str] = MappingProxyType({})

# Of the synapses, or by how many updates were done.
Share = float | Callable[[int], float]

# Updates are counted in 64 bits.
MOST_UPDATES = 2**63 - 1

# Names in the code of a recipe that are no variables of the synapses.
RATE, POLARITY = "_learning_rate", "_polarity"


@dataclass(frozen=True)
class Recipe:
    """A rule as Brian2 code.

    Parameters
    ----------
    eliminate : str
        Which synapses go: a condition or, with a ``fraction``, a number that is greatest for them.
    form : str
        How readily an empty place takes a synapse, from 0 to 1.
    allowed : str
        Where synapses may be.
    initial : mapping of str to str
        Values of formed synapses; everything else of theirs is zero.
    fraction : float or callable, optional
        The share of the synapses that goes.
    by_gradient : bool
        Whether synapses are formed where the gradient that their weight would have is greatest.
    update : str
        What is done to every synapse before.
    keep : str
        Whether as many are formed as go ('number'), or every empty place takes one by itself,
        with the probability ``form`` ('none').
    polarity : float, optional
        Where every synapse has a sign that its weight keeps, called ``_polarity``: the share of the
        places whose sign is 1.
    """

    eliminate: str
    form: str = "1"
    allowed: str = "True"
    initial: Mapping[str, str] = NOTHING
    fraction: Share | None = None
    by_gradient: bool = False
    update: str = ""
    keep: str = "number"
    polarity: float | None = None


class Rule(ABC):
    """How synapses are rewired.

    Attributes
    ----------
    every : int
        After how many updates.
    """

    every: int

    @abstractmethod
    def recipe(self, weight: str) -> Recipe:
        """The rule as Brian2 code, for synapses whose weight has that name."""


@dataclass(frozen=True)
class Rewiring:
    """What is asked for of synapses.

    Parameters
    ----------
    rule : Rule
        How they are rewired.
    weight : str
        Name of the variable that is their weight; of synapses that are rewired in a simulation
        it need not be there.
    seed : int
        Seed of what every place has.
    dt : float, optional
        After how many seconds a simulation rewires them; None where a training does.
    reads_state : bool
        Whether the rule may read what a run changes.
    room : int
        How many synapses there must be room for, where their number is not kept.
    """

    rule: Rule
    weight: str
    seed: int = 0
    dt: float | None = None
    reads_state: bool = False
    room: int = 0


@dataclass(frozen=True)
class Rewire(Rule):
    """A rule of your own: which synapses go, and where others are formed.

    The expressions are Brian2's: they may name variables of the synapses, of the neurons at
    either end (``x_pre``, ``x_post``; in a training those that it does not change), ``i``, ``j``,
    ``N_pre``, ``N_post``, ``N_incoming``, ``N_outgoing`` (how many synapses the neurons had before
    the rewiring, in a training at its beginning), constants, functions and ``rand()``. ``form`` and
    ``allowed`` are about places without a synapse, so that they know neurons only.

    Parameters
    ----------
    eliminate : str
        Condition under which a synapse goes; with ``fraction`` a number, and the synapses for
        which it is greatest go.
    form : str
        How readily an empty place takes a synapse, from 0 to 1 (more counts as 1, NaN as 0):
        places are taken with probabilities in proportion to it. By default all alike.
    every : int
        After how many updates.
    initial : mapping of str to str
        Values of the variables of a formed synapse; those that are not named start at zero.
    fraction : float or callable, optional
        Share of the synapses that goes; a schedule, as for learning rates, says it by the number
        of updates done.
    allowed : str
        Condition for places that may have a synapse, such as ``'i != j'``.
    keep : str
        'number': as many are formed as go. 'none': every place without a synapse takes one with
        the probability ``form``, whatever goes, so that the number changes; in simulations only,
        and every rewiring goes through all places.

    Raises
    ------
    TypeError, ValueError
        If an expression is no text, or a number is out of its range.

    Examples
    --------
    >>> from brian2eprop import Rewire
    >>> Rewire('w < 0.01', form='exp(-(x_pre - x_post)**2)', initial={'w': '0.1'})
    Rewire('w < 0.01', form='exp(-(x_pre - x_post)**2)', every=1, initial={'w': '0.1'})
    """

    eliminate: str
    form: str = "1"
    every: int = 1
    initial: Mapping[str, str] = field(default_factory=dict)
    fraction: Share | None = None
    allowed: str = "True"
    keep: str = "number"

    def __post_init__(self) -> None:
        named = {"eliminate": self.eliminate, "form": self.form, "allowed": self.allowed}
        if not isinstance(self.initial, Mapping):
            raise TypeError(
                f"Rewire: initial is {self.initial!r}; give a dictionary of expressions by the "
                "name of the variable, such as {'w': '0.1'}."
            )
        object.__setattr__(self, "initial", dict(self.initial))  # the caller's may change
        for name in self.initial:
            _check_text("Rewire", "a variable in initial", name)
        named |= {f"initial[{name!r}]": value for name, value in self.initial.items()}
        for name, value in named.items():
            _check_text("Rewire", name, value)
        whole("Rewire", "every", self.every, 1, MOST_UPDATES)
        if self.fraction is not None:
            _check_share("Rewire", self.fraction)
        if self.keep not in ("number", "none"):
            raise ValueError(f"Rewire: keep is {self.keep!r}; give 'number' or 'none'.")
        if self.keep == "none" and self.fraction is not None:
            raise ValueError(
                "Rewire: a fraction of the synapses goes and others are formed in their stead, but "
                "keep is 'none'; give eliminate as a condition, without fraction."
            )

    def __repr__(self) -> str:
        fraction = "" if self.fraction is None else f", fraction={self.fraction!r}"
        allowed = "" if self.allowed == "True" else f", allowed={self.allowed!r}"
        keep = "" if self.keep == "number" else f", keep={self.keep!r}"
        return (
            f"Rewire({self.eliminate!r}, form={self.form!r}, every={self.every}, "
            f"initial={dict(self.initial)!r}{fraction}{allowed}{keep})"
        )

    def recipe(self, weight: str) -> Recipe:
        """See :meth:`Rule.recipe`."""
        return Recipe(
            self.eliminate, self.form, self.allowed, self.initial, self.fraction, keep=self.keep
        )


@dataclass(frozen=True)
class DeepR(Rule):
    r"""Deep rewiring: synapses whose weight crosses zero go.

    Every synapse has a sign :math:`s`. After an update by the gradient a weight is drawn to zero,
    :math:`w \leftarrow w - \eta\alpha s + \sqrt{2\eta T}\,\xi` with normal :math:`\xi`; a synapse
    whose weight has not its sign is taken away, and one at another empty place, all being equally
    likely, begins at zero. So the number of synapses stays. A synapse that was there at the start
    has the sign of its weight, a formed one that of its place, by chance and always the same.

    Parameters
    ----------
    l1 : float
        How strongly weights are drawn to zero, :math:`\alpha`.
    temperature : float
        How strongly they wander, :math:`T`.
    excitatory : float
        Share of the places whose sign is positive.
    every : int
        After how many updates.
    allowed : str
        Condition for places that may have a synapse, such as ``'i != j'``.

    Raises
    ------
    TypeError, ValueError
        If a number is out of its range, or the condition is no text.

    References
    ----------
    Bellec, Kappel, Maass, Legenstein (2018), Deep rewiring: training very sparse deep networks,
    ICLR, arXiv:1711.05136.

    Examples
    --------
    >>> from brian2eprop import DeepR
    >>> DeepR(l1=1e-4)
    DeepR(l1=0.0001, temperature=0.0, excitatory=0.5, every=1, allowed='True')
    """

    l1: float = 0.0
    temperature: float = 0.0
    excitatory: float = 0.5
    every: int = 1
    allowed: str = "True"

    def __post_init__(self) -> None:
        number("DeepR", "l1", self.l1)
        number("DeepR", "temperature", self.temperature)
        number("DeepR", "excitatory", self.excitatory, most=1)
        whole("DeepR", "every", self.every, 1, MOST_UPDATES)
        _check_text("DeepR", "allowed", self.allowed)

    def recipe(self, weight: str) -> Recipe:
        """See :meth:`Rule.recipe`."""
        lines = [f"{weight} += -{float(self.l1)!r}*{RATE}*{POLARITY}"] if self.l1 else []
        if self.temperature:
            lines.append(f"{weight} += sqrt({2 * float(self.temperature)!r}*{RATE})*randn()")
        return Recipe(
            f"{weight}*{POLARITY} < 0",
            allowed=self.allowed,
            update="\n".join(lines),
            polarity=float(self.excitatory),
        )


@dataclass(frozen=True)
class SET(Rule):
    """Sparse evolutionary training: a share of the synapses, those of least weight, go.

    As many others are formed at empty places, all of which are equally likely.

    Parameters
    ----------
    fraction : float or callable
        Share of the synapses that goes; a schedule, as for learning rates, says it by the number
        of updates done.
    every : int
        After how many updates, such as the number of batches of an epoch.
    initial : str
        Weight of a formed synapse, such as ``'0.1*randn()'``.
    allowed : str
        Condition for places that may have a synapse, such as ``'i != j'``.

    Raises
    ------
    TypeError, ValueError
        If a number is out of its range, or an expression is no text.

    References
    ----------
    Mocanu et al. (2018), Scalable training of artificial neural networks with adaptive sparse
    connectivity inspired by network science, Nature Communications 9:2383,
    doi:10.1038/s41467-018-04316-3. There, positive and negative weights are counted apart.

    Examples
    --------
    >>> from brian2eprop import SET
    >>> SET(0.3, every=100)
    SET(fraction=0.3, every=100, initial='0', allowed='True')
    """

    fraction: Share = 0.3
    every: int = 100
    initial: str = "0"
    allowed: str = "True"

    def __post_init__(self) -> None:
        _check_share("SET", self.fraction)
        whole("SET", "every", self.every, 1, MOST_UPDATES)
        _check_text("SET", "initial", self.initial)
        _check_text("SET", "allowed", self.allowed)

    def recipe(self, weight: str) -> Recipe:
        """See :meth:`Rule.recipe`."""
        initial = {weight: self.initial}
        return Recipe(
            f"-abs({weight})", allowed=self.allowed, initial=initial, fraction=self.fraction
        )


@dataclass(frozen=True)
class RigL(Rule):
    """Rigging the lottery: synapses of least weight go, those of greatest gradient are formed.

    A share of the synapses, those whose weight is nearest to zero, is taken away, and as many are
    formed where the gradient of the loss by the weight that a synapse would have there is
    greatest, of either sign: that of the batch by which the update was made. Places that have just
    become empty are among those. What is formed begins at zero.

    The gradient of all places is there in such a batch alone: its cost is that of a dense matrix'
    gradient, and falls with ``every``; its memory is that of a dense matrix.

    Parameters
    ----------
    fraction : float or callable
        Share of the synapses that goes; a schedule, as for learning rates, says it by the number
        of updates done. In the paper ``CosineDecay(0.3, n)``, where ``n`` is three quarters of
        the training's updates: then the network stays as it is.
    every : int
        After how many updates.
    allowed : str
        Condition for places that may have a synapse, such as ``'i != j'``.

    Raises
    ------
    TypeError, ValueError
        If a number is out of its range, or the condition is no text.

    References
    ----------
    Evci, Gale, Menick, Castro, Elsen (2020), Rigging the lottery: making all tickets winners,
    ICML, arXiv:1911.11134. There, the batch by whose gradient synapses are formed updates no
    weights.

    Examples
    --------
    >>> from brian2eprop import CosineDecay, RigL
    >>> RigL(CosineDecay(0.3, decay_steps=1000)).every
    100
    """

    fraction: Share = 0.3
    every: int = 100
    allowed: str = "True"

    def __post_init__(self) -> None:
        _check_share("RigL", self.fraction)
        whole("RigL", "every", self.every, 1, MOST_UPDATES)
        _check_text("RigL", "allowed", self.allowed)

    def recipe(self, weight: str) -> Recipe:
        """See :meth:`Rule.recipe`."""
        return Recipe(
            f"-abs({weight})", allowed=self.allowed, fraction=self.fraction, by_gradient=True
        )


def _check_text(owner: str, name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{owner}: {name} is {value!r}; give a Brian2 expression as text.")
    if not value.strip():
        raise ValueError(f"{owner}: {name} is empty; give a Brian2 expression.")


def _check_share(owner: str, value: Any) -> None:
    if callable(value) and not isinstance(value, type):
        return
    number(owner, "fraction", value, below=1)
    above_zero(owner, "fraction", value, "0.3")
