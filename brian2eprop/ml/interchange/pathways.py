"""What leads from one group of Brian2 to another: weights, delays, and what they are added to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from brian2eprop.device.brian import convolution_of, ends
from brian2eprop.device.program import Convolution
from brian2eprop.errors import Unsupported
from brian2eprop.ml.graph import Values
from brian2eprop.ml.interchange.evaluation import Scope, slope, without


@dataclass(frozen=True)
class Pathway:
    """Synapses as a linear map.

    Parameters
    ----------
    name, source, target : str
        Names of the synapses and of the groups at their ends.
    variable : str
        The target's variable that they add to.
    sent : str, optional
        The source's variable that is added, where it is not spikes.
    weights : array
        Of the synapses, shape (targets, sources); of a kernel, (rows, columns, channels of the
        source / groups, channels of the target).
    delays : array, shape (sources,), and array, shape (targets,)
        Seconds, of which each synapse has the sum.
    convolution : Convolution, optional
        What a kernel is laid on.
    """

    name: str
    source: str
    target: str
    variable: str
    sent: str | None
    weights: Values
    delays: tuple[Values, Values]
    convolution: Convolution | None


def read_pathway(synapses: Any, namespace: Mapping[str, Any]) -> Pathway:
    """What synapses do, as far as it is linear.

    Parameters
    ----------
    synapses : Synapses
        The synapses.
    namespace : mapping
        Where names in their code are looked up.

    Returns
    -------
    Pathway
        The map.

    Raises
    ------
    Unsupported
        If they do something else.
    """
    scope = Scope(synapses, namespace)
    variable, sent, expression = _added(synapses, scope)
    kernel = convolution_of(synapses)
    values = scope.number(expression)
    if kernel is not None:
        weights = np.broadcast_to(values, kernel.n_synapses).reshape(kernel.shape)
    else:
        i, j = _ends(synapses)
        weights = np.zeros((len(synapses.target), len(synapses.source)))
        np.add.at(weights, (j, i), np.broadcast_to(values, len(i)))
    delays = _delays(synapses, shared=kernel is not None or sent is not None)
    names = synapses.name, synapses.source.name, synapses.target.name
    return Pathway(*names, variable, sent, weights, delays, kernel)


def _added(synapses: Any, scope: Scope) -> tuple[str, str | None, Any]:
    """The target's variable, the source's if it is not spikes, and what is added."""
    pathways, summed = synapses._pathways, synapses.summed_updaters
    if len(pathways) + len(summed) != 1 or any(each.prepost != "pre" for each in pathways):
        raise _refusal(synapses, "do more than one thing")
    if len(synapses.equations.diff_eq_names):
        raise _refusal(synapses, "have states of their own")
    if summed:
        ((name, updater),) = summed.items()
        code = str(updater.expression)
        found = [each for each in scope.variables(code) if each.endswith("_pre")]
        if len(found) != 1:
            raise _refusal(synapses, f"sum up '{code}', which is not one variable of the source")
        expression = scope.symbols(code)
        weight = slope(expression, found[0])
        if any(str(s) == found[0] for s in weight.free_symbols) or without(expression, found) != 0:
            raise _refusal(synapses, f"sum up '{code}', which is not a weight of '{found[0]}'")
        _check_own(synapses, scope, str(weight))
        return name.removesuffix("_post"), found[0].removesuffix("_pre"), weight
    code = str(pathways[0].code).strip()
    match = re.fullmatch(r"(\w+)\s*\+=\s*([^\n;]+)", code)
    if match is None:
        raise _refusal(synapses, f"do '{code}' at a spike, which is not a weight that is added")
    _check_own(synapses, scope, match[2])
    return match[1].removesuffix("_post"), None, scope.symbols(match[2])


def _check_own(synapses: Any, scope: Scope, code: str) -> None:
    for name, variable in scope.variables(code).items():
        owner = getattr(variable, "owner", None)
        if owner is not None and owner.name != synapses.name:
            raise _refusal(synapses, f"add what depends on '{name}' of '{owner.name}'")


def _delays(synapses: Any, shared: bool) -> tuple[Values, Values]:
    delay = np.zeros(0)
    for pathway in synapses._pathways:
        delay = np.asarray(pathway.variables["delay"].get_value(), float)
    sources, targets = np.zeros(len(synapses.source)), np.zeros(len(synapses.target))
    if shared or delay.size < 2 or np.ptp(delay) == 0:
        return sources + (delay.flat[0] if delay.size else 0.0), targets
    i, j = _ends(synapses)
    for own, end in ((sources, i), (targets, j)):
        own[end] = delay
        if np.array_equal(own[end], delay):
            return sources, targets
        own[:] = 0
    # Each the sum of one of its source and one of its target: least squares find them, if any.
    table = np.zeros((len(delay), len(sources) + len(targets)))
    table[np.arange(len(delay)), i] = table[np.arange(len(delay)), len(sources) + j] = 1
    both = np.linalg.lstsq(table, delay)[0]
    sources, targets = both[: len(sources)], both[len(sources) :]
    least = targets.min()
    sources, targets = sources + least, targets - least
    if not np.allclose(table @ both, delay, atol=1e-9) or sources.min() < -1e-9:
        raise _refusal(synapses, "have delays that are not those of their sources and targets")
    return np.maximum(sources, 0), targets


def _ends(synapses: Any) -> tuple[Any, Any]:
    source, target = ends(synapses)
    return source.get_value(), target.get_value()


def _refusal(synapses: Any, what: str) -> Unsupported:
    return Unsupported(
        f"'{synapses.name}' {what}, for which NIR has no node; it has weights, kernels and delays."
    )
