"""The package nir, imported when it is needed."""

from __future__ import annotations

from typing import Any


def import_nir(owner: str) -> Any:
    """The package, or a sentence about it.

    Parameters
    ----------
    owner : str
        Who needs it.

    Raises
    ------
    ImportError
        If it is not there.
    """
    try:
        import nir
    except ImportError as error:
        raise ImportError(
            f"{owner} needs the package nir, which is not there; pip install nir."
        ) from error
    return nir
