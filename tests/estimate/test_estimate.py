"""Energy against recorded SANA-FE runs; standing power, unknowns, sources and forms of the estimate."""

from __future__ import annotations

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import chipsim as cs
from chipsim.chips.check import chip_from_dict
from chipsim.chips.costs import LearningCosts
from chipsim.chips.read import load_chip
from chipsim.errors import DescriptionError, RunError
from chipsim.estimate.costing import GROUPS, booked
from chipsim.estimate.estimate import estimate, estimate_cycles
from chipsim.estimate.traffic import count
from chipsim.estimate.work import counts_of, spikes_of
from tests.oracles.naive_energy import CASES, case, random_spikes, run_lif
from tests.oracles.naive_energy import spikes_of as golden_spikes


@pytest.fixture(scope="module")
def busy():
    chip = load_chip("loihi")
    spikes = random_spikes(np.random.default_rng(3), 200, 20, 10, 0.2, 5)
    return chip, count(chip, spikes), spikes


@pytest.mark.parametrize("name", CASES)
def test_energy_of_recorded_runs(name):
    z, _, chip = case(name)
    spikes = golden_spikes(z, *run_lif(z))
    est = estimate(chip, count(chip, spikes))
    steps = est.energy_steps
    for line in ("synapse", "dendrite", "soma"):
        np.testing.assert_allclose(steps[line], z[f"energy_{line}"], rtol=1e-9)
    network = sum(steps[line] for line in GROUPS["network"])
    np.testing.assert_allclose(network, z["energy_network"], rtol=1e-9, atol=0)
    assert est.energy["network"] == pytest.approx(z["energy_network"].sum(), rel=1e-9)
    assert est.dynamic_energy == pytest.approx(z["energy_total"].sum(), rel=1e-9)


def test_sums_agree(busy):
    chip, counts, spikes = busy
    members = np.arange(200) // 80
    est = estimate(chip, counts, spikes=spikes, names=("a", "b", "c"), members=members)
    assert sum(est.energy.values()) == est.total_energy
    assert sum(v.sum() for v in est.energy_steps.values()) == pytest.approx(est.total_energy, rel=1e-12)
    in_cores = est.dynamic_energy - est.energy["hops"]
    assert sum(v.sum() for v in est.energy_cores.values()) == pytest.approx(in_cores, rel=1e-12)
    shared = sum(sum(lines.values()) for lines in est.energy_populations.values())
    assert shared == pytest.approx(est.dynamic_energy, rel=1e-12)
    assert sum(r["energy"] for r in est.sources if "energy" in r) == pytest.approx(est.total_energy, rel=1e-12)
    assert sum(r["share"] for r in est.sources if "time" in r) == pytest.approx(1.0, rel=1e-9)


def test_static_power_counts_chips_and_time(busy):
    chip, counts, _ = busy
    est = estimate(chip, counts)
    assert est.energy["static"] == pytest.approx(0.0296 * est.latency)
    two = random_spikes(np.random.default_rng(3), 200, 256, 10, 0.2, 5)
    est2 = estimate(chip, count(chip, two))
    assert est2.energy["static"] == pytest.approx(2 * 0.0296 * est2.latency)
    assert any(u.startswith("chip_to_chip.energy") for u in est2.unknown)
    assert not any(u.startswith("chip_to_chip") for u in est.unknown)


def test_unknown_is_said_and_not_invented(busy):
    chip, counts, _ = busy
    est = estimate(chip, counts, cost_set="davies2018")
    said = {u.split(":")[0] for u in est.unknown}
    assert {"soma_spike.energy", "soma_spike.time", "axon_in.energy", "axon_in.time", "host_power"} <= said
    assert "host" not in est.energy and "axon_in" not in est.energy
    with pytest.raises(RunError, match="nobody published its cost"):
        est.energy["host"]
    soma = counts.accesses.sum() * 52e-12 + counts.updates.sum() * 29e-12
    assert est.energy["soma"] == pytest.approx(soma)
    assert "at least" in str(est)


def test_learning_costs(busy):
    chip, counts, _ = busy
    updates = np.full(counts.fires.shape, 7)
    plastic = counts.__class__(**{**counts.__dict__, "learning": {"synapse_update": updates, "weight_read": updates}})
    est, before = estimate(chip, plastic), estimate(chip, counts)
    assert est.energy["learning"] == pytest.approx(updates.sum() * 120e-12)
    assert any(u.startswith("learning.weight_read.energy") for u in est.unknown)
    longer = est.step_time - before.step_time
    assert (longer <= 7 * 6.1e-9 + 1e-15).all() and longer.sum() > 0


def test_odin_power_law():
    chip, sops = load_chip("odin"), 37_500
    est = estimate_cycles(chip, cycles=2 * sops, sops=sops)
    power = est.total_energy / est.latency
    assert est.latency == pytest.approx(2 * sops / 75e6)
    assert power == pytest.approx(27.3e-6 + 1.78e-6 * 75 + 8.43e-12 * sops / est.latency, rel=1e-9)
    assert power == pytest.approx(477e-6, rel=1e-3)  # the figure published at 75 MHz
    slow = estimate_cycles(chip, cycles=[650_000, 650_000], sops=[325_000, 325_000], clock=1.3e6)
    assert slow.latency == 1.0 and slow.total_energy == pytest.approx(35e-6, rel=0.01)
    assert estimate_cycles(load_chip("reckon"), 100, 10).energy["synapse"] == pytest.approx(53e-12)
    with pytest.raises(DescriptionError, match="no published costs"):
        estimate_cycles(load_chip("float"), 100, 10)


def test_measured_silicon_lies_between_published_rates():
    module = runpy.run_path(str(Path(__file__).parent.parent.parent / "examples" / "measured_silicon.py"))
    measured = np.polyfit(list(module["KEYWORD_UJ"]), list(module["KEYWORD_UJ"].values()), 1)[0]
    assert measured == pytest.approx(1.69, abs=0.01)
    for costs in ("davies2018", "sanafe"):
        low, high = (
            (module["dynamic_uj"](2, rate, costs) - module["dynamic_uj"](1, rate, costs)) for rate in (0.064, 0.1)
        )
        assert low <= measured * 1.02 and high >= measured
    pair = module["two_neurons"]()
    assert pair.latency / pair.counts.steps == pytest.approx(1.164e-6, rel=0.02)


def test_tick_of_a_real_time_chip(busy):
    _, counts, _ = busy
    est = estimate(load_chip("truenorth"), counts)
    assert est.latency == pytest.approx(10e-3)
    assert est.energy["synapse"] == pytest.approx(counts.events.sum() * 26e-12)


def test_inference(busy):
    chip, counts, _ = busy
    est = estimate(chip, counts)
    per = est.per_inference(5)
    assert per["energy"] == pytest.approx(est.total_energy / 2) and per["edp"] == pytest.approx(est.edp / 4)
    for steps in (0, 11):
        with pytest.raises(RunError, match="does not fit"):
            est.per_inference(steps)


def test_bottleneck():
    z, _, chip = case("p09_m2o_line")  # many to one: the last core receives everything
    est = estimate(chip, count(chip, golden_spikes(z, *run_lif(z))))
    pace = np.zeros((8, 2))
    column, stage = est.timing.bottleneck
    for t, (c, s) in enumerate(zip(column, stage)):
        busiest = (est.timing.generation, est.timing.processing)[s][t, c]
        assert busiest == max(est.timing.generation[t].max(), est.timing.processing[t].max())
        assert est.step_time[t] == pytest.approx(busiest + est.timing.barrier)
        pace[c, s] += est.step_time[t]
    core, kind = divmod(int(pace.argmax()), 2)
    assert est.bottleneck == (core, ("neurons", "packets")[kind])


def test_forms(busy):
    chip, counts, spikes = busy
    est = estimate(chip, counts, spikes=spikes, timing="noc", names=("all",), members=np.zeros(200, int))
    data = json.loads(json.dumps(est.to_dict()))
    assert data["total_energy_J"] == est.total_energy and len(data["step_time_s"]) == 10
    assert data["sources"][0]["source"] and data["unknown"]
    table = est.table()
    assert table.row_count == len({item.line for item in est.items})
    text = str(table)
    assert all(item.line in text for item in est.items) and "share" in text and "object at" not in text
    assert "SANA-FE" in str(est)
    with pytest.raises(RunError, match="did you mean 'synapse'"):
        est.energy["synapses"]


def test_no_routers_no_noc(busy):
    chip, counts, spikes = busy
    data = chip.model_dump()
    data["topology"]["noc"] = None
    with pytest.raises(RunError, match="does not describe its routers"):
        estimate(chip_from_dict(data), counts, timing="noc", spikes=spikes)


def test_silence_costs_time_and_access_only():
    z, _, chip = case("p11_quiet_small")
    est = estimate(chip, count(chip, golden_spikes(z, *run_lif(z))))
    assert {line for line, joules in est.energy.items() if joules > 0} == {"soma"}


@pytest.fixture(scope="module")
def emulated():
    rng = np.random.default_rng(0)
    net = cs.Network("two layers")
    x = net.add("x", cs.SpikeSource(20))
    a = net.add("a", cs.loihi.LIF(100, vth=2000, du=1000, dv=100))
    b = net.add("b", cs.loihi.LIF(10, vth=2000, du=1000, dv=100))
    net.connect(x, a, cs.loihi.Synapses(rng.integers(-20, 100, (100, 20))))
    net.connect(a, b, cs.loihi.Synapses(rng.integers(-40, 40, (10, 100))))
    program = cs.compile(net, "loihi", max_neurons=16)
    given = {"x": rng.random((40, 20)) < 0.2}
    return [cs.Emulator(program).run(given, masks=masks) for masks in (True, False)]


def test_counts_of_the_emulator_are_those_of_its_spikes(emulated):
    result = emulated[0]
    spikes = spikes_of(result, True)
    mine, theirs = count(result.program.chip, spikes), counts_of(result)
    for name in ("cores", "accesses", "updates", "fires", "packets_out", "packets_in", "events", "hops", "crossings"):
        assert np.array_equal(getattr(mine, name), getattr(theirs, name)), name


def test_estimate_of_a_result(emulated):
    kept, bare = emulated
    est = kept.estimate(timing="noc", steps_per_inference=20)
    assert est.total_energy == pytest.approx(sum(est.energy.values()))
    assert est.inference["energy"] == pytest.approx(est.total_energy / 2)
    assert est.worst_link["packets"] == est.link_loads.max() > 0
    assert 0 < est.network_latency["median"] <= est.network_latency["worst"]
    names = set(est.energy_populations)
    assert names == {"x", "a", "b"}
    shared = bare.estimate().energy_populations
    assert shared["a"]["soma"] + shared["b"]["soma"] == pytest.approx(est.energy["soma"])
    assert "Estimate('loihi'" in repr(est) and len(repr(est)) < 100
    with pytest.raises(RunError, match="masks=True"):
        bare.estimate(timing="detailed")


def test_learning_acts_are_booked_once(busy):
    chip, counts, _ = busy
    updates = np.full(counts.fires.shape, 4)
    acts = {"synapse_update": updates, "weight_read": 2 * updates, "weight_write": updates - 1, "trace_update": updates}
    whole = booked(chip.costs_named(), acts)
    assert set(whole) == {"synapse_update", "trace_update"}
    parts = LearningCosts(weight_read=chip.costs_named().learning.synapse_update)
    split = chip.costs_named().model_copy(update={"learning": parts})
    assert set(booked(split, acts)) == {"weight_read", "weight_write", "trace_update"}
    nothing = chip.costs_named().model_copy(update={"learning": LearningCosts()})
    assert set(booked(nothing, acts)) == {"synapse_update", "trace_update"}
    est = estimate(chip, replace(counts, learning=whole))
    assert est.energy["learning"] == pytest.approx(updates.sum() * 120e-12)
    assert any(u.startswith("learning.trace_update.energy: not published") for u in est.unknown)
