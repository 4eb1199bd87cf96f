"""A small convolutional network, trained with torch on handwritten digits, as spikes: in floats and on two chips.

    python examples/from_torch.py [mlp]

With "mlp" a perceptron of one hidden layer instead. Needs torch and scikit-learn (for the images). Prints accuracies
and the error of every layer, draws both.
"""

from __future__ import annotations

import sys
import time

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

import chipsim as cs
from chipsim.mappings.builders.relu_run import Measured, measure

#: Chips with what their reset needs: Loihi's resets to zero lose a rest, less at lower rates, so that it takes longer.
RUNS = {
    "float": (64, {}),
    "loihi2": (64, {}),
    "loihi": (128, {"reset": "zero", "max_rate": 0.25, "balance_zero_reset": True}),
}


def digits(seed: int = 0) -> list[np.ndarray]:
    """Images (m, 1, 8, 8) in [0, 1] and labels: for training and testing, 1,347 and 450."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    return train_test_split(images, labels, test_size=0.25, random_state=seed, stratify=labels)


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 10))


def cnn() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(128, 10),
    )  # fmt: skip


def trained(module: nn.Module, images: np.ndarray, labels: np.ndarray, epochs: int, seed: int = 0) -> nn.Module:
    """By cross entropy with smoothed labels, which keeps outputs in a range that rates can say."""
    x, y = torch.tensor(images), torch.tensor(labels)
    order, batches = torch.Generator().manual_seed(seed), -(-len(x) // 64)
    optimiser = torch.optim.AdamW(module.parameters(), weight_decay=0.01)
    pace = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, epochs=epochs, steps_per_epoch=batches)
    for _ in range(epochs):
        for batch in torch.randperm(len(x), generator=order).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(module(x[batch]), y[batch], label_smoothing=0.1).backward()
            optimiser.step()
            pace.step()
    return module.eval()


def draw(runs: dict[str, Measured], labels: np.ndarray, before: float, path: str) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for (chip, run), style in zip(runs.items(), ("-", "--", "-")):
        steps = np.arange(1, run.steps + 1)
        left.plot(steps, 100 * run.accuracy(labels), style, label=chip)
    left.axhline(100 * before, color="0.4", linewidth=1, linestyle=":", label="torch")
    left.set(xlabel="steps after which the output is read", ylabel="test images classified right (%)", xscale="log")
    left.set_xticks(ticks := [2**k for k in range(8)], [str(t) for t in ticks])
    left.minorticks_off()
    left.set_title("Accuracy over time")
    left.legend(loc="center left")
    names = list(next(iter(runs.values())).layers)
    for k, (chip, run) in enumerate(runs.items()):
        errors = [100 * run.layers[n]["rms_error"] for n in names]
        bars = right.bar(np.arange(len(names)) + 0.27 * (k - 1), errors, 0.25, label=chip)
        right.bar_label(bars, fmt="%.1f", fontsize=8)
    right.set_xticks(range(len(names)), names)
    right.set(xlabel="layer", ylabel="rms error of rates (% of full rate)")
    right.set_title("What the conversion loses, layer by layer")
    right.legend()
    figure.savefig(path, dpi=120)


def main(perceptron: bool) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)  # on matrices this small, threads wait for each other
    images, test_images, labels, test_labels = digits()
    start = time.perf_counter()
    module, epochs = (mlp(), 20) if perceptron else (cnn(), 10)
    model = trained(module, images, labels, epochs)
    print(f"trained in {time.perf_counter() - start:.1f} s")
    runs = {}
    for chip, (steps, options) in RUNS.items():
        conversion = cs.from_torch(model, images, **options)
        runs[chip] = run = measure(conversion, test_images, chip, steps=steps)
        accuracy, before = run.accuracy(test_labels), run.original_accuracy(test_labels)
        shown = ", ".join(f"{t}: {accuracy[t - 1]:.2%}" for t in (8, 16, 32, 64, 128) if t <= steps)
        print(f"{chip}: torch {before:.2%}, after steps {shown}; {run.spikes_per_sample:.0f} spikes per image")
        for name, error in run.layers.items():
            print(f"  {name}: rates correlate {error['correlation']:.4f}, rms error {error['rms_error']:.4f}")
    draw(runs, test_labels, before, "from_torch.png")
    print("picture: from_torch.png")


if __name__ == "__main__":
    main("mlp" in sys.argv[1:])
