"""scikit-learn's trained models as layers and as spiking networks (scikit-learn itself is not imported)."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipsim.errors import NetworkError

from ..convert import Conversion, convert_relu
from ..layers import Dense

MLPS = ("MLPClassifier", "MLPRegressor")
LINEAR = ("LogisticRegression",)


def layers_of(model: Any) -> list[Dense]:
    """The layers of a fitted MLPClassifier, MLPRegressor (ReLU or identity) or LogisticRegression.

    The last layer is linear: its outputs are logits or values. A binary classifier's single logit z becomes
    the pair (-z / 2, z / 2), so that the larger output is the class.

    Raises
    ------
    NetworkError
        Other models, models that are not fitted, other activations.
    """
    kind = type(model).__name__
    if kind in MLPS:
        layers = _mlp(model, kind)
    elif kind in LINEAR:
        _fitted(model, "coef_", kind)
        layers = [Dense(np.asarray(model.coef_), np.asarray(model.intercept_), "linear")]
    else:
        raise NetworkError(f"from_sklearn: {kind} is not one of {', '.join((*MLPS, *LINEAR))}")
    if kind != "MLPRegressor" and layers[-1].shape == (1,):
        z = layers[-1]
        half = np.array([[-0.5], [0.5]])
        layers[-1] = Dense(half * z.weights, half[:, 0] * z.biases(), "linear")
    return layers


def from_sklearn(model: Any, data: np.ndarray, **options: Any) -> Conversion:
    """A spiking network from a fitted model, balanced on `data` (m, n_in); options as in `convert_relu`.

    Regressors and linear models get a signed readout unless told otherwise, because their outputs have a
    sign.
    """
    layers = layers_of(model)
    if type(model).__name__ != "MLPClassifier":
        options.setdefault("readout", "signed")
    options.setdefault("name", type(model).__name__)
    return convert_relu(layers, data, **options)


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
