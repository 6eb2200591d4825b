"""``SpikeSource``: a group that emits given spikes, other ones in each instance."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2.codegen.codeobject import create_runner_codeobj
from brian2.core.spikesource import SpikeSource as BrianSpikeSource
from brian2.core.variables import Variables
from brian2.devices.device import RuntimeDevice, get_device
from brian2.groups.group import Group

from brian2eprop.errors import Unsupported
from brian2eprop.spike_checks import MAX_NEURONS
from brian2eprop.spikes import Spikes


class SpikeSource(Group, BrianSpikeSource):  # type: ignore[misc]
    """A population whose spikes are data: the input of a network.

    It is used as any group that spikes: as the source of Synapses and of a SpikeMonitor.
    Step 0 of the spikes is ``t = 0``; after their last step there are no spikes. On Brian2's other
    devices, such as 'runtime' and 'cpp_standalone', it emits one sample, so that a script can be
    compared.

    Parameters
    ----------
    N : int
        Number of neurons.
    spikes : Spikes, optional
        The spikes: one sample, or with ``set_device(..., batch_size=B)`` B samples. Assign
        to ``source.spikes`` to change them between runs.
    dt : Quantity, optional
        Time step, if other than the default clock's.
    name : str
        Name of the group.

    Raises
    ------
    TypeError
        If N is no positive integer, or the spikes are no Spikes.
    ValueError
        If the spikes are of another number of neurons, or there are more than 2**31 - 1.
    """

    add_to_magic_network = True

    def __init__(
        self, N: int, spikes: Spikes | None = None, dt: Any = None, name: str = "spikesource*"
    ) -> None:
        if isinstance(N, bool) or not isinstance(N, int | np.integer) or N < 1:
            raise TypeError(f"SpikeSource: N is {N!r}; give a positive whole number.")
        if N > MAX_NEURONS:
            raise ValueError(f"SpikeSource: N is {N}; give at most {MAX_NEURONS} neurons.")
        Group.__init__(self, dt=dt, clock=None, when="thresholds", order=0, name=name)
        self.codeobj_class = None
        self.events = {"spike": None}
        self.start, self.stop = 0, int(N)
        self._N = int(N)
        self._create_variables()
        self._given = self._checked(spikes)
        self._given_before: Spikes | None = None  # by a device without Python between its steps
        self._enable_group_attributes()

    def _create_variables(self) -> None:
        self.variables = Variables(self)
        self.variables.create_clock_variables(self._clock)
        self.variables.add_constant("N", value=self._N)
        self.variables.add_arange("i", self._N, constant=True, read_only=True)
        self.variables.add_array("_spikespace", size=self._N + 1, dtype=np.int32)

    @property
    def spikes(self) -> Spikes | None:
        """The spikes that are emitted."""
        return self._given

    @spikes.setter
    def spikes(self, spikes: Spikes | None) -> None:
        self._given = self._checked(spikes)

    def _checked(self, spikes: Spikes | None) -> Spikes | None:
        if spikes is None:
            return None
        if not isinstance(spikes, Spikes):
            raise TypeError(
                f"The spikes of SpikeSource '{self.name}' are of type {type(spikes).__name__}; "
                "make them with brian2eprop.Spikes, e.g. Spikes.from_dense(...)."
            )
        if spikes.n_neurons != self._N:
            raise ValueError(
                f"SpikeSource '{self.name}' has {self._N} neurons but its spikes are of "
                f"{spikes.n_neurons}; give spikes of {self._N} neurons."
            )
        return spikes

    def spikes_for(self, batch_size: int | None) -> Spikes:
        """The spikes of a run, checked against the number of instances.

        Parameters
        ----------
        batch_size : int or None
            Number of instances; None is one.

        Returns
        -------
        Spikes
            One sample for each instance.

        Raises
        ------
        ValueError
            If there are no spikes, or of another number of samples.
        """
        if self._given is None:
            raise ValueError(
                f"SpikeSource '{self.name}' has no spikes to emit; assign Spikes to its "
                "attribute 'spikes' before the run."
            )
        instances = 1 if batch_size is None else batch_size
        if len(self._given) != instances:
            raise ValueError(
                f"The spikes of SpikeSource '{self.name}' have {len(self._given)} samples but "
                f"batch_size is {batch_size}; give {instances}, e.g. spikes[:{instances}]."
            )
        return self._given

    def before_run(self, run_namespace: Any) -> None:
        """Have the spikes ready on Brian2's other devices, which ask for no stream."""
        if not getattr(get_device(), "feeds_spike_sources", False):
            given = self.spikes_for(None)
            self._stream = given.stream()
            if not isinstance(get_device(), RuntimeDevice):
                self._give(given)
        super().before_run(run_namespace)

    def _give(self, given: Spikes) -> None:
        """Have a device without Python between its steps emit them as a SpikeGeneratorGroup does.

        Raises
        ------
        Unsupported
            If they are others than in the run before.
        """
        if self._given_before not in (None, given):
            raise Unsupported(
                f"SpikeSource '{self.name}' has got other spikes between two runs, which the "
                "device cannot follow; have them all in one Spikes, or use 'eprop_cuda' or "
                "'runtime'."
            )
        if self._given_before is None:
            self._given_before, stream = given, self._stream
            steps = np.repeat(np.arange(stream.start.shape[1] - 1), np.diff(stream.start[0]))
            for name, values in (("_timebins", steps), ("neuron_index", stream.index)):
                self.variables.add_dynamic_array(
                    name, values=values.astype(np.int32), size=len(values), dtype=np.int32
                )
            for name in ("_period_bins", "_lastindex"):
                self.variables.add_array(name, size=1, values=0, dtype=np.int32, scalar=True)
            name = f"{self.name}_codeobject*"
            self._code_objects[:] = [
                create_runner_codeobj(self, "", "spikegenerator", {}, name=name)
            ]

    def run(self) -> None:
        """Emit the spikes of a step on Brian2's own device, which asks for them step by step."""
        emitted = self._stream.of(int(self._clock.variables["timestep"].get_value().item()))
        spikespace = self.variables["_spikespace"].get_value()
        spikespace[: len(emitted)] = emitted
        spikespace[-1] = len(emitted)

    def __len__(self) -> int:
        """Number of neurons."""
        return self._N

    def __repr__(self) -> str:
        return f"<SpikeSource '{self.name}' of {self._N} neurons: {self._given!r}>"
