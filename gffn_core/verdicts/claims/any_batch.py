"""What we predicted of the three losses at any batch size (``book/predictions.md``), before the runs."""

from collections.abc import Callable
from dataclasses import replace

import pandas as pd

from gffn_core.data.datasets import SUBSETS, TITLES
from gffn_core.experiments import profiles, tables
from gffn_core.experiments.store import Store
from gffn_core.verdicts.claim import Prediction
from gffn_core.verdicts.intervals import estimate, minus
from gffn_core.verdicts.rules import Measured, all_of, between, equal, everywhere, in_all, named, positive
from gffn_core.verdicts.values import at, lower, net, on, pairs_of

LOSSES = ("conditional", "joint", "self_normalised")
STANDARD, JOINT, OURS = LOSSES
SHARE = "of the ECE"


def complete(store: Store) -> list[dict]:
    """The records of the cells, data set and batch size, of which no run is missing."""
    runs = profiles.profile("any_batch").runs()
    records = store.select(runs)
    missing = {(run.dataset, run.batch_size) for run in runs if run not in records}
    return [one for run, one in records.items() if (run.dataset, run.batch_size) not in missing]


def read(store: Store) -> pd.DataFrame:
    """Pairs, see ``values.pairs_of``, of three nets, which all have converged."""
    pairs = pairs_of(complete(store), LOSSES)
    return pairs[pairs["key"].notna().all(axis=1)]


def each(measure: Callable[[pd.DataFrame], Measured | None]) -> Callable[[pd.DataFrame], Measured | None]:
    """What is measured holds on each data set."""

    def measured(pairs):
        names = pairs.index.get_level_values("dataset").unique()
        found = {TITLES[SUBSETS[name][0]]: measure(on(pairs, name)) for name in names}
        return all_of(one and _told(one, title) for title, one in found.items())

    return measured


def _told(measured, title):
    return measured if title in measured.note else replace(measured, note=f"{measured.note}, {title}")


def share(pairs: pd.DataFrame, loss: str) -> pd.DataFrame:
    """Values: the ECE of a loss divided by the conditional one."""
    values = net(pairs, "ece", loss)
    return values.assign(value=values["value"] / net(pairs, "ece", STANDARD)["value"]).dropna()


def blind_at_one(pairs: pd.DataFrame) -> Measured | None:
    one = at(pairs, high=1)
    same = [
        named(equal(lower(one, metric, JOINT, STANDARD)), title)
        for metric, title in (("test_accuracy", "accuracy"), ("ece", "ECE"))
    ]
    return all_of([*same, named(between(estimate(share(one, OURS)), high=2 / 3), SHARE)])


def halves_the_ece(pairs: pd.DataFrame) -> Measured | None:
    mean = named(between(estimate(share(pairs, OURS)), high=0.5), SHARE)
    return all_of([mean, named(everywhere(lower(pairs, "ece", OURS, STANDARD), 0), "ECE")])


def below_the_joint(pairs: pd.DataFrame) -> Measured | None:
    parts = {"ECE, all": pairs, "ECE, up to 8": at(pairs, high=8)}
    return all_of(named(positive(lower(part, "ece", OURS, JOINT), 0), what) for what, part in parts.items())


def steadier(pairs: pd.DataFrame) -> Measured | None:
    """The standard deviation over batch sizes of the share: by how much that of the joint loss is larger."""
    by = [name for name in pairs.index.names if name != "batch_size"]
    joint, ours = (share(pairs, loss).groupby(level=by)["value"].std() for loss in (JOINT, OURS))
    return named(positive(pd.DataFrame({"value": joint - ours, "margin": 0.0}).dropna(), 0), SHARE)


def slightly_more_accurate(pairs: pd.DataFrame) -> Measured | None:
    gain = lower(pairs, "test_accuracy", STANDARD, OURS)
    mean = named(between(estimate(gain), 0, 0.015), "accuracy, minus standard")
    beside = lower(at(pairs, low=8), "test_accuracy", OURS, JOINT)["value"]
    beside = beside.droplevel(["label_space", "dataset"])
    return all_of([mean, in_all(beside, "accuracy, joint minus self-normalised", -0.005, 0.005)])


def even(pairs: pd.DataFrame) -> Measured | None:
    spread = [net(part, "train_spread", loss) for part, loss in ((pairs, OURS), (at(pairs, low=8), JOINT))]
    parts = [
        named(everywhere(values.assign(value=1 - values["value"]), 0), "sd, distance from 1")
        for values in spread
    ]
    wide = net(pairs, "train_spread", STANDARD)
    wide = everywhere(wide.assign(value=wide["value"] - 5), 0)
    return all_of([*parts, named(wide, "sd, distance from 5")])


def gap_stays(pairs: pd.DataFrame) -> Measured | None:
    sides = (at(pairs, 16, 16), at(pairs, 2048, 2048))
    small, large = (
        [net(side, "test_accuracy", loss).droplevel("batch_size") for loss in LOSSES] for side in sides
    )
    return all_of(
        named(positive(minus(*of), 0.02), f"accuracy, {tables.net(loss)}")
        for loss, *of in zip(LOSSES, small, large)
    )


PREDICTIONS = [
    Prediction(
        "At batch size 1 the joint loss gains nothing; the self-normalised loss has at most two thirds of "
        "the conditional ECE.",
        each(blind_at_one),
    ),
    Prediction(
        "The self-normalised ECE is below the conditional one at every batch size, on average at most half.",
        each(halves_the_ece),
    ),
    Prediction(
        "The self-normalised ECE is below the joint one, over all batch sizes and over those up to 8.",
        each(below_the_joint),
    ),
    Prediction(
        "The share of the ECE that is left changes less with the batch size for the self-normalised loss "
        "than for the joint one.",
        each(steadier),
    ),
    Prediction(
        "The self-normalised loss is more accurate than the conditional one by less than .015, and within "
        ".005 of the joint one from B = 8 on.",
        each(slightly_more_accurate),
    ),
    Prediction(
        "After temperature scaling the self-normalised NLL is below the conditional one from B = 4 on.",
        lambda pairs: named(everywhere(lower(at(pairs, low=4), "scaled_nll", OURS, STANDARD), 0), "nats"),
    ),
    Prediction(
        "The sd of ln Z over training images is below 1 for the self-normalised loss and, from B = 8 on, for "
        "the joint one; above 5 for the conditional one.",
        each(even),
    ),
    Prediction(
        "No loss closes the gap: accuracy at B = 2048 is at least .02 below that at 16.", each(gap_stays)
    ),
]
