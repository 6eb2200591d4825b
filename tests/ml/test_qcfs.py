"""Networks trained with as many levels as there are spikes. Run where Keras is."""

from __future__ import annotations

import brian2 as b
import numpy as np
import pytest

from brian2eprop import ml

keras = pytest.importorskip("keras")
LEVELS = 4


def trained():
    """A small model that tells noisy images apart, with some that it has not seen."""
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    classes = rng.integers(0, 10, 800)
    images = rng.uniform(size=(10, 64))[classes] + rng.normal(0, 0.25, (800, 64))
    images = np.clip(images, 0, 1).astype("float32")
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(32, name="hidden"),
            ml.QCFS(LEVELS, ceiling=2.0, name="first"),
            keras.layers.Dense(32),
            ml.QCFS(LEVELS, ceiling=2.0, name="second"),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    model.fit(images[:700], classes[:700], epochs=20, batch_size=64, verbose=0)
    return model, images[700:], classes[700:]


def test_levels_are_numbers_of_spikes(tmp_path):
    model, x, y = trained()
    ceilings = [float(np.asarray(model.get_layer(name).ceiling)) for name in ("first", "second")]
    assert all(abs(ceiling - 2) > 0.05 for ceiling in ceilings)  # they are trained
    first = keras.Model(model.inputs, model.get_layer("first").output).predict(x, verbose=0)
    right = (model.predict(x, verbose=0).argmax(axis=1) == y).mean()
    assert right > 0.9
    b.set_device("eprop_cuda", backend="cpu", batch_size=len(x), precision="float64")
    snn = ml.from_keras(model, x[:8], algorithm="qcfs", timesteps=LEVELS)
    accuracies = snn.evaluate(x, y)
    # The input stays, so as many spikes as there are levels say what was trained; the first
    # neurons begin a step before those that the output hears, and go on for as long.
    steps = LEVELS + 1
    drive, sent = (snn.network["hidden"].get_states([name])[name] for name in ("drive", "sent"))
    np.testing.assert_allclose(sent, np.clip(np.floor(steps * drive + 0.5), 0, steps))
    levels = np.clip(np.floor(LEVELS * drive + 0.5), 0, LEVELS)
    np.testing.assert_allclose(levels * ceilings[0] / LEVELS, first, atol=1e-5)
    assert accuracies[-1] > right - 0.1
    longer = ml.from_keras(model, x[:8], algorithm="qcfs", timesteps=8 * LEVELS).evaluate(x, y)
    assert longer[-1] > right - 0.03
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_the_activation_is_that_of_the_paper():
    # A staircase of equal steps, whose first is half as wide, up to the ceiling.
    x = np.linspace(-1, 4, 41).astype("float32")
    layer = ml.QCFS(levels=5, ceiling=2.5)
    found = np.asarray(layer(x[None]))[0]
    expected = 2.5 * np.clip(np.floor(x * 5 / 2.5 + 0.5) / 5, 0, 1)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"levels": 0}, "levels is 0; give a whole number from 1 up"),
        ({"levels": True}, "levels is True; give a whole number"),
        ({"ceiling": 0}, "ceiling is 0; give a number above 0"),
        ({"ceiling": float("inf")}, "ceiling is inf; give a number above 0"),
    ],
)
def test_what_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        ml.QCFS(**options)
