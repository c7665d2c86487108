# %% [markdown]
# # Our metrics and everybody's
#
# ```{margin}
# **Notation.** ECE, MCE expected and maximum calibration error; SmoothECE the one without bins; AUROC, AP
# of right against wrong answers. [All symbols](../book/glossary.md).
# ```
#
# The numbers of this book come from metrics of our own. Would other libraries give the same ones? And where
# they do not, who is right? This page puts six implementations side by side: on cases that a pencil can
# solve, and on predictions of nets that other people trained, measured and published.
#
# **In short.** On predictions of real nets all libraries that have an ECE give ours, to 2e-05. On cases
# that we constructed four of five give wrong numbers or refuse. One of these faults shows on real nets, too:
# relplot's SmoothECE is up to 49 % too large there.
#
# **After this chapter you can**
#
# - say how far a calibration error depends on who computes it;
# - name the inputs at which well-known libraries give a wrong number, and reproduce each.

# %% tags=["parameters", "remove-cell"]
RESULTS = "../results"  # the store of results; the numbers are published/conformance.csv

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from gffn_core.experiments import conformance
from gffn_core.pages import publish, words
from gffn_core.pages.style import STYLE

table = conformance.read(RESULTS)
table["number"] = pd.to_numeric(table["value"], errors="coerce")  # NaN where an implementation refuses
versions = table[table["version"] != ""].groupby("by")["version"].first()
names = [by for by in conformance.IMPLEMENTATIONS if by in set(table["by"])]
closed = table["case"].isin(conformance.CLOSED_FORMS)


def wide(part, values="number"):
    """A row per case, measure and bins, a column per implementation, in the order of the file."""
    key = ["case", "measure", "bins"]
    order = list(part[key].drop_duplicates().itertuples(index=False))
    return part.pivot(index=key, columns="by", values=values).loc[order]


display(
    Markdown(
        "Compared are ours, of the package `gffn-core`, and "
        + ", ".join(f"{by} {version}" for by, version in versions.items())
        + "."
    )
)

# %% [markdown]
# ## Who is right where the answer is known?
#
# Two to ten predictions each. They go where binning is delicate: a confidence of exactly 1, one on the edge
# of two bins, ties, empty bins, a class that no label has. Before you look: six implementations of one
# formula, how many will give every right answer?

# %% tags=["hide-input"]
texts, cases = wide(table[closed], "value"), wide(table[closed])
known, asked = cases["known"], texts.notna()
off = asked & ~(cases.sub(known, axis=0).abs() < 1e-4)
off = off.where(known.notna(), cases.notna(), axis=0)[names]  # no answer is right where there is none
off.loc["on the edge of two bins"] = False  # a custom, see below


def cell(at, by):
    if not asked.loc[at, by]:
        return ""
    value = cases.loc[at, by]
    return texts.loc[at, by] if np.isnan(value) else f"{value:.3f}"


rows = [
    [
        f"{at[0]}: {at[1]}",
        cell(at, "known"),
        *(f"**{cell(at, by)}**" if off.loc[at, by] else cell(at, by) for by in names),
    ]
    for at in cases.index
]
headings = [by.replace("metrics", "&shy;metrics") for by in names[1:]]  # may break, the table is wide
missed = off.sum()
assert missed["gffn-core"] == 0 and missed["scikit-learn"] == 0
assert (missed.drop(["gffn-core", "scikit-learn"]) > 0).all()
differ = [  # few columns, so that a phone shows all
    [
        f"{at[0]}: {at[1]}",
        cell(at, "known") or "none",
        ", ".join(f"{by} **{cell(at, by)}**" for by in names if off.loc[at, by]),
        ", ".join(
            "ours" if by == "gffn-core" else by for by in names if asked.loc[at, by] and not off.loc[at, by]
        ),
    ]
    for at in cases.index
    if off.loc[at].any()
]
every = words.markdown_table(["case: measure", "by hand", "ours", *headings], rows)
display(
    Markdown(
        words.markdown_table(["case: measure", "by hand", "differ", "right"], differ)
        + "\n\n"
        + words.folded(f"all {len(rows)} cases and measures", every)
        + "\n\n**Two of six: ours and scikit-learn, which has no calibration error.** Differ: off by more"
        " than 0.0001, or refused although there is an answer, or answered although there is none (ours"
        " refuses there, and a NaN with a warning is no answer). Bins: ten. An empty cell: the library does"
        " not have the measure, or was not asked. To put the edge into the upper bin is not counted as"
        " wrong."
    )
)

# %% [markdown]
# ## Which are faults, and which are conventions?
#
# **Conventions.** A confidence on an edge belongs to the lower bin in the thesis and in Guo et al.
# {cite:p}`guo2017`, to the upper one in netcal, relplot, torchmetrics and probmetrics. Both are right. It can
# matter where confidences are few or coarse: *on the edge of two bins* has .025 or .475. With one class
# absent there is no ROC curve: ours refuses, scikit-learn warns and gives NaN. **Faults**, each with the
# case in the table that reproduces it:

# %% tags=["hide-input"]
FAULTS = [
    (
        "torchmetrics",
        "confidence exactly 1",
        "ECE",
        "puts a confidence of exactly 1 into an extra bin of its own (reported as its issue 3510)",
    ),
    (
        "torchmetrics",
        "confidence 1 - 1e-8",
        "ECE",
        "casts to float32, so that more confidences become exactly 1 and go the same way",
    ),
    (
        "torchmetrics",
        "a probability rounded above 1",
        "ECE",
        "takes all probabilities for logits, and applies a softmax to them, where rounding lifts one above 1",
    ),
    (
        "torchmetrics",
        "scores beyond 1",
        "AUROC",
        "applies a sigmoid to scores outside [0, 1], so that large ones, such as logits, become equal",
    ),
    (
        "torchmetrics",
        "one class absent",
        "AUROC",
        "gives 0, the worst there is, where there is no answer; a warning says so",
    ),
    (
        "relplot",
        "half at 1 and right, half at .8",
        "SmoothECE",
        "counts confidences at 0 and 1 half, as its reflected kernel holds the end of the interval once",
    ),
    ("relplot", "confidence exactly 1", "ECE", "has the extra bin for a confidence of exactly 1, too"),
    ("probmetrics", "half at 1 and right, half at .8", "SmoothECE", "calls relplot"),
    (
        "probmetrics",
        "a class that no label has",
        "ECE",
        "drops the columns of classes without a label, and rescales the other probabilities",
    ),
    (
        "netcal",
        "all confidences tied",
        "ECE, equal mass",
        "stops at tied confidences, as soon as one confidence has more than a bin's share",
    ),
    (
        "netcal",
        "a class that no label has",
        "ECE of probabilities",
        "takes probabilities of three classes for a binary problem where labels have two, and stops",
    ),
]
TWICE = {("probmetrics", "SmoothECE"), ("relplot", "ECE")}  # another library's fault again
assert {(by, kind) for by, _, kind, _ in FAULTS} >= TWICE
rows = []
for by, case, kind, fault in FAULTS:
    (at,) = [index for index in cases.index if index[:2] == (case, kind)]
    right = "none" if np.isnan(known[at]) else cell(at, "known")
    assert off.loc[at, by]
    rows.append([f"{by} {versions[by]}", fault, f"{case}: {kind}", cell(at, by), right])
display(
    Markdown(
        words.markdown_table(["library", "what it does", "case", "gives", "right"], rows)
        + f"\n\n**{len(FAULTS)} departures in {len({by for by, *_ in FAULTS})} libraries,"
        f" {len(FAULTS) - len(TWICE)} of them different.** probmetrics' SmoothECE is relplot's, and the extra"
        " bin is one fault in two libraries. Two are documented: torchmetrics takes values outside [0, 1] for"
        " logits. They still give a wrong number without a warning.\n\nprobmetrics 1.3.0 also needs numba,"
        " which its dependencies do not name."
    )
)

# %% [markdown]
# ## Does it matter for real nets?
#
# Six nets' confidences were published with the errors that their
# authors computed ([hollance/reliability-diagrams](https://github.com/hollance/reliability-diagrams)), two
# nets' probabilities come with netcal
# ([calibration-framework](https://github.com/EFS-OpenSource/calibration-framework)). The files keep their
# licences (MIT, Apache-2.0) and stay with their authors; this repository holds numbers alone.

# %% tags=["hide-input"]
nets = wide(table[~closed & table["measure"].isin(["ECE", "MCE"])])
gap = nets["gffn-core"].sub(nets["known"]).abs().max()
bins = wide(table[~closed & table["measure"].str.endswith("of bin")])
bin_gap = bins["gffn-core"].sub(bins["known"]).abs().max()
shown = ["known", *(by for by in names if by in nets)]
apart = nets[shown[1:]].sub(nets["gffn-core"], axis=0).abs().max()
extra = apart.max()
assert gap < 1e-6 and bin_gap < 1e-7 and apart.drop(["torchmetrics", "probmetrics"]).max() < 1e-6
assert f"{extra:.0e}" == "2e-05"  # as the page says at its beginning
rows = [
    [f"{case}: {kind}, {n} bins", *("" if np.isnan(v) else f"{v:.6f}" for v in line[shown])]
    for (case, kind, n), line in nets.iterrows()
]
display(
    Markdown(
        f"**For ECE and MCE hardly: ours agree with the published numbers to {gap:.0e}, the precision of"
        " float32.** So do the count, accuracy and confidence of each of ResNeXt-101's"
        f" {len(bins) // 3} bins. torchmetrics' and probmetrics' ECE is off by up to {extra:.0e}, as they add"
        " in float32. The extra bin changes none of these: the net is too sure in both parts of the last"
        " bin.\n\n"
        + words.folded(
            "all numbers", words.markdown_table(["net: measure", "published", "ours", *shown[2:]], rows)
        )
    )
)

# %% [markdown]
# Brier score, AUROC and AP of right against wrong answers, and the error of bins of equal mass:

# %% tags=["hide-input"]
others = wide(table[~closed & table["measure"].isin(["Brier", "AUROC", "AP", "ECE, equal mass"])])
elsewhere = [by for by in names if by in others and by != "gffn-core"]
spread = others[elsewhere].sub(others["gffn-core"], axis=0).abs().groupby(level="measure").max()
stopped = table[~closed & (table["value"] == conformance.REFUSED)]
assert set(stopped["by"]) == {"netcal"}
assert spread.max(axis=None) < 1e-6
rows = [
    [kind, *("" if np.isnan(v) else "0" if v == 0 else f"{v:.0e}" for v in line)]
    for kind, line in spread.iterrows()
]
display(
    Markdown(
        words.markdown_table(["largest difference from ours", *elsewhere], rows)
        + "\n\n**All that answer agree to a millionth.** netcal has no bins of equal mass for"
        f" {len(stopped)} of the {len(conformance.NETS)} nets."
    )
)

# %% [markdown]
# ## A calibration error without bins
#
# SmoothECE {cite:p}`blasiok2024` smooths the gap of accuracy and confidence with a Gaussian that is reflected
# at 0 and 1. Its width is chosen so that it equals the error that comes out. A deep net's confidences crowd
# at 1, so none must be lost at that end. Where a net is too sure everywhere, nothing cancels, and SmoothECE
# has to be the same as the ECE. Is it?

# %% tags=["hide-input"]
smooth = wide(table[~closed & table["measure"].eq("SmoothECE")])[["gffn-core", "relplot"]]
smooth.index = smooth.index.get_level_values("case")
ece = nets.xs("ECE", level="measure")["gffn-core"].droplevel("bins")
MARKS = {
    "ECE, ours": (ece, "o", "#3B8BC2"),
    "SmoothECE, ours": (smooth["gffn-core"], "x", "#1B9E77"),
    "SmoothECE, relplot": (smooth["relplot"], "s", "#D55E00"),
}
with plt.rc_context(STYLE):
    figure, axis = plt.subplots(figsize=(8, 3.6), layout="constrained")
    for name, (values, marker, color) in MARKS.items():
        axis.plot(
            values[smooth.index],
            range(len(smooth)),
            marker,
            color=color,
            markersize=9 if marker == "o" else 6,
            markerfacecolor="none",
            markeredgewidth=1.6,
            label=name,
        )
    axis.set_yticks(range(len(smooth)), smooth.index)
    axis.invert_yaxis()
    axis.set_xlim(left=0)
    axis.set_xlabel("calibration error")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper center", ncols=3)
publish.show(
    figure,
    name="smooth-ece",
    data=smooth.assign(ece=ece).reset_index(),
    alt="Three calibration errors of eight nets. "
    + "; ".join(
        f"{net}: ECE {ece[net]:.3f}, SmoothECE {line['gffn-core']:.3f}, of relplot {line['relplot']:.3f}"
        for net, line in smooth.iterrows()
    ),
    caption="Our SmoothECE (cross) lies in the ECE (circle) for all nets but the birds'; relplot's (square)"
    " lies to the right of it for six of eight. Published predictions, one set for each net, so there are no"
    f" error bars. relplot {versions['relplot']}.",
)
ours = (smooth["gffn-core"] - ece).abs() / ece
theirs = smooth["relplot"] / smooth["gffn-core"] - 1
sure = ours.drop("ResNet-50, birds")
assert sure.max() < 0.01 and words.percent(theirs.max(), 0) == "49 %"  # as at the beginning
assert (theirs > 0.05).sum() == 6 and theirs.drop(theirs.index[theirs > 0.05]).abs().max() < 0.05
display(
    Markdown(
        f"**For seven of eight nets it is, within {words.percent(sure.max())}; relplot's is up to"
        f" {words.percent(theirs.max(), 0)} larger ({theirs.idxmax()}).** relplot counts the images at the"
        " ends half, and the others are calibrated worse. The eighth net, for birds, is too sure at some"
        " confidences and not sure enough at others; smoothing cancels more of that than bins do."
    )
)

# %% [markdown]
# ## Try it
#
# `conformance.CLOSED_FORMS` holds the cases, `conformance.IMPLEMENTATIONS` the calls. What is installed here
# is computed again, now; for what is not, this page shows the published numbers. To have all: `pip install
# --no-deps netcal==1.4.0 relplot==1.0.3 deprecation probmetrics==1.3.0 pytorch-minimize numba llvmlite` (with
# its dependencies netcal brings a dozen packages). `python -m gffn_core.experiments.conformance` makes the
# published file where `GFFN_EXTERNAL` names the folder of the predictions.

# %% tags=["hide-input"]
again, changed = [], []
for by in names:
    try:
        found = pd.DataFrame(conformance.measure(by, conformance.CLOSED_FORMS))
    except ImportError:
        continue
    again.append(f"{by} {found['version'][0]}".strip())
    wanted = table[closed & (table["by"] == by)].set_index(["case", "measure", "bins"])["number"]
    number = pd.to_numeric(found.set_index(["case", "measure", "bins"])["value"], errors="coerce")
    same = np.isclose(number, wanted.reindex(number.index), atol=2e-6, equal_nan=True)
    changed += [f"{again[-1]}: {case}, {kind}" for case, kind, _ in number.index[~same]]
    assert same.all() or found["version"][0] != versions.get(by, "")
print(f"Computed again here: {', '.join(again)}.\nDifferent: {', '.join(changed) or 'nothing'}.")

# %% [markdown]
# **Limits.** We chose the cases, and tested our own code on them; the counts say nothing about how often a
# library errs. A dozen cases and eight nets do not prove a metric right. AURC stands against cases by hand
# alone, as none of the five has it. The published nets came as confidences: for ECE, MCE and SmoothECE of six
# of them we spread the rest of the probability evenly over invented classes, which these measures do not see.
# A fault named here is one of the version named with it; the line above says what another version gives.
#
# ## Exercises
#
# **1.** A net says 100 % to half of the images and is right in all of them; to the others it says 80 % and is
# right in 40 %. What is its ECE with ten bins? And what comes out if whatever lies at 1 counts half?
#
# ```{admonition} Solution
# :class: dropdown
# $\frac12\cdot0 + \frac12\cdot.4 = .2$. With half the weight at 1 it is $.2 / (\frac14 + \frac12) = .267$.
# That is what relplot's SmoothECE gives. The surer half, where nothing is wrong, has lost part of its say.
# ```
#
# **2.** Two libraries give one net ECEs of .031 and .034 with fifteen bins. Name two reasons that are no
# faults.
#
# ```{admonition} Solution
# :class: dropdown
# A confidence on the edge of a bin belongs to the bin below in one and above in the other; and bins of equal
# width over $[0, 1]$ differ from bins over the range that occurs, or of equal mass. Hence the bins belong to
# the number.
# ```
