"""ODIN's LIF neuron, SDSP and events, one neuron at a time in plain Python: the oracle of the kernels (no timing)."""

from __future__ import annotations


class NaiveOdin:
    """Functional model of one open-loop ODIN with LIF neurons; neurons are dicts of registers."""

    def __init__(self, neurons, weight, mapped, sign, *, upd=0, prop=0, sdsp=0):
        self.neurons = [dict(n) for n in neurons]
        self.weight = [list(map(int, row)) for row in weight]
        self.mapped = mapped
        self.sign = sign
        self.upd, self.prop, self.sdsp = upd, prop, sdsp
        self.flag = [self.flags(n, 0 if n["v"] >= n["thr"] else n["v"], self.counted(n, n["v"] >= n["thr"], False))
                     for n in neurons]  # fmt: skip
        self.out = []

    @staticmethod
    def counted(n, spike, tick):
        if not n["ca_en"]:
            return n["ca"]
        if spike and not tick:
            return min(n["ca"] + 1, 7)
        if tick and not spike:
            return max(n["ca"] - 1, 0)
        return n["ca"]

    @staticmethod
    def flags(n, v, ca):
        up = n["ca_en"] and v >= n["theta_mem"] and n["theta1"] <= ca < n["theta3"]
        down = n["ca_en"] and v < n["theta_mem"] and n["theta1"] <= ca < n["theta2"]
        return bool(up), bool(down)

    def update(self, j, amount=0, tref=False):
        n = self.neurons[j]
        tick = False
        if tref:
            v = max(n["v"] - n["leak_str"], 0) if n["leak_en"] else n["v"]
            if n["ca_en"] and n["ca_leak"]:
                tick = n["ca_count"] == n["ca_leak"] - 1
                n["ca_count"] = 0 if tick else (n["ca_count"] + 1) % 32
        else:
            v = min(max(n["v"] + amount, 0), 255)
        spike = v >= n["thr"]
        n["v"] = 0 if spike else v
        n["ca"] = self.counted(n, spike, tick)
        self.flag[j] = self.flags(n, n["v"], n["ca"])
        if spike and not n["disable"]:
            self.out.append(j)

    def learn(self, pre, post, flag):
        if self.mapped[pre][post] or self.upd:
            w = self.weight[pre][post]
            self.weight[pre][post] = min(w + 1, 7) if flag[0] else max(w - 1, 0) if flag[1] else w

    def seen(self, pre, post):
        w = self.weight[pre][post] if self.mapped[pre][post] or self.prop else 0
        return -w if self.sign[pre] else w

    def spike(self, pre):
        flags = list(self.flag)
        amounts = [self.seen(pre, j) for j in range(256)]
        for j in range(256):
            self.learn(pre, j, flags[j])
            self.update(j, amounts[j])

    def synapse(self, pre, post):
        amount, flag = self.seen(pre, post), self.flag[post]
        self.update(post, amount)
        if self.sdsp:
            self.learn(pre, post, flag)

    def virtual(self, j, weight, inhibitory):
        self.update(j, -weight if inhibitory else weight)

    def reference(self, j=None):
        for k in range(256) if j is None else [j]:
            self.update(k, tref=True)

    def bistability(self, row=None):
        for pre in range(256) if row is None else [row]:
            for post in range(256):
                if self.mapped[pre][post] or self.upd:
                    w = self.weight[pre][post]
                    self.weight[pre][post] = min(w + 1, 7) if w >= 4 else max(w - 1, 0)
