"""Train stacks of runs into a store: in this process, or in several.

On a CPU a stack has one thread, because the order of sums, and so the weights, depend on the threads.
"""

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed

import torch

from gffn_core.data.datasets import OUT_OF_DISTRIBUTION
from gffn_core.engine.plan import _position, datasets_of, images_of
from gffn_core.engine.process import _hand_back_freed_memory, settle, settled
from gffn_core.engine.stack import train_stack
from gffn_core.engine.tuning import bytes_per_run, choose_execution
from gffn_core.training.run import record_key


def largest_stack(run, dataset, device):
    """How many runs like this one the device's free memory holds at once; one on a CPU, which gains nothing by more."""
    if device == "cpu":
        return 1
    free, _ = torch.cuda.mem_get_info()
    return max(1, int(0.8 * free / bytes_per_run(run, dataset)))


def choose(runs, datasets, device, precision):
    """How to compute this stack (``tuning.choose_execution``), measured as it will run."""
    with settled(device):
        return choose_execution(runs, datasets[runs[0].dataset], device, precision)


def train_alone(runs, execution, *, device, **common):
    """Train a stack into the store in this process, see ``_train``."""
    with settled(device):
        _train(runs, execution, device=device, **common)


def _train(runs, execution, *, store, device, root, checkpoint_seconds, report, datasets=None):
    """Train a stack into the store. Where the device's memory does not suffice, in two halves.

    report(images) tells progress, report(images, True) that a run ended and so many images of its
    budget were not used. datasets: those of ``datasets_of``, if they are at hand.
    """
    common = {"store": store, "device": device, "root": root, "checkpoint_seconds": checkpoint_seconds}
    datasets = datasets or datasets_of(runs, root)
    dataset = datasets[runs[0].dataset]
    keys = {run: record_key(run, dataset.sha256) for run in runs}
    checkpoints = [store.checkpoint(keys[run]) for run in runs]
    begun = {}
    for run, checkpoint in zip(runs, checkpoints):
        epoch, step = _position(checkpoint)
        begun[run] = epoch * images_of(run, datasets) // run.epochs + step * run.batch_size
    left = list(runs)
    try:
        for result in train_stack(
            runs, dataset, device,
            execution=execution,
            out_of_distribution=datasets.get(OUT_OF_DISTRIBUTION.get(dataset.name)),
            checkpoints=checkpoints,
            save_checkpoint=lambda run, checkpoint: store.save_checkpoint(keys[run], checkpoint),
            checkpoint_seconds=checkpoint_seconds,
            on_images=report,
        ):
            store.save(result)
            left.remove(result.run)
            over = result.run.epochs - len(result.curves["val_nll"])
            report(begun[result.run] + over * images_of(result.run, datasets) // result.run.epochs, True)
        _hand_back_freed_memory()
        return
    except torch.OutOfMemoryError as error:
        if len(left) == 1:
            raise ValueError(
                f"{left[0]} does not fit into the memory of {device!r}, even alone; free some of it, or "
                "use device 'cpu'"
            ) from error
    torch.cuda.empty_cache()
    for half in (left[: len(left) // 2], left[len(left) // 2 :]):
        _train(half, execution, **common, report=report, datasets=datasets)


def train_in_processes(jobs, workers, common, report):
    """Train jobs (runs, execution) in so many processes; ``common`` holds the other arguments of ``_train``."""
    others = set(multiprocessing.active_children())
    spawn = multiprocessing.get_context("spawn")  # forking is unsafe once torch has threads
    messages = spawn.SimpleQueue()
    pool = ProcessPoolExecutor(workers, spawn, initializer=_start_worker, initargs=(messages,))
    listener = threading.Thread(target=lambda: [report(*m) for m in iter(messages.get, None)], daemon=True)
    listener.start()
    try:
        for future in as_completed([pool.submit(_train_job, job, common) for job in jobs]):
            future.result()
        messages.put(None)
        listener.join()
    except BaseException:
        # Not to wait for runs of minutes; a record is whole or absent whenever they end. The listener
        # is left alone: a worker that ends while it writes to the queue keeps the queue's lock.
        for worker in set(multiprocessing.active_children()) - others:
            worker.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _train_job(job, common):
    _train(*job, **common, report=lambda *message: _messages.put(message))


def _start_worker(messages):
    """One thread, deaf to Ctrl-C (the parent decides), and gone when the parent is."""
    global _messages
    _messages = messages
    settle()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow():
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
