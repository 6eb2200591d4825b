"""The activation that conversions by rates are trained with, as a layer of Keras."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="brian2eprop")
class QCFS(keras.layers.Layer):  # type: ignore[misc]
    """Quantised clip-floor-shift: an activation of a few levels below a ceiling that is trained.

    ``h(x) = c/L * clip(floor(x*L/c + 1/2), 0, L)`` with the ceiling ``c`` and ``L`` levels, after
    Bu et al. (2022), https://openreview.net/forum?id=7B3IJMM1k_M. The gradient takes
    the floor as the identity. ``from_keras(..., algorithm='qcfs')`` makes it a neuron with the
    threshold ``c``; from ``timesteps=L`` on the network says nearly what was trained.

    Parameters
    ----------
    levels : int
        L, from 1 up.
    ceiling : float
        What the ceiling is before it is trained; it should be above most activations.
    **options
        Those of every layer of Keras, as ``name``.

    Raises
    ------
    ValueError
        If there is less than one level, or the ceiling is not above zero.

    Examples
    --------
    >>> import numpy as np
    >>> import brian2eprop as b2e
    >>> layer = b2e.ml.QCFS(levels=4, ceiling=2.0)
    >>> np.asarray(layer(np.array([[-1.0, 0.3, 0.8, 5.0]]))).tolist()
    [[0.0, 0.5, 1.0, 2.0]]
    """

    def __init__(self, levels: int = 8, ceiling: float = 8.0, **options: Any) -> None:
        if isinstance(levels, bool) or not isinstance(levels, int) or levels < 1:
            raise ValueError(f"QCFS: levels is {levels!r}; give a whole number from 1 up.")
        if not 0 < ceiling < float("inf"):
            raise ValueError(f"QCFS: ceiling is {ceiling!r}; give a number above 0.")
        super().__init__(**options)
        self.levels = levels
        self.start = float(ceiling)

    def build(self, input_shape: Any) -> None:
        """Make the ceiling."""
        self.ceiling = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(self.start), name="ceiling"
        )

    def call(self, inputs: Any) -> Any:
        """What the layer gives."""
        share = ops.clip(inputs / self.ceiling, 0, 1)
        level = ops.floor(share * self.levels + 0.5) / self.levels
        return self.ceiling * (share + ops.stop_gradient(level - share))

    def get_config(self) -> dict[str, Any]:
        """What it is made with."""
        return {**super().get_config(), "levels": self.levels, "ceiling": self.start}
