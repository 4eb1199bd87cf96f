"""Finite automata as threshold networks on emulated cores, as an experiment: size against time against energy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..protocol import Bar, Experiment, Outcome, Quick, Ran, Row, Tell, Way

STATES = (4, 6, 10, 16, 25, 40, 64, 101, 160, 256)  #: of the random minimal automata, two symbols each
SYMBOLS = 10_000  #: of a random word; every prefix is checked
COLUMNS = ("states", "wrong", "neurons", "steps_per_symbol", "max_active", "energy_per_symbol")


class Ready(NamedTuple):
    """Encoding, length of a word, chip."""

    encoding: str
    planes: int | None
    symbols: int
    chip: str


class Measured(NamedTuple):
    """One row of COLUMNS for each automaton so far, as a list of lists."""

    table: list[list[float]]

    @property
    def state(self) -> dict[str, Any]:
        """A checkpoint."""
        import numpy as np

        return {"table": np.array(self.table)}

    def column(self, name: str) -> list[float]:
        """One figure of all automata."""
        return [row[COLUMNS.index(name)] for row in self.table]


def prepare(way: Way, size: Mapping[str, Any]) -> Ready:
    """The encoding of a way."""
    return Ready(way.settings["encoding"], way.settings.get("planes"), size.get("symbols", SYMBOLS), way.chip)


def advance(ready: Ready, seed: int, goal: int, tell: Tell, state: Mapping[str, Any] | None) -> Outcome:
    """Automata up to `goal` in all, the small ones first."""
    table = [] if state is None else [[float(v) for v in row] for row in state["table"]]
    for k in range(len(table), min(goal, len(STATES))):
        table.append(_measure(ready, seed, k))
        tell(k + 1, f"{STATES[k]} states")
    return Outcome(Measured(table), solved=len(table) == len(STATES))


def _measure(ready: Ready, seed: int, k: int) -> list[float]:
    """Run one automaton over its word; the first seed draws those of examples/automata.py."""
    import numpy as np

    from chipsim.emulator import Emulator
    from chipsim.mappings import DFA, from_automaton
    from chipsim.mappings.compiler.compile import compile

    dfa = DFA.random(STATES[k], 2, seed=STATES[k] + 1000 * seed)
    word = np.random.default_rng([seed, k]).integers(0, 2, ready.symbols)
    automaton = from_automaton(dfa, ready.encoding, planes=ready.planes)
    result = Emulator(compile(automaton.network, ready.chip)).run(automaton.encode(word))
    wrong = int(np.sum(automaton.read(result) != dfa.prefixes(word)))
    report = automaton.report(result) | {"wrong": wrong}
    return [float(report[name]) for name in COLUMNS]


def rows(ran: Ran) -> list[Row]:
    """Prefixes answered wrong, growth of the network, and the largest automaton's activity, time and energy."""
    import numpy as np

    made = []
    for seed, r in ran.made.items():
        growth = None
        if len(r.table) > 1:
            growth = float(np.polyfit(np.log(r.column("states")), np.log(r.column("neurons")), 1)[0])
        made.append(
            {"seed": seed, "automata": len(r.table), "wrong": int(sum(r.column("wrong"))), "growth": growth,
             "max_active": max(r.column("max_active")), "steps_per_symbol": max(r.column("steps_per_symbol")),
             "energy_nJ": 1e9 * r.column("energy_per_symbol")[-1]}
        )  # fmt: skip
    return made


def figure(groups: Mapping[str, Ran]) -> Any:
    """Neurons, active neurons and energy over the number of states, a colour for each encoding."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(11, 3.6), layout="constrained")
    panels = (("neurons", 1.0, "neurons"), ("max_active", 1.0, "neurons that fire at once, at most"),
              ("energy_per_symbol", 1e9, "nJ per symbol, events and updates"))  # fmt: skip
    for axis, (name, scale, label) in zip(drawn.subplots(1, 3), panels, strict=True):
        for k, (group, ran) in enumerate(groups.items()):
            for j, r in enumerate(ran.made.values()):
                values = [v * scale for v in r.column(name)]
                axis.loglog(r.column("states"), values, "o-", ms=3, color=f"C{k}", label=None if j else group)
        axis.set(xlabel="states of the automaton", ylabel=label)
    drawn.axes[0].legend(frameon=False, fontsize=8)
    return drawn


def _way(about: str, label: str, growth: float, **settings: Any) -> Way:
    right = Bar("wrong", "<=", 0.0, "every prefix is answered as the automaton does", "worst")
    bars = (right, Bar("growth", "<=", growth, "exponent of the neurons over 4 to 256 states: docs/automata.md"))
    return Way(about, label, "Loihi's integers", "loihi", settings, bars, Quick((0,), 5, (right,), {"symbols": 500}))


EXPERIMENT = Experiment(
    name="automata",
    about="ten random automata as threshold networks, every prefix of 10,000 symbols answered",
    paper="Sima 2014",
    ways={
        "sqrt": _way("the transition table as a memory of rows and columns", "sqrt", 0.6, encoding="sqrt"),
        "sqrt-1-plane": _way("the same table read bit after bit: fewer neurons, more time", "sqrt, 1 plane", 0.5,
                             encoding="sqrt", planes=1),
        "binary": _way("gates read the state as bits", "binary", 1.0, encoding="binary"),
        "one-hot": _way("a gate per state and symbol", "one-hot", 1.0, encoding="one-hot"),
    },
    seeds=(0,), iterations=len(STATES), unit="automata", key="energy_nJ", cpu_seconds=2, every=1,
    prepare=prepare, advance=advance, seen=lambda state: len(state["table"]), rows=rows, figure=figure,
)  # fmt: skip
