"""Training on an emulated chip, episode by episode: sequences in, losses out, one update per batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chipsim.checks import floats, mapping, numbers
from chipsim.emulator import Emulator
from chipsim.engines.learning.eprop_network import LAG, Episode
from chipsim.errors import RunError
from chipsim.mappings.builders.lsnn import eprop_network
from chipsim.mappings.compiler.compile import compile
from chipsim.rules.e_prop.rule import EProp


class Trainer:
    """A recurrent network that learns by e-prop on a chip.

    Parameters
    ----------
    rule, w_in, w_rec, w_out, feedback
        As in `eprop_network`.
    chip
        Name, path or description; it must know e-prop ("float", "research", "unlimited").
    seed : int
        Of rounding, and of the feedback where none is given.

    Attributes
    ----------
    emulator : Emulator
        Of the compiled network; populations "in", "rec", "out".
    """

    def __init__(
        self,
        rule: EProp,
        w_in: Any,
        w_rec: Any,
        w_out: Any,
        feedback: Any = None,
        *,
        chip: Any = "float",
        seed: int = 0,
    ) -> None:
        network = eprop_network(rule, w_in, w_rec, w_out, feedback)
        self.emulator = Emulator(compile(network, chip, seed=seed))
        self.rule = network.projections["rec->out"].rule

    def step(self, batch: Sequence[tuple[np.ndarray, Any]], rate: float = 1.0) -> list[Episode]:
        """One update from a batch of (spikes (T, n_in), target); `rate` multiplies the rule's learning rate.

        A target is (T, m), or for cross-entropy the number of a class, asked for in the rule's window.
        """
        found = []
        for k, (x, target) in enumerate(batch):
            inputs, goal = self._padded(x), self._goal(target, len(x))
            self.emulator.run({"in": inputs}, targets={"out": goal})
            done = self.emulator.end_episode(update=k == len(batch) - 1, rate=rate)
            found.append(done["out"])
        return found

    def output(self, x: np.ndarray) -> np.ndarray:
        """Readout (T, m) in ideal units of a sequence, learning frozen; after the softmax for cross-entropy."""
        result = self.emulator.run({"in": self._padded(x)}, record={"out": ["v"]}, learn=False)
        self.emulator.end_episode(update=False)
        unit = self.emulator.program.population("out").unit or 1.0
        y = result.trace["out"]["v"][LAG:] * unit
        if self.rule.loss == "mse":
            return y
        shifted = np.exp(y - y.max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)

    def _padded(self, x: np.ndarray) -> np.ndarray:
        x = numbers(x, "input", RunError)
        return np.concatenate([x, np.zeros((LAG, *x.shape[1:]), x.dtype)])

    def _goal(self, target: Any, steps: int) -> np.ndarray:
        m = self.emulator.program.population("out").n
        goal = np.full((steps + LAG, m), np.nan)
        first = LAG + steps - (self.rule.window or steps)
        rows = floats(target, "target", RunError, nan=True)
        if rows.ndim == 0 and self.rule.loss == "cross_entropy":
            label = float(rows)
            if label not in range(m):
                raise RunError(f"target {label:g} is no class of the readout, which has 0..{m - 1}")
            rows = np.broadcast_to(np.eye(m)[int(label)], (steps, m))
        if rows.shape != (steps, m):
            raise RunError(f"target has shape {rows.shape}; a sequence of {steps} steps needs ({steps}, {m})")
        goal[first:] = rows[first - LAG :]
        return goal

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """Weights by projection, (post, pre), in ideal units."""
        program = self.emulator.program
        found = {}
        for p in program.projections:
            now = self.emulator.weights(p.name)
            found[p.name] = np.asarray(now.toarray() if hasattr(now, "toarray") else now) * (p.unit or 1.0)
        return found

    @property
    def state(self) -> dict[str, np.ndarray]:
        """A checkpoint, for `restore`."""
        return self.emulator.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a checkpoint, bit for bit; it may hold more than the state."""
        known = self.emulator.state()
        self.emulator.restore(
            {k: v for k, v in mapping(state, "state", "name -> array", RunError).items() if k in known}
        )
