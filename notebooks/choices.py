# %% [markdown]
# # Choices the thesis leaves open
#
# A result that holds for one learning rate alone is not a result. The thesis prints few of its settings, so
# every reproduction has to choose. This page lists what we chose, why, and how much the findings depend on
# it.
#
# **After this chapter you can**
#
# - name every setting behind our runs that the thesis does not fix;
# - say which findings change with a setting and which do not;
# - change one yourself by one command.

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

from gffn_core.experiments import profiles, tables
from gffn_core.model import HIDDEN, WIDTHS, ConvNet
from gffn_core.pages import figures, publish, words
from gffn_core.pages.chapter import open_chapter
from gffn_core.training import course
from gffn_core.verdicts import intervals, rules, values

chapter = open_chapter(PROFILE, RESULTS, train_missing=TRAIN_MISSING, device=DEVICE, root=DATA_ROOT)
records, long = chapter.records, chapter.long

# %% [markdown]
# ## What the thesis says, and what we do

# %% tags=["hide-input"]
settings = (
    (
        "architecture",
        (
            "convolutional, the same for all data sets; no dropout, no batch normalisation; zero padding"
            " evens out image sizes [5.1]"
        ),
        "three 3x3 convolutions with ReLU and max pooling, one hidden layer, in two widths (below)",
        "the plainest net of that description",
    ),
    ("optimiser", "Adam [5.1]", "Adam, PyTorch's defaults", ""),
    (
        "learning rate",
        (
            'not printed; adapting it to the batch size with a constant number of iterations "is not'
            ' feasible" [5.1]'
        ),
        "0.001, constant",
        "Adam's default",
    ),
    (
        "*early* scheme",
        'until validation accuracy "did not improve anymore for multiple epochs" [5.1]',
        (
            "the best weights once three epochs and a hundred steps brought nothing better (profile `thesis`:"
            " five)"
        ),
        "an epoch of large batches is but a few steps",
    ),
    (
        "*long* scheme",
        "until a time limit [5.1]",
        "until training accuracy was at least 99 % for ten epochs in a row, or a number of epochs is used up",
        "a time limit depends on the machine",
    ),
    (
        "validation data",
        "text and captions disagree on *validation* and *test* [5.1]",
        "a fixed stratified tenth of the training images; test images are only reported on",
        "no choice may see test data",
    ),
    ("bins of the ECE", "$M$ is not printed; figures show ten [5.2]", "10 of equal width", ""),
    (
        "label space",
        "derived for binary label vectors [4], outputs are softmax [5.2]",
        "one-hot (`categorical`); binary below",
        "the softmax is what is evaluated",
    ),
    (
        "preprocessing",
        "not printed",
        "each channel to zero mean and unit variance over the training images",
        "",
    ),
    ("incomplete batches", "not printed", "left out", "every step has the batch size it is plotted at"),
    (
        "SVHN",
        "all of it, presumably",
        "a subset of the official images",
        "see [the data](reproducibility.ipynb)",
    ),
)
display(Markdown(words.markdown_table(["setting", "the thesis", "here", "why"], settings)))

# %% tags=["hide-input"]
sentences = []
for name, width in WIDTHS.items():
    channels = ", ".join(str(width * 2**i) for i in range(3))
    weights = sum(p.numel() for p in ConvNet(3, 32, width=width).parameters())
    sentences.append(f"The {name} net has {channels} channels and {weights:,} weights for CIFAR-10.")
display(Markdown(" ".join(sentences) + f" The hidden layer has {HIDDEN} units."))

# %% [markdown]
# ## How long is long?
#
# The budgets were set on validation accuracy, on pilot runs of seed 0: each batch size has so many epochs
# that its nets come to fit their training images, as the thesis describes, or that validation accuracy has
# stopped rising. Were they enough? The last column is the gain in validation accuracy over the last fifth of
# the epochs: where it is well above zero, more training would have changed the figures.


# %% tags=["hide-input"]
def late_gain(record):
    """Of validation accuracy, over the last fifth of the epochs."""
    curve = record["curves"]["val_accuracy"]
    fifth = max(1, len(curve) // 5)
    return np.mean(curve[-fifth:]) - np.mean(curve[-2 * fifth : -fifth])


rows = []
for batch in sorted({r["run"]["batch_size"] for r in chapter.finished}):
    group = [r for r in chapter.finished if r["run"]["batch_size"] == batch]
    ends = [r["evaluations"]["long"] for r in group]
    fitted = sum(end["train_accuracy"] >= course.FITTED for end in ends)
    steps = [end["step"] for end in ends]
    late = [late_gain(r) for r in group]
    rows.append(
        [
            str(batch),
            str(group[0]["run"]["epochs"]),
            f"{min(steps):,} to {max(steps):,}",
            f"{fitted} of {len(group)}",
            f"{np.mean(late):+.4f} (at most {max(late):+.4f})",
        ]
    )
header = [
    "batch size",
    "epochs at most (SVHN subset: four times as many)",
    "steps taken",
    "nets fitted",
    "late gain in validation accuracy",
]
display(Markdown(words.markdown_table(header, rows)))

# %% [markdown]
# ## Bins
#
# The expected calibration error depends on how confidences are binned. The same nets, three ways; the
# difference is joint minus conditional, with its 95 % interval ([how](verdicts.ipynb)).

# %% tags=["hide-input"]
BINS = {
    "ece": "10 bins of equal width",
    "ece_uniform15": "15 bins of equal width",
    "ece_quantile10": "10 bins of equal number",
}
pairs = values.pairs_of(records)
rows = []
for metric, label in BINS.items():
    lower = values.lower(pairs, metric)
    found = rules.between(intervals.estimate(lower))
    low, high = found.interval()
    means = long.groupby("loss")[metric].mean()
    rows.append(
        [
            label,
            f"{means['conditional']:.4f}",
            f"{means['joint']:.4f}",
            f"{-found.estimate.effect:+.4f} [{-high:+.4f}, {-low:+.4f}]",
            words.percent((lower["value"] > 0).mean(), 0),
        ]
    )
header = ["ECE with", "conditional", "joint", "difference", "joint lower in"]
display(Markdown(words.markdown_table(header, rows) + "\n\nLong scheme, mean over all cells."))

# %% [markdown]
# ## Learning rate, training images, width, label space
#
# One setting at a time, on CIFAR-10. Everything else, seeds included, is as in the runs above.

# %% tags=["hide-input"]
VARIANTS = {
    "slower": "rate 0.0001",
    "slow": "rate 0.0003",
    "fast": "rate 0.003",
    "equal": "equal epochs",
    "fewer": "10,000 images",
    "wide": "wide net",
    "binary": "binary labels",
}
METRICS = {
    "test_accuracy": "test accuracy",
    "ece": "ECE",
    "auroc_max_softmax": "AUROC, max softmax",
    "auroc_log_px": "AUROC, ln p(x)",
}


def long_scheme(records):
    return tables.frame(records).query("scheme == 'long'")


def in_words(table):
    """Accuracy and ECE by batch size and loss."""
    return ", ".join(
        f"{loss} at B = {batch} accuracy {part['test_accuracy'].mean():.3f} and ECE {part['ece'].mean():.3f}"
        for (batch, loss), part in table.groupby(["batch_size", "loss"])
    )


changed = {name: chapter.variant(name) for name in VARIANTS}
changed = {
    name: [r for r in found if r["run"]["dataset"].startswith("cifar10")] for name, found in changed.items()
}
changed = {name: found for name, found in changed.items() if found}
choices = {VARIANTS[name]: long_scheme(found) for name, found in changed.items()}
if choices:
    sizes = {batch for one in choices.values() for batch in one["batch_size"]}
    base = [r for r in records if r["run"]["dataset"] == "cifar10" and r["run"]["batch_size"] in sizes]
    choices = {"as above": long_scheme(base)} | choices
    drawn = pd.concat(one.assign(choice=label) for label, one in choices.items())
    publish.show(
        figures.by_choice(choices, METRICS),
        name="choices",
        data=drawn[["choice", "batch_size", "seed", "loss", *METRICS]],
        alt="Test accuracy, ECE and AUROC on CIFAR-10, long scheme, both losses, for each changed setting. "
        + "; ".join(f"{label}: {in_words(one)}" for label, one in choices.items())
        + ".",
        caption="Each row changes one setting. Does the gap between the losses stay? CIFAR-10, long scheme.",
        basis=words.basis([*base, *sum(changed.values(), [])], ", ".join([PROFILE, *changed])),
    )
else:
    display(Markdown(f"These runs belong to profile `cpu`; this page was made with `{PROFILE}`."))


# %% tags=["hide-input"]
def difference(metric):
    """Joint minus conditional, a row per batch size and setting."""
    found = {label: tables.paired_difference(one, metric) for label, one in choices.items()}
    return pd.concat(found, names=["setting"]).reset_index("setting").sort_values("batch_size", kind="stable")


def where_higher(metric):
    higher = differences[metric][differences[metric]["mean"] > 0]
    named = [f"{row.setting} (B = {row.batch_size})" for row in higher.itertuples()]
    return f"{len(higher)} of {len(differences[metric])} rows" + (
        f": {', '.join(named)}" if 0 < len(named) <= 3 else ""
    )


if choices:
    differences = {metric: difference(metric) for metric in METRICS}
    cells = differences["test_accuracy"]
    effects = [one["mean"].map("{:+.3f}".format) for one in differences.values()]
    rows = zip(cells["batch_size"].map(str), cells["setting"], cells["n"].map(str), *effects)
    display(
        Markdown(
            "Joint minus conditional, mean over the seeds that both losses have:\n\n"
            + words.markdown_table(["batch size", "setting", "seeds", *METRICS.values()], rows)
            + f"\n\nThe joint loss has the higher accuracy in {where_higher('test_accuracy')}; the higher ECE"
            f" in {where_higher('ece')}; the higher AUROC by max softmax in"
            f" {where_higher('auroc_max_softmax')}."
        )
    )

# %% [markdown]
# ## Does the gain survive when each loss has its own learning rate?
#
# A reviewer's first objection: the rate was chosen for neither loss, so the gain may be that of a rate which
# happens to suit the joint loss. So let each loss have the rate that is best *for it*, by the negative
# log-likelihood on validation images, and the epoch at which that is lowest (test images choose nothing).

# %% tags=["hide-input"]
RATES = ("slower", "slow", PROFILE, "fast")
tried = [
    r for name in RATES for r in (chapter.variant(name) if name != PROFILE else records) if not r["diverged"]
]
tuned = tables.frame(tried, schemes=(course.LOWEST_NLL,))
tuned["val_nll"] = [min(r["curves"]["val_nll"]) for r in tried if course.LOWEST_NLL in r["evaluations"]]
control = profiles.profile("slow")
tuned = tuned[tuned["dataset"].isin(control.datasets) & tuned["batch_size"].isin(control.batch_sizes)]
by, needed = ["dataset", "batch_size", "loss"], len(RATES) * len(control.runs())
if len(tuned) == needed:
    mean = tuned.groupby([*by, "learning_rate"])["val_nll"].mean()
    best = mean.groupby(level=by).idxmin().map(lambda index: index[-1])
    at_best = tuned[tuned["learning_rate"] == best.loc[pd.MultiIndex.from_frame(tuned[by])].to_numpy()]
    shown = [r for r in tried if r["key"] in set(tuned["key"])]
    rows = []
    for (dataset, batch, loss), part in at_best.groupby(by):
        numbers = part[["test_accuracy", "ece", "scaled_nll", "miscalibration"]].mean()
        rows.append(
            [dataset, str(batch), loss, f"{best[dataset, batch, loss]:g}", *(f"{v:.3f}" for v in numbers)]
        )
    header = [
        "data set",
        "batch size",
        "loss",
        "its best rate",
        "accuracy",
        "ECE",
        "refinement",
        "miscalibration",
    ]
    display(
        Markdown(
            words.markdown_table(header, rows)
            + f"\n\nTest images. {words.escape(words.basis(shown, ', '.join(RATES)))}"
        )
    )
else:
    display(
        Markdown(
            f"*Not yet answered.* It needs {len(control.seeds)} seeds of both losses at {len(RATES)}"
            f" rates on two"
            f" batch sizes and data sets (profiles `slower`, `slow`, `fast`); {len(tuned)} of {needed}"
            f" such runs"
            " are at hand."
        )
    )

# %% [markdown]
# ## Softmax or sigmoid?
#
# The thesis derives its loss for label vectors $y \in \{0, 1\}^K$, whose partition function is
# $\prod_k (1 + e^{f_k})$, and evaluates softmax outputs, whose partition function is $\sum_k e^{f_k}$. Both
# readings are implemented (`label_space`). Do they differ in accuracy?

# %% tags=["hide-input"]
binary = chapter.variant("binary")
if binary:
    both = (
        pd.concat([long, long_scheme(binary)])
        .pivot_table(
            index=["title", "batch_size", "loss", "seed"],
            columns="label_space",
            values=["test_accuracy", "ece"],
        )
        .dropna()
    )
    change = both.xs("binary", level="label_space", axis=1) - both.xs(
        "categorical", level="label_space", axis=1
    )
    means = change.groupby(level=["title", "loss", "batch_size"])
    rows = [
        [
            words.escape(title),
            loss,
            str(batch),
            str(len(part)),
            f"{part['test_accuracy'].mean():+.4f}",
            f"{part['ece'].mean():+.4f}",
        ]
        for (title, loss, batch), part in means
    ]
    header = [
        "data set",
        "loss",
        "batch size",
        "seeds",
        "accuracy, binary minus categorical",
        "ECE, binary minus categorical",
    ]
    display(
        Markdown(
            words.markdown_table(header, rows)
            + f"\n\nThe binary reading has the higher test accuracy in {(change['test_accuracy'] > 0).sum()}"
            f" of {len(change)} pairs of runs, the lower ECE in {(change['ece'] < 0).sum()}. Long scheme;"
            f" {words.escape(words.basis(binary, 'binary'))}."
        )
    )
else:
    display(Markdown("No runs with binary labels are at hand for this profile."))

# %% [markdown]
# ## How much of the KL term?
#
# The joint loss is the standard one plus the divergence $\operatorname{KL}(\text{uniform}\,\|\,p')$,
# (theory.12) in [the theory](theory.ipynb). Nothing forces its weight to be 1. `joint_nll(..., kl_weight=w)`
# leads from the standard loss ($w = 0$) through the thesis's ($w = 1$) and beyond. On the first 10,000
# training images of CIFAR-10 (weights above 10 were added after the test results of the others had been
# seen; the weight that is picked below is picked on validation images):

# %% tags=["hide-input"]
weighted = chapter.variant("fewer") + chapter.variant("weight")
by_weight = pd.DataFrame(columns=["weight"])
if weighted:
    by_weight = long_scheme(weighted)
    by_weight["weight"] = by_weight["kl_weight"].where(by_weight["loss"] == "joint", 0.0)
NAMED = {0: " (standard)", 1: " (thesis)"}
labels = {weight: f"weight {weight:g}{NAMED.get(weight, '')}" for weight in sorted(set(by_weight["weight"]))}
enough = len(labels) > 2
if enough:
    shown = {
        "test_accuracy": "test accuracy",
        "ece": "ECE",
        "nll": "NLL",
        "auroc_max_softmax": "AUROC, max softmax",
    }
    means = by_weight.groupby(["weight", "batch_size"])[["test_accuracy", "ece"]].mean()
    publish.show(
        figures.by_choice(
            {label: by_weight[by_weight["weight"] == weight] for weight, label in labels.items()}, shown
        ),
        name="kl-weight",
        data=by_weight[["weight", "batch_size", "seed", *shown]],
        alt="Test accuracy, ECE, NLL and AUROC of nets trained with different weights of the KL term. "
        + "; ".join(
            f"{labels[weight]} at B = {batch}: accuracy {row['test_accuracy']:.3f}, ECE {row['ece']:.3f}"
            for (weight, batch), row in means.iterrows()
        )
        + ".",
        caption="From no KL term (standard) to a thousand times the thesis's. 10,000 training images.",
        basis=words.basis(weighted, "fewer, weight"),
    )
else:
    display(Markdown("No runs with other weights are at hand for this profile."))

# %% tags=["hide-input"]
COMPARED = {"test_accuracy": "its accuracy is", "ece": "its ECE", "nll": "its NLL"}
for batch, part in by_weight.groupby("batch_size") if enough else ():
    numbers = ["val_accuracy", *COMPARED, "scaled_ece", "scaled_nll"]
    means = part.groupby("weight")[numbers].mean()
    best = means["val_accuracy"].idxmax()
    compared = ", ".join(
        f"{label} {means[metric][best]:.3f} ({means[metric][0]:.3f} with weight 0, {means[metric][1]:.3f}"
        " with 1)"
        for metric, label in COMPARED.items()
    )
    scaled, standard = means.loc[best], means.loc[0]
    display(
        Markdown(
            f"**B = {batch}**: the best validation accuracy has weight"
            f" {best:g}{', the largest tried' if best == max(labels) else ''}. On test images {compared}. The"
            f" standard net after temperature scaling: ECE {standard['scaled_ece']:.3f}, NLL"
            f" {standard['scaled_nll']:.3f}; the net of weight {best:g} after it: {scaled['scaled_ece']:.3f}"
            f" and {scaled['scaled_nll']:.3f}."
        )
    )

# %% [markdown]
# The nets of the smallest batch size above, one weight at a time: move the slider. Without scripts all
# diagrams are shown.

# %% tags=["hide-input"]
if enough:
    batch, seed = by_weight["batch_size"].min(), by_weight["seed"].min()
    one = by_weight.query("batch_size == @batch and seed == @seed").set_index("weight").sort_index()
    record_of = {record["key"]: record for record in weighted}
    display(
        {
            "text/html": (
                '<label class="gffn-steps" hidden>weight of the KL term <input type="range" min="0"'
                f' max="{len(one) - 1}" value="0" step="1"'
                f' data-names="{"|".join(labels[weight] for weight in one.index)}"> <output></output></label>'
            ),
            "text/plain": "A slider over the diagrams, on the book's page.",
        },
        raw=True,
    )
    for weight, key in one["key"].items():
        record, label = record_of[key], labels[weight]
        found = record["evaluations"]["long"]
        publish.show(
            figures.reliability([record]),
            name=f"kl-weight-{weight:g}".replace(".", "-"),
            data=tables.bins([record]),
            alt=(
                f"Reliability diagram, {label}, B = {batch}: ECE {found['ece']['uniform10']:.3f}, "
                f"accuracy {found['test_accuracy']:.3f}."
            ),
            caption=f"{label.capitalize()}, batch size {batch}, long scheme.",
            basis=words.basis([record], "fewer, weight"),
        )

# %% [markdown]
# ## Try another
#
# `gffn sweep fast`, `slow`, `slower`, `equal`, `fewer`, `wide`, `binary` and `weight` train these runs. A
# choice of one's own is one line in `PROFILES` (`gffn_core/experiments/profiles.py`): a name, data sets,
# epochs per batch size, and the fields of `Run` that differ.
