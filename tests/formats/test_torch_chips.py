"""cs.compile(cs.from_torch(...), chip): other tools' networks on every chip that can take them, no word in between."""

from __future__ import annotations

import numpy as np
import pytest

import chipsim as cs
from chipsim.mappings.formats.nir.onto_chip import for_chip
from chipsim.mappings.formats.nir.reader import padded

torch = pytest.importorskip("torch")


def snn(reset: str = "subtract"):
    snntorch = pytest.importorskip("snntorch")
    torch.manual_seed(0)
    leaky = {"beta": 0.8, "reset_mechanism": reset, "init_hidden": True}
    return torch.nn.Sequential(
        torch.nn.Linear(8, 6), snntorch.Leaky(**leaky), torch.nn.Linear(6, 4), snntorch.Leaky(**leaky, output=True)
    )


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize("chip", ["float", "loihi", "loihi2", "unlimited", "research"])
def test_a_spiking_module_compiles_for_every_chip(chip: str, reset: str) -> None:
    net = cs.from_torch(snn(reset), torch.zeros(1, 8))
    program = cs.compile(net, chip, name="mine")
    assert program.name == "mine" and program.chip.name == chip
    source = next(p for p in program.populations if p.model.is_input)
    given, steps = padded(net, {source.name: np.random.default_rng(1).random((60, 8)) < 0.4})
    spikes = cs.Emulator(program).run(given, steps).spikes
    wanted = cs.Emulator(cs.compile(net, "float")).run(given, steps).spikes
    for name in wanted:
        assert abs(float(spikes[name].mean()) - float(wanted[name].mean())) < 0.06, name
    if chip != "float":
        assert program.stages["nir"]["notes"] is not None and program.dt == pytest.approx(1e-4)
        made, step = for_chip(net, chip, compartments=2)
        assert made.n == net.n and step == program.dt


def test_a_network_of_relus_compiles_as_it_is() -> None:
    torch.manual_seed(1)
    module = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    data = np.random.default_rng(2).random((50, 6))
    made = cs.from_torch(module, data)
    for chip in ("loihi", "loihi2", "float"):
        program = cs.compile(made, chip)
        spikes = cs.Emulator(program).run({"in": made.encode(data[:4], 32)}).spikes
        assert spikes["out"].any()


def test_families_that_cannot_say_so_and_two_inputs_are_refused() -> None:
    net = cs.from_torch(snn(), torch.zeros(1, 8))
    for chip in ("odin", "truenorth", "xylo"):
        with pytest.raises(cs.ChipsimError) as found:
            cs.compile(net, chip)
        assert "float neurons (Unit)" not in str(found.value)
    with pytest.raises(cs.NetworkError, match="2 samples, but a network is read by one tensor"):
        cs.from_torch(snn(), (torch.zeros(1, 8), torch.zeros(1, 4)))
    with pytest.raises(cs.NetworkError, match="2 samples"):
        cs.from_torch(snn(), [np.zeros((1, 8)), np.zeros((1, 4))])
