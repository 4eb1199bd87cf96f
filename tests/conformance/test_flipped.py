"""One wrong value in a recorded file makes its replay fail: shown for every suite, so that no array goes unlooked.

By default one array of every file is changed in memory, another in every file; `--flip all` changes every array in
turn and takes as long as replaying the suite once per array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest

from tests.conformance import (
    test_energy,
    test_lava,
    test_lava_learn,
    test_lava_learn_engine,
    test_learning,
    test_nir,
    test_odin,
    test_reckon,
    test_seeds,
)
from tests.conformance.conftest import NOTES, golden_files, golden_id

Case = Callable[[Path, Any], None]


def energy(path: Path, config: Any) -> None:
    """All tests of one file of the energy suite."""
    if path.parent.name == "neurobench":
        return test_energy.test_neurobench(path)
    if path.name.startswith("dvs_"):
        return test_energy.test_dvs_gesture_totals(path)
    ran: dict = {}
    for test in (test_energy.test_work, test_energy.test_energy, test_energy.test_time, test_energy.test_messages):
        test(path, ran)
    return None


def learned_by_lava(path: Path) -> None:
    """On the chip, and the random numbers that a file holds."""
    test_lava_learn.test_on_the_chip(path)
    test_lava_learn_engine.test_streams_of_seed(path)


def lava(path: Path, config: Any) -> None:
    """The test of one file of the Lava suite, by its folder and name."""
    folder, name = path.parent.name, path.name
    tests: dict[str, Callable[[Path], None]] = {
        "lava_lif": test_lava.test_lava,
        "lava_float": test_lava.test_lava_float if name.startswith("LIF") else test_lava_learn.test_float,
        "lava_learn": learned_by_lava,
        "nengo_loihi": test_lava_learn.test_pes if name.startswith("pes_") else test_lava.test_nengo_loihi,
        "brian2_loihi": test_lava_learn.test_statistical if "statistical" in name else test_lava.test_brian2_loihi,
    }
    tests[folder](path)


def nir(path: Path, config: Any) -> None:
    """A recorded run beside its graph, or beside a description of a Xylo network."""
    folder = path.parent
    (test_nir.test_xylo if (folder / "spec.npz").exists() else test_nir.test_graph)(folder)


def odin(path: Path, config: Any) -> None:
    """An event-driven core or the grid."""
    (test_odin.test_grid if path.name.startswith("ranc_") else test_odin.test_events)(path)


SUITES: dict[str, Case] = {
    "energy": energy,
    "lava": lava,
    "learning": lambda path, config: test_learning.compare(path, test_learning.ALL_KINDS),
    "nir": nir,
    "odin": odin,
    "seeds": lambda path, config: test_learning.compare(path, test_seeds.ALL_KINDS),
    "reckon": lambda path, config: test_reckon.replay(path, config.getoption("golden")),
}
#: Files that are no recorded run on their own, or that another suite replays (the quantiser's own test).
ASIDE = ("quantiser", "functions", "spec.npz", "LOSSY", "big_recurrent", "loss_curves")


#: Arrays that go into a run: one value of a stimulus, a weight or a register may change nothing that is recorded.
STIMULUS: dict[str, set[str]] = {
    "energy": {
        "bias", "core", "dest_order", "force_update", "input_decay", "input_spikes", "input_unit", "leak_decay", "pre",
        "post", "refractory", "reset", "reset_mode", "threshold", "weight", "is_input",
        # five processes that differ by up to 7 %, a model that agrees to 5 %, times without their network
        "time_detailed", "time_cycle", "time_cycle_first20", "time_simple", "W1", "W2",
    },
    "lava": {"w", "w_rec", "w_in", "w0", "d_aa", "d_xa", "d_eo", "err", "d0", "t0", "pre", "post", "reward",
             "w_mant_in", "w_mant_rec", *(f"w_{a}{b}" for a in "aeiox" for b in "abceio")},
    # a synapse that is late, an amplitude that another rule left there, how a relaxation was stepped
    "learning": {"sp_w", "resume_params", "dt", "n_relax"},
    "nir": {"input"},
    "seeds": set(),
    "odin": {"conn", "dest_axon", "dest_tick", "dx", "dy", "ev_addr", "ev_t", "grid", "leak", "negthr", "neur0",
             "run_limit", "syn0", "thr", "types", "v0", "w", "flags0", "packets", "cfg_regs", "delays", "mode",
             "reset"},
    # the learning signals are registers that hold what was last in them: only some ticks may be compared
    "reckon": test_reckon.STIMULUS | {"lsig_last_group"},
}  # fmt: skip


def flipped(array: np.ndarray) -> np.ndarray:
    """The array with its middle value changed: a bit, one, or a hundredth of the largest magnitude."""
    changed = np.array(array)
    at = changed.size // 2
    if changed.dtype.kind == "b":
        changed.flat[at] ^= True
    elif changed.dtype.kind in "iu":
        changed.flat[at] ^= 1
    else:
        changed.flat[at] += 0.01 * (np.abs(changed[np.isfinite(changed)]).max(initial=0.0) or 1.0)
    return changed


class Changed(dict):
    """What np.load returns, one array of it changed."""

    files = property(list)

    def __enter__(self) -> Changed:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def names_of(suite: str, path: Path) -> list[str]:
    """Arrays of numbers in a file that a run must reproduce."""
    aside = NOTES | STIMULUS[suite]
    with np.load(path, allow_pickle=False) as file:
        return [n for n in file.files if n not in aside and file[n].dtype.kind in "biuf" and file[n].size]


def cases(config: Any) -> Iterator[tuple[str, Path, str]]:
    """(suite, file, array) to be tried."""
    for suite in SUITES:
        for path in golden_files(config, suite):
            if any(part in str(path) for part in ASIDE):
                continue
            names = names_of(suite, path)
            every = config.getoption("flip") == "all"
            yield from ((suite, path, n) for n in (names if every else [names[crc32(path.name.encode()) % len(names)]]))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "flip" in metafunc.fixturenames:
        found = list(cases(metafunc.config))
        metafunc.parametrize("flip", found, ids=[f"{s}-{golden_id(p)}-{n}" for s, p, n in found])


def test_a_wrong_value_is_noticed(flip: tuple[str, Path, str], pytestconfig, monkeypatch) -> None:
    suite, path, name = flip
    real = np.load

    def load(file: Any, *rest: Any, **options: Any) -> Any:
        if Path(file) != path:
            return real(file, *rest, **options)
        with real(file, *rest, **options) as data:
            arrays = Changed({n: data[n] for n in data.files})
        arrays[name] = flipped(arrays[name])
        return arrays

    monkeypatch.setattr(np, "load", load)
    with pytest.raises(Exception):  # noqa: B017 - a wrong stimulus may be refused, a wrong result fails to compare
        SUITES[suite](path, pytestconfig)
