"""Recordings of the cue task of any length: what a file holds decides what is replayed and how far.

Arrays may be per tick (perhaps of the first samples only), per sample, or after every phase (a run of training or
of test samples). The name says the quantity, the shape says which of these it is; a name that says nothing known is
left to the caller to report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from chipsim.engines.reckon.core import ReckonEngine, ReckonRun
from chipsim.mappings.experiments.cue import present
from chipsim.mappings.experiments.cue_data import CueSet, read_cues

WEIGHTS = ("winp", "wrec", "wout")
FIELDS = ("u", "tinp", "trec", "tout")
GRANULARITY = {
    "sample", "samples", "tick", "ticks", "phase", "phases", "epoch", "epochs", "per", "after", "total", "totals",
    "sum", "sram", "before", "cue",
}  # fmt: skip
SYNONYMS = {
    "inf": "inference", "inferences": "inference", "answer": "inference", "labels": "label", "passes": "npass",
    "access": "sram_access", "acc": "sram_access", "busy": "cycles", "busy_cycles": "cycles", "cyc": "cycles",
    "nspikes": "spikes", "nspk": "spikes", "spk": "spikes", "spike_count": "spikes", "weights_inp": "winp",
    "weights_rec": "wrec", "weights_out": "wout", "ncorrect": "correct",
    "out_step": "out_after_step", "n_spikes": "spikes", "nspike": "spikes", "rec_spikes": "spikes",
    "spikes_rec": "spikes", "n_pass": "npass", "n_passes": "npass", "n_correct": "correct", "c": "cycles",
}  # fmt: skip
#: Words of a name that say what is made of a quantity: the extremes over ticks, or what a phase changed.
EXTREMES = ("min", "max")
CHANGES = {"change", "changes", "delta", "deltas", "diff", "d", "dw"}
CHANGED = {"changed", "nchanged", "moved"}
SIZES = {"abs", "l1", "magnitude"}
PLACES = {"sample_index": "index", "sample_id": "index", "sample_epoch": "epoch", "epoch": "epoch"}
SPIKE_LISTS = ("spike_neuron", "spike_neurons", "spike_ids", "spike_id", "spike_addr")  #: who fired, tick after tick
TABLES = ("phases",)  #: quantities that are tables with a row for every phase
PER_TICK_ONLY = ("spikes_packed", "out_after_step", "out_end", *SPIKE_LISTS)
LAST = (*WEIGHTS, *FIELDS)  #: of a phase, the value after its last sample counts; everything else is a sum


@dataclass(frozen=True)
class Presentation:
    """Sample s of the run is sample ``index[s]`` of `sets[not train[s]]`."""

    sets: tuple[CueSet, ...]
    which: np.ndarray
    index: np.ndarray
    train: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        return np.array([self.sets[w].labels[i] for w, i in zip(self.which, self.index)])


@dataclass
class Record:
    """What the emulator did: per tick (first samples), per sample, and states before the first sample."""

    ticks: int
    train: np.ndarray
    labels: np.ndarray
    tick: dict[str, list[np.ndarray]] = field(default_factory=dict)
    sample: dict[str, Any] = field(default_factory=dict)
    first: dict[str, np.ndarray] = field(default_factory=dict)


def canonical(name: str) -> tuple[str, str]:
    """(quantity, '' or 'train' or 'test' for a part of the samples) of an array's name."""
    if name in SPIKE_LISTS:
        return SPIKE_LISTS[0], ""
    if name in PER_TICK_ONLY or name.startswith(("lfsr_", "c_")) or name in ("sram_access", "has_step"):
        return name, ""
    tokens = name.split("_")
    if name in PLACES:
        return PLACES[name], ""
    part = ""
    if "is" not in tokens:
        part = next((t for t in tokens if t in ("train", "test")), "")
        tokens = [t for t in tokens if t not in ("train", "test")]
    extreme = next((t for t in tokens if t in EXTREMES), "")
    made = [w for w, words in (("change", CHANGES), ("changed", CHANGED), ("abs", SIZES)) if words & set(tokens)]
    drop = {*GRANULARITY, *EXTREMES, *CHANGES, *CHANGED, *SIZES}
    left = "_".join(t for t in tokens if t not in drop)
    if not left and {"phase", "phases"} & set(tokens):
        return "phases", part
    quantity = SYNONYMS.get(left, left)
    if extreme and quantity == "cycles":
        return f"cycles_{extreme}", part
    if made and quantity in LAST:
        return f"{quantity} {'abs' if 'abs' in made else made[0]}", part
    return quantity, part


def presentation(z: Mapping[str, np.ndarray], samples: int, ticks: int, data: Callable[[], Path]) -> Presentation:
    """The samples in their order: of the file's own events, or of the released data (epochs of training, test)."""
    if "sample_ptr" in z:
        ptr, events = z["sample_ptr"], []
        for a, b in pairwise(ptr):
            table = np.stack([z["ev_addr"][a:b], z["ev_time"][a:b]], 1).astype(np.int64)
            events.append(table[np.argsort(table[:, 1], kind="stable")])
        own = CueSet(tuple(events), np.resize(z["sample_label"].reshape(-1), len(events)).astype(np.int64), ticks,
                     ticks - 150)  # fmt: skip
        train = np.resize(z["sample_is_train"].reshape(-1), samples).astype(bool)
        return Presentation((own,), np.zeros(samples, int), np.arange(samples) % len(own), train)
    folder = data()
    sets = tuple(read_cues(folder / f"dataset_cueAcc_{kind}.dat") for kind in ("train", "test"))
    sizes = [len(s) for s in sets]
    if "sample_is_train" in z:
        train = np.resize(z["sample_is_train"].reshape(-1), samples).astype(bool)
    else:
        train = np.arange(samples) % sum(sizes) < sizes[0]
    seen = np.where(train, np.cumsum(train), np.cumsum(~train)) - 1
    return Presentation(sets, (~train).astype(int), seen % np.where(train, sizes[0], sizes[1]), train)


def _tail(quantity: str, engine: ReckonEngine) -> tuple[int, ...]:
    """Shape of one value."""
    r = engine.registers
    i, n, o = r.NUM_INP_NEUR + 1, r.NUM_REC_NEUR + 1, r.NUM_OUT_NEUR + 1
    known = {"winp": (i, n), "wrec": (n, n), "wout": (n, o), "sram_access": (8,), "spikes_packed": (-(-n // 8),),
             "out_after_step": (o,), "out_end": (o,), **dict.fromkeys(FIELDS, (n,))}  # fmt: skip
    quantity, _, made = quantity.partition(" ")
    if made in ("changed", "abs"):
        return ()
    if quantity.startswith("lfsr_"):
        return (engine.lfsr_outputs()[quantity[5:]].size,)
    return known.get(quantity, ())


def rows(quantity: str, want: np.ndarray, engine: ReckonEngine) -> int:
    """Number of values that an array of `quantity` holds."""
    return want.size // max(int(np.prod(_tail(quantity, engine))), 1)


def sample_count(z: Mapping[str, np.ndarray], engine: ReckonEngine, ticks: int, names: Iterable[str]) -> int:
    """Samples that a recording covers: as its per-sample arrays say, else its samples, phases or ticks."""
    for name in ("sample_inference", "sample_label", "sample_is_train"):
        if name in z:
            return z[name].size
    last = [name for name in names if canonical(name)[0].split()[0] in LAST]
    sizes = {name: rows(canonical(name)[0], z[name], engine) for name in names if name not in last}
    varies = ("lfsr_", *SPIKE_LISTS)  # a row more than there are samples, or as many as there were spikes
    whole = {k: v * (2 if canonical(k)[1] else 1) for k, v in sizes.items() if not k.startswith(varies)}
    small = [v for v in whole.values() if v < ticks]
    return max(small, default=max((v // ticks for v in whole.values()), default=0))


def _note(record: Record, engine: ReckonEngine, run: ReckonRun, s: int, keep: bool, lists: int) -> None:
    per_tick = {
        "has_step": run.has_step, "npass": run.passes, "sram_access": np.stack(list(run.access.values()), 1),
        "cycles": run.busy_cycles, "spikes": run.spikes,
        **{f"c_{name}": values for name, values in run.cycles.items()},
    }  # fmt: skip
    outputs = engine.registers.NUM_OUT_NEUR + 1
    for name, values in per_tick.items():
        total = values.sum() if name == "spikes" else values.sum(axis=0)
        record.sample.setdefault(name, []).append(np.asarray(total, np.int64))
    own = run.busy_cycles - run.cycles["send"]
    for name, values in (("cycles", run.busy_cycles), ("own", own)):
        record.sample.setdefault(f"{name}_min", []).append(values.min())
        record.sample.setdefault(f"{name}_max", []).append(values.max())
    if keep:
        bits = {"spikes_packed": np.packbits(run.spikes, axis=1), "out_after_step": run.out_step[:, :outputs],
                "out_end": run.out_end[:, :outputs], "own": own, "spike_count": run.spikes.sum(axis=1)}  # fmt: skip
        for name, values in {**per_tick, **bits}.items():
            record.tick.setdefault(name, []).append(values)
    fired = record.tick.setdefault(SPIKE_LISTS[0], []) if lists else []
    if sum(map(len, fired)) < lists:
        fired.append(np.nonzero(run.spikes)[1])
    answer = int(run.inferences[-1])
    record.sample.setdefault("inference", []).append(answer)
    record.sample.setdefault("correct", []).append(int(answer == record.labels[s]))
    for name, values in states(engine).items():
        record.sample.setdefault(name, []).append(values)


def states(engine: ReckonEngine) -> dict[str, np.ndarray]:
    """Weights, memory fields and random words now, cut to the network's size."""
    values = {name: engine.memory(name) for name in LAST}
    cut = {name: v[tuple(slice(0, k) for k in _tail(name, engine))] for name, v in values.items()}
    return {**cut, **{f"lfsr_{k}": np.atleast_1d(v) for k, v in engine.lfsr_outputs().items()}}


def run_samples(engine: ReckonEngine, shown: Presentation, keep: int, lists: int = 0) -> Record:
    """All samples, learning in training samples; per-tick arrays of the first `keep` samples are kept, and of the list
    of who fired its `lists` first entries.
    """
    sets = shown.sets
    record = Record(sets[0].ticks, shown.train, shown.labels, first=states(engine))
    for s, (which, index, train) in enumerate(zip(shown.which, shown.index, shown.train)):
        engine.configure(DO_EPROP=7 if train else 0)
        _note(record, engine, present(engine, sets[which], int(index), bool(train)), s, s < keep, lists)
    record.sample = {name: np.stack(values) for name, values in record.sample.items()}
    record.sample |= {"label": record.labels, "is_train": record.train, "index": shown.index}
    record.sample["epoch"] = np.arange(len(shown.index)) // max(sum(len(s) for s in sets), 1)
    return record


def candidates(record: Record, quantity: str, part: str, before: bool) -> Iterable[np.ndarray]:
    """Every form in which a quantity may be recorded: per sample, with the state before, per phase, in all, per tick.

    Some count the transfer of the answer among the busy cycles, which depends on the host, some do not.
    """
    chosen = record.train == (part == "train") if part else np.ones(len(record.train), bool)
    ends = np.flatnonzero(np.append(np.diff(record.train.astype(int)) != 0, True))
    phases = chosen[ends]
    for name in (quantity, quantity.replace("cycles", "own")) if quantity.startswith("cycles") else (quantity,):
        base, _, made = name.partition(" ")
        values = own_values(record, base)
        if values is None:
            continue
        starts = np.concatenate([[0], ends[:-1] + 1])
        whole = values if base not in record.first else np.concatenate([record.first[base][None], values])
        if made:
            for a, b in ((starts, ends + 1), (np.arange(len(values)), np.arange(1, len(values) + 1))):
                change = whole[b].astype(np.int64) - whole[a]
                flat = change.reshape(len(change), -1)
                kept = phases if len(b) == len(phases) and a is starts else chosen
                yield {"change": change, "changed": (flat != 0).sum(1), "abs": np.abs(flat).sum(1)}[made][kept]
            continue
        if before:
            yield whole[:-1][chosen]
            yield whole[starts[phases]]
            continue
        yield values[chosen]
        yield whole
        if base in LAST or base.startswith("lfsr_"):
            yield values[ends[phases]]
            yield whole[np.concatenate([[0], ends + 1])]
        else:
            reduce = {"min": np.minimum, "max": np.maximum}.get(base.rpartition("_")[2], np.add)
            yield reduce.reduceat(values, starts, axis=0)[phases]
            yield reduce.reduce(values[chosen], axis=0, keepdims=True)
    if quantity == SPIKE_LISTS[0] and quantity in record.tick:
        yield np.concatenate(record.tick[quantity])
        return
    for name in (quantity, *{"cycles": ("own",), "spikes": ("spike_count",)}.get(quantity, ())):
        if name in record.tick:
            yield np.concatenate(record.tick[name])
    if quantity in ("index", "epoch"):  # counted from 0 or from 1
        yield record.sample[quantity] + 1


def own_values(record: Record, name: str) -> np.ndarray | None:
    """Values per sample of a quantity; `own` are the busy cycles without the transfer of the answer."""
    if name == "own":
        return record.sample["cycles"] - record.sample["c_send"]
    return record.sample.get(name)


def statistics(record: Record) -> dict[str, np.ndarray]:
    """What may stand in a column of a table of phases, one number per phase."""
    ends = np.flatnonzero(np.append(np.diff(record.train.astype(int)) != 0, True))
    starts = np.concatenate([[0], ends[:-1] + 1])
    size = ends + 1 - starts
    found: dict[str, np.ndarray] = {"phase": np.arange(len(ends)), "is_train": record.train[starts].astype(int)}
    found |= {"is_test": 1 - found["is_train"], "samples": size, "epoch": np.arange(len(ends)) // 2}
    for name in [k for k, v in record.sample.items() if v.ndim == 1 and k not in ("label", "is_train")] + ["own"]:
        values = own_values(record, name)
        assert values is not None
        total = np.add.reduceat(values.astype(np.int64), starts)
        found |= {f"{name} summed": total, f"{name} on average": total / size}
        found |= {
            f"{name} least": np.minimum.reduceat(values, starts),
            f"{name} most": np.maximum.reduceat(values, starts),
        }
    for name in WEIGHTS:
        whole = np.concatenate([record.first[name][None], record.sample[name]]).astype(np.int64)
        change = (whole[ends + 1] - whole[starts]).reshape(len(ends), -1)
        after = whole[ends + 1].reshape(len(ends), -1)
        found |= {f"{name} changed": (change != 0).sum(1), f"{name} moved": np.abs(change).sum(1),
                  f"{name} net": change.sum(1), f"{name} mean": after.mean(1), f"{name} std": after.std(1)}  # fmt: skip
    return found


def table_difference(record: Record, name: str, want: np.ndarray) -> str:
    """What is wrong with a table of phases: every column must be a statistic of the phases, counted from 0 or 1."""
    known = statistics(record)
    rows = len(known["phase"])
    table = want if want.ndim == 2 and len(want) == rows else want.T
    if table.ndim != 2 or len(table) != rows:
        return f"{name}: shape {want.shape} is no table of {rows} phases"
    forms = [*known.values(), known["phase"] + 1, known["epoch"] + 1]
    for k, column in enumerate(table.T.astype(np.float64)):
        if not any(np.allclose(column, form, rtol=1e-9, atol=1e-12) for form in forms):
            return f"{name}: column {k} is nothing that is known of a phase"
    return ""


def ticks_of(record: Record, quantity: str) -> int:
    """Entries of a quantity that is kept tick by tick."""
    return sum(map(len, record.tick[quantity]))


def difference(record: Record, name: str, want: np.ndarray) -> str:
    """What is wrong with an array ('' if nothing): all forms of as many values are tried."""
    quantity, part = canonical(name)
    if want.dtype.kind not in "iub" and quantity not in TABLES and not np.all(want == np.rint(want)):
        return f"{name}: holds fractions; nothing recorded of a chip but its phases does"
    if quantity in TABLES:
        return table_difference(record, name, want)
    complaint = f"{name}: shape {want.shape} is no number of samples, phases or ticks"
    for got in candidates(record, quantity, part, "before" in name.split("_")):
        per_tick = quantity in record.tick and len(got) == ticks_of(record, quantity)
        if per_tick and got.size > want.size and want.size % got[:1].size == 0:
            got = got[: want.size // got[:1].size]
        if got.size != want.size:
            continue
        wrong = np.flatnonzero(got.reshape(-1).astype(np.int64) != want.reshape(-1).astype(np.int64))
        if not len(wrong):
            return ""
        at = np.unravel_index(wrong[0], want.shape)
        complaint = f"{name}: {len(wrong)} differ, first at {[int(i) for i in at]}"
    return complaint


__all__ = [
    "SPIKE_LISTS",
    "TABLES",
    "Presentation",
    "Record",
    "canonical",
    "difference",
    "presentation",
    "rows",
    "run_samples",
    "sample_count",
]
