"""The gesture-shaped example: its sizes, and the same spikes from Loihi's integers and from floats."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

import chipsim as cs
from chipsim.mappings.formats import read_network

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "gesture_energy.py"


def test_integers_and_floats_agree() -> None:
    network = runpy.run_path(str(EXAMPLE), run_name="network")["network"]
    results = [
        cs.Emulator(cs.compile(network(kind), chip)).run(steps=40)
        for kind, chip in (("loihi", "unlimited"), ("float", "float"))
    ]
    program = results[0].program
    assert program.n == 18_678
    assert round(program.fan_out.events.sum() / 1e6, 2) == 3.56
    for image in program.populations[:-1]:
        assert results[0].spikes[image.name].any()
    for image in program.populations:
        assert np.array_equal(results[0].spikes[image.name], results[1].spikes[image.name]), image.name


def test_it_is_a_network_file() -> None:
    assert [p.n for p in read_network(EXAMPLE).populations.values()] == [1024, 3600, 5408, 7744, 891, 11]
