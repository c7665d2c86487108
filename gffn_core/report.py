"""Records as tables, and the sentences that say what a table or figure rests on."""

import re
from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
from scipy import stats

from gffn_core.evaluation import COVERAGES, HISTOGRAM_BINS, ROC_POINTS, SCORES
from gffn_core.model import WIDTHS
from gffn_core.training import FITTED, SCHEMES, Run

SHOWN_SCORES = ("max_softmax", "log_px", "typicality")  # those drawn; max_logit hardly differs from log_px
SEEDS = 3  # the fewest that give an interval
CELL = ["dataset", "title", "scheme", "label_space", "batch_size"]


# What the columns of ``frame`` mean: (meaning, unit, place in the record; a leading dot stands for
# ``evaluations.early`` or ``evaluations.long``).
COLUMNS = {
    "dataset": ("data set the net was trained on", "name", "run.dataset"),
    "loss": ("loss it was trained with: conditional (standard) or joint (GFFN)", "name", "run.loss"),
    "label_space": ("labels that Z(x) sums over: categorical or binary", "name", "run.label_space"),
    "batch_size": ("images per step", "images", "run.batch_size"),
    "seed": ("of initialisation and order of the images", "integer", "run.seed"),
    "width": ("of the net: channels of its first layer", "channels", "run.width"),
    "learning_rate": ("of Adam, constant", "1", "run.learning_rate"),
    "kl_weight": ("of the KL term in the joint loss; 1, which is the thesis's, where a record lacks it", "factor", "run.kl_weight"),
    "key": ("the run's own hash", "16 hexadecimal digits", "key"),
    "title": ("data set, with the number of images where it is a subset", "text", "data.title"),
    "scheme": ("early: weights of the best validation accuracy; long: of the last epoch", "name", "evaluations"),
    "epoch": ("passes over the training images at that point", "epochs", ".epoch"),
    "step": ("steps of the optimiser at that point", "steps", ".step"),
    "train_accuracy": ("accuracy on training images", "fraction", ".train_accuracy"),
    "val_accuracy": ("accuracy on validation images", "fraction", ".val_accuracy"),
    "test_accuracy": ("accuracy on test images", "fraction", ".test_accuracy"),
    "nll": ("negative log-likelihood of the test labels, mean", "nats", ".nll"),
    "brier": ("Brier score, test images, summed over classes", "0 to 2", ".brier"),
    "mce": ("maximum calibration error, 10 bins of equal width, test images", "fraction", ".mce"),
    "confidence": ("mean probability of the predicted class, test images", "fraction", ".confidence"),
    "ece": ("expected calibration error, 10 bins of equal width, test images", "fraction", ".ece.uniform10"),
    "ece_uniform15": ("the same with 15 bins", "fraction", ".ece.uniform15"),
    "ece_quantile10": ("the same with 10 bins of equal mass", "fraction", ".ece.quantile10"),
    "aurc": ("area under the risk-coverage curve, test images", "fraction", ".risk_coverage.aurc"),
    "temperature": ("that minimises the negative log-likelihood on validation images", "factor", ".scaled.temperature"),
    "scaled_nll": ("nll of logits divided by the temperature", "nats", ".scaled.nll"),
    "scaled_ece": ("ece of logits divided by the temperature", "fraction", ".scaled.ece.uniform10"),
    "official": ("whether the data set is whole and as published", "true or false", "data.official"),
    "overconfidence": ("confidence minus test_accuracy", "fraction", "computed"),
    "underfit": (f"long scheme with train_accuracy below {FITTED}", "true or false", "computed"),
} | {
    f"auroc_{score}": (f"area under the ROC curve of {score}, test images against those of a foreign data set; "
                       "empty where there is none", "fraction", f".ood.scores.{score}.auroc")
    for score in SCORES
}


def frame(records: Iterable[dict]) -> pd.DataFrame:
    """One row per run and scheme, ordered as ``records``; the columns are those of ``COLUMNS``.

    Runs that diverged have no rows.
    """
    rows = []
    for record in records:
        if record["diverged"]:
            continue
        for scheme in SCHEMES:
            found = record["evaluations"][scheme]
            run = Run(**record["run"])  # records keep no field that is younger than they are
            row = {key: getattr(run, key) for key in ("dataset", "loss", "label_space", "batch_size", "seed",
                                                      "width", "learning_rate", "kl_weight")}
            row |= {"key": record["key"], "title": record["data"]["title"], "scheme": scheme}
            row |= {key: found[key] for key in ("epoch", "step", "train_accuracy", "val_accuracy",
                                                "test_accuracy", "nll", "brier", "mce", "confidence")}
            row |= {"ece": found["ece"]["uniform10"], "ece_uniform15": found["ece"]["uniform15"],
                    "ece_quantile10": found["ece"]["quantile10"], "aurc": found["risk_coverage"]["aurc"],
                    "temperature": found["scaled"]["temperature"], "scaled_nll": found["scaled"]["nll"],
                    "scaled_ece": found["scaled"]["ece"]["uniform10"], "official": record["data"]["official"]}
            row["overconfidence"] = row["confidence"] - row["test_accuracy"]
            row["underfit"] = underfit(record, scheme)
            for score in SCORES if "ood" in found else ():
                row[f"auroc_{score}"] = found["ood"]["scores"][score]["auroc"]
            rows.append(row)
    return pd.DataFrame(rows)


def underfit(record: dict, scheme: str) -> bool:
    """Whether a long run ended before it had fitted its training images (``FITTED``)."""
    return scheme == "long" and record["evaluations"]["long"]["train_accuracy"] < FITTED


def summary(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Mean of ``metric`` over seeds for every cell and loss, with the 95 % interval's half width.

    Columns ``mean``, ``half`` (see ``interval``), ``n`` and ``underfit`` (any).
    """
    groups = table.groupby([*CELL, "loss"], sort=False)
    return interval(groups[metric]).assign(underfit=groups["underfit"].any()).reset_index()


def paired_difference(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Joint minus conditional, paired on seed, per cell; columns as in ``summary``."""
    pairs = table.pivot_table(index=[*CELL, "seed"], columns="loss", values=metric, sort=False).dropna()
    if not {"joint", "conditional"} <= set(pairs.columns):
        raise ValueError("a paired difference needs runs of both losses")
    difference = (pairs["joint"] - pairs["conditional"]).rename(metric)
    underfit = table.groupby(CELL)["underfit"].any()
    return interval(difference.groupby(level=CELL, sort=False)).join(underfit).reset_index()


def curve_points(records: Iterable[dict], metric: str | Callable[[dict], list]) -> pd.DataFrame:
    """A curve of every record, a row per epoch; ``metric`` as in ``plots.curves``."""
    return pd.DataFrame(
        {key: record["run"][key] for key in ("dataset", "batch_size", "loss", "seed")}
        | {"epoch": epoch, "early": epoch == record["evaluations"]["early"]["epoch"], "value": value}
        for record in records
        for epoch, value in enumerate(metric(record) if callable(metric) else record["curves"][metric], 1)
    )


def bins(records: Iterable[dict], scheme: str = "long", binning: str = "uniform10") -> pd.DataFrame:
    """The reliability diagrams of ``records``: a row per bin, ``accuracy`` NaN where ``count`` is 0."""
    parts = []
    for record in records:
        found = record["evaluations"][scheme]["calibration"][binning]
        part = pd.DataFrame({"low": found["edges"][:-1], "high": found["edges"][1:]})
        part = part.assign(**{key: found[key] for key in ("count", "confidence", "accuracy")})
        parts.append(part.assign(**{key: record["run"][key] for key in ("dataset", "batch_size", "loss", "seed")}))
    return pd.concat(parts)


def risk_points(records: Iterable[dict], scheme: str = "long") -> pd.DataFrame:
    """Error rate (``risk``) among the most confident share (``coverage``) of the test images, a row per share."""
    return pd.concat(
        pd.DataFrame({"coverage": COVERAGES, "risk": record["evaluations"][scheme]["risk_coverage"]["risk"]}).assign(
            title=record["data"]["title"], **{key: record["run"][key] for key in ("batch_size", "loss", "seed")}
        )
        for record in records
    )


def score_points(record: dict, score: str = "log_px", scheme: str = "long") -> pd.DataFrame:
    """What ``plots.density_and_roc`` draws: rows (panel, series, x, y).

    Panel histogram: series inside and outside; x: left edge of the bin, y: share of the images.
    Panel roc: a series per score; x: false positive rate, y: true positive rate.
    """
    found = record["evaluations"][scheme]["ood"]["scores"]
    histogram = found[score]["histogram"]
    edges = np.linspace(histogram["low"], histogram["high"], HISTOGRAM_BINS + 1)
    series = {("histogram", part): (edges[:-1], np.array(histogram[part]) / np.sum(histogram[part]))
              for part in ("inside", "outside")}
    grid = np.linspace(0, 1, ROC_POINTS)
    series |= {("roc", name): (grid, one["tpr_on_fpr_grid"]) for name, one in found.items()}
    return pd.concat(
        pd.DataFrame({"panel": panel, "series": name, "x": x, "y": y}) for (panel, name), (x, y) in series.items()
    )


def basis(records: Iterable[dict], profile: str) -> str:
    """One line: which runs, seeds, net, data, hardware and code a figure shows."""
    records = list(records)
    runs = [record["run"] for record in records]
    seeds = Counter(run["seed"] for run in runs)
    most = max(seeds.values())
    named = ", ".join(str(s) if n == most else f"{s} ({n} of {most})" for s, n in sorted(seeds.items()))
    nets = {width: name for name, width in WIDTHS.items()}
    partial = sorted({r["data"]["title"] for r in records if not r["data"]["official"]})
    by_age = sorted(records, key=lambda record: record["provenance"]["finished"])
    codes = list(dict.fromkeys(record["provenance"]["code"] for record in by_age))
    versions = ", ".join(codes) if len(codes) < 3 else f"{codes[0]} to {codes[-1]} ({len(codes)} versions)"
    parts = [
        f"Profile {profile}, {len(records)} {'run' if len(records) == 1 else 'runs'}",
        f"{'seed' if len(seeds) == 1 else 'seeds'} {named}"
        + (f", bars: 95 % interval of cells with {SEEDS} seeds" if len(seeds) >= SEEDS else ", too few for intervals"),
        f"{' and '.join(sorted({nets.get(run['width'], str(run['width'])) for run in runs}))} net",
        *partial,
        "; ".join(sorted({r["provenance"]["hardware"] for r in records})),
        f"code {versions}",
    ]
    return " · ".join(parts)


def describe(table: pd.DataFrame, metric: str, digits: int = 3) -> str:
    """What a figure of ``metric`` against batch size shows, in words, for readers who cannot see it."""
    return "; ".join(
        f"{title}, {loss}: "
        + ", ".join(
            f"{value:.{digits}f} at batch size {batch}"
            for batch, value in zip(cells["batch_size"], cells["mean"])
        )
        for (title, loss), cells in summary(table, metric)
        .sort_values("batch_size")
        .groupby(["title", "loss"], sort=False)
    )


def escape(text: str) -> str:
    """Text of a record (a title, a source, a machine) for Markdown and HTML, where it then is text alone, on one line.

    The functions here return text as it is: ``plots.show`` escapes it, and what puts it into Markdown has to.
    """
    # As character references, which both read, and in which Markdown sees no markup.
    return re.sub(r"""[\\`*_{}\[\]<>&|$~#!^"']""", lambda found: f"&#{ord(found[0])};", " ".join(text.split()))


def markdown_table(header: list[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; unlike a DataFrame's, its text wraps and may hold formulas and links.

    Cells are Markdown: text of records goes through ``escape``.
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def coverage(records: Iterable[dict], runs: list) -> str:
    """How much of the profile's grid the records cover, in words."""
    done, wanted = len(list(records)), len(runs)
    if done == wanted:
        return f"all {wanted} runs of the grid"
    return f"{done} of the {wanted} runs of the grid; the others have not been run yet"


def pair_near(records: Iterable[dict], dataset: str, batch_size: int) -> list[dict]:
    """The conditional and the joint record of ``dataset`` at the nearest batch size, lowest seed.

    Nearest on a log scale. Where the profile lacks the data set, its first one stands in.
    """
    records = list(records)
    names = [r["run"]["dataset"] for r in records]
    dataset = dataset if dataset in names else names[0]
    candidates = [r for r in records if r["run"]["dataset"] == dataset]
    nearest = min(
        candidates,
        key=lambda r: (abs(np.log2(r["run"]["batch_size"] / batch_size)), r["run"]["seed"]),
    )["run"]
    same = ("batch_size", "seed", "label_space")
    pair = [r for r in candidates if all(r["run"][key] == nearest[key] for key in same)]
    return sorted(pair, key=lambda r: r["run"]["loss"])


def cells(records: Iterable[dict]) -> list[dict]:
    """One entry per cell and loss, over its seeds: what the explorer shows, as small plain data.

    ``accuracy``, ``ece`` and, where out-of-distribution data was scored, ``auroc`` by score are
    [mean, half width of the 95 % interval over seeds or None]. ``bins``: [lower edge, share, accuracy,
    mean confidence, lower and upper end of the accuracy's 95 % Wilson interval] of those of the ten
    bins of confidence that hold test images, all seeds together.
    ``roc`` by score: mean true positive rates at false positive rates evenly spaced over [0, 1].
    ``log_px``: shares of test images between ``low`` and ``high``, ``inside`` and ``outside`` the
    distribution; of the first seed alone, as the zero of ln p(x) differs from net to net.
    """
    records = [record for record in records if not record["diverged"]]
    by_key = {record["key"]: record for record in records}
    table = frame(records)
    if table.empty:
        return []
    metrics = {"accuracy": "test_accuracy", "ece": "ece"}
    metrics |= {name: f"auroc_{name}" for name in SHOWN_SCORES if f"auroc_{name}" in table}
    keys = [*CELL, "loss"]
    found = {name: summary(table, metric).set_index(keys) for name, metric in metrics.items()}
    entries = []
    for key, rows in table.groupby(keys, sort=False):
        rows = rows.sort_values("seed")
        evaluations = [by_key[run]["evaluations"][rows["scheme"].iloc[0]] for run in rows["key"]]
        entry = dict(zip(("dataset", "title", "scheme", "labels", "batch", "loss"), key))
        entry["batch"] = int(entry["batch"])  # NumPy's own integer under pandas 2, which JSON refuses
        entry |= {"seeds": rows["seed"].tolist(), "bins": _pooled_bins(evaluations)}
        intervals = {name: _rounded(cell.loc[key, ["mean", "half"]]) for name, cell in found.items()}
        entry |= {name: intervals[name] for name in ("accuracy", "ece")}
        if all("ood" in evaluation for evaluation in evaluations):
            ood = [evaluation["ood"] for evaluation in evaluations]
            histogram = ood[0]["scores"]["log_px"]["histogram"]
            parts = {part: np.divide(histogram[part], sum(histogram[part])) for part in ("inside", "outside")}
            entry |= {
                "outside": ood[0]["data"]["title"],
                "auroc": {name: intervals[name] for name in SHOWN_SCORES},
                "roc": {
                    name: _rounded(np.mean([o["scores"][name]["tpr_on_fpr_grid"][::2] for o in ood], axis=0))
                    for name in SHOWN_SCORES
                },
                "log_px": {name: round(histogram[name], 3) for name in ("low", "high")}
                | {part: _rounded(share) for part, share in parts.items()},
            }
        entries.append(entry)
    return entries


def percent(fraction: float, digits: int = 1) -> str:
    """0.6853 -> "68.5 %"."""
    return f"{100 * fraction:.{digits}f} %"


def _pooled_bins(evaluations):
    """Rows of ``cells``' bins: counts add up over seeds, accuracy and confidence weigh by them."""
    bins = [e["calibration"]["uniform10"] for e in evaluations]
    count, accuracy, confidence = (np.array([b[k] for b in bins], float) for k in ("count", "accuracy", "confidence"))
    total = count.sum(0)
    full = total > 0
    means = [np.nansum(count * value, axis=0)[full] / total[full] for value in (accuracy, confidence)]
    # Every seed is tested on the same images: as many as one seed has, on average, are independent.
    images = np.ceil(total[full] / len(bins)).astype(int)
    intervals = [
        stats.binomtest(round(n * p), int(n)).proportion_ci(method="wilson") for n, p in zip(images, means[0])
    ]
    rows = zip(np.array(bins[0]["edges"])[:-1][full], total[full] / total.sum(), *means, *zip(*intervals))
    return [_rounded(row) for row in rows]


def short_title(title: str) -> str:
    """Of a data set, without what is in brackets: "SVHN subset (8,841 train / 10,000 test)" -> "SVHN subset"."""
    return title.split(" (")[0]


def _rounded(values):
    """Four decimals, more than a drawing shows; NaN (no interval) as None."""
    return [None if np.isnan(value) else round(float(value), 4) for value in values]


def interval(groups) -> pd.DataFrame:
    """Of grouped values the ``mean``, their number ``n``, and ``half`` of the 95 % interval (Student's t).

    NaN below SEEDS values: from two, the interval is thirteen times as wide as they lie apart.
    """
    found = groups.agg(mean="mean", std="std", n="count")
    quantile = stats.t.ppf(0.975, np.maximum(found["n"] - 1, 1))
    half = quantile * found.pop("std") / np.sqrt(found["n"])
    found["half"] = half.where(found["n"] >= SEEDS)
    return found
