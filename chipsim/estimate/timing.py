"""How long a step takes: from counts per core alone, from the order of the messages, or through the network
on chip.
 "simple": the busiest core, either with its neurons or with the packets that it receives. "detailed":
messages in order, delayed by the mean density on their route (`chipsim.kernels.mesh.timing`). "noc": packets
through routers with buffers and back-pressure (`chipsim.kernels.mesh.noc`). The barrier is added to each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chipsim.checks import shown
from chipsim.errors import RunError

from .traffic import Counts, Spikes, fan_table, mesh_of

if TYPE_CHECKING:
    from chipsim.chips.costs import CostSet, LearningCosts
    from chipsim.chips.schema import Chip

TIMINGS = ("simple", "detailed", "noc")
STAGES = ("neurons", "packets")
#: Cycles that the distribution of packet latencies tells apart; longer ones count as the last.
LATENCY_BINS = 1 << 16


@dataclass(frozen=True, eq=False)
class Timing:
    """Times of a run. `step` (t,) in s with barrier; `generation` and `processing` (t, c) in s, without the
    network.

    `latency` (bins,) counts packets by cycles from core to core, only with "noc"; `cycles` (t,) are those
    of an engine that counts them.
    """

    model: str
    step: np.ndarray
    barrier: float
    generation: np.ndarray
    processing: np.ndarray
    latency: np.ndarray | None = None
    cycles: np.ndarray | None = None

    @property
    def bottleneck(self) -> tuple[np.ndarray, np.ndarray]:
        """Per step, the column of the busiest core and its stage (0 neurons, 1 packets), both (t,)."""
        busy = np.stack([self.generation, self.processing], axis=2).reshape(len(self.step), -1)
        worst = busy.argmax(axis=1) if busy.shape[1] else np.zeros(len(self.step), np.int64)
        return worst // 2, worst % 2


def seconds(costs: CostSet | LearningCosts, path: str) -> float:
    """Time of an act such as "soma_access" in s, 0 if nobody published it."""
    time = getattr(costs, path).time
    return 0.0 if time is None else time.si


def tiles_used(chip: Chip, cores: np.ndarray) -> int:
    """Number of tiles that hold one of the cores (c,)."""
    return len(np.unique(np.asarray(cores) // chip.topology.cores_per_tile))


def time_steps(
    chip: Chip, costs: CostSet, counts: Counts, model: str = "simple", spikes: Spikes | None = None
) -> Timing:
    """Time of each step under a timing model; `spikes` is needed by "detailed" and "noc".

    Raises `RunError` for an unknown model, for missing spikes, and for "noc" on a chip without a
    description of its routers.
    """
    if model not in TIMINGS:
        raise RunError(f"unknown timing {shown(model)}: choose one of {', '.join(TIMINGS)}")
    learning = sum((counts.learning[k] * seconds(costs.learning, k) for k in counts.learning), np.zeros(()))
    generation = (
        counts.accesses * seconds(costs, "soma_access")
        + counts.updates * seconds(costs, "soma_update")
        + counts.fires * seconds(costs, "soma_spike")
        + counts.packets_out * seconds(costs, "axon_out")
        + learning
    )
    processing = counts.packets_in * seconds(costs, "axon_in") + counts.events * (
        seconds(costs, "synapse") + seconds(costs, "dendrite")
    )
    barrier = costs.barrier.time(max(1, tiles_used(chip, counts.cores))) if costs.barrier else 0.0
    latency = None
    if model == "simple":
        step = np.maximum(generation, processing).max(axis=1, initial=0.0)
    elif spikes is None or len(spikes.active) != counts.steps:
        raise RunError(f"timing {shown(model)} needs the run's spikes and active neurons: record them, or use 'simple'")
    else:
        step, latency = _message_times(chip, costs, model, spikes)
        step = step + np.asarray(learning).max(axis=1, initial=0.0) if counts.learning else step
    step = np.maximum(step + barrier, chip.tick.si if chip.tick else 0.0)
    return Timing(model, step, barrier, generation, processing, latency)


def time_cycles(chip: Chip, counts: Counts, cycles: np.ndarray) -> Timing:
    """Time of steps that took a known number of clock cycles each, (t,); the chip's clock gives the
    seconds. `cycles: {between: ...}` of a description are idle cycles from one step to the next.
    """
    if chip.clock is None:
        raise RunError(f"chip {shown(chip.name)} has no published clock: cycles cannot be turned into seconds")
    cycles = np.asarray(cycles, np.int64) + int(chip.cycles.get("between", 0))
    step = np.maximum(cycles / chip.clock.si, chip.tick.si if chip.tick else 0.0)
    nothing = np.zeros(counts.fires.shape)
    return Timing("cycles", step, 0.0, nothing, nothing, None, np.rint(step * chip.clock.si).astype(np.int64))


def latency_summary(chip: Chip, timing: Timing) -> dict[str, float] | None:
    """Mean, median, 99th percentile and largest packet latency in s; None without a network or without
    packets.
    """
    if timing.latency is None or chip.topology.noc is None or not timing.latency.any():
        return None
    bins, clock = np.arange(len(timing.latency)), chip.topology.noc.clock.si
    share = np.cumsum(timing.latency) / timing.latency.sum()
    return {
        "mean": float((bins * timing.latency).sum() / timing.latency.sum() * clock),
        "median": float(np.searchsorted(share, 0.5) * clock),
        "p99": float(np.searchsorted(share, 0.99) * clock),
        "worst": float(np.flatnonzero(timing.latency)[-1] * clock),
    }


def _message_times(chip: Chip, costs: CostSet, model: str, spikes: Spikes) -> tuple[np.ndarray, np.ndarray | None]:
    """Step times (t,) of "detailed" or "noc" without barrier, and the latencies of "noc"."""
    from chipsim.kernels.mesh.noc import Router, noc_times
    from chipsim.kernels.mesh.timing import detailed_times

    work = layout(chip, costs, spikes)
    if model == "detailed":
        return detailed_times(*work), None
    noc = chip.topology.noc
    if noc is None:
        raise RunError(f"chip {shown(chip.name)} does not describe its routers (topology.noc): use timing='detailed'")
    router = Router(
        noc.clock.si, noc.subnets, noc.wire, noc.switch, noc.crossbar, noc.buffer, noc.slots, int(noc.end == "serial")
    )
    latency = np.zeros(LATENCY_BINS, np.int64)
    return noc_times(*work, router, latency), latency


def layout(chip: Chip, costs: CostSet, spikes: Spikes) -> tuple[Any, Any, Any, Any, Any]:
    """Spike log, fan-out, placement, times and mesh as the kernels take them."""
    from chipsim.kernels.mesh.traffic import Placement, SpikeLog, Times

    core = np.ascontiguousarray(spikes.core, np.int64)
    mesh = mesh_of(chip, int(max(core.max(initial=0), np.asarray(spikes.fan_core).max(initial=0))))
    total = mesh.width * mesh.height * mesh.cores_per_tile
    order = np.argsort(core, kind="stable")
    place = Placement(
        core,
        order,
        np.searchsorted(core[order], np.arange(total + 1)),
        np.asarray(spikes.free).astype(np.uint8),
    )
    times = Times(
        seconds(costs, "soma_access"),
        seconds(costs, "soma_update"),
        seconds(costs, "soma_spike"),
        seconds(costs, "axon_out"),
        seconds(costs, "axon_in"),
        seconds(costs, "synapse") + seconds(costs, "dendrite"),
        np.array([seconds(costs, f"hop_{d}") for d in ("east", "west", "north", "south")]),
    )
    fan = fan_table(spikes)
    log = SpikeLog(
        np.ascontiguousarray(spikes.start, np.int64),
        np.ascontiguousarray(spikes.neuron, np.int64),
        np.ascontiguousarray(spikes.active, np.uint8),
    )
    return log, fan, place, times, mesh


def messages(chip: Chip, costs: CostSet, spikes: Spikes, step: int) -> dict[str, np.ndarray]:
    """Every message of a step under the "detailed" model, as arrays (m,) in order of sending core.

    `source` neuron, `source_core`, `target_core` (-1: work after the last message of a core), `hops`,
    `events`; and in seconds `generation`, `processing`, `network`, `blocking`, and from the start of the
    step `sent`, `received`, `processed`.
    """
    from chipsim.kernels.mesh.timing import new_schedule, schedule_step
    from chipsim.kernels.mesh.traffic import fill_messages, most_messages, new_messages, receive_times

    log, fan, place, times, mesh = layout(chip, costs, spikes)
    cores = len(place.start) - 1
    size = most_messages(log, fan, cores)
    msg, plan = new_messages(size, cores), new_schedule(size)
    scratch = np.zeros(len(place.core), np.uint8)
    fill_messages(log, step, fan, receive_times(fan, times), place, times, scratch, msg)
    schedule_step(msg, place.core, mesh, times.hop, plan)
    m = int(msg.start[-1])
    source, target = msg.source[:m], msg.target[:m]
    home = place.core[source]
    a, b = home // mesh.cores_per_tile, np.where(target < 0, home, target) // mesh.cores_per_tile
    hops = abs(a // mesh.height - b // mesh.height) + abs(a % mesh.height - b % mesh.height)
    return {
        "source": source,
        "source_core": home,
        "target_core": target,
        "hops": hops,
        "events": msg.synapses[:m],
        "generation": msg.generation[:m],
        "processing": msg.processing[:m],
        "network": plan.network[:m],
        "blocking": plan.blocked[:m],
        "sent": plan.sent[:m],
        "received": plan.received[:m],
        "processed": plan.processed[:m],
    }
