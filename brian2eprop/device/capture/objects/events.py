"""Who emits events, and who hears them in which step."""

from __future__ import annotations

from typing import Any

from brian2eprop.device.capture.builder import Builder
from brian2eprop.errors import Unsupported


def require_detected(builder: Builder, listener: Any, events: str) -> None:
    """Refuse to hear events of this step before they are found."""
    if events not in builder.events:
        raise Unsupported(
            f"'{listener.name}' is scheduled before the events it waits for are found "
            f"(when='{listener.when}', order={listener.order}), which eprop_cuda does not run; "
            "schedule it after the threshold."
        )
