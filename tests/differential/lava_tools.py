"""Lava's own models: driven one after the other without its runtime, or by the runtime itself.

Both start from the same Lava processes. Lava's runtime gives every process an operating system's process, seconds a
network; driven directly, a network of a few populations takes milliseconds. A model's `run_spk` is called as it is:
its ports are Lava's, the channels between them hold one message.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from .case import Call, Case, Link, Values

#: Registers that Lava's processes name differently.
RENAMED = {"activation": "act_mode"}


class Waiting(Exception):
    """A model asks for what has not been sent yet in this step."""


class Channel:
    """What one port sends and another receives, in the sender's dtype; at most one message."""

    def __init__(self, shape: tuple, dtype: Any) -> None:
        self.shape, self.dtype, self.message = shape, dtype, None

    def send(self, data: Any) -> None:
        with np.errstate(invalid="ignore"):
            self.message = np.array(data).astype(self.dtype).reshape(self.shape)

    def recv(self) -> np.ndarray:
        if self.message is None:
            raise Waiting
        message, self.message = self.message, None
        return message


def processes(case: Case) -> dict[str, Any]:
    """Lava's processes by population and link, unconnected."""
    made: dict[str, Any] = {}
    for name, model in case.populations.items():
        made[name] = source(sent_by(case, name)) if case.is_input(name) else neurons(model)
    for name, factors in case.third.items():
        made |= {f"{name}.{k}": source(v) for k, v in factors.items()}
    return made | {name: connection(link) for name, link in case.links.items()}


def source(values: Any) -> Any:
    """The process that sends (steps, …) values."""
    from lava.proc.io.source import RingBuffer

    return RingBuffer(data=np.moveaxis(np.asarray(values, np.int32), 0, -1).copy())


def sent_by(case: Case, name: str) -> np.ndarray:
    """What a source sends, in its population's shape."""
    shape = np.atleast_1d(case.populations[name].args[0])
    return np.asarray(case.inputs[name]).reshape(case.steps, *shape)


def neurons(model: Call) -> Any:
    """Lava's process of a population."""
    from lava.proc.atrlif.process import ATRLIF
    from lava.proc.lif.process import LIF, LIFRefractory, LIFReset, TernaryLIF
    from lava.proc.sdn.process import ActivationMode, Delta, Sigma, SigmaDelta

    kinds = {c.__name__: c for c in (ATRLIF, LIF, LIFReset, TernaryLIF, Delta, Sigma, SigmaDelta)}
    kind = model.name.split(".")[-1]
    if kind == "LavaLIF":
        k = {{"bias": "bias_mant", "refractory": "refractory_period"}.get(k, k): v for k, v in model.kwargs.items()}
        return (LIFRefractory if k.get("refractory_period") else LIF)(shape=(model.args[0],), **({"vth": 1.0} | k))
    given = {RENAMED.get(k, k): v for k, v in model.kwargs.items()}
    if kind in ("Delta", "SigmaDelta"):
        given = {"vth": 0, "cum_error": 0} | given
        given["cum_error"] = bool(given["cum_error"])
    if kind == "SigmaDelta":
        given["act_mode"] = ActivationMode[given.get("act_mode", "relu").upper()]
    defaults = {"LIF": {"vth": 1}, "LIFReset": {"vth": 1}, "TernaryLIF": {"vth_hi": 1, "vth_lo": -1}}
    return kinds[kind](shape=tuple(np.atleast_1d(model.args[0]).tolist()), **(defaults.get(kind, {}) | given))


def connection(link: Link) -> Any:
    """Lava's process of a link: Dense, Sparse, with delays, with learning, or a convolution."""
    from lava.proc.conv.process import Conv
    from lava.proc.dense.process import DelayDense, Dense, LearningDense
    from lava.proc.sparse.process import DelaySparse, Sparse
    from lava.utils.weightutils import SignMode

    k = link.synapses.kwargs
    if link.synapses.name == "Conv":
        geometry = {name: k[name] for name in ("stride", "padding", "dilation", "groups") if name in k}
        kernel = np.ascontiguousarray(link.weights[:, ::-1, ::-1, :])  # Lava flips it once more
        bits = {"num_message_bits": k.get("message_bits", 0), "weight_exp": k.get("exponent", 0)}
        return Conv(weight=kernel, input_shape=tuple(link.synapses.args[1]), **geometry, **bits)
    sign = k.get("sign")
    given = {
        "weight_exp": k.get("exponent", 0),
        "num_weight_bits": k.get("bits", 8),
        "num_message_bits": k.get("message_bits", 0),
        "sign_mode": SignMode[sign.upper()] if sign else None,
    }
    if link.rule is not None:
        # Lava clips a learning connection's first weights nowhere
        given["sign_mode"] = given["sign_mode"] or SignMode.MIXED
        return LearningDense(weights=link.weights, learning_rule=learning_rule(link.rule), **given, **start(link.rule))
    weights = sp.csr_matrix(link.weights) if link.is_sparse else link.weights
    delays = k.get("delays", 0)
    if not np.any(delays):
        return (Sparse if link.is_sparse else Dense)(weights=weights, **given)
    delays = np.broadcast_to(np.asarray(delays, int), link.weights.shape).copy()
    if link.is_sparse:
        delays = sp.csr_matrix(np.where(link.weights != 0, delays, 0))
        return DelaySparse(weights=weights, delays=delays, max_delay=int(delays.max()), **given)
    return DelayDense(weights=weights, delays=delays, **given)


def learning_rule(rule: Call) -> Any:
    """Lava's learning rule of a `SumOfProducts` inside an `EngineRule`."""
    from lava.magma.core.learning.learning_rule import Loihi2FLearningRule, Loihi3FLearningRule

    k = rule.args[0].kwargs
    names = [f"{t}_{what}" for t in ("x1", "x2", "y1", "y2", "y3") for what in ("impulse", "tau")]
    given = {name: float(k.get(name, 0)) for name in names}
    kind = Loihi3FLearningRule if k.get("three_factor") else Loihi2FLearningRule
    if kind is Loihi3FLearningRule:
        given = {name: v for name, v in given.items() if name[0] == "x"}
    texts = {t: k[t] for t in ("dw", "dt", "dd") if k.get(t)}
    return kind(**texts, **given, t_epoch=k.get("t_epoch", 1), rng_seed=rule.kwargs["seed"])


def start(rule: Call) -> dict[str, Any]:
    """Start values of a learning connection, and how it reads payloads."""
    from lava.magma.core.learning.constants import GradedSpikeCfg

    given = {"tag_1": rule.kwargs.get("tags", 0), "tag_2": rule.kwargs.get("delays", 0)}
    graded = rule.args[0].kwargs.get("graded", 0)
    return given | ({"graded_spike_cfg": GradedSpikeCfg(graded)} if graded else {})


def tag(case: Case) -> str:
    """The tag by which Lava chooses its models: integers or floats."""
    return "floating_pt" if case.chip == "float" else "fixed_pt"


def model_class(process: Any, tag: str) -> Any:
    """The model that Lava's run configuration would choose for a process."""
    from lava.magma.compiler.compiler_graphs import ProcGroupDiGraphs
    from lava.magma.core.run_configs import Loihi2SimCfg

    found = ProcGroupDiGraphs._find_proc_models(process)
    return Loihi2SimCfg(select_tag=tag).select(process, found)


def built(process: Any, tag: str, incoming: dict[str, list[Channel]], outgoing: dict[str, list[Channel]]) -> Any:
    """A model of `process` as Lava's builder makes it, with the given channels at its ports."""
    from lava.magma.core.model.py.ports import IdentityTransformer

    kind = model_class(process, tag)
    model = kind(process.proc_params)
    for port in process.in_ports:
        declared = getattr(kind, port.name)
        made = declared.cls(incoming.get(port.name, []), model, port.shape, declared.d_type, IdentityTransformer())
        setattr(model, port.name, made)
    for port in process.out_ports:
        declared = getattr(kind, port.name)
        if declared is not None:
            setattr(model, port.name, declared.cls(outgoing.get(port.name, []), model, port.shape, declared.d_type))
    for var in process.vars:
        declared = getattr(kind, var.name, None)
        if declared is not None:
            setattr(model, var.name, _initial(var, declared))
    return model


def _initial(var: Any, declared: Any) -> Any:
    """The value of a variable as Lava's builder sets it; arrays that a scalar register was given stay arrays."""
    if issubclass(declared.cls, np.ndarray):
        size = var.shape if np.size(var.init) <= np.prod(var.shape) else np.shape(var.init)
        value = np.zeros(size, declared.d_type)
        value[...] = np.asarray(var.init).reshape(size) if np.size(var.init) == value.size else var.init
        return value
    if sp.issparse(var.init):
        return var.init.copy()
    return np.asarray(var.init) if np.ndim(var.init) else var.init


def dtype_of(process: Any, tag: str, port: str) -> Any:
    """The dtype in which a port sends."""
    return getattr(model_class(process, tag), port).d_type


def run_directly(case: Case) -> Values:
    """Lava's models called step by step: connections send, neurons update, connections receive, then learn."""
    made = processes(case)
    shapes = {name: tuple(made[name].s_out.shape) for name in case.populations}
    into: dict[str, dict[str, list[Channel]]] = {name: {} for name in made}
    out: dict[str, dict[str, list[Channel]]] = {name: {} for name in made}

    def join(a: str, port_a: str, b: str, port_b: str) -> None:
        channel = Channel(getattr(made[b], port_b).shape, dtype_of(made[a], tag(case), port_a))
        out[a].setdefault(port_a, []).append(channel)
        into[b].setdefault(port_b, []).append(channel)

    for name, link in case.links.items():
        join(link.pre, "s_out", name, "s_in")
        join(name, "a_out", link.post, "a_in")
        if link.rule is not None:
            join(link.post, "s_out", name, "s_in_bap")
        for factor in case.third.get(name, ()):
            join(f"{name}.{factor}", "s_out", name, f"s_in_{factor}")
    models = {name: built(process, tag(case), into[name], out[name]) for name, process in made.items()}
    watched = {name: Channel(shapes[name], dtype_of(made[name], tag(case), "s_out")) for name in case.populations}
    for name, channel in watched.items():
        models[name].s_out.csp_ports.append(channel)
    return _stepped(case, models, watched)


def _stepped(case: Case, models: dict[str, Any], watched: dict[str, Channel]) -> Values:
    rows: dict[tuple[str, str], list[np.ndarray]] = {}
    for t in range(1, case.steps + 1):
        for model in models.values():
            model.time_step = t
        for name in case.links:
            try:
                models[name].run_spk()
            except Waiting:
                continue
            raise AssertionError(f"{name} did not wait for spikes")
        for name in (name for name in models if "." in name):
            models[name].run_spk()
        for name in sorted(case.populations, key=case.is_input, reverse=True):
            models[name].run_spk()
            sent = watched[name].recv().ravel()
            if not case.is_input(name):
                rows.setdefault((name, "spikes"), []).append(sent)
        for name, link in case.links.items():
            models[name].run_spk()
            if link.rule is not None and models[name].lrn_guard():
                models[name].run_lrn()
        for name, variables in case.record.items():
            for variable in variables:
                rows.setdefault((name, variable), []).append(_seen(models[name], variable))
    return {key: np.array(values) for key, values in rows.items()}


#: Lava's names of a learning connection's variables.
SYNAPTIC = {"w": "weights", "t": "tag_1", "d": "tag_2"}


def _seen(model: Any, variable: str) -> np.ndarray:
    value = np.array(getattr(model, SYNAPTIC.get(variable, variable)))
    return value if variable in SYNAPTIC else value.ravel()


def run_in_runtime(case: Case) -> Values:
    """Lava compiles and runs the same processes itself."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.monitor.process import Monitor

    made = processes(case)
    for name, link in case.links.items():
        made[link.pre].s_out.connect(made[name].s_in)
        made[name].a_out.connect(made[link.post].a_in)
        if link.rule is not None:
            made[link.post].s_out.connect(made[name].s_in_bap)
        for factor in case.third.get(name, ()):
            made[f"{name}.{factor}"].s_out.connect(getattr(made[name], f"s_in_{factor}"))
    monitors = {}
    for name, variables in case.record.items():
        for variable in variables:
            monitors[name, variable] = Monitor()
            monitors[name, variable].probe(getattr(made[name], SYNAPTIC.get(variable, variable)), case.steps)
    for name in case.populations:
        if not case.is_input(name):
            monitors[name, "spikes"] = Monitor()
            monitors[name, "spikes"].probe(made[name].s_out, case.steps)
    first = made[next(name for name in case.populations if not case.is_input(name))]
    first.run(condition=RunSteps(num_steps=case.steps), run_cfg=Loihi2SimCfg(select_tag=tag(case)))
    try:
        seen = {key: next(iter(next(iter(m.get_data().values())).values())) for key, m in monitors.items()}
    finally:
        first.stop()
    return {key: np.asarray(value).reshape(case.steps, *np.shape(value)[1:]) for key, value in seen.items()}
