"""What arrays are called: those of a training, and those of the network as users know them."""

from __future__ import annotations


def public_name(array: str) -> str:
    """The name of a variable's array in what users give and get, such as ``w_in_w``.

    Parameters
    ----------
    array : str
        Name of the Program's array, such as ``w_in.w``.
    """
    return array.replace(".", "_")


def adjoint_of(array: str) -> str:
    """Array that holds the loss's derivative by an array, or by a population's spikes."""
    return f"adjoint:{array}"


def gradient_of(parameter: str) -> str:
    """Array that holds the loss's derivative by a parameter."""
    return f"gradient:{parameter}"


def partial_of(parameter: str) -> str:
    """Array that holds an instance's part of it."""
    return f"gradient:part:{parameter}"
