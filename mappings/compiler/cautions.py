"""What a user probably did not mean: times in the wrong unit, decays that round away, populations that stay silent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.sparse import issparse

from chipsim.chips.schema import Chip
from chipsim.mappings.network.network import Network, Population, Projection
from chipsim.native.synapses import Conv, FloatSynapses, Synapses, stored
from chipsim.rules.carried import kind_of

LONG, MANY = 1.0, 1000  #: a time constant from so many seconds and steps on was probably typed in milliseconds
DEAD = 0.5, 500  #: the same of a refractory period
TIMES = ("tau_mem", "tau_syn")
ONE = 4096  #: decays are fractions of it
QUIET = ("loihi", "float", "ideal")  #: families of which is known what makes a neuron fire by itself
DRIVES = ("bias", "bias_mant", "constant", "v", "u", "i", "delta_i", "v_leak")


def cautions(net: Network, native: Network, chip: Chip, dt: float) -> list[str]:
    """Warnings about a network and what the chip runs of it, in words."""
    found = [w for p in net.populations.values() for w in _times(p, dt)]
    found += [w for p in net.populations.values() for w in _rounded_away(p, native.populations[p.name], dt)]
    found += [w for p in native.projections.values() for w in (*_one_sided(p), *_unread(p))]
    return [*found, *_silent(native)]


def ideal_cautions(net: Network, dt: float) -> list[str]:
    """The same of what is ideal in a network, for chips whose lowering makes no native network of cores."""
    return [*(w for p in net.populations.values() for w in _times(p, dt)), *_silent(net)]


def _times(p: Population, dt: float) -> Iterator[str]:
    """Times of ideal neurons, which are in seconds."""
    values = p.model.values if p.model.family == "ideal" else {}
    for name in TIMES:
        longest = float(np.max(values.get(name, 0.0)))
        if np.isfinite(longest) and longest >= LONG and longest / dt >= MANY:
            yield (
                f"population '{p.name}': {name}={longest:g} s is {longest / dt:,.0f} steps of dt={dt:g} s; times are "
                f"in seconds: write {longest:g}e-3 for {longest:g} ms"
            )
    dead = np.asarray(values.get("refractory", 0.0))
    if dead.max() >= DEAD[0] and dead.max() / dt >= DEAD[1]:
        yield (
            f"population '{p.name}': refractory={dead.max():g} s is {dead.max() / dt:,.0f} steps of dt={dt:g} s; times "
            f"are in seconds: write {dead.max():g}e-3 for {dead.max():g} ms"
        )
    lost = (dead > 0) & (np.round(dead / dt) == 0)
    if np.any(lost):
        yield (
            f"population '{p.name}': refractory={dead[lost].flat[0]:g} s is below half a step of dt={dt:g} s and "
            "rounds to none; lower dt, or set refractory=0"
        )


def _rounded_away(p: Population, made: Population, dt: float) -> Iterator[str]:
    """A leak that a chip's registers round to none at all."""
    if p.model.family != "ideal" or "dv" not in made.model.values or made.model.family != "loihi":
        return
    values, chip = p.model.values, made.model.values
    tau = np.asarray(values.get("tau_mem", np.inf))
    gone = np.isfinite(tau) & (np.asarray(chip["dv"]) == 0)
    if np.any(gone):
        yield (
            f"population '{p.name}': its leak rounds away: tau_mem={float(np.max(tau)):g} s is "
            f"{float(np.max(tau)) / dt:,.0f} steps of dt={dt:g} s, the chip's decays are multiples of 1/{ONE}; raise dt"
        )


def _one_sided(p: Projection) -> Iterator[str]:
    """Native synapses of one sign under a rule that may change it."""
    s: Any = p.synapses
    if p.rule is None or not isinstance(s, Synapses) or s.sign == "mixed" or kind_of(p.rule) != "declared":
        return
    low, high = p.rule.bounds
    if (s.sign == "excitatory" and low < 0) or (s.sign == "inhibitory" and high > 0):
        yield (
            f"projection '{p.name}': rule {p.rule.name} may take weights to {low:g}..{high:g}, but its synapses are "
            f"{s.sign} (sign=None takes that from the start weights) and end at 0; give sign='mixed'"
        )


def _unread(p: Projection) -> Iterator[str]:
    """Numbers that drive the neuron and that a sum of products counts as spikes, as Lava does by default."""
    if p.rule is None or kind_of(p.rule) != "sum_of_products" or not getattr(p.synapses, "message_bits", 0):
        return
    if p.pre.model.carries_values and not getattr(p.rule, "rule", p.rule).graded:
        yield (
            f"projection '{p.name}': '{p.pre.name}' sends numbers, of which {p.rule.name} counts each as one spike "
            "(graded=0); give graded=1, 2 or 3, by which they enter x1"
        )


def _silent(net: Network) -> Iterator[str]:
    """Populations that no spike can ever reach and that nothing drives."""
    alive = {k for k, p in net.populations.items() if p.model.is_input or _driven(p)}
    while True:
        reached = {p.post.name for p in net.projections.values() if p.pre.name in alive and _excites(p)} - alive
        if not reached:
            break
        alive |= reached
    for name in net.populations:
        if name in alive:
            continue
        into = [q for q in net.projections.values() if q.post.name == name]
        why = "no projection reaches it" if not into else (
            f"nothing excites it: '{into[0].pre.name}' is silent too" if any(_excites(q) for q in into)
            else "all weights into it are 0 or below"
        )  # fmt: skip
        yield f"population '{name}' stays silent: {why}, and it has no bias, noise or start value above threshold"


def _driven(p: Population) -> bool:
    """True if the neurons may fire by themselves; said so of all models that are not known to be quiet."""
    values = p.model.values
    if values.get("noise", "none") != "none" or p.model.family not in QUIET:
        return True
    drives = [values[k] for k in DRIVES if k in values]
    if any(np.any(np.asarray(v) > 0) for v in drives):
        return True
    levels = [values[k] for k in ("threshold", "vth") if k in values]
    known = bool(drives) and bool(levels) and values.get("sends", "above") in ("above", "reached", "many")
    return not known or any(np.any(np.asarray(v) < 0) for v in levels)


def _excites(p: Projection) -> bool:
    if p.rule is not None:
        return True
    s: Any = p.synapses
    if isinstance(s, Conv):
        return bool(np.any(np.asarray(s.kernel) > 0)) or s.message_bits > 0
    if isinstance(s, Synapses) and s.message_bits:
        return bool(np.any(stored(s.mantissa)))
    if isinstance(s, np.ndarray) or issparse(s):  # ideal: numbers of a graded source and r may turn the sign
        turned = p.pre.model.carries_values or np.any(np.asarray(p.post.model.values.get("r", 1.0)) < 0)
        return bool(np.any(stored(s)) if turned else np.any(stored(s) > 0))
    matrix = s.mantissa if isinstance(s, Synapses) else s.weights if isinstance(s, FloatSynapses) else None
    return matrix is None or bool(np.any(stored(matrix) > 0))
