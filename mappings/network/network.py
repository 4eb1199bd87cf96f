"""The network: named populations and the projections between them, ideal or native."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.checks import dims_of, name_of, product, quoted, text_of
from chipsim.errors import NetworkError
from chipsim.native.base import NeuronModel
from chipsim.native.synapses import Conv, FloatSynapses, Synapses, as_delays, as_floats, stored
from chipsim.rules.carried import existing

UNROLLED = 1 << 26  #: synapses of a convolution that is kept synapse by synapse


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons of one model under one name.

    `name` is unique in its network; `model` holds the neurons' parameters.
    """

    name: str
    model: NeuronModel

    @property
    def n(self) -> int:
        """Number of neurons."""
        return self.model.n

    @property
    def shape(self) -> tuple[int, ...]:
        """Layout of the population."""
        return self.model.shape


@dataclass(frozen=True, eq=False)
class Projection:
    """Synapses from one population to another.

    Attributes
    ----------
    name : str
    pre, post : Population
    synapses
        (post, pre) ndarray or CSC of floats (ideal), or native: `Synapses`, `FloatSynapses`, `Conv`.
    delay : int or (post, pre) array
        Extra steps; only for ideal matrices (native synapses carry their own).
    rule
        A learning rule, or None for fixed weights.
    """

    name: str
    pre: Population
    post: Population
    synapses: Any
    delay: Any = 0
    rule: Any = None
    role: str = ""

    @property
    def use(self) -> dict[str, str]:
        """The role as `Network.connect` takes it."""
        if self.role in ("", *WITHOUT_FACTOR):
            return {"role": self.role}
        return {"role": "third", "factor": self.role}

    @property
    def is_native(self) -> bool:
        """True when the synapses are already in a chip's terms."""
        return isinstance(self.synapses, (Synapses, FloatSynapses))

    @property
    def max_delay(self) -> int:
        """Largest delay in steps."""
        if isinstance(self.synapses, (Synapses, FloatSynapses)):
            return self.synapses.max_delay
        return int(np.max(stored(self.delay), initial=0)) if np.ndim(self.delay) else int(self.delay)


class Network:
    """Populations and projections by name, in the order in which they were added.

    Examples
    --------
    >>> import numpy as np
    >>> net = Network("demo")
    >>> from chipsim.native.base import SpikeSource
    >>> from chipsim.mappings.network.ideal import LIF
    >>> x, h = net.add("in", SpikeSource(4)), net.add("hid", LIF(3))
    >>> _ = net.connect(x, h, weights=np.ones((3, 4)))
    >>> net
    Network('demo': 2 populations, 3 neurons, 12 synapses)
    """

    def __init__(self, name: str = "network") -> None:
        self.name = text_of(name, "network name")
        self.populations: dict[str, Population] = {}
        self.projections: dict[str, Projection] = {}
        #: Free text a reader leaves for writers: dt, scheme, source file.
        self.metadata: dict[str, Any] = {}

    def add(self, name: str, model: NeuronModel) -> Population:
        """Add a population; raises NetworkError for a taken or empty name or something that is no model."""
        name_of(name, "population")
        if name in self.populations:
            raise NetworkError(f"population '{name}' exists already; choose another name")
        if not isinstance(model, NeuronModel):
            raise NetworkError(f"population '{name}': {type(model).__name__} is not a neuron model such as cs.LIF(128)")
        population = Population(name, model)
        self.populations[name] = population
        return population

    def connect(
        self,
        pre: Population | str,
        post: Population | str,
        weights: Any,
        *,
        delay: Any = 0,
        rule: Any = None,
        name: str | None = None,
        role: str = "",
        factor: str = "",
    ) -> Projection:
        """Connect two populations.

        Parameters
        ----------
        pre, post
            Populations of this network, or their names.
        weights : (post, pre) ndarray, scipy.sparse, `Conv2d(...)`, or native synapses
            A zero in an ndarray is no synapse, unless the projection learns: then every pair is one (0 may grow). Every
            stored entry of a sparse matrix is one, and nothing else: give a sparse matrix to keep a pattern.
        delay : int or (post, pre) array of int
            Extra steps, 0..62. A spike of step t acts at step t + 1 + delay. A convolution with a delay is kept synapse
            by synapse.
        rule
            A learning rule: from `chipsim.rules`, a `SumOfProducts` or `Pes` (see `chipsim.rules.carried`); None
            keeps the
            weights fixed. A projection that learns may end at a spike source: its given spikes then teach the
            synapses, the sums that arrive can be recorded as "input" and drive nothing. An `EProp` belongs on all
            projections of a network of `LSNN` neurons with an `LI` readout; on a projection between other neurons it
            becomes the declared rule `cs.rules.eprop_synapse` with its constants.
        role : {"", "third", "gate", "slope"}
            What the sums are to the neurons that they reach: their input; the third factor `factor` of the learning
            synapses of these neurons, in the step in which they arrive (feedback on the chip); or, for rate units,
            input that is multiplied by the unit's own slope. "slope" brings no sum: what each unit sends is multiplied
            by the slope that the unit opposite in `pre` has in the same step (an error unit beside the unit whose error
            it is; one synapse each in the costs); `pre` must be older than `post` and of its size, weights an identity.
        factor : str
            With role="third": the name of the third factor in the rules of the neurons' learning synapses.

        Raises
        ------
        NetworkError
            Unknown population, a shape that does not fit, NaN, a duplicate name, an unknown role.
        """
        source, target = self.population(pre), self.population(post)
        label = self._free_name(f"{source.name}->{target.name}") if name is None else name_of(name, "projection")
        if label in self.projections:
            raise NetworkError(f"projection '{label}' exists already; choose another name")
        role = _role(role, factor, label, target)
        if target.model.is_input and rule is None and role in ("", *WITHOUT_FACTOR):
            raise NetworkError(f"projection '{label}': '{target.name}' is a spike source and takes no input")
        synapses = weights
        if isinstance(weights, Conv) and (np.ndim(delay) or delay):
            synapses = weights = unrolled(weights, target, label)
        if not isinstance(weights, (Synapses, FloatSynapses, Conv)):
            if len(dims_of(weights)) == 2:  # before memory is taken for it
                _check_shape(label, dims_of(weights), source, target)
            synapses = as_floats(weights, f"projection '{label}'")
            delay = as_delays(delay, synapses, f"projection '{label}'")
        elif type(delay) is not int or delay:
            raise NetworkError(f"projection '{label}': give delays inside the native synapses, not beside them")
        _check_shape(label, synapses.shape, source, target)
        if role == "slope":
            self._check_slope(label, source, target, synapses, rule)
        projection = Projection(label, source, target, synapses, delay, _rule_for(rule, source, target), role)
        self.projections[label] = projection
        return projection

    def _check_slope(self, label: str, source: Population, target: Population, synapses: Any, rule: Any) -> None:
        """A slope goes from each rate unit to the one opposite, which is updated after it."""
        matrix = getattr(synapses, "weights", getattr(synapses, "mantissa", synapses))
        dense = np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix)
        order = list(self.populations)
        late = order.index(source.name) > order.index(target.name)
        if (
            source.model.model not in RATE_MODELS
            or late
            or rule is not None
            or np.any((dense != 0) != np.eye(len(dense)))
        ):
            raise NetworkError(
                f"projection '{label}': role='slope' goes from rate units to as many units added later, with identity "
                "weights and no rule"
            )

    def population(self, key: Population | str) -> Population:
        """The population of that name; raises NetworkError naming those that exist."""
        name = key.name if isinstance(key, Population) else key
        found = self.populations.get(name) if isinstance(name, str) else None
        if found is None or (isinstance(key, Population) and found is not key):
            known = ", ".join(self.populations) or "none yet"
            raise NetworkError(f"network '{self.name}' has no population {quoted(name)}; it has {known}")
        return found

    def _free_name(self, wanted: str) -> str:
        name, k = wanted, 2
        while name in self.projections:
            name, k = f"{wanted}#{k}", k + 1
        return name

    @property
    def n(self) -> int:
        """Number of neurons (spike sources not counted)."""
        return sum(p.n for p in self.populations.values() if not p.model.is_input)

    def __repr__(self) -> str:
        """Name and size."""
        synapses = sum(synapse_count(p.synapses, p.rule, p.pre is p.post) for p in self.projections.values())
        return f"Network({self.name!r}: {len(self.populations)} populations, {self.n} neurons, {synapses} synapses)"


WITHOUT_FACTOR = ("gate", "slope")  #: roles that name no third factor
RATE_MODELS = ("float_rate", "rate")


def _role(role: str, factor: str, label: str, target: Population) -> str:
    """The role as a projection keeps it: "", "gate", or the third factor's name."""
    if role not in ("", "third", *WITHOUT_FACTOR):
        raise NetworkError(f"projection '{label}': role={role!r} is not one of '', 'third', 'gate', 'slope'")
    if role != "third":
        if factor:
            raise NetworkError(f"projection '{label}': factor={factor!r} goes with role='third'")
        if role and target.model.model not in RATE_MODELS:
            raise NetworkError(f"projection '{label}': only rate units (cs.floats.Rate, cs.loihi.Rate) have a {role}")
        return role
    if not isinstance(factor, str) or not factor.isidentifier() or factor in WITHOUT_FACTOR:
        raise NetworkError(
            f"projection '{label}': factor={factor!r} must name the third factor that the sums are, e.g. factor='L'"
        )
    return factor


def _check_shape(label: str, shape: tuple[int, ...], source: Population, target: Population) -> None:
    if tuple(shape) != (target.n, source.n):
        raise NetworkError(
            f"projection '{label}': weights have shape {tuple(shape)}, but '{target.name}' has {target.n} "
            f"neurons and '{source.name}' {source.n}: give (post, pre) = ({target.n}, {source.n})"
        )


def unrolled(conv: Conv, target: Population, name: str) -> Any:
    """The synapses of a convolution as a (post, pre) CSC array, which can have delays; refuses too many."""
    if target.model.family not in ("ideal", "float"):
        raise NetworkError(
            f"projection '{name}': a convolution onto a chip's own neurons has no delays; give its synapses as a "
            "matrix, cs.loihi.Synapses(matrix, delays=...), or let a population in between pass its spikes on"
        )
    count = product(conv.out_image) * conv.kernel[0].size
    if count > UNROLLED:
        raise NetworkError(
            f"projection '{name}': a convolution with a delay is kept synapse by synapse, and has {count} ({UNROLLED} "
            "at most); let a population in between pass its spikes on instead"
        )
    post, pre, index = conv.targets()
    matrix = sp.csc_array((np.asarray(conv.kernel, np.float64).ravel()[index], (post, pre)), shape=conv.shape)
    return matrix


def _rule_for(rule: Any, source: Population, target: Population) -> Any:
    """The rule as this projection can carry it."""
    if rule is None:
        return None
    from chipsim.rules.e_prop.group import is_lsnn
    from chipsim.rules.e_prop.rule import EProp

    if not isinstance(rule, EProp):
        return rule
    from chipsim.rules.library.three_factor import synapse_of

    return rule if is_lsnn(source.model) or is_lsnn(target.model) else synapse_of(rule)


def synapse_count(synapses: Any, rule: Any = None, onto_itself: bool = False) -> int:
    """Number of synapses: stored entries of a sparse matrix, table rows of a Conv, `existing` ones of a dense one."""
    if isinstance(synapses, Conv):
        return synapses.count
    matrix = getattr(synapses, "mantissa", None)
    if matrix is None:
        matrix = synapses.weights if isinstance(synapses, FloatSynapses) else synapses
    if hasattr(matrix, "indptr"):
        return int(matrix.nnz)
    return int(np.count_nonzero(existing(matrix, rule, onto_itself)))
