"""The joint loss under DistributedDataParallel, on a data set of the book.

    torchrun --nproc-per-node 2 examples/distributed.py
    torchrun --nproc-per-node 2 examples/distributed.py --normalisation global local
    python examples/distributed.py                      # one process, which two reproduce

Every step takes one global batch, of which each process holds an equal part. "global" normalises
over the whole batch: one loss, on any number of processes. "local" lets each process normalise over
its own part, which is another loss. Runs on GPUs if every process has one (nccl), else on the CPU.
"""

import argparse
import json
import os
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from gffn_core import JointCrossEntropyLoss, metrics
from gffn_core.data.datasets import DATASETS, load_dataset
from gffn_core.data.files import check_writable, write_atomically
from gffn_core.evaluation.standard import predict
from gffn_core.training.run import Normalise, Run, epoch_order, initial_model

# What torchrun says of this process; without it there is one.
RANK, LOCAL_RANK = (int(os.environ.get(name, "0")) for name in ("RANK", "LOCAL_RANK"))
WORLD, LOCAL_WORLD = (int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))


def train(run, data, normalisation, device, dtype):
    """Train and test one net; every process returns the same results and weights."""
    normalise = Normalise(data.train_x, device)

    def prepare(images):
        return normalise(images).to(dtype)

    net = initial_model(run, data).to(device, dtype, memory_format=torch.channels_last)
    model = DistributedDataParallel(net)  # averages the gradients over the processes
    criterion = JointCrossEntropyLoss(group="world" if normalisation == "global" else None)
    optimizer = torch.optim.Adam(model.parameters(), lr=run.learning_rate)

    result = {"train_loss": [], "val_accuracy": []}
    for epoch in range(1, run.epochs + 1):
        order = epoch_order(run.seed, epoch, len(data.train_x))  # the same in every process
        batches = [batch for batch in order.split(run.batch_size) if len(batch) == run.batch_size]
        total = torch.zeros((), dtype=dtype, device=device)
        for batch in batches:
            part = batch.chunk(WORLD)[RANK]
            loss = criterion(model(prepare(data.train_x[part])), data.train_y[part].to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        dist.all_reduce(total)  # the mean over the processes is the loss that is trained
        result["train_loss"].append(total.item() / WORLD / len(batches))
        result["val_accuracy"].append(metrics.accuracy(predict(net, data.val_x, prepare), data.val_y))
        if RANK == 0:
            print(
                f"{normalisation}, epoch {epoch}: "
                + ", ".join(f"{name} {values[-1]:.4f}" for name, values in result.items()),
                flush=True,
            )

    logits, target = predict(net, data.test_x, prepare).double(), data.test_y
    result["test"] = {
        "accuracy": metrics.accuracy(logits, target),
        "ece": metrics.expected_calibration_error(logits.softmax(-1), target),
        "nll": metrics.negative_log_likelihood(logits, target),
    }
    if RANK == 0:
        print(
            f"{normalisation}, test: "
            + ", ".join(f"{name} {value:.4f}" for name, value in result["test"].items()),
            flush=True,
        )
    return result, net.state_dict()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", choices=DATASETS, default="digits", help="see `gffn data`")
    parser.add_argument("--normalisation", choices=("global", "local"), nargs="+", default=["global"])
    parser.add_argument("--batch-size", type=int, default=32, metavar="N", help="of all processes")
    parser.add_argument("--epochs", type=int, default=10, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--float64", action="store_true", help="less rounding, for comparisons")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write options, curves and results")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="save {normalisation: state_dict}")
    args = parser.parse_args()
    try:
        run = Run(args.dataset, "joint", args.batch_size, args.epochs, args.seed)
        if run.batch_size % WORLD:
            raise ValueError(f"--batch-size {run.batch_size} does not divide over {WORLD} processes")
        data = load_dataset(args.dataset, source="cache")
        if run.batch_size > len(data.train_x):
            raise ValueError(f"--batch-size {run.batch_size} exceeds the {len(data.train_x)} images")
        for path in filter(None, (args.json, args.weights)):
            check_writable(path.parent)  # not after training
    except (ValueError, OSError) as error:
        parser.error(str(error))

    gpus = torch.cuda.device_count() >= LOCAL_WORLD
    device = torch.device("cuda", LOCAL_RANK) if gpus else torch.device("cpu")
    dtype = torch.float64 if args.float64 else torch.float32
    if gpus:
        torch.cuda.set_device(device)
    alone = {} if "RANK" in os.environ else {"store": dist.HashStore(), "rank": 0, "world_size": 1}
    dist.init_process_group("nccl" if gpus else "gloo", **alone)
    trained = {name: train(run, data, name, device, dtype) for name in args.normalisation}
    dist.destroy_process_group()
    if RANK == 0 and args.json:
        found = {key: vars(args)[key] for key in ("dataset", "batch_size", "epochs", "seed", "float64")}
        found |= {"processes": WORLD, "results": {name: result for name, (result, _) in trained.items()}}
        write_atomically(args.json, lambda file: file.write(json.dumps(found, indent=2).encode()))
    if RANK == 0 and args.weights:
        weights = {name: weights for name, (_, weights) in trained.items()}
        write_atomically(args.weights, lambda file: torch.save(weights, file))


if __name__ == "__main__":
    main()
