"""Torch modules run step by step, and the networks made from them on the float emulator."""

from __future__ import annotations

from typing import Any

import numpy as np

import chipsim as cs
from chipsim.mappings.formats.nir.reader import aligned, padded


def spikes(*shape: int, steps: int = 60, rate: float = 0.3, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random((steps, *shape)) < rate).astype(np.float32)


def first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) else value


class Recorder:
    """What modules of these classes give, call by call, by path."""

    def __init__(self, module: Any, kinds: tuple[str, ...]) -> None:
        self.calls: dict[str, list[np.ndarray]] = {}
        for path, m in module.named_modules():
            if type(m).__name__ in kinds:
                name = path or type(m).__name__.lower()
                self.calls[name] = []
                m.register_forward_hook(lambda m, a, out, name=name: self.calls[name].append(self.plain(out)))

    @staticmethod
    def plain(out: Any) -> np.ndarray:
        return first(out).detach().numpy().copy()

    def taken(self, squeeze: int = 1) -> dict[str, np.ndarray]:
        """(steps, *shape) by path; batches are of one."""
        return {k: np.concatenate(v).reshape(-1, *v[0].shape[squeeze:]) for k, v in self.calls.items()}


def emulated(net: cs.Network, x: np.ndarray) -> dict[str, np.ndarray]:
    given, steps = padded(net, {"input": x})
    return aligned(net, cs.Emulator(cs.compile(net, "float")).run(given, steps))


def differences(net: cs.Network, x: np.ndarray, wanted: dict[str, np.ndarray], tolerance: float = 0.0) -> None:
    """Every spike of every neuron, and that there are some."""
    got = emulated(net, x)
    assert wanted
    for name, record in wanted.items():
        assert record.any(), f"{name} never fires"
        assert got[name].shape == record.shape, name
        wrong = int((np.abs(got[name] - record) > tolerance).sum())
        assert wrong == 0, f"{name}: {wrong} of {record.size} differ"
