"""Estimates with intervals, and the one rule that makes them verdicts.

Values are a table with a row per data set, batch size and seed (index ``PAIR``) and two columns:
``value``, and ``margin``, below which a value counts as nothing. A cell is a data set at a batch size.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

DRAWS = 4999
DOUBLINGS = 9  # from batch size 4 to 2048, the thesis's range
PAIR = ["label_space", "dataset", "batch_size", "seed"]


class Estimate(NamedTuple):
    """An effect and draws (DRAWS,) from its confidence distribution; NaN where the runs give none."""

    effect: float
    draws: np.ndarray


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down adjustment of p-values (m,); NaN are no tests and stay."""
    p = np.asarray(p, dtype=float)
    order = np.argsort(p)[: np.isfinite(p).sum()]  # NaN sort last
    adjusted = np.full_like(p, np.nan)
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1)
    return adjusted


def minus(values: pd.DataFrame, others: pd.DataFrame | pd.Series | float) -> pd.DataFrame:
    others = others["value"] if isinstance(others, pd.DataFrame) else others
    return values.assign(value=values["value"] - others)


def average(values: pd.DataFrame, image_noise: float = 0.0) -> Estimate:
    """The mean over cells, by a hierarchical bootstrap: cells are drawn, then seeds within each.

    Cells are drawn within their data set, as the data sets are fixed. A bootstrap of n cells knows
    its own spread with few degrees of freedom and too small by sqrt((n - 1) / n), so its deviations
    are turned into Student's t (Satterthwaite's degrees of freedom, as spreads differ between data
    sets). Where each data set has one cell the seeds are the units; with one seed the cells are; with
    neither there is no interval.
    image_noise: standard error of a value due to the test images, for claims about single cells,
    where seeds alone would miss it.
    """
    keys = [name for name in values.index.names if name in PAIR]
    table = values["value"].groupby(level=keys).mean().unstack("seed")
    matrix = np.sort(table.to_numpy(), axis=1)  # NaN, seeds that are missing, go last
    runs = np.isfinite(matrix).sum(1)
    means = np.nanmean(matrix, axis=1)
    fixed = [name for name in table.index.names if name != "batch_size"]
    stratum = table.groupby(level=fixed).ngroup().to_numpy()
    size = np.bincount(stratum)[stratum]
    first = np.searchsorted(stratum, stratum)

    rng = np.random.default_rng(0)
    cell = first + (rng.random((DRAWS, len(means))) * size).astype(int)
    pick = (rng.random((*cell.shape, matrix.shape[1])) * runs[cell][..., None]).astype(int)
    deviation = matrix[cell[..., None], pick].mean((1, 2)) - means.mean()

    if size.max() > 1:
        units = [means[stratum == one] for one in np.unique(stratum)]
        weights = [len(unit) / len(means) for unit in units]
    else:
        units = [row[:n] for row, n in zip(matrix, runs)]
        weights = [1 / len(means)] * len(units)
    known = [(weight, unit) for weight, unit in zip(weights, units) if len(unit) > 1]
    if known:
        n = np.array([len(unit) for _, unit in known])
        variance = np.array([weight**2 * unit.var(ddof=1) for weight, unit in known]) / n
        if variance.sum() > 0:
            df = _degrees(variance, n - 1)
            deviation *= np.sqrt(variance.sum() / (variance * (n - 1) / n).sum())
            deviation /= np.sqrt(rng.chisquare(df, DRAWS) / df)
    elif not image_noise:
        deviation = np.full(DRAWS, np.nan)
    noise = image_noise * rng.standard_normal(DRAWS)
    return Estimate(means.mean(), means.mean() + deviation + noise)


def slope(values: pd.DataFrame) -> Estimate | None:
    """The slope against log2 B, per doubling; the mean over data sets. None below three batch sizes.

    A regression through the means of the cells of each data set. Batch sizes are a fixed design, so
    nothing is resampled: the interval is Student's t, with what the line leaves unexplained (noise
    of seeds as well as curvature) as the error. It holds for a single seed, and is not fooled by
    what the nets of one seed share.
    """
    keys = [name for name in values.index.names if name in PAIR and name != "seed"]
    cells = values["value"].groupby(level=keys).mean()
    lines, free = [], []
    for _, part in cells.groupby(level=[name for name in keys if name != "batch_size"]):
        if len(part) > 2:
            sizes = part.index.get_level_values("batch_size").to_numpy(float)
            lines.append(stats.linregress(np.log2(sizes), part))
            free.append(len(part) - 2)
    if not lines:
        return None
    effect = np.mean([line.slope for line in lines])
    variance = np.array([line.stderr for line in lines]) ** 2 / len(lines) ** 2
    df = _degrees(variance, np.array(free))
    return Estimate(effect, effect + np.sqrt(variance.sum()) * t_draws(df))


def _degrees(variance, df):
    """Satterthwaite's degrees of freedom of a sum of variances that have ``df`` each."""
    total = variance.sum()
    return total**2 / (variance**2 / df).sum() if total > 0 else df.sum()


def t_draws(df):
    """Student's t as evenly spaced quantiles, (DRAWS,)."""
    return stats.t.ppf((np.arange(DRAWS) + 0.5) / DRAWS, df)
