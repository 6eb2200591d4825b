"""Converted networks in files: they answer as before, and other files are refused."""

from __future__ import annotations

import json
import pickle

import brian2 as b
import numpy as np
import pytest

import brian2eprop as b2e
from brian2eprop import CheckpointError, ml
from tests.ml.plain import branched_network, residual_network


def converted(algorithm="rate", **options):
    rng = np.random.default_rng(3)
    b.set_device("eprop_cuda", batch_size=2, **options)
    x = rng.normal(size=(3, 6, 5, 2))
    return ml.convert(residual_network(rng), x, algorithm=algorithm, timesteps=7), x


@pytest.mark.parametrize("algorithm", ["few-spike", "rate"])
def test_a_loaded_network_answers_bit_for_bit(backend, algorithm, tmp_path):
    snn, x = converted(algorithm, backend=backend)
    snn.save(tmp_path / "network.npz")
    loaded = b2e.ml.load(tmp_path / "network.npz")
    np.testing.assert_array_equal(loaded.predict_each_step(x), snn.predict_each_step(x))
    assert loaded.summary() == snn.summary()
    assert loaded.network["conv"].equations == snn.network["conv"].equations
    loaded.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "network.npz").read_bytes()


def test_maxima_and_several_outputs(tmp_path):
    rng = np.random.default_rng(3)
    b.set_device("eprop_cuda", backend="reference", batch_size=2)
    x = rng.normal(size=(2, 6, 5, 2))
    snn = ml.convert(branched_network(rng), x, timesteps=5)
    snn.save(tmp_path / "network.npz")
    loaded = ml.load(tmp_path / "network.npz").predict(x)
    expected = snn.predict(x)
    assert list(loaded) == list(expected) == ["dense", "classes"]
    for name in expected:
        np.testing.assert_array_equal(loaded[name], expected[name])


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "network.npz"
    converted(backend="reference")[0].save(path)
    return path


DAMAGED = "network.npz' is damaged or is no converted network of brian2eprop .* nothing was loaded"


def change(path, **changed):
    members = dict(np.load(path))
    state = json.loads(members["state"].tobytes()) | changed
    members["state"] = np.frombuffer(json.dumps(state).encode(), np.uint8)
    np.savez(path, **members)


def state_of(path):
    return json.loads(np.load(path)["state"].tobytes())


def test_damage_is_refused(saved):
    whole = saved.read_bytes()
    for content in (b"", b"text", whole[: len(whole) // 2], pickle.dumps([1])):
        saved.write_bytes(content)
        with pytest.raises(CheckpointError, match=DAMAGED):
            ml.load(saved)


def test_other_formats_and_versions_are_refused(saved):
    change(saved, version=2)
    with pytest.raises(CheckpointError, match=r"has version 2 of the format, but .* version 1; in"):
        ml.load(saved)
    change(saved, version=1, algorithm="ttfs")
    with pytest.raises(CheckpointError, match="converted by the algorithm 'ttfs', which this"):
        ml.load(saved)
    change(saved, format="brian2eprop checkpoint")
    with pytest.raises(CheckpointError, match=DAMAGED):
        ml.load(saved)


def test_what_a_file_says_is_not_believed(saved):
    """Each change alone: kinds, names, shapes, orders and numbers that there cannot be."""
    good = saved.read_bytes()

    def stage(number, **fields):
        stages = state_of(saved)["stages"]
        stages[number]["fields"]["stage"]["fields"] |= fields
        return {"stages": stages}

    def scaled(number, **fields):
        stages = state_of(saved)["stages"]
        stages[number]["fields"] |= fields
        return {"stages": stages}

    def projection(number, **fields):
        stages = state_of(saved)["stages"]
        stages[number]["fields"]["stage"]["fields"]["projections"][0]["fields"] |= fields
        return {"stages": stages}

    changes = [
        {"stages": []}, {"stages": "conv"}, {"stages": state_of(saved)["stages"][::-1]},
        {"stages": [state_of(saved)["stages"][0]["fields"]["stage"]] * 2},
        {"settings": {"timesteps": 0}}, {"settings": {"timesteps": 2.5}}, {"settings": {"K": 3}},
        stage(1, name="image"), stage(1, shape=[5, 4, 3]), stage(1, unknown=1),
        stage(0, kind="Popen"), stage(1, kind="input"), stage(1, kind="output"),
        stage(1, bias={"array": "state", "shape": [5, 4, 4]}),
        stage(1, bias={"array": "0", "shape": [9, 9]}), stage(1, projections=[]),
        scaled(1, begin=3), scaled(1, scale=-1.0), scaled(1, scale=[1.0]),
        scaled(2, scale={"array": "0", "shape": [7]}),
        projection(1, source="pool"), projection(1, input_shape=[6, 5, 3]),
        stage(1, bias=float("nan")),
        projection(1, strides=[1.0, 1.0]), projection(1, strides=[0, 0]), projection(1, kernel=3.0),
        projection(1, gain={"array": "0", "shape": [3, 7]}),
        {"inputs": "pool"}, {"outputs": {"y": "conv"}}, {"outputs": [["dense"]]}, {"inputs": None},
    ]  # fmt: skip
    for changed in changes:
        saved.write_bytes(good)
        change(saved, **changed)
        with pytest.raises(CheckpointError, match="nothing was loaded"):
            ml.load(saved)
    saved.write_bytes(good)
    members = dict(np.load(saved))
    np.savez(saved, **members | {"1": members["1"] * np.nan})
    with pytest.raises(CheckpointError, match=DAMAGED):
        ml.load(saved)


def test_paths():
    snn = converted(backend="reference")[0]
    with pytest.raises(TypeError, match="save: the path is None; give the name of a file"):
        snn.save(None)
    with pytest.raises(OSError, match="could not be written"):
        snn.save("/nowhere/network.npz")
    with pytest.raises(ValueError, match="load: the path is ''; give the name of a file"):
        ml.load("")
    with pytest.raises(OSError, match="cannot be read"):
        ml.load("/nowhere/network.npz")
