"""One list of the backends; each is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from brian2.utils.logger import get_logger

from brian2eprop.device.backends.base import Backend
from brian2eprop.device.backends.gpu import GpuUnavailable, find
from brian2eprop.device.program import Precision
from brian2eprop.errors import CompileError

logger = get_logger(__name__)

# Name of a backend: its module and class.
BACKENDS: Mapping[str, tuple[str, str]] = {
    "cpu": ("brian2eprop.device.backends.cpu", "CpuBackend"),
    "cuda": ("brian2eprop.device.backends.cuda", "CudaBackend"),
    "emulated": ("brian2eprop.device.backends.emulated", "EmulatedBackend"),
    "reference": ("brian2eprop.device.backends.reference", "ReferenceBackend"),
}

AUTO = "auto"


def create(name: str, precision: Precision) -> Backend:
    """Make a backend.

    Parameters
    ----------
    name : str
        A key of :data:`BACKENDS`, or ``'auto'``: a GPU where there is one to use, else the CPU.
    precision : Precision
        Precision of its REAL arrays.

    Returns
    -------
    Backend
        A new backend.

    Raises
    ------
    ValueError
        If there is no backend of that name.
    """
    if name == AUTO:
        name = _choose()
    if name not in BACKENDS:
        raise ValueError(
            f"There is no backend '{name}'; choose one of {', '.join(map(repr, names()))}."
        )
    module, class_name = BACKENDS[name]
    backend: Backend = getattr(import_module(module), class_name)(precision)
    return backend


def names() -> tuple[str, ...]:
    """What :func:`create` takes."""
    return (AUTO, *BACKENDS)


def _choose() -> str:
    device, reason = find_gpu()
    name = "cpu" if device is None else "cuda"
    what = "the CPU" if device is None else f"the GPU '{device}'"
    logger.info(f"eprop_cuda runs on {what}: {reason}.", name_suffix="backend", once=True)
    return name


def find_gpu() -> tuple[str | None, str]:
    """Look for a GPU.

    Returns
    -------
    device : str or None
        Its name, or None where there is none to use.
    reason : str
        Why, as the end of a sentence.
    """
    try:
        return find().name, "CuPy found it"
    except (GpuUnavailable, CompileError) as error:
        return None, str(error).rstrip(".")
