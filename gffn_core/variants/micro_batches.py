"""The joint loss of a batch that does not fit into memory, exactly, one micro-batch at a time."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from gffn_core.checks import check_not_empty, check_weight
from gffn_core.losses import terms


def joint_backward(
    model: nn.Module,
    micro_batches: Iterable[tuple[Tensor, Tensor]],
    *,
    label_space: str = "categorical",
    kl_weight: float = 1.0,
) -> Tensor:
    """``joint_nll`` of all micro-batches as one batch, and its gradient added to the parameters' ``grad``.

    As ``joint_nll(model(inputs), target, ...).backward()`` of the whole batch would, with one forward pass
    and the memory of one micro-batch and two gradients. Each weighs by Z of the whole batch, which is not
    known before the last one; so the sums of Z(x) grad ln Z(x) and of grad <y, f> are kept apart, the first
    relative to the largest ln Z so far, and divided at the end.

    micro_batches: (inputs, target) of any sizes, target as ``joint_nll`` takes it; a batch norm sees each by
    itself. Returns the loss, (), detached. ValueError for one without examples, or none, and for logits that
    are not (N, K).
    """
    check_weight(kl_weight)
    parameters = [one for one in model.parameters() if one.requires_grad]
    weighted = [torch.zeros_like(one) for one in parameters]  # sum of e^(ln Z - peak) grad ln Z
    plain = [torch.zeros_like(one) for one in parameters]  # sum of grad (<y, f> - (1 - w) ln Z)
    peak, total, score_sum, count = -math.inf, 0.0, 0.0, 0
    for inputs, target in micro_batches:
        logits = model(inputs)
        if logits.ndim != 2:
            raise ValueError(
                f"a micro-batch has logits of shape {tuple(logits.shape)}, which have to be (N, K); have the "
                "model return logits.flatten(0, -2), and flatten the target"
            )
        ln_z, score = terms(logits, target, label_space, validate=False)
        check_not_empty(ln_z)
        score = score - (1 - kl_weight) * ln_z
        highest = max(peak, ln_z.detach().max().item())
        torch._foreach_mul_(weighted, math.exp(peak - highest))
        total *= math.exp(peak - highest)
        peak = highest
        z = (ln_z.detach() - peak).exp()
        for sums, part in ((weighted, (z * ln_z).sum()), (plain, score.sum())):
            found = torch.autograd.grad(
                part, parameters, retain_graph=sums is weighted, materialize_grads=True
            )
            torch._foreach_add_(sums, found)
        total += z.sum().item()
        score_sum += score.detach().sum().item()
        count += len(ln_z)
    if not count:
        raise ValueError("no examples: micro_batches is empty")
    for parameter, z_part, y_part in zip(parameters, weighted, plain):
        gradient = kl_weight * z_part / total - y_part / count
        parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
    return ln_z.new_tensor(kl_weight * (peak + math.log(total / count)) - score_sum / count)
