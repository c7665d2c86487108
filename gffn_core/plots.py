"""The book's figures. Each function draws one question and returns a matplotlib figure for ``show``."""

import html
import io
import re
from collections.abc import Callable
from urllib.parse import quote

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display
from matplotlib.lines import Line2D
from scipy import stats

from gffn_core import report
from gffn_core.evaluation import HISTOGRAM_BINS, ROC_POINTS

# Told apart by colour, marker and dash; each colour has a contrast of at least 3:1 on white and on
# near-black, and the pairs stay distinct for the common kinds of colour blindness.
LOSS_STYLE = {
    "conditional": {"color": "#3B8BC2", "marker": "o", "linestyle": "-", "label": "conditional (standard)"},
    "joint": {"color": "#D55E00", "marker": "s", "linestyle": "--", "label": "joint (GFFN)"},
}
SCORE_STYLE = {
    "max_softmax": {"color": "#3B8BC2", "marker": "o", "linestyle": "-", "label": "max softmax"},
    "log_px": {"color": "#D55E00", "marker": "s", "linestyle": "--", "label": "ln p(x)"},
    "typicality": {"color": "#1B9E77", "marker": "^", "linestyle": ":", "label": "typicality of ln p(x)"},
}
INSIDE, OUTSIDE = "#3B8BC2", "#D55E00"
# Stands for the text colour of the page: ``show`` replaces it by currentColor.
_INK = "#0a0b0c"
STYLE = {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.transparent": True,
    **{key: _INK for key in ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor",
                             "xtick.color", "ytick.color", "grid.color")},
    "grid.alpha": 0.2,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "font.size": 10,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "svg.fonttype": "none",  # real text: sharp, searchable, small
    "svg.hashsalt": "gffn",  # the same figure gives the same file
}


def show(figure: plt.Figure, *, name: str, data: pd.DataFrame, alt: str, caption: str) -> None:
    """Display a figure as an inline SVG that takes its text colour from the page, light or dark.

    name: lower-case letters, digits and hyphens, unique over the book; the figure can be linked to
    as ``#name``. data: what is drawn, a row per point, offered as CSV. alt: what a reader who cannot
    see it must know. caption: what it rests on (``report.basis``).
    """
    if not re.fullmatch("[a-z][a-z0-9-]*", name):
        raise ValueError(f"figure name {name!r}: use lower-case letters, digits and hyphens, such as 'ece-long'")
    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    width, height = figure.get_size_inches() * 96
    plt.close(figure)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # not unique on a page with several figures
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' (width|height)="[^"]*pt"', "", svg, count=2)
    svg = svg.replace(
        "<svg ",
        f'<svg role="img" aria-label="{html.escape(alt)}" width="{width:.0f}" height="{height:.0f}" '
        'style="max-width:100%;height:auto" ', 1,
    )
    # In the page itself, so that it is there in Jupyter and Colab and from file:// alike.
    csv = quote(data.to_csv(index=False, float_format="%.6g", lineterminator="\n"), safe=",")
    links = (
        f'<p class="gffn-links"><a href="#{name}">link</a> · '
        f'<a href="data:text/csv;charset=utf-8,{csv}" download="{name}.csv">data (CSV)</a></p>'
    )
    markup = (
        f'<figure class="gffn-figure" id="{name}">\n{svg}<figcaption>{html.escape(caption)}{links}</figcaption>\n</figure>'
    )
    display({"text/html": markup, "text/plain": f"Figure: {alt}\n{caption}"}, raw=True)


def drawings(page: str) -> dict[str, str]:
    """The figures of an HTML page by name, as SVG files in a grey that is legible on white and on black."""
    figures = re.findall(r'<figure class="gffn-figure" id="([^"]+)">\s*(<svg.*?</svg>)', page, re.DOTALL)
    return {name: svg.replace("currentColor", "#7a7a7a") for name, svg in figures}


def by_batch_size(table: pd.DataFrame, metric: str, label: str) -> plt.Figure:
    """One panel per data set: ``metric`` of one scheme against batch size, both losses.

    Bars are 95 % intervals over seeds (``report.interval``); hollow markers are underfit cells (``report.FITTED``).
    """
    cells = report.summary(table, metric)
    with matplotlib.rc_context(STYLE):
        figure, axes = _panels(cells["title"].unique())
        for title, axis in axes.items():
            for loss, style in LOSS_STYLE.items():
                part = cells[(cells["title"] == title) & (cells["loss"] == loss)]
                _line(axis, part, style)
            _batch_axis(axis, cells["batch_size"])
        _label(figure, "batch size", label)
        _legend(figure, LOSS_STYLE, underfit=cells["underfit"].any())
    return figure


def difference_by_batch_size(table: pd.DataFrame, metric: str, label: str) -> plt.Figure:
    """One panel per data set: joint minus conditional, paired on seed, against batch size.

    Bars and hollow markers as in ``by_batch_size``.
    """
    cells = report.paired_difference(table, metric)
    with matplotlib.rc_context(STYLE):
        figure, axes = _panels(cells["title"].unique())
        for title, axis in axes.items():
            axis.axhline(0, color=_INK, linewidth=1)
            _line(axis, cells[cells["title"] == title], LOSS_STYLE["joint"])
            _batch_axis(axis, cells["batch_size"])
        _label(figure, "batch size", label)
        if cells["underfit"].any():
            _legend(figure, {}, underfit=True)
    return figure


def by_choice(tables: dict[str, pd.DataFrame], metrics: dict[str, str]) -> plt.Figure:
    """One panel per metric (name -> label), one row per batch size and choice: both losses.

    tables: choice -> rows of one scheme and data set. Bars and hollow markers as in ``by_batch_size``.
    """
    batches = sorted({batch for table in tables.values() for batch in table["batch_size"]})
    cells = {
        (choice, batch): table[table["batch_size"] == batch]
        for batch in batches for choice, table in tables.items() if batch in set(table["batch_size"])
    }
    with matplotlib.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, len(metrics), figsize=(9, 1.2 + 0.32 * len(cells)), sharey=True, layout="constrained"
        )
        for axis, (metric, label) in zip(axes, metrics.items()):
            for row, table in enumerate(cells.values()):
                for found in report.summary(table, metric).to_dict("records"):
                    style = LOSS_STYLE[found["loss"]]
                    half = None if np.isnan(found["half"]) else found["half"]  # too few seeds
                    axis.errorbar(
                        found["mean"], row, xerr=half, color=style["color"], marker=style["marker"],
                        capsize=3, markersize=6.5, markeredgewidth=1.6,
                        markerfacecolor="none" if found["underfit"] else style["color"],
                    )
            axis.set_xlabel(label)
        axes[0].set_yticks(range(len(cells)), [f"{choice}, B = {batch}" for choice, batch in cells])
        axes[0].invert_yaxis()
        _legend(figure, LOSS_STYLE, underfit=any(table["underfit"].any() for table in cells.values()))
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
            len(titles), len(batches), figsize=(9, 0.6 + 2.0 * len(titles)),
            squeeze=False, sharey="row", layout="constrained",
        )
        for record in records:
            run = record["run"]
            axis = axes[titles.index(record["data"]["title"]), batches.index(run["batch_size"])]
            values = metric(record) if callable(metric) else record["curves"][metric]
            style = LOSS_STYLE[run["loss"]]
            axis.plot(range(1, len(values) + 1), values, color=style["color"],
                      linestyle=style["linestyle"], linewidth=1.5)
            early = record["evaluations"]["early"]["epoch"]
            axis.plot(early, values[early - 1], style["marker"], color=style["color"], markersize=6)
            if report.underfit(record, "long"):
                axis.plot(len(values), values[-1], style["marker"], color=style["color"],
                          markerfacecolor="none", markersize=6.5, markeredgewidth=1.6)
        for axis, batch in zip(axes[0], batches):
            axis.set_title(f"batch size {batch}")
        for axis, title in zip(axes[:, 0], titles):
            axis.set_ylabel(_literal(report.short_title(title)))
        _label(figure, "epoch", label)
        _legend(figure, LOSS_STYLE, underfit=any(report.underfit(record, "long") for record in records))
    return figure


def reliability(records: list[dict], scheme: str = "long", binning: str = "uniform10") -> plt.Figure:
    """Reliability diagrams side by side, one column a record, with the share of samples below.

    Bars are the accuracy of the bins that hold samples, with the 95 % Wilson interval of that
    share; the tick is the bin's mean confidence, on the diagonal when calibrated.
    """
    with matplotlib.rc_context(STYLE):
        figure, axes = plt.subplots(
            2, len(records), figsize=(4.4 * len(records), 4.8), squeeze=False, sharex=True,
            sharey="row", height_ratios=(3, 1.2), layout="constrained",
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
            top.bar(left, share, width, align="edge", color=style["color"], alpha=0.75,
                    edgecolor=_INK, linewidth=0.5)
            top.errorbar(left + width / 2, share, [share - low, high - share], fmt="none",
                         ecolor=_INK, elinewidth=1, capsize=2)
            top.plot(bins["confidence"][full], bins["confidence"][full], "_", color=_INK,
                     markersize=13, markeredgewidth=2)
            top.plot([0, 1], [0, 1], color=_INK, linewidth=1, linestyle=":")
            top.set(xlim=(0, 1), ylim=(0, 1.02))
            top.set_title(f"{style['label']}\nECE {found['ece'][binning]:.3f}, "
                          f"accuracy {report.percent(found['test_accuracy'])}{_underfit(record, scheme)}")
            bottom.bar(left, count / count.sum(), width, align="edge", color=style["color"],
                       alpha=0.75, edgecolor=_INK, linewidth=0.5)
            for x, n in zip(left + width / 2, count):
                bottom.text(x, n / count.sum() + 0.02, f"{n:.0f}", ha="center", va="bottom",
                            fontsize=7.5, rotation=90)
            bottom.set(ylim=(0, 1.45), yticks=(0, 0.5, 1), xlabel="confidence")
        axes[0, 0].set_ylabel("accuracy")
        axes[1, 0].set_ylabel("share")
    return figure


def risk_coverage(points: pd.DataFrame) -> plt.Figure:
    """One panel per data set: error rate among the most confident images against their share, both losses.

    points: ``report.risk_points`` of one batch size. Bands are 95 % intervals over seeds.
    """
    means = report.interval(points.groupby(["title", "loss", "coverage"], sort=False)["risk"]).reset_index()
    with matplotlib.rc_context(STYLE):
        figure, axes = _panels(points["title"].unique())
        for title, axis in axes.items():
            for loss, style in LOSS_STYLE.items():
                part = means[(means["title"] == title) & (means["loss"] == loss)]
                half = part["half"].fillna(0)
                axis.plot(part["coverage"], part["mean"], color=style["color"], linestyle=style["linestyle"], linewidth=1.6)
                axis.fill_between(part["coverage"], part["mean"] - half, part["mean"] + half, color=style["color"], alpha=0.2, linewidth=0)
            axis.set(xlim=(0, 1), ylim=(0, None))
        _label(figure, "share of the images that is answered", "error rate among them")
        _legend(figure, {loss: style | {"marker": ""} for loss, style in LOSS_STYLE.items()})
    return figure


def density_and_roc(record: dict, score: str = "log_px", scheme: str = "long") -> plt.Figure:
    """Left: distribution of a score in and out of distribution. Right: the ROC curves of all scores."""
    ood = record["evaluations"][scheme]["ood"]
    names = {"inside": (record["data"]["title"], INSIDE, "-"), "outside": (ood["data"]["title"], OUTSIDE, "--")}
    histogram = ood["scores"][score]["histogram"]
    edges = np.linspace(histogram["low"], histogram["high"], HISTOGRAM_BINS + 1)
    with matplotlib.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.7), layout="constrained")
        for part, (title, color, dash) in names.items():
            share = np.array(histogram[part]) / np.sum(histogram[part])
            left.stairs(share, edges, color=color, fill=True, alpha=0.25)
            left.stairs(share, edges, color=color, linestyle=dash, linewidth=1.5,
                        label=f"{_literal(report.short_title(title))} ({'in' if part == 'inside' else 'out of'} distribution)")
        left.set(xlabel=SCORE_STYLE[score]["label"] + (", unnormalised" if score == "log_px" else ""),
                 ylabel="share of test images")
        left.set_title(LOSS_STYLE[record["run"]["loss"]]["label"] + _underfit(record, scheme))
        left.set_ylim(top=left.get_ylim()[1] * 1.3)
        left.legend(loc="upper left")
        grid = np.linspace(0, 1, ROC_POINTS)
        for name, style in SCORE_STYLE.items():
            found = ood["scores"][name]
            right.plot(grid, found["tpr_on_fpr_grid"], color=style["color"], linestyle=style["linestyle"],
                       label=f"{style['label']}, AUROC {found['auroc']:.3f}")
        right.plot([0, 1], [0, 1], color=_INK, linewidth=1, linestyle=(0, (1, 3)))
        right.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1))
        right.legend(loc="lower right")
    return figure


def auroc_by_batch_size(table: pd.DataFrame, out_titles: dict[str, str]) -> plt.Figure:
    """Rows: losses. Columns: data sets, each against ``out_titles[dataset]``. One line per score."""
    sets = list(dict.fromkeys(zip(table["dataset"], table["title"])))
    with matplotlib.rc_context(STYLE):
        figure, axes = plt.subplots(
            2, len(sets), figsize=(max(5.0, 2.5 * len(sets)), 5.2), squeeze=False, sharey=True,
            sharex=True, layout="constrained",
        )
        for row, loss in zip(axes, LOSS_STYLE):
            for axis, (dataset, title) in zip(row, sets):
                part = table[(table["dataset"] == dataset) & (table["loss"] == loss)]
                axis.axhline(0.5, color=_INK, linewidth=1, linestyle=(0, (1, 3)))
                for score, style in SCORE_STYLE.items():
                    _line(axis, report.summary(part, f"auroc_{score}"), style)
                _batch_axis(axis, table["batch_size"])
                if loss == "conditional":
                    against = f"{report.short_title(title)}\nagainst {report.short_title(out_titles[dataset])}"
                    axis.set_title(_literal(against))
            row[0].set_ylabel(f"AUROC, {loss} loss")
            row[0].set_ylim(0, 1.03)
        figure.supxlabel("batch size", fontsize=10)
        _legend(figure, SCORE_STYLE, underfit=table["underfit"].any())
    return figure


def _literal(text):
    """Text of a record, whose dollars begin no formula."""
    return text.replace("$", r"\$")


def _panels(titles):
    columns = min(2, len(titles))
    rows = -(-len(titles) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(4.5 * columns, 0.8 + 2.7 * rows), squeeze=False, layout="constrained"
    )
    figure.get_layout_engine().set(h_pad=0.1)  # a title and the tick labels above it
    for axis in axes.flat[len(titles) :]:
        axis.remove()
    for axis, title in zip(axes.flat, titles):
        axis.set_title(_literal(title))
    return figure, dict(zip(titles, axes.flat))


def _line(axis, cells, style):
    """Mean with interval; hollow markers where underfit."""
    cells = cells.sort_values("batch_size")
    axis.errorbar(cells["batch_size"], cells["mean"], cells["half"].fillna(0), color=style["color"],
                  linestyle=style["linestyle"], linewidth=1.6, elinewidth=1.2, capsize=3)
    hollow = cells["underfit"]
    for part, face in ((cells[~hollow], style["color"]), (cells[hollow], "none")):
        axis.plot(part["batch_size"], part["mean"], style["marker"], color=style["color"],
                  markerfacecolor=face, markersize=6.5, markeredgewidth=1.6)


def _batch_axis(axis, batch_sizes):
    ticks = sorted(set(batch_sizes), reverse=True)
    named = []  # from the largest on, what has room: labels of neighbours would overlap
    for tick in ticks:
        if not named or named[-1] >= 4 * tick:
            named.append(tick)
    axis.set_xscale("log", base=2)
    axis.set_xticks(ticks, [str(tick) if tick in named else "" for tick in ticks])
    axis.minorticks_off()
    axis.margins(x=0.08)


def _label(figure, x, y):
    figure.supxlabel(x, fontsize=10)
    figure.supylabel(y, fontsize=10)


def _legend(figure, styles, underfit=False):
    handles = [Line2D([], [], **style) for style in styles.values()]
    if underfit:
        label = f"hollow: underfit (train accuracy < {100 * report.FITTED:.0f} %)"
        handles.append(
            Line2D([], [], color=_INK, marker="o", markerfacecolor="none", linestyle="none", label=label)
        )
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))


def _underfit(record, scheme):
    return ", underfit" if report.underfit(record, scheme) else ""
