"""Export to Lava: refusals everywhere; equality in u, v and spikes where lava-nc imports (Python 3.10)."""

from __future__ import annotations

import contextlib
import dataclasses

import numpy as np
import pytest

import chipsim as cs
from mappings.writers.lava import lava_source, patched_import, to_lava, write_lava_script


def network(**changed):
    rng = np.random.default_rng(0)
    net = cs.Network("two layers")
    x = net.add("x", cs.SpikeSource(12))
    a = net.add(
        "a",
        cs.loihi.LIF(
            20, **({"du": 1000, "dv": 300, "vth": 90, "bias_mant": rng.integers(-9, 20, 20), "bias_exp": 4} | changed)
        ),
    )
    b = net.add("b", cs.loihi.LIF(5, du=4095, dv=128, vth=300))
    net.connect(
        x, a, cs.loihi.Synapses(rng.integers(-120, 120, (20, 12)) * 2, exponent=1, delays=rng.integers(0, 5, (20, 12)))
    )
    net.connect(a, a, cs.loihi.Synapses(rng.integers(-60, 60, (20, 20)) * 2, exponent=-2, sign="mixed"))
    net.connect(a, b, cs.loihi.Synapses(rng.integers(0, 255, (5, 20)), sign="excitatory"))
    return net


def spikes(steps=60):
    return {"x": np.random.default_rng(1).random((steps, 12)) < 0.3}


def test_equals_the_emulator_in_lava() -> None:
    pytest.importorskip("lava.proc.lif.process", reason="lava-nc", exc_type=(ImportError, ValueError))
    program = cs.compile(network(), "unlimited")
    record = {name: ["u", "v"] for name in ("a", "b")}
    result = cs.Emulator(program).run(spikes(), 60, record=record)
    found = to_lava(program).run(spikes(), 60)
    for name in ("a", "b"):
        assert result.spikes[name].any()
        np.testing.assert_array_equal(found[name]["s_out"], result.spikes[name], err_msg=name)
        np.testing.assert_array_equal(found[name]["u"], result.trace[name]["u"], err_msg=name)
        np.testing.assert_array_equal(found[name]["v"], result.trace[name]["v"], err_msg=name)


def test_script_is_python_and_names_all(tmp_path) -> None:
    program = cs.compile(network(), "unlimited")
    path = write_lava_script(program, tmp_path / "two.py")
    text = path.read_text()
    names: dict = {"__name__": "script"}
    exec(compile(text, str(path), "exec"), names)
    held = names["arrays"]()
    np.testing.assert_array_equal(held["w_0"], program.projections[0].synapses.mantissa)
    assert names["NEURONS"] == ["a", "b"] and "DelayDense" in text and "weight_exp=-2" in text


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"vth": np.arange(50, 70)}, "one vth per population"),
        ({"refractory": 3}, "no refractory"),
        ({"noise": "voltage"}, "no noise"),
        ({"reset": "subtract"}, "resets to zero only"),
        ({"vmin": -100}, "no lowest potential"),
    ],
)
def test_refuses_what_lava_lacks(changed, said) -> None:
    with pytest.raises(cs.CompileError, match=said):
        lava_source(cs.compile(network(**changed), "unlimited"))


def test_refuses_other_arithmetic() -> None:
    with pytest.raises(cs.CompileError, match="arithmetic='lava'"):
        lava_source(cs.compile(network(), "unlimited", arithmetic="nengo_loihi"))


def test_patched_import_leaves_dataclasses_alone() -> None:
    before = dataclasses.dataclass
    with contextlib.suppress(ImportError):
        patched_import()
    assert dataclasses.dataclass is before
