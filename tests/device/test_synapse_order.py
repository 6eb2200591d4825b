"""Code that depends on the order of synapses: synapse by synapse, line by line."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, Synapses, defaultclock, ms, set_device, start_scope
from brian2.utils.logger import catch_logs
from hypothesis import given, settings
from hypothesis import strategies as st

BACKENDS = ["cpu", "emulated", "reference"]
N = 3


Case = tuple[str, list[int], list[int]]  # code, sources, targets


def simulated(backend: str, cases: list[Case], batch: int | None = None) -> list[list[Any]]:
    """What one spike of each of N neurons leaves of their variables and of the synapses'."""
    set_device("eprop_cuda", backend=backend, precision="float64", batch_size=batch)
    start_scope()
    defaultclock.dt = 1 * ms
    network, made = Network(), []
    for code, i, j in cases:
        group = NeuronGroup(N, "z : 1\nu : 1", threshold="t < 0.5*ms")
        wires = Synapses(group, group, "w : 1", on_pre=code)
        wires.connect(i=i, j=j)
        group.z, group.u, wires.w = "i + 1", "2*i + 1", 0.5 * np.arange(len(i)) + 1
        network.add(group, wires)
        made.append((group, wires))
    network.run(2 * ms)
    return [[group.z[:], group.u[:], wires.w[:]] for group, wires in made]


def by_hand(code: str, i: list[int], j: list[int]) -> list[Any]:
    """The same by a plain loop."""
    z, u = np.arange(N) + 1.0, 2 * np.arange(N) + 1.0
    w = 0.5 * np.arange(len(i)) + 1
    for a, b in (("z_pre", "z[i]"), ("z_post", "z[j]"), ("u_pre", "u[i]"), ("u_post", "u[j]")):
        code = re.sub(rf"\b{a}\b", b, code)
    code = re.sub(r"\bw\b", "w[k]", code)
    for k in sorted(range(len(i)), key=lambda k: (i[k], j[k], k)):
        exec(code, {"z": z, "u": u, "w": w, "i": i[k], "j": j[k], "k": k})
    return [z, u, w]


def assert_as_by_hand(backend: str, cases: list[Case], batch: int | None = None) -> None:
    with catch_logs():
        found = simulated(backend, cases, batch)
    for case, values in zip(cases, found, strict=True):
        for name, value, wanted in zip("zuw", values, by_hand(*case), strict=True):
            assert np.allclose(value, wanted, rtol=1e-12), (case, name, value, wanted)


AUTAPSES = [
    "z_pre += z_post; z_post += 0.1",
    "z_post += z_pre; z_pre += 0.1",
    "z_post = w*z_pre; z_pre += 1",
    "z_post += 1; z_pre = 5",
    "z_pre = 5; z_post += 1",
    "z_pre += 1; z_post += 1",
    "z_pre *= 2; z_post *= 3",
    "z_post += 1; w = z_pre",
    "z_post = 7; w = z_pre; z_pre -= 2",
]
CHAINS = [
    "z_pre += w*z_post",
    "z_pre = z_pre/2 + w",
    "z_post += w*z_pre; w += z_post",
    "w = z_pre; z_pre += 1",
    "u_pre = w; z_post += u_pre",
    "u_pre -= w",
]


@pytest.mark.parametrize("batch", [None, 2])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_neuron_that_is_its_own_target_is_one_element(backend: str, batch: int | None) -> None:
    assert_as_by_hand(backend, [(code, [0], [0]) for code in AUTAPSES], batch)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_synapse_sees_what_the_one_before_it_left(backend: str) -> None:
    ends = ([0, 1], [1, 0]), ([2, 0, 0, 0, 1, 0], [0, 1, 0, 2, 2, 1])
    assert_as_by_hand(backend, [(code, i, j) for code in CHAINS for i, j in ends])


_NAMES = st.sampled_from(["z_pre", "z_post", "u_pre", "u_post", "w"])
_LINE = st.builds("{} {} {}*{}".format, _NAMES, st.sampled_from(["=", "+=", "-="]), _NAMES, _NAMES)
_PAIRS = st.lists(st.tuples(*[st.integers(0, N - 1)] * 2), min_size=1, max_size=6)


_CASE = st.builds(
    lambda lines, pairs: ("; ".join(lines), *([pair[end] for pair in pairs] for end in (0, 1))),
    st.lists(_LINE, min_size=1, max_size=3),
    _PAIRS,
)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=2, deadline=None)
@given(cases=st.lists(_CASE, min_size=12, max_size=12))
def test_any_code_means_the_same_everywhere(backend: str, cases: list[Case]) -> None:
    assert_as_by_hand(backend, cases)


def test_brian2_warns_of_code_that_depends_on_the_order() -> None:
    with catch_logs() as logs:
        simulated("reference", [("z_pre += w*z_post", [0, 1], [1, 0])])
    assert any("order" in message for _, _, message in logs), logs
