"""Claims on out-of-distribution detection (thesis 5.3)."""

import numpy as np
import pandas as pd
from scipy import stats

from gffn_core.data.datasets import TITLES
from gffn_core.verdicts.claim import BEYOND, CIFAR, COLOURED, DOUBLING, Claim
from gffn_core.verdicts.intervals import PAIR, minus
from gffn_core.verdicts.rules import Measured, below, constant, equal, everywhere, listed, positive
from gffn_core.verdicts.values import LUCK, gain, net, opposite

CLOSE = 0.05  # of areas under the ROC curve that the thesis calls close


def above_chance(pairs: pd.DataFrame) -> pd.DataFrame:
    """AUROC of ln p(x) of the joint nets, minus that of a random score."""
    return minus(net(pairs, "auroc_log_px", "joint"), 0.5)


def baseline_lead(pairs: pd.DataFrame, baseline: str = "joint") -> pd.DataFrame:
    """AUROC of max softmax of the nets of one loss minus that of ln p(x) of the joint nets."""
    return minus(net(pairs, "auroc_max_softmax", baseline), net(pairs, "auroc_log_px", "joint"))


def below_chance_somewhere(pairs: pd.DataFrame) -> Measured | None:
    """In the cell of the lowest AUROC of ln p(x), it is below 0.5 (Bonferroni over the cells).

    Its error is that of the seeds, with a variance pooled over the cells, and of the images.
    """
    values = opposite(above_chance(pairs))
    if values.empty:
        return None
    cells = values["value"].groupby(level=PAIR[:-1]).agg(["mean", "var", "count"])
    free = (cells["count"] - 1).sum()
    lowest = cells.loc[[cells["mean"].idxmax()]]
    effect, count = lowest["mean"].item(), lowest["count"].item()
    if not free:
        return Measured(effect, np.nan, np.nan, 1.0, False, "too few runs for an interval")
    pooled = (cells["var"].fillna(0) * (cells["count"] - 1)).sum() / free
    error = np.sqrt(pooled / count + (LUCK / 2) ** 2)
    t = stats.t(free)
    low, high = effect - t.ppf(0.975) * error, effect + t.ppf(0.975) * error
    p_value = min(1.0, len(cells) * t.sf(effect / error))
    return Measured(effect, low, high, p_value, bool(high <= 0), listed("lowest", lowest["mean"]))


CLAIMS = [
    Claim(
        "16a",
        "ood",
        "5.3.2",
        "ln p(x) is a worse score than max softmax for both data sets and all batch sizes.",
        "Share of cells in which the GFFN's max softmax has the higher AUROC: no cell with a lower one "
        f"by {LUCK}.",
        "of the cells",
        lambda pairs: everywhere(baseline_lead(pairs), LUCK),
        datasets=COLOURED,
        nets=("joint",),
    ),
    Claim(
        "16b",
        "ood",
        "5.3.2",
        "The baseline works much better.",
        "AUROC of the GFFN's max softmax minus that of its ln p(x), mean over cells: positive, and not "
        f"below {CLOSE}.",
        "AUROC",
        lambda pairs: positive(baseline_lead(pairs), CLOSE),
        datasets=COLOURED,
        nets=("joint",),
    ),
    Claim(
        "16c",
        "ood",
        "6",
        "ln p(x) of the GFFN does not improve on what the standard net offers.",
        "AUROC of the standard net's max softmax minus that of the GFFN's ln p(x), mean over cells: "
        "positive.",
        "AUROC",
        lambda pairs: positive(baseline_lead(pairs, "conditional"), 0),
        datasets=COLOURED,
    ),
    Claim(
        "17a",
        "ood",
        "5.3.2",
        "ln p(x) is mostly not much better than chance.",
        "AUROC of the GFFN's ln p(x) minus 0.5, mean over cells: below 0.1.",
        "AUROC - 0.5",
        lambda pairs: below(above_chance(pairs), 0.1),
        datasets=COLOURED,
        nets=("joint",),
    ),
    Claim(
        "17b",
        "ood",
        "5.3.2",
        "In some cases it is worse than chance.",
        "0.5 minus the lowest AUROC of the GFFN's ln p(x) over the cells: positive.",
        "0.5 - AUROC",
        below_chance_somewhere,
        datasets=COLOURED,
        nets=("joint",),
    ),
    Claim(
        "17c",
        "ood",
        "5.3.2",
        "At large batch sizes it is better than chance.",
        "AUROC of the GFFN's ln p(x) minus 0.5, mean over the cells with B of 256 and more: positive.",
        "AUROC - 0.5",
        lambda pairs: positive(above_chance(pairs[pairs.index.get_level_values("batch_size") >= 256]), LUCK),
        datasets=COLOURED,
        nets=("joint",),
    ),
    Claim(
        "18",
        "ood",
        "5.3.2",
        "CIFAR-10 at B = 2048: ln p(x) comes close to the baseline.",
        f"AUROC of the GFFN's max softmax minus that of its ln p(x): within {CLOSE}.",
        "AUROC",
        lambda pairs: equal(baseline_lead(pairs), CLOSE, image_noise=LUCK / 2),
        datasets=CIFAR,
        batch_size=2048,
        nets=("joint",),
    ),
    *(
        Claim(
            f"19{letter}",
            "ood",
            "5.3.2",
            f"How well ln p(x) works does not depend on the batch size ({TITLES[name]}).",
            f"Slope of the AUROC of the GFFN's ln p(x) against log2 B: within {CLOSE} over nine doublings.",
            f"AUROC {DOUBLING}",
            lambda pairs: constant(net(pairs, "auroc_log_px", "joint"), CLOSE),
            datasets=(name,),
            nets=("joint",),
        )
        for letter, name in zip("ab", COLOURED)
    ),
    Claim(
        "20",
        "ood",
        "5.3.2",
        "CIFAR-10 nets do not give SVHN images the higher likelihood.",
        f"Share of cells in which the AUROC of the GFFN's ln p(x) is above 0.5: no cell below by {LUCK}.",
        "of the cells",
        lambda pairs: everywhere(above_chance(pairs), LUCK),
        datasets=CIFAR,
        nets=("joint",),
    ),
    Claim(
        "B4",
        "ood",
        BEYOND,
        "For GFFNs typicality is a better score than max softmax.",
        "AUROC of typicality minus that of max softmax, GFFN, long, mean over cells: positive.",
        "AUROC",
        lambda pairs: positive(
            minus(net(pairs, "auroc_typicality", "joint"), net(pairs, "auroc_max_softmax", "joint")), LUCK
        ),
        datasets=COLOURED,
        nets=("joint",),
    ),
    Claim(
        "B5",
        "ood",
        BEYOND,
        "ln p(x) of the GFFN is a better score than ln Z(x) of the standard net.",
        "AUROC of ln Z(x), GFFN minus standard, long, mean over cells: positive.",
        "AUROC gained",
        lambda pairs: positive(gain(pairs, "auroc_log_px", "long"), LUCK),
        datasets=COLOURED,
    ),
]
