"""Readers of texts under attack: chip descriptions and SANA-FE architectures in YAML, automata in JSON."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import chipsim as cs
from chipsim.errors import ChipsimError

from .harness import Target
from .mutate import Random, mutate_text

GOLDEN = Path(__file__).parent.parent / "golden"
SHIPPED = ("loihi2", "float", "unlimited", "odin", "truenorth", "xylo", "research")
#: What stands in the place of a value: other kinds, ends of ranges, tags, anchors, depth, characters.
VALUES = (
    "null", "~", "true", "no", "-1", "0", "1", "63", "1e400", "-1e400", ".inf", ".nan", "0x10", "1_000", "1:30", "08",
    "9" * 40, "9" * 5000, "2147483648", "4294967296", "9007199254740993", "1.5", "''", "x", "[]", "{}", "[1, 2]",
    "[2, 1]", "[[1]]", "{value: 1}", "{value: 1, unit: pJ, source: x, status: assumed}",
    "{value: -1, unit: pJ, source: x, status: measured}", "{value: 1, unit: parsec, source: x, status: fitted}",
    "!!int x", "!!float abc", "!!bool maybe", "!!timestamp soon", "!!binary '='", "!!set {a, b}", "!!omap [a: 1]",
    "!!pairs [a]", "!!python/object:os.system ls", "!!null 3", "!!str 3", "!!seq {a: 1}", "!!map [1]", "!x y", "! z",
    "2020-13-45", "2020-01-01", "&a [*a]", "&a {b: *a}", "*a", "&a 1", "[" * 40 + "]" * 40,
    "{a: " * 40 + "1" + "}" * 40,
    "[" * 2000, '"\\ud800"', '"\\0"', '"\\e[31m"', '"\\n\\n\\n"', '"\\x85"', "|\n  two\n  lines", "lava",
    "nengo_loihi", "loihi", "float", "other", "<<", "? [a] : b", "x" * 300, "'" + "y" * 100_000 + "'",
    "core[0..3]", "tile[0..999999999]", "core[9..1]", "core[x]", "core[0..3", "../x.yaml", "./", "/dev/zero",
    "/proc/self/mem", "a\\0b", "%", "@",
    "`", "\t",
)  # fmt: skip
KEYS = ("base", "name", "costs", "value", "family", "topology", "limits", "arithmetic", "preset", "options", "<<",
        "1", "true", "null", "sync", "tile", "core", "soma", "attributes", "by_tiles", "barrier", "? x",
    '"\\e"')  # fmt: skip
JSON_VALUES = (
    "null", "true", "-1", "0", "1.5", "1e400", "NaN", "Infinity", "9" * 40, "9" * 5000, '""', '"x"', "[]", "{}",
    "[[]]",
    '["a"]', '{"a": "b"}', '"\\ud800"', '"\\u0000"', '"\\n"', '"' + "y" * 1000 + '"', "[" * 100 + "]" * 100,
    "[" * 100_000, '{"a":' * 100_000, '[["a", "b", "c"]]', '[["a", "b"]]', "{\"a\": 1, \"a\": 2}", "07", "+1", "'a'",
)  # fmt: skip


def mutate_yaml(data: bytes, random: Random) -> bytes:
    """One to four values or keys replaced, lines doubled, moved or dropped; now and then any bytes; rarely a bomb."""
    act = random.random()
    if act < 0.25:
        return mutate_text(data, random)
    if act < 0.28:
        return _bomb(data, random)
    lines = data.decode().split("\n")
    for _ in range(int(random.integers(1, 5))):
        at = int(random.integers(len(lines)))
        head, colon, tail = lines[at].partition(": ")
        kind = int(random.integers(6))
        if kind <= 2 and colon:
            lines[at] = f"{head}: {_part(tail, random)}"
        elif kind == 3 and colon:
            indent = " " * (len(head) - len(head.lstrip()))
            lines[at] = f"{indent}{KEYS[random.integers(len(KEYS))]}: {tail}"
        elif kind == 4:
            lines.insert(at, lines[random.integers(len(lines))])
        else:
            del lines[at]
            lines = lines or [""]
    return "\n".join(lines).encode()


def _part(text: str, random: Random) -> str:
    """`text`, or one number or word in it, replaced."""
    value = VALUES[random.integers(len(VALUES))]
    parts = text.split()
    if len(parts) < 2 or random.random() < 0.5:
        return value
    parts[random.integers(len(parts))] = value + ","
    return " ".join(parts)


def _bomb(data: bytes, random: Random) -> bytes:
    """Many keys, or aliases that double twenty times, under a key that is known."""
    kind = int(random.integers(4))
    if kind == 0:
        return data + "".join(f"\nk{i}: 1" for i in range(4000)).encode()
    if kind == 1:
        return data + b"\nlimits:\n" + "".join(f"  k{i}: 1\n" for i in range(4000)).encode()
    aliases = ["a0: &a0 [1, 1]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 30)]
    if kind == 2:
        return data + ("\n" + "\n".join(aliases)).encode()
    nested = "\n".join(f"  {line.replace('[', '{x: ').replace(', ', ', y: ').replace(']', '}')}" for line in aliases)
    return data + ("\ncosts:\n" + nested).encode()


def mutate_json(data: bytes, random: Random) -> bytes:
    """One or two parts of the tree replaced, doubled or dropped; now and then any bytes."""
    if random.random() < 0.25:
        return mutate_text(data, random)
    tree, raw = json.loads(data), []
    for _ in range(int(random.integers(1, 3))):
        _change(tree, random, raw)
    text = json.dumps(tree)
    for k, value in enumerate(raw):
        text = text.replace(f'"@{k}@"', value)
    return text.encode(errors="replace")


def _change(tree: Any, random: Random, raw: list[str]) -> None:
    """Walk to a random part and change it; `raw` collects texts that are put in at the end, good JSON or not."""
    while True:
        keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
        if not keys:
            return
        key = keys[random.integers(len(keys))]
        if isinstance(tree[key], (dict, list)) and random.random() < 0.7:
            tree = tree[key]
            continue
        act = int(random.integers(5))
        if act <= 2:
            raw.append(JSON_VALUES[random.integers(len(JSON_VALUES))])
            tree[key] = f"@{len(raw) - 1}@"
        elif act == 3:
            tree[key] = tree[keys[random.integers(len(keys))]]
        else:
            del tree[key]
        return


def read_chip(path: Path) -> None:
    """Describe the chip, map a small network of its family onto it, run, estimate."""
    chip = cs.chip(path)
    repr(chip)
    net = small(chip.family)
    with suppress(ChipsimError):  # a chip may be read that holds no such network, or has no costs
        if net is not None:
            cs.Emulator(cs.compile(net, chip)).run({"x": np.ones((2, 2), int)}, 2).estimate()


def small(family: str) -> Any:
    """Two inputs on two neurons of a family, None where there are none."""
    parts = {
        "loihi": (lambda: cs.loihi.LIF(2, vth=9), lambda: cs.loihi.Synapses([[5, 0], [1, 2]])),
        "float": (lambda: cs.floats.LIF(2), lambda: cs.floats.Synapses([[0.5, 0], [1, 2]])),
        "xylo": (lambda: cs.xylo.LIF(2), lambda: cs.xylo.Synapses([[5, 0], [1, 2]])),
    }  # fmt: skip
    if family not in parts:
        return None
    net = cs.Network("small")
    net.add("x", cs.SpikeSource(2))
    model, synapses = parts[family]
    net.add("a", model())
    net.connect("x", "a", synapses())
    return net


def read_automaton(path: Path) -> None:
    """Read the automaton, minimise it, build its network in every encoding."""
    from chipsim.mappings.builders.automata.automata import from_automaton
    from chipsim.mappings.formats.automaton import read_automaton as read

    dfa = read(path)
    if dfa.transitions.size <= 4096:
        for encoding in ("one-hot", "binary", "sqrt"):
            from_automaton(dfa, encoding)


@cache
def _chips() -> list[bytes]:
    from chipsim.chips.read import SHIPPED as folder

    own = b"base: loihi\nname: mine\ntitle: My chip\nlimits: {neurons: 64, weight_bits: [1, 6]}\ncosts: {}\n"
    return [(folder / f"{name}.yaml").read_bytes() for name in SHIPPED] + [own]


def _architectures() -> list[bytes]:
    found = sorted((GOLDEN / "energy" / "arch").glob("*"))
    return [p.read_bytes() for p in found if p.suffix in (".yaml", ".json") and p.stat().st_size < 30_000]


def _automata() -> list[bytes]:
    ends = {"q0": {"a": "q1", "b": "q0"}, "q1": {"a": "q1", "b": "q2"}, "q2": {"a": "q1", "b": "q0"}}
    one = {"states": list(ends), "alphabet": ["a", "b"], "transitions": ends, "start": "q0", "accepting": ["q2"]}
    rows = [[q, a, t] for q, row in ends.items() for a, t in row.items()]
    two = {**one, "transitions": rows, "complete": True}
    three = {"states": [0, 1], "input_symbols": [0, 1], "transitions": {"0": {"0": 1, "1": 0}, "1": {"0": 1, "1": 0}},
             "initial_state": 0, "final_states": [1]}  # fmt: skip
    return [json.dumps(x).encode() for x in (one, two, three)]


TARGETS = [
    Target("chip", ".yaml", _chips, read_chip, mutate_yaml),
    Target("sanafe", ".yaml", _architectures, read_chip, mutate_yaml),
    Target("automaton", ".json", _automata, read_automaton, mutate_json),
]
