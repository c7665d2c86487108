# %% [markdown]
# # What these results rest on
#
# Which runs, on which data, machines and versions; how long they took; how much they vary; and how to get
# one number, one figure, one chapter or everything again. All of it is computed from the records.
#
# **In short.** Every number comes from a record that names its data, machine and versions. The difference of
# a pair of nets varies less over seeds, in accuracy, than if the two were independent. No difference is seen
# between pairs trained on a CPU and on a GPU; a small one is not excluded. A run repeated on another kind of
# machine, or by newer code, is not the same to the bit: on average its numbers differ no more than those of
# another seed.

# %% tags=["parameters", "remove-cell"]
PROFILE = "cpu"  # "cpu": published results; "digits": live in minutes; "colab", "thesis": on a GPU
RESULTS = "../results"  # the store of results
TRAIN_MISSING = False  # True: train here and now what the store lacks
DEVICE = "auto"  # "auto", "cpu" or "cuda"
DATA_ROOT = None  # folder of the data sets; None: $GFFN_DATA or the user's cache

# %% tags=["hide-input"]
import math
from pathlib import Path

import pandas as pd
import statsmodels.formula.api as smf
from IPython.display import Markdown, display

from gffn_core.experiments import tables, verify
from gffn_core.experiments.store import Store
from gffn_core.pages import words
from gffn_core.pages.chapter import open_chapter
from gffn_core.verdicts import values

chapter = open_chapter(PROFILE, RESULTS, train_missing=TRAIN_MISSING, device=DEVICE, root=DATA_ROOT)
records, finished, long = chapter.records, chapter.finished, chapter.long

# %% [markdown]
# ## Which images?
#
# The hash is over the decoded arrays, so it does not depend on where the files came from.

# %% tags=["hide-input"]
data = {
    r["evaluations"]["long"]["ood"]["data"]["sha256"]: r["evaluations"]["long"]["ood"]["data"]
    for r in finished
    if "ood" in r["evaluations"]["long"]
}
data |= {r["data"]["sha256"]: r["data"] for r in records}  # with the training images, which some have
rows = [
    [
        words.escape(d["title"]),
        f"{d['train']:,}",
        f"{d['val']:,}",
        f"{d['test']:,}",
        words.escape(d["source"]),
        "yes" if d["official"] else "**no**",
        f"`{words.escape(d['sha256'][:12])}`",
    ]
    for d in sorted(data.values(), key=lambda d: d["title"])
]
display(
    Markdown(
        words.markdown_table(
            ["data set", "train", "validation", "test", "source", "official", "SHA-256"], rows
        )
        + f"\n\n**Of {len(rows)} data sets {sum(d['official'] for d in data.values())} are whole and as"
        " published.** Of any other the title says what part it is."
    )
)

# %% [markdown]
# ## Where, and how long?
#
# Time is that of training and evaluation in one process; several ran side by side, beside other work. Energy
# was not measured.

# %% tags=["hide-input"]
where = pd.DataFrame(
    {
        "hardware": r["provenance"]["hardware"],
        "torch, Python": f"{r['provenance']['torch']}, {r['provenance']['python']}",
        "code": r["provenance"]["code"],
        "precision": r["provenance"].get("precision", "float32"),
        "hours": r["provenance"]["seconds"] / 3600,
        "finished": r["provenance"]["finished"][5:10],
    }
    for r in records
)
summed = where.groupby(["hardware", "torch, Python", "precision"]).agg(
    versions=("code", "nunique"),
    runs=("hours", "size"),
    hours=("hours", "sum"),
    first=("finished", "min"),
    last=("finished", "max"),
)
rows = [
    [
        *map(words.escape, index),
        str(row.versions),
        str(row.runs),
        f"{row.hours:.1f}",
        words.escape(row.first if row.first == row.last else f"{row.first} to {row.last}"),
    ]
    for index, row in zip(summed.index, summed.itertuples(index=False))
]
display(
    Markdown(
        words.markdown_table(
            [*summed.index.names, "versions of the code", "runs", "hours", "finished, month-day"], rows
        )
    )
)
display(
    Markdown(
        f"**{where['hours'].sum():.1f} hours of one core or device, on {where['hardware'].nunique()} kinds of"
        f" machines.** {len(records) - len(finished)} of the {len(records)} runs diverged."
    )
)

# %% tags=["hide-input"]
cost = pd.DataFrame(
    {
        "batch size": r["run"]["batch_size"],
        "data set": tables.short_title(r["data"]["title"]),
        "minutes": r["provenance"]["seconds"] / 60,
    }
    for r in finished
    # A mean over devices would say which runs a GPU had, not how long one takes.
    if r["provenance"]["device"] == "cpu" and r["provenance"].get("precision", "float32") == "float32"
)
if len(cost):
    cost = cost.pivot_table(index="batch size", columns="data set", values="minutes", sort=False)
    display(cost.sort_index().map(lambda minutes: "" if pd.isna(minutes) else f"{minutes:.1f}"))
    display(Markdown("Mean minutes of a run on a CPU in float32; an empty cell has none."))

# %% [markdown]
# ## How much a number varies
#
# Seeds differ in initialisation and in the order of the images. The table has the standard deviation over
# seeds of test accuracy and ECE: of each loss, and of the difference between the two nets of a seed (long
# scheme; root mean square over batch sizes). Were the two nets independent, the difference would vary as the
# root of the sum of their squares.

# %% tags=["hide-input"]
NUMBERS = {"test_accuracy": "accuracy", "ece": "ECE"}
pairs = long.pivot_table(
    index=["title", "batch_size", "seed"], columns="loss", values=list(NUMBERS), sort=False
)
pairs = pairs.reindex(columns=pd.MultiIndex.from_product([NUMBERS, ["conditional", "joint", "difference"]]))
for number in NUMBERS:
    pairs[number, "difference"] = pairs[number, "joint"] - pairs[number, "conditional"]
spread = pairs.groupby(level=["title", "batch_size"]).var().groupby(level="title").mean() ** 0.5
if long["seed"].nunique() > 1:
    shown = spread.rename(index=tables.short_title, columns=NUMBERS).rename_axis("data set")
    shown = shown.rename(columns=tables.net).rename(columns={"difference": "joint - standard"})
    display(shown.rename_axis(columns=[None, None]).round(4))
    less = pd.DataFrame(
        {
            number: 1
            - spread[number, "difference"]
            / (spread[number][["conditional", "joint"]] ** 2).sum(axis=1) ** 0.5
            for number in NUMBERS
        }
    ).rename(index=tables.short_title)

    def least_and_most(number):
        of = less[number]
        return " to ".join(
            f"{words.percent(max(of[at], 0), 0)} ({words.escape(at)})" for at in (of.idxmin(), of.idxmax())
        )

    if less.min(axis=None) > -0.01:
        display(
            Markdown(
                f"**In accuracy the difference of a pair varies {least_and_most('test_accuracy')} less than"
                f" if its nets were independent, in ECE {least_and_most('ece')}.** Where it varies less,"
                " pairs need fewer seeds for the same interval."
            )
        )
    if PROFILE == "cpu":
        assert less["test_accuracy"].min() > 0.05  # in short
else:
    display(Markdown("The runs shown have one seed each: their spread is not known yet."))

# %% [markdown]
# ## Does it matter where a pair was trained?
#
# Some pairs were trained on a CPU, some on a GPU, some in bfloat16; the two nets of a pair always in the same
# way. Does that change the effect of the joint loss? Where a cell (data set and batch size) has pairs of both
# kinds, their effects are compared; the spread over seeds is the noise. The intervals are those of a linear
# model with a level for each cell; their errors (HC3) allow each cell a spread of its own.

# %% tags=["hide-input"]
about = pd.DataFrame(
    {
        "key": r["key"],
        "device": {"cpu": "CPU", "cuda": "GPU"}[r["provenance"]["device"]],
        "precision": r["provenance"].get("precision", "float32"),
    }
    for r in finished
)
effects = long.merge(about).pivot_table(
    index=["title", "batch_size", "seed", "device", "precision"], columns="loss", values=list(NUMBERS)
)
effects = (effects.xs("joint", axis=1, level=1) - effects.xs("conditional", axis=1, level=1)).reset_index()
effects["cell"] = effects["title"] + effects["batch_size"].astype(str)
rows, reach = [], {}
for kind, one, other, alike in (
    ("device", "CPU", "GPU", "precision == 'float32'"),
    ("precision", "float32", "bfloat16", "device == 'CPU'"),
):
    both = effects.query(alike).groupby("cell").filter(lambda cell: cell[kind].nunique() == 2)
    for number, label in NUMBERS.items() if len(both) else ():
        fit = smf.ols(f"{number} ~ C(cell) + I({kind} == '{other}')", both).fit(cov_type="HC3", use_t=True)
        low, high = fit.conf_int().iloc[-1]
        rows.append(
            [
                f"{other} minus {one}",
                f"{len(both)} in {both['cell'].nunique()}",
                label,
                f"{fit.params.iloc[-1]:+.4f} ± {(high - low) / 2:.4f}",
                f"{fit.pvalues.iloc[-1]:.2f}",
            ]
        )
        assert fit.pvalues.iloc[-1] > 0.05
        reach[label] = max(reach.get(label, 0), -low, high)
if rows:
    header = ["", "pairs in cells", "effect on", "difference of the effect", "p"]
    display(Markdown(words.markdown_table(header, rows)))
    margins = values.nets(chapter.pairs, "test_accuracy")["margin"].groupby(level="dataset").mean()
    above = sum(reach["accuracy"] > margin for margin in margins)
    display(
        Markdown(
            "**No difference is seen in nets trained long, but a small one is not excluded.** The intervals"
            f" reach up to {reach['accuracy']:.4f} of accuracy and {reach['ECE']:.4f} of ECE. In accuracy"
            f" that is more than [what counts as nothing](verdicts.ipynb) on {above} of {len(margins)} data"
            f" sets: {margins.min():.4f} ({chapter.titles[margins.idxmin()]}) to {margins.max():.4f}"
            f" ({chapter.titles[margins.idxmax()]})."
        )
    )
else:
    display(Markdown("All runs shown were trained on one kind of device, in one precision."))

# %% [markdown]
# ## Does a second run give the same number?
#
# Runs drawn at random and trained a second time, in the precision of the first: five of all 480 (`gffn verify
# cpu --count 5 --draw 1`), and before that five of the first 144 (a first draw, all of MNIST, was not used)
# and three of those that an H200 had trained. Weights equal to the bit say that machine, code and versions do
# the same sums in the same order. Where they do not, the question is whether the second number lies as close
# to the first as another seed's would.

# %% tags=["hide-input"]
first = {r["key"]: r for r in finished}
again = Store(Path(RESULTS) / "again").select(chapter.runs).values()
rows, apart = [], []
for pair in (verify.compare(first[r["key"]], r) for r in again if r["key"] in first):
    run, title = pair["run"], pair["title"]
    deviations = [spread.loc[title, (number, run.loss)] for number in NUMBERS]
    rows.append(
        [
            f"{words.escape(tables.short_title(title))}, B = {run.batch_size}, {tables.net(run.loss)},"
            f" seed {run.seed}",
            words.escape(", then ".join(name.split(",")[0] for name in pair["hardware"])),
            "equal" if pair["equal"] else "differ",
            *(
                ", ".join(f"{value:.4f}" for value in pair[number]) + f" ({deviation:.4f})"
                for number, deviation in zip(NUMBERS, deviations)
            ),
        ]
    )
    if not pair["equal"]:
        apart += [
            abs(pair[number][1] - pair[number][0]) / deviation
            for number, deviation in zip(NUMBERS, deviations)
        ]
mean = sum(apart) / max(len(apart), 1)
two_seeds = 2 / math.pi**0.5  # two draws from a normal distribution, on average
assert mean < 1.2 * two_seeds  # in short
if rows:
    display(Markdown(words.markdown_table(["run", "machines", "weights", "accuracy (SD)", "ECE (SD)"], rows)))
    display(
        Markdown(
            f"**{len(rows) - len(apart) // 2} of {len(rows)} runs gave the same weights: on the same kind of"
            " machine, soon after, with hardly changed code.**"
            + (
                f" The others' numbers differ by {mean:.1f} standard deviations on average"
                f" ({min(apart):.1f} to {max(apart):.1f}); two seeds would differ by {two_seeds:.1f}."
                if apart
                else ""
            )
            + " Long scheme; first, again, and in brackets the standard deviation over seeds from the table"
            " above."
        )
    )
else:
    display(Markdown("None of the runs shown has been trained a second time."))

# %% [markdown]
# ## Reproducing it yourself
#
# | to get | do |
# |---|---|
# | one run | `gffn verify cpu --count 1`: draws one, trains it again, compares |
# | one figure | open its chapter as a notebook, run its cells |
# | one verdict | `gffn claims cpu` |
# | one chapter | `python book/execute.py notebooks/calibration.py` |
# | everything shown | `make book` |
# | everything, trained anew | delete `results/published`, then as in [How to rerun](../book/rerun.md) |
#
# On the same machine with the same code, versions and thread count a run gives the same weights to the bit,
# and its record says which these are (`provenance.weights_sha256`).

# %% tags=["hide-input"]
if apart:
    as_another = "somewhat less than" if mean < 0.85 * two_seeds else "about as much as"
    display(
        Markdown(
            "Elsewhere sums are taken in another order, and a single run differs, on average of the"
            f" {len(apart) // 2} above, {as_another} another seed would."
        )
    )
else:
    display(Markdown("Elsewhere sums are taken in another order, and a single run differs."))
