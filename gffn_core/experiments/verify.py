"""Second executions of published runs, compared with the first."""

import math
from pathlib import Path

from gffn_core.engine.plan import resolve_device, datasets_of
from gffn_core.engine.stack import Execution
from gffn_core.engine.workers import Workers
from gffn_core.experiments.store import Store
from gffn_core.experiments.sweep import progress
from gffn_core.training.run import Run


def repeat(record: dict, store: Store, *, device: str = "auto", root: str | Path | None = None) -> dict:
    """Train the run of a record again, alone, in the precision it had, into another store; returns the new record.

    With a progress bar, like ``sweep``. What that store holds already is not trained again. On the machine,
    device and versions of the first time the weights are equal to the bit (``provenance.weights_sha256``) if
    it was alone in its stack; elsewhere metrics agree within the spread of seeds. ValueError if the data set
    here is another one.
    """
    device = resolve_device(device)
    run = Run.of(record["run"])
    datasets = datasets_of([run], root)
    if datasets[run.dataset].sha256 != record["data"]["sha256"]:
        raise ValueError(
            f"{run.dataset} is not what the record was made from: SHA-256 "
            f"{datasets[run.dataset].sha256[:12]}... here, {record['data']['sha256'][:12]}... there"
        )
    if not store.select([run]):
        execution = Execution(record["provenance"].get("precision", "float32"))
        with progress([run], datasets, device) as report:
            Workers(1, device, datasets).execute([([run], execution)], store, report, math.inf)
    return store.select([run])[run]
