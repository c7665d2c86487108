# %% [markdown]
# # What the joint loss does to ln Z
#
# ```{margin}
# **Notation.** $f(x)$ the logits of an image, $Z(x) = \sum_k e^{f_k(x)}$. AUROC: 1 tells all apart, .5 is
# chance. [All symbols](../book/glossary.md).
# ```
#
# The thesis reads $\ln Z(x)$ as the logarithm of a density and uses it to find unfamiliar images. With nets
# of CIFAR-10 it [fails](ood.ipynb) on the thesis's own test, house numbers; on digits and noise it [does
# better](repair.ipynb), though nothing in the loss asks for that. Yet the loss that trains this density makes
# nets better calibrated. Both have one cause: the loss asks for one $\ln Z$ for all images. This chapter is
# about the density, [the next](shift.ipynb) about the confidence; both on examples small enough to train on
# the page.
#
# **In short.** The optimum of the joint loss is one $\ln Z$ for all images of the data; about others it says
# nothing. With references in the sum it does.
#
# **After this chapter you can**
#
# - say which density the joint loss fits, and why its optimum knows nothing about $x$;
# - make it a density that does, with one argument.

# %% tags=["parameters", "remove-cell"]
RESULTS = "../results"  # the store of results

# %% tags=["hide-input"]
import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display
from scipy.optimize import minimize_scalar
from scipy.stats import binom

from gffn_core import conditional_nll, joint_nll, log_partition
from gffn_core.experiments import choice
from gffn_core.metrics import auroc
from gffn_core.pages import publish, style
from gffn_core.pages.small_nets import SEEDS, interval, logits, nets

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)  # so that the numbers below are those of any machine

# %% [markdown]
# ## Which density is it?

# %% tags=["hide-input"]
found = pd.read_csv(Path(RESULTS) / "published/detection_references.csv").fillna({"setting": ""})
found = found[(found["loss"] == "joint") & (found["setting"] == "") & (found["set"] == "svhn")]
on_svhn = interval(choice.own_score(found)["auroc"].to_numpy())
assert len(found) >= SEEDS and on_svhn[2] < 0.5
display(
    Markdown(
        "Nets trained with the joint loss on ten thousand images of CIFAR-10 are shown house numbers, SVHN."
        f" Their $\\ln p(x)$ tells the two apart with an AUROC of {on_svhn[0]:.2f}, [worse than a"
        " coin](repair.ipynb). Why is it no better? (Why it is even worse, [we do not"
        " know](detection.ipynb).)"
    )
)

# %% [markdown]
# The thesis writes $p(x, y) = e^{\langle y, f(x)\rangle}/Z$ and takes the sum $Z$ over the images of the
# batch. A sum over all conceivable images would make $Z(x)/Z$ a density with respect to the usual measure,
# length, area or volume. A sum over *data* is another matter. It is a Monte Carlo estimate of an integral
# with respect to the distribution of the data, so what is fitted is
#
# $$ p(x) = p_{\text{data}}(x)\,\frac{Z(x)}{\mathbb E_{\text{data}} Z}. \tag{mechanism.1} $$
#
# $Z$ is a *ratio*, of model to data. The joint loss wants the model to be the data, and that is so when the
# ratio is one: $\ln Z$ is the same for all $x$ that occur in the data. What the joint loss charges beyond the
# conditional one says so, too:
#
# $$ L_{\text{joint}} - L_{\text{cond}} = \ln \mathbb E\,Z - \mathbb E \ln Z \;\ge\; 0,
#    \quad\text{zero for constant } Z. \tag{mechanism.2} $$
#
# {cite:t}`donsker1983` bound the Kullback-Leibler divergence of two distributions from below by minus such a
# difference; here both are the data, the divergence is zero, and constant $Z$ makes the bound exact.
#
# To learn a density one needs something to compare with. Let a share $1-a$ of the sum be *references*, inputs
# with a distribution $q$ that we choose. Then the ratio is to the mixture, and the optimum is
#
# $$ \frac{Z(x)}{\mathbb E Z} = \frac{p_{\text{data}}(x)}{a\,p_{\text{data}}(x) + (1-a)\,q(x)} \;\le\;
#    \frac1a, \tag{mechanism.3} $$
#
# high where data are, low where only references are, and bounded. This is the *relative density ratio* of
# {cite:t}`yamada2013`, and {cite:t}`sugiyama2008` fit a ratio with the same objective. Finding outliers by a
# ratio {cite:p}`hido2011` and fitting a model against references {cite:p}`gutmann2010` are old ideas, too;
# here the logits that classify do both.

# %% tags=["hide-input"]
DATA, REFERENCES_HIT = 0.8, 0.3  # how often either draws the first of two inputs


def best_difference(n):
    """The difference of ln Z of the two inputs that is best for sums of n data and n references."""
    hits = np.arange(n + 1)
    chance = np.outer(*(binom.pmf(hits, n, share) for share in (DATA, REFERENCES_HIT)))
    firsts = np.add.outer(hits, hits)

    def loss(d):
        return (chance * np.log(firsts * np.exp(d) + 2 * n - firsts)).sum() - DATA * d

    return minimize_scalar(loss, bounds=(-5, 5), method="bounded").x


of_few = {n: best_difference(n) for n in (1, 2, 8, 64)}
ratios = [share / other for share, other in ((DATA, REFERENCES_HIT), (1 - DATA, 1 - REFERENCES_HIT))]
unbounded = math.log(ratios[0] / ratios[1])
bounded = math.log(ratios[0] / (ratios[0] + 1)) - math.log(ratios[1] / (ratios[1] + 1))
assert abs(of_few[1] - unbounded) < 1e-4 and abs(of_few[64] - bounded) < 0.01
assert list(of_few.values()) == sorted(of_few.values(), reverse=True)
display(
    Markdown(
        "That is so for a sum over *all* data and references. The logarithm of a sum of few terms is too"
        " small on average, and the optimum then leans towards $p_{\\text{data}}/q$, which has no bound."
        f" Two inputs show it, the first drawn with a chance of {DATA} by the data and of {REFERENCES_HIT}"
        f" by the references: the best difference of their $\\ln Z$ is {of_few[1]:.2f} in sums of one and"
        f" one, which is that of $p_{{\\text{{data}}}}/q$; {of_few[2]:.2f} with two and two,"
        f" {of_few[8]:.2f} with eight and eight; and (mechanism.3) says {bounded:.2f}. The [self-normalised"
        " loss](intercept.ipynb), with its one number for all batches, does not lean."
    )
)

# %% [markdown]
# **Before you look:** below are 300 points of three classes in the plane, and nets trained with the
# conditional loss, the joint loss, and the joint loss with references drawn evenly from the square. Where in
# the square will the standard net's $\ln Z$ be highest: on the data, between the classes, or far outside?

# %% tags=["hide-input"]
CENTRES = torch.tensor([[-1.2, -0.6], [1.2, -0.6], [0.0, 1.3]])
SPREAD, SIDE = 0.55, 4.0  # of a class; half the square's side


def drawn(count, random):
    label = torch.randint(3, (count,), generator=random)
    return CENTRES[label] + SPREAD * torch.randn(count, 2, generator=random), label


def in_square(*count, random):
    return SIDE * (2 * torch.rand(*count, 2, generator=random) - 1)


def ln_density(x):
    """Of the data, in closed form."""
    distance = (x[..., None, :] - CENTRES).square().sum(-1)
    return (-distance / (2 * SPREAD**2)).logsumexp(-1) - math.log(3 * 2 * math.pi * SPREAD**2)


random = torch.Generator().manual_seed(0)
(x, y), (test_x, test_y) = drawn(300, random), drawn(2000, random)
elsewhere = in_square(2000, random=random)


# %%
def standard(net, x, y, random):
    return conditional_nll(logits(net, x), y)


def joint(net, x, y, random):
    return joint_nll(logits(net, x), y)


def with_references(net, x, y, random):
    references = in_square(*y.shape, random=random)
    reference_logits = logits(net, references)
    return joint_nll(logits(net, x), y, reference_logits=reference_logits)


WAYS = {"standard": standard, "joint": joint}
WAYS["with references"] = with_references
plane = {}
for name, loss in WAYS.items():
    random = torch.Generator().manual_seed(1)
    net = plane[name] = nets((2, 48, 48, 3))
    optimizer = torch.optim.Adam(sum(net, []), lr=1e-2, fused=True)
    for _ in range(350):
        batch = torch.randint(len(x), (SEEDS, 64), generator=random)
        optimizer.zero_grad()
        loss(net, x[batch], y[batch], random).sum().backward()
        optimizer.step()

# %% tags=["hide-input"]
LN_Q = -2 * math.log(2 * SIDE)


def ln_ratio(x):
    """The right side of (mechanism.3) for as many references as data."""
    ln_p = ln_density(x)
    return ln_p - torch.logaddexp(ln_p, torch.tensor(LN_Q)) + math.log(2)


def ln_z(net, x):
    return log_partition(logits(net, x)).detach()


def apart(net, score=lambda height: height):
    """AUROC of a score of ln Z above its mean on the data: data against the square."""
    data, square = (score(ln_z(net, at) - ln_z(net, test_x).mean(-1, True)) for at in (test_x, elsewhere))
    return interval([auroc(*of) for of in zip(data, square)])


def correlation(heights, truth):
    """Mean over the nets, in the square."""
    return np.mean([np.corrcoef(one, truth)[0, 1] for one in heights])


seen = {
    name: {
        "sd": ln_z(net, test_x).std(-1).mean().item(),
        "auroc": apart(net),
        "two-sided": apart(net, lambda height: -height.abs()),
        "correlation": correlation(ln_z(net, elsewhere), ln_ratio(elsewhere)),
    }
    for name, net in plane.items()
}
best = auroc(ln_ratio(test_x), ln_ratio(elsewhere))
assert (
    ln_ratio(test_x).exp().max() <= 2 and ln_ratio(elsewhere).exp().max() <= 2
)  # 1/a, as (mechanism.3) says

line = torch.linspace(-SIDE, SIDE, 40)
mesh = torch.cartesian_prod(line, line)
heights = {"truth: ln of the ratio": (ln_ratio(mesh), ln_ratio(test_x))}
heights |= {f"ln Z, {name}": (ln_z(net, mesh)[0], ln_z(net, test_x)[0]) for name, net in plane.items()}
maps = {title: (here - data.mean()) / data.std() for title, (here, data) in heights.items()}
with plt.rc_context(style.STYLE):
    figure, axes = plt.subplots(1, 4, figsize=(10, 2.9), layout="constrained", sharey=True)
    for axis, (title, height) in zip(axes, maps.items()):
        colours = {"cmap": "RdBu_r", "vmin": -4, "vmax": 4, "rasterized": True}
        drawing = axis.pcolormesh(line, line, height.reshape(40, 40).T, **colours)
        axis.scatter(*x.T, s=3, color="black", alpha=0.5, linewidth=0)
        axis.set_title(title, fontsize=9.5)
        axis.set_aspect("equal")
        axis.grid(visible=False)
    figure.colorbar(drawing, ax=axes, label="above the mean on data, in sd", shrink=0.85, extend="both")
publish.show(
    figure,
    name="landscape",
    data=pd.DataFrame({"x1": mesh[:, 0], "x2": mesh[:, 1]} | {key: one.numpy() for key, one in maps.items()}),
    alt="Four maps of a square with three clusters of points in its middle. The true log ratio is high on the"
    " clusters and low elsewhere; so is ln Z of the net with references. The standard net's ln Z rises"
    " outwards. The joint net's is even on the clusters, and elsewhere higher here and lower there.",
    caption="Red: ln Z is higher than on the data; blue: lower; in standard deviations of the same net's ln Z"
    " on the data. The standard net is red far outside, the joint one red here and blue there; with"
    " references all but the data is blue. The first of six seeds; 300 points, two hidden layers of 48.",
)
alone, referred = seen["joint"], seen["with references"]
assert seen["standard"]["auroc"][2] < 0.5 < referred["auroc"][1] and alone["sd"] < 0.2
assert alone["auroc"][1] < 0.5 < alone["auroc"][2] and alone["two-sided"][1] > 0.6
assert alone["two-sided"][2] < 0.8 < referred["correlation"]
assert best - referred["auroc"][0] < 0.03
auc = {name: one["auroc"][0] for name, one in seen.items()}
display(
    Markdown(
        "**Far outside: the standard net's $\\ln Z$ is higher off the data than on them. The joint net's is"
        " no better than chance, as far as six seeds tell; with references it is close to the density"
        f" ratio.** Data against the square: AUROC {auc['standard']:.2f}, {auc['joint']:.2f} and"
        f" {auc['with references']:.2f}; the true ratio has {best:.2f}. With references the correlation of"
        f" $\\ln Z$ with the logarithm of the true ratio is {referred['correlation']:.2f}.\n\nNo better than"
        " chance does not mean flat. Off the data the joint net's $\\ln Z$ strays to both sides, and its"
        f" distance from the mean on the data has an AUROC of {alone['two-sided'][0]:.2f}."
    )
)

# %% [markdown]
# **Why.** The conditional loss leaves $\ln Z$ free, so $\ln Z$ follows confidence: logits grow with the
# distance from the boundaries between classes, and far outside the net is surest of all. The joint loss
# evens $\ln Z$ on the data and says nothing about the rest. So neither longer training nor a larger net has a
# reason to help. What helps is one argument, `reference_logits`.
#
# **Limits.** In the plane references fill the square. Nobody can fill the space of images, and a net knows
# nothing about images that are like neither data nor references. [Another chapter](repair.ipynb) tries which
# references reach which images.
#
# [The next chapter](shift.ipynb) asks how a net makes $\ln Z$ even, and why that calibrates it.
#
# ## Exercise
#
# **1.** With references in the sum, how large can $\ln Z$ be on the data, compared with the mean $Z$ of the
# sum, if a quarter of the sum is data?
#
# ```{admonition} Solution
# :class: dropdown
# At the optimum of a large batch $Z/\mathbb E Z = p/(a p + (1-a) q) \le 1/a = 4$, so $\ln Z$ is at most
# $\ln 4 \approx 1.39$ above $\ln \mathbb E Z$, and reaches it where no reference ever falls.
# ```
