"""The functions of vectors that a source for a CPU calls."""

from __future__ import annotations

import re

_SINCE_2_35 = ("log10", "log1p", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh")

# By what stands in a source, the macros of vector_functions.h.
_MACROS = {
    "exp": "B2E_OF_ONE(exp)",
    "log": "B2E_OF_ONE(log)",
    "sin|cos": "B2E_SINE_AND_COSINE",
    "pow|_brian_pow": "B2E_OF_TWO(pow)",
    "expm1|_exprel": "B2E_OF_ONE_LATER(expm1)",
    **{name: f"B2E_OF_ONE_LATER({name})" for name in _SINCE_2_35},
}


def vector_functions(text: str) -> list[str]:
    """The lines that declare the functions of vectors which a text calls.

    Others stay those of single numbers: what stands for them takes a compiler's time.

    Parameters
    ----------
    text : str
        C++ of a kernel, and of what it calls.

    Returns
    -------
    list of str
        Lines of C++, which ``vector_functions.h`` has to come before.
    """
    return [line for names, line in _MACROS.items() if re.search(rf"\b({names})f?\(", text)]
