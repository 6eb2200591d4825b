"""Optimisers against the formulas of their papers, in plain NumPy."""

import math

import numpy as np
import pytest

from brian2eprop.device.backends.reference import ReferenceBackend
from brian2eprop.device.program import Access, Array, DType, Precision
from brian2eprop.device.program.verify import Stage, verify
from brian2eprop.learning.training.optimisers import SGD, Adam, AdamW

PARAMETERS = (
    Array("w", DType.REAL, 5, Access.SHARED),
    Array("b", DType.REAL, 1, Access.SHARED),
)
GRADIENTS = {"w": "gradient_w", "b": "gradient_b"}
TOLERANCE = {Precision.FLOAT64: 1e-13, Precision.FLOAT32: 1e-5}


def run(optimiser, gradients, start, precision=Precision.FLOAT64, rates=None):
    """The parameters after each update, for gradients of shape (updates, 6)."""
    backend = ReferenceBackend(precision)
    memory = backend.memory(1)
    program = optimiser.update(PARAMETERS, GRADIENTS).program
    verify(program, Stage.GENERATION)
    kernel = backend.compile(program)
    memory.reserve(program, 0)
    memory.write("w", start[:5])
    memory.write("b", start[5:])
    found = []
    for iteration, gradient in enumerate(gradients, 1):
        memory.write("gradient_w", gradient[:5])
        memory.write("gradient_b", gradient[5:])
        if rates is not None:
            optimiser.learning_rate = rates[iteration - 1]
        optimiser.prepare(memory, iteration)
        kernel.run(memory)
        found.append(np.concatenate([memory.read("w"), memory.read("b")]))
    return np.array(found)


def adam(gradients, start, rates, beta_1, beta_2, epsilon):
    w, m, v = start.copy(), np.zeros(6), np.zeros(6)
    found = []
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), 1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        w = w - rate * math.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (np.sqrt(v) + epsilon)
        found.append(w)
    return np.array(found)


@pytest.fixture
def data():
    rng = np.random.default_rng(7)
    return rng.normal(size=(20, 6)) * np.logspace(-9, 1, 6), rng.normal(size=6)


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.5)])
def test_adam(data, precision, betas):
    gradients, start = data
    found = run(Adam(0.01, *betas, epsilon=1e-7), gradients, start, precision)
    expected = adam(gradients, start, [0.01] * 20, *betas, 1e-7)
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE[precision])


@pytest.mark.parametrize("precision", list(Precision))
def test_adamw_decays_beside_adam(data, precision):
    gradients, start = data
    rates = np.linspace(0.1, 0.01, 20).tolist()
    found = run(AdamW(weight_decay=0.3), gradients, start, precision, rates)
    w, before = start, np.zeros(6)
    expected = []
    # Adam's own steps do not depend on the weights.
    for total, rate in zip(adam(gradients, 0 * start, rates, 0.9, 0.999, 1e-8), rates, strict=True):
        w, before = w * (1 - 0.3 * rate) + total - before, total
        expected.append(w)
    np.testing.assert_allclose(found, expected, rtol=100 * TOLERANCE[precision])


def test_adamw_without_decay_is_adam(data):
    found = run(AdamW(0.1, weight_decay=0), *data)
    np.testing.assert_array_equal(found, run(Adam(0.1), *data))
    assert AdamW().weight_decay == 0.01


def test_adam_defaults_and_a_changing_learning_rate(data):
    gradients, start = data
    rates = np.linspace(0.1, 0.001, 20).tolist()
    found = run(Adam(), gradients, start, rates=rates)
    expected = adam(gradients, start, rates, 0.9, 0.999, 1e-8)
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert Adam().learning_rate == 1e-3


def test_sgd_is_a_sum_of_gradients(data):
    gradients, start = data
    found = run(SGD(0.1), gradients, start)
    np.testing.assert_allclose(found, start - 0.1 * np.cumsum(gradients, axis=0), rtol=1e-12)


def test_momentum_repeats_earlier_gradients(data):
    gradients, start = data
    found = run(SGD(0.1, momentum=0.8), gradients, start)
    # Gradient k has by update n moved the weights by 1 + mu + ... + mu^(n - k) of itself.
    n, k = np.mgrid[:20, :20]
    weight = np.where(k <= n, (1 - 0.8 ** (n - k + 1.0)) / (1 - 0.8), 0)
    np.testing.assert_allclose(found, start - 0.1 * weight @ gradients, rtol=1e-12)


@pytest.mark.parametrize("precision", list(Precision))
def test_nesterov_is_that_of_keras(data, precision):
    gradients, start = data
    found = run(SGD(0.1, momentum=0.8, nesterov=True), gradients, start, precision)
    w, velocity, expected = start, np.zeros(6), []
    for g in gradients:
        velocity = 0.8 * velocity - 0.1 * g
        w = w + 0.8 * velocity - 0.1 * g
        expected.append(w)
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE[precision], atol=1e-7)
    with pytest.raises(ValueError, match="SGD: nesterov is 1; give True or False"):
        SGD(nesterov=1)


def test_one_program_for_all_learning_rates():
    assert Adam(0.1).update(PARAMETERS, GRADIENTS) == Adam(0.2).update(PARAMETERS, GRADIENTS)
    assert SGD(0.1).update(PARAMETERS, GRADIENTS) == SGD(0.2).update(PARAMETERS, GRADIENTS)


BAD = [
    (lambda: Adam(learning_rate=-1), "Adam: learning_rate is -1; give a finite number, not below"),
    (lambda: Adam(learning_rate=math.nan), "Adam: learning_rate is nan; give a finite number"),
    (lambda: Adam(beta_1=1.0), "Adam: beta_1 is 1.0; give a number below 1, not below 0"),
    (lambda: Adam(beta_2=-0.1), "Adam: beta_2 is -0.1; give a number below 1"),
    (lambda: Adam(epsilon=0), "Adam: epsilon is 0; give a number above zero"),
    (lambda: AdamW(weight_decay=-1), "AdamW: weight_decay is -1; give a finite number, not below"),
    (lambda: AdamW(epsilon=0), "AdamW: epsilon is 0; give a number above zero"),
    (lambda: SGD(learning_rate=math.inf), "SGD: learning_rate is inf; give a finite number"),
    (lambda: SGD(learning_rate=True), "SGD: learning_rate is True; give a finite number"),
    (lambda: SGD(momentum="x"), "SGD: momentum is 'x'; give a number below 1"),
]


@pytest.mark.parametrize(("call", "sentence"), BAD)
def test_bad_numbers(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_a_learning_rate_changed_to_nonsense():
    optimiser = SGD(0.1)
    with pytest.raises(ValueError, match="SGD: learning_rate is nan; give a finite number"):
        run(optimiser, np.ones((1, 6)), np.zeros(6), rates=[math.nan])


def test_numbers_of_numpy():
    for made in (Adam(np.float32(0.5), np.float64(0.25), np.float16(0.5)), Adam(np.int64(1))):
        numbers = [number for number in vars(made).values() if number is not None]
        assert len(numbers) == 4 and all(type(number) is float for number in numbers)
    assert Adam(np.float32(0.5)) == Adam(0.5)


def test_names_of_other_packages():
    with pytest.raises(TypeError) as caught:
        Adam(lr=0.1)
    assert str(caught.value) == "Adam has no argument 'lr'; it is called learning_rate here."
    with pytest.raises(TypeError) as caught:
        SGD(dampening=True)
    assert str(caught.value) == (
        "SGD has no argument 'dampening'; it takes learning_rate, momentum, "
        "nesterov, clipnorm, global_clipnorm, clipvalue."
    )


def test_its_own_arrays_have_names_that_no_variable_has():
    for optimiser in (Adam(), SGD(momentum=0.5)):
        own = set(optimiser.update(PARAMETERS, GRADIENTS).program.all_arrays()) - {
            *GRADIENTS,
            *GRADIENTS.values(),
        }
        assert own and all(":" in name for name in own)
