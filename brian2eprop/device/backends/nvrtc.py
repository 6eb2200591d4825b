"""CUDA sources become machine code with NVRTC: no CUDA toolkit, no header and no GPU needed."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

from brian2eprop.device.backends.compile import CompileError, cache_directory

# No --use_fast_math, in single precision neither: it flushes subnormal numbers and replaces
# division, square root, exp and pow by approximations that are up to thousands of ulp off, so
# that a network on a GPU would spike otherwise than on a CPU. Kernels here wait for memory and
# barriers, not for arithmetic. Multiplications and additions are contracted, as on a CPU.
OPTIONS = ("--std=c++17", "--fmad=true", "--prec-div=true", "--prec-sqrt=true", "--ftz=false")


def cubin(source: str, architecture: str) -> bytes:
    """Compile a CUDA source.

    Parameters
    ----------
    source : str
        The whole source; it can include nothing.
    architecture : str
        What to compile for, e.g. ``"sm_90"``.

    Returns
    -------
    bytes
        The machine code, as ``cuModuleLoadData`` takes it.

    Raises
    ------
    CompileError
        If NVRTC is not installed, does not know the architecture, or refuses the source.
    """
    nvrtc = _nvrtc()
    _check_architecture(nvrtc, architecture)
    program = _call(nvrtc, nvrtc.nvrtcCreateProgram, source.encode(), b"network.cu", 0, [], [])
    try:
        options = [option.encode() for option in (*OPTIONS, f"--gpu-architecture={architecture}")]
        (result,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
        if result != nvrtc.nvrtcResult.NVRTC_SUCCESS:
            raise CompileError(
                f"NVRTC failed to compile the network for {architecture}:\n{_log(nvrtc, program)}"
            )
        code = bytearray(_call(nvrtc, nvrtc.nvrtcGetCUBINSize, program))
        _call(nvrtc, nvrtc.nvrtcGetCUBIN, program, code)
        return bytes(code)
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def cached_cubin(source: str, architecture: str) -> Path:
    """A file with the machine code of a source, compiled if it is not in the cache.

    Raises
    ------
    CompileError
        If the source cannot be compiled, or the file not be written.
    """
    path = cache_directory() / f"{_key(source, architecture)}.cubin"
    if path.exists():
        return path
    code = cubin(source, architecture)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, code)
    except OSError as error:
        raise CompileError(
            f"The compiled network cannot be stored in {path.parent} ({error}). Free some space, "
            "or set BRIAN2EPROP_CACHE to a folder that can be written."
        ) from error
    return path


def version() -> tuple[int, int]:
    """Version of NVRTC, e.g. ``(13, 0)``.

    Raises
    ------
    CompileError
        If NVRTC is not installed.
    """
    nvrtc = _nvrtc()
    result, major, minor = nvrtc.nvrtcVersion()
    _check(nvrtc, result)
    return int(major), int(minor)


def _key(source: str, architecture: str) -> str:
    parts = [source, architecture, *OPTIONS, str(version())]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _write(path: Path, code: bytes) -> None:
    """Write to another name and rename, so that no half-written file is ever seen."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(code)
    os.replace(file.name, path)


def _nvrtc() -> Any:
    """The binding to NVRTC, with its library loaded."""
    try:
        from cuda.bindings import nvrtc

        nvrtc.nvrtcVersion()
    except (ImportError, RuntimeError) as error:
        raise CompileError(
            f"NVRTC, the compiler for GPUs, could not be loaded ({error}). Install it with "
            "'pip install brian2eprop[cuda13]' (or [cuda12] for a driver older than 580), or use "
            "backend='cpu'."
        ) from error
    return nvrtc


def _check_architecture(nvrtc: Any, architecture: str) -> None:
    known = [f"sm_{number}" for number in _call(nvrtc, nvrtc.nvrtcGetSupportedArchs)]
    if architecture.rstrip("af") not in known:
        major, minor = version()
        raise CompileError(
            f"NVRTC {major}.{minor} cannot compile for the architecture '{architecture}'; it "
            f"knows {', '.join(known)}. Install another version of NVRTC, for a newer GPU a newer "
            "one."
        )


def _call(nvrtc: Any, function: Any, *arguments: Any) -> Any:
    """What an NVRTC function returns besides its result code."""
    result, *values = function(*arguments)
    _check(nvrtc, result)
    return values[0] if values else None


def _check(nvrtc: Any, result: Any) -> None:
    if result != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        raise CompileError(
            f"NVRTC failed with {result.name}. Reinstall nvidia-cuda-nvrtc and cuda-bindings, or "
            "use backend='cpu'."
        )


def _log(nvrtc: Any, program: Any) -> str:
    log = bytearray(_call(nvrtc, nvrtc.nvrtcGetProgramLogSize, program))
    _call(nvrtc, nvrtc.nvrtcGetProgramLog, program, log)
    return log.decode(errors="replace").strip("\0 \n")[:4000]
