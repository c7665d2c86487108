"""One step of training: the objectives by name, and the function that takes it."""

from collections.abc import Callable
from functools import partial
from inspect import signature

import torch
from torch import Tensor, nn

from gffn_core import losses

# What a run can minimise: (logits, target, *, label_space, and options of its own), where logits are
# (..., N, K), target (..., N) and the loss (...), a value for each of the nets that are trained together.
OBJECTIVES = {
    "conditional": losses.conditional_nll,
    "joint": losses.joint_nll,
    "self_normalised": losses.self_normalised_nll,
}
_NO_OPTIONS = {"logits", "target", "label_space", "reference_logits", "validate", "group"}
PRECISIONS = ("float32", "bfloat16")


def options_of(loss: str) -> dict[str, object]:
    """The options of an objective with their defaults; ValueError for an unknown objective."""
    if loss not in OBJECTIVES:
        raise ValueError(f"loss={loss!r} is unknown; use one of {tuple(OBJECTIVES)}")
    parameters = signature(OBJECTIVES[loss]).parameters.values()
    return {one.name: one.default for one in parameters if one.name not in _NO_OPTIONS}


def objective(loss: str, label_space: str = "categorical", **options) -> Callable:
    """The function (logits, target) -> loss of a named objective with these options, see ``losses``."""
    unknown = sorted(set(options) - set(options_of(loss)))
    if unknown:
        raise ValueError(f"loss {loss!r} has no options {unknown}; it has {sorted(options_of(loss))}")
    return partial(OBJECTIVES[loss], label_space=label_space, **options)


def stepper(
    model: nn.Module, loss_of: Callable, learning_rate: float, prepare: Callable, precision: str = "float32"
) -> Callable:
    """The function that takes one step of training: (images, labels) -> (loss, right answers), 0-dim.

    It changes ``model``, which starts with a fresh optimiser. Loss and answers are those before the
    step. loss_of: (logits, labels) -> loss. prepare: uint8 images to floats.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision={precision!r} is unknown; use one of {PRECISIONS}")
    device = next(model.parameters()).device
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
    half = precision == "bfloat16"

    def take_step(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            logits = model(prepare(images))
        loss = loss_of(logits, labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.detach(), (logits.argmax(-1) == labels).sum()

    return take_step
