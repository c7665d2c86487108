# %% [markdown]
# # The sweep on many machines
#
# The runs of a grid do not depend on each other, so more machines finish it sooner, up to the longest run.
# `gffn sweep PROFILE --engine ray` hands the same stacks that the local sweep trains to
# [Ray](https://docs.ray.io), on a laptop, in a SLURM allocation or on a cloud cluster. On CPUs of one kind,
# with the same versions and thread count, the results are the same to the bit; on a mixture of machines they
# are not (see [what these results rest on](reproducibility.ipynb)).
#
# **In short.** One command runs a grid wherever Ray runs. A machine that goes away costs at most the last
# minute of training of each run that was under way. Ray takes some seconds to start. The thesis's grid with
# the narrow net and our part of SVHN keeps about 140 workers busy: with more, all wait for its longest run.
#
# **After this chapter you can**
#
# - run the grid on a laptop, several GPUs, a SLURM allocation or Colab, by one command each;
# - say what is lost when a machine goes away, and what to do then (nothing, or the same command again);
# - say how many workers a grid can use.
#
# ## What do I type?
#
# **One command, wherever it runs.** Ray is an extra, `gffn-core[cluster]`; beside an installed checkout
# `pip install ray` is enough. Every machine needs the same versions of Python, Ray and this package. Data
# sets and results need to be on the driver's machine alone, which is where the command runs.
#
# | where | command |
# |---|---|
# | a laptop | `gffn sweep digits --engine ray` |
# | one machine with several GPUs | `gffn sweep thesis --engine ray` |
# | Colab | `!pip install -q ray`, then `!gffn sweep colab --engine ray` in a notebook of this book |
# | a cluster that runs Ray | `gffn sweep thesis --engine ray --address HOST:6379`, on one of its machines |
# | a cloud cluster (`ray up c.yaml`) | `ray exec c.yaml 'gffn sweep thesis --engine ray --address auto'` |
# | SLURM | `sbatch examples/sweep.sh`, the script below |
#
# Without `--address` Ray uses `$RAY_ADDRESS`, else a cluster that runs on this machine, else starts one of
# its own with all cores and GPUs. By hand a cluster is `ray start --head` on one machine, which prints its
# address, and `ray start --address HOST:6379` on the others.

# %% tags=["hide-input"]
from pathlib import Path

from IPython.display import Markdown, display

display(Markdown(f"`examples/sweep.sh`:\n\n```bash\n{Path('../examples/sweep.sh').read_text()}```"))

# %% [markdown]
# `ray symmetric-run` (Ray 2.49 or newer) starts Ray on every machine, the command on the first alone, and
# stops Ray when it ends.
#
# ## What happens then?
#
# **Ray places the stacks; one process, yours, writes.**
#
# - Every stack is a task. It asks for a core, and on GPUs for as large a share of one as its memory is
#   estimated to need; Ray finds the place. A stack is as large as a GPU holds, yet small enough that there is
#   work for every GPU.
# - The stacks that take longest are submitted first.
# - The driver reads the data sets and puts them into Ray's memory, from where each machine fetches them once.
# - Results, checkpoints and progress stream to the driver, which alone writes the store: no shared file
#   system.
#
# ## What is lost when a machine goes away?
#
# **The last minute of training of each run that was under way, an evaluation that had begun, and no finished
# run.**
#
# - **A worker or its machine goes away:** its runs go on elsewhere, from checkpoints that are at most a
#   minute old; a warning says so.
# - **All machines but the driver's:** the sweep waits until one joins, and uses it.
# - **The driver or the head** (also at a time limit or by Ctrl-C): give the same command again. Finished runs
#   are in the store, the others have checkpoints there.
# - **A stack, six times in a row without a sign of life:** an error. The stack itself is at fault, often for
#   want of memory.
#
# The tests kill a machine and a driver in mid-sweep and compare what the store holds in the end with that of
# the local engine: equal, weights and logits to the bit (`tests/test_cluster.py`).

# %% tags=["parameters", "remove-cell"]
RESULTS = "../results"  # the store of results; the measurement is published/scaling_cpu.json
MEASURE = False  # True: measure the scaling here and now (minutes) and write that file

# %% tags=["hide-input"]
import json
import tempfile
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import psutil
import torch

from gffn_core.engine.cluster import simulate
from gffn_core.experiments import profiles, sweep
from gffn_core.experiments.store import Store
from gffn_core.pages import publish, style, words
from gffn_core.training.provenance import provenance
from gffn_core.training.run import Run

# %% [markdown]
# ## How many seconds does Ray add on one machine?
#
# The same eight runs on the digits by both engines, each time from nothing: starting Ray and the processes
# is counted. The engines take turns, two rounds; the table shows the faster one. **Before you look:** will
# two workers be twice as fast?

# %% tags=["hide-input"]
path = Path(RESULTS) / "published/scaling_cpu.json"
if MEASURE:
    import ray

    never = 10**6  # every run uses its whole budget
    runs = [
        Run("digits", "joint", batch_size=64, epochs=100, seed=seed, patience=never, fitted_epochs=never)
        for seed in range(8)
    ]
    images = sum(run.epochs * (1294 // run.batch_size) * run.batch_size for run in runs)
    busy, seconds = psutil.cpu_percent(2), {}  # percent of all cores that other work takes
    for _ in range(2):
        for engine in ("local", "ray"):
            for workers in (1, 2):
                with tempfile.TemporaryDirectory() as scratch:
                    started = time.perf_counter()
                    if engine == "ray":
                        ray.init(num_cpus=workers, num_gpus=0, log_to_driver=False, logging_level="ERROR")
                    sweep.sweep(
                        runs,
                        Store(scratch),
                        device="cpu",
                        engine=engine,
                        workers=workers if engine == "local" else 1,
                    )
                    ray.shutdown()
                    seconds.setdefault((engine, workers), []).append(time.perf_counter() - started)
    path.write_text(
        json.dumps(
            {
                "images": images,
                "busy": busy,
                "rows": [
                    {"engine": engine, "workers": workers, "seconds": found}
                    for (engine, workers), found in seconds.items()
                ],
                "provenance": provenance(torch.device("cpu"), sum(map(sum, seconds.values()))),
            },
            indent=1,
        )
    )

scaling = json.loads(path.read_text())
seconds = {(row["engine"], row["workers"]): min(row["seconds"]) for row in scaling["rows"]}
gains = {engine: seconds[engine, 1] / seconds[engine, 2] for engine in ("local", "ray")}
rows = [
    [
        engine,
        *(
            f"{seconds[engine, workers]:.1f} s ({scaling['images'] / seconds[engine, workers]:,.0f})"
            for workers in (1, 2)
        ),
        f"{gain:.2f}x",
    ]
    for engine, gain in gains.items()
]
where = scaling["provenance"]
machine = words.escape(f"{where['hardware']}, torch {where['torch']}, code {where['code']}")
display(
    Markdown(
        words.markdown_table(["engine", "1 worker", "2 workers", "gain"], rows)
        + f"\n\nSeconds until all is done, and in brackets images per second. {machine}; other work took"
        f" {scaling['busy']:.0f} % of the cores when it began"
        + (" (**so gains are not what the machine can do**)." if scaling["busy"] > 5 else ".")
    )
)
later = [seconds["ray", workers] - seconds["local", workers] for workers in (1, 2)]
mean = sum(gains.values()) / 2
assert 0 < min(later) <= max(later) < 20 and 1 < mean < 2
assert max(gains.values()) - min(gains.values()) < 0.1  # about the same
display(
    Markdown(
        f"**With Ray the sweep ends {min(later):.0f} to {max(later):.0f} seconds later. A second worker makes"
        f" both engines about {mean:.2f} times as fast, not twice.**"
    )
)

# %% [markdown]
# **Why.** Ray starts its own services and then the workers, each of which imports PyTorch; a sweep of hours
# does not notice. Two workers of one machine share its caches, its memory, and here a start that is counted.
#
# **Limits.** One machine, two rounds, a sweep of half a minute.
#
# To measure it on your machine: `python book/execute.py notebooks/cluster.py -p MEASURE True`.
#
# ## How many workers can the thesis's grid use?
#
# No run can be split. So no schedule ends before the longest run is done, nor before the time that all the
# work takes if no worker is ever idle: the later of the two is the *bound*. How close to it does a schedule
# come that simply starts the longest runs first?
#
# The grid of the thesis, with the wide net, has not been run. So its times are estimated for the narrow net:
# for each data set the seconds of a step are fitted as $a + bB$ to the fastest published run of each batch
# size, on one core of a CPU in float32, and multiplied by the steps of the full budget. (Most published runs
# shared their machine, and some took several times as long.) With the wide net, or on a GPU, the hours are
# others; shares and ratios carry over as far as all runs change by one factor. **Before you look:** the grid
# has 400 runs. How many workers can it keep busy?

# %% tags=["hide-input"]
records = [
    record
    for record in sweep.results(profiles.profile("cpu").runs(), Store(RESULTS)).values()
    if record["provenance"]["device"] == "cpu" and record["provenance"]["precision"] == "float32"
]
fits, sizes = {}, {}
for name in profiles.THESIS_DATASETS:
    points = []
    for record in records:
        run, epochs = record["run"], len(record["curves"]["val_nll"])
        if run["dataset"] == name and not record["diverged"]:
            sizes[name] = record["data"]["train"]
            points.append(
                (
                    run["batch_size"],
                    record["provenance"]["seconds"] / (epochs * (sizes[name] // run["batch_size"])),
                )
            )
    batch, step = np.array(
        sorted({size: min(t for b, t in points if b == size) for size, _ in points}.items())
    ).T
    # Least squares on relative errors: a step of 4 images counts as much as one of 1024.
    fits[name] = np.linalg.lstsq(np.stack([1 / step, batch / step], 1), np.ones(len(step)), rcond=None)[0]

grid = profiles.profile("thesis").runs()
seconds = [
    float(fits[run.dataset] @ (1, run.batch_size)) * run.epochs * (sizes[run.dataset] // run.batch_size)
    for run in grid
]
longest = sorted(seconds, reverse=True)
found = simulate(longest, 64)
assert found["makespan"] < 1.05 * found["bound"]  # as the text says
assert round(sum(seconds) / longest[0], -1) == 140  # in short
workers = [8, 16, 32, 64, 128, 256]
orders = {
    "longest first": (longest, "o", "-", "#3B8BC2"),
    "in the order of the grid": (seconds, "s", "--", "#D55E00"),
}
with plt.rc_context(style.STYLE):
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    described, drawn = [], []
    for label, (order, marker, line, color) in orders.items():
        schedules = [simulate(order, count) for count in workers]
        look = {"marker": marker, "linestyle": line, "color": color, "label": label}
        left.plot(workers, [one["makespan"] / 3600 for one in schedules], **look)
        right.plot(workers, [100 * one["idle"] for one in schedules], **look)
        drawn += [{"order": label, "workers": count} | one for count, one in zip(workers, schedules)]
        described.append(
            f"{label}: "
            + ", ".join(
                f"{count} workers {one['makespan'] / 3600:.2f} hours, idle {words.percent(one['idle'])}"
                for count, one in zip(workers, schedules)
            )
        )
    left.plot(
        workers,
        [simulate(longest, count)["bound"] / 3600 for count in workers],
        ":",
        color="#8F7700",
        label="bound",
    )
    left.set(xscale="log", xlabel="workers", ylabel="hours until all is done")
    left.set_yscale("log", base=2)
    left.yaxis.set_major_formatter("{x:g}")
    right.set(xscale="log", xlabel="workers", ylabel="idle share in %")
    for axis in (left, right):
        axis.set_xticks(workers, [str(count) for count in workers])
        axis.minorticks_off()
    left.legend()
publish.show(
    figure,
    name="schedules",
    data=pd.DataFrame(drawn),
    alt="Hours until the thesis's grid is done, and idle share, against the number of workers. "
    + "; ".join(described)
    + ".",
    caption="Longest first (circles) keeps to the bound as long as there is work for all; in the order of the"
    " grid workers wait at the end.",
    basis=f"simulated from times of {len(records)} runs of profile cpu in float32 on a CPU",
)
display(
    Markdown(
        f"**About {round(sum(seconds) / longest[0], -1):.0f}: with more, all wait for the longest run.**"
        f" There are {sum(seconds) / 3600:.0f} hours of work with the narrow net, and the longest run takes"
        f" {longest[0] / 3600:.2f}. On 64 workers, longest first, all is done after"
        f" {found['makespan'] / 3600:.2f} hours, hardly later than the bound; in the order of the grid after"
        f" {simulate(seconds, 64)['makespan'] / 3600:.2f}. Estimated from the fastest of"
        f" {len(records)} published runs."
    )
)

# %% [markdown]
# **Why.** A run cannot be split. Started last, a long one keeps all others waiting; started first, short ones
# fill the gaps.
#
# **Limits.** Stacks change the picture for GPUs: runs of one shape that train side by side cost less than
# one after the other, but a stack cannot be split either. That is why the size of a stack is limited to the
# runs per GPU. The estimate does not know that, nor that a run may end before its budget.
#
# ## Exercises
#
# **1.** The longest run takes two hours and all runs together 40. How many workers are worth having?
#
# ```{admonition} Solution
# :class: dropdown
# Twenty, at most: the longest run alone takes two hours, and 40 hours over 20 workers are two. A twenty-first
# waits.
# ```
#
# **2.** Workers fail now and then, and a run that is lost begins again from its last checkpoint, a minute
# ago. Does "longest first" still hold?
#
# ```{admonition} Solution
# :class: dropdown
# Yes. A failure costs about a minute wherever it happens, and a restart. Without checkpoints it would cost
# the whole run, most of all the long ones, and short runs first would at least save their results.
# ```
