"""Files that are whole or absent, and errors that name them."""

import contextlib
import hashlib
import io
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import torch


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let ``write`` fill a file beside ``path``, then move it there; on any failure leave nothing behind.

    Raises OSError, which names ``path``, where the system refuses, as on a full disk.
    """
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(scratch, 0o644)  # mkstemp's files are private
            os.replace(scratch, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):  # Ctrl-C just after the move
                os.unlink(scratch)
            raise


def sha256_of(data) -> str:
    """SHA-256 of plain data as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


FORM = b"2"  # of checkpoints: one of another form has another checksum


def packed(checkpoint: dict) -> bytes:
    """SHA-256 and what ``torch.save`` writes, as torch reads damaged tensors without a word."""
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    return hashlib.sha256(FORM + buffer.getvalue()).digest() + buffer.getvalue()


def unpacked(content: bytes) -> dict:
    """The checkpoint, or ValueError if its checksum differs."""
    digest, content = content[:32], content[32:]
    if digest != hashlib.sha256(FORM + content).digest():
        raise ValueError("its checksum differs from its content, or it has the form of another version")
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def check_writable(folder: Path) -> None:
    """Make the folder if it is missing; OSError, which names it, unless files can be made there."""
    with _naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()


@contextlib.contextmanager
def _naming(path):
    """Have the system's errors name ``path``: of a write they name nothing, else the scratch file."""
    try:
        yield
    except Exception as error:
        # torch.save covers a full disk with an error of its own about positions in the file.
        for cause in (error, error.__context__):
            if isinstance(cause, OSError) and cause.errno:
                raise OSError(cause.errno, cause.strerror, str(path)) from error
        raise


def remove_orphans(folder: Path) -> None:
    """Remove what processes killed within ``write_atomically`` left in a folder.

    That is what nobody has written to for a day: a write takes seconds, and another machine's process may
    be at it.
    """
    for scratch in folder.glob(".????????.tmp"):
        with contextlib.suppress(OSError):  # another sweep was faster, or it is another user's
            if time.time() - scratch.stat().st_mtime > 24 * 3600:
                scratch.unlink()
