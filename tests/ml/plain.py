"""Networks of artificial neurons, place by place: what conversions are compared with."""

from __future__ import annotations

import itertools

import numpy as np

from brian2eprop import ml


def convolve(x, kernel, strides, pads, dilation, groups):
    """A convolution of one image, each output for itself."""
    n = kernel.ndim - 2
    padded = np.pad(x, (*pads, (0, 0)))
    sizes = [
        (padded.shape[a] - (kernel.shape[a] - 1) * dilation[a] - 1) // strides[a] + 1
        for a in range(n)
    ]
    found = np.zeros((*sizes, kernel.shape[-1]))
    members = np.arange(kernel.shape[-1]) // (kernel.shape[-1] // groups)
    channels = members * kernel.shape[-2] + np.arange(kernel.shape[-2])[:, None]
    for place in itertools.product(*map(range, sizes)):
        window = tuple(
            slice(p * s, p * s + (w - 1) * d + 1, d)
            for p, s, w, d in zip(place, strides, kernel.shape, dilation, strict=False)
        )
        found[place] = (padded[window][..., channels] * kernel).reshape(-1, len(members)).sum(0)
    return found


def same(size, width, stride, apart):
    """What Keras adds before and after for as many outputs as there are strides."""
    total = max((-(-size // stride) - 1) * stride + (width - 1) * apart + 1 - size, 0)
    return total // 2, total - total // 2


def layer(kind, *inputs):
    """What a layer gives for one image."""
    x = inputs[0]
    match kind:
        case ml.Convolution():
            n = x.ndim - 1
            strides, dilation = (np.broadcast_to(v, n) for v in (kind.strides, kind.dilation))
            pads = kind.padding
            if pads == "valid":
                pads = [(0, 0)] * n
            elif pads == "same":
                pads = [
                    same(x.shape[a], kind.kernel.shape[a], strides[a], dilation[a])
                    for a in range(n)
                ]
            elif pads == "causal":
                pads = [((kind.kernel.shape[0] - 1) * dilation[0], 0)]
            bias = 0 if kind.bias is None else kind.bias
            return convolve(x, kind.kernel, strides, pads, dilation, kind.groups) + bias
        case ml.Dense():
            return x @ kind.kernel + (0 if kind.bias is None else kind.bias)
        case ml.AveragePooling(window=None):
            return x.mean(axis=tuple(range(x.ndim - 1)), keepdims=kind.keep_directions).reshape(
                (1,) * (x.ndim - 1) * kind.keep_directions + (x.shape[-1],)
            )
        case ml.AveragePooling():
            strides = kind.strides or kind.window
            sizes = [
                (s - w) // t + 1 for s, w, t in zip(x.shape[:-1], kind.window, strides, strict=True)
            ]
            found = np.zeros((*sizes, x.shape[-1]))
            for place in itertools.product(*map(range, sizes)):
                part = tuple(
                    slice(p * t, p * t + w)
                    for p, t, w in zip(place, strides, kind.window, strict=True)
                )
                found[place] = x[part].reshape(-1, x.shape[-1]).mean(axis=0)
            return found
        case ml.Normalisation():
            return x * kind.scale + kind.shift
        case ml.ReLU():
            return np.minimum(np.maximum(x, 0), kind.ceiling)
        case ml.ZeroPadding():
            return np.pad(x, (*kind.places, (0, 0)))
        case ml.Reshape():
            return x.reshape(kind.shape)
        case ml.Add():
            return sum(inputs)
        case _:
            return x


def forward(layers, x, known=None):
    """Values of all layers for one image; those that are known are taken as they are."""
    values = {}
    for each in layers:
        before = [values[name] for name in each.inputs]
        values[each.name] = layer(each, *(before or [x]))
        if known and each.name in known:
            values[each.name] = known[each.name]
    return values


def residual_network(rng):
    """A small network with one of each kind of layer."""
    return [
        ml.Input(name="image", shape=(6, 5, 2)),
        ml.ZeroPadding(name="padding", inputs=("image",), places=((1, 0), (0, 1))),
        ml.Convolution(
            name="conv",
            inputs=("padding",),
            kernel=rng.normal(0, 0.4, (3, 3, 2, 4)),
            bias=rng.normal(0, 0.2, 4),
        ),
        ml.Normalisation(
            name="norm",
            inputs=("conv",),
            scale=rng.uniform(0.5, 2, 4),
            shift=rng.normal(0, 0.2, 4),
        ),
        ml.ReLU(name="relu", inputs=("norm",)),
        ml.Convolution(
            name="depthwise",
            inputs=("relu",),
            kernel=rng.normal(0, 0.4, (3, 3, 1, 4)),
            groups=4,
            padding="same",
        ),
        ml.Add(name="add", inputs=("depthwise", "relu")),
        ml.ReLU(name="relu_1", inputs=("add",), ceiling=1.5),
        ml.AveragePooling(name="pool", inputs=("relu_1",), window=(2, 2)),
        ml.Identity(name="dropout", inputs=("pool",)),
        ml.Reshape(name="flatten", inputs=("dropout",)),
        ml.Dense(
            name="dense",
            inputs=("flatten",),
            kernel=rng.normal(0, 0.5, (16, 3)),
            bias=rng.normal(0, 0.5, 3),
        ),
    ]
