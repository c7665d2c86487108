# %% [markdown]
# # Out-of-distribution detection
#
# ```{margin}
# **Notation.** $Z(x)$ the sum over labels of $e^{\langle y, f(x)\rangle}$; $\ln Z(x) = \ln p(x)$ up to a
# constant; $B$ batch size. [All symbols](../book/glossary.md).
# ```
#
# If the logits define $p(x, y)$, they also define $p(x)$ up to a constant, and inputs from elsewhere should
# get a low one. The thesis (its section 5.3) tries this as a detector, and finds that it does not work. This
# chapter repeats the test, adds a score, and looks for the reason.
#
# **After this chapter you can**
#
# - compute three detection scores from logits and judge them without choosing a threshold;
# - say how $\ln p(x)$ fares against the maximum softmax baseline for both losses;
# - explain why an even $\ln p(x)$ on the training data does not make it low elsewhere.

# %% tags=["parameters", "remove-cell"]
PROFILE = "cpu"  # "cpu": published results; "digits": live in minutes; "colab", "thesis": on a GPU
RESULTS = "../results"  # the store of results
TRAIN_MISSING = False  # True: train here and now what the store lacks
DEVICE = "auto"  # "auto", "cpu" or "cuda"
DATA_ROOT = None  # folder of the data sets; None: $GFFN_DATA or the user's cache

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from gffn_core.data.datasets import OUT_OF_DISTRIBUTION
from gffn_core.experiments import tables
from gffn_core.pages import figures, publish, style, words
from gffn_core.pages.chapter import open_chapter, pair_near

chapter = open_chapter(
    PROFILE, RESULTS, datasets=OUT_OF_DISTRIBUTION, train_missing=TRAIN_MISSING, device=DEVICE, root=DATA_ROOT
)
long = chapter.long
out_titles = {r["run"]["dataset"]: r["evaluations"]["long"]["ood"]["data"]["title"] for r in chapter.finished}

# %% [markdown]
# ## Scores
#
# A detector gives every image a score; high means *in-distribution*. All three are functions of the logits:
#
# - **max softmax**, $\max_y p(y|x)$, the baseline of {cite:t}`hendrycks2017`;
# - **$\ln p(x)$**, unnormalised: $\ln Z(x)$ of (theory.7) [thesis 4.9]. For the standard loss it is the
#   negative energy of {cite:t}`liu2020energy`, defined although that loss does not train it;
# - **typicality**: $-|\ln p(x) - \overline{\ln p}|$, the mean taken over training images, after
#   {cite:t}`nalisnick2019typicality`. An image that is *too likely* is as suspicious as one that is too
#   unlikely.
#
# The in-distribution images are the test set of the data set a net was trained on, the others the test set of
# another one, normalised in the same way. The **AUROC** is the chance that a random in-distribution image
# scores higher than a random other: 1 is perfect, 0.5 is a coin, below 0.5 the score is upside down.
#
# The thesis sets CIFAR-10 against SVHN, both ways, and leaves MNIST against Fashion-MNIST out as too
# different; it is shown for comparison.
#
# ## What the scores look like
#
# Thesis figure 5.6 (CIFAR-10, batch size 2048): distribution of $\ln p(x)$, and ROC curves.


# %% tags=["hide-input"]
def show_scores(dataset, batch_size):
    for record in pair_near(chapter.records, dataset, batch_size):
        scores = record["evaluations"]["long"]["ood"]["scores"]
        run = record["run"]
        publish.show(
            figures.density_and_roc(record),
            name=f"scores-{run['dataset']}-{run['batch_size']}-{run['loss']}".replace("_", "-"),
            data=tables.score_points(record),
            alt=(
                f"Left: distribution of ln p(x) for {record['data']['title']} and"
                f" {out_titles[run['dataset']]}, {run['loss']} loss, batch size {run['batch_size']}. Right:"
                " ROC curves with AUROC "
            )
            + ", ".join(f"{name} {scores[name]['auroc']:.3f}" for name in style.SCORE_STYLE)
            + ".",
            caption=f"{run['loss'].capitalize()} loss, batch size {run['batch_size']}, long scheme.",
            basis=words.basis([record], PROFILE),
        )


show_scores("cifar10", 2048)

# %% [markdown]
# ## AUROC against batch size
#
# Thesis figure 5.7: CIFAR-10 models against SVHN images and the other way round.

# %% tags=["hide-input"]
publish.show(
    figures.auroc_by_batch_size(long, out_titles),
    name="auroc",
    data=pd.concat(
        {score: tables.summary(long, f"auroc_{score}") for score in style.SCORE_STYLE}, names=["score"]
    ).reset_index("score"),
    alt="AUROC of three scores against batch size, one column per data set and one row per loss. "
    + "; ".join(
        f"{row.title}, {row.loss}, batch {row.batch_size}: max softmax {row.auroc_max_softmax:.2f}, ln p(x)"
        f" {row.auroc_log_px:.2f}, typicality {row.auroc_typicality:.2f}"
        for row in long.itertuples()
    )
    + ".",
    caption="Above 0.5 a score finds unfamiliar images; below it, it takes them for familiar. Long scheme.",
    basis=chapter.basis,
)

# %% tags=["hide-input"]
NAMES = {
    "auroc_max_softmax": "max softmax",
    "auroc_log_px": "ln p(x)",
    "auroc_typicality": "typicality",
    "auroc_max_logit": "max logit",
}
means = long.groupby(["title", "loss"], sort=False)[list(NAMES)].mean().rename(columns=NAMES)
means.index.names = ["data set", "loss"]
display(means.rename(index=tables.short_title, level="data set").map("{:.3f}".format))
display(Markdown("AUROC, long scheme, mean over batch sizes and seeds."))

# %% [markdown]
# ## Where does $\ln p(x)$ put the unfamiliar images?
#
# The joint loss evens out $\ln p(x)$ on the training images, (theory.12), and says nothing about others. So
# two different things can go wrong for a one-sided detector: unfamiliar images may land *inside* the range of
# the familiar ones, or *above* it. The table asks for the share of unfamiliar test images whose $\ln p(x)$
# exceeds the median of the familiar test images; a useless score gives 50 %, a score that is upside down
# more.


# %% tags=["hide-input"]
def share_above_median(record):
    """Both read from the record's histogram, linear within a bin."""
    histogram = record["evaluations"]["long"]["ood"]["scores"]["log_px"]["histogram"]
    inside, outside = (np.cumsum([0, *histogram[part]]) for part in ("inside", "outside"))
    edges = np.arange(len(inside))
    median = np.interp(inside[-1] / 2, inside, edges)
    return 1 - np.interp(median, edges, outside) / outside[-1]


above = pd.DataFrame(
    {
        "data set": tables.short_title(r["data"]["title"]),
        "unfamiliar": tables.short_title(out_titles[r["run"]["dataset"]]),
        "batch size": r["run"]["batch_size"],
        "loss": r["run"]["loss"],
        "share": share_above_median(r),
    }
    for r in chapter.finished
).pivot_table(index=["data set", "unfamiliar", "batch size"], columns="loss", values="share", sort=False)
display(above.map(lambda v: "" if pd.isna(v) else words.percent(v, 0)))

# %% [markdown]
# ## The thesis and this chapter
#
# Claims about the GFFN are tested on the nets of the joint loss, on the thesis's pairs of data sets: CIFAR-10
# against SVHN and SVHN against CIFAR-10.
#
# Each row is a statement of the thesis in our words, its test, and the verdict that the runs above give it,
# which is computed. The interval is corrected for the number of claims: a claim is *reproduced* where it
# lies wholly inside what is claimed, *not reproduced* where it lies wholly outside, *inconclusive* where it
# holds a boundary. [How a verdict comes about](verdicts.ipynb) gives the tests, the margin and the number of
# seeds that would decide.

# %% tags=["hide-input"]
chapter.claims("ood")

# %% [markdown]
# **Limits.** Four pairs of data sets say little about unfamiliar inputs in general. Scores come from a small
# net; stronger nets separate better (the [related work](../book/related_work.md) lists published values,
# which ours are not comparable to). The negative result concerns $\ln p(x)$ *as trained here*: with $Z$
# summed over the batch, and no samples from elsewhere. [Another chapter](mechanism.ipynb) shows why it had to
# fail, and what references change; [a third one](detection.ipynb) tries the scores of the field.
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
