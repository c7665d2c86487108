# %% [markdown]
# # One intercept for all data
#
# ```{margin}
# **Notation.** $B$ batch size; $f(x)$ the logits of an image, $\langle y, f\rangle$ that of its label, $Z(x)$
# the sum of $e^{f_k(x)}$ over classes; $b$ an *intercept*, a number to set $\ln Z(x)$ against.
# [All symbols](../book/glossary.md).
# ```
#
# The thesis ends on a dilemma. Its joint loss stands for a sum over all images and has only a batch, so it
# asks for large batches; but its best nets come from small ones, and a large batch may not fit into memory.
# This chapter takes the dilemma apart. What the batch decides is how many examples share one number, and that
# number need not come from a batch at all. [The next chapter](any_batch.ipynb) asks whether that helps.
#
# **In short.** Conditional, joint and self-normalised loss are one formula, with an intercept for each
# example, each batch or all data. On a small net the joint gradient of small batches is biased; the
# self-normalised one is not, **if $b$ is the logarithm of the mean $Z$ of all images**, at the price of a
# little more noise. With another $b$ it is the exact gradient of another loss (exercise 2).
#
# **After this chapter you can**
#
# - write the conditional, the joint and the self-normalised loss as one formula;
# - say how far the gradient of a small batch is from that of all data, and why;
# - train with a joint likelihood at any batch size, one included, or with a batch that does not fit into
#   memory.

# %% tags=["parameters", "remove-cell"]
RESULTS = "../results"  # the store of results

# %% tags=["hide-input"]
import json
import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display
from torch.func import functional_call, grad, vmap
from torch.utils.flop_counter import FlopCounterMode

from gffn_core import conditional_nll, joint_nll, log_partition, self_normalised_nll
from gffn_core.data.datasets import load_dataset
from gffn_core.pages import publish, style, words
from gffn_core.variants.micro_batches import joint_backward

torch.set_num_threads(1)

# %% [markdown]
# ## One loss, three ways to share an intercept
#
# The thesis reads logits as an unnormalised $\ln p(x, y)$. With a batch in place of all images its loss is
# $\ln\operatorname{mean}_l Z(x^l) - \operatorname{mean}_l\langle y^l, f(x^l)\rangle$, where the cross entropy
# has the mean of $\ln Z(x^l)$ in front. What do these two have in common with a loss that needs no batch?
# Take any $u > 0$. The line that touches the logarithm at $e^b$ lies above it everywhere else, so
#
# $$ \ln u = \min_b\,\bigl(u\,e^{-b} + b - 1\bigr). \tag{intercept.1} $$
#
# The minimum is reached at $b = \ln u$. A logarithm of a mean, which couples all examples, has become a plain
# mean with one more number to choose. Put $Z(x)$ for $u$, and average over examples, each with an intercept
# $b_l$:
#
# \begin{align*}
# L(b) = \operatorname{mean}_l\bigl[\,&Z(x^l)\,e^{-b_l} + b_l - 1 \\
#    &- \langle y^l, f(x^l)\rangle\bigr]. \tag{intercept.2}
# \end{align*}
#
# How many intercepts are there to minimise over?
#
# - One for **each example**: $b_l = \ln Z(x^l)$, and $L$ is the *conditional* loss, (theory.4).
# - One for **each batch**: $b = \ln\operatorname{mean}_l Z(x^l)$, and $L$ is the *joint* loss, (theory.11).
# - **One for all data**: the batch plays no part, and $L$ is the *self-normalised* loss. Its least value over
#   $b$ is $\ln\mathbb E Z(x) - \mathbb E\langle y, f\rangle$: the joint loss with all training images as one
#   batch, the best that a batch can stand for. (The sum over all images that are conceivable stays out of
#   reach.)
#
# **Before you look:** put the three in order. Which is the smallest on the same logits?

# %%
torch.manual_seed(0)
batches, examples, classes = 3, 8, 4
logits = 1.5 * torch.randn(batches, examples, classes, dtype=torch.float64)
target = torch.randint(classes, (batches, examples))
ln_z = log_partition(logits)
score = logits.gather(-1, target[..., None])[..., 0]


def loss(b):
    """The loss with intercepts of any shape that fits."""
    return (ln_z.exp() * torch.exp(-b) + b - 1 - score).mean()


def ln_mean_z(of):
    return of.logsumexp(-1, keepdim=True) - math.log(of.shape[-1])


intercepts = {
    "conditional": ln_z,  # one an example
    "joint": ln_mean_z(ln_z),  # one a batch
    "self_normalised": ln_mean_z(ln_z.flatten()),  # one for all
}
found = {name: loss(b) for name, b in intercepts.items()}

everything = (logits.flatten(0, 1), target.flatten())
equal = torch.testing.assert_close
equal(found["conditional"], conditional_nll(*everything))
equal(found["joint"], joint_nll(logits, target).mean())  # of three batches
equal(found["self_normalised"], joint_nll(*everything))  # of one

# %% tags=["hide-input"]
LOOK = style.loss_styles(("conditional", "joint", "self_normalised"))
place = torch.arange(24).view(3, 8)
with plt.rc_context(style.STYLE):
    figure, axis = plt.subplots(figsize=(7, 3.4), layout="constrained")
    each, batch, one = (LOOK[name]["color"] for name in intercepts)
    axis.hlines(ln_z.flatten(), place.flatten() - 0.45, place.flatten() + 0.45, color=each, linewidth=4)
    dots = {"color": style.INK, "markersize": 3.5, "markeredgecolor": style.PAPER, "markeredgewidth": 0.6}
    axis.plot(place.flatten(), ln_z.flatten(), "o", **dots, zorder=5, label="ln Z of an example")
    axis.plot([], [], color=each, linewidth=4, label="one each: conditional")
    for group, b in zip(place, intercepts["joint"].flatten()):
        axis.hlines(b, group[0] - 0.4, group[-1] + 0.4, color=batch, linewidth=2.5, linestyle="--")
    axis.plot([], [], color=batch, linewidth=2.5, linestyle="--", label="one a batch: joint")
    axis.axhline(intercepts["self_normalised"].item(), color=one, linewidth=2.5, linestyle=":")
    axis.plot([], [], color=one, linewidth=2.5, linestyle=":", label="one for all: self-normalised")
    for edge in (7.5, 15.5):
        axis.axvline(edge, color=style.INK, alpha=0.3, linewidth=1)
    axis.set_xticks([3.5, 11.5, 19.5], ["batch 1", "batch 2", "batch 3"])
    axis.grid(axis="x", visible=False)
    axis.set_ylabel("ln Z, and intercept")
    figure.legend(loc="outside upper center", ncols=2)
publish.show(
    figure,
    name="intercepts",
    data=pd.DataFrame(
        {
            "batch": place.flatten() // 8 + 1,
            "ln_z": ln_z.flatten(),
            "joint": intercepts["joint"].expand(3, 8).flatten(),
            "self_normalised": intercepts["self_normalised"].item(),
        }
    ),
    alt="The ln Z of 24 examples in three batches. Each has an intercept of its own in the conditional loss;"
    " each batch has one in the joint loss, at "
    + ", ".join(f"{b:.2f}" for b in intercepts["joint"].flatten())
    + f"; all share one in the self-normalised loss, at {intercepts['self_normalised'].item():.2f}.",
    caption="The three losses differ in how many examples share an intercept. Blue: each example has its own"
    " line; orange: one per batch; green: one for all. Invented logits, seed 0.",
)
assert found["conditional"] < found["joint"] < found["self_normalised"]
b = torch.linspace(-3, 8, 200, dtype=torch.float64)
assert all(self_normalised_nll(*everything, log_normaliser=one.item()) >= joint_nll(*everything) for one in b)
display(
    Markdown(
        "**The fewer intercepts, the larger the loss: "
        + ", ".join(f"{name.replace('_', '-')} {value:.3f}" for name, value in found.items())
        + ".** Every intercept that may move is one more thing to minimise over."
    )
)

# %% [markdown]
# What the shared intercept charges for is unevenness. With $t = \ln Z(x) - b$, the height of an example above
# the intercept,
#
# \begin{align*}
# L(b) =\ &L_{\text{cond}} \\
#    &+ \operatorname{mean}_l\bigl(e^{t_l} - t_l - 1\bigr). \tag{intercept.3}
# \end{align*}
#
# The bracket is zero at $t = 0$, about $t^2/2$ near it, steep above it and only linear below. The joint loss
# charges about half the *variance* of $\ln Z$ within the batch, (theory.12); the self-normalised loss half
# the *squared distance* from a level that all batches share. That is why a batch of one is not blind: the
# level remembers the others. Checked for one level and for logits a thousandth as uneven:

# %%
t = ln_z - intercepts["self_normalised"]
price = lambda t: t.exp() - t - 1
equal(found["self_normalised"], found["conditional"] + price(t).mean())

t = t / 1000
equal(price(t), t**2 / 2, rtol=2e-3, atol=0)  # self-normalised
uneven = ln_mean_z(t)[:, 0] - t.mean(-1)  # joint, of each batch
equal(uneven, t.var(-1, correction=0) / 2, rtol=2e-3, atol=0)

# %% [markdown]
# For one-hot labels $L(b)$ is, up to a constant, the Poisson loss. A count $n$ with mean $\lambda$ has the
# log-likelihood $n\ln\lambda - \lambda$ up to a constant; take each class as a count, 1 for the label and 0
# elsewhere, with the mean $e^{f_k - b}$. {cite:t}`baker1994` turned multinomial likelihoods into Poisson ones
# by this trick, with an intercept for each example; here all examples share one. In PyTorch:

# %%
one_hot = torch.nn.functional.one_hot(everything[1], 4).double()
b = 0.7
poisson = torch.nn.PoissonNLLLoss(log_input=True, reduction="none")
likelihood = poisson(everything[0] - b, one_hot).sum(-1).mean()
equal(self_normalised_nll(*everything, log_normaliser=b), likelihood - 1)


# %% [markdown]
# **Where else it stands.** For energy-based models it is called the self-normalised likelihood
# {cite:p}`senetaire2025`; as an estimate of a divergence it is the bound of {cite:t}`nguyen2010`; for
# contrastive losses {cite:t}`wei2025` minimise over one intercept an example, which a network predicts.
#
# **Limits.** $b$ has to be found along with the net. But adding $c$ to all output biases adds $c$ to every
# $\ln Z$, so with an output bias $b$ can be fixed at any number and need not be learnt.
#
# ## How wrong is a small batch?
#
# A joint loss on batches of $B$ does not descend the joint loss of all data: the logarithm of a mean of few
# numbers is too small on average. The well-known expansion is
#
# \begin{align*}
# \mathbb E\ln\operatorname{mean}_B Z \approx\ &\ln\mathbb E Z \\
#    &- \frac{\operatorname{Var} Z}{2B\,(\mathbb E Z)^2}. \tag{intercept.4}
# \end{align*}
#
# What does it mean for the *gradient*? Take a small net and $n$ = 1,024 digits, hold the net still, and draw
# the $B$ examples of a batch at random, with replacement. The gradient is $\sum_l p'_l\,\partial\ln Z_l$
# minus the mean gradient of the labels' logits, where $Z_l = Z(x^l)$ and $p'_l = Z_l / \sum_m Z_m$ over the
# batch; the cross entropy has $1/B$ for $p'_l$. The labels' part is right on average. In the other part image
# $l$ has, on average, the weight
#
# \begin{align*}
# \mathbb E\,p'_l &= \frac Bn\,\mathbb E\frac{Z_l}{Z_l + S_{B-1}} \\
#    &= \frac Bn\,Z_l\int_0^\infty e^{-sZ_l}\,\varphi(s)^{B-1}\,ds, \tag{intercept.5}
# \end{align*}
#
# where $S_{B-1}$ is the sum of $Z$ over the rest of the batch, and $\varphi(s)$ the mean of $e^{-sZ}$ over
# all images. Why? Image $l$ fills each of the $B$ places with chance $1/n$, and $1/a = \int_0^\infty
# e^{-sa}\,ds$; the other places are independent, so $\mathbb E\,e^{-sS_{B-1}} = \varphi(s)^{B-1}$. One
# integral for each $B$, no sampling.
#
# **Before you look:** at $B = 1$ the joint gradient is the conditional one, at $B = \infty$ that of all data.
# If the distance between them is 100 %, how far from the latter is it at $B = 8$?

# %% tags=["hide-input"]
data = load_dataset("digits")
n = 1024
x, y = data.train_x[:n].flatten(1).double() / 255, data.train_y[:n].long()
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10)).double()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
for _ in range(3):
    for batch in torch.randperm(n).split(32):
        optimizer.zero_grad()
        joint_nll(net(x[batch]), y[batch]).backward()
        optimizer.step()

parameters = {name: value.detach() for name, value in net.named_parameters()}


def by_example(value):
    """The gradient of ``value(logits, label)`` for each example, (n, parameters)."""
    found = vmap(grad(lambda p, x, y: value(functional_call(net, p, (x,)), y)), (None, 0, 0))(
        parameters, x, y
    )
    return torch.cat([one.flatten(1) for one in found.values()], 1).numpy()


of_ln_z = by_example(lambda f, label: f.logsumexp(-1))
of_score = by_example(lambda f, label: f.gather(-1, label[None])[0])
ln_z = log_partition(net(x)).detach()

# %%
z = (ln_z - ln_mean_z(ln_z)).exp().numpy()  # in units of its mean
step = -math.log(0.9) / 5
s = np.exp(np.arange(-40, 12, step))  # ds = s d(ln s): a grid for all scales
falling = np.exp(-s[:, None] * z)  # e^(-s Z_l)
phi = falling.mean(1)


def joint_weights(B):
    """Of each image the mean weight in the joint gradient of batches of B."""
    return B / n * z * ((step * s * phi ** (B - 1)) @ falling)


def mean_log_of_mean(B):
    """E ln mean_B Z; ln a is the integral of (e^-s - e^-sa) / s."""
    return (step * (np.exp(-s) - phi**B)).sum() - math.log(B)


# %% [markdown]
# For comparison the figure has a **running partition**, an average of $Z$ over this and past batches:
# $u \leftarrow (1-\gamma)\,u + \gamma\operatorname{mean}_B Z$ with $\gamma = .1$, and weights $Z/(Bu)$, as in
# MINE {cite:p}`belghazi2018`; SogCLR {cite:p}`yuan2022` keeps such averages, too. Its mean weights follow in
# the same way.

# %% tags=["hide-input"]
RATE = 0.1  # gamma; ln(1 - gamma) is five steps of the grid
past = (
    -s * (1 - RATE) / RATE
)  # sum over k >= 1 of ln phi(s (1 - gamma)^k); small s: -s times the sum of powers
with np.errstate(divide="ignore"):
    ln_phi = np.log(phi)
for i in range(5, len(s)):
    past[i] = ln_phi[i - 5] + past[i - 5]


def running_weights(B):
    """As ``joint_weights``, with the running partition, of a net that stands still."""
    return z / n * B / RATE * ((step * s * phi ** (B - 1) * np.exp(B * past)) @ falling)


exact = z / n  # of all data
scale = np.linalg.norm((1 / n - exact) @ of_ln_z)  # from the conditional gradient to the joint one
SIZES = 2 ** np.arange(11)
bias = pd.DataFrame(
    {
        "joint": np.linalg.norm((joint_weights(B) - exact) @ of_ln_z) / scale,
        "running": np.linalg.norm((running_weights(B) - exact) @ of_ln_z) / scale,
        "too_small": -mean_log_of_mean(B),
        "formula": z.var() / (2 * B),
    }
    for B in map(int, SIZES)
).set_index(pd.Index(SIZES, name="batch_size"))

# The exact numbers against draws.
rng = np.random.default_rng(0)
drawn = rng.integers(n, size=(400_000, 8))
share = z[drawn] / z[drawn].sum(1, keepdims=True)
weights = np.bincount(drawn.ravel(), share.ravel(), minlength=n) / len(drawn)
missing = (joint_weights(8) - exact) @ of_ln_z
assert abs((weights - exact) @ of_ln_z @ missing / (missing @ missing) - 1) < 0.05
assert abs(-np.log(z[drawn].mean(1)).mean() / bias.loc[8, "too_small"] - 1) < 0.05
assert abs(bias.loc[1, "joint"] - 1) < 1e-9

# %% [markdown]
# The self-normalised loss needs no integral. It is a mean over examples, so the mean of its gradients over
# the batches of one epoch must be the gradient of all data, whatever the size of the batches:


# %%
def epoch_gradient(loss_of, B):
    """The mean over the batches of an epoch, one gradient after the other."""
    total = 0
    for part in torch.arange(n).split(B):
        loss = loss_of(net(x[part]), y[part])
        found = torch.autograd.grad(loss, net.parameters())
        total += torch.cat([one.flatten() for one in found])
    return total * B / n


level = ln_mean_z(ln_z).item()


def with_one_intercept(f, labels):
    return self_normalised_nll(f, labels, log_normaliser=level)


all_data = epoch_gradient(joint_nll, n)
found = [epoch_gradient(with_one_intercept, int(B)) for B in SIZES]
off = torch.stack(found) - all_data
bias["self_normalised"] = off.norm(dim=1).numpy() / scale
assert bias["self_normalised"].max() < 1e-12

# %% tags=["hide-input"]
RUNNING = {"color": "#7A5BA6", "marker": "D", "linestyle": "-."}
with plt.rc_context(style.STYLE):
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for name, look, label in (
        ("joint", LOOK["joint"], "joint"),
        ("running", RUNNING, "running partition, γ = 0.1"),
        ("self_normalised", LOOK["self_normalised"], "self-normalised"),
    ):
        left.plot(
            SIZES,
            bias[name].round(12),
            color=look["color"],
            marker=look["marker"],
            linestyle=look["linestyle"],
            label=label,
        )
    left.set_yscale("symlog", linthresh=1e-4, linscale=0.5)
    left.set_yticks([0, 1e-3, 1e-2, 1e-1, 1], ["0", "0.1 %", "1 %", "10 %", "100 %"])
    left.set_ylim(-3e-5, 1.6)
    left.minorticks_off()
    left.set_title("distance to the gradient of all data")
    left.legend(loc="upper right", fontsize="small")
    right.plot(SIZES, bias["too_small"], "s", color=LOOK["joint"]["color"], label="exact")
    right.plot(SIZES, bias["formula"], color=style.INK, linewidth=1, label="Var Z / (2 B (E Z)²)")
    right.set_yscale("log")
    right.set_title("how much too small ln mean Z is")
    right.set_ylabel("nats")
    right.legend(fontsize="small")
    for axis in (left, right):
        style.batch_axis(axis, SIZES)
        axis.set_xlabel("batch size")
publish.show(
    figure,
    name="small-batch-bias",
    data=bias.round(12).reset_index(),
    alt="First: distance of a batch's mean gradient from the joint gradient of all data, in units of the"
    " distance at batch size 1. "
    + "; ".join(
        f"B = {B}: joint {words.percent(row['joint'])}, running partition {words.percent(row['running'])}"
        for B, row in bias.iterrows()
    )
    + ". The self-normalised loss is at zero everywhere. Then: how much too small the logarithm of a batch's"
    f" mean is, from {bias.loc[1, 'too_small']:.3f} nats at B = 1 to {bias.loc[1024, 'too_small']:.5f} at B ="
    " 1,024, on the line of the formula from about B = 8.",
    caption="First: the joint gradient of a small batch is biased, the self-normalised one, with b known, is"
    " not. Second: the logarithm of a batch's mean is too small on average, and from about B = 8 by what the"
    f" formula says. {n:,} digits, a net with 32 hidden units after three epochs of the joint loss, float64,"
    " seed 0.",
)
kept = 1 - bias["too_small"] / bias.loc[1, "too_small"]
assert bias.loc[2, "joint"] > 0.5 and bias.loc[16, "joint"] < 0.2
assert 0.15 < bias.loc[8, "joint"] < 0.35 and abs(kept[8] - 7 / 8) < 0.04
assert (bias["running"] < bias["joint"]).all()
assert abs(bias.loc[1, "running"] - bias.loc[8, "joint"]) < 0.04
assert abs(bias.loc[8, "too_small"] / bias.loc[8, "formula"] - 1) < 0.1
display(
    Markdown(
        f"**The joint gradient is still {words.percent(bias.loc[8, 'joint'], 0)} off at $B = 8$, and"
        f" {words.percent(bias.loc[64, 'joint'], 0)} at $B = 64$; the self-normalised gradient, with $b$"
        " known, is right at any size.** (100 % is how far the conditional gradient is from that of all data;"
        " $b$ is set to the $\\ln\\operatorname{mean} Z$ of all images.) The *value* of the joint"
        f" loss is closer: at $B = 8$ it holds {words.percent(kept[8], 0)} of the penalty of all data, about"
        " $(B-1)/B$. The running partition is at $B = 1$ about as biased"
        f" ({words.percent(bias.loc[1, 'running'], 0)}) as the joint loss at $B = 8$."
    )
)

# %% [markdown]
# **Why.** An example with a large $Z$ also stands in its own denominator, and so weighs too little. In a
# batch of one that is all there is. The running partition lets past batches into the denominator; the
# intercept takes the example out of it.
#
# **The price** is noise. Weights $p'$ are at most 1; weights $Z e^{-b}/B$ have no bound.

# %% tags=["hide-input"]
B = 32
drawn = rng.integers(n, size=(2_000, B))
share = z[drawn] / z[drawn].sum(1, keepdims=True)
rows = np.repeat(np.arange(len(drawn)), B)
weights, counts = np.zeros((len(drawn), n)), np.zeros((len(drawn), n))
np.add.at(weights, (rows, drawn.ravel()), share.ravel())
np.add.at(counts, (rows, drawn.ravel()), 1 / B)


def noise(gradients):
    """Standard deviation around the mean, all parameters together."""
    return math.sqrt(gradients.var(0).sum())


spread = {
    "conditional": noise(of_ln_z - of_score) / math.sqrt(B),
    "joint": noise(weights @ of_ln_z - counts @ of_score),
    "self_normalised": noise(z[:, None] * of_ln_z - of_score) / math.sqrt(B),
}
more = spread["self_normalised"] / spread["joint"]
assert 1 < more < 1.5 and 1.6 < spread["joint"] / spread["conditional"] < 2 * more < 2.4
display(
    Markdown(
        "**Both are nearly twice as noisy as the cross entropy, the self-normalised gradient"
        f" {words.percent(more - 1, 0)} more so than the joint one.** The gradient of a batch of {B} has a"
        f" standard deviation, all parameters together, of {spread['conditional']:.2f} (conditional),"
        f" {spread['joint']:.2f} (joint) and {spread['self_normalised']:.2f} (self-normalised)."
    )
)

# %% [markdown]
# **Limits.** Beyond $\ln Z - b = 20$ the package continues the exponential as a straight line, so that
# nothing overflows; (intercept.2) holds below. The net stands still. In training $u$ and $b$ lag behind
# it, which no batch size mends. The bias is measured against the joint loss of all data, which need not be
# the loss that trains the best classifier. And it depends on the net: the more uneven $\ln Z$, the larger
# a batch probably has to be.
#
# ## A batch that does not fit
#
# Suppose you want the thesis's loss itself, with a large batch, on a device that holds a small one.
# Accumulating gradients over micro-batches adds up another loss, that of the small batches. But the gradient
# (theory.10) is a quotient of two sums and a mean, and sums can wait: $\sum_l Z\,\partial\ln Z$,
# $\sum_l Z$ and the scores' part. `joint_backward` keeps them apart and divides at the end, relative to the
# largest $\ln Z$ so far, so that nothing overflows.
#
# **Before you look:** one forward pass for each example, but two gradients. What does it cost?


# %%
def gradient(way):
    net.zero_grad()
    with FlopCounterMode(display=False) as flops:
        way()
    found = torch.cat([one.grad.flatten() for one in net.parameters()])
    return found, flops.get_total_flops()


whole, arithmetic = gradient(lambda: joint_nll(net(x), y).backward())
costs = {}
for size in (4, 32, 256):
    micro_batches = zip(x.split(size), y.split(size))
    parts, more = gradient(lambda: joint_backward(net, micro_batches))
    assert (parts - whole).abs().max() < 1e-10
    costs[size] = more / arithmetic

# %% tags=["hide-input"]
measured = json.loads((Path(RESULTS) / "published/micro_batches.json").read_text())
rows = [
    [name, f"{measured[name]['memory'] / 2**20:,.0f} MiB", f"{measured[name]['seconds']:.1f} s"]
    for name in ("whole", "micro-batches")
]
less = measured["whole"]["memory"] / measured["micro-batches"]["memory"]
time = measured["micro-batches"]["seconds"] / measured["whole"]["seconds"]
cost = costs[32]
assert measured["difference"] < 1e-10 and less > 4
assert max(costs.values()) - min(costs.values()) < 0.005 and 1.4 < cost < 1.6
where = measured["provenance"]
display(
    Markdown(
        f"**Half as much arithmetic again ({cost:.2f} times), whatever the micro-batch.** In one measurement"
        f" on a CPU it took {words.percent(1 / less, 0)} of the memory and {time:.1f} times the time. The"
        " gradient is the same, to within 1e-10.\n\n"
        + words.markdown_table(["way", "memory beside net and data", "time"], rows)
        + "\n\nMemory and time are noise in a notebook, so they were measured apart, whole batch and"
        " micro-batches in turns, by `python examples/micro_batches.py`: a batch of"
        f" {measured['batch_size']:,} images, in micro-batches of {measured['micro_batch']}; the book's"
        f" narrow net, 3x32x32, float64, one thread; {words.escape(where['hardware'])}, torch"
        f" {where['torch']}, code {where['code']}. The arithmetic was counted here, in micro-batches of"
        f" {', '.join(map(str, costs))}."
    )
)

# %% [markdown]
# **Why.** A step is a forward pass and a backward one of up to twice the cost, 1 + 2 = 3; with two gradients
# it is 1 + 2·2 = 5, 1.67 times as much. (Here less: the first of two layers needs no gradient for its input.)
# Time need not follow arithmetic: on a CPU a small batch stays near the processor, a large one goes through
# memory. The self-normalised loss costs 3, as its gradients simply add up over micro-batches.
#
# **Limits.** A batch norm sees each micro-batch by itself. Two gradients are kept instead of one.
#
# ## Exercises
#
# **1.** Prove (intercept.1), and that for a group of examples with one intercept the best is
# $b = \ln\operatorname{mean} Z$.
#
# ```{admonition} Solution
# :class: dropdown
# The derivative of $u e^{-b} + b - 1$ in $b$ is $1 - u e^{-b}$, zero at $b = \ln u$ alone, and the second
# derivative $u e^{-b}$ is positive: a minimum, of value $1 + \ln u - 1$. The mean over a group is
# $\operatorname{mean}(Z)\,e^{-b} + b - 1$, the same function with $u = \operatorname{mean} Z$.
# ```
#
# **2.** Let the intercept be wrong by $\delta$: $b = \ln\mathbb E Z + \delta$. Is the gradient still
# unbiased?
#
# ```{admonition} Solution
# :class: dropdown
# For $L(b)$ with this $b$ yes, at every batch size. But it is another loss: the part of $\ln Z$ in the
# gradient is $e^{-\delta}$ times that of the joint loss of all data. It pushes all $\ln Z$ towards $b$
# until $\ln\mathbb E Z = b$, and then $\delta = 0$.
# ```
