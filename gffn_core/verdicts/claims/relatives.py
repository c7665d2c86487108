"""What we predicted of losses that even ln Z and of those that curb confidence."""

from dataclasses import replace
from operator import itemgetter

import numpy as np
import pandas as pd

from gffn_core.experiments import choice, profiles, tables
from gffn_core.experiments.store import Store
from gffn_core.training.course import LOWEST_NLL, SCHEMES
from gffn_core.training.run import Run
from gffn_core.training.step import options_of
from gffn_core.verdicts.claim import Prediction
from gffn_core.verdicts.rules import Measured, all_of, any_of, exactly, in_all

EVENING = [*map(tables.net, ("joint", "variance", "self_normalised", "squared", "z_loss"))]
WEIGHT_DECAY = "weight decay"
CURBING = ("label smoothing", "confidence penalty", "LogitNorm", "logit penalty", WEIGHT_DECAY)
RELATED = (("variance", "joint"), ("squared", "self-normalised"))  # to second order the same
METRICS = {"test_accuracy": "accuracy", "ece": "ECE", "scaled_nll": "NLL after T"}
LEVEL = {"test_accuracy": 0.01, "ece": 0.02, "scaled_nll": 0.02}  # within it two nets count as the same


def read(store: Store, batch_size: int = 128) -> pd.DataFrame:
    """Nets of the profiles ``mechanism`` and ``centred``, see ``nets_of``."""
    profiles_read = ("mechanism", "centred")
    parts = [nets_of(store, name, f"{name}_tuning", batch_size) for name in profiles_read]
    return pd.concat(parts, ignore_index=True)


def nets_of(store: Store, profile: str, tuning: str, batch_size: int = 128) -> pd.DataFrame:
    """Nets of a profile at a batch size: a row per net and scheme.

    The columns of ``tables.frame``, the ``way`` to train, its ``weight`` (see ``weight_of``), whether logits
    were ``centred``, and whether validation images had ``chosen`` this setting in the profile ``tuning``.
    """
    records = store.select(profiles.profile(profile).runs(batch_sizes=[batch_size]))
    best = choice.by_val_nll(store.select(profiles.profile(tuning).runs()))
    tuned_at = {name: getattr(best[0], name) for name in ("seed", "batch_size", "epochs", "width")}
    about = pd.DataFrame(
        [
            {
                "key": record["key"],
                "way": WEIGHT_DECAY if run.weight_decay else tables.net(run.loss),
                "weight": weight_of(run),
                "centred": run.centred,
                "chosen": replace(run, **tuned_at) in best,
            }
            for run, record in records.items()
        ],
        columns=["key", "way", "weight", "centred", "chosen"],
    ).astype({"centred": bool, "chosen": bool})
    return tables.frame(records.values(), (*SCHEMES, LOWEST_NLL)).merge(about)


def weight_of(run: Run) -> float:
    """Of the penalty beside the cross entropy, or a loss's smoothing or temperature, or, where a loss has
    none of these, the weight decay; 1 where that is 0."""
    options = options_of(run.loss) | dict(run.options)
    has = [options[name] for name in ("kl_weight", "weight", "smoothing", "temperature") if name in options]
    return has[0] if has else run.weight_decay or 1.0


def named(way: str, weight: float) -> str:
    """A way with its weight, "joint 25"."""
    return way if way == "standard" else f"{way} {weight:g}"


def of(
    nets: pd.DataFrame, way: str, metric: str, *, weight: float | None = None, centred=False, scheme="long"
) -> pd.Series:
    """By data set and seed a metric of a way's nets: of that weight, or (None) as it was chosen."""
    rows = nets[(nets["way"] == way) & (nets["scheme"] == scheme) & (nets["centred"] == centred)]
    rows = rows[rows["chosen"] if weight is None else rows["weight"] == weight]
    return rows.set_index(["dataset", "seed"])[metric].sort_index()


def at_same_fit(nets: pd.DataFrame) -> dict[tuple, pd.DataFrame | None]:
    """NLL after T at the end minus the standard net's at the same training NLL, by data set, way and weight.

    A row per seed. Between two epochs at which the standard net is known: on the straight ``line``, and at
    the ``lower`` end. None where a net fits less, or more, than the standard net of its seed at all of them.
    """
    fit = ["train_nll", "scaled_nll"]
    nets = nets[~nets["centred"]].sort_values("train_nll")
    standard = nets[nets["way"] == "standard"].groupby(["dataset", "seed"])[fit]
    ends = nets[nets["scheme"] == "long"].groupby(["dataset", "way", "weight"])
    settings = [key for way in (*EVENING, *CURBING) for key in ends.groups if key[1] == way]
    found = {}
    for key in sorted(settings, key=itemgetter(0)):
        apart = {}
        for seed, here, end in ends.get_group(key)[["seed", *fit]].itertuples(index=False):
            fits, left = standard.get_group((key[0], seed)).to_numpy(float).T
            place = np.searchsorted(fits, here)
            if 0 < place < len(fits):
                beside = np.interp(here, fits, left), left[place - 1 : place + 1].min()
                apart[seed] = end - np.array(beside)
        all_seeds = len(apart) == len(ends.get_group(key))
        found[key] = pd.DataFrame(apart, ["line", "lower"]).T if all_seeds else None
    return found


def below(values: pd.Series, tests: int) -> bool:
    """Whether values over seeds lie below 0 when so many intervals are to hold together."""
    mean, half = tables.interval(values.groupby(lambda _: 0), tests)[["mean", "half"]].iloc[0]
    return mean + half < 0


def alike(nets, metric, one, other, level, weight=None):
    """A metric of two ways differs by less than ``level``."""
    apart = of(nets, one, metric, weight=weight) - of(nets, other, metric, weight=weight)
    return in_all(apart, f"{METRICS[metric]}, {one} minus {other}", -level, level)


def chosen_above_one(nets: pd.DataFrame) -> Measured:
    ours = nets[nets["way"].isin(["joint", "self-normalised"]) & nets["chosen"] & ~nets["centred"]]
    weights = ours.groupby(["dataset", "way"])["weight"].first()
    return exactly((weights > 1).sum(), "of 4 weights", low=3.5)


def calibrate_but_do_not_refine(
    nets: pd.DataFrame, ways: tuple[str, ...] = ("label smoothing", "confidence penalty", "LogitNorm")
) -> Measured | None:
    parts = []
    for way in ways:
        ece = of(nets, way, "ece") - of(nets, "joint", "ece", weight=1.0)
        parts.append(in_all(ece, f"ECE, {way} minus joint", high=0))
        for dataset in nets["dataset"].unique():
            here = nets[nets["dataset"] == dataset]
            more = {best: of(here, way, "scaled_nll") - of(here, best, "scaled_nll") for best in EVENING}
            parts.append(
                any_of(in_all(nll, f"NLL after T, {way} minus {best}", low=0) for best, nll in more.items())
            )
    return all_of(parts)


def decay_moves_least(nets: pd.DataFrame) -> Measured | None:
    moved = {
        way: (of(nets, way, "ece") - of(nets, "standard", "ece")).abs()
        for way in nets["way"].unique()
        if way != "standard"
    }
    least = moved.pop(WEIGHT_DECAY)
    return all_of(
        in_all(other - least, f"ECE moved by {way} minus by decay", low=0) for way, other in moved.items()
    )


def centred_is_calibrated_and_worse(nets: pd.DataFrame) -> Measured | None:
    parts = []
    for metric in ("ece", "test_accuracy"):
        centred = of(nets, "joint", metric, weight=1.0, centred=True)
        free = of(nets, "joint", metric, weight=1.0).reindex(centred.index)  # CIFAR-10 alone has both
        parts.append(in_all(centred - free, f"{METRICS[metric]}, centred minus free", high=0))
    return all_of(parts)


PREDICTIONS = [
    Prediction(
        "At weight 1 the joint loss and the variance train the same net (accuracy within .01, ECE and scaled"
        " NLL within .02), and so do the self-normalised loss and the squared distance.",
        lambda nets: all_of(
            alike(nets, metric, one, other, level, weight=1.0)
            for one, other in RELATED
            for metric, level in LEVEL.items()
        ),
    ),
    Prediction(
        "The chosen weight of the joint and of the self-normalised loss is above 1.", chosen_above_one
    ),
    Prediction(
        "At its chosen weight the z-loss is within .005 (accuracy) and .02 (NLL after T) of the joint loss at"
        " its own.",
        lambda nets: all_of(
            alike(nets, metric, "z-loss", "joint", level)
            for metric, level in (("test_accuracy", 0.005), ("scaled_nll", 0.02))
        ),
    ),
    Prediction(
        "Label smoothing, confidence penalty and LogitNorm calibrate at least as well as the joint loss at"
        " weight 1, and none has a lower NLL after T than the best loss that evens ln Z.",
        calibrate_but_do_not_refine,
    ),
    Prediction("Weight decay moves the ECE least of all.", decay_moves_least),
    Prediction(
        "With centred logits the joint loss calibrates better and classifies worse than with free ones.",
        centred_is_calibrated_and_worse,
    ),
]
