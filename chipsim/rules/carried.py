"""Learning on the emulated chip, for users: what a projection may carry as `rule=`, and what a run reports of it.

A projection learns by one of

- a declared rule (`chipsim.rules`): on float chips in float64; on integer chips in the chip's own weights;
- a `SumOfProducts` (Loihi's engine), or an `EngineRule` around one: start values, seed, the neurons' spike trace;
- a `Pes` (nengo-loihi's error learning, arithmetic "nengo_loihi");
- an `EProp` (`cs.rules.eprop`), on all projections of a recurrent network of LSNN neurons and its readout;
- a `cs.catalyst.Program`, the Catalyst N1's microcode.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chipsim.checks import finite, floats, seed_of
from chipsim.errors import NetworkError
from chipsim.native.catalyst.microcode import Program as Microcode
from chipsim.rules.e_prop.rule import EProp
from chipsim.rules.products.rule import SumOfProducts
from chipsim.rules.products.state import WEIGHT_SEED
from chipsim.sparse import sparse_matrix

from .declaration import Rule
from .pes import Pes

__all__ = [
    "EngineRule",
    "LearningReport",
    "all_to_all",
    "existing",
    "in_own_format",
    "kind_of",
    "rule_state",
    "troubles",
]

#: A rule stalls if this share of its updates rounds to nothing, saturates if this share passes a bound, and has
#: drifted if this share of its weights stands at a bound.
STALLED, SATURATED, DRIFTED = 0.5, 0.1, 0.5
ALMOST_ALL = 0.99  #: share from which it stalls where rounding is stochastic, which keeps the mean of what it loses
WEIGHT_BITS_OF_RULE = 9  #: bits a rule's `state_bits` counts for the weight itself (8 and sign)


@dataclass(frozen=True, eq=False)
class EngineRule:
    """A sum-of-products rule on a projection, with what the rule's text does not say.

    Parameters
    ----------
    rule : SumOfProducts
    tags, delays : (post, pre) array or None
        Start values of t and d; 0 if None.
    seed : int or None
        Of Lava's random streams; None takes the program's.
    weight_seed : int
        Of the stream that rounds weights (Lava always takes 2).
    y1_tau, y1_impulse : float
        Three-factor rules: the postsynaptic neurons send y1 = floor(y1 exp(-1/tau) + impulse s), s their spike of the
        step before (Lava's reward-modulated tutorial). An impulse of 0 sends nothing.
    """

    rule: SumOfProducts
    tags: Any = None
    delays: Any = None
    seed: int | None = None
    weight_seed: int = WEIGHT_SEED
    y1_tau: float = 0.0
    y1_impulse: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.rule, SumOfProducts):
            raise NetworkError(f"EngineRule takes a SumOfProducts, not {type(self.rule).__name__}")
        for name in ("y1_tau", "y1_impulse"):
            finite(getattr(self, name), f"{self.rule.name}: {name}", lo=0.0 if name == "y1_tau" else None)
        if self.seed is not None:
            seed_of(self.seed, f"{self.rule.name}: seed")
        seed_of(self.weight_seed, f"{self.rule.name}: weight_seed")
        for name in ("tags", "delays"):
            given = getattr(self, name)
            if given is not None:
                (sparse_matrix if hasattr(given, "toarray") else floats)(given, f"{self.rule.name}: {name}")
        if (self.y1_tau or self.y1_impulse) and not self.rule.three_factor:
            raise NetworkError(
                f"{self.rule.name}: y1_tau and y1_impulse describe neurons of a three-factor rule; "
                "give the rule its own y1_tau and y1_impulse"
            )

    @property
    def name(self) -> str:
        """Name of the rule."""
        return self.rule.name

    @property
    def state_bits(self) -> dict[str, int]:
        """Memory of the rule, as the mapper counts it."""
        return self.rule.state_bits()

    def __getattr__(self, name: str) -> Any:
        if name.endswith(("_impulse", "_tau")):  # what the mapper checks against the chip's registers
            return getattr(self.rule, name)
        raise AttributeError(name)


@dataclass(frozen=True, eq=False)
class LearningReport:
    """What learning did to one projection in one run.

    Attributes
    ----------
    rule : str
    steps : int
        Steps that learned.
    updates : int
        Evaluations: synapses visited (declared rules, PES), products evaluated (sums of products).
    changed, stalled, saturated : int
        Weights (or tags, delays) changed; updates that rounded to nothing; updates that passed a bound.
    not_finite : int
        Updates that gave NaN or infinity.
    at_bound : float
        Share of the weights that stand at a bound at the end.
    before, after : (mean, standard deviation) of the weights, in the chip's numbers.
    step : (k,) int64
        Steps, counted from the first of the run as 1, after which `trace` was recorded.
    trace : dict variable -> (k, ...) array
        What was asked for with ``record``: "w" and synaptic state as (k, post, pre), traces as (k, n).
    stochastic : bool
        Weights are rounded stochastically: updates that round to nothing are made up for by others.
    """

    rule: str
    steps: int
    updates: int
    changed: int
    stalled: int
    saturated: int
    not_finite: int
    at_bound: float
    before: tuple[float, float]
    after: tuple[float, float]
    step: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    trace: dict[str, np.ndarray] = field(default_factory=dict)
    stochastic: bool = False

    @property
    def warnings(self) -> list[str]:
        """What went wrong, in words; empty if nothing did."""
        found = troubles(self.rule, self.changed, self.stalled, self.saturated, self.at_bound, self.stochastic)
        if self.not_finite:
            found.append(f"{self.rule} gave NaN or infinity {self.not_finite} times")
        return found

    def plot(self, chosen: Any = None, *, title: str | None = None) -> Any:
        """What was recorded, over time, as a matplotlib Figure: a panel each for weights, synaptic state and traces.

        `chosen`: synapses (post, pre) drawn as lines of their own, by default those that move most. Raises RunError if
        nothing was recorded.
        """
        from chipsim.plots.learning import learned

        return learned(self.step, self.trace, chosen=chosen, title=title or f"Learning by {self.rule}")

    def __str__(self) -> str:
        text = (
            f"{self.rule}: {self.steps} steps, {self.updates} updates, {self.changed} changes, {self.stalled} stalled, "
            f"{self.saturated} beyond a bound; mean weight {self.before[0]:.4g} -> {self.after[0]:.4g}"
        )
        return "\n".join([text, *self.warnings])


def troubles(
    rule: str, changed: int, stalled: int, saturated: int, at_bound: float, stochastic: bool = False
) -> list[str]:
    """In words: updates that round to nothing, updates that pass a bound, weights that stand at one."""
    wanted, found = changed + stalled, []
    if wanted and stalled >= (ALMOST_ALL if stochastic else STALLED) * wanted:
        share = f"{stalled} of {wanted} updates ({stalled / wanted:.0%}) round to nothing"
        way = "take larger updates or more bits" if stochastic else "round stochastically, or take more bits"
        found.append(f"{rule} stalls: {share}, so that weights drift from what the rule asks for; {way}")
    if saturated > SATURATED * max(wanted, 1):
        found.append(f"{rule} saturates: {saturated} of {wanted} updates pass a bound")
    if at_bound > DRIFTED:
        found.append(f"{rule} drifts: {100 * at_bound:.0f} % of the weights stand at a bound")
    return found


def kind_of(rule: Any) -> str:
    """ "declared", "sum_of_products", "pes", "eprop" or "microcode"; raises NetworkError for anything else."""
    if isinstance(rule, Rule):
        return "declared"
    if isinstance(rule, (SumOfProducts, EngineRule)):
        return "sum_of_products"
    if isinstance(rule, Pes):
        return "pes"
    if isinstance(rule, EProp):
        return "eprop"
    if isinstance(rule, Microcode):
        return "microcode"
    raise NetworkError(
        f"a projection cannot learn by a {type(rule).__name__}: give a declared rule (cs.rules), an EProp, "
        "a SumOfProducts or a Pes"
    )


def all_to_all(weights: Any) -> Any:
    """A dense (post, pre) matrix as a sparse one that stores its zeros too, so that every pair is a synapse."""
    import scipy.sparse as sp

    dense = np.asarray(weights)
    post, pre = dense.shape
    ptr = np.arange(pre + 1, dtype=np.int64) * post
    return sp.csc_array((dense.T.ravel(), np.tile(np.arange(post), pre), ptr), shape=dense.shape)


def existing(weights: Any, rule: Any, onto_itself: bool = False) -> np.ndarray:
    """Which entries of a dense (post, pre) matrix are synapses, as (post, pre) bool.

    Fixed weights of 0 are none. Under a rule every entry is one, as in `chipsim.rules.Plastic`: what is 0 now may grow
    (a sparse matrix keeps a pattern). E-prop never changes a neuron's synapse onto itself (`onto_itself`: from a
    population to itself), so that there a 0 stays none.
    """
    dense = np.asarray(weights)
    if rule is None:
        return dense != 0
    found = np.ones(dense.shape, bool)
    if onto_itself and isinstance(rule, EProp):
        np.fill_diagonal(found, dense.diagonal() != 0)
    return found


def in_own_format(rule: Any, unit: float | None) -> bool:
    """True if a projection's weights are whole steps of its rule's format, all of whose bits the synapse keeps.

    So where the compiler chose the mantissas by the rule (`unit`: the ideal weight of one) and where the format's step
    is not the mantissa's own. Other weights lose the bits that their synapse format lacks when they are loaded.
    """
    return isinstance(rule, Rule) and (unit is not None or (rule.weight is not None and rule.weight.step != 1.0))


def rule_state(rule: Any) -> dict[str, int]:
    """Bits a learning rule keeps per "synapse", "pre" axon, "post" neuron; zeros where it declares none."""
    declared: Any = getattr(rule, "state_bits", None)
    if callable(declared):
        declared = declared()
    if isinstance(declared, (int, np.integer)):
        declared = {"synapse": int(declared)}
    out = {"synapse": 0, "pre": 0, "post": 0}
    return {key: int((declared or {}).get(key, 0)) for key in out}
