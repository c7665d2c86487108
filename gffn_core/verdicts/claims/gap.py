"""What we predicted of ways to close the gap between small and large batches."""

from dataclasses import replace
from functools import cache

import pandas as pd

from gffn_core.experiments import choice, profiles, tables
from gffn_core.experiments.store import Store
from gffn_core.training.course import LOWEST_NLL
from gffn_core.training.run import Run
from gffn_core.verdicts.claim import Prediction
from gffn_core.verdicts.rules import Measured, all_of, any_of, in_all

SMALL, LARGE = 32, 2048
NETS = {loss: tables.net(loss) for loss in ("conditional", "self_normalised")}
STANDARD, OURS = NETS.values()
PLAIN, LONG = "plain", "plain, 200 epochs"
GHOST, DROPOUT, DECAY, AUGMENTED = "ghost batch norm", "dropout", "weight decay", "augmentation"
TOGETHER = "together"
ACCURACY, NLL = "test_accuracy", "scaled_nll"
BETTER = {ACCURACY: 1, NLL: -1}  # the direction
TITLES = {ACCURACY: "accuracy", NLL: "NLL"}
MORE = ("nll", "ece", "train_accuracy", "epoch", "budget")  # what the chapters need beside them
LEVELS = {ACCURACY: 0.01, NLL: 0.02}  # within them two nets count as the same
RATE = 8e-3  # of thesis (5.1) at the large batch
LONGER = ", 120 epochs"  # at the small batch, as at the large one where images change
LONGEST = ", 360 epochs"  # at the large one
ALL_FOUR = "all four"  # at the large batch the standard net's recipe, with the other loss
MILD = {share: f"{AUGMENTED}, dropout {share:g}" for share in (0.2, 0.4)}  # at the small one, 120 epochs


def way_of(run: Run) -> str:
    """What is done beside the plain net; at the large batch that has the rate of thesis (5.1)."""
    used = {
        GHOST: run.norm == "ghost",
        DROPOUT: run.dropout > 0,
        DECAY: run.weight_decay > 0,
        AUGMENTED: bool(run.augmentation),
    }
    names = [name for name, is_used in used.items() if is_used]
    if names == [DROPOUT, AUGMENTED] and run.batch_size == SMALL:
        return MILD[run.dropout]
    if len(names) == 4 and run.batch_size == LARGE and NETS[run.loss] == OURS:
        return ALL_FOUR
    if names:
        longer = {(SMALL, 120): LONGER, (LARGE, 360): LONGEST}.get((run.batch_size, run.epochs), "")
        return (names[0] if len(names) == 1 else TOGETHER) + longer
    if run.batch_size == LARGE and run.learning_rate < RATE:
        return LONG if run.learning_rate == Run.learning_rate else f"{PLAIN}, rate {run.learning_rate:g}"
    return PLAIN


def read(store: Store, scheme: str = LOWEST_NLL) -> pd.DataFrame:
    """Nets of the three profiles ``gap...`` that report, at the epoch of a scheme.

    ``budget``: the epochs that a net could have had.

    Rows ``net`` (of ``NETS``), ``batch_size``, ``seed``; columns ``metric``, ``way``. NaN where a run is
    missing.
    """
    runs = [run for name in ("gap", "gap_longer", "gap_control") for run in profiles.profile(name).runs()]
    records = {run: record for run, record in store.select(runs).items() if not record["diverged"]}
    nets = tables.frame(records.values(), (scheme,))
    nets["way"] = [way_of(run) for run in records]
    nets["budget"] = [run.epochs for run in records]
    nets["net"] = nets["loss"].map(NETS)
    levels = {"net": NETS.values(), "batch_size": (SMALL, LARGE), "seed": {run.seed for run in runs}}
    columns = {"metric": [*TITLES, *MORE], "way": dict.fromkeys(map(way_of, runs))}
    rows, columns = (pd.MultiIndex.from_product(map(list, of.values()), names=of) for of in (levels, columns))
    return nets.pivot(index=[*levels], columns="way", values=columns.levels[0]).reindex(rows, columns=columns)


@cache
def bases() -> dict[tuple[int, str], str]:
    """Of each batch size and way the plain net with the same learning rate."""
    plain = {name: getattr(Run, name) for name in choice.REGULARISERS}
    runs = profiles.profile("gap").runs()
    return {(run.batch_size, way_of(run)): way_of(replace(run, **plain)) for run in runs}


def _of(nets, metric, way, net=None, size=None):
    """A metric of a way, by the levels that are not given."""
    found = nets[metric, way]
    for level, value in (("net", net), ("batch_size", size)):
        if value is not None:
            found = found.xs(value, level=level)
    return found


def _gain(nets, metric, way, than=None, sizes=(SMALL, LARGE)):
    """By how much a way is better than another, or (None) than its plain net."""
    base = bases()
    gains = {
        size: _of(nets, metric, way, size=size) - _of(nets, metric, than or base[size, way], size=size)
        for size in sizes
    }
    return BETTER[metric] * pd.concat(gains, names=["batch_size"])


def rate_halves_the_gap(nets: pd.DataFrame) -> Measured | None:
    small, long, fast = (
        _of(nets, NLL, way, size=size) for way, size in ((PLAIN, SMALL), (LONG, LARGE), (PLAIN, LARGE))
    )
    return in_all((small + long) / 2 - fast, "NLL below the middle", low=0)


def augmentation_is_best_alone(nets: pd.DataFrame) -> Measured | None:
    parts = [
        in_all(_gain(nets, ACCURACY, AUGMENTED), "accuracy gained", low=0.03),
        in_all(_gain(nets, NLL, AUGMENTED), "NLL gained", low=0),
        in_all(_gain(nets, NLL, DROPOUT), "NLL gained by dropout", low=0),
    ]
    for other in (GHOST, DROPOUT, DECAY, LONG):
        sizes = (LARGE,) if other == LONG else (SMALL, LARGE)
        for metric in BETTER:
            more = _gain(nets, metric, AUGMENTED, other, sizes)
            parts.append(in_all(more, f"{TITLES[metric]}, better than {other}", low=0))
        if other != DROPOUT:
            second = _gain(nets, NLL, DROPOUT, other, sizes)
            parts.append(in_all(second, f"NLL, dropout better than {other}", low=0))
    return all_of(parts)


def ghosts_close_it(nets: pd.DataFrame) -> Measured | None:
    return _within(
        lambda metric: _of(nets, metric, GHOST, size=SMALL) - _of(nets, metric, GHOST, size=LARGE),
        {ACCURACY: 0.01, NLL: 0.03},
    )


def _within(difference, levels=LEVELS):
    return all_of(
        in_all(difference(metric), TITLES[metric], -level, level) for metric, level in levels.items()
    )


def small_batches_stay_ahead(nets: pd.DataFrame) -> Measured | None:
    together = _of(nets, ACCURACY, TOGETHER, size=SMALL) - _of(nets, ACCURACY, TOGETHER, size=LARGE)
    parts = [in_all(together, "accuracy, together", high=0.015)]
    for metric in BETTER:
        small, large = (_candidates(nets, metric, size) for size in (SMALL, LARGE))
        parts.append(
            any_of(
                all_of(
                    in_all(one - other, f"{TITLES[metric]}, {name} beats {rival}", low=0)
                    for rival, other in large.items()
                )
                for name, one in small.items()
            )
        )
    return all_of(parts)


def _candidates(nets, metric, size):
    """By name the nets of a batch size that may be the best, higher is better."""
    ways = {way for batch_size, way in bases() if batch_size == size}
    return {
        f"{way} ({net}) at {size}": BETTER[metric] * _of(nets, metric, way, net, size)
        for way in sorted(ways)
        for net in NETS.values()
    }


def joint_gain_is_regularisation(nets: pd.DataFrame) -> Measured | None:
    parts = [
        in_all(_lead(nets, metric, TOGETHER), f"{TITLES[metric]}, together", -level, level)
        for metric, level in LEVELS.items()
    ]
    plain = [
        in_all(_lead(nets, metric, PLAIN, SMALL), f"{TITLES[metric]}, plain", low=level)
        for metric, level in LEVELS.items()
    ]
    return all_of([*parts, any_of(plain)])


def _lead(nets, metric, way, size=None):
    """By how much the self-normalised net is better than the standard one."""
    return BETTER[metric] * (_of(nets, metric, way, OURS, size) - _of(nets, metric, way, STANDARD, size))


def half_is_left_beside_others(nets: pd.DataFrame) -> Measured | None:
    plain, *beside = (_lead(nets, NLL, way, SMALL) for way in (PLAIN, AUGMENTED, DROPOUT))
    parts = []
    for way, gain in zip((AUGMENTED, DROPOUT), beside):
        parts.append(in_all(gain, f"NLL gained beside {way}", low=0))
        parts.append(in_all(plain / 2 - gain, f"NLL, half of the gain minus that beside {way}", low=0))
    return all_of(parts)


def longer_is_better(nets: pd.DataFrame) -> Measured | None:
    gain = _of(nets, ACCURACY, TOGETHER + LONGER, size=SMALL) - _of(nets, ACCURACY, TOGETHER, size=SMALL)
    return in_all(gain, "accuracy gained", low=0.02)


def small_is_ahead_after_all(nets: pd.DataFrame) -> Measured | None:
    lead = _of(nets, ACCURACY, TOGETHER + LONGER, size=SMALL) - _of(nets, ACCURACY, TOGETHER, size=LARGE)
    return in_all(lead, "accuracy, 32 minus 2048", low=0.005)


def augmentation_alone_has_had_enough(nets: pd.DataFrame) -> Measured | None:
    return _within(
        lambda metric: (
            _of(nets, metric, AUGMENTED + LONGER, size=SMALL) - _of(nets, metric, AUGMENTED, size=SMALL)
        )
    )


def little_dropout_helps_the_standard_net(nets: pd.DataFrame) -> Measured | None:
    plain = AUGMENTED + LONGER
    parts = []
    for metric, least in {ACCURACY: 0.005, NLL: 0.02}.items():
        gain = BETTER[metric] * (
            _of(nets, metric, MILD[0.4], STANDARD, SMALL) - _of(nets, metric, plain, STANDARD, SMALL)
        )
        parts.append(in_all(gain, f"{TITLES[metric]} gained by dropout .4", low=least))
    return all_of(parts)


def beside_dropout_half_is_left(nets: pd.DataFrame) -> Measured | None:
    parts = []
    for metric in BETTER:
        with_it, without = (_lead(nets, metric, way, SMALL) for way in (MILD[0.4], AUGMENTED + LONGER))
        parts.append(in_all(with_it, f"{TITLES[metric]}, lead beside dropout .4", low=0))
        parts.append(in_all(without / 2 - with_it, f"{TITLES[metric]}, half the lead minus that", low=0))
    return all_of(parts)


def ours_stays_the_best_at_small(nets: pd.DataFrame) -> Measured | None:
    ways = (AUGMENTED + LONGER, *MILD.values())
    ours, rivals = ({way: _of(nets, NLL, way, net, SMALL) for way in ways} for net in (OURS, STANDARD))
    return any_of(
        all_of(
            in_all(rival - one, f"NLL, {way} beats the standard net's {other}", low=0)
            for other, rival in rivals.items()
        )
        for way, one in ours.items()
    )


def all_four_serve_ours_as_well(nets: pd.DataFrame) -> Measured | None:
    behind = _of(nets, ACCURACY, ALL_FOUR, OURS, LARGE) - _of(nets, ACCURACY, TOGETHER, STANDARD, LARGE)
    return in_all(behind, "accuracy, self-normalised minus standard", -0.01, 0.01)


PREDICTIONS = [
    Prediction(
        "For both losses the rate of .008 takes away at least half of what the NLL at 2048, 200 epochs at"
        " .001, lies above that at 32.",
        rate_halves_the_gap,
    ),
    Prediction(
        "Augmentation is the best method alone in accuracy and in NLL, at both batch sizes and for both"
        " losses, and gains at least .03 of accuracy. Dropout is the second best in NLL.",
        augmentation_is_best_alone,
    ),
    Prediction(
        "Weight decay gains less than .01 of accuracy at both batch sizes and for both losses.",
        lambda nets: in_all(_gain(nets, ACCURACY, DECAY), "accuracy gained", high=0.01),
    ),
    Prediction(
        "With ghost batch norm alone the nets of 2048 are within .01 in accuracy and .03 in NLL of those"
        " of 32.",
        ghosts_close_it,
    ),
    Prediction(
        "Together: the best accuracy and the best NLL of all are those of nets trained at batch size 32, and"
        " for neither loss are they more than .015 in accuracy above those of 2048.",
        small_batches_stay_ahead,
    ),
    Prediction(
        "Together, at both batch sizes, the two losses differ by less than .01 in accuracy and .02 in NLL,"
        " while of the plain nets at 32 the self-normalised one is better by more than that in one of them.",
        joint_gain_is_regularisation,
    ),
    Prediction(
        "Beside augmentation alone, and beside dropout alone, the self-normalised loss still gains in NLL at"
        " 32, by less than half of what it gains on the plain net.",
        half_is_left_beside_others,
    ),
    Prediction(
        "At 32 the nets with everything gain more than .02 of accuracy from 120 epochs instead of 40.",
        longer_is_better,
        time=2,
    ),
    Prediction(
        "With 120 epochs at both, everything at 32 is more accurate than everything at 2048 by more than"
        " .005, for both losses.",
        small_is_ahead_after_all,
        time=2,
    ),
    Prediction(
        "Augmentation alone at 32 changes by less than .01 in accuracy and .02 in NLL with 120 epochs.",
        augmentation_alone_has_had_enough,
        time=2,
    ),
    Prediction(
        "With everything and 120 epochs at 32 the two losses differ by less than .01 in accuracy and .02 in"
        " NLL.",
        lambda nets: _within(lambda metric: _lead(nets, metric, TOGETHER + LONGER, SMALL)),
        time=2,
    ),
    Prediction(
        "At 32, 120 epochs, dropout of .4 beside augmentation gains the standard net more than .005 of"
        " accuracy and more than .02 of NLL.",
        little_dropout_helps_the_standard_net,
        time=3,
    ),
    Prediction(
        "Beside augmentation and that dropout the self-normalised loss still gains in accuracy and in NLL, by"
        " less than half of what it gains beside augmentation alone.",
        beside_dropout_half_is_left,
        time=3,
    ),
    Prediction(
        "Of the six nets at 32 with augmentation, without dropout and with .2 and .4, a self-normalised one"
        " has a lower NLL than each standard one.",
        ours_stays_the_best_at_small,
        time=3,
    ),
    Prediction(
        "At 2048, augmentation for 360 epochs, the self-normalised net is ahead in accuracy and in NLL.",
        lambda nets: all_of(
            in_all(_lead(nets, metric, AUGMENTED + LONGEST, LARGE), TITLES[metric], low=0)
            for metric in BETTER
        ),
        time=3,
    ),
    Prediction(
        "At 2048 the recipe of the standard net, all four for 120 epochs, gives the self-normalised one an"
        " accuracy within .01 of it.",
        all_four_serve_ours_as_well,
        time=3,
    ),
]
