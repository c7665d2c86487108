# %% [markdown]
# # Out-of-distribution detection
#
# ```{margin}
# **Notation.** $Z(x)$ the sum over labels of $e^{\langle y, f(x)\rangle}$; $\ln Z(x) = \ln p(x)$ up to a
# constant; $B$ batch size. [All symbols](../book/glossary.md).
# ```
#
# If the logits define $p(x, y)$, they also define $p(x)$ up to a constant, and images from elsewhere should
# get a low one. The thesis (its section 5.3) tries this as a detector, and finds that it does not work. This
# chapter repeats the test, and asks what the joint loss does to $\ln p(x)$ that makes it fail.
#
# **After this chapter you can**
#
# - compute detection scores from logits and judge them without choosing a threshold;
# - say for which of the two losses $\ln p(x)$ is the better score, and how it fares against max softmax;
# - tell the two ways in which $\ln p(x)$ fails, and which of them a two-sided score mends in part.

# %% tags=["parameters", "remove-cell"]
PROFILE = "cpu"  # "cpu": published results; "digits": live in minutes; "colab", "thesis": on a GPU
RESULTS = "../results"  # the store of results
TRAIN_MISSING = False  # True: train here and now what the store lacks
DEVICE = "auto"  # "auto", "cpu" or "cuda"
DATA_ROOT = None  # folder of the data sets; None: $GFFN_DATA or the user's cache

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display

from gffn_core import log_partition, typicality
from gffn_core.data.datasets import OUT_OF_DISTRIBUTION
from gffn_core.experiments import tables
from gffn_core.pages import figures, publish, style, words
from gffn_core.pages.chapter import open_chapter, pair_near
from gffn_core.verdicts import intervals, rules, values

chapter = open_chapter(
    PROFILE, RESULTS, datasets=OUT_OF_DISTRIBUTION, train_missing=TRAIN_MISSING, device=DEVICE, root=DATA_ROOT
)
long = chapter.long
out_titles = {r["run"]["dataset"]: r["evaluations"]["long"]["ood"]["data"]["title"] for r in chapter.finished}

# %% [markdown]
# ## Which scores?
#
# A detector gives every image a score; high means *familiar*. All four are functions of the logits:
#
# - **max softmax**, $\max_y p(y|x)$, the baseline of {cite:t}`hendrycks2017`;
# - **max logit**, the same before the softmax;
# - **$\ln p(x)$**, unnormalised: $\ln Z(x)$ of (theory.7) [thesis 4.9]. For the conditional loss it is the
#   negative energy of {cite:t}`liu2020energy`, defined although that loss does not train it;
# - **typicality**: $-|\ln p(x) - \overline{\ln p}|$, the mean taken over training images, after
#   {cite:t}`nalisnick2019typicality`. An image that is *too likely* is as suspicious as one that is too
#   unlikely.

# %%
# Of an image that a net is sure of, and of another.
logits = torch.tensor([[6.0, 1.0, 0.0], [0.2, 0.1, 0.0]])
max_softmax, max_logit = logits.softmax(-1).amax(-1), logits.amax(-1)
log_px = log_partition(logits)  # up to a constant
# Here these two stand for the training images.
two_sided = typicality(log_px, log_px.mean().item())
assert log_px[0] > log_px[1]
assert torch.isclose(two_sided[0], two_sided[1])  # equally far from the mean

# %% [markdown]
# *Familiar* images are the test set of the data set a net was trained on, *unfamiliar* ones the test set of
# another, normalised in the same way. The **AUROC** is the chance that a random familiar image scores higher
# than a random unfamiliar one: 1 is perfect, 0.5 is a coin, below 0.5 the score is upside down.
#
# The thesis sets CIFAR-10 against SVHN, both ways, and leaves MNIST against Fashion-MNIST out as too
# different. All four pairs are shown here.
#
# ## Can $\ln p(x)$ tell a house number from a frog?
#
# Thesis figure 5.6: nets that know CIFAR-10 see SVHN, at a batch size of 2,048. The joint loss trains
# $\ln p(x)$. The conditional loss does not: add any number to all logits of an image, and it stays the same.
#
# **Before you look:** which of the two nets has the $\ln p(x)$ that tells the data sets apart?

# %% tags=["hide-input"]
pair = pair_near(chapter.records, "cifar10", 2048)
found = {r["run"]["loss"]: r["evaluations"]["long"] for r in pair}
auc = pd.DataFrame(
    {loss: {k: v["auroc"] for k, v in e["ood"]["scores"].items()} for loss, e in found.items()}
)
spread = {loss: e["train_log_px"]["std"] for loss, e in found.items()}
both = [tables.short_title(t) for t in (pair[0]["data"]["title"], out_titles[pair[0]["run"]["dataset"]])]
points = pd.concat(tables.score_points(r).assign(loss=r["run"]["loss"]) for r in pair)
publish.show(
    figures.density_and_roc(pair),
    name="scores",
    data=points[(points["panel"] == "histogram") | points["series"].isin(["log_px", "max_softmax"])],
    alt=f"Distributions of ln p(x) for {both[0]} and {both[1]} on one axis, standard net above, joint net"
    f" below. AUROC of ln p(x): {auc['conditional']['log_px']:.2f} and {auc['joint']['log_px']:.2f}; of max"
    f" softmax: {auc['conditional']['max_softmax']:.2f} and {auc['joint']['max_softmax']:.2f}.",
    caption=f"Filled: familiar images ({both[0]}); line: unfamiliar ones ({both[1]}). The joint loss presses"
    " both into one narrow peak, and the solid orange ROC curve comes to lie near the diagonal.",
    basis=words.basis(pair, PROFILE),
)
numbers = (
    f"AUROC of $\\ln p(x)$: {auc['conditional']['log_px']:.2f} conditional, {auc['joint']['log_px']:.2f}"
    f" joint. Of max softmax: {auc['conditional']['max_softmax']:.2f} and {auc['joint']['max_softmax']:.2f}."
)
if PROFILE == "cpu":
    assert auc["conditional"]["log_px"] > auc["joint"]["log_px"] + 0.1 > 0.6
    assert abs(auc["conditional"]["max_softmax"] - auc["joint"]["max_softmax"]) < 0.005
    assert spread["joint"] < spread["conditional"] / 10
    cell = values.at(values.on(chapter.pairs, "cifar10"), 2048)
    softmax = rules.effect(values.gain(cell, "auroc_max_softmax", "long"))
    assert softmax["high"] < 0
    numbers = (
        "**The standard net, whose $\\ln p(x)$ nobody trained: its AUROC is"
        f" {auc['conditional']['log_px']:.2f}, the joint net's {auc['joint']['log_px']:.2f}.** Max softmax"
        f" has {auc['conditional']['max_softmax']:.2f} on either of these two nets; over six seeds the joint"
        f" nets' is {-softmax['mean']:.3f} lower.\n\n**Why.** The KL term of (theory.12) charges for an"
        " uneven $\\ln p(x)$ on the training images. It has brought the standard deviation there from"
        f" {spread['conditional']:.1f} nats down to {spread['joint']:.2f}. No unfamiliar image is in that"
        " sum, so nothing pushes their $\\ln p(x)$ down: it is much the same as that of the others."
    )
display(Markdown(numbers))

# %% [markdown]
# **Limits.** One pair of data sets, one batch size, one seed. The next figure has all of them.
#
# ## Does the joint loss make any score better?
#
# **Before you look:** four pairs of data sets. In how many does $\ln p(x)$ gain from the joint loss? And in
# how many is it then, averaged over batch sizes, a better score than max softmax of the same net?

# %% tags=["hide-input"]
SCORES = {
    "auroc_max_softmax": "max softmax",
    "auroc_max_logit": "max logit",
    "auroc_log_px": "ln p(x)",
    "auroc_typicality": "typicality",
}
cells = long.groupby(["dataset", "batch_size", "loss"], sort=False)[[*SCORES]].mean()
means = cells.groupby(["dataset", "loss"], sort=False).mean().unstack("loss")
px, baseline = means["auroc_log_px"], means["auroc_max_softmax"]
short = long.drop_duplicates("dataset").set_index("dataset")["title"].map(tables.short_title)


def moves(now, before):
    """A change in words, a data set after the other."""
    return ", ".join(f"{before[d]:.2f} to {now[d]:.2f} on {words.escape(short[d])}" for d in now.index)


publish.show(
    figures.auroc_by_score(long, SCORES, out_titles),
    name="auroc",
    data=cells.reset_index(),
    alt="AUROC of four scores for each pair of data sets, from the standard net's mean to the joint net's."
    f" Of ln p(x): {moves(px['joint'], px['conditional'])}.",
    caption="From the standard net (blue) to the joint one (orange): means over batch sizes, which are the"
    " small ticks. On three pairs ln p(x) falls far to the left; on SVHN the mean of every score moves"
    " right. Dotted: chance.",
    basis=chapter.basis,
)
better = px["joint"] > px["conditional"]
said = f"The joint loss takes the AUROC of $\\ln p(x)$ from {moves(px['joint'], px['conditional'])}."
if PROFILE == "cpu":
    assert list(px.index[better]) == ["svhn"] and (px["joint"] < baseline["joint"]).all()
    assert (px["conditional"] > baseline["conditional"]).sum() == 3
    fell = (px["conditional"] - px["joint"])[~better]
    assert fell.min() > 0.1
    gained = (baseline["joint"] - baseline["conditional"])[["svhn", "fashion_mnist"]]
    assert gained.min() > 0.03 and gained.idxmax() == "fashion_mnist"
    assert baseline["joint"]["cifar10"] < baseline["conditional"]["cifar10"]
    on_svhn = means.loc["svhn"].unstack("loss")
    assert (on_svhn["joint"] > on_svhn["conditional"]).all()
    assert (on_svhn["joint"] - on_svhn["conditional"]).idxmax() == "auroc_typicality"
    by_seed = values.gain(values.on(chapter.pairs, "svhn"), "auroc_log_px", "long")["value"]
    moved = tables.interval(by_seed.groupby(level="batch_size"))
    assert (moved["mean"] + moved["half"]).loc[:16].max() < 0 < (moved["mean"] - moved["half"]).loc[64:].min()
    said = (
        "**On average $\\ln p(x)$ gains on one pair, and is better than max softmax on none.** It rises on"
        f" SVHN, from {px['conditional']['svhn']:.2f} to {px['joint']['svhn']:.2f}; max softmax of the same"
        f" net has {baseline['joint']['svhn']:.2f}. Even there it rises only from batches of 64 on, and falls"
        f" at 4 to 16. On the other pairs it falls by {fell.min():.2f} to {fell.max():.2f}. In the *standard*"
        " net it is better than max softmax, on average, on all pairs but SVHN.\n\nOf the other scores max"
        " softmax gains on two pairs, most on Fashion-MNIST"
        f" ({baseline['conditional']['fashion_mnist']:.2f} to {baseline['joint']['fashion_mnist']:.2f}), and"
        f" loses {baseline['conditional']['cifar10'] - baseline['joint']['cifar10']:.3f} on CIFAR-10. On SVHN"
        " all four scores gain on average."
    )
display(Markdown(said))

# %% tags=["hide-input"]
trend = cells["auroc_log_px"].xs("joint", level="loss").groupby("dataset", sort=False)
first, last = trend.first(), trend.last()
ends = [f"{size:,}" for size in (long["batch_size"].min(), long["batch_size"].max())]
said = f"From $B$ = {ends[0]} to {ends[1]} the joint net's $\\ln p(x)$ goes from {moves(last, first)}."
if PROFILE == "cpu":
    nets = long.query("loss == 'joint'").set_index(["dataset", "batch_size", "seed"])
    of_px = nets["auroc_log_px"]
    gains = (of_px.xs(2048, level=1) - of_px.xs(4, level=1)).groupby("dataset")
    gains = tables.interval(gains)
    assert [*gains.index[gains["mean"] < gains["half"]]] == ["cifar10"]
    assert trend.get_group("mnist").idxmax()[1] == 32
    lead = (of_px - nets["auroc_max_softmax"])["svhn"]
    lead = tables.interval(lead.groupby(level="batch_size"))
    clear = lead["mean"] > lead["half"]
    assert (clear == (clear.index >= 256)).all()
    said = (
        f"The joint net's $\\ln p(x)$ is better at a batch size of {ends[1]} than at {ends[0]} on three"
        f" pairs, on Fashion-MNIST ({first['fashion_mnist']:.2f} to {last['fashion_mnist']:.2f}), but not on"
        f" CIFAR-10 ({first['cifar10']:.2f} to {last['cifar10']:.2f}). On SVHN it even overtakes max softmax,"
        " clearly from a batch of 256 on."
    )
display(Markdown(f"**And the batch size?** {said}"))

# %% [markdown]
# **Why.** The logits of a standard net grow with its confidence, and so does $\ln Z$: as a score it is a
# cousin of max softmax that also knows how large the logits are. The joint loss evens $\ln Z$ on the training
# images, which probably takes this knowledge away. Why SVHN gains all the same we have not looked into.
#
# ## Where do the unfamiliar images end up?
#
# Take the middle 90 % of the familiar images' $\ln p(x)$. A detector hopes that the unfamiliar ones lie
# *below*. One that knows nothing has 5 % below, 90 % inside and 5 % above.
#
# **Before you look:** the joint nets fail on three pairs. Do the unfamiliar images fall inside, or above?


# %% tags=["hide-input"]
def places(record):
    """The shares of the unfamiliar images, read from the ROC curve of ln p(x)."""
    score = record["evaluations"]["long"]["ood"]["scores"]["log_px"]
    rate = score["tpr_on_fpr_grid"]
    below, above = 1 - score["fpr_at_95_tpr"], np.interp(0.05, rate, np.linspace(0, 1, len(rate)))
    return {"below": below, "inside": 1 - below - above, "above": above}


placed = pd.DataFrame(
    {key: r["run"][key] for key in ("dataset", "loss", "batch_size", "seed")} | places(r)
    for r in chapter.finished
)
by_size = placed.groupby(["dataset", "loss", "batch_size"], sort=False).mean().drop(columns="seed")
shares = by_size.groupby(["dataset", "loss"], sort=False).mean()
LOOKS = {
    "below": {"alpha": 0.75},
    "inside the middle 90 % of the familiar": {"alpha": 0.15},
    "above": {"fill": False},
}
with plt.rc_context(style.STYLE):
    figure, axis = plt.subplots(figsize=(7, 0.9 + 0.33 * len(shares)), layout="constrained")
    place = [i + 0.5 * (i // 2) for i in range(len(shares))]  # a gap between data sets
    colors = [style.LOSS_STYLE[loss]["color"] for _, loss in shares.index]
    left = np.zeros(len(shares))
    for name, look in zip(shares, LOOKS.values()):
        axis.barh(place, shares[name], 0.8, left, color=colors, edgecolor=colors, **look)
        for x, y, share in zip(left + shares[name] / 2, place, shares[name]):
            if share > 0.05:
                axis.text(x, y, f"{100 * share:.0f}", ha="center", va="center", fontsize=9)
        left += shares[name].to_numpy()
    axis.set_yticks(
        place, [style.literal(f"{short[dataset]}, {tables.net(loss)}") for dataset, loss in shares.index]
    )
    axis.invert_yaxis()
    axis.set(xlim=(0, 1.005), xticks=[])
    axis.grid(visible=False)
    axis.spines["bottom"].set_visible(False)
    figure.legend(
        [plt.Rectangle((0, 0), 1, 1, color=style.INK, **look) for look in LOOKS.values()],
        LOOKS,
        loc="outside upper center",
        ncols=3,
    )
joint, conditional = (shares.xs(loss, level="loss") for loss in ("joint", "conditional"))
publish.show(
    figure,
    name="places",
    data=by_size.reset_index(),
    alt="Where the unfamiliar images lie among the familiar ones' ln p(x). Inside the middle 90 %, joint"
    f" nets: {', '.join(f'{short[d]} {words.percent(v, 0)}' for d, v in joint['inside'].items())}. Above it:"
    f" {', '.join(f'{short[d]} {words.percent(v, 0)}' for d, v in joint['above'].items())}; standard nets at"
    f" most {words.percent(conditional['above'].max(), 0)}.",
    caption="Shares of the unfamiliar images in percent, by the data set a net knows. Only joint nets put"
    " many of them above the familiar ones. Means over batch sizes.",
    basis=chapter.basis,
)
said = (
    f"Inside lie {words.percent(joint['inside'].mean(), 0)} for the joint nets and"
    f" {words.percent(conditional['inside'].mean(), 0)} for the standard ones; above,"
    f" {words.percent(joint['above'].mean(), 0)} and {words.percent(conditional['above'].mean(), 0)}."
)
if PROFILE == "cpu":
    typical = means["auroc_typicality"]["joint"]
    mnists = ["mnist", "fashion_mnist"]
    assert joint["inside"]["cifar10"] > 0.9 > 0.5 > joint["inside"][mnists].max()
    assert joint["above"][mnists].min() > 0.1 > 0.01 > conditional["above"].max()
    assert (typical - px["joint"])[mnists].min() > 0.1 and typical["cifar10"] < 0.55
    for name in mnists:
        rows = values.on(chapter.pairs, name)
        typical_joint = values.net(rows, "auroc_typicality", "joint")
        to_px = {
            loss: rules.effect(intervals.minus(typical_joint, values.net(rows, "auroc_log_px", loss)))
            for loss in values.NETS
        }
        assert to_px["conditional"]["high"] < 0 < to_px["joint"]["low"]
        above = placed.query("loss == 'joint' and dataset == @name").set_index(["batch_size", "seed"])
        above = above[["above"]].set_axis(["value"], axis=1)
        assert rules.effect(above, intervals.small_minus_large)["low"] > 0
    assert (joint["below"] > joint["above"])[mnists].all()
    said = (
        f"**Both. For nets that know CIFAR-10, {words.percent(joint['inside']['cifar10'], 0)} fall inside;"
        f" for MNIST and Fashion-MNIST {words.percent(joint['above']['mnist'], 0)} and"
        f" {words.percent(joint['above']['fashion_mnist'], 0)} lie above.** These pass for the most familiar"
        " of all. At small batches there are more of them, though on either set more lie below than above."
        f" The standard nets put at most {words.percent(conditional['above'].max(), 1)} above.\n\n**Why it"
        " matters.** Typicality looks on both sides, so it helps against images above: it has"
        f" {typical['mnist']:.2f} and {typical['fashion_mnist']:.2f} on the MNISTs, more than the joint net's"
        " $\\ln p(x)$ and less than the standard net's. It does not help against images inside: on CIFAR-10"
        f" it has {typical['cifar10']:.2f}."
    )
display(Markdown(said))

# %% [markdown]
# **Limits.** Below and above are read from ROC curves with 101 points, so to a percentage point.
#
# ## The thesis and this chapter
#
# Claims about the GFFN are tested on the nets of the joint loss, on the thesis's pairs of data sets: CIFAR-10
# against SVHN and SVHN against CIFAR-10.
#
# **Before you look:** how many of the thesis's statements on detection hold here? Each is tested in our
# words, on the runs above. It is *reproduced* where its interval, corrected for the number of claims, lies
# wholly inside what is claimed, *not reproduced* where it lies wholly outside, and *inconclusive* where it
# holds a boundary. [How a verdict comes about](verdicts.ipynb) gives the tests and the margin.

# %% tags=["hide-input"]
chapter.claims("ood")

# %% [markdown]
# **17b and 20** are decided by the same few nets: those below one half all know CIFAR-10, none SVHN. In the
# thesis it must be the other way round, as it says that CIFAR-10 nets do not prefer SVHN images. On the mean
# over seeds ours do not, either, at any batch size; 20 fails because it is read of every single net.
#
# **Limits.** Four pairs of data sets say little about unfamiliar images in general. The nets are small, and
# stronger nets separate better, so published values ([related work](../book/related_work.md)) are not
# comparable. The negative result concerns $\ln p(x)$ *as trained here*: with $Z$ summed over the batch, and
# no images from elsewhere. [What the joint loss does](mechanism.ipynb) shows why it had to fail, and what
# references change; [the next chapter](detection.ipynb) tries other scores.
#
# ## Exercises
#
# **1.** A score has an AUROC of 0.30. What is the AUROC of its negative? Why may you not simply flip it?
#
# ```{admonition} Solution
# :class: dropdown
# 0.70. The sign would be chosen on the very test data it is judged on; for other unfamiliar images it may be
# the wrong one.
# ```
#
# **2.** Can $\ln p(x)$ from the *conditional* loss be trusted as a density in any sense?
#
# ```{admonition} Solution
# :class: dropdown
# No: with categorical labels, adding $c(x)$ to all logits changes it at will without changing the loss.
# Whatever it says comes from the architecture and the path of training.
# ```
#
# **3.** Design a test set of unfamiliar images on which typicality must fail.
#
# ```{admonition} Solution
# :class: dropdown
# Any images whose $\ln p(x)$ lies near the training mean: for example interpolate, in pixels, between an
# image with too high and one with too low a value until it is typical. One number cannot tell them apart.
# ```
