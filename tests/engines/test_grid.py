"""The TrueNorth-class grid: ticks against plain NumPy, two ways through the network, timing, state, refusals."""

from __future__ import annotations

import numpy as np
import pytest

import chipsim as cs
from chipsim.engines.grid.core import GridEngine


def random_program(rng, columns=3, rows=2, neurons=20, axons=24, output=(2, 1), rate=0.3, **changes):
    cores = columns * rows
    size = (cores, neurons)
    k = np.arange(cores)[:, None]
    fields = dict(
        columns=columns, rows=rows, output=output, crossbar=rng.random((*size, axons)) < rate,
        axon_type=rng.integers(0, 4, (cores, axons)), weight=rng.integers(-256, 256, (*size, 4)),
        v=rng.integers(-256, 256, size), reset=rng.integers(-256, 256, size), leak=rng.integers(-20, 20, size),
        thr=rng.integers(0, 256, size), negthr=rng.integers(-256, 0, size), mode=rng.integers(0, 2, size),
        dx=rng.integers(0, columns, size) - k % columns, dy=rng.integers(0, rows, size) - k // columns,
        axon=rng.integers(0, axons, size), delay=rng.integers(0, 15, size),
    )  # fmt: skip
    return cs.truenorth.GridProgram(**{**fields, **changes})


def random_packets(rng, program, ticks, per_tick=6):
    tick = np.repeat(np.arange(ticks), per_tick)
    n = tick.size
    return cs.truenorth.packets(
        tick, rng.integers(0, program.columns, n), rng.integers(0, program.rows, n), rng.integers(0, program.axons, n),
        rng.integers(0, 15, n),
    )  # fmt: skip


def naive(program, packets, ticks):
    """Spikes (tick, core, neuron) and final potentials, neuron by neuron."""
    wrap = lambda x: (int(x) + 256) % 512 - 256  # noqa: E731
    v = program.v.astype(int).copy()
    due: dict[int, set[tuple[int, int]]] = {}
    for slot, x, y, axon, delay in packets:
        due.setdefault(slot + 1 + delay, set()).add((x + y * program.columns, axon))
    spikes = []
    for tick in range(1, ticks + 1):
        active = due.pop(tick, set())
        for core in np.flatnonzero(program.is_core):
            on = [a for c, a in active if c == core]
            for i in range(program.neurons):
                x = v[core, i]
                for a in on:
                    if program.crossbar[core, i, a]:
                        x = wrap(x + program.weight[core, i, program.axon_type[core, a]])
                x = wrap(x + program.leak[core, i])
                if x >= program.thr[core, i]:
                    spikes.append((tick, core, i))
                    x = program.reset[core, i] if program.mode[core, i] == 0 else wrap(x - program.thr[core, i])
                    target = core + program.dx[core, i] + program.dy[core, i] * program.columns
                    due.setdefault(tick + 1 + program.delay[core, i], set()).add((target, program.axon[core, i]))
                elif x < program.negthr[core, i]:
                    x = (
                        wrap(-program.reset[core, i])
                        if program.mode[core, i] == 0
                        else wrap(x - program.negthr[core, i])
                    )
                v[core, i] = x
    return spikes, v


@pytest.mark.parametrize("axons", [24, 64, 70, 200])
def test_ticks_equal_plain_numpy(axons):
    rng = np.random.default_rng(axons)
    program = random_program(rng, axons=axons)
    packets = random_packets(rng, program, 12)
    engine = GridEngine(program)
    run = engine.run(packets, 12)
    spikes, v = naive(program, packets, 12)
    assert sorted(map(tuple, run.spikes[:, :3].tolist())) == sorted(spikes) and len(spikes) > 50
    assert np.array_equal(engine.potentials[program.is_core], v[program.is_core])
    assert run.activity["deliveries"] == len(run.deliveries) and run.lost == 0


def test_bursts_equal_the_clocked_network():
    """Following slots and clocking every router give the same cycles, also where packets queue."""
    waited = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        program = random_program(rng, columns=4, rows=4, neurons=8, axons=60, output=None, thr=-100)
        target = np.array(rng.integers(0, 16, 3))  # many senders, few receivers: contention
        to = target[rng.integers(0, 3, (16, 8))]
        k = np.arange(16)[:, None]
        program = random_program(
            np.random.default_rng(seed), columns=4, rows=4, neurons=8, axons=60, output=None, dx=to % 4 - k % 4,
            dy=to // 4 - k // 4, thr=rng.integers(-200, 100, (16, 8)),
        )  # fmt: skip
        packets = random_packets(rng, program, 6)
        fast, slow = GridEngine(program), GridEngine(program, clocked=True)
        a, b = fast.run(packets, 6), slow.run(packets, 6)
        for name in ("spikes", "deliveries", "idle"):
            assert np.array_equal(getattr(a, name), getattr(b, name)), (seed, name)
        assert np.array_equal(fast.potentials, slow.potentials)
        waited += contention(program, a)
    assert waited > 20


def contention(program, run):
    """Deliveries of spikes that are not 7 + 2 hops cycles after some spike of a neuron with that destination."""
    hops = np.abs(program.dx) + np.abs(program.dy)
    due = {(t, c + program.dx[c, i] + program.dy[c, i] * program.columns, cycle + 7 + 2 * hops[c, i])
           for t, c, i, cycle in run.spikes.tolist()}  # fmt: skip
    return sum((t, core, cycle) not in due for t, core, cycle, *_ in run.deliveries.tolist())


def one_spike(columns, rows, source, target):
    """A program in which neuron 2 of core `source` fires in tick 1 and sends to `target`."""
    cores = columns * rows
    zeros = np.zeros((cores, 4), int)
    v, dx, dy = zeros.copy(), zeros.copy(), zeros.copy()
    v[source, 2] = 100
    dx[source, 2] = target % columns - source % columns
    dy[source, 2] = target // columns - source // columns
    return cs.truenorth.GridProgram(
        columns=columns, rows=rows, crossbar=np.zeros((cores, 4, 16), int), axon_type=np.zeros((cores, 16), int),
        weight=np.zeros((cores, 4, 4), int), thr=100, dx=dx, dy=dy, axon=5, delay=3, v=v,
    )  # fmt: skip


@pytest.mark.parametrize(("source", "target"), [(0, 0), (0, 11), (11, 0), (5, 6), (8, 3), (2, 10)])
def test_cycles_without_contention(source, target):
    """Neuron i is written on cycle (i + 1)(axons + 2); its packet takes 7 + 2 hops; idle at n (axons + 2) + 2."""
    run = GridEngine(one_spike(4, 3, source, target)).run(ticks=1)
    hops = abs(source % 4 - target % 4) + abs(source // 4 - target // 4)
    assert run.spikes.tolist() == [[1, source, 2, 3 * 18]]
    assert run.deliveries.tolist() == [[1, target, 3 * 18 + 7 + 2 * hops, 5, 3]]
    assert np.all(run.idle[:, 2] == 4 * 18 + 2) and len(run.idle) == 12


def test_full_local_buffers_make_the_neuron_wait():
    """With two axons a neuron fires every 4 cycles: merges fed beyond their rate fill buffers, cores wait."""
    columns, cores = 12, 12
    dx = (columns - 1) - np.arange(cores)[:, None] + np.zeros((cores, 40), int)
    program = cs.truenorth.GridProgram(
        columns=columns, rows=1, crossbar=np.zeros((cores, 40, 2), int), axon_type=np.zeros((cores, 2), int),
        weight=np.zeros((cores, 40, 4), int), thr=-1, reset=0, dx=dx, dy=0, axon=1, period=4000,
    )  # fmt: skip
    fast, slow = GridEngine(program), GridEngine(program, clocked=True)
    a, b = fast.run(ticks=2), slow.run(ticks=2)
    assert a.idle[:, 2].max() > 40 * 4 + 2 and len(a.spikes) == 2 * cores * 40
    for name in ("spikes", "deliveries", "idle"):
        assert np.array_equal(getattr(a, name), getattr(b, name))
    with pytest.raises(cs.RunError, match="still busy when the next tick came"):
        GridEngine(cs.truenorth.GridProgram(**{**vars(program), "period": 170})).run(ticks=2)


def test_two_runs_equal_one_and_a_checkpoint_continues():
    rng = np.random.default_rng(4)
    program = random_program(rng)
    packets = random_packets(rng, program, 10)
    whole, parts = GridEngine(program), GridEngine(program)
    one = whole.run(packets, 10)
    early = packets[:, 0] <= 4
    first = parts.run(packets[early], 4)
    state = parts.state()
    parts.run(packets[~early], 6)
    parts.restore(state)
    assert parts.tick == 4
    second = parts.run(packets[~early], 6)
    for name in ("spikes", "deliveries", "outputs", "idle"):
        assert np.array_equal(getattr(one, name), np.vstack([getattr(first, name), getattr(second, name)])), name
    assert np.array_equal(whole.potentials, parts.potentials)
    whole.reset()
    assert np.array_equal(whole.potentials, program.v) and whole.tick == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"thr": 256}, r"thr=256 is outside \[-256, 255\]"), ({"delay": 15}, r"delay=15 is outside \[0, 14\]"),
        ({"axon_type": np.full((6, 24), 4)}, r"axon_type=4 is outside \[0, 3\]"),
        ({"axon": 24}, "a core has axons 0 to 23"),
        ({"dx": 3}, r"sends to \(3, 0\); the grid is 3 x 2"), ({"period": 100}, "a core needs 523 cycles per tick"),
        ({"leak": np.zeros((2, 2))}, r"leak has shape \(2, 2\), not \(6, 20\)"),
    ],
)  # fmt: skip
def test_programs_out_of_range_are_refused(changes, message):
    with pytest.raises(cs.NetworkError, match=message):
        random_program(np.random.default_rng(0), **changes)


def test_inputs_out_of_range_are_refused():
    program = random_program(np.random.default_rng(0))
    for row, message in (([0, 3, 0, 0, 0], "x=3"), ([0, 0, 0, 24, 0], "axon=24"), ([9, 0, 0, 0, 0], "slot=9")):
        with pytest.raises(cs.RunError, match=message):
            GridEngine(program).run([row], 2)
    with pytest.raises(cs.RunError, match="still waiting when the next tick came"):
        GridEngine(program).run(cs.truenorth.packets(np.ones(400, int), 0, 0, 1), 3)
