"""What eprop_cuda does not run is refused by a sentence: object, cause, remedy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonInput,
    StateMonitor,
    Synapses,
    check_units,
    get_device,
    linked_var,
    ms,
    second,
    set_device,
)
from brian2.utils.logger import catch_logs

from brian2eprop.device.backends import registry
from brian2eprop.device.backends.gpu import GpuUnavailable
from brian2eprop.device.program import Precision
from brian2eprop.errors import CompileError, Unsupported

LEAKY = "dv/dt = -v/(10*ms) : 1"


def use(**options: Any) -> None:
    set_device("eprop_cuda", backend="reference", precision="float64", **options)


def cells(name: str = "cells", model: str = LEAKY, **more: Any) -> NeuronGroup:
    more = {"threshold": "v > 1", "reset": "v = 0", "method": "euler"} | more
    return NeuronGroup(4, model, name=name, **more)


def synapses(group: NeuronGroup, *args: Any, **more: Any) -> list[Any]:
    found = Synapses(group, group, *args, name="syn", **more)
    found.connect()
    return [group, found]


def with_function() -> list[Any]:
    @check_units(x=1, result=1)
    def half(x: float) -> float:
        return x / 2

    return [cells(reset="v = half(v)", namespace={"half": half})]


def with_link_to_itself() -> list[Any]:
    group = cells(model="dv/dt = (x - v)/(10*ms) : 1\nx : 1 (linked)")
    group.x = linked_var(group, "v", index=np.array([1, 2, 3, 0]))
    return [group]


def with_scalar_write() -> list[Any]:
    return synapses(cells(model=LEAKY + "\ntotal : 1 (shared)"), on_pre="total_post += 1")


def poisson_input() -> list[Any]:
    found = synapses(cells(), "w : 1", on_pre="v_post += w")
    return [*found, PoissonInput(found[-1], "w", 5, 10 * Hz, weight=1)]


CASES: list[tuple[Callable[[], list[Any]], str]] = [
    (with_function, r"'cells' calls 'half' in '.*half\(.*', which is given in Python only.*exp"),
    (lambda: synapses(cells(model=LEAKY + "\nx : 1"), "x_post = x_pre + v_pre : 1 (summed)"),
     r"'syn' sums an expression of 'x_post' into 'x_post' itself.*; sum into another variable"),
    (with_scalar_write, r"'syn_pre' writes the shared variable 'total_post'.*leave out the flag"),
    (with_link_to_itself, r"'cells_stateupdater' changes what 'x' is linked to.*; link to a"),
    (poisson_input, r"adds to 'syn', a Synapses, .*; add to a NeuronGroup"),
]  # fmt: skip


@pytest.mark.parametrize(("objects", "message"), CASES)
def test_refusals(objects: Callable[[], list[Any]], message: str) -> None:
    use()
    network = Network(objects())
    with pytest.raises(Unsupported, match=message) as caught:
        network.run(1 * ms)
    assert str(caught.value).endswith(".")
    assert float(network.t) == 0


def test_unconnected_synapses_are_refused_as_in_brian() -> None:
    use()
    group = cells()
    found = Synapses(group, group, on_pre="v_post += 1", name="syn")
    with pytest.raises(TypeError, match=r"'syn' does not do anything.*Call 'connect', or set"):
        Network(group, found).run(1 * ms)


def test_names_that_only_differ_in_where_the_group_ends() -> None:
    use()
    one = NeuronGroup(1, "dx_y/dt = -1/ms : 1", method="euler", name="a")
    two = NeuronGroup(1, "dy/dt = 2/ms : 1\nspikes : 1\ncount : 1\nrow : 1", name="a_x")
    monitor = StateMonitor(two, "y", record=True, name="a_x_y")
    Network(one, two, monitor).run(1 * ms)
    assert (one.x_y[0], two.y[0], monitor.y[0, 0]) == (-1, 2, 0)


def test_a_single_step_of_many_instances_cannot_be_recorded_outside_of_a_run() -> None:
    use(batch_size=2)
    group = cells()
    monitor = StateMonitor(group, "v", record=True, name="mon")
    Network(group, monitor).run(1 * ms)
    with pytest.raises(Unsupported, match=r"'mon' was run on eprop_cuda .*; call run\(\)"):
        monitor.record_single_timestep()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, r"batch_size is 0; give None or a positive whole number"),
        ({"batch_size": 2.0}, r"batch_size is 2.0; give None or a positive whole number"),
        ({"batch_size": True}, r"batch_size is True; give None or a positive whole number"),
        ({"backend": "gpu"}, r"backend is 'gpu'; give one of 'auto', 'cpu', 'cuda'"),
        ({"precision": "double"}, r"precision is 'double'; give one of 'float32', 'float64'"),
        ({"seed": -1}, r"seed is -1; give None or a whole number"),
        ({"bacth_size": 8}, r"there is no option 'bacth_size'; did you mean 'batch_size'\?"),
        ({"gain": 8}, r"there is no option 'gain'; its options are batch_size, backend, prec"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"set_device\('eprop_cuda'\): " + message):
        set_device("eprop_cuda", **options)


def test_what_is_no_network() -> None:
    use()
    with pytest.raises(TypeError, match=r"not an object of type list; give a Network, such as"):
        get_device().capture([cells()])


def test_unknown_backend_names_the_choices() -> None:
    with pytest.raises(ValueError, match=r"no backend 'abacus'; choose one of 'auto', 'cpu'"):
        registry.create("abacus", Precision.FLOAT32)


def test_options_of_other_devices_are_accepted() -> None:
    set_device("eprop_cuda", directory=None, with_output=False, build_on_run=False)


def test_a_build_finds_all_done() -> None:
    use(build_on_run=False)
    group = cells()
    group.v = 1
    network = Network(group)
    network.run(1 * ms)
    done = group.v[:]
    get_device().build(directory=None, compile=True, run=True)
    np.testing.assert_array_equal(group.v[:], done)
    assert (done < 1).all()


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: get_device().run(), r"device\.run\(\)"),
        (lambda: get_device().run(run_args={"cells.v": 2}), r"device\.run\(\)"),
        (lambda: get_device().build(run_args={"cells.v": 2}), "run_args"),
        (lambda: get_device().build(run=False), "run=False"),
        (lambda: use(run_args=["cells.v=2"]), "run_args"),
        (lambda: use(run=False), "run=False"),
    ],
)
def test_what_has_run_is_not_run_later(call: Callable[[], Any], what: str) -> None:
    use(run_args={})
    with pytest.raises(Unsupported, match=what + r" is for .*Set the values before run\(\)"):
        call()


@pytest.mark.parametrize("gpu", [None, "Some GPU"])
def test_auto_says_in_one_line_what_it_took(
    gpu: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(registry, "find_gpu", lambda: (gpu, "because of this"))
    monkeypatch.setattr(registry.logger, "info", lambda text, **more: said.append(text))
    expected = "cpu" if gpu is None else "cuda"
    monkeypatch.setattr(registry, "BACKENDS", {expected: registry.BACKENDS["reference"]})
    registry.create("auto", Precision.FLOAT32)
    where = "the CPU" if gpu is None else "the GPU 'Some GPU'"
    assert said == [f"eprop_cuda runs on {where}: because of this."]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (GpuUnavailable("There is no driver. Install one."), "There is no driver. Install one"),
        (CompileError("NVRTC is missing."), "NVRTC is missing"),
    ],
)
def test_why_there_is_no_gpu(
    error: Exception, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find() -> None:
        raise error

    monkeypatch.setattr(registry, "find", find)
    assert registry.find_gpu() == (None, reason)


@pytest.mark.parametrize(("report", "kind"), [("loud", ValueError), (3, TypeError)])
def test_report(report: object, kind: type[Exception]) -> None:
    use()
    with pytest.raises(kind, match=r"report is .*; give None, 'text'"):
        Network(cells()).run(1 * ms, report=report)


@pytest.mark.parametrize(
    ("duration", "message"),
    [
        (-1 * ms, "run: duration is -0.001 s; give a finite time that is not negative."),
        (float("nan") * ms, "run: duration is nan s; give a finite time that is not negative."),
        (float("inf") * ms, "run: duration is inf s; give a finite time that is not negative."),
        (1e300 * second, "run: duration is 1e+300 s, which is too many steps of 1. ms to be "
         "counted; give a shorter time."),
    ],
)  # fmt: skip
def test_durations(duration: Any, message: str) -> None:
    use()
    network = Network(cells())
    with pytest.raises(ValueError) as caught:
        network.run(duration)
    assert str(caught.value) == message
    assert float(network.t) == 0


def test_import_needs_no_cuda() -> None:
    import subprocess
    import sys

    code = (
        "import sys; sys.modules['cupy'] = sys.modules['brian2cuda'] = None\n"
        "import brian2eprop, brian2\n"
        "brian2.set_device('eprop_cuda')\n"
        "assert 'brian2eprop.device.backends.cuda' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_brian_warns_of_code_that_depends_on_the_order_of_synapses() -> None:
    def warnings(code: str) -> list[str]:
        with catch_logs() as logs:
            Network(synapses(cells(), "w : 1", on_pre=code)).run(0 * ms)
        return [message for _, _, message in logs if "order of execution" in message]

    for device in ("runtime", "eprop_cuda"):
        set_device(device)
        assert not warnings("v_post += w")
        (warning,) = warnings("v_post = w")
        assert "'v_post = w'" in warning


def test_external_flags(backend: str) -> None:
    counts = []
    for device in ("runtime", "eprop_cuda"):
        set_device(device, **({} if device == "runtime" else {"backend": backend}))
        for on in (True, False, np.bool_(True)):
            group = NeuronGroup(1, "n : 1", threshold="not on or n < 3", reset="n += 1", name="g")
            Network(group).run(5 * ms, namespace={"on": on})
            counts.append(group.n[0])
    assert counts[:3] == counts[3:] == [3, 5, 3]
