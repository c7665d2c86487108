"""The experiments as plain data, and the two ways to get their results: read them or run them.

A profile is a grid of runs. ``cpu`` is what two cores finish in hours, ``thesis`` the grid of the
thesis, ``colab`` what a lent GPU finishes within minutes, ``digits`` the whole book live on
scikit-learn's digits. The others differ from ``cpu`` in one choice that the thesis leaves open.
"""

import contextlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

import torch

from gffn_core import cluster
from gffn_core.data import data_root
from gffn_core.files import check_writable, remove_orphans
from gffn_core.model import WIDTHS
from gffn_core.stack import Execution
from gffn_core.store import Store, record_key
from gffn_core.training import Run
from gffn_core.workers import (
    choose, datasets_of, images_of, largest_stack, stacks_of, train_alone, train_in_processes,
)


@dataclass(frozen=True)
class Profile:
    """A grid of runs: every data set, loss, batch size and seed with every other.

    epochs: batch size -> epochs of the long scheme. Large batches get more epochs, yet fewer steps
    (the thesis stopped by a time limit instead). epoch_factor: multiplies them for a data set.
    settings: further fields of ``Run``; each combination is a part of the grid.
    """

    name: str
    datasets: tuple[str, ...]
    epochs: dict[int, int]
    seeds: tuple[int, ...] = (0,)
    losses: tuple[str, ...] = ("conditional", "joint")
    epoch_factor: dict[str, int] = field(default_factory=dict)
    settings: tuple[dict[str, object], ...] = ({},)

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        return tuple(self.epochs)

    def runs(
        self,
        datasets: Sequence[str] | None = None,
        *,
        batch_sizes: Sequence[int] | None = None,
        losses: Sequence[str] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> list[Run]:
        """The runs of the grid, or of the named part of it. ValueError for what the grid lacks."""
        chosen = {}
        for axis, values in (
            ("datasets", datasets),
            ("batch_sizes", batch_sizes),
            ("losses", losses),
            ("seeds", seeds),
        ):
            grid = getattr(self, axis)
            unknown = [value for value in values or () if value not in grid]
            if unknown:
                raise ValueError(f"profile {self.name!r} has no {axis} {unknown}; it has {grid}")
            chosen[axis] = grid if values is None else tuple(dict.fromkeys(values))
        return [
            Run(
                dataset=dataset,
                loss=loss,
                batch_size=batch_size,
                epochs=self.epochs[batch_size] * self.epoch_factor.get(dataset, 1),
                seed=seed,
                **settings,
            )
            for seed, batch_size, dataset, settings, loss in product(
                chosen["seeds"], chosen["batch_sizes"], chosen["datasets"], self.settings,
                chosen["losses"],
            )
        ]


THESIS_DATASETS = ("cifar10", "mnist", "fashion_mnist", "svhn")
# The SVHN subset holds a sixth of the others' images, so an epoch has a sixth of their steps.
SUBSET_FACTOR = {"svhn": 4}

CPU_EPOCHS = {4: 10, 8: 12, 16: 15, 32: 20, 64: 30, 128: 45, 256: 60, 512: 90, 1024: 120, 2048: 200}
# A small and a large batch of the profile cpu, for what differs from it in one choice.
_CHOICE = {"epochs": {64: 30, 1024: 120}, "seeds": (0, 1, 2)}

PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            "digits",
            ("digits", "digits_0_4"),
            epochs={16: 20, 64: 40, 256: 60},
            seeds=(0, 1, 2),
        ),
        Profile(
            "colab",
            THESIS_DATASETS,
            epochs={64: 3, 512: 6, 2048: 12},
            epoch_factor=SUBSET_FACTOR,
        ),
        Profile(
            "cpu",
            THESIS_DATASETS,
            epochs=CPU_EPOCHS,
            seeds=(0, 1, 2, 3, 4, 5),
            epoch_factor=SUBSET_FACTOR,
        ),
        Profile(
            "thesis",
            THESIS_DATASETS,
            epochs={4: 10, 8: 12, 16: 15, 32: 20, 64: 25, 128: 30, 256: 40, 512: 60, 1024: 80,
                    2048: 100},
            seeds=(0, 1, 2, 3, 4),
            epoch_factor=SUBSET_FACTOR,
            settings=({"width": WIDTHS["wide"], "patience": 5},),
        ),
        Profile(
            "binary",
            ("cifar10", "fashion_mnist"),
            epochs={size: CPU_EPOCHS[size] for size in (4, 16, 64, 256, 1024, 2048)},
            seeds=(0, 1, 2),
            settings=({"label_space": "binary"},),
        ),
        Profile("fast", ("cifar10",), **_CHOICE, settings=({"learning_rate": 3e-3},)),
        Profile("slow", ("cifar10",), **_CHOICE, settings=({"learning_rate": 3e-4},)),
        Profile("fewer", ("cifar10_10000",), **_CHOICE),
        Profile(
            "weight",
            ("cifar10_10000",),
            **_CHOICE,
            losses=("joint",),
            settings=tuple({"kl_weight": weight} for weight in (0.1, 0.3, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)),
        ),
        Profile("wide", ("cifar10",), **_CHOICE, settings=({"width": WIDTHS["wide"]},)),
    )
}


def profile(name: str) -> Profile:
    """A profile by name, or a ValueError that lists them."""
    if name not in PROFILES:
        raise ValueError(f"unknown profile {name!r}; use one of {', '.join(PROFILES)}")
    return PROFILES[name]


def results(
    runs: Sequence[Run],
    store: Store,
    *,
    train_missing: bool = False,
    device: str = "auto",
    root: str | Path | None = None,
) -> dict[Run, dict]:
    """The records of ``runs``: read, and with ``train_missing`` the others trained here and now.

    Without, runs that the store lacks are left out (and no data set is needed). ValueError if
    that leaves nothing. On a CPU up to four cores train.
    """
    if train_missing:
        workers = min(os.cpu_count(), 4) if choose_device(device) == "cpu" else 1
        sweep(runs, store, device=device, root=root, workers=workers)
    records = store.select(runs)
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
    the device and decides how many stacks run at once; ``workers`` is of the local engine. On a CPU the
    results are the same to the bit.

    Interrupted or killed, it loses what came after each unfinished run's last checkpoint, of which there is
    one every ``checkpoint_seconds`` of training (evaluation has none): finished runs are in the store,
    and starting again goes on from both. A run that diverges is recorded as such; any other failure
    stops the sweep, and a store that cannot be written to does so before anything is trained.
    """
    if engine not in ("local", "ray"):
        raise ValueError(f"engine={engine!r} is unknown; use 'local' or 'ray'")
    if engine == "local":
        device = choose_device(device)
    for folder in (store.runs, store.published, data_root() if root is None else Path(root)):
        remove_orphans(folder)
    records = {record["key"]: record for record in store.records()}
    if not set(runs) <= {Run(**record["run"]) for record in records.values()}:
        check_writable(store.runs)
    datasets = datasets_of(runs, root)
    missing = [run for run in runs if record_key(run, datasets[run.dataset].sha256) not in records]
    if not missing:
        return 0
    _refuse_another_precision(missing, precision, store, records.values(), datasets)
    if engine == "ray":
        with cluster.connect(address, device, datasets) as nodes:
            jobs = _jobs(
                missing, store, datasets,
                lambda run: stack_size or nodes.stack_size(run, len(missing)),
                lambda stacks: nodes.choose(stacks, precision),
            )
            with _progress(missing, datasets, nodes.device) as report:
                nodes.train(jobs, store, report, checkpoint_seconds)
        return len(missing)
    jobs = _jobs(
        missing, store, datasets,
        lambda run: stack_size or largest_stack(run, datasets[run.dataset], device),
        lambda stacks: [choose(stack, datasets, device, precision) for stack in stacks],
    )
    common = {"store": store, "device": device, "root": root, "checkpoint_seconds": checkpoint_seconds}
    with _progress(missing, datasets, device) as report:
        if workers > 1:
            train_in_processes(jobs, workers, common, report)
        else:
            for job in jobs:
                train_alone(*job, **common, datasets=datasets, report=report)
    return len(missing)


def _refuse_another_precision(runs, precision, store, records, datasets):
    """ValueError for a run that was begun in another precision, or whose partner was trained in another."""

    def pair(run, data_sha256):
        return replace(run, loss="joint", kl_weight=1.0), data_sha256

    done = {pair(Run(**record["run"]), record["data"]["sha256"]): record for record in records
            if record["provenance"].get("precision", "float32") != precision}
    for run in runs:
        data_sha256 = datasets[run.dataset].sha256
        key = record_key(run, data_sha256)
        begun = store.checkpoint(key)
        if begun and begun["precision"] != precision:
            raise ValueError(
                f"{run} was begun in {begun['precision']} and cannot go on in {precision}; go on with "
                f"--precision {begun['precision']}, or delete {store.runs / key}.checkpoint"
            )
        if partner := done.get(pair(run, data_sha256)):
            other = partner["provenance"].get("precision", "float32")
            raise ValueError(
                f"{run} in {precision} would be paired with the run of loss={partner['run']['loss']!r} in "
                f"{other}; use --precision {other}, or another store (--results)"
            )


@contextlib.contextmanager
def _progress(runs, datasets, device):
    """A bar over all images, and the function that moves it."""
    from tqdm import tqdm

    with tqdm(total=sum(images_of(run, datasets) for run in runs), unit=" images",
              unit_scale=True, smoothing=0) as bar:
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


def _jobs(runs, store, datasets, stack_size, choose):
    """The runs as stacks, each with the way to compute it, in the order of ``runs``.

    stack_size: of a run to how many like it make a stack at most. choose: of stacks to executions.
    """
    stacks = [
        members[start : start + size]
        for members in stacks_of(runs, store, datasets)
        for size in [stack_size(members[0])]
        for start in range(0, len(members), size)
    ]

    def case(stack):
        run = stack[0]
        return datasets[run.dataset].train_x.shape[1:], run.width, run.batch_size, len(stack)

    cases = {case(stack): stack for stack in reversed(stacks)}
    chosen = dict(zip(cases, choose(list(cases.values()))))
    return [(stack, chosen[case(stack)]) for stack in stacks]


def repeat(record: dict, store: Store, *, device: str = "auto", root: str | Path | None = None) -> dict:
    """Train the run of a record again, alone, in the precision it had, into another store; returns the new record.

    With a progress bar, like ``sweep``. What that store holds already is not trained again. On the machine,
    device and versions of the first time the weights are equal to the bit (``provenance.weights_sha256``) if
    it was alone in its stack; elsewhere metrics agree within the spread of seeds. ValueError if the data set
    here is another one.
    """
    device = choose_device(device)
    run = Run(**record["run"])
    datasets = datasets_of([run], root)
    if datasets[run.dataset].sha256 != record["data"]["sha256"]:
        raise ValueError(
            f"{run.dataset} is not what the record was made from: SHA-256 "
            f"{datasets[run.dataset].sha256[:12]}... here, {record['data']['sha256'][:12]}... there"
        )
    if not store.select([run]):
        with _progress([run], datasets, device) as report:
            train_alone(
                [run], Execution(record["provenance"].get("precision", "float32")),
                store=store, device=device, root=root, checkpoint_seconds=math.inf,
                report=report, datasets=datasets,
            )
    return store.select([run])[run]


def choose_device(device: str) -> str:
    """ "auto" -> "cuda" where there is one, else "cpu"; anything else stays, if it is available."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device='cuda' is not available here; use 'cpu' or 'auto'")
    return device
