"""Other tools' files and objects, a folder or module a tool. Imports builders, compiler, network.

`FORMATS` is the table of file formats: adding one is an entry here, and the functions that it names.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .registry import FORMATS, Format, Option, format_of

if TYPE_CHECKING:
    from chipsim.mappings.network.network import Network
    from chipsim.program.program import Program

_HERE = "chipsim.mappings.formats"
_FILES = "chipsim.mappings.network.files"

FORMATS[:] = [
    Format(
        "chipsim's own",
        (".h5", ".hdf5"),
        reader=f"{_FILES}:load_network",
        writer=f"{_HERE}.own:write_own",
    ),
    Format("Python script", (".py",), reader=f"{_FILES}:run_script"),
    Format(
        "NIR graph",
        (".nir",),
        reader=f"{_HERE}.nir.reader:from_nir",
        writer=f"{_HERE}.nir.writer:to_nir",
        describer=f"{_HERE}.nir.text:describe",
        mapper=f"{_HERE}.nir.onto_chip:compile_read",
        options=(
            Option("dt", float, "step in the unit of the graph's time constants (s; sinabs: 1)"),
            Option("scheme", str, "snntorch, norse_box, norse_import, sinabs, rockpool or exact"),
            Option("reset", str, "zero or subtract; the tool's default if left out"),
            Option("reset_delay", bool, "from snnTorch: the reset waits a step"),
            Option("spike_fn", str, "from sinabs: SingleSpike or MultiSpike"),
            Option("min_v_mem", float, "from sinabs: lowest potential"),
        ),
        write_options=(Option("tool", str, "write for the importer of snntorch or norse"),),
    ),
    Format(
        "NetX network",
        (".net",),
        reader=f"{_HERE}.netx.reader:from_netx",
        writer=f"{_HERE}.netx.writer:write_netx",
        describer=f"{_HERE}.netx.reader:describe",
        zero_reset=True,
    ),
    Format(
        "automaton",
        (".json",),
        reader=f"{_HERE}.automaton:load_automaton",
        options=(
            Option("encoding", str, "one-hot, binary or sqrt"),
            Option("planes", int, "sqrt: bit planes of the table read at once"),
        ),
    ),
    Format(
        "Lava script",
        (".py",),
        writer=f"{_HERE}.lava.writer:write_script_of",
        zero_reset=True,
    ),
]


def read_network(path: str | Path, **options: Any) -> Network:
    """The network in `path`, by the reader of its suffix; `options` go to that reader.

    Raises
    ------
    FileError
        An unknown suffix, or a file that its reader refuses.
    """
    made = format_of(path)
    return made.call(made.reader, path, **options)


def write(value: Network | Program, path: str | Path, **options: Any) -> str:
    """Write a network or program as the suffix of `path` says and return what was written ("program", "NIR graph", …).

    Raises
    ------
    FileError
        An unknown suffix, or nowhere to write.
    ChipsimError
        What the format cannot say, with the reason.
    """
    made = format_of(path, "writer")
    written = made.call(made.writer, value, path, **options)
    return written if isinstance(written, str) else made.name


def notes_of(value: Network | Program) -> list[str]:
    """What readers and passes noted about a network or program: assumed, left out, approximated."""
    from chipsim.program.program import Program

    told = value.stages if isinstance(value, Program) else value.metadata
    return [note for part in told.values() if isinstance(part, dict) for note in part.get("notes", ())]
