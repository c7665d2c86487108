# %% [markdown]
# # Generatively learned feed forward networks
#
# *A reproduction of Jakob Klinger's bachelor's thesis, TU Dresden, 2021* {cite:p}`klinger2021`, *and what
# lies beyond it*
#
# Read a classifier's logits as $\ln p(x, y)$ instead of $\ln p(y|x)$, and one changed line of the training
# halves the calibration error of nets that train long, on average at no cost in accuracy.
#
# **Should you use it?** With about a thousand images and a net from scratch, try it, beside dropout, with a
# larger weight on what it adds to the cross entropy (`kl_weight` below). With many images, for calibration,
# or to find unfamiliar images: hardly. Points of accuracy gained over the standard net:

# %% tags=["parameters", "remove-cell"]
RESULTS = "../results"  # the store of results

# %% tags=["remove-cell"]
import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import Markdown, display

from gffn_core.experiments import choice, contest, profiles, tables
from gffn_core.pages import claims, publish, style, words
from gffn_core.pages.chapter import open_chapter, pair_near
from gffn_core.training import course
from gffn_core.verdicts.claims import contest as contests
from gffn_core.verdicts.claims import gap, more_images, stops

chapter = open_chapter("cpu", RESULTS, announce=False)
PAIR = style.loss_styles(("conditional", "joint"))

# %% tags=["remove-input"]
by_t, by_nll = stops.read(chapter.store), more_images.read(chapter.store)
in_large = contest.frame(
    chapter.store.select(profiles.profile("contest_large").runs()).values(), (course.LOWEST_SCALED_NLL,)
)
in_large = in_large.set_index(["contender", "scheme", "seed"])
DROPOUT, DECAY = ("dropout", contest.JOINT_DROPPED), ("weight decay", contest.JOINT_DECAYED)
AFTER_T, RAW = course.LOWEST_SCALED_NLL, course.LOWEST_NLL
FIELDS = {  # nets, their stop, before their names, a rival, the joint loss with one, what to take
    "1,000 images of CIFAR-10": (by_t.loc[contests.CIFAR], AFTER_T, "", *DROPOUT, "dropout, or both"),
    "the same, wide net": (by_t.loc[contests.CIFAR], AFTER_T, contests.WIDE, *DROPOUT, "joint"),
    "1,000 of Fashion-MNIST": (by_t.loc[contests.FASHION], AFTER_T, "", "dropout", "", "joint, for little"),
    "8,841 of SVHN": (by_nll.loc[more_images.SVHN], RAW, "", *DECAY, "joint"),
    "10,000 of CIFAR-10": (by_t.loc[stops.MORE], AFTER_T, "", *DECAY, "both, or decay and dropout"),
    "the same, batches of 1,024": (in_large, AFTER_T, "", "dropout", DECAY[1], "with weight decay"),
    "10,000 of Fashion-MNIST": (by_nll.loc[more_images.FASHION], RAW, "", DECAY[0], "", "either, for little"),
    "45,000 of CIFAR-10": (by_nll.loc[more_images.ALL], RAW, "", *DECAY, "joint, for little"),
}


def more_accurate(nets, who, than="standard", scheme=AFTER_T):
    """By how many points, mean and interval over seeds."""
    return 100 * tables.over_seeds(contests.better(nets, "test_accuracy", who, than, scheme))


def cell(found, beside=""):
    text = words.signed(found["mean"], 1)
    return (f"**{text}**" if found["low"] > 0 or found["high"] < 0 else text) + beside


gained, over, rows = {}, {}, []
for field, (nets, scheme, net, rival, both, take) in FIELDS.items():
    ways = {"joint": net + "joint", "rival": net + rival} | ({"both": net + both} if both else {})
    of = {name: more_accurate(nets, way, net + "standard", scheme) for name, way in ways.items()}
    gained |= {(field, name): found for name, found in of.items()}
    for one, other in (("joint", "rival"), ("both", "joint"), ("both", "rival")):
        if one in ways:
            over[field, one, other] = more_accurate(nets, ways[one], ways[other], scheme)
    with_another = " weight decay" if both == DECAY[1] and rival != DECAY[0] else ""
    last = cell(of["both"], with_another) if both else ""
    star = "*" if scheme == RAW else ""
    rows.append([field + star, cell(of["joint"]), cell(of["rival"], f" {rival}"), last, take])
FEW, WIDE, FASHION, SVHN, MORE, LARGE, FASHION_MORE, ALL = FIELDS


def told(field, one, other):
    """1 where one way is seen to be more accurate than another, -1 where it is seen to be less so, else 0."""
    found = over[field, one, other]
    return int(found["low"] > 0) - int(found["high"] < 0)


# What "take" rests on: who is told from whom.
assert [told(FEW, *pair) for pair in (("joint", "rival"), ("both", "joint"), ("both", "rival"))] == [0, 1, 0]
assert told(WIDE, "joint", "rival") == told(FASHION, "joint", "rival") == told(SVHN, "joint", "rival") == 1
assert told(WIDE, "both", "joint") == told(SVHN, "both", "joint") == told(FASHION_MORE, "joint", "rival") == 0
for field in (MORE, LARGE):
    assert told(field, "joint", "rival") == 0
    assert told(field, "both", "joint") == told(field, "both", "rival") == 1
assert max(gained[field, "joint"]["mean"] for field in (FASHION, FASHION_MORE, ALL)) < 1
assert gained[ALL, "both"]["high"] < gained[ALL, "rival"]["high"] < 0
raw_nll = contests.read(chapter.store).loc[contests.CIFAR]
at_raw = [
    f"{more_accurate(raw_nll, net + 'joint', net + 'standard', RAW)['mean']:.1f}"
    for net in ("", contests.WIDE)
]
said = [
    (FEW, "joint"),
    (FEW, "rival"),
    (FEW, "both"),
    (WIDE, "joint"),
    (WIDE, "rival"),
    (FASHION, "joint"),
    (MORE, "both"),
]
said = [f"{gained[one]['mean']:.1f}" for one in said]
assert said == ["2.7", "3.3", "4.3", "4.5", "2.4", "0.8", "4.5"]  # as README says
moved = more_accurate(by_t.loc[contests.CIFAR], contests.MOVED)["mean"]
decayed = more_accurate(by_t.loc[stops.MORE], contest.DROPOUT_DECAYED)
apart = more_accurate(by_t.loc[stops.MORE], DECAY[1], contest.DROPOUT_DECAYED)
assert apart["low"] < 0 < apart["high"] and f"{decayed['mean']:.1f}" == "4.4"  # as README says
assert moved > max(found["mean"] for found in gained.values())
display(
    Markdown(
        words.markdown_table(["you have", "joint loss", "a rival", "both", "take"], rows)
        + "\n\nBold: a 95 % interval over six seeds leaves out zero, each for itself. The *wide* net has"
        " four times the channels of the small (*narrow*) one. No row has augmentation, which gains more"
        f" than any of these ({moved:.1f} points on 1,000 images of CIFAR-10): [augment"
        " first](../notebooks/gap.ipynb). Each way had twelve settings to try (in the rows of 10,000 images"
        " without a star six), and *both* was tried after its parts had led. Dropout with weight decay was"
        f" tried in one row: with 10,000 images it gains {decayed['mean']:.1f}, which six seeds do not tell"
        " from both. SVHN and the 45,000 images have the settings of 10,000.\n\nAll nets stop at the lowest"
        " NLL of validation images [after a temperature](../notebooks/stops.ipynb), or, in rows with a"
        " star, at the lowest raw NLL, which stops the standard net too soon: by that rule the first two"
        f" gains would be {at_raw[0]} and {at_raw[1]}. (In batches of 1,024 it chose the settings.)\n\nFor"
        " calibration a temperature is cheaper and better. House numbers hardly get a lower $p(x)$ than"
        " familiar images. By the highest probability, nets of 1,000 images of CIFAR-10 find them less well"
        " than the standard net does, by up to [a tenth of AUROC](../notebooks/contest.ipynb)."
    )
)

# %% [markdown]
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
augmented = {
    who: f"{more_accurate(by_t.loc[contests.CIFAR], who, contests.MOVED)['mean']:.1f}"
    for who in (contests.JOINT_MOVED, contests.DROPOUT_MOVED)
}
nets = gap.read(chapter.store).xs(gap.SMALL, level="batch_size")
level, finer = (
    tables.over_seeds((nets.loc[gap.OURS, metric] - nets.loc[gap.STANDARD, metric])[gap.MILD[0.4]])
    for metric in (gap.ACCURACY, gap.NLL)
)
assert level["low"] < 0 < level["high"] and finer["low"] > 0
weights = by_t["kl_weight"].groupby(["dataset", "contender"]).first()
assert weights[contests.CIFAR][["joint", contests.WIDE + "joint", DROPOUT[1]]].isin([25, 125]).all()
assert weights[contests.FASHION]["joint"] == 1
found = pd.read_csv(chapter.store.root / "published/detection_references.csv").fillna({"setting": ""})
found = choice.own_score(found).groupby(["loss", "setting", "set"])["auroc"].mean()
found = found["joint"]
without, beside = found[""], found["references blur+mixed+shuffled8+noise"]
assert found["references blur"]["svhn"] > 0.75 and found["references blur"]["mnist"] > without["mnist"]
assert without["svhn"] < 0.5 and beside["svhn"] > 0.88 and beside["mnist"] < without["mnist"] - 0.1
display(
    Markdown(
        "- **The joint loss halves the calibration error, and on average costs no accuracy.** Trained long"
        " on all images at weight 1, joint nets have an expected calibration error (ECE) of"
        f" {raw['joint', 'long']:.3f} where standard nets have {raw['conditional', 'long']:.3f}, with"
        f" {more:+.2f} points of accuracy; on CIFAR-10 at batches of 512 and more, all at one learning"
        " rate, it loses about a point.\n- **A temperature does more, and above batches of 16 so does"
        " stopping early.** Against a joint net trained long, a standard net with a temperature has the"
        f" lower error in {cheap.scaled} of {cheap.pairs} pairs. One that stops early has it in"
        f" {cheap.stopped}: in {small.stopped} of {small.pairs} at batches up to 16, where many nets are"
        f" underfit, and in {cheap.stopped - small.stopped} of {cheap.pairs - small.pairs} above. With a"
        f" temperature for both, the joint net has the higher error in {worse.sum()} of {len(worse)}. Stop"
        " both early, and on average the joint net is more accurate and, except on MNIST, better"
        " calibrated.\n- **With few images it makes more accurate nets**: the table above, on CIFAR-10 at"
        " weights of 25 and 125, on Fashion-MNIST at the thesis's weight of 1. If nets see augmented"
        f" images, 1,000 of CIFAR-10, the joint loss gains {augmented[contests.JOINT_MOVED]} points and"
        f" dropout {augmented[contests.DROPOUT_MOVED]}. On top of [augmentation and"
        " dropout](../notebooks/gap.ipynb), with 10,000 images, its form with one constant for all batches,"
        " the *self-normalised* loss, gains no accuracy that is seen, and its NLL after a temperature is"
        f" higher by {finer['mean']:.3f}.\n- **It does not learn p(x).** A low $p(x)$ was meant to mark"
        " unfamiliar images. It does so badly on house numbers, the thesis's test, and the loss [does not"
        " ask for more](../notebooks/mechanism.ipynb): it is best when $p(x)$ is the same for all training"
        " images. [References](../notebooks/repair.ipynb), such as blurred images made from the batch, help"
        " with images like them and hardly with others: with four kinds of references the AUROC rises from"
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
