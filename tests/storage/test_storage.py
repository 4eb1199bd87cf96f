"""Files: what is saved comes back bit for bit, and what is wrong with a file is said in one line."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import chipsim as cs
from chipsim.errors import FileError
from chipsim.mappings.formats import read_network
from chipsim.mappings.network.files import load_network, run_script, save_network
from chipsim.native.synapses import Conv
from chipsim.program.program import PopulationImage, Program, ProjectionImage, fingerprint
from chipsim.storage import codec
from chipsim.storage.file import kind_of, writing
from chipsim.storage.reader import Reader


def make_program(seed: int = 0, sizes: tuple[int, int, int] = (6, 9, 4)) -> Program:
    """Sources, LIF and LIF on three cores; dense with delays, and sparse. Built by hand."""
    rng = np.random.default_rng(seed)
    a, b, c = sizes
    models = (cs.SpikeSource(a), cs.loihi.LIF(b, vth=rng.integers(1, 90, b), dv=100, du=900), cs.loihi.LIF(c, vth=9))
    starts = np.concatenate([[0], np.cumsum(sizes)])
    images = tuple(
        PopulationImage(name, model, int(start), unit)
        for name, model, start, unit in zip(("in", "hid", "out"), models, starts, (None, 0.5, None))
    )
    dense = cs.loihi.Synapses(rng.integers(-50, 90, (b, a)), delays=rng.integers(0, 6, (b, a)), exponent=1)
    pattern = sp.random(c, b, 0.5, format="csc", random_state=seed)
    sparse = cs.loihi.Synapses(sp.csc_array(pattern).astype(bool).astype(np.int8) * 40, bits=6)
    projections = (
        ProjectionImage("in->hid", 0, 1, dense, None, 0.25),
        ProjectionImage("hid->out", 1, 2, sparse),
    )
    core = np.concatenate([np.full(a, -1), rng.integers(0, 3, b), np.full(c, 7)]).astype(np.int32)
    chip = cs.chip("loihi")
    stages = {"note": {"tuple": (1, 2.5, None), "array": np.arange(3), "by size": {3: "x"}}}
    return Program(chip, images, projections, core, chip.arithmetic.resolve(), 1e-3, seed, "hand made", stages)


def assert_same(a: object, b: object, path: str = "") -> None:
    """Equal values, types, dtypes and shapes, all the way down."""
    assert type(a) is type(b), path
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype and a.shape == b.shape, path
        assert a.tobytes() == b.tobytes(), path
    elif getattr(a, "format", None) == "csc":
        for part in ("data", "indices", "indptr"):
            assert_same(getattr(a, part), getattr(b, part), f"{path}.{part}")
        assert a.shape == b.shape
    elif isinstance(a, dict):
        assert list(a) == list(b), path
        for key in a:
            assert_same(a[key], b[key], f"{path}[{key}]")
    elif type(a) in (list, tuple):
        assert len(a) == len(b), path
        for k, (x, y) in enumerate(zip(a, b)):
            assert_same(x, y, f"{path}[{k}]")
    elif codec.is_plain(a) or hasattr(a, "model_dump"):
        assert a == b or a != a, path
    else:
        assert_same(codec.object_fields(a), codec.object_fields(b), path)


def round_trip(value: object, folder: Path) -> object:
    path = folder / "value.h5"
    with writing(path, "state") as file:
        codec.write(file, "value", value)
    with h5py.File(path) as file:
        return Reader().read(file, "value")


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=5) | st.integers(-3, 3), inner, max_size=3)
    ),
    max_leaves=8,
)
dtypes = st.sampled_from(["i1", "u1", "i4", "u4", "i8", "f8", "f4", "?"])


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    shape = draw(st.lists(st.integers(0, 4), max_size=3))
    return np.random.default_rng(draw(st.integers(0, 99))).integers(0, 100, shape).astype(draw(dtypes))


@settings(max_examples=60, deadline=None)
@given(value=st.dictionaries(st.text(max_size=6) | st.integers(), plain | arrays(), max_size=4))
def test_any_plain_data_and_arrays_return(value: dict, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert_same(value, round_trip(value, tmp_path_factory.mktemp("any")))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), sizes=st.tuples(*[st.integers(1, 12)] * 3))
def test_a_program_returns_identical(
    seed: int, sizes: tuple[int, int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    program = make_program(seed, sizes)
    path = program.save(tmp_path_factory.mktemp("program") / "p.h5")
    loaded = Program.load(path)
    for name in ("populations", "projections", "core", "arithmetic", "dt", "seed", "name", "stages", "chip"):
        assert_same(getattr(program, name), getattr(loaded, name), name)
    assert fingerprint(program) == fingerprint(loaded)


@pytest.mark.parametrize("name", sorted(n for n in dir(cs.loihi) if isinstance(getattr(cs.loihi, n), type)
                                        and hasattr(getattr(cs.loihi, n), "registers")))  # fmt: skip
def test_every_loihi_model_returns(name: str, tmp_path: Path) -> None:
    kind = getattr(cs.loihi, name)
    model = kind((3, 2)) if name != "NeuronModel" else cs.SpikeSource((3, 2), graded=1)
    assert_same(model, round_trip(model, tmp_path))


def test_synapses_return_with_all_they_hold(tmp_path: Path) -> None:
    matrix = sp.csc_array((np.array([300, -7, 0]), np.array([0, 2, 1]), np.array([0, 2, 3])), shape=(3, 2))
    clipped = cs.loihi.Synapses(matrix, saturate=True, sign="mixed", delays=matrix.astype(bool).astype(int) * 3)
    assert clipped.clipped == 1
    conv = Conv(np.arange(36).reshape(2, 3, 3, 2), (5, 5, 2), stride=2, padding=1, exponent=-2)
    for value in (clipped, conv, cs.floats.Synapses(np.array([[0.1, np.pi]]), delays=4)):
        assert_same(value, round_trip(value, tmp_path))
    assert round_trip(clipped, tmp_path).clipped == 1  # type: ignore[attr-defined]


PAIR = """
def pair(w, x, y, pre, post, *, a=0.01, b=0.012):
    w = w + a * x * post - b * y * pre
"""


def test_learning_rules_return(tmp_path: Path) -> None:
    from chipsim import rules
    from chipsim.rules.products.rule import SumOfProducts

    traces = {"x": rules.Trace("pre", 20.0), "y": rules.Trace("post", 20.0)}
    rule = rules.declare(PAIR, traces=traces, bounds=(0.0, 1.0), weight=rules.Fixed(8, 5))
    loaded = round_trip(rule, tmp_path)
    assert isinstance(loaded, rules.Rule) and repr(loaded) == repr(rule) and loaded.constants == rule.constants
    assert (loaded.weight, loaded.traces, loaded.bounds) == (rule.weight, rule.traces, rule.bounds)
    assert [ast.dump(s) for s in loaded.body] == [ast.dump(s) for s in rule.body]
    engine = SumOfProducts(dw="2^-2*x1*y0 - 2^-3*y1*x0", x1_impulse=20, x1_tau=3, y1_impulse=10, y1_tau=5)
    assert round_trip(engine, tmp_path) == engine


def test_a_rule_in_a_file_is_checked_again(tmp_path: Path) -> None:
    from chipsim import rules

    rule = rules.declare("def r(w, pre):\n    w = w + pre")
    object.__setattr__(rule, "source", "def r(w, pre):\n    w = w + open('/etc/passwd')")
    with pytest.raises(FileError, match="rule r"):
        round_trip(rule, tmp_path)


def test_large_arrays_are_compressed_and_checksummed(tmp_path: Path) -> None:
    array = np.tile(np.arange(1000, dtype=np.int32), (400, 1))
    assert_same(array, round_trip(array, tmp_path))
    assert (tmp_path / "value.h5").stat().st_size < array.nbytes / 10
    with h5py.File(tmp_path / "value.h5") as file:
        assert file["value"].fletcher32


def test_a_result_returns_with_its_counters(tmp_path: Path) -> None:
    program = make_program(3)
    spikes = np.random.default_rng(1).random((40, 6)) < 0.4
    result = cs.Emulator(program).run({"in": spikes}, 40, record={"hid": ["v", "u"], "out": "v"})
    loaded = cs.Result.load(result.save(tmp_path / "r.h5"))
    assert result.spikes["hid"].any()
    for name in ("in", "hid", "out"):
        assert_same(result.spikes[name], loaded.spikes[name])
        assert_same(result.events[name], loaded.events[name])
    assert_same({k: dict(v) for k, v in result.trace.items()}, {k: dict(v) for k, v in loaded.trace.items()})
    assert_same(result.activity.arrays(), loaded.activity.arrays())
    assert result.activity.totals() == loaded.activity.totals()
    assert_same(result.volts["hid"]["v"], loaded.volts["hid"]["v"])
    assert kind_of(tmp_path / "r.h5") == "result" and Program.load(tmp_path / "r.h5").name == "hand made"


@pytest.mark.parametrize("name", ["dropped_input", "first_step"])
@pytest.mark.parametrize("value", [(1, 2.0), float("nan"), 1j, -1, 2**62, 2.5, "5", True])
def test_counts_of_a_result_are_counts(name: str, value: object, tmp_path: Path) -> None:
    path = cs.Emulator(make_program()).run({}, 2).save(tmp_path / "r.h5")
    with h5py.File(path, "r+") as file:
        del file[name]
        kind = {"dtype": np.dtype([("a", "i4"), ("b", "f8")])} if isinstance(value, tuple) else {}
        file.create_dataset(name, data=json.dumps(value) if isinstance(value, (str, bool)) else value, **kind)
    with pytest.raises(FileError, match=name) as caught:
        cs.Result.load(path)
    assert len(str(caught.value).splitlines()) == 1


def test_a_checkpoint_continues_bit_for_bit(tmp_path: Path) -> None:
    program = make_program(5)
    spikes = np.random.default_rng(2).random((60, 6)) < 0.4
    whole = cs.Emulator(program).run({"in": spikes}, 60)
    first = cs.Emulator(program)
    first.run({"in": spikes[:25]}, 25)
    first.save(tmp_path / "c.h5")
    second = cs.Emulator(Program.load(program.save(tmp_path / "p.h5")))
    second.load(tmp_path / "c.h5")
    rest = second.run({"in": spikes[25:]}, 35)
    assert second.step == 60 and whole.spikes["out"].any()
    assert np.array_equal(whole.spikes["out"][25:], rest.spikes["out"])
    with pytest.raises(FileError, match="another program"):
        cs.Emulator(make_program(6)).load(tmp_path / "c.h5")
    with h5py.File(tmp_path / "c.h5", "r+") as file:
        del file["state/weight"]
        file["state/weight"] = np.zeros(1, np.int8)
    with pytest.raises(FileError, match="'weight' differs"):
        second.load(tmp_path / "c.h5")


def make_network() -> cs.Network:
    net = cs.Network("both kinds")
    x = net.add("x", cs.SpikeSource(5))
    a = net.add("a / odd".replace("/", "-"), cs.LIF(7, tau_mem=np.linspace(0.01, 0.02, 7), reset="subtract"))
    b = net.add("b", cs.loihi.LIF(3, vth=5))
    net.connect(x, a, np.linspace(-1, 1, 35).reshape(7, 5), delay=2)
    net.connect(a, b, cs.loihi.Synapses(np.full((3, 7), 6)))
    net.connect(x, b, sp.csc_array(np.eye(3, 5)), delay=np.arange(15).reshape(3, 5))
    net.metadata["dt"] = 1e-4
    return net


def test_a_network_returns_identical(tmp_path: Path) -> None:
    net = make_network()
    loaded = load_network(save_network(net, tmp_path / "n.h5"))
    assert loaded.name == net.name and loaded.metadata == net.metadata
    assert list(loaded.populations) == list(net.populations)
    for name, p in net.populations.items():
        assert_same(p.model, loaded.populations[name].model)
    for name, p in net.projections.items():
        assert_same(p.synapses, loaded.projections[name].synapses)
        assert_same(p.delay, loaded.projections[name].delay)


def test_a_script_makes_a_network(tmp_path: Path) -> None:
    script = tmp_path / "net.py"
    body = "import chipsim as cs\nn = cs.Network('s')\nn.add('a', cs.LIF(2))\n"
    script.write_text(body + "net = n\n")
    assert read_network(script).n == 2
    script.write_text(body + "def network():\n    return n\n")
    assert read_network(script).n == 2
    for text, said in (("x = 1\n", "defines no network"), ("\n1 / 0\n", "line 2: ZeroDivisionError")):
        script.write_text(text)
        with pytest.raises(FileError, match=said):
            run_script(script)
    with pytest.raises(FileError, match=r"no reader for '\.abc'"):
        read_network(tmp_path / "net.abc")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_program().save(tmp_path_factory.mktemp("saved") / "p.h5")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.3, 0.7, 0.99])
def test_a_file_cut_short_is_refused(saved: Path, tmp_path: Path, share: float) -> None:
    whole = saved.read_bytes()
    cut = tmp_path / "cut.h5"
    cut.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(FileError) as caught:
        Program.load(cut)
    assert str(cut) in str(caught.value) and len(str(caught.value).splitlines()) <= 2


@settings(max_examples=60, deadline=None)
@given(where=st.floats(0, 1), byte=st.integers(0, 255), length=st.integers(1, 64))
def test_damage_never_passes_as_another_error(saved: Path, where: float, byte: int, length: int) -> None:
    """Overwritten bytes either hit nothing that is read or raise FileError; never anything else."""
    content = bytearray(saved.read_bytes())
    at = int(where * (len(content) - 1))
    content[at : at + length] = bytes([byte]) * len(content[at : at + length])
    broken = saved.with_name("broken.h5")
    broken.write_bytes(content)
    try:
        Program.load(broken)
    except FileError as error:
        assert len(str(error).splitlines()) <= 2


def edited(saved: Path, tmp_path: Path, edit: object) -> Path:
    path = tmp_path / "edited.h5"
    path.write_bytes(saved.read_bytes())
    with h5py.File(path, "r+") as file:
        edit(file)  # type: ignore[operator]
    return path


def _version(file: h5py.File) -> None:
    file.attrs["version"] = 99


def _format(file: h5py.File) -> None:
    del file.attrs["format"]


def _kind(file: h5py.File) -> None:
    file.attrs["kind"] = "result"


def _core_shape(file: h5py.File) -> None:
    del file["core"]
    file["core"] = np.zeros(3, np.int32)


def _core_far(file: h5py.File) -> None:
    file["core"][...] = 10**8


def _huge(file: h5py.File) -> None:
    del file["core"]
    file.create_dataset("core", shape=(1 << 50,), dtype="i4", chunks=(1 << 20,), compression=1)


def _column(file: h5py.File) -> None:
    file["projections/1/synapses/mantissa/indices"][0] = 10**6


def _pointers(file: h5py.File) -> None:
    file["projections/1/synapses/mantissa/indptr"][1] = 10**6


def _class(file: h5py.File) -> None:
    file["populations/0/model"].attrs["class"] = "os:system"


def _class_inside(file: h5py.File) -> None:
    file["populations/0/model"].attrs["class"] = "chipsim.storage.file:_open"


def _register(file: h5py.File) -> None:
    file["populations/2/model/vth"][...] = 10**9


def _neurons(file: h5py.File) -> None:
    node = file["populations/0/model/plain"]
    node[()] = json.dumps({"shape": {"$tuple": [1 << 60]}})


def _outside(file: h5py.File) -> None:
    del file["core"]
    file["core"] = h5py.ExternalLink("other.h5", "/core")


def _loop(file: h5py.File) -> None:
    del file["populations/0/model"]
    file["populations/0/model"] = file["populations"]


def _missing(file: h5py.File) -> None:
    del file["arithmetic"]


CASES = [
    (_version, "format version 99"),
    (_format, "no chipsim program"),
    (_kind, "damaged|missing"),
    (_core_shape, "core for each of 19 neurons"),
    (_core_far, "cores that chip loihi does not have"),
    (_huge, "declares"),
    (_column, "contradict"),
    (_pointers, "contradict"),
    (_class, "does not know"),
    (_class_inside, "does not have"),
    (_register, "vth=1000000000 is outside"),
    (_neurons, "more neurons"),
    (_outside, "core is missing"),
    (_loop, "themselves|damaged"),
    (_missing, "arithmetic is missing"),
]


@pytest.mark.parametrize(("edit", "said"), CASES, ids=[c[0].__name__ for c in CASES])
def test_hostile_files_are_refused(saved: Path, tmp_path: Path, edit: object, said: str) -> None:
    path = edited(saved, tmp_path, edit)
    with pytest.raises(FileError, match=said) as caught:
        Program.load(path)
    assert str(path) in str(caught.value)


def test_other_files_are_refused(tmp_path: Path, saved: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        Program.load(tmp_path / "none.h5")
    with pytest.raises(FileError, match="is a folder"):
        Program.load(tmp_path)
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(FileError, match="not an HDF5 file"):
        Program.load(tmp_path / "text.h5")
    with pytest.raises(FileError, match="holds a program, not a result"):
        cs.Result.load(saved)


def test_nothing_is_left_behind_when_saving_fails(tmp_path: Path) -> None:
    net = make_network()
    net.metadata["object"] = object()
    target = tmp_path / "n.h5"
    target.write_text("as it was")
    with pytest.raises(FileError, match=r"cannot save a builtins\.object"):
        save_network(net, target)
    assert target.read_text() == "as it was" and [p.name for p in tmp_path.iterdir()] == ["n.h5"]
    with pytest.raises(FileError, match="there is no folder"):
        make_program().save(tmp_path / "no" / "p.h5")
    with pytest.raises(FileError, match="it is a folder"):
        make_program().save(tmp_path)
