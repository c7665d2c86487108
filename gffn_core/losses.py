"""Conditional and joint likelihood of a classifier's logits, as pure functions on tensors.

Shapes. ``logits`` is ``(..., N, K)``: N examples of one batch, K classes. Leading dimensions are
independent models, each of which gets its own loss, so one call serves a stack of models.
``target`` is ``(..., N)`` class indices (int64 or uint8) or ``(..., N, K)`` label vectors.

Label spaces. The thesis reads the sum over y in ln Z(x) in two ways. "categorical": y is one of
K classes, so ln Z is a log-sum-exp (softmax, 2.13). "binary": y is any of the 2^K binary vectors,
so ln Z is a sum of softplus (2.16-2.18), which makes the conditional loss the binary
cross-entropy (2.20).

Label vectors of the categorical space are distributions, rows that sum to 1. Where they do not, -ln p(y|x)
is <y, ln Z(x) - f(x)> as in PyTorch, ln Z weighed by the row's sum, and the joint loss still exceeds the
conditional one by the same divergence; with ``validate=True`` such rows are refused.

Precision. float16 and bfloat16 logits are accumulated and returned in float32; float32 and
float64 stay what they are. Finite results for logits of +-1e4 in float32.

Checks. Shapes and dtypes are always checked. *Values* (labels in range, finite logits) need the
numbers on the host, which would stall a GPU at every step and is impossible under
``torch.func.vmap``; the functions look at them with ``validate=True`` only,
``JointCrossEntropyLoss`` does so unless told ``validate=False``. The classes have ``ignore_index``; here a
label of -100 is out of range.
"""

import math

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F

from gffn_core.checks import (
    check_finite,
    check_finite_number,
    check_group,
    check_logits,
    check_not_empty,
    check_target,
    check_tensor,
    check_values,
    check_weight,
)


def log_partition(logits: Tensor, *, label_space: str = "categorical") -> Tensor:
    """ln Z(x), the log-partition of each example (thesis 2.14); also the unnormalised ln p(x) (4.9).

    ``logits (..., N, K)`` -> ``(..., N)``, in nats. Raises ValueError for an unknown label space,
    and for logits that are not floating point or have no class dimension.
    """
    check_logits(logits, label_space)
    f = accumulate(logits)
    if label_space == "categorical":
        return f.logsumexp(-1)
    # Above 40 softplus(x) equals x even in float64; the default threshold of 20 does not.
    return F.softplus(f, threshold=40).sum(-1)


def conditional_nll(
    logits: Tensor, target: Tensor, *, label_space: str = "categorical", validate: bool = False
) -> Tensor:
    """Mean over the batch of -ln p(y|x), the standard objective, in nats; its gradient is (4.17).

    ``(..., N, K)`` and ``(..., N)`` or ``(..., N, K)`` -> ``(...)``. With "categorical" it is
    ``torch.nn.functional.cross_entropy``, with "binary" the sum over classes of
    ``binary_cross_entropy_with_logits`` (2.20). Raises ValueError as the module docstring says.
    """
    ln_z, score = terms(logits, target, label_space, validate)
    check_not_empty(ln_z)
    return (ln_z - score).mean(-1)


def joint_nll(
    logits: Tensor,
    target: Tensor,
    *,
    label_space: str = "categorical",
    kl_weight: float = 1.0,
    reference_logits: Tensor | None = None,
    validate: bool = False,
    group: "dist.ProcessGroup | str | None" = None,
) -> Tensor:
    """The GFFN objective -mean<y, f> + logsumexp_l ln Z(x_l) - ln N, in nats; gradient (4.15), (4.16).

    It is -ln p(x, y) with the sum over all x approximated by the batch (4.11-4.14). The constant
    -ln N leaves the gradient alone, makes a batch of one equal to ``conditional_nll`` exactly
    (thesis 4, end), and losses comparable across batch sizes. It exceeds ``conditional_nll`` by
    KL(uniform || p'), p' = softmax of ln Z over the batch.

    kl_weight: of that divergence; 1 is the thesis's loss, 0 is ``conditional_nll``. Beyond the thesis.
    reference_logits: (..., M, K), of M further inputs without labels, whose Z enter the same sum: -ln N
    becomes -ln(N + M), and what is learned is the ratio of the model to the mixture of both. Beyond the
    thesis.

    Shapes and errors as ``conditional_nll``. The examples of a batch are coupled: the loss of a
    batch is not the mean of the losses of its parts.

    group: processes that hold one part of the batch each, of any sizes; "world" is all of them. The
    mean over the processes of what they return is the loss of the whole batch, and the mean of their
    gradients, which is what DistributedDataParallel takes, its gradient. Each sends 16 bytes. Where a
    part is empty, ValueError: in every process on a CPU or with ``validate``, else in the one that
    holds it.
    """
    check_weight(kl_weight)
    check_group(group)
    ln_z, score = terms(logits, target, label_space, validate)
    reference = reference_partition(reference_logits, logits.shape, label_space, validate)
    if reference is not None and group is not None:
        raise ValueError("reference_logits are not supported with a group; leave one of them out")
    return joint_of(ln_z, score, None, kl_weight, group, validate, reference)


def joint_of(ln_z, score, keep, kl_weight, group, validate, reference=None):
    """The formula of ``joint_nll``, from ln Z(x_l) and <y_l, f(x_l)>, (..., N).

    keep: (..., N) booleans, the examples that count; None: all. reference: ln Z of the references, (..., M).
    """
    if kl_weight != 1:
        score = score - (1 - kl_weight) * ln_z  # as much of ln Z is averaged as in the conditional loss
    n = ln_z.new_full(ln_z.shape[:-1], ln_z.shape[-1])
    if keep is not None:
        # Masked, not dropped: shapes stay static for torch.compile.
        ln_z, score = torch.where(keep, ln_z, -torch.inf), torch.where(keep, score, 0)
        n = keep.sum(-1).to(ln_z.dtype)  # .log() of an integer would be float32
    total, score = ln_z.logsumexp(-1), score.sum(-1)
    if group is not None:
        total, score, n = _over_group(total, score, n, _process_group(group), validate)
    else:
        check_not_empty(ln_z, keep if validate else None)
    summed = n  # how many Z are in the sum
    if reference is not None:
        total, summed = torch.logaddexp(total, reference.logsumexp(-1)), n + reference.shape[-1]
    return kl_weight * (total - summed.log()) - score / n


def reference_partition(logits, logits_shape, label_space, validate=False):
    """ln Z of reference logits (..., M, K), beside logits of that shape -> (..., M); None for none."""
    if logits is None:
        return None
    check_tensor("reference_logits", logits)
    reference = log_partition(logits, label_space=label_space)
    rows = logits.shape[-2:-1]
    if logits.shape != (*logits_shape[:-2], *rows, logits_shape[-1]) or not rows or rows[0] == 0:
        raise ValueError(
            f"reference_logits have shape {tuple(logits.shape)}; they take (..., M, K) with M of at least 1, "
            f"beside logits of shape {tuple(logits_shape)}"
        )
    if validate:
        check_finite("reference_logits", logits)
    return reference


def self_normalised_nll(
    logits: Tensor,
    target: Tensor,
    *,
    log_normaliser: "float | Tensor | None" = None,
    kl_weight: float = 1.0,
    reference_logits: Tensor | None = None,
    label_space: str = "categorical",
    validate: bool = False,
) -> Tensor:
    """Mean over the batch of Z(x) e^-b + b - 1 - <y, f>: the joint likelihood with one intercept b for all
    data.

    For any u > 0, ln u is the least of u e^-b + b - 1 over b. With a b for each example this is
    ``conditional_nll``, with one for each batch ``joint_nll``; one for all makes it a plain mean over
    examples, whose gradient is that of the full data on average at every batch size, 1 included. For the
    same logits it is never below ``joint_nll``, and equal at b = ln mean Z. Categorical, it is
    ``torch.nn.PoissonNLLLoss`` on one-hot labels up to constants (Baker 1994, read backwards); the name is
    from arXiv 2503.07021. Beyond the thesis.

    log_normaliser: b, a float or a tensor ``(...)``, which may be learned; None: ln Z of zero logits (ln K,
    or K ln 2 for binary labels). A bias of the last layer can absorb it.
    kl_weight: w of conditional + w mean(e^t - t - 1), t = ln Z - b; 1 is the likelihood, 0
    ``conditional_nll``.
    reference_logits: (..., M, K), as in ``joint_nll``: e^t is averaged over examples and references.

    Beyond t = LINEAR_FROM the exponential goes on as its tangent, so that loss and gradient stay finite.
    Shapes and errors as ``conditional_nll``.
    """
    check_weight(kl_weight)
    ln_z, score = terms(logits, target, label_space, validate)
    check_not_empty(ln_z)
    b = log_normaliser_of(log_normaliser, logits, label_space)[..., None]
    if validate:
        check_finite("log_normaliser", b)
    t = ln_z - b
    reference = reference_partition(reference_logits, logits.shape, label_space, validate)
    summed = t if reference is None else torch.cat([t, reference - b], -1)
    return (ln_z - score).mean(-1) + kl_weight * (expm1_with_tangent(summed).mean(-1) - t.mean(-1))


LINEAR_FROM = 20.0


def expm1_with_tangent(t):
    """e^t - 1, and its tangent beyond LINEAR_FROM."""
    # relu: the gradient of t - clamp(t) is 0 as a difference of large numbers, in which e^t is lost.
    return t.clamp(max=LINEAR_FROM).expm1() + F.relu(t - LINEAR_FROM) * math.exp(LINEAR_FROM)


def log_normaliser_of(value, logits, label_space):
    """``value`` as a tensor beside the logits; None: ln Z of zero logits. ValueError unless finite."""
    if value is None:
        classes = logits.shape[-1]
        value = math.log(classes) if label_space == "categorical" else classes * math.log(2)
    if not isinstance(value, Tensor):
        check_finite_number("log_normaliser", value)
    elif value.shape not in ((), logits.shape[:-2]):
        raise ValueError(
            f"log_normaliser has shape {tuple(value.shape)}; beside logits of shape {tuple(logits.shape)} it "
            f"is one number, or one a model, {tuple(logits.shape[:-2])}"
        )
    f = accumulate(logits)
    # Not from the host's memory, which a CUDA graph cannot read.
    return value.to(f) if isinstance(value, Tensor) else f.new_full((), value)


def _process_group(group):
    """The group that is meant, as ``group.WORLD`` is None until there is one."""
    if group != "world":
        return group
    if not dist.is_initialized():
        raise ValueError(
            'group="world" has no processes yet; call torch.distributed.init_process_group first'
        )
    return dist.group.WORLD


def _over_group(total, score, count, group, validate):
    """Log-sum-exp of ln Z, sum of what is averaged and number, of the examples here, over all processes.

    Number and log-sum-exp are those of all examples. The mean over the processes of what is computed
    from the three is the whole batch's, and so is that of its gradient: gradients are averaged, so the
    sum and the share of Z that belong to the examples here count as often as there are processes.
    """
    mine = torch.stack([total.detach().double(), count.double()])
    parts = [torch.empty_like(mine) for _ in range(dist.get_world_size(group))]
    dist.all_gather(parts, mine, group=group)
    totals, counts = torch.stack(parts).unbind(1)
    if (validate or not counts.is_cuda) and (counts == 0).any():
        raise ValueError(
            f"examples per process are {counts.tolist()}: every process needs at least one; use a "
            "sampler that divides the data evenly, or drop the last batch"
        )
    everywhere = totals.logsumexp(0).to(total.dtype)
    share = (total.detach() - everywhere).exp()
    everywhere = everywhere + len(parts) * share * (total - total.detach())
    return everywhere, len(parts) * score, counts.sum(0).to(total.dtype)


def terms(logits, target, label_space, validate):
    """ln Z(x_l), and <y_l, f(x_l)> for a distribution y_l, each ``(..., N)``: all that either loss needs.

    Their difference is -ln p(y_l|x_l), whatever a row sums to.
    """
    check_logits(logits, label_space)
    if logits.ndim < 2:
        raise ValueError(f"logits must have shape (..., N, K), got {tuple(logits.shape)}")
    check_target(logits, target)
    if validate:
        check_values(logits, target, label_space)
    f = accumulate(logits)
    ln_z = log_partition(f, label_space=label_space)
    if target.shape != logits.shape:
        return ln_z, f.gather(-1, target.long().unsqueeze(-1)).squeeze(-1)
    y = target.to(f.dtype)
    score = (y * f).sum(-1)
    if label_space == "categorical":
        score = score + (1 - y.sum(-1)) * ln_z  # nothing for a distribution
    return ln_z, score


def accumulate(logits):
    """Logits in the precision that sums are taken in."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
