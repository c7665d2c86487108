"""Nets with references in the sum and their rivals: what the chapters on them share."""

from collections.abc import Iterable

import pandas as pd

from gffn_core.experiments import detection
from gffn_core.experiments.store import Store
from gffn_core.experiments.tables import over_seeds
from gffn_core.pages import style
from gffn_core.verdicts.claims import repair
from gffn_core.verdicts.claims.repair import OWN, WAYS

SETS = {name: detection.SETS[name] for name in ("svhn", "mnist", "fashion_mnist", "shuffled", "noise")}
FAR = ["svhn", "mnist", "fashion_mnist"]  # not made as a reference is
COLOURS = {
    "conditional": style.LOSS_STYLE["conditional"]["color"],
    "joint": style.LOSS_STYLE["joint"]["color"],
    "self_normalised": style.LOSS_STYLE["joint"]["color"],
    "energy_margin": "#1B9E77",
    "outlier_exposure": "#1B9E77",
}


def read(store: Store) -> pd.DataFrame:
    """Published scores by ``loss``, ``setting``, ``score``, ``set`` and ``seed``; ``OWN`` is a score, too."""
    measured = repair.scores(store)
    assert measured.groupby(["loss", "setting"])["seed"].nunique().min() >= 6
    return measured.set_index(["loss", "setting", "score", "set", "seed"]).sort_index()


def means(measured: pd.DataFrame) -> pd.DataFrame:
    """The AUROC of each way's own score (rows) on each of ``SETS``, mean over seeds."""
    auroc = measured["auroc"]
    of_way = {way: auroc[(*key, OWN)].groupby("set").mean() for way, key in WAYS.items()}
    return pd.DataFrame(of_way).T[[*SETS]]


def at(
    measured: pd.DataFrame, way: str, score: str = OWN, sets: Iterable[str] = SETS, of: str = "auroc"
) -> pd.Series:
    """By seed what a score of a way's nets has, mean over sets."""
    return measured.loc[(*WAYS[way], score), of].unstack("set")[[*sets]].mean(axis=1)


def gained(
    measured: pd.DataFrame,
    way: str,
    than: str,
    sets: Iterable[str] = SETS,
    scores: tuple[str, str] = (OWN, OWN),
    of: str = "auroc",
) -> pd.Series:
    """The same less that of another way, paired by seed: mean and interval."""
    return over_seeds(at(measured, way, scores[0], sets, of) - at(measured, than, scores[1], sets, of))
