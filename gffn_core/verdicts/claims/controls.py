"""What we predicted of the two losses where one choice is another: the rate, the images, the width."""

import pandas as pd

from gffn_core.experiments import profiles
from gffn_core.experiments.contest import STANDARD
from gffn_core.experiments.store import Store
from gffn_core.training.course import LOWEST_NLL
from gffn_core.verdicts.claim import Prediction
from gffn_core.verdicts.claims import rates
from gffn_core.verdicts.claims.rates import JOINT, OWN, ahead, of
from gffn_core.verdicts.rules import Measured, all_of, in_all

# Where: the profile.
LARGE, ALL, WIDE = "rates_large", "controls", "wide"
CIFAR = ["cifar10", "cifar10_10000"]


def read(store: Store) -> pd.DataFrame:
    """Nets as ``rates.nets_of`` has them, with the ``place`` where they were trained."""
    return pd.concat({place: rates.nets_of(store, place) for place in (LARGE, ALL, WIDE)}, names=["place"])


def at(nets: pd.DataFrame, place: str) -> pd.DataFrame:
    """Those of one place, as ``rates`` takes them; none until all its data sets are there.

    On all images the net of the usual rate is the wide one.
    """
    here = nets.query("place == @place").droplevel("place")
    complete = set(here.index.unique("dataset")) == set(profiles.profile(place).datasets)
    return here if complete else here.iloc[:0]


def rate_decides_the_error(nets: pd.DataFrame) -> Measured | None:
    here = at(nets, LARGE)
    return all_of(
        in_all(ahead(here, "ece", "long", rate), f"ECE, joint below, rate {rate:g}", **side)
        for rate, side in ((3e-3, {"low": 0}), (1e-3, {"low": 0}), (1e-4, {"high": 0}))
    )


def own_rate_at_large_batches(nets: pd.DataFrame) -> Measured | None:
    here = at(nets, LARGE)
    parts = []
    for metric, what, level in (("test_accuracy", "accuracy", 0.01), ("scaled_nll", "NLL after T", 0.02)):
        gain = ahead(here, metric, LOWEST_NLL, OWN)
        cifar = gain.index.get_level_values("dataset").isin(CIFAR)
        parts.append(in_all(gain[cifar], f"{what}, joint ahead", -level, level))
        parts.append(in_all(gain[~cifar], f"{what}, joint ahead", 0))
    return all_of(parts)


def small_rate_on_all_images(nets: pd.DataFrame) -> Measured | None:
    here = at(nets, ALL)
    left = of(here, "ece", JOINT, "long", 3e-4) / of(here, "ece", STANDARD, "long", 3e-4)
    return all_of(
        [
            in_all(ahead(here, "test_accuracy", "long", 3e-4), "accuracy, joint ahead", -0.01, 0.01),
            in_all(left, "of the standard ECE", high=0.5),
        ]
    )


def wide_net_gains(nets: pd.DataFrame) -> Measured | None:
    here = at(nets, WIDE)
    return all_of(
        in_all(ahead(here, metric, scheme, 1e-3), f"{what}, joint better, {scheme}", 0)
        for metric, what, scheme in (
            ("test_accuracy", "accuracy", "long"),
            ("test_accuracy", "accuracy", LOWEST_NLL),
            ("ece", "ECE", "long"),
        )
    )


def log_px_detects_less(nets: pd.DataFrame) -> Measured | None:
    here = nets.query("dataset in @CIFAR and scheme == 'long' and rate != @OWN")
    losses = here["auroc_log_px"].unstack("contender").reindex(columns=[JOINT, STANDARD])
    return in_all(losses[JOINT] - losses[STANDARD], "AUROC of ln p(x), joint minus standard", high=0)


PREDICTIONS = [
    Prediction(
        "Batch size 1,024: at the end the joint ECE is the lower one at rates of .003 and .001, and the"
        " higher one at .0001.",
        rate_decides_the_error,
    ),
    Prediction(
        "Batch size 1,024, stopped, each loss at its own rate: on Fashion-MNIST the joint loss is ahead in"
        " accuracy and NLL after T, on CIFAR-10 by less than .01 and .02 in either direction.",
        own_rate_at_large_batches,
    ),
    Prediction(
        "All images, rate .0003: at the end the accuracies are within .01, and the joint ECE is less than"
        " half of the standard one.",
        small_rate_on_all_images,
    ),
    Prediction(
        "All images, rate .003: at the end the joint net is the more accurate one.",
        lambda nets: in_all(ahead(at(nets, ALL), "test_accuracy", "long", 3e-3), "accuracy, joint ahead", 0),
    ),
    Prediction(
        "Wide net, 10,000 images: the joint net is the more accurate one at the end and stopped, on both data"
        " sets, and has the lower ECE at the end.",
        wide_net_gains,
    ),
    Prediction(
        "On CIFAR-10, wherever one of these choices is another, the joint net's $\\ln p(x)$ tells SVHN less"
        " well at the end than the standard net's.",
        log_px_detects_less,
    ),
]
