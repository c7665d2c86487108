"""What we predicted of the two losses when each has its own learning rate."""

import pandas as pd

from gffn_core.experiments import contest, profiles
from gffn_core.experiments.contest import STANDARD
from gffn_core.experiments.store import Store
from gffn_core.training.course import LOWEST_NLL
from gffn_core.verdicts.claim import Prediction
from gffn_core.verdicts.rules import Measured, all_of, exactly, in_all

JOINT = "joint"
OWN = "own"  # in place of a rate: that which validation chose for the loss
RATES = (3e-3, 1e-3, 3e-4, 1e-4)
LEVEL = ("dataset", "contender", "scheme")


def read(store: Store) -> pd.DataFrame:
    """The nets of the predictions, as ``nets_of`` has them."""
    return nets_of(store, "rates")


def nets_of(store: Store, profile: str) -> pd.DataFrame:
    """The nets of a profile by ``dataset``, ``contender``, ``scheme``, ``rate`` and ``seed``.

    At the rate ``OWN`` stand once more, of seeds that were trained at all rates, those of the rate with the
    lowest NLL of validation images, mean over seeds; ``chosen`` says which.
    """
    nets = contest.frame(store.select(profiles.profile(profile).runs()).values())
    nets = nets.rename(columns={"learning_rate": "rate"})
    own = nets[nets.groupby([*LEVEL, "seed"])["rate"].transform("nunique") == len(RATES)]
    own = own.assign(of_rate=own.groupby([*LEVEL, "rate"])["val_nll"].transform("mean"))
    own = own[own["of_rate"] == own.groupby([*LEVEL])["of_rate"].transform("min")]
    own = own.assign(chosen=own["rate"], rate=OWN)
    return pd.concat([nets, own]).set_index([*LEVEL, "rate", "seed"])


def of(nets: pd.DataFrame, metric: str, who: str, scheme: str, rate: float | str = OWN) -> pd.Series:
    """By data set and seed a metric of one loss."""
    rows = nets.query("contender == @who and scheme == @scheme and rate == @rate")
    return rows[metric].droplevel(["contender", "scheme", "rate"])


def ahead(nets: pd.DataFrame, metric: str, scheme: str, rate: float | str = OWN) -> pd.Series:
    """By data set and seed by how much the joint net is better than the standard one."""
    sign = 1 if metric == "test_accuracy" else -1
    return sign * (of(nets, metric, JOINT, scheme, rate) - of(nets, metric, STANDARD, scheme, rate))


def _ahead_at_its_own_rate(nets: pd.DataFrame) -> Measured | None:
    return all_of(
        in_all(ahead(nets, metric, LOWEST_NLL), f"{what}, joint ahead", 0, most)
        for metric, what, most in (("test_accuracy", "accuracy", 0.01), ("scaled_nll", "NLL after T", 0.02))
    )


def _a_small_rate_does_as_much(nets: pd.DataFrame) -> Measured | None:
    rates = of(nets, "chosen", STANDARD, "long").groupby("dataset").first()
    left = of(nets, "ece", JOINT, "long") / of(nets, "ece", STANDARD, "long")
    return all_of(
        [
            exactly((rates == min(RATES)).sum(), "of 2 rates are .0001", low=1.5),
            in_all(left, "of the standard ECE, each at its own rate", low=2 / 3),
        ]
    )


PREDICTIONS = [
    Prediction(
        "Stopped, each loss at its own rate, the joint loss is ahead on both data sets, in accuracy by less"
        " than .01, in NLL after T by less than .02.",
        _ahead_at_its_own_rate,
    ),
    Prediction(
        "To the end, the standard loss chooses a rate of .0001, and the joint ECE is more than two thirds of"
        " the standard one.",
        _a_small_rate_does_as_much,
    ),
    Prediction(
        "At each of the four rates the joint ECE at the end is the lower one.",
        lambda nets: all_of(
            in_all(ahead(nets, "ece", "long", rate), f"ECE, joint below, rate {rate:g}", low=0)
            for rate in RATES
        ),
    ),
]
