# %% [markdown]
# # Does it hold on a larger net?
#
# ```{margin}
# **Notation.** $Z(x) = \sum_k e^{f_k(x)}$ of the logits $f(x)$. NLL *after T*: with the logits divided by a
# temperature that validation images choose; of test images, in nats. [All symbols](../book/glossary.md).
# ```
#
# Most of this book has one net, the narrow one. The wide net has four times the channels: 1.1 million
# parameters instead of .3. It learns its images by heart sooner. Does that leave less for the loss to do, or
# more?
#
# **In short.** More, where nets stop. On 1,000 images, all stopped at the lowest validation NLL, the joint
# loss gains 7.9 points where the narrow net gained 4.2, and leads augmentation with dropout by 3.6. Stopped
# by the NLL [after a temperature](stops.ipynb), and tuned for that, it gains 4.5 and leads dropout by 2.1.
# Trained to the end it gains 3.5, no more than the narrow net. With 10,000 images and the weight that the
# narrow net chose [among 1, 5 and 25](relatives.ipynb) it gains 5.1 stopped at the lowest raw NLL, and 2.0 at
# the end, and leads the z-losses that were tried. References still mend $\ln p(x)$, at no cost in accuracy
# that is seen.

# %% tags=["parameters", "remove-cell"]
RESULTS = "../results"  # the store of results

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd
import torch
from IPython.display import Markdown, display

from gffn_core.experiments import profiles
from gffn_core.experiments.contest import AUGMENTED, FINALISTS, STANDARD
from gffn_core.experiments.store import Store
from gffn_core.experiments.tables import over_seeds
from gffn_core.model import WIDTHS, ConvNet
from gffn_core.pages import contest as page
from gffn_core.pages import publish, style, words
from gffn_core.training.course import LOWEST_NLL
from gffn_core.verdicts.claims import contest as predicted
from gffn_core.verdicts.claims import other_sizes
from gffn_core.verdicts.claims.contest import DROPOUT_MOVED, JOINT_MOVED, MOVED, UP
from gffn_core.verdicts.claims.other_sizes import CIFAR, FIRST, FOUR, WIDE
from gffn_core.verdicts.claims.relatives import METRICS, named

store = Store(RESULTS)
nets = other_sizes.read(store)
contest_nets = predicted.read(store).loc[predicted.CIFAR]
wide, moved = (
    page.of(predicted.on(store, predicted.CIFAR, profile)[-1], LOWEST_NLL)
    for profile in ("contest_wide", "combined_wide")
)


def of(place, way, metric, scheme="long", weight=None):
    """By seed a metric of a way's nets, at their chosen weight where none is named."""
    which = {} if weight is None else {"weight": weight}
    return other_sizes.of(nets, place, way, metric, scheme=scheme, **which)[CIFAR]


# %% [markdown]
# ## Is there more to gain, or less?
#
# [The contest](contest.ipynb) once more, on 1,000 images of CIFAR-10: the standard net, dropout and our two
# losses, each with twelve settings tried on the wide net; and with augmented images augmentation alone, with
# dropout and with the joint loss, again twelve settings each. All stop at the lowest validation NLL.
#
# **Before you look:** what will the joint loss's 4.2 points of the narrow net become? And does dropout, which
# was the rival beside augmentation, catch up?

# %% tags=["hide-input"]
assert wide["contender"].value_counts().eq(6).all() and {*wide["contender"]} == {*FINALISTS}
assert moved["contender"].value_counts().eq(6).all() and {*moved["contender"]} == {*AUGMENTED}
sizes = [sum(map(torch.numel, ConvNet(3, 32, width=width).parameters())) for width in WIDTHS.values()]
assert [f"{size / 1e6:.1f}" for size in sizes] == ["0.3", "1.1"]  # as the text says
standard = page.of(wide, LOWEST_NLL, STANDARD)
found = page.gains(pd.concat([wide, moved]), standard)
points = {who: f"{100 * found.loc['test_accuracy', who]['mean']:.1f}" for who in found.loc["nll"].index}
page.draw(
    found,
    name="contest-wide",
    alt=f"Six ways against the standard net, all wide. Points of accuracy gained: {page.points(found)}."
    " In AUROC the joint loss loses, alone and with augmentation.",
    caption="All nets are wide. The joint loss leads the plain ways and those with augmentation in"
    " accuracy and NLL, and is behind in AUROC against SVHN.",
    basis=page.basis("CIFAR-10", wide, 120, net="wide"),
)


def better(need, who, than):
    """By how much one way is better than another, mean and interval."""
    return over_seeds(predicted.better(contest_nets, need, who, than))


ON = predicted.WIDE
over = {
    (who, than, need): better(need, ON + who, ON + than)
    for who, than in (("joint", "dropout"), (JOINT_MOVED, MOVED), (JOINT_MOVED, DROPOUT_MOVED))
    for need in ("test_accuracy", "scaled_nll")
}
wider = {who: 100 * better("test_accuracy", ON + who, who) for who in (STANDARD, "joint")}
narrow_end, wide_end = (
    page.by_stop(store, name, predicted.CIFAR)["test_accuracy"].xs("long", level="scheme")
    for name in ("contest", "contest_wide")
)
to_end = {than: over_seeds(100 * (wide_end["joint"] - wide_end[than])) for than in (STANDARD, "dropout")}
wider_to_end = over_seeds(100 * (wide_end[STANDARD] - narrow_end[STANDARD]))
assert min(one["low"] for one in (*to_end.values(), wider_to_end, wider["joint"])) > 0
assert wider[STANDARD]["low"] < 0 < wider[STANDARD]["high"]
for need in ("test_accuracy", "nll", "scaled_nll"):
    assert found.loc[need].drop(STANDARD)["seen"].all()
    assert ((1 if need in UP else -1) * found.loc[need].loc[[*FINALISTS], "mean"]).idxmax() == "joint"
alone = better("scaled_nll", ON + "joint", ON + MOVED)
assert all(one["low"] > 0 for one in over.values()) and alone["low"] < 0 < alone["high"]
auroc = found.loc["auroc_max_softmax"].loc[["joint", JOINT_MOVED, DROPOUT_MOVED]]
assert auroc["seen"].all() and (auroc["mean"] < -0.05).all()
assert not found.loc["ece"].loc[[*FINALISTS], "seen"].any()
assert points["joint"] == "7.9"  # as it says in short
fit = wide.groupby("contender")["train_accuracy"].mean()
last = page.of(wide, LOWEST_NLL, "joint")["epoch"]


def by(who, than, need="test_accuracy"):
    one = over[who, than, need]
    return f"{100 * one['mean']:.1f}" if need == "test_accuracy" else words.with_interval(one, sign="-")


display(
    Markdown(
        f"**More: the joint loss gains {points['joint']} points of accuracy, and leads dropout"
        f" by {by('joint', 'dropout')}; beside augmentation it leads dropout by"
        f" {by(JOINT_MOVED, DROPOUT_MOVED)}, and augmentation alone by {by(JOINT_MOVED, MOVED)}.** Part of"
        f" that is the [stop](stops.ipynb), which comes at epoch {standard['epoch'].mean():.0f} for the"
        f" standard net. To the end the lead over it is {words.with_interval(to_end[STANDARD], 1, '-')}"
        f" points, and over dropout {words.with_interval(to_end['dropout'], 1, '-')}. Width gains the joint"
        f" net {words.with_interval(wider['joint'], 1, '-')} points; the standard net none that are seen if"
        f" it stops, and {words.with_interval(wider_to_end, 1, '-')} if it does not.\n\nIn NLL after $T$"
        f" the leads beside augmentation are {by(JOINT_MOVED, DROPOUT_MOVED, 'scaled_nll')} and"
        f" {by(JOINT_MOVED, MOVED, 'scaled_nll')}. Loss and augmentation together gain"
        f" {points[JOINT_MOVED]} points over the standard net. The price is detection: in AUROC against"
        " SVHN the joint loss loses about a tenth, alone and with augmentation, and so does dropout with"
        " augmentation.\n\n**Why.** A guess: the joint net goes on learning before its"
        f" NLL turns; when they stop, it knows {words.percent(fit['joint'], 0)} of its images, the standard"
        f" one {words.percent(fit[STANDARD], 0)}.\n\n**Where it ends.** One data set, 1,000 images, nets"
        f" without normalisation and at a constant rate. The joint nets stop at epochs {last.min()} to"
        f" {last.max()} of 60, so they might use more time. At weight 1 in batches of 64, trained long on"
        " 10,000 images, the wide net [gains more](choices.ipynb) than the narrow one on CIFAR-10, and no"
        " more on Fashion-MNIST; why CIFAR-10 differs there from the end of training here, we did not test."
    )
)

# %% [markdown]
# ## Is it more than a z-loss here?
#
# On the narrow net the joint loss was [no more than a z-loss](relatives.ipynb) that pins $\ln Z$ to the
# right number. Now the wide one: the first 10,000 images, batch size 128, twenty epochs, the standard net,
# the joint loss, and the z-loss. The last two at the weights that the narrow net chose, 25 and .5, and at 1
# and 12.5. A joint loss of weight $w$ and a z-loss of $w/2$ weigh the same to second order, so these are two
# pairs.
#
# **Before you look:** will you be able to tell the two of a pair apart?

# %% tags=["hide-input"]
PAIRS = {"standard": (1.0,), "joint": (1.0, 25.0), "z-loss": (0.5, 12.5)}
STOPPED = {
    "long": "at the end",
    LOWEST_NLL: "at the lowest validation NLL",
    "early": "at the best validation accuracy",
}


def minus(way, weight, than, metric, scheme):
    """A metric of a wide net less that of another, mean and interval."""
    one, other = (of(WIDE, who, metric, scheme, heavy) for who, heavy in ((way, weight), than))
    return over_seeds(one - other)


WAYS = [(way, weight) for way in ("joint", "z-loss") for weight in PAIRS[way]]
gain = pd.DataFrame(
    {
        (scheme, metric, way, weight): minus(way, weight, ("standard", 1.0), metric, scheme)
        for scheme in STOPPED
        for metric in ("test_accuracy", "scaled_nll")
        for way, weight in WAYS
    }
).T
LOOK = {"long": {"markersize": 7}, LOWEST_NLL: {"markersize": 6, "markerfacecolor": "none"}}
with plt.rc_context(style.STYLE):
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 2.6), layout="constrained", sharey=True)
    for axis, metric in zip(axes, ("test_accuracy", "scaled_nll")):
        for shift, (scheme, look) in zip((0.13, -0.13), LOOK.items()):
            for row, (way, weight) in enumerate(reversed(WAYS)):
                mean, low, high = gain.loc[scheme, metric, way, weight]
                color = style.LOSS_STYLE["joint"]["color"] if way == "joint" else style.INK
                bar = [[mean - low], [high - mean]]
                axis.errorbar(mean, row + shift, xerr=bar, fmt="o", color=color, **look)
        axis.locator_params(axis="x", nbins=5)
        axis.axvline(0, color=style.INK, linewidth=1, linestyle=":")
    axes[0].set(title="accuracy gained", yticks=range(len(WAYS)))
    axes[0].set_yticklabels([named(*one) for one in reversed(WAYS)])
    axes[1].set(title="nats saved, after T")
    axes[1].xaxis.set_major_formatter(lambda value, _: f"{-value:g}".replace("-", "−"))
    axes[1].invert_xaxis()
    handles = [
        plt.Line2D([], [], color=style.INK, marker="o", linestyle="none", label=STOPPED[scheme], **look)
        for scheme, look in LOOK.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
publish.show(
    figure,
    name="wide-net",
    data=gain.rename_axis(["scheme", "metric", "way", "weight"]).reset_index(),
    alt="What four ways gain on the standard net, all wide. Accuracy, stopped at the lowest validation NLL: "
    + ", ".join(f"{named(*one)} {gain.loc[(LOWEST_NLL, 'test_accuracy', *one), 'mean']:+.3f}" for one in WAYS)
    + ".",
    caption="Further right is better. The light pair agrees: the joint loss at 1 and the z-loss at .5. Of the"
    " heavy pair the joint loss gains most, and the z-loss is behind the standard net. Intervals of 95 %,"
    " each for itself.",
    basis=words.basis(store.select(profiles.profile("mechanism_wide").runs()).values(), "mechanism_wide"),
)

# %% tags=["hide-input"]
SHOWN = [
    (metric, scheme) for metric in ("test_accuracy", "scaled_nll", "ece") for scheme in ("long", LOWEST_NLL)
]
rows = [
    [f"{way} {weight:g}" if way != "standard" else way]
    + [f"{of(WIDE, way, *shown, weight).mean():.3f}" for shown in SHOWN]
    for way, weights in PAIRS.items()
    for weight in weights
]
heavy = ("joint", 25.0)
for scheme in STOPPED:
    for weight in PAIRS["z-loss"]:
        assert minus(*heavy, ("z-loss", weight), "test_accuracy", scheme)["low"] > 0
        assert minus(*heavy, ("z-loss", weight), "scaled_nll", scheme)["high"] < 0
    assert gain.loc[(scheme, "test_accuracy", *heavy), "low"] > 0
    assert gain.loc[(scheme, "scaled_nll", *heavy), "high"] < 0
for metric in ("test_accuracy", "scaled_nll"):
    light = minus("joint", 1.0, ("z-loss", 0.5), metric, "long")
    assert light["low"] < 0 < light["high"]
assert gain.loc[("long", "scaled_nll", "z-loss", 12.5), "low"] > 0.1


def wider(scheme):
    """What the joint loss gains in accuracy on the wide net minus what it gains on the narrow one."""
    there, here = (
        of(place, "joint", "test_accuracy", scheme) - of(place, "standard", "test_accuracy", scheme)
        for place in (WIDE, FIRST)
    )
    return over_seeds(there - here)


by_heart = [of(place, "standard", "train_accuracy").mean() for place in (FIRST, WIDE)]
assert by_heart[0] < 0.9 and by_heart[1] > 0.99
assert wider("long")["low"] < 0 < wider("long")["high"] and wider(LOWEST_NLL)["low"] > 0
on_standard = {scheme: gain.loc[scheme].xs(heavy, level=(1, 2))["mean"] for scheme in STOPPED}
assert f"{100 * on_standard[LOWEST_NLL]['test_accuracy']:.1f}" == "5.1"  # as it says in short
by_stop = [
    f"{100 * on_standard[scheme]['test_accuracy']:.1f} points and {-on_standard[scheme]['scaled_nll']:.2f}"
    f" nats {stop}"
    for scheme, stop in STOPPED.items()
]
display(
    Markdown(
        "**At a small weight no, at a large one it is more than one that pulls to 0.** Six seeds do not"
        " tell the joint loss at 1 from the z-loss at .5. At 25 the joint loss leads both z-losses, and the"
        " z-loss at 12.5 is far behind even the standard net.\n\nOver the standard net the joint loss at 25"
        f" gains {'; '.join(by_stop)}. Where both stop by NLL that is"
        f" {words.with_interval(100 * wider(LOWEST_NLL), 1, '-')} points more than on the narrow net; at"
        " the end no difference between the nets is seen.\n\n"
        + words.folded(
            "the same in numbers",
            words.markdown_table(
                [
                    "loss, weight",
                    *(f"{METRICS[one]}, {'end' if when == 'long' else 'stopped'}" for one, when in SHOWN),
                ],
                rows,
            ),
        )
    )
)

# %% [markdown]
# **Why.** A guess: a heavy z-loss wants $\ln Z$ at 0, where an untrained net has $\ln 10$, and getting there
# is most of what the net learns. The joint loss takes the level that the net has. So it is not the weight
# alone: leave the level free, or [pin it to the right number](relatives.ipynb).
#
# ## Do references mend $\ln p(x)$ here, too?
#
# On the narrow net $\ln p(x)$ found some unfamiliar images once [references](repair.ipynb) were in its sum:
# the images of the batch blurred, mixed, with their patches shuffled, and smooth noise. The wide net was
# trained with all four kinds, at weight 1.
#
# **Before you look:** a larger net can fit more. Will it fit the references and nothing else?

# %% tags=["hide-input"]
AUROC = "auroc_log_px"
without, four = (
    {metric: of(WIDE, way, metric, weight=1.0) for metric in (AUROC, "test_accuracy")}
    for way in ("joint", FOUR)
)
kept = over_seeds(four["test_accuracy"] - without["test_accuracy"])
assert four[AUROC].min() > 0.85 and without[AUROC].mean() < 0.6 and kept["low"] < 0 < kept["high"]
display(
    Markdown(
        f"**They mend it: on SVHN the AUROC of $\\ln p(x)$ is {four[AUROC].mean():.2f}, and"
        f" {without[AUROC].mean():.2f} without.** In accuracy six seeds do not tell the two apart"
        f" ({words.with_interval(kept)}). Of the other unfamiliar sets nothing was measured here."
    )
)

# %% [markdown]
# **Where it ends.** One data set. With 10,000 images nothing was tuned on the wide net: the standard net has
# the rate of the others, .001. No z-loss between .5 and 12.5 was trained, and none with the level $\ln K$;
# that the level is the cause is known [from the narrow net](scrutiny.ipynb). What we had predicted is scored
# [with the other batch sizes](other_sizes.ipynb) and [with the contest](scrutiny.ipynb).
#
# ```{admonition} For practitioners
# :class: tip
# - **For a large weight:** the joint loss. A z-loss of that weight ruins the net.
# - **On a larger net:** try the joint loss there, too; the weight that the small net chose did well.
# ```
