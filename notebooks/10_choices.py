# %% [markdown]
# # Choices the thesis leaves open
#
# A result that holds for one learning rate alone is not a result. The thesis prints few of its settings, so every
# reproduction has to choose. This page lists what we chose, why, and how much the findings depend on it.
#
# **After this chapter you can**
#
# - name every setting behind our runs that the thesis does not fix;
# - say which findings change with a setting and which do not;
# - change one yourself by one command.

# %% tags=["parameters"]
PROFILE = "cpu"  # "cpu": published results; "digits": live in minutes; "colab", "thesis": on a GPU
RESULTS = "../results"  # the store of results
TRAIN_MISSING = False  # True: train here and now what the store lacks
DEVICE = "auto"  # "auto", "cpu" or "cuda"
DATA_ROOT = None  # folder of the data sets; None: $GFFN_DATA or the user's cache

# %%
import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from gffn_core.experiments import profiles, sweep, tables
from gffn_core.experiments.store import Store
from gffn_core.model import HIDDEN, WIDTHS, ConvNet
from gffn_core.pages import figures, publish, words
from gffn_core.training import course
from gffn_core.verdicts import intervals, rules, values

runs = profiles.profile(PROFILE).runs()
records = list(
    sweep.results(
        runs, Store(RESULTS), train_missing=TRAIN_MISSING, device=DEVICE, root=DATA_ROOT
    ).values()
)
table = tables.frame(records)
long = table[table["scheme"] == "long"]
basis = words.basis(records, PROFILE)
display(Markdown(f"**Shown here:** profile `{PROFILE}`, {words.coverage(records, runs)}. {words.escape(basis)}."))

# %% [markdown]
# ## What the thesis says, and what we do
#
# | setting | the thesis | here | why |
# |---|---|---|---|
# | architecture | convolutional, the same for all data sets; no dropout, no batch normalisation; zero padding evens out image sizes [5.1] | three 3x3 convolutions with ReLU and max pooling, one hidden layer, in two widths (below) | the plainest net of that description |
# | optimiser | Adam [5.1] | Adam, PyTorch's defaults | |
# | learning rate | not printed; adapting it to the batch size with a constant number of iterations "is not feasible" [5.1] | 0.001, constant | Adam's default |
# | *early* scheme | until validation accuracy "did not improve anymore for multiple epochs" [5.1] | the best weights once three epochs and a hundred steps brought nothing better (profile `thesis`: five) | an epoch of large batches is but a few steps |
# | *long* scheme | until a time limit [5.1] | until training accuracy was at least 99 % for ten epochs in a row, or a number of epochs is used up | a time limit depends on the machine |
# | validation data | text and captions disagree on *validation* and *test* [5.1] | a fixed stratified tenth of the training images; test images are only reported on | no choice may see test data |
# | bins of the ECE | $M$ is not printed; figures show ten [5.2] | 10 of equal width | |
# | label space | derived for binary label vectors [4], outputs are softmax [5.2] | one-hot (`categorical`); binary below | the softmax is what is evaluated |
# | preprocessing | not printed | each channel to zero mean and unit variance over the training images | |
# | incomplete batches | not printed | left out | every step has the batch size it is plotted at |
# | SVHN | all of it, presumably | a subset of the official images | see [the data](08_reproducibility.ipynb) |
#
# %% tags=["hide-input"]
channels = {name: ", ".join(str(width * 2**i) for i in range(3)) for name, width in WIDTHS.items()}
weights = {name: sum(p.numel() for p in ConvNet(3, 32, width=width).parameters()) for name, width in WIDTHS.items()}
display(Markdown(
    ". ".join(f"The {name} net has {channels[name]} channels and {weights[name]:,} weights for CIFAR-10" for name in WIDTHS)
    + f". The hidden layer has {HIDDEN} units."
))

# %% [markdown]
# ## How long is long?
#
# The budgets were set on validation accuracy, on pilot runs of seed 0: each batch size has so many epochs that its nets come to
# fit their training images, as the thesis describes, or that validation accuracy has stopped rising. Were they enough? The last column is
# the gain in validation accuracy over the last fifth of the epochs: where it is well above zero, more training would have changed the figures.

# %% tags=["hide-input"]
rows = []
for batch, group in pd.Series(records, index=[r["run"]["batch_size"] for r in records]).groupby(level=0):
    group = [r for r in group if not r["diverged"]]
    fitted = sum(r["evaluations"]["long"]["train_accuracy"] >= course.FITTED for r in group)
    late = []
    for r in group:
        curve = r["curves"]["val_accuracy"]
        fifth = max(1, len(curve) // 5)
        late.append(np.mean(curve[-fifth:]) - np.mean(curve[-2 * fifth : -fifth]))
    steps = [r["evaluations"]["long"]["step"] for r in group]
    rows.append([
        str(batch), str(group[0]["run"]["epochs"]), f"{min(steps):,} to {max(steps):,}",
        f"{fitted} of {len(group)}", f"{np.mean(late):+.4f} (at most {max(late):+.4f})",
    ])
display(Markdown(words.markdown_table(
    ["batch size", "epochs at most (SVHN subset: four times as many)", "steps taken", "nets fitted", "late gain in validation accuracy"], rows
)))

# %% [markdown]
# ## Bins
#
# The expected calibration error depends on how confidences are binned. The same nets, three ways; the difference is joint minus conditional, with
# a hierarchical bootstrap over cells and seeds.

# %% tags=["hide-input"]
pairs = values.pairs_of(records)
rows = []
for metric, label in (
    ("ece", "10 bins of equal width"),
    ("ece_uniform15", "15 bins of equal width"),
    ("ece_quantile10", "10 bins of equal number"),
):
    found = rules.between(intervals.average(values.lower(pairs, metric)))
    means = long.groupby("loss")[metric].mean()
    wins = (values.lower(pairs, metric)["value"] > 0).mean()
    rows.append([
        label, f"{means['conditional']:.4f}", f"{means['joint']:.4f}", f"{-found.effect:+.4f} [{-found.high:+.4f}, {-found.low:+.4f}]", words.percent(wins, 0)
    ])
display(Markdown(
    words.markdown_table(["ECE with", "conditional", "joint", "difference", "joint lower in"], rows) + "\n\nLong scheme, mean over all cells."
))

# %% [markdown]
# ## Learning rate, training images, width, label space
#
# One setting at a time, on CIFAR-10. Everything else, seeds included, is as in the runs above.

# %% tags=["hide-input"]
VARIANTS = {
    "slow": "rate 0.0003", "fast": "rate 0.003", "fewer": "10,000 images", "wide": "wide net", "binary": "binary labels",
}
metrics = {"test_accuracy": "test accuracy", "ece": "ECE", "auroc_max_softmax": "AUROC, max softmax", "auroc_log_px": "AUROC, ln p(x)"}
store = Store(RESULTS)
tables, used = {}, {}
for name, label in VARIANTS.items() if PROFILE == "cpu" else ():
    found = list(store.select([run for run in profiles.profile(name).runs() if run.dataset.startswith("cifar10")]).values())
    if found:
        tables[label] = tables.frame(found).query("scheme == 'long'")
        used[name] = found
if tables:
    sizes = {batch for one in tables.values() for batch in one["batch_size"]}
    base = [r for r in records if r["run"]["dataset"] == "cifar10" and r["run"]["batch_size"] in sizes]
    tables = {"as above": tables.frame(base).query("scheme == 'long'")} | tables
    words = "; ".join(
        f"{label}: " + ", ".join(
            f"{loss} at B = {batch} accuracy {part['test_accuracy'].mean():.3f} and ECE {part['ece'].mean():.3f}"
            for (batch, loss), part in one.groupby(["batch_size", "loss"])
        )
        for label, one in tables.items()
    )
    publish.show(
        figures.by_choice(tables, metrics),
        name="choices",
        data=pd.concat(one.assign(choice=label) for label, one in tables.items())[["choice", "batch_size", "seed", "loss", *metrics]],
        alt=f"Test accuracy, ECE and AUROC on CIFAR-10, long scheme, both losses, for each changed setting. {words}.",
        caption=words.basis([*base, *sum(used.values(), [])], ", ".join([PROFILE, *used])),
    )
else:
    display(Markdown(f"These runs belong to profile `cpu`; this page was made with `{PROFILE}`."))

# %% tags=["hide-input"]
differences = {
    metric: pd.concat({label: tables.paired_difference(one, metric) for label, one in tables.items()}, names=["setting"])
    .reset_index("setting").sort_values("batch_size", kind="stable")
    for metric in metrics if tables
}


def where_higher(metric):
    found = differences[metric][differences[metric]["mean"] > 0]
    named = ", ".join(f"{setting} (B = {batch})" for setting, batch in zip(found["setting"], found["batch_size"]))
    return f"{len(found)} of {len(differences[metric])} rows" + (f": {named}" if 0 < len(found) <= 3 else "")


if differences:
    cells = differences["test_accuracy"]
    rows = zip(cells["batch_size"].map(str), cells["setting"], cells["n"].map(str), *(one["mean"].map("{:+.3f}".format) for one in differences.values()))
    display(Markdown(
        "Joint minus conditional, mean over the seeds that both losses have:\n\n"
        + words.markdown_table(["batch size", "setting", "seeds", *metrics.values()], rows)
        + f"\n\nThe joint loss has the higher accuracy in {where_higher('test_accuracy')}; the higher ECE in {where_higher('ece')}; "
        f"the higher AUROC by max softmax in {where_higher('auroc_max_softmax')}."
    ))

# %% [markdown]
# ## Softmax or sigmoid?
#
# The thesis derives its loss for label vectors $y \in \{0, 1\}^K$, whose partition function is $\prod_k (1 + e^{f_k})$, and evaluates softmax outputs, whose
# partition function is $\sum_k e^{f_k}$. Both readings are implemented (`label_space`). Do they differ in accuracy?

# %% tags=["hide-input"]
binary = list(store.select(profiles.profile("binary").runs()).values()) if PROFILE == "cpu" else []
if binary:
    both = pd.concat([long, tables.frame(binary).query("scheme == 'long'")])
    values = both.pivot_table(
        index=["title", "batch_size", "loss", "seed"], columns="label_space", values=["test_accuracy", "ece"]
    ).dropna()
    change = {metric: values[metric, "binary"] - values[metric, "categorical"] for metric in ("test_accuracy", "ece")}
    grouped = pd.DataFrame(change).groupby(level=["title", "loss", "batch_size"]).agg(["mean", "count"])
    display(Markdown(
        words.markdown_table(
            ["data set", "loss", "batch size", "seeds", "accuracy, binary minus categorical", "ECE, binary minus categorical"],
            (
                [words.escape(title), loss, str(batch), f"{row['test_accuracy', 'count']:.0f}", f"{row['test_accuracy', 'mean']:+.4f}", f"{row['ece', 'mean']:+.4f}"]
                for (title, loss, batch), row in grouped.iterrows()
            ),
        )
        + f"\n\nThe binary reading has the higher test accuracy in {(change['test_accuracy'] > 0).sum()} of {len(values)} pairs of runs, the lower ECE in "
        f"{(change['ece'] < 0).sum()}. Long scheme; {words.escape(words.basis(binary, 'binary'))}."
    ))
else:
    display(Markdown("No runs with binary labels are at hand for this profile."))

# %% [markdown]
# ## How much of the KL term?
#
# The joint loss is the standard one plus the divergence $\operatorname{KL}(\text{uniform}\,\|\,p')$, (1.12) in [chapter 1](01_theory.ipynb).
# Nothing forces its weight to be 1. `joint_nll(..., kl_weight=w)` leads from the standard loss ($w = 0$) through the thesis's ($w = 1$)
# and beyond. On the first 10,000 training images of CIFAR-10:

# %% tags=["hide-input"]
weighted = []
if PROFILE == "cpu":
    for name in ("fewer", "weight"):
        weighted += store.select(profiles.profile(name).runs()).values()
both = tables.frame(weighted).query("scheme == 'long'") if weighted else pd.DataFrame(columns=["loss", "kl_weight"])
both["weight"] = both["kl_weight"].where(both["loss"] == "joint", 0.0)
found = {weight: part for weight, part in both.groupby("weight")}
if len(found) > 2:
    labels = {weight: f"weight {weight:g}" + {0: " (standard)", 1: " (thesis)"}.get(weight, "") for weight in found}
    shown = {"test_accuracy": "test accuracy", "ece": "ECE", "nll": "NLL", "auroc_max_softmax": "AUROC, max softmax"}
    publish.show(
        figures.by_choice({labels[weight]: part for weight, part in found.items()}, shown),
        name="kl-weight",
        data=both[["weight", "batch_size", "seed", *shown]],
        alt="Test accuracy, ECE, NLL and AUROC of nets trained with different weights of the KL term. "
        + "; ".join(
            f"{labels[weight]} at B = {batch}: accuracy {rows['test_accuracy'].mean():.3f}, ECE {rows['ece'].mean():.3f}"
            for weight, part in found.items() for batch, rows in part.groupby("batch_size")
        )
        + ".",
        caption=words.basis(weighted, "fewer, weight"),
    )
    sentences = []
    for batch, part in both.groupby("batch_size"):
        means = part.groupby("weight")[["val_accuracy", "test_accuracy", "ece", "nll", "scaled_ece", "scaled_nll"]].mean()
        best = means["val_accuracy"].idxmax()
        sentences.append(
            f"**B = {batch}**: the best validation accuracy has weight {best:g}"
            + (", the largest tried" if best == max(found) else "") + ". On test images its accuracy is "
            + ", ".join(
                f"{label} {means[metric][best]:.3f} ({means[metric][0]:.3f} with weight 0, {means[metric][1]:.3f} with 1)"
                for metric, label in (("test_accuracy", ""), ("ece", "its ECE"), ("nll", "its NLL"))
            ).strip()
            + f". The standard net after temperature scaling: ECE {means['scaled_ece'][0]:.3f}, NLL {means['scaled_nll'][0]:.3f}; "
            f"the net of weight {best:g} after it: {means['scaled_ece'][best]:.3f} and {means['scaled_nll'][best]:.3f}."
        )
    display(Markdown("\n\n".join(sentences)))
else:
    display(Markdown("No runs with other weights are at hand for this profile."))

# %% [markdown]
# The nets of the smallest batch size above, one weight at a time: move the slider. Without scripts all diagrams are shown.

# %% tags=["hide-input"]
if len(found) > 2:
    batch, seed = both["batch_size"].min(), both["seed"].min()
    nets = {
        weight: next(r for r in weighted if r["key"] == key)
        for weight, key in both.query("batch_size == @batch and seed == @seed")[["weight", "key"]].itertuples(index=False)
    }
    nets = dict(sorted(nets.items()))
    names = "|".join(labels[weight] for weight in nets)
    display({
        "text/html": f'<label class="gffn-steps" hidden>weight of the KL term <input type="range" min="0" max="{len(nets) - 1}" '
        f'value="0" step="1" data-names="{names}"> <output></output></label>',
        "text/plain": "A slider over the diagrams, on the book's page.",
    }, raw=True)
    for weight, record in nets.items():
        publish.show(
            figures.reliability([record]),
            name=f"kl-weight-{weight:g}".replace(".", "-"),
            data=tables.bins([record]),
            alt=f"Reliability diagram, {labels[weight]}, B = {batch}: ECE {record['evaluations']['long']['ece']['uniform10']:.3f}, "
            f"accuracy {record['evaluations']['long']['test_accuracy']:.3f}.",
            caption=f"{labels[weight].capitalize()}, batch size {batch}, long scheme. {words.basis([record], 'fewer, weight')}",
        )

# %% [markdown]
# ## Try another
#
# `gffn sweep fast`, `slow`, `fewer`, `wide`, `binary` and `weight` train these runs. A choice of one's own is one line in `PROFILES`
# (`gffn_core/experiments.py`): a name, data sets, epochs per batch size, and the fields of `Run` that differ.
