"""A network as plain data: what is drawn at random, run in two tools, shrunk, and printed as code."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

import chipsim as cs
from chipsim.native.synapses import Conv
from chipsim.rules.carried import EngineRule, all_to_all
from chipsim.rules.pes import Pes
from chipsim.rules.products.rule import SumOfProducts

#: Names that a `Call` may use as they stand in printed code, besides those of `cs` and `sp`.
IMPORTS = {item.__name__: item for item in (Conv, EngineRule, Pes, SumOfProducts, all_to_all)}


@dataclass(frozen=True, eq=False)
class Call:
    """A call by name, of values and other calls: `Call("cs.loihi.LIF", (3,), {"du": 7})`."""

    name: str
    args: tuple = ()
    kwargs: dict = field(default_factory=dict)

    def value(self) -> Any:
        """What the call gives."""
        if self.name in IMPORTS:
            function = IMPORTS[self.name]
        else:
            function = {"cs": cs, "np": np, "sp": sp}[self.name.split(".")[0]]
            for part in self.name.split(".")[1:]:
                function = getattr(function, part)
        return function(*map(evaluate, self.args), **{k: evaluate(v) for k, v in self.kwargs.items()})

    def changed(self, **kwargs: Any) -> Call:
        """The same call with other keyword arguments; None takes one away."""
        merged = {k: v for k, v in (self.kwargs | kwargs).items() if v is not None}
        return replace(self, kwargs=merged)


def evaluate(value: Any) -> Any:
    """The value of a call; anything else is itself."""
    return value.value() if isinstance(value, Call) else value


@dataclass(frozen=True, eq=False)
class Link:
    """A projection: populations by name, synapses and rule as calls; `delay` only where weights are ideal."""

    pre: str
    post: str
    synapses: Call
    rule: Call | None = None
    delay: Any = 0

    @property
    def weights(self) -> np.ndarray:
        """(post, pre), or a convolution's kernel."""
        inner = self.synapses.args[0]
        return np.asarray(inner.args[0] if isinstance(inner, Call) else inner)

    @property
    def is_sparse(self) -> bool:
        """True where the weights are handed over as scipy.sparse."""
        return isinstance(self.synapses.args[0], Call) and self.synapses.args[0].name == "sp.csc_array"


@dataclass(frozen=True, eq=False)
class Case:
    """A network, its inputs, and what is compared.

    `inputs` are (steps, n) arrays by population, `third` third factors by link name ((steps, k), or a dict of them),
    `record` the variables that are compared by population or link; spikes always are.
    """

    populations: dict[str, Call]
    links: dict[str, Link]
    inputs: dict[str, np.ndarray]
    steps: int
    record: dict[str, list[str]]
    chip: str = "unlimited"
    arithmetic: str | None = None
    seed: int = 0
    third: dict[str, Any] = field(default_factory=dict)

    def size(self, name: str) -> int:
        """Neurons of a population."""
        return int(np.prod(self.populations[name].args[0]))

    def is_input(self, name: str) -> bool:
        """True for a spike source."""
        return self.populations[name].name == "cs.SpikeSource"

    def network(self) -> cs.Network:
        """The network as chipsim has it."""
        net = cs.Network("case")
        for name, model in self.populations.items():
            net.add(name, model.value())
        for name, link in self.links.items():
            more = {"delay": link.delay} if np.any(link.delay) else {}
            net.connect(link.pre, link.post, link.synapses.value(), rule=evaluate(link.rule), name=name, **more)
        return net

    def program(self) -> cs.Program:
        """The program, with the options of `compile` that the case names."""
        options = {} if self.arithmetic is None else {"arithmetic": self.arithmetic}
        return cs.compile(self.network(), self.chip, seed=self.seed, **options)


Values = dict[tuple[str, str], np.ndarray]  #: (population or link, variable) -> (steps, …)


def run_chipsim(case: Case) -> Values:
    """Every spike and every recorded variable, step by step."""
    result = cs.Emulator(case.program()).run(case.inputs, case.steps, record=case.record, third=case.third or None)
    out: Values = {(name, "spikes"): np.asarray(result.spikes[name]) for name in case.populations}
    for name, variables in case.record.items():
        kept = result.learning[name].trace if name in case.links else result.trace[name]
        for variable in variables:
            out[name, variable] = np.asarray(kept[variable])
    return out
