"""Learning from rewards in closed loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import brian2
import numpy as np
import pytest
from brian2 import Hz, NeuronGroup, defaultclock, ms, set_device

import brian2eprop as b2e
from tests.oracles import forward_mode as oracle
from tests.oracles import online

N_IN, N_HIDDEN, N_ACTIONS = 4, 3, 2
N_AGENTS, N_STEPS = 3, 5
RATE, DISCOUNT, WEIGHT = 0.02, 0.8, 0.6
TOLERANCE = 1e-9  # of some thousand operations, relative to the largest change

ACTIONS = np.array([[0, 1, -1, 1], [1, 0, 0, 1], [1, -1, 1, 0]])
REWARDS = np.array([[1.0, 0.0, -2.0, 0.5], [0.0, 3.0, 9.0, 9.0], [-1.0, 0.5, 0.0, 2.0]])
ENDS = np.array([4, 2, 3])


def network(delays: tuple[int, int, int] = (1, 2, 0)) -> oracle.Network:
    """An adaptive network, with a readout of two actions and a value."""
    rng = np.random.default_rng(3)

    def pathway(n_source: int, n_target: int, delay: int) -> oracle.Synapses:
        i, j = np.nonzero(np.ones((n_source, n_target)))
        return oracle.Synapses(i, j, rng.normal(0.5, 0.3, len(i)), "w", delay)

    return oracle.Network(
        {"v": "-1/10", "a": "-1/50"},
        {"v": "0", "a": "0"},
        True,
        "v - th - 0.2*a",
        (("v", "v - th"), ("a", "a + 1")),
        None,
        {"th": rng.uniform(0.5, 0.9, N_HIDDEN)},
        {},
        pathway(N_IN, N_HIDDEN, delays[0]),
        pathway(N_HIDDEN, N_HIDDEN, delays[1]),
        pathway(N_HIDDEN, N_ACTIONS + 1, delays[2]),
        tau_out=8.0,
    )


def make_trainer(net: oracle.Network, on: str, **further: Any) -> b2e.Trainer:
    """The same in Brian2, with actor and critic apart."""
    set_device("eprop_cuda", backend=on, precision="float64")
    defaultclock.dt = 1 * ms
    inputs = b2e.SpikeSource(N_IN, name="inputs")
    hidden = NeuronGroup(
        N_HIDDEN,
        "dv/dt = -v/(10*ms) : 1\nda/dt = -a/(50*ms) : 1\nth : 1",
        threshold="v > th + 0.2*a",
        reset="v -= th; a += 1",
        method="exact",
        name="hidden",
    )
    hidden.th = net.own["th"]
    actor, critic = (
        NeuronGroup(size, "dy/dt = -y/(8*ms) : 1", method="exact", name=name)
        for name, size in (("actor", N_ACTIONS), ("critic", 1))
    )
    made = []
    for name, path, source, target, variable, part in (
        ("s_in", net.s_in, inputs, hidden, "v", slice(None)),
        ("s_rec", net.s_rec, hidden, hidden, "v", slice(None)),
        ("s_actor", net.s_out, hidden, actor, "y", net.s_out.j < N_ACTIONS),
        ("s_critic", net.s_out, hidden, critic, "y", net.s_out.j == N_ACTIONS),
    ):
        synapses = brian2.Synapses(
            source, target, "w : 1", on_pre=f"{variable}_post += w", name=name
        )
        first = N_ACTIONS if target is critic else 0
        synapses.connect(i=path.i[part], j=path.j[part] - first)
        synapses.delay = path.delay * ms
        synapses.w = path.weights[part]
        made.append(synapses)
    return b2e.Trainer(
        brian2.Network(inputs, hidden, actor, critic, *made),
        **{
            "output": [actor.y, critic.y],
            "loss": [b2e.Policy(), b2e.Value(discount=DISCOUNT)],
            "loss_weights": [1.0, WEIGHT],
            "rule": b2e.EProp(form="forward", surrogate=b2e.Triangular(oracle.GAMMA)),
            "parameters": [*(synapses.w for synapses in made), hidden.th],
            "optimiser": b2e.SGD(RATE),
            **further,
        },
    )


def turns(seed: int) -> Any:
    n = ACTIONS.shape[1] * N_STEPS
    return np.random.default_rng(seed).random((N_AGENTS, n, N_IN)) < 0.4


def play(agent: b2e.Agent, sent: Any) -> None:
    """The episodes, with actions and rewards as they are given."""
    agent.begin()
    for turn in range(ACTIONS.shape[1]):
        part = sent[:, turn * N_STEPS : (turn + 1) * N_STEPS]
        agent.act(b2e.Spikes.from_dense(part))
        agent.reward(REWARDS[:, turn], turn + 1 == ENDS, ACTIONS[:, turn])
    assert agent.over


@pytest.mark.parametrize(
    ("every", "delays", "strength", "on"),
    [
        (1, (1, 2, 0), 0.0, "cpu"),
        (2, (0, 0, 3), 2.0, "cpu"),
        (2, (1, 2, 1), 2.0, "emulated"),
        (None, (1, 2, 1), 0.0, "reference"),
    ],
)
def test_the_error_of_the_reward_times_eligibility(
    every: int | None, delays: tuple[int, int, int], strength: float, on: str
) -> None:
    """Episodes that end apart, actions left out, by forward differentiation."""
    net, sent = network(delays), turns(1)
    pull = [b2e.FiringRate(20 * Hz, strength)] if strength else []
    trainer = make_trainer(net, on, regularisers=pull)
    before = trainer.parameter_values()
    play(b2e.Agent(trainer, N_AGENTS, N_STEPS, every), sent)
    episodes = online.Episodes(ACTIONS, REWARDS, ENDS, DISCOUNT, WEIGHT, every, (strength, 0.02))
    expected = online.rewarded(net, sent, episodes, RATE)
    actor = net.s_out.j < N_ACTIONS
    out = expected.pop("s_out")
    expected |= {"s_actor": out[actor], "s_critic": out[~actor]}
    found = trainer.parameter_values()
    names = {name: f"{name}_w" if name != "th" else "hidden_th" for name in expected}
    largest = max(np.abs(expected[n] - before[names[n]]).max() for n in expected)
    assert largest > 1e-3
    for name, reference in expected.items():
        assert np.abs(reference - before[names[name]]).max() > 1e-6, name
        assert np.abs(found[names[name]] - reference).max() < TOLERANCE * largest, name


def cued_choice(seed: int, wait: int, episodes: int) -> float:
    """The share of the last episodes that were right, of a choice that a cue has told.

    The cue is shown in the first turn; nothing is chosen in those after it, but in the last, in
    which an input says so: the action is rewarded by one if it is that of the cue.
    """
    set_device("eprop_cuda", backend="cpu", seed=seed)
    defaultclock.dt = 1 * ms
    rng = np.random.default_rng(seed)
    inputs = b2e.SpikeSource(9)
    hidden = NeuronGroup(
        20,
        """dv/dt = -v/(20*ms) : 1
           da/dt = -a/(200*ms) : 1""",
        threshold="v > 1 + 0.5*a",
        reset="v -= 1; a += 1",
        method="exact",
    )
    equations = "dy/dt = (b - y)/(10*ms) : 1\nb : 1 (constant)"
    actor, critic = (NeuronGroup(n, equations, method="exact") for n in (2, 1))
    w_in = brian2.Synapses(inputs, hidden, "w : 1", on_pre="v_post += w")
    w_actor = brian2.Synapses(hidden, actor, "w : 1", on_pre="y_post += w")
    w_critic = brian2.Synapses(hidden, critic, "w : 1", on_pre="y_post += w")
    for synapses, scale in ((w_in, "0.5*rand()"), (w_actor, "0.1*randn()"), (w_critic, "0.0")):
        synapses.connect()
        synapses.w = scale
    trainer = b2e.Trainer(
        brian2.Network(inputs, hidden, actor, critic, w_in, w_actor, w_critic),
        output=[actor.y, critic.y],
        loss=[b2e.Policy(), b2e.Value(discount=0.95)],
        loss_weights=[1.0, 0.5],
        rule=b2e.EProp(form="forward"),
        parameters=[w_in.w, w_actor.w, w_critic.w, actor.b, critic.b],
        optimiser=b2e.Adam(1e-2),
        seed=seed,
    )
    agent, right = b2e.Agent(trainer, n_agents=32, n_steps=10), []
    for _ in range(episodes):
        cue = rng.integers(2, size=32)
        agent.begin()
        for turn in range(wait + 1):
            of_cue = (np.arange(9) < 4) == (cue[:, None] == 0)
            chance = np.where(of_cue, 0.3, 0.02) if turn == 0 else np.full((32, 9), 0.02)
            last = turn == wait
            chance[:, 8] = 0.5 if last else 0.02
            found = agent.act(b2e.Spikes.from_dense(rng.random((32, 10, 9)) < chance[:, None]))
            agent.reward((found == cue) * last, last, None if last else np.full(32, -1))
        right.append(np.mean(found == cue))
    return float(np.mean(right[-10:]))


@pytest.mark.parametrize(("wait", "episodes", "share"), [(0, 40, 0.9), (3, 150, 0.65)])
def test_choices_that_are_rewarded_are_made_more_often(
    wait: int, episodes: int, share: float
) -> None:
    """At once, and after a pause; each of three seeds.

    Of 320 choices by chance half are right, with a standard deviation of 0.03.
    """
    for seed in (1, 2, 3):
        assert cued_choice(seed, wait, episodes) > share


def beginner() -> tuple[b2e.Agent, b2e.Spikes]:
    agent = b2e.Agent(make_trainer(network(), "reference"), N_AGENTS, N_STEPS)
    return agent, b2e.Spikes.from_dense(turns(2)[:, :N_STEPS])


def test_turns_come_in_order() -> None:
    agent, spikes = beginner()
    with pytest.raises(RuntimeError, match="no episode goes on; call begin"):
        agent.act(spikes)
    agent.begin()
    with pytest.raises(RuntimeError, match="there are no actions to be rewarded"):
        agent.reward(1.0)
    actions = agent.act(spikes)
    assert actions.shape == agent.value.shape == (N_AGENTS,)
    assert agent.policy.sum(axis=1) == pytest.approx(1)
    with pytest.raises(RuntimeError, match="the last actions have got no rewards"):
        agent.act(spikes)
    for wrong in (np.nan, [1.0, 2.0], "much"):
        with pytest.raises(ValueError, match="Agent: rewards are"):
            agent.reward(wrong)
    with pytest.raises(ValueError, match="actions are whole numbers from 0 to 1, or -1"):
        agent.reward(1.0, actions=2)
    with pytest.raises(ValueError, match="the input has 2 samples of 5 steps; give 3 of 5 steps"):
        agent.reward(1.0)
        agent.act(spikes[:2])
    assert not agent.over
    assert np.array_equal(agent.act(spikes, explore=False), agent.policy.argmax(axis=1))
    agent.reward(0.0, True)
    assert agent.over


def test_of_actions_that_tie_the_first_is_taken() -> None:
    agent, spikes = beginner()
    agent.begin()
    actions = agent.act(b2e.Spikes.from_dense(np.zeros_like(spikes.to_dense())), explore=False)
    assert np.ptp(agent.policy) == 0
    assert not actions.any()


def test_what_learns_from_rewards_has_no_labels() -> None:
    trainer = make_trainer(network(), "reference")
    spikes = b2e.Spikes.from_dense(turns(3))
    with pytest.raises(ValueError, match="Policy learns from rewards, not from labels"):
        trainer.fit(spikes, [[0, 1, 1], [0, 0, 0]], verbose=False)
    policy, value = trainer.predict(spikes)
    assert policy.shape == (N_AGENTS, N_ACTIONS)
    assert value.shape == (N_AGENTS, 1)
    for rule in (b2e.EProp(), b2e.SurrogateBPTT(), b2e.EProp(form="forward", update_every=3)):
        with pytest.raises(b2e.LearningError, match="learns from rewards, which only"):
            make_trainer(network(), "reference", rule=rule)
    with pytest.raises(b2e.LearningError, match="takes one Policy and one Value"):
        make_trainer(network(), "reference", loss=[b2e.Policy(), b2e.Policy()])
    for wrong in ({"discount": 1.5}, {"window": (0 * ms, 1 * ms)}):
        with pytest.raises(ValueError, match="Value"):
            b2e.Value(**wrong)


def test_actions_are_drawn_from_the_policy_and_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    sent = b2e.Spikes.from_dense(turns(4)[:, :N_STEPS])
    found = []
    for again in (False, True):
        agent = b2e.Agent(trainer := make_trainer(network(), "cpu", seed=5), N_AGENTS, N_STEPS)
        if again:
            trainer.load(tmp_path / "agent.npz")
        for episode in range(2, 4) if again else range(4):
            if episode == 2 and not again:
                trainer.save(tmp_path / "agent.npz")
            agent.begin()
            actions = agent.act(sent)
            agent.reward(actions, True)
        found.append((actions, trainer.parameter_values()))
    assert np.array_equal(found[0][0], found[1][0])
    for name, values in found[0][1].items():
        assert np.array_equal(values, found[1][1][name]), name
