# %% [markdown]
# # How does ln Z become even?
#
# ```{margin}
# **Notation.** $f(x)$ the logits of an image, $Z(x) = \sum_k e^{f_k(x)}$; $m(x)$ the mean of the logits,
# $s(x) = \ln Z(x) - m(x)$ the *sharpness*. [All symbols](../book/glossary.md).
# ```
#
# The joint loss asks for one $\ln Z$ for all images. That can be had for nothing, and then it would change no
# answer of the net. But nets trained with it are better calibrated. So what do they do?
#
# **In short.** A net evens $\ln Z$ partly by a shift, which is free, and partly by giving up confidence,
# which is what calibrates it. It does so from the first epochs on, and even where a shift costs nothing.
#
# **After this chapter you can**
#
# - tell how $\ln Z$ becomes even: by a shift, or by less confidence;
# - say what a net does that could shift for nothing, and what follows from it.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd
import torch
from IPython.display import Markdown, display

from gffn_core import conditional_nll, joint_nll, log_partition
from gffn_core.data.datasets import load_dataset
from gffn_core.pages import publish, style, words
from gffn_core.pages.small_nets import SEEDS, features, interval, logits, nets

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)  # so that the numbers below are those of any machine

# %% [markdown]
# ## Shift or sharpness?
#
# A net has two ways. Adding one number $c(x)$ to all logits of an image moves $\ln Z(x)$ by $c(x)$ and leaves
# $p(y\mid x)$ alone. So split
#
# $$ \ln Z(x) = m(x) + s(x), \tag{shift.1} $$
#
# $$ m = \operatorname{mean}_k f_k, \qquad s = \ln\sum_k e^{f_k - m} \;\ge\; \ln K, $$
#
# into a *shift* $m$ and a *sharpness* $s = \ln K + \mathrm{KL}(\text{uniform}\,\|\,p(y\mid x))$, which
# depends on the answer alone. It is least where the classes are equally likely and grows with the scale of
# the logits; of two answers with one confidence, that which rules more classes out is the sharper. A shift
# $m = -s$ would make $\ln Z$ even for free: the predictions would not change at all, and the joint loss
# would do nothing for calibration.
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


def fit(sizes=DEEP, centred=False, shift="", epochs=60, rate=8e-2, watch=lambda net, f: None):
    """Logits of the test images, (2, SEEDS, N, 10), of nets trained with either loss.

    watch: gets the nets and the logits of their training images after every epoch. shift: what else may add
    a number to all logits of an image: "net", a second net; "numbers", one number for each training image,
    which learns at this rate (the weights at 8e-3).
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
        watch(net, outputs(train[0]).detach())
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
# ## When does it happen?
#
# The variance of $\ln Z$ is that of the shift, that of the sharpness, and twice their covariance. Here they
# are on the training images, epoch by epoch.
#
# **Before you look:** does the joint net first grow sure and then even its $\ln Z$, or the other way round?

# %% tags=["hide-input"]
PARTS = {"sharpness": "#1B9E77", "shift": style.OUTSIDE, "ln Z": style.INK}
film, size = {}, {}
for kind, of in KINDS.items():
    frames = []

    def watch(net, f):
        m, s = split(f)
        covariance = ((m - m.mean(-1, True)) * s).sum(-1) / (m.shape[-1] - 1)
        spread = {"sharpness": s.var(-1), "shift": m.var(-1), "ln Z": log_partition(f).var(-1)}
        frames.append(
            {
                name: one.unflatten(0, (2, SEEDS))
                for name, one in (spread | {"covariance": covariance}).items()
            }
        )
        length = features(net, train[0]).norm(dim=-1).mean(-1) * torch.ones(2 * SEEDS)
        weights = net[-1][0].detach().flatten(1).norm(dim=-1)
        size[kind] = {"last layer": weights.view(2, SEEDS), "features": length.detach().view(2, SEEDS)}

    fit(*of, watch=watch)
    film[kind] = {name: torch.stack([one[name] for one in frames]) for name in frames[0]}
with plt.rc_context(style.STYLE):
    figure, axes = plt.subplots(
        2, 3, figsize=(8.4, 5), layout="constrained", sharex=True, sharey=True, squeeze=False
    )
    for column, (kind, parts) in zip(axes.T, film.items()):
        for row, (axis, loss) in enumerate(zip(column, PAIR)):
            for part, color in PARTS.items():
                line = parts[part][:, row].mean(-1)
                axis.plot(range(1, len(line) + 1), line, color=color, label=part)
            axis.set(title=f"{kind}\n{LOOK[loss]['label']}", yscale="log", ylim=(1e-3, 300))
            axis.minorticks_off()
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    style.label_axes(figure, "epoch", "variance over the training images, nats²")
publish.show(
    figure,
    name="shift-film",
    data=pd.DataFrame(
        {"kind": kind, "loss": loss, "epoch": epoch, "part": part, "variance": round(value.item(), 4)}
        for kind, parts in film.items()
        for part, line in parts.items()
        for epoch, pair in enumerate(line.mean(-1), 1)
        for loss, value in zip(PAIR, pair)
    ),
    alt="Variance of sharpness, shift and ln Z over 60 epochs. In standard nets ln Z follows the sharpness,"
    " and both rise throughout. In the joint deep net the sharpness stays far lower; the shift starts lower"
    " still, catches up with it by epoch 20, and the variance of ln Z falls. In the joint linear net the"
    " shift stays behind. With centred logits ln Z is the sharpness, and the joint loss holds it down.",
    caption="In the joint deep net the sharpness is held down from the start; the shift catches"
    " up with it later, and ln Z goes on falling. Means over six seeds; the covariance is in the data.",
)


def at(kind, part, epoch):
    """Of the standard and the joint nets the mean over seeds."""
    return film[kind][part][epoch - 1].mean(-1).tolist()


def relative(what, kind):
    """The joint nets' as a share of the standard ones', and its interval."""
    standard_net, joint_net = size[kind][what]
    return interval((joint_net / standard_net).numpy())


sharp, shifted, even = ({e: at("deep net", part, e) for e in (5, 60)} for part in PARTS)
together = [-2 * one / (a + b) for one, a, b in zip(at("deep net", "covariance", 60), sharp[60], shifted[60])]
assert sharp[5][1] < sharp[5][0] / 5 and abs(shifted[5][1] - shifted[5][0]) < 0.05
assert shifted[60][1] > 0.9 * sharp[60][1] and even[60][1] < even[5][1] / 4 and together[1] > 0.95
assert 2.5 < sharp[60][1] / sharp[5][1] < 3.5
assert at("linear net", "shift", 60)[1] < 0.6 * at("linear net", "sharpness", 60)[1]
centred_net = [at("deep net, logits centred", "sharpness", e)[1] for e in (5, 60)]
assert centred_net[1] < centred_net[0] / 3
longer, weights = relative("features", "deep net"), relative("last layer", "deep net")
assert longer[2] < 0.6 and weights[1] > 1.1 and relative("last layer", "linear net")[2] < 1
display(
    Markdown(
        "**Sharpness is held down first, the shift comes later. After five epochs the joint deep net's"
        f" sharpness has a variance of {sharp[5][1]:.1f} where the standard net's has {sharp[5][0]:.1f},"
        f" and its shift is hardly larger than the standard net's ({shifted[5][1]:.2f} and"
        f" {shifted[5][0]:.2f}).** At epoch 60 the shift has grown to {shifted[60][1]:.1f}, as much as the"
        f" sharpness has, {sharp[60][1]:.1f}, and the two cancel: twice their covariance takes away"
        f" {words.percent(together[1], 0)} of their sum, in the standard net"
        f" {words.percent(together[0], 0)}. In that time the net has grown sure again, to a sharpness three"
        " times as uneven. The linear net's shift stays behind. With centred logits there is none, and"
        f" sharpness has to go, from {centred_net[0]:.1f} to {centred_net[1]:.1f}.\n\n**Where in the net?**"
        f" In its features. At the end those of the joint deep net have {words.percent(longer[0], 0)} of"
        " the standard net's length, though its last layer has the larger weights"
        f" ({words.percent(weights[0], 0)}). The linear net's features are the pixels; there the weights"
        " are smaller."
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
# - **With validation images:** let their NLL choose the weight among 1, 5, 25 and 125 (the larger ones [for
#   few images](contest.ipynb)). For calibration alone [a temperature](calibration.ipynb) is enough.
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
# **2.** Centre the logits of a net: $\tilde f = f - m$. What is left for the joint loss to act on?
#
# ```{admonition} Solution
# :class: dropdown
# Sharpness alone. $\ln \tilde Z = s$, so the loss charges for differences in sharpness between the images of
# a batch: it pulls the sharpest answers down and the least sharp ones up, whether they are right or not.
# ```
