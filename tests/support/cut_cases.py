"""Small runs of every family, input kind, model and learning rule, for properties that any run must have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import chipsim as cs
from chipsim.mappings.builders.lsnn import eprop_network
from chipsim.native.synapses import Conv
from chipsim.program.program import Program
from chipsim.rules.carried import EngineRule, all_to_all
from chipsim.rules.e_prop.rule import EProp
from chipsim.rules.pes import Pes
from chipsim.rules.products.rule import SumOfProducts, reward_modulated_stdp

STEPS, N_IN, N = 24, 5, 20  # neurons enough for three tiles
BYTES = cs.rules.Fixed(8, 1.0, rounding="stochastic")


@dataclass
class Case:
    """A program with what a run of it is given; arrays have a row for every step."""

    program: Program
    inputs: dict[str, np.ndarray]
    record: dict[str, Any] = field(default_factory=dict)
    third: dict[str, Any] = field(default_factory=dict)
    targets: dict[str, Any] = field(default_factory=dict)
    masks: bool = False

    def run(self, emulator: cs.Emulator, a: int, b: int) -> Any:
        """Steps [a, b); steps without any input are given none."""
        given = {k: v[a:b] for k, v in self.inputs.items() if v[a:b].any()}
        more = {k: {n: v[a:b] for n, v in getattr(self, k).items()} for k in ("third", "targets")}
        return emulator.run(given, b - a, record=self.record, masks=self.masks, **{k: v for k, v in more.items() if v})


def plain(rng, n: int = N_IN, rate: float = 0.3) -> np.ndarray:
    return rng.random((STEPS, n)) < rate


def numbers(rng, n: int = N_IN, rate: float = 0.3, low: int = -9) -> np.ndarray:
    return rng.integers(low, 10, (STEPS, n)) * plain(rng, n, rate)


def single(rng, n: int = N_IN) -> np.ndarray:
    """One event in all, of a value that is not 1."""
    values = np.zeros((STEPS, n), np.int64)
    values[int(rng.integers(0, STEPS - 1)), int(rng.integers(0, n))] = 7
    return values


def empty(rng, n: int = N_IN) -> np.ndarray:
    return np.zeros((STEPS, n), np.int64)


INPUTS: dict[str, tuple[int, Callable[..., np.ndarray]]] = {
    "spikes": (0, plain), "numbers": (1, numbers), "single": (1, single), "empty": (1, empty), "silent": (0, empty),
}  # fmt: skip
SEEN: dict[str, tuple[str, ...]] = {"LIF": ("u", "v", "input", "refractory")}


def models() -> dict[str, tuple[str, Any, Any]]:
    """name -> (chip, arithmetic, neurons of two populations)."""
    lif = cs.loihi.LIF
    noise = {"noise": "voltage", "noise_exp": 9, "noise_offset": 1}
    return {
        "lava": ("unlimited", "lava", lif(N, du=900, dv=300, vth=60)),
        "lava options": (
            "unlimited",
            "lava",
            lif(N, du=900, dv=300, vth=np.arange(20, 20 + 3 * N, 3), refractory=3, v=500),
        ),
        "lava noise": ("unlimited", "lava", lif(N, du=900, dv=300, vth=60, **noise)),
        "lava reset": ("unlimited", "lava", cs.loihi.LIFReset(N, du=9, dv=3, vth=90, reset_interval=5)),
        "nengo": ("unlimited", "nengo_loihi", lif(N, du=900, dv=300, vth=60, refractory=2, **noise)),
        "brian2": ("unlimited", "brian2_loihi", lif(N, du=900, dv=300, vth=60, refractory=2)),
        "wide": ("unlimited", without_overflow(), lif(N, du=900, dv=300, vth=60)),
        "loihi2": ("loihi2", None, cs.loihi.CountLIF(N, du=900, dv=300, vth=30)),
        "soft": ("unlimited", None, cs.loihi.SoftLIF(N, du=900, dv=300, vth=60)),
        "ternary": ("unlimited", None, cs.loihi.TernaryLIF(N, du=900, dv=300, vth_hi=60, vth_lo=-40)),
        "atrlif": ("unlimited", None, cs.loihi.ATRLIF(N, theta_step=2.0)),
        "lsnn": ("unlimited", None, cs.loihi.LSNN(N, dv=300, vth=60, da=100, beta=900, refractory=2)),
        "delta": ("unlimited", None, cs.loihi.Delta(N, vth=20)),
        "sigma delta": ("unlimited", None, cs.loihi.SigmaDelta(N, vth=30, bias=2)),
        "sigma": ("unlimited", None, cs.loihi.Sigma(N)),
        "float": ("float", None, cs.floats.LIF(N, threshold=70.0, leak_decay=0.9, input_decay=0.5, refractory=1)),
        "float lava": ("float", None, cs.floats.LavaLIF(N, vth=90.0, du=0.4, dv=0.1, refractory=2)),
        "float unit": (
            "float",
            None,
            cs.floats.Unit(N, kept=0.9, input_gain=1.0, threshold=90.0, after_spike="subtract"),
        ),
        "float value": (
            "float",
            None,
            cs.floats.Unit(N, kept=0.3, input_gain=0.01, sends="value", after_spike="nothing"),
        ),
        "float lsnn": (
            "float",
            None,
            cs.floats.LSNN(N, kept=0.9, threshold=80.0, beta=2.0, adaptation_kept=0.95, refractory=3),
        ),
    }


def without_overflow() -> Any:
    from chipsim.chips.arithmetic import arithmetic

    return arithmetic("lava", current_overflow="none")


def time_step(model: str, kind: str, seed: int, *, delays: bool = True, conv: bool = False) -> Case:
    """Source -> a -> b -> a, with delays, several exponents, payloads where the input carries numbers."""
    rng = np.random.default_rng(seed)
    chip, arithmetic, neurons = models()[model]
    graded, draw = INPUTS[kind]
    net = cs.Network(f"{model} {kind}")
    net.add("x", cs.SpikeSource(N_IN, graded=graded))
    net.add("y", cs.SpikeSource(3))
    net.add("a", neurons)
    net.add("b", models()[model][2])
    for pre, post, exponent, lag in (("x", "a", 0, 4), ("a", "b", -1, 0), ("b", "a", 1, 2), ("y", "b", 0, 9)):
        shape = net.populations[post].n, net.populations[pre].n
        weights = rng.integers(-70, 80, shape)
        late = rng.integers(0, lag + 1, shape) if delays and lag else 0
        bits = 8 * (graded if pre == "x" else int(pre in "ab"))
        if chip == "float":
            net.connect(pre, post, cs.floats.Synapses(weights / 2.0, delays=late))
        else:
            made = cs.loihi.Synapses(weights, exponent=exponent, sign="mixed", delays=late, message_bits=bits)
            net.connect(pre, post, made)
    if conv:
        kernel = rng.integers(-20, 40, (N, 1, 1, N_IN)) * 2
        net.connect("x", "a", Conv(kernel, (1, 1, N_IN), exponent=-1, message_bits=8 * graded), name="conv")
    program = cs.compile(net, chip, arithmetic=arithmetic, seed=seed)
    rows = tuple(program.population("a").model.variables)
    return Case(
        program, {"x": draw(rng), "y": plain(rng, 3)}, {"a": ["spikes", *rows], "b": list(rows[:1])}, masks=True
    )


def loihi_rule(rule: Any, arithmetic: str = "lava", third: Any = None, seed: int = 0, kind: str = "spikes") -> Case:
    """A projection from a source and a recurrent one, both learning, with delays where the rule may have them."""
    rng = np.random.default_rng(seed)
    graded, draw = INPUTS[kind]
    net = cs.Network("learns")
    net.add("x", cs.SpikeSource(N_IN, graded=graded))
    net.add("a", cs.loihi.LIF(N, du=1000, dv=300, vth=90))
    weights = rng.integers(1, 60, (N, N_IN)) * 2
    pes = isinstance(rule, Pes)
    late = 0 if pes or arithmetic == "brian2_loihi" else rng.integers(0, 4, weights.shape)
    net.connect("x", "a", cs.loihi.Synapses(weights, sign="mixed", delays=late), rule=rule)
    loop = cs.loihi.Synapses(rng.integers(-30, 30, (N, N)) * 2, sign="mixed")
    net.connect("a", "a", loop)
    chip = "loihi" if pes else "unlimited"
    factors = {} if third is None else {"x->a": third(rng)}
    seen = ["w", "x1"] if not isinstance(rule, cs.rules.Rule) else ["w", *rule.traces]
    return Case(
        cs.compile(net, chip, arithmetic=arithmetic, seed=seed), {"x": draw(rng)}, {"a": ["v"], "x->a": seen}, factors
    )


def float_rule(rule: Any, third: Any = None, seed: int = 0) -> Case:
    rng = np.random.default_rng(seed)
    net = cs.Network("learns")
    net.add("x", cs.SpikeSource(N_IN))
    net.add("a", cs.floats.LavaLIF(N, vth=2.0, du=0.5, dv=0.1))
    weights = rng.random((N, N_IN))
    net.connect("x", "a", cs.floats.Synapses(weights, delays=rng.integers(0, 3, weights.shape)), rule=rule)
    factors = {} if third is None else {"x->a": third(rng)}
    return Case(cs.compile(net, "float", seed=seed), {"x": plain(rng)}, {"a": ["v"], "x->a": ["w"]}, factors)


def eprop(chip: str, seed: int = 0) -> Case:
    rng = np.random.default_rng(seed)
    rule = EProp(tau_m=12.0, tau_out=9.0, thr=0.6, n_ref=2, scale_input=False)
    w_rec = rng.normal(size=(N, N)) * 0.3
    np.fill_diagonal(w_rec, 0)
    weights = rng.normal(size=(N, N_IN)) * 0.6, w_rec, rng.normal(size=(2, N)) * 0.5, rng.normal(size=(N, 2))
    net = eprop_network(rule, *weights)
    names = list(net.populations)
    program = cs.compile(net, chip, seed=seed)
    goal = rng.normal(size=(STEPS, 2))
    goal[::3] = np.nan
    return Case(program, {names[0]: plain(rng)}, {names[-1]: ["v"]}, targets={names[-1]: goal})


def crossbar(chip: str, seed: int = 0) -> Case:
    rng = np.random.default_rng(seed)
    module, net = getattr(cs, chip), cs.Network(chip)
    net.add("x", cs.SpikeSource(N_IN))
    net.add("a", module.LIF(N, thr=9))
    net.connect("x", "a", module.Synapses(np.abs(rng.integers(1, 4, (N, N_IN)))))
    record = {"a": ["v"]}
    return Case(cs.compile(net, chip, seed=seed), {"x": plain(rng)}, record)


def grid(seed: int = 0) -> Case:
    rng = np.random.default_rng(seed)
    net = cs.Network("grid")
    net.add("x", cs.SpikeSource(N_IN))
    net.add("a", cs.truenorth.LIF(N, thr=5, leak=-1))
    net.add("b", cs.truenorth.LIF(4, thr=3))
    net.connect("x", "a", cs.truenorth.Synapses(rng.integers(-8, 8, (N, N_IN))))
    net.connect("a", "b", cs.truenorth.Synapses(rng.integers(-8, 8, (4, N))))
    return Case(cs.compile(net, "truenorth", seed=seed), {"x": plain(rng, rate=0.5)}, {"a": ["v"], "b": ["v"]})


def reckon(seed: int = 0) -> Case:
    rng = np.random.default_rng(seed)
    net = cs.Network("reckon")
    net.add("x", cs.SpikeSource(N_IN))
    net.add("a", cs.reckon.LIF(N, thr=150, alpha=0x7F00))
    net.add("o", cs.reckon.LI(2, kappa=120))
    net.connect("x", "a", cs.reckon.Synapses(rng.integers(-40, 100, (N, N_IN)), 1))
    net.connect("a", "a", cs.reckon.Synapses(rng.integers(-20, 20, (N, N)), 2))
    net.connect("a", "o", cs.reckon.Synapses(rng.integers(-40, 60, (2, N)), 3))
    return Case(cs.compile(net, "reckon", seed=seed), {"x": plain(rng)}, {"a": ["u", "tinp"], "o": ["o"]})


def xylo(kind: str, seed: int = 0) -> Case:
    rng = np.random.default_rng(seed)
    graded, draw = INPUTS[kind]
    net = cs.Network("xylo")
    net.add("x", cs.SpikeSource(N_IN, graded=graded))
    net.add("a", cs.xylo.LIF(N, threshold=200))
    net.add("o", cs.xylo.LIF(2, threshold=300, most=1))
    net.connect("x", "a", cs.xylo.Synapses(rng.integers(-40, 100, (N, N_IN))))
    net.connect("a", "a", cs.xylo.Synapses(rng.integers(-40, 60, (N, N))))
    net.connect("a", "o", cs.xylo.Synapses(rng.integers(-40, 100, (2, N))))
    return Case(cs.compile(net, "xylo", seed=seed), {"x": np.abs(draw(rng).astype(int))}, {"a": ["v", "i"], "o": ["v"]})


def catalyst(rule: Any = None, third: Any = None, seed: int = 0, **registers: Any) -> Case:
    rng = np.random.default_rng(seed)
    net = cs.Network("catalyst")
    net.add("x", cs.SpikeSource(N_IN))
    net.add("a", cs.catalyst.LIF(N, thr=400, leak=5, noise_mantissa=5, noise_exponent=4, **registers))
    net.add("b", cs.catalyst.CUBA(4, thr=900))
    net.connect("x", "a", cs.catalyst.Synapses(rng.integers(1, 300, (N, N_IN))), rule=rule)
    net.connect("a", "b", cs.catalyst.Synapses(rng.integers(-50, 90, (4, N)), delays=rng.integers(1, 5, (4, N))))
    program = cs.compile(net, "catalyst_n1_kria", seed=seed, placement={"a": 0, "b": 1})
    record = {"a": ["v", "x1"], "b": ["v", "u"]} | ({} if rule is None else {"x->a": ["w", "e"]})
    return Case(program, {"x": plain(rng)}, record, {} if third is None else {"x->a": third(rng)})


SOP = SumOfProducts(dw="2*y0*x1 - 2*x0*y1 + u0*2^-6*w", x1_impulse=16, x1_tau=10, y1_impulse=16, y1_tau=8, t_epoch=3)
GRADED = SumOfProducts(dw="2*y0*x1 - 2*x0*y1", x1_tau=10, y1_impulse=16, y1_tau=8, t_epoch=2, graded=2)
LINEAR = SumOfProducts(dw="2*y0*x1 - 2*x0*y1", x1_impulse=16, x1_tau=10, y1_impulse=16, y1_tau=8)
REWARD = EngineRule(reward_modulated_stdp(0.5, 1, -0.5, 20, 16, 2**-4, t_epoch=2), y1_tau=10, y1_impulse=16)


def reward(rng) -> np.ndarray:
    return rng.integers(0, 4, STEPS).astype(float)


LEARNING: dict[str, Callable[[int], Case]] = {
    "declared": lambda s: loihi_rule(cs.rules.stdp(w_max=120.0, lam=0.02, weight=BYTES), seed=s),
    "sum of products": lambda s: loihi_rule(SOP, seed=s),
    "graded sum of products": lambda s: loihi_rule(GRADED, seed=s, kind="single"),
    "three factors": lambda s: loihi_rule(REWARD, third=reward, seed=s),
    "brian2 form": lambda s: loihi_rule(LINEAR, "brian2_loihi", seed=s),
    "pes": lambda s: pes(s),
    "declared floats": lambda s: float_rule(cs.rules.stdp(lam=0.02), seed=s),
    "sum of products in floats": lambda s: float_rule(SOP, seed=s),
    "superspike": lambda s: float_rule(cs.rules.superspike(), lambda rng: rng.normal(size=(STEPS, N)), s),
    "microcode": lambda s: catalyst(cs.rules.stdp(w_max=2000.0, lam=0.02), seed=s),
    "microcode, three factors": lambda s: catalyst(
        cs.rules.reward_stdp(tau_tag=7.5, bounds=(0.0, 2000.0), a_plus=60.0, a_minus=30.0), reward, s
    ),
    "e-prop floats": lambda s: eprop("float", s),
    "e-prop integers": lambda s: eprop("research", s),
}


def pes(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    net = cs.Network("pes")
    net.add("x", cs.SpikeSource(N_IN))
    net.add("a", cs.loihi.LIF(N, du=1000, dv=300, vth=90))
    start = all_to_all(rng.integers(-10, 30, (N, N_IN)) * 2)
    net.connect("x", "a", cs.loihi.Synapses(start, sign="mixed"), rule=Pes(tau=9, magnitude=33.25))
    errors = rng.integers(-127, 128, (STEPS, N // 2))
    program = cs.compile(net, "loihi", arithmetic="nengo_loihi", seed=seed)
    return Case(program, {"x": plain(rng)}, {"a": ["v"], "x->a": ["w", "x1"]}, {"x->a": errors})


OTHERS: dict[str, Callable[[int], Case]] = {
    "odin": lambda s: crossbar("odin", s),
    "tinyodin": lambda s: crossbar("tinyodin", s),
    "truenorth": grid,
    "reckon": reckon,
    "catalyst": lambda s: catalyst(seed=s, rate_target=2, rate_eta=9, epoch=5, passes=2),
    "xylo": lambda s: xylo("spikes", s),
    "xylo numbers": lambda s: xylo("numbers", s),
    "xylo single": lambda s: xylo("single", s),
}
QUIET = ("lava", "brian2", "float unit", "sigma delta")  #: models tried without any input, too
KINDS = (("spikes", "numbers", "single"), tuple(INPUTS))
ALL: dict[str, Callable[[int], Case]] = {
    **{f"{m}, {k}": (lambda s, m=m, k=k: time_step(m, k, s)) for m in models() for k in KINDS[m in QUIET]},
    **{f"{m}, conv": (lambda s, m=m: time_step(m, "numbers", s, conv=True)) for m in ("lava", "brian2", "float")},
    **LEARNING,
    **OTHERS,
}
