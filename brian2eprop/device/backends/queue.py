"""A GPU and a stream of our own: whatever else a script does with CuPy, our work stays there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from brian2eprop.device.backends.forks import FORKED, opened_before_a_fork
from brian2eprop.device.backends.gpu import Gpu


class Queue:
    """A stream on a GPU.

    Parameters
    ----------
    gpu : Gpu
        The GPU.
    """

    def __init__(self, gpu: Gpu) -> None:
        self.gpu = gpu
        self._device = gpu.cupy.cuda.Device(gpu.number)
        with self._device:
            self.stream = gpu.cupy.cuda.Stream(non_blocking=True)

    @contextmanager
    def work(self, what: str) -> Iterator[None]:
        """Do all that is done within it on this GPU and in this stream, in order.

        Parameters
        ----------
        what : str
            What the GPU is to do, e.g. ``"read 'v'"``.

        Raises
        ------
        RuntimeError
            If the GPU fails, or if this process was forked after CUDA was first used.
        """
        if opened_before_a_fork():
            raise RuntimeError(FORKED)
        cuda = self.gpu.cupy.cuda
        try:
            with self._device, self.stream:
                yield
        except (cuda.driver.CUDADriverError, cuda.runtime.CUDARuntimeError) as error:
            remedy = (
                "Look at 'nvidia-smi' for the state of the GPU"
                if self._usable()
                else "It takes no more work from this process: restart Python"
            )
            raise RuntimeError(
                f"The GPU '{self.gpu.name}' failed to {what} ({error}). {remedy}; "
                "backend='emulated' tells whether the kernel itself is at fault."
            ) from error

    def graph(self, launches: Callable[[], None], times: int) -> Any:
        """Launches that the GPU keeps, to be done again and again at the cost of one; within work.

        Parameters
        ----------
        launches : callable
            Launches kernels in this stream, all with the same arguments each time.
        times : int
            How many times they follow one another.

        Returns
        -------
        cupy.cuda.Graph
            What ``launch(stream)`` does.
        """
        self.stream.begin_capture()
        try:
            for _ in range(times):
                launches()
        except BaseException:
            # A stream in which capturing goes on takes no other work; the error is the launch's.
            with suppress(self.gpu.cupy.cuda.runtime.CUDARuntimeError):
                self.stream.end_capture()
            raise
        return self.stream.end_capture()

    def _usable(self) -> bool:
        """Whether an error is over; after some, CUDA answers every call with the same one."""
        runtime = self.gpu.cupy.cuda.runtime
        try:
            with self._device:
                runtime.deviceSynchronize()
        except runtime.CUDARuntimeError:
            return False
        return True
