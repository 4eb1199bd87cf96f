"""Ideal networks on ReckOn: close to the float network they stand for; what does not fit is refused."""

from __future__ import annotations

import numpy as np
import pytest

from chipsim.engines.reckon.core import ReckonEngine, stimulus
from chipsim.errors import CompileError
from chipsim.native.reckon.image import ideal_image, native_image

DT = 1e-3


def float_network(winp, wrec, threshold, tau, inputs):
    """u' = exp(-dt/tau) u + W s with the chip's order: test, leak, subtract, then add what arrived."""
    neurons, ticks = winp.shape[0], len(inputs)
    u, spikes = np.zeros(neurons), np.zeros((ticks, neurons), bool)
    for k in range(ticks):
        if k:
            spikes[k] = u >= threshold
            u = u * np.exp(-DT / tau) - threshold * spikes[k]
        u = u + winp @ inputs[k] + wrec @ spikes[k]
    return spikes


def network(neurons: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    winp = rng.normal(0.1, 0.25, (neurons, 20))
    wrec = rng.normal(-0.02, 0.05, (neurons, neurons))
    wout = rng.normal(0, 1, (3, neurons))
    inputs = (rng.random((400, 20)) < 0.05).astype(float)
    return winp, wrec, wout, inputs


@pytest.mark.parametrize("neurons", [31, 32])
def test_ideal_network_spikes_like_its_float_model(neurons: int) -> None:
    winp, wrec, wout, inputs = network(neurons)
    threshold = np.linspace(0.8, 1.3, neurons)
    image = ideal_image(winp, wrec, wout, threshold=threshold, tau_mem=20e-3, tau_out=20e-3, dt=DT)
    engine = ReckonEngine(image.registers, image.memories)
    run = engine.run(stimulus(inputs != 0, last=np.zeros(400)), neurons=neurons)
    want = float_network(winp, wrec, threshold, 20e-3, inputs)
    assert want.sum() > 500
    assert want[:, -1].sum() > 5 and run.spikes[:, -1].sum() > 5, "the last neuron of an odd layer fires too"
    rates = np.corrcoef(want.sum(0), run.spikes.sum(0))[0, 1]
    assert rates > 0.98 and abs(int(run.spikes.sum()) - int(want.sum())) < 0.05 * want.sum()
    assert (run.spikes[:60] == want[:60]).mean() > 0.97
    assert np.allclose(image.unit * image.memories.thr[0], threshold)
    assert image.rounding["input"] < 0.01


def test_outputs_integrate_with_their_unit() -> None:
    neurons = 2
    wout = np.array([[1.0, 0.0], [0.0, -0.5]])
    image = ideal_image(
        np.array([[2.0], [2.0]]), None, wout, threshold=1.0, tau_mem=np.inf, tau_out=1.0, dt=DT, reset="zero"
    )
    run = ReckonEngine(image.registers, image.memories).run(stimulus([[0], [], []], last=np.zeros(3)), neurons=neurons)
    assert run.spikes[1].all() and not run.spikes[2].any()
    out = run.out_end[1][:2] * image.out_unit
    assert np.allclose(out, [1.0, -0.5], atol=0.01)


def test_what_does_not_fit_names_the_number() -> None:
    def build(inputs=4, neurons=4, outputs=2, **changes):
        options = {"threshold": 1.0, "tau_mem": 20e-3, "tau_out": 20e-3, "dt": DT} | changes
        ones = np.ones
        return ideal_image(ones((neurons, inputs)), None, ones((outputs, neurons)), **options)

    cases = [
        ({"inputs": 257}, "input lines", 257, 256),
        ({"neurons": 300}, "recurrent neurons", 300, 256),
        ({"outputs": 17}, "output neurons", 17, 16),
        ({"tau_mem": 5e-3}, "membrane time constant", 5e-3, 7.489e-3),
        ({"threshold": 1e-4}, "weight", 1e4, 1016),
    ]
    for changes, resource, need, limit in cases:
        with pytest.raises(CompileError) as caught:
            build(**changes)
        assert caught.value.resource == resource
        assert caught.value.need == pytest.approx(need, rel=1e-3)
        assert caught.value.limit == pytest.approx(limit, rel=1e-3)
        assert f"{limit:g}"[:4] in str(caught.value)
    with pytest.raises(CompileError, match="2 and 3 share one alpha"):
        build(tau_mem=np.array([20e-3, 20e-3, 20e-3, 30e-3]))
    with pytest.raises(CompileError, match="not positive"):
        build(threshold=0.0)


def test_native_image_keeps_integers() -> None:
    rng = np.random.default_rng(1)
    winp, wrec = rng.integers(-128, 128, (6, 3)), rng.integers(-128, 128, (6, 6))
    wout = rng.integers(-128, 128, (2, 6))
    image = native_image(
        winp, wrec, wout, thr=[5, 5, 6, 6, 7, 7], alpha=[0x8000, 0x8000] + [0x7123] * 4, shifts=(1, 2, 3)
    )
    engine = ReckonEngine(image.registers, image.memories)
    got = engine.weights
    assert np.array_equal(got[0], winp.T) and np.array_equal(got[1], wrec.T) and np.array_equal(got[2], wout.T)
    assert image.memories.thr[:4].tolist() == [5, 6, 7, 32767]
    assert image.registers.ALPHA_CONF == 1 and image.memories.alpha_lsb[1] == 0x123
    assert image.registers.FP_LOC_WOUT == 3 and image.registers.DO_EPROP == 0
    with pytest.raises(CompileError, match="leak factor"):
        native_image(winp, wrec, wout, thr=5, alpha=0x6000)
    odd = native_image(winp[:5], None, wout[:, :5], thr=5)
    assert odd.registers.NUM_REC_NEUR == 5, "an odd layer gets one more neuron, or its last one would never step"
