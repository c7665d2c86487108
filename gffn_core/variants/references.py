"""Reference inputs made from the batch itself, and the objectives that have them besides the joint losses.

What makes them is a function of the images and of random bits, which are those of a seed and a step: no
generator has a state to keep, so they are the same on every device, in a stack and after a checkpoint.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from gffn_core.losses import conditional_nll, reference_partition
from gffn_core.model import random_bits
from gffn_core.variants.penalties import conditional_and_ln_z, uniform_score

PATCH = 4  # pixels a side at most, of what blur and noise take as one


def beside(images: Tensor, references: str, seed: Tensor, step: Tensor) -> Tensor:
    """Prepared images, as many references behind them: (M, N, C, H, W) -> (M, 2 N, C, H, W), channels last.

    references: of ``KINDS``, joined by "+"; each has a part of the batch, in this order, and the i-th
    reference is made from the i-th image. seed (M,) and step (M,) or (1,) int64, of M models' own batches.
    ValueError for an unknown kind.
    """
    kinds, (models, n, channels, height, width) = kinds_of(references), images.shape
    cells = (height // _side(height, PATCH)) * (width // _side(width, PATCH))
    bits = random_bits(~seed, step, n * cells).view(models, n, cells)  # not those of dropout
    parts = [part.tensor_split(len(kinds), 1) for part in (images, images.roll(1, 1), bits)]
    made = [make(*of) for make, *of in zip(kinds, *parts)]
    both = images.new_empty(models, 2 * n, height, width, channels).movedim(-1, 2)
    return torch.cat([images, *made], 1, out=both)


def kinds_of(references: str) -> list:
    """The functions of ``KINDS`` that are joined by "+"; ValueError for an unknown one."""
    names = references.split("+")
    unknown = sorted(set(names) - set(KINDS))
    if unknown:
        raise ValueError(f"references={references!r}: {unknown} unknown; join some of {tuple(KINDS)} by '+'")
    return [KINDS[name] for name in names]


# Each kind: images (M, N, C, H, W), as many other images, and random bits (M, N, cells) -> references, shaped
# like the images.


def blur(images: Tensor, others: Tensor, bits: Tensor) -> Tensor:
    """Means of 4x4 pixels, interpolated; the image's mean stays."""
    return _interpolated(F.avg_pool2d(images.flatten(0, 1), _side(images.shape[-1], PATCH)), images)


def mixed(images: Tensor, others: Tensor, bits: Tensor) -> Tensor:
    """The mean of two images."""
    return (images + others) / 2


def shuffled4(images: Tensor, others: Tensor, bits: Tensor) -> Tensor:
    """Patches of 4x4 pixels, in random order."""
    return _shuffled(images, bits, 4)


def shuffled8(images: Tensor, others: Tensor, bits: Tensor) -> Tensor:
    """Patches of 8x8 pixels, in random order; of 7x7 where 8 does not divide the side, as in MNIST."""
    return _shuffled(images, bits, 8)


def noise(images: Tensor, others: Tensor, bits: Tensor) -> Tensor:
    """Smooth noise in the images' colours: every fourth pixel is some pixel of some image, interpolated."""
    side = images.shape[-1] // _side(images.shape[-1], PATCH)
    pixels = images.transpose(1, 2).flatten(2)  # (M, C, N * H * W)
    chosen = (bits % pixels.shape[-1]).flatten(1)[:, None].expand(-1, pixels.shape[1], -1)
    coarse = pixels.gather(-1, chosen).unflatten(-1, (-1, side, side)).transpose(1, 2)
    return _interpolated(coarse.flatten(0, 1), images)


KINDS = {one.__name__: one for one in (blur, mixed, shuffled4, shuffled8, noise)}


def _side(size, most):
    """Of the largest patches that cover an image exactly: at most ``most`` pixels, at least two a side."""
    return max(side for side in range(1, min(most, size // 2) + 1) if size % side == 0)


def _interpolated(coarse, images):
    fine = F.interpolate(coarse, size=images.shape[-2:], mode="bilinear")
    return fine.unflatten(0, images.shape[:2])


def _shuffled(images, bits, most):
    side = _side(images.shape[-1], most)
    across = images.shape[-1] // side
    patches = images.unflatten(-1, (across, side)).unflatten(-3, (across, side))
    patches = patches.movedim((3, 5), (2, 3)).flatten(2, 3)  # (M, N, patches, C, side, side)
    order = bits[..., : across**2].argsort(dim=-1, stable=True)[..., None, None, None]
    patches = patches.gather(2, order.expand_as(patches)).unflatten(2, (across, across))
    return patches.movedim((2, 3), (3, 5)).reshape(images.shape)


def outlier_exposure(
    logits: Tensor,
    target: Tensor,
    *,
    reference_logits: Tensor,
    label_space: str = "categorical",
    weight: float = 0.5,
) -> Tensor:
    """conditional + w mean over references of -<uniform, ln p(y|x)> (Hendrycks et al., 2019).

    reference_logits: ``(..., M, K)``. Other shapes and errors as ``losses.conditional_nll``; likewise below.
    """
    nll, ln_z = conditional_and_ln_z(logits, target, label_space, weight)
    reference = reference_partition(reference_logits, logits.shape, label_space)
    return nll + weight * (reference - uniform_score(reference_logits, label_space)).mean(-1)


def energy_margin(
    logits: Tensor,
    target: Tensor,
    *,
    reference_logits: Tensor,
    label_space: str = "categorical",
    weight: float = 0.1,
    inside: float = 25.0,
    outside: float = 7.0,
) -> Tensor:
    """conditional + w (mean max(0, inside - ln Z)^2 + mean over references of max(0, ln Z - outside)^2).

    The energy of Liu et al. (2020) is -ln Z; weight and margins are those of their code.
    """
    nll, ln_z = conditional_and_ln_z(logits, target, label_space, weight)
    reference = reference_partition(reference_logits, logits.shape, label_space)
    low, high = (inside - ln_z).relu(), (reference - outside).relu()
    return nll + weight * (low.square().mean(-1) + high.square().mean(-1))


def labelled(
    logits: Tensor, target: Tensor, *, reference_logits: Tensor, label_space: str = "categorical"
) -> Tensor:
    """The conditional loss of images and references, which keep the label of the image they were made from.

    So it is augmentation, the control for what references do without labels: of use for kinds that show the
    label.
    """
    parts = (logits, reference_logits)
    return sum(conditional_nll(part, target, label_space=label_space) for part in parts) / 2
