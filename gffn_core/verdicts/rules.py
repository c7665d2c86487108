"""What an interval says about a claim."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from gffn_core.data.datasets import TITLES
from gffn_core.losses import LABEL_SPACES
from gffn_core.verdicts.intervals import DOUBLINGS, DRAWS, Estimate, average, minus, slope


@dataclass(frozen=True)
class Measured:
    """An effect with its 95 % interval, and what it says about the claim (see the module)."""

    effect: float
    low: float
    high: float
    p: float
    refuted: bool
    note: str = ""


def verdict(p: float, refuted: bool) -> str:
    """The one rule for all claims; ``p`` is Holm's, NaN without data."""
    if np.isnan(p):
        return "no data"
    if refuted:
        return "not reproduced"
    return "reproduced" if p < 0.05 else "inconclusive"


# Measurements


def between(
    estimate: Estimate, low: float = -np.inf, high: float = np.inf, relevant: float = -np.inf
) -> Measured:
    """The claim that the effect lies above ``low`` and below ``high``.

    Refuted if the interval lies outside, or below ``relevant``.
    """
    effect, draws = estimate
    if np.isnan(draws).any():
        return Measured(effect, np.nan, np.nan, 1.0, False, "too few runs for an interval")
    p = (1 + max((draws <= low).sum(), (draws >= high).sum())) / (1 + DRAWS)
    interval = np.quantile(draws, (0.025, 0.975))
    refuted = interval[1] <= max(low, relevant) or interval[0] >= high
    return Measured(effect, *interval, p, bool(refuted))


def positive(values: pd.DataFrame, margin: float | None = None) -> Measured | None:
    """The mean over cells is positive."""
    if values.empty:
        return None
    margin = values["margin"].mean() if margin is None else margin
    return between(average(values), low=0, relevant=margin)


def below(values: pd.DataFrame, limit: float) -> Measured | None:
    """The mean over cells is below the limit."""
    return None if values.empty else between(average(values), high=limit)


def equal(values: pd.DataFrame, margin: float | None = None, image_noise: float = 0.0) -> Measured | None:
    """The mean over cells is zero within the margin."""
    if values.empty:
        return None
    margin = values["margin"].mean() if margin is None else margin
    return between(average(values, image_noise=image_noise), -margin, margin)


def rises(values: pd.DataFrame) -> Measured | None:
    """The slope against log2 B is positive."""
    found = slope(values)
    return found and between(found, low=0, relevant=values["margin"].mean() / DOUBLINGS)


def constant(values: pd.DataFrame, margin: float | None = None) -> Measured | None:
    """The slope against log2 B is zero within the margin over the whole range of batch sizes."""
    found = slope(values)
    limit = (values["margin"].mean() if margin is None else margin) / DOUBLINGS
    return found and between(found, -limit, limit)


def each(*parts: Measured | None) -> Measured | None:
    """All parts hold: the one with the largest p, which is that of the whole (intersection-union)."""
    if None in parts:
        return None
    refuted = [part for part in parts if part.refuted]
    return max(refuted or parts, key=lambda part: part.p)


def everywhere(values: pd.DataFrame, margin: float | None = None, about: bool = False) -> Measured | None:
    """The value is positive in every cell; with ``about``, positive or zero within the margin.

    The effect is the share of cells where it holds (Clopper-Pearson interval), p is that of the mean
    over cells. One cell beyond the margin on the wrong side keeps the claim from being reproduced
    (p = 1); it refutes it where its own t interval over seeds lies there, or, for a single seed, where
    it is three times as far: the luck of two nets with the test images.
    """
    if values.empty:
        return None
    margins = values["margin"] if margin is None else values["margin"] * 0 + margin
    names = [name for name in values.index.names if name != "seed"]
    groups = values.assign(margin=margins).groupby(level=names, sort=False)
    cells = groups["value"].agg(["mean", "sem", "count"]).assign(margin=groups["margin"].mean())
    holds = cells["mean"] >= -cells["margin"] if about else cells["mean"] > 0
    wrong = cells[cells["mean"] < -cells["margin"]]
    half = stats.t.ppf(0.975, (wrong["count"] - 1).clip(lower=1)) * wrong["sem"].fillna(0)
    half = half.where(wrong["count"] > 1, 2 * wrong["margin"])
    clear = wrong["mean"] + half < -wrong["margin"]
    tested = minus(values, -margins) if about else values
    p = 1.0 if len(wrong) else between(average(tested), low=0).p
    share = stats.binomtest(int(holds.sum()), len(cells)).proportion_ci()
    note = listed("against it", wrong["mean"])
    return Measured(holds.mean(), share.low, share.high, p, bool(clear.any()), note)


def listed(title, series, most=6):
    """The cells of ``series`` by name, the lowest first."""
    named = [
        " ".join(str(TITLES.get(part, part)) for part in index if part not in LABEL_SPACES)
        for index in series.sort_values().index
    ]
    more = f" and {len(named) - most} more" if len(named) > most else ""
    return f"{title}: {', '.join(named[:most])}{more}" if named else ""
