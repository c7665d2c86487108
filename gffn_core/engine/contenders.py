"""The ways to train that ``bench`` compares, each in processes of its own, with a peak memory of its own.

On a CPU ours is a process per core with one thread each, the others one process with all threads; on a
GPU all are one process.
"""

import itertools
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor

import torch
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.utils.data import DataLoader, TensorDataset

from gffn_core.data.datasets import Dataset
from gffn_core.engine.process import peak_memory, settle
from gffn_core.engine.tuning import fastest_execution, first_step_again
from gffn_core.model import ConvNet
from gffn_core.modules import JointCrossEntropyLoss
from gffn_core.training.run import Normalise, Run, initial_model
from gffn_core.training.step import PRECISIONS

CONTENDERS = {
    "plain loop": "DataLoader, eager, one model",
    "torch.compile": "the plain loop, compiled",
    "torch.func.vmap": "a stack by vmap over functional_call",
    "gffn": "this package",
}
STACK = 20
WARM_UP_STEPS, WARM_UP_SECONDS = 1000, 5  # whichever is over first; seconds: per second of a measurement


class Contender:
    """A way to train, by its name in ``CONTENDERS``, in processes of its own, which start to warm up at once.

    On a GPU ours and vmap train ``STACK`` models at once; on a CPU ours trains one, vmap 4.
    """

    def __init__(self, name, device, width, batch_size, seconds):
        cores = os.cpu_count() if device == "cpu" else 1
        at_once = {"torch.func.vmap": 4} if device == "cpu" else {"torch.func.vmap": STACK, "gffn": STACK}
        self.models = at_once.get(name, 1)
        self.processes, threads = (cores, 1) if name == "gffn" else (1, cores)
        spawn = multiprocessing.get_context("spawn")
        self.pools = [ProcessPoolExecutor(1, spawn) for _ in range(self.processes)]
        arguments = name, device, width, batch_size, self.models, threads, WARM_UP_SECONDS * seconds
        self.started = [pool.submit(_start, *arguments) for pool in self.pools]

    def how(self) -> str:
        """How it computes, once it has warmed up; raises what kept it from it, such as a missing compiler."""
        return [future.result() for future in self.started][0]

    def measure(self, seconds: float) -> tuple[float, int]:
        """Model-images a second and peak memory in bytes, summed over processes that step side by side."""
        at = time.time() + 0.1
        parts = [pool.submit(_measure, at, seconds) for pool in self.pools]
        speed, memory = map(sum, zip(*[part.result() for part in parts]))
        return speed, memory

    def close(self):
        for pool in self.pools:
            pool.shutdown()


def made_up(batch_size: int, batches: int = 8) -> Dataset:
    """Random CIFAR-10-sized images, enough for some batches."""
    draw = torch.Generator().manual_seed(0)
    n = max(batch_size * batches, 1000)
    x = torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8, generator=draw)
    y = torch.randint(0, 10, (n,), generator=draw)
    return Dataset("random", "Random images", "made up", False, "0", x, y, x[:100], y[:100], x[:100], y[:100])


def _start(name, device, width, batch_size, models, threads, warm_up):
    """In a process of its own: make the contender, take its first steps; returns how it computes."""
    global _step, _images_a_step, _device
    torch.set_num_threads(threads)
    _device, _images_a_step, how = device, models * batch_size, ""
    dataset = made_up(batch_size)
    runs = [
        Run("random", ("joint", "conditional")[i % 2], batch_size, epochs=1, seed=i // 2, width=width)
        for i in range(models)
    ]
    if name == "gffn":
        if device == "cpu":
            settle()
        execution = fastest_execution(runs, dataset, device, *PRECISIONS)
        _step = first_step_again(runs, dataset, device, execution)
        how = f"{execution.precision}, {execution.convolution}"
    elif name == "torch.func.vmap":
        _step = _vmap_step(runs, dataset, device)
    else:
        _step = _plain_step(runs[0], dataset, device, compiled=name == "torch.compile")
    # A net's first steps are not typical: see ``process.settle`` on what comes after some hundred.
    until = time.perf_counter() + warm_up
    for step in range(WARM_UP_STEPS):
        if step >= 3 and time.perf_counter() > until:
            break
        _step()
    return how


def _measure(at, seconds):
    """Steps from the time ``at`` on; returns images a second and the process's peak memory in bytes."""
    time.sleep(max(0, at - time.time()))
    started, steps = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        _step()
        steps += 1
    if _device == "cuda":
        torch.cuda.synchronize()
        memory = torch.cuda.max_memory_allocated()
    else:
        memory = peak_memory()
    return steps * _images_a_step / (time.perf_counter() - started), memory


def _plain_step(run, dataset, device, compiled):
    """What one writes without thinking about speed, from images that are floats already."""
    model = ConvNet(3, 32, 10, run.width).to(device)
    forward = torch.compile(model) if compiled else model
    images = Normalise(dataset.train_x, "cpu")(dataset.train_x).contiguous()
    loader = DataLoader(TensorDataset(images, dataset.train_y), run.batch_size, shuffle=True, drop_last=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = JointCrossEntropyLoss(validate=False)
    stream = itertools.chain.from_iterable(itertools.repeat(loader))  # epoch after epoch

    def step():
        x, y = (part.to(device) for part in next(stream))
        optimizer.zero_grad()
        criterion(forward(x), y).backward()
        optimizer.step()

    return step


def _vmap_step(runs, dataset, device):
    models = [initial_model(run, dataset).to(device) for run in runs]
    parameters, _ = stack_module_state(models)
    optimizer = torch.optim.Adam(parameters.values(), lr=1e-3, fused=True)
    skeleton = models[0].to("meta")
    criterion = JointCrossEntropyLoss(validate=False)
    gradients = vmap(grad(lambda p, x, y: criterion(functional_call(skeleton, p, (x,)), y)))
    prepare = Normalise(dataset.train_x, device)
    train_x, train_y = dataset.train_x.to(device), dataset.train_y.to(device)
    size = (len(runs), runs[0].batch_size)

    def step():
        index = torch.randint(len(train_x), size, device=device)
        x = prepare(train_x[index].flatten(0, 1)).contiguous().unflatten(0, size)
        for name, gradient in gradients(parameters, x, train_y[index]).items():
            parameters[name].grad = gradient
        optimizer.step()

    return step
