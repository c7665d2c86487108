"""Records as tables, a row per run and scheme, and what is computed over seeds."""

import json
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from gffn_core.data import files
from gffn_core.evaluation.scores import HISTOGRAM_BINS, ROC_POINTS, SCORES
from gffn_core.training.course import FITTED, SCHEMES
from gffn_core.training.run import Run

_NETS = {
    "conditional": "standard",
    "self_normalised": "self-normalised",
    "z_loss": "z-loss",
    "logit_norm": "LogitNorm",
}
SEEDS = 3  # the fewest that give an interval
CELL = ["dataset", "title", "scheme", "label_space", "batch_size"]
# What the columns of ``frame`` mean: meaning, unit, and place in the record (a leading dot stands for
# the ``evaluations`` of the row's scheme), or the function of the row so far that computes it.
COLUMNS = {
    "dataset": ("data set the net was trained on", "name", "run.dataset"),
    "loss": ("loss it was trained with, as of ``gffn_core.training.step``", "name", "run.loss"),
    "label_space": ("labels that Z(x) sums over: categorical or binary", "name", "run.label_space"),
    "batch_size": ("images per step", "images", "run.batch_size"),
    "seed": ("of initialisation and order of the images", "integer", "run.seed"),
    "width": ("of the net: channels of its first layer", "channels", "run.width"),
    "learning_rate": ("of Adam, constant", "1", "run.learning_rate"),
    "kl_weight": (
        "of the KL term in the joint and the self-normalised loss; 1, the thesis's, where a record lacks it",
        "factor",
        "run.kl_weight",
    ),
    "norm": ("normalisation behind each convolution: none, batch or ghost", "name", "run.norm"),
    "dropout": ("share of the hidden units left out in training", "fraction", "run.dropout"),
    "weight_decay": ("of AdamW", "1", "run.weight_decay"),
    "augmentation": (
        "of training images: flip, shift, both, or mutate; empty for none",
        "names",
        "run.augmentation",
    ),
    "key": ("the run's own hash", "16 hexadecimal digits", "key"),
    "title": ("data set, with the number of images where it is a subset", "text", "data.title"),
    "scheme": (
        "early: weights of the best validation accuracy; long: of the last epoch; lowest_nll: of the lowest "
        "negative log-likelihood on validation images; lowest_scaled_nll: of the lowest after a temperature",
        "name",
        "scheme",
    ),
    "epoch": ("passes over the training images at that point", "epochs", ".epoch"),
    "step": ("steps of the optimiser at that point", "steps", ".step"),
    "train_accuracy": ("accuracy on training images", "fraction", ".train_accuracy"),
    "train_nll": ("negative log-likelihood of the training labels, mean", "nats", ".train_nll"),
    "val_accuracy": ("accuracy on validation images", "fraction", ".val_accuracy"),
    "test_accuracy": ("accuracy on test images", "fraction", ".test_accuracy"),
    "nll": ("negative log-likelihood of the test labels, mean", "nats", ".nll"),
    "brier": ("Brier score, test images, summed over classes", "0 to 2", ".brier"),
    "mce": ("maximum calibration error, 10 bins of equal width, test images", "fraction", ".mce"),
    "confidence": ("mean probability of the predicted class, test images", "fraction", ".confidence"),
    "ece": ("expected calibration error, 10 bins of equal width, test images", "fraction", ".ece.uniform10"),
    "ece_uniform15": ("the same with 15 bins", "fraction", ".ece.uniform15"),
    "ece_quantile10": ("the same with 10 bins of equal mass", "fraction", ".ece.quantile10"),
    "train_spread": (
        "standard deviation of ln p(x), which is that of ln Z(x), over training images",
        "nats",
        ".train_log_px.std",
    ),
    "aurc": ("area under the risk-coverage curve, test images", "fraction", ".risk_coverage.aurc"),
    "temperature": (
        "that minimises the negative log-likelihood on validation images",
        "factor",
        ".scaled.temperature",
    ),
    "scaled_nll": ("nll of logits divided by the temperature", "nats", ".scaled.nll"),
    "miscalibration": (
        "nll minus scaled_nll: what a temperature mends; scaled_nll, which is left, is called refinement",
        "nats",
        lambda row: row["nll"] - row["scaled_nll"],
    ),
    "scaled_ece": ("ece of logits divided by the temperature", "fraction", ".scaled.ece.uniform10"),
    "official": ("whether the data set is whole and as published", "true or false", "data.official"),
    "overconfidence": (
        "confidence minus test_accuracy",
        "fraction",
        lambda row: row["confidence"] - row["test_accuracy"],
    ),
    "underfit": (
        f"long scheme with train_accuracy below {FITTED}",
        "true or false",
        lambda row: underfit(row, row["scheme"]),
    ),
} | {
    f"auroc_{score}": (
        f"area under the ROC curve of {score}, test images against those of another data set; "
        "empty where there is none",
        "fraction",
        f".ood.scores.{score}.auroc",
    )
    for score in SCORES
}


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV or Parquet, by the suffix of ``path``; errors of ``check_writable``."""
    check_writable(path)
    if path.suffix == ".csv":
        files.write_atomically(path, lambda file: table.to_csv(file, index=False, lineterminator="\n"))
    else:
        files.write_atomically(path, lambda file: table.to_parquet(file, index=False))


def check_writable(path: Path) -> None:
    """ValueError for a suffix that ``write`` does not know, or where pyarrow is missing; OSError for a folder
    that cannot be written to."""
    if path.suffix not in (".csv", ".parquet"):
        raise ValueError(f"{path}: the file's name must end in .csv or .parquet")
    if path.suffix == ".parquet" and find_spec("pyarrow") is None:
        raise ValueError(f"{path}: Parquet needs pyarrow; pip install 'gffn-core[parquet]', or write .csv")
    files.check_writable(path.parent)


def frame(records: Iterable[dict], schemes: Sequence[str] = SCHEMES) -> pd.DataFrame:
    """One row per run and scheme, ordered as ``records``; the columns are those of ``COLUMNS``.

    A scheme that a record lacks has no row. NaN where a record lacks a value, as one that is older than the
    column. Runs that diverged have no rows.
    """
    rows = []
    for record in records:
        if record["diverged"]:
            continue
        run = {"kl_weight": 1.0} | Run.of(record["run"]).settings()
        for scheme in [one for one in schemes if one in record["evaluations"]]:
            places = record | {"run": run, "scheme": scheme, "": record["evaluations"][scheme]}
            row = {}
            for name, (_, _, place) in COLUMNS.items():
                row[name] = place(row) if callable(place) else _at(places, place)
            rows.append(row)
    return pd.DataFrame(rows, columns=[*COLUMNS])


def _at(places, place):
    for part in place.split("."):
        if part not in places:
            return np.nan
        places = places[part]
    return np.nan if places is None else places  # JSON has no NaN


def net(loss: str) -> str:
    """What a net that was trained with a loss is called."""
    return _NETS.get(loss) or loss.replace("_", " ")


def underfit(evaluation: dict, scheme: str = "long") -> bool:
    """Whether a long run ended before it had fitted its training images (``FITTED``)."""
    return scheme == "long" and evaluation["train_accuracy"] < FITTED


def summary(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Mean of ``metric`` over seeds for every cell and loss, with the 95 % interval's half width.

    Columns ``mean``, ``half`` (see ``interval``), ``n`` and ``underfit`` (any).
    """
    groups = table.groupby([*CELL, "loss"], sort=False)
    return interval(groups[metric]).assign(underfit=groups["underfit"].any()).reset_index()


def paired_difference(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Joint minus conditional, paired on seed, per cell; columns as in ``summary``."""
    pairs = table.pivot_table(index=[*CELL, "seed"], columns="loss", values=metric, sort=False)
    if not {"joint", "conditional"} <= set(pairs.columns):
        raise ValueError(f"a paired difference needs runs of both losses, got {sorted(pairs.columns)}")
    pairs = pairs[["joint", "conditional"]].dropna()
    difference = (pairs["joint"] - pairs["conditional"]).rename(metric)
    cells = interval(difference.groupby(level=CELL, sort=False))
    return cells.join(table.groupby(CELL)["underfit"].any()).reset_index()


def differences(table: pd.DataFrame, metric: str, base: str, by: str, tests: int = 1) -> pd.DataFrame:
    """Of each value of the column ``by`` minus that of ``base``, paired on seed: columns as of ``interval``,
    and ``seen``, whether 0 is outside the interval; not where all seeds agree, which tells of coarse values,
    such as accuracies on few images."""
    wide = table.pivot(index="seed", columns=by, values=metric)[table[by].unique()]
    found = interval(wide.sub(wide[base], axis=0).melt().groupby(by, sort=False)["value"], tests)
    agree = found["half"] < 1e-9  # to rounding
    return found.assign(seen=(found["mean"].abs() > found["half"]) & ~agree)


def interval(groups, tests: int = 1) -> pd.DataFrame:
    """Of grouped values the ``mean``, their number ``n``, and ``half`` of the 95 % interval (Student's t).

    tests: how many such intervals are to hold together (Bonferroni).

    NaN below SEEDS values: from two, the interval is thirteen times as wide as they lie apart.
    """
    cells = groups.agg(mean="mean", std="std", n="count")
    quantile = stats.t.ppf(1 - 0.025 / tests, np.maximum(cells["n"] - 1, 1))
    half = quantile * cells.pop("std") / np.sqrt(cells["n"])
    cells["half"] = half.where(cells["n"] >= SEEDS)
    return cells


def over_seeds(values: pd.Series) -> pd.Series:
    """Of values, one a seed, their ``mean`` and the ends of its 95 % interval, ``low`` and ``high``."""
    mean, half = interval(values.groupby(lambda _: 0))[["mean", "half"]].iloc[0]
    return pd.Series({"mean": mean, "low": mean - half, "high": mean + half})


def by_stopping(table: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Means by loss and scheme: over seeds, then batch sizes, then data sets, each with equal weight."""
    means = table.groupby(["loss", "scheme", "dataset", "batch_size"])[list(metrics)].mean()
    return means.groupby(level=["loss", "scheme", "dataset"]).mean().groupby(level=["loss", "scheme"]).mean()


def remedies(table: pd.DataFrame) -> pd.Series:
    """In how many ``pairs`` of nets what costs nothing does as much as the loss.

    ``stopped``: the standard net that stops early has a lower ECE than the joint net trained long;
    ``scaled``: the standard net trained long has it after temperature scaling; ``finer``: both trained long
    and scaled, the joint net has the lower negative log-likelihood.
    """
    values = ["ece", "scaled_ece", "scaled_nll"]
    nets = table.pivot_table(
        index=["dataset", "batch_size", "seed"], columns=["loss", "scheme"], values=values
    ).dropna()
    counts = {
        "stopped": nets["ece", "conditional", "early"] < nets["ece", "joint", "long"],
        "scaled": nets["scaled_ece", "conditional", "long"] < nets["ece", "joint", "long"],
        "finer": nets["scaled_nll", "joint", "long"] < nets["scaled_nll", "conditional", "long"],
    }
    return pd.Series({name: one.sum() for name, one in counts.items()} | {"pairs": len(nets)})


def wilson(share, count) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the 95 % Wilson interval of each share of so many images."""
    intervals = [
        stats.binomtest(round(n * p), int(n)).proportion_ci(method="wilson") for n, p in zip(count, share)
    ]
    return tuple(np.array(intervals).T)


def curve(record: dict, metric: str | Callable[[dict], list]) -> list:
    """One of the record's curves by its name, or what the function ``metric`` makes of the record."""
    return metric(record) if callable(metric) else record["curves"][metric]


def curve_points(records: Iterable[dict], metric: str | Callable[[dict], list]) -> pd.DataFrame:
    """A ``curve`` of every record, a row per epoch."""
    return pd.DataFrame(
        _of(record, "dataset", "batch_size", "loss", "seed")
        | {"epoch": epoch, "early": epoch == record["evaluations"]["early"]["epoch"], "value": value}
        for record in records
        for epoch, value in enumerate(curve(record, metric), 1)
    )


def bins(records: Iterable[dict]) -> pd.DataFrame:
    """Reliability diagrams, long scheme: a row per record and bin, ``accuracy`` NaN where ``count`` is 0."""
    parts = []
    for record in records:
        diagram = record["evaluations"]["long"]["calibration"]["uniform10"]
        columns = {"low": diagram["edges"][:-1], "high": diagram["edges"][1:]}
        columns |= {key: diagram[key] for key in ("count", "confidence", "accuracy")}
        parts.append(pd.DataFrame(columns | _of(record, "dataset", "batch_size", "loss", "seed")))
    return pd.concat(parts)


def _of(record, *keys):
    return {key: record["run"][key] for key in keys}


def short_title(title: str) -> str:
    """Without what is in brackets: "SVHN subset (8,841 train / 10,000 test)" -> "SVHN subset"."""
    return title.split(" (")[0]


def score_points(record: dict) -> pd.DataFrame:
    """What ``figures.density_and_roc`` draws: rows (panel, series, x, y).

    Panel histogram, of ln p(x): series inside and outside; x: left edge of the bin, y: share of the images.
    Panel roc: a series per score; x: false positive rate, y: true positive rate.
    """
    scores = record["evaluations"]["long"]["ood"]["scores"]
    histogram = scores["log_px"]["histogram"]
    edges = np.linspace(histogram["low"], histogram["high"], HISTOGRAM_BINS + 1)[:-1]
    grid = np.linspace(0, 1, ROC_POINTS)
    series = [
        ("histogram", part, edges, np.divide(histogram[part], sum(histogram[part])))
        for part in ("inside", "outside")
    ]
    series += [("roc", name, grid, score["tpr_on_fpr_grid"]) for name, score in scores.items()]
    return pd.concat(
        pd.DataFrame({"panel": panel, "series": name, "x": x, "y": y}) for panel, name, x, y in series
    )


def benches(root: str | Path, device: str | None = None) -> list[dict]:
    """What ``bench`` found: ``bench_*.json`` in the published results of a store, of all devices or one."""
    found = [json.loads(path.read_text()) for path in sorted((Path(root) / "published").glob("bench_*.json"))]
    return [one for one in found if device in (None, one["provenance"]["device"])]


def step_ratios(root: str | Path) -> list[float]:
    """All published ``joint_over_conditional``."""
    return [row["joint_over_conditional"] for machine in benches(root) for row in machine["overhead"]]
