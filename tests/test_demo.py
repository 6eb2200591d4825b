"""The demonstration does what it promises: a figure, and an accuracy."""

import re

import numpy as np
import pytest
from brian2 import set_device, start_scope

import brian2eprop as b2e
from brian2eprop.demo.__main__ import main
from brian2eprop.demo.data import N_STEPS, load
from brian2eprop.demo.model import build, fit

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def digits():
    return load()


def test_a_short_run_prints_accuracies_and_writes_the_figure(tmp_path, capsys):
    figure = tmp_path / "figure.png"
    main(["--epochs", "2", "--hidden", "32", "--figure", str(figure)])
    printed = capsys.readouterr().out
    epochs = re.findall(r"epoch +(\d+) +training +([\d.]+) % +validation +([\d.]+) %", printed)
    assert [number for number, *_ in epochs] == ["1", "2"]
    test = re.search(r"seed 0: test accuracy ([\d.]+) %", printed)
    # One in ten is right by chance.
    assert all(50 < float(value) <= 100 for value in (*epochs[-1][1:], test[1]))
    assert f"figure written to {figure}" in printed
    assert figure.read_bytes().startswith(PNG)


def test_a_figure_without_a_folder_is_refused_before_the_training(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--figure", str(tmp_path / "no" / "figure.png")])
    assert str(caught.value) == f"There is no folder '{tmp_path}/no' for the figure; make it."
    assert "epoch" not in capsys.readouterr().out


def test_help_tells_defaults_and_choices(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "{float32,float64}" in shown and "passes over the digits (default: 30)" in shown


def test_the_parts_share_no_image(digits):
    parts = (digits.train, digits.validation, digits.test)
    assert [len(part.labels) for part in parts] == [1078, 359, 360]
    found = np.concatenate([part.images.reshape(-1, 64) for part in parts])
    from sklearn.datasets import load_digits

    expected = load_digits().data
    assert np.array_equal(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)])


@pytest.mark.long
def test_the_mean_of_three_seeds_is_at_least_95_percent(tmp_path, capsys):
    main(["--seeds", "3", "--figure", str(tmp_path / "figure.png")])
    printed = capsys.readouterr().out
    accuracies = [float(value) for value in re.findall(r"test accuracy ([\d.]+) %", printed)]
    assert len(accuracies) == 3
    assert np.mean(accuracies) >= 95
    mean = re.search(r"mean of 3 seeds: ([\d.]+) %", printed)
    assert float(mean[1]) == pytest.approx(np.mean(accuracies), abs=0.1)


def train(digits, form):
    start_scope()
    set_device("eprop_cuda", precision="float64", seed=0)
    classifier = build(digits.train.spikes.n_neurons, 64, N_STEPS, form, 0)
    history = fit(classifier, digits.train, digits.validation, 6, b2e.Callback())
    test = classifier.trainer.evaluate(digits.test.spikes, digits.test.labels)
    return history, test, classifier.trainer.parameter_values()


def test_the_forward_form_learns_the_same(digits):
    """Both forms add the same terms in another order, so only rounding tells them apart."""
    (history, test, parameters) = train(digits, "adjoint")
    (history_forward, test_forward, parameters_forward) = train(digits, "forward")
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(history_forward[name], history[name], rtol=1e-6)
    for name in ("accuracy", "val_accuracy"):
        assert history_forward[name] == history[name]
    assert test_forward.accuracy == test.accuracy > 0.9
    for name, values in parameters.items():
        np.testing.assert_allclose(parameters_forward[name], values, rtol=0, atol=1e-6)
