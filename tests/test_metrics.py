"""The metrics against scikit-learn, torchmetrics, published numbers and closed forms."""

import importlib.metadata
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from sklearn import metrics as sklearn_metrics

from gffn_core import metrics
from gffn_core.data.sources import import_torchvision
from gffn_core.experiments import conformance

scores_with_ties = st.lists(st.integers(-3, 3), min_size=1, max_size=40)
# (N, K) logits; the classes are dealt out in turn.
logits_arrays = arrays(
    np.float64, array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=8), elements=st.floats(-10, 10)
).map(torch.from_numpy)


def predictions(n=500, classes=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, classes, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, classes, (n,), generator=generator)


def two_class(confidence):
    """Probabilities (N, 2) whose larger entry is ``confidence``, predicting class 0."""
    confidence = torch.as_tensor(confidence, dtype=torch.float64)
    return torch.stack([confidence, 1 - confidence], -1)


def close(actual, expected, tolerance=1e-12):
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


# Accuracy and proper scores


def test_accuracy_and_log_loss_are_those_of_scikit_learn():
    logits, target = predictions()
    probs = logits.softmax(-1)
    close(metrics.accuracy(logits, target), sklearn_metrics.accuracy_score(target, logits.argmax(-1)))
    close(metrics.accuracy(probs.numpy(), target.numpy()), metrics.accuracy(logits, target))
    close(
        metrics.negative_log_likelihood(logits, target),
        sklearn_metrics.log_loss(target, probs, labels=range(5)),
    )


def test_brier_score():
    logits, target = predictions()
    probs = logits.softmax(-1).numpy()
    close(metrics.brier_score(probs, target), ((probs - np.eye(5)[target]) ** 2).sum(1).mean())
    uniform = torch.full((3, 4), 0.25)
    close(metrics.brier_score(uniform, torch.tensor([0, 1, 2])), 0.75)
    assert metrics.brier_score(torch.eye(2), torch.tensor([1, 0])) == 2  # surely wrong


@pytest.mark.parametrize(
    "metric",
    (
        metrics.accuracy,
        metrics.negative_log_likelihood,
        metrics.brier_score,
        metrics.expected_calibration_error,
        metrics.smooth_calibration_error,
    ),
)
@pytest.mark.parametrize(
    "scores, target, message",
    (
        (torch.full((3, 4), 0.25), torch.tensor([0, 4, 1]), "class index 4"),
        (torch.full((3, 4), 0.25), torch.tensor([0, -1, 1]), "class index -1"),
        (torch.full((3, 4), 0.25), torch.tensor([0.0, 1.0, 2.0]), "float32"),
        (torch.full((3, 4), 0.25), torch.tensor([0, 1]), r"\(2,\)"),
        (torch.full((3, 4), math.nan), torch.tensor([0, 1, 2]), "non-finite"),
        (torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), "non-empty"),
    ),
)
def test_refused_predictions(metric, scores, target, message):
    with pytest.raises(ValueError, match=message):
        metric(scores, target)


@pytest.mark.parametrize(
    "metric", (metrics.brier_score, metrics.expected_calibration_error, metrics.maximum_calibration_error)
)
def test_logits_are_not_taken_for_probabilities(metric):
    logits, target = predictions()
    for wrong in (logits, logits.exp(), logits.log_softmax(-1)):
        with pytest.raises(ValueError, match="softmax"):
            metric(wrong, target)
    assert metric(logits.half().softmax(-1), target) >= 0  # half precision rows sum to 1 roughly


@pytest.mark.parametrize(
    "metric", (metrics.brier_score, metrics.expected_calibration_error, metrics.maximum_calibration_error)
)
@pytest.mark.parametrize("total, taken", ((0.98, False), (0.995, True), (1.005, True), (1.02, False)))
def test_rows_of_probabilities_sum_to_one_within_one_per_cent(metric, total, taken):
    probs = torch.tensor([[0.5, 0.5], [0.6, total - 0.6]])
    if taken:
        assert metric(probs, [0, 1]) >= 0
    else:
        with pytest.raises(ValueError, match=f"a row with sum {total}"):
            metric(probs, [0, 1])
    with pytest.raises(ValueError, match="must be probabilities"):
        metric(torch.tensor([[1.1, -0.1]]), [0])


@pytest.mark.parametrize(
    "metric",
    (
        lambda f: metrics.negative_log_likelihood(f, torch.arange(len(f)) % f.shape[1]),
        lambda f: metrics.fit_temperature(f, torch.arange(len(f)) % f.shape[1]),
        metrics.max_softmax,
        metrics.max_logit,
        metrics.log_px,
        lambda f: metrics.log_px(f, label_space="binary"),
    ),
    ids=("nll", "temperature", "max_softmax", "max_logit", "log_px", "log_px binary"),
)
def test_probabilities_are_not_taken_for_logits(metric):
    logits, _ = predictions()
    prior = torch.tensor([[0.25, 0.75]])
    for probs in (
        logits.softmax(-1),
        logits.half().softmax(-1),
        torch.full((3, 4), 0.25),
        prior,
        prior.expand(3, 2),
    ):
        with pytest.raises(ValueError, match=r"pass logits, or probs.log\(\)"):
            metric(probs)
    chance = torch.tensor([[0.25, 0.75], [1.0, 2.0]])  # one row of logits may sum to 1
    ignorant = torch.tensor([[0.098, 0.9]]).expand(3, 2)  # of a net that ignores its inputs, all of them
    for taken in (logits, logits.softmax(-1).log(), chance, ignorant, torch.zeros(3, 4), torch.ones(3, 1)):
        assert np.isfinite(metric(taken)).all()


# Calibration


@pytest.mark.parametrize("n_bins", (10, 15))
@pytest.mark.parametrize("seed", range(3))
def test_calibration_errors_are_those_of_torchmetrics(n_bins, seed):
    """To float32, in which torchmetrics computes; no confidence lies on an edge here."""
    import_torchvision()  # torchmetrics imports it, which fails by itself beside a CPU-only torch
    from torchmetrics.functional.classification import multiclass_calibration_error

    logits, target = predictions(seed=seed)
    probs = logits.softmax(-1)
    for norm, ours in (
        ("l1", metrics.expected_calibration_error),
        ("max", metrics.maximum_calibration_error),
    ):
        theirs = multiclass_calibration_error(probs, target, 5, n_bins=n_bins, norm=norm)
        close(ours(probs, target, n_bins=n_bins), theirs.item(), 1e-6)


@pytest.mark.parametrize("n_bins", (1, 10, 15))
def test_calibration_errors_from_their_definition(n_bins):
    """(5.2) to (5.5) in plain Python, to float64."""
    logits, target = predictions()
    probs = logits.softmax(-1)
    bins = [[] for _ in range(n_bins)]
    for row, label in zip(probs.tolist(), target.tolist()):
        confidence = max(row)
        bins[math.ceil(confidence * n_bins) - 1].append((confidence, row.index(confidence) == label))
    gaps = [(len(b), abs(sum(c for c, _ in b) - sum(hit for _, hit in b)) / len(b)) for b in bins if b]
    close(
        metrics.expected_calibration_error(probs, target, n_bins=n_bins),
        sum(n * gap for n, gap in gaps) / len(target),
    )
    close(metrics.maximum_calibration_error(probs, target, n_bins=n_bins), max(gap for _, gap in gaps))


@pytest.mark.parametrize("n_bins", (1, 7, 10, 15, 100))
def test_edges_belong_to_the_lower_bin(n_bins):
    """Bin m is ((m-1)/M, m/M]; 0 has no bin below and joins the first, 1 the last."""
    edges = torch.arange(1, n_bins + 1).double() / n_bins
    on = metrics.calibration_bins(edges.tolist(), torch.ones(n_bins), n_bins=n_bins)
    assert on.count.tolist() == [1] * n_bins
    above = torch.nextafter(torch.arange(n_bins).double() / n_bins, torch.tensor(2.0).double())
    assert metrics.calibration_bins(above, torch.ones(n_bins), n_bins=n_bins).count.tolist() == [1] * n_bins
    ends = metrics.calibration_bins([0.0, 0.0, 1.0], [False, False, True], n_bins=n_bins)
    assert ends.count[0] >= 2 and ends.count[-1] >= 1 and ends.count.sum() == 3


def test_empty_bins():
    bins = metrics.calibration_bins([0.05, 0.95, 0.97], [True, False, True])
    assert bins.count.tolist() == [1] + [0] * 8 + [2]
    close(bins.accuracy, [1] + [math.nan] * 8 + [0.5])
    close(bins.confidence, [0.05] + [math.nan] * 8 + [0.96])
    close(bins.edges, np.linspace(0, 1, 11))


def test_quantile_bins_have_equal_mass():
    confidence = torch.rand(1003, generator=torch.Generator().manual_seed(0)) ** 0.1
    bins = metrics.calibration_bins(confidence, confidence > 0.9, strategy="quantile")
    assert bins.count.sum() == 1003
    assert set(bins.count.tolist()) <= {100, 101}
    close(bins.edges[[0, -1]], [confidence.min(), confidence.max()], 1e-7)


def test_quantile_bins_of_more_examples_than_torch_quantile_takes(monkeypatch):
    """With its limit of 16 million lowered to 100; the edges stay its own, to the bit."""
    quantile, confidence = torch.quantile, predictions()[0].softmax(-1).amax(-1)

    def limited(values, *args, **kwargs):
        if values.numel() > 100:
            raise RuntimeError("quantile() input tensor is too large")
        return quantile(values, *args, **kwargs)

    monkeypatch.setattr(torch, "quantile", limited)
    monkeypatch.setattr(torch.Tensor, "quantile", limited)
    for n in (1, 2, 101, 480, 500):
        for n_bins in (1, 7, 10, 15):
            levels = torch.linspace(0, 1, n_bins + 1, dtype=torch.float64)
            part = confidence[:n]
            bins = metrics.calibration_bins(part, part > 0.5, n_bins=n_bins, strategy="quantile")
            assert torch.equal(bins.edges, quantile(part, levels))


def test_quantile_bins_keep_ties_together():
    bins = metrics.calibration_bins([0.5] * 10 + [1.0] * 41, [True] * 51, strategy="quantile")
    assert sorted(bins.count.tolist()) == [0] * 8 + [10, 41]


@pytest.mark.parametrize("strategy", ("uniform", "quantile"))
@given(logits=logits_arrays, n_bins=st.integers(1, 20), random=st.randoms(use_true_random=False))
def test_calibration_errors_are_bounded_and_blind_to_order(strategy, logits, n_bins, random):
    probs, target = logits.softmax(-1), torch.arange(len(logits)) % logits.shape[1]
    ece = metrics.expected_calibration_error(probs, target, n_bins=n_bins, strategy=strategy)
    mce = metrics.maximum_calibration_error(probs, target, n_bins=n_bins, strategy=strategy)
    assert 0 <= ece <= mce + 1e-12 and mce <= 1
    order = random.sample(range(len(logits)), len(logits))
    shuffled = probs[order], target[order]
    close(metrics.expected_calibration_error(*shuffled, n_bins=n_bins, strategy=strategy), ece)


@pytest.mark.parametrize("options, message", (({"strategy": "log"}, "'log'"), ({"n_bins": 0}, "n_bins=0")))
def test_refused_bins(options, message):
    with pytest.raises(ValueError, match=message):
        metrics.calibration_bins([0.5, 0.5], [True, False], **options)


@pytest.mark.parametrize("metric", (metrics.calibration_bins, metrics.selective_risk))
@pytest.mark.parametrize(
    "confidence, correct, message",
    (
        ([0.5, math.nan], [1, 0], "confidence nan is no probability; pass softmax outputs"),
        ([0.5, 2.0], [1, 0], "confidence 2.0"),
        ([0.5, -1.0], [1, 0], "confidence -1.0"),
        ([0.5, 0.6], [1, 2], r"correct holds 2.0; pass booleans"),
        ([0.5, 0.6], [math.nan, 0], "correct holds nan"),
        ([0.5, 0.6], [True], r"one length, got shapes \(2,\) and \(1,\)"),
        ([[0.5, 0.6]], [[True, False]], "vectors"),
        ([], [], "non-empty"),
    ),
)
def test_refused_answers(metric, confidence, correct, message):
    with pytest.raises(ValueError, match=message):
        metric(confidence, correct)


# Calibration without bins


@pytest.mark.parametrize(
    "confidence, target, wanted",
    (
        ([0.75] * 4, [0, 1, 1, 1], 0.5),
        ([0.75] * 4, [0, 0, 0, 1], 0),
        ([0.7501] * 4, [0, 0, 0, 1], 0.0001),  # below the smallest width
        ([1.0] * 4, [0, 1, 1, 1], 0.75),  # all mass at an end
        ([1.0] * 5 + [0.8] * 5, [0] * 5 + [0, 0, 1, 1, 1], 0.2),  # the end neither counts twice nor half
        ([1.0] * 5 + [0.8] * 5, [0] * 10, 0.1),
    ),
)
def test_smooth_calibration_error_in_closed_form(confidence, target, wanted):
    """Where all gaps have one sign nothing cancels, so the width does not matter."""
    close(metrics.smooth_calibration_error(two_class(confidence), target), wanted, 1e-9)


def test_smooth_calibration_error_from_its_definition():
    """The mirror images of the Gaussian one by one, smoothed by the width that equals the result."""
    confidence, right = np.array([0.55, 0.6, 0.65, 0.9, 0.95, 1]), np.array([1, 1, 1, 0, 0, 1])
    found = metrics.smooth_calibration_error(two_class(confidence), 1 - right)
    at = np.linspace(0, 1, 20001)
    images = np.concatenate([sign * confidence + 2 * k for k in range(-5, 6) for sign in (1, -1)])
    density = np.exp(-(((at[:, None] - images) / found) ** 2) / 2) / (found * math.sqrt(2 * math.pi))
    smooth = density @ np.tile((right - confidence) / len(right), 22)
    assert (smooth > 0).any() and (smooth < 0).any()
    close(found, np.trapezoid(abs(smooth), at), 1e-7)


def test_smooth_calibration_error_is_blind_to_order_and_copies():
    logits, target = predictions(60)
    probs = logits.softmax(-1)
    found = metrics.smooth_calibration_error(probs, target)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    close(metrics.smooth_calibration_error(probs[order], target[order]), found, 1e-8)
    close(metrics.smooth_calibration_error(probs.repeat(3, 1), target.repeat(3)), found, 1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_smooth_calibration_error_lies_between_the_mean_gap_and_fine_bins(seed):
    logits, target = predictions(200, seed=seed)
    target[:80] = logits.argmax(-1)[:80]
    probs = logits.softmax(-1)
    mean_gap = abs(probs.amax(-1).mean().item() - metrics.accuracy(probs, target))
    found = metrics.smooth_calibration_error(probs, target)
    assert mean_gap < found < metrics.expected_calibration_error(probs, target, n_bins=10_000)


# Temperature and selection


def test_temperature_in_closed_form():
    """Three of four right at a logit of 2: sigmoid(2 / T) = 3 / 4. Published values have six digits."""
    logits = torch.tensor([[2.0, 0.0]] * 4)
    close(metrics.fit_temperature(logits, [0, 0, 0, 1]), 2 / math.log(3), 1e-8)
    close(metrics.fit_temperature(logits, [0, 0, 0, 0]), 0.01, 1e-8)
    close(metrics.fit_temperature(logits, [1, 1, 1, 1]), 100, 1e-8)
    assert metrics.fit_temperature(torch.zeros(4, 2), [0, 0, 0, 1]) == 1  # which changes nothing


def test_risk_by_hand():
    risk = metrics.selective_risk([0.9, 0.5, 0.7, 0.7], [True, True, False, True])
    close(risk, [0, 0.25, 1 / 3, 1 / 4])  # the two at 0.7 come half each


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=12))
def test_augrc_is_the_mean_over_thresholds_and_orders_of_ties(examples):
    """By brute force: failures among the k highest of N, over N, mean over k; tied examples by their share."""
    scores, correct = map(np.array, zip(*examples))
    areas = []
    for k in range(1, len(scores) + 1):
        last = np.sort(scores)[::-1][k - 1]
        above, tied = scores > last, scores == last
        failed = (~correct & above).sum() + (k - above.sum()) * (~correct)[tied].mean()
        areas.append(failed / len(scores))
    close(metrics.augrc(scores, correct), np.mean(areas))
    close(metrics.augrc(5 * scores - 7, correct), np.mean(areas))  # the order alone counts


def test_augrc_of_scores_that_know_all_or_nothing():
    correct = np.arange(1000) >= 300
    close(metrics.augrc(np.zeros(1000), correct), 0.3 * 1001 / 2000)
    close(metrics.augrc(correct, np.ones(1000, bool)), 0)
    close(metrics.augrc(np.arange(1000), correct), sum(range(301)) / 1e6)
    with pytest.raises(ValueError, match="scores holds NaN"):
        metrics.augrc([0.5, math.nan], [True, False])


# Out-of-distribution scores


def test_scores_of_an_example():
    logits, _ = predictions(50)
    f = logits.numpy()
    close(metrics.log_px(logits), np.log(np.exp(f).sum(1)))
    close(metrics.log_px(logits, label_space="binary"), np.logaddexp(0, f).sum(1))
    close(metrics.max_softmax(logits), np.exp(f).max(1) / np.exp(f).sum(1))
    close(metrics.max_logit(logits), f.max(1))


def test_typicality_is_two_sided():
    """Too likely is as suspicious as too unlikely, which log p(x) itself cannot say."""
    typical = metrics.typicality(torch.tensor([2.0, 5.0, 8.0]), 5.0)
    assert typical.tolist() == [-3, 0, -3]


# Detection


@given(scores_with_ties, scores_with_ties)
def test_detection_is_that_of_scikit_learn(inside, outside):
    """Scores are few integers, so almost all of them are tied."""
    label, score = [1] * len(inside) + [0] * len(outside), inside + outside
    close(metrics.auroc(inside, outside), sklearn_metrics.roc_auc_score(label, score))
    close(metrics.average_precision(inside, outside), sklearn_metrics.average_precision_score(label, score))
    curve = metrics.roc_curve(inside, outside)
    fpr, tpr, threshold = sklearn_metrics.roc_curve(label, score, drop_intermediate=False)
    for ours, theirs in zip(curve, (fpr, tpr, threshold)):
        close(ours, theirs)
    for level in (0.1, 0.5, 0.95, 1.0):
        close(metrics.fpr_at_tpr(inside, outside, level), fpr[np.argmax(tpr >= level)])


@given(scores_with_ties, scores_with_ties)
def test_auroc_symmetry_and_invariance(inside, outside):
    area = metrics.auroc(inside, outside)
    close(area + metrics.auroc(outside, inside), 1)
    stretch = lambda scores: [math.exp(score) + 7 for score in scores]
    assert metrics.auroc(stretch(inside), stretch(outside)) == area
    assert metrics.average_precision(stretch(inside), stretch(outside)) == metrics.average_precision(
        inside, outside
    )


def test_constant_scores_are_chance():
    assert metrics.auroc([0.0, 0.0], [-0.0, 0.0, 0.0]) == 0.5
    assert metrics.fpr_at_tpr([1.0, 1.0], [1.0]) == 1
    assert metrics.average_precision([1.0], [1.0, 1.0, 1.0]) == 0.25


@pytest.mark.parametrize(
    "metric", (metrics.auroc, metrics.roc_curve, metrics.average_precision, metrics.fpr_at_tpr)
)
def test_refused_scores(metric):
    with pytest.raises(ValueError, match="scores_in holds NaN"):
        metric([0.0, math.nan], [1.0])
    with pytest.raises(ValueError, match="scores_out must be a non-empty vector"):
        metric([0.0], [])
    with pytest.raises(ValueError, match="scores_in must be a non-empty vector"):
        metric([[0.0, 1.0]], [1.0])


@pytest.mark.parametrize("level", (0, 1.5, 95))
def test_refused_tpr(level):
    with pytest.raises(ValueError, match=f"tpr={level}"):
        metrics.fpr_at_tpr([0.0], [1.0], level)


# Other implementations, and what others published


def values(rows):
    """(case, measure, bins) -> float, or None where the implementation refused."""
    return {
        (row["case"], row["measure"], row["bins"]): None
        if row["value"] == conformance.REFUSED
        else float(row["value"])
        for row in rows
    }


def published(by):
    table = conformance.read(Path(__file__).parents[1] / "results")
    return table[table["by"] == by].to_dict("records")


def assert_same(found, wanted, tolerance):
    assert {key for key, value in found.items() if value is None} == {
        key for key, value in wanted.items() if value is None
    }
    keys = [key for key in wanted if wanted[key] is not None]
    close([found[key] for key in keys], [wanted[key] for key in keys], tolerance)


def test_cases_with_a_known_answer():
    cases = conformance.CLOSED_FORMS
    found, wanted = values(conformance.measure(conformance.OURS, cases)), values(conformance.known(cases))
    assert {name for name, *_ in wanted} | {"one class absent"} == {*cases}
    assert_same({key: found[key] for key in wanted}, wanted, 2e-9)
    assert found["one class absent", "AUROC", 0] is None


def test_committed_numbers_are_those_that_were_published():
    """To the digits of what others published, which they computed in float32."""
    found, wanted = values(published(conformance.OURS)), values(published("known"))
    assert len(wanted) > 70 and {name for name, *_ in wanted} >= {*conformance.NETS} - {"WRN-16-4, CIFAR-10"}
    assert_same({key: found[key] for key in wanted}, wanted, 1e-6)


@pytest.mark.parametrize("by", conformance.IMPLEMENTATIONS)
def test_committed_numbers_of_cases_are_computed_again(by):
    """Faults included; another version of a library may have mended them."""
    rows = [row for row in published(by) if row["case"] in conformance.CLOSED_FORMS]
    try:
        if by != conformance.OURS and importlib.metadata.version(by) != rows[0]["version"]:
            pytest.skip(f"{by} is of another version")
        found = values(conformance.measure(by, conformance.CLOSED_FORMS))
    except ImportError:
        pytest.skip(f"{by} is not installed")
    assert {*found} == {*values(rows)}
    assert_same(found, values(rows), 2e-6)


@pytest.mark.skipif(
    "GFFN_EXTERNAL" not in os.environ, reason="published predictions are not in the repository"
)
def test_published_predictions_give_the_committed_numbers():
    cases = conformance.nets(os.environ["GFFN_EXTERNAL"])
    wanted = [row for row in published(conformance.OURS) if row["case"] in cases]
    assert_same(values(conformance.measure(conformance.OURS, cases)), values(wanted), 2e-9)
    known = [row for row in published("known") if row["case"] in cases]
    assert_same(values(conformance.known(cases)), values(known), 1e-9)
    for case in cases.values():  # the chapter says so: a bin for confidences of exactly 1 changes no error
        gap, last = case.right - case.scores, case.scores > 0.95
        assert gap[last].sum() * gap[case.scores == 1].sum() >= 0 <= -gap[last & (case.scores < 1)].sum()


def test_smooth_calibration_error_is_that_of_relplot_where_no_confidence_is_near_an_end():
    theirs = pytest.importorskip("relplot", reason="relplot is not installed")
    probs, right = torch.linspace(0.55, 0.75, 200, dtype=torch.float64), torch.arange(200) % 4 > 0
    ours = metrics.smooth_calibration_error(two_class(probs), (~right).long())
    close(ours, theirs.smECE(probs.numpy(), right.double().numpy()), 2e-3)
