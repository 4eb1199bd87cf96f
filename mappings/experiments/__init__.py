"""Experiments as functions: settings and a progress callback in, a result with its loss curve out.

`EXPERIMENTS` maps the name on the command line to the module whose `run` it calls.
"""

from __future__ import annotations

EXPERIMENTS = {
    "pattern-generation": "mappings.experiments.pattern_generation",
    "evidence-accumulation": "mappings.experiments.evidence_accumulation",
    "delayed-reward": "mappings.experiments.delayed_reward",
    "xor-perturbation": "mappings.experiments.xor_perturbation",
    "reckon-cue": "mappings.cue_task",
    "odin-digits": "mappings.odin_digits",
}
