"""What we predicted of two explanations of a failing ln p(x), as scores of unfamiliar images."""

import pandas as pd

from gffn_core.experiments import tables
from gffn_core.experiments.store import Store
from gffn_core.verdicts.claim import Prediction
from gffn_core.verdicts.intervals import jackknife
from gffn_core.verdicts.rules import Measured, all_of, between, named

RATIO, WAIC, NET, FDBD, MEAN = "likelihood ratio", "WAIC", "log_px", "fDBD", "mean ln p(x)"
LOSSES = ("conditional", "joint")


def read(store: Store) -> pd.DataFrame:
    """AUROCs on plain nets of profile ``background`` without each seed: by ``loss``, ``score`` and ``seed``.

    A column a set. WAIC and the mean of ln p(x) are those of the five other nets, a score that asks one net
    is its mean over those five: so what shares nets can be compared, by ``intervals.jackknife``.
    """
    scored = pd.read_csv(store.published / "detection_background.csv")
    scored = scored[scored["augmentation"].isna()]
    nets = scored.pivot(index=["loss", "score", "seed"], columns="set", values="auroc").sort_index()
    of_score = nets.groupby(level=["loss", "score"])
    without = (of_score.transform("sum") - nets) / (of_score.transform("count") - 1)
    asks_five = nets.index.get_level_values("score").isin([WAIC, MEAN])
    without[asks_five] = nets[asks_five]
    return without


def _lies(values, what, low=-float("inf"), high=float("inf")):
    return named(between(jackknife(values), low, high), what)


def _average(nets, loss, score):
    return nets.loc[(loss, score)].mean(axis=1)


def ratio_changes_little(nets: pd.DataFrame) -> Measured | None:
    change = _average(nets, "joint", RATIO) - _average(nets, "joint", NET)
    return _lies(change, "AUROC, mean of the sets", -0.05, 0.05)


def waic_knows_noise(nets: pd.DataFrame) -> Measured | None:
    gain = {loss: nets.loc[(loss, WAIC), "noise"] - nets.loc[(loss, NET), "noise"] for loss in LOSSES}
    return all_of(
        _lies(gain[loss], f"AUROC on noise, {tables.net(loss)}", low)
        for loss, low in (("conditional", 0), ("joint", 0.1))
    )


def waic_is_better_on_average(nets: pd.DataFrame) -> Measured | None:
    return all_of(
        _lies(
            _average(nets, loss, WAIC) - _average(nets, loss, other),
            f"AUROC, {tables.net(loss)}, minus {title}",
            low=0,
        )
        for loss in LOSSES
        for other, title in ((NET, "ln p(x)"), (RATIO, RATIO))
    )


def neither_is_good_everywhere(nets: pd.DataFrame) -> Measured | None:
    worst = nets.min(axis=1)
    parts = []
    for loss in LOSSES:
        for score in (RATIO, WAIC):
            what = f"AUROC at its worst, {tables.net(loss)}, {score}"
            parts.append(_lies(worst[loss, score], what, high=0.7))
            parts.append(_lies(worst[loss, FDBD] - worst[loss, score], f"{what}, fDBD minus it", low=0))
    return all_of(parts)


PREDICTIONS = [
    Prediction(
        "The likelihood ratio changes the AUROC of the joint net's $\\ln p(x)$, mean over the five sets, by"
        " less than .05.",
        ratio_changes_little,
    ),
    Prediction("WAIC is above $\\ln p(x)$ on noise, by more than .1 for the joint nets.", waic_knows_noise),
    Prediction(
        "On the mean over the five sets WAIC is above $\\ln p(x)$ for both losses, and above the likelihood"
        " ratio.",
        waic_is_better_on_average,
    ),
    Prediction(
        "Neither is above .7 on all five sets, for either loss; fDBD stays above both on the worst of the"
        " five.",
        neither_is_good_everywhere,
    ),
]
