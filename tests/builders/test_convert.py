"""ANN to SNN: layers, balancing, presentations, scikit-learn's models, and the digits demo's goal."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.signal import correlate2d

from chipsim.chips.read import load_chip
from chipsim.errors import NetworkError
from chipsim.mappings.builders.layers import Convolution, Dense, forward, pooling
from chipsim.mappings.builders.relu import convert_relu
from chipsim.mappings.compiler.quantise.quantise import quantise
from chipsim.mappings.compiler.quantise.reference import run_float, run_integer
from chipsim.mappings.formats.sklearn import from_sklearn, layers_of
from chipsim.mappings.network.presentation import present

LOIHI, LOIHI2 = load_chip("loihi"), load_chip("loihi2")


def small(seed: int = 0) -> tuple[list[Dense], np.ndarray]:
    rng = np.random.default_rng(seed)
    sizes = [12, 20, 10, 4]
    layers = [
        Dense(rng.normal(0, 1 / np.sqrt(a), (b, a)), rng.normal(0, 0.1, b), "relu" if b > 4 else "linear")
        for a, b in pairwise(sizes)
    ]
    return layers, rng.random((60, 12))


def test_encoding_spaces_the_right_number_of_spikes() -> None:
    layers, data = small()
    conversion = convert_relu(layers, data, input_rate=0.5)
    spikes = conversion.encode(data[:5], 40)
    assert spikes.shape == (5 * 40 + 3, 12)
    counts = conversion.window(spikes, "in", 40).sum(axis=1)
    np.testing.assert_allclose(counts, data[:5] / data.max() * 20, atol=0.5 + 1e-9)
    one = conversion.window(spikes, "in", 40)[0, :, 0]
    gaps = np.diff(np.flatnonzero(one))
    assert gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_rates_become_the_activations_with_time(reset: str) -> None:
    layers, data = small()
    conversion = convert_relu(layers, data, reset=reset, max_rate=0.5, readout="signed", balance_zero_reset=True)
    worst = []
    for steps in (25, 100, 400):
        native, _ = quantise(conversion.network, LOIHI2 if reset == "subtract" else LOIHI)
        spikes = conversion.encode(data[:6], steps)
        got = run_integer(present(native, steps), {"in": spikes}).spikes
        errors = conversion.errors(data[:6], got, steps)
        worst.append(max(e["rms_error"] for e in errors.values()))
    assert worst[2] < worst[1] < worst[0]
    assert worst[2] < (0.02 if reset == "subtract" else 0.12)


def test_signed_readout_returns_the_values() -> None:
    layers, data = small(1)
    conversion = convert_relu(layers, data, max_rate=0.5, readout="signed", percentile=100)
    steps = 600
    native, _ = quantise(conversion.network, LOIHI2)
    spikes = run_integer(present(native, steps), {"in": conversion.encode(data[:8], steps)}).spikes["out"]
    values = conversion.decode(conversion.window(spikes, "out", steps).sum(axis=1), steps)
    want = forward(layers, data[:8])[-1]
    assert np.abs(values - want).max() < 0.05 * np.ptp(want)


def test_presentations_do_not_see_each_other() -> None:
    """Every sample gives the same spikes alone, after another one, and in any order."""
    layers, data = small(2)
    conversion = convert_relu(layers, data, reset="zero")
    native, _ = quantise(conversion.network, LOIHI)
    cut = present(native, 30)

    def outputs(samples: np.ndarray) -> dict[str, np.ndarray]:
        spikes = run_integer(cut, {"in": conversion.encode(samples, 30)}).spikes
        return {k: conversion.window(s, k, 30) for k, s in spikes.items()}

    together, reverse = outputs(data[:5]), outputs(data[:5][::-1])
    for name in together:
        np.testing.assert_array_equal(together[name], reverse[name][::-1])
        for k in range(5):
            np.testing.assert_array_equal(together[name][k], outputs(data[k : k + 1])[name][0])
    assert together["out"].any()


def test_zero_reset_balance_brings_rates_closer() -> None:
    layers, data = small(3)
    error = []
    for balance in (False, True):
        conversion = convert_relu(layers, data, reset="zero", max_rate=0.5, balance_zero_reset=balance)
        native, _ = quantise(conversion.network, LOIHI)
        got = run_integer(present(native, 200), {"in": conversion.encode(data[:10], 200)}).spikes
        error.append(conversion.errors(data[:10], got, 200)["layer1"]["rms_error"])
    assert error[1] < 0.8 * error[0]


def test_convolution_and_pooling_forward() -> None:
    rng = np.random.default_rng(4)
    kernel, bias, image = rng.normal(size=(3, 2, 3, 3)), rng.normal(size=3), rng.random((2, 8, 8))
    layer = Convolution(kernel, (2, 8, 8), bias, stride=2, padding=1)
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    want = np.array(
        [sum(correlate2d(padded[c], kernel[o, c], "valid") for c in range(2))[::2, ::2] + bias[o] for o in range(3)]
    )
    np.testing.assert_allclose(layer.forward(image.reshape(1, -1))[0], want.ravel())
    pool = pooling((2, 8, 8), 2)
    np.testing.assert_allclose(
        pool.forward(image.reshape(1, -1))[0], image.reshape(2, 4, 2, 4, 2).mean(axis=(2, 4)).ravel()
    )


def test_convolutional_network_converts() -> None:
    rng = np.random.default_rng(5)
    data = rng.random((20, 64))
    conv = Convolution(rng.normal(0, 0.4, (4, 1, 3, 3)), (1, 8, 8), rng.normal(0, 0.1, 4), padding=1)
    layers = [conv, pooling((4, 8, 8), 2), Dense(rng.normal(0, 0.2, (5, 64)), None, "linear")]
    conversion = convert_relu(layers, data, readout="signed")
    native, _ = quantise(conversion.network, LOIHI2)
    got = run_integer(present(native, 200), {"in": conversion.encode(data[:3], 200)}).spikes
    errors = conversion.errors(data[:3], got, 200)
    assert all(e["correlation"] > 0.99 for e in errors.values()), errors


def test_float_and_integer_rates_agree() -> None:
    layers, data = small(6)
    conversion = convert_relu(layers, data)
    native, _ = quantise(conversion.network, LOIHI2)
    spikes = {"in": conversion.encode(data[:1], 300)}
    floats, chip = run_float(conversion.network, spikes, 1e-3), run_integer(native, spikes)
    for name in floats.spikes:
        assert np.abs(floats.rates(name) - chip.rates(name)).max() < 0.05


def test_refusals() -> None:
    layers, data = small()
    for options, words in (
        ({"reset": "soft"}, "reset='soft'"),
        ({"max_rate": 2.0}, "max_rate=2.0"),
        ({"percentile": 0}, "percentile=0"),
        ({"readout": "best"}, "readout='best'"),
    ):
        with pytest.raises(NetworkError, match=words):
            convert_relu(layers, data, **options)
    with pytest.raises(NetworkError, match="negative"):
        convert_relu(layers, -data)
    with pytest.raises(NetworkError, match=r"give \(samples, 12\)"):
        convert_relu(layers, data[:, :5])
    with pytest.raises(NetworkError, match="layer 1 gives 20 values, layer 2 takes 10"):
        convert_relu([layers[0], layers[2]], data)
    with pytest.raises(NetworkError, match="silent"):
        convert_relu([Dense(-np.ones((3, 12)))], data)


def test_recurrent_networks_are_not_cut() -> None:
    import chipsim as cs

    net = cs.Network()
    h = net.add("h", cs.loihi.LIF(2))
    net.connect(h, h, cs.loihi.Synapses(np.ones((2, 2), int)))
    with pytest.raises(NetworkError, match="loop"):
        present(net, 10)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_sklearn_models() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    mlp = pytest.importorskip("sklearn.neural_network")
    rng = np.random.default_rng(7)
    x = rng.random((120, 6))
    value = np.stack([x[:, 0] - x[:, 1], x[:, 2] * x[:, 3]], axis=1)
    models = [
        mlp.MLPClassifier((16,), solver="lbfgs", max_iter=200, random_state=0).fit(x, (value[:, 0] > 0).astype(int)),
        linear.LogisticRegression().fit(x, np.digitize(value[:, 0], [-0.3, 0.3])),
        linear.LogisticRegression().fit(x, (value[:, 0] > 0).astype(int)),
        mlp.MLPRegressor(hidden_layer_sizes=(16,), solver="lbfgs", max_iter=200, random_state=0).fit(x, value),
    ]
    for model in models:
        conversion = from_sklearn(model, x, readout="signed", percentile=100)
        native, _ = quantise(conversion.network, LOIHI2)
        steps = 200
        spikes = run_integer(present(native, steps), {"in": conversion.encode(x[:30], steps)}).spikes["out"]
        got = conversion.decode(conversion.window(spikes, "out", steps).sum(axis=1), steps)
        if hasattr(model, "classes_"):
            agree = model.classes_[got.argmax(axis=1)] == model.predict(x[:30])
            assert agree.mean() >= 0.9, model
        else:
            assert np.corrcoef(got.ravel(), model.predict(x[:30]).ravel())[0, 1] > 0.99


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_sklearn_refusals() -> None:
    mlp = pytest.importorskip("sklearn.neural_network")
    with pytest.raises(NetworkError, match="not fitted"):
        layers_of(mlp.MLPClassifier())
    x = np.random.default_rng(0).random((20, 3))
    tanh = mlp.MLPRegressor(hidden_layer_sizes=(4,), activation="tanh", max_iter=5).fit(x, x[:, 0])
    with pytest.raises(NetworkError, match="tanh"):
        layers_of(tanh)
    with pytest.raises(NetworkError, match="ndarray is not one of"):
        layers_of(x)


def test_digits_on_the_chip_lose_half_a_point_at_most() -> None:
    """The demo's goal: float >= 96.5 %, 8-bit chip within 0.5 points, on several cores."""
    pytest.importorskip("sklearn")
    from chipsim.mappings.experiments.digits import digits_network, evaluate, train_digits

    digits = train_digits(seed=0)
    assert digits.accuracy >= 0.965 and len(digits.test_labels) == 450
    demo = digits_network(digits, "loihi")
    assert len(demo.program.cores) > 2
    outcome = evaluate(demo)
    assert outcome.loss <= 0.5
    assert outcome.accuracy_by_step[-1] == outcome.chip_accuracy > outcome.accuracy_by_step[5]
    assert min(e["correlation"] for e in outcome.layers.values()) > 0.97
    # The emulator's spikes are those of the slow reference, for the images that it has time for.
    few = digits_network(digits, "loihi", images=3)
    slow = run_integer(few.network, few.inputs).spikes
    fast = evaluate(few).result.spikes
    for name in slow:
        np.testing.assert_array_equal(fast[name], slow[name])


def test_convolutional_network_on_the_emulator() -> None:
    """Compiled and spread over cores, a converted convolutional network fires as the slow reference does."""
    import chipsim as cs

    rng = np.random.default_rng(8)
    data = rng.random((20, 64))
    layers = [
        Convolution(rng.normal(0, 0.4, (4, 1, 3, 3)), (1, 8, 8), rng.normal(0, 0.1, 4), padding=1, stride=2),
        Dense(rng.normal(0, 0.2, (5, 64)), None, "linear"),
    ]
    conversion = convert_relu(layers, data, reset="zero", max_rate=0.5)
    native, _ = quantise(conversion.network, LOIHI)
    native = present(native, 40)
    spikes = {"in": conversion.encode(data[:4], 40)}
    result = cs.Emulator(cs.compile(native, LOIHI, max_neurons=20)).run(spikes)
    for name, want in run_integer(native, spikes).spikes.items():
        assert want.any()
        np.testing.assert_array_equal(result.spikes[name], want)
