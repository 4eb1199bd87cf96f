"""Recorded runs of Lava, nengo-loihi and brian2-loihi: every recorded array, every step, exactly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import chipsim as cs
from chipsim.native.effective import effective
from chipsim.native.synapses import Conv

from .conftest import Recording, golden_files, golden_id

SUITES = ("lava_lif", "nengo_loihi", "brian2_loihi")
#: Files of these folders that other tests replay (learning, quantiser).
ELSEWHERE = ("pes_", "quantiser", "functions", "learning_statistical")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    files = golden_files(metafunc.config, "lava")
    kinds = {
        "lava_file": [f for f in files if f.parent.name == "lava_lif"],
        "float_file": [f for f in files if f.parent.name == "lava_float" and f.name.startswith("LIF")],
        "nengo_file": [f for f in files if f.parent.name == "nengo_loihi" and not f.name.startswith(ELSEWHERE)],
        "brian_file": [f for f in files if f.parent.name == "brian2_loihi" and not f.name.startswith(ELSEWHERE)],
        "big_file": [f for f in files if f.name.startswith("big_recurrent")],
    }
    for argument, chosen in kinds.items():
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, chosen, ids=[golden_id(f) for f in chosen])


def load(path: Path) -> tuple[dict, Recording]:
    arrays = Recording(path)
    return json.loads(str(arrays["spec"])), arrays


def complete(arrays: Recording) -> None:
    """Every array of a recording was used or compared."""
    assert not arrays.unread(), f"recorded but not compared: {arrays.unread()}"


def added(program: cs.Program, name: str) -> np.ndarray:
    """The integers (post, pre) that a projection adds, its common shift made."""
    image = program.projections[program.projection(name)]
    found = effective(image.synapses, program.arithmetic)
    matrix = found.matrix.toarray() if sp.issparse(found.matrix) else np.asarray(found.matrix)
    return matrix.astype(np.int64) << found.shift


# ------------------------------------------------------------------------------------------------ Lava

NEURON = {
    "LIF": cs.loihi.LIF,
    "LIFReset": cs.loihi.LIFReset,
    "TernaryLIF": cs.loihi.TernaryLIF,
    "ATRLIF": cs.loihi.ATRLIF,
    "Delta": cs.loihi.Delta,
    "SigmaDelta": cs.loihi.SigmaDelta,
    "Sigma": cs.loihi.Sigma,
}


def lava_population(spec: dict, arrays: dict):
    given = {}
    for name, value in spec["params"].items():
        value = arrays[value[1:]] if isinstance(value, str) and value.startswith("@") else value
        given["activation" if name == "act_mode" else name] = value.lower() if isinstance(value, str) else value
    if spec["type"] == "SigmaDelta":
        given.setdefault("cum_error", False)
    return NEURON[spec["type"]](tuple(spec["shape"]), **given)


def lava_synapses(conn: dict, arrays: dict):
    weights, params = arrays[f"w_{conn['name']}"], conn["params"]
    if conn["kind"] == "Conv":
        # Lava convolves (kernel flipped), layout (W, H, C), weight (C_out, kx, ky, C_in / groups).
        return Conv(
            weights[:, ::-1, ::-1, :],
            tuple(params["input_shape"]),
            stride=params.get("stride", 1),
            padding=params.get("padding", 0),
            dilation=params.get("dilation", 1),
            groups=params.get("groups", 1),
        )
    matrix = sp.csr_array(weights) if "Sparse" in conn["kind"] else weights
    sign = params.get("sign_mode")
    return cs.loihi.Synapses(
        matrix,
        exponent=params.get("weight_exp", 0),
        bits=params.get("num_weight_bits", 8),
        sign=sign.lower() if sign else None,
        delays=arrays.get(f"d_{conn['name']}", 0),
        message_bits=params.get("num_message_bits", 0),
        saturate=True,
    )


def is_graded(name: str, spec: dict, arrays: dict) -> bool:
    return bool(np.any((arrays[f"in_{name}"] != 0) & (arrays[f"in_{name}"] != 1)))


def test_lava(lava_file: Path) -> None:
    spec, arrays = load(lava_file)
    net = cs.Network(lava_file.stem)
    for name in spec["inputs"]:
        shape = arrays[f"in_{name}"].shape[1:]
        net.add(name, cs.SpikeSource(shape, graded=int(is_graded(name, spec, arrays))))
    for name, population in spec["pops"].items():
        net.add(name, lava_population(population, arrays))
    for conn in spec["conns"]:
        net.connect(conn["src"], conn["dst"], lava_synapses(conn, arrays), name=conn["name"])
    recorded = {key: arrays[key] for key in arrays if key.startswith("out_")}
    record = {}
    for key in recorded:
        _, population, variable = key.split("_", 2)
        record.setdefault(population, []).append("spikes" if variable == "s" else variable)
    inputs = {name: arrays[f"in_{name}"] for name in spec["inputs"]}
    result = cs.Emulator(cs.compile(net, "unlimited")).run(inputs, spec["T"], record=record)
    for key, expected in recorded.items():
        _, population, variable = key.split("_", 2)
        got = result.spikes[population] if variable == "s" else result.trace[population][variable]
        np.testing.assert_array_equal(np.asarray(got).reshape(expected.shape), expected, err_msg=key)
    complete(arrays)


def test_lava_float(float_file: Path) -> None:
    spec, arrays = load(float_file)
    n, inputs = arrays["w_rec"].shape[0], arrays["w_in"].shape[1]
    net = cs.Network(float_file.stem)
    x = net.add("x", cs.SpikeSource(inputs))
    a = net.add(
        "a",
        cs.floats.LavaLIF(
            n,
            du=spec["du"],
            dv=spec["dv"],
            vth=spec["vth"],
            bias=arrays["bias"],
            refractory=spec.get("refractory_period", 0),
        ),
    )
    net.connect(x, a, cs.floats.Synapses(arrays["w_in"]))
    net.connect(a, a, cs.floats.Synapses(arrays["w_rec"]))
    result = cs.Emulator(cs.compile(net, "float")).run({"x": arrays["in_x"]}, spec["T"], record={"a": ["u", "v"]})
    np.testing.assert_array_equal(result.spikes["a"], arrays["out_s"])
    # Sums of float weights in another order differ in the last bits (README of the recorded runs: < 2e-13).
    np.testing.assert_allclose(result.trace["a"]["u"], arrays["out_u"], rtol=0, atol=2e-13)
    np.testing.assert_allclose(result.trace["a"]["v"], arrays["out_v"], rtol=0, atol=2e-13)
    complete(arrays)


# ------------------------------------------------------------------------------------------ nengo-loihi

NENGO_BITS = (0, 1, 2, 3, 4, 5, 6, 8)


def test_nengo_loihi(nengo_file: Path) -> None:
    spec, arrays = load(nengo_file)
    params = spec["P"]
    noise = "none"
    if params.get("enable_noise"):
        noise = "voltage" if params["noise_at_membrane"] else "current"
    net = cs.Network(nengo_file.stem)
    x = net.add("x", cs.SpikeSource(spec["ni"]))
    a = net.add(
        "a",
        cs.loihi.LIF(
            spec["n"],
            du=params["decay_u"],
            dv=params["decay_v"],
            vth=np.array(params["vth"]) >> 6,
            bias=params["bias"],
            refractory=params["refract"],
            vmin=params["vmin"],
            vmax=params["vmax"],
            noise=noise,
            noise_exp=params.get("noise_exp", 0),
            noise_offset=params.get("noise_offset", 0),
        ),
    )
    bits = NENGO_BITS[spec.get("weight_bits_field", 7)]
    for source, key, exponent in ((x, "in", spec["weight_exp"]), (a, "rec", spec.get("rec_exp"))):
        if f"w_mant_{key}" in arrays:
            mantissa = arrays[f"w_mant_{key}"].T
            net.connect(
                source, a, cs.loihi.Synapses(mantissa, exponent=exponent, bits=bits, sign="mixed", saturate=True)
            )
    program = cs.compile(net, "unlimited", arithmetic="nengo_loihi", seed=spec["seed"])
    record = {"a": ["u", "v", "input"]}
    result = cs.Emulator(program).run({"x": arrays["x"]}, spec["T"], record=record)
    np.testing.assert_array_equal(result.trace["a"]["input"], arrays["out_q"], err_msg="input")
    np.testing.assert_array_equal(result.trace["a"]["u"], arrays["out_current"], err_msg="current")
    np.testing.assert_array_equal(result.trace["a"]["v"], arrays["out_voltage"], err_msg="voltage")
    np.testing.assert_array_equal(result.spikes["a"], arrays["out_spiked"], err_msg="spikes")
    for source, key in (("x", "in"), ("a", "rec")):
        if f"w_int_{key}" in arrays:
            np.testing.assert_array_equal(added(program, f"{source}->a") << 6, arrays[f"w_int_{key}"].T, err_msg=key)
    complete(arrays)


# ----------------------------------------------------------------------------------------- brian2-loihi

BRIAN_SIGN = {1: "mixed", 2: "excitatory", 3: "inhibitory"}


def test_brian2_loihi(brian_file: Path) -> None:
    spec, arrays = load(brian_file)
    n = arrays["w"].shape[1]
    net = cs.Network(brian_file.stem)
    x = net.add("x", cs.SpikeSource(arrays["w"].shape[0]))
    a = net.add(
        "a",
        cs.loihi.LIF(
            n, du=spec["decay_I"] - 1, dv=spec["decay_v"], vth=spec["threshold_v_mant"], refractory=spec["refractory"]
        ),
    )
    kind = {"bits": spec["num_weight_bits"], "sign": BRIAN_SIGN[spec["sign_mode"]], "saturate": True}
    net.connect(x, a, cs.loihi.Synapses(arrays["w"].T, exponent=spec["w_exp"], delays=spec["delay"], **kind))
    if "w_rec" in arrays:
        net.connect(a, a, cs.loihi.Synapses(arrays["w_rec"].T, delays=spec["rec_delay"], **kind))
    program = cs.compile(net, "unlimited", arithmetic="brian2_loihi")
    result = cs.Emulator(program).run({"x": arrays["x"]}, spec["T"], record={"a": ["u", "v"]})
    np.testing.assert_array_equal(result.trace["a"]["u"], arrays["out_I"], err_msg="I")
    np.testing.assert_array_equal(result.trace["a"]["v"], arrays["out_v"], err_msg="v")
    np.testing.assert_array_equal(result.spikes["a"], arrays["out_s"], err_msg="spikes")
    np.testing.assert_array_equal(added(program, "x->a") << 6, arrays["w_act"].T, err_msg="w_act")
    complete(arrays)


# -------------------------------------------------------------------------------- a thousand neurons


@pytest.mark.parametrize("arithmetic", ["lava", "nengo_loihi"])
def test_big_recurrent(big_file: Path, arithmetic: str) -> None:
    spec, arrays = load(big_file)
    n = spec["N"]
    entries = (arrays["val"], (arrays["row_post"], arrays["col_pre"]))
    net = cs.Network("big")
    kind = {"vmin": 1 - (1 << 23)}
    a = net.add(
        "a",
        cs.loihi.LIF(
            n,
            du=spec["du"],
            dv=spec["dv"],
            vth=spec["vth"],
            bias_mant=arrays["bias_mant"],
            bias_exp=spec["bias_exp"],
            **kind,
        ),
    )
    synapses = cs.loihi.Synapses(
        sp.csc_array(entries, shape=(n, n)),
        exponent=spec["weight_exp"],
        bits=spec["num_weight_bits"],
        sign=spec["sign_mode"].lower(),
        saturate=True,
    )
    net.connect(a, a, synapses)
    result = cs.Emulator(cs.compile(net, "unlimited", arithmetic=arithmetic)).run(steps=150, record={"a": ["u", "v"]})
    np.testing.assert_array_equal(result.trace["a"]["u"][-1], arrays["out_u_at_150"])
    np.testing.assert_array_equal(result.trace["a"]["v"][-1], arrays["out_v_at_150"])
    whole = cs.Emulator(cs.compile(net, "unlimited", arithmetic=arithmetic)).run(steps=spec["T"])
    expected = np.unpackbits(arrays["out_spikes_packed"], axis=1)[:, :n]
    np.testing.assert_array_equal(whole.spikes["a"], expected)
    complete(arrays)
