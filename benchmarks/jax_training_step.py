"""A training step of the benchmarks' network in plain JAX: surrogate gradients through a scan.

Run it with an interpreter that has JAX; it prints one line of JSON. Of the forms that were tried
this is the fastest: the input of all steps is one matrix product before the scan, and the
readout, which is linear, one after it. Unrolling the scan, keeping less for the backward pass,
gathering the rows of the inputs that spiked, and a backward pass written by hand were no faster.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from workload import Workload

Parameters = dict[str, jax.Array]
SURROGATE = 0.3
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


@jax.custom_jvp
def spike(distance: jax.Array) -> jax.Array:
    """One above the threshold, with a triangle for a derivative."""
    return (distance > 0).astype(distance.dtype)


@spike.defjvp
def _(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (distance,), (change,) = primals, tangents
    return spike(distance), change * SURROGATE * jnp.maximum(0.0, 1.0 - jnp.abs(distance))


def hidden_spikes(work: Workload, weights: Parameters, x: jax.Array) -> jax.Array:
    """Spikes of the hidden neurons, shape (steps, batch, hidden)."""
    decay = np.float32(work.decay)
    current = (x.reshape(-1, work.inputs) @ weights["w_in"]).reshape(*x.shape[:2], -1)

    def step(v: jax.Array, arriving: jax.Array) -> tuple[jax.Array, jax.Array]:
        v = decay * v
        z = spike(v - 1)
        return v + arriving + z @ weights["w_rec"] - jax.lax.stop_gradient(z), z

    return jax.lax.scan(step, jnp.zeros((work.batch, work.hidden)), current)[1]


def filtered(work: Workload, inputs: jax.Array) -> jax.Array:
    """The readout's leaky sum over time as one matrix product."""
    age = np.subtract.outer(np.arange(work.steps), np.arange(work.steps))
    kernel = np.where(age >= 0, work.decay ** np.maximum(age, 0), 0).astype(np.float32)
    return jnp.tensordot(kernel, inputs, 1)


def loss(work: Workload, weights: Parameters, x: jax.Array, labels: jax.Array) -> Any:
    """Cross-entropy, and the hidden spikes a neuron and step."""
    z = hidden_spikes(work, weights, x)
    arriving = z.reshape(-1, work.hidden) @ weights["w_out"] + weights["bias"]
    y = filtered(work, arriving.reshape(work.steps, work.batch, -1))
    right = jnp.take_along_axis(jax.nn.log_softmax(y), labels[None, :, None], 2)
    return -right.mean(), z.mean()


def adam(work: Workload, state: Any, gradients: Parameters) -> Any:
    """One update of the weights and of the two moments."""
    weights, first, second, iteration = state
    iteration = iteration + 1
    rate = work.learning_rate * jnp.sqrt(1 - BETA_2**iteration) / (1 - BETA_1**iteration)
    first = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, first, gradients)
    second = jax.tree.map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, second, gradients)
    weights = jax.tree.map(
        lambda w, m, v: w - rate * m / (jnp.sqrt(v) + EPSILON), weights, first, second
    )
    return weights, first, second, iteration


def start(work: Workload) -> Any:
    """Weights, moments and the number of updates done."""
    values = work.weights() | {"bias": np.zeros(work.outputs)}
    weights = {name: jnp.asarray(value, jnp.float32) for name, value in values.items()}
    zeros = [jax.tree.map(jnp.zeros_like, weights) for _ in range(2)]
    return weights, *zeros, jnp.float32(0)


def measure(work: Workload, repeats: int) -> dict[str, float]:
    """Median time of a step and of the cores in it, in ms; loss and rate of the first."""
    x = jnp.asarray(work.spikes().transpose(1, 0, 2), jnp.float32)
    labels = jnp.asarray(work.labels())

    def train(state: Any, x: jax.Array, labels: jax.Array) -> Any:
        gradient = jax.value_and_grad(lambda w: loss(work, w, x, labels), has_aux=True)
        value, slopes = gradient(state[0])
        return adam(work, state, slopes), value

    step = jax.jit(train, donate_argnums=0)
    state, values = jax.block_until_ready(step(start(work), x, labels))
    times = []
    for _ in range(repeats):
        begin = np.array([time.perf_counter(), time.process_time()])
        state, _ = jax.block_until_ready(step(state, x, labels))
        times.append([time.perf_counter(), time.process_time()] - begin)
    passed, busy = 1e3 * np.median(times, axis=0)
    result = {"ms": passed, "core_ms": busy, "loss": values[0], "rate": values[1]}
    return {name: float(value) for name, value in result.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--work", type=json.loads, default={}, help="fields of the Workload")
    options = parser.parse_args()
    print(json.dumps(measure(Workload(**options.work), options.repeats)))


if __name__ == "__main__":
    main()
