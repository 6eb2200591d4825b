"""Every kernel compiles for every architecture, without a GPU."""

import re
from contextlib import nullcontext
from pathlib import Path

import pytest

import brian2eprop
from brian2eprop.device.backends import nvrtc
from brian2eprop.device.backends.nvrtc import code_file, known_architectures, machine_code
from brian2eprop.device.codegen.dialect import CUDA
from brian2eprop.device.codegen.source import generate
from brian2eprop.device.program import Precision
from brian2eprop.errors import CompileError
from tests.device import kernels
from tests.device.programs import CASES

pytest.importorskip("cuda.bindings.nvrtc")

ARCHITECTURES = ["sm_80", "sm_90", "sm_120"]

# Each word of the headers and each function, in both precisions and with integers.
EVERYTHING = """
    B2E_DYNAMIC_SHARED(memory, 1024);
    B2E_SHARED(unsigned char, flags, 128);
    b2e::ptr<REAL> r = b2e::reside<REAL>(memory, 0, 64);
    b2e::clear(r, 64);
    B2E_FOR(i, n) flags[i] = x[i] > 0;
    B2E_GRID_FOR(i, n) x[i] += r[i];
    B2E_BARRIER();
    k_[0] = b2e::compact(flags, n, k_) + b2e::slot(n - 9, 3);
    x[0] = b2e::block_sum(x[1]) + b2e::block_max(x[2]);
    b2e::add(b2e::slice(x, 1, 2), 0, x[3]);
    const REAL a = x[4];
    const int i = k_[1];
    const bool b = a > 0;
    x[5] = _brian_mod(a, a) + _brian_mod(a, i) + _brian_mod(i, i) + _brian_floordiv(a, 2);
    x[6] = _brian_floordiv(i, i) + _brian_pow(a, 2) + _brian_pow(i, 2) + _brian_pow(a, a);
    x[7] = _clip(a, 0, 1) + _clip(i, a, 1) + _exprel(a) + _exprel(i) + _sign(a) + _sign(i);
    x[8] = _brian_abs(a) + _brian_abs(i) + int_(a) + int_(b) + int_(i) + _timestep(a, 1e-3);
    x[9] = exp(a) + exp(i) + exp(b) + log(i) + sqrt(i) + tanh(i) + ceil(i) + INFINITY;
    x[10] = NAN + floor(a) + floor(i) + sin(i) + cos(i) + tan(i) + asin(i) + acos(i) + atan(i);
    x[11] = log10(i) + log1p(i) + b2e::spikes_of(nullptr, lengths, 0, 0, 0).count;
    if (B2E_LEADER) x[12] = sinh(i) + cosh(i) + expm1(i);
"""


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("real", ["float", "double"])
def test_the_headers_compile(real, architecture):
    source = kernels.source(EVERYTHING.replace("REAL", real), {"x": real, "k_": "int"})
    assert machine_code(source, architecture).startswith(b"\x7fELF")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("name", CASES)
def test_every_generated_kernel_compiles(name, precision, architecture):
    source = generate(CASES[name].program, precision, CUDA)
    assert b"b2e_run" in machine_code(source.text, architecture)


def test_single_precision_stays_single():
    """No double precision instruction where only float went in."""
    body = """
    const float a = x[0];
    x[1] = _brian_mod(a, 3) + _brian_floordiv(a, 2) + _brian_pow(a, 2.5f) + _clip(a, 0, 1) +
           _exprel(a) + _sign(a) + _brian_abs(a) + b2e::block_sum(a) + b2e::block_max(a);"""
    assert b".f64" not in ptx(kernels.source(body, {"x": "float"}))
    assert b".f64" in ptx(kernels.source("x[1] = x[0] + 0.1;", {"x": "float"}))


def ptx(source):
    binding = pytest.importorskip("cuda.bindings.nvrtc")
    _, program = binding.nvrtcCreateProgram(source.encode(), b"k.cu", 0, [], [])
    options = [b"--std=c++17", b"--gpu-architecture=compute_80"]
    (result,) = binding.nvrtcCompileProgram(program, len(options), options)
    assert result == binding.nvrtcResult.NVRTC_SUCCESS
    _, size = binding.nvrtcGetPTXSize(program)
    text = bytearray(size)
    binding.nvrtcGetPTX(program, text)
    return bytes(text)


def test_a_source_that_is_wrong_is_refused_with_the_compilers_words():
    with pytest.raises(CompileError, match="NVRTC failed to compile the network for sm_90:") as e:
        machine_code("B2E_KERNEL nothing() {}", "sm_90")
    assert "network.cu(1): error" in str(e.value)


def test_an_unknown_architecture_is_refused():
    with pytest.raises(CompileError, match="cannot compile for the architecture 'sm_35'; it knows"):
        machine_code("", "sm_35")


def test_a_missing_nvrtc_is_explained(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cuda.bindings", None)
    with pytest.raises(CompileError) as caught:
        machine_code("", "sm_90")
    assert re.fullmatch(
        r"NVRTC, the compiler for GPUs, could not be loaded \(.*\)\. Run pip install "
        r"'\.\[cuda13\]' in the folder of brian2eprop's source \('\.\[cuda12\]' for a driver older "
        r"than 580\), or use backend='cpu'\.",
        str(caught.value),
    )


def test_an_extra_of_a_name_that_anybody_could_take_is_never_advised():
    for path in Path(brian2eprop.__file__).parent.rglob("*.py"):
        assert not re.search(r"install\W+brian2eprop", path.read_text()), path


KERNEL = 'extern "C" __global__ void k() {}'


@pytest.fixture
def cache(monkeypatch, tmp_path):
    folder = tmp_path / "cache"
    monkeypatch.setenv("BRIAN2EPROP_CACHE", str(folder))
    return folder


def test_code_for_newer_gpus_is_text(cache):
    path = code_file(KERNEL, "compute_90")
    assert path.suffix == ".ptx"
    assert ".target sm_90" in path.read_text(encoding="ascii")
    assert "\0" not in path.read_text(encoding="ascii")


def test_all_architectures_are_known_by_number():
    known = known_architectures()
    assert list(known) == sorted(known)
    assert {80, 90, 120} <= set(known)


def test_compiled_kernels_are_cached(cache, monkeypatch):
    path = code_file(KERNEL, "sm_90")
    assert path.read_bytes().startswith(b"\x7fELF")
    other = code_file(KERNEL, "sm_80")
    assert sorted(cache.iterdir()) == sorted({path, other})
    monkeypatch.setattr(nvrtc, "machine_code", lambda *_: pytest.fail("compiled again"))
    assert code_file(KERNEL, "sm_90") == path
    assert code_file(f"{KERNEL} // hidden v", "sm_90") == path


@pytest.mark.parametrize("damage", [b"", b"half"])
def test_a_damaged_file_is_compiled_again(cache, damage):
    path = code_file(KERNEL, "sm_90")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(damage)] + damage)
    assert code_file(KERNEL, "sm_90").read_bytes().startswith(b"\x7fELF")
    assert path.read_bytes() == whole


def test_a_long_compilation_is_announced(cache, monkeypatch):
    said = []
    monkeypatch.setattr(nvrtc, "announced", lambda what: nullcontext(said.append(what)))
    code_file(KERNEL, "sm_90", "program 'network'")
    code_file(KERNEL, "sm_90", "program 'network'")
    assert said == ["program 'network'"]
