"""The coarsest partition of a finite automaton's states that no symbol breaks, in O(m k log m) steps.

Two partitions refine each other: of the states into blocks, and of the transitions into cords (those of one symbol
that lead into one block). Source: Valmari 2012, "Fast brief practical DFA minimization", Information Processing
Letters 112(6).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit


class Partition(NamedTuple):
    """Elements 0..n-1 in sets; those of set s are elements[first[s]:past[s]], the marked ones in front.

    elements, place (of each in `elements`), member (its set): (n,). first, past, marked, touched: (n + 1,), by set.
    size: (2,) number of sets, and of sets in `touched`. All int64.
    """

    elements: np.ndarray
    place: np.ndarray
    member: np.ndarray
    first: np.ndarray
    past: np.ndarray
    marked: np.ndarray
    touched: np.ndarray
    size: np.ndarray


def fresh(n: int) -> Partition:
    """All elements in one set."""
    one = np.arange(n)
    sets = (np.zeros(n + 1, np.int64) for _ in range(4))
    made = Partition(one, one.copy(), np.zeros(n, np.int64), *sets, np.zeros(2, np.int64))
    made.past[0], made.size[0] = n, 1
    return made


@njit(cache=True, nogil=True)
def _mark(p, e):
    s, i = p.member[e], p.place[e]
    j = p.first[s] + p.marked[s]
    other = p.elements[j]
    p.elements[i], p.place[other] = other, i
    p.elements[j], p.place[e] = e, j
    if p.marked[s] == 0:
        p.touched[p.size[1]] = s
        p.size[1] += 1
    p.marked[s] += 1


@njit(cache=True, nogil=True)
def _split(p):
    """Each touched set into its marked and its other elements; the smaller part is the new set."""
    while p.size[1] > 0:
        p.size[1] -= 1
        s = p.touched[p.size[1]]
        j, new = p.first[s] + p.marked[s], p.size[0]
        if j == p.past[s]:
            p.marked[s] = 0
            continue
        if p.marked[s] <= p.past[s] - j:
            p.first[new], p.past[new], p.first[s] = p.first[s], j, j
        else:
            p.first[new], p.past[new], p.past[s] = j, p.past[s], j
        for i in range(p.first[new], p.past[new]):
            p.member[p.elements[i]] = new
        p.marked[s] = p.marked[new] = 0
        p.size[0] += 1


@njit(cache=True, nogil=True)
def _refine(table, accepts, blocks, cords, incoming, start):
    m, k = table.shape
    for q in range(m):
        if accepts[q]:
            _mark(blocks, q)
    _split(blocks)
    # Transition t = a * m + q: cords begin as one for each symbol.
    for a in range(k):
        cords.first[a], cords.past[a] = a * m, (a + 1) * m
    for t in range(m * k):
        cords.member[t] = t // m
    cords.size[0] = k
    b, c = 1, 0
    while c < cords.size[0]:
        for i in range(cords.first[c], cords.past[c]):
            _mark(blocks, cords.elements[i] % m)
        _split(blocks)
        c += 1
        while b < blocks.size[0]:
            for i in range(blocks.first[b], blocks.past[b]):
                q = blocks.elements[i]
                for j in range(start[q], start[q + 1]):
                    _mark(cords, incoming[j])
            _split(cords)
            b += 1


def equivalent(table: np.ndarray, accepts: np.ndarray) -> np.ndarray:
    """The class of each state, (m,) int64: two states have one if the same words are accepted from both.

    table : (m, k) int64, the next state. accepts : (m,) bool.
    """
    m, k = table.shape
    blocks, cords = fresh(m), fresh(m * k)
    into = np.ascontiguousarray(table.T).ravel()
    incoming = np.argsort(into, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(into, minlength=m))]).astype(np.int64)
    _refine(table, accepts, blocks, cords, incoming, start)
    return blocks.member
