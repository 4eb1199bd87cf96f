"""The Catalyst N1's engine: cuts, checkpoints, threads, interconnects, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chipsim as cs
from chipsim.engines.catalyst import engine as module
from chipsim.engines.catalyst.engine import N1Engine
from chipsim.kernels.chips.n1 import run as kernel
from tests.support.catalyst_nets import BARRIER, LINK, MESH, WIDE, part, random_drive, random_operations

FIELDS = ("cycles", "total_spikes", "energy", "synops", "active", "lost", "work", "updates")


def run(build: cs.catalyst.Build, seed: int, cuts: list[int], steps: int = 24, **options):
    rng = np.random.default_rng(seed)
    engine = N1Engine(build, random_operations(rng, build), **options)
    drive = random_drive(rng, build, steps)
    runs = []
    for lo, hi in zip([0, *cuts], [*cuts, steps], strict=True):
        made = engine.run(hi - lo, **part(drive, lo, hi))
        runs.append((made, lo))
    fields = {name: np.concatenate([getattr(r, name) for r, _ in runs]) for name in FIELDS}
    shift = np.array([1, 0, 0, 0, 0])
    for name in ("spikes", "sent"):
        fields[name] = np.concatenate([getattr(r, name) + lo * shift for r, lo in runs])
    return engine, fields


def same(a, b) -> None:
    for name, value in a[1].items():
        assert np.array_equal(value, b[1][name]), name
    mine, theirs = a[0].state(), b[0].state()
    for name in mine:
        assert np.array_equal(mine[name], theirs[name]), name


@pytest.mark.parametrize("build", [BARRIER, MESH, LINK], ids=["barrier", "mesh", "link"])
@settings(max_examples=8)
@given(seed=st.integers(0, 10**6), cuts=st.sets(st.integers(1, 23), max_size=4))
def test_any_cut_of_a_run_gives_the_same_bits(build, seed, cuts) -> None:
    same(run(build, seed, []), run(build, seed, sorted(cuts)))


def test_random_runs_are_busy() -> None:
    _, fields = run(BARRIER, 3, [])
    assert len(fields["spikes"]) > 300 and fields["synops"].sum() > 500 and fields["work"][:, 0].sum() > 50


@pytest.mark.parametrize("build", [BARRIER, MESH], ids=["barrier", "mesh"])
def test_a_checkpoint_continues_bit_for_bit(build) -> None:
    rng = np.random.default_rng(5)
    operations, drive = random_operations(rng, build), random_drive(rng, build, 30)
    whole = N1Engine(build, operations)
    whole.run(12, **part(drive, 0, 12))
    saved = whole.state()
    other = N1Engine(build)
    other.restore(saved)
    a, b = (e.run(18, **part(drive, 12, 30)) for e in (whole, other))
    assert np.array_equal(a.spikes, b.spikes) and np.array_equal(a.cycles, b.cycles)
    for name in ("v", "w", "traces", "core_regs", "elig"):
        assert np.array_equal(whole.memory(name), other.memory(name)), name


@pytest.mark.parametrize("build", [WIDE, MESH], ids=["barrier", "mesh"])
def test_threads_do_not_change_bits(build, monkeypatch) -> None:
    monkeypatch.setattr(module, "THREADS_FROM", 0)
    same(run(build, 11, [5], steps=8), run(build, 11, [5], steps=8, threads=3))


def test_cores_that_are_not_held_cost_their_cycles() -> None:
    operations = np.array([cs.catalyst.parameter(0, 3, "thr", 100), (3, 0, 3, 0, 0, 4, 500)], np.int64)
    stimuli = [(t, 0, 3, 400) for t in range(5)]
    whole = N1Engine(BARRIER, operations).run(5, stimuli)
    part_of = N1Engine(BARRIER, operations, held=1).run(5, stimuli)
    assert np.array_equal(whole.spikes, part_of.spikes) and np.array_equal(whole.cycles, part_of.cycles)


def test_event_driven_steps_may_be_cut_and_logs_may_grow() -> None:
    rng = np.random.default_rng(2)
    operations = random_operations(rng, BARRIER, async_safe=True)
    drive = {"stimuli": np.array([(t, c, int(rng.integers(32)), 1400) for t in range(12) for c in range(4)])}
    a, b = N1Engine(BARRIER, operations), N1Engine(BARRIER, operations)
    whole = a.run(12, drive["stimuli"], flags=8)
    parts = [b.run(4, part(drive, lo, lo + 4)["stimuli"], flags=8) for lo in (0, 4, 8)]
    assert np.array_equal(whole.cycles, np.concatenate([p.cycles for p in parts]))
    assert np.array_equal(a.memory("v"), b.memory("v")) and len(whole.spikes)


def test_a_network_that_excites_itself_for_ever_is_refused() -> None:
    operations = np.array([cs.catalyst.parameter(0, 1, "refractory", 0), (3, 0, 1, 0, 0, 1, 2000)], np.int64)
    engine = N1Engine(BARRIER, operations)
    before = engine.state()
    with pytest.raises(cs.RunError, match="excites itself for ever"):
        engine.run(1, [(0, 0, 1, 2000)], flags=8, limit=20_000)
    assert all(np.array_equal(before[k], v) for k, v in engine.state().items())  # as before the run


def test_a_program_without_halt_is_an_error() -> None:
    rows = [(6, 0, k, 0, 0, 0, 0) for k in range(256)]  # nop
    rows += [(2, 0, 1, 0, 1, 0, 0), (1, 0, 0, 1, 2, 5, 0)]
    with pytest.raises(cs.RunError, match="core 0 meets no HALT"):
        N1Engine(BARRIER, rows).run(1, [(0, 0, 1, 3000)], flags=1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stimuli": [(0, 4, 0, 1)]}, "core 4 is outside 0..3"),
        ({"stimuli": [(0, 0, 32, 1)]}, "neuron 32 is outside 0..31"),
        ({"stimuli": [(2, 0, 0, 1)]}, "timestep 2 is outside 0..1"),
        ({"stimuli": [(0, 0, 0, 40000)]}, "current 40000 is outside"),
        ({"flags": 256}, "flags=256 is outside 0..255"),
        ({"reward": [1, 2, 3]}, "reward: give a whole number or 2"),
        ({"reward": 0.5}, "reward: give a whole number"),
        ({"link": [(0, 0, 0, 1)]}, "this build has none"),
    ],
)
def test_inputs_that_do_not_fit(given, message) -> None:
    with pytest.raises(cs.RunError, match=message):
        N1Engine(BARRIER).run(2, **given)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((8, 0, 0, 0, 0, 0, 0), "operation 8 does not exist"),
        ((1, 0, 512, 0, 0, 0, 0), "pool: pool address 512 is outside 0..511"),
        ((1, 0, 0, 0, 0, 32768, 0), "pool: weight 32768 is outside"),
        ((2, 0, 0, 0, 4096, 0, 0), "index: count 4096 is outside 0..4095"),
        ((2, 0, 0, 0, 1, 4, 0), "index: format 4 is outside 0..3"),
        ((3, 0, 0, 8, 0, 0, 0), "local route: slot 8 is outside 0..7"),
        ((4, 0, 0, 4, 0, 0, 0), "global route: slot 4 is outside 0..3"),
        ((5, 0, 0, 64, 0, 0, 0), "delay: delay 64 is outside 0..63"),
        ((6, 0, 256, 0, 0, 0, 0), "learning program: program address 256 is outside 0..255"),
        ((7, 0, 0, 32, 0, 0, 0), "parameter: parameter 32 is outside 0..31"),
        ((7, 9, 0, 1, 0, 0, 0), "parameter: core 9 is outside 0..3"),
    ],
)
def test_operations_that_do_not_fit(row, message) -> None:
    with pytest.raises(cs.NetworkError, match=message):
        N1Engine(BARRIER, [row])


def test_checkpoints_of_other_builds_are_refused() -> None:
    with pytest.raises(cs.RunError, match="differs"):
        N1Engine(BARRIER).restore(N1Engine(WIDE).state())
    with pytest.raises(cs.RunError, match="no memory 'volts'"):
        N1Engine(BARRIER).memory("volts")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cores": 0}, "cores=0 is not a whole number in 1..256"),
        ({"neurons": 300, "neuron_bits": 8}, "300 neurons need neuron_bits=9"),
        ({"fan_in": 12}, "not a power of two"),
        ({"interconnect": "ring"}, "neither 'barrier' nor 'xy'"),
        ({"interconnect": "xy", "cores": 4}, "fewer places than cores"),
        ({"interconnect": "xy", "cores": 1, "mesh_columns": 1, "mesh_rows": 1, "chip_link": True}, "no chip link"),
    ],
)
def test_builds_that_the_rtl_does_not_have(changes, message) -> None:
    with pytest.raises(cs.NetworkError, match=message):
        cs.catalyst.Build(**changes)


def test_hardware_powers_up_at_zero() -> None:
    """Without a write of vmin and vmax no neuron integrates, and unprogrammed neurons fire in every timestep."""
    engine = N1Engine(BARRIER, hardware=True)
    made = engine.run(3)
    assert len(made.spikes) == 3 * 4 * 32 and not engine.memory("v").any()


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("fifo", (0, 0, 0, 0), 32), ("reg", (0, 10), 65), ("pool", (0, 0, 0), 40), ("queued", (0, 1), 65),
        ("route", (0, 0, 0, 1), 4), ("param", (0, 22, 0), 32), ("index", (0, 1, 0), 4095), ("chip", (3,), 513),
        ("reverse", (0, 0, 0, 1), 1 << 20), ("program", (0, 0, 0), 16), ("neuron", (0, 7, 0), 256), ("size", (0,), 9),
    ],
)  # fmt: skip
def test_a_damaged_checkpoint_is_refused_whole(name, place, value) -> None:
    engine = N1Engine(BARRIER, random_operations(np.random.default_rng(1), BARRIER))
    before = engine.state()
    wrong = {k: v.copy() for k, v in before.items()}
    wrong[name][place] = value
    with pytest.raises(cs.RunError, match=name):
        engine.restore(wrong)
    assert all(np.array_equal(before[k], v) for k, v in engine.state().items())


def test_an_event_driven_step_longer_than_the_log_is_run_again_with_room() -> None:
    """A neuron that excites itself until homeostasis has raised its threshold: hundreds of spikes in one timestep."""
    values = {"thr": 500, "leak": 0, "refractory": 0, "epoch": 1 << 12 | 2, "rate_target": 1, "rate_eta": 1}
    operations = [cs.catalyst.parameter(0, 1, name, value) for name, value in values.items()]
    operations.append((3, 0, 1, 0, 0, 1, 1000))
    engine = N1Engine(BARRIER.with_(cores=1), operations)
    run_once = engine.run(2, [(0, 0, 1, 1000)], flags=8)
    assert len(run_once.spikes) == run_once.total_spikes[0] > 2 * 32  # more than the log had room for
    assert np.all(np.diff(run_once.spikes[:, 1]) > 0) and run_once.cycles[1] < 10
    assert engine.memory("core_regs")[0, 4] == len(run_once.spikes)


def test_all_runs_share_one_compiled_form() -> None:
    """A second one would cost every user half a minute."""
    engine = N1Engine(BARRIER, random_operations(np.random.default_rng(1), BARRIER))
    engine.run(1)
    engine.run(3, [(0, 0, 0, 1)], flags=[0, 1, 2], reward=[1, 2, 3], watch=[(0, 0, 0)])
    engine.restore(engine.state())
    engine.run(2, link=())
    assert len(kernel.run.signatures) == 1
