"""Conversion: a model, samples of what it will meet, and an algorithm give a spiking network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from brian2eprop.ml.algorithm import Algorithm
from brian2eprop.ml.balancing import ThresholdBalancing
from brian2eprop.ml.building import scale_stages
from brian2eprop.ml.calibration import calibrate
from brian2eprop.ml.clip_floor_shift import ClipFloorShift
from brian2eprop.ml.converted import ConvertedNetwork
from brian2eprop.ml.few_spike import FewSpike
from brian2eprop.ml.graph import Graph, Layer, graph_of
from brian2eprop.ml.rate import Rate
from brian2eprop.ml.read_keras import read_keras
from brian2eprop.ml.saving import read
from brian2eprop.ml.signed_rate import SignedRate
from brian2eprop.ml.simplify import simplify

ALGORITHMS: dict[str, type[Algorithm]] = {
    each.name: each for each in (FewSpike, Rate, SignedRate, ThresholdBalancing, ClipFloorShift)
}
TIMESTEPS = 10


def from_keras(
    model: Any,
    samples: Any,
    *,
    algorithm: str | Algorithm = "few-spike",
    timesteps: int | None = None,
) -> ConvertedNetwork:
    """Convert a model of Keras into a spiking network.

    The network is made of Brian2's groups and synapses, on the device that is set;
    ``set_device('eprop_cuda', batch_size=32)`` before it runs 32 samples at once. Batch
    normalisation, ReLU, sums and padding are merged with convolutions and dense layers, whose
    kernels are stored once.

    Parameters
    ----------
    model : keras.Model
        A trained Sequential or Functional model of Keras 3, with channels last; several inputs
        and outputs are arranged as the model arranges them.
    samples : array, or list or dict of arrays, shape (samples, *shape of the input)
        Typical inputs, a few hundred: by their activations the scales are chosen.
    algorithm : str or Algorithm
        'few-spike': spikes are the binary digits of an activation (Stöckl and Maass 2021,
        https://doi.org/10.1038/s42256-021-00311-4). 'rate': an activation is how often a neuron
        spikes (Rueckauer et al. 2017, https://doi.org/10.3389/fnins.2017.00682). 'signed-rate':
        the same, and spikes take others back (Wang et al. 2022,
        https://doi.org/10.24963/ijcai.2022/347). 'threshold-balancing': 'rate' with scales by what
        spikes bring (Sengupta et al. 2019, https://doi.org/10.3389/fnins.2019.00095). 'qcfs':
        'rate' with the ceilings of ``b2e.ml.QCFS`` (Bu et al. 2022,
        https://openreview.net/forum?id=7B3IJMM1k_M). One with options is given as an object, as
        ``b2e.ml.Rate(64, calibrated=True)``.
    timesteps : int, optional
        Digits of an activation, or steps in which spikes are counted; 10 if it is not given.

    Returns
    -------
    ConvertedNetwork
        It has ``network``, ``predict``, ``evaluate``, ``activations`` and ``summary``.

    Raises
    ------
    TypeError
        If the model is none of Keras.
    ValueError
        If the model is not built, there is no such algorithm, or samples have another shape.
    Unsupported
        If a layer does not convert: the sentence names it and what to use in its place.

    Examples
    --------
    >>> import keras
    >>> import numpy as np
    >>> from brian2 import set_device
    >>> import brian2eprop as b2e
    >>> model = keras.Sequential([
    ...     keras.Input((8, 8, 1)),
    ...     keras.layers.Conv2D(4, 3, activation='relu'),
    ...     keras.layers.Flatten(),
    ...     keras.layers.Dense(10, activation='softmax')])
    >>> x = np.random.default_rng(0).random((32, 8, 8, 1))
    >>> set_device('eprop_cuda', batch_size=32)
    >>> snn = b2e.ml.from_keras(model, samples=x, algorithm='few-spike', timesteps=10)
    >>> snn.predict(x).shape
    (32, 10)
    """
    return _converted(read_keras(model), samples, algorithm, timesteps)


def convert(
    layers: Sequence[Layer],
    samples: Any,
    *,
    algorithm: str | Algorithm = "few-spike",
    timesteps: int | None = None,
) -> ConvertedNetwork:
    """Convert a graph of layers, whoever trained them; :func:`from_keras` makes it of a model.

    Parameters
    ----------
    layers : sequence of Layer
        The layers of ``b2e.ml``, which are dataclasses of arrays.
    samples, algorithm, timesteps
        See :func:`from_keras`.

    Returns
    -------
    ConvertedNetwork
        The network.

    Raises
    ------
    ValueError
        If layers do not go together, there is no such algorithm, or samples have another shape.
    Unsupported
        If a layer does not convert.

    Examples
    --------
    >>> import numpy as np
    >>> import brian2eprop as b2e
    >>> layers = [b2e.ml.Input(name='x', shape=(4,)),
    ...           b2e.ml.Dense(name='hidden', inputs=('x',), kernel=np.eye(4)),
    ...           b2e.ml.ReLU(name='relu', inputs=('hidden',)),
    ...           b2e.ml.Dense(name='y', inputs=('relu',), kernel=np.ones((4, 2)))]
    >>> snn = b2e.ml.convert(layers, np.eye(4), timesteps=8)
    >>> snn.predict([[1., 0., -1., 0.]]).round(6).tolist()
    [[1.0, 1.0]]
    """
    return _converted(graph_of(layers), samples, algorithm, timesteps)


def _converted(
    network: Graph, samples: Any, algorithm: str | Algorithm, timesteps: int | None
) -> ConvertedNetwork:
    chosen = _chosen(algorithm, timesteps)
    stages, ports = simplify(network)
    given = ports.samples(samples, {stage.name: stage.shape for stage in stages})
    scaled = scale_stages(stages, chosen.observe(stages, given), chosen)
    if chosen.calibrated:
        scaled = calibrate(scaled, chosen, ports, given)
    return ConvertedNetwork(scaled, chosen, ports)


def _chosen(algorithm: str | Algorithm, timesteps: int | None) -> Algorithm:
    if isinstance(algorithm, Algorithm):
        if timesteps is not None:
            raise ValueError(
                f"timesteps is {timesteps!r}, and the algorithm is made with "
                f"{algorithm.timesteps}; give them to the algorithm alone."
            )
        return algorithm
    if algorithm not in ALGORITHMS:
        names = " or ".join(map(repr, ALGORITHMS))
        raise ValueError(f"There is no algorithm {algorithm!r} of conversion; give {names}.")
    return ALGORITHMS[algorithm](TIMESTEPS if timesteps is None else timesteps)


def load(path: str | os.PathLike[str]) -> ConvertedNetwork:
    """Load what :meth:`ConvertedNetwork.save` wrote, on the device that is set.

    Neither the model nor Keras is needed. Nothing in the file is executed.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    ConvertedNetwork
        It answers, bit for bit, as the one that was saved.

    Raises
    ------
    TypeError, ValueError
        If the path names no file.
    CheckpointError
        If the file is damaged, or of another kind or version.
    OSError
        If it cannot be opened.

    Examples
    --------
    >>> import numpy as np
    >>> import brian2eprop as b2e
    >>> layers = [b2e.ml.Input(name='x', shape=(2,)),
    ...           b2e.ml.Dense(name='y', inputs=('x',), kernel=np.eye(2))]
    >>> b2e.ml.convert(layers, np.eye(2), timesteps=4).save('digits.npz')
    >>> b2e.ml.load('digits.npz').predict([[1., 0.]]).tolist()
    [[1.0, 0.0]]
    """
    return ConvertedNetwork(*read(path, ALGORITHMS))
