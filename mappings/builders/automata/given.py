"""What users give as an automaton's states, symbols and transitions, checked and brought into one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from itertools import islice
from typing import Any

import numpy as np

from chipsim.checks import shown
from chipsim.errors import NetworkError

MAX_NAMES = 1 << 22  #: states or symbols of an automaton


def names_of(given: Any, what: str, empty: bool = False) -> tuple[Hashable, ...]:
    """Distinct hashable names; those of a set in an order that does not change from run to run."""
    try:
        names = tuple(islice(given.tolist() if isinstance(given, np.ndarray) else given, MAX_NAMES + 1))
        distinct = len(set(names))
    except TypeError as error:
        raise NetworkError(
            f"automaton: {what} must be names that can be compared and hashed: {str(error)[:80]}"
        ) from None
    if len(names) > MAX_NAMES:
        raise NetworkError(f"automaton: {what} holds more than {MAX_NAMES} names")
    if isinstance(given, (set, frozenset)):
        names = tuple(sorted(names, key=lambda q: (type(q).__name__, repr(q))))
    if distinct < len(names) and not empty:
        raise NetworkError(f"automaton: {what} names {shown(Counter(names).most_common(1)[0][0])} twice")
    if not names and not empty:
        raise NetworkError(f"automaton: {what} is empty; at least one is needed")
    return names


def is_known(name: Any, index: Mapping[Hashable, int]) -> bool:
    """Whether `name` is one of the names; what cannot be hashed is none."""
    try:
        return name in index
    except TypeError:
        return False


def table_of(given: Any, states: dict[Hashable, int], symbols: dict[Hashable, int]) -> np.ndarray:
    """(m, k) int64 table of next states, -1 where there is none."""
    if isinstance(given, np.ndarray):
        return _checked_array(given, len(states), len(symbols))
    table = np.full((len(states), len(symbols)), -1, np.int64)
    for q, a, target in _triples(given, len(symbols)):
        for name, known, what in ((q, states, "state"), (a, symbols, "symbol")):
            if not is_known(name, known):
                raise NetworkError(f"automaton: a transition leaves {what} {shown(name)}, which is not one of them")
        if isinstance(target, (set, frozenset, list)):
            raise NetworkError(
                f"automaton: state {shown(q)} and symbol {shown(a)} lead to a collection of states: it is not "
                "deterministic; make it so (subset construction) first"
            )
        if not is_known(target, states):
            raise NetworkError(
                f"automaton: state {shown(q)} and symbol {shown(a)} lead to {shown(target)}, which is not a state"
            )
        i, j = states[q], symbols[a]
        if table[i, j] not in (-1, states[target]):
            raise NetworkError(
                f"automaton: state {shown(q)} and symbol {shown(a)} lead to two states: it is not deterministic; "
                "make it so (subset construction) first"
            )
        table[i, j] = states[target]
    return table


def _checked_array(given: np.ndarray, m: int, k: int) -> np.ndarray:
    if given.shape != (m, k) or given.dtype.kind not in "iu":
        raise NetworkError(f"automaton: transitions are {given.dtype} {given.shape}; give whole numbers ({m}, {k})")
    bad = (given < 0) | (given >= m)
    if np.any(bad):
        raise NetworkError(f"automaton: a transition leads to index {given[bad][0]}, outside 0..{m - 1}")
    return given.astype(np.int64)


def _triples(given: Any, k: int) -> Iterable[tuple[Any, Any, Any]]:
    """Transitions of either kind of dict, or a list, as (state, symbol, next state)."""
    try:
        if not isinstance(given, Mapping):
            for q, a, target in given:
                yield q, a, target
            return
        for key, value in given.items():
            if isinstance(value, Mapping):
                for a, target in value.items():
                    yield key, a, target
            else:
                q, a = key
                yield q, a, value
    except (TypeError, ValueError):
        raise NetworkError(
            "automaton: transitions are {state: {symbol: state}}, {(state, symbol): state}, triples (state, symbol, "
            f"state), or an array of indices (states, {k})"
        ) from None


def completed(
    states: tuple[Hashable, ...], alphabet: tuple[Hashable, ...], table: np.ndarray, complete: bool
) -> tuple[tuple[Hashable, ...], np.ndarray]:
    """With a state that catches what has no transition; refused unless `complete`."""
    if not complete:
        i, j = np.argwhere(table < 0)[0]
        raise NetworkError(
            f"automaton: state {shown(states[i])} has no transition for symbol {shown(alphabet[j])} "
            f"({int(np.sum(table < 0))} are missing); give it, or pass complete=True to send such words to a state "
            "that accepts nothing"
        )
    sink = "sink"
    while sink in states:
        sink += "'"
    caught = np.where(table < 0, len(states), table)
    return (*states, sink), np.vstack([caught, np.full((1, len(alphabet)), len(states))])
