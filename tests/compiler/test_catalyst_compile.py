"""Networks onto the Catalyst N1: ideal and native, any placement, every limit."""

from __future__ import annotations

import numpy as np
import pytest

import chipsim as cs
from chipsim.engines.catalyst.image import build_of, program_image
from tests.support.catalyst_nets import drive, two_layers


def chip(**limits):
    """A small build of the RTL."""
    base = cs.chip("catalyst_n1_kria")
    cores = limits.pop("cores", 4)
    topology = base.topology.model_copy(update={"width": cores})
    limits = base.limits.model_copy(update={"cores": cores, "neurons": 32, "synapses": 256, **limits})
    return base.model_copy(update={"topology": topology, "limits": limits})


def run(net: cs.Network, target, inputs: np.ndarray, placement=None, **options) -> cs.Result:
    program = cs.compile(net, target, placement=placement)
    return cs.Emulator(program).run({"x": inputs}, **options)


@pytest.mark.parametrize(
    ("target", "placement"),
    [
        ("catalyst_n1_kria", {"a": 0, "b": 1}),
        ("catalyst_n1_f2", {"a": [0, 0, 3, 3, 3, 0, 9, 9], "b": 2}),
        ("catalyst_n1_arty", {"a": 3, "b": [0, 1, 2, 3, 0, 1]}),
    ],
)
def test_placement_does_not_change_spikes_where_delays_leave_room(target, placement) -> None:
    inputs, net = drive(), two_layers()
    one = run(net, "catalyst_n1", inputs, record={"b": ["v", "u"]})
    other = run(net, target, inputs, placement, record={"b": ["v", "u"]})
    assert one.spikes["b"].sum() > 20
    for name in ("a", "b"):
        assert np.array_equal(one.spikes[name], other.spikes[name]), name
    for variable in ("v", "u"):
        assert np.array_equal(one.trace["b"][variable], other.trace["b"][variable])


def test_a_mesh_gives_the_same_spikes() -> None:
    base = chip()
    mesh = base.model_copy(update={"topology": base.topology.model_copy(
        update={"width": 2, "height": 2, "interconnect": "xy"})})  # fmt: skip
    inputs, net = drive(), two_layers()
    one = run(net, "catalyst_n1", inputs)
    other = run(net, mesh, inputs, {"a": [0, 1, 2, 3, 0, 1, 2, 3], "b": 3})
    assert np.array_equal(one.spikes["b"], other.spikes["b"])
    assert not np.array_equal(one.cycles, other.cycles)


def test_a_run_may_be_cut_and_continued(tmp_path) -> None:
    program = cs.compile(two_layers(noise_mantissa=3, noise_exponent=3), "catalyst_n1_kria")
    inputs = drive()
    whole = cs.Emulator(program).run({"x": inputs})
    emulator = cs.Emulator(program)
    first = emulator.run({"x": inputs[:23]})
    emulator.save(tmp_path / "state.h5")
    program.save(tmp_path / "program.h5")
    other = cs.Emulator(cs.Program.load(tmp_path / "program.h5"))
    other.load(tmp_path / "state.h5")
    rest = other.run({"x": inputs[23:]})
    assert np.array_equal(whole.spikes["b"], np.concatenate([first.spikes["b"], rest.spikes["b"]]))
    assert np.array_equal(whole.cycles, np.concatenate([first.cycles, rest.cycles]))


def test_an_if_network_that_stays_above_its_reset_is_exact() -> None:
    rng = np.random.default_rng(4)
    net = cs.Network("if")
    x, h = net.add("x", cs.SpikeSource(6)), net.add("h", cs.IF(10, threshold=20.0, lowest=0.0))
    net.connect(x, h, rng.integers(-3, 9, (10, 6)).astype(float))
    net.connect(h, h, rng.integers(-4, 3, (10, 10)).astype(float), delay=1)
    inputs = drive(120, 6)
    got = run(net, "catalyst_n1", inputs)
    v, spikes, pending = np.zeros(10), [], np.zeros((125, 10))
    w_in, w_rec = (net.projections[k].synapses for k in ("x->h", "h->h"))
    for t in range(120):
        v = np.maximum(v + pending[t], 0)
        fired = v > 20
        v[fired] = 0
        spikes.append(fired)
        pending[t + 1] += w_in @ inputs[t]
        pending[t + 2] += w_rec @ fired
    assert np.array_equal(got.spikes["h"], np.array(spikes)) and got.spikes["h"].sum() > 30


def test_an_ideal_lif_network_spikes_as_in_floats() -> None:
    rng = np.random.default_rng(1)
    net = cs.Network("ideal")
    x, h = net.add("x", cs.SpikeSource(5)), net.add("h", cs.LIF(10, tau_mem=20e-3, tau_syn=5e-3, refractory=2e-3))
    o = net.add("o", cs.LI(2, tau_mem=10e-3))
    net.connect(x, h, rng.normal(0.6, 0.9, (10, 5)), delay=1)
    net.connect(h, o, rng.normal(0, 0.3, (2, 10)), delay=1)
    inputs = drive(200)
    got = run(net, "catalyst_n1", inputs, record={"o": ["v"]})
    want = run(net, "float", inputs, record={"o": ["v"]})
    assert want.spikes["h"].sum() > 100
    assert np.mean(got.spikes["h"] != want.spikes["h"]) < 0.01
    assert np.abs(got.volts["o"]["v"] - want.volts["o"]["v"]).max() < 0.15 * np.ptp(want.volts["o"]["v"])
    late = cs.Network("without delays")
    x, h = late.add("x", cs.SpikeSource(5)), late.add("h", cs.LIF(3))
    late.connect(x, h, np.ones((3, 5)))
    warnings = cs.compile(late, "catalyst_n1").stages["quantise"]["warnings"]
    assert "act one timestep later" in warnings[0]


def test_graded_spikes_carry_their_payload() -> None:
    net = cs.Network("graded")
    x, a = net.add("x", cs.SpikeSource(2, graded=1)), net.add("a", cs.catalyst.LIF(2, thr=30000))
    net.connect(x, a, cs.catalyst.Synapses(np.array([[128, 0], [-64, 256]]), graded=True))
    got = run(net, "catalyst_n1", np.array([[3, 0], [0, 50], [255, 1], [0, 0], [0, 0]]), record={"a": ["v"]})
    assert got.trace["a"]["v"].tolist() == [[0, 0], [3, 0], [3, 100], [258, 0], [258, 0]]
    with pytest.raises(cs.RunError, match="payloads are 1"):
        run(net, "catalyst_n1", np.array([[300, 0]]))


def test_compartments_join_their_parent() -> None:
    net = cs.Network("tree")
    x = net.add("x", cs.SpikeSource(2))
    a = net.add("a", cs.catalyst.LIF(3, thr=[50, 50, 90], parent=[2, 2, -1], root=[0, 0, 1]))
    net.connect(x, a, cs.catalyst.Synapses(np.array([[60, 0], [0, 60], [0, 0]])))
    got = run(net, "catalyst_n1", np.array([[1, 0], [1, 1], [0, 0], [0, 0]]))
    assert got.spikes["a"][:, 2].tolist() == [False, False, True, False]  # two children of 50 reach 90, one does not
    assert not got.spikes["a"][:, :2].any()


def test_what_is_lost_beyond_64_spikes_is_counted_and_said() -> None:
    net = cs.Network("wide")
    x, a = net.add("x", cs.SpikeSource(1)), net.add("a", cs.catalyst.LIF(100, thr=5))
    b = net.add("b", cs.catalyst.LIF(1, thr=30000))
    net.connect(x, a, cs.catalyst.Synapses(np.full((100, 1), 9)))
    net.connect(a, b, cs.catalyst.Synapses(np.ones((1, 100), int), delays=np.arange(100)[None] // 50 + 1))
    program = cs.compile(net, "catalyst_n1")
    assert any("keeps 64 spikes" in w for w in program.stages["catalyst"]["warnings"])
    got = cs.Emulator(program).run({"x": np.array([[1], [0], [0], [0], [0]])}, record={"b": ["v"]})
    assert got.spikes["a"].sum() == 100 and got.trace["b"]["v"][-1, 0] == 64
    assert got.activity.overflowed["a"] == 36
    with pytest.raises(cs.CompileError, match="spikes per timestep 101 on one core"):
        cs.compile(net, "catalyst_n1", rates={"a": 1.0, "b": 1.0})  # b needs a relay for each of a that is elsewhere
    assert len(cs.compile(net_of(100), "catalyst_n1", rates={"a": 1.0}).cores) == 2


def test_the_synapse_pool_spills_over_to_more_cores() -> None:
    net = cs.Network("deep")
    x, a = net.add("x", cs.SpikeSource(20)), net.add("a", cs.catalyst.LIF(40))
    net.connect(x, a, cs.catalyst.Synapses(np.full((40, 20), 3)))
    program = cs.compile(net, chip())
    image = program_image(program)
    assert len(program.cores) == 4 and all(row["neurons"] + row["relays"] <= 32 for row in image.usage)
    assert all(row["synapses"] <= 256 for row in image.usage)


def synapses(post: int, pre: int, **options):
    return cs.catalyst.Synapses(np.ones((post, pre), int), **options)


def net_of(n: int, sources: int = 1, model=None, **options) -> cs.Network:
    net = cs.Network("limits")
    x, a = net.add("x", cs.SpikeSource(sources)), net.add("a", model or cs.catalyst.LIF(n))
    net.connect(x, a, synapses(n, sources, **options))
    return net


def recurrent(n: int, **options) -> cs.Network:
    net = net_of(n)
    net.connect("a", "a", synapses(n, n), **options)
    return net


RULE = "ltp:\n add w, w, x1\n store_w\n halt"


@pytest.mark.parametrize(
    ("net", "options", "resource", "message"),
    [
        (net_of(200), {}, "cores", "needs a core beyond its 4"),
        (net_of(1, 40), {}, "neurons", "inputs and sources on other cores take a relay neuron each"),
        (net_of(2, 20), {"limits": {"synapses": 16}}, "synapse pool", "deeper pool"),
        (net_of(70, 1, delays=3), {"limits": {"neurons": 100}, "placement": {"a": 0}}, "delay queue", "holds"),
        (recurrent(4), {"placement": {"a": [0, 0, 1, 1]}}, "packets", "the later one overwrites the other"),
        (net_of(4), {"placement": {"a": 4}}, "cores", "no core 4"),
        (net_of(1, 12), {"limits": {"reverse_slots": 8}, "rule": RULE}, "reverse table", "reverse slots"),
        (net_of(2, 1, cs.catalyst.LIF(2, parent=[1, -1])), {"placement": {"a": [0, 1]}}, "parent", "share a core"),
        (net_of(40, 1, cs.catalyst.LIF(40, parent=[1] + [-1] * 39)), {}, "neurons", "compartments of trees"),
    ],
)
def test_limits(net, options, resource, message) -> None:
    if "rule" in options:
        old = net.projections.pop("x->a")
        net.connect("x", "a", old.synapses, rule=cs.catalyst.Program(options["rule"]))
    with pytest.raises(cs.CompileError, match=message) as caught:
        cs.compile(net, chip(**options.get("limits", {})), placement=options.get("placement"))
    assert caught.value.resource == resource


def test_route_slots_are_limited() -> None:
    net = cs.Network("fan")
    x, a = net.add("x", cs.SpikeSource(1)), net.add("a", cs.catalyst.LIF(1))
    b = net.add("b", cs.catalyst.LIF(13))
    net.connect(x, a, synapses(1, 1))
    net.connect(a, b, synapses(13, 1, delays=1))
    with pytest.raises(cs.CompileError, match="8 local and 4 global"):
        cs.compile(net, "catalyst_n1", placement={"a": 0, "b": np.arange(1, 14)})
    cs.compile(net, "catalyst_n1", placement={"a": 0, "b": np.minimum(np.arange(1, 14), 12)})


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: cs.catalyst.LIF(2, thr=40000), r"thr=40000 is outside \[-32768, 32767\]"),
        (lambda: cs.catalyst.LIF(2, tau_x1=16), r"tau_x1=16 is outside \[0, 15\]"),
        (lambda: cs.catalyst.LIF(2, parent=[0, 2]), "outside the population of 2"),
        (lambda: cs.catalyst.LIF(1, tree=3), "leads dendrites 1, 2, 3 to 3, 0, 0"),
        (lambda: cs.catalyst.LIF(1, vmin=5, vmax=-5), "vmin=5 lies above vmax"),
        (lambda: cs.catalyst.CUBA(1, bias=8193), "mantissa -4096..4095"),
        (lambda: cs.catalyst.CUBA(1, decay_v=0, decay_u=0), "makes it a LIF neuron"),
        (lambda: cs.catalyst.Synapses(np.array([[40000]])), "outside"),
        (lambda: cs.catalyst.Synapses(np.array([[0.5]])), "fractions"),
        (lambda: cs.catalyst.Synapses(np.array([[1]]), delays=64), "delay 64 is outside"),
        (lambda: cs.catalyst.Synapses(np.array([[1]]), compartment=4), "compartment"),
        (lambda: cs.catalyst.Synapses(np.array([[1]]), exponent=2), "no exponents"),
    ],
)
def test_registers_that_do_not_fit(build, message) -> None:
    with pytest.raises(cs.NetworkError, match=message):
        build()


@pytest.mark.parametrize(
    ("population", "message"),
    [
        (cs.LIF(2, reset="subtract"), "reset by subtraction"),
        (cs.LIF(2, v_leak=-0.5), "starts away from its reset"),
        (cs.LIF(2, refractory=1.0), "beyond 255 steps"),
        (cs.loihi.LIF(2), "has no loihi.LIF"),
    ],
)
def test_models_that_the_chip_lacks(population, message) -> None:
    net = cs.Network()
    x, a = net.add("x", cs.SpikeSource(1)), net.add("a", population)
    native = population.family == "loihi"
    net.connect(x, a, cs.loihi.Synapses(np.ones((2, 1), int)) if native else np.ones((2, 1)))
    with pytest.raises(cs.CompileError, match=message):
        cs.compile(net, "catalyst_n1")


def test_flags_of_the_chip_must_agree() -> None:
    net = net_of(2)
    net.connect("a", "a", cs.catalyst.Synapses(np.ones((2, 2), int), graded=True))
    with pytest.raises(cs.CompileError, match="graded is a flag of the chip"):
        cs.compile(net, "catalyst_n1")
    net = net_of(2, 1, cs.catalyst.CUBA(2, scale_u=1))
    net.add("b", cs.catalyst.CUBA(2))
    with pytest.raises(cs.CompileError, match="scale_u is a flag of the chip"):
        cs.compile(net, "catalyst_n1")


def test_presets_are_the_shipped_builds() -> None:
    catalyst = cs.catalyst
    for name, build in (
        ("", catalyst.DEFAULT),
        ("_f2", catalyst.F2),
        ("_arty", catalyst.ARTY),
        ("_kria", catalyst.KRIA),
    ):
        assert build_of(cs.chip(f"catalyst_n1{name}")) == build


def test_energy_is_as_far_as_published() -> None:
    got = run(two_layers(), "catalyst_n1_kria", drive())
    seconds = (got.cycles + 3).sum() / 100e6  # three idle cycles between the timesteps of a RUN command
    kria = got.estimate()
    assert kria.step_time.sum() == pytest.approx(seconds)
    assert kria.total_energy == pytest.approx(0.642 * seconds)
    assert any("synapse" in str(what) for what in kria.unknown)
    f2 = run(two_layers(), "catalyst_n1_f2", drive())
    assert f2.estimate().total_energy == 0
    assert f2.estimate().step_time.sum() == pytest.approx((f2.cycles + 3).sum() / 62.5e6)


def on(interconnect: str, width: int = 4, height: int = 1):
    base = chip()
    changes = {"width": width, "height": height, "interconnect": interconnect}
    return base.model_copy(update={"topology": base.topology.model_copy(update=changes)})


def test_the_event_driven_mode_carries_a_spike_through_its_timestep() -> None:
    net = cs.Network("chain")
    x, a = net.add("x", cs.SpikeSource(1)), net.add("a", cs.catalyst.LIF(3, thr=100))
    net.connect(x, a, cs.catalyst.Synapses(np.array([[150], [0], [0]])))
    net.connect(a, a, cs.catalyst.Synapses(np.diag([150, 150], -1)))
    inputs = np.array([[1], [0], [0], [0], [0]])
    step = run(net, on("barrier"), inputs)
    assert np.argwhere(step.spikes["a"]).tolist() == [[1, 0], [2, 1], [3, 2]]
    at_once = run(net, on("events"), inputs)
    assert np.argwhere(at_once.spikes["a"]).tolist() == [[0, 0], [0, 1], [0, 2]]
    assert any("event-driven" in w for w in at_once.program.stages["catalyst"]["warnings"])


def test_hops_are_those_of_the_mesh() -> None:
    net, inputs = two_layers(), drive()
    where = {"a": [0] * 8, "b": [3] * 6}
    mesh, walk = (run(net, on(kind, *size), inputs, where) for kind, size in (("xy", (2, 2)), ("barrier", (4, 1))))
    east, west, north, south = mesh.activity.hops.sum(axis=0)
    assert east == north == mesh.spikes["a"].sum() and west == south == 0
    assert not walk.activity.hops.any()


def test_a_build_of_ones_own_is_a_description(tmp_path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "base: catalyst_n1\nname: mine\ntitle: My build\ntopology: {width: 3, height: 2, interconnect: xy}\n"
        "limits: {cores: 6, neurons: 32, neuron_bits: 5, synapses: 512, reverse_slots: 16}\n"
    )
    mine = cs.chip(tmp_path / "mine.yaml")
    build = build_of(mine)
    assert (build.cores, build.mesh_columns, build.mesh_rows, build.fan_in, build.pool) == (6, 3, 2, 16, 512)
    inputs = drive()
    one = run(two_layers(), "catalyst_n1", inputs)
    other = run(two_layers(), mine, inputs, {"a": [0, 1, 2, 3, 4, 5, 0, 1], "b": 4})
    assert np.array_equal(one.spikes["b"], other.spikes["b"])
    for limits, message in (("{spikes: 128}", "limits.spikes is 128"), ("{synapses: 5000}", "not a power of two")):
        (tmp_path / "wrong.yaml").write_text(f"base: catalyst_n1\nname: wrong\ntitle: Wrong\nlimits: {limits}\n")
        with pytest.raises(cs.CompileError, match=message):
            cs.compile(two_layers(), tmp_path / "wrong.yaml")


def test_axon_formats_mean_the_same_and_cost_less() -> None:
    def made(form: str) -> cs.Network:
        net = cs.Network(form)
        x, a = net.add("x", cs.SpikeSource(3)), net.add("a", cs.catalyst.LIF(9, thr=60))
        weights = np.repeat([[20, 30, -10]], 9, axis=0)
        net.connect(x, a, cs.catalyst.Synapses(weights, delays=1, format=form))
        return net

    inputs = drive(60, 3)
    runs = {
        form: run(made(form), "catalyst_n1", inputs, record={"a": ["v"]}) for form in ("sparse", "dense", "population")
    }
    used = {form: program_image(r.program).usage[0]["synapses"] for form, r in runs.items()}
    assert used == {"sparse": 27, "dense": 27, "population": 3}
    assert np.array_equal(runs["sparse"].trace["a"]["v"], runs["population"].trace["a"]["v"])
    assert np.array_equal(runs["sparse"].trace["a"]["v"], runs["dense"].trace["a"]["v"])
    assert runs["population"].cycles.sum() < runs["sparse"].cycles.sum() == runs["dense"].cycles.sum()
    emulator = cs.Emulator(runs["population"].program)
    assert np.array_equal(emulator.weights("x->a"), np.repeat([[20, 30, -10]], 9, axis=0))
    with pytest.raises(cs.RunError, match="one weight for all"):
        emulator.set_weights("x->a", np.arange(1, 28).reshape(9, 3))
    net = net_of(3)
    net.connect("x", "a", cs.catalyst.Synapses(np.ones((3, 1), int), format="population"))
    with pytest.raises(cs.CompileError, match="has sparse synapses on that core already"):
        cs.compile(net, "catalyst_n1")
    uneven = cs.Network()
    x, a = uneven.add("x", cs.SpikeSource(1)), uneven.add("a", cs.catalyst.LIF(3))
    uneven.connect(x, a, cs.catalyst.Synapses(np.array([[1], [2], [1]]), format="population"))
    with pytest.raises(cs.CompileError, match="one weight and delay for all"):
        cs.compile(uneven, "catalyst_n1")
