"""Deterministic finite automata as plain values: checked where they enter, run, minimised, drawn at random."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import InitVar, dataclass, field
from typing import Any

import numpy as np

from chipsim.checks import shown, whole
from chipsim.errors import NetworkError

from .given import completed, is_known, names_of, table_of

#: Names under which objects and files keep the five parts: ours, then those of the automata-lib package.
PARTS = (
    ("states", "states"),
    ("alphabet", "input_symbols"),
    ("transitions", "transitions"),
    ("start", "initial_state"),
    ("accepting", "final_states"),
)
MAX_TABLE = 1 << 24  #: entries of a transition table


@dataclass(frozen=True, eq=False)
class DFA:
    """A deterministic finite automaton with m states over k symbols.

    Parameters
    ----------
    states, alphabet : iterable of hashable
        Names, each once. Sets are put in order; alphabets may hold symbols of any kind, such as 0, "a" or "abc".
    transitions
        ``{state: {symbol: state}}``, ``{(state, symbol): state}``, triples (state, symbol, next state), or an (m, k)
        array of indices into `states`.
    start
        The state before the first symbol.
    accepting : iterable of states
    complete : bool
        Send what has no transition to a new state that accepts nothing, instead of refusing it.

    Attributes
    ----------
    transitions : (m, k) int64, read-only
        Index of the next state.

    Raises
    ------
    NetworkError
        Names twice, unknown states or symbols, two targets for one state and symbol, a missing transition.

    Examples
    --------
    >>> even = DFA("eo", "ab", {"e": {"a": "o", "b": "e"}, "o": {"a": "e", "b": "o"}}, "e", "e")
    >>> even.accepts("abba"), even.run("aba").tolist()
    (True, [0, 1, 1, 0])
    """

    states: Any
    alphabet: Any
    transitions: Any
    start: Hashable
    accepting: Any
    complete: InitVar[bool] = False
    start_index: int = field(init=False, default=0)

    def __post_init__(self, complete: bool) -> None:
        """Check everything once, here."""
        states, alphabet = names_of(self.states, "states"), names_of(self.alphabet, "alphabet")
        if len(states) * len(alphabet) > MAX_TABLE:
            raise NetworkError(
                f"automaton: {len(states)} states times {len(alphabet)} symbols are more than {MAX_TABLE} transitions"
            )
        index = {q: i for i, q in enumerate(states)}
        table = table_of(self.transitions, index, {a: i for i, a in enumerate(alphabet)})
        if not is_known(self.start, index):
            raise NetworkError(f"automaton: the start state {shown(self.start)} is not one of its {len(states)} states")
        accepting = names_of(self.accepting, "accepting", empty=True)
        for q in accepting:
            if q not in index:
                raise NetworkError(f"automaton: the accepting state {shown(q)} is not one of its {len(states)} states")
        if np.any(table < 0):
            states, table = completed(states, alphabet, table, complete)
        table.setflags(write=False)
        for name, value in (
            ("states", states),
            ("alphabet", alphabet),
            ("transitions", table),
            ("accepting", frozenset(accepting)),
            ("start_index", index[self.start]),
        ):
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, given: Any, *, complete: bool = False) -> DFA:
        """`given` as a DFA: one already, the five parts as a tuple or dict, or an object of the automata-lib kind.

        Such an object has ``states``, ``input_symbols``, ``transitions``, ``initial_state`` and ``final_states``.
        """
        if isinstance(given, DFA):
            return given
        if isinstance(given, tuple) and len(given) == len(PARTS):
            return cls(*given, complete=complete)
        parts = {}
        for ours, theirs in PARTS:
            for name in (ours, theirs):
                if isinstance(given, Mapping) and name in given:
                    parts[ours] = given[name]
                elif not isinstance(given, Mapping) and hasattr(given, name):
                    parts[ours] = getattr(given, name)
            if ours not in parts:
                raise NetworkError(
                    f"{type(given).__name__} is no automaton: it has no '{ours}' (or '{theirs}'); give a DFA, or a "
                    f"dict or object with {', '.join(p for p, _ in PARTS)}"
                )
        return cls(**parts, complete=complete)

    @classmethod
    def random(cls, n: int, k: int = 2, *, seed: int = 0, tries: int = 1000) -> DFA:
        """A random minimal automaton of exactly `n` states over the symbols 0 to k - 1.

        From each state one symbol, drawn at random, leads on along a ring of all states in random order, so that long
        words go on visiting all of them; the other transitions and the accepting states are drawn uniformly. Repeated
        until the automaton is minimal; NetworkError after `tries` draws.
        """
        n, k = whole(n, "DFA.random: n", 1, MAX_TABLE), whole(k, "DFA.random: k", 1, MAX_TABLE)
        rng = np.random.default_rng(whole(seed, "DFA.random: seed", 0))
        for _ in range(tries):
            accepting = np.flatnonzero(rng.random(n) < 0.5)
            dfa = cls(range(n), range(k), _random_table(n, k, rng), 0, accepting.tolist())
            if len(dfa.minimal().states) == n:
                return dfa
        raise NetworkError(f"DFA.random: {tries} draws gave no minimal automaton of {n} states over {k} symbols")

    @property
    def accepts_state(self) -> np.ndarray:
        """(m,) bool: which states accept."""
        return np.array([q in self.accepting for q in self.states], bool)

    def codes(self, word: Iterable[Any]) -> np.ndarray:
        """The symbols of `word` as indices into the alphabet, (t,) int64; a text is a word of its characters."""
        index = {a: i for i, a in enumerate(self.alphabet)}
        try:
            found = [index.get(s, -1) for s in (word.tolist() if isinstance(word, np.ndarray) else word)]
        except TypeError:
            raise NetworkError(f"a word is a sequence of symbols, not {type(word).__name__}") from None
        codes = np.array(found, np.int64)
        if np.any(codes < 0):
            at = int(np.argmin(codes))
            hint = "; give a list of symbols, not a text" if isinstance(word, str) and _long(self.alphabet) else ""
            raise NetworkError(
                f"symbol {shown(list(word)[at])} at position {at} is not in the alphabet of {len(self.alphabet)} "
                f"({_few(self.alphabet)}){hint}"
            )
        return codes

    def run(self, word: Iterable[Any]) -> np.ndarray:
        """States after each prefix of `word`, (t + 1,) int64 indices; the first is the start state."""
        table, q = self.transitions.tolist(), self.start_index
        visited = [q]
        for a in self.codes(word).tolist():
            q = table[q][a]
            visited.append(q)
        return np.array(visited, np.int64)

    def prefixes(self, word: Iterable[Any]) -> np.ndarray:
        """Whether each prefix of `word` is accepted, (t + 1,) bool; the first is the empty word."""
        return self.accepts_state[self.run(word)]

    def accepts(self, word: Iterable[Any]) -> bool:
        """Whether `word` is accepted."""
        return bool(self.prefixes(word)[-1])

    def minimal(self) -> DFA:
        """The smallest automaton of the same language; states in the order in which a breadth-first walk meets them.

        Unreachable states go, then states that no word tells apart are merged (`kernels.refinement`).
        A merged state keeps the name of the first that was met.
        """
        order = _breadth_first(self.transitions, self.start_index)
        place = np.full(len(self.states), -1, np.int64)
        place[order] = np.arange(order.size)
        table = place[self.transitions[order]]
        from chipsim.kernels.refinement import equivalent

        label = equivalent(np.ascontiguousarray(table), self.accepts_state[order])
        _, first = np.unique(label, return_index=True)
        first.sort()
        kinds = first.size
        new = np.empty(kinds, np.int64)
        new[label[first]] = np.arange(kinds)
        names = [self.states[order[i]] for i in first]
        accepting = [q for q in names if q in self.accepting]
        return DFA(names, self.alphabet, new[label[table[first]]], self.start, accepting)

    def __repr__(self) -> str:
        """Sizes."""
        return f"DFA({len(self.states)} states, {len(self.alphabet)} symbols, {len(self.accepting)} accepting)"


def _breadth_first(table: np.ndarray, start: int) -> np.ndarray:
    """Reachable states in the order in which they are met, symbols in the order of the alphabet."""
    rows, seen, order = table.tolist(), {start}, [start]
    for q in order:
        for target in rows[q]:
            if target not in seen:
                seen.add(target)
                order.append(target)
    return np.array(order, np.int64)


def _random_table(n: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """(n, k) transitions: from each state, one symbol leads on along a ring of all states, the others anywhere."""
    table = rng.integers(0, n, (n, k))
    ring = rng.permutation(n)
    table[ring, rng.integers(0, k, n)] = np.roll(ring, -1)
    return table


def _long(alphabet: tuple[Any, ...]) -> bool:
    return any(isinstance(a, str) and len(a) > 1 for a in alphabet)


def _few(names: tuple[Any, ...]) -> str:
    return ", ".join(shown(a) for a in names[:8]) + (", …" if len(names) > 8 else "")
