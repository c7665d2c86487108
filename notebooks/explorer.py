# %% [markdown]
# # Explorer
#
# Everything about the nets of one data set and batch size at once: how sure they are, how often right, and
# whether ln p(x) tells unfamiliar images from familiar ones. A view can be linked: its choices stand in the
# page's address.

# %% tags=["parameters", "remove-cell"]
PROFILE = "cpu"  # "cpu": published results; "digits": live in minutes; "colab", "thesis": on a GPU
RESULTS = "../results"  # the store of results
TRAIN_MISSING = False  # True: train here and now what the store lacks
DEVICE = "auto"  # "auto", "cpu" or "cuda"
DATA_ROOT = None  # folder of the data sets; None: $GFFN_DATA or the user's cache

# %% tags=["remove-input"]
import json
from itertools import chain

import pandas as pd
from IPython.display import Markdown, display

from gffn_core.experiments import tables
from gffn_core.pages import explorer, figures, publish, style, words
from gffn_core.pages.chapter import open_chapter, pair_near

chapter = open_chapter(
    PROFILE, RESULTS, announce=False, train_missing=TRAIN_MISSING, device=DEVICE, root=DATA_ROOT
)
# The other reading of the labels, 10,000 images and other weights of the KL term have runs of their own.
more = {name: chapter.variant(name) for name in ("binary", "fewer", "weight")}
records, shown = [*chapter.records, *chain(*more.values())], ", ".join([PROFILE, *filter(more.get, more)])
pair = pair_near(records, "cifar10", 256)  # the view that the page starts with
cells = explorer.cells(records)

# %% tags=["remove-input"]
start = pair[0]["run"]
data = {
    "start": {
        "dataset": start["dataset"],
        "labels": start["label_space"],
        "batch": str(start["batch_size"]),
        "weight": "1",
        "scheme": "long",
        "loss": "both",
    },
    "losses": {loss: style.LOSS_STYLE[loss] for loss in ("conditional", "joint")},
    "scores": {name: style.SCORE_STYLE[name] for name in explorer.SHOWN_SCORES},
    "parts": {
        "inside": {"color": style.INSIDE, "linestyle": "-"},
        "outside": {"color": style.OUTSIDE, "linestyle": "--"},
    },
    "cells": cells,
}
choices = {
    "dataset": "data set",
    "batch": "batch size",
    "weight": "KL weight",
    "scheme": "scheme",
    "loss": "loss",
    "labels": "label space",
}
controls = "".join(f'<label>{text} <select name="{name}"></select></label>' for name, text in choices.items())
# A "<" in the data could end the script.
text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
page = (
    f'<div id="gffn-explorer" hidden><form aria-label="What is shown">{controls}</form>'
    '<div aria-live="polite"><p class="gffn-note"></p><div></div></div><div class="gffn-panels"></div></div>'
    f'<script type="application/json" id="gffn-explorer-data">{text}</script>'
)
display({"text/html": page, "text/plain": "The explorer: on the book's page."}, raw=True)

# %% tags=["hide-input", "without-scripts"]
publish.show(
    figures.reliability(pair),
    name="explorer",
    data=tables.bins(pair),
    alt=(
        f"Reliability diagrams of both losses, {pair[0]['data']['title']}, batch size {start['batch_size']},"
        " long scheme: "
    )
    + "; ".join(
        f"{tables.net(r['run']['loss'])} net: ECE {r['evaluations']['long']['ece']['uniform10']:.3f},"
        f" accuracy {words.percent(r['evaluations']['long']['test_accuracy'])}"
        for r in pair
    )
    + ".",
    caption=f"{pair[0]['data']['title']}, batch size {start['batch_size']}, long scheme.",
    basis=words.basis(pair, shown),
)

# %% [markdown]
# **Reading the drawings.** *Reliability:* accuracy of the test images in each tenth of confidence, with its
# 95 % interval, wide where few images are; short strokes on the diagonal mark the mean confidence of the bin,
# where a calibrated net's bar would end. *Confidence:* how the test images spread over these bins. *ROC:*
# [the chapter on unfamiliar inputs](ood.ipynb) explains the scores; a useless one follows the diagonal.
# *ln p(x):* its distribution on familiar and unfamiliar test images. Over several seeds, bins are pooled,
# ROC curves averaged, and ln p(x) is that of the first seed, because its zero differs from net to net.
#
# The choices work on the book's page. With scripts switched off, and in a notebook (Jupyter, Colab), a figure
# of one view and a table of all numbers stand in.

# %% tags=["remove-input"]
based = [chapter.coverage, *(words.escape(words.basis(runs, name)) for name, runs in more.items() if runs)]
display(Markdown(f"**Shown here:** {words.escape(chapter.basis)}; {'; '.join(based)}."))

# %% [markdown]
# ## All numbers


# %% tags=["hide-input"]
def with_interval(value, scale=1, digits=3):
    mean, half = value
    return f"{scale * mean:.{digits}f}" + ("" if half is None else f" ± {scale * half:.{digits}f}")


numbers = pd.DataFrame(
    {
        "data set": tables.short_title(cell["title"]),
        "label space": cell["labels"],
        "scheme": cell["scheme"],
        "batch size": cell["batch"],
        "loss": cell["loss"],
        "accuracy, %": with_interval(cell["accuracy"], 100, 1),
        "ECE": with_interval(cell["ece"]),
        "AUROC of ln p(x)": with_interval(cell["auroc"]["log_px"]) if "auroc" in cell else "",
    }
    for cell in cells
    if cell["weight"] == "1"
)
rows = ["data set", "label space", "scheme", "batch size"]
if numbers["label space"].nunique() == 1:  # says nothing, and takes the room of a column
    rows.remove("label space")
    numbers = numbers.drop(columns="label space")
with pd.option_context("display.max_rows", None):  # all numbers, not the first and the last
    display(numbers.pivot(index=rows, columns="loss").fillna(""))
display(
    Markdown(
        "± is the 95 % interval over seeds, where there are three; the weight of the KL term is the thesis's,"
        " 1."
    )
)
