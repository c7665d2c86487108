"""What is chosen of a tuning grid: on validation images, or on foreign images that nothing is reported on."""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import TYPE_CHECKING

from gffn_core.training.run import Run

if TYPE_CHECKING:
    import pandas as pd

# What a net tells unfamiliar images by, where its loss shapes a score for that; else max softmax.
OWN_SCORE = {"joint": "log_px", "self_normalised": "log_px", "energy_margin": "log_px"}
ACCURACY = 0.01  # of validation images, that references may cost at most


def own_score(table: pd.DataFrame) -> pd.DataFrame:
    """Of a ``detection.table`` the rows of each net's own score."""
    return table[table["score"] == table["loss"].map(OWN_SCORE).fillna("max_softmax")]


def of_setting(records: dict[Run, dict], curve: str) -> dict[Run, float]:
    """By setting (its run at seed 0) the mean over seeds of a curve's last value, diverged runs left out."""
    values = {}
    for run, record in records.items():
        if record["diverged"]:
            continue
        values.setdefault(replace(run, seed=0), []).append(record["curves"][curve][-1])
    return {setting: statistics.mean(of_seeds) for setting, of_seeds in values.items()}


def by_val_nll(records: dict[Run, dict]) -> list[Run]:
    """Of each data set and way to train the setting with the lowest NLL of validation images at the end.

    A way is a loss, with or without weight decay, with or without centred logits.
    """
    found = of_setting(records, "val_nll")
    best = {}
    for setting in sorted(found, key=found.get):
        way = setting.dataset, setting.loss, setting.centred, bool(setting.weight_decay)
        best.setdefault(way, setting)
    return list(best.values())


def by_detection(records: dict[Run, dict], table: pd.DataFrame) -> list[Run]:
    """Of each loss the setting whose own score finds the unfamiliar images of ``table`` best.

    records: of the conditional loss and of the losses to choose for, of one data set. table: AUROCs as
    ``detection.table`` gives them. The mean over sets and seeds counts, among settings that lose at
    most ``ACCURACY`` of validation accuracy against the conditional loss; where none does, among all.
    """
    accuracy = of_setting(records, "val_accuracy")
    (standard,) = [setting for setting in accuracy if setting.loss == "conditional"]
    auroc = own_score(table).groupby(["loss", "setting"])["auroc"].mean()
    best = []
    for loss in dict.fromkeys(setting.loss for setting in accuracy):
        of_loss = [setting for setting in accuracy if setting.loss == loss]
        near = [one for one in of_loss if accuracy[one] >= accuracy[standard] - ACCURACY]
        best.append(max(near or of_loss, key=lambda one: auroc[loss, in_words(one)]))
    return best


def in_words(run: Run) -> str:
    """The options of a run that are not at their default, "kl_weight 3.0, references blur"; "" for none."""
    return ", ".join(f"{name} {value}" for name, value in run.options)
