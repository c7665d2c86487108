# %% [markdown]
# # From p(y|x) to p(x, y)
#
# ```{margin}
# **Notation.** $x$ image, $y$ label, $f(x)$ its $K$ logits, $\langle y, f\rangle$ the logit of the label,
# $Z(x)$ the sum of $e^{\langle y, f(x)\rangle}$ over labels, $p'$ the softmax of $\ln Z$ over the batch of
# $N$ images. [All symbols](../book/glossary.md).
# ```
#
# A trained classifier gives us $K$ numbers per image, the logits $f(x)$. The standard reading turns
# them into $p(y|x)$. The thesis {cite:p}`klinger2021` reads the *same* numbers as $\ln p(x, y)$ up to a
# constant, and asks what happens if a network is trained under that reading.
#
# **In short.** The joint loss is the standard one plus a penalty for an uneven $\ln p(x)$ over the batch,
# (theory.12). For a batch of one there is no difference. In trained nets the penalty leaves a trace: with it
# the standard deviation of $\ln Z$ over the training images is 2 % of the standard net's (median).
#
# **After this chapter you can**
#
# - derive both objectives and their gradients, and say at which step the objective changes;
# - explain why they coincide for a batch of one;
# - state what the joint loss adds to the standard one: a penalty for an uneven $\ln p(x)$ over the batch;
# - use it in your own training by changing one line.
#
# The formulas are checked live, in float64: (theory.3) by brute force, the gradients (theory.5), (theory.8)
# and (theory.10) by automatic differentiation, (theory.6), (theory.7) and (theory.12) by computing both
# sides. Equations are numbered (theory.1) to (theory.12); the thesis's own numbers follow in square brackets.

# %% tags=["parameters", "remove-cell"]
PROFILE = "cpu"  # "cpu": published results; "digits": live in minutes; "colab", "thesis": on a GPU
RESULTS = "../results"  # the store of results
TRAIN_MISSING = False  # True: train here and now what the store lacks
DEVICE = "auto"  # "auto", "cpu" or "cuda"
DATA_ROOT = None  # folder of the data sets; None: $GFFN_DATA or the user's cache

# %% tags=["hide-input"]
import itertools
import math

import matplotlib.pyplot as plt
import pandas as pd
import torch
from IPython.display import Markdown, display

from gffn_core import JointCrossEntropyLoss, conditional_nll, joint_nll, log_partition
from gffn_core.checks import LABEL_SPACES
from gffn_core.experiments import tables
from gffn_core.pages import publish, style, words
from gffn_core.pages.chapter import open_chapter
from gffn_core.verdicts.claims.theory import overhead

torch.manual_seed(0)
torch.set_num_threads(1)
N, K = 8, 4  # a toy batch: 8 examples, 4 classes
logits = 2 * torch.randn(N, K, dtype=torch.float64)
target = torch.randint(K, (N,))
y = torch.nn.functional.one_hot(target, K).double()

# %% [markdown]
# ## What do logits say about a label?
#
# **How likely it is, given the image: a softmax over the classes, or a sigmoid for each of them.**
# Write the label as a vector $y$ of zeros and ones. The logits define
#
# $$ p(y|x;\theta) = \frac{\exp\langle y, f(x;\theta)\rangle}{Z(x;\theta)}, \tag{theory.1} $$
#
# $$ Z(x;\theta) = \sum_y \exp\langle y, f(x;\theta)\rangle \tag{theory.2} $$
#
# [thesis 2.13, 2.14]. Everything hinges on which $y$ the sum runs over, and the thesis uses two answers.
#
# **Categorical.** $y$ is one of the $K$ unit vectors: $\ln Z(x) = \ln\sum_k e^{f_k(x)}$, and (theory.1) is
# the softmax.
#
# **Binary.** $y$ is any vector in $\{0,1\}^K$. The sum over $2^K$ vectors factorises,
#
# \begin{align*}
# Z(x) &= \sum_{y\in\{0,1\}^K}\prod_i e^{y_i f_i} \\
#    &= \prod_i\bigl(1+e^{f_i}\bigr), \\
# \ln Z(x) &= \sum_i \operatorname{softplus} f_i(x) \tag{theory.3}
# \end{align*}
#
# [2.16, 2.17], which makes (theory.1) a product of independent sigmoids and its negative logarithm the binary
# cross-entropy [2.18, 2.20]. We carry both along: `label_space="categorical"` and `label_space="binary"`.
# The brute-force sums agree with `log_partition`:

# %%
unit_vectors = torch.eye(K, dtype=torch.float64)
all_vectors = list(itertools.product([0.0, 1.0], repeat=K))
all_vectors = torch.tensor(all_vectors, dtype=torch.float64)
sums = {
    "categorical": (logits @ unit_vectors.T).exp().sum(-1).log(),
    "binary": (logits @ all_vectors.T).exp().sum(-1).log(),
}
differences = [
    (brute_force - log_partition(logits, label_space=space)).abs().max()
    for space, brute_force in sums.items()
]
pd.DataFrame(
    {
        "vectors y in the sum": [len(unit_vectors), len(all_vectors)],
        "largest difference": [f"{one:.0e}" for one in differences],
    },
    index=LABEL_SPACES,
)

# %% [markdown]
# Learning maximises the mean of $\ln p(y^l|x^l)$ over the $N$ examples of a batch, so the loss is
#
# \begin{align*}
# L_{\text{cond}} = \frac1N\sum_l\bigl[&\ln Z(x^l) \\
#    &- \langle y^l, f(x^l)\rangle\bigr], \tag{theory.4}
# \end{align*}
#
# and its gradient in the direction of any parameter [2.21, 4.17]
#
# \begin{align*}
# -\frac{\partial L_{\text{cond}}}{\partial\theta} = \frac1N\sum_l\Bigl[&\Bigl\langle y^l,
#    \frac{\partial f(x^l)}{\partial\theta}\Bigr\rangle \\
#    &- \frac{\partial\ln Z(x^l)}{\partial\theta}\Bigr]. \tag{theory.5}
# \end{align*}
#
# In terms of the logits, $\partial\ln Z/\partial f$ is the softmax or the sigmoid of $f$: prediction minus
# label.
#
# ## What if they speak of the image, too?
#
# **Then they also say how likely the image is, and the loss has a sum over all images that are conceivable.**
# Now let the same logits stand for the *joint* log-probability [3.1, 4.1, 4.2]:
#
# \begin{align*}
# p(x, y;\theta) &= \frac{\exp\langle y, f(x;\theta)\rangle}{Z(\theta)}, \\
# Z(\theta) &= \sum_x\sum_y\exp\langle y, f(x;\theta)\rangle \\
#    &= \sum_x Z(x;\theta). \tag{theory.6}
# \end{align*}
#
# $p(y|x)$ is unchanged: dividing (theory.6) by its sum over $y$ cancels $Z(\theta)$ and gives (theory.1)
# back. What is new is that the model now also says how likely an input is [4.9]:
#
# $$ p(x;\theta) = \sum_y p(x, y;\theta) = \frac{Z(x;\theta)}{Z(\theta)}. \tag{theory.7} $$
#
# The loss of one example is $\ln Z(\theta) - \langle y, f(x)\rangle$ [4.3]. Its first term is a sum over all
# conceivable images. Its gradient follows in three steps [4.5 to 4.10]: the chain rule, then
# $\partial Z(x) = Z(x)\,\partial\ln Z(x)$, then (theory.7):
#
# \begin{align*}
# \frac{\partial\ln Z(\theta)}{\partial\theta}
#    &= \frac{1}{Z(\theta)}\sum_x\frac{\partial Z(x)}{\partial\theta} \\
#    &= \sum_x\frac{Z(x)}{Z(\theta)}\frac{\partial\ln Z(x)}{\partial\theta} \\
#    &= \sum_x p(x;\theta)\,\frac{\partial\ln Z(x)}{\partial\theta}. \tag{theory.8}
# \end{align*}
#
# So far all is exact. **The approximation** [4.11 to 4.14]: the sum over all $x$ is replaced by a sum over
# the mini-batch, assuming that both are proportional. They are not, and [the next chapter](mechanism.ipynb)
# shows what that means: another density is fitted. With
#
# \begin{align*}
# p'(x^l) &= \frac{Z(x^l)}{\sum_{l'} Z(x^{l'})} \\
#    &= \operatorname{softmax}_l\,\ln Z(x^l) \tag{theory.9}
# \end{align*}
#
# [4.16], the gradient that the thesis trains with is [4.15]
#
# \begin{align*}
# -\frac{\partial L_{\text{joint}}}{\partial\theta} =\ &\frac1N\sum_l\Bigl\langle y^l,
#    \frac{\partial f(x^l)}{\partial\theta}\Bigr\rangle \\
#    &- \sum_l p'(x^l)\,\frac{\partial\ln Z(x^l)}{\partial\theta}. \tag{theory.10}
# \end{align*}
#
# The plain mean of (theory.5) has become a weighted one. (theory.10) is the exact gradient of a loss one can
# write down:
#
# \begin{align*}
# L_{\text{joint}} =\ &\ln\sum_l Z(x^l) - \ln N \\
#    &- \frac1N\sum_l\langle y^l, f(x^l)\rangle. \tag{theory.11}
# \end{align*}
#
# The constant $-\ln N$ is ours. It leaves the gradient alone and makes the loss comparable across batch
# sizes.
#
# ### The gradients, checked
#
# First as if the eight images of the toy batch were all there are: (theory.6) gives back (theory.1), and
# (theory.7) and (theory.8) hold.


# %%
equal = torch.testing.assert_close
f = logits.clone().requires_grad_()
p_xy = logits.flatten().softmax(0).view(N, K)
p_x = p_xy.sum(-1)
equal(p_xy / p_x[:, None], logits.softmax(-1))  # p(y|x) as before
equal(p_x, log_partition(logits).softmax(0))  # the share of Z(x)
(slope,) = torch.autograd.grad(f.flatten().logsumexp(0), f)  # of ln Z
equal(slope, p_x[:, None] * logits.softmax(-1))

# %% [markdown]
# Then automatic differentiation of `conditional_nll` and `joint_nll` against (theory.5) and (theory.10),
# written out by hand:


# %%
def autograd(loss, space):
    f = logits.clone().requires_grad_()
    loss(f, target, label_space=space).backward()
    return f.grad


differences = {}
for space in LABEL_SPACES:
    categorical = space == "categorical"
    prediction = logits.softmax(-1) if categorical else logits.sigmoid()
    p_batch = log_partition(logits, label_space=space).softmax(0)[:, None]
    conditional, joint = (prediction - y) / N, p_batch * prediction - y / N
    by_hand = {conditional_nll: conditional, joint_nll: joint}
    for loss, gradient in by_hand.items():
        difference = (autograd(loss, space) - gradient).abs().max().item()
        differences[space, loss] = difference
assert max(differences.values()) < 1e-15

# %% tags=["hide-input"]
NAMES = {conditional_nll: "conditional, (theory.5) [4.17]", joint_nll: "joint, (theory.10) [4.15]"}
rows = [[space, NAMES[loss], f"{difference:.0e}"] for (space, loss), difference in differences.items()]
display(Markdown(words.markdown_table(["label space", "gradient", "largest difference"], rows)))

# %% [markdown]
# ### A batch of one
#
# With $N = 1$ the weight $p'$ is 1, and (theory.11) is (theory.4). The thesis says so at the end of its
# chapter 4; in code the two agree to the last bit:

# %% tags=["hide-input"]
same = [
    sum(
        torch.equal(
            joint_nll(logits[i : i + 1], target[i : i + 1], label_space=space),
            conditional_nll(logits[i : i + 1], target[i : i + 1], label_space=space),
        )
        for i in range(N)
    )
    for space in LABEL_SPACES
]
pd.DataFrame({"batches of one": N, "identical to the last bit": same}, LABEL_SPACES)

# %% [markdown]
# ## What does the joint loss add?
#
# Subtract (theory.4) from (theory.11); the label terms cancel:
#
# \begin{align*}
# &L_{\text{joint}} - L_{\text{cond}} \\
#    &\quad = \ln\sum_l Z(x^l) - \ln N \\
#    &\qquad - \frac1N\sum_l\ln Z(x^l) \\
#    &\quad = \frac1N\sum_l\ln\frac{1/N}{p'(x^l)} \\
#    &\quad = \operatorname{KL}(\text{uniform}\,\|\,p'). \tag{theory.12}
# \end{align*}
#
# *Proof of the line with $p'$:* $\ln p'(x^l) = \ln Z(x^l) - \ln\sum_{l'} Z(x^{l'})$; average over $l$ and
# change the sign. ∎
#
# **The joint loss is the conditional loss plus a penalty for an uneven $\ln p(x)$ over the batch.** It is
# never smaller than the conditional loss, by Jensen's inequality, and equal only if $\ln Z$ is the same for
# every example. For small differences the penalty is about half the variance of $\ln Z$: with
# $u_l = \ln Z(x^l) - \overline{\ln Z}$, expand $\ln\frac1N\sum_l e^{u_l} = \frac1N\sum_l u_l^2/2 + O(u^3)$.

# %% tags=["hide-input"]
rows = []
for space in LABEL_SPACES:
    for scale in (1.0, 0.1, 0.01):
        f = scale * logits
        ln_z = log_partition(f, label_space=space)
        gap = joint_nll(f, target, label_space=space) - conditional_nll(f, target, label_space=space)
        kl = -(N * ln_z.softmax(0)).log().mean()
        assert abs(gap - kl) < 1e-14
        numbers = gap, kl, ln_z.var(correction=0) / 2
        decimals = 2 - math.floor(math.log10(kl))  # three digits that count
        rows.append([space, f"{scale:g}", *(f"{number:.{decimals}f}" for number in numbers)])
header = ["label space", "scale", "joint - cond.", "KL", "variance / 2"]
display(Markdown(words.markdown_table(header, rows)))

# %% [markdown]
# Two consequences that the later chapters meet again:
#
# - *With categorical logits the penalty can be avoided for free.* Adding a constant $c(x)$ to all logits of
#   an example leaves $p(y|x)$ as it is and shifts $\ln Z(x)$ by $c(x)$. So a network that is flexible enough
#   can make $\ln Z$ constant over the training data and keep all of its likelihood. In practice the penalty
#   changes which solution training reaches. With binary labels there is no such freedom.
# - *Nothing pushes $\ln p(x)$ down where there is no data.* A proper generative model loses likelihood if it
#   spends probability on other inputs. Here the sum over $x$ runs over training images only, so the objective
#   asks for an *even* $\ln p(x)$ on them and says nothing about all other inputs. That is a reason to doubt
#   $\ln p(x)$ as a detector of unfamiliar inputs before any experiment (see [the chapter on it](ood.ipynb)).
#
# ### Try it
#
# A batch of three examples with two classes; a tick marks the label. On the book's page, move the logits and
# watch both losses and their gradients; elsewhere the table stands still.
#
# - Add the same constant to both logits of one example. $p(y|x)$, the conditional loss and its gradient stay
#   where they are; the joint loss moves, because $p'(x)$ does.
# - From the start, make $p'(x) = 1/3$ everywhere: press +1 once at example 2 and twice at example 3. The two
#   losses are equal there, as (theory.12) says, and so are their gradients.
# - A positive gradient pushes a logit down. From the start, lower both logits of example 1 (−1, twice): the
#   joint gradient of its label turns negative. Raise them: it grows, as the example takes over the batch,
#   while the conditional gradient stays.


# %% tags=["hide-input"]
def dial(logits, target):
    """A table of the batch, which book/_static/dial.js sets in motion."""
    f = logits.clone().requires_grad_()
    losses = {
        name: loss(f, target) for name, loss in (("conditional", conditional_nll), ("joint", joint_nll))
    }
    gradients = [torch.autograd.grad(loss, f)[0] for loss in losses.values()]
    columns = torch.stack([logits.softmax(-1), logits.flatten().softmax(0).view_as(logits), *gradients], -1)
    p_batch = log_partition(logits).softmax(0)
    groups = ""
    for n in range(len(logits)):
        groups += (
            f'<tbody><tr><th colspan="6" scope="rowgroup">Example {n + 1}, p′(x) ='
            f" <output>{p_batch[n]:.3f}</output></th></tr>"
        )
        for k, name in enumerate("AB"):
            label = target[n] == k
            groups += (
                f'<tr data-label="{int(label)}"><th'
                f' scope="row">{name}{" ✓" if label else ""}</th><td>{logits[n, k]:.1f}</td>'
            )
            groups += (
                "".join(f'<td style="--value: {v:.3f}">{v:.3f}</td>' for v in columns[n, k].tolist())
                + "</tr>"
            )
        groups += "</tbody>"
    header = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("y", "logit", "p(y|x)", "p′(x,y)", "gradient cond.", "gradient joint")
    )
    difference = losses["joint"] - losses["conditional"]
    return (
        '<div id="gffn-dial"><p aria-live="polite">Conditional loss '
        f"<output>{losses['conditional']:.3f}</output>, joint loss <output>{losses['joint']:.3f}</output>,"
        f" difference <output>{difference:.3f}</output>"
        f" nats.</p><table><thead><tr>{header}</tr></thead>{groups}</table></div>"
    )


toy = torch.tensor([[2.0, 0.0], [1.0, -1.0], [-2.0, 0.0]], dtype=torch.float64)
labels = torch.tensor([0, 1, 1])
pushes = {loss: [] for loss in (conditional_nll, joint_nll)}  # on the label of example 1
for shift in (-2, 0, 2):
    f = (toy + shift * torch.tensor([[1.0], [0.0], [0.0]])).requires_grad_()
    for loss, found in pushes.items():
        found.append(torch.autograd.grad(loss(f, labels), f)[0][0, 0].item())
lowered, start, raised = pushes[joint_nll]
assert lowered < 0 < start < raised  # as the text says
assert max(pushes[conditional_nll]) - min(pushes[conditional_nll]) < 1e-15
html = dial(toy, labels)
display({"text/html": html, "text/plain": "A dial: on the book's page."}, raw=True)

# %% [markdown]
# ### Which examples feel the difference?
#
# **Those with a large $\ln Z$.** The conditional loss pushes every example's $\ln Z$ down with weight $1/N$
# (theory.5). The joint loss does so with weight $p'$ (theory.10), which grows exponentially with $\ln Z$:

# %% tags=["hide-input"]
ln_z = log_partition(logits)
with plt.rc_context(style.STYLE):
    figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
    axis.axhline(1 / N, color=style.LOSS_STYLE["conditional"]["color"], label="1/N, conditional loss")
    axis.plot(ln_z, ln_z.softmax(0), "s", color=style.LOSS_STYLE["joint"]["color"], label="p', joint loss")
    axis.set(
        xlabel="ln Z of the example (unnormalised ln p(x))", ylabel="weight in the gradient", ylim=(0, None)
    )
    axis.legend(loc="upper left")
heaviest = int(ln_z.argmax())
publish.show(
    figure,
    name="gradient-weights",
    data=pd.DataFrame({"ln_z": ln_z, "conditional": 1 / N, "joint": ln_z.softmax(0)}),
    alt=(
        f"Weight of each example's ln Z in the gradient for a toy batch of {N}. The conditional loss gives"
        f" each 1/N = {1 / N:.3f}; the joint loss gives weights that rise from {ln_z.softmax(0).min():.3f} to"
        f" {ln_z.softmax(0).max():.3f} with ln Z."
    ),
    caption=(
        f"Toy batch, N = {N}, K = {K}, seed 0, categorical label space. The example with the largest ln Z"
        f" carries {words.percent(ln_z.softmax(0)[heaviest].item(), 0)} of the joint loss's push,"
        f" {words.percent(1 / N)} of the conditional one's."
    ),
)

# %% [markdown]
# ## What does it cost?
#
# One softmax over $N$ numbers a step; the thesis expects no relevant overhead.

# %% tags=["hide-input"]
longer = [ratio - 1 for ratio in tables.step_ratios(RESULTS)]
if mean := overhead([1 + one for one in longer]):
    low, high = mean.interval()
    assert low < mean.high < high  # open
    display(
        Markdown(
            f"**In {len(longer)} timings the joint loss changed the time of a step by"
            f" {100 * min(longer):+.1f} % to {100 * max(longer):+.1f} %.** They differ in batch"
            " size; [how fast it trains](speed.ipynb) shows them. Whether the"
            f" mean is below {words.percent(mean.high, 0)} is open (claim 2, at the end of this chapter)."
        )
    )
else:
    display(Markdown("These results hold no timings; [how fast it trains](speed.ipynb) has them."))

# %% [markdown]
# ## How do I use it?
#
# **By changing one line: `JointCrossEntropyLoss` takes the shapes and most options of
# `torch.nn.CrossEntropyLoss`.** One thing differs: it couples the examples of a batch. So it refuses class
# weights and `reduction="none"`, and the losses of two half batches do not average to the loss of the
# whole. If a batch is split over processes, pass `group=`, which sums $Z$ over all of them. If it is split
# into micro-batches, `joint_backward` gives the exact gradient (exercise 3). The loss with [one intercept
# for all data](intercept.ipynb) couples nothing and takes every option.

# %%
classifier = torch.nn.Linear(20, 3)
criterion = JointCrossEntropyLoss()  # was: torch.nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(classifier.parameters())

inputs, labels = torch.randn(32, 20), torch.randint(3, (32,))
loss = criterion(classifier(inputs), labels)
loss.backward()
optimizer.step()
print(f"{loss.item():.4f}")

# %% [markdown]
# ## Does it leave a trace in trained networks?
#
# If the penalty works, networks trained with the joint loss give their training images a more even
# $\ln Z(x)$. **Before you look:** by a tenth, by half, or by more? And need the batch be large for it?

# %% tags=["hide-input"]
chapter = open_chapter(PROFILE, RESULTS, train_missing=TRAIN_MISSING, device=DEVICE, root=DATA_ROOT)
chapter.by_batch_size(
    chapter.long,
    "train_spread",
    "standard deviation of ln Z, training images (nats)",
    name="evenness",
    caption="The joint line lies close to zero at every batch size: ln Z of the training images is nearly"
    " even.",
)
spread = chapter.long.groupby(["title", "batch_size", "loss"])["train_spread"].mean().unstack()
ratio = spread["joint"] / spread["conditional"]
said = (
    "With the joint loss the standard deviation of $\\ln Z$ over the training images is"
    f" {words.percent(ratio.median(), 0)} of the standard net's (median over {len(ratio)} cells;"
    f" {words.percent(ratio.min(), 0)} to {words.percent(ratio.max(), 0)})."
)
if PROFILE == "cpu":
    assert ratio.max() < 0.5 and words.percent(ratio.median(), 0) == "2 %"  # as it says in short
    assert ratio.index.get_level_values("batch_size").min() == 4
    said = f"**By far more, and already at a batch of four, the smallest tried.** {said}"
display(Markdown(said))

# %% [markdown]
# **Why is that more than a curiosity?** A network could even $\ln Z$ at no cost: add a number to all logits
# of an image, and $p(y|x)$ stays what it was. If it did only that, the joint loss would train the same
# classifier. It does not, and [a later chapter](shift.ipynb) measures what else happens.
#
# ## The thesis and this chapter
#
# The thesis calls the change a weighted instead of a plain average; it is also a penalty,
# $\operatorname{KL}(\text{uniform}\,\|\,p')$, (theory.12). It derives the loss for binary labels but gives
# its nets softmax outputs; this book has both. What can be tested:

# %% tags=["hide-input"]
chapter.claims("theory")

# %% [markdown]
# **Limits.** The checks are exact but small: they show that the code computes what the formulas say. They do
# not make (theory.9) an approximation of the sum over all images: a sum over data estimates another quantity,
# the mean of $Z$ over the data, and no batch is large enough to change that.
# [The next chapter](mechanism.ipynb) asks which density is fitted instead.
#
# ## Exercises
#
# **1.** Take categorical labels. Show that $L_{\text{joint}}$ does not change if the same constant is added
# to all logits of all examples, but does if it is added to the logits of one example only. What does
# $L_{\text{cond}}$ do?
#
# ````{admonition} Solution
# :class: dropdown
# A common constant $c$ adds $c$ to every $\ln Z(x^l)$, so to $\ln\sum_l Z(x^l)$, and to every
# $\langle y^l, f\rangle$: it cancels. Added to one example only, $\frac1N\langle y, f\rangle$ rises by $c/N$,
# while $\ln\sum Z$ rises by about $p' c$: to first order the loss changes unless $p' = 1/N$, and even
# there it rises, by about $c^2(N-1)/(2N^2)$. The categorical $L_{\text{cond}}$ changes in neither case.
# ````
#
# **2.** A batch holds one image twice. What happens to its weight in (theory.5) and in (theory.10)?
#
# ````{admonition} Solution
# :class: dropdown
# In (theory.5) each copy has weight $1/N$, together $2/N$. In (theory.10) each copy has $p' = Z(x)/\sum Z$;
# together $2Z(x)/\sum Z$. Both double: $p'$ is a softmax over *examples*, it does not notice that two of them
# are equal.
# ````
#
# **3.** Accumulating gradients over two half batches is exact for $L_{\text{cond}}$. By how much does the
# *joint* loss of the whole batch differ from the mean of the two halves' joint losses? How can its gradient
# be accumulated all the same?
#
# ````{admonition} Solution
# :class: dropdown
# With $S_a$, $S_b$ the mean of $Z$ over each half, the difference is
# $\ln\frac{S_a+S_b}{2} - \frac{\ln S_a+\ln S_b}{2} \ge 0$: the KL penalty *between* the halves is lost. In
# code: `joint_nll(f, t) - (joint_nll(f[:n], t[:n]) + joint_nll(f[n:], t[n:])) / 2`.
#
# The gradient (theory.10) itself is a quotient of sums and a mean, so it can be accumulated: keep
# $A = \sum_l Z(x^l)\,\partial\ln Z(x^l)/\partial\theta$ and $S = \sum_l Z(x^l)$ apart from the scores'
# gradient $G = \sum_l \langle y^l, \partial f(x^l)/\partial\theta\rangle$. After the last part the gradient
# of the loss is $A/S - G/N$, from one forward pass over each part and two gradients through it. So that
# nothing overflows, $A$ and $S$ hold $Z e^{-m}$ with $m$ the largest $\ln Z$ so far, and are multiplied by
# $e^{m - m'}$ when a part brings a larger one, $m'$. `joint_backward` of `gffn_core.variants.micro_batches`
# does it.
# ````
