"""Finite automata on emulated Loihi cores: ten minimal automata, 10,000 random symbols each, three encodings.

Run it with `python examples/automata.py`: it checks every prefix, prints what each encoding takes, and writes a
picture beside itself. The networks are threshold gates; energy complexity is the number of neurons that fire at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import chipsim as cs
from chipsim.mappings import DFA, from_automaton

STATES = (4, 6, 10, 16, 25, 40, 64, 101, 160, 256)
SYMBOLS = 10_000
ENCODINGS = ("one-hot", "binary", "sqrt")
COLOURS = {"one-hot": "#0072B2", "binary": "#D55E00", "sqrt": "#009E73", "sqrt, 1 plane": "#CC79A7"}


def measure(dfa: DFA, word: np.ndarray, encoding: str, planes: int | None = None) -> dict[str, Any]:
    """One automaton in one encoding over one word; every prefix must be answered as the automaton does."""
    automaton = from_automaton(dfa, encoding, planes=planes)
    result = cs.Emulator(cs.compile(automaton.network, "loihi")).run(automaton.encode(word))
    wrong = int(np.sum(automaton.read(result) != dfa.prefixes(word)))
    return automaton.report(result) | {"wrong": wrong}


def show(row: dict[str, Any], name: str) -> None:
    """A line of the table."""
    print(
        f"{row['states']:>6} {name:<14} {row['wrong']:>5} {row['neurons']:>7} {row['steps_per_symbol']:>5} "
        f"{row['max_active']:>6} {row['spikes_per_symbol']:>7.2f} {row['events_per_symbol']:>7.1f} "
        f"{row['energy_per_symbol'] * 1e9:>7.2f} {row['total_energy_per_symbol'] * 1e9:>7.1f} "
        f"{row['time_per_symbol'] * 1e6:>6.2f}"
    )


def growth(rows: list[dict[str, Any]], key: str = "neurons") -> float:
    """Exponent b of a fit value = a states**b."""
    states = np.log([r["states"] for r in rows])
    return float(np.polyfit(states, np.log([r[key] for r in rows]), 1)[0])


def main() -> None:
    """All automata, then the trade of active neurons for time."""
    rng = np.random.default_rng(0)
    automata = [DFA.random(m, 2, seed=m) for m in STATES]
    words = [rng.integers(0, 2, SYMBOLS) for _ in STATES]
    visited = min(np.unique(dfa.run(word)).size / len(dfa.states) for dfa, word in zip(automata, words))
    print(f"states that a word visits, at the least: {visited:.0%}")
    columns = "wrong neurons steps active   spikes   events     nJ  all nJ    µs"
    print(
        f"{SYMBOLS} symbols; per symbol: spikes, synaptic events, energy (events and updates; with static power), time"
    )
    print(f"states encoding       {columns}")
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in COLOURS}
    for dfa, word in zip(automata, words):
        for name in COLOURS:
            encoding, _, planes = name.partition(", ")
            rows[name].append(measure(dfa, word, encoding, 1 if planes else None))
            show(rows[name][-1], name)
    print("neurons grow as states to the power of:", {n: round(growth(r), 2) for n, r in rows.items()})
    print("\nplanes read at once, 256 states: active neurons e, steps tau, neurons s")
    sweep = [measure(automata[-1], words[-1], "sqrt", planes) for planes in (1, 2, 3, 5, 9)]
    for row in sweep:
        e, tau, size = row["max_active"], row["steps_per_symbol"], row["neurons"]
        product = f"e tau {e * tau:>2}, e tau / s {e * tau / size:.2f}"
        print(f"planes {row['planes']}: e {e:>2}, tau {tau:>2}, s {size:>3}, {product}, wrong {row['wrong']}")
    wrong = sum(r["wrong"] for r in (*sweep, *(r for some in rows.values() for r in some)))
    print(f"{wrong} of all prefixes answered wrong")
    plot(rows, sweep, Path(__file__).with_suffix(".png"))


def plot(rows: dict[str, list[dict[str, Any]]], sweep: list[dict[str, Any]], path: Path) -> None:
    """Five figures of the encodings over the number of states, and the trade of the table."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(13, 7.5), layout="constrained")
    panels = (
        ("neurons", 1.0, "neurons", "Size"),
        ("steps_per_symbol", 1.0, "steps per symbol", "Time"),
        ("max_active", 1.0, "neurons that fire at once, at most", "Energy complexity"),
        ("energy_per_symbol", 1e9, "nJ per symbol", "Energy of events and updates (Loihi)"),
        ("total_energy_per_symbol", 1e9, "nJ per symbol", "Energy with static power (Loihi)"),
    )
    for axis, (key, scale, label, title) in zip(axes.flat, panels):
        for name, some in rows.items():
            line = "--" if name == "sqrt" else "-"  # one below it stays visible
            axis.plot(
                [r["states"] for r in some],
                [r[key] * scale for r in some],
                "o" + line,
                ms=4,
                color=COLOURS[name],
                label=name,
            )
        axis.set(xscale="log", xlabel="states of the automaton", ylabel=label, title=title)
        axis.set_xticks(STATES[::3], [str(m) for m in STATES[::3]])
        axis.minorticks_off()
        if key not in ("steps_per_symbol", "max_active"):
            axis.set_yscale("log")
            low, high = axis.get_ylim()
            ticks = [t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500) if low <= t <= high]
            axis.set_yticks(ticks, [str(t) for t in ticks])
            axis.yaxis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0, 0].legend(title="encoding")
    trade(axes[1, 2], sweep)
    figure.savefig(path, dpi=110)
    print(f"picture: {path.name}")


def trade(axis: Any, sweep: list[dict[str, Any]]) -> None:
    """Steps against active neurons; the number at a point is the size of the network."""
    active, steps = ([r[k] for r in sweep] for k in ("max_active", "steps_per_symbol"))
    axis.plot(active, steps, "o-", color=COLOURS["sqrt"], label="sqrt, 1 to 9 planes at once")
    for r in sweep:
        axis.annotate(
            f"{r['neurons']} neurons",
            (r["max_active"], r["steps_per_symbol"]),
            xytext=(7, 4),
            textcoords="offset points",
        )
    e = np.linspace(min(active), max(active), 50)
    smallest = min(r["neurons"] for r in sweep)
    axis.plot(e, smallest / e, "--", color="k", lw=1, label=f"e τ = {smallest}, the fewest neurons")
    axis.set(
        xlabel="neurons that fire at once, e", ylabel="steps per symbol, τ", title="256 states: fewer at once, longer",
        xlim=(2, 13), ylim=(0, None),
    )  # fmt: skip
    axis.grid(alpha=0.3)
    axis.legend()


if __name__ == "__main__":
    main()
