"""A scaled classifier and a regressor of scikit-learn as spikes: what they lose, step by step.

python examples/from_sklearn.py
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import chipsim as cs
from chipsim.mappings.builders.relu_run import Measured, measure

STEPS = 128
CHIPS = ("float", "loihi2")


def classifier() -> tuple[dict[str, Measured], np.ndarray, float]:
    """Two classes from 30 measurements, whose ranges differ by five orders of magnitude."""
    x, y = load_breast_cancer(return_X_y=True)
    train, test, labels, truth = train_test_split(x, y, test_size=0.3, random_state=0, stratify=y)
    model = make_pipeline(StandardScaler(), MLPClassifier((32,), alpha=1.0, max_iter=500, random_state=0))
    model.fit(train, labels)
    conversion = cs.from_sklearn(model, train, readout="signed")
    runs = {chip: measure(conversion, test, chip, steps=STEPS) for chip in CHIPS}
    return runs, truth, float(model.score(test, truth))


def regressor() -> tuple[dict[str, Measured], np.ndarray]:
    """Progress of a disease from ten measurements."""
    x, y = load_diabetes(return_X_y=True)
    train, test, target, truth = train_test_split(x, (y - y.mean()) / y.std(), test_size=0.3, random_state=0)
    hidden = MLPRegressor(hidden_layer_sizes=(32,), alpha=1.0, solver="lbfgs", max_iter=2000, random_state=0)
    model = make_pipeline(StandardScaler(), hidden).fit(train, target)
    conversion = cs.from_sklearn(model, train, percentile=100)
    return {chip: measure(conversion, test, chip, steps=STEPS) for chip in CHIPS}, truth


def draw(
    classes: dict[str, Measured], truth: np.ndarray, before: float, values: dict[str, Measured], path: str
) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for (chip, run), style in zip(classes.items(), ("-", "--")):
        left.plot(np.arange(1, STEPS + 1), 100 * run.accuracy(truth), style, label=chip)
    left.axhline(100 * before, color="0.4", linewidth=1, linestyle=":", label="scikit-learn")
    left.set(xlabel="steps after which the output is read", ylabel="test samples classified right (%)", xscale="log")
    left.set_title("Classifier: breast cancer, scaled inputs")
    for (chip, run), style in zip(values.items(), ("-", "--")):
        off = np.sqrt(((run.values - run.wanted[:, None]) ** 2).mean(axis=(0, 2)))
        right.plot(np.arange(1, STEPS + 1), off, style, label=chip)
    right.set(
        xlabel="steps after which the output is read", ylabel="rms difference (standard deviations)", xscale="log"
    )
    right.set_title("Regressor: distance from scikit-learn's values")
    for axes in (left, right):
        axes.set_xticks(ticks := [2**k for k in range(8)], [str(t) for t in ticks])
        axes.minorticks_off()
        axes.legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    with threadpool_limits(1):  # on matrices this small, threads wait for each other
        classes, truth, before = classifier()
        values, _ = regressor()
    for chip, run in classes.items():
        shown = ", ".join(f"{t}: {run.accuracy(truth)[t - 1]:.2%}" for t in (16, 32, 64, 128))
        print(f"classifier on {chip}: scikit-learn {before:.2%}, after steps {shown}")
    for chip, run in values.items():
        got, want = run.values[:, -1, 0], run.wanted[:, 0]
        print(f"regressor on {chip}: values correlate {np.corrcoef(got, want)[0, 1]:.4f} with scikit-learn's")
    draw(classes, truth, before, values, "from_sklearn.png")
    print("picture: from_sklearn.png")


if __name__ == "__main__":
    main()
