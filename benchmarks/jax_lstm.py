"""Answers of an LSTM in plain JAX, as large as the benchmarks' network: how long they take.

Run it with an interpreter that has JAX; it prints one line of JSON. The input of all steps is one
matrix product before the scan, as that is the fastest.
"""

from __future__ import annotations

import argparse
import json
import time

import jax
import jax.numpy as jnp
import numpy as np
from workload import Workload


def answers(weights: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Mean output over the steps, shape (batch, outputs), of x (steps, batch, inputs)."""
    current = x @ weights["w_in"] + weights["bias"]

    def step(
        state: tuple[jax.Array, jax.Array], arriving: jax.Array
    ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        hidden, cell = state
        gates = arriving + hidden @ weights["w_rec"]
        enter, forget, candidate, leave = jnp.split(gates, 4, axis=1)
        cell = jax.nn.sigmoid(forget) * cell + jax.nn.sigmoid(enter) * jnp.tanh(candidate)
        hidden = jax.nn.sigmoid(leave) * jnp.tanh(cell)
        return (hidden, cell), hidden

    zeros = jnp.zeros((x.shape[1], weights["w_rec"].shape[0]))
    hidden = jax.lax.scan(step, (zeros, zeros), current)[1]
    return hidden.mean(0) @ weights["w_out"]


def measure(work: Workload, repeats: int) -> dict[str, float]:
    """Median time of an answer, and of the cores in it, in ms."""
    rng = np.random.default_rng(work.seed)
    shapes = {
        "w_in": (work.inputs, 4 * work.hidden),
        "w_rec": (work.hidden, 4 * work.hidden),
        "bias": (4 * work.hidden,),
        "w_out": (work.hidden, work.outputs),
    }
    weights = {
        name: jnp.asarray(rng.normal(0, shape[0] ** -0.5, shape), jnp.float32)
        for name, shape in shapes.items()
    }
    x = jnp.asarray(work.spikes().transpose(1, 0, 2), jnp.float32)
    answer = jax.jit(answers)
    jax.block_until_ready(answer(weights, x))
    times = []
    for _ in range(repeats):
        begin = np.array([time.perf_counter(), time.process_time()])
        jax.block_until_ready(answer(weights, x))
        times.append([time.perf_counter(), time.process_time()] - begin)
    passed, busy = 1e3 * np.median(times, axis=0)
    return {"ms": float(passed), "core_ms": float(busy)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--work", type=json.loads, default={}, help="fields of the Workload")
    options = parser.parse_args()
    print(json.dumps(measure(Workload(**options.work), options.repeats)))


if __name__ == "__main__":
    main()
