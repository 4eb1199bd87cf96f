"""Experiments as values: the list is quick, a new one is a module and a line, bars are judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from chipsim.cli.app import app
from chipsim.mappings.experiments import EXPERIMENTS, catalogue
from chipsim.mappings.experiments.protocol import Bar, Experiment, Outcome, Quick, Ran, Way, judged

HEAVY = ("numba", "scipy", "matplotlib", "sklearn", "h5py")


def learn(*words: object, code: int = 0) -> Any:
    done = CliRunner().invoke(app, ["learn", *map(str, words), "--json"])
    assert done.exit_code == code, (done.output, done.exception)
    return json.loads(done.stdout) if code == 0 else str(done.exception)


class Count(NamedTuple):
    """A made-up experiment's result: numbers counted up to."""

    numbers: list[int]

    @property
    def state(self) -> dict[str, Any]:
        return {"numbers": self.numbers}


def _advance(ready: Any, seed: int, goal: int, tell: Any, state: Any) -> Outcome:
    numbers = [] if state is None else [int(k) for k in state["numbers"]]
    for k in range(len(numbers), goal):
        numbers.append(k + seed)
        tell(k + 1, "")
    return Outcome(Count(numbers), solved=len(numbers) >= ready["enough"])


def _rows(ran: Ran) -> list[dict[str, Any]]:
    return [{"seed": s, "last": r.numbers[-1], "long": len(r.numbers) if s else None} for s, r in ran.made.items()]


def _figure(groups: Any) -> Any:
    from matplotlib.figure import Figure

    figure = Figure()
    for name, ran in groups.items():
        for made in ran.made.values():
            figure.gca().plot(made.numbers, label=name)
    return figure


COUNTING = Experiment(
    name="counting", about="counts", paper="none", seeds=(0, 1), iterations=6, unit="numbers", key="last",
    ways={
        "up": Way("one by one", "up", "whole numbers", "none", bars=(Bar("last", ">=", 5.5, "0 and 1 from 5"),),
                  quick=Quick((1,), 2, (Bar("last", ">=", 3, "too few"),), {"enough": 9})),
        "less": Way("fewer", "less", "whole numbers", "none", {"enough": 4}, (Bar("long", ">=", 1, "one", "share"),)),
        "bare": Way("no bar", "bare", "whole numbers", "none"),
    },
    cpu_seconds=0.1, advance=_advance, rows=_rows, figure=_figure, seen=lambda state: len(state["numbers"]),
    prepare=lambda way, size: {"enough": 100} | dict(way.settings) | dict(size),
)  # fmt: skip


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The made-up experiment as a module on disk, registered by its one line."""
    name = "counting_for_the_test"
    monkeypatch.setitem(sys.modules, f"{catalogue.__name__}.{name}", sys.modules[__name__])
    monkeypatch.setitem(globals(), "EXPERIMENT", COUNTING)
    for key, value in catalogue._registered((name,)).items():
        monkeypatch.setitem(EXPERIMENTS, key, value)
    return tmp_path


def test_the_list_imports_nothing_heavy():
    code = (
        "import sys; from typer.testing import CliRunner; from chipsim.cli.app import app;"
        "done = CliRunner().invoke(app, ['learn', '--json']); assert done.exit_code == 0, done.output;"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_experiment_says_what_it_is():
    listed = learn()
    assert list(listed) == list(EXPERIMENTS)
    for name, e in EXPERIMENTS.items():
        assert name == e.name and e.about and e.paper and e.seeds and e.iterations > 0 and e.cpu_seconds > 0
        assert e.default in e.ways and e.ways[e.default].bars, "the default way is judged"
        assert any(way.quick for way in e.ways.values()), "--check --quick leaves nobody out"
        assert listed[name]["ways"].keys() == e.ways.keys()
        for bar in (b for w in e.ways.values() for b in (*w.bars, *(w.quick.bars if w.quick else ()))):
            assert bar.op in ("<=", ">=") and bar.over in ("mean", "worst", "share") and bar.why


def test_a_new_experiment_is_a_module_and_a_line(counting: Path):
    made = learn("counting", "-o", counting)
    assert [r["last"] for r in made["runs"][:2]] == [5, 6] and made["runs"][2]["last"] == 5.5
    assert [(b["measured"], b["met"]) for b in made["bars"]] == [(5.5, True)]
    assert (counting / "counting.png").exists() and json.loads((counting / "counting.json").read_text()) == made
    assert learn("counting", "-n", 3, "-o", counting / "few")["bars"][0]["met"] is False


def test_ways_are_compared(counting: Path):
    made = learn("counting", "--compare", "-o", counting)
    assert [(r["way"], r["last"]) for r in made["runs"] if r["seed"] == 0] == [("up", 5), ("less", 5), ("bare", 5)]
    assert [(b["way"], b["measured"], b["met"]) for b in made["bars"]] == [("up", 5.5, True), ("less", 0.5, False)]
    assert (counting / "counting-compare.png").exists()
    few = learn("counting", "--way", "less", "--every", 2, "-o", counting / "one")
    assert few["runs"][0]["last"] == 3 and few["bars"][0]["met"] is False


def test_the_check_judges_every_way_with_a_bar(counting: Path):
    made = learn("--check", "counting", "-o", counting)
    assert [(r["experiment"], r["way"], r["met"]) for r in made["rows"]] == [
        ("counting", "up", True), ("counting", "less", False),
    ]  # fmt: skip
    assert (made["met"], made["of"]) == (1, 2) and all(r["cpu_s"] >= 0 for r in made["rows"])
    quick = learn("--check", "--quick", "counting", "-o", counting)
    assert [(r["way"], r["measured"], r["met"]) for r in quick["rows"]] == [("up", 2.0, False)]


def test_a_checkpoint_knows_whose_it_is(counting: Path):
    learn("counting", "-n", 4, "--every", 2, "-o", counting)
    first, other = counting / "counting-up-seed0.h5", counting / "counting-bare-seed0.h5"
    assert first.exists()
    assert learn("counting", "-n", 5, "--seeds", 0, "-o", counting)["runs"][0]["last"] == 4
    other.write_bytes(first.read_bytes())
    said = learn("counting", "--way", "bare", "--seeds", 0, "-o", counting, code=1)
    assert "counting, way up, seed 0" in said
    assert "2 iterations already" in learn("counting", "-n", 2, "--seeds", 0, "-o", counting, code=1)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nothing",), "no experiment 'nothing'; there are pattern-generation"),
        (("xor-perturbation", "--way", "sideways"), "float, chip, parallel, nodes"),
        (("odin-digits", "--float"), "no way 'float'"),
        (("odin-digits", "--bits", "4"), "fixed formats"),
        (("pattern-generation", "--bits", "4", "--rounding", "up"), "stochastic or nearest"),
        (("pattern-generation", "-n", "-3"), "1 or more"),
        (("pattern-generation", "--seeds", "1,x"), "whole numbers"),
        (("pattern-generation", "--seeds=-1"), "a seed is 0 to"),
        (("pattern-generation", "--way", "chip", "--compare"), "exclude each other"),
        (("pattern-generation", "odin-digits"), "one experiment at a time"),
        (("--check", "--chip"), "leave --way"),
    ],
)
def test_bad_input_is_told_in_a_line(words: tuple[str, ...], told: str):
    said = learn(*words, code=1)
    assert told in said and "\n" not in said


def test_bars():
    rows = [{"a": 1.0, "b": None}, {"a": 3.0, "b": 2}]
    worst = Bar("a", "<=", 2.0, "", "worst")
    assert (worst.measured(rows), worst.met(3.0), worst._replace(op=">=").measured(rows)) == (3.0, False, 1.0)
    assert Bar("a", ">=", 2.0, "").measured(rows) == 2.0 and Bar("b", ">=", 1.0, "", "share").measured(rows) == 0.5
    assert Bar("b", "<=", 2.0, "", "worst").measured(rows) is None and Bar("b", "<=", 2.0, "").measured(rows) == 2.0
    assert not Bar("c", "<=", 1.0, "").met(None) and not Bar("c", "<=", 1.0, "").met(float("nan"))
    assert [r["met"] for r in judged((worst, Bar("a", "<=", 2.0, "why")), rows)] == [False, True]
