"""The synapses of a network: those that a training was made for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.synapses.synapses import Synapses

from brian2eprop.device import brian


class Connections:
    """The synapses of a network, as they were at one moment.

    Parameters
    ----------
    network : Network
        The network.
    """

    def __init__(self, network: Any) -> None:
        self._synapses = [found for found in network.objects if isinstance(found, Synapses)]
        self._counts = {synapses.name: len(synapses) for synapses in self._synapses}

    def check(self) -> None:
        """Refuse to go on after ``connect``.

        Raises
        ------
        ValueError
            If there are more synapses by now.
        """
        for synapses in self._synapses:
            before = self._counts[synapses.name]
            if len(synapses) != before:
                raise ValueError(
                    f"Trainer: '{synapses.name}' has {len(synapses)} synapses by now, but {before} "
                    "when the Trainer was made; make a new Trainer after connect()."
                )

    def pairs(self) -> dict[str, npt.NDArray[np.int32]]:
        """Source and target of each synapse in Brian2's order, shape (2, synapses), by name.

        Of synapses that share a kernel it is what says which they are, in two rows.
        """
        return {synapses.name: _pairs(synapses) for synapses in self._synapses}


def _pairs(synapses: Synapses) -> npt.NDArray[np.int32]:
    found = brian.convolution_of(synapses)
    if found is None:
        return np.array([synapses.i[:], synapses.j[:]], np.int32)
    return np.array(found.settings(), np.int32).reshape(2, -1)


def value_digest(values: npt.NDArray[Any]) -> str:
    """A hash of values, the same in both precisions."""
    with np.errstate(over="ignore"):
        single = values.astype("<f4") if values.dtype.kind == "f" else values.astype("<i4")
    return hashlib.sha256(np.ascontiguousarray(single).tobytes()).hexdigest()


def digests(pairs: Mapping[str, npt.NDArray[np.int32]]) -> dict[str, str]:
    """A hash of each connectivity, by the name of its synapses."""
    return {
        name: hashlib.sha256(np.ascontiguousarray(found, "<i4").tobytes()).hexdigest()
        for name, found in pairs.items()
    }
