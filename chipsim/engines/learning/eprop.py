"""Learner of one projection that learns by e-prop; the network it belongs to does the work (`eprop_network`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from chipsim.errors import RunError
from chipsim.kept import Kept

from .declared import Learner, Tally

if TYPE_CHECKING:
    from chipsim.rules.e_prop.group import Group
    from chipsim.rules.e_prop.net import EPropNet
    from chipsim.rules.e_prop.rule import EProp


class Home(Protocol):
    """The network that a projection belongs to, as far as it is read here."""

    net: EPropNet
    rule: EProp
    group: Group
    taught: np.ndarray
    rows: dict[str, list[np.ndarray]]
    written: dict[str, int]

    def checkpoint(self) -> dict[str, np.ndarray]:
        """What it keeps besides weights, by name."""
        ...

    def kept(self) -> dict[str, Kept]:
        """What such a checkpoint must hold."""
        ...

    def restore(self, saved: Mapping[str, np.ndarray]) -> None:
        """Continue from a checkpoint."""
        ...


class EPropLearner(Learner):
    """One projection of a group: its weights in the machine, and where they lie in the group's matrix."""

    variables = ("w",)
    name = "eprop"
    late = True

    def attach(self, group: Home, table: int, first: int) -> None:
        """The projection's matrix is rows first, first + 1, ... of the group's weight table number `table`."""
        rows = first + np.repeat(np.arange(self.pre.n), np.diff(self.matrix.indptr))
        self.group, self.table, self.place = group, table, (rows, np.asarray(self.matrix.indices))
        self.unit = 1.0 if self.is_float else float(self.image.unit or 1.0)
        self.totals = np.zeros(4, np.int64)  # eligibilities computed; weights changed, rounded away, held at an end
        self.worked = np.zeros(0, np.int64)

    def changed_outside(self) -> None:
        """The user, or a checkpoint, overwrote the machine's weights."""
        self.group.net.tables[self.table][self.place] = self.weights * self.unit

    def store(self) -> np.ndarray:
        """The group's weights into the machine; returns how many changed, were rounded away, left the format."""
        old, values = self.weights.copy(), self.group.net.tables[self.table][self.place]
        self.weights[:] = values if self.is_float else np.rint(values / self.unit)
        lost = self.group.net.lost
        masks = [np.count_nonzero(mask[self.place]) for mask in lost[self.table]] if lost else [0, 0]
        return np.array([np.count_nonzero(self.weights != old), *masks], np.int64)

    def work(self, steps: int) -> None:
        """A run of `steps` steps was seen: the eligibilities it took."""
        self.worked = self._evaluated(np.ones(steps, np.int64))
        self.totals[0] += self.worked.sum()

    def bounds(self) -> tuple[float, float]:
        """Range of the weights in the machine's numbers."""
        form = self.group.rule.precision.weights if self.group.rule.precision is not None else None
        return (-np.inf, np.inf) if form is None else (form.low / self.unit, form.high / self.unit)

    def prepare(self, steps: int, third: Any) -> None:
        """Nothing comes in by projection: e-prop takes targets of its readout."""
        if third is not None:
            raise RunError(
                f"projection '{self.image.name}' learns by e-prop and takes no third factor: give "
                f"targets={{'{self.group.group.readout}': ...}} instead"
            )
        self.steps = steps

    def counts(self) -> dict[str, np.ndarray]:
        """Acts per step of the run, (t,) int64: eligibilities computed, traces decayed, signals received.

        A readout's synapses work in steps with a target. Recurrent ones work in every step, or, where no trace of their
        own has to decay, in those in which their neuron's pseudo-derivative is not zero. The update at the end of an
        episode is booked on the first step of the next run.
        """
        full = np.ones(self.steps, np.int64)
        made = {"trace_update": full * self.pre.n, "synapse_update": self.worked}
        made["third_factor"] = self.group.taught * self.post.n
        made["weight_read"], made["weight_write"] = full * 0, full * 0
        if self.steps:
            made["weight_write"][0] = self.group.written.pop(self.image.name, 0)
        return made

    def _evaluated(self, full: np.ndarray) -> np.ndarray:
        if self.image.name == self.group.group.out:
            return self.group.taught * self.weights.size
        if self.group.rule.kappa_filter or np.any(self.group.net.constants.beta > 0):
            return full * self.weights.size
        fan_in = np.bincount(self.matrix.indices, minlength=self.post.n)
        return (self.group.rows["psi"][-1] != 0) @ fan_in

    def tally(self) -> Tally:
        """Totals since reset."""
        return Tally(*(int(c) for c in self.totals))

    def value(self, name: str) -> np.ndarray:
        """Weights now."""
        return self.dense(self.weights)

    def checkpoint(self) -> dict[str, np.ndarray]:
        """The group's state, kept with its last projection."""
        return self.group.checkpoint() if self.image.name == self.group.group.out else {}

    def kept(self) -> dict[str, Kept]:
        """What `checkpoint` holds."""
        return self.group.kept() if self.image.name == self.group.group.out else {}

    def restore(self, saved: Mapping[str, np.ndarray]) -> None:
        """Continue from a checkpoint; the machine's weights are in place already."""
        self.changed_outside()
        if self.image.name == self.group.group.out:
            self.group.restore(saved)
