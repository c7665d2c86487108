"""The experiments as plain data, and the two ways to get their results: read them or run them.

A profile is a grid of runs. ``cpu`` is what two cores finish in hours, ``thesis`` the grid of the
thesis, ``colab`` what a lent GPU finishes within minutes, ``digits`` the whole book live on
scikit-learn's digits.
"""

import ctypes
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import torch

from gffn_core.data import Dataset, load_dataset
from gffn_core.model import WIDTHS
from gffn_core.store import Store, record_key
from gffn_core.training import PRECISIONS, Normalise, Run, initial_model, stepper, train

# Thesis 5.3.1 sets CIFAR-10 against SVHN. It leaves MNIST against Fashion-MNIST out as too
# different; the book shows it beside the others.
OUT_OF_DISTRIBUTION = {
    "cifar10": "svhn",
    "svhn": "cifar10",
    "mnist": "fashion_mnist",
    "fashion_mnist": "mnist",
    "digits_0_4": "digits_5_9",
}


@dataclass(frozen=True)
class Profile:
    """A grid of runs: every data set, loss, batch size and seed with every other.

    epochs: batch size -> epochs of the long scheme. Large batches get more epochs, yet fewer steps
    (the thesis stopped by a time limit instead). epoch_factor: multiplies them for a data set.
    """

    name: str
    datasets: tuple[str, ...]
    epochs: dict[int, int]
    seeds: tuple[int, ...] = (0,)
    losses: tuple[str, ...] = ("conditional", "joint")
    label_spaces: tuple[str, ...] = ("categorical",)
    width: int = WIDTHS["narrow"]
    patience: int = 3
    epoch_factor: dict[str, int] = field(default_factory=dict)

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
                label_space=label_space,
                patience=self.patience,
                width=self.width,
            )
            for seed, batch_size, dataset, label_space, loss in product(
                chosen["seeds"],
                chosen["batch_sizes"],
                chosen["datasets"],
                self.label_spaces,
                chosen["losses"],
            )
        ]


THESIS_DATASETS = ("cifar10", "mnist", "fashion_mnist", "svhn")
# The SVHN subset holds a sixth of the others' images, so an epoch has a sixth of their steps.
SUBSET_FACTOR = {"svhn": 4}

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
            epochs={64: 5, 512: 10, 2048: 20},
            epoch_factor=SUBSET_FACTOR,
        ),
        Profile(
            "cpu",
            THESIS_DATASETS,
            epochs={4: 10, 16: 15, 64: 30, 256: 60, 1024: 120, 2048: 200},
            seeds=(0, 1, 2),
            epoch_factor=SUBSET_FACTOR,
        ),
        Profile(
            "thesis",
            THESIS_DATASETS,
            epochs={4: 10, 8: 12, 16: 15, 32: 20, 64: 25, 128: 30, 256: 40, 512: 60, 1024: 80,
                    2048: 100},
            seeds=(0, 1, 2, 3, 4),
            width=WIDTHS["wide"],
            patience=5,
            epoch_factor=SUBSET_FACTOR,
        ),
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
    workers: int = 1,
) -> dict[Run, dict]:
    """The records of ``runs``: read, and with ``train_missing`` the others trained here and now.

    Without, runs that the store lacks are left out (and no data set is needed). ValueError if
    that leaves nothing.
    """
    if train_missing:
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
    precision: str = "auto",
) -> int:
    """Train those of ``runs`` that the store lacks, with a progress bar; returns how many these were.

    device: "auto" takes a GPU if there is one. workers: processes; 1 trains in this one. A run has
    one thread either way, because the order of sums, and so the weights, depend on the threads.
    Interrupting loses at most the runs in progress: finished ones are in the store, and starting
    again goes on from there. The first failure stops the sweep; a run that diverges is no failure.
    precision: as in ``train``, or "auto", see ``choose_precision``.
    """
    from tqdm import tqdm

    device = choose_device(device)
    datasets = _datasets(runs, root)
    stored = {record["key"] for record in store.records()}
    missing = [run for run in runs if record_key(run, datasets[run.dataset].sha256) not in stored]
    if not missing:
        return 0
    images = {name: len(dataset.train_x) for name, dataset in datasets.items()}
    _keep_freed_memory()
    precisions = choose_precisions(missing, datasets, device, precision)
    total = sum(run.epochs * images[run.dataset] for run in missing)
    with tqdm(total=total, unit=" images", unit_scale=True, smoothing=0) as bar:
        done = 0

        def finished():
            nonlocal done
            done += 1
            bar.set_description(f"{done}/{len(missing)} runs on {device}")

        if workers == 1:
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            try:
                for run in missing:
                    _train_one(
                        run, store, device, root, precisions[run], datasets,
                        lambda epoch, n=images[run.dataset]: bar.update(n),
                    )
                    finished()
            finally:
                torch.set_num_threads(threads)
            return len(missing)
        others = set(multiprocessing.active_children())
        spawn = multiprocessing.get_context("spawn")  # forking is unsafe once torch has threads
        pool = ProcessPoolExecutor(workers, spawn, initializer=_start_worker)
        try:
            futures = {
                pool.submit(_train_one, run, store, device, root, precisions[run]): run
                for run in missing
            }
            for future in as_completed(futures):
                future.result()
                bar.update(futures[future].epochs * images[futures[future].dataset])
                finished()
        except BaseException:
            # Not to wait for runs of minutes; a record is whole or absent whenever they end.
            for worker in set(multiprocessing.active_children()) - others:
                worker.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
    return len(missing)


def choose_device(device: str) -> str:
    """ "auto" -> "cuda" where there is one, else "cpu"; anything else stays, if it is available."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device='cuda' is not available here; use 'cpu' or 'auto'")
    return device


def choose_precisions(
    runs: Sequence[Run], datasets: dict[str, Dataset], device: str, precision: str = "auto"
) -> dict[Run, str]:
    """The precision of each run: the named one, or for "auto" the faster by a short measurement.

    On a CPU, bfloat16 is chosen per image size, width and batch size where it makes a step at
    least a tenth faster than float32 (0.5 to 3 s per choice). Which it was is in each record.
    """
    if precision != "auto" or device != "cpu":
        return dict.fromkeys(runs, "float32" if precision == "auto" else precision)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = {}
    try:
        for run in runs:
            cell = datasets[run.dataset].train_x.shape[1:], run.width, run.batch_size
            if cell not in found:
                seconds = {name: _seconds_a_step(run, datasets[run.dataset], name) for name in PRECISIONS}
                faster = seconds["bfloat16"] < 0.9 * seconds["float32"]
                found[cell] = "bfloat16" if faster else "float32"
    finally:
        torch.set_num_threads(threads)
    return {
        run: found[datasets[run.dataset].train_x.shape[1:], run.width, run.batch_size] for run in runs
    }


def _seconds_a_step(run, dataset, precision):
    images, labels = dataset.train_x[: run.batch_size], dataset.train_y[: run.batch_size]
    prepare = Normalise(images, torch.device("cpu"))
    model = initial_model(run, dataset).to(memory_format=torch.channels_last)
    take_step = stepper(run, model, prepare, precision)
    take_step(images, labels)
    times = []
    for _ in range(3 + 200 // run.batch_size):
        started = time.perf_counter()
        take_step(images, labels)
        times.append(time.perf_counter() - started)
    return min(times)


def _keep_freed_memory():
    """Have the C library keep freed memory instead of handing it back to the system.

    glibc maps every large tensor afresh, and the system fills it with zeros, page by page; at batch
    size 2048 that is half of a step on a CPU. Elsewhere nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    m_trim_threshold, m_mmap_max = -1, -4  # malloc.h
    mallopt(m_mmap_max, 0)
    mallopt(m_trim_threshold, -1)


def _start_worker():
    """One thread, deaf to Ctrl-C (the parent decides), and gone when the parent is."""
    torch.set_num_threads(1)
    _keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow():
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _train_one(run, store, device, root, precision, datasets=None, on_epoch=lambda epoch: None):
    datasets = datasets or _datasets([run], root)
    foreign = datasets.get(OUT_OF_DISTRIBUTION.get(run.dataset))
    store.save(
        train(
            run, datasets[run.dataset], device,
            precision=precision, out_of_distribution=foreign, on_epoch=on_epoch,
        )
    )


def _datasets(runs, root) -> dict[str, Dataset]:
    names = {run.dataset for run in runs}
    names |= {OUT_OF_DISTRIBUTION[name] for name in names if name in OUT_OF_DISTRIBUTION}
    return {name: load_dataset(name, root=root) for name in sorted(names)}
