"""The book's figures. Each function draws one question and returns a matplotlib figure for ``show``."""

from collections.abc import Callable

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from gffn_core.experiments import tables
from gffn_core.pages import words
from gffn_core.pages.style import (
    INK,
    INSIDE,
    LOSS_STYLE,
    OUTSIDE,
    POINT,
    SCORE_STYLE,
    STYLE,
    batch_axis,
    draw_legend,
    draw_line,
    label_axes,
    line,
    literal,
    panels,
)

CHANCE = {"color": INK, "linewidth": 1, "linestyle": (0, (1, 3))}  # where a score tells nothing


@matplotlib.rc_context(STYLE)
def by_batch_size(table: pd.DataFrame, metric: str, label: str) -> plt.Figure:
    """One panel per data set: ``metric`` of one scheme against batch size, both losses.

    Bars are 95 % intervals over seeds (``tables.interval``); hollow markers are underfit (``course.FITTED``).
    """
    cells = tables.summary(table, metric)
    figure, axes = panels(cells["title"].unique())
    for (title, loss), part in cells.groupby(["title", "loss"]):
        draw_line(axes[title], part, LOSS_STYLE[loss])
    for axis in axes.values():
        batch_axis(axis, cells["batch_size"])
    label_axes(figure, "batch size", label)
    draw_legend(figure, _styles(cells["loss"]), underfit=cells["underfit"].any())
    return figure


@matplotlib.rc_context(STYLE)
def difference_by_batch_size(table: pd.DataFrame, metric: str, label: str) -> plt.Figure:
    """One panel per data set: joint minus conditional, paired on seed, against batch size.

    Bars and hollow markers as in ``by_batch_size``.
    """
    cells = tables.paired_difference(table, metric)
    figure, axes = panels(cells["title"].unique())
    for title, axis in axes.items():
        axis.axhline(0, color=INK, linewidth=1)
        draw_line(axis, cells[cells["title"] == title], LOSS_STYLE["joint"])
        batch_axis(axis, cells["batch_size"])
    label_axes(figure, "batch size", label)
    if cells["underfit"].any():
        draw_legend(figure, {}, underfit=True)
    return figure


@matplotlib.rc_context(STYLE)
def by_choice(choices: dict[str, pd.DataFrame], metrics: dict[str, str]) -> plt.Figure:
    """One panel per metric (name -> label), one row per batch size and choice: both losses.

    choices: choice -> rows of one scheme and data set. Bars and hollow markers as in ``by_batch_size``.
    """
    cells = {
        (choice, batch): cell
        for choice, table in choices.items()
        for batch, cell in table.groupby("batch_size")
    }
    rows = sorted(cells, key=lambda cell: cell[1])
    figure, axes = plt.subplots(
        1, len(metrics), figsize=(9, 1.2 + 0.32 * len(rows)), sharey=True, layout="constrained"
    )
    for axis, (metric, label) in zip(axes, metrics.items()):
        for row, cell in enumerate(rows):
            for mean in tables.summary(cells[cell], metric).itertuples():
                style = LOSS_STYLE[mean.loss]
                axis.errorbar(
                    mean.mean,
                    row,
                    xerr=None if np.isnan(mean.half) else mean.half,  # too few seeds
                    color=style["color"],
                    marker=style["marker"],
                    capsize=3,
                    markerfacecolor="none" if mean.underfit else style["color"],
                    **POINT,
                )
        axis.set_xlabel(label)
    axes[0].set_yticks(range(len(rows)), [f"{choice}, B = {batch}" for choice, batch in rows])
    axes[0].invert_yaxis()
    drawn = pd.concat(cells)
    draw_legend(figure, _styles(drawn["loss"]), underfit=drawn["underfit"].any())
    return figure


@matplotlib.rc_context(STYLE)
def along_training(nets: list[dict], metric: str | Callable[[dict], list], label: str) -> plt.Figure:
    """A curve against epochs for each net, the gap between them shaded; markers are the early weights.

    nets: the records of a pair. metric: one of the record's curves, or a function that makes one of a record.
    """
    figure, axis = plt.subplots(figsize=(7, 3.6), layout="constrained")
    curves = [tables.curve(record, metric) for record in nets]
    for record, values in zip(nets, curves):
        style = LOSS_STYLE[record["run"]["loss"]]
        axis.plot(range(1, len(values) + 1), values, **line(style), linewidth=1.8)
        early = record["evaluations"]["early"]["epoch"]
        axis.plot(early, values[early - 1], style["marker"], color=style["color"], markersize=9)
    both = np.array([values[: min(map(len, curves))] for values in curves])
    axis.fill_between(
        range(1, both.shape[1] + 1), both.min(0), both.max(0), color=INK, alpha=0.08, linewidth=0
    )
    axis.set(xlabel="epoch", ylabel=label)
    low, high = np.percentile(np.concatenate(curves), [5, 100])  # the steep beginning would flatten the rest
    axis.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
    draw_legend(figure, _styles(record["run"]["loss"] for record in nets))
    return figure


@matplotlib.rc_context(STYLE)
def reliability(records: list[dict]) -> plt.Figure:
    """Reliability diagrams, long scheme, side by side, one column a record, with the share of samples below.

    Bars are the accuracy of the bins that hold samples, with the 95 % Wilson interval of that
    share; the tick is the bin's mean confidence, on the diagonal when calibrated.
    """
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
        bins = tables.bins([record])
        bins = bins[bins["count"] > 0]
        style = LOSS_STYLE[record["run"]["loss"]]
        _draw_accuracy(top, bins, style["color"])
        evaluation = record["evaluations"]["long"]
        accuracy = f"accuracy {words.percent(evaluation['test_accuracy'])}{_underfit(evaluation)}"
        top.set_title(f"{style['label']}\nECE {evaluation['ece']['uniform10']:.3f}, {accuracy}")
        _draw_shares(bottom, bins, style["color"])
    axes[0, 0].set_ylabel("accuracy")
    axes[1, 0].set_ylabel("share")
    return figure


def _draw_accuracy(axis, bins, color):
    """The upper half of a reliability diagram; bins: rows of ``tables.bins`` that hold samples."""
    share = bins["accuracy"]
    low, high = tables.wilson(share, bins["count"])
    middle = _bars(axis, bins, share, color)
    axis.errorbar(middle, share, [share - low, high - share], fmt="none", ecolor=INK, elinewidth=1, capsize=2)
    axis.plot(bins["confidence"], bins["confidence"], "_", color=INK, markersize=13, markeredgewidth=2)
    axis.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=":")
    axis.set(xlim=(0, 1), ylim=(0, 1.02))


def _draw_shares(axis, bins, color):
    """The lower half."""
    share = bins["count"] / bins["count"].sum()
    middle = _bars(axis, bins, share, color)
    for x, y, n in zip(middle, share, bins["count"]):
        axis.text(x, y + 0.02, f"{n:.0f}", ha="center", va="bottom", fontsize=7.5, rotation=90)
    axis.set(ylim=(0, 1.45), yticks=(0, 0.5, 1), xlabel="confidence")


def _bars(axis, bins, height, color):
    """Bars, whose middles are returned."""
    width = bins["high"] - bins["low"]
    axis.bar(bins["low"], height, width, align="edge", color=color, alpha=0.75, edgecolor=INK, linewidth=0.5)
    return bins["low"] + width / 2


@matplotlib.rc_context(STYLE)
def density_and_roc(record: dict) -> plt.Figure:
    """Long scheme. Left: ln p(x) in and out of distribution. Right: the ROC curves of all scores."""
    evaluation = record["evaluations"]["long"]
    scores = evaluation["ood"]["scores"]
    points = tables.score_points(record).groupby(["panel", "series"])
    parts = {
        "inside": (record["data"]["title"], "in", INSIDE, "-"),
        "outside": (evaluation["ood"]["data"]["title"], "out of", OUTSIDE, "--"),
    }
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.7), layout="constrained")
    for part, (title, where, color, dash) in parts.items():
        bars = points.get_group(("histogram", part))
        edges = [*bars["x"], scores["log_px"]["histogram"]["high"]]
        label = f"{literal(tables.short_title(title))} ({where} distribution)"
        left.stairs(bars["y"], edges, color=color, fill=True, alpha=0.25)
        left.stairs(bars["y"], edges, color=color, linestyle=dash, linewidth=1.5, label=label)
    left.set(xlabel=f"{SCORE_STYLE['log_px']['label']}, unnormalised", ylabel="share of test images")
    left.set_title(LOSS_STYLE[record["run"]["loss"]]["label"] + _underfit(evaluation))
    left.set_ylim(top=left.get_ylim()[1] * 1.3)
    left.legend(loc="upper left")
    for name, style in SCORE_STYLE.items():
        curve = points.get_group(("roc", name))
        label = f"{style['label']}, AUROC {scores[name]['auroc']:.3f}"
        right.plot(curve["x"], curve["y"], **line(style), label=label)
    right.plot([0, 1], [0, 1], **CHANCE)
    right.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1))
    right.legend(loc="lower right")
    return figure


@matplotlib.rc_context(STYLE)
def auroc_by_batch_size(table: pd.DataFrame, out_titles: dict[str, str]) -> plt.Figure:
    """Rows: losses. Columns: data sets, each against ``out_titles[dataset]``. One line per score."""
    sets, losses = list(dict.fromkeys(zip(table["dataset"], table["title"]))), _styles(table["loss"])
    figure, axes = plt.subplots(
        len(losses),
        len(sets),
        figsize=(max(5.0, 2.5 * len(sets)), 2.6 * len(losses)),
        squeeze=False,
        sharey=True,
        sharex=True,
        layout="constrained",
    )
    for row, loss in zip(axes, losses):
        for axis, (dataset, _) in zip(row, sets):
            part = table[(table["dataset"] == dataset) & (table["loss"] == loss)]
            axis.axhline(0.5, **CHANCE)
            for score, style in SCORE_STYLE.items():
                draw_line(axis, tables.summary(part, f"auroc_{score}"), style)
            batch_axis(axis, table["batch_size"])
        row[0].set_ylabel(f"AUROC, {loss} loss")
        row[0].set_ylim(0, 1.03)
    for axis, (dataset, title) in zip(axes[0], sets):
        names = (tables.short_title(name) for name in (title, out_titles[dataset]))
        axis.set_title(literal("\nagainst ".join(names)))
    figure.supxlabel("batch size", fontsize=10)
    draw_legend(figure, SCORE_STYLE, underfit=table["underfit"].any())
    return figure


def _underfit(evaluation):
    return ", underfit" if tables.underfit(evaluation) else ""


def _styles(losses):
    """Of the losses that occur, in the order of LOSS_STYLE."""
    occur = set(losses)
    return {loss: style for loss, style in LOSS_STYLE.items() if loss in occur}
