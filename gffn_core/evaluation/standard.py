"""Everything that is measured on a trained model, as plain data."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gffn_core import metrics
from gffn_core.data.datasets import Dataset
from gffn_core.evaluation.scores import SCORES, detection, scores

BINNINGS = {"uniform10": (10, "uniform"), "uniform15": (15, "uniform"), "quantile10": (10, "quantile")}
QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
COVERAGES = tuple(i / 20 for i in range(1, 21))


@torch.no_grad()
def predict(model: torch.nn.Module, images: Tensor, prepare: Callable) -> Tensor:
    """Logits (N, K), float32 on the CPU, of uint8 images (N, C, H, W), always in evaluation mode."""
    training = model.training
    model.eval()
    try:
        return torch.cat([model(prepare(part)).float().cpu() for part in images.split(500)])
    finally:
        model.train(training)


def evaluate(
    model: torch.nn.Module,
    label_space: str,
    dataset: Dataset,
    prepare: Callable,
    out_of_distribution: Dataset | None = None,
) -> tuple[dict, dict]:
    """Everything the figures need from a model, and the logits it was computed from.

    Probabilities are softmax(logits) for both label spaces: p(y|x) over the K one-hot labels.
    ``out_of_distribution``: its test images are scored against ``dataset``'s, normalised like them.
    """
    train, val, test = (predict(model, x, prepare) for x in (dataset.train_x, dataset.val_x, dataset.test_x))
    target = dataset.test_y
    confidence, predicted = test.double().softmax(-1).max(-1)
    confidence = confidence.clamp(max=1)  # rounding of the softmax can exceed 1 by one bit
    correct = predicted == target
    bins = _by_binning(metrics.calibration_bins, confidence, correct)
    temperature = metrics.fit_temperature(val, dataset.val_y)
    measured = {
        "train_accuracy": metrics.accuracy(train, dataset.train_y),
        "train_nll": metrics.negative_log_likelihood(train, dataset.train_y),
        "val_accuracy": metrics.accuracy(val, dataset.val_y),
        "test_accuracy": metrics.accuracy(test, target),
        "confidence": confidence.mean().item(),
        "calibration": {
            name: {key: value.tolist() for key, value in one._asdict().items()} for name, one in bins.items()
        },
        **quality(test.double(), target),
        "scaled": {"temperature": temperature, **quality(test.double() / temperature, target)},
        "risk_coverage": _risk_coverage(metrics.selective_risk(confidence, correct)),
        "mce": metrics.maximum_calibration_error(test.double().softmax(-1), target),
        "train_log_px": _distribution(metrics.log_px(train, label_space=label_space)),
    }
    kept = {"val": val, "test": test}
    if out_of_distribution is not None:
        kept["ood"] = predict(model, out_of_distribution.test_x, prepare)
        mean = measured["train_log_px"]["mean"]
        inside, outside = (scores(kept[part], label_space, mean) for part in ("test", "ood"))
        measured["ood"] = {
            "data": out_of_distribution.provenance(),
            "scores": {name: detection(inside[name], outside[name]) for name in SCORES},
        }
    return measured, kept


def _by_binning(measure, *of):
    return {name: measure(*of, n_bins=n, strategy=strategy) for name, (n, strategy) in BINNINGS.items()}


def quality(logits: Tensor, target: Tensor) -> dict:
    """``nll``, ``brier`` and, for each of ``BINNINGS``, ``ece`` of logits (N, K), see ``metrics``."""
    probs = logits.softmax(-1)
    return {
        "nll": metrics.negative_log_likelihood(logits, target),
        "brier": metrics.brier_score(probs, target),
        "ece": _by_binning(metrics.expected_calibration_error, probs, target),
    }


def _risk_coverage(risk):
    at = [math.ceil(share * len(risk)) - 1 for share in COVERAGES]
    return {"aurc": risk.mean().item(), "risk": risk[at].tolist()}


def _distribution(values):
    quantiles = values.quantile(torch.tensor(QUANTILES, dtype=torch.float64))
    return {"mean": values.mean().item(), "std": values.std().item(), "quantiles": quantiles.tolist()}
