"""What a run is, and the plain loop that trains and evaluates one.

The loop is written to be read: one model, one step at a time. It is the reference that any faster
execution has to agree with.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from gffn_core import losses, metrics
from gffn_core.data import Dataset
from gffn_core.evaluation import evaluate, predict
from gffn_core.model import WIDTHS, ConvNet
from gffn_core.provenance import provenance, weights_sha256

LOSSES = {"conditional": losses.conditional_nll, "joint": losses.joint_nll}
SCHEMES = ("early", "long")
PRECISIONS = ("float32", "bfloat16")
# "Training accuracies of close to 100%" (thesis 5.1). A long run that ends below is underfit.
FITTED = 0.99


@dataclass(frozen=True)
class Run:
    """One training, fully described: equal runs on equal data give equal results.

    epochs: the budget of the *long* scheme, which ends before it once validation accuracy has
    flattened (patience has run out) and the running training accuracy has been at least FITTED for
    ``fitted_epochs`` epochs in a row (thesis 5.1: "close to 100% for multiple epochs").
    learning_rate is Adam's, constant as in the thesis, which does not print it; 1e-3 is Adam's
    default. patience, patience_steps: *early* is decided once validation accuracy has not improved
    for that many epochs and that many steps (an epoch of large batches is but a few steps).
    width, norm, dropout: see ``model.ConvNet``. kl_weight: ``losses.joint_nll``'s.
    Initialisation and data order depend on ``seed`` alone, so runs that differ in their loss are pairs.
    """

    dataset: str
    loss: str
    batch_size: int
    epochs: int
    seed: int = 0
    label_space: str = "categorical"
    learning_rate: float = 1e-3
    patience: int = 3
    patience_steps: int = 100
    fitted_epochs: int = 10
    width: int = WIDTHS["narrow"]
    kl_weight: float = 1.0
    norm: str = "none"
    dropout: float = 0.0

    def __post_init__(self):
        if self.loss not in LOSSES:
            raise ValueError(f"loss={self.loss!r} is unknown; use one of {tuple(LOSSES)}")
        if self.label_space not in losses.LABEL_SPACES:
            raise ValueError(
                f"label_space={self.label_space!r} is unknown; use one of {losses.LABEL_SPACES}"
            )
        counts = ("batch_size", "epochs", "patience", "patience_steps", "fitted_epochs", "width")
        for field in (*counts, "seed"):
            if not isinstance(getattr(self, field), int):
                raise ValueError(f"{field}={getattr(self, field)!r} must be an integer")
        if self.kl_weight != 1 and self.loss != "joint":
            raise ValueError(f"kl_weight={self.kl_weight} is the joint loss's; loss is {self.loss!r}")
        for field in (*counts, "learning_rate", "kl_weight"):
            if not 0 < getattr(self, field) < math.inf:
                raise ValueError(f"{field}={getattr(self, field)} must be positive and finite")


@dataclass(frozen=True)
class Result:
    """What a run left behind. All but ``logits`` is plain data, ready for JSON.

    curves: lists over epochs. ``train_loss`` and ``train_accuracy`` are means over the epoch's
    batches, each taken before its step; ``val_*`` are measured after the epoch.
    evaluations: per scheme ("early", "long") what ``evaluate`` returns, plus the epoch; empty for a
    run that diverged. diverged: None, or the ``epoch`` and ``step`` of the first non-finite loss
    (or logits after it); both count from 1.
    logits: float16 arrays ``{scheme}_{val,test,ood}``.
    """

    run: Run
    data: dict
    curves: dict
    evaluations: dict
    diverged: dict | None
    provenance: dict
    logits: dict


def train(
    run: Run,
    dataset: Dataset,
    device: str | torch.device = "cpu",
    *,
    precision: str = "float32",
    out_of_distribution: Dataset | None = None,
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> Result:
    """Train a run and evaluate it at two points, the thesis's two schemes (5.1).

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
    take_step = stepper(run, model, prepare, precision)

    while not course.finished:
        order = epoch_order(run.seed, course.epoch + 1, len(train_x)).to(device)
        loss_of_step = torch.empty(steps, device=device)
        correct = torch.zeros((), device=device, dtype=torch.int64)
        for step, batch in enumerate(order.split(run.batch_size)[:steps]):
            loss_of_step[step], right = take_step(train_x[batch], train_y[batch])
            correct += right
        course.add_epoch(
            loss_of_step, correct, predict(model, dataset.val_x, prepare), model.state_dict()
        )
        on_epoch(course.epoch)
    course.seconds = time.perf_counter() - started
    return course.result(model, prepare, out_of_distribution, {"precision": precision})


def objective(run: Run) -> Callable:
    """The loss of a run's logits: (logits, labels) -> as in ``losses``."""
    options = {"kl_weight": run.kl_weight} if run.loss == "joint" else {}
    return partial(LOSSES[run.loss], label_space=run.label_space, **options)


def stepper(run: Run, model: ConvNet, prepare: Callable, precision: str = "float32") -> Callable:
    """The function that takes one step of a run: (images, labels) -> (loss, right answers), 0-dim.

    It changes ``model``, which starts with a fresh optimiser. Loss and answers are those before the
    step.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision={precision!r} is unknown; use one of {PRECISIONS}")
    device = next(model.parameters()).device
    optimizer = torch.optim.Adam(model.parameters(), lr=run.learning_rate, fused=True)
    loss_of = objective(run)
    half = precision == "bfloat16"

    def take_step(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            logits = model(prepare(images))
        loss = loss_of(logits, labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.detach(), (logits.argmax(-1) == labels).sum()

    return take_step


class Course:
    """The course of one run's training: its curves, its early weights, and when it ends."""

    def __init__(self, run: Run, dataset: Dataset):
        self.run, self.dataset = run, dataset
        self.steps = len(dataset.train_x) // run.batch_size  # an epoch
        if self.steps == 0:
            raise ValueError(
                f"batch_size={run.batch_size} exceeds the {len(dataset.train_x)} training images"
            )
        self.epoch = 0  # completed ones
        self.curves = {key: [] for key in ("train_loss", "train_accuracy", "val_accuracy",
                                           "val_nll", "val_ece", "val_confidence")}
        self.early = {"epoch": 0, "val_accuracy": -1.0, "weights": {}}
        self.flattened = None  # the epoch at which patience ran out
        self.diverged = None
        self.seconds = 0.0  # of training so far

    def state(self) -> dict:
        """All but what the run is: plain data and tensors, which ``vars(course).update`` takes back."""
        return {name: value for name, value in vars(self).items() if name not in ("run", "dataset", "steps")}

    @property
    def finished(self) -> bool:
        last = self.curves["train_accuracy"][-self.run.fitted_epochs :]
        fitted = len(last) == self.run.fitted_epochs and min(last) >= FITTED
        return (
            self.diverged is not None
            or self.epoch >= self.run.epochs
            or (fitted and self.flattened is not None)
        )

    def add_epoch(self, loss_of_step: Tensor, correct: Tensor, val: Tensor, weights: dict):
        """Take in an epoch: losses (steps,), right answers (), validation logits, weights after it."""
        self.epoch += 1
        finite = loss_of_step.isfinite()
        # The last step can break the weights after the last loss was finite.
        if not (finite.all() and val.isfinite().all()):
            first = self.steps if finite.all() else finite.int().argmin().item() + 1
            self.diverged = {"epoch": self.epoch, "step": (self.epoch - 1) * self.steps + first}
            return
        probs, y = val.softmax(-1), self.dataset.val_y
        for key, value in (
            ("train_loss", loss_of_step.double().mean().item()),
            ("train_accuracy", correct.item() / (self.steps * self.run.batch_size)),
            ("val_accuracy", metrics.accuracy(val, y)),
            ("val_nll", metrics.negative_log_likelihood(val, y)),
            ("val_ece", metrics.expected_calibration_error(probs, y)),
            ("val_confidence", probs.amax(-1).mean().item()),
        ):
            self.curves[key].append(value)
        if self.flattened is not None:
            return
        if self.curves["val_accuracy"][-1] > self.early["val_accuracy"]:
            self.early = {
                "epoch": self.epoch,
                "val_accuracy": self.curves["val_accuracy"][-1],
                "weights": {name: value.detach().clone() for name, value in weights.items()},
            }
        else:
            waited = self.epoch - self.early["epoch"]
            if waited >= self.run.patience and waited * self.steps >= self.run.patience_steps:
                self.flattened = self.epoch

    def result(
        self, model: ConvNet, prepare: Callable, out_of_distribution: Dataset | None, how: dict
    ) -> Result:
        """Evaluate both schemes. ``model`` holds the weights at the end; ``how`` goes to the provenance."""
        started = time.perf_counter()
        evaluations, logits, hashes = {}, {}, {}
        for scheme, epoch in (("long", self.epoch), ("early", self.early["epoch"])):
            if self.diverged is not None:
                break
            if scheme == "early":
                model.load_state_dict(self.early["weights"])
            evaluations[scheme], kept = evaluate(
                model, self.run.label_space, self.dataset, prepare, out_of_distribution
            )
            evaluations[scheme] |= {"epoch": epoch, "step": epoch * self.steps}
            if scheme == "early":
                evaluations[scheme]["stopped_at"] = self.flattened
            logits |= {f"{scheme}_{part}": value.half().numpy() for part, value in kept.items()}
            hashes[scheme] = weights_sha256(model)
        where = provenance(next(model.parameters()).device, self.seconds + time.perf_counter() - started)
        return Result(
            self.run, self.dataset.provenance(), self.curves, evaluations, self.diverged,
            where | how | {"weights_sha256": hashes}, logits,
        )


def initial_model(run: Run, dataset: Dataset) -> ConvNet:
    """The run's model before training, on the CPU; PyTorch's default initialisation from ``run.seed``."""
    _, channels, size, _ = dataset.train_x.shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        return ConvNet(
            channels, size, dataset.num_classes, run.width, norm=run.norm, dropout=run.dropout, seed=run.seed
        )


def epoch_order(seed: int, epoch: int, n: int) -> Tensor:
    """Permutation of the n training examples for one epoch (1, 2, ...), independent of device and loss."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(1_000_003 * seed + epoch))


class Normalise:
    """uint8 images -> floats with zero mean and unit variance per channel of the training images."""

    def __init__(self, train_x: Tensor, device: torch.device):
        # Exact, from how often each of the 256 values occurs: the images as floats would be a gigabyte.
        mean, std = [], []
        for channel in train_x.unbind(1):
            counts = torch.bincount(channel.flatten(), minlength=256).tolist()
            n = channel.numel()
            total = sum(value * count for value, count in enumerate(counts))
            squares = sum(value**2 * count for value, count in enumerate(counts))
            mean.append(total / (255 * n))
            std.append(math.sqrt((n * squares - total**2) / (255**2 * n * (n - 1))))
        self.mean = torch.tensor(mean, device=device).view(1, -1, 1, 1)
        self.std = torch.tensor(std, device=device).view(1, -1, 1, 1)

    def __call__(self, images: Tensor) -> Tensor:
        images = images.to(self.mean.device).float().div_(255).sub_(self.mean).div_(self.std)
        return images.contiguous(memory_format=torch.channels_last)
