"""Finite automata on the chip: a DFA in, a threshold network out, with the way to write words and to read answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chipsim.checks import choice, shown, whole
from chipsim.errors import NetworkError, RunError
from chipsim.mappings.network.network import Network, synapse_count
from chipsim.results import Result
from chipsim.run.record import EVENT

from .dfa import DFA
from .encodings import encode as encode_dfa

__all__ = ["DFA", "Automaton", "from_automaton"]

FAMILIES = ("loihi", "float")


@dataclass(frozen=True, eq=False)
class Automaton:
    """A finite automaton as a network.

    Attributes
    ----------
    dfa : DFA
        The automaton that the network runs: minimal unless told otherwise.
    network : Network
        Inputs "symbols" (one line per symbol) and "start"; population "accept".
    encoding : str
    steps_per_symbol : int
        tau: a symbol may come every so many steps.
    first_symbol : int
        Step of the first symbol; the start line spikes at step 0.
    planes : int
        Bit planes of the table read at once ("sqrt"); else 0.
    """

    dfa: DFA
    network: Network
    encoding: str
    steps_per_symbol: int
    first_symbol: int
    planes: int = 0

    def steps(self, symbols: int) -> int:
        """Steps of a run over a word of so many symbols, up to its last answer."""
        return symbols * self.steps_per_symbol + 2

    def encode(self, word: Iterable[Any]) -> dict[str, np.ndarray]:
        """`word` as inputs of `Emulator.run`, from a fresh or reset emulator; they also set the number of steps.

        Parameters
        ----------
        word : sequence of symbols
            A text is a word of its characters; the empty word is one.

        Returns
        -------
        dict
            "symbols": events (step, neuron), one a symbol; "start": (steps, 1) bool.

        Raises
        ------
        NetworkError
            A symbol that is not in the alphabet, with its position.
        """
        codes = self.dfa.codes(word)
        events = np.empty(codes.size, EVENT)
        events["step"] = self.first_symbol + self.steps_per_symbol * np.arange(codes.size)
        events["neuron"] = codes
        start = np.zeros((self.steps(codes.size), 1), bool)
        start[0] = True
        return {"symbols": events, "start": start}

    def read(self, result: Result) -> np.ndarray:
        """Whether each prefix was accepted, (t + 1,) bool, first the empty word.

        Raises
        ------
        RunError
            A result of another network, or of a run that did not begin at step 0.
        """
        self._check(result)
        # Under brian2_loihi an input acts in its own step, so that all comes one step sooner.
        first = 0 if result.program.arithmetic.preset == "brian2_loihi" else 1
        answers = result.spikes["accept"][first :: self.steps_per_symbol, 0]
        return np.asarray(answers[: self._symbols(result) + 1], bool)

    def report(self, result: Result) -> dict[str, Any]:
        """What a run over a word took.

        Returns
        -------
        dict
            encoding, states, symbols of the alphabet, neurons, synapses, planes, steps_per_symbol, word (symbols read);
            max_active (neurons that fire in the same step, at most: energy complexity; input lines are not neurons),
            spikes_per_symbol, events_per_symbol (synaptic); energy_per_symbol (J, events and updates only),
            total_energy_per_symbol (J, with static power where known), time_per_symbol (s), each as the chip's cost set
            estimates it.
        """
        self._check(result)
        active = self.active(result)
        read, estimate = max(self._symbols(result), 1), result.estimate()
        return {
            "encoding": self.encoding,
            "states": len(self.dfa.states),
            "symbols": len(self.dfa.alphabet),
            "neurons": self.network.n,
            "synapses": sum(synapse_count(p.synapses) for p in self.network.projections.values()),
            "planes": self.planes,
            "steps_per_symbol": self.steps_per_symbol,
            "word": self._symbols(result),
            "max_active": int(active.max()),
            "spikes_per_symbol": float(active.sum() / read),
            "events_per_symbol": float(result.activity.synaptic_events.sum() / read),
            "energy_per_symbol": float(estimate.dynamic_energy / read),
            "total_energy_per_symbol": float(estimate.total_energy / read),
            "time_per_symbol": float(estimate.latency / read),
        }

    def active(self, result: Result) -> np.ndarray:
        """Neurons that fired in each step, (steps,) int64; spikes of input lines do not count."""
        train = result.raw.spikes
        neuron = np.zeros(result.program.n, np.int64)
        for p in result.program.populations:
            neuron[p.start : p.stop] = not p.model.is_input
        fired = np.concatenate([[0], np.cumsum(neuron[train.ids])])
        return np.diff(fired[train.ptr])

    def _symbols(self, result: Result) -> int:
        return (result.steps - 2) // self.steps_per_symbol

    def _check(self, result: Result) -> None:
        sizes = {p.name: p.n for p in result.program.populations}
        mine = {name: p.n for name, p in self.network.populations.items()}
        if sizes != mine:
            raise RunError(f"the result is not one of this {self.encoding} automaton: its populations are {sizes}")
        if result.first_step or result.steps < 2:
            raise RunError(
                f"the run covers steps {result.first_step} to {result.first_step + result.steps - 1}: a word is read "
                "from step 0 in one run; reset the emulator and run encode(word)"
            )


def from_automaton(
    dfa: Any,
    encoding: str = "one-hot",
    *,
    planes: int | None = None,
    complete: bool = False,
    minimise: bool = True,
    family: str = "loihi",
) -> Automaton:
    """A threshold network that runs a deterministic finite automaton.

    Parameters
    ----------
    dfa
        A `DFA`, a tuple (states, alphabet, transitions, start, accepting) or a dict of these, or an object of the
        automata-lib kind.
    encoding : {"one-hot", "binary", "sqrt"}
        For m states and k symbols: m k + 1 neurons and one step per symbol; m k + ceil(log2 m) + 1 and two; about
        2 sqrt(m k log2 m) and two.
    planes : int or None
        "sqrt" only: at most so many bit planes of the table are read in one step, so that at most
        max(3, planes + 1) neurons fire at once. Fewer planes: fewer neurons (about 2 sqrt(m (k + 1)) for one), more
        steps. None reads all at once.
    complete : bool
        Send missing transitions to a state that accepts nothing; without it they are refused.
    minimise : bool
        Build the minimal automaton of the language (unreachable states go, equivalent ones merge).
    family : {"loihi", "float"}
        Neurons in the registers of chips of that family: "loihi" for loihi, loihi2, unlimited; "float" for float.

    Raises
    ------
    NetworkError
        An automaton that is none, an unknown encoding or family, more transitions than fit a network.

    Examples
    --------
    >>> import chipsim as cs
    >>> ends_in_ab = {0: {"a": 1, "b": 0}, 1: {"a": 1, "b": 2}, 2: {"a": 1, "b": 0}}
    >>> a = from_automaton(DFA(range(3), "ab", ends_in_ab, 0, [2]), "sqrt")
    >>> result = cs.Emulator(cs.compile(a.network, "loihi")).run(a.encode("aabab"))
    >>> a.read(result).tolist()
    [False, False, False, True, False, True]

    Source: energy complexity and its trade against time after Sima 2014 (Neural Computation 26).
    """
    given = DFA.of(dfa, complete=complete)
    choice(family, "from_automaton: family", FAMILIES)
    if planes is not None:
        whole(planes, "from_automaton: planes", 1)
        if encoding != "sqrt":
            raise NetworkError(
                f"from_automaton: planes={planes} belongs to encoding='sqrt'; {shown(encoding)} has no table"
            )
    made = given.minimal() if minimise else given
    wiring = encode_dfa(made, encoding, family, planes)
    net = wiring.network
    net.metadata["automaton"] = {
        "encoding": encoding,
        "states": len(made.states),
        "alphabet": [str(a) for a in made.alphabet],
        "steps_per_symbol": wiring.steps,
        "first_symbol": wiring.first,
        "planes": wiring.planes,
    }
    return Automaton(made, net, encoding, wiring.steps, wiring.first, wiring.planes)
