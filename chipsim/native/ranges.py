"""What the registers of a Loihi-class core hold, by the arithmetic that a program computes in.

Tools that model one chip accept different numbers: `Register` and `Synapses` take what any of them takes, and a
program is checked here once its arithmetic is known. Sources: Lava 0.10.0 proc/lif/models.py and proc/dense,
nengo-loihi 1.1.0 hardware/nxsdk_objects.py and builder/discretize.py, brian2-loihi 0.5.2 loihi_neuron_group.py and
loihi_synapses.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from chipsim.chips.arithmetic import Arithmetic

from .base import NeuronModel
from .loihi import STATE_MAX
from .synapses import MANTISSA_RANGE, Conv, Synapses, stored

Span = tuple[int, int]
INT32 = (-(2**31), 2**31 - 1)
_CLIP = {"vmin": (-STATE_MAX, 0), "vmax": (1, STATE_MAX)}
_COMMON = {
    "du": (-1, 4095),
    "dv": (0, 4096),
    "vth": (0, 131071),
    "refractory": (1, 64),
    "noise_exp": (0, 15),
    "noise_offset": (0, 4),
}
#: Noise registers matter only where there is noise.
NOISY = ("noise_exp", "noise_offset")

#: Registers by the owner of an arithmetic; those that are not named hold what `cs.loihi` says.
REGISTERS: dict[str, dict[str, Span]] = {
    "lava": {**_COMMON, **_CLIP},
    "nengo_loihi": {
        "du": (0, 4095),
        "dv": (0, 4095),
        "vth": (1, 131071),
        "refractory": (1, 63),
        "noise_exp": (1, 23),
        "noise_offset": INT32,
        "vmin": (1 - 2**31, 0),
        "vmax": (1, STATE_MAX),
    },
    # It clips no voltage: the default stands for "not given".
    "brian2_loihi": {**_COMMON, "vmin": (-STATE_MAX, -STATE_MAX), "vmax": (STATE_MAX, STATE_MAX)},
}
#: Mantissas by the owner of an arithmetic and sign mode; those that are not named are `synapses.MANTISSA_RANGE`.
MANTISSAS: dict[str, dict[str, Span]] = {"brian2_loihi": {"inhibitory": (-256, 0)}}


class Problem(NamedTuple):
    """A value that the arithmetic's owner has no register for."""

    text: str  # without the name of the population or projection
    register: str
    value: int
    limit: int


def mantissa_range(sign: str, arithmetic: Arithmetic) -> Span:
    """Inclusive mantissas of a sign mode."""
    return MANTISSAS.get(arithmetic.preset, {}).get(sign, MANTISSA_RANGE[sign])


def neuron_problems(model: NeuronModel, arithmetic: Arithmetic) -> Iterator[Problem]:
    """Registers of `model` beyond what the arithmetic's owner holds."""
    if model.family != "loihi":
        return
    for register, span in REGISTERS.get(arithmetic.preset, {}).items():
        quiet = register in NOISY and model.values.get("noise", "none") == "none"
        if register in model.values and not quiet:
            yield from _outside(register, model.values[register], span, arithmetic, "choose a value that it holds")


def synapse_problems(synapses: Any, arithmetic: Arithmetic) -> Iterator[Problem]:
    """Weights beyond what the arithmetic's owner holds; a convolution in Lava may have any whole kernel."""
    if arithmetic.is_float or arithmetic.preset not in REGISTERS:
        return
    if isinstance(synapses, Conv):
        whole = arithmetic.weight_rounding == "floor"
        span = INT32 if whole else (-256, 255)
        yield from _outside("kernel", synapses.kernel, span, arithmetic, "scale the kernel down, raise its exponent")
    elif isinstance(synapses, Synapses) and synapses.sign is not None:
        span, what = mantissa_range(synapses.sign, arithmetic), f"{synapses.sign} mantissa"
        yield from _outside(what, stored(synapses.mantissa), span, arithmetic, "raise the exponent instead")


def _outside(register: str, values: Any, span: Span, arithmetic: Arithmetic, remedy: str) -> Iterator[Problem]:
    array = np.asarray(values)
    if not array.size or (array.min() >= span[0] and array.max() <= span[1]):
        return
    worst = array[(array < span[0]) | (array > span[1])].ravel()[0]
    limit = span[1] if worst > span[1] else span[0]
    text = f"{register} = {worst:.15g} is outside {arithmetic.preset}'s [{span[0]}, {span[1]}]: {remedy}"
    others = [k for k in REGISTERS if k != arithmetic.preset and _holds(k, register, worst)]
    text += f", or compile with arithmetic='{others[0]}'" if others else ""
    yield Problem(text, register, int(worst), limit)


def _holds(preset: str, register: str, value: Any) -> bool:
    """True if another tool's register of that name holds the value."""
    sign = register.removesuffix(" mantissa")
    span = MANTISSAS.get(preset, {}).get(sign) if sign in MANTISSA_RANGE else REGISTERS[preset].get(register)
    return span is not None and span[0] <= value <= span[1]
