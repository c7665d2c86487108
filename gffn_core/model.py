"""The one architecture of all experiments: a small convolutional net.

The thesis compares both losses on one convolutional net and does not print its layers; it says
that the first convolution's zero padding evens out the image sizes, and that there is neither
dropout nor batch normalisation, so that the output is a deterministic function of the input (5.1).
The widths here are ours. What makes a net stochastic or normalised is an option, off by default.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = {"narrow": 8, "wide": 32}  # channels of the first convolution
HIDDEN = 512  # units of the fully connected layer
NORMS = ("none", "batch", "ghost")
GHOST = 32  # images that ghost batch normalisation takes together


class ConvNet(nn.Module):
    """Three times 3x3 convolution, 2x2 max pooling and ReLU, then two fully connected layers.

    Pooling comes first because it commutes with ReLU and leaves it a quarter of the work.

    Channels are ``width``, 2 and 4 times ``width``; the hidden layer has 512 units.
    The first convolution pads the image with zeros to the next multiple of 8 (28 -> 32, 32 -> 32),
    so that three poolings halve evenly.

    norm: "batch" normalises behind each convolution over the batch, "ghost" over ``GHOST`` images at a
    time (Hoffer et al., 2017). dropout: share of the hidden units left out, by a mask that is a
    function of ``seed`` and the number of the step. centred: each image's logits have the mean 0.

    Input ``(N, in_channels, image_size, image_size)`` floats, output ``(N, num_classes)`` logits.
    Raises ValueError where the padding would be lopsided (odd sizes), and for an unknown norm.
    """

    def __init__(
        self,
        in_channels: int,
        image_size: int,
        num_classes: int = 10,
        width: int = WIDTHS["narrow"],
        *,
        norm: str = "none",
        dropout: float = 0.0,
        centred: bool = False,
        seed: int = 0,
    ):
        super().__init__()
        padded = -(-image_size // 8) * 8
        if image_size < 1 or (padded - image_size) % 2:
            raise ValueError(f"image_size={image_size} must be a positive even number")
        if norm not in NORMS:
            raise ValueError(f"norm={norm!r} is unknown; use one of {NORMS}")
        channels = (in_channels, width, 2 * width, 4 * width)
        paddings = (1 + (padded - image_size) // 2, 1, 1)
        layers = []
        for before, after, padding in zip(channels, channels[1:], paddings):
            # A bias before a normalisation has no gradient but rounding, which Adam would blow up.
            layers.append(Convolution(before, after, 3, padding=padding, bias=norm == "none"))
            if norm != "none":
                layers.append(BatchNorm(after, GHOST if norm == "ghost" else None))
            layers += [nn.MaxPool2d(2), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels[-1] * (padded // 8) ** 2, HIDDEN),
            nn.ReLU(),
            *([Dropout(dropout, seed)] if dropout else []),
            nn.Linear(HIDDEN, num_classes),
            *([Centre()] if centred else []),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))


class Convolution(nn.Conv2d):
    """A 3x3 convolution, which trains on a CPU as if images of one channel had two more, of zeros.

    And as if all padding but 1 were in the image: oneDNN takes half the time for the weight's gradient then.
    """

    def forward(self, images: Tensor) -> Tensor:
        if self.in_channels > 1 or not torch.is_grad_enabled() or images.device.type != "cpu":
            return super().forward(images)
        images, weight = _three_channels(images, self.padding[0] - 1), _three_channels(self.weight, 0)
        return F.conv2d(images, weight, self.bias, padding=1)


def _three_channels(images, border):
    """(N, 1, H, W) -> (N, 3, H + 2 * border, W + 2 * border), where what is new is zero; in the layout
    channels_last."""
    padded = F.pad(images.permute(0, 2, 3, 1), (0, 2, border, border, border, border))
    return padded.permute(0, 3, 1, 2)


class Centre(nn.Module):
    """Logits (..., K) minus their mean: p(y|x) stays, but no shift can even ln Z(x)."""

    def forward(self, logits: Tensor) -> Tensor:
        return logits - logits.mean(-1, keepdim=True)


class BatchNorm(nn.Module):
    """Batch normalisation of images (N, channels, H, W); see ``batch_norm``."""

    def __init__(self, channels: int, ghost: int | None = None):
        super().__init__()
        self.ghost = ghost
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, images: Tensor) -> Tensor:
        state = (self.running_mean, self.running_var, self.weight, self.bias)
        return batch_norm(images, *state, ghost=self.ghost, training=self.training)


def batch_norm(
    images: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor,
    bias: Tensor,
    *,
    ghost: int | None,
    training: bool,
) -> Tensor:
    """``torch.nn.functional.batch_norm`` with its defaults, in training over ``ghost`` images at a time.

    images (N, C, H, W); the other tensors (C,). ``mean`` and ``var`` are the running statistics, which
    training moves: by the average over the groups. Raises ValueError for an N above ghost that is no
    multiple of it.
    """
    if not (training and ghost and len(images) > ghost):
        return F.batch_norm(images, mean, var, weight, bias, training)
    if len(images) % ghost:
        raise ValueError(
            f"ghost batch normalisation takes {ghost} images at a time, which do not divide {len(images)}"
        )
    groups = len(images) // ghost
    # Each group of images becomes channels of its own.
    apart = images.unflatten(0, (groups, ghost)).transpose(0, 1).flatten(1, 2)
    running = [statistic.repeat(groups) for statistic in (mean, var)]
    out = F.batch_norm(apart, *running, weight.repeat(groups), bias.repeat(groups), True)
    for statistic, moved in zip((mean, var), running):
        statistic.copy_(moved.view(groups, -1).mean(0))
    return out.unflatten(1, (groups, -1)).transpose(0, 1).flatten(0, 1)


class Dropout(nn.Module):
    """Dropout of (N, F) whose mask is a function of seed and step: see ``kept``.

    So it is the same on every device and in a stack, and goes on from a checkpoint of its buffers.
    """

    def __init__(self, share: float, seed: int = 0):
        super().__init__()
        if not 0 <= share < 1:
            raise ValueError(f"dropout={share} must lie in [0, 1)")
        self.share = share
        self.register_buffer("seed", torch.tensor(seed))
        self.register_buffer("step", torch.tensor(0))

    def forward(self, units: Tensor) -> Tensor:
        if not self.training:
            return units
        return dropout(units[None], self.seed[None], self.step[None], self.share)[0]


def dropout(units: Tensor, seed: Tensor, step: Tensor, share: float) -> Tensor:
    """A training step's dropout of M models' units (M, N, F); seed and step (M,) int64. Counts the step."""
    mask = kept(seed, step, units.shape[1:].numel(), share).view_as(units)
    step += 1
    return units * mask / (1 - share)


def kept(seed: Tensor, step: Tensor, count: int, share: float) -> Tensor:
    """Which of ``count`` units stay, (M, count) booleans, each left out with probability ``share``.

    seed and step (M,) int64.
    """
    return (random_bits(seed, step, count) & 0xFFFFFF) >= share * 2**24


def random_bits(seed: Tensor, step: Tensor, count: int) -> Tensor:
    """``count`` int64 numbers of 64 random bits for each of M seeds, (M, count); step (M,) or (1,) int64.

    They are a hash of seed, step and position (SplitMix64's finaliser; Steele, Lea and Flood, 2014), so there
    is no generator whose state has to be kept.
    """
    position = torch.arange(count, device=seed.device)
    return _mixed(_mixed(_mixed(seed[:, None]) + step[:, None]) + position)


def _mixed(x):
    """A bijection of int64 whose results look random; products wrap around."""
    x = x + _GOLDEN
    x = (x ^ ((x >> 30) & (2**34 - 1))) * _FIRST
    x = (x ^ ((x >> 27) & (2**37 - 1))) * _SECOND
    return x ^ ((x >> 31) & (2**33 - 1))


# SplitMix64's constants, as signed numbers; shifts are masked, because int64's keep the sign.
_GOLDEN, _FIRST, _SECOND = (c - 2**64 for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
