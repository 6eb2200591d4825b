"""E-prop of networks whose parameters change on their way through a sample, in NumPy.

As in :mod:`tests.oracles.forward_mode`, numbers carry their derivatives along, but step by step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.oracles.forward_mode import Dual, Network, Run, of


class Local(Run):
    """A network whose readout's slope is by its own parameters alone.

    ``filtered`` are the hidden neurons' spikes as the readout filters them.
    """

    def __init__(self, net: Network, n_out: int, values: Any = None) -> None:
        super().__init__(net, n_out, values)
        self.filtered: Dual = self.zeros(self.size)

    @property
    def to_readout(self) -> Any:
        """See :class:`Run`."""
        return [s.value for s in self.spikes]

    def step(self, sent: Any) -> None:
        """See :class:`Run`."""
        super().step(sent)
        self.filtered = self.filtered * np.exp(-1 / self.net.tau_out)
        arrived = len(self.spikes) - 1 - self.net.s_out.delay
        if arrived >= 0:
            self.filtered = self.filtered + self.spikes[arrived]

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
    values = Local(net, n_out).values
    runs = [Local(net, n_out, values) for _ in range(n_samples)]
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
    values = Local(net, n_out).values
    runs = [Local(net, n_out, values) for _ in range(n_agents)]
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
