"""The parts of Brian2 that it does not promise to keep, for the device and its memory.

Each was checked with Brian2 2.10.1 and 2.11.0. Where a new version changes one, it is mended
here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from inspect import getclosurevars
from types import MappingProxyType
from typing import Any

import numpy as np
from brian2.codegen.generators.base import CodeGenerator
from brian2.codegen.runtime.numpy_rt.numpy_rt import NumpyCodeObject
from brian2.codegen.translation import get_identifiers_recursively
from brian2.core import functions
from brian2.core.base import device_override
from brian2.core.clocks import BaseClock, Clock, EventClock
from brian2.core.network import Network
from brian2.core.preferences import prefs
from brian2.core.variables import ArrayVariable, Subexpression, VariableView
from brian2.devices.device import RuntimeDevice, all_devices
from brian2.groups.group import Group
from brian2.groups.subgroup import Subgroup
from brian2.input.binomial import BinomialFunction
from brian2.input.timedarray import TimedArray, _find_K
from brian2.spatialneuron.spatialneuron import SpatialNeuron
from brian2.units import second

from brian2eprop.errors import Unsupported

# Brian2's names of the ways an array is indexed: by the element in hand, not at all, by the
# neuron before and by the one behind a synapse, by the neuron of the whole of which a part is.
ELEMENT, SHARED, PRE, POST = "_idx", "0", "_presynaptic_idx", "_postsynaptic_idx"
PART = "_sub_idx"

# Our own: by the element of a kernel that a synapse shares; and where synapses keep which they are.
KERNEL, CONVOLUTION = "_kernel_idx", "_eprop_convolution"

# Its functions as it brings them: a script may put others in their place, or beside them.
DEFAULT_FUNCTIONS = MappingProxyType(dict(functions.DEFAULT_FUNCTIONS))

# Of which neurons the variables count the synapses.
COUNTED = {"N_outgoing": "source", "N_incoming": "target"}

_RANDOM_BUFFERS = ("rand_buffer", "randn_buffer", "rand_buffer_index", "randn_buffer_index")


def share_random_buffers(device: RuntimeDevice) -> None:
    """Give a device the runtime's random numbers.

    Brian2's compiled ``rand()`` is bound to these very buffers when it is imported.
    """
    for name in _RANDOM_BUFFERS:
        setattr(device, name, getattr(all_devices["runtime"], name))


def set_interval(
    network: Network, clocks: Iterable[BaseClock], duration: Any
) -> tuple[float, float]:
    """Let a network's clocks run for a duration from its time on.

    Parameters
    ----------
    network : Network
        The network.
    clocks : iterable of brian2 clock
        The clocks of its objects.
    duration : Quantity
        How long.

    Returns
    -------
    start, end : float
        When the run begins and ends, in seconds.
    """
    network._clocks = set(clocks)
    start, end = network.t, network.t + duration
    for clock in network._clocks:
        clock.set_interval(start, end)
    # Networks share clocks and may run in other threads, so nothing is read back from a clock.
    return float(start), float(end)


def step_of(clock: BaseClock, time: float) -> int:
    """The first step of a clock that does not begin before a time in seconds."""
    if isinstance(clock, EventClock):
        return int(np.searchsorted(clock._times, time))
    return step_at(time, clock.dt_)


def step_at(time: float, dt: float) -> int:
    """The first step of ``dt`` seconds that does not begin before a time in seconds.

    As Brian2's clocks have it, up to a ten-thousandth of a step.
    """
    nearest = int(np.round(time / dt))
    if abs(nearest * dt - time) / dt <= Clock.epsilon_dt:
        return nearest
    return int(np.ceil(time / dt))


def set_time(network: Network, clocks: Mapping[Any, tuple[int, float]]) -> None:
    """Set a network and its clocks to what is done next.

    Parameters
    ----------
    network : Network
        The network.
    clocks : mapping of brian2 clock to (int, float)
        The next step of each clock, and its time in seconds.
    """
    for clock, (step, time) in clocks.items():
        clock.variables["timestep"].set_value(step)
        clock.variables["t"].set_value(time)
    network.t_ = min(time for _, time in clocks.values())


def tell_time(network: Network, objects: Iterable[Any]) -> None:
    """Give the clocks of a network's objects its time: another network may have used them."""
    for clock in {found.clock for found in objects}:
        clock.set_interval(network.t, network.t)


def start(network: Network) -> None:
    """Forget that a network was stopped."""
    network._stopped = Network._globally_stopped = False


def stop(network: Network) -> None:
    """Stop a network after the step in hand."""
    network._stopped = True


def is_stopped(network: Network) -> bool:
    """Whether the network, or all networks, were stopped."""
    return bool(network._stopped or Network._globally_stopped)


@contextmanager
def running() -> Iterator[None]:
    """Let Brian2's ``stop()`` know that there is something to stop."""
    Network._globally_running = True
    try:
        yield
    finally:
        Network._globally_running = False


def note_run(device: RuntimeDevice, seconds: float, completed: float) -> None:
    """Keep what Brian2's devices tell of their last run."""
    device._last_run_time = seconds
    device._last_run_completed_fraction = completed


def note_profile(network: Network, seconds: Mapping[str, float] | None) -> None:
    """Keep how long each object took, where that was noted."""
    found = None if seconds is None else [(name, time * second) for name, time in seconds.items()]
    network._profiling_info = found


def longest_run(device: RuntimeDevice) -> float | None:
    """Seconds after which a run is to stop."""
    limit = device._maximum_run_time
    return None if limit is None else float(limit)


def warn_of_invalid_states(network: Network) -> None:
    """Let Brian2 warn of values that are not finite."""
    for found in network.sorted_objects:
        if isinstance(found, Group):
            found._check_for_invalid_states()
        if isinstance(found, SpatialNeuron):  # Brian2 integrates v without a differential equation
            found._check_for_invalid_values("v", found.state("v", use_units=False))


def stored_state(network: Network, name: str) -> Any:
    """What ``store`` has kept under a name in memory."""
    return network._stored_state[name]


def owner_of(variable: Any) -> Any:
    """The group that has a variable; None where there is none, or none any more.

    A variable holds its group by a weak reference only, and outlives it in views.
    """
    try:
        variable.owner.name  # noqa: B018 (a proxy of what is gone raises)
    except (AttributeError, ReferenceError):
        return None
    return variable.owner


def whole(group: Any) -> Any:
    """The group that a subgroup is a part of; other groups are whole themselves."""
    return group.source if isinstance(group, Subgroup) else group


def chosen_neurons(group: Any) -> tuple[int, int]:
    """The first neuron of the whole group that belongs to a group, and the one behind its last."""
    return (group.start, group.stop) if isinstance(group, Subgroup) else (0, len(group))


def clock_that_has(variable: Any) -> Any:
    """The clock that a variable of a clock belongs to, not a proxy of it."""
    return variable.owner.__repr__.__self__


def is_synapses(owner: Any) -> bool:
    """Whether the owner of a variable is a Synapses object."""
    return hasattr(owner, "_connect_called")


def is_synaptic(variable: Any) -> bool:
    """Whether a variable has a value for each of synapses."""
    owner = owner_of(variable)
    return owner is not None and is_synapses(owner) and variable in owner._registered_variables


def set_number(synapses: Any, number: int) -> None:
    """Give all variables of synapses another size; their values are not what they were."""
    for variable in synapses._registered_variables:
        variable.resize(number)
    synapses.variables["N"].set_value(number)
    for counted, side in COUNTED.items():
        synapses.variables[counted].resize(len(getattr(synapses, side)))


def ends(synapses: Any) -> tuple[ArrayVariable, ArrayVariable]:
    """The variables with the neurons before and behind each synapse."""
    return synapses.variables["_synaptic_pre"], synapses.variables["_synaptic_post"]


def convolution_of(synapses: Any) -> Any:
    """The convolution by which synapses share the elements of a kernel; None for others."""
    return getattr(synapses, "__dict__", {}).get(CONVOLUTION)


def number_stored(synapses: Any) -> int:
    """How many synapses there are to be kept: elements of a kernel, where they share one."""
    found = convolution_of(synapses)
    return len(synapses) if found is None else int(found.n_synapses)


def was_connected(synapses: Any) -> bool:
    """Whether synapses were asked for, if only none were made."""
    return len(synapses) > 0 or bool(synapses._connect_called)


def is_refractory(template_options: Mapping[str, Any]) -> bool:
    """Whether a threshold has to note its spikes for refractoriness."""
    return bool(template_options["_uses_refractory"])


def set_clocks(network: Network, clocks: Iterable[BaseClock]) -> None:
    """Tell a network its clocks, as its own run would."""
    network._clocks = set(clocks)


def original(method: Any) -> Any:
    """What Brian2 does where no device overrides it."""
    return method.original_function


def plain_name(variable: ArrayVariable) -> str:
    """What users call a variable: since Brian2 2.11 a delay is named after its pathway as well."""
    delay = variable.name.startswith("_") and variable.name.endswith("_delay")
    return "delay" if delay and is_synapses(variable.owner) else str(variable.name)


def is_delay(variable: Any) -> bool:
    """Whether a variable has the delays of a pathway, whose name no other of synapses may have."""
    owner = owner_of(variable)
    return owner is not None and is_synapses(owner) and plain_name(variable) == "delay"


def let_devices_show_views() -> None:
    """Let a device say of what shape a view is and what it prints, as it says what it holds."""
    VariableView.__repr__ = device_override("variableview_repr")(VariableView.__repr__)
    for name in ("shape", "ndim"):
        own = getattr(VariableView, name)
        shown = device_override(f"variableview_{name}")(own.fget)
        setattr(VariableView, name, property(shown, doc=own.__doc__))


def read_by(subexpression: Subexpression) -> list[Any]:
    """The variables that the value of a subexpression follows from."""
    known = subexpression.owner.variables
    names = get_identifiers_recursively([subexpression.expr], known)
    return [known[name] for name in names if name in known]


def is_silenced(group: Any, event: str) -> bool:
    """Whether a group has a threshold for an event that is inactive, so that Brian2 finds none."""
    threshold = getattr(whole(group), "thresholder", {}).get(event)
    return threshold is not None and not threshold.active


def has_other_spikes(group: Any) -> bool:
    """Whether a SpikeGeneratorGroup was given spikes that no run has taken over yet."""
    return bool(group._spikes_changed)


def require_device(objects: Iterable[Any], device: RuntimeDevice) -> None:
    """Refuse objects whose arrays are another device's.

    Parameters
    ----------
    objects : iterable of BrianObject
        The objects.
    device : RuntimeDevice
        The device that is to run them.

    Raises
    ------
    Unsupported
        If one was made on another device.
    """
    for found in objects:
        for variable in getattr(found, "variables", {}).values():
            if isinstance(variable, ArrayVariable) and variable.device is not device:
                raise Unsupported(
                    f"'{found.name}' was made before set_device('eprop_cuda') and belongs to "
                    "another device; call set_device first, then make all groups, synapses and "
                    "monitors."
                )


class _OrderCheck(CodeGenerator):  # type: ignore[misc]
    """Brian2's checks of code that it generates, without the code."""

    def translate_statement_sequence(self, scalar: Any, vector: Any) -> tuple[Any, Any, Any]:
        """Nothing."""
        return {}, {}, {}


def warn_of_order(
    owner: Any,
    name: str,
    abstract_code: str | Mapping[str | None, str],
    variables: Mapping[str, Any],
    variable_indices: Mapping[str, str],
) -> None:
    """Let Brian2 warn of synaptic code whose outcome depends on the order of the synapses."""
    blocks = abstract_code if isinstance(abstract_code, Mapping) else {None: abstract_code}
    check = _OrderCheck(
        variables, variable_indices, owner, False, NumpyCodeObject, name, "synapses"
    )
    check.translate(blocks, prefs["core.default_float_dtype"])


def binomial_parameters(function: BinomialFunction) -> Mapping[str, float]:
    """The numbers ``n`` and ``p`` that a function draws with.

    Where Brian2 draws from a normal distribution in their place, its ``loc`` and ``scale``.
    """
    return getclosurevars(function.implementations[NumpyCodeObject].get_code(None)).nonlocals


def fractions_of(array: TimedArray, dt: float) -> int:
    """Into how many parts a timed array divides its time step, for a clock of time step ``dt``."""
    return int(_find_K(dt, float(array.dt)))
