"""The kernels against the plain Python chip, on random configurations of every kind."""

from __future__ import annotations

import numpy as np
import pytest

from chipsim.engines.reckon.core import ReckonEngine, stimulus
from chipsim.engines.reckon.random import LFSR_OUTPUTS
from chipsim.kernels.arithmetic import lfsr
from chipsim.native.reckon.neurons import Memories, Registers, leak_factor
from chipsim.native.reckon.registers import register_range
from tests.oracles.naive_reckon import Chip
from tests.oracles.naive_reckon_learn import Register

SIZES = [
    (7, 7, 1),
    (0, 0, 0),
    (5, 8, 3),
    (8, 5, 2),
    (16, 3, 0),
    (3, 18, 15),
    (1, 0, 15),
    (17, 16, 4),
    (20, 21, 5),
]
FREE = [
    "RST_MODE",
    "FP_LOC_WINP",
    "FP_LOC_WREC",
    "FP_LOC_WOUT",
    "FP_LOC_TINP",
    "FP_LOC_TREC",
    "FP_LOC_TOUT",
    "LEARN_SIG_SCALE",
    "REGUL_W",
    "REGUL_MODE",
    "DO_EPROP",
    "EN_STOCH_ROUND",
    "REGRESSION",
    "SINGLE_LABEL",
    "NO_OUT_ACT",
    "SEND_PER_TIMESTEP",
    "SEND_LABEL_ONLY",
    "NOISE_EN",
    "FORCE_TRACES",
    "THR_H_0",
    "THR_H_1",
    "THR_H_2",
    "THR_H_3",
    "H_0",
    "H_1",
    "H_2",
    "H_3",
    "H_4",
    "LR_R_WINP",
    "LR_R_WREC",
    "LR_R_WOUT",
    "LR_P_WINP",
    "LR_P_WREC",
    "LR_P_WOUT",
    "SEED_INP",
    "SEED_REC",
    "SEED_OUT",
    "SEED_STRND_NEUR",
    "SEED_STRND_ONEUR",
    "SEED_STRND_TINP",
    "SEED_STRND_TREC",
    "SEED_STRND_TOUT",
    "SEED_NOISE_NEUR",
    "REGUL_K_INP_R",
    "REGUL_K_INP_P",
    "REGUL_K_REC_R",
    "REGUL_K_REC_P",
    "REGUL_K_MUL",
    "NOISE_STR",
    "ALPHA_CONF",
]
TICKS = 14


def random_registers(rng: np.random.Generator, size: tuple[int, int, int]) -> Registers:
    values = {}
    for name in FREE:
        low, high = register_range(name)
        if name == "ALPHA_CONF":
            values[name] = int.from_bytes(rng.bytes(16), "little")
        else:
            values[name] = int(rng.integers(low, high + 1))
    for name in ("THR_H_0", "THR_H_1", "THR_H_2", "THR_H_3"):
        values[name] = int(rng.integers(-1500, 1500))
    values["KAPPA"] = int(rng.choice([0, 60, 121, 128, 200, 255]))
    values["REGUL_F0"] = int(rng.integers(0, 64))
    values.update(zip(("NUM_INP_NEUR", "NUM_REC_NEUR", "NUM_OUT_NEUR"), size))
    return Registers(**values)


def random_memories(rng: np.random.Generator) -> Memories:
    alpha = rng.integers(0, 4096, 128)
    alpha[rng.random(128) < 0.3] = 0
    return Memories(
        thr=rng.integers(-50, 900, 128),
        alpha_lsb=alpha,
        winp=rng.integers(-128, 128, (256, 256)),
        wrec=rng.integers(-128, 128, (256, 256)),
        wout=rng.integers(-128, 128, (256, 16)),
        u=rng.integers(-32768, 32768, 256),
        tinp=rng.integers(0, 4096, 256),
        trec=rng.integers(0, 4096, 256),
        tout=rng.integers(0, 1024, 256),
    )


def naive_chip(engine: ReckonEngine, reg: Registers, mem: Memories) -> Chip:
    lfsr_names = {
        name + (str(n) if count == 2 else ""): row + n
        for name, (row, count, _) in LFSR_OUTPUTS.items()
        for n in range(count)
    }
    registers = {name: Register(name, int(lfsr.window(engine._streams, k))) for name, k in lfsr_names.items()}
    neurons = np.stack([mem.u, mem.tinp, mem.trec, mem.tout], 1).astype(int).tolist()
    values = {name: getattr(reg, name) for name in Registers.__dataclass_fields__}
    return Chip(
        values,
        mem.thr.tolist(),
        leak_factor(reg, mem).tolist(),
        mem.winp.tolist(),
        mem.wrec.tolist(),
        mem.wout.tolist(),
        neurons,
        registers,
    )


@pytest.mark.parametrize("case", range(36))
def test_kernels_equal_the_plain_python_chip(case: int) -> None:
    rng = np.random.default_rng(1000 + case)
    size = SIZES[case % len(SIZES)]
    reg, mem = random_registers(rng, size), random_memories(rng)
    engine = ReckonEngine(reg, mem)
    chip = naive_chip(engine, reg, mem)
    top = max(size[0], size[1])
    events = [rng.integers(0, min(256, top + 2), rng.integers(0, 6)) for _ in range(TICKS)]
    last = np.isin(np.arange(TICKS), [5, 6, TICKS - 1])  # tick 6 finds the chip idle and SAMPLE low
    tv, acc = rng.random(TICKS) < 0.6, rng.random(TICKS) < 0.6
    answer = rng.integers(0, 16, TICKS)
    target = rng.integers(-32768, 32768, (TICKS, 16))
    stim = stimulus(events, last=last, target_valid=tv, infer_acc=acc, answer=answer, target=target)
    run = engine.run(stim, neurons=256, snapshots=True)
    for k in range(TICKS):
        want = chip.tick(events[k].tolist(), last[k], tv[k], acc[k], int(answer[k]), target[k].tolist())
        assert [int(c[k]) for c in run.cycles.values()] == want["cycles"], k
        assert [int(a[k]) for a in run.access.values()] == want["access"], k
        assert run.passes[k] == want["passes"], k
        assert run.sent[k][run.sent[k] >= 0].tolist() == want["sent"], k
        assert run.spikes[k].astype(int).tolist() == want.get("spikes", [0] * 256), k
        if k == 6:
            continue  # nothing happens, nothing is logged
        assert run.out_end[k].tolist() == chip.o, k
        fields = [run.snapshots[f"{f}_end"][k] for f in ("u", "tinp", "trec", "tout")]
        assert np.stack(fields, 1).tolist() == chip.neurons, k
        assert run.snapshots["dirty_end"][k].tolist() == chip.dirty, k
        if want["cycles"][3] and reg.DO_EPROP != 4:
            assert run.learning_signals[k].tolist() == chip.lsig, k
    for name in ("winp", "wrec", "wout"):
        assert engine.memory(name).tolist() == getattr(chip, name), name
    for name, words in engine.lfsr_outputs().items():
        count = LFSR_OUTPUTS[name][1]
        if count == 2:
            assert words.tolist() == [chip.lfsr[f"{name}{n}"].word(0, chip.lfsr[f"{name}{n}"].width) for n in (0, 1)]
        else:
            width = chip.lfsr[name].width
            assert words.tolist() == [chip.lfsr[name].word(w, min(32, width)) for w in range(words.size)]
