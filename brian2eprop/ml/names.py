"""Names that Brian2 takes."""

from __future__ import annotations

import re


def brian_name(name: str) -> str:
    """A name as Brian2 takes it: of letters, digits and underscores, with a letter first."""
    found = re.sub(r"\W", "_", name, flags=re.ASCII)
    return found if found[:1].isalpha() else f"layer_{found}"
