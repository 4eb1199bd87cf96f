"""Random numbers of noisy neurons, drawn ahead of the machine."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipsim.kept import Kept, number
from chipsim.program.program import Program


class NoiseSource:
    """Noise of neurons that have it: (r + 64 offset) * 2**(exp - 7), r uniform in -127..126.

    One number per neuron and step, drawn in program order from numpy's RandomState(seed): the order in which
    nengo-loihi 1.1.0 (emulator/interface.py) draws, so that the same seed gives the same bits.
    """

    def __init__(self, program: Program) -> None:
        self.n, self.seed = program.n, program.seed
        self.noisy = [p for p in program.populations if p.model.values.get("noise", "none") != "none"]
        self.neurons = np.flatnonzero(
            np.concatenate([np.full(p.n, not p.model.is_input) for p in program.populations] or [np.zeros(0, bool)])
        )
        self.scale, self.offset = np.zeros(self.n), np.zeros(self.n)
        for p in self.noisy:
            self.scale[p.start : p.stop] = 2.0 ** (int(p.model.values["noise_exp"]) - 7)
            self.offset[p.start : p.stop] = _int32(64.0 * int(p.model.values["noise_offset"]), wrap=True)
        self.reset()

    def reset(self) -> None:
        """Random numbers from the start."""
        self._random = np.random.RandomState(self.seed)
        self._spare = np.zeros((0, self.neurons.size), np.int64)

    def draw(self, steps: int) -> np.ndarray:
        """(steps, n) int32 for the coming steps, or (1, 1) when nothing is noisy."""
        if not self.noisy:
            return np.zeros((1, 1), np.int32)
        missing = steps - len(self._spare)
        if missing > 0:
            fresh = self._random.randint(-127, 128, size=(missing, self.neurons.size))
            self._spare = np.concatenate([self._spare, fresh])
        noise = np.zeros((steps, self.n), np.int32)
        scale, offset = self.scale[self.neurons], self.offset[self.neurons]
        noise[:, self.neurons] = _int32(_int32(self._spare[:steps] + offset, wrap=True) * scale)
        return noise

    def keep(self, used: int) -> None:
        """Only the first `used` steps of the last draw were run."""
        if self.noisy:
            self._spare = self._spare[used:]

    def state(self) -> dict[str, np.ndarray]:
        """Where the stream stands; nothing when no neuron is noisy."""
        if not self.noisy:
            return {}
        _, keys, position, *_ = self._random.get_state()
        return {
            "noise/keys": np.array(keys),
            "noise/position": np.array(position),
            "noise/spare": self._spare,
        }

    def kept(self) -> dict[str, Kept]:
        """What `state` holds."""
        if not self.noisy:
            return {}
        width = self.neurons.size
        return {
            "noise/keys": Kept((624,), np.dtype(np.uint32)),
            "noise/position": number(0, 624),
            "noise/spare": Kept((None, width), np.dtype(np.int64), -127, 127),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
        if self.noisy:
            self._random.set_state(
                ("MT19937", np.asarray(state["noise/keys"], np.uint32), int(state["noise/position"]), 0, 0.0)
            )
            self._spare = np.array(state["noise/spare"])


def _int32(values: Any, wrap: bool = False) -> np.ndarray:
    """Whole parts as the tool's 32 bits hold them: sums wrap; a product that does not fit becomes the lowest number."""
    whole = np.trunc(np.asarray(values, np.float64))
    if wrap:
        return (whole + 2.0**31) % 2.0**32 - 2.0**31
    return np.where(np.abs(whole) < 2.0**31, whole, -(2.0**31)).astype(np.int32)
