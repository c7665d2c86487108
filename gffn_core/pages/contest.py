"""What the chapters on the contest share."""

from math import comb

import matplotlib.pyplot as plt
import pandas as pd

from gffn_core.experiments import contest, profiles, tables
from gffn_core.experiments.contest import OURS, STANDARD
from gffn_core.experiments.store import Store
from gffn_core.pages import publish, style
from gffn_core.training.course import LOWEST_NLL, LOWEST_SCALED_NLL, SCHEMES
from gffn_core.verdicts.claims import contest as predicted
from gffn_core.verdicts.claims.contest import NEEDS, UP

ORDER = [*contest.CONTENDERS]
PREFERRED = "preferred"  # of the epochs that are kept, by the accuracy of validation images
STOPPED = "the standard net, all stopped at their lowest validation NLL"


def on(store: Store, dataset: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """All that was tried, what was chosen of it, and the seeds that are reported; checked to be fair."""
    tuning, best, final = predicted.on(store, dataset)
    assert tuning["contender"].value_counts().nunique() == 1  # equal budgets
    seeds = final["seed"].nunique()
    assert final.value_counts(["contender", "scheme"]).eq(seeds).all() and seeds >= 6
    return tuning, best, final


def by_stop(store: Store, profile: str, dataset: str) -> pd.DataFrame:
    """Nets whose settings were chosen for the lowest NLL, by contender, scheme and seed.

    ``PREFERRED`` is a scheme beside those that are kept: of a net's epochs the one with the highest accuracy
    of validation images; of equals, with their lowest NLL.
    """
    records = store.select(profiles.profile(profile).runs([dataset]))
    nets = contest.frame(records.values(), (LOWEST_NLL, *SCHEMES))
    if f"{profile}_tuning" in profiles.PROFILES:
        best = predicted.on(store, dataset, profile)[1].query("scheme == @LOWEST_NLL")
        nets = nets.merge(best[["contender", "setting"]])
    order = nets.sort_values(["val_accuracy", "val_nll"], ascending=[False, True], kind="stable")
    preferred = order.groupby(["contender", "seed"]).head(1).assign(scheme=PREFERRED)
    return pd.concat([nets, preferred]).set_index(["contender", "scheme", "seed"]).sort_index()


def refined(store: Store, wide: str) -> dict[str, pd.DataFrame]:
    """Nets that stop at, and are tuned for, ``LOWEST_SCALED_NLL``, by field; ``wide`` names that of the wide
    net."""
    return {
        field: predicted.on(store, dataset, profile, (LOWEST_SCALED_NLL,))[-1]
        for field, dataset, profile in (
            ("CIFAR-10", predicted.CIFAR, "refined"),
            (wide, predicted.CIFAR, "refined_wide"),
            ("Fashion-MNIST", predicted.FASHION, "refined"),
        )
    }


def basis(
    title: str,
    final: pd.DataFrame,
    epochs: int | str = 60,
    net: str = "narrow",
    images: tuple = (1_000, 250),
    chosen_with: int = 0,
) -> str:
    """The runs that a figure rests on, in words. images: for training and for validation."""
    (batch_size,) = final["batch_size"].unique()
    return (
        f"{title}, first {images[0]:,} training and {images[1]:,} validation images, all 10,000 test images;"
        f" {net} net, batch size {batch_size}, at most {epochs} epochs; seeds {final['seed'].min()} to"
        f" {final['seed'].max()}, and seed {chosen_with} to choose"
    )


def of(final: pd.DataFrame, scheme: str, who: str | None = None) -> pd.DataFrame:
    """The rows of a scheme, and perhaps of one contender."""
    rows = final[final["scheme"] == scheme]
    return rows if who is None else rows[rows["contender"] == who]


def plus(rows: pd.DataFrame) -> pd.DataFrame:
    """The same with combinations named "joint + weight decay", as a list of names has commas of its own."""
    return rows.assign(contender=rows["contender"].str.replace(", ", " + "))


def gains(rows: pd.DataFrame, standard: pd.DataFrame) -> pd.DataFrame:
    """By need and contender its value minus that in ``standard``, with intervals that hold at once."""
    both = pd.concat([standard.assign(contender="base"), rows])
    tests = rows["contender"].nunique() - (STANDARD in set(rows["contender"]))
    found = {need: tables.differences(both, need, "base", "contender", tests).drop("base") for need in NEEDS}
    return pd.concat(found, names=["need"])


def points(found: pd.DataFrame) -> str:
    """Of ``gains`` the accuracy of all but the standard net, in points: "dropout 3.3, joint 2.7"."""
    accuracy = 100 * found.loc["test_accuracy", "mean"].drop(STANDARD)
    return ", ".join(f"{who} {gain:.1f}" for who, gain in accuracy.items())


def signed(found: pd.DataFrame, need: str, who: str) -> str:
    """A difference in words."""
    return f"{found.loc[need, who]['mean']:+.3f}".replace("-", "−")


def verdict(final: pd.DataFrame, need: str, base: str = STANDARD) -> tuple[str, str, str]:
    """Of stopped nets the winner of a need, by how much it is better than ``base``, and who is level with it.

    The winner is better by more than its interval, which holds at once with the others'.
    """
    sign = 1 if need in UP else -1
    found = tables.differences(final, need, base, "contender", final["contender"].nunique() - 1)
    better = (sign * found["mean"])[found["seen"] & (sign * found["mean"] > 0)]
    if better.empty:
        return "no change", "nothing is seen to be better", ""
    best = better.idxmax()
    rivals = tables.differences(final, need, best, "contender", final["contender"].nunique() - 1)
    level = ", ".join(rivals.query("not seen").index.drop(best))
    return best, f"{better[best]:.3f} ± {found['half'][best]:.3f}", level


def draw(found: pd.DataFrame, name: str, alt: str, caption: str, basis: str, against: str = STOPPED) -> None:
    """A panel a need: ``gains`` with their intervals, better to the right."""
    rows = [row for row in dict.fromkeys(found.index.get_level_values(1)) if row != STANDARD]
    with plt.rc_context(style.STYLE):
        figure, axes = plt.subplots(
            1, len(NEEDS), figsize=(8.4, 1.1 + 0.3 * len(rows)), layout="constrained", sharey=True
        )
        place = dict(zip(rows, range(len(rows), 0, -1)))
        for axis, (need, title) in zip(axes, NEEDS.items()):
            for row in found.loc[need].drop(STANDARD, errors="ignore").itertuples():
                color = style.LOSS_STYLE["joint"]["color"] if row.Index.startswith(OURS) else style.INK
                axis.errorbar(
                    row.mean,
                    place[row.Index],
                    xerr=row.half,
                    fmt="o",
                    color=color,
                    markerfacecolor=color if row.seen else "none",
                )
            axis.axvline(0, color=style.INK, linewidth=1, linestyle=":")
            axis.set_title(title)
            axis.set_xlabel("higher →" if need in UP else "lower →", fontsize=9)
            axis.locator_params(axis="x", nbins=3, steps=[1, 2, 5, 10])
            axis.tick_params(axis="x", labelsize=8)
            if need not in UP:
                axis.invert_xaxis()
        axes[0].set_yticks([*place.values()], [*place])
        axes[0].set_ylim(0.5, len(rows) + 0.5)
        style.label_axes(figure, f"minus {against}; better is further right", "")
    caption += " Orange: ours. Filled: the interval is on one side of zero; the intervals hold all at once."
    publish.show(figure, name=name, data=found.reset_index(), alt=alt, caption=caption, basis=basis)


def bought(tuning: pd.DataFrame, metric: str) -> pd.DataFrame:
    """By contender the mean of ``metric`` over all sets of k = 1, 2, ... of its settings, stopped.

    Of each set counts the setting with the lowest NLL of validation images. The index is k.
    """
    found = {}
    for who, rows in of(tuning, LOWEST_NLL).groupby("contender"):
        values = rows.sort_values("val_nll")[metric].to_numpy()
        n = len(values)
        found[who] = [
            sum(comb(n - 1 - rank, k - 1) * value for rank, value in enumerate(values)) / comb(n, k)
            for k in range(1, n + 1)
        ]
    return pd.DataFrame(found, index=pd.RangeIndex(1, n + 1, name="settings"))
