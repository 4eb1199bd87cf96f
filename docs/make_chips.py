"""Writes docs/chips.md from the shipped chip descriptions: python docs/make_chips.py."""

from __future__ import annotations

from pathlib import Path

from chipsim.report.chip_table import markdown

if __name__ == "__main__":
    Path(__file__).with_name("chips.md").write_text(markdown(), encoding="utf-8")
