"""Nets of a few layers, several seeds side by side, for pages that train while they are executed."""

import pandas as pd
import torch
from torch import Tensor

from gffn_core.experiments.tables import over_seeds

SEEDS = 6


def nets(sizes: tuple[int, ...], count: int = 1, first: int = 0) -> list[list[Tensor]]:
    """Layers of ``count`` times SEEDS nets side by side: weights (nets, in, out), biases (nets, 1, out)."""
    layers = []
    for seed in range(first, first + SEEDS):
        torch.manual_seed(seed)
        layers.append([torch.nn.Linear(*size) for size in zip(sizes, sizes[1:])])
    return [
        [
            torch.stack([of(one).detach() for one in layer] * count).requires_grad_()
            for of in (lambda one: one.weight.T, lambda one: one.bias[None])
        ]
        for layer in zip(*layers)
    ]


def features(net: list[list[Tensor]], x: Tensor) -> Tensor:
    """What the last layer gets: (nets, N, inputs) or (N, inputs) -> (nets, N, features)."""
    for weight, bias in net[:-1]:
        x = torch.relu(x @ weight + bias)
    return x


def logits(net: list[list[Tensor]], x: Tensor, centred: bool = False) -> Tensor:
    """(nets, N, inputs) or (N, inputs) -> (nets, N, classes)."""
    weight, bias = net[-1]
    f = features(net, x) @ weight + bias
    return f - f.mean(-1, keepdim=True) if centred else f


def interval(values) -> tuple[float, float, float]:
    """Mean and 95 % interval (Student's t) over seeds."""
    return tuple(over_seeds(pd.Series(values)))
