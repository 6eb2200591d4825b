"""Settings: what objects were made with, kept, compared and shown."""

import json

import numpy as np
import pytest
from brian2 import Hz, ms

import brian2eprop as b2e
from brian2eprop.learning.settings import difference, settings
from brian2eprop.learning.training.numbers import fetch

OBJECTS = [
    (
        b2e.SGD(0.5, clipnorm=2),
        {
            **{"is": "SGD", "learning_rate": 0.5, "momentum": 0.0, "nesterov": False},
            **{"clipnorm": 2.0, "global_clipnorm": None, "clipvalue": None},
        },
    ),
    (
        b2e.MeanSquaredError((1 * ms, 3 * ms)),
        {
            "is": "MeanSquaredError",
            "window": [{"value": 0.001, "unit": "second"}, {"value": 0.003, "unit": "second"}],
        },
    ),
    (
        b2e.FiringRate(5 * Hz, 2),
        {"is": "FiringRate", "target": {"value": 5.0, "unit": "second ** -1"}, "strength": 2},
    ),
    (b2e.Triangular(np.float32(0.5)), {"is": "Triangular", "gamma": 0.5, "width": None}),
    ({"a": [np.int64(3), (True, None)]}, {"a": [3, [True, None]]}),
    (len, {"is": "len"}),
    (object(), {"is": "object"}),
]


@pytest.mark.parametrize(("value", "expected"), OBJECTS)
def test_settings(value, expected):
    assert settings(value) == expected == json.loads(json.dumps(settings(value)))


def test_arrays_are_compared_by_their_contents():
    one, same, other = (settings({"w_out": np.full((2, 2), v)}) for v in (1, 1.0, 2))
    assert one == same != other
    transposed = settings({"w_out": np.ones((1, 4))})
    assert transposed != one


def test_the_first_difference():
    made = settings(b2e.EProp())
    assert difference("rule", made, made) is None
    other = settings(b2e.EProp(surrogate=b2e.Triangular(0.4)))
    assert difference("rule", made, other) == ("rule.surrogate.gamma", 0.3, 0.4)
    assert difference("rule", {"is": "EProp"}, {"is": "Mine"}) == (
        "rule",
        {"is": "EProp"},
        {"is": "Mine"},
    )


def test_repr_is_how_it_is_made():
    public = {name: getattr(b2e, name) for name in b2e.__all__}
    for value in (
        b2e.Adam(0.5),
        b2e.SGD(0.5),
        b2e.AdamW(0.5, clipvalue=2),
        b2e.CrossEntropy(),
        b2e.EProp(form="forward"),
        b2e.Triangular(),
        b2e.EarlyStopping(patience=3),
    ):
        again = eval(repr(value), public)
        assert settings(again) == settings(value)


class OneRead:
    """NumPy that counts how often something is brought to the host."""

    def __init__(self):
        self.reads = 0

    def __getattr__(self, name):
        return getattr(np, name)

    def asnumpy(self, values):
        self.reads += 1
        return np.array(values)


def test_numbers_are_fetched_at_once():
    xp = OneRead()
    wanted = {("sum", str(k)): np.array(k / 4, np.float32) for k in range(9)}
    assert fetch(xp, wanted) == {("sum", str(k)): k / 4 for k in range(9)} == fetch(np, wanted)
    assert xp.reads == 1
