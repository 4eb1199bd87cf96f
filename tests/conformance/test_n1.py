"""Catalyst N1 against recordings of its own Verilog: every array of every file, every timestep, every byte."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chipsim as cs
from chipsim.engines.catalyst.engine import N1Engine, N1Run
from chipsim.engines.catalyst.host import Host
from chipsim.native.catalyst import stream

from .conftest import golden_files, golden_id

#: Our names of the RTL's parameters in a recording's cfg; what is not here is compared with the default.
FIELDS = {
    "num_cores": "cores", "num_neurons": "neurons", "neuron_bits": "neuron_bits", "pool_addr_bits": "pool_bits",
    "count_bits": "count_bits", "rev_fanin": "fan_in", "interconnect": "interconnect", "mesh_x": "mesh_columns",
    "mesh_y": "mesh_rows",
}  # fmt: skip
GIVEN = {"cfg", "prog", "prog_mid", "stim", "flags", "reward", "dvfs", "start_cycle", "snap_t", "link_rx"}
STATE = ("v", "u", "refrac", "acc", "dend", "traces", "spike_cnt", "spike_ts", "thr", "core_regs")
SYNAPSES = ("w", "elig", "delay", "tag")


def pytest_generate_tests(metafunc) -> None:
    if "path" in metafunc.fixturenames:
        paths = golden_files(metafunc.config, "n1")
        metafunc.parametrize("path", paths, ids=[golden_id(p) for p in paths])


def build_of(z: Mapping[str, Any]) -> cs.catalyst.Build:
    """The build of a recording."""
    cfg = json.loads(str(z["cfg"]))
    known = {"rev_slot_bits", "core_id_bits", "chip_link", *FIELDS}
    assert not set(cfg) - known, f"unknown parameters of the build: {set(cfg) - known}"
    values = {ours: cfg[name] for name, ours in FIELDS.items() if name in cfg}
    return cs.catalyst.Build(**values, chip_link=bool(cfg.get("chip_link", 0)))


def rows_of(table: np.ndarray, t: int) -> np.ndarray:
    """Rows of timestep t, counted from 0."""
    mine = table[table[:, 0] == t].astype(np.int64)
    mine[:, 0] = 0
    return mine


def same(name: str, got: np.ndarray, want: np.ndarray) -> None:
    assert got.shape == want.shape, f"{name}: {got.shape} instead of {want.shape}"
    wrong = np.argwhere(np.atleast_1d(got.astype(np.int64) != want.astype(np.int64)))
    assert len(wrong) == 0, f"{name}: {len(wrong)} differ, first at {wrong[0].tolist()}"


def step(engine: N1Engine, z: Mapping[str, np.ndarray], t: int) -> N1Run:
    """One recorded timestep."""
    if "prog_mid" in z:
        engine.program(z["prog_mid"][z["prog_mid"][:, 0] == t][:, 1:])
    start = int(z["start_cycle"][t]) if engine.build.interconnect == "xy" else -1
    return engine.run(
        1, rows_of(z["stim"], t), flags=int(z["flags"][t]), reward=int(z["reward"][t]), stall=int(z["dvfs"][t]),
        start_cycle=start, link=rows_of(z["link_rx"], t) if "link_rx" in z else (),
    )  # fmt: skip


def replay_states(z: Mapping[str, np.ndarray]) -> None:
    """A configuration: all state after every timestep."""
    engine = N1Engine(build_of(z), z["prog"])
    runs, record = [], {name: [] for name in (*STATE, *SYNAPSES)}
    for t in range(len(z["flags"])):
        runs.append(step(engine, z, t))
        for name in STATE:
            record[name].append(engine.memory(name))
        if t in z["snap_t"]:
            for name in SYNAPSES:
                record[name].append(engine.memory(name))
    events = {"spikes": [], "sent": []}
    for t, run in enumerate(runs):
        for name, parts in events.items():
            parts.append(getattr(run, name) + np.array([t, 0, 0, 0, 0], np.int32))
    got = {name: np.stack(values) for name, values in record.items()}
    got["spikes"], got["link_tx"] = np.concatenate(events["spikes"]), np.concatenate(events["sent"])
    for name, attribute in (("cycles", "cycles"), ("total_spikes", "total_spikes"), ("energy", "energy")):
        got[name] = np.concatenate([getattr(run, attribute) for run in runs])
    left = set(z) - GIVEN - set(got)
    assert not left, f"recorded but not compared: {sorted(left)}"
    for name in set(z) - GIVEN:
        same(name, got[name], np.asarray(z[name]))


def replay_workload(z: Mapping[str, np.ndarray]) -> None:
    """The speed workload: spikes, cycles and the state at the end, without and with learning."""
    for name, flags in (("lif", 0), ("stdp", 1)):
        engine = N1Engine(build_of(z), z["prog"])
        run = engine.run(len(z[f"cycles_{name}"]), z["stim"], flags=flags)
        same(f"cycles_{name}", run.cycles, z[f"cycles_{name}"])
        want = z[f"spikes_{name}"]
        got = run.spikes[:, [0, 3]]
        same(f"spikes_{name}", got[np.lexsort(got.T[::-1])], want[np.lexsort(want.T[::-1])])
        same(f"v_final_{name}", engine.memory("v")[0], z[f"v_final_{name}"])
        same(f"w_final_{name}", engine.memory("w")[0], z[f"w_final_{name}"])


def replay_bytes(z: Mapping[str, np.ndarray]) -> None:
    """A host transcript: every answer, every timestep's cycles; the commands written again are the same bytes."""
    host = Host(build_of(z))
    commands, answers = z["cmd_bytes"].tobytes(), z["resp_bytes"].tobytes()
    for k in range(len(z["cmd_ptr"]) - 1):
        sent = commands[z["cmd_ptr"][k] : z["cmd_ptr"][k + 1]]
        want = answers[z["resp_ptr"][k] : z["resp_ptr"][k + 1]]
        assert stream.write_commands(stream.read_commands(sent)) == sent, f"command {k} is written otherwise"
        got = host.send(sent)
        assert got == want, f"command {k} ({sent.hex()}): answer {got.hex()} instead of {want.hex()}"
    same("cycles", np.array(host.cycles), z["cycles"])


def replay(path: Path) -> None:
    with np.load(path) as file:
        z = {name: file[name] for name in file.files}
    if "cmd_bytes" in z:
        replay_bytes(z)
    elif "cycles_lif" in z:
        replay_workload(z)
    else:
        replay_states(z)


def test_recording(path: Path) -> None:
    replay(path)


@pytest.mark.parametrize("name", ["v", "traces", "w", "cycles", "spikes", "core_regs", "energy"])
def test_one_flipped_bit_is_noticed(name: str, tmp_path: Path) -> None:
    source = sorted((Path(__file__).parent.parent / "golden" / "n1").glob("n1_*.npz"))[0]
    with np.load(source) as file:
        z = {key: file[key].copy() for key in file.files}
    z[name].flat[z[name].size // 2] ^= 1
    np.savez(tmp_path / "flipped.npz", **z)
    with pytest.raises(AssertionError, match=name):
        replay(tmp_path / "flipped.npz")
