"""What chapters share."""

from collections.abc import Iterable

import numpy as np


def pair_near(records: Iterable[dict], dataset: str, batch_size: int) -> list[dict]:
    """The conditional and the joint record of ``dataset`` at the nearest batch size, lowest seed.

    Nearest on a log scale. Where the profile lacks the data set, its first one stands in.
    """
    records = list(records)
    names = [r["run"]["dataset"] for r in records]
    dataset = dataset if dataset in names else names[0]
    candidates = [r for r in records if r["run"]["dataset"] == dataset]
    nearest = min(
        candidates,
        key=lambda r: (abs(np.log2(r["run"]["batch_size"] / batch_size)), r["run"]["seed"]),
    )["run"]
    same = ("batch_size", "seed", "label_space")
    pair = [r for r in candidates if all(r["run"][key] == nearest[key] for key in same)]
    return sorted(pair, key=lambda r: r["run"]["loss"])
