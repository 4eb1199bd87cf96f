"""The readers of HDF5 files under attack: seeds, what is done with what they accept, mutations."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import chipsim as cs

from .harness import Target
from .mutate import mutate_hdf5

STEPS = 2  #: run with what was accepted
MOST = 4096  #: neurons of a program that is run


def saved(save: Callable[[Path], Any], suffix: str = ".h5") -> bytes:
    """The bytes that `save(path)` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"seed{suffix}"
        save(path)
        return path.read_bytes()


def loihi_net() -> cs.Network:
    """Sources, two populations, dense with delays, sparse."""
    import scipy.sparse as sp

    net = cs.Network("n")
    x, a, b = cs.SpikeSource(3), cs.loihi.LIF(4, vth=20), cs.loihi.LIF(2, vth=9)
    x, a, b = net.add("x", x), net.add("a", a), net.add("b", b)
    net.connect(x, a, cs.loihi.Synapses(np.arange(12).reshape(4, 3) * 3, delays=np.arange(12).reshape(4, 3) % 4))
    net.connect(a, b, cs.loihi.Synapses(sp.csc_array(np.array([[5, 0, 7, 0], [0, 40, 0, 2]]))))
    return net


@cache
def programs() -> dict[str, Any]:
    """A small program of every engine family."""
    return {"loihi": cs.compile(loihi_net(), "loihi")}


def read_program(path: Path) -> None:
    """Load, and run two steps."""
    program = cs.Program.load(path)
    if program.n <= MOST:
        cs.Emulator(program).run({}, STEPS)


TARGETS = [
    Target("program", ".h5", lambda: [saved(p.save) for p in programs().values()], read_program, mutate_hdf5),
]
