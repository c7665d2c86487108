"""What we predicted of the self-normalised loss at its chosen weight, at any batch size and on all images."""

import pandas as pd

from gffn_core.experiments import profiles, tables
from gffn_core.experiments.store import Store
from gffn_core.verdicts.claim import Prediction
from gffn_core.verdicts.rules import Measured, all_of, in_all
from gffn_core.verdicts.values import at

STANDARD, JOINT, ONE, CHOSEN = "standard", "joint", "weight 1", "weight 5"
FEW, ALL = "cifar10_10000", "cifar10"
NETS = {("conditional", 1.0): STANDARD, ("joint", 1.0): JOINT, ("self_normalised", 1.0): ONE}
METRICS = {"test_accuracy": "accuracy", "scaled_nll": "NLL after T", "ece": "ECE"}
ACCURACY, NLL, ECE = METRICS


def read(store: Store, scheme: str = "long") -> pd.DataFrame:
    """Nets of the profile ``weighted`` beside those of ``any_batch`` and ``cpu``, as a scheme stops them.

    Rows ``dataset``, ``batch_size``, ``seed``; columns ``metric``, ``net``. NaN where a run is missing.
    """
    runs = profiles.profile("weighted").runs()
    cells = {(run.dataset, run.batch_size, run.seed) for run in runs}
    beside = profiles.profile("any_batch").runs([FEW]) + profiles.profile("cpu").runs([ALL])
    runs += [run for run in beside if (run.dataset, run.batch_size, run.seed) in cells]
    nets = tables.frame(store.select(runs).values(), [scheme])
    nets["net"] = [NETS.get(key, CHOSEN) for key in zip(nets["loss"], nets["kl_weight"])]
    rows = pd.MultiIndex.from_tuples(sorted(cells), names=["dataset", "batch_size", "seed"])
    columns = pd.MultiIndex.from_product([METRICS, [*NETS.values(), CHOSEN]], names=["metric", "net"])
    return nets.pivot(index=rows.names, columns="net", values=[*METRICS]).reindex(rows, columns=columns)


def _less(nets, metric, net, than, dataset=FEW):
    """By batch size and seed by how much a metric of a net is below that of another."""
    return (nets[metric, than] - nets[metric, net]).loc[dataset]


def _mean(values):
    """By seed the mean over batch sizes; NaN where one is missing."""
    return values.unstack("batch_size").mean(axis=1, skipna=False)


def finer_than_weight_one(nets: pd.DataFrame) -> Measured | None:
    saved = at(_less(nets, NLL, CHOSEN, ONE), 4, 512)
    return all_of([in_all(saved, "NLL saved", low=0), in_all(_mean(saved), "NLL saved, mean", low=0.02)])


def halves_the_ece_again(nets: pd.DataFrame) -> Measured | None:
    left = nets.loc[FEW]
    left = at(left[ECE, CHOSEN] / left[ECE, ONE], 2, 2048)
    return all_of(
        [
            in_all(left, "of the ECE of weight 1", high=1),
            in_all(_mean(left), "of the ECE of weight 1, mean", high=0.5),
        ]
    )


def widens_the_gap(nets: pd.DataFrame) -> Measured | None:
    accuracy = nets.loc[FEW][ACCURACY]
    lost = accuracy.xs(16, level="batch_size") - accuracy.xs(2048, level="batch_size")
    return all_of(
        [
            in_all(lost[CHOSEN], "accuracy lost", low=0.03),
            in_all(lost[CHOSEN] - lost[ONE], "accuracy lost, minus that of weight 1", low=0),
        ]
    )


def _on_all_images(nets, metric, least, sign):
    """Better than the standard net by more than ``least`` at 16 and at 256, worse at 2048."""
    gain = sign * _less(nets, metric, CHOSEN, STANDARD, ALL)
    what = f"{METRICS[metric]} gained"
    return all_of([in_all(at(gain, 16, 256), what, low=least), in_all(at(gain, 2048, 2048), what, high=0)])


def below_the_joint_ece_on_all_images(nets: pd.DataFrame) -> Measured | None:
    left = nets.loc[ALL]
    left = left[ECE, CHOSEN] / left[ECE, JOINT]
    what = "of the joint net's ECE"
    return all_of([in_all(at(left, 16, 256), what, high=0.5), in_all(left, what, high=1)])


PREDICTIONS = [
    Prediction(
        "10,000 images: after a temperature the NLL at weight 5 is below that at weight 1 at every batch size"
        " from 4 to 512, by more than .02 on their mean.",
        finer_than_weight_one,
    ),
    Prediction(
        "At 2048 it is above.",
        lambda nets: in_all(at(_less(nets, NLL, CHOSEN, ONE), 2048, 2048), "NLL saved", high=0),
    ),
    Prediction(
        "From a batch of two on the ECE at weight 5 is below that at weight 1, on average at most half.",
        halves_the_ece_again,
    ),
    Prediction(
        "From 16 to 2048 weight 5 loses more than .03 of accuracy, and more than weight 1 does.",
        widens_the_gap,
    ),
    Prediction(
        "All images: weight 5 is more accurate than the standard net by more than .005 at 16 and at 256, and"
        " less accurate at 2048.",
        lambda nets: _on_all_images(nets, ACCURACY, 0.005, -1),
    ),
    Prediction(
        "All images: its NLL after a temperature is lower than the standard net's by more than .01 at 16 and"
        " at 256, and higher at 2048.",
        lambda nets: _on_all_images(nets, NLL, 0.01, 1),
    ),
    Prediction(
        "All images: its ECE is at most half of the joint net's (weight 1) at 16 and at 256, and below it at"
        " 2048.",
        below_the_joint_ece_on_all_images,
    ),
]
