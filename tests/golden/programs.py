"""Small Programs that together use whatever a template can be asked for."""

from __future__ import annotations

from dataclasses import replace

from brian2eprop.device.codegen.parts import Layout
from brian2eprop.device.program import (
    Access,
    Array,
    At,
    Body,
    Chunks,
    Clear,
    Convolution,
    Count,
    Dense,
    Detect,
    Direction,
    DType,
    Events,
    Feed,
    ForEach,
    ForEachEvent,
    ForEachSynapse,
    Index,
    Over,
    Phase,
    Program,
    Propagate,
    Record,
    Reduce,
    Reduction,
    Ref,
    Side,
    Slots,
    Sparse,
    Stream,
    Sweep,
)

N_IN, N = 5, 12
DELAY = 2

OWN, SHARED, SCRATCH = Access.PER_INSTANCE, Access.SHARED, Access.SCRATCH

CONNECTIVITIES = {
    "dense": Dense("dense", N_IN, N),
    "others": Dense("others", N, N, diagonal=False),
    "sparse": Sparse("sparse", N, N, 30),
    "repeated": Sparse("repeated", N, N, 20, repeats=True),
    "kernel": Convolution(
        "kernel", N, N, (3, 2, 2), (2, 1, 6), (2, 3), (1, 2), (2, 1), (1, 1), groups=2
    ),
}


SENT = {"past": Ref("past", Index.SOURCE, At.SENT)}


LOG = {
    "v": Ref("v", Index.ELEMENT),
    "gain": Ref("gain", Index.SCALAR),
    "v_here": Ref("log v", Index.ENTRY),
    "t_here": Ref("log t", Index.ENTRY),
}


def real(name: str, size: int = N, access: Access = OWN, slots: Slots | None = None) -> Array:
    return Array(name, DType.REAL, size, access, slots)


def element(array: str, offset: int = 0, via: str | None = None) -> Ref:
    return Ref(array, Index.ELEMENT, offset, via)


def per_instance() -> Program:
    """Every phase, connectivity, access, direction and kind of index."""
    weights = [real(f"w_{c.name}", c.n_synapses, SHARED) for c in CONNECTIVITIES.values()]
    return Program(
        "golden",
        1e-3,
        (
            real("v"),
            real("drive"),
            real("trace", slots=Slots(kept=True)),
            real("past", slots=Slots(DELAY)),
            Array("last", DType.DOUBLE, N, OWN),
            Array("free", DType.BOOL, N, OWN),
            Array("count", DType.INT, N, OWN),
            real("log v", 6, slots=Slots(kept=True)),
            Array("log t", DType.DOUBLE, 6, OWN, Slots(kept=True)),
            Array("log end", DType.INT, 1, OWN),
            Array("number", DType.INT, 1, OWN, Slots(kept=True)),
            Array("group", DType.INT, N, SHARED),
            Array("delays", DType.INT, CONNECTIVITIES["sparse"].n_synapses, SHARED),
            Array("late", DType.INT, CONNECTIVITIES["repeated"].n_synapses, SHARED),
            Array("formed", DType.INT, CONNECTIVITIES["repeated"].n_synapses, SHARED),
            Array("until", DType.INT, CONNECTIVITIES["repeated"].n_synapses, SHARED),
            real("leak", 3, SHARED),
            real("gain", 1, SHARED),
            real("total", 1),
            real("peak", 1, SCRATCH),
            real("adjoint", access=SCRATCH),
            real("gradient", CONNECTIVITIES["dense"].n_synapses, SHARED),
            *weights,
        ),
        (
            Sweep(Direction.ONCE, (Clear("no gradient", ("gradient",)),), Over.SHARED),
            Sweep(Direction.ONCE, (Clear("forget", ("adjoint", "past"), ("inputs",)),)),
            Sweep(Direction.FORWARD, forward()),
            Sweep(Direction.ONCE, summary()),
            Sweep(Direction.BACKWARD, backward()),
            Chunks(3, chunked()),
        ),
        events=(
            Events("inputs", N_IN, SCRATCH, Slots(kept=True)),
            Events("spikes", N, OWN, Slots(DELAY)),
        ),
        connectivities=tuple(CONNECTIVITIES.values()),
        streams=(Stream("source", N_IN),),
    )


def chunked() -> tuple[Sweep, ...]:
    """What is done with every chunk."""
    refs = {"v": element("v"), "past": element("past")}
    directions = (Direction.ONCE, Direction.FORWARD, Direction.BACKWARD)
    return tuple(
        Sweep(way, (ForEach(way.value, N, Body("v += past", refs)),)) for way in directions
    )


def forward() -> tuple[Phase, ...]:
    """A step of the network."""
    update = Body(
        "free = timestep(t - last, dt) >= timestep(rest, dt)\n"
        "_v = v*exp(-dt/tau) - leak*gain + past_before*(1 - exp(-dt/tau))\n"
        "v = clip(_v, -2, 2)\n"
        "trace = v\n"
        "past = drive",
        {
            "v": element("v"),
            "free": element("free"),
            "last": element("last"),
            "leak": element("leak", via="group"),
            "gain": Ref("gain", Index.SCALAR),
            "past_before": element("past", -DELAY),
            "past": element("past"),
            "trace": element("trace"),
            "drive": element("drive"),
        },
        {"tau": 20e-3, "rest": 2e-3},
        {"v": "free"},
    )
    detect = Body(
        "_cond = v > threshold and free",
        {"v": element("v"), "free": element("free"), "last": element("last")},
        {"threshold": 0.5},
    )
    reset = Body(
        "v -= threshold\ncount += 1 + count % parity // 2",
        {"v": element("v"), "count": element("count")},
        {"threshold": 0.5, "parity": 2},
    )
    return (
        ForEach("update", N, update),
        Detect("threshold", N, "spikes", detect, ("free", "last")),
        Feed("feed", "source", "inputs"),
        propagate("dense", "inputs"),
        propagate("others", "spikes"),
        propagate("sparse", "spikes", DELAY),
        propagate("repeated", "spikes", 1),
        propagate("kernel", "spikes", 1),
        # What a synapse adds depends on what those before it did: one after the other.
        propagate("sparse", "spikes", 0, "v_post = v_post + w*v_post", "serial"),
        # Delays of each synapse, and synapses that hear what is sent within some steps.
        propagate("sparse", "spikes", "delays", label="own delays"),
        replace(propagate("repeated", "spikes", 1, label="young"), formed="formed", until="until"),
        Record("log", "spikes", 4, 10, Body("v_here = v + gain\nt_here = t", LOG), "log end"),
        Count("number of spikes", "spikes", 4, 10, "number"),
        # Rows of a target, and sums along rows.
        *by_target(),
        ForEachEvent("reset", "spikes", reset),
    )


def by_target() -> tuple[Phase, ...]:
    """Loops from the target's side, and sums into the neuron whose row it is."""
    found: list[Phase] = []
    for name in ("kernel", "others", "sparse", "repeated"):
        refs = {
            "drive_pre": Ref("drive", Index.SOURCE),
            "v_post": Ref("v", Index.TARGET),
            "w": Ref(f"w_{name}", Index.SYNAPSE),
        }
        add = Body("drive_pre += w*0.1\nv_post += w", refs)
        found.append(Propagate(f"{name} back", "spikes", name, add, 0, Side.TARGET))
        pull = Body("drive_pre += w*v_post", refs)
        found.append(ForEachSynapse(f"{name} row sum", name, pull))
    sent = Body("v_post += w*past", {"v_post": refs["v_post"], "w": refs["w"]} | SENT)
    found.append(Propagate("where it was sent", "spikes", "repeated", sent, "late"))
    return tuple(found)


def propagate(
    connectivity: str, events: str, delay: int | str = 0, code: str = "v_post += w", label: str = ""
) -> Propagate:
    refs = {"v_post": Ref("v", Index.TARGET), "w": Ref(f"w_{connectivity}", Index.SYNAPSE)}
    return Propagate(label or connectivity, events, connectivity, Body(code, refs), delay)


def summary() -> tuple[Phase, ...]:
    """After the last step."""
    squares = Body("_value = v**2*gain", {"v": element("v"), "gain": Ref("gain", Index.SCALAR)})
    refs = {
        "total": Ref("total", Index.SCALAR),
        "v_pre": Ref("v", Index.SOURCE),
        "w": Ref("w_others", Index.SYNAPSE),
        "a": Ref("adjoint", Index.TARGET),
    }
    return (
        Reduce("sum", N, Reduction.SUM, squares, "total"),
        Reduce("maximum", N, Reduction.MAX, Body("_value = v", {"v": element("v")}), "peak"),
        ForEachSynapse("all", "others", Body("a += w*v_pre/(1 + total)", refs)),
    )


def backward() -> tuple[Phase, ...]:
    """A step of the way back."""
    refs = {"a": element("adjoint"), "trace": element("trace")}
    learn = {"a": Ref("adjoint", Index.TARGET), "g": Ref("gradient", Index.SYNAPSE)}
    return (
        ForEach("decay", N, Body("a = 0.9*a + trace", refs)),
        Propagate("learn", "inputs", "dense", Body("g += a", learn)),
    )


def grid() -> Program:
    """Updates of arrays of which there is one, large and small."""
    size = 20000
    update = Body(
        "m = decay*m + (1 - decay)*g\nw -= rate*m/(sqrt(abs(m)) + 1e-8)",
        {
            "m": element("m"),
            "w": element("w"),
            "g": element("g"),
            "rate": Ref("rate", Index.SCALAR),
        },
        {"decay": 0.9},
    )
    norm = Body("_value = w*w", {"w": element("w")})
    order = Body("sorted = w", {"sorted": element("sorted"), "w": element("w", via="order")})
    return Program(
        "golden",
        1.0,
        (
            real("w", size, SHARED),
            real("m", size, SHARED),
            real("g", size, SHARED),
            real("rate", 1, SHARED),
            real("norm", 1, SHARED),
            Array("order", DType.INT, N, SHARED),
            real("sorted", N, SHARED),
        ),
        (
            Sweep(
                Direction.ONCE,
                (
                    Clear("no order yet", ("sorted",)),
                    ForEach("update", size, update),
                    ForEach("order", N, order),
                    Reduce("norm", size, Reduction.SUM, norm, "norm"),
                ),
                Over.SHARED,
            ),
        ),
    )


def team() -> Program:
    """What a simulation has of all that."""
    whole = per_instance()
    arrays = (a for a in whole.arrays if a.access is not SCRATCH and a.name != "gradient")
    return replace(
        whole,
        arrays=tuple(arrays),
        sweeps=(Sweep(Direction.FORWARD, forward()),),
        events=tuple(replace(events, access=OWN) for events in whole.events),
    )


PROGRAMS = {"per_instance": per_instance(), "grid": grid(), "team": team()}
LAYOUTS = {"per_instance": Layout.PER_INSTANCE, "grid": Layout.PER_INSTANCE, "team": Layout.TEAM}
