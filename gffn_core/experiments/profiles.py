"""The experiments as plain data: grids of runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

from gffn_core.experiments import contest
from gffn_core.model import WIDTHS
from gffn_core.training.run import Run


@dataclass(frozen=True)
class Profile:
    """A grid of runs: every data set, loss, batch size and seed with every other.

    epochs: batch size -> epochs of the long scheme. Large batches get more epochs, yet fewer steps
    (the thesis stopped by a time limit instead). epoch_factor: multiplies them for a data set.
    settings: further fields of ``Run``; each combination is a part of the grid. One that names a loss, a
    data set or a batch size is for that one alone; one that names epochs has those.
    """

    name: str
    datasets: tuple[str, ...]
    epochs: dict[int, int]
    seeds: tuple[int, ...] = (0,)
    losses: tuple[str, ...] = ("conditional", "joint")
    epoch_factor: dict[str, int] = field(default_factory=dict)
    settings: tuple[dict[str, object], ...] = ({},)

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        return tuple(self.epochs)

    def runs(
        self,
        datasets: Sequence[str] | None = None,
        *,
        batch_sizes: Sequence[int] | None = None,
        losses: Sequence[str] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> list[Run]:
        """The runs of the grid, or of the named part of it. ValueError for what the grid lacks."""
        chosen = {"datasets": datasets, "batch_sizes": batch_sizes, "losses": losses, "seeds": seeds}
        for axis, values in chosen.items():
            grid = getattr(self, axis)
            unknown = [value for value in values or () if value not in grid]
            if unknown:
                raise ValueError(f"profile {self.name!r} has no {axis} {unknown}; it has {grid}")
            chosen[axis] = grid if values is None else tuple(dict.fromkeys(values))
        return [
            Run(
                **{"epochs": self.epochs[batch_size] * self.epoch_factor.get(dataset, 1)} | place | settings,
                seed=seed,
            )
            for seed, batch_size, dataset, settings, loss in product(
                chosen["seeds"], chosen["batch_sizes"], chosen["datasets"], self.settings, chosen["losses"]
            )
            for place in [{"dataset": dataset, "loss": loss, "batch_size": batch_size}]
            if all(settings.get(name, value) == value for name, value in place.items())
        ]


THESIS_DATASETS = ("cifar10", "mnist", "fashion_mnist", "svhn")
_FEWER = ("cifar10_10000", "fashion_mnist_10000")  # of the training images, for what needs many nets
# The SVHN subset holds a sixth of the others' images, so an epoch has a sixth of their steps. Profiles that
# are trained where the official images can be fetched do without.
SUBSET_FACTOR = {"svhn": 4}
CPU_EPOCHS = {4: 10, 8: 12, 16: 15, 32: 20, 64: 30, 128: 45, 256: 60, 512: 90, 1024: 120, 2048: 200}


def _options(loss: str, **grid) -> list[dict]:
    """Settings of a loss: each combination of its options' values."""
    return [{"loss": loss, "options": dict(zip(grid, values))} for values in product(*grid.values())]


def _named(settings) -> dict:
    """Fields of a profile whose settings name their losses."""
    settings = tuple(settings)
    return {"losses": tuple(dict.fromkeys(one["loss"] for one in settings)), "settings": settings}


def _tried(contenders, fields=None):
    """All settings that contenders try, with ``fields`` beside them."""
    return _named(one | (fields or {}) for name in contenders for one in contest.settings(name))


# The losses of the chapter on what the joint loss does, each with a small grid of its own weight.
_EVENING = [
    *_options("conditional"),
    *_options("joint", kl_weight=(1.0, 5.0, 25.0)),
    *_options("self_normalised", kl_weight=(1.0, 5.0, 25.0)),
    *_options("variance", weight=(1.0, 5.0, 25.0)),
    *_options("squared", weight=(1.0, 5.0, 25.0)),
    *_options("z_loss", weight=(0.005, 0.05, 0.5)),
]
_CURBING = [
    *_options("label_smoothing", smoothing=(0.05, 0.1, 0.2)),
    *_options("confidence_penalty", weight=(0.1, 0.3, 1.0)),
    *_options("logit_norm", temperature=(0.04, 0.1, 0.3)),
    *_options("logit_penalty", weight=(1e-3, 1e-2, 1e-1)),
    *({"loss": "conditional", "weight_decay": decay} for decay in (0.1, 0.5, 2.0)),
]
_FOUR = "blur+mixed+shuffled8+noise"
# Six settings of each loss that has references, the standard net, and augmentation as a control.
_REFERENCES = [
    *_options("conditional"),
    *(
        one
        for loss in ("joint", "self_normalised")
        for one in (
            *_options(loss, references=("blur", "blur+mixed", "shuffled4")),
            *_options(loss, references=(_FOUR,), kl_weight=(1.0, 3.0, 10.0)),
        )
    ),
    *_options("outlier_exposure", references=("blur", _FOUR), weight=(0.1, 0.5, 2.0)),
    *_options("energy_margin", references=("blur", _FOUR), weight=(0.01, 0.03, 0.1)),
    *_options("labelled", references=("blur",)),
]
# What ``contest.chosen`` chose of ``contest_tuning``, for either scheme.
_CHOSEN = {
    "cifar10_1000": [
        {"loss": "conditional", "learning_rate": 2e-4},
        {"loss": "conditional", "learning_rate": 1e-3, "weight_decay": 2.0},
        {"loss": "conditional", "learning_rate": 3e-4, "weight_decay": 2.0},
        {"loss": "conditional", "learning_rate": 3e-3, "dropout": 0.7},
        {"loss": "conditional", "learning_rate": 3e-4, "dropout": 0.7},
        {"loss": "label_smoothing", "learning_rate": 3e-4, "options": {"smoothing": 0.2}},
        {"loss": "confidence_penalty", "learning_rate": 3e-4, "options": {"weight": 0.3}},
        {"loss": "confidence_penalty", "learning_rate": 3e-4, "options": {"weight": 0.5}},
        {"loss": "logit_norm", "learning_rate": 3e-3, "options": {"temperature": 0.04}},
        {"loss": "z_loss", "learning_rate": 3e-4, "options": {"weight": 0.5}},
        {"loss": "joint", "learning_rate": 1e-3, "options": {"kl_weight": 125.0}},
        {"loss": "self_normalised", "learning_rate": 1e-3, "options": {"kl_weight": 25.0}},
    ],
    "fashion_mnist_1000": [
        {"loss": "conditional", "learning_rate": 4e-4},
        {"loss": "conditional", "learning_rate": 1.4e-4},
        {"loss": "conditional", "learning_rate": 1e-3, "weight_decay": 0.5},
        {"loss": "conditional", "learning_rate": 1e-3, "weight_decay": 2.0},
        {"loss": "conditional", "learning_rate": 3e-4, "dropout": 0.1},
        {"loss": "conditional", "learning_rate": 3e-4, "dropout": 0.5},
        {"loss": "label_smoothing", "learning_rate": 1e-3, "options": {"smoothing": 0.05}},
        {"loss": "label_smoothing", "learning_rate": 3e-4, "options": {"smoothing": 0.05}},
        {"loss": "confidence_penalty", "learning_rate": 3e-4, "options": {"weight": 0.1}},
        {"loss": "confidence_penalty", "learning_rate": 3e-4, "options": {"weight": 0.3}},
        {"loss": "logit_norm", "learning_rate": 3e-3, "options": {"temperature": 0.1}},
        {"loss": "logit_norm", "learning_rate": 3e-3, "options": {"temperature": 0.04}},
        {"loss": "z_loss", "learning_rate": 3e-3, "options": {"weight": 0.5}},
        {"loss": "z_loss", "learning_rate": 1e-3, "options": {"weight": 0.5}},
        {"loss": "joint", "learning_rate": 1e-3, "options": {"kl_weight": 5.0}},
        {"loss": "joint", "learning_rate": 1e-3, "options": {"kl_weight": 25.0}},
        {"loss": "self_normalised", "learning_rate": 1e-3, "options": {"kl_weight": 5.0}},
    ],
}
# What the accuracy of its validation images would have chosen, for nets that stop at the highest. Of the
# standard net all rates are trained again.
_BY_ACCURACY = {
    "cifar10_1000": [
        {"loss": "conditional", "learning_rate": 1e-3, "weight_decay": 0.1},
        {"loss": "conditional", "learning_rate": 3e-3, "dropout": 0.7},
        {"loss": "label_smoothing", "learning_rate": 1e-3, "options": {"smoothing": 0.4}},
        {"loss": "confidence_penalty", "learning_rate": 1e-3, "options": {"weight": 0.5}},
        {"loss": "logit_norm", "learning_rate": 1e-3, "options": {"temperature": 0.1}},
        {"loss": "z_loss", "learning_rate": 1e-3, "options": {"weight": 0.005}},
        {"loss": "joint", "learning_rate": 1e-3, "options": {"kl_weight": 25.0}},
        {"loss": "self_normalised", "learning_rate": 1e-3, "options": {"kl_weight": 5.0}},
    ],
    "fashion_mnist_1000": [
        {"loss": "conditional", "learning_rate": 3e-3, "weight_decay": 0.5},
        {"loss": "conditional", "learning_rate": 3e-3, "dropout": 0.5},
        {"loss": "label_smoothing", "learning_rate": 3e-3, "options": {"smoothing": 0.1}},
        {"loss": "confidence_penalty", "learning_rate": 1e-3, "options": {"weight": 1.0}},
        {"loss": "logit_norm", "learning_rate": 3e-3, "options": {"temperature": 0.3}},
        {"loss": "z_loss", "learning_rate": 1e-3, "options": {"weight": 0.5}},
        {"loss": "joint", "learning_rate": 3e-3, "options": {"kl_weight": 1.0}},
        {"loss": "self_normalised", "learning_rate": 3e-3, "options": {"kl_weight": 1.0}},
    ],
}
_WIDE = {"width": WIDTHS["wide"]}
_AUGMENTED = {"augmentation": "flip+shift"}
# What it chose of ``combined_tuning`` for nets that stop. Twice the epochs where images change.
_MOVED = {"epochs": 120} | _AUGMENTED
_COMBINED = [
    {"loss": "conditional", "learning_rate": 3e-4} | _MOVED,
    {"loss": "conditional", "learning_rate": 1e-3, "dropout": 0.7} | _MOVED,
    {"loss": "joint", "learning_rate": 1e-3, "options": {"kl_weight": 125.0}} | _MOVED,
    {"loss": "joint", "learning_rate": 1e-3, "options": {"kl_weight": 125.0}, "weight_decay": 0.5},
]
_CHOSEN_MORE = {  # of ``contest_more_tuning``, for nets that stop
    "cifar10_10000": [
        {"loss": "conditional", "learning_rate": 1.5e-3},
        {"loss": "conditional", "learning_rate": 3e-3, "weight_decay": 0.5},
        {"loss": "conditional", "learning_rate": 1e-3, "dropout": 0.7},
        {"loss": "label_smoothing", "learning_rate": 1e-3, "options": {"smoothing": 0.05}},
        {"loss": "confidence_penalty", "learning_rate": 1e-3, "options": {"weight": 0.3}},
        {"loss": "logit_norm", "learning_rate": 3e-3, "options": {"temperature": 0.1}},
        {"loss": "z_loss", "learning_rate": 1e-3, "options": {"weight": 5.0}},
        {"loss": "joint", "learning_rate": 1e-3, "options": {"kl_weight": 125.0}},
        {"loss": "self_normalised", "learning_rate": 1e-3, "options": {"kl_weight": 125.0}},
    ]
}
_COMBINED_MORE = [  # of ``combined_more_tuning``, likewise
    {"loss": "joint", "learning_rate": 3e-3, "options": {"kl_weight": 25.0}, "weight_decay": 0.5}
]
# The leaders there, with these settings on all images of CIFAR-10 and on others.
_CARRIED = [
    one
    for one in _CHOSEN_MORE["cifar10_10000"] + _COMBINED_MORE
    if one["loss"] in ("conditional", "joint") and "dropout" not in one
]
_CHOSEN_WIDE = [  # of ``contest_wide_tuning``, for nets that stop
    {"loss": "conditional", "learning_rate": 4e-4},
    {"loss": "conditional", "learning_rate": 3e-4, "dropout": 0.7},
    {"loss": "joint", "learning_rate": 1e-3, "options": {"kl_weight": 125.0}},
    {"loss": "self_normalised", "learning_rate": 1e-3, "options": {"kl_weight": 25.0}},
]
_COMBINED_WIDE = [  # of ``combined_wide_tuning``, likewise
    {"loss": "conditional", "learning_rate": 3e-4},
    {"loss": "conditional", "learning_rate": 3e-4, "dropout": 0.7},
    {"loss": "joint", "learning_rate": 1e-3, "options": {"kl_weight": 125.0}},
]
_TUNING = {"epochs": {128: 20}, "seeds": (0, 1)}
# Other seeds than those of the choice; at the other batch sizes the epochs of the profile cpu.
_FINAL = {"epochs": {8: 12, 128: 20, 2048: 200}, "seeds": (2, 3, 4, 5, 6, 7)}
_CONTEST = {"epochs": {64: 60}, "seeds": (1, 2, 3, 4, 5, 6)}
# What ``choice.by_val_nll`` chose of ``mechanism_tuning``, and the weight 1 that the predictions name.
_UNWEIGHTED = [{"loss": loss} for loss in ("joint", "self_normalised", "variance", "squared")]
_MECHANISM = {
    "cifar10_10000": [
        {"loss": "conditional"},
        *_UNWEIGHTED,
        *_options("joint", kl_weight=(25.0,)),
        *_options("self_normalised", kl_weight=(5.0,)),
        *_options("variance", weight=(25.0,)),
        *_options("squared", weight=(5.0,)),
        *_options("z_loss", weight=(0.5,)),
        *_options("label_smoothing", smoothing=(0.1,)),
        *_options("confidence_penalty", weight=(0.3,)),
        *_options("logit_norm", temperature=(0.04,)),
        *_options("logit_penalty", weight=(0.01,)),
        {"loss": "conditional", "weight_decay": 0.5},
    ],
    "fashion_mnist_10000": [
        {"loss": "conditional"},
        *_UNWEIGHTED,
        *_options("z_loss", weight=(0.05,)),
        *_options("label_smoothing", smoothing=(0.05,)),
        *_options("confidence_penalty", weight=(0.1,)),
        *_options("logit_norm", temperature=(0.3,)),
        *_options("logit_penalty", weight=(1e-3,)),
        {"loss": "conditional", "weight_decay": 0.1},
    ],
}
# Of them, for the wide net, and pairs of the two losses that weigh as much to second order.
_MECHANISM_WIDE = [
    {"loss": "conditional"},
    *_options("joint", kl_weight=(1.0, 25.0)),
    *_options("z_loss", weight=(0.5, 12.5)),
]
_CENTRED = [{"loss": "conditional"}, *_UNWEIGHTED, *_options("z_loss", weight=(0.005,))]
# What ``choice.by_detection`` chose of ``references_tuning`` (with test images on the familiar side at first:
# weight 3 of the joint loss, and blur for outlier exposure), and what the predictions name beside it.
_REPAIRED = [
    {"loss": "conditional"},
    *_options("joint"),
    *_options("self_normalised"),
    *_options("joint", references=("blur", _FOUR)),
    *_options("joint", references=(_FOUR,), kl_weight=(3.0, 10.0)),
    *_options("self_normalised", references=(_FOUR,)),
    *_options("outlier_exposure", references=("blur",), weight=(2.0,)),
    *_options("outlier_exposure", references=(_FOUR,)),
    *_options("outlier_exposure", references=(_FOUR,), weight=(2.0,)),
    *_options("energy_margin", references=("blur",), weight=(0.03,)),
    *_options("labelled", references=("blur",)),
]
# What may close the generalisation gap, at a small and at a large batch: there at the rate of thesis (5.1),
# which is 1e-3 * sqrt(2048 / 32), and at a lower one, which suits a net without normalisation better. Twice
# the epochs where images change. An epoch of 2048 has few steps, in each of which weight decay has to do
# more.
_RATE = {"batch_size": 2048, "learning_rate": 8e-3, "epochs": 40}
_LOWER_RATE = {"batch_size": 2048, "learning_rate": 2.8e-3}
_CLOSING = [
    {"batch_size": 32},
    {"batch_size": 32, "norm": "ghost"},
    *({"batch_size": 32, "dropout": share} for share in (0.4, 0.7)),
    *({"batch_size": 32, "weight_decay": decay} for decay in (0.1, 0.3)),
    {"batch_size": 32, "epochs": 40} | _AUGMENTED,
    _LOWER_RATE,
    _RATE,
    _RATE | {"norm": "ghost"},
    *(_LOWER_RATE | {"dropout": share} for share in (0.4, 0.7)),
    *(_LOWER_RATE | {"weight_decay": decay} for decay in (0.5, 2.0)),
    _LOWER_RATE | _AUGMENTED | {"epochs": 120},
    _RATE | _AUGMENTED | {"epochs": 80},
]
# The losses that it is tried with: of the joint ones the better, at the weight of ``_MECHANISM``.
_RIVALS = [*_options("conditional"), *_options("self_normalised", kl_weight=(5.0,))]
# By loss what ``choice.by_val_nll`` and ``choice.together`` find in ``gap_tuning`` by ``min``, without those
# of ``_NAMED``.
_GAP = {
    loss: [
        {"batch_size": 32, "norm": "ghost"},
        {"batch_size": 32, "dropout": dropout},
        {"batch_size": 32, "weight_decay": 0.3},
        {"batch_size": 32, "epochs": 40} | _AUGMENTED,
        {"batch_size": 32, "epochs": 40, "norm": "ghost", "dropout": dropout, "weight_decay": 0.3}
        | _AUGMENTED,
        _LOWER_RATE,
        _RATE | {"norm": "ghost"},
        _LOWER_RATE | {"dropout": dropout},
        _LOWER_RATE | {"weight_decay": 0.5},
        _LOWER_RATE | _AUGMENTED | {"epochs": 120},
        _LOWER_RATE | _AUGMENTED | {"epochs": 120, "dropout": dropout} | others,
    ]
    for loss, dropout, others in (
        ("conditional", 0.7, {"norm": "ghost", "weight_decay": 0.5}),
        ("self_normalised", 0.4, {}),
    )
}
# What the predictions name whatever was chosen: plain nets; 200 epochs of 2048 images at the small rate are
# an eighth of the steps of batch size 32, and as many steps would be 1,560 epochs.
_NAMED = [{"batch_size": 32}, _RATE, {"batch_size": 2048, "epochs": 200}]
# A small and a large batch of the profile cpu, for what differs from it in one choice.
_CHOICE = {"epochs": {64: 30, 1024: 120}, "seeds": (0, 1, 2)}
_RATES = tuple({"learning_rate": rate} for rate in (3e-3, 1e-3, 3e-4, 1e-4))
PROFILES = {
    profile.name: profile
    for profile in (
        Profile("digits", ("digits", "digits_0_4"), epochs={16: 20, 64: 40, 256: 60}, seeds=(0, 1, 2)),
        Profile("colab", THESIS_DATASETS, epochs={64: 3, 512: 6, 2048: 12}),
        Profile(
            "cpu", THESIS_DATASETS, epochs=CPU_EPOCHS, seeds=(0, 1, 2, 3, 4, 5), epoch_factor=SUBSET_FACTOR
        ),
        Profile(
            "thesis",
            THESIS_DATASETS,
            epochs={4: 10, 8: 12, 16: 15, 32: 20, 64: 25, 128: 30, 256: 40, 512: 60, 1024: 80, 2048: 100},
            seeds=(0, 1, 2, 3, 4),
            settings=({"width": WIDTHS["wide"], "patience": 5},),
        ),
        Profile(
            "binary",
            ("cifar10", "fashion_mnist"),
            epochs={size: CPU_EPOCHS[size] for size in (4, 16, 64, 256, 1024, 2048)},
            seeds=(0, 1, 2),
            settings=({"label_space": "binary"},),
        ),
        # On all images what could explain the results away: the rate, the width.
        Profile(
            "controls",
            ("cifar10",),
            epochs={64: CPU_EPOCHS[64]},
            seeds=(0, 1, 2, 3, 4, 5),
            settings=({"learning_rate": 3e-3}, {"learning_rate": 3e-4}, _WIDE),
        ),
        # The same on fewer images and two data sets, and a rate for each loss. Two seeds more, or others, as
        # two old records lack the weights of the lowest NLL.
        Profile(
            "rates", _FEWER, epochs={64: CPU_EPOCHS[64]}, seeds=(0, 1, 2, 3, 4, 5, 6, 7), settings=_RATES
        ),
        Profile(
            "rates_large", _FEWER, epochs={1024: CPU_EPOCHS[1024]}, seeds=(2, 3, 4, 5, 6, 7), settings=_RATES
        ),
        Profile("wide", _FEWER, epochs={64: CPU_EPOCHS[64]}, seeds=(0, 1, 2, 3, 4, 5), settings=(_WIDE,)),
        Profile("fewer", ("cifar10_10000",), **_CHOICE),
        Profile(
            "weight",
            ("cifar10_10000",),
            **_CHOICE,
            **_named(_options("joint", kl_weight=(0.1, 0.3, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0))),
        ),
        # Does one intercept for all data make the joint loss's gain independent of the batch size?
        Profile(
            "any_batch",
            _FEWER,
            epochs={1: 8, 2: 9} | CPU_EPOCHS,
            seeds=(0, 1, 2, 3, 4, 5),
            losses=("conditional", "joint", "self_normalised"),
        ),
        # At the weight of ``_MECHANISM``: is it as good at other batch sizes, and on all images?
        Profile(
            "weighted",
            ("cifar10_10000", "cifar10"),
            epochs={1: 8, 2: 9} | CPU_EPOCHS,
            seeds=(0, 1, 2, 3, 4, 5),
            **_named(
                {"dataset": dataset, "batch_size": size} | one
                for dataset, sizes in (("cifar10_10000", (1, 2, *CPU_EPOCHS)), ("cifar10", (16, 256, 2048)))
                for size in sizes
                for one in _options("self_normalised", kl_weight=(5.0,))
            ),
        ),
        Profile("mechanism_tuning", _FEWER, **_TUNING, **_named(_EVENING + _CURBING)),
        Profile(
            "centred_tuning",
            ("cifar10_10000",),
            **_TUNING,
            **_named([one | {"centred": True} for one in _EVENING]),
        ),
        Profile(
            "contest_tuning",
            ("cifar10_1000", "fashion_mnist_1000"),
            epochs={64: 60},
            **_tried(contest.CONTENDERS),
        ),
        Profile(
            "contest",
            tuple(_CHOSEN),
            **_CONTEST,
            **_named({"dataset": name} | one for name, chosen in _CHOSEN.items() for one in chosen),
        ),
        # The same with ten times the images.
        Profile("contest_more_tuning", _FEWER, epochs={64: 60}, **_tried(contest.CONTENDERS)),
        Profile(
            "contest_more",
            tuple(_CHOSEN_MORE),
            **_CONTEST,
            **_named({"dataset": name} | one for name, chosen in _CHOSEN_MORE.items() for one in chosen),
        ),
        Profile(
            "combined_more_tuning", ("cifar10_10000",), epochs={64: 60}, **_tried(["joint, weight decay"])
        ),
        Profile("combined_more", ("cifar10_10000",), **_CONTEST, **_named(_COMBINED_MORE)),
        Profile(
            "contest_carried",
            ("cifar10", "svhn"),
            **_CONTEST,
            **_named(
                place | one
                for place in ({"dataset": "cifar10", "epochs": 30}, {"dataset": "svhn"})
                for one in _CARRIED
            ),
        ),
        # Would accuracy have chosen otherwise, and was the standard net's rate an unlucky choice?
        Profile(
            "contest_checks",
            tuple(_BY_ACCURACY),
            **_CONTEST,
            **_named(
                {"dataset": name} | one
                for name, chosen in _BY_ACCURACY.items()
                for one in chosen + contest.settings("standard")
            ),
        ),
        Profile(
            "combined_tuning",
            ("cifar10_1000",),
            epochs={64: 60},
            **_named(
                one | (_MOVED if "augmentation" in one else {})
                for name in contest.COMBINED
                for one in contest.settings(name)
            ),
        ),
        Profile("combined", ("cifar10_1000",), **_CONTEST, **_named(_COMBINED)),
        # The contest of the narrow net's leaders, and the standard one, on the wide net.
        Profile(
            "contest_wide_tuning", ("cifar10_1000",), epochs={64: 60}, **_tried(contest.FINALISTS, _WIDE)
        ),
        Profile("contest_wide", ("cifar10_1000",), **_CONTEST, **_named(one | _WIDE for one in _CHOSEN_WIDE)),
        Profile(
            "combined_wide_tuning",
            ("cifar10_1000",),
            epochs={64: 60},
            **_tried(contest.AUGMENTED, _MOVED | _WIDE),
        ),
        Profile(
            "combined_wide",
            ("cifar10_1000",),
            **_CONTEST,
            **_named(one | _MOVED | _WIDE for one in _COMBINED_WIDE),
        ),
        # Is a large weight on any evenness of ln Z as good? Pairs of weights that are equal to second order.
        Profile(
            "contest_relatives",
            ("cifar10_1000",),
            **_CONTEST,
            **_named(
                [
                    *_options("joint", kl_weight=(25.0, 125.0)),
                    *_options("variance", weight=(25.0, 125.0)),
                    *_options("self_normalised", kl_weight=(25.0, 125.0)),
                    *_options("squared", weight=(25.0, 125.0)),
                    *_options("z_loss", weight=(12.5, 62.5)),
                ]
            ),
        ),
        Profile("references_tuning", ("cifar10_10000",), **_TUNING, **_named(_REFERENCES)),
        Profile(
            "mechanism",
            tuple(_MECHANISM),
            **_FINAL,
            **_named({"dataset": name} | one for name, chosen in _MECHANISM.items() for one in chosen),
        ),
        Profile(
            "mechanism_wide",
            ("cifar10_10000",),
            epochs=_TUNING["epochs"],
            seeds=_FINAL["seeds"],
            **_named(one | _WIDE for one in _MECHANISM_WIDE),
        ),
        Profile(
            "centred", ("cifar10_10000",), **_FINAL, **_named([one | {"centred": True} for one in _CENTRED])
        ),
        Profile("references", ("cifar10_10000",), **_FINAL, **_named(_REPAIRED)),
        # With background nets, for the likelihood ratio of Ren et al. (2019), and seeds for WAIC.
        Profile(
            "background",
            ("cifar10_10000",),
            epochs={128: _FINAL["epochs"][128]},
            seeds=_FINAL["seeds"],
            settings=({}, {"augmentation": "mutate"}),
        ),
        Profile(
            "gap_tuning",
            ("cifar10_10000",),
            epochs={32: 20, 2048: 60},
            seeds=(0, 1),
            **_named(loss | one for loss in _RIVALS for one in _CLOSING),
        ),
        Profile(
            "gap",
            ("cifar10_10000",),
            epochs={32: 20, 2048: 60},
            seeds=_FINAL["seeds"],
            **_named(loss | one for loss in _RIVALS for one in _NAMED + _GAP[loss["loss"]]),
        ),
        # At 32 what changes images for as many epochs as it has at 2048.
        Profile(
            "gap_longer",
            ("cifar10_10000",),
            epochs={32: 120},
            seeds=_FINAL["seeds"],
            **_named(
                loss | one | {"epochs": 120}
                for loss in _RIVALS
                for one in _GAP[loss["loss"]]
                if one["batch_size"] == 32 and "augmentation" in one
            ),
        ),
        # Is it the loss, or would a little dropout beside augmentation, more time, or the other's recipe do?
        Profile(
            "gap_control",
            ("cifar10_10000",),
            epochs={32: 120, 2048: 120},
            seeds=_FINAL["seeds"],
            **_named(
                [
                    *(
                        loss | {"batch_size": 32, "dropout": dropout} | _AUGMENTED
                        for loss in _RIVALS
                        for dropout in (0.2, 0.4)
                    ),
                    *(loss | _LOWER_RATE | _AUGMENTED | {"epochs": 360} for loss in _RIVALS),
                    _RIVALS[1] | _GAP["conditional"][-1],
                ]
            ),
        ),
    )
}


def profile(name: str) -> Profile:
    """A profile by name, or a ValueError that lists them."""
    if name not in PROFILES:
        raise ValueError(f"unknown profile {name!r}; use one of {', '.join(PROFILES)}")
    return PROFILES[name]


def evidence(name: str) -> list[Run]:
    """The runs that claims are tested on: those of the profile, for ``cpu`` also those on fewer images."""
    return profile(name).runs() + (profile("fewer").runs() if name == "cpu" else [])
