"""The code on the page "write your own learning rule" runs, from top to bottom."""

from __future__ import annotations

import linecache
import re
from pathlib import Path

import pytest

PAGES = ("write_a_rule.md", "learning.md")


@pytest.mark.parametrize("page", PAGES)
def test_code_on_the_page_runs(page: str) -> None:
    text = (Path(__file__).parent.parent / "docs" / page).read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.S)
    assert blocks
    names: dict[str, object] = {"__name__": "page"}
    for k, block in enumerate(blocks):
        file = f"<{page} block {k}>"
        linecache.cache[file] = (len(block), None, block.splitlines(True), file)  # so that rules find their source
        exec(compile(block, file, "exec"), names)
