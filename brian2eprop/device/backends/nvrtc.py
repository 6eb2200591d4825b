"""CUDA sources become machine code with NVRTC: no CUDA toolkit, no header and no GPU needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from brian2eprop.device.backends.architecture import is_virtual
from brian2eprop.device.backends.blame import complaint
from brian2eprop.device.backends.patience import announced
from brian2eprop.device.cache import cached, content_key
from brian2eprop.errors import CompileError

# By path: on an index of packages, anybody could have taken the name.
INSTALL = (
    "Run pip install '.[cuda13]' in the folder of brian2eprop's source ('.[cuda12]' for a driver "
    "older than 580)"
)

# No --use_fast_math, in single precision neither: it flushes subnormal numbers and replaces
# division, square root, exp and pow by approximations that are up to thousands of ulp off, so
# that a network on a GPU would spike otherwise than on a CPU. Kernels here wait for memory and
# barriers, not for arithmetic. Multiplications and additions are contracted, as on a CPU.
# Functions that users wrote for a CPU become a GPU's.
OPTIONS = (
    "--std=c++17", "--fmad=true", "--prec-div=true", "--prec-sqrt=true", "--ftz=false",
    "--device-as-default-execution-space",
)  # fmt: skip


def machine_code(source: str, architecture: str) -> bytes:
    """Compile a CUDA source.

    Parameters
    ----------
    source : str
        The whole source; it can include nothing.
    architecture : str
        What to compile for: a GPU's own machine code, e.g. ``"sm_90"`` (a cubin), or what newer
        GPUs' drivers translate, e.g. ``"compute_90"`` (PTX).

    Returns
    -------
    bytes
        The code, as ``cuModuleLoad`` takes it from a file.

    Raises
    ------
    CompileError
        If NVRTC is not installed, does not know the architecture, or refuses the source.
    """
    nvrtc = _nvrtc()
    _check_architecture(architecture)
    program = _call(nvrtc, nvrtc.nvrtcCreateProgram, source.encode(), b"network.cu", 0, [], [])
    try:
        options = [option.encode() for option in (*OPTIONS, f"--gpu-architecture={architecture}")]
        (result,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
        if result != nvrtc.nvrtcResult.NVRTC_SUCCESS:
            said = _log(nvrtc, program)
            blamed = complaint(source, said)
            failed = blamed or f"NVRTC failed to compile the network for {architecture}:"
            raise CompileError(f"{failed}\n{said}")
        return _ptx(nvrtc, program) if is_virtual(architecture) else _cubin(nvrtc, program)
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def _cubin(nvrtc: Any, program: Any) -> bytes:
    code = bytearray(_call(nvrtc, nvrtc.nvrtcGetCUBINSize, program))
    _call(nvrtc, nvrtc.nvrtcGetCUBIN, program, code)
    return bytes(code)


def _ptx(nvrtc: Any, program: Any) -> bytes:
    text = bytearray(_call(nvrtc, nvrtc.nvrtcGetPTXSize, program))
    _call(nvrtc, nvrtc.nvrtcGetPTX, program, text)
    return bytes(text).rstrip(b"\0")


def code_file(source: str, architecture: str, what: str = "a network") -> Path:
    """A file with the code of a source, compiled if it is not in the cache.

    Parameters
    ----------
    source, architecture : str
        See :func:`machine_code`.
    what : str
        What is compiled, for a message where it takes long.

    Returns
    -------
    Path
        The file, a cubin or PTX.

    Raises
    ------
    CompileError
        If the source cannot be compiled, or the file not be written.
    """

    def make(_: Path) -> bytes:
        with announced(what):
            return machine_code(source, architecture)

    key = content_key(source, architecture, *OPTIONS, str(version()))
    return cached(key, ".ptx" if is_virtual(architecture) else ".cubin", make)


def known_architectures() -> tuple[int, ...]:
    """The compute capabilities that NVRTC compiles for, ascending, e.g. ``(75, 80, 90)``.

    Raises
    ------
    CompileError
        If NVRTC is not installed.
    """
    nvrtc = _nvrtc()
    return tuple(sorted(_call(nvrtc, nvrtc.nvrtcGetSupportedArchs)))


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


def _nvrtc() -> Any:
    """The binding to NVRTC, with its library loaded."""
    try:
        from cuda.bindings import nvrtc

        nvrtc.nvrtcVersion()
    except (ImportError, RuntimeError) as error:
        raise CompileError(
            f"NVRTC, the compiler for GPUs, could not be loaded ({error}). {INSTALL}, or use "
            "backend='cpu'."
        ) from error
    return nvrtc


def _check_architecture(architecture: str) -> None:
    known = [f"sm_{number}" for number in known_architectures()]
    if architecture.replace("compute_", "sm_").rstrip("af") not in known:
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
