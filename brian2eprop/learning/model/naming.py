"""Names of arrays as users know them."""

from __future__ import annotations


def public_name(array: str) -> str:
    """The name of a variable's array in what users give and get, such as ``w_in_w``.

    Parameters
    ----------
    array : str
        Name of the Program's array, such as ``w_in.w``.
    """
    return array.replace(".", "_")
