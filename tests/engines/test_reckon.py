"""ReckOn's registers, memories and engine: what is refused, what is kept, what is counted."""

from __future__ import annotations

import numpy as np
import pytest

import chipsim as cs
from chipsim.engines.reckon.core import ReckonEngine, stimulus
from chipsim.engines.reckon.io import event_spikes, spike_events
from chipsim.engines.reckon.random import SEEDS, window
from chipsim.errors import NetworkError, RunError
from chipsim.mappings.experiments.cue import cue_registers, present, random_memories
from chipsim.mappings.experiments.cue_data import make_cues
from chipsim.native.reckon.neurons import LI, LIF, Memories, Registers, Synapses, leak_factor


def small(**changes: int) -> ReckonEngine:
    rng = np.random.default_rng(3)
    registers = Registers(
        NUM_INP_NEUR=7, NUM_REC_NEUR=11, NUM_OUT_NEUR=1, EN_STOCH_ROUND=1, FP_LOC_WINP=2, KAPPA=121, H_4=1
    ).with_(**changes)
    memories = Memories(
        thr=200,
        alpha_lsb=0xFEF,
        winp=rng.integers(-40, 60, (8, 12)),
        wrec=rng.integers(-20, 20, (12, 12)),
        wout=rng.integers(-50, 50, (12, 2)),
    )
    return ReckonEngine(registers, memories)


def drive(ticks: int, seed: int = 0, n: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).random((ticks, n)) < 0.3


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("KAPPA", 256, "0 .. 255"),
        ("H_0", 16, "-16 .. 15"),
        ("THR_H_1", -32769, "-32768 .. 32767"),
        ("DO_EPROP", -1, "0 .. 7"),
    ],
)
def test_a_register_out_of_range_names_itself_and_the_range(name: str, value: int, text: str) -> None:
    with pytest.raises(NetworkError, match=rf"{name} = {value} .*{text}"):
        Registers(**{name: value})


def test_unknown_register_and_fraction_are_refused() -> None:
    with pytest.raises(NetworkError, match="no register SPEED"):
        Registers.from_mapping({"SPI_SPEED": 1})
    with pytest.raises(NetworkError, match="no register SPEED"):
        Registers().with_(SPEED=1)
    with pytest.raises(NetworkError, match="KAPPA"):
        Registers(KAPPA=1.5)  # type: ignore[arg-type]


def test_spi_writes_carry_signs_and_long_registers() -> None:
    writes = dict(Registers(H_0=-1, THR_H_0=-2, ALPHA_CONF=(5 << 96) | 7, SEED_INP=9).spi_writes())
    assert writes[74] == 0x1F and writes[70] == 0xFFFE and writes[85] == 9
    assert [writes[a] for a in (65, 66, 67, 68)] == [7, 0, 0, 5]
    assert 86 not in writes, "a seed that is not set keeps the value after reset"
    assert Registers.from_mapping({"SPI_KAPPA": 121}).KAPPA == 121


def test_memories_are_checked_and_padded() -> None:
    mem = Memories(winp=np.ones((3, 4), int), thr=5)
    assert mem.winp.shape == (256, 256) and mem.winp.sum() == 12 and mem.winp.dtype == np.int8
    assert (mem.thr == 5).all()
    for field, value, text in (
        ("winp", np.full((2, 2), 128), "-128 .. 127"),
        ("wout", np.zeros((256, 17), int), "exceeds"),
        ("tinp", np.zeros(4), "integers"),
        ("tout", np.array([1024]), "0 .. 1023"),
    ):
        with pytest.raises(NetworkError, match=f"memory {field}.*{text}"):
            Memories(**{field: value})


def test_leak_factor_joins_register_and_memory() -> None:
    alpha = leak_factor(Registers(ALPHA_CONF=0b10), Memories(alpha_lsb=np.array([0xFEF, 0, 3])))
    assert alpha[:3].tolist() == [0x7FEF, 0x8000, 0x7003]


def test_seeds_after_reset_put_out_the_documented_register_bits() -> None:
    assert window("SEED_INP", 1) & 1 == 1  # bit 0 of the register is the next bit of the stream
    for name, (_, count, bits, resets) in SEEDS.items():
        assert len(resets) == count and all(0 < r < 1 << bits for r in resets), name
        assert window(name, 0) == 0, "an all-zero register stays zero"


@pytest.mark.parametrize("learn", [0, 7])
def test_two_runs_equal_one(learn: int) -> None:
    inputs = drive(200)
    last = np.zeros(200, bool)
    pins = {"target_valid": True, "infer_acc": True, "answer": 1}
    engine = small(DO_EPROP=learn, LR_P_WINP=20, LR_P_WREC=20, LR_P_WOUT=14, LEARN_SIG_SCALE=5)
    whole = engine.run(stimulus(inputs, last=last, **pins), snapshots=True)
    final = engine.state()
    engine.reset()
    parts = [
        engine.run(stimulus(inputs[a:b], last=last[a:b], **pins), snapshots=True) for a, b in ((0, 100), (100, 200))
    ]
    assert whole.spikes.any()
    for name in ("spikes", "out_end", "passes", "busy_cycles"):
        assert np.array_equal(np.concatenate([getattr(p, name) for p in parts]), getattr(whole, name)), name
    for name, array in engine.state().items():
        if name.startswith("state."):
            assert np.array_equal(array, final[name]), name
    if learn:
        assert any((a != b).any() for a, b in zip(engine.weights, small().weights))


def test_checkpoint_continues_bit_for_bit() -> None:
    engine = small(DO_EPROP=7, LR_P_WINP=20, LR_P_WREC=20)
    pins = {"target_valid": True, "answer": 0}
    engine.run(stimulus(drive(30), last=np.zeros(30), **pins))
    saved = engine.state()
    ahead = stimulus(drive(30, seed=1), **pins)
    first = engine.run(ahead)
    after = engine.weights
    other = small(DO_EPROP=7, LR_P_WINP=20, LR_P_WREC=20)
    other.restore(saved)
    second = other.run(ahead)
    assert np.array_equal(first.spikes, second.spikes) and np.array_equal(first.out_end, second.out_end)
    assert all(np.array_equal(a, b) for a, b in zip(after, other.weights))
    with pytest.raises(RunError, match=r"lacks 'state\.u'"):
        other.restore({k: v for k, v in saved.items() if k != "state.u"})


def test_learning_without_a_label_is_refused_before_anything_happens() -> None:
    engine = small()
    stim = stimulus(drive(10), target_valid=np.arange(10) >= 4)
    with pytest.raises(RunError, match=r"tick 4.*DO_EPROP = 7.*label.*answer="):
        engine.run(stim)
    engine.reset()
    run = engine.run(stimulus(drive(10), target_valid=np.arange(10) >= 4, answer=1))
    assert (run.cycles["tar"] > 0).sum() == 1, "SINGLE_LABEL: asked once"
    engine.configure(REGRESSION=1)
    with pytest.raises(RunError, match=r"regression targets.*target="):
        engine.run(stim)


def test_a_label_sent_before_the_sample_is_asked_for_again() -> None:
    engine = small()
    label = np.where(np.arange(10) == 0, 1, -1)
    with pytest.raises(RunError, match="tick 3"):
        engine.run(stimulus(drive(10), target_valid=np.arange(10) >= 3, label=label))
    engine.reset()
    run = engine.run(stimulus(drive(10), target_valid=np.arange(10) >= 3, label=np.roll(label, 1)))
    assert not run.cycles["tar"].any()


def test_events_are_counted_not_lost_silently() -> None:
    engine = small(DO_EPROP=0)
    run = engine.run(stimulus([[0, 0, 3], [12, 200], [1], [2]]))
    assert run.effects["events_repeated"] == 1
    assert run.effects["events_ignored"] == 2, "addresses beyond the larger layer"
    assert run.effects["events_lost"] == 1, "latched by the last tick of the sample"
    for bad in (256, -1):
        with pytest.raises(RunError, match=r"0 \.\. 255"):
            stimulus([[bad]])


def test_bad_stimuli_are_refused() -> None:
    inputs = drive(5)
    for change, text in (
        ({"label": np.full(5, 16)}, "label 16"),
        ({"answer": -2}, "answer -2"),
        ({"last": np.zeros(4)}, "last"),
        ({"target": np.zeros((5, 17))}, "targets"),
        ({"target": np.full((5, 1), 40000)}, "16 bits"),
    ):
        with pytest.raises(RunError, match=text):
            stimulus(inputs, **change)
    with pytest.raises(RunError, match="pointers"):
        stimulus((np.array([0, 3]), np.array([1])))


def test_a_chip_that_cannot_start_says_why() -> None:
    for change in ({"LOCAL_TICK": 1}, {"EN_CONF": 1}):
        with pytest.raises(RunError, match=next(iter(change))):
            small(**change).run(stimulus(drive(2)))
    with pytest.raises(RunError, match=r"1 \.\. 256"):
        small().run(stimulus(drive(2)), neurons=257)
    with pytest.raises(RunError, match="no memory"):
        small().memory("w")


def test_spikes_to_events_and_back() -> None:
    spikes = drive(40, n=30)
    ptr, addr = spike_events(spikes)
    assert np.array_equal(event_spikes(ptr, addr, 30), spikes)
    a, b = small(DO_EPROP=0), small(DO_EPROP=0)
    dense, sparse = a.run(stimulus(spikes)), b.run(stimulus((ptr, addr)))
    assert np.array_equal(dense.spikes, sparse.spikes) and dense.effects["events_ignored"] > 0


def test_cycles_of_a_quiet_and_of_the_busiest_tick() -> None:
    engine = ReckonEngine(Registers(DO_EPROP=7, REGUL_MODE=2), Memories(thr=-32768, winp=1, wrec=1))
    pins = {"target_valid": True, "answer": 0, "last": np.zeros(3)}
    run = engine.run(stimulus(np.ones((3, 256), bool), **pins))
    assert run.busy_cycles[2] - run.cycles["tar"][2] == 74_753, "worst case of the specification"
    quiet = ReckonEngine(Registers(DO_EPROP=0)).run(stimulus(np.zeros((3, 256), bool), last=np.zeros(3)))
    assert quiet.busy_cycles.tolist() == [256, 256 + 1 + 256, 256 + 1 + 256]


def test_native_models_and_synapses() -> None:
    assert cs.reckon.LIF is LIF
    assert LIF(4, thr=[5, 5, 7, 7]).per_neuron("thr").tolist() == [5, 5, 7, 7]
    with pytest.raises(NetworkError, match="2 and 3 share one thr"):
        LIF(4, thr=[5, 5, 7, 8])
    with pytest.raises(NetworkError, match="alpha"):
        LIF(4, alpha=0x6FFF)
    assert LI(2, kappa=121).values["kappa"] == 121
    assert Synapses(np.eye(3), 2).shape == (3, 3)
    cases = [([[200]], 0, "-128"), (np.eye(2) / 2, 0, "fractions"), (np.eye(2), 8, "exponent")]
    for weights, exponent, text in cases:
        with pytest.raises(NetworkError, match=text):
            Synapses(np.asarray(weights), exponent)
    with pytest.raises(NetworkError, match="delay 3"):
        Synapses(np.eye(2), delays=3)


def test_the_cue_network_learns_only_when_asked() -> None:
    cues = make_cues(2, seed=5)
    engine = ReckonEngine(cue_registers(), random_memories())
    before = engine.weights
    engine.configure(DO_EPROP=0)
    present(engine, cues, 0, learn=False)
    assert all(np.array_equal(a, b) for a, b in zip(before, engine.weights))
    engine.configure(DO_EPROP=7)
    run = present(engine, cues, 1, learn=True)
    moved = sum(int(np.abs(a.astype(int) - b).sum()) for a, b in zip(before, engine.weights))
    assert 0 < moved <= sum(run.effects[f"updates_{k}"] for k in ("input", "recurrent", "output"))
