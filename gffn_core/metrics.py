"""Accuracy, calibration and out-of-distribution metrics, from logits or probabilities.

All functions take tensors (or anything ``torch.as_tensor`` takes) of N examples, convert to
float64 and reduce to Python floats. Errors are fractions in [0, 1], never per cent. "In" is
in-distribution, and a higher score means more in-distribution. What takes logits raises ValueError
where every row is a probability distribution, for which it would give a wrong number.
"""

import math
from numbers import Integral
from typing import NamedTuple

import torch
from torch import Tensor

from gffn_core.checks import SUM_TOLERANCE
from gffn_core.losses import log_partition


def accuracy(scores, target) -> float:
    """Share of examples whose largest score is the target's. ``scores (N, K)``: logits or probabilities."""
    scores, target = _scores(scores, target)
    return (scores.argmax(-1) == target).double().mean().item()


def negative_log_likelihood(logits, target) -> float:
    """Mean of -ln softmax(logits)[target], in nats. ``logits (N, K)``, ``target (N,)`` indices."""
    logits, target = _scores(logits, target)
    return -_logits(logits).log_softmax(-1).gather(-1, target[:, None]).mean().item()


def brier_score(probs, target) -> float:
    """Mean squared distance of the probability vector to the one-hot target, in [0, 2] (Brier, 1950)."""
    probs, target = _probabilities(probs, target)
    onehot = torch.nn.functional.one_hot(target, probs.shape[-1])
    return (probs - onehot).square().sum(-1).mean().item()


class CalibrationBins(NamedTuple):
    """Bin m of M is (edges[m-1], edges[m]]. ``accuracy`` and ``confidence`` are NaN where ``count`` is 0."""

    edges: Tensor  # (M + 1,)
    count: Tensor  # (M,) int64
    accuracy: Tensor  # (M,) acc(B_m), thesis (5.2)
    confidence: Tensor  # (M,) conf(B_m), thesis (5.3)


def calibration_bins(confidence, correct, *, n_bins: int = 10, strategy: str = "uniform") -> CalibrationBins:
    """Group predictions by confidence, the table behind a reliability diagram (thesis 5.2.1).

    confidence: (N,) in [0, 1]; correct: (N,) booleans. strategy: "uniform", M bins of equal width
    ((m-1)/M, m/M], confidence 0 in the first; or "quantile", bins between the m/M quantiles of the
    confidence, so of about equal mass (tied confidences stay together and may leave bins empty).
    Raises ValueError for a confidence outside [0, 1], no examples, or an unknown strategy.
    """
    confidence, correct = _answers(confidence, correct)
    if not isinstance(n_bins, Integral) or n_bins < 1:
        raise ValueError(f"n_bins={n_bins!r} must be an integer of at least 1")
    if strategy == "uniform":
        edges = torch.arange(n_bins + 1, dtype=torch.float64) / n_bins
    elif strategy == "quantile":
        edges = _quantiles(confidence, torch.linspace(0, 1, n_bins + 1, dtype=torch.float64))
    else:
        raise ValueError(f"strategy={strategy!r} is unknown; use 'uniform' or 'quantile'")
    # Searching the inner edges alone puts 0 into the first bin and 1 into the last.
    index = torch.searchsorted(edges[1:-1].contiguous(), confidence)
    count = torch.bincount(index, minlength=n_bins)
    return CalibrationBins(
        edges,
        count,
        torch.bincount(index, correct, minlength=n_bins) / count,
        torch.bincount(index, confidence, minlength=n_bins) / count,
    )


def expected_calibration_error(probs, target, *, n_bins: int = 10, strategy: str = "uniform") -> float:
    """Mean over examples of |accuracy - confidence| of their bin, a fraction (thesis 5.4; Guo et al., 2017).

    probs: (N, K) rows that sum to 1; target: (N,) indices. Only the top prediction counts.
    """
    bins = _top_bins(probs, target, n_bins, strategy)
    full = bins.count > 0
    gap = (bins.accuracy - bins.confidence).abs()[full]
    return ((gap * bins.count[full]).sum() / bins.count.sum()).item()


def maximum_calibration_error(probs, target, *, n_bins: int = 10, strategy: str = "uniform") -> float:
    """Largest |accuracy - confidence| over the non-empty bins, a fraction (thesis 5.5)."""
    bins = _top_bins(probs, target, n_bins, strategy)
    return (bins.accuracy - bins.confidence).abs()[bins.count > 0].max().item()


def smooth_calibration_error(probs, target) -> float:
    """SmoothECE, a calibration error without bins, a fraction (Błasiok and Nakkiran, arXiv 2309.12236).

    probs: (N, K) rows that sum to 1; target: (N,) indices. Only the top prediction counts, as in the expected
    calibration error. The gap of accuracy and confidence is smoothed over the confidence by a Gaussian that
    is reflected at 0 and 1, and its size is integrated; the width is the one that equals the result. The
    integral is exact to 1e-6. A result below 1/2048 is a lower bound, smoothed by that width.
    """
    confidence, correct = _top_answers(probs, target)
    gap = correct - confidence
    # The reflected Gaussian is the heat kernel of an interval with closed ends: cosine k decays by
    # exp(-(pi k width)^2 / 2), and nothing that lies at an end is lost there or counted twice.
    cosines = []

    def smoothed(width):
        while len(cosines) * math.pi * width < 9:  # where it has decayed below the precision of float64
            cosines.append((gap * torch.cos(math.pi * len(cosines) * confidence)).mean())
        decay = torch.exp(-((math.pi * width * torch.arange(len(cosines), dtype=torch.float64)) ** 2) / 2)
        return torch.fft.irfft(torch.stack(cosines) * decay, 2**16, norm="forward").abs().mean().item()

    low, high = 0.0, 1.0
    while high - low > 1e-9 and high > 2**-11:
        middle = (low + high) / 2
        low, high = (middle, high) if smoothed(middle) > middle else (low, middle)
    return smoothed(high)


def fit_temperature(logits, target) -> float:
    """The T in [0.01, 100] at which softmax(logits / T) has the lowest NLL (Guo et al., 2017).

    ``logits (N, K)``, ``target (N,)`` indices, of validation data. The NLL is convex in 1 / T, so
    bisection on its slope finds the minimum; without one (all examples correct, say) T is a bound, or 1
    where no T changes anything, as of each example all logits are equal.
    """
    logits, target = _scores(logits, target)
    logits = _logits(logits)
    if (logits == logits[:, :1]).all():
        return 1.0
    own = logits.gather(-1, target[:, None]).mean()
    low, high = math.log(0.01), math.log(100)
    while high - low > 1e-9:
        middle = (low + high) / 2
        expected = (logits * (logits / math.exp(middle)).softmax(-1)).sum(-1).mean()
        # Where the expected logit exceeds the label's, the net is too sure: T has to grow.
        low, high = (middle, high) if expected > own else (low, middle)
    return math.exp((low + high) / 2)


def selective_risk(confidence, correct) -> Tensor:
    """Error rate among the k most confident examples, k = 1..N: the risk-coverage curve, (N,) -> (N,).

    Its mean is the area under the curve (AURC; Geifman et al., 2019). Tied examples are
    accepted together, in expectation over their order. Takes and refuses what ``calibration_bins`` does.
    """
    confidence, correct = _answers(confidence, correct)
    wrong = 1 - correct
    _, index, count = torch.unique(-confidence, return_inverse=True, return_counts=True)
    rate = torch.bincount(index, wrong) / count  # of each group of ties, most confident first
    k = torch.arange(1, len(wrong) + 1, dtype=torch.float64)
    return rate.repeat_interleave(count).cumsum(0) / k


def augrc(scores, correct) -> float:
    """Area under the generalised risk-coverage curve (Traub et al., 2024): of all examples, the share that is
    accepted though it fails, mean over k = 1..N accepted ones, highest scores first.

    Half the failure rate for scores that know nothing, half its square for those that know all. scores: any
    real numbers (N,); correct: booleans (N,), False also where an example should not have been answered.
    """
    scores = _float64(scores)
    if scores.isnan().any():
        raise ValueError("scores holds NaN; did training diverge?")
    rank = torch.unique(scores, return_inverse=True)[1].double()
    risk = selective_risk(rank / max(1, len(scores)), correct)
    return (risk * torch.arange(1, len(risk) + 1) / len(risk)).mean().item()


def max_softmax(logits) -> Tensor:
    """max_y p(y|x), the baseline score (thesis 5.3.1; Hendrycks and Gimpel, 2016). (N, K) -> (N,)."""
    return _logits(logits).softmax(-1).amax(-1)


def log_px(logits, *, label_space: str = "categorical") -> Tensor:
    """Unnormalised ln p(x) = ln Z(x) (thesis 4.9); minus the energy of Liu et al. (2020). (N, K) -> (N,)."""
    return log_partition(_logits(logits), label_space=label_space)


def max_logit(logits) -> Tensor:
    """Largest logit, max_y ln p(x, y) up to a constant. (N, K) -> (N,)."""
    return _logits(logits).amax(-1)


def typicality(log_px, mean_log_px: float) -> Tensor:
    """-|ln p(x) - E ln p(x)|, the expectation taken on training data (after Nalisnick et al., 2019).

    Two-sided: an input that is too likely is as suspicious as one that is too unlikely. (N,) -> (N,).
    """
    return -(_float64(log_px) - mean_log_px).abs()


class RocCurve(NamedTuple):
    """From (0, 0) at threshold inf to (1, 1); one point per distinct score, highest first."""

    fpr: Tensor  # share of out-of-distribution examples with score >= threshold
    tpr: Tensor  # share of in-distribution examples with score >= threshold
    threshold: Tensor


def roc_curve(scores_in, scores_out) -> RocCurve:
    """Receiver operating characteristic, in-distribution as the positive class. (N,), (M,) scores."""
    tp, fp, threshold = _roc_counts(scores_in, scores_out)
    return RocCurve(fp / fp[-1], tp / tp[-1], threshold)


def auroc(scores_in, scores_out) -> float:
    """Chance that a random in-distribution score exceeds a random out-of-distribution one, ties half."""
    tp, fp, _ = _roc_counts(scores_in, scores_out)
    area = (fp.diff() * (tp[1:] + tp[:-1])).sum() / 2
    return (area / (tp[-1] * fp[-1])).item()


def fpr_at_tpr(scores_in, scores_out, tpr: float = 0.95) -> float:
    """Share of foreign examples accepted by the strictest threshold that accepts ``tpr`` of the others."""
    if not 0 < tpr <= 1:
        raise ValueError(f"tpr={tpr} must lie in (0, 1]")
    curve = roc_curve(scores_in, scores_out)
    return curve.fpr[(curve.tpr >= tpr).nonzero()[0, 0]].item()


def average_precision(scores_in, scores_out) -> float:
    """Area under the precision-recall steps, in-distribution as the positive class (no interpolation)."""
    tp, fp, _ = _roc_counts(scores_in, scores_out)
    return (tp.diff() / tp[-1] * (tp / (tp + fp))[1:]).sum().item()


def _roc_counts(scores_in, scores_out):
    """Accepted in- and out-of-distribution examples at each distinct threshold, as float64 counts."""
    scores_in = _float64(scores_in)
    scores_out = _float64(scores_out)
    for name, scores in (("scores_in", scores_in), ("scores_out", scores_out)):
        if scores.ndim != 1 or len(scores) == 0:
            raise ValueError(f"{name} must be a non-empty vector, got shape {tuple(scores.shape)}")
        if scores.isnan().any():
            raise ValueError(f"{name} holds NaN; did training diverge?")
    values, index = torch.unique(torch.cat([scores_in, scores_out]), return_inverse=True)

    def accepted(part):
        counts = torch.bincount(part, minlength=len(values)).flip(0).cumsum(0).double()
        return torch.cat([torch.zeros(1, dtype=torch.float64), counts])

    threshold = torch.cat([torch.tensor([math.inf], dtype=torch.float64), values.flip(0)])
    return accepted(index[: len(scores_in)]), accepted(index[len(scores_in) :]), threshold


def _float64(values) -> Tensor:
    # With the dtype given at once, a list of Python floats does not pass through float32.
    return torch.as_tensor(values, dtype=torch.float64).detach().cpu()


def _quantiles(values, levels):
    """``values.quantile(levels)`` to the bit, which refuses more than 16 million values."""
    ordered = values.sort().values
    rank = levels * (len(values) - 1)
    below = rank.long()
    return ordered[below].lerp(ordered[rank.ceil().long()], rank - below)


def _logits(values) -> Tensor:
    logits = _float64(values)
    rows = _distributions(logits)
    # A row of logits may sum to 1 by chance, all of them do not, unless a net ignores its inputs; then hardly
    # to so many digits. Of one class nothing can be told.
    chance = (logits == logits[:1]).all() and (logits[:1].sum(-1) - 1).abs().max() > 1e-5
    if logits.numel() > rows.numel() and rows.all() and not chance:
        raise ValueError("all rows are probabilities that sum to 1; pass logits, or probs.log()")
    return logits


def _distributions(rows):
    return (rows >= 0).all(-1) & ((rows.sum(-1) - 1).abs() <= SUM_TOLERANCE)


def _answers(confidence, correct):
    confidence = _float64(confidence)
    correct = _float64(correct)
    if confidence.ndim != 1 or confidence.shape != correct.shape or len(confidence) == 0:
        raise ValueError(
            "confidence and correct must be non-empty vectors of one length, got shapes "
            f"{tuple(confidence.shape)} and {tuple(correct.shape)}"
        )
    outside = ~((confidence >= 0) & (confidence <= 1))
    if outside.any():
        bad = confidence[outside][0].item()
        raise ValueError(f"confidence {bad} is no probability; pass softmax outputs, not logits")
    unclear = (correct != 0) & (correct != 1)
    if unclear.any():
        bad = correct[unclear][0].item()
        raise ValueError(f"correct holds {bad}; pass booleans, such as predicted == target")
    return confidence, correct


def _top_answers(probs, target):
    probs, target = _probabilities(probs, target)
    confidence, predicted = probs.max(-1)
    return confidence.clamp(max=1), (predicted == target).double()


def _top_bins(probs, target, n_bins, strategy):
    return calibration_bins(*_top_answers(probs, target), n_bins=n_bins, strategy=strategy)


def _scores(scores, target):
    scores = _float64(scores)
    target = torch.as_tensor(target).detach().cpu()
    if scores.ndim != 2 or target.shape != scores.shape[:1] or len(scores) == 0:
        raise ValueError(
            "need non-empty scores (N, K) and class indices (N,), got shapes "
            f"{tuple(scores.shape)} and {tuple(target.shape)}"
        )
    if target.is_floating_point():
        raise ValueError(f"target must hold class indices, got {target.dtype}")
    target = target.long()
    if target.min() < 0 or target.max() >= scores.shape[1]:
        bad = target.min() if target.min() < 0 else target.max()
        raise ValueError(f"class index {bad.item()} is out of range for {scores.shape[1]} classes")
    if not scores.isfinite().all():
        raise ValueError("scores hold a non-finite value; did training diverge?")
    return scores, target


def _probabilities(probs, target):
    probs, target = _scores(probs, target)
    if not _distributions(probs).all():
        total = probs.sum(-1)
        worst = total[(total - 1).abs().argmax()].item()
        raise ValueError(
            f"rows must be probabilities that sum to 1, found a row with sum {worst:.4g}; "
            "pass logits.softmax(-1)"
        )
    return probs, target
