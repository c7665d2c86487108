"""Claims on test accuracy and batch size (thesis 5.1, 6)."""

import pandas as pd

from gffn_core.experiments.profiles import THESIS_DATASETS
from gffn_core.training.course import SCHEMES
from gffn_core.verdicts.claim import BEYOND, CIFAR, COLOURED, DOUBLING, FASHION, MNIST, SVHN, Claim
from gffn_core.verdicts.intervals import estimate, inner_minus, minus, small_minus_large
from gffn_core.verdicts.rules import (
    Measured,
    all_of,
    between,
    constant,
    equal,
    everywhere,
    fails,
    positive,
    rises,
)
from gffn_core.verdicts.values import (
    NETS,
    apart,
    at,
    best_at_small,
    by_dataset,
    gain,
    lower,
    net,
    nets,
    on,
    opposite,
    stands_out,
)


def gap(values: pd.DataFrame) -> Measured | None:
    """The mean over B up to 64 exceeds that over larger ones."""
    return positive(values, weights=small_minus_large)


def level(values: pd.DataFrame) -> Measured | None:
    """At each batch size within two margins of the mean over batch sizes."""
    sizes = values.index.get_level_values("batch_size").unique()
    return all_of(
        equal(values, 2 * values["margin"].mean(), lambda every, one=one: (every == one) - 1 / len(every))
        for one in sizes
    )


def peaks_inside(values: pd.DataFrame) -> Measured | None:
    """The mean from 32 to 256 exceeds that of 4 and 8, and that of 1024 and 2048."""
    ends = (lambda sizes: sizes <= 8, lambda sizes: sizes >= 1024)
    return all_of(positive(values, weights=inner_minus(end)) for end in ends)


def roughness(pairs: pd.DataFrame) -> Measured | None:
    """How far a net is from the mean of those with half and twice its batch size: small minus large B.

    Absolute, so for each net by itself; the mean over both losses and schemes.
    """
    columns = [("test_accuracy", loss, scheme) for loss in NETS for scheme in SCHEMES]
    by = ["label_space", "dataset", "seed"]
    curves = pairs[columns].astype(float).unstack(by)
    half, twice = (curves.reindex(factor * curves.index).set_axis(curves.index) for factor in (0.5, 2))
    rough = (curves - (half + twice) / 2).abs().T.groupby(level=by).mean().stack().dropna()
    return between(estimate(rough.to_frame("value"), small_minus_large), low=0)


def gains_on_fewer(pairs: pd.DataFrame) -> Measured | None:
    """Gain with fewer training images minus gain with all, by batch size and seed."""
    fewer, whole = (
        gain(on(pairs, name), "test_accuracy", *SCHEMES).droplevel("dataset")
        for name in ("cifar10_10000", "cifar10")
    )
    return positive(minus(fewer, whole))


CLAIMS = [
    Claim(
        "3a",
        "5.1.1",
        "Generalisation gap: nets stopped early are less accurate at large batch sizes.",
        "Accuracy at B of 4 to 64 minus that at 128 to 2048, mean of both nets and of the data sets,"
        " early: above the margin.",
        "accuracy lost",
        lambda pairs: gap(nets(pairs, "test_accuracy", "early")),
    ),
    Claim(
        "3b",
        "5.1.1",
        "Generalisation gap: so are the standard nets on CIFAR-10 and SVHN when trained longer.",
        "The same for the standard net, long: above the margin on each of the two.",
        "accuracy lost",
        lambda pairs: by_dataset(pairs, lambda q: gap(net(q, "test_accuracy", "conditional"))),
        datasets=COLOURED,
        nets=("conditional",),
    ),
    Claim(
        "3c",
        "5.1.1",
        "The accuracy of MNIST nets trained longer is mostly constant, apart from an outlier at the"
        " smallest batch.",
        "Accuracy at each batch size above 4, mean of both nets, long: within two margins of their mean"
        " (the farthest is shown).",
        "accuracy",
        lambda pairs: level(nets(at(pairs, 5), "test_accuracy")),
        datasets=MNIST,
    ),
    Claim(
        "3d",
        "5.1.1",
        "The accuracy of Fashion-MNIST nets trained longer first rises with B, then falls.",
        "Accuracy at B of 32 to 256 minus that at 4 and 8, and minus that at 1024 and 2048, mean of both"
        " nets, long: both above the margin (the smaller is shown).",
        "accuracy",
        lambda pairs: peaks_inside(nets(pairs, "test_accuracy")),
        datasets=FASHION,
    ),
    Claim(
        "4a",
        "5.1.1",
        "The GFFN is better than the standard net or about equal in all experiments.",
        "Gain in accuracy in each cell and scheme: above minus the margin (the weakest is shown).",
        "accuracy gained",
        lambda pairs: everywhere(apart(SCHEMES, lambda scheme: gain(pairs, "test_accuracy", scheme))),
    ),
    Claim(
        "4b",
        "5.1.1, 6",
        "The GFFN is mostly better (the summary says so of training accuracies, which we take for a slip).",
        "Gain in accuracy, mean over data sets, batch sizes and both schemes: above the margin.",
        "accuracy gained",
        lambda pairs: positive(gain(pairs, "test_accuracy", *SCHEMES)),
    ),
    Claim(
        "4c",
        "5.1.1",
        "The gain is largest on CIFAR-10.",
        "Gain on CIFAR-10 minus that on each other data set, paired, mean of both schemes: above "
        "the margin (the closest is shown).",
        "accuracy",
        lambda pairs: stands_out(pairs, lambda q: gain(q, "test_accuracy", *SCHEMES), "cifar10"),
        datasets=THESIS_DATASETS,
    ),
    Claim(
        "4d",
        "5.1.1",
        "The gain is smallest on SVHN.",
        "Gain on each other data set minus that on SVHN, paired, mean of both schemes: above "
        "the margin (the closest is shown).",
        "accuracy",
        lambda pairs: stands_out(pairs, lambda q: opposite(gain(q, "test_accuracy", *SCHEMES)), "svhn"),
        datasets=THESIS_DATASETS,
    ),
    Claim(
        "5a",
        "5.1.1",
        "The gain grows with the batch size on MNIST, trained longer.",
        "Slope of the gain in accuracy against log2 B, long: above the margin.",
        f"accuracy gained {DOUBLING}",
        lambda pairs: rises(gain(pairs, "test_accuracy", "long")),
        datasets=MNIST,
    ),
    Claim(
        "5b",
        "5.1.1",
        "The gain grows with the batch size on CIFAR-10, stopped early.",
        "Slope of the gain in accuracy against log2 B, early: above the margin.",
        f"accuracy gained {DOUBLING}",
        lambda pairs: rises(gain(pairs, "test_accuracy", "early")),
        datasets=CIFAR,
    ),
    Claim(
        "5c",
        "5.1.1",
        "The gain grows with the batch size on Fashion-MNIST, to some extent.",
        "Slope of the gain in accuracy, mean of both schemes, against log2 B: above the margin.",
        f"accuracy gained {DOUBLING}",
        lambda pairs: rises(gain(pairs, "test_accuracy", *SCHEMES)),
        datasets=FASHION,
    ),
    Claim(
        "5d",
        "5.1.1",
        "The gain shrinks with the batch size on CIFAR-10, trained longer.",
        "Slope of the gain in accuracy against log2 B, long: negative, beyond the margin.",
        f"accuracy lost {DOUBLING}",
        lambda pairs: rises(opposite(gain(pairs, "test_accuracy", "long"))),
        datasets=CIFAR,
    ),
    Claim(
        "5e",
        "5.1.1",
        "Elsewhere (MNIST stopped early, SVHN) the gain does not depend on the batch size.",
        "Slope of the gain in accuracy against log2 B: within the margin in each of the three (the "
        "worst is shown).",
        f"accuracy gained {DOUBLING}",
        lambda pairs: all_of(
            constant(gain(on(pairs, name), "test_accuracy", scheme))
            for name, scheme in (("mnist", "early"), ("svhn", "early"), ("svhn", "long"))
        ),
        datasets=MNIST + SVHN,
    ),
    Claim(
        "5f",
        "5.1.1",
        "In general it is not observable that the gain grows with the batch size.",
        "Slope of the gain in accuracy against log2 B, mean of both schemes and of the data sets: not"
        " above the margin.",
        f"accuracy gained {DOUBLING}",
        lambda pairs: fails(rises(gain(pairs, "test_accuracy", *SCHEMES))),
    ),
    Claim(
        "6a",
        "5.1.1",
        "The accuracy of GFFNs trained longer on CIFAR-10 is mostly constant over batch sizes.",
        "The GFFN's accuracy at each batch size, long: within two margins of their mean (the farthest is"
        " shown).",
        "accuracy",
        lambda pairs: level(net(pairs, "test_accuracy", "joint")),
        datasets=CIFAR,
        nets=("joint",),
    ),
    Claim(
        "7",
        "5.1.1",
        "The absolute best accuracy is reached at a small batch.",
        "Best accuracy of a seed at B of 4 to 64 minus its best at 128 to 2048 (losses and schemes "
        "compete): above minus the margin on each data set (the weakest is shown).",
        "accuracy",
        lambda pairs: best_at_small(pairs, "test_accuracy", max),
    ),
    Claim(
        "8",
        "5.1.1",
        "The accuracies at small batch sizes fluctuate heavily.",
        "Distance of a single net's accuracy from the mean of those at half and at twice its batch size,"
        " B up to 64 minus larger B, mean of losses and schemes: positive.",
        "accuracy",
        roughness,
    ),
    Claim(
        "22",
        "5.1.1",
        "At small batch sizes the two approaches hardly differ.",
        "Gain in accuracy at the smallest batch size, mean over data sets and schemes: within the margin.",
        "accuracy gained",
        lambda pairs: equal(gain(pairs, "test_accuracy", *SCHEMES)),
        batch_size=4,
    ),
    Claim(
        "23",
        "5.1",
        "Training on after the training images are fitted can still improve accuracy drastically.",
        "None: our nets stop ten epochs after they have fitted their images, and most early ones before.",
        "accuracy gained",
        lambda pairs: None,
    ),
    Claim(
        "24",
        "5.1.1",
        "The GFFN regularises: it generalises with a smaller loss of accuracy.",
        "Training minus test accuracy, standard minus GFFN, long, mean over cells: above the margin.",
        "accuracy",
        lambda pairs: positive(minus(lower(pairs, "train_accuracy"), lower(pairs, "test_accuracy"))),
    ),
    Claim(
        "26",
        "6",
        "In all experiments larger batch sizes lead to worse absolute results.",
        "Accuracy at B of 4 to 64 minus that at 128 to 2048, mean of both nets: above the margin on each"
        " data set in each scheme (the weakest is shown).",
        "accuracy lost",
        lambda pairs: all_of(
            by_dataset(pairs, lambda q, s=scheme: gap(nets(q, "test_accuracy", s))) for scheme in SCHEMES
        ),
    ),
    Claim(
        "31",
        "1",
        "Generative models regularise small data sets, says the thesis after Ng and Jordan; so, as we read"
        " it, the joint loss gains more with fewer images.",
        "Gain in accuracy with 10,000 training images of CIFAR-10 minus that with all 45,000, mean over"
        " batch sizes and both schemes: above the margin.",
        "accuracy gained",
        gains_on_fewer,
        datasets=("cifar10", "cifar10_10000"),
    ),
    Claim(
        "B9",
        BEYOND,
        "Among nets that fit their training images the GFFN, too, generalises with a smaller loss of"
        " accuracy.",
        "As 24, over the pairs whose nets both fit their training images, mean over batch sizes: above the"
        " margin on each data set (the weakest is shown).",
        "accuracy",
        lambda pairs: by_dataset(
            pairs, lambda q: positive(minus(lower(q, "train_accuracy"), lower(q, "test_accuracy")))
        ),
        fitted=True,
    ),
    Claim(
        "B6",
        BEYOND,
        "The GFFN has the better training accuracy, which is what the summary says word for word.",
        "Gain in training accuracy, mean over data sets, batch sizes and both schemes: above the margin.",
        "accuracy gained",
        lambda pairs: positive(gain(pairs, "train_accuracy", *SCHEMES)),
    ),
]
