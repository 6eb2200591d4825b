"""Hand-written CUDA kernels, run in the emulation."""

import ctypes

from brian2eprop.device.backends.emulation import EmulatedFunction, template
from brian2eprop.device.codegen.dialect import CUDA


def source(body, arrays):
    """A kernel `k` with pointers to arrays, given as names and C types, and an int n."""
    pointers = [
        f"    b2e::ptr<{type_}> {name} = b2e::array<{type_}>(arrays, lengths, {number});"
        for number, (name, type_) in enumerate(arrays.items())
    ]
    head = "B2E_KERNEL k(void* const* arrays, const long long* lengths, int n) {"
    headers = map(template, (*CUDA.headers, "draws.h", "distributions.h"))
    lines = [*headers, head, *pointers, body, "}"]
    return "\n".join(lines)


C_TYPES = {"float32": "float", "float64": "double", "int32": "int", "int64": "long long"}


def run(body, n=0, blocks=1, threads=64, dynamic_bytes=0, **arrays):
    """Run a kernel's body over NumPy arrays, which it changes."""
    types = {name: C_TYPES[str(array.dtype)] for name, array in arrays.items()}
    function = EmulatedFunction(source(body, types), "k")
    table = (ctypes.c_void_p * len(arrays))(*[a.ctypes.data for a in arrays.values()])
    lengths = (ctypes.c_longlong * len(arrays))(*[a.size for a in arrays.values()])
    values = [ctypes.pointer(table), ctypes.pointer(lengths), ctypes.c_int(n)]
    sizes = {name: array.size for name, array in arrays.items()}
    function.launch(blocks, threads, values, sizes, dynamic_bytes)
