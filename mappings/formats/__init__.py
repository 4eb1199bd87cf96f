"""Networks in other tools' forms and in files, a folder a tool; each imports its tool only when called.

May import the builders, the compiler and networks.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from chipsim.errors import FileError
from chipsim.mappings.network.files import load_network, run_script
from chipsim.mappings.network.network import Network


def load_nir(path: str | Path, **options: Any) -> Network:
    """A NIR graph; options as in `chipsim.mappings.formats.nir.reader.from_nir` (dt and scheme unless the file says
    them)."""
    from chipsim.mappings.formats.nir.reader import from_nir

    return from_nir(path, **options)


def load_netx(path: str | Path) -> Network:
    """A NetX file of lava-dl (`chipsim.mappings.formats.netx.reader.from_netx`)."""
    from chipsim.mappings.formats.netx.reader import from_netx

    return from_netx(path)


def load_automaton(path: str | Path, **options: Any) -> Network:
    """A finite automaton in JSON; options as in `chipsim.mappings.formats.automaton.load_automaton`."""
    from chipsim.mappings.formats.automaton import load_automaton

    return load_automaton(path, **options)


#: Suffix -> reader of a path. A reader of another format adds itself here.
READERS: dict[str, Callable[..., Network]] = {
    ".h5": load_network,
    ".hdf5": load_network,
    ".py": run_script,
    ".nir": load_nir,
    ".net": load_netx,
    ".json": load_automaton,
}


def read_network(path: str | Path, **options: Any) -> Network:
    """The network in `path`, by the reader of its suffix; `options` go to that reader.

    Raises
    ------
    FileError
        An unknown suffix, or a file that its reader refuses.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in READERS:
        raise FileError(f"{path}: no reader for '{suffix or 'a file without suffix'}'; there are {', '.join(READERS)}")
    return READERS[suffix](path, **options)
