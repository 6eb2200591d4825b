"""Results that are kept as they are found, so that a benchmark goes on where it was cut."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machine import heading


@dataclass(frozen=True)
class Kept:
    """A folder with one JSON file a result; without a folder nothing is kept.

    A file holds, beside the result, what it was asked for (``settings``) and the day, machine and
    commit. It is used again where the settings are the same.
    """

    folder: Path | None

    def result(
        self, name: str, settings: Mapping[str, Any], find: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """The result of that name: the one that was kept, or else found now and kept."""
        asked = json.loads(json.dumps(settings))
        if self.folder is None:
            return find()
        path = self.folder / f"{name}.json"
        if path.exists():
            kept: dict[str, Any] = json.loads(path.read_text())
            if kept["settings"] == asked:
                return dict(kept["result"])
        found = find()
        self.folder.mkdir(parents=True, exist_ok=True)
        partly = path.with_suffix(".part")
        content = {"settings": asked, "where": heading(), "result": found}
        partly.write_text(json.dumps(content, indent=1))
        partly.rename(path)
        return found
