"""The book's figures. Each function draws one question and returns a matplotlib figure for ``show``."""

from collections.abc import Callable

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

from gffn_core.evaluation.scores import HISTOGRAM_BINS, ROC_POINTS
from gffn_core.experiments import tables
from gffn_core.pages import words
from gffn_core.pages.style import (
    INK,
    INSIDE,
    LOSS_STYLE,
    OUTSIDE,
    SCORE_STYLE,
    STYLE,
    batch_axis,
    draw_legend,
    draw_line,
    label_axes,
    literal,
    panels,
)


def by_batch_size(table: pd.DataFrame, metric: str, label: str) -> plt.Figure:
    """One panel per data set: ``metric`` of one scheme against batch size, both losses.

    Bars are 95 % intervals over seeds (``tables.interval``); hollow markers are underfit cells (``course.FITTED``).
    """
    cells = tables.summary(table, metric)
    with matplotlib.rc_context(STYLE):
        figure, axes = panels(cells["title"].unique())
        for title, axis in axes.items():
            for loss, style in LOSS_STYLE.items():
                part = cells[(cells["title"] == title) & (cells["loss"] == loss)]
                draw_line(axis, part, style)
            batch_axis(axis, cells["batch_size"])
        label_axes(figure, "batch size", label)
        draw_legend(figure, LOSS_STYLE, underfit=cells["underfit"].any())
    return figure


def difference_by_batch_size(table: pd.DataFrame, metric: str, label: str) -> plt.Figure:
    """One panel per data set: joint minus conditional, paired on seed, against batch size.

    Bars and hollow markers as in ``by_batch_size``.
    """
    cells = tables.paired_difference(table, metric)
    with matplotlib.rc_context(STYLE):
        figure, axes = panels(cells["title"].unique())
        for title, axis in axes.items():
            axis.axhline(0, color=INK, linewidth=1)
            draw_line(axis, cells[cells["title"] == title], LOSS_STYLE["joint"])
            batch_axis(axis, cells["batch_size"])
        label_axes(figure, "batch size", label)
        if cells["underfit"].any():
            draw_legend(figure, {}, underfit=True)
    return figure


def by_choice(choices: dict[str, pd.DataFrame], metrics: dict[str, str]) -> plt.Figure:
    """One panel per metric (name -> label), one row per batch size and choice: both losses.

    choices: choice -> rows of one scheme and data set. Bars and hollow markers as in ``by_batch_size``.
    """
    batches = sorted({batch for table in choices.values() for batch in table["batch_size"]})
    cells = {
        (choice, batch): table[table["batch_size"] == batch]
        for batch in batches
        for choice, table in choices.items()
        if batch in set(table["batch_size"])
    }
    with matplotlib.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, len(metrics), figsize=(9, 1.2 + 0.32 * len(cells)), sharey=True, layout="constrained"
        )
        for axis, (metric, label) in zip(axes, metrics.items()):
            for row, table in enumerate(cells.values()):
                for found in tables.summary(table, metric).to_dict("records"):
                    style = LOSS_STYLE[found["loss"]]
                    half = None if np.isnan(found["half"]) else found["half"]  # too few seeds
                    axis.errorbar(
                        found["mean"],
                        row,
                        xerr=half,
                        color=style["color"],
                        marker=style["marker"],
                        capsize=3,
                        markersize=6.5,
                        markeredgewidth=1.6,
                        markerfacecolor="none" if found["underfit"] else style["color"],
                    )
            axis.set_xlabel(label)
        axes[0].set_yticks(range(len(cells)), [f"{choice}, B = {batch}" for choice, batch in cells])
        axes[0].invert_yaxis()
        draw_legend(figure, LOSS_STYLE, underfit=any(table["underfit"].any() for table in cells.values()))
    return figure


def curves(records: list[dict], metric: str | Callable[[dict], list], label: str) -> plt.Figure:
    """One panel per data set and batch size: a curve against epochs; markers are the early weights.

    Hollow markers at the end: the run is underfit.

    metric: one of the record's curves, or a function that makes one of a record.
    """
    titles = list(dict.fromkeys(r["data"]["title"] for r in records))
    batches = sorted({r["run"]["batch_size"] for r in records})
    with matplotlib.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(titles),
            len(batches),
            figsize=(9, 0.6 + 2.0 * len(titles)),
            squeeze=False,
            sharey="row",
            layout="constrained",
        )
        for record in records:
            run = record["run"]
            axis = axes[titles.index(record["data"]["title"]), batches.index(run["batch_size"])]
            values = metric(record) if callable(metric) else record["curves"][metric]
            style = LOSS_STYLE[run["loss"]]
            axis.plot(
                range(1, len(values) + 1),
                values,
                color=style["color"],
                linestyle=style["linestyle"],
                linewidth=1.5,
            )
            early = record["evaluations"]["early"]["epoch"]
            axis.plot(early, values[early - 1], style["marker"], color=style["color"], markersize=6)
            if tables.underfit(record, "long"):
                axis.plot(
                    len(values),
                    values[-1],
                    style["marker"],
                    color=style["color"],
                    markerfacecolor="none",
                    markersize=6.5,
                    markeredgewidth=1.6,
                )
        for axis, batch in zip(axes[0], batches):
            axis.set_title(f"batch size {batch}")
        for axis, title in zip(axes[:, 0], titles):
            axis.set_ylabel(literal(tables.short_title(title)))
        label_axes(figure, "epoch", label)
        draw_legend(figure, LOSS_STYLE, underfit=any(tables.underfit(record, "long") for record in records))
    return figure


def reliability(records: list[dict], scheme: str = "long", binning: str = "uniform10") -> plt.Figure:
    """Reliability diagrams side by side, one column a record, with the share of samples below.

    Bars are the accuracy of the bins that hold samples, with the 95 % Wilson interval of that
    share; the tick is the bin's mean confidence, on the diagonal when calibrated.
    """
    with matplotlib.rc_context(STYLE):
        figure, axes = plt.subplots(
            2,
            len(records),
            figsize=(4.4 * len(records), 4.8),
            squeeze=False,
            sharex=True,
            sharey="row",
            height_ratios=(3, 1.2),
            layout="constrained",
        )
        for (top, bottom), record in zip(axes.T, records):
            found = record["evaluations"][scheme]
            bins = {k: np.array(v, float) for k, v in found["calibration"][binning].items()}
            style = LOSS_STYLE[record["run"]["loss"]]
            full = bins["count"] > 0
            left, width = bins["edges"][:-1][full], np.diff(bins["edges"])[full]
            count, share = bins["count"][full], bins["accuracy"][full]
            interval = [
                stats.binomtest(round(n * p), int(n)).proportion_ci(method="wilson")
                for n, p in zip(count, share)
            ]
            low, high = np.array(interval).T
            top.bar(
                left,
                share,
                width,
                align="edge",
                color=style["color"],
                alpha=0.75,
                edgecolor=INK,
                linewidth=0.5,
            )
            top.errorbar(
                left + width / 2,
                share,
                [share - low, high - share],
                fmt="none",
                ecolor=INK,
                elinewidth=1,
                capsize=2,
            )
            top.plot(
                bins["confidence"][full],
                bins["confidence"][full],
                "_",
                color=INK,
                markersize=13,
                markeredgewidth=2,
            )
            top.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=":")
            top.set(xlim=(0, 1), ylim=(0, 1.02))
            top.set_title(
                f"{style['label']}\nECE {found['ece'][binning]:.3f}, "
                f"accuracy {words.percent(found['test_accuracy'])}{_underfit(record, scheme)}"
            )
            bottom.bar(
                left,
                count / count.sum(),
                width,
                align="edge",
                color=style["color"],
                alpha=0.75,
                edgecolor=INK,
                linewidth=0.5,
            )
            for x, n in zip(left + width / 2, count):
                bottom.text(
                    x, n / count.sum() + 0.02, f"{n:.0f}", ha="center", va="bottom", fontsize=7.5, rotation=90
                )
            bottom.set(ylim=(0, 1.45), yticks=(0, 0.5, 1), xlabel="confidence")
        axes[0, 0].set_ylabel("accuracy")
        axes[1, 0].set_ylabel("share")
    return figure


def risk_coverage(points: pd.DataFrame) -> plt.Figure:
    """One panel per data set: error rate among the most confident images against their share, both losses.

    points: ``tables.risk_points`` of one batch size. Bands are 95 % intervals over seeds.
    """
    means = tables.interval(points.groupby(["title", "loss", "coverage"], sort=False)["risk"]).reset_index()
    with matplotlib.rc_context(STYLE):
        figure, axes = panels(points["title"].unique())
        for title, axis in axes.items():
            for loss, style in LOSS_STYLE.items():
                part = means[(means["title"] == title) & (means["loss"] == loss)]
                half = part["half"].fillna(0)
                axis.plot(
                    part["coverage"],
                    part["mean"],
                    color=style["color"],
                    linestyle=style["linestyle"],
                    linewidth=1.6,
                )
                axis.fill_between(
                    part["coverage"],
                    part["mean"] - half,
                    part["mean"] + half,
                    color=style["color"],
                    alpha=0.2,
                    linewidth=0,
                )
            axis.set(xlim=(0, 1), ylim=(0, None))
        label_axes(figure, "share of the images that is answered", "error rate among them")
        draw_legend(figure, {loss: style | {"marker": ""} for loss, style in LOSS_STYLE.items()})
    return figure


def density_and_roc(record: dict, score: str = "log_px", scheme: str = "long") -> plt.Figure:
    """Left: distribution of a score in and out of distribution. Right: the ROC curves of all scores."""
    ood = record["evaluations"][scheme]["ood"]
    names = {
        "inside": (record["data"]["title"], INSIDE, "-"),
        "outside": (ood["data"]["title"], OUTSIDE, "--"),
    }
    histogram = ood["scores"][score]["histogram"]
    edges = np.linspace(histogram["low"], histogram["high"], HISTOGRAM_BINS + 1)
    with matplotlib.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.7), layout="constrained")
        for part, (title, color, dash) in names.items():
            share = np.array(histogram[part]) / np.sum(histogram[part])
            left.stairs(share, edges, color=color, fill=True, alpha=0.25)
            left.stairs(
                share,
                edges,
                color=color,
                linestyle=dash,
                linewidth=1.5,
                label=f"{literal(tables.short_title(title))} ({'in' if part == 'inside' else 'out of'} distribution)",
            )
        left.set(
            xlabel=SCORE_STYLE[score]["label"] + (", unnormalised" if score == "log_px" else ""),
            ylabel="share of test images",
        )
        left.set_title(LOSS_STYLE[record["run"]["loss"]]["label"] + _underfit(record, scheme))
        left.set_ylim(top=left.get_ylim()[1] * 1.3)
        left.legend(loc="upper left")
        grid = np.linspace(0, 1, ROC_POINTS)
        for name, style in SCORE_STYLE.items():
            found = ood["scores"][name]
            right.plot(
                grid,
                found["tpr_on_fpr_grid"],
                color=style["color"],
                linestyle=style["linestyle"],
                label=f"{style['label']}, AUROC {found['auroc']:.3f}",
            )
        right.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (1, 3)))
        right.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1))
        right.legend(loc="lower right")
    return figure


def auroc_by_batch_size(table: pd.DataFrame, out_titles: dict[str, str]) -> plt.Figure:
    """Rows: losses. Columns: data sets, each against ``out_titles[dataset]``. One line per score."""
    sets = list(dict.fromkeys(zip(table["dataset"], table["title"])))
    with matplotlib.rc_context(STYLE):
        figure, axes = plt.subplots(
            2,
            len(sets),
            figsize=(max(5.0, 2.5 * len(sets)), 5.2),
            squeeze=False,
            sharey=True,
            sharex=True,
            layout="constrained",
        )
        for row, loss in zip(axes, LOSS_STYLE):
            for axis, (dataset, title) in zip(row, sets):
                part = table[(table["dataset"] == dataset) & (table["loss"] == loss)]
                axis.axhline(0.5, color=INK, linewidth=1, linestyle=(0, (1, 3)))
                for score, style in SCORE_STYLE.items():
                    draw_line(axis, tables.summary(part, f"auroc_{score}"), style)
                batch_axis(axis, table["batch_size"])
                if loss == "conditional":
                    against = (
                        f"{tables.short_title(title)}\nagainst {tables.short_title(out_titles[dataset])}"
                    )
                    axis.set_title(literal(against))
            row[0].set_ylabel(f"AUROC, {loss} loss")
            row[0].set_ylim(0, 1.03)
        figure.supxlabel("batch size", fontsize=10)
        draw_legend(figure, SCORE_STYLE, underfit=table["underfit"].any())
    return figure


def _underfit(record, scheme):
    return ", underfit" if tables.underfit(record, scheme) else ""
