# %% [markdown]
# # Calibration
#
# ```{margin}
# **Notation.** $B_m$ the $m$-th of $M$ bins, acc and conf accuracy and mean confidence in it, $n$ images; $B$
# batch size; *T* temperature. [All symbols](../book/glossary.md).
# ```
#
# A classifier that says "70 %" should be right in 70 % of such cases. The thesis (its section 5.2) finds that
# nets trained with the joint loss are better calibrated than standard ones, the more so the larger the batch.
# This chapter measures it.
#
# **After this chapter you can**
#
# - read a reliability diagram and compute the expected calibration error, and name the choices inside it;
# - tell over- from under-confidence, which the error itself hides;
# - say what the joint loss does for calibration that stopping early or a temperature does not.

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

from gffn_core.experiments import tables
from gffn_core.pages import figures, publish, words
from gffn_core.pages.chapter import open_chapter, pair_near
from gffn_core.training import course
from gffn_core.verdicts import intervals, rules, values

chapter = open_chapter(PROFILE, RESULTS, train_missing=TRAIN_MISSING, device=DEVICE, root=DATA_ROOT)
early, long = chapter.early, chapter.long
pairs, titles = chapter.pairs, chapter.titles
COLUMNS = {
    "test_accuracy": "accuracy",
    "ece": "ECE",
    "scaled_ece": "ECE, T",
    "nll": "NLL",
    "scaled_nll": "refinement",
    "miscalibration": "miscalibration",
}
by_stopping = tables.by_stopping(chapter.table, COLUMNS)

# %% [markdown]
# ## Measuring it
#
# The *confidence* of a prediction is its largest softmax output. Sort the test images into $M$ bins by
# confidence, bin $m$ being the interval $(\frac{m-1}{M}, \frac{m}{M}]$. In each, compare the share of correct
# predictions with the mean confidence [thesis 5.2, 5.3]; the **expected calibration error** weighs the gaps
# by the number of images [5.4] {cite:p}`guo2017`:
#
# $$ \mathrm{ECE} = \sum_{m=1}^{M}\frac{|B_m|}{n}\,\bigl|\mathrm{acc}(B_m) - \mathrm{conf}(B_m)\bigr|.
#    \tag{calibration.1} $$
#
# We give it as a fraction, not in per cent, with $M = 10$ bins of equal width; the thesis does not print its
# $M$. An image with confidence exactly 0 belongs to the first bin, with exactly 1 to the last; empty bins
# count for nothing.
#
# ## Which net is better calibrated?
#
# Thesis figure 5.3: both nets trained long. **Before you look:** the thesis finds the joint net better
# everywhere, and more so at large batches. Which of the two holds here?

# %% tags=["hide-input"]
chapter.by_batch_size(
    long,
    "ece",
    "expected calibration error",
    name="ece-long",
    caption="Lower is better. The joint line lies far below, except on MNIST at the largest batches.",
)
gaps = tables.paired_difference(long, "ece")
better = gaps["mean"] < 0
worse = "; ".join(f"{titles[row.dataset]} at {row.batch_size}" for row in gaps[~better].itertuples())
saved = chapter.by_dataset(lambda rows: rules.effect(values.lower(rows, "ece")))
slope = chapter.by_dataset(lambda rows: rules.effect(values.lower(rows, "ece"), intervals.per_doubling))
ece = by_stopping["ece"]
said = (
    f"Trained long, the ECE is {ece['joint', 'long']:.3f} joint and {ece['conditional', 'long']:.3f}"
    f" standard; the joint net has the lower one in {better.sum()} of {len(gaps)} cells"
    + (f" (not in {worse})" if worse else "")
    + ". What it saves changes per doubling of the batch size by "
    + "; ".join(f"{words.with_interval(row, 4)} on {titles[name]}" for name, row in slope.iterrows())
    + "."
)
if PROFILE == "cpu":
    assert better.mean() > 0.9 and set(gaps["dataset"][~better]) == {"mnist"} and (saved["low"] > 0).all()
    assert slope["high"][["cifar10", "mnist"]].max() < 0 < slope["high"][["svhn", "fashion_mnist"]].min()
    assert ece["joint", "long"] < 0.6 * ece["conditional", "long"]
    said = (
        f"**The joint net, nearly everywhere, with half the error. But not more so at large batches.** {said}"
    )
display(Markdown(said))

# %% [markdown]
# **Do the bins decide?** The same predictions can be cut into 15 bins of equal width, or into 10 with equally
# many images.

# %% tags=["hide-input"]
CUTS = {
    "ece": "10 of equal width",
    "ece_uniform15": "15 of equal width",
    "ece_quantile10": "10 of equal mass",
}
cut = tables.by_stopping(chapter.table, CUTS).xs("long", level="scheme")
signs = pd.DataFrame(
    {
        name: tables.paired_difference(long, name).set_index(["title", "batch_size"])["mean"] > 0
        for name in CUTS
    }
)
agree = (signs.nunique(axis=1) == 1).sum()
said = (
    f"All three say the same in {agree} of {len(signs)} cells: "
    + "; ".join(
        f"{label} {cut[name]['conditional']:.3f} and {cut[name]['joint']:.3f}" for name, label in CUTS.items()
    )
    + " (standard and joint, means over all cells)."
)
if PROFILE == "cpu":
    assert agree == len(signs)
    said = f"**No.** {said}"
display(Markdown(said))

# %% [markdown]
# ## In which direction do they err?
#
# The ECE has no sign. Mean confidence minus accuracy has: above zero the net promises too much, below zero
# too little. **Before you look:** can a loss that holds confidence down make a net too modest?

# %% tags=["hide-input"]
chapter.by_batch_size(
    long,
    "overconfidence",
    "confidence - accuracy",
    name="overconfidence-long",
    caption="Above zero a net is more sure than right. Both are; on MNIST joint nets are too modest at the"
    " ends.",
)
over = {
    loss: chapter.by_dataset(lambda rows: rules.effect(values.net(rows, "overconfidence", loss)))
    for loss in values.NETS
}
said = "Mean confidence minus accuracy, mean over batch sizes: " + "; ".join(
    f"{titles[name]} {over['conditional']['mean'][name]:+.3f} conditional, {over['joint']['mean'][name]:+.3f}"
    " joint"
    for name in titles
)
if PROFILE == "cpu":
    assert (over["conditional"]["low"] > 0).all() and (over["joint"].drop("mnist")["low"] > 0).all()
    assert over["joint"]["high"]["mnist"] < 0
    of_size = (
        long.query("dataset == 'mnist' and loss == 'joint'").groupby("batch_size")["overconfidence"].mean()
    )
    assert of_size.iloc[[0, -1]].max() < 0  # as the caption says
    assert (over["joint"]["mean"] < over["conditional"]["mean"]).all()
    said = (
        "**Both promise too much, the joint net half as much; on MNIST, where there is little to hold down,"
        f" it promises too little.** {said}"
    )
display(Markdown(f"{said}."))

# %% [markdown]
# ## Which predictions are wrong about themselves?
#
# A **reliability diagram** shows the error bin by bin. Bars are the accuracy of the images in a bin, with its
# 95 % interval (Wilson); the short thick line is their mean confidence. A calibrated bar ends at that line.
# Below stand the share and the number of images. Thesis figure 5.5. **Before you look:** are the sure answers
# wrong about themselves, or the unsure ones?


# %% tags=["hide-input"]
def top_share(record):
    """Of the images, those in the bin of the highest confidence."""
    count = record["evaluations"]["long"]["calibration"]["uniform10"]["count"]
    return count[-1] / sum(count)


def show_reliability(dataset, batch_size, caption):
    pair = pair_near(chapter.records, dataset, batch_size)
    run = pair[0]["run"]
    publish.show(
        figures.reliability(pair),
        name=f"reliability-{run['dataset']}-{run['batch_size']}".replace("_", "-"),
        data=tables.bins(pair),
        alt=f"Reliability diagrams of {pair[0]['data']['title']} at batch size {run['batch_size']}. "
        + "; ".join(
            f"{tables.net(r['run']['loss'])} net: ECE {r['evaluations']['long']['ece']['uniform10']:.3f},"
            f" accuracy {r['evaluations']['long']['test_accuracy']:.3f},"
            f" {words.percent(top_share(r), 0)} of the images in the top bin"
            for r in pair
        )
        + ".",
        caption=f"{caption} {pair[0]['data']['title']}, batch size {run['batch_size']}, trained long.",
        basis=words.basis(pair, PROFILE),
    )
    return pair


hard = show_reliability(
    "cifar10",
    2048,
    "Bars end below their lines. In the joint net the top bar is closer, and holds fewer images.",
)
top = {}
for record in hard:
    bins = tables.bins([record])
    bins = bins[bins["count"] > 0]
    gap = bins["confidence"] - bins["accuracy"]
    share = bins["count"] / bins["count"].sum()
    top[record["run"]["loss"]] = {
        "share": share.iloc[-1],
        "gap": gap.iloc[-1],
        "part": (share * gap.abs()).iloc[-1] / (share * gap.abs()).sum(),
        "worst": bins["low"][gap.idxmax()],
    }
said = "In the bin of the highest confidence " + " and ".join(
    f"the {tables.net(loss)} net has {words.percent(one['share'], 0)} of its images and misses by"
    f" {100 * one['gap']:.0f} points ({words.percent(one['part'], 0)} of its ECE)"
    for loss, one in top.items()
)
if PROFILE == "cpu":
    assert all(0.75 < one["worst"] < 0.85 for one in top.values())
    assert top["joint"]["share"] < top["conditional"]["share"] - 0.1
    assert top["joint"]["gap"] < top["conditional"]["gap"] / 1.5 and top["conditional"]["part"] > 0.5
    said = f"**Nearly all, worst those at 0.8 to 0.9; but what counts is the top bin.** {said}"
display(Markdown(f"{said}."))

# %% [markdown]
# On an easy data set there is little to judge. Thesis figure 5.4:

# %% tags=["hide-input"]
easy = show_reliability("mnist", 128, "Nearly all predictions are sure, and right.")
if PROFILE == "cpu":
    assert min(map(top_share, easy)) > 0.95

# %% [markdown]
# ## When does it come about?
#
# **Before you look:** the confidence of both nets starts low. Where do the curves cross zero, before or after
# the early point?


# %%
def signed_error(record):
    curves = record["curves"]
    return [sure - right for sure, right in zip(curves["val_confidence"], curves["val_accuracy"])]


# %% tags=["hide-input"]
pair = pair_near(chapter.records, "cifar10", 256)
publish.show(
    figures.along_training(pair, signed_error, "confidence - accuracy, validation"),
    name="overconfidence-curves",
    data=tables.curve_points(pair, signed_error),
    alt="Mean confidence minus accuracy on validation images against epoch, for one pair. Both rise from"
    f" below or near zero; at the end the standard net is at {signed_error(pair[0])[-1]:+.3f}, the joint"
    f" net at {signed_error(pair[1])[-1]:+.3f}.",
    caption="Confidence overtakes accuracy as the nets learn their training images, and the joint net's"
    f" later. One pair, {titles[pair[0]['run']['dataset']]}, batch size {pair[0]['run']['batch_size']};"
    " marker: the early point.",
    basis=words.basis(pair, PROFILE),
)

# %% tags=["hide-input"]
STAGES = {"below 90 %": (0, 0.9), "90 to 99 %": (0.9, course.FITTED), "99 % and above": (course.FITTED, 1.01)}
epochs = pd.DataFrame(
    {
        "dataset": r["run"]["dataset"],
        "loss": r["run"]["loss"],
        "stage": next(stage for stage, (low, high) in STAGES.items() if low <= fit < high),
        "error": error,
    }
    for r in chapter.records
    for fit, error in zip(r["curves"]["train_accuracy"], signed_error(r))
)
by_stage = epochs.groupby(["dataset", "stage", "loss"])["error"].mean().unstack()
crossed = {
    r["run"]["loss"]: 1 + next((i for i, e in enumerate(signed_error(r)) if e > 0), len(signed_error(r)))
    for r in pair
}
early_at = {r["run"]["loss"]: r["evaluations"]["early"]["epoch"] for r in pair}
said = "Here they cross zero in epochs " + " and ".join(
    f"{crossed[loss]} ({tables.net(loss)}; early point {early_at[loss]})" for loss in crossed
)
if PROFILE == "cpu":
    assert (
        crossed["conditional"] < early_at["conditional"] / 2
        and abs(crossed["joint"] - early_at["joint"]) <= 3
    )
    assert (by_stage["joint"] < by_stage["conditional"]).all()
    assert (by_stage["joint"].xs("below 90 %", level="stage") < 0.01).all()
    said = f"**The standard net long before its early point, the joint net about at it.** {said}"
display(
    Markdown(
        f"{said}. Over all runs and epochs, by running training accuracy:\n\n"
        + words.markdown_table(
            ["standard, joint", *STAGES],
            [
                [
                    titles[name],
                    *(
                        "{:+.3f}, {:+.3f}".format(*by_stage.loc[name, stage][[*values.NETS]])
                        if (name, stage) in by_stage.index
                        else "-"
                        for stage in STAGES
                    ),
                ]
                for name in titles
            ],
        )
        + "\n\nMean of confidence minus accuracy on validation images."
    )
)

# %% [markdown]
# **Why:** every training image that is classified correctly still lowers the loss when its logits grow, and
# the more there are, the stronger the pull. In the joint loss, growing logits make $\ln Z$ uneven over the
# batch, and it charges for that (theory.12).
#
# ## Would stopping early, or a temperature, do as well?
#
# A practitioner has two remedies that cost nothing. One is to stop early; the thesis leaves such nets out of
# its comparison, because their values "seem to be strictly worse". The other is to divide the logits
# by one number, the *temperature* $T$, fitted on validation images {cite:p}`guo2017`; it changes no
# prediction. The negative log-likelihood then falls into two parts: what the temperature mends is
# **miscalibration**, what is left is **refinement**, how well the net sorts its inputs at all
# {cite:p}`berta2025`. **Before you look:** which of the three, the loss, the stopping or the temperature,
# lowers the ECE most?

# %% tags=["hide-input"]
best = {
    name: by_stopping[name].max() if name == "test_accuracy" else by_stopping[name].min() for name in COLUMNS
}
rows = [
    [f"{tables.net(loss)}, {scheme}"]
    + [f"**{row[name]:.3f}**" if row[name] == best[name] else f"{row[name]:.3f}" for name in COLUMNS]
    for (loss, scheme), row in by_stopping.iterrows()
]
display(
    Markdown(
        words.markdown_table(["loss, trained", *COLUMNS.values()], rows)
        + "\n\nTest images; means over seeds, batch sizes and data sets, each data set with equal weight;"
        f" *T*: after temperature scaling. The best of each column is bold. {words.escape(chapter.basis)}"
    )
)

# %% tags=["hide-input"]
cheap = tables.remedies(chapter.table)
stopped = chapter.by_dataset(
    lambda rows: rules.effect(
        intervals.minus(values.net(rows, "ece", "conditional", "early"), values.net(rows, "ece", "joint"))
    )
)
both = by_stopping.loc[("joint", "early")]
adds_up = [label for name, label in COLUMNS.items() if both[name] == best[name]]
said = (
    f"A standard net that stops early has a lower ECE than the joint net trained long in {cheap.stopped} of"
    f" {cheap.pairs} pairs, one with a temperature in {cheap.scaled}. Its ECE differs from the joint net's by"
    " "
    + ", ".join(f"{words.with_interval(row)} ({titles[name]})" for name, row in stopped.iterrows())
    + f". With a temperature for both nets trained long, the joint net has the"
    f" lower NLL in {cheap.finer} of the pairs; the ECE is"
    f" {by_stopping.loc[('joint', 'long'), 'scaled_ece']:.3f} joint,"
    f" {by_stopping.loc[('conditional', 'long'), 'scaled_ece']:.3f} standard."
)
if PROFILE == "cpu":
    scaled_ece = by_stopping["scaled_ece"]
    assert cheap[["stopped", "scaled", "finer"]].min() > cheap.pairs / 2
    assert (stopped["high"][["cifar10", "fashion_mnist"]] < 0).all()
    assert (stopped["high"][["mnist", "svhn"]] > 0).all() and (stopped["mean"] < 0.002).all()
    assert scaled_ece["joint", "long"] > scaled_ece["conditional", "long"]
    assert {"accuracy", "ECE", "NLL", COLUMNS["scaled_nll"]} <= set(adds_up)
    said = (
        "**A temperature lowers the ECE more than the loss does; stopping early does so on CIFAR-10 and"
        f" Fashion-MNIST, and about as much on the other two.** {said} So what remains of the loss, once a"
        " temperature is fitted, is a little refinement. **But the remedies add up: the joint net that stops"
        f" early is best of the four in {', '.join(adds_up[:-1])} and {adds_up[-1]}.**"
    )
display(Markdown(said))

# %% tags=["hide-input"]
chapter.by_batch_size(
    long,
    "scaled_ece",
    "ECE after temperature scaling",
    name="ece-scaled",
    caption="With one temperature a net, the lines change places: the standard net is the better"
    " calibrated one.",
)

# %% [markdown]
# **Why?** It is not shown here. One temperature stretches all confidences alike, so it mends an error of one
# sign and size; what remains is not of that kind.
#
# ## And if only the confidence's order counts?
#
# Calibration says whether a confidence can be believed; whether it can be *used* is another question. Let the
# net answer only where it is most confident, and count the errors among its answers, from the surest image to
# all of them: the area under that risk-coverage curve (AURC) {cite:p}`geifman2019` is low for a net that
# knows where it errs. **Before you look:** it cannot depend on a temperature. Does it depend on the loss?

# %% tags=["hide-input"]
chapter.by_batch_size(
    long,
    "aurc",
    "area under risk-coverage",
    name="aurc-long",
    caption="Lower is better. The joint line lies below, except on CIFAR-10 at large batches.",
)


def excess(rows):
    """Beside the AURC that of a perfect order at the same accuracy, subtracted."""
    rows = rows.copy()
    for loss in values.NETS:
        right = rows["test_accuracy", loss, "long"].astype(float)
        least = 1 - right + right * np.log(right)
        rows["excess", loss, "long"] = rows["aurc", loss, "long"] - least
    return rows


sorts = chapter.by_dataset(lambda rows: rules.effect(values.lower(rows, "aurc")))
beyond = chapter.by_dataset(lambda rows: rules.effect(values.lower(excess(rows), "excess")))
said = "The joint loss lowers the AURC, mean over batch sizes, by " + "; ".join(
    f"{words.with_interval(row, 4)} on {titles[name]}" for name, row in sorts.iterrows()
)
if PROFILE == "cpu":
    for found in (sorts, beyond):
        assert (found.drop("cifar10")["low"] > 0).all() and found["low"]["cifar10"] < 0 < found["high"][
            "cifar10"
        ]
    aurc = tables.paired_difference(long, "aurc").query("mean > 0")
    assert set(aurc["dataset"]) == {"cifar10"} and aurc["batch_size"].min() >= 128  # as the caption says
    said = f"**The joint net sorts a little better on three sets of four.** {said}"
display(
    Markdown(
        f"{said}.\n\n**Is that its accuracy?** The area counts every error. Of the {sorts['mean'].max():.4f}"
        f" on {titles[sorts['mean'].idxmax()]}, {beyond['mean'][sorts['mean'].idxmax()]:.4f} remain when the"
        " area of a perfect order with as many errors is subtracted from both."
    )
)

# %% [markdown]
# ## And by scores that judge everything at once?
#
# **Before you look:** the joint net is better on the raw ECE and worse on that after scaling. Which of them
# will the others follow?
#
# NLL and Brier score judge the whole predicted distribution at once: right answers, and probabilities that
# fit. What the joint loss changes in each, as joint minus standard, so that below zero is better:

# %% tags=["hide-input"]
uses = {
    "ece": "ECE",
    "scaled_ece": "ECE, T",
    "nll": "NLL",
    "scaled_nll": "refinement",
    "miscalibration": "miscalibration",
    "brier": "Brier",
}


def change(rows, metric):
    """Joint minus standard."""
    return words.with_interval(rules.effect(values.gain(rows, metric, "long"))).replace(" [", "<br>[")


rows = [
    [title, *(change(values.on(pairs, name), metric) for metric in uses)] for name, title in titles.items()
]
rows.append(["**mean**", *(change(pairs, metric) for metric in uses)])
if PROFILE == "cpu":
    for metric in ("nll", "scaled_nll", "brier"):
        assert rules.effect(values.gain(pairs, metric, "long"))["high"] < 0
    assert rules.effect(values.gain(pairs, "scaled_ece", "long"))["low"] > 0
display(
    Markdown(
        words.markdown_table(["data set", *uses.values()], rows)
        + "\n\nMean over batch sizes with its 95 % interval (Student's t, seeds as the unit), test"
        " images, long scheme; *T*: after temperature scaling of both nets. Refinement is the NLL after it,"
        " miscalibration what it took away."
    )
)
if PROFILE == "cpu":
    display(Markdown("**On average better by each of them; only the ECE after scaling is worse.**"))

# %% [markdown]
# ## The thesis and this chapter
#
# Each row is a statement of the thesis in our words, its test, and the verdict that the runs above give it,
# which is computed. The interval is corrected for the number of claims: a claim is *reproduced* where it
# lies wholly inside what is claimed, *not reproduced* where it lies wholly outside, *inconclusive* where it
# holds a boundary. [How a verdict comes about](verdicts.ipynb) gives the tests, the margin and the number of
# seeds that would decide. Some nets have not fitted their training images; the number stands under a claim,
# and B7 and B8 leave them out.

# %% tags=["hide-input"]
chapter.claims("calibration")

# %% [markdown]
# **Limits.** The ECE is a biased estimate that depends on the bins and is close to zero for any net with
# nearly perfect accuracy. It judges the top prediction only. Cells with hollow markers have not fitted their
# training data, and the thesis speaks of nets that have.
#
# ## Exercises
#
# **1.** Construct predictions with an ECE of zero that are useless.
#
# ```{admonition} Solution
# :class: dropdown
# Always answer with the class frequencies: on balanced data confidence 0.1 and accuracy 0.1. Calibration
# without accuracy is easy, which is why the two are reported side by side.
# ```
#
# **2.** Why do deep nets trained with the conditional loss get over-confident late in training, and why could
# the joint loss slow that down?
#
# ```{admonition} Solution
# :class: dropdown
# Once every training image is classified correctly, the likelihood still grows when all logits grow, so
# confidence rises without accuracy. In the joint loss, growing logits make $\ln Z$ uneven over the batch, and
# the KL term of (theory.12) charges for that.
# ```
#
# **3.** With $n$ images in a bin, how large is the gap of a perfectly calibrated bin on average? Why does 15
# instead of 10 bins raise the ECE?
#
# ```{admonition} Solution
# :class: dropdown
# About $\sqrt{2p(1-p)/(\pi n)}$, the mean absolute deviation of a proportion. More bins mean fewer images in
# each, and absolute values of noise add up: the estimate is biased upward.
# ```
