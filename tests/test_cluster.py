"""The sweep on a real Ray cluster of two nodes, on this machine: same results, and nothing is lost."""

import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from gffn_core.cli import main
from gffn_core.engine.cluster import Cluster, simulate
from gffn_core.experiments.profiles import PROFILES, Profile
from gffn_core.experiments.store import Store
from gffn_core.experiments.sweep import sweep
from gffn_core.training.run import Run

# Two that take seconds, and a short one that has to wait for them.
RUNS = [
    Run("digits", "conditional", batch_size=256, epochs=2),
    *(Run("digits", loss, batch_size=8, epochs=8, patience=100) for loss in ("conditional", "joint")),
]


@pytest.fixture(scope="module")
def ray():
    return pytest.importorskip("ray", reason="Ray is missing: pip install ray")


@pytest.fixture(scope="module")
def nodes(ray):
    """A head and a second node with a core each, without what only people look at; a dead node is noticed at once."""
    from ray.cluster_utils import Cluster as Nodes

    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    size = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    fast = {
        "health_check_initial_delay_ms": 1000,
        "health_check_period_ms": 500,
        "health_check_failure_threshold": 4,
    }
    size |= {"include_log_monitor": False}
    bare = {"include_dashboard": False, "no_monitor": True}
    nodes = Nodes(initialize_head=True, head_node_args=size | bare | {"_system_config": fast})
    nodes.second = nodes.add_node(**size)
    yield nodes
    nodes.shutdown()


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


def until(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


DRIVER = """
import sys
from gffn_core.experiments.store import Store
from gffn_core.experiments.sweep import sweep
from test_cluster import RUNS
sweep(RUNS, Store(sys.argv[1]), device="cpu", engine="ray", address=sys.argv[2], checkpoint_seconds=0.1)
"""


def test_a_driver_and_a_node_are_killed_and_the_store_is_that_of_the_local_engine(nodes, tmp_path, capsys):
    local, store = Store(tmp_path / "local"), Store(tmp_path / "cluster")
    assert sweep(RUNS, local, device="cpu", workers=1) == len(RUNS)
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(store.root), nodes.address],
        env=environment,
        stderr=subprocess.DEVNULL,
    )

    def at_work():
        return {path: path.stat().st_mtime_ns for path in store.runs.glob("*.checkpoint")}

    until(at_work)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert len(store.select(RUNS)) < len(RUNS)
    before = at_work()

    def kill():
        until(lambda: len(at_work().items() - before.items()) == 2)  # both nodes have gone on
        nodes.remove_node(nodes.second, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.warns(UserWarning, match="was lost .*go on"):
        found = sweep(RUNS, store, device="cpu", engine="ray", address=nodes.address, checkpoint_seconds=0.1)
    killer.join()
    assert found == len(RUNS)
    assert_equal(store, local)
    assert "3/3 runs on cpu: 100%" in capsys.readouterr().err.split("\r")[-1]
    assert sweep(RUNS, store, engine="ray", address="127.0.0.1:1") == 0  # nothing to do, nobody to ask


def test_an_error_in_a_task_is_the_local_engines(ray, nodes, tmp_path):
    too_large = Run("digits", "joint", batch_size=5000, epochs=1)
    with pytest.raises(ValueError, match="batch_size=5000 exceeds the 1294 training images"):
        sweep([too_large], Store(tmp_path), device="cpu", engine="ray", address=nodes.address)
    with pytest.raises(ValueError, match="no node of the cluster has a GPU"):
        sweep(RUNS, Store(tmp_path), device="cuda", engine="ray", address=nodes.address)
    assert not ray.is_initialized()


def test_an_unreachable_head_is_one_message(ray, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(PROFILES, "small", Profile("small", ("digits",), epochs={256: 1}))
    started = time.monotonic()
    assert (
        main(["sweep", "small", "--engine", "ray", "--address", "127.0.0.1:1", "--results", str(tmp_path)])
        == 1
    )
    assert time.monotonic() - started < 30
    error = capsys.readouterr().err
    assert error.startswith("gffn: no Ray cluster at 127.0.0.1:1") and "ray start --head" in error
    assert "Traceback" not in error


def test_without_ray_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"pip install ray.*gffn-core\[cluster\]"):
        sweep(RUNS, Store(tmp_path), engine="ray")


def test_small_stacks_ask_for_a_fraction_of_a_gpu(digits):
    wide = [Run("digits", "joint", batch_size=2048, epochs=1, width=64, seed=seed) for seed in range(40)]
    cluster = object.__new__(Cluster)  # of GPUs that are not there
    vars(cluster).update(device="cuda", datasets={"digits": digits}, gpus=4, gpu_memory=16 * 2**30)
    sizes = [cluster.stack_size(wide[0], runs) for runs in (2, 9, 40, 10**6)]
    assert sizes[:3] == [1, 3, 10] and sizes[3] < 10**6  # work for every GPU, and what fits into one
    shares = [cluster.request(wide[:count])["num_gpus"] for count in (1, 5, 40)]
    assert 0 < shares[0] < shares[1] <= shares[2] <= 1
    full = cluster.request(wide[:1] * sizes[3])
    assert full["num_cpus"] == 1 and 0.9 < full["num_gpus"] <= 1


@given(st.lists(st.floats(0.1, 1e4), min_size=1), st.integers(1, 64))
def test_simulated_schedule_keeps_its_bounds(seconds, workers):
    found = simulate(seconds, workers)
    assert found["bound"] * (1 - 1e-9) <= found["makespan"] <= 2 * found["bound"] * (1 + 1e-9)
    assert -1e-9 <= found["idle"] < 1


def test_simulated_schedule_by_hand():
    assert simulate([4, 3, 3, 2], 2) == {"makespan": 6, "idle": 0, "bound": 6}
    assert simulate([5, 1], 2) == {"makespan": 5, "idle": pytest.approx(0.4), "bound": 5}
