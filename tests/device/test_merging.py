"""Which loops over elements become one; what they compute is in all other tests."""

from __future__ import annotations

import re

import pytest

from brian2eprop.device.codegen.merging import merged
from brian2eprop.device.codegen.phases import PhaseView
from brian2eprop.device.program import (
    Body,
    Detect,
    Distribution,
    Draw,
    ForEach,
    Foreign,
    Index,
    Phase,
    Reduce,
    Reduction,
    Ref,
)

N = 4
REFS = {
    "v": Ref("v", Index.ELEMENT),
    "u": Ref("u", Index.ELEMENT),
    "past_v": Ref("v", Index.ELEMENT, -1),
    "there": Ref("v", Index.ELEMENT, via="places"),
    "place": Ref("places", Index.ELEMENT),
    "first": Ref("v", Index.SCALAR),
}


def body(code: str) -> Body:
    """A body with those of the refs that it names."""
    return Body(code, {name: ref for name, ref in REFS.items() if name in re.findall(r"\w+", code)})


def each(code: str, size: int = N) -> ForEach:
    return ForEach(code, size, body(code))


def detect(code: str) -> Detect:
    return Detect(code, N, "spikes", body(f"_cond = {code}"))


def loops(*phases: Phase) -> list[list[Phase]]:
    """Phases, loop by loop."""
    views = [PhaseView(type(phase).__name__, phase) for phase in phases]
    return [[*(other.phase for other in view.along), view.phase] for view in merged(views)]


@pytest.mark.parametrize(
    "phases",
    [
        (each("v = 2*v"), each("u = v")),
        (each("u = v"), each("v = 2*v"), detect("v > 1")),
        (each("u = past_v"), each("v = 2*v")),
        (each("u = there"), each("u = 2*u")),
        (each("u = first"), detect("there > 1")),
    ],
)
def test_one_loop(phases: tuple[Phase, ...]) -> None:
    assert loops(*phases) == [[*phases]]


DRAW = Body("v = d", {"v": REFS["v"]}, draws={"d": Draw(Distribution.UNIFORM, "a", 0)})
FOREIGN = Body("v = f(v)", {"v": REFS["v"]}, foreign={"f": Foreign("f", ("",), 1, "float", abs)})


@pytest.mark.parametrize(
    "phases",
    [
        (each("v = 2*v"), each("u = there")),
        (each("u = there"), each("v = 2*v")),
        (each("v = 2*v"), each("u = first")),
        (each("u = first"), each("v = 2*v")),
        (each("place = 1"), each("u = there")),
        (each("u = 1", N + 1), each("v = 2*v")),
        (detect("v > 1"), each("u = 1")),
        (detect("v > 1"), detect("v > 2")),
        (each("u = 1"), Reduce("sum", N, body("_value = v"), "total", Reduction.SUM)),
        (each("u = 1"), ForEach("draw", N, DRAW)),
        (ForEach("call", N, FOREIGN), each("u = 1")),
    ],
)
def test_loops_of_their_own(phases: tuple[Phase, ...]) -> None:
    assert loops(*phases) == [[phase] for phase in phases]


def test_the_list_of_a_team_is_no_loop() -> None:
    one, other = each("u = 1"), detect("v > 1")
    views = [PhaseView("ForEach", one, part="element"), PhaseView("Gather", other, part="element")]
    assert [view.along for view in merged(views)] == [(), ()]


def test_what_the_leader_does_is_a_loop_of_its_own() -> None:
    views = [
        PhaseView("ForEach", each("u = 1"), part="leader"),
        PhaseView("ForEach", each("v = 1"), part="element"),
    ]
    assert [view.along for view in merged(views)] == [(), ()]


def test_what_may_be_skipped_is_a_loop_of_its_own():
    shut = PhaseView("Detect", detect("v > first"), only_if=("first",))
    (alone, last) = merged([PhaseView("ForEach", each("v = 2*v")), shut])
    assert alone.along == last.along == ()
