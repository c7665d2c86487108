"""How a process trains fast on a CPU."""

import contextlib
import ctypes
import gc
import resource
import sys

import torch


@contextlib.contextmanager
def settled(device):
    """On a CPU: within the ``with`` as in a worker, see ``settle``."""
    threads = torch.get_num_threads()
    if device == "cpu":
        settle()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(False)


def settle():
    """Have this thread train fast on a CPU.

    One thread, see ``workers.Workers``. Denormal numbers (below 1e-38) count as zero: where gradients stay
    zero, as of a dead unit, Adam's moments decay into them, and a processor computes with them so slowly
    that a step at batch size 4 took half as long again. They are too small to change a weight.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    _keep_freed_memory()


def _keep_freed_memory():
    """Have the C library keep freed memory, to a stack's end, instead of handing it back to the system.

    glibc maps every large tensor afresh, and the system fills it with zeros, page by page; at batch
    size 2048 that is half of a step on a CPU. Elsewhere nothing happens.
    """
    m_trim_threshold, m_mmap_max = -1, -4  # malloc.h
    _c_library("mallopt", m_mmap_max, 0)
    _c_library("mallopt", m_trim_threshold, -1)


def hand_back_freed_memory():
    """Else what comes next, whose arrays differ in size, would add its own to what was left in pieces.

    A stack refers to itself, so its tensors are free only once the collector has seen it.
    """
    gc.collect()
    _c_library("malloc_trim", 0)


def peak_memory() -> int:
    """The most bytes that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _c_library(function, *arguments):
    """Call a function that glibc has; elsewhere nothing happens."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        getattr(ctypes.CDLL(None), function)(*arguments)
