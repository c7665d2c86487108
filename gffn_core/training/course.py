"""The course of one run's training, and what it leaves behind."""

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from gffn_core import metrics
from gffn_core.data.datasets import Dataset
from gffn_core.evaluation.standard import evaluate
from gffn_core.model import ConvNet
from gffn_core.training.provenance import provenance, weights_sha256
from gffn_core.training.run import Run

SCHEMES = ("early", "long")  # the thesis's
LOWEST_NLL = "lowest_nll"  # a third: the epoch of the lowest negative log-likelihood on validation images
LOWEST_SCALED_NLL = "lowest_scaled_nll"  # a fourth: the same after a temperature, which they fit, too
# "Training accuracies of close to 100%" (thesis 5.1). A long run that ends below is underfit.
FITTED = 0.99
CURVES = (
    "train_loss",
    "train_accuracy",
    "val_accuracy",
    "val_nll",
    "val_ece",
    "val_confidence",
    "val_scaled_nll",
)


@dataclass(frozen=True)
class Result:
    """What a run left behind. All but ``logits`` and ``weights`` is plain data, ready for JSON.

    curves: lists over epochs. ``train_loss`` and ``train_accuracy`` are means over the epoch's
    batches, each taken before its step; ``val_*`` are measured after the epoch.
    evaluations: per scheme (``SCHEMES``, ``LOWEST_NLL``, ``LOWEST_SCALED_NLL``) what ``evaluate`` returns,
    plus the epoch; empty for a run that diverged. diverged: None, or the ``epoch`` and ``step`` of the first
    non-finite loss (or logits after it); both count from 1.
    logits: float16 arrays ``{scheme}_{val,test,ood}``. weights: by scheme the net's state, on the CPU.
    """

    run: Run
    data: dict
    curves: dict
    evaluations: dict
    diverged: dict | None
    provenance: dict
    logits: dict
    weights: dict


class Course:
    """The course of one run's training: its curves, the weights of its best epochs, and when it ends."""

    def __init__(self, run: Run, dataset: Dataset):
        self.run, self.dataset = run, dataset
        self.steps = len(dataset.train_x) // run.batch_size  # an epoch
        if self.steps == 0:
            raise ValueError(
                f"batch_size={run.batch_size} exceeds the {len(dataset.train_x)} training images; use less"
            )
        self.epoch = 0  # completed ones
        self.curves = {name: [] for name in CURVES}
        self.early = {"epoch": 0, "val_accuracy": -1.0, "weights": {}}
        self.likeliest = {"epoch": 0, "val_nll": math.inf, "weights": {}}
        self.finest = {"epoch": 0, "val_scaled_nll": math.inf, "weights": {}}
        self.flattened = None  # the epoch at which patience ran out
        self.diverged = None
        self.seconds = 0.0  # of training so far

    def state(self) -> dict:
        """All but what the run is: plain data and tensors, which ``vars(course).update`` takes back."""
        return copy.deepcopy(
            {name: value for name, value in vars(self).items() if name not in ("run", "dataset", "steps")}
        )

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
        values = (
            loss_of_step.double().mean().item(),
            correct.item() / (self.steps * self.run.batch_size),
            metrics.accuracy(val, y),
            metrics.negative_log_likelihood(val, y),
            metrics.expected_calibration_error(probs, y),
            probs.amax(-1).mean().item(),
            metrics.negative_log_likelihood(val.double() / metrics.fit_temperature(val, y), y),
        )
        for name, value in zip(CURVES, values):
            self.curves[name].append(value)
        nll, accuracy = self.curves["val_nll"][-1], self.curves["val_accuracy"][-1]
        if nll < self.likeliest["val_nll"]:
            self.likeliest = {"epoch": self.epoch, "val_nll": nll, "weights": _copy(weights)}
        if (scaled := self.curves["val_scaled_nll"][-1]) < self.finest["val_scaled_nll"]:
            self.finest = {"epoch": self.epoch, "val_scaled_nll": scaled, "weights": _copy(weights)}
        if self.flattened is not None:
            return
        if accuracy > self.early["val_accuracy"]:
            self.early = {"epoch": self.epoch, "val_accuracy": accuracy, "weights": _copy(weights)}
        else:
            waited = self.epoch - self.early["epoch"]
            if waited >= self.run.patience and waited * self.steps >= self.run.patience_steps:
                self.flattened = self.epoch

    def result(
        self, model: ConvNet, prepare: Callable, out_of_distribution: Dataset | None, how: dict
    ) -> Result:
        """Evaluate all schemes. ``model`` holds the weights at the end; ``how`` goes to the provenance."""
        started = time.perf_counter()
        evaluations, logits, weights, hashes = {}, {}, {}, {}
        if self.diverged is None:
            end = {"epoch": self.epoch, "weights": model.state_dict()}
            kept = {
                "long": end,
                "early": self.early,
                LOWEST_NLL: self.likeliest,
                LOWEST_SCALED_NLL: self.finest,
            }
            weights = {
                scheme: {name: value.cpu().clone() for name, value in one["weights"].items()}
                for scheme, one in kept.items()
            }
            evaluations, logits, hashes = measure(
                model, weights, self.run, self.dataset, prepare, out_of_distribution
            )
            for scheme, one in kept.items():
                evaluations[scheme] |= {"epoch": one["epoch"], "step": one["epoch"] * self.steps}
            evaluations["early"]["stopped_at"] = self.flattened
        where = provenance(next(model.parameters()).device, self.seconds + time.perf_counter() - started)
        where |= how | {"weights_sha256": hashes}
        data = self.dataset.provenance()
        return Result(self.run, data, self.curves, evaluations, self.diverged, where, logits, weights)


def measure(
    model: ConvNet,
    weights: Mapping[str, dict],
    run: Run,
    dataset: Dataset,
    prepare: Callable,
    out_of_distribution: Dataset | None,
) -> tuple[dict, dict, dict]:
    """What ``evaluate`` finds by scheme; float16 logits ``{scheme}_{part}``; the weights' SHA-256 by scheme.

    ``model``, of the run's shape, is left with the last of the weights.
    """
    evaluations, logits, hashes = {}, {}, {}
    for scheme, state in weights.items():
        model.load_state_dict(state)
        hashes[scheme] = weights_sha256(model)
        evaluations[scheme], kept = evaluate(model, run.label_space, dataset, prepare, out_of_distribution)
        logits |= {f"{scheme}_{part}": value.half().numpy() for part, value in kept.items()}
    return evaluations, logits, hashes


def _copy(weights):
    return {name: value.detach().clone() for name, value in weights.items()}
