"""What to compile for, given a GPU and a compiler that may not know it."""

from __future__ import annotations

from collections.abc import Sequence


def is_virtual(architecture: str) -> bool:
    """Whether this is PTX, which the driver translates for the GPU it finds."""
    return architecture.startswith("compute_")


def best_architecture(gpu: int, known: Sequence[int], takes_ptx: bool) -> str | None:
    """What a compiler can make for a GPU.

    Machine code runs on the same and on later minor versions of its major version, PTX on all
    later ones, if the driver is as new as the compiler that wrote it.

    Parameters
    ----------
    gpu : int
        The GPU's compute capability, e.g. 90 for 9.0.
    known : sequence of int
        Those that the compiler knows.
    takes_ptx : bool
        Whether the driver takes the compiler's PTX.

    Returns
    -------
    str or None
        E.g. ``"sm_90"`` or ``"compute_90"``, or None if there is nothing.
    """
    older = [number for number in known if number <= gpu]
    same_major = [number for number in older if number // 10 == gpu // 10]
    if same_major:
        return f"sm_{max(same_major)}"
    return f"compute_{max(older)}" if older and takes_ptx else None
