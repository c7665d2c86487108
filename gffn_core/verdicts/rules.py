"""What an interval says about a claim.

A claim says in which region the effect lies: above a boundary, below one, or between two. One rule for
all: it is *reproduced* where the interval lies inside, *not reproduced* where it lies outside, on one side,
and *inconclusive* where it holds a boundary. So a p-value is the smallest alpha at which the two-sided
interval would decide, and there is one for each answer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from gffn_core.checks import LABEL_SPACES
from gffn_core.data.datasets import SUBSETS, TITLES
from gffn_core.experiments.tables import SEEDS
from gffn_core.verdicts.intervals import DOUBLINGS, Estimate, estimate, evenly, holm, per_doubling


@dataclass(frozen=True)
class Measured:
    """An estimate and the region (low, high) that a claim names.

    inside, outside: p-values for either answer. tests: how many estimates stand behind the one that is
    shown, where the answer needs only one of them (Bonferroni).
    """

    estimate: Estimate
    low: float
    high: float
    inside: float
    outside: float
    tests: int = 1
    note: str = ""

    @property
    def p(self) -> float:
        return min(self.inside, self.outside)

    def interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """At 1 - alpha; NaN where the seeds give none."""
        effect, error, df, _ = self.estimate
        half = stats.t.ppf(1 - alpha / self.tests / 2, df) * error
        return effect - half, effect + half


def between(value: Estimate | None, low: float = -np.inf, high: float = np.inf) -> Measured | None:
    """The claim that the effect lies above ``low`` and below ``high``."""
    if value is None:
        return None
    effect, error, df, terms = value
    if np.isnan(error):
        return Measured(value, low, high, 1.0, 1.0, note="too few runs for an interval")
    distance = min(effect - low, high - effect)  # from the nearest boundary, negative outside
    if error > 0:
        inside, outside = 2 * stats.t.sf([distance / error, -distance / error], df)
    else:
        # Seeds that agree to the digit tell t nothing; a sign test counts them. What is exact has none.
        surest = 0.0 if terms is None else 2.0 ** (1 - len(terms.groupby(["part", "seed"])))
        inside, outside = (surest, 1.0) if distance > 0 else (1.0, surest) if distance < 0 else (1.0, 1.0)
    return Measured(value, low, high, min(1.0, inside), min(1.0, outside))


def effect(values: pd.DataFrame, weights=evenly) -> pd.Series:
    """``mean`` over cells, or another weighted sum of them; ``low`` and ``high``, its 95 % interval.

    NaN where there are too few cells or seeds.
    """
    found = estimate(values, weights)
    ends = (np.nan,) * 3 if found is None else (found.effect, *between(found).interval())
    return pd.Series(ends, ["mean", "low", "high"])


def verdict(measured: Measured | None, p: float) -> str:
    """The one rule for all claims; ``p`` is ``measured.p`` corrected for the family."""
    if measured is None:
        return "no data"
    if p >= 0.05:
        return "inconclusive"
    return "reproduced" if measured.inside < measured.outside else "not reproduced"


def decided(family: Sequence[Measured | None]) -> pd.DataFrame:
    """What is decided of a family of claims, which keeps its chance of any wrong decision at 5 % (Holm).

    A row each: ``p``, corrected, the ``level`` at which it was tested, the ``verdict``, the ``effect`` and
    the interval ``low`` to ``high`` at that level, and the boundaries of what is claimed, ``above`` and
    ``below``.
    """
    p, level = holm([np.nan if one is None else one.p for one in family])
    rows = [
        (np.nan,) * 5 if one is None else (one.estimate.effect, *one.interval(alpha), one.low, one.high)
        for one, alpha in zip(family, level)
    ]
    table = pd.DataFrame(rows, columns=["effect", "low", "high", "above", "below"], dtype=float)
    return table.assign(p=p, level=level, verdict=[verdict(*one) for one in zip(family, p)])


# Regions


def _margin(values, margin=None):
    return values["margin"].mean() if margin is None else margin


def positive(values: pd.DataFrame, margin: float | None = None, weights=evenly) -> Measured | None:
    """The mean over cells, or another weighted sum of them, is above the margin."""
    return between(estimate(values, weights), low=_margin(values, margin))


def equal(values: pd.DataFrame, margin: float | None = None, weights=evenly) -> Measured | None:
    """The same is zero within the margin."""
    margin = _margin(values, margin)
    return between(estimate(values, weights), -margin, margin)


def rises(values: pd.DataFrame) -> Measured | None:
    """Over the whole range of batch sizes the line against log2 B rises by more than the margin."""
    return positive(values, _margin(values) / DOUBLINGS, per_doubling)


def constant(values: pd.DataFrame, margin: float | None = None) -> Measured | None:
    """Over the whole range of batch sizes the line against log2 B stays within the margin."""
    return equal(values, _margin(values, margin) / DOUBLINGS, per_doubling)


# Claims of several parts


def all_of(parts: Iterable[Measured | None]) -> Measured | None:
    """Every part holds.

    The claim is as sure as its weakest part (intersection-union test); a single part refutes it, with
    Bonferroni's correction for having looked at all. The part that decides is shown.
    """
    parts = list(parts)
    if not parts or None in parts:
        return None
    weakest = min(parts, key=lambda part: (part.outside, -part.inside))
    if weakest.outside == 1:  # no effect lies outside
        return weakest
    outside = min(1.0, len(parts) * weakest.outside)
    return replace(weakest, outside=outside, tests=len(parts) * weakest.tests)


def in_all(values: pd.Series, what: str, low: float = -np.inf, high: float = np.inf) -> Measured | None:
    """In every cell of ``values``, one a seed, the mean lies above ``low`` and below ``high``.

    The index has the level ``seed``; its others tell cells. what: is measured, for the note. None where a
    value is missing; of fewer seeds than ``SEEDS`` there is no interval.
    """
    if values.isna().any():
        return None
    cells = [name for name in values.index.names if name != "seed"]
    groups = values.groupby(level=cells) if cells else [((), values)]
    return all_of(
        named(between(_over_seeds(part), low, high), ", ".join(filter(None, (what, named_cell(index)))))
        for index, part in groups
    )


def _over_seeds(values):
    seeds = pd.MultiIndex.from_arrays([values.index.get_level_values("seed")], names=["seed"])
    found = estimate(pd.DataFrame({"value": values.to_numpy(), "margin": 0.0}, seeds))
    return found._replace(error=np.nan) if found and len(values) < SEEDS else found


def named(measured: Measured | None, what: str) -> Measured | None:
    """The same, with a note that says what was measured."""
    return measured and replace(measured, note="; ".join(filter(None, (what, measured.note))))


def exactly(value: float, what: str = "", low: float = -np.inf, high: float = np.inf) -> Measured:
    """What has no spread, such as a count, lies above ``low`` and below ``high``."""
    return named(between(Estimate(value, 0.0, np.inf), low, high), what)


def any_of(parts: Iterable[Measured | None]) -> Measured | None:
    """At least one part holds: the opposite of all parts failing."""
    parts = list(parts)
    return None if None in parts else fails(all_of(fails(part) for part in parts))


def fails(measured: Measured | None) -> Measured | None:
    """The claim that another one, with a single boundary, is wrong; ValueError for one with two."""
    if measured is None:
        return None
    if np.isfinite([measured.low, measured.high]).all():
        raise ValueError("the opposite of an effect between two boundaries is no region; split it in two")
    low, high = (-np.inf, measured.low) if np.isinf(measured.high) else (measured.high, np.inf)
    return replace(measured, low=low, high=high, inside=measured.outside, outside=measured.inside)


def everywhere(values: pd.DataFrame, margin: float | None = None) -> Measured | None:
    """In every cell the value is above minus the margin; the note names the cells against it."""
    names = [name for name in values.index.names if name != "seed"]
    parts = {
        index: between(estimate(part), low=-_margin(part, margin))
        for index, part in values.groupby(level=names, sort=False)
    }
    measured = all_of(parts.values())
    if measured is None:
        return None
    shown = next(index for index, part in parts.items() if part.estimate is measured.estimate)
    against = {
        index: part.estimate.effect for index, part in parts.items() if part.estimate.effect < part.low
    }
    notes = (measured.note, f"shown: {named_cell(shown)}", listed("against it", against))
    return replace(measured, note="; ".join(filter(None, notes)))


def named_cell(index: Sequence) -> str:
    whole = [SUBSETS.get(part, (part,))[0] for part in index if part not in LABEL_SPACES]
    return " ".join(str(TITLES.get(part, part)) for part in whole)


def listed(title: str, effects: dict[Sequence, float], most: int = 6) -> str:
    """The cells by name, the lowest effect first."""
    cells = [named_cell(index) for index in sorted(effects, key=effects.get)]
    more = f" and {len(cells) - most} more" if len(cells) > most else ""
    return f"{title}: {', '.join(cells[:most])}{more}" if cells else ""
