"""Other people's metrics against their own results, hand-counted numbers and published examples."""

from __future__ import annotations

import json

import numpy as np
import pytest

from chipsim.chips.formulas import (
    speck_kernel_words,
    speck_neuron_words,
    speck_place,
    speck_synops_rate,
    xylo_clock,
    xylo_cycles,
)
from chipsim.chips.read import load_chip
from chipsim.errors import CompileError, DescriptionError, RunError
from chipsim.estimate.metrics import (
    LayerRun,
    energy_45nm,
    keras_spiking,
    max_active,
    membrane_updates,
    neurobench,
    synaptic_operations,
    yin_operations,
)
from tests.oracles.naive_energy import GOLDEN


@pytest.mark.parametrize("name", ["nb1", "nb2"])
def test_neurobench(name):
    record = json.loads((GOLDEN / "neurobench" / f"{name}.json").read_text())
    p = record["params"]
    with np.load(GOLDEN / "neurobench" / f"{name}.npz") as z:
        x, s1, s2 = (np.unpackbits(z[k], axis=2)[:, :, : p[n]] for k, n in (("X", "I"), ("s1", "H"), ("s2", "O")))
        layers = [LayerRun(z["W1"], x, s1, z["mem1"]), LayerRun(z["W2"], s1, s2, z["mem2"])]
    mine = neurobench(layers, buffers=40)  # two snnTorch Leaky layers hold 5 float32 buffers each
    assert mine["ActivationSparsity"] == pytest.approx(record["results"].pop("ActivationSparsity"), rel=1e-12)
    mine.pop("ActivationSparsity")
    assert mine == record["results"]


def test_graded_input_makes_macs_by_hand():
    weights = np.array([[1.0, 0.0], [2.0, 3.0]])
    graded = LayerRun(weights, np.array([[[0.5, 0.0], [1.0, 2.0]]]))
    assert synaptic_operations([graded]) == {"Effective_MACs": 2 + 2 + 1, "Effective_ACs": 0, "Dense": 8}
    ternary = LayerRun(weights, np.array([[[0.0, -1.0], [-1.0, -1.0]]]))
    assert synaptic_operations([ternary])["Effective_ACs"] == 1 + 2 + 1


def test_membranes_by_hand():
    layer = LayerRun(np.ones((2, 1)), np.zeros((1, 3, 1)), membranes=np.array([[[0.0, 1.0], [0.0, 2.0], [0.0, 2.0]]]))
    assert membrane_updates([layer]) == 3  # both in the first step, one in the second, none in the third
    with pytest.raises(RunError, match="record 'v'"):
        membrane_updates([LayerRun(np.ones((2, 1)), np.zeros((1, 3, 1)))])


def test_layers_are_checked():
    with pytest.raises(RunError, match=r"inputs of a layer .* must be \(b, t, 2\)"):
        LayerRun(np.ones((3, 2)), np.zeros((1, 4, 3)))
    with pytest.raises(RunError, match="unknown neuron model"):
        LayerRun(np.ones((3, 2)), np.zeros((1, 4, 2)), model="lif")


def test_energies():
    assert energy_45nm(100, 10) == pytest.approx(100 * 0.9e-12 + 10 * 4.6e-12)
    assert energy_45nm(1, 1, "int8") == pytest.approx(0.26e-12)
    assert keras_spiking(10, 2, "loihi") == pytest.approx(10 * 27.1e-12 + 2 * 81e-12)
    assert yin_operations("lif", 100, 50, 0.1, 0.2) == (100 * 50 * 0.1 + 50 * 50 * 0.2, 50)
    assert yin_operations("alif", 100, 50, 0.1, 0.2) == (1000 + 2 * 50 * 0.2, 150)
    assert yin_operations("lstm", 100, 50, 0, 0) == (0, 4 * (100 * 50 + 50 * 50) + 17 * 50)
    assert max_active(np.array([0, 3, 3, 9])) == 6
    for call in (
        lambda: energy_45nm(1, 1, "fp8"),
        lambda: keras_spiking(1, 1, "tpu"),
        lambda: yin_operations("gru", 1, 1, 0, 0),
    ):
        with pytest.raises(RunError, match="one of"):
            call()


def test_xylo_cycles_by_hand():
    chip = load_chip("xylo")
    silent = xylo_cycles(chip, inputs=16, hidden=100, outputs=8, input_rate=0, hidden_rate=0, fan_out=10)
    assert silent == 16 + 100 * 3 + 100 * 19 + 12 * 8
    busy = xylo_cycles(
        chip, inputs=2, hidden=10, outputs=3, input_rate=0.5, hidden_rate=0.2, fan_out=4,
        input_enabled=6, output_enabled=5, alias_targets=0.1, alias_sources=0.3,
    )  # fmt: skip
    want = 2 * (3.5 * 0.5 * 6 + 1) + 10 * (7 * 4 * 0.2 + 3) + 5 * 0.2 * (1 + 8 * 3)
    want += 10 * (19 + 2 * 0.2 + 3 * 0.03 + 0.2 + 0.2 * 0.3) + 12 * 3
    assert busy == pytest.approx(want)
    assert xylo_clock(chip, busy, 1e-3) == pytest.approx(want * 1.2e3)
    with pytest.raises(DescriptionError, match="no cycle model"):
        xylo_cycles(load_chip("loihi"), inputs=1, hidden=1, outputs=1, input_rate=0, hidden_rate=0, fan_out=0)


def test_speck():
    chip = load_chip("speck")
    assert sum(m.kernel for m in chip.limits.core_memories) == 272 * 1024
    assert sum(m.neuron for m in chip.limits.core_memories) == 320 * 1024
    assert speck_neuron_words(8, 64, 63) == 8 * 2**12
    assert speck_kernel_words(2, 10, 3, 3) == 2 * 2 ** (4 + 4)
    assert speck_synops_rate(1e5, 8, (3, 3), (2, 2)) == 1e5 * 8 * 9 / 4
    cores = speck_place(chip, [(100, 60000), (60000, 100), (20000, 20000)])
    assert len(set(cores)) == 3
    with pytest.raises(CompileError, match="layer 3 needs"):
        speck_place(chip, [(100, 60000)] * 4)
