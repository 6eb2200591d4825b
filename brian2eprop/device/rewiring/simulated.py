"""Which synapses a simulation rewires: what a user asks for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from brian2.devices.device import all_devices, get_device
from brian2.synapses.synapses import Synapses
from brian2.units import ms, second
from brian2.units.fundamentalunits import Quantity

from brian2eprop.device.rewiring.rules import Rewiring, Rule
from brian2eprop.errors import Unsupported
from brian2eprop.number_checks import above_zero

_ASKED = "_eprop_rewiring"


@dataclass(eq=False)
class Asked:
    """What is asked for of Synapses, whose attribute it is.

    Parameters
    ----------
    rewiring : Rewiring
        The rule, and when.
    """

    rewiring: Rewiring

    def make_room(self, number: int) -> None:
        """Have room for so many synapses from the next capture on."""
        self.rewiring = replace(self.rewiring, room=number)


def rewire(
    synapses: Synapses, rule: Rule | None, dt: Quantity = 10 * ms, weight: str = "w"
) -> None:
    """Have synapses rewired by a rule while the network runs.

    A run rewires them whenever ``dt`` has passed since the time zero, at the end of the time step
    (behind Brian2's slot ``'after_end'``), on the device. Another call replaces the rule.

    Parameters
    ----------
    synapses : Synapses
        The synapses; each pair of neurons is connected once at most.
    rule : Rewire, SET or None
        How they are rewired; None: no more. Its ``every`` counts a training's updates and says
        nothing here. The expressions may name variables that a run changes, unless there is more
        than one instance, and the time ``t``.
    dt : Quantity
        After how much time, a whole number of the network's time steps.
    weight : str
        Name of the variable that is the weight, for rules that ask for one, such as ``SET``.

    Raises
    ------
    TypeError
        If something is no Synapses or no rule, or ``dt`` no number.
    ValueError
        If ``dt`` is not above zero, or the synapses have no such weight.
    Unsupported
        If another device is active, or the rule needs what only a training has.

    Examples
    --------
    >>> from brian2 import NeuronGroup, Synapses, ms, set_device
    >>> import brian2eprop as b2e
    >>> set_device('eprop_cuda')
    >>> group = NeuronGroup(20, 'x : 1')
    >>> synapses = Synapses(group, group, 'w : 1')
    >>> synapses.connect(p=0.1)
    >>> b2e.rewire(synapses, b2e.Rewire('w < 0.01', form='exp(-(x_pre - x_post)**2)'), dt=10*ms)
    """
    if not isinstance(synapses, Synapses):
        raise TypeError(f"rewire: {synapses!r} is to be rewired; give Synapses.")
    if get_device() is not all_devices["eprop_cuda"]:
        raise Unsupported(
            f"'{synapses.name}' is to be rewired, which Brian2's own devices do not; call "
            "set_device('eprop_cuda') first."
        )
    if rule is None:
        synapses.__dict__.pop(_ASKED, None)
        return
    if isinstance(rule, type) or not isinstance(rule, Rule):
        raise TypeError(
            f"rewire: '{synapses.name}' is to be rewired by {rule!r}; give a rule, such as "
            "Rewire('w < 0.01'), or None."
        )
    if not (isinstance(dt, Quantity) and dt.shape == () and dt.dim == second.dim):
        raise TypeError(f"rewire: dt is {dt!r}; give one time, such as 10*ms.")
    above_zero("rewire", "dt", float(dt), "10*ms")
    _check_rule(synapses, rule, weight)
    synapses.__dict__[_ASKED] = Asked(Rewiring(rule, weight, dt=float(dt)))


def _check_rule(synapses: Synapses, rule: Rule, weight: str) -> None:
    recipe = rule.recipe(weight)
    scheduled = callable(recipe.fraction)
    if recipe.update or recipe.polarity is not None or recipe.by_gradient or scheduled:
        raise Unsupported(
            f"'{synapses.name}' is to be rewired by {rule!r}, which needs a learning rate, "
            "gradients or a number of updates, which only a training has; write the rule as "
            "Rewire('w < 0', ...)."
        )
    if weight in recipe.initial and weight not in synapses.variables:
        raise ValueError(
            f"rewire: the rule of '{synapses.name}' asks for the weight '{weight}', which is none "
            "of their variables; give the name of one as weight."
        )


def asked_of(synapses: Any) -> Asked | None:
    """What is asked for of Synapses."""
    found = getattr(synapses, "__dict__", {}).get(_ASKED)
    return found if isinstance(found, Asked) else None


def rewirings_of(objects: Iterable[Any], instances: int) -> dict[Synapses, Rewiring]:
    """What is asked for of the objects of a network.

    Parameters
    ----------
    objects : iterable of BrianObject
        The active objects.
    instances : int
        Number of instances: what differs between several, no rule may read.
    """
    found = {each: asked_of(each) for each in objects}
    return {
        synapses: replace(asked.rewiring, reads_state=instances == 1)
        for synapses, asked in found.items()
        if asked is not None
    }


def refuse_asked(objects: Iterable[Any]) -> None:
    """Refuse synapses that a simulation would rewire, in a training.

    Raises
    ------
    Unsupported
        If there are some.
    """
    for synapses in rewirings_of(objects, 1):
        raise Unsupported(
            f"'{synapses.name}' is rewired by rewire(), which a training does not do; give the "
            f"Trainer its rule as rewiring, and call rewire({synapses.name}, None)."
        )
