"""Synapses that are kept as a rule do what Brian2's own do where they are listed."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any
from weakref import ref

import numpy as np
import pytest
from brian2 import (
    DimensionMismatchError,
    Network,
    NeuronGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    defaultclock,
    ms,
    mV,
    seed,
    set_device,
    start_scope,
)
from scipy import stats

import brian2eprop as b2e
from brian2eprop.device.connecting import rules
from brian2eprop.device.expansion.recipe import recipe_of
from brian2eprop.errors import Unsupported
from tests.device.alike import Found, assert_alike, on_device
from tests.samples import examples

N = 60
NEURONS = """dv/dt = (drive - v)/(10*ms) : 1
             drive : 1
             x : 1 (constant)
             near : boolean (constant)
             total : 1"""

# What connects synapses, and what is said of them then.
Said = Callable[[Synapses], None]


def neurons() -> NeuronGroup:
    found = NeuronGroup(N, NEURONS, threshold="v > 1", reset="v = 0", method="exact", name="cells")
    found.drive = np.linspace(0.8, 1.9, N)
    found.x = np.linspace(0, 1, N)
    found.near = np.arange(N) % 3 == 0
    return found


def sparse(synapses: Synapses) -> Synapses:
    if synapses.variables["N"].device.__class__.__name__ != "RuntimeDevice":
        b2e.set_connectivity(synapses, "sparse")
    return synapses


def is_rule(synapses: Synapses, *apart: str) -> bool:
    """Whether they are kept as a rule of which the host has nothing, some variables apart."""
    device = synapses.variables["N"].device
    mine = (each for each in synapses._registered_variables if each.name not in apart)
    return recipe_of(synapses) is not None and not any(device._raw(each).size for each in mine)


FAR = 0.25
CONDITIONS = [
    ("i != j", {}),
    ("abs(x_pre - x_post) < FAR and i != j", {}),
    ("near_pre and (i + j) % 4 != 1", {}),
    (None, {}),
    (None, {"j": "i"}),
]


@pytest.mark.parametrize(("condition", "others"), CONDITIONS)
@pytest.mark.parametrize("parts", [False, True])
def test_conditions_are_those_of_brian2(condition: Any, others: Any, parts: bool) -> None:
    def script(_: np.ndarray) -> Found:
        cells = neurons()
        ends = (cells[7:50], cells[3:]) if parts else (cells, cells)
        found = sparse(Synapses(*ends, "w : 1\nu : volt\nn : integer", delay=None, name="s"))
        found.connect(condition, **others)
        found.w = "x_pre + 2*j + rand()*0"
        found.u = 3 * mV
        found.n = "int(7*x_post) + i"
        found.w = "w*2 + n"
        cells.x = 7  # of which nothing is read any more
        if recipe_of(found) is not None:
            assert is_rule(found)
        names = ("i", "j", "w", "u", "n", "N_outgoing", "N_incoming")
        return {name: np.array(getattr(found, f"{name}")[:]) for name in names} | {
            "number": np.array(len(found))
        }

    ours = on_device(script, np.zeros(1), "eprop_cuda", backend="cpu", precision="float64")
    assert_alike(ours, on_device(script, np.zeros(1), "runtime"), 1e-14)


def probabilities(synapses: Synapses) -> None:
    synapses.connect("i != j", p=0.15)


def distances(synapses: Synapses) -> None:
    synapses.connect("i != j", p="0.5*exp(-abs(x_pre - x_post)/0.2)")


def totals(synapses: Synapses) -> None:
    b2e.connect_fixed_total(synapses, 500)


def indegrees(synapses: Synapses) -> None:
    b2e.connect_fixed_indegree(synapses, 8, multapses=False, autapses=False)


MODEL = """w : 1
           dtr/dt = -tr/(20*ms) : 1 (event-driven)
           total_post = 0.1*w*x_pre : 1 (summed)"""


def network(said: Said, plastic: bool) -> tuple[Network, Synapses, Callable[[], Found]]:
    cells = neurons()
    code = {
        "on_pre": "v_post += w; tr += 0.1" + ("; w = clip(w - 0.01*tr, 0, 1)" * plastic),
        "on_post": "w = clip(w + 0.02*tr, 0, 1)" if plastic else "v_pre -= 0.01*w",
    }
    found = Synapses(cells, cells, MODEL, **code, name="s")
    said(found)
    spikes, trace = SpikeMonitor(cells, name="spikes"), StateMonitor(cells, "v", record=[3, 30])
    weights = StateMonitor(found, "w", record=[0, 5, 17], dt=1 * ms)

    def read() -> Found:
        values = {"i": spikes.i, "t": spikes.t_, "v": trace.v, "w": weights.w}
        return {name: np.array(each) for name, each in values.items()}

    return Network(cells, found, spikes, trace, weights), found, read


def drawn(connect: Said) -> Said:
    def say(synapses: Synapses) -> None:
        connect(sparse(synapses))
        synapses.w = "clip(0.08 + 0.03*randn(), 0, 1)*(1 + x_post)"
        synapses.pre.delay = "0.1*ms + rand()*3*ms"
        synapses.post.delay = 0.5 * ms

    return say


def listed(known: dict[str, Any]) -> Said:
    """The same synapses, one by one."""

    def say(synapses: Synapses) -> None:
        synapses.connect(i=known["i"], j=known["j"])
        synapses.w = known["w"]
        synapses.pre.delay = known["delay"] * ms
        synapses.post.delay = 0.5 * ms

    return say


def of_rule(connect: Said, plastic: bool, backend: str, **options: Any) -> Any:
    set_device("eprop_cuda", backend=backend, **{"precision": "float64"} | options)
    start_scope()
    defaultclock.dt = 0.1 * ms
    seed(11)
    return network(drawn(connect), plastic)


def values_of(synapses: Synapses) -> dict[str, Any]:
    known = {name: np.array(getattr(synapses, name)[:]) for name in ("i", "j", "w")}
    return known | {"delay": np.array(synapses.pre.delay[:] / ms)}


def on_runtime(known: dict[str, Any], plastic: bool, then: Callable[..., Found]) -> Found:
    set_device("runtime")
    start_scope()
    defaultclock.dt = 0.1 * ms
    return then(*network(listed(known), plastic))


RUNS = [(probabilities, False), (distances, True), (totals, True), (indegrees, False)]


@pytest.mark.parametrize(("connect", "plastic"), RUNS)
def test_networks_do_what_listed_ones_do(backend: str, connect: Said, plastic: bool) -> None:
    """With monitors, plasticity, sums, delays of each synapse, and between runs."""
    if backend == "emulated" and connect is not totals and not examples(0, 1):
        pytest.skip("runs where all are asked for: --hypothesis-profile=long")

    def run(whole: Network, synapses: Synapses, read: Callable[[], Found]) -> Found:
        whole["cells"].v = np.linspace(0.1, 0.98, N)  # some spike at once
        whole.run(6 * ms)
        if recipe_of(synapses) is not None:
            assert is_rule(synapses)
        synapses.w = "clip(0.9*w, 0, 1)"  # of what the run has left
        whole.run(4 * ms)
        first = np.array(synapses.w[:])
        whole.run(3 * ms)
        return read() | {"then": first, "weights": np.array(synapses.w[:])}

    known = values_of(of_rule(connect, plastic, "cpu")[1])
    ours = run(*of_rule(connect, plastic, backend))
    assert len(ours["i"]) > 30
    assert len(np.unique(known["delay"])) > 100
    assert_alike(ours, on_runtime(known, plastic, run), 1e-11)


def changing(whole: Network, synapses: Synapses, read: Callable[[], Found]) -> Found:
    """What a script does to synapses between runs."""
    whole.run(3 * ms)
    whole.store()
    synapses.w = "0.5*w + 0.01*i"
    whole.run(2 * ms)
    synapses.w[:10] = 0.3
    synapses.pre.delay = "delay*0.5"
    whole.run(2 * ms)
    synapses.connect(i=[0, 5], j=[1, 2])
    synapses.w["i == 0"] = 0.25
    whole.run(2 * ms)
    last = read()
    after = {"number": np.array(len(synapses)), "source": np.array(synapses.i[:])}
    whole.restore()
    return last | after


@pytest.mark.parametrize("plastic", [False, True])
def test_what_changes_between_runs(plastic: bool) -> None:
    known = values_of(of_rule(probabilities, plastic, "cpu")[1])
    ours = changing(*of_rule(probabilities, plastic, "cpu"))
    assert_alike(ours, on_runtime(known, plastic, changing), 1e-11)


def test_restored_networks_do_the_same_once_more() -> None:
    whole, synapses, read = of_rule(probabilities, True, "cpu")
    whole.run(3 * ms)
    whole.store()
    known = values_of(synapses)
    whole.run(5 * ms)
    first = read() | values_of(synapses)
    whole.restore()
    assert_alike(values_of(synapses), known, 0)
    whole.run(5 * ms)
    assert_alike(read() | values_of(synapses), first, 0)


@pytest.mark.parametrize("name", ["cpu", "reference"])
@pytest.mark.parametrize("delay", ["1e7*second*(1 + i)", "sqrt(x_pre - 0.5)*ms", "-2*ms*(i > 3)"])
def test_delays_that_no_step_can_be_told_of_are_refused(name: str, delay: str) -> None:
    """By the sentence of those that are listed, before anything runs."""
    set_device("eprop_cuda", backend=name)
    cells = neurons()
    found = sparse(Synapses(cells, cells, on_pre="v_post += 0.1", name="s"))
    found.connect(p=0.5)
    found.delay = delay
    with pytest.raises(Unsupported, match=r"'s_pre' has a delay of .* s, but .* less than"):
        Network(cells, found).run(1 * ms)


def test_precisions_change_no_synapse() -> None:
    first = values_of(of_rule(distances, False, "cpu")[1])
    single = values_of(of_rule(distances, False, "cpu", precision="float32")[1])
    for name in ("i", "j"):
        np.testing.assert_array_equal(first[name], single[name])
    np.testing.assert_allclose(single["w"], first["w"], atol=1e-7)
    np.testing.assert_array_equal(single["delay"], first["delay"])


def test_instances_share_the_synapses() -> None:
    whole, synapses, read = of_rule(probabilities, False, "cpu", batch_size=3)
    whole.run(6 * ms)
    assert is_rule(synapses, "tr", "lastupdate")  # what each instance has of its own
    batch = read()
    single, _, read_one = of_rule(probabilities, False, "cpu")
    single.run(6 * ms)
    for instance in range(3):
        np.testing.assert_allclose(batch["v"][instance], read_one()["v"], rtol=1e-12)
    plastic, synapses, _ = of_rule(probabilities, True, "cpu", batch_size=2)
    plastic.run(2 * ms)
    assert synapses.w.shape == (2, len(synapses))


def test_numbers_are_those_of_the_seed_and_the_call() -> None:
    def number(*before: Any) -> tuple[int, float]:
        set_device("eprop_cuda", backend="cpu")
        seed(5)
        cells = neurons()
        for each in before:
            other = sparse(Synapses(cells, cells, name=each))
            other.connect(p=0.5)
        found = sparse(Synapses(cells, cells, "w : 1"))
        found.connect(p=0.5)
        found.w = "rand()"
        return len(found), float(found.w[0])

    assert number() == number()
    assert number() != number("first")
    seed(5)


def test_networks_are_those_of_brian2_in_distribution() -> None:
    """How often each pair is connected, beside what Brian2's runtime does."""

    def counts(device: str, **options: Any) -> np.ndarray:
        set_device(device, **options)
        seed(3)
        cells = neurons()
        number = np.zeros((N, N))
        for _ in range(40):
            found = sparse(Synapses(cells, cells))
            found.connect("i != j", p="0.1 + 0.8*x_pre*x_post")
            np.add.at(number, (found.i[:], found.j[:]), 1)
        return number

    ours, theirs = counts("eprop_cuda", backend="cpu"), counts("runtime")
    x = np.linspace(0, 1, N)
    chance = (0.1 + 0.8 * np.outer(x, x)) * ~np.eye(N, dtype=bool)
    for found in (ours, theirs):
        scores = (found - 40 * chance) ** 2 / (40 * chance * (1 - chance) + np.eye(N))
        assert 1e-4 < stats.chi2.sf(scores.sum(), N * (N - 1)) < 1 - 1e-4


def test_what_cannot_be_kept_is_made_by_brian2() -> None:
    set_device("eprop_cuda", backend="cpu")
    cells = neurons()
    outside = sparse(Synapses(cells, cells, "w : 1", multisynaptic_index="k"))
    outside.connect(n=2)
    assert len(outside) == 2 * N * N
    for said in (
        {"j": "k for k in range(i)"},
        {"i": [1], "j": [2]},
        {"p": 0.0},
        {"n": "1 + i % 2"},
    ):
        found = sparse(Synapses(cells, cells))
        found.connect(**said)
        assert recipe_of(found) is None
    small = Synapses(cells, cells)
    small.connect(p=0.5)
    assert recipe_of(small) is None
    assert rules.WORTH_A_RULE > N * N
    wrong = sparse(Synapses(cells, cells, "u : volt"))
    with pytest.raises(TypeError):
        wrong.connect("x_pre + 1")
    wrong.connect("i > j")
    for value in ("x_pre", 3.0):
        with pytest.raises(DimensionMismatchError):
            wrong.u = value
    with pytest.raises(KeyError):
        wrong.u = "nothing*mV"


def test_rewired_and_deleted() -> None:
    def run() -> tuple[Any, int, int, float]:
        cells = neurons()
        found = sparse(Synapses(cells, cells, "w : 1", on_pre="v_post += w", name="s"))
        found.connect("i != j", p=0.1)
        found.w = "rand()"
        b2e.rewire(found, b2e.Rewire("w < 0.2", form="1", initial={"w": "0.5"}), dt=2 * ms)
        size = len(found)
        Network(cells, found).run(5 * ms)
        return ref(found), size, len(found), found.w[:].min()

    set_device("eprop_cuda", backend="cpu", seed=2)
    gone, before, after, least = run()
    assert before == after
    assert least >= 0.2
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    ("function", "n", "options", "sentence"),
    [
        (b2e.connect_fixed_total, N * N + 1, {"multapses": False}, "has 3600 pairs of neurons"),
        (b2e.connect_fixed_outdegree, N, {"multapses": False, "autapses": False}, "59 others"),
        (b2e.connect_fixed_indegree, -1, {}, "give a whole number from 0 up"),
        (b2e.connect_fixed_indegree, 2.5, {}, "give a whole number from 0 up"),
    ],
)
@pytest.mark.parametrize("device", ["runtime", "eprop_cuda"])
def test_numbers_that_there_are_not(
    function: Any, n: Any, options: Any, sentence: str, device: str
) -> None:
    set_device(device)
    cells = neurons()
    found = Synapses(cells, cells)
    with pytest.raises(ValueError, match=sentence):
        function(found, n, **options)
    with pytest.raises(TypeError, match="give Synapses"):
        function(cells, 1)
    onto = Synapses(cells, found)
    with pytest.raises(Unsupported, match="ends at the synapses"):
        function(onto, 1)


@pytest.mark.parametrize("device", ["runtime", "eprop_cuda"])
@pytest.mark.parametrize("multapses", [True, False])
def test_fixed_numbers(device: str, multapses: bool) -> None:
    set_device(device, **({"backend": "cpu"} if device == "eprop_cuda" else {}))
    seed(1)
    cells = neurons()
    ends = cells[10:50], cells[20:]
    options = {"multapses": multapses, "autapses": False}
    made = [Synapses(*ends) for _ in range(3)]
    b2e.connect_fixed_total(made[0], 700, **options)
    b2e.connect_fixed_outdegree(made[1], 30, **options)
    b2e.connect_fixed_indegree(made[2], 25, **options)
    assert [len(each) for each in made] == [700, 40 * 30, 40 * 25]
    for each in made:
        source, target = each.i[:] + 10, each.j[:] + 20
        assert (source != target).all()
        assert (len(set(zip(source, target, strict=True))) == len(each)) is not multapses
        assert (source.min(), source.max(), target.min(), target.max()) == (10, 49, 20, 59)
    assert (np.bincount(made[1].i[:]) == 30).all()
    assert (np.bincount(made[2].j[:]) == 25).all()
    b2e.connect_fixed_outdegree(made[1], 2)  # more of them
    assert len(made[1]) == 40 * 32


def test_kinds_of_connectivity_are_refused() -> None:
    set_device("eprop_cuda")
    cells = neurons()
    found = Synapses(cells, cells)
    with pytest.raises(ValueError, match="give 'sparse' or None"):
        b2e.set_connectivity(found, "dense")
    with pytest.raises(TypeError, match="give Synapses"):
        b2e.set_connectivity(cells, "sparse")
    found.connect()
    with pytest.raises(Unsupported, match="is connected already"):
        b2e.set_connectivity(found, "sparse")
