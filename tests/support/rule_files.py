"""A rule as text and back: what a saved program keeps of it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from chipsim.errors import FileError
from chipsim.rules.declaration import AT_END, Rule, State, Surrogate, Trace
from chipsim.rules.declaring import declare
from chipsim.rules.fixed_format import Fixed

VERSION = 1


def to_json(rule: Rule) -> str:
    """The declaration of a rule: its source and everything declared beside it."""
    return json.dumps(
        {
            "version": VERSION,
            "source": rule.source,
            "traces": {n: trace_fields(t) for n, t in rule.traces.items()},
            "state": {n: asdict(s) for n, s in rule.state.items()},
            "constants": dict(rule.constants),
            "third": list(rule.third),
            "bounds": [b if math.isfinite(b) else str(b) for b in rule.bounds],
            "weight": None if rule.weight is None else asdict(rule.weight),
            "surrogate": None if rule.surrogate is None else asdict(rule.surrogate),
            "every": rule.every,
            "follows_gradient": rule.follows_gradient,
            **({"phases": list(rule.phases), "at_end": rule.at_end} if rule.phases or rule.at_end else {}),
        }
    )


def trace_fields(trace: Trace) -> dict[str, Any]:
    """Fields of a trace; what it is of only where that is not spikes, as files had it before there were others."""
    return {k: v for k, v in asdict(trace).items() if k != "of" or v != "spikes"}


def from_json(text: str) -> Rule:
    """The rule, declared and checked again."""
    try:
        data = json.loads(text)
        if data["version"] != VERSION:
            raise FileError(f"learning rule: version {data['version']}, this chipsim reads {VERSION}")
        return declare(
            data["source"],
            traces={n: Trace(**{**t, "format": read_format(t["format"])}) for n, t in data["traces"].items()},
            state={n: State(s["start"], read_format(s["format"])) for n, s in data["state"].items()},
            constants=data["constants"],
            third=tuple(data["third"]),
            bounds=(float(data["bounds"][0]), float(data["bounds"][1])),
            weight=read_format(data["weight"]),
            surrogate=None if data["surrogate"] is None else Surrogate(**data["surrogate"]),
            every=AT_END if data.get("at_end") else data["every"],
            phases=tuple(data.get("phases", ())),
            follows_gradient=data["follows_gradient"],
        )
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise FileError(f"learning rule: not a saved declaration ({error})") from error


def read_format(fields: dict[str, Any] | None) -> Fixed | None:
    """A saved `Fixed`."""
    return None if fields is None else Fixed(**fields)
