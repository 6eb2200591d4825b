"""What it takes of Brian2's Synapses that they share a kernel, and that few or none are kept."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from brian2.core.variables import ArrayVariable

from brian2eprop.device import brian
from brian2eprop.device.convolution.weights import KernelVariable
from brian2eprop.device.program import Convolution, Side
from brian2eprop.errors import Unsupported


def share_elements(
    synapses: Any, name: str, convolution: Convolution, shape: tuple[int, ...]
) -> None:
    """Let a variable of synapses be the kernel of a convolution.

    Parameters
    ----------
    synapses : Synapses
        The synapses, not connected yet.
    name : str
        The variable, in whose place another one comes.
    convolution : Convolution
        What they are.
    shape : tuple of int
        Shape of the kernel.
    """
    own = synapses.variables
    before = own._variables.pop(name)
    synapses.unregister_variable(before)
    own.add_dynamic_array(brian.KERNEL, size=0, dtype=np.int32, constant=True, read_only=True)
    synapses.register_variable(own[brian.KERNEL])
    kernel = KernelVariable(
        shape,
        name=name,
        owner=synapses,
        device=before.device,
        dimensions=before.dim,
        dtype=before.dtype,
    )
    own._add_variable(name, kernel, brian.KERNEL)
    before.device.init_with_zeros(kernel, before.dtype)
    for pathway in synapses._pathways:
        seen = pathway.variables
        for found, index in ((brian.KERNEL, brian.ELEMENT), (name, brian.KERNEL)):
            seen._variables[found], seen.indices[found] = own[found], index
    synapses.__dict__[brian.CONVOLUTION] = convolution


def share_delays(synapses: Any) -> None:
    """Give all synapses of a pathway one delay, as Brian2 does where it is given one."""
    for pathway in synapses._pathways:
        delay = pathway.variables["delay"]
        if delay.scalar:
            continue
        synapses.unregister_variable(delay)
        delay.scalar = True
        delay.resize(1)
        for found in (synapses.variables, pathway.variables):
            found.indices.update({name: brian.SHARED for name in found if found[name] is delay})


def kept_for_each(synapses: Any) -> list[str]:
    """Names of the variables of which each synapse has a value, delays and ends apart."""
    kept = synapses._registered_variables - set(brian.ends(synapses))
    return sorted(found.name for found in kept if not brian.is_delay(found))


def code_of(synapses: Any) -> list[str]:
    """The code of the pathways of synapses."""
    return [pathway.code for pathway in synapses._pathways if isinstance(pathway.code, str)]


def written_by(code: str) -> set[str]:
    """The names that abstract code sets, which has Python's syntax but for its indentation."""
    lines = "\n".join(line.strip() for line in code.splitlines())
    try:
        found = ast.walk(ast.parse(lines))
    except SyntaxError:
        # Brian2 says itself, and better, what is wrong with a statement.
        return set()
    return {node.id for node in found if isinstance(node, ast.Name) and type(node.ctx) is ast.Store}


def connect_all(synapses: Any, convolution: Convolution) -> None:
    """Connect every synapse for itself."""
    source, target, element = convolution.unrolled()
    synapses.connect(i=source, j=target)
    synapses.variables[brian.KERNEL].set_value(element)


def refuse_others(synapses: Any) -> None:
    """Let synapses refuse to be connected once more."""
    name = synapses.name

    def connect(*_: Any, **__: Any) -> None:
        raise Unsupported(
            f"'{name}' is connected by a kernel, and has no synapses besides; make other Synapses "
            "for those."
        )

    synapses.__dict__["connect"] = connect


def connect_none(
    synapses: Any,
    convolution: Convolution,
    postpone: Callable[[Iterable[ArrayVariable], Callable[[], Iterable[Any]]], None],
) -> None:
    """Say how many synapses there are; where they end is worked out when somebody asks.

    Parameters
    ----------
    synapses : Synapses
        The synapses.
    convolution : Convolution
        What they are.
    postpone : callable
        Has the values of some variables made when one is first asked for.
    """
    synapses._connect_called = True
    synapses.variables["N"].set_value(convolution.n_unrolled)
    for name, side in (("N_outgoing", Side.SOURCE), ("N_incoming", Side.TARGET)):
        variable, values = synapses.variables[name], convolution.numbers(side)
        variable.resize(len(values))
        variable.set_value(values)
    later = (*brian.ends(synapses), synapses.variables[brian.KERNEL])
    for variable in later:
        synapses.unregister_variable(variable)
    postpone(later, convolution.unrolled)
    _leave_out_of_store(synapses, frozenset(variable.name for variable in later))


def _leave_out_of_store(synapses: Any, names: frozenset[str]) -> None:
    """Keep what follows from the convolution out of what Brian2 stores."""

    def full_state() -> dict[str, Any]:
        return {
            found.name: (found.get_value().copy(), found.size)
            for found in synapses.variables.values()
            if isinstance(found, ArrayVariable)
            and brian.owner_of(found) is not None
            and found.owner.name == synapses.name
            and found.name not in names
        }

    synapses.__dict__["_full_state"] = full_state
