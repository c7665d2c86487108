"""What we predicted of the contest between ways to train."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gffn_core.experiments import contest, profiles, tables
from gffn_core.experiments.contest import JOINT_DECAYED, OURS, STANDARD
from gffn_core.experiments.store import Store
from gffn_core.training.course import LOWEST_NLL
from gffn_core.verdicts import values
from gffn_core.verdicts.claim import Prediction
from gffn_core.verdicts.claims.relatives import weight_of
from gffn_core.verdicts.rules import Measured, all_of, any_of, exactly, in_all

JOINT, DROPOUT, SMOOTHING = "joint", "dropout", "label smoothing"
MOVED, JOINT_MOVED = "augmentation", "joint, augmentation"
DROPOUT_MOVED = "dropout, augmentation"
OTHERS = [who for who in contest.CONTENDERS if who not in (STANDARD, *OURS)]
NEEDS = {  # metric: what it is called
    "test_accuracy": "accuracy",
    "nll": "NLL",
    "ece": "ECE",
    "scaled_nll": "NLL after T",
    "auroc_max_softmax": "AUROC",
}
MEASURES = NEEDS | {"recalibrated_nll": "NLL after the matrix", "aurc": "AURC", "augrc": "AUGRC"}
UP = ("test_accuracy", "auroc_max_softmax")  # more is better
# Pairs of losses that even ln Z alike to second order.
ALIKE = (
    ("joint", "variance"),
    ("self-normalised", "squared"),
    ("self-normalised", "z-loss"),
    ("squared", "z-loss"),
)
WEIGHTS = (25, 125)
CIFAR, FASHION = DATASETS = ("cifar10_1000", "fashion_mnist_1000")
AGAIN = "stopped, trained again"
WIDE = "wide net, "  # before a contender's name


def on(
    store: Store, dataset: str, profile: str = "contest", schemes: Sequence[str] = contest.SCHEMES
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """As ``contest.frame``: all that was tried, what was chosen of it, and the seeds that are reported."""
    tuned, reported = (
        contest.frame(store.select(profiles.profile(name).runs([dataset])).values(), schemes)
        for name in (f"{profile}_tuning", profile)
    )
    best = contest.chosen(tuned)
    return tuned, best, reported.merge(best[["contender", "scheme", "setting"]])


def relatives(store: Store) -> pd.DataFrame:
    """Nets of the profile ``contest_relatives``, stopped.

    ``contender`` is a loss and its weight to second order, "joint, 25".
    """
    records = store.select(profiles.profile("contest_relatives").runs())
    nets = tables.frame(records.values(), (LOWEST_NLL,))
    weights = [weight_of(run) for run in records]
    twice = nets["loss"].eq("z_loss") + 1
    nets["contender"] = nets["loss"].str.replace("_", "-") + [f", {weight:g}" for weight in weights * twice]
    return nets


def checks(store: Store) -> pd.DataFrame:
    """Nets of the profile ``contest_checks``: those that accuracy chose, and the standard one at every rate.

    The first at the epoch that accuracy chose (scheme ``early``); the others stopped, as contenders
    "standard, learning rate 0.001".
    """
    tuned, nets = (
        contest.frame(store.select(profiles.profile(name).runs(DATASETS)).values(), ("early", LOWEST_NLL))
        for name in ("contest_tuning", "contest_checks")
    )
    best = contest.most_accurate(tuned[tuned["scheme"] == "early"])
    early = nets.merge(best[["dataset", "contender", "scheme", "setting"]])
    rates = nets[(nets["scheme"] == LOWEST_NLL) & (nets["contender"] == STANDARD)]
    return pd.concat([early, rates.assign(contender=STANDARD + ", " + rates["setting"])])


def read(store: Store) -> pd.DataFrame:
    """Nets by ``dataset``, ``contender``, ``scheme`` and ``seed``: metrics and ``kl_weight``.

    "wide net, joint" is a contender of the profiles for the wide net. Of the scheme ``AGAIN`` are nets that
    were trained a second time and measured by ``ensembles.measures``; there "three joint" are as many joint
    nets together, with the seed of the first.
    """
    wide = pd.concat([on(store, CIFAR, profile)[-1] for profile in ("contest_wide", "combined_wide")])
    nets = pd.concat(
        [
            *(on(store, name)[-1] for name in DATASETS),
            on(store, CIFAR, "combined")[-1],
            wide.assign(contender=WIDE + wide["contender"]),
            relatives(store),
            checks(store),
        ]
    )
    level = ["dataset", "contender", "scheme", "seed"]
    measured = pd.read_csv(store.published / "ensembles_contest.csv")
    measured["key"] = measured["keys"].str.split("+").str[0]
    again = measured.merge(nets[["key", *level]])
    again["contender"] = again["size"].map({1: "", 3: "three "}) + again["contender"]
    return pd.concat([nets, again.assign(scheme=AGAIN)]).set_index(level).sort_index()


def of(nets: pd.DataFrame, metric: str, who: str, scheme: str = LOWEST_NLL) -> pd.Series:
    """By data set and seed a metric of one contender."""
    contenders, schemes = (nets.index.get_level_values(level) for level in ("contender", "scheme"))
    return nets.loc[(contenders == who) & (schemes == scheme), metric].droplevel(["contender", "scheme"])


def better(
    nets: pd.DataFrame, metric: str, who: str, than: str = STANDARD, scheme: str = LOWEST_NLL
) -> pd.Series:
    """By how much one contender is better than another; NaN where one of them is missing."""
    return (1 if metric in UP else -1) * (of(nets, metric, who, scheme) - of(nets, metric, than, scheme))


def ahead(
    nets: pd.DataFrame,
    metric: str,
    who: str,
    than: str = STANDARD,
    low: float = -np.inf,
    high: float = np.inf,
    scheme: str = LOWEST_NLL,
) -> Measured | None:
    """On every data set one contender is better than another by more than ``low`` and less than ``high``."""
    names = (name.removeprefix(WIDE) for name in (who, than))
    named = (name.replace(", ", " + ") if name in contest.COMBINED else name for name in names)
    what = f"{MEASURES[metric]}{' at the end' * (scheme == 'long')}, {' ahead of '.join(named)}"
    return in_all(better(nets, metric, who, than, scheme), what, low, high)


def _ahead_on_cifar(nets: pd.DataFrame, who: str, than: str, **least: float) -> Measured | None:
    """One contender is better than another by more than ``least``, by metric."""
    nets = values.on(nets, CIFAR)
    return all_of(ahead(nets, metric, who, than, low) for metric, low in least.items())


def _stopped_alike(nets: pd.DataFrame) -> Measured | None:
    parts = [
        ahead(nets, metric, who, low=-most, high=most)
        for who in OURS
        for metric, most in (("test_accuracy", 0.01), ("nll", 0.02))
    ]
    parts += [
        ahead(nets, metric, DROPOUT, who, low=0)
        for metric in ("test_accuracy", "nll")
        for who in (STANDARD, *OTHERS, *OURS)
        if who != DROPOUT
    ]
    return all_of(parts)


def _two_thirds_at_the_end(nets: pd.DataFrame) -> Measured | None:
    return all_of(
        in_all(
            of(nets, metric, who, "long") / of(nets, metric, STANDARD, "long"),
            f"of the standard {NEEDS[metric]}, {who}",
            high=2 / 3,
        )
        for who in (*OURS, SMOOTHING)
        for metric in ("nll", "ece")
    )


def _weights_above_one(nets: pd.DataFrame) -> Measured:
    weights = pd.concat([of(nets, "kl_weight", who, "long").groupby("dataset").first() for who in OURS])
    return exactly((weights > 1).sum(), "of 4 weights", low=3.5)


def _alike_after_scaling(nets: pd.DataFrame) -> Measured | None:
    return all_of(
        ahead(nets, "scaled_nll", who, low=-0.03, high=0.03) for who in (*OTHERS, *OURS) if who != DROPOUT
    )


def _three_beat_one(nets: pd.DataFrame) -> Measured | None:
    parts = []
    for metric, sign in (("test_accuracy", 1), ("scaled_nll", -1)):
        three = of(nets, metric, f"three {STANDARD}", AGAIN)
        firsts = three.index.get_level_values("seed").unique()
        for who in contest.CONTENDERS:
            single = of(nets, metric, who, AGAIN)
            group = firsts[firsts.searchsorted(single.index.get_level_values("seed"), "right") - 1]
            of_group = single.groupby([single.index.get_level_values("dataset"), group]).mean()
            ahead = sign * (three - of_group.rename_axis(["dataset", "seed"]))
            parts.append(in_all(ahead, f"{NEEDS[metric]}, three standard ahead of one {who}", low=0))
    return all_of(parts)


def _detection_alike(nets: pd.DataFrame) -> Measured | None:
    return all_of(
        ahead(nets, "auroc_max_softmax", who, low=-0.05, high=0.05)
        for who in (*OTHERS, *OURS)
        if who not in (DROPOUT, "weight decay")  # which are no losses
    )


def _no_need_for_ours(nets: pd.DataFrame) -> Measured | None:
    stopped = [ahead(nets, metric, who, high=0) for who in OURS for metric in NEEDS]
    at_end = [ahead(nets, metric, who, low=0, scheme="long") for who in OURS for metric in ("nll", "ece")]
    beaten = any_of(
        all_of(ahead(nets, "ece", rival, who, low=0, scheme="long") for who in OURS)
        for rival in (SMOOTHING, "LogitNorm")
    )
    return all_of([*stopped, *at_end, beaten])


def _form_does_not_matter(nets: pd.DataFrame) -> Measured | None:
    nets = values.on(nets, CIFAR)
    return all_of(
        ahead(nets, metric, f"{one}, {weight}", f"{other}, {weight}", -most, most)
        for one, other in ALIKE
        for weight in WEIGHTS
        for metric, most in (("test_accuracy", 0.015), ("nll", 0.03))
    )


def _all_five_win(nets: pd.DataFrame) -> Measured | None:
    return all_of(
        any_of(
            _ahead_on_cifar(nets, f"{loss}, {weight}", STANDARD, test_accuracy=0.03, nll=0.1)
            for weight in WEIGHTS
        )
        for loss in dict.fromkeys(loss for pair in ALIKE for loss in pair)
    )


def _matrix_leaves_the_lead(nets: pd.DataFrame) -> Measured | None:
    matrix = "recalibrated_nll"
    lead = better(nets, matrix, JOINT, scheme=AGAIN) - 2 / 3 * better(nets, "scaled_nll", JOINT, scheme=AGAIN)
    rivals = [
        any_of(ahead(nets, matrix, ours, who, low=0, scheme=AGAIN) for ours in OURS)
        for who in (STANDARD, *OTHERS)
    ]
    return all_of([in_all(lead, "NLL after the matrix, lead beyond two thirds", low=0), *rivals])


def _matrix_is_no_better(nets: pd.DataFrame) -> Measured:
    gain = {
        who: (of(nets, "scaled_nll", who, AGAIN) - of(nets, "recalibrated_nll", who, AGAIN))
        .groupby("dataset")
        .mean()
        for who in contest.CONTENDERS
    }
    count = (pd.DataFrame(gain) < 0.02).sum(axis=1).min()
    return exactly(count, f"of {len(gain)} means gain less than .02", low=6.5)


def _rank_correlation(nets, metric, others):
    """The lowest over data sets and ``others``, of means over seeds of the nine."""
    means = nets.xs(AGAIN, level="scheme").groupby(level=["dataset", "contender"])[[metric, *others]].mean()
    means = means.loc[:, [*contest.CONTENDERS], :]
    return min(
        part[metric].corr(part[other], method="spearman")
        for _, part in means.groupby(level="dataset")
        for other in others
    )


def _measures_agree(nets: pd.DataFrame) -> Measured:
    worst = _rank_correlation(nets, "ece", ["smooth_ece", "ece_uniform15", "ece_quantile10"])
    return exactly(worst, "the lowest rank correlation of means", low=0.9 - 1e-9)


def _risk_agrees(nets: pd.DataFrame) -> Measured | None:
    parts = [ahead(nets, metric, JOINT, low=0, scheme=AGAIN) for metric in ("aurc", "augrc")]
    worst = _rank_correlation(nets, "aurc", ["augrc"])
    return all_of([*parts, exactly(worst, "rank correlation of means", low=0.9 - 1e-9)])


def _joint_leads_beside_augmentation(nets: pd.DataFrame) -> Measured | None:
    nets = values.on(nets, CIFAR)
    half = better(nets, "scaled_nll", JOINT) / 2 - better(nets, "scaled_nll", JOINT_MOVED, MOVED)
    return all_of(
        [
            ahead(nets, "test_accuracy", JOINT_MOVED, MOVED, low=0.01),
            ahead(nets, "scaled_nll", JOINT_MOVED, MOVED, low=0),
            in_all(half, "NLL after T, half of the lead minus that beside augmentation", low=0),
        ]
    )


def _joint_moved_is_best(nets: pd.DataFrame) -> Measured | None:
    return all_of(
        _ahead_on_cifar(nets, JOINT_MOVED, who, test_accuracy=0, scaled_nll=0)
        for who in (*contest.CONTENDERS, MOVED, DROPOUT_MOVED, JOINT_DECAYED)
        if who != JOINT_MOVED
    )


def _decay_adds_nothing(nets: pd.DataFrame) -> Measured | None:
    nets = values.on(nets, CIFAR)
    return all_of(
        ahead(nets, metric, JOINT_DECAYED, JOINT, -most, most)
        for metric, most in (("test_accuracy", 0.01), ("scaled_nll", 0.02))
    )


def _accuracy_chooses_ours_too(nets: pd.DataFrame) -> Measured | None:
    return all_of(
        ahead(values.on(nets, name), "test_accuracy", JOINT, low=least, scheme="early")
        for name, least in ((CIFAR, 0.01), (FASHION, 0))
    )


def _rivals_in_accuracy(nets: pd.DataFrame) -> Measured | None:
    return all_of(
        ahead(values.on(nets, name), "test_accuracy", who, JOINT, low, high, scheme="early")
        for name, who, low, high in ((CIFAR, DROPOUT, -0.015, 0.015), (FASHION, SMOOTHING, 0, np.inf))
    )


def rates_of_the_standard_net(nets: pd.DataFrame) -> list[str]:
    """The contenders "standard, learning rate 0.001"."""
    return sorted(who for who in nets.index.unique("contender") if who.startswith(f"{STANDARD}, "))


def _no_rate_saves_the_standard_net(nets: pd.DataFrame) -> Measured | None:
    return all_of(
        ahead(nets, metric, JOINT, who, low=0)
        for metric in ("test_accuracy", "scaled_nll")
        for who in rates_of_the_standard_net(nets)
    )


def _dropout_behind_on_the_wide_net(nets: pd.DataFrame) -> Measured | None:
    nets = values.on(nets, CIFAR)
    joint, dropout = WIDE + JOINT, WIDE + DROPOUT
    return all_of(
        [
            ahead(nets, "scaled_nll", joint, dropout, low=0),
            ahead(nets, "test_accuracy", joint, dropout, -0.02, 0.02),
        ]
    )


def _large_weights_on_the_wide_net(nets: pd.DataFrame) -> Measured:
    weights = [of(nets, "kl_weight", WIDE + who).iloc[0] for who in OURS]
    return exactly(sum(weight >= 25 for weight in weights), "of 2 weights", low=1.5)


def _width_helps_a_little(nets: pd.DataFrame) -> Measured | None:
    nets = values.on(nets, CIFAR)
    parts = [
        in_all(better(nets, "test_accuracy", WIDE + who, who), f"accuracy gained, {who}", 0, 0.04)
        for who in contest.FINALISTS
    ]
    narrow = in_all(
        better(nets, "test_accuracy", JOINT, WIDE + STANDARD), "narrow joint ahead of wide standard", low=0
    )
    return all_of([*parts, narrow])


PREDICTIONS = [
    Prediction(
        "Stopped, the joint and the self-normalised loss are within .01 (accuracy) and .02 (NLL) of the"
        " standard one. Dropout is the best single way in both.",
        _stopped_alike,
    ),
    Prediction(
        "Trained to the end the joint and the self-normalised loss have less than two thirds of the standard"
        " NLL and ECE, and so has label smoothing.",
        _two_thirds_at_the_end,
    ),
    Prediction("To the end, weights above 1 are chosen for both, on both data sets.", _weights_above_one),
    Prediction(
        "After a temperature, stopped, no way but dropout differs from the standard one by more than .03.",
        _alike_after_scaling,
    ),
    Prediction(
        "Three standard nets together, stopped, beat every single way in accuracy and in NLL after a"
        " temperature.",
        _three_beat_one,
    ),
    Prediction("No loss differs from the standard one by more than .05 in AUROC, stopped.", _detection_alike),
    Prediction(
        "So stopped, our losses win no need; to the end they beat the standard loss in NLL and ECE, but label"
        " smoothing or LogitNorm beats them in ECE.",
        _no_need_for_ours,
    ),
    Prediction(
        "At the same weight the joint loss and the variance are within .015 (accuracy) and .03 (NLL), and so"
        " are the self-normalised loss, the squared distance and the z-loss.",
        _form_does_not_matter,
        time=2,
    ),
    Prediction(
        "All five beat the standard loss by more than .03 in accuracy and .1 in NLL, at the better of two"
        " weights.",
        _all_five_win,
        time=2,
    ),
    Prediction(
        "After structured matrix scaling one of ours has the lowest NLL on both data sets, and the joint loss"
        " at least two thirds of its lead after a temperature.",
        _matrix_leaves_the_lead,
        time=3,
    ),
    Prediction(
        "The matrix is worth less than .02 to at least seven of the nine, on both data sets.",
        _matrix_is_no_better,
        time=3,
    ),
    Prediction(
        "SmoothECE, ECE with 15 bins and with bins of equal mass order the nine as ECE does (rank"
        " correlation of .9 or more).",
        _measures_agree,
        time=3,
    ),
    Prediction(
        "The joint net has a lower AURC and a lower AUGRC than the standard one, and the two order the nine"
        " alike.",
        _risk_agrees,
        time=3,
    ),
    Prediction(
        "Augmentation alone gains the standard net more than .03 of accuracy and more than .1 in NLL.",
        lambda nets: _ahead_on_cifar(nets, MOVED, STANDARD, test_accuracy=0.03, scaled_nll=0.1),
        time=4,
    ),
    Prediction(
        "Beside augmentation the joint loss still beats the conditional one, in accuracy by more than .01, in"
        " NLL by less than half of its lead without.",
        _joint_leads_beside_augmentation,
        time=4,
    ),
    Prediction(
        "The joint loss with augmentation has the best accuracy and the best NLL of all; dropout with"
        " augmentation does not reach it.",
        _joint_moved_is_best,
        time=4,
    ),
    Prediction(
        "Weight decay adds nothing to the joint loss: within .01 in accuracy and .02 in NLL.",
        _decay_adds_nothing,
        time=4,
    ),
    Prediction(
        "Chosen by validation accuracy, the joint net is more accurate than the standard one, on CIFAR-10 by"
        " more than .01.",
        _accuracy_chooses_ours_too,
        time=5,
    ),
    Prediction(
        "So chosen, dropout is within .015 of the joint net on CIFAR-10, and on Fashion-MNIST label smoothing"
        " is more accurate than it.",
        _rivals_in_accuracy,
        time=5,
    ),
    Prediction(
        "The standard net is behind the joint one in accuracy and NLL after T on both data sets, whichever of"
        " its twelve rates it has.",
        _no_rate_saves_the_standard_net,
        time=5,
    ),
    Prediction(
        "On the wide net ours still beat the standard loss, in accuracy by more than .02 and in NLL by more"
        " than .06.",
        lambda nets: all_of(
            _ahead_on_cifar(nets, WIDE + who, WIDE + STANDARD, test_accuracy=0.02, scaled_nll=0.06)
            for who in OURS
        ),
        time=6,
    ),
    Prediction(
        "There dropout stays behind the joint loss in NLL, and is within .02 of it in accuracy.",
        _dropout_behind_on_the_wide_net,
        time=6,
    ),
    Prediction(
        "The weights that are chosen for ours there are 25 or 125.", _large_weights_on_the_wide_net, time=6
    ),
    Prediction(
        "Width gains each of the four less than .04 of accuracy, and the narrow joint net is more accurate"
        " than the wide standard one.",
        _width_helps_a_little,
        time=6,
    ),
    Prediction(
        "Augmentation alone gains the wide standard net more than .06 of accuracy.",
        lambda nets: _ahead_on_cifar(nets, WIDE + MOVED, WIDE + STANDARD, test_accuracy=0.06),
        time=7,
    ),
    Prediction(
        "Beside augmentation the joint loss is ahead on the wide net, in accuracy by more than .03, in NLL by"
        " more than .08.",
        lambda nets: _ahead_on_cifar(
            nets, WIDE + JOINT_MOVED, WIDE + MOVED, test_accuracy=0.03, scaled_nll=0.08
        ),
        time=7,
    ),
    Prediction(
        "It is ahead of dropout with augmentation there, in accuracy by more than .01.",
        lambda nets: _ahead_on_cifar(nets, WIDE + JOINT_MOVED, WIDE + DROPOUT_MOVED, test_accuracy=0.01),
        time=7,
    ),
]
