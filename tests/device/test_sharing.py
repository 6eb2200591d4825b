"""Who does what of a phase in a team, and where its members have to meet.

What they compute is in test_teams.py.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from brian2eprop.device.codegen.parts import parts
from brian2eprop.device.codegen.sharing import go_on, pieces, runs
from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Clear,
    Count,
    Detect,
    Direction,
    DType,
    Feed,
    ForEach,
    ForEachEvent,
    ForEachSynapse,
    Index,
    Over,
    Phase,
    Program,
    Propagate,
    Record,
    Reduce,
    Reduction,
    Ref,
    Side,
    Sweep,
    TreeSolve,
)

N = 4
REFS = {
    "v": Ref("v", Index.ELEMENT),
    "u": Ref("u", Index.ELEMENT),
    "there": Ref("v", Index.ELEMENT, via="places"),
    "elsewhere": Ref("u", Index.ELEMENT, via="places"),
    "place": Ref("places", Index.ELEMENT),
    "first": Ref("v", Index.SCALAR),
    "v_pre": Ref("v", Index.SOURCE),
    "v_post": Ref("v", Index.TARGET),
    "u_pre": Ref("u", Index.SOURCE),
    "w": Ref("w", Index.SYNAPSE),
}


def body(code: str) -> Body:
    """A body with those of the refs that it names."""
    return Body(code, {name: ref for name, ref in REFS.items() if name in re.findall(r"\w+", code)})


def each(code: str) -> ForEach:
    return ForEach(code, N, body(code))


def at_events(code: str) -> ForEachEvent:
    return ForEachEvent(code, "spikes", body(code))


def detect(code: str = "_cond = v > 1", on_event: tuple[str, ...] = ()) -> Detect:
    found = body(code)
    refs = {**found.refs, **{name: REFS[name] for name in on_event}}
    return Detect(code, N, "spikes", Body(code, refs), on_event)


def sent(code: str, connectivity: str = "links", side: Side = Side.SOURCE) -> Propagate:
    return Propagate(code, "spikes", connectivity, body(code), side=side)


def synapses(code: str, side: Side = Side.SOURCE) -> ForEachSynapse:
    return ForEachSynapse(code, "links", body(code), side)


@pytest.mark.parametrize(
    ("phase", "by"),
    [
        (each("v = 2*v + u"), Index.ELEMENT),
        (each("v = there"), None),  # of the same array: it may be what another member writes
        (each("there = 1"), None),
        (each("first += v"), None),
        (at_events("v = 0"), Index.ELEMENT),
        (at_events("there = 0"), None),
        (detect(), Index.ELEMENT),
        (detect("first = v\n_cond = v > 1"), None),
        (sent("v_post += w"), Index.TARGET),
        (sent("w += 1"), Index.TARGET),
        (sent("v_post += w\nw += 1"), Index.TARGET),
        (sent("v_pre += w"), Index.SOURCE),
        (sent("v_pre += w\nw += 1"), Index.SOURCE),
        (sent("v_post += w\nv_pre += w"), None),
        (sent("v_post += w\nu_pre += w"), None),
        (sent("v_post = v_pre"), None),
        (synapses("v_post += u_pre"), Index.TARGET),
        (synapses("u_pre += v_post", Side.TARGET), Index.SOURCE),
        (Reduce("sum", N, Reduction.SUM, body("_value = v"), "total"), None),
        (Record("log", "spikes", 0, N, Body(""), "end"), None),
        (Count("count", "spikes", 0, N, "number"), None),
        (Clear("clear", ("v",)), None),
        (Feed("feed", "stream", "spikes"), None),
        (TreeSolve("solve", "parent", "leak", "coupling", "v"), None),
    ],
    ids=lambda value: value.label if isinstance(value, Phase) else None,
)
def test_members_have_ranges_where_what_is_written_is_their_own(
    phase: Phase, by: Index | None
) -> None:
    assert phase.share_by() == by


UPDATE, CHARGE = each("v = 2*v"), each("u += v")

TOGETHER: dict[str, list[Phase]] = {
    "their own elements": [UPDATE, CHARGE, UPDATE],
    "what nobody changes": [each("v = elsewhere"), each("v += elsewhere")],
    "sums of their own targets": [sent("v_post += w"), UPDATE],
    "their own sources": [CHARGE, sent("u_pre += 1")],
    "their own events": [at_events("v = 0"), UPDATE],
    "synapses by target from both sides": [
        sent("w += 1"),
        sent("v_post += w", side=Side.TARGET),
    ],
    "the leader's": [Feed("feed", "stream", "spikes"), Count("count", "spikes", 0, N, "number")],
    "arrays of the leader": [each("first = 1"), each("there = 2")],
}

APART: dict[str, list[Phase]] = {
    "another's element is read": [UPDATE, each("u = there")],
    "what the last but one wrote is read": [UPDATE, each("u += 1"), each("u = there")],
    "what another reads is changed": [each("u = there"), UPDATE],
    "an index is changed that is looked up": [each("place += 1\nu = there")] * 2,
    "one element": [UPDATE, each("u = first")],
    "another's source is read": [UPDATE, sent("w += v_pre")],
    "synapses by target, then by source": [sent("w += 1"), sent("v_pre += w")],
    "synapses of another connectivity": [sent("w += 1"), sent("w += 1", "others")],
    "the leader's list is heard": [Feed("feed", "stream", "spikes"), at_events("v = 0")],
    "what is heard is filled": [at_events("v = 0"), Feed("feed", "stream", "spikes")],
    "the leader clears what members change": [CHARGE, Clear("clear", ("u",))],
    "members change what the leader read": [Clear("clear", ("u",)), CHARGE],
}


@pytest.mark.parametrize("meeting", [False, True])
@pytest.mark.parametrize("what", TOGETHER)
def test_members_need_not_meet_over(what: str, meeting: bool) -> None:
    assert len(runs(pieces(TOGETHER[what], meeting))) == 1


@pytest.mark.parametrize("meeting", [False, True])
@pytest.mark.parametrize("what", APART)
def test_members_meet_where(what: str, meeting: bool) -> None:
    assert len(runs(pieces(APART[what], meeting))) == 2


def shape(phases: list[Phase], meeting: bool) -> list[str]:
    """The pieces of each run: their kinds, those that are the leader's in capitals."""
    return [
        " ".join(p.kind.upper() if p.by is None else p.kind.lower() for p in run)
        for run in runs(pieces(phases, meeting))
    ]


def test_a_list_is_made_once_all_flags_are_there_and_heard_once_it_is_made() -> None:
    phases: list[Phase] = [UPDATE, detect(on_event=("v",)), sent("v_post += w"), at_events("v = 0")]
    assert shape(phases, True) == ["foreach mark", "gather", "propagate foreachevent"]
    assert shape(phases, False) == ["foreach mark", "GATHER", "propagate foreachevent"]


def test_flags_stand_where_the_list_comes_only_where_members_cannot_meet() -> None:
    """Who still hears the list must not find flags there."""
    phases: list[Phase] = [at_events("v = 0"), detect()]
    assert shape(phases, True) == ["foreachevent mark", "gather"]
    assert shape(phases, False) == ["foreachevent", "mark", "GATHER"]


def test_what_happens_at_an_event_happens_by_who_has_the_neuron() -> None:
    """A member gathers its own part of the list and sets its own neurons; the leader, all."""
    phases: list[Phase] = [detect(on_event=("u",)), each("u = 2*u")]
    assert shape(phases, True) == ["mark", "gather foreach"]
    assert shape(phases, False) == ["mark", "GATHER", "foreach"]


def test_a_detect_that_is_the_leaders_is_one_piece() -> None:
    assert shape([detect("first = v\n_cond = v > 1")], True) == ["DETECT"]


@pytest.mark.parametrize(
    ("phases", "goes_on"),
    [([UPDATE], True), ([UPDATE, each("u = there")], False), ([each("u = there"), UPDATE], False),
     ([UPDATE, each("u = there"), UPDATE], True)],
)  # fmt: skip
def test_a_step_begins_while_others_end_the_one_before_if_nothing_is_met(
    phases: list[Phase], goes_on: bool
) -> None:
    assert go_on(runs(pieces(phases, True))) == goes_on


def shared_parts(*phases: Phase) -> list[int]:
    """How many phases each part of a sweep over what is shared has."""
    arrays = tuple(Array(name, DType.REAL, N, Access.SHARED) for name in ("v", "u"))
    sweep = Sweep(Direction.ONCE, phases, Over.SHARED)
    return [len(list(part.phases())) for part in parts(Program("p", 1e-3, arrays, (sweep,)))]


def test_of_what_is_shared_a_part_ends_where_an_element_meets_another_ones() -> None:
    assert shared_parts(UPDATE, CHARGE, Clear("clear", ("u",))) == [3]
    assert shared_parts(UPDATE, each("u = there"), CHARGE) == [1, 2]
    assert shared_parts(each("u = there"), UPDATE, CHARGE) == [1, 2]
    assert shared_parts(CHARGE, UPDATE, each("u = there")) == [2, 1]


def test_what_one_block_does_is_one_part() -> None:
    reduce = Reduce("sum", N, Reduction.SUM, body("_value = v"), "total")
    one = replace(UPDATE, size=1)
    assert shared_parts(UPDATE, reduce, reduce, UPDATE) == [1, 2, 1]
    assert shared_parts(reduce, one, reduce, one) == [4]
    assert shared_parts(one, reduce, UPDATE) == [2, 1]
    assert shared_parts(UPDATE, one, reduce) == [2, 1]
