"""A description as plain data to a checked `Chip`; a problem as one sentence that says what to write instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chipsim.checks import shown
from chipsim.errors import DescriptionError
from chipsim.text import nearest

from .schema import Chip


def chip_from_dict(data: Mapping[str, Any], where: str = "description") -> Chip:
    """A checked chip from plain data without `base`; `where` names it in errors."""
    from pydantic import ValidationError

    try:
        return Chip.model_validate(dict(data))
    except ValidationError as error:
        raise DescriptionError(_sentence(error.errors(), data, where)) from None


def _sentence(errors: list[Any], data: Any, where: str) -> str:
    """One line for the first problem of a pydantic report, and a count of the others."""
    first = errors[0]
    loc = [str(part) for part in first["loc"]]
    path = ".".join(loc) or "the description"
    kind = first["type"]
    if kind == "extra_forbidden":
        allowed = _allowed_keys(first["loc"][:-1])
        near = nearest(loc[-1], allowed)
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
