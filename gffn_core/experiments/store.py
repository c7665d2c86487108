"""Results on disk: one file a run while working, one small file a profile once published.

``<root>/runs/<key>.json`` holds a record and its checksum, ``<root>/runs/<key>.npz`` the logits it
was computed from and ``<root>/runs/<key>.safetensors`` the nets (neither is published),
``<root>/runs/<key>.checkpoint`` an unfinished run and its checksum.
``<root>/published/<profile>.jsonl.gz`` holds a profile's records, which is all that a reader needs:
a first line with their number and the SHA-256 of the lines that follow, then one a line.
"""

import gzip
import hashlib
import json
import math
import warnings
import zlib
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from gffn_core.data.files import packed, sha256_of, unpacked, write_atomically
from gffn_core.training.course import Result
from gffn_core.training.provenance import weights_sha256
from gffn_core.training.run import Run, record_key

FORMAT = 2
DIGITS = 6  # significant digits kept of a float; float32 has about 7


class Store:
    """The records under ``root``: those of finished runs and the published ones.

    A record is a dict with ``run``, ``data``, ``curves``, ``evaluations``, ``diverged``,
    ``provenance`` and ``key`` (see ``course.Result``). Files are written under another name and
    then moved, so a record is whole or absent. A damaged file is reported as a warning and counts as
    absent, so its run is computed again. So does, with a warning, a record whose run this version
    does not know (a loss or a field of another version).
    """

    def __init__(self, root: str | Path):
        self.root = Path(root)
        self.runs = self.root / "runs"
        self.published = self.root / "published"

    def save(self, result: Result) -> dict:
        """Write a result; returns its record."""
        record = _plain(
            {
                "format": FORMAT,
                "key": record_key(result.run, result.data["sha256"]),
                "run": result.run.settings(),
                "data": result.data,
                "curves": result.curves,
                "evaluations": result.evaluations,
                "diverged": result.diverged,
                "provenance": result.provenance,
            }
        )
        path = self.runs / f"{record['key']}.json"
        # Logits and weights go first: a record that exists has them.
        write_atomically(path.with_suffix(".npz"), lambda file: np.savez(file, **result.logits))
        tensors = {
            f"{scheme}.{name}": value.contiguous()
            for scheme, state in result.weights.items()
            for name, value in state.items()
        }
        write_atomically(
            path.with_suffix(".safetensors"), lambda file: file.write(safetensors.torch.save(tensors))
        )
        text = json.dumps({"sha256": sha256_of(record), "record": record})
        write_atomically(path, lambda file: file.write(text.encode()))
        path.with_suffix(".checkpoint").unlink(missing_ok=True)
        return record

    def save_checkpoint(self, key: str, checkpoint: dict):
        """Keep what a run needs to go on (plain data and tensors) until its record is saved."""
        path = self.runs / f"{key}.checkpoint"
        write_atomically(path, lambda file: file.write(packed(checkpoint)))

    def checkpoint(self, key: str) -> dict | None:
        """The latest checkpoint of an unfinished run. A damaged one is a warning and counts as none."""
        path = self.runs / f"{key}.checkpoint"
        if not path.exists():
            return None
        try:
            return unpacked(path.read_bytes())
        except Exception as error:  # a damaged file can raise almost anything
            warnings.warn(f"{path} is damaged, its run starts anew ({error})", stacklevel=2)

    def records(self) -> list[dict]:
        """All records, each once; a finished run here comes before its published copy."""
        return [load() for _, load in self._by_key().values()]

    def _by_key(self):
        """By key the run and the function that loads its record."""
        entries = []
        for path in sorted(self.published.glob("*.jsonl.gz")):
            try:
                entries += _published(path, path.stat().st_mtime_ns)
            except ValueError as error:
                warnings.warn(str(error), stacklevel=3)
        for path in sorted(self.runs.glob("*.json")):
            record = _read(path)
            if record is not None:
                entries.append((path, record["key"], _run_of(record), partial(dict, record)))
        by_key = {}
        for path, key, run, load in entries:
            if isinstance(run, Run):
                by_key[key] = run, load
            else:
                warnings.warn(
                    f"{path}: record {key} is left out, as this version does not know its run ({run})",
                    stacklevel=3,
                )
        return by_key

    def select(self, runs: list[Run], versions: dict[str, str] | None = None) -> dict[Run, dict]:
        """The records of those runs that are there, in the order of ``runs``.

        versions: SHA-256 by data set; records on others are left out. Without, which needs no data set: where
        a run was done on several versions of its data set, the official one counts, else the one that
        finished last.
        """
        wanted = set(runs)
        chosen = {}
        for run, load in self._by_key().values():
            if run not in wanted:
                continue
            record = load()
            if versions and record["data"]["sha256"] != versions[run.dataset]:
                continue
            if run not in chosen or _rank(record) > _rank(chosen[run]):
                chosen[run] = record
        return {run: chosen[run] for run in runs if run in chosen}

    def logits(self, record: dict) -> dict[str, np.ndarray]:
        """float16 logits ``{scheme}_{val,test,ood}`` of a record trained on this machine."""
        path = self._beside(record, "logits", ".npz")
        try:
            with np.load(path, allow_pickle=False) as file:
                return dict(file)
        except Exception as error:  # a damaged archive can raise almost anything
            raise ValueError(
                f"{path} is damaged ({error}); `gffn evaluate` makes it anew from the weights"
            ) from error

    def weights(self, record: dict) -> dict[str, dict[str, torch.Tensor]]:
        """By scheme the net of a record trained on this machine, ready for ``load_state_dict``."""
        path = self._beside(record, "weights", ".safetensors")
        try:
            tensors = safetensors.torch.load(path.read_bytes())
        except safetensors.SafetensorError as error:
            raise ValueError(
                f"{path} is damaged ({error}); delete it and the record to train the run again"
            ) from error
        weights = {scheme: {} for scheme in record["evaluations"]}  # the file's order is none
        for name, value in tensors.items():
            scheme, name = name.split(".", 1)
            weights[scheme][name] = value
        return weights

    def has_weights(self, record: dict) -> bool:
        """Whether a record's nets are here; they are not published."""
        return (self.runs / f"{record['key']}.safetensors").exists()

    def load_into(self, model: torch.nn.Module, record: dict, scheme: str = "long") -> None:
        """Give a model the ``weights`` of a scheme. ValueError if they are not those that were measured."""
        model.load_state_dict(self.weights(record)[scheme])
        if weights_sha256(model) != record["provenance"]["weights_sha256"][scheme]:
            raise ValueError(
                f"{self.runs / record['key']}.safetensors holds other weights of {scheme!r} than those that "
                "were measured (their SHA-256 differs); delete it and the record to train the run again"
            )

    def _beside(self, record, what, suffix):
        path = self.runs / f"{record['key']}{suffix}"
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing: {what} are not published; train the run here")
        return path

    def publish(self, name: str, runs: list[Run], *, drop: bool = False) -> tuple[Path, int]:
        """Write the records of ``runs`` that are there, published or not, to ``published/<name>.jsonl.gz``.

        drop: also where records that this file holds would be lost, because ``runs`` are others now, a
        run's record on other data takes their place, or this version does not know their run.

        Raises ValueError rather than lose such records otherwise, replace a published file that is
        damaged, or publish nothing.
        """
        path = self.published / f"{name}.jsonl.gz"
        published = [head for head, _ in _read_published(path)] if path.exists() else []
        records = list(self.select(runs).values())
        if not records:
            raise ValueError(
                f"{self.root} holds no record of {name!r}, so there is nothing to publish; "
                "is it the right folder (--results)?"
            )
        kept = {record["key"] for record in records}
        lost = [record for record in published if record["key"] not in kept]
        if lost and not drop:
            raise ValueError(
                f"{path} would lose {len(lost)} of its {len(published)} records ({_extent(lost)}), "
                f"which are not among those of {name!r} now; --drop publishes without them"
            )
        lines = b"".join(_line({"sha256": sha256_of(record), "record": record}) for record in records)
        # No time stamp inside, so that the same records give the same file.
        content = gzip.compress(_line(_count(lines)) + lines, mtime=0)
        write_atomically(path, lambda file: file.write(content))
        return path, len(records)


def _rank(record):
    return record["data"]["official"], record["provenance"]["finished"]


def _run_of(record):
    """The record's run, or, where this version does not know it, the error."""
    try:
        run = Run.of(record["run"])
        hash(run)
        return run
    except Exception as error:  # another version's options can raise almost anything
        return error


@lru_cache(maxsize=64)
def _published(path, changed):
    """Of a published file as it was when ``changed``: path, key, run and the function that loads the record.

    A chapter selects ten times, and of most files no record at all.
    """
    return [
        (path, head["key"], _run_of(head), partial(_record_of, line)) for head, line in _read_published(path)
    ]


def _extent(records):
    """Which part of a grid the records cover, in words."""
    axes = {"data sets": "dataset", "batch sizes": "batch_size", "losses": "loss"}
    return "; ".join(
        f"{name} {', '.join(dict.fromkeys(str(record['run'].get(axis)) for record in records))}"
        for name, axis in axes.items()
    )


def _read(path):
    try:
        stored = json.loads(path.read_text())
        if stored["sha256"] != sha256_of(stored["record"]):
            raise ValueError("its checksum differs from its content")
        return _readable(stored["record"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        warnings.warn(f"{path} is damaged and will be computed again ({error})", stacklevel=3)


def _read_published(path):
    """Of all records of a published file heads and lines, also those whose run this version does not know."""
    try:
        first, _, lines = gzip.decompress(path.read_bytes()).partition(b"\n")
        count = _count(lines)
        if json.loads(first) != count:
            raise ValueError(f"its first line is not that of its {count['records']} records")
        return [(_head_of(line), line) for line in lines.splitlines()]
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}); restore it with git") from error


def _record_of(line):
    return _readable(json.loads(line)["record"])


def _head_of(line):
    """What the line of a record says before its data, a hundredth of it: ``format``, ``key`` and ``run``."""
    return _readable(json.loads(line.partition(b',"data":')[0] + b"}}")["record"])


def _readable(record):
    if record["format"] != FORMAT:
        raise ValueError(f"its format is {record['format']}, this version reads {FORMAT}")
    if not isinstance(record["key"], str) or not isinstance(record["run"], dict):
        raise ValueError("its key or its run is of another kind")
    return record


def _line(data):
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"


def _count(lines):
    """The first line of a published file: what tells that one of the others is gone."""
    return {"records": lines.count(b"\n"), "sha256": hashlib.sha256(lines).hexdigest()}


def _plain(value):
    """Plain JSON data: floats at DIGITS significant digits, NaN (an empty bin) as None."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value
