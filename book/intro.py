# %% [markdown]
# # Generatively learned feed forward networks
#
# *A reproduction of the bachelor's thesis of Jakob Klinger, TU Dresden, 2021* {cite:p}`klinger2021`.
#
# A classifier ends in $K$ numbers per image, the logits $f(x)$. They are usually read as $\ln p(y|x)$ up to a
# constant. Read them as $\ln p(x, y)$ up to a constant instead, approximate that constant over the
# mini-batch, and training changes in one term:
#
# $$ \underbrace{\tfrac1N\sum_l \ln Z(x^l)}_{\text{standard: mean}} \quad\longrightarrow\quad
#    \underbrace{\ln \tfrac1N\sum_l Z(x^l)}_{\text{GFFN: log-sum-exp}},
#    \qquad Z(x) = \sum_y e^{\langle y, f(x)\rangle}. $$
#
# The network, its speed and its use as a classifier stay the same. The thesis asks whether such a
# *generatively learned feed forward network* (GFFN) is more accurate, better calibrated, and able to tell
# unfamiliar inputs by their low $p(x)$. This book derives the loss, repeats the experiments, and sets what
# the thesis says beside what we measure.

# %% tags=["parameters", "hide-input"]
PROFILE = "cpu"  # "cpu": published results; "digits": live in minutes; "colab", "thesis": on a GPU
RESULTS = "../results"  # the store of results
TRAIN_MISSING = False  # True: train here and now what the store lacks
DEVICE = "auto"  # "auto", "cpu" or "cuda"
DATA_ROOT = None  # folder of the data sets; None: $GFFN_DATA or the user's cache

# %% tags=["hide-input"]
from IPython.display import Markdown, display

from gffn_core.experiments import tables
from gffn_core.pages import claims, words
from gffn_core.pages.chapter import open_chapter
from gffn_core.training import course

chapter = open_chapter(
    PROFILE, RESULTS, announce=False, train_missing=TRAIN_MISSING, device=DEVICE, root=DATA_ROOT
)
long = chapter.long

# %% [markdown]
# ## Results

# %% tags=["hide-input"]
gain, ece = (tables.paired_difference(chapter.table, metric) for metric in ("test_accuracy", "ece"))
fitted = tables.summary(long, "train_accuracy")
sentence = {}
for scheme in ("early", "long"):
    here = gain[gain["scheme"] == scheme]["mean"]
    error = ece[ece["scheme"] == scheme]["mean"]
    sentence[scheme] = (
        f"**{scheme}**: more accurate in {(here > 0).sum()} of {len(here)} cells, "
        f"{100 * here.mean():+.2f} points on average; "
        f"lower ECE in {(error < 0).sum()} of {len(error)}, {error.mean():+.3f} on average"
    )
cheap = tables.remedies(chapter.table)
scores = ["auroc_log_px", "auroc_max_softmax"]
scored = long[long["dataset"].isin(["cifar10", "svhn", "digits_0_4"])].groupby(
    ["dataset", "loss"], sort=False
)
unfamiliar = "; ".join(
    f"{words.escape(tables.short_title(part['title'].iloc[0]))}: {part['auroc_log_px'].mean():.2f}, against"
    f" {part['auroc_max_softmax'].mean():.2f} by max softmax"
    for (_, loss), part in scored
    if loss == "joint"
)
rows = [
    (
        "[Is the derivation right?](../notebooks/theory.ipynb)",
        "one softmax more per step; equal at batch size 1",
        "exact, and the change is a penalty: KL(uniform ‖ p′)",
    ),
    (
        (
            "[Accuracy](../notebooks/accuracy.ipynb) and [calibration](../notebooks/calibration.ipynb), "
            "training stopped early"
        ),
        "at least as accurate",
        sentence["early"],
    ),
    ("The same, trained long", "at least as accurate; lower ECE everywhere", sentence["long"]),
    (
        "[Would something cheaper do?](../notebooks/calibration.ipynb)",
        "not asked",
        f"**yes, for the ECE**: a standard net that stops early has a lower one than the joint net trained"
        f" long in {cheap.stopped} of {cheap.pairs} pairs, one with a temperature in {cheap.scaled}; with a"
        f" temperature for both, the joint net keeps the lower NLL in {cheap.finer}",
    ),
    (
        "[Does ln p(x) of the joint net detect unfamiliar images?](../notebooks/ood.ipynb)",
        "no; worse than max softmax",
        f"AUROC of ln p(x), trained on {unfamiliar}",
    ),
]
display(
    Markdown(
        words.markdown_table(["Question", "The thesis says of the GFFN", "We measure"], rows)
        + f"""

In the first rows joint is compared with standard. A *cell* is one data set and batch size, averaged over
seeds. Of the {len(fitted)} cells and losses trained long, {int(fitted["underfit"].sum())} have a seed that
ends below {words.percent(course.FITTED, 0)} training accuracy: their budget was too short to count as the
thesis's long scheme.

**Shown here:** {chapter.coverage}.
"""
    )
)

# %% tags=["hide-input"]
chapter.by_batch_size(
    long,
    "ece",
    "expected calibration error",
    name="headline",
    lead="Calibration error after long training (lower is better).",
)

# %% [markdown]
# ## The claims of the thesis, one by one
#
# Every statement that can be tested has a test and a verdict, which is computed from the runs shown here.
# *Inconclusive*: the interval holds a boundary of what is claimed. *Not testable here*: it hangs on all of
# SVHN, of which we have a part. [How a verdict comes about](../notebooks/verdicts.ipynb) has the rest. Each
# chapter ends with its part. Claims of our own, which the thesis does not make, are counted apart.

# %% tags=["hide-input"]
order = ["reproduced", "not reproduced", "inconclusive", "not testable here", "no data"]
ledger = chapter.ledger
rows = []
for family, part in ledger.groupby("family", sort=False):
    counts = part.groupby(["chapter", "verdict"], sort=False).size().unstack(fill_value=0)
    counts = counts.reindex(columns=order, fill_value=0)
    of = {"thesis": "", "ours": ", our own"}[family]
    rows += [[f"{topic}{of}", *map(str, row)] for topic, row in zip(counts.index, counts.to_numpy())]
    rows.append([f"**all{of}**", *(f"**{count}**" for count in counts.sum())])
display(Markdown(words.markdown_table(["chapter", *order], rows)))

# %% tags=["hide-input"]
display(
    Markdown(f"<details><summary>All {len(ledger)} claims</summary>\n\n{claims.short(ledger)}\n\n</details>")
)

# %% [markdown]
# ## How to read this book
#
# - New to it? [Background](background.md) is two screens; [the theory](../notebooks/theory.ipynb) derives and
#   checks everything.
# - Here for results? [Accuracy](../notebooks/accuracy.ipynb), [calibration](../notebooks/calibration.ipynb)
#   and [out-of-distribution detection](../notebooks/ood.ipynb) each end with the thesis's statements beside
#   ours. The [explorer](../notebooks/explorer.ipynb) shows one cell of the grid at a time;
#   [choices](../notebooks/choices.ipynb) says what depends on the settings that the thesis leaves open.
# - Several devices, or many runs? [One batch on several processes](../notebooks/distributed.ipynb) and
#   [how fast it trains](../notebooks/speed.ipynb); [the sweep on many machines](../notebooks/cluster.ipynb).
# - Want to run it? [How to rerun](rerun.md): one command for everything, or any chapter on Colab.
# - Want the loss? `from gffn_core.losses import JointCrossEntropyLoss`, in place of
#   `torch.nn.CrossEntropyLoss`.
#
# Every number on these pages that is a result is computed from the records in `results/` when the page is
# built, and where a sentence draws a conclusion from numbers, the cell checks it.
