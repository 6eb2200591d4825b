"""Sparse connectivities that are rewired, beside a plain NumPy version and beside chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from brian2eprop.device.backends import registry
from brian2eprop.device.backends.base import Call, Kernel, Memory
from brian2eprop.device.backends.draws import draw
from brian2eprop.device.backends.nvrtc import machine_code
from brian2eprop.device.codegen.dialect import CUDA
from brian2eprop.device.codegen.source import generate
from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Choose,
    Dense,
    Direction,
    Distribution,
    Draw,
    DType,
    Forming,
    Grow,
    Index,
    Over,
    Precision,
    Program,
    Ref,
    Rewire,
    Sparse,
    Sweep,
    Transpose,
)
from brian2eprop.device.program.connectivity import find_connectivity
from brian2eprop.device.program.draws import draw_keys
from brian2eprop.device.program.verify import ProgramError, Stage, verify

Values = npt.NDArray[Any]

BACKENDS = ("reference", "cpu", "emulated")
ROWS, COLUMNS, SIZE = 6, 9, 20
ANYWHERE = Body("_taken = 1 > 0")
CHANCE = {"chance": Draw(Distribution.UNIFORM, "me", 1)}
ENDS = {"i": Ref("rows", Index.SOURCE), "j": Ref("columns", Index.TARGET)}
OFF_DIAGONAL = Body("_taken = not (i == j) and chance < 0.6", ENDS, draws=CHANCE)


class Matrix:
    """Synapses that can be rewired on a backend."""

    def __init__(
        self,
        backend: str,
        body: Body = ANYWHERE,
        shape: tuple[int, int, int] = (ROWS, COLUMNS, SIZE),
        scored: bool = False,
        precision: Precision = Precision.FLOAT32,
    ) -> None:
        self.rows, self.columns, self.size = shape
        self.found = Sparse("s", *shape)
        self.phase = Rewire("rewire", "s", body, "me", "scores" if scored else None)
        scores = Array("scores", DType.REAL, self.rows * self.columns, Access.SHARED)
        arrays = tuple(
            Array(name, DType.INT, size, Access.SHARED)
            for name, size in (("rows", self.rows), ("columns", self.columns))
        )
        self.program = Program(
            "rewiring",
            1.0,
            (*arrays, scores, *self.phase.arrays(self.found)),
            (Sweep(Direction.ONCE, (self.phase,), Over.SHARED),),
            connectivities=(self.found,),
        )
        chosen = registry.create(backend, precision)
        self.kernel: Kernel = chosen.compile(self.program)
        self.memory: Memory = chosen.memory(1)
        self.memory.reserve(self.program, 0)
        self.memory.write_keys(self.program, 7)
        self.memory.write("rows", np.arange(self.rows))
        self.memory.write("columns", np.arange(self.columns))

    def put(self, places: Values) -> None:
        """Have synapses at some places, ascending."""
        found = find_connectivity(
            "s", places // self.columns, places % self.columns, self.rows, self.columns
        )
        for name, values in found.tables.items():
            self.memory.write(name, values)

    def rewire(self, marks: Values, step: int = 0) -> None:
        """Rewire once."""
        self.memory.write(self.phase.part("marks"), marks)
        self.kernel.run(self.memory, Call(step))

    def places(self) -> Values:
        """Where the synapses are, in their order."""
        i, j = self.found.pairs({name: self.read(name) for name in ("s:row", "s:target")})
        return np.asarray(i * self.columns + j)

    def read(self, name: str) -> Values:
        """An array."""
        return self.memory.read(name)

    def part(self, name: str) -> Values:
        """An array of the phase."""
        return self.read(self.phase.part(name))


@pytest.fixture(scope="module", params=BACKENDS)
def matrix(request: pytest.FixtureRequest) -> Matrix:
    return Matrix(request.param, OFF_DIAGONAL)


def by_hand(places: Values, marks: Values, step: int) -> set[int]:
    """The places afterwards, candidate by candidate, from the same random numbers."""
    phase = Rewire("rewire", "s", OFF_DIAGONAL, "me")
    draws = (phase.place, CHANCE["chance"])
    keys = draw_keys(draws, 7, 0).reshape(2, 4)
    left = set(places[~marks].tolist())
    empty = [place for place in range(ROWS * COLUMNS) if place not in left]
    formed: set[int] = set()
    first = 0
    while len(formed) < marks.sum():
        numbers = np.arange(first, first + marks.sum() - len(formed))
        ranks = draw(Distribution.UNIFORM, np.float64, keys[0], numbers, step, 0)
        chances = draw(Distribution.UNIFORM, np.float32, keys[1], numbers, step, 0)
        for rank, chance in zip(ranks, chances, strict=True):
            place = empty[int(rank * len(empty))]
            if place // COLUMNS != place % COLUMNS and chance < np.float32(0.6):
                formed.add(place)
        first += len(numbers)
    return left | formed


@settings(max_examples=40, deadline=None)
@given(data=st.data(), step=st.integers(0, 2**40))
def test_rewiring(matrix: Matrix, data: st.DataObject, step: int) -> None:
    everywhere = [p for p in range(ROWS * COLUMNS) if p // COLUMNS != p % COLUMNS]
    chosen = data.draw(st.permutations(everywhere))[:SIZE]
    before = np.sort(np.array(chosen))
    marks = np.array(data.draw(st.lists(st.booleans(), min_size=SIZE, max_size=SIZE)))
    matrix.put(before)
    formed, stuck = matrix.part("formed")[0], matrix.part("stuck")[0]
    matrix.rewire(marks, step)
    after, new, origin = matrix.places(), matrix.part("marks"), matrix.part("origin")
    # The number is kept, rows are sorted and no place is there twice or is forbidden.
    assert (np.diff(after) > 0).all()
    assert after.size == SIZE
    assert (after // COLUMNS != after % COLUMNS).all()
    # What is left is where it was, and knows which it was.
    assert set(before[~marks]) == set(after[~new])
    assert (before[origin[~new]] == after[~new]).all()
    assert ((origin >= 0) & (origin < SIZE)).all()
    assert new.sum() == marks.sum() == matrix.part("formed")[0] - formed
    assert matrix.part("stuck")[0] == stuck
    assert set(after.tolist()) == by_hand(before, marks, step)


@pytest.mark.parametrize(
    ("size", "gone", "diagonal"), [(10, 3, True), (33, 5, True), (10, 3, False), (27, 2, False)]
)
def test_empty_places_are_equally_likely(size: int, gone: int, diagonal: bool) -> None:
    """A chi-square test of how often each place that is empty gets a synapse."""
    shape, runs = (5, 7, size), 3000
    body = ANYWHERE if diagonal else Body("_taken = not (i == j)", ENDS)
    matrix = Matrix("cpu", body, shape)
    everywhere = np.arange(35) if diagonal else np.flatnonzero(~np.eye(5, 7, dtype=bool))
    places = np.sort(np.random.default_rng(1).permutation(everywhere)[:size])
    marks = np.arange(size) < gone
    counts = np.zeros(35)
    for step in range(runs):
        matrix.put(places)
        matrix.rewire(marks, step)
        counts[matrix.places()[matrix.part("marks")]] += 1
    empty = np.setdiff1d(everywhere, places[gone:])
    assert counts.sum() == counts[empty].sum() == runs * gone
    check_counts(counts[empty], runs, gone)


def check_counts(counts: Values, runs: int, gone: int) -> None:
    """So many of the places are drawn in each run, without one being drawn twice."""
    n = len(counts)
    if n == gone:
        assert (counts == runs).all()
        return
    variance = runs * gone / n * (1 - gone / n)
    chi = ((counts - runs * gone / n) ** 2).sum() / variance * (n - 1) / n
    assert 1e-3 < stats.chi2.cdf(chi, n - 1) < 1 - 1e-3


def test_places_are_taken_in_proportion() -> None:
    runs, shape = 4000, (4, 5, 6)
    body = Body("_taken = chance < 0.1*(1 + i)", {"i": ENDS["i"]}, draws=CHANCE)
    matrix = Matrix("cpu", body, shape)
    places = np.array([0, 3, 7, 11, 16, 19])
    counts = np.zeros(20)
    for step in range(runs):
        matrix.put(places)
        matrix.rewire(places == 7, step)
        counts[matrix.places()[matrix.part("marks")]] += 1
    empty = np.setdiff1d(np.arange(20), places[places != 7])
    weights = 1.0 + empty // 5
    assert stats.chisquare(counts[empty], runs * weights / weights.sum()).pvalue > 1e-3


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("precision", Precision)
def test_places_of_the_greatest_scores_are_taken(backend: str, precision: Precision) -> None:
    """Beside sorting all empty places; many scores are equal, or as small as rounding."""
    body = Body("_taken = not (i == j) and j < 8", ENDS)
    matrix = Matrix(backend, body, scored=True, precision=precision)
    rng = np.random.default_rng(4)
    allowed = [p for p in range(ROWS * COLUMNS) if p // COLUMNS != p % COLUMNS and p % COLUMNS < 8]
    for number, scale in ((0, 1), (1, 1), (5, 1), (5, 1e-30), (12, 3), (SIZE, 3)):
        places = np.sort(rng.permutation(allowed)[:SIZE])
        marks = np.isin(np.arange(SIZE), rng.permutation(SIZE)[:number])
        scores = np.round(rng.random(ROWS * COLUMNS) * 6 / scale) * scale
        if scale == 1e-30:
            scores = rng.random(ROWS * COLUMNS) * scale
        matrix.put(places)
        matrix.memory.write("scores", scores)
        matrix.rewire(marks)
        empty = [place for place in allowed if place not in places[~marks]]
        best = sorted(empty, key=lambda place: (-precision.dtype.type(scores[place]), place))
        assert set(matrix.places()) == {*places[~marks], *best[:number]}
        assert matrix.part("marks").sum() == number
        assert matrix.part("stuck")[0] == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_scored_places_that_are_too_few(backend: str) -> None:
    """What finds none comes back where it was."""
    body = Body("_taken = i == 0 and j < 2", ENDS)
    matrix = Matrix(backend, body, scored=True)
    places = np.arange(10, 30)
    matrix.put(places)
    matrix.memory.write("scores", np.ones(ROWS * COLUMNS))
    matrix.rewire(np.arange(SIZE) < 5)
    assert matrix.places().tolist() == [0, 1, 10, 11, 12, *range(15, 30)]
    assert matrix.part("stuck")[0] == 3


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_finds_no_place_comes_back(backend: str) -> None:
    """No candidate is taken: as many are formed where synapses have just been taken away."""
    matrix = Matrix(backend, Body("_taken = i > 100", {"i": ENDS["i"]}), (4, 5, 8))
    places = np.arange(0, 16, 2)
    matrix.put(places)
    matrix.rewire(np.arange(8) % 3 == 0)
    assert (matrix.places() == places).all()
    assert matrix.part("marks").tolist() == [k % 3 == 0 for k in range(8)]
    assert matrix.part("stuck")[0] == matrix.part("formed")[0] == 3


VALUES = {
    "ties": [0.5, 1.0, 1.0, 0.5, 1.0, -2.0, 0.5],
    "signed zeros": [-0.0, 0.0, -1e-30, 1e-30, -0.0, 0.0, -1.0],
    "far apart": [1e30, -1e30, 1e-30, np.inf, -np.inf, 3.0, -3.0],
}


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_greatest_are_chosen(backend: str) -> None:
    size = 7
    arrays = (
        Array("values", DType.REAL, size, Access.SHARED),
        Array("number", DType.INT, 1, Access.SHARED),
        Array("marks", DType.BOOL, size, Access.SHARED),
    )
    phase = Choose("choose", "values", "number", "marks")
    program = Program("choose", 1.0, arrays, (Sweep(Direction.ONCE, (phase,), Over.SHARED),))
    chosen = registry.create(backend, Precision.FLOAT32)
    memory = chosen.memory(1)
    memory.reserve(program, 0)
    kernel = chosen.compile(program)
    for number in (0, 1, 3, 6, 7, 9):
        for values in VALUES.values():
            memory.write("number", number)
            memory.write("values", values)
            kernel.run(memory)
            first = sorted(range(size), key=lambda k: (-np.float32(values[k]), k))[:number]
            assert np.flatnonzero(memory.read("marks")).tolist() == sorted(first)


def faulty(changes: Mapping[str, Any]) -> Program:
    """A Program that rewires or chooses as it may not."""
    found = changes.get("found", Sparse("s", 3, 4, 5))
    phase = changes.get("phase", Rewire("rewire", "s", ANYWHERE, "me"))
    arrays = (
        Array("values", DType.REAL, 5, Access.SHARED),
        Array("marks", DType.BOOL, 5, Access.SHARED),
        Array("number", DType.INT, 1, Access.SHARED),
        *Rewire("rewire", "s", ANYWHERE, "me").arrays(Sparse("s", 3, 4, 5)),
    )
    arrays = tuple(changes.get("arrays", {}).get(array.name, array) for array in arrays)
    over = changes.get("over", Over.SHARED)
    tables = () if isinstance(found, Sparse) else Sparse("s", 3, 4, 5).tables(())
    sweeps = (Sweep(Direction.ONCE, (phase,), over),)
    return Program("p", 1.0, (*arrays, *tables), sweeps, connectivities=(found,))


REWIRE = Rewire("rewire", "s", ANYWHERE, "me")
TIED = Array("s:rewire:tied", DType.INT, 4, Access.SHARED)
MARKS = Array("marks", DType.INT, 5, Access.SHARED)
ORIGIN = Array("s:rewire:origin", DType.INT, 4, Access.SHARED)
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "dense": ({"found": Dense("s", 3, 4)}, "no places that are empty or taken; make it sparse"),
    "repeats": ({"found": Sparse("s", 3, 4, 5, True)}, "and no pair twice"),
    "instances": ({"over": Over.INSTANCES}, "connections are shared"),
    "arrays": ({"arrays": {ORIGIN.name: ORIGIN}}, "'s:rewire:origin' is not what it needs"),
    "body": (
        {"phase": Rewire("rewire", "s", Body("x = 1"), "me")},
        "_taken",
    ),
    "a number": (
        {"phase": Choose("c", "values", "values", "marks")},
        "'values' cannot hold a number; make it INT, shared and of size 1",
    ),
    "scores": (
        {"phase": replace(REWIRE, scores="values"), "arrays": {"number": TIED}},
        "'values' cannot score places; make it REAL, shared and of size 12",
    ),
    "marks": (
        {"phase": Choose("c", "values", "number", "marks"), "arrays": {"marks": MARKS}},
        "'marks' cannot hold the marks",
    ),
    "chosen among marks": (
        {"phase": Choose("c", "marks", "number", "marks")},
        "'marks' cannot be chosen from",
    ),
    "choose by instance": (
        {"phase": Choose("c", "values", "number", "marks"), "over": Over.INSTANCES},
        "it is done for what is shared",
    ),
}


@pytest.mark.parametrize(("changes", "sentence"), FAULTS.values(), ids=FAULTS)
def test_what_is_not_legal(changes: Mapping[str, Any], sentence: str) -> None:
    with pytest.raises(ProgramError, match=sentence.replace("(", "\\(")):
        verify(faulty(changes), Stage.GENERATION)


def forming(kind: str) -> Program:
    """A Program with one of the phases that change where synapses are, and what goes with it."""
    hashed = Body("_taken = _hashed(3, i, j) < 0.5 and chance < 0.6", ENDS, draws=CHANCE)
    found, transpose = Sparse("s", ROWS, COLUMNS, SIZE), Transpose("transpose", "s")
    scores = "scores" if kind == "scored" else None
    form: Forming = Rewire("rewire", "s", hashed, "me", scores)
    if kind == "grown":
        form = Grow("grow", "s", hashed, "me")
    choose = Choose("choose", "values", "number", form.part("marks"))
    sizes = {"rows": ROWS, "columns": COLUMNS, "number": 1}
    reals = {"values": SIZE, "scores": ROWS * COLUMNS}
    return Program(
        "rewiring",
        1.0,
        (
            *(Array(name, DType.INT, size, Access.SHARED) for name, size in sizes.items()),
            *(Array(name, DType.REAL, size, Access.SHARED) for name, size in reals.items()),
            *form.arrays(found),
            *transpose.arrays(found),
        ),
        (Sweep(Direction.ONCE, (choose, form, transpose), Over.SHARED),),
        connectivities=(found,),
    )


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90", "sm_120"])
@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("kind", ["drawn", "scored", "grown"])
def test_it_compiles_for_gpus(kind: str, precision: Precision, architecture: str) -> None:
    pytest.importorskip("cuda.bindings.nvrtc")
    text = generate(forming(kind), precision, CUDA).text
    assert b"b2e_run" in machine_code(text, architecture)
