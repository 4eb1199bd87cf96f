"""scikit-learn's trained models as layers and as spiking networks (scikit-learn itself is not imported)."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipsim.checks import floats
from chipsim.errors import NetworkError
from chipsim.mappings.builders.layers import Dense
from chipsim.mappings.builders.relu import Conversion, convert_relu

MLPS = ("MLPClassifier", "MLPRegressor")
LINEAR = ("LogisticRegression",)
SCALERS = ("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler")


def layers_of(model: Any) -> list[Dense]:
    """The layers of a fitted MLPClassifier, MLPRegressor (ReLU or identity) or LogisticRegression.

    The last layer is linear: its outputs are logits or values. A binary classifier's single logit z becomes
    the pair (-z / 2, z / 2), so that the larger output is the class; with several labels per sample a label holds
    where its logit is above 0. In a Pipeline, scalers before the model become part of its first layer.

    Raises
    ------
    NetworkError
        Other models and steps of a pipeline, models that are not fitted, other activations.
    """
    kind = type(model).__name__
    if kind == "Pipeline":
        return _pipeline(model)
    if kind in MLPS:
        layers = _mlp(model, kind)
    elif kind in LINEAR:
        _fitted(model, "coef_", kind)
        layers = [Dense(np.asarray(model.coef_), np.asarray(model.intercept_), "linear")]
    else:
        raise NetworkError(f"from_sklearn: {kind} is not one of {', '.join((*MLPS, *LINEAR, 'Pipeline'))}")
    if kind != "MLPRegressor" and layers[-1].shape == (1,):
        z = layers[-1]
        half = np.array([[-0.5], [0.5]])
        layers[-1] = Dense(half * z.weights, half[:, 0] * z.biases(), "linear")
    return layers


def from_sklearn(model: Any, data: np.ndarray, **options: Any) -> Conversion:
    """A spiking network from a fitted model, balanced on `data` (m, n_in); options as in `convert_relu`.

    `data` is what the model takes: of a pipeline, as it is before scaling. Regressors, linear models and models of
    several labels get a signed readout unless told otherwise, because their outputs have a sign. Where data is
    negative, or a pipeline scales it, every input has its own range (`inputs="each"`).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> x = np.random.default_rng(0).normal(size=(100, 3))
    >>> conversion = from_sklearn(LogisticRegression().fit(x, x[:, 0] > 0), x)
    >>> conversion.network
    Network('LogisticRegression': 2 populations, 4 neurons, 12 synapses)
    """
    layers = layers_of(model)
    samples = _data(data, layers[0].n_in)
    last = model.steps[-1][1] if type(model).__name__ == "Pipeline" else model
    if type(last).__name__ != "MLPClassifier" or _several_labels(last):
        options.setdefault("readout", "signed")
    if last is not model or samples.min() < 0:
        options.setdefault("inputs", "each")
    options.setdefault("name", type(last).__name__)
    return convert_relu(layers, samples, **options)


def _data(data: Any, n_in: int) -> np.ndarray:
    """Samples as (m, n_in) float64; dense only."""
    if hasattr(data, "toarray"):
        raise NetworkError("from_sklearn: data is a sparse matrix; give data.toarray()")
    try:
        samples = floats(data, "from_sklearn: data")
    except (TypeError, ValueError):
        raise NetworkError(f"from_sklearn: data is no table of numbers: {type(data).__name__}") from None
    if samples.ndim != 2 or not samples.size or samples.shape[1] != n_in:
        raise NetworkError(f"from_sklearn: data has shape {samples.shape}; the model takes (samples, {n_in})")
    return samples


def _several_labels(model: Any) -> bool:
    """A classifier whose outputs are labels that can hold together."""
    return getattr(model, "out_activation_", "") == "logistic" and getattr(model, "n_outputs_", 1) > 1


def _pipeline(model: Any) -> list[Dense]:
    """Layers of the last step, its inputs scaled back by the steps before: W (s x + c) = (W s) x + W c."""
    *before, (_, last) = model.steps
    layers = layers_of(last)
    for name, step in reversed(before):
        if step is None or step == "passthrough":
            continue
        scale, shift = _affine(name, step)
        first = layers[0]
        layers[0] = Dense(first.weights * scale, first.biases() + first.weights @ shift, first.activation)
    return layers


def _affine(name: str, step: Any) -> tuple[np.ndarray, np.ndarray]:
    """(n,) factor and shift of a scaler."""
    kind = type(step).__name__
    if kind not in SCALERS:
        raise NetworkError(
            f"from_sklearn: pipeline step '{name}': {kind} cannot become part of the first layer; {', '.join(SCALERS)} "
            "can: apply it to the data yourself and convert the last step"
        )
    _fitted(step, "center_" if kind == "RobustScaler" else "scale_", kind)
    if kind == "MinMaxScaler":
        if step.clip:
            raise NetworkError(
                f"from_sklearn: pipeline step '{name}': MinMaxScaler(clip=True) is not linear; clip=False is"
            )
        return np.asarray(step.scale_), np.asarray(step.min_)
    n = step.n_features_in_
    factor = np.ones(n) if step.scale_ is None else 1 / np.asarray(step.scale_)
    at = getattr(step, "center_", None)
    if kind == "StandardScaler" and step.with_mean:  # it learns a mean even where it takes none off
        at = step.mean_
    return factor, np.zeros(n) if at is None else -np.asarray(at) * factor


def _mlp(model: Any, kind: str) -> list[Dense]:
    _fitted(model, "coefs_", kind)
    activation = {"relu": "relu", "identity": "linear"}.get(model.activation)
    if activation is None:
        raise NetworkError(
            f"from_sklearn: {kind} has activation '{model.activation}', whose values spikes cannot carry; "
            "train with relu"
        )
    if activation == "linear" and len(model.coefs_) > 1:
        raise NetworkError(f"from_sklearn: {kind} with identity activation has negative hidden values; train with relu")
    last = len(model.coefs_) - 1
    return [
        Dense(np.asarray(w).T, np.asarray(b), "linear" if k == last else activation)
        for k, (w, b) in enumerate(zip(model.coefs_, model.intercepts_))
    ]


def _fitted(model: Any, attribute: str, kind: str) -> None:
    if not hasattr(model, attribute):
        raise NetworkError(f"from_sklearn: this {kind} is not fitted; call fit first")
