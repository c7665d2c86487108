"""Estimates from seeds, with Student's t.

Values are a table with a row per cell and seed and the columns ``value`` and ``margin``. A cell is a
data set at a batch size, which are chosen and fixed; seeds are the random unit. Everything estimated is
a weighted sum of the cells' means, so that a mean over batch sizes, a trend and a contrast are one
function with different weights.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

DOUBLINGS = 9  # from batch size 4 to 2048, the thesis's range
SMALL = 64  # the largest batch size of the lower half of that range, on a log scale
PAIR = ["label_space", "dataset", "batch_size", "seed"]


class Estimate(NamedTuple):
    """An effect, its standard error and degrees of freedom; NaN where the seeds give none.

    ``terms`` has a row per value: ``value``, the ``weight`` of its cell, and which ``part`` (strata that
    share no seeds: data sets), ``cell`` and ``seed`` it belongs to.
    """

    effect: float
    error: float
    df: float
    terms: pd.DataFrame | None = None


def minus(values: pd.DataFrame, others: pd.DataFrame | pd.Series | float) -> pd.DataFrame:
    """The difference by pair; what either side lacks is left out."""
    others = others["value"] if isinstance(others, pd.DataFrame) else others
    return values.assign(value=values["value"] - others).dropna()


# Weights of the cells of a data set: batch sizes, ascending (cells,) -> (cells,), or None where the
# sizes do not suffice


def evenly(sizes: np.ndarray) -> np.ndarray:
    return np.full(len(sizes), 1 / len(sizes))


def per_doubling(sizes: np.ndarray) -> np.ndarray | None:
    """Of the least squares slope against log2 B; needs three batch sizes."""
    x = np.log2(sizes) - np.log2(sizes).mean()
    return x / np.square(x).sum() if len(sizes) > 2 else None


def small_minus_large(sizes: np.ndarray) -> np.ndarray | None:
    """The mean up to ``SMALL`` minus the mean above."""
    return _difference(sizes <= SMALL, sizes > SMALL)


def _difference(first, second):
    if not (first.any() and second.any()):
        return None
    return first / first.sum() - second / second.sum()


def inner_minus(end: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray | None]:
    """The mean from 32 to 256 minus that of the sizes which ``end`` picks."""
    return lambda sizes: _difference((sizes >= 32) & (sizes <= 256), end(sizes))


def estimate(values: pd.DataFrame, weights: Callable = evenly) -> Estimate | None:
    """The weighted sum of the cells' means, averaged over data sets; None where no weights exist.

    Where the weights of a data set sum to zero (trends, contrasts), what a seed does alike to all
    cells cancels. Cell and seed effects are fitted, each cell has the variance of its residuals (the
    spread depends on the batch size, so none is pooled), and the degrees of freedom are Welch's. In a
    mean it does not cancel, so there the seeds are the unit: each contributes the weighted sum of its
    deviations, and the degrees of freedom are their number minus one. Data sets are independent of each
    other, with Satterthwaite's degrees of freedom for the sum.
    """
    index = values.index
    codes = [code for name, code in zip(index.names, index.codes) if name not in ("batch_size", "seed")]
    strata = np.unique(codes or [index.codes[0] * 0], axis=1, return_inverse=True)[1].ravel()
    sizes = index.get_level_values("batch_size") if "batch_size" in index.names else np.ones(len(index))
    table = np.array([values["value"], sizes, index.get_level_values("seed")], dtype=float)
    parts = []
    for stratum in range(strata.max(initial=-1) + 1):
        y, size, seed = table[:, strata == stratum]
        size, cell = np.unique(size, return_inverse=True)
        weight = weights(size)
        if weight is not None and weight.any():  # a difference from itself is no value
            parts.append((y, cell, np.unique(seed, return_inverse=True)[1], weight))
    if not parts:
        return None
    found = [(_contrast if abs(part[3].sum()) < 1e-9 else _mean)(*part) for part in parts]
    effect, variance, df = np.array(found).T
    y, cell, seed = np.hstack([part[:3] for part in parts])
    part = np.repeat(range(len(parts)), [len(part[0]) for part in parts])
    share = np.concatenate([weight[cell] for _, cell, _, weight in parts]) / len(parts)
    terms = pd.DataFrame({"part": part, "cell": cell, "seed": seed, "value": y, "weight": share})
    total = variance / len(parts) ** 2
    error = np.sqrt(total.sum())
    if error < 1e-12 * np.abs(y).max():
        error = 0.0  # seeds that agree, but for rounding
    return Estimate(effect.mean(), error, float(_degrees(total, df)), terms)


def jackknife(without: pd.Series) -> Estimate:
    """Of what was measured without each of the seeds in turn, as of ensembles that share nets.

    For a mean over seeds this is its standard error.
    """
    n = len(without)
    return Estimate(without.mean(), (n - 1) * without.sem(), n - 1)


# Of one data set: values (..., n), cell and seed of each (n,), weights of the cells -> effect, variance
# and degrees of freedom (...)


def _mean(y, cell, seed, weight):
    """With the seeds as the unit (robust to all they share)."""
    cells, seeds = np.eye(len(weight))[cell], np.eye(seed.max() + 1)[seed]
    count = cells.sum(0)
    center = y @ cells / count
    a = (weight / count)[cell]
    share = a**2 @ seeds
    known = (a**2 * (1 - 1 / count[cell])).sum()
    if not known:
        return center @ weight, np.nan, np.nan
    sums = (a * (y - center[..., cell])) @ seeds
    variance = np.square(sums).sum(-1) * share.sum() / known
    return center @ weight, variance, share.sum() ** 2 / np.square(share).sum() - 1


def _contrast(y, cell, seed, weight):
    """Where seed effects cancel: two-way fit, a variance per cell, Welch's degrees of freedom."""
    cells = np.eye(len(weight))[cell]
    design = np.hstack([cells, np.eye(seed.max() + 1)[seed]])
    solve = np.linalg.pinv(design)
    a = weight @ solve[: len(weight)]
    if not np.allclose(a @ design, [*weight, *np.zeros(seed.max() + 1)]):
        return _mean(y, cell, seed, weight)  # cells that share no seeds, so nothing cancels
    fit = design @ solve
    free = ((1 - np.diag(fit)) @ cells).round(9)
    if not free.sum():
        return y @ a, np.nan, np.nan
    squares = np.square(y - y @ fit) @ cells
    # A cell that knows nothing of its own spread, having one seed, takes that of the others.
    own = free > 0
    pooled = squares.sum(-1, keepdims=True) / free.sum()
    variance = np.where(own, squares / np.where(own, free, 1), pooled) * (a**2 @ cells)
    return y @ a, variance.sum(-1), _degrees(variance, np.where(own, free, free.sum()))


def _degrees(variance, df):
    """Satterthwaite's degrees of freedom of a sum of independent variances (..., k) that have ``df`` each."""
    total = variance.sum(-1)
    with np.errstate(invalid="ignore"):
        return np.where(total > 0, total**2 / (variance**2 / df).sum(-1), np.sum(df))


def holm(p: Iterable[float], alpha: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Holm's step-down: adjusted p-values (m,), and the level (m,) at which each was tested.

    The level is what an interval has to have to show the same decision; what is not decided has that of
    the step at which the procedure stopped. NaN are no tests and stay.
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p)[: np.isfinite(p).sum()]  # NaN sort last
    factors = np.arange(len(order), 0, -1)
    adjusted, level = np.full((2, len(p)), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1)
    decided = int((adjusted[order] < alpha).sum())
    level[order] = alpha / np.maximum(factors, len(order) - decided)
    return adjusted, level
