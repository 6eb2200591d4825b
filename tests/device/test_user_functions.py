"""Functions that a user wrote in C++."""

from __future__ import annotations

from typing import Any

import brian2
import numpy as np
import pytest
from brian2 import (
    DEFAULT_FUNCTIONS,
    Function,
    Network,
    NeuronGroup,
    StateMonitor,
    Synapses,
    check_units,
    defaultclock,
    get_device,
    implementation,
    ms,
    mV,
    set_device,
    volt,
)

import brian2eprop as b2e
from brian2eprop.device.backends.nvrtc import machine_code
from brian2eprop.device.codegen.dialect import CUDA
from brian2eprop.device.codegen.source import generate
from brian2eprop.device.program import Precision
from brian2eprop.errors import Unsupported


def use(backend: str = "cpu", **options: Any) -> None:
    chosen = {} if backend == "runtime" else {"backend": backend, "precision": "float64"}
    set_device(backend if backend == "runtime" else "eprop_cuda", **chosen | options)
    defaultclock.dt = 0.1 * ms
    brian2.start_scope()


def ramp() -> Function:
    @implementation(
        "cpp", "inline double ramp(double x, double top) { return x < 0 ? 0 : x < top ? x : top; }"
    )
    @check_units(x=1, top=1, result=1)
    def ramp(x: Any, top: Any) -> Any:
        return np.clip(x, 0, top)

    return ramp  # type: ignore[no-any-return]


def halves() -> Function:
    """Calls another one, has units, and another name in C++."""
    code = {"support_code": "inline double half_of(double v) { return 0.5*ramp(v, 1.0); }"}

    @implementation("cpp", code, name="half_of", dependencies={"ramp": ramp()})
    @check_units(v=volt, result=volt)
    def halves(v: Any) -> Any:
        return 0.5 * np.clip(v, 0 * volt, 1 * volt)

    return halves  # type: ignore[no-any-return]


def parity() -> Function:
    found = Function(lambda n: n % 2 != 0, arg_units=[1], return_unit=bool, return_type="boolean")
    found.implementations.add_implementation(
        "cpp", "inline bool is_odd(int n) { return n % 2 != 0; }"
    )
    return found


def network(space: dict[str, Any]) -> tuple[Network, StateMonitor]:
    group = NeuronGroup(
        6,
        """dv/dt = ramp(1 - v + step, 1.5)/(2*ms) : 1
           dx/dt = (halves(1*volt*v) - x)/(3*ms) : volt
           step : 1
           n : integer""",
        threshold="v > 0.9 and is_odd(i + n)",
        reset="v = -ramp(x/mV, 0.5); n += 2",
        method="euler",
        namespace=space,
    )
    group.step = "0.1*i"
    synapses = Synapses(group, group, on_pre="v_post += 0.1*ramp(v_pre, 0.1)", namespace=space)
    synapses.connect(condition="i != j")
    states = StateMonitor(group, ["v", "x", "n"], record=True)
    return Network(group, synapses, states), states


def test_equals_the_runtime(backend: str) -> None:
    found = []
    space = {"ramp": ramp(), "halves": halves(), "is_odd": parity(), "mV": mV, "volt": volt}
    for name in ("runtime", backend):
        use(name)
        whole, states = network(space)
        whole.run(5 * ms)
        found.append(np.concatenate([states.v, np.asarray(states.x), states.n]))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12, atol=1e-13)
    assert found[0][-6:].max() > 3


@pytest.mark.parametrize("precision", Precision)
def test_nvrtc_compiles_it(precision: Precision) -> None:
    pytest.importorskip("cuda.bindings.nvrtc")
    use("reference")
    whole, _ = network({"ramp": ramp(), "halves": halves(), "is_odd": parity()})
    whole.run(0.1 * ms)
    captured = get_device().networks.of(whole).captured
    source = generate(captured.program, precision, CUDA)
    assert machine_code(source.text, "sm_90").startswith(b"\x7fELF")


CUDA_CODE = "__host__ __device__ inline double f(double x) { return g(x) + 2; }"


def for_both(**how: Any) -> Function:
    """A function as scripts for brian2cuda have it; what its codes give differs, to tell them."""
    inner = Function(lambda x: x, arg_units=[1], return_unit=1)
    inner.implementations.add_implementation("cpp", "inline double g(double x) { return x; }")
    inner.implementations.add_implementation(
        "cuda", "__device__ inline double g(double x) { return 10*x; }"
    )
    function = Function(lambda x: x, arg_units=[1], return_unit=1)
    function.implementations.add_implementation(
        "cpp", "inline double f(double x) { return g(x) + 1; }", dependencies={"g": inner}
    )
    function.implementations.add_implementation("cuda", CUDA_CODE, dependencies={"g": inner}, **how)
    return function


@pytest.mark.parametrize(("backend", "expected"), [("cpu", 4), ("emulated", 32)])
def test_code_for_a_gpu_is_used_there(backend: str, expected: float) -> None:
    use(backend)
    whole = calling(for_both())
    (group,) = whole.objects
    group.v = 3
    whole.run(0.1 * ms)
    assert group.v[0] == expected


@pytest.mark.parametrize("precision", Precision)
def test_nvrtc_compiles_code_for_a_gpu(precision: Precision) -> None:
    pytest.importorskip("cuda.bindings.nvrtc")
    use("reference")
    whole = calling(for_both())
    whole.run(0.1 * ms)
    source = generate(get_device().networks.of(whole).captured.program, precision, CUDA)
    assert CUDA_CODE in source.text
    assert machine_code(source.text, "sm_90").startswith(b"\x7fELF")


def for_a_gpu() -> Function:
    function = Function(lambda x: 5 * x, arg_units=[1], return_unit=1)
    code = "__device__ inline double f(double x) { return 5*x; }"
    function.implementations.add_implementation("cuda", code)
    return function


@pytest.mark.parametrize("backend", ["emulated", "reference"])
def test_a_function_may_be_for_a_gpu_only(backend: str) -> None:
    use(backend)
    whole = calling(for_a_gpu())
    (group,) = whole.objects
    group.v = 3
    whole.run(0.1 * ms)
    assert group.v[0] == 15


def test_a_backend_says_which_language_it_misses() -> None:
    use("cpu")
    message = r"' calls 'f', which is given in CUDA only, and the backend runs C\+\+; give it in C"
    with pytest.raises(Unsupported, match=message):
        calling(for_a_gpu()).run(0.1 * ms)


def test_a_function_has_one_name() -> None:
    use()
    with pytest.raises(
        Unsupported, match=r"called 'f' in C\+\+ and 'h' in CUDA; give both the same"
    ):
        calling(for_both(name="h")).run(0.1 * ms)


def test_other_code_for_a_gpu_is_another_network() -> None:
    use("emulated")
    function = for_both()
    whole = calling(function)
    (group,) = whole.objects
    group.v = 3
    whole.run(0.1 * ms)
    function.implementations.add_implementation(
        "cuda", "__device__ inline double f(double x) { return -x; }"
    )
    whole.run(0.1 * ms)
    assert group.v[0] == -32


def tabulated(table: np.ndarray) -> Function:
    """A function that reads an array, as Brian2's own TimedArray does, and needs a header."""
    function = Function(lambda x: table.ravel()[np.asarray(x, int)], arg_units=[1], return_unit=1)
    code = "inline double f(double x) { return fabs(double(_namespace_table[int(x)])); }"
    for target in ("cpp", "cuda"):
        headers = {"headers": ["<cmath>"]} if target == "cpp" else {}
        function.implementations.add_implementation(
            target, code, namespace={"_table": table}, compiler_kwds=headers
        )
    return function


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int32", "bool"])
def test_a_function_reads_an_array(dtype: str) -> None:
    table = np.array([[5, 3], [1, 0.1]]).astype(dtype)
    use("cpu")
    function = tabulated(table)
    whole = calling(function)
    (group,) = whole.objects
    group.v = [2, 3]
    whole.run(0.1 * ms)
    np.testing.assert_array_equal(group.v, table.ravel()[2:])
    table[1, 0] = 0  # Brian2 sees it too
    group.v = 2
    whole.run(0.1 * ms)
    np.testing.assert_array_equal(group.v, [0, 0])
    function.implementations["cpp"]._namespace = {"_table": [0.0]}
    with pytest.raises(Unsupported, match=NO_TABLE):
        whole.run(0.1 * ms)


def looking_up(name: str, table: np.ndarray, helper: str = "") -> Function:
    """A function with a table that is called as others' are, and perhaps one of its own beside."""
    function = Function(lambda k: table[k], arg_units=[1], return_unit=1, arg_types=["integer"])
    code = f"{helper}double {name}(int k) {{ return _namespacetab[k]; }}"
    function.implementations.add_implementation("cpp", code, name=name, namespace={"tab": table})
    return function


def test_functions_may_call_their_tables_the_same() -> None:
    use()
    tables = np.array([1.0, 2.0]), np.array([10, 20])
    fa, fb = (looking_up(name, table) for name, table in zip(("fa", "fb"), tables, strict=True))
    group = NeuronGroup(2, "x : 1\ny : 1", namespace={"fa": fa, "fb": fb})
    group.run_regularly("x = fa(i)", dt=1 * ms, name="one")
    group.run_regularly("y = fb(i)", dt=1 * ms, name="other")
    Network(group).run(0.1 * ms)
    np.testing.assert_array_equal([group.x[:], group.y[:]], tables)


def test_functions_that_bring_one_name_are_told_to() -> None:
    use()
    table = np.array([1.0, 2.0])
    helpers = [f"static double aid(double x) {{ return {k}*x; }}\n" for k in (1, 2)]
    fa, fb = (looking_up(n, table, h) for n, h in zip(("fa", "fb"), helpers, strict=True))
    group = NeuronGroup(2, "x : 1\ny : 1", namespace={"fa": fa, "fb": fb})
    group.run_regularly("x = fa(i)", dt=1 * ms, name="one")
    group.run_regularly("y = fb(i)", dt=1 * ms, name="other")
    with pytest.raises(b2e.CompileError, match="Another function of the script has this name"):
        Network(group).run(0.1 * ms)


def test_nvrtc_compiles_a_function_that_reads_an_array() -> None:
    pytest.importorskip("cuda.bindings.nvrtc")
    use("reference")
    whole = calling(tabulated(np.array([0.5, 2.5])))
    whole.run(0.1 * ms)
    source = generate(get_device().networks.of(whole).captured.program, Precision.FLOAT64, CUDA)
    assert machine_code(source.text, "sm_90").startswith(b"\x7fELF")


def test_other_code_is_another_network() -> None:
    use()
    function = Function(lambda x: 2 * x, arg_units=[1], return_unit=1)
    function.implementations.add_implementation("cpp", "inline double f(double x) { return 2*x; }")
    group = NeuronGroup(1, "v : 1", threshold="v > 0", reset="v = f(v)", namespace={"f": function})
    group.v = 1
    whole = Network(group)
    whole.run(0.2 * ms)
    function.implementations.add_implementation("cpp", "inline double f(double x) { return 3*x; }")
    whole.run(0.1 * ms)
    assert group.v[0] == 12


def calling(function: Any) -> Network:
    return Network(
        NeuronGroup(
            2, "v : 1", threshold="v > 1", reset="v = f(v)", name="cells", namespace={"f": function}
        )
    )


def written(**how: Any) -> Function:
    keys = ("stateless", "auto_vectorise")
    kinds = {key: how.pop(key) for key in keys if key in how}
    function = Function(lambda x: x, arg_units=[1], return_unit=1, **kinds)
    code = "inline double f(double x) { return x; }"
    function.implementations.add_implementation("cpp", how.pop("code", code), **how)
    return function


NO_TABLE = r"reads what is no array of at most 65536 finite numbers"
REFUSED = [
    ({"stateless": False}, r"draws random numbers or has a memory"),
    ({"namespace": {"_values": [1, 2]}}, NO_TABLE),
    ({"namespace": {"_values": np.zeros(2**16 + 1)}}, NO_TABLE),
    ({"namespace": {"_values": np.array([np.inf])}}, NO_TABLE),
    ({"namespace": {"_values": np.zeros(2, complex)}}, NO_TABLE),
    ({"compiler_kwds": {"libraries": ["m"]}}, r"asks for options of the compiler"),
]


@pytest.mark.parametrize(("how", "what"), REFUSED)
def test_what_is_not_all_in_the_code_is_refused(how: dict[str, Any], what: str) -> None:
    use()
    message = rf"'cells' calls 'f' in 'v = f\(v\)', which {what}, .*; write it so that"
    with pytest.raises(Unsupported, match=message):
        calling(written(**how)).run(0.1 * ms)
    with pytest.raises(Unsupported, match=rf"in 'v = f\(v\)', which calls 'g', which {what}"):
        outer = written(dependencies={"g": written(**how)})
        calling(outer).run(0.1 * ms)


def test_a_script_has_functions_of_its_own_among_brian2s(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    square = Function(lambda x: x * x, arg_units=[1], return_unit=1)
    square.implementations.add_implementation(
        "cpp", "inline double squared(double x) { return x*x; }", name="squared"
    )
    monkeypatch.setitem(DEFAULT_FUNCTIONS, "tanh", square)
    monkeypatch.setitem(DEFAULT_FUNCTIONS, "ramp", ramp())
    for backend in ("runtime", "cpu"):
        use(backend)
        group = NeuronGroup(3, "dv/dt = (ramp(i, 1) - tanh(v))/(5*ms) : 1", method="euler")
        Network(group).run(5 * ms)
        found.append(group.v[:])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12)


def test_python_in_the_place_of_a_function_of_brian2_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use()
    monkeypatch.setitem(DEFAULT_FUNCTIONS, "tanh", Function(half, arg_units=[1], return_unit=1))
    group = NeuronGroup(1, "v : 1", threshold="v > 1", reset="v = tanh(v)", name="cells")
    with pytest.raises(Unsupported, match=r"'cells' calls 'tanh' in .*, which is given in Python"):
        Network(group).run(0.1 * ms)


def half(x: Any) -> Any:
    return x / 2


IN_PYTHON = {
    "dv/dt = (half(v) - v)/(5*ms) : 1": "dv/dt = (half(v) - v)/(5*ms) : 1",
    "dv/dt = (h - v)/(5*ms) : 1\nh = half(v) : 1": "h = half(v) : 1",
    "threshold": "v > half(1.0)",
    "reset": "v -= half(v)",
    "on_pre": "v_post += half(0.1)",
    "run_regularly": "v = half(v)",
}


@pytest.mark.parametrize("where", IN_PYTHON)
def test_a_function_in_python_is_refused_by_the_line_that_calls_it(where: str) -> None:
    use()
    lines = {"threshold": "v > 1", "reset": "n += 1\nv = 0", "on_pre": "v_post += 0.1"}
    if where in lines:
        lines[where] = IN_PYTHON[where]
    space = {"half": Function(half, arg_units=[1], return_unit=1)}
    group = NeuronGroup(
        2,
        (where if "=" in where else "dv/dt = -v/(5*ms) : 1") + "\nn : 1",
        threshold=lines["threshold"],
        reset=lines["reset"],
        method="euler",
        name="cells",
        namespace=space,
    )
    synapses = Synapses(group, group, on_pre=lines["on_pre"], name="links", namespace=space)
    synapses.connect()
    if where == "run_regularly":
        group.run_regularly(f"n = 1\n{IN_PYTHON[where]}", dt=1 * ms)
    with pytest.raises(Unsupported) as caught:
        Network(group, synapses, *group.contained_objects).run(0.1 * ms)
    owner = "links" if where == "on_pre" else "cells"
    begins = f"'{owner}' calls 'half' in '{IN_PYTHON[where]}', which is given in Python only"
    assert str(caught.value).startswith(begins)
    remedy = "@implementation('cpp', 'inline double half(double x) { return ...; }') above it"
    assert remedy in str(caught.value)


NOT_CPP = {
    "inline double f(double x)\n{\n  return y;\n}": r".*y.*, in the line 'return y;'",
    "inline double g(double x) { return x; }": r".*::f.*, where it is called",
    '#include "no/such/file.h"': r".*no/such/file\.h.*, in the line '#include",
}


@pytest.mark.parametrize("code", NOT_CPP)
def test_code_that_does_not_compile_is_told_by_its_function(code: str) -> None:
    use()
    message = (
        rf"^The function 'f', which the script gives in C\+\+, does not compile: {NOT_CPP[code]}"
    )
    with pytest.raises(b2e.CompileError, match=message):
        calling(written(code=code)).run(0.1 * ms)


def test_nvrtc_names_the_function_that_does_not_compile() -> None:
    pytest.importorskip("cuda.bindings.nvrtc")
    use("reference")
    whole = calling(written(code="inline double f(double x)\n{\n  return y;\n}"))
    whole.run(0.1 * ms)
    captured = get_device().networks.of(whole).captured
    source = generate(captured.program, Precision.FLOAT64, CUDA)
    with pytest.raises(b2e.CompileError, match=r"The function 'f', .*y.*, in the line 'return y;'"):
        machine_code(source.text, "sm_90")


THROWS = """#include <stdexcept>
inline double f(double x) {
    if (x > 5) throw %s;
    return x - 1;
}"""


@pytest.mark.parametrize("layout", ["per_instance", "team"])
@pytest.mark.parametrize(
    ("thrown", "what"),
    [('std::runtime_error("too big")', "too big"), ("3", "something that is no std::exception")],
)
def test_what_it_throws_is_an_error(thrown: str, what: str, layout: str) -> None:
    use(layout=layout)
    network = calling(written(code=THROWS % thrown))
    (group,) = network.objects
    group.v = [1, 9]
    with pytest.raises(
        RuntimeError, match=rf"^The function 'f', .*, threw an exception: {what}\. Mend"
    ):
        network.run(0.2 * ms)
    assert group.v[:].tolist() == [1, 9]
    assert network.t == 0 * ms
    group.v = [1, 3]
    network.run(0.2 * ms)
    assert group.v[:].tolist() == [1, 1]


def test_it_may_not_throw_on_a_gpu() -> None:
    use("emulated")
    with pytest.raises(b2e.CompileError, match=r"The function 'f', .*exception.* in the line 'if"):
        calling(written(code=THROWS % "3")).run(0.1 * ms)


def test_it_cannot_be_trained_through() -> None:
    use()
    inputs = b2e.SpikeSource(3)
    readout = NeuronGroup(
        2, "dy/dt = -f(y)/(9*ms) : 1", method="euler", name="out", namespace={"f": written()}
    )
    synapses = Synapses(inputs, readout, "w : 1", on_pre="y_post += w")
    synapses.connect()
    message = r"out_stateupdater calls a function that is written in C\+\+ .*Write it out in the"
    with pytest.raises(b2e.LearningError, match=message):
        b2e.Trainer(
            Network(inputs, readout, synapses),
            output=readout.y,
            loss=b2e.MeanSquaredError(),
            rule=b2e.EProp(),
            parameters=[synapses.w],
            optimiser=b2e.SGD(1.0),
        )
