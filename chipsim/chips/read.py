"""Reads chip descriptions: YAML with inheritance in, a checked `Chip` out, errors that say what to write
instead.

A file may start from another one with `base: loihi` (a shipped name, or a path beside the file): mappings
are merged key by key, lists and constants ({value, unit, source, status}) are replaced as a whole, so that
a source never outlives its number.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chipsim.checks import MAX_NAME, shown
from chipsim.errors import DescriptionError

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
    from .sanafe import chip_from_any, is_sanafe

    data = _resolve(path, ())
    return chip_from_any(data) if is_sanafe(data) else chip_from_dict(data, path.name)


def chip_from_dict(data: Mapping[str, Any], where: str = "description") -> Chip:
    """A checked chip from plain data without `base`; `where` names it in errors."""
    from pydantic import ValidationError

    from chipsim.chips.schema import Chip

    try:
        return Chip.model_validate(dict(data))
    except ValidationError as error:
        raise DescriptionError(_sentence(error.errors(), data, where)) from None


def no_such_cost_set(chip: Chip, name: str | None) -> DescriptionError:
    """The error for a cost set that `chip` does not have."""
    if not chip.costs:
        return DescriptionError(f"chip {chip.name!r} has no published costs: no energy or time can be estimated")
    near = _nearest(str(name), list(chip.costs))
    return DescriptionError(
        f"chip {chip.name!r} has no cost set {shown(name)}{near or ','} it has {', '.join(chip.costs)}"
    )


def _find(name: str, beside: Path | None = None) -> Path:
    if "/" not in name and "\\" not in name and not name.endswith((".yaml", ".yml", ".json")):
        path = SHIPPED / f"{name}.yaml"
        if path.is_file():
            return path
        raise DescriptionError(
            f"no chip {shown(name)}{_nearest(name, shipped()) or ','} shipped are {', '.join(shipped())}"
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


def _nearest(word: str, known: list[str]) -> str:
    near = get_close_matches(word[:MAX_NAME], known, n=1, cutoff=0.5)
    return f", did you mean {near[0]!r}?" if near else ""


def _sentence(errors: list[Any], data: Any, where: str) -> str:
    """One line for the first problem of a pydantic report, and a count of the others."""
    first = errors[0]
    loc = [str(part) for part in first["loc"]]
    path = ".".join(loc) or "the description"
    kind = first["type"]
    if kind == "extra_forbidden":
        allowed = _allowed_keys(first["loc"][:-1])
        near = _nearest(loc[-1], allowed)
        text = f"unknown key{near}" + ("" if near and len(allowed) > 12 else f" (allowed: {', '.join(allowed)})")
    elif kind == "missing" and loc[-1].isdigit():
        text = "is missing; a range is [lo, hi]"
    elif kind == "missing":
        text = "is missing" + _hint_constant(loc[-1])
    elif kind == "value_error":
        text = str(first["ctx"]["error"])
    elif kind == "literal_error":
        text = f"got {shown(first['input'])}; allowed are {first['ctx']['expected']}"
    else:
        text = f"{first['msg'][0].lower()}{first['msg'][1:]}, got {shown(first['input'])}"
    more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{where}: {path}: {text}{more}"


def _hint_constant(field: str) -> str:
    if field in ("value", "unit", "source", "status"):
        return ": a constant is {value, unit, source, status: measured | published | fitted | assumed}"
    return ""


def _allowed_keys(loc: tuple[Any, ...]) -> list[str]:
    """Keys that the schema knows at a place of the description."""
    from chipsim.chips.schema import Chip

    model: Any = Chip
    for part in loc:
        fields = getattr(model, "model_fields", {})
        if part in fields:
            model = _part_of(fields[part].annotation)
    return sorted(getattr(model, "model_fields", {}))


def _part_of(annotation: Any) -> Any:
    """The schema class inside an annotation such as `Stage | None` or `dict[str, CostSet]`."""
    from typing import get_args

    if hasattr(annotation, "model_fields"):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _part_of(arg)) is not None), None)
