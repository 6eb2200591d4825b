"""A grammar of networks, as a hypothesis strategy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st

from tests.oracles.systems import INPUTS, OUTPUT, READOUT, Population, Synapses, System

LINEAR = ("exact", "exponential_euler", "euler", "rk2", "rk4")
CONDITIONAL = LINEAR[1:]
NONLINEAR = LINEAR[2:]

# dv/dt by ms with {I} for what arrives, and the methods that can integrate it.
MEMBRANES = {
    "leaky": ("(drive + {I} - v)/tau", LINEAR),
    "conductance": ("({I}*(2 - v) - v + drive)/tau", CONDITIONAL),
    "shunted": ("(drive + {I} - v*(1 + 0.3*{I}))/tau", CONDITIONAL),
    "quadratic": ("(0.3*v**2 - v + drive + {I})/tau", NONLINEAR),
    "exponential": ("(drive + {I} - v + 0.2*exp((v - 1)/0.5))/tau", NONLINEAR),
    "saturating": ("(drive + tanh({I}) - v)/tau", CONDITIONAL),
    "rational": ("(drive + {I} - v + 0.5*v**2/(1 + v**2))/tau", NONLINEAR),
}
# The state beside the membrane that brings spikes to it, and the variable that they add to.
SYNAPSES = {
    "delta": ({}, "v", "0"),
    "exponential": ({"I": "-I/tau_s"}, "I", "I"),
    "alpha": ({"h": "-h/tau_s", "I": "(h - I)/tau_s"}, "h", "I"),
    "two": ({"I": "-I/tau_s", "J": "-J/8"}, "I", "(I + J)"),
}
ADAPTATIONS = {
    "decaying": "-a/tau_a",
    "driven": "(0.3*v - a)/tau_a",
}
# Thresholds with their distances, with and without an adaptation.
PLAIN = {
    "v > th": "v - th",
    "v/th >= 1": "v/th - 1",
    "th < v": "v - th",
    "exp(v) > exp(th)": "exp(v) - exp(th)",
}
ADAPTIVE = {
    **PLAIN,
    "v > th + 0.2*a": "v - th - 0.2*a",
    "v/(th*(1 + 0.2*a**2)) > 1": "v/(th*(1 + 0.2*a**2)) - 1",
    "th + a*th < v": "v - th - a*th",
    "(v - 0.1*a)/th > 1": "(v - 0.1*a)/th - 1",
}
RESETS = {
    "absolute": ("v = 0.1",),
    "relative": ("v -= th",),
    "partial": ("v *= 0.2",),
}
ADAPTIVE_RESETS = {
    **{name: (*text, "a += 0.5") for name, text in RESETS.items()},
    "scaled": ("v = 0", "a = 0.8*a + 0.5"),
    "to the adapted threshold": ("v -= th + 0.2*a", "a += 1"),
    "adaptation first": ("a += v", "v -= th"),
}
ADDS = ("w", "w", "w", "0.5*w + w*w", "w*tanh(w)")
INTO = (*ADDS, "w*exp(-g_post)")
OUT = (*ADDS, "w*g_pre", "(x_pre - g_pre)*w")
BETWEEN = (*ADDS, "w*g_pre*g_post", "w*exp(-(x_pre - x_post)**2)", "(g_pre - x_post)*w")
LAYOUTS = {
    "feedforward": ("in-a", "a-out"),
    "recurrent": ("in-a", "a-a", "a-out"),
    "deep": ("in-a", "a-b", "b-out"),
    "deep and recurrent": ("in-a", "a-a", "a-b", "b-b", "b-out"),
    "skip": ("in-a", "a-b", "a-out", "b-out"),
    "in a loop": ("in-a", "a-b", "b-a", "a-out", "b-out"),
    "side by side": ("in-a", "in-b", "a-b", "b-a", "b-b", "a-out", "b-out"),
}
N_IN, N_OUT, STEPS = 4, 2, 25


def assigned(texts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Statements as a variable and its new value."""
    found = []
    for text in texts:
        left, _, right = text.partition("=")
        name, operator = left.strip().rstrip("+-*"), left.strip()[-1]
        name, right = name.strip(), right.strip()
        found.append((name, f"{name} {operator} ({right})" if operator in "+-*" else right))
    return tuple(found)


@dataclass(frozen=True)
class Choices:
    """What of the grammar may be used.

    ``smooth`` leaves out what EventProp refuses: spikes that move the variable in the threshold
    or in the loss, refractoriness, and increments that are not the weight alone.
    """

    smooth: bool = False


@st.composite
def populations(draw: Any, rng: np.random.Generator, choices: Choices) -> Population:
    """Neurons of one to four state variables."""
    size = draw(st.integers(2, 3))
    membrane, methods = MEMBRANES[draw(st.sampled_from(sorted(MEMBRANES)))]
    kinds = sorted(SYNAPSES) if not choices.smooth else sorted({*SYNAPSES} - {"delta"})
    synapse = draw(st.sampled_from(kinds))
    arriving, _, current = SYNAPSES[synapse]
    adaptation = draw(st.sampled_from((None, *sorted(ADAPTATIONS))))
    flows = {"v": membrane.format(I=current), **arriving}
    thresholds, resets = PLAIN, RESETS
    if adaptation is not None and len(flows) < 4:
        flows["a"] = ADAPTATIONS[adaptation]
        thresholds, resets = ADAPTIVE, ADAPTIVE_RESETS
        if draw(st.booleans()):
            flows["v"] = flows["v"].replace("drive", "drive - 0.3*a")
    # A solution in closed form of more variables that act on each other takes sympy too long.
    exact = len(flows) < 3 and adaptation != "driven"
    method = draw(st.sampled_from([m for m in methods if exact or m != "exact"]))
    threshold = draw(st.sampled_from(sorted(thresholds)))
    reset = resets[draw(st.sampled_from(sorted(resets)))]
    if "I" in flows and draw(st.booleans()):
        reset = (*reset, "I *= 0.5")
    refractory = 0 if choices.smooth else draw(st.sampled_from((0, 0, 2, 4)))
    frozen = ("v",) if refractory and draw(st.booleans()) else ()
    numbers = {
        "th": rng.uniform(0.5, 0.9, size),
        "drive": rng.uniform(0.1, 0.4, size),
        "tau": rng.uniform(5, 15, size),
        "tau_s": rng.uniform(3, 4.5, size),
        "tau_a": rng.uniform(20, 40, size),
    }
    texts = " ".join([*flows.values(), threshold, *reset])
    used = {name: values for name, values in numbers.items() if name in words(texts)}
    own = draw(st.sets(st.sampled_from(sorted(used)))) | {"th"}
    given = {"g": rng.uniform(0.5, 1.5, size), "x": rng.normal(0, 1, size)}
    return Population(
        size,
        flows,
        method,
        {name: values for name, values in used.items() if name in own},
        {**given, **{name: values for name, values in used.items() if name not in own}},
        threshold,
        thresholds[threshold],
        assigned(reset),
        refractory,
        frozen,
    )


def words(text: str) -> set[str]:
    """The names in a text."""
    return set("".join(c if c.isalnum() or c == "_" else " " for c in text).split())


@st.composite
def readouts(draw: Any, rng: np.random.Generator, choices: Choices) -> Population:
    """Neurons that do not spike."""
    own = {"b": rng.uniform(-0.5, 0.5, N_OUT)}
    if choices.smooth or draw(st.booleans()):
        return Population(N_OUT, {"y": "(J + b - y)/8", "J": "-J/4"}, "exponential_euler", own)
    if draw(st.booleans()):
        own["tau_out"] = rng.uniform(6, 10, N_OUT)
        return Population(N_OUT, {"y": "(b - y)/tau_out"}, "exact", own)
    return Population(N_OUT, {"y": "(b - y)/8"}, "exact", own)


@st.composite
def systems(draw: Any, choices: Choices | None = None) -> System:
    """Sentences of the grammar."""
    choices = choices or Choices()
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    paths = LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))]
    named = {"a": "first", "b": "second", "in": INPUTS, "out": READOUT}
    groups = {
        named[key]: draw(populations(rng, choices))
        for key in ("a", "b")
        if any(key in path.split("-") for path in paths)
    }
    groups[READOUT] = draw(readouts(rng, choices))
    spread = draw(st.sampled_from((0, 0, 3)))
    densities = (1.0,) if choices.smooth else (0.7, 1.0)
    synapses = {}
    for path in paths:
        source, target = (named[key] for key in path.split("-"))
        adds = INTO if source == INPUTS else OUT if target == READOUT else BETWEEN
        synapses[f"{source}_{target}"] = _synapses(
            draw(st.sampled_from(adds)) if not choices.smooth else "w",
            (source, target),
            groups,
            draw(st.integers(0, 3)),
            spread,
            draw(st.sampled_from(densities)),
            8.0 if choices.smooth and source == INPUTS else 3.0,
            rng,
        )
    return System(
        groups,
        synapses,
        rng.random((STEPS, N_IN)) < (0.1 if choices.smooth else 0.4),
        rng.normal(0, 1, (STEPS, N_OUT)),
        draw(st.sampled_from(("ArcTan", "Gaussian", "SuperSpike", "Triangular"))),
        draw(st.sampled_from((None, 0.7))),
        draw(st.sampled_from((1.0, 0.5))),
    )


def _synapses(
    adds: str,
    ends: tuple[str, str],
    groups: dict[str, Population],
    delay: int,
    spread: int,
    density: float,
    drive: float,
    rng: np.random.Generator,
) -> Synapses:
    source, target = ends
    shape = (N_IN if source == INPUTS else groups[source].size, groups[target].size)
    chosen = rng.random(shape) < density
    chosen[0, 0] = True
    i, j = np.nonzero(chosen)
    delays = delay + rng.integers(0, spread + 1, len(i))
    flows = groups[target].flows
    taking = OUTPUT if target == READOUT else "v"
    variable = next((x for x in ("h", "I", "J") if x in flows), taking)
    # A current moves the membrane by a share of itself only.
    scale = 1.0 if variable == taking else drive
    if variable == "I" and "J" in flows and source != INPUTS:
        variable = "J"
    weights = scale * rng.normal(0.4, 0.3, len(i))
    return Synapses(source, target, variable, i, j, weights, delays, adds, spread == 0)


def each(
    found: st.SearchStrategy[System],
    kept: Callable[[System], bool],
    count: int,
    start: int,
    do: Callable[[System], None],
) -> None:
    """Do something with so many systems among those that are kept; ``start`` is the seed."""

    @seed(start)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(found)
    def run(system: System) -> None:
        assume(kept(system))
        do(system)

    run()
