"""How fast training is here: ours beside what a user would write, measured in turns on one machine."""

import contextlib
import math
import statistics
import time
from collections.abc import Callable

import torch
from torch.utils.benchmark import timer
from torch.utils.flop_counter import FlopCounterMode

from gffn_core.data.datasets import load_dataset
from gffn_core.engine.contenders import CONTENDERS, Contender, made_up
from gffn_core.engine.process import settle, settled
from gffn_core.engine.stack import Execution, train_stack
from gffn_core.engine.tuning import best_time, bytes_per_run, fastest_execution, first_step_again, sizes
from gffn_core.training.provenance import provenance
from gffn_core.training.run import Normalise, Run, initial_model
from gffn_core.training.step import PRECISIONS, stepper

BATCH_SIZES = (4, 32, 256, 2048)
WAYS_BATCH_SIZE = 64
SECONDS_BESIDE = 270  # of warming up, compiling and fixed parts: the narrow net on two cores
STACKS = (1, 2, 4, 8, 16, 32)
ROUNDS = 3  # in each of which all contenders are measured


def bench(
    device: str, width: int, *, seconds: float, ways: dict[str, dict], report: Callable[[str], object]
) -> dict:
    """Measure everything, as plain data: contenders, overhead, ways, growth, floor, precision, provenance.

    Images are random, 3x32x32; speeds are model-images per second, the best of ``ROUNDS``; memory in
    bytes. ways: fields of a ``Run`` by name, ``standard`` among them, over whose steps theirs are given.
    report: told at the start how long this takes, then what is being measured, a line each.

    Raises ValueError for ``seconds`` that are no time.
    """
    if not 0 < seconds < math.inf:
        raise ValueError(f"seconds={seconds} must be positive and finite")
    measurements = len(BATCH_SIZES) * (ROUNDS * len(CONTENDERS) + 2) + 2 * len(ways) + 2 * len(STACKS)
    total = SECONDS_BESIDE + measurements * seconds
    report(f"all of it takes about {total / 60:.0f} minutes on two idle CPU cores")
    started = time.perf_counter()

    def say(what):
        report(f"{time.perf_counter() - started:4.0f} s: {what}")

    def told(what, batch_sizes):
        for batch_size in batch_sizes:
            say(f"{what}, batch size {batch_size}")
            yield batch_size

    measured = {"width": width}
    measured["contenders"] = [
        _contend(device, width, batch_size, seconds, say)
        for batch_size in told("training beside plain PyTorch", BATCH_SIZES)
    ]
    losses = ({"loss": "joint"}, {"loss": "conditional"})
    measured["overhead"] = [
        {
            "batch_size": size,
            "joint_over_conditional": step_ratio(*_runs(losses, size, width), device, seconds),
        }
        for size in told("joint beside conditional loss", BATCH_SIZES)
    ]
    say(f"other ways to train beside the standard one, batch size {WAYS_BATCH_SIZE}")
    runs = dict(zip(ways, _runs(ways.values(), WAYS_BATCH_SIZE, width)))
    standard = runs.pop("standard")
    measured["ways"] = {
        "batch_size": WAYS_BATCH_SIZE,
        "over_standard": {name: step_ratio(run, standard, device, seconds) for name, run in runs.items()},
    }
    measured["growth"] = [
        row
        for batch_size in told("larger and larger stacks", (4, 256))
        for row in _growth(device, width, batch_size, seconds)
    ]
    say("the least time of a step")
    measured["floor"] = _floor(device, width)
    say("bfloat16 beside float32 on the digits")
    measured["precision"] = _precision(device, width)
    return measured | {"provenance": provenance(torch.device(device), time.perf_counter() - started)}


def _runs(ways, batch_size, width):
    return [Run("random", batch_size=batch_size, epochs=1, width=width, **fields) for fields in ways]


def step_ratio(run: Run, than: Run, device: str, seconds: float) -> float:
    """Time of a training step of one run over that of another with the same batch size.

    The median ratio of neighbouring steps, which take turns, on one thread of a CPU.
    """
    dataset = made_up(run.batch_size, batches=1)
    images, labels = (part[: run.batch_size].to(device) for part in (dataset.train_x, dataset.train_y))
    prepare = Normalise(dataset.train_x, device)
    steps = []
    for one in (than, run):
        model = initial_model(one, dataset).to(device, memory_format=torch.channels_last)
        steps.append(stepper(model, one, prepare))
    ratios, until = [], time.perf_counter() + 2 * seconds
    with settled(device):
        while len(ratios) < 11 or time.perf_counter() < until:
            # In alternating order: what comes first finds other things in the caches.
            times = [0.0, 0.0]
            for which in ((0, 1), (1, 0))[len(ratios) % 2]:
                started = timer()
                steps[which](images, labels)
                times[which] = timer() - started
            ratios.append(times[1] / times[0])
    return statistics.median(ratios[1:])


def _contend(device, width, batch_size, seconds, report):
    """A row: the contenders, which take turns, so that a busy moment of the machine meets them all."""
    row, ready = {"batch_size": batch_size}, {}
    with contextlib.ExitStack() as until_the_end:
        for name in CONTENDERS:
            report(f"  {name}: starting and warming up")
            contender = Contender(name, device, width, batch_size, seconds)
            until_the_end.callback(contender.close)
            try:
                how = contender.how()
            except Exception as error:  # no compiler, say: that is a result, not a failure
                row[name] = {"failed": str(error).strip().splitlines()[-1][:200]}
                continue
            ready[name] = contender
            models, processes = contender.models, contender.processes
            row[name] = {"models": models, "processes": processes, "how": how, "images_a_second": 0.0}
        for number in range(ROUNDS):
            report(f"  all in turns, round {number + 1} of {ROUNDS}")
            for name, contender in ready.items():
                speed, memory = contender.measure(seconds)
                row[name]["images_a_second"] = max(row[name]["images_a_second"], speed)
                row[name]["peak_memory"] = memory
    return row


def _growth(device, width, batch_size, seconds):
    """Rows: the speed of larger and larger stacks, as far as the memory of a CPU goes."""
    if device == "cpu":
        settle()
    for count in STACKS:
        runs = [Run("random", "joint", batch_size, epochs=1, seed=i, width=width) for i in range(count)]
        dataset = made_up(batch_size)
        if device == "cpu" and count * bytes_per_run(runs[0], dataset) > 4e9:
            return
        execution = fastest_execution(runs, dataset, device, "float32")
        step = first_step_again(runs, dataset, device, execution)
        speed = count * batch_size / best_time(step, seconds)
        yield {"batch_size": batch_size, "stack": count, "images_a_second": speed}


def _floor(device, width):
    """Least time of a training step: its operations and bytes at this device's measured peaks.

    Operations: of the convolutions and products, forward and backward. Bytes: each layer's output
    written and read twice, in the step's precision, 28 bytes a parameter for Adam. Peaks: a product of
    2048x2048 matrices and a copy of 256 MB, on one thread of a CPU.
    """
    if device == "cpu":
        settle()
    peak, bandwidth = _peaks(device)
    steps = []
    for batch_size in (4, 64, 2048):
        run, dataset = Run("random", "joint", batch_size, epochs=1, width=width), made_up(batch_size)
        execution = fastest_execution([run], dataset, device, *PRECISIONS)
        operations, moved = _work(run, dataset, device, execution.precision)
        step = first_step_again([run], dataset, device, execution)
        steps.append(
            {
                "batch_size": batch_size,
                "operations": operations,
                "bytes": moved,
                "precision": execution.precision,
                "seconds_operations": operations / peak[execution.precision],
                "seconds_bytes": moved / bandwidth,
                "seconds": best_time(step, 1),
            }
        )
    return {"peak": peak, "bandwidth": bandwidth, "steps": steps}


def _peaks(device):
    """Operations a second by precision, and bytes a second."""
    a = torch.rand(2048, 2048, device=device)
    peak = {}
    for precision in PRECISIONS:
        b = a.to(getattr(torch, precision))
        peak[precision] = 2 * 2048**3 / best_time(lambda: b @ b, 1)
    large = torch.rand(64 * 2**20, device=device)
    other = torch.empty_like(large)
    return peak, 2 * 4 * large.numel() / best_time(lambda: other.copy_(large), 1)


def _work(run, dataset, device, precision):
    """Operations and bytes of a training step."""
    model = initial_model(run, dataset).to(device, memory_format=torch.channels_last)
    images = Normalise(dataset.train_x, device)(dataset.train_x[: run.batch_size])
    with FlopCounterMode(display=False) as counter:
        model(images).sum().backward()
    outputs, parameters = sizes(model, images)
    bytes_an_output = getattr(torch, precision).itemsize
    return counter.get_total_flops(), 4 * bytes_an_output * outputs + 28 * parameters


def _precision(device, width):
    """Nets trained in bfloat16 against the same in float32: test metrics on the digits, ten pairs."""
    digits = load_dataset("digits")
    runs = [
        Run("digits", loss, 64, epochs=20, seed=seed, width=width)
        for loss in ("conditional", "joint")
        for seed in range(5)
    ]
    of_precision = []
    for precision in PRECISIONS:
        results = train_stack(runs, digits, device, execution=Execution(precision))
        long = {result.run: result.evaluations["long"] for result in results}
        rows = [(long[run]["test_accuracy"], long[run]["nll"], long[run]["ece"]["uniform10"]) for run in runs]
        of_precision.append(torch.tensor(rows).double())
    full, half = of_precision
    difference = half - full
    # Spread over seeds within each loss, and of the paired differences; ten pairs, Student's t.
    spread = full.view(2, 5, -1).var(1).mean(0).sqrt()
    bound = 2.262 * difference.std(0) / len(runs) ** 0.5
    return [
        {
            "metric": metric,
            "float32": full[:, i].mean().item(),
            "difference": difference[:, i].mean().item(),
            "half": bound[i].item(),
            "seed_spread": spread[i].item(),
        }
        for i, metric in enumerate(("test accuracy", "NLL", "ECE"))
    ]
