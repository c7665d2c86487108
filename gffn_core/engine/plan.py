"""What has to be trained, as stacks of runs that go on together."""

import functools
import sys

import torch

from gffn_core.data.datasets import OUT_OF_DISTRIBUTION, SUBSETS, Dataset, data_root, load_dataset
from gffn_core.engine.process import hand_back_freed_memory
from gffn_core.engine.stack import shape_key
from gffn_core.training.course import CURVES
from gffn_core.training.run import record_key


def tell(line: str) -> None:
    """Say what goes on, on standard error: standard output is for results."""
    print(line, file=sys.stderr, flush=True)


def datasets_of(runs, root) -> dict[str, Dataset]:
    """By name the data sets of the runs and those that are out of their distribution."""
    names = {run.dataset for run in runs}
    names |= {OUT_OF_DISTRIBUTION[name] for name in names if name in OUT_OF_DISTRIBUTION}
    return {name: _load_dataset(name, root, _state(name, root)) for name in sorted(names)}


def _state(name, root):
    """Of the file that a data set is read from, when it was written and its size; None for no file."""
    whole, *_ = SUBSETS.get(name, (name,))
    path = data_root(root) / f"{whole}.npz"
    return (path.stat().st_mtime_ns, path.stat().st_size) if path.exists() else None


# A worker trains many runs; reading and hashing takes a second each time.
@functools.cache
def _load_dataset(name, root, state):
    dataset = load_dataset(name, root=root, report=tell)
    hand_back_freed_memory()
    return dataset


def begun(runs, store, datasets):
    """Of each run where it is, see ``position_of``, and the precision it was begun in, None for none.

    ValueError for a run that another version of this package began, as its curves are other ones.
    """
    places = {}
    for run in runs:
        key = record_key(run, datasets[run.dataset].sha256)
        checkpoint = store.checkpoint(key)
        if checkpoint and set(checkpoint["course"]["curves"]) != set(CURVES):
            raise ValueError(
                f"{run} was begun by another version, which keeps other curves; delete {key}.checkpoint to"
                " begin it anew"
            )
        places[run] = position_of(checkpoint), checkpoint and checkpoint["precision"]
    return places


def stacks_of(begun):
    """The runs that can go on together: of one shape and at the same step."""
    stacks = {}
    for run, (position, _) in begun.items():
        stacks.setdefault((shape_key(run), position), []).append(run)
    return list(stacks.values())


def position_of(checkpoint):
    """Completed epochs, and steps taken in the next one."""
    return (checkpoint["course"]["epoch"], checkpoint["within"]["position"]) if checkpoint else (0, 0)


def images_of(run, datasets):
    """How many images a run trains on at most."""
    return run.epochs * (len(datasets[run.dataset].train_x) // run.batch_size) * run.batch_size


def jobs_of(begun, engine, precision, stack_size):
    """The runs as stacks, each with the way to compute it, in the order of ``begun``.

    engine: ``Workers`` or ``Cluster``, which says how many runs make a stack, unless ``stack_size``
    does, and what way is the fastest; it is asked once for all stacks that are alike.
    """
    stacks = [
        members[start : start + size]
        for members in stacks_of(begun)
        for size in [stack_size or engine.stack_size(members[0], len(begun))]
        for start in range(0, len(members), size)
    ]

    def case(stack):
        run = stack[0]
        net = engine.datasets[run.dataset].train_x.shape[1:], run.width, run.norm, bool(run.dropout)
        return net, run.batch_size, len(stack)

    cases = {case(stack): stack for stack in reversed(stacks)}
    executions = dict(zip(cases, engine.tune(list(cases.values()), precision)))
    return [(stack, executions[case(stack)]) for stack in stacks]


def resolve_device(device: str) -> str:
    """ "auto" -> "cuda" where there is one, else "cpu"; anything else stays, if it is available."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device='cuda' is not available here; use 'cpu' or 'auto'")
    return device
