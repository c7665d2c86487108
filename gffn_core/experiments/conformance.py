"""The same measures by this package and by others, on cases with a known answer and on published predictions.

    GFFN_EXTERNAL=<folder> python -m gffn_core.experiments.conformance

writes ``results/published/conformance.csv``, for which all of the libraries have to be there; readers need
none. The folder holds predictions that others published, under the names below; they keep their licences and
stay there.
"""

import importlib.metadata
import math
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from gffn_core import metrics
from gffn_core.data.sources import import_torchvision
from gffn_core.experiments import tables

PUBLISHED = Path("published/conformance.csv")  # below the folder of results
COLUMNS = ("case", "measure", "bins", "by", "version", "value")
REFUSED = "refused"  # the value where an implementation raises an error


class Case(NamedTuple):
    """Predictions, and what somebody else knows of them. Scores of a detection have no probabilities."""

    scores: np.ndarray  # (N,) confidences, or scores of any size
    right: np.ndarray  # (N,) whether the answer is right, or the input in-distribution
    probs: torch.Tensor | None  # (N, K) with the confidence as largest entry
    target: torch.Tensor | None  # (N,)
    known: dict[tuple[str, int], float | None]  # (measure, bins, 0 where it has none) -> value


def answers(confidence, right, known, *, copies: int | None = None) -> Case:
    """A case with as many classes as let each confidence be the largest probability.

    The classes take turns. ``copies`` of the answers: by default one for each class, so that none is absent.
    """
    confidence, right = np.asarray(confidence, dtype=float), np.asarray(right, dtype=bool)
    classes = max(3, math.floor(1 / confidence.min()) + 2)
    every, hit = (np.tile(values, copies or classes) for values in (confidence, right))
    chosen = np.arange(len(every)) // (1 if copies else len(confidence)) % classes
    probs = np.repeat((1 - every)[:, None] / (classes - 1), classes, axis=1)
    probs[np.arange(len(every)), chosen] = every
    target = np.where(hit, chosen, (chosen + 1) % classes)
    return Case(confidence, right, torch.from_numpy(probs), torch.from_numpy(target), known)


def detection(inside, outside, known) -> Case:
    right = np.repeat([True, False], [len(inside), len(outside)])
    return Case(np.array([*inside, *outside], dtype=float), right, None, None, known)


def predicted(probs, target, known) -> Case:
    probs, target = torch.as_tensor(probs), torch.as_tensor(target)
    confidence, chosen = probs.max(-1)
    return Case(confidence.double().numpy(), (chosen == target).numpy(), probs, target, known)


CLOSED_FORMS = {
    "confidence exactly 1": answers([0.95, 1], [1, 0], {("ECE", 10): 0.475, ("MCE", 10): 0.475}),
    "confidence 1 - 1e-8": answers([0.95, 1 - 1e-8], [1, 0], {("ECE", 10): 0.475 - 5e-9}),
    "a probability rounded above 1": predicted(
        torch.tensor([[1 + 2**-23, 0, 0], [0.75, 0.25, 0], [0.125, 0.25, 0.625]]),
        [0, 1, 2],
        {("ECE", 10): 0.375, ("MCE", 10): 0.75},
    ),
    "a class that no label has": predicted(
        torch.tensor([[0.75, 0.125, 0.125], [0.125, 0.75, 0.125]]),
        [0, 1],
        {("ECE", 10): 0.25, ("ECE of probabilities", 10): 0.25},
    ),
    "on the edge of two bins": answers([0.5, 0.45], [1, 0], {("ECE", 10): 0.025}),
    "empty bins": answers([0.55, 0.95, 0.97], [1, 0, 1], {("ECE", 10): 1.37 / 3, ("MCE", 10): 0.46}),
    "all confidences tied": answers(
        [0.75] * 4,
        [1, 0, 0, 0],
        {("ECE", 10): 0.5, ("ECE, equal mass", 10): 0.5, ("SmoothECE", 0): 0.5, ("AURC", 0): 0.75},
    ),
    "half at 1 and right, half at .8": answers(
        [1.0] * 5 + [0.8] * 5, [1] * 5 + [1, 1, 0, 0, 0], {("ECE", 10): 0.2, ("SmoothECE", 0): 0.2}
    ),
    "a tie among four answers": answers([0.9, 0.5, 0.7, 0.7], [1, 1, 0, 1], {("AURC", 0): 5 / 24}),
    "two classes": predicted(torch.tensor([[0.75, 0.25]] * 4), [0, 0, 0, 1], {("Brier", 0): 0.375}),
    "scores tied across classes": detection([0.9, 0.5], [0.5, 0.1], {("AUROC", 0): 7 / 8, ("AP", 0): 5 / 6}),
    "scores beyond 1": detection([41, 40], [39, 38], {("AUROC", 0): 1, ("AP", 0): 1}),
    "one class absent": detection([0.9, 0.5], [], {("AUROC", 0): None}),
}

NETS = {
    "ResNet-110, CIFAR-10": ("probs_resnet110_c10_logits.csv", 15, 0.047503518641, 0.295798957348),
    "ResNet-110, CIFAR-100": ("probs_resnet110_c100_logits.csv", 15, 0.184804543945, 0.398817125148),
    "DenseNet-40, CIFAR-10": ("probs_densenet40_c10_logits.csv", 15, 0.055002704373, 0.333955179269),
    "DenseNet-40, CIFAR-100": ("probs_densenet40_c100_logits.csv", 15, 0.211562852757, 0.45400331452),
    "ResNet-50, birds": ("probs_resnet50_birds_logits.csv", 15, 0.0235349822251, 0.27288242057),
    "ResNeXt-101, ImageNet": ("resnext101_32x8d.csv", 20, 0.08073629151433703, 0.1919470946617725),
    "LeNet-5, CIFAR-10": ("lenet-5-cifar-10.npz", 15, 0.10788788, None),
    "WRN-16-4, CIFAR-10": ("wideresnet-16-4-cifar-10.npz", 15, None, None),
}
BINS = "bin_data_resnext101_32x8d_20bins.txt"


def nets(folder: str | Path) -> dict[str, Case]:
    """The published predictions in a folder. Raises FileNotFoundError for one that is missing."""
    found = {}
    for name, (file, bins, ece, mce) in NETS.items():
        known = {("ECE", bins): ece, ("MCE", bins): mce}
        known |= dict.fromkeys([("ECE, equal mass", bins), ("SmoothECE", 0), ("AUROC", 0), ("AP", 0)])
        path = Path(folder) / file
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                probs, target = arrays["predictions"].astype(float), arrays["ground_truth"].ravel()
            found[name] = predicted(probs, target, known | {("Brier", 0): None})
        else:
            label, chosen, confidence = np.loadtxt(path, delimiter=",", skiprows=1, unpack=True)
            found[name] = answers(confidence, label == chosen, known, copies=1)
    found["ResNeXt-101, ImageNet"].known.update(_published_bins(Path(folder) / BINS))
    return found


def _published_bins(path):
    text = path.read_text()
    for kind, name in (("count", "counts"), ("accuracy", "accuracies"), ("confidence", "confidences")):
        values = re.search(rf"'{name}': array\(\[(.*?)\]\)", text, re.DOTALL)[1].split(",")
        yield from {(f"{kind} of bin", place): float(value) for place, value in enumerate(values, 1)}.items()


def _of_bin(field):
    return lambda c, place: getattr(metrics.calibration_bins(c.scores, c.right, n_bins=20), field)[place - 1]


def _ours():
    def expected(c, bins):
        return metrics.expected_calibration_error(c.probs, c.target, n_bins=bins)

    return {
        "ECE": expected,
        "ECE of probabilities": expected,
        "MCE": lambda c, bins: metrics.maximum_calibration_error(c.probs, c.target, n_bins=bins),
        "ECE, equal mass": lambda c, bins: metrics.expected_calibration_error(
            c.probs, c.target, n_bins=bins, strategy="quantile"
        ),
        "SmoothECE": lambda c, _: metrics.smooth_calibration_error(c.probs, c.target),
        "Brier": lambda c, _: metrics.brier_score(c.probs, c.target),
        "AUROC": lambda c, _: metrics.auroc(c.scores[c.right], c.scores[~c.right]),
        "AP": lambda c, _: metrics.average_precision(c.scores[c.right], c.scores[~c.right]),
        "AURC": lambda c, _: metrics.selective_risk(c.scores, c.right).mean().item(),
        **{f"{field} of bin": _of_bin(field) for field in ("count", "accuracy", "confidence")},
    }


def _torchmetrics():
    import_torchvision()  # torchmetrics imports it, which fails by itself beside a CPU-only torch
    from torchmetrics.functional import classification as theirs

    def error(norm):
        return lambda c, bins: theirs.multiclass_calibration_error(
            c.probs, c.target, c.probs.shape[1], n_bins=bins, norm=norm
        )

    def ranking(metric):
        return lambda c, _: metric(torch.from_numpy(c.scores), torch.from_numpy(c.right).long())

    return {
        "ECE": error("l1"),
        "MCE": error("max"),
        "AUROC": ranking(theirs.binary_auroc),
        "AP": ranking(theirs.binary_average_precision),
    }


def _netcal():
    from netcal.metrics import ECE, MCE

    return {
        "ECE": lambda c, bins: ECE(bins).measure(c.scores, c.right.astype(int)),
        "ECE of probabilities": lambda c, bins: ECE(bins).measure(c.probs.numpy(), c.target.numpy()),
        "MCE": lambda c, bins: MCE(bins).measure(c.scores, c.right.astype(int)),
        "ECE, equal mass": lambda c, bins: ECE(bins, equal_intervals=False).measure(
            c.scores, c.right.astype(int)
        ),
    }


def _relplot():
    from relplot import metrics as theirs

    return {
        "ECE": lambda c, bins: theirs.binnedECE(c.scores, c.right.astype(float), bins),
        "SmoothECE": lambda c, _: theirs.smECE(c.scores, c.right.astype(float)),
    }


def _probmetrics():
    import_torchvision()
    from probmetrics import metrics as theirs

    def named(name):
        return lambda c, bins: theirs.Metric.from_name(name.format(bins)).compute_from_labels_probs(
            c.target, c.probs
        )

    return {
        "ECE": named("ece-{}"),
        "MCE": named("mce-{}"),
        "SmoothECE": named("smece"),
        "Brier": named("brier"),
    }


def _scikit_learn():
    from sklearn import metrics as theirs

    return {
        "Brier": lambda c, _: theirs.brier_score_loss(
            c.target, c.probs, labels=range(c.probs.shape[1]), scale_by_half=False
        ),
        "AUROC": lambda c, _: theirs.roc_auc_score(c.right, c.scores),
        "AP": lambda c, _: theirs.average_precision_score(c.right, c.scores),
    }


OURS = "gffn-core"
# By the names of their distributions; each imports its library, and may raise ImportError.
IMPLEMENTATIONS: dict[str, Callable] = {
    OURS: _ours,
    "torchmetrics": _torchmetrics,
    "netcal": _netcal,
    "scikit-learn": _scikit_learn,
    "relplot": _relplot,
    "probmetrics": _probmetrics,
}


def measure(by: str, cases: dict[str, Case]) -> Iterator[dict]:
    """Rows of what an implementation makes of cases. Raises ImportError where it is not installed."""
    version = "" if by == OURS else importlib.metadata.version(by)
    functions = IMPLEMENTATIONS[by]()
    for name, case in cases.items():
        for kind, bins in case.known:
            if kind in functions:
                yield dict(zip(COLUMNS, (name, kind, bins, by, version, _value(functions[kind], case, bins))))


def known(cases: dict[str, Case]) -> Iterator[dict]:
    """Rows of what is known of cases by hand, or was published with them."""
    for name, case in cases.items():
        for (kind, bins), value in case.known.items():
            if value is not None:
                yield dict(zip(COLUMNS, (name, kind, bins, "known", "", _text(value))))


def read(results: str | Path) -> pd.DataFrame:
    return pd.read_csv(Path(results) / PUBLISHED, dtype=str, keep_default_na=False).astype({"bins": int})


def _value(function, case, bins):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _text(float(function(case, bins)))
        except (ValueError, RuntimeError):
            return REFUSED


def _text(value):
    return f"{value:.9f}"


def main() -> None:
    if "GFFN_EXTERNAL" not in os.environ:
        sys.exit("GFFN_EXTERNAL must name the folder of published predictions")
    cases = CLOSED_FORMS | nets(os.environ["GFFN_EXTERNAL"])
    rows = [*known(cases), *(row for by in IMPLEMENTATIONS for row in measure(by, cases))]
    order = {name: place for place, name in enumerate(cases)}
    rows.sort(key=lambda row: (order[row["case"]], row["measure"], row["bins"]))
    tables.write(pd.DataFrame(rows, columns=COLUMNS), Path("results") / PUBLISHED)


if __name__ == "__main__":
    main()
