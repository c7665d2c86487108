"""Records as tables, and the sentences that say what a table or figure rests on."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy import stats

from gffn_core.evaluation import SCORES
from gffn_core.model import WIDTHS
from gffn_core.training import FITTED, SCHEMES

CELL = ["dataset", "title", "scheme", "label_space", "batch_size"]


def frame(records: Iterable[dict]) -> pd.DataFrame:
    """One row per run and scheme, ordered as ``records``.

    Accuracies and calibration errors are fractions. ``overconfidence`` is mean confidence minus
    accuracy. ``scaled_*`` are those after temperature scaling. Runs that diverged have no rows.
    """
    rows = []
    for record in records:
        if record["diverged"]:
            continue
        for scheme in SCHEMES:
            found = record["evaluations"][scheme]
            row = {key: record["run"][key] for key in ("dataset", "loss", "label_space",
                                                       "batch_size", "seed", "width")}
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

    Columns ``mean``, ``half`` (Student's t; NaN for a single seed), ``n`` and ``underfit`` (any).
    """
    groups = table.groupby([*CELL, "loss"], sort=False)
    return _interval(groups[metric]).assign(underfit=groups["underfit"].any()).reset_index()


def paired_difference(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Joint minus conditional, paired on seed, per cell; columns as in ``summary``."""
    pairs = table.pivot_table(index=[*CELL, "seed"], columns="loss", values=metric, sort=False).dropna()
    if not {"joint", "conditional"} <= set(pairs.columns):
        raise ValueError("a paired difference needs runs of both losses")
    difference = (pairs["joint"] - pairs["conditional"]).rename(metric)
    underfit = table.groupby(CELL)["underfit"].any()
    return _interval(difference.groupby(level=CELL, sort=False)).join(underfit).reset_index()


def basis(records: Iterable[dict], profile: str) -> str:
    """One line: which runs, seeds, net, data, hardware and code a figure shows."""
    records = list(records)
    runs = [record["run"] for record in records]
    seeds = sorted({run["seed"] for run in runs})
    nets = {width: name for name, width in WIDTHS.items()}
    partial = sorted({r["data"]["title"] for r in records if not r["data"]["official"]})
    codes = sorted({r["provenance"]["code"] for r in records})
    parts = [
        f"Profile {profile}, {len(records)} {'run' if len(records) == 1 else 'runs'}",
        f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"
        + (" (one seed: no interval over seeds)" if len(seeds) == 1 else ", bars: 95 % interval over seeds"),
        f"{' and '.join(sorted({nets.get(run['width'], str(run['width'])) for run in runs}))} net",
        *partial,
        "; ".join(sorted({r["provenance"]["hardware"] for r in records})),
        f"code {', '.join(codes)}",
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


def markdown_table(header: list[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; unlike a DataFrame's, its text wraps and may hold formulas and links."""
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


def percent(fraction: float, digits: int = 1) -> str:
    """0.6853 -> "68.5 %"."""
    return f"{100 * fraction:.{digits}f} %"


def _interval(groups):
    found = groups.agg(mean="mean", std="std", n="count")
    quantile = stats.t.ppf(0.975, np.maximum(found["n"] - 1, 1))
    found["half"] = quantile * found.pop("std") / np.sqrt(found["n"])
    return found
