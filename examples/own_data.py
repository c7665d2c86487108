"""Which loss for your own images? Trains the contenders on them and prints who wins, by need.

    python examples/own_data.py mine.npz --quick
    python examples/own_data.py photos --size 32 --unfamiliar others --out nets.csv

mine.npz holds square uint8 images train_x, test_x and labels 0..K-1 train_y, test_y; photos a folder a class,
or train and test with one each. Stopped and started again, it goes on.
"""

import argparse
import os
from dataclasses import replace
from math import ceil
from pathlib import Path

import pandas as pd

from gffn_core import metrics
from gffn_core.data.own import images_like, load_own
from gffn_core.engine.process import settled
from gffn_core.engine.stack import Execution
from gffn_core.engine.tuning import best_time, first_step_again
from gffn_core.evaluation.standard import predict
from gffn_core.experiments import contest, tables
from gffn_core.experiments.contest import CONTENDERS, OURS, STANDARD
from gffn_core.experiments.store import Store
from gffn_core.experiments.sweep import results
from gffn_core.training.course import LOWEST_SCALED_NLL, Course
from gffn_core.training.run import Normalise, Run, initial_model

NEEDS = ("test_accuracy", "nll", "ece", "scaled_nll", "auroc")  # see ``tables.COLUMNS``
# All others stop at the epoch of the lowest NLL on validation images, after a temperature: by the raw NLL a
# net that is too sure of itself would stop before it is at its best.
LATE = f"{STANDARD}, to the end"


def trained(runs, data, args, unfamiliar=None):
    """A row for each run that did not diverge, two for a standard one; trains those that are missing."""
    store, prepare = Store(args.results), Normalise(data.train_x, "cpu")
    records = results(runs, store, train_missing=True, root=args.root)
    table = contest.frame(records.values(), (LOWEST_SCALED_NLL, "long"))
    if lost := {contest.contender_of(run) for run in runs} - {*table["contender"]}:
        raise ValueError(
            f"every net of {', '.join(sorted(lost))} diverged; look at the images, try another --batch-size, "
            "or leave it out of CONTENDERS"
        )
    table["run"] = table["key"].map({record["key"]: run for run, record in records.items()})
    table = table[(table["scheme"] != "long") | (table["contender"] == STANDARD)].copy()
    table.loc[table["scheme"] == "long", "contender"] = LATE
    if unfamiliar is not None:  # how well the highest probability tells test images from them
        found = []
        for run, scheme in zip(table["run"], table["scheme"]):
            net = initial_model(run, data)
            store.load_into(net, records[run], scheme)
            scores = [metrics.max_softmax(predict(net, x, prepare)) for x in (data.test_x, unfamiliar)]
            found.append(metrics.auroc(*scores))
        table["auroc"] = found
    return table


def report(table):
    """Print by contender and need the difference to the standard net, the winners, and where ours lose."""
    means = table.groupby("contender")[[need for need in NEEDS if need in table]].mean()
    cells, verdicts = {}, []
    for need in means:
        found = tables.differences(table, need, STANDARD, "contender")
        gain = found["mean"] if need in ("test_accuracy", "auroc") else -found["mean"]
        star = found["seen"].map({True: " *", False: "  "})
        text = found.apply("{mean:+.4f} ± {half:.4f}".format_map, axis=1) + star
        cells[need] = dict(text) | {STANDARD: f"{means[need][STANDARD]:.4f}{'':12}"}
        better, winner = gain[found["seen"] & (gain > 0)], f"none seen to be better than the {STANDARD} net"
        if len(better):
            best = better.idxmax()
            others = tables.differences(table, need, best, "contender").query("not seen").index.drop(best)
            winner = f"{best} {text[best]} (no difference seen to: {'; '.join(others) or 'none'})"
        lost = [f"{name} {text[name]}" for name in found.index[found["seen"] & (gain < 0)] if name in OURS]
        verdicts += [f"{need:14}{winner}", *(f"{'':14}worse than the {STANDARD} net: {one}" for one in lost)]
    cells["setting"] = table.groupby("contender")["setting"].first()
    print(f"\nTest images: the {STANDARD} net; the others minus it, 95 % intervals over seeds (* without 0)")
    print(pd.DataFrame(cells).loc[found.index].rename_axis(None).to_string())
    print(f"\nBest by need, minus the {STANDARD} net; intervals are not adjusted", *verdicts, sep="\n")
    print("ece: 10 bins; scaled_nll: nll after temperature scaling; auroc: test against unfamiliar images")


def compete(args):
    if args.out:
        tables.check_writable(args.out)  # not after hours of training
    if args.data in (args.results.resolve(), *args.results.resolve().parents):
        raise ValueError(
            f"--results {args.results} is in {args.data}, whose folders are classes; name another"
        )
    values, steps, seeds = (2, 500, args.seeds or 3) if args.quick else (3, 1500, args.seeds or 6)
    data = load_own(args.data, args.root, args.size, mode="L" if args.grey else "RGB")
    unfamiliar = images_like(data, args.unfamiliar) if args.unfamiliar else None
    if args.batch_size > len(data.train_x):
        raise ValueError(f"--batch-size {args.batch_size} exceeds the {len(data.train_x)} training images")
    run = Run(data.name, "conditional", args.batch_size, 1 if args.epochs is None else args.epochs)
    per_epoch = Course(run, data).steps
    if args.epochs is None:
        run = replace(run, epochs=ceil(steps / per_epoch))
    tuning = [replace(run, **one) for name in CONTENDERS for one in contest.settings(name, values, rates=2)]
    count = len(tuning) + seeds * (len(CONTENDERS) + 1)
    with settled("cpu"):
        seconds = best_time(first_step_again([run], data, "cpu", Execution())) * per_epoch * run.epochs
    minutes = 1.2 * count * seconds / min(os.cpu_count(), 4) / 60
    fifth = " (a fifth of each class)" if args.data.is_dir() and not (args.data / "train").is_dir() else ""
    counts = "{title}: {train} training, {val} validation, {test} test images"
    print(counts.format_map(data.provenance()) + f" of {data.num_classes} classes{fifth}")
    if len(data.test_x) < 100:
        print("These are few test images: on others, differences may lie outside the intervals over seeds")
    if len(data.val_x) < 100:
        print("These are few validation images: which settings and epochs they choose is partly luck")
    print(f"Tuning: {2 * values} settings of each contender, a net each; least NLL after a temperature wins")
    print(f"That is of validation images, and also says at which epoch a net stops, but for one row: {LATE}")
    print(f"Test: that setting with {seeds} other seeds; test images decide nothing")
    print(f"At most {count} nets, epochs each: {run.epochs}; minutes on a CPU: {minutes:.1f}", flush=True)
    tuned = trained(tuning, data, args)
    best = contest.chosen(tuned)
    nets = dict.fromkeys(replace(run, seed=seed) for run in best["run"] for seed in range(1, seeds + 1))
    tested = trained([*nets], data, args, unfamiliar).merge(best[["contender", "setting"]])
    report(tested)
    if args.out:
        tables.write(pd.concat([tuned, tested]).drop(columns="run"), args.out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("data", type=lambda text: Path(text).resolve(), help=".npz file, or folder of images")
    add("--quick", action="store_true", help="fewer settings, steps and seeds")
    add("--unfamiliar", type=Path, metavar="PATH", help="images of no class: a folder, or an .npz file")
    add("--size", type=int, default=32, metavar="N", help="pixels of a folder's images (default: 32)")
    add("--grey", action="store_true", help="a folder's images without colour")
    add("--batch-size", type=int, default=64, metavar="N")
    add("--epochs", type=int, metavar="N", help="default: 1,500 steps, --quick 500")
    add("--seeds", type=int, choices=range(tables.SEEDS, 31), metavar="N", help="default: 6, --quick 3")
    add("--results", type=Path, metavar="DIR", help="default: beside the data")
    add("--out", type=Path, metavar="FILE", help="write all nets to a .csv file")
    args = parser.parse_args()
    args.results = args.results or args.data.with_name(f"{args.data.stem}_results")
    # The file that is made of a folder says in its place what was done to the images.
    made = args.results / f"{'grey' if args.grey else 'colour'}_{args.size}"
    args.root = made if args.data.is_dir() else args.data.parent
    try:
        compete(args)
    except (ValueError, OSError, KeyboardInterrupt) as error:
        parser.error(str(error) or "interrupted; the same command goes on")


if __name__ == "__main__":
    main()
