"""What a training asks of the device: a network as a Program, and the values of its variables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from brian2.core.namespace import get_local_namespace
from brian2.core.network import Network
from brian2.core.variables import VariableView
from brian2.input.spikegeneratorgroup import SpikeGeneratorGroup

from brian2eprop.device import brian
from brian2eprop.device.capture.buffers import events_name
from brian2eprop.device.capture.builder import Before, array_name
from brian2eprop.device.capture.captured import Captured
from brian2eprop.device.capture.network import capture
from brian2eprop.device.capture.support import check_network
from brian2eprop.device.capture.unchanged import Memo, Origin, Watched, origin_of
from brian2eprop.device.lent import Borrower
from brian2eprop.device.memory.values import ValuesDevice
from brian2eprop.device.networks import Networks
from brian2eprop.device.program.connectivity.pairs import in_brian_order, in_their_order
from brian2eprop.device.rewiring.rules import Rewiring
from brian2eprop.device.rewiring.simulated import refuse_asked
from brian2eprop.errors import Unsupported

NONE_TRAINED: Mapping[Any, float] = MappingProxyType({})
NONE_REWIRED: Mapping[Any, Rewiring] = MappingProxyType({})


@dataclass(frozen=True)
class _Making:
    """How a network was captured, and what it was then."""

    origin: Origin
    namespace: Watched
    trained: Mapping[Any, float]
    rewirings: Mapping[Any, Rewiring]


class TrainingServices(ValuesDevice):
    """Networks as Programs, and their variables in the order of a Program's arrays."""

    def __init__(self) -> None:
        super().__init__()
        self.networks = Networks()
        self.memo = Memo(self.stamps)
        self._made_from: WeakKeyDictionary[Captured, _Making] = WeakKeyDictionary()

    def capture(
        self,
        network: Network,
        namespace: Mapping[str, Any] | None = None,
        level: int = 0,
        trained: Mapping[Any, float] = NONE_TRAINED,
        rewirings: Mapping[Any, Rewiring] = NONE_REWIRED,
    ) -> Captured:
        """A network as a Program, without running it.

        Parameters
        ----------
        network : Network
            The network.
        namespace : mapping, optional
            Where external names are looked up; by default where this is called.
        level : int
            How many more frames up to look.
        trained : mapping of brian2 Variable to float
            The delays that are to be trained, with the longest that each may become, in seconds.
        rewirings : mapping of Synapses to Rewiring
            The synapses that are to be rewired.

        Returns
        -------
        Captured
            The Program, and what ties it to Brian2's variables.

        Raises
        ------
        TypeError
            If it is no Network.
        Unsupported
            If the device does not run an object of the network, calls it between steps, or the
            network has other input than a training's.
        """
        if not isinstance(network, Network):
            raise TypeError(
                f"A network is needed, not an object of type {type(network).__name__}; give a "
                "Network, such as Network(collect())."
            )
        if namespace is None:
            namespace = get_local_namespace(level=level + 1)
        with self.networks.preparing:
            objects = check_network(network)
            brian.require_device(objects, self)
            _require_input(objects)
            refuse_asked(objects)
            captured = self._followed(network, Watched(namespace), trained, rewirings)
        for found in captured.operations:
            raise Unsupported(
                f"'{found.operation.name}' is a network operation, which a training does not "
                "call; set its attribute 'active' to False."
            )
        return captured

    def _followed(
        self,
        network: Network,
        namespace: Watched,
        trained: Mapping[Any, float],
        rewirings: Mapping[Any, Rewiring],
    ) -> Captured:
        """A network as a Program, and what it was made from is kept."""
        read: set[Any] = set()
        before = Before(since_ever)
        captured = self.capture_program(network, namespace, read, before, trained, rewirings)
        origin = origin_of(network.sorted_objects, namespace, read, self.stamps, ())
        self._made_from[captured] = _Making(origin, namespace, trained, rewirings)
        return captured

    def changed(self, network: Network, captured: Captured) -> str | None:
        """Name of what of a network is not as it was captured; None where nothing is.

        What names mean where the network was captured counts, not where this is called.

        Parameters
        ----------
        network : Network
            The network.
        captured : Captured
            The same as a Program, from :meth:`capture`.

        Raises
        ------
        Unsupported
            If it could not be captured any more.
        """
        objects = network.sorted_objects
        refuse_asked(objects)
        made = self._made_from[captured]
        # What a training rewires is its own doing, until somebody reads it and may change it.
        if made.origin.is_unchanged(objects, made.namespace, self.stamps, (), self.lent.is_ahead):
            return None
        with self.networks.preparing:
            now = self._followed(network, made.namespace, made.trained, made.rewirings)
        # Brian2 makes some attributes anew in every run.
        self._made_from[captured] = self._made_from.pop(now)
        return now.other_than(captured)

    def capture_program(
        self,
        network: Network,
        namespace: Mapping[str, Any],
        read: set[Any],
        before: Before | None = None,
        trained: Mapping[Any, float] = NONE_TRAINED,
        rewirings: Mapping[Any, Rewiring] = NONE_REWIRED,
    ) -> Captured:
        """A network as a Program; the variables whose values were read are added to ``read``.

        ``before`` is what is to be known of the runs before, if not only since when synapses are
        there; ``trained`` and ``rewirings`` are as for :meth:`capture`.
        """
        with self.capturing(read):
            return capture(
                network,
                namespace,
                self.memo,
                before or Before(self.formed.relevant),
                self.instances.arrays,
                trained,
                rewirings,
            )

    def array_name(self, view: VariableView) -> str:
        """Name of the Program's array of ``group.variable``."""
        return array_name(view.variable)

    def events_name(self, group: Any) -> str:
        """Name of the Program's events that are the spikes of a group."""
        return events_name(group)

    def read_array(self, captured: Captured, name: str) -> npt.NDArray[Any]:
        """The values of a variable or table, in the order of the Program's array.

        Parameters
        ----------
        captured : Captured
            The network.
        name : str
            Name of the array.

        Returns
        -------
        array, shape (size,) or (instances, size)
            A copy; with an instance axis where the instances differ.
        """
        if name in captured.tables:
            return captured.tables[name].copy()
        variable = captured.variables[name]
        self._pull(variable)
        return np.array(in_their_order(self.host_values(variable), captured.orders.get(name)))

    def write_array(self, captured: Captured, name: str, values: npt.ArrayLike) -> None:
        """Set a variable, in every instance, from values in the order of the Program's array.

        Parameters
        ----------
        captured : Captured
            The network.
        name : str
            Name of the array.
        values : array, shape (size,)
            The values in SI units.
        """
        variable = captured.variables[name]
        self.fill_with_array(
            variable, in_brian_order(np.asarray(values), captured.orders.get(name))
        )

    def rewrite(
        self, captured: Captured, name: str, contents: Mapping[str, npt.NDArray[Any]]
    ) -> None:
        """Make synapses those of other rows.

        They are numbered anew, so that those of the Program keep the numbers that they have in
        Brian2.

        Parameters
        ----------
        captured : Captured
            The network; its tables are rewritten.
        name : str
            Name of the synapses.
        contents : mapping of str to array
            Values of their tables, ends and variables, in the order of the Program's arrays.
        """
        for array, values in contents.items():
            if array in captured.tables:
                captured.tables[array][...] = values
            else:
                self.write_array(captured, array, values)
        ends = (captured.variables[end] for end in captured.rewired[name].ends)
        written = [captured.variables[array] for array in contents.keys() - captured.tables.keys()]
        for counted, of in zip(("N_outgoing", "N_incoming"), ends, strict=True):
            variable = of.owner.variables[counted]
            neurons = np.asarray(of.get_value())
            self.fill_with_array(variable, np.bincount(neurons, minlength=variable.size))
            written.append(variable)
        made = self._made_from[captured]
        origin = made.origin.with_new(written, self.stamps)
        self._made_from[captured] = replace(made, origin=origin)

    def lend(
        self, captured: Captured, names: Iterable[str], borrower: Borrower
    ) -> AbstractContextManager[None]:
        """While active, the borrower has the newest values of variables.

        Parameters
        ----------
        captured : Captured
            The network.
        names : iterable of str
            Names of the variables' arrays.
        borrower : Borrower
            Is asked before one of them is read, and told when it may have been changed.
        """
        return self.lent.lend({name: captured.variables[name] for name in names}, borrower)

    def in_transit(self, network: Network, captured: Captured) -> tuple[str, ...]:
        """Names of the pathways that have still to deliver spikes.

        Parameters
        ----------
        network : Network
            The network.
        captured : Captured
            The same as a Program.
        """
        transit = self.networks.of(network).transit
        # The run may have kept what they hear elsewhere than a training does.
        pathways = {**captured.pathways, **transit.pathways}
        return tuple(
            name
            for name, pathway in pathways.items()
            if name in captured.pathways
            and pathway.events in transit.sent
            and transit.sent[pathway.events].any_within(pathway.longest)
        )


def since_ever(pathway: Any, delay: int, time: float) -> None:
    """Samples begin at a time of their own: every synapse is there from their first step on."""


def _require_input(objects: Iterable[Any]) -> None:
    """Refuse spikes that are not those of the samples."""
    for found in objects:
        if isinstance(found, SpikeGeneratorGroup):
            raise Unsupported(
                f"'{found.name}' is a SpikeGeneratorGroup, which has the same spikes for every "
                "sample; use a brian2eprop.SpikeSource, which is given those of each."
            )
