"""A recurrent network that learns by e-prop, as populations and projections of an ordinary network."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipsim.checks import floats
from chipsim.errors import NetworkError
from chipsim.mappings.network.ideal import LI, LSNN
from chipsim.mappings.network.network import Network
from chipsim.native.base import SpikeSource
from chipsim.rules.e_prop.rule import EProp


def eprop_network(
    rule: EProp, w_in: Any, w_rec: Any, w_out: Any, feedback: Any = None, *, dt: float = 1e-3, name: str = "eprop"
) -> Network:
    """Populations "in", "rec" and "out" with `rule` on all three projections: in->rec, rec->rec, rec->out.

    Parameters
    ----------
    rule : EProp
        Its constants, in steps, become the neurons' in seconds.
    w_in (n, n_in), w_rec (n, n), w_out (m, n)
        Start weights, (post, pre), ndarray (every pair is a synapse, but a zero of a neuron onto itself) or
        scipy.sparse (its stored entries are).
    feedback : (n, m) array or None
        B; None keeps the rule's own (drawn from the program's seed if it has none).
    dt : float
        Seconds per step, the dt to compile with.

    Raises
    ------
    NetworkError
        Shapes that do not fit each other.

    Examples
    --------
    >>> import numpy as np, chipsim as cs
    >>> from chipsim.mappings import eprop_network
    >>> rng = np.random.default_rng(0)
    >>> rule = cs.rules.eprop(tau_m=20, thr=0.5, scale_input=False)
    >>> net = eprop_network(rule, rng.normal(size=(5, 4)), rng.normal(size=(5, 5)), rng.normal(size=(1, 5)))
    >>> emulator = cs.Emulator(cs.compile(net, "float"))
    >>> _ = emulator.run({"in": rng.random((50, 4)) < 0.2}, targets={"out": np.zeros((50, 1))})
    >>> emulator.end_episode()["out"].output.shape
    (48, 1)
    """
    w_in, w_rec, w_out = (
        w if hasattr(w, "toarray") else floats(w, f"eprop_network: {name}")
        for name, w in (("w_in", w_in), ("w_rec", w_rec), ("w_out", w_out))
    )
    shapes = [np.shape(w) for w in (w_in, w_rec, w_out)]
    if any(len(s) != 2 for s in shapes):
        raise NetworkError(f"eprop_network: weights have shapes {', '.join(map(str, shapes))}; all are (post, pre)")
    (n, n_in), m = shapes[0], shapes[2][0]
    if feedback is not None:
        from dataclasses import replace

        rule = replace(rule, feedback_weights=floats(feedback, "eprop_network: feedback"))
    beta = np.broadcast_to(np.asarray(rule.beta, np.float64), (n,)) if np.size(rule.beta) in (1, n) else rule.beta
    net = Network(name)
    net.add("in", SpikeSource(n_in))
    net.add(
        "rec",
        LSNN(
            n, tau_mem=rule.tau_m * dt, tau_adapt=rule.tau_a * dt, threshold=rule.thr, beta=beta,
            refractory=rule.n_ref * dt, normalised=int(rule.scale_input),
        ),
    )  # fmt: skip
    net.add("out", LI(m, tau_mem=rule.tau_out * dt, r=-np.expm1(-1.0 / rule.tau_out)))
    net.connect("in", "rec", w_in, rule=rule)
    net.connect("rec", "rec", w_rec, rule=rule)
    net.connect("rec", "out", w_out, rule=rule)
    return net
