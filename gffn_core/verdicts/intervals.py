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

    ``terms`` has a row per value: ``value``, the ``weight`` of its cell, and which ``part`` (a data set),
    ``cell`` and ``seed`` it belongs to.
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

    Seeds are the unit, in trends as in means: each contributes the weighted sum of its deviations from
    the cells' means, whatever its nets have in common, and the degrees of freedom are the number of seeds
    minus one. Data sets are independent of each other, with Satterthwaite's degrees of freedom for the sum.
    """
    index = values.index
    codes = [code for name, code in zip(index.names, index.codes) if name not in ("batch_size", "seed")]
    strata = np.unique(codes or [index.codes[0] * 0], axis=1, return_inverse=True)[1].ravel()
    sizes = index.get_level_values("batch_size") if "batch_size" in index.names else np.ones(len(index))
    seeds = np.unique(index.get_level_values("seed"), return_inverse=True)[1]
    parts = []
    for stratum in range(strata.max(initial=-1) + 1):
        rows = strata == stratum
        size, cell = np.unique(np.asarray(sizes)[rows], return_inverse=True)
        weight = weights(size.astype(float))
        if weight is not None and weight.any():  # a difference from itself is no value
            parts.append((values["value"].to_numpy(float)[rows], cell, seeds[rows], weight))
    if not parts:
        return None
    effect, variance, df = np.array([_weighted_sum(*part) for part in parts]).T
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


def _weighted_sum(y, cell, seed, weight):
    """Of one data set: values (..., n), cell and seed of each (n,), weights of the cells -> effect, variance
    and degrees of freedom (...).

    Seeds may share anything, so it is their sums of residuals that are squared; the degrees of freedom are
    those of Bell and McCaffrey (2002), which are one less than there are seeds where none is missing.
    """
    cells, seeds = np.eye(len(weight))[cell], np.eye(seed.max() + 1)[seed]
    design = cells
    if abs(weight.sum()) < 1e-9:  # what a seed does alike to all cells cancels, where cells share seeds
        both = np.hstack([cells, seeds])
        a = weight @ np.linalg.pinv(both)[: len(weight)]
        if np.allclose(a @ both, [*weight, *np.zeros(seeds.shape[1])]):
            design = both
    solve = np.linalg.pinv(design)
    a = weight @ solve[: len(weight)]
    by_seed = (np.eye(len(a)) - design @ solve) @ (a[:, None] * seeds)
    noise = by_seed.T @ by_seed  # covariance of the seeds' sums under unit noise
    known = np.trace(noise)
    if known < 1e-9 * (a @ a):
        return y @ a, np.nan, np.nan
    variance = np.square(y @ by_seed).sum(-1) * (a @ a) / known
    return y @ a, variance, known**2 / np.square(noise).sum()


def _degrees(variance, df):
    """Satterthwaite's degrees of freedom of a sum of independent variances (..., k) that have ``df`` each."""
    total = variance.sum(-1)
    with np.errstate(invalid="ignore"):
        return np.where(total > 0, total**2 / (variance**2 / df).sum(-1), np.sum(df))


def holm(p: Iterable[float]) -> tuple[np.ndarray, np.ndarray]:
    """Holm's step-down: adjusted p-values (m,), and the level (m,) at which each was tested.

    The level is what an interval has to have to show the same decision; what is not decided has that of
    the step at which the procedure stopped. NaN are no tests and stay.
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p)[: np.isfinite(p).sum()]  # NaN sort last
    factors = np.arange(len(order), 0, -1)
    adjusted, level = np.full((2, len(p)), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1)
    decided = int((adjusted[order] < 0.05).sum())
    level[order] = 0.05 / np.maximum(factors, len(order) - decided)
    return adjusted, level
