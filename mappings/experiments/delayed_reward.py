"""Delayed-reward choice in Loihi's own learning engine: the reward comes one second after the choice.

One of three cues is shown; three groups of neurons, inhibiting each other, answer; the group that fires more is the
choice. Only after a silent delay of a second comes a reward (right: +, wrong: -), the same to all synapses. The network
runs on an emulated chip. What bridges the delay is the synaptic tag: dt = pre-before-post - post-before-pre - t * 2^-7
per epoch (8 steps), which leaves a third of it after 1000 steps; dw = t * reward (Izhikevich 2007, distal reward;
Frémaux & Gerstner 2016). The rule is sum-of-products text, all numbers are the chip's integers.

The control is the same network with a tag that is gone within a few epochs: it cannot learn, whatever the
reward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chipsim.errors import FileError, RunError
from chipsim.rules.products.rule import SumOfProducts, reward_modulated_stdp
from chipsim.storage.arrays import read_npz, write_npz

from .reward_layer import NeuronSettings, RewardLayer

#: progress(trials done, trials in all, share of right choices over the last 20 trials)
Progress = Callable[[int, int, float], None]
WINDOW = 20


@dataclass(frozen=True)
class Task:
    """The trial, in steps (1 step = 1 ms), and the network.

    cues and actions: how many; per_cue, per_action: neurons each; cue_steps: length of a cue; delay: from its
    end to the reward; pause: from the reward to the next cue; rate: spikes per step of a cue's neurons;
    background: share of steps in which an output neuron gets `kick` of noise while a cue is on; weight: mean
    initial weight; inhibit: lateral weight between the groups; reward: size of the third factor, on for
    `hold` steps (one learning epoch).
    """

    cues: int = 3
    actions: int = 3
    per_cue: int = 20
    per_action: int = 8
    cue_steps: int = 120
    delay: int = 1000
    pause: int = 1500
    rate: float = 0.06
    background: float = 0.05
    kick: int = 150
    weight: int = 60
    inhibit: int = -120
    reward: int = 12
    hold: int = 8
    neurons: NeuronSettings = field(default_factory=NeuronSettings)


@dataclass(frozen=True)
class Outcome:
    """What a run left behind.

    correct (seeds, trials) bool; weights (seeds, n_out, n_in) at the end; tag (t,) mean tag of the synapses
    from the shown cue to the chosen group over one trial of the last seed, other (t,) of the rest; task,
    rule.
    """

    correct: NDArray[np.bool_]
    weights: NDArray[np.int32]
    tag: NDArray[np.float64]
    other: NDArray[np.float64]
    task: Task
    rule: SumOfProducts

    def accuracy(self, last: int = 100) -> NDArray[np.float64]:
        """Share of right choices in the last trials, one per seed."""
        return self.correct[:, -last:].mean(axis=1)


def tag_rule(decay: float = 2**-7, t_epoch: int = 8) -> SumOfProducts:
    """Pair STDP into the tag, tag times reward into the weight; `decay`: loss of the tag per epoch."""
    return reward_modulated_stdp(0.5, 1, -0.5, 20, 16, decay, t_epoch=t_epoch)


def choose(spikes: NDArray[np.bool_], task: Task, rng: np.random.Generator) -> int:
    """The group that fired most; a coin decides between equals."""
    counts = spikes.reshape(spikes.shape[0], task.actions, task.per_action).sum(axis=(0, 2))
    best = np.flatnonzero(counts == counts.max())
    return int(rng.choice(best))


def new_machine(task: Task, rule: SumOfProducts, seed: int) -> RewardLayer:
    """The network with random initial weights."""
    rng = np.random.default_rng([seed, 1])
    n_out = task.actions * task.per_action
    weights = rng.integers(task.weight // 2, task.weight * 3 // 2 + 1, (n_out, task.cues * task.per_cue))
    group = np.arange(n_out) // task.per_action
    lateral = np.where(group[:, None] != group[None, :], task.inhibit, 0)
    return RewardLayer(rule, weights, lateral, task.kick, task.neurons, seed=seed)


def trial(
    machine: RewardLayer,
    task: Task,
    cue: int,
    rng: np.random.Generator,
    *,
    learn: bool = True,
    watch: bool = False,
) -> tuple[int, NDArray[np.int32]]:
    """Show a cue, read the choice, wait, reward, wait; returns the choice and, if `watch`, tags (t, n_out,
    n_in).

    The machine is run twice, before and after the choice is known: the chip is in the loop.
    """
    n_in, n_out = task.cues * task.per_cue, task.actions * task.per_action
    inputs = np.zeros((task.cue_steps, n_in), np.uint8)
    mine = slice(cue * task.per_cue, (cue + 1) * task.per_cue)
    inputs[:, mine] = rng.random((task.cue_steps, task.per_cue)) < task.rate
    noise = rng.random((task.cue_steps, n_out)) < task.background
    spikes = machine.run(inputs, noise, np.zeros(task.cue_steps, int), learn=learn, record_tag=watch)
    tags = machine.tags
    action = choose(spikes, task, rng)
    rest = task.delay + task.pause
    reward = np.zeros(rest, int)
    reward[task.delay : task.delay + task.hold] = task.reward if action == cue else -task.reward
    silence = np.zeros((rest, n_in), np.uint8)
    machine.run(silence, np.zeros((rest, n_out), bool), reward, learn=learn, record_tag=watch)
    return action, np.concatenate([tags, machine.tags])


def run(
    trials: int = 200,
    seeds: Sequence[int] = (0, 1, 2),
    task: Task | None = None,
    rule: SumOfProducts | None = None,
    progress: Progress | None = None,
    checkpoint: str | Path | None = None,
) -> Outcome:
    """Learn the task, once per seed.

    Parameters
    ----------
    trials, seeds
        Trials per seed; each seed draws its own weights, cues and noise.
    task, rule
        Default `Task()` and `tag_rule()`.
    progress
        Called after every trial.
    checkpoint
        File (.npz) of finished seeds; a run that finds one with the same task goes on after them.

    Raises
    ------
    RunError
        If there is nothing to run, or the checkpoint belongs to another task.
    """
    task, rule = task or Task(), rule or tag_rule()
    if trials < 1 or not seeds:
        raise RunError(f"trials = {trials}, {len(seeds)} seeds: at least one of each is needed")
    done = _Finished(checkpoint, repr((trials, tuple(seeds), task, rule)))
    total = trials * len(seeds)
    last = None
    for k, seed in enumerate(seeds):
        if k < len(done.correct) and k < len(seeds) - 1:
            continue

        def step(i: int, share: float, k: int = k) -> None:
            if progress is not None:
                progress(k * trials + i, total, share)

        last = run_seed(seed, trials, task, rule, step)
        done.add(k, last.correct, last.weights)
    assert last is not None
    return Outcome(np.array(done.correct), np.array(done.weights), last.tag, last.other, task, rule)


@dataclass(frozen=True)
class SeedRun:
    """One seed: correct (trials,) bool, weights, tags of the first trial as in `Outcome`; `state` continues it."""

    correct: NDArray[np.bool_]
    weights: NDArray[np.int32]
    tag: NDArray[np.float64]
    other: NDArray[np.float64]
    state: Mapping[str, Any]


def run_seed(
    seed: int,
    trials: int = 200,
    task: Task | None = None,
    rule: SumOfProducts | None = None,
    progress: Callable[[int, float], None] | None = None,
    resume: Mapping[str, Any] | None = None,
) -> SeedRun:
    """One seed up to `trials` trials in all; `resume`: the state of an earlier run. progress: (trials done, share)."""
    task, rule = task or Task(), rule or tag_rule()
    machine, rng = new_machine(task, rule, seed), np.random.default_rng([seed, 2])
    correct: list[bool] = []
    tag = other = np.zeros(0)
    if resume is not None:
        machine.set_state(resume["machine"])
        rng.bit_generator.state = resume["random"]
        correct, tag, other = [bool(c) for c in resume["correct"]], resume["tag"], resume["other"]
    for i in range(len(correct), trials):
        cue = int(rng.integers(task.cues))
        action, tags = trial(machine, task, cue, rng, watch=i == 0)
        correct.append(action == cue)
        if len(tags):
            tag, other = _mean_tags(tags, task, cue, action)
        if progress is not None:
            progress(i + 1, float(np.mean(correct[-WINDOW:])))
    state = {"machine": machine.get_state(), "random": rng.bit_generator.state, "correct": np.array(correct),
             "tag": tag, "other": other}  # fmt: skip
    return SeedRun(np.array(correct), machine.weights, tag, other, state)


def joined(runs: Sequence[SeedRun], task: Task | None = None, rule: SumOfProducts | None = None) -> Outcome:
    """The runs of several seeds as one outcome."""
    last = runs[-1]
    weights = np.array([r.weights for r in runs])
    return Outcome(
        np.array([r.correct for r in runs]), weights, last.tag, last.other, task or Task(), rule or tag_rule()
    )


def control(trials: int = 200, seeds: Sequence[int] = (0, 1, 2), task: Task | None = None, **settings: Any) -> Outcome:
    """The same with a tag that loses half of itself per epoch: nothing is left when the reward comes."""
    return run(trials, seeds, task, tag_rule(decay=0.5), **settings)


def with_delay(task: Task, delay: int) -> Task:
    """The task with another delay."""
    return replace(task, delay=delay)


def _mean_tags(tags: NDArray, task: Task, cue: int, action: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean tag over time of the synapses from the cue to the chosen group, and of all others."""
    post = np.arange(task.actions * task.per_action) // task.per_action == action
    pre = np.arange(task.cues * task.per_cue) // task.per_cue == cue
    chosen = post[:, None] & pre
    return tags[:, chosen].mean(axis=1), tags[:, ~chosen].mean(axis=1)


class _Finished:
    """Results of finished seeds, kept in a file if one is named."""

    def __init__(self, path: str | Path | None, identity: str) -> None:
        self.path = Path(path) if path is not None else None
        self.identity = identity
        self.correct: list[NDArray] = []
        self.weights: list[NDArray] = []
        if self.path is not None and self.path.exists():
            data = read_npz(self.path)
            missing = {"identity", "correct", "weights"} - set(data)
            if missing:
                raise FileError(f"{self.path} is no checkpoint of this experiment: it lacks '{min(missing)}'")
            if str(data["identity"]) != identity:
                raise RunError(f"checkpoint {self.path.name} belongs to other settings; delete it or name another")
            self.correct, self.weights = list(data["correct"]), list(data["weights"])

    def add(self, k: int, correct: NDArray, weights: NDArray) -> None:
        """Keep the result of seed number k."""
        self.correct[k:], self.weights[k:] = [correct], [weights]
        if self.path is not None:
            write_npz(self.path, identity=self.identity, correct=self.correct, weights=self.weights)
