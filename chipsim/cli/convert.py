"""`chipsim convert`: from one format to another, by the suffixes of the two files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from chipsim.errors import FileError, RunError
from chipsim.mappings.formats import FORMATS, notes_of, read_network, write
from chipsim.mappings.formats.registry import format_of

from .common import Json, say, working
from .fidelity import Quantise, Substeps, quantise_options
from .formats import HDF5, READ, onto_chip, with_format_options

WRITTEN = ", ".join(f"{s} ({f.name})" for f in FORMATS if f.writer for s in f.suffixes[:1])


@partial(with_format_options, written=True)
def convert(
    source: Annotated[Path, typer.Argument(help=f"{READ}, or a program (.h5).")],
    target: Annotated[Path | None, typer.Argument(metavar="[OUT]", help="The same as --out.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help=f"File to write: {WRITTEN}.")] = None,
    chip: Annotated[str, typer.Option("--chip", help="Map onto this chip and write the program.")] = "",
    dt: Annotated[
        float | None, typer.Option(help="Step in the unit of the graph's time constants (s; sinabs: 1).")
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Seconds per step on the chip, if not dt.")] = None,
    quantise: Quantise = None,
    substeps: Substeps = 1,
    as_json: Json = False,
    *,
    given: dict[str, Any],
) -> None:
    """Convert a network or program to another format; nothing is written if anything is refused."""
    if (out is None) == (target is None):
        raise typer.BadParameter("name the file to write once: chipsim convert IN OUT, or with -o OUT")
    path = out or target or Path()
    if not source.exists():
        raise FileError(f"cannot read {source}: no such file or directory")
    of, to = format_of(source), format_of(path, "writer")
    mine = {o.name for f in FORMATS for o in f.write_options} - {o.name for o in of.options}
    wanted = to.chosen(path, {k: v for k, v in given.items() if k in mine}, to.write_options)
    chosen = quantise_options(quantise)
    if to.zero_reset and of.mapper and chip:
        chosen.setdefault("compartments", 1)
    with working(f"converting {source.name}"):
        rest = {k: v for k, v in given.items() if k not in mine}
        mapped = {"quantise": chosen, "substeps": substeps, "seconds": seconds}
        value, notes = _read(source, rest, chip, dt, mapped)
        written = write(value, path, **wanted)
    data = {"from": str(source), "written": str(path), "kind": written, "notes": notes}
    say(data, as_json, *(f"note: {n}" for n in notes), f"{value!r} written to {path} as {written}")


def _read(
    source: Path, given: dict[str, Any], chip: str, dt: float | None, mapped: dict[str, Any]
) -> tuple[Any, list[str]]:
    """A network, or a program where a chip is named or the file holds one; and what was assumed."""
    from chipsim.program.program import Program
    from chipsim.storage.file import kind_of

    chosen = format_of(source).chosen(source, given)
    if source.suffix.lower() in HDF5 and kind_of(source) == "program":
        return Program.load(source), []
    if chip:
        program, notes = onto_chip(source, chip, given, dt=dt, **mapped)
        return program, [*notes, *program.warnings]
    if mapped["quantise"] or mapped["substeps"] != 1:
        raise RunError("--quantise and --substeps need a chip: name one with --chip")
    of = format_of(source)
    timed = {"dt": dt} if any(o.name == "dt" for o in of.options) else {}
    net = read_network(source, **timed, **chosen)
    return net, notes_of(net)
