"""The event-driven network against recorded Booksim runs and against a network stepped cycle by cycle."""

from __future__ import annotations

import numpy as np
import pytest

from chipsim.estimate.estimate import estimate
from chipsim.estimate.traffic import count, link_loads
from chipsim.kernels.mesh.noc import Router, Trip, run_step
from chipsim.kernels.mesh.traffic import Mesh, new_messages
from tests.oracles.naive_energy import CASES, case, random_spikes, run_lif, spikes_of
from tests.oracles.naive_noc import CycleNetwork

ROUTER = Router(1e-9, 2, 2, 1, 1, 8, 8)
WITH_CYCLES = [name for name in CASES if case(name)[0]["time_cycle"].shape[0]]


def random_messages(rng, mesh: Mesh, most: int, slow: int):
    """Messages (target, cycles before, cycles after) of each core, some of them trailing work."""
    cores = mesh.width * mesh.height * mesh.cores_per_tile
    out = []
    for _ in range(cores):
        one = [
            (int(rng.integers(cores)), int(rng.integers(0, 12)), int(rng.integers(1, slow)))
            for _ in range(rng.integers(0, most))
        ]
        out.append(one + ([(-1, int(rng.integers(1, 60)), 0)] if rng.random() < 0.4 else []))
    return out


def compile_messages(messages):
    """The same as the kernel takes it; the source of a message is its core."""
    msg = new_messages(sum(map(len, messages)), len(messages))
    flat = [(c, *m) for c, one in enumerate(messages) for m in one]
    msg.start[:] = np.concatenate([[0], np.cumsum([len(one) for one in messages])])
    for i, (core, target, before, after) in enumerate(flat):
        msg.source[i], msg.target[i] = core, target
        msg.generation[i], msg.processing[i] = before * 1e-9, after * 1e-9
    return msg


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("shape", "most", "slow"), [((3, 2, 2), 12, 30), ((4, 4, 1), 30, 4), ((2, 2, 4), 40, 60)])
def test_events_equal_cycles(seed, shape, most, slow):
    rng = np.random.default_rng(seed)
    mesh = Mesh(*shape, 16)
    messages = random_messages(rng, mesh, most, slow)
    msg = compile_messages(messages)
    trip = Trip(*(np.zeros(len(msg.source), np.int64) for _ in range(3)))
    cores = np.arange(len(messages))
    assert run_step(msg, cores, mesh, ROUTER, trip) == CycleNetwork(messages, *shape).run()


@pytest.mark.parametrize("name", WITH_CYCLES)
def test_recorded_booksim_runs_to_the_cycle(name):
    z, _, chip = case(name)
    assert chip.topology.noc.end == "serial"
    spikes = spikes_of(z, *run_lif(z))
    counts = count(chip, spikes)
    step = estimate(chip, counts, timing="noc", spikes=spikes).step_time
    for recorded in z["time_cycle"]:
        assert np.array_equal(np.rint(step * 1e9), np.rint(recorded * 1e9))
    noc = chip.topology.noc.model_copy(update={"end": "parallel"})
    real = chip.model_copy(update={"topology": chip.topology.model_copy(update={"noc": noc})})
    shorter = estimate(real, counts, timing="noc", spikes=spikes).step_time
    assert (shorter <= step + 1e-15).all() and shorter.sum() > 0.95 * step.sum()


def test_serial_end_by_hand():
    # One packet, 5 cycles of work before it, 40 neurons after it; it takes 10 cycles at the receiver.
    messages = [[(1, 5, 10), (-1, 40, 0)], []]
    msg, mesh = compile_messages(messages), Mesh(2, 1, 1, 16)
    trip = Trip(*(np.zeros(2, np.int64) for _ in range(3)))
    # Sent at 5, through two routers (4 cycles each): at the core at 13, done at 23; the neurons are done at 45.
    assert run_step(msg, np.arange(2), mesh, ROUTER, trip) == 45
    assert (trip.sent[0], trip.arrived[0], trip.done[0]) == (5, 13, 23)
    # Serially: credits are back after cycle 17, then 40 cycles of neurons, then the 5 cycles left of the packet.
    assert run_step(msg, np.arange(2), mesh, ROUTER._replace(serial_end=1), trip) == 18 + 40 + 5


def test_latency_distribution_counts_every_packet():
    _, _, chip = case("p05_tcad_c128")
    spikes = random_spikes(np.random.default_rng(1), 300, 128, 5, 0.2, 6)
    counts, loads = count(chip, spikes), link_loads(chip, spikes)
    est = estimate(chip, counts, timing="noc", spikes=spikes)
    assert est.timing.latency is not None
    assert est.timing.latency.sum() == counts.packets_out.sum()
    assert est.timing.latency[:4].sum() == 0  # wire, grant, switch, crossbar: no packet is faster
    assert loads.sum() == counts.hops.sum()


def test_back_pressure_slows_the_sender():
    mesh = Mesh(2, 1, 1, 16)
    free, full = (compile_messages([[(1, 1, spent)] * 200, []]) for spent in (1, 50))
    sent = []
    for msg in (free, full):
        trip = Trip(*(np.zeros(200, np.int64) for _ in range(3)))
        run_step(msg, np.arange(2), mesh, ROUTER, trip)
        sent.append(trip.sent.max())
    assert sent[1] > 5 * sent[0]
