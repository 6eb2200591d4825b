"""What a body becomes before it is C++: which refs are needed, what is asked of times."""

from __future__ import annotations

from typing import Any

import pytest

from brian2eprop.device.codegen.dialect import CPU, CUDA, Dialect
from brian2eprop.device.codegen.lowering import Lowered, lower, needed_by_all
from brian2eprop.device.codegen.parts import Layout
from brian2eprop.device.program import Access, Array, Body, DType, Index, Ref

TYPES = {"v": DType.REAL, "u": DType.REAL, "n": DType.INT, "free": DType.BOOL, "last": DType.DOUBLE}
ARRAYS = {name: Array(name, dtype, 3, Access.PER_INSTANCE) for name, dtype in TYPES.items()}
REFS = {
    **{name: Ref(name, Index.ELEMENT) for name in TYPES},
    "v_pre": Ref("v", Index.SOURCE),
    "v_post": Ref("v", Index.TARGET),
    "u_pre": Ref("u", Index.SOURCE),
    "shared": Ref("n", Index.SCALAR),
    "on": Ref("free", Index.SCALAR),
}


def lowered(code: str, guards: dict[str, str] | None = None, **constants: Any) -> Lowered:
    words = set(code.replace("(", " ").replace(")", " ").replace(",", " ").split())
    names = {name for name in REFS if name in words} | set((guards or {}).values())
    return lower(Body(code, {n: REFS[n] for n in names}, constants, guards or {}), ARRAYS)


@pytest.mark.parametrize(
    ("code", "guards", "read", "added"),
    [
        ("v += u", {}, "u", "v"),
        ("v += u\nv += 1", {}, "u", "v"),
        ("v = u", {}, "u", ""),
        ("v = u\nu = v", {}, "u v", ""),
        ("v += 1\nu = v", {}, "v", ""),
        ("v += 1\nv = 2", {}, "v", ""),
        ("v *= 2", {}, "v", ""),
        ("v -= 1", {}, "v", ""),
        ("n += 1", {}, "", "n"),
        ("n += u", {}, "n u", ""),  # a sum is cut to an integer once, not each of its parts
        ("n += u > 1", {}, "u", "n"),
        ("v = 1", {"v": "free"}, "v free", ""),  # where it is not free it keeps its value
        ("v += 1", {"v": "free"}, "free", "v"),
        ("u = 1", {"v": "free"}, "", ""),
    ],
)
def test_values_are_read_where_they_are_needed(
    code: str, guards: dict[str, str], read: str, added: str
) -> None:
    found = lowered(code, guards)
    assert found.read == set(read.split())
    assert found.added == set(added.split())
    assert not found.aliases


def test_what_is_only_added_to_is_written() -> None:
    found = lowered("v += u\nn = 2")
    assert found.written == {"v", "n"}


BOTH = {"v_pre": {"v_post"}, "v_post": {"v_pre"}}


@pytest.mark.parametrize(
    ("code", "aliases", "added"),
    [
        ("v_pre += 1\nv_post += 2", {}, "v_pre v_post"),
        ("v_pre = 1\nv_post += 2", BOTH, ""),
        ("v_pre += 1\nv_post = 2", BOTH, ""),
        ("v_post += v_pre", BOTH, ""),
        ("v_post += u_pre", {}, "v_post"),
        ("n = v_pre + v_post", {}, ""),
    ],
)
def test_a_neuron_that_is_its_own_target_has_two_names(
    code: str, aliases: dict[str, set[str]], added: str
) -> None:
    """They are kept equal line by line, so the value of both is needed."""
    found = lowered(code)
    assert found.aliases == aliases
    assert found.aliases.keys() <= found.read
    assert found.added == set(added.split())


@pytest.mark.parametrize(
    ("condition", "steps"),
    [
        ("timestep(t - last, dt) >= 2", {"2"}),
        ("timestep(t - last, dt) >= 2147483647", {"2147483647"}),
        ("timestep(t - last, dt) >= 2147483648", set()),  # beyond what the C++ compares with
        ("timestep(t - last, dt) > 2", set()),
        ("timestep(t - last, dt) == 2", set()),
        ("timestep(t - last, dt) >= n", set()),  # another step for each element
        ("timestep(t - last, 2*dt) >= 2", set()),
        ("timestep(t - last, dt) >= 2 and timestep(last, dt) >= 3", {"2", "3"}),
    ],
)
def test_a_time_is_asked_whether_it_has_reached_a_step_that_is_one_for_all(
    condition: str, steps: set[str]
) -> None:
    found = lowered(f"free = {condition}")
    (statement,) = found.statements
    assert found.since == steps
    assert statement.expr.count("_since") == len(steps)
    assert ("timestep" in statement.expr) == (not steps)


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("_cond = v > 1 and t > 1 and t < 2", ["_lio_1", "_lio_2"]),
        ("_cond = on and v > 1 and free", ["on"]),
        ("_cond = v > 1 or t > 1", []),
        ("_cond = v > 1 and (u > 1 or t > 1)", []),
        ("_cond = not (v > 1 and t > 1)", []),
        ("v -= 1\n_cond = v > 1 and t > 1", []),  # what is changed is changed in any case
    ],
)
def test_what_the_condition_of_every_element_asks_for(code: str, names: list[str]) -> None:
    words = code.replace("(", " ").split()
    body = Body(code, {name: ref for name, ref in REFS.items() if name in words})
    found = needed_by_all("_cond", lower(body, ARRAYS), body)
    assert list(found) == names


def test_a_step_that_is_computed_once_is_one_for_all() -> None:
    found = lowered("free = timestep(t - last, dt) >= timestep(rest, dt)", rest=2e-3)
    (hoisted,) = found.hoisted
    assert found.since == {hoisted.var}
    assert f"_since(t - last, {hoisted.var})" in found.statements[0].expr


def test_wide_steps_are_compared_as_they_are() -> None:
    code = "free = timestep(t - last, dt) >= timestep(rest, dt)\nn = 3000000000 % 7"
    assert lowered(code, rest=2e-3).since == frozenset()


def test_each_of_the_simpler_forms_asks_the_same_of_a_time() -> None:
    """Where booleans decide over a value, it is one of its forms that is computed."""
    found = lowered("v = u*int(free) + int(timestep(t - last, dt) >= 2)")
    (statement,) = found.statements
    forms = list(statement.boolean_simplified_expressions.values())
    assert len(forms) == 2
    assert all("_since" in form and "timestep" not in form for form in forms)


@pytest.mark.parametrize("dialect", [CPU, CUDA], ids=lambda dialect: dialect.name)
def test_a_layout_has_as_many_blocks_as_have_something_to_do(dialect: Dialect) -> None:
    """Of 5 workers, 3 instances, and 7 blocks that have a thread for every element of one."""
    blocks = {layout: words.blocks(5, 3, 7) for layout, words in dialect.words.items()}
    assert blocks == {
        Layout.PER_INSTANCE: 5,
        Layout.GRID: 7,
        Layout.BLOCK: 1,
        Layout.TEAM: 3 * 7,
    }
