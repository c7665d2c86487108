"""Kernels for the tests: forked from a process that has imported what chapters need, which takes each of them 5 s.

Names are as in a kernel of its own: a chapter still has to import what it uses.
"""

import multiprocessing
import os
import time
from multiprocessing import forkserver

import matplotlib
import pandas
from ipykernel.kernelapp import launch_new_instance
from jupyter_client.provisioning import local_provisioner

server = multiprocessing.get_context("forkserver")
# Of the package alone: with what talks to Jupyter in it, its forks can hang.
server.set_forkserver_preload(
    ["gffn_core.engine.workers", "gffn_core.pages.chapter", "gffn_core.pages.explorer"]
)


def run(arguments, cwd, env):
    """Be the kernel, in a session and a folder of its own."""
    os.setsid()
    os.chdir(cwd or ".")
    os.environ.clear()
    os.environ.update(env)
    # What both would have found out, had a kernel imported them.
    matplotlib.rcParams["backend"] = "module://matplotlib_inline.backend_inline"
    pandas.options.display.max_columns = 20
    launch_new_instance(argv=[*arguments, f"--IPKernelApp.parent_handle={os.getppid()}"])


def launch(command, *, cwd=None, env=None, **_):
    """In place of ``jupyter_client``'s: the running kernel as what ``subprocess.Popen`` would give."""
    arguments = command[command.index("-f") :]
    process = server.Process(target=run, args=(arguments, cwd, dict(os.environ if env is None else env)))
    process.start()
    while os.getpgid(process.pid) != process.pid:  # signals go to its group
        time.sleep(0.01)
    kernel = process._popen
    kernel.stdin = kernel.stdout = kernel.stderr = None
    kernel.send_signal = kernel._send_signal
    return kernel


def install():
    local_provisioner.launch_kernel = launch


def start():
    """Start the server, before a sweep's workers do, who would share it and have it import less."""
    forkserver.ensure_running()
