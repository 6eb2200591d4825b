"""What a script for Brian2's C++ standalone asks of its device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brian2eprop.errors import Unsupported


class StandaloneCalls:
    """Calls that build a simulation and run it later; here it has run when ``run`` returns."""

    def build(self, **options: Any) -> None:
        """Do nothing: whatever ``build_on_run`` is, what ``run`` was called for has run.

        Parameters
        ----------
        **options
            As Brian2's C++ standalone takes them.

        Raises
        ------
        Unsupported
            If it is to run later (``run=False``), or with other values (``run_args``).
        """
        check_when(options)

    def run(self, *_: Any, **__: Any) -> None:
        """Refuse to run once more, from the start, what has been compiled.

        Raises
        ------
        Unsupported
            Always.
        """
        raise _refusal("device.run()")


def check_when(options: Mapping[str, Any]) -> None:
    """Refuse to compile a simulation now and to run it later.

    Parameters
    ----------
    options : mapping
        What a script gives to ``set_device`` or ``device.build``.

    Raises
    ------
    Unsupported
        If it is not to be run (``run=False``), or with other values (``run_args``).
    """
    if options.get("run_args"):
        raise _refusal("run_args")
    if not options.get("run", True):
        raise _refusal("run=False")


def _refusal(what: str) -> Unsupported:
    return Unsupported(
        f"{what} is for Brian2's C++ standalone, which compiles a simulation and runs it later, "
        "with other values too; on eprop_cuda it has run when run() returns. Set the values before "
        "run(), and use store() and restore() to run again; or have all sets of values in one run, "
        "one for each instance (batch_size)."
    )
