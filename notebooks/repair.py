# %% [markdown]
# # Can ln p(x) be mended?
#
# ```{margin}
# **Notation.** $Z(x) = \sum_k e^{f_k(x)}$ of the logits $f(x)$. *References*: inputs that stand in the sum
# $Z$ beside the batch and have no label. AUROC: 1 tells all apart, .5 is chance. NLL, *scaled*: with the
# logits divided by a temperature. [All symbols](../book/glossary.md).
# ```
#
# The thesis hoped that $\ln p(x)$ would find unfamiliar images, and it [hardly does](ood.ipynb). The reason
# is [the sum](mechanism.ipynb): over data alone, the best $\ln Z$ is a constant. With other inputs in the
# same sum it becomes a density ratio, of data to the mixture of both. In the plane that works. There the
# references fill the square; nobody can fill the space of images.
#
# So which references, made from nothing but the batch, reach which unfamiliar images? What do they cost? And
# is it better than what others do with the same references?
#
# **After this chapter you can**
#
# - train a net whose $\ln p(x)$ knows what it has not seen, with one argument more;
# - say which images it still takes for familiar;
# - choose between it and its two rivals.

# %% tags=["parameters", "remove-cell"]
RESULTS = "../results"  # the store of results

# %% tags=["hide-input"]
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display

from gffn_core.data.datasets import load_dataset
from gffn_core.experiments import choice, detection, profiles, tables
from gffn_core.experiments.store import Store
from gffn_core.pages import publish, style, words
from gffn_core.variants.references import beside, kinds_of

# %% [markdown]
# ## What are the references?
#
# A copy of the batch, of which a quarter each is blurred (means of 4x4 pixels), mixed with another image, cut
# into patches of 8x8 pixels in random order, and replaced by smooth noise in the batch's colours. They are
# made anew at each step, on the device, and cost a second forward pass.

# %%
FOUR = "blur+mixed+shuffled8+noise"


def with_references(images, step):
    """Images (N, C, H, W) with as many references behind them."""
    seed, step = torch.tensor([0]), torch.tensor([step])
    return beside(images[None], FOUR, seed, step)[0]


# In training: logits = net(with_references(images, step))
#              loss = joint_nll(logits[:n], labels, reference_logits=logits[n:])

# %% tags=["hide-input"]
digits = load_dataset("digits").train_x[:48].float()
enlarged = torch.nn.functional.interpolate(digits, size=(32, 32), mode="bilinear")
both = with_references(enlarged.to(memory_format=torch.channels_last), 0)
names = ["blurred", "mixed", "shuffled", "noise"]
assert len(kinds_of(FOUR)) == len(names)
with plt.rc_context(style.STYLE):
    figure, axes = plt.subplots(2, 4, figsize=(7.5, 4), layout="constrained")
    for i, name in enumerate(names):
        for row in range(2):
            axes[row, i].imshow(both[row * 48 + 12 * i, 0], cmap="gray")
            axes[row, i].set_axis_off()
        axes[1, i].set_title(name)
    axes[0, 0].set_title("an image of the batch …", loc="left")
publish.show(
    figure,
    name="references",
    data=pd.DataFrame(
        {
            f"{what} {i}": image.round().int().flatten()
            for what, part in (("image", both[:48:12, 0]), ("reference", both[48::12, 0]))
            for i, image in enumerate(part, 1)
        }
    ),
    alt="Four digits of the data set, and below each the reference made from it: a blurred one, one mixed"
    " with another digit, one with its patches in another order, and smooth noise.",
    caption="Top: images of a batch; below: the references made from them. Here of scikit-learn's digits,"
    " enlarged.",
)

# %% [markdown]
# ## Which references, which weight?
#
# Three losses can have them: the joint loss (and its self-normalised form), *outlier exposure*
# {cite:p}`hendrycks2019`, which asks for a uniform answer on them, and the *energy margin*
# {cite:p}`liu2020energy`, which pushes their $\ln Z$ below a bound. Each gets the same six settings to
# choose from: which references, and how much weight. What chooses are images that no result below is about:
# crops of two photographs, images with random phases, coloured discs. The best mean AUROC wins, among
# settings that lose at most a point of validation accuracy. CIFAR-10, the first 10,000 images, batch size
# 128, two seeds.

# %% tags=["hide-input"]
store = Store(RESULTS)
grid = store.select(profiles.profile("references_tuning").runs())
held_back = pd.read_csv(Path(RESULTS) / "published/held_back_references_tuning.csv").fillna({"setting": ""})
best = choice.by_detection(grid, held_back)
NAMES = {
    "conditional": "standard",
    "joint": "joint",
    "self_normalised": "self-normalised",
    "outlier_exposure": "outlier exposure",
    "energy_margin": "energy margin",
    "labelled": "blur, labelled",
}
tried = pd.Series([run.loss for run in grid]).value_counts() // 2
assert tried[["joint", "self_normalised", "outlier_exposure", "energy_margin"]].eq(6).all()


def setting(run):
    """In words a reader knows."""
    options = dict(run.options)
    kinds = {"": "", "blur": "blur", FOUR: "four kinds"}[options.pop("references", "")]
    weight = [f"weight {value:g}" for value in options.values()]
    return ", ".join([kinds, *weight]) if kinds else "no references"


accuracy = choice.of_setting(grid, "val_accuracy")
own = held_back[held_back["score"] == held_back["loss"].map(choice.OWN_SCORE).fillna("max_softmax")]
found = own.groupby(["loss", "setting", "set"])["auroc"].mean().unstack()
display(
    Markdown(
        words.markdown_table(
            ["loss", "chosen", *found.columns, "validation accuracy"],
            [
                [
                    NAMES[run.loss],
                    setting(run),
                    *(f"{one:.2f}" for one in found.loc[run.loss, choice.in_words(run)]),
                    f"{accuracy[run]:.3f}",
                ]
                for run in best
            ],
        )
    )
)
chosen = {run.loss: run for run in best}
rate = {loss: found.loc[loss, choice.in_words(run)].mean() for loss, run in chosen.items()}
gained = {loss: rate[loss] - rate["conditional"] for loss in choice.OWN_SCORE}
assert min(gained.values()) > 0.05
rates = ", ".join(f"{NAMES[loss]} {rate[loss]:.2f}" for loss in (*choice.OWN_SCORE, "outlier_exposure"))
display(
    Markdown(
        "**With references, every loss finds the held-back images better than max softmax of the standard"
        f" net** ({rate['conditional']:.2f} on average): {rates}. The score is $\\ln p(x)$ for the joint"
        " losses and the energy margin, max softmax for the others."
    )
)

# %% [markdown]
# ## Does ln p(x) find unfamiliar images now?
#
# Now the images that are reported on, six other seeds, each net with its own score. SVHN, the two MNISTs in
# colour, and CIFAR-10's test images with shuffled patches or replaced by noise. The last two resemble some of
# the four kinds of references; the first three resemble none.
#
# **Before you look:** the joint loss and outlier exposure have the same references. Which will reach further
# from them?

# %% tags=["hide-input"]
records = store.select(profiles.profile("references").runs(batch_sizes=[128]))
assert set(best) <= {replace(run, seed=0) for run in records}
scored = pd.read_csv(Path(RESULTS) / "published/detection_references.csv").fillna({"setting": ""})
assert scored.groupby(["loss", "setting"])["seed"].nunique().min() >= 6
scored["own"] = scored["loss"].map(choice.OWN_SCORE).fillna("max_softmax")
by = ["loss", "setting", "set", "seed"]
auroc = scored[scored["score"] == scored["own"]].set_index(by)["auroc"]
other = scored.set_index([*by, "score"])["auroc"]
WAYS = {  # in the order of the figure, from below: name, loss, setting
    "standard": ("conditional", ""),
    "joint, no references": ("joint", ""),
    "joint, blur": ("joint", "references blur"),
    "joint, four kinds": ("joint", f"references {FOUR}"),
    "joint, four kinds, weight 3": ("joint", choice.in_words(chosen["joint"])),
    "self-normalised, four kinds": ("self_normalised", choice.in_words(chosen["self_normalised"])),
    "energy margin, blur": ("energy_margin", choice.in_words(chosen["energy_margin"])),
    "outlier exposure, blur": ("outlier_exposure", choice.in_words(chosen["outlier_exposure"])),
    "outlier exposure, four kinds": ("outlier_exposure", f"references {FOUR}"),
}
SETS = {name: detection.SETS[name] for name in ("svhn", "mnist", "fashion_mnist", "shuffled", "noise")}
COLOURS = {
    "conditional": style.LOSS_STYLE["conditional"]["color"],
    "joint": style.LOSS_STYLE["joint"]["color"],
    "self_normalised": style.LOSS_STYLE["joint"]["color"],
    "energy_margin": "#1B9E77",
    "outlier_exposure": "#1B9E77",
}
with plt.rc_context(style.STYLE):
    figure, axes = plt.subplots(1, len(SETS), figsize=(10, 3.6), layout="constrained", sharey=True)
    for axis, (name, title) in zip(axes, SETS.items()):
        for place, (loss, words_of) in enumerate(WAYS.values()):
            values = auroc[loss, words_of, name]
            axis.plot(values, [place] * len(values), "o", markersize=3, color=COLOURS[loss], alpha=0.5)
            filled = "white" if not words_of else COLOURS[loss]
            axis.plot(values.mean(), place, "o", markersize=8, color=COLOURS[loss], markerfacecolor=filled)
        axis.axvline(0.5, color=style.INK, linewidth=1, linestyle=":")
        axis.set(title=title, xlim=(-0.03, 1.03))
        axis.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
    axes[0].set_yticks(range(len(WAYS)), WAYS)
    style.label_axes(figure, "AUROC of the net's own score", "")
mean = auroc.groupby(level=by[:3]).mean()
table = pd.DataFrame({way: mean[key] for way, key in WAYS.items()}).T
print(table.round(3).to_string())
