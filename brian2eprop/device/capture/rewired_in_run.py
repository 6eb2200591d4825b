"""Synapses that a simulation rewires: what a run must know of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from brian2.synapses.synapses import Synapses

from brian2eprop.device import brian
from brian2eprop.device.capture.builder import Builder
from brian2eprop.device.capture.captured import Simulated
from brian2eprop.device.capture.connections import connectivity
from brian2eprop.device.capture.pathways import RewiredPathway
from brian2eprop.device.capture.rewired import rewired
from brian2eprop.device.program import DType, Propagate
from brian2eprop.device.rewiring.expressions import check_expressions
from brian2eprop.device.rewiring.rules import Rewiring
from brian2eprop.errors import Unsupported


def room_for(synapses: Synapses, asked: Rewiring) -> int:
    """How many synapses that a simulation rewires there is room for.

    Where their number is not kept it is a power of two, so that what is made for it serves many.
    """
    if asked.rule.recipe(asked.weight).keep == "number":
        return len(synapses)
    wanted = max(_LEAST_ROOM, asked.room, len(synapses) + len(synapses) // 4)
    return int(min(2 ** (wanted - 1).bit_length(), len(synapses.source) * len(synapses.target)))


_LEAST_ROOM = 64


def rewire_in_run(
    builder: Builder, objects: Iterable[Any], rewirings: Mapping[Synapses, Rewiring], names: Any
) -> None:
    """Add the synapses that a simulation rewires.

    Parameters
    ----------
    builder : Builder
        The parts of the Program.
    objects : iterable of BrianObject
        The network's active objects.
    rewirings : mapping of Synapses to Rewiring
        What is asked for.
    names : mapping of str to object
        Where external names are looked up.

    Raises
    ------
    Unsupported
        If something else in the network refers to the synapses by their numbers, or they are to
        be rewired within a time step.
    """
    for synapses, asked in rewirings.items():
        _refuse_what_refers(synapses, objects)
        check_expressions(synapses, asked.rule.recipe(asked.weight), names)
        found = rewired(builder, synapses, asked, names)
        assert builder.before.born is not None
        born = builder.before.born(synapses, builder.time)
        order = connectivity(builder, synapses).order
        builder.simulated[synapses.name] = Simulated(
            synapses,
            found,
            _steps(builder, synapses, asked),
            builder.table_of(
                synapses,
                synapses.name,
                "rewire:born",
                born if order is None else born[order],
                DType.DOUBLE,
            ),
            tuple(_timed(builder, pathway) for pathway in synapses._pathways),
            _counts(builder, synapses),
        )


def _refuse_what_refers(synapses: Synapses, objects: Iterable[Any]) -> None:
    for found in objects:
        source: Any = getattr(found, "source", None)
        if source is synapses and not hasattr(found, "synapses"):
            raise Unsupported(
                f"'{found.name}' records variables of '{synapses.name}', which are rewired, so "
                "that a number stands for another synapse later; record a sum over them in a "
                f"variable of the neurons, or read {synapses.name}'s variables between runs."
            )
        if brian.is_synapses(found) and synapses in (found.source, found.target):
            raise Unsupported(
                f"'{found.name}' ends at the synapses '{synapses.name}', which are rewired; let "
                "it end at neurons."
            )


def _steps(builder: Builder, synapses: Synapses, asked: Rewiring) -> int:
    assert asked.dt is not None
    steps = round(asked.dt / builder.grid.dt)
    if not steps or abs(steps * builder.grid.dt / asked.dt - 1) > _ROUNDING:
        raise Unsupported(
            f"'{synapses.name}' is to be rewired every {asked.dt:g} s, which is no whole number of "
            f"the network's time steps of {builder.grid.dt:g} s; give rewire a multiple of it."
        )
    return steps


_ROUNDING = 1e-6


def _timed(builder: Builder, pathway: Any) -> RewiredPathway:
    phases = [p for p in builder.phases if isinstance(p, Propagate) and p.label == pathway.name]
    known = builder.pathways.get(pathway.name)
    late = builder.heard(pathway, brian.whole(pathway.source), pathway.event)[1] if known else 0
    delay = pathway.variables["delay"]
    own = [phase.delay if isinstance(phase.delay, str) else None for phase in phases]
    common = 0.0 if any(own) else float(np.max(delay.get_value(), initial=0.0))
    return RewiredPathway(
        pathway.name,
        builder.grid.clocks.get(pathway.clock),
        late,
        tuple(own) or (None,) * len(known.delays if known else ()),
        tuple(phase.formed for phase in phases if phase.formed is not None),
        None if delay.scalar else builder.array_of(delay),
        common,
    )


def _counts(builder: Builder, synapses: Synapses) -> tuple[str | None, str | None]:
    """The arrays of how many synapses each neuron has, where the network or the rule asks."""
    known = {variable: name for name, variable in builder.variables.items()}
    before, behind = (known.get(synapses.variables[name]) for name in ("N_outgoing", "N_incoming"))
    return before, behind
