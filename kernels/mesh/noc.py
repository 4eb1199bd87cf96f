"""A network on chip as events: packets queue for links, fill buffers, and press back on the cores that send.

Each subnet is a mesh of input-queued routers, one per tile, with a port per core and one per direction. A
packet of one flit takes, in clock cycles: `wire` on a channel; at least one until it is granted its output
(round-robin over the inputs); `switch` until it leaves the input buffer, which waits until the buffer at
the other end has room; `crossbar` to the output, and `wire` to the next router. An output is granted anew
one cycle after its last packet has left. The room in a buffer is known to the sender `wire` cycles after a
packet has left it (credits). A core works on its packets one after the other and keeps `slots` more; the
router holds packets back while these are taken. A core sends over the subnets in turn, and does not go on
to its next neuron before a packet has entered the network.
 These are the rules of Booksim 2 (Jiang et al., ISPASS 2013) with one virtual channel; instead of stepping
through the cycles, a heap holds what happens next, and nothing is done in a cycle in which nothing happens.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from chipsim.kernels.mesh.noc_state import (
    ARRIVE,
    BUSY,
    CREDIT,
    EJECT,
    GRANT,
    OPPOSITE,
    SEND,
    SWITCH,
    Cores,
    Heap,
    Ports,
    Router,
    Trip,
    at_rest,
    cycles,
    pop,
    push,
)
from chipsim.kernels.mesh.traffic import (
    FanOut,
    Mesh,
    Messages,
    Placement,
    SpikeLog,
    Times,
    fill_messages,
    most_messages,
    neighbour,
    new_messages,
    next_direction,
    receive_times,
)

__all__ = ["Router", "Trip", "end_serially", "noc_times", "run_step"]


@njit(cache=True, nogil=True, error_model="numpy")
def _output(port, target, mesh: Mesh):
    """Index of the output that a packet for core `target` takes at the router of an input port."""
    ports, tiles = mesh.cores_per_tile + 4, mesh.width * mesh.height
    router = port // ports
    tile, goal = router % tiles, target // mesh.cores_per_tile
    if goal == tile:
        return router * ports + target % mesh.cores_per_tile
    return router * ports + mesh.cores_per_tile + next_direction(tile, goal, mesh.height)


@njit(cache=True, nogil=True, error_model="numpy")
def _other_end(port, mesh: Mesh, outputs):
    """The output or core channel that feeds an input port; for an output in a direction, the input at its
    end.
    """
    k, tiles = mesh.cores_per_tile, mesh.width * mesh.height
    router, p = port // (k + 4), port % (k + 4)
    if p < k:
        return outputs + router * k + p
    tile = router % tiles
    there = router - tile + neighbour(tile, p - k, mesh.height)
    return there * (k + 4) + k + OPPOSITE[p - k]


@njit(cache=True, nogil=True, error_model="numpy")
def _ask(heap: Heap, net: Ports, now, port, target, mesh: Mesh):
    """The packet at the head of an input asks for its output."""
    output = _output(port, target, mesh)
    net.asking[output] |= 1 << (port % (mesh.cores_per_tile + 4))
    if net.open_from[output] != BUSY:
        push(heap, max(now, net.open_from[output]), GRANT, output)


@njit(cache=True, nogil=True, error_model="numpy")
def _grant(heap: Heap, net: Ports, now, output, ports, late, router: Router):
    """Give an output to the next input in turn that asks for it."""
    if net.open_from[output] > now or net.asking[output] == 0:
        return
    for step in range(ports):
        p = (net.turn[output] + step) % ports
        if (net.asking[output] >> p) & 1:
            net.asking[output] &= ~(1 << p)
            net.turn[output] = (p + 1) % ports
            net.open_from[output] = BUSY
            push(heap, now + router.switch, SWITCH + late, output // ports * ports + p)
            return


@njit(cache=True, nogil=True, error_model="numpy")
def _switch(heap: Heap, net: Ports, cores: Cores, now, port, late, msg: Messages, mesh: Mesh, router: Router):
    """The head of an input buffer leaves it, if there is room where it goes."""
    ports, outputs = mesh.cores_per_tile + 4, net.turn.size
    i = net.queue[port, net.head[port]]
    output = _output(port, msg.target[i], mesh)
    if output % ports < mesh.cores_per_tile:
        core = msg.target[i]
        gate = cores.began[core, cores.received[core] % router.slots]
        if cores.received[core] >= router.slots and gate > now:
            push(heap, gate, SWITCH + late, port)
            return
        push(heap, now + router.crossbar, EJECT + late, i)
    else:
        if net.taken[output] >= router.buffer:
            net.stalled[output] = port
            return
        net.taken[output] += 1
        there = _other_end(output, mesh, outputs)
        slot = (net.head[there] + net.count[there]) % router.buffer
        # The place is taken now and the packet gets there later; the order on a link is the order of leaving.
        net.queue[there, slot] = i
        net.count[there] += 1
        push(heap, now + router.crossbar + router.wire, ARRIVE, there)
    net.open_from[output] = now + 1
    if net.asking[output] != 0:
        push(heap, now + 1, GRANT, output)
    net.head[port] = (net.head[port] + 1) % router.buffer
    net.count[port] -= 1
    net.present[port] -= 1
    if net.present[port] > 0:
        _ask(heap, net, now + 1, port, msg.target[net.queue[port, net.head[port]]], mesh)
    push(heap, now + router.wire, CREDIT, _other_end(port, mesh, outputs))


@njit(cache=True, nogil=True, error_model="numpy")
def _credit(heap: Heap, net: Ports, now, channel, late):
    """A place has become free at the end of a channel; what waits for it goes on in this cycle."""
    net.taken[channel] -= 1
    waiting = net.stalled[channel]
    if waiting >= 0:
        net.stalled[channel] = -1
        push(heap, now, SEND if channel >= net.turn.size else SWITCH + late, waiting)


@njit(cache=True, nogil=True, error_model="numpy")
def _send(heap: Heap, net: Ports, now, i, c, msg: Messages, mesh: Mesh, router: Router, trip: Trip):
    """A core has a packet ready: it enters the network if there is room, and the core turns to the next
    one.
    """
    k = mesh.cores_per_tile
    row = (i - msg.start[c]) % router.subnets * mesh.width * mesh.height + c // k
    port, channel = row * (k + 4) + c % k, net.turn.size + row * k + c % k
    if net.taken[channel] >= router.buffer:
        net.stalled[channel] = i
        return
    net.taken[channel] += 1
    trip.sent[i] = now
    net.queue[port, (net.head[port] + net.count[port]) % router.buffer] = i
    net.count[port] += 1
    push(heap, now + router.wire, ARRIVE, port)
    if i + 1 < msg.start[c + 1]:
        push(heap, now + max(1, cycles(msg.generation[i + 1], router.clock)), SEND, i + 1)


@njit(cache=True, nogil=True, error_model="numpy")
def _eject(cores: Cores, now, i, core, spent, slots, trip: Trip):
    """A packet enters its core and is worked on when those before it are done."""
    trip.arrived[i] = now
    begin = max(now, cores.done[core])
    cores.began[core, cores.received[core] % slots] = begin
    cores.received[core] += 1
    cores.done[core] = begin + spent
    trip.done[i] = cores.done[core]


@njit(cache=True, nogil=True, error_model="numpy")
def end_serially(msg: Messages, router: Router, trip: Trip, last):
    """Cycles of a step that ends as SANA-FE's Booksim lets it end; `last` is when the cores had received everything.

    Once every core has sent its last packet, neurons wait until the network has run dry; then the cores finish their
    neurons while packets wait; then they finish their packets.
    """
    sent, entered, left = 0, -4, 0
    for c in range(msg.start.size - 1):
        for i in range(msg.start[c], msg.start[c + 1]):
            if msg.target[i] >= 0:
                sent, entered = max(sent, trip.sent[i]), max(entered, trip.arrived[i])
    for c in range(msg.start.size - 1):
        i = msg.start[c + 1] - 1
        if i >= msg.start[c] and msg.target[i] < 0:
            begun = trip.sent[i - 1] if i > msg.start[c] else 0
            left = max(left, cycles(msg.generation[i], router.clock) - (sent - begun))
    dry = max(sent, entered + router.wire) + 1
    if left > 0:
        dry = max(dry, entered + 2 * router.wire + 1)
        return dry + left + max(0, last - dry)
    return max(dry, last)


@njit(cache=True, nogil=True, error_model="numpy")
def run_step(msg: Messages, core_of, mesh: Mesh, router: Router, trip: Trip):
    """Cycles of one step, until the last core has handled its last neuron and its last packet; fills
    `trip`.
    """
    net, cores, heap = at_rest(mesh, router)
    ports, first = mesh.cores_per_tile + 4, mesh.width * mesh.height * (mesh.cores_per_tile + 4)
    last = 0
    for c in range(msg.start.size - 1):
        cores.done[c] = cycles(msg.outside[c], router.clock)
        last = max(last, cores.done[c])
        if msg.start[c] < msg.start[c + 1]:
            push(heap, max(1, cycles(msg.generation[msg.start[c]], router.clock)), SEND, msg.start[c])
    while heap.size[0] > 0:
        now, kind, item = pop(heap)
        late = 2 if item >= first else 0
        if kind == CREDIT:
            _credit(heap, net, now, item, late)
        elif kind == SEND:
            last = max(last, now)
            if msg.target[item] >= 0:
                _send(heap, net, now, item, core_of[msg.source[item]], msg, mesh, router, trip)
        elif kind == ARRIVE:
            net.present[item] += 1
            if net.present[item] == 1:
                _ask(heap, net, now, item, msg.target[net.queue[item, net.head[item]]], mesh)
        elif kind == GRANT:
            _grant(heap, net, now, item, ports, late, router)
        elif kind == SWITCH or kind == SWITCH + 2:
            _switch(heap, net, cores, now, item, late, msg, mesh, router)
        else:
            _eject(
                cores,
                now,
                item,
                msg.target[item],
                cycles(msg.processing[item], router.clock),
                router.slots,
                trip,
            )
            last = max(last, trip.done[item])
    if router.serial_end:
        return end_serially(msg, router, trip, cores.done.max())
    return last


@njit(cache=True, nogil=True, error_model="numpy")
def noc_times(log: SpikeLog, fan: FanOut, place: Placement, times: Times, mesh: Mesh, router: Router, latency):
    """Time of each step (t,) in seconds, without barrier. `latency` (bins,) counts packets by cycles from
    core to core.
    """
    steps, cores = log.start.size - 1, place.start.size - 1
    size = most_messages(log, fan, cores)
    msg = new_messages(size, cores)
    trip = Trip(np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.int64))
    receive = receive_times(fan, times)
    fired = np.zeros(place.core.size, np.uint8)
    result = np.zeros(steps)
    for t in range(steps):
        fill_messages(log, t, fan, receive, place, times, fired, msg)
        result[t] = run_step(msg, place.core, mesh, router, trip) * router.clock
        for i in range(msg.start[cores]):
            if msg.target[i] >= 0:
                latency[min(trip.arrived[i] - trip.sent[i], latency.size - 1)] += 1
    return result
