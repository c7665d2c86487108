"""The two ways to the records of runs: read them or train them."""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gffn_core.data.datasets import data_root
from gffn_core.data.files import check_writable, remove_orphans
from gffn_core.engine import cluster
from gffn_core.engine.plan import begun, datasets_of, images_of, jobs_of, resolve_device
from gffn_core.engine.workers import Workers
from gffn_core.experiments.store import Store
from gffn_core.training.run import Run, record_key


def results(
    runs: Sequence[Run],
    store: Store,
    *,
    train_missing: bool = False,
    device: str = "auto",
    root: str | Path | None = None,
) -> dict[Run, dict]:
    """The records of ``runs``: read, or with ``train_missing`` those on the data here, trained if missing.

    Without, runs that the store lacks are left out (and no data set is needed). ValueError if
    that leaves nothing. On a CPU up to four cores train.
    """
    versions = None
    if train_missing:
        workers = min(os.cpu_count(), 4) if resolve_device(device) == "cpu" else 1
        sweep(runs, store, device=device, root=root, workers=workers)
        versions = {name: dataset.sha256 for name, dataset in datasets_of(runs, root).items()}
    records = store.select(runs, versions)
    if not records:
        raise ValueError(
            f"{store.root} holds none of the {len(runs)} runs; train them with train_missing=True "
            "or `gffn sweep`"
        )
    return records


def sweep(
    runs: Sequence[Run],
    store: Store,
    *,
    device: str = "auto",
    root: str | Path | None = None,
    workers: int = 1,
    precision: str = "float32",
    stack_size: int | None = None,
    checkpoint_seconds: float = 60,
    engine: str = "local",
    address: str | None = None,
) -> int:
    """Train those of ``runs`` that the store lacks, with a progress bar; returns how many these were.

    device: "auto" takes a GPU if there is one. workers: processes; 1 trains in this one. On a CPU
    each has one thread, because the order of sums, and so the weights, depend on the threads.
    precision: as in ``train``. ValueError, before anything is trained, if a run was begun in another, or if
    its partner, which differs in the loss alone, was trained in another.
    stack_size: how many runs at most are trained together; by default as many as fit into a GPU's
    free memory, and one on a CPU, which gains nothing by more.
    engine: "local", or "ray" for the Ray cluster at ``address`` (see ``cluster.connect``), which then has
    the device and decides how many stacks run at once; ``workers`` is of the local engine. On CPUs of
    one kind the results are the same to the bit.

    Interrupted or killed, it loses what came after each unfinished run's last checkpoint, of which there is
    one every ``checkpoint_seconds`` of training (evaluation has none): finished runs are in the store,
    and starting again goes on from both. A run that diverges is recorded as such; any other failure
    stops the sweep, and a store that cannot be written to does so before anything is trained.
    """
    if engine not in ("local", "ray"):
        raise ValueError(f"engine={engine!r} is unknown; use 'local' or 'ray'")
    if engine == "local":
        device = resolve_device(device)
    for folder in (store.runs, store.published, data_root(root)):
        remove_orphans(folder)
    records = {record["key"]: record for record in store.records()}
    if not set(runs) <= {Run.of(record["run"]) for record in records.values()}:
        check_writable(store.runs)
    datasets = datasets_of(runs, root)
    missing = [run for run in runs if record_key(run, datasets[run.dataset].sha256) not in records]
    if not missing:
        return 0
    places = begun(missing, store, datasets)
    _refuse_another_precision(places, precision, store, records.values(), datasets)
    here = contextlib.nullcontext(Workers(workers, device, datasets, root))
    with here if engine == "local" else cluster.connect(address, device, datasets) as trainer:
        jobs = jobs_of(places, trainer, precision, stack_size)
        with progress(missing, datasets, trainer.device) as report:
            trainer.execute(jobs, store, report, checkpoint_seconds)
    return len(missing)


def _refuse_another_precision(places, precision, store, records, datasets):
    """ValueError for a run that was begun in another precision, or whose partner was trained in another."""

    def pair(run, data_sha256):
        return replace(run, loss="conditional", options=()), data_sha256

    done = {
        pair(Run.of(record["run"]), record["data"]["sha256"]): record
        for record in records
        if record["provenance"].get("precision", "float32") != precision
    }
    for run, (_, before) in places.items():
        data_sha256 = datasets[run.dataset].sha256
        if before not in (None, precision):
            raise ValueError(
                f"{run} was begun in {before} and cannot go on in {precision}; go on with "
                f"--precision {before}, or delete {store.runs / record_key(run, data_sha256)}.checkpoint"
            )
        if partner := done.get(pair(run, data_sha256)):
            other = partner["provenance"].get("precision", "float32")
            raise ValueError(
                f"{run} in {precision} would be paired with the run of loss={partner['run']['loss']!r} in "
                f"{other}; use --precision {other}, or another store (--results)"
            )


@contextlib.contextmanager
def progress(runs, datasets, device):
    """A bar over all images, and the function that moves it."""
    from tqdm import tqdm

    with tqdm(
        total=sum(images_of(run, datasets) for run in runs), unit=" images", unit_scale=True, smoothing=0
    ) as bar:
        done = 0

        def report(images, ended=False):
            """Images that were trained on; for a run that ended those of its budget that were not."""
            nonlocal done
            if ended:
                done += 1
                bar.total -= images
                bar.set_description(f"{done}/{len(runs)} runs on {device}")
            else:
                bar.update(images)

        yield report
