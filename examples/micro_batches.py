"""The joint loss of a batch that does not fit into memory, exactly, from one micro-batch at a time.

    python examples/micro_batches.py
    python examples/micro_batches.py --batch-size 8192 --micro-batch 16

Takes the gradient of one batch in two ways, whole and in micro-batches (``joint_backward``), and prints how
far they differ, the memory that each needs beside net and data, and its time. In float64 on the CPU.
"""

import argparse
import json
import time
from pathlib import Path

import torch

from gffn_core.data.files import check_writable, write_atomically
from gffn_core.engine.process import peak_memory
from gffn_core.losses import joint_nll
from gffn_core.model import ConvNet
from gffn_core.training.provenance import provenance
from gffn_core.variants.micro_batches import joint_backward

ROUNDS = 3  # of the clock, in turns; the best counts


def compare(batch_size, micro_batch):
    """By way ("whole", "micro-batches"): memory in bytes and seconds; and the largest difference."""
    torch.manual_seed(0)
    net = ConvNet(3, 32).double()
    images = torch.randn(batch_size, 3, 32, 32, dtype=torch.float64)
    labels = torch.randint(10, (batch_size,))

    def in_micro_batches():
        joint_backward(net, zip(images.split(micro_batch), labels.split(micro_batch)))

    def whole():
        joint_nll(net(images), labels).backward()

    joint_backward(net, [(images[:2], labels[:2])])  # what a first step alone needs
    ways = {"micro-batches": in_micro_batches, "whole": whole}  # in this order: the peak only rises
    found, gradients = {}, {}
    for name, way in ways.items():
        before = peak_memory()
        gradients[name] = gradient(net, way)
        found[name] = {"memory": peak_memory() - before, "seconds": float("inf")}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            started = time.perf_counter()
            gradient(net, way)
            found[name]["seconds"] = min(found[name]["seconds"], time.perf_counter() - started)
    return found | {"difference": (gradients["micro-batches"] - gradients["whole"]).abs().max().item()}


def gradient(net, way):
    """The gradient that ``way`` leaves in the net's parameters, as one vector."""
    net.zero_grad()
    way()
    return torch.cat([one.grad.flatten() for one in net.parameters()])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=2048)
    parser.add_argument("--micro-batch", type=int, default=64)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what is found")
    args = parser.parse_args()
    if not 1 <= args.micro_batch <= args.batch_size:
        parser.error(
            f"--micro-batch {args.micro_batch} must be at least 1 and at most --batch-size {args.batch_size}"
        )
    if args.json:
        try:
            check_writable(args.json.parent)  # not after all has been measured
        except OSError as error:
            parser.error(str(error))
    torch.set_num_threads(1)
    started = time.perf_counter()
    found = compare(args.batch_size, args.micro_batch)
    print(f"largest difference of the gradients: {found['difference']:.0e}")
    for name in ("whole", "micro-batches"):
        print(f"{name}: {found[name]['memory'] / 2**20:,.0f} MiB, {found[name]['seconds']:.2f} s")
    if args.json:
        sizes = {"batch_size": args.batch_size, "micro_batch": args.micro_batch}
        where = provenance(torch.device("cpu"), time.perf_counter() - started)
        text = json.dumps(sizes | found | {"provenance": where}, indent=1) + "\n"
        write_atomically(args.json, lambda file: file.write(text.encode()))


if __name__ == "__main__":
    main()
