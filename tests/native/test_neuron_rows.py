"""A neuron model's rows are named once, in its class; the kernel's constants and all tables agree with that."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import chipsim as cs
from chipsim.chips.arithmetic import PRESETS
from chipsim.kernels.core import update
from chipsim.kernels.core.neurons import lif
from chipsim.native.base import NeuronModel

ROOT = Path(__file__).parent.parent.parent
NEURONS = "chipsim.kernels.core.neurons"
SETS = {"params": "P_", "reals": "X_", "states": "S_", "options": "O_"}


def models() -> list[type[NeuronModel]]:
    found = [
        kind for module in (cs.loihi, cs.floats) for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, NeuronModel) and kind.kernel
    ]  # fmt: skip
    assert len(found) > 12
    return found


def constants(kind: type[NeuronModel], letter: str) -> dict[str, int]:
    """Row name -> number, as the kernel's module has them."""
    module = import_module(f"{NEURONS}.{kind.kernel}")
    own = {n.removeprefix(kind.prefix + letter).lower(): v for n, v in vars(module).items()
           if n.startswith(kind.prefix + letter)}  # fmt: skip
    return own or {n.removeprefix(letter).lower(): v for n, v in vars(module).items() if n.startswith(letter)}


@pytest.mark.parametrize("kind", models(), ids=lambda k: f"{k.family}.{k.__name__}")
def test_the_kernel_calls_each_row_what_the_class_calls_it(kind: type[NeuronModel]) -> None:
    for attribute, letter in SETS.items():
        known = constants(kind, letter)
        named = {name: row for row, name in enumerate(getattr(kind, attribute)) if name}
        assert named == {name: known.get(name) for name in named}, attribute


def test_every_constant_of_a_kernel_is_a_row_of_some_model() -> None:
    for letter, attribute in (("P_", "params"), ("X_", "reals"), ("O_", "options")):
        told = {(k.kernel, k.prefix + letter + name.upper()) for k in models() for name in getattr(k, attribute)}
        for kernel in {k.kernel for k in models()}:
            for name in vars(import_module(f"{NEURONS}.{kernel}")):
                shared = kernel in ("adaptive", "count") and hasattr(lif, name)
                if re.match(rf"([A-Z]+_)?{letter}[A-Z]", name) and not shared:
                    assert (kernel, name) in told, f"{kernel}.{name} is no row of a model"


@pytest.mark.parametrize("kind", models(), ids=lambda k: f"{k.family}.{k.__name__}")
def test_a_model_fills_all_its_rows_and_no_other(kind: type[NeuronModel]) -> None:
    rows = kind(3).rows(PRESETS["float" if kind.family == "float" else "lava"])
    assert set(rows.params) == set(kind.params) and set(rows.state) <= set(kind.states)
    assert set(rows.options) == set(kind.options) - {""} and set(rows.reals) == set(kind.reals)
    assert all(np.ndim(v) == 0 or np.shape(v) == (3,) for v in rows.params.values())


def test_every_model_with_a_kernel_has_a_code() -> None:
    for kind in models():
        codes = update.FLOAT_MODELS if kind.family == "float" else update.INTEGER_MODELS
        assert kind.model in codes


def test_no_row_is_read_by_a_bare_number() -> None:
    """Also not where a table is indexed elsewhere: `params[2]` says nothing, `params[P_VTH]` does."""
    for folder in ("kernels/core", "chipsim/engines"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Subscript) and _last(node.value) in ("params", "reals", "rows", "options"):
                    index = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice
                    bare = isinstance(index, ast.Constant) and isinstance(index.value, int)
                    own = _last(node.value) == "rows" and path.parent.name != "neurons"
                    assert own or not bare, f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}"


def _last(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
