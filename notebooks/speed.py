# %% [markdown]
# # How fast it trains
#
# The thesis trained its grid on a cluster, with a time limit. This package trains it on what is at hand: many
# small nets at once, each as if it were alone. This chapter shows what that gains, beside what one would
# write in plain PyTorch, what the joint loss costs, and how far a step is from what the machine could do.
#
# **After this chapter you can**
#
# - say what limits the training of small nets on a CPU, and what helps;
# - measure it on your own machine: `gffn bench` prints all of this, `gffn bench --json FILE` keeps it.

# %% tags=["parameters", "remove-cell"]
RESULTS = "../results"  # the store of results; the measurements are published/bench_*.json

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import Markdown, display

from gffn_core.engine import bench, contenders
from gffn_core.experiments import tables
from gffn_core.pages import publish, style, words
from gffn_core.verdicts.claims.theory import overhead

measured = tables.benches(RESULTS)


def basis(found):
    where = found["provenance"]
    return (
        f"{where['hardware']} ({where['device']}), torch {where['torch']}, code {where['code']}, width"
        f" {found['width']}"
    )


def told(found):
    """Where it was measured, once there is more than one machine."""
    return f" {words.escape(basis(found))}." if len(measured) > 1 else ""


def ahead(found):
    """Ours over the fastest other way, at each batch size."""
    for row in found["contenders"]:
        speeds = {
            name: cell["images_a_second"] for name in bench.CONTENDERS if "failed" not in (cell := row[name])
        }
        yield speeds.pop("gffn") / max(speeds.values())


def over_floor(row):
    return row["seconds"] / max(row["seconds_operations"], row["seconds_bytes"])


leads = [lead for found in measured for lead in ahead(found)]
losses = [row["joint_over_conditional"] for found in measured for row in found["overhead"]]
floors = [over_floor(row) for found in measured for row in found["floor"]["steps"]]
display(
    Markdown(
        f"**In short.** Ours is {min(leads):.1f} to {max(leads):.1f} times as fast as the fastest of three"
        " ways to write it in plain PyTorch in float32; ours is in bfloat16 where that is faster. In"
        f" {len(losses)} timings the joint loss changed the time of a step by"
        f" {100 * (min(losses) - 1):+.1f} % to {100 * (max(losses) - 1):+.1f} %. A step still takes"
        f" {min(floors):.1f} to {max(floors):.1f} times as long as the machine's peaks would"
        " allow.\n\n**Measured on:** " + words.escape("; ".join(map(basis, measured))) + "."
    )
)


# %% [markdown]
# ## Is it faster than plain PyTorch?
#
# Four ways to train the narrow net with the joint loss on images of 3x32x32, in turns on the same machine:
#
# - *plain loop*: `DataLoader`, one model, step by step; the images are floats in memory already, which
#   flatters it;
# - *torch.compile*: the same with a compiled model;
# - *torch.func.vmap*: a stack of models by `vmap` over `functional_call`;
# - *gffn*: this package. On a CPU a process per core with one thread each, images as bytes, channels last,
#   memory that is kept instead of handed back to the system after every tensor, denormal numbers taken for
#   zero, and bfloat16 where a short measurement shows it to be faster. On a GPU a stack of models whose step
#   is one captured graph.
#
# Each warms up first, as later steps can be slower: Adam's moments of dead units decay into *denormal*
# numbers, below 1e-38, with which processors compute very slowly. Ours counts them as zero
# (`torch.set_flush_denormal(True)`) and arrives at the same weights, to the bit; a test says so.
#
# Speed counts images times models. Values are the best of three rounds; memory is the peak of all processes.
#
# **Before you look:** the cores and the library are the same. By how much can a loop be beaten?


# %% tags=["hide-input"]
def speed(cell, ours):
    if "failed" in cell:
        return "failed"
    ratio = "" if cell is ours else f" ({ours['images_a_second'] / cell['images_a_second']:.1f}x)"
    return f"{cell['images_a_second']:,.0f}{ratio}<br>{cell['peak_memory'] / 2**30:.1f} GiB"


for found in measured:
    rows = [
        [
            f"{row['batch_size']:,}",
            *(speed(row[name], row["gffn"]) for name in bench.CONTENDERS),
            words.escape(row["gffn"]["how"]),
        ]
        for row in found["contenders"]
    ]
    display(
        Markdown(
            "Model-images per second, in brackets how many times as fast ours is, each after"
            f" {contenders.WARM_UP_STEPS:,} steps or {contenders.WARM_UP_SECONDS} seconds of them."
            f"{told(found)}\n\n"
            + words.markdown_table(
                [
                    "batch size",
                    *(name.replace(".", ".<wbr>") for name in bench.CONTENDERS),
                    "ours computed as",
                ],
                rows,
            )
        )
    )

# %% tags=["hide-input"]
for found in measured:
    with plt.rc_context(style.STYLE):
        figure, axis = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
        for (name, _), marker, line, color in zip(
            bench.CONTENDERS.items(),
            "ov^s",
            ("-", ":", "-.", "--"),
            ("#3B8BC2", "#8F7700", "#1B9E77", "#D55E00"),
        ):
            points = [
                (row["batch_size"], row[name]["images_a_second"])
                for row in found["contenders"]
                if "failed" not in row[name]
            ]
            axis.plot(*zip(*points), marker=marker, linestyle=line, color=color, label=name)
        axis.set(xscale="log", yscale="log", xlabel="batch size", ylabel="model-images per second")
        axis.set_xticks(bench.BATCH_SIZES, [f"{size:,}" for size in bench.BATCH_SIZES])
        low, high = axis.get_ylim()
        ticks = [one * 10**tens for tens in range(3, 9) for one in (1, 2, 3, 5)]
        ticks = [one for one in ticks if low <= one <= high]
        axis.set_yticks(ticks, [f"{one:,}" for one in ticks])
        axis.minorticks_off()
        axis.legend()
    publish.show(
        figure,
        name=f"speed-{found['provenance']['device']}",
        data=pd.DataFrame(
            {
                "batch_size": row["batch_size"],
                "contender": name,
                "images_a_second": row[name].get("images_a_second"),
            }
            for row in found["contenders"]
            for name in bench.CONTENDERS
        ),
        alt="Training speed against batch size, four ways. "
        + "; ".join(
            f"batch size {row['batch_size']}: "
            + ", ".join(
                f"{name} {row[name]['images_a_second']:,.0f}"
                for name in bench.CONTENDERS
                if "failed" not in row[name]
            )
            for row in found["contenders"]
        )
        + " model-images per second.",
        caption="Higher is better. Ours (dashed) lies above the other three at every batch size.",
        basis=basis(found),
    )
    lead = [*ahead(found)]
    assert min(lead) > 1
    display(
        Markdown(
            f"**Yes: {min(lead):.1f} to {max(lead):.1f} times as fast as the fastest of the other three on"
            " this machine.**"
        )
    )

# %% tags=["hide-input"]
for found in measured:
    alone = {row["batch_size"]: row["images_a_second"] for row in found["growth"] if row["stack"] == 1}
    loops = {row["batch_size"]: row["plain loop"] for row in found["contenders"]}
    both = [size for size in alone if size in loops and "failed" not in loops[size]]
    display(
        Markdown(
            "**Why?** One process of ours, with one net in float32, can already be set against the plain loop"
            " with all cores: its images a second are "
            + " and ".join(
                f"{alone[size] / loops[size]['images_a_second']:.1f} times the loop's at batch size {size}"
                for size in both
            )
            + ". The rest of the lead is a process per core, and bfloat16 where the table says so. What each"
            " part of ours adds was not taken apart."
        )
    )

# %% [markdown]
# **Limits.** The narrow net on small images; a net that fills the device by itself gains nothing from
# company. *Grouped*: the nets of a stack are groups of channels of one convolution.
#
# ## What does the joint loss cost?
#
# The thesis (end of its section 4) expects no relevant overhead. Steps of both losses on one model take
# turns, in alternating order; the number is the median ratio of neighbours. **Before you look:** the joint
# loss needs one more log-sum-exp over the batch. At which batch size will that be felt most?

# %% tags=["hide-input"]
for found in measured:
    rows = [[f"{row['batch_size']:,}", f"{row['joint_over_conditional']:.3f}"] for row in found["overhead"]]
    display(
        Markdown(
            words.markdown_table(["batch size", "time of a step, joint / conditional"], rows)
            + f"\n\n{told(found)}"
        )
    )
    ratios = [row["joint_over_conditional"] for row in found["overhead"]]
    mean = overhead(ratios)
    low, high = mean.interval()
    assert max(ratios) < 1.05 and low < mean.high < high
    display(
        Markdown(
            f"**At most {words.percent(max(ratios) - 1)} of a step here.** The mean is"
            f" {words.percent(mean.estimate.effect)}, between {words.percent(low)} and"
            f" {words.percent(high)} by its 95 % interval, in which the batch sizes count as repeats. So"
            f" whether it is below {words.percent(mean.high, 0)} stays open ([claim 2](claims.ipynb), where"
            " the interval is corrected for many claims)."
        )
    )

# %% [markdown]
# **Why.** Both losses need $\ln Z$ of every example. What the joint one adds is a sum over as many numbers as
# the batch has images, beside a forward and a backward pass.
#
# **Limits.** One thread of one CPU; the narrow net.
#
# ## Do larger stacks train faster?
#
# A stack trains several nets in one step. **Before you look:** what will it gain in one process on a CPU,
# at a small and at a large batch?

# %% tags=["hide-input"]
for found in measured:
    sizes = sorted({row["batch_size"] for row in found["growth"]})
    table = {(row["batch_size"], row["stack"]): row["images_a_second"] for row in found["growth"]}
    rows = [
        [str(count), *(f"{table[size, count]:,.0f}" if (size, count) in table else "" for size in sizes)]
        for count in bench.STACKS
    ]
    display(
        Markdown(
            words.markdown_table(["models in the stack", *(f"batch size {size}" for size in sizes)], rows)
            + f"\n\nModel-images per second in one process, float32.{told(found)}"
        )
    )
    gains = {size: max(table[key] for key in table if key[0] == size) / table[size, 1] for size in sizes}
    if found["provenance"]["device"] == "cpu":
        assert max(gains.values()) < 1.15
        display(
            Markdown(
                "**On a CPU hardly: the best stack makes"
                f" {words.percent(max(gains.values()) - 1, 0)} more images a second than one net.**"
            )
        )

# %% [markdown]
# **Why.** A small net already keeps a core busy. So on a CPU each process trains one run at a time, and each
# core has a process. On a GPU stacking is what fills the device.
#
# **Limits.** One CPU, float32; no GPU was measured here.
#
# ## How far is a step from the floor?
#
# A yardstick, the *floor*: a step's operations at the speed of the device's best matrix product, or its
# memory traffic at the speed of a plain copy, whichever takes longer. Counted are the operations of
# convolutions and products, forward and backward, and the bytes of every layer's output, written and read
# twice, plus 28 bytes a parameter for Adam. **Before you look:** is a step nearer to twice its floor or to
# ten times?

# %% tags=["hide-input"]
for found in measured:
    floor = found["floor"]
    rows = [
        [
            f"{row['batch_size']:,}",
            f"{row['operations'] / 1e6:,.0f}",
            f"{row['bytes'] / 1e6:,.0f}",
            f"{1e3 * max(row['seconds_operations'], row['seconds_bytes']):.2f}",
            f"{1e3 * row['seconds']:.2f}",
            f"{over_floor(row):.1f}x",
            row["precision"],
        ]
        for row in floor["steps"]
    ]
    peaks = ", ".join(
        f"{words.escape(name)} {peak / 1e9:,.0f} GFLOP/s" for name, peak in floor["peak"].items()
    )
    display(
        Markdown(
            words.markdown_table(
                ["batch size", "MFLOP", "MB", "floor, ms", "takes, ms", "times the floor", "in"], rows
            )
            + f"\n\nOne model, one thread on a CPU; peaks: {peaks}, copy {floor['bandwidth'] / 1e9:.0f} GB/s."
            + told(found)
        )
    )
    bound = [
        "bytes" if row["seconds_bytes"] > row["seconds_operations"] else "operations"
        for row in floor["steps"]
    ]
    assert bound == ["bytes", "operations", "operations"]  # as it says below
    above = [over_floor(row) for row in floor["steps"]]
    assert 1 < min(above) <= max(above) < 7
    display(Markdown(f"**A step takes {min(above):.1f} to {max(above):.1f} times as long as the floor.**"))


# %% [markdown]
# **Why?** At batch size 4 bytes and operations ask for about the same, at 64 and 2,048 the operations for
# more. What the rest is due to was not taken apart. Two suspects: the products of a small net have sides of
# 4 to 64, on which no library reaches the speed of a large one; and at batch size 4 some hundred operations
# each take microseconds to begin.
#
# **Limits.** The floor counts no time to begin an operation. It is no strict bound: what stays in the cache
# moves faster than a copy, fused layers move less, and some algorithms need fewer operations.
#
# ## Does bfloat16 change the results?
#
# Only forward and backward pass are in bfloat16; weights, Adam, the loss and every evaluation are float32.
# **Before you look:** will a number with two to three digits cost accuracy, calibration, or neither? Ten
# pairs of nets on the digits, equal but for the precision:

# %% tags=["hide-input"]
for found in measured:
    rows = [
        [
            words.escape(row["metric"]),
            f"{row['float32']:.4f}",
            words.with_half(row["difference"], row["half"], 4),
            f"{row['seed_spread']:.4f}",
        ]
        for row in found["precision"]
    ]
    display(
        Markdown(
            words.markdown_table(
                ["", "float32", "bfloat16 − float32, 95 % interval", "spread over seeds"], rows
            )
            + f"\n\n{told(found)}"
        )
    )
    accuracy, nll, ece = found["precision"]
    assert all(abs(one["difference"]) < one["half"] for one in (accuracy, ece))
    assert 0 < nll["half"] < nll["difference"] < nll["seed_spread"] / 5
    display(
        Markdown(
            f"**In accuracy and ECE ten pairs show no difference. The NLL rises by {nll['difference']:.3f},"
            f" {words.percent(nll['difference'] / nll['seed_spread'], 0)} of the spread over seeds.** Of"
            " three intervals that one barely misses zero, so it may be chance."
        )
    )

# %% [markdown]
# **Why.** Weights, Adam's moments and the loss stay in float32, so what is rounded in a step hardly adds up.
#
# **Limits.** The digits and one batch size; a difference smaller than the intervals would not be seen. For
# the published runs in bfloat16, both nets of a pair, see [how much they differ](reproducibility.ipynb).
#
# ## Are the results the same, however they are computed?
#
# **To the bit for a single run, to rounding in a stack.**
#
# - A stack of one run is the plain loop of `training.loop.train` to the bit, in both precisions.
# - In float64 every run of a mixed stack agrees with the plain loop to a relative 1e-10 after 50 steps.
# - Killed at random moments and started again, a sweep ends with the same records as an undisturbed one.
#
# These three are tests (`tests/test_stack.py`, `tests/test_experiments.py`), which run on a CPU; those of the
# captured CUDA graph run where there is a GPU.
#
# ## Exercises
#
# **1.** At a batch of 4 a step takes 1 ms, of which .7 ms are Python and the calls of small operations; at
# 2,048 it takes 200 ms. You make the arithmetic twice as fast. What do you gain at either size?
#
# ```{admonition} Solution
# :class: dropdown
# At 4 the .3 ms of arithmetic become .15: 15 %. At 2,048 nearly half. At small batches it pays to train
# several nets in one operation, at large ones to calculate in half precision.
# ```
#
# **2.** A loss adds one log-sum-exp over 2,048 numbers to a step of 200 ms. Why can five timed steps in a
# notebook not tell what it costs?
#
# ```{admonition} Solution
# :class: dropdown
# It takes some microseconds, less than a thousandth of the step. Times of steps vary by percents, with
# what else the machine does. Only many steps of both losses in alternating turns average that out.
# ```
