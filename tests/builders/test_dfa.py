"""Automata as values: against plain dictionaries, and minimality against the table-filling algorithm."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chipsim.errors import NetworkError
from chipsim.mappings import DFA
from tests.oracles.naive_dfa import automata, classes, plain_prefixes, triples

#: Words that end in "ab".
ENDS = {0: {"a": 1, "b": 0}, 1: {"a": 1, "b": 2}, 2: {"a": 1, "b": 0}}


@settings(max_examples=80, deadline=None)
@given(automata(), st.data())
def test_runs_and_minimises(dfa: DFA, data: st.DataObject) -> None:
    word = data.draw(st.lists(st.sampled_from(dfa.alphabet), max_size=30))
    small = dfa.minimal()
    assert dfa.prefixes(word).tolist() == small.prefixes(word).tolist() == plain_prefixes(dfa, word)
    assert dfa.accepts(word) == plain_prefixes(dfa, word)[-1]
    assert len(small.states) == classes(dfa) and set(small.states) <= set(dfa.states)
    assert len(small.minimal().states) == len(small.states)
    order = data.draw(st.permutations(dfa.states))  # the minimal automaton does not depend on how states are numbered
    other = DFA(order, dfa.alphabet, triples(dfa), dfa.start, dfa.accepting).minimal()
    assert np.array_equal(other.transitions, small.transitions)
    assert np.array_equal(other.accepts_state, small.accepts_state) and small.start_index == 0


@pytest.mark.parametrize("n, k", [(1, 1), (2, 1), (7, 1), (4, 2), (33, 3), (256, 2)])
def test_random_automata_are_minimal_and_go_on_visiting_all(n: int, k: int) -> None:
    dfa = DFA.random(n, k, seed=3)
    assert len(dfa.states) == n and len(dfa.alphabet) == k and len(dfa.minimal().states) == n
    if n <= 33:
        assert classes(dfa) == n
    word = np.random.default_rng(0).integers(0, k, 20_000)
    assert np.unique(dfa.run(word)[-15_000:]).size == n
    same, other = DFA.random(n, k, seed=3), DFA.random(n, k, seed=4)
    assert np.array_equal(same.transitions, dfa.transitions) and same.accepting == dfa.accepting
    assert n < 4 or not np.array_equal(other.transitions, dfa.transitions)


def test_every_way_to_write_transitions() -> None:
    pairs = {(q, a): t for q, row in ENDS.items() for a, t in row.items()}
    triples = [(q, a, t) for (q, a), t in pairs.items()]
    array = np.array([[1, 0], [1, 2], [1, 0]])
    tables = [DFA(range(3), "ab", form, 0, [2]).transitions for form in (ENDS, pairs, triples, array)]
    assert all(np.array_equal(t, array) for t in tables)
    parts = {"states": {0, 1, 2}, "input_symbols": {"b", "a"}, "transitions": ENDS, "initial_state": 0}
    five = (range(3), "ab", ENDS, 0, [2])
    for written in (five, parts | {"final_states": {2}}, SimpleNamespace(**parts, final_states={2})):
        dfa = DFA.of(written)
        assert dfa.alphabet == ("a", "b") and np.array_equal(dfa.transitions, array)
    assert DFA.of(dfa) is dfa
    names = np.array(["p", "q"])
    assert DFA(names, np.array([0, 1]), [("p", 0, "q"), ("p", 1, "p"), ("q", 0, "p"), ("q", 1, "q")], "p", names[:1])


def test_missing_transitions_are_completed_only_when_asked() -> None:
    partial = {"x": {"go": "y"}, "y": {"go": "x", "stop": "y"}}
    with pytest.raises(NetworkError, match=r"'x' has no transition for symbol 'stop'.*complete=True"):
        DFA("xy", ["go", "stop"], partial, "x", "y")
    dfa = DFA(["x", "y", "sink"], ["go", "stop"], partial | {"sink": {"go": "x"}}, "x", "y", complete=True)
    assert dfa.states[-1] == "sink'" and len(dfa.states) == 4
    assert dfa.prefixes(["go", "stop", "go", "stop", "go"]).tolist() == [False, True, True, False, False, False]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"states": []}, "states is empty"),
        ({"alphabet": ""}, "alphabet is empty"),
        ({"states": [0, 1, 1, 2]}, "names 1 twice"),
        ({"states": [0, [1], 2]}, "hashed"),
        ({"states": 3}, "states must be names"),
        ({"start": 7}, "start state 7"),
        ({"start": [0]}, "start state"),
        ({"accepting": [9]}, "accepting state 9"),
        ({"transitions": ENDS | {5: {"a": 0}}}, "leaves state 5"),
        ({"transitions": ENDS | {0: {"a": 1, "c": 0}}}, "symbol 'c'"),
        ({"transitions": ENDS | {0: {"a": 8, "b": 0}}}, "lead to 8"),
        ({"transitions": ENDS | {0: {"a": {1, 2}, "b": 0}}}, "not deterministic"),
        ({"transitions": [(0, "a", 1), (0, "a", 2)]}, "two states"),
        ({"transitions": {0: 1}}, "transitions are"),
        ({"transitions": 5}, "transitions are"),
        ({"transitions": np.zeros((2, 2), int)}, r"give whole numbers \(3, 2\)"),
        ({"transitions": np.full((3, 2), 3)}, "index 3, outside 0..2"),
        ({"states": range(1 << 40)}, "states holds more than 4194304"),
        ({"states": range(1 << 13), "alphabet": range(1 << 12)}, "8192 states times 4096 symbols are more than"),
    ],
)
def test_no_automaton(change: dict, message: str) -> None:
    parts = {"states": range(3), "alphabet": "ab", "transitions": ENDS, "start": 0, "accepting": [2]}
    with pytest.raises(NetworkError, match=message):
        DFA(**(parts | change))


def test_words_and_objects_that_are_none() -> None:
    dfa = DFA(range(3), ["a", "bc"], {q: {"a": t["a"], "bc": t["b"]} for q, t in ENDS.items()}, 0, [2])
    assert dfa.accepts(["a", "bc"]) and dfa.codes([]).shape == (0,)
    for word, message in (("abc", "'b' at position 1.*list of symbols"), (["a", None], "position 1"), (7, "sequence")):
        with pytest.raises(NetworkError, match=message):
            dfa.run(word)
    with pytest.raises(NetworkError, match="sequence"):
        dfa.run([["a"]])
    with pytest.raises(NetworkError, match="no 'alphabet'"):
        DFA.of({"states": "ab"})
    with pytest.raises(NetworkError, match="no automaton"):
        DFA.of(3)
    with pytest.raises(NetworkError, match="whole number"):
        DFA.random(2.5)
    with pytest.raises(NetworkError, match="no minimal automaton"):
        DFA.random(40, 1, tries=0)
