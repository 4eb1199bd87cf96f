"""`chipsim convert`: from one format to another, by the suffixes of the two files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from chipsim.errors import FileError, RunError

from .common import Json, say, working
from .fidelity import Quantise, Substeps, quantise_options

LAVA = (".py", ".net")  #: formats of Lava, whose Loihi neurons reset to zero

Scheme = Annotated[
    str, typer.Option("--scheme", help="NIR: snntorch, norse_box, norse_import, sinabs, rockpool or exact.")
]
Reset = Annotated[str, typer.Option("--reset", help="NIR: zero or subtract; the tool's default if empty.")]
ResetDelay = Annotated[
    bool | None, typer.Option("--reset-delay/--no-reset-delay", help="NIR from snnTorch: the reset waits a step.")
]
SpikeFn = Annotated[str, typer.Option("--spike-fn", help="NIR from sinabs: SingleSpike or MultiSpike.")]
Encoding = Annotated[str, typer.Option("--encoding", help="Automaton: one-hot, binary or sqrt.")]
Planes = Annotated[int | None, typer.Option("--planes", help="Automaton, sqrt: bit planes of the table read at once.")]
MinVMem = Annotated[float | None, typer.Option("--min-v-mem", help="NIR from sinabs: lowest potential.")]


def nir_options(
    dt: float | None, scheme: str, reset: str, reset_delay: bool | None, spike_fn: str, min_v_mem: float | None
) -> dict[str, Any]:
    """Options of `from_nir` from those of a command; empty ones are left to the graph and its tool."""
    return {
        "dt": dt, "scheme": scheme or None, "reset": reset or None, "reset_delay": reset_delay,
        "spike_fn": spike_fn or None, "min_v_mem": min_v_mem,
    }  # fmt: skip


def convert(
    source: Annotated[
        Path,
        typer.Argument(help="model.nir, model.net (NetX), automaton.json, a network (.h5, .py), or a program (.h5)."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: .h5, .nir, .net (NetX) or .py (Lava).")],
    chip: Annotated[str, typer.Option("--chip", help="Map onto this chip and write the program.")] = "",
    dt: Annotated[
        float | None, typer.Option(help="Step in the unit of the graph's time constants (s; sinabs: 1).")
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Seconds per step on the chip, if not dt.")] = None,
    scheme: Scheme = "",
    reset: Reset = "",
    reset_delay: ResetDelay = None,
    spike_fn: SpikeFn = "",
    min_v_mem: MinVMem = None,
    encoding: Encoding = "",
    planes: Planes = None,
    quantise: Quantise = None,
    substeps: Substeps = 1,
    tool: Annotated[str, typer.Option("--tool", help="Write .nir for the importer of snntorch or norse.")] = "",
    as_json: Json = False,
) -> None:
    """Convert a network or program to another format; nothing is written if anything is refused."""
    options = nir_options(dt, scheme, reset, reset_delay, spike_fn, min_v_mem)
    with working(f"converting {source.name}"):
        mapped = {"quantise": quantise_options(quantise), "substeps": substeps}
        if out.suffix.lower() in LAVA and source.suffix.lower() == ".nir" and chip:
            mapped["quantise"].setdefault("compartments", 1)
        value, notes = _read(source, chip, seconds, options, {"encoding": encoding or None, "planes": planes}, mapped)
        if tool and out.suffix.lower() != ".nir":
            raise RunError(f"--tool says who will read a .nir file, not {out.name}")
        written = _write(value, out, tool or None)
    data = {"from": str(source), "written": str(out), "kind": written, "notes": notes}
    say(data, as_json, *(f"note: {n}" for n in notes), f"{value!r} written to {out} as {written}")


def _read(
    source: Path,
    chip: str,
    seconds: float | None,
    options: dict[str, Any],
    automaton: dict[str, Any],
    mapped: dict[str, Any],
) -> tuple[Any, list[str]]:
    """A network, or a program where a chip is named or the file holds one; and what was assumed."""
    from chipsim.mappings.formats import read_network

    if not source.exists():
        raise FileError(f"cannot read {source}: no such file or directory")
    chosen = {k: v for k, v in automaton.items() if v is not None}
    if chosen and source.suffix.lower() != ".json":
        raise RunError(f"--{next(iter(chosen))} belongs to automata (.json), not to {source.name}")
    if mapped["quantise"] and not chip:
        raise RunError("--quantise needs a chip: name one with --chip")
    if source.suffix.lower() == ".nir":
        if chip:
            from chipsim.mappings.formats.nir.onto_chip import compile_nir

            program = compile_nir(source, chip, seconds=seconds, **mapped, **options)
            return program, [*program.stages["nir"]["notes"], *program.stages.get("quantise", {}).get("warnings", [])]
        net = read_network(source, **options)
        return net, list(net.metadata["nir"]["notes"])
    if any(v is not None for k, v in options.items() if k != "dt"):
        raise RunError(f"--scheme, --reset and the like belong to .nir files, not to {source.name}")
    if mapped["substeps"] != 1:
        raise RunError(f"--substeps belongs to .nir files, not to {source.name}")
    from chipsim.program.program import Program
    from chipsim.storage.file import kind_of

    if source.suffix.lower() in (".h5", ".hdf5") and kind_of(source) == "program":
        return Program.load(source), []
    net = read_network(source, **chosen)
    notes = list(net.metadata.get("netx", {}).get("notes", []))
    if not chip:
        return net, notes
    from chipsim.mappings.compiler.compile import compile

    return compile(net, chip, dt=options["dt"] or 1e-3, quantise=mapped["quantise"] or None), notes


def _write(value: Any, out: Path, tool: str | None) -> str:
    from chipsim.program.program import Program

    suffix = out.suffix.lower()
    is_program = isinstance(value, Program)
    if suffix in (".h5", ".hdf5"):
        if is_program:
            value.save(out)
            return "program"
        from chipsim.mappings.network.files import save_network

        save_network(value, out)
        return "network"
    if suffix == ".nir":
        from chipsim.mappings.formats.nir.writer import to_nir

        to_nir(value, out, tool=tool)
        return "NIR graph"
    if suffix == ".net":
        from chipsim.mappings.formats.netx.writer import write_netx

        write_netx(value, out)
        return "NetX network"
    if suffix == ".py" and is_program:
        from chipsim.mappings.formats.lava.writer import write_lava_script

        write_lava_script(value, out)
        return "Lava script"
    if suffix == ".py":
        raise RunError(f"{out}: Lava takes the integers of a chip; name one with --chip loihi")
    raise FileError(f"{out}: written are .h5, .nir, .net (NetX) and .py (Lava), not '{suffix}'")
