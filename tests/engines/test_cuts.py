"""Any cut of a run into calls gives the same bits, counters, weights and traces, on any number of threads, with
checkpoints in between: for every family, model, input kind and learning rule."""

from __future__ import annotations

import dataclasses

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import chipsim as cs
from chipsim.errors import FileError, RunError
from tests.support.cut_cases import ALL, LEARNING, STEPS, Case

SINGLE_STEPS = tuple(range(1, STEPS))
#: Cuts of the matrix: (steps at which a call ends, threads by call in turn, checkpoints: none, in memory, in a file).
MATRIX = {
    "single steps": (SINGLE_STEPS, (1,), "none"),
    "single steps, each from a checkpoint, on 2 threads and 1 in turn": (SINGLE_STEPS, (2, 1), "memory"),
    "a file in the middle, 1 thread to 3": ((STEPS // 2,), (1, 3), "file"),
    "a file in the middle, 2 threads to 1": ((STEPS // 3, STEPS - 1), (2, 1), "file"),
}


@pytest.fixture(autouse=True)
def _threads_at_once(monkeypatch):
    """Networks this small would not get threads; a small log makes the engine cut its own calls, too."""
    monkeypatch.setattr("chipsim.engines.timestep.THREADS_FROM", 0)


def facts(case: Case, results: list, emulator: cs.Emulator) -> dict[str, np.ndarray]:
    """All that a run shows, joined over its calls, and the state that it leaves."""
    found = {}
    for name in results[0].spikes:
        found[f"spikes {name}"] = np.concatenate([r.spikes[name] for r in results])
    for name, variables in results[0].trace.items():
        for variable in variables:
            found[f"trace {name}.{variable}"] = np.concatenate([r.trace[name][variable] for r in results])
    for name in results[0].activity.arrays():
        parts = [r.activity.arrays()[name] for r in results]
        found[f"activity {name}"] = parts[0] if name == "cores" else np.concatenate(parts)
    for name in ("clipped", "overflowed"):
        for p in results[0].spikes:
            found[f"{name} {p}"] = np.array(sum(getattr(r.activity, name)[p] for r in results))
    for act in results[0].activity.learning:
        found[f"learning {act}"] = np.concatenate([r.activity.learning[act] for r in results])
    for name, report in results[0].learning.items():
        for total in ("steps", "updates", "changed", "stalled", "saturated", "not_finite"):
            found[f"{name} {total}"] = np.array(sum(getattr(r.learning[name], total) for r in results))
        for variable in report.trace:
            found[f"{name}.{variable}"] = np.concatenate([r.learning[name].trace[variable] for r in results])
        found[f"weights {name}"] = dense(emulator.weights(name))
        found[f"after {name}"] = np.array(results[-1].learning[name].after)
    if results[0].cycles is not None:
        found["cycles"] = np.concatenate([r.cycles for r in results])
    if case.masks:
        found["masks"] = np.concatenate([r.raw.active for r in results])
    state = emulator.state()
    return found | {f"state {k}": v for k, v in state.items() if k != "weight"}


def dense(weights) -> np.ndarray:
    return weights.toarray() if hasattr(weights, "toarray") else weights


def in_parts(case: Case, cuts, threads, checkpoint: str, folder) -> tuple[list, cs.Emulator]:
    emulator = cs.Emulator(case.program, threads=threads[0])
    results, edges = [], [0, *cuts, STEPS]
    for k, (a, b) in enumerate(zip(edges, edges[1:])):  # noqa: RUF007
        if k and checkpoint != "none":
            other = cs.Emulator(case.program, threads=threads[k % len(threads)])
            if checkpoint == "file":
                other.load(emulator.save(folder / f"{k}.h5"))
            else:
                other.restore(emulator.state())
            emulator = other
        results.append(case.run(emulator, a, b))
    return results, emulator


def compare(whole: dict[str, np.ndarray], parts: dict[str, np.ndarray]) -> None:
    assert list(whole) == list(parts)
    for name, values in whole.items():
        np.testing.assert_array_equal(parts[name], values, err_msg=name)
        assert parts[name].dtype == values.dtype, name


@pytest.mark.parametrize("name", ALL)
def test_every_cut_of_every_kind(name: str, tmp_path) -> None:
    case = ALL[name](0)
    emulator = cs.Emulator(case.program)
    whole = facts(case, [case.run(emulator, 0, STEPS)], emulator)
    for cuts, threads, checkpoint in MATRIX.values():
        compare(whole, facts(case, *in_parts(case, cuts, threads, checkpoint, tmp_path)))
    emulator.reset()
    compare(whole, facts(case, [case.run(emulator, 0, STEPS)], emulator))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(list(ALL)), st.integers(0, 2**31), st.sets(st.integers(1, STEPS - 1)),
    st.lists(st.integers(1, 3), min_size=1, max_size=3), st.sampled_from(["none", "memory"]),
)  # fmt: skip
def test_any_cut(name: str, seed: int, cuts: set[int], threads: list[int], checkpoint: str) -> None:
    case = ALL[name](seed)
    emulator = cs.Emulator(case.program)
    whole = facts(case, [case.run(emulator, 0, STEPS)], emulator)
    compare(whole, facts(case, *in_parts(case, sorted(cuts), threads, checkpoint, None)))


@pytest.mark.parametrize("name", [*LEARNING, "lava, numbers", "brian2, spikes", "float unit, numbers"])
def test_a_full_log_cuts_a_run_like_any_other(name: str, monkeypatch) -> None:
    case = ALL[name](1)
    case.record = {k: v for k, v in case.record.items() if "->" not in k}  # which end calls at every step
    emulator = cs.Emulator(case.program)
    whole = facts(case, [case.run(emulator, 0, STEPS)], emulator)
    monkeypatch.setattr("chipsim.engines.timestep.LOG_ROOM", 0)
    small = cs.Emulator(case.program)
    compare(whole, facts(case, [case.run(small, 0, STEPS)], small))


@pytest.mark.parametrize("name", [*LEARNING, "lava noise, single", "odin", "truenorth", "reckon", "xylo numbers"])
def test_two_emulators_of_one_program_share_nothing(name: str) -> None:
    case = ALL[name](2)
    alone = cs.Emulator(case.program)
    whole = facts(case, [case.run(alone, 0, STEPS)], alone)
    one, two = cs.Emulator(case.program), cs.Emulator(case.program)
    parts: tuple[list, list] = ([], [])
    for a, b in ((0, 9), (9, STEPS)):
        for emulator, results in ((one, parts[0]), (two, parts[1])):
            results.append(case.run(emulator, a, b))
    compare(whole, facts(case, parts[0], one))
    compare(whole, facts(case, parts[1], two))


def test_the_value_of_a_single_event() -> None:
    """2 x 7 << 6 in one step, on every chip of the kind, and on floats."""
    for chip, neurons, weight, want in (
        ("unlimited", cs.loihi.LIF(1, du=4095, vth=131071), cs.loihi.Synapses([[2]], message_bits=8), [0, 896, 896]),
        ("loihi2", cs.loihi.LIF(1, du=4095, vth=131071), cs.loihi.Synapses([[2]], message_bits=8), [0, 896, 896]),
        ("float", cs.floats.LavaLIF(1, du=1.0, vth=1e9), cs.floats.Synapses([[2.0]]), [0, 14, 14]),
    ):
        net = cs.Network()
        net.add("x", cs.SpikeSource(1, graded=1))
        net.add("a", neurons)
        net.connect("x", "a", weight)
        result = cs.Emulator(cs.compile(net, chip)).run({"x": [[7], [0], [0]]}, record={"a": ["v"]})
        assert result.trace["a"]["v"][:, 0].tolist() == want, chip
        assert result.spikes["x"][:, 0].tolist() == [7, 0, 0]


@pytest.mark.parametrize("bits", [0, 8])
def test_an_event_of_value_0_is_none(bits: int) -> None:
    net = cs.Network()
    net.add("x", cs.SpikeSource(2, graded=1))
    net.add("a", cs.loihi.LIF(1, du=4095, vth=131071))
    net.connect("x", "a", cs.loihi.Synapses([[2, 3]], message_bits=bits))
    events = np.array([(0, 0, 0), (0, 1, 5), (1, 0, 0)], [("step", int), ("neuron", int), ("value", int)])
    program = cs.compile(net, "unlimited")
    given = [cs.Emulator(program).run({"x": x}, 3, record={"a": ["u"]}) for x in (events, [[0, 5], [0, 0], [0, 0]])]
    assert np.array_equal(given[0].trace["a"]["u"], given[1].trace["a"]["u"])
    assert given[0].activity.totals() == given[1].activity.totals()


@pytest.mark.parametrize("threads", [1, 2])
def test_checkpoints_of_older_versions_go_on_or_say_that_they_may_not(threads: int) -> None:
    """They held accumulators as the threads of their machine had them, and no spikes of earlier steps."""
    case = ALL["lava, numbers"](0)
    one, other = cs.Emulator(case.program, threads=threads), cs.Emulator(case.program, threads=threads)
    case.run(one, 0, 9)
    old = {k: v for k, v in one.state().items() if not k.startswith("tail/")}
    old |= {"weight": one._engine.machine.net.weight.copy(), "state/acc": one._engine._state.acc.copy()}
    with pytest.warns(UserWarning, match=f"does not say its number of threads: taken as {threads}"):
        other.restore(old)
    a, b = case.run(one, 9, STEPS), case.run(other, 9, STEPS)
    for name in a.spikes:
        assert np.array_equal(a.spikes[name], b.spikes[name])
    with pytest.raises(RunError, match="another number of threads"):
        cs.Emulator(case.program, threads=3 - threads).restore(old)


def test_events_that_wait_are_counted_over_a_cut() -> None:
    net = cs.Network()
    net.add("x", cs.SpikeSource(2))
    net.add("a", cs.loihi.LIF(3, vth=131071))
    net.connect("x", "a", cs.loihi.Synapses(np.full((3, 2), 4), delays=5))
    emulator = cs.Emulator(cs.compile(net, "unlimited"))
    assert emulator.run({"x": [[1, 1], [0, 0]]}).activity.waiting.tolist() == [6, 6]
    assert emulator.run({"x": [[0, 1]]}).activity.waiting.tolist() == [9]
    assert emulator.run(steps=6).activity.waiting.tolist() == [9, 9, 3, 3, 0, 0]
    emulator.run({"x": [[1, 1]]})
    emulator.reset()
    assert emulator.run(steps=2).activity.waiting.tolist() == [0, 0]


def test_a_saved_result_knows_what_waited_before_it(tmp_path) -> None:
    case = ALL["lava, spikes"](0)
    emulator = cs.Emulator(case.program)
    case.run(emulator, 0, 9)
    result = case.run(emulator, 9, STEPS)
    path = result.save(tmp_path / "r.h5")
    assert result.activity.waiting[0] > 0 and np.array_equal(
        cs.Result.load(path).activity.waiting, result.activity.waiting
    )
    for name, wrong in (("ids", case.program.n), ("ptr", 10**6)):
        with h5py.File(path, "r+") as file:
            saved = file[f"raw/before/{name}"][()]
            file[f"raw/before/{name}"][...] = np.where(np.arange(saved.size) == 1, wrong, saved)
        with pytest.raises(FileError, match="spike log does not fit"):
            cs.Result.load(path)
        with h5py.File(path, "r+") as file:
            file[f"raw/before/{name}"][...] = saved


def test_all_cases_send_something() -> None:
    quiet = [n for n in LEARNING if not any(v.any() for v in first_run(n).spikes.values())]
    assert not quiet and dataclasses.is_dataclass(ALL["odin"](0))


def first_run(name: str):
    case = ALL[name](0)
    return case.run(cs.Emulator(case.program), 0, STEPS)
