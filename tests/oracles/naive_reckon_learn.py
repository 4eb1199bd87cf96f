"""The learning phase of the slow ReckOn: its loop over post- and pre-synaptic indices, word by word."""

from __future__ import annotations

TAPS = {"winp": (3, 25), "wrec": (3, 25), "wout": (1, 22), "noise": (3, 17), "ou": (1, 15)}
TAPS |= {f"{name}{n}": (1, 15) for name in ("u", "ti", "tr", "to") for n in (0, 1)}
STEP_BITS = {"winp": 512, "wrec": 512, "wout": 448, "noise": 32, "ou": 7, "to0": 7, "to1": 7}


class Register:
    """s[t] = s[t-tap] ^ s[t-n]; `bits` holds s[T..T+n-1]."""

    def __init__(self, name: str, window: int) -> None:
        self.tap, self.n = TAPS[name]
        self.bits = [(window >> i) & 1 for i in range(self.n)]
        self.width = STEP_BITS.get(name, 15)

    def out(self) -> list[int]:
        s = list(self.bits)
        while len(s) < self.width + self.n:
            s.append(s[-self.tap] ^ s[-self.n])
        self.ahead = s
        return s[: self.width]

    def step(self) -> None:
        self.out()
        self.bits = self.ahead[self.width : self.width + self.n]

    def word(self, index: int, width: int) -> int:
        return sum(b << i for i, b in enumerate(self.out()[index * width : (index + 1) * width]))


def signed(x: int, bits: int) -> int:
    x &= (1 << bits) - 1
    return x - (1 << bits) if x >> (bits - 1) else x


def stoch_update(w: int, prob: int, width: int, left: int, right: int, rnd: int) -> tuple[int, bool]:
    """(new weight, was it selected)"""
    if prob == 0:
        return w, False
    big = abs(prob) << left
    if big >> width:
        big = (1 << width) - 1
    if prob != -(1 << (width - 1)) and (big >> right) < rnd:
        return w, False
    new = w + (1 if prob > 0 else -1)
    return (new if -128 <= new <= 127 else w), True


class Learning:
    """Mixed into `Chip`, which holds the registers and memories."""

    def error(self, k: int, tv: int) -> int:
        if not tv or k > self.no:
            return 0
        y = self.o[k]
        if not self.reg["NO_OUT_ACT"]:
            y = 2048 if y > 2047 else 0 if y < -2048 else (y + 2048) >> 1
        t = self.target[k] if self.reg["REGRESSION"] else 2048 * (self.label == k)
        return max(-32768, min(32767, t - y))

    def eprop_phase(self, tv: int) -> int:
        only_out = self.reg["DO_EPROP"] == 4
        cycles, group = 0, 0
        while True:
            for n in range(16):
                cycles += 2
                self.post(16 * group + n, n, tv)
                if only_out and 16 * group + n == self.r:
                    return cycles
            if not only_out:
                for i in range(self.m + 1):
                    cycles += 2
                    self.pre(i, group, tv)
                if group == self.r // 16:
                    return cycles
            group += 1

    def post(self, j: int, n: int, tv: int) -> None:
        r = self.reg
        if j % 2 == 0 and j <= self.m and tv:
            self.read(j // 2)
        u, _, trec, tout = self.fields(j % 2, j % 2)
        for s in range(4):
            if u < r[f"THR_H_{s}"]:
                self.h[n] = r[f"H_{s}"]
                break
        else:
            self.h[n] = r["H_4"]
        if r["REGUL_MODE"]:
            self.over[n] = max(0, (trec >> r["FP_LOC_TREC"]) - r["REGUL_F0"])
        e = [self.error(k, tv) for k in range(16)]
        signal = 0
        if j <= self.r and r["DO_EPROP"] & 3:
            signal = (sum(a * b for a, b in zip(e, self.wout[j])) << r["LEARN_SIG_SCALE"]) >> 12
        self.lsig[n] = max(-32768, min(32767, signal))
        if j > self.r or not tv:
            return
        self.access[6] += 1
        trace = tout >> r["FP_LOC_TOUT"]
        if not trace:
            return
        if not r["DO_EPROP"] & 4:
            self.access[6] += 1
            return
        self.access[7] += 1
        for k in range(16):
            rnd = self.lfsr["wout"].word(k, 28)
            self.wout[j][k] = stoch_update(self.wout[j][k], e[k] * trace, 28, r["LR_P_WOUT"], r["LR_R_WOUT"], rnd)[0]
        self.lfsr["wout"].step()

    def pre(self, i: int, group: int, tv: int) -> None:
        r = self.reg
        if i % 2 == 0 and tv:
            self.read(i // 2)
        _, tinp, trec, _ = self.fields(i % 2, i % 2)
        always = r["REGUL_MODE"] & 6 == 6
        quiet = r["REGUL_MODE"] == 0 or not any(self.over)
        for layer, bit, last, trace, column in (
            ("winp", 1, self.i, tinp >> r["FP_LOC_TINP"], 2),
            ("wrec", 2, self.r, trec >> r["FP_LOC_TREC"], 4),
        ):
            regular = bool(r["REGUL_W"] & bit)
            if not r["DO_EPROP"] & bit or i > last or not (tv or (always and regular)):
                continue
            self.access[column] += 1
            if trace == 0 and quiet:
                continue
            self.access[column + 1] += 1
            self.update(layer, i, group, trace, tv, regular)
            self.lfsr[layer].step()

    def update(self, layer: str, i: int, group: int, trace: int, tv: int, regular: bool) -> None:
        r, name = self.reg, "INP" if layer == "winp" else "REC"
        row = getattr(self, layer)[i]
        for n in range(16):
            j = 16 * group + n
            learns = tv and self.h[n] != 0
            if not learns and not (r["REGUL_MODE"] and regular):
                continue
            e = self.lsig[n] * trace * self.h[n] if learns else 0
            a = 0
            if r["REGUL_MODE"] & 2 and regular:
                a = signed(((self.over[n] << r[f"REGUL_K_{name}_P"]) & 0xFFFFFFFF) >> r[f"REGUL_K_{name}_R"], 32)
            m = 16
            if r["REGUL_MODE"] & 1 and r["REGUL_W"]:
                m = max(0, 16 - (self.over[n] >> r["REGUL_K_MUL"]))
            k = e * (16 if e < 0 else m)
            s = signed((k >> 4) - a, 32)
            if s >= 0 and (k >> 31) & 1:
                s = -(1 << 31)
            rnd = self.lfsr[layer].word(n, 32)
            new, chosen = stoch_update(row[j], s, 32, r[f"LR_P_W{name}"], r[f"LR_R_W{name}"], rnd)
            row[j] = 0 if chosen and layer == "wrec" and i == j else new
