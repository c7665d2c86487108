"""Training images mirrored and shifted at random, the usual augmentation of small photographs, or spoilt.

What is done to an image is a function of a seed, a step and its place in the batch, as with references: no
generator has a state to keep.
"""

import torch
from torch import Tensor

from gffn_core.model import random_bits

# One name for one way, so that equal runs have equal keys.
AUGMENTATIONS = ("", "flip", "shift", "flip+shift", "mutate")
PART = 8  # an image is shifted by this part of its side at most: 4 pixels of 32 (He et al., 2016), 3 of 28
MUTATED = 0.2  # of the pixels; Ren et al. (2019) find .1 to .3


def augmented(images: Tensor, augmentation: str, seed: Tensor, step: Tensor) -> Tensor:
    """Prepared images (M, N, C, H, W), each changed by chance; as many of their dtype, channels last.

    augmentation: of ``AUGMENTATIONS``. "flip" exchanges left and right of every second image; "shift" moves
    rows and columns, and at the border goes on with the image's reflection: black around clothes stays black.
    "mutate" replaces ``MUTATED`` of the pixels by others of the batch: a background model's images have the
    data's colours and little of its objects (Ren et al., 2019).
    seed (M,) and step (M,) or (1,) int64, of M models' own batches.
    """
    models, n, channels, height, width = images.shape
    # Neither the bits of dropout, whose seed this is, nor those of references.
    bits = random_bits(seed + 2**32, step, 3 * n).view(models * n, 3, 1)
    image, rows, columns = (torch.arange(size, device=images.device) for size in (models * n, height, width))
    mirror, down, right = bits.unbind(1)  # whatever is done, so a flip is the same with and without shifts
    if "shift" in augmentation:
        rows, columns = _shifted(rows, down), _shifted(columns, right)
    if "flip" in augmentation:
        columns = torch.where(mirror % 2 == 0, columns, width - 1 - columns)
    chosen = (image[:, None, None] * height + rows[..., None]) * width + columns.unsqueeze(-2)
    if augmentation == "mutate":
        batch = n * height * width
        bits = random_bits(seed + 2**32, step, batch).view(models * n, height, width)
        other = (image // n)[:, None, None] * batch + (bits >> 10) % batch
        chosen = torch.where(bits % 1024 < 1024 * MUTATED, other, chosen)
    pixels = images.movedim(2, -1).flatten(0, 3)  # (M * N * H * W, C)
    return pixels.index_select(0, chosen.flatten()).view(models, n, height, width, channels).movedim(-1, 2)


def _shifted(places, bits):
    """Places (size,) moved by random amounts (N, 1) -> (N, size), reflected where they leave the image."""
    last, most = len(places) - 1, len(places) // PART
    return last - (last - (places + bits % (2 * most + 1) - most).abs()).abs()
