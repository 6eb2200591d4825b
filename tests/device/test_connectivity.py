"""Which connectivity a list of synapses is, and that it holds these very synapses."""

from __future__ import annotations

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, Synapses, ms, set_device
from hypothesis import given
from hypothesis import strategies as st

from brian2eprop.device.program import Dense, Side, Sparse
from brian2eprop.device.program.connectivity import Found, find_connectivity


def listed(found: Found) -> list[tuple[int, int]]:
    """The pairs of a connectivity, as its definition in the Program says."""
    source, target = found.connectivity.pairs(found.tables)
    return list(zip(source.tolist(), target.tolist(), strict=True))


def rows(found: Found, side: Side) -> list[tuple[int, int, int]]:
    """Number, source and target of the synapses, met row by row."""
    connectivity = found.connectivity
    contents = {**found.tables, **connectivity.derived(found.tables, {side})}
    met = []
    for neuron in range(connectivity.rows(side)):
        row = connectivity.row(contents, neuron, side)
        for other, synapse in zip(row.neighbours.tolist(), row.synapses.tolist(), strict=True):
            pair = (neuron, other) if side is Side.SOURCE else (other, neuron)
            met.append((synapse, *pair))
    return met


def check(found: Found, i: np.ndarray, j: np.ndarray) -> None:
    """The k-th pair is Brian2's synapse order[k]."""
    order = np.arange(i.size) if found.order is None else found.order
    assert listed(found) == list(zip(i[order].tolist(), j[order].tolist(), strict=True))
    assert sorted(order.tolist()) == list(range(i.size))
    assert found.connectivity.n_synapses == i.size
    numbered = [(k, *pair) for k, pair in enumerate(listed(found))]
    assert rows(found, Side.SOURCE) == numbered
    by_target = rows(found, Side.TARGET)
    assert sorted(by_target) == numbered
    assert [pair[::-1] for _, *pair in by_target] == sorted(pair[::-1] for _, *pair in by_target)
    turned = found.connectivity.transposed("turned", found.tables)
    source, target = turned.connectivity.pairs(turned.tables)
    k = turned.order
    assert listed(found) == sorted(zip(target.tolist(), source.tolist(), strict=True))
    assert [listed(found)[n] for n in k] == list(zip(target.tolist(), source.tolist(), strict=True))


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize(
    ("n", "m", "diagonal"), [(3, 4, True), (4, 4, True), (4, 4, False), (1, 5, True)]
)
def test_dense(n: int, m: int, diagonal: bool, shuffled: bool) -> None:
    i, j = (index.ravel() for index in np.indices((n, m)))
    if not diagonal:
        i, j = i[i != j], j[i != j]
    if shuffled:
        order = np.random.default_rng(1).permutation(i.size)
        i, j = i[order], j[order]
    found = find_connectivity("s", i, j, n, m)
    assert isinstance(found.connectivity, Dense)
    assert found.connectivity.diagonal is diagonal
    assert (found.order is None) is not shuffled
    assert not found.tables
    check(found, i, j)


@given(st.integers(1, 6), st.integers(1, 6), st.data())
def test_any_pairs(n: int, m: int, data: st.DataObject) -> None:
    pair = st.tuples(st.integers(0, n - 1), st.integers(0, m - 1))
    pairs = data.draw(st.lists(pair, max_size=40))
    i, j = np.array(pairs, int).reshape(-1, 2).T
    found = find_connectivity("s", i, j, n, m)
    check(found, i, j)
    assert found.connectivity.unique is (len(set(pairs)) == len(pairs))


def test_as_many_synapses_as_pairs_is_not_yet_dense() -> None:
    i, j = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1])
    found = find_connectivity("s", i, j, 2, 2)
    assert isinstance(found.connectivity, Sparse)
    assert not found.connectivity.unique
    off_diagonal = find_connectivity("s", np.array([0, 1]), np.array([0, 1]), 2, 2)
    assert isinstance(off_diagonal.connectivity, Sparse)


def test_equal_pairs_keep_their_order() -> None:
    i, j = np.array([1, 0, 1, 0, 1]), np.array([0, 1, 0, 1, 0])
    found = find_connectivity("s", i, j, 2, 2)
    assert found.order is not None
    assert found.order.tolist() == [1, 3, 0, 2, 4]


@pytest.mark.parametrize("batch_size", [None, 2])
def test_synaptic_variables_read_back_in_brian_order(backend: str, batch_size: int | None) -> None:
    """A variable that the run writes (the number of arrivals) tells which synapse is which."""
    set_device("eprop_cuda", backend=backend, precision="float64", batch_size=batch_size)
    group = NeuronGroup(4, "v : 1", threshold="v > 0.5", reset="v = 0", name="g")
    group.v = [1, 0, 1, 0]
    synapses = Synapses(group, group, "w : 1\nseen : 1", on_pre="seen += w", name="s")
    i, j = np.array([3, 2, 0, 2, 1, 0]), np.array([0, 3, 1, 0, 1, 0])
    synapses.connect(i=i, j=j)
    synapses.w = "1 + 10*i + j"
    Network(group, synapses).run(3 * ms)
    expected = np.where((i == 0) | (i == 2), 1 + 10 * i + j, 0)
    shape = expected.shape if batch_size is None else (batch_size, expected.size)
    np.testing.assert_array_equal(synapses.seen[:], np.broadcast_to(expected, shape))
    np.testing.assert_array_equal(synapses.w[:], 1 + 10 * i + j)
