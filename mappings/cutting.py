"""Cutting a sequence of neurons into cores, each as long as the limits allow."""

from __future__ import annotations

import numpy as np

from chipsim.errors import CompileError
from chipsim.schema import Chip

from .allocate import fan_in
from .axons import owner
from .check import CORE_RULES, too_much
from .incoming import Incoming
from .network import Network
from .profiles import decay_key, profile_ids, shared_ids, taught, threshold_key

FIRST_WINDOW = 64


class Cutter:
    """Cuts `order` (program numbers of neurons) for one chip."""

    def __init__(self, net: Network, chip: Chip, order: np.ndarray, max_neurons: int | None = None) -> None:
        self.net, self.chip, self.order = net, chip, order
        self.rules = {rule.column: (rule, rule.limit(chip)) for rule in CORE_RULES}
        caps = [k for k in (self.rules["neurons"][1], max_neurons) if k is not None]
        self.cap = min(caps, default=order.size)
        self.population = owner(net)[order]
        self.incoming = Incoming.of(net, order, chip)
        self.limited = [
            (name, limit)
            for name in ("input_axons", "synapses", "synapse_bits")
            if (limit := self.rules[name][1]) is not None
        ]
        self.distinct = self._profiles()
        self.shared = [shared_ids(net, register)[order] for register in chip.limits.core_shared]
        self.taught = [flags[order] for flags in taught(net)] if chip.limits.learning_uniform else []
        self._check_fan_in()

    def _profiles(self) -> list[tuple[str, int, np.ndarray]]:
        """(column, limit, place of the neuron before with the same profile, -1 if none)."""
        out = []
        for name, key in (("decay_profiles", decay_key), ("threshold_profiles", threshold_key)):
            limit = self.rules[name][1]
            if limit is not None:
                out.append((name, limit, _before(profile_ids(self.net, key)[self.order])))
        return out

    def _check_fan_in(self) -> None:
        rule, limit = self.rules["fan_in"]
        if limit is None:
            return
        counts = fan_in(self.net)[self.order]
        worst = int(np.argmax(counts))
        if counts[worst] > limit:
            names = list(self.net.populations)
            raise too_much(rule, self.chip, names[self.population[worst]], 0, int(counts[worst]), limit)

    def cut(self, *, aligned: bool = False, blocks: np.ndarray | None = None) -> np.ndarray:
        """Bounds of the cores in `order`, (cores + 1,) int64.

        Parameters
        ----------
        aligned
            Start a population on a new core if the rest of the current one cannot hold it.
        blocks : (m,) int or None
            No core may span two different blocks.
        """
        m, bounds, window = self.order.size, [0], FIRST_WINDOW
        self.incoming.seen[:] = 0
        stops = _ends(blocks) if blocks is not None else np.array([m])
        ends = _ends(self.population)
        while (a := bounds[-1]) < m:
            most = min(a + self.cap, int(stops[np.searchsorted(stops, a, side="right")]))
            b, why = self._longest(a, most, window)
            if b == a:
                raise self._refuse(a, why, len(bounds) - 1)
            if aligned and b < m:
                b = _aligned(a, b, ends)
            window = max(FIRST_WINDOW, 2 * (b - a))
            self.incoming.take(a, b)
            bounds.append(b)
        return np.array(bounds, np.int64)

    def _longest(self, a: int, most: int, window: int) -> tuple[int, str]:
        """Furthest end of a core that starts at a, and what ends it."""
        end, why = self._profile_end(a, most)
        if not self.limited:
            return end, why
        while True:
            b = min(end, a + window)
            needs = self.incoming.needs(a, b)
            lengths = {name: int(np.searchsorted(needs[name], limit, side="right")) for name, limit in self.limited}
            name = min(lengths, key=lambda k: lengths[k])
            if lengths[name] < b - a:
                return a + lengths[name], name
            if b == end:
                return end, why
            window *= 4

    def _profile_end(self, a: int, most: int) -> tuple[int, str]:
        end, why = most, "neurons"
        for name, limit, before in self.distinct:
            new = np.cumsum(before[a:end] < a)
            length = int(np.searchsorted(new, limit, side="right"))
            if length < end - a:
                end, why = a + length, name
        for ids in self.shared:
            part = ids[a:end]
            minds = part[part >= 0]
            other = (part >= 0) & (part != (minds[0] if minds.size else 0))
            if other.any():
                end, why = a + int(np.argmax(other)), "shared"
        if self.taught:
            learns, fixed = (np.logical_or.accumulate(flags[a:end]) for flags in self.taught)
            both = learns & fixed
            if both.any():
                end, why = a + int(np.argmax(both)), "mixed_learning"
        return end, why

    def _refuse(self, a: int, why: str, core: int) -> CompileError:
        """The first neuron of a core alone exceeds a limit."""
        rule, limit = self.rules[why]
        need = int(self.incoming.needs(a, a + 1)[why][0]) if why in dict(self.limited) else 2
        name = list(self.net.populations)[self.population[a]]
        error = too_much(rule, self.chip, name, core, need, limit or 0)
        return CompileError(
            f"one neuron alone is too much for a core. {error}",
            population=name, core=core, resource=why, need=need, limit=limit,
        )  # fmt: skip


def _before(ids: np.ndarray) -> np.ndarray:
    """Place of the nearest earlier entry with the same id, -1 if there is none."""
    order = np.argsort(ids, kind="stable")
    out = np.full(ids.size, -1, np.int64)
    same = ids[order[1:]] == ids[order[:-1]]
    out[order[1:][same]] = order[:-1][same]
    return out


def _ends(labels: np.ndarray) -> np.ndarray:
    """One past the last place of every run of equal labels."""
    return np.append(np.flatnonzero(labels[1:] != labels[:-1]) + 1, labels.size)


def _aligned(a: int, b: int, ends: np.ndarray) -> int:
    """The last population boundary in (a, b], or b where the core holds part of one population only."""
    k = int(np.searchsorted(ends, b, side="right")) - 1
    return int(ends[k]) if k >= 0 and ends[k] > a else b
