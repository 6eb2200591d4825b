"""Reverse differentiation by JAX, as an arithmetic of the surrogate map, in double precision.

It runs where JAX is installed and nothing else need be: pickled systems, each with what may carry
derivatives (``crosses``, ``attached``), come on standard input; the gradients go to standard
output.
"""

from __future__ import annotations

import pickle
import sys
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.oracles.surrogate_map import Map
from tests.oracles.systems import System

GAMMA = 0.3
SHAPES = {
    "Triangular": lambda x: jnp.maximum(0, 1 - jnp.abs(x)),
    "SuperSpike": lambda x: 1 / (1 + jnp.abs(x)) ** 2,
    "ArcTan": lambda x: 1 / (1 + x * x),
    "Gaussian": lambda x: jnp.exp(-x * x / 2),
}


@partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def spike(distance: Any, width: Any, shape: str) -> Any:
    """One above the threshold, with a pseudo-derivative."""
    return (distance > 0) * 1.0


@spike.defjvp
def _(width: Any, shape: str, primals: Any, tangents: Any) -> Any:
    (distance,), (change,) = primals, tangents
    return spike(distance, width, shape), GAMMA / width * SHAPES[shape](distance / width) * change


class Jax:
    """Numbers of JAX."""

    functions = {"exp": jnp.exp, "tanh": jnp.tanh, "abs": jnp.abs}  # noqa: RUF012
    spike = staticmethod(spike)
    stop = staticmethod(jax.lax.stop_gradient)
    choose = staticmethod(jnp.where)
    sum = staticmethod(jnp.sum)

    def take(self, x: Any, places: Any) -> Any:
        """Elements of a vector."""
        return jnp.asarray(x)[places]

    def add_at(self, x: Any, places: Any, values: Any) -> Any:
        """A vector with values added at some places."""
        return jnp.asarray(x).at[places].add(values)


def gradients(system: System, crosses: bool, attached: bool) -> dict[str, Any]:
    """Derivatives of the loss by all parameters."""
    known = {name: jnp.asarray(values) for name, values in system.parameters.items()}
    loss = Map(system, Jax(), crosses, attached).loss
    # Not jit: every step would be compiled on its own, which takes minutes.
    return {name: np.asarray(slope) for name, slope in jax.grad(loss)(known).items()}


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    asked = pickle.load(sys.stdin.buffer)
    pickle.dump([gradients(*each) for each in asked], sys.stdout.buffer)
