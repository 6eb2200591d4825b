"""Networks of artificial neurons, place by place: what conversions are compared with."""

from __future__ import annotations

import itertools

import numpy as np

from brian2eprop import ml

NONE = np.nan


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


def pads_of(kind, x, window, strides, dilation):
    """Places before and after, by direction."""
    n = x.ndim - 1
    if kind.padding == "valid":
        return [(0, 0)] * n
    if kind.padding == "same":
        return [same(x.shape[a], window[a], strides[a], dilation[a]) for a in range(n)]
    if kind.padding == "causal":
        return [((window[0] - 1) * dilation[0], 0)]
    return kind.padding


def pool(kind, x, of):
    """What is made of the places of each window that are there, by channel."""
    n = x.ndim - 1
    window = kind.window or x.shape[:-1]
    strides = kind.strides or window
    padded = np.pad(x, (*pads_of(kind, x, window, strides, (1,) * n), (0, 0)), constant_values=NONE)
    sizes = [(padded.shape[a] - window[a]) // strides[a] + 1 for a in range(n)]
    found = np.zeros((*sizes, x.shape[-1]))
    for place in itertools.product(*map(range, sizes)):
        part = tuple(
            slice(p * t, p * t + w) for p, t, w in zip(place, strides, window, strict=True)
        )
        found[place] = of(padded[part].reshape(-1, x.shape[-1]), axis=0)
    return found if kind.keep_directions else found.reshape(-1)


def layer(kind, *inputs):
    """What a layer gives for one image."""
    x = inputs[0]
    match kind:
        case ml.Convolution():
            n = x.ndim - 1
            strides, dilation = (np.broadcast_to(v, n) for v in (kind.strides, kind.dilation))
            pads = pads_of(kind, x, kind.kernel.shape, strides, dilation)
            bias = 0 if kind.bias is None else kind.bias
            return convolve(x, kind.kernel, strides, pads, dilation, kind.groups) + bias
        case ml.Dense():
            return x @ kind.kernel + (0 if kind.bias is None else kind.bias)
        case ml.AveragePooling():
            return pool(kind, x, np.nanmean)
        case ml.MaxPooling():
            return pool(kind, x, np.nanmax)
        case ml.Concatenate():
            return np.concatenate(inputs, axis=-1)
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
    """Values of all layers for one image, or a dict of them; known values are taken as they are."""
    values = {}
    for each in layers:
        before = [values[name] for name in each.inputs]
        given = x[each.name] if isinstance(x, dict) and not before else x
        values[each.name] = layer(each, *(before or [given]))
        if known and each.name in known:
            values[each.name] = known[each.name]
    return values


def conv(name, takes, shape, rng, **options):
    """A convolution with random numbers."""
    kernel, bias = rng.normal(0, 0.4, shape), rng.normal(0, 0.2, shape[-1])
    return ml.Convolution(name=name, inputs=(takes,), kernel=kernel, bias=bias, **options)


def norm(name, takes, n, rng, low=0.5):
    """A normalisation with random numbers."""
    scale, shift = rng.uniform(low, 2, n), rng.normal(0, 0.2, n)
    return ml.Normalisation(name=name, inputs=(takes,), scale=scale, shift=shift)


def branched_network(rng):
    """Maxima, means over the borders, what is concatenated, and several outputs."""
    return [
        ml.Input(name="image", shape=(6, 5, 2)),
        norm("input_norm", "image", 2, rng),
        conv("conv", "input_norm", (3, 3, 2, 4), rng, padding="same"),
        ml.MaxPooling(name="late", inputs=("conv",), window=(2, 2), strides=(1, 1)),
        norm("norm", "late", 4, rng),
        ml.ReLU(name="relu", inputs=("norm",)),
        ml.MaxPooling(name="max", inputs=("relu",), window=(3, 3), strides=(2, 2), padding="same"),
        ml.AveragePooling(
            name="mean", inputs=("relu",), window=(3, 3), strides=(2, 2), padding="same"
        ),
        ml.Concatenate(name="both", inputs=("max", "mean")),
        ml.MaxPooling(name="all", inputs=("both",), keep_directions=False),
        norm("both_norm", "both", 8, rng, low=-1),
        ml.Reshape(name="flat", inputs=("both_norm",)),
        ml.Dense(name="dense", inputs=("flat",), kernel=rng.normal(0, 0.3, (48, 5))),
        ml.Dense(name="classes", inputs=("all",), kernel=rng.normal(0, 0.3, (8, 4))),
    ]


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
