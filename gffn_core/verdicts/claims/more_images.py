"""What we predicted of the contest with more training images, with others, and in large batches."""

import pandas as pd

from gffn_core.experiments import contest, profiles
from gffn_core.experiments.contest import OURS, STANDARD
from gffn_core.experiments.store import Store
from gffn_core.verdicts import values
from gffn_core.verdicts.claim import Prediction
from gffn_core.verdicts.claims.contest import CIFAR as FEWER
from gffn_core.verdicts.claims.contest import DROPOUT, JOINT, JOINT_DECAYED, OTHERS, ahead, better, of, on
from gffn_core.verdicts.claims.relatives import WEIGHT_DECAY
from gffn_core.verdicts.rules import Measured, all_of, exactly, in_all

CIFAR, FASHION = "cifar10_10000", "fashion_mnist_10000"
ALL, SVHN = "cifar10", "svhn"  # where nets have the settings that were chosen on ``CIFAR``
LARGE = "cifar10_10000, batch size 1024"  # as a data set
TUNED = "standard, tuned"  # on ``SVHN``, where the other nets are not


def read(store: Store) -> pd.DataFrame:
    """Nets by ``dataset``, ``contender``, ``scheme`` and ``seed``: metrics and ``kl_weight``.

    Those of 1,000 images are among them, for the weights that were chosen there. ``TUNED`` are the standard
    nets whose rate was chosen on ``SVHN``.
    """
    parts = [on(store, FEWER)[-1]]
    for name in ("contest_more", "combined_more"):
        parts += [on(store, dataset, name)[-1] for dataset in profiles.profile(name).datasets]
    parts.append(on(store, CIFAR, "contest_large")[-1].assign(dataset=LARGE))
    carried, rates = (
        contest.frame(store.select(profiles.profile(name).runs()).values())
        for name in ("contest_carried", "contest_svhn_tuning")
    )
    tuned = carried.merge(contest.chosen(rates)[["dataset", "contender", "scheme", "setting"]])
    parts += [carried, tuned.assign(contender=TUNED)]
    parts = [part for part in parts if len(part)]  # an empty one would make the columns' types objects
    return pd.concat(parts).set_index(["dataset", "contender", "scheme", "seed"]).sort_index()


def _by(nets: pd.DataFrame, dataset: str, who: str, than: str, **least: float) -> Measured | None:
    """On a data set one contender is better than another by more than ``least``, by metric."""
    here = values.on(nets, dataset)
    return all_of(ahead(here, metric, who, than, low) for metric, low in least.items())


def _lead_is_smaller(nets: pd.DataFrame) -> Measured | None:
    nets = values.on(nets, CIFAR)
    return all_of(
        ahead(nets, metric, who, STANDARD, 0, most)
        for who in OURS
        for metric, most in (("scaled_nll", 0.06), ("test_accuracy", 0.02))
    )


def _dropout_is_best(nets: pd.DataFrame) -> Measured | None:
    return all_of(
        _by(nets, CIFAR, DROPOUT, who, scaled_nll=0) for who in (STANDARD, *OTHERS, *OURS) if who != DROPOUT
    )


def _smaller_weights(nets: pd.DataFrame) -> Measured:
    weights, before = (
        {who: of(values.on(nets, dataset), "kl_weight", who).iloc[0] for who in OURS}
        for dataset in (CIFAR, FEWER)
    )
    count = sum(weight <= 25 and weight < before[who] for who, weight in weights.items())
    return exactly(count, "of 2 weights", low=1.5)


def _nobody_gains_on_fashion(nets: pd.DataFrame) -> Measured | None:
    nets = values.on(nets, FASHION)
    return all_of(
        ahead(nets, metric, who, STANDARD, high=most)
        for who in (*OTHERS, *OURS)
        if who != DROPOUT
        for metric, most in (("test_accuracy", 0.01), ("scaled_nll", 0.02))
    )


def _decay_beside_the_joint_loss(nets: pd.DataFrame) -> Measured | None:
    nets = values.on(nets, CIFAR)
    return all_of(
        [
            ahead(nets, "scaled_nll", JOINT_DECAYED, WEIGHT_DECAY, low=0.01),
            ahead(nets, "test_accuracy", JOINT_DECAYED, WEIGHT_DECAY, -0.01, 0.01),
        ]
    )


def _little_is_left_of_all_images(nets: pd.DataFrame) -> Measured | None:
    nets = values.on(nets, ALL)
    return all_of(
        ahead(nets, metric, JOINT, STANDARD, 0, most)
        for metric, most in (("test_accuracy", 0.02), ("scaled_nll", 0.05))
    )


def _both_lead_on_all_images(nets: pd.DataFrame) -> Measured | None:
    return all_of(
        [
            _by(nets, ALL, JOINT_DECAYED, STANDARD, test_accuracy=0.02),
            _by(nets, ALL, JOINT_DECAYED, WEIGHT_DECAY, scaled_nll=0),
        ]
    )


def _less_in_large_batches(nets: pd.DataFrame) -> Measured | None:
    large, small = (
        better(values.on(nets, name), "test_accuracy", JOINT).droplevel("dataset") for name in (LARGE, CIFAR)
    )
    return in_all(small - large, "accuracy gained, 64 minus 1024", low=0)


def _small_batches_are_more_accurate(nets: pd.DataFrame) -> Measured | None:
    best = of(values.on(nets, CIFAR), "test_accuracy", JOINT_DECAYED).droplevel("dataset")
    large = {
        who: of(values.on(nets, LARGE), "test_accuracy", who).droplevel("dataset")
        for who in (*contest.LEADERS, JOINT_DECAYED)
    }
    return all_of(
        in_all(best - one, f"accuracy, ahead of {who} at 1024", low=0) for who, one in large.items()
    )


PREDICTIONS = [
    Prediction(
        "On 10,000 images of CIFAR-10 ours still beat the standard loss in NLL after scaling, by less than"
        " .06; in accuracy by less than .02.",
        _lead_is_smaller,
    ),
    Prediction("Dropout is the best single way there in NLL after scaling.", _dropout_is_best),
    Prediction(
        "The weights that are chosen for ours there are 25 at most, below those at 1,000 images.",
        _smaller_weights,
    ),
    Prediction(
        "On 10,000 images of Fashion-MNIST no way, dropout apart, gains .01 of accuracy or .02 of NLL after"
        " scaling.",
        _nobody_gains_on_fashion,
    ),
    Prediction(
        "On 10,000 images of CIFAR-10 the joint loss with weight decay beats weight decay alone in NLL, by"
        " more than .01; in accuracy the two are within .01.",
        _decay_beside_the_joint_loss,
        time=2,
    ),
    Prediction(
        "There it beats the joint loss alone, in accuracy and in NLL.",
        lambda nets: _by(nets, CIFAR, JOINT_DECAYED, JOINT, test_accuracy=0, scaled_nll=0),
        time=2,
    ),
    Prediction(
        "On all images of CIFAR-10 the joint loss beats the standard one in accuracy and in NLL, by less than"
        " .02 and .05.",
        _little_is_left_of_all_images,
        time=3,
    ),
    Prediction(
        "There weight decay beats the joint loss, in accuracy and in NLL.",
        lambda nets: _by(nets, ALL, WEIGHT_DECAY, JOINT, test_accuracy=0, scaled_nll=0),
        time=3,
    ),
    Prediction(
        "The joint loss with weight decay beats the standard net there by more than .02 of accuracy, and"
        " weight decay alone in NLL.",
        _both_lead_on_all_images,
        time=3,
    ),
    Prediction(
        "On the SVHN subset the joint loss beats the standard one in accuracy, and in NLL by more than .03.",
        lambda nets: _by(nets, SVHN, JOINT, STANDARD, test_accuracy=0, scaled_nll=0.03),
        time=3,
    ),
    Prediction(
        "The standard net with the best of twelve rates on SVHN is behind the joint loss with CIFAR-10's"
        " setting, in accuracy and in NLL by more than .03.",
        lambda nets: _by(nets, SVHN, JOINT, TUNED, test_accuracy=0, scaled_nll=0.03),
        time=4,
    ),
    Prediction(
        "In batches of 1024 the joint loss beats the standard one by more than .01 of accuracy and more than"
        " .02 of NLL.",
        lambda nets: _by(nets, LARGE, JOINT, STANDARD, test_accuracy=0.01, scaled_nll=0.02),
        time=5,
    ),
    Prediction("It gains less accuracy there than in batches of 64.", _less_in_large_batches, time=5),
    Prediction(
        "The joint loss with weight decay beats either alone there, in NLL.",
        lambda nets: all_of(
            _by(nets, LARGE, JOINT_DECAYED, who, scaled_nll=0) for who in (JOINT, WEIGHT_DECAY)
        ),
        time=5,
    ),
    Prediction(
        "No way is as accurate there as the joint loss with weight decay in batches of 64.",
        _small_batches_are_more_accurate,
        time=5,
    ),
]
