"""Every kernel compiles for every architecture, without a GPU."""

import shutil

import pytest

from brian2eprop.device.backends import nvrtc
from brian2eprop.device.backends.compile import CompileError
from brian2eprop.device.backends.nvrtc import cached_cubin, cubin
from brian2eprop.device.codegen.dialect import CUDA
from brian2eprop.device.codegen.source import generate
from brian2eprop.device.program import Precision
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
    x[9] = exp(a) + exp(i) + exp(b) + log(i) + sqrt(i) + tanh(i) + floor(a) + ceil(i) + INFINITY;
    x[10] = sin(i) + cos(i) + tan(i) + asin(i) + acos(i) + atan(i) + sinh(i) + cosh(i) + expm1(i);
    x[11] = log10(i) + log1p(i) + floor(i) + b2e::spikes_of(nullptr, lengths, 0, 0, 0).count;
    if (B2E_LEADER) x[12] = 0;
"""


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("real", ["float", "double"])
def test_the_headers_compile(real, architecture):
    source = kernels.source(EVERYTHING.replace("REAL", real), {"x": real, "k_": "int"})
    assert cubin(source, architecture).startswith(b"\x7fELF")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("name", CASES)
def test_every_generated_kernel_compiles(name, precision, architecture):
    source = generate(CASES[name].program, precision, CUDA)
    assert b"b2e_run" in cubin(source.text, architecture)


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
        cubin("B2E_KERNEL nothing() {}", "sm_90")
    assert "network.cu(1): error" in str(e.value)


def test_an_unknown_architecture_is_refused():
    with pytest.raises(CompileError, match="cannot compile for the architecture 'sm_35'; it knows"):
        cubin("", "sm_35")


def test_a_missing_nvrtc_is_explained(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cuda.bindings", None)
    with pytest.raises(CompileError, match=r"NVRTC.*could not be loaded.*pip install brian2eprop"):
        cubin("", "sm_90")


def test_compiled_kernels_are_cached(monkeypatch, tmp_path):
    monkeypatch.setenv("BRIAN2EPROP_CACHE", str(tmp_path / "cache"))
    source = 'extern "C" __global__ void k() {}'
    path = cached_cubin(source, "sm_90")
    assert path.read_bytes().startswith(b"\x7fELF")
    assert cached_cubin(source, "sm_80") != path
    assert sorted(path.parent.iterdir()) == sorted({path, cached_cubin(source, "sm_80")})
    monkeypatch.setattr(nvrtc, "cubin", lambda *_: pytest.fail("compiled again"))
    assert cached_cubin(source, "sm_90") == path


def test_a_cache_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("BRIAN2EPROP_CACHE", str(blocked / "cache"))
    with pytest.raises(CompileError, match=r"cannot be stored in .*set BRIAN2EPROP_CACHE"):
        cached_cubin('extern "C" __global__ void k() {}', "sm_90")
    shutil.rmtree(tmp_path)
