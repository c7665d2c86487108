"""A claim as data, and the runs that it rests on; a prediction of our own."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gffn_core.data.datasets import SUBSETS
from gffn_core.experiments import tables
from gffn_core.verdicts.rules import Measured
from gffn_core.verdicts.values import NETS

FAR = 2  # doublings: a batch size farther from the one a claim names does not stand for it


@dataclass(frozen=True)
class Claim:
    """A testable statement of the thesis and its test.

    measure: table of pairs -> what was measured; None where there is too little. The table holds the
    pairs of ``datasets`` (none named: all that are no part of another) at the batch size nearest to
    ``batch_size`` (None: all), if that is within a factor of four.
    fitted: only pairs whose nets both fit their training images in the long scheme, of cells that have
    enough of them to show a spread.
    nets: the losses whose nets are measured; none where the measurement needs no runs, and gets the
    step ratios instead of a table.
    """

    number: str
    section: str
    statement: str
    test: str
    unit: str
    measure: Callable[[pd.DataFrame], Measured | None]
    datasets: tuple[str, ...] = ()
    batch_size: int | None = None
    fitted: bool = False
    nets: tuple[str, ...] = NETS
    chapter: str = ""  # the module it stands in, as the ledger says


@dataclass(frozen=True)
class Prediction:
    """A line of ``book/predictions.md`` and its test.

    measure: the nets of its group -> what was measured; None where some are missing. time: that it was
    written down, counted within the group; those of one time are a family.
    """

    statement: str
    measure: Callable[[pd.DataFrame], Measured | None]
    time: int = 1


# What claims are about
MNIST, FASHION, CIFAR, SVHN = ("mnist",), ("fashion_mnist",), ("cifar10",), ("svhn",)
COLOURED = CIFAR + SVHN
BEYOND = "beyond the thesis"
DOUBLING = "per doubling of B"


def rows_of(table: pd.DataFrame, claim: Claim) -> pd.DataFrame:
    """The rows of a table of pairs that a claim is about and that have all the nets it needs."""
    used = table[table["key"][list(claim.nets)].notna().all(axis=1)]
    names = used.index.get_level_values("dataset")
    used = used[names.isin(claim.datasets) if claim.datasets else ~names.isin(SUBSETS)]
    if claim.fitted:
        used = used[~_underfit(used, claim).any(axis=1)]
        cells = used.index.droplevel("seed")
        used = used[cells.map(cells.value_counts()) >= tables.SEEDS]
    if claim.batch_size is not None and len(used):
        sizes = used.index.get_level_values("batch_size")
        distance = np.abs(np.log2(sizes.to_numpy(float) / claim.batch_size))
        # The smaller one of a tie: sizes are sorted within a data set.
        used = used[(sizes == sizes[distance.argmin()]) & (distance <= FAR)]
    return used


def _underfit(used, claim):
    return used["underfit"].xs("long", axis=1, level=1)[list(claim.nets)].astype(bool)


def notes(used, claim):
    """What the reader of a verdict has to know of the runs under it."""
    if not claim.nets:
        return
    sizes = used.index.get_level_values("batch_size").unique()
    if claim.batch_size is not None and claim.batch_size not in sizes:
        yield f"B = {sizes[0]} stands for {claim.batch_size}"
    about = used.xs((claim.nets[0], "long"), axis=1, level=(1, 2))
    partial = about.loc[~about["official"].astype(bool), "title"]
    yield from sorted(partial.map(tables.short_title).unique())
    if claim.chapter in ("accuracy", "calibration") and not claim.fitted:
        underfit = _underfit(used, claim).to_numpy().sum()
        if underfit:
            yield f"{underfit} of {len(used) * len(claim.nets)} nets underfit"
