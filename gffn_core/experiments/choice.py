"""What is chosen of a tuning grid: on validation images, or on foreign images that nothing is reported on."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby, takewhile
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING

from gffn_core.training.run import Run

if TYPE_CHECKING:
    import pandas as pd

# What a net tells unfamiliar images by, where its loss shapes a score for that; else max softmax.
OWN_SCORE = {"joint": "log_px", "self_normalised": "log_px", "energy_margin": "log_px"}
LAST = itemgetter(-1)  # of a curve: its value at the end
REGULARISERS = ("norm", "dropout", "weight_decay", "augmentation")  # fields of ``Run``
ACCURACY = 0.01  # of validation images, that references may cost at most


def own_score(table: pd.DataFrame) -> pd.DataFrame:
    """Of a ``detection.table`` the rows of each net's own score."""
    return table[table["score"] == table["loss"].map(OWN_SCORE).fillna("max_softmax")]


def of_setting(
    records: dict[Run, dict], curve: str, of: Callable[[Sequence], float] = LAST
) -> dict[Run, float]:
    """By setting (its run at seed 0) the mean over seeds of a curve's last value, diverged runs left out.

    of: another value of the curve, such as ``min`` for nets that stop there.
    """
    values = {}
    for run, record in records.items():
        if record["diverged"]:
            continue
        values.setdefault(replace(run, seed=0), []).append(of(record["curves"][curve]))
    return {setting: statistics.mean(of_seeds) for setting, of_seeds in values.items()}


def by_val_nll(records: dict[Run, dict], of: Callable[[Sequence], float] = LAST) -> list[Run]:
    """Of each data set, batch size and way to train the setting with the lowest NLL of validation images.

    A way is a loss with or without centred logits and each of ``REGULARISERS``. The best comes first.
    of: see ``of_setting``.
    """
    found = of_setting(records, "val_nll", of)
    best = {}
    for setting in sorted(found, key=found.get):
        best.setdefault((_cell(setting), setting.centred, *_used(setting)), setting)
    return list(best.values())


def together(records: dict[Run, dict], of: Callable[[Sequence], float] = LAST) -> list[Run]:
    """For each data set, batch size and loss a run with all ``REGULARISERS`` that alone beat the plain net.

    Each as ``by_val_nll`` chose it, at the learning rate of the best and with the most epochs of them. None
    where no two of them beat it.
    """
    combined = []
    for _, ways in groupby(sorted(by_val_nll(records, of), key=_cell), _cell):  # stable: still the best first
        better = list(takewhile(_used, ways))
        if len(better) > 1:
            used = {name: value for way in reversed(better) for name, value in _used(way).items()}
            combined.append(replace(better[0], epochs=max(way.epochs for way in better), **used))
    return combined


_cell = attrgetter("dataset", "batch_size", "loss")


def _used(run):
    """The ``REGULARISERS`` that the run uses, with their values."""
    return {name: getattr(run, name) for name in REGULARISERS if getattr(run, name) != getattr(Run, name)}


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
