"""`chipsim inspect`: what is in a file, as text: a program, result, network, checkpoint, or a format with a reader."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .common import Json, say

HDF5 = (".h5", ".hdf5")


def inspect(
    file: Annotated[Path, typer.Argument(help="A program, result, network or checkpoint, or any network file.")],
    as_json: Json = False,
) -> None:
    """Show what a file holds: populations with their registers or parameters, projections, cores."""
    kind, value = _opened(file)
    text = value if isinstance(value, str) else _text(value)
    say({"file": str(file), "kind": kind, "text": text.splitlines()}, as_json, text.rstrip())


def _opened(file: Path) -> tuple[str, Any]:
    from chipsim.mappings.formats import read_network
    from chipsim.mappings.formats.registry import format_of
    from chipsim.program.program import Program
    from chipsim.storage.file import kind_of

    if file.suffix.lower() not in HDF5 and file.exists():
        of = format_of(file)
        return (of.name, of.call(of.describer, file)) if of.describer else ("network", read_network(file))
    kind = kind_of(file)
    if kind == "network":
        return kind, read_network(file)
    return kind, _checkpoint(file) if kind == "state" else Program.load(file) if kind == "program" else _result(file)


def _text(value: Any) -> str:
    from chipsim.mappings.compiler.dump import dump

    return dump(value)


def _result(file: Path) -> str:
    from chipsim.results import Result

    result = Result.load(file)
    recorded = [f"  recorded {name}: {', '.join(variables)}" for name, variables in result.trace.items()]
    totals = [f"  {name.replace('_', ' ')}: {count:,}" for name, count in result.activity.totals().items()]
    return "\n".join([f"result: {result.steps} steps", *recorded, *totals, _text(result.program)])


def _checkpoint(file: Path) -> str:
    """Names, shapes and types of the arrays, without reading them."""
    import h5py

    from chipsim.storage.file import reading

    lines = [f"checkpoint {file.name}"]

    def visit(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            lines.append(f"  {name}: {node.dtype} {node.shape}")

    with reading(file, "state") as opened:
        opened.visititems(visit)
    return "\n".join(lines)
