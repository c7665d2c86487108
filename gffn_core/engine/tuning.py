"""What a stack needs and how it runs fastest on this machine: an estimate of memory, measurements of time."""

import contextlib
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.utils.benchmark import Timer

from gffn_core.data.datasets import Dataset
from gffn_core.engine.stack import Execution, Stack, fresh_state
from gffn_core.training.run import Normalise, Run, initial_model


def bytes_per_run(run: Run, dataset: Dataset) -> int:
    """Estimate of the device memory that a run adds to a stack."""
    images = run.batch_size * (2 if run.references else 1)
    with torch.device("meta"):
        model = initial_model(run, dataset)
        outputs, parameters = sizes(model, torch.empty(images, *dataset.train_x.shape[1:]))
    # Outputs, their gradients, workspace; parameters, gradients, moments, two copies while graphs are made.
    return 4 * (3 * outputs + 6 * parameters)


def sizes(model: torch.nn.Module, x: Tensor) -> tuple[int, int]:
    """Of how many numbers the input and the layers' outputs are, and the parameters."""
    outputs = x.numel()
    for layer in model.modules():
        if not list(layer.children()):
            x = layer(x)
            outputs += x.numel()
    return outputs, sum(value.numel() for value in model.parameters())


def fastest_execution(
    runs: Sequence[Run], dataset: Dataset, device: str | torch.device, *precisions: str
) -> Execution:
    """The fastest way to compute a stack of these runs here, by a measurement of a few seconds.

    precisions: those to choose from; bfloat16 has to save a tenth of the time. Ways that exceed the device's
    memory are left out; if all do, the first is returned, not measured.
    """
    ways = [("grouped", True), ("grouped", False), ("unfolded", True)][: None if len(runs) > 1 else 1]
    candidates = [Execution(name, *way) for name in precisions for way in ways]
    if len(candidates) == 1:
        return candidates[0]
    times = {}
    for execution in candidates:
        with contextlib.suppress(torch.OutOfMemoryError):
            seconds = best_time(first_step_again(runs, dataset, device, execution))
            times[execution] = seconds * (1.1 if execution.precision == "bfloat16" else 1)
    return min(times, key=times.get) if times else candidates[0]


def first_step_again(
    runs: Sequence[Run], dataset: Dataset, device: str | torch.device, execution: Execution
) -> Callable[[], None]:
    """To measure: a function that takes a step of a new stack, always on the first batch."""
    device = torch.device(device)
    n = 2 * runs[0].batch_size
    train_x, train_y = dataset.train_x[:n].to(device), dataset.train_y[:n].to(device)
    model = initial_model(runs[0], dataset).to(device, memory_format=torch.channels_last)
    states = [fresh_state(run, dataset) for run in runs]
    stack = Stack(runs, states, model, Normalise(train_x, device), train_x, train_y, execution)
    stack.begin_epoch(1)

    def step():
        stack.step()
        stack.position.zero_()  # on CUDA queued behind the step

    return step


def best_time(step: Callable[[], object], seconds: float = 0.5) -> float:
    """The shortest time of a call, in seconds, after a first one: of as many as fit, at least four.

    Of short calls the mean of some counts as one, as reading the clock takes time too.
    """
    timer = Timer("step()", globals={"step": step}, num_threads=torch.get_num_threads())
    measurement = timer.adaptive_autorange(threshold=math.inf, min_run_time=seconds, max_run_time=math.inf)
    return min(measurement.times)
