"""Reads chip descriptions: YAML with inheritance in, a checked `Chip` out, errors that say what to write
instead.

A file may start from another one with `base: loihi` (a shipped name, or a path beside the file): mappings
are merged key by key, lists and constants ({value, unit, source, status}) are replaced as a whole, so that
a source never outlives its number.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chipsim.checks import shown
from chipsim.errors import DescriptionError
from chipsim.text import nearest

if TYPE_CHECKING:
    from chipsim.chips.schema import Chip

SHIPPED = Path(__file__).parent
MAX_BASES = 16  #: descriptions that inherit from each other
_KEPT = ("topology", "limits", "arithmetic", "learning", "costs")


def __getattr__(name: str) -> Any:
    """`Chip` on demand: pydantic is not loaded before a description is."""
    if name == "Chip":
        from chipsim.chips.schema import Chip

        return Chip
    raise AttributeError(f"module {shown(__name__)} has no attribute {shown(name)}")


def shipped() -> list[str]:
    """Names of the shipped descriptions, sorted."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def load_chip(source: str | Path | Chip) -> Chip:
    """The chip of a shipped name ("loihi"), of a path to YAML, or `source` itself if it is one already.

    A path may also lead to a SANA-FE architecture (its YAML, or plain numbers in JSON): a chip of family "float".

    Raises `DescriptionError` naming file, field path, what is allowed, and the nearest spelling.
    """
    if not isinstance(source, str | Path):
        from chipsim.chips.schema import Chip

        if not isinstance(source, Chip):
            raise DescriptionError(
                f"no chip {shown(source)}: give a name (shipped are {', '.join(shipped())}), a path, or a Chip"
            )
        return source
    try:
        path = _find(str(source))
        stamp = path.stat().st_mtime_ns
    except (OSError, ValueError) as error:  # a name that no file system takes
        if isinstance(error, DescriptionError):
            raise
        said = getattr(error, "strerror", None) or str(error)
        raise DescriptionError(f"no chip {shown(str(source))}: {said}") from None
    return _load(path, stamp)


@lru_cache(maxsize=64)
def _load(path: Path, _stamp: int) -> Chip:
    from .check import chip_from_dict
    from .sanafe import chip_from_any, is_sanafe

    data = _resolve(path, ())
    return chip_from_any(data) if is_sanafe(data) else chip_from_dict(data, path.name)


def _find(name: str, beside: Path | None = None) -> Path:
    if "/" not in name and "\\" not in name and not name.endswith((".yaml", ".yml", ".json")):
        path = SHIPPED / f"{name}.yaml"
        if path.is_file():
            return path
        raise DescriptionError(
            f"no chip {shown(name)}{nearest(name, shipped()) or ','} shipped are {', '.join(shipped())}"
        )
    path = Path(name)
    if beside is not None and not path.is_absolute():
        path = beside / path
    if not path.is_file():
        raise DescriptionError(f"chip description {path}: no such file")
    return path.resolve()


def _resolve(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    if len(seen) > MAX_BASES:
        raise DescriptionError(f"{path.name}: base leads over more than {MAX_BASES} files")
    if path in seen:
        raise DescriptionError(f"{path.name}: base leads back to itself ({' -> '.join(p.stem for p in (*seen, path))})")
    data = _read(path)
    base = data.pop("base", None)
    if base is None:
        return data
    if not isinstance(base, str):
        raise DescriptionError(f"{path.name}: base: expected a chip name or a path, got {shown(base)}")
    try:
        found = _find(base, path.parent)
    except OSError as error:
        raise DescriptionError(f"{path.name}: base {shown(base)}: {error.strerror or error}") from None
    merged = _merge(_resolve(found, (*seen, path)), data)
    if isinstance(merged.get("costs"), dict):
        merged["costs"] = {key: costs for key, costs in merged["costs"].items() if costs is not None}
    for part in _KEPT:
        if data.get(part, ...) is None:
            raise DescriptionError(f"{path.name}: {part}: is empty; leave it out to inherit it from {base}")
    return merged


def _read(path: Path) -> dict[str, Any]:
    if path.parent == SHIPPED:  # the bases of most descriptions: read once
        return dict(_read_once(path, path.stat().st_mtime_ns))
    return _read_now(path)


@lru_cache(maxsize=32)
def _read_once(path: Path, _stamp: int) -> dict[str, Any]:
    return _read_now(path)


def _read_now(path: Path) -> dict[str, Any]:
    from .safe_yaml import MAX_BYTES, plain

    try:
        with path.open("rb") as file:
            data = plain(file.read(MAX_BYTES + 1), path.name)
    except OSError as error:
        raise DescriptionError(f"cannot read chip description {path}: {error.strerror or error}") from None
    if not isinstance(data, dict):
        raise DescriptionError(f"{path.name}: expected a mapping of keys, got {type(data).__name__}")
    return data


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` laid on top, key by key; a constant and a barrier table are replaced whole."""
    out = dict(base)
    for key, value in over.items():
        old = out.get(key)
        both = isinstance(old, dict) and isinstance(value, dict) and key != "by_tiles"
        out[key] = _merge(old, value) if both and "value" not in value else value  # type: ignore[arg-type]
    return out
