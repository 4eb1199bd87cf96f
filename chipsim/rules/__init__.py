"""Local learning rules: write one, get its kernel, its reference, its cost and its verdict. (`cs.rules`)

How to declare one stands in `chipsim.rules.declaring` and docs/write_a_rule.md; the shipped ones are functions here,
`cs.rules.stdp()`. Names are read when first used: a network without rules needs no compiler.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from chipsim.checks import shown

#: Name -> module of this room that has it, with ":name" where it is called otherwise there.
_DOORS = {
    "COUNTERS": "source",
    "ActorCritic": "e_prop.reward",
    "Adam": "e_prop.rule",
    "Cost": "costs",
    "Descent": "e_prop.rule",
    "EProp": "e_prop.rule",
    "EPropNet": "e_prop.net",
    "Fixed": "fixed_format",
    "OnlineEProp": "e_prop.online",
    "OnlineRun": "e_prop.online",
    "Plastic": "plastic",
    "Precision": "e_prop.rule",
    "Report": "checking",
    "Rule": "declaration",
    "RuleError": "declaration",
    "State": "declaration",
    "Surrogate": "declaration",
    "Trace": "declaration",
    "Verdict": "verdicts",
    "axonal": "declaring",
    "check": "checking",
    "compile_rule": "kernel",
    "cost": "costs",
    "declare": "declaring",
    "eprop": "declaring",
    "fixed": "fixed_format",
    "kernel_signature": "kernel:signature",
    "reference_step": "reference",
    "rule": "declaring",
    "sum_of_products": "verdicts",
    "verdict": "verdicts",
}
__all__ = [*_DOORS]


def __getattr__(name: str) -> Any:
    """Load a name, or a shipped rule, on first use."""
    if name.startswith("__"):  # the import system asks for __path__ while a library is being read
        raise AttributeError(f"module 'chipsim.rules' has no attribute {shown(name)}")
    if name in _DOORS:
        module, _, attribute = _DOORS[name].partition(":")
        value = getattr(import_module(f"chipsim.rules.{module}"), attribute or name)
    else:
        if find_spec(f"chipsim.rules.{name}") is not None:  # a module of this room that is about to be read
            raise AttributeError(f"module 'chipsim.rules' has no attribute {shown(name)} yet")
        library = import_module("chipsim.rules.library")
        if name not in library.SHIPPED and name != "SHIPPED":
            raise AttributeError(f"module 'chipsim.rules' has no attribute {shown(name)}")
        value = library.SHIPPED if name == "SHIPPED" else library.SHIPPED[name]
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_DOORS, *import_module("chipsim.rules.library").SHIPPED])
