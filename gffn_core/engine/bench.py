"""How fast training is here: ours beside what a user would write, measured in turns on one machine.

Every contender lives in processes of its own, so that each has its own peak memory, and they take
turns, so that a busy moment of the machine meets them all. On a CPU ours is a process per core
with one thread each, the others one process with all threads; on a GPU all are one process.
"""

import math
import multiprocessing
import os
import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import torch
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from gffn_core.data.datasets import Dataset, load_dataset
from gffn_core.engine.process import settle, settled
from gffn_core.engine.stack import Execution, train_stack
from gffn_core.engine.tuning import (
    best_time,
    bytes_per_run,
    fastest_execution,
    first_step_again,
    timed,
)
from gffn_core.losses import JointCrossEntropyLoss
from gffn_core.model import ConvNet
from gffn_core.training.provenance import provenance
from gffn_core.training.run import Normalise, Run, initial_model
from gffn_core.training.step import PRECISIONS, stepper

BATCH_SIZES = (4, 32, 256, 2048)
WARM_UP_STEPS, WARM_UP_SECONDS = 1000, 5  # whichever is over first
SECONDS_BESIDE = 270  # of warming up, compiling and fixed parts: the narrow net on two cores
STACKS = (1, 2, 4, 8, 16, 32)
CONTENDERS = {
    "plain loop": "DataLoader, eager, one model",
    "torch.compile": "the plain loop, compiled",
    "torch.func.vmap": "a stack by vmap over functional_call",
    "gffn": "this package",
}


def bench(
    device: str, width: int, *, seconds: float = 1.0, rounds: int = 3, stack: int = 20,
    report: Callable[[str], object] = lambda line: None,
) -> dict:
    """Measure everything, as plain data: contenders, overhead, growth, floor, precision, provenance.

    Images are random, 3x32x32; speeds are model-images per second, the best of ``rounds``; memory in
    bytes. stack: how many models ours and vmap train at once on a GPU (vmap on a CPU: 4).
    report: told at the start how long this takes, then what is being measured, a line each.

    Raises ValueError for ``seconds`` that are no time.
    """
    if not 0 < seconds < math.inf:
        raise ValueError(f"seconds={seconds} must be positive and finite")
    measurements = len(BATCH_SIZES) * (rounds * len(CONTENDERS) + 2) + 2 * len(STACKS)
    total = SECONDS_BESIDE + measurements * seconds
    report(f"all of it takes about {total / 60:.0f} minutes on two idle CPU cores")
    started = time.perf_counter()

    def say(what):
        report(f"{time.perf_counter() - started:4.0f} s: {what}")

    def told(what, batch_sizes):
        for batch_size in batch_sizes:
            say(f"{what}, batch size {batch_size}")
            yield batch_size

    found = {"width": width}
    found["contenders"] = [
        _contend(device, width, batch_size, seconds, rounds, stack, say)
        for batch_size in told("training beside plain PyTorch", BATCH_SIZES)
    ]
    found["overhead"] = [
        {"batch_size": batch_size, "joint_over_conditional": loss_overhead(batch_size, device, width, seconds)}
        for batch_size in told("joint beside conditional loss", BATCH_SIZES)
    ]
    found["growth"] = [
        {"batch_size": batch_size, "stack": count, "images_a_second": speed}
        for batch_size in told("larger and larger stacks", (4, 256))
        for count, speed in _growth(device, width, batch_size, seconds)
    ]
    say("the least time of a step")
    found["floor"] = _floor(device, width)
    say("bfloat16 beside float32 on the digits")
    found["precision"] = _precision(device, width)
    found["provenance"] = provenance(torch.device(device), time.perf_counter() - started)
    return found


def made_up(batch_size: int, batches: int = 8) -> Dataset:
    """Random CIFAR-10-sized images, enough for some batches."""
    draw = torch.Generator().manual_seed(0)
    n = max(batch_size * batches, 1000)
    x = torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8, generator=draw)
    y = torch.randint(0, 10, (n,), generator=draw)
    return Dataset("random", "Random images", "made up", False, "0", x, y, x[:100], y[:100], x[:100], y[:100])


def loss_overhead(batch_size: int, device: str, width: int, seconds: float = 1.0) -> float:
    """Time of a training step with the joint loss over one with the conditional loss.

    The median ratio of neighbouring steps, which take turns, on one thread of a CPU.
    """
    dataset = made_up(batch_size, batches=1)
    images, labels = (part[:batch_size].to(device) for part in (dataset.train_x, dataset.train_y))
    prepare = Normalise(dataset.train_x, torch.device(device))
    steps = []
    for loss in ("conditional", "joint"):
        run = Run("random", loss, batch_size, epochs=1, width=width)
        model = initial_model(run, dataset).to(device, memory_format=torch.channels_last)
        steps.append(stepper(model, run.objective(), run.learning_rate, prepare))
    ratios, until = [], time.perf_counter() + 2 * seconds
    with settled(device):
        while len(ratios) < 11 or time.perf_counter() < until:
            # In alternating order: what comes first finds other things in the caches.
            times = [0.0, 0.0]
            for which in ((0, 1), (1, 0))[len(ratios) % 2]:
                times[which] = timed(lambda: steps[which](images, labels), device)
            ratios.append(times[1] / times[0])
    return statistics.median(ratios[1:])


def _contend(device, width, batch_size, seconds, rounds, stack, report=lambda line: None):
    spawn = multiprocessing.get_context("spawn")
    cores = os.cpu_count() if device == "cpu" else 1
    row = {"batch_size": batch_size}
    pools = {}
    try:
        for name in CONTENDERS:
            report(f"  {name}: starting and warming up")
            processes = cores if name == "gffn" else 1
            pools[name] = [ProcessPoolExecutor(1, spawn) for _ in range(processes)]
            models = {"gffn": 1 if device == "cpu" else stack, "torch.func.vmap": 4 if device == "cpu" else stack}
            arguments = (name, device, width, batch_size, models.get(name, 1), 1 if name == "gffn" else cores)
            ready = [pool.submit(_build, *arguments) for pool in pools[name]]
            try:
                row[name] = {"models": models.get(name, 1), "processes": processes,
                             "how": [future.result() for future in ready][0], "images_a_second": 0.0}
            except Exception as error:  # no compiler, say: that is a result, not a failure
                row[name] = {"failed": str(error).strip().splitlines()[-1][:200]}
        for number in range(rounds):
            report(f"  all in turns, round {number + 1} of {rounds}")
            for name, found in row.items():
                if name == "batch_size" or "failed" in found:
                    continue
                at = time.time() + 0.1
                parts = [pool.submit(_run, at, seconds) for pool in pools[name]]
                speed, memory = map(sum, zip(*[part.result() for part in parts]))
                found["images_a_second"] = max(found["images_a_second"], speed)
                found["peak_memory"] = memory
    finally:
        for group in pools.values():
            for pool in group:
                pool.shutdown()
    return row


def _build(name, device, width, batch_size, models, threads):
    """In a process of its own: make the contender, take its first steps; returns how it computes."""
    global _contender, _images_a_step, _device
    torch.set_num_threads(threads)
    dataset, _device = made_up(batch_size), device
    run = Run("random", "joint", batch_size, epochs=1, width=width)
    runs = [Run("random", ("joint", "conditional")[i % 2], batch_size, epochs=1, seed=i // 2, width=width)
            for i in range(models)]
    _images_a_step, how = models * batch_size, ""
    if name == "gffn":
        if device == "cpu":
            settle()
        execution = fastest_execution(runs, dataset, device, *PRECISIONS)
        _contender = first_step_again(runs, dataset, device, execution)
        how = f"{execution.precision}, {execution.convolution}"
    elif name == "torch.func.vmap":
        _contender = _vmap_step(runs, dataset, device)
    else:
        _contender = _plain_step(run, dataset, device, compiled=name == "torch.compile")
    # A net's first steps are not typical: see ``workers.settle`` on what comes after some hundred.
    until = time.perf_counter() + WARM_UP_SECONDS
    for step in range(WARM_UP_STEPS):
        if step >= 3 and time.perf_counter() > until:
            break
        _contender()
    return how


def _run(at, seconds):
    """Steps from the time ``at`` on; returns images a second and the process's peak memory in bytes."""
    time.sleep(max(0, at - time.time()))
    started, steps = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        _contender()
        steps += 1
    if _device == "cuda":
        torch.cuda.synchronize()
    speed = steps * _images_a_step / (time.perf_counter() - started)
    if _device == "cuda":
        return speed, torch.cuda.max_memory_allocated()
    return speed, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _plain_step(run, dataset, device, compiled):
    """What one writes without thinking about speed, from images that are floats already."""
    model = ConvNet(3, 32, 10, run.width).to(device)
    forward = torch.compile(model) if compiled else model
    images = Normalise(dataset.train_x, torch.device("cpu"))(dataset.train_x).contiguous()
    loader = DataLoader(TensorDataset(images, dataset.train_y), run.batch_size, shuffle=True, drop_last=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = JointCrossEntropyLoss(validate=False)

    def batches():
        while True:
            yield from loader

    stream = batches()

    def step():
        x, y = (part.to(device) for part in next(stream))
        optimizer.zero_grad()
        criterion(forward(x), y).backward()
        optimizer.step()

    return step


def _vmap_step(runs, dataset, device):
    from torch.func import functional_call, grad, stack_module_state, vmap

    models = [initial_model(run, dataset).to(device) for run in runs]
    parameters, _ = stack_module_state(models)
    optimizer = torch.optim.Adam(parameters.values(), lr=1e-3, fused=True)
    skeleton = models[0].to("meta")
    criterion = JointCrossEntropyLoss(validate=False)
    gradients = vmap(grad(lambda p, x, y: criterion(functional_call(skeleton, p, (x,)), y)))
    prepare = Normalise(dataset.train_x, torch.device(device))
    train_x, train_y = dataset.train_x.to(device), dataset.train_y.to(device)
    size = (len(runs), runs[0].batch_size)

    def step():
        index = torch.randint(len(train_x), size, device=device)
        x = prepare(train_x[index].flatten(0, 1)).contiguous().unflatten(0, size)
        for name, gradient in gradients(parameters, x, train_y[index]).items():
            parameters[name].grad = gradient
        optimizer.step()

    return step


def _growth(device, width, batch_size, seconds):
    if device == "cpu":
        settle()
    for count in STACKS:
        runs = [Run("random", "joint", batch_size, epochs=1, seed=i, width=width) for i in range(count)]
        dataset = made_up(batch_size)
        if device == "cpu" and count * bytes_per_run(runs[0], dataset) > 4e9:
            return
        execution = fastest_execution(runs, dataset, device, "float32")
        step = first_step_again(runs, dataset, device, execution)
        yield count, count * batch_size / best_time(step, device, seconds)


def _floor(device, width):
    """Least time of a training step: its operations and bytes at this device's measured peaks.

    Operations: of the convolutions and products, forward and backward. Bytes: each layer's output
    written and read twice, 28 bytes a parameter for Adam. Peaks: a product of 2048x2048 matrices and
    a copy of 256 MB, on one thread of a CPU.
    """
    if device == "cpu":
        settle()
    a = torch.rand(2048, 2048, device=device)
    rows = []
    peak = {}
    for precision in ("float32", "bfloat16"):
        b = a.to(getattr(torch, precision))
        peak[precision] = 2 * 2048**3 / best_time(lambda: b @ b, device, 1)
    large = torch.rand(64 * 2**20, device=device)
    other = torch.empty_like(large)
    bandwidth = 2 * 4 * large.numel() / best_time(lambda: other.copy_(large), device, 1)
    for batch_size in (4, 64, 2048):
        run = Run("random", "joint", batch_size, epochs=1, width=width)
        dataset = made_up(batch_size)
        model = initial_model(run, dataset).to(device, memory_format=torch.channels_last)
        images = dataset.train_x[:batch_size].to(device)
        prepare = Normalise(dataset.train_x, torch.device(device))
        with FlopCounterMode(display=False) as counter:
            model(prepare(images)).sum().backward()
        outputs = [prepare(images)]
        for layer in model.modules():
            if not list(layer.children()):
                outputs.append(layer(outputs[-1]))
        parameters = sum(value.numel() for value in model.parameters())
        moved = 4 * 4 * sum(output.numel() for output in outputs) + 28 * parameters
        execution = fastest_execution([run], dataset, device, *PRECISIONS)
        step = first_step_again([run], dataset, device, execution)
        operations = counter.get_total_flops()
        rows.append({
            "batch_size": batch_size, "operations": operations, "bytes": moved,
            "precision": execution.precision,
            "seconds_operations": operations / peak[execution.precision],
            "seconds_bytes": moved / bandwidth,
            "seconds": best_time(step, device, 1),
        })
    return {"peak": peak, "bandwidth": bandwidth, "steps": rows}


def _precision(device, width):
    """Nets trained in bfloat16 against the same in float32: test metrics on the digits, ten pairs."""
    digits = load_dataset("digits")
    runs = [Run("digits", loss, 64, epochs=20, seed=seed, width=width)
            for loss in ("conditional", "joint") for seed in range(5)]
    found = {}
    for precision in ("float32", "bfloat16"):
        for result in train_stack(runs, digits, device, execution=Execution(precision)):
            long = result.evaluations["long"]
            found[precision, result.run] = long["test_accuracy"], long["nll"], long["ece"]["uniform10"]
    full, half = (torch.tensor([found[name, run] for run in runs]).double() for name in ("float32", "bfloat16"))
    difference = half - full
    # Spread over seeds within each loss, and of the paired differences; ten pairs, Student's t.
    spread = full.view(2, 5, -1).var(1).mean(0).sqrt()
    bound = 2.262 * difference.std(0) / len(runs) ** 0.5
    return [
        {"metric": metric, "float32": full[:, i].mean().item(), "difference": difference[:, i].mean().item(),
         "half": bound[i].item(), "seed_spread": spread[i].item()}
        for i, metric in enumerate(("test accuracy", "NLL", "ECE"))
    ]
