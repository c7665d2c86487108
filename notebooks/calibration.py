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
# - say when the thesis's main claim holds in our runs.

# %% tags=["parameters", "remove-cell"]
PROFILE = "cpu"  # "cpu": published results; "digits": live in minutes; "colab", "thesis": on a GPU
RESULTS = "../results"  # the store of results
TRAIN_MISSING = False  # True: train here and now what the store lacks
DEVICE = "auto"  # "auto", "cpu" or "cuda"
DATA_ROOT = None  # folder of the data sets; None: $GFFN_DATA or the user's cache

# %% tags=["hide-input"]
import pandas as pd
from IPython.display import Markdown, display

from gffn_core.experiments import tables
from gffn_core.pages import figures, publish, words
from gffn_core.pages.chapter import open_chapter, pair_near
from gffn_core.training import course
from gffn_core.verdicts import intervals, rules, values

chapter = open_chapter(PROFILE, RESULTS, train_missing=TRAIN_MISSING, device=DEVICE, root=DATA_ROOT)
early, long = chapter.early, chapter.long

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
# ## ECE against batch size
#
# Thesis figure 5.3 (long scheme). Lower is better.

# %% tags=["hide-input"]
chapter.by_batch_size(
    long,
    "ece",
    "expected calibration error",
    name="ece-long",
    caption="Lower is better. Look for the gap between the lines, and whether it widens.",
)

# %% [markdown]
# The thesis leaves the early scheme out because its values are "strictly worse". Ours:

# %% tags=["hide-input"]
chapter.by_batch_size(
    early,
    "ece",
    "expected calibration error",
    name="ece-early",
    caption="The same nets at their early point. Mind the scale.",
)

# %% [markdown]
# ## Over- or under-confident?
#
# The ECE has no sign. Mean confidence minus accuracy has: above zero the net promises too much, below zero
# too little.

# %% tags=["hide-input"]
chapter.by_batch_size(
    long,
    "overconfidence",
    "confidence - accuracy",
    name="overconfidence-long",
    caption="Above zero: more sure than right; below: too modest. Long scheme.",
)

# %% tags=["hide-input"]
cells = tables.summary(long, "overconfidence")
by_fit = cells.groupby(["underfit", "loss"])["mean"].agg(["mean", "count"])
display(
    Markdown(
        "Mean of confidence minus accuracy over cells: "
        + "; ".join(
            f"{loss}, {'underfit' if underfit else 'fitted'}: {row['mean']:+.3f} ({row['count']:.0f} cells)"
            for (underfit, loss), row in by_fit.iterrows()
        )
        + ". A net that has fitted its training data tends to be over-confident; the joint loss holds"
        " confidence down, which helps there and can hurt where confidence was not too high to begin with."
    )
)

# %% [markdown]
# ## Reliability diagrams
#
# Bars: accuracy within the bin, with its 95 % interval (Wilson) given the number of images in it. Short thick
# line: mean confidence of the bin. A calibrated bar ends at that line. Bins without images have no bar.
# Below: the share, and the number, of images per bin.
#
# ### An easy data set
#
# Thesis figure 5.4 (MNIST, batch size 128): nearly all predictions have the highest confidence, so there is
# little uncertainty to judge.


# %% tags=["hide-input"]
def show_reliability(dataset, batch_size):
    pair = pair_near(chapter.records, dataset, batch_size)
    run = pair[0]["run"]
    top = [r["evaluations"]["long"]["calibration"]["uniform10"]["count"] for r in pair]
    publish.show(
        figures.reliability(pair),
        name=f"reliability-{run['dataset']}-{run['batch_size']}".replace("_", "-"),
        data=tables.bins(pair),
        alt=f"Reliability diagrams of {pair[0]['data']['title']} at batch size {run['batch_size']}. "
        + "; ".join(
            f"{r['run']['loss']} loss: ECE {r['evaluations']['long']['ece']['uniform10']:.3f}, accuracy"
            f" {r['evaluations']['long']['test_accuracy']:.3f}, {words.percent(n[-1] / sum(n), 0)} of the"
            " images in the top bin"
            for r, n in zip(pair, top)
        )
        + ".",
        caption=f"{pair[0]['data']['title']}, batch size {run['batch_size']}, long scheme. Bars below the"
        " diagonal: more sure than right.",
        basis=words.basis(pair, PROFILE),
    )


show_reliability("mnist", 128)

# %% [markdown]
# ### A hard one
#
# Thesis figure 5.5 (CIFAR-10, batch size 2048): large gaps for the standard net, steadily rising accuracy for
# the GFFN.

# %%
show_reliability("cifar10", 2048)

# %% [markdown]
# The same data set at a small batch, where the net has taken many more steps:

# %%
show_reliability("cifar10", 16)

# %% [markdown]
# ## Do the bins decide?
#
# ECE of the same predictions with 10 or 15 bins of equal width, and 10 of equal mass:

# %% tags=["hide-input"]
choices = ["ece", "ece_uniform15", "ece_quantile10"]
signs = pd.DataFrame(
    {
        choice: tables.paired_difference(long, choice).set_index(["title", "batch_size"])["mean"]
        for choice in choices
    }
)
agree = ((signs > 0).nunique(axis=1) == 1).sum()
means = (
    long.groupby(["title", "loss"], sort=False)[choices]
    .mean()
    .rename(
        columns={
            "ece": "10 equal width",
            "ece_uniform15": "15 equal width",
            "ece_quantile10": "10 equal mass",
        }
    )
)
means.index.names = ["data set", "loss"]
display(means.rename(index=tables.short_title, level="data set").round(4))
display(Markdown(f"All three agree on which loss is better calibrated in **{agree} of {len(signs)}** cells."))

# %% [markdown]
# ## Along training
#
# When is the joint loss better calibrated? Mean confidence minus accuracy on the validation images after each
# epoch: while a net is still learning it is often too modest, and once it has fitted its training images it
# is too sure of itself.


# %%
def signed_error(record):
    curves = record["curves"]
    return [sure - right for sure, right in zip(curves["val_confidence"], curves["val_accuracy"])]


publish.show(
    figures.curves(chapter.first_seed, signed_error, "confidence - accuracy, validation"),
    name="overconfidence-curves",
    data=tables.curve_points(chapter.first_seed, signed_error),
    alt=(
        "Mean confidence minus accuracy on validation images against epoch, per data set and batch size, one"
        " line per loss. At the end: "
    )
    + "; ".join(
        f"{r['data']['title']} at batch size {r['run']['batch_size']}, {r['run']['loss']}:"
        f" {signed_error(r)[-1]:+.3f}"
        for r in chapter.first_seed
    )
    + ".",
    caption="Above zero a net is more sure than right. One net each, validation images. Dot: the early"
    " point.",
    basis=words.basis(chapter.first_seed, PROFILE),
)

# %% tags=["hide-input"]
stages = {"below 90 %": (0, 0.9), "90 to 99 %": (0.9, course.FITTED), "99 % and above": (course.FITTED, 1.01)}
rows = []
for stage, (low, high) in stages.items():
    found = {loss: [] for loss in values.NETS}
    for r in chapter.records:
        inside = [low <= fit < high for fit in r["curves"]["train_accuracy"]]
        found[r["run"]["loss"]] += [(error, abs(error)) for error, now in zip(signed_error(r), inside) if now]
    rows.append(
        [
            stage,
            *(
                (
                    f"{sum(e for e, _ in v) / len(v):+.3f} ({sum(a for _, a in v) / len(v):.3f}; {len(v)}"
                    " epochs)"
                    if v
                    else "-"
                )
                for v in found.values()
            ),
        ]
    )
display(
    Markdown(
        words.markdown_table(["running training accuracy", *values.NETS], rows)
        + "\n\nConfidence minus accuracy on validation images: mean over all epochs of all runs in that"
        " stage, and in brackets the mean of its absolute value."
    )
)

# %% [markdown]
# ## Would stopping early, or a temperature, do as well?
#
# A practitioner has two remedies that cost nothing. One is to stop early. The other is to divide the logits
# by one number, the *temperature* $T$, fitted on validation images {cite:p}`guo2017`; it changes no
# prediction. The negative log-likelihood then falls into two parts: what the temperature mends is
# **miscalibration**, what is left is **refinement**, how well the net sorts its inputs at all
# {cite:p}`berta2025`. Before you look: which of the three, the loss, the stopping or the temperature, lowers
# the ECE most?

# %% tags=["hide-input"]
COLUMNS = {
    "test_accuracy": "accuracy",
    "ece": "ECE",
    "scaled_ece": "ECE, T",
    "nll": "NLL",
    "scaled_nll": "refinement",
    "miscalibration": "miscalibration",
}
by_stopping = tables.by_stopping(chapter.table, COLUMNS)
best = {
    name: by_stopping[name].max() if name == "test_accuracy" else by_stopping[name].min() for name in COLUMNS
}
rows = [
    [f"{loss}, {scheme}"]
    + [f"**{row[name]:.3f}**" if row[name] == best[name] else f"{row[name]:.3f}" for name in COLUMNS]
    for (loss, scheme), row in by_stopping.iterrows()
]
display(
    Markdown(
        words.markdown_table(["loss, trained", *COLUMNS.values()], rows)
        + "\n\nTest images; means over seeds, batch sizes and data sets, each data set with equal weight;"
        " *T*: after"
        f" temperature scaling. The best of each column is bold. {words.escape(chapter.basis)}"
    )
)

# %% tags=["hide-input"]
cheap = tables.remedies(chapter.table)
both = by_stopping.loc[("joint", "early")]
adds_up = [label for name, label in COLUMNS.items() if both[name] == best[name]]
said = (
    "A standard net that stops early has a lower ECE than the joint net trained long in"
    f" {cheap.stopped} of {cheap.pairs} pairs; one with a temperature in {cheap.scaled}. With a temperature"
    f" for both nets trained long, the joint net has the lower NLL in {cheap.finer} of the pairs; the ECE is"
    f" {by_stopping.loc[('joint', 'long'), 'scaled_ece']:.3f} joint,"
    f" {by_stopping.loc[('conditional', 'long'), 'scaled_ece']:.3f} standard."
)
if PROFILE == "cpu":
    scaled_ece = by_stopping["scaled_ece"]
    assert cheap[["stopped", "scaled", "finer"]].min() > cheap.pairs / 2
    assert scaled_ece["joint", "long"] > scaled_ece["conditional", "long"]
    assert {"accuracy", "ECE", "NLL", COLUMNS["scaled_nll"]} <= set(adds_up)
    said = (
        f"**Either cheap remedy lowers the ECE more than the loss does.** {said} So what remains of the loss,"
        " once a temperature is fitted, is a little refinement. **But the remedies add up: the joint net that"
        f" stops early is best of the four in {', '.join(adds_up[:-1])} and {adds_up[-1]}.**"
    )
display(Markdown(said))

# %% [markdown]
# After temperature scaling, by batch size:

# %% tags=["hide-input"]
chapter.by_batch_size(
    long,
    "scaled_ece",
    "ECE after temperature scaling",
    name="ece-scaled",
    caption="With one temperature a net: what is left of the gap?",
)

# %% [markdown]
# ## Does the confidence sort right from wrong?
#
# Calibration says whether a confidence can be believed; whether it can be *used* is another question. Let the
# net answer only where it is most confident: the error rate among the answered images against their share is
# the risk-coverage curve {cite:p}`geifman2019`. A net that knows where it errs starts near zero and rises
# late.

# %% tags=["hide-input"]
sizes = sorted(set(long["batch_size"]))
middle = min(sizes, key=lambda size: abs(size - 64))
answering = [r for r in chapter.finished if r["run"]["batch_size"] == middle]
risks = tables.risk_points(answering)
half = risks[risks["coverage"] == 0.5].groupby(["title", "loss"], sort=False)["risk"].mean()
publish.show(
    figures.risk_coverage(risks),
    name="risk-coverage",
    data=risks,
    alt=(
        f"Error rate among the most confident test images against their share, batch size {middle}, long"
        " scheme, one panel per data set, both losses. With half of the images answered: "
    )
    + "; ".join(f"{title}, {loss}: {risk:.3f}" for (title, loss), risk in half.items())
    + ".",
    caption=f"The lower, the better the confidence sorts right from wrong. Batch size {middle}, long scheme.",
    basis=words.basis(answering, PROFILE),
)

# %% [markdown]
# The area under that curve (AURC, lower is better) sums it up. Against batch size:

# %% tags=["hide-input"]
chapter.by_batch_size(long, "aurc", "area under risk-coverage", name="aurc-long", caption="Lower is better.")

# %% [markdown]
# NLL and Brier score judge the whole predicted distribution at once: right answers, and probabilities that
# fit. What the joint loss changes in each, as joint minus conditional, so that below zero is better:

# %% tags=["hide-input"]
compared = values.pairs_of(chapter.records)
uses = {
    "nll": "NLL",
    "scaled_nll": "refinement",
    "miscalibration": "miscalibration",
    "brier": "Brier",
    "aurc": "AURC",
    "ece": "ECE",
    "scaled_ece": "ECE, T",
}


def change(rows, metric):
    found = rules.between(intervals.estimate(values.lower(rows, metric)))
    low, high = found.interval()
    digits = 4 if metric == "aurc" else 3
    return "{:+.{n}f}<br>[{:+.{n}f}, {:+.{n}f}]".format(-found.estimate.effect, -high, -low, n=digits)


titles = dict(zip(long["dataset"], long["title"]))
rows = [
    [words.escape(tables.short_title(title)), *(change(values.on(compared, name), metric) for metric in uses)]
    for name, title in titles.items()
]
rows.append(["**mean**", *(change(compared, metric) for metric in uses)])
display(
    Markdown(
        words.markdown_table(["data set", *uses.values()], rows)
        + "\n\nMean over batch sizes with its 95 % interval (Student's t, seeds as the unit), test"
        " images, long"
        " scheme; *T*: after temperature scaling of both nets. Refinement is the NLL after it,"
        " miscalibration what"
        " it took away."
    )
)

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
# **2.** Why do deep nets trained with the standard loss get over-confident late in training, and why could
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
