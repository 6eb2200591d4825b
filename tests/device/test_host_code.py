"""Code outside of runs: NumPy, unless the user has chosen something else."""

from __future__ import annotations

from typing import Any

import pytest
from brian2 import NeuronGroup, Synapses, prefs, set_device
from brian2.codegen.codeobject import CodeObject
from brian2.devices.device import get_device


@pytest.mark.parametrize(("target", "expected"), [("auto", "numpy"), ("cython", "cython")])
def test_connecting_compiles_nothing_unless_asked_to(
    target: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_device("eprop_cuda", backend="reference")
    prefs.codegen.target = target
    made: list[str] = []
    device = get_device()
    found = type(device).code_object_class

    def watch(self: Any, *args: Any, **options: Any) -> type[CodeObject]:
        chosen = found(self, *args, **options)
        made.append(chosen.class_name)
        return chosen

    monkeypatch.setattr(type(device), "code_object_class", watch)
    group = NeuronGroup(4, "v : 1", name="group")
    synapses = Synapses(group, group, name="synapses")
    synapses.connect(condition="i != j")
    assert len(synapses) == 12
    assert set(made) == {expected}
