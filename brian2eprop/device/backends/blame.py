"""Whose C++ a compiler complains of: what was generated, or a function that the script gives."""

from __future__ import annotations

import re

from brian2eprop.device.codegen.source import CALL_OF_FOREIGN, CODE_OF_FOREIGN

# How g++ and NVRTC begin a complaint: the line, and what is wrong.
_ERRORS = re.compile(r":(\d+):\d+: (?:fatal )?error: (.+)|\((\d+)\): (?:catastrophic )?error: (.+)")

# Behind this line of a source that is compiled for the emulation, lines are counted anew.
_ANEW = '#line 1 "network.cu"\n'


def complaint(source: str, said: str) -> str:
    """A sentence on the function of the script that the first error is about.

    Parameters
    ----------
    source : str
        What was compiled.
    said : str
        What the compiler said of it.

    Returns
    -------
    str
        The function's name, what is wrong and where; empty if it is about no such function.
    """
    found = _ERRORS.search(said)
    if found is None:
        return ""
    number, what = int(found[1] or found[3]), found[2] or found[4]
    lines = source.rpartition(_ANEW)[2].splitlines()[:number]
    called = re.search(CALL_OF_FOREIGN, lines[-1]) if lines else None
    name = called[1] if called else _function_of(lines)
    if not name:
        return ""
    where = "where it is called" if called else f"in the line '{lines[-1].strip()}'"
    remedy = "Mend it where it is given with @implementation."
    if "redefinition" in what or "already been defined" in what:
        remedy = "Another function of the script has this name in its C++, too; rename one of them."
    return (
        f"The function '{name}', which the script gives in C++, does not compile: {what.strip()}, "
        f"{where}. {remedy}"
    )


def _function_of(lines: list[str]) -> str:
    """The function of the script whose code the last line is a part of."""
    for line in reversed(lines):
        if line.startswith(CODE_OF_FOREIGN):
            return line.removeprefix(CODE_OF_FOREIGN).strip()
    return ""
