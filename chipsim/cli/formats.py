"""Options of commands that read or write network files, made from the table of formats."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chipsim.errors import FileError, RunError
from chipsim.mappings.formats import FORMATS, notes_of
from chipsim.mappings.formats.registry import Format, Option, format_of

if TYPE_CHECKING:
    from chipsim.program.program import Program

HDF5 = (".h5", ".hdf5")
#: What can be read, for the help of commands.
READ = ", ".join(f"{s} ({f.name})" for f in FORMATS if f.reader for s in f.suffixes[:1])


def with_format_options(command: Callable[..., None], *, written: bool = False) -> Callable[..., None]:
    """`command` with an option for each option of a reader (and of a writer where `written`).

    They reach it as one keyword, `given`: name -> value, None where the user said nothing. An option that the command
    has itself (--dt) stays its own.
    """
    mine = inspect.signature(command, eval_str=True).parameters  # get_type_hints of Python 3.10 loses `Annotated`
    all_options = ((f, o) for f in FORMATS for o in (*f.options, *(f.write_options if written else ())))
    found = {o.name: (f, o) for f, o in all_options if o.name not in mine}

    @wraps(command)
    def wrapper(**all_of_them: Any) -> None:
        given = {name: all_of_them.pop(name) for name in found}
        command(given=given, **all_of_them)

    own = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for name, p in mine.items() if name != "given"]
    added = [_parameter(made, option) for made, option in found.values()]
    wrapper.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in (*own, *added)}
    del wrapper.__wrapped__  # type: ignore[attr-defined]
    return wrapper


def _parameter(made: Format, option: Option) -> inspect.Parameter:
    flag = f"{option.flag}/--no-{option.flag[2:]}" if option.kind is bool else option.flag
    about = f"{made.name}: {option.about}."
    hint = Annotated[option.kind | None, typer.Option(flag, help=about, show_default=False)]
    return inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)


def onto_chip(
    source: Path,
    chip: str,
    given: Mapping[str, Any],
    *,
    dt: float | None = None,
    seconds: float | None = None,
    quantise: Mapping[str, Any] | None = None,
    substeps: int = 1,
    **options: Any,
) -> tuple[Program, list[str]]:
    """The network in `source`, read as its format says with the options `given`, on a chip; and what was noted.

    dt: step of the reader where the format has one (NIR), else of the chip; seconds: of the chip. Raises ChipsimError.
    """
    of = format_of(source)
    chosen = of.chosen(source, given)
    if any(o.name == "dt" for o in of.options):
        chosen["dt"], dt = dt, None
    if not source.exists():
        raise FileError(f"cannot read {source}: no such file or directory")
    net = of.call(of.reader, source, **chosen)
    if of.mapper:
        made = of.call(of.mapper, net, chip, seconds=seconds, quantise=quantise, substeps=substeps, **options)
        return made, notes_of(made)
    if substeps != 1:
        raise RunError(f"--substeps is for tools that count spikes (.nir files), not for {source.name}")
    from chipsim.mappings.formats.any_chip import compile

    made = compile(net, chip, dt=seconds or dt or 1e-3, quantise=quantise or None, **options)
    return made, [*notes_of(net), *notes_of(made)]
