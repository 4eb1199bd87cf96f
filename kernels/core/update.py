"""Which kernel updates a segment, by model code, for integer and for float machines."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

from chipsim.kernels.arithmetic.fixed import shift_by, wrap_signed
from chipsim.kernels.core.neurons import adaptive as neuron_adaptive
from chipsim.kernels.core.neurons import count as neuron_count
from chipsim.kernels.core.neurons import floats as neuron_float
from chipsim.kernels.core.neurons import lif as neuron_lif
from chipsim.kernels.core.neurons import lsnn as neuron_lsnn
from chipsim.kernels.core.neurons import rate as neuron_rate
from chipsim.kernels.core.neurons import sigma_delta as neuron_sigma_delta
from chipsim.kernels.core.neurons import unit as neuron_unit
from chipsim.kernels.jit import INLINE

from .neurons.count import O_SPIKES
from .neurons.lif import O_PLAIN

INPUT = 0
#: Model name -> code, by kind of machine. The codes only live here and in `update_segment`.
INTEGER_MODELS = {
    "input": 0, "lif": 1, "ternary": 2, "atrlif": 3, "delta": 4, "sigma_delta": 5, "sigma": 6, "lsnn": 7,
    "count_lif": 8, "rate": 9,
}  # fmt: skip
FLOAT_MODELS = {
    "input": 0, "float_lif": 1, "lava_float_lif": 2, "unit": 3, "graded_unit": 3, "float_lsnn": 4, "float_rate": 5,
}  # fmt: skip

lif_uniform, lif_general, ternary = neuron_lif.lif_uniform, neuron_lif.lif_general, neuron_lif.ternary
lif_wide = neuron_lif.lif_wide
atrlif, count_lif = neuron_adaptive.atrlif, neuron_count.count_lif
sigma_delta, sigma = neuron_sigma_delta.sigma_delta, neuron_sigma_delta.sigma
cut_lif, lava_lif, unit = neuron_float.cut_lif, neuron_float.lava_lif, neuron_unit.unit
lsnn_real, lsnn_integer = neuron_lsnn.real, neuron_lsnn.integer
rate_real, rate_integer = neuron_rate.real, neuron_rate.integer


def update_segment(model, params, reals, st, lo, hi, options, noise, touched, t) -> Any:
    """Advance neurons [lo, hi) by one step; returns (active, clipped, folded) counts."""
    raise TypeError("compiled only")


@overload(update_segment)
def _update_segment(model, params, reals, st, lo, hi, options, noise, touched, t):
    del model, reals, st, lo, hi, options, noise, touched, t
    if isinstance(params.dtype, types.Integer):
        return _wide if params.dtype.bitwidth == 64 else _integer
    return _float


def _integer(model, params, reals, st, lo, hi, options, noise, touched, t):
    if model == 1:
        if options[O_PLAIN] == 1:
            return lif_uniform(st.rows, params, st.drive, st.fired, st.active, lo, hi)
        return lif_general(st.rows, params, st.drive, st.fired, st.active, lo, hi, options, noise, t)
    return others(model, params, reals, st, lo, hi, options, t)


def _wide(model, params, reals, st, lo, hi, options, noise, touched, t):
    if model == 1:
        return lif_wide(st.rows, params, st.drive, st.fired, st.active, lo, hi, options, noise, t)
    return others(model, params, reals, st, lo, hi, options, t)


@njit(**INLINE)
def others(model, params, reals, st, lo, hi, options, t):
    """Integer models that compute in 32 bits whatever the width of their rows."""
    if model == 2:
        return ternary(st.rows, params, st.drive, st.fired, st.active, st.value, lo, hi)
    if model == 3:
        return atrlif(st.rows, params, reals, st.drive, st.fired, st.active, lo, hi)
    if model == 7:
        return lsnn_integer(st.rows, params, st.drive, st.fired, st.active, lo, hi)
    if model == 8:
        return count_lif(st.rows, params, st.drive, st.fired, st.active, st.value, lo, hi, options[O_SPIKES])
    if model == 9:
        return rate_integer(st.rows, params, st.drive, st.fired, st.active, st.value, lo, hi, options, t)
    if model == 6:
        return sigma(st.rows, st.drive, st.fired, st.active, st.value, lo, hi)
    return sigma_delta(st.rows, params, st.drive, st.fired, st.active, st.value, lo, hi, model == 5)


def _float(model, params, reals, st, lo, hi, options, noise, touched, t):
    if model == 1:
        n = cut_lif(st.rows, params, st.drive, touched, st.fired, st.active, lo, hi, t == 1)
    elif model == 3:
        n = unit(st.rows, params, st.drive, st.fired, st.active, st.value, lo, hi, options, t)
    elif model == 4:
        n = lsnn_real(st.rows, params, st.drive, st.fired, st.active, lo, hi)
    elif model == 5:
        n = rate_real(st.rows, params, st.drive, st.fired, st.active, st.value, lo, hi, options, t)
    else:
        n = lava_lif(st.rows, params, st.drive, st.fired, st.active, lo, hi)
    return n, np.int32(0), np.int32(0)


def read_port(total, shift, wrap):
    """The sum of a port as its neurons see it: shifted, wrapped."""
    raise TypeError("compiled only")


@overload(read_port)
def _read_port(total, shift, wrap):
    del shift, wrap
    if isinstance(total, types.Integer) and total.bitwidth == 64:
        return lambda total, shift, wrap: total << shift if shift >= 0 else total >> -shift
    if isinstance(total, types.Integer):

        def integer(total, shift, wrap):
            x = shift_by(total, shift)
            return wrap_signed(x, wrap) if wrap > 0 else x

        return integer

    def real(total, shift, wrap):
        return total

    return real


def shift_left(total, shift):
    """The sum of a port shifted to the left; float sums have no shift."""
    raise TypeError("compiled only")


@overload(shift_left)
def _shift_left(total, shift):
    del shift
    if isinstance(total, types.Integer) and total.bitwidth == 64:
        return lambda total, shift: total << shift
    if isinstance(total, types.Integer):
        return lambda total, shift: np.int32(total << shift)
    return lambda total, shift: total
