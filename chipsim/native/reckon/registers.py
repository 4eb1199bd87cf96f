"""ReckOn as its registers and memories: names of the chip's own documentation, without the prefix
``SPI_``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from chipsim.checks import numbers, shown
from chipsim.errors import NetworkError

INPUTS, NEURONS, OUTPUTS = 256, 256, 16


def _register(address: int, bits: int, reset: int | None, text: str, signed: bool = False) -> Any:
    """A configuration register: SPI address, width, value after reset, meaning."""
    meta = {"address": address, "bits": bits, "signed": signed, "text": text}
    return field(default=reset, metadata=meta)


@dataclass(frozen=True)
class Registers:
    """All configuration registers of the released chip; every value is an integer and checked against its
    width.

    Registers that the chip leaves undefined after reset are 0 here; `SEED_*` = None keeps the register's
    reset
    value (`RESET_WINDOWS` in the engine). Sizes `NUM_*` hold the index of the last neuron (number - 1).

    Raises
    ------
    NetworkError
        A value outside its register; the message names the register and the allowed range.
    """

    EN_CONF: int = _register(0, 1, 0, "configuration access; 0 while running (the chip resets it to 1)")
    RO_STAGE_SEL: int = _register(1, 9, 0, "ring oscillator stage; kept, without effect")
    GET_CLKINT_OUT: int = _register(2, 1, 0, "divided clock on MISO; kept, without effect")
    GET_TAR_REQ_OUT: int = _register(3, 1, 1, "target request on MISO; kept, without effect")
    RST_MODE: int = _register(8, 1, 0, "reset of a fired neuron: 1 to zero, 0 by subtraction of the threshold")
    DO_EPROP: int = _register(9, 3, 7, "learning: bit 0 input, bit 1 recurrent, bit 2 output weights")
    LOCAL_TICK: int = _register(10, 1, 0, "ticks made on chip; refused at run time (a sample can never start)")
    ERROR_HALT: int = _register(11, 1, 1, "halt on a tick that comes too early; kept")
    FP_LOC_WINP: int = _register(12, 3, 0, "left shift of input weights")
    FP_LOC_WREC: int = _register(13, 3, 0, "left shift of recurrent weights")
    FP_LOC_WOUT: int = _register(14, 3, 0, "left shift of output weights")
    FP_LOC_TINP: int = _register(15, 3, 0, "radix point of input traces")
    FP_LOC_TREC: int = _register(16, 3, 0, "radix point of recurrent traces")
    FP_LOC_TOUT: int = _register(17, 3, 0, "radix point of output traces")
    LEARN_SIG_SCALE: int = _register(18, 4, 0, "left shift of learning signals")
    REGUL_MODE: int = _register(
        19, 3, 0, "bit 0 multiplicative, bit 1 additive regularisation, bit 2 (with bit 1) in all ticks"
    )
    REGUL_W: int = _register(20, 2, 0, "regularise input (bit 0), recurrent (bit 1) weights")
    EN_STOCH_ROUND: int = _register(21, 1, 0, "stochastic rounding of membranes and traces")
    SRAM_SPEEDMODE: int = _register(22, 8, 0, "memory macro speed; kept, without effect")
    TIMING_MODE: int = _register(23, 1, 0, "function of pin TIMING_ERROR_RDY; kept, without effect")
    REGRESSION: int = _register(25, 1, 0, "regression (1) or classification (0)")
    SINGLE_LABEL: int = _register(26, 1, 1, "one label per sample instead of one per tick")
    NO_OUT_ACT: int = _register(27, 1, 0, "no hard sigmoid on the outputs")
    SEND_PER_TIMESTEP: int = _register(30, 1, 0, "send after every tick instead of at the end of the sample")
    SEND_LABEL_ONLY: int = _register(31, 1, 1, "send the winner (1) or all output membranes (0)")
    NOISE_EN: int = _register(32, 1, 0, "noise on membrane updates")
    FORCE_TRACES: int = _register(33, 1, 0, "traces also without learning")
    CYCLES_PER_TICK: int = _register(64, 32, 0, "length of a local tick; kept")
    ALPHA_CONF: int = _register(65, 128, 0, "per pair: leak factor in [1, 1.125) instead of [0.875, 1)")
    KAPPA: int = _register(69, 8, 122, "leak factor of the outputs and output traces, in 1/128")
    THR_H_0: int = _register(70, 16, 0, "first threshold of the pseudo-derivative", signed=True)
    THR_H_1: int = _register(71, 16, 0, "second threshold", signed=True)
    THR_H_2: int = _register(72, 16, 0, "third threshold", signed=True)
    THR_H_3: int = _register(73, 16, 0, "fourth threshold", signed=True)
    H_0: int = _register(74, 5, 0, "pseudo-derivative below the first threshold", signed=True)
    H_1: int = _register(75, 5, 0, "between first and second", signed=True)
    H_2: int = _register(76, 5, 0, "between second and third", signed=True)
    H_3: int = _register(77, 5, 0, "between third and fourth", signed=True)
    H_4: int = _register(78, 5, 0, "from the fourth on", signed=True)
    LR_R_WINP: int = _register(79, 5, 0, "right shift of the update probability, input weights")
    LR_P_WINP: int = _register(80, 5, 0, "left shift, input weights")
    LR_R_WREC: int = _register(81, 5, 0, "right shift, recurrent weights")
    LR_P_WREC: int = _register(82, 5, 0, "left shift, recurrent weights")
    LR_R_WOUT: int = _register(83, 5, 0, "right shift, output weights")
    LR_P_WOUT: int = _register(84, 5, 0, "left shift, output weights")
    SEED_INP: int | None = _register(85, 25, None, "random stream of input weight updates; None: value after reset")
    SEED_REC: int | None = _register(86, 25, None, "of recurrent weight updates")
    SEED_OUT: int | None = _register(87, 22, None, "of output weight updates")
    SEED_STRND_NEUR: int | None = _register(88, 30, None, "of membrane rounding (two registers)")
    SEED_STRND_ONEUR: int | None = _register(89, 15, None, "of output membrane rounding")
    SEED_STRND_TINP: int | None = _register(90, 30, None, "of input trace rounding (two registers)")
    SEED_STRND_TREC: int | None = _register(91, 30, None, "of recurrent trace rounding (two registers)")
    SEED_STRND_TOUT: int | None = _register(92, 30, None, "of output trace rounding (two registers)")
    SEED_NOISE_NEUR: int | None = _register(93, 17, None, "of membrane noise")
    NUM_INP_NEUR: int = _register(94, 8, 255, "index of the last input")
    NUM_REC_NEUR: int = _register(95, 8, 255, "index of the last recurrent neuron")
    NUM_OUT_NEUR: int = _register(96, 4, 15, "index of the last output")
    REGUL_F0: int = _register(98, 12, 0, "recurrent trace above which a neuron is too active")
    REGUL_K_INP_R: int = _register(99, 5, 0, "right shift of additive regularisation, input weights")
    REGUL_K_INP_P: int = _register(100, 5, 0, "left shift, input weights")
    REGUL_K_REC_R: int = _register(101, 5, 0, "right shift, recurrent weights")
    REGUL_K_REC_P: int = _register(102, 5, 0, "left shift, recurrent weights")
    REGUL_K_MUL: int = _register(103, 5, 0, "right shift of multiplicative regularisation")
    NOISE_STR: int = _register(104, 4, 0, "right shift of the 16-bit noise words")

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if value is None and f.default is None:
                continue
            if isinstance(value, (bool, np.integer)):
                value = int(value)
                object.__setattr__(self, f.name, value)
            low, high = register_range(f.name)
            if not isinstance(value, int) or not low <= value <= high:
                raise NetworkError(
                    f"ReckOn register {f.name} = {shown(value)} is outside {low} .. {high} ({f.metadata['bits']} bits)"
                )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Registers:
        """Registers from a mapping; an ``SPI_`` prefix is dropped, an unknown name is an error."""
        known = {f.name for f in fields(cls)}
        clean = {name.removeprefix("SPI_"): value for name, value in values.items()}
        unknown = sorted(set(clean) - known)
        if unknown:
            raise NetworkError(f"ReckOn has no register {', '.join(unknown)}; see docs/chips/reckon.md for the list")
        return cls(**clean)

    def with_(self, **changes: int) -> Registers:
        """A copy with some registers changed."""
        unknown = sorted(set(changes) - {f.name for f in fields(self)})
        if unknown:
            raise NetworkError(f"ReckOn has no register {', '.join(unknown)}; see docs/chips/reckon.md for the list")
        return replace(self, **changes)

    def spi_writes(self) -> list[tuple[int, int]]:
        """(address, 32-bit data) of the SPI writes that program these registers; unset seeds are left out."""
        writes = []
        for f in fields(self):
            value = getattr(self, f.name)
            if value is None:
                continue
            value &= (1 << f.metadata["bits"]) - 1
            for part in range(-(-f.metadata["bits"] // 32)):
                writes.append((f.metadata["address"] + part, (value >> (32 * part)) & 0xFFFFFFFF))
        return writes


def register_range(name: str) -> tuple[int, int]:
    """Smallest and largest value of a register."""
    meta = Registers.__dataclass_fields__[name].metadata
    bits = meta["bits"]
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if meta["signed"] else (0, (1 << bits) - 1)


_MEMORIES: dict[str, tuple[tuple[int, ...], int, int, Any]] = {
    "thr": ((128,), -32768, 32767, np.int16),
    "alpha_lsb": ((128,), 0, 4095, np.uint16),
    "winp": ((INPUTS, NEURONS), -128, 127, np.int8),
    "wrec": ((NEURONS, NEURONS), -128, 127, np.int8),
    "wout": ((NEURONS, OUTPUTS), -128, 127, np.int8),
    "u": ((NEURONS,), -32768, 32767, np.int16),
    "tinp": ((NEURONS,), 0, 4095, np.uint16),
    "trec": ((NEURONS,), 0, 4095, np.uint16),
    "tout": ((NEURONS,), 0, 1023, np.uint16),
}


@dataclass(frozen=True)
class Memories:
    """Contents of the chip's memories; smaller arrays are padded with zeros, scalars fill all words.

    Attributes
    ----------
    thr
        (128,) int16, firing threshold of each pair of neurons (2p, 2p+1). Mind that a zero threshold fires
        always.
    alpha_lsb
        (128,) uint16, the 12 low bits of each pair's leak factor (1 integer, 15 fraction bits).
    winp, wrec, wout
        int8 (256, 256), (256, 256), (256, 16): weights [pre, post].
    u, tinp, trec, tout
        (256,) int16 / uint16 of 12, 12, 10 bits: raw neuron fields (hidden until a neuron is dirty).

    Raises
    ------
    NetworkError
        A shape larger than the memory or a value outside its word.
    """

    thr: Any = 32767
    alpha_lsb: Any = 4095
    winp: Any = 0
    wrec: Any = 0
    wout: Any = 0
    u: Any = 0
    tinp: Any = 0
    trec: Any = 0
    tout: Any = 0

    def __post_init__(self) -> None:
        for name, (shape, low, high, dtype) in _MEMORIES.items():
            object.__setattr__(self, name, _fit(name, getattr(self, name), shape, low, high, dtype))


def _fit(name: str, value: Any, shape: tuple[int, ...], low: int, high: int, dtype: Any) -> np.ndarray:
    """`value` checked and padded to the memory's shape."""
    array = numbers(value, f"ReckOn memory {name}")
    if array.dtype.kind not in "iub" or array.ndim not in (0, len(shape)):
        raise NetworkError(
            f"ReckOn memory {name}: expected integers of shape {shape} or smaller, got {array.dtype} {array.shape}"
        )
    if any(n > limit for n, limit in zip(array.shape, shape)):
        raise NetworkError(f"ReckOn memory {name}: shape {array.shape} exceeds {shape}")
    if array.size and not (low <= array.min() and array.max() <= high):
        raise NetworkError(f"ReckOn memory {name}: values {array.min()} .. {array.max()} are outside {low} .. {high}")
    full = np.zeros(shape, dtype)
    full[tuple(slice(n) for n in array.shape) if array.ndim else ...] = array
    full.setflags(write=False)
    return full


def leak_factor(registers: Registers, memories: Memories) -> np.ndarray:
    """(128,) int32, the 16-bit leak factor alpha of each pair: 4 bits from ALPHA_CONF, 12 from the neuron
    word."""
    high = np.array([0x8000 if (registers.ALPHA_CONF >> p) & 1 else 0x7000 for p in range(128)], np.int32)
    return high | memories.alpha_lsb.astype(np.int32)
