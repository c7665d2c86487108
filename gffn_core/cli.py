"""The command ``gffn``. Whatever imports pandas, SciPy or Matplotlib, the commands that need it import."""

import argparse
import json
import os
import signal
import tempfile
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from gffn_core import model
from gffn_core.data import datasets
from gffn_core.data.files import check_writable, write_atomically
from gffn_core.engine.plan import resolve_device, tell
from gffn_core.experiments import profiles, sweep, verify
from gffn_core.experiments.store import Store
from gffn_core.training import step
from gffn_core.training.run import Run


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
    for add in (
        _add_data,
        _add_sweep,
        _add_status,
        _add_verify,
        _add_evaluate,
        _add_claims,
        _add_export,
        _add_bench,
        _add_publish,
    ):
        add(commands)
    return parser


def _add(commands, name, command, help, kept):
    """A command's parser. kept: what an interruption leaves, in words."""
    parser = commands.add_parser(name, help=help)
    parser.set_defaults(command=command, kept=kept)
    return parser


def _add_profile(parser):
    parser.add_argument("profile", metavar="PROFILE", help=", ".join(profiles.PROFILES))


def _add_grid(parser):
    """A profile, or a part of it."""
    _add_profile(parser)
    parser.add_argument("--datasets", nargs="+", metavar="NAME")
    parser.add_argument("--batch-sizes", nargs="+", type=int, metavar="B")
    parser.add_argument("--losses", nargs="+", metavar="LOSS")
    parser.add_argument("--seeds", nargs="+", type=int, metavar="S")


def _add_device(parser):
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def _add_results(parser):
    parser.add_argument(
        "--results",
        default=os.environ.get("GFFN_RESULTS") or "results",
        metavar="DIR",
        help="the store (default: $GFFN_RESULTS, else results)",
    )


def _add_root(parser):
    parser.add_argument(
        "--root",
        type=Path,
        metavar="DIR",
        help="folder of the data (default: $GFFN_DATA, else the user's cache)",
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


def _add_data(commands):
    parser = _add(
        commands,
        "data",
        _data,
        "fetch data sets and print where they come from",
        kept="data sets that were fetched whole are kept, the one on its way is not",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(datasets.DATASETS)}"
    )
    parser.add_argument("--source", choices=datasets.SOURCES, default="auto")
    _add_root(parser)


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


def _add_sweep(commands):
    parser = _add(
        commands,
        "sweep",
        _sweep,
        "train the runs that the store lacks",
        kept="finished runs are in {results!r}; the same command goes on from them and from the last "
        "checkpoint of each unfinished run, of which there is one for every 60 seconds of training",
    )
    _add_grid(parser)
    _add_results(parser)
    _add_device(parser)
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes of one thread each")
    parser.add_argument(
        "--precision",
        choices=step.PRECISIONS,
        default="float32",
        help="of the training steps (default: float32)",
    )
    parser.add_argument(
        "--stack",
        type=int,
        metavar="M",
        help="train at most M runs together (default: what fits a GPU's free memory; 1 on a CPU)",
    )
    parser.add_argument("--engine", choices=("local", "ray"), default="local", help="ray: on a Ray cluster")
    parser.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="of the Ray cluster's head, or auto (default: one that runs here, else a new one of this machine)",
    )
    _add_root(parser)


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
        runs,
        Store(args.results),
        device=args.device,
        root=args.root,
        workers=args.workers,
        precision=args.precision,
        stack_size=args.stack,
        engine=args.engine,
        address=args.address,
    )
    print(f"{args.profile}: trained {trained}, {len(runs) - trained} were in the store")


def _add_status(commands):
    parser = _add(commands, "status", _status, "say which runs the store holds", kept="it only reads")
    _add_grid(parser)
    _add_results(parser)


def _status(args):
    runs = _runs(args)
    found = _store(args).select(runs)
    cells = Counter((run.dataset, run.batch_size, run.loss) for run in runs)
    done = Counter((run.dataset, run.batch_size, run.loss) for run in found)
    print(f"{'data set':14} {'batch':>6}  {'loss':12} {'seeds':>6}")
    for cell, wanted in cells.items():
        print(f"{cell[0]:14} {cell[1]:6}  {cell[2]:12} {done[cell]:>3}/{wanted}")
    print(f"{args.profile}: {len(found)} of {len(runs)} runs")


def _add_verify(commands):
    parser = _add(
        commands,
        "verify",
        _verify,
        "train some of the profile's runs again and compare",
        kept="of the second executions, those that finished are kept with --keep DIR, else none",
    )
    _add_profile(parser)
    parser.add_argument(
        "--count", type=int, default=5, metavar="N", help="how many, drawn at random (default: 5)"
    )
    parser.add_argument("--draw", type=int, default=0, metavar="SEED", help="of the draw (default: 0)")
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="another store, for the second executions; those it holds are not trained again",
    )
    _add_device(parser)
    _add_results(parser)
    _add_root(parser)


def _verify(args):
    records = _store(args).select(profiles.profile(args.profile).runs()).values()
    drawn = verify.draw(list(records), args.count, args.draw)
    if args.keep and args.keep.resolve() == Path(args.results).resolve():
        raise ValueError(
            f"--keep {args.keep} is the store of the first executions, with which they would agree; name another"
        )
    if args.keep:
        check_writable(args.keep / "runs")
    equal = 0
    with tempfile.TemporaryDirectory() as scratch:
        store = Store(args.keep or scratch)
        for number, record in enumerate(drawn, 1):
            run = Run.of(record["run"])
            tell(
                f"run {number} of {args.count}: {run.dataset}, batch size {run.batch_size}, {run.loss}, "
                f"seed {run.seed}"
            )
            row = verify.compare(record, verify.repeat(record, store, device=args.device, root=args.root))
            equal += row["equal"]
            print(
                f"{_name(run)}: weights {'equal to the bit' if row['equal'] else 'differ'}; "
                + "; ".join(
                    f"{name} {row[column][0]:.4f}, again {row[column][1]:.4f}"
                    for name, column in (("accuracy", "test_accuracy"), ("ECE", "ece"))
                ),
                flush=True,
            )
    print(f"{equal} of {args.count} runs have equal weights")


def _name(run):
    return f"{run.dataset:14} {run.batch_size:5} {run.loss:12} seed {run.seed}"


def _add_evaluate(commands):
    parser = _add(
        commands,
        "evaluate",
        _evaluate,
        "measure the kept nets again with today's code, without training",
        kept="the records of the runs that it has named are rewritten, the others are as they were",
    )
    _add_grid(parser)
    _add_device(parser)
    _add_results(parser)
    _add_root(parser)


def _evaluate(args):
    """A run without weights here is skipped; other weights or data than the record's are a failure."""
    store, runs = _store(args), _runs(args)
    done = failed = 0
    for run, record in store.select(runs).items():
        if record["diverged"]:
            tell(f"{_name(run)}: skipped, it diverged")
            continue
        try:
            found = verify.evaluate_again(record, store, device=args.device, root=args.root)
        except FileNotFoundError as error:
            tell(f"{_name(run)}: skipped, {error}")
            continue
        except ValueError as error:
            tell(f"{_name(run)}: refused, {error}")
            failed = 1
            continue
        done += 1
        same = f"all {found.old} old values are the same to 6 digits"
        changed = f"{len(found.changed)} of {found.old} old values CHANGED ({', '.join(found.changed)})"
        added = f"; new: {', '.join(found.added)}" if found.added else ""
        print(f"{_name(run)}: {changed if found.changed else same}{added}", flush=True)
    print(f"{args.profile}: evaluated {done} of {len(runs)} runs")
    return failed


def _add_claims(commands):
    parser = _add(
        commands, "claims", _claims, "test the thesis's claims on the profile's runs", kept="it only reads"
    )
    _add_profile(parser)
    _add_results(parser)
    parser.add_argument(
        "--second-opinion", action="store_true", help="note where sign flips or a mixed model disagree"
    )


def _claims(args):
    from gffn_core.experiments import tables
    from gffn_core.pages import claims
    from gffn_core.verdicts import ledger

    runs = profiles.evidence(args.profile)
    records = _store(args).select(runs)
    print(f"{args.profile}: {len(records)} of {len(runs)} runs")
    ratios = tables.step_ratios(args.results)
    print(claims.text(ledger.ledger(records.values(), ratios, second_opinion=args.second_opinion)))


def _add_export(commands):
    parser = _add(
        commands,
        "export",
        _export,
        "write the profile's results as a table, a row per run and scheme",
        kept="{file} is written whole or not at all",
    )
    _add_profile(parser)
    parser.add_argument("file", type=Path, metavar="FILE", help="ends in .csv or .parquet")
    _add_results(parser)


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
            raise ValueError(
                f"{args.file}: Parquet needs pyarrow; pip install 'gffn-core[parquet]', or write .csv"
            )
        write_atomically(args.file, lambda file: table.to_parquet(file, index=False))
    print(f"{len(table)} rows: {args.file}")


def _add_bench(commands):
    parser = _add(
        commands,
        "bench",
        _bench,
        "measure training speed here, beside plain PyTorch",
        kept="what it measured is lost: it is written at the end",
    )
    _add_device(parser)
    parser.add_argument("--net", choices=model.WIDTHS, default="narrow")
    parser.add_argument(
        "--seconds", type=float, default=1.0, metavar="S", help="per measurement (default: 1)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything that was measured")


def _bench(args):
    from gffn_core.engine import bench
    from gffn_core.pages import words

    device = resolve_device(args.device)
    if args.json:
        check_writable(args.json.parent)
        if args.json.is_dir():
            raise ValueError(f"--json {args.json} is a folder; name a file")
    found = bench.bench(device, model.WIDTHS[args.net], seconds=args.seconds, report=tell)
    print(words.text(found))
    if args.json:
        content = json.dumps(found, indent=1).encode()
        write_atomically(args.json, lambda file: file.write(content))


def _add_publish(commands):
    parser = _add(
        commands,
        "publish",
        _publish,
        "write the profile's records to results/published",
        kept="the published file is replaced whole or not at all",
    )
    _add_profile(parser)
    parser.add_argument("--drop", action="store_true", help="also if published records are lost by it")
    _add_results(parser)


def _publish(args):
    path, count = _store(args).publish(args.profile, profiles.profile(args.profile).runs(), drop=args.drop)
    print(f"{count} records, {path.stat().st_size / 1e6:.2f} MB: {path}")
