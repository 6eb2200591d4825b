"""First spikes of a recurrent network, and the gradient of their loss, by eventax.

It runs where eventax is installed: a pickled mapping comes on standard input, the first spike
times and the gradients go to standard output. Time is in ms.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping
from typing import Any

import diffrax
import equinox
import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from eventax.evnn import EvNN
from eventax.neuron_models import LIF


class Membranes(LIF):  # type: ignore[misc]
    """LIF neurons whose time constants have a gradient."""

    tau: Any

    def __init__(self, *given: Any, tau: Any, **more: Any) -> None:
        super().__init__(*given, tmem=1.0, **more)
        self.tau = tau

    def dynamics(self, t: Any, y: Any, args: Any) -> Any:
        """The derivative of voltage and current."""
        slopes = super().dynamics(t, y, args)
        return slopes.at[:, 0].divide(self.tau)


def network(asked: Mapping[str, Any]) -> EvNN:
    """LIF neurons, each with a membrane of its own, with exponential synapses and delays."""
    sources, neurons = asked["weights"].shape
    return EvNN(
        Membranes,
        neurons,
        max_solver_time=asked["duration"],
        in_size=sources - neurons,
        key=jax.random.PRNGKey(0),
        wmask=jnp.ones((sources, neurons)),
        init_delays=jnp.asarray(asked["delays"]),
        max_event_steps=asked["events"],
        buffer_capacity=asked["events"],
        solver_stepsize=0.1,
        output_no_spike_value=asked["duration"],
        root_finder=optimistix.Newton(1e-12, 1e-12, optimistix.rms_norm),
        stepsize_controller=diffrax.PIDController(rtol=1e-9, atol=1e-11),
        solver=diffrax.Tsit5(),
        dtype=jnp.float64,
        thresh=1.0,
        init_weights=jnp.asarray(asked["weights"]),
        init_bias=jnp.zeros(neurons),
        tau=jnp.asarray(asked["tau"]),
        tsyn=asked["tau_s"],
    )


def loss(model: EvNN, asked: Mapping[str, Any]) -> Any:
    """Cross-entropy of the first spikes, and a cost of the label's time; with the times."""
    times = model.ttfs(jnp.asarray(asked["inputs"]))
    logits, own = -times / asked["softmax"], times[asked["label"]]
    early = asked["alpha"] * (jnp.exp(own / asked["late"]) - 1)
    return jax.scipy.special.logsumexp(logits) - logits[asked["label"]] + early, times


def main() -> None:
    """Read, differentiate, write."""
    jax.config.update("jax_enable_x64", True)
    asked = pickle.load(sys.stdin.buffer)
    differentiated = equinox.filter_value_and_grad(loss, has_aux=True)
    (value, times), slopes = equinox.filter_jit(differentiated)(network(asked), asked)
    found = {
        "loss": value,
        "times": times,
        "weights": slopes.neuron_model.weights,
        "delays": slopes.delays,
        "tau": slopes.neuron_model.tau,
    }
    pickle.dump({key: np.asarray(values) for key, values in found.items()}, sys.stdout.buffer)


if __name__ == "__main__":
    main()
