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
# calibrated. Both have one cause: the loss asks for one $\ln Z$ for all images. Both can be watched on
# examples small enough to train on this page.
#
# **In short.** The optimum of the joint loss is one $\ln Z$ for all images, so it has no reason to know
# unfamiliar ones. A net evens $\ln Z$ partly by a shift, which is free, and partly by giving up confidence,
# which is what calibrates it.
#
# **After this chapter you can**
#
# - say which density the joint loss fits, and why its optimum knows nothing about $x$;
# - make it a density that does, with one argument;
# - tell how $\ln Z$ becomes even: by a shift, or by less confidence;
# - say what a net does that could shift for nothing, and what follows from it.

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

from gffn_core import conditional_nll, joint_nll, log_partition
from gffn_core.data.datasets import load_dataset
from gffn_core.experiments import choice
from gffn_core.experiments.tables import over_seeds
from gffn_core.metrics import auroc
from gffn_core.pages import publish, style, words

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)  # so that the numbers below are those of any machine
SEEDS = 6


def nets(sizes, count=1, first=0):
    """Layers of ``count`` times SEEDS nets side by side: weights (nets, in, out), biases (nets, 1, out)."""
    layers = []
    for seed in range(first, first + SEEDS):
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

# %% tags=["hide-input"]
found = pd.read_csv(Path(RESULTS) / "published/detection_references.csv").fillna({"setting": ""})
found = found[(found["loss"] == "joint") & (found["setting"] == "") & (found["set"] == "svhn")]
on_svhn = interval(choice.own_score(found)["auroc"].to_numpy())
assert len(found) >= SEEDS and on_svhn[2] < 0.5
display(
    Markdown(
        "Nets trained with the joint loss on ten thousand images of CIFAR-10 are shown house numbers, SVHN."
        f" Their $\\ln p(x)$ tells the two apart with an AUROC of {on_svhn[0]:.2f}, [no better"
        " than a coin](repair.ipynb). Why?"
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
# high where data are, low where only references are, and bounded. This is the *relative density ratio* of
# {cite:t}`yamada2013`, and {cite:t}`sugiyama2008` fit a ratio with the same objective. Finding outliers by a
# ratio {cite:p}`hido2011` and fitting a model against references {cite:p}`gutmann2010` are old ideas, too;
# here the logits that classify do both.
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
# loss. Does the joint net cancel its sharpness by a shift, or does it give sharpness up? The figure has a
# point for each test image; how would either look?

# %% tags=["hide-input"]
digits = load_dataset("digits")
images = torch.cat([digits.train_x, digits.val_x, digits.test_x]).flatten(1).double() / 16
labels = torch.cat([digits.train_y, digits.val_y, digits.test_y]).long()
order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
train, test = (
    ((images[part] - images.mean()) / images.std(), labels[part])
    for part in order.split([200, len(order) - 200])
)
DEEP, LINEAR = (64, 48, 48, 10), (64, 10)
PAIR = {"conditional": conditional_nll, "joint": joint_nll}


def fit(sizes=DEEP, centred=False, shift="", epochs=60, rate=8e-2):
    """Logits of the test images, (2, SEEDS, N, 10), of nets trained with either loss.

    shift: what else may add a number to all logits of an image: "net", a second net; "numbers", one number
    for each training image, which learns at this rate (the weights at 8e-3).
    """
    net, second = nets(sizes, 2), nets((64, 48, 48, 1), 2, first=SEEDS)
    numbers = torch.zeros(2 * SEEDS, 200, 1, requires_grad=True)
    groups = [{"params": sum(net + second, [])}, {"params": [numbers], "lr": rate}]
    optimizer = torch.optim.Adam(groups, lr=8e-3, fused=True)

    def outputs(x):
        f = logits(net, x, centred)
        return f + logits(second, x) if shift == "net" else f

    for epoch in range(epochs):
        orders = [
            torch.randperm(200, generator=torch.Generator().manual_seed(1000 * seed + epoch))
            for seed in range(SEEDS)
        ]
        for batch in torch.stack(2 * orders).split(40, 1):
            f = outputs(train[0][batch])
            if shift == "numbers":
                f = f + numbers.gather(1, batch[..., None])
            halves = zip(PAIR.values(), f.split(SEEDS), train[1][batch].split(SEEDS))
            optimizer.zero_grad()
            sum(loss(*half).sum() for loss, *half in halves).backward()
            optimizer.step()
    return outputs(test[0]).detach().unflatten(0, (2, SEEDS))


def split(f):
    """Shift and sharpness, each (..., N)."""
    return f.mean(-1), log_partition(f) - f.mean(-1)


def overconfidence(f):
    """Mean confidence minus accuracy, in percentage points."""
    right = (f.argmax(-1) == test[1]).double().mean(-1)
    return 100 * (f.softmax(-1).amax(-1).mean(-1) - right)


# %% tags=["hide-input"]
KINDS = {"deep net": (DEEP, False), "linear net": (LINEAR, False), "deep net, logits centred": (DEEP, True)}
ends = {kind: fit(*of) for kind, of in KINDS.items()}
LOOK = style.loss_styles(PAIR)
shown = {kind: dict(zip(PAIR, ends[kind][:, 0, :400])) for kind in ("deep net", "linear net")}


def drawn_at(f):
    """Shift from its mean, and sharpness."""
    shift, sharpness = split(f)
    return shift - shift.mean(), sharpness


with plt.rc_context(style.STYLE):
    figure, axes = plt.subplots(2, 1, figsize=(7.5, 5.4), layout="constrained", sharex=True, sharey=True)
    for axis, (kind, both) in zip(axes, shown.items()):
        for name, f in both.items():
            shift, sharpness = drawn_at(f)
            look = {"color": LOOK[name]["color"], "label": LOOK[name]["label"]}
            axis.scatter(sharpness, shift, s=9, alpha=0.5, linewidth=0, rasterized=True, **look)
        axis.axline((sharpness.mean(), 0), slope=-1, color=style.INK, linewidth=1, linestyle=":")
        axis.set(title=kind, aspect="equal")
    style.label_axes(figure, "sharpness s, nats", "shift m from its mean, nats")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, markerscale=2.5)
publish.show(
    figure,
    name="shift-and-sharpness",
    data=pd.DataFrame(
        {"kind": kind, "loss": name, "sharpness": round(s, 4), "shift": round(m, 4)}
        for kind, both in shown.items()
        for name, f in both.items()
        for m, s in zip(*(part.tolist() for part in drawn_at(f)))
    ),
    alt="Shift against sharpness of test images. The standard deep net's points are a wide, flat cloud; the"
    " joint one's a short one that falls along a line of slope -1. In the linear net both clouds are flat,"
    " and the joint one's is shorter.",
    caption="Along the dotted line ln Z = m + s is even. The standard deep net's cloud is wide and nearly"
    " flat; the joint one's is short, and lies along the line. The linear net's cloud is shorter, but hardly"
    " turns. 400 test images, the first of six seeds.",
)
end = {kind: [part.var(-1).mean(-1) for part in (log_partition(f), *split(f))] for kind, f in ends.items()}
ln_z_of, shift, sharpness = end["deep net"]
given_up = 1 - (sharpness[1] / sharpness[0]).item()
cancelled = 1 - (ln_z_of[1] / sharpness[1]).item()
over = {kind: overconfidence(f).numpy() for kind, f in ends.items()}
before = {kind: both[0].mean() for kind, both in over.items()}
after = {kind: interval(both[1]) for kind, both in over.items()}
assert given_up > 0.5 and cancelled > 0.4 and shift[1] > shift[0]
assert before["deep net"] > 2 and abs(after["deep net"][0]) < before["deep net"] / 2
assert after["deep net, logits centred"][2] < 0 and after["linear net"][2] < before["linear net"] - 3 < -3
centred = "{:+.1f} [{:+.1f},\u00a0{:+.1f}]".format(*after["deep net, logits centred"])
display(
    Markdown(
        f"**Both: the joint net gives up {words.percent(given_up, 0)} of the variance of its sharpness,"
        f" and cancels {words.percent(cancelled, 0)} of what is left by a shift.** Its confidence minus"
        f" accuracy is {after['deep net'][0]:+.1f} percentage points, the standard net's"
        f" {before['deep net']:+.1f}. Centre the logits (subtract their mean), and no shift is possible: then"
        f" the loss takes too much confidence, {centred} (95 % interval over six seeds). It makes the linear"
        " net far more underconfident, too."
    )
)

# %% [markdown]
# ## Does it lack the shift?
#
# A shift costs nothing; giving up sharpness does. Why not all by a shift? Two reasons are possible, and what
# centred logits do fits both.
#
# - *The net cannot.* $m(x)$ comes out of the last layer, a linear function of the features; sharpness is a
#   convex one, large in every direction in which the net is sure. Unless the features bend, it cannot follow.
# - *Descent goes another way.* The gradient of (mechanism.2) in the logits of an image is $(p' - 1/N)$ times
#   its softmax. For a sure answer that is one logit, and of its squared length only $1/K$ is shift.
#
# So we give the nets all the shift they could want: logits $f(x) + c(x)$, with $c$ from a second net, or one
# free number for each training image, which learns ten times as fast as the weights. Neither has any
# influence on $p(y\mid x)$. If the first reason is the only one, the gain in calibration vanishes.
#
# **Before you look:** does it?

# %% tags=["hide-input"]
LONG = "deep net, ten times as long"
SHIFTS = {"joint, with a second net": "net", "joint, with a number for each image": "numbers"}
RUNS = {"deep net": {}, LONG: {"epochs": 600}, "linear net": {"sizes": LINEAR}}
ends[LONG] = fit(**RUNS[LONG])
nets_of = {
    kind: dict(zip(PAIR, ends[kind])) | {name: fit(shift=shift, **run)[1] for name, shift in SHIFTS.items()}
    for kind, run in RUNS.items()
}
gap = {kind: {name: overconfidence(f).numpy() for name, f in of.items()} for kind, of in nets_of.items()}
wide = {
    kind: {name: split(f)[1].var(-1).mean().item() for name, f in of.items()} for kind, of in nets_of.items()
}


def kept(kind, over):
    """How much of what the joint loss does to the confidence stays with a free shift; 95 % interval."""
    standard = gap[kind]["conditional"]
    return interval((standard - over) / (standard - gap[kind]["joint"]).mean())


share = {kind: [kept(kind, gap[kind][name]) for name in SHIFTS] for kind in RUNS}
deep, late = wide["deep net"], wide[LONG]
assert min(low for _, low, _ in share["deep net"]) > 0.6
assert max(high for _, _, high in share["linear net"]) < 0.4
assert all(deep[name] < min(1.25 * deep["joint"], 0.25 * deep["conditional"]) for name in SHIFTS)
gained = {
    kind: [interval(gap[kind]["conditional"] - gap[kind][name]) for name in ("joint", *SHIFTS)]
    for kind in ("deep net", LONG)
}
assert all(now[0] < 0.8 * then[0] and now[1] > 0 for then, now in zip(*gained.values()))
assert all(1.5 * deep[name] < late[name] < 0.3 * late["conditional"] for name in ("joint", *SHIFTS))
display(
    Markdown(
        words.markdown_table(
            ["net", *gap["deep net"]],
            [
                (kind, *(f"{gap[kind][name].mean():+.1f} ({wide[kind][name]:.1f})" for name in gap[kind]))
                for kind in RUNS
            ],
        )
        + "\n\n*Confidence minus accuracy in percentage points, and in brackets the variance of the"
        " sharpness; test images, means over six seeds.*\n\n**No: free to shift, the deep net gives up nearly"
        " as much sharpness as before. Only the linear net is given most of its confidence back.** Of what"
        " the joint loss takes from the confidence of the deep net,"
        f" {words.percent(share['deep net'][0][0], 0)} is still taken with a second net and"
        f" {words.percent(share['deep net'][1][0], 0)} with a number for each image; of the linear net's,"
        f" {words.percent(share['linear net'][0][0], 0)} and {words.percent(share['linear net'][1][0], 0)}."
    )
)

# %% tags=["remove-cell"]
slow = [
    kept(kind, overconfidence(fit(RUNS[kind].get("sizes", DEEP), shift="numbers", rate=8e-3)[1]).numpy())
    for kind in ("deep net", "linear net")
]
assert slow[0][1] > 0.6 and 0.5 < slow[1][1] < slow[1][2] < 0.65

# %% [markdown]
# **Why.** The linear net lacks the shift. The deep net does not, so the second reason is left: what
# calibrates it is probably the path of training, not its end. With $c$ free both losses have the same
# infimum. But $c$ has to be learnt, and until it is, the net gives up sharpness instead. Later the cross
# entropy brings the sharpness back, slowly: after ten times as long it has grown in all deep nets, and a part
# of the gain is gone.
#
# **Limits.** The runs refute the first reason for this deep net; they do not prove the second. Numbers that
# learn no faster than the weights change the deep net as little, and give the linear one back less than half.
# 200 digits of 8x8 pixels, nets without convolutions, Adam.
#
# ## What to use when
#
# ```{admonition} For practitioners
# :class: tip
# - **No validation images, and a net that fits its training images:** the joint loss at weight 1 makes it
#   less overconfident. Not for a linear net, which it makes underconfident.
# - **With validation images:** let their NLL choose the weight among 1, 5 and 25, with about a thousand
#   images [among 5, 25 and 125](contest.ipynb). For calibration alone [a temperature](calibration.ipynb) is
#   enough.
# - **To find unfamiliar inputs:** not with $\ln p(x)$ of a net trained with the conditional or the joint loss
#   alone. [Give it references](repair.ipynb), or use [another score](detection.ipynb).
# ```
#
# Other losses even $\ln Z$ too, or curb confidence: [who are its relatives, and is it more than a
# z-loss?](relatives.ipynb)
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
