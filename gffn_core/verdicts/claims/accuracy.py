"""Claims on test accuracy and batch size (thesis 5.1, 6)."""

import numpy as np
import pandas as pd

from gffn_core.experiments.profiles import THESIS_DATASETS
from gffn_core.training.course import SCHEMES
from gffn_core.verdicts.claim import CIFAR, COLOURED, DOUBLING, FASHION, MNIST, SVHN, Claim
from gffn_core.verdicts.intervals import Estimate, minus, slope, t_draws
from gffn_core.verdicts.rules import Measured, between, constant, each, equal, everywhere, positive, rises
from gffn_core.verdicts.values import apart, best_at_small, gain, lower, net, nets, on, opposite, stands_out


def peaks_inside(values: pd.DataFrame) -> Measured | None:
    """A parabola in log2 B through the cells rises at the smallest batch and falls at the largest.

    The effect is the weaker of the two slopes, per doubling. None below four batch sizes.
    """
    cells = values["value"].groupby(level="batch_size").mean()
    if len(cells) < 4:
        return None
    x = np.log2(cells.index.to_numpy(float))
    design = np.vander(x, 3)
    weights, *_ = np.linalg.lstsq(design, cells.to_numpy(), rcond=None)
    df = len(x) - 3
    covariance = np.linalg.inv(design.T @ design) * np.square(cells - design @ weights).sum() / df

    def at(x, sign):
        contrast = sign * np.array([2 * x, 1, 0])
        error = np.sqrt(contrast @ covariance @ contrast)
        return between(Estimate(contrast @ weights, contrast @ weights + error * t_draws(df)), low=0)

    return each(at(x[0], 1), at(x[-1], -1))


def fluctuation(pairs: pd.DataFrame) -> Measured | None:
    """The standard deviation over seeds falls with the batch size."""
    if pairs.index.get_level_values("seed").nunique() < 2:
        return None
    cells = pairs["test_accuracy"].astype(float).groupby(level=["label_space", "dataset", "batch_size"])
    spread = cells.std().mean(axis=1).dropna()
    found = slope(pd.DataFrame({"value": -spread}))
    return found and between(found, low=0)


CLAIMS = [
    Claim(
        "3a",
        "accuracy",
        "5.1.1",
        "Generalisation gap: nets stopped early lose accuracy with the batch size.",
        "Slope of accuracy against log2 B, mean of both nets and of the data sets, early: negative.",
        f"accuracy lost {DOUBLING}",
        lambda pairs: rises(opposite(nets(pairs, "test_accuracy", "early"))),
    ),
    Claim(
        "3b",
        "accuracy",
        "5.1.1",
        "Generalisation gap: so do the standard nets on CIFAR-10 and SVHN when trained longer.",
        "Slope of the standard net's accuracy against log2 B, long: negative on each of the two.",
        f"accuracy lost {DOUBLING}",
        lambda pairs: each(
            *(rises(opposite(net(on(pairs, name), "test_accuracy", "conditional"))) for name in COLOURED)
        ),
        datasets=COLOURED,
        nets=("conditional",),
    ),
    Claim(
        "3c",
        "accuracy",
        "5.1.1",
        "The accuracy of MNIST nets trained longer is mostly constant.",
        "Slope of accuracy against log2 B, mean of both nets, long: within the margin.",
        f"accuracy {DOUBLING}",
        lambda pairs: constant(nets(pairs, "test_accuracy")),
        datasets=MNIST,
    ),
    Claim(
        "3d",
        "accuracy",
        "5.1.1",
        "The accuracy of Fashion-MNIST nets trained longer first rises with B, then falls.",
        "A parabola in log2 B through the accuracies, mean of both nets, long: rises at the smallest "
        "and falls at the largest batch (the weaker of the two slopes is shown).",
        f"accuracy {DOUBLING}",
        lambda pairs: peaks_inside(nets(pairs, "test_accuracy")),
        datasets=FASHION,
    ),
    Claim(
        "4a",
        "accuracy",
        "5.1.1",
        "The GFFN is better than the standard net or about equal in all experiments.",
        "Share of cells (both schemes) in which the GFFN's accuracy is not lower by more than the "
        "margin: all.",
        "of the cells",
        lambda pairs: everywhere(
            apart(SCHEMES, lambda scheme: gain(pairs, "test_accuracy", scheme)), about=True
        ),
    ),
    Claim(
        "4b",
        "accuracy",
        "5.1.1",
        "The GFFN is mostly better.",
        "Gain in accuracy, mean over cells and both schemes: positive.",
        "accuracy gained",
        lambda pairs: positive(gain(pairs, "test_accuracy", *SCHEMES)),
    ),
    Claim(
        "4c",
        "accuracy",
        "5.1.1",
        "The gain is largest on CIFAR-10.",
        "Gain on CIFAR-10 minus that on each other data set, paired, mean of both schemes: positive "
        "(the closest is shown).",
        "accuracy",
        lambda pairs: stands_out(pairs, lambda q: gain(q, "test_accuracy", *SCHEMES), "cifar10"),
        datasets=THESIS_DATASETS,
    ),
    Claim(
        "4d",
        "accuracy",
        "5.1.1",
        "The gain is smallest on SVHN.",
        "Gain on each other data set minus that on SVHN, paired, mean of both schemes: positive (the "
        "closest is shown).",
        "accuracy",
        lambda pairs: stands_out(pairs, lambda q: opposite(gain(q, "test_accuracy", *SCHEMES)), "svhn"),
        datasets=THESIS_DATASETS,
    ),
    Claim(
        "5a",
        "accuracy",
        "5.1.1",
        "The gain grows with the batch size on MNIST, trained longer.",
        "Slope of the gain in accuracy against log2 B, long: positive.",
        f"accuracy gained {DOUBLING}",
        lambda pairs: rises(gain(pairs, "test_accuracy", "long")),
        datasets=MNIST,
    ),
    Claim(
        "5b",
        "accuracy",
        "5.1.1",
        "The gain grows with the batch size on CIFAR-10, stopped early.",
        "Slope of the gain in accuracy against log2 B, early: positive.",
        f"accuracy gained {DOUBLING}",
        lambda pairs: rises(gain(pairs, "test_accuracy", "early")),
        datasets=CIFAR,
    ),
    Claim(
        "5c",
        "accuracy",
        "5.1.1",
        "The gain grows with the batch size on Fashion-MNIST, to some extent.",
        "Slope of the gain in accuracy, mean of both schemes, against log2 B: positive.",
        f"accuracy gained {DOUBLING}",
        lambda pairs: rises(gain(pairs, "test_accuracy", *SCHEMES)),
        datasets=FASHION,
    ),
    Claim(
        "5d",
        "accuracy",
        "5.1.1",
        "The gain shrinks with the batch size on CIFAR-10, trained longer.",
        "Slope of the gain in accuracy against log2 B, long: negative.",
        f"accuracy lost {DOUBLING}",
        lambda pairs: rises(opposite(gain(pairs, "test_accuracy", "long"))),
        datasets=CIFAR,
    ),
    Claim(
        "5e",
        "accuracy",
        "5.1.1",
        "Elsewhere (MNIST stopped early, SVHN) the gain does not depend on the batch size.",
        "Slope of the gain in accuracy against log2 B: within the margin in each of the three (the "
        "worst is shown).",
        f"accuracy gained {DOUBLING}",
        lambda pairs: each(
            constant(gain(on(pairs, "mnist"), "test_accuracy", "early")),
            *(constant(gain(on(pairs, "svhn"), "test_accuracy", scheme)) for scheme in SCHEMES),
        ),
        datasets=MNIST + SVHN,
    ),
    Claim(
        "6a",
        "accuracy",
        "5.1.1",
        "The accuracy of GFFNs trained longer on CIFAR-10 is about constant over batch sizes.",
        "Slope of the GFFN's accuracy against log2 B, long: within the margin.",
        f"accuracy {DOUBLING}",
        lambda pairs: constant(net(pairs, "test_accuracy", "joint")),
        datasets=CIFAR,
        nets=("joint",),
    ),
    Claim(
        "6b",
        "accuracy",
        "5.1.1",
        "That of the standard nets is not: it falls, faster than the GFFN's.",
        "Slope of the gain in accuracy against log2 B, long: positive (the opposite of 5d).",
        f"accuracy gained {DOUBLING}",
        lambda pairs: rises(gain(pairs, "test_accuracy", "long")),
        datasets=CIFAR,
    ),
    Claim(
        "7",
        "accuracy",
        "5.1.1",
        "The absolute best accuracy is reached at a small batch.",
        "Share of data sets whose best cell (losses and schemes compete) has a batch size of at most "
        "64: all, with the margin.",
        "of the data sets",
        lambda pairs: best_at_small(pairs, "test_accuracy", max),
    ),
    Claim(
        "8",
        "accuracy",
        "5.1.1",
        "The accuracies at small batch sizes fluctuate more.",
        "Slope against log2 B of the standard deviation of accuracy over seeds, mean of nets and "
        "schemes: negative.",
        f"accuracy (standard deviation) lost {DOUBLING}",
        fluctuation,
    ),
    Claim(
        "22",
        "accuracy",
        "5.1.1",
        "At small batch sizes the two approaches hardly differ.",
        "Gain in accuracy at the smallest batch size, mean over data sets and schemes: within the margin.",
        "accuracy gained",
        lambda pairs: equal(gain(pairs, "test_accuracy", *SCHEMES)),
        batch_size=4,
    ),
    Claim(
        "23",
        "accuracy",
        "5.1",
        "Training on after the training images are fitted can still improve accuracy.",
        "Accuracy, long minus early, mean over cells and both nets: positive.",
        "accuracy gained",
        lambda pairs: positive(minus(nets(pairs, "test_accuracy"), nets(pairs, "test_accuracy", "early"))),
    ),
    Claim(
        "24",
        "accuracy",
        "5.1.1",
        "The GFFN regularises: it generalises with a smaller loss of accuracy.",
        "Training minus test accuracy, standard minus GFFN, long, mean over cells: positive.",
        "accuracy",
        lambda pairs: positive(minus(lower(pairs, "train_accuracy"), lower(pairs, "test_accuracy"))),
    ),
    Claim(
        "25",
        "accuracy",
        "6",
        "The GFFN reaches better training accuracies.",
        "Gain in training accuracy, mean over cells and both schemes: positive.",
        "accuracy gained",
        lambda pairs: positive(gain(pairs, "train_accuracy", *SCHEMES)),
    ),
    Claim(
        "26",
        "accuracy",
        "6",
        "In all experiments larger batch sizes lead to worse absolute results.",
        "Slope of accuracy against log2 B, mean of both nets: negative on each data set in each scheme "
        "(the weakest is shown).",
        f"accuracy lost {DOUBLING}",
        lambda pairs: each(
            *(
                rises(opposite(nets(on(pairs, name), "test_accuracy", scheme)))
                for name in pairs.index.get_level_values("dataset").unique()
                for scheme in SCHEMES
            )
        ),
    ),
]
