"""The event buffers of a Program: who fills them, and how late they are heard."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from brian2eprop.device import brian
from brian2eprop.device.program import Access, Events, Slots
from brian2eprop.errors import Unsupported

SPIKE = "spike"  # Brian2's name of the event that a threshold detects


class Buffers:
    """The event buffers, as they are declared while phases are made.

    Parameters
    ----------
    forgets : bool
        Whether what thresholds found in the last step of a run is forgotten by who would hear of
        it a step late.
    """

    def __init__(self, forgets: bool) -> None:
        self.forgets = forgets
        self._emitters: dict[str, Any] = {}
        self._events: dict[str, Events] = {}
        self._histories: dict[str, int] = {}
        self._late: dict[str, str] = {}

    def expect(self, group: Any, event: str) -> None:
        """Note that a group will emit an event."""
        self._emitters[events_name(group, event)] = group

    def emit(self, group: Any, event: str = SPIKE) -> str:
        """Name of the event buffer of a group's events, declared for the group that emits."""
        self.expect(group, event)
        return self._declare(events_name(group, event), group)

    def emit_late(self, group: Any, event: str = SPIKE) -> str | None:
        """Name of the event buffer for those who hear a group's events a step late, if any do."""
        name = self._late.get(events_name(group, event))
        return None if name is None else self._declare(name, group)

    def is_silent(self, group: Any, event: str) -> bool:
        """Whether a group emits no events of a kind because its threshold for it is inactive."""
        unknown = events_name(group, event) not in self._emitters
        return unknown and brian.is_silenced(group, event)

    def heard(self, listener: Any, group: Any, event: str = SPIKE) -> tuple[str, int]:
        """Name of the event buffer that a listener reads, and how many steps late.

        A listener that comes before what it listens to hears it in the next step. At the border
        of two runs that is another thing than to hear it in time, so it has a buffer of its own.

        Raises
        ------
        Unsupported
            If the group emits no such event.
        """
        name = events_name(group, event)
        if name not in self._emitters:
            what = "spikes" if event == SPIKE else f"the event '{event}'"
            raise Unsupported(
                f"'{listener.name}' waits for {what} of '{brian.whole(group).name}', which emits "
                "none in this run; give it a threshold, keep it active and in the network, or set "
                f"'{listener.name}' inactive."
            )
        if name in self._events:
            return name, 0
        if self.forgets:
            own = self._late.setdefault(name, f"{name}::late")
            self._emitters[own] = self._emitters[name]
            name = own
        self.widen(name, 1)
        return name, 1

    def widen(self, events: str, history: int) -> None:
        """Keep more of an event buffer's steps, also where it is yet to be declared."""
        self._histories[events] = max(self._histories.get(events, 0), history)

    @property
    def declared(self) -> tuple[Events, ...]:
        """The buffers in order, each with as many steps as are asked of it."""
        return tuple(
            Events(name, found.size, found.access, Slots(self._histories.get(name, 0)))
            for name, found in self._events.items()
        )

    @property
    def emitters(self) -> dict[str, int]:
        """Brian2's number of the group whose events each buffer holds."""
        return {events: group.id for events, group in self._emitters.items()}

    @property
    def late(self) -> frozenset[str]:
        """The buffers of those who hear events a step late."""
        return frozenset(self._late.values())

    def forgotten(self, given: Collection[str]) -> frozenset[str]:
        """Those of them whose last step is forgotten at the end of a run: not what is given."""
        return frozenset(own for name, own in self._late.items() if name not in given)

    def _declare(self, name: str, group: Any) -> str:
        self._events[name] = Events(name, len(group), Access.PER_INSTANCE, Slots())
        return name


def events_name(group: Any, event: str = SPIKE) -> str:
    """Name of the event buffer of a group's events, whatever part of the group is meant."""
    name = str(brian.whole(group).name)
    return name if event == SPIKE else f"{name}:{event}"
