"""Claims on calibration (thesis 5.2): on the errors, and on the reliability diagrams."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import optimize, stats

from gffn_core.data.datasets import TITLES
from gffn_core.experiments.profiles import THESIS_DATASETS
from gffn_core.verdicts.claim import BEYOND, CIFAR, DOUBLING, FASHION, MNIST, SVHN, Claim
from gffn_core.verdicts.intervals import DRAWS, Estimate, average, minus
from gffn_core.verdicts.rules import Measured, between, constant, each, equal, everywhere, positive, rises
from gffn_core.verdicts.values import LUCK, NETS, apart, best_at_small, lower, net, nets, stands_out


def rank_agreement(pairs: pd.DataFrame) -> Measured | None:
    """Over data sets, the rank correlation (Spearman) of accuracy and ECE is negative."""
    same = ["label_space", "batch_size", "seed"]
    found = []
    for loss in NETS:
        both = net(pairs, "test_accuracy", loss).assign(ece=net(pairs, "ece", loss)["value"])
        both = both.groupby(level=same).filter(lambda part: len(part) > 2)
        for index, part in both.groupby(level=same):
            found.append((*index, -stats.spearmanr(part["value"], part["ece"]).statistic))
    rho = pd.DataFrame(found, columns=[*same, "value"]).set_index(same).dropna()
    if rho.empty:
        return None
    effect, draws = average(rho)
    return between(Estimate(effect, draws.clip(-1, 1)), low=0)


# Reliability diagrams: counts and correct answers per bin


def diagram(pairs: pd.DataFrame, loss: str, statistic: Callable) -> Estimate:
    """A statistic of the reliability diagram (long scheme) of the nets of one loss, all seeds together.

    statistic: (count, correct), each (..., bins) -> (...). Seeds are drawn, then images within each
    net: the bin of an image, and whether its answer is right.
    """
    count, correct = _counted(pairs, loss)
    # Both losses draw the same seeds, so that their difference is paired.
    seeds = np.random.default_rng(0).integers(len(count), size=(DRAWS, len(count)))
    rng = np.random.default_rng(1 + NETS.index(loss))
    images = count.sum(1).astype(int)
    drawn = rng.multinomial(images[seeds], (count / images[:, None])[seeds])
    right = rng.binomial(drawn, (correct / np.maximum(count, 1))[seeds])
    effect = statistic(count.sum(0), correct.sum(0))
    return Estimate(float(effect), statistic(drawn.sum(1), right.sum(1)))


def _counted(pairs, loss):
    """Images and correct answers (seeds, bins), rounded to what the record's digits were made from."""
    bins = list(pairs["bins", loss, "long"])
    count = np.array([one["count"] for one in bins])
    accuracy = np.array([one["accuracy"] for one in bins], dtype=float)
    return count, np.rint(count * np.nan_to_num(accuracy)).astype(int)


def difference(first: Estimate, second: Estimate | float) -> Estimate:
    effect, draws = second if isinstance(second, Estimate) else (second, second)
    return Estimate(first.effect - effect, first.draws - draws)


def overall_accuracy(count, correct):
    return correct.sum(-1) / count.sum(-1)


def top_share(count, correct):
    return count[..., -1] / count.sum(-1)


def top_accuracy(count, correct):
    return correct[..., -1] / np.maximum(count[..., -1], 1)


def evenness(count, correct):
    """Entropy of the distribution of images over bins, in nats."""
    return stats.entropy(count, axis=-1)


def same_accuracy(count, correct):
    """Accuracy at confidence 0.8 to 0.9 minus that at 0.5 to 0.6."""
    accuracy = correct / np.maximum(count, 1)
    return accuracy[..., 8] - accuracy[..., 5]


def largest_drop(count, correct):
    """How far a bin's accuracy falls below that of a less confident bin, at most.

    Bins with less than 1 % of the images are left out: their accuracy is noise.
    """
    enough = count >= 0.01 * count.sum(-1, keepdims=True)
    accuracy = np.where(enough, correct / np.maximum(count, 1), np.nan)
    highest = np.fmax.accumulate(accuracy, axis=-1)
    return np.nanmax(highest - accuracy, axis=-1)


def not_monotone(pairs: pd.DataFrame) -> Measured:
    """The largest drop exceeds what luck with the images gives a monotone diagram, the nearest one."""
    found = diagram(pairs, "conditional", largest_drop)
    count, correct = (part.sum(0) for part in _counted(pairs, "conditional"))
    monotone = np.zeros(len(count))
    full = count > 0
    accuracy = correct[full] / count[full]
    monotone[full] = optimize.isotonic_regression(accuracy, weights=count[full]).x
    lucky = np.random.default_rng(0).binomial(count, monotone, (DRAWS, len(count)))
    null = largest_drop(np.tile(count, (DRAWS, 1)), lucky)
    p_value = (1 + (null >= found.effect).sum()) / (1 + DRAWS)
    return replace(between(found, relevant=0.02), p=p_value)


CLAIMS = [
    Claim(
        "9a",
        "calibration",
        "5.2.2",
        "The ECE of the GFFN is lower for all models.",
        "Share of cells in which the GFFN's ECE is lower, long: no cell in which it is higher by the margin.",
        "of the cells",
        lambda pairs: everywhere(lower(pairs, "ece")),
    ),
    Claim(
        "9b",
        "calibration",
        "5.2.2",
        "The ECE of the GFFN is lower for all models (fitted nets).",
        "As 9a, over the pairs whose nets both fit their training images.",
        "of the cells",
        lambda pairs: everywhere(lower(pairs, "ece")),
        fitted=True,
    ),
    Claim(
        "9c",
        "calibration",
        "5.2.2",
        "Overall the GFFN's ECE is significantly lower.",
        "ECE, standard minus GFFN, long, mean over cells: positive.",
        "ECE saved",
        lambda pairs: positive(lower(pairs, "ece")),
    ),
    Claim(
        "9d",
        "calibration",
        "5.2.2",
        "Overall the GFFN's ECE is significantly lower (fitted nets).",
        "As 9c, over the pairs whose nets both fit their training images.",
        "ECE saved",
        lambda pairs: positive(lower(pairs, "ece")),
        fitted=True,
    ),
    *(
        Claim(
            f"10{letter}",
            "calibration",
            "5.2.2",
            f"The difference in ECE grows with the batch size on {TITLES[name]}.",
            "Slope of ECE, standard minus GFFN, against log2 B, long: positive.",
            f"ECE saved {DOUBLING}",
            lambda pairs: rises(lower(pairs, "ece")),
            datasets=(name,),
        )
        for letter, name in zip("abc", ("mnist", "fashion_mnist", "cifar10"))
    ),
    Claim(
        "10d",
        "calibration",
        "5.2.2",
        "On SVHN it is about constant.",
        "Slope of ECE, standard minus GFFN, against log2 B, long: within the margin.",
        f"ECE saved {DOUBLING}",
        lambda pairs: constant(lower(pairs, "ece")),
        datasets=SVHN,
    ),
    Claim(
        "10e",
        "calibration",
        "5.2.2",
        "On SVHN the GFFN is slightly better.",
        "ECE, standard minus GFFN, long, mean over batch sizes: positive.",
        "ECE saved",
        lambda pairs: positive(lower(pairs, "ece")),
        datasets=SVHN,
    ),
    Claim(
        "10f",
        "calibration",
        "5.2.2",
        "The difference in ECE grows with the batch size on MNIST, Fashion-MNIST and CIFAR-10 (fitted nets).",
        "Slope of ECE, standard minus GFFN, against log2 B, long, mean of the data sets that have three "
        "batch sizes with fitted pairs: positive.",
        f"ECE saved {DOUBLING}",
        lambda pairs: rises(lower(pairs, "ece")),
        datasets=MNIST + FASHION + CIFAR,
        fitted=True,
    ),
    *(
        claim
        for letters, fitted, which in (("ab", False, ""), ("cd", True, " (fitted nets)"))
        for claim in (
            Claim(
                f"11{letters[0]}",
                "calibration",
                "5.2.2",
                f"The ECE grows with the batch size{which}.",
                "Slope of ECE against log2 B, mean of both nets and of the data sets, long: positive.",
                f"ECE {DOUBLING}",
                lambda pairs: rises(nets(pairs, "ece")),
                fitted=fitted,
            ),
            Claim(
                f"11{letters[1]}",
                "calibration",
                "5.2.2",
                f"It grows more slowly for the GFFN{which}.",
                "Slope of ECE, standard minus GFFN, against log2 B, mean of the data sets, long: positive.",
                f"ECE saved {DOUBLING}",
                lambda pairs: rises(lower(pairs, "ece")),
                fitted=fitted,
            ),
        )
    ),
    Claim(
        "12",
        "calibration",
        "5.2.2",
        "Data sets with higher accuracy have lower ECE.",
        "Minus the rank correlation (Spearman) of accuracy and ECE over data sets, mean over batch "
        "sizes and nets, long: positive.",
        "- rho",
        rank_agreement,
    ),
    Claim(
        "13",
        "calibration",
        "5.2.2",
        "Nets stopped early are strictly worse calibrated.",
        "Share of cells (each loss its own) in which the early net has the higher ECE: all, with the margin.",
        "of the cells",
        lambda pairs: everywhere(
            apart(NETS, lambda loss: minus(net(pairs, "ece", loss, "early"), net(pairs, "ece", loss, "long")))
        ),
    ),
    Claim(
        "14a",
        "calibration",
        "5.2.2",
        "MNIST at B = 128: about 99 % of the answers are right.",
        "Accuracy minus 0.99, long: within 0.005 for both nets (the farther one is shown).",
        "accuracy",
        lambda pairs: each(
            *(
                between(difference(diagram(pairs, loss, overall_accuracy), 0.99), -0.005, 0.005)
                for loss in NETS
            )
        ),
        datasets=MNIST,
        batch_size=128,
    ),
    Claim(
        "14b",
        "calibration",
        "5.2.2",
        "MNIST at B = 128: nearly all outputs have the highest confidence.",
        "Share of images in the bin from 0.9 to 1, long: above 0.95 for both nets (the lower one is shown).",
        "of the images",
        lambda pairs: each(*(between(diagram(pairs, loss, top_share), low=0.95) for loss in NETS)),
        datasets=MNIST,
        batch_size=128,
    ),
    Claim(
        "15a",
        "calibration",
        "5.2.2",
        "CIFAR-10 at B = 2048: the standard net's accuracy does not rise steadily with confidence.",
        "Largest drop from a bin to a more confident one (bins with 1 % of the images): larger than "
        "luck with the images gives the nearest monotone diagram.",
        "accuracy",
        not_monotone,
        datasets=CIFAR,
        batch_size=2048,
        nets=("conditional",),
    ),
    Claim(
        "15b",
        "calibration",
        "5.2.2",
        "CIFAR-10 at B = 2048: the standard net is as accurate at confidence 0.5 to 0.6 as at 0.8 to 0.9.",
        "Difference of the accuracies of the two bins: within 0.05.",
        "accuracy",
        lambda pairs: between(diagram(pairs, "conditional", same_accuracy), -0.05, 0.05),
        datasets=CIFAR,
        batch_size=2048,
        nets=("conditional",),
    ),
    Claim(
        "15c",
        "calibration",
        "5.2.2",
        "CIFAR-10 at B = 2048: the GFFN's accuracy rises steadily with confidence.",
        "Largest drop from a bin to a more confident one (bins with 1 % of the images): below 0.05.",
        "accuracy",
        lambda pairs: between(diagram(pairs, "joint", largest_drop), high=0.05),
        datasets=CIFAR,
        batch_size=2048,
        nets=("joint",),
    ),
    Claim(
        "15d",
        "calibration",
        "5.2.2",
        "CIFAR-10 at B = 2048: the GFFN's images are spread more evenly over the bins.",
        "Entropy of the distribution of images over bins, GFFN minus standard: positive.",
        "nats",
        lambda pairs: between(
            difference(diagram(pairs, "joint", evenness), diagram(pairs, "conditional", evenness)), low=0
        ),
        datasets=CIFAR,
        batch_size=2048,
    ),
    Claim(
        "15e",
        "calibration",
        "5.2.2",
        "CIFAR-10 at B = 2048: the accuracy of the most confident bin is much higher.",
        "Accuracy at confidence 0.9 to 1, GFFN minus standard: positive, and not below 0.02.",
        "accuracy",
        lambda pairs: between(
            difference(diagram(pairs, "joint", top_accuracy), diagram(pairs, "conditional", top_accuracy)),
            low=0,
            relevant=0.02,
        ),
        datasets=CIFAR,
        batch_size=2048,
    ),
    Claim(
        "27",
        "calibration",
        "5.2.2",
        "CIFAR-10 at B = 2048: the GFFN's confidence still exceeds its accuracy.",
        "Mean confidence minus accuracy of the GFFN, long: positive.",
        "confidence - accuracy",
        lambda pairs: between(average(net(pairs, "overconfidence", "joint"), image_noise=LUCK / 2), low=0),
        datasets=CIFAR,
        batch_size=2048,
        nets=("joint",),
    ),
    Claim(
        "28",
        "calibration",
        "5.2.2",
        "CIFAR-10 has the largest ECE.",
        "ECE of both nets on CIFAR-10 minus that on each other data set, paired, long: positive (the "
        "closest is shown).",
        "ECE",
        lambda pairs: stands_out(pairs, lambda q: nets(q, "ece"), "cifar10"),
        datasets=THESIS_DATASETS,
    ),
    Claim(
        "29",
        "calibration",
        "5.2.2",
        "The GFFN improves the ECE most on CIFAR-10.",
        "ECE saved on CIFAR-10 minus that on each other data set, paired, long: positive (the closest "
        "is shown).",
        "ECE saved",
        lambda pairs: stands_out(pairs, lambda q: lower(q, "ece"), "cifar10"),
        datasets=THESIS_DATASETS,
    ),
    Claim(
        "30",
        "calibration",
        "5.2.2",
        "The best ECE is reached at a small batch.",
        "Share of data sets whose lowest ECE (losses compete), long, is at a batch size of at most 64: "
        "all, with the margin.",
        "of the data sets",
        lambda pairs: best_at_small(pairs, "ece", min),
    ),
    Claim(
        "B1a",
        "calibration",
        BEYOND,
        "Temperature scaling closes the gap: scaled, both nets are calibrated equally well.",
        "ECE after temperature scaling on validation data, standard minus GFFN, long, mean over cells: "
        "within the margin.",
        "ECE saved",
        lambda pairs: equal(lower(pairs, "scaled_ece")),
    ),
    Claim(
        "B1b",
        "calibration",
        BEYOND,
        "A scaled standard net is better calibrated than a GFFN as it is.",
        "ECE of the GFFN minus ECE of the scaled standard net, long, mean over cells: positive.",
        "ECE",
        lambda pairs: positive(minus(net(pairs, "ece", "joint"), net(pairs, "scaled_ece", "conditional"))),
    ),
    *(
        Claim(
            number,
            "calibration",
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
]
