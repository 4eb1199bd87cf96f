"""The table of formats: an entry is enough for reading, writing, the options of the command line and its refusals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import chipsim as cs
from chipsim.cli.formats import with_format_options
from chipsim.errors import FileError, RunError
from chipsim.mappings.formats import FORMATS, read_network, write
from chipsim.mappings.formats.registry import Format, Option, format_of


def read_counts(path: str | Path, *, twice: bool = False) -> cs.Network:
    """A toy format: a file with one number, the neurons of the network."""
    net = cs.Network(Path(path).stem)
    net.add("x", cs.SpikeSource(int(Path(path).read_text()) * (2 if twice else 1)))
    return net


def write_counts(net: cs.Network, path: str | Path, *, unit: str = "") -> None:
    Path(path).write_text(f"{net.populations['x'].n}{unit}")


COUNTS = Format(
    "count",
    (".count",),
    reader=f"{__name__}:read_counts",
    writer=f"{__name__}:write_counts",
    options=(Option("twice", bool, "double it"),),
    write_options=(Option("unit", str, "written behind it"),),
)


@pytest.fixture
def counted() -> Iterator[None]:
    FORMATS.append(COUNTS)
    yield
    FORMATS.remove(COUNTS)


@pytest.mark.usefixtures("counted")
def test_an_entry_reads_and_writes(tmp_path: Path) -> None:
    (tmp_path / "a.count").write_text("3")
    assert read_network(tmp_path / "a.count").populations["x"].n == 3
    assert write(read_network(tmp_path / "a.count", twice=True), tmp_path / "b.count") == "count"
    assert (tmp_path / "b.count").read_text() == "6"


@pytest.mark.usefixtures("counted")
def test_an_entry_gives_commands_its_options() -> None:
    seen: dict[str, Any] = {}

    def command(name: str, size: int = 2, *, given: dict[str, Any]) -> None:
        seen.update(given, name=name, size=size)

    app = typer.Typer()
    app.command()(with_format_options(command, written=True))
    said = CliRunner().invoke(app, ["a", "--twice", "--scheme", "snntorch", "--unit", "u"])
    assert said.exit_code == 0, said.output
    assert (seen["twice"], seen["scheme"], seen["unit"], seen["reset"]) == (True, "snntorch", "u", None)
    assert (seen["name"], seen["size"]) == ("a", 2)
    assert "--no-twice" in CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output


def test_options_of_another_format_are_refused_by_name() -> None:
    nir = format_of("a.nir")
    assert nir.chosen(Path("a.nir"), {"scheme": "exact", "planes": None}) == {"scheme": "exact"}
    with pytest.raises(RunError, match=r"--planes is an option of automaton \(\.json\) files, not of a\.nir"):
        nir.chosen(Path("a.nir"), {"planes": 2})


@pytest.mark.parametrize("role", ["reader", "writer"])
def test_unknown_suffixes_name_the_known(role: str) -> None:
    with pytest.raises(FileError, match=rf"no {role} for '\.abc'; files are .*\.nir \(NIR graph\)"):
        format_of("a.abc", role)
    with pytest.raises(FileError, match="a file without suffix"):
        format_of("a", role)


@pytest.mark.parametrize("made", FORMATS, ids=lambda f: f.name)
def test_every_function_of_the_table_exists(made: Format) -> None:
    from importlib import import_module
    from inspect import signature

    for role in ("reader", "writer", "describer", "mapper"):
        module, _, name = getattr(made, role).partition(":")
        if module:
            assert callable(getattr(import_module(module), name)), role
    if made.reader:
        module, _, name = made.reader.partition(":")
        taken = signature(getattr(import_module(module), name)).parameters
        open_ended = any(p.kind is p.VAR_KEYWORD for p in taken.values())
        assert open_ended or {o.name for o in made.options} <= set(taken)
