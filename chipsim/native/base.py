"""What every native neuron model and synapse array shares: registers with names, ranges and checks."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from chipsim.checks import NO_NUMBERS, floats, numbers, product, shown
from chipsim.chips.arithmetic import Arithmetic
from chipsim.errors import NetworkError

ArrayLike = npt.ArrayLike
Shape = int | Sequence[int]
MAX_NEURONS = (1 << 31) - 1  #: of one population: spikes are logged with 32-bit ids
MAX_DIMENSIONS = 16  #: of a population's layout


@dataclass(frozen=True)
class Register:
    """One register of a neuron: default, allowed range [lo, hi] and meaning.

    ``integer`` registers refuse fractions; ``shared`` ones hold one value for the whole population;
    a ``choices`` register takes one of the given words.
    """

    default: Any
    lo: float | None = None
    hi: float | None = None
    doc: str = ""
    integer: bool = True
    shared: bool = False
    choices: tuple[str, ...] = ()


def as_shape(shape: Shape, what: str) -> tuple[int, ...]:
    """`shape` as a tuple of positive ints; a population of no neurons is refused."""
    several = isinstance(shape, (tuple, list)) or (isinstance(shape, np.ndarray) and shape.ndim == 1)
    dims: tuple[Any, ...] = tuple(shape) if several and len(shape) <= MAX_DIMENSIONS else (shape,)  # type: ignore[arg-type]
    if not dims or any(not isinstance(d, (int, np.integer)) or isinstance(d, NO_NUMBERS) for d in dims):
        raise NetworkError(f"{what}: shape {shown(shape)} is not a whole number or a tuple of them")
    if any(d < 1 for d in dims):
        raise NetworkError(f"{what}: shape {shown(shape)} holds no neurons; every dimension must be at least 1")
    if product(dims) > MAX_NEURONS:
        raise NetworkError(
            f"{what}: shape {shown(shape)} holds {shown(product(dims))} neurons; a population has at most {MAX_NEURONS}"
        )
    return tuple(int(d) for d in dims)


def register_values(what: str, name: str, register: Register, value: Any, shape: tuple[int, ...]) -> Any:
    """`value` checked against `register`: a str, a 0-d array (shared or scalar) or an (n,) array.

    Values for each neuron are given flat, or in the population's `shape`.
    """
    if register.choices:
        if not isinstance(value, str) or value not in register.choices:
            raise NetworkError(f"{what}: {name}={shown(value)} is not one of {', '.join(register.choices)}")
        return value
    array = numbers(value, f"{what}: {name}") if register.integer else floats(value, f"{what}: {name}")
    if array.size != 1 and (register.shared or not fits(array.shape, shape)):
        allowed = "one number" if register.shared else f"one number or {product(shape)} of them"
        raise NetworkError(f"{what}: {name} has shape {array.shape}; give {allowed}")
    if not np.all(np.isfinite(array)):
        raise NetworkError(f"{what}: {name} holds NaN or infinity; give finite numbers")
    if register.integer:
        if array.dtype.kind == "f" and np.any(array != np.floor(array)):
            raise NetworkError(f"{what}: {name} holds fractions; the register takes whole numbers")
        if array.dtype.kind in "fu":
            _check_range(what, name, _IN_64_BITS if register.hi is None else register, array)
        array = array.astype(np.int64)
    elif array is value:
        array = array.copy()
    array = array.reshape(()) if array.size == 1 else array.reshape(-1)
    _check_range(what, name, register, array)
    array.setflags(write=False)
    return array


def fits(given: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether values of shape `given` are one for each of a population's neurons: flat or in its layout.

    Dimensions of size 1 make no difference; another order of the same dimensions does.
    """
    kept = tuple(d for d in given if d != 1)
    return kept in ((product(shape),), tuple(d for d in shape if d != 1)) or product(shape) == product(given) == 1


#: Beyond this a whole number is no integer of the machine (floats end below 2**63).
_IN_64_BITS = Register(0, -(2**63), 2**63 - 1024)


def _check_range(what: str, name: str, register: Register, array: np.ndarray) -> None:
    lo = -np.inf if register.lo is None else register.lo
    hi = np.inf if register.hi is None else register.hi
    bad = (array < lo) | (array > hi)
    if np.any(bad):
        worst = np.extract(bad, array)[0]
        raise NetworkError(f"{what}: {name}={worst} is outside [{register.lo}, {register.hi}]")


class Rows(NamedTuple):
    """What the kernel of a time-step model reads, by the row names of its class; values are (n,) or one for all."""

    params: Mapping[str, Any]
    state: Mapping[str, Any] = {}
    options: Mapping[str, int] = {}
    reals: Mapping[str, Any] = {}


class NeuronModel:
    """A population's neurons in the chip's own registers.

    Attributes
    ----------
    model : str
        Name of the kernel that updates them.
    shape : tuple of int
        Layout of the population; ``n`` is its product.
    values : dict
        Register name -> 0-d array (one value for all) or (n,) array; choices as str.
    """

    model: ClassVar[str] = ""
    family: ClassVar[str] = ""
    registers: ClassVar[dict[str, Register]] = {}
    #: State variables in the order in which the kernel keeps them; all can be recorded.
    states: ClassVar[tuple[str, ...]] = ()
    #: Module of `chipsim.kernels.core.neurons` with the kernel of a time-step model, and what its constants begin with.
    kernel: ClassVar[str] = ""
    prefix: ClassVar[str] = ""
    #: Names of the kernel's parameter rows, of those kept as float64 on integer chips, and of its options, in order.
    params: ClassVar[tuple[str, ...]] = ()
    reals: ClassVar[tuple[str, ...]] = ()
    options: ClassVar[tuple[str, ...]] = ()
    #: The parameter row that v is compared with, if there is one that a learning rule may read.
    threshold: ClassVar[str] = ""
    #: States that the kernel keeps within 24 bits and sign.
    in_24_bits: ClassVar[tuple[str, ...]] = ()
    #: Spikes carry a value.
    graded: ClassVar[bool] = False
    is_input: ClassVar[bool] = False
    #: Of a core's neurons, how many one of these takes.
    compartments: ClassVar[int] = 1

    def __init_subclass__(cls) -> None:
        """Give the class a readable signature made of its registers."""
        self_and_shape = [
            inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD),
            inspect.Parameter("shape", inspect.Parameter.POSITIONAL_OR_KEYWORD),
        ]
        named = [
            inspect.Parameter(k, inspect.Parameter.KEYWORD_ONLY, default=r.default) for k, r in cls.registers.items()
        ]
        cls.__signature__ = inspect.Signature((self_and_shape + named)[1:])  # type: ignore[attr-defined]

    def __init__(self, shape: Shape, **registers: Any) -> None:
        """Check and keep the registers.

        Raises
        ------
        NetworkError
            For an unknown register, a wrong shape, NaN, or a value outside the register's range.
        """
        what = f"{self.family}.{type(self).__name__}"
        self.shape = as_shape(shape, what)
        unknown = sorted(set(registers) - set(self.registers))
        if unknown:
            raise NetworkError(f"{what} has no register '{unknown[0]}'; it has {', '.join(self.registers)}")
        self.values: dict[str, Any] = {
            name: register_values(what, name, reg, registers.get(name, reg.default), self.shape)
            for name, reg in self.registers.items()
        }
        self.check()

    def check(self) -> None:
        """Cross-register rules of a model; raises NetworkError."""

    def rows(self, arithmetic: Arithmetic) -> Rows:
        """The registers as the kernel's rows, in the numbers of `arithmetic`; for models with a `kernel`."""
        raise NotImplementedError(f"{type(self).__name__} names a kernel but not its rows")

    @property
    def variables(self) -> dict[str, int]:
        """What can be recorded: state variable -> its row; -1 is the sum that arrives in the step."""
        return {name: row for row, name in enumerate(self.states) if name}

    @property
    def threshold_row(self) -> int:
        """Parameter row of the threshold, -1 without one."""
        return self.params.index(self.threshold) if self.threshold else -1

    @property
    def carries_values(self) -> bool:
        """True when spikes of these neurons (or this source) carry a number."""
        return self.graded

    @property
    def n(self) -> int:
        """Number of neurons."""
        return product(self.shape)

    def per_neuron(self, name: str) -> np.ndarray:
        """Register `name` as an (n,) array."""
        return np.broadcast_to(self.values[name], (self.n,))

    def __repr__(self) -> str:
        """Name, shape and the registers that are not at their default."""
        changed = []
        for name, reg in self.registers.items():
            value = self.values[name]
            if isinstance(value, str):
                if value != reg.default:
                    changed.append(f"{name}={value!r}")
            elif value.ndim:
                changed.append(f"{name}=[{value.min()}..{value.max()}]")
            elif value != reg.default:
                changed.append(f"{name}={value}")
        shape = self.shape[0] if len(self.shape) == 1 else self.shape
        return f"{self.family}.{type(self).__name__}({', '.join([str(shape), *changed])})"


class SpikeSource(NeuronModel):
    """A population without neurons: it sends the spikes that `Emulator.run` is given.

    Values are 0/1 (spikes) or, with ``graded=1``, signed integers carried by each spike.
    """

    model = "input"
    family = "any"
    is_input = True
    registers: ClassVar[dict[str, Register]] = {
        "graded": Register(0, 0, 1, "1: each spike carries an integer value", shared=True)
    }

    @property
    def variables(self) -> dict[str, int]:
        """A source that learning synapses reach adds up what arrives, though it drives nothing."""
        return {"input": -1}

    @property
    def carries_values(self) -> bool:
        """Whether its spikes were given as numbers."""
        return bool(self.values["graded"])
