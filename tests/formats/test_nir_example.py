"""The example that compares networks on chips with floats: its table, its picture, its moving digits."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples" / "nir_on_chip.py"


def test_table_and_picture(tmp_path, capsys):
    main = runpy.run_path(str(EXAMPLE))["main"]
    main([str(ROOT / "tests" / "golden" / "nir"), "--samples", "2", "--only", "sinabs", "--out", str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    rows = [re.match(r"sinabs_ff_iaf +(\w+) +(.*?) +(\d+) +(\d+) of 3 +([\d.]+) ", line) for line in lines[1:7]]
    found = {(row[1], row[2]): (int(row[3]), int(row[4]), float(row[5])) for row in rows if row}
    assert set(found) == {(c, s) for c in ("loihi", "loihi2") for s in ("8 bits", "8 bits, data", "8 + 8 bits")}
    assert all(substeps == (2 if chip == "loihi" else 1) for (chip, _), (substeps, _, _) in found.items())
    assert min(rate for _, _, rate in found.values()) > 0.99
    assert sum(line.startswith(("loihi, ", "loihi2, ")) for line in lines) == 6
    assert (tmp_path / "nir_on_chip.png").stat().st_size > 20_000


def test_a_moving_sensor_sees_edges_only():
    pytest.importorskip("sklearn")
    names = runpy.run_path(str(EXAMPLE))
    images, labels = names["digits"](2)
    events = names["moving"](images[0])
    assert events.shape == (60, 2, 34, 34) and labels.tolist() == [0, 1]
    assert set(np.unique(events)) == {0.0, 1.0} and 1000 < events.sum() < 10_000
    assert not names["moving"](np.zeros((8, 8))).any()
    assert not events[:, :, :2].any() and not events[:, :, -2:].any()
