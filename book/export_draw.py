"""Write ``book/_static/draw_nets.js``: the two nets of the page *Draw a digit*, with eight bits a weight.

    python book/export_draw.py [STORE]

STORE (``results``) must hold the weights of both runs below, which are not published: ``gffn sweep cpu``
trains them. The same weights give the same file. Beside the nets it holds what the page says of them:
quantiles of ln p(x) over the test images, and how accuracy and calibration were before the rounding and are
after it.
"""

import base64
import json
import sys
from pathlib import Path

import torch

from gffn_core import metrics
from gffn_core.data.datasets import load_dataset
from gffn_core.evaluation.standard import predict
from gffn_core.experiments.store import Store
from gffn_core.training.run import Normalise, Run, initial_model

RUNS = {loss: Run("mnist", loss, batch_size=8, epochs=12) for loss in ("conditional", "joint")}
MOST = 127  # steps of a rounded weight from zero
QUANTILES = 1001


def rounded(weight):
    """Weights (outputs, ...) -> int8 of the same shape, and the steps (outputs,) that they count."""
    step = weight.abs().flatten(1).amax(1) / MOST
    return (weight / _beside(step, weight)).round().to(torch.int8), step


def _beside(step, weight):
    return step.view(-1, *[1] * (weight.ndim - 1))


def base64_of(tensor):
    return base64.b64encode(tensor.contiguous().numpy().tobytes()).decode()


def quality(logits, target):
    probs = logits.double().softmax(-1)
    return {
        "accuracy": round(metrics.accuracy(logits, target), 6),
        "ece": round(metrics.expected_calibration_error(probs, target), 6),
    }


def main(store="results"):
    torch.set_num_threads(1)
    dataset, store = load_dataset("mnist"), Store(store)
    prepare = Normalise(dataset.train_x, "cpu")
    nets = {}
    for loss, run in RUNS.items():
        record = store.select([run], {"mnist": dataset.sha256})[run]
        net = initial_model(run, dataset)
        store.load_into(net, record)
        state = {name: value.clone() for name, value in net.state_dict().items()}
        before = predict(net, dataset.test_x, prepare)
        layers = []
        for name in sorted(name.removesuffix(".weight") for name in state if name.endswith(".weight")):
            weight, step = rounded(state[f"{name}.weight"])
            state[f"{name}.weight"] = weight * _beside(step, weight)
            bias = state[f"{name}.bias"]
            layers.append({"shape": [*weight.shape], "weights": base64_of(weight)})
            layers[-1] |= {"steps": base64_of(step), "biases": base64_of(bias)}
        net.load_state_dict(state)
        after = predict(net, dataset.test_x, prepare)
        moved = (after.double().softmax(-1) - before.double().softmax(-1)).abs().max()
        mean = predict(net, dataset.train_x, prepare).double().logsumexp(-1).mean()
        ln_p = after.double().logsumexp(-1) - mean
        nets[loss] = {
            "record": record["key"],
            "level": round(mean.item(), 6),
            "quantiles": base64_of(ln_p.quantile(torch.linspace(0, 1, QUANTILES).double()).float()),
            "before": quality(before, dataset.test_y),
            "after": quality(after, dataset.test_y),
            "moved": round(moved.item(), 6),  # the largest change of a probability
            "other_answers": (after.argmax(-1) != before.argmax(-1)).sum().item(),
            "layers": layers,
        }
    payload = {"mean": prepare.mean.item(), "std": prepare.std.item(), "nets": nets}
    path = Path(__file__).with_name("_static") / "draw_nets.js"
    path.write_text(f"globalThis.gffnNets = {json.dumps(payload)};\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
