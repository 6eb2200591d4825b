"""What the device does with one of Brian2's classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from brian2eprop.device import brian
from brian2eprop.device.capture.builder import Builder
from brian2eprop.device.program import Body, Index
from brian2eprop.errors import Unsupported


def _nothing(found: Any) -> None:
    pass


def _no_phase(builder: Builder, found: Any) -> None:
    pass


@dataclass(frozen=True)
class Kind:
    """What the device does with the objects of a class.

    Parameters
    ----------
    add : callable
        Adds an object's phases to a builder.
    check : callable
        Refuses an object that the device does not run.
    emitter : callable, optional
        Gives the group whose events an object finds, and the event.
    """

    add: Callable[[Builder, Any], None] = _no_phase
    check: Callable[[Any], None] = _nothing
    emitter: Callable[[Any], tuple[Any, str]] | None = None


def refuse_scalar_writes(owner: Any, body: Body) -> None:
    """Refuse code that writes what all elements of a group share."""
    for name in sorted(body.written):
        if body.refs[name].index is Index.SCALAR:
            raise Unsupported(
                f"'{owner.name}' writes the shared variable '{name}' in a run, which eprop_cuda "
                "does not; leave out the flag '(shared)'."
            )


def refuse_element_writes(owner: Any, synapses: Any, body: Body) -> None:
    """Refuse code that treats an element of a kernel as one synapse's own."""
    if brian.convolution_of(synapses) is None:
        return
    if body.draws:
        raise Unsupported(
            f"'{owner.name}' draws random numbers for each synapse of '{synapses.name}', which "
            "share a kernel and are not told apart; draw them in the equations of the neurons."
        )
    for name in sorted(body.written):
        if body.refs[name].index is Index.SYNAPSE:
            raise Unsupported(
                f"'{owner.name}' changes '{name}' of '{synapses.name}' in a run, which is an "
                "element of a kernel that many synapses share; leave that out, or connect them "
                "each for itself."
            )
