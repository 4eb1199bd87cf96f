"""Automata as networks: answers against the automaton itself, spikes against the equation of threshold gates."""

from __future__ import annotations

import json
import math
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import chipsim as cs
from chipsim.cli.app import app
from chipsim.errors import FileError, NetworkError, RunError
from chipsim.mappings import DFA, from_automaton
from chipsim.mappings.builders.automata.automata import Automaton
from chipsim.mappings.builders.automata.encodings import layout
from chipsim.mappings.formats import read_network
from chipsim.mappings.network.files import load_network, save_network
from tests.oracles.naive_dfa import automata, plain_prefixes

ENCODINGS = (("one-hot", None), ("binary", None), ("sqrt", None), ("sqrt", 1), ("sqrt", 2), ("sqrt", 3))


def run(automaton: Automaton, word: Any, chip: str = "loihi", **options: Any) -> Any:
    return cs.Emulator(cs.compile(automaton.network, chip, **options)).run(automaton.encode(word))


def gates(automaton: Automaton, word: Any) -> dict[str, np.ndarray]:
    """y(t) = [sum w y(t - 1 - d) > h] for all neurons at once, from the weights of the network."""
    inputs = automaton.encode(word)
    steps = len(inputs["start"])
    populations = automaton.network.populations
    y = {name: np.zeros((steps, p.n), bool) for name, p in populations.items()}
    y["start"] = inputs["start"]
    y["symbols"][inputs["symbols"]["step"], inputs["symbols"]["neuron"]] = True
    for t in range(steps):
        for name, p in populations.items():
            if p.model.is_input:
                continue
            total = np.zeros(p.n)
            for projection in automaton.network.projections.values():
                sent = t - 1 - projection.synapses.delays
                if projection.post is p and sent >= 0:
                    total += projection.synapses.mantissa @ y[projection.pre.name][sent]
            y[name][t] = total > p.model.values["vth"]
    return y


@settings(max_examples=25, deadline=None)
@given(automata(), st.sampled_from(ENCODINGS), st.booleans(), st.data())
def test_every_prefix_of_any_automaton(dfa: DFA, encoding: tuple, minimise: bool, data: st.DataObject) -> None:
    word = data.draw(st.lists(st.sampled_from(dfa.alphabet), max_size=40))
    automaton = from_automaton(dfa, encoding[0], planes=encoding[1], minimise=minimise)
    result = run(automaton, word)
    assert automaton.read(result).tolist() == plain_prefixes(dfa, word)
    for name, spikes in gates(automaton, word).items():
        assert np.array_equal(result.spikes[name], spikes), name


@pytest.mark.parametrize("m", [4, 6, 10, 16, 25, 40, 64, 101, 160, 256])
def test_ten_minimal_automata(m: int) -> None:
    dfa = DFA.random(m, 2, seed=m)
    word = np.random.default_rng(m).integers(0, 2, 2000)
    expected = plain_prefixes(dfa, word.tolist())
    assert 0.05 < np.mean(expected) < 0.95
    for encoding, planes in ENCODINGS[:4]:
        automaton = from_automaton(dfa, encoding, planes=planes)
        assert automaton.read(run(automaton, word)).tolist() == expected


@pytest.mark.parametrize("m, k", [(1, 1), (2, 2), (5, 3), (16, 2), (100, 2), (64, 7)])
def test_sizes_are_the_closed_forms(m: int, k: int) -> None:
    dfa = DFA.random(m, k, seed=1)
    bits = max(1, math.ceil(math.log2(m)))
    for encoding, neurons, steps in (("one-hot", m * k + 1, 1), ("binary", m * k + bits + 1, 2)):
        automaton = from_automaton(dfa, encoding)
        assert (automaton.network.n, automaton.steps_per_symbol) == (neurons, steps)
    for planes in (None, 1, 2, 5):
        cuts = []
        for columns in range(1, m + 1):
            rows = math.ceil(m / columns)
            need = math.ceil(math.log2(rows)) + math.ceil(math.log2(columns)) + 1
            phases = 1 if planes is None else math.ceil(need / planes)
            cuts.append((phases, rows + columns + columns * k * math.ceil(need / phases) + 2))
        automaton = from_automaton(dfa, "sqrt", planes=planes)
        assert (automaton.steps_per_symbol - 1, automaton.network.n) == min(cuts)


@pytest.mark.parametrize("k", [2, 5])
def test_the_table_grows_as_a_square_root(k: int) -> None:
    states = 4 ** np.arange(2, 9)
    for planes, most in ((1, 3.0), (None, 2.8)):
        for m in states.tolist():
            width = k + 1 if planes else k * (math.log2(m) + 1)
            assert layout(m, k, planes).neurons <= most * math.sqrt(m * width) + 2


def test_few_neurons_fire_at_once_and_fewer_take_longer() -> None:
    dfa = DFA.random(256, 2, seed=0)
    word = np.random.default_rng(0).integers(0, 2, 3000)
    bounds = {"one-hot": 2, "binary": 9}
    seen = []
    for encoding, planes in (*ENCODINGS[:2], *(("sqrt", p) for p in (1, 2, 3, 5, 9))):
        automaton = from_automaton(dfa, encoding, planes=planes)
        result = run(automaton, word)
        neurons = [result.spikes[n] for n, p in automaton.network.populations.items() if not p.model.is_input]
        active = np.concatenate(neurons, axis=1).sum(axis=1)
        report = automaton.report(result)
        assert np.array_equal(automaton.active(result), active) and report["max_active"] == active.max()
        assert report["spikes_per_symbol"] == pytest.approx(active.sum() / 3000)
        assert report["word"] == 3000 and report["neurons"] == sum(n.shape[1] for n in neurons)
        assert report["energy_per_symbol"] == pytest.approx(result.estimate().dynamic_energy / 3000)
        e, tau = report["max_active"], report["steps_per_symbol"]
        assert e <= bounds.get(encoding, max(3, automaton.planes + 1))
        if encoding == "sqrt":
            seen.append((e, -tau, report["neurons"]))
            assert e * tau <= report["neurons"]
    assert seen == sorted(seen) and len({tau for _, tau, _ in seen}) == 5


@pytest.mark.parametrize(
    "family, chip, options",
    [
        ("loihi", "loihi", {"max_neurons": 8}),
        ("loihi", "loihi", {"arithmetic": "nengo_loihi"}),
        ("loihi", "loihi", {"arithmetic": "brian2_loihi"}),
        ("loihi", "loihi2", {}),
        ("loihi", "unlimited", {}),
        ("float", "float", {}),
    ],
)
def test_chips_and_conventions(family: str, chip: str, options: dict) -> None:
    dfa = DFA.random(21, 3, seed=5)
    word = np.random.default_rng(1).integers(0, 3, 300)
    for encoding, planes in ENCODINGS:
        automaton = from_automaton(dfa, encoding, planes=planes, family=family)
        result = run(automaton, word, chip, **options)
        assert np.array_equal(automaton.read(result), dfa.prefixes(word)), encoding
        assert len(result.program.cores) > 1 or "max_neurons" not in options


def test_minimal_unless_told_otherwise() -> None:
    table = np.array([[1, 0], [2, 1], [3, 2], [0, 3], [4, 4]])
    parity = DFA(range(5), "ab", table, 0, [0, 2])  # two states suffice, one is never reached
    assert len(from_automaton(parity).dfa.states) == 2 and from_automaton(parity).network.n == 5
    assert from_automaton(parity, minimise=False).network.n == 11
    assert from_automaton(parity).network.metadata["automaton"]["states"] == 2


def test_what_is_refused() -> None:
    dfa = DFA.random(4, 2)
    for options, message in (
        ({"encoding": "unary"}, "'unary' is not one of one-hot, binary, sqrt"),
        ({"encoding": "sqrt", "planes": 0}, "planes=0"),
        ({"encoding": "sqrt", "planes": 1.5}, "whole number"),
        ({"planes": 2}, "belongs to encoding='sqrt'"),
        ({"family": "odin"}, "family='odin'"),
    ):
        with pytest.raises(NetworkError, match=message):
            from_automaton(dfa, **options)
    with pytest.raises(NetworkError, match="no transition"):
        from_automaton({"states": "x", "alphabet": "a", "transitions": {}, "start": "x", "accepting": []})
    big = DFA(range(3 << 20), range(2), np.zeros((3 << 20, 2), int), 0, [])
    with pytest.raises(NetworkError, match="more than 4194304"):
        from_automaton(big, minimise=False)
    automaton, other = from_automaton(dfa), from_automaton(dfa, "binary")
    with pytest.raises(NetworkError, match="position 2"):
        automaton.encode([0, 1, 2])
    result = run(automaton, [0, 1, 1])
    with pytest.raises(RunError, match="not one of this binary automaton"):
        other.read(result)
    emulator = cs.Emulator(cs.compile(automaton.network, "loihi"))
    emulator.run(automaton.encode([0]))
    with pytest.raises(RunError, match="reset the emulator"):
        automaton.read(emulator.run(automaton.encode([0])))
    emulator.reset()
    assert np.array_equal(automaton.read(emulator.run(automaton.encode([0]))), dfa.prefixes([0]))


def test_files_and_command_line(tmp_path: Path) -> None:
    dfa = DFA.random(12, 2, seed=2)
    rows = dfa.transitions.tolist()
    given = {
        "states": list(range(12)),
        "alphabet": [0, 1],
        "transitions": {q: dict(enumerate(row)) for q, row in enumerate(rows)},
        "start": 0,
        "accepting": sorted(dfa.accepting),
    }
    path = tmp_path / "dfa.json"
    path.write_text(json.dumps(given))
    automaton, word = from_automaton(dfa, "sqrt", planes=2), [0, 1, 1, 0, 1, 0, 0, 0, 1]
    program = tmp_path / "p.h5"
    command = ["convert", str(path), "--encoding", "sqrt", "--planes", "2", "--chip", "loihi", "-o", str(program)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    result = cs.Emulator(cs.Program.load(program)).run(automaton.encode(word))
    assert automaton.read(result).tolist() == plain_prefixes(dfa, word)
    assert read_network(path).n == 12 * 2 + 1
    loaded = load_network(save_network(automaton.network, tmp_path / "n.h5"))
    assert loaded.metadata["automaton"]["alphabet"] == ["0", "1"]
    done = CliRunner().invoke(app, ["inspect", str(path)])
    assert done.exit_code == 0 and "transition" in done.output
    done = CliRunner().invoke(app, ["convert", str(program), "--encoding", "sqrt", "-o", str(tmp_path / "x.h5")])
    assert done.exit_code == 1 and "option of automaton (.json)" in str(done.exception)
    path.write_text(json.dumps(given | {"transitions": [[3, 0, 1]], "complete": True}))
    assert read_network(path, minimise=False).n == 13 * 2 + 1
    for text, message in (
        ("{", "is not JSON"),
        ("[1]", "one JSON object"),
        ('{"states": ["a"]}', "no 'alphabet'"),
        (json.dumps(given | {"start": 1.5}), "names are texts"),
        (json.dumps(given | {"start": "z"}), "dfa.json: automaton: the start state 'z'"),
        ("[" * 100_000, "is not JSON"),
    ):
        path.write_text(text)
        with pytest.raises(FileError, match=message):
            read_network(path)
    with pytest.raises(FileError, match="cannot read"):
        read_network(tmp_path / "none.json")


def test_example(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = (Path(__file__).parent.parent.parent / "examples" / "automata.py").read_text(encoding="utf-8")
    for long, short in (("25, 40, 64, 101, 160, 256", "25"), ("SYMBOLS = 10_000", "SYMBOLS = 300")):
        assert long in source
        source = source.replace(long, short)
    (tmp_path / "automata.py").write_text(source)
    runpy.run_path(str(tmp_path / "automata.py"), run_name="__main__")
    assert "0 of all prefixes answered wrong" in capsys.readouterr().out
    assert (tmp_path / "automata.png").stat().st_size > 10_000
