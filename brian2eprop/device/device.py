"""The device ``eprop_cuda``: Brian2's hooks."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any
from weakref import WeakKeyDictionary, finalize, ref

import numpy as np
import numpy.typing as npt
from brian2.codegen.runtime.numpy_rt.numpy_rt import NumpyCodeObject
from brian2.core.functions import Function
from brian2.core.namespace import get_local_namespace
from brian2.core.network import Network
from brian2.core.preferences import prefs
from brian2.core.variables import VariableView
from brian2.devices.device import all_devices
from brian2.units import second
from brian2.units.fundamentalunits import check_units

from brian2eprop.device.backends import registry
from brian2eprop.device.backends.base import Backend
from brian2eprop.device.capture.builder import array_name
from brian2eprop.device.capture.captured import Captured
from brian2eprop.device.capture.network import capture, make_inert
from brian2eprop.device.capture.support import check_network
from brian2eprop.device.capture.translate import Unsupported
from brian2eprop.device.memory.instances import InstanceLoop
from brian2eprop.device.memory.lent import Borrower, Lent
from brian2eprop.device.memory.snapshot import OWN, find_snapshot, put_snapshot, take_snapshot
from brian2eprop.device.memory.state import State, in_brian_order, in_program_order
from brian2eprop.device.memory.values import ValuesDevice
from brian2eprop.device.options import Options, read_options
from brian2eprop.device.run.progress import Progress
from brian2eprop.device.run.run import Run, check_states

_SETTERS = ("group_variable_set", "group_variable_set_conditional")
_GETTERS = ("group_variable_get", "group_variable_get_conditional")


class EpropDevice(ValuesDevice):
    """Brian2's runtime device, but runs are compiled as a whole, for one or many instances.

    See ``brian2.set_device`` and :meth:`activate` for its options.
    """

    feeds_spike_sources = True

    def __init__(self) -> None:
        super().__init__()
        runtime = all_devices["runtime"]
        # Brian2's compiled rand() is bound to these very buffers when it is imported.
        for name in ("rand_buffer", "randn_buffer", "rand_buffer_index", "randn_buffer_index"):
            setattr(self, name, getattr(runtime, name))
        self.capturing = False
        self.lent = Lent()
        self._start(Options())

    def _start(self, options: Options) -> None:
        self.options = options
        self.start_values(options.batch_size)
        self._backend: Backend | None = None
        self._states: WeakKeyDictionary[Network, State] = WeakKeyDictionary()
        self._storing: Network | None = None

    def activate(
        self,
        build_on_run: bool = True,
        batch_size: int | None = None,
        backend: str = registry.AUTO,
        precision: str = "float32",
        seed: int | None = None,
        **others: Any,
    ) -> None:
        """Make it the current device; called by ``set_device('eprop_cuda', ...)``.

        Parameters
        ----------
        build_on_run : bool
            Accepted as for every device; a run always runs.
        batch_size : int, optional
            Number of instances. None: one, and every shape is Brian2's own. B: what a run
            changes, and what is set with values of shape (B, elements), has that shape.
        backend : str
            'auto' (a GPU where there is one), 'cpu', 'cuda', 'emulated' or 'reference'.
        precision : str
            'float32' or 'float64'.
        seed : int, optional
            Seed of the random numbers in initial values and connections.
        **others
            ``directory``, ``with_output`` and the like, which other devices take.

        Raises
        ------
        ValueError
            If a value is none that the option takes, or there is no such option.
        """
        options = read_options(batch_size, backend, precision, seed, others)
        for state in self._states.values():
            state.pull_all()
        chosen = {"batch_size": batch_size, "backend": backend, "precision": precision}
        super().activate(build_on_run, **chosen, seed=seed, **others)
        self._start(options)
        if seed is not None:
            self.seed(seed)

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
        chosen = codeobj_class is not None or prefs[fallback_pref] != "auto"
        if self.capturing or not chosen:
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
        if self.capturing:
            return make_inert(
                owner,
                name,
                abstract_code,
                variables,
                variable_indices,
                template_kwds,
                override_conditional_write,
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
        if self.instances is None:
            return compiled
        return self._in_each_instance(compiled, abstract_code, variables, template_name)

    def _in_each_instance(
        self, compiled: Any, abstract_code: Any, variables: Mapping[str, Any], template: str
    ) -> Any:
        assert self.instances is not None
        target = _target(abstract_code, variables) if template in _SETTERS else None
        arrays = [v for v in variables.values() if v in self.arrays]
        varying = [v for v in arrays if v in self.instances]
        if target is not None and (varying or _draws_for_neurons(target, variables)):
            self._pull(target)
            self._touch(target)
            self.instances.promote(target)
            varying = [*varying, target]
        if not varying:
            return compiled
        if template not in (*_SETTERS, *_GETTERS):
            raise Unsupported(
                f"'{compiled.owner.name}' is indexed or connected by an expression with "
                f"'{varying[0].name}', which differs between instances; use indices or arrays."
            )
        for variable in varying:
            self._pull(variable)
        return InstanceLoop(compiled, self.instances, varying, target)

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
        if duration < 0:
            raise ValueError(f"run: duration is {duration}; give one that is not negative.")
        if profile:
            raise Unsupported(
                f"'{network.name}' is to be profiled object by object, but eprop_cuda runs all of "
                "its objects in one kernel. Leave profile=True out and time the whole run."
            )
        gc.collect()  # so that groups that are in no network are warned about
        if namespace is None:
            namespace = get_local_namespace(level=level + 3)
        objects = check_network(network)
        if not objects:
            return
        network._clocks = {objects[0].clock}
        self.lent.pull_all()
        start = network.t
        objects[0].clock.set_interval(start, start + duration)
        captured = self._capture(network, namespace)
        progress = Progress(report, report_period, start, duration)
        run = Run(self, network, captured, self._state(network, captured))
        completed = run.execute(progress)
        if completed:
            network.t_ = float(start + duration)
        self._last_run_time = progress.elapsed
        fraction = float((network.t - start) / duration) if duration > 0 else 1.0
        self._last_run_completed_fraction = fraction
        check_states(network)
        progress.tell(fraction)
        network.after_run()

    def _capture(self, network: Network, namespace: Mapping[str, Any]) -> Captured:
        promoted = () if self.instances is None else map(array_name, self.instances.arrays)
        with self._only_looking():
            return capture(network, namespace, self, frozenset(promoted))

    def _state_for(self, network: Network) -> State:
        state = self._states.get(network)
        if state is None:
            state = self._states[network] = State(self, self.backend, self.options.instances)
            # Groups outlive their network; what they hold must not be lost with its memory.
            finalize(network, state.pull_all).atexit = False
        return state

    def _state(self, network: Network, captured: Captured) -> State:
        state = self._state_for(network)
        for name, variable in captured.variables.items():
            self._state_of[variable] = ref(state)
            if self.instances is not None and name in captured.written:
                self.instances.promote(variable)
        return state

    def network_store(
        self, network: Network, name: str = "default", filename: str | None = None
    ) -> None:
        """Store the state of a network, with spikes in flight and all instances."""
        self._storing = network
        try:
            Network.store.original_function(network, name, filename)
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
        state = self._state_for(network)
        state.pull_all()
        Network.restore.original_function(network, name, filename, restore_random_state)
        snapshot = find_snapshot(network, name, filename)
        if snapshot is not None:
            put_snapshot(snapshot, network, self.instances, state)

    def get_random_state(self) -> dict[str, Any]:
        """The state of the random numbers; within ``store``, with the device's own state."""
        found: dict[str, Any] = super().get_random_state()
        if self._storing is not None:
            network = self._storing
            found[OWN] = take_snapshot(network, self.instances, self._states.get(network))
        return found

    # For training

    def capture(
        self, network: Network, namespace: Mapping[str, Any] | None = None, level: int = 0
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

        Returns
        -------
        Captured
            The Program, and what ties it to Brian2's variables.

        Raises
        ------
        TypeError
            If it is no Network.
        """
        if not isinstance(network, Network):
            raise TypeError(
                f"A network is needed, not an object of type {type(network).__name__}; give a "
                "Network, such as Network(collect())."
            )
        if namespace is None:
            namespace = get_local_namespace(level=level + 1)
        return self._capture(network, namespace)

    def array_name(self, view: VariableView) -> str:
        """Name of the Program's array of ``group.variable``."""
        return array_name(view.variable)

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
        return np.array(in_program_order(captured, name, self.host_values(variable)))

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
        self.fill_with_array(variable, in_brian_order(captured, name, np.asarray(values)))

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
        state = self._states.get(network)
        flights = {} if state is None else state.take_flights()
        return tuple(
            name
            for name, pathway in captured.pathways.items()
            if pathway.events in flights and flights[pathway.events].any_within(pathway.steps)
        )


def _target(abstract_code: Any, variables: Mapping[str, Any]) -> Any:
    code = abstract_code
    if isinstance(code, Mapping):
        code = code.get("statement", code.get(None))
    return variables[code.split("=", 1)[0].strip()]


def _draws_for_neurons(target: Any, variables: Mapping[str, Any]) -> bool:
    """Whether fresh random numbers are drawn for a neuron's variable.

    Synaptic variables are shared by the instances unless they are set with an instance axis.
    """
    draws = any(isinstance(v, Function) and not v.stateless for v in variables.values())
    return draws and not hasattr(target.owner, "_connect_called")


eprop_device = EpropDevice()
