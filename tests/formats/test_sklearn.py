"""scikit-learn's models and pipelines as layers and spikes, against the models themselves."""

from __future__ import annotations

import numpy as np
import pytest

import chipsim as cs
from chipsim.mappings.builders.layers import forward
from chipsim.mappings.builders.relu_run import measure
from chipsim.mappings.formats.sklearn import from_sklearn, layers_of

pytest.importorskip("sklearn", reason="needs scikit-learn")
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def data(n: int = 150, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features of very different ranges, one of them constant, and what they mean."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)) * [1, 100, 0.01, 5, 1, 0] + [0, 1000, -3, -2, 0.5, 7]
    score = x[:, 0] + (x[:, 1] - 1000) / 100 - (x[:, 3] + 2) / 5
    return x, score


def mlp(**options: object) -> MLPClassifier:
    return MLPClassifier((12,), solver="lbfgs", max_iter=100, random_state=0, **options)


SCALERS = [
    (StandardScaler(),), (StandardScaler(with_mean=False),), (StandardScaler(with_std=False),),
    (MinMaxScaler((-1, 2)),), (MaxAbsScaler(),), (RobustScaler(),), (RobustScaler(with_centering=False),),
    (MinMaxScaler(), StandardScaler()),
]  # fmt: skip


@pytest.mark.parametrize("scalers", SCALERS, ids=lambda s: "+".join(type(x).__name__ for x in s))
def test_scalers_become_part_of_the_first_layer(scalers):
    x, score = data()
    hidden = MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", max_iter=50, random_state=0)
    model = make_pipeline(*scalers, "passthrough", hidden).fit(x, score)
    np.testing.assert_allclose(forward(layers_of(model), x)[-1][:, 0], model.predict(x), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_scaled_classifier_on_the_chip(classes):
    """Ranges that differ by four orders of magnitude, values below zero."""
    x, score = data()
    y = np.digitize(score, np.quantile(score, np.arange(1, classes) / classes))
    model = make_pipeline(StandardScaler(), mlp(alpha=0.1)).fit(x, y)
    conversion = from_sklearn(model, x, readout="signed")
    assert np.min(conversion.low) < 0 and np.max(conversion.span) > 100
    for chip in ("float", "loihi2"):
        run = measure(conversion, x, chip, steps=128)
        assert (run.wanted.argmax(1) == model.predict(x)).all()
        assert run.agreement[-1] >= 0.98 and run.agreement[-1] >= run.agreement[3]


def test_each_input_has_its_own_range():
    x, score = data()
    conversion = from_sklearn(LogisticRegression(max_iter=1000).fit(x, score > 0), x)
    counts = conversion.window(conversion.encode(x, 50), "in", 50).sum(axis=1)
    live = np.ptp(x, axis=0) > 0
    np.testing.assert_array_equal(counts.max(axis=0)[live], 50)
    np.testing.assert_array_equal(counts.min(axis=0), 0)
    np.testing.assert_array_equal(counts[:, ~live], 0)


def test_several_labels_per_sample():
    """A label holds where its output is above 0."""
    x, score = data()
    x = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-9)
    y = np.stack([score > 0, x[:, 1] > 0.3, x[:, 4] < 0], axis=1).astype(int)
    model = mlp(alpha=0.1).fit(x, y)
    conversion = from_sklearn(model, x)
    assert conversion.readout == "signed"
    run = measure(conversion, x, steps=128)
    np.testing.assert_array_equal(run.wanted > 0, model.predict(x) == 1)
    assert ((run.values[:, -1] > 0) == (run.wanted > 0)).mean() > 0.98


def test_a_regressor_of_two_values():
    x, score = data()
    y = np.stack([score, np.abs(score)], axis=1)
    hidden = MLPRegressor(hidden_layer_sizes=(16,), solver="lbfgs", max_iter=300, alpha=0.1, random_state=0)
    model = make_pipeline(StandardScaler(), hidden).fit(x, y)
    run = measure(from_sklearn(model, x, percentile=100), x, "loihi2", steps=256)
    off = np.sqrt(np.mean((run.values[:, -1] - model.predict(x)) ** 2))
    assert off < 0.03 * np.ptp(y) and off < 0.5 * np.sqrt(np.mean((run.values[:, 31] - model.predict(x)) ** 2))


def test_refusals():
    x, score = data()

    def refused(match, model, given=x, **options):
        with pytest.raises(cs.NetworkError, match=match):
            from_sklearn(model, given, **options)

    good = make_pipeline(StandardScaler(), mlp()).fit(x, score > 0)
    refused("pipeline step 'pca': PCA cannot become part", make_pipeline(PCA(3), mlp()).fit(x, score > 0))
    refused(
        "pipeline step 'minmaxscaler': MinMaxScaler.clip=True",
        make_pipeline(MinMaxScaler(clip=True), mlp()).fit(x, score > 0),
    )
    refused("this MLPClassifier is not fitted", make_pipeline(StandardScaler(), mlp()))
    refused("this StandardScaler is not fitted", make_pipeline(StandardScaler(), good[-1]))
    refused(r"data has shape \(150, 2\); the model takes \(samples, 6\)", good, x[:, :2])
    refused(r"data has shape \(6,\)", good, x[0])
    refused("data is no table of numbers", good, [["a"] * 6])
    refused("inputs='best' is not one of", good, inputs="best")
    refused("StandardScaler is not one of MLPClassifier", StandardScaler().fit(x))
    from scipy.sparse import csr_array

    refused("data is a sparse matrix", good, csr_array(x))


def test_measuring_refuses_labels_that_do_not_fit():
    x, score = data(20)
    run = measure(from_sklearn(LogisticRegression(max_iter=1000).fit(x, score > 0), x), x, steps=4)
    with pytest.raises(cs.NetworkError, match="one for each of the 20 samples"):
        run.accuracy([0, 1])
    conversion = from_sklearn(LogisticRegression(max_iter=1000).fit(x, score > 0), x)
    with pytest.raises(cs.NetworkError, match=r"samples have shape \(20, 3\); give finite numbers, 6"):
        measure(conversion, x[:, :3])
    with pytest.raises(cs.NetworkError, match="steps=0; a sample"):
        measure(conversion, x, steps=0)
    with pytest.raises(cs.NetworkError, match="computes in floats"):
        measure(from_sklearn(LogisticRegression(max_iter=1000).fit(x, score > 0), x), x, bits=4)
