"""Norse's modules against themselves: step by step, every spike and every readout."""

from __future__ import annotations

import numpy as np
import pytest

import chipsim as cs
from chipsim.mappings.formats.torch.reader import from_torch
from tests.support.torch_runs import Recorder, differences, emulated, first, spikes

torch = pytest.importorskip("torch", reason="needs torch")
norse = pytest.importorskip("norse.torch", reason="needs norse")
nn = torch.nn
KINDS = ("LIFBoxCell", "LIFCell", "IAFCell", "LIFRecurrentCell", "LIF", "LIFRecurrent", "IAF")
READS = ("LIBoxCell", "LICell", "LI", "LILinearCell")


def louder(module, factor=4.0):
    with torch.no_grad():
        for name, p in module.named_parameters():
            if "weight" in name:
                p.mul_(factor)
    return module.eval()


def stepped(module, x, kinds=(*KINDS, *READS)):
    """What neurons give, one step after another."""
    recorder, state = Recorder(module, kinds), None
    with torch.no_grad():
        for row in x:
            _, state = module(torch.tensor(row)[None], state)
    return recorder.taken()


def check(module, x):
    net = from_torch(module, torch.zeros(1, *x.shape[1:]))
    got, wanted = emulated(net, x), stepped(module, x)
    for name, record in wanted.items():
        silent = net.population(name).model.values["sends"] == "value"
        assert record.any(), name
        if silent:
            np.testing.assert_allclose(got[name], record, atol=2e-5, err_msg=name)
        else:
            np.testing.assert_array_equal(got[name], record, err_msg=name)
    return net


def box(n, reset="value", seed=0):
    rng = torch.Generator().manual_seed(seed)
    method = {"value": norse.functional.reset.reset_value, "subtract": norse.functional.reset.reset_subtract}[reset]
    return norse.LIFBoxParameters(
        tau_mem_inv=1 / (torch.rand(n, generator=rng) * 10e-3 + 2e-3), v_th=torch.rand(n, generator=rng) + 0.2,
        v_leak=torch.rand(n, generator=rng) * 0.1, v_reset=-0.1 * torch.rand(n, generator=rng), reset_method=method,
    )  # fmt: skip


@pytest.mark.parametrize("reset", ["value", "subtract"])
def test_box_cells(reset):
    torch.manual_seed(0)
    module = norse.SequentialState(
        nn.Linear(16, 24), norse.LIFBoxCell(box(24, reset)), nn.Linear(24, 8), norse.LIFBoxCell(box(8, reset))
    )
    check(louder(module, 8.0), spikes(16))


def test_cells_with_currents_and_a_readout():
    torch.manual_seed(1)
    p = norse.LIFParameters(tau_syn_inv=1 / torch.linspace(3e-3, 9e-3, 24), v_th=torch.as_tensor(0.4),
                            v_reset=torch.as_tensor(-0.2), v_leak=torch.linspace(0, 0.2, 24))  # fmt: skip
    module = norse.SequentialState(
        nn.Linear(16, 24), norse.LIFCell(p), nn.Linear(24, 12, bias=False), norse.LIFCell(), nn.Linear(12, 6),
        norse.LICell(),
    )  # fmt: skip
    check(louder(module), spikes(16))


def test_integrators_and_box_readout():
    torch.manual_seed(2)
    p = norse.IAFParameters(v_th=torch.as_tensor(0.8), v_reset=torch.as_tensor(0.1))
    module = norse.SequentialState(
        nn.Linear(16, 24), norse.IAFCell(p), nn.Linear(24, 6), norse.LIBoxCell(),
    )  # fmt: skip
    check(louder(module, 2.0), spikes(16))


def test_recurrent_cells_and_weighted_readout():
    torch.manual_seed(3)
    module = norse.SequentialState(norse.LIFRecurrentCell(16, 20), norse.LILinearCell(20, 5))
    check(louder(module, 2.0), spikes(16))


def test_convolution_pool_flatten():
    torch.manual_seed(4)
    module = norse.SequentialState(
        nn.Conv2d(2, 4, 3, padding=1, bias=False), norse.LIFBoxCell(), nn.AvgPool2d(2), nn.Conv2d(4, 6, 3),
        norse.LIFCell(), nn.Flatten(), nn.Linear(24, 5), norse.LIBoxCell(),
    )  # fmt: skip
    check(louder(module), spikes(2, 8, 8))


def test_a_loop_of_one_neuron():
    """RecurrentSequential: what comes out is added to what goes in, a step later."""
    torch.manual_seed(5)
    loop = norse.RecurrentSequential(norse.LIFBoxCell(box(12)), nn.Linear(12, 12, bias=False), output_modules=1)
    module = norse.SequentialState(nn.Linear(16, 12), loop, nn.Linear(12, 4), norse.LIFBoxCell(box(4)))
    louder(module, 8.0)
    x = spikes(16)
    net = from_torch(module, torch.zeros(1, 16))
    wanted = stepped(module, x, KINDS)
    assert set(wanted) == {"1.module.0", "3"}
    differences(net, x, wanted)


def test_a_loop_of_two_neurons_is_refused():
    loop = norse.RecurrentSequential(norse.LIFBoxCell(), nn.Linear(16, 16), norse.LIFBoxCell())
    with pytest.raises(cs.NetworkError, match="RecurrentSequential with 2 neurons"):
        from_torch(loop, torch.zeros(1, 16))
    late = norse.RecurrentSequential(norse.LIFBoxCell(), nn.Linear(16, 16))
    with pytest.raises(cs.NetworkError, match=r"module.1: a bias on the way back of a loop"):
        from_torch(late, torch.zeros(1, 16))


def test_modules_that_loop_over_time():
    """Time is their first axis; Lift takes stateless layers along it."""
    torch.manual_seed(6)
    module = louder(
        norse.SequentialState(
            norse.Lift(nn.Conv2d(2, 3, 3)),
            norse.LIF(),
            nn.Flatten(2),
            norse.LIFRecurrent(108, 20),
            nn.Linear(20, 5),
            norse.LI(),
        )
    )
    x = spikes(2, 8, 8)
    net = from_torch(module, torch.zeros(7, 1, 2, 8, 8))
    recorder = Recorder(module, (*KINDS, *READS))
    with torch.no_grad():
        out = first(module(torch.tensor(x)[:, None])).numpy()[:, 0]
    got = emulated(net, x)
    for name, record in recorder.taken(squeeze=2).items():
        record = record.reshape(len(x), *got[name].shape[1:])
        assert record.any(), name
        np.testing.assert_allclose(got[name], record, atol=2e-5, err_msg=name)
    np.testing.assert_allclose(got["output"], out, atol=2e-5)


def test_steps_of_the_cells():
    """dt is that of the first cell; a cell with another one keeps its decay per step."""
    torch.manual_seed(7)
    module = louder(
        norse.SequentialState(nn.Linear(16, 24), norse.LIFBoxCell(dt=5e-4), nn.Linear(24, 8), norse.LIFCell(dt=2e-3)),
        20.0,
    )
    net = check(module, spikes(16))
    assert net.metadata["nir"]["dt"] == 5e-4 and net.metadata["nir"]["scheme"] == "norse_box"
    with pytest.raises(cs.NetworkError, match=r"dt=0.001, but it is 0.0005 here"):
        from_torch(module, torch.zeros(1, 16), dt=1e-3)


def test_refusals():
    def refused(match, *layers):
        with pytest.raises(cs.NetworkError, match=match):
            from_torch(norse.SequentialState(nn.Linear(16, 8), *layers), torch.zeros(1, 16))

    refused("2: LSNNCell is no layer that is known: Norse's", norse.LIFCell(), norse.LSNNCell())
    odd = norse.LIFBoxParameters(reset_method=lambda z, v, r, th: v)
    refused("1: LIFBoxCell resets by '<lambda>'", norse.LIFBoxCell(odd))
    fast = norse.LIFBoxParameters(tau_mem_inv=torch.as_tensor(2e3))
    refused("'1' .LIF.: tau=0.0005 is below dt=0.001", norse.LIFBoxCell(fast))
