"""From a wired network to a Catalyst N1's memories: the programming operations that load it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import CompileError
from ...native.catalyst import operations as ops
from ...native.catalyst.build import Build
from ...native.catalyst.neurons import NO_PARENT
from ...native.catalyst.synapses import FORMATS
from ...program.program import PopulationImage, Program
from .wiring import FLAGS, UNIT_PAYLOAD, Core, Wiring, build_of

_TAUS = ("tau_x1", "tau_y1", "tau_x2", "tau_y2", "tau_y3")
#: Registers written as they are; the others are packed by `_packed`.
_PLAIN = (
    "thr", "leak", "rest", *_TAUS, "h1", "h2", "h3", "rate_target", "rate_eta", "tree", "decay_v", "decay_u",
    "noise_target", "vmin", "vmax",
)  # fmt: skip
#: Parameters that power up at this value both in simulation and on hardware are left out.
_SETTLED = {
    "rest": 0, "noise": 0, "tau_x2": 0, "tau_y2": 0, "tau_y3": 0, "h1": 0, "h2": 0, "h3": 0, "rate_target": 0,
    "rate_eta": 0, "tree": 0, "decay_v": 0, "decay_u": 0, "bias": 0, "join": 0, "root": 1, "noise_target": 0,
}  # fmt: skip
UNUSED_THRESHOLD = 1000  #: of neurons that nothing uses: on hardware they power up at 0 and would fire each timestep


@dataclass(frozen=True, eq=False)
class N1Image:
    """What a chip loads for a program.

    Attributes
    ----------
    build : Build
    operations : (k, 7) int64
        In order; they do not rely on power-up values, so they serve an FPGA as well.
    flags : int
        Flag byte of every timestep.
    spot : (n, 2) int64
        Core and neuron of each neuron of the program; -1 for input lines.
    relays : (r, 3) int64
        Input line, core, neuron: driven by the host.
    spans : dict (projection, core) -> (s, 2) int64
        Pool address of each synapse of a projection: (index in `entries()`, address).
    cores : int
        Cores 0 .. cores - 1 are in use.
    usage : list of dict
        Per used core: neurons, relays, synapses, packets.
    warnings : list of str
        Traps of this program on this chip.
    """

    build: Build
    operations: np.ndarray
    flags: int
    spot: np.ndarray
    relays: np.ndarray
    spans: dict[tuple[int, int], np.ndarray]
    cores: int
    usage: list[dict[str, int]]
    warnings: list[str]


def program_image(program: Program) -> N1Image:
    """Memories of a program of family catalyst; CompileError names what does not fit."""
    return _Writer(program).image()


class _Writer(Wiring):
    """Writes down what `Wiring` has laid out."""

    def image(self) -> N1Image:
        for c, core in self.cores.items():
            if c >= self.build.cores:
                raise self._beyond("cores", c + 1, self.build.cores, "use a larger build")
            for k, i in enumerate(core.members):
                core.number["n", int(i)] = k
                self.spot[i] = c, k
        self._rules()
        for k, projection in enumerate(self.program.projections):
            self._connect(k, projection)
        flags = self._flags()
        self.shared: dict[tuple[int, int], list[np.ndarray]] = {}
        rows = np.concatenate([np.zeros((0, 7), np.int64), *self._operations()])
        for key, parts in self.shared.items():
            self.spans[key] = np.concatenate([self.spans.get(key, np.zeros((0, 2), np.int64)), *parts])
        high = max(self.cores, default=0) + 1
        usage = [
            {
                "core": c, "neurons": len(core.members), "relays": len(core.number) - len(core.members),
                "synapses": core.pool, "packets": sum(len(self.routes.get(int(i), ())) for i in core.members),
            }
            for c, core in self.cores.items()
        ]  # fmt: skip
        self._traps(usage, flags)
        return N1Image(
            self.build, rows, flags, self.spot,
            np.array(self.relays, np.int64).reshape(-1, 3),
            self.spans, high, usage, self.warnings,
        )  # fmt: skip

    def _operations(self) -> Iterator[np.ndarray]:
        for c, core in self.cores.items():
            rows = list(self._core_parameters(c, core))
            for i in core.members:
                image = self.program.populations[self.of[i]]
                rows += self._neuron(c, int(self.spot[i, 1]), image, int(i) - image.start)
            for key, number in core.number.items():
                if key[0] != "n":
                    rows += self._relay(c, core, number, key)
            unused = range(len(core.number), self.build.neurons)
            rows += [ops.parameter(c, number, "thr", UNUSED_THRESHOLD) for number in unused]
            yield np.array(rows, np.int64)
            yield from self._pool(c, core)
            if core.rule is not None:
                yield core.rule.operations(c)
        for i, table in self.routes.items():
            c, n = (int(v) for v in self.spot[i])
            for slot, (to, neuron, weight) in enumerate(table):
                op, at = (ops.LOCAL, slot) if slot < 8 else (ops.GLOBAL, slot - 8)
                yield np.array([[op, c, n, at, to, neuron, weight]])

    def _core_parameters(self, c: int, core: Core) -> Iterator[tuple[int, ...]]:
        shared = {
            tuple(int(self.program.populations[k].model.values[name]) for name in ("epoch", "passes", "reward_tau"))
            for k in np.unique(self.of[core.members])
        }
        if len(shared) > 1:
            raise CompileError(
                f"{self.program.chip.name}: epoch, passes and reward_tau belong to a core, but core {c} would need "
                f"{sorted(shared)}: make them equal, or place the populations on different cores",
                core=c, resource="core parameters",
            )  # fmt: skip
        epoch, passes, tau = shared.pop()
        if core.rule is not None:
            epoch = epoch if core.rule.epoch is None else core.rule.epoch
            tau = tau if core.rule.reward_tau is None else core.rule.reward_tau
        yield ops.parameter(c, 0, "epoch", passes << 12 | epoch)
        yield ops.parameter(c, 0, "reward_tau", tau)

    def _neuron(self, c: int, number: int, image: PopulationImage, k: int) -> Iterator[tuple[int, ...]]:
        model = image.model
        value = {name: int(model.per_neuron(name)[k]) for name in model.registers if name in model.values}
        value |= self.taus.get((self.program.populations.index(image), -1), {})
        parent = value["parent"]
        if parent != NO_PARENT:
            at = self.spot[image.start + parent]
            if at[0] != c:
                raise CompileError(
                    f"population '{image.name}': neuron {k} is on core {c}, its parent {parent} on core {at[0]}; "
                    "compartments of a tree share a core", core=c, resource="parent",
                )  # fmt: skip
            if at[1] == self.build.places - 1:
                raise CompileError(
                    f"population '{image.name}': neuron {parent} is neuron {at[1]} of its core, the number that means "
                    "'no parent': use fewer neurons a core", core=c, resource="parent",
                )  # fmt: skip
            value["parent"] = int(at[1])
            if (c, int(at[1])) in self.driven:
                self.warnings.append(
                    f"population '{image.name}': packets to neuron {parent} erase what its children have put there"
                )
        yield from self._parameters(c, number, value)

    def _relay(self, c: int, core: Core, number: int, key: Any) -> Iterator[tuple[int, ...]]:
        """A neuron that fires whenever something reaches it; its traces are those of what it stands for."""
        i = key[1]
        model = self.program.populations[self.of[i]].model
        if model.is_input:
            block = core.synapses[number][0]
            first = core.members[int(block[0, 0])]
            model = self.program.populations[self.of[first]].model
            k = int(first) - self.program.populations[self.of[first]].start
        else:
            k = i - self.program.populations[self.of[i]].start
        value = {"thr": 1, "leak": 0, "rest": 0, "refractory": 0, "vmin": 0, "vmax": 0, "parent": NO_PARENT}
        value |= {tau: int(model.per_neuron(tau)[k]) for tau in _TAUS} | self.taus.get((int(self.of[i]), c), {})
        yield from self._parameters(c, number, value)

    def _parameters(self, c: int, number: int, value: dict[str, int]) -> Iterator[tuple[int, ...]]:
        words = {name: value[name] for name in _PLAIN if name in value}
        words["refractory"] = value["refractory"] | value.get("relative", 0) << 9
        words["noise"] = value.get("noise_mantissa", 0) | value.get("noise_exponent", 0) << 4
        words["bias"] = ops.bias_value(value.get("bias", 0))
        words["join"] = value.get("join", 0) | value.get("stack", 0) << 2
        words["root"] = value.get("root", 1)
        if value["parent"] != NO_PARENT:
            words["parent"] = value["parent"]
        for name, word in words.items():
            if _SETTLED.get(name) != word:
                yield ops.parameter(c, number, name, word)

    def _pool(self, c: int, core: Core) -> Iterator[np.ndarray]:
        """Index, pool and delay operations of a core; what does not learn is written first (see `_reverse`)."""
        blocks: list[np.ndarray] = []
        for neuron in sorted(core.synapses):
            block = np.concatenate(core.synapses[neuron])
            form = core.form[neuron]
            rows = _dense(block) if form == "dense" else _population(block) if form == "population" else block
            base, count = core.pool, len(rows)
            length = len(block) if form == "population" else count
            self._check_axon(c, base, count, length)
            yield np.array([[ops.INDEX, c, neuron, base, length, FORMATS.index(form), 0]])
            dense = core.rule is not None and neuron in core.fixed
            if form == "population":
                self._share(c, block, base)
                rows[:, 5] = -1
            blocks.append(np.column_stack([np.full(count, int(dense)), np.full(count, neuron),
                                           base + np.arange(count), rows]))  # fmt: skip
            core.pool += count
        if not blocks:
            return
        table = np.concatenate(blocks)
        for projection in np.unique(table[table[:, 8] >= 0, 8]):
            mine = table[table[:, 8] == projection]
            self.spans[int(projection), c] = mine[:, [7, 2]]
        table = np.concatenate([table[table[:, 0] == 1], table[table[:, 0] == 0]])
        core_column, op = np.full(len(table), c), np.full(len(table), ops.POOL)
        pool = np.column_stack([op, core_column, table[:, [2, 1, 3, 4, 5]]])
        delay = np.zeros_like(pool)
        delay[:, 0], delay[:, 1], delay[:, 2], delay[:, 3] = ops.DELAY, c, table[:, 2], table[:, 6]
        yield pool
        yield delay[delay[:, 3] > 0]
        if core.rule is not None:
            yield from self._reverse(c, core, table)

    def _share(self, c: int, block: np.ndarray, base: int) -> None:
        """All synapses of a population axon lie at one address."""
        for projection in np.unique(block[:, 5]):
            mine = block[block[:, 5] == projection, 4]
            span = np.column_stack([mine, np.full(mine.size, base)])
            known = self.shared.setdefault((int(projection), c), [])
            known.append(span)

    def _check_axon(self, c: int, base: int, count: int, length: int) -> None:
        most = (1 << self.build.count_bits) - 1
        if length > most:
            raise self._beyond("synapses of one axon", length, most, "spread its targets over more cores", c)
        if base + count > self.build.pool:
            raise self._beyond("synapse pool", base + count, self.build.pool, "use fewer synapses or more cores", c)

    def _reverse(self, c: int, core: Core, table: np.ndarray) -> Iterator[np.ndarray]:
        """Check the fan-in of what learns; push fixed synapses out of the reverse table by writing a spare one."""
        fan, places = self.build.fan_in, self.build.places
        fixed = np.bincount(table[table[:, 0] == 1, 3], minlength=places)
        plastic = np.bincount(table[table[:, 0] == 0, 3], minlength=places)
        if plastic.max(initial=0) > fan:
            n = int(plastic.argmax())
            raise self._beyond(
                "reverse table", int(plastic[n]), fan,
                f"neuron {n} has more learning synapses than reverse slots, and the later ones would be lost to LTP; "
                "use at most that many learning inputs a neuron", c,
            )  # fmt: skip
        needy = np.flatnonzero(fixed)
        if not needy.size:
            return
        spare = core.pool
        if spare >= self.build.pool:
            raise self._beyond("synapse pool", spare + 1, self.build.pool, "leave one entry for the fixed synapses", c)
        core.pool += 1
        again = np.repeat(needy, fan - plastic[needy])
        rows = np.zeros((again.size, 7), np.int64)
        rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3], rows[:, 4] = ops.POOL, c, spare, again, again
        yield rows

    def _traps(self, usage: list[dict[str, int]], flags: int) -> None:
        chip = self.program.chip.name
        for row in usage:
            firing = row["neurons"] + row["relays"]
            if firing > 64:
                self.warnings.append(
                    f"core {row['core']}: {firing} neurons and relays; {chip} keeps 64 spikes per core and timestep, "
                    "the rest is lost (counted as dropped)"
                )
        if flags & FLAGS["async"]:
            self.warnings.append(
                "event-driven: a spike acts within its timestep, cores run as often as packets or their own spikes "
                "reach them (leak, traces and delays advance each time), and a core keeps 8 inputs; more are lost"
            )
        if flags & FLAGS["threefactor"]:
            weights = [np.concatenate(b)[:, 1] for core in self.cores.values() for b in core.synapses.values()]
            outside = sum(int(np.count_nonzero((w < 0) | (w > 2000))) for w in weights)
            self.warnings.append(
                "any reward clips all weights of a core to 0..2000, learning or not"
                + (f": {outside} weights of this program lie outside" if outside else "")
            )
        if flags & FLAGS["learn"]:
            self.warnings.append("every weight stored in a timestep gets the same random bit added")


def _dense(block: np.ndarray) -> np.ndarray:
    """An axon in dense format, which LTD leaves alone: one entry for every target from the first to the last."""
    keys = block[:, 0]
    low, high = int(keys.min()), int(keys.max())
    if np.unique(keys).size != keys.size:
        raise CompileError(
            "two fixed synapses from one source to one target on a core that learns; add their weights into one"
        )
    rows = np.zeros((high - low + 1, block.shape[1]), np.int64)
    rows[:, 0], rows[:, 5] = np.arange(low, high + 1), -1
    rows[keys - low] = block
    return rows


def _population(block: np.ndarray) -> np.ndarray:
    """An axon in population format: one entry for targets side by side."""
    order = block[np.argsort(block[:, 0], kind="stable")]
    alike = np.all(order[:, 1:4] == order[:1, 1:4])
    if not alike or np.any(np.diff(order[:, 0]) != 1):
        raise CompileError(
            "a source with synapses in population format needs one weight and delay for all, and targets side by side "
            "on their core: use format='sparse'",
            resource="format",
        )
    return order[:1].copy()


__all__ = ["FLAGS", "UNIT_PAYLOAD", "N1Image", "build_of", "program_image"]
