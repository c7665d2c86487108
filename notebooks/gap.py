# %% [markdown]
# # What else makes a better net?
#
# ```{margin}
# **Notation.** NLL after T: mean negative log-likelihood of the test labels, in nats, with the logits divided
# by a temperature that validation images choose. $Z(x)$: the sum of $e^{f_k(x)}$ over classes, of the logits
# $f$. [All symbols](../book/glossary.md).
# ```
#
# [The chapter before](any_batch.ipynb) compares losses on nets that have nothing else. But whoever wants a
# better net has other means: normalisation, dropout, weight decay, changed images. What do they give, and
# what is left for the loss once a net has them?
#
# **In short.** For a small net and some 10,000 images: augment first, then add dropout. To an augmented net
# dropout of .4 gives 2.9 points, the loss 2.2. With augmentation and that dropout no gain in accuracy is
# seen from the loss; the NLL after T is slightly higher, the ECE lower.
#
# Two losses: the cross entropy (*standard*), and the *self-normalised* one, which charges every image for the
# distance of its $\ln Z$ from one number that all images share, at the weight of 5 that [was
# chosen](relatives.ipynb) before. (The joint loss itself was not trained here.)

# %% tags=["parameters", "remove-cell"]
RESULTS = "../results"  # the store of results

# %% tags=["hide-input"]
from IPython.display import Markdown, display

from gffn_core.experiments import profiles
from gffn_core.experiments.store import Store
from gffn_core.experiments.tables import over_seeds
from gffn_core.pages import gap as page
from gffn_core.pages import publish, words
from gffn_core.verdicts.claims import gap
from gffn_core.verdicts.claims.gap import (
    ACCURACY,
    AUGMENTED,
    DECAY,
    DROPOUT,
    GHOST,
    MILD,
    NLL,
    OURS,
    PLAIN,
    SMALL,
    STANDARD,
    TOGETHER,
)

store = Store(RESULTS)
LONGER = {way: way + gap.LONGER for way in (AUGMENTED, TOGETHER)}  # the same with 120 epochs
SHOWN = [*page.WAYS, *LONGER.values(), *MILD.values()]
nets = gap.read(store).xs(SMALL, level="batch_size").loc[:, (slice(None), SHOWN)]
assert not nets.isna().any(axis=None)
records = store.select(profiles.profile("gap").runs(batch_sizes=[SMALL])).values()

# %% tags=["remove-cell"]
chosen = {
    (run.loss, run.dropout, run.weight_decay)
    for run in profiles.profile("gap").runs(batch_sizes=[SMALL])
    if gap.way_of(run) == TOGETHER
}
assert chosen == {("conditional", 0.7, 0.3), ("self_normalised", 0.4, 0.3)}  # as the text says

# %% [markdown]
# ## What does each of them gain?
#
# CIFAR-10, the first 10,000 images, batch size 32, a learning rate of .001. To the plain net each is added
# alone: *weight decay* (.1 or .3), *dropout* (.4 or .7), *ghost batch norm* {cite:p}`hoffer2017` (batch norm
# over groups of 32 images; at this batch size that is ordinary batch norm), *augmentation* (images mirrored
# and shifted, 40 epochs instead of 20).
#
# *Together* joins, for each loss, the means that alone lowered the validation NLL: here all four. The
# validation NLL also chose the settings, with two seeds: a weight decay of .3 for both losses, a dropout of
# .7 for the standard and .4 for the self-normalised one. And it says at which epoch a net stops. Shown are
# six other seeds.
#
# **Before you look:** order the four by what they gain. And all at once?

# %% tags=["hide-input"]
value = page.values(nets)
publish.show(
    page.draw({SMALL: value}),
    name="what-else",
    data=page.data({SMALL: value}),
    alt="Accuracy and NLL after a temperature of the plain net and of five others, standard and"
    " self-normalised. "
    + "; ".join(
        f"{way}: accuracy {value[STANDARD, way][ACCURACY]['mean']:.3f} and"
        f" {value[OURS, way][ACCURACY]['mean']:.3f}, NLL {value[STANDARD, way][NLL]['mean']:.3f} and"
        f" {value[OURS, way][NLL]['mean']:.3f}"
        for way in page.WAYS
    )
    + ".",
    caption="Further right is better. Augmentation alone gains most, more than all four together; both had 40"
    " epochs, the others 20. Mean and 95 % interval over six seeds.",
    basis=words.basis(records, "gap"),
)
gain = {(net, way): page.better(nets, (net, way), (net, PLAIN)) for net in page.LOOKS for way in page.WAYS}
back = {net: page.better(nets, (net, TOGETHER), (net, AUGMENTED)) for net in page.LOOKS}


def points(found):
    """The gain in accuracy of both nets, in points."""
    return " and ".join(f"{100 * one[ACCURACY]['mean']:.1f}" for one in found)


def gained(way):
    return points(gain[net, way] for net in page.LOOKS)


for net in page.LOOKS:
    for metric in page.PANELS:
        of = {way: gain[net, way][metric] for way in page.WAYS[1:]}
        assert all(one["low"] > 0 for one in of.values()) and back[net][metric]["high"] < 0
        assert max(of, key=lambda way: of[way]["mean"]) == AUGMENTED
        assert max((DECAY, DROPOUT, GHOST), key=lambda way: of[way]["mean"]) == GHOST
    assert gain[net, GHOST][ACCURACY]["mean"] < gain[net, AUGMENTED][ACCURACY]["mean"] / 3
patient = page.better(nets, (STANDARD, LONGER[AUGMENTED]), (STANDARD, LONGER[TOGETHER]))[ACCURACY]
assert patient["low"] < 0 < patient["high"]
known = nets["train_accuracy"].groupby(level="net").mean()
assert known[TOGETHER].max() < 0.7 < 0.77 < known[AUGMENTED].min()
display(
    Markdown(
        f"**Augmentation gains {gained(AUGMENTED)} points (standard and self-normalised), more than three"
        " times what any of the others does alone.** After 40 epochs everything at once is"
        f" {points(back.values()).replace('-', '')} points behind augmentation alone; after 120 six seeds do"
        " not tell the two standard nets apart. Ghost batch norm comes second, in NLL, too.\n\n**Why?**"
        " A guess: each setting was chosen for a net without augmentation, which overfits sooner, and"
        " together they curb too much. When they stop, the nets with everything know"
        f" {words.percent(known[TOGETHER].min(), 0)} to {words.percent(known[TOGETHER].max(), 0)} of their"
        f" training images, those with augmentation alone {words.percent(known[AUGMENTED].min(), 0)} to"
        f" {words.percent(known[AUGMENTED].max(), 0)}."
    )
)

# %% [markdown]
# ## What is left for the loss?
#
# Part of what an even $\ln Z$ does is regularisation, and whoever augments has that already. So look at each
# pair: how much better is the self-normalised net than the standard one of the same seed, with each of the
# means? The column *stops* says at which epochs the six standard and the six self-normalised nets (*ours*)
# stop, of how many they had.
#
# **Before you look:** on the plain net the self-normalised loss gains two points. How much of it is left
# with augmentation?

# %% tags=["hide-input"]
titles = {way: way for way in page.WAYS if way not in LONGER}
for way, longer in LONGER.items():
    titles |= {f"{way}, 40 epochs": way, f"{way}, 120 epochs": longer}
display(Markdown(page.lead_table(nets, titles)))

# %% tags=["remove-cell"]
lead = page.leads(nets, SHOWN)
moved, moved_longer, at_once = (lead[way] for way in (AUGMENTED, LONGER[AUGMENTED], LONGER[TOGETHER]))
apart = nets.loc[OURS] - nets.loc[STANDARD]
lost_of_it = {
    metric: over_seeds(gap.BETTER[metric] * (apart[metric, LONGER[AUGMENTED]] - apart[metric, PLAIN]))
    for metric in page.PANELS
}
until = {  # in accuracy, where other rules stop
    (way, scheme): page.leads(gap.read(store, scheme).xs(SMALL, level="batch_size"), [way])[way][ACCURACY]
    for way, scheme in ((PLAIN, "early"), (LONGER[AUGMENTED], "early"), (LONGER[AUGMENTED], "long"))
}
hasty = until.pop((LONGER[AUGMENTED], "early"))
assert hasty["low"] < 0 < hasty["high"]
longer = {
    (net, way): page.better(nets, (net, LONGER[way]), (net, way)) for net in page.LOOKS for way in LONGER
}
assert all(lead[way][ACCURACY]["low"] > 0 for way in page.WAYS[:-1])
assert all(lead[way][NLL]["low"] > 0 for way in page.WAYS if way not in (DROPOUT, TOGETHER))
assert all(one["low"] < 0 for one in (*lead[TOGETHER].values(), *at_once.values(), lead[DROPOUT][NLL]))
assert 0.28 < moved[ACCURACY]["mean"] / lead[PLAIN][ACCURACY]["mean"] < 0.38
assert all(one["low"] > 0 for one in moved_longer.values())
assert all(one["low"] < 0 < one["high"] for one in lost_of_it.values())
assert all(lead[way][ACCURACY]["mean"] > 0.75 * lead[PLAIN][ACCURACY]["mean"] for way in (DECAY, GHOST))
for (way, _), of in until.items():
    assert 0 < of["low"] < of["mean"] < lead[way][ACCURACY]["mean"]
assert all(one["mean"] == 0 for one in longer[STANDARD, AUGMENTED].values())
assert all(one["low"] > 0 for one in longer[OURS, AUGMENTED].values())
for way in (DROPOUT, DECAY, AUGMENTED):
    ours, standard = (page.stops(nets, net, way) for net in (OURS, STANDARD))
    assert ours["last"] == ours["budget"] and standard["last"] < 0.8 * standard["budget"]

# %% tags=["hide-input"]
display(
    Markdown(
        "**With augmentation alone the lead is"
        f" {100 * moved_longer[ACCURACY]['mean']:.1f} points, if both nets have time.** Six seeds do not tell"
        " it from the lead on plain nets, in accuracy or in NLL. After 40 epochs only a third of it was"
        " there: the standard net had stopped by itself, the other was still"
        " improving.\n\nWith weight decay or ghost batch norm most of the"
        " lead is left, with dropout a gain in accuracy and none that is seen in NLL, and with everything"
        " at once none is seen.\n\nThe rule that stops the nets matters. Stopped early by validation"
        f" accuracy, as in the thesis, plain nets are {100 * until[PLAIN, 'early']['mean']:.1f} points apart"
        f" instead of {100 * lead[PLAIN][ACCURACY]['mean']:.1f}, and with augmentation no lead is seen: the"
        " rule stops our net long before it is done."
    )
)

# %% [markdown]
# **Why?** The self-normalised net overfits later, so it can use the time. To compare two losses, let each
# train until it stops by itself.
#
# ## And with augmentation and a little dropout?
#
# Dropout, too, regularises. Alone it took part of the loss's lead; with augmentation and 1,000 images it
# [took most of it](contest.ipynb). So both losses were trained with augmentation and dropout of .2 or .4,
# for 120 epochs. We had [predicted](../book/predictions.md) that .4 helps the standard net, and that less
# than half of the lead is left with it.
#
# **Before you look:** which net is the best of this page, and by which loss is it trained?

# %% tags=["hide-input"]
LESS, MORE = MILD[0.2], MILD[0.4]
names = {LONGER[AUGMENTED]: "augmentation", LESS: "dropout .2", MORE: "dropout .4"}
measures = page.PANELS | {"ece": "ECE", "nll": "NLL"}
display(
    Markdown(
        words.markdown_table(
            ["120 epochs", *measures.values(), "stops"],
            [
                [
                    f"{title}: {net}",
                    *(f"{nets.loc[net, (metric, way)].mean():.3f}" for metric in measures),
                    "{first}–{last}".format_map(page.stops(nets, net, way)),
                ]
                for way, title in names.items()
                for net in page.LOOKS
            ],
        )
    )
)
longer_records = store.select(
    profiles.profile("gap_longer").runs() + profiles.profile("gap_control").runs(batch_sizes=[SMALL])
)
val_nll = {}
for run, record in longer_records.items():
    val_nll.setdefault((gap.NETS[run.loss], gap.way_of(run)), []).append(min(record["curves"]["val_nll"]))
picked = {
    net: min(names, key=lambda way: sum(val_nll[net, way]) / len(val_nll[net, way])) for net in page.LOOKS
}
dropout_gains = page.better(nets, (STANDARD, MORE), (STANDARD, LONGER[AUGMENTED]))
beside = page.leads(nets, (LESS, MORE))
final = page.better(nets, (STANDARD, picked[STANDARD]), (OURS, picked[OURS]))
ece = over_seeds(nets.loc[STANDARD, ("ece", picked[STANDARD])] - nets.loc[OURS, ("ece", picked[OURS])])
assert picked == dict.fromkeys(page.LOOKS, MORE)
assert all(one["low"] > 0 for one in (*dropout_gains.values(), *beside[LESS].values(), final[NLL], ece))
assert final[ACCURACY]["low"] < 0 < final[ACCURACY]["high"]
assert all(0.3 < beside[LESS][metric]["mean"] / moved_longer[metric]["mean"] < 0.55 for metric in page.PANELS)
assert all(
    max(
        ((net, way) for net in page.LOOKS for way in SHOWN),
        key=lambda one: gap.BETTER[metric] * nets.loc[one[0], (metric, one[1])].mean(),
    )
    == (STANDARD, MORE)
    for metric in page.PANELS
)
short = moved_longer[ACCURACY]["mean"], dropout_gains[ACCURACY]["mean"]
assert [f"{100 * one:.1f}" for one in short] == ["2.2", "2.9"]  # as it says in short
display(
    Markdown(
        "**On average the best is a standard net, with augmentation and dropout of .4; with these the loss"
        " has no lead.** The validation NLL prefers .4 to .2, for ours by a hair. At .4 six seeds do not"
        " tell the accuracies apart. The standard net is ahead in NLL after T, by"
        f" {words.with_interval(final[NLL], sign='-')}, and the self-normalised one in ECE, by"
        f" {words.with_interval(ece, sign='-')}.\n\nDropout of .4 gains the standard net"
        f" {words.with_interval(dropout_gains[ACCURACY], sign='-')} in accuracy, on average more than the"
        " loss does. With .2, too little for the standard net, less than half of the loss's lead is left:"
        f" {words.with_interval(beside[LESS][ACCURACY], sign='-')}. So the loss forgives a dropout that is"
        " too small. Of our three [predictions](large_batches.ipynb) one came true and two are open, among"
        " them that a self-normalised net would have the lowest NLL."
    )
)

# %% [markdown]
# **Why?** A guess: both keep a net from learning its images by heart, and whoever has one gains little from
# the other. It is not confidence alone: a gain is seen in NLL after a temperature, too ([the chapter on any
# batch size](any_batch.ipynb)).
#
# **Limits.** A narrow net, 10,000 images of one data set, one learning rate: .001 for both losses. On 1,000
# images, where the rate was tuned, the standard net [chose a fifth to two fifths of that](contest.ipynb) and
# the joint one kept it, so the rate may have favoured ours. Weight decay and dropout were chosen among two
# values, for 20 epochs. Shares of dropout above .4 were not tried with augmentation. The lead with
# dropout or weight decay alone may be too small, as the self-normalised net had no time. Four of the six
# plain standard nets were trained on another machine than their partners.

# %% tags=["remove-cell"]
machines = {
    net: {record["provenance"]["hardware"] for record in records if gap.NETS[record["run"]["loss"]] == net}
    for net in page.LOOKS
}
other = sum("NVIDIA" in record["provenance"]["hardware"] for record in records)
assert machines[OURS] < machines[STANDARD] and other == 4  # as the text says

# %% [markdown]
# ```{admonition} For practitioners
# :class: tip
# For a small net and some 10,000 images:
#
# - **Augment first.** Nothing else here comes near.
# - **Then dropout as well**, or, where a net should have none, [the self-normalised loss](any_batch.ipynb)
#   at weight 5 and two to four times the epochs. Both gain two to three points; together they gain no more
#   than one of them.
# - **Do not pile up** what helped alone. Choose again after each addition.
# - **Large batches** are [the next chapter](large_batches.ipynb).
# ```
#
# ## Exercises
#
# **1.** A paper reports that its loss gains two points over cross entropy, with augmentation. What would you
# ask for?
#
# ```{admonition} Solution
# :class: dropdown
# For the cross entropy with the cheapest other regulariser, tuned; and for the epochs at which the nets stop.
# Here a third of the lead was seen before the nets had time, all of it after, and nothing with a dropout
# of .4 added.
# ```
#
# **2.** *Together* has the dropout and the weight decay that were best alone. Why is that no fair picture of
# what the four could do together, and what would a fair one cost?
#
# ```{admonition} Solution
# :class: dropdown
# What is best alone need not be best beside the others, and here nobody knows. Two values of dropout,
# two of weight decay, with and without a norm are eight settings, and each has to be trained with
# augmentation, for many epochs.
# ```
