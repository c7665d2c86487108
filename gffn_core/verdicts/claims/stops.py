"""What we predicted of nets that stop at the lowest NLL after temperature scaling, and are tuned for that."""

import pandas as pd

from gffn_core.experiments.contest import DROPOUT_DECAYED, JOINT_DECAYED, JOINT_DROPPED, LEADERS, STANDARD
from gffn_core.experiments.store import Store
from gffn_core.training.course import LOWEST_SCALED_NLL
from gffn_core.verdicts import values
from gffn_core.verdicts.claim import Prediction
from gffn_core.verdicts.claims.contest import (
    CIFAR,
    DATASETS,
    DROPOUT,
    DROPOUT_MOVED,
    FASHION,
    JOINT,
    JOINT_MOVED,
    WIDE,
    ahead,
    on,
)
from gffn_core.verdicts.claims.relatives import WEIGHT_DECAY
from gffn_core.verdicts.rules import Measured, all_of

MORE = "cifar10_10000"


def read(store: Store) -> pd.DataFrame:
    """Nets by ``dataset``, ``contender``, ``scheme`` and ``seed``; "wide net, joint" is a contender, too."""
    wide = on(store, CIFAR, "refined_wide", (LOWEST_SCALED_NLL,))[-1]
    parts = [on(store, dataset, "refined", (LOWEST_SCALED_NLL,))[-1] for dataset in DATASETS]
    parts.append(on(store, MORE, "refined_more", (LOWEST_SCALED_NLL,))[-1])
    parts = [part for part in parts if len(part)]  # an empty one would make the columns' types objects
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
    Prediction(
        "On 10,000 images of CIFAR-10 the joint loss is more accurate than the standard one by more than .01"
        " and less than .03.",
        lambda nets: _lead(nets, MORE, "test_accuracy", JOINT, low=0.01, high=0.03),
        time=2,
    ),
    Prediction(
        "Dropout is at least as accurate as the joint loss there, up to .005.",
        lambda nets: _lead(nets, MORE, "test_accuracy", DROPOUT, JOINT, low=-0.005),
        time=2,
    ),
    Prediction(
        "There weight decay and the joint loss are within .01 of accuracy and .02 of NLL of each other.",
        lambda nets: all_of(
            _lead(nets, MORE, metric, JOINT, WEIGHT_DECAY, low=-most, high=most)
            for metric, most in (("test_accuracy", 0.01), ("scaled_nll", 0.02))
        ),
        time=2,
    ),
    Prediction(
        "There the joint loss with weight decay has the highest accuracy and the lowest NLL of the five.",
        lambda nets: all_of(
            _lead(nets, MORE, metric, JOINT_DECAYED, who, low=0)
            for metric in ("test_accuracy", "scaled_nll")
            for who in (STANDARD, WEIGHT_DECAY, DROPOUT, JOINT)
        ),
        time=2,
    ),
    Prediction(
        "On 1,000 images of CIFAR-10 the joint loss with dropout is more accurate than either alone.",
        lambda nets: all_of(
            _lead(nets, CIFAR, "test_accuracy", JOINT_DROPPED, who, low=0) for who in (JOINT, DROPOUT)
        ),
        time=3,
    ),
    Prediction(
        "So it is on the wide net.",
        lambda nets: all_of(
            _lead(nets, CIFAR, "test_accuracy", WIDE + JOINT_DROPPED, WIDE + who, low=0)
            for who in (JOINT, DROPOUT)
        ),
        time=3,
    ),
    Prediction(
        "On 10,000 images of CIFAR-10 the joint loss with weight decay is more accurate than dropout with"
        " weight decay, and has a lower NLL.",
        lambda nets: all_of(
            _lead(nets, MORE, metric, JOINT_DECAYED, DROPOUT_DECAYED, low=0)
            for metric in ("test_accuracy", "scaled_nll")
        ),
        time=4,
    ),
]
