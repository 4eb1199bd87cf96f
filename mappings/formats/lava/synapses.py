"""Projections as Lava processes: Dense, Sparse, DelayDense, DelaySparse, Conv, and LearningDense with its rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.chips.arithmetic import Arithmetic
from chipsim.errors import CompileError
from chipsim.native.effective import effective
from chipsim.native.synapses import Conv, with_data
from chipsim.program.program import Program, ProjectionImage
from chipsim.rules.carried import EngineRule
from chipsim.rules.products.rule import TRACES

from .neurons import Script

GRADED = ("USE_REGULAR_IMPULSE", "OVERWRITE", "ADD_WITH_SATURATION", "ADD_WITHOUT_SATURATION")


def add_projection(script: Script, k: int, program: Program, projection: ProjectionImage) -> None:
    """The process of a projection, and its connections."""
    pre, post = (program.populations[i] for i in (projection.pre, projection.post))
    name, s = projection.name, projection.synapses
    if any(image.name == name for image in program.populations):
        name = f"{name} (synapses)"
    script.lines.append(f"# {name!r}")
    if isinstance(s, Conv):
        _add_conv(script, k, name, s, pre.name, post.name, kernel_in_lava(s, program.arithmetic, projection.name))
        return
    made = _learning(script, k, program, projection) if projection.rule is not None else _matrix(script, k, name, s)
    script.lines += [
        f"p[{name!r}] = {made}",
        f"connect(out[{pre.name!r}], [p[{name!r}].s_in])",
        f"connect([p[{name!r}].a_out], into[{post.name!r}])",
    ]
    if projection.rule is not None:
        _add_learning_ports(script, projection, post.name, post.n)


def _options(s: Any, name: str) -> str:
    """Arguments that all matrices have."""
    parts = [f"weight_exp={s.exponent}", f"num_weight_bits={s.bits}", f"sign_mode=SignMode.{s.sign.upper()}"]
    if s.message_bits:
        parts.append(f"num_message_bits={s.message_bits}")
    return ", ".join([*parts, f"name={name!r}"])


def _matrix(script: Script, k: int, name: str, s: Any) -> str:
    """The expression of a matrix of fixed weights."""
    sparse = sp.issparse(s.mantissa)
    kind = ("Delay" if s.max_delay else "") + ("Sparse" if sparse else "Dense")
    script.imports.add(f"from lava.proc.{'sparse' if sparse else 'dense'}.process import {kind}")
    script.imports.add("from lava.utils.weightutils import SignMode")
    parts = [f"weights={_array(script, f'w_{k}', s.mantissa)}"]
    if s.max_delay:
        delays = s.delays
        if np.ndim(delays) == 0 and not sp.issparse(delays):
            full = np.full(s.mantissa.nnz if sparse else s.shape, delays)
            delays = with_data(s.mantissa, full) if sparse else full
        parts += [f"delays={_array(script, f'd_{k}', delays)}", f"max_delay={s.max_delay}"]
    return f"{kind}({', '.join([*parts, _options(s, name)])})"


def _array(script: Script, key: str, matrix: Any) -> str:
    """Keep a dense or sparse matrix and return the expression that makes it."""
    dtype = np.int64 if key.startswith("d") else np.int32  # Lava knows delays by the dtype int
    if not sp.issparse(matrix):
        return script.array(key, matrix, dtype)
    table = sp.coo_array(matrix)
    script.helpers.add("sparse")
    script.arrays |= {
        key: table.data.astype(dtype),
        f"{key}_row": table.row.astype(np.int32),
        f"{key}_col": table.col.astype(np.int32),
    }
    return f"csr(a, {key!r}, {tuple(int(d) for d in matrix.shape)})"


def kernel_in_lava(s: Conv, arithmetic: Arithmetic, name: str) -> np.ndarray:
    """The kernel that acts, exponent included: Lava's convolutions have none."""
    made = effective(s, arithmetic)
    kernel = np.asarray(made.matrix, np.int64)
    if made.shift < 0 and np.any(kernel & ((1 << -made.shift) - 1)):
        raise CompileError(
            f"projection '{name}': exponent {made.shift} cuts bits of a sum, and Lava's convolutions have no exponent; "
            "scale the kernel"
        )
    return kernel << made.shift if made.shift >= 0 else kernel >> -made.shift


def _add_conv(script: Script, k: int, name: str, s: Conv, pre: str, post: str, kernel: np.ndarray) -> None:
    """A convolution; Lava flips the kernel and wants (width, height, channels)."""
    script.imports.add("from lava.proc.conv.process import Conv")
    weight = script.array(f"k_{k}", kernel[:, ::-1, ::-1, :])
    options = [f"weight={weight}", f"input_shape={s.in_image}"]
    options += [f"{what}={getattr(s, what)}" for what in ("stride", "padding", "dilation", "groups")]
    if s.message_bits:
        options.append(f"num_message_bits={s.message_bits}")
    made = f"Conv({', '.join([*options, f'name={name!r}'])})"
    shape = tuple(s.input_shape)
    there, back = ("", "") if s.channels == "last" else (f", {shape}, (1, 2, 0)", f", {s.out_image}, (2, 0, 1)")
    script.lines += [
        f"p[{name!r}] = {made}",
        f"connect(out[{pre!r}], [p[{name!r}].s_in]{there})",
        f"connect([p[{name!r}].a_out], into[{post!r}]{back})",
    ]


def _learning(script: Script, k: int, program: Program, projection: ProjectionImage) -> str:
    """The expression of weights that learn by a sum of products."""
    chosen, s, name = engine_rule(projection.rule), projection.synapses, projection.name
    rule = chosen.rule
    factors = 3 if rule.three_factor else 2
    script.imports |= {
        "from lava.proc.dense.process import LearningDense",
        "from lava.utils.weightutils import SignMode",
        "from lava.magma.core.learning.constants import GradedSpikeCfg",
        f"from lava.magma.core.learning.learning_rule import Loihi{factors}FLearningRule",
    }
    texts = {n: getattr(rule, n) for n in ("dw", "dt", "dd") if getattr(rule, n) is not None}
    traces = TRACES[:2] if rule.three_factor else TRACES
    numbers = {f"{t}_{what}": float(getattr(rule, f"{t}_{what}")) for t in traces for what in ("impulse", "tau")}
    seed = program.seed if chosen.seed is None else chosen.seed
    settings = texts | {n: v for n, v in numbers.items() if v} | {"t_epoch": int(rule.t_epoch), "rng_seed": int(seed)}
    script.lines.append(f"rule = Loihi{factors}FLearningRule({', '.join(f'{n}={v!r}' for n, v in settings.items())})")
    dense = s.mantissa.toarray() if sp.issparse(s.mantissa) else s.mantissa
    parts = [f"weights={script.array(f'w_{k}', dense, np.int64)}", "learning_rule=rule"]
    for lava, ours in (("tag_1", chosen.tags), ("tag_2", chosen.delays)):
        if ours is not None:
            start = ours.toarray() if sp.issparse(ours) else np.broadcast_to(ours, s.shape)
            parts.append(f"{lava}={script.array(f'{lava}_{k}', start, np.int64)}")
    if rule.graded:
        parts.append(f"graded_spike_cfg=GradedSpikeCfg.{GRADED[rule.graded]}")
    script.record[name] = ("w", *(v for v in ("t", "d") if v in rule.reads), *TRACES)
    script.shapes |= {(name, v): tuple(int(d) for d in s.shape) for v in ("w", "t", "d")}
    return f"LearningDense({', '.join([*parts, _options(s, name)])})"


def _add_learning_ports(script: Script, projection: ProjectionImage, post: str, n: int) -> None:
    """Spikes that travel back, and the third factors of a three-factor rule."""
    chosen, name = engine_rule(projection.rule), projection.name
    script.lines.append(f"connect(out[{post!r}], [p[{name!r}].s_in_bap])")
    if not chosen.rule.three_factor:
        return
    script.helpers.add("factor")
    script.factors.append(name)
    for y in ("y1", "y2", "y3"):
        own = ""
        if y == "y1" and chosen.y1_impulse:
            script.helpers.add("own")
            own = f", own.Trace({n}, {float(chosen.y1_tau)!r}, {float(chosen.y1_impulse)!r})"
        script.lines.append(f"{y} = factor(third, {name!r}, {y!r}, {n}, steps{own})")
        if own:
            script.lines.append(f"connect(out[{post!r}], [y1.s_in] if hasattr(y1, 's_in') else [])")
        script.lines.append(f"{y}.s_out.connect(p[{name!r}].s_in_{y})")


def engine_rule(rule: Any) -> EngineRule:
    """A sum of products with its settings, whichever of the two was given."""
    return rule if isinstance(rule, EngineRule) else EngineRule(rule)
