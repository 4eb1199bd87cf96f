"""Torch networks of ReLUs: their layers as plain arrays, and digits turned into spikes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import chipsim as cs
from chipsim.mappings.builders.layers import forward
from chipsim.mappings.builders.relu_run import measure
from chipsim.mappings.formats.torch.layers import layers_of
from chipsim.mappings.formats.torch.reader import from_torch

torch = pytest.importorskip("torch", reason="needs torch")
nn = torch.nn
F = nn.functional
EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "from_torch.py"
torch.set_num_threads(1)


def settled(module, seed=0):
    """Batch norms with statistics, as after training."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for m in module.modules():
            if isinstance(m, nn.modules.batchnorm._BatchNorm):
                m.running_mean.normal_(0, 0.3), m.running_var.uniform_(0.5, 2)
                m.weight.uniform_(0.5, 2), m.bias.normal_(0, 0.3)
    return module.eval()


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(2, 3, 3), nn.Linear(108, 5)

    def forward(self, x):
        x = F.relu(self.conv(x))
        return self.fc(x.view(len(x), -1))


def conv(*rest, n):
    return nn.Sequential(*rest, nn.Flatten(), nn.Linear(n, 5))


NETS = {
    "mlp": lambda: nn.Sequential(nn.Flatten(), nn.Linear(128, 20), nn.ReLU(), nn.Dropout(), nn.Linear(20, 5)),
    "two linear layers are one": lambda: nn.Sequential(nn.Flatten(), nn.Linear(128, 9), nn.Linear(9, 20, bias=False),
                                                       nn.ReLU(), nn.Identity(), nn.Linear(20, 5)),
    "norms": lambda: conv(nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(),
                          nn.Linear(144, 12), nn.BatchNorm1d(12), nn.ReLU(), n=12),
    "pool behind relu": lambda: conv(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(4, 6, 2),
                                     nn.ReLU(), nn.AdaptiveAvgPool2d(1), n=6),
    "pool before relu": lambda: conv(nn.Conv2d(2, 4, 3, stride=2, dilation=(1, 2), padding=(1, 3)), nn.AvgPool2d(2, 1),
                                     nn.ReLU(), n=4 * 3 * 4),
    "groups": lambda: conv(nn.Conv2d(2, 4, 3, groups=2, padding="same"), nn.AvgPool2d((2, 4)), nn.ReLU(), n=32),
    "pool with padding": lambda: conv(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AvgPool2d(3, 2, padding=1), n=36),
    "pool with a divisor": lambda: conv(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AvgPool2d(2, divisor_override=3), n=36),
    "pool before relu with a divisor": lambda: conv(nn.Conv2d(2, 4, 3), nn.AvgPool2d(2, divisor_override=3), nn.ReLU(),
                                                    n=36),
    "functional": Functional,
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_layers_compute_what_the_module_computes(name):
    module = settled(NETS[name]())
    x = torch.rand(7, 2, 8, 8)
    layers = layers_of(module, x)
    with torch.no_grad():
        want = module.double()(x.double()).numpy()
    np.testing.assert_allclose(forward(layers, x.numpy())[-1], want, atol=1e-6)


def test_conv1d_layers():
    module = nn.Sequential(
        nn.Conv1d(3, 4, 5, stride=2, padding=2), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3), nn.Softmax(1)
    )
    torch.manual_seed(0)
    x = torch.rand(5, 3, 12)
    with torch.no_grad():
        want = module[:-1](x).numpy()  # the largest output stays the largest
    np.testing.assert_allclose(forward(layers_of(module, x), x.numpy())[-1], want, atol=1e-6)


@pytest.mark.parametrize("name", ["mlp", "pool before relu"])
def test_inputs_below_zero(name):
    """Their lowest values become biases: rates still become the activations, borders of padded images included."""
    module = settled(NETS[name](), seed=2)
    torch.manual_seed(1)
    x = torch.rand(12, 2, 8, 8) * torch.linspace(0.5, 3, 8) - 0.7
    conversion = from_torch(module, x)
    assert np.min(conversion.low) < 0
    errors = [max(e["rms_error"] for e in measure(conversion, x, steps=t).layers.values()) for t in (10, 100, 1000)]
    assert errors[2] < errors[1] < errors[0] and errors[2] < 0.02


def refused(match, module, sample=None, **options):
    with pytest.raises(cs.NetworkError, match=match):
        from_torch(module.eval(), torch.rand(4, 2, 8, 8) if sample is None else sample, **options)


def test_refusals_name_the_layer_and_the_way_out():
    first = nn.Conv2d(2, 4, 3)
    refused(
        r"2: MaxPool2d has no spiking form: .* train with AvgPool2d", nn.Sequential(first, nn.ReLU(), nn.MaxPool2d(2))
    )
    refused(r"1: Tanh has no spiking form: .* train with ReLU", nn.Sequential(first, nn.Tanh()))
    refused(r"1.0: Upsample has no spiking form: known are", nn.Sequential(first, nn.Sequential(nn.Upsample(9))))
    refused("0 has no ReLU before 1", nn.Sequential(first, nn.Conv2d(4, 4, 3), nn.ReLU()))
    refused("0: BatchNorm2d does not follow", nn.Sequential(nn.BatchNorm2d(2), first))
    refused("0: ReLU before any weights", nn.Sequential(nn.ReLU(), first))
    refused("0: Linear on shape .2, 8, 8.; flatten", nn.Sequential(nn.Linear(8, 3)))
    refused(
        "0: Conv2d pads with reflect", nn.Sequential(nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), nn.ReLU())
    )
    refused("does not run on a sample of shape .1, 3, 8, 8.", nn.Sequential(first, nn.ReLU()), torch.rand(4, 3, 8, 8))
    refused("dt and scheme belong to spiking modules", nn.Sequential(first, nn.ReLU()), dt=1e-3)
    with pytest.raises(cs.NetworkError, match="1: BatchNorm2d is in training mode"):
        from_torch(nn.Sequential(first, nn.BatchNorm2d(4)), torch.rand(4, 2, 8, 8))

    class Branch(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3)

        def forward(self, x):
            return self.b(torch.relu(self.a(x)) + x)

    refused("b: Conv2d reads relu1 .+ input, not the layer before it", Branch())


# ------------------------------------------------------------------------------------------------- digits


@pytest.fixture(scope="module")
def digits():
    pytest.importorskip("sklearn")
    return example().digits()


def example():
    """examples/from_torch.py, which trains the networks."""
    spec = importlib.util.spec_from_file_location("from_torch_example", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_perceptron_on_digits(digits):
    """64-100-10: at most 0.3 points lost in floats after 32 steps, and on chips of 8 bits."""
    torch.manual_seed(0)
    images, test, labels, truth = digits
    module = example().trained(example().mlp(), images, labels, epochs=20)
    run = measure(from_torch(module, images), test, steps=32)
    before, accuracy = run.original_accuracy(truth), run.accuracy(truth)
    with torch.no_grad():
        assert before == (module(torch.tensor(test)).argmax(1).numpy() == truth).mean() >= 0.97
    assert before - accuracy[-1] <= 0.003 and before - accuracy[7] <= 0.02
    assert accuracy[0] < accuracy[3] < accuracy[-1]
    assert min(e["correlation"] for e in run.layers.values()) > 0.99
    chip = measure(from_torch(module, images), test, "loihi2", steps=32)
    assert before - chip.accuracy(truth)[-1] <= 0.003 and chip.agreement[-1] > 0.98
    zero = from_torch(module, images, reset="zero", max_rate=0.25, balance_zero_reset=True)
    assert before - measure(zero, test, "loihi", steps=128).accuracy(truth)[-1] <= 0.01


def test_a_convolutional_network_on_digits(digits):
    torch.manual_seed(0)
    images, test, labels, truth = digits
    module = example().trained(example().cnn(), images, labels, epochs=10)
    conversion = from_torch(module, images)
    assert [p.shape for p in conversion.network.populations.values()][1:4] == [(16, 8, 8), (16, 4, 4), (32, 4, 4)]
    run = measure(conversion, test[:200], steps=64)
    assert run.original_accuracy(truth[:200]) >= 0.97
    assert run.original_accuracy(truth[:200]) - run.accuracy(truth[:200])[-1] <= 0.0101
    errors = [e["rms_error"] for e in run.layers.values()]
    assert errors[0] < errors[2] < errors[4] < 0.1  # each layer adds to it
    chip = measure(conversion, test[:100], "loihi2", steps=64)
    assert (chip.values[:, -1].argmax(1) == run.values[:100, -1].argmax(1)).mean() >= 0.98
