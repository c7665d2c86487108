"""Write ``book/_static/film_frames.js``: what the page *Film of training* shows of a pair of nets, by epoch.

    python book/export_film.py

It trains the pair below, three minutes on one core. Both nets are runs of profile ``fewer`` too, so their
last frames can be compared with published records, which another machine trained.
"""

import json
from pathlib import Path

import torch

from gffn_core import metrics
from gffn_core.data.datasets import Dataset, load_dataset
from gffn_core.engine.process import settle
from gffn_core.evaluation.standard import predict
from gffn_core.training.run import Normalise, Run, epoch_order, initial_model
from gffn_core.training.step import stepper

RUNS = {loss: Run("cifar10_10000", loss, batch_size=64, epochs=30) for loss in ("conditional", "joint")}
EDGES = torch.linspace(-5, 45, 101)  # of the bars of ln Z, in nats; the outermost hold all beyond


def frames(run: Run, dataset: Dataset):
    """Logits (N, K) of the test images, before training and after each epoch."""
    prepare = Normalise(dataset.train_x, "cpu")
    net = initial_model(run, dataset).to(memory_format=torch.channels_last)
    take_step = stepper(net, run, prepare)
    yield predict(net, dataset.test_x, prepare)
    for epoch in range(1, run.epochs + 1):
        order = epoch_order(run.seed, epoch, len(dataset.train_x))
        for batch in order.split(run.batch_size)[: len(order) // run.batch_size]:
            take_step(dataset.train_x[batch], dataset.train_y[batch])
        yield predict(net, dataset.test_x, prepare)


def measured(logits: torch.Tensor, target: torch.Tensor) -> dict:
    """Shares of images by ln Z, and by confidence with the accuracy there; three numbers of all images."""
    probs, ln_z = logits.double().softmax(-1), logits.logsumexp(-1)
    confidence, predicted = probs.max(-1)
    bins = metrics.calibration_bins(confidence.clamp(max=1), predicted == target)
    bars = torch.histogram(ln_z.clamp(EDGES[0], EDGES[-1]), EDGES).hist / len(ln_z)
    return {
        "ln_z": [round(share, 4) for share in bars.tolist()],
        "share": [round(count / len(logits), 4) for count in bins.count.tolist()],
        "right": [round(value, 4) for value in bins.accuracy.nan_to_num().tolist()],
        "spread": round(ln_z.std().item(), 3),
        "accuracy": round(metrics.accuracy(logits, target), 4),
        "ece": round(metrics.expected_calibration_error(probs, target), 4),
    }


def main():
    settle()
    film = {"low": EDGES[0].item(), "high": EDGES[-1].item(), "nets": {}}
    for loss, run in RUNS.items():
        dataset = load_dataset(run.dataset)
        film["nets"][loss] = [measured(logits, dataset.test_y) for logits in frames(run, dataset)]
    path = Path(__file__).with_name("_static") / "film_frames.js"
    path.write_text(f"globalThis.gffnFilm = {json.dumps(film)};\n", encoding="utf-8")


if __name__ == "__main__":
    main()
