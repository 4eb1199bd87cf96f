"""A network that learns by e-prop: what a group of projections saw in an episode, and its update at the end.

The chip runs the neurons; this keeps what their cores would have kept (spikes, pseudo-derivatives, readouts, targets of
the episode) and computes the gradient when the episode ends, in the form that filters the learning signal backwards:
equal to carrying traces forward in every synapse up to the order of summation, and many times faster
(`chipsim.rules.e_prop.net`, docs/learning.md).

A spike reaches the recurrent layer one step later and the readout two: row t of the sequence is step t of the inputs,
t + 1 of the neurons, t + 2 of the readout. An episode of S steps is a sequence of S - 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chipsim.engines.contract import Episode
from chipsim.errors import RunError
from chipsim.kept import FOREVER, Kept, like, number, under
from chipsim.kernels.learning.eprop import adjoint as adjoint
from chipsim.program.program import PopulationImage, Program
from chipsim.rules.e_prop.group import Group, Link, eprop_groups
from chipsim.rules.e_prop.loss import loss_and_error
from chipsim.rules.e_prop.net import EPropNet
from chipsim.rules.e_prop.rule import EProp

from .eprop import EPropLearner
from .eprop_constants import constants_of
from .targets import target_rows

EPISODE_LIMIT = 8 << 30  #: bytes that an episode may take
LAG = 2  #: steps from an input spike to the readout
#: What is kept of an episode, and as what: inputs, spikes, pseudo-derivatives, readout, targets.
LOGGED = {"x": np.uint8, "z": np.uint8, "psi": np.float64, "y": np.float64, "goal": np.float64}


class EPropNetwork:
    """A group at work: constants from the chip's registers, the log of the episode, gradients, the optimiser."""

    def __init__(self, program: Program, group: Group, learners: Mapping[str, EPropLearner], index: int) -> None:
        self.program, self.group = program, group
        self.rule: EProp = group.rule
        self.recurrent, self.readout = program.population(group.recurrent), program.population(group.readout)
        self.learners = [learners[name] for name in group.projections]
        n, m = self.recurrent.n, self.readout.n
        self.sources = [learners[name].pre for name in group.inputs]
        shapes = [(sum(p.n for p in self.sources), n), (n, n), (n, m)]
        tables = [np.zeros(shape) for shape in shapes]
        masks = [np.zeros(shape, bool) for shape in shapes]
        feedback = self._feedback(n, m, index)
        self.net = EPropNet(self.rule, tables[0].T, tables[1].T, tables[2].T, feedback, seed=program.seed + index)
        first = 0
        for learner in self.learners:
            table = 2 if learner.image.name == group.out else int(learner.image.name == group.loop)
            learner.attach(self, table, first if table == 0 else 0)
            masks[table][learner.place] = True
            first += learner.pre.n
            learner.changed_outside()
        self.masks = masks
        if self.program.arithmetic.is_float and self.rule.precision is not None:
            self.net.to_format()
            for learner in self.learners:
                learner.store()
        unit = self.learners[0].unit
        self.net.constants, self.psi_unit = constants_of(program, self.recurrent, self.readout, self.rule, unit)
        self.out_row = self.readout.model.variables["v"]
        self.clear()
        self.sums, self.episodes = [np.zeros(s) for s in shapes], 0
        self.written: dict[str, int] = {}

    def _feedback(self, n: int, m: int, index: int) -> np.ndarray:
        given = self.rule.feedback_weights
        if given is None:
            return np.random.default_rng([self.program.seed, index]).normal(0.0, 1.0 / np.sqrt(n), (n, m))
        feedback = np.asarray(given, np.float64)
        if feedback.shape != (n, m):
            raise RunError(
                f"rule eprop of population '{self.recurrent.name}': feedback_weights have shape {feedback.shape}, the "
                f"network needs (neurons, outputs) = {(n, m)}"
            )
        return feedback

    def clear(self) -> None:
        """A new episode begins: nothing was seen."""
        self.rows: dict[str, list[np.ndarray]] = {k: [] for k in LOGGED}
        self.taught = np.zeros(0, np.int64)

    def begin(self, steps: int, targets: Any) -> None:
        """Targets of the coming run, checked: (steps, m), rows of NaN where there is none.

        Raises RunError for targets that do not fit, and for an episode too long to be kept.
        """
        each = self.net.tables[0].shape[0] + 17 * self.recurrent.n + 24 * self.readout.n  # bytes: log and probes
        longest = EPISODE_LIMIT // each
        if sum(len(x) for x in self.rows["x"]) + steps > longest:
            raise RunError(
                f"population '{self.recurrent.name}' learns by e-prop, which keeps its episode: one of more than "
                f"{longest} steps does not fit memory; call end_episode() between trials, or run with learn=False"
            )
        self.coming = target_rows(self.readout, targets, steps, self.rule.loss)
        self.taught = (~np.isnan(self.coming[:, 0])).astype(np.int64)

    def gather(self, spikes: Any, psi: np.ndarray, y: np.ndarray) -> None:
        """A run is over: its spike log, and the probed psi (t, n) and v of the readout (t, m)."""
        if not np.isfinite(y).all():
            raise RunError(
                f"population '{self.readout.name}': its potential is no longer finite; lower the rule's learning rate"
            )
        parts = [dense_spikes(spikes, p) for p in self.sources]
        self.rows["x"].append(parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1))
        self.rows["z"].append(dense_spikes(spikes, self.recurrent))
        self.rows["psi"].append(psi if self.psi_unit == 1.0 else psi * self.psi_unit)
        self.rows["y"].append(y * (1.0 if self.program.arithmetic.is_float else self.readout.unit))
        self.rows["goal"].append(self.coming)
        for learner in self.learners:
            learner.work(len(psi))

    def end(self, update: bool, rate: float = 1.0) -> Episode | None:
        """Gradient of the episode; with `update` the optimiser's step over all episodes since the last one."""
        if not self.rows["x"]:
            return None
        x, z, psi, y, goal = (_joined(self.rows[k]) for k in LOGGED)
        length = len(x) - LAG
        if length < 1:
            raise RunError(f"an episode of {len(x)} steps teaches nothing: spikes need {LAG} to reach the readout")
        psi, z = (np.ascontiguousarray(a[1 : 1 + length]) for a in (psi, z))
        run = adjoint.Trajectory(psi[:0], psi[:0], psi, z, np.ascontiguousarray(y[LAG:]))
        goal = goal[LAG:]
        wanted = np.asarray(~np.isnan(goal).any(axis=1))
        loss, output, error = loss_and_error(self.rule.loss, run.y, goal, wanted)
        sums = self.net.from_error(np.ascontiguousarray(x[:length]), run, error)
        for total, part, mask in zip(self.sums, sums, self.masks):
            total += part * mask
        self.episodes += 1
        self.clear()
        if not update:
            return Episode(loss, output, error)
        return self._update(loss, output, error, rate)

    def _update(self, loss: float, output: np.ndarray, error: np.ndarray, rate: float) -> Episode:
        self.net.apply([total / self.episodes if self.episodes > 1 else total.copy() for total in self.sums], rate)
        for total in self.sums:
            total[:] = 0.0
        self.episodes, made = 0, np.zeros(3, np.int64)
        at_bound = 0
        for learner in self.learners:
            told = learner.store()
            learner.totals[1:] += told
            made += told
            low, high = learner.bounds()
            at_bound += np.count_nonzero((learner.weights <= low) | (learner.weights >= high))
            self.written[learner.image.name] = self.written.get(learner.image.name, 0) + learner.weights.size
        share = at_bound / max(sum(x.weights.size for x in self.learners), 1)
        changed, stalled, saturated = (int(c) for c in made)
        precision = self.net.rule.precision
        form = None if precision is None else precision.weights
        stochastic = form is not None and form.rounding == "stochastic"
        return Episode(loss, output, error, changed, stalled, saturated, share, stochastic)

    def checkpoint(self) -> dict[str, np.ndarray]:
        """All that changes but the machine's weights."""
        own = {f"net/{k}": np.asarray(v) for k, v in self.net.state.items() if not k.startswith("w")}
        logs = {f"log/{k}": np.concatenate(v) if v else np.zeros((0, 0), LOGGED[k]) for k, v in self.rows.items()}
        sums = {f"sum/{k}": s.copy() for k, s in enumerate(self.sums)}
        names = [x.image.name for x in self.learners]
        counts = [self.episodes, *(self.written.get(k, 0) for k in names)]
        totals = np.array([x.totals for x in self.learners])
        return own | logs | sums | {"counts": np.array(counts, np.int64), "totals": totals}

    def kept(self) -> dict[str, Kept]:
        """What `checkpoint` holds; `restore` sees that the logs are of one episode."""
        own = {k: number() if np.ndim(v) == 0 else like(v) for k, v in self.net.state.items() if not k.startswith("w")}
        wanted = under("net/", own)
        for name, kind in LOGGED.items():
            spikes = name in ("x", "z")
            wanted[f"log/{name}"] = Kept((None, None), np.dtype(kind), *((0, 1) if spikes else (None, None)))
        wanted |= {f"sum/{k}": like(s) for k, s in enumerate(self.sums)}
        counts = np.zeros(1 + len(self.learners), np.int64)
        totals = np.array([x.totals for x in self.learners])
        return wanted | {"counts": like(counts, 0, FOREVER), "totals": like(totals, 0, FOREVER)}

    def _check_logs(self, saved: Mapping[str, np.ndarray]) -> None:
        n, m = self.recurrent.n, self.readout.n
        widths = {"x": sum(p.n for p in self.sources), "z": n, "psi": n, "y": m, "goal": m}
        steps = len(saved["log/x"])
        for name, width in widths.items():
            shape = saved[f"log/{name}"].shape
            if shape != (steps, width) and (steps or shape != (0, 0)):
                raise RunError(f"the state's 'log/{name}' has shape {shape}, the episode is {(steps, width)}")

    def restore(self, saved: Mapping[str, np.ndarray]) -> None:
        """Continue from a checkpoint, bit for bit."""
        self._check_logs(saved)
        self.net.restore(self.net.state | {k[4:]: v for k, v in saved.items() if k.startswith("net/")})
        for total, k in zip(self.sums, range(3)):
            total[:] = saved[f"sum/{k}"]
        self.clear()
        if saved["log/x"].size:
            self.rows = {k: [np.array(saved[f"log/{k}"])] for k in self.rows}
        for learner, totals in zip(self.learners, saved["totals"]):
            learner.totals[:] = totals
        self.episodes, *written = (int(c) for c in saved["counts"])
        self.written = {x.image.name: w for x, w in zip(self.learners, written) if w}


def networks(program: Program, learners: Mapping[str, EPropLearner]) -> list[EPropNetwork]:
    """The e-prop networks of a program."""
    links = [
        Link(p.name, program.populations[p.pre].name, program.populations[p.post].name, p.synapses.max_delay, p.rule)
        for p in program.projections
    ]
    groups = eprop_groups({p.name: p.model for p in program.populations}, links, RunError)
    return [EPropNetwork(program, group, learners, k) for k, group in enumerate(groups)]


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """The parts one after the other; one alone is not copied."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def dense_spikes(spikes: Any, image: PopulationImage) -> np.ndarray:
    """(t, n) uint8 of one population from a run's spike log."""
    out = np.zeros((spikes.ptr.size - 1, image.n), np.uint8)
    mine = (spikes.ids >= image.start) & (spikes.ids < image.stop)
    step = np.repeat(np.arange(len(out)), np.diff(spikes.ptr))[mine]
    out[step, spikes.ids[mine].astype(np.int64) - image.start] = 1
    return out
