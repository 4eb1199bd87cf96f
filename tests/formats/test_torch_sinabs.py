"""sinabs' modules against themselves: every spike count of every neuron, with what its files leave out."""

from __future__ import annotations

import numpy as np
import pytest

import chipsim as cs
from chipsim.mappings.formats.nir.reader import from_nir
from chipsim.mappings.formats.nir.writer import to_nir
from chipsim.mappings.formats.torch.reader import from_torch
from tests.support.torch_runs import Recorder, emulated, spikes

torch = pytest.importorskip("torch", reason="needs torch")
sl = pytest.importorskip("sinabs.layers", reason="needs sinabs")
activation = pytest.importorskip("sinabs.activation")
nn = torch.nn
KINDS = ("IAF", "LIF", "ExpLeak", "IAFSqueeze", "LIFSqueeze", "ExpLeakSqueeze", "LIFRecurrent", "IAFRecurrent")
ONE = {"batch_size": 1}


def louder(module, factor=4.0):
    with torch.no_grad():
        for name, p in module.named_parameters():
            if name.endswith("weight"):
                p.mul_(factor)
    return module.eval()


def check(module, x, lead=1):
    """In one go over all steps, which is how sinabs runs; values that are no counts within float32."""
    net = from_torch(module, torch.zeros(*[1] * lead, *x.shape[1:]))
    recorder = Recorder(module, KINDS)
    with torch.no_grad():
        module(torch.tensor(x) if lead == 1 else torch.tensor(x)[None])
    got = emulated(net, x)
    for name, record in recorder.taken(squeeze=lead).items():
        assert record.any(), name
        if net.population(name).model.values["sends"] == "value":
            np.testing.assert_allclose(got[name], record, atol=2e-5, err_msg=name)
        else:
            np.testing.assert_array_equal(got[name], record, err_msg=name)
    return net, got


@pytest.mark.parametrize("spike_fn", ["SingleSpike", "MultiSpike"])
@pytest.mark.parametrize("lowest", [None, -0.5])
@pytest.mark.parametrize("reset", ["MembraneSubtract", "MembraneReset"])
def test_integrators(spike_fn, lowest, reset):
    torch.manual_seed(0)
    options = {"spike_fn": getattr(activation, spike_fn), "min_v_mem": lowest, **ONE}
    options["reset_fn"] = getattr(activation, reset)()
    module = nn.Sequential(nn.Linear(16, 24), sl.IAFSqueeze(**options), nn.Linear(24, 8), sl.IAFSqueeze(**options))
    _, got = check(louder(module), spikes(16))
    assert (got["3"].max() > 1) == (spike_fn == "MultiSpike")


@pytest.mark.parametrize("norm_input", [True, False])
@pytest.mark.parametrize("tau_syn", [None, 4.0])
@pytest.mark.parametrize("train_alphas", [True, False])
def test_leaky(norm_input, tau_syn, train_alphas, tmp_path):
    torch.manual_seed(1)
    options = {"norm_input": norm_input, "tau_syn": tau_syn, "train_alphas": train_alphas, **ONE}
    module = nn.Sequential(
        nn.Linear(16, 24), sl.LIFSqueeze(tau_mem=torch.linspace(3, 30, 24), min_v_mem=-1.0, **options),
        nn.Linear(24, 8), sl.LIFSqueeze(tau_mem=8.0, spike_threshold=torch.tensor(0.4), **options),
        nn.Linear(8, 4), sl.ExpLeakSqueeze(tau_mem=10.0, norm_input=norm_input, min_v_mem=-0.05, **ONE),
    )  # fmt: skip
    net, got = check(louder(module, 8.0 if norm_input else 3.0), spikes(16))
    back = emulated(from_nir(to_nir(net, tmp_path / "m.nir")), spikes(16))
    np.testing.assert_allclose(back["5"], got["5"], rtol=1e-6)


def test_layers_that_differ(tmp_path):
    torch.manual_seed(2)
    module = nn.Sequential(
        nn.Linear(16, 24), sl.IAFSqueeze(min_v_mem=-1.0, **ONE), nn.Linear(24, 12),
        sl.LIFSqueeze(tau_mem=9.0, spike_fn=activation.SingleSpike, **ONE), nn.Linear(12, 5),
        sl.IAFSqueeze(reset_fn=activation.MembraneReset(), spike_threshold=torch.tensor(0.6), **ONE),
    )  # fmt: skip
    net, got = check(louder(module), spikes(16))
    back = emulated(from_nir(to_nir(net, tmp_path / "m.nir")), spikes(16))
    for name in ("1", "3", "5"):
        np.testing.assert_array_equal(back[name], got[name])
    sends = [p.model.values["sends"] for p in net.populations.values() if not p.model.is_input]
    assert sends == ["many", "reached", "many"]


def test_convolution_and_sums():
    torch.manual_seed(3)
    module = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False), sl.IAFSqueeze(min_v_mem=-1.0, **ONE), sl.SumPool2d(2),
        nn.Conv2d(4, 6, 3), sl.IAFSqueeze(min_v_mem=-1.0, **ONE), nn.Flatten(), nn.Linear(24, 5), sl.IAFSqueeze(**ONE),
    )  # fmt: skip
    check(louder(module, 2.0), spikes(2, 8, 8))


def test_layers_with_an_axis_of_time_and_recurrence():
    torch.manual_seed(4)
    back = nn.Linear(20, 20, bias=False)
    module = nn.Sequential(
        nn.Linear(16, 20), sl.LIFRecurrent(tau_mem=12.0, rec_connect=back), nn.Linear(20, 6), sl.IAF(min_v_mem=-1.0)
    )
    check(louder(module, 3.0), spikes(16), lead=2)


def test_a_network_around_it():
    """sinabs.network.Network, made from a network of ReLUs."""
    from sinabs.from_torch import from_model

    torch.manual_seed(5)
    ann = louder(nn.Sequential(nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 5), nn.ReLU()))
    network = from_model(ann, input_shape=(16,), batch_size=1)
    network.reset_states()  # it has looked at its shapes by running
    check(network.spiking_model, spikes(16))


def test_refusals():
    def refused(match, layer, **options):
        with pytest.raises(cs.NetworkError, match=match):
            from_torch(nn.Sequential(nn.Linear(16, 8), layer), torch.zeros(1, 16), **options)

    refused("1: IAFSqueeze with spike_fn=MaxSpike", sl.IAFSqueeze(spike_fn=activation.MaxSpike(3), **ONE))
    refused("1: IAFSqueeze with reset_fn=", sl.IAFSqueeze(reset_fn=activation.MembraneSubtract(0.3), **ONE))
    refused("1: ALIF is no layer that is known: sinabs'", sl.ALIF(10.0, 10.0))
    refused("dt=0.001, but it is 1 here .sinabs counts steps", sl.IAFSqueeze(**ONE), dt=1e-3)
