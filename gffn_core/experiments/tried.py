"""What the experiments try, and what validation images chose of it: settings as plain data.

A setting names fields of ``Run``. Those that were chosen are checked against the published runs by the tests.
"""

from itertools import product

from gffn_core.model import WIDTHS


def options(loss: str, **grid) -> list[dict]:
    """Settings of a loss: each combination of its options' values."""
    return [{"loss": loss, "options": dict(zip(grid, values))} for values in product(*grid.values())]


RATES = tuple({"learning_rate": rate} for rate in (3e-3, 1e-3, 3e-4, 1e-4))
# The losses of the chapter on what the joint loss does, each with a small grid of its own weight.
EVENING = [
    *options("conditional"),
    *options("joint", kl_weight=(1.0, 5.0, 25.0)),
    *options("self_normalised", kl_weight=(1.0, 5.0, 25.0)),
    *options("variance", weight=(1.0, 5.0, 25.0)),
    *options("squared", weight=(1.0, 5.0, 25.0)),
    *options("z_loss", weight=(0.005, 0.05, 0.5)),
]
CURBING = [
    *options("label_smoothing", smoothing=(0.05, 0.1, 0.2)),
    *options("confidence_penalty", weight=(0.1, 0.3, 1.0)),
    *options("logit_norm", temperature=(0.04, 0.1, 0.3)),
    *options("logit_penalty", weight=(1e-3, 1e-2, 1e-1)),
    *({"loss": "conditional", "weight_decay": decay} for decay in (0.1, 0.5, 2.0)),
]
FOUR = "blur+mixed+shuffled8+noise"
# Six settings of each loss that has references, the standard net, and augmentation as a control.
REFERENCES = [
    *options("conditional"),
    *(
        one
        for loss in ("joint", "self_normalised")
        for one in (
            *options(loss, references=("blur", "blur+mixed", "shuffled4")),
            *options(loss, references=(FOUR,), kl_weight=(1.0, 3.0, 10.0)),
        )
    ),
    *options("outlier_exposure", references=("blur", FOUR), weight=(0.1, 0.5, 2.0)),
    *options("energy_margin", references=("blur", FOUR), weight=(0.01, 0.03, 0.1)),
    *options("labelled", references=("blur",)),
]
# What ``contest.chosen`` chose of ``contest_tuning``, for either scheme.
CHOSEN = {
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
BY_ACCURACY = {
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
WIDE = {"width": WIDTHS["wide"]}
AUGMENTED = {"augmentation": "flip+shift"}
# What it chose of ``combined_tuning`` for nets that stop. Twice the epochs where images change.
MOVED = {"epochs": 120} | AUGMENTED
COMBINED = [
    {"loss": "conditional", "learning_rate": 3e-4} | MOVED,
    {"loss": "conditional", "learning_rate": 1e-3, "dropout": 0.7} | MOVED,
    {"loss": "joint", "learning_rate": 1e-3, "options": {"kl_weight": 125.0}} | MOVED,
    {"loss": "joint", "learning_rate": 1e-3, "options": {"kl_weight": 125.0}, "weight_decay": 0.5},
]
# Of ``refined_tuning`` and ``refined_wide_tuning``, for nets that stop at the lowest NLL after a temperature.
REFINED = {
    "cifar10_1000": [
        {"loss": "conditional", "learning_rate": 3e-4},
        {"loss": "conditional", "learning_rate": 3e-4, "weight_decay": 2.0},
        {"loss": "conditional", "learning_rate": 1e-3, "dropout": 0.7},
        {"loss": "joint", "learning_rate": 3e-3, "options": {"kl_weight": 125.0}},
        {"loss": "self_normalised", "learning_rate": 1e-3, "options": {"kl_weight": 125.0}},
        {"loss": "joint", "learning_rate": 1e-3, "options": {"kl_weight": 25.0}, "dropout": 0.7},
        {"loss": "conditional", "learning_rate": 2e-3} | MOVED,
        {"loss": "conditional", "learning_rate": 1e-3, "dropout": 0.7} | MOVED,
        {"loss": "joint", "learning_rate": 3e-3, "options": {"kl_weight": 5.0}} | MOVED,
    ],
    "fashion_mnist_1000": [
        {"loss": "conditional", "learning_rate": 6e-4},
        {"loss": "conditional", "learning_rate": 1e-3, "weight_decay": 2.0},
        {"loss": "conditional", "learning_rate": 1e-3, "dropout": 0.1},
        {"loss": "joint", "learning_rate": 1e-3},
        {"loss": "self_normalised", "learning_rate": 1e-3, "options": {"kl_weight": 5.0}},
    ],
}
REFINED_WIDE = [
    {"loss": "conditional", "learning_rate": 1e-3},
    {"loss": "conditional", "learning_rate": 1e-3, "dropout": 0.7},
    {"loss": "joint", "learning_rate": 1e-3, "options": {"kl_weight": 125.0}},
    {"loss": "self_normalised", "learning_rate": 1e-3, "options": {"kl_weight": 25.0}},
    {"loss": "joint", "learning_rate": 1e-3, "options": {"kl_weight": 25.0}, "dropout": 0.5},
]
REFINED_MORE = [  # of ``refined_more_tuning``, likewise
    {"loss": "conditional", "learning_rate": 1.5e-3},
    {"loss": "conditional", "learning_rate": 3e-3, "weight_decay": 0.5},
    {"loss": "conditional", "learning_rate": 1e-3, "dropout": 0.7},
    {"loss": "joint", "learning_rate": 1e-3, "options": {"kl_weight": 125.0}},
    {"loss": "joint", "learning_rate": 3e-3, "options": {"kl_weight": 25.0}, "weight_decay": 0.5},
    {"loss": "conditional", "learning_rate": 3e-3, "dropout": 0.5, "weight_decay": 0.5},
]
CHOSEN_MORE = {  # of ``contest_more_tuning``, for nets that stop
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
    ],
    "fashion_mnist_10000": [
        {"loss": "conditional", "learning_rate": 4e-4},
        {"loss": "conditional", "learning_rate": 1e-3, "weight_decay": 0.5},
        {"loss": "conditional", "learning_rate": 3e-4, "dropout": 0.7},
        {"loss": "label_smoothing", "learning_rate": 1e-3, "options": {"smoothing": 0.05}},
        {"loss": "confidence_penalty", "learning_rate": 3e-4, "options": {"weight": 0.1}},
        {"loss": "logit_norm", "learning_rate": 3e-3, "options": {"temperature": 0.04}},
        {"loss": "z_loss", "learning_rate": 1e-3, "options": {"weight": 0.5}},
        {"loss": "joint", "learning_rate": 1e-3, "options": {"kl_weight": 125.0}},
        {"loss": "self_normalised", "learning_rate": 1e-3, "options": {"kl_weight": 25.0}},
    ],
}
COMBINED_MORE = [  # of ``combined_more_tuning``, likewise
    {"loss": "joint", "learning_rate": 3e-3, "options": {"kl_weight": 25.0}, "weight_decay": 0.5}
]
LARGE = [  # of ``contest_large_tuning``, likewise
    {"loss": "conditional", "learning_rate": 1.2e-3},
    {"loss": "conditional", "learning_rate": 6e-3, "weight_decay": 2.0},
    {"loss": "conditional", "learning_rate": 6e-4, "dropout": 0.7},
    {"loss": "joint", "learning_rate": 2e-3, "options": {"kl_weight": 125.0}},
    {"loss": "self_normalised", "learning_rate": 2e-3, "options": {"kl_weight": 25.0}},
    {"loss": "joint", "learning_rate": 2e-3, "options": {"kl_weight": 25.0}, "weight_decay": 0.5},
]
# The leaders there, with these settings on all images of CIFAR-10 and on others.
CARRIED = [
    one
    for one in CHOSEN_MORE["cifar10_10000"] + COMBINED_MORE
    if one["loss"] in ("conditional", "joint") and "dropout" not in one
]
CHOSEN_WIDE = [  # of ``contest_wide_tuning``, for nets that stop
    {"loss": "conditional", "learning_rate": 4e-4},
    {"loss": "conditional", "learning_rate": 3e-4, "dropout": 0.7},
    {"loss": "joint", "learning_rate": 1e-3, "options": {"kl_weight": 125.0}},
    {"loss": "self_normalised", "learning_rate": 1e-3, "options": {"kl_weight": 25.0}},
]
COMBINED_WIDE = [  # of ``combined_wide_tuning``, likewise
    {"loss": "conditional", "learning_rate": 3e-4},
    {"loss": "conditional", "learning_rate": 3e-4, "dropout": 0.7},
    {"loss": "joint", "learning_rate": 1e-3, "options": {"kl_weight": 125.0}},
]
# What ``choice.by_val_nll`` chose of ``mechanism_tuning``, and the weight 1 that the predictions name.
UNWEIGHTED = [{"loss": loss} for loss in ("joint", "self_normalised", "variance", "squared")]
MECHANISM = {
    "cifar10_10000": [
        {"loss": "conditional"},
        *UNWEIGHTED,
        *options("joint", kl_weight=(25.0,)),
        *options("self_normalised", kl_weight=(5.0,)),
        *options("variance", weight=(25.0,)),
        *options("squared", weight=(5.0,)),
        *options("z_loss", weight=(0.5,)),
        *options("label_smoothing", smoothing=(0.1,)),
        *options("confidence_penalty", weight=(0.3,)),
        *options("logit_norm", temperature=(0.04,)),
        *options("logit_penalty", weight=(0.01,)),
        {"loss": "conditional", "weight_decay": 0.5},
    ],
    "fashion_mnist_10000": [
        {"loss": "conditional"},
        *UNWEIGHTED,
        *options("z_loss", weight=(0.05,)),
        *options("label_smoothing", smoothing=(0.05,)),
        *options("confidence_penalty", weight=(0.1,)),
        *options("logit_norm", temperature=(0.3,)),
        *options("logit_penalty", weight=(1e-3,)),
        {"loss": "conditional", "weight_decay": 0.1},
    ],
}
# Of them, for the wide net, and pairs of the two losses that weigh as much to second order.
MECHANISM_WIDE = [
    {"loss": "conditional"},
    *options("joint", kl_weight=(1.0, 25.0)),
    *options("z_loss", weight=(0.5, 12.5)),
]
CENTRED = [{"loss": "conditional"}, *UNWEIGHTED, *options("z_loss", weight=(0.005,))]
# What ``choice.by_detection`` chose of ``references_tuning`` (with test images on the familiar side at first:
# weight 3 of the joint loss, and blur for outlier exposure), and what the predictions name beside it.
REPAIRED = [
    {"loss": "conditional"},
    *options("joint"),
    *options("self_normalised"),
    *options("joint", references=("blur", FOUR)),
    *options("joint", references=(FOUR,), kl_weight=(3.0, 10.0)),
    *options("self_normalised", references=(FOUR,)),
    *options("outlier_exposure", references=("blur",), weight=(2.0,)),
    *options("outlier_exposure", references=(FOUR,)),
    *options("outlier_exposure", references=(FOUR,), weight=(2.0,)),
    *options("energy_margin", references=("blur",), weight=(0.03,)),
    *options("labelled", references=("blur",)),
]
# What may close the generalisation gap, at a small and at a large batch: there at the rate of thesis (5.1),
# which is 1e-3 * sqrt(2048 / 32), and at a lower one, which suits a net without normalisation better. Twice
# the epochs where images change. An epoch of 2048 has few steps, in each of which weight decay has to do
# more.
RATE = {"batch_size": 2048, "learning_rate": 8e-3, "epochs": 40}
LOWER_RATE = {"batch_size": 2048, "learning_rate": 2.8e-3}
CLOSING = [
    {"batch_size": 32},
    {"batch_size": 32, "norm": "ghost"},
    *({"batch_size": 32, "dropout": share} for share in (0.4, 0.7)),
    *({"batch_size": 32, "weight_decay": decay} for decay in (0.1, 0.3)),
    {"batch_size": 32, "epochs": 40} | AUGMENTED,
    LOWER_RATE,
    RATE,
    RATE | {"norm": "ghost"},
    *(LOWER_RATE | {"dropout": share} for share in (0.4, 0.7)),
    *(LOWER_RATE | {"weight_decay": decay} for decay in (0.5, 2.0)),
    LOWER_RATE | AUGMENTED | {"epochs": 120},
    RATE | AUGMENTED | {"epochs": 80},
]
# The losses that it is tried with: of the joint ones the better, at the weight of ``MECHANISM``.
RIVALS = [*options("conditional"), *options("self_normalised", kl_weight=(5.0,))]
# By loss what ``choice.by_val_nll`` and ``choice.together`` find in ``gap_tuning`` by ``min``, without those
# of ``NAMED``.
GAP = {
    loss: [
        {"batch_size": 32, "norm": "ghost"},
        {"batch_size": 32, "dropout": dropout},
        {"batch_size": 32, "weight_decay": 0.3},
        {"batch_size": 32, "epochs": 40} | AUGMENTED,
        {"batch_size": 32, "epochs": 40, "norm": "ghost", "dropout": dropout, "weight_decay": 0.3}
        | AUGMENTED,
        LOWER_RATE,
        RATE | {"norm": "ghost"},
        LOWER_RATE | {"dropout": dropout},
        LOWER_RATE | {"weight_decay": 0.5},
        LOWER_RATE | AUGMENTED | {"epochs": 120},
        LOWER_RATE | AUGMENTED | {"epochs": 120, "dropout": dropout} | others,
    ]
    for loss, dropout, others in (
        ("conditional", 0.7, {"norm": "ghost", "weight_decay": 0.5}),
        ("self_normalised", 0.4, {}),
    )
}
# What the predictions name whatever was chosen: plain nets; 200 epochs of 2048 images at the small rate are
# an eighth of the steps of batch size 32, and as many steps would be 1,560 epochs.
NAMED = [{"batch_size": 32}, RATE, {"batch_size": 2048, "epochs": 200}]
