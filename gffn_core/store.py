"""Results on disk: one file a run while working, one small file a profile once published.

``<root>/runs/<key>.json`` holds a record and its checksum, ``<root>/runs/<key>.npz`` the logits it
was computed from (not published), ``<root>/runs/<key>.checkpoint`` an unfinished run and its checksum.
``<root>/published/<profile>.jsonl.gz`` holds a profile's records, one a line, which is all that a
reader needs.
"""

import gzip
import hashlib
import io
import json
import math
import warnings
import zlib
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import torch

from gffn_core.files import write_atomically
from gffn_core.training import Result, Run

FORMAT = 2
DIGITS = 6  # significant digits kept of a float; float32 has about 7


def record_key(run: Run, data_sha256: str) -> str:
    """16 hexadecimal digits that name a run on exactly this data.

    Fields at their default are left out, so a field that is added later leaves old keys alone.
    """
    defaults = {field.name: field.default for field in fields(run)}
    named = {name: value for name, value in asdict(run).items() if value != defaults[name]}
    return _sha256([named, data_sha256])[:16]


class Store:
    """The records under ``root``: those of finished runs and the published ones.

    A record is a dict with ``run``, ``data``, ``curves``, ``evaluations``, ``diverged``,
    ``provenance`` and ``key`` (see ``training.Result``). Files are written under another name and
    then moved, so a record is whole or absent. A damaged file is reported as a warning and counts as
    absent, so its run is computed again.
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
                "run": asdict(result.run),
                "data": result.data,
                "curves": result.curves,
                "evaluations": result.evaluations,
                "diverged": result.diverged,
                "provenance": result.provenance,
            }
        )
        path = self.runs / f"{record['key']}.json"
        # The logits go first: a record that exists has them.
        write_atomically(path.with_suffix(".npz"), lambda file: np.savez(file, **result.logits))
        text = json.dumps({"sha256": _sha256(record), "record": record})
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
        found = {}
        for path in sorted(self.published.glob("*.jsonl.gz")):
            try:
                found |= {record["key"]: record for record in _read_published(path)}
            except ValueError as error:
                warnings.warn(str(error), stacklevel=2)
        for path in sorted(self.runs.glob("*.json")):
            record = _read(path)
            if record is not None:
                found[record["key"]] = record
        return list(found.values())

    def select(self, runs: list[Run]) -> dict[Run, dict]:
        """The records of those runs that are there, in the order of ``runs``.

        Reading needs no data set: where a run was done on several versions of its data set, the
        official one counts, else the one that finished last.
        """
        wanted = set(runs)
        found = {}
        for record in self.records():
            run = Run(**record["run"])
            if run in wanted and (run not in found or _rank(record) > _rank(found[run])):
                found[run] = record
        return {run: found[run] for run in runs if run in found}

    def logits(self, record: dict) -> dict[str, np.ndarray]:
        """float16 logits ``{scheme}_{val,test,ood}`` of a record trained on this machine."""
        path = self.runs / f"{record['key']}.npz"
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing: logits are not published; train the run here")
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}

    def publish(self, name: str, runs: list[Run]) -> tuple[Path, int]:
        """Write the records of ``runs`` that are there, published or not, to ``published/<name>.jsonl.gz``.

        Raises ValueError rather than replace a published file that is damaged.
        """
        path = self.published / f"{name}.jsonl.gz"
        if path.exists():
            _read_published(path)
        records = self.select(runs)
        lines = "".join(
            json.dumps({"sha256": _sha256(r), "record": r}, separators=(",", ":")) + "\n"
            for r in records.values()
        )
        # No time stamp inside, so that the same records give the same file.
        write_atomically(path, lambda file: file.write(gzip.compress(lines.encode(), mtime=0)))
        return path, len(records)


def packed(checkpoint: dict) -> bytes:
    """SHA-256 and what ``torch.save`` writes, as torch reads damaged tensors without a word."""
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    return hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue()


def unpacked(content: bytes) -> dict:
    """The checkpoint, or ValueError if its checksum differs."""
    digest, content = content[:32], content[32:]
    if digest != hashlib.sha256(content).digest():
        raise ValueError("its checksum differs from its content")
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _rank(record):
    return record["data"]["official"], record["provenance"]["finished"]


def _read(path):
    try:
        return _verified(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        warnings.warn(f"{path} is damaged and will be computed again ({error})", stacklevel=3)


def _read_published(path):
    try:
        content = path.read_bytes()
        if not content:  # which gzip would take for an archive of nothing
            raise EOFError("it is empty")
        lines = gzip.decompress(content).decode().splitlines()
        return [_verified(json.loads(line)) for line in lines]
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}); restore it with git") from error


def _verified(stored):
    record = stored["record"]
    if stored["sha256"] != _sha256(record):
        raise ValueError("its checksum differs from its content")
    if record["format"] != FORMAT:
        raise ValueError(f"its format is {record['format']}, this version reads {FORMAT}")
    return record


def _sha256(data):
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _plain(value):
    """Plain JSON data: floats at DIGITS significant digits, NaN (an empty bin) as None."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value
