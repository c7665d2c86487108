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
import warnings
from numbers import Integral, Real

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
    group: "dist.ProcessGroup | None" = None,
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

    group: processes that hold one part of the batch each, of any sizes (for all processes,
    ``torch.distributed.group.WORLD``). The mean over the processes of what they return is the loss
    of the whole batch, and the mean of their gradients, which is what DistributedDataParallel
    takes, its gradient. Each sends 16 bytes. Where a part is empty, ValueError: in every process on
    a CPU or with ``validate``, else in the one that holds it.
    """
    check_weight(kl_weight)
    ln_z, score = terms(logits, target, label_space, validate)
    reference = reference_partition(reference_logits, logits.shape, label_space, validate)
    if reference is not None and group is not None:
        raise ValueError("reference_logits are not supported with a group; leave one of them out")
    return _joint(ln_z, score, None, kl_weight, group, validate, reference)


def _joint(ln_z, score, keep, kl_weight, group, validate, reference=None):
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
        total, score, n = _over_group(total, score, n, group, validate)
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
    reference = log_partition(logits, label_space=label_space)
    rows = logits.shape[-2:-1]
    if logits.shape != (*logits_shape[:-2], *rows, logits_shape[-1]) or not rows or rows[0] == 0:
        raise ValueError(
            f"reference_logits have shape {tuple(logits.shape)}; they take (..., M, K) with M of at least 1, "
            f"beside logits of shape {tuple(logits_shape)}"
        )
    if validate:
        _check_finite("reference_logits", logits)
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
        _check_finite("log_normaliser", b)
    t = ln_z - b
    reference = reference_partition(reference_logits, logits.shape, label_space, validate)
    summed = t if reference is None else torch.cat([t, reference - b], -1)
    return (ln_z - score).mean(-1) + kl_weight * (_expm1(summed).mean(-1) - t.mean(-1))


LINEAR_FROM = 20.0


def _expm1(t):
    """e^t - 1, and its tangent beyond LINEAR_FROM."""
    # relu: the gradient of t - clamp(t) is 0 as a difference of large numbers, in which e^t is lost.
    return t.clamp(max=LINEAR_FROM).expm1() + F.relu(t - LINEAR_FROM) * math.exp(LINEAR_FROM)


def log_normaliser_of(value, logits, label_space):
    """``value`` as a tensor beside the logits; None: ln Z of zero logits. ValueError unless finite."""
    if value is None:
        classes = logits.shape[-1]
        value = math.log(classes) if label_space == "categorical" else classes * math.log(2)
    if not isinstance(value, Tensor):
        _check_finite_number("log_normaliser", value)
    elif value.shape not in ((), logits.shape[:-2]):
        raise ValueError(
            f"log_normaliser has shape {tuple(value.shape)}; beside logits of shape {tuple(logits.shape)} it "
            f"is one number, or one a model, {tuple(logits.shape[:-2])}"
        )
    f = accumulate(logits)
    # Not from the host's memory, which a CUDA graph cannot read.
    return value.to(f) if isinstance(value, Tensor) else f.new_full((), value)


def _check_finite_number(name, value):
    if not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(f"{name}={value!r} must be a finite number")


class _CrossEntropyLoss(torch.nn.Module):
    """What the drop-in modules share with each other and with ``torch.nn.CrossEntropyLoss``."""

    def __init__(self, ignore_index, reduction, label_smoothing, label_space, kl_weight, validate):
        super().__init__()
        if not isinstance(label_smoothing, Real) or not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing={label_smoothing!r} must be a number in [0, 1]")
        if not isinstance(ignore_index, Integral):
            raise ValueError(
                f"ignore_index={ignore_index!r} must be an integer; leave it out to ignore no class"
            )
        _check_label_space(label_space)
        check_weight(kl_weight)
        self.kl_weight = kl_weight
        self.ignore_index = ignore_index
        self.reduction = reduction
        self.label_smoothing = label_smoothing
        self.label_space = label_space
        self.validate = validate

    def extra_repr(self) -> str:
        return (
            f"label_space={self.label_space!r}, reduction={self.reduction!r}, "
            f"label_smoothing={self.label_smoothing}, ignore_index={self.ignore_index}, "
            f"kl_weight={self.kl_weight}"
        )

    @property
    def _validates(self):
        return self.validate and not torch.compiler.is_compiling()

    def _positions(self, input, target):
        """All positions as one batch: logits (M, K), labels (M,) or (M, K), and which of them count (M,)."""
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
        check_logits(logits, self.label_space)
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
        if self._validates:
            _check_values(logits[keep], target[keep], self.label_space)
        if self.label_smoothing > 0:
            if not vectors:
                target = F.one_hot(target, classes).to(accumulate(logits).dtype)
            target = target * (1 - self.label_smoothing) + self.label_smoothing / classes
        return logits, target, keep


class JointCrossEntropyLoss(_CrossEntropyLoss):
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
        super().__init__(ignore_index, reduction, label_smoothing, label_space, kl_weight, validate)
        if weight is not None:
            raise ValueError(
                "weight is not supported: the joint loss has one log-partition for the whole batch, "
                "which class weights do not split; sample the classes with the frequency you want, or use "
                "SelfNormalisedCrossEntropyLoss"
            )
        if reduction not in ("mean", "sum"):
            raise ValueError(
                f"reduction={reduction!r} is not supported: the joint loss couples all examples of "
                "the batch through Z, so there is no loss per example; use 'mean' or 'sum', or "
                "SelfNormalisedCrossEntropyLoss"
            )
        if group is not None and reduction != "mean":
            raise ValueError(f"reduction={reduction!r} is not supported with a group; use 'mean'")
        self.group = group

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        logits, target, keep = self._positions(input, target)
        ln_z, score = terms(logits, target, self.label_space, validate=False)
        loss = _joint(ln_z, score, keep, self.kl_weight, self.group, self._validates)
        return loss if self.reduction == "mean" else loss * keep.sum()


class SelfNormalisedCrossEntropyLoss(_CrossEntropyLoss):
    """Drop-in for ``torch.nn.CrossEntropyLoss`` that trains p(x, y) at any batch size
    (``self_normalised_nll``).

    Takes what CrossEntropyLoss takes, and all of its options, since the loss is a sum over examples: class
    ``weight`` (K,), which weighs an example's whole term, and ``reduction="none"``, of the shape without K.
    Micro-batches and processes add up without a word to each other.

    log_normaliser: b, see ``self_normalised_nll``; None: that of zero logits. learn: make it a
        parameter, which starts there; hand it to the optimiser with the net's own, ``[*net.parameters(),
        *loss.parameters()]``: a RuntimeWarning says so where a hundred training steps have left it as it
        was.
    kl_weight, label_space, label_smoothing, ignore_index, validate: as in JointCrossEntropyLoss; a batch in
        which all is ignored is refused for "mean" alone.
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        *,
        log_normaliser: float | None = None,
        learn: bool = False,
        label_space: str = "categorical",
        kl_weight: float = 1.0,
        validate: bool = True,
    ):
        super().__init__(ignore_index, reduction, label_smoothing, label_space, kl_weight, validate)
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction={reduction!r} is unknown; use 'mean', 'sum' or 'none'")
        if weight is not None and label_space != "categorical":
            raise ValueError(
                "weight needs classes that exclude each other; leave it out with label_space='binary'"
            )
        if weight is not None and (not isinstance(weight, Tensor) or weight.ndim != 1):
            raise ValueError(f"weight must be a tensor of a number a class, (K,), got {weight!r:.60}")
        if log_normaliser is not None:
            _check_finite_number("log_normaliser", log_normaliser)
        if learn and log_normaliser is None:
            raise ValueError(
                "learn=True needs a log_normaliser to start from, such as math.log(number of classes)"
            )
        self.register_buffer("weight", weight)
        self.log_normaliser = (
            torch.nn.Parameter(torch.tensor(float(log_normaliser))) if learn else log_normaliser
        )
        # As the parameter rounds it, to be compared with that.
        self._start, self._calls = self.log_normaliser.item() if learn else None, 0

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        logits, labels, keep = self._positions(input, target)
        if self.reduction == "mean":
            check_not_empty(keep, keep if self._validates else None)
        share, count = 1, keep.sum()
        if self.weight is not None:
            if self.weight.shape != logits.shape[-1:]:
                raise ValueError(
                    f"weight has shape {tuple(self.weight.shape)}; {logits.shape[-1]} classes take "
                    f"{tuple(logits.shape[-1:])}"
                )
            # As in torch, whose mean is weighed by the labels' own weights.
            if not target.is_floating_point():
                count = self.weight[torch.where(keep, target.reshape(-1).long(), 0)][keep].sum()
            vectors = labels if labels.ndim == 2 else F.one_hot(labels, logits.shape[-1])
            labels = vectors * self.weight
            share = labels.sum(-1)
        ln_z, score = terms(logits, labels, self.label_space, validate=False)
        t = ln_z - log_normaliser_of(self.log_normaliser, logits, self.label_space)
        loss = torch.where(keep, ln_z - score + self.kl_weight * share * (_expm1(t) - t), 0)
        self._notice_if_forgotten()
        if self.reduction == "none":
            return loss.reshape(input.movedim(min(1, input.ndim - 1), -1).shape[:-1])
        return loss.sum() if self.reduction == "sum" else loss.sum() / count

    def _notice_if_forgotten(self):
        if (
            self._start is None
            or not self.training
            or not torch.is_grad_enabled()
            or torch.compiler.is_compiling()
        ):
            return
        self._calls += 1
        if self._calls == 100 and self.log_normaliser.item() == self._start:
            warnings.warn(
                "log_normaliser has not changed in 100 training steps; is it in the optimiser? Hand over "
                "[*net.parameters(), *loss.parameters()]",
                RuntimeWarning,
                stacklevel=3,
            )


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
    _check_target(logits, target)
    if validate:
        _check_values(logits, target, label_space)
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


def _check_label_space(label_space):
    if label_space not in LABEL_SPACES:
        raise ValueError(f"label_space={label_space!r} is unknown; use one of {LABEL_SPACES}")


def check_weight(value, name="kl_weight"):
    """ValueError for a weight of a term that is no number, negative or not finite."""
    if not isinstance(value, (Real, Tensor)) or not 0 <= value < math.inf:
        raise ValueError(f"{name}={value!r} must be a number, finite and not negative")


def _check_tensor(name, value):
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} must be a tensor, got {value!r:.60}; pass torch.as_tensor({name})")


def check_logits(logits, label_space):
    """ValueError for an unknown label space, and for logits that are not floats with a class dimension."""
    _check_label_space(label_space)
    _check_tensor("logits", logits)
    if not logits.is_floating_point():
        raise ValueError(f"logits must be floating point, got {logits.dtype}")
    if logits.ndim < 1 or logits.shape[-1] == 0:
        raise ValueError(f"logits need at least one class, got shape {tuple(logits.shape)}")


def check_not_empty(examples, keep=None):
    """ValueError for a batch (..., N) without examples, or of which ``keep`` leaves none."""
    if examples.shape[-1] == 0 or (keep is not None and not keep.any()):
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


def _check_finite(name, values):
    if not torch.isfinite(values).all():
        bad = values[~torch.isfinite(values)].flatten()[0].item()
        raise ValueError(f"{name} hold a non-finite value ({bad}); did training diverge?")


def _check_values(logits, target, label_space):
    if logits.numel() == 0:
        return
    _check_finite("logits", logits)
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
