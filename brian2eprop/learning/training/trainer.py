"""``Trainer``: fits the parameters of a Brian2 network to labelled spikes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, partial
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.core.namespace import get_local_namespace
from brian2.synapses.synapses import Synapses

from brian2eprop.augmentation import Augmentation
from brian2eprop.device.rewiring.rules import Rule as RewiringRule
from brian2eprop.learning.objective.loss import Loss
from brian2eprop.learning.objective.regularisers import FiringRate
from brian2eprop.learning.objective.task import Output, Rule, Task
from brian2eprop.learning.training import finding, host
from brian2eprop.learning.training.analogue import AnalogueInputs, with_inputs
from brian2eprop.learning.training.arguments import (
    FITTED_WITH,
    MADE_WITH,
    check_count,
    check_heads,
    check_kind,
    check_list,
    check_seed,
    explains_arguments,
)
from brian2eprop.learning.training.callbacks import Callback
from brian2eprop.learning.training.connectivity import Connections
from brian2eprop.learning.training.constraints import Constraint, find_constraints
from brian2eprop.learning.training.data import Samples
from brian2eprop.learning.training.delays import trained_delays
from brian2eprop.learning.training.engine import Engine
from brian2eprop.learning.training.evaluation import Evaluation
from brian2eprop.learning.training.fitting import Fitting, Plan
from brian2eprop.learning.training.history import History
from brian2eprop.learning.training.keeping import Keeper
from brian2eprop.learning.training.metrics import Metric
from brian2eprop.learning.training.mirror import Mirror
from brian2eprop.learning.training.network import description
from brian2eprop.learning.training.optimiser import Optimiser
from brian2eprop.learning.training.parameters import Parameters
from brian2eprop.learning.training.progress import Progress
from brian2eprop.learning.training.rewiring import RewiredInTraining, find_rewirings
from brian2eprop.learning.training.schedules import Rate, find_rates
from brian2eprop.learning.training.turns import Turns


class Trainer(Evaluation):
    """Trains parameters of a Brian2 network.

    The network is captured when the Trainer is made: equations, connectivity, constants and
    the state that every sample starts from (at ``t = 0``) are those of that moment, whatever
    the network itself runs later. Values of parameters are read anew whenever ``fit``,
    ``evaluate`` or ``predict`` is called, and the trained ones are written back to the Brian2
    variables; the network's own state and time stay as they are. Within ``fit`` a callback
    that reads the variables sees the last update, and what it sets counts from the next one.

    Groups and synapses are called by their names, as in ``gradients()``: ``'w_in_w'`` is ``w_in.w``
    of ``Synapses(..., name='w_in')``. Several Trainers of one network take the same Network object:
    Brian2 counts its objects as that Network's from the first Trainer on, and refuses to add them
    to another one with the words that they have "already been simulated".

    What the network's names mean is looked up where the Trainer is made. A network that is changed
    afterwards (connections, objects, delays not trained, names in a namespace) is refused.

    Several threads may use a trainer: they wait for each other, save for ``fit``, during which
    other threads are refused.

    Parameters
    ----------
    network : Network
        What is trained; its SpikeSources take the samples.
    output : VariableView, NeuronGroup, or sequence of these
        State variable that the loss reads, such as ``readout.y``, or the group whose spikes it
        judges, such as ``hidden``; several for several losses, whose labels are then a list with
        those of each.
    loss : Loss or sequence of Loss
        How each output is judged.
    rule : Rule
        How gradients are computed: ``EProp``, ``SurrogateBPTT`` or ``EventProp``.
    parameters : sequence of VariableView
        What is trained, such as ``[synapses.w, readout.b]``; by EventProp ``synapses.delay`` too.
    optimiser : Optimiser
        How gradients change the parameters.
    regularisers : sequence of FiringRate
        Further terms of the loss.
    loss_weights : sequence of float, optional
        What the loss of each output counts in their sum; by default 1.
    constraints : mapping of VariableView to Constraint, optional
        What parameters are put back to after every update, such as ``{w.w: NonNegative()}``.
    learning_rates : mapping of VariableView to (float or callable), optional
        Learning rates of parameters that do not have the optimiser's, such as ``{w.w: 1e-4}`` or
        ``{w.w: CosineDecay(1e-4, 1000)}``.
    rewiring : mapping of Synapses to DeepR, SET, RigL or Rewire, optional
        How sparse synapses are rewired while one variable of theirs is trained, such as
        ``{w_rec: DeepR(l1=1e-4)}``.
    seed : int, optional
        Seed of the order of the samples and of what the rule draws.

    Raises
    ------
    RuntimeError
        If Brian2's device is not ``eprop_cuda``.
    TypeError, ValueError
        If output or parameters are no variables of the network that can be used so, another
        argument is not of its kind, or spikes are on their way to their targets.
    """

    @explains_arguments(MADE_WITH)
    def __init__(
        self,
        network: Any,
        *,
        output: Any,
        loss: Loss | Sequence[Loss],
        rule: Rule,
        parameters: Sequence[Any],
        optimiser: Optimiser,
        regularisers: Sequence[FiringRate] = (),
        loss_weights: Sequence[float] | None = None,
        constraints: Mapping[Any, Constraint] = MappingProxyType({}),
        learning_rates: Mapping[Any, Rate] = MappingProxyType({}),
        rewiring: Mapping[Synapses, RewiringRule] = MappingProxyType({}),
        seed: int | None = None,
    ) -> None:
        heads = check_heads(output, loss, loss_weights)
        check_kind("rule", rule, Rule, "one, such as EProp()")
        check_kind("optimiser", optimiser, Optimiser, "one, such as Adam(1e-3)")
        terms = check_list("Trainer", "regularisers", regularisers, FiringRate, "FiringRate(10*Hz)")
        self.loss, self.rule, self.optimiser, self.regularisers = loss, rule, optimiser, terms
        check_seed(seed)
        self._progress, self._turns = Progress(rng=np.random.default_rng(seed)), Turns()
        device = host.training_device()
        # Two frames up: between here and the caller there is the check of the arguments.
        delays = trained_delays(parameters, constraints, rule)
        drawn = int(np.random.default_rng(seed).integers(2**31))
        namespace = get_local_namespace(level=2)
        asked = find_rewirings(rewiring, parameters, drawn, namespace)
        captured = device.capture(network, namespace, trained=delays, rewirings=asked)
        host.check_transit(device, network, captured)
        self._streams = captured.program.streams
        self._outputs = finding.find_outputs(device, captured, heads)
        arrays = finding.find_parameters(device, captured, parameters)
        bounds = find_constraints(device, captured, arrays, constraints)
        rates = find_rates(device, captured, arrays, learning_rates)
        task = Task(
            outputs=tuple(Output(o.name, o.loss, o.weight) for o in self._outputs),
            parameters=tuple(array.name for array in arrays),
            regularisers=terms,
            contents=captured.tables,
            values=partial(host.read_shared, device, captured),
            seed=drawn,
            delays=captured.rounding,
            rewired=frozenset(captured.rewired),
            sought=frozenset(n for n, r in captured.rewired.items() if r.everywhere is not None),
            dimensions={name: found.dim for name, found in captured.variables.items()},
        )
        self._programs = cache(
            lambda inputs, frozen: rule.training_program(
                with_inputs(captured.program, inputs),
                task.without(frozen),
            )
        )
        programs = self._programs(frozenset(), frozenset())
        rewirings = RewiredInTraining(device.backend, captured.rewired, bounds, drawn)
        self._engine = Engine(device.backend, programs, optimiser, arrays, bounds, rates, rewirings)
        self._connections = Connections(network)
        self._mirror = Mirror(device, captured, network, self._engine, self._connections)
        dtype = device.backend.precision.dtype
        self._parameters = Parameters(captured, arrays, dtype)
        self._find = partial(finding.find_array, device, captured, role="parameter")
        self._analogue = AnalogueInputs(captured, task.parameters, dtype)
        made_of = {
            "network": description(captured.program, captured.tables),
            **{"rule": rule, "loss": loss, "loss_weights": loss_weights, "regularisers": terms},
            **{"constraints": bounds.of, "learning_rates": rates},
            "rewiring": {synapses.name: asked[synapses].rule for synapses in asked},
        }
        self._keeper = Keeper(
            self._engine, self._mirror, self._parameters, self._connections, self._progress, made_of
        )

    def __repr__(self) -> str:
        losses = (output.loss for output in self._outputs)
        parts = (*losses, self.rule, self.optimiser, *self.regularisers)
        return (
            f"<Trainer of {', '.join(self._parameters.arrays)}: "
            f"{', '.join(repr(part) for part in parts)}; {self.epoch} epochs>"
        )

    # Training

    @explains_arguments(FITTED_WITH)
    def fit(
        self,
        spikes: Samples | Any,
        labels: npt.ArrayLike | None = None,
        epochs: int = 1,
        batch_size: int | None = None,
        validation_data: tuple[Samples, npt.ArrayLike] | Mapping[str, Any] | Any = None,
        shuffle: bool = True,
        callbacks: Sequence[Callback] = (),
        verbose: bool = True,
        *,
        sample_weight: npt.ArrayLike | None = None,
        class_weight: Mapping[int, float] | None = None,
        lengths: npt.ArrayLike | None = None,
        augmentation: Sequence[Augmentation] = (),
        metrics: Sequence[Metric] = (),
    ) -> History:
        """Train.

        Ctrl-C ends the training after the update in hand; the parameters reached stay, and
        the history of the whole epochs is returned. A second Ctrl-C ends it without that
        update, as soon as the call in hand returns: a batch is computed in one.

        An epoch that was cut short, here or before a checkpoint was saved, goes on with its very
        next batch if it is given the same samples, ``batch_size`` and ``shuffle``; it counts as
        one of the epochs.

        Parameters
        ----------
        spikes : Spikes or mapping of str to Spikes or array
            Input of the samples, by SpikeSource where there are several; in a mapping also
            analogue input: an array of shape (samples, steps, neurons) for a variable that the
            equations only read, such as ``{'hidden_drive': currents}`` for ``hidden.drive``.
            Without labels, a data set that gives batches (spikes, labels), prepared in another
            thread: by index and with ``len()``, or a function that makes a generator.
        labels : array, shape (samples, ...), or list of these
            What the loss compares with; one array an output where there are several.
        epochs : int
            Number of passes over the samples, in addition to those done before.
        batch_size : int, optional
            Number of samples an update averages over, 64 unless given; that of a data set is its
            own.
        validation_data : tuple of (spikes, labels), mapping, or data set, optional
            Evaluated after every epoch; a mapping has the arguments of :meth:`evaluate`, a data
            set gives batches as above.
        shuffle : bool
            Whether every epoch has a new random order.
        callbacks : sequence of Callback
            Called between batches and epochs.
        verbose : bool
            Whether there is a progress bar for every epoch.
        sample_weight : array, shape (samples,), optional
            What the loss of each sample counts in the mean over the samples.
        class_weight : mapping of int to float, optional
            What the samples of each class count; 1 for classes that are left out.
        lengths : int array, shape (samples,), optional
            Number of steps of each sample, for samples that are shorter than their spikes: a
            sample ends there, and what comes after is not run.
        augmentation : sequence of Augmentation
            Done to the spikes of every batch, one after the other.
        metrics : sequence of Metric
            What the history gets besides, such as ``[TopKAccuracy(3), ConfusionMatrix()]``.

        Returns
        -------
        History
            Metrics of this call's epochs.

        Raises
        ------
        ValueError, TypeError
            If samples or labels are not what the network takes, a callback is none, or the
            network holds parameters that are not finite, or states that are NaN.
        RuntimeError
            If another thread is in ``fit``.
        FloatingPointError
            If a gradient, the loss or a parameter is not finite, or a state becomes NaN; the
            last finite parameters are kept.
        """
        called = check_list("fit", "callbacks", callbacks, Callback, "EarlyStopping('val_loss')")
        changes = check_list("fit", "augmentation", augmentation, Augmentation, "Shift(40)")
        epochs = check_count("epochs", epochs)
        further = {"sample_weight": sample_weight, "class_weight": class_weight, "lengths": lengths}
        source = self._source("fit", spikes, labels, batch_size, further)
        counted = self._counted("fit", metrics, source.first)
        validation = self._held_out(validation_data, source)
        plan = Plan(source, validation, self._progress.rng, shuffle, changes, counted)
        with self._turns.turn():
            self._follow(source.first)
            with self._turns.training():
                return self._train(plan, epochs, called, verbose)

    def _train(
        self, plan: Plan, epochs: int, callbacks: Sequence[Callback], verbose: bool
    ) -> History:
        self._connections.check()
        self._engine.tune()
        with self._mirror.training():
            self._engine.check_given()
            self._engine.check_constraints()
            self._engine.rewirings.begin(self._engine.store)
            engine, mirror, outputs = self._engine, self._mirror, self._outputs
            fitting = Fitting(engine, mirror, outputs, plan, self._progress, self)
            return fitting.run(epochs, callbacks, verbose)
