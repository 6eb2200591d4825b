"""As much of CuPy as the CUDA backend uses; kernels run in the emulation.

The device is this machine's memory. Its "cubin" files hold the CUDA source itself.
"""

import ctypes
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np

from brian2eprop.device.backends.emulation import EmulatedFunction


class DeviceArray(np.ndarray):
    """An array with an address where CuPy has it."""

    @property
    def data(self):
        return SimpleNamespace(ptr=self.__array_interface__["data"][0])


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
    def __init__(self, source, name):
        self.function = EmulatedFunction(source, name)
        self.shared_size_bytes = 0
        self.max_dynamic_shared_size_bytes = None
        self.launches = []

    def __call__(self, grid, block, arguments, *, shared_mem):
        self.launches.append((grid, block, shared_mem))
        lengths = {f"array {i}": int(n) for i, n in enumerate(arguments[1])}
        values = [as_parameter(value) for value in arguments]
        self.function.launch(*grid, *block, values, lengths, shared_mem)


class FakeCupy(ModuleType):
    """The module; attributes of the machine can be set for a test."""

    def __init__(self, multiprocessors=2, driver=13000, runtime=13000, count=1, limit=10**9):
        super().__init__("cupy")
        self.limit = limit
        self.kernels = []
        self.cuda = SimpleNamespace(
            Device=lambda: SimpleNamespace(
                id=0,
                compute_capability="90",
                attributes={"MultiProcessorCount": multiprocessors},
            ),
            driver=SimpleNamespace(CUDADriverError=CUDADriverError),
            memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
            get_current_stream=lambda: SimpleNamespace(synchronize=lambda: None),
            runtime=SimpleNamespace(
                CUDARuntimeError=CUDARuntimeError,
                driverGetVersion=lambda: driver,
                runtimeGetVersion=lambda: runtime,
                getDeviceCount=lambda: count,
                getDeviceProperties=lambda number: {"name": b"Fake GPU"},
                memGetInfo=lambda: (limit, 2 * limit),
            ),
        )

    def zeros(self, shape, dtype):
        return self._on_device(np.zeros(shape, dtype))

    def asarray(self, values, dtype=None):
        return self._on_device(np.array(values, dtype))

    def asnumpy(self, array):
        return np.array(array)

    def _on_device(self, array):
        if array.nbytes > self.limit:
            raise OutOfMemoryError(f"{array.nbytes} bytes")
        return array.view(DeviceArray)

    def RawModule(self, path):
        def get_function(name):
            self.kernels.append(FakeKernel(Path(path).read_text(), name))
            return self.kernels[-1]

        return SimpleNamespace(get_function=get_function)


@contextmanager
def installed(monkeypatch, tmp_path, **machine):
    """A machine with that CuPy, and a compiler that leaves the source as it is."""

    def source_file(source, architecture):
        path = tmp_path / f"{abs(hash(source))}.{architecture}"
        path.write_text(source)
        return path

    cupy = FakeCupy(**machine)
    monkeypatch.setitem(__import__("sys").modules, "cupy", cupy)
    monkeypatch.setattr("brian2eprop.device.backends.cuda.code_file", source_file)
    monkeypatch.setattr("brian2eprop.device.backends.gpu.version", lambda: (13, 0))
    yield cupy
