"""The command ``gffn``. Whatever imports pandas, SciPy or Matplotlib, the commands that need it import."""

import argparse
import json
import os
import signal
import tempfile
from collections import Counter
from pathlib import Path

from gffn_core import model
from gffn_core.data import datasets
from gffn_core.data.files import check_writable, write_atomically
from gffn_core.engine.plan import resolve_device, tell
from gffn_core.experiments import profiles, sweep, verify
from gffn_core.experiments.store import Store
from gffn_core.training import course, step
from gffn_core.training.run import Run

PARSER = argparse.ArgumentParser(prog="gffn", description="Generatively learned feed forward networks.")
PARSER.set_defaults(datasets=None, batch_sizes=None, losses=None, seeds=None)  # of commands on whole profiles
COMMANDS = PARSER.add_subparsers(required=True, metavar="COMMAND")


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit status. Expected failures print one message, no traceback."""
    args = PARSER.parse_args(argv)
    try:
        return args.command(args) or 0
    except (ValueError, OSError) as error:
        tell(f"gffn: {error}")
        return 1
    except KeyboardInterrupt:
        tell(f"\ngffn: interrupted; {args.kept.format(**vars(args))}")
        return 130


def _option(*names, **settings):
    return names, settings


def _command(help, kept, *options):
    """The function ``_name`` becomes the command ``name``. kept: what an interruption leaves, in words."""

    def register(function):
        parser = COMMANDS.add_parser(function.__name__[1:], help=help)
        parser.set_defaults(command=function, kept=kept)
        for names, settings in options:
            parser.add_argument(*names, **settings)
        return function

    return register


_PROFILE = _option("profile", metavar="PROFILE", help=", ".join(profiles.PROFILES))
_GRID = (  # a profile, or a part of it
    _PROFILE,
    _option("--datasets", nargs="+", metavar="NAME"),
    _option("--batch-sizes", nargs="+", type=int, metavar="B"),
    _option("--losses", nargs="+", metavar="LOSS"),
    _option("--seeds", nargs="+", type=int, metavar="S"),
)
_DEVICE = _option("--device", choices=("auto", "cpu", "cuda"), default="auto")
_RESULTS = _option(
    "--results",
    default=os.environ.get("GFFN_RESULTS") or "results",
    metavar="DIR",
    help="the store (default: $GFFN_RESULTS, else results)",
)
_ROOT = _option(
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


def _records(args):
    """By run the stored records of the profile, or of a part of it."""
    return _store(args).select(_runs(args))


@_command(
    "fetch data sets and print where they come from",
    "data sets that were fetched whole are kept, the one on its way is not",
    _option("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(datasets.DATASETS)}"),
    _option("--source", choices=datasets.SOURCES, default="auto"),
    _ROOT,
)
def _data(args):
    failed = 0
    print(f"{'name':14} {'train':>6} {'val':>6} {'test':>6}  {'sha256':12}  title; source")
    for name in args.names or datasets.DATASETS:
        try:
            data = datasets.load_dataset(name, root=args.root, source=args.source, report=tell)
        except (ValueError, OSError) as error:
            tell(f"gffn: {error}")
            failed = 1
            continue
        print(
            f"{name:14} {len(data.train_x):6} {len(data.val_x):6} {len(data.test_x):6}  "
            f"{data.sha256[:12]}  {data.title}; {data.source}"
        )
    return failed


@_command(
    "train the runs that the store lacks",
    "finished runs are in {results!r}; the same command goes on from them and from the last "
    "checkpoint of each unfinished run, of which there is one for every 60 seconds of training",
    *_GRID,
    _RESULTS,
    _DEVICE,
    _option("--workers", type=int, default=1, metavar="N", help="processes of one thread each"),
    _option(
        "--precision",
        choices=step.PRECISIONS,
        default="float32",
        help="of the training steps (default: float32)",
    ),
    _option(
        "--stack",
        type=int,
        metavar="M",
        help="train at most M runs together (default: what fits a GPU's free memory; 1 on a CPU)",
    ),
    _option("--engine", choices=("local", "ray"), default="local", help="ray: on a Ray cluster"),
    _option(
        "--address",
        metavar="HOST:PORT",
        help="of the Ray cluster's head, or auto "
        "(default: one that runs here, else a new one of this machine)",
    ),
    _ROOT,
)
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
    store = Store(args.results)
    trained = sweep.sweep(
        runs,
        store,
        device=args.device,
        root=args.root,
        workers=args.workers,
        precision=args.precision,
        stack_size=args.stack,
        engine=args.engine,
        address=args.address,
    )
    precisions = Counter(r["provenance"].get("precision", "float32") for r in store.select(runs).values())
    del precisions[args.precision]
    others = "".join(f", {count} of them in {name}" for name, count in precisions.items())
    print(f"{args.profile}: trained {trained}, {len(runs) - trained} were in the store{others}")


@_command("say which runs the store holds", "it only reads", *_GRID, _RESULTS)
def _status(args):
    runs, records = _runs(args), _records(args)
    cells = Counter((run.dataset, run.batch_size, run.loss) for run in runs)
    done = Counter((run.dataset, run.batch_size, run.loss) for run in records)
    print(f"{'data set':14} {'batch':>6}  {'loss':12} {'seeds':>6}")
    for cell, wanted in cells.items():
        print(f"{cell[0]:14} {cell[1]:6}  {cell[2]:12} {done[cell]:>3}/{wanted}")
    print(f"{args.profile}: {len(records)} of {len(runs)} runs")


@_command(
    "train some of the profile's runs again and compare",
    "of the second executions, those that finished are kept with --keep DIR, else none",
    *_GRID,
    _option("--count", type=int, default=5, metavar="N", help="how many, drawn at random (default: 5)"),
    _option("--draw", type=int, default=0, metavar="SEED", help="of the draw (default: 0)"),
    _option(
        "--keep",
        type=Path,
        metavar="DIR",
        help="another store, for the second executions; those it holds are not trained again",
    ),
    _DEVICE,
    _RESULTS,
    _ROOT,
)
def _verify(args):
    drawn = verify.draw(list(_records(args).values()), args.count, args.draw)
    if args.keep and args.keep.resolve() == Path(args.results).resolve():
        raise ValueError(
            f"--keep {args.keep} is the store of the first executions, with which they would agree; "
            "name another"
        )
    if args.keep:
        check_writable(args.keep / "runs")
    equal = 0
    with tempfile.TemporaryDirectory() as scratch:
        store = Store(args.keep or scratch)
        for number, record in enumerate(drawn, 1):
            run = Run.of(record["run"])
            tell(f"run {number} of {args.count}: {_name(run)}")
            row = verify.compare(record, verify.repeat(record, store, device=args.device, root=args.root))
            equal += row["equal"]
            weights = "equal to the bit" if row["equal"] else "differ"
            accuracy, ece = ("{:.4f}, again {:.4f}".format(*row[name]) for name in ("test_accuracy", "ece"))
            print(f"{_name(run)}: weights {weights}; accuracy {accuracy}; ECE {ece}", flush=True)
    print(f"{equal} of {args.count} runs have equal weights")


def _name(run):
    return f"{run.dataset:14} {run.batch_size:5} {run.loss:12} seed {run.seed}"


@_command(
    "measure the kept nets again with today's code, without training",
    "the records of the runs that it has named are rewritten, the others are as they were",
    *_GRID,
    _DEVICE,
    _RESULTS,
    _ROOT,
)
def _evaluate(args):
    """A run without weights here is skipped; other weights or data than the record's are a failure."""
    store, runs = _store(args), _runs(args)
    done = failed = 0
    for run, record in store.select(runs).items():
        if record["diverged"]:
            tell(f"{_name(run)}: skipped, it diverged")
            continue
        try:
            measured = verify.evaluate_again(record, store, device=args.device, root=args.root)
        except FileNotFoundError as error:
            tell(f"{_name(run)}: skipped, {error}")
            continue
        except ValueError as error:
            tell(f"{_name(run)}: refused, {error}")
            failed = 1
            continue
        done += 1
        what = f"all {measured.old} old values are the same to 6 digits"
        if changed := measured.changed:
            what = f"{len(changed)} of {measured.old} old values CHANGED ({', '.join(changed)})"
        added = f"; new: {', '.join(measured.added)}" if measured.added else ""
        print(f"{_name(run)}: {what}{added}", flush=True)
    print(f"{args.profile}: evaluated {done} of {len(runs)} runs")
    return failed


def _publish_table(table, args, name):
    """Write the published table; rows that it has and that were not measured now stay."""
    import pandas as pd

    from gffn_core.experiments import tables

    if table.empty:
        raise ValueError(
            f"no net of profile {args.profile!r} is kept here; `gffn sweep {args.profile}` trains them"
        )
    path = Path(args.results) / "published" / f"{name}_{args.profile}.csv"
    if path.exists():
        old = pd.read_csv(path, dtype={"code": str})  # a commit such as 420e193745 is no number
        by = [column for column in old.select_dtypes(exclude="float") if column in table and column != "code"]
        before, now = (pd.MultiIndex.from_frame(one[by].fillna("")) for one in (old, table))
        table = pd.concat([old[~before.isin(now)], table])
    tables.write(table.round(4), path)
    print(f"{path}: {len(table)} rows")


@_command(
    "score unfamiliar images with the field's detectors, on the kept nets",
    "nothing is written before all nets are done; the same command begins anew",
    *_GRID,
    _option(
        "--held-back",
        action="store_true",
        help="the images to choose by, which nothing is reported on, and the nets' own scores alone",
    ),
    _RESULTS,
    _ROOT,
)
def _detect(args):
    from gffn_core.experiments import detection

    table = detection.table(_runs(args), _store(args), args.root, choosing=args.held_back)
    _publish_table(table, args, "held_back" if args.held_back else "detection")


_SCHEMES = (*course.SCHEMES, course.LOWEST_NLL, course.LOWEST_SCALED_NLL)


@_command(
    "measure nets that differ in their seed alone, one by one and as ensembles, on the kept logits",
    "nothing is written before all is done; the same command begins anew",
    *_GRID,
    _option("--size", type=int, default=3, metavar="N", help="nets of an ensemble (default: 3)"),
    _option("--people", type=Path, metavar="FILE", help=".npy of people's answers to the test images"),
    _option("--schemes", nargs="+", choices=_SCHEMES, default=_SCHEMES, help="(default: all)"),
    _option("--recalibrate", action="store_true", help="by probmetrics, too, which has to be installed"),
    _RESULTS,
    _ROOT,
)
def _ensembles(args):
    from gffn_core.experiments import ensembles

    of = (1, args.size), args.root, args.people, args.recalibrate, args.schemes
    table = ensembles.table(_runs(args), _store(args), *of)
    _publish_table(table, args, "ensembles")


@_command(
    "test the thesis's claims on the profile's runs",
    "it only reads",
    _PROFILE,
    _RESULTS,
    _option("--second-opinion", action="store_true", help="note where sign flips or a mixed model disagree"),
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


@_command(
    "write the profile's results as a table, a row per run and scheme",
    "{file} is written whole or not at all",
    _PROFILE,
    _option("file", type=Path, metavar="FILE", help="ends in .csv or .parquet"),
    _RESULTS,
)
def _export(args):
    from gffn_core.experiments import tables

    table = tables.frame(_records(args).values())
    if table.empty:
        raise ValueError(f"the store {args.results} holds no run of {args.profile!r}")
    tables.write(table, args.file)
    print(f"{len(table)} rows: {args.file}")


@_command(
    "measure training speed here, beside plain PyTorch",
    "what it measured is lost: it is written at the end",
    _DEVICE,
    _option("--net", choices=model.WIDTHS, default="narrow"),
    _option("--seconds", type=float, default=1.0, metavar="S", help="per measurement (default: 1)"),
    _option("--json", type=Path, metavar="FILE", help="also write everything that was measured"),
)
def _bench(args):
    from gffn_core.engine import bench
    from gffn_core.experiments import contest, tried
    from gffn_core.pages import speed

    device = resolve_device(args.device)
    if args.json:
        check_writable(args.json.parent)
        if args.json.is_dir():
            raise ValueError(f"--json {args.json} is a folder; name a file")
    ways = {name: contest.settings(name)[0] for name in contest.CONTENDERS | contest.COMBINED}
    (ways["joint, references"],) = tried.options("joint", references=(tried.FOUR,))
    measured = bench.bench(device, model.WIDTHS[args.net], seconds=args.seconds, ways=ways, report=tell)
    print(speed.text(measured))
    if args.json:
        content = json.dumps(measured, indent=1).encode()
        write_atomically(args.json, lambda file: file.write(content))


@_command(
    "write the profile's records to results/published",
    "the published file is replaced whole or not at all",
    _PROFILE,
    _option("--drop", action="store_true", help="also if published records are lost by it"),
    _RESULTS,
)
def _publish(args):
    path, count = _store(args).publish(args.profile, _runs(args), drop=args.drop)
    print(f"{count} records, {path.stat().st_size / 1e6:.2f} MB: {path}")
