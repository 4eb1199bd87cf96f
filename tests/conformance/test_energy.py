"""Recorded SANA-FE and NeuroBench runs: same network, same mapping by hand, same constants, same work and joules."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import chipsim as cs
from chipsim.estimate.costing import GROUPS
from chipsim.estimate.estimate import estimate
from chipsim.estimate.metrics import LayerRun, neurobench
from chipsim.estimate.timing import messages
from chipsim.estimate.work import counts_of, spikes_of

from .conftest import golden_files, golden_id

TIGHT = 1e-9
TIMES = ("generation", "processing", "network", "blocking", "sent", "received", "processed")
BUFFERS = 40  # bytes: two snnTorch Leaky layers hold five float32 each


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    files = golden_files(metafunc.config, "energy")
    kinds = {
        "case_file": [f for f in files if f.parent.name != "neurobench" and not f.name.startswith("dvs_")],
        "metrics_file": [f for f in files if f.parent.name == "neurobench"],
        "totals_file": [f for f in files if f.name.startswith("dvs_")],
    }
    for argument, chosen in kinds.items():
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, chosen, ids=[golden_id(f) for f in chosen])


def described(path: Path) -> tuple[dict, Path]:
    """The record of a case in cases.json and the file of its architecture, from the nearest folders that have them."""
    above = path.parents[:4]
    records = (r for folder in above for f in folder.rglob("cases.json") for r in json.loads(f.read_text()))
    record = next((r for r in records if r["case"] == path.stem), None)
    assert record is not None, f"no cases.json names the architecture of {path.stem}"
    files = (f for folder in above for f in sorted(folder.rglob(f"{record['arch']}.json")))
    found = next(files, None)
    assert found is not None, f"no file {record['arch']}.json near {path}"
    return record, found


def segments(is_input: np.ndarray) -> list[tuple[str, int, int]]:
    """Runs of input lines and of neurons in their order: (name, first, one past the last)."""
    edges = [0, *(np.flatnonzero(np.diff(is_input.astype(int))) + 1).tolist(), len(is_input)]
    return [(f"{'in' if is_input[a] else 'lif'}{a}", a, b) for a, b in zip(edges, edges[1:]) if b > a]  # noqa: RUF007


def network(z: dict[str, np.ndarray]) -> tuple[cs.Network, list[tuple[str, int, int]]]:
    """The recorded network, neuron by neuron."""
    net, parts, populations = cs.Network("golden"), segments(z["is_input"]), {}
    for name, a, b in parts:
        if z["is_input"][a]:
            populations[name] = net.add(name, cs.SpikeSource(b - a))
            continue
        populations[name] = net.add(
            name,
            cs.floats.LIF(
                b - a,
                threshold=z["threshold"][a:b],
                reset=z["reset"][a:b],
                leak_decay=z["leak_decay"][a:b],
                input_decay=z["input_decay"][a:b],
                bias=z["bias"][a:b],
                soft_reset=(z["reset_mode"][a:b] == 1).astype(int),
                refractory=z["refractory"][a:b].astype(int),
                force_update=z["force_update"][a:b].astype(int),
            ),
        )
    pre, post = z["pre"].astype(np.int64), z["post"].astype(np.int64)
    for source, a, b in parts:
        for target, c, d in parts:
            mine = (pre >= a) & (pre < b) & (post >= c) & (post < d)
            if mine.any():
                where = (post[mine] - c, pre[mine] - a)
                matrix = sp.coo_array((z["weight"][mine].astype(np.float64), where), (d - c, b - a))
                net.connect(populations[source], populations[target], cs.floats.Synapses(matrix))
    return net, parts


@pytest.fixture(scope="module")
def replay() -> dict:
    """Results by file: each case is run once for all its tests."""
    return {}


def run(path: Path, replay: dict) -> tuple[dict[str, np.ndarray], cs.Result, list]:
    if path not in replay:
        replay.clear()
        with np.load(path) as data:
            z = dict(data)
        net, parts = network(z)
        n, steps = len(z["core"]), len(z["fired"])
        given = np.unpackbits(z["input_spikes"], axis=1)[:, :n]
        program = cs.compile(net, described(path)[1], placement={name: z["core"][a:b] for name, a, b in parts})
        inputs = {name: given[:, a:b] for name, a, b in parts if z["is_input"][a]}
        replay[path] = z, cs.Emulator(program).run(inputs, steps=steps, masks=True), parts
    return replay[path]


def test_work(case_file, replay):
    z, result, parts = run(case_file, replay)
    n, activity = len(z["core"]), result.activity
    spikes = np.concatenate([result.spikes[name] for name, _, _ in parts], axis=1)
    assert np.array_equal(np.unpackbits(z["spikes"], axis=1)[:, :n], spikes)
    assert np.array_equal(z["fired"], activity.spikes.sum(axis=1))
    fired_inputs = spikes[:, z["is_input"]].sum(axis=1)  # SANA-FE books an input that fires as updated
    assert np.array_equal(z["updated"], activity.updates_active.sum(axis=1) + fired_inputs)
    assert np.array_equal(z["packets"], activity.packets_out.sum(axis=1))
    assert np.array_equal(z["packets"], activity.packets_in.sum(axis=1))
    assert np.array_equal(z["hops"], activity.hops.sum(axis=1))
    assert np.array_equal(z["synaptic_events"], activity.synaptic_events.sum(axis=1))


def test_energy(case_file, replay):
    z, result, _ = run(case_file, replay)
    est = result.estimate()
    steps = est.energy_steps
    network = sum(steps[line] for line in GROUPS["network"])
    for line, joules in (*((k, steps[k]) for k in ("synapse", "dendrite", "soma")), ("network", network)):
        np.testing.assert_allclose(joules, z[f"energy_{line}"], rtol=TIGHT, err_msg=line)
    total = network + steps["synapse"] + steps["dendrite"] + steps["soma"]
    np.testing.assert_allclose(total, z["energy_total"], rtol=TIGHT)
    np.testing.assert_allclose(est.dynamic_energy, z["energy_total"].sum(), rtol=TIGHT)


def test_time(case_file, replay):
    z, result, _ = run(case_file, replay)
    np.testing.assert_allclose(result.estimate().step_time, z["time_simple"], rtol=TIGHT)
    detailed = result.estimate(timing="detailed").step_time
    if "time_detailed_ascending" in z:  # else test_messages compares the recorded order
        np.testing.assert_allclose(detailed, z["time_detailed_ascending"], rtol=TIGHT)
    for recorded in z["time_cycle"]:
        np.testing.assert_allclose(result.estimate(timing="noc").step_time, recorded, rtol=0.05)


def in_recorded_order(spikes, order: np.ndarray):
    """The same spikes, the packets of a neuron leaving in the recorded order of destination cores."""
    rank = np.argsort(order)
    own = np.repeat(np.arange(len(spikes.core)), np.diff(spikes.fan_start))
    by = np.lexsort((rank[spikes.fan_core], own))
    return replace(spikes, fan_core=spikes.fan_core[by], fan_synapses=spikes.fan_synapses[by])


def test_messages(case_file, replay):
    z, result, _ = run(case_file, replay)
    spikes = in_recorded_order(spikes_of(result, True), z["dest_order"].astype(int))
    chip = result.program.chip
    ordered = estimate(chip, counts_of(result), timing="detailed", spikes=spikes).step_time
    close = [np.allclose(ordered, recorded, rtol=TIGHT, atol=0) for recorded in z["time_detailed"]]
    assert any(close), "no recorded process has the time of the recorded order"
    if described(case_file)[0]["detailed_spread_max"] == 0:  # else the processes differ in their orders
        assert all(close)
    if "msg_int" not in z:
        return
    for step in np.unique(z["msg_int"][:, 0]):
        mine, rows = messages(chip, chip.costs_named(), spikes, int(step) - 1), z["msg_int"][:, 0] == step
        key = [tuple(k) for k in np.stack([mine["source"], mine["source_core"], mine["target_core"]], axis=1)]
        at = {k: i for i, k in enumerate(key)}
        kept = [at[tuple(k)] for k in z["msg_int"][rows][:, 2:5]]
        assert len(at) == len(key) == rows.sum()
        assert np.array_equal(mine["hops"][kept], z["msg_int"][rows][:, 5])
        assert np.array_equal(mine["events"][kept], z["msg_int"][rows][:, 6])
        number = np.cumsum(mine["target_core"] >= 0) - 1 + z["packets"][: step - 1].sum()
        number[mine["target_core"] < 0] = -1
        assert np.array_equal(number[kept], z["msg_int"][rows][:, 1])
        real = z["msg_int"][rows][:, 4] >= 0
        for column, name in enumerate(TIMES):
            got, want = mine[name][kept], z["msg_time"][rows][:, column]
            known = real | (column in (0, 4))  # work after the last message is only generated and "sent"
            np.testing.assert_allclose(got[known], want[known], rtol=TIGHT, atol=1e-20, err_msg=name)


def leaky(p: dict, weights: np.ndarray, x: np.ndarray, spikes: np.ndarray, membranes: np.ndarray) -> None:
    """The recorded layer again: v <- beta v + W x, less the threshold 1 where it fired before, or v forgotten there."""
    v = np.zeros(membranes[:, 0].shape)
    for t in range(x.shape[1]):
        fired = v > 1.0
        kept = np.where(fired & (p["reset"] == "zero"), 0.0, v)
        v = p["beta"] * kept + x[:, t] @ weights.T.astype(np.float64) - fired * (p["reset"] == "subtract")
        np.testing.assert_allclose(membranes[:, t], v, atol=1e-5)
        np.testing.assert_array_equal(spikes[:, t], membranes[:, t] > 1.0)
        v = membranes[:, t].astype(np.float64)  # the tool rounds to float32 in every step


def test_neurobench(metrics_file):
    record = json.loads(metrics_file.with_suffix(".json").read_text())
    p, results = record["params"], record["results"]
    with np.load(metrics_file) as z:
        sizes = {"X": p["I"], "s1": p["H"], "s2": p["O"]}
        whole = {name: np.unpackbits(z[name], axis=2) for name in sizes}
        assert not any(whole[name][:, :, n:].any() for name, n in sizes.items()), "bits beyond the last neuron"
        x, s1, s2 = (whole[name][:, :, :n] for name, n in sizes.items())
        layers = [LayerRun(z["W1"], x, s1, z["mem1"]), LayerRun(z["W2"], s1, s2, z["mem2"])]
        leaky(p, z["W1"], x, s1, z["mem1"])
        leaky(p, z["W2"], s1, s2, z["mem2"])
    mine = neurobench(layers, buffers=BUFFERS)
    assert set(mine) == set(results)
    for name, value in results.items():
        assert mine[name] == pytest.approx(value, rel=1e-12), name


def test_dvs_gesture_totals(totals_file):
    """Recorded work of the DVS-gesture network times the shipped constants gives the recorded joules."""
    with np.load(totals_file) as z:
        totals = {name: z[name] for name in z.files}
    costs = cs.chip("loihi").costs_named("sanafe")
    synapse, out = costs.synapse.energy.si, costs.axon_out.energy.si
    np.testing.assert_allclose(totals["synaptic_events"] * synapse, totals["energy_synapse"], rtol=TIGHT)
    low = totals["packets"] * out + totals["hops"] * costs.hop_east.energy.si
    high = totals["packets"] * out + totals["hops"] * costs.hop_north.energy.si
    north = (totals["energy_network"] - low) / (costs.hop_north.energy.si - costs.hop_east.energy.si)
    np.testing.assert_allclose(north, np.rint(north), atol=1e-3, err_msg="hops of one kind are a whole number")
    soma = [totals[k] * getattr(costs, f"soma_{v}").energy.si for k, v in (("updated", "update"), ("fired", "spike"))]
    accesses = (totals["energy_soma"] - sum(soma)) / costs.soma_access.energy.si
    np.testing.assert_allclose(accesses, np.rint(accesses[0]), rtol=TIGHT, err_msg="neurons read in every step")
    lines = [totals[f"energy_{line}"] for line in ("synapse", "dendrite", "soma", "network")]
    np.testing.assert_allclose(sum(lines), totals["energy_total"], rtol=TIGHT)
    assert not totals["energy_dendrite"].any()  # contained in the soma
    assert (totals["time_simple"] <= totals["time_detailed"] * (1 + TIGHT)).all()
    assert (totals["energy_network"] >= low * (1 - TIGHT)).all()
    assert (totals["energy_network"] <= high * (1 + TIGHT)).all()
