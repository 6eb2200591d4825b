"""The device ``eprop_cuda``: Brian2's hooks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from brian2.codegen.runtime.numpy_rt.numpy_rt import NumpyCodeObject
from brian2.core.base import BrianObjectException
from brian2.core.functions import Function
from brian2.core.namespace import get_local_namespace
from brian2.core.network import Network
from brian2.core.preferences import prefs
from brian2.units import second
from brian2.units.fundamentalunits import check_units

from brian2eprop.device import brian
from brian2eprop.device.backends import registry
from brian2eprop.device.backends.base import Backend
from brian2eprop.device.capture.builder import Before
from brian2eprop.device.capture.captured import Captured
from brian2eprop.device.capture.network import make_inert
from brian2eprop.device.capture.support import check_network, refuse_arrays
from brian2eprop.device.capture.unchanged import Origin, Watched, origin_of
from brian2eprop.device.codegen.parts import Layout
from brian2eprop.device.connecting.hooks import KeepsRules
from brian2eprop.device.connecting.keeping import end_rules
from brian2eprop.device.memory.delays import delays_that_matter
from brian2eprop.device.memory.instances import refuse_network
from brian2eprop.device.memory.loop import InstanceLoop
from brian2eprop.device.memory.recorders import fit_instances
from brian2eprop.device.memory.snapshot import (
    OWN,
    check_instances,
    check_sizes,
    find_snapshot,
    find_stored,
    overwritten,
    put_snapshot,
    take_snapshot,
)
from brian2eprop.device.memory.transit import Transit
from brian2eprop.device.networks import Kept
from brian2eprop.device.options import Options, check_duration, read_options
from brian2eprop.device.rewiring.simulated import rewirings_of
from brian2eprop.device.run.progress import Progress
from brian2eprop.device.run.run import run
from brian2eprop.device.standalone import StandaloneCalls
from brian2eprop.device.training import TrainingServices
from brian2eprop.errors import Unsupported

_SETTERS = ("group_variable_set", "group_variable_set_conditional")
_GETTERS = ("group_variable_get", "group_variable_get_conditional")


class EpropDevice(StandaloneCalls, KeepsRules, TrainingServices):
    """Brian2's runtime device, but runs are compiled as a whole, for one or many instances.

    See ``brian2.set_device`` and :meth:`activate` for its options.
    """

    feeds_spike_sources = True

    def __init__(self) -> None:
        super().__init__()
        brian.share_random_buffers(self)
        self.options = Options()
        self._backend: Backend | None = None
        self._storing: Network | None = None

    def activate(
        self,
        build_on_run: bool | None = None,
        batch_size: int | None = None,
        backend: str = registry.AUTO,
        precision: str = "float32",
        seed: int | None = None,
        layout: str = Layout.PER_INSTANCE.value,
        **others: Any,
    ) -> None:
        """Make it the current device; called by ``set_device('eprop_cuda', ...)``.

        Values of variables and spikes in transit stay as they are; what another number of
        instances cannot go on with is refused when it is needed. Without any argument, as
        in ``device.reinit(); device.activate()``, the options stay as well.

        Parameters
        ----------
        build_on_run : bool, optional
            Accepted as for every device; a run always runs.
        batch_size : int, optional
            Number of instances. None: one, and every shape is Brian2's own. B: what a run
            changes, and what is set with values of shape (B, elements), has that shape.
        backend : str
            'auto' (a GPU where there is one), 'cpu', 'cuda', 'emulated' or 'reference'.
        precision : str
            'float32' or 'float64'.
        seed : int, optional
            Seed of the random numbers, as Brian2's ``seed()`` gives it.
        layout : str
            'per_instance' (a core or a block of a GPU for each instance) or 'team' (all cores, or
            blocks, share the loops of each; for few instances of tens of thousands of neurons).
        **others
            ``directory``, ``with_output`` and the like, which other devices take.

        Raises
        ------
        ValueError
            If a value is none that the option takes, or there is no such option.
        Unsupported
            If something is to run later, or with other values (``run=False``, ``run_args``).
        """
        chosen = {
            "batch_size": batch_size, "backend": backend, "precision": precision, "seed": seed,
            "layout": layout,
        }  # fmt: skip
        bare = build_on_run is None and chosen == _DEFAULTS and not others
        if bare and self.build_options:
            build_on_run, chosen = self.build_on_run, self.build_options
        options = read_options(**chosen, **others)
        self.networks.rest()
        super().activate(build_on_run is not False, **chosen, **others)
        self.options, self._backend = options, None
        self.instances.size = options.batch_size
        if options.seed is not None:
            self.seed(options.seed)

    @property
    def batch_size(self) -> int | None:
        """Number of instances; None where shapes are Brian2's own. ``set_device`` sets it."""
        return self.options.batch_size

    @batch_size.setter
    def batch_size(self, value: Any) -> None:
        raise AttributeError(
            f"batch_size is an option of the device; call set_device('eprop_cuda', batch_size="
            f"{value!r}) to choose it."
        )

    @property
    def backend(self) -> Backend:
        """Where networks run; chosen when first needed."""
        if self._backend is None:
            self._backend = registry.create(self.options.backend, self.options.precision)
        return self._backend

    # Code objects

    def code_object_class(
        self, codeobj_class: Any = None, fallback_pref: str = "codegen.target"
    ) -> Any:
        """The class of code outside of runs; while capturing, one that knows all.

        Outside of runs code runs once, so NumPy is faster than any compiler, unless the user
        has chosen one.
        """
        if prefs[fallback_pref] is None:  # from 2.11 on, a preference may leave the choice open
            fallback_pref = "codegen.target"
        chosen = codeobj_class is not None or prefs[fallback_pref] != "auto"
        if self.is_capturing or not chosen:
            return NumpyCodeObject
        return super().code_object_class(codeobj_class, fallback_pref)

    def code_object(
        self,
        owner: Any,
        name: str,
        abstract_code: Any,
        variables: Mapping[str, Any],
        template_name: str,
        variable_indices: Mapping[str, str],
        codeobj_class: Any = None,
        template_kwds: Any = None,
        override_conditional_write: Any = None,
        compiler_kwds: Any = None,
    ) -> Any:
        """A code object: inert while capturing, one that runs in each instance elsewhere."""
        if self.is_capturing:
            if template_name == "synapses":
                brian.warn_of_order(owner, name, abstract_code, variables, variable_indices)
            return make_inert(
                owner,
                name,
                abstract_code,
                variables,
                template_name,
                variable_indices,
                template_kwds,
                override_conditional_write,
                self.code_object,
            )
        compiled = super().code_object(
            owner,
            name,
            abstract_code,
            variables,
            template_name,
            variable_indices,
            codeobj_class,
            template_kwds,
            override_conditional_write,
            compiler_kwds,
        )
        return self._in_each_instance(compiled, abstract_code, variables, template_name)

    def _in_each_instance(
        self, compiled: Any, abstract_code: Any, variables: Mapping[str, Any], template: str
    ) -> Any:
        target = _target(abstract_code, variables) if template in _SETTERS else None
        arrays = [v for v in variables.values() if v in self.arrays]
        for variable in arrays:
            self._pull(variable)
            self.instances.settle(variable)
        # What is connected grows; nothing is read of it.
        grows = compiled.owner if template.startswith("synapses_create") else None
        varying = [v for v in arrays if v.owner is not grows and v in self.instances]
        draws = self.instances.size is not None and _draws_for_neurons(target, variables)
        if target is not None and (varying or draws):
            refuse_network(target)
            self._touch(target)
            self.instances.promote(target)
            varying = list(dict.fromkeys([*varying, target]))
        if not varying:
            return compiled
        if template not in (*_SETTERS, *_GETTERS):
            raise Unsupported(
                f"'{compiled.owner.name}' is indexed or connected by an expression with "
                f"'{varying[0].name}', which differs between instances; use indices or arrays."
            )
        code = "\n".join(_blocks(abstract_code).values())
        return InstanceLoop(compiled, self.instances, varying, target, code)

    # Networks

    @check_units(duration=second, report_period=second)  # type: ignore[untyped-decorator]
    def network_run(
        self,
        network: Network,
        duration: Any,
        report: Any = None,
        report_period: Any = 10 * second,
        namespace: Any = None,
        profile: Any = None,
        level: int = 0,
    ) -> None:
        """Run a network, as ``Network.run`` does."""
        check_duration(duration, self.defaultclock)
        if namespace is None:
            namespace = get_local_namespace(level=level + 3)
        progress = Progress(report, report_period, network.t, duration)
        self.lent.pull_all()
        with self.networks.running(network) as kept:
            run(self, network, kept, duration, namespace, progress, bool(profile))

    def is_unchanged(self, network: Network, kept: Kept, namespace: Mapping[str, Any]) -> bool:
        """Whether the capture that is kept of a network is still one of it."""
        objects = network.sorted_objects
        return kept.is_unchanged(objects, namespace, self.stamps, self._instances_of)

    def capture_for_run(
        self, network: Network, namespace: Mapping[str, Any], transit: Transit
    ) -> tuple[Captured | None, Origin | None]:
        """A network as a Program with what it was made from; None where there is nothing to run.

        Parameters
        ----------
        network : Network
            The network.
        namespace : mapping of str to object
            Where external names are looked up.
        transit : Transit
            What its last run has left.

        Returns
        -------
        captured : Captured or None
            The Program, and what ties it to Brian2's objects.
        origin : Origin or None
            What tells later whether the network is unchanged.

        Raises
        ------
        Unsupported
            If the device does not run an object of the network, or something that it does.
        """
        objects = check_network(network)
        if not objects:
            return None, None
        brian.require_device(objects, self)
        brian.tell_time(network, objects)
        self._fit_monitors(network)
        watched = Watched(namespace)
        read: set[Any] = set()
        delays = partial(delays_that_matter, transit)
        holds = self.postponed.holds
        before = Before(self.formed.relevant, delays, True, self.formed.times, holds)
        rewirings = rewirings_of(objects, self.options.instances)
        end_rules(self, rewirings)
        try:
            captured = self.capture_program(network, watched, read, before, rewirings=rewirings)
        except BrianObjectException:
            if self.instances.size is not None:
                refuse_arrays(namespace, watched.asked)
            raise
        for name in captured.written:
            if self.instances.size is not None:
                self.postponed.settle(captured.variables[name])
                self.instances.promote(captured.variables[name])
        origin = origin_of(
            network.sorted_objects, watched, read, self.stamps, self._instances_of(captured)
        )
        return captured, origin

    def _instances_of(self, captured: Captured) -> tuple[Any, ...]:
        names = captured.variables.keys() - captured.written
        varying = (n for n in names if captured.variables[n] in self.instances.arrays)
        return self.instances.size, frozenset(varying)

    def _fit_monitors(self, network: Network) -> None:
        for found in network.sorted_objects:
            if found.active:
                fit_instances(found, self.arrays, self.instances)

    def network_store(
        self, network: Network, name: str = "default", filename: str | None = None
    ) -> None:
        """Store the state of a network, with spikes in transit and all instances."""
        self._fit_monitors(network)
        self._storing = network
        try:
            brian.original(Network.store)(network, name, filename)
        finally:
            self._storing = None

    def network_restore(
        self,
        network: Network,
        name: str = "default",
        filename: str | None = None,
        restore_random_state: bool = False,
    ) -> None:
        """Restore a stored state of a network."""
        stored = find_stored(network, name, filename)
        check_sizes(stored, network)
        snapshot = find_snapshot(stored, network, name)
        check_instances(snapshot, network, self.options.batch_size)
        with self.networks.running(network) as kept:
            if kept.state is not None:
                kept.state.give_up(overwritten(stored, network))
            kept.rest()
            brian.original(Network.restore)(network, name, filename, restore_random_state)
            if snapshot is not None:
                kept.rest(put_snapshot(snapshot, network, self.instances, self.formed))

    def get_random_state(self) -> dict[str, Any]:
        """The state of the random numbers; within ``store``, with the device's own state."""
        found = super().get_random_state()
        if self._storing is not None:
            network = self._storing
            transit = self.networks.of(network).transit
            found[OWN] = take_snapshot(network, self.instances, transit, self.formed)
        return found


_DEFAULTS = {
    "batch_size": None, "backend": registry.AUTO, "precision": "float32", "seed": None,
    "layout": Layout.PER_INSTANCE.value,
}  # fmt: skip


def _target(abstract_code: Any, variables: Mapping[str, Any]) -> Any:
    blocks = _blocks(abstract_code)
    code = blocks.get("statement", blocks.get(None, ""))
    return variables[code.split("=", 1)[0].strip()]


def _blocks(abstract_code: Any) -> Mapping[str | None, str]:
    return abstract_code if isinstance(abstract_code, Mapping) else {None: abstract_code}


def _draws_for_neurons(target: Any, variables: Mapping[str, Any]) -> bool:
    """Whether fresh random numbers are drawn for a neuron's variable.

    Synaptic variables are shared by the instances unless they are set with an instance axis.
    """
    draws = any(isinstance(v, Function) and not v.stateless for v in variables.values())
    return draws and not brian.is_synapses(target.owner)


eprop_device = EpropDevice()
