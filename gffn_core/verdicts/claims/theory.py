"""Claims on the losses themselves, measured here and now, without runs."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy import stats

from gffn_core.checks import LABEL_SPACES
from gffn_core.losses import conditional_nll, joint_nll, log_partition
from gffn_core.verdicts.claim import Claim
from gffn_core.verdicts.intervals import Estimate
from gffn_core.verdicts.rules import Measured, between, exactly


def batch_of_one(_) -> Measured:
    """Largest difference of both losses and their gradients over a hundred batches of one."""
    generator = torch.Generator().manual_seed(0)
    logits = 10 * torch.randn(100, 1, 10, generator=generator, dtype=torch.float64)
    labels = torch.randint(10, (100, 1), generator=generator)
    worst = 0.0
    for label_space in LABEL_SPACES:
        (first, first_slope), (second, second_slope) = (
            _with_gradient(loss, logits, labels, label_space) for loss in (conditional_nll, joint_nll)
        )
        for gap in (first - second, first_slope - second_slope):
            worst = max(worst, gap.abs().max().item())
    return exactly(worst, high=1e-12)


def weighted_average(_) -> Measured:
    """Largest difference of autograd's gradient of the joint loss to (4.15) with (4.16)."""
    generator = torch.Generator().manual_seed(0)
    logits = 10 * torch.randn(100, 32, 10, generator=generator, dtype=torch.float64)
    labels = torch.randint(10, (100, 32), generator=generator)
    onehot = torch.nn.functional.one_hot(labels, 10)
    worst = 0.0
    for label_space in LABEL_SPACES:
        _, gradient = _with_gradient(joint_nll, logits, labels, label_space)
        weights = log_partition(logits, label_space=label_space).softmax(-1)[..., None]
        inner = logits.softmax(-1) if label_space == "categorical" else logits.sigmoid()
        worst = max(worst, (gradient - (weights * inner - onehot / 32)).abs().max().item())
    return exactly(worst, high=1e-12)


def _with_gradient(loss, logits, labels, label_space):
    logits = logits.clone().requires_grad_()
    value = loss(logits, labels, label_space=label_space)
    return value.detach(), torch.autograd.grad(value.sum(), logits)[0]


def overhead(ratios: Sequence[float]) -> Measured | None:
    """Mean over batch sizes and machines of the time of a step, joint over conditional, minus 1."""
    if len(ratios) < 2:
        return None
    excess = np.array(ratios) - 1
    return between(Estimate(excess.mean(), stats.sem(excess), len(excess) - 1), high=0.02)


CLAIMS = [
    Claim(
        "1",
        "4",
        "For a batch of one both approaches are identical.",
        "Largest difference of the losses and of their gradients over 100 random batches of one, both "
        "label spaces, float64: at most 1e-12.",
        "nats",
        batch_of_one,
        nets=(),
    ),
    Claim(
        "2",
        "4",
        "The joint loss has no relevant computational overhead.",
        "Ratio of the time of a training step, joint over conditional, minus 1, mean over batch sizes "
        "(`gffn bench`, narrow net, B = 4 to 2048): below 0.02.",
        "of a step's time",
        overhead,
        nets=(),
    ),
    Claim(
        "21",
        "4",
        "The gradient of the joint loss differs from the standard one only in that "
        "the partition functions enter as a weighted average, with weights p' from one softmax over the "
        "batch.",
        "Largest difference of automatic differentiation to (4.15) with (4.16), both label spaces, "
        "float64: at most 1e-12.",
        "nats",
        weighted_average,
        nets=(),
    ),
]
