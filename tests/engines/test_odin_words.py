"""Registers, neuron and synapse words, and events of ODIN and tinyODIN: round trips and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chipsim as cs
from chipsim.kernels.chips import aer
from chipsim.kernels.chips import event_core as ec


def draw_registers(data, registers, n):
    return {name: np.array(data.draw(st.lists(st.integers(int(r.lo), int(r.hi)), min_size=n, max_size=n)))
            for name, r in registers.items()}  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.data(), st.integers(1, 5), st.integers(1, 5))
def test_odin_neurons_round_trip(data, n, m):
    lif = draw_registers(data, cs.odin.LIF.registers, n)
    izh = draw_registers(data, cs.odin.Izhikevich.registers, m)
    words = cs.odin.pack(cs.odin.LIF(n, **lif), cs.odin.Izhikevich(m, **izh))
    back = cs.odin.unpack_lif(words[:n])
    assert all(np.array_equal(back[k], v) for k, v in lif.items()) and np.all(back["lif_izh_sel"] == 1)
    back = cs.odin.unpack_izh(words[n : n + m])
    assert all(np.array_equal(back[k], v) for k, v in izh.items()) and np.all(back["lif_izh_sel"] == 0)
    assert np.all(cs.odin.unpack_lif(words[n + m :])["disable"] == 1)


@settings(max_examples=30, deadline=None)
@given(st.data(), st.integers(1, 8))
def test_tinyodin_neurons_round_trip(data, n):
    values = draw_registers(data, cs.tinyodin.LIF.registers, n)
    words = cs.tinyodin.pack(cs.tinyodin.LIF(n, **values))
    assert all(np.array_equal(cs.tinyodin.unpack_lif(words[:n])[k], v) for k, v in values.items())


def test_neuron_words_lie_at_the_documented_bits():
    word = int.from_bytes(
        cs.odin.pack(cs.odin.LIF(1, thr=0xA5, v=0x5A, ca_leak=0x11, disable=1))[0].tobytes(), "little"
    )
    assert word >> 9 & 255 == 0xA5 and word >> 70 & 255 == 0x5A and word >> 35 & 31 == 0x11 and word >> 127 == 1
    tiny = int.from_bytes(cs.tinyodin.pack(cs.tinyodin.LIF(1, thr=0xABC, v=-1, leak_str=3))[0].tobytes(), "little")
    assert tiny == 3 << 24 | 0xABC << 12 | 0xFFF


def test_synapses_round_trip_and_lie_at_the_documented_place():
    rng = np.random.default_rng(0)
    weights, mapped = rng.integers(0, 8, (256, 256)), rng.integers(0, 2, (256, 256))
    words = cs.odin.pack_synapses(weights, mapped)
    back = cs.odin.unpack_synapses(words)
    assert np.array_equal(back[0], weights) and np.array_equal(back[1], mapped)
    assert words[7 * 32 + (77 >> 3)] >> 4 * (77 & 7) & 15 == mapped[7, 77] << 3 | weights[7, 77]
    signed = rng.integers(-8, 8, (256, 256))
    assert np.array_equal(cs.tinyodin.unpack_synapses(cs.tinyodin.pack_synapses(signed)), signed)


@given(st.integers(0, (1 << 20) - 1), st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**256 - 1))
def test_odin_registers_round_trip_through_spi(timeref, neuron, synapse, sign):
    signs = np.array([sign >> k & 1 for k in range(256)], np.uint8)
    registers = cs.odin.Registers(burst_timeref=timeref, mon_neur=neuron, mon_syn=synapse, syn_sign=signs, sdsp_syn=1)
    back = cs.odin.Registers.from_spi(registers.to_spi())
    assert np.array_equal(back.syn_sign, signs) and back.with_(syn_sign=signs).to_spi() == registers.to_spi()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cs.odin.Registers(mon_neur=256), r"mon_neur=256 is outside \[0, 255\]"),
        (lambda: cs.odin.Registers(src_ctrl=2), r"src_ctrl=2 is outside \[0, 1\]"),
        (lambda: cs.odin.Registers(syn_sign=np.zeros(3)), "syn_sign has shape"),
        (lambda: cs.odin.Registers.from_spi([(26, 0)]), "no register at SPI address 26"),
        (lambda: cs.odin.LIF(3, thr=256), r"thr=256 is outside \[0, 255\]"),
        (lambda: cs.odin.LIF(3, threshold=1), "no register 'threshold'"),
        (lambda: cs.odin.pack(cs.odin.LIF(257)), "257 neurons; the core has 256"),
        (lambda: cs.odin.pack(cs.loihi.LIF(2)), "not an ODIN neuron"),
        (lambda: cs.odin.pack_synapses([[8]]), r"weight=8 is outside \[0, 7\]"),
        (lambda: cs.odin.pack_synapses([[0.5]]), "fractions"),
        (lambda: cs.odin.events.spike(256), r"spike event: neuron=256 is outside \[0, 255\]"),
        (lambda: cs.odin.events.virtual(3, 0), r"virtual event: weight=0 is outside \[1, 7\]"),
        (lambda: cs.tinyodin.events.virtual(16, 1), r"neuron=16 is outside \[0, 15\]"),
        (lambda: cs.tinyodin.events.virtual(1, 0), "weight 0 is a spike event"),
        (lambda: cs.tinyodin.events.time_reference(255), r"neuron=255 is outside \[0, 254\]"),
        (lambda: cs.tinyodin.Registers(max_neur=-1), r"max_neur=-1 is outside \[0, 255\]"),
        (lambda: cs.tinyodin.LIF(2, v=-2049), r"v=-2049 is outside \[-2048, 2047\]"),
    ],
)
def test_what_does_not_fit_is_named_with_its_range(make, message):
    with pytest.raises(cs.NetworkError, match=message):
        make()


def test_events_are_read_back_in_words():
    e, t = cs.odin.events, cs.tinyodin.events
    pairs = {
        int(e.spike(5)): "spike of neuron 5",
        int(e.virtual(9, 3, 1)): "inhibitory virtual event of weight 3 on neuron 9",
        int(e.time_reference(7)): "time reference of neuron 7",
        int(e.time_reference()): "time reference of all neurons",
        int(e.bistability(2)): "bistability of row 2", int(e.bistability()): "bistability of all rows",
        int(e.synapse(3, 4)): "synapse 3 -> 4", 0x0501: "spike of neuron 5", int(e.queued_time_reference(8)):
        "queued time reference of neuron 8",
    }  # fmt: skip
    assert {word: e.describe(word) for word in pairs} == pairs
    tiny = {int(t.spike(200)): "spike of neuron 200", int(t.virtual(9, -3)): "virtual event of weight -3 on neuron 9",
            int(t.time_reference(7)): "time reference of neuron 7",
            int(t.time_reference()): "time reference of all neurons",
            0x209: "spike of neuron 9"}  # fmt: skip
    assert {word: t.describe(word) for word in tiny} == tiny


@given(st.integers(0, (1 << 17) - 1))
def test_the_decoder_and_the_description_agree(word):
    events = aer.decode_wide(np.array([word]), np.zeros(1))
    text, kind, a = cs.odin.events.describe(word), events.kind[0], events.a[0]
    expected = {
        ec.SYNAPSE: f"synapse {a} -> {events.b[0]}", ec.TREF_ONE: f"time reference of neuron {a}",
        ec.TREF_ALL: "time reference of all neurons", ec.BIST_ROW: f"bistability of row {a}",
        ec.BIST_ALL: "bistability of all rows",
    }  # fmt: skip
    if kind == ec.PUSH:
        assert text.endswith(f"neuron {a & 255}") and text.startswith("spike") == (a >> 8 == 0)
    else:
        assert text == expected[kind]
