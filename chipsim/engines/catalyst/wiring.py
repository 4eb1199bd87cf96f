"""How a placed network is wired on Catalyst N1 cores: relays, axons, routes, learning programs, flags of the chip.

An input line is a relay neuron on every core that listens to it: the host makes it fire in the timestep of the input
spike, the pool delivers one timestep later. A spike to another core is one packet: straight into the accumulator of its
only target, or to a relay there whose synapses carry the rest of the delay (one timestep is spent on the way).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import CompileError
from ...native.catalyst.build import Build
from ...native.catalyst.microcode import Program as Microcode
from ...program.program import Program

FLAGS = {
    "learn": 1,
    "graded": 2,
    "dendritic": 4,
    "async": 8,
    "threefactor": 16,
    "noise": 32,
    "skip_idle": 64,
    "scale_u": 128,
}
UNIT_PAYLOAD = 128  #: payload with which a graded weight counts once
ROUTES, LOCAL_ROUTES = 12, 8  #: of a neuron; the event-driven mode walks the local ones only
QUEUE = 64


@dataclass(eq=False)
class Core:
    """One core while it is filled: neuron numbers of network neurons and relays, synapses by source."""

    members: np.ndarray  # network ids in order
    number: dict[Any, int] = field(default_factory=dict)  # ("n", id), ("r", id, fixed) or ("p", id, fixed) -> neuron
    synapses: dict[int, list[np.ndarray]] = field(default_factory=dict)  # neuron -> blocks (target, w, comp, delay)
    fixed: set[int] = field(default_factory=set)  # neurons whose synapses do not learn
    form: dict[int, str] = field(default_factory=dict)  # neuron -> how its axon is written
    rule: Microcode | None = None
    pool: int = 0


def build_of(chip: Any) -> Build:
    """The build that a chip description means; CompileError where the RTL has no such build."""
    limits, topology = chip.limits, chip.topology
    xy = topology.interconnect == "xy"
    fixed = {"spikes": 64, "local_routes": 8, "global_routes": 4, "delay_entries": QUEUE}
    for name, value in fixed.items():
        given = getattr(limits, name)
        if given is not None and given != value:
            raise CompileError(f"{chip.name}: limits.{name} is {given}, but the RTL's is {value}", resource=name)
    pool = limits.synapses or 1 << 17
    if pool & (pool - 1):
        raise CompileError(
            f"{chip.name}: limits.synapses {pool} is not a power of two (POOL_DEPTH)", resource="synapses"
        )
    return Build(
        cores=topology.cores, neurons=limits.neurons or 1024, neuron_bits=limits.neuron_bits,
        pool_bits=pool.bit_length() - 1, fan_in=limits.reverse_slots or 32, interconnect="xy" if xy else "barrier",
        mesh_columns=topology.width if xy else 0, mesh_rows=topology.height if xy else 0,
        clock=int(chip.clock.si) if chip.clock is not None else 100_000_000,
    )  # fmt: skip


class Wiring:
    """The cores of a program while they are filled."""

    def __init__(self, program: Program) -> None:
        self.program, self.build = program, build_of(program.chip)
        self.events = program.chip.topology.interconnect == "events"
        self.spot = np.full((program.n, 2), -1, np.int64)
        self.of = np.zeros(program.n, np.int64)  # population of each neuron
        for k, p in enumerate(program.populations):
            self.of[p.start : p.stop] = k
        self.cores = {int(c): Core(np.flatnonzero(program.core == c)) for c in program.cores}
        self.relays: list[tuple[int, int, int]] = []
        self.routes: dict[int, list[tuple[int, int, int]]] = {}  # network id -> core, neuron, weight
        self.driven: dict[tuple[int, int], int] = {}  # (core, neuron) -> source of its one packet
        self.spans: dict[tuple[int, int], np.ndarray] = {}
        self.warnings: list[str] = []
        self.taus: dict[tuple[int, int], dict[str, int]] = {}

    def _beyond(self, what: str, need: int, limit: int, remedy: str, core: int | None = None) -> CompileError:
        at = f" on core {core}" if core is not None else ""
        return CompileError(
            f"{self.program.chip.name}: {what} {need}{at} exceeds {limit}: {remedy}",
            core=core, resource=what, need=need, limit=limit,
        )  # fmt: skip

    def _rules(self) -> None:
        """One learning program a core: that of the projections that end there."""
        for projection in self.program.projections:
            rule = projection.rule
            if rule is None:
                continue
            post = self.program.populations[projection.post]
            for c in np.unique(self.program.core[post.start : post.stop]):
                core = self.cores[int(c)]
                if core.rule is not None and core.rule != rule:
                    raise CompileError(
                        f"projection '{projection.name}': core {c} would need two learning programs, and has room for "
                        "one of each kind: give all projections of a core one rule, or place them on other cores",
                        core=int(c), resource="learning programs",
                    )  # fmt: skip
                core.rule = rule
        self.taus = self._taus()

    def _taus(self) -> dict[tuple[int, int], dict[str, int]]:
        """Tau registers that learning programs ask for: by population and core of its relays (-1: its own neurons)."""
        found: dict[tuple[int, int], dict[str, int]] = {}
        for projection in self.program.projections:
            taus = getattr(projection.rule, "taus", None) or {}
            pre, post = (self.program.populations[k] for k in (projection.pre, projection.post))
            cores = set(self.program.core[post.start : post.stop].tolist())
            own = set(self.program.core[pre.start : pre.stop].tolist()) & cores
            places = {"pre": [(projection.pre, c) for c in cores] + [(projection.pre, -1)] * bool(own)}
            places["post"] = [(projection.post, -1)]
            for side, wanted in taus.items():
                for place in places[side]:
                    self._agree(projection.name, place, wanted, found.setdefault(place, {}))
        return found

    def _agree(self, projection: str, place: tuple[int, int], wanted: dict[str, int], known: dict[str, int]) -> None:
        for trace, value in wanted.items():
            if known.setdefault(f"tau_{trace}", value) != value:
                raise CompileError(
                    f"projection '{projection}': its rule needs tau_{trace}={value} for population "
                    f"'{self.program.populations[place[0]].name}', another rule {known[f'tau_{trace}']}: a neuron has "
                    "one trace of that name; use equal time constants", resource="traces",
                )  # fmt: skip

    def _source(self, core: int, i: int, learns: bool) -> tuple[int, int]:
        """Neuron of `core` that stands for source i, and the timesteps that getting there takes."""
        place, here = self.cores[core], self.program.populations[self.of[i]].model.is_input
        fixed = place.rule is not None and not learns
        if here:
            key, spent = ("r", i, fixed), 0
        elif self.spot[i, 0] == core:
            key, spent = ("n", i), 0
        else:
            key, spent = ("p", i, fixed), 1
        if key not in place.number:
            number = place.number[key] = len(place.number)
            if number >= self.build.neurons:
                raise self._beyond(
                    "neurons", number + 1, self.build.neurons,
                    "relays of inputs and of other cores take neurons; use fewer of them, or more cores", core,
                )  # fmt: skip
            if here:
                self.relays.append((i, core, number))
            elif spent:
                self._route(i, core, number, 1)
        return place.number[key], spent

    def _route(self, i: int, core: int, neuron: int, weight: int) -> None:
        table = self.routes.setdefault(i, [])
        slots = LOCAL_ROUTES if self.events else ROUTES
        if len(table) == slots:
            raise self._beyond(
                "route slots", slots + 1, slots,
                f"neuron {i - self.program.populations[self.of[i]].start} of population "
                f"'{self.program.populations[self.of[i]].name}' sends to more places on other cores than its 8 local "
                "and 4 global routes; use fewer, larger cores or fewer targets",
            )  # fmt: skip
        if (core, neuron) in self.driven:
            raise CompileError(
                f"{self.program.chip.name}: neuron {neuron} of core {core} would get two packets in a timestep, and "
                "the later one overwrites the other: give these projections a delay of at least 1 (they then pass "
                "through relays, which add up), or place them on one core",
                core=core, resource="packets",
            )  # fmt: skip
        self.driven[core, neuron] = i
        table.append((core, neuron, weight))

    def _connect(self, k: int, projection: Any) -> None:
        pre, post = self.program.populations[projection.pre], self.program.populations[projection.post]
        synapses = projection.synapses
        if not hasattr(synapses, "entries"):
            raise CompileError(f"projection '{projection.name}': native Catalyst neurons need cs.catalyst.Synapses")
        target, source, weight, delay = synapses.entries()
        where = self.spot[target + post.start]
        order = np.lexsort((np.arange(target.size), source, where[:, 0]))
        cuts = np.flatnonzero(np.diff(where[order, 0]) | np.diff(source[order])) + 1
        for mine in np.split(order, cuts) if order.size else ():
            core, i = int(where[mine[0], 0]), int(source[mine[0]]) + pre.start
            self._axon(k, projection, core, i, mine, where[mine, 1], weight[mine], delay[mine], synapses.compartment)

    def _axon(
        self, k: int, projection: Any, core: int, i: int, index: np.ndarray, targets: np.ndarray, weights: np.ndarray,
        delays: np.ndarray, compartment: int,
    ) -> None:  # fmt: skip
        """All synapses of one projection from source i on one core."""
        learns = projection.rule is not None
        here = self.spot[i, 0] == core or self.program.populations[self.of[i]].model.is_input
        direct = np.zeros(delays.size, bool) if here or learns else delays == 0
        if learns and not here and np.any(delays == 0):
            raise CompileError(
                f"projection '{projection.name}' learns across cores with delay 0; a spike takes one timestep to get "
                f"there: use delays of at least 1, or one core",
                core=core, resource="delay", need=1,
            )  # fmt: skip
        for t, w in zip(targets[direct], weights[direct]):
            if compartment:
                raise CompileError(
                    f"projection '{projection.name}' reaches a dendrite on another core with delay 0; packets only "
                    "reach the soma: use delays of at least 1, or one core", core=core, resource="compartment",
                )  # fmt: skip
            self._route(i, core, int(t), int(w))
        rest = ~direct
        if not rest.any():
            return
        neuron, spent = self._source(core, i, learns)
        kept = delays[rest] - spent
        most = np.bincount(kept)[1:].max(initial=0)
        if most > QUEUE:
            raise self._beyond(
                "delay queue", int(most), QUEUE,
                f"one spike of '{self.program.populations[projection.pre].name}' would delay more synapses of "
                f"projection '{projection.name}' by the same time than a queue holds; spread the delays, or the "
                "targets over more cores", core,
            )  # fmt: skip
        place = self.cores[core]
        if place.rule is not None:
            self._keep_apart(place, neuron, learns, projection)
        self._write_as(place, neuron, learns, projection)
        block = np.stack([targets[rest], weights[rest], np.full(kept.size, compartment), kept, index[rest],
                          np.full(kept.size, k)], axis=1)  # fmt: skip
        place.synapses.setdefault(neuron, []).append(block)

    def _keep_apart(self, place: Core, neuron: int, learns: bool, projection: Any) -> None:
        """On a core that learns an axon learns as a whole, or not at all."""
        known = neuron in place.synapses
        if known and (neuron in place.fixed) == learns:
            raise CompileError(
                f"projection '{projection.name}': a neuron of its source has learning and fixed synapses on one core; "
                "the chip's learning engine visits all synapses of an axon: put a relay population between, or place "
                "the targets on two cores", resource="learning",
            )  # fmt: skip
        if not learns:
            place.fixed.add(neuron)

    def _write_as(self, place: Core, neuron: int, learns: bool, projection: Any) -> None:
        """The format of an axon: one for all of a source on a core; fixed ones beside learning are dense."""
        form = projection.synapses.format
        if learns and form != "sparse":
            raise CompileError(
                f"projection '{projection.name}' learns in {form} format, which LTD passes over: use format='sparse'",
                resource="format",
            )
        if form == "sparse" and place.rule is not None and not learns:
            form = "dense"
        known = place.form.setdefault(neuron, form)
        if form != known:
            raise CompileError(
                f"projection '{projection.name}': its source has {known} synapses on that core already, and an axon "
                f"has one format, not {form} as well: give both the same", resource="format",
            )  # fmt: skip

    def _flags(self) -> int:
        program, names = self.program, set()
        models = [p.model for p in program.populations if not p.model.is_input]
        graded = {bool(p.synapses.graded) for p in program.projections}
        if len(graded) > 1:
            raise CompileError(f"{program.chip.name}: graded is a flag of the chip: give it to all projections or none")
        scaled = {bool(m.values["scale_u"]) for m in models if "scale_u" in m.values}
        if len(scaled) > 1:
            raise CompileError(
                f"{program.chip.name}: scale_u is a flag of the chip: give it to all CUBA neurons or none"
            )
        rules = [p.rule for p in program.projections if p.rule is not None]
        for what in ("three_factor", "skip_idle"):
            if len({bool(getattr(r, what)) for r in rules}) > 1:
                raise CompileError(f"{program.chip.name}: {what} is a flag of the chip: all rules must agree on it")
        if True in graded:
            names.add("graded")
        if True in scaled:
            names.add("scale_u")
        if rules:
            names.add("learn")
        if self.events:
            names.add("async")
        if any(r.three_factor for r in rules):
            names.add("threefactor")
        if any(r.skip_idle for r in rules):
            names.add("skip_idle")
        if any(np.any((m.values["noise_mantissa"] > 0) & (m.values["noise_target"] < 3)) for m in models):
            names.add("noise")
        below = any(np.any(m.values[h] < 0) for m in models for h in ("h1", "h2", "h3"))
        if below or any(p.synapses.compartment for p in program.projections):
            names.add("dendritic")
        self.graded = True in graded
        if self.graded and any(key[0] == "p" for core in self.cores.values() for key in core.number):
            raise CompileError(
                f"{program.chip.name}: a graded spike cannot pass through a relay on another core, which would change "
                "its payload: place these projections on one core, or use delay 0 with one packet a target"
            )
        return sum(FLAGS[name] for name in names)


__all__ = ["FLAGS", "QUEUE", "UNIT_PAYLOAD", "Core", "Wiring", "build_of"]
