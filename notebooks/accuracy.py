# %% [markdown]
# # Accuracy and batch size
#
# ```{margin}
# **Notation.** $B$ batch size; $Z$ the sum over labels of the exponentials of their logits. [All
# symbols](../book/glossary.md).
# ```
#
# The joint loss depends on the batch: at one example it is the standard loss, and the larger the batch, the
# better it represents the data over which $Z$ should be summed. So the thesis trains both losses over batch
# sizes from 4 to 2048 on four data sets (its section 5.1) and compares test accuracies.
#
# **After this chapter you can**
#
# - say how accuracy depends on batch size for both losses, at two points of one training;
# - tell a difference between the losses from a difference between amounts of training;
# - name what the thesis leaves open and what we chose.

# %% tags=["parameters", "remove-cell"]
PROFILE = "cpu"  # "cpu": published results; "digits": live in minutes; "colab", "thesis": on a GPU
RESULTS = "../results"  # the store of results
TRAIN_MISSING = False  # True: train here and now what the store lacks
DEVICE = "auto"  # "auto", "cpu" or "cuda"
DATA_ROOT = None  # folder of the data sets; None: $GFFN_DATA or the user's cache

# %% tags=["hide-input"]
import inspect

import pandas as pd
from IPython.display import Markdown, display

from gffn_core.experiments import tables
from gffn_core.pages import figures, publish, words
from gffn_core.pages.chapter import open_chapter
from gffn_core.training import course, step

chapter = open_chapter(PROFILE, RESULTS, train_missing=TRAIN_MISSING, device=DEVICE, root=DATA_ROOT)
early, long = chapter.early, chapter.long

# %% [markdown]
# ## The experiment
#
# One convolutional net for all data sets (three convolutions, one hidden layer, ReLU, max pooling;
# `gffn_core.model`), without dropout, batch normalisation or augmentation, so its output is a deterministic
# function of the image, as the thesis asks. Adam at a constant rate. Initialisation and the order of the
# images depend on the seed alone: the two losses of a cell are a *pair* with the same initialisation, order
# of images, precision and machine. Trained long, the nets of a pair may differ in their number of epochs, as
# each stops once it has fitted its training images; profile `equal` ([choices](choices.ipynb)) gives both
# the same.
#
# The thesis evaluates two schemes. We take both from one training:
#
# - **early**: training stops when validation accuracy no longer improves; the best weights so far count;
# - **long**: training goes on, because accuracy can still rise after the training set is fitted
#   {cite:p}`hoffer2017`, until training accuracy has been at least 99 % for ten epochs in a row. The thesis's
#   large batches ended with a time limit; ours end with a number of epochs, larger for larger batches, so
#   that it can be repeated elsewhere. A net that its budget leaves below 99 % is called *underfit* wherever
#   it stands. The budgets, and what was used of them:

# %%
used = (
    pd.DataFrame(
        {
            "data set": tables.short_title(r["data"]["title"]),
            "batch size": r["run"]["batch_size"],
            "budget": r["run"]["epochs"],
            "epochs": r["evaluations"]["long"]["epoch"],
        }
        for r in chapter.finished
    )
    .groupby(["batch size", "data set", "budget"], as_index=False)
    .mean()
)
used["epochs"] = [f"{row.epochs:.0f} of {row.budget}" for row in used.itertuples()]
used.pivot(index="batch size", columns="data set", values="epochs").fillna("")

# %% [markdown]
# **What we chose where the thesis is silent.** Layers and widths; learning rate 0.001 (Adam's default);
# validation data: a fixed stratified tenth of the training images (thesis: unclear, its captions say *test*
# where its text says *validation*); patience: three epochs, and at least a hundred steps; incomplete batches
# are left out, so that every step has exactly the batch size it is plotted at. Test images are used for
# nothing but the figures.
#
# What a step is, as it runs:

# %% tags=["hide-cell"]
display(Markdown(f"```python\n{inspect.getsource(step.stepper)}```"))

# %% [markdown]
# ## Along training
#
# Validation accuracy by epoch. The marker is the *early* point, the end of a line the *long* one.

# %% tags=["hide-input"]
publish.show(
    figures.curves(chapter.first_seed, "val_accuracy", "validation accuracy"),
    name="accuracy-curves",
    data=tables.curve_points(chapter.first_seed, "val_accuracy"),
    alt=(
        "Validation accuracy against epoch for every data set and batch size, one line per loss, with a"
        " marker at the early-stopping point."
    ),
    caption="One net each, validation images. Dot: the early point. A line goes on until the training"
    " images are"
    " fitted or the budget ends.",
    basis=words.basis(chapter.first_seed, PROFILE),
)

# %% [markdown]
# ## Early: trained until validation accuracy stops improving
#
# Thesis figure 5.1.

# %% tags=["hide-input"]
chapter.by_batch_size(
    early,
    "test_accuracy",
    "test accuracy",
    name="accuracy-early",
    caption="Where do the lines part, and do they part more at large batches?",
)

# %% [markdown]
# ## Long: trained until it is fitted, or the budget ends
#
# Thesis figure 5.2.

# %% tags=["hide-input"]
chapter.by_batch_size(
    long,
    "test_accuracy",
    "test accuracy",
    name="accuracy-long",
    caption="Where do the lines part, and do they part more at large batches?",
)
fitted = tables.summary(long, "train_accuracy")
display(
    Markdown(
        "**How long is long?** The thesis trains until the training set is fitted. Here"
        f" {(~fitted['underfit']).sum()} of {len(fitted)} cells (one per data set, batch size and loss;"
        f" every seed counts) reach"
        f" {words.percent(course.FITTED, 0)} training accuracy; the lowest is"
        f" {words.escape(fitted.loc[fitted['mean'].idxmin(), 'title'])} at batch size"
        f" {fitted.loc[fitted['mean'].idxmin(), 'batch_size']} with {words.percent(fitted['mean'].min())}."
        " Hollow markers are cells that the budget left underfit: read them as *early on the way*, not as"
        " the thesis's long scheme."
    )
)

# %% [markdown]
# ## The difference, paired
#
# The same numbers as differences within pairs of equal seed, which removes what initialisation and data order
# do to both. Above zero the joint loss is better.

# %% tags=["hide-input"]
publish.show(
    figures.difference_by_batch_size(long, "test_accuracy", "joint - conditional, test accuracy"),
    name="accuracy-difference",
    data=tables.paired_difference(long, "test_accuracy"),
    alt="Test accuracy of the joint minus the conditional loss, long scheme, against batch size. "
    + "; ".join(
        f"{row.title} at {row.batch_size}: {row.mean_:+.4f}"
        for row in (
            tables.paired_difference(long, "test_accuracy").rename(columns={"mean": "mean_"}).itertuples()
        )
    )
    + ".",
    caption="Above zero the joint net is more accurate. Where the bar crosses zero, these seeds do not tell.",
    basis=chapter.basis,
)

# %% tags=["hide-input"]
gains = pd.concat(
    {
        scheme: tables.paired_difference(one, "test_accuracy")
        for scheme, one in (("early", early), ("long", long))
    }
)
gains = gains.assign(points=100 * gains["mean"]).pivot_table(
    index=["title", "batch_size"], columns="scheme", values="points", sort=False
)
gains.columns.name = None
gains.index.names = ["data set", "batch size"]
display(gains.rename(index=tables.short_title, level="data set").map("{:+.2f}".format))
display(Markdown("Joint minus conditional, test accuracy in percentage points, mean over seeds."))

# %% [markdown]
# ## The thesis and this chapter
#
# Each row is a statement of the thesis in our words, its test, and the verdict that the runs above give it,
# which is computed. The interval is corrected for the number of claims: a claim is *reproduced* where it
# lies wholly inside what is claimed, *not reproduced* where it lies wholly outside, *inconclusive* where it
# holds a boundary. [How a verdict comes about](verdicts.ipynb) gives the tests, the margin and the number of
# seeds that would decide.

# %% tags=["hide-input"]
chapter.claims("accuracy")

# %% [markdown]
# **Limits.** One small net; a constant learning rate that is not tuned per batch size, so large batches are
# held back as in the thesis; where there is a single seed, differences below about a percentage point are
# within the noise of one training. Data sets that are not complete are named in their titles.
#
# ## Exercises
#
# **1.** Why is it wrong to call the difference between batch size 16 and 2048 above "the generalisation gap"
# without looking at the budget table?
#
# ```{admonition} Solution
# :class: dropdown
# The large batch took far fewer steps. A net that is still underfit is not one that generalises worse. The
# gap of {cite:t}`keskar2017` compares nets that fit the training data equally well: look at the hollow
# markers.
# ```
#
# **2.** Run one cell yourself with three more seeds and put an interval on its difference:
# `gffn sweep digits --batch-sizes 64`, then this notebook with `PROFILE = "digits"`.
#
# ```{admonition} Solution
# :class: dropdown
# `tables.paired_difference(table, "test_accuracy")` gives `mean` and `half`, the half width of the 95 %
# interval over seeds. With three seeds the t quantile is 4.3: three seeds only show large effects.
# ```
#
# **3.** The joint loss at batch size 4 differs from the standard one by the KL term of four examples. How
# large is that term for the trained nets of this chapter, and what does it predict for small batches?
#
# ```{admonition} Solution
# :class: dropdown
# About half the variance of $\ln Z$ within the batch ([theory](theory.ipynb)), times $(B-1)/B$ in
# expectation: present at batch size 4 already. Small batches do not make the penalty vanish as long as
# $B > 1$; they make it noisy.
# ```
