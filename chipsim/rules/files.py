"""Declared learning rules in files: saved as their source text, and checked again as a declaration when loaded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

#: What a declaration consists of; everything else of a rule follows from it.
DECLARED = (
    "traces", "state", "constants", "third", "bounds", "weight", "surrogate", "every", "follows_gradient",
)  # fmt: skip


def rule_fields(rule: Any) -> dict[str, Any]:
    """The declaration of a `Rule` by field, with its source text, doc and notes."""
    names = ("source", "doc", "notes", *DECLARED)
    kept = {name: getattr(rule, name) for name in names}
    if rule.phases or rule.at_end:  # later than the others: left out where they say nothing
        kept |= {"phases": rule.phases, "at_end": rule.at_end}
    return kept | ({"sees": rule.sees} if rule.sees != "sent" else {})


def rule_from(fields: dict[str, Any]) -> Any:
    """The rule of a saved declaration; it passes the same checks as one that a user writes, so that a file cannot
    bring code that a rule could not hold. Raises RuleError.
    """
    from .declaring import declare

    given = {name: fields[name] for name in DECLARED} | {"phases": tuple(fields.get("phases", ()))}
    if fields.get("at_end"):
        given["every"] = "phase"
    if "sees" in fields:
        given["sees"] = fields["sees"]
    made = declare(fields["source"], **given)
    return replace(made, doc=fields["doc"], notes=tuple(fields["notes"]))
