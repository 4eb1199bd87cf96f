"""Compile flags shared by the learning rules."""

from __future__ import annotations

from typing import Any

FLAGS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
