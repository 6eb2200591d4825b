"""Objects run in the order of Brian2's schedule, also before what they wait for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    defaultclock,
    get_device,
    ms,
    set_device,
)

from brian2eprop import Adam, CrossEntropy, EProp, Spikes, SpikeSource, Trainer
from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Count,
    Direction,
    DType,
    Events,
    ForEachEvent,
    Phase,
    Program,
    Slots,
    Sweep,
)
from brian2eprop.device.program.verify import ProgramError, Stage, verify
from brian2eprop.errors import LearningError

FOUND = dict[str, np.ndarray]
WHENS: list[dict[str, Any]] = [
    {},
    {"monitor": "start"},
    {"reset": "before_thresholds"},
    {"path": "before_groups"},
    {"path": "after_resets", "trace": "after_synapses", "monitor": "end"},
    {"schedule": ["start", "resets", "synapses", "thresholds", "groups", "end"]},
    {"schedule": ["thresholds", "start", "groups", "synapses", "resets", "end"],
     "monitor": "thresholds", "trace": "thresholds"},
    {"schedule": ["mine", "start", "groups", "thresholds", "synapses", "resets", "end"],
     "reset": "mine", "monitor": "after_mine", "path": "before_mine"},
]  # fmt: skip


def simulate(
    device: str,
    reset: str = "resets",
    path: str = "synapses",
    monitor: str = "after_thresholds",
    trace: str = "start",
    schedule: list[str] | None = None,
    **options: Any,
) -> FOUND:
    set_device(device, **options)
    defaultclock.dt = 0.5 * ms
    cells = NeuronGroup(
        5, "dv/dt = (1.2 + 0.1*i - v)/(5*ms) : 1\nx : 1", threshold="v > 1",
        reset="v = 0; x += 1", refractory=1 * ms, method="exact", name="cells",
    )  # fmt: skip
    links = Synapses(cells, cells, on_pre="v += 0.05", name="links")
    links.connect("i != j")
    spikes = SpikeMonitor(cells, name="spikes")
    states = StateMonitor(cells, ["v", "x"], record=True, name="states", when="start")
    network = Network(cells, links, spikes, states)
    if schedule is not None:
        network.schedule = schedule
    cells.resetter["spike"].when = reset
    links.pre.when, spikes.when, states.when = path, monitor, trace
    network.run(40 * ms)
    found = {"v": states.v, "x": states.x, "i": spikes.i, "t": spikes.t_, "count": spikes.count}
    return {name: np.array(value) for name, value in found.items()}


@pytest.mark.parametrize("when", WHENS)
def test_schedules(when: dict[str, Any], backend: str) -> None:
    theirs = simulate("runtime", **when)
    ours = simulate("eprop_cuda", **when, backend=backend, precision="float64")
    assert len(theirs["i"]) > 20
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name], 1e-10, 1e-10, err_msg=name)


def test_early_listeners_hear_across_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    from brian2eprop.device.memory import state

    when = WHENS[1] | {"reset": "before_thresholds"}
    whole = simulate("eprop_cuda", **when, backend="reference")
    monkeypatch.setattr(state, "MAX_STEPS", 3)
    for name, values in simulate("eprop_cuda", **when, backend="reference").items():
        np.testing.assert_array_equal(values, whole[name])


@pytest.mark.parametrize(
    "late",
    [ForEachEvent("late", "e", Body(""), 1), Count("late", "e", 0, 2, "number", delay=1)],
)
def test_events_of_before_need_history(late: Phase) -> None:
    events = Events("e", 2, Access.PER_INSTANCE, Slots())
    number = Array("number", DType.INT, 1, Access.PER_INSTANCE, Slots())
    found = Program("p", 1e-3, (number,), (Sweep(Direction.FORWARD, (late,)),), (events,))
    with pytest.raises(ProgramError, match="offset -1 is out of event buffer 'e', whose slots"):
        verify(found, Stage.GENERATION)


def test_a_training_with_an_early_reset_is_refused() -> None:
    set_device("eprop_cuda", backend="reference")
    inputs = SpikeSource(2, Spikes.from_dense(np.zeros((1, 3, 2), bool)), name="inputs")
    out = NeuronGroup(
        2, "dy/dt = -y/(5*ms) : 1", threshold="y > 1", reset="y = 0", method="exact", name="out"
    )
    path = Synapses(inputs, out, "w : 1", on_pre="y_post += w", name="path")
    path.connect()
    out.resetter["spike"].when = "start"
    assert get_device() is not None
    with pytest.raises(LearningError, match=r"'out_spike_resetter' is scheduled before .*; sched"):
        Trainer(
            Network(inputs, out, path), output=out.y, loss=CrossEntropy(), rule=EProp(),
            parameters=[path.w], optimiser=Adam(1e-3),
        )  # fmt: skip
