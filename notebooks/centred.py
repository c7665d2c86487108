# %% [markdown]
# # Does the gain need a shift?
#
# ```{margin}
# **Notation.** $Z(x) = \sum_k e^{f_k(x)}$ of the logits $f(x)$; their mean is the *shift*, $\ln Z$ minus the
# shift the *sharpness*. NLL *after T*: with the logits divided by a temperature that validation images
# choose; of test images, in nats. ECE with ten bins. [All symbols](../book/glossary.md).
# ```
#
# An even $\ln Z$ can be had in two ways: by a [shift of all ten logits](shift.ipynb), which leaves the
# answers alone, or by answers that are equally sharp. Take the mean of the logits away, and no shift is left:
# $\ln Z$ is the sharpness alone. Which part of what these losses gain is then left?
#
# **In short.** At weight 1 and at the end of training the calibration, and more of it: in batches of 128 the
# joint net's ECE falls to a seventh of the standard net's. A gain in nats is no longer seen, at 128 or at 8,
# so it seems to need the shift.

# %% tags=["parameters", "remove-cell"]
RESULTS = "../results"  # the store of results

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import Markdown, display

from gffn_core.experiments import profiles
from gffn_core.experiments.store import Store
from gffn_core.experiments.tables import over_seeds
from gffn_core.pages import publish, style, words
from gffn_core.training.course import LOWEST_NLL, SCHEMES
from gffn_core.verdicts.claims import other_sizes
from gffn_core.verdicts.claims.other_sizes import CIFAR, FIRST, SMALL
from gffn_core.verdicts.claims.relatives import EVENING, METRICS, named

store = Store(RESULTS)
nets = other_sizes.read(store)
# By way the weight with free and with centred logits.
WEIGHTS = dict.fromkeys(["standard", *EVENING], (1.0, 1.0)) | {"z-loss": (0.5, 0.005)}


def of(way, metric, centred=False, place=FIRST, weight=None, scheme="long"):
    """By seed a metric of a way's nets."""
    weight = weight or WEIGHTS[way][centred]
    return other_sizes.of(nets, place, way, metric, weight=weight, centred=centred, scheme=scheme)[CIFAR]


# %% [markdown]
# ## What do centred logits change?
#
# The standard net and the five losses that even $\ln Z$ were trained on the first 10,000 images of CIFAR-10,
# batch size 128, twenty epochs, six seeds, with free and with centred logits: at weight 1, and the z-loss at
# the weights that validation images chose of three, .5 with free logits and .005 with centred ones.
#
# **Before you look:** better or worse calibrated? And after a temperature?

# %% tags=["hide-input"]
assert set(of("z-loss", "weight")) == {0.5} and set(of("z-loss", "weight", centred=True)) == {0.005}
mean = pd.DataFrame(
    {
        (place, metric, way): [of(way, metric, centred, place).mean() for centred in (False, True)]
        for place in (FIRST, SMALL)
        for metric in METRICS
        for way in WEIGHTS
    },
    index=["free", "centred"],
).T.sort_index()
with plt.rc_context(style.STYLE):
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 2.9), layout="constrained", sharey=True)
    for axis, metric in zip(axes, ("ece", "scaled_nll")):
        for row, way in enumerate(reversed([*WEIGHTS])):
            free, centred = mean.loc[FIRST, metric, way]
            color = style.LOSS_STYLE["joint" if way in EVENING else "conditional"]["color"]
            axis.annotate("", (centred, row), (free, row), arrowprops={"arrowstyle": "->", "color": color})
            axis.plot(free, row, "o", color=color, markersize=7)
            axis.plot(centred, row, "o", color=color, markersize=7, markerfacecolor="none")
        axis.axvline(mean.loc[FIRST, metric, "standard"]["free"], color=style.INK, linewidth=1, linestyle=":")
        axis.set_title(METRICS[metric])
    axes[0].set(yticks=range(len(WEIGHTS)), yticklabels=reversed([*WEIGHTS]))
    handles = [
        plt.Line2D([], [], color=style.INK, marker="o", linestyle="none", label=label, markerfacecolor=fill)
        for label, fill in (("free logits", style.INK), ("centred", "none"))
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
publish.show(
    figure,
    name="centred-logits",
    data=mean.rename_axis(["place", "metric", "way"]).reset_index(),
    alt="ECE and NLL after T of six ways to train, with free and with centred logits. "
    + "; ".join(
        f"{METRICS[metric]}: "
        + ", ".join(
            f"{way} {row['free']:.3f} to {row['centred']:.3f}"
            for way, row in mean.loc[FIRST, metric].loc[[*WEIGHTS]].iterrows()
        )
        for metric in ("ece", "scaled_nll")
    )
    + ".",
    caption="Further left is better; the dotted line is the standard net with free logits. With centred"
    " logits the joint loss and the variance calibrate better, and all five have a higher NLL after T.",
    basis=words.basis(
        store.select(profiles.profile("centred").runs(batch_sizes=[128])).values(), "centred and mechanism"
    ),
)


# %% tags=["hide-input"]
def change(way, metric, place=FIRST, scheme="long"):
    """With centred logits less with free ones, mean and interval."""
    return over_seeds(
        of(way, metric, True, place, scheme=scheme) - of(way, metric, False, place, scheme=scheme)
    )


def over_standard(way, metric, centred=True, place=FIRST, scheme="long"):
    """Of a way less of the standard net with free logits."""
    there, here = (
        of(who, metric, which, place, scheme=scheme) for who, which in ((way, centred), ("standard", False))
    )
    return over_seeds(there - here)


def table(place):
    """All metrics of all ways, folded."""
    rows = [
        [f"{named(way, WEIGHTS[way][centred])}, {logits}"]
        + [f"{mean.loc[place, metric, way][logits]:.3f}" for metric in METRICS]
        for way in WEIGHTS
        for centred, logits in enumerate(mean)
    ]
    header = ["loss, weight, logits", *METRICS.values()]
    return words.folded(f"all six at {place}", words.markdown_table(header, rows))


assert all(change(way, "ece")["high"] < 0 for way in ("joint", "variance"))
assert all(change(way, "ece")["low"] > 0 for way in ("self-normalised", "squared", "z-loss"))
assert all(change(way, "scaled_nll")["low"] > 0 for way in EVENING)
assert all(over_standard(way, "scaled_nll")["high"] > 0 for way in WEIGHTS)
assert over_seeds(of("z-loss", "overconfidence", centred=True))["low"] > 0
assert all(abs(change(way, "test_accuracy")["mean"]) < 0.01 for way in WEIGHTS)
ece = mean.loc[FIRST, "ece"]
assert ece.loc["joint", "centred"] < 0.03 < ece.loc["joint", "free"]
assert 6.5 < ece.loc["standard", "free"] / ece.loc["joint", "centred"] < 7.6  # a seventh, as it says in short
for scheme in (*SCHEMES, LOWEST_NLL):
    assert (change("joint", "ece", scheme=scheme)["high"] < 0) == (scheme == "long")
    assert over_standard("joint", "scaled_nll", scheme=scheme)["high"] > 0
    for way in ("self-normalised", "squared"):
        assert over_seeds(of(way, "overconfidence", True, scheme=scheme))["high"] < -0.1
display(
    Markdown(
        "**The joint loss then calibrates almost completely, but none of the six is seen to gain NLL after T"
        " on the standard net. The two losses with the level $\\ln K$ drive confidence too low.** That is at"
        " the end; in nets stopped early the joint loss's ECE is not seen to fall. At the end it changes by"
        f" {words.with_interval(change('joint', 'ece'))}, its NLL after T by"
        f" {words.with_interval(change('joint', 'scaled_nll'))}. Accuracy moves by less than a point. The"
        " z-loss at .005 stays overconfident, and its ECE is"
        f" {change('z-loss', 'ece')['mean']:.3f} higher than at .5 with free logits.\n\n" + table(FIRST)
    )
)

# %% [markdown]
# **Why.** A shift lets a net stay sure where it is right, and that may be what lowers the NLL after T. Giving
# up sharpness calibrates, and a deep net does so [even where a shift is free](shift.ipynb). Centred logits
# leave only the second. The sharpness of ten logits whose mean is zero cannot fall below $\ln 10$, which is
# where every answer is uniform. A level of $\ln 10$, as the self-normalised and the squared loss have it,
# then asks for no confidence at all; their nets are *under*confident. The z-loss's level, 0, is out of reach,
# which may be why validation images chose the least of its weights. The joint loss asks for equal sharpness,
# whatever it is.
#
# ## And in batches of 8?
#
# There the losses that even $\ln Z$ [gain about twice as much](other_sizes.ipynb). The same nets once more,
# twelve epochs.
#
# **Before you look:** there is more to gain. Will centred logits gain some of it?

# %% tags=["hide-input"]
rows = [
    [place, *(words.with_interval(change("joint", metric, place)) for metric in METRICS)]
    for place in (SMALL, FIRST)
]
assert all(over_standard(way, "scaled_nll", place=SMALL)["high"] > 0 for way in WEIGHTS)
left = {metric: over_standard("joint", metric, place=SMALL) for metric in METRICS}
free = over_standard("joint", "scaled_nll", centred=False, place=SMALL)
ece = mean.loc[SMALL, "ece", "joint"]
assert change("joint", "scaled_nll", SMALL)["low"] > 0 and ece["centred"] < ece["free"] / 2
assert left["scaled_nll"]["low"] < 0 < left["scaled_nll"]["high"] and free["high"] < 0
assert left["test_accuracy"]["low"] > 0 > change("joint", "test_accuracy", SMALL)["high"]
display(
    Markdown(
        "*The joint loss, centred minus free.*\n\n"
        + words.markdown_table(["", *METRICS.values()], rows)
        + "\n\n**Of the gain in nats none that is seen: the shift carries it.** At batch size 8 the joint"
        f" loss with free logits is {-free['mean']:.2f} nats below the standard net; with centred ones six"
        f" seeds do not tell the two apart. Its ECE more than halves once more, from {ece['free']:.2f} to"
        f" {ece['centred']:.2f}, and of the accuracy {100 * left['test_accuracy']['mean']:.1f} points over"
        " the standard net are left. Of the other four with centred logits none is seen to gain nats,"
        " either.\n\n" + table(SMALL)
    )
)

# %% [markdown]
# **Where it ends.** One narrow net, 10,000 images of CIFAR-10, weight 1; on Fashion-MNIST no net was trained
# with centred logits. What we had predicted is scored [with the relatives](relatives.ipynb) and [with the
# other batch sizes](other_sizes.ipynb).
#
# ```{admonition} For practitioners
# :class: tip
# Leave the logits free. With centred ones little but calibration is left of the gain, and for that a
# temperature will do.
# ```
