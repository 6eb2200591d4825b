"""As much of CuPy as the CUDA backend uses; kernels run in the emulation.

The devices are this machine's memory. Their "cubin" files hold the CUDA source itself. Work of
two places (a device and a stream of it) on the same array is an error, as it would be a race on
a GPU, and so is what CUDA answers with an error.
"""

import ctypes
import weakref
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np

from brian2eprop.device.backends.emulation import EmulatedFunction


class DeviceArray(np.ndarray):
    """An array with an address where CuPy has it, and the place where it was made."""

    place = None
    cupy = None

    @property
    def data(self):
        return SimpleNamespace(ptr=self.__array_interface__["data"][0])

    def __array_finalize__(self, other):
        self.place, self.cupy = getattr(other, "place", None), getattr(other, "cupy", None)

    def __getitem__(self, key):
        self.check()
        return super().__getitem__(key)

    def __setitem__(self, key, value):
        self.check()
        super().__setitem__(key, value)

    def fill(self, value):
        self.check()
        super().fill(value)

    def check(self):
        if self.place is not None:
            self.cupy.check(self.place)


class WrongPlace(AssertionError):
    """Work elsewhere than where its data is."""


class OutOfMemoryError(MemoryError):
    pass


class CUDADriverError(RuntimeError):
    pass


class CUDARuntimeError(RuntimeError):
    pass


def as_parameter(value):
    """A kernel's argument as C passes it."""
    if isinstance(value, DeviceArray):
        return ctypes.c_void_p(value.data.ptr)
    return {np.dtype(np.int64): ctypes.c_longlong, np.dtype(np.int32): ctypes.c_int}[value.dtype](
        int(value)
    )


class FakeKernel:
    """Loaded on the device that is current at its first use, like CuPy's."""

    def __init__(self, cupy, source, name):
        self.cupy = cupy
        self.function = EmulatedFunction(source, name)
        self.loaded_in = cupy.place()
        self.max_dynamic_shared_size_bytes = None
        self.launches = []

    @property
    def shared_size_bytes(self):
        self.cupy.check(self.loaded_in)
        return 0

    def __call__(self, grid, block, arguments, *, shared_mem):
        self.cupy.check(self.loaded_in)
        for value in arguments:
            if isinstance(value, DeviceArray):
                value.check()

        def launch():
            self.launches.append((grid, block, shared_mem))
            lengths = {f"array {i}": int(n) for i, n in enumerate(np.asarray(arguments[1]))}
            values = [as_parameter(value) for value in arguments]
            self.function.launch(*grid, *block, values, lengths, shared_mem)

        if self.cupy.captured is None:
            launch()
        else:
            self.cupy.captured.append(launch)


class FakeGraph:
    """Launches in the order in which a stream captured them."""

    def __init__(self, cupy, launches):
        self.cupy, self.captured, self.place = cupy, launches, cupy.place()

    def launch(self, stream):
        assert stream.name == self.cupy.stream
        self.cupy.check(self.place)
        self.cupy.graphs += 1
        for launch in self.captured:
            launch()


class FakeStream:
    """A stream of the device that is current when it is made."""

    def __init__(self, cupy, name):
        self.cupy, self.device, self.name = cupy, cupy.device, name
        self.synchronized = 0

    def __enter__(self):
        if self.cupy.device != self.device:
            raise CUDARuntimeError("cudaErrorInvalidResourceHandle: invalid resource handle")
        self.cupy.entered.append(self.cupy.stream)
        self.cupy.stream = self.name

    def __exit__(self, *_):
        self.cupy.stream = self.cupy.entered.pop()

    def synchronize(self):
        if self.cupy.captured is not None:
            raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported")
        self.synchronized += 1

    def begin_capture(self):
        if self.cupy.captured is not None:
            raise CUDARuntimeError("cudaErrorIllegalState")
        self.cupy.captured = []

    def end_capture(self):
        launches, self.cupy.captured = self.cupy.captured, None
        return FakeGraph(self.cupy, launches)


class FakeDevice:
    def __init__(self, cupy, number, multiprocessors, compute_capability):
        self.cupy, self.id = cupy, number
        self.compute_capability = compute_capability
        self.attributes = {"MultiProcessorCount": multiprocessors}

    def __enter__(self):
        self.cupy.entered.append(self.cupy.device)
        self.cupy.device = self.id

    def __exit__(self, *_):
        self.cupy.device = self.cupy.entered.pop()

    def use(self):
        self.cupy.device = self.id


class FakeCupy(ModuleType):
    """The module; attributes of the machine can be set for a test."""

    def __init__(
        self,
        multiprocessors=2,
        driver=13000,
        runtime=13000,
        count=1,
        limit=10**9,
        capability="90",
    ):
        super().__init__("cupy")
        self.limit = limit
        self.used = 0
        self.kernels = []
        self.captured, self.graphs = None, 0
        self.device, self.stream, self.entered = 0, "the default stream", []
        self.cuda = SimpleNamespace(
            Device=lambda number=None: FakeDevice(
                self, self.device if number is None else number, multiprocessors, capability
            ),
            Stream=lambda non_blocking: FakeStream(self, object()),
            driver=SimpleNamespace(CUDADriverError=CUDADriverError),
            memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
            runtime=SimpleNamespace(
                CUDARuntimeError=CUDARuntimeError,
                driverGetVersion=lambda: driver,
                runtimeGetVersion=lambda: runtime,
                getDeviceCount=lambda: count,
                getDeviceProperties=lambda number: {"name": b"Fake GPU"},
                memGetInfo=lambda: (limit - self.used, 2 * limit),
                deviceSynchronize=lambda: None,
            ),
        )

    def place(self):
        """The current device and stream."""
        return self.device, self.stream

    def check(self, place):
        if place != self.place():
            raise WrongPlace(f"data of {place} is used in {self.place()}")

    def zeros(self, shape, dtype):
        return self._on_device(np.zeros(shape, dtype))

    def asarray(self, values, dtype=None):
        return self._on_device(np.array(values, dtype))

    def asnumpy(self, array):
        array.check()
        return np.array(array)

    def _on_device(self, array):
        if self.captured is not None:
            raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported")
        if self.used + array.nbytes > self.limit:
            raise OutOfMemoryError(f"{array.nbytes} bytes")
        self.used += array.nbytes
        placed = array.view(DeviceArray)
        placed.place, placed.cupy = self.place(), self
        weakref.finalize(placed, self._free, array.nbytes)
        return placed

    def _free(self, n_bytes):
        self.used -= n_bytes

    def RawModule(self, path):
        def get_function(name):
            self.kernels.append(FakeKernel(self, Path(path).read_text(), name))
            return self.kernels[-1]

        return SimpleNamespace(get_function=get_function)


@contextmanager
def installed(monkeypatch, tmp_path, **machine):
    """A machine with that CuPy, and a compiler that leaves the source as it is."""

    def source_file(source, architecture, what):
        path = tmp_path / f"{abs(hash(source))}.{architecture}"
        path.write_text(source)
        return path

    cupy = FakeCupy(**machine)
    gpu = "brian2eprop.device.backends.gpu"
    monkeypatch.setitem(__import__("sys").modules, "cupy", cupy)
    monkeypatch.setattr("brian2eprop.device.backends.cuda.code_file", source_file)
    monkeypatch.setattr(f"{gpu}.version", lambda: (13, 0))
    monkeypatch.setattr(f"{gpu}.known_architectures", lambda: (75, 80, 86, 90, 100, 103, 120))
    monkeypatch.setattr("brian2eprop.device.backends.forks._cuda_in", None)
    yield cupy
