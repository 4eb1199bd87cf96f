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
PLACES = {"sample_index": "index", "sample_id": "index", "sample_epoch": "epoch", "epoch": "epoch"}
PER_TICK_ONLY = ("spikes_packed", "out_after_step", "out_end")
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
    if name in PER_TICK_ONLY or name.startswith(("lfsr_", "c_")) or name in ("sram_access", "has_step"):
        return name, ""
    tokens = name.split("_")
    if name in PLACES:
        return PLACES[name], ""
    part = ""
    if "is" not in tokens:
        part = next((t for t in tokens if t in ("train", "test")), "")
        tokens = [t for t in tokens if t not in ("train", "test")]
    left = "_".join(t for t in tokens if t not in GRANULARITY)
    return SYNONYMS.get(left, left), part


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
    sizes = {name: rows(canonical(name)[0], z[name], engine) for name in names if canonical(name)[0] not in LAST}
    whole = {k: v * (2 if canonical(k)[1] else 1) for k, v in sizes.items() if not k.startswith("lfsr_")}
    small = [v for v in whole.values() if v < ticks]
    return max(small, default=max((v // ticks for v in whole.values()), default=0))


def _note(record: Record, engine: ReckonEngine, run: ReckonRun, s: int, keep: bool) -> None:
    per_tick = {
        "has_step": run.has_step, "npass": run.passes, "sram_access": np.stack(list(run.access.values()), 1),
        "cycles": run.busy_cycles, "spikes": run.spikes,
        **{f"c_{name}": values for name, values in run.cycles.items()},
    }  # fmt: skip
    outputs = engine.registers.NUM_OUT_NEUR + 1
    for name, values in per_tick.items():
        total = values.sum() if name == "spikes" else values.sum(axis=0)
        record.sample.setdefault(name, []).append(np.asarray(total, np.int64))
    if keep:
        bits = {"spikes_packed": np.packbits(run.spikes, axis=1), "out_after_step": run.out_step[:, :outputs],
                "out_end": run.out_end[:, :outputs]}  # fmt: skip
        for name, values in {**per_tick, **bits}.items():
            record.tick.setdefault(name, []).append(values)
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


def run_samples(engine: ReckonEngine, shown: Presentation, keep: int) -> Record:
    """All samples, learning in training samples; per-tick arrays of the first `keep` samples are kept."""
    sets = shown.sets
    record = Record(sets[0].ticks, shown.train, shown.labels, first=states(engine))
    for s, (which, index, train) in enumerate(zip(shown.which, shown.index, shown.train)):
        engine.configure(DO_EPROP=7 if train else 0)
        _note(record, engine, present(engine, sets[which], int(index), bool(train)), s, s < keep)
    record.sample = {name: np.stack(values) for name, values in record.sample.items()}
    record.sample |= {"label": record.labels, "is_train": record.train, "index": shown.index}
    record.sample["epoch"] = np.arange(len(shown.index)) // max(sum(len(s) for s in sets), 1)
    return record


def candidates(record: Record, quantity: str, part: str, before: bool) -> Iterable[np.ndarray]:
    """Every form in which a quantity may be recorded: per sample, with the state before, per phase, per tick."""
    if quantity in record.sample:
        values = record.sample[quantity]
        chosen = np.ones(len(values), bool) if not part else record.train == (part == "train")
        ends = np.flatnonzero(np.append(np.diff(record.train.astype(int)) != 0, True))
        with_first = values
        if quantity in record.first:
            with_first = np.concatenate([record.first[quantity][None], values])
        if before:
            starts = np.concatenate([[0], ends[:-1] + 1])
            yield with_first[:-1][chosen]
            yield with_first[starts[chosen[ends]]]
        else:
            yield values[chosen]
            yield with_first
            if quantity in LAST or quantity.startswith("lfsr_"):
                yield values[ends[chosen[ends]]]
                yield with_first[np.concatenate([[0], ends + 1])]
            else:
                sums = np.diff(np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, 0)[ends]]), axis=0)
                yield sums[chosen[ends]]
    if quantity in record.tick:
        yield np.concatenate(record.tick[quantity])
    if quantity in ("index", "epoch"):  # counted from 0 or from 1
        yield record.sample[quantity] + 1
    if quantity == "cycles":  # some count the transfer of the answer, which depends on the host, some do not
        chosen = record.train == (part == "train") if part else np.ones(len(record.train), bool)
        yield (record.sample["cycles"] - record.sample["c_send"])[chosen]


def difference(record: Record, name: str, want: np.ndarray) -> str:
    """What is wrong with an array ('' if nothing): all forms of as many values are tried."""
    quantity, part = canonical(name)
    complaint = f"{name}: shape {want.shape} is no number of samples, phases or ticks"
    for got in candidates(record, quantity, part, "before" in name.split("_")):
        if quantity in record.tick and got.size > want.size and want.size % got[:1].size == 0 \
                and len(got) == sum(map(len, record.tick[quantity])):  # fmt: skip
            got = got[: want.size // got[:1].size]
        if got.size != want.size:
            continue
        wrong = np.flatnonzero(got.reshape(-1).astype(np.int64) != want.reshape(-1).astype(np.int64))
        if not len(wrong):
            return ""
        at = np.unravel_index(wrong[0], want.shape)
        complaint = f"{name}: {len(wrong)} differ, first at {[int(i) for i in at]}"
    return complaint


__all__ = ["Presentation", "Record", "canonical", "difference", "presentation", "rows", "run_samples", "sample_count"]
