"""Chips whose time or memory follows from a published formula: Xylo's cycles per step, Speck's memory and
operation rate.
"""

from __future__ import annotations

from math import ceil, log2
from typing import TYPE_CHECKING

from chipsim.checks import shown
from chipsim.errors import CompileError, DescriptionError

if TYPE_CHECKING:
    from .schema import Chip


def xylo_cycles(
    chip: Chip,
    *,
    inputs: int,
    hidden: int,
    outputs: int,
    input_rate: float,
    hidden_rate: float,
    fan_out: float,
    input_enabled: int | None = None,
    output_enabled: int | None = None,
    alias_targets: float = 0.0,
    alias_sources: float = 0.0,
) -> float:
    """Mean clock cycles of one step of a Xylo core (Rockpool, power_cycles_model).

    Parameters
    ----------
    chip
        A description with the `cycles` of that model.
    inputs, hidden, outputs
        Numbers of neurons; `input_enabled` and `output_enabled` hidden neurons have input and output
        weights (all, if None).
    input_rate, hidden_rate
        Spike probabilities per step.
    fan_out
        Mean recurrent synapses per hidden neuron.
    alias_targets, alias_sources
        Fractions of hidden neurons that are targets and sources of an alias.
    """
    if not chip.cycles:
        raise DescriptionError(f"chip {shown(chip.name)} has no cycle model: its description gives no 'cycles'")
    k, p, a, s = chip.cycles, hidden_rate, alias_targets, alias_sources
    ien = hidden if input_enabled is None else input_enabled
    oen = hidden if output_enabled is None else output_enabled
    return (
        inputs * (k["input_spike"] * input_rate * ien + k["input"])
        + hidden * (k["recurrent_spike"] * fan_out * p + k["hidden_scan"])
        + oen * p * (k["output_spike"] + k["output_synapse"] * outputs)
        + hidden
        * (k["hidden_base"] + k["hidden_fire"] * max(p, a * s) + k["alias"] * max(p * a, a * s) + p + max(p, a) * s)
        + k["output"] * outputs
    )


def xylo_clock(chip: Chip, cycles: float, dt: float) -> float:
    """Clock in Hz that handles `cycles` in each step of `dt` seconds, with the margin of the model."""
    return cycles * chip.cycles["clock_margin"] / dt


def speck_neuron_words(features: int, width: int, height: int) -> int:
    """Words of neuron memory of a layer: f 2**(ceil(log2 fx) + ceil(log2 fy)) (sinabs-dynapcnn)."""
    return features * 2 ** (ceil(log2(width)) + ceil(log2(height)))


def speck_kernel_words(channels: int, features: int, width: int, height: int) -> int:
    """Words of kernel memory of a layer: c 2**(ceil(log2 kx ky) + ceil(log2 f)) (sinabs-dynapcnn)."""
    return channels * 2 ** (ceil(log2(width * height)) + ceil(log2(features)))


def speck_synops_rate(
    spike_rate: float, features: int, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1)
) -> float:
    """Synaptic operations per second that a layer makes of `spike_rate` input spikes per second."""
    return spike_rate * features * kernel[0] * kernel[1] / (stride[0] * stride[1])


def speck_place(chip: Chip, layers: list[tuple[int, int]]) -> list[int]:
    """A core for each layer (kernel words, neuron words), by matching needs and memories of the cores.

    Raises `CompileError` naming the layer that finds no core.
    """
    memories = chip.limits.core_memories
    owner: dict[int, int] = {}

    def place(layer: int, seen: set[int]) -> bool:
        kernel, neuron = layers[layer]
        for core, memory in enumerate(memories):
            if core not in seen and kernel <= memory.kernel and neuron <= memory.neuron:
                seen.add(core)
                if core not in owner or place(owner[core], seen):
                    owner[core] = layer
                    return True
        return False

    for layer, (kernel, neuron) in enumerate(layers):
        if not place(layer, set()):
            raise CompileError(
                f"layer {layer} needs {kernel} kernel and {neuron} neuron words: no core is left "
                "for it; use fewer features, a larger stride, or another chip",
                resource="core memory",
                need=max(kernel, neuron),
            )
    return [core for _, core in sorted((layer, core) for core, layer in owner.items())]
