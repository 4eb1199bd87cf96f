"""The readers under attack: their good files, what is done with what they accept, how files are changed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import chipsim as cs

from .harness import Target
from .mutate import mutate_hdf5, mutate_npy, mutate_npz, mutate_text
from .nets import LEARNING, NETS, emulator_of, inputs_of, program_of, teaching

STEPS = 3  #: run with what was accepted
MOST = 4096  #: neurons of a program that is run


def saved(save: Callable[[Path], Any], suffix: str = ".h5") -> bytes:
    """The bytes that `save(path)` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"seed{suffix}"
        save(path)
        return path.read_bytes()


def program_files() -> list[bytes]:
    """One of every family."""
    return [saved(program_of(name).save) for name in NETS]


def read_program(path: Path) -> None:
    """Load, and run a few steps."""
    program = cs.Program.load(path)
    if program.n <= MOST:
        cs.Emulator(program).run(inputs_of(program, STEPS), STEPS, learn=False)


def result_files() -> list[bytes]:
    """With recorded variables, masks, learning."""
    made = []
    for name in ("loihi", "graded", "odin", "truenorth", "reckon", "declared"):
        emulator = cs.Emulator(program_of(name))
        plain = name in ("loihi", "graded", "declared")
        record = {"a": "u" if name == "reckon" else "v"}
        result = emulator.run(inputs_of(emulator.program, 5), 5, record=record, masks=plain, **teaching(name, 5))
        made.append(saved(result.save))
    return made


def read_result(path: Path) -> None:
    """Load, look at everything, price it."""
    result = cs.Result.load(path)
    if result.program.n > MOST or result.steps > 1000:
        return
    for image in result.program.populations:
        result.spikes[image.name], result.events[image.name]
    {name: dict(values) for name, values in result.volts.items()}
    result.rates(), result.activity.totals(), result.learning, result.cycles
    if result.program.chip.costs:
        result.estimate()


def read_checkpoint(name: str, path: Path) -> None:
    """Load into an emulator, run on, and back."""
    emulator, state = emulator_of(name)
    emulator.load(path)
    emulator.run(inputs_of(emulator.program, STEPS), STEPS, **teaching(name, STEPS))
    emulator.restore(state)


def checkpoint_files(name: str) -> list[bytes]:
    """After a few steps."""
    emulator, _ = emulator_of(name)
    return [saved(emulator.save)]


def network_files() -> list[bytes]:
    """Native, ideal and learning ones."""
    from chipsim.mappings.network.files import save_network

    return [saved(partial(save_network, NETS[name][0]())) for name in ("loihi", "conv", "odin", "declared", "engine")]


def read_network_file(path: Path) -> None:
    """Load, and compile what can be."""
    from chipsim.mappings.network.files import load_network

    net = load_network(path)
    if net.n <= MOST:
        cs.compile(net, "unlimited")


NIR_OPTIONS: dict[str, Any] = {"dt": 1e-3, "scheme": "norse_box", "reset": "zero"}


def nir_files() -> list[bytes]:
    """Linear, convolution, recurrent neurons, a readout."""
    import nir

    one, two = np.ones(3), np.ones((1, 2, 2))
    lif = nir.LIF(5e-3 * one, one, 0 * one, one, 0 * one)
    dense = nir.NIRGraph(
        {"input": nir.Input(np.array([4])), "w": nir.Affine(np.ones((3, 4)), np.zeros(3)), "n": lif,
         "r": nir.Linear(np.ones((3, 3))), "output": nir.Output(np.array([3]))},
        [("input", "w"), ("w", "n"), ("n", "r"), ("r", "n"), ("n", "output")], type_check=False,
    )  # fmt: skip
    kernel = nir.Conv2d((3, 3), np.ones((1, 1, 2, 2)), 1, 0, 1, 1, np.zeros(1))
    image = nir.NIRGraph(
        {"input": nir.Input(np.array([1, 3, 3])), "w": kernel, "output": nir.Output(np.array([1, 2, 2])),
         "n": nir.CubaLIF(1e-2 * two, 5e-3 * two, two, 0 * two, two, 0 * two)},
        [("input", "w"), ("w", "n"), ("n", "output")], type_check=False,
    )  # fmt: skip
    return [saved(lambda path, graph=graph: nir.write(path, graph), ".nir") for graph in (dense, image)]


def read_nir(path: Path) -> None:
    """Read as the tools that write it would mean it."""
    from chipsim.mappings.formats.nir.reader import from_nir

    from_nir(path, **NIR_OPTIONS)


def netx_files() -> list[bytes]:
    """What our own writer makes of a dense network and of a convolution."""
    import h5py

    def write(path: Path) -> None:
        with h5py.File(path, "w") as file:
            for k, (kind, fields) in enumerate(NETX):
                group = file.create_group(f"layer/{k}")
                group.create_dataset("type", (1,), "S10", [kind.encode()])
                for name, value in fields.items():
                    if isinstance(value, dict):
                        inner = group.create_group(name)
                        inner.create_dataset("type", (1,), "S10", [b"CUBA"])
                        for key, number in value.items():
                            inner[key] = number
                    else:
                        group[name] = value

    return [saved(write, ".net")]


_CUBA = {"iDecay": 1024, "vDecay": 128, "vThMant": 80, "refDelay": 1, "gradedSpike": False}
NETX = (
    ("input", {"shape": np.array([4]), "neuron": _CUBA}),
    ("dense", {"shape": np.array([3]), "weight": np.ones((3, 4), np.int32), "delay": np.zeros(4), "neuron": _CUBA}),
    ("dense", {"shape": np.array([2]), "weight": np.full((2, 3), -4.0), "neuron": _CUBA}),
)


def read_netx(path: Path) -> None:
    """Read the layers into a network."""
    from chipsim.mappings.formats.netx.reader import from_netx

    from_netx(path)


def read_inputs(path: Path) -> None:
    """Read spikes for a program, and run it with them."""
    from chipsim.run.input_files import read_inputs as read

    emulator, state = emulator_of("loihi")
    given = read(path, emulator.program)
    if max((len(x) for x in given.values() if np.ndim(x)), default=0) < 1000:
        emulator.run(given, 5)
        emulator.restore(state)


def input_arrays() -> list[np.ndarray]:
    """Dense spikes of three lines, and events."""
    events = np.zeros(3, [("step", "i8"), ("neuron", "i8")])
    events["step"], events["neuron"] = [0, 1, 3], [0, 2, 1]
    return [np.ones((5, 3), bool), np.ones((5, 3), np.int64), np.ones((5, 3)), events]


def npy_files() -> list[bytes]:
    """An array each."""
    return [saved(lambda path, a=a: np.save(path, a), ".npy") for a in input_arrays()]


def npz_files() -> list[bytes]:
    """Plain and compressed."""
    arrays = input_arrays()
    plain = [saved(lambda path, a=a: np.savez(path, x=a), ".npz") for a in arrays]
    return [*plain, saved(lambda path: np.savez_compressed(path, x=arrays[0]), ".npz")]


def input_hdf5_files() -> list[bytes]:
    """One data set for the source."""
    import h5py

    def write(path: Path, array: np.ndarray) -> None:
        with h5py.File(path, "w") as file:
            file["x"] = array

    return [saved(partial(write, array=a)) for a in input_arrays()]


def automaton_files() -> list[bytes]:
    """Two states, accepting one of them."""
    given = {"states": ["a", "b"], "alphabet": ["0", "1"], "start": "a", "accepting": ["b"],
             "transitions": [["a", "0", "a"], ["a", "1", "b"], ["b", "0", "b"], ["b", "1", "a"]]}  # fmt: skip
    return [json.dumps(given).encode()]


def read_automaton(path: Path) -> None:
    """Read it into a network."""
    from chipsim.mappings.formats.automaton import load_automaton

    load_automaton(path)


def cue_files() -> list[bytes]:
    """Samples in ReckOn's event format."""
    from chipsim.mappings.experiments.cue_data import make_cues, write_cues

    cues = make_cues(2, 0)
    return [saved(partial(write_cues, cues), ".txt")]


def read_cue_file(path: Path) -> None:
    """Read the samples."""
    from chipsim.mappings.experiments.cue_data import read_cues

    read_cues(path)


TARGETS = [
    Target("program", ".h5", program_files, read_program, mutate_hdf5),
    Target("result", ".h5", result_files, read_result, mutate_hdf5),
    Target("network", ".h5", network_files, read_network_file, mutate_hdf5),
    *(
        Target(
            f"checkpoint-{name}", ".h5", partial(checkpoint_files, name), partial(read_checkpoint, name), mutate_hdf5
        )
        for name in NETS
    ),
    Target("nir", ".nir", nir_files, read_nir, mutate_hdf5),
    Target("netx", ".net", netx_files, read_netx, mutate_hdf5),
    Target("inputs-npy", ".npy", npy_files, read_inputs, mutate_npy),
    Target("inputs-npz", ".npz", npz_files, read_inputs, mutate_npz),
    Target("inputs-hdf5", ".h5", input_hdf5_files, read_inputs, mutate_hdf5),
    Target("automaton", ".json", automaton_files, read_automaton, mutate_text),
    Target("cues", ".txt", cue_files, read_cue_file, mutate_text),
]
__all__ = ["LEARNING", "TARGETS"]
