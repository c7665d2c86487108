# %% [markdown]
# # One batch on several processes
#
# ```{margin}
# **Notation.** $P_r$ the part of process $r$ of $R$, $n$ images in it, $N$ in all; $Z(x)$ the sum of
# $e^{\langle y, f(x)\rangle}$ over labels. [All symbols](../book/glossary.md).
# ```
#
# Where one device is too small or too slow, a batch is spread over several processes: each computes the
# loss of its own part, and `DistributedDataParallel` averages the gradients. For the conditional loss that
# is the same training, as the mean of equal parts' means is the mean of all. The joint loss has a
# logarithm of a sum over the batch, and there the parts do not add up. This chapter says what is
# trained instead, measures it, and shows the way out.
#
# **In short.** Processes that normalise alone train another loss, the thesis's at the batch size of one
# process. In one short training on the digits the net hardly changes with four images or more in each
# process; with one, nothing is left of the joint loss. Given its `group`, the loss in float64 trains on two
# processes what it trains on one, to within $10^{-10}$; each process adds 16 bytes a step.
#
# **After this chapter you can**
#
# - train with the joint loss on several processes, with the result that one process would have;
# - say which loss is trained if every process normalises alone, and estimate how much of the joint loss
#   is lost;
# - say what the processes have to tell each other.

# %% tags=["parameters", "remove-cell"]
DATASET = "digits"  # or another of `gffn data`: slower
BATCH_SIZE = 32  # N, over all processes together; a power of two
EPOCHS = 5
SEED = 0

# %% tags=["hide-input"]
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

import matplotlib.pyplot as plt
import pandas as pd
import torch
import torch.distributed as dist
from IPython.display import Markdown, display

from gffn_core import JointCrossEntropyLoss, conditional_nll, joint_nll, metrics, self_normalised_nll
from gffn_core.data.datasets import load_dataset
from gffn_core.evaluation import standard
from gffn_core.pages import publish, style, words
from gffn_core.training.run import Normalise, Run, epoch_order, initial_model

torch.set_num_threads(1)
EXAMPLE = Path("../examples/distributed.py")
data = load_dataset(DATASET)
PARTS = [2**i for i in range(BATCH_SIZE.bit_length())]  # R = 1, 2, 4, ..., N
basis = f"{data.title}, global batch of {BATCH_SIZE}, {EPOCHS} epochs, seed {SEED}, narrow net, float64"

# %% [markdown]
# ## What is trained if every process normalises alone?
#
# **Before you look:** is it the joint loss with more noise, or another loss?
#
# Let $R$ processes hold $n = N/R$ examples each, $P_r$ those of process $r$. The gradient that they
# average belongs to
#
# \begin{align*}
# L_{\text{local}} = \frac1R\sum_{r=1}^{R}\Bigl[&\ln\sum_{l\in P_r} Z(x^l) - \ln n \\
#    &- \frac1n\sum_{l\in P_r}\langle y^l, f(x^l)\rangle\Bigr]. \tag{distributed.1}
# \end{align*}
#
# Each bracket is the loss (theory.11) of [the theory](theory.ipynb) for a batch of $n$: **spreading a
# batch of $N$ over $R$ processes trains the thesis's loss at batch size $N/R$**, with steps that
# average $R$ such batches. With $n = 1$ that is the conditional loss exactly, whatever $N$ is.
#
# How far is it from the loss of the whole batch? The label terms cancel. With $\bar Z_r$ the mean of
# $Z$ over part $r$,
#
# \begin{align*}
# &L_{\text{joint}} - L_{\text{local}} \\
#    &\quad = \ln\frac1R\sum_r\bar Z_r - \frac1R\sum_r\ln\bar Z_r \\
#    &\quad = \operatorname{KL}(\text{uniform}\,\|\,q) \tag{distributed.2}
# \end{align*}
#
# with $q_r = \bar Z_r / \sum_{r'}\bar Z_{r'}$.
#
# It is (theory.12) with parts in place of examples, and by Jensen's inequality never negative. The penalty
# of (theory.12) therefore splits into two, as a variance does:
#
# \begin{align*}
# &\underbrace{\operatorname{KL}(\text{uniform}\,\|\,p')}_{\text{of the whole batch}} \\
#    &\quad = \underbrace{\operatorname{KL}(\text{uniform}\,\|\,q)}_{\text{between the parts}} \\
#    &\quad + \underbrace{\frac1R\sum_r\operatorname{KL}(\text{uniform}\,\|\,p'_r)}_{\text{within the parts}},
#    \tag{distributed.3}
# \end{align*}
#
# where $p'_r$ is (theory.9) for part $r$ alone. Global normalisation charges for both, local normalisation
# for the second only: a level of $\ln Z$ that differs between the processes costs nothing.
#
# **How much is lost?** Parts are drawn at random from the batch. For small differences each KL is half
# a variance, and the variance within a random part of $n$ out of $N$ is on average
# $\frac{(n-1)/n}{(N-1)/N}$ of that of the whole. What local normalisation keeps of the penalty is then
#
# $$ \frac{N}{N-1}\,\frac{n-1}{n} = \frac{N-R}{N-1}. \tag{distributed.4} $$
#
# For many processes that is nearly $1 - 1/n$: the number of examples *per process* decides.

# %% tags=["hide-input"]
kept = {R: (BATCH_SIZE - R) / (BATCH_SIZE - 1) for R in PARTS}
display(
    Markdown(
        "**Another loss: the thesis's at the batch size of one process.** Of the penalty of a batch of"
        f" {BATCH_SIZE} it keeps, by (distributed.4), "
        + ", ".join(f"{words.percent(kept[R], 0)} on {R}" for R in PARTS[1:])
        + " processes."
    )
)

# %% [markdown]
# ## Do two processes train what one does?
#
# **Before you look:** how far apart will the weights be after five epochs?
#
# `examples/distributed.py` trains the book's net under `DistributedDataParallel`. What matters is one
# line,
#
# ```python
# criterion = JointCrossEntropyLoss(group="world")
# ```
#
# which normalises over the examples of all processes of the group; without `group` every process
# normalises over its own. Every epoch has one order of the images for all processes, and each takes its
# share of every global batch:

# %% tags=["hide-cell"]
text = EXAMPLE.read_text()
display(Markdown("```python\n" + text[text.index("def train(") : text.index("\n\ndef main(")] + "```"))

# %% [markdown]
# Here it runs on two processes, once with either normalisation. We train in float64: every step of a
# training amplifies the rounding of the one before, so in float32 two ways to sum the same numbers end
# in visibly different weights, and a comparison would show little (see
# [how to rerun](../book/rerun.md)).


# %% tags=["hide-input"]
def torchrun(processes, *options):
    """Run the example; its results and weights by normalisation, and what it printed."""
    launcher = "-m torch.distributed.run --standalone --local-addr 127.0.0.1 --nproc-per-node".split()
    with tempfile.TemporaryDirectory() as folder:
        results, weights = Path(folder) / "results.json", Path(folder) / "weights.pt"
        done = subprocess.run(
            [
                sys.executable,
                *launcher,
                str(processes),
                EXAMPLE,
                *options,
                "--json",
                results,
                "--weights",
                weights,
            ],
            env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        return json.loads(results.read_text())["results"], torch.load(weights), done.stdout


options = f"--dataset {DATASET} --batch-size {BATCH_SIZE} --epochs {EPOCHS} --seed {SEED} --float64"
on_two, weights_on_two, printed = torchrun(2, *options.split(), "--normalisation", "global", "local")
print(printed)

# %% [markdown]
# The reference is a plain loop in one process, without `torch.distributed`. It can also train (distributed.1)
# for any number of parts: `joint_nll` treats leading dimensions as independent batches, so a batch is cut
# into $R$ parts by reshaping.

# %%
normalise = Normalise(data.train_x, "cpu")


def prepare(images):
    return normalise(images).double()


def split_loss(logits, labels, parts):
    """The mean of the joint losses of equal parts of the batch."""
    logits, labels = (x.unflatten(0, (parts, -1)) for x in (logits, labels))
    return joint_nll(logits, labels).mean()


def batches(epoch):
    """Of an epoch the whole batches, as the places of their examples."""
    order = epoch_order(SEED, epoch, len(data.train_x))
    return order[: len(order) // BATCH_SIZE * BATCH_SIZE].split(BATCH_SIZE)


def train(parts):
    """The trained net, and its training loss by epoch."""
    run = Run(DATASET, "joint", BATCH_SIZE, EPOCHS, SEED)
    net = initial_model(run, data).double()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    curve = []
    for epoch in range(1, EPOCHS + 1):
        total = 0.0
        for batch in batches(epoch):
            logits = net(prepare(data.train_x[batch]))
            loss = split_loss(logits, data.train_y[batch], parts)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        curve.append(total / len(batches(epoch)))
    return net, curve


trained = {R: train(R) for R in PARTS}


# %% tags=["hide-input"]
def largest_differences(normalisation, parts):
    net, curve = trained[parts]
    pairs = zip(net.state_dict().values(), weights_on_two[normalisation].values(), strict=True)
    return (
        max((a - b).abs().max().item() for a, b in pairs),
        max(abs(a - b) for a, b in zip(curve, on_two[normalisation]["train_loss"], strict=True)),
    )


def rounded(value):
    return "below $10^{-10}$" if value < 1e-10 else f"{value:.4f}"


comparisons = {
    "global": ("global", 1, "the whole batch"),
    "local": ("local", 1, "the whole batch"),
    "local, split": ("local", 2, "two halves, (distributed.1)"),
}
differences = {key: largest_differences(*found[:2]) for key, found in comparisons.items()}
assert max(*differences["global"], *differences["local, split"]) < 1e-10 < min(differences["local"])
rows = [
    [f"normalised {normalisation}ly", what, *map(rounded, differences[key])]
    for key, (normalisation, _, what) in comparisons.items()
]
display(
    Markdown(
        words.markdown_table(["two processes", "one process", "weights", "training loss"], rows)
        + "\n\n**With global normalisation two processes train what one does, in float64 to within"
        " $10^{-10}$. With local normalisation they train (distributed.1).** The table holds largest absolute"
        " differences, of the weights after the last epoch and of the training loss over all epochs."
    )
)

# %% [markdown]
# **Why.** With `group` the parts' sums add up to the batch's, in another order; without it each part divides
# by its own.
# From here on we can therefore study any number of processes inside one.
#
# **Limits.** In float32 the order of the additions shows after some hundred steps, as it does between any
# two ways to compute a training.
#
# ## How much of the loss is lost?
#
# Take the net that was trained on the loss of the whole batch, and one more epoch of batches. Cut each
# batch into 1, 2, 4, ... parts, and compare loss and gradient with those of the whole batch, without
# taking a step.
#
# **Before you look:** with how many images per process is half of the penalty gone?

# %%
net = trained[1][0]


def flat_gradient(loss):
    parameters = list(net.parameters())
    found = torch.autograd.grad(loss, parameters, retain_graph=True)
    return torch.cat([gradient.flatten() for gradient in found])


def penalty_and_cosine(batch, parts):
    """Of a batch in parts; the cosine is to the gradient of the whole."""
    logits, labels = net(prepare(data.train_x[batch])), data.train_y[batch]
    loss = split_loss(logits, labels, parts)
    penalty = (loss - conditional_nll(logits, labels)).relu()  # no -1e-16
    whole = flat_gradient(joint_nll(logits, labels))
    cosine = torch.cosine_similarity(flat_gradient(loss), whole, dim=0)
    return penalty.item(), cosine.item()


# %% tags=["hide-input"]
rows = [
    (parts, BATCH_SIZE // parts, *penalty_and_cosine(batch, parts))
    for batch in batches(EPOCHS + 1)
    for parts in PARTS
]
split = pd.DataFrame(rows, columns=["processes", "per process", "penalty", "cosine"])
split = split.groupby(["processes", "per process"]).mean()
assert split["penalty"].iloc[-1] < 1e-12  # one example per process: the conditional loss
split["kept"] = split["penalty"] / split["penalty"].iloc[0]
split["formula"] = list(kept.values())
header = ["penalty", "kept", "formula", "cosine"]
rows = [[*map(str, place), *(f"{one:.4f}" for one in row[header])] for place, row in split.iterrows()]
display(Markdown(words.markdown_table(["$R$", "$n$", *header], rows)))

# %% tags=["hide-input"]
plain, joint = style.LOSS_STYLE["conditional"], style.LOSS_STYLE["joint"]
with plt.rc_context(style.STYLE):
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    left.plot(PARTS, split["kept"], "s", color=joint["color"], label="measured")
    left.plot(PARTS, split["formula"], color=plain["color"], label="(N - R) / (N - 1)")
    left.set(ylabel="share of the penalty that is kept", ylim=(-0.05, 1.05))
    left.legend(loc="lower left")
    right.plot(PARTS, split["cosine"], "s--", color=joint["color"])
    right.set(ylabel="cosine to the global gradient")
    for axis in (left, right):
        axis.set_xscale("log", base=2)
        axis.set_xticks(PARTS, [f"{R}\n{BATCH_SIZE // R}" for R in PARTS])
        axis.minorticks_off()
    figure.supxlabel("processes (below: examples per process)", fontsize=10)
publish.show(
    figure,
    name="local-normalisation",
    data=split[["kept", "formula", "cosine"]].round(4).reset_index(),
    alt="Local normalisation against the number of processes. "
    + "; ".join(
        f"{R} processes of {n}: {words.percent(row['kept'], 0)} of the penalty kept, cosine of the gradients"
        f" {row['cosine']:.3f}"
        for (R, n), row in split.iterrows()
        if R > 1
    )
    + ".",
    caption="Share of the penalty kept: the squares lie on the formula, which knows nothing of the net; with"
    " one example per process nothing is kept. Cosine: the gradient turns away from that of the whole batch.",
    basis=f"mean over {len(batches(1))} batches; {basis}",
)

# %% tags=["hide-input"]
error = (split["kept"] - split["formula"]).abs().max()
at_two = split.xs(2, level="per process")["kept"].item()
assert error < 0.05 and abs(at_two - 0.5) < 0.05
display(
    Markdown(
        "**About as much as (distributed.4) says: with two images per process"
        f" {words.percent(1 - at_two, 0)}, with two processes {words.percent(1 - split['kept'].iloc[1])}.**"
        f" The formula is within {100 * error:.1f} percentage points of what is measured. The gradient of two"
        f" processes has a cosine of {split['cosine'].iloc[1]:.4f} to the global one."
    )
)

# %% [markdown]
# **Why.** Parts drawn at random hold a variance of $\ln Z$ that is smaller than that of the whole by the
# factor $(N-R)/(N-1)$: a sample of $n$ has $n-1$ degrees of freedom.
#
# **Limits.** One net, after five epochs.
#
# ## Does it matter after training?
#
# The nets trained above from one initialisation, each on (distributed.1) with its number of parts.
# **Before you look:** what should the penalty leave behind in the net, and who has most of it?

# %% tags=["hide-input"]
rows = []
for parts, (one, _) in trained.items():
    on_train, on_test = (standard.predict(one, x, prepare) for x in (data.train_x, data.test_x))
    probs = on_test.double().softmax(-1)
    rows.append(
        {
            "processes": parts,
            "images each": BATCH_SIZE // parts,
            "sd of ln Z": metrics.log_px(on_train).std().item(),
            "accuracy": metrics.accuracy(on_test, data.test_y),
            "confidence": probs.amax(-1).mean().item(),
            "ECE": metrics.expected_calibration_error(probs, data.test_y),
            "NLL": metrics.negative_log_likelihood(on_test, data.test_y),
        }
    )
after = pd.DataFrame(rows).set_index("processes")
rows = [
    [str(parts), f"{row['images each']:.0f}", *(f"{one:.3f}" for one in row[1:])]
    for parts, row in after.iterrows()
]
display(Markdown(words.markdown_table(["$R$", "$n$", *after.columns[1:]], rows)))
std, first, last = after["sd of ln Z"], after.iloc[0], after.iloc[-1]
alike = std[after["images each"] >= 4]  # which keep three quarters of the penalty and more
assert alike.max() < 1.1 * std[1] < std[BATCH_SIZE // 2] < 2 * std[1] < std[BATCH_SIZE]
display(
    Markdown(
        "**With four images per process or more, hardly; with one, all of the effect is gone.** The standard"
        f" deviation of $\\ln Z$ over the training images is between {alike.min():.2f} and {alike.max():.2f}"
        f" with four images per process or more, and {std[BATCH_SIZE]:.2f} with one, which is the conditional"
        " loss. Accuracy, confidence, ECE and NLL are on test images."
    )
)
assert first["confidence"] < last["confidence"] < last["accuracy"] and first["ECE"] > last["ECE"]
display(
    Markdown(
        f"**Why is the ECE of the joint loss the higher one here ({first['ECE']:.3f} against"
        f" {last['ECE']:.3f})?** After {EPOCHS} epochs all nets are too modest, and the joint one is more so:"
        f" its confidence is {first['confidence']:.2f} at an accuracy of {first['accuracy']:.2f}, that of the"
        f" conditional loss {last['confidence']:.2f} at {last['accuracy']:.2f}. The penalty holds confidence"
        " down. That helps a net that was trained too long and is too sure, and hurts one that is not there"
        " yet."
    )
)

# %% [markdown]
# **Why.** The penalty asks for an even $\ln Z$, and by (distributed.4) three quarters of it are left with
# four images per process. So the result depends on the number of processes, but little while each holds many
# images. With `group` it does not depend on it at all.
#
# **Limits.** One seed, a short training, a few hundred test images. Which loss is better calibrated is the
# question of [another chapter](calibration.ipynb).
#
# ## What does it cost?
#
# **Before you look:** a contrastive loss over a batch sends embeddings around. How many bytes does this loss
# send for a batch of 128 images and 1,000 classes?
#
# The following watches every call of the loss into `torch.distributed`, here in a group of one process; the
# tests of the repository count the bytes in two.

# %% tags=["hide-input"]
dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
rows = []
for n, classes in ((4, 10), (128, 10), (128, 1000)):
    logits = torch.randn(n, classes, requires_grad=True)
    criterion = JointCrossEntropyLoss(group=dist.group.WORLD)
    with mock.patch("gffn_core.losses.dist", wraps=dist) as calls:
        criterion(logits, torch.arange(n) % classes).backward()
    sent = [call.args[1].nbytes for call in calls.all_gather.mock_calls]
    called = {name for name, *_ in calls.mock_calls}
    assert called == {"get_world_size", "all_gather"}  # nothing else
    rows.append([n, classes, len(sent), sum(sent), logits.nbytes])
    assert sum(sent) == 16  # as the page says at its beginning
dist.destroy_process_group()
header = ["images each", "classes", "messages a step", "bytes sent", "bytes of the logits"]
display(Markdown(words.markdown_table(header, [[f"{one:,}" for one in row] for row in rows])))

# %% tags=["hide-input"]
parameters = sum(p.numel() for p in trained[1][0].parameters())
display(
    Markdown(
        f"**Each process contributes {sum(sent)} bytes a step, whatever the batch and the"
        f" classes, and receives {sum(sent)} from every other.** "
        f"`DistributedDataParallel` itself exchanges the gradients, {4 * parameters:,} bytes in float32 "
        f"for the {parameters:,} parameters of this small net.\n\n"
        "**Why.** The whole batch has one normaliser. So a process needs two float64 numbers from each "
        "other process: the logarithm of its sum of $Z$, and its number of examples. With the global sum it "
        "knows the weights $p'$ of its own examples, hence its part of the gradient (theory.10); averaging "
        "the gradients puts the parts together. A contrastive loss such as that of CLIP "
        "{cite:p}`radford2021` needs the other processes' embeddings."
    )
)

# %% [markdown]
# ## Is there a loss that needs none of it?
#
# Global normalisation is needed because the examples share a number that comes from the batch. The
# self-normalised loss of [the chapter on one intercept](intercept.ipynb) sets every $\ln Z$ against one
# number $b$ that each process knows beforehand. It is a mean over examples, so the mean of equal parts'
# gradients *is* the gradient of the whole, on any number of processes, without `group` and without a word
# about $Z$. **Before you look:** on how many processes will it differ from the whole batch's? On one batch,
# with the net from above:

# %%
batch = batches(EPOCHS + 1)[0]
logits, labels = net(prepare(data.train_x[batch])), data.train_y[batch]


def parts_against_whole(loss_of, parts):
    """Largest difference of the mean over the parts to the whole batch."""
    split = zip(logits.chunk(parts), labels.chunk(parts))
    gradients = [flat_gradient(loss_of(f, y)) for f, y in split]
    mean = torch.stack(gradients).mean(0)
    return (mean - flat_gradient(loss_of(logits, labels))).abs().max().item()


LOSSES = {"joint, local": joint_nll, "self-normalised": self_normalised_nll}
rows = []
for R in PARTS[1:]:
    found = [parts_against_whole(one, R) for one in LOSSES.values()]
    assert found[0] > 1e-6 and found[1] < 1e-12
    rows.append([str(R), *map(rounded, found)])
Markdown(words.markdown_table(["processes", *LOSSES], rows))

# %% [markdown]
# **On none: the self-normalised loss is the same on any number of processes, in equal parts.** The table
# holds the largest difference of a gradient's entry.
#
# **Limits.** Whether it trains as good a net is the question of [another chapter](any_batch.ipynb).
#
# ## Takeaways
#
# - Give the loss its `group` whenever a batch is spread over processes. Beside the gradients each process
#   contributes 16 bytes a step and receives 16 from every other, and there is one more point in each step at
#   which the processes wait for each other.
# - Without it you train the joint loss of a smaller batch, $N/R$. With hundreds of examples in each process
#   the difference is slight, (distributed.4); with two about half of the penalty is left, and with one none:
#   that is the difference between the two losses of this book.
# - Report the batch over which $Z$ is summed, together with the batch of a step. Only with global
#   normalisation are they the same.
#
# **Limits.** (distributed.4) is an average over random parts and holds for small differences of $\ln Z$. If
# the parts are not random, for instance because every process holds its own classes or sources, $\ln Z$ can
# differ more between the parts than within, and local normalisation loses more. The net has no batch norm and
# no dropout: a batch norm sees each process's part by itself unless it is `SyncBatchNorm`, and dropout draws
# masks of its own in each; `group` mends neither. Everything here ran on one machine, a small net and a small
# data set.
#
# ## Exercises
#
# **1.** Show (distributed.3) from (theory.12) and (distributed.2).
#
# ```{admonition} Solution
# :class: dropdown
# (theory.12) holds for the batch and for every part:
# $L_{\text{joint}} = L_{\text{cond}} + \operatorname{KL}(\text{uniform}\,\|\,p')$, and, averaged over
# the parts,
# $L_{\text{local}} = L_{\text{cond}} + \frac1R\sum_r\operatorname{KL}(\text{uniform}\,\|\,p'_r)$, since
# equal parts' means of the conditional loss average to that of the batch. Subtract the two and insert
# (distributed.2).
# ```
#
# **2.** Gradient accumulation over $R$ small batches looks like $R$ processes one after the other. Why
# does `group` not help there, and what does?
#
# ```{admonition} Solution
# :class: dropdown
# The weights $p'$ of the first small batch need the sum of $Z$ over the later ones, which have not been
# computed yet. But that sum is a factor common to all weights, which may come last. So accumulate two
# gradients instead of one: that of the log-partitions with weights $e^{\ln Z - m}$, where $m$ is the
# largest $\ln Z$ so far, and that of the scores; with the first its sum of weights, both multiplied by
# $e^{m - m'}$ whenever $m$ rises to $m'$. In the end divide the first by its sum, the second by $N$, and
# subtract: (theory.10) to rounding, from one forward pass over each small batch with two gradients through
# it, and one more gradient in memory. `joint_backward` does so, and
# [another chapter](intercept.ipynb) measures it.
# ```
#
# **3.** Two processes hold 24 and 8 examples. Is the average of their gradients that of the whole
# batch, for the conditional loss? For the joint loss with `group`?
#
# ```{admonition} Solution
# :class: dropdown
# Not for the conditional loss: the mean over 24 and the mean over 8 get equal weight, so an example of
# the small part counts three times as much. The joint loss with `group` knows all counts and weighs its
# terms by them, so the average is exact for parts of any sizes.
# ```
