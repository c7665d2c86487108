"""A sweep on a Ray cluster: stacks are tasks, and what they find streams to the driver, which alone writes.

What Ray does, Ray does: it places tasks, shares GPUs, brings a data set to a node once, and notices that a
node is gone. A lost stack is submitted again here, from its latest checkpoints. Ray's own retry would start
from the first arguments and asks that a stream repeats itself, but checkpoints come by the clock.
"""

import contextlib
import dataclasses
import heapq
import math
import os
import queue
import socket
import warnings
from concurrent.futures import ThreadPoolExecutor

import torch

from gffn_core.data.files import packed, unpacked
from gffn_core.engine.plan import begun, images_of, stacks_of
from gffn_core.engine.process import settled
from gffn_core.engine.stack import Execution
from gffn_core.engine.tuning import bytes_per_run
from gffn_core.engine.workers import Workers, train_into
from gffn_core.training.run import Run, record_key

CONTEXT = 2**30  # bytes of a GPU that a process takes beside its tensors, generously
STEP = 20  # a step takes as long as this many further images (narrow net on a CPU)
ATTEMPTS = 5  # a stack that is lost more often, with no news between, is at fault itself


@contextlib.contextmanager
def connect(address, device, datasets):
    """A ``Cluster`` at ``address``, connected within a ``with``.

    address: "host:port" of the head, "auto" for the cluster that this machine belongs to; None for
    $RAY_ADDRESS, else one that runs here, else a new one of this machine's cores and GPUs.
    ValueError if Ray is missing, ConnectionError if nobody answers.
    """
    try:
        import ray
    except ImportError as error:
        raise ValueError("engine='ray' needs Ray: `pip install ray`, the extra gffn-core[cluster]") from error
    ours = not ray.is_initialized()
    if ours:
        where = address or os.environ.get("RAY_ADDRESS")
        try:
            if where not in (None, "auto", "local"):  # Ray itself would try for two minutes
                host, _, port = where.rpartition(":")
                socket.create_connection((host, int(port)), timeout=5).close()
            ray.init(address, log_to_driver=False, logging_level="ERROR")
        except (Exception, SystemExit) as error:
            raise ConnectionError(
                f"no Ray cluster at {where or 'this machine'} ({error}); start one with `ray start --head`, "
                "name the address that it prints (host:6379), or leave the address out to use this machine"
            ) from error
    try:
        yield Cluster(ray, device, datasets)
    finally:
        if ours:
            ray.shutdown()  # which ends our tasks


class Cluster:
    """A Ray cluster that holds the data sets of a sweep. device: "auto" takes GPUs if there are any."""

    def __init__(self, ray, device, datasets):
        self.gpus = ray.cluster_resources().get("GPU", 0)
        if device == "cuda" and not self.gpus:
            raise ValueError("device='cuda': no node of the cluster has a GPU; use 'cpu' or 'auto'")
        self.ray, self.datasets = ray, datasets
        self.device = device if device != "auto" else "cuda" if self.gpus else "cpu"
        if self.device == "cuda":
            probe = ray.remote(num_cpus=0, num_gpus=0.01, scheduling_strategy="SPREAD")(_gpu_memory)
            self.gpu_memory = min(ray.get([probe.remote() for _ in range(math.ceil(self.gpus))]))
        self.placed = {
            name: ray.put(_converted(dataset, torch.Tensor.numpy)) for name, dataset in datasets.items()
        }

    def stack_size(self, run, runs):
        """How many of a sweep's ``runs`` fit into a stack: what a GPU holds, yet work for every GPU."""
        if self.device == "cpu":
            return 1
        fitting = (0.8 * self.gpu_memory - CONTEXT) / bytes_per_run(run, self.datasets[run.dataset])
        return max(1, min(int(fitting), math.ceil(runs / self.gpus)))

    def request(self, runs):
        """What a stack needs of a node; a small one a fraction of a GPU."""
        if self.device == "cpu":
            return {"num_cpus": 1}
        need = CONTEXT + len(runs) * bytes_per_run(runs[0], self.datasets[runs[0].dataset])
        return {"num_cpus": 1, "num_gpus": min(1, math.ceil(100 * need / (0.8 * self.gpu_memory)) / 100)}

    def tune(self, stacks, precision):
        """How to compute each stack, measured there."""
        task = self.ray.remote(_tune)
        return self.ray.get(
            [
                task.options(**self.request(runs)).remote(runs, self.placed, self.device, precision)
                for runs in stacks
            ]
        )

    def execute(self, jobs, store, report, checkpoint_seconds):
        """As ``Workers.execute``: train the jobs there into ``store`` here, longest first."""
        tasks = {}  # by the stream of their messages

        def submit(runs, execution, losses=0):
            stream = self._submit(runs, execution, store, checkpoint_seconds)
            tasks[stream] = Task(runs[0], list(runs), execution, losses)

        for runs, execution in sorted(jobs, key=lambda job: self._seconds(job[0]), reverse=True):
            submit(runs, execution)
        try:
            while tasks:
                (stream,), _ = self.ray.wait(list(tasks))
                task = tasks[stream]
                try:
                    message = self.ray.get(next(stream))
                except StopIteration:
                    del tasks[stream]
                except self.ray.exceptions.RayError as error:
                    self._bear(error, task)
                    del tasks[stream]
                    report(-task.images)
                    for part in stacks_of(begun(task.left, store, self.datasets)):
                        submit(part, task.execution, task.losses + 1)
                else:
                    self._take_in(message, task, store, report)
        finally:
            for stream in tasks:
                self.ray.cancel(stream, force=True)

    def _submit(self, runs, execution, store, checkpoint_seconds):
        keys = [record_key(run, self.datasets[run.dataset].sha256) for run in runs]
        checkpoints = {key: packed(checkpoint) for key in keys if (checkpoint := store.checkpoint(key))}
        task = self.ray.remote(_train).options(num_returns="streaming", max_retries=0, **self.request(runs))
        return task.remote(runs, execution, self.placed, checkpoints, self.device, checkpoint_seconds)

    def _seconds(self, runs):
        """Of a job, in some unit."""
        return sum(images_of(run, self.datasets) * (1 + STEP / run.batch_size) for run in runs)

    def _bear(self, error, task):
        """Warn that a task was lost; raise what is no loss but an error of ours, or one loss too many."""
        cause = getattr(error, "cause", error)  # an exception of ours comes wrapped
        if not isinstance(cause, self.ray.exceptions.RayError):
            raise cause from error
        if task.losses == ATTEMPTS:
            raise ChildProcessError(f"lost {ATTEMPTS + 1} times in a row: {task.left} ({cause})") from error
        warnings.warn(
            f"a node or worker was lost ({type(cause).__name__}); its runs go on elsewhere", stacklevel=3
        )

    def _take_in(self, message, task, store, report):
        kind, *content = message
        task.losses = 0
        if kind == "result":
            store.save(*content)
            task.left.remove(content[0].run)
        elif kind == "checkpoint":
            store.save_checkpoint(content[0], unpacked(content[1]))
        else:
            ended = kind == "ended"  # then its images will not be trained on again
            task.images += content[0] - ended * images_of(task.run, self.datasets)
            report(content[0], ended)


@dataclasses.dataclass
class Task:
    """A stack on its way: one of its runs, those that have not ended, losses in a row, images reported."""

    run: Run
    left: list[Run]
    execution: Execution
    losses: int
    images: int = 0


class Outbox:
    """Stands in for the store where a stack is trained: what is saved becomes a message to the driver."""

    def __init__(self, checkpoints):
        self.checkpoints, self.messages = checkpoints, queue.SimpleQueue()

    def checkpoint(self, key):
        return unpacked(self.checkpoints[key]) if key in self.checkpoints else None

    def save_checkpoint(self, key, checkpoint):
        self.checkpoints[key] = packed(checkpoint)
        self.messages.put(("checkpoint", key, self.checkpoints[key]))

    def save(self, result):
        self.messages.put(("result", result))

    def report(self, images, ended=False):
        self.messages.put(("ended" if ended else "images", images))


def _train(runs, execution, placed, checkpoints, device, checkpoint_seconds):
    outbox = Outbox(checkpoints)

    def train():
        with settled(device):  # this thread
            train_into(outbox, runs, execution, _fetched(placed), device, outbox.report, checkpoint_seconds)

    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(train)
        training.add_done_callback(lambda _: outbox.messages.put(None))
        for message in iter(outbox.messages.get, None):  # not `yield from`, as Ray may send to this generator
            yield message
        training.result()


def _tune(runs, placed, device, precision):
    return Workers(1, device, _fetched(placed)).tune([runs], precision)[0]


def _gpu_memory():
    return torch.cuda.get_device_properties(0).total_memory


def _converted(dataset, convert):
    """A data set with other arrays: NumPy's are those that processes of a node share in Ray's memory."""
    arrays = {name: convert(value) for name, value in vars(dataset).items() if hasattr(value, "dtype")}
    return dataclasses.replace(dataset, **arrays)


def _fetched(placed):
    import ray

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the shared memory is read-only; nobody writes to it
        datasets = ray.get(list(placed.values()))
        return {name: _converted(dataset, torch.from_numpy) for name, dataset in zip(placed, datasets)}


def simulate(seconds, workers):
    """Runs of these seconds, started in this order on equal workers: make-span, idle share, lower bound."""
    free = [0.0] * workers
    for duration in seconds:
        heapq.heapreplace(free, free[0] + duration)
    bound = max(max(seconds), sum(seconds) / workers)
    return {"makespan": max(free), "idle": 1 - sum(seconds) / workers / max(free), "bound": bound}
