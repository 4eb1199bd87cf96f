"""What a projection that learns demands of its ends, its synapses and the arithmetic: named rules, one way out each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from chipsim.chips.arithmetic import Arithmetic
from chipsim.errors import CompileError
from chipsim.mappings.network.network import Network, Projection
from chipsim.native.synapses import Conv, FloatSynapses, Synapses, stored
from chipsim.rules.carried import kind_of

from .quantise.learning import convolution_learns


def _error(p: Projection, text: str) -> CompileError:
    return CompileError(text, population=p.post.name, resource="learning")


def matrices(p: Projection, arithmetic: Arithmetic) -> Iterator[CompileError]:
    """A convolution shares its weights among synapses and cannot learn."""
    if isinstance(p.synapses, Conv):
        yield _error(p, convolution_learns(p.name))


def spikes(p: Projection, arithmetic: Arithmetic) -> Iterator[CompileError]:
    """Rules read spikes as 0 or 1, but for those that ask for numbers by name, and sums of products."""
    kind = kind_of(p.rule)
    if getattr(p.rule, "values", None):
        return
    listens = isinstance(p.synapses, FloatSynapses) or bool(getattr(p.synapses, "message_bits", 0))
    numbers = [p.post] if p.post.model.carries_values else []
    if p.pre.model.carries_values and listens and kind != "sum_of_products":
        numbers.append(p.pre)
    for population in numbers:
        yield _error(
            p,
            f"projection '{p.name}' learns, but '{population.name}' sends numbers, which a rule would read as 0 and 1: "
            "let it send plain spikes (graded=0, spikes='one'; a Unit that sends 'above'), or give a rule that reads "
            "r_pre and r_post",
        )


def delays(p: Projection, arithmetic: Arithmetic) -> Iterator[CompileError]:
    """Sums that are shifted to the right are kept delay by delay, weights that learn in one place."""
    s: Any = p.synapses
    if isinstance(s, Synapses) and s.exponent < 0 and np.ndim(s.delays) and np.ptp(stored(s.delays)) > 0:
        yield _error(
            p,
            f"projection '{p.name}' learns with several delays and exponent {s.exponent}: its sums are shifted delay "
            "by delay; use one delay, or an exponent of 0 or more",
        )


def arrivals(p: Projection, arithmetic: Arithmetic) -> Iterator[CompileError]:
    """A rule that waits for spikes to arrive keeps one queue of them."""
    late: Any = getattr(p.synapses, "delays", 0)
    if getattr(p.rule, "sees", "sent") == "arrived" and p.rule.values:
        yield _error(p, f"projection '{p.name}': rule {p.rule.name} reads numbers as they are sent: leave out axonal()")
    if getattr(p.rule, "sees", "sent") == "arrived" and np.ndim(late) and np.ptp(stored(late)) > 0:
        yield _error(
            p,
            f"projection '{p.name}': rule {p.rule.name} counts spikes when they arrive, at "
            f"{np.unique(stored(late)).size} different delays: give it one delay, one projection for each",
        )


def shifts(p: Projection, arithmetic: Arithmetic) -> Iterator[CompileError]:
    """A declared rule knows mantissas; where each weight is shifted by itself there are none left to change."""
    exponent = getattr(p.synapses, "exponent", 0)
    if exponent and arithmetic.negative_exponent == "synapse" and kind_of(p.rule) == "declared":
        yield _error(
            p,
            f"projection '{p.name}': {p.rule.name} learns mantissas, which arithmetic '{arithmetic.preset}' shifts by "
            f"{exponent} one by one; use arithmetic 'lava', or exponent 0 (a weight format of step 1)",
        )


PLASTIC_RULES: tuple[Callable[[Projection, Arithmetic], Iterator[CompileError]], ...] = (
    matrices,
    spikes,
    delays,
    arrivals,
    shifts,
)


def check_plastic(net: Network, arithmetic: Arithmetic) -> None:
    """Raise the first error of `PLASTIC_RULES`, if there is any."""
    for p in net.projections.values():
        for rule in PLASTIC_RULES if p.rule is not None else ():
            for error in rule(p, arithmetic):
                raise error
