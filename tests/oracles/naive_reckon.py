"""A slow ReckOn in plain Python: its state machines cycle by cycle, memories as words with a data register,
bit-serial
shift registers. The oracle of the kernels; shares no code with them."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.oracles.naive_reckon_learn import Learning, Register, signed


@dataclass
class Chip(Learning):
    """`reg` registers by name, `thr` and `alpha` per pair, memories as nested lists; fields named as in the
    kernels."""

    reg: dict[str, int]
    thr: list[int]
    alpha: list[int]
    winp: list[list[int]]
    wrec: list[list[int]]
    wout: list[list[int]]
    neurons: list[list[int]]  # [u, tinp, trec, tout] raw
    lfsr: dict[str, Register]
    z: list[int] = field(default_factory=lambda: [0] * 256)
    dirty: list[int] = field(default_factory=lambda: [0] * 256)
    pending: list[int] = field(default_factory=lambda: [0] * 256)
    collected: list[int] = field(default_factory=lambda: [0] * 256)
    o: list[int] = field(default_factory=lambda: [0] * 16)
    wins: list[int] = field(default_factory=lambda: [0] * 16)
    target: list[int] = field(default_factory=lambda: [0] * 16)
    lsig: list[int] = field(default_factory=lambda: [0] * 16)
    h: list[int] = field(default_factory=lambda: [0] * 16)
    over: list[int] = field(default_factory=lambda: [0] * 16)
    label: int = 0
    got: bool = False
    running: bool = False
    q: list[list[int]] = field(default_factory=lambda: [[0] * 4, [0] * 4])

    def __post_init__(self) -> None:
        r = self.reg
        self.i, self.r, self.no = r["NUM_INP_NEUR"], r["NUM_REC_NEUR"], r["NUM_OUT_NEUR"]
        self.m = max(self.i, self.r)
        self.x = max(self.m, self.no)

    # neuron memory
    def read(self, pair: int) -> None:
        self.access[0] += 1
        self.q = [list(self.neurons[2 * pair]), list(self.neurons[2 * pair + 1])]

    def fields(self, n: int, neuron: int) -> list[int]:
        return list(self.q[n]) if self.dirty[neuron] else [0, 0, 0, 0]

    # STEP
    def leak(self, value: int, factor: int, shift: int, width: int, name: str, unit: int) -> int:
        x = value * factor
        out = (x >> shift) & ((1 << width) - 1)
        reg = self.lfsr[name]
        if self.reg["EN_STOCH_ROUND"] and factor != unit and out:
            out += (x & ((1 << shift) - 1)) >= reg.word(0, reg.width)
        return out & ((1 << width) - 1)

    def step_phase(self) -> int:
        cycles = 0
        for c in range(self.x + 1):
            cycles += 1
            kappa = self.reg["KAPPA"]
            if c < 16:
                if c <= self.no:
                    self.o[c] = signed(self.leak(self.o[c], kappa, 7, 16, "ou", 0x80), 16)
                if self.reg["EN_STOCH_ROUND"] and kappa != 0x80:
                    self.lfsr["ou"].step()
            pair = c // 2
            if c % 2 == 0:
                self.read(pair)
                self.z[c] = self.z[c + 1] = 0
                continue
            self.access[1] += 1
            old = [list(self.neurons[2 * pair]), list(self.neurons[2 * pair + 1])]
            for n in range(2):
                self.step_neuron(pair, n)
            self.dirty[2 * pair] = self.dirty[2 * pair + 1] = 1
            if self.reg["EN_STOCH_ROUND"]:
                for name in ("ti0", "ti1", "tr0", "tr1", "to0", "to1"):
                    self.lfsr[name].step()
                if self.alpha[pair] != 0x8000:
                    self.lfsr["u0"].step()
                    self.lfsr["u1"].step()
            self.q = old
        return cycles

    def step_neuron(self, pair: int, n: int) -> None:
        j, alpha = 2 * pair + n, self.alpha[pair]
        u, tinp, trec, tout = self.fields(n, j)
        leaked = signed(self.leak(u, alpha, 15, 16, f"u{n}", 0x8000), 16)
        fired = u >= self.thr[pair]
        if fired:
            leaked = 0 if self.reg["RST_MODE"] else signed(leaked - self.thr[pair], 16)
        self.z[j] = int(fired)
        self.neurons[j] = [
            leaked,
            self.leak(tinp, alpha, 15, 12, f"ti{n}", 0x8000),
            self.leak(trec, alpha, 15, 12, f"tr{n}", 0x8000),
            self.leak(tout, self.reg["KAPPA"], 7, 10, f"to{n}", 0x80),
        ]

    # PROP
    def prop_phase(self) -> tuple[int, int, int, int]:
        """(cycles counting, cycles in events, cycles in supplements, passes)"""
        counting = events = extra = passes = 0
        r = self.reg
        for p in range(self.m + 1):
            counting += 1
            inp, rec = self.pending[p], self.z[p]
            if not inp and not rec:
                continue
            passes += 1
            if rec:
                self.access[6] += 1
                for k in range(self.no + 1):
                    self.o[k] = max(-32768, min(32767, self.o[k] + (self.wout[p][k] << r["FP_LOC_WOUT"])))
            for pair in range(self.r // 2 + 1):
                events += 2
                self.event(p, pair, inp, rec)
            if inp and p > self.r and (r["DO_EPROP"] & 1 or r["FORCE_TRACES"]):
                extra += 2
                self.read(p // 2)
                self.write(p, p // 2, inp, 0, None)
            self.z[p] = self.pending[p] = 0
        return counting, events, extra, passes

    def event(self, p: int, pair: int, inp: int, rec: int) -> None:
        r = self.reg
        self.read(pair)
        if pair % 8 == 0:
            self.access[2] += inp
            self.access[4] += rec
        membranes = []
        for n in range(2):
            j = 2 * pair + n
            u = self.fields(n, j)[0]
            w = (self.winp[p][j] << r["FP_LOC_WINP"]) * inp + (self.wrec[p][j] << r["FP_LOC_WREC"]) * rec
            noise = signed(self.lfsr["noise"].word(n, 16), 16) >> r["NOISE_STR"] if r["NOISE_EN"] else 0
            v = signed(u + w + noise, 16)
            if u >= 0 and w >= 0 and v < 0:
                v = 32767
            elif u < 0 and w < 0 and v >= 0:
                v = -32768
            membranes.append(v)
        if r["NOISE_EN"]:
            self.lfsr["noise"].step()
        self.write(p, pair, inp, rec, membranes)

    def write(self, p: int, pair: int, inp: int, rec: int, membranes: list[int] | None) -> None:
        r = self.reg
        self.access[1] += 1
        for n in range(2):
            j = 2 * pair + n
            values = self.fields(n, j)
            if j == p:
                if inp and (r["DO_EPROP"] & 1 or r["FORCE_TRACES"]):
                    values[1] = min(4095, values[1] + (8 << r["FP_LOC_TINP"]))
                if rec and (r["DO_EPROP"] & 2 or r["FORCE_TRACES"]):
                    values[2] = min(4095, values[2] + (8 << r["FP_LOC_TREC"]))
                if rec and (r["DO_EPROP"] & 4 or r["FORCE_TRACES"]):
                    values[3] = min(1023, values[3] + (2 << r["FP_LOC_TOUT"]))
            self.neurons[j] = [membranes[n] if membranes else self.neurons[j][0], *values[1:]]
        self.dirty[2 * pair] = self.dirty[2 * pair + 1] = 1

    # one tick
    def tick(self, events: list[int], last: int, tv: int, acc: int, answer: int, target: list[int]) -> dict:
        r = self.reg
        self.access = [0] * 8
        out: dict = {"cycles": [0] * 8, "sent": [], "passes": 0}
        cycles = out["cycles"]
        for a in events:
            self.collected[a] = 1
        self.pending, self.collected = self.collected, [0] * 256
        if not self.running:
            self.running = not last
        else:
            cycles[0], cycles[1] = self.step_phase(), 1
            out["spikes"] = list(self.z)
            if acc:
                best = max(range(self.no + 1), key=lambda k: (self.o[k], -k))
                self.wins[0 if r["REGRESSION"] else best] += 1
            if last:
                self.send(out)
                for flags in (self.z, self.dirty, self.pending, self.o, self.wins):
                    flags[:] = [0] * len(flags)
                self.running = self.got = False
            else:
                self.learn_and_send(out, tv, answer, target)
        if self.running:
            cycles[5], cycles[6], cycles[7], out["passes"] = self.prop_phase()
        out["access"] = self.access
        return out

    def learn_and_send(self, out: dict, tv: int, answer: int, target: list[int]) -> None:
        r = self.reg
        if r["DO_EPROP"] and (tv or r["REGUL_MODE"] & 6 == 6):
            if not (r["SINGLE_LABEL"] and self.got):
                out["cycles"][2] = 7 * (2 * (self.no + 1) if r["REGRESSION"] else 1) - 4
                if r["REGRESSION"]:
                    self.target[: self.no + 1] = target[: self.no + 1]
                else:
                    self.label, self.got = answer, True
            out["cycles"][3] = self.eprop_phase(tv)
        if r["SEND_PER_TIMESTEP"]:
            self.send(out)

    def send(self, out: dict) -> None:
        if self.reg["SEND_LABEL_ONLY"]:
            best = max(range(self.no + 1), key=lambda k: (self.wins[k], -k))
            out["sent"] = [0 if self.reg["REGRESSION"] else best]
        else:
            out["sent"] = [b for k in range(self.no + 1) for b in ((self.o[k] & 0xFF), (self.o[k] >> 8) & 0xFF)]
        out["cycles"][4] = 6 * len(out["sent"]) - 2
