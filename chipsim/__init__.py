"""chipsim: a neuromorphic chip on a laptop.

>>> import chipsim as cs
>>> net = cs.Network("two neurons")
>>> x = net.add("in", cs.SpikeSource(2))
>>> out = net.add("out", cs.loihi.LIF(2, vth=100))

The names below are loaded when first used, so that `import chipsim` costs neither a compiler nor a plot library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what a checker sees: the names of _DOORS (tests/house/test_typed.py holds the two equal)
    from . import rules
    from .chips.read import load_chip as chip
    from .emulator import Emulator
    from .errors import ChipsimError, ChipsimWarning, CompileError, DescriptionError, FileError, NetworkError, RunError
    from .mappings.compiler.compile import compile
    from .mappings.formats.nir.reader import from_nir
    from .mappings.formats.nir.writer import to_nir
    from .mappings.formats.sklearn import from_sklearn
    from .mappings.formats.torch.reader import from_torch
    from .mappings.network.ideal import IF, LI, LIF, LSNN, Conv2d
    from .mappings.network.network import Network
    from .native import catalyst, floats, loihi, xylo
    from .native.base import SpikeSource
    from .native.crossbar import odin, tinyodin
    from .native.grid import truenorth
    from .native.reckon import neurons as reckon
    from .program.program import Program
    from .results import Result

__version__ = "0.1.0"

__all__ = [
    "IF",
    "LI",
    "LIF",
    "LSNN",
    "ChipsimError",
    "ChipsimWarning",
    "CompileError",
    "Conv2d",
    "DescriptionError",
    "Emulator",
    "FileError",
    "Network",
    "NetworkError",
    "Program",
    "Result",
    "RunError",
    "SpikeSource",
    "catalyst",
    "chip",
    "compile",
    "floats",
    "from_nir",
    "from_sklearn",
    "from_torch",
    "loihi",
    "odin",
    "reckon",
    "rules",
    "tinyodin",
    "to_nir",
    "truenorth",
    "xylo",
]

#: Public name -> (module, attribute; "" for the module itself).
_DOORS = {
    "Network": ("chipsim.mappings.network.network", "Network"),
    "SpikeSource": ("chipsim.native.base", "SpikeSource"),
    "LIF": ("chipsim.mappings.network.ideal", "LIF"),
    "IF": ("chipsim.mappings.network.ideal", "IF"),
    "LI": ("chipsim.mappings.network.ideal", "LI"),
    "LSNN": ("chipsim.mappings.network.ideal", "LSNN"),
    "Conv2d": ("chipsim.mappings.network.ideal", "Conv2d"),
    "from_nir": ("chipsim.mappings.formats.nir.reader", "from_nir"),
    "from_sklearn": ("chipsim.mappings.formats.sklearn", "from_sklearn"),
    "from_torch": ("chipsim.mappings.formats.torch.reader", "from_torch"),
    "to_nir": ("chipsim.mappings.formats.nir.writer", "to_nir"),
    "compile": ("chipsim.mappings.formats.any_chip", "compile"),
    "chip": ("chipsim.chips.read", "load_chip"),
    "Program": ("chipsim.program.program", "Program"),
    "Emulator": ("chipsim.emulator", "Emulator"),
    "Result": ("chipsim.results", "Result"),
    "loihi": ("chipsim.native.loihi", ""),
    "floats": ("chipsim.native.floats", ""),
    "odin": ("chipsim.native.crossbar.odin", ""),
    "tinyodin": ("chipsim.native.crossbar.tinyodin", ""),
    "reckon": ("chipsim.native.reckon.neurons", ""),
    "truenorth": ("chipsim.native.grid.truenorth", ""),
    "xylo": ("chipsim.native.xylo", ""),
    "catalyst": ("chipsim.native.catalyst", ""),
    "rules": ("chipsim.rules", ""),
    "ChipsimError": ("chipsim.errors", "ChipsimError"),
    "ChipsimWarning": ("chipsim.errors", "ChipsimWarning"),
    "NetworkError": ("chipsim.errors", "NetworkError"),
    "DescriptionError": ("chipsim.errors", "DescriptionError"),
    "CompileError": ("chipsim.errors", "CompileError"),
    "RunError": ("chipsim.errors", "RunError"),
    "FileError": ("chipsim.errors", "FileError"),
}


if not TYPE_CHECKING:  # a checker that saw this would accept any name

    def __getattr__(name: str) -> Any:
        """Load a public name on first use."""
        if name not in _DOORS:
            raise AttributeError(f"module 'chipsim' has no attribute {name!r}")
        module, attribute = _DOORS[name]
        loaded = import_module(module)
        value = getattr(loaded, attribute) if attribute else loaded
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_DOORS])
