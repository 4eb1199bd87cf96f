"""All shipped rules against chips: runs, runs with changes, cannot, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from chipsim.chips.read import load_chip, shipped
from chipsim.rules import library
from chipsim.rules.costs import cost
from chipsim.rules.declaration import Rule
from chipsim.rules.verdicts import PROCESSORS, Verdict, best_verdict

MARKS = {"runs": "runs", "runs with changes": "changes", "cannot": "-"}
SDSP_WINDOW = {"theta_m": 1.0, "t1": 0.5, "t2": 2.0, "t3": 3.0}
#: Settings of a declaration that have names of their own, after its name.
VARIANTS: dict[str, dict[str, Callable[[], Rule]]] = {
    "stdp": {
        "stdp_multiplicative": lambda: library.stdp(mu_plus=1.0, mu_minus=1.0),
        "stdp_guetig": lambda: library.stdp(mu_plus=0.4, mu_minus=0.4),
        "stdp_van_rossum": lambda: library.stdp(mu_plus=0.0, mu_minus=1.0),
        "stdp_nearest": lambda: library.stdp(nearest=True),
    },
    "feedback_alignment": {"direct_feedback_alignment": lambda: library.feedback_alignment()},
    "contrastive": {"contrastive_weight": lambda: library.contrastive(memory="weight")},
    "rflo": {"rflo_late": lambda: library.rflo(late=2)},
}

REWRITABLE = ("loihi", "float")  #: families whose emulator takes `set_weights`


class Other(NamedTuple):
    """A shipped rule that is no declaration.

    kernel: its file. like: the declaration that a chip runs in its place, None if it needs no learning engine. change:
    what is then different, or how it runs.
    """

    kernel: str
    like: str | None
    change: str


_HOST = "the host perturbs, runs, reads the cost and writes the weights; the chip needs no learning engine"
OTHERS: dict[str, Other] = {
    "weight_perturbation_serial": Other("weight_perturbation", None, f"{_HOST}; N + 1 runs per update, central 2 N"),
    "weight_perturbation_parallel": Other("weight_perturbation", None, f"{_HOST}; 2 runs per update"),
    "node_perturbation": Other("node_perturbation", None, f"{_HOST}; 2 runs per update, and rates read back"),
}


def shipped_rules() -> dict[str, Rule]:
    """Every shipped declaration with its default constants, and the named variants after theirs."""
    found: dict[str, Rule] = {}
    for name, make in library.SHIPPED.items():
        found[name] = make(**SDSP_WINDOW) if name == "sdsp" else make()
        found |= {variant: build() for variant, build in VARIANTS.get(name, {}).items()}
    return found


def other_verdict(other: Other, rules: Mapping[str, Rule], chip: Any) -> Verdict:
    """Verdict of a rule that is no declaration."""
    if other.like is None:
        runs = "runs" if chip.family in REWRITABLE else "runs with changes"
        anew = "the emulator takes other weights only with a new program: one is compiled for every run"
        return Verdict("host", runs, (other.change, *(() if runs == "runs" else (anew,))))
    base = best_verdict(rules[other.like], tuple(chip.learning.rules))
    if base.runs == "cannot":
        return Verdict(base.engine, "cannot", (f"as {other.like}: {base.reasons[0]}", *base.reasons[1:]))
    plain = base.engine in PROCESSORS
    return Verdict(
        base.engine, "runs with changes", (f"as {other.like}: {other.change}", *(() if plain else base.reasons))
    )


def chips_that_run() -> dict[str, Any]:
    """Shipped descriptions of chips that an engine runs, by name; the others are energy presets."""
    found = {name: load_chip(name) for name in shipped()}
    running = {name: chip for name, chip in found.items() if chip.family != "none"}
    return {name: chip for name, chip in running.items() if not _is_build(name, running)}


def _is_build(name: str, chips: Mapping[str, Any]) -> bool:
    """True for another size of a chip in the table, `chip_size`, that learns as it does."""
    parents = (other for other in chips if name.startswith(f"{other}_"))
    return any(chips[other].learning == chips[name].learning for other in parents)


def rule_table(chips: Mapping[str, Any], rules: Mapping[str, Rule] | None = None) -> dict[tuple[str, str], Verdict]:
    """Verdict of every (rule, chip). chips: name -> description with `learning.rules`. rules: all shipped if None."""
    found = shipped_rules() if rules is None else rules
    table = {
        (name, chip): best_verdict(rule, tuple(description.learning.rules))
        for name, rule in found.items()
        for chip, description in chips.items()
    }
    if rules is None:
        for name, other in OTHERS.items():
            table |= {(name, chip): other_verdict(other, found, c) for chip, c in chips.items()}
    return table


def table_rows(chips: Mapping[str, Any], rules: Mapping[str, Rule] | None = None) -> list[dict[str, Any]]:
    """The table as rows: rule, multiplies and state bits per synapse (None for rules of the host), a mark per chip."""
    found = shipped_rules() if rules is None else rules
    verdicts = rule_table(chips, rules)
    rows = []
    for name in dict.fromkeys(rule for rule, _ in verdicts):
        like = name if name in found else OTHERS[name].like
        c = None if like is None else cost(found[like])
        rows.append(
            {"rule": name, "multiplies": None if c is None else c.multiplies,
             "state_bits": None if c is None else c.bits_per_synapse,
             **{chip: MARKS[verdicts[name, chip].runs] for chip in chips}}
        )  # fmt: skip
    return rows


def table_text(chips: Mapping[str, Any], rules: Mapping[str, Rule] | None = None) -> str:
    """The table as a Markdown table, as docs/learning.md shows it."""
    rows = table_rows(chips, rules)
    head = ["rule", "multiplies", "state bits", *chips]
    lines = ["| " + " | ".join(head) + " |", "|---|" + "--:|" * 2 + "---|" * len(chips)]
    for row in rows:
        lines.append("| " + " | ".join("" if v is None else str(v) for v in row.values()) + " |")
    return "\n".join(lines)
