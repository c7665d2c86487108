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
from types import SimpleNamespace

import torch

from gffn_core.data.files import packed, unpacked
from gffn_core.engine.plan import images_of, stacks_of
from gffn_core.engine.tuning import bytes_per_run
from gffn_core.engine.workers import choose, train_alone
from gffn_core.training.run import record_key

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
        self.placed = {name: ray.put(_arrays(dataset)) for name, dataset in datasets.items()}

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

    def choose(self, stacks, precision):
        """How to compute each stack, measured there."""
        task = self.ray.remote(_choose)
        return self.ray.get([
            task.options(**self.request(runs)).remote(runs, self.placed, self.device, precision)
            for runs in stacks
        ])

    def train(self, jobs, store, report, checkpoint_seconds):
        """Train the jobs (runs, execution) there into ``store`` here, longest first."""
        lost, task = self.ray.exceptions.RayError, self.ray.remote(_train)
        streams = {}  # of messages from a task: its runs that have not ended, losses in a row, their images

        def submit(runs, execution, losses=0):
            keys = [record_key(run, self.datasets[run.dataset].sha256) for run in runs]
            found = {key: packed(found) for key in keys if (found := store.checkpoint(key))}
            stream = task.options(num_returns="streaming", max_retries=0, **self.request(runs)).remote(
                runs, execution, self.placed, found, self.device, checkpoint_seconds
            )
            streams[stream] = SimpleNamespace(
                run=runs[0], left=list(runs), execution=execution, losses=losses, images=0
            )

        def seconds(runs):
            """Of a job, in some unit."""
            return sum(images_of(run, self.datasets) * (1 + STEP / run.batch_size) for run in runs)

        for runs, execution in sorted(jobs, key=lambda job: seconds(job[0]), reverse=True):
            submit(runs, execution)
        try:
            while streams:
                (stream,), _ = self.ray.wait(list(streams))
                job = streams[stream]
                try:
                    kind, *content = self.ray.get(next(stream))
                except StopIteration:
                    del streams[stream]
                    continue
                except lost as error:
                    cause = getattr(error, "cause", error)  # an exception of ours comes wrapped
                    if not isinstance(cause, lost):
                        raise cause from error
                    if job.losses == ATTEMPTS:
                        raise ChildProcessError(f"lost {ATTEMPTS + 1} times in a row: {job.left} ({cause})") from error
                    warnings.warn(f"a node or worker was lost ({type(cause).__name__}); its runs go on elsewhere")
                    del streams[stream]
                    report(-job.images)
                    for part in stacks_of(job.left, store, self.datasets):
                        submit(part, job.execution, job.losses + 1)
                    continue
                job.losses = 0
                if kind == "result":
                    store.save(*content)
                    job.left.remove(content[0].run)
                elif kind == "checkpoint":
                    store.save_checkpoint(content[0], unpacked(content[1]))
                else:
                    over = kind == "ended"  # then its images will not be trained on again
                    job.images += content[0] - over * images_of(job.run, self.datasets)
                    report(content[0], over)
        finally:
            for stream in streams:
                self.ray.cancel(stream, force=True)


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
    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(
            train_alone, runs, execution, store=outbox, device=device, root=None, datasets=_fetched(placed),
            checkpoint_seconds=checkpoint_seconds, report=outbox.report,
        )
        training.add_done_callback(lambda _: outbox.messages.put(None))
        for message in iter(outbox.messages.get, None):  # not `yield from`, as Ray may send to this generator
            yield message
        training.result()


def _choose(runs, placed, device, precision):
    return choose(runs, _fetched(placed), device, precision)


def _gpu_memory():
    return torch.cuda.get_device_properties(0).total_memory


def _arrays(dataset):
    """A data set as NumPy arrays, which processes of a node share in Ray's memory."""
    return dataclasses.replace(dataset, **{
        name: value.numpy() for name, value in vars(dataset).items() if isinstance(value, torch.Tensor)
    })


def _fetched(placed):
    import ray

    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the shared memory is read-only; nobody writes to it
        for name, dataset in zip(placed, ray.get(list(placed.values()))):
            tensors = {k: torch.from_numpy(v) for k, v in vars(dataset).items() if hasattr(v, "dtype")}
            found[name] = dataclasses.replace(dataset, **tensors)
    return found


def simulate(seconds, workers):
    """Runs of these seconds started in this order on equal workers: make-span, idle share, bound on any schedule."""
    free = [0.0] * workers
    for duration in seconds:
        heapq.heapreplace(free, free[0] + duration)
    bound = max(max(seconds), sum(seconds) / workers)
    return {"makespan": max(free), "idle": 1 - sum(seconds) / workers / max(free), "bound": bound}
