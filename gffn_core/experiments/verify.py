"""Kept results put to the test: second executions compared with the first, kept nets measured again."""

import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from gffn_core.data.datasets import OUT_OF_DISTRIBUTION, Dataset
from gffn_core.engine.plan import datasets_of, resolve_device
from gffn_core.engine.process import settled
from gffn_core.engine.stack import Execution
from gffn_core.engine.workers import Workers
from gffn_core.experiments.store import Store
from gffn_core.experiments.sweep import progress
from gffn_core.training.course import Result, measure
from gffn_core.training.provenance import provenance
from gffn_core.training.run import Normalise, Run, initial_model


def draw(records: Sequence[dict], count: int, seed: int) -> list[dict]:
    """So many of the records at random, without those that diverged. ValueError if there are fewer."""
    records = [record for record in records if not record["diverged"]]
    if not 1 <= count <= len(records):
        raise ValueError(f"count={count}: there are {len(records)} finished runs to draw from")
    return random.Random(seed).sample(records, count)


def repeat(record: dict, store: Store, *, device: str = "auto", root: str | Path | None = None) -> dict:
    """Train a record's run again, alone, in the precision it had, into another store; returns the new record.

    With a progress bar, like ``sweep``. What that store holds already is not trained again. On the machine,
    device and versions of the first time the weights are equal to the bit (``provenance.weights_sha256``) if
    it was alone in its stack; elsewhere metrics agree within the spread of seeds. ValueError if the data set
    here is another one.
    """
    device = resolve_device(device)
    run, datasets = _run_and_data(record, root)
    here = {run.dataset: record["data"]["sha256"]}
    if not store.select([run], here):
        execution = Execution(record["provenance"].get("precision", "float32"))
        with progress([run], datasets, device) as report:
            Workers(1, device, datasets).execute([([run], execution)], store, report, math.inf)
    return store.select([run], here)[run]


def compare(first: dict, again: dict) -> dict:
    """Two executions of a run as a row of plain data.

    ``run``, ``title`` of its data set, ``equal``: whether the weights are, to the bit, of all schemes that
    both kept; pairs, first and again, of ``hardware`` and, of the long scheme, ``test_accuracy`` and ``ece``
    (10 bins of equal width).
    """
    pair = (first, again)
    weights = [record["provenance"]["weights_sha256"] for record in pair]
    long = [record["evaluations"]["long"] for record in pair]
    return {
        "run": Run.of(first["run"]),
        "title": first["data"]["title"],
        "equal": all(weights[0][scheme] == weights[1][scheme] for scheme in weights[0].keys() & weights[1]),
        "hardware": tuple(record["provenance"]["hardware"] for record in pair),
        "test_accuracy": tuple(one["test_accuracy"] for one in long),
        "ece": tuple(one["ece"]["uniform10"] for one in long),
    }


@dataclass(frozen=True)
class Evaluated:
    """A record measured again; places of values are such as "long.ece.uniform10"."""

    old: int  # how many values it had
    changed: list[str]  # places of those that are others now, or gone
    added: list[str]


def evaluate_again(record: dict, store: Store, *, device: str, root: str | Path | None) -> Evaluated:
    """Measure a record's kept nets with today's code and rewrite its evaluations and logits in ``store``.

    What belongs to the training stays: curves, provenance, epoch, step and stopped_at of each scheme; the
    provenance gains ``evaluated``, with what and when this was. Values are compared as records keep them,
    at 6 digits.

    FileNotFoundError if the weights are not here. ValueError if they are not those that the record names by
    their SHA-256, if the run diverged, or if the data set here is another one.
    """
    started = time.perf_counter()
    if record["diverged"]:
        raise ValueError(f"{record['key']} diverged: there is nothing to measure")
    weights = store.weights(record)
    device = torch.device(resolve_device(device))
    run, datasets = _run_and_data(record, root)
    dataset, foreign = datasets[run.dataset], datasets.get(OUT_OF_DISTRIBUTION.get(run.dataset))
    model = initial_model(run, dataset).to(device, memory_format=torch.channels_last)
    for scheme in record["evaluations"]:
        store.load_into(model, record, scheme)  # refuses others than were measured
    with settled(device.type):
        evaluations, logits, _ = measure(
            model, weights, run, dataset, Normalise(dataset.train_x, device), foreign
        )
        evaluated = provenance(device, time.perf_counter() - started)
    for scheme, before in record["evaluations"].items():
        evaluations[scheme] |= {k: before[k] for k in ("epoch", "step", "stopped_at") if k in before}
    where = record["provenance"] | {"evaluated": evaluated}
    now = store.save(Result(run, record["data"], record["curves"], evaluations, None, where, logits, weights))
    old, new = (_values(one["evaluations"]) for one in (record, now))
    changed = [place for place in old if place not in new or old[place] != new[place]]
    return Evaluated(len(old), changed, [place for place in new if place not in old])


def _run_and_data(record, root):
    """The record's run and data sets, or ValueError if its own is another here."""
    run = Run.of(record["run"])
    datasets = datasets_of([run], root)
    check_data(record, datasets[run.dataset])
    return run, datasets


def check_data(record: dict, dataset: Dataset) -> None:
    """ValueError unless the record was made from this data set."""
    if dataset.sha256 != record["data"]["sha256"]:
        raise ValueError(
            f"{dataset.name} is not what the record was made from: SHA-256 "
            f"{dataset.sha256[:12]}... here, {record['data']['sha256'][:12]}... there"
        )


def _values(tree, place=""):
    """The leaves of nested dicts by their place."""
    if not isinstance(tree, dict):
        return {place: tree}
    return {
        name: leaf
        for key, branch in tree.items()
        for name, leaf in _values(branch, f"{place}.{key}" if place else key).items()
    }
