"""The command ``gffn``."""

import argparse
import json
import os
import random
import signal
import tempfile
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from gffn_core import model
from gffn_core.data import datasets
from gffn_core.data.files import check_writable, write_atomically
from gffn_core.engine import bench, plan
from gffn_core.engine.plan import tell
from gffn_core.experiments import profiles, sweep, tables, verify
from gffn_core.experiments.store import Store
from gffn_core.pages import claims, words
from gffn_core.training import step
from gffn_core.verdicts import ledger


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit status. Expected failures print one message, no traceback."""
    args = _parser().parse_args(argv)
    try:
        return args.command(args) or 0
    except (ValueError, OSError) as error:
        tell(f"gffn: {error}")
        return 1
    except KeyboardInterrupt:
        tell(f"\ngffn: interrupted; {args.kept.format(**vars(args))}")
        return 130


def _parser():
    parser = argparse.ArgumentParser(prog="gffn", description="Generatively learned feed forward networks.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("data", help="fetch data sets and print where they come from")
    command.set_defaults(
        command=_data, kept="data sets that were fetched whole are kept, the one on its way is not"
    )
    command.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(datasets.DATASETS)}")
    command.add_argument("--source", choices=datasets.SOURCES, default="auto")
    _add_root(command)

    grid = argparse.ArgumentParser(add_help=False)
    grid.add_argument("profile", metavar="PROFILE", help=", ".join(profiles.PROFILES))
    grid.add_argument("--datasets", nargs="+", metavar="NAME")
    grid.add_argument("--batch-sizes", nargs="+", type=int, metavar="B")
    grid.add_argument("--losses", nargs="+", metavar="LOSS")
    grid.add_argument("--seeds", nargs="+", type=int, metavar="S")
    _add_results(grid)

    command = commands.add_parser("sweep", parents=[grid], help="train the runs that the store lacks")
    command.set_defaults(
        command=_sweep,
        kept="finished runs are in {results!r}; the same command goes on from them and from the last "
        "checkpoint of each unfinished run, of which there is one for every 60 seconds of training",
    )
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    command.add_argument("--workers", type=int, default=1, metavar="N", help="processes of one thread each")
    command.add_argument(
        "--precision", choices=step.PRECISIONS, default="float32",
        help="of the training steps (default: float32)",
    )
    command.add_argument(
        "--stack", type=int, metavar="M",
        help="train at most M runs together (default: what fits a GPU's free memory; 1 on a CPU)",
    )
    command.add_argument("--engine", choices=("local", "ray"), default="local", help="ray: on a Ray cluster")
    command.add_argument(
        "--address", metavar="HOST:PORT",
        help="of the Ray cluster's head, or auto (default: one that runs here, else a new one of this machine)",
    )
    _add_root(command)

    command = commands.add_parser("status", parents=[grid], help="say which runs the store holds")
    command.set_defaults(command=_status, kept="it only reads")

    command = commands.add_parser("verify", help="train some of the profile's runs again and compare")
    command.set_defaults(
        command=_verify,
        kept="of the second executions, those that finished are kept with --keep DIR, else none",
    )
    command.add_argument("profile", metavar="PROFILE")
    command.add_argument("--count", type=int, default=5, metavar="N", help="how many, drawn at random (default: 5)")
    command.add_argument("--draw", type=int, default=0, metavar="SEED", help="of the draw (default: 0)")
    command.add_argument(
        "--keep", type=Path, metavar="DIR",
        help="another store, for the second executions; those it holds are not trained again",
    )
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    _add_results(command)
    _add_root(command)

    command = commands.add_parser("claims", help="test the thesis's claims on the profile's runs")
    command.set_defaults(command=_claims, kept="it only reads")
    command.add_argument("profile", metavar="PROFILE")
    _add_results(command)

    command = commands.add_parser("export", help="write the profile's results as a table, a row per run and scheme")
    command.set_defaults(command=_export, kept="{file} is written whole or not at all")
    command.add_argument("profile", metavar="PROFILE")
    command.add_argument("file", type=Path, metavar="FILE", help="ends in .csv or .parquet")
    _add_results(command)

    command = commands.add_parser("bench", help="measure training speed here, beside plain PyTorch")
    command.set_defaults(command=_bench, kept="what it measured is lost: it is written at the end")
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    command.add_argument("--net", choices=model.WIDTHS, default="narrow")
    command.add_argument("--seconds", type=float, default=1.0, metavar="S", help="per measurement (default: 1)")
    command.add_argument("--json", type=Path, metavar="FILE", help="also write everything that was measured")

    command = commands.add_parser("publish", help="write the profile's records to results/published")
    command.set_defaults(command=_publish, kept="the published file is replaced whole or not at all")
    command.add_argument("profile", metavar="PROFILE")
    command.add_argument("--drop", action="store_true", help="also if published records are lost by it")
    _add_results(command)
    return parser


def _add_results(command):
    command.add_argument(
        "--results", default=os.environ.get("GFFN_RESULTS") or "results", metavar="DIR",
        help="the store (default: $GFFN_RESULTS, else results)",
    )


def _add_root(command):
    command.add_argument(
        "--root", type=Path, metavar="DIR", help="folder of the data (default: $GFFN_DATA, else the user's cache)"
    )


def _runs(args):
    return profiles.profile(args.profile).runs(
        args.datasets, batch_sizes=args.batch_sizes, losses=args.losses, seeds=args.seeds
    )


def _store(args):
    """The store to read, a folder that is there: a wrong name would make every run look untrained."""
    try:
        os.scandir(args.results).close()
    except OSError as error:
        raise ValueError(
            f"--results {args.results!r}: {error.strerror}; name a folder that `gffn sweep` has filled"
        ) from error
    return Store(args.results)


def _data(args):
    failed = 0
    print(f"{'name':14} {'train':>6} {'val':>6} {'test':>6}  {'sha256':12}  title; source")
    for name in args.names or datasets.DATASETS:
        try:
            found = datasets.load_dataset(name, root=args.root, source=args.source, report=tell)
        except (ValueError, OSError) as error:
            tell(f"gffn: {error}")
            failed = 1
            continue
        print(
            f"{name:14} {len(found.train_x):6} {len(found.val_x):6} {len(found.test_x):6}  "
            f"{found.sha256[:12]}  {found.title}; {found.source}"
        )
    return failed


def _sweep(args):
    if args.workers < 1:
        raise ValueError(f"--workers {args.workers} must be at least 1")
    if args.stack is not None and args.stack < 1:
        raise ValueError(f"--stack {args.stack} must be at least 1")
    if args.engine == "ray" and args.workers > 1:
        raise ValueError("--workers is of the local engine; on Ray the cluster's cores and GPUs decide")
    if args.address and args.engine != "ray":
        raise ValueError("--address is the Ray cluster's; it needs --engine ray")
    if not args.results:
        raise ValueError("--results '' names no folder")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C
    runs = _runs(args)
    trained = sweep.sweep(
        runs, Store(args.results), device=args.device, root=args.root,
        workers=args.workers, precision=args.precision, stack_size=args.stack,
        engine=args.engine, address=args.address,
    )
    print(f"{args.profile}: trained {trained}, {len(runs) - trained} were in the store")


def _status(args):
    runs = _runs(args)
    found = _store(args).select(runs)
    cells = Counter((run.dataset, run.batch_size, run.loss) for run in runs)
    done = Counter((run.dataset, run.batch_size, run.loss) for run in found)
    print(f"{'data set':14} {'batch':>6}  {'loss':12} {'seeds':>6}")
    for cell, wanted in cells.items():
        print(f"{cell[0]:14} {cell[1]:6}  {cell[2]:12} {done[cell]:>3}/{wanted}")
    print(f"{args.profile}: {len(found)} of {len(runs)} runs")


def _verify(args):
    records = list(_store(args).select(profiles.profile(args.profile).runs()).values())
    records = [record for record in records if not record["diverged"]]
    if not 1 <= args.count <= len(records):
        raise ValueError(f"--count {args.count}: the store holds {len(records)} runs of {args.profile!r} to draw from")
    if args.keep and args.keep.resolve() == Path(args.results).resolve():
        raise ValueError(f"--keep {args.keep} is the store of the first executions, with which they would agree; name another")
    if args.keep:
        check_writable(args.keep / "runs")
    different = 0
    with tempfile.TemporaryDirectory() as scratch:
        store = Store(args.keep or scratch)
        for number, record in enumerate(random.Random(args.draw).sample(records, args.count), 1):
            run = record["run"]
            tell(f"run {number} of {args.count}: {run['dataset']}, batch size {run['batch_size']}, "
                 f"{run['loss']}, seed {run['seed']}")
            again = verify.repeat(record, store, device=args.device, root=args.root)
            same = again["provenance"]["weights_sha256"] == record["provenance"]["weights_sha256"]
            different += not same
            pair = [one["evaluations"]["long"] for one in (record, again)]
            print(
                f"{run['dataset']:14} {run['batch_size']:5} {run['loss']:12} seed {run['seed']}: "
                + ("weights equal to the bit" if same else "weights differ")
                + "".join(f"; {name} {first:.4f}, again {second:.4f}" for name, first, second in (
                    ("accuracy", *(one["test_accuracy"] for one in pair)),
                    ("ECE", *(one["ece"]["uniform10"] for one in pair)),
                )),
                flush=True,
            )
    print(f"{args.count - different} of {args.count} runs have equal weights")


def _claims(args):

    runs = profiles.profile(args.profile).runs()
    records = _store(args).select(runs)
    print(f"{args.profile}: {len(records)} of {len(runs)} runs")
    print(claims.text(ledger.ledger(records.values(), tables.step_ratios(args.results))))


def _export(args):
    from gffn_core.experiments import tables

    if args.file.suffix not in (".csv", ".parquet"):
        raise ValueError(f"{args.file}: the file's name must end in .csv or .parquet")
    table = tables.frame(_store(args).select(profiles.profile(args.profile).runs()).values())
    if table.empty:
        raise ValueError(f"the store {args.results} holds no run of {args.profile!r}")
    if args.file.suffix == ".csv":
        write_atomically(args.file, lambda file: table.to_csv(file, index=False, lineterminator="\n"))
    else:
        if find_spec("pyarrow") is None:
            raise ValueError(f"{args.file}: Parquet needs pyarrow; pip install 'gffn-core[parquet]', or write .csv")
        write_atomically(args.file, lambda file: table.to_parquet(file, index=False))
    print(f"{len(table)} rows: {args.file}")


def _bench(args):
    device = plan.resolve_device(args.device)
    if args.json:
        check_writable(args.json.parent)
        if args.json.is_dir():
            raise ValueError(f"--json {args.json} is a folder; name a file")
    found = bench.bench(device, model.WIDTHS[args.net], seconds=args.seconds, report=tell)
    print(words.text(found))
    if args.json:
        content = json.dumps(found, indent=1).encode()
        write_atomically(args.json, lambda file: file.write(content))


def _publish(args):
    path, count = _store(args).publish(
        args.profile, profiles.profile(args.profile).runs(), drop=args.drop
    )
    print(f"{count} records, {path.stat().st_size / 1e6:.2f} MB: {path}")
