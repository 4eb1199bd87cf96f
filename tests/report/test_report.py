"""The report: its figures agree with the run, the page stands alone, and nothing is half written."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import chipsim as cs
from chipsim.errors import FileError
from chipsim.plots import chip as plots_chip
from chipsim.plots import figures as plots
from chipsim.plots import learning as plots_learning
from chipsim.report.facts import collect, csv_text
from chipsim.report.page import headline, short_count
from tests.storage.test_storage import make_program


@pytest.fixture(scope="module")
def result() -> cs.Result:
    spikes = np.random.default_rng(0).random((45, 6)) < 0.4
    return cs.Emulator(make_program(1)).run({"in": spikes}, 40, record={"hid": "v"})


@pytest.fixture(scope="module")
def folder(result: cs.Result, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("report") / "out"
    accuracy = {"steps": [1, 2, 3], "curves": {"chip": [0.1, 0.5, 0.9]}, "reference": ("float", 0.95)}
    extra = {"A picture of weights": plots.weights(np.eye(4))}
    result.report(target, title="<b>title</b> & more", facts={"speed": "fast"}, accuracy=accuracy, figures=extra)
    return target


class _Page(HTMLParser):
    """Collects tags and attributes, and checks that what opens also closes."""

    VOID = ("meta", "img", "br", "link")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.images: list[dict] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        found = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "img":
            self.images.append(found)
        self.links += [v for k, v in attrs if k in ("src", "href")]
        self.ids += [v for k, v in attrs if k == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_stands_alone(folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    assert not page.open
    assert all(link.startswith(("#", "data:image/")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)
    assert all(image["alt"] for image in page.images) and len(page.images) >= 9
    assert "&lt;b&gt;title&lt;/b&gt; &amp; more" in text and "<b>title" not in text
    for said in ("A picture of weights", "speed", "not published", "loihi.LIF(9"):
        assert said in text, said


def test_the_json_agrees_with_the_run(folder: Path, result: cs.Result) -> None:
    data = json.loads((folder / "report.json").read_text())
    estimate = result.estimate()
    assert data["activity"]["totals"] == result.activity.totals()
    assert data["estimate"]["total_energy_J"] == pytest.approx(estimate.total_energy)
    assert data["estimate"]["unknown"] == list(estimate.unknown)
    assert data["run"]["steps"] == 40 and data["chip"]["name"] == "loihi"
    hidden = next(p for p in data["populations"] if p["name"] == "hid")
    assert hidden["spikes"] == int(result.spikes["hid"].sum())
    assert data["mapping"]["cores_used"] == len(result.program.cores)
    assert sum(data["mapping"]["table"]["neurons"]) == 13
    assert data["accuracy"]["curves"]["chip"] == [0.1, 0.5, 0.9]


def test_the_tables_add_up(folder: Path, result: cs.Result) -> None:
    with (folder / "steps.csv").open() as file:
        steps = list(csv.DictReader(file))
    with (folder / "cores.csv").open() as file:
        cores = list(csv.DictReader(file))
    totals, estimate = result.activity.totals(), result.estimate()
    assert [int(row["step"]) for row in steps] == list(range(40))
    for name in ("spikes", "synaptic_events", "packets_in", "updates_idle"):
        assert sum(int(row[name]) for row in steps) == totals[name] == sum(int(row[name]) for row in cores)
    assert sum(float(row["time_s"]) for row in steps) == pytest.approx(estimate.latency)
    energy = sum(float(v) for row in steps for k, v in row.items() if k.startswith("energy_"))
    assert energy == pytest.approx(estimate.total_energy)
    assert [int(row["core"]) for row in cores] == result.program.cores.tolist()


def test_losses_are_reported(tmp_path: Path) -> None:
    events = np.array([(2, 0), (90, 1)], dtype=[("step", int), ("neuron", int)])
    lossy = cs.Emulator(make_program(2)).run({"in": events}, 10)
    data, _ = collect(lossy)
    assert [(x["kind"], x["count"]) for x in data["losses"]] == [("dropped input", 1)]
    assert "input spikes after the last step" in lossy.report(tmp_path).read_text(encoding="utf-8")


def test_a_chip_without_costs_says_so(tmp_path: Path) -> None:
    program = make_program(4)
    bare = program.chip.model_copy(update={"costs": {}, "cost_set": None})
    fields = {k: getattr(program, k) for k in ("populations", "projections", "core", "arithmetic")}
    result = cs.Emulator(cs.Program(bare, **fields)).run(steps=3)
    assert "No estimate" in result.report(tmp_path).read_text(encoding="utf-8")


def test_a_folder_that_cannot_be_made_is_an_error(result: cs.Result, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot make the folder"):
        result.report(tmp_path / "file" / "out")
    with pytest.raises(cs.ChipsimError):
        result.report(tmp_path / "never", cost_set="no such set")
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234567, "1,234,567"),
        (2.5e9, "2.5e+09"),
        (0.1234, "0.123"),
        (12345.6, "12,346"),
        (7.95e7, "79,500,000"),
    ],
)
def test_counts_for_people(value: float, text: str) -> None:
    assert short_count(value) == text


def test_the_headline_marks_lower_bounds(result: cs.Result) -> None:
    data, _ = collect(result)
    shown = dict(headline({"facts": {"a": "b"}, **data}))
    assert shown["a"] == "b" and shown["energy on the chip"].startswith("≥ ") and shown["steps"] == "40"


def test_csv_keeps_every_bit() -> None:
    values = np.array([0.1, 1e-300, np.pi])
    assert [float(x) for x in csv_text({"x": values}).split()[1:]] == values.tolist()


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


FIGURES = {
    "raster": lambda: plots.raster({"a": (np.arange(9), np.arange(9)), "none": (np.zeros(0, int),) * 2},
                                   {"a": 9, "none": 3}, steps=(0, 9)),
    "traces": lambda: plots.traces({"a 0": np.arange(5.0)}, thresholds={"a 0": 3}),
    "rates": lambda: plots.rates({"a": rng().random(9), "silent": np.zeros(3)}),
    "activity": lambda: plots.activity({"spikes": rng().poisson(3, 2000), "packets": np.zeros(2000)}),
    "accuracy": lambda: plots.accuracy([1, 2], {"chip": [0.5, 1.0]}, reference=("float", 0.9)),
    "weights": lambda: plots.weights(np.zeros((3, 2000))),
    "energy_lines": lambda: plots_chip.energy_lines({"synapse": 1e-9, "host": None}),
    "energy_cores": lambda: plots_chip.energy_cores([3, 9], {"soma": np.array([1e-9, 2e-9])}),
    "step_times": lambda: plots_chip.step_times(np.full(5, 1e-6), barrier=1e-7),
    "utilisation": lambda: plots_chip.utilisation([0, 5], {"neurons": np.array([0.1, 1.0])}),
    "core_map": lambda: plots_chip.core_map(64, 64, 1, [0, 4000], [0.5, 1.0], loads=np.eye(4096, 4)),
    "learned": lambda: plots_learning.learned(
        np.arange(3), {"w": rng().random((3, 4, 6)), "tag": rng().random((3, 4, 6)), "x": rng().random((3, 6))}),
    "learned weights": lambda: plots_learning.learned(np.arange(3), {"w": rng().random((3, 4, 6))}, chosen=[(0, 1)]),
    "learned trace": lambda: plots_learning.learned(np.arange(3), {"x": rng().random((3, 6))}),
    "learning_curve": lambda: plots_chip.learning_curve([1, 2], {"a": np.ones((3, 2))}, log=True),
}  # fmt: skip


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_finished(name: str) -> None:
    made = FIGURES[name]()
    axes = [ax for ax in made.axes if ax.get_label() != "<colorbar>"]
    assert any(ax.get_xlabel() for ax in axes) and any(ax.get_title(loc="left") for ax in axes)
    svg = plots.render(made, "svg")
    assert svg.startswith(b"<?xml") and plots.render(made, "png").startswith(b"\x89PNG")
    assert plots.render(FIGURES[name](), "svg") == svg


def test_energy_lines_are_merged_in_order() -> None:
    lines = {"static": 1.0, "hop_east": 2.0, "hop_north": 3.0, "learning_weight_read": 1.0, "synapse": 5.0}
    assert plots_chip.merged(lines) == {"synapse": 5.0, "hops": 5.0, "learning": 1.0, "static": 1.0}
    assert next(iter(plots_chip.merged(lines))) == "synapse"


def test_units_follow_the_largest() -> None:
    assert plots_chip.unit_for([2e-9, 5e-12], "J") == (pytest.approx(1e9), "nJ")
    assert plots_chip.unit_for([0.0], "s") == (1.0, "s")
