"""ReckOn against recordings of its own Verilog: every array of every file, every tick."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chipsim.engines.reckon import ReckonEngine, ReckonRun, stimulus
from chipsim.native.reckon import Memories, Registers
from mappings.cue_task import run_cue_experiment

from .conftest import golden_files, golden_id

SNAPSHOTS = [
    f"{field}_{when}" for field in ("u", "tinp", "trec", "tout", "dirty") for when in ("after_step", "end")
]
CYCLE_NAMES = ("step", "sdone", "tar", "eprop", "send", "cnt", "evt", "supp")
STIMULUS = set(
    [
        "cfg",
        "category",
        "thr",
        "alpha_lsb",
        "winp_init",
        "wrec_init",
        "wout_init",
        "mem_init_u",
        "mem_init_tinp",
        "mem_init_trec",
        "mem_init_tout",
        "ev_ptr",
        "ev_addr",
        "sample_id",
        "last_tick",
        "target_valid",
        "infer_acc",
        "label",
        "target",
        "target_given",
        "sample_ptr",
        "ev_time",
        "sample_label",
        "sample_is_train",
    ]
)


def pytest_generate_tests(metafunc) -> None:
    if "path" in metafunc.fixturenames:
        paths = golden_files(metafunc.config, "reckon")
        metafunc.parametrize("path", paths, ids=[golden_id(p) for p in paths])


def registers(cfg: Mapping[str, Any]) -> Registers:
    """Registers of a recording; its notes are not registers."""
    values = {k: v for k, v in cfg.items() if k not in ("note", "ALPHA_CONF_hex")}
    return Registers.from_mapping({**values, "ALPHA_CONF": int(cfg["ALPHA_CONF_hex"], 16)})


def memories(z: Mapping[str, np.ndarray]) -> Memories:
    fields = {f: z[f"mem_init_{f}"] for f in ("u", "tinp", "trec", "tout") if f"mem_init_{f}" in z}
    return Memories(
        thr=z["thr"],
        alpha_lsb=z["alpha_lsb"],
        winp=z["winp_init"],
        wrec=z["wrec_init"],
        wout=z["wout_init"],
        **fields,
    )


class Comparison:
    """Compares arrays one by one and remembers which recorded names were looked at."""

    def __init__(self, z: Mapping[str, np.ndarray]) -> None:
        self.z, self.seen = z, set(STIMULUS)

    def same(self, name: str, got: np.ndarray, where: np.ndarray | slice = slice(None)) -> None:
        """Compare if recorded (a file may leave arrays out; what it holds and nobody compares, `finish`
        reports)."""
        self.seen.add(name)
        if name not in self.z:
            return
        want = self.z[name][where]
        got = np.asarray(got)[where]
        assert got.shape == want.shape, f"{name}: {got.shape} instead of {want.shape}"
        wrong = np.argwhere(got.astype(np.int64) != want.astype(np.int64))
        assert wrong.size == 0, f"{name}: {len(wrong)} differ, first at {wrong[0].tolist()}"

    def finish(self) -> None:
        left = set(self.z) - self.seen
        assert not left, f"recorded but not compared: {sorted(left)}"


def check_counters(cmp: Comparison, run: ReckonRun) -> None:
    """Arrays that every recording has, per tick."""
    cmp.same("has_step", run.has_step)
    cmp.same("npass", run.passes)
    cmp.same("sram_access", np.stack(list(run.access.values()), 1))
    for name in CYCLE_NAMES:
        cmp.same(f"c_{name}", run.cycles[name])


def check_random_words(cmp: Comparison, rows: list[dict[str, np.ndarray]]) -> None:
    """Outputs of all shift registers before the run and after every sample."""
    for name in rows[0]:
        cmp.same(f"lfsr_{name}", np.stack([row[name] for row in rows]))


def host_labels(z: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Labels sent before a tick, and those sent on request: the host's choice shows only in its waiting
    cycles."""
    asked = z["c_tar"] > 0
    return np.where(asked, -1, z["label"]), np.where(asked, z["label"], -1)


def run_random(z: Mapping[str, np.ndarray], engine: ReckonEngine, slots: slice, n: int) -> ReckonRun:
    """The ticks of one sample."""
    label, answer = host_labels(z)
    ptr = z["ev_ptr"][slots.start : slots.stop + 1]
    stim = stimulus(
        (ptr - ptr[0], z["ev_addr"][ptr[0] : ptr[-1]]),
        last=z["last_tick"][slots],
        target_valid=z["target_valid"][slots],
        infer_acc=z["infer_acc"][slots],
        label=label[slots],
        answer=answer[slots],
        target=z["target"][slots],
        target_given=z["target_given"][slots],
    )
    return engine.run(stim, neurons=n, snapshots=True)


def merge(runs: list[ReckonRun]) -> ReckonRun:
    """Runs one after the other as one record."""

    def join(name: str) -> Any:
        parts = [getattr(run, name) for run in runs]
        if not isinstance(parts[0], dict):
            return np.concatenate(parts)
        return {k: np.concatenate([np.atleast_1d(p[k]) for p in parts]) for k in parts[0]}

    return ReckonRun(*(join(name) for name in ReckonRun.__dataclass_fields__))


def pad(weights: np.ndarray, like: np.ndarray) -> np.ndarray:
    return weights[: like.shape[0], : like.shape[1]]


def replay_random(z: Mapping[str, np.ndarray]) -> None:
    """A random configuration: every field of every neuron after every tick."""
    cfg = json.loads(str(z["cfg"]))
    engine = ReckonEngine(registers(cfg), memories(z))
    cmp = Comparison(z)
    n = z["spikes"].shape[1]
    ids = z["sample_id"]
    runs, words, weights = [], [engine.lfsr_outputs()], []
    for sample in np.unique(ids):
        where = np.flatnonzero(ids == sample)
        runs.append(run_random(z, engine, slice(where[0], where[-1] + 1), n))
        words.append(engine.lfsr_outputs())
        weights.append({name: engine.memory(name) for name in ("winp", "wrec", "wout")})
    run = merge(runs)
    check_counters(cmp, run)
    check_random_words(cmp, words)
    cmp.same("spikes", run.spikes)
    cmp.same("out_after_step", run.out_step)
    cmp.same("out_end", run.out_end)
    learned = (z["c_eprop"] > 0) & (cfg["DO_EPROP"] != 4)
    cmp.same("lsig_last_group", run.learning_signals, learned)
    cmp.same("out_bytes", run.sent[:, : z["out_bytes"].shape[1]])
    assert np.all(run.sent[:, z["out_bytes"].shape[1] :] == -1)
    for name in SNAPSHOTS:
        cmp.same(name, run.snapshots[name])
    for name in ("winp", "wrec", "wout"):
        cmp.same(f"{name}_after", np.stack([pad(w[name], z[f"{name}_init"]) for w in weights]))
    cmp.finish()


def replay_cue(z: Mapping[str, np.ndarray]) -> None:
    """Samples of the cue task: learning on in training samples, off in test samples."""
    engine = ReckonEngine(registers(json.loads(str(z["cfg"]))), memories(z))
    cmp = Comparison(z)
    samples = z["sample_label"].size
    ticks = z["has_step"].size // samples
    runs, words, after = [], [engine.lfsr_outputs()], []
    n = engine.registers.NUM_REC_NEUR + 1
    for s in range(samples):
        train = bool(z["sample_is_train"][s])
        engine.configure(DO_EPROP=7 if train else 0)
        part = slice(z["sample_ptr"][s], z["sample_ptr"][s + 1])
        times = z["ev_time"][part].astype(np.int64)
        order = np.argsort(times, kind="stable")
        supervised = np.arange(ticks) >= 2100
        label = np.where(np.arange(ticks) == 2100, int(z["sample_label"][s]) if train else -1, -1)
        stim = stimulus(
            (np.searchsorted(times[order], np.arange(ticks + 1)), z["ev_addr"][part][order]),
            target_valid=supervised & train,
            infer_acc=supervised,
            label=label,
        )
        runs.append(engine.run(stim, neurons=n, snapshots=False))
        words.append(engine.lfsr_outputs())
        after.append(
            {name: engine.memory(name) for name in ("winp", "wrec", "wout", "u", "tinp", "trec", "tout")}
        )
    run = merge(runs)
    check_counters(cmp, run)
    check_random_words(cmp, words)
    outputs = engine.registers.NUM_OUT_NEUR + 1
    cmp.same("spikes_packed", np.packbits(run.spikes, axis=1))
    cmp.same("out_after_step", run.out_step[:, :outputs])
    cmp.same("out_end", run.out_end[:, :outputs])
    cmp.same("sample_inference", run.inferences)
    for name in ("winp", "wrec", "wout"):
        cmp.same(f"{name}_after", np.stack([pad(a[name], z[f"{name}_init"]) for a in after]))
    for name in ("u", "tinp", "trec", "tout"):
        cmp.same(f"sram_{name}_after", np.stack([a[name][:n] for a in after]))
    cmp.finish()


def test_ten_epochs_of_the_released_data(pytestconfig) -> None:
    """The published data set, used where it lies: right answers and clock cycles of the Verilog over ten
    epochs."""
    root = pytestconfig.getoption("golden")
    folders = [p.parent for p in Path(root).rglob("dataset_cueAcc_train.dat")] if root else []
    if not folders:
        pytest.skip("the released data set is not part of the small selection")
    result = run_cue_experiment(folders[0], epochs=10)
    assert result.correct[:, 1].tolist() == [45, 49, 49, 50, 50, 50, 47, 49, 49, 49]
    assert result.correct[:, 0].tolist() == [32, 46, 47, 46, 48, 47, 49, 48, 48, 50]
    assert np.round(result.cycles.mean(axis=(0, 2))).tolist() == [841_850, 603_312]
    for kind, changed, moved in zip(range(3), (1946, 4551, 137), (8597, 23_825, 5956)):
        change = result.weights[-1][kind].astype(int) - result.weights[0][kind]
        assert (np.count_nonzero(change), np.abs(change).sum()) == (changed, moved)


def replay(path: Path) -> None:
    with np.load(path) as file:
        z = {name: file[name] for name in file.files}
    if "sample_ptr" in z:
        replay_cue(z)
    else:
        replay_random(z)


def test_recording(path: Path) -> None:
    replay(path)


@pytest.mark.parametrize(
    "name", ["u_end", "wrec_after", "lfsr_winp", "c_evt", "spikes", "sram_access", "dirty_end"]
)
def test_one_flipped_bit_is_noticed(name: str, tmp_path: Path) -> None:
    source = sorted((Path(__file__).parent.parent / "golden" / "reckon").glob("*.npz"))[0]
    with np.load(source) as file:
        z = {key: file[key].copy() for key in file.files}
    z[name].flat[z[name].size // 2] ^= 1
    np.savez(tmp_path / "flipped.npz", **z)
    with pytest.raises(AssertionError, match=name):
        replay(tmp_path / "flipped.npz")
