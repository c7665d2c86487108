"""The plain loop that trains and evaluates one run.

It is written to be read: one model, one step at a time. It is the reference that any faster
execution has to agree with.
"""

import time

import torch

from gffn_core.data.datasets import Dataset
from gffn_core.evaluation.standard import predict
from gffn_core.training.course import Course, Result
from gffn_core.training.run import Normalise, Run, epoch_order, initial_model
from gffn_core.training.step import stepper


def train(
    run: Run,
    dataset: Dataset,
    device: str | torch.device = "cpu",
    *,
    precision: str = "float32",
    out_of_distribution: Dataset | None = None,
) -> Result:
    """Train a run and evaluate it at four points: the thesis's two schemes (5.1), and the lowest NLL on
    validation images, raw (``course.LOWEST_NLL``) and after a temperature (``course.LOWEST_SCALED_NLL``).

    *early*: the weights of the best validation accuracy when patience has run out (or at the end,
    if that never happens). *long*: the weights at the end, see ``Run``. A run whose loss or logits
    stop being finite ends there, as diverged.
    Incomplete batches are left out, so every step has exactly ``run.batch_size`` examples; which
    examples these are changes with every epoch.

    precision: "float32", or "bfloat16" for the forward and backward pass by autocast (weights,
    optimiser, loss and every evaluation stay float32).

    Raises ValueError if the batch is larger than the training set.
    """
    started = time.perf_counter()
    device = torch.device(device)
    course = Course(run, dataset)
    steps = course.steps
    model = initial_model(run, dataset).to(device, memory_format=torch.channels_last)
    prepare = Normalise(dataset.train_x, device)
    train_x, train_y = dataset.train_x.to(device), dataset.train_y.to(device)
    take_step = stepper(model, run, prepare, precision)

    while not course.finished:
        order = epoch_order(run.seed, course.epoch + 1, len(train_x)).to(device)
        loss_of_step = torch.empty(steps, device=device)
        correct = torch.zeros((), device=device, dtype=torch.int64)
        for step, batch in enumerate(order.split(run.batch_size)[:steps]):
            loss_of_step[step], right = take_step(train_x[batch], train_y[batch])
            correct += right
        course.add_epoch(loss_of_step, correct, predict(model, dataset.val_x, prepare), model.state_dict())
    course.seconds = time.perf_counter() - started
    return course.result(model, prepare, out_of_distribution, {"precision": precision})
