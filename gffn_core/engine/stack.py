"""Many runs of equal shapes, trained side by side: the fast way to do what ``loop.train`` does.

A run's step is the plain loop's (``step.stepper``): same examples, same loss, same optimiser.
Here the steps of many runs are one computation, so that small batches fill a GPU and its launch
overhead is paid once, and on CUDA the whole step is one captured graph. Nothing of a run depends
on the others in its stack, beyond rounding.
"""

import contextlib
import copy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gffn_core.data.datasets import Dataset
from gffn_core.evaluation.standard import predict
from gffn_core.model import BatchNorm, Centre, ConvNet, Dropout, batch_norm, dropout
from gffn_core.training.course import Course, Result
from gffn_core.training.run import Normalise, Run, epoch_order, initial_model
from gffn_core.training.step import PRECISIONS, step_images

CONVOLUTIONS = ("grouped", "unfolded")
MOMENTS = ("exp_avg", "exp_avg_sq")  # Adam's, as PyTorch calls them


class Execution(NamedTuple):
    """How a stack is computed. What it computes stays the same up to rounding.

    precision: see ``loop.train``. convolution: "grouped" (one convolution, a group of channels
    per model) or "unfolded" (patches as matrices, one batched product). together: models that share
    all but the seed form one branch; else each is a branch. On CUDA the branches of a step
    run at the same time, each on a stream of its own.
    """

    precision: str = "float32"
    convolution: str = "grouped"
    together: bool = True


# What the runs of a stack may differ in, and what stands for it in the key of their shape.
FREE = {
    "loss": "conditional",
    "label_space": "categorical",
    "learning_rate": 1.0,
    "weight_decay": 0.0,
    "augmentation": "",
    "options": (),
    "seed": 0,
}


def _branch(run):
    return tuple(getattr(run, name) for name in FREE if name != "seed")


def shape_key(run: Run) -> Run:
    """Equal for runs that can share a stack: they differ in what is ``FREE``."""
    return replace(run, **FREE)


def stacked_logits(
    model: nn.Module, tensors: dict[str, Tensor], images: Tensor, convolution: str = "grouped"
) -> Tensor:
    """Logits (M, B, K) of M models on their own images (M, B, C, H, W), as in a training step.

    model: one of them, for its layers; tensors: parameters and buffers by name, each (M, *shape); a
    training step's buffers are moved. Raises ValueError for a layer that this cannot compute.
    """
    models, batch = images.shape[:2]
    grouped = convolution == "grouped"
    # Grouped: (B, M * C, H, W), the models as groups of channels. Unfolded: (M * B, C, H, W).
    x = images.transpose(0, 1).flatten(1, 2) if grouped else images.flatten(0, 1)
    by_layer, seen = {}, set()
    for name, value in tensors.items():
        layer, _, key = name.rpartition(".")
        by_layer.setdefault(layer, {})[key] = value
    for name, layer in model.named_modules(remove_duplicate=False):
        if layer in seen:
            raise ValueError(f"a stack cannot compute the layer {name!r}, {layer}, twice; use loop.train")
        seen.add(layer)
        own = by_layer.get(name, {})
        if isinstance(layer, nn.Conv2d) and _plain(layer) and grouped:
            bias = own["bias"].flatten() if "bias" in own else None
            x = F.conv2d(x, own["weight"].flatten(0, 1), bias, padding=layer.padding, groups=models)
        elif isinstance(layer, nn.Conv2d) and _plain(layer):
            size = [n + 2 * p - k + 1 for n, p, k in zip(x.shape[2:], layer.padding, layer.kernel_size)]
            patches = F.unfold(x, layer.kernel_size, padding=layer.padding).unflatten(0, (models, batch))
            x = torch.matmul(own["weight"].flatten(2)[:, None], patches)
            x = x + own["bias"][:, None, :, None] if "bias" in own else x
            x = x.flatten(0, 1).unflatten(2, size)
        elif isinstance(layer, BatchNorm):
            if not grouped:
                x = x.unflatten(0, (models, batch)).transpose(0, 1).flatten(1, 2)
            state = [own[key].flatten() for key in ("running_mean", "running_var", "weight", "bias")]
            x = batch_norm(x, *state, ghost=layer.ghost, training=True)
            if not grouped:
                x = x.unflatten(1, (models, -1)).transpose(0, 1).flatten(0, 1)
        elif isinstance(layer, nn.Linear) and layer.bias is not None:
            # In this order the weight's gradient comes out as it is stored, without a transposition.
            x = torch.baddbmm(own["bias"][..., None], own["weight"], x.mT).mT
        elif isinstance(layer, Dropout):
            x = dropout(x, own["seed"], own["step"], layer.share)
        elif isinstance(layer, nn.Flatten):  # to (M, B, features)
            x = x.unflatten(1, (models, -1)).transpose(0, 1) if grouped else x.unflatten(0, (models, batch))
            x = x.flatten(2)
        elif isinstance(layer, (nn.MaxPool2d, nn.ReLU, Centre)):  # of an image alone, whatever its place
            x = layer(x)
        elif type(layer) not in (ConvNet, nn.Sequential):  # which do nothing but call their layers in turn
            raise ValueError(f"a stack cannot compute the layer {name!r}, {layer}; use loop.train")
    return x


def _plain(layer):
    """Whether a convolution is one that a stack knows."""
    return (layer.stride, layer.dilation, layer.groups, layer.padding_mode) == ((1, 1), (1, 1), 1, "zeros")


class Branch(NamedTuple):
    """Models that differ in their seed alone, computed together. Tensors by name, each (M, *shape).

    A model alone is a net, as in the plain loop, so it is computed to the bit as there; the tensors are its own.
    """

    rows: slice
    run: Run
    objective: Callable
    seeds: Tensor
    parameters: dict[str, Tensor]
    buffers: dict[str, Tensor]
    net: nn.Module | None


class Stack:
    """Runs of one ``shape_key`` on the device of the data, all at the same step of the same epoch.

    states: for each run weights and moments by name, and ``step``, as ``fresh_state`` and ``state``
    give them. model: a ConvNet of the runs' shape on the device, for its layers. prepare: uint8
    images to floats. train_x (N, C, H, W), train_y (N,): the data on the device.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        states: Sequence[dict],
        model: ConvNet,
        prepare: Callable,
        train_x: Tensor,
        train_y: Tensor,
        execution: Execution = Execution(),
    ):
        if len({shape_key(run) for run in runs}) != 1:
            raise ValueError(f"the runs of a stack may differ in {', '.join(FREE)} alone")
        if execution.precision not in PRECISIONS or execution.convolution not in CONVOLUTIONS:
            raise ValueError(f"{execution} is unknown; use one of {PRECISIONS} and of {CONVOLUTIONS}")
        self.runs, self.model, self.prepare, self.execution = list(runs), model, prepare, execution
        self.train_x, self.train_y, self.device = train_x, train_y, train_x.device
        cuda = self.device.type == "cuda"
        count, batch_size = len(self.runs), self.runs[0].batch_size
        self.steps = len(train_x) // batch_size

        def stacked(key, rows):
            return {
                name: torch.stack([state[key][name] for state in states[rows]]).to(self.device)
                for name in states[0][key]
            }

        self.branches, groups = [], []
        for _, indices in groupby(
            range(count), key=lambda i: _branch(self.runs[i]) if execution.together else i
        ):
            indices = list(indices)
            rows = slice(indices[0], indices[-1] + 1)
            run, net = self.runs[indices[0]], None
            if len(indices) == 1:
                net = copy.deepcopy(model).train()
                net.load_state_dict(states[indices[0]]["weights"])
                parameters, buffers = dict(net.named_parameters()), dict(net.named_buffers())
            else:
                buffers = stacked("weights", rows)
                parameters = {name: buffers.pop(name).requires_grad_() for name in states[0][MOMENTS[0]]}
            seeds = torch.tensor([run.seed for run in self.runs[rows]], device=self.device)
            self.branches.append(Branch(rows, run, run.objective(), seeds, parameters, buffers, net))
            rates = {"lr": run.learning_rate, "weight_decay": run.weight_decay}
            groups.append({"params": list(parameters.values()), **rates})
        self.optimizer = torch.optim.AdamW(groups, fused=True, capturable=cuda)
        for branch in self.branches:
            moments = {key: stacked(key, branch.rows) for key in MOMENTS}
            for name, value in branch.parameters.items():
                self.optimizer.state[value] = {
                    key: torch.empty_like(value).copy_(moments[key][name].view_as(value)) for key in MOMENTS
                } | {"step": torch.tensor(float(states[0]["step"]), device=self.device)}
        self.taken = self.optimizer.state[value]["step"]  # steps so far, which all parameters count
        # Where the epoch is and what it left, on the device, so that a step needs nothing of the host.
        self.position = torch.zeros(1, dtype=torch.int64, device=self.device)
        self.order = torch.zeros(self.steps, count, batch_size, dtype=torch.int64, device=self.device)
        self.losses = torch.zeros(self.steps, count, device=self.device)
        self.right = torch.zeros(count, dtype=torch.int64, device=self.device)
        self.streams = [torch.cuda.Stream() for _ in self.branches] if cuda else []
        self.step = self._capture() if cuda else self._step

    def begin_epoch(self, epoch: int):
        """Draw each run's order for this epoch (1, 2, ...) and start counting anew."""
        n = self.steps * self.runs[0].batch_size
        orders = {run.seed: epoch_order(run.seed, epoch, len(self.train_x))[:n] for run in self.runs}
        self.order.copy_(torch.stack([orders[run.seed].view(self.steps, -1) for run in self.runs], 1))
        for counter in (self.position, self.losses, self.right):
            counter.zero_()

    def state(self, i: int) -> dict:
        """Copies on the CPU of all that run i needs to go on: weights (and buffers), Adam's moments, step."""
        branch, row = self._find(i)
        states = {name: self.optimizer.state[value] for name, value in branch.parameters.items()}
        return {
            "weights": {
                name: _copy(value, row) for name, value in (branch.parameters | branch.buffers).items()
            },
            **{key: {name: _copy(state[key], row) for name, state in states.items()} for key in MOMENTS},
            "step": int(next(iter(states.values()))["step"]),
        }

    def weights(self, i: int) -> dict[str, Tensor]:
        """Run i's weights and buffers by name, on the device; they change with the next step."""
        branch, row = self._find(i)
        return {name: value.detach()[row] for name, value in (branch.parameters | branch.buffers).items()}

    def within(self, i: int) -> dict:
        """Where run i is in its epoch, and what it has counted there."""
        counted = {"losses": _copy(self.losses.T, i), "right": _copy(self.right, i)}
        return {"position": int(self.position), **counted}

    def go_on_within(self, within: Sequence[dict]):
        """Skip to where ``within`` was taken, after ``begin_epoch``."""
        if within[0]["position"]:
            self.position.fill_(within[0]["position"])
            self.losses.copy_(torch.stack([epoch["losses"] for epoch in within], 1))
            self.right.copy_(torch.stack([epoch["right"] for epoch in within]))

    def _find(self, i):
        branch = next(branch for branch in self.branches if i < branch.rows.stop)
        return branch, ... if branch.net else i - branch.rows.start

    def _step(self):
        index = self.order.index_select(0, self.position)[0]
        images, labels = self.train_x[index], self.train_y[index]
        images = self.prepare(images.flatten(0, 1)).unflatten(0, index.shape)
        losses, right = torch.empty_like(self.losses[0]), torch.empty_like(self.right)
        for number, branch in enumerate(self.branches):
            with self._stream(number):
                losses[branch.rows], right[branch.rows] = self._backward(
                    branch, images[branch.rows], labels[branch.rows]
                )
        for stream in self.streams:
            torch.cuda.current_stream().wait_stream(stream)
        self.optimizer.step()
        self.losses[self.position] = losses
        self.right += right
        self.position += 1

    def _backward(self, branch, images, labels):
        images = step_images(branch.run, images, branch.seeds, self.taken.long()[None])
        half = self.execution.precision == "bfloat16"
        # Each weight is used once, so a cache of half precision copies would only cost memory.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half, cache_enabled=False):
            if branch.net:
                logits = branch.net(images.squeeze(0))[None]
            else:
                tensors = branch.parameters | branch.buffers
                logits = stacked_logits(self.model, tensors, images, self.execution.convolution)
        losses = branch.objective(logits, labels)
        # Each model's loss depends on its own weights alone, so the sum's gradient is theirs.
        gradients = torch.autograd.grad(losses.sum(), list(branch.parameters.values()))
        for value, gradient in zip(branch.parameters.values(), gradients):
            alike = gradient.stride() == value.stride()  # fused Adam walks both as they lie in memory
            value.grad = gradient if alike else torch.empty_like(value).copy_(gradient)
        return losses.detach(), (logits[:, : labels.shape[1]].argmax(-1) == labels).sum(-1)

    def _stream(self, number):
        if not self.streams:
            return contextlib.nullcontext()
        self.streams[number].wait_stream(torch.cuda.current_stream())
        return torch.cuda.stream(self.streams[number])

    def _capture(self):
        """The step as one CUDA graph. Warming up takes real steps, which are taken back."""
        tensors = [self.position, self.losses, self.right]
        for branch in self.branches:
            tensors += branch.buffers.values()
        for value, state in self.optimizer.state.items():
            tensors += [value.detach(), *state.values()]
        before = [tensor.clone() for tensor in tensors]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self._step()
                self.position.zero_()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step()
        for tensor, old in zip(tensors, before):
            tensor.copy_(old)
        return graph.replay


def fresh_state(run: Run, dataset: Dataset) -> dict:
    """The state of a run before its first step."""
    model = initial_model(run, dataset)
    zeros = {
        key: {name: torch.zeros_like(value) for name, value in model.named_parameters()} for key in MOMENTS
    }
    return {"weights": dict(model.state_dict()), "step": 0, **zeros}


def _begin(runs, dataset, checkpoints, precision):
    """Of each run its course, its state and where it is within an epoch: as in its checkpoint, else fresh."""
    # Runs of one loss side by side, so that they form one branch.
    pairs = sorted(zip(runs, checkpoints or [None] * len(runs)), key=lambda pair: _branch(pair[0]))
    courses = [Course(run, dataset) for run, _ in pairs]
    states, within = [], []
    for course, (run, checkpoint) in zip(courses, pairs):
        states.append(checkpoint["state"] if checkpoint else fresh_state(run, dataset))
        within.append(checkpoint["within"] if checkpoint else {"position": 0})
        vars(course).update(checkpoint["course"] if checkpoint else {})
    if len({(course.epoch, epoch["position"]) for course, epoch in zip(courses, within)}) > 1:
        raise ValueError("the checkpoints of a stack must have been taken at the same step")
    begun = {checkpoint["precision"] for _, checkpoint in pairs if checkpoint}
    if begun - {precision}:
        raise ValueError(f"the checkpoints are of runs in {begun.pop()}, which cannot go on in {precision}")
    return courses, states, within


def _copy(tensor, row):
    return tensor.detach()[row].cpu().clone(memory_format=torch.contiguous_format)


def train_stack(
    runs: Sequence[Run],
    dataset: Dataset,
    device: str | torch.device = "cpu",
    *,
    execution: Execution = Execution(),
    out_of_distribution: Dataset | None = None,
    checkpoints: Sequence[dict | None] = (),
    save_checkpoint: Callable[[Run, dict], object] = lambda run, checkpoint: None,
    checkpoint_seconds: float = 60,
    on_images: Callable[[int], object] = lambda count: None,
) -> Iterator[Result]:
    """Train runs of one ``shape_key`` as a stack and yield each one's result as soon as it has ended.

    Every ``checkpoint_seconds``, also within an epoch, each run's checkpoint is handed over: plain
    data and tensors, from which this function goes on exactly where it was. checkpoints: those to
    go on from, one a run or None, all taken at the same step and in the precision of ``execution``.
    on_images: told after each epoch how many images were trained on. Raises as ``train``.
    """
    device = torch.device(device)
    courses, states, within = _begin(runs, dataset, checkpoints, execution.precision)
    model = initial_model(courses[0].run, dataset).to(device, memory_format=torch.channels_last)
    prepare = Normalise(dataset.train_x, device)
    train_x, train_y = dataset.train_x.to(device), dataset.train_y.to(device)
    how = execution._asdict() | {"stack": len(courses)}
    clock = saved = time.perf_counter()

    def share_time():
        nonlocal clock
        elapsed, clock = time.perf_counter() - clock, time.perf_counter()
        for course in courses:
            course.seconds += elapsed / len(courses)

    while courses:
        stack = Stack([c.run for c in courses], states, model, prepare, train_x, train_y, execution)
        while not any(course.finished for course in courses):
            stack.begin_epoch(courses[0].epoch + 1)
            stack.go_on_within(within)
            for _ in range(within[0]["position"], stack.steps):
                stack.step()
                if time.perf_counter() - saved >= checkpoint_seconds:
                    share_time()
                    for i, course in enumerate(courses):
                        now = {"course": course.state(), "state": stack.state(i), "within": stack.within(i)}
                        save_checkpoint(course.run, now | {"precision": execution.precision})
                    saved = time.perf_counter()
            on_images((stack.steps - within[0]["position"]) * stack.order[0].numel())
            within = [{"position": 0}] * len(courses)
            for i, course in enumerate(courses):
                model.load_state_dict(stack.weights(i))
                val = predict(model, dataset.val_x, prepare)
                course.add_epoch(stack.losses[:, i].cpu(), stack.right[i].cpu(), val, model.state_dict())
            share_time()
        for i, course in enumerate(courses):
            if course.finished:
                model.load_state_dict(stack.weights(i))
                yield course.result(model, prepare, out_of_distribution, how)
        clock = time.perf_counter()  # the result has counted its own seconds
        states = [stack.state(i) for i, course in enumerate(courses) if not course.finished]
        courses = [course for course in courses if not course.finished]
        within = within[: len(courses)]
        del stack  # its memory makes room for the next one
