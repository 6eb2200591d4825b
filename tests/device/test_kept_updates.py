"""What Brian2 derives of equations is derived once, and then looked up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import (
    DEFAULT_FUNCTIONS,
    Function,
    Network,
    NeuronGroup,
    Synapses,
    TimedArray,
    defaultclock,
    ms,
    set_device,
    start_scope,
)
from brian2.stateupdaters.base import StateUpdateMethod
from brian2.utils.logger import catch_logs

from brian2eprop.device.capture.updates import METHODS

EQUATIONS = {
    "exact": "dv/dt = (w - v)/tau : 1\ndw/dt = -w/(2*tau) : 1\ntau : second (constant)",
    "exponential_euler": "dv/dt = (exp(-v) - v)/tau : 1\ntau : second (constant)",
    "rk4": "dv/dt = -v**3/tau : 1\ntau : second (constant)",
}


class Calls:
    """Counts how often Brian2's methods are asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = 0
        for name in METHODS:
            counted = self._counted(StateUpdateMethod.stateupdaters[name])
            monkeypatch.setitem(StateUpdateMethod.stateupdaters, name, counted)

    def _counted(self, method: Any) -> Any:
        def count(*given: Any) -> Any:
            self.number += 1
            return method(*given)

        return count


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    monkeypatch.setenv("BRIAN2EPROP_CACHE", str(tmp_path / "cache"))
    return Calls(monkeypatch)


def run(equations: str, device: str = "eprop_cuda", **options: Any) -> np.ndarray:
    start_scope()
    set_device(
        device, **({} if device == "runtime" else {"backend": "reference", "precision": "float64"})
    )
    defaultclock.dt = 0.1 * ms
    namespace = {"tau": 10 * ms, **options.pop("namespace", {})}
    group = NeuronGroup(2, equations, namespace=namespace, **options)
    group.v = [1, 2]
    if "tau : second" in equations:
        group.tau = 10 * ms
    Network(group).run(1 * ms)
    return np.array(group.v[:])


@pytest.mark.parametrize("method", EQUATIONS)
def test_it_is_derived_once(calls: Calls, method: str) -> None:
    first = run(EQUATIONS[method], method=method)
    assert calls.number == 1
    np.testing.assert_array_equal(run(EQUATIONS[method], method=method), first)
    assert calls.number == 1
    np.testing.assert_allclose(run(EQUATIONS[method], "runtime", method=method), first, rtol=1e-12)


OTHERS: dict[str, dict[str, Any]] = {
    "equations": {"equations": "dv/dt = (w - v)/tau : 1\ndw/dt = -w/(3*tau) : 1"},
    "constancy": {"equations": "dv/dt = (w - v)/tau : 1\ndw/dt = -w/(2*tau) : 1\ntau : second"},
    "method": {"method": "euler"},
    "options": {"method_options": {"simplify": False}},
}


@pytest.mark.parametrize("what", OTHERS)
def test_all_else_is_a_reason_to_derive_it(calls: Calls, what: str) -> None:
    run(EQUATIONS["exact"], method="exact")
    changed = {"equations": EQUATIONS["exact"], "method": "exact", **OTHERS[what]}
    run(changed.pop("equations"), **changed)
    assert calls.number == 2


def test_what_depends_on_a_function_is_derived_anew(calls: Calls) -> None:
    """A TimedArray is constant over a step or not."""
    for dt in (0.1, 0.05):
        given = {"drive": TimedArray(np.arange(50.0), dt=dt * ms)}
        equations = "dv/dt = (drive(t) - v)/tau : 1"
        if dt == 0.1:
            run(equations, method="exact", namespace=given)
        else:
            with pytest.raises(Exception, match="preparing"):
                run(equations, method="exact", namespace=given)
    assert calls.number == 2


def test_values_are_no_reason(calls: Calls) -> None:
    found = [
        run("dv/dt = -v/tau : 1", method="exact", namespace={"tau": tau})
        for tau in (1 * ms, 5 * ms)
    ]
    assert calls.number == 1
    np.testing.assert_allclose(found[0], [np.exp(-1), 2 * np.exp(-1)], rtol=1e-12)
    np.testing.assert_allclose(found[1], [np.exp(-0.2), 2 * np.exp(-0.2)], rtol=1e-12)


def test_a_choice_of_several_is_told_as_ever(calls: Calls) -> None:
    for _ in range(2):
        with catch_logs(20) as logs:
            run("dv/dt = -v/tau : 1")
        assert any("using method 'exact'" in message for _, _, message in logs)


def test_choices_are_the_users_afterwards(calls: Calls) -> None:
    set_device("eprop_cuda", backend="reference")
    tau = 1 * ms
    group = NeuronGroup(2, "dv/dt = -v/tau : 1", method="exact", namespace={"tau": tau})
    synapses = Synapses(group, group, "dw/dt = -w/tau : 1 (clock-driven)", namespace={"tau": tau})
    synapses.connect()
    before = group.state_updater.method_choice, synapses.state_updater.method_choice
    Network(group, synapses).run(1 * ms)
    assert (group.state_updater.method_choice, synapses.state_updater.method_choice) == before


def test_a_method_of_the_users_is_called(calls: Calls) -> None:
    def halve(equations: Any, variables: Any, options: Any = None) -> str:
        return "v = v/2"

    for _ in range(2):
        np.testing.assert_allclose(run("dv/dt = -v/tau : 1", method=halve), [2**-10, 2**-9])
    assert calls.number == 0


def test_a_folder_that_cannot_be_used_is_no_matter(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BRIAN2EPROP_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        run("dv/dt = -v/tau : 1", method="exact")
    assert calls.number == 2


def test_a_function_of_brian2_is_no_users(calls: Calls) -> None:
    assert not isinstance(np.exp, Function)
    for _ in range(2):
        run("dv/dt = exp(-a)*sin(a)*v/tau : 1\na : 1 (constant)", method="exact")
    assert calls.number == 1


def test_what_stands_in_the_place_of_a_function_of_brian2_is_the_users(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    double = Function(lambda x: 2 * x, arg_units=[1], return_unit=1)
    double.implementations.add_implementation(
        "cpp", "double twice(double x) { return 2*x; }", name="twice"
    )
    for _ in range(2):
        run("dv/dt = sin(a)*v/tau : 1\na : 1 (constant)", method="exact")
        monkeypatch.setitem(DEFAULT_FUNCTIONS, "sin", double)
    assert calls.number == 2
