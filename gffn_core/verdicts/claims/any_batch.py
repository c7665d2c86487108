"""What we predicted of the three losses at any batch size (``book/predictions.md``), before the runs."""

import pandas as pd

from gffn_core.verdicts.claim import BEYOND, Claim
from gffn_core.verdicts.intervals import estimate, minus
from gffn_core.verdicts.rules import Measured, all_of, between, equal, everywhere, positive
from gffn_core.verdicts.values import lower, net, opposite

LOSSES = ("conditional", "joint", "self_normalised")
STANDARD, JOINT, OURS = LOSSES


def at(pairs: pd.DataFrame, low: int = 1, high: int = 2048) -> pd.DataFrame:
    sizes = pairs.index.get_level_values("batch_size")
    return pairs[(sizes >= low) & (sizes <= high)]


def share(pairs: pd.DataFrame, loss: str) -> pd.DataFrame:
    """Values: the ECE of a loss divided by the conditional one."""
    values = net(pairs, "ece", loss)
    return values.assign(value=values["value"] / net(pairs, "ece", STANDARD)["value"]).dropna()


def blind_at_one(pairs: pd.DataFrame) -> Measured | None:
    one = at(pairs, high=1)
    same = [equal(lower(one, metric, JOINT, STANDARD)) for metric in ("test_accuracy", "ece")]
    return all_of([*same, between(estimate(share(one, OURS)), high=2 / 3)])


def halves_the_ece(pairs: pd.DataFrame) -> Measured | None:
    mean = between(estimate(share(pairs, OURS)), high=0.5)
    return all_of([mean, everywhere(lower(pairs, "ece", OURS, STANDARD), 0)])


def below_the_joint(pairs: pd.DataFrame) -> Measured | None:
    return all_of(positive(lower(part, "ece", OURS, JOINT), 0) for part in (pairs, at(pairs, high=8)))


def steadier(pairs: pd.DataFrame) -> Measured | None:
    """The standard deviation over batch sizes of the share: by how much that of the joint loss is larger."""
    by = [name for name in pairs.index.names if name != "batch_size"]
    joint, ours = (share(pairs, loss).groupby(level=by)["value"].std() for loss in (JOINT, OURS))
    return positive(pd.DataFrame({"value": joint - ours, "margin": 0.0}).dropna(), 0)


def slightly_more_accurate(pairs: pd.DataFrame) -> Measured | None:
    gain = opposite(lower(pairs, "test_accuracy", OURS, STANDARD))
    beside = lower(at(pairs, low=8), "test_accuracy", OURS, JOINT)
    return all_of([between(estimate(gain), 0, 0.015), equal(beside, 0.005)])


def finer(pairs: pd.DataFrame) -> Measured | None:
    return everywhere(lower(at(pairs, low=4), "scaled_nll", OURS, STANDARD), 0)


def even(pairs: pd.DataFrame) -> Measured | None:
    spread = [net(part, "train_spread", loss) for part, loss in ((pairs, OURS), (at(pairs, low=8), JOINT))]
    parts = [everywhere(values.assign(value=1 - values["value"]), 0) for values in spread]
    wide = net(pairs, "train_spread", STANDARD)
    return all_of([*parts, everywhere(wide.assign(value=wide["value"] - 5), 0)])


def gap_stays(pairs: pd.DataFrame) -> Measured | None:
    sides = (at(pairs, 16, 16), at(pairs, 2048, 2048))
    small, large = (
        [net(side, "test_accuracy", loss).droplevel("batch_size") for loss in LOSSES] for side in sides
    )
    return all_of(positive(minus(*of), 0.02) for of in zip(small, large))


def _claim(number, statement, test, unit, measure):
    datasets = ("cifar10_10000", "fashion_mnist_10000")
    return Claim(number, "any_batch", BEYOND, statement, test, unit, measure, datasets=datasets, nets=LOSSES)


PREDICTIONS = [
    _claim(
        "1",
        "At batch size 1 the joint loss gains nothing; the self-normalised loss has at most two thirds of "
        "the conditional ECE.",
        "B = 1: joint minus conditional, accuracy and ECE, zero within the margin; self-normalised over "
        "conditional ECE below 2/3.",
        "of the ECE",
        blind_at_one,
    ),
    _claim(
        "2",
        "The self-normalised ECE is below the conditional one at every batch size, on average at most half.",
        "Share of the ECE, mean, below 1/2; conditional minus self-normalised above 0 in every cell.",
        "of the ECE",
        halves_the_ece,
    ),
    _claim(
        "3",
        "The self-normalised ECE is below the joint one, over all batch sizes and over those up to 8.",
        "Joint minus self-normalised ECE, mean, above 0, for both.",
        "ECE",
        below_the_joint,
    ),
    _claim(
        "4",
        "The share of the ECE that is left changes less with the batch size for the self-normalised loss "
        "than for the joint one.",
        "Standard deviation of the share over batch sizes, joint minus self-normalised: above 0.",
        "of the ECE",
        steadier,
    ),
    _claim(
        "5",
        "The self-normalised loss is more accurate than the conditional one by less than .015, and within "
        ".005 of the joint one from B = 8 on.",
        "Self-normalised minus conditional accuracy between 0 and 0.015; minus joint, B >= 8, within 0.005.",
        "accuracy",
        slightly_more_accurate,
    ),
    _claim(
        "6",
        "After temperature scaling the self-normalised NLL is below the conditional one from B = 4 on.",
        "Conditional minus self-normalised, above 0 in every cell.",
        "nats",
        finer,
    ),
    _claim(
        "7",
        "The sd of ln Z over training images is below 1 for the self-normalised loss and, from B = 8 on, for "
        "the joint one; above 5 for the conditional one.",
        "Distance from 1 and from 5, above 0 in every cell.",
        "nats",
        even,
    ),
    _claim(
        "8",
        "No loss closes the gap: accuracy at B = 2048 is at least .02 below that at 16.",
        "Accuracy at 16 minus that at 2048, above 0.02, for each loss.",
        "accuracy",
        gap_stays,
    ),
]
