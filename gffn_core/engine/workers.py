"""The engine of this machine: stacks of runs trained into a store, in this process or in several."""

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed

import torch

from gffn_core.data.datasets import OUT_OF_DISTRIBUTION
from gffn_core.engine.plan import datasets_of, images_of, position_of
from gffn_core.engine.process import hand_back_freed_memory, settle, settled
from gffn_core.engine.stack import train_stack
from gffn_core.engine.tuning import bytes_per_run, fastest_execution
from gffn_core.training.run import record_key

# Forking is unsafe once torch has threads. A server has none, and imports it once for all workers.
START = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


class Workers:
    """This machine as an engine, with the interface of ``cluster.Cluster``.

    count: of processes; 1 trains in this one. On a CPU each has one thread, because the order of sums, and
    so the weights, depend on the threads. device: "cpu" or "cuda". root: where processes find the data sets.
    """

    def __init__(self, count, device, datasets, root=None):
        self.count, self.device, self.datasets, self.root = count, device, datasets, root

    def stack_size(self, run, runs):
        """How many runs like this one the free memory holds; one on a CPU, which gains nothing by more."""
        if self.device == "cpu":
            return 1
        free, _ = torch.cuda.mem_get_info()
        return max(1, int(0.8 * free / bytes_per_run(run, self.datasets[run.dataset])))

    def tune(self, stacks, precision):
        """How to compute each stack, measured as it will run."""
        with settled(self.device):
            return [
                fastest_execution(runs, self.datasets[runs[0].dataset], self.device, precision)
                for runs in stacks
            ]

    def execute(self, jobs, store, report, checkpoint_seconds):
        """Train the jobs (runs, execution) into ``store``, in their order.

        report(images) tells progress, report(images, True) that a run ended and so many images of its
        budget were not used.
        """
        count = min(self.count, len(jobs))  # a process has to import torch, which takes seconds
        if count > 1:
            common = {"device": self.device, "store": store, "checkpoint_seconds": checkpoint_seconds}
            return _in_processes(count, jobs, self.root, common, report)
        with settled(self.device):
            for runs, execution in jobs:
                train_into(store, runs, execution, self.datasets, self.device, report, checkpoint_seconds)


def train_into(store, runs, execution, datasets, device, report, checkpoint_seconds):
    """Train a stack into the store, in a settled thread. Where the memory does not suffice, in two halves.

    report: see ``Workers.execute``.
    """
    dataset = datasets[runs[0].dataset]
    keys = {run: record_key(run, dataset.sha256) for run in runs}
    checkpoints = {run: store.checkpoint(keys[run]) for run in runs}
    left = list(runs)
    try:
        for result in train_stack(
            runs,
            dataset,
            device,
            execution=execution,
            out_of_distribution=datasets.get(OUT_OF_DISTRIBUTION.get(dataset.name)),
            checkpoints=list(checkpoints.values()),
            save_checkpoint=lambda run, checkpoint: store.save_checkpoint(keys[run], checkpoint),
            checkpoint_seconds=checkpoint_seconds,
            on_images=report,
        ):
            store.save(result)
            left.remove(result.run)
            report(_unused(result, checkpoints[result.run], datasets), True)
        hand_back_freed_memory()
        return
    except torch.OutOfMemoryError as error:
        if len(left) == 1:
            raise ValueError(
                f"{left[0]} does not fit into the memory of {device!r}, even alone; free some of it, or "
                "use device 'cpu'"
            ) from error
    torch.cuda.empty_cache()
    for half in (left[: len(left) // 2], left[len(left) // 2 :]):
        train_into(store, half, execution, datasets, device, report, checkpoint_seconds)


def _unused(result, checkpoint, datasets):
    """How many images of a run's budget came before its checkpoint, or would have come after its end."""
    run, (epoch, step) = result.run, position_of(checkpoint)
    over = run.epochs - len(result.curves["val_nll"])
    return (epoch + over) * images_of(run, datasets) // run.epochs + step * run.batch_size


def _in_processes(count, jobs, root, common, report):
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context(START)
    context.set_forkserver_preload([__name__])
    messages = context.SimpleQueue()
    pool = ProcessPoolExecutor(count, context, initializer=_start_worker, initargs=(messages,))
    listener = threading.Thread(target=lambda: [report(*m) for m in iter(messages.get, None)], daemon=True)
    listener.start()
    try:
        for future in as_completed([pool.submit(_in_worker, *job, root, common) for job in jobs]):
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


def _in_worker(runs, execution, root, common):
    train_into(
        runs=runs,
        execution=execution,
        datasets=datasets_of(runs, root),
        report=lambda *message: _messages.put(message),
        **common,
    )


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
