"""Catalyst N1 in its own registers (`cs.catalyst`)."""

from __future__ import annotations

from .build import ARTY, DEFAULT, F2, KRIA, Build

__all__ = ["ARTY", "DEFAULT", "F2", "KRIA", "Build"]
