"""A network that does not fit, and how the errors lead to one that does.

Each refusal names the population, the core, the resource, what is needed, the limit and a way out. Run it with
`python examples/does_not_fit.py`.
"""

from __future__ import annotations

import numpy as np

import chipsim as cs


def wide_network(n_in: int, n_hidden: int, delay: int = 0, weight: int = 30) -> cs.Network:
    """One dense layer."""
    rng = np.random.default_rng(0)
    net = cs.Network("wide")
    x = net.add("pixels", cs.SpikeSource(n_in))
    h = net.add("hidden", cs.loihi.LIF(n_hidden, du=4095, dv=128, vth=2000))
    mantissas = 2 * rng.integers(-weight, weight, (n_hidden, n_in))
    net.connect(x, h, cs.loihi.Synapses(mantissas, delays=delay, sign="mixed"))
    return net


def attempt(title: str, make) -> None:
    """Try to build and compile; print what comes back."""
    print(f"\n{title}")
    try:
        program = cs.compile(make(), "loihi")
    except cs.ChipsimError as error:
        print(f"  refused: {error}")
    else:
        print(f"  fits: {program}")


def main() -> None:
    """Five networks, most of them wrong."""
    attempt("Weights beyond the bits:", lambda: wide_network(100, 10, weight=200))
    attempt("Too many inputs for any core (5,000 input axons each):", lambda: wide_network(5000, 64))
    attempt("A delay beyond the chip's:", lambda: wide_network(100, 10, delay=63))
    attempt("Many synapses, which the mapper spreads over cores by itself:", lambda: wide_network(1000, 1000))
    attempt("The inputs cut in two halves that are summed by a second layer:", two_halves)


def two_halves() -> cs.Network:
    """5,000 pixels onto 64 neurons by way of two groups of 2,500."""
    rng = np.random.default_rng(0)
    net = cs.Network("two halves")
    out = net.add("hidden", cs.loihi.LIF(64, du=4095, dv=128, vth=1500))
    for half in ("left", "right"):
        x = net.add(f"{half} pixels", cs.SpikeSource(2500))
        part = net.add(f"{half} part", cs.loihi.LIF(64, du=4095, dv=128, vth=1000))
        net.connect(x, part, cs.loihi.Synapses(2 * rng.integers(-30, 30, (64, 2500)), sign="mixed"))
        net.connect(part, out, cs.loihi.Synapses(200 * np.eye(64, dtype=int)))
    return net


if __name__ == "__main__":
    main()
