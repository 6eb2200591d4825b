"""What code of neurons reaches: variables of their own group, and those linked from others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from brian2eprop.device import brian
from brian2eprop.device.capture.builder import Builder
from brian2eprop.device.program import Body, Index, Ref
from brian2eprop.errors import Unsupported


def neuron(builder: Builder, owner: Any) -> Callable[[Any, str], Ref]:
    """What gives the Ref of a variable that code of each neuron reaches.

    Parameters
    ----------
    builder : Builder
        The parts of the Program that are known.
    owner : BrianObject
        Whose code it is.
    """

    def locate(variable: Any, index: str) -> Ref:
        name = builder.array_of(variable)
        if variable.scalar or index == brian.SHARED:
            return Ref(name, Index.SCALAR)
        if index == brian.ELEMENT:
            return Ref(name, Index.ELEMENT)
        places = builder.pieces[owner.name].variables[index].get_value()
        return Ref(name, Index.ELEMENT, via=builder.table(f"{owner.name}:{name}:{index}", places))

    return locate


def refuse_own_links(owner: Any, body: Body) -> None:
    """Refuse code that changes an array in which it reads other neurons' values."""
    for name in sorted(body.read):
        ref = body.refs[name]
        if ref.via is not None and ref.array in body.arrays(body.written):
            raise Unsupported(
                f"'{owner.name}' changes what '{name}' is linked to while other neurons read it, "
                "which eprop_cuda does not run; link to a variable that holds a copy."
            )
