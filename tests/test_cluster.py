"""The sweep on a real Ray cluster of two nodes, on this machine: same results, and nothing is lost."""

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from gffn_core import cluster
from gffn_core.cli import main
from gffn_core.cluster import Cluster, simulate
from gffn_core.data import load_dataset
from gffn_core.experiments import PROFILES, Profile, sweep
from gffn_core.store import Store
from gffn_core.training import Run

ray = pytest.importorskip("ray", reason="Ray is missing: pip install 'gffn-core[cluster]'")
ROOT = Path(__file__).resolve().parents[1]
# Two that take seconds, and a short one that has to wait for them.
RUNS = [
    Run("digits", "conditional", batch_size=256, epochs=2),
    *(Run("digits", loss, batch_size=8, epochs=12, patience=100) for loss in ("conditional", "joint")),
]


@pytest.fixture(scope="module")
def nodes():
    """A head and a second node with a core each; a dead node is noticed within seconds."""
    from ray.cluster_utils import Cluster as Nodes

    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    size = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    fast = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 500, "health_check_failure_threshold": 4}
    nodes = Nodes(initialize_head=True, head_node_args=size | {"_system_config": fast})
    nodes.second = nodes.add_node(**size)
    yield nodes
    nodes.shutdown()


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("local"))
    assert sweep(RUNS, store, device="cpu") == len(RUNS)
    return store


def assert_equal(found, wanted):
    """Same records, but for when and how long, and same logits."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing half-written
        pairs = [store.select(RUNS) for store in (found, wanted)]
    assert list(pairs[0]) == list(pairs[1]) == RUNS
    for one, two in zip(*(list(records.values()) for records in pairs)):
        logits = [found.logits(one), wanted.logits(two)]
        assert logits[0].keys() == logits[1].keys()
        assert all(np.array_equal(logits[0][key], logits[1][key]) for key in logits[0])
        for record in (one, two):
            for field in ("seconds", "finished"):
                del record["provenance"][field]
        assert one == two
    assert not list(found.runs.glob("*.checkpoint"))


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


DRIVER = """
import sys
from gffn_core.experiments import sweep
from gffn_core.store import Store
from test_cluster import RUNS
sweep(RUNS, Store(sys.argv[1]), device="cpu", engine="ray", address=sys.argv[2], checkpoint_seconds=0.1)
"""


def test_a_killed_driver_starts_again_and_gives_the_same_store_as_the_local_engine(nodes, local, tmp_path):
    store = Store(tmp_path)
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(tmp_path), nodes.address], env=environment,
                              stderr=subprocess.DEVNULL)
    until(lambda: len(list(store.runs.glob("*.checkpoint"))) == 2)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert len(store.select(RUNS)) < len(RUNS)
    before = set(store.runs.glob("*.checkpoint"))
    assert sweep(RUNS, store, device="cpu", engine="ray", address=nodes.address) == len(RUNS)
    assert before
    assert_equal(store, local)
    assert sweep(RUNS, store, engine="ray", address="127.0.0.1:1") == 0  # nothing to do, nobody to ask


def test_a_node_is_killed_and_nothing_is_lost(nodes, local, tmp_path):
    store = Store(tmp_path)

    def kill():
        until(lambda: len(list(store.runs.glob("*.checkpoint"))) == 2)  # both nodes are at work
        nodes.remove_node(nodes.second, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.warns(UserWarning, match="was lost .*go on"):
        sweep(RUNS, store, device="cpu", engine="ray", address=nodes.address, checkpoint_seconds=0.1)
    killer.join()
    assert_equal(store, local)


def test_an_unreachable_head_is_one_message(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(PROFILES, "small", Profile("small", ("digits",), epochs={256: 1}))
    started = time.monotonic()
    assert main(["sweep", "small", "--engine", "ray", "--address", "127.0.0.1:1", "--results", str(tmp_path)]) == 1
    assert time.monotonic() - started < 30
    error = capsys.readouterr().err
    assert error.startswith("gffn: no Ray cluster at 127.0.0.1:1") and "ray start --head" in error
    assert "Traceback" not in error
