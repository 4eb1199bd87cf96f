"""Experiments: tasks and networks as functions, and `EXPERIMENTS`, what `chipsim learn` runs.

A task is a module of functions: settings and a progress callback in, a result with its loss curve out. `protocol` says
what an experiment is, `catalogue` holds one value each. Imports all of mappings and chipsim, late where it is heavy.
"""

from __future__ import annotations

from .catalogue import EXPERIMENTS

__all__ = ["EXPERIMENTS"]
