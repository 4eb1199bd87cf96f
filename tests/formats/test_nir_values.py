"""Fields of wrong kinds in a NIR graph in memory, and names that no terminal or file can take: one line each."""

from __future__ import annotations

import warnings
from typing import Any

import nir
import numpy as np
import pytest

import chipsim as cs
from chipsim.chips.sanafe import chip_from_numbers
from chipsim.errors import ChipsimError

WRONG: dict[str, Any] = {
    "None": None, "text": "x", "NaN": np.full(3, np.nan), "infinity": np.inf, "complex": np.ones(3) * 1j,
    "objects": np.array([None] * 3), "ragged": [[1], [1, 2], 3], "masked": np.ma.array([1, 2, 3], mask=[1, 0, 0]),
    "dates": np.array(["2020"] * 3, "M8[Y]"), "dict": {}, "function": len, "10**400": 10**400, "10**5000": 10**5000,
    "2-d": np.ones((3, 3)), "bytes": b"x", "view": np.broadcast_to(1.0, (10**5, 10**5)), "words": np.array(["1", "2"]),
}  # fmt: skip
FIELDS = {"aff": ("weight", "bias"), "lif": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
          "input": ("input_type",), "output": ("output_type",)}  # fmt: skip


def graph() -> Any:
    """Two inputs, an affine map, three LIF neurons."""
    ones = np.ones(3)
    nodes = {
        "input": nir.Input(input_type={"input": np.array([2])}),
        "aff": nir.Affine(weight=np.ones((3, 2)), bias=np.zeros(3)),
        "lif": nir.LIF(tau=ones * 0.02, r=ones, v_leak=np.zeros(3), v_threshold=ones),
        "output": nir.Output(output_type={"output": np.array([3])}),
    }
    return nir.NIRGraph(nodes=nodes, edges=[("input", "aff"), ("aff", "lif"), ("lif", "output")])


def outcome(act: Any) -> str:
    """Empty if `act` went through or was refused well."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            act()
        except ChipsimError as refusal:
            text = str(refusal)
            return "" if len(text.splitlines()) <= 2 and len(text) <= 500 else f"says {text[:100]}"
        except Exception as problem:
            return f"{type(problem).__name__}: {str(problem)[:100]}"
    return ""


@pytest.mark.parametrize("node", FIELDS)
def test_fields_of_wrong_kinds(node: str) -> None:
    wrong = []
    for name in FIELDS[node]:
        for what, value in WRONG.items():
            given = graph()
            setattr(given.nodes[node], name, value)
            said = outcome(lambda given=given: cs.from_nir(given, dt=1e-3))
            wrong += [f"{name}, {what}: {said}"] * bool(said)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("edges", [[("a",)], None, [1], [("input", "nowhere")], [(1, 2)], [("aff", None)]])
def test_edges_of_wrong_kinds(edges: Any) -> None:
    given = graph()
    given.edges = edges
    with pytest.raises(ChipsimError):
        cs.from_nir(given, dt=1e-3)


@pytest.mark.parametrize("option", ["dt", "scheme", "reset", "reset_delay", "spike_fn", "min_v_mem"])
def test_options_of_wrong_kinds(option: str) -> None:
    wrong = []
    more = {"zero": 0, "half": 0.5, "list": [1], "escape": "\x1b", "duration": np.timedelta64(1)}
    for what, value in {**WRONG, **more}.items():
        said = outcome(lambda value=value: cs.from_nir(graph(), **{"dt": 1e-3, "scheme": "snntorch", option: value}))
        wrong += [f"{what}: {said}"] * bool(said)
    assert not wrong, "\n".join(wrong)


NAMES = ("a\nb", "a\x1b[31mb", "a\x00", "\x7f", "\x85", "\u202e", "\ud800", "x" * 300, "a\tb", "\u2028")


@pytest.mark.parametrize("name", NAMES)
def test_names_that_cannot_be_printed(name: str) -> None:
    net = cs.Network("n")
    net.add("x", cs.SpikeSource(2))
    net.add("a", cs.loihi.LIF(2))
    synapses = cs.loihi.Synapses([[1, 0], [0, 1]])
    chip = cs.chip("loihi").model_dump()
    renamed = graph()
    renamed.nodes[name] = renamed.nodes.pop("lif")
    renamed.edges = [("input", "aff"), ("aff", name), (name, "output")]
    from chipsim.chips.read import load_chip
    from chipsim.chips.schema import Chip

    for what, enter in {
        "network": lambda: cs.Network(name),
        "population": lambda: net.add(name, cs.SpikeSource(2)),
        "projection": lambda: net.connect("x", "a", synapses, name=name),
        "program": lambda: cs.compile(net, "loihi", name=name),
        "rule": lambda: cs.rules.declare(f"def {name}(w, pre):\n    w = w + pre\n"),
        "long rule": lambda: cs.rules.declare(f"def {'r' * 300}(w, pre):\n    w = w + pre\n"),
        "node": lambda: cs.from_nir(renamed, dt=1e-3),
        "shipped chip": lambda: load_chip(name),
        "architecture": lambda: chip_from_numbers({"name": name}),
    }.items():
        with pytest.raises(ChipsimError) as caught:
            enter()
        text = str(caught.value)
        assert len(text.splitlines()) <= 2 and all(line.isprintable() for line in text.splitlines()), (what, text)
    with pytest.raises(ValueError, match=r"printable|unprintable|letters|surrogates|unicode"):
        Chip.model_validate({**chip, "name": name})
