"""The conditional loss with a term, or with other logits or labels: what evens ln Z(x) or curbs confidence.

Shapes, precision and errors of all are those of ``losses.conditional_nll`` with ``validate=False``: logits
``(..., N, K)`` and target ``(..., N)`` or ``(..., N, K)`` -> ``(...)``, in nats. ``weight``, w, is finite and
not negative; 0 is the conditional loss. Means and variances are over the batch. Beyond the thesis.
"""

import math

from torch import Tensor
from torch.nn import functional as F

from gffn_core.checks import check_logits, check_not_empty, check_weight
from gffn_core.losses import accumulate, conditional_nll, log_normaliser_of, terms


def variance(
    logits: Tensor, target: Tensor, *, label_space: str = "categorical", weight: float = 1.0
) -> Tensor:
    """conditional + w/2 Var(ln Z): the joint loss to second order, whose KL term it replaces.

    It is w/2 the squared distance of ln Z to its mean over the batch, so a batch of one has no such term.
    """
    nll, ln_z = conditional_and_ln_z(logits, target, label_space, weight)
    return nll + weight / 2 * ln_z.var(-1, correction=0)


def squared(
    logits: Tensor,
    target: Tensor,
    *,
    label_space: str = "categorical",
    weight: float = 1.0,
    log_normaliser: float | Tensor | None = None,
) -> Tensor:
    """conditional + w/2 mean (ln Z - c)^2: the self-normalised loss to second order (Devlin et al., 2014).

    log_normaliser: c, as in ``losses.self_normalised_nll``; a bias of the last layer learns it.
    """
    nll, ln_z = conditional_and_ln_z(logits, target, label_space, weight)
    c = log_normaliser_of(log_normaliser, logits, label_space)[..., None]
    return nll + weight / 2 * (ln_z - c).square().mean(-1)


def z_loss(
    logits: Tensor, target: Tensor, *, label_space: str = "categorical", weight: float = 0.5
) -> Tensor:
    """conditional + w mean ln^2 Z, of large language models with w = 1e-4 (PaLM; Chowdhery et al., 2022).

    It is ``squared`` with c = 0 and twice the weight.
    """
    check_weight(weight, "weight")
    return squared(logits, target, label_space=label_space, weight=2 * weight, log_normaliser=0.0)


def label_smoothing(
    logits: Tensor, target: Tensor, *, label_space: str = "categorical", smoothing: float = 0.1
) -> Tensor:
    """The conditional loss of labels of which a share is uniform over label_space (Szegedy et al., 2016).

    Categorical, it is ``torch.nn.functional.cross_entropy`` with ``label_smoothing``. ValueError for a share
    outside [0, 1].
    """
    if not 0 <= smoothing <= 1:
        raise ValueError(f"smoothing={smoothing} must lie in [0, 1]")
    ln_z, score = terms(logits, target, label_space, validate=False)
    check_not_empty(ln_z)
    return (ln_z - (1 - smoothing) * score - smoothing * uniform_score(logits, label_space)).mean(-1)


def confidence_penalty(
    logits: Tensor, target: Tensor, *, label_space: str = "categorical", weight: float = 0.1
) -> Tensor:
    """conditional - w mean H(p(y|x)), H the entropy (Pereyra et al., 2017)."""
    nll, ln_z = conditional_and_ln_z(logits, target, label_space, weight)
    f = accumulate(logits)
    p = f.softmax(-1) if label_space == "categorical" else f.sigmoid()
    return nll - weight * (ln_z - (p * f).sum(-1)).mean(-1)


def logit_norm(
    logits: Tensor, target: Tensor, *, label_space: str = "categorical", temperature: float = 0.04
) -> Tensor:
    """The conditional loss of f / (temperature |f|) (Wei et al., 2022, whose temperature for CIFAR-10 it is).

    So the length of f is not trained. As in the paper, predictions are those of f itself. ValueError for a
    temperature that is not positive and finite.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature={temperature} must be positive and finite")
    check_logits(logits, label_space)
    scaled = F.normalize(accumulate(logits), dim=-1) / temperature
    return conditional_nll(scaled, target, label_space=label_space)


def logit_penalty(
    logits: Tensor, target: Tensor, *, label_space: str = "categorical", weight: float = 1e-3
) -> Tensor:
    """conditional + w mean |f|^2 (Kornblith et al., 2021)."""
    nll, _ = conditional_and_ln_z(logits, target, label_space, weight)
    return nll + weight * accumulate(logits).square().sum(-1).mean(-1)


def uniform_score(logits: Tensor, label_space: str) -> Tensor:
    """<y, f(x)> averaged over all y of the label space, ``(..., N, K)`` -> ``(..., N)``."""
    f = accumulate(logits)
    return f.mean(-1) if label_space == "categorical" else f.sum(-1) / 2


def conditional_and_ln_z(logits, target, label_space, weight):
    """The conditional loss (...), and ln Z (..., N), for a term of this weight."""
    check_weight(weight, "weight")
    ln_z, score = terms(logits, target, label_space, validate=False)
    check_not_empty(ln_z)
    return (ln_z - score).mean(-1), ln_z
