"""Oracle for the network on chip: the same rules, stepped one clock cycle after the other in plain Python."""

from __future__ import annotations

from collections import deque

WIRE, SWITCH, CROSSBAR, BUFFER, SUBNETS = 2, 1, 1, 8, 2


class Input:
    """Input buffer of a router: packets in order, and whether the first one holds an output."""

    def __init__(self) -> None:
        self.packets: deque = deque()
        self.granted = False
        self.ask_from = 0


class Output:
    """Output of a router: the input that holds it since when, and packets in the buffer at its other end."""

    def __init__(self) -> None:
        self.owner, self.since, self.open_from, self.turn, self.taken = None, 0, 0, 0, 0


class CycleNetwork:
    """Routers between cores that work through `messages[core]`: (target or -1, cycles before, after)."""

    def __init__(self, messages, width: int, height: int, k: int, slots: int = 8) -> None:
        self.ahead = [deque(m) for m in messages]
        self.height, self.k, self.slots, self.ports = height, k, slots, k + 4
        keys = [(s, r, p) for s in range(SUBNETS) for r in range(width * height) for p in range(self.ports)]
        self.inputs, self.outputs = {key: Input() for key in keys}, {key: Output() for key in keys}
        self.routers = sorted({key[:2] for key in keys})
        self.channel = {(s, c): 0 for s in range(SUBNETS) for c in range(len(messages))}
        self.left = [max(1, m[0][1]) if m else 0 for m in messages]
        self.sent = [0] * len(messages)
        self.waiting, self.busy = [deque() for _ in messages], [0] * len(messages)
        self.credits: dict = {}
        self.flits: dict = {}
        self.ejections: dict = {}

    def port(self, tile: int, target: int) -> int:
        """Output port towards a core, x first."""
        goal = target // self.k
        if goal == tile:
            return target % self.k
        dx = goal // self.height - tile // self.height
        return self.k + ((0 if dx > 0 else 1) if dx else (2 if goal > tile else 3))

    def neighbour(self, tile: int, d: int) -> int:
        return tile + (self.height, -self.height, 1, -1)[d]

    def run(self) -> int:
        """Cycles until everything is done."""
        now = last = 0
        while self.pending():
            now += 1
            for give in self.credits.pop(now, []):
                give()
            for key, packet in self.flits.pop(now, []):
                self.inputs[key].packets.append(packet)
            last = max(last, self.send(now))
            for s in range(SUBNETS):
                for router in self.routers:
                    if router[0] == s:
                        self.grant(now, router)
                for router in self.routers:
                    if router[0] == s:
                        self.switch(now, router)
                for core, spent in self.ejections.pop((now, s), []):
                    if self.busy[core]:
                        self.waiting[core].append(spent)
                    else:
                        self.busy[core] = spent
            for core, busy in enumerate(self.busy):
                if busy:
                    self.busy[core] -= 1
                    last = max(last, now + 1)
                if not self.busy[core] and self.waiting[core]:
                    self.busy[core] = self.waiting[core].popleft()
        return last

    def pending(self) -> bool:
        moving = self.flits or self.ejections or any(i.packets for i in self.inputs.values())
        return bool(moving or any(self.ahead) or any(self.busy))

    def send(self, now: int) -> int:
        last = 0
        for core, ahead in enumerate(self.ahead):
            self.left[core] = max(0, self.left[core] - 1)
            if not ahead or self.left[core]:
                continue
            target, _, spent = ahead[0]
            s = self.sent[core] % SUBNETS
            last = now
            if target >= 0:
                if self.channel[s, core] >= BUFFER:
                    continue
                self.channel[s, core] += 1
                self.sent[core] += 1
                key = (s, core // self.k, core % self.k)
                self.flits.setdefault(now + WIRE, []).append((key, (target, spent)))
            ahead.popleft()
            self.left[core] = max(1, ahead[0][1]) if ahead else 0
        return last

    def grant(self, now: int, router) -> None:
        for p in range(self.ports):
            out = self.outputs[(*router, p)]
            if out.owner is not None or out.open_from > now:
                continue
            for step in range(self.ports):
                q = (out.turn + step) % self.ports
                inp = self.inputs[(*router, q)]
                asks = inp.packets and not inp.granted and inp.ask_from <= now
                if asks and self.port(router[1], inp.packets[0][0]) == p:
                    out.owner, out.since, out.turn, inp.granted = q, now, (q + 1) % self.ports, True
                    break

    def switch(self, now: int, router) -> None:
        s, tile = router
        for p in range(self.ports):
            out = self.outputs[(*router, p)]
            if out.owner is None or now < out.since + SWITCH:
                continue
            inp = self.inputs[(*router, out.owner)]
            target, spent = inp.packets[0]
            if p < self.k:
                if len(self.waiting[target]) >= self.slots:
                    continue
                self.ejections.setdefault((now + CROSSBAR, s), []).append((target, spent))
            else:
                if out.taken >= BUFFER:
                    continue
                out.taken += 1
                key = (s, self.neighbour(tile, p - self.k), self.k + (1, 0, 3, 2)[p - self.k])
                self.flits.setdefault(now + CROSSBAR + WIRE, []).append((key, (target, spent)))
            inp.packets.popleft()
            inp.granted, inp.ask_from = False, now + 1
            self.credits.setdefault(now + WIRE, []).append(self.giver(s, tile, out.owner))
            out.owner, out.open_from = None, now + 1

    def giver(self, s: int, tile: int, port: int):
        """Gives a place back to what feeds an input: a core's channel, or an output of the next router."""
        if port < self.k:
            core = tile * self.k + port

            def give() -> None:
                self.channel[s, core] -= 1
        else:
            d = port - self.k
            out = self.outputs[s, self.neighbour(tile, d), self.k + (1, 0, 3, 2)[d]]

            def give() -> None:
                out.taken -= 1

        return give
