"""Files that are whole or absent."""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let ``write`` fill a file beside ``path``, then move it there; on any failure leave nothing behind."""
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
        os.unlink(scratch)
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
