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
    LOSS_STYLE,
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
    side_by_side,
)

CHANCE = {"color": INK, "linewidth": 1, "linestyle": (0, (1, 3))}  # where a score tells nothing


@matplotlib.rc_context(STYLE)
def by_batch_size(table: pd.DataFrame, metric: str, label: str) -> plt.Figure:
    """One panel per data set: ``metric`` of one scheme against batch size, both losses.

    Bars are 95 % intervals over seeds (``tables.interval``); hollow markers are underfit (``course.FITTED``).
    """
    cells = tables.summary(table, metric)
    figure, axes = panels(cells["title"].unique())
    shifts = side_by_side(sorted(cells["loss"].unique()))
    for (title, loss), part in cells.groupby(["title", "loss"]):
        draw_line(axes[title], part, LOSS_STYLE[loss], shifts[loss])
    for axis in axes.values():
        batch_axis(axis, cells["batch_size"])
        if metric.endswith("ece"):  # an error, whose distance from zero is what counts
            axis.set_ylim(bottom=0)
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
        draw_line(axis, cells[cells["title"] == title], {"color": INK, "linestyle": "-", "marker": "o"})
        batch_axis(axis, cells["batch_size"])
    label_axes(figure, "batch size", label)
    if cells["underfit"].any():
        draw_legend(figure, {}, underfit=True)
    return figure


def _dumbbells(axis, values):
    """Lines from loss to loss at the means, with a faint tick for each value; values: by ``row`` and loss."""
    means = values.groupby(level=["row", "loss"]).mean().unstack()
    ends = means.agg(["min", "max"], axis=1).assign(gap=np.nan)  # one line with gaps is one path in the page
    axis.plot(ends.to_numpy().ravel(), np.repeat(ends.index, 3), color=INK, linewidth=1.5, alpha=0.5)
    styles = _styles(means.columns)
    for shift, (loss, style) in zip(np.linspace(-0.24, 0.24, len(styles)), styles.items()):
        ticks = values.xs(loss, level="loss")
        height = np.tile([-0.08, 0.08, np.nan], len(ticks)) + shift
        x, y = np.repeat(ticks.to_numpy(), 3), np.repeat(ticks.index.to_numpy(), 3) + height
        axis.plot(x, y, color=style["color"], linewidth=1.2, alpha=0.7)
        axis.plot(means[loss], means.index, style["marker"], color=style["color"], **POINT)


def _markers(losses):
    """The styles of dumbbells, which have no line of their own."""
    return {loss: style | {"linestyle": "none"} for loss, style in _styles(losses).items()}


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
def density_and_roc(records: list[dict]) -> plt.Figure:
    """Long scheme. Left: ln p(x) in and out of distribution, a panel a record. Right: their ROC curves."""
    figure = plt.figure(figsize=(8, 0.4 + 1.7 * len(records)), layout="constrained")
    grid = figure.add_gridspec(len(records), 2, width_ratios=(1.25, 1))
    roc = figure.add_subplot(grid[:, 1])
    roc.plot([0, 1], [0, 1], **CHANCE)
    left = None
    for row, record in enumerate(records):
        left = figure.add_subplot(grid[row, 0], sharex=left)
        left.tick_params(labelbottom=row == len(records) - 1)
        evaluation, style = record["evaluations"]["long"], LOSS_STYLE[record["run"]["loss"]]
        titles = record["data"]["title"], evaluation["ood"]["data"]["title"]
        points = tables.score_points(record).groupby(["panel", "series"])
        scores = evaluation["ood"]["scores"]
        _draw_densities(left, points, scores["log_px"]["histogram"]["high"], style["color"], titles)
        left.set_title(f"{style['label']}{_underfit(evaluation)}")
        left.legend(loc="upper right", title=f"AUROC {scores['log_px']['auroc']:.2f}").set_in_layout(False)
        for score, dash in (("log_px", "-"), ("max_softmax", ":")):
            curve = points.get_group(("roc", score))
            label = f"{tables.net(record['run']['loss'])}, {SCORE_STYLE[score]['label']}"
            roc.plot(curve["x"], curve["y"], color=style["color"], linestyle=dash, linewidth=1.8, label=label)
    left.set_xlabel("ln p(x), unnormalised")
    roc.set(xlabel="unfamiliar images let in", ylabel="familiar images let in", xlim=(0, 1), ylim=(0, 1))
    roc.legend(loc="lower right")
    return figure


def _draw_densities(axis, points, high, color, titles):
    """Of ln p(x): of the familiar images filled, of the unfamiliar ones a line."""
    looks = {"inside": {"color": color, "fill": True, "alpha": 0.7}, "outside": {"color": INK}}
    for (part, look), title in zip(looks.items(), titles):
        bars = points.get_group(("histogram", part))
        edges = np.array([*bars["x"], high])
        density = bars["y"] / np.diff(edges)
        axis.stairs(density, edges, **look, linewidth=1.5, label=literal(tables.short_title(title)))
    axis.set(yticks=[], ylabel="density")


@matplotlib.rc_context(STYLE)
def auroc_by_score(table: pd.DataFrame, scores: dict[str, str], out_titles: dict[str, str]) -> plt.Figure:
    """One panel per data set, against ``out_titles[dataset]``; one row per score: dumbbells of the losses.

    scores: columns with their labels. The small ticks are batch sizes, each a mean over its seeds.
    """
    sets = table.drop_duplicates("dataset").set_index("dataset")["title"]
    columns = min(2, len(sets))
    lines = -(-len(sets) // columns)
    figure, axes = plt.subplots(
        lines,
        columns,
        figsize=(4 * columns, 0.8 + 1.7 * lines),
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    cells = table.groupby(["dataset", "loss", "batch_size"])[[*scores]].mean()
    cells = cells.set_axis(range(len(scores)), axis=1).rename_axis(columns="row").stack()
    for axis, (dataset, title) in zip(axes.flat, sets.items()):
        names = map(tables.short_title, (title, out_titles[dataset]))
        axis.set_title(literal(" against ".join(names)))
        axis.axvline(0.5, **CHANCE)
        _dumbbells(axis, cells[dataset].droplevel("batch_size"))
    axes[0, 0].set_yticks(range(len(scores)), scores.values())
    axes[0, 0].invert_yaxis()
    figure.supxlabel("AUROC", fontsize=10)
    draw_legend(figure, _markers(table["loss"]))
    return figure


def _underfit(evaluation):
    return ", underfit" if tables.underfit(evaluation) else ""


def _styles(losses):
    """Of the losses that occur, in the order of LOSS_STYLE."""
    occur = set(losses)
    return {loss: style for loss, style in LOSS_STYLE.items() if loss in occur}
