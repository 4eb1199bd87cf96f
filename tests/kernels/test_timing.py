"""Timing and traffic against recorded SANA-FE runs, loops, and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from chipsim.chips.read import load_chip
from chipsim.errors import RunError
from chipsim.estimate.timing import layout, time_cycles, time_steps
from chipsim.estimate.traffic import count, fan_out, link_loads
from chipsim.kernels.mesh.timing import new_schedule, schedule_step
from chipsim.kernels.mesh.traffic import fill_messages, most_messages, new_messages, receive_times
from tests.oracles.naive_energy import CASES, case, loop_counts, random_spikes, run_lif, spikes_of


@pytest.fixture(scope="module", params=CASES)
def recorded(request):
    z, arch, chip = case(request.param)
    fired, active = run_lif(z)
    return z, arch, chip, fired, active


def test_counts(recorded):
    z, _, chip, fired, active = recorded
    spikes = spikes_of(z, fired, active)
    counts, loads = count(chip, spikes), link_loads(chip, spikes)
    given = (fired & z["is_input"]).sum(axis=1)
    assert np.array_equal(np.unpackbits(z["spikes"], axis=1)[:, : len(z["core"])], fired)
    assert np.array_equal(counts.fires.sum(axis=1) + given, z["fired"])
    assert np.array_equal(counts.updates.sum(axis=1) + given, z["updated"])
    assert np.array_equal(counts.packets_out.sum(axis=1), z["packets"])
    assert np.array_equal(counts.packets_in.sum(axis=1), z["packets"])
    assert np.array_equal(counts.events.sum(axis=1), z["synaptic_events"])
    assert np.array_equal(counts.hops.sum(axis=1), z["hops"])
    assert loads.sum() == z["hops"].sum()


@pytest.mark.parametrize(("model", "key"), [("simple", "time_simple"), ("detailed", "time_detailed_ascending")])
def test_step_times(recorded, model, key):
    z, _, chip, fired, active = recorded
    spikes = spikes_of(z, fired, active)
    counts = count(chip, spikes)
    step = time_steps(chip, chip.costs_named(), counts, model, spikes).step
    np.testing.assert_allclose(step, z[key], rtol=1e-9)


def test_messages_of_a_recorded_step():
    z, _, chip = case("p09_m2o_line")  # its cores happened to send in ascending order
    fired, active = run_lif(z)
    log, fan, place, times, mesh = layout(chip, chip.costs_named(), spikes_of(z, fired, active))
    cores = len(place.start) - 1
    size = most_messages(log, fan, cores)
    msg, plan, scratch = new_messages(size, cores), new_schedule(size), np.zeros(len(place.core), np.uint8)
    for t in range(len(fired)):
        fill_messages(log, t, fan, receive_times(fan, times), place, times, scratch, msg)
        schedule_step(msg, place.core, mesh, times.hop, plan)
        real = msg.target[: msg.start[-1]] >= 0
        mine = {
            (msg.source[i], msg.target[i]): (
                msg.generation[i], msg.processing[i], plan.network[i], plan.blocked[i], plan.sent[i],
                plan.received[i], plan.processed[i],
            )
            for i in np.flatnonzero(real)
        }  # fmt: skip
        rows = (z["msg_int"][:, 0] == t + 1) & (z["msg_int"][:, 4] >= 0)
        assert rows.sum() == real.sum()
        for row, want in zip(z["msg_int"][rows], z["msg_time"][rows]):
            np.testing.assert_allclose(mine[row[2], row[4]], want, rtol=1e-9, atol=1e-20)


@pytest.mark.parametrize("seed", range(5))
def test_counts_equal_loops_on_several_chips(seed):
    chip = load_chip("loihi")
    spikes = random_spikes(np.random.default_rng(seed), 200, 300, 6, 0.2, 5)
    counts, loads = count(chip, spikes), link_loads(chip, spikes)
    want = loop_counts(spikes, chip)
    assert np.array_equal(counts.packets_out.sum(axis=1), want["packets"])
    assert np.array_equal(counts.events.sum(axis=1), want["events"])
    assert np.array_equal(counts.hops.T, [want[d] for d in ("east", "west", "north", "south")])
    assert np.array_equal(counts.crossings, want["border"])
    assert np.array_equal(loads.sum(axis=0), counts.hops.sum(axis=0))


def test_spikes_from_outside_cost_the_receiver_only():
    chip = load_chip("loihi")
    core = np.array([-1, -1, 0, 5])
    spikes = random_spikes(np.random.default_rng(0), 4, 1, 1, 1.0, 1)
    start, who, many = fan_out(np.array([0, 0, 1]), np.array([2, 3, 3]), core)
    spikes = spikes.__class__(spikes.start, spikes.neuron, spikes.active, core, core < 0, start, who, many)
    counts, loads = count(chip, spikes), link_loads(chip, spikes)
    assert counts.packets_out.sum() == 0 and counts.packets_in.sum() == 3
    assert loads.sum() == 0 and counts.hops.sum() == 0
    assert counts.accesses.tolist() == [[1, 1]] and counts.fires.sum() == 2
    costs = chip.costs_named("sanafe")
    simple, detailed, noc = (time_steps(chip, costs, counts, m, spikes).step[0] for m in ("simple", "detailed", "noc"))
    handled = 6e-9 + 3.7e-9 + 30e-9
    received = 2 * (16e-9 + 3.8e-9)
    assert simple == pytest.approx(max(handled, received) + 1.0e-6)
    assert detailed == pytest.approx(simple)
    assert noc == pytest.approx(simple, abs=2e-9)


def test_barrier_between_tiles():
    barrier = load_chip("loihi").costs_named("davies2018").barrier
    assert barrier.time(1) == 113e-9
    assert barrier.time(32) == barrier.time(40) == pytest.approx(465e-9)
    assert barrier.time(17) == pytest.approx(113e-9 + 16 / 31 * 352e-9)
    table = load_chip("loihi").costs_named("sanafe").barrier
    assert [table.time(n) for n in (1, 2, 3, 4, 28, 29, 32)] == [
        6e-7,
        1e-6,
        1e-6,
        1.4e-6,
        1.4e-6,
        1.8e-6,
        1.8e-6,
    ]


def test_cycles_become_seconds():
    _, _, chip = case("p11_quiet_small")
    counts = count(chip, random_spikes(np.random.default_rng(0), 10, 2, 3, 0.5, 2))
    assert time_cycles(load_chip("odin"), counts, [75, 0, 150]).step.tolist() == [1e-6, 0, 2e-6]
    with pytest.raises(RunError, match="no published clock"):
        time_cycles(load_chip("loihi"), counts, [1, 2, 3])


def test_refusals():
    _, _, chip = case("p11_quiet_small")
    counts = count(chip, random_spikes(np.random.default_rng(0), 10, 2, 3, 0.5, 2))
    with pytest.raises(RunError, match="simple, detailed, noc"):
        time_steps(chip, chip.costs_named(), counts, "exact")
    with pytest.raises(RunError, match="active neurons"):
        time_steps(chip, chip.costs_named(), counts, "noc")
