"""What the losses refuse: each check raises a ValueError that names the value and the remedy.

Shapes and dtypes are looked at always, values only where they are asked for, see ``losses``.
"""

import math
from numbers import Real

import torch
from torch import Tensor

LABEL_SPACES = ("categorical", "binary")
SUM_TOLERANCE = 1e-2  # rows of probabilities in half precision sum to 1 within about this


def check_label_space(label_space):
    if label_space not in LABEL_SPACES:
        raise ValueError(f"label_space={label_space!r} is unknown; use one of {LABEL_SPACES}")


def check_group(group):
    """ValueError for what is no group of processes."""
    if group is not None and group != "world" and not hasattr(group, "size"):
        raise ValueError(f'group={group!r} must be a process group of torch.distributed, "world" or None')


def check_weight(value, name="kl_weight"):
    """ValueError for a weight of a term that is no number, negative or not finite."""
    number = isinstance(value, Real) or (isinstance(value, Tensor) and value.ndim == 0)
    if not number or not 0 <= value < math.inf:
        raise ValueError(f"{name}={value!r} must be a number, finite and not negative")


def check_tensor(name, value):
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} must be a tensor, got {value!r:.60}; pass torch.as_tensor({name})")


def check_logits(logits, label_space):
    """ValueError for an unknown label space, and for logits that are not floats with a class dimension."""
    check_label_space(label_space)
    check_tensor("logits", logits)
    if not logits.is_floating_point():
        raise ValueError(f"logits must be floating point, got {logits.dtype}")
    if logits.ndim < 1 or logits.shape[-1] == 0:
        raise ValueError(f"logits need at least one class, got shape {tuple(logits.shape)}")


def check_not_empty(examples, keep=None):
    """ValueError for a batch (..., N) without examples, or of which ``keep`` leaves none."""
    if examples.shape[-1] == 0 or (keep is not None and not keep.any()):
        raise ValueError("empty batch: there is no example, or every position has the ignored label")


def check_target(logits, target):
    check_tensor("target", target)
    if target.shape == logits.shape:
        return
    if target.shape != logits.shape[:-1]:
        raise ValueError(
            f"target has shape {tuple(target.shape)}; logits of shape {tuple(logits.shape)} take "
            f"class indices {tuple(logits.shape[:-1])} or label vectors {tuple(logits.shape)}"
        )
    if target.dtype not in (torch.int64, torch.uint8):
        raise ValueError(f"class indices must be int64 or uint8, got {target.dtype}")


def check_finite(name, values):
    if not torch.isfinite(values).all():
        bad = values[~torch.isfinite(values)].flatten()[0].item()
        masked = "; for classes that are masked by -inf pass validate=False" * name.endswith("logits")
        raise ValueError(f"{name} hold a non-finite value ({bad}); did training diverge{masked}?")


def check_values(logits, target, label_space):
    if logits.numel() == 0:
        return
    check_finite("logits", logits)
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


def check_finite_number(name, value):
    if not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(f"{name}={value!r} must be a finite number")
