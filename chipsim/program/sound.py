"""Whether a program from a file is one: every field of its kind, every index within its bound, all of one family.

What a compiler makes is sound by construction; a file may hold anything that its classes take.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from chipsim.checks import MAX_SEED, finite, name_of, text_of, whole
from chipsim.chips.arithmetic import PRESETS, Arithmetic
from chipsim.chips.schema import Chip
from chipsim.errors import FileError, NetworkError
from chipsim.native.base import NeuronModel
from chipsim.native.synapses import Conv, FloatSynapses, Synapses
from chipsim.rules.carried import kind_of

from .images import PopulationImage, ProgramData, ProjectionImage

#: Family of a chip -> module of its synapses, where these are its own.
_OWN = {
    "odin": "chipsim.native.crossbar.odin", "tinyodin": "chipsim.native.crossbar.tinyodin",
    "reckon": "chipsim.native.reckon.neurons", "truenorth": "chipsim.native.grid.truenorth",
    "xylo": "chipsim.native.xylo", "catalyst": "chipsim.native.catalyst",
}  # fmt: skip
_DIRECT = ("", "gate", "slope")  #: roles of what neurons take; others name a third factor
_ANY_CORE = 1 << 20  #: chips of a description that does not say how many there are


def check_program(program: ProgramData) -> None:
    """Raise FileError for a program whose fields contradict its chip, or each other."""
    chip, arithmetic = program.chip, program.arithmetic
    if not isinstance(chip, Chip) or not isinstance(arithmetic, Arithmetic):
        raise FileError("the program names no chip, or no arithmetic")
    if arithmetic.preset not in PRESETS or arithmetic.is_float != (chip.family == "float"):
        raise FileError(f"arithmetic {str(arithmetic.preset)[:40]!r} is none of chip {chip.name}")
    try:
        text_of(program.name, "program name")
        whole(program.seed, "seed", 0, MAX_SEED)
        if finite(program.dt, "dt") <= 0:
            raise FileError(f"dt={program.dt}: not positive")
        _check_names(program.populations, PopulationImage, "population")
        _check_names(program.projections, ProjectionImage, "projection")
        _check_populations(program)
        for projection in program.projections:
            _check_projection(projection, program)
    except NetworkError as error:
        raise FileError(str(error)) from None
    if not isinstance(program.stages, dict):
        raise FileError("the program's stages are no dict")


def _check_names(images: Any, kind: type, what: str) -> None:
    if not isinstance(images, tuple) or not all(isinstance(image, kind) for image in images):
        raise FileError(f"the program's {what}s are none")
    names = [name_of(image.name, what) for image in images]
    if len(set(names)) < len(names):
        raise FileError(f"two {what}s have the same name")


def _check_populations(program: ProgramData) -> None:
    start = 0
    for image in program.populations:
        if not isinstance(image.model, NeuronModel) or type(image.start) is not int or image.start != start:
            raise FileError(f"population {image.name} does not follow the one before it")
        _check_unit(image.unit, f"population {image.name}")
        finite(image.offset, f"population {image.name}: offset")
        start = image.stop
    core, chip = program.core, program.chip
    if not isinstance(core, np.ndarray) or core.shape != (start,) or core.dtype.kind not in "iu":
        raise FileError(f"the placement does not name a core for each of {start} neurons")
    cores = chip.topology.cores * (chip.topology.chips or _ANY_CORE)
    if start and not -1 <= core.min() <= core.max() < cores:
        raise FileError(f"the placement names cores that chip {chip.name} does not have")
    inputs = np.concatenate([np.full(p.n, p.model.is_input) for p in program.populations] or [np.zeros(0, bool)])
    taught = {p.post for p in program.projections if getattr(p, "rule", None) is not None}
    free = [np.full(p.n, p.model.is_input and k in taught) for k, p in enumerate(program.populations)]
    if np.any(((core < 0) != inputs) & ~np.concatenate(free or [np.zeros(0, bool)])):
        raise FileError("the placement gives cores to input lines, or none to neurons")


def _check_unit(unit: Any, what: str) -> None:
    if unit is not None:
        finite(unit, f"{what}: unit")


def _check_projection(projection: ProjectionImage, program: ProgramData) -> None:
    count, what = len(program.populations), f"projection '{projection.name}'"
    ends = projection.pre, projection.post
    if not all(type(end) is int and 0 <= end < count for end in ends):
        raise FileError("a projection connects populations that do not exist")
    synapses, wanted = projection.synapses, (program.populations[ends[1]].n, program.populations[ends[0]].n)
    kinds = _synapses_of(program.chip.family)
    if not isinstance(synapses, kinds):
        raise FileError(f"{what}: chip {program.chip.name} has no {type(synapses).__name__}")
    if tuple(synapses.shape) != wanted:
        raise FileError(f"{what} has synapses {tuple(synapses.shape)} between populations of {wanted}")
    text_of(projection.role, f"{what}: role")
    if program.populations[ends[1]].model.is_input and projection.rule is None and projection.role in _DIRECT:
        raise FileError(f"{what} leads into a spike source")
    if projection.role == "slope" and (wanted[0] != wanted[1] or not _has_slope(program.populations[ends[0]])):
        raise FileError(f"{what} gives a slope that its source does not have")
    if projection.rule is not None:
        kind_of(projection.rule)
    _check_unit(projection.unit, what)


def _has_slope(image: PopulationImage) -> bool:
    return "slope" in getattr(image.model, "variables", {})


def _synapses_of(family: str) -> tuple[type, ...]:
    if family in _OWN:
        return (import_module(_OWN[family]).Synapses,)
    return (FloatSynapses, Conv) if family == "float" else (Synapses, Conv)
