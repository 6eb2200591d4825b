"""What a loop computes for an element does not depend on where the element lies."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from brian2.utils.stringtools import get_identifiers

from brian2eprop.device.backends.base import Call
from brian2eprop.device.backends.cpu import CpuBackend
from brian2eprop.device.codegen.parts import Layout
from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Detect,
    Direction,
    DType,
    Events,
    ForEach,
    ForEachEvent,
    ForEachSynapse,
    Index,
    Phase,
    Precision,
    Program,
    Ref,
    Slots,
    Sparse,
    Sweep,
)
from brian2eprop.device.program.functions import FUNCTIONS, PLAIN_FUNCTIONS

DT = 1e-4
LENGTHS = range(1, 18)
N = LENGTHS[-1]
PRECISIONS = pytest.mark.parametrize("precision", Precision)
Values = npt.NDArray[np.float64]

# By the number of arguments; y follows from x. A loop that needs the sine and the cosine of one
# number, or a remainder, is no vector code, so these are on their own.
CALLS = {1: "{}(x)", 2: "{}(x, y)", 3: "{}(x, y, 0.3)"}
VECTORS = {f: CALLS[FUNCTIONS[f]].format(f) for f in PLAIN_FUNCTIONS if f != "timestep"}
# g++ gives a number below one that becomes an integer, and a number again, either zero.
VECTORS |= {"int": "1 + int(x)"}
VECTORS |= {"cos": "cos(y)", "power": "abs(x)**y", "whole_power": "x**3", "floor_divide": "x // y"}
OTHERS = {"both": "sin(y)*cos(y) + sin(x)", "remainder": "x % y", "hashed": "_hashed(1, 3, int(x))"}
RESULTS = [f"of_{name}" for name in VECTORS | OTHERS]
CODES = [
    "y = 0.7*x + 0.1\n" + "\n".join(f"of_{name} = {call}" for name, call in calls.items())
    for calls in (VECTORS, OTHERS)
]

# Products and sums that a compiler may round together, with a guard as refractory neurons have.
SUMS = """m = v*v - 0.3*v*w + w*w
w += dt*(tanh(v - w)*1e3 - w*m + exp(-v)*2.5)
v += dt*(v*w - 0.7*m + clip(v*m, -2, 2))*1e3"""


def values(n: int) -> Values:
    """Ordinary numbers, and those at which functions go other ways."""
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e30, -800, 800, 1e-310, 1, -1]
    return np.concatenate([np.random.default_rng(0).normal(0, 2, n - len(special)), special])


def array(name: str, size: int, dtype: DType = DType.REAL) -> Array:
    return Array(name, dtype, size, Access.PER_INSTANCE)


def run(
    precision: Precision,
    phases: tuple[Phase, ...],
    arrays: list[Array],
    instances: dict[str, Values],
    layout: Layout = Layout.PER_INSTANCE,
    tables: dict[str, npt.NDArray[np.integer]] | None = None,
    **parts: object,
) -> dict[str, npt.NDArray[np.floating]]:
    """The arrays after some steps in which all elements of an instance began alike."""
    sweep = Sweep(Direction.FORWARD, phases)
    program = Program("p", DT, tuple(arrays), (sweep,), **parts)  # type: ignore[arg-type]
    backend = CpuBackend(precision, workers=2)
    memory = backend.memory(len(next(iter(instances.values()))))
    memory.reserve(program, 5)
    for found in arrays:
        name = found.name.partition(":")[0]
        if name in instances:
            memory.write(found.name, np.repeat(instances[name][:, None], found.size, axis=1))
    for name, table in (tables or {}).items():
        memory.write(name, table)
    backend.compile(program, layout).run(memory, Call(0, 5))
    return {found.name: np.asarray(memory.read(found.name)) for found in arrays}


def body(code: str, refs: dict[str, Ref]) -> Body:
    return Body(code, {name: ref for name, ref in refs.items() if name in get_identifiers(code)})


def assert_alike(found: list[npt.NDArray[np.floating]]) -> None:
    """All elements of each instance have the same bits, or are no numbers (whose sign is free)."""
    elements = np.concatenate([each.reshape(len(each), -1) for each in found], axis=1)
    bits = elements.view(f"u{elements.itemsize}")
    alike = (bits == bits[:, :1]) | (np.isnan(elements) & np.isnan(elements[:, :1]))
    assert alike.all()


@PRECISIONS
def test_what_stands_beside_one_another(precision: Precision) -> None:
    """Groups of 1 to 17 equal neurons stay equal, and as those of the others."""
    phases, arrays = [], []
    for n in LENGTHS:
        refs = {name: Ref(f"{name}:{n}", Index.ELEMENT) for name in ("v", "w", "free")}
        phases.append(ForEach(f"update {n}", n, Body(SUMS, refs, guards={"v": "free"})))
        arrays += [array(f"v:{n}", n), array(f"w:{n}", n), array(f"free:{n}", n, DType.BOOL)]
    begin = {"v": values(40), "w": values(40)[::-1], "free": np.arange(40.0) % 3 > 0}
    found = run(precision, tuple(phases), arrays, begin)
    for name in ("v", "w"):
        assert_alike([found[f"{name}:{n}"] for n in LENGTHS])


@pytest.mark.parametrize(
    ("precision", "layout"),
    [(Precision.FLOAT32, Layout.PER_INSTANCE), (Precision.FLOAT64, Layout.TEAM)],
)
def test_functions(precision: Precision, layout: Layout) -> None:
    """A value is the same in rows of 1 to 17 synapses, in vectors, and in events, one by one."""
    n_synapses = sum(LENGTHS)
    wires = Sparse("wires", N, N, n_synapses)
    tables = {
        "wires:row": np.concatenate([[0], np.cumsum(LENGTHS)]),
        "wires:target": np.concatenate([np.arange(n) for n in LENGTHS]),
    }
    at = ("x", *RESULTS)
    synapses = {name: Ref(f"{name}:synapses", Index.SYNAPSE) for name in at}
    events = {name: Ref(f"{name}:events", Index.ELEMENT) for name in at}
    phases = (
        *(ForEachSynapse("in rows", "wires", body(code, synapses)) for code in CODES),
        Detect("all", N, "spikes", Body("_cond = x == x or True", {"x": events["x"]})),
        *(ForEachEvent("one by one", "spikes", body(code, events)) for code in CODES),
    )
    arrays = [array(f"{name}:synapses", n_synapses) for name in at]
    arrays += [array(f"{name}:events", N) for name in at]
    spikes = Events("spikes", N, Access.PER_INSTANCE, Slots(0))
    found = run(
        precision, phases, arrays, {"x": values(40)}, layout, tables,
        events=(spikes,), connectivities=(wires,),
    )  # fmt: skip
    for name in RESULTS:
        assert_alike([found[f"{name}:{where}"] for where in ("synapses", "events")])
