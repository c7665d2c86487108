# %% [markdown]
# # Generatively learned feed forward networks
#
# *A reproduction of Jakob Klinger's bachelor's thesis, TU Dresden, 2021* {cite:p}`klinger2021`, *and what
# lies beyond it*
#
# Read a classifier's logits as $\ln p(x, y)$ instead of $\ln p(y|x)$, and one changed line of the training
# halves the calibration error of nets that train long, on average at no cost in accuracy.
#
# **Should you use it?** If you train a net from scratch on about a thousand images, try it, beside dropout.
# With a larger weight on what it adds to the cross entropy (`kl_weight` below), it was the most accurate of
# nine ways to train, all tuned alike and stopped by validation NLL: on CIFAR-10 it gained 4.2 points over
# the standard net and 3.0 over dropout. On a net four times as wide, where four ways were tried, it gained
# 7.9 and 4.7. If that NLL is taken [after a temperature](../notebooks/stops.ipynb), 2.7 and 4.5 are left
# over the standard net; dropout is then level with it on the small net, and 2.1 behind on the wide one.
# With 10,000 images weight decay does as well, and the two together do better; with all 45,000 little is
# left, and of Fashion-MNIST nobody gains a point with 10,000. If you want calibration, a temperature is
# cheaper and better. If you want to find unfamiliar images by $p(x)$, no: they often get no lower $p(x)$
# than familiar ones.
#
# ::::{div} gffn-doors
#
# ```{button-ref} ../notebooks/contest
# :ref-type: doc
# :color: primary
# Would you use it?
# ```
# ```{button-ref} ../notebooks/mechanism
# :ref-type: doc
# :color: primary
# :outline:
# What does it do?
# ```
# ```{button-ref} rerun
# :ref-type: doc
# :color: primary
# :outline:
# Run it
# ```
#
# ::::

# %% tags=["parameters", "remove-cell"]
RESULTS = "../results"  # the store of results

# %% tags=["remove-cell"]
import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import Markdown, display

from gffn_core.experiments import choice, contest, tables
from gffn_core.pages import claims, publish, style, words
from gffn_core.pages.chapter import open_chapter, pair_near
from gffn_core.training import course
from gffn_core.verdicts.claims import contest as contests
from gffn_core.verdicts.claims import gap, more_images, stops

chapter = open_chapter("cpu", RESULTS, announce=False)
PAIR = style.loss_styles(("conditional", "joint"))

# %% tags=["hide-input"]
means = tables.by_stopping(chapter.table, ["ece", "scaled_ece", "test_accuracy"])
NETS = {
    "standard, long": ("conditional", "long"),
    "joint, long": ("joint", "long"),
    "standard, early": ("conditional", "early"),
    "joint, early": ("joint", "early"),
}
rows = []
for record in pair_near(chapter.records, "cifar10", 256):
    bars = tables.score_points(record).query("panel == 'histogram' and series == 'inside'")
    x, y = bars["x"] - bars["y"] @ bars["x"], bars["y"]
    rows.append(pd.DataFrame({"panel": "ln Z", "net": record["run"]["loss"], "x": x, "y": y}))
with plt.rc_context(style.STYLE):
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.1), layout="constrained")
    for one in rows:
        look = PAIR[one["net"].iloc[0]]
        left.fill_between(one["x"], one["y"] / one["y"].max(), step="mid", alpha=0.25, color=look["color"])
        left.step(one["x"], one["y"] / one["y"].max(), where="mid", **style.line(look), label=look["label"])
    left.set(xlabel="ln Z(x) of test images, from its mean (nats)", yticks=[], xlim=(-25, 25))
    left.set_title("one CIFAR-10 pair")
    for place, (name, net) in enumerate(NETS.items()):
        ece, scaled, accuracy = means.loc[net]
        colour = PAIR[net[0]]["color"]
        right.plot([scaled, ece], [-place] * 2, color=colour, linewidth=2)
        right.plot(ece, -place, "o", color=colour, markersize=8)
        right.plot(scaled, -place, "o", color=colour, markerfacecolor=style.PAPER, markersize=8)
        right.annotate(f"{100 * accuracy:.1f} % right", (0.117, -place), va="center", fontsize=9.5)
        rows.append(pd.DataFrame({"panel": "ECE", "net": name, "x": [ece, scaled], "y": accuracy}))
    right.set_yticks([0, -1, -2, -3], NETS)
    right.set(xlabel="ECE: raw (filled), after a temperature (hollow)", xlim=(0, 0.145), ylim=(-3.5, 0.5))
    right.set_title("four data sets, all batch sizes")
    right.grid(axis="y", visible=False)
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=2)
raw, mended = means["ece"], means["scaled_ece"]
accuracy = 100 * means["test_accuracy"]
publish.show(
    figure,
    name="headline",
    data=pd.concat(rows),
    alt="First: the joint net's ln Z of test images is a spike where the standard net's is a broad hill."
    " Then: the calibration error of nets trained long is halved by the joint loss, and is lower still after"
    " stopping early or with a temperature.",
    caption="First: the joint loss makes ln Z, the log-sum-exp of an image's logits, nearly the same for all"
    " images. Then: its nets have a lower calibration error, and stopping early or a temperature lowers it,"
    " too.",
    basis=chapter.basis,
)

# %% [markdown]
# In your own training (`pip install .` in a clone of this repository):
#
# ```python
# from gffn_core import JointCrossEntropyLoss
#
# # was: torch.nn.CrossEntropyLoss()
# # 1 is the thesis's loss; 25 and 125 are worth a try
# criterion = JointCrossEntropyLoss(kl_weight=5.0)
# for images, labels in loader:
#     optimizer.zero_grad()
#     criterion(model(images), labels).backward()
#     optimizer.step()
# ```
#
# What it computes at weight 1 (`joint`), and the usual cross entropy (`conditional`), the loss of the
# *standard* nets below:
#
# ```python
# score = logits.gather(-1, labels[:, None]).mean()
# conditional = logits.logsumexp(-1).mean() - score
# joint = logits.logsumexp((0, 1)) - math.log(len(logits)) - score
# ```
#
# The net and its use stay the same, and a step takes about as long. At large weights a net needs [1.5 to 7
# times as many epochs](../notebooks/contest.ipynb) until its raw validation NLL turns, and up to 3.4 times
# as many until the NLL after a temperature does.
#
# ## What comes of it

# %% tags=["remove-input"]
cheap = tables.remedies(chapter.table)
small = tables.remedies(chapter.table[chapter.table["batch_size"] <= 16])
scaled = chapter.long.pivot(index=["dataset", "batch_size", "seed"], columns="loss", values="scaled_ece")
worse = scaled["joint"] > scaled["conditional"]
by_dataset = chapter.early.groupby(["dataset", "loss"])["ece"].mean().unstack()
better_early = by_dataset["joint"] < by_dataset["conditional"]
at_large = chapter.long.query("dataset == 'cifar10' and batch_size >= 512")
lost = tables.paired_difference(at_large, "test_accuracy")["mean"]
assert lost.min() > -0.013 and lost.max() < -0.006
assert raw["joint", "long"] < 0.6 * raw["conditional", "long"]
assert (
    raw["conditional", "early"] < raw["joint", "long"]
    and mended["conditional", "long"] < raw["joint", "early"]
)
assert raw["joint", "early"] == raw.min() and accuracy["joint", "early"] == accuracy.max()
assert cheap.scaled > 0.85 * cheap.pairs and small.stopped < 0.4 * small.pairs
assert cheap.stopped - small.stopped > 0.7 * (cheap.pairs - small.pairs)
assert better_early.drop("mnist").all() and not better_early["mnist"]
assert tables.remedies(chapter.table.query("dataset == 'cifar10' and batch_size >= 512")).finer == 0
more = accuracy["joint", "long"] - accuracy["conditional", "long"]
assert more > 0
contest_nets = contests.read(chapter.store)
few = contest_nets["test_accuracy"].xs(course.LOWEST_NLL, level="scheme")
few = few.groupby(["contender", "dataset"]).mean().unstack()
alone = few.loc[[*contest.CONTENDERS], [*contests.DATASETS]]
gained = alone.loc["joint"] - alone.loc["standard"]
assert (alone.idxmax() == "joint").all() and len(gained) == 2 and gained.min() > 0.02
nets = gap.read(chapter.store)["test_accuracy"].xs(gap.SMALL, level="batch_size")
lead = nets.loc[gap.OURS] - nets.loc[gap.STANDARD]
level = tables.over_seeds(lead[gap.MILD[0.4]])
assert level["low"] < 0 < level["high"]
on_cifar = contest_nets.loc[contests.CIFAR]
on_more = more_images.read(chapter.store).loc[more_images.CIFAR]
larger, over_decay, joined = (
    tables.over_seeds(contests.better(on_more, "test_accuracy", who, than))
    for who, than in (
        ("joint", "standard"),
        ("joint", "weight decay"),
        (contests.JOINT_DECAYED, "weight decay"),
    )
)
of_fashion = more_images.read(chapter.store).loc[more_images.FASHION]["test_accuracy"]
of_fashion = of_fashion.xs(course.LOWEST_NLL, level="scheme").groupby("contender").mean()
assert of_fashion.max() - of_fashion["standard"] < 0.01
assert larger["low"] > 0 and over_decay["low"] < 0 < over_decay["high"] and joined["low"] > 0


def ahead(who, than, net=""):
    """By how much more accurate one way is than another."""
    return tables.over_seeds(contests.better(on_cifar, "test_accuracy", net + who, net + than))


augmented = ahead(contests.JOINT_MOVED, contests.MOVED)["mean"]
assert 0.5 * gained["cifar10_1000"] < augmented < gained["cifar10_1000"]
rival = ahead(contests.JOINT_MOVED, contests.DROPOUT_MOVED)
assert rival["low"] < 0 < rival["mean"]
wide = {
    than: ahead(who, than, contests.WIDE)
    for who, than in (
        ("joint", "standard"),
        (contests.JOINT_MOVED, contests.MOVED),
        (contests.JOINT_MOVED, contests.DROPOUT_MOVED),
    )
}
assert all(one["low"] > 0 for one in wide.values())
after_t = stops.read(chapter.store)["test_accuracy"].groupby(["dataset", "contender"]).mean()
SMALL, LARGE, FASHION = (contests.CIFAR, ""), (contests.CIFAR, contests.WIDE), (contests.FASHION, "")
gain = {
    (
        where,
        who,
        than,
    ): f"{100 * (after_t[where[0], where[1] + who] - after_t[where[0], where[1] + than]):.1f}"
    for where in (SMALL, LARGE, FASHION)
    for who, than in (("joint", "standard"), ("dropout", "standard"), ("joint", "dropout"))
}
said = [gain[SMALL, "joint", "standard"], gain[LARGE, "joint", "standard"], gain[LARGE, "joint", "dropout"]]
assert said == ["2.7", "4.5", "2.1"] and f"{100 * gained['cifar10_1000']:.1f}" == "4.2"  # as it says above
wide = {than: f"{100 * one['mean']:.1f}" for than, one in wide.items()}
# As the page says above, and README.
assert (wide["standard"], wide[contests.DROPOUT_MOVED]) == ("7.9", "3.6")
found = pd.read_csv(chapter.store.root / "published/detection_references.csv").fillna({"setting": ""})
found = choice.own_score(found).groupby(["loss", "setting", "set"])["auroc"].mean()
found = found["joint"]
without, beside = found[""], found["references blur+mixed+shuffled8+noise"]
assert found["references blur"]["svhn"] > 0.75 and found["references blur"]["mnist"] > without["mnist"]
assert without["svhn"] < 0.5 and beside["svhn"] > 0.88 and beside["mnist"] < without["mnist"] - 0.1
display(
    Markdown(
        "- **The joint loss halves the calibration error, and on average costs no accuracy.** Trained"
        f" long, joint nets have an expected calibration error (ECE) of {raw['joint', 'long']:.3f} where"
        f" standard nets have {raw['conditional', 'long']:.3f}, with {more:+.2f} points of accuracy; on"
        " CIFAR-10 at batches of 512 and more it loses about a point.\n- **A temperature does more, and"
        " above batches of 16 so does stopping early.** Against a joint net trained long, a standard net"
        f" with a temperature has the lower error in {cheap.scaled} of {cheap.pairs} pairs. One that stops"
        f" early has it in {cheap.stopped}: in {small.stopped} of {small.pairs} at batches up to 16, where"
        f" many nets are underfit, and in {cheap.stopped - small.stopped} of {cheap.pairs - small.pairs}"
        f" above. With a temperature for both, the joint net has the higher error in {worse.sum()} of"
        f" {len(worse)}. Stop both early, and on average the joint net is more accurate and, except on"
        " MNIST, better calibrated.\n- **With few images and a larger weight it is the most accurate of"
        " nine ways to train, if validation NLL says when to stop**; all were tuned alike. On 1,000 images"
        f" of CIFAR-10 it gains {100 * gained['cifar10_1000']:.1f} points of accuracy over the standard"
        f" net, and {wide['standard']} on a net four times as wide; on Fashion-MNIST it gains"
        f" {100 * gained['fashion_mnist_1000']:.1f}, and others come close. If both nets see augmented"
        f" images, the gain on CIFAR-10 shrinks to {100 * augmented:.1f} and, on the wide net,"
        f" {wide[contests.MOVED]}. Dropout with augmentation comes close on the narrow net and is"
        f" {wide[contests.DROPOUT_MOVED]} points behind on the wide one. With ten times as many images the"
        f" narrow net gains {100 * larger['mean']:.1f}, weight decay as much, and the two together more; on"
        " Fashion-MNIST [nobody gains a point](../notebooks/more_images.ipynb). Beside [augmentation and"
        " dropout](../notebooks/gap.ipynb) its self-normalised form is seen to gain nothing.\n- **If the"
        " NLL after a temperature says when to stop, [dropout draws level](../notebooks/stops.ipynb)** on"
        f" the narrow net and CIFAR-10: it gains {gain[SMALL, 'dropout', 'standard']} points, the joint loss"
        f" {gain[SMALL, 'joint', 'standard']}. On the wide net the joint loss gains"
        f" {gain[LARGE, 'joint', 'standard']} and leads dropout by {gain[LARGE, 'joint', 'dropout']}; on"
        f" Fashion-MNIST it gains {gain[FASHION, 'joint', 'standard']}.\n- **It does not learn p(x).** A"
        " low $p(x)$ was meant to mark unfamiliar images. It does so badly, and the loss [does not ask for"
        " more](../notebooks/mechanism.ipynb): it is best when $p(x)$ is the same for all training images."
        " [References](../notebooks/repair.ipynb), such as blurred images made from the batch, help with"
        " images like them and hardly with others: with four kinds of references the AUROC rises from"
        f" {without['svhn']:.2f} to {beside['svhn']:.2f} on house numbers (SVHN), and falls from"
        f" {without['mnist']:.2f} to {beside['mnist']:.2f} on MNIST, which resembles none of them; with"
        " blurred images alone MNIST is kept."
    )
)

# %% [markdown]
# ::::{grid} 1 1 3 3
#
# :::{grid-item-card} Learn
# [Playground](playground.md): both losses train in the page; [film](film.md) of two nets that learn; [draw a
# digit](draw.md), and two nets answer.
# [The theory](../notebooks/theory.ipynb), line by line; [what the loss does](../notebooks/mechanism.ipynb);
# [any batch size](../notebooks/intercept.ipynb).
# :::
#
# :::{grid-item-card} Results
# [The thesis on one page](../notebooks/claims.ipynb); [accuracy](../notebooks/accuracy.ipynb),
# [calibration](../notebooks/calibration.ipynb), [detection](../notebooks/ood.ipynb); the
# [explorer](../notebooks/explorer.ipynb).
# :::
#
# :::{grid-item-card} Use
# [Would you use it?](../notebooks/contest.ipynb) [One class](../notebooks/theory.ipynb) in place of PyTorch's
# cross entropy; your own images, by `examples/own_data.py`; [rerun](rerun.md) any chapter, on Colab or here;
# [all data](downloads.md).
# :::
#
# ::::
#
# ## The thesis and this book

# %% tags=["remove-input"]
long = chapter.long
gain, error = (tables.paired_difference(chapter.table, metric) for metric in ("test_accuracy", "ece"))
fitted = tables.summary(long, "train_accuracy")


def compared(scheme):
    here, ece = (table[table["scheme"] == scheme].set_index("dataset")["mean"] for table in (gain, error))
    even = [one.groupby(level=0).mean().mean() for one in (here, ece)]  # each data set with equal weight
    return (
        f"more accurate in {(here > 0).sum()} of {len(here)} cells, {100 * even[0]:+.2f} points on average;"
        f" lower ECE in {(ece < 0).sum()} of {len(ece)}, {even[1]:+.3f} on average"
    )


scored = long[(long["loss"] == "joint") & long["dataset"].isin(["cifar10", "svhn"])].groupby(
    "title", sort=False
)
unfamiliar = "; ".join(
    f"{words.escape(tables.short_title(title))}: {part['auroc_log_px'].mean():.2f}, against"
    f" {part['auroc_max_softmax'].mean():.2f} by max softmax"
    for title, part in scored
)
rows = [
    (
        "[Is the derivation right?](../notebooks/theory.ipynb)",
        "one softmax more per step; equal at batch size 1",
        "exact, and the change is a penalty for an uneven p(x) over the batch",
    ),
    (
        "[Accuracy](../notebooks/accuracy.ipynb) and [calibration](../notebooks/calibration.ipynb), stopped"
        " early",
        "at least as accurate",
        compared("early"),
    ),
    ("The same, trained long", "at least as accurate; lower ECE everywhere", compared("long")),
    (
        "[Would something cheaper do?](../notebooks/calibration.ipynb)",
        "not asked",
        f"yes, for the ECE; with a temperature for both, the joint net has the higher ECE in {worse.sum()} of"
        f" {len(worse)} pairs ({scaled['joint'].mean():.3f} against {scaled['conditional'].mean():.3f}), and"
        f" the lower NLL in {cheap.finer} (on CIFAR-10 in none from 512 on)",
    ),
    (
        "[Does ln p(x) detect unfamiliar images?](../notebooks/ood.ipynb)",
        "no; worse than max softmax",
        f"AUROC of the joint nets, all batch sizes, trained on {unfamiliar}",
    ),
]
ledger = {"thesis": "the thesis's", "ours": "our own"}
counted = chapter.ledger.groupby(["verdict", "family"]).size().unstack(fill_value=0)
counted = counted.reindex(claims.VERDICTS, fill_value=0)[[*ledger]]
underfit = int(fitted["underfit"].sum())
display(
    Markdown(
        words.markdown_table(["Question", "The thesis says of the GFFN", "We measure"], rows)
        + "\n\nA *cell* is one data set and batch size, averaged over seeds. Counted once for each loss there"
        f" are {len(fitted)} cells trained long; {underfit} have a seed that ends below"
        f" {words.percent(course.FITTED, 0)} training accuracy: their budget was too short to count as the"
        f" thesis's long scheme. **Shown here:** {chapter.coverage}.\n\nEvery statement of the thesis that"
        " can be tested has a test and a verdict, which is computed from these runs: [the thesis on one"
        " page](../notebooks/claims.ipynb).\n\n"
        + words.markdown_table(
            ["claims", *(f"{name}, {counted[family].sum()}" for family, name in ledger.items())],
            [[verdict, *map(str, row)] for verdict, row in zip(counted.index, counted.to_numpy())],
        )
    )
)

# %% [markdown]
# Numbers that are results are computed from the records in `results/` when a page is built, and where a
# sentence draws a conclusion from numbers, the cell checks it. Several devices, or many
# runs? [One batch on several processes](../notebooks/distributed.ipynb), [how fast it
# trains](../notebooks/speed.ipynb), [the sweep on many machines](../notebooks/cluster.ipynb).
