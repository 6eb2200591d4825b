"""Convolutions written out synapse by synapse, from the definition that Keras documents."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

Synapse = tuple[int, int, int]


@dataclass(frozen=True)
class Layer:
    """What a user gives, with as many strides, paddings and dilations as there are directions."""

    image: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Any = "valid"
    dilation: tuple[int, ...] = ()
    groups: int = 1

    def given(self) -> dict[str, Any]:
        """The options of connect_kernel."""
        return {
            "strides": self.strides,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }

    @property
    def outputs(self) -> tuple[int, ...]:
        """Shape of the output."""
        sizes = tuple(self._direction(d)[0] for d in range(len(self.strides)))
        return (*sizes, self.kernel[-1])

    def _direction(self, d: int) -> tuple[int, int]:
        """Number of outputs along a direction, and the padding before."""
        size, stride = self.image[d], self.strides[d]
        window = self.dilation[d] * (self.kernel[d] - 1) + 1
        if self.padding == "valid":
            return ceil((size - window + 1) / stride), 0
        if self.padding == "same":
            n = ceil(size / stride)
            return n, max((n - 1) * stride + window - size, 0) // 2
        if self.padding == "causal":
            return ceil(size / stride), window - 1
        before, after = self.padding[d]
        return ceil((size + before + after - window + 1) / stride), before

    def synapses(self) -> list[Synapse]:
        """Source, target and element of the kernel of every synapse, by source, then target."""
        image, kernel, outputs = (
            (1, *shape) if len(self.strides) == 1 else shape
            for shape in (self.image, self.kernel, self.outputs)
        )
        steps = [self._step(d) for d in range(len(self.strides))]
        (step_y, apart_y, pad_y), (step_x, apart_x, pad_x) = [(1, 1, 0)] * (2 - len(steps)) + steps
        found = []
        for y, x, c in np.ndindex(*outputs):
            for element in np.ndindex(kernel[0], kernel[1], kernel[2]):
                iy = y * step_y - pad_y + element[0] * apart_y
                ix = x * step_x - pad_x + element[1] * apart_x
                channel = c // (outputs[2] // self.groups) * kernel[2] + element[2]
                if 0 <= iy < image[0] and 0 <= ix < image[1]:
                    source = np.ravel_multi_index((iy, ix, channel), image)
                    target = np.ravel_multi_index((y, x, c), outputs)
                    number = np.ravel_multi_index((*element, c), kernel)
                    found.append((int(source), int(target), int(number)))
        return sorted(found)

    def _step(self, d: int) -> tuple[int, int, int]:
        return self.strides[d], self.dilation[d], self._direction(d)[1]


def random_layer(rng: np.random.Generator, n: int = 2) -> Layer:
    """A small layer of ``n`` directions, of any kind."""
    groups = int(rng.integers(1, 4))
    window = rng.integers(1, 4, n)
    dilation = rng.integers(1, 3, n)
    size = rng.integers(1, 4, n) + (window - 1) * dilation
    per_group, out = rng.integers(1, 4, 2)
    pads = tuple((int(a), int(b)) for a, b in rng.integers(0, 3, (n, 2)))
    kinds = ["valid", "same", "numbers", "causal"][: 5 - n]
    padding = kinds[rng.integers(len(kinds))]
    return Layer(
        (*map(int, size), int(per_group) * groups),
        (*map(int, window), int(per_group), int(out) * groups),
        tuple(int(s) for s in rng.integers(1, 4, n)),
        pads if padding == "numbers" else padding,
        tuple(map(int, dilation)),
        groups,
    )
