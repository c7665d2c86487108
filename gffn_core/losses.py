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
``JointCrossEntropyLoss`` does so unless told ``validate=False``.
"""

import math
from numbers import Integral

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F

LABEL_SPACES = ("categorical", "binary")
SUM_TOLERANCE = 1e-2  # rows of probabilities in half precision sum to 1 within about this


def log_partition(logits: Tensor, *, label_space: str = "categorical") -> Tensor:
    """ln Z(x), the log-partition of each example (thesis 2.14); also the unnormalised ln p(x) (4.9).

    ``logits (..., N, K)`` -> ``(..., N)``, in nats. Raises ValueError for an unknown label space,
    and for logits that are not floating point or have no class dimension.
    """
    _check_logits(logits, label_space)
    f = _accumulate(logits)
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
    ln_z, score = _terms(logits, target, label_space, validate)
    _check_not_empty(ln_z)
    return (ln_z - score).mean(-1)


def joint_nll(
    logits: Tensor,
    target: Tensor,
    *,
    label_space: str = "categorical",
    kl_weight: float = 1.0,
    validate: bool = False,
    group: "dist.ProcessGroup | None" = None,
) -> Tensor:
    """The GFFN objective -mean<y, f> + logsumexp_l ln Z(x_l) - ln N, in nats; gradient (4.15), (4.16).

    It is -ln p(x, y) with the sum over all x approximated by the batch (4.11-4.14). The constant
    -ln N leaves the gradient alone, makes a batch of one equal to ``conditional_nll`` exactly
    (thesis 4, end), and losses comparable across batch sizes. It exceeds ``conditional_nll`` by
    KL(uniform || p'), p' = softmax of ln Z over the batch.

    kl_weight: of that divergence; 1 is the thesis's loss, 0 is ``conditional_nll``. Beyond the thesis.

    Shapes and errors as ``conditional_nll``. The examples of a batch are coupled: the loss of a
    batch is not the mean of the losses of its parts.

    group: processes that hold one part of the batch each, of any sizes (for all processes,
    ``torch.distributed.group.WORLD``). The mean over the processes of what they return is the loss
    of the whole batch, and the mean of their gradients, which is what DistributedDataParallel
    takes, its gradient. Each sends 16 bytes. Where a part is empty, ValueError: in every process on
    a CPU or with ``validate``, else in the one that holds it.
    """
    _check_kl_weight(kl_weight)
    ln_z, score = _terms(logits, target, label_space, validate)
    return _joint(ln_z, score, None, kl_weight, group, validate)


def _joint(ln_z, score, keep, kl_weight, group, validate):
    """The formula of ``joint_nll``, from ln Z(x_l) and <y_l, f(x_l)>, (..., N).

    keep: (..., N) booleans, the examples that count; None: all.
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
        total, score, n = _over_group(total, score, n, group, validate)
    else:
        _check_not_empty(ln_z, keep if validate else None)
    return kl_weight * (total - n.log()) - score / n


class JointCrossEntropyLoss(torch.nn.Module):
    """Drop-in for ``torch.nn.CrossEntropyLoss`` that trains p(x, y) instead of p(y|x) (``joint_nll``).

    Takes what CrossEntropyLoss takes: ``(N, K)``, ``(K,)`` or ``(N, K, d1, ...)`` logits, with
    class indices of the shape without K or class probabilities of the same shape. All N * d1 * ...
    positions that are not ignored form the one batch over which Z is summed.

    label_space: "categorical" (softmax) or "binary" (independent sigmoids), see the module.
    label_smoothing, ignore_index: as in CrossEntropyLoss; ignored positions do not enter Z.
    kl_weight: how much of the joint loss, see ``joint_nll``; 0 is CrossEntropyLoss.
    reduction: "mean", or "sum" (mean times the number of positions). "none" and class weights are
        refused: the loss couples the batch, so it is no sum of per-example terms.
    validate: raise ValueError for labels out of range, class probabilities that do not sum to 1,
        non-finite logits and a batch in which all is ignored. One device synchronisation a call;
        switch it off in a GPU training loop. Skipped while ``torch.compile`` or ``torch.export``
        traces. Without it the loss of a batch in which all is ignored is NaN, its gradient zero.
    group: processes over whose batches together Z is summed, see ``joint_nll``; with None each
        process normalises over its own part, which is another loss.
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        *,
        label_space: str = "categorical",
        kl_weight: float = 1.0,
        validate: bool = True,
        group: "dist.ProcessGroup | None" = None,
    ):
        super().__init__()
        if weight is not None:
            raise ValueError(
                "weight is not supported: the joint loss has one log-partition for the whole batch, "
                "which class weights do not split; sample the classes with the frequency you want"
            )
        if reduction not in ("mean", "sum"):
            raise ValueError(
                f"reduction={reduction!r} is not supported: the joint loss couples all examples of "
                "the batch through Z, so there is no loss per example; use 'mean' or 'sum'"
            )
        if not 0.0 <= label_smoothing <= 1.0:
            raise ValueError(f"label_smoothing={label_smoothing} must lie in [0, 1]")
        if group is not None and reduction != "mean":
            raise ValueError(f"reduction={reduction!r} is not supported with a group; use 'mean'")
        if not isinstance(ignore_index, Integral):
            raise ValueError(
                f"ignore_index={ignore_index!r} must be an integer; leave it out to ignore no class"
            )
        _check_label_space(label_space)
        _check_kl_weight(kl_weight)
        self.kl_weight = kl_weight
        self.ignore_index = ignore_index
        self.reduction = reduction
        self.label_smoothing = label_smoothing
        self.label_space = label_space
        self.validate = validate
        self.group = group

    def extra_repr(self) -> str:
        return (
            f"label_space={self.label_space!r}, reduction={self.reduction!r}, "
            f"label_smoothing={self.label_smoothing}, ignore_index={self.ignore_index}, "
            f"kl_weight={self.kl_weight}"
        )

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        _check_tensor("logits", input)
        _check_tensor("target", target)
        if input.ndim == 0:
            raise ValueError("logits must have a class dimension, got a scalar")
        class_dim = min(1, input.ndim - 1)
        logits = input.movedim(class_dim, -1)
        vectors = target.is_floating_point()
        if vectors and self.ignore_index >= 0:
            raise ValueError("ignore_index applies to class indices, not to class probabilities")
        if target.shape != (input.shape if vectors else logits.shape[:-1]):
            raise ValueError(
                f"target has shape {tuple(target.shape)}; logits of shape {tuple(input.shape)} take "
                f"class indices of shape {tuple(logits.shape[:-1])} or floating point class "
                f"probabilities of shape {tuple(input.shape)}"
            )
        _check_logits(logits, self.label_space)
        if vectors:
            target = target.movedim(class_dim, -1)

        classes = logits.shape[-1]
        logits = logits.reshape(-1, classes)
        target = target.reshape(logits.shape if vectors else -1)
        _check_target(logits, target)
        keep = torch.ones_like(logits[:, 0], dtype=torch.bool)
        if not vectors:
            target = target.long()  # as uint8, -100 would be class 156
            keep = target != self.ignore_index
            target = torch.where(keep, target, 0)
        validate = self.validate and not torch.compiler.is_compiling()
        if validate:
            _check_values(logits[keep], target[keep], self.label_space)
        if self.label_smoothing > 0:
            if not vectors:
                target = F.one_hot(target, classes).to(_accumulate(logits).dtype)
            target = target * (1 - self.label_smoothing) + self.label_smoothing / classes

        ln_z, score = _terms(logits, target, self.label_space, validate=False)
        loss = _joint(ln_z, score, keep, self.kl_weight, self.group, validate)
        return loss if self.reduction == "mean" else loss * keep.sum()


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


def _terms(logits, target, label_space, validate):
    """ln Z(x_l), and <y_l, f(x_l)> for a distribution y_l, each ``(..., N)``: all that either loss needs.

    Their difference is -ln p(y_l|x_l), whatever a row sums to.
    """
    _check_logits(logits, label_space)
    if logits.ndim < 2:
        raise ValueError(f"logits must have shape (..., N, K), got {tuple(logits.shape)}")
    _check_target(logits, target)
    if validate:
        _check_values(logits, target, label_space)
    f = _accumulate(logits)
    ln_z = log_partition(f, label_space=label_space)
    if target.shape != logits.shape:
        return ln_z, f.gather(-1, target.long().unsqueeze(-1)).squeeze(-1)
    y = target.to(f.dtype)
    score = (y * f).sum(-1)
    if label_space == "categorical":
        score = score + (1 - y.sum(-1)) * ln_z  # nothing for a distribution
    return ln_z, score


def _accumulate(logits):
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def _check_label_space(label_space):
    if label_space not in LABEL_SPACES:
        raise ValueError(f"label_space={label_space!r} is unknown; use one of {LABEL_SPACES}")


def _check_kl_weight(kl_weight):
    if not 0 <= kl_weight < math.inf:
        raise ValueError(f"kl_weight={kl_weight} must be finite and not negative")


def _check_tensor(name, value):
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} must be a tensor, got {value!r:.60}; pass torch.as_tensor({name})")


def _check_logits(logits, label_space):
    _check_label_space(label_space)
    _check_tensor("logits", logits)
    if not logits.is_floating_point():
        raise ValueError(f"logits must be floating point, got {logits.dtype}")
    if logits.ndim < 1 or logits.shape[-1] == 0:
        raise ValueError(f"logits need at least one class, got shape {tuple(logits.shape)}")


def _check_not_empty(ln_z, keep=None):
    if ln_z.shape[-1] == 0 or (keep is not None and not keep.any()):
        raise ValueError("empty batch: there is no example, or every position has the ignored label")


def _check_target(logits, target):
    _check_tensor("target", target)
    if target.shape == logits.shape:
        return
    if target.shape != logits.shape[:-1]:
        raise ValueError(
            f"target has shape {tuple(target.shape)}; logits of shape {tuple(logits.shape)} take "
            f"class indices {tuple(logits.shape[:-1])} or label vectors {tuple(logits.shape)}"
        )
    if target.dtype not in (torch.int64, torch.uint8):
        raise ValueError(f"class indices must be int64 or uint8, got {target.dtype}")


def _check_values(logits, target, label_space):
    if logits.numel() == 0:
        return
    if not torch.isfinite(logits).all():
        bad = logits[~torch.isfinite(logits)].flatten()[0].item()
        raise ValueError(f"logits hold a non-finite value ({bad}); did training diverge?")
    if target.shape == logits.shape:
        low, high = target.min().item(), target.max().item()
        if not (low >= 0 and high <= 1):
            raise ValueError(f"label vectors must lie in [0, 1], got values from {low} to {high}")
        total = target.sum(-1, dtype=torch.float32)
        off = (total - 1).abs()
        if label_space == "categorical" and off.max() > SUM_TOLERANCE:
            worst = total.flatten()[off.argmax()].item()
            raise ValueError(
                f"class probabilities must sum to 1, got a row with sum {worst:.4g}; divide each row by "
                "its sum, or use label_space='binary' for independent labels"
            )
    else:
        classes = logits.shape[-1]
        low, high = target.min().item(), target.max().item()
        if low < 0 or high >= classes:
            raise ValueError(
                f"class index {low if low < 0 else high} is out of range for {classes} classes "
                f"(0 to {classes - 1})"
            )
