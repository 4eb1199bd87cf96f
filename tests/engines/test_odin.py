"""ODIN and tinyODIN: the compiled core against plain Python, the documented cycle costs, state, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

import chipsim as cs
from chipsim.engines.crossbar.odin import OdinEngine, TinyOdinEngine
from tests.oracles.naive_odin import NaiveOdin

ev = cs.odin.events


def random_program(rng, **registers):
    values = {name: rng.integers(r.lo, r.hi + 1, 256) for name, r in cs.odin.LIF.registers.items()}
    values["thr"] = rng.integers(20, 120, 256)
    values["disable"] = (rng.random(256) < 0.1).astype(int)
    values["theta_mem"] = rng.integers(0, 60, 256)
    weight, mapped = rng.integers(0, 8, (256, 256)), rng.integers(0, 2, (256, 256))
    sign = (rng.random(256) < 0.3).astype(np.uint8)
    regs = cs.odin.Registers(open_loop=1, syn_sign=sign, **registers)
    program = cs.odin.OdinProgram(regs, cs.odin.pack(cs.odin.LIF(256, **values)), cs.odin.pack_synapses(weight, mapped))
    neurons = [{k: int(v[j]) for k, v in values.items()} for j in range(256)]
    options = {"upd": regs.upd_unmapped, "prop": regs.prop_unmapped, "sdsp": regs.sdsp_syn}
    return program, NaiveOdin(neurons, weight, mapped, sign, **options)


def random_stream(rng, n, naive):
    """Events for the chip, and the same done by the naive model."""
    words = []
    for kind in rng.integers(0, 6, n):
        a, b, w = (int(rng.integers(0, hi)) for hi in (256, 256, 7))
        if kind == 0:
            words.append(ev.spike(a))
            naive.spike(a)
        elif kind == 1:
            words.append(ev.synapse(a, b))
            naive.synapse(a, b)
        elif kind == 2:
            words.append(ev.virtual(a, w + 1, b & 1))
            naive.virtual(a, w + 1, b & 1)
        elif kind == 3:
            words.append(ev.time_reference(None if b < 64 else a))
            naive.reference(None if b < 64 else a)
        elif kind == 4:
            words.append(ev.queued_time_reference(a))
            naive.reference(a)
        else:
            words.append(ev.bistability(a))
            naive.bistability(a)
    return [int(w) for w in words]


@pytest.mark.parametrize("registers", [{}, {"upd_unmapped": 1}, {"prop_unmapped": 1, "sdsp_syn": 1}])
def test_core_equals_plain_python(registers):
    rng = np.random.default_rng(len(registers))
    program, naive = random_program(rng, **registers)
    engine = OdinEngine(program)
    assert [(bool(f & 1), bool(f & 2)) for f in engine.flags] == naive.flag
    stream = random_stream(rng, 200, naive)
    # served one by one, so that the order of service is the order of the stream
    packets = np.concatenate([engine.run([word], engine.edge + 1).out_address for word in stream])
    now = cs.odin.unpack_lif(engine.neurons)
    for name in ("v", "ca", "ca_count", "thr", "leak_str"):
        assert now[name].tolist() == [n[name] for n in naive.neurons], name
    assert packets.tolist() == naive.out
    assert engine.weights.tolist() == naive.weight
    assert [(bool(f & 1), bool(f & 2)) for f in engine.flags] == naive.flag
    assert np.array_equal(cs.odin.unpack_synapses(engine.synapses)[1], naive.mapped)


def quiet_program():
    return cs.odin.OdinProgram(cs.odin.Registers(open_loop=1), cs.odin.pack(cs.odin.LIF(256)),
                               cs.odin.pack_synapses(np.zeros((256, 256), int)))  # fmt: skip


@pytest.mark.parametrize(
    ("word", "cycles"),
    [
        (ev.synapse(1, 2), 8), (ev.time_reference(3), 8), (ev.time_reference(), 518), (ev.bistability(4), 70),
        (ev.bistability(), 16390),
    ],
)  # fmt: skip
def test_documented_cycle_costs(word, cycles):
    """Back-to-back costs of the specification: the difference that one more event makes."""
    once = OdinEngine(quiet_program()).run([int(word)]).cycles
    assert OdinEngine(quiet_program()).run([int(word)] * 2).cycles - once == cycles


def test_a_stream_of_spikes_costs_518_cycles_each():
    engine = OdinEngine(quiet_program())
    run = engine.run(ev.spike(np.arange(100)))
    assert run.cycles == pytest.approx(518 * 100, abs=10)
    assert run.activity["sops"] == 25600 and run.activity["events_popped"] == 100


def test_packets_stall_the_sweep_by_six_cycles_and_the_receivers_delays():
    program = cs.odin.OdinProgram(cs.odin.Registers(open_loop=1), cs.odin.pack(cs.odin.LIF(256, thr=1, v=1)),
                                  cs.odin.pack_synapses(np.zeros((256, 256), int)))  # fmt: skip
    silent = OdinEngine(quiet_program()).run([int(ev.spike(0))]).cycles
    for accept, clear in ((0, 0), (3, 5)):
        run = OdinEngine(program).run([int(ev.spike(0))], delays=(0, 0, accept, clear))
        assert len(run.out_edge) == 256 and run.out_address.tolist() == list(range(256))
        assert run.cycles - silent == 256 * (6 + accept + clear)


def closed_loop():
    rng = np.random.default_rng(5)
    neurons = cs.odin.LIF(256, thr=rng.integers(15, 40, 256), leak_str=3, ca_en=1, theta_mem=9, theta2=7, theta3=7)
    synapses = cs.odin.pack_synapses(rng.integers(0, 8, (256, 256)) * (rng.random((256, 256)) < 0.15))
    sign = (rng.random(256) < 0.5).astype(np.uint8)
    return cs.odin.OdinProgram(cs.odin.Registers(syn_sign=sign), cs.odin.pack(neurons), synapses)


def test_two_runs_equal_one_and_a_checkpoint_continues():
    rng = np.random.default_rng(6)
    words = np.concatenate([ev.spike(rng.integers(0, 256, 60)), ev.time_reference(rng.integers(0, 256, 60))])
    words = rng.permutation(words)
    times = np.sort(rng.integers(0, 60_000, words.size))
    whole, parts = OdinEngine(closed_loop()), OdinEngine(closed_loop())
    one = whole.run(words, times, delays=(1, 2, 3, 0))
    first = parts.run(words[:50], times[:50], delays=(1, 2, 3, 0), drain=False)
    state = parts.state()
    parts.run(words[50:], times[50:], delays=(1, 2, 3, 0))
    parts.restore(state)
    second = parts.run(words[50:], times[50:], delays=(1, 2, 3, 0))
    for name in ("request", "ack", "ack_low", "out_edge", "out_address"):
        assert np.array_equal(getattr(one, name), np.concatenate([getattr(first, name), getattr(second, name)])), name
    assert one.end == second.end and one.drops == first.drops + second.drops and len(one.out_edge) > 20
    assert np.array_equal(whole.neurons, parts.neurons) and np.array_equal(whole.synapses, parts.synapses)
    whole.reset()
    assert np.array_equal(whole.neurons, closed_loop().neurons) and whole.edge == -1


def test_a_network_that_never_rests_is_refused_or_cut():
    neurons = cs.odin.LIF(256, thr=1)
    synapses = cs.odin.pack_synapses(np.full((256, 256), 7))
    engine = OdinEngine(cs.odin.OdinProgram(cs.odin.Registers(), cs.odin.pack(neurons), synapses))
    run = engine.run([int(ev.spike(0))], limit=20_000)
    assert run.end == -1 and run.drops > 0 and run.fifo_peak == 32 and run.out_edge.max() < 20_000
    engine.reset()
    assert engine.run([int(ev.spike(0))], until=20_000).queued > 0
    engine.reset()
    quiet = cs.odin.OdinProgram(cs.odin.Registers(mon_en=1), cs.odin.pack(neurons), synapses)
    with pytest.raises(cs.RunError, match="did not come to rest"):
        OdinEngine(quiet).run([int(ev.spike(0))])


def test_programs_that_need_the_burst_scheduler_are_refused():
    words = cs.odin.pack(cs.odin.Izhikevich(3, spk_ref=2))
    synapses = cs.odin.pack_synapses(np.zeros((1, 1), int))
    with pytest.raises(cs.NetworkError, match="neuron 0 has spk_ref > 0 and BURST_TIMEREF"):
        cs.odin.OdinProgram(cs.odin.Registers(burst_timeref=5), words, synapses)
    cs.odin.OdinProgram(cs.odin.Registers(burst_timeref=5, open_loop=1), words, synapses)


def test_bad_events_and_delays_are_named():
    engine = OdinEngine(quiet_program())
    with pytest.raises(cs.NetworkError, match=r"address=131072 is outside \[0, 131071\]"):
        engine.run([1 << 17])
    with pytest.raises(cs.RunError, match="delays"):
        engine.run([int(ev.spike(1))], delays=(0, 0, 0, -1))
    with pytest.raises(cs.RunError, match="earliest"):
        engine.run([int(ev.spike(1))], [1, 2])


def test_power_law_gives_the_published_powers():
    """477 uW at 75 MHz and 37.5 MSOP/s; 35 uW at 1.3 MHz and 650 kSOP/s (TBioCAS 13(1):145-158)."""
    law = {"leak": 27.3e-6, "idle": 1.78e-12, "sop": 8.43e-12}
    fast = cs.odin.power_law_energy(75e6, 37.5e6, clock=75e6, **law)
    slow = cs.odin.power_law_energy(1.3e6, 650e3, clock=1.3e6, **law)
    assert fast["total"] == pytest.approx(477e-6, rel=1e-3) and slow["total"] == pytest.approx(35e-6, rel=5e-3)


def test_tinyodin_equals_plain_python():
    rng = np.random.default_rng(9)
    v = rng.integers(-2048, 2048, 256)
    thr, leak = rng.integers(0, 300, 256), rng.integers(0, 128, 256)
    weight = rng.integers(-8, 8, (256, 256))
    program = cs.tinyodin.TinyOdinProgram(
        cs.tinyodin.Registers(open_loop=1, max_neur=200),
        cs.tinyodin.pack(cs.tinyodin.LIF(256, v=v, thr=thr, leak_str=leak)),
        cs.tinyodin.pack_synapses(weight),
    )  # fmt: skip
    engine = TinyOdinEngine(program)
    expected, fired, words = v.astype(int).tolist(), [], []

    def settle(j, x):
        spike = x >= 0 and x >= thr[j]
        expected[j] = 0 if spike else x
        if spike:
            fired.append(j)

    def leaked(j):
        x = expected[j]
        settle(j, min(x + int(leak[j]), 0) if x < 0 else max(x - int(leak[j]), 0))

    for kind in rng.integers(0, 4, 80):
        a, w = int(rng.integers(0, 256)), int(rng.integers(1, 8))
        if kind == 0:
            words.append(cs.tinyodin.events.spike(a))
            for j in range(201):
                settle(j, min(max(expected[j] + int(weight[a, j]), -2048), 2047))
        elif kind == 1:
            words.append(cs.tinyodin.events.virtual(a & 15, -w))
            settle(a & 15, max(expected[a & 15] - w, -2048))
        elif kind == 2:
            words.append(cs.tinyodin.events.time_reference())
            for j in range(201):
                leaked(j)
        else:
            words.append(cs.tinyodin.events.time_reference(min(a, 254)))
            leaked(min(a, 254))
    packets = np.concatenate([engine.run([int(w)], engine.edge + 1).out_address for w in words])
    assert engine.potentials.tolist() == expected and packets.tolist() == fired
    assert cs.tinyodin.unpack_lif(engine.neurons)["v"].tolist() == expected


def test_tinyodin_sweeps_only_its_neurons():
    program = cs.tinyodin.TinyOdinProgram(
        cs.tinyodin.Registers(open_loop=1, max_neur=9), cs.tinyodin.pack(cs.tinyodin.LIF(10)),
        cs.tinyodin.pack_synapses(np.zeros((1, 1), int)),
    )  # fmt: skip
    run = TinyOdinEngine(program).run(cs.tinyodin.events.spike(np.zeros(50, int)))
    assert run.cycles == pytest.approx(50 * (2 * 10 + 7), abs=10)
