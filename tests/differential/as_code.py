"""A case as code that a user can paste."""

from __future__ import annotations

from typing import Any

import numpy as np

from .case import IMPORTS, Call, Case


def text(value: Any) -> str:
    """Python text of a call, an array or a plain value."""
    if isinstance(value, Call):
        parts = [text(v) for v in value.args] + [f"{k}={text(v)}" for k, v in value.kwargs.items()]
        return parts[0] if value.name == "np.array" else f"{value.name}({', '.join(parts)})"
    if isinstance(value, np.ndarray) and value.ndim:
        if value.size and not np.any(value):
            return f"np.zeros({value.shape}, {'int' if value.dtype.kind in 'iub' else 'float'})"
        kind = "" if value.size or value.dtype.kind == "f" else ", int"
        return f"np.array({(value.astype(int) if value.dtype.kind == 'b' else value).tolist()!r}{kind})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (np.generic, np.ndarray)):
        return repr(value.item())
    return repr(value)


def names_in(value: Any) -> set[str]:
    """Names of all calls inside a value."""
    if not isinstance(value, Call):
        return set()
    inner = [*value.args, *value.kwargs.values()]
    return {value.name}.union(*(names_in(v) for v in inner))


def as_code(case: Case) -> str:
    """A script that builds the network, runs it and leaves the answer in `result`."""
    used = set().union(*(names_in(m) for m in case.populations.values()))
    for link in case.links.values():
        used |= names_in(link.synapses) | names_in(link.rule)
    lines = ["import numpy as np"] + ["import scipy.sparse as sp"] * any(n.startswith("sp.") for n in used)
    lines += ["import chipsim as cs"]
    lines += [f"from {IMPORTS[name].__module__} import {name}" for name in sorted(used & set(IMPORTS))]
    lines += ["", 'net = cs.Network("case")']
    lines += [f"net.add({name!r}, {text(model)})" for name, model in case.populations.items()]
    for name, link in case.links.items():
        more = "" if link.rule is None else f", rule={text(link.rule)}"
        more += f", delay={text(link.delay)}" if np.any(link.delay) else ""
        lines.append(f"net.connect({link.pre!r}, {link.post!r}, {text(link.synapses)}{more}, name={name!r})")
    options = "" if case.arithmetic is None else f", arithmetic={case.arithmetic!r}"
    lines.append(f"program = cs.compile(net, {case.chip!r}, seed={case.seed}{options})")
    more = f", third={text(case.third)}" if case.third else ""
    lines.append(f"result = cs.Emulator(program).run({text(case.inputs)}, {case.steps}, record={case.record!r}{more})")
    return "\n".join(lines)
