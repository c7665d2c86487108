"""The losses as drop-ins for ``torch.nn.CrossEntropyLoss``: its shapes and options, and a look at values."""

import warnings
from numbers import Integral, Real

import torch
import torch.distributed as dist
from torch import Tensor

from gffn_core.checks import (
    check_finite_number,
    check_group,
    check_label_space,
    check_logits,
    check_not_empty,
    check_target,
    check_tensor,
    check_values,
    check_weight,
)
from gffn_core.losses import accumulate, expm1_with_tangent, joint_of, log_normaliser_of, terms


def _one_hot(labels, classes):
    """(M,) -> (M, classes). torch's function looks at values, which no vmap can."""
    return labels.new_zeros((len(labels), classes)).scatter(1, labels[:, None], 1)


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
        check_label_space(label_space)
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
        check_tensor("logits", input)
        check_tensor("target", target)
        if input.ndim == 0:
            raise ValueError("logits must have a class dimension, got a scalar")
        if input.ndim == 1 and self.label_space == "binary":
            raise ValueError(
                f"logits of shape {tuple(input.shape)} would be one example with {len(input)} binary labels;"
                " pass (N, K), such as logits[:, None] and target[:, None] for one label an example"
            )
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
        check_target(logits, target)
        keep = torch.ones_like(logits[:, 0], dtype=torch.bool)
        if not vectors:
            target = target.long()  # as uint8, -100 would be class 156
            keep = target != self.ignore_index
            target = torch.where(keep, target, 0)
        if self._validates:
            check_values(logits[keep], target[keep], self.label_space)
        if self.label_smoothing > 0:
            if not vectors:
                target = _one_hot(target, classes).to(accumulate(logits).dtype)
            share = self.label_smoothing / (classes if self.label_space == "categorical" else 2)
            target = target * (1 - self.label_smoothing) + share
        return logits, target, keep


class JointCrossEntropyLoss(_CrossEntropyLoss):
    """Drop-in for ``torch.nn.CrossEntropyLoss`` that trains p(x, y) instead of p(y|x) (``joint_nll``).

    Takes what CrossEntropyLoss takes: ``(N, K)``, ``(K,)`` (categorical) or ``(N, K, d1, ...)`` logits, with
    class indices of the shape without K or class probabilities of the same shape. All N * d1 * ...
    positions that are not ignored form the one batch over which Z is summed.

    label_space: "categorical" (softmax) or "binary" (independent sigmoids), see ``losses``.
    label_smoothing, ignore_index: as in CrossEntropyLoss; ignored positions do not enter Z. Binary labels
        are smoothed towards 1/2.
    kl_weight: how much of the joint loss, see ``joint_nll``; 0 is CrossEntropyLoss.
    reduction: "mean", or "sum" (mean times the number of positions). "none" and class weights are
        refused: the loss couples the batch, so it is no sum of per-example terms.
    validate: raise ValueError for labels out of range, class probabilities that do not sum to 1, non-
        finite logits and a batch in which all is ignored. One device synchronisation a call; switch it
        off in a GPU training loop. Skipped while ``torch.compile`` or ``torch.export`` traces; under
        ``torch.func.vmap`` pass False. Without it the loss of a batch in which all is ignored is NaN,
        its gradient zero.
    group: processes over whose batches together Z is summed, "world" for all, see ``joint_nll``; with None
        each process normalises over its own part, which is another loss. (``torch.distributed.group.WORLD``
        is None until ``init_process_group`` has been called.)
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
        group: "dist.ProcessGroup | str | None" = None,
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
        check_group(group)
        if group is not None and reduction != "mean":
            raise ValueError(f"reduction={reduction!r} is not supported with a group; use 'mean'")
        self.group = group

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        logits, target, keep = self._positions(input, target)
        ln_z, score = terms(logits, target, self.label_space, validate=False)
        loss = joint_of(ln_z, score, keep, self.kl_weight, self.group, self._validates)
        return loss if self.reduction == "mean" else loss * keep.sum()


class SelfNormalisedCrossEntropyLoss(_CrossEntropyLoss):
    """Drop-in for ``torch.nn.CrossEntropyLoss`` that trains p(x, y) at any batch size
    (``self_normalised_nll``).

    Takes what CrossEntropyLoss takes, and all of its options, since the loss is a sum over examples: class
    ``weight`` (K,), which weighs an example's whole term, and ``reduction="none"``, of the shape without K.
    Micro-batches and processes add up without a word to each other.

    log_normaliser: b, see ``self_normalised_nll``; None: that of zero logits. learn: make it a
        parameter, which starts there; hand it to the optimiser with the net's own, ``[*net.parameters(),
        *loss.parameters()]``: a RuntimeWarning says so where a hundred forward passes of training have left
        it as it was.
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
            check_finite_number("log_normaliser", log_normaliser)
        if learn and log_normaliser is None:
            raise ValueError(
                "learn=True needs a log_normaliser to start from, such as math.log(number of classes)"
            )
        self.register_buffer("weight", weight)
        self.log_normaliser = (
            torch.nn.Parameter(torch.tensor(float(log_normaliser))) if learn else log_normaliser
        )
        self._start, self._calls = None, 0

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
                own = self.weight[torch.where(keep, target.reshape(-1).long(), 0)]
                count = torch.where(keep, own, 0).sum()  # as it stands, vmap takes no ``own[keep]``
            vectors = labels if labels.ndim == 2 else _one_hot(labels, logits.shape[-1])
            labels = vectors * self.weight
            share = labels.sum(-1)
        ln_z, score = terms(logits, labels, self.label_space, validate=False)
        t = ln_z - log_normaliser_of(self.log_normaliser, logits, self.label_space)
        loss = torch.where(keep, ln_z - score + self.kl_weight * share * (expm1_with_tangent(t) - t), 0)
        self._notice_if_forgotten()
        if self.reduction == "none":
            return loss.reshape(input.movedim(min(1, input.ndim - 1), -1).shape[:-1])
        return loss.sum() if self.reduction == "sum" else loss.sum() / count

    def _notice_if_forgotten(self):
        learned = isinstance(self.log_normaliser, torch.nn.Parameter)
        learned = learned and self.training and torch.is_grad_enabled()
        if not learned or torch.compiler.is_compiling():
            return
        self._calls += 1
        if self._calls == 1:
            self._start = self.log_normaliser.item()
        if self._calls == 100 and self.log_normaliser.item() == self._start:
            warnings.warn(
                "log_normaliser has not changed in 100 forward passes; if that is not one step of accumulated"
                " gradients, it is not in the optimiser: hand over [*net.parameters(), *loss.parameters()]",
                RuntimeWarning,
                stacklevel=3,
            )
