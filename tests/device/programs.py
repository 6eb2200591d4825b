"""Small Programs that together use every kind of phase, connectivity and array."""

from dataclasses import dataclass, field

import numpy as np

from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Clear,
    Clock,
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
    ListedClock,
    Over,
    Program,
    Propagate,
    Reduce,
    Reduction,
    Ref,
    Slots,
    Sparse,
    Stream,
    Sweep,
)
from brian2eprop.spikes import SpikeStream

DT = 1e-3
N_IN, N = 37, 70
PER_INSTANCE, SHARED, SCRATCH = Access.PER_INSTANCE, Access.SHARED, Access.SCRATCH
DENSE, SPARSE = Dense, Sparse


@dataclass(frozen=True)
class Case:
    """A Program, the values its arrays start with, and whether it takes input."""

    program: Program
    values: dict = field(default_factory=dict)


def real(name, size=N, access=PER_INSTANCE, slots=None):
    return Array(name, DType.REAL, size, access, slots)


def elements(*names):
    return {name: Ref(name, Index.ELEMENT) for name in names}


def synapses(name, kind, n_source, diagonal=True, seed=1):
    """A connectivity onto N neurons, and its arrays' values."""
    rng = np.random.default_rng(seed)
    weights = f"{name}_w"
    if kind is DENSE:
        dense = Dense(name, n_source, N, diagonal)
        return dense, {weights: rng.normal(0, 0.3, dense.n_synapses)}
    rows = [np.sort(rng.choice(N, rng.integers(0, 20), replace=False)) for _ in range(n_source)]
    ends = np.cumsum([0, *[len(row) for row in rows]])
    connectivity = Sparse(name, n_source, N, int(ends[-1]))
    values = {
        weights: rng.normal(0, 0.5, int(ends[-1])),
        connectivity.table("row"): ends,
        connectivity.table("target"): np.concatenate(rows),
    }
    return connectivity, values


def propagate(name, events, delay=0):
    refs = {"v_post": Ref("v", Index.TARGET), "w": Ref(f"{name}_w", Index.SYNAPSE)}
    return Propagate(f"{name} propagates", events, name, Body("v_post += w", refs), delay)


def network(kind=DENSE, diagonal=True, delay=0, adaptive=False, sweeps=(), extra=(), events=()):
    """Inputs drive N neurons that drive one another; a trace of v is kept."""
    w_in, values_in = synapses("w_in", DENSE if diagonal else SPARSE, N_IN, seed=2)
    w_rec, values_rec = synapses("w_rec", kind, N, diagonal)
    theta = "th + beta*a" if adaptive else "th"
    update = "a = a*exp(-dt/tau_a)\n_v = v*exp(-dt/tau)\nv = _v"
    constants = {"tau": 20e-3, "tau_a": 0.2, "th": 0.6, "beta": 0.4}
    free = "timestep(t - last, dt) >= timestep(rest, dt)"
    phases = (
        ForEach("record", N, Body("kept = v", elements("kept", "v"))),
        ForEach(
            "update",
            N,
            Body(
                f"free = {free}\n{update}",
                elements("v", "a", "last", "free"),
                constants | {"rest": 2e-3},
                {"v": "free"},
            ),
        ),
        Detect(
            "threshold",
            N,
            "spikes",
            Body(f"_cond = (v > {theta}) and free", elements("v", "a", "free", "last"), constants),
            ("free", "last"),
        ),
        Feed("input", "source", "inputs"),
        propagate("w_in", "inputs"),
        propagate("w_rec", "spikes", delay),
        ForEachEvent("reset", "spikes", Body("v -= th\na += 1", elements("v", "a"), constants)),
    )
    program = Program(
        "network",
        DT,
        (
            real("v"),
            real("a"),
            real("kept", slots=Slots(kept=True)),
            Array("last", DType.DOUBLE, N, PER_INSTANCE),
            Array("free", DType.BOOL, N, PER_INSTANCE),
            real("w_in_w", w_in.n_synapses, SHARED),
            real("w_rec_w", w_rec.n_synapses, SHARED),
            *extra,
        ),
        (Sweep(Direction.FORWARD, phases), *sweeps),
        events=(
            Events("inputs", N_IN, SCRATCH, Slots(kept=True)),
            Events("spikes", N, PER_INSTANCE, Slots(delay, kept=True)),
        ),
        connectivities=(w_in, w_rec),
        streams=(Stream("source", N_IN),),
    )
    return Case(program, values_in | values_rec | {"last": -1.0, "free": True})


def training():
    """A forward sweep, a loss over the instance, and gradients going backward."""
    back = {"e": Ref("e", Index.TARGET), "g": Ref("gradient", Index.SYNAPSE)}
    squares = Body("_value = v*v", elements("v"))
    learn = Sweep(
        Direction.BACKWARD,
        (
            ForEach("decay", N, Body("e = e*0.9 + kept", elements("e", "kept"))),
            Propagate("gradient", "inputs", "w_in", Body("g += e", back)),
        ),
    )
    once = Sweep(
        Direction.ONCE,
        (
            Clear("forget", ("e",)),
            Reduce("loss", N, Reduction.SUM, squares, "loss"),
            Reduce("peak", N, Reduction.MAX, Body("_value = v", elements("v")), "peak"),
        ),
    )
    extra = (
        real("e", access=SCRATCH),
        real("gradient", N_IN * N, SHARED),
        real("loss", 1),
        real("peak", 1),
    )
    return network(sweeps=(once, learn), extra=extra)


def outer():
    """Every synapse of a dense connectivity without diagonal, from both sides."""
    connectivity, values = synapses("w_rec", DENSE, N, False)
    refs = {
        "x": Ref("x", Index.SOURCE),
        "y": Ref("y", Index.TARGET),
        "w": Ref("w_rec_w", Index.SYNAPSE),
        "g": Ref("g", Index.SYNAPSE),
    }
    program = Program(
        "outer",
        DT,
        (
            real("x"),
            real("y"),
            real("w_rec_w", connectivity.n_synapses, SHARED),
            real("g", connectivity.n_synapses, SHARED),
        ),
        (Sweep(Direction.ONCE, (ForEachSynapse("all", "w_rec", Body("g += x*y + w**2", refs)),)),),
        connectivities=(connectivity,),
    )
    return Case(program, values | {"x": np.arange(N) / N, "y": np.cos(np.arange(N))})


def optimiser():
    """Two updates of shared arrays, element by element."""
    size = 1000
    body = Body(
        "m = b1*m + (1 - b1)*g\np -= rate*m/(sqrt(m*m) + clip(abs(g), 0.1, 2))*sign(g)",
        elements("m", "p", "g"),
        {"b1": 0.9, "rate": 0.01},
    )
    decay = Body("p *= 1 - rate", elements("p"), {"rate": 0.1})
    arrays = tuple(real(name, size, SHARED) for name in "mp")
    program = Program(
        "optimiser",
        DT,
        (*arrays, real("g", size, SHARED)),
        (
            Sweep(
                Direction.ONCE,
                (ForEach("step", size, body), ForEach("decay", size, decay)),
                Over.SHARED,
            ),
        ),
    )
    return Case(program, {"g": np.sin(np.arange(size)), "p": np.cos(np.arange(size)), "m": 0.1})


def clocked():
    """Phases every third step and in listed ones, and a listener before its events."""
    slow, listed = Clock("slow", 3.5 * DT, 3), ListedClock("listed", "steps", "times")
    times = {"other": slow}
    phases = (
        ForEach("record", N, Body("kept = v*t", elements("kept", "v")), clock="slow"),
        ForEachEvent("late reset", "spikes", Body("v -= th", elements("v"), {"th": 0.4}), 1),
        ForEach("update", N, Body("v += 30*dt*(1 - v) + other", elements("v"), times=times)),
        ForEach("drift", N, Body("v += dt*(1 + v) + t*step", elements("v")), clock="slow"),
        ForEach("kick", N, Body("v += t + step*other", elements("v"), times=times), clock="listed"),
        Detect("threshold", N, "spikes", Body("_cond = v > th", elements("v"), {"th": 0.6})),
    )
    program = Program(
        "clocked",
        DT,
        (
            real("v"),
            real("kept", slots=Slots(kept=True)),
            Array("steps", DType.INT, 3, SHARED),
            Array("times", DType.DOUBLE, 3, SHARED),
        ),
        (Sweep(Direction.FORWARD, phases),),
        events=(Events("spikes", N, PER_INSTANCE, Slots(1, kept=True)),),
        clocks=(slow, listed),
    )
    values = {"steps": [0, 3, 4], "times": [0, 3.1e-3, 4e-3], "v": np.linspace(0, 0.5, N)}
    return Case(program, values)


CASES = {
    "clocked": clocked(),
    "lif": network(),
    "alif": network(adaptive=True),
    "no diagonal": network(diagonal=False),
    "sparse": network(kind=SPARSE, adaptive=True),
    "delayed": network(delay=3),
    "training": training(),
    "outer": outer(),
    "optimiser": optimiser(),
}


def spikes(instances, n_steps, rate=0.1, seed=3):
    """Random input spikes for the cases that have an input stream."""
    rng = np.random.default_rng(seed)
    fired = rng.random((instances, n_steps, N_IN)) < rate
    ends = np.cumsum(fired.sum(axis=2)).reshape(instances, n_steps)
    start = np.concatenate([np.concatenate([[0], ends[:-1, -1]])[:, None], ends], axis=1)
    return {"source": SpikeStream(start.astype(np.int64), np.nonzero(fired)[2].astype(np.int32))}
