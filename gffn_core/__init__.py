"""Classifiers trained on the joint likelihood p(x, y): the loss, the metrics, the net.

The rooms below hold what runs and judges experiments, each above what it uses: ``data``, ``variants``,
``evaluation``, ``training``, ``engine``, ``experiments``, ``verdicts``, ``pages``.
"""

from gffn_core.losses import conditional_nll, joint_nll, log_partition, self_normalised_nll
from gffn_core.metrics import (
    accuracy,
    augrc,
    auroc,
    average_precision,
    brier_score,
    calibration_bins,
    expected_calibration_error,
    fit_temperature,
    fpr_at_tpr,
    log_px,
    max_logit,
    max_softmax,
    maximum_calibration_error,
    negative_log_likelihood,
    roc_curve,
    selective_risk,
    smooth_calibration_error,
    typicality,
)
from gffn_core.model import ConvNet
from gffn_core.modules import JointCrossEntropyLoss, SelfNormalisedCrossEntropyLoss

__all__ = [
    "ConvNet",
    "JointCrossEntropyLoss",
    "SelfNormalisedCrossEntropyLoss",
    "accuracy",
    "augrc",
    "auroc",
    "average_precision",
    "brier_score",
    "calibration_bins",
    "conditional_nll",
    "expected_calibration_error",
    "fit_temperature",
    "fpr_at_tpr",
    "joint_nll",
    "log_partition",
    "log_px",
    "max_logit",
    "max_softmax",
    "maximum_calibration_error",
    "negative_log_likelihood",
    "roc_curve",
    "selective_risk",
    "self_normalised_nll",
    "smooth_calibration_error",
    "typicality",
]
