"""Claims on out-of-distribution detection (thesis 5.3)."""

from dataclasses import replace

import numpy as np
import pandas as pd

from gffn_core.data.datasets import TITLES
from gffn_core.verdicts.claim import BEYOND, CIFAR, COLOURED, DOUBLING, SVHN, Claim
from gffn_core.verdicts.intervals import Estimate, minus
from gffn_core.verdicts.rules import Measured, any_of, below, between, constant, equal, everywhere, positive
from gffn_core.verdicts.values import LUCK, gain, net

CLOSE = 0.05  # of areas under the ROC curve that the thesis calls close


def above_chance(pairs: pd.DataFrame) -> pd.DataFrame:
    """AUROC of ln p(x) of the joint nets, minus that of a random score."""
    return minus(net(pairs, "auroc_log_px", "joint"), 0.5)


def baseline_lead(pairs: pd.DataFrame, baseline: str = "joint") -> pd.DataFrame:
    """AUROC of max softmax of the nets of one loss minus that of ln p(x) of the joint nets."""
    return minus(net(pairs, "auroc_max_softmax", baseline), net(pairs, "auroc_log_px", "joint"))


def single_net_below_chance(pairs: pd.DataFrame) -> Measured | None:
    """At least one net gives foreign images the higher ln p(x).

    Of a single net only the images are random: LUCK is about two standard errors of an area with ten
    thousand on either side.
    """
    values = above_chance(pairs)["value"]
    found = any_of(between(Estimate(value, LUCK / 2, np.inf), high=0) for value in values)
    return found and replace(
        found, note=f"{(values < 0).sum()} of {len(values)} nets below 0.5; the lowest is shown"
    )


def share_above_chance(pairs: pd.DataFrame) -> pd.DataFrame:
    """Values: whether the AUROC of ln p(x) is above 0.5, by net."""
    values = above_chance(pairs)
    return values.assign(value=(values["value"] > 0).astype(float))


CLAIMS = [
    Claim(
        "16a",
        "ood",
        "5.3.2",
        "ln p(x) is a worse score than max softmax for both data sets and all batch sizes.",
        f"AUROC of the GFFN's max softmax minus that of its ln p(x), in each cell: above -{LUCK} (the "
        "weakest is shown).",
        "AUROC",
        lambda pairs: everywhere(baseline_lead(pairs), LUCK),
        datasets=COLOURED,
        whole=SVHN,
        nets=("joint",),
    ),
    Claim(
        "16b",
        "ood",
        "5.3.2",
        "The baseline works much better.",
        f"AUROC of the GFFN's max softmax minus that of its ln p(x), mean over cells: above {CLOSE}.",
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
        "AUROC of the standard net's max softmax minus that of the GFFN's ln p(x), mean over cells: above "
        f"{LUCK}.",
        "AUROC",
        lambda pairs: positive(baseline_lead(pairs, "conditional"), LUCK),
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
        whole=SVHN,
        nets=("joint",),
    ),
    Claim(
        "17b",
        "ood",
        "5.3.2",
        "In some cases it is worse than chance.",
        "AUROC of ln p(x) of a GFFN minus 0.5: below zero, by more than luck with the images, for at least "
        "one net.",
        "AUROC - 0.5",
        single_net_below_chance,
        datasets=COLOURED,
        nets=("joint",),
    ),
    Claim(
        "17c",
        "ood",
        "5.3.2",
        "At large batch sizes it is better than chance.",
        f"AUROC of the GFFN's ln p(x) minus 0.5, mean over the cells with B of 256 and more: above {LUCK}.",
        "AUROC - 0.5",
        lambda pairs: positive(above_chance(pairs[pairs.index.get_level_values("batch_size") >= 256]), LUCK),
        datasets=COLOURED,
        nets=("joint",),
    ),
    Claim(
        "17d",
        "ood",
        "5.3.2",
        "For most models it is better than chance.",
        "Share of nets whose AUROC of ln p(x) is above 0.5, mean over cells: above one half.",
        "of the nets",
        lambda pairs: positive(share_above_chance(pairs), 0.5),
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
        lambda pairs: equal(baseline_lead(pairs), CLOSE),
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
        f"AUROC of the GFFN's ln p(x) minus 0.5, in each cell: above -{LUCK} (the weakest is shown).",
        "AUROC - 0.5",
        lambda pairs: everywhere(above_chance(pairs), LUCK),
        datasets=CIFAR,
        nets=("joint",),
    ),
    Claim(
        "B4",
        "ood",
        BEYOND,
        "For GFFNs typicality is a better score than max softmax.",
        f"AUROC of typicality minus that of max softmax, GFFN, long, mean over cells: above {LUCK}.",
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
        f"AUROC of ln Z(x), GFFN minus standard, long, mean over cells: above {LUCK}.",
        "AUROC gained",
        lambda pairs: positive(gain(pairs, "auroc_log_px", "long"), LUCK),
        datasets=COLOURED,
    ),
]
