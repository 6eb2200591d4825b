"""Networks of differential equations given as texts, solved with spikes at their exact times.

Between events the equations are integrated by an eighth-order method to rounding; the time of a
spike is the root of the distance to threshold. There is no grid. The gradient is taken by central
differences, along a direction.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

Floats = npt.NDArray[np.float64]
FUNCTIONS = {"exp": np.exp, "tanh": np.tanh, "sqrt": np.sqrt}


@cache
def _compiled(text: str) -> Any:
    return compile(text, "<formula>", "eval")


def of(text: str, names: Mapping[str, Any]) -> Any:
    """The value of a formula."""
    return eval(_compiled(text), {**FUNCTIONS, **names})


@dataclass(frozen=True)
class Synapses:
    """Synapses of every source with every target, that add to a variable.

    ``weights`` and ``delays`` (ms) have the shape (sources, targets); ``adds`` is what a spike adds
    in terms of the weight ``w`` and the target's state, as it meets it.
    """

    source: str
    target: str
    variable: str
    weights: Floats
    delays: Floats
    adds: str = "w"


@dataclass(frozen=True)
class Population:
    """Neurons: ``flows`` are dx/dt by ms, ``own`` their parameters by neuron.

    With a ``distance``, positive above the threshold, they spike, and ``reset`` are assignments.
    """

    size: int
    flows: Mapping[str, str]
    own: Mapping[str, Floats] = field(default_factory=dict)
    distance: str | None = None
    reset: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class FirstSpikes:
    """A loss of a population's first spikes: cross-entropy of ``softmax(-t/tau)``.

    To it is added ``alpha*(exp(t/late) - 1)`` of the label's own time. Who is silent has ``end``.
    """

    group: str
    label: int
    tau: float
    alpha: float
    late: float
    end: float

    def times(self, spikes: list[tuple[float, str, int]], size: int) -> Floats:
        """The first time of every neuron."""
        found = np.full(size, self.end)
        for time, group, neuron in spikes:
            if group == self.group:
                found[neuron] = min(found[neuron], time)
        return found

    def loss(self, times: Floats) -> float:
        """The loss of these times."""
        logits = -times / self.tau
        early = self.alpha * (np.exp(times[self.label] / self.late) - 1)
        return float(np.log(np.exp(logits).sum()) - logits[self.label] + early)

    def slopes(self, times: Floats) -> Floats:
        """Its derivative by each of them."""
        found = -np.exp(-times / self.tau) / np.exp(-times / self.tau).sum() / self.tau
        found[self.label] += 1 / self.tau
        found[self.label] += self.alpha / self.late * np.exp(times[self.label] / self.late)
        return found


@dataclass(frozen=True)
class Net:
    """A network, with a loss ``1/T integral sum((y - goal)**2)/2`` of the output's variable.

    With ``first`` the loss is that of first spikes instead.
    """

    populations: Mapping[str, Population]
    synapses: Mapping[str, Synapses]
    inputs: tuple[tuple[float, int], ...]
    output: tuple[str, str]
    goal: float
    duration: float
    first: FirstSpikes | None = None

    def moved(self, direction: Mapping[str, Floats], by: float) -> Net:
        """The network with all parameters moved along a direction.

        Its keys are those of ``synapses`` for weights, ``<name>.delay`` for delays and
        ``<population>.<name>`` for parameters of neurons.
        """
        synapses, populations = dict(self.synapses), dict(self.populations)
        for key, step in direction.items():
            owner, _, name = key.partition(".")
            if owner in synapses:
                known = synapses[owner]
                which = "delays" if name else "weights"
                synapses[owner] = replace(known, **{which: getattr(known, which) + by * step})
            else:
                group = populations[owner]
                own = {**group.own, name: group.own[name] + by * step}
                populations[owner] = replace(group, own=own)
        return replace(self, populations=populations, synapses=synapses)


@dataclass(frozen=True)
class Arrival:
    """A spike, by its number, reaches a target through synapses."""

    spike: int | None
    synapses: str
    source: int
    target: int


@dataclass(frozen=True)
class Spike:
    """A neuron spikes."""

    number: int
    group: str
    neuron: int


@dataclass
class Piece:
    """What happened from one event to the next: the solution, and the event at its end."""

    start: float
    stop: float
    solution: Callable[[float], Floats]
    event: Spike | Arrival | None


class Run:
    """A network's solution.

    Attributes
    ----------
    loss : float
        The loss.
    spikes : list of (float, str, int)
        Time, population and neuron of every spike.
    pieces : list of Piece
        The solution, piece by piece.
    """

    def __init__(self, net: Net) -> None:
        self.net = net
        self.layout = {
            (group, x): n
            for n, (group, x) in enumerate(
                (group, x) for group, found in net.populations.items() for x in found.flows
            )
        }
        sizes = [net.populations[group].size for group, _ in self.layout]
        ends = np.cumsum([0, *sizes])
        self.places = {key: slice(ends[n], ends[n + 1]) for n, key in enumerate(self.layout)}
        self.size = int(ends[-1])
        self.spikes: list[tuple[float, str, int]] = []
        self.pieces: list[Piece] = []
        self._queue: list[tuple[float, int, Arrival]] = []
        self._number = 0
        self.loss = self._solve()
        if net.first is not None:
            self.first_times = net.first.times(self.spikes, net.populations[net.first.group].size)
            self.loss = net.first.loss(self.first_times)

    def names(self, group: str, state: Floats) -> dict[str, Any]:
        """What the names of a population's formulas mean."""
        found = self.net.populations[group]
        values = {x: state[self.places[group, x]] for x in found.flows}
        return {**found.own, **values}

    def flow(self, state: Floats) -> Floats:
        """dx/dt of all state."""
        change = np.zeros_like(state)
        for group, found in self.net.populations.items():
            names = self.names(group, state)
            for x, text in found.flows.items():
                change[self.places[group, x]] = of(text, names)
        return change

    def density(self, state: Floats) -> float:
        """What the loss grows by, by ms."""
        off = state[self.places[self.net.output]] - self.net.goal
        return float(off @ off) / 2 / self.net.duration

    def distance(self, group: str, state: Floats) -> Floats:
        """The distance of all neurons of a population to their threshold."""
        text = self.net.populations[group].distance
        assert text is not None
        return np.broadcast_to(
            of(text, self.names(group, state)), (self.net.populations[group].size,)
        )

    def _beyond(self, time: float, state: Floats) -> float:
        """Zero where a neuron is well beyond its threshold: its equations may not go further."""
        spiking = [g for g, found in self.net.populations.items() if found.distance is not None]
        return 0.05 - float(max(self.distance(group, state[:-1]).max() for group in spiking))

    _beyond.terminal = True  # type: ignore[attr-defined]

    def _send(self, source: str, neuron: int, time: float, spike: int | None = None) -> None:
        for name, found in self.net.synapses.items():
            if found.source == source:
                for target in range(found.weights.shape[1]):
                    self._number += 1
                    due = time + found.delays[neuron, target]
                    arrival = Arrival(spike, name, neuron, target)
                    heapq.heappush(self._queue, (due, self._number, arrival))

    def _solve(self) -> float:
        for time, neuron in self.net.inputs:
            self._send("inputs", neuron, time)
        state, now = np.zeros(self.size + 1), 0.0
        while now < self.net.duration:
            stop = min(self._queue[0][0] if self._queue else np.inf, self.net.duration)
            state, now = self._advance(state, now, stop)
        return float(state[-1])

    def _advance(self, state: Floats, now: float, stop: float) -> tuple[Floats, float]:
        """Up to the next spike or arrival."""
        solution = None
        if stop > now:
            solution = solve_ivp(
                lambda _, x: np.append(self.flow(x[:-1]), self.density(x[:-1])),
                (now, stop),
                state,
                method="DOP853",
                rtol=1e-12,
                atol=1e-13,
                max_step=2.0,
                dense_output=True,
                events=self._beyond,
            )
            found = self._first_crossing(solution, now, float(solution.t[-1]))
            if found is not None:
                time, group, neuron = found
                after = solution.sol(time)
                event = Spike(len(self.spikes), group, neuron)
                self.pieces.append(Piece(now, time, solution.sol, event))
                self._spike(after, time, group, neuron)
                return after, time
            state = solution.sol(stop).copy()
        arrival = None
        before = state.copy()
        if self._queue and self._queue[0][0] <= stop:
            _, _, arrival = heapq.heappop(self._queue)
            synapses = self.net.synapses[arrival.synapses]
            place = self.places[synapses.target, synapses.variable]
            names = self.names(synapses.target, state[:-1])
            added = of(synapses.adds, names | {"w": synapses.weights[arrival.source]})
            state[place.start + arrival.target] += added[arrival.target]
        sol = solution.sol if solution is not None else lambda _: before
        end = max(stop, now)
        self.pieces.append(Piece(now, end, sol, arrival))
        return state, end

    def _spike(self, state: Floats, time: float, group: str, neuron: int) -> None:
        self.spikes.append((time, group, neuron))
        for x, text in self.net.populations[group].reset:
            value = of(text, self.names(group, state[:-1]))
            state[self.places[group, x].start + neuron] = np.broadcast_to(
                value, (self.net.populations[group].size,)
            )[neuron]
        self._send(group, neuron, time, len(self.spikes) - 1)

    def _first_crossing(
        self, solution: Any, now: float, stop: float
    ) -> tuple[float, str, int] | None:
        """The first time at which a neuron comes to its threshold from below."""
        earliest = None
        grid = np.unique(np.concatenate([np.linspace(now, stop, 9), solution.t]))
        for group, found in self.net.populations.items():
            if found.distance is None:
                continue
            values = np.array([self.distance(group, solution.sol(t)[:-1]) for t in grid])
            for neuron in range(found.size):
                up = np.flatnonzero((values[:-1, neuron] < 0) & (values[1:, neuron] >= 0))
                if not len(up):
                    continue

                def at(time: float, group: str = group, neuron: int = neuron) -> float:
                    return float(self.distance(group, solution.sol(time)[:-1])[neuron])

                time = brentq(at, grid[up[0]], grid[up[0] + 1], xtol=1e-15, rtol=1e-15)
                if earliest is None or time < earliest[0]:
                    earliest = (time, group, neuron)
        return earliest


def slope(net: Net, direction: Mapping[str, Floats], step: float = 1e-6) -> float:
    """The derivative of the loss along a direction, by central differences.

    NaN if a spike comes or goes on the way: there is no derivative then.
    """
    ends = [Run(net.moved(direction, by)) for by in (-step, step)]
    order = [[(group, neuron) for _, group, neuron in run.spikes] for run in ends]
    if order[0] != order[1]:
        return float("nan")
    return (ends[1].loss - ends[0].loss) / (2 * step)


def directions(net: Net, keys: tuple[str, ...], rng: np.random.Generator) -> Iterator[Any]:
    """A random direction for each of the parameters alone."""
    for key in keys:
        owner, _, name = key.partition(".")
        if owner in net.synapses:
            shape = net.synapses[owner].weights.shape
        else:
            shape = net.populations[owner].own[name].shape
        yield key, rng.normal(0, 1, shape)
