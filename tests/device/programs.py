"""Small Programs that together use every kind of phase, connectivity and array."""

from dataclasses import dataclass, field, replace

import numpy as np

from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Clear,
    Clock,
    Convolution,
    Count,
    Dense,
    Detect,
    Direction,
    Distribution,
    Draw,
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
    Record,
    Reduce,
    Reduction,
    Ref,
    Side,
    Slots,
    Sparse,
    Stream,
    Sweep,
    Timed,
    TreeSolve,
)
from brian2eprop.device.program.draws import draw_keys
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


def simulation(case):
    """The case with events of its instances' own, as a captured Program has them."""
    events = tuple(replace(found, access=Access.PER_INSTANCE) for found in case.program.events)
    return replace(case, program=replace(case.program, events=events))


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


def plasticity():
    """Synapses that change at spikes of both sides and in every step, and that are summed."""
    case = network(kind=SPARSE, delay=3)
    (sweep,) = case.program.sweeps
    *first, reset = sweep.phases
    size = case.program.find_connectivity("w_rec").n_synapses
    trace = "s = s*exp(-(t - updated)/tau)\n"
    refs = {name: Ref(name, Index.SYNAPSE) for name in ("w", "s", "q", "updated")}
    at_pre = Body(f"{trace}s += 0.1\nw = clip(w - s, -1, 1)\nupdated = t", refs, {"tau": 9e-3})
    at_post = Body(f"{trace}w = clip(w + s, -1, 1)\nupdated = t", refs, {"tau": 9e-3})
    total = Body("a += w*(v_pre - v_post)", {
        "a": Ref("total", Index.TARGET), "w": refs["w"],
        "v_pre": Ref("v", Index.SOURCE), "v_post": Ref("v", Index.TARGET),
    })  # fmt: skip
    none = Body("a = 0", {"a": Ref("total", Index.ELEMENT), "part": Ref("part", Index.ELEMENT)},
                guards={"a": "part"})  # fmt: skip
    phases = (
        *first,
        ForEach("equations", size, Body("q += dt*(s - q)/tau", elements("q", "s"), {"tau": 9e-3})),
        ForEach("none", N, none),
        ForEachSynapse("sum", "w_rec", total),
        Propagate("pre", "spikes", "w_rec", at_pre, 2),
        Propagate("post", "spikes", "w_rec", at_post, "delays", Side.TARGET, "formed", "until"),
        reset,
    )
    program = replace(
        case.program,
        name="plasticity",
        arrays=(
            *case.program.arrays,
            *(real(name, size) for name in ("w", "s", "q")),
            real("total"),
            Array("updated", DType.DOUBLE, size, PER_INSTANCE),
            Array("part", DType.BOOL, N, SHARED),
            *(Array(name, DType.INT, size, SHARED) for name in ("delays", "formed", "until")),
        ),
        sweeps=(replace(sweep, phases=phases),),
    )
    rng = np.random.default_rng(4)
    values = {"w": rng.normal(0, 0.3, size), "part": np.arange(N) % 3 > 0, "total": 2.0}
    values |= {"delays": rng.integers(0, 4, size), "formed": rng.integers(0, 9, size)}
    values |= {"until": rng.integers(9, 30, size)}
    return Case(program, case.values | values)


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


def draws(*distributions, owner="a", dtype=DType.REAL):
    """Draws by the names of distributions, numbered in order."""
    return {
        f"draw_{call}": Draw(Distribution(name), owner, call, dtype)
        for call, name in enumerate(distributions)
    }


def noisy():
    """Random numbers in every kind of loop."""
    sparse, values = synapses("w", SPARSE, N)
    several = {"v_post": Ref("v", Index.TARGET), "w": Ref("w_w", Index.SYNAPSE)}
    counts = "n = _poisson(12*v*v, draw_0)\nm = _binomial(40, 0.3, draw_1)"
    in_double = draws("uniform", "uniform", owner="b", dtype=DType.DOUBLE)
    phases = (
        ForEach(
            "update",
            N,
            Body(
                "v = 0.9*v + 0.1*draw_0\nu = draw_1",
                elements("v", "u"),
                draws=draws("normal", "uniform"),
            ),
        ),
        ForEach("count", N, Body(counts, elements("n", "m", "v"), draws=in_double)),
        Detect(
            "threshold",
            N,
            "spikes",
            Body("_cond = draw_0 < 0.2", draws=draws("uniform", owner="c")),
        ),
        Propagate(
            "propagate",
            "spikes",
            "w",
            Body(
                "v_post += w*(draw_0 < 0.5) + draw_1",
                several,
                draws=draws("uniform", "normal", owner="d"),
            ),
        ),
        ForEachEvent(
            "reset", "spikes", Body("v = draw_0", elements("v"), draws=draws("uniform", owner="e"))
        ),
        Reduce(
            "sum",
            N,
            Reduction.SUM,
            Body("_value = draw_0 + v", elements("v"), draws=draws("uniform", owner="f")),
            "total",
        ),
    )
    whole = (Array(name, DType.INT, N, PER_INSTANCE) for name in "nm")
    program = Program(
        "noisy",
        DT,
        (real("v"), real("u"), *whole, real("w_w", sparse.n_synapses, SHARED), real("total", 1)),
        (Sweep(Direction.FORWARD, phases),),
        (Events("spikes", N, PER_INSTANCE, Slots(kept=True)),),
        (sparse,),
    )
    return Case(program, values | {"draws:keys": draw_keys(program.draws, 1, 2**32 - 7)})


def timed():
    """Functions of time that are given by values."""
    functions = {"f": Timed("one", None, 2.5 * DT, 2), "g": Timed("two", 50, 3 * DT, 3)}
    code = "v = 0.5*v + f(t) + 0.1*g(t + dt*v, n)*int(n < 50)\nn = (n + 1) % 50\nu = g(t, 60)"
    body = Body(code, elements("v", "u", "n"), timed=functions)
    program = Program(
        "timed",
        DT,
        (
            *(real(name) for name in "vu"),
            Array("n", DType.INT, N, PER_INSTANCE),
            real("one", 7, SHARED),
            Array("two", DType.DOUBLE, 500, SHARED),
        ),
        (Sweep(Direction.FORWARD, (ForEach("update", N, body),)),),
    )
    values = {"one": np.sin(np.arange(7)), "two": np.cos(np.arange(500)), "n": np.arange(N) % 50}
    return Case(program, values)


def recorded(first=20, stop=61):
    """Events of some neurons in a log, with values of the neurons at that time."""
    case = network(adaptive=True)
    refs = {
        **elements("v"),
        "v_here": Ref("log:v", Index.ENTRY),
        "t_here": Ref("log:t", Index.ENTRY),
    }
    body = Body("v_here = 2*v\nt_here = t", refs)
    phases = (
        *case.program.sweeps[0].phases,
        Record("log", "spikes", first, stop, body, "log:end"),
        Count("number", "spikes", first, stop, "number"),
    )
    every_step = Slots(kept=True)
    arrays = (
        real("log:v", stop - first, slots=every_step),
        Array("log:t", DType.DOUBLE, stop - first, PER_INSTANCE, every_step),
        Array("log:end", DType.INT, 1, PER_INSTANCE),
        Array("number", DType.INT, 1, PER_INSTANCE, every_step),
    )
    program = replace(
        case.program,
        arrays=(*case.program.arrays, *arrays),
        sweeps=(Sweep(Direction.FORWARD, phases),),
    )
    return Case(program, case.values)


def clocked():
    """Phases every third step and in listed ones, and listeners before their events."""
    slow, listed = Clock("slow", 3.5 * DT, 3), ListedClock("listed", "steps", "times")
    times = {"other": slow}
    drift = Body("v += dt*(1 + v) + t*step + 0.01*draw_0", elements("v"), draws=draws("normal"))
    entry = Body("v_here = v + t", {**elements("v"), "v_here": Ref("log", Index.ENTRY)})
    phases = (
        ForEach("record", N, Body("kept = v*t", elements("kept", "v")), clock="slow"),
        ForEachEvent("late reset", "spikes", Body("v -= th", elements("v"), {"th": 0.4}), 1),
        Record("late log", "spikes", 20, 61, entry, "log:end", delay=1),
        Count("late number", "spikes", 20, 61, "number", delay=1),
        ForEach("update", N, Body("v += 30*dt*(1 - v) + other", elements("v"), times=times)),
        ForEach("drift", N, drift, clock="slow"),
        ForEach("kick", N, Body("v += t + step*other", elements("v"), times=times), clock="listed"),
        Detect("threshold", N, "spikes", Body("_cond = v > th", elements("v"), {"th": 0.6})),
    )
    program = Program(
        "clocked",
        DT,
        (
            real("v"),
            real("kept", slots=Slots(kept=True)),
            real("log", 41, slots=Slots(kept=True)),
            Array("log:end", DType.INT, 1, PER_INSTANCE),
            Array("number", DType.INT, 1, PER_INSTANCE, Slots(kept=True)),
            Array("steps", DType.DOUBLE, 3, SHARED),
            Array("times", DType.DOUBLE, 3, SHARED),
        ),
        (Sweep(Direction.FORWARD, phases),),
        events=(Events("spikes", N, PER_INSTANCE, Slots(1, kept=True)),),
        clocks=(slow, listed),
    )
    values = {"steps": [0, 3, 4], "times": [0, 3.1e-3, 4e-3], "v": np.linspace(0, 0.5, N)}
    values |= {"draws:keys": draw_keys(program.draws, 1, 2**32 - 7)}
    return Case(program, values)


def branching():
    """Potentials that spread along a tree, set up anew in every step."""
    rng = np.random.default_rng(5)
    parent = np.array([0, *(rng.integers(max(0, node - 9), node) for node in range(1, N))])
    equations = Body(
        "leak = 1.2 + 0.1*v*v\nsource = v + drive", elements("leak", "v", "source", "drive")
    )
    potentials = Body("v = source", elements("v", "source"))
    program = Program(
        "branching",
        DT,
        (
            *(real(name) for name in ("v", "leak", "source")),
            *(real(name, access=SHARED) for name in ("drive", "coupling")),
            Array("parent", DType.INT, N, SHARED),
        ),
        (
            Sweep(
                Direction.FORWARD,
                (
                    ForEach("equations", N, equations),
                    TreeSolve("solve", "parent", "leak", "coupling", "source"),
                    ForEach("potentials", N, potentials),
                ),
            ),
        ),
    )
    values = {"parent": parent, "drive": rng.normal(0, 1, N), "coupling": rng.uniform(0.1, 9, N)}
    return Case(program, values)


# From an image of N places, and among maps that are more than two members of a team share.
WIDE = Convolution("wide", N, 280, (7, 5, 2), (7, 5, 8), (3, 3), before=(1, 1))
APART = Convolution("apart", 280, 60, (7, 5, 8), (3, 2, 10), (3, 2), (2, 3), (1, 2), (1, 2), 2)


def convolved():
    """Spikes along two convolutions, there and back, and sums over all of their synapses."""

    def refs(there):
        ends = {"pre": Ref(there[0], Index.SOURCE), "post": Ref(there[1], Index.TARGET)}
        return {**ends, "w": Ref(f"kernel {there[2]}", Index.SYNAPSE)}

    first, second = refs(("v", "u", "wide")), refs(("u", "x", "apart"))
    found = {"u": Ref("u", Index.ELEMENT)}
    phases = (
        ForEach("update", N, Body("v = 0.9*v + drive", elements("v", "drive"))),
        Detect("threshold", N, "spikes", Body("_cond = v > 1", elements("v"))),
        Propagate("wide", "spikes", "wide", Body("post += w*pre", first), 1),
        Propagate("apart", "found", "apart", Body("post += w", second)),
        Detect("maps", 280, "found", Body("_cond = u > 0.5", found)),
        Propagate("back", "found", "wide", Body("pre += 0.1*w", first), side=Side.TARGET),
        Propagate("turns", "found", "wide", Body("post = 0.9*post + w", first), side=Side.TARGET),
        Propagate("late", "found", "apart", Body("pre = pre*0.9 + w*post", second), reverse=True),
        ForEachSynapse("all", "apart", Body("post += exp(-w*w)*pre*0.01", second)),
        ForEachSynapse("sums", "apart", Body("pre += w*post*0.01", second), side=Side.TARGET),
        ForEach("leak", 280, Body("u = u*0.5", found)),
        ForEachEvent("reset", "spikes", Body("v = 0", elements("v"))),
    )
    rng = np.random.default_rng(6)
    values = {f"kernel {c.name}": rng.normal(0, 0.2, c.n_synapses) for c in (WIDE, APART)}
    program = Program(
        "convolved",
        DT,
        (
            real("v"),
            real("drive"),
            real("u", 280),
            real("x", 60),
            *(real(name, len(kernel), SHARED) for name, kernel in values.items()),
        ),
        (Sweep(Direction.FORWARD, phases),),
        events=(
            Events("spikes", N, PER_INSTANCE, Slots(1, kept=True)),
            Events("found", 280, PER_INSTANCE, Slots(1, kept=True)),
        ),
        connectivities=(WIDE, APART),
    )
    return Case(program, values | {"drive": rng.uniform(0.05, 0.6, N)})


def shared_gradient():
    """What instances add to the elements of a kernel, from both sides."""
    ends = {"x": Ref("x", Index.SOURCE), "y": Ref("y", Index.TARGET)}
    g = {"g": Ref("g", Index.SYNAPSE)}
    add = Body("g += x*y", ends | g)
    phases = tuple(ForEachSynapse(side.name, "apart", add, side) for side in Side)
    arrays = (real("x", 280), real("y", 60), real("g", APART.n_synapses, SHARED))
    sweep = Sweep(Direction.ONCE, phases)
    program = Program("shared gradient", DT, arrays, (sweep,), connectivities=(APART,))
    return Case(program, {"x": np.sin(np.arange(280)), "y": np.cos(np.arange(60))})


CASES = {
    "convolved": convolved(),
    "shared gradient": shared_gradient(),
    "branching": branching(),
    "clocked": clocked(),
    "recorded": recorded(),
    "lif": network(),
    "alif": network(adaptive=True),
    "no diagonal": network(diagonal=False),
    "sparse": network(kind=SPARSE, adaptive=True),
    "delayed": network(delay=3),
    "plasticity": plasticity(),
    "training": training(),
    "outer": outer(),
    "optimiser": optimiser(),
    "noisy": noisy(),
    "timed": timed(),
}


def spikes(instances, n_steps, rate=0.1, seed=3):
    """Random input spikes for the cases that have an input stream."""
    rng = np.random.default_rng(seed)
    fired = rng.random((instances, n_steps, N_IN)) < rate
    ends = np.cumsum(fired.sum(axis=2)).reshape(instances, n_steps)
    start = np.concatenate([np.concatenate([[0], ends[:-1, -1]])[:, None], ends], axis=1)
    return {"source": SpikeStream(start.astype(np.int64), np.nonzero(fired)[2].astype(np.int32))}
