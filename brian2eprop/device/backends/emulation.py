"""A CUDA function compiled by g++ behind headers that supply CUDA's words.

What a GPU would answer with a hang, a crash or a wrong number is an error here: a barrier or a
vote that some threads do not come to, an access outside an array, and two threads at one element
without a barrier between them.
"""

from __future__ import annotations

import ctypes
import functools
import re
import threading
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from brian2eprop.device.backends.compile import library_file, load, shared_library

WARP = 32

# -fno-gnu-unique: the static variables of one library's kernel are not another's.
# -fno-exceptions: there are none on a GPU.
FLAGS = ("-std=c++17", "-O1", "-fno-strict-aliasing", "-fno-gnu-unique", "-fno-exceptions", "-w")

_MESSAGE_BYTES = 1000

# The emulated machine is one set of static variables a library, and ctypes lets threads run.
_ONE_AT_A_TIME = threading.Lock()

# The text of the machine, in this order.
_MACHINE = tuple(
    f"emulation_{part}.cpp" for part in ("machine", "meetings", "fibers", "races", "interface")
)


class EmulationError(RuntimeError):
    """A kernel did what no CUDA kernel may do."""


class _Launch(ctypes.Structure):
    """``b2e::Launch`` of emulation.h."""

    _fields_ = (
        ("blocks", ctypes.c_int),
        ("threads", ctypes.c_int),
        ("dynamic_bytes", ctypes.c_longlong),
        ("n_arrays", ctypes.c_int),
        ("names", ctypes.POINTER(ctypes.c_char_p)),
        ("lengths", ctypes.POINTER(ctypes.c_longlong)),
    )


class EmulatedFunction:
    """A ``__global__`` function compiled for the emulation.

    Parameters
    ----------
    source : str
        The CUDA source, ``cuda.cuh`` included.
    name : str
        Name of the function.
    among : sequence of str
        The functions of the source, which are compiled together; unless given, this one alone.

    Raises
    ------
    CompileError
        If there is no compiler, or it fails.
    """

    def __init__(self, source: str, name: str = "b2e_run", among: Sequence[str] = ()) -> None:
        self.source = source
        _machine()
        library = shared_library(emulated_source(source, among or (name,)), FLAGS)
        self._entry = getattr(library, f"b2e_emulate_{name}")

    def launch(
        self,
        blocks: int,
        threads: int,
        values: Sequence[Any],
        arrays: Mapping[str, int],
        dynamic_bytes: int = 0,
    ) -> None:
        """Run the kernel.

        Parameters
        ----------
        blocks, threads : int
            Size of the grid, and of each block.
        values : sequence of ctypes objects
            The arguments.
        arrays : mapping of str to int
            Names and lengths of the arrays in the kernel's table.
        dynamic_bytes : int
            Size of dynamic shared memory.

        Raises
        ------
        EmulationError
            If the kernel does what no CUDA kernel may do.
        """
        if threads < 1 or threads % WARP:
            raise EmulationError(
                f"A block of {threads} threads is no whole number of warps; take a multiple of "
                f"{WARP}."
            )
        launch = _Launch(blocks, threads, dynamic_bytes, len(arrays), *_table(arrays))
        message = ctypes.create_string_buffer(_MESSAGE_BYTES)
        addresses = (ctypes.c_void_p * len(values))(*[ctypes.addressof(v) for v in values])
        with _ONE_AT_A_TIME:
            failed = self._entry(ctypes.byref(launch), addresses, message, _MESSAGE_BYTES)
        if failed:
            raise EmulationError(message.value.decode() + _excerpt(self.source, message.value))


@functools.cache
def _machine() -> ctypes.CDLL:
    """The machine that all kernels run on, where the libraries of kernels find it."""
    source = template("emulation.h") + "".join(map(template, _MACHINE))
    return load(library_file(source, FLAGS), ctypes.RTLD_GLOBAL)


def emulated_source(source: str, names: Sequence[str]) -> str:
    """The CUDA source between the headers that make it C++."""
    header = template("emulation.h") + template("emulation_memory.h")
    entries = "".join(f"B2E_EMULATED_ENTRY({name})\n" for name in names)
    return f'{header}#line 1 "network.cu"\n{source}\n{template("emulation_launch.h")}{entries}'


def template(name: str) -> str:
    """The text of one of the templates."""
    return (files("brian2eprop.device.codegen") / "templates" / name).read_text()


def _table(arrays: Mapping[str, int]) -> tuple[Any, Any]:
    """Names and lengths of arrays for the launch."""
    names = (ctypes.c_char_p * len(arrays))(*[name.encode() for name in arrays])
    return names, (ctypes.c_longlong * len(arrays))(*arrays.values())


def _excerpt(source: str, message: bytes) -> str:
    """The lines of the source around the one that a message names."""
    named = re.search(rb"line (\d+)", message)
    if named is None:
        return ""
    line = int(named[1])
    numbered = list(enumerate(source.splitlines(), 1))[max(0, line - 6) : line + 5]
    return "\n" + "\n".join(f"{number:5d}  {text}" for number, text in numbered)
