"""Claims on calibration (thesis 5.2): on the errors, and on the reliability diagrams."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

from gffn_core.data.datasets import TITLES
from gffn_core.experiments.profiles import THESIS_DATASETS
from gffn_core.verdicts.claim import BEYOND, CIFAR, DOUBLING, FASHION, MNIST, SVHN, Claim
from gffn_core.verdicts.intervals import estimate, minus
from gffn_core.verdicts.rules import Measured, all_of, between, constant, equal, everywhere, positive, rises
from gffn_core.verdicts.values import NETS, apart, best_at_small, by_dataset, lower, net, nets, on, stands_out

SLIGHT = 0.02  # of an ECE: what we take "slightly better" to end at
DROP = 0.05  # of a bin's accuracy: what we take to break a steady rise; two standard errors of 400 images


def same_order(pairs: pd.DataFrame) -> Measured | None:
    """Of two data sets that follow each other in accuracy, the less accurate one has the higher ECE.

    Differences are paired by batch size and seed, because the data sets share their trends.
    """
    accuracy = nets(pairs, "test_accuracy")["value"].groupby(level="dataset").mean().sort_values()
    ece = [nets(on(pairs, name), "ece").droplevel("dataset") for name in accuracy.index]
    return all_of(positive(minus(worse, better)) for worse, better in zip(ece, ece[1:]))


# Reliability diagrams: counts and correct answers per bin


def diagram(pairs: pd.DataFrame, loss: str, statistic: Callable) -> pd.DataFrame:
    """Values: a statistic of every net's reliability diagram, long scheme.

    statistic: (count, correct), each (bins,) -> float.
    """

    def value(bins):
        count = np.array(bins["count"])
        accuracy = np.nan_to_num(np.array(bins["accuracy"], dtype=float))
        return statistic(count, count * accuracy)

    values = pairs["bins", loss, "long"].map(value, na_action="ignore")
    return net(pairs, "test_accuracy", loss).assign(value=values).dropna()


def in_each_cell(
    pairs: pd.DataFrame, statistic: Callable, low: float, high: float = np.inf
) -> Measured | None:
    """The mean of a statistic of reliability diagrams is between the two for either loss in each cell."""
    parts = [diagram(pairs, loss, statistic).groupby(level=["dataset", "batch_size"]) for loss in NETS]
    return all_of(between(estimate(cell), low, high) for part in parts for _, cell in part)


def overall_accuracy(count, correct):
    return correct.sum() / count.sum()


def top_share(count, correct):
    return count[-1] / count.sum()


def top_accuracy(count, correct):
    return correct[-1] / max(count[-1], 1)


def evenness(count, correct):
    """Entropy of the distribution of images over bins, in nats."""
    return stats.entropy(count)


def same_accuracy(count, correct):
    """Accuracy at confidence 0.8 to 0.9 minus that at 0.5 to 0.6."""
    accuracy = correct / np.maximum(count, 1)
    return accuracy[8] - accuracy[5]


def smallest_rise(count, correct):
    """The smallest rise of accuracy from one bin to the next; negative where it falls, NaN of a single bin.

    Bins with less than 1 % of the images are left out: their accuracy is noise.
    """
    enough = count >= 0.01 * count.sum()
    return np.diff(correct[enough] / count[enough]).min() if enough.sum() > 1 else np.nan


CLAIMS = [
    Claim(
        "9a",
        "5.2.2",
        "The ECE of the GFFN is lower for all models.",
        "ECE, standard minus GFFN, long, in each cell: above minus the margin (the weakest is shown).",
        "ECE saved",
        lambda pairs: everywhere(lower(pairs, "ece")),
    ),
    Claim(
        "9c",
        "5.2.2",
        "Overall the GFFN's ECE is significantly lower.",
        "ECE, standard minus GFFN, long, mean over cells: above the margin.",
        "ECE saved",
        lambda pairs: positive(lower(pairs, "ece")),
    ),
    *(
        Claim(
            f"10{letter}",
            "5.2.2",
            f"The difference in ECE grows with the batch size on {TITLES[name]}.",
            "Slope of ECE, standard minus GFFN, against log2 B, long: above the margin.",
            f"ECE saved {DOUBLING}",
            lambda pairs: rises(lower(pairs, "ece")),
            datasets=(name,),
        )
        for letter, name in zip("abc", ("mnist", "fashion_mnist", "cifar10"))
    ),
    Claim(
        "10d",
        "5.2.2",
        "On SVHN it is about constant.",
        "Slope of ECE, standard minus GFFN, against log2 B, long: within the margin.",
        f"ECE saved {DOUBLING}",
        lambda pairs: constant(lower(pairs, "ece")),
        datasets=SVHN,
    ),
    Claim(
        "10e",
        "5.2.2",
        "On SVHN the GFFN is slightly better.",
        f"ECE, standard minus GFFN, long, mean over batch sizes: above zero and below {SLIGHT}.",
        "ECE saved",
        lambda pairs: between(estimate(lower(pairs, "ece")), 0, SLIGHT),
        datasets=SVHN,
    ),
    Claim(
        "11a",
        "5.2.2",
        "On all data sets the ECE grows with the batch size.",
        "Slope of ECE against log2 B, mean of both nets, long: above the margin on each data set (the "
        "weakest is shown).",
        f"ECE {DOUBLING}",
        lambda pairs: by_dataset(pairs, lambda q: rises(nets(q, "ece"))),
    ),
    Claim(
        "11b",
        "5.2.2",
        "It grows more slowly for the GFFN.",
        "Slope of ECE, standard minus GFFN, against log2 B, mean of the data sets, long: above the margin.",
        f"ECE saved {DOUBLING}",
        lambda pairs: rises(lower(pairs, "ece")),
    ),
    Claim(
        "12",
        "5.2.2",
        "Data sets with higher accuracy have lower ECE.",
        "ECE of a data set minus that of the next more accurate one, mean of both nets, paired, long: above "
        "the margin for each (the least sure is shown).",
        "ECE",
        same_order,
    ),
    Claim(
        "13",
        "5.2.2",
        'Nets stopped early "seem to be strictly worse": calibrated, as we read it.',
        "ECE, early minus long, in each cell of each loss: above minus the margin (the weakest is shown).",
        "ECE",
        lambda pairs: everywhere(
            apart(NETS, lambda loss: minus(net(pairs, "ece", loss, "early"), net(pairs, "ece", loss, "long")))
        ),
    ),
    Claim(
        "14a",
        "5.2.2",
        "The MNIST nets all have about 99 % accuracy.",
        "Accuracy, long: within 0.005 of 0.99 at each batch size for both nets (the least sure is shown).",
        "accuracy",
        lambda pairs: in_each_cell(pairs, overall_accuracy, 0.985, 0.995),
        datasets=MNIST,
    ),
    Claim(
        "14b",
        "5.2.2",
        "The MNIST nets predict nearly all outputs with the highest confidence.",
        "Share of images in the bin from 0.9 to 1, long: above 0.95 at each batch size for both nets (the"
        " least sure is shown).",
        "of the images",
        lambda pairs: in_each_cell(pairs, top_share, 0.95),
        datasets=MNIST,
    ),
    Claim(
        "15a",
        "5.2.2",
        "CIFAR-10 at B = 2048: the standard net's accuracy does not rise steadily with confidence.",
        "Smallest rise of accuracy from a bin to the next (bins with 1 % of the images), mean of the nets: "
        f"below -{DROP}.",
        "accuracy",
        lambda pairs: between(estimate(diagram(pairs, "conditional", smallest_rise)), high=-DROP),
        datasets=CIFAR,
        batch_size=2048,
        nets=("conditional",),
    ),
    Claim(
        "15b",
        "5.2.2",
        "CIFAR-10 at B = 2048: the standard net is as accurate at confidence 0.5 to 0.6 as at 0.8 to 0.9.",
        f"Difference of the accuracies of the two bins, mean of the nets: within {DROP}.",
        "accuracy",
        lambda pairs: between(estimate(diagram(pairs, "conditional", same_accuracy)), -DROP, DROP),
        datasets=CIFAR,
        batch_size=2048,
        nets=("conditional",),
    ),
    Claim(
        "15c",
        "5.2.2",
        "CIFAR-10 at B = 2048: the GFFN's accuracy rises steadily with confidence.",
        "Smallest rise of accuracy from a bin to the next (bins with 1 % of the images), mean of the nets: "
        f"above -{DROP}.",
        "accuracy",
        lambda pairs: between(estimate(diagram(pairs, "joint", smallest_rise)), low=-DROP),
        datasets=CIFAR,
        batch_size=2048,
        nets=("joint",),
    ),
    Claim(
        "15d",
        "5.2.2",
        "CIFAR-10 at B = 2048: the GFFN's images are spread more evenly over the bins.",
        "Entropy of the distribution of images over bins, GFFN minus standard: positive.",
        "nats",
        lambda pairs: positive(
            minus(diagram(pairs, "joint", evenness), diagram(pairs, "conditional", evenness)), 0
        ),
        datasets=CIFAR,
        batch_size=2048,
    ),
    Claim(
        "15e",
        "5.2.2",
        "CIFAR-10 at B = 2048: the accuracy of the most confident bin is much higher.",
        "Accuracy at confidence 0.9 to 1, GFFN minus standard: above 0.02.",
        "accuracy",
        lambda pairs: positive(
            minus(diagram(pairs, "joint", top_accuracy), diagram(pairs, "conditional", top_accuracy)), 0.02
        ),
        datasets=CIFAR,
        batch_size=2048,
    ),
    Claim(
        "27",
        "5.2.2",
        "CIFAR-10 at B = 2048: the GFFN's confidence still exceeds its accuracy.",
        "Mean confidence minus accuracy of the GFFN, long: above the margin.",
        "confidence - accuracy",
        lambda pairs: positive(net(pairs, "overconfidence", "joint")),
        datasets=CIFAR,
        batch_size=2048,
        nets=("joint",),
    ),
    Claim(
        "28",
        "5.2.2",
        "CIFAR-10 has the largest ECE.",
        "ECE of both nets on CIFAR-10 minus that on each other data set, paired, long: above the margin "
        "(the closest is shown).",
        "ECE",
        lambda pairs: stands_out(pairs, lambda q: nets(q, "ece"), "cifar10"),
        datasets=THESIS_DATASETS,
    ),
    Claim(
        "29",
        "5.2.2",
        "The GFFN improves the ECE most on CIFAR-10.",
        "ECE saved on CIFAR-10 minus that on each other data set, paired, long: above the margin (the "
        "closest is shown).",
        "ECE saved",
        lambda pairs: stands_out(pairs, lambda q: lower(q, "ece"), "cifar10"),
        datasets=THESIS_DATASETS,
    ),
    Claim(
        "30",
        "5.2.2",
        "The best ECE is reached at a small batch.",
        "Lowest ECE of a seed at B of 128 to 2048 minus its lowest at 4 to 64 (losses compete), long: above "
        "minus the margin on each data set (the weakest is shown).",
        "ECE",
        lambda pairs: best_at_small(pairs, "ece", min),
    ),
    Claim(
        "B1a",
        BEYOND,
        "Temperature scaling closes the gap: scaled, both nets are calibrated equally well.",
        "ECE after temperature scaling on validation data, standard minus GFFN, long, mean over cells: "
        "within the margin.",
        "ECE saved",
        lambda pairs: equal(lower(pairs, "scaled_ece")),
    ),
    Claim(
        "B1b",
        BEYOND,
        "A scaled standard net is better calibrated than a GFFN as it is.",
        "ECE of the GFFN minus ECE of the scaled standard net, long, mean over cells: above the margin.",
        "ECE",
        lambda pairs: positive(minus(net(pairs, "ece", "joint"), net(pairs, "scaled_ece", "conditional"))),
    ),
    *(
        Claim(
            number,
            BEYOND,
            f"The GFFN has the lower {name}.",
            f"{name}, standard minus GFFN, long, mean over cells: positive.",
            unit,
            lambda pairs, metric=metric: positive(lower(pairs, metric), 0),
        )
        for number, metric, name, unit in (
            ("B2a", "nll", "negative log-likelihood of p(y given x)", "nats saved"),
            ("B2b", "brier", "Brier score", "Brier score saved"),
            ("B3", "aurc", "area under the risk-coverage curve", "AURC saved"),
        )
    ),
    Claim(
        "B7",
        BEYOND,
        "The GFFN has the lower ECE among nets that fit their training images.",
        "As 9c, over the pairs whose nets both fit their training images.",
        "ECE saved",
        lambda pairs: positive(lower(pairs, "ece")),
        fitted=True,
    ),
    Claim(
        "B8",
        BEYOND,
        "Among them, too, the difference in ECE grows with the batch size on MNIST, Fashion-MNIST and"
        " CIFAR-10.",
        "As 10a to 10c, over those pairs, mean of the data sets that have three batch sizes with such pairs.",
        f"ECE saved {DOUBLING}",
        lambda pairs: rises(lower(pairs, "ece")),
        datasets=MNIST + FASHION + CIFAR,
        fitted=True,
    ),
]
