"""ReckOn against recordings of its own Verilog: every array of every file, every tick."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chipsim.engines.reckon.core import ReckonEngine, ReckonRun, stimulus
from chipsim.mappings.experiments.cue import cue_registers, present, random_memories, read_memories, run_cue_experiment
from chipsim.mappings.experiments.cue_data import make_cues
from chipsim.native.reckon.neurons import Memories, Registers

from .conftest import golden_files, golden_id
from .cue_replay import (
    LAST,
    SPIKE_LISTS,
    TABLES,
    canonical,
    difference,
    presentation,
    rows,
    run_samples,
    sample_count,
)

SNAPSHOTS = [f"{field}_{when}" for field in ("u", "tinp", "trec", "tout", "dirty") for when in ("after_step", "end")]
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

CUE_STIMULUS = {
    "cfg", "thr", "alpha_lsb", "winp_init", "wrec_init", "wout_init", "sample_ptr", "ev_addr", "ev_time",
}  # fmt: skip


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
        want = np.asarray(self.z[name])
        got = np.asarray(got)
        if want.ndim:  # a number on its own cannot be sliced
            want, got = want[where], got[where]
        assert got.shape == want.shape, f"{name}: {got.shape} instead of {want.shape}"
        wrong = np.argwhere(np.atleast_1d(got.astype(np.int64) != want.astype(np.int64)))
        assert len(wrong) == 0, f"{name}: {len(wrong)} differ, first at {wrong[0].tolist()}"

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


def released_data(root: Any) -> Path:
    """The folder with the released samples and initial weights, below the golden folder or in one beside it."""
    name = "dataset_cueAcc_train.dat"
    places = [] if not root else [*Path(root).rglob(name), *Path(root).resolve().parent.glob(f"*/reckon/*/{name}")]
    folders = [p.parent for p in places]
    assert folders, f"the recording holds no events, and no {name} lies below {root}"
    return folders[0]


def replay_cue(z: Mapping[str, np.ndarray], root: Any = None, ticks: int = 2250) -> None:
    """Samples of the cue task: learning on in training samples, off in test samples; as far as the arrays go."""
    regs = registers(json.loads(str(z["cfg"]))) if "cfg" in z else cue_registers()
    mem = memories(z) if "winp_init" in z else read_memories(released_data(root))
    engine = ReckonEngine(regs, mem)
    names = [n for n in z if n not in CUE_STIMULUS and z[n].dtype.kind in "iufb"]
    samples = sample_count(z, engine, ticks, names)
    counted = [n for n in names if n not in SPIKE_LISTS and canonical(n)[0] not in (*LAST, *TABLES)]
    per_tick = [rows(canonical(n)[0], z[n], engine) // ticks for n in counted]
    shown = presentation(z, samples, ticks, lambda: released_data(root))
    lists = max((z[n].size for n in names if n in SPIKE_LISTS), default=0)
    record = run_samples(engine, shown, max([k for k in per_tick if k <= samples], default=0), lists)
    known = {*record.sample, *record.tick, *TABLES}
    unknown = [n for n in names if canonical(n)[0].partition(" ")[0] not in known]
    assert not unknown, f"recorded but not known here: {unknown}"
    wrong = [text for text in (difference(record, n, z[n]) for n in names) if text]
    assert not wrong, "; ".join(wrong)


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


def replay(path: Path, root: Any = None) -> None:
    with np.load(path) as file:
        z = {name: file[name] for name in file.files}
    if "sample_ptr" in z or path.name.startswith("cue_acc"):
        replay_cue(z, root)
    else:
        replay_random(z)


def test_recording(path: Path, pytestconfig) -> None:
    replay(path, pytestconfig.getoption("golden"))


def test_a_wrong_number_on_its_own_is_noticed() -> None:
    cmp = Comparison({"right": np.array(7), "wrong": np.array(7)})
    cmp.same("right", np.array(7))
    with pytest.raises(AssertionError, match="wrong: 1 differ"):
        cmp.same("wrong", np.array(6))


def cue_recording(ticks: int = 2250) -> dict[str, np.ndarray]:
    """A run of two training and two test samples of our own, recorded in several layouts at once."""
    cues, mem = make_cues(2, seed=5), random_memories(3)
    engine = ReckonEngine(cue_registers(), mem)
    first = engine.weights
    train = np.array([1, 1, 0, 0])
    runs, after = [], []
    for s in range(4):
        engine.configure(DO_EPROP=7 * int(train[s]))
        runs.append(present(engine, cues, s % 2, bool(train[s])))
        after.append(engine.weights)
    answers = np.array([int(r.inferences[-1]) for r in runs])
    init = dict(zip(("winp_init", "wrec_init", "wout_init"), first))
    return init | {
        "thr": np.full(128, mem.thr), "alpha_lsb": np.full(128, mem.alpha_lsb), "sample_is_train": train,
        "sample_ptr": np.cumsum([0, *map(len, cues.events)]), "ev_addr": np.concatenate(cues.events)[:, 0],
        "ev_time": np.concatenate(cues.events)[:, 1], "sample_label": np.tile(cues.labels, 2),
        "sample_inference": answers,
        "test_correct": np.array((answers == np.tile(cues.labels, 2))[2:].sum()),
        "npass": np.concatenate([runs[0].passes, runs[1].passes]),
        "cycles": np.array([r.busy_cycles.sum() for r in runs]),
        "wrec_phases": np.stack([first[1], after[1][1], after[3][1]]), "winp_after": np.stack([a[0] for a in after]),
        "wout_before": np.stack([first[2], after[1][2]]),
    } | further(runs, first, after)  # fmt: skip


def further(runs: list[ReckonRun], first: tuple, after: list[tuple]) -> dict[str, np.ndarray]:
    """More forms: who fired, counts and extremes per tick, busy cycles without the transfer, changes by phase."""
    own = [r.busy_cycles - r.cycles["send"] for r in runs]
    phases = [(first, after[1]), (after[1], after[3])]
    changes = [[b[k].astype(int) - a[k] for k in range(3)] for a, b in phases]
    return {
        "spike_neuron": np.concatenate([np.nonzero(r.spikes)[1] for r in runs[:3]]).astype(np.uint8),
        "spikes": np.concatenate([r.spikes.sum(axis=1) for r in runs[:2]]),
        "tick_busy_min": np.array([x.min() for x in own]),
        "tick_busy_max": np.array([r.busy_cycles.max() for r in runs]),
        "busy": np.array([x.sum() for x in own]), "winp_phase_change": np.stack([c[0] for c in changes]),
        "wrec_changed_phases": np.array([np.count_nonzero(c[1]) for c in changes]),
        "phases": np.array([[k, *(np.abs(d).sum() for d in c), x] for k, (c, x) in enumerate(
            zip(changes, (own[0].sum() + own[1].sum(), own[2].sum() + own[3].sum())))]),
    }  # fmt: skip


FURTHER = (
    "spike_neuron", "spikes", "tick_busy_min", "tick_busy_max", "busy", "winp_phase_change", "wrec_changed_phases",
    "phases",
)  # fmt: skip


def test_cue_recordings_of_any_layout() -> None:
    """Arrays per tick of some samples, per sample and per phase are compared; a wrong or unknown one is named."""
    z = cue_recording()
    replay_cue(z)
    names = ("test_correct", "npass", "cycles", "wrec_phases", "winp_after", "wout_before", "sample_inference")
    for name in (*names, *FURTHER):
        wrong = {**z, name: z[name].copy()}
        wrong[name].flat[-1 if name == "phases" else wrong[name].size // 2] ^= 1
        with pytest.raises(AssertionError, match=name):
            replay_cue(wrong)
    with pytest.raises(AssertionError, match=r"not known here: \['mystery'\]"):
        replay_cue({**z, "mystery": np.zeros(4)})


@pytest.mark.parametrize("name", ["u_end", "wrec_after", "lfsr_winp", "c_evt", "spikes", "sram_access", "dirty_end"])
def test_one_flipped_bit_is_noticed(name: str, tmp_path: Path) -> None:
    source = sorted((Path(__file__).parent.parent / "golden" / "reckon").glob("*.npz"))[0]
    with np.load(source) as file:
        z = {key: file[key].copy() for key in file.files}
    z[name].flat[z[name].size // 2] ^= 1
    np.savez(tmp_path / "flipped.npz", **z)
    with pytest.raises(AssertionError, match=name):
        replay(tmp_path / "flipped.npz")
