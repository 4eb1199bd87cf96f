"""The event loop of a clocked event-driven core: one controller, one FIFO, one AER link in, one out.

Nothing is stepped: the edge of every action follows from the edges before it (a recurrence over events).
Edge n is the n-th rising clock edge. All times are int64 edges; "idle edge" means the edge after which
a unit is idle. What a core computes in an action is its own affair: it fills a `Work` list with what
happens at which position of the sweep, and `settle` turns positions into edges, packets and drops.

A core's own loop is ``next_action`` - compute - ``settle``, until DONE or GROW.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

# Actions of a controller; an input event's action is the kind that aer.py decodes.
DONE, GROW, PUSH, POP_SPIKE, POP_VIRTUAL, TREF_ONE, TREF_ALL, SYNAPSE, BIST_ROW, BIST_ALL = range(10)
N_ACTIONS = 10

# Places in the clock array, int64 (N_CLOCK,): the whole timing state of a core between two actions.
IDLE, LINK, ACK_LOW, HEAD, COUNT, EDGE, NEXT, REQUEST = range(8)  # edges, FIFO fill, event cursor
DROPS, PEAK, N_OUT, N_TRACE, LIMIT, POPPED, DRAIN = range(8, 15)  # LIMIT: edges from here on are not counted
N_CLOCK = 15

NEVER = -(1 << 60)  #: an edge before all edges
FOREVER = 1 << 60  #: an edge after all edges
LINK_CYCLES = 6  #: edges that one packet occupies the output link with an immediate receiver
TRACE_ROOM = 4  #: trace rows that one action can take
_JIT = {"cache": True, "nogil": True, "error_model": "numpy"}


class Host(NamedTuple):
    """Extra response edges of the other side of the two links, all >= 0."""

    request: int  # new input request after ACK fell
    release: int  # input request lowered after ACK rose
    accept: int  # output packet acknowledged
    clear: int  # output acknowledge lowered


class Events(NamedTuple):
    """Input events, all (n,): action, its two operands, earliest edge of the request."""

    kind: np.ndarray  # int64
    a: np.ndarray  # int64
    b: np.ndarray  # int64
    earliest: np.ndarray  # int64


class Log(NamedTuple):
    """What happened, int64: stamps (n,) of the n input events, packets (m,), controller trace (k, 2)."""

    request: np.ndarray
    ack: np.ndarray
    ack_low: np.ndarray
    out_edge: np.ndarray
    out_address: np.ndarray
    trace: np.ndarray  # (edge after which the state is entered, state code); no rows: not traced


class Work(NamedTuple):
    """What one action does, by position of the sweep (ascending), int64."""

    push_at: np.ndarray  # position of a neuron that pushes itself into the FIFO
    push: np.ndarray  # its index
    packet_at: np.ndarray  # position of an output packet; equal positions are sent one after the other
    packet: np.ndarray  # its address
    n: np.ndarray  # (2,) number of pushes, number of packets


class Controller(NamedTuple):
    """How a controller differs from another, constants."""

    code: np.ndarray  # int64 (N_ACTIONS,): state code of an action
    wait_low: int  # state code while waiting for the request to fall
    end_of_sweep: int  # state code of an extra state after a spike sweep that waits for the link, or -1


def new_clock() -> np.ndarray:
    """A core out of reset before edge 0, int64 (N_CLOCK,)."""
    clock = np.zeros(N_CLOCK, np.int64)
    clock[IDLE], clock[LINK], clock[ACK_LOW], clock[LIMIT], clock[DRAIN] = -1, NEVER, NEVER, FOREVER, 1
    return clock


def new_log(n_events: int, packets: int, trace: int) -> Log:
    """Empty log for `n_events` inputs with room for `packets` and `trace` rows (0: no trace)."""
    stamps = np.full((3, n_events), -1, np.int64)
    return Log(stamps[0], stamps[1], stamps[2], np.empty(packets, np.int64), np.empty(packets, np.int64),
               np.empty((trace, 2), np.int64))  # fmt: skip


def new_work(neurons: int) -> Work:
    """Scratch for one action on `neurons` neurons (and a few monitor packets)."""
    size = neurons + 8
    lists = [np.zeros(size, np.int64) for _ in range(4)]
    return Work(lists[0], lists[1], lists[2], lists[3], np.zeros(2, np.int64))


@njit(forceinline=True, **_JIT)
def next_action(clock, fifo, events, host, log, until):
    """The controller's next action; its first edge goes to clock[EDGE]. DONE if it would begin at `until` or later.

    A full FIFO is served first, then an input other than bistability, then the FIFO, then bistability.
    A request is seen two edges after it rises. GROW: the log needs room first. With clock[DRAIN] = 0 the FIFO is left
    as it is after the last input, because an input yet to come may overtake it.
    """
    if log.out_edge.size - clock[N_OUT] < 264:
        return GROW
    if log.trace.shape[0] > 0 and log.trace.shape[0] - clock[N_TRACE] < TRACE_ROOM:
        return GROW
    edge = max(clock[IDLE], clock[LINK]) + 1
    k = clock[NEXT]
    pending = k < events.kind.size
    visible = False
    urgent = False
    if pending:
        clock[REQUEST] = max(max(events.earliest[k], 0), clock[ACK_LOW] + 1 + host.request)
        visible = edge >= clock[REQUEST] + 2
        urgent = visible and events.kind[k] < BIST_ROW
    elif clock[DRAIN] == 0:
        return DONE
    count = clock[COUNT]
    if count == fifo.size or (count > 0 and not urgent):
        action = POP_VIRTUAL if fifo[clock[HEAD]] >> 8 else POP_SPIKE
    elif pending:
        edge = max(edge, clock[REQUEST] + 2)
        action = events.kind[k]
    else:
        return DONE
    if edge >= until:
        return DONE
    clock[EDGE] = edge
    return action


@njit(**_JIT)
def push(clock, fifo, entry, edge, popping):
    """Write one entry into the FIFO on `edge`, or lose it when full (also when the head leaves on that edge)."""
    if clock[COUNT] == fifo.size:
        clock[DROPS] += edge < clock[LIMIT]
        return
    fifo[(clock[HEAD] + clock[COUNT]) % fifo.size] = entry
    clock[COUNT] += 1
    if edge < clock[LIMIT]:
        clock[PEAK] = max(clock[PEAK], clock[COUNT] - popping)


@njit(forceinline=True, **_JIT)
def sweep(clock, fifo, host, log, work, positions, popping):
    """Place the work of a sweep on edges: position j is written on EDGE + 2 (j+1) + the stalls so far.

    A packet keeps the link busy for 6 edges and the receiver's delays; the sweep stands still meanwhile, except
    after its last position. `popping`: the FIFO's head leaves on the last edge. Returns the last edge.
    """
    first = clock[EDGE]
    busy = LINK_CYCLES + host.accept + host.clear
    stall = 0
    i = 0
    k = 0
    pushes, packets = work.n[0], work.n[1]
    while i < pushes or k < packets:
        at = positions
        if i < pushes:
            at = work.push_at[i]
        if k < packets:
            at = min(at, work.packet_at[k])
        edge = first + 2 * (at + 1) + stall
        if i < pushes and work.push_at[i] == at:
            push(clock, fifo, work.push[i], edge, popping and at == positions - 1)
            i += 1
        if k < packets and work.packet_at[k] == at:
            send = edge
            while k < packets and work.packet_at[k] == at:
                log.out_edge[clock[N_OUT]] = send
                log.out_address[clock[N_OUT]] = work.packet[k]
                clock[N_OUT] += 1
                clock[LINK] = send + busy
                send = clock[LINK] + 1
                k += 1
            if at < positions - 1:
                stall += clock[LINK] - edge
    return first + 2 * positions + stall


@njit(**_JIT)
def trace(clock, log, edge, code, then, next_code, end):
    """Note a state entered after `edge`, perhaps (`next_code` >= 0) another after `then`, and idle after `end`."""
    row = clock[N_TRACE]
    log.trace[row, 0], log.trace[row, 1] = edge, code
    if next_code >= 0:
        row += 1
        log.trace[row, 0], log.trace[row, 1] = then, next_code
    log.trace[row + 1, 0], log.trace[row + 1, 1] = end, 0
    clock[N_TRACE] = row + 2


@njit(forceinline=True, **_JIT)
def settle(clock, fifo, host, controller, log, work, action, positions, entry):
    """Finish an action that began on clock[EDGE]: its sweep over `positions`, or the push of `entry`.

    An input event ends with its handshake, a popped one with its removal (after a spike sweep of a controller with an
    extra state: when the output link is idle).
    """
    edge = clock[EDGE]
    popped = action in (POP_SPIKE, POP_VIRTUAL)
    extra = action == POP_SPIKE and controller.end_of_sweep >= 0
    if action == PUSH:
        last = edge + 1
        push(clock, fifo, entry, last, False)
    else:
        last = sweep(clock, fifo, host, log, work, positions, popped and not extra)
    end = last
    second = -1
    if popped:
        if extra:
            end = max(last, clock[LINK]) + 1
            second = controller.end_of_sweep
        clock[POPPED] += 1
        clock[HEAD] = (clock[HEAD] + 1) % fifo.size
        clock[COUNT] -= 1
    else:
        k = clock[NEXT]
        end = last + 3 + host.release
        second = controller.wait_low
        log.request[k] = clock[REQUEST]
        log.ack[k] = last
        log.ack_low[k] = end
        clock[ACK_LOW] = end
        clock[NEXT] = k + 1
    clock[IDLE] = end
    if log.trace.shape[0] > 0:
        trace(clock, log, edge, controller.code[action], last, second, end)
