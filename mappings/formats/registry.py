"""What a format is, as a value: which files, who reads, writes and describes them, with which options.

A format is one entry of `FORMATS` in this folder's `__init__`; `read_network`, `write`, the commands `convert`, `run`,
`map` and `inspect` with their options, and the texts of their refusals follow from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from chipsim.errors import FileError, RunError


@dataclass(frozen=True)
class Option:
    """An option of a reader or writer: a keyword of its function, `--name` on the command line.

    Attributes
    ----------
    name : str
        Keyword; underscores become dashes on the command line.
    kind : type
        str, int, float or bool (on the command line: --name/--no-name).
    about : str
        One sentence, shown by `--help`.
    """

    name: str
    kind: type
    about: str

    @property
    def flag(self) -> str:
        """As it is written on the command line."""
        return "--" + self.name.replace("_", "-")


@dataclass(frozen=True)
class Format:
    """A file format of networks or programs; functions are named "module:function" and loaded when called.

    Attributes
    ----------
    name : str
        As messages and `inspect` name it.
    suffixes : tuple of str
        Of its files, lower case with the dot.
    reader : str
        (path, **options) -> Network; "" where nothing is read.
    writer : str
        (Network or Program, path, **write_options) -> what was written, a text or None (the format's name).
    describer : str
        (path) -> text for `inspect`; "" for the dump of what was read.
    mapper : str
        (network, chip, *, seconds, quantise, substeps, **options) -> Program where networks of this format are mapped
        in a way of their own; "" for `compile`.
    options, write_options : tuple of Option
        Of the reader and of the writer.
    zero_reset : bool
        Who reads such files takes neurons that reset to zero only (Loihi's): a mapping on the way there keeps to them.
    """

    name: str
    suffixes: tuple[str, ...]
    reader: str = ""
    writer: str = ""
    describer: str = ""
    mapper: str = ""
    options: tuple[Option, ...] = ()
    write_options: tuple[Option, ...] = ()
    zero_reset: bool = False

    def call(self, function: str, *args: Any, **options: Any) -> Any:
        """Call one of the functions above by its "module:function" name."""
        module, _, name = function.partition(":")
        return getattr(import_module(module), name)(*args, **options)

    def chosen(self, path: Path, given: Mapping[str, Any], options: tuple[Option, ...] | None = None) -> dict[str, Any]:
        """Those of `given` that were set (not None), checked to be options of this format.

        Raises
        ------
        RunError
            An option belongs to files of another format.
        """
        known = {o.name for o in (self.options if options is None else options)}
        for name, value in given.items():
            if value is not None and name not in known:
                flag = "--" + name.replace("_", "-")
                raise RunError(f"{flag} is an option of {owners(name)} files, not of {path.name}")
        return {name: value for name, value in given.items() if value is not None}


#: Every format; this room's `__init__` fills the table.
FORMATS: list[Format] = []


def owners(option: str) -> str:
    """The formats that have an option, in words: "NIR graph (.nir)"."""
    having = [f for f in FORMATS if any(o.name == option for o in (*f.options, *f.write_options))]
    return " and ".join(f"{f.name} ({', '.join(f.suffixes)})" for f in having)


def suffixes(role: str) -> str:
    """The suffixes that can be read ("reader") or written ("writer"), in words."""
    return ", ".join(f"{s} ({f.name})" for f in FORMATS if getattr(f, role) for s in f.suffixes)


def format_of(path: str | Path, role: str = "reader") -> Format:
    """The format of a path by its suffix; `role` "reader" or "writer".

    Raises
    ------
    FileError
        No format with that suffix reads (writes) files.
    """
    suffix = Path(path).suffix.lower()
    for made in FORMATS:
        if suffix in made.suffixes and getattr(made, role):
            return made
    what = f"'{suffix}'" if suffix else "a file without suffix"
    done = "read" if role == "reader" else "written"
    raise FileError(f"{path}: no {role} for {what}; files are {done} as {suffixes(role)}")
