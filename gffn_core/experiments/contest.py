"""A fair fight between ways to train: as many settings of each, chosen on validation images alone."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from math import prod
from typing import TYPE_CHECKING

from gffn_core.training.course import LOWEST_NLL, LOWEST_SCALED_NLL
from gffn_core.training.run import Run
from gffn_core.training.step import options_of

if TYPE_CHECKING:
    import pandas as pd

# Contender: its loss, and what it tunes beside the learning rate, first the values that won in the book, for
# those who try but some (``settings``). A line adds one:
# losses are in ``training.step.OBJECTIVES``; what can be tuned is their options and the fields of ``Run``.
CONTENDERS = {
    "standard": ("conditional", {}),
    "weight decay": ("conditional", {"weight_decay": (0.5, 2.0, 0.1, 8.0)}),
    "dropout": ("conditional", {"dropout": (0.7, 0.5, 0.1, 0.3)}),
    "label smoothing": ("label_smoothing", {"smoothing": (0.05, 0.2, 0.1, 0.4)}),
    "confidence penalty": ("confidence_penalty", {"weight": (0.3, 0.1, 1.0, 0.5)}),
    "LogitNorm": ("logit_norm", {"temperature": (0.1, 0.04, 0.3, 0.02)}),
    "z-loss": ("z_loss", {"weight": (0.5, 5.0, 0.05, 0.005)}),
    "joint": ("joint", {"kl_weight": (25.0, 125.0, 5.0, 1.0)}),
    "self-normalised": ("self_normalised", {"kl_weight": (25.0, 125.0, 5.0, 1.0)}),
}
# Several at once, with as many settings again.
_MOVED = {"augmentation": ("flip+shift",)}
COMBINED = {
    "augmentation": ("conditional", _MOVED),
    "dropout, augmentation": ("conditional", CONTENDERS["dropout"][1] | _MOVED),
    "joint, augmentation": ("joint", CONTENDERS["joint"][1] | _MOVED),
    "joint, weight decay": ("joint", {"kl_weight": (25.0, 125.0), "weight_decay": (0.5, 2.0)}),
    "joint, dropout": ("joint", {"kl_weight": (25.0, 125.0), "dropout": (0.7, 0.5)}),
    "dropout, weight decay": ("conditional", {"dropout": (0.7, 0.5), "weight_decay": (0.5,)}),
}
AUGMENTED = tuple(name for name in COMBINED if "augmentation" in name)
STANDARD, OURS = "standard", ("joint", "self-normalised")
FINALISTS = (STANDARD, "dropout", *OURS)  # on the wide net
LEADERS = (*FINALISTS, "weight decay")  # with 10,000 images, and beside them ``JOINT_DECAYED``
JOINT_DECAYED, JOINT_DROPPED = "joint, weight decay", "joint, dropout"
DROPOUT_DECAYED = "dropout, weight decay"
RATES = (1e-3, 3e-4, 3e-3, 6e-4, 1.5e-3, 2e-4, 2e-3, 1e-4, 6e-3, 4e-4, 2.5e-4, 1.4e-4)
SCHEMES = (LOWEST_NLL, "long")


def settings(contender: str, values: int = 4, rates: int = 3) -> list[dict]:
    """What is tried of a contender, as fields of ``Run``: ``values`` times ``rates`` settings.

    So one that tunes nothing else has as many learning rates.
    """
    loss, tuned = (CONTENDERS | COMBINED)[contender]
    axes = {name: among[:values] for name, among in tuned.items()}
    axes = {"learning_rate": RATES[: values * rates // prod(map(len, axes.values()))]} | axes
    options = options_of(loss).keys() & tuned
    return [
        {"loss": loss, "options": {name: point.pop(name) for name in options}} | point
        for point in (dict(zip(axes, values)) for values in product(*axes.values()))
    ]


def contender_of(run: Run) -> str:
    """The contender whose setting the run has."""
    beside = {field for field in ("weight_decay", "dropout", "augmentation") if getattr(run, field)}
    (name,) = [
        name
        for name, (loss, tuned) in (CONTENDERS | COMBINED).items()
        if loss == run.loss and beside == set(tuned) - set(options_of(loss))
    ]
    return name


def frame(records: Iterable[dict], schemes: Iterable[str] = SCHEMES) -> pd.DataFrame:
    """``tables.frame`` with three columns more: ``contender``, its ``setting`` in words, and ``val_nll``.

    Of the scheme ``LOWEST_SCALED_NLL`` that is the NLL of validation images after temperature scaling.
    """
    from gffn_core.experiments import tables  # here, as the profiles, and so the command's help, do without

    records = {record["key"]: record for record in records}
    runs = {key: Run.of(record["run"]) for key, record in records.items()}
    table = tables.frame(records.values(), tuple(schemes))
    return table.assign(
        contender=[contender_of(runs[key]) for key in table["key"]],
        setting=[_setting(runs[key]) for key in table["key"]],
        val_nll=[
            records[key]["curves"]["val_scaled_nll" if scheme == LOWEST_SCALED_NLL else "val_nll"][epoch - 1]
            for key, scheme, epoch in zip(table["key"], table["scheme"], table["epoch"])
        ],
    )


def _setting(run):
    """What a contender tunes, in words."""
    options = options_of(run.loss) | run.settings()
    among = (CONTENDERS | COMBINED)[contender_of(run)][1]
    tuned = ("learning_rate", *(field for field in among if len(among[field]) > 1))
    return ", ".join(f"{field.replace('_', ' ')} {options[field]:g}" for field in tuned)


def chosen(table: pd.DataFrame) -> pd.DataFrame:
    """Of a ``frame`` the row with the lowest ``val_nll``, for each data set, contender and scheme."""
    best = table.groupby(["dataset", "contender", "scheme"], sort=False)["val_nll"].idxmin()
    return table.loc[best]


def most_accurate(table: pd.DataFrame) -> pd.DataFrame:
    """As ``chosen`` the row with the highest ``val_accuracy``; of equals, with the lowest ``val_nll``."""
    order = table.sort_values(["val_accuracy", "val_nll"], ascending=[False, True], kind="stable")
    return order.groupby(["dataset", "contender", "scheme"], sort=False).head(1)
