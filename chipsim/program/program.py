"""The program: what a chip loads. Everything is native, placed and frozen; it can be saved, loaded and run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chipsim.checks import quoted
from chipsim.errors import RunError

from .images import PopulationImage as PopulationImage
from .images import ProgramData
from .images import ProjectionImage as ProjectionImage

if TYPE_CHECKING:
    import h5py

    from .fan_out import FanOut


@dataclass(frozen=True, eq=False)
class Program(ProgramData):
    """A network on a chip.

    Attributes
    ----------
    chip : Chip
        Description of the chip it was compiled for.
    populations, projections : tuples of PopulationImage and ProjectionImage
    core : (n,) int32
        Physical core of each neuron, -1 for input lines.
    arithmetic : Arithmetic
        The named integer options in force.
    dt : float
        Seconds per step.
    seed : int
        Of everything random in a run.
    stages : dict
        What each compiler pass reported, by pass name (plain data, for people and reports).
    """

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the compiler warned of, in words; `compile` gives each to `warnings.warn` (`cs.ChipsimWarning`)."""
        stages = [s for s in self.stages.values() if isinstance(s, Mapping)]
        return tuple(dict.fromkeys(str(w) for stage in stages for w in stage.get("warnings", ())))

    @cached_property
    def cores(self) -> np.ndarray:
        """Physical cores in use, ascending, (c,) int32. Counters have one column for each."""
        return np.unique(self.core[self.core >= 0]).astype(np.int32)

    @cached_property
    def column(self) -> np.ndarray:
        """Column of each neuron's core in the counters, (n,) int32, -1 for input lines."""
        if not self.cores.size:
            return np.full(self.n, -1, np.int32)
        found = np.searchsorted(self.cores, self.core).astype(np.int32)
        return np.where(self.core >= 0, found, -1).astype(np.int32)

    @cached_property
    def fan_out(self) -> FanOut:
        """Where each neuron's spikes go (counted when first asked for)."""
        from .fan_out import Placed, fan_out

        topology = self.chip.topology
        return fan_out(Placed(self.populations, self.projections, self.n, self.cores, self.column, topology))

    def population(self, name: str) -> PopulationImage:
        """The population of that name; raises RunError naming those that exist."""
        for image in self.populations:
            if image.name == name:
                return image
        known = ", ".join(p.name for p in self.populations)
        raise RunError(f"program '{self.name}' has no population '{name}'; it has {known}")

    def projection(self, name: str) -> int:
        """The number of the projection of that name; raises RunError naming those that exist."""
        names = [p.name for p in self.projections]
        if not isinstance(name, str) or name not in names:
            known = ", ".join(names) or "none"
            raise RunError(f"program '{self.name}' has no projection {quoted(name)}; it has {known}")
        return names.index(name)

    def save(self, path: str | Path) -> Path:
        """Write the program to one HDF5 file (docs/formats.md); nothing is left behind if it fails."""
        return save_program(self, path)

    @staticmethod
    def load(path: str | Path) -> Program:
        """Read a saved program; raises FileError for a file that is missing, cut short or not a program."""
        return load_program(path)

    def __repr__(self) -> str:
        """Name, chip and size."""
        neurons = int(np.count_nonzero(self.core >= 0))
        return f"Program({self.name!r} on {self.chip.name}: {neurons} neurons on {len(self.cores)} cores)"


#: What a program consists of, in files.
PARTS = ("chip", "populations", "projections", "core", "arithmetic", "dt", "seed", "name", "stages")


def save_program(program: Program, path: str | Path) -> Path:
    """Write `program` to the HDF5 file `path` and return that path.

    Raises
    ------
    FileError
        The place cannot be written, or the program holds an object that no file could give back.
    """
    from chipsim.storage.file import writing

    with writing(path, "program") as file:
        write_program(file, program)
    return Path(path)


def load_program(path: str | Path) -> Program:
    """The program saved in `path` (also the one inside a result file).

    Raises
    ------
    FileError
        The file is missing, cut short, of another kind, of a newer version, or contradicts itself.
    """
    from chipsim.storage.file import reading

    with reading(path, "program", "result") as file:
        root = file["program"] if file.attrs["kind"] == "result" else file
        return read_program(root)


def write_program(group: h5py.Group, program: Program) -> None:
    """The parts of `program` into an open file."""
    from chipsim.storage.codec import write

    for name in PARTS:
        write(group, name, getattr(program, name))


def read_program(group: h5py.Group) -> Program:
    """The program in an open file, checked; raises FileError for parts that contradict each other."""
    from chipsim.storage.reader import Reader

    from .sound import check_program

    reader = Reader()
    parts = {name: reader.read(group, name) for name in PARTS}
    program = Program(**parts)
    check_program(program)
    return program


def fingerprint(program: Program) -> str:
    """SHA-256 over all that decides a run: chip, registers, synapses, placement, arithmetic, dt and seed."""
    from chipsim.storage.codec import walk

    digest = sha256()
    for name in PARTS:
        if name not in ("name", "stages"):
            walk(getattr(program, name), digest.update)
    return digest.hexdigest()
