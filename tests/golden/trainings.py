"""A small network trained by e-prop and by EventProp: what a rule makes of the same Program."""

from __future__ import annotations

from brian2eprop import CrossEntropy, EProp, EventProp
from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Dense,
    Detect,
    Direction,
    DType,
    Events,
    Feed,
    ForEach,
    ForEachEvent,
    Index,
    Phase,
    Program,
    Propagate,
    Ref,
    Slots,
    Stream,
    Sweep,
)
from brian2eprop.learning.objective.task import Output, Task

N_IN, N, N_OUT = 5, 4, 2
PATHWAYS = {"w_in": ("source", "hidden"), "w_rec": ("hidden", "hidden"), "w_out": ("hidden", "out")}
SIZES = {"source": N_IN, "hidden": N, "out": N_OUT}
DELAY = 2


def _neurons(group: str, names: str) -> dict[str, Ref]:
    return {name: Ref(f"{group}.{name}", Index.ELEMENT) for name in names}


def _dynamics(group: str) -> Phase:
    """A membrane that a current drives."""
    code = "_v = v*exp(-dt/tau) + I*(1 - exp(-dt/tau))\nI = I*exp(-dt/tau_syn)\nv = _v"
    constants = {"tau": 20e-3, "tau_syn": 5e-3}
    return ForEach(
        f"{group}_stateupdater", SIZES[group], Body(code, _neurons(group, "vI"), constants)
    )


def _pathway(name: str) -> Phase:
    source, target = PATHWAYS[name]
    refs = {"w": Ref(f"{name}.w", Index.SYNAPSE), "I_post": Ref(f"{target}.I", Index.TARGET)}
    delay = DELAY if source == target else 0
    return Propagate(name, source, name, Body("I_post += w", refs), delay)


def network() -> Program:
    """Input, spiking neurons with synapses among themselves, a readout."""
    real = [
        Array(f"{group}.{name}", DType.REAL, SIZES[group], Access.PER_INSTANCE)
        for group in ("hidden", "out")
        for name in "vI"
    ]
    connectivities = tuple(Dense(n, SIZES[s], SIZES[t]) for n, (s, t) in PATHWAYS.items())
    weights = [
        Array(f"{c.name}.w", DType.REAL, c.n_synapses, Access.SHARED) for c in connectivities
    ]
    threshold = Body("_cond = v > 1", _neurons("hidden", "v"))
    phases = (
        _dynamics("hidden"),
        _dynamics("out"),
        Feed("source", "source", "source"),
        Detect("hidden_thresholder", N, "hidden", threshold),
        *map(_pathway, PATHWAYS),
        ForEachEvent("hidden_resetter", "hidden", Body("v = 0", _neurons("hidden", "v"))),
    )
    return Program(
        "network",
        1e-3,
        (*real, *weights),
        (Sweep(Direction.FORWARD, phases),),
        (
            Events("source", N_IN, Access.PER_INSTANCE, Slots()),
            Events("hidden", N, Access.PER_INSTANCE, Slots(DELAY)),
        ),
        connectivities,
        (Stream("source", N_IN),),
    )


RULES = {"eprop": EProp(form="adjoint", feedback="symmetric"), "eventprop": EventProp()}


def training(rule: str) -> Program:
    """The Program that trains all weights."""
    parameters = tuple(f"{name}.w" for name in PATHWAYS)
    task = Task((Output("out.v", CrossEntropy()),), parameters)
    return RULES[rule].training_program(network(), task).train
