"""Cutting a sequence of neurons into cores, each as long as the limits allow."""

from __future__ import annotations

import numpy as np

from chipsim.chips.schema import Chip
from chipsim.errors import CompileError
from chipsim.mappings.network.network import Network
from chipsim.rules.carried import rule_state

from .axons import owner
from .core_rules import CORE_RULES, CoreRule, too_much, with_learning
from .counting import fan_in
from .incoming import Incoming
from .profiles import decay_key, learns_at_all, profile_ids, shared_ids, taught, threshold_key

#: Neurons looked at first; four times as many when all of them fit.
FIRST_WINDOW = 64


class Cutter:
    """Cuts `order` (program numbers of neurons) for one chip.

    Limits that grow with a core's neurons are kept while cutting; those that depend on other cores (output
    axons) or on the finished core (formats, pre-traces) are left to the caller.
    """

    def __init__(
        self, net: Network, chip: Chip, order: np.ndarray, max_neurons: int | None, packing: str = "indexed"
    ) -> None:
        self.net, self.chip, self.order = net, chip, order
        self.rules: dict[str, tuple[CoreRule, int | None]] = {r.column: (r, r.limit(chip)) for r in CORE_RULES}
        caps = [k for k in (self.rules["neurons"][1], max_neurons) if k is not None]
        self.cap = min(caps, default=order.size)
        self.population = owner(net)[order]
        compartments = np.array([p.model.compartments for p in net.populations.values()], np.int64)
        self.taken = np.concatenate(([0], np.cumsum(compartments[self.population])))
        limits = {name: self.rules[name][1] for name in ("input_axons", "synapses", "synapse_bits")}
        self.limited = {name: limit for name, limit in limits.items() if limit is not None}
        self.incoming = Incoming.of(net, order, chip, packing) if self.limited else None
        self.distinct = self._profiles()
        self.shared = [shared_ids(net, register)[order] for register in chip.limits.core_shared]
        mixing = chip.limits.learning_uniform and learns_at_all(net)
        self.taught = [flags[order] for flags in taught(net)] if mixing else []
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
            raise too_much(rule, self.chip, self._name(worst), 0, int(counts[worst]), limit)

    def _name(self, place: int) -> str:
        return list(self.net.populations)[self.population[place]]

    def cut(
        self, *, aligned: bool = False, blocks: np.ndarray | None = None, slots: np.ndarray | None = None
    ) -> np.ndarray:
        """Bounds of the cores in `order`, (cores + 1,) int64.

        Parameters
        ----------
        aligned
            Start a population on a new core if the rest of the current one cannot hold it.
        blocks : (m,) int or None
            No core may span two different blocks.
        slots : (m,) int or None
            Output axon slots that each neuron is expected to need.

        Raises
        ------
        CompileError
            If one neuron alone is too much for a core.
        """
        m, bounds, window = self.order.size, [0], FIRST_WINDOW
        stops = _ends(blocks) if blocks is not None else np.array([m])
        ends = _ends(self.population)
        if self.incoming is not None:
            self.incoming.seen[:] = 0
        while (a := bounds[-1]) < m:
            full = int(np.searchsorted(self.taken, self.taken[a] + self.cap, side="right")) - 1
            most = min(max(full, a + 1), int(stops[np.searchsorted(stops, a, side="right")]))
            if slots is not None:
                most = a + max(1, self._sending(slots[a:most]))
            b, why = self._longest(a, most, window)
            if b == a:
                raise self._refuse(a, why, len(bounds) - 1)
            if aligned and b < m:
                b = _aligned(a, b, ends)
            window = max(FIRST_WINDOW, 2 * (b - a))
            if self.incoming is not None:
                self.incoming.take(a, b)
            bounds.append(b)
        return np.array(bounds, np.int64)

    def _sending(self, slots: np.ndarray) -> int:
        limit = self.rules["output_axons"][1]
        return slots.size if limit is None else int(np.searchsorted(np.cumsum(slots), limit, side="right"))

    def _longest(self, a: int, most: int, window: int) -> tuple[int, str]:
        """Furthest end of a core that starts at a, and what ends it."""
        end, why = self._profile_end(a, most)
        if self.incoming is None:
            return end, why
        length, name = self._fitting(a, min(end, a + window))
        while not name and a + length < end:
            window *= 4
            length, name = self._fitting(a, min(end, a + window))
        narrow = window // 4
        while name and narrow > length:
            # Fewer neurons need a narrower index field, so that more of them may fit than a wide look found.
            length = max(length, self._fitting(a, min(end, a + narrow))[0])
            narrow //= 4
        return a + length, name or why

    def _fitting(self, a: int, b: int) -> tuple[int, str]:
        """How many of the neurons [a, b) fit a core, and what keeps the others out ("" if all fit)."""
        assert self.incoming is not None
        needs = self.incoming.needs(a, b)
        lengths = {k: int(np.searchsorted(needs[k], limit, side="right")) for k, limit in self.limited.items()}
        name = min(lengths, key=lambda k: lengths[k])
        return lengths[name], name if lengths[name] < b - a else ""

    def _profile_end(self, a: int, most: int) -> tuple[int, str]:
        end, why = most, "neurons"
        for name, limit, before in self.distinct:
            length = int(np.searchsorted(np.cumsum(before[a:end] < a), limit, side="right"))
            if length < end - a:
                end, why = a + length, name
        for ids in self.shared:
            part = ids[a:end]
            minds = part[part >= 0]
            other = (part >= 0) & (part != minds[:1]) if minds.size else np.zeros(0, bool)
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
        need = 2
        if self.incoming is not None and why in self.limited:
            need = int(self.incoming.needs(a, a + 1)[why][0])
        error = too_much(rule, self.chip, self._name(a), core, need, limit or 0, lone=True)
        into = {p.name: p.rule for p in self.net.projections.values() if p.post.name == self._name(a) and p.rule}
        if why != "synapse_bits" or not into:
            return error
        return with_learning(error, max(into, key=lambda name: rule_state(into[name])["synapse"]))


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
