"""Claims on out-of-distribution detection (thesis 5.3)."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from gffn_core.data.datasets import TITLES
from gffn_core.verdicts.claim import BEYOND, CIFAR, COLOURED, DOUBLING, Claim
from gffn_core.verdicts.intervals import Estimate, estimate, minus
from gffn_core.verdicts.rules import Measured, all_of, any_of, between, constant, equal, everywhere, positive
from gffn_core.verdicts.values import LUCK, at, by_dataset, gain, net

CLOSE = 0.05  # of areas under the ROC curve that the thesis calls close


def above_chance(pairs: pd.DataFrame) -> pd.DataFrame:
    """AUROC of ln p(x) of the joint nets, minus that of a random score."""
    return minus(net(pairs, "auroc_log_px", "joint"), 0.5)


def baseline_lead(pairs: pd.DataFrame, baseline: str = "joint") -> pd.DataFrame:
    """AUROC of max softmax of the nets of one loss minus that of ln p(x) of the joint nets."""
    return minus(net(pairs, "auroc_max_softmax", baseline), net(pairs, "auroc_log_px", "joint"))


def single_nets(combine: Callable, pairs: pd.DataFrame, **region: float) -> Measured | None:
    """All nets, or any, have an AUROC of ln p(x) minus 0.5 in the region.

    Of a single net only the images are random: LUCK is about two standard errors of an area with ten
    thousand on either side.
    """
    values = above_chance(pairs)["value"]
    found = combine(between(Estimate(value, LUCK / 2, np.inf), **region) for value in values)
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
        "5.3.2",
        "ln p(x) is a worse score than max softmax for both data sets and all batch sizes.",
        f"AUROC of the GFFN's max softmax minus that of its ln p(x), in each cell: above -{LUCK} (the "
        "weakest is shown).",
        "AUROC",
        lambda pairs: everywhere(baseline_lead(pairs), LUCK),
        datasets=COLOURED,
        nets=("joint",),
    ),
    Claim(
        "16b",
        "5.3.2",
        "The baseline works much better (the thesis: always, but for CIFAR-10 at 2048, which is claim 18).",
        f"AUROC of the GFFN's max softmax minus that of its ln p(x), mean over batch sizes: above {CLOSE} on"
        " each data set (the weakest is shown).",
        "AUROC",
        lambda pairs: by_dataset(pairs, lambda q: positive(baseline_lead(q), CLOSE)),
        datasets=COLOURED,
        nets=("joint",),
    ),
    Claim(
        "16c",
        "6",
        "ln p(x) of the GFFN does not improve on what the standard net offers.",
        "AUROC of the standard net's max softmax minus that of the GFFN's ln p(x), mean over batch sizes:"
        f" above {LUCK} on each data set (the weakest is shown).",
        "AUROC",
        lambda pairs: by_dataset(pairs, lambda q: positive(baseline_lead(q, "conditional"), LUCK)),
        datasets=COLOURED,
    ),
    Claim(
        "17a",
        "5.3.2",
        "ln p(x) is mostly not much better than chance.",
        "AUROC of the GFFN's ln p(x) minus 0.5, mean over batch sizes: below 0.1 on each data set (the higher"
        " is shown).",
        "AUROC above chance",
        lambda pairs: by_dataset(pairs, lambda q: between(estimate(above_chance(q)), high=0.1)),
        datasets=COLOURED,
        nets=("joint",),
    ),
    Claim(
        "17b",
        "5.3.2",
        "In some cases it is worse than chance.",
        "AUROC of ln p(x) of a GFFN minus 0.5: below zero, by more than luck with the images, for at least "
        "one net.",
        "AUROC above chance",
        lambda pairs: single_nets(any_of, pairs, high=0),
        datasets=COLOURED,
        nets=("joint",),
    ),
    Claim(
        "17c",
        "5.3.2",
        "At large batch sizes it is better than chance.",
        f"AUROC of the GFFN's ln p(x) minus 0.5, mean over B of 256 and more: above {LUCK} on each data set"
        " (the weaker is shown).",
        "AUROC above chance",
        lambda pairs: by_dataset(at(pairs, 256), lambda q: positive(above_chance(q), LUCK)),
        datasets=COLOURED,
        nets=("joint",),
    ),
    Claim(
        "17d",
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
        "5.3.2",
        "CIFAR-10 nets do not give SVHN images the higher likelihood.",
        f"AUROC of ln p(x) of a GFFN minus 0.5: above -{LUCK}, but for luck with the images, for each net.",
        "AUROC above chance",
        lambda pairs: single_nets(all_of, pairs, low=-LUCK),
        datasets=CIFAR,
        nets=("joint",),
    ),
    Claim(
        "B4",
        BEYOND,
        "For GFFNs typicality is a better score than max softmax.",
        f"AUROC of typicality minus that of max softmax, GFFN, long, mean over batch sizes: above {LUCK} on"
        " each data set (the weaker is shown).",
        "AUROC",
        lambda pairs: by_dataset(
            pairs,
            lambda q: positive(
                minus(net(q, "auroc_typicality", "joint"), net(q, "auroc_max_softmax", "joint")), LUCK
            ),
        ),
        datasets=COLOURED,
        nets=("joint",),
    ),
    Claim(
        "B5",
        BEYOND,
        "ln p(x) of the GFFN is a better score than ln Z(x) of the standard net.",
        f"AUROC of ln Z(x), GFFN minus standard, long, mean over batch sizes: above {LUCK} on each data set"
        " (the weaker is shown).",
        "AUROC gained",
        lambda pairs: by_dataset(pairs, lambda q: positive(gain(q, "auroc_log_px", "long"), LUCK)),
        datasets=COLOURED,
    ),
]
