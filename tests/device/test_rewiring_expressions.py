"""What a rule's expressions may be, in a simulation and in a training alike."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, Quantity, Synapses, defaultclock, ms, seed, set_device

import brian2eprop as b2e

CELLS = """dv/dt = -v/(10*ms) : 1
           x : 1 (constant)
           far = 2*x : 1
           lit : 1 (shared)"""


class Model:
    """Synapses that never deliver anything, with a subexpression."""

    def __init__(self, weight: str = "1", precision: str = "float64") -> None:
        set_device("eprop_cuda", backend="cpu", precision=precision, seed=1)
        defaultclock.dt = 1 * ms
        self.cells = NeuronGroup(20, CELLS, threshold="v > 1", reset="v = 0", method="exact")
        self.cells.x = "i/20.0"
        model = f"w : {weight}\ntwice = 2*w : {weight}"
        self.synapses = Synapses(self.cells, self.cells, model, on_pre="v_post += 0.1", name="s")
        seed(1)
        self.synapses.connect(p=0.2)
        self.synapses.w = np.random.default_rng(0).random(len(self.synapses)) * Quantity(
            1, dim=self.synapses.w.dim
        )

    def rewired(self, rule: Any) -> Any:
        """The weights after one rewiring."""
        b2e.rewire(self.synapses, rule, dt=5 * ms)
        Network(self.cells, self.synapses).run(5 * ms, namespace={})
        return np.asarray(self.synapses.w[:])


@pytest.mark.parametrize(
    ("rule", "cause"),
    [
        (b2e.Rewire("-abs(w)"), "no condition; give a fraction"),
        (b2e.Rewire("w < 0.5\nv_post = 9"), "is no expression"),
        (b2e.Rewire("w <"), "is no expression"),
        (b2e.Rewire("missing < 1"), "'missing < 1'.*could not be resolved"),
        (b2e.Rewire("w < 0.5", allowed="x_pre"), "allowed 'x_pre', which is no condition"),
        (b2e.Rewire("w < 500*mV"), "has eliminate 'w < 500.mV': .*units"),
        (b2e.Rewire("w < 0.5", form="1*mV"), "has the unit V, and what it is for has 1"),
        (b2e.Rewire("w < 0.5", initial={"w": "2*mV"}), r"initial\['w'\] .* has the unit V"),
        *(
            (b2e.Rewire("w < 0.5", initial={name: "1"}), "name one of the synapses' own")
            for name in ("v_post", "x_pre", "i", "lit", "twice", "N_incoming", "N", "wrong")
        ),
        (b2e.Rewire("w < 0.5", initial={"delay": "1*ms"}), "a delay"),
    ],
)
def test_what_is_no_rule_for_these_synapses(rule: Any, cause: str) -> None:
    model = Model()
    before = np.asarray(model.synapses.w[:]).copy()
    with pytest.raises(Exception, match="rule of 's'") as found:
        model.rewired(rule)
    told = found.value if "rule of" in str(found.value) else found.value.__cause__
    assert isinstance(told, TypeError | ValueError)
    assert re.search(cause, str(told), re.DOTALL)
    assert (np.asarray(model.synapses.w[:]) == before).all()


def test_a_weight_has_its_unit() -> None:
    with pytest.raises(ValueError, match="has the unit 1, and what it is for has S"):
        Model("siemens").rewired(b2e.Rewire("w < 0.5*siemens", initial={"w": "0.5"}))
    found = Model("siemens").rewired(b2e.Rewire("w < 0.5*siemens", initial={"w": "0.9*siemens"}))
    assert found.min() >= 0.5


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("twice < 1", "2*w < 1"),
        ("far_post < 1 and w < 0.5", "2*x_post < 1 and w < 0.5"),
        ("far_pre*twice < 0.5", "2*x_pre*2*w < 0.5"),
    ],
)
def test_subexpressions_are_what_they_stand_for(written: str, meant: str) -> None:
    given = {"form": "far_pre/2", "initial": {"w": "0.9"}}
    found, plain = (Model().rewired(b2e.Rewire(text, **given)) for text in (written, meant))
    assert (found == plain).all()
    assert 0 < (found == 0.9).sum() < found.size


def test_synapses_of_a_pathway_that_is_not_active_are_rewired() -> None:
    model = Model()
    model.synapses.delay = (np.arange(len(model.synapses)) % 3) * ms
    model.synapses.pre.active = False
    found = model.rewired(b2e.Rewire("w < 0.5", initial={"w": "0.9"}))
    assert found.min() >= 0.5


def test_a_rule_keeps_what_it_was_made_of() -> None:
    given = {"w": "0.9"}
    rule = b2e.Rewire("w < 0.5", initial=given)
    given["w"] = "0.7"
    assert (Model().rewired(rule) == 0.9).any()
    with pytest.raises(TypeError, match="a variable in initial is 1"):
        b2e.Rewire("w < 0.5", initial={1: "0.1"})  # type: ignore[dict-item]


@pytest.mark.parametrize("dt", [None, "5*ms", [1, 2] * ms, 5])
def test_what_is_no_time_between_rewirings(dt: Any) -> None:
    with pytest.raises(TypeError, match=r"rewire: dt is .*give one time"):
        b2e.rewire(Model().synapses, b2e.Rewire("w < 0.5"), dt=dt)
