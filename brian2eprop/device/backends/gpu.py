"""Finds out whether there is a GPU to use and, where there is none, why."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from brian2eprop.device.backends.architecture import best_architecture
from brian2eprop.device.backends.forks import FORKED, opened_before_a_fork, opens_cuda
from brian2eprop.device.backends.nvrtc import INSTALL, known_architectures, version


class GpuUnavailable(RuntimeError):
    """There is no GPU to use; the text says why, and what to do."""


@dataclass(frozen=True)
class Gpu:
    """A GPU, and the library that reaches it.

    Attributes
    ----------
    cupy : module
        CuPy.
    number : int
        CUDA's number of the GPU.
    name : str
        The GPU's name.
    architecture : str
        What kernels are compiled for, e.g. ``"sm_90"``.
    multiprocessors : int
        Number of streaming multiprocessors.
    """

    cupy: Any
    number: int
    name: str
    architecture: str
    multiprocessors: int


def find() -> Gpu:
    """The GPU that is CuPy's current one.

    Raises
    ------
    GpuUnavailable
        If CuPy is not installed, there is no GPU, NVRTC cannot compile for it, the driver is
        missing or too old, or CUDA was in use before this process was forked.
    CompileError
        If NVRTC is not installed.
    """
    if opened_before_a_fork():
        raise GpuUnavailable(FORKED)
    cupy = _cupy()
    _check_driver(cupy)
    _check_device(cupy)
    opens_cuda()
    device = cupy.cuda.Device()
    name = cupy.cuda.runtime.getDeviceProperties(device.id)["name"].decode()
    architecture = _architecture(cupy, name, int(device.compute_capability))
    return Gpu(cupy, device.id, name, architecture, device.attributes["MultiProcessorCount"])


def _architecture(cupy: Any, name: str, capability: int) -> str:
    known, (major, minor) = known_architectures(), version()
    driver = cupy.cuda.runtime.driverGetVersion()
    found = best_architecture(capability, known, driver >= 1000 * major + 10 * minor)
    if found is None:
        too_old = capability < min(known)
        remedy = "Install an older NVRTC" if too_old else "Update the driver or NVRTC"
        raise GpuUnavailable(
            f"NVRTC {major}.{minor} cannot compile for the GPU '{name}', which has compute "
            f"capability {_dotted(capability)}; it knows {', '.join(map(_dotted, known))}. "
            f"{remedy}, or use backend='cpu'."
        )
    return found


def _dotted(capability: int) -> str:
    return f"{capability // 10}.{capability % 10}"


def _cupy() -> Any:
    try:
        return import_module("cupy")
    except ImportError as error:
        raise GpuUnavailable(
            f"CuPy, which reaches the GPU, could not be loaded ({error}). {INSTALL}, or use "
            "backend='cpu'."
        ) from error


def _check_driver(cupy: Any) -> None:
    """Refuse a driver of an older major version than what must run on it."""
    driver = cupy.cuda.runtime.driverGetVersion() // 1000
    if driver == 0:
        raise GpuUnavailable(
            "There is no NVIDIA driver on this machine. Install one, or use backend='cpu'."
        )
    needed = {
        "CuPy was built": cupy.cuda.runtime.runtimeGetVersion() // 1000,
        "NVRTC compiles": version()[0],
    }
    for what, major in needed.items():
        if driver < major:
            raise GpuUnavailable(
                f"The NVIDIA driver is too old: it runs CUDA {driver}, but {what} for CUDA "
                f"{major}. Update the driver, run pip install '.[cuda{driver}]' in the folder of "
                "brian2eprop's source, or use backend='cpu'."
            )


def _check_device(cupy: Any) -> None:
    runtime = cupy.cuda.runtime
    try:
        count = runtime.getDeviceCount()
        reason = "none is visible to CUDA"
    except runtime.CUDARuntimeError as error:
        count, reason = 0, str(error)
    if count == 0:
        raise GpuUnavailable(
            f"There is no GPU to use ({reason}). If the machine has one, look at 'nvidia-smi' and "
            "at CUDA_VISIBLE_DEVICES; otherwise use backend='cpu'."
        )
