"""`chipsim learn --rules`: which shipped rule runs on which chip, and why not."""

from __future__ import annotations

from typing import Any

from chipsim.errors import RunError

from .common import say, table

LEGEND = (
    "runs: as declared; changes: with the differences that `chipsim learn --rules RULE` lists; -: cannot. "
    "mul, bits: multiplies and state of one synapse in float64."
)


def _plain(rows: list[dict[str, Any]]) -> list[str]:
    """Narrow columns, one mark a chip: a table that folds its words cannot be read."""
    chips = [k for k in rows[0] if k not in ("rule", "multiplies", "state_bits")]
    head = ["rule", "mul", "bits", *(c[:9] for c in chips)]
    lines = [head, *(["" if v is None else str(v) for v in row.values()] for row in rows)]
    wide = [max(len(line[k]) for line in lines) for k in range(len(head))]
    return ["  ".join(cell.ljust(w) for cell, w in zip(line, wide, strict=True)).rstrip() for line in lines]


def show_rules(name: str, as_json: bool) -> None:
    """The whole table, or the reasons of one rule on every chip."""
    from chipsim.report.rule_table import chips_that_run, rule_table, table_rows

    chips = chips_that_run()
    if not name:
        rows = table_rows(chips)
        say({"rules": rows}, as_json, *_plain(rows), LEGEND)
        return
    verdicts = {chip: v for (rule, chip), v in rule_table(chips).items() if rule == name}
    if not verdicts:
        known = dict.fromkeys(rule for rule, _ in rule_table(chips))
        raise RunError(f"no shipped rule '{name}'; there are {', '.join(known)}")
    data: dict[str, Any] = {c: {"runs": v.runs, "engine": v.engine, "reasons": v.reasons} for c, v in verdicts.items()}
    cells = [(chip, v.runs, "; ".join(v.reasons)) for chip, v in verdicts.items()]
    say({"rule": name, "chips": data}, as_json, table(name, ("chip", "verdict", "why, or what changes"), cells))
