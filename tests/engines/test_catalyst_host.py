"""The Catalyst N1's host bytes: programs out and back, probes, stimuli, the spike trace FIFO, what bytes cannot say."""

from __future__ import annotations

import numpy as np
import pytest

import chipsim as cs
from chipsim.engines.catalyst.engine import N1Engine
from chipsim.engines.catalyst.host import Host
from chipsim.engines.catalyst.image import build_of
from chipsim.run.catalyst import operations, read_stream, stream
from tests.support.catalyst_nets import BARRIER, drive, random_operations, two_layers

KRIA = cs.catalyst.KRIA


@pytest.mark.parametrize("hardware", [False, True], ids=["simulation", "hardware"])
def test_a_program_runs_from_its_bytes(hardware) -> None:
    """Also on an FPGA, whose memories power up at zero: programs rely on no power-up value."""
    program = cs.compile(two_layers(), "catalyst_n1_kria", placement={"a": 0, "b": 1})
    inputs = drive()
    got = cs.Emulator(program).run({"x": inputs}, record={"b": ["v"]})
    host = Host(build_of(program.chip), hardware=hardware)
    answers = host.send(stream(program, {"x": inputs}, whole_chip=True))
    assert np.array_equal(host.cycles, got.cycles)
    assert host.engine.memory("v")[1, :6].tolist() == got.trace["b"]["v"][-1].tolist()
    runs = [answers[k : k + 5] for k in range(len(answers)) if answers[k] == 0xDD]
    assert len(runs) >= 1


def test_operations_survive_their_bytes() -> None:
    program = cs.compile(two_layers(noise_mantissa=9, noise_exponent=14, vmin=-32768), "catalyst_n1_kria")
    data = stream(program, {"x": drive(10)})
    again, rest = read_stream(data, KRIA)
    assert np.array_equal(again, operations(program))
    assert {c.name for c in rest} == {"flags", "stimulus", "run"}
    assert cs.catalyst.write_commands(cs.catalyst.read_commands(data)) == data


def test_random_operations_mean_the_same_as_bytes() -> None:
    rows = random_operations(np.random.default_rng(8), BARRIER)
    data = cs.catalyst.write_commands(cs.catalyst.to_commands(rows))
    again = cs.catalyst.to_operations(cs.catalyst.read_commands(data))
    stimuli = [(0, c, n, 900) for c in range(4) for n in range(0, 32, 3)]
    one, two = (N1Engine(BARRIER, made) for made in (rows, again))
    assert np.array_equal(one.run(10, stimuli, flags=7).spikes, two.run(10, stimuli, flags=7).spikes)
    for name, array in one.state().items():
        assert np.array_equal(array, two.state()[name]), name


def command(name: str, *fields: int) -> bytes:
    return cs.catalyst.Command(name, fields).encode()


def test_probes_counters_and_the_trace_fifo() -> None:
    host = Host(KRIA)
    for data in (
        command("parameter", 0, 3, 0, 200),
        command("parameter", 0, 0, 27, 1),
        command("pool", 0, 7, 3, 4, -5, 1),
    ):
        assert host.send(data) == b"\xaa"
    assert host.send(command("stimulus", 0, 3, 400)) == b"\xaa"
    assert host.send(command("probe", 0, 3, 5)) == (400).to_bytes(2, "big")  # waiting in the accumulator
    assert host.send(command("run", 2)) == b"\xdd" + (1).to_bytes(4, "big")
    assert host.send(command("probe", 0, 3, 2)) in (b"\0\x57", b"\0\x58")  # x1 after a timestep: 100 - 12, or 13
    assert host.send(command("probe", 0, 7, 11)) == (-5 & 0xFFFF).to_bytes(2, "big")
    assert host.send(command("probe", 0, 0, 14)) == (1).to_bytes(2, "big")
    assert [host.send(command("probe", 0, 0, k)) for k in (24, 22, 23, 22)] == [b"\0\1", b"\0\3", b"\0\0", b"\xff\xff"]
    assert host.send(command("status")) == b"\0" + (2).to_bytes(4, "big")
    assert host.send(command("clear", 0) + command("probe", 0, 0, 14)) == b"\xaa\0\0"
    assert host.send(b"\x77") == b""  # unknown codes are not answered


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cs.catalyst.read_commands(b"\x01\x00\x01"), "pool at byte 0 has 2 of 8 bytes"),
        (lambda: cs.catalyst.to_commands([(1, 0, 1 << 16, 0, 0, 1, 0)])[0].encode(), "address 65536 is outside"),
        (lambda: cs.catalyst.to_commands([(1, 0, 0, 1024, 0, 1, 0)])[0].encode(), "source 1024 is outside"),
        (lambda: cs.catalyst.to_commands([(2, 0, 0, 1 << 16, 1, 0, 0)]), "base 65536"),
        (lambda: command("stimulus", 0, 0, 70000), "70000 does not fit"),
        (lambda: read_stream(command("parameter", 0, 0, 40, 1), KRIA), "parameter 40 is outside 0..31"),
    ],
)
def test_what_the_bytes_cannot_say(make, message) -> None:
    with pytest.raises(cs.NetworkError, match=message):
        make()


def test_programs_of_other_chips_have_no_bytes() -> None:
    net = cs.Network()
    x, a = net.add("x", cs.SpikeSource(1)), net.add("a", cs.loihi.LIF(1))
    net.connect(x, a, cs.loihi.Synapses(np.array([[1]])))
    program = cs.compile(net, "loihi")
    with pytest.raises(cs.RunError, match="not for a Catalyst N1"):
        stream(program)
