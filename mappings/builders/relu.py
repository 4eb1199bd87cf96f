"""From a trained network of ReLUs to one of spikes: data-based threshold balancing (Rueckauer et al. 2017).

An integrate-and-fire neuron with threshold 1 that receives a drive a per step fires at rate a. So every layer's
weights and bias are divided by a high percentile of its activations on data (and multiplied by that of the layer
before): activations up to that percentile become rates up to `max_rate`. Inputs are spikes at a rate proportional
to their value above the lowest one, evenly spaced, without chance; what lies below zero moves into the biases.

Reset by subtraction keeps what a spike leaves over; with reset to zero that is lost, about half a step's drive per
spike, so lower rates are more exact. `balance_zero_reset` lowers the threshold by what is lost on the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from chipsim.checks import ask, choice, finite, floats, numbers, shown, whole
from chipsim.errors import NetworkError
from chipsim.mappings.network.ideal import IF
from chipsim.mappings.network.network import Network
from chipsim.native.base import SpikeSource

from .layers import ACTIVATIONS, Dense, Layer, forward, rows_of

RESETS = ("subtract", "zero")
READOUTS = ("spikes", "signed")
INPUTS = ("positive", "range", "each")

MOST_STEPS = (1 << 31) - 1  #: of a presentation


@dataclass(frozen=True, eq=False)
class Conversion:
    """A spiking network made from layers, with what is needed to drive and read it.

    Attributes
    ----------
    network : Network
        Populations "in", "layer1", ..., "out"; ideal `IF` neurons.
    layers : tuple
    scales : tuple of float
        Activation that the full rate of each population stands for, input first.
    max_rate, input_rate : float
        Full rate of neurons and of inputs, spikes per step.
    readout : str
        "spikes": one output neuron per output; "signed": a second half of neurons counts negative values.
    low, span : float or (n_in,) float64
        Input that no spike stands for, and how far above it the full rate lies, in units of `scales[0]`.
    """

    network: Network
    layers: tuple[Layer, ...]
    scales: tuple[float, ...]
    max_rate: float
    input_rate: float
    readout: str
    low: Any = 0.0
    span: Any = 1.0

    @property
    def depth(self) -> int:
        """Layers, which is also the delay in steps from an input spike to what it causes at the output."""
        return len(self.layers)

    @property
    def populations(self) -> list[str]:
        """Names in order of depth, input first."""
        return list(self.network.populations)

    def encode(self, data: np.ndarray, steps: int) -> np.ndarray:
        """Input spikes for `data` (m, n_in), one sample after another: (m * steps + depth, n_in) bool.

        Each value fires round((value - low) / (span * scale) * input_rate * steps) times, evenly spaced; values
        outside the range of the data that the network was balanced on are taken as its ends.
        """
        values, steps = rows_of(data, "encode"), whole(steps, "encode: steps", 1, MOST_STEPS)
        if values.shape[1] != self.layers[0].n_in:
            raise NetworkError(
                f"encode: samples have {values.shape[1]} values; the network takes {self.layers[0].n_in}"
            )
        ask(16 * len(values) * (steps + 1) * values.shape[1], "encode: the spikes", "give fewer samples at once")
        x = np.clip((values - self.low) / (self.span * self.scales[0]), 0, 1)
        t = np.arange(steps + 1)[None, :, None]
        count = np.floor(t * x[:, None, :] * self.input_rate + 0.5)
        spikes = np.diff(count, axis=1) > 0
        flat = spikes.reshape(-1, x.shape[1])
        return np.concatenate([flat, np.zeros((self.depth, x.shape[1]), bool)])

    def window(self, spikes: np.ndarray, population: str, steps: int) -> np.ndarray:
        """A population's spikes (t, n) cut into the samples' presentations: (m, steps, n)."""
        late = self.populations.index(population)
        samples = (len(spikes) - self.depth) // steps
        return spikes[late : late + samples * steps].reshape(samples, steps, -1)

    def decode(self, counts: np.ndarray, steps: int) -> np.ndarray:
        """Values of the outputs (m, out) from the output neurons' spike counts (m, n) in `steps` steps."""
        values = floats(counts, "decode: counts")
        if self.readout == "signed":
            half = values.shape[-1] // 2
            values = values[..., :half] - values[..., half:]
        return values * (self.scales[-1] / (self.max_rate * steps))

    def activations(self, data: np.ndarray) -> list[np.ndarray]:
        """What the original layers compute for `data`, (m, out) each; ReLU applied where a layer has it."""
        return forward(self.layers, data)

    def errors(self, data: np.ndarray, spikes: dict[str, np.ndarray], steps: int) -> dict[str, dict[str, float]]:
        """Per layer: correlation of rates with activations, and rms error relative to the scale.

        `spikes`: population -> (t, n) of a run on `encode(data, steps)`.
        """
        found = {}
        for layer, (name, wanted) in enumerate(zip(self.populations[1:], self.activations(data))):
            rate = self.window(spikes[name], name, steps).mean(axis=1) / self.max_rate
            if self.readout == "signed" and layer == self.depth - 1:
                rate = rate[:, : wanted.shape[1]] - rate[:, wanted.shape[1] :]
            else:
                wanted = np.maximum(wanted, 0)
            target = wanted / self.scales[layer + 1]
            found[name] = {
                "correlation": float(np.corrcoef(rate.ravel(), target.ravel())[0, 1]),
                "rms_error": float(np.sqrt(np.mean((rate - target) ** 2))),
            }
        return found


def convert_relu(
    layers: Sequence[Layer],
    data: np.ndarray,
    *,
    percentile: float = 99.9,
    reset: str = "subtract",
    max_rate: float = 1.0,
    input_rate: float = 1.0,
    readout: str = "spikes",
    inputs: str = "positive",
    balance_zero_reset: bool = False,
    name: str = "converted",
) -> Conversion:
    """A network of integrate-and-fire neurons whose rates are the activations of `layers`.

    Parameters
    ----------
    layers : sequence of Dense and Convolution
        In order; all but the last with ReLU (a linear layer inside, such as pooling, must not go negative).
    data : (m, n_in) ndarray
        Samples on which activations are balanced.
    percentile : float
        Of the positive activations of a layer; it becomes the full rate.
    reset : {"subtract", "zero"}
    max_rate, input_rate : float
        Full rate of neurons and of inputs in spikes per step, in (0, 1].
    readout : {"spikes", "signed"}
        "signed" gives each output a second neuron for negative values.
    inputs : {"positive", "range", "each"}
        What the full rate of an input stands for: the largest value of the data, none of which is negative; "range":
        the same for what lies above the lowest value; "each": every input by its own range (dense first layers).
    balance_zero_reset : bool
        With reset to zero, lower each layer's threshold so that rates fit the data best.

    Raises
    ------
    NetworkError
        Layers that do not fit each other or the data, negative inputs unless `inputs` allows them, layers that are
        silent on the data.
    """
    _check(layers, data, percentile, reset, readout, max_rate, input_rate, inputs)
    activations = forward(layers, data)
    low, span, top = _input_range(rows_of(data, "convert_relu: data"), inputs)
    scales = [top]
    net = Network(name)
    before = net.add("in", SpikeSource(layers[0].n_in))
    rate_before = input_rate
    for k, (layer, found) in enumerate(zip(layers, activations)):
        last = k == len(layers) - 1
        signed = last and readout == "signed"
        scale = _scale(found, percentile, k, signed)
        bias = (layer.biases() if k else _bias_at(layer, low)) / scale * max_rate
        drive = np.abs(found) / scale * max_rate
        threshold = _lowered_threshold(drive) if reset == "zero" and balance_zero_reset else 1.0
        shape = (2 * layer.shape[0],) if signed else layer.shape
        neurons = IF(
            shape, threshold=threshold, bias=np.concatenate([bias, -bias]) if signed else bias, reset=reset
        )  # fmt: skip
        here = net.add("out" if last else f"layer{k + 1}", neurons)
        factor = scales[-1] / scale * max_rate / rate_before
        net.connect(before, here, (layer if k else _spread(layer, span)).synapses(factor, signed))
        before, rate_before = here, max_rate
        scales.append(scale)
    return Conversion(net, tuple(layers), tuple(scales), max_rate, input_rate, readout, low, span)


def _input_range(data: np.ndarray, inputs: str) -> tuple[Any, Any, float]:
    """low, span and scale of the inputs: a value at full rate is low + span * scale."""
    if inputs == "each":
        low, high = data.min(axis=0), data.max(axis=0)
        return low, np.where(high > low, high - low, 1.0), 1.0
    low = float(data.min()) if inputs == "range" else 0.0
    top = float(data.max()) - low
    return low, 1.0, top if top > 0 else 1.0


def _bias_at(layer: Layer, low: Any) -> np.ndarray:
    """(n,) what the layer gives for inputs of which no spike tells: its bias, and the lowest inputs' share."""
    return layer.forward(np.broadcast_to(np.asarray(low, np.float64), (1, layer.n_in)))[0]


def _spread(layer: Layer, span: Any) -> Layer:
    return replace(layer, weights=layer.weights * span) if np.ndim(span) and isinstance(layer, Dense) else layer


def _check(
    layers: Sequence[Layer], data: np.ndarray, percentile: float, reset: str, readout: str, max_rate: float,
    input_rate: float, inputs: str,
) -> None:  # fmt: skip
    if not layers:
        raise NetworkError("convert_relu: no layers were given")
    choices = (("reset", reset, RESETS), ("readout", readout, READOUTS), ("inputs", inputs, INPUTS))
    for name, value, allowed in choices:
        choice(value, f"convert_relu: {name}", allowed)
    for name, value, top in (("percentile", percentile, 100), ("max_rate", max_rate, 1), ("input_rate", input_rate, 1)):
        if not 0 < finite(value, f"convert_relu: {name}") <= top:
            raise NetworkError(f"convert_relu: {name}={value} is outside (0, {top}]")
    samples = numbers(data, "convert_relu: data", exact=True)
    if samples.ndim < 2 or not len(samples) or int(np.prod(samples.shape[1:])) != layers[0].n_in:
        raise NetworkError(f"convert_relu: data has shape {samples.shape}; give (samples, {layers[0].n_in})")
    if not np.all(np.isfinite(samples)) or (samples.min() < 0 and inputs == "positive"):
        raise NetworkError(
            "convert_relu: data holds negative or non-finite values; spikes carry values >= 0 only: clean the data, or "
            "give inputs='range' (or 'each', before a dense layer), which moves the lowest values into the biases"
        )
    if inputs == "each" and not isinstance(layers[0], Dense):
        raise NetworkError("convert_relu: inputs='each' scales weights input by input, and a convolution shares them; "
                           "give inputs='range'")  # fmt: skip
    for k, (one, two) in enumerate(pairwise(layers)):
        if int(np.prod(one.shape)) != two.n_in:
            raise NetworkError(
                f"convert_relu: layer {k + 1} gives {int(np.prod(one.shape))} values, layer {k + 2} takes {two.n_in}"
            )
    for k, layer in enumerate(layers):
        if layer.activation not in ACTIVATIONS:
            raise NetworkError(
                f"convert_relu: layer {k + 1} has activation {shown(layer.activation)}; give relu or linear"
            )


def _scale(found: np.ndarray, percentile: float, k: int, signed: bool) -> float:
    live = np.abs(found[found != 0]) if signed else found[found > 0]
    if not live.size:
        raise NetworkError(f"convert_relu: layer {k + 1} is silent on all samples; give data that drives it")
    return float(np.percentile(live, percentile))


def _lowered_threshold(drive: np.ndarray) -> float:
    """Threshold in [0.5, 1] at which a neuron that resets to zero fires at rates closest to its drives."""
    levels = np.quantile(drive[drive > 1e-3], np.linspace(0, 1, 513)) if np.any(drive > 1e-3) else np.ones(1)
    thresholds = np.linspace(0.5, 1.0, 51)
    rates = 1.0 / (np.floor(thresholds[:, None] / levels) + 1)
    return float(thresholds[np.argmin(((rates - np.minimum(levels, 1.0)) ** 2).mean(axis=1))])
