"""Measured silicon beside what chipsim estimates: Loihi 1 keyword spotting, the floor of Loihi 2, ODIN's
power law.

Nothing is fitted here. Where the measurement leaves a quantity open (firing rates were not published), the
estimate is printed for a range, and the value at which both would agree.

    python examples/measured_silicon.py
"""

from __future__ import annotations

import numpy as np

import chipsim as cs
from chipsim.estimate.estimate import Estimate, estimate, estimate_cycles
from chipsim.estimate.traffic import Spikes, count, fan_out, pack

SEED = 0
# Blouw et al. 2019 (arXiv 1812.01739), raw logs of github.com/abr/power_benchmarks: dynamic energy per step
# in uJ of 390 -> 256 -> [C copies x 10 layers of 256] -> 256 -> 29, by number of copies C.
KEYWORD_UJ = {1: 68.157, 2: 70.373, 4: 73.350, 6: 76.786, 8: 80.243, 10: 83.580}
# github.com/NECOTIS/TemporalLearningInRSNNs, loihi_experiment: means of 18 conditions of 100 runs of 1e7
# steps.
PAIR_STEP_US, PAIR_STATIC_W, PAIR_DYNAMIC_NJ = 1.16394, 0.21359, 34.2
# Frenkel et al. 2019 (TBioCAS 13(1):145-158) at 0.55 V: clock in MHz, synaptic operations per second, power
# in uW.
ODIN_POINTS = ((75.0, 37.5e6, 477.0), (1.3, 650e3, 35.0))


def layers(copies: int, rate: float, steps: int = 50) -> Spikes:
    """256 neurons that feed `copies` chains of 10 layers of 256, dense, a core each; random spikes at
    `rate` per step.
    """
    rng = np.random.default_rng(SEED)
    blocks = 1 + copies * 10
    core = np.repeat(np.arange(blocks), 256)
    first = np.arange(copies) * 10 + 1
    wires = [(0, block) for block in first] + [(b, b + 1) for b in range(1, blocks) if b % 10]
    pre = np.concatenate([np.repeat(a * 256 + np.arange(256), 256) for a, _ in wires])
    post = np.concatenate([np.tile(b * 256 + np.arange(256), 256) for _, b in wires])
    fired = rng.random((steps, blocks * 256)) < rate
    step, neuron = np.nonzero(fired)
    start = np.searchsorted(step, np.arange(steps + 1))
    active = pack(np.ones_like(fired))  # driven by their input, all neurons have something to do
    return Spikes(start, neuron, active, core, np.zeros(len(core), bool), *fan_out(pre, post, core))


def dynamic_uj(copies: int, rate: float, cost_set: str) -> float:
    """Estimated dynamic energy per step, uJ."""
    chip = cs.chip("loihi")
    spikes = layers(copies, rate)
    est = estimate(chip, count(chip, spikes), cost_set=cost_set)
    return est.dynamic_energy / est.counts.steps * 1e6


def keyword_spotting() -> None:
    """Slope of energy against size: the part of the measurement that does not contain host and input."""
    measured = np.polyfit(list(KEYWORD_UJ), list(KEYWORD_UJ.values()), 1)[0]
    print(f"Loihi 1, keyword spotting: {measured:.2f} uJ per step and copy of 10 x 256 neurons, measured")
    for cost_set in ("davies2018", "sanafe"):
        base, busy = ((dynamic_uj(4, rate, cost_set) - dynamic_uj(2, rate, cost_set)) / 2 for rate in (0.0, 0.1))
        line = [f"{base + (busy - base) * rate / 0.1:.2f} at {rate:.1%}" for rate in (0.064, 0.08, 0.1)]
        agree = (measured - base) / (busy - base) * 0.1
        print(f"  estimated, {cost_set:10s}: {', '.join(line)} firing; equal at {agree:.1%}", end="")
        print(f"; ratio {(base + (busy - base) * 0.8) / measured:.2f} at 8.0%")


def two_neurons() -> Estimate:
    """Two neurons and one synapse on Loihi 2, the first one firing every 20 steps."""
    chip = cs.chip("loihi2")
    core = np.array([0, 0])
    fired = np.zeros((1000, 2), bool)
    fired[::20, 0] = True
    step, neuron = np.nonzero(fired)
    start = np.searchsorted(step, np.arange(1001))
    fan = fan_out(np.array([0]), np.array([1]), core)
    spikes = Spikes(start, neuron, pack(np.ones_like(fired)), core, np.zeros(2, bool), *fan)
    return estimate(chip, count(chip, spikes))


def loihi2_floor() -> None:
    """An almost empty step: barrier and static power, whatever the network."""
    est = two_neurons()
    step = est.latency / est.counts.steps * 1e6
    static = est.energy["static"] / est.latency
    events = est.dynamic_energy / est.counts.steps * 1e9
    moving = events + est.energy["barrier"] / est.counts.steps * 1e9
    print("Loihi 2, two neurons and one synapse:   measured   estimated   ratio")
    for name, real, mine, unit in (
        ("time of a step", PAIR_STEP_US, step, "us"),
        ("static power", PAIR_STATIC_W, static, "W "),
        ("other energy of a step", PAIR_DYNAMIC_NJ, moving, "nJ"),
    ):
        print(f"  {name:30s} {real:10.4g} {unit} {mine:10.4g} {mine / real:7.3f}")
    print(f"  (the barrier's constants come from this measurement; the {events:.2g} nJ of events on top do not)")


def odin_power() -> None:
    """P = P_leak + P_idle f + E_SOP r, the published law, at two published points."""
    chip = cs.chip("odin")
    print("ODIN at 0.55 V:                         measured   estimated   ratio")
    for clock, rate, measured in ODIN_POINTS:
        est = estimate_cycles(chip, cycles=int(clock * 1e6), sops=int(rate), clock=clock * 1e6)
        power = est.total_energy / est.latency * 1e6
        label = f"{clock:g} MHz, {rate / 1e6:g} MSOP/s"
        print(f"  {label:30s} {measured:10.4g} uW {power:10.4g} {power / measured:7.3f}")


if __name__ == "__main__":
    keyword_spotting()
    loihi2_floor()
    odin_power()
