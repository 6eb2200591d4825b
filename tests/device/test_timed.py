"""TimedArrays: functions of time that are given by values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import brian2
import numpy as np
import numpy.typing as npt
import pytest
from brian2 import (
    Hz,
    Network,
    NetworkOperation,
    NeuronGroup,
    PoissonGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    TimedArray,
    defaultclock,
    get_device,
    ms,
    set_device,
)
from programs import CASES

import brian2eprop as b2e
from brian2eprop.device.program import Access, DType, Program, Timed
from brian2eprop.device.program.verify import ProgramError, Stage, verify
from brian2eprop.errors import Unsupported

Values = npt.NDArray[Any]
VALUES = np.sin(np.arange(1.0, 61.0))


def use(backend: str, **options: Any) -> None:
    chosen = {} if backend == "runtime" else {"backend": backend, "precision": "float64"}
    set_device(backend if backend == "runtime" else "eprop_cuda", **chosen | options)
    defaultclock.dt = 0.1 * ms
    brian2.start_scope()


def compare(backend: str, run: Callable[[], Values]) -> Values:
    use("runtime")
    theirs = run()
    use(backend)
    np.testing.assert_allclose(run(), theirs, rtol=1e-12, atol=1e-13)
    return theirs


@pytest.mark.parametrize("dt", [0.1 * ms, 0.3 * ms, 0.7 * ms, 0.05 * ms, 20 * ms])
def test_one_column_equals_the_runtime(backend: str, dt: Any) -> None:
    def run() -> Values:
        drive = TimedArray(VALUES, dt=dt)
        group = NeuronGroup(
            3,
            """dv/dt = (drive(t) - v)/(2*ms) + drive(t - 1*ms)/ms : 1
               now = drive(t) : 1""",
            threshold="v > 0.3 + 0.1*drive(t)",
            reset="v = drive(t)",
            method="euler",
            namespace={"drive": drive},
        )
        states = StateMonitor(group, ["v", "now"], record=True)
        network = Network(group, states)
        network.run(3 * ms)
        network.run(6 * ms)  # the last value stays
        return np.concatenate([states.v, states.now])

    assert len(np.unique(compare(backend, run))) > 2


def test_two_columns_equal_the_runtime(backend: str) -> None:
    def run() -> Values:
        drive = TimedArray(VALUES.reshape(15, 4) * Hz, dt=0.4 * ms)
        group = NeuronGroup(
            8, "dv/dt = drive(t, i % 4) : 1", method="euler", namespace={"drive": drive}
        )
        states = StateMonitor(group, "v", record=True)
        Network(group, states).run(8 * ms)
        return np.array(states.v)

    compare(backend, run)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_row_begins_in_its_very_step(backend: str, precision: str) -> None:
    """Also late, where single precision could not tell two steps apart."""
    use(backend, precision=precision)
    drive = TimedArray(np.arange(2_000_000.0) % 1000, dt=0.1 * ms)
    group = NeuronGroup(2, "v = drive(t) : 1", namespace={"drive": drive})
    states = StateMonitor(group, "v", record=True)
    network = Network(group, states)
    network.t_ = defaultclock.dt_ * 1_234_500
    network.run(5 * ms)
    np.testing.assert_array_equal(states.v[0], (500 + np.arange(50)) % 1000)


def test_columns_that_are_not_there() -> None:
    use("cpu")
    drive = TimedArray(VALUES.reshape(30, 2), dt=0.1 * ms)
    group = NeuronGroup(
        4, "v : 1", threshold="t < dt", reset="v = drive(t, i - 1)", namespace={"drive": drive}
    )
    Network(group).run(0.1 * ms)
    np.testing.assert_array_equal(group.v[:], [np.nan, VALUES[0], VALUES[1], np.nan])


def test_synapses_call_it(backend: str) -> None:
    def run() -> Values:
        gain = TimedArray(VALUES.reshape(30, 2), dt=0.2 * ms)
        source = NeuronGroup(
            5, "dv/dt = (1 + 0.1*i)/ms : 1", threshold="v > 0.5", reset="v = 0", method="euler"
        )
        target = NeuronGroup(6, "v : 1")
        synapses = Synapses(
            source, target, on_pre="v_post += gain(t, (i + j) % 2)", namespace={"gain": gain}
        )
        synapses.connect(condition="i != j")
        Network(source, target, synapses).run(7 * ms)
        return np.array(target.v[:])

    assert np.ptp(compare(backend, run)) > 0.1


@pytest.mark.parametrize("columns", [1, 100])
def test_rates_of_a_poisson_group(columns: int) -> None:
    use("cpu", seed=1)
    defaultclock.dt = 0.5 * ms
    values = np.array([50.0, 0.0, 400.0])[:, None] * np.linspace(0.5, 1.5, columns)
    rates = TimedArray(values.squeeze() * Hz, dt=100 * ms)
    call = "given(t)" if columns == 1 else "given(t, i)"
    group = PoissonGroup(100, call, namespace={"given": rates})
    monitor = SpikeMonitor(group)
    Network(group, monitor).run(300 * ms)
    row = np.floor(np.array(monitor.t) / 0.1 + 1e-9).astype(int)
    found = np.zeros((3, 100))
    np.add.at(found, (row, np.array(monitor.i)), 1)
    p = np.broadcast_to(values * 0.5e-3, (3, 100))
    assert not found[1].any()
    deviation = (found - 200 * p)[::2] / np.sqrt(200 * p * (1 - p))[::2]
    assert np.abs(deviation).max() < 5
    assert abs((deviation**2).mean() - 1) < 5 * np.sqrt(2 / deviation.size)


def test_values_that_are_changed_between_runs() -> None:
    use("cpu")
    drive = TimedArray(np.full(10, 1.0), dt=1 * ms)
    namespace = {"drive": drive}
    group = NeuronGroup(2, "v = drive(t) : 1", namespace=namespace)
    states = StateMonitor(group, "v", record=True)
    network = Network(group, states)
    network.run(0.1 * ms)
    captured = get_device().networks.of(network).captured
    network.run(0.1 * ms)
    assert get_device().networks.of(network).captured is captured
    drive.values[:] = 2
    network.run(0.1 * ms)
    group.namespace["drive"] = TimedArray(np.full(10, 3.0), dt=1 * ms)
    network.run(0.1 * ms)
    np.testing.assert_array_equal(states.v[0], [1, 1, 2, 3])


def test_other_values_are_the_same_kernel() -> None:
    use("cpu")
    kernels = []
    for value in (1.0, 2.0):
        group = NeuronGroup(
            2, "v : 1", threshold="t < dt", reset="v = drive(t)",
            namespace={"drive": TimedArray(np.full(10, value), dt=1 * ms)},
        )  # fmt: skip
        network = Network(group)
        network.run(0.1 * ms)
        assert (np.array(group.v[:]) == value).all()
        state = get_device().networks.of(network).state
        kernels.append(state.kernel.source.text.splitlines()[2:])
    without = [[line for line in text if not line.startswith("//")] for text in kernels]
    strip = [[line.split("//")[0] for line in text] for text in without]
    assert strip[0] == strip[1]


def test_two_may_have_one_name(backend: str) -> None:
    def run() -> Values:
        one, other = (TimedArray(k * np.arange(1.0, 9), dt=0.2 * ms, name="stim") for k in (1, 10))
        group = NeuronGroup(2, "v : 1\nu : 1", namespace={"one": one, "other": other})
        group.run_regularly("v = one(t)\nu = other(t)", dt=0.1 * ms)
        Network(group).run(1 * ms)
        return np.array([group.v[:], group.u[:]])

    assert compare(backend, run)[0, 0] != 0


def test_other_values_within_a_run_are_refused() -> None:
    use("cpu")
    stim = TimedArray(np.arange(1.0, 20), dt=0.1 * ms)
    group = NeuronGroup(1, "v : 1", namespace={"stim": stim})
    group.run_regularly("v = stim(t)", dt=0.1 * ms)

    def change() -> None:
        stim.values[:] = 3

    operation = NetworkOperation(change, dt=0.5 * ms)
    with pytest.raises(Unsupported, match="given other values within a run; end the run"):
        Network(group, operation).run(1 * ms)


def test_another_dt_is_another_function_of_time() -> None:
    def run() -> Values:
        group = NeuronGroup(1, "v : 1")
        group.run_regularly("v = stim(t)", dt=0.1 * ms)
        network = Network(group)
        for dt in (0.1, 0.4):
            stim = TimedArray(np.arange(1.0, 20), dt=dt * ms, name="stim")
            network.run(0.5 * ms, namespace={"stim": stim})
        return np.array(group.v[:])

    compare("cpu", run)


def test_it_cannot_be_trained_through() -> None:
    use("cpu")
    inputs = b2e.SpikeSource(3)
    drive = TimedArray(VALUES, dt=1 * ms)
    readout = NeuronGroup(
        2, "dy/dt = (drive(t) - y)/(9*ms) : 1", method="euler", name="out",
        namespace={"drive": drive},
    )  # fmt: skip
    synapses = Synapses(inputs, readout, "w : 1", on_pre="y_post += w")
    synapses.connect()
    message = r"out_stateupdater calls a TimedArray, .*not follow\. Give its values as input spikes"
    with pytest.raises(b2e.LearningError, match=message):
        b2e.Trainer(
            Network(inputs, readout, synapses),
            output=readout.y,
            loss=b2e.MeanSquaredError(),
            rule=b2e.EProp(),
            parameters=[synapses.w],
            optimiser=b2e.SGD(1.0),
        )


WRONG = [
    (Timed("three", None, 1.0, 1), r"'f' has the values of array 'three', which is not there; dec"),
    (Timed("v", None, 1.0, 1), r"'f' has array 'v', which is not REAL and shared; make it both"),
    (Timed("one", 3, 1.0, 1), r"'f' has 7 values in rows of 3; give whole rows"),
    (Timed("one", 0, 1.0, 1), r"'f' has 7 values in rows of 0; give whole rows"),
    (Timed("one", None, 0.0, 1), r"'f' has rows of 0.0 s in 1 parts; give positive ones"),
    (Timed("one", None, 1.0, 0), r"'f' has rows of 1.0 s in 0 parts; give positive ones"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_what_is_no_function_of_time(wrong: Timed, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        verify(
            calling("v = f(t)" if wrong.columns is None else "v = f(t, 1)", wrong), Stage.CAPTURED
        )


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("v = f(t, 1)", r"'f\(t, 1\)' should have 1 arguments; give as many"),
        ("v = h(t)", r"there is no function 'h'; there are abs, .*, timestep, f"),
        ("f = t", r"'f' is assigned and is no ref or local; rename it"),
    ],
)
def test_wrong_calls(code: str, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        verify(calling(code, Timed("one", None, 1.0, 1)), Stage.CAPTURED)


def calling(code: str, timed: Timed) -> Program:
    program = CASES["timed"].program
    assert program.all_arrays()["one"].access is Access.SHARED
    assert program.all_arrays()["two"].dtype is DType.DOUBLE
    (sweep,) = program.sweeps
    (phase,) = sweep.phases
    body = replace(phase.body, code=code, timed={"f": timed})  # type: ignore[attr-defined]
    phases = (replace(phase, body=body),)  # type: ignore[call-arg]
    return replace(program, sweeps=(replace(sweep, phases=phases),))
