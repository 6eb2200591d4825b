"""Spikes in transit and what they meet: which are delivered, with which delays, to which synapses.

What pathways make of it is in test_between_runs.py and test_delays.py.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, Synapses, defaultclock, ms, set_device, start_scope
from hypothesis import given, settings
from hypothesis import strategies as st

from brian2eprop.device.capture.pathways import EVER, Delays, Pathway
from brian2eprop.device.memory.delays import delays_that_matter
from brian2eprop.device.memory.formed import Growth
from brian2eprop.device.memory.transit import Due, Sent, Transit, deliverable
from brian2eprop.device.program import Access, Events, Program, Slots
from brian2eprop.errors import Unsupported

OURS: dict[str, Any] = {"device": "eprop_cuda", "backend": "reference", "precision": "float64"}
RUNTIME: dict[str, Any] = {"device": "runtime"}
DT = 1e-3
STEP = 9  # that is run next


def sent(*counts: int) -> Sent:
    """So many spikes of one neuron in each of the last steps."""
    return Sent(np.array([counts], np.int32), np.zeros((1, len(counts), 1), np.int32))


def delays(*steps: int, size: int = 0, since: int = EVER) -> Delays:
    """The delay of each synapse, or the one of ``size`` synapses."""
    return Delays(size or len(steps), np.array(steps, np.int32).tobytes(), since)


# Whose spikes are delivered


TWO_STEPS = Pathway("cells", (delays(2),))


def delivered(
    before: Sent,
    was: dict[str, Pathway],
    now: dict[str, Pathway],
    emitter: int | None = 7,
    emitter_now: int | None = 7,
    dt: float = DT,
    late: frozenset[str] = frozenset(),
) -> list[list[int]]:
    """How many spikes of one population are delivered, of each step; an item if there are some."""

    def known(group: int | None) -> dict[str, int]:
        return {} if group is None else {"cells": group}

    transit = Transit({"cells": before}, known(emitter), was, {"cells": Due(DT, STEP)}, late)
    program = Program("net", dt, (), (), (Events("cells", 1, Access.PER_INSTANCE, Slots(4)),))
    network: Any = SimpleNamespace(
        program=program, pathways=now, emitters=known(emitter_now), name="net"
    )
    found = deliverable(transit, network, round(STEP * DT / dt), 1)
    return [spikes.counts[0].tolist() for spikes in found.values()]


def test_spikes_are_delivered_of_the_group_that_is_still_there() -> None:
    same = {"path": TWO_STEPS}
    assert delivered(sent(0, 1, 0, 1), same, same) == [[0, 1, 0, 1]]


@pytest.mark.parametrize("emitters", [(7, 8), (8, 7), (7, None)])
def test_spikes_of_a_group_that_is_gone_are_not_delivered(emitters: tuple[int, int | None]) -> None:
    """Another one may have taken its name; that its pathways are others is no matter."""
    assert delivered(sent(0, 1, 0, 1), {"path": TWO_STEPS}, {}, *emitters) == []


@pytest.mark.parametrize("emitter_now", [7, 8])
def test_restored_spikes_are_of_whichever_group_has_the_name(emitter_now: int) -> None:
    same = {"path": TWO_STEPS}
    assert delivered(sent(0, 1, 0, 1), same, same, None, emitter_now) == [[0, 1, 0, 1]]


@pytest.mark.parametrize("longest", range(5))
@pytest.mark.parametrize("ago", range(1, 5))
def test_a_pathway_may_change_once_it_has_delivered_all(ago: int, longest: int) -> None:
    """A spike of step ``9 - ago`` arrives in step ``9 - ago + longest``: from 9 on it is late."""
    spikes = sent(*(int(4 - ago == k) for k in range(4)))
    path = {"path": Pathway("cells", (delays(0, longest),))}
    other = {"path": Pathway("cells:event", (delays(0, 4),))}
    arrives = STEP - ago + longest
    for was, now in ((path, {}), ({}, path), (path, other)):
        # The one that takes a pathway's place has the longest delay.
        if arrives >= STEP or now is other:
            with pytest.raises(Unsupported, match=r"'path' was (added|removed|changed).* its targ"):
                delivered(spikes, was, now)
        else:
            assert delivered(spikes, was, now) == [spikes.counts[0].tolist()]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("ratio", [1, 2, 5])
def test_spikes_in_finer_steps_are_as_old_as_they_were(ratio: int, late: bool) -> None:
    """What is heard late has still to get into the queue, which takes it one step of any length."""
    same = {"path": TWO_STEPS}
    names = frozenset({"cells"}) if late else frozenset()
    (counts,) = delivered(sent(3, 0, 2), same, same, dt=DT / ratio, late=names)
    ago = {len(counts) - k: count for k, count in enumerate(counts) if count}
    assert ago == {(age - late) * ratio + late: count for age, count in ((3, 3), (1, 2))}


# With which delays


def in_transit(
    *older: Delays, late: bool = False, dt: float = DT, events: str = "cells"
) -> Transit:
    """A spike on its way along a pathway with these delays."""
    names = frozenset({"cells"}) if late else frozenset()
    pathways = {"path": Pathway(events, older)}
    return Transit({"cells": sent(1)}, {}, pathways, {"cells": Due(dt, STEP)}, names)


def matter(transit: Transit, now: Delays, step: int = STEP, dt: float = DT) -> tuple[Delays, ...]:
    return delays_that_matter(transit, "path", "cells", now, step, dt)


@pytest.mark.parametrize(
    "transit",
    [
        Transit(),
        Transit({"cells": sent(1)}, pathways={"other": Pathway("cells", (delays(5),))}),
        Transit({"others": sent(1)}, pathways={"path": Pathway("cells", (delays(5),))}),
        in_transit(delays(5), events="others"),
    ],
    ids=["nothing", "another pathway's", "other spikes", "another source"],
)
def test_where_nothing_is_on_its_way_the_present_delays_are_all(transit: Transit) -> None:
    now = delays(2, 3)
    assert matter(transit, now) == (now,)


def test_delays_that_are_the_same_hold_since_when_they_held() -> None:
    assert matter(in_transit(delays(5, 3, since=4)), delays(5, 3)) == (delays(5, 3, since=4),)


def test_new_synapses_change_no_delays_of_others() -> None:
    grown = matter(in_transit(delays(5, since=4)), delays(5, 1, 2))
    assert grown == (delays(5, 1, 2, since=4),)


def test_one_delay_of_all_is_as_good_as_each() -> None:
    same = matter(in_transit(delays(5, size=2, since=4)), delays(5, 5))
    assert same == (delays(5, 5, since=4),)


def test_delays_that_were_changed_hold_from_the_next_step_on() -> None:
    old, now = delays(5, 3), delays(5, 2)
    assert matter(in_transit(old), now) == (old, delays(5, 2, since=STEP))


def test_delays_of_which_all_has_arrived_do_not_matter() -> None:
    """Until step 5 one delay, what was sent before is there before step 5 + delay."""
    last, now = delays(9, since=5), delays(1)
    for longest in range(1, 7):
        old = delays(0, longest)
        found = matter(in_transit(old, last), now)
        expected = [last, delays(1, since=STEP)]
        assert [*found] == ([old, *expected] if 5 - 1 + longest >= STEP else expected)


@pytest.mark.parametrize("late", [False, True])
def test_delays_in_finer_steps(late: bool) -> None:
    """Step 4 of 1 ms is step 8 of 0.5 ms; heard late, its spikes get into the queue in step 9."""
    old = in_transit(delays(7, since=EVER), delays(5, 3, since=4), late=late)
    now = delays(1, 1)
    found = matter(old, now, step=2 * STEP, dt=DT / 2)
    late_steps = int(late)
    assert found == (
        delays(14 - late_steps),
        delays(10 - late_steps, 6 - late_steps, since=8 + late_steps),
        delays(1, 1, since=2 * STEP),
    )
    assert matter(old, now, step=STEP)[:2] == (delays(7), delays(5, 3, since=4))


PLANS = st.lists(st.tuples(st.integers(0, 4), st.lists(st.integers(0, 6), min_size=2, max_size=2)))


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(PLANS)
def test_each_spike_has_the_delays_of_the_step_in_which_it_was_sent(
    plan: list[tuple[int, list[int]]],
) -> None:
    """A spike in every step, and delays that are set anew after some steps, again and again."""
    step, steps_of = 0, {-1: [0, 0]}  # the delays of each step's spike
    found: tuple[Delays, ...] = (delays(0, 0),)
    for pause, steps in plan:
        steps_of |= dict.fromkeys(range(step, step + pause), steps_of[step - 1])
        step += pause
        found = matter(in_transit(*found), delays(*steps), step)
        steps_of[step] = steps
        for then, wanted in steps_of.items():
            for synapse in (0, 1):
                if then + wanted[synapse] >= step:
                    holds = [each for each in found if each.since <= then][-1]
                    assert holds.each(2)[synapse] == wanted[synapse], (then, synapse)
        step += 1
    assert found[-1].known.tolist() == (plan[-1][1] if plan else [0, 0])


# To which synapses


def test_synapses_are_as_old_as_the_run_that_first_met_them() -> None:
    growth = Growth().grown(2, 0.0).grown(2, 1.0).grown(5, 3.0)
    assert growth == Growth((2, 5), (0.0, 3.0))


def test_where_time_was_set_back_synapses_are_no_younger() -> None:
    growth = Growth((2, 5, 6), (0.0, 3.0, 4.0))
    assert growth.grown(6, 1.0) == Growth((2, 5, 6), (0.0, 1.0, 1.0))
    assert growth.grown(7, 1.0) == Growth((2, 5, 6, 7), (0.0, 1.0, 1.0, 1.0))


def test_where_synapses_were_taken_away_those_left_are_as_old_as_they_were() -> None:
    growth = Growth((2, 5, 6), (0.0, 3.0, 4.0))
    assert growth.grown(5, 8.0) == Growth((2, 5), (0.0, 3.0))
    assert growth.grown(3, 8.0) == Growth((2, 3), (0.0, 3.0))


def test_each_synapse_has_the_step_in_which_it_was_formed() -> None:
    start_scope()
    defaultclock.dt = 1 * ms
    growth = Growth((2, 5), (0.0, 3e-3))
    assert growth.each(defaultclock).tolist() == [0, 0, 3, 3, 3]
    defaultclock.dt = 0.5 * ms
    assert growth.each(defaultclock).tolist() == [0, 0, 6, 6, 6]


def clockwork() -> tuple[Any, Synapses, Network]:
    """A neuron that spikes in every fifth step; what it sends is counted two steps later."""
    start_scope()
    defaultclock.dt = 1 * ms
    sender = NeuronGroup(1, "x : 1", threshold="timestep(t, dt) % 5 == 0", name="sender")
    counter = NeuronGroup(3, "n : 1", name="counter")
    wires = Synapses(sender, counter, on_pre="n_post += 1", delay=2 * ms, name="wires")
    wires.connect(i=0, j=0)
    return counter, wires, Network(sender, counter, wires)


def heard_since_a_restore(options: dict[str, Any]) -> list[float]:
    """A synapse of step 5 is restored after a run without it; the spike of step 5 is its own."""
    set_device(**options)
    counter, wires, network = clockwork()
    network.run(5 * ms)
    network.store("before")
    wires.connect(i=0, j=1)
    network.run(1 * ms)
    network.store("after")
    network.restore("before")
    network.run(3 * ms)
    network.restore("after")
    network.run(3 * ms)
    return counter.n[:].tolist()


def test_a_restored_synapse_hears_what_it_was_to_hear() -> None:
    wanted = heard_since_a_restore(RUNTIME)
    assert wanted[1] == 1
    assert heard_since_a_restore(OURS) == wanted


def heard_with_the_time_set_back(options: dict[str, Any]) -> list[float]:
    """Synapses of step 8 and 9 hear a spike of step 0 that comes after them."""
    set_device(**options)
    counter, wires, network = clockwork()
    for target in (1, 2):
        network.run((8 if target == 1 else 1) * ms)
        wires.connect(i=0, j=target)
        network.run(0 * ms)
    network.t_ = 0.0
    wires.connect(i=0, j=0)
    network.run(4 * ms)
    return counter.n[:].tolist()


def test_synapses_hear_what_is_sent_after_the_time_was_set_back() -> None:
    wanted = heard_with_the_time_set_back(RUNTIME)
    assert wanted[1:] == [1, 1]
    assert heard_with_the_time_set_back(OURS) == wanted
