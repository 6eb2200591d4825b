"""Brian2's user functions become functions of bodies, if they are written in C++ or CUDA."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from hashlib import blake2b
from typing import Any

import numpy as np
from brian2.codegen.generators.cpp_generator import CPPCodeGenerator
from brian2.codegen.runtime.numpy_rt.numpy_rt import NumpyCodeObject
from brian2.core.functions import Function, FunctionImplementation

from brian2eprop.device import brian
from brian2eprop.device.capture.places import caller
from brian2eprop.device.program.foreign import Foreign
from brian2eprop.errors import Unsupported

# What Brian2 keeps a function's code under: C++, and what brian2cuda has for a GPU.
CPP, CUDA = CPPCodeGenerator, "cuda"
# By the dialect of ours that it is for.
TARGETS = {"cpu": CPP, "cuda": CUDA}

# C++ of the elements of arrays that functions read, and how many there may be: they are part of the
# source.
_ELEMENTS = {"f8": "double", "f4": "float", "i8": "long long", "i4": "int", "b1": "char"}
MOST_ELEMENTS = 2**16

# Brian2 fails to word its KeyError where an implementation has no class name.
_MISSING = (KeyError, TypeError)


def foreign(owner: Any, name: str, function: Any) -> Foreign | None:
    """A function that a user wrote in C++ or in CUDA; None for any other.

    Parameters
    ----------
    owner : BrianObject
        The object that calls it.
    name : str
        What it is called there.
    function : brian2 Function
        The function.

    Raises
    ------
    Unsupported
        If the C++ alone is not all of it.
    """
    given = [target for target in TARGETS.values() if _written(function, target) is not None]
    if not given or function in brian.DEFAULT_FUNCTIONS.values():
        return None
    for target in given:
        _require_alone(owner, name, function, target)
    return Foreign(
        _symbol(owner, name, [_written(function, target) for target in given]),
        {
            dialect: code_for(function, target)
            for dialect, target in TARGETS.items()
            if target in given
        },
        len(function._arg_units),
        "boolean" if function._returns_bool else function._return_type,
        _python(function),
    )


def code_for(function: Any, target: Any) -> tuple[str, ...]:
    """The code of the functions that a function calls, and its own; empty where there is none.

    Parameters
    ----------
    function : brian2 Function
        The function.
    target : CPP or CUDA
        What the code is for; what has none for a GPU has its C++ there.
    """
    written = _written(function, target)
    if written is None or written.dynamic:
        return ()
    code = written.get_code(None) or ""
    if not isinstance(code, str):
        code = "\n".join(code[key] for key in ("hashdefine_code", "support_code") if key in code)
    others = (written.dependencies or {}).values()
    texts = [text for other in others for text in code_for(other, target)]
    texts += [f"#include {name}" for name in written.compiler_kwds.get("headers", ())]
    for name, values in sorted((written.get_namespace(None) or {}).items()):
        if _is_table(values):  # or the function is refused
            table, own = _table(name, values)
            texts.append(table)
            code = f"#define _namespace{name} {own}\n{code}\n#undef _namespace{name}"
    return (*texts, code) if code else tuple(texts)


def _table(name: str, values: Any) -> tuple[str, str]:
    """An array that a function reads, and its name.

    Brian2 gives it one by what the function calls it, which two functions may call theirs; here
    it is named by its contents as well.
    """
    kind = _ELEMENTS[values.dtype.str[1:]]
    numbers = values.astype(np.int8) if kind == "char" else values
    elements = ", ".join(map(repr, np.asarray(numbers).ravel().tolist()))
    digest = blake2b(f"{kind}{elements}".encode(), digest_size=8).hexdigest()
    own = f"_namespace{name}_{digest}"
    return f"static {kind} {own}[] = {{{elements}}};", own


def _is_table(values: Any) -> bool:
    return (
        isinstance(values, np.ndarray)
        and values.dtype.str[1:] in _ELEMENTS
        and 0 < values.size <= MOST_ELEMENTS
        and bool(np.isfinite(values).all())
    )


def _written(function: Any, target: Any) -> FunctionImplementation | None:
    if not isinstance(function, Function):
        return None
    for key in dict.fromkeys((target, CPP)):  # what has none for a GPU has its C++ there
        with suppress(*_MISSING):
            return function.implementations[key]
    return None


def _symbol(owner: Any, name: str, written: Iterable[Any]) -> str:
    """What the function is called in its code."""
    names = [each.name or name for each in written]
    if len(set(names)) > 1:
        raise Unsupported(
            f"{caller(owner, name)}, which is called '{names[0]}' in C++ and '{names[1]}' in CUDA; "
            "give both the same name."
        )
    return str(names[0])


def _require_alone(owner: Any, name: str, function: Any, target: Any, via: str = "") -> None:
    written: Any = _written(function, target)
    tables = {} if written.dynamic else written.get_namespace(None) or {}
    more = {
        "draws random numbers or has a memory": not function.stateless or function.auto_vectorise,
        "has a C++ that depends on where it is called": written.dynamic,
        f"reads what is no array of at most {MOST_ELEMENTS} finite numbers": not all(
            map(_is_table, tables.values())
        ),
        "asks for options of the compiler": not written.compiler_kwds.keys() <= {"headers"},
    }
    for what in (what for what, holds in more.items() if holds):
        raise Unsupported(
            f"{caller(owner, name)}{via}, which {what}, and eprop_cuda does not run such "
            "functions; write it so that its value follows from its arguments alone."
        )
    for other, found in (written.dependencies or {}).items():
        if found not in brian.DEFAULT_FUNCTIONS.values() and _written(found, target) is not None:
            inner = f"{via}, which calls '{other}'"
            _require_alone(owner, name, found, target, inner)


def _python(function: Any) -> Any:
    try:
        found = function.implementations[NumpyCodeObject]
    except _MISSING:  # Brian2's NumPy target does the same
        function.implementations.add_numpy_implementation(function.pyfunc)
        found = function.implementations[NumpyCodeObject]
    return found.get_code(None)
