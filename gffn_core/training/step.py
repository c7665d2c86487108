"""One step of training: the objectives by name, and the function that takes it."""

from collections.abc import Callable
from functools import cache, partial
from inspect import signature

import torch
from torch import Tensor, nn

from gffn_core import losses
from gffn_core.variants import penalties, references
from gffn_core.variants.augmentation import augmented

# What a run can minimise: (logits, target, *, label_space, and options of its own), where logits are
# (..., N, K), target (..., N) and the loss (...), a value for each of the nets that are trained together.
# What takes ``reference_logits`` has the option ``references``, see ``variants.references.beside``.
OBJECTIVES = {
    "conditional": losses.conditional_nll,
    "joint": losses.joint_nll,
    "self_normalised": losses.self_normalised_nll,
    "variance": penalties.variance,
    "squared": penalties.squared,
    "z_loss": penalties.z_loss,
    "label_smoothing": penalties.label_smoothing,
    "confidence_penalty": penalties.confidence_penalty,
    "logit_norm": penalties.logit_norm,
    "logit_penalty": penalties.logit_penalty,
    "outlier_exposure": references.outlier_exposure,
    "energy_margin": references.energy_margin,
    "labelled": references.labelled,
}
_NO_OPTIONS = {"logits", "target", "label_space", "reference_logits", "validate", "group"}
PRECISIONS = ("float32", "bfloat16")


@cache
def _parameters(function):
    """Of a signature, whose analysis takes half of what it takes to make a run."""
    return signature(function).parameters


def options_of(loss: str) -> dict[str, object]:
    """The options of an objective with their defaults; ValueError for an unknown objective."""
    if loss not in OBJECTIVES:
        raise ValueError(f"loss={loss!r} is unknown; use one of {tuple(OBJECTIVES)}")
    parameters = _parameters(OBJECTIVES[loss])
    options = {name: one.default for name, one in parameters.items() if name not in _NO_OPTIONS}
    return options | ({"references": ""} if "reference_logits" in parameters else {})


def objective(loss: str, label_space: str = "categorical", **options) -> Callable:
    """The function (logits, target) -> loss of a named objective with these options, see ``losses``.

    With references, logits are (..., 2 N, K): the N examples', then the references'. ValueError for options
    that the objective lacks, and without references that it needs.
    """
    unknown = sorted(set(options) - set(options_of(loss)))
    if unknown:
        raise ValueError(f"loss {loss!r} has no options {unknown}; it has {sorted(options_of(loss))}")
    kinds = options.pop("references", "")
    loss_of = partial(OBJECTIVES[loss], label_space=label_space, **options)
    if not kinds:
        takes = _parameters(OBJECTIVES[loss]).get("reference_logits")
        if takes and takes.default is takes.empty:
            raise ValueError(f"loss {loss!r} needs references, such as options={{'references': 'blur'}}")
        return loss_of

    def loss_with_references(logits, target):
        n = target.shape[-1]
        return loss_of(logits[..., :n, :], target, reference_logits=logits[..., n:, :])

    return loss_with_references


def step_images(run, images: Tensor, seed: Tensor, step: Tensor) -> Tensor:
    """Prepared images (M, N, C, H, W) as a step takes them: augmented, with the references beside them.

    run: of any of the M models, which share both. seed (M,) and step (M,) or (1,) int64.
    """
    if run.augmentation:
        images = augmented(images, run.augmentation, seed, step)
    return references.beside(images, run.references, seed, step) if run.references else images


def stepper(model: nn.Module, run, prepare: Callable, precision: str = "float32") -> Callable:
    """The function that takes one step of a run: (images, labels) -> (loss, right answers), 0-dim.

    It changes ``model``, which starts with a fresh optimiser. Loss and answers are those before the
    step. run: a ``run.Run``. prepare: uint8 images to floats.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision={precision!r} is unknown; use one of {PRECISIONS}")
    device = next(model.parameters()).device
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=run.learning_rate, weight_decay=run.weight_decay, fused=True
    )
    half, loss_of = precision == "bfloat16", run.objective()
    seed, steps = torch.tensor([run.seed], device=device), torch.zeros(1, dtype=torch.int64, device=device)

    def take_step(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        inputs = step_images(run, prepare(images)[None], seed, steps)[0]
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            logits = model(inputs)
        loss = loss_of(logits, labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        steps.add_(1)
        return loss.detach(), (logits[: len(labels)].argmax(-1) == labels).sum()

    return take_step
