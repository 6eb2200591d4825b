"""Finds out whether there is a GPU to use and, where there is none, why."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from brian2eprop.device.backends.nvrtc import version


class GpuUnavailable(RuntimeError):
    """There is no GPU to use; the text says why, and what to do."""


@dataclass(frozen=True)
class Gpu:
    """A GPU, and the library that reaches it.

    Attributes
    ----------
    cupy : module
        CuPy.
    name : str
        The GPU's name.
    architecture : str
        What kernels are compiled for, e.g. ``"sm_90"``.
    multiprocessors : int
        Number of streaming multiprocessors.
    """

    cupy: Any
    name: str
    architecture: str
    multiprocessors: int


def find() -> Gpu:
    """The current GPU.

    Raises
    ------
    GpuUnavailable
        If CuPy is not installed, there is no GPU, or the driver is missing or too old.
    CompileError
        If NVRTC is not installed.
    """
    cupy = _cupy()
    _check_driver(cupy)
    _check_device(cupy)
    device = cupy.cuda.Device()
    return Gpu(
        cupy,
        cupy.cuda.runtime.getDeviceProperties(device.id)["name"].decode(),
        f"sm_{device.compute_capability}",
        device.attributes["MultiProcessorCount"],
    )


def _cupy() -> Any:
    try:
        return import_module("cupy")
    except ImportError as error:
        raise GpuUnavailable(
            f"CuPy, which reaches the GPU, could not be loaded ({error}). Install it with 'pip "
            "install brian2eprop[cuda13]' (or [cuda12] for a driver older than 580), or use "
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
                f"{major}. Update the driver, install brian2eprop[cuda{driver}] instead, or use "
                "backend='cpu'."
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
