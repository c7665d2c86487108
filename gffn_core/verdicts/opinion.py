"""What other methods say of an estimate, and how many seeds would decide."""

import warnings

import numpy as np
import pandas as pd
from scipy import stats

from gffn_core.verdicts.rules import Measured, between

DRAWS = 9999
POWER = 0.8
MOST = 101  # seeds: more of them nobody trains


def boundary(measured: Measured) -> float:
    """Of the two boundaries the one nearer to the effect."""
    effect = measured.estimate.effect
    return min((measured.low, measured.high), key=lambda bound: abs(effect - bound))


def student(measured: Measured) -> float:
    """P-value of the effect against the nearest boundary, two-sided, as the ledger has it before
    correction."""
    return between(measured.estimate, measured.low, measured.high).p


def sign_flip(measured: Measured) -> float:
    """The same with every seed's distance from the boundary given either sign.

    A seed counts where it has all cells of all data sets; NaN of fewer than six: n seeds cannot give less
    than 2 / 2**n. All flips of up to thirteen seeds, else draws.
    """
    terms = measured.estimate.terms
    by_seed = (terms["weight"] * terms["value"]).groupby(terms["seed"]).agg(["sum", "size"])
    whole = by_seed["size"] == len(terms[["part", "cell"]].drop_duplicates())
    distances = by_seed.loc[whole, "sum"].to_numpy() - boundary(measured)
    if len(distances) < 6:
        return np.nan
    return stats.permutation_test(
        (distances,), np.mean, permutation_type="samples", n_resamples=DRAWS, rng=0
    ).pvalue


def mixed_model(measured: Measured) -> float:
    """The same by a linear mixed model (REML): a mean per cell, a random effect per seed of a data set.

    NaN where no seed has two values, so that its effect cannot be told from noise.
    """
    from statsmodels.regression.mixed_linear_model import MixedLM

    terms = measured.estimate.terms.set_index(["part", "cell"])
    if not terms.groupby(["part", "seed"]).size().gt(1).any():
        return np.nan
    cells = pd.get_dummies(pd.Series([*terms.index]).astype(str), dtype=float)
    weights = terms["weight"].groupby(level=[0, 1]).first()
    weights.index = [str(index) for index in weights.index]
    groups = (terms.index.get_level_values("part") * 1000 + terms["seed"]).to_numpy()
    scale = terms["value"].std() or 1.0  # the optimiser expects numbers near one
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a seed effect of zero lies on the edge of what is allowed
        fit = MixedLM(terms["value"].to_numpy() / scale, cells, groups).fit(reml=True)
    contrast = weights[cells.columns].to_numpy()
    error = np.sqrt(contrast @ fit.cov_params().iloc[: len(contrast), : len(contrast)] @ contrast)
    distance = contrast @ fit.fe_params - boundary(measured) / scale
    return 2 * stats.norm.sf(abs(distance) / error)


def seeds_needed(measured: Measured, alpha: float) -> float:
    """Seeds for which a test at ``alpha`` decides with the probability POWER, at the observed effect and
    spread.

    Infinity from MOST on.
    """
    effect, error, df, terms = measured.estimate
    seeds = terms.groupby("part")["seed"].nunique().mean()
    n = np.arange(2, MOST)
    free = df * (n - 1) / max(seeds - 1, 1)
    quantiles = stats.t.ppf(1 - alpha / measured.tests / 2, free) + stats.t.ppf(POWER, free)
    enough = quantiles * error * np.sqrt(seeds / n) <= abs(effect - boundary(measured))
    return n[enough.argmax()] if enough.any() else np.inf


def disagreement(row: pd.Series) -> str:
    """Of a row of the ledger, which p-values lie on the other side of 5 % than that of the first method."""
    others = {"sign flips": row["sign_flip"], "a mixed model": row["mixed_model"]}
    said = [
        f"{name} (p {p:.2g})"
        for name, p in others.items()
        if np.isfinite(p) and (p < 0.05) != (row["student"] < 0.05)
    ]
    return f"p {row['student']:.2g} before correction, against {' and '.join(said)}" if said else ""
