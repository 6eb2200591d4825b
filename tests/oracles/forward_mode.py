"""Surrogate gradients by forward differentiation in NumPy, of networks given as texts.

Every number carries its derivatives by all parameters along. In e-prop what crosses from one
neuron to another does so by its value alone, save onto the readout; in backpropagation through
time spikes carry their derivatives everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

GAMMA = 0.3

# Heights of the pseudo-derivatives, of the distance to threshold in widths.
SHAPES = {
    "Triangular": lambda x: np.maximum(0, 1 - np.abs(x)),
    "SuperSpike": lambda x: 1 / (1 + np.abs(x)) ** 2,
    "ArcTan": lambda x: 1 / (1 + x * x),
    "Gaussian": lambda x: np.exp(-x * x / 2),
}
RELATIVE_WIDTHS = {"Triangular": 1.0, "SuperSpike": 0.1, "ArcTan": 0.3, "Gaussian": 0.3}


class Dual:
    """Values of shape (n,) and their derivatives, shape (parameters, n)."""

    __array_ufunc__ = None  # arrays leave operators to it

    def __init__(self, value: Any, slope: Any) -> None:
        self.value, self.slope = value, slope

    def _with(self, other: Any, value: Any, own: Any, others: Any) -> Dual:
        slope = own * self.slope
        return Dual(value, slope + others * other.slope if isinstance(other, Dual) else slope)

    def __add__(self, other: Any) -> Dual:
        return self._with(other, self.value + plain(other), 1, 1)

    def __mul__(self, other: Any) -> Dual:
        return self._with(other, self.value * plain(other), plain(other), self.value)

    def __pow__(self, power: Any) -> Dual:
        return self._with(None, self.value**power, power * self.value ** (power - 1), 0)

    def __neg__(self) -> Dual:
        return self * -1

    def __sub__(self, other: Any) -> Dual:
        return self + -other

    def __rsub__(self, other: Any) -> Dual:
        return -self + other

    def __truediv__(self, other: Any) -> Dual:
        return self * (other**-1)

    def __rtruediv__(self, other: Any) -> Dual:
        return self**-1 * other

    __radd__, __rmul__ = __add__, __mul__


def plain(number: Any) -> Any:
    return number.value if isinstance(number, Dual) else number


def _function(value: Any, slope: Any) -> Any:
    return lambda x: (
        Dual(value(x.value), slope(x.value) * x.slope) if isinstance(x, Dual) else value(x)
    )


FUNCTIONS = {
    "exp": _function(np.exp, np.exp),
    "tanh": _function(np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "abs": _function(np.abs, np.sign),
    "int": lambda holds: 1.0 * np.asarray(holds),
}


def of(text: str, names: Mapping[str, Any]) -> Any:
    return eval(text, {**FUNCTIONS, "ms": 1, **names})


@dataclass(frozen=True)
class Synapses:
    """Synapses (sources ``i``, targets ``j``) with what a spike adds, and delays in steps.

    There is one delay for all, or one for each. Where ``adds`` depends on the state, of the target
    (``v_post``), of the source (``a_pre``) or of the synapse, spikes are met one after the other;
    ``keeps`` are assignments to the synapse's own variable ``r``, one at first, that follow.
    Number and time of a neuron's last spikes (``n_pre``, ``lastspike_post``) have no derivatives.
    ``feedback`` are the weights by which derivatives of the source reach the target, if others.
    """

    i: Any
    j: Any
    weights: Any
    adds: str
    delay: Any
    keeps: str | None = None
    feedback: Any = None

    @property
    def in_order(self) -> bool:
        """Whether the order of spikes counts."""
        return self.keeps is not None or re.search(r"\b[vay]_(pre|post)\b", self.adds) is not None

    @property
    def each_delay(self) -> Any:
        """The delay of every synapse."""
        return np.broadcast_to(self.delay, len(self.i))


@dataclass(frozen=True)
class Network:
    """Hidden neurons with state ``v``, ``a``, and a readout ``y`` for each output.

    ``rate`` and ``drift`` of each state x: dx/dt = rate*x + drift, by ``exponential_euler`` or
    Euler steps; ``distance`` is positive at a spike; ``reset`` are assignments in order;
    ``own`` are the neurons' parameters, ``fixed`` their other values. Times are in steps.
    ``crosses`` says whether spikes among hidden neurons carry derivatives, ``attached`` whether
    the membrane's reset does. ``straight``, of shape (hidden, outputs), is how spikes would add to
    the outputs for the derivatives' sake only.
    """

    rate: Mapping[str, str]
    drift: Mapping[str, str]
    exponential: bool
    distance: str
    reset: tuple[tuple[str, str], ...]
    width: float | None
    own: Mapping[str, Any]
    fixed: Mapping[str, Any]
    s_in: Synapses
    s_rec: Synapses
    s_out: Synapses
    tau_out: float
    crosses: bool = False
    attached: bool = False
    surrogate: str = "Triangular"
    straight: Any = None


@dataclass(frozen=True)
class Judge:
    """A loss of the hidden neurons' spikes in ``start <= step < stop``: cross-entropy of a softmax.

    The logits are the spikes' numbers times ``scale``; with a ``tau`` minus the times of the first
    ones by it, and to the loss is added ``alpha*(exp(t/late) - 1)`` of the label's time since
    ``start``. A time is the number of steps, from the sample's beginning, before the spike.
    """

    label: int
    start: int
    stop: int
    tau: float | None = None
    alpha: float = 0.0
    late: float = 1.0
    scale: float = 1.0

    def gradient(self, spikes: list[Dual]) -> Any:
        """Its derivative by all parameters."""
        size = len(spikes[0].value)
        total, silent = Dual(np.zeros(size), np.zeros_like(spikes[0].slope)), Dual(1.0, 0.0)
        for step, z in enumerate(spikes[: self.stop]):
            counts = z * float(step >= self.start)
            silent = silent * (-counts + 1)
            total = total + (counts if self.tau is None else silent)
        logits = total * (self.scale if self.tau is None else -1 / self.tau)
        by_logit = np.exp(logits.value) / np.exp(logits.value).sum()
        by_logit[self.label] -= 1
        gradient = logits.slope @ by_logit
        if self.tau is not None:
            early = np.exp((total.value[self.label] - self.start) / self.late)
            gradient += self.alpha / self.late * early * total.slope[:, self.label]
        return gradient


@dataclass(frozen=True)
class Reading:
    """A loss of the readout in ``start <= step < stop``: cross-entropy of what it comes to."""

    label: int
    start: int
    stop: int
    of: str
    tau: float = 1.0

    def gradient(self, y: list[Dual]) -> Any:
        """Its derivative by all parameters."""
        found, (size,) = y[self.start : self.stop], y[0].value.shape
        n, past = len(found), np.arange(len(found))
        shares = {
            "mean": np.full(n, 1 / n),
            "sum": np.ones(n),
            "exponential": np.exp(-past / self.tau) / n,
            "linear": (1 - past / n) / n,
        }
        counts = np.tile(shares.get(self.of, past), (size, 1))
        if self.of == "max":
            counts = past == np.argmax([step.value for step in found], axis=0)[:, None]
        value = sum(counts[:, n] * step.value for n, step in enumerate(found))
        slope = sum(counts[:, n] * step.slope for n, step in enumerate(found))
        by_logit = np.exp(value) / np.exp(value).sum()
        by_logit[self.label] -= 1
        return slope @ by_logit


@dataclass(frozen=True)
class Views:
    """A loss of the readout in two windows, each a first step and the one after the last.

    With a margin: ``max(0, margin - label*<c, y>)``, meaned over the window's steps, with c the
    mean over the context, whose derivatives count if ``follows``. Else half the squared distance
    of the cosine between both means to the label.
    """

    label: float
    context: tuple[int, int]
    window: tuple[int, int]
    margin: float | None = None
    follows: bool = True

    def gradient(self, y: list[Dual]) -> Any:
        """Its derivative by all parameters."""
        (c, cs), (w, ws) = (
            (sum(s.value for s in part) / len(part), sum(s.slope for s in part) / len(part))
            for part in (y[slice(*self.context)], y[slice(*self.window)])
        )
        if self.margin is not None:
            steps = y[slice(*self.window)]
            wrong = [self.margin - self.label * c @ s.value > 0 for s in steps]
            slopes = [s.slope @ c + self.follows * cs @ s.value for s in steps]
            total = sum(one * slope for one, slope in zip(wrong, slopes, strict=True))
            return -self.label * total / len(steps)
        lengths = np.linalg.norm(c) * np.linalg.norm(w)
        cosine = c @ w / lengths
        by_c = w / lengths - cosine * c / (c @ c)
        by_w = c / lengths - cosine * w / (w @ w)
        return (cosine - self.label) * (cs @ by_c + ws @ by_w)


class Run:
    """A network on its way through a sample.

    ``values`` are all its parameters, which may change on the way.
    """

    def __init__(self, net: Network, n_out: int, values: Any = None) -> None:
        pathways = {name: getattr(net, name).weights for name in ("s_in", "s_rec", "s_out")}
        parts = {**pathways, **net.own}
        self.names, self.ends = list(parts), np.cumsum([0, *map(len, parts.values())])
        self.values = np.concatenate(list(parts.values())) if values is None else values
        eye = np.eye(len(self.values))
        self.known = {
            name: Dual(found, eye[:, self.ends[n] : self.ends[n + 1]])
            for n, (name, found) in enumerate(self.by_name(self.values).items())
        }
        self.net, self.size = net, len(next(iter(net.own.values())))
        self.around = {**{name: self.known[name] for name in net.own}, **net.fixed}
        self.state = {"v": self.zeros(self.size), "a": self.zeros(self.size)}
        self.y, self.spikes = self.zeros(n_out), list[Dual]()
        self.past = {"n": np.zeros(self.size), "lastspike": np.full(self.size, -1e7)}
        self.kept = {name: self.zeros(len(found)) + 1.0 for name, found in pathways.items()}

    def zeros(self, size: int) -> Dual:
        """Numbers that depend on nothing."""
        return Dual(np.zeros(size), np.zeros((len(self.values), size)))

    def by_name(self, values: Any) -> dict[str, Any]:
        """One number for each parameter, by the parameters' names."""
        return {n: values[self.ends[k] : self.ends[k + 1]] for k, n in enumerate(self.names)}

    @property
    def to_readout(self) -> Any:
        """What the readout hears of the spikes so far."""
        return self.spikes

    def step(self, sent: Any) -> None:
        """Go one step further; ``sent`` has shape (steps, inputs), all steps so far at least."""
        net, step = self.net, len(self.spikes)
        self._flow()
        z = self._spike()
        self.spikes.append(z)
        self.past["lastspike"][z.value > 0] = step
        self._hear(sent, step)
        if net.straight is not None:
            self.y.slope += z.slope @ net.straight
        before, after = dict(self.state), dict(self.state)
        for x, text in net.reset:
            after[x] = of(text, {**self.around, **after})
        # The membrane's reset may be taken as given; the adaptation's depends on the spike.
        own = z if net.attached else z.value
        self.state = {
            "v": before["v"] + (after["v"] - before["v"]) * own,
            "a": before["a"] + (after["a"] - before["a"]) * z,
        }
        self.past["n"] += z.value

    def _flow(self) -> None:
        net, now = self.net, {**self.around, **self.state}
        for x in self.state:
            rate, drift = of(net.rate[x], now), of(net.drift[x], now)
            if net.exponential:
                moved = (now[x] + drift / rate) * FUNCTIONS["exp"](rate) - drift / rate
            else:
                moved = now[x] + rate * now[x] + drift
            self.state[x] = moved
        self.y = self.y * np.exp(-1 / net.tau_out)

    def _spike(self) -> Dual:
        net = self.net
        at_zero = plain(of(net.distance, {**self.around, "v": 0.0, "a": 0.0}))
        relative = RELATIVE_WIDTHS[net.surrogate]
        width = relative * np.abs(at_zero) if net.width is None else net.width
        distance = of(net.distance, {**self.around, **self.state})
        psi = GAMMA / width * SHAPES[net.surrogate](distance.value / width)
        return Dual((distance.value > 0) * 1.0, psi * distance.slope)

    def _hear(self, sent: Any, step: int) -> None:
        """Let spikes arrive; objects with the same schedule come by their names."""
        crosses, state = self.net.crosses, self.state
        sent_on = self.spikes if crosses else [s.value for s in self.spikes]
        hears = state if crosses else {x: plain(value) for x, value in state.items()}
        heard = {**self.net.fixed, **self.past}
        for name, events, senders, into in (
            ("s_in", sent * 1.0, {}, state),
            ("s_out", self.to_readout, state, {"y": self.y}),
            ("s_rec", sent_on, hears, state),
        ):
            synapses, w = getattr(self.net, name), self.known[name]
            if synapses.in_order:
                _meet(synapses, w, events, step, into, senders, heard, self.kept[name])
            else:
                arrive(synapses, w, events, step, next(iter(into.values())), heard)


def gradients(
    net: Network, sent: Any, target: Any, judge: Judge | Reading | Views | None = None
) -> dict[str, Any]:
    """Derivatives of ``sum((y - target)**2)/(2*steps)``, or of what is judged, by all parameters.

    ``sent`` has shape (steps, inputs), ``target`` (steps, outputs).
    """
    run, readings = Run(net, target.shape[1]), []
    gradient = np.zeros(len(run.values))
    for wanted in target[: len(sent)]:
        run.step(sent)
        readings.append(run.y)
        gradient += run.y.slope @ (run.y.value - wanted) / len(sent)
    if judge is not None:
        gradient = judge.gradient(run.spikes if isinstance(judge, Judge) else readings)
    return run.by_name(gradient)


def arrive(
    synapses: Synapses, w: Dual, spikes: Any, step: int, into: Dual, fixed: Mapping[str, Any]
) -> None:
    """Add what the spikes of ``delay`` steps ago bring to their targets."""
    i, j, sent = synapses.i, synapses.j, step - synapses.each_delay
    hidden = {f"{name}_pre": value[i] for name, value in fixed.items() if i.max() < len(value)}
    hidden |= {f"{name}_post": value[j] for name, value in fixed.items() if j.max() < len(value)}
    added: Any = of(synapses.adds, {"w": w, "t": step, **hidden})
    for when in np.unique(sent[sent >= 0]):
        z, due = spikes[when], sent == when
        z = Dual(z.value[i] * due, z.slope[:, i] * due) if isinstance(z, Dual) else z[i] * due
        arriving = added * z
        np.add.at(into.value, j, arriving.value)
        np.add.at(into.slope, (slice(None), j), arriving.slope)


def _meet(
    synapses: Synapses,
    w: Dual,
    spikes: Any,
    step: int,
    target: Mapping[str, Dual],
    source: Mapping[str, Any],
    fixed: Mapping[str, Any],
    r: Dual,
) -> None:
    """Let spikes meet their targets, the oldest first, then by source, then by target."""
    sent = step - synapses.each_delay
    into = next(iter(target))
    for k in np.lexsort((synapses.j, synapses.i, sent)):
        i, j = synapses.i[k], synapses.j[k]
        if sent[k] < 0:
            continue
        names = {"w": _element(w, k), "r": _element(r, k), "t": step}
        names |= {f"{name}_pre": _element(value, i) for name, value in source.items()}
        names |= {f"{name}_post": _element(value, j) for name, value in target.items()}
        names |= {f"{name}_pre": value[i] for name, value in fixed.items() if i < len(value)}
        names |= {f"{name}_post": value[j] for name, value in fixed.items() if j < len(value)}
        z = _element(spikes[sent[k]], i)
        added = of(synapses.adds, names) * z
        if synapses.feedback is not None:
            added = _added(synapses, names, z, synapses.feedback[k])
        _put(target[into], j, names[f"{into}_post"] + added)
        if synapses.keeps is not None:
            _put(r, k, names["r"] + (of(synapses.keeps, names) - names["r"]) * z)


def _added(synapses: Synapses, names: Mapping[str, Any], z: Dual, feedback: float) -> Any:
    """What a spike adds, with the derivatives of the source by the feedback's weight."""
    source = {name: value for name, value in names.items() if name.endswith("_pre")}
    given = {name: plain(value) for name, value in source.items()}
    others = {name: plain(value) for name, value in names.items()}
    own = of(synapses.adds, {**names, **given}) * z.value
    sent = of(synapses.adds, {**others, **source, "w": feedback}) * z
    return own + (sent - sent.value)


def _element(values: Any, n: int) -> Any:
    return Dual(values.value[n], values.slope[:, n]) if isinstance(values, Dual) else values[n]


def _put(into: Dual, n: int, found: Any) -> None:
    into.value[n], into.slope[:, n] = found.value, found.slope
