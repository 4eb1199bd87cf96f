"""All shipped rules against all shipped chips: runs, runs with changes, cannot, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chipsim.rule_cost import cost
from chipsim.rule_declaration import Rule
from chipsim.rule_library import SHIPPED
from chipsim.rule_verdict import Verdict, best_verdict

MARKS = {"runs": "runs", "runs with changes": "changes", "cannot": "-"}
SDSP_WINDOW = {"theta_m": 1.0, "t1": 0.5, "t2": 2.0, "t3": 3.0}


def shipped_rules() -> dict[str, Rule]:
    """Every shipped rule with its default constants."""
    return {n: make(**SDSP_WINDOW) if n == "sdsp" else make() for n, make in SHIPPED.items()}


def rule_table(chips: Mapping[str, Any], rules: Mapping[str, Rule] | None = None) -> dict[tuple[str, str], Verdict]:
    """Verdict of every (rule, chip). chips: name -> description with `learning.rules`."""
    found = shipped_rules() if rules is None else rules
    return {
        (name, chip): best_verdict(rule, tuple(description.learning.rules))
        for name, rule in found.items()
        for chip, description in chips.items()
    }


def table_text(chips: Mapping[str, Any], rules: Mapping[str, Rule] | None = None) -> str:
    """The table as text, with multiplies and state per synapse of each rule."""
    found = shipped_rules() if rules is None else rules
    verdicts = rule_table(chips, found)
    lines = [f"{'rule':14}{'multiplies':>11}{'state bits':>11}" + "".join(f"{c:>12}" for c in chips)]
    for name, rule in found.items():
        c = cost(rule)
        marks = "".join(f"{MARKS[verdicts[name, chip].runs]:>12}" for chip in chips)
        lines.append(f"{name:14}{c.multiplies:>11}{c.bits_per_synapse:>11}" + marks)
    return "\n".join(lines)
