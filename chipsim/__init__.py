"""chipsim: a neuromorphic chip on a laptop.

>>> import chipsim as cs
>>> net = cs.Network("two neurons")
>>> x = net.add("in", cs.SpikeSource(2))
>>> out = net.add("out", cs.loihi.LIF(2, vth=100))

The names below are loaded when first used, so that `import chipsim` costs neither a compiler nor a plot library.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

__version__ = "0.1.0"

#: Public name -> (module, attribute; "" for the module itself).
_DOORS = {
    "Network": ("mappings.network", "Network"),
    "SpikeSource": ("chipsim.native.base", "SpikeSource"),
    "LIF": ("mappings.ideal", "LIF"),
    "IF": ("mappings.ideal", "IF"),
    "LI": ("mappings.ideal", "LI"),
    "LSNN": ("mappings.ideal", "LSNN"),
    "Conv2d": ("mappings.ideal", "Conv2d"),
    "from_nir": ("mappings.readers.nir", "from_nir"),
    "from_sklearn": ("mappings.readers.sklearn", "from_sklearn"),
    "from_torch": ("mappings.readers.torch", "from_torch"),
    "to_nir": ("mappings.writers.nir", "to_nir"),
    "compile": ("mappings.pipeline", "compile"),
    "chip": ("chipsim.description", "load_chip"),
    "Program": ("chipsim.program", "Program"),
    "Emulator": ("chipsim.emulator", "Emulator"),
    "Result": ("chipsim.results", "Result"),
    "loihi": ("chipsim.native.loihi", ""),
    "floats": ("chipsim.native.floats", ""),
    "odin": ("chipsim.native.odin", ""),
    "tinyodin": ("chipsim.native.tinyodin", ""),
    "reckon": ("chipsim.native.reckon", ""),
    "truenorth": ("chipsim.native.truenorth", ""),
    "xylo": ("chipsim.native.xylo", ""),
    "catalyst": ("chipsim.native.catalyst", ""),
    "rules": ("chipsim.rules", ""),
    "ChipsimError": ("chipsim.errors", "ChipsimError"),
    "NetworkError": ("chipsim.errors", "NetworkError"),
    "DescriptionError": ("chipsim.errors", "DescriptionError"),
    "CompileError": ("chipsim.errors", "CompileError"),
    "RunError": ("chipsim.errors", "RunError"),
    "FileError": ("chipsim.errors", "FileError"),
}
__all__ = [*_DOORS]


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


def _check_neighbours() -> None:
    """Refuse to run with somebody else's `kernels` or `mappings` package in front of ours."""
    from importlib.util import find_spec

    home = Path(__file__).resolve().parent.parent
    for name in ("kernels", "mappings"):
        spec = find_spec(name)
        found = Path(spec.origin).resolve().parent.parent if spec is not None and spec.origin else None
        if found != home:
            raise ImportError(
                f"chipsim needs its own package '{name}' from {home}, but Python finds {found or 'none'}; "
                "remove the other distribution or put chipsim's folder first on sys.path"
            )


_check_neighbours()
