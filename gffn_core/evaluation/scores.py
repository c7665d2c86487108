"""Scores of inputs, higher for what looks in-distribution, and how well they detect what is not."""

import torch
from torch import Tensor

from gffn_core import metrics

SCORES = ("max_softmax", "log_px", "max_logit", "typicality")
HISTOGRAM_BINS = 60
ROC_POINTS = 101


def scores(logits: Tensor, label_space: str, mean_log_px: float) -> dict[str, Tensor]:
    """The out-of-distribution scores of logits (N, K) by name, each (N,), higher = in-distribution."""
    log_px = metrics.log_px(logits, label_space=label_space)
    return {
        "max_softmax": metrics.max_softmax(logits),
        "log_px": log_px,
        "max_logit": metrics.max_logit(logits),
        "typicality": metrics.typicality(log_px, mean_log_px),
    }


def detection(inside: Tensor, outside: Tensor) -> dict:
    """AUROC and its relatives, the ROC curve on a grid of false positive rates, and histograms."""
    curve = metrics.roc_curve(inside, outside)
    grid = torch.linspace(0, 1, ROC_POINTS, dtype=torch.float64)
    last = torch.searchsorted(curve.fpr, grid, right=True) - 1  # highest TPR within each FPR
    low = min(inside.min(), outside.min()).item()
    high = max(inside.max(), outside.max()).item()
    return {
        "auroc": metrics.auroc(inside, outside),
        "fpr_at_95_tpr": metrics.fpr_at_tpr(inside, outside),
        "average_precision": metrics.average_precision(inside, outside),
        "tpr_on_fpr_grid": curve.tpr[last].tolist(),
        "histogram": {
            "low": low,
            "high": high,
            "inside": torch.histc(inside, HISTOGRAM_BINS, low, high).tolist(),
            "outside": torch.histc(outside, HISTOGRAM_BINS, low, high).tolist(),
        },
    }
