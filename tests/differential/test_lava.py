"""Random networks against Lava's own models: integers, floats, convolutions, learning; a few in Lava's runtime."""

from __future__ import annotations

import contextlib

import pytest

from chipsim.mappings.formats.lava.writer import patched_import

from .compare import agree, first_difference
from .draw import lava_case, lava_images
from .draw_floats import lava_float_case
from .draw_learning import lava_learning_case
from .lava_tools import run_directly, run_in_runtime

with contextlib.suppress(ImportError):
    patched_import()
pytest.importorskip("lava.proc.lif.process", reason="Lava is not installed: see .ci/lava", exc_type=Exception)

FEW = {
    "test_integers": 80, "test_convolutions": 25, "test_floats": 40, "test_learning": 25,
    "test_driven_as_by_the_runtime": 2,
}  # fmt: skip


def test_integers(seed: int) -> None:
    agree(lava_case(seed), run_directly, "Lava")


def test_convolutions(seed: int) -> None:
    agree(lava_images(seed), run_directly, "Lava")


def test_floats(seed: int) -> None:
    """Sums of floats in another order differ in the last bits."""
    agree(lava_float_case(seed), run_directly, "Lava", tolerance=1e-11)


def test_learning(seed: int) -> None:
    agree(lava_learning_case(seed), run_directly, "Lava")


def test_driven_as_by_the_runtime(seed: int) -> None:
    """The models driven by hand do what they do in Lava's runtime, in networks of neurons that it can spread out."""
    case = lava_case(next(s for s in range(10_000 * (seed + 1), 10**7) if _shared(lava_case(s))))
    assert first_difference(run_directly(case), run_in_runtime(case)) is None
    agree(case, run_in_runtime, "Lava's runtime")


def _shared(case) -> bool:
    """Small, everything reached, one value for all where Lava's processes hold one for all."""
    ones = ("du", "dv", "vth", "vth_hi", "vth_lo")
    models = case.populations.values()
    reached = {link.post for link in case.links.values()} >= {n for n in case.populations if not case.is_input(n)}
    plain = all(not hasattr(m.kwargs.get(k), "shape") for m in models for k in ones)
    return reached and plain and 2 <= len(case.links) <= 4 and len(models) >= 3
