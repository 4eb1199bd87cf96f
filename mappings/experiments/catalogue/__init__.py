"""The experiments by name: one module each with an `EXPERIMENT`, one line each here.

A module here imports nothing heavy when it is imported: `chipsim learn` lists them in no time.
"""

from __future__ import annotations

from importlib import import_module

from ..protocol import Experiment

_MODULES = (
    "pattern_generation",
    "evidence_accumulation",
    "delayed_reward",
    "xor_perturbation",
    "reckon_cue",
    "odin_digits",
    "automata",
    "digits",
)


def _registered(modules: tuple[str, ...]) -> dict[str, Experiment]:
    found = [import_module(f"{__name__}.{module}").EXPERIMENT for module in modules]
    return {experiment.name: experiment for experiment in found}


EXPERIMENTS: dict[str, Experiment] = _registered(_MODULES)
