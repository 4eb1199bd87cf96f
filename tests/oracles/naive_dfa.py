"""Automata to test with, and slow answers about them: words walked by names, states told apart pair by pair."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from chipsim.mappings import DFA


@st.composite
def automata(draw: st.DrawFn, most: int = 9, symbols: int = 4) -> DFA:
    """Any automaton: unreachable and equivalent states, all or no states accepting."""
    m, k = draw(st.integers(1, most)), draw(st.integers(1, symbols))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    accepting = np.flatnonzero(rng.random(m) < draw(st.sampled_from((0.0, 0.3, 0.7, 1.0))))
    return DFA(range(m), range(k), rng.integers(0, m, (m, k)), int(rng.integers(m)), accepting.tolist())


def triples(dfa: DFA) -> list[tuple]:
    """Transitions as (state, symbol, next state), by names."""
    names, table = dfa.states, dfa.transitions
    return [(q, a, names[table[i, j]]) for i, q in enumerate(names) for j, a in enumerate(dfa.alphabet)]


def plain_prefixes(dfa: DFA, word: list) -> list[bool]:
    """The language by walking names, one at a time."""
    step = {(q, a): target for q, a, target in triples(dfa)}
    q, answers = dfa.start, [dfa.start in dfa.accepting]
    for a in word:
        q = step[q, a]
        answers.append(q in dfa.accepting)
    return answers


def classes(dfa: DFA) -> int:
    """Number of reachable states that some word tells apart: marks pairs until none is added."""
    reachable, table = {dfa.start_index}, dfa.transitions
    while True:
        more = reachable | {int(t) for q in reachable for t in table[q]}
        if more == reachable:
            break
        reachable = more
    pairs = [(p, q) for p in reachable for q in reachable if p < q]
    final = [dfa.states[q] in dfa.accepting for q in range(len(dfa.states))]
    apart = {(p, q) for p, q in pairs if final[p] != final[q]}
    while True:
        new = {
            (p, q)
            for p, q in pairs
            if any((min(a, b), max(a, b)) in apart for a, b in zip(table[p].tolist(), table[q].tolist()))
        }
        if new <= apart:
            break
        apart |= new
    return sum(all((p, q) in apart for p in reachable if p < q) for q in reachable)
