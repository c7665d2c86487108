"""What the claims measure on pairs of nets.

A table of pairs has a row per label space, data set, batch size and seed, and holds the nets of both
losses, or of others that share them. Functions that return values take such a table, or its rows of one
data set.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd

from gffn_core.experiments import tables
from gffn_core.training.course import SCHEMES
from gffn_core.verdicts.intervals import PAIR, SMALL, minus
from gffn_core.verdicts.rules import Measured, all_of, everywhere, positive

NETS = ("conditional", "joint")  # of a pair of the thesis
LUCK = 0.01  # of an area under the ROC curve, with the images
METRICS = [name for name in tables.COLUMNS if name not in (*PAIR, "loss", "scheme")] + ["bins", "margin"]


def pairs_of(records: Iterable[dict], losses: Sequence[str] = NETS) -> pd.DataFrame:
    """One row per label space, data set, batch size and seed; columns (metric, loss, scheme).

    NaN where a net is absent or lacks the metric. ``bins`` are those of the reliability diagram.
    """
    records = [one for one in records if one["diverged"] is None and one["run"]["loss"] in losses]
    columns = pd.MultiIndex.from_product([METRICS, losses, SCHEMES])
    if not records:
        index = pd.MultiIndex.from_arrays([[]] * len(PAIR), names=PAIR)
        return pd.DataFrame(index=index, columns=columns)
    found = [record["evaluations"][scheme] for record in records for scheme in SCHEMES]
    data = [record["data"] for record in records for scheme in SCHEMES]
    accuracy = np.array([one["test_accuracy"] for one in found])
    table = tables.frame(records).assign(
        bins=[one["calibration"]["uniform10"] for one in found],
        margin=np.sqrt(accuracy * (1 - accuracy) / [one["test"] for one in data]),
    )
    return table.pivot(index=PAIR, columns=["loss", "scheme"]).reindex(columns=columns).sort_index()


def on(pairs: pd.DataFrame, dataset: str) -> pd.DataFrame:
    return pairs[pairs.index.get_level_values("dataset") == dataset]


def at(pairs: pd.DataFrame, low: int = 1, high: int = 2048) -> pd.DataFrame:
    sizes = pairs.index.get_level_values("batch_size")
    return pairs[(sizes >= low) & (sizes <= high)]


# Values: a table with a row per pair, columns ``value`` and ``margin``


def net(pairs: pd.DataFrame, metric: str, loss: str, scheme: str = "long") -> pd.DataFrame:
    """A metric of the nets of one loss."""
    return _values(pairs, pairs[metric, loss, scheme])


def nets(pairs: pd.DataFrame, metric: str, scheme: str = "long") -> pd.DataFrame:
    """The mean of a metric over both nets of a pair."""
    return _values(pairs, pairs[metric].xs(scheme, axis=1, level=1).astype(float).mean(axis=1))


def gain(pairs: pd.DataFrame, metric: str, *schemes: str) -> pd.DataFrame:
    """Joint minus conditional; the mean over ``schemes``, which are points of one training."""
    gains = [pairs[metric, "joint", scheme] - pairs[metric, "conditional", scheme] for scheme in schemes]
    return _values(pairs, sum(gains) / len(gains))


def lower(pairs: pd.DataFrame, metric: str, loss: str = "joint", than: str = "conditional") -> pd.DataFrame:
    """By how much the metric of one loss is below that of another, in the long scheme."""
    return _values(pairs, pairs[metric, than, "long"] - pairs[metric, loss, "long"])


def opposite(values: pd.DataFrame) -> pd.DataFrame:
    return values.assign(value=-values["value"])


def apart(names: Iterable[str], values: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    """The values of several schemes or losses side by side, as cells of their own."""
    return pd.concat({name: values(name) for name in names}, names=["which"])


def _values(pairs, series):
    margin = pairs["margin"].astype(float).mean(axis=1)
    return pd.DataFrame({"value": series.astype(float), "margin": margin}).dropna()


def by_dataset(pairs: pd.DataFrame, measure: Callable[[pd.DataFrame], Measured | None]) -> Measured | None:
    """What is measured holds on every data set."""
    return all_of(measure(on(pairs, name)) for name in pairs.index.get_level_values("dataset").unique())


def stands_out(
    pairs: pd.DataFrame, values: Callable[[pd.DataFrame], pd.DataFrame], dataset: str
) -> Measured | None:
    """The mean of the data set exceeds that of each other one.

    Differences are paired by batch size and seed, because the data sets share their trends.
    """
    own = values(on(pairs, dataset)).droplevel("dataset")
    names = pairs.index.get_level_values("dataset").unique().drop(dataset, errors="ignore")
    others = [values(on(pairs, name)).droplevel("dataset") for name in names]
    return all_of(positive(minus(own, other)) for other in others)


def best_at_small(pairs: pd.DataFrame, metric: str, best: Callable) -> Measured | None:
    """On every data set the best cell at a small batch is better than the best at a large one.

    Each seed has its best; all losses compete, and for accuracy both schemes. ``best`` is max or min.
    """
    schemes = SCHEMES if metric == "test_accuracy" else ("long",)
    values = pd.concat([net(pairs, metric, loss, scheme) for loss in NETS for scheme in schemes])
    small = values.index.get_level_values("batch_size") <= SMALL
    by = ["label_space", "dataset", "seed"]
    sides = [values["value"][side].groupby(level=by).agg(best) for side in (small, ~small)]
    lead = (sides[0] - sides[1]) * (1 if best is max else -1)
    margin = values["margin"].groupby(level=by).mean()
    return everywhere(pd.DataFrame({"value": lead, "margin": margin}).dropna())
