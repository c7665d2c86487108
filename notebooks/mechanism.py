# %% [markdown]
# # What the joint loss does to ln Z
#
# ```{margin}
# **Notation.** $f(x)$ the logits of an image, $Z(x) = \sum_k e^{f_k(x)}$; $m(x)$ the mean of the logits,
# $s(x) = \ln Z(x) - m(x)$ the *sharpness*. [All symbols](../book/glossary.md).
# ```
#
# The thesis reads $\ln Z(x)$ as the logarithm of a density and uses it to find unfamiliar images. It hardly
# finds any ([the chapter on detection](ood.ipynb)). Yet the loss that trains this density makes nets better
# calibrated. Both have one cause, and both can be watched on examples small enough to train on this page.
#
# **After this chapter you can**
#
# - say which density the joint loss fits, and why its optimum knows nothing about $x$;
# - make it a density that does, with one argument;
# - tell how $\ln Z$ becomes even: by a shift, or by less confidence;
# - name the relatives that do the same, and those that do something else.

# %% tags=["hide-input"]
import functools
import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display

from gffn_core import conditional_nll, joint_nll, log_partition, self_normalised_nll
from gffn_core.data.datasets import load_dataset
from gffn_core.experiments.tables import over_seeds
from gffn_core.metrics import auroc, fit_temperature
from gffn_core.pages import publish, style, words
from gffn_core.variants import penalties

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)  # so that the numbers below are those of any machine
SEEDS = 6


def nets(sizes, count=1):
    """Layers of ``count`` times SEEDS nets side by side: weights (nets, in, out), biases (nets, 1, out)."""
    layers = []
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        layers.append([torch.nn.Linear(*size) for size in zip(sizes, sizes[1:])])
    return [
        [
            torch.stack([of(one).detach() for one in layer] * count).requires_grad_()
            for of in (lambda one: one.weight.T, lambda one: one.bias[None])
        ]
        for layer in zip(*layers)
    ]


def logits(net, x, centred=False):
    """(nets, N, features) or (N, features) -> (nets, N, classes)."""
    *hidden, (weight, bias) = net
    for w, b in hidden:
        x = torch.relu(x @ w + b)
    f = x @ weight + bias
    return f - f.mean(-1, keepdim=True) if centred else f


def interval(values):
    """Mean and 95 % interval (Student's t) over seeds."""
    return tuple(over_seeds(pd.Series(values)))


# %% [markdown]
# ## Which density is it?
#
# The thesis writes $p(x, y) = e^{\langle y, f(x)\rangle}/Z$ and takes the sum $Z$ over the images of the
# batch. A sum over all conceivable images would make $Z(x)/Z$ a density with respect to the usual measure,
# length, area or volume. A sum over *data* is another matter. It is a Monte Carlo estimate of an integral
# with respect to the distribution of the data, so what is fitted is
#
# $$ p(x) = p_{\text{data}}(x)\,\frac{Z(x)}{\mathbb E_{\text{data}} Z}. \tag{mechanism.1} $$
#
# $Z$ is a *ratio*, of model to data. The joint loss wants the model to be the data, and that is so when the
# ratio is one: $\ln Z$ is the same for all $x$. What the joint loss charges beyond the conditional one says
# so, too:
#
# $$ L_{\text{joint}} - L_{\text{cond}} = \ln \mathbb E\,Z - \mathbb E \ln Z \;\ge\; 0,
#    \quad\text{zero for constant } Z. \tag{mechanism.2} $$
#
# {cite:t}`donsker1983` bound a Kullback-Leibler divergence from below by such a difference, of two
# distributions; here both are the data, and their divergence is zero.
#
# To learn a density one needs something to compare with. Let a share $1-a$ of the sum be *references*, inputs
# with a distribution $q$ that we choose. Then the ratio is to the mixture, and the optimum is
#
# $$ \frac{Z(x)}{\mathbb E Z} = \frac{p_{\text{data}}(x)}{a\,p_{\text{data}}(x) + (1-a)\,q(x)} \;\le\;
#    \frac1a, \tag{mechanism.3} $$
#
# high where data are, low where only references are, and bounded.
#
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


WAYS = {"standard": standard, "joint": joint, "with references": with_references}
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


def correlation(net):
    ratio = ln_ratio(elsewhere).exp()
    return [np.corrcoef(one, ratio)[0, 1] for one in ln_z(net, elsewhere).softmax(-1)]


seen = {
    name: {
        "sd": ln_z(net, test_x).std(-1).mean().item(),
        "auroc": interval([auroc(*of) for of in zip(ln_z(net, test_x), ln_z(net, elsewhere))]),
        "correlation": np.mean(correlation(net)),
    }
    for name, net in plane.items()
}
best = auroc(ln_ratio(test_x), ln_ratio(elsewhere))

line = torch.linspace(-SIDE, SIDE, 40)
mesh = torch.cartesian_prod(line, line)
maps = {"truth: ln of the ratio": ln_ratio(mesh) - ln_ratio(test_x).mean()}
maps |= {f"ln Z, {name}": ln_z(net, mesh)[0] - ln_z(net, test_x)[0].mean() for name, net in plane.items()}
with plt.rc_context(style.STYLE):
    figure, axes = plt.subplots(1, 4, figsize=(10, 2.9), layout="constrained", sharey=True)
    for axis, (title, heights) in zip(axes, maps.items()):
        heights = heights.reshape(40, 40).T.clamp(-6, 6)
        colours = {"cmap": "RdBu_r", "vmin": -6, "vmax": 6, "rasterized": True}
        drawing = axis.pcolormesh(line, line, heights, **colours)
        axis.scatter(*x.T, s=3, color="black", alpha=0.5, linewidth=0)
        axis.set_title(title, fontsize=9.5)
        axis.set_aspect("equal")
        axis.grid(visible=False)
    figure.colorbar(drawing, ax=axes, label="above the mean on data", shrink=0.85)
publish.show(
    figure,
    name="landscape",
    data=pd.DataFrame({"x1": mesh[:, 0], "x2": mesh[:, 1]} | {key: one.numpy() for key, one in maps.items()}),
    alt="Four maps of a square with three clusters of points in its middle. The true log ratio is high on the"
    " clusters and low elsewhere; so is ln Z of the net with references. The standard net's ln Z rises"
    " outwards. The joint net's is even on the clusters, and elsewhere higher here and lower there.",
    caption="Red: ln Z is higher than on the data; blue: lower. Only the net with references knows where"
    " the data"
    " are. The first of six seeds; 300 points, two hidden layers of 48 units.",
)
assert seen["standard"]["auroc"][2] < 0.5 < seen["with references"]["auroc"][1]
assert seen["joint"]["auroc"][1] < 0.5 < seen["joint"]["auroc"][2] and seen["joint"]["sd"] < 0.5
assert seen["with references"]["correlation"] > 0.9 and best - seen["with references"]["auroc"][0] < 0.03
auc = {name: one["auroc"][0] for name, one in seen.items()}
display(
    Markdown(
        "**The standard net's $\\ln Z$ points the wrong way, the joint net's points nowhere, and with"
        " references it"
        " is the density ratio.** Data against the square, six seeds: AUROC"
        f" {auc['standard']:.2f}, {auc['joint']:.2f} and {auc['with references']:.2f}; the true ratio has"
        f" {best:.2f}, and the third net's $Z$ correlates with it by"
        f" {seen['with references']['correlation']:.2f}. On the data $\\ln Z$ has a standard deviation of"
        f" {seen['standard']['sd']:.1f}, {seen['joint']['sd']:.2f} and"
        f" {seen['with references']['sd']:.2f}."
    )
)

# %% [markdown]
# **Why.** The conditional loss leaves $\ln Z$ alone, so it is what confidence makes of it: logits grow with
# the distance from the boundaries between classes, and far outside the net is surest of all. The joint loss
# evens $\ln Z$ where it sees it, on the data, and says nothing elsewhere. The better a joint net is trained,
# the less its $\ln Z$ can tell: by (mechanism.2), what it still tells is error that is left.
#
# So the thesis's negative result is no accident of its data sets, and a longer training or a larger net is
# no cure. The cure is one argument, `reference_logits`.
#
# **Limits.** In the plane, the square is full of references. Nobody can fill the space of images, and a net
# knows nothing of what is like neither data nor references. Which references reach which images,
# [another chapter](repair.ipynb) tries.
#
# ## Shift or sharpness?
#
# How does a net make $\ln Z$ even? It has two ways. Adding one number $c(x)$ to all logits of an image moves
# $\ln Z(x)$ by $c(x)$ and leaves $p(y\mid x)$ alone. So split
#
# $$ \ln Z(x) = m(x) + s(x), \tag{mechanism.4} $$
#
# $$ m = \operatorname{mean}_k f_k, \qquad s = \ln\sum_k e^{f_k - m} \;\ge\; \ln K, $$
#
# into a *shift* $m$ and a *sharpness* $s$, which is least where the classes are equally likely and grows with
# confidence. A shift $m = -s$ would make $\ln Z$ even for free: the predictions would not change at all, and
# the joint loss would do nothing for calibration.
#
# **Before you look:** a net of three layers learns 200 handwritten digits, with the conditional or the joint
# loss. Does the joint net cancel its sharpness by a shift, or does it give sharpness up?

# %% tags=["hide-input"]
digits = load_dataset("digits")
images = torch.cat([digits.train_x, digits.val_x, digits.test_x]).flatten(1).double() / 16
labels = torch.cat([digits.train_y, digits.val_y, digits.test_y]).long()
order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
train, val, test = (
    ((images[part] - images.mean()) / images.std(), labels[part])
    for part in order.split([200, 400, len(order) - 600])
)
DEEP, LINEAR = (64, 48, 48, 10), (64, 10)


def fit(losses, sizes=DEEP, centred=False, decay=(), epochs=30, look=None):
    """Nets trained with each of the losses from SEEDS initialisations, in the same order of images.

    losses: (logits (SEEDS, N, K), labels (SEEDS, N)) -> (SEEDS,) each. decay: of the weights, decoupled, per
    loss. look: called with all nets after each epoch.
    """
    net = nets(sizes, len(losses))
    flat = sum(net, [])
    optimizer = torch.optim.Adam(flat, lr=8e-3, fused=True)
    keep = 1 - 8e-3 * torch.tensor(decay or [0.0] * len(losses)).repeat_interleave(SEEDS)[:, None, None]
    for epoch in range(epochs):
        orders = [
            torch.randperm(200, generator=torch.Generator().manual_seed(1000 * seed + epoch))
            for seed in range(SEEDS)
        ]
        for batch in torch.stack(orders).split(40, 1):
            f = logits(net, train[0][batch].repeat(len(losses), 1, 1), centred)
            y = train[1][batch]
            optimizer.zero_grad()
            sum(loss(part, y).sum() for loss, part in zip(losses, f.split(SEEDS))).backward()
            with torch.no_grad():
                for weights in flat:
                    weights.mul_(keep)
            optimizer.step()
        if look:
            look(net)
    return net


def parts(f):
    """Variances over images of ln Z, shift and sharpness, (nets, N, K) -> three of (nets,)."""
    m = f.mean(-1)
    return [of.var(-1) for of in (log_partition(f), m, log_partition(f) - m)]


# %% tags=["hide-input"]
KINDS = {"deep net": (DEEP, False), "deep net, logits centred": (DEEP, True), "linear net": (LINEAR, False)}
PAIR = {"conditional": conditional_nll, "joint": joint_nll}
films, ends = {}, {}
for kind, (sizes, centred) in KINDS.items():
    film = []
    look = lambda net, film=film, centred=centred: film.append(
        torch.stack(parts(logits(net, test[0], centred).detach())).unflatten(1, (2, SEEDS)).mean(-1)
    )
    net = fit(list(PAIR.values()), sizes, centred, epochs=60, look=look)
    films[kind] = torch.stack(film)  # (epochs, parts, losses)
    ends[kind] = logits(net, test[0], centred).detach().unflatten(0, (2, SEEDS))
PARTS = {"ln Z": "-", "shift": ":", "sharpness": "--"}
LOOK = style.loss_styles(PAIR)
with plt.rc_context(style.STYLE):
    figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.2), layout="constrained", sharey=True)
    for axis, (kind, film) in zip(axes, films.items()):
        for i, dash in enumerate(PARTS.values()):
            for j, name in enumerate(PAIR):
                axis.plot(range(1, len(film) + 1), film[:, i, j], dash, color=LOOK[name]["color"])
        axis.set_title(kind)
        axis.set_yscale("symlog", linthresh=0.1)
        axis.set_ylim(0, 30)
        axis.set_yticks([0, 0.1, 1, 10], ["0", "0.1", "1", "10"])
    style.label_axes(figure, "epoch", "variance, nats²")
    handles = [plt.Line2D([], [], color=LOOK[name]["color"], label=LOOK[name]["label"]) for name in PAIR]
    handles += [
        plt.Line2D([], [], color=style.INK, linestyle=dash, label=name) for name, dash in PARTS.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=5)
publish.show(
    figure,
    name="shift-and-sharpness",
    data=pd.DataFrame(
        {
            "kind": kind,
            "epoch": epoch,
            "loss": name,
            "part": part,
            "variance": round(film[epoch - 1, i, j].item(), 9),
        }
        for kind, film in films.items()
        for epoch in range(1, len(film) + 1)
        for i, part in enumerate(PARTS)
        for j, name in enumerate(PAIR)
    ),
    alt="Variance of ln Z, of shift and of sharpness over epochs. With the conditional loss, sharpness"
    " and ln Z grow"
    " together and the shift stays small. With the joint loss, sharpness stays lower, and in the deep net the"
    " shift rises to cancel a part of it.",
    caption="Solid: what the joint loss charges for. In the deep net shift (dotted) and sharpness"
    " (dashed) cancel in"
    " part; with centred logits and in the linear net, sharpness has to give way. 200 digits, six seeds,"
    " mean; test"
    " images.",
)
last = {kind: dict(zip(PARTS, film[-1].unbind())) for kind, film in films.items()}
deep = last["deep net"]
given_up = 1 - (deep["sharpness"][1] / deep["sharpness"][0]).item()
cancelled = 1 - (deep["ln Z"][1] / deep["sharpness"][1]).item()


def overconfidence(f):
    """Mean confidence minus accuracy, in percentage points."""
    return 100 * (f.softmax(-1).amax(-1).mean() - (f.argmax(-1) == test[1]).double().mean()).item()


over = {kind: [[overconfidence(one) for one in f] for f in both] for kind, both in ends.items()}
joint_over = {kind: interval(both[1]) for kind, both in over.items()}
before = {kind: np.mean(both[0]) for kind, both in over.items()}

assert given_up > 0.5 and cancelled > 0.4 and deep["shift"][1] > deep["shift"][0]
assert before["deep net"] > 2 and abs(joint_over["deep net"][0]) < before["deep net"] / 2
assert max(joint_over["linear net"][2], joint_over["deep net, logits centred"][2]) < 0
points = {kind: "{:+.1f} [{:+.1f}, {:+.1f}]".format(*one) for kind, one in joint_over.items()}
display(
    Markdown(
        f"**Both: the joint net gives up {words.percent(given_up, 0)} of the variance of its sharpness,"
        f" and cancels"
        f" {words.percent(cancelled, 0)} of what is left by a shift.** Confidence minus accuracy: the"
        f" standard deep net"
        f" {before['deep net']:+.1f} percentage points, the joint one {points['deep net']}. Without a"
        f" shift the loss"
        f" takes too much: {points['deep net, logits centred']} with centred logits,"
        f" {points['linear net']} in the"
        f" linear net, which is at {before['linear net']:+.1f} without it."
    )
)

# %% [markdown]
# **Why not all by a shift?** Because the shift is not free. $m(x)$ comes out of the same last layer as the
# rest, a linear function of the features, and sharpness is a convex function of them: it is large in every
# direction in which the net is sure. A linear function cannot follow it. A deep net can bend its features
# until it nearly does; a linear net cannot, and has only its confidence to give. With centred logits no net
# can.
#
# So the loss calibrates *because* the net is a poor liar: what it cannot hide by a shift it has to give up.

# %% [markdown]
# ## Who are its relatives?
#
# Many methods add a term to the conditional loss, or change its logits or its labels. What sorts them is what
# they *cannot* feel. Add a number to all logits of one image, or to all logits of the batch, or to one
# class's logits in all images. Which of the losses below change?


# %% tags=["hide-input"]
def contrast(f, y):
    """ln p(x|y) within the batch: the loss of HDGE and, for pairs of images and texts, half of CLIP's."""
    return (f.logsumexp(0) - math.log(len(f)))[y].mean() - f.gather(-1, y[:, None]).mean()


RELATIVES = {
    "cross entropy (conditional)": (conditional_nll, "nothing"),
    "joint": (joint_nll, "ln Z differs within the batch"),
    "variance": (penalties.variance, "the same, to second order"),
    "self-normalised": (self_normalised_nll, "ln Z is not b, one number for all data"),
    "squared": (penalties.squared, "the same, to second order"),
    "z-loss": (penalties.z_loss, "ln Z is not 0"),
    "HDGE, InfoNCE": (contrast, "the label's logit is high in other images too"),
    "label smoothing": (penalties.label_smoothing, "the label's logit is far above the others"),
    "confidence penalty": (penalties.confidence_penalty, "the answer has little entropy"),
    "LogitNorm": (penalties.logit_norm, "nothing; all logits get one length"),
    "logit penalty": (penalties.logit_penalty, "logits are large"),
}
random = torch.Generator().manual_seed(0)
f, y = 2 * torch.randn(8, 5, generator=random), torch.randint(5, (8,), generator=random)
moves = {
    "one image": torch.eye(8)[:, :1].expand(-1, 5),
    "the batch": torch.ones(8, 5),
    "one class": torch.eye(5)[:1].expand(8, -1),
}
feels = {
    name: [abs(loss(f + 0.5 * move, y) - loss(f, y)).item() > 1e-9 for move in moves.values()]
    for name, (loss, _) in RELATIVES.items()
}
assert feels["joint"] == feels["variance"] == [True, False, True] and feels["HDGE, InfoNCE"] == [
    True,
    False,
    False,
]
assert feels["cross entropy (conditional)"] == feels["label smoothing"] == feels["confidence penalty"]
assert feels["z-loss"] == feels["squared"] == feels["self-normalised"] == feels["logit penalty"] == [True] * 3
display(
    Markdown(
        words.markdown_table(
            ["loss", *(f"feels a shift of {move}" for move in moves), "charged is that"],
            [
                (name, *("yes" if one else "–" for one in feels[name]), charged)
                for name, (_, charged) in RELATIVES.items()
            ],
        )
        + "\n\n**Beyond the cross entropy the joint loss feels one thing: how the images of a batch differ in"
        " $\\ln Z$.** It stands between the losses that leave $\\ln Z$ alone and those that pin it to a"
        " number."
    )
)

# %% [markdown]
# Sources: self-normalisation {cite:p}`devlin2014,andreas2015`, its likelihood {cite:p}`senetaire2025`, z-loss
# {cite:p}`chowdhery2023`, InfoNCE {cite:p}`oord2018`, label smoothing {cite:p}`szegedy2016`, confidence
# penalty {cite:p}`pereyra2017`, LogitNorm {cite:p}`wei2022`, logit penalty {cite:p}`kornblith2021`; HDGE is
# in [related work](../book/related_work.md).
#
# ## Is it more than a z-loss?
#
# If the joint loss works by evening $\ln Z$, then its relatives that do the same must train the same net. If
# it works by curbing confidence, label smoothing must. We train all of them on the 200 digits, each with
# three weights, three apart, and let 400 validation images choose: the weight with the lowest NLL for the
# raw net, the one with the lowest NLL after temperature scaling for the scaled net. (LogitNorm is left out:
# it trains no scale of the logits, so its raw NLL means nothing.)
#
# **Before you look:** which group has the lower NLL of raw test predictions? And which after a temperature?

# %%
EVENING = {  # name: (loss, the name of its weight, the middle one of three)
    "joint": (joint_nll, "kl_weight", 1.0),
    "self-normalised": (self_normalised_nll, "kl_weight", 1.0),
    "variance": (penalties.variance, "weight", 1.0),
    "squared": (penalties.squared, "weight", 1.0),
    "z-loss": (penalties.z_loss, "weight", 0.15),
}
CURBING = {
    "label smoothing": (penalties.label_smoothing, "smoothing", 0.02),
    "confidence penalty": (penalties.confidence_penalty, "weight", 0.1),
    "logit penalty": (penalties.logit_penalty, "weight", 0.001),
}

# %% tags=["hide-input"]
settings = [("conditional", 0.0, conditional_nll)]
settings += [
    (name, w, functools.partial(loss, **{option: w}))
    for name, (loss, option, middle) in (EVENING | CURBING).items()
    for w in (middle / 3, middle, 3 * middle)
]
settings += [("weight decay", w, conditional_nll) for w in (0.1, 0.3, 0.9)]
names, weights, losses = zip(*settings)
net = fit(losses, decay=[w if name == "weight decay" else 0.0 for name, w, _ in settings])


def measured(net):
    """A row per loss, weight and seed."""
    at_val, at_test = (logits(net, x).detach() for x, _ in (val, test))
    for i, (f_val, f) in enumerate(zip(at_val, at_test)):
        temperature = fit_temperature(f_val, val[1])
        yield {
            "loss": names[i // SEEDS],
            "weight": weights[i // SEEDS],
            "seed": i % SEEDS,
            "val_nll": conditional_nll(f_val, val[1]).item(),
            "val_scaled_nll": conditional_nll(f_val / temperature, val[1]).item(),
            "nll": conditional_nll(f, test[1]).item(),
            "scaled_nll": conditional_nll(f / temperature, test[1]).item(),
        }


table = pd.DataFrame(measured(net)).set_index(["loss", "weight", "seed"])


def chosen(metric):
    """Of each loss the nets with the weight that has the lowest mean of the metric."""
    means = table.groupby(["loss", "weight"], sort=False)[metric].mean()
    best = means.groupby("loss", sort=False).idxmin()
    return {name: table.xs(at, level=["loss", "weight"]) for name, at in best.items()}


raw = {name: nets["nll"] for name, nets in chosen("val_nll").items()}
scaled = {name: nets["scaled_nll"] for name, nets in chosen("val_scaled_nll").items()}

# %% tags=["hide-input"]
GROUPS = {
    "nothing added": (["conditional"], LOOK["conditional"]["color"]),
    "evens ln Z": (list(EVENING), LOOK["joint"]["color"]),
    "curbs logits, confidence or weights": ([*CURBING, "weight decay"], "#1B9E77"),
}
drawn = pd.DataFrame(
    {
        "loss": name,
        "group": group,
        "colour": colour,
        "nll": raw[name].mean(),
        "scaled_nll": scaled[name].mean(),
    }
    for group, (members, colour) in GROUPS.items()
    for name in members
)
with plt.rc_context(style.STYLE):
    figure, axis = plt.subplots(figsize=(7.5, 3.9), layout="constrained")
    place = -drawn.index
    axis.hlines(place, drawn["scaled_nll"], drawn["nll"], color=drawn["colour"], linewidth=2)
    axis.scatter(drawn["nll"], place, s=55, color=drawn["colour"], zorder=3)
    axis.scatter(
        drawn["scaled_nll"],
        place,
        s=55,
        facecolor=style.PAPER,
        edgecolor=drawn["colour"],
        linewidth=1.8,
        zorder=3,
    )
    axis.set_yticks(place, drawn["loss"])
    axis.grid(axis="y", visible=False)
    axis.set_xlabel("NLL of test images, nats")
    handles = [
        plt.Line2D([], [], color=colour, linewidth=2, label=group) for group, (_, colour) in GROUPS.items()
    ]
    round_ = {"color": style.INK, "marker": "o", "linestyle": "none"}
    handles += [
        plt.Line2D([], [], **round_, label="raw"),
        plt.Line2D([], [], **round_, markerfacecolor=style.PAPER, label="after a temperature"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
publish.show(
    figure,
    name="relatives-on-digits",
    data=drawn.drop(columns="colour"),
    alt="NLL of test images for ten losses, raw and after temperature scaling: "
    + "; ".join(f"{row.loss} {row.nll:.3f} and {row.scaled_nll:.3f}" for row in drawn.itertuples())
    + ".",
    caption="Those that even ln Z are one group: they lower the raw NLL (filled) and leave the scaled one"
    " (hollow)"
    " where it was. Two that curb logits lower both. 200 digits, six seeds, mean; weights chosen on 400"
    f" validation images, {len(test[0]):,} test images.",
)


def lower(values, name, than):
    """By how much, paired by seed."""
    return interval(values[than] - values[name])


def text(difference):
    return "{:.3f} [{:.3f}, {:.3f}]".format(*difference)


gained = {name: lower(raw, name, "conditional") for name in EVENING}
finer = {name: lower(scaled, name, "joint") for name in ("label smoothing", "logit penalty")}
between = max(raw[name].mean() for name in EVENING) - min(raw[name].mean() for name in EVENING)
refined = lower(scaled, "joint", "conditional")
assert all(low > 0 for _, low, _ in gained.values()) and between < min(gained.values())[0]
assert all(low > 0 for _, low, _ in finer.values()) and refined[1] < 0 < refined[2]
assert raw["weight decay"].mean() < raw["joint"].mean() + between
display(
    Markdown(
        "**What evens $\\ln Z$ trains much the same net, a z-loss included: it mends calibration and no more."
        " Curbing the logits does more.** The raw NLL is lower than the standard net's by"
        f" {text(gained['joint'])} with the joint loss, by {text(gained['z-loss'])} with the z-loss; the"
        f" five of the group"
        f" differ by {between:.3f}. Tuned weight decay gets as far. After a temperature nothing is seen"
        f" of it: the joint"
        f" net's NLL is lower by {text(refined)}. But label smoothing is below the joint loss there, by"
        f" {text(finer['label smoothing'])}, and the logit penalty, by {text(finer['logit penalty'])}. In"
        f" brackets 95 %"
        " intervals over six seeds."
    )
)

# %% [markdown]
# **Why.** An even $\ln Z$ bounds how far sharpness may run ahead of what a shift can cancel. That keeps the
# net from the overconfidence of a fitted net, but the order of its answers is little changed, and a
# temperature reaches the same from outside. A penalty on the logits themselves weighs all of them, those of
# wrong classes too.
#
# What speaks for the joint loss is that it has nothing to tune: its weight is 1, and a third or three times
# that is hardly worse. The others have a weight without which they are nothing.
#
# **Limits.** 200 digits of 8x8 pixels and a small net without convolutions. On ten thousand photographs the
# first half of the answer holds and the second does not: there [the even $\ln Z$ refines,
# too](relatives.ipynb), and more than what curbs the logits.
#
# ## What to use when
#
# ```{admonition} For practitioners
# :class: tip
# - **Raw probabilities, no tuning, no validation images:** the joint loss, or the [self-normalised
#   one](any_batch.ipynb) at any batch size. One line, nothing to choose.
# - **You have validation images:** a temperature does the same for calibration. What refines beyond it
#   depends on the data: on these digits label smoothing or a logit penalty, on photographs [an even
#   $\ln Z$ with a tuned weight](relatives.ipynb).
# - **You have few images, and some to choose by:** the joint loss with a large weight, 5 to 125, and stop in
#   time: on CIFAR-10 the best of nine ways [that were tuned alike](contest.ipynb).
# - **You want to find unfamiliar inputs:** not with $\ln p(x)$ of a net that has seen only data, however it
#   was trained. [Give it references](repair.ipynb), or use [another score](detection.ipynb).
# ```
#
# ## Exercises
#
# **1.** Two nets have the same $p(y\mid x)$ for all $x$. How different can their $\ln Z$ be, and their joint
# losses?
#
# ```{admonition} Solution
# :class: dropdown
# Their logits differ by a function $c(x)$, any function, so $\ln Z$ may be anything. Their conditional
# losses are equal; their joint losses differ by the difference of (mechanism.2), which is least, zero, for
# the net with constant $\ln Z$.
# ```
#
# **2.** With references in the sum, how large can $\ln Z$ be on the data, compared with the mean $Z$ of the
# sum, if a quarter of the sum is data?
#
# ```{admonition} Solution
# :class: dropdown
# At the optimum $Z/\mathbb E Z = p/(a p + (1-a) q) \le 1/a = 4$, so $\ln Z$ is at most $\ln 4 \approx 1.39$
# above $\ln \mathbb E Z$, and reaches it where no reference ever falls.
# ```
#
# **3.** Centre the logits of a net: $\tilde f = f - m$. What is left for the joint loss to act on?
#
# ```{admonition} Solution
# :class: dropdown
# Sharpness alone. $\ln \tilde Z = s$, so the loss charges for differences in confidence between the images
# of a batch: it pulls the surest answers down and the least sure ones up, whether they are right or not.
# ```
