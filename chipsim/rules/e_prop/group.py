"""Which projections learn by e-prop together: all into one population of LSNN neurons, and from it to its readout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, NamedTuple

import numpy as np

from chipsim.errors import ChipsimError

from .rule import EProp

LSNN_MODELS = ("lsnn", "float_lsnn", "ideal_lsnn")


class Link(NamedTuple):
    """A projection as far as grouping cares: names, largest delay in steps, rule."""

    name: str
    pre: str
    post: str
    delay: int
    rule: Any


@dataclass(frozen=True)
class Group:
    """One recurrent network that learns: names of its populations and projections.

    `inputs`: projections into `recurrent` from elsewhere, in order; `loop`: from itself, or None; `out`: to `readout`.
    """

    recurrent: str
    readout: str
    inputs: tuple[str, ...]
    loop: str | None
    out: str
    rule: EProp

    @property
    def projections(self) -> tuple[str, ...]:
        """All of them, in the order of the gradient: inputs, loop, out."""
        return (*self.inputs, *((self.loop,) if self.loop else ()), self.out)


def eprop_groups(models: Mapping[str, Any], links: Sequence[Link], error: type[ChipsimError]) -> list[Group]:
    """The groups of a network, from its models by population and all its projections.

    Raises
    ------
    error
        An EProp on a projection that belongs to no such network, delays, several or no readouts, rules that differ.
    """
    mine = [link for link in links if isinstance(link.rule, EProp)]
    for link in mine:
        if is_lsnn(models[link.post]) or (is_lsnn(models[link.pre]) and not models[link.post].is_input):
            continue
        raise error(
            f"projection '{link.name}': e-prop learns projections into a population of LSNN neurons (cs.LSNN) and from "
            f"it to a readout (cs.LI), '{link.pre}' and '{link.post}' are neither; for synapses of other neurons "
            "give rule=cs.rules.eprop_synapse(...)"
        )
    names = dict.fromkeys(link.post if is_lsnn(models[link.post]) else link.pre for link in mine)
    return [_group(name, mine, error) for name in names]


def _group(name: str, links: Sequence[Link], error: type[ChipsimError]) -> Group:
    into = [k for k in links if k.post == name]
    out = [k for k in links if k.pre == name and k.post != name]
    if len(out) != 1:
        raise error(
            f"population '{name}' learns by e-prop and has {len(out)} readouts that do: connect it to one cs.LI "
            "population with the same rule"
        )
    loops = [k for k in into if k.pre == name]
    inputs = [k for k in into if k.pre != name]
    if len(loops) > 1 or not inputs:
        raise error(f"population '{name}' learns by e-prop: give it one input or more, and at most one loop to itself")
    for link in (*into, *out):
        if link.delay:
            raise error(f"projection '{link.name}' has a delay of {link.delay} and learns by e-prop: use delay=0")
        if not same_rule(link.rule, out[0].rule):
            raise error(f"projections '{link.name}' and '{out[0].name}' learn in one network: give both the same rule")
    return Group(
        name,
        out[0].post,
        tuple(k.name for k in inputs),
        loops[0].name if loops else None,
        out[0].name,
        out[0].rule,
    )


def is_lsnn(model: Any) -> bool:
    """True for the neurons that e-prop learns as a network, ideal or of a chip."""
    return getattr(model, "model", "") in LSNN_MODELS


def same_rule(a: Any, b: Any) -> bool:
    """Equal field by field, arrays by value: rules read from a file are no longer the same object."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if is_dataclass(a):
        return all(same_rule(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    return bool(np.array_equal(a, b)) if isinstance(a, np.ndarray) or isinstance(b, np.ndarray) else bool(a == b)
