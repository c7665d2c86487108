"""What the explorer shows, as small plain data."""

from collections.abc import Iterable

import numpy as np

from gffn_core.experiments.tables import CELL, frame, interval, wilson

SHOWN_SCORES = ("max_softmax", "log_px", "typicality")  # those drawn; max_logit hardly differs from log_px


def cells(records: Iterable[dict]) -> list[dict]:
    """One entry per cell, loss and weight of the KL term, over its seeds: what is shown, as small plain data.

    ``accuracy``, ``ece`` and, where out-of-distribution data was scored, ``auroc`` by score are
    [mean, half width of the 95 % interval over seeds or None]. ``bins``: [lower edge, share, accuracy,
    mean confidence, lower and upper end of the accuracy's 95 % Wilson interval] of those of the ten
    bins of confidence that hold test images, all seeds together.
    ``roc`` by score: mean true positive rates at false positive rates evenly spaced over [0, 1], in
    thousandths. ``log_px``: shares of test images between ``low`` and ``high``, ``inside`` and ``outside``
    the distribution, in thousandths; of the first seed alone, as the zero of ln p(x) differs from net to net.
    """
    by_key = {record["key"]: record for record in records}
    table = frame(by_key.values())
    if table.empty:
        return []
    metrics = {"accuracy": "test_accuracy", "ece": "ece", **{name: f"auroc_{name}" for name in SHOWN_SCORES}}
    keys = ["kl_weight", *CELL, "loss"]
    summaries = {name: interval(table.groupby(keys)[metric]) for name, metric in metrics.items()}
    entries = []
    for key, rows in table.groupby(keys, sort=False):
        rows = rows.sort_values("seed")
        evaluations = [by_key[run]["evaluations"][rows["scheme"].iloc[0]] for run in rows["key"]]
        entry = dict(zip(("weight", "dataset", "title", "scheme", "labels", "batch", "loss"), key))
        entry["weight"] = f"{entry['weight']:g}"
        entry["batch"] = int(entry["batch"])  # NumPy's own integer under pandas 2, which JSON refuses
        entry |= {"seeds": rows["seed"].tolist(), "bins": _pooled_bins(evaluations)}
        intervals = {name: _rounded(cell.loc[key, ["mean", "half"]]) for name, cell in summaries.items()}
        entry |= {name: intervals[name] for name in ("accuracy", "ece")}
        if all("ood" in evaluation for evaluation in evaluations):
            ood = [evaluation["ood"] for evaluation in evaluations]
            histogram = ood[0]["scores"]["log_px"]["histogram"]
            parts = {part: np.divide(histogram[part], sum(histogram[part])) for part in ("inside", "outside")}
            entry |= {
                "outside": ood[0]["data"]["title"],
                "auroc": {name: intervals[name] for name in SHOWN_SCORES},
                "roc": {
                    name: _thousandths(
                        np.mean([o["scores"][name]["tpr_on_fpr_grid"][::2] for o in ood], axis=0)
                    )
                    for name in SHOWN_SCORES
                },
                "log_px": {name: round(histogram[name], 3) for name in ("low", "high")}
                | {part: _thousandths(share) for part, share in parts.items()},
            }
        entries.append(entry)
    return entries


def _pooled_bins(evaluations):
    """Rows of ``cells``' bins: counts add up over seeds, accuracy and confidence weigh by them."""
    bins = [e["calibration"]["uniform10"] for e in evaluations]
    count, accuracy, confidence = (
        np.array([b[k] for b in bins], float) for k in ("count", "accuracy", "confidence")
    )
    total = count.sum(0)
    full = total > 0
    means = [np.nansum(count * value, axis=0)[full] / total[full] for value in (accuracy, confidence)]
    # Every seed is tested on the same images: as many as one seed has, on average, are independent.
    images = np.ceil(total[full] / len(bins)).astype(int)
    low = np.array(bins[0]["edges"])[:-1][full]
    rows = zip(low, total[full] / total.sum(), *means, *wilson(means[0], images))
    return [_rounded(row) for row in rows]


def _rounded(values):
    """Four decimals, more than a page shows; NaN (no interval) as None."""
    return [None if np.isnan(value) else round(float(value), 4) for value in values]


def _thousandths(shares):
    """As whole numbers, which are shorter."""
    return np.rint(1000 * np.asarray(shares)).astype(int).tolist()
