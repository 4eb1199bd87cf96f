"""Random rules against Lava's own learning model, where lava-nc is installed (Python 3.10).

Lava's model is driven without its runtime: its ports are lists, its constructor's parts are called one by one.
"""

from __future__ import annotations

import numpy as np
import pytest

from chipsim.kernels.learning.sum_of_products.integers import sop_step
from chipsim.rules.products.rule import SumOfProducts
from chipsim.rules.products.state import SopStreams, dense, sop_state

pytest.importorskip("lava.proc.dense.models", exc_type=Exception)

NAMES = ("weights", "tag_1", "tag_2", "x1", "x2", "y1", "y2", "y3")
SETUP = (
    "_store_shapes",
    "_store_impulses_and_taus",
    "_build_active_traces_per_dependency",
    "_build_active_traces",
    "_build_learning_rule_appliers",
    "_init_randoms",
)


class Port:
    """A Lava port that is read and written by hand."""

    value: np.ndarray

    def recv(self) -> np.ndarray:
        return self.value

    def send(self, value: np.ndarray) -> None:
        self.value = value


def lava_model(rule, w, tags, delays, sign: str, bits: int, graded: int):
    from lava.magma.core.learning.constants import GradedSpikeCfg
    from lava.proc.dense.models import PyLearningDenseModelBitApproximate as Model
    from lava.utils.weightutils import SignMode

    m = Model.__new__(Model)
    m.proc_params = {"num_weight_bits": bits, "weight_exp": 0}
    m._learning_rule, m._shape, m._graded_spike_cfg = rule, w.shape, GradedSpikeCfg(graded)
    m.sign_mode, m.num_weight_bits, m.weights_set = SignMode[sign.upper()], bits, False
    for part in SETUP:
        getattr(m, part)()
    m.weights, m.tag_1, m.tag_2 = w.copy(), tags.copy(), delays.copy()
    for names, n in ((("x0", "tx", "x1", "x2"), w.shape[1]), (("y0", "ty", "y1", "y2", "y3", "a_buff"), w.shape[0])):
        for name in names:
            setattr(m, name, np.zeros(n, bool if name in ("x0", "y0") else int))
    m.num_message_bits = np.array(8 if graded else 0)
    for name in ("s_in", "a_out", "s_in_bap", "s_in_y1", "s_in_y2", "s_in_y3"):
        setattr(m, name, Port())
    return m


def random_rule(rng: np.random.Generator) -> str:
    factors = ("x1", "x2", "y1", "y2", "y3", "w", "t", "d", "(w-100)", "(3-y1)", "sgn(t+2)", "(d+2^-1)", "sgn(w)")
    products = []
    for _ in range(rng.integers(1, 4)):
        chosen = rng.choice(factors, rng.integers(0, 5)).tolist()
        dependency = str(rng.choice(("x0", "y0", "u1")))
        products.append("*".join([f"({rng.integers(-7, 8)})*2^{rng.integers(-7, 9)}", dependency, *chosen]))
    return " + ".join(products)


@pytest.mark.parametrize("seed", range(60))
def test_random_rule(seed: int) -> None:
    from lava.magma.core.learning.learning_rule import Loihi2FLearningRule, Loihi3FLearningRule

    rng = np.random.default_rng(seed)
    three, graded, epoch = bool(rng.random() < 0.3), int(rng.integers(4)), int(rng.integers(1, 7))
    texts = {"dw": random_rule(rng), "dt": random_rule(rng), "dd": random_rule(rng)}
    traces = {}
    for k in ("x1", "x2") if three else ("x1", "x2", "y1", "y2", "y3"):
        traces |= {f"{k}_impulse": rng.integers(0, 1016) / 8, f"{k}_tau": float(rng.choice((0, 1, 3, 10, 27.5)))}
    rule = SumOfProducts(**texts, **traces, t_epoch=epoch, three_factor=three, graded=graded)
    theirs = traces | ({"x1_impulse": 0} if graded else {})
    lava_rule = (Loihi3FLearningRule if three else Loihi2FLearningRule)(**texts, **theirs, t_epoch=epoch, rng_seed=seed)
    sign, bits = str(rng.choice(("mixed", "excitatory", "inhibitory"))), int(rng.integers(1, 9))
    low, high = {"mixed": (-256, 256), "excitatory": (0, 256), "inhibitory": (-255, 1)}[sign]
    shape, steps = (5, 4), 6 * epoch
    w, tags, delays = (rng.integers(a, b, shape) for a, b in ((low, high), (-256, 256), (0, 256)))
    pre = (rng.random((steps, shape[1])) < 0.4) * rng.integers(1, 256, (steps, shape[1]))
    post, y = rng.random((steps, shape[0])) < 0.4, rng.integers(-50, 200, (steps, 3, shape[0]))
    model = lava_model(lava_rule, w, tags, delays, sign, bits, graded)
    state = sop_state(rule, w, tags, delays, sign_mode=sign, num_weight_bits=bits)
    tab, par, draws = rule.tables(sign), rule.trace_params(), SopStreams(seed).draw(steps, epoch)
    for t in range(1, steps + 1):
        model.time_step = t
        model.s_in.value, model.s_in_bap.value = pre[t - 1], post[t - 1]
        for k in range(3):
            getattr(model, f"s_in_y{k + 1}").value = y[t - 1, k]
        model.run_spk()
        if model.lrn_guard():
            model.run_lrn()
        sop_step(t, t - 1, pre[t - 1], post[t - 1], y[t - 1], draws, tab, par, state)
        mine = (dense(state, state.w), dense(state, state.t), dense(state, state.d), *state.x, *state.y)
        for name, value in zip(NAMES, mine):
            np.testing.assert_array_equal(value, getattr(model, name), err_msg=f"{name}, step {t}, {texts}")
