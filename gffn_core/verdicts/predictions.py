"""What we predicted of our own experiments (``book/predictions.md``), and what came of it.

A group of predictions is a module of ``claims`` with two names: ``PREDICTIONS``, in the order of the page,
and ``read``, which reads from a store the nets that they are about.
"""

from collections.abc import Sequence
from types import ModuleType

import pandas as pd

from gffn_core.experiments.store import Store
from gffn_core.verdicts.claim import Prediction
from gffn_core.verdicts.claims import (
    any_batch,
    contest,
    controls,
    detection,
    gap,
    more_images,
    other_sizes,
    rates,
    relatives,
    repair,
    stops,
    weighted,
)
from gffn_core.verdicts.rules import decided

# By the heading on the page of predictions.
GROUPS: dict[str, ModuleType] = {
    "Any batch size": any_batch,
    "A larger weight": weighted,
    "A rate for each loss": rates,
    "One choice changed": controls,
    "What evens ln Z, and what curbs confidence": relatives,
    "References": repair,
    "Other batch sizes, and a wide net": other_sizes,
    "Explanations as scores": detection,
    "Would you use it?": contest,
    "The contest with more images": more_images,
    "Another stop": stops,
    "Closing the generalisation gap": gap,
}
CAME = {
    "reproduced": "came true",
    "not reproduced": "failed",
    "inconclusive": "open",
    "no data": "no runs yet",
}


def scored(group: ModuleType, store: Store) -> pd.DataFrame:
    """``score`` of a group's predictions on the nets that the store has."""
    return score(group.PREDICTIONS, group.read(store))


def score(predictions: Sequence[Prediction], nets: pd.DataFrame) -> pd.DataFrame:
    """A row each, numbered from 1: the ``statement``, what ``came``, and the columns of ``rules.decided``.

    ``note`` says what the effect is of: where a prediction has several parts, the one that decides, or comes
    nearest to failing.
    """
    measured = pd.Series([one.measure(nets) for one in predictions], dtype=object)
    families = measured.groupby([one.time for one in predictions])
    table = pd.concat([decided(list(family)).set_index(family.index) for _, family in families])
    table.insert(0, "statement", [one.statement for one in predictions])
    table.insert(1, "came", table["verdict"].map(CAME))
    return table.assign(note=[one.note if one else "" for one in measured]).set_axis(
        range(1, len(measured) + 1)
    )
