"""When a network needs no new capture: the one rule.

A capture is used again as long as all that it was made from is the same:

1. the network has the same objects in the same order (which follows from ``when``, ``order``
   and names), and each has the same attributes, its clock and ``active`` among them;
2. every external name that was looked up means the same, in the run's namespace and in those
   of the groups;
3. every array whose values were read has the same values: connections, delays, ``dt``;
4. the same arrays differ between instances, and their number is the same or there still is
   none.

What was looked up and read is noted while capturing, so that nobody has to list it. Numbers,
strings, arrays, timed ones too, and plain containers are the same if they are equal, all else
if it is the very same object. Values of variables that are not read while capturing do not
matter, nor do a source's spikes: they go to the kernel with every run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from numbers import Number
from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np
import numpy.typing as npt
from brian2.core.functions import Function
from brian2.input.timedarray import TimedArray

from brian2eprop.device.capture.foreign import CPP, CUDA, code_for

# Attributes that a run reads for itself.
READ_AT_EVERY_RUN = frozenset({"_given"})
PLAIN = (str, bytes, Number, np.generic, type(None))

_MISSING = object()


class Stamps:
    """A digest of each array's values, computed again only where they may have changed.

    Parameters
    ----------
    values : callable
        Gives the values of a variable.
    """

    def __init__(self, values: Callable[[Any], npt.NDArray[Any]]) -> None:
        self._values = values
        self._version: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self._known: WeakKeyDictionary[Any, tuple[int, bytes]] = WeakKeyDictionary()

    def advance(self, variable: Any) -> None:
        """Note that an array may be changed."""
        self._version[variable] = self._version.get(variable, 0) + 1

    def of(self, variable: Any) -> bytes:
        """The stamp of an array: other values, another stamp."""
        values = self._values(variable)
        version = self._version.get(variable, 0)
        known = self._known.get(variable)
        if known is None or known[0] != version:
            known = self._known[variable] = version, digest(values)
        return known[1]


class Memo:
    """What was made from the values of variables, as long as they have these values.

    Parameters
    ----------
    stamps : Stamps
        The stamps of the variables.
    """

    def __init__(self, stamps: Stamps) -> None:
        self._stamps = stamps
        self._made: WeakKeyDictionary[Any, tuple[tuple[bytes, ...], Any]] = WeakKeyDictionary()

    def of(self, variables: Iterable[Any], make: Callable[[], Any]) -> Any:
        """What ``make`` gives, made once for the same values of the same variables."""
        first, *_ = variables = tuple(variables)
        stamps = tuple(map(self._stamps.of, variables))
        known = self._made.get(first)
        if known is None or known[0] != stamps:
            known = self._made[first] = stamps, make()
        return known[1]


class Watched(dict[str, Any]):
    """A namespace that notes which names were looked up in it."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        super().__init__(names)
        self.asked: set[str] = set()

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        return super().__contains__(name)

    def __getitem__(self, name: str) -> Any:
        self.asked.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a name."""
        self.asked.add(name)
        return super().get(name, default)


def _none(variable: Any) -> bool:
    return False


@dataclass(frozen=True)
class Origin:
    """What a capture was made from.

    Parameters
    ----------
    objects : tuple of (int, frozen attributes)
        Brian2's number and the attributes of each object, in order.
    names : mapping of str to frozen value
        The names that were looked up.
    stamps : mapping of brian2 Variable to bytes
        The arrays that were read.
    instances : tuple
        The number of instances, and the arrays that have an instance axis.
    """

    objects: tuple[tuple[int, Any], ...]
    names: Mapping[str, Any]
    stamps: Mapping[Any, bytes]
    instances: tuple[Any, ...]

    def is_unchanged(
        self,
        objects: Iterable[Any],
        namespace: Mapping[str, Any],
        stamps: Stamps,
        instances: tuple[Any, ...],
        lent: Callable[[Any], bool] = _none,
    ) -> bool:
        """Whether a capture now would be the same.

        Parameters
        ----------
        objects : iterable of BrianObject
            The objects of the network, inactive ones too, in order.
        namespace : mapping of str to object
            The run's namespace.
        stamps : Stamps
            The stamps of the arrays now.
        instances : tuple
            As in :class:`Origin`, now.
        lent : callable
            Whether a variable's newest values are somebody else's; those are not looked at.
        """
        objects = list(objects)
        return (
            instances == self.instances
            and [number for number, _ in self.objects] == [found.id for found in objects]
            and all(same(namespace.get(name, _MISSING), was) for name, was in self.names.items())
            and all(
                lent(variable) or stamps.of(variable) == was
                for variable, was in self.stamps.items()
            )
            and all(
                same(_attributes(found), was)
                for found, (_, was) in zip(objects, self.objects, strict=True)
            )
        )

    def with_new(self, variables: Iterable[Any], stamps: Stamps) -> Origin:
        """The same, but that these variables are as they are now."""
        return self.with_stamps({v: stamps.of(v) for v in set(variables) & self.stamps.keys()})

    def with_stamps(self, stamps: Mapping[Any, bytes]) -> Origin:
        """The same, but that variables which it was made from have these stamps."""
        now = {v: stamp for v, stamp in stamps.items() if v in self.stamps}
        return replace(self, stamps={**self.stamps, **now})


def origin_of(
    objects: Iterable[Any],
    namespace: Watched,
    read: Iterable[Any],
    stamps: Stamps,
    instances: tuple[Any, ...],
) -> Origin:
    """What a capture that was just made was made from.

    Parameters
    ----------
    objects : iterable of BrianObject
        The objects of the network, inactive ones too, in order.
    namespace : Watched
        The namespace that the capture was given.
    read : iterable of brian2 Variable
        The variables whose values it read.
    stamps : Stamps
        The stamps of the arrays.
    instances : tuple
        As in :class:`Origin`.

    Returns
    -------
    Origin
        To be compared with what is there at the next run.
    """
    return Origin(
        tuple((found.id, frozen(_attributes(found))) for found in objects),
        {name: frozen(dict.get(namespace, name, _MISSING)) for name in namespace.asked},
        {variable: stamps.of(variable) for variable in read},
        instances,
    )


def digest(values: npt.NDArray[Any]) -> bytes:
    """A short word for an array: other values, type or shape, another word."""
    array = np.ascontiguousarray(values)
    found = blake2b(f"{array.dtype}{array.shape}".encode(), digest_size=16)
    found.update(array.data if array.dtype.kind != "O" else repr(array.tolist()).encode())
    return found.digest()


def frozen(value: Any) -> Any:
    """What :func:`same` compares with later, when the value itself may have been changed.

    Objects are held by weak references: to remember a network is not to keep it.
    """
    kind = type(value)  # of a weak proxy, __class__ is that of what it stands for
    if issubclass(kind, dict):
        return kind, {name: frozen(item) for name, item in value.items()}
    if issubclass(kind, list | tuple):
        return kind, [frozen(item) for item in value]
    if issubclass(kind, np.ndarray):
        return kind, (getattr(value, "dim", None), digest(value))
    if issubclass(kind, TimedArray):
        return kind, (value.name, float(value.dt), digest(value.values))
    if issubclass(kind, Function):
        return kind, (ref(value), code_for(value, CPP), code_for(value, CUDA))
    if issubclass(kind, set | frozenset):
        return kind, frozenset(value)
    if issubclass(kind, PLAIN):
        return kind, value
    try:
        return object, ref(value)
    except TypeError:
        return object, lambda: value


def same(value: Any, was: Any) -> bool:
    """Whether a value is what it was when it was frozen."""
    kind, known = was
    if kind is object:
        return known() is value
    if type(value) is not kind:
        return False
    if issubclass(kind, dict):
        return value.keys() == known.keys() and all(same(value[k], known[k]) for k in known)
    if issubclass(kind, list | tuple):
        return len(value) == len(known) and all(map(same, value, known))
    if issubclass(kind, PLAIN):
        return bool(value == known or (value != value and known != known))
    return bool(frozen(value) == was)


def _attributes(found: Any) -> dict[str, Any]:
    return {name: item for name, item in vars(found).items() if name not in READ_AT_EVERY_RUN}
