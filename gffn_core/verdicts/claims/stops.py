"""What we predicted of nets that stop at the lowest NLL after temperature scaling, and are tuned for that."""

import pandas as pd

from gffn_core.experiments.contest import LEADERS, STANDARD
from gffn_core.experiments.store import Store
from gffn_core.training.course import LOWEST_SCALED_NLL
from gffn_core.verdicts import values
from gffn_core.verdicts.claim import Prediction
from gffn_core.verdicts.claims.contest import (
    CIFAR,
    DATASETS,
    DROPOUT_MOVED,
    FASHION,
    JOINT,
    JOINT_MOVED,
    WIDE,
    ahead,
    on,
)
from gffn_core.verdicts.rules import Measured, all_of


def read(store: Store) -> pd.DataFrame:
    """Nets by ``dataset``, ``contender``, ``scheme`` and ``seed``; "wide net, joint" is a contender, too."""
    wide = on(store, CIFAR, "refined_wide", (LOWEST_SCALED_NLL,))[-1]
    parts = [on(store, dataset, "refined", (LOWEST_SCALED_NLL,))[-1] for dataset in DATASETS]
    nets = pd.concat([*parts, wide.assign(contender=[WIDE + who for who in wide["contender"]])])
    return nets.set_index(["dataset", "contender", "scheme", "seed"]).sort_index()


def _lead(nets: pd.DataFrame, dataset: str, *what: str, **bounds: float) -> Measured | None:
    """``ahead`` on one data set, of nets that stop so."""
    return ahead(values.on(nets, dataset), *what, **bounds, scheme=LOWEST_SCALED_NLL)


PREDICTIONS = [
    Prediction(
        "On 1,000 images of CIFAR-10 the joint loss is more accurate than the standard one by more than .02"
        " and less than .042.",
        lambda nets: _lead(nets, CIFAR, "test_accuracy", JOINT, low=0.02, high=0.042),
    ),
    Prediction(
        "There it has the highest accuracy and the lowest NLL of the five.",
        lambda nets: all_of(
            _lead(nets, CIFAR, metric, JOINT, who, low=0)
            for metric in ("test_accuracy", "scaled_nll")
            for who in LEADERS
            if who != JOINT
        ),
    ),
    Prediction(
        "Beside augmentation dropout is at least as accurate as the joint loss, up to .005.",
        lambda nets: _lead(nets, CIFAR, "test_accuracy", DROPOUT_MOVED, JOINT_MOVED, low=-0.005),
    ),
    Prediction(
        "On 1,000 images of Fashion-MNIST the joint loss is more accurate than the standard one by more than"
        " .01.",
        lambda nets: _lead(nets, FASHION, "test_accuracy", JOINT, low=0.01),
    ),
    Prediction(
        "On the wide net the joint loss is more accurate than the standard one by more than .03 and less than"
        " .06.",
        lambda nets: _lead(nets, CIFAR, "test_accuracy", WIDE + JOINT, WIDE + STANDARD, low=0.03, high=0.06),
    ),
]
