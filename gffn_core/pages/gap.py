"""What the two chapters on other means than a loss share."""

from collections.abc import Iterable, Mapping

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd

from gffn_core.experiments.tables import over_seeds
from gffn_core.pages import style, words
from gffn_core.verdicts.claims import gap
from gffn_core.verdicts.claims.gap import ACCURACY, BETTER, LARGE, NLL, OURS, SMALL, STANDARD

PANELS = {ACCURACY: "accuracy", NLL: "NLL after T"}
LOOKS = {name: style.LOSS_STYLE[loss] for loss, name in gap.NETS.items()}
WAYS = [gap.PLAIN, gap.DECAY, gap.DROPOUT, gap.GHOST, gap.AUGMENTED, gap.TOGETHER]


def better(
    nets: pd.DataFrame, one: tuple[str, str], other: tuple[str, str], others: pd.DataFrame | None = None
) -> dict[str, pd.Series]:
    """By metric of ``PANELS`` how much better a net is than another, with its interval over seeds.

    nets: of ``gap.read``, of one batch size. one, other: net and way; the other is one of ``others``, where
    they are given.
    """
    others = nets if others is None else others
    return {
        metric: over_seeds(
            BETTER[metric] * (nets.loc[one[0], (metric, one[1])] - others.loc[other[0], (metric, other[1])])
        )
        for metric in PANELS
    }


def leads(nets: pd.DataFrame, ways: Iterable[str]) -> dict[str, dict[str, pd.Series]]:
    """By way ``better`` of the self-normalised net than the standard one."""
    return {way: better(nets, (OURS, way), (STANDARD, way)) for way in ways}


def values(nets: pd.DataFrame, ways: Iterable[str] = WAYS) -> dict[tuple[str, str], dict[str, pd.Series]]:
    """By net and way, and by metric of ``PANELS``, the mean of the seeds and its interval."""
    return {
        (net, way): {metric: over_seeds(nets.loc[net, (metric, way)]) for metric in PANELS}
        for net in LOOKS
        for way in ways
    }


def stops(nets: pd.DataFrame, net: str, way: str) -> pd.Series:
    """The ``first`` and the ``last`` epoch at which a seed stops, and the ``budget`` of epochs."""
    epochs = nets.loc[net, ("epoch", way)]
    found = [epochs.min(), epochs.max(), nets.loc[net, ("budget", way)].max()]
    return pd.Series(found, ["first", "last", "budget"], dtype=int)


def lead_table(nets: pd.DataFrame, ways: Mapping[str, str]) -> str:
    """By title the way of a row: ``leads``, and at which epochs the standard and our nets stop."""
    found = leads(nets, ways.values())
    return words.markdown_table(
        ["with", "accuracy gained", "stops: standard / ours, of", "NLL after T saved"],
        [
            [
                title,
                words.with_interval(found[way][ACCURACY]),
                " / ".join("{first}–{last}".format_map(stops(nets, net, way)) for net in LOOKS)
                + f" of {stops(nets, STANDARD, way)['budget']}",
                words.with_interval(found[way][NLL]),
            ]
            for title, way in ways.items()
        ],
    )


@matplotlib.rc_context(style.STYLE)
def draw(
    sizes: Mapping[int, dict],
    ways: Iterable[str] = WAYS,
    hidden: tuple = (),
    mark: Mapping[str, float] | None = None,
) -> plt.Figure:
    """A panel a metric: ``values`` of each batch size, hollow at 2,048, where ``hidden`` is not shown.

    mark: by metric, of the best standard net of 32, which has no row and is a vertical line.
    """
    figure, axes = plt.subplots(1, len(PANELS), figsize=(9, 3.5), layout="constrained", sharey=True)
    for axis, (metric, title) in zip(axes, PANELS.items()):
        for place, way in enumerate(ways):
            for net, look in LOOKS.items():
                height = place + (0.13 if net == OURS else -0.13)
                shown = [size for size in sizes if size == SMALL or (net, way) != hidden]
                for size in shown:
                    one = sizes[size][net, way][metric]
                    axis.errorbar(
                        one["mean"],
                        height + 0.09 * (size == LARGE),
                        xerr=one["high"] - one["mean"],
                        fmt=look["marker"],
                        color=look["color"],
                        markerfacecolor=style.PAPER if size == LARGE else look["color"],
                    )
                ends = [sizes[size][net, way][metric]["mean"] for size in shown]
                line = {"color": look["color"], "linewidth": 1, "linestyle": ":", "zorder": 0}
                axis.plot(ends, [height] * len(ends), **line)
        if mark:
            color = LOOKS[STANDARD]["color"]
            best = axis.axvline(mark[metric], color=color, linewidth=1.6, linestyle="--", zorder=0)
        axis.set_title(title)
        axis.set_xlabel("better →", fontsize=9)
        if BETTER[metric] < 0:
            axis.invert_xaxis()
    axes[0].set_yticks(range(len(ways)), ways)
    handles = [_mark(look, size if len(sizes) > 1 else None) for look in LOOKS.values() for size in sizes]
    if mark:
        best.set_label("best standard, 32")
        handles.append(best)
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def _mark(look, size):
    """A net's entry of the legend, hollow at the large batch."""
    label = look["label"] if size is None else f"{look['label']}, {size:,}"
    face = style.PAPER if size == LARGE else look["color"]
    return plt.Line2D([], [], **look | {"linestyle": "none", "label": label, "markerfacecolor": face})


def data(sizes: Mapping[int, dict]) -> pd.DataFrame:
    """``values`` by batch size as a table."""
    rows = {
        (size, net, way, metric): one
        for size, found in sizes.items()
        for (net, way), of in found.items()
        for metric, one in of.items()
    }
    return pd.DataFrame(rows).T.rename_axis(["batch_size", "net", "way", "metric"]).reset_index()
