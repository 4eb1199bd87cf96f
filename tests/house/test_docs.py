"""What the pages show runs as it stands there: code from top to bottom, commands, links, docstrings."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import linecache
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
#: Pages whose code goes on from the quick start's first block, and those that stand alone.
CONTINUED = ("arithmetic.md", "estimates.md", "mapping.md", "quantisation.md")
ALONE = (
    "chips/catalyst_n1.md",
    "../README.md",
    "automata.md",
    "lava.md",
    "nengo_loihi.md",
    "quickstart.md",
    "cli.md",
    "learning.md",
    "loihi_learning.md",
    "nir.md",
    "norse.md",
    "rockpool.md",
    "sinabs.md",
    "sklearn.md",
    "snntorch.md",
    "torch.md",
    "write_a_rule.md",
)
#: What a page's code imports beside chipsim; where it is missing, the page is not run.
NEEDS = {
    "lava.md": ("lava",),
    "norse.md": ("torch", "norse"),
    "quantisation.md": ("sklearn",),
    "rockpool.md": ("torch", "rockpool"),
    "sinabs.md": ("torch", "sinabs"),
    "sklearn.md": ("sklearn",),
    "snntorch.md": ("torch", "snntorch"),
    "torch.md": ("torch",),
}
#: Run by no test here: their code needs files or tools that the page does not make.
ELSEWHERE = ("sweep.md",)

#: Examples that run here, and what they print.
SAYS = {
    "does_not_fit.py": "fits:",
    "recurrent_by_hand.py": "picture",
    "digits.py": "read after",
    "from_sklearn.py": "picture",
}
DOCTESTS = (
    "chipsim",
    "chipsim.emulator",
    "chipsim.estimate.estimate",
    "chipsim.engines.crossbar.odin",
    "chipsim.mappings.network.network",
)


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page in that language ("" for plain ones)."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.S | re.M)
    return [code for kind, code in found if kind == language]


def run_code(page: str, codes: list[str], names: dict[str, object]) -> None:
    """Run code in one name space; a failure names page and line of the block."""
    for k, code in enumerate(codes):
        file = f"<{page} block {k}>"
        linecache.cache[file] = (len(code), None, code.splitlines(True), file)  # so that rules find their source
        exec(compile(code, file, "exec"), names)


def test_no_page_is_forgotten() -> None:
    pages = {p.name for p in (ROOT / "docs").glob("*.md") if blocks(p.name, "python")}
    assert pages <= {*CONTINUED, *ALONE, *ELSEWHERE}


@pytest.mark.parametrize("page", [*ALONE, *CONTINUED])
def test_code_on_the_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for needed in NEEDS.get(page, ()):
        if importlib.util.find_spec(needed) is None:  # imports of some of them take seconds
            pytest.skip(f"needs {needed}")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "page"}
    if page in CONTINUED:
        run_code("quickstart.md", blocks("quickstart.md", "python")[:1], names)
    codes = blocks(page, "python")
    assert codes
    run_code(page, codes, names)


def shell(commands: str, folder: Path) -> str:
    """Run lines of a page in a shell whose `chipsim` and `python` are those of this test."""
    here = f"{sys.executable}"
    lines = [re.sub(r"^chipsim ", f"{here} -m chipsim ", line) for line in commands.splitlines()]
    lines = [re.sub(r"^python ", f"{here} ", line) for line in lines]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-e", "-c", "\n".join(lines)], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_commands_of_the_quick_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_code("quickstart.md", blocks("quickstart.md", "python"), {"__name__": "page"})
    commands = next(b for b in blocks("quickstart.md", "bash") if "chipsim map" in b)
    assert "Intel Loihi" in shell(commands, tmp_path)
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000


def test_commands_of_the_command_line_page(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(blocks("cli.md", "python")[0])
    commands = next(b for b in blocks("cli.md", "") if b.startswith("python"))
    shell(commands, tmp_path)
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for name in ("result.h5", "report.html", "report.json", "steps.csv", "cores.csv"):
        assert (tmp_path / "out" / name).is_file() and f"`{name}`" in text


def test_commands_of_the_nir_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_code("nir.md", blocks("nir.md", "python")[:1], {"__name__": "page"})
    assert "h: LIF" in shell(blocks("nir.md", "")[0], tmp_path)
    assert (tmp_path / "out" / "result.h5").is_file()


def test_every_command_is_on_the_page() -> None:
    from chipsim.cli.app import app

    text = blocks("cli.md", "")[0]
    assert {c.name for c in app.registered_commands} == set(re.findall(r"^chipsim (\w+)", text, flags=re.M))


@pytest.mark.parametrize("page", ["chips.md"])
def test_descriptions_on_the_page_load(page: str, tmp_path: Path) -> None:
    import chipsim as cs

    codes = blocks(page, "yaml")
    assert codes
    for k, code in enumerate(codes):
        (tmp_path / f"mine{k}.yaml").write_text(code)
        assert cs.chip(tmp_path / f"mine{k}.yaml").family


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"


@pytest.mark.parametrize("name", SAYS)
def test_example_runs(name: str, tmp_path: Path) -> None:
    if name in ("digits.py", "from_sklearn.py"):
        pytest.importorskip("sklearn")
    (tmp_path / name).write_text((ROOT / "examples" / name).read_text(encoding="utf-8"))
    printed = shell(f"python {name}", tmp_path)
    assert SAYS[name] in printed
    if name == "does_not_fit.py":
        assert printed.count("refused:") >= 3


@pytest.mark.parametrize("name", DOCTESTS)
def test_examples_in_docstrings(name: str) -> None:
    outcome = doctest.testmod(importlib.import_module(name))
    assert outcome.attempted and not outcome.failed
