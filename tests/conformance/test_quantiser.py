"""Replays nengo-loihi's quantiser (floats to integers) and its arithmetic functions, every recorded array."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import chipsim.chips.arithmetic
from chipsim.chips.read import load_chip
from chipsim.errors import CompileError, NetworkError
from chipsim.kernels.arithmetic.fixed import decay12, wrap_signed
from chipsim.mappings.compiler.cores.packing import bits_per_axon
from chipsim.mappings.compiler.quantise.nengo import FloatBlock, discretise_block
from chipsim.mappings.compiler.quantise.nengo import bias_registers as bias_of_block
from chipsim.native.effective import effective
from chipsim.native.loihi import bias_registers
from chipsim.native.synapses import Synapses

from .conftest import golden_files

CHIP = load_chip("loihi")
PACKING = CHIP.limits.synapse_packing
NENGO = chipsim.chips.arithmetic.PRESETS["nengo_loihi"]
#: Every key that a case may hold; a key outside fails, so that nothing recorded goes unlooked at.
CASE_KEYS = {
    "f_decay_u",
    "f_decay_v",
    "f_vth",
    "f_bias",
    "f_w",
    "f_vminmax",
    "scale_uv",
    "i_decay_u",
    "i_decay_v",
    "i_vth",
    "i_bias",
    "i_w",
    "i_vminmax",
    "i_wexp",
    "refract",
    "bits",
    "info",
    "error",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "quantiser_case" in metafunc.fixturenames:
        cases = [
            pytest.param((path, number), id=f"{path.parts[-2]}/{path.stem}-{number}")
            for path in golden_files(metafunc.config, "lava", "quantiser.npz")
            for number in sorted({int(k.split("_")[0]) for k in np.load(path).files if k[0].isdigit()})
        ]
        metafunc.parametrize("quantiser_case", cases)
    if "functions_file" in metafunc.fixturenames:
        metafunc.parametrize("functions_file", golden_files(metafunc.config, "lava", "functions.npz"), ids=str)


def case(path: Path, number: int) -> dict[str, np.ndarray]:
    data = np.load(path)
    prefix = f"{number}_"
    return {k[len(prefix) :]: data[k] for k in data.files if k.startswith(prefix)}


def float_block(data: dict) -> FloatBlock:
    vmin, vmax = data["f_vminmax"]
    scale_u, scale_v = map(bool, data["scale_uv"])
    return FloatBlock(
        data["f_decay_u"],
        data["f_decay_v"],
        data["f_vth"],
        data["f_bias"],
        (data["f_w"],),
        vmin,
        vmax,
        scale_u,
        scale_v,
    )


def test_quantiser(quantiser_case: tuple[Path, int]) -> None:
    data = case(*quantiser_case)
    assert set(data) <= CASE_KEYS
    if "error" in data:
        with pytest.raises(CompileError):
            discretise_block(float_block(data))
        return
    got = discretise_block(float_block(data))
    arrays = {
        "i_decay_u": got.decay_u,
        "i_decay_v": got.decay_v,
        "i_vth": got.vth,
        "i_bias": got.bias,
        "i_w": got.weights[0],
        "i_vminmax": [got.vmin, got.vmax],
        "i_wexp": got.exponents[0],
    }
    for name, value in arrays.items():
        np.testing.assert_array_equal(value, data[name], err_msg=name)
    assert got.info == json.loads(str(data["info"]))
    n_pre, n = data["f_w"].shape
    assert bits_per_axon(np.full(n_pre, n), 8, PACKING).sum() == data["bits"]
    lo, hi = CHIP.limits.refractory
    assert data["refract"].min() >= lo and data["refract"].max() <= hi


def test_quantised_weights_act_as_recorded(quantiser_case: tuple[Path, int]) -> None:
    """The mantissas given to the chip come out of the emulator's own rounding as the integers nengo-loihi
    adds.
    """
    data = case(*quantiser_case)
    if "error" in data:
        return
    got = discretise_block(float_block(data))
    native = Synapses(2 * got.steps[0].T, exponent=got.exponents[0], sign="mixed")
    acting = effective(native, NENGO)
    np.testing.assert_array_equal(np.asarray(acting.matrix).T << (6 + acting.shift), data["i_w"])


def test_functions(functions_file: Path) -> None:
    data = dict(np.load(functions_file))
    assert set(data) - {"versions"} == {
        "x",
        "decay",
        "decay_int_off0",
        "decay_int_off1",
        "overflow7",
        "overflow21",
        "overflow23",
        "bias",
        "bias_man",
        "bias_exp",
        "mem_table",
    }
    x = data["x"]
    state = np.clip(x, -(2**23), 2**23)  # decays were recorded for what 24 bits hold (README says only x)
    for offset in (0, 1):
        got = [decay12(np.int32(a), np.int32(4096 - offset - d)) for a, d in zip(state, data["decay"])]
        np.testing.assert_array_equal(got, data[f"decay_int_off{offset}"])
    for bits in (7, 21, 23):
        got = [wrap_signed(np.int32(a), bits) for a in x]
        np.testing.assert_array_equal(got, data[f"overflow{bits}"])
    for registers in (bias_registers, bias_of_block):
        mantissa, exponent = registers(data["bias"])
        np.testing.assert_array_equal(mantissa, data["bias_man"])
        np.testing.assert_array_equal(exponent, data["bias_exp"])


def test_memory_table(functions_file: Path) -> None:
    """Rows: synapses, compression, index field, weight field, delay bits, block size - 1, and the bits they
    take.
    """
    table = np.load(functions_file)["mem_table"].astype(np.int64)
    for n, compression, index, weight, delay, block, bits in table:
        width = PACKING.weight_field_bits[weight] + delay
        if compression == 0:
            width += PACKING.index_field_bits[index]
        packing = PACKING.model_copy(update={"block_synapses": int(block) + 1})
        assert bits_per_axon(n, width, packing) == bits


def test_unreachable_bias_is_refused() -> None:
    with pytest.raises(NetworkError):
        bias_registers([4096 << 7])
