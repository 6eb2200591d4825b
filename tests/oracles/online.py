"""E-prop of networks whose parameters change on their way through a sample, in NumPy.

As in :mod:`tests.oracles.forward_mode`, numbers carry their derivatives along, but step by step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.oracles.forward_mode import (
    FUNCTIONS,
    GAMMA,
    RELATIVE_WIDTHS,
    SHAPES,
    Dual,
    Network,
    arrive,
    of,
    plain,
)


class Run:
    """A network on its way through a sample.

    ``values`` are all its parameters, which may change on the way. With ``local`` the readout's
    slope is by its own parameters alone, and ``filtered`` are the hidden neurons' spikes as the
    readout filters them.
    """

    def __init__(self, net: Network, n_out: int, values: Any = None, local: bool = False) -> None:
        parts = {
            **{name: getattr(net, name).weights for name in ("s_in", "s_rec", "s_out")},
            **net.own,
        }
        self.names, self.ends = list(parts), np.cumsum([0, *map(len, parts.values())])
        self.values = np.concatenate(list(parts.values())) if values is None else values
        eye, ends = np.eye(len(self.values)), self.ends
        self.known = {
            name: Dual(self.values[ends[n] : ends[n + 1]], eye[:, ends[n] : ends[n + 1]])
            for n, name in enumerate(parts)
        }
        self.net, self.local, self.size = net, local, len(next(iter(net.own.values())))
        self.state = {"v": self.zeros(self.size), "a": self.zeros(self.size)}
        self.y, self.filtered = self.zeros(n_out), self.zeros(self.size)
        self.spikes: list[Dual] = []

    def zeros(self, size: int) -> Dual:
        """Numbers that depend on nothing."""
        return Dual(np.zeros(size), np.zeros((len(self.values), size)))

    def by_name(self, values: Any) -> dict[str, Any]:
        """One number for each parameter, by the parameters' names."""
        return {n: values[self.ends[k] : self.ends[k + 1]] for k, n in enumerate(self.names)}

    def step(self, sent: Any) -> None:
        """Go one step further; ``sent`` has shape (steps, inputs), all steps so far at least."""
        net, known, state, step = self.net, self.known, self.state, len(self.spikes)
        around = {**{name: known[name] for name in net.own}, **net.fixed}
        now = {**around, **state}
        for x in state:
            rate, drift = of(net.rate[x], now), of(net.drift[x], now)
            if net.exponential:
                state[x] = (now[x] + drift / rate) * FUNCTIONS["exp"](rate) - drift / rate
            else:
                state[x] = now[x] + rate * now[x] + drift
        keeps = np.exp(-1 / net.tau_out)
        self.y, self.filtered = self.y * keeps, self.filtered * keeps
        z = self._spike(around)
        self.spikes.append(z)
        plain_spikes = [s.value for s in self.spikes]
        arrive(net.s_in, known["s_in"], sent * 1.0, step, state["v"], net.fixed)
        sent_on = self.spikes if net.crosses else plain_spikes
        arrive(net.s_rec, known["s_rec"], sent_on, step, state["v"], net.fixed)
        sent_out = plain_spikes if self.local else self.spikes
        arrive(net.s_out, known["s_out"], sent_out, step, self.y, net.fixed)
        if self.local and step >= net.s_out.delay:
            self.filtered = self.filtered + self.spikes[step - net.s_out.delay]
        if net.straight is not None:
            self.y.slope += z.slope @ net.straight
        before, after = dict(state), dict(state)
        for x, text in net.reset:
            after[x] = of(text, {**around, **after})
        # The membrane's reset may be taken as given; the adaptation's depends on the spike.
        own = z if net.attached else z.value
        state["v"] = before["v"] + (after["v"] - before["v"]) * own
        state["a"] = before["a"] + (after["a"] - before["a"]) * z

    def _spike(self, around: Mapping[str, Any]) -> Dual:
        net = self.net
        at_zero = plain(of(net.distance, {**around, "v": 0.0, "a": 0.0}))
        relative = RELATIVE_WIDTHS[net.surrogate]
        width = relative * np.abs(at_zero) if net.width is None else net.width
        distance = of(net.distance, {**around, **self.state})
        psi = GAMMA / width * SHAPES[net.surrogate](distance.value / width)
        return Dual((distance.value > 0) * 1.0, psi * distance.slope)

    def by_readout(self, feedback: Any = None) -> Any:
        """How each output, with feedback of this moment, depends on the parameters (e-prop).

        ``feedback`` has shape (hidden, outputs) and is read where there is a synapse; without it
        the weights are the synapses' own.
        """
        out, back = self.net.s_out, np.zeros((self.size, len(self.y.value)))
        sources = {f"{name}_pre": value[out.i] for name, value in self.net.fixed.items()}
        w = self.known["s_out"].value if feedback is None else feedback[out.i, out.j]
        np.add.at(back, (out.i, out.j), of(out.adds, {"w": w, **sources}))
        return self.y.slope + self.filtered.slope @ back


@dataclass(frozen=True)
class Episodes:
    """What agents did, shape (agents, turns), -1 for nothing, and what they got for it.

    ``ends`` are the turns that their episodes have. What the value counts is ``weight``.
    """

    actions: Any
    rewards: Any
    ends: Any
    discount: float
    weight: float
    every: int | None = None
    rates: tuple[float, float] = (0.0, 0.0)

    def signal(self, agent: int, turn: int, y: Any) -> Any:
        """The learning signal of each output after a turn."""
        action, power = self.actions[agent, turn], np.exp(y[:-1] - y[:-1].max())
        chosen = np.arange(len(power)) == action
        return np.append((action >= 0) * (power / power.sum() - chosen), -self.weight)


def online(
    net: Network,
    sent: Any,
    target: Any,
    every: int,
    rate: float,
    feedback: Any = None,
    lengths: Any = None,
    rates: tuple[float, float] = (0.0, 0.0),
) -> dict[str, Any]:
    """The parameters after samples that are trained on together, updated on the way.

    ``sent`` has shape (samples, steps, inputs), ``target`` (samples, steps, outputs); after
    ``every`` steps the gradient of these steps' loss is taken off, times ``rate``. Samples may
    end earlier. ``rates`` are the strength with which spikes so far are pulled to a number of
    spikes a step, and this number.
    """
    n_samples, n_steps, n_out = target.shape
    ends = np.full(n_samples, n_steps) if lengths is None else np.asarray(lengths)
    strength, wanted_rate = rates
    values = Run(net, n_out).values
    runs = [Run(net, n_out, values, local=True) for _ in range(n_samples)]
    gradient = np.zeros(len(values))
    for step in range(n_steps):
        for run, given, wanted, end in zip(runs, sent, target, ends, strict=True):
            if step < end:
                run.step(given)
                error = (run.y.value - wanted[step]) / end
                gradient += run.by_readout(feedback) @ error / n_samples
                rate_so_far = sum(z.value for z in run.spikes) / (step + 1)
                pull = strength / end * (rate_so_far - wanted_rate)
                gradient += run.spikes[step].slope @ pull / n_samples
        if (step + 1) % every == 0 or step + 1 == ends.max():
            values -= rate * gradient
            gradient[:] = 0
    return runs[0].by_name(values)


def rewarded(
    net: Network,
    sent: Any,
    episodes: Episodes,
    rate: float,
) -> dict[str, Any]:
    """The parameters after episodes side by side, by the rewards' errors and eligibility.

    ``sent`` has shape (agents, turns*steps, inputs). The last output is the value, the others are
    the logits of actions.
    """
    n_agents, n_turns = episodes.actions.shape
    n_steps, n_out = sent.shape[1] // n_turns, net.s_out.j.max() + 1
    values = Run(net, n_out).values
    runs = [Run(net, n_out, values, local=True) for _ in range(n_agents)]
    done, gradient, since = np.zeros((n_agents, len(values))), np.zeros(len(values)), 0
    strength, wanted_rate = episodes.rates
    for turn in range(episodes.ends.max() + 1):
        for n, run in enumerate(runs):
            before, decided = run.y.value[-1], 0 < turn <= episodes.ends[n]
            if decided:
                done[n] *= episodes.discount
                done[n] += run.by_readout() @ episodes.signal(n, turn - 1, run.y.value)
            for _ in range(n_steps if turn < episodes.ends[n] else 0):
                run.step(sent[n])
                so_far = sum(z.value for z in run.spikes) / len(run.spikes)
                pull = strength / n_steps * (so_far - wanted_rate)
                gradient += run.spikes[-1].slope @ pull / n_agents * (turn > 0)
            if decided:
                after = run.y.value[-1] * (turn < episodes.ends[n]) * episodes.discount
                error = episodes.rewards[n, turn - 1] + after - before
                gradient += error * done[n] / n_agents
        since += turn > 0
        if since == episodes.every or turn == episodes.ends.max():
            values -= rate * gradient
            gradient[:], since = 0, 0
    return runs[0].by_name(values)
