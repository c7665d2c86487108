"""The net: shapes, and the determinism that the comparison of the losses rests on (thesis 5.1)."""

import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from gffn_core import model
from gffn_core.model import GHOST, ConvNet, batch_norm, dropout, kept


def parameters(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("size", (8, 28, 32))
@pytest.mark.parametrize("channels", (1, 3))
@pytest.mark.parametrize("classes", (5, 10))
def test_output_shape(size, channels, classes):
    assert ConvNet(channels, size, classes)(torch.zeros(2, channels, size, size)).shape == (2, classes)


def test_padding_evens_out_the_image_sizes():
    """28 pixels with the same weights are 32 pixels with a black frame of two."""
    small, large = ConvNet(1, 28), ConvNet(1, 32)
    large.load_state_dict(small.state_dict())
    images = torch.rand(3, 1, 28, 28)
    torch.testing.assert_close(small(images), large(F.pad(images, (2, 2, 2, 2))))


def test_colour_adds_only_input_weights():
    assert parameters(ConvNet(3, 32, width=8)) - parameters(ConvNet(1, 28, width=8)) == 2 * 8 * 9


@pytest.mark.parametrize("size", (8, 28))
def test_the_first_convolution_of_one_channel_is_pytorchs(size):
    """Trained through three channels: on a CPU in less time, with the same result up to rounding."""
    layer, images = ConvNet(1, size).features[0].double(), torch.rand(5, 1, size, size, dtype=torch.float64)
    plain = torch.nn.Conv2d(1, 8, 3, padding=layer.padding).double()
    plain.load_state_dict(layer.state_dict())
    seen = []
    for one in (layer, plain):
        one(images).square().sum().backward()
        seen.append((one(images), one.weight.grad, one.bias.grad))
    torch.testing.assert_close(*seen)
    with FlopCounterMode(display=False) as three, torch.enable_grad():
        layer(images)
    with FlopCounterMode(display=False) as one, torch.no_grad():
        evaluated = layer(images)
    assert three.get_total_flops() == 3 * one.get_total_flops()
    assert torch.equal(evaluated, plain(images))  # what is measured on kept nets stays, to the bit


def test_output_is_a_function_of_the_image_alone():
    """No dropout, no batch normalisation: neither the mode, the call nor the batch matters."""
    net, images = ConvNet(3, 32), torch.rand(6, 3, 32, 32)
    trained = net.train()(images)
    assert torch.equal(net.eval()(images), trained)
    assert torch.equal(net(images), trained)
    torch.testing.assert_close(net(images[2:3]), trained[2:3], rtol=1e-4, atol=1e-5)
    assert not list(net.buffers())


@pytest.mark.parametrize("size", (0, -8, 7, 27, 31))
def test_sizes_that_cannot_be_padded_evenly(size):
    with pytest.raises(ValueError, match=f"image_size={size} "):
        ConvNet(1, size)


def statistics(channels=4):
    return torch.zeros(channels), torch.ones(channels), torch.rand(channels), torch.rand(channels)


def test_batch_normalisation_is_pytorchs():
    images, (mean, var, weight, bias) = 3 + 2 * torch.randn(20, 4, 6, 6), statistics()
    reference = torch.nn.BatchNorm2d(4)
    reference.load_state_dict(
        {"weight": weight, "bias": bias, "running_mean": mean, "running_var": var}, strict=False
    )
    for ghost in (None, 20, 32):  # no more images than a group holds are one group
        moved = [mean.clone(), var.clone()]
        found = batch_norm(images, *moved, weight, bias, ghost=ghost, training=True)
        reference.reset_running_stats()
        assert torch.equal(found, reference.train()(images))
        assert torch.equal(moved[0], reference.running_mean) and torch.equal(moved[1], reference.running_var)
        still = batch_norm(images, *moved, weight, bias, ghost=ghost, training=False)
        assert torch.equal(still, reference.eval()(images))


def test_ghost_batch_normalisation_is_that_of_each_group():
    images, (mean, var, weight, bias) = torch.randn(30, 4, 6, 6), statistics()
    moved, parts, averages = [mean.clone(), var.clone()], [], []
    for part in images.split(10):
        own = [mean.clone(), var.clone()]
        parts.append(batch_norm(part, *own, weight, bias, ghost=None, training=True))
        averages.append(torch.stack(own))
    found = batch_norm(images, *moved, weight, bias, ghost=10, training=True)
    torch.testing.assert_close(found, torch.cat(parts))
    torch.testing.assert_close(torch.stack(moved), torch.stack(averages).mean(0))
    with pytest.raises(ValueError, match="20 images at a time, which do not divide 30"):
        batch_norm(images, *moved, weight, bias, ghost=20, training=True)


def test_the_bits_of_dropout_are_those_of_splitmix64():
    """Its published first output for the state 0, the hash of everything else."""
    assert model._mixed(torch.tensor(0)).item() + 2**64 == 0xE220A8397B1DCDAF


def test_dropout_leaves_out_its_share_and_keeps_the_mean():
    seed, step = torch.tensor([0, 1, 0]), torch.tensor([5, 5, 6])
    masks = kept(seed, step, 40_000, 0.3)
    assert masks.double().mean(1).tolist() == pytest.approx([0.7] * 3, abs=0.01)
    for other in masks[1:]:  # another seed, another step: as independent as chance allows
        assert (masks[0] & other).double().mean().item() == pytest.approx(0.49, abs=0.01)
    units = torch.ones(3, 100, 400)
    assert torch.equal(dropout(units, seed, step, 0.3) * 0.7, masks.view(3, 100, 400).float())
    assert step.tolist() == [6, 6, 7]  # counted


def test_options_of_the_net():
    net = ConvNet(3, 32, norm="ghost", dropout=0.5).train()
    images = torch.rand(2 * GHOST, 3, 32, 32)
    assert not torch.equal(net(images), net(images))
    assert torch.equal(net.eval()(images), net(images))
    for option, message in (({"norm": "layer"}, "'layer'.*ghost"), ({"dropout": 1.0}, "1.0 must lie")):
        with pytest.raises(ValueError, match=message):
            ConvNet(3, 32, **option)
