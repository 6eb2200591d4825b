"""A Brian2 network becomes a graph of NIR."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from brian2 import Network, NeuronGroup, PoissonGroup, SpikeGeneratorGroup, Synapses
from brian2.core.namespace import get_local_namespace
from brian2.groups.group import CodeRunner
from brian2.monitors import EventMonitor, PopulationRateMonitor, StateMonitor

from brian2eprop.device.source import SpikeSource
from brian2eprop.errors import Unsupported
from brian2eprop.ml.converted import ConvertedNetwork
from brian2eprop.ml.interchange.assembly import assemble
from brian2eprop.ml.interchange.package import import_nir
from brian2eprop.ml.interchange.pathways import Pathway, read_pathway
from brian2eprop.ml.interchange.recognition import Population, recognise
from brian2eprop.ml.interchange.spiking_rates import read_rates

_GROUPS = (NeuronGroup, PoissonGroup, SpikeGeneratorGroup, SpikeSource)
_MONITORS = (EventMonitor, PopulationRateMonitor, StateMonitor)


def to_nir(
    network: Network | ConvertedNetwork,
    *,
    soft_reset: str | None = None,
    namespace: Mapping[str, Any] | None = None,
) -> Any:
    """Describe a network in the Neuromorphic Intermediate Representation.

    Groups are recognised by their equations, whatever their variables are called and whatever
    units they have; NIR's numbers are in base units. A membrane that decays is an LI, with
    spikes an LIF, one that does not an I or IF, one that a decaying current drives a CubaLI or
    CubaLIF. A spike that is added to a membrane or a current is a pulse of height 1 that lasts
    for a step, so that ``r`` is its time constant by the step. Groups that nothing leads to are
    inputs, groups that lead to no other outputs.

    Parameters
    ----------
    network : Network or ConvertedNetwork
        The network, or a conversion with rates.
    soft_reset : str, optional
        'metadata' notes in the metadata of a node that its neurons keep what is above their
        threshold, which NIR's own do not: :func:`from_nir` reads that, other tools may not.
    namespace : mapping, optional
        Where names in equations are looked up; where this is called, without.

    Returns
    -------
    nir.NIRGraph
        The graph, for ``nir.write``. Its nodes are called as groups and synapses are.

    Raises
    ------
    ImportError
        If there is no package nir.
    TypeError
        If it is no network.
    ValueError
        If nothing is an output, or soft_reset is something else.
    Unsupported
        If NIR has no node for what a group or synapses do; the sentence names them.

    Examples
    --------
    >>> from brian2 import *
    >>> import brian2eprop as b2e
    >>> source = SpikeGeneratorGroup(2, [0], [1*ms], name='source')
    >>> hidden = NeuronGroup(3, 'dv/dt = -v/(20*ms) : volt', threshold='v > 10*mV',
    ...                      reset='v = 0*mV', method='exact', name='hidden')
    >>> w = Synapses(source, hidden, 'w : volt', on_pre='v_post += w', name='weights')
    >>> w.connect()
    >>> graph = b2e.ml.to_nir(Network(source, hidden, w))
    >>> [type(graph.nodes[name]).__name__ for name in ('source', 'weights', 'hidden')]
    ['Input', 'Linear', 'LIF']
    """
    nir = import_nir("to_nir")
    if soft_reset not in (None, "metadata"):
        raise ValueError(f"to_nir: soft_reset is {soft_reset!r}; give 'metadata' or nothing.")
    noted = soft_reset is not None
    if isinstance(network, ConvertedNetwork):
        populations, pathways = read_rates(network, noted)
        sizes = {each.stage.name: each.stage.size for each in network.stages}
        return assemble(nir, populations, sizes, pathways)
    if not isinstance(network, Network):
        raise TypeError(f"to_nir: {network!r} is no network; give a Network or a converted one.")
    names = get_local_namespace(level=1) if namespace is None else namespace
    return _read(nir, network, names, noted)


def _read(nir: Any, network: Network, namespace: Mapping[str, Any], soft_reset: bool) -> Any:
    groups = {each.name: each for each in network.objects if isinstance(each, _GROUPS)}
    pathways = []
    for each in sorted(network.objects, key=lambda found: found.name):
        if isinstance(each, Synapses):
            pathways.append(read_pathway(each, namespace))
        elif each.name not in groups and not isinstance(each, _MONITORS):
            raise Unsupported(
                f"'{each.name}' is a {type(each).__name__}, for which NIR has no node; leave it "
                "out of the network."
            )
    populations = {
        name: _population(group, pathways, namespace, soft_reset) for name, group in groups.items()
    }
    for pathway in pathways:
        _check_sent(pathway, populations)
    return assemble(nir, populations, {name: len(of) for name, of in groups.items()}, pathways)


def _population(
    group: Any, pathways: list[Pathway], namespace: Mapping[str, Any], soft_reset: bool
) -> Population:
    onto = [each for each in pathways if each.target == group.name]
    received = {each.variable for each in onto}
    states = getattr(getattr(group, "equations", None), "diff_eq_names", ())
    cleared = _cleared(group)
    for each in onto:
        if each.sent is None and each.variable not in (*states, *cleared):
            raise Unsupported(
                f"'{each.name}' adds to '{each.variable}' of '{group.name}', which neither follows "
                "a differential equation nor is cleared in every step, and NIR has no such neurons."
            )
    return recognise(group, received, namespace, soft_reset)


def _cleared(group: Any) -> set[str]:
    """Variables that are set to zero in every step, after the neurons have moved on."""
    found = set()
    for runner in group.contained_objects:
        if type(runner) is not CodeRunner:  # what integrates, and what spikes
            continue
        set_to_zero = _ZEROED.fullmatch(runner.abstract_code or "")
        each_step = runner.when == "after_groups" and runner.clock.dt_ == group.clock.dt_
        if set_to_zero is None or not each_step:
            raise Unsupported(
                f"'{runner.name}' runs code on '{group.name}', for which NIR has no node; it knows "
                "what is set to zero in every step, by `x = 0` when='after_groups'."
            )
        found.add(set_to_zero[1])
    return found


_ZEROED = re.compile(r"\s*(\w+)\s*=\s*0(?:\.0*)?\s*")


def _check_sent(pathway: Pathway, populations: Mapping[str, Population]) -> None:
    source = populations[pathway.source]
    if pathway.sent is not None and source.kind != "Input" and source.sends != pathway.sent:
        raise Unsupported(
            f"'{pathway.name}' sums up '{pathway.sent}' of '{pathway.source}', which is none that "
            f"a node of the kind {source.kind} sends; let it be the membrane of neurons without a "
            "threshold."
        )
