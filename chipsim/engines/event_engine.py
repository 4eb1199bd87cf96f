"""What the engines of event-driven cores share: clock, FIFO, growing log, state between calls, one run per call.

A run serves events in exact time. Nothing is stepped: simulated time costs nothing, events do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from chipsim.kernels.chips import event_core as ec

from ..errors import RunError
from ..kept import FOREVER, Kept, checked, like

LONGEST_EVENT = 20_000  #: edges that one input event can take with an immediate receiver (all bistability: 16,390)
REST_WITHIN = 1 << 28  #: edges after which a network that still runs is taken to run for ever


@dataclass(frozen=True, eq=False)
class EventRun:
    """What one run did. n input events, m output packets; edges are rising clock edges, absolute since reset.

    Attributes
    ----------
    request, ack, ack_low : (n,) int64
        Edges of the input handshake: request first sampled, acknowledge up, acknowledge down; -1 not reached.
    out_edge, out_address : (m,) int64
        Output packets: edge after which the request is up, and the 8-bit address.
    trace : (k, 2) int64
        (edge after which a controller state is entered, its code); empty unless asked for.
    begin, end : int
        First edge of the run, and the edge after which all is at rest (-1 if `limit` cut the run).
    drops, fifo_peak, queued : int
        Spikes lost to a full FIFO, its largest fill, and events still in it.
    activity : dict
        Counts: ``sops`` (synapses of spike events and single synapses), ``neuron_updates``, ``spikes`` (of enabled
        neurons, sent or not), ``events_in``, ``events_popped``, ...
    """

    request: np.ndarray
    ack: np.ndarray
    ack_low: np.ndarray
    out_edge: np.ndarray
    out_address: np.ndarray
    trace: np.ndarray
    begin: int
    end: int
    drops: int
    fifo_peak: int
    queued: int
    activity: dict[str, int]

    @property
    def cycles(self) -> int:
        """Clock cycles of the run."""
        return max(self.end - self.begin, 0)


class EventEngine(ABC):
    """An event-driven core with its state; subclasses say what a chip is.

    Running two streams one after the other with ``drain=False`` for the first equals running them as one.
    """

    fifo_entries: ClassVar[int]
    controller: ClassVar[ec.Controller]
    counters: ClassVar[tuple[str, ...]]
    ranges: ClassVar[dict[str, tuple[Any, Any]]]  #: smallest and largest value of each of `_arrays`
    _machine: Any
    _kernel: Callable[..., int]

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Back to the freshly loaded program at edge 0."""
        self._machine = self._load()
        self._clock = ec.new_clock()
        self._fifo = np.zeros(self.fifo_entries, np.int64)
        self._work = ec.new_work(256)

    @abstractmethod
    def _load(self) -> Any:
        """The chip's registers and memories as its kernel reads them."""

    @abstractmethod
    def _decode(self, addresses: Any, earliest: np.ndarray) -> ec.Events:
        """Checked input addresses as events."""

    @abstractmethod
    def _arrays(self) -> dict[str, np.ndarray]:
        """What a checkpoint keeps besides clock and queue."""

    @property
    def edge(self) -> int:
        """Edge after which the core has been at rest (controller and output link)."""
        return int(max(self._clock[ec.IDLE], self._clock[ec.LINK]))

    def state(self) -> dict[str, np.ndarray]:
        """Copies of everything that changes, for `restore`."""
        return {
            "clock": self._clock.copy(),
            "fifo": self._fifo.copy(),
            **{k: v.copy() for k, v in self._arrays().items()},
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Continue from `state()` of an engine with the same program; RunError otherwise."""
        mine = {"clock": self._clock, "fifo": self._fifo, **self._arrays()}
        for name, array in checked(state, self.kept()).items():
            mine[name][...] = array

    def kept(self) -> dict[str, Kept]:
        """What `state` holds."""
        low, high = np.zeros(ec.N_CLOCK, np.int64), np.full(ec.N_CLOCK, FOREVER >> 1)
        low[[ec.IDLE, ec.LINK, ec.ACK_LOW]] = -1, ec.NEVER, ec.NEVER
        high[[ec.HEAD, ec.COUNT, ec.PEAK]] = self.fifo_entries - 1, self.fifo_entries, self.fifo_entries
        high[[ec.LIMIT, ec.DRAIN]] = ec.FOREVER, 1
        own = {name: like(array, *self.ranges[name]) for name, array in self._arrays().items()}
        return {"clock": like(self._clock, low, high), "fifo": like(self._fifo, 0, (1 << 16) - 1), **own}

    def run(
        self,
        addresses: Any = (),
        earliest: Any = 0,
        *,
        delays: tuple[int, int, int, int] = (0, 0, 0, 0),
        drain: bool = True,
        until: int | None = None,
        limit: int | None = None,
        trace: bool = False,
    ) -> EventRun:
        """Send events and serve them.

        Parameters
        ----------
        addresses : (n,) ints
            Input AER addresses, in order (builders: ``cs.odin.events``).
        earliest : int or (n,) ints
            Earliest edge of each request, absolute since reset.
        delays : (ri, fi, ro, fo)
            Extra response edges of the other side: new request after acknowledge fell, request falling after
            acknowledge rose, output acknowledge rising, output acknowledge falling.
        drain : bool
            Serve what is left in the FIFO after the last input; False leaves it for the next call.
        until : int
            Begin no action on this edge or later; inputs not served by then are forgotten (stamps -1).
        limit : int
            Cut the record at this many edges: for networks that never come to rest. The state is then undefined.
        trace : bool
            Keep the controller's state trace.

        Raises
        ------
        NetworkError
            An address wider than the chip's.
        RunError
            Negative delays, `earliest` that does not fit, or a network that never comes to rest.
        """
        self._check(delays, limit)
        count = np.size(addresses)
        times = np.broadcast_to(np.asarray(earliest, np.int64), (count,)) if np.ndim(earliest) == 0 else earliest
        if np.shape(times) != (count,):
            raise RunError(f"{count} events but earliest has shape {np.shape(times)}")
        events = self._decode(addresses, np.asarray(times, np.int64))
        begin = max(self.edge, -1)
        before = dict(zip(self.counters, self._machine.activity.tolist()))
        self._clock[[ec.NEXT, ec.N_OUT, ec.N_TRACE, ec.DROPS, ec.POPPED]] = 0
        self._clock[ec.PEAK] = self._clock[ec.COUNT]
        self._clock[ec.LIMIT] = ec.FOREVER if limit is None else limit
        self._clock[ec.DRAIN] = drain
        log = self._serve(events, ec.Host(*delays), until, limit, trace)
        return self._record(events.kind.size, log, begin, before, limit)

    @staticmethod
    def _check(delays: tuple[int, int, int, int], limit: int | None) -> None:
        if len(delays) != 4 or min(delays) < 0:
            raise RunError(f"delays={delays}: give four whole numbers (ri, fi, ro, fo), none negative")
        if limit is not None and limit < 1:
            raise RunError(f"limit={limit}: at least one edge")

    def _serve(self, events: ec.Events, host: ec.Host, until: int | None, limit: int | None, trace: bool) -> ec.Log:
        n = events.kind.size
        log = ec.new_log(n, 1024 + 16 * n, 64 + 16 * n if trace else 0)
        latest = max(self.edge, int(events.earliest.max(initial=0)))
        never = latest + n * LONGEST_EVENT + REST_WITHIN
        stop = min(s for s in (until, limit, never) if s is not None)
        while self._kernel(
            self._machine, self._clock, self._fifo, events, host, self.controller, log, self._work, stop
        ):
            log = _grown(log)
        if stop == never and (self._clock[ec.NEXT] < n or (self._clock[ec.DRAIN] and self._clock[ec.COUNT] > 0)):
            raise RunError(
                f"the network did not come to rest within {REST_WITHIN} edges of its last input; "
                "give limit= or until=, or open the loop (open_loop=1)"
            )
        k = int(self._clock[ec.NEXT])
        if limit is not None and k < n:  # the request that waits when the record is cut was raised all the same
            log.request[k] = max(int(events.earliest[k]), 0, int(self._clock[ec.ACK_LOW]) + 1 + host.request)
        return log

    def _record(self, n: int, log: ec.Log, begin: int, before: dict[str, int], limit: int | None) -> EventRun:
        clock = self._clock
        sent, rows = int(clock[ec.N_OUT]), int(clock[ec.N_TRACE])
        out_edge, out_address, trace = log.out_edge[:sent], log.out_address[:sent], log.trace[:rows]
        stamps = [log.request, log.ack, log.ack_low]
        end = self.edge
        if limit is not None and (end >= limit or clock[ec.COUNT] > 0 or clock[ec.NEXT] < n):
            out_address, out_edge = out_address[out_edge < limit], out_edge[out_edge < limit]
            trace = trace[trace[:, 0] < limit]
            stamps = [np.where(s < limit, s, -1) for s in stamps]
            end = -1
        activity = {k: int(v) - before[k] for k, v in zip(self.counters, self._machine.activity)}
        activity |= {
            "events_in": int(clock[ec.NEXT]),
            "events_popped": int(clock[ec.POPPED]),
            "packets_out": out_edge.size,
        }
        return EventRun(
            request=stamps[0],
            ack=stamps[1],
            ack_low=stamps[2],
            out_edge=out_edge.copy(),
            out_address=out_address.copy(),
            trace=trace.copy(),
            begin=begin,
            end=end,
            drops=int(clock[ec.DROPS]),
            fifo_peak=int(clock[ec.PEAK]),
            queued=int(clock[ec.COUNT]),
            activity=activity,
        )


def _grown(log: ec.Log) -> ec.Log:
    """The log with twice the room for packets and trace."""
    room = 2 * log.out_edge.size
    trace = np.empty((2 * log.trace.shape[0], 2), np.int64)
    trace[: log.trace.shape[0]] = log.trace
    return log._replace(
        out_edge=np.resize(log.out_edge, room), out_address=np.resize(log.out_address, room), trace=trace
    )
