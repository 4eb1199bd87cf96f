"""Counters and fan-out against a recount that walks every spike, synapse and link one by one."""

from __future__ import annotations

from functools import cache

import numpy as np
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import chipsim as cs
from chipsim.native.synapses import Conv
from tests.support.strategies import networks

FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def conv_synapses(conv: Conv) -> list[tuple[int, int]]:
    """(post, pre) of every synapse of a convolution: output by output, tap by tap."""
    (n0, n1, c_in), (m0, m1, c_out) = conv.in_image, conv.out_image
    found = []

    def index(a: int, b: int, c: int, image: tuple[int, int, int]) -> int:
        return (a * image[1] + b) * image[2] + c if conv.channels == "last" else (c * image[0] + a) * image[1] + b

    for o0 in range(m0):
        for o1 in range(m1):
            for co in range(c_out):
                for k0 in range(conv.kernel.shape[1]):
                    for k1 in range(conv.kernel.shape[2]):
                        a = o0 * conv.stride[0] - conv.padding[0] + k0 * conv.dilation[0]
                        b = o1 * conv.stride[1] - conv.padding[1] + k1 * conv.dilation[1]
                        if not (0 <= a < n0 and 0 <= b < n1):
                            continue
                        group = co // (c_out // conv.groups)
                        for ci in range(conv.kernel.shape[3]):
                            c = group * conv.kernel.shape[3] + ci
                            found.append((index(o0, o1, co, (m0, m1, c_out)), index(a, b, c, (n0, n1, c_in))))
    return found


def synapses_of(synapses) -> list[tuple[int, int, int]]:
    """(post, pre, delay) of every synapse: nonzero entries of a dense matrix, stored ones of a sparse one."""
    if isinstance(synapses, Conv):
        return [(post, pre, 0) for post, pre in conv_synapses(synapses)]
    matrix = synapses.mantissa if hasattr(synapses, "mantissa") else synapses.weights
    if sp.issparse(matrix):
        table = matrix.tocoo()
        pairs = list(zip(table.coords[0].tolist(), table.coords[1].tolist()))
    else:
        pairs = [(i, j) for i in range(matrix.shape[0]) for j in range(matrix.shape[1]) if matrix[i, j] != 0]
    delays = synapses.delays
    if np.ndim(delays) == 0:
        return [(i, j, int(delays)) for i, j in pairs]
    dense = delays.toarray() if sp.issparse(delays) else delays
    return [(i, j, int(dense[i, j])) for i, j in pairs]


def walk(topology, here: int, there: int) -> np.ndarray:
    """Links passed east, west, north, south from core to core, one tile at a time, x first."""
    at = [here // topology.cores_per_tile // topology.height, here // topology.cores_per_tile % topology.height]
    goal = [there // topology.cores_per_tile // topology.height, there // topology.cores_per_tile % topology.height]
    passed = np.zeros(4, np.int64)
    for axis in (0, 1):
        while at[axis] != goal[axis]:
            step = 1 if goal[axis] > at[axis] else -1
            at[axis] += step
            passed[2 * axis + (step < 0)] += 1
    return passed


def recount(program, result) -> dict[str, np.ndarray]:
    """The counters, from the spikes of a result."""
    steps, cores = result.steps, program.cores.tolist()
    column = {core: k for k, core in enumerate(cores)}
    out = {
        k: np.zeros((steps, len(cores)), np.int64) for k in ("spikes", "packets_out", "packets_in", "synaptic_events")
    }
    out |= {"hops": np.zeros((steps, 4), np.int64)}
    out |= {k: np.zeros(steps, np.int64) for k in ("waiting", "input_spikes")}
    reached: dict[int, list[tuple[int, int]]] = {}
    for p in program.projections:
        pre, post = program.populations[p.pre], program.populations[p.post]
        for i, j, delay in synapses_of(p.synapses):
            reached.setdefault(pre.start + j, []).append((int(program.core[post.start + i]), delay))
    for image in program.populations:
        for t, k in zip(*np.nonzero(result.spikes[image.name])):
            neuron = image.start + int(k)
            home = int(program.core[neuron])
            targets = reached.get(neuron, [])
            goals = {core for core, _ in targets}
            out["input_spikes"][t] += image.model.is_input
            if home >= 0:
                out["spikes"][t, column[home]] += 1
                out["packets_out"][t, column[home]] += len(goals)
            for core in goals:
                out["packets_in"][t, column[core]] += 1
                if home >= 0:
                    out["hops"][t] += walk(program.chip.topology, home, core)
            for core, delay in targets:
                out["synaptic_events"][t, column[core]] += 1
                out["waiting"][t : t + delay] += 1
    return out


def same(program, result) -> None:
    for name, expected in recount(program, result).items():
        np.testing.assert_array_equal(getattr(result.activity, name), expected, err_msg=name)
    busy, idle = result.activity.updates_active, result.activity.updates_idle
    sizes = np.zeros(len(program.cores), np.int64)
    for image in program.populations:
        if not image.model.is_input:
            sizes += (program.core[image.start : image.stop, None] == program.cores).sum(axis=0)
    assert ((busy + idle) == sizes).all() and (busy >= 0).all() and (idle >= 0).all()


@cache
def mesh():
    """A chip without limits on a mesh of 4 x 5 tiles of 2 cores, as many chips as wanted."""
    base = cs.chip("unlimited")
    return base.model_copy(
        update={
            "topology": base.topology.model_copy(update={"width": 4, "height": 5, "cores_per_tile": 2, "chips": None})
        }
    )


@FEW
@given(networks(largest=9), st.integers(0, 2**32 - 1), st.sampled_from([1, 5, 128, 300]), st.booleans())
def test_equals_the_recount(case, seed: int, cores: int, inputs_on_chip: bool) -> None:
    net, inputs, steps = case
    rng = np.random.default_rng(seed)
    placement = {
        name: rng.integers(0, cores, p.n)
        for name, p in net.populations.items()
        if inputs_on_chip or not p.model.is_input
    }
    program = cs.compile(net, mesh(), placement=placement)
    same(program, cs.Emulator(program).run(inputs, steps))


def image_net(conv, n_in: int, n_out: int, **synapses):
    net = cs.Network("image")
    net.add("x", cs.SpikeSource(n_in))
    net.add("a", cs.loihi.LIF(n_out, du=2000, dv=300, vth=3))
    net.connect("x", "a", conv)
    back = sp.csc_array(np.triu(np.full((n_out, n_out), 7)) * (np.arange(n_out) % 3 == 0))
    back.data[::2] = 0  # stored zeros are synapses
    net.connect("a", "a", cs.loihi.Synapses(back, delays=4, sign="mixed"))
    return net


@FEW
@given(
    st.sampled_from(["first", "last"]), st.integers(1, 2), st.integers(0, 2), st.integers(1, 2),
    st.sampled_from([1, 2]), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_convolution_equals_its_synapses_written_out(
    channels: str, stride: int, padding: int, dilation: int, groups: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    kernel = rng.integers(-60, 60, (4, 3, 2, 2 // groups)) * 2
    shape = (7, 5, 2) if channels == "last" else (2, 7, 5)
    conv = Conv(kernel, shape, stride, padding, dilation, groups, channels)
    n_out, n_in = conv.shape
    where = {(i, j): k for i, j, k in zip(*(a.tolist() for a in conv.targets()))}
    assert sorted(where) == sorted(conv_synapses(conv)) and len(where) == len(conv.targets()[0])
    matrix = sp.lil_array((n_out, n_in), dtype=np.int64)
    for (i, j), k in where.items():
        matrix[i, j] = kernel.ravel()[k]
    spikes = {"x": rng.random((20, n_in)) < 0.2}
    placement = {"a": rng.integers(0, 9, n_out)}
    runs = []
    dense = cs.loihi.Synapses(matrix.toarray(), sign="mixed")
    for given_as in (conv, cs.loihi.Synapses(sp.csc_array(matrix), sign="mixed"), dense):
        program = cs.compile(image_net(given_as, n_in, n_out), "unlimited", placement=placement)
        runs.append(cs.Emulator(program).run(spikes, 20, record={"a": ["u", "v"]}))
        same(program, runs[-1])
    assert runs[0].spikes["a"].any()
    for other in runs[1:]:
        for name in ("u", "v"):
            np.testing.assert_array_equal(runs[0].trace["a"][name], other.trace["a"][name], err_msg=name)
        np.testing.assert_array_equal(runs[0].spikes["a"], other.spikes["a"])


@FEW
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.05, 0.4, 1.0]), st.booleans())
def test_layout_of_weights_changes_no_spike(seed: int, density: float, on_floats: bool) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-100, 127, (30, 20)) * (rng.random((30, 20)) < density)
    spikes = {"x": rng.random((25, 20)) < 0.3}
    runs = []
    for given_as in (matrix, sp.csr_array(matrix), sp.coo_array(matrix), np.asfortranarray(matrix)):
        net = cs.Network("layout")
        net.add("x", cs.SpikeSource(20))
        if on_floats:
            net.add("a", cs.floats.LIF(30, threshold=90.0, leak_decay=0.75, soft_reset=1))
            net.connect("x", "a", cs.floats.Synapses(given_as, delays=2))
        else:
            net.add("a", cs.loihi.LIF(30, vth=90, dv=1000, du=4095))
            net.connect("x", "a", cs.loihi.Synapses(given_as, delays=2, sign="mixed"))
        program = cs.compile(net, "float" if on_floats else "unlimited")
        runs.append(cs.Emulator(program).run(spikes, 25, record={"a": "v"}))
    for other in runs[1:]:
        np.testing.assert_array_equal(runs[0].spikes["a"], other.spikes["a"])
        np.testing.assert_array_equal(runs[0].trace["a"]["v"], other.trace["a"]["v"])
        for name, values in runs[0].activity.arrays().items():
            np.testing.assert_array_equal(values, other.activity.arrays()[name], err_msg=name)


def two_sources() -> cs.Program:
    net = cs.Network("inputs")
    net.add("x", cs.SpikeSource((2, 3)))
    net.add("a", cs.loihi.LIF(2, vth=100))
    net.add("y", cs.SpikeSource(3, graded=1))
    net.connect("x", "a", cs.loihi.Synapses(np.full((2, 6), 20)))
    return cs.compile(net, "unlimited")


@FEW
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_inputs_as_array_or_events_in_any_order(seed: int, steps: int) -> None:
    from chipsim.run.inputs import gather

    rng = np.random.default_rng(seed)
    program, length = two_sources(), 12
    plain = rng.random((length, 2, 3)) < 0.3
    graded = rng.integers(-5, 6, (length, 3))
    train, dropped = gather(program, {"y": graded, "x": plain}, steps)
    expected = [
        sorted(
            [(6 + 2 + j, int(v)) for j, v in enumerate(graded[t]) if v]
            + [(j, 1) for j, v in enumerate(plain[t].flat) if v]
        )
        for t in range(steps)
    ]
    found = [
        list(zip(train.ids[a:b].tolist(), train.value[a:b].tolist())) for a, b in zip(train.ptr[:-1], train.ptr[1:])
    ]
    assert found == expected
    assert dropped == np.count_nonzero(plain[steps:]) + np.count_nonzero(graded[steps:])
    step, neuron = np.nonzero(graded)
    events = np.empty(step.size, [("step", "i4"), ("neuron", "u2"), ("value", "i8")])
    events["step"], events["neuron"], events["value"] = step, neuron, graded[step, neuron]
    rng.shuffle(events)
    again, late = gather(program, {"x": plain.reshape(length, 6).astype(np.uint8), "y": events}, steps)
    for one, other in zip(train, again):
        np.testing.assert_array_equal(one, other)
    assert late == dropped


def test_dropped_input_is_counted() -> None:
    program = two_sources()
    result = cs.Emulator(program).run({"x": np.ones((9, 6))}, 4)
    assert result.activity.dropped_input == 5 * 6 == result.activity.totals()["dropped_input"]
    assert result.activity.input_spikes.tolist() == [6] * 4
