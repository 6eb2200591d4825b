"""E-prop as plain Brian2 equations, run by Brian2's own runtime: a reference for gradients.

Bellec et al., Nature Communications 11:3625 (2020). Every synapse carries its eligibility vector
as differential equations of its own, so nothing here is derived, reversed in time or shared with
the package under test. Only ``brian2`` and ``numpy`` are imported.

Within a step the order is Brian2's: (A) exact integration, (B) threshold, (C) arrivals of spikes,
(D) resets. A spike of step ``t`` with a delay of ``d`` steps arrives in step ``t + d``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import brian2 as b2
import numpy as np
from brian2.devices.device import reset_device

from tests.oracles.networks import Bools, Floats, Goal, Gradients, Hidden, Model, Pathway


def gradients(model: Model, spikes: Bools, goal: Goal) -> Gradients:
    """The e-prop gradients of one sample.

    Parameters
    ----------
    model : Model
        The network.
    spikes : bool array, shape (steps, inputs)
        Input spikes.
    goal : Goal
        What the readout should do.
    """
    with _runtime(model.dt):
        network, parts = _build(model, spikes, goal)
        network.run(len(spikes) * model.dt * b2.second, namespace={})
        return _collect(model, parts, goal)


@contextmanager
def _runtime(dt: float) -> Iterator[None]:
    b2.set_device("runtime")
    target, old_dt = b2.prefs.codegen.target, b2.defaultclock.dt
    b2.prefs.codegen.target = "numpy"
    b2.defaultclock.dt = dt * b2.second
    try:
        yield
    finally:
        b2.prefs.codegen.target = target
        b2.defaultclock.dt = old_dt
        reset_device()


def _build(model: Model, spikes: Bools, goal: Goal) -> tuple[b2.Network, dict[str, Any]]:
    steps, neurons = np.nonzero(spikes)
    dt = model.dt * b2.second
    source = b2.SpikeGeneratorGroup(spikes.shape[1], neurons, steps * dt)
    hidden, readout = _hidden_group(model), _readout_group(model, goal)
    parts: dict[str, Any] = {
        "w_in": _hidden_synapses(model, source, hidden, model.w_in),
        "w_rec": _hidden_synapses(model, hidden, hidden, model.w_rec),
        "w_out": _readout_synapses(model, hidden, readout),
        "readout": readout,
        "fired": b2.StateMonitor(hidden, "fired", record=True, when="end"),
        "y": b2.StateMonitor(readout, ["y", "loss"], record=True, when="end", order=3),
    }
    helpers = [source, hidden, _softmax(readout), _feedback(model, hidden, readout)]
    return b2.Network(*helpers, *parts.values()), parts


def _hidden_group(model: Model) -> b2.NeuronGroup:
    hidden, n = model.hidden, len(model.hidden.tau_m)
    active = "1" if hidden.refractory is None else "int(not_refractory)"
    current = "" if hidden.tau_syn is None else "dI/dt = -I/tau_syn : 1"
    equations = f"""
        dv/dt = {_drive("v", "I", hidden)}/tau_m : 1 {"(unless refractory)" if hidden.halts else ""}
        da/dt = -a/tau_a : 1
        {current}
        excess = v - v_th - beta*a : 1
        psi = gamma/width*clip(1 - abs(excess/width), 0, 1)*{active} : 1
        fired : 1
        learning : 1
        beta : 1 (constant)
        tau_m : second (constant)"""
    steps = hidden.refractory
    group = b2.NeuronGroup(
        n,
        equations,
        threshold="v > v_th + beta*a",
        reset=("v = 0" if hidden.hard_reset else "v -= v_th") + "; a += 1; fired = 1",
        refractory=False if steps is None else steps * model.dt * b2.second,
        method="exact",
        namespace=_constants(model),
    )
    group.run_regularly("fired = 0", when="start")
    group.tau_m = hidden.tau_m * b2.second
    group.beta = 0.0 if hidden.beta is None else hidden.beta
    return group


def _drive(membrane: str, current: str, hidden: Hidden) -> str:
    return f"-{membrane}" if hidden.tau_syn is None else f"({current} - {membrane})"


def _constants(model: Model) -> dict[str, Any]:
    hidden = model.hidden
    return {
        "v_th": hidden.v_th,
        "gamma": hidden.gamma,
        "width": hidden.v_th if hidden.width is None else hidden.width,
        "tau_a": hidden.tau_a * b2.second,
        "tau_syn": (hidden.tau_syn or 1.0) * b2.second,
        "tau_out": model.tau_out * b2.second,
    }


def _hidden_synapses(model: Model, source: Any, target: Any, pathway: Pathway) -> b2.Synapses:
    """Synapses with the eligibility of ``v``, ``a`` and ``I`` for their own weight."""
    hidden = model.hidden
    taker = "v" if hidden.tau_syn is None else "I"
    active = "int(not_refractory_post)" if hidden.halts else "1"
    open_gate = active if taker == "v" else "1"
    late = model.w_out.delay
    current = "" if hidden.tau_syn is None else "deps_I/dt = -eps_I/tau_syn : 1 (clock-driven)"
    synapses = b2.Synapses(
        source,
        target,
        f"""
        deps_v/dt = {_drive("eps_v", "eps_I", hidden)}/tau_m_post*{active} : 1 (clock-driven)
        deps_a/dt = -eps_a/tau_a : 1 (clock-driven)
        {current}
        debar/dt = -ebar/tau_out : 1 (clock-driven)
        {"".join(f"e{age} : 1\n        " for age in range(late + 1))}e_sum : 1
        gradient : 1
        w : 1 (constant)""",
        on_pre=f"{taker}_post += w; eps_{taker} += {open_gate}",
        on_post="eps_v = 0" if hidden.hard_reset else "",
        delay=pathway.delay * model.dt * b2.second,
        method="exact",
        order=1,  # after the neurons, who decide in this step who is refractory
        namespace=_constants(model),
    )
    synapses.run_regularly("e0 = psi_post*(eps_v - beta_post*eps_a)", when="before_thresholds")
    shift = "".join(f"; e{age} = e{age - 1}" for age in range(late, 0, -1))
    synapses.run_regularly(f"e_sum += e0; eps_a += e0; ebar += e{late}{shift}", when="resets")
    synapses.run_regularly("gradient += learning_post*ebar", when="end", order=3)
    _connect(synapses, pathway)
    return synapses


def _connect(synapses: b2.Synapses, pathway: Pathway) -> None:
    i, j = np.nonzero(pathway.mask)
    synapses.connect(i=i, j=j)
    synapses.w = pathway.weights[i, j]


def _readout_group(model: Model, goal: Goal) -> b2.NeuronGroup:
    inside = f"int(t_in_timesteps >= {goal.start})*int(t_in_timesteps < {goal.stop})"
    scale = f"{inside}/{float(goal.stop - goal.start)!r}"
    namespace: dict[str, Any] = {"tau_out": model.tau_out * b2.second}
    if goal.values is None:
        error, loss = (
            f"exp(y)/total - int(i == {goal.label})",
            f"int(i == {goal.label})*(log(total) - y)",
        )
    else:
        error, loss = "y - wanted(t, i)", "0.5*(y - wanted(t, i))**2"
        namespace["wanted"] = b2.TimedArray(goal.values, dt=model.dt * b2.second)
    group = b2.NeuronGroup(
        len(model.bias),
        """
        dy/dt = (b - y)/tau_out : 1
        dslope/dt = (1 - slope)/tau_out : 1
        delta : 1
        loss : 1
        total : 1
        slope_gradient : 1
        b : 1 (constant)""",
        method="exact",
        namespace=namespace,
    )
    code = f"delta = ({error})*{scale}; loss = ({loss})*{scale}; slope_gradient += delta*slope"
    group.run_regularly(code, when="end", order=1)
    group.b = model.bias
    return group


def _softmax(readout: b2.NeuronGroup) -> b2.Synapses:
    """The softmax's denominator, as a sum over the readout's neurons."""
    synapses = b2.Synapses(readout, readout, "total_post = exp(y_pre) : 1 (summed)")
    synapses.connect()
    synapses.summed_updaters["total_post"].when = "end"
    synapses.summed_updaters["total_post"].order = 0
    return synapses


def _feedback(model: Model, hidden: b2.NeuronGroup, readout: b2.NeuronGroup) -> b2.Synapses:
    weights = model.w_out.weights if model.feedback is None else model.feedback
    model_text = "learning_post = w*delta_pre : 1 (summed)\nw : 1 (constant)"
    synapses = b2.Synapses(readout, hidden, model_text)
    _connect(synapses, Pathway(weights.T))
    synapses.summed_updaters["learning_post"].when = "end"
    synapses.summed_updaters["learning_post"].order = 2
    return synapses


def _readout_synapses(model: Model, hidden: Any, readout: Any) -> b2.Synapses:
    synapses = b2.Synapses(
        hidden,
        readout,
        """
        darrived/dt = -arrived/tau_out : 1 (clock-driven)
        gradient : 1
        w : 1 (constant)""",
        on_pre="y_post += w; arrived += 1",
        delay=model.w_out.delay * model.dt * b2.second,
        method="exact",
        namespace={"tau_out": model.tau_out * b2.second},
    )
    synapses.run_regularly("gradient += delta_post*arrived", when="end", order=3)
    _connect(synapses, model.w_out)
    return synapses


def _collect(model: Model, parts: dict[str, Any], goal: Goal) -> Gradients:
    def dense(name: str, variable: str = "gradient") -> Floats:
        mask = getattr(model, name).mask
        values = np.zeros(mask.shape)
        values[np.nonzero(mask)] = getattr(parts[name], variable)[:]
        return values

    spikes = np.array(parts["fired"].fired.T > 0)
    excess = goal.strength * (spikes.mean(axis=0) - goal.rate) / len(spikes)
    return Gradients(
        w_in=dense("w_in") + excess * dense("w_in", "e_sum"),
        w_rec=dense("w_rec") + excess * dense("w_rec", "e_sum"),
        w_out=dense("w_out"),
        bias=np.array(parts["readout"].slope_gradient[:]),
        spikes=spikes,
        readout=np.array(parts["y"].y.T),
        loss=float(np.sum(parts["y"].loss)),
    )
