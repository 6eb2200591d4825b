"""A training step of the rules' network by e-prop in braintrace.

Run it with an interpreter that has braintrace; it prints one line of JSON. Input and recurrent
weights are one matrix, as its recurrent cells have it, with eligibility traces of each; the
readout's are trained too.
"""

from __future__ import annotations

import argparse
import json
import math
from typing import Any

import brainstate
import braintrace
import jax
import jax.numpy as jnp
import numpy as np
from others import Rules, median_ms, weights_of
from workload import Workload

SURROGATE = 0.3


@jax.custom_jvp
def spike(distance: jax.Array) -> jax.Array:
    """One above the threshold, with a triangle for a derivative."""
    return (distance > 0).astype(distance.dtype)


@spike.defjvp
def _(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (distance,), (change,) = primals, tangents
    return spike(distance), change * SURROGATE * jnp.maximum(0.0, 1.0 - jnp.abs(distance))


class Neurons(brainstate.nn.Module):  # type: ignore[misc]
    """A population whose synapses add to a current; it spikes where ``threshold`` is given."""

    def __init__(self, work: Workload, weights: Any, spikes: bool) -> None:
        super().__init__()
        self.n_in, self.n = weights.shape
        self.spikes = spikes
        self.synapses = braintrace.nn.Linear(
            self.n_in, self.n, w_init=jnp.asarray(weights, jnp.float32), b_init=None
        )
        step = 1e3 * work.dt
        self.i_decay = math.exp(-step / Rules.tau_synapse_ms)
        self.v_decay = work.decay
        tau = 1e3 * work.tau
        # The exact solution of the two equations over a step.
        self.gain = (self.v_decay - self.i_decay) * Rules.tau_synapse_ms
        self.gain /= tau - Rules.tau_synapse_ms

    def init_state(self, batch_size: int | None = None, **_: Any) -> None:
        """No current, no voltage."""
        shape = (self.n,) if batch_size is None else (batch_size, self.n)
        self.current = brainstate.HiddenState(jnp.zeros(shape, jnp.float32))
        self.v = brainstate.HiddenState(jnp.zeros(shape, jnp.float32))

    def update(self, x: jax.Array) -> jax.Array:
        """The spikes of a step, or the voltage."""
        v = self.v_decay * self.v.value + self.gain * self.current.value
        out = v
        if self.spikes:
            out = spike(v - 1)
            v = v * (1 - jax.lax.stop_gradient(out))
        arriving = jnp.concatenate([x, out], -1) if self.spikes else x
        self.current.value = self.i_decay * self.current.value + self.synapses(arriving)
        self.v.value = v
        return out


class Network(brainstate.nn.Module):  # type: ignore[misc]
    """Hidden neurons, and a readout that does not spike."""

    def __init__(self, work: Workload) -> None:
        super().__init__()
        found = weights_of(work)
        self.hidden = Neurons(work, np.concatenate([found["w_in"], found["w_rec"]]), spikes=True)
        self.readout = Neurons(work, found["w_out"], spikes=False)

    def update(self, x: jax.Array) -> jax.Array:
        """The output of a step."""
        return self.readout(self.hidden(x))


def measure(work: Workload, repeats: int) -> dict[str, float]:
    """Median time of a step in ms."""
    x = jnp.asarray(work.spikes().transpose(1, 0, 2), jnp.float32)
    labels = jnp.asarray(work.labels())
    model = Network(work)
    learner = braintrace.compile(model, braintrace.EProp, x[0], batch_size=work.batch)

    def step_loss(x: jax.Array) -> jax.Array:
        found = jax.nn.log_softmax(learner(x))
        return -jnp.take_along_axis(found, labels[:, None], 1).mean()

    @brainstate.transform.jit  # type: ignore[untyped-decorator]
    def train(x: jax.Array) -> jax.Array:
        brainstate.nn.init_all_states(model, batch_size=work.batch)
        learner.reset_state(batch_size=work.batch)
        gradients, losses = learner.etrace_grad(x, step_fn=step_loss, return_value=True)
        for key, state in model.states(brainstate.ParamState).items():
            moved = jax.tree.map(
                lambda w, g: w - work.learning_rate * g, state.value, gradients[key]
            )
            state.value = moved
        return losses.mean()

    value = float(train(x))
    return {"ms": median_ms(lambda: jax.block_until_ready(train(x)), repeats), "loss": value}


def main() -> None:
    """Measure and print."""
    _, work, repeats = Rules.parse(argparse.ArgumentParser(description=__doc__))
    print(json.dumps(measure(work, repeats)))


if __name__ == "__main__":
    main()
