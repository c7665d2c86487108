"""Colours, markers and panels of the figures."""

from itertools import cycle

import matplotlib.pyplot as plt
from matplotlib.lines import Line2D

from gffn_core.experiments import tables
from gffn_core.training import course, step

# Told apart by colour, marker and dash; each colour has a contrast of at least 3:1 on white and on
# near-black, and the pairs stay distinct for the common kinds of colour blindness.
_THESIS = {
    "conditional": {"color": "#3B8BC2", "marker": "o", "linestyle": "-", "label": "standard"},
    "joint": {"color": "#D55E00", "marker": "s", "linestyle": "--", "label": "joint (GFFN)"},
}
_SPARE = (
    {"color": "#1B9E77", "marker": "^", "linestyle": ":"},
    {"color": "#9270C4", "marker": "D", "linestyle": "-."},
)


def loss_styles(losses):
    """By loss its style; those beyond the thesis take the spare ones in turns, with their name as label."""
    spare = cycle(_SPARE)
    return {loss: _THESIS.get(loss) or next(spare) | {"label": tables.net(loss)} for loss in losses}


LOSS_STYLE = loss_styles(step.OBJECTIVES)
SCORE_STYLE = {
    "max_softmax": {"color": "#808080", "marker": "o", "linestyle": "-", "label": "max softmax"},
    "log_px": {"color": "#9270C4", "marker": "s", "linestyle": "--", "label": "ln p(x)"},
    "typicality": {"color": "#1B9E77", "marker": "^", "linestyle": ":", "label": "typicality of ln p(x)"},
}
INSIDE, OUTSIDE = "#808080", "#9270C4"  # as the scores: blue and orange are the losses
POINT = {"markersize": 6.5, "markeredgewidth": 1.6}
# Stands for the text colour of the page: ``show`` replaces it by currentColor.
INK = "#0a0b0c"
PAPER = "#fafbfc"  # likewise for its background, which hollow markers are filled with
_INKED = "text.color axes.edgecolor axes.labelcolor axes.titlecolor xtick.color ytick.color grid.color"
STYLE = {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.transparent": True,
    **dict.fromkeys(_INKED.split(), INK),
    "grid.alpha": 0.2,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "font.size": 10,
    "font.sans-serif": ["DejaVu Sans", "Verdana"],  # written at each text of a drawing, so few
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "svg.fonttype": "none",  # real text: sharp, searchable, small
}


def panels(titles):
    columns = min(2, len(titles))
    rows = -(-len(titles) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(4.5 * columns, 0.8 + 2.7 * rows), squeeze=False, layout="constrained"
    )
    figure.get_layout_engine().set(h_pad=0.1)  # a title and the tick labels above it
    for axis in axes.flat[len(titles) :]:
        axis.remove()
    for axis, title in zip(axes.flat, titles):
        axis.set_title(literal(title))
    return figure, dict(zip(titles, axes.flat))


def line(style):
    return {name: style[name] for name in ("color", "linestyle")}


def side_by_side(lines):
    """By line the factor that moves it along the axis of batch sizes, so that no bar hides another."""
    return {name: 2 ** (0.14 * (place - (len(lines) - 1) / 2)) for place, name in enumerate(lines)}


def draw_line(axis, cells, style, shift=1.0):
    """Mean with interval; hollow markers where underfit. shift: see ``side_by_side``."""
    cells = cells.sort_values("batch_size").assign(batch_size=lambda table: table["batch_size"] * shift)
    bars = {"linewidth": 1.6, "elinewidth": 1.2, "capsize": 3}
    axis.errorbar(cells["batch_size"], cells["mean"], cells["half"].fillna(0), **line(style), **bars)
    hollow = cells["underfit"]
    for part, face in ((cells[~hollow], style["color"]), (cells[hollow], "none")):
        look = {"color": style["color"], "markerfacecolor": face}
        axis.plot(part["batch_size"], part["mean"], style["marker"], **look, **POINT)


def batch_axis(axis, batch_sizes):
    ticks = sorted(set(batch_sizes))
    named = [ticks[0], ticks[-1]]  # and between them what has room: labels of neighbours would overlap
    for tick in ticks:
        if 4 * named[-2] <= tick <= named[-1] / 4:
            named.insert(-1, tick)
    axis.set_xscale("log", base=2)
    axis.set_xticks(ticks, [str(tick) if tick in named else "" for tick in ticks])
    axis.minorticks_off()
    axis.margins(x=0.08)


def label_axes(figure, x, y):
    figure.supxlabel(x, fontsize=10)
    figure.supylabel(y, fontsize=10)


def draw_legend(figure, styles, underfit=False):
    handles = [Line2D([], [], **style) for style in styles.values()]
    if underfit:
        label = f"hollow: underfit (train accuracy < {100 * course.FITTED:.0f} %)"
        hollow = {"marker": "o", "markerfacecolor": "none", "linestyle": "none"}
        handles.append(Line2D([], [], color=INK, label=label, **hollow))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))


def literal(text):
    """Text of a record, whose dollars begin no formula."""
    return text.replace("$", r"\$")
