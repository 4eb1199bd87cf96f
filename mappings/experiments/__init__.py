"""Experiments as functions: settings and a progress callback in, a result with its loss curve out.

`EXPERIMENTS` maps the name on the command line to the module whose `run` it calls.
"""

from __future__ import annotations

EXPERIMENTS = {
    "pattern-generation": "chipsim.mappings.experiments.pattern_generation",
    "evidence-accumulation": "chipsim.mappings.experiments.evidence_accumulation",
    "delayed-reward": "chipsim.mappings.experiments.delayed_reward",
    "xor-perturbation": "chipsim.mappings.experiments.xor",
    "reckon-cue": "chipsim.mappings.experiments.cue",
    "odin-digits": "chipsim.mappings.experiments.odin_digits",
}
