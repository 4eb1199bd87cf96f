"""snnTorch's modules against themselves: step by step, every spike of every neuron."""

from __future__ import annotations

import numpy as np
import pytest

import chipsim as cs
from chipsim.mappings.formats.nir.reader import from_nir
from chipsim.mappings.formats.nir.writer import to_nir
from chipsim.mappings.formats.torch.reader import from_torch
from tests.support.torch_runs import Recorder, differences, emulated, spikes

torch = pytest.importorskip("torch", reason="needs torch")
snn = pytest.importorskip("snntorch", reason="needs snntorch")
nn = torch.nn
KINDS = ("Leaky", "Synaptic", "RLeaky", "RSynaptic", "Lapicque")
HIDDEN = {"init_hidden": True}


def louder(module, factor=3.0):
    with torch.no_grad():
        for name, p in module.named_parameters():
            if "weight" in name:
                p.mul_(factor)
    return module.eval()


def ff(neurons, sizes=(16, 24, 8), seed=0):
    torch.manual_seed(seed)
    layers = [m for a, b, n in zip(sizes, sizes[1:], neurons) for m in (nn.Linear(a, b), n)]
    return louder(nn.Sequential(*layers))


def check(module, x, sample=None):
    """From a module with hidden states, run one step at a time."""
    net = from_torch(module, torch.zeros(1, *x.shape[1:]) if sample is None else sample)
    recorder = Recorder(module, KINDS)
    with torch.no_grad():
        for row in x:
            module(torch.tensor(row)[None])
    differences(net, x, recorder.taken())
    return net


RESETS = [(m, d) for m in ("subtract", "zero", "none") for d in (True, False)]


@pytest.mark.parametrize(("reset", "delay"), RESETS)
def test_leaky(reset, delay):
    options = {"reset_mechanism": reset, "reset_delay": delay, **HIDDEN}
    check(ff([snn.Leaky(beta=0.9, **options), snn.Leaky(beta=0.5, threshold=0.7, **options)]), spikes(16))


@pytest.mark.parametrize(("reset", "delay"), RESETS)
def test_synaptic(reset, delay):
    options = {"reset_mechanism": reset, "reset_delay": delay, **HIDDEN}
    check(ff([snn.Synaptic(0.6, 0.9, **options), snn.Synaptic(alpha=0.2, beta=0.5, **options)]), spikes(16))


def test_layers_that_reset_in_their_own_ways_and_neurons_that_differ(tmp_path):
    torch.manual_seed(3)
    neurons = [
        snn.Leaky(beta=torch.rand(24), threshold=torch.rand(24) + 0.5, reset_mechanism="zero", **HIDDEN),
        snn.Synaptic(alpha=torch.rand(12), beta=torch.rand(12), reset_delay=False, **HIDDEN),
        snn.Leaky(beta=torch.linspace(-0.2, 1.3, 8), learn_beta=True, **HIDDEN),  # clamped to 0 and 1
    ]
    net = check(ff(neurons, (16, 24, 12, 8)), spikes(16))
    back = from_nir(to_nir(net, tmp_path / "m.nir"))  # each layer's reset stands in the file
    for name, record in emulated(net, spikes(16)).items():
        np.testing.assert_array_equal(emulated(back, spikes(16))[name], record)
    after = [p.model.values["after_spike"] for p in net.populations.values() if not p.model.is_input]
    assert after == ["late_forget", "late_subtract", "late_subtract"]


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize("delay", [True, False])
@pytest.mark.parametrize("one_to_one", [True, False])
def test_recurrent_leaky(reset, delay, one_to_one):
    torch.manual_seed(1)
    shape = {"all_to_all": False, "V": torch.randn(24)} if one_to_one else {"linear_features": 24}
    neuron = snn.RLeaky(beta=0.8, reset_mechanism=reset, reset_delay=delay, **shape, **HIDDEN)
    check(ff([neuron, snn.Leaky(beta=0.9, **HIDDEN)]), spikes(16))


@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_recurrent_synaptic(reset):
    neuron = snn.RSynaptic(alpha=0.5, beta=0.8, linear_features=24, reset_mechanism=reset, **HIDDEN)
    scalar = snn.RSynaptic(alpha=0.5, beta=0.8, all_to_all=False, V=0.4, reset_mechanism=reset, **HIDDEN)
    check(ff([neuron, scalar]), spikes(16))


def test_recurrent_synaptic_says_that_its_reset_waits():
    """snnTorch 1.0 computes reset_delay=False of RSynaptic on copies, so that nothing comes of it."""
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(16, 12)
            self.lif = snn.RSynaptic(alpha=0.5, beta=0.8, linear_features=12, reset_delay=False)

        def forward(self, x):
            return self.step(x, *[torch.zeros(1, 12)] * 3)[0]

        def step(self, x, spk, syn, mem):
            return self.lif(self.fc(x), spk, syn, mem)

    module, x = louder(Net()), spikes(16)
    net = from_torch(module, torch.zeros(1, 16))
    assert any("its reset waits a step" in n for n in net.metadata["nir"]["notes"])
    state, want = [torch.zeros(1, 12)] * 3, []
    with torch.no_grad():
        for row in x:
            state = module.step(torch.tensor(row)[None], *state)
            want.append(state[0].numpy()[0].copy())
    differences(net, x, {"lif": np.array(want)})


def test_convolutions_pools_norms_and_recurrent_convolutions():
    torch.manual_seed(2)
    module = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), snn.Leaky(beta=0.8, **HIDDEN), nn.AvgPool2d(2),
        nn.Conv2d(4, 6, (3, 2), stride=(1, 2)),
        snn.RLeaky(beta=0.7, conv2d_channels=6, kernel_size=3, reset_delay=False, **HIDDEN),
        nn.Flatten(), nn.Dropout(0.5), nn.Linear(24, 8), nn.BatchNorm1d(8), snn.Leaky(beta=0.9, **HIDDEN),
    )  # fmt: skip
    with torch.no_grad():
        for norm in (module[1], module[9]):
            norm.running_mean.normal_(0, 0.3), norm.running_var.uniform_(0.5, 1.5)
            norm.weight.uniform_(1, 2), norm.bias.normal_(0, 0.3)
    check(louder(module), spikes(2, 8, 8))


def test_conv1d():
    torch.manual_seed(4)
    module = nn.Sequential(nn.Conv1d(2, 5, 3, padding="same"), snn.Leaky(beta=0.8, **HIDDEN), nn.Flatten())
    module.extend([nn.Linear(60, 4), snn.Leaky(beta=0.8, **HIDDEN)])
    check(louder(module), spikes(2, 12))


def test_graded_spikes_and_lapicque():
    neurons = [snn.Leaky(beta=0.9, graded_spikes_factor=1.7, **HIDDEN), snn.Lapicque(R=2.0, C=3.0, **HIDDEN)]
    module, x = ff(neurons), spikes(16)
    net, recorder = from_torch(module, torch.zeros(1, 16)), Recorder(module, KINDS)
    with torch.no_grad():
        for row in x:
            module(torch.tensor(row)[None])
    wanted = recorder.taken()
    differences(net, x, {"1": 1.0 * (wanted["1"] > 0), "3": wanted["3"]})


class Tutorial(nn.Module):
    """A loop over time inside, states as arguments, a skip connection, and a sum of the spikes at the end."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.skip = nn.Linear(16, 20), nn.Linear(20, 6), nn.Linear(16, 6)
        self.lif1, self.lif2 = snn.Leaky(beta=0.8), snn.Synaptic(alpha=0.5, beta=0.7)

    def forward(self, x):
        mem1, (syn2, mem2), out = self.lif1.reset_mem(), self.lif2.reset_mem(), []
        for step in range(len(x)):
            spk1, mem1 = self.lif1(self.fc1(x[step]), mem1)
            spk2, syn2, mem2 = self.lif2(self.fc2(spk1) + self.skip(x[step]), syn2, mem2)
            out.append(spk2)
        return torch.stack(out).sum(0)


def test_a_loop_over_time_with_a_skip_connection():
    torch.manual_seed(5)
    module, x = louder(Tutorial()), spikes(16)
    net = from_torch(module, torch.zeros(3, 1, 16))
    assert any("result of 'sum'" in n for n in net.metadata["nir"]["notes"])
    recorder = Recorder(module, KINDS)
    with torch.no_grad():
        module(torch.tensor(x)[:, None])
    differences(net, x, recorder.taken())


def test_the_example_of_its_documentation():
    """Scalar betas behind Flatten: its own exporter fails on it."""
    lif = [snn.Leaky(beta=0.9, init_hidden=True), snn.Leaky(beta=0.9, init_hidden=True, output=True)]
    torch.manual_seed(0)
    module = louder(nn.Sequential(nn.Flatten(), nn.Linear(784, 500), lif[0], nn.Linear(500, 10), lif[1]))
    check(module, spikes(784, steps=10), torch.randn(1, 784))


def test_the_module_is_left_as_it_was():
    module, x = ff([snn.Leaky(beta=0.9, **HIDDEN), snn.Synaptic(0.5, 0.9, **HIDDEN)]), spikes(16)
    module(torch.tensor(x[0])[None])
    before = {k: v.clone() for k, v in module.named_buffers()}
    state = torch.random.get_rng_state()
    from_torch(module, torch.zeros(5, 16))
    assert torch.equal(state, torch.random.get_rng_state())
    for name, value in module.named_buffers():
        assert torch.equal(before[name], value), name


def test_another_step_keeps_the_spikes_and_scales_the_time_constants():
    module, x = ff([snn.Leaky(beta=0.9, **HIDDEN), snn.Synaptic(0.5, 0.9, **HIDDEN)]), spikes(16)
    one, other = from_torch(module, torch.zeros(1, 16)), from_torch(module, torch.zeros(1, 16), dt=1e-3)
    assert other.metadata["nir"]["dt"] == 1e-3
    for name, record in emulated(one, x).items():
        np.testing.assert_array_equal(record, emulated(other, x)[name])


def refused(match, module, sample=None, **options):
    with pytest.raises(cs.ChipsimError, match=match):
        from_torch(module, torch.zeros(1, 16) if sample is None else sample, **options)


def test_refusals_name_the_layer():
    lif = {"beta": 0.9, **HIDDEN}
    good = ff([snn.Leaky(**lif), snn.Leaky(**lif)])
    refused(r"4: SLSTM is no layer that is known", nn.Sequential(*good, snn.SLSTM(8, 8, **HIDDEN)))
    refused("1: Leaky with inhibition", ff([snn.Leaky(inhibition=True, **lif), snn.Leaky(**lif)]))
    refused("1: Leaky with state_quant", ff([snn.Leaky(state_quant=lambda v: v, **lif), snn.Leaky(**lif)]))
    refused("1: Leaky: its spike_grad gives", ff([snn.Leaky(spike_grad=torch.sigmoid, **lif), snn.Leaky(**lif)]))
    refused("does not run on a sample of shape .1, 5.: ", good, torch.zeros(1, 5))
    refused("2: Dropout is in training mode", nn.Sequential(*good[:2], nn.Dropout(0.1), *good[2:]).train())
    refused("the sample is complex", good, torch.zeros(1, 16, dtype=torch.complex64))
    refused("holds NaN", good, torch.full((1, 16), float("nan")))
    refused("holds nothing", good, torch.zeros(0, 16))
    refused("give the sample a batch axis", nn.Sequential(snn.Leaky(**lif)), torch.zeros(16))
    refused("scheme 'norse_box', but the neurons are snntorch's", good, scheme="norse_box")
    refused("percentile: only for networks of ReLUs", good, percentile=99)
    refused("takes a torch.nn.Module, not int", 5)
    refused("is no tensor or array of numbers", good, ["a", "b"])
    refused("lazy layers without weights", nn.Sequential(nn.LazyLinear(24), *good[1:]))
    refused("dt=-1.0 is not a positive number", good, dt=-1.0)


def test_operations_that_are_no_layer_are_refused_where_they_matter():
    class Odd(nn.Module):
        def __init__(self, act):
            super().__init__()
            self.a, self.act, self.lif = nn.Linear(16, 16), act, snn.Leaky(beta=0.9, init_hidden=True)

        def forward(self, x):
            return self.lif(self.act(self.a(x), x))

    refused("lif: Leaky receives the result of 'tanh'", Odd(lambda a, x: torch.tanh(a)))
    refused("lif: Leaky receives the result of '(__)?mul", Odd(lambda a, x: a * x))
    refused("lif: Leaky receives the result of", Odd(lambda a, x: a + a))
    refused("relu1: ReLU is no layer that is known", Odd(lambda a, x: torch.relu(a)))
    refused("lif: Leaky receives a tensor that does not come from the sample", Odd(lambda a, x: torch.ones(1, 16)))

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.lif = nn.Linear(16, 16), snn.Leaky(beta=0.9, init_hidden=True)

        def forward(self, x):
            return self.a(self.lif(self.a(x)))

    refused("a: Linear runs behind 'input' and behind 'lif'", Twice())
