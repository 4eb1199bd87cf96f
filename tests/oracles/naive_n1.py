"""A Catalyst N1 in plain Python, an act a line: cores and the barrier mesh, from the description alone."""

from __future__ import annotations

import numpy as np

import chipsim as cs
from chipsim.kernels.chips.n1.state import POWER_UP


def wrap(x: int, bits: int) -> int:
    half = 1 << (bits - 1)
    return (x + half) % (2 * half) - half


def raz(p: int) -> int:
    q = p // 4096
    return wrap(q if p % 4096 == 0 else q + 1 if p > 0 else q - 1, 24)


class Core:
    """State and parameters of one core; all lists are by neuron or by pool address."""

    def __init__(self, build: cs.catalyst.Build) -> None:
        n, p = build.places, build.pool
        self.build = build
        self.v, self.u, self.ref, self.acc, self.scnt, self.sts = ([0] * n for _ in range(6))
        self.d = [[0, 0, 0] for _ in range(n)]
        self.trace = [[0] * 5 for _ in range(n)]  # x1, y1, x2, y2, y3
        self.param = [
            {0: 1000, 1: 3, 3: 3, 6: 3, 7: 4, 22: n - 1, 24: 1, 30: -32768, 31: 32767} | {k: 0 for k in (
                2, 5, 8, 9, 10, 13, 14, 15, 16, 17, 18, 19, 20, 21, 23, 25, 29)}
            for _ in range(n)
        ]  # fmt: skip
        self.axon = [0] * 32
        self.index = [(0, 0, 0)] * n
        self.pool = [[0, 0, 0, 0, 0, 0] for _ in range(p)]  # target, weight, compartment, delay, tag, eligibility
        self.reverse = [[None] * build.fan_in for _ in range(n)]
        self.reverse_next = [0] * n
        self.routes: list[dict[int, tuple[int, int, int]]] = [{} for _ in range(n)]
        self.program = [POWER_UP.get(k, 0) for k in range(256)]
        self.queues: list[list[tuple[int, int, int]]] = [[] for _ in range(64)]
        self.lfsr, self.epoch, self.tsie, self.reward, self.ts64 = 0xACE1, 0, 0, 0, 0
        self.interval, self.passes, self.reward_tau, self.used = 1, 1, 4, 0
        self.fifo: list[tuple[int, int]] = []
        self.spikes: list[tuple[int, int, int]] = []  # of this timestep: neuron, payload, core cycle

    def write(self, row) -> None:
        op, _, b, x, y, z, w = (int(k) for k in row)
        if op == 1:
            entry = self.pool[b]
            entry[0], entry[1], entry[2] = y, z, w
            self.reverse[y][self.reverse_next[y]] = (x, b)
            self.reverse_next[y] = (self.reverse_next[y] + 1) % self.build.fan_in
            self.used = max(self.used, b + 1)
        elif op == 2:
            self.index[b] = (z, x, y)
        elif op in (3, 4):
            self.routes[b][x + 8 * (op == 4)] = (y, z, w)
        elif op == 5:
            self.pool[b][3] = x
        elif op == 6:
            self.program[b] = (x & 0xFFFF) << 16 | y & 0xFFFF
        elif x == 11:
            self.interval, self.passes = y & 255, max(y >> 12 & 15, 1)
        elif x == 12:
            self.reward_tau = y & 15
        elif x == 26:
            self.axon[b] = y & 4095
        else:
            signed = x in (0, 1, 2, 8, 9, 10, 30, 31)
            self.param[b][x] = wrap(y, 16) if signed else y & 0xFFFF

    def add(self, target: int, current: int, compartment: int) -> None:
        if compartment:
            self.d[target][compartment - 1] = wrap(self.d[target][compartment - 1] + current, 16)
        else:
            self.acc[target] = wrap(self.acc[target] + current, 24)

    def decompress(self, weight: int, config: int) -> int:
        bits, exponent = config >> 8, wrap(config >> 4 & 15, 4)
        if bits == 0:
            return weight

        def shift(m: int) -> int:
            return wrap(m << exponent, 16) if exponent >= 0 else m >> -exponent

        raw = weight & ((1 << bits) - 1) if bits <= 9 else weight
        if config & 2 and bits > 1:
            magnitude = raw & ((1 << bits - 1) - 1) if bits <= 9 else raw
            return wrap(-shift(magnitude), 16) if raw >> bits - 1 & 1 else shift(magnitude)
        return wrap(-shift(raw), 16) if config & 4 else shift(raw)

    def deliver(self, graded: bool) -> int:
        cycles = 0
        for source, payload in self.fifo:
            form, base, count = self.index[source]
            cycles += 3 if count == 0 else 3 + 6 + 5 * (count - 1) if form == 2 else 3 + 6 * count
            own = self.axon[self.param[source][25] & 31]
            log = {1: 4, 2: 3, 4: 2, 8: 1}.get(own >> 8, 0) if form == 1 and own & 1 else 0
            for k in range(count):
                entry = self.pool[base if form == 2 else (base + (k >> log)) % self.build.pool]
                weight = entry[1]
                if log:
                    weight = wrap((weight & 0xFFFF) >> (k % (1 << log)) * (own >> 8), 16)
                target = entry[0] if form == 0 else (self.pool[base][0] + k) % self.build.places
                weight = self.decompress(weight, self.axon[self.param[target][25] & 31])
                current = wrap(weight * payload >> 7, 16) if graded else weight
                queue = self.queues[(self.ts64 + entry[3]) % 64]
                if entry[3] and len(queue) < 64:
                    queue.append((target, current, entry[2]))
                else:
                    self.add(target, current, entry[2])
        self.fifo = []
        return cycles

    def dendrites(self, n: int) -> int:
        p, (d1, d2, d3) = self.param[n], self.d[n]
        p1, p2, p3 = p[15] & 3, p[15] >> 2 & 3, p[15] >> 4 & 3
        o3 = wrap(d3 - p[10], 16) if d3 > p[10] else 0
        i2 = wrap(d2 + (o3 if p3 == 2 else 0), 16)
        o2 = wrap(i2 - p[9], 16) if i2 > p[9] else 0
        i1 = wrap(d1 + (o2 if p2 == 1 else 0) + (o3 if p3 == 1 else 0), 16)
        o1 = wrap(i1 - p[8], 16) if i1 > p[8] else 0
        return wrap((o1 if p1 == 0 else 0) + (o2 if p2 == 0 else 0) + (o3 if p3 == 0 else 0), 16)

    def membrane(self, n: int, total: int, flags: int, eth: int, nz_v: int, nz_u: int) -> tuple[int, bool]:
        p, v, u = self.param[n], self.v[n], self.u[n]
        word = p[18]
        cuba = bool(p[16] & 4095 or p[17] & 4095 or word)
        if not cuba:
            self.u[n], x = 0, wrap(v + total, 24)
            if self.ref[n]:
                self.ref[n] -= 1
                return p[2], False
            if wrap(x - p[1], 24) >= eth:
                return p[2], True
            return (wrap(x - p[1], 24) if x > p[1] else p[2]), False
        decay_v, decay_u = p[16] & 4095, p[17] & 4095
        bias = wrap(wrap(word >> 3, 13) << (word & 7), 24)
        driven = raz(total * decay_u) if flags & 128 else total
        dv, du = (raz(v * decay_v) if decay_v else 0), (raz(u * decay_u) if decay_u else 0)
        self.u[n] = wrap(u - du + driven + nz_u, 24)
        if self.ref[n]:
            self.ref[n] -= 1
            return (wrap(v - dv - bias + nz_v, 24) if p[3] >> 9 & 1 else p[2]), False
        new = wrap(v - dv + u + bias + nz_v, 24)
        return (p[2], True) if new >= eth else (new, False)

    def decay(self, n: int, word: int) -> None:
        low, high = word & 255, word >> 8 & 255
        turned = ((word & 15) << 4 | word >> 12 & 15, (word >> 8 & 15) << 4 | word >> 4 & 15)
        for k, (t, number) in enumerate(zip(list(self.trace[n]), (6, 7, 19, 20, 21))):
            tau = self.param[n][number] & 15
            mask = 0 if tau == 0 else min((1 << tau) - 1, 255)
            r = (low & mask, high & mask, low ^ (high & mask), turned[0] & mask, turned[1] & mask)[k]
            step = (t >> tau) + (tau != 0 and t & mask != 0 and r < (t & mask))
            self.trace[n][k] = 0 if t == 0 else t - 1 if step == 0 else t - step

    def update(self, flags: int, cycle: int) -> int:
        for n in range(self.build.neurons):
            p, word = self.param[n], self.lfsr
            total = wrap(self.acc[n] + self.dendrites(n), 24) if flags & 4 else self.acc[n]
            mask = (p[5] & 15) << (p[5] >> 4 & 31) & 0xFFFFFFFF
            mask = 0xFFFF if mask >= 65536 else mask
            nz = (word & mask & 0x7FFF) - (mask >> 1) if flags & 32 else 0
            to = p[29] & 3
            eth = wrap(p[0] + nz, 24) if to == 0 else p[0]
            v, u, own = self.v[n], self.u[n], self.acc[n]
            new, fired = self.membrane(n, total, flags, eth, nz if to == 1 else 0, nz if to == 2 else 0)
            self.v[n] = p[30] if new < p[30] else p[31] if new > p[31] else new
            if fired:
                self.ref[n], self.sts[n], self.trace[n] = p[3] & 255, self.tsie, [100] * 5
                self.marked.add(n)
                if p[24] & 1:
                    payload = min(max(wrap(v + total - p[1] - eth, 24), 1), 255)
                    self.spikes.append((n, payload, cycle + 3))
            else:
                self.decay(n, word)
            mark = int(n in self.marked)
            if self.interval and self.epoch == self.interval - 1:
                target, eta = p[13] & 255, p[14] & 255
                if target and self.scnt[n] > target:
                    p[0] = min(p[0] + eta, 4000)
                elif target and self.scnt[n] < target:
                    p[0] = max(p[0] - eta, 250)
                self.scnt[n] = mark
            else:
                self.scnt[n] = (self.scnt[n] + mark) % 256
            self.lfsr = word >> 1 ^ (0x3400 if word & 1 else 0)
            self.acc[n], self.d[n] = 0, [0, 0, 0]
            cycle += 4
            parent = p[22] % self.build.places
            if fired and parent != self.build.places - 1:
                cuba = bool(p[16] & 4095 or p[17] & 4095 or p[18])
                given, a = (eth, v, u, own)[p[23] >> 2 & 3 if cuba else 0], self.acc[parent]
                self.acc[parent] = (
                    wrap(a + given, 24), given if abs(given) > abs(a) else a, a | given, a)[p[23] & 3]  # fmt: skip
                cycle += 3
        return cycle

    def microcode(self, start: int, neighbour: int, address: int) -> int:
        e, t = self.pool[address], self.trace[neighbour]
        r = [t[0], t[2], t[1], t[3], t[4], e[1], e[3], e[4], e[5], self.reward, self.sts[neighbour], 0, 0, 0, 0, 0]
        pc, done = start, 0
        while True:
            word = self.program[pc]
            op, d, a, b = word >> 28, word >> 24 & 15, word >> 20 & 15, word >> 16 & 15
            sh, pc, done = word >> 13 & 7, (pc + 1) % 256, done + 1
            if op == 13:
                return done
            if op in range(1, 9):
                r[d] = wrap((
                    0, r[a] + r[b], r[a] - r[b], r[a] * r[b] >> sh, r[a] >> sh, r[a] << sh, max(r[a], r[b]),
                    min(r[a], r[b]), word & 0xFFFF,
                )[op], 16)  # fmt: skip
            elif op == 9:
                e[1] = wrap(r[5] + (self.lfsr & 1), 16)
            elif op in (10, 14, 15):
                e[{10: 5, 14: 3, 15: 4}[op]] = {10: r[8], 14: r[6] & 63, 15: r[7]}[op]
            elif (op == 11 and r[a] == 0) or (op == 12 and r[a] != 0):
                pc = (pc + 1) % 256

    def learn(self, flags: int) -> int:
        cycles, marked = 2 * (self.build.neurons + 1), sorted(self.marked)
        down, up = (128, 192) if flags & 16 else (0, 64)
        for n in marked:
            form, base, count = self.index[n]
            cycles += 2
            for k in range(count if form == 0 else 0):
                a = (base + k) % self.build.pool
                cycles += 6 + 2 * self.microcode(down, self.pool[a][0], a)
        for n in marked:
            cycles += 6 * self.build.fan_in
            cycles += sum(2 * self.microcode(up, *slot) for slot in self.reverse[n] if slot is not None)
        return cycles

    def eligibility(self) -> int:
        for e in self.pool[: self.used]:
            if self.reward:
                e[1] = min(max(wrap(e[1] + wrap(e[5] * self.reward >> 7, 16), 16), 0), 2000)
            e[5] = e[5] - 1 if e[5] > 0 and e[5] >> 3 == 0 else wrap(e[5] - (e[5] >> 3), 16)
        return 3 * self.used + 1

    def step(self, flags: int, reward: int) -> int:
        self.spikes, self.marked = [], set()
        due = self.queues[self.ts64]
        cycle = 1 + 4 * len(due)
        for entry in due:
            self.add(*entry)
        due.clear()
        cycle += self.deliver(bool(flags & 2)) + 1
        for _ in range(self.passes):
            cycle = self.update(flags, cycle)
        if self.epoch == 0 and not (flags & 64 and not self.marked):
            cycle += self.learn(flags) if flags & 1 else 0
            cycle += self.eligibility() if flags & 16 else 0
        self.fifo = [(n, payload) for n, payload, _ in self.spikes[:64]]
        self.ts64 = (self.ts64 + 1) % 64
        last = self.interval != 0 and self.epoch >= self.interval - 1
        self.epoch, self.tsie = (0, 0) if last else ((self.epoch + 1) % 256, (self.tsie + 1) % 256)
        r, q = self.reward, self.reward >> self.reward_tau
        self.reward = wrap((0 if r == 0 else r - 1 if r > 0 and q == 0 else r - q) + reward, 16)
        return cycle + 1


class Chip:
    """Cores behind the barrier mesh."""

    def __init__(self, build: cs.catalyst.Build, operations) -> None:
        self.cores = [Core(build) for _ in range(build.cores)]
        self.waiting: list[tuple[int, int, int]] = []
        for row in operations:
            self.cores[int(row[1])].write(row)

    def step(self, stimuli, flags: int, reward: int, stall: int) -> tuple[int, list[tuple[int, int, int, int]]]:
        """Cycles, and spikes (cycle, core, neuron, payload) in order."""
        for c, n, current in stimuli:
            self.cores[c].acc[n] = current
        before = len(self.waiting) + 2 if self.waiting else 1
        for c, n, current in self.waiting:
            self.cores[c].acc[n] = current
        self.waiting = []
        longest = max(core.step(flags, reward) for core in self.cores)
        captured = 0
        for core in self.cores:
            for n, payload, _ in core.spikes[:64]:
                captured += 1
                for slot in sorted(core.routes[n]):
                    c, to, weight = core.routes[n][slot]
                    if len(self.waiting) < 512:
                        self.waiting.append((c, to, wrap(weight * payload >> 7, 16) if flags & 2 else weight))
        cycles = before + 1 + longest + 3 + len(self.cores) + 37 * captured + 1 + stall
        spikes = [(before + 2 + j, c, n, e) for c, core in enumerate(self.cores) for n, e, j in core.spikes]
        return cycles, sorted(spikes)

    def memory(self, name: str) -> np.ndarray:
        n = self.cores[0].build.neurons
        if name == "thr":
            return np.array([[p[0] for p in core.param[:n]] for core in self.cores])
        if name == "lfsr":
            return np.array([core.lfsr for core in self.cores])
        if name in ("w", "elig", "delay", "tag"):
            k = {"w": 1, "delay": 3, "tag": 4, "elig": 5}[name]
            high = max(core.used for core in self.cores)
            return np.array(
                [[e[k] if a < core.used else 0 for a, e in enumerate(core.pool[:high])] for core in self.cores]
            )
        fields = {"traces": "trace", "dend": "d", "refrac": "ref", "spike_cnt": "scnt", "spike_ts": "sts"}
        return np.array([getattr(core, fields.get(name, name))[:n] for core in self.cores])
