"""Random numbers inside a run: as Brian2 means them, and the same on every backend."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import brian2
import numpy as np
import numpy.typing as npt
import pytest
from brian2 import (
    DEFAULT_FUNCTIONS,
    BinomialFunction,
    Clock,
    Function,
    Hz,
    Network,
    NetworkOperation,
    NeuronGroup,
    PoissonGroup,
    PoissonInput,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    defaultclock,
    get_device,
    ms,
    second,
    seed,
    set_device,
)
from scipy import stats

from brian2eprop.errors import Unsupported

Values = npt.NDArray[Any]


def use(backend: str = "cpu", precision: str = "float64", **options: Any) -> None:
    set_device("eprop_cuda", **{"backend": backend, "precision": precision, "seed": 5} | options)
    defaultclock.dt = 0.5 * ms


def noise(method: str = "euler", n: int = 200, equations: str | None = None, **more: Any) -> Any:
    """An Ornstein-Uhlenbeck process of variance 1/2, and its monitor."""
    equations = equations or "dv/dt = -v/tau + xi/sqrt(tau) : 1"
    group = NeuronGroup(n, equations, method=method, namespace={"tau": 5 * ms}, **more)
    monitor = StateMonitor(group, "v", record=True)
    return group, monitor


def trajectory(duration: Any = 20 * ms, **how: Any) -> Values:
    group, monitor = noise(**how)
    Network(group, monitor).run(duration)
    return np.array(monitor.v)


def everything() -> dict[str, Values]:
    """Random numbers in all places where code may stand."""
    group = NeuronGroup(
        30,
        """dv/dt = (1 - v)/tau + 0.4*xi_1*tau**-0.5 - 0.2*xi_2*tau**-0.5 : 1 (unless refractory)
           n : integer
           x : 1""",
        threshold="v > 0.8 + 0.3*rand()",
        reset="v = -rand(); n += poisson(3.5); x = randn()",
        refractory=1 * ms,
        method="euler",
        namespace={"tau": 5 * ms},
        name="group",
    )
    source = PoissonGroup(20, rates=np.linspace(0, 300, 20) * Hz, name="source")
    synapses = Synapses(source, group, "w : 1", on_pre="v_post += w*(rand() < 0.4)", name="syn")
    synapses.connect(condition="(i + j) % 3 == 0")
    synapses.w = 0.3
    drive = PoissonInput(group, "v", 10, 50 * Hz, weight="0.05*(1 + i/N)")
    spikes, states = SpikeMonitor(group), StateMonitor(group, ["v", "n", "x"], record=True)
    given = SpikeMonitor(source)
    Network(group, source, synapses, drive, spikes, states, given).run(20 * ms)
    found = {"spikes": spikes.i[:], "given": given.i[:], "v": states.v, "n": states.n}
    return {name: np.array(values) for name, values in (found | {"x": states.x}).items()}


@pytest.mark.parametrize("batch_size", [None, 3])
def test_all_random_code_on_every_backend(backend: str, batch_size: int | None) -> None:
    found = []
    for name in (backend, "reference"):
        use(name, batch_size=batch_size)
        brian2.start_scope()
        found.append(everything_of(batch_size))
    for key, values in found[1].items():
        np.testing.assert_allclose(found[0][key], values, rtol=1e-9, atol=1e-12, err_msg=key)
    assert len(found[1]["spikes"]) > 20
    assert len(found[1]["given"]) > 20
    assert found[1]["n"].max() > 2


def everything_of(batch_size: int | None) -> dict[str, Values]:
    found = everything()
    if batch_size is not None:
        assert found["v"].shape[0] == batch_size
        assert not np.array_equal(found["v"][0], found["v"][1])
    return found


def test_the_first_instance_of_a_batch_is_a_run_alone() -> None:
    use()
    alone = trajectory()
    use(batch_size=3)
    np.testing.assert_array_equal(trajectory()[0], alone)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("method", ["euler", "heun", "milstein"])
def test_noise_has_the_runtimes_mean_variance_and_memory(method: str, precision: str) -> None:
    """Against the recursion of Brian2's method, whose stationary values are known."""
    use(precision=precision)
    group, monitor = noise(method, 2000)
    group.v = "sqrt(0.5)*randn()"
    Network(group, monitor).run(20 * ms)
    v = np.array(monitor.v, float)
    a = 1 - 0.1 if method != "heun" else 1 - 0.1 + 0.1**2 / 2
    gain = 1 if method != "heun" else 1 - 0.1 / 2
    variance = gain**2 * 2 * 0.1 / 2 / (1 - a**2)
    late = v[:, -1]
    assert abs(late.mean()) < 5 * np.sqrt(0.5 / 2000)
    bound = 5 * np.sqrt(2 / 2000)
    expected = variance + (0.5 - variance) * a ** (2 * (v.shape[1] - 1))
    assert abs(late.var() / expected - 1) < bound
    jumps = v[:, 1:] - a * v[:, :-1]
    assert stats.kstest((jumps / jumps.std()).ravel(), "norm").pvalue > 1e-3
    assert abs(np.corrcoef(jumps[:, 1:].ravel(), jumps[:, :-1].ravel())[0, 1]) < 5 / np.sqrt(
        jumps.size
    )


def steps(run: Callable[[], Values]) -> tuple[Values, Values]:
    use()
    set_device("runtime")
    defaultclock.dt = 0.5 * ms
    brian2.start_scope()
    theirs = run()
    use()
    brian2.start_scope()
    return run(), theirs


MULTIPLICATIVE = "dv/dt = -v/tau + 0.3*v*xi*tau**-0.5 : 1"


@pytest.mark.parametrize("method", ["heun", "milstein"])
def test_noise_that_depends_on_the_state_is_distributed_as_in_the_runtime(method: str) -> None:
    def run() -> Values:
        seed(11)
        group, _ = noise(method, 4000, MULTIPLICATIVE)
        group.v = 1
        Network(group).run(5 * ms)
        return np.array(group.v[:])

    ours, theirs = steps(run)
    assert stats.ks_2samp(ours, theirs).pvalue > 1e-3


DETERMINISTIC = ["euler", "rk2", "rk4", "heun", "milstein"]


@pytest.mark.parametrize("method", DETERMINISTIC)
def test_methods_equal_the_runtime(backend: str, method: str) -> None:
    equations = "dv/dt = (a - v + 0.1*v**3*exp(-v))/tau : 1\nda/dt = (v - a*cos(t/tau))/(2*tau) : 1"
    check_method(backend, method, equations)


@pytest.mark.parametrize("method", ["exponential_euler", "linear", "exact", "independent"])
def test_methods_for_linear_equations_equal_the_runtime(backend: str, method: str) -> None:
    coupled = "dv/dt = (0.7 - v + a)/tau : 1\nda/dt = -a/(2*tau) : 1"
    alone = "dv/dt = (0.7 - v)/tau : 1\nda/dt = -a/(2*tau) : 1"
    nonlinear = "dv/dt = (0.7*a - v*a)/tau : 1\nda/dt = (v**2 - a)/(2*tau) : 1"
    others = {"exponential_euler": nonlinear, "independent": alone}
    check_method(backend, method, others.get(method, coupled))


def check_method(backend: str, method: str, equations: str) -> None:
    def run() -> Values:
        group = NeuronGroup(
            7,
            equations,
            threshold="v > 0.9",
            reset="v = 0",
            method=method,
            namespace={"tau": 5 * ms},
        )
        group.v, group.a = "0.1*i", "0.2*i"
        states = StateMonitor(group, ["v", "a"], record=True)
        Network(group, states).run(15 * ms)
        return np.concatenate([states.v, states.a])

    set_device("runtime")
    defaultclock.dt = 0.5 * ms
    theirs = run()
    use(backend)
    brian2.start_scope()
    np.testing.assert_allclose(run(), theirs, rtol=1e-11, atol=1e-13)


# Seeds, runs, store and restore


def values(group: Any) -> Values:
    return np.array(group.v[:])


def test_runs_go_on_with_new_numbers() -> None:
    use()
    whole = trajectory(20 * ms)
    use()
    group, monitor = noise()
    network = Network(group, monitor)
    for part in (3 * ms, 0.5 * ms, 16.5 * ms):
        network.run(part)
    np.testing.assert_array_equal(monitor.v, whole)
    repeated = np.diff(whole, axis=1)
    assert len(np.unique(repeated)) > 0.99 * repeated.size


def test_a_seed_begins_anew() -> None:
    use()
    group, _ = noise()
    network, found = Network(group), []
    for number in (1, 1, 2, None, None):
        group.v = 0
        seed(number)
        network.run(2 * ms)
        found.append(values(group))
    np.testing.assert_array_equal(found[0], found[1])
    for one in range(1, 5):
        for other in range(one):
            assert (one, other) == (1, 0) or not (found[one] == found[other]).any()


def test_without_a_seed_every_device_draws_others() -> None:
    found = []
    for _ in range(2):
        use(seed=None)
        seed()
        found.append(trajectory(2 * ms))
    assert not (found[0][:, 1:] == found[1][:, 1:]).any()


@pytest.mark.parametrize("restored", [True, False])
def test_restore_draws_the_same_if_the_random_state_is_restored(restored: bool) -> None:
    use()
    group, _ = noise()
    network, found = Network(group), []
    network.run(1 * ms)
    network.store()
    for _ in range(2):
        network.restore(restore_random_state=restored)
        network.run(2 * ms)
        found.append(values(group))
    assert np.array_equal(*found) == restored
    assert (found[0] == found[1]).all() == restored


# Threads: each run waits in its first step until all of them have begun


def in_threads(seeds: list[int | None], order: list[int]) -> list[Values]:
    """What networks with noise get that are run at the same time, begun in some order."""
    begun = [threading.Event() for _ in seeds]
    found: dict[int, Values] = {}
    networks = []

    def waiting_for_all(number: int) -> Callable[[], None]:
        def wait() -> None:
            begun[number].set()
            assert all(event.wait(20) for event in begun)

        return wait

    for number in range(len(seeds)):
        group, _ = noise(n=20)
        waiting = NetworkOperation(waiting_for_all(number), clock=Clock(1 * second))
        networks.append((group, Network(group, waiting)))

    def run_one(number: int) -> None:
        if seeds[number] is not None:
            seed(seeds[number])
        group, network = networks[number]
        network.run(3 * ms)
        found[number] = values(group)

    threads = []
    for number in order:
        threads.append(threading.Thread(target=run_one, args=(number,)))
        threads[-1].start()
        assert begun[number].wait(20)
    for thread in threads:
        thread.join(20)
    return [found[number] for number in range(len(seeds))]


@pytest.mark.filterwarnings("ignore")
def test_threads_share_the_numbers_in_the_order_in_which_their_runs_begin() -> None:
    use()
    alone = []
    for _ in range(3):
        group, _ = noise(n=20)
        Network(group).run(3 * ms)
        alone.append(values(group))
    for order in ([0, 1, 2], [2, 0, 1]):
        use()
        found = in_threads([None, None, None], order)
        for wanted, number in zip(alone, order, strict=True):
            np.testing.assert_array_equal(found[number], wanted)
        group, _ = noise(n=20)
        Network(group).run(3 * ms)
        assert not any((values(group) == one).any() for one in found)


@pytest.mark.filterwarnings("ignore")
def test_a_thread_with_a_seed_of_its_own_draws_the_same_whatever_others_do() -> None:
    use()
    alone = []
    for number in (7, 8):
        seed(number)
        group, _ = noise(n=20)
        Network(group).run(3 * ms)
        alone.append(values(group))
    use()
    group, _ = noise(n=20)
    Network(group).run(3 * ms)
    for order in ([0, 1, 2], [2, 1, 0]):
        use()
        found = in_threads([7, None, 8], order)
        np.testing.assert_array_equal([found[0], found[2]], alone)
        np.testing.assert_array_equal(found[1], values(group))


def test_a_run_that_is_stopped_gives_back_what_it_did_not_draw() -> None:
    use()
    group, _ = noise(n=20)
    network = Network(group)
    stopping = NetworkOperation(lambda: network.stop(), clock=Clock(2 * ms))
    network.add(stopping)
    network.run(0.5 * ms)
    network.run(6 * ms)
    stopping.active = False
    network.run(3 * ms)
    stopped, steps = values(group), round(float(network.t / (0.5 * ms)))
    use()
    group, _ = noise(n=20)
    Network(group).run(steps * 0.5 * ms)
    np.testing.assert_array_equal(values(group), stopped)
    assert 6 < steps < 19


def test_a_stored_file_keeps_the_random_state(tmp_path: Any) -> None:
    use()
    group, _ = noise()
    network = Network(group)
    network.run(1 * ms)
    network.store(filename=str(tmp_path / "state"))
    network.run(2 * ms)
    expected = values(group)
    seed(99)
    network.restore(filename=str(tmp_path / "state"), restore_random_state=True)
    network.run(2 * ms)
    np.testing.assert_array_equal(values(group), expected)


def test_a_network_that_is_made_again_draws_the_same() -> None:
    """Whatever numbers Brian2 puts into the names of its groups."""

    def two() -> Values:
        first, second = (noise(n=5)[0] for _ in range(2))
        Network(first, second).run(2 * ms)
        assert not (values(first) == values(second)).any()
        return np.array([values(first), values(second)])

    use()
    kept = [two()]
    groups = []
    for _ in range(12):
        groups.append(NeuronGroup(1, "v : 1"))
        seed(5)
        kept.append(two())
    for other in kept[1:]:
        np.testing.assert_array_equal(other, kept[0])


def test_what_else_there_is_does_not_matter() -> None:
    use()
    alone = trajectory()
    use()
    group, monitor = noise(threshold="v > 2", reset="v = v")
    others = NeuronGroup(3, "dv/dt = xi/sqrt(ms) : 1", method="euler", name="another")
    Network(group, monitor, others, StateMonitor(others, "v", record=True)).run(20 * ms)
    np.testing.assert_array_equal(monitor.v, alone)


def test_calls_of_one_object_are_independent() -> None:
    use()
    group = NeuronGroup(
        4000,
        "v : 1\nu : 1",
        threshold="t < dt",
        reset="""
            first = rand()
            second = rand()
            v = first - second
            u = first*second""",
    )
    Network(group).run(1 * ms)
    triangle = stats.triang(0.5, loc=-1, scale=2)
    assert stats.kstest(values(group), triangle.cdf).pvalue > 1e-3
    product = np.array(group.u[:])
    assert abs(product.mean() - 0.25) < 5 * np.sqrt((1 / 9 - 1 / 16) / 4000)


def test_a_run_that_is_repeated_is_not_captured_again() -> None:
    use()
    group, _ = noise()
    network = Network(group)
    network.run(1 * ms)
    kept = get_device().networks.of(network)
    captured, kernel = kept.captured, kept.state.kernel
    seed(4)
    network.run(1 * ms)
    assert kept.captured is captured
    assert kept.state.kernel is kernel


# Input


def spike_trains(group: Any, duration: Any) -> tuple[Values, Values]:
    monitor = SpikeMonitor(group)
    Network(group, monitor).run(duration)
    return np.array(monitor.i), np.round(np.array(monitor.t) / 0.5e-3).astype(int)


def require_bernoulli(counts: Values, trials: int, p: Values | float) -> None:
    """Counts are binomial: each in its bounds, and their chi-square as well."""
    p = np.broadcast_to(p, counts.shape)
    deviation = (counts - trials * p) / np.sqrt(np.maximum(trials * p * (1 - p), 1e-12))
    assert np.abs(deviation[p > 0]).max() < 5
    assert not counts[p == 0].any()
    n = int((p > 0).sum())
    assert abs((deviation[p > 0] ** 2).sum() / n - 1) < 5 * np.sqrt(2 / n)


RATES = np.linspace(0, 400, 100)
N_STEPS = 2000


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("rates", [RATES * Hz, "4*Hz*i*100/99", 150 * Hz], ids=str)
def test_poisson_group(rates: Any, precision: str) -> None:
    use(precision=precision)
    i, step = spike_trains(PoissonGroup(100, rates), N_STEPS * 0.5 * ms)
    expected = np.full(100, 150.0) if np.ndim(rates) == 0 and rates is not None else RATES
    if isinstance(rates, str):
        expected = 4 * np.arange(100) * 100 / 99
    require_bernoulli(np.bincount(i, minlength=100), N_STEPS, expected * 0.5e-3)
    trains = np.zeros((100, N_STEPS))
    trains[i, step] = 1
    central = trains - trains.mean(axis=1, keepdims=True)
    for one, other in ((central[1:], central[:-1]), (central[:, 1:], central[:, :-1])):
        product = one * other
        assert abs(product.mean()) < 5 * product.std() / np.sqrt(product.size)


def test_poisson_group_with_rates_that_change_in_time() -> None:
    use()
    group = PoissonGroup(500, "200*Hz*(1 + sin(2*pi*t/(100*ms)))")
    _, step = spike_trains(group, 100 * ms)
    phase = 2 * np.pi * np.arange(200) / 200
    p = 200 * (1 + np.sin(phase)) * 0.5e-3
    require_bernoulli(np.bincount(step, minlength=200), 500, np.where(p < 1e-9, 0, p))


def test_rates_that_are_changed_between_runs() -> None:
    use()
    group = PoissonGroup(100, 0 * Hz)
    monitor = SpikeMonitor(group)
    network = Network(group, monitor)
    network.run(100 * ms)
    assert monitor.num_spikes == 0
    group.rates = RATES * Hz
    network.run(N_STEPS * 0.5 * ms)
    require_bernoulli(np.array(monitor.count), N_STEPS, RATES * 0.5e-3)


def test_rates_that_code_sets_within_a_run(backend: str) -> None:
    """Each is none or one of a spike in every step, so that nothing hangs on what is drawn."""
    found = []
    for chosen in ("runtime", backend):
        use(backend)
        if chosen == "runtime":
            set_device("runtime")
        brian2.start_scope()
        group = PoissonGroup(6, 0 * Hz)
        group.run_regularly("rates = (i % 2)*int(t > 2*ms)*3*kHz", dt=1 * ms)
        part = group[2:5]
        part.run_regularly("rates = int(i == 2)*4*kHz", dt=4 * ms, when="end")
        spikes, states = SpikeMonitor(group), StateMonitor(group, "rates", record=True)
        runners = [*group.contained_objects, *part.contained_objects]
        Network(group, part, runners, spikes, states).run(8 * ms)
        found.append([np.array(spikes.i), np.array(spikes.t), np.array(states.rates)])
    for ours, theirs in zip(found[1], found[0], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert set(found[0][0]) == {1, 3, 4, 5}


def test_poisson_group_drives_synapses() -> None:
    """Every spike arrives, and each of them in the step in which the runtime delivers it."""
    use()
    source = PoissonGroup(20, 100 * Hz)
    target = NeuronGroup(20, "v : 1")
    synapses = Synapses(source, target, on_pre="v_post += 1", delay=2 * ms)
    synapses.connect("i == j")
    spikes = SpikeMonitor(source)
    states = StateMonitor(target, "v", record=True)
    Network(source, target, synapses, spikes, states).run(200 * ms)
    expected = np.zeros((20, 400))
    for neuron, step in zip(spikes.i, np.round(np.array(spikes.t) / 0.5e-3), strict=True):
        expected[neuron, int(step) + 5 :] += 1  # recorded at the start of the next step
    np.testing.assert_array_equal(states.v, expected)


@pytest.mark.parametrize(("n", "rate"), [(10, 100), (1, 500), (5000, 40)])
def test_poisson_input(n: int, rate: float) -> None:
    use()
    group = NeuronGroup(2000, "v : 1")
    drive = PoissonInput(group, "v", n, rate * Hz, weight="2*(1 + i/N)")
    Network(group, drive).run(2 * ms)
    counts = values(group) / (2 * (1 + np.arange(2000) / 2000))
    p = rate * 0.5e-3
    mean, variance = 4 * n * p, 4 * n * p * (1 - p)
    assert abs(counts.mean() - mean) < 5 * np.sqrt(variance / 2000)
    fourth = np.mean((counts - counts.mean()) ** 4)
    spread = np.sqrt((fourth - counts.var() ** 2) / 2000)
    assert abs(counts.var() - variance) < 5 * spread
    if n < 100:  # else Brian2 takes a normal distribution
        np.testing.assert_allclose(counts, np.round(counts), atol=1e-9)


def test_poisson_input_leaves_refractory_neurons_alone() -> None:
    use()
    group = NeuronGroup(
        50, "dv/dt = 0/ms : 1 (unless refractory)", threshold="v > 0.5", refractory=1 * ms,
        reset="v = 0", method="euler",
    )  # fmt: skip
    drive = PoissonInput(group, "v", 1000, 2000 * Hz, weight=1)
    states = StateMonitor(group, "v", record=True)
    spikes = SpikeMonitor(group)
    Network(group, drive, states, spikes).run(5 * ms)
    assert (np.diff(np.array(spikes.t)[spikes.i == 0]) > 0.9e-3).all()
    assert spikes.num_spikes > 50


@pytest.mark.parametrize("approximate", [True, False])
@pytest.mark.parametrize(("n", "p"), [(7, 0.3), (100, 0.6), (100, 0.01)])
def test_binomial_functions(n: int, p: float, approximate: bool) -> None:
    use()
    function = BinomialFunction(n, p, approximate=approximate)
    group = NeuronGroup(
        4000, "v : 1", threshold="t < dt", reset="v = sample()", namespace={"sample": function}
    )
    Network(group).run(1 * ms)
    if approximate and n * min(p, 1 - p) > 5:
        law = stats.norm(n * p, np.sqrt(n * p * (1 - p)))
        assert stats.kstest(values(group), law.cdf).pvalue > 1e-3
    else:
        require_law(values(group), stats.binom(n, p))


@pytest.mark.parametrize("mean", [0.3, 4.0, 80.0])
def test_poisson_function(mean: float) -> None:
    use()
    group = NeuronGroup(
        4000, "v : 1\nm : 1", threshold="t < dt", reset="v = poisson(2*m)", name="poissons"
    )
    group.m = mean / 2
    Network(group).run(1 * ms)
    require_law(values(group), stats.poisson(mean))


def require_law(found: Values, law: Any) -> None:
    numbers = np.arange(int(found.max()) + 1)
    counts = np.bincount(found.astype(int), minlength=len(numbers))
    assert (found == found.astype(int)).all()
    expected = len(found) * law.pmf(numbers)
    bound = 5 * np.sqrt(expected) + 5
    assert (np.abs(counts - expected) < bound).all()
    assert abs(found.mean() - law.mean()) < 5 * law.std() / np.sqrt(len(found))


def test_counts_are_told_apart_as_finely_in_single_precision() -> None:
    found = []
    for precision in ("float32", "float64"):
        use(precision=precision)
        group = NeuronGroup(40000, "v : 1", threshold="t < dt", reset="v = poisson(1e6)")
        Network(group).run(1 * ms)
        found.append(values(group))
    np.testing.assert_array_equal(*found)


def test_what_stands_in_the_place_of_a_random_function_is_no_draw(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use()
    other = Function(lambda: 0.5, arg_units=[], return_unit=1, stateless=False)
    monkeypatch.setitem(DEFAULT_FUNCTIONS, "randn", other)
    group, _ = noise()
    with pytest.raises(Unsupported, match=r"calls 'randn' in .*, which is given in Python only"):
        Network(group).run(1 * ms)


def test_what_is_shared_draws_other_numbers_than_each_element() -> None:
    use()
    group = NeuronGroup(3, "v : 1\ncommon : 1 (shared)")
    group.run_regularly("common = randn()\nv = randn()", dt=defaultclock.dt)
    seen = StateMonitor(group, ["v", "common"], record=True)
    Network(group, seen).run(400 * defaultclock.dt)
    common = np.ravel(np.array(seen.common))[-400:]
    for own in np.array(seen.v):
        assert abs(np.corrcoef(own[1:], common[1:])[0, 1]) < 0.25  # five standard errors
