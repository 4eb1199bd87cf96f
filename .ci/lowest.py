"""Prints the lowest versions that pyproject.toml allows, one requirement a line: `>=` becomes `==`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

TEXT = (Path(__file__).parent.parent / "pyproject.toml").read_text()


def listed(name: str) -> list[str]:
    """The requirements of a list in pyproject.toml."""
    found = re.search(rf"^{name} = \[(.*?)\]$", TEXT, re.MULTILINE | re.DOTALL)
    if found is None:
        raise SystemExit(f"pyproject.toml has no list {name!r}")
    return re.findall(r'"([^"]+)"', found.group(1))


def main(extras: list[str]) -> None:
    """All dependencies, and those of the extras."""
    wanted = [r for name in ("dependencies", *extras) for r in listed(name)]
    for requirement in wanted:
        if ">=" in requirement:
            print(requirement.split(";")[0].replace(">=", "==").strip())


if __name__ == "__main__":
    main(sys.argv[1:])
