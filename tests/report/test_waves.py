"""Runs as value change dumps: every spike and value can be read back, at the time of its step."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import chipsim as cs
from tests.support.catalyst_nets import drive, two_layers


def parse(path: Path) -> tuple[dict[str, str], list[tuple[int, str, str]]]:
    """Variables by identifier (with their scopes), and the changes (time, value, identifier) after the dump."""
    text = path.read_text()
    head, body = text.split("$enddefinitions $end\n")
    names, scopes = {}, []
    for line in head.splitlines():
        if line.startswith("$scope"):
            scopes.append(line.split()[2])
        elif line.startswith("$upscope"):
            scopes.pop()
        elif line.startswith("$var"):
            names[line.split()[3]] = ".".join([*scopes, line.split()[4]])
    changes, time, dumping = [], 0, False
    for line in body.splitlines():
        if line.startswith("$"):
            dumping = line == "$dumpvars"
        elif line.startswith("#"):
            time = int(line[1:])
        elif not dumping:
            found = re.fullmatch(r"([br]\S+) (\S+)|([01])(\S+)", line)
            assert found, line
            changes.append((time, found[1] or found[3], found[2] or found[4]))
    return names, changes


def signed(bits: str) -> int:
    value = int(bits[1:], 2)
    return value - ((value & 1 << 31) << 1)


def test_everything_can_be_read_back(tmp_path) -> None:
    program = cs.compile(two_layers(), "catalyst_n1_kria")
    result = cs.Emulator(program).run({"x": drive()}, record={"b": ["v"]})
    names, changes = parse(result.waves(tmp_path / "run.vcd"))
    assert len(set(names)) == 5 + 8 + 6 + 6
    starts = np.concatenate([[0], np.cumsum(result.cycles)])[:-1] * 10_000  # 100 MHz: a cycle is 10,000 ps
    values, spikes = np.zeros((60, 6), int), np.zeros((60, 8), bool)
    for time, value, identifier in changes:
        scope, place = names[identifier].rsplit(".", 1)
        k = int(place.split("[")[1][:-1])
        step = int(np.searchsorted(starts, time, side="right")) - 1
        if place.startswith("v["):
            values[step:, k] = signed(value)
        elif scope.endswith(".a") and value == "1":
            assert time == starts[step]
            spikes[step, k] = True
    assert np.array_equal(values, result.trace["b"]["v"]) and values.any()
    assert np.array_equal(spikes, result.spikes["a"]) and spikes.any()


@pytest.mark.parametrize(
    ("chip", "model", "synapses"),
    [("odin", cs.odin.LIF, cs.odin.Synapses), ("tinyodin", cs.tinyodin.LIF, cs.tinyodin.Synapses),
     ("truenorth", cs.truenorth.LIF, cs.truenorth.Synapses), ("loihi", cs.loihi.LIF, cs.loihi.Synapses)],
)  # fmt: skip
def test_other_chips_have_waves(chip, model, synapses, tmp_path) -> None:
    net = cs.Network("small")
    x, a = net.add("x", cs.SpikeSource(2)), net.add("a", model(3, **({"vth": 5} if chip == "loihi" else {"thr": 5})))
    net.connect(x, a, synapses(np.full((3, 2), 4)))
    result = cs.Emulator(cs.compile(net, chip)).run({"x": np.ones((6, 2), int)}, record={"a": ["v"]})
    names, changes = parse(result.waves(tmp_path / "run.vcd"))
    ones = [names[i] for _, value, i in changes if value == "1"]
    assert sum("chip.a.spike" in name for name in ones) == result.spikes["a"].sum() > 0
    assert [t for t, _, _ in changes] == sorted(t for t, _, _ in changes)


def test_what_waves_refuse(tmp_path) -> None:
    result = cs.Emulator(cs.compile(two_layers(), "catalyst_n1_kria")).run({"x": drive(5)})
    with pytest.raises(cs.RunError, match="no population 'q'; it has x, a, b"):
        result.waves(tmp_path / "run.vcd", ["q"])
    with pytest.raises(cs.RunError, match="cannot write"):
        result.waves(tmp_path / "missing" / "run.vcd")
    assert next(iter(parse(result.waves(tmp_path / "a.vcd", ["a"]))[0].values())) == "chip.a.spike[0]"


def test_waves_are_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = cs.Network("n")
    net.add("x", cs.SpikeSource(2))
    net.add("a", cs.loihi.LIF(2))
    result = cs.Emulator(cs.compile(net, "loihi")).run({"x": np.ones((4, 2))}, 4)
    path = tmp_path / "run.vcd"
    path.symlink_to("/dev/null")
    with pytest.raises(cs.RunError, match="cannot write"):
        result.waves(path)
    path.unlink()
    path.write_text("before")

    def full(self: object, data: object) -> int:
        self.error = OSError(28, "No space left on device")  # type: ignore[attr-defined]
        return len(data)  # type: ignore[arg-type]

    monkeypatch.setattr("chipsim.storage.atomic.PartFile.write", full)
    with pytest.raises(cs.RunError, match="No space left"):
        result.waves(path)
    assert path.read_text() == "before" and [p.name for p in tmp_path.iterdir()] == ["run.vcd"]
