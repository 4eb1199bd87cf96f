"""ODIN, tinyODIN and the RANC grid against recordings of their own Verilog: every array of every file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import chipsim as cs
from chipsim.engines.crossbar.odin import OdinEngine, TinyOdinEngine
from chipsim.engines.grid.core import GridEngine

from .conftest import golden_files, golden_id

STIMULUS = {
    "chip", "kind", "loaded_by", "cfg_regs", "delays", "neur0", "syn0", "flags0", "ev_addr", "ev_t", "run_limit",
}  # fmt: skip
REGISTER_COPIES = {
    "open_loop": "open_loop", "src_ctrl": "src_ctrl", "mon_en": "mon_en", "mon_neur": "mon_neur", "mon_syn": "mon_syn",
    "upd_unmapped": "upd_unmapped", "prop_unmapped": "prop_unmapped", "sdsp_syn": "sdsp_syn", "syn_sign": "syn_sign",
    "burst_timeref": "burst_timeref", "max_neur": "max_neur",
}  # fmt: skip
GRID_STIMULUS = {
    "grid", "conn", "types", "w", "v0", "reset", "leak", "thr", "negthr", "mode", "dx", "dy", "dest_axon", "dest_tick",
    "packets",
}  # fmt: skip


def pytest_generate_tests(metafunc) -> None:
    for name, pattern in (("event_file", "*.npz"), ("grid_file", "ranc_*.npz")):
        if name in metafunc.fixturenames:
            paths = golden_files(metafunc.config, "odin", pattern)
            if name == "event_file":
                paths = [p for p in paths if not p.name.startswith("ranc_")]
            metafunc.parametrize(name, paths, ids=[golden_id(p) for p in paths])


class Comparison:
    """Compares arrays one by one and remembers which recorded names were looked at."""

    def __init__(self, z: Mapping[str, np.ndarray], stimulus: set[str]) -> None:
        self.z, self.seen = z, set(stimulus)

    def same(self, name: str, got: Any) -> None:
        self.seen.add(name)
        want, got = np.asarray(self.z[name]), np.asarray(got)
        assert got.shape == want.shape, f"{name}: {got.shape} instead of {want.shape}"
        wrong = np.argwhere(got.astype(np.int64) != want.astype(np.int64))
        assert len(wrong) == 0, f"{name}: {len(wrong)} differ, first at {wrong[0].tolist()}"

    def finish(self) -> None:
        left = set(self.z) - self.seen
        assert not left, f"recorded but not compared: {sorted(left)}"


def build(z: Mapping[str, np.ndarray]) -> Any:
    """Engine of a recording, programmed as its SPI log says; the separate register arrays must agree with the log."""
    writes = [(1, int(z["open_loop"])), *((int(a), int(d)) for a, d in z["cfg_regs"])]
    if str(z["chip"]) == "tiny":
        registers = cs.tinyodin.Registers.from_spi(writes)
        return registers, TinyOdinEngine(cs.tinyodin.TinyOdinProgram(registers, z["neur0"], z["syn0"]))
    registers = cs.odin.Registers.from_spi(writes)
    program = cs.odin.OdinProgram(registers, z["neur0"], z["syn0"], z["flags0"])
    without = OdinEngine(cs.odin.OdinProgram(registers, z["neur0"], z["syn0"]))
    assert np.array_equal(without.flags, z["flags0"]), "flags0: not those that SPI programming leaves"
    return registers, OdinEngine(program)


def test_events(event_file: Path) -> None:
    """Memories, flags, stamps, packets, end, drops and the controller's trace of one ODIN or tinyODIN run."""
    z = np.load(event_file)
    registers, engine = build(z)
    compare = Comparison(z, STIMULUS)
    for name, register in REGISTER_COPIES.items():
        if name in z:
            compare.same(name, getattr(registers, register))
    limit = int(z["run_limit"])
    delays = tuple(int(d) for d in z["delays"])
    run = engine.run(z["ev_addr"], z["ev_t"], delays=delays, limit=None if limit < 0 else limit, trace=True)
    recorded = {
        "t_req": run.request, "t_ack": run.ack, "t_ackl": run.ack_low, "out_t": run.out_edge, "n_end": run.end,
        "out_addr": run.out_address, "drops": run.drops, "max_fifo": run.fifo_peak,
        "fsm": np.vstack([[[0, 0]], run.trace]),
    }  # fmt: skip
    for name, got in recorded.items():
        compare.same(name, got)
    memories = {"neur1": engine.neurons, "syn1": engine.synapses, "flags1": getattr(engine, "flags", None)}
    for name, got in memories.items():
        if name in z:
            compare.same(name, got if limit < 0 else np.zeros(z[name].shape))
    compare.finish()


def by_cycle(rows: np.ndarray, cycle: int) -> np.ndarray:
    """Rows in order of tick, cycle and core: what happens on one cycle in several cores has no order."""
    return rows[np.lexsort((rows[:, 1], rows[:, cycle], rows[:, 0]))]


def test_grid(grid_file: Path) -> None:
    """Spikes, deliveries, outputs, idle cycles and potentials of one grid run."""
    z = np.load(grid_file)
    columns, rows, out_x, out_y, neurons, axons, ticks, period = (int(v) for v in z["grid"])
    program = cs.truenorth.GridProgram(
        columns=columns, rows=rows, output=(out_x, out_y), period=period,
        crossbar=np.unpackbits(z["conn"], axis=-1, bitorder="little")[:, :neurons, :axons], axon_type=z["types"],
        weight=z["w"], v=z["v0"], reset=z["reset"], leak=z["leak"], thr=z["thr"], negthr=z["negthr"], mode=z["mode"],
        dx=z["dx"], dy=z["dy"], axon=z["dest_axon"], delay=z["dest_tick"],
    )  # fmt: skip
    engine = GridEngine(program)
    run = engine.run(z["packets"], ticks)
    compare = Comparison({k: by_cycle(z[k], c) if k in ("spikes", "deliver", "busy") else z[k]
                          for k, c in {**dict.fromkeys(z, 0), "spikes": 3, "deliver": 2, "busy": 2}.items()},
                         GRID_STIMULUS)  # fmt: skip
    compare.same("spikes", run.spikes)
    compare.same("deliver", run.deliveries)
    compare.same("out", run.outputs)
    compare.same("busy", run.idle)
    inside = program.is_core
    assert np.array_equal(engine.potentials[inside], z["vfinal"][inside]), "vfinal"
    compare.seen.add("vfinal")
    compare.finish()
