"""Nets that differ in their seed alone, one by one and as ensembles, from the logits that a store keeps."""

import contextlib
import math
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from gffn_core import metrics
from gffn_core.data.datasets import Dataset, load_dataset
from gffn_core.evaluation.standard import quality
from gffn_core.experiments.store import Store
from gffn_core.experiments.verify import check_data
from gffn_core.training.provenance import code_version
from gffn_core.training.run import Run


def pooled(logits: list[Tensor]) -> Tensor:
    """Logarithm of the mean of the nets' probabilities: (N, K) each -> (N, K)."""
    return torch.stack([one.log_softmax(-1) for one in logits]).logsumexp(0) - math.log(len(logits))


def people(path: Path, dataset: Dataset) -> Tensor | None:
    """What people answer to each test image: probabilities (N, K) from a ``.npy`` file, such as CIFAR-10H's.

    None where most answers contradict the labels: then they are about other images. ValueError for a file
    that cannot be read, for another shape, or for rows that do not sum to one.
    """
    try:
        answers = torch.from_numpy(np.load(path, allow_pickle=False)).double()
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as a .npy file of numbers ({error})") from error
    wanted = (len(dataset.test_y), dataset.num_classes)
    if answers.shape != wanted or (off := (answers.sum(-1) - 1).abs().max()) > 1e-3:
        found = tuple(answers.shape) if answers.shape != wanted else f"a row that is {off:.3g} off a sum of 1"
        raise ValueError(f"{path} holds {found}; needed are probabilities {wanted}, a row an image")
    return answers if metrics.accuracy(answers, dataset.test_y) > 0.5 else None


def recalibrated(val: Tensor, target: Tensor, test: Tensor) -> Tensor:
    """Logarithms (N, K) of the probabilities that structured matrix scaling makes of logits ``test``.

    Fitted to logits ``val`` and their labels by probmetrics, which recommends it where there are many classes
    (arXiv 2511.03685). ValueError, with the remedy, where that is not installed.
    """
    try:
        from probmetrics.calibrators import get_calibrator
    except ImportError as error:
        raise ValueError(
            f"--recalibrate: {error}; `pip install --no-deps probmetrics pytorch-minimize numba llvmlite`"
            " brings what it needs"
        ) from error
    fitted = get_calibrator("logistic").fit(val.softmax(-1).numpy(), target.numpy())
    probs = torch.from_numpy(fitted.predict_proba(test.softmax(-1).numpy())).double()
    return (probs / probs.sum(-1, keepdim=True)).log()


def measures(
    kept: dict[str, Tensor], dataset: Dataset, answers: Tensor | None, recalibrate: bool
) -> dict[str, float]:
    """Of logits of the parts ``val``, ``test`` and, perhaps, ``ood``: what ``tables.COLUMNS`` calls so.

    And ``smooth_ece`` and ``augrc`` (see ``metrics``); what begins with ``scaled_`` is measured after
    temperature scaling, with ``recalibrated_`` after ``recalibrated``; ``people``: cross entropy in nats to
    people's answers, after temperature scaling.
    """
    test, y = kept["test"], dataset.test_y
    scaled = test / metrics.fit_temperature(kept["val"], dataset.val_y)
    confidence, predicted = test.softmax(-1).max(-1)
    found = {
        "test_accuracy": metrics.accuracy(test, y),
        "aurc": metrics.selective_risk(confidence.clamp(max=1), predicted == y).mean().item(),
        "augrc": metrics.augrc(confidence, predicted == y),
        **_calibration("", test, y),
        **_calibration("scaled_", scaled, y),
    }
    if recalibrate:
        found |= _calibration("recalibrated_", recalibrated(kept["val"], dataset.val_y, test), y)
    if "ood" in kept:
        found["auroc_max_softmax"] = metrics.auroc(
            *(metrics.max_softmax(kept[part]) for part in ("test", "ood"))
        )
    if answers is not None:
        found["people"] = -(answers * scaled.log_softmax(-1)).sum(-1).mean().item()
    return found


def _calibration(prefix, logits, y):
    found = quality(logits, y)
    ece = found.pop("ece")
    found |= {"ece": ece["uniform10"], "ece_uniform15": ece["uniform15"], "ece_quantile10": ece["quantile10"]}
    found["smooth_ece"] = metrics.smooth_calibration_error(logits.softmax(-1), y)
    return {prefix + name: value for name, value in found.items()}


def table(
    runs: Iterable[Run],
    store: Store,
    sizes: Iterable[int],
    root: str | Path | None,
    answers: Path | None,
    recalibrate: bool,
    schemes: Collection[str],
) -> pd.DataFrame:
    """A row per scheme and ensemble of ``size`` nets with seeds in a row; what is not kept is left out.

    ValueError for a size below 1, and for nets that were trained on other data than is here.
    """
    sizes = sorted(set(sizes))
    if sizes[0] < 1:
        raise ValueError(f"size={sizes[0]} must be at least 1 net")
    groups, rows = {}, []
    for run, record in store.select(list(runs)).items():
        with contextlib.suppress(FileNotFoundError):
            net = record, store.logits(record)
            groups.setdefault(replace(run, seed=0), []).append(net)
    for run, nets in groups.items():
        dataset = load_dataset(run.dataset, root=root)
        for record, _ in nets:
            check_data(record, dataset)
        asked = people(answers, dataset) if answers else None
        for size in sizes:
            for first in range(0, len(nets) - size + 1, size):
                records, logits = zip(*nets[first : first + size])
                keys = "+".join(record["key"] for record in records)
                pooled_logits = _by_scheme(logits)
                for scheme in [one for one in schemes if one in pooled_logits]:
                    row = {"keys": keys, "size": size, "scheme": scheme, "code": code_version()}
                    rows.append(row | measures(pooled_logits[scheme], dataset, asked, recalibrate))
    return pd.DataFrame(rows)


def _by_scheme(nets):
    """Of the nets' logits ``{scheme}_{part}`` the pooled ones: scheme -> part -> logits."""
    found = {}
    for name in nets[0]:
        scheme, part = name.rsplit("_", 1)
        found.setdefault(scheme, {})[part] = pooled([torch.from_numpy(net[name]).double() for net in nets])
    return found
