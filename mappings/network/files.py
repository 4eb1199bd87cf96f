"""Networks in files of chipsim's own: HDF5, and a Python script that makes one; others: `chipsim.mappings.formats`."""

from __future__ import annotations

import runpy
import traceback
from pathlib import Path

from chipsim.errors import ChipsimError, FileError, NetworkError
from chipsim.storage.codec import write
from chipsim.storage.file import reading, writing
from chipsim.storage.names import add_label
from chipsim.storage.reader import Reader

from .network import Network

add_label("ideal", "chipsim.mappings.network.ideal", former="mappings.ideal")


def save_network(net: Network, path: str | Path) -> Path:
    """Write `net` to the HDF5 file `path` (docs/formats.md) and return that path; raises FileError."""
    with writing(path, "network") as file:
        write(file, "name", net.name)
        write(file, "metadata", net.metadata)
        write(file, "populations", {name: p.model for name, p in net.populations.items()})
        projections = {
            name: {
                "pre": p.pre.name,
                "post": p.post.name,
                "weights": p.synapses,
                "delay": p.delay,
                "rule": p.rule,
            }
            for name, p in net.projections.items()
        }
        write(file, "projections", projections)
    return Path(path)


def load_network(path: str | Path) -> Network:
    """The network of an HDF5 file written by `save_network`; raises FileError for any other file."""
    with reading(path, "network") as file:
        reader = Reader()
        net = Network(reader.read(file, "name"))
        net.metadata = reader.read(file, "metadata")
        if not isinstance(net.metadata, dict):
            raise FileError("'metadata' is no table of names")
        try:
            for name, model in reader.read(file, "populations").items():
                net.add(name, model)
            for name, p in reader.read(file, "projections").items():
                net.connect(p["pre"], p["post"], p["weights"], delay=p["delay"], rule=p["rule"], name=name)
        except NetworkError as error:
            raise FileError(str(error)) from None
    return net


def run_script(path: str | Path) -> Network:
    """The network that a Python file defines as `net`, or returns from `network()`.

    Raises
    ------
    FileError
        The script fails (with its line), or defines neither.
    """
    source = Path(path)
    if not source.is_file():
        raise FileError(f"cannot read {source}: no such file")
    try:
        names = runpy.run_path(str(source), run_name="network")
        made = names.get("net") if "net" in names else names["network"]() if callable(names.get("network")) else None
    except ChipsimError:
        raise
    except (Exception, SystemExit) as error:
        line = next(
            (f.lineno for f in reversed(traceback.extract_tb(error.__traceback__)) if f.filename == str(source)),
            0,
        )
        at = f", line {line}" if line else ""
        raise FileError(
            f"{source}{at}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        ) from error
    if not isinstance(made, Network):
        raise FileError(f"{source} defines no network: give it a variable `net` or a function `network()`")
    return made
