"""What the claims measure: on pairs of nets, on reliability diagrams, and on the losses themselves.

A table of pairs has a row per label space, data set, batch size and seed, and holds the nets of both
losses. Functions that return values take such a table, or its rows of one data set.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from scipy import optimize, stats

from gffn_core import report
from gffn_core.estimates import (
    DRAWS, NAMES, PAIR, Estimate, Measured, average, between, each, everywhere, listed, minus,
    positive, slope, t_draws,
)
from gffn_core.evaluation import SCORES
from gffn_core.losses import LABEL_SPACES, joint_nll, log_partition
from gffn_core.training import LOSSES, SCHEMES

SMALL = 64  # the largest batch size of the lower half of the thesis's range, on a log scale
LUCK = 0.01  # of an area under the ROC curve, with the images
METRICS = ("key", "title", "official", "margin", "train_accuracy", "test_accuracy", "overconfidence",
           "ece", "ece_uniform15", "ece_quantile10", "scaled_ece", "nll", "scaled_nll", "brier", "aurc", "bins",
           *(f"auroc_{score}" for score in SCORES))


def pairs(records: Iterable[dict]) -> pd.DataFrame:
    """One row per label space, data set, batch size and seed; columns (metric, loss, scheme).

    NaN where a net is absent or lacks the metric. ``bins`` are those of the reliability diagram.
    """
    records = [record for record in records if record["diverged"] is None]
    columns = pd.MultiIndex.from_product([METRICS, LOSSES, SCHEMES])
    if not records:
        index = pd.MultiIndex.from_arrays([[]] * len(PAIR), names=PAIR)
        return pd.DataFrame(index=index, columns=columns)
    found = [record["evaluations"][scheme] for record in records for scheme in SCHEMES]
    data = [record["data"] for record in records for scheme in SCHEMES]
    accuracy = np.array([one["test_accuracy"] for one in found])
    table = report.frame(records).assign(
        bins=[one["calibration"]["uniform10"] for one in found],
        margin=np.sqrt(accuracy * (1 - accuracy) / [one["test"] for one in data]),
    )
    return table.pivot(index=PAIR, columns=["loss", "scheme"]).reindex(columns=columns).sort_index()


def on(p: pd.DataFrame, dataset: str) -> pd.DataFrame:
    return p[p.index.get_level_values("dataset") == dataset]


# Values: a table with a row per pair, columns ``value`` and ``margin``


def net(p: pd.DataFrame, metric: str, loss: str, scheme: str = "long") -> pd.DataFrame:
    """A metric of the nets of one loss."""
    return _values(p, p[metric, loss, scheme])


def nets(p: pd.DataFrame, metric: str, scheme: str = "long") -> pd.DataFrame:
    """The mean of a metric over both nets of a pair."""
    return _values(p, p[metric].xs(scheme, axis=1, level=1).astype(float).mean(axis=1))


def gain(p: pd.DataFrame, metric: str, *schemes: str) -> pd.DataFrame:
    """Joint minus conditional; the mean over ``schemes``, which are points of one training."""
    gains = [p[metric, "joint", scheme] - p[metric, "conditional", scheme] for scheme in schemes]
    return _values(p, sum(gains) / len(gains))


def lower(p: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Conditional minus joint in the long scheme: positive where the joint net's metric is lower."""
    return _values(p, p[metric, "conditional", "long"] - p[metric, "joint", "long"])


def opposite(values: pd.DataFrame) -> pd.DataFrame:
    return values.assign(value=-values["value"])


def apart(names: Iterable[str], values: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    """The values of several schemes or losses side by side, as cells of their own."""
    return pd.concat({name: values(name) for name in names}, names=["which"])


def _values(p, series):
    margin = p["margin"].astype(float).mean(axis=1)
    return pd.DataFrame({"value": series.astype(float), "margin": margin}).dropna()


def stands_out(
    p: pd.DataFrame, values: Callable[[pd.DataFrame], pd.DataFrame], dataset: str
) -> Measured | None:
    """The mean of the data set exceeds that of each of the thesis's others.

    Differences are paired by batch size and seed, because the data sets share their trends.
    """
    own = values(on(p, dataset)).droplevel("dataset")
    others = [values(on(p, name)).droplevel("dataset") for name in NAMES if name != dataset]
    return each(*(positive(minus(own, other).dropna(), 0) for other in others))


def peaks_inside(values: pd.DataFrame) -> Measured | None:
    """A parabola in log2 B through the cells rises at the smallest batch and falls at the largest.

    The effect is the weaker of the two slopes, per doubling. None below four batch sizes.
    """
    cells = values["value"].groupby(level="batch_size").mean()
    if len(cells) < 4:
        return None
    x = np.log2(cells.index.to_numpy(float))
    design = np.vander(x, 3)
    weights, *_ = np.linalg.lstsq(design, cells.to_numpy(), rcond=None)
    df = len(x) - 3
    covariance = np.linalg.inv(design.T @ design) * np.square(cells - design @ weights).sum() / df

    def at(x, sign):
        contrast = sign * np.array([2 * x, 1, 0])
        error = np.sqrt(contrast @ covariance @ contrast)
        return between(Estimate(contrast @ weights, contrast @ weights + error * t_draws(df)), low=0)

    return each(at(x[0], 1), at(x[-1], -1))


def best_at_small(p: pd.DataFrame, metric: str, best: Callable) -> Measured | None:
    """On every data set the best cell at a small batch is better than the best at a large one.

    All losses compete, and for accuracy both schemes. ``best`` is max or min.
    """
    schemes = SCHEMES if metric == "test_accuracy" else ("long",)
    values = pd.concat([net(p, metric, loss, scheme) for loss in LOSSES for scheme in schemes])
    small = values.index.get_level_values("batch_size") <= SMALL
    by = ["label_space", "dataset", "seed"]
    sides = [values["value"][side].groupby(level=by).agg(best) for side in (small, ~small)]
    lead = (sides[0] - sides[1]) * (1 if best is max else -1)
    margin = values["margin"].groupby(level=by).mean()
    return everywhere(pd.DataFrame({"value": lead, "margin": margin}).dropna())


def fluctuation(p: pd.DataFrame) -> Measured | None:
    """The standard deviation over seeds falls with the batch size."""
    if p.index.get_level_values("seed").nunique() < 2:
        return None
    cells = p["test_accuracy"].astype(float).groupby(level=["label_space", "dataset", "batch_size"])
    spread = cells.std().mean(axis=1).dropna()
    found = slope(pd.DataFrame({"value": -spread}))
    return found and between(found, low=0)


def rank_agreement(p: pd.DataFrame) -> Measured | None:
    """Over data sets, the rank correlation (Spearman) of accuracy and ECE is negative."""
    same = ["label_space", "batch_size", "seed"]
    found = []
    for loss in LOSSES:
        both = net(p, "test_accuracy", loss).assign(ece=net(p, "ece", loss)["value"])
        both = both.groupby(level=same).filter(lambda part: len(part) > 2)
        for index, part in both.groupby(level=same):
            found.append((*index, -stats.spearmanr(part["value"], part["ece"]).statistic))
    rho = pd.DataFrame(found, columns=[*same, "value"]).set_index(same).dropna()
    if rho.empty:
        return None
    effect, draws = average(rho)
    return between(Estimate(effect, draws.clip(-1, 1)), low=0)


def above_chance(p: pd.DataFrame) -> pd.DataFrame:
    """AUROC of ln p(x) of the joint nets, minus that of a random score."""
    return minus(net(p, "auroc_log_px", "joint"), 0.5)


def baseline_lead(p: pd.DataFrame, baseline: str = "joint") -> pd.DataFrame:
    """AUROC of max softmax of the nets of one loss minus that of ln p(x) of the joint nets."""
    return minus(net(p, "auroc_max_softmax", baseline), net(p, "auroc_log_px", "joint"))


def below_chance_somewhere(p: pd.DataFrame) -> Measured | None:
    """In the cell of the lowest AUROC of ln p(x), it is below 0.5 (Bonferroni over the cells).

    Its error is that of the seeds, with a variance pooled over the cells, and of the images.
    """
    values = opposite(above_chance(p))
    if values.empty:
        return None
    cells = values["value"].groupby(level=PAIR[:-1]).agg(["mean", "var", "count"])
    free = (cells["count"] - 1).sum()
    lowest = cells.loc[[cells["mean"].idxmax()]]
    effect, count = lowest["mean"].item(), lowest["count"].item()
    if not free:
        return Measured(effect, np.nan, np.nan, 1.0, False, "too few runs for an interval")
    pooled = (cells["var"].fillna(0) * (cells["count"] - 1)).sum() / free
    error = np.sqrt(pooled / count + (LUCK / 2) ** 2)
    t = stats.t(free)
    low, high = effect - t.ppf(0.975) * error, effect + t.ppf(0.975) * error
    p_value = min(1.0, len(cells) * t.sf(effect / error))
    return Measured(effect, low, high, p_value, bool(high <= 0), listed("lowest", lowest["mean"]))


# Reliability diagrams: counts and correct answers per bin


def diagram(p: pd.DataFrame, loss: str, statistic: Callable) -> Estimate:
    """A statistic of the reliability diagram (long scheme) of the nets of one loss, all seeds together.

    statistic: (count, correct), each (..., bins) -> (...). Seeds are drawn, then images within each
    net: the bin of an image, and whether its answer is right.
    """
    count, correct = _counted(p, loss)
    # Both losses draw the same seeds, so that their difference is paired.
    seeds = np.random.default_rng(0).integers(len(count), size=(DRAWS, len(count)))
    rng = np.random.default_rng(1 + list(LOSSES).index(loss))
    images = count.sum(1).astype(int)
    drawn = rng.multinomial(images[seeds], (count / images[:, None])[seeds])
    right = rng.binomial(drawn, (correct / np.maximum(count, 1))[seeds])
    effect = statistic(count.sum(0), correct.sum(0))
    return Estimate(float(effect), statistic(drawn.sum(1), right.sum(1)))


def _counted(p, loss):
    """Images and correct answers (seeds, bins), rounded to what the record's digits were made from."""
    bins = list(p["bins", loss, "long"])
    count = np.array([one["count"] for one in bins])
    accuracy = np.array([one["accuracy"] for one in bins], dtype=float)
    return count, np.rint(count * np.nan_to_num(accuracy)).astype(int)


def difference(first: Estimate, second: Estimate | float) -> Estimate:
    effect, draws = second if isinstance(second, Estimate) else (second, second)
    return Estimate(first.effect - effect, first.draws - draws)


def overall_accuracy(count, correct):
    return correct.sum(-1) / count.sum(-1)


def top_share(count, correct):
    return count[..., -1] / count.sum(-1)


def top_accuracy(count, correct):
    return correct[..., -1] / np.maximum(count[..., -1], 1)


def evenness(count, correct):
    """Entropy of the distribution of images over bins, in nats."""
    return stats.entropy(count, axis=-1)


def same_accuracy(count, correct):
    """Accuracy at confidence 0.8 to 0.9 minus that at 0.5 to 0.6."""
    accuracy = correct / np.maximum(count, 1)
    return accuracy[..., 8] - accuracy[..., 5]


def largest_drop(count, correct):
    """How far a bin's accuracy falls below that of a less confident bin, at most.

    Bins with less than 1 % of the images are left out: their accuracy is noise.
    """
    enough = count >= 0.01 * count.sum(-1, keepdims=True)
    accuracy = np.where(enough, correct / np.maximum(count, 1), np.nan)
    highest = np.fmax.accumulate(accuracy, axis=-1)
    return np.nanmax(highest - accuracy, axis=-1)


def not_monotone(p: pd.DataFrame) -> Measured:
    """The largest drop exceeds what luck with the images gives a monotone diagram, the nearest one."""
    found = diagram(p, "conditional", largest_drop)
    count, correct = (part.sum(0) for part in _counted(p, "conditional"))
    monotone = np.zeros(len(count))
    full = count > 0
    accuracy = correct[full] / count[full]
    monotone[full] = optimize.isotonic_regression(accuracy, weights=count[full]).x
    lucky = np.random.default_rng(0).binomial(count, monotone, (DRAWS, len(count)))
    null = largest_drop(np.tile(count, (DRAWS, 1)), lucky)
    p_value = (1 + (null >= found.effect).sum()) / (1 + DRAWS)
    return replace(between(found, relevant=0.02), p=p_value)


# Measured here and now, without runs


def batch_of_one(_) -> Measured:
    """Largest difference of both losses and their gradients over a hundred batches of one."""
    generator = torch.Generator().manual_seed(0)
    logits = 10 * torch.randn(100, 1, 10, generator=generator, dtype=torch.float64)
    labels = torch.randint(10, (100, 1), generator=generator)
    worst = 0.0
    for label_space in LABEL_SPACES:
        (first, first_slope), (second, second_slope) = (
            _with_gradient(loss, logits, labels, label_space) for loss in LOSSES.values()
        )
        for gap in (first - second, first_slope - second_slope):
            worst = max(worst, gap.abs().max().item())
    return _exact(worst)


def weighted_average(_) -> Measured:
    """Largest difference of autograd's gradient of the joint loss to (4.15) with (4.16)."""
    generator = torch.Generator().manual_seed(0)
    logits = 10 * torch.randn(100, 32, 10, generator=generator, dtype=torch.float64)
    labels = torch.randint(10, (100, 32), generator=generator)
    onehot = torch.nn.functional.one_hot(labels, 10)
    worst = 0.0
    for label_space in LABEL_SPACES:
        _, gradient = _with_gradient(joint_nll, logits, labels, label_space)
        weights = log_partition(logits, label_space=label_space).softmax(-1)[..., None]
        inner = logits.softmax(-1) if label_space == "categorical" else logits.sigmoid()
        worst = max(worst, (gradient - (weights * inner - onehot / 32)).abs().max().item())
    return _exact(worst)


def _with_gradient(loss, logits, labels, label_space):
    logits = logits.clone().requires_grad_()
    value = loss(logits, labels, label_space=label_space)
    return value.detach(), torch.autograd.grad(value.sum(), logits)[0]


def _exact(worst):
    return Measured(worst, worst, worst, float(worst > 1e-12), worst > 1e-12)


def overhead(ratios: Sequence[float]) -> Measured | None:
    """Mean over batch sizes and machines of the time of a step, joint over conditional, minus 1."""
    if len(ratios) < 2:
        return None
    excess = np.array(ratios) - 1
    draws = excess.mean() + stats.sem(excess) * t_draws(len(excess) - 1)
    return between(Estimate(excess.mean(), draws), high=0.02)
