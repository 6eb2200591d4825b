"""``Agent``: closed loops, in which an environment answers a network's actions by rewards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.interrupts import interrupts_wait
from brian2eprop.learning.objective.rewards import (
    CHOSEN,
    CONTINUES,
    DECIDED,
    KEPT,
    REWARD,
    STEPS,
    Policy,
    Value,
)
from brian2eprop.learning.training.arguments import check_count, check_kind
from brian2eprop.learning.training.data import Batch, Samples
from brian2eprop.learning.training.numbers import fetch
from brian2eprop.learning.training.session import Session
from brian2eprop.learning.training.tally import Tally, nan_fault
from brian2eprop.learning.training.trainer import Trainer

_NO_END = 2**31 - 1


class Agent:
    r"""Networks that act, are rewarded, and learn from it (reward-based e-prop).

    The Trainer's outputs are a :class:`Policy` and a :class:`Value`, its rule is
    ``EProp(form='forward')``. As many episodes as ``n_agents`` go on side by side, with the same
    parameters. In each turn the networks run for ``n_steps`` steps of input (:meth:`act`), choose
    actions, and are told what these were worth (:meth:`reward`). The gradient is that of Bellec et
    al.,

    .. math:: \sum_t \delta^t F_\gamma(L^t \bar e^t), \quad
              \delta^t = r^t + \gamma V^{t+1} - V^t, \quad
              L^t_j = \sum_k B^\pi_{jk} (\pi^t_k - 1_{a^t = k}) - c_V B^V_j

    averaged over the agents, with :math:`t` counting turns (with ``n_steps=1`` they are steps, as
    there), and after the last turn of an episode :math:`V^{t+1} = 0`. :math:`L^t`
    is made with the feedback weights that the next turn begins with. Regularisers judge the spikes
    since the episode's beginning, by their mean over each turn.

    Parameters
    ----------
    trainer : Trainer
        Network, outputs, optimiser and so on; its variables and checkpoints have what is learned.
    n_agents : int
        Number of episodes side by side.
    n_steps : int
        Number of steps of a turn.
    update_every : int, optional
        Number of turns after which parameters are updated; by default once, when all episodes are
        over.

    Raises
    ------
    TypeError, ValueError
        If the trainer is none that learns from rewards, or a number is no positive whole one.

    References
    ----------
    Bellec et al. 2020, Nature Communications 11:3625, "reward-based e-prop".
    """

    def __init__(
        self, trainer: Trainer, n_agents: int, n_steps: int, update_every: int | None = None
    ) -> None:
        check_kind("trainer", trainer, Trainer, "one")
        self._trainer, self._engine = trainer, trainer._engine
        if not any(output.loss.by_reward for output in trainer._outputs):
            raise ValueError(
                "Agent: the trainer learns from labels; make one with output=[actor.y, critic.y], "
                "loss=[Policy(), Value()] and rule=EProp(form='forward')."
            )
        self._n = check_count("n_agents", n_agents)
        self._n_steps = check_count("n_steps", n_steps)
        self._every = None if update_every is None else check_count("update_every", update_every)
        pairs = zip(trainer._outputs, self._engine.programs.roles.outputs, strict=True)
        self._roles = {type(output.loss): role for output, role in pairs}
        self._session: Session | None = None
        self._acting = np.zeros(self._n, bool)  # whose episodes go on
        self._waiting = False  # for a reward

    def begin(self) -> None:
        """Begin new episodes, from the network's initial state, with its parameters as they are.

        Raises
        ------
        ValueError
            If the network holds parameters that are not finite, or was changed.
        """
        trainer, engine = self._trainer, self._engine
        with trainer._turns.turn():
            trainer._connections.check()
            engine.follow(trainer._programs(frozenset(), trainer._progress.frozen))
            engine.tune()
            trainer._mirror.read()
            engine.check_given()
            engine.check_constraints()
            if self._session is None or self._session.program != engine.training.program:
                self._session = Session(
                    engine.backend,
                    engine.programs.train,
                    engine.store,
                    engine.programs.roles,
                    online=engine.programs.online,
                )
            self._batch = Batch(self._n, self._n, self._n_steps, {}, (), ())
            self._session.begin(self._batch)
        self._now, self._turns_since, self._waiting = 0, 0, False
        self._acting = np.ones(self._n, bool)
        self._decided = np.zeros(self._n)
        self._chosen, self._rewards = np.full(self._n, -1), np.zeros(self._n)

    def act(self, spikes: Samples, explore: bool = True) -> npt.NDArray[np.int64]:
        """Run the networks for a turn and choose actions.

        Parameters
        ----------
        spikes : Spikes or mapping of str to Spikes or array
            Input of the turn, as for ``Trainer.fit``; of ``n_agents`` samples of ``n_steps`` steps.
        explore : bool
            Whether actions are drawn from the policy; otherwise they are the most probable ones,
            and of those that tie the first: an agent has to do something.

        Returns
        -------
        int array, shape (n_agents,)
            The actions; those of episodes that are over mean nothing.

        Raises
        ------
        RuntimeError
            If all episodes are over, or the last actions have got no rewards.
        ValueError, TypeError
            If the input is not what the network takes.
        FloatingPointError
            If a gradient is not finite, or a state becomes NaN; the last parameters are kept.
        """
        if not self._acting.any():
            raise RuntimeError("Agent: no episode goes on; call begin() for new ones.")
        if self._waiting:
            raise RuntimeError("Agent: the last actions have got no rewards; call reward() first.")
        data = self._trainer._samples(spikes, None)
        if (data.n_samples, data.n_steps) != (self._n, self._n_steps):
            raise ValueError(
                f"Agent: the input has {data.n_samples} samples of {data.n_steps} steps; give "
                f"{self._n} of {self._n_steps} steps."
            )
        if data.inputs:
            raise ValueError(
                "Agent: there is analogue input; give spikes, or let a SpikeSource carry it."
            )
        streams = {
            name: replace(found.stream(), first_step=self._now)
            for name, found in data.spikes.items()
        }
        self._batch = replace(self._batch, streams=streams)
        self._turn(self._n_steps)
        self._decided, self._waiting = self._acting.astype(float), True
        self._chosen = self._choices(explore)
        return self._chosen.copy()

    @property
    def policy(self) -> npt.NDArray[Any]:
        """The probabilities of actions after the last turn, shape (n_agents, actions)."""
        return self._read(Policy)

    @property
    def value(self) -> npt.NDArray[Any]:
        """The rewards that are expected after the last turn, discounted, shape (n_agents,)."""
        return self._read(Value)[:, 0]

    @property
    def over(self) -> bool:
        """Whether all episodes are over."""
        return not self._acting.any()

    def reward(
        self,
        rewards: npt.ArrayLike,
        done: npt.ArrayLike = False,
        actions: npt.ArrayLike | None = None,
    ) -> None:
        """Say what the actions were worth; once all episodes are over, the parameters are updated.

        Parameters
        ----------
        rewards : array, shape (n_agents,), or number
            What each agent got in this turn.
        done : bool array, shape (n_agents,), or bool
            Whose episodes are over with it.
        actions : int array, shape (n_agents,), optional
            What was done, where it is not what :meth:`act` has chosen; -1 for nothing.

        Raises
        ------
        RuntimeError
            If there are no actions to be rewarded.
        ValueError
            If rewards are not finite, actions are none, or there are not as many as agents.
        FloatingPointError
            As for :meth:`act`.
        """
        if not self._waiting:
            raise RuntimeError("Agent: there are no actions to be rewarded; call act() first.")
        found = self._of_agents("rewards", rewards, float)
        if not np.isfinite(found[self._acting]).all():
            raise ValueError("Agent: rewards are not finite; give finite numbers.")
        ended = self._of_agents("done", done, bool)
        if actions is not None:
            self._chosen = self._checked(self._of_agents("actions", actions, np.int64))
        self._rewards = np.where(self._acting, found, 0.0)
        self._acting, self._waiting = self._acting & ~ended, False
        if self.over:
            self._turn(0)

    def _turn(self, n_steps: int) -> None:
        """Learn from the turn before, at the end of this one of so many steps."""
        trainer, engine = self._trainer, self._engine
        with trainer._turns.turn():
            self._give()
            assert self._session is not None
            self._session.advance(self._batch, range(self._now, self._now + n_steps))
            self._now += n_steps
            if not self._decided.any():
                return
            self._turns_since += 1
            if self.over or self._turns_since == self._every:
                self._check()
                with interrupts_wait():
                    engine.update()
                    self._turns_since = 0
                    trainer._mirror.updated()
                    for name in engine.parameters:
                        trainer._mirror.pull(name)

    def _give(self) -> None:
        """What the call must know of the turn before."""
        assert self._session is not None
        memory, (policy, size) = self._session.memory, self._policy
        chosen = self._chosen[:, None]
        given = {
            DECIDED: self._decided[:, None],
            CHOSEN: chosen >= 0,
            REWARD: self._rewards[:, None],
            CONTINUES: self._acting[:, None],
            KEPT: float(self._turns_since > 0),
            STEPS: self._n_steps,
            policy: chosen == np.arange(size),
            self._session.roles.steps: np.where(self._acting, _NO_END, self._now)[:, None],
        }
        for name, values in given.items():
            memory.write(name, values)

    def _check(self) -> None:
        """Refuse an update that cannot be made."""
        engine, session = self._engine, self._session
        assert session is not None
        tally = Tally(self._trainer._outputs, session)
        numbers = {**tally.numbers(self._batch), **engine.sums(engine.gradients.values())}
        found = fetch(engine.store.xp, numbers)
        state, gradient = nan_fault(found, self._n), engine.bad_gradient(found)
        what = state if gradient is None else f"the gradient of '{gradient}' is not finite"
        if what is not None:
            self._acting[:] = False
            raise FloatingPointError(
                f"Agent: {what}. The parameters of the update before are kept; lower the learning "
                "rate or look for activity that explodes."
            )

    @property
    def _policy(self) -> tuple[str, int]:
        """The array of the chosen action, and the number of actions."""
        sizes = {output.name: output.size for output in self._trainer._outputs}
        role = self._roles[Policy]
        return role.target, sizes[role.output]

    def _choices(self, explore: bool) -> npt.NDArray[np.int64]:
        policy = self._read(Policy)
        if not explore:
            return np.asarray(policy.argmax(axis=1))
        ends = np.cumsum(policy, axis=1, dtype=float)
        drawn = self._trainer._progress.rng.random((self._n, 1)) * ends[:, -1:]
        return np.asarray((drawn >= ends).sum(axis=1).clip(max=policy.shape[1] - 1))

    def _read(self, kind: type) -> npt.NDArray[Any]:
        if self._session is None:
            raise RuntimeError("Agent: nothing has been run; call begin() and act() first.")
        return self._session.read(self._roles[kind].prediction, self._n)

    def _of_agents(self, name: str, values: Any, dtype: Any) -> npt.NDArray[Any]:
        found = np.asarray(values)
        if found.shape not in ((), (self._n,)) or found.dtype.kind not in "biuf":
            raise ValueError(
                f"Agent: {name} are of shape {found.shape} and type {found.dtype}; give one number "
                f"for each of {self._n} agents."
            )
        return np.broadcast_to(found.astype(dtype), (self._n,)).copy()

    def _checked(self, actions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        _, size = self._policy
        if ((actions < -1) | (actions >= size)).any():
            raise ValueError(f"Agent: actions are whole numbers from 0 to {size - 1}, or -1.")
        return actions
