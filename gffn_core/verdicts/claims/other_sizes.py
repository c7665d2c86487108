"""What we predicted of relatives and references at other batch sizes, and of relatives on the wide net."""

import pandas as pd

from gffn_core.experiments import choice, profiles, tables
from gffn_core.experiments.store import Store
from gffn_core.training.course import LOWEST_NLL, SCHEMES
from gffn_core.verdicts.claim import Prediction
from gffn_core.verdicts.claims import relatives, repair
from gffn_core.verdicts.claims.relatives import CURBING, LEVEL, METRICS, RELATED
from gffn_core.verdicts.rules import Measured, all_of, in_all

SMALL, FIRST, LARGE, WIDE = "batch size 8", "batch size 128", "batch size 2048", "wide net"
CIFAR = "cifar10_10000"
BLUR, FOUR = repair.BLURRED, repair.MENDED
REFERENCES = {  # by loss and setting
    repair.WAYS[way]: way
    for way in (
        BLUR,
        FOUR,
        "self-normalised, four kinds",
        repair.EXPOSED,
        repair.RIVAL,
        "energy margin, blur",
    )
} | {("labelled", repair.BLUR): "blur with labels"}


def read(store: Store) -> pd.DataFrame:
    """Nets as ``relatives.nets_of`` has them, with the ``place`` where they were trained.

    Those with references in the sum count as ``chosen``; their ``way`` is of ``REFERENCES``.
    """
    places = {
        SMALL: [relatives.read(store, 8), _with_references(store, 8)],
        FIRST: [relatives.read(store), _with_references(store, 128)],
        LARGE: [relatives.read(store, 2048), _with_references(store, 2048)],
        WIDE: [
            relatives.nets_of(store, "mechanism_wide", "mechanism_tuning"),
            _with_references(store, 128, "references_wide"),
        ],
    }
    return pd.concat(nets.assign(place=place) for place, parts in places.items() for nets in parts)


def _with_references(store, batch_size, profile="references"):
    records = store.select(profiles.profile(profile).runs(batch_sizes=[batch_size]))
    ways = {
        record["key"]: REFERENCES.get((run.loss, choice.in_words(run))) for run, record in records.items()
    }
    nets = tables.frame(records.values(), (*SCHEMES, LOWEST_NLL))
    return nets.assign(way=nets["key"].map(ways), weight=1.0, centred=False, chosen=True).dropna(subset="way")


def of(nets: pd.DataFrame, place: str, way: str, metric: str, **which) -> pd.Series:
    """``relatives.of`` the nets of a place."""
    return relatives.of(nets[nets["place"] == place], way, metric, **which)


def _apart(nets, place, one, other, metric, **which):
    """By data set and seed a metric of a way less that of another."""
    return of(nets, place, one, metric, **which) - of(nets, place, other, metric, **which)


def same_at_weight_one(nets: pd.DataFrame) -> Measured | None:
    here = nets[nets["place"] == SMALL]
    return all_of(
        all_of(relatives.alike(here, metric, one, other, level, 1.0) for metric, level in LEVEL.items())
        for one, other in RELATED
    )


def alike_on_cifar(nets: pd.DataFrame, place: str, one: str, other: str) -> Measured | None:
    """On CIFAR-10 two ways, each at its chosen weight, count as the same net."""
    here = nets[(nets["dataset"] == CIFAR) & (nets["place"] == place)]
    return all_of(
        relatives.alike(here, metric, one, other, most)
        for metric, most in (("test_accuracy", 0.01), ("scaled_nll", 0.02))
    )


def refines_more_than_others(nets: pd.DataFrame) -> Measured | None:
    return all_of(
        in_all(_apart(nets, SMALL, "joint", way, "scaled_nll"), f"NLL after T, joint minus {way}", high=0)
        for way in ("standard", *CURBING)
    )


def centred_calibrates_and_does_not_refine(nets: pd.DataFrame) -> Measured | None:
    change = {
        metric: of(nets, SMALL, "joint", metric, weight=1.0, centred=True)
        - of(nets, SMALL, "joint", metric, weight=1.0).xs(CIFAR, level="dataset", drop_level=False)
        for metric in ("ece", "scaled_nll")
    }
    return all_of(
        [
            in_all(change["ece"], "ECE, centred minus free", high=0),
            in_all(change["scaled_nll"], "NLL after T, centred minus free", low=0),
        ]
    )


def finds_svhn(nets: pd.DataFrame, place: str) -> Measured | None:
    here = nets[nets["dataset"] == CIFAR]
    return all_of(
        [
            in_all(of(nets, place, FOUR, "auroc_log_px"), "AUROC", low=0.8),
            in_all(_apart(here, place, FOUR, "joint", "test_accuracy", weight=1.0), "accuracy", low=-0.01),
        ]
    )


def blur_gains(nets: pd.DataFrame) -> Measured | None:
    here = nets[nets["dataset"] == CIFAR]
    return in_all(_apart(here, SMALL, BLUR, "joint", "test_accuracy", weight=1.0), "accuracy", low=0)


def wide_gains(nets: pd.DataFrame) -> Measured | None:
    parts = []
    for scheme in ("long", LOWEST_NLL):
        for metric, side in (("test_accuracy", "low"), ("scaled_nll", "high")):
            gain = _apart(nets, WIDE, "joint", "standard", metric, scheme=scheme)
            parts.append(in_all(gain, f"{METRICS[metric]}, {scheme}", **{side: 0.0}))
    return all_of(parts)


def large_batches_gain_nothing(nets: pd.DataFrame) -> Measured | None:
    here = nets[nets["dataset"] == CIFAR]
    return all_of(
        in_all(
            _apart(here, LARGE, way, "standard", "scaled_nll"), f"NLL after T, {way} minus standard", -0.02
        )
        for way in ("joint", "z-loss")
    )


def weight_counts_on_the_wide_net(nets: pd.DataFrame) -> Measured | None:
    chosen, one = (of(nets, WIDE, "joint", "scaled_nll", weight=weight) for weight in (25.0, 1.0))
    return in_all(one - chosen, "NLL after T, weight 1 minus 25", low=0.02)


def heavy_z_loss_is_behind(nets: pd.DataFrame) -> Measured | None:
    heavy = of(nets, WIDE, "z-loss", "scaled_nll", weight=12.5)
    behind = heavy - of(nets, WIDE, "joint", "scaled_nll", weight=25.0)
    return in_all(behind, "NLL after T, z-loss minus joint", low=0.02)


PREDICTIONS = [
    Prediction(
        "Batch size 8, weight 1: the joint loss and the variance train the same net (accuracy within .01,"
        " ECE and NLL after T within .02), and so do the self-normalised loss and the squared distance.",
        same_at_weight_one,
    ),
    Prediction(
        "Batch size 8, CIFAR-10: the z-loss is within .01 (accuracy) and .02 (NLL after T) of the joint loss"
        " at weight 25.",
        lambda nets: alike_on_cifar(nets, SMALL, "z-loss", "joint"),
    ),
    Prediction(
        "Batch size 8: the joint loss at its chosen weight has a lower NLL after T than the standard net and"
        " than all that curbs confidence.",
        refines_more_than_others,
    ),
    Prediction(
        "Batch size 8, weight 1: with centred logits the joint loss has a lower ECE than with free ones, and"
        " no lower NLL after T.",
        centred_calibrates_and_does_not_refine,
    ),
    Prediction(
        "Batch size 8: with all four kinds of references $\\ln p(x)$ tells SVHN with an AUROC above .8, and"
        " accuracy falls by less than .01.",
        lambda nets: finds_svhn(nets, SMALL),
    ),
    Prediction("Batch size 8: blurred references raise the joint loss's accuracy.", blur_gains),
    Prediction(
        "Wide net: the joint loss at weight 25 gains accuracy and NLL after T on the standard net, at the end"
        " and at the lowest validation NLL.",
        wide_gains,
    ),
    Prediction(
        "Wide net: the z-loss is within .01 (accuracy) and .02 (NLL after T) of the joint loss at weight 25.",
        lambda nets: alike_on_cifar(nets, WIDE, "z-loss", "joint"),
    ),
    Prediction(
        "Batch size 2048, CIFAR-10: neither the joint loss at weight 25 nor the z-loss is more than .02 below"
        " the standard net in NLL after T.",
        large_batches_gain_nothing,
    ),
    Prediction(
        "Wide net: at weight 1 the joint loss's NLL after T is more than .02 above that at weight 25.",
        weight_counts_on_the_wide_net,
        time=2,
    ),
    Prediction(
        "Wide net: the z-loss at 12.5, the same to second order, is more than .02 behind the joint loss at"
        " 25 in NLL after T.",
        heavy_z_loss_is_behind,
        time=2,
    ),
    Prediction(
        "Batch size 2048, CIFAR-10: the squared distance is within .01 (accuracy) and .02 (NLL after T) of"
        " the self-normalised loss, both at 5, and the variance as close to the joint loss, both at 25.",
        lambda nets: all_of(alike_on_cifar(nets, LARGE, *pair) for pair in RELATED),
        time=3,
    ),
    Prediction(
        "Batch size 2048, CIFAR-10: weight decay is within .01 (accuracy) and .02 (NLL after T) of the"
        " standard net.",
        lambda nets: alike_on_cifar(nets, LARGE, relatives.WEIGHT_DECAY, "standard"),
        time=3,
    ),
    Prediction(
        "Batch size 2048: with all four kinds of references $\\ln p(x)$ tells SVHN with an AUROC above .8,"
        " and accuracy falls by less than .01.",
        lambda nets: finds_svhn(nets, LARGE),
        time=3,
    ),
    Prediction(
        "Wide net: with all four kinds of references $\\ln p(x)$ tells SVHN with an AUROC above .8, and"
        " accuracy falls by less than .01.",
        lambda nets: finds_svhn(nets, WIDE),
        time=3,
    ),
]
