"""Profiles, sweeps and the command line, on the digits: no file and no network."""

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import psutil
import pytest
import torch

from gffn_core import cli
from gffn_core.cli import main
from gffn_core.data import datasets, files
from gffn_core.engine import plan
from gffn_core.engine.stack import Execution, train_stack
from gffn_core.evaluation.standard import evaluate
from gffn_core.experiments import profiles
from gffn_core.experiments.profiles import PROFILES, Profile
from gffn_core.experiments.store import Store
from gffn_core.experiments.sweep import results, sweep
from gffn_core.experiments.verify import repeat
from gffn_core.training.run import Run, record_key

RUNS = [Run("digits", loss, batch_size=256, epochs=1) for loss in ("conditional", "joint")]


@pytest.fixture
def small(monkeypatch):
    """A profile of two runs of one epoch."""
    profile = Profile("small", ("digits",), epochs={256: 1})
    monkeypatch.setitem(PROFILES, "small", profile)
    return profile


def hashes(records):
    return {run: record["provenance"]["weights_sha256"] for run, record in records.items()}


# Profiles


@pytest.mark.parametrize("name", PROFILES)
def test_profile_is_a_grid_of_pairs(name):
    """Every comparison in the book is between two runs that differ in their loss alone."""
    profile = PROFILES[name]
    runs = profile.runs()
    assert len(set(runs)) == len(runs) > 0
    # Options are of a loss; the pairs of what has them are those of another grid.
    paired = not any({"loss", "options"} & set(settings) for settings in profile.settings)
    for run in runs:
        for loss in profile.losses if paired else ():
            assert dataclasses.replace(run, loss=loss) in runs
        assert run.dataset in datasets.DATASETS


def test_settings_that_name_a_loss_are_for_it_alone():
    profile = PROFILES["mechanism_tuning"]
    only = profile.runs(["cifar10_10000"], losses=["label_smoothing", "joint"], seeds=[0])
    assert [(run.loss, dict(run.options)) for run in only] == [
        ("joint", {}),
        ("joint", {"kl_weight": 5.0}),
        ("joint", {"kl_weight": 25.0}),
        ("label_smoothing", {"smoothing": 0.05}),
        ("label_smoothing", {}),
        ("label_smoothing", {"smoothing": 0.2}),
    ]


def test_settings_that_name_a_batch_size_are_for_it_alone_and_may_have_epochs_of_their_own():
    settings = ({}, {"batch_size": 64, "dropout": 0.5}, {"batch_size": 64, "epochs": 9})
    runs = Profile("two", ("digits",), {16: 2, 64: 3}, losses=("joint",), settings=settings).runs()
    found = [(run.batch_size, run.epochs, run.dropout) for run in runs]
    assert found == [(16, 2, 0.0), (64, 3, 0.0), (64, 3, 0.5), (64, 9, 0.0)]


def test_a_value_named_twice_is_one_run():
    assert len(PROFILES["cpu"].runs(["svhn"], batch_sizes=[16, 16], losses=["joint"], seeds=[0, 0])) == 1


def test_part_of_a_profile():
    profile = PROFILES["thesis"]
    part = profile.runs(["mnist"], batch_sizes=[4, 64], losses=["joint"], seeds=[2])
    assert [(r.dataset, r.batch_size, r.loss, r.seed) for r in part] == [
        ("mnist", 4, "joint", 2),
        ("mnist", 64, "joint", 2),
    ]
    assert set(part) < set(profile.runs())


@pytest.mark.parametrize(
    "axis, value", (("datasets", "imagenet"), ("batch_sizes", 17), ("losses", "hinge"), ("seeds", 99))
)
def test_unknown_axis_value(axis, value):
    with pytest.raises(ValueError, match=f"'digits' has no {axis} .*{value}.*; it has"):
        PROFILES["digits"].runs(**{axis: [value]})


def test_unknown_profile():
    with pytest.raises(ValueError, match="'nope'.*digits.*cpu"):
        profiles.profile("nope")


# Sweeps


def test_sweep_trains_what_the_store_lacks(store):
    assert sweep(RUNS[:1], store) == 1
    assert sweep(RUNS, store) == 1
    first = store.select(RUNS)
    assert list(first) == RUNS
    assert sweep(RUNS, store) == 0
    assert store.select(RUNS) == first

    # A damaged record is trained again, to the same weights.
    path = store.runs / f"{first[RUNS[0]]['key']}.json"
    path.write_text(path.read_text()[:-100])
    with pytest.warns(UserWarning, match="damaged"):
        assert sweep(RUNS, store) == 1
    assert hashes(store.select(RUNS)) == hashes(first)

    # What is published need not be trained.
    store.publish("grid", RUNS)
    for file in store.runs.iterdir():
        file.unlink()
    assert sweep(RUNS, store) == 0


def test_workers_give_the_same_weights(files_of_digits, tmp_path, monkeypatch):
    """Called as by the notebooks, which takes a process a core."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    runs, where = [dataclasses.replace(run, dataset="mnist") for run in RUNS], {"root": files_of_digits}
    one, two = Store(tmp_path / "one"), Store(tmp_path / "two")
    assert sweep(runs, one, device="cpu", workers=1, **where) == 2
    found = results(runs, two, train_missing=True, device="cpu", **where)
    assert hashes(found) == hashes(one.select(runs))


def test_threads_of_the_machine_change_nothing(tmp_path):
    """Sums over more threads round differently, so a sweep gives each run one."""
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        store = Store(tmp_path / str(threads))
        try:
            sweep(RUNS[:1], store, device="cpu")
            assert torch.get_num_threads() == threads
        finally:
            torch.set_num_threads(1)
        found.append(hashes(store.select(RUNS[:1])))
    assert found[0] == found[1]


def ends_like_one_undisturbed(store, runs, elsewhere, root=None):
    """Whether the sweep that goes on in a store gets the records of a new one, but for when and how long."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing half-written
        for where in (store, elsewhere):
            sweep(runs, where, device="cpu", workers=1, root=root)
        pair = [where.select(runs) for where in (store, elsewhere)]
    for run in runs:
        for records, where in zip(pair, (store, elsewhere)):
            for field in ("seconds", "finished"):
                del records[run]["provenance"][field]
            assert where.logits(records[run]).keys() and where.weights(records[run]).keys()
    return pair[0] == pair[1] and len(pair[0]) == len(runs)


SWEEP = """
import sys
from gffn_core import cli
from gffn_core.experiments.profiles import PROFILES, Profile
from gffn_core.experiments.sweep import sweep
if __name__ == "__main__":
    sweep.__kwdefaults__["checkpoint_seconds"] = 0.05
    PROFILES["small"] = Profile("small", ("mnist",), epochs={16: 5})
    options = ["--workers", "2", "--device", "cpu", "--precision", "float32"]
    sys.exit(cli.main(["sweep", "small", *options, *sys.argv[1:]]))
"""


def test_stopped_or_killed_a_sweep_leaves_no_worker_and_goes_on(files_of_digits, tmp_path, store):
    """By Ctrl-C, which its workers get too; then, gone on, by what it cannot notice; then to the end."""
    script = tmp_path / "sweep.py"
    script.write_text(SWEEP)
    for stop in (signal.SIGINT, signal.SIGKILL):
        before = checkpoints(store)
        with open(tmp_path / "stderr", "wb") as stderr:
            running = psutil.Popen(
                [sys.executable, script, "--results", store.root, "--root", files_of_digits],
                stderr=stderr,
                start_new_session=True,
                # A shell that starts these tests in the background has them ignore it, and so their children.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
                env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])},
            )
        until = time.monotonic() + 300
        while not checkpoints(store) - before and time.monotonic() < until:
            time.sleep(0.01)
        children = running.children(recursive=True)
        assert len(children) == 4  # two workers, the server that they come from, and Python's tracker
        if stop == signal.SIGINT:
            os.killpg(running.pid, stop)
        else:
            running.kill()
        _, alive = psutil.wait_procs([running, *children], timeout=60)
        assert not alive
        if stop == signal.SIGINT:
            error = (tmp_path / "stderr").read_text()
            assert running.returncode == 130 and "gffn: interrupted; finished runs are in" in error
            assert "Traceback" not in error
        assert len(store.select(PAIR)) < 2
        assert all(store.checkpoint(key)["within"]["position"] >= 0 for key, _ in checkpoints(store))
    assert ends_like_one_undisturbed(store, PAIR, Store(tmp_path / "undisturbed"), files_of_digits)
    assert not checkpoints(store)


PAIR = [Run("mnist", loss, batch_size=16, epochs=5) for loss in ("conditional", "joint")]


def checkpoints(store):
    return {(path.stem, path.stat().st_mtime_ns) for path in store.runs.glob("*.checkpoint")}


KILLED = """
import os
import signal
import sys

import torch._dynamo  # here once, as a process's first optimiser would

from gffn_core.engine.plan import datasets_of
from gffn_core.experiments import store
from gffn_core.experiments.sweep import sweep
from gffn_core.training.run import Run

runs = [Run("digits", "joint", batch_size=256, epochs=1)]
torch.set_num_threads(1)
datasets_of(runs, None)  # once, and kept
write_atomically = store.write_atomically

def kill_at(kind, part):
    def write(path, content):
        if path.suffix == kind and part == "half":
            os.fsync = lambda file: (os.ftruncate(file, os.fstat(file).st_size // 2), die())
        write_atomically(path, content)
        if path.suffix == kind:
            die()
    store.write_atomically = write

def die():
    os.kill(os.getpid(), signal.SIGKILL)

for point in [argument.split() for argument in sys.argv[2:]]:
    child = os.fork()
    if not child:
        kill_at(*point)
        sweep(runs, store.Store(sys.argv[1]), device="cpu", checkpoint_seconds=0)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, point
"""


def test_killed_at_every_file_it_writes_a_sweep_goes_on_to_the_same(tmp_path, store):
    """Half of the file written, and all of it; the next start, from what that left, is killed at the next one."""
    points = [".checkpoint half", ".checkpoint whole", ".checkpoint half"]
    points += [f"{kind} {part}" for kind in (".npz", ".safetensors", ".json") for part in ("half", "whole")]
    done = subprocess.run([sys.executable, "-c", KILLED, store.root, *points], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(list(store.runs.glob(".????????.tmp"))) == 5  # which a sweep removes after a day
    assert ends_like_one_undisturbed(store, RUNS[1:], Store(tmp_path / "undisturbed"))


def test_a_pair_is_of_one_precision(store, monkeypatch):
    """Also if one of the two is published, and whatever the weight of its joint loss."""
    conditional, joint = RUNS
    sweep([conditional], store, precision="bfloat16")
    store.publish("half", [conditional])
    for file in store.runs.iterdir():
        file.unlink()
    elsewhere = dataclasses.replace(joint, seed=1)
    with monkeypatch.context() as patch:
        patch.setattr(
            "gffn_core.experiments.sweep.Workers.execute", None
        )  # nothing may be trained before all is known
        for run in (joint, dataclasses.replace(joint, options={"kl_weight": 3.0})):
            with pytest.raises(ValueError, match="'conditional' in bfloat16; use --precision bfloat16"):
                sweep([elsewhere, run], store)
    assert sweep([joint], store, precision="bfloat16") == 1
    assert sweep([elsewhere], store) == 1
    with pytest.raises(ValueError, match="in float32; use --precision float32"):
        sweep([dataclasses.replace(conditional, seed=1)], store, precision="bfloat16")


def test_a_run_goes_on_in_the_precision_it_began_in(store):
    run = RUNS[0]
    key = record_key(run, datasets.load_dataset("digits").sha256)
    *_, result = train_stack(
        [run],
        datasets.load_dataset("digits"),
        execution=Execution("bfloat16"),
        checkpoint_seconds=0,
        save_checkpoint=lambda run, checkpoint: store.save_checkpoint(key, checkpoint),
    )
    with pytest.raises(
        ValueError, match=f"begun in bfloat16.*--precision bfloat16, or delete .*{key}.checkpoint"
    ):
        sweep([run], store)
    assert sweep([run], store, precision="bfloat16") == 1
    assert hashes(store.select([run]))[run] == result.provenance["weights_sha256"]


def test_a_run_that_another_version_began_is_refused_before_anything_is_trained(store):
    run = RUNS[0]
    key = record_key(run, datasets.load_dataset("digits").sha256)
    begun = {"course": {"epoch": 1, "curves": {"val_nll": [2.0]}}, "within": {"position": 0}}
    store.save_checkpoint(key, begun | {"precision": "float32"})
    with pytest.raises(ValueError, match=f"begun by another version.*delete {key}.checkpoint"):
        sweep([RUNS[1], run], store)
    assert not store.records()


def test_sweep_scores_the_partner_data_set(store):
    run = Run("digits_0_4", "joint", batch_size=256, epochs=1)
    sweep([run], store)
    record = store.select([run])[run]
    assert record["evaluations"]["early"]["ood"]["data"]["name"] == "digits_5_9"
    assert "long_ood" in store.logits(record)


def test_diverged_run_is_recorded_and_the_others_go_on(store):
    bad = dataclasses.replace(RUNS[1], learning_rate=1e30)
    assert sweep([RUNS[0], bad, RUNS[1]], store) == 3
    records = store.select([RUNS[0], bad, RUNS[1]])
    assert [record["diverged"] for record in records.values()] == [None, {"epoch": 1, "step": 2}, None]
    assert sweep([bad], store) == 0


def test_results_without_training_are_read_only(store):
    with pytest.raises(ValueError, match="none of the 2 runs.*gffn sweep"):
        results(RUNS, store)
    sweep(RUNS[:1], store)
    assert list(results(RUNS, store)) == RUNS[:1]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_missing_gpu_is_named_before_any_work(store):
    with pytest.raises(ValueError, match="cuda.*not available"):
        sweep(RUNS, store, device="cuda")
    assert plan.resolve_device("auto") == "cpu"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")
def test_a_process_that_trains_run_after_run_does_not_grow(files_of_digits, tmp_path):
    """Neither by images as floats (here 500 MB) nor by freed memory that lies between used pieces (here 400 MB)."""
    command = [sys.executable, "-c", MEMORY, tmp_path, files_of_digits]
    done = subprocess.run(command, capture_output=True, text=True)
    peak, handed_back = (int(megabytes) for megabytes in done.stdout.split())
    assert peak < 150, done.stderr
    assert handed_back > 200


MEMORY = """
import sys

import torch

from gffn_core.data.datasets import load_dataset
from gffn_core.engine.process import settle
from gffn_core.engine.stack import Execution
from gffn_core.engine.workers import train_into
from gffn_core.experiments.store import Store
from gffn_core.training.run import Normalise, Run

def megabytes(which):
    return int(dict(line.split(":") for line in open("/proc/self/status"))[which].split()[0]) // 1024

digits = {"mnist": load_dataset("mnist", root=sys.argv[2])}
settle()
images = torch.zeros(20_000, 3, 32, 32, dtype=torch.uint8)
before = megabytes("VmRSS")
Normalise(images, torch.device("cpu"))
print(megabytes("VmHWM") - before)

pieces = [torch.ones(50_000) for _ in range(4000)]
del pieces[::2]
before = megabytes("VmRSS")
train_into(Store(sys.argv[1]), [Run("mnist", "joint", 512, 1)], Execution(), digits, "cpu", lambda *message: None, 60)
print(before - megabytes("VmRSS"))
"""


# The command


def test_verify_finds_equal_weights_and_other_data(small, store, tmp_path, capsys, monkeypatch):
    where = ["small", "--results", str(store.root)]
    assert main(["sweep", *where, "--precision", "bfloat16"]) == 0
    assert {r["provenance"]["precision"] for r in store.records()} == {"bfloat16"}
    capsys.readouterr()
    verify = ["verify", *where, "--count", "2", "--keep", str(tmp_path / "again")]
    assert main(verify) == 0
    out, error = capsys.readouterr()
    lines = out.splitlines()
    assert "run 1 of 2: digits " in error and "run 2 of 2: " in error and "images" in error
    assert sum("weights equal to the bit" in line for line in lines) == 2
    assert lines[-1] == "2 of 2 runs have equal weights"
    again = Store(tmp_path / "again")
    assert {r["key"]: r["evaluations"] for r in again.records()} == {
        r["key"]: r["evaluations"] for r in store.records()
    }
    monkeypatch.setattr(
        "gffn_core.experiments.verify.Workers", None
    )  # those kept are compared, not trained again
    assert main(verify) == 0
    assert main(["verify", *where, "--count", "3"]) == 1
    assert "count=3: there are 2 finished runs" in capsys.readouterr().err
    assert main(["verify", *where, "--losses", "joint", "--count", "2"]) == 1
    assert "count=2: there are 1 finished runs" in capsys.readouterr().err
    assert main(["verify", *where, "--count", "2", "--keep", str(store.root)]) == 1
    assert "is the store of the first executions" in capsys.readouterr().err
    record = store.records()[0]
    record["data"]["sha256"] = "0" * 64
    with pytest.raises(ValueError, match="digits is not what the record was made from"):
        repeat(record, again)
    # Nor is a second execution on other data that of this one.
    record = again.records()[0]
    path = again.runs / f"{record['key']}.json"
    other = record | {"data": record["data"] | {"sha256": "0" * 64}}
    path.write_text(json.dumps({"sha256": files.sha256_of(other), "record": other}))
    with pytest.raises(TypeError):  # it would train
        repeat(record, again)


def test_evaluate_measures_kept_nets_again_without_training(small, store, capsys, monkeypatch):
    """A new metric comes into old records; all else in them, and the files beside them, stay."""
    assert sweep(small.runs(), store, device="cpu") == 2
    first = store.select(small.runs())
    logits, weights = store.logits(first[small.runs()[0]]), store.weights(first[small.runs()[0]])

    def with_a_new_metric(*args):
        found, kept = evaluate(*args)
        return found | {"novelty": {"half": 0.5}}, kept

    monkeypatch.setattr("gffn_core.experiments.verify.Workers", None)
    monkeypatch.setattr("gffn_core.training.course.evaluate", with_a_new_metric)
    command = ["evaluate", "small", "--device", "cpu", "--results", str(store.root)]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[-1] == "small: evaluated 2 of 2 runs"
    for line in lines[:2]:
        assert "old values are the same to 6 digits; new: long.novelty.half, early.novelty.half" in line
    for run, record in store.select(small.runs()).items():
        assert record["provenance"].pop("evaluated").keys() >= {"code", "torch", "device", "finished"}
        for one in record["evaluations"].values():
            assert one.pop("novelty") == {"half": 0.5}
        assert record == first[run]
    now = store.select(small.runs())[small.runs()[0]]
    assert all((store.logits(now)[key] == value).all() for key, value in logits.items())
    assert all(store.weights(now)["early"][key].equal(value) for key, value in weights["early"].items())

    monkeypatch.setattr(
        "gffn_core.training.course.evaluate", lambda *args: (evaluate(*args)[0] | {"mce": 9.0}, {})
    )
    assert main([*command, "--losses", "joint"]) == 0
    assert " old values CHANGED (long.mce, long.novelty.half, " in capsys.readouterr().out


def test_evaluate_skips_runs_without_weights_and_refuses_other_weights(small, store, capsys):
    assert sweep(small.runs(), store, device="cpu") == 2
    before = store.records()
    one, two = (store.runs / f"{record['key']}.safetensors" for record in before)
    one.write_bytes(two.read_bytes())
    two.unlink()
    assert main(["evaluate", "small", "--results", str(store.root)]) == 1
    out, error = capsys.readouterr()
    assert out == "small: evaluated 0 of 2 runs\n"
    assert f"refused, {one} holds other weights of 'long'" in error and "(their SHA-256 differs)" in error
    assert f"skipped, {two} is missing: weights are not published" in error
    assert store.records() == before


def test_status_of_an_empty_store(tmp_path, capsys):
    assert main(["status", "digits", "--results", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["data", "set", "batch", "loss", "seeds"]
    assert lines[1].split() == ["digits", "16", "conditional", "0/3"]
    assert len(lines) == 2 * 3 * 2 + 2
    assert lines[-1] == "digits: 0 of 36 runs"


def test_sweep_status_publish(small, store, capsys):
    where = ["small", "--results", str(store.root)]
    assert main(["sweep", *where, "--losses", "joint"]) == 0
    assert main(["sweep", *where]) == 0
    assert main(["status", *where]) == 0
    assert main(["publish", *where]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "small: trained 1, 0 were in the store"
    assert lines[1] == "small: trained 1, 1 were in the store"
    assert lines[3].split() == ["digits", "256", "conditional", "1/1"]
    assert lines[5] == "small: 2 of 2 runs"
    assert {record["provenance"]["precision"] for record in store.records()} == {"float32"}
    path = store.published / "small.jsonl.gz"
    assert lines[6].startswith("2 records, ") and lines[6].endswith(str(path)) and path.exists()
    assert main(["sweep", *where, "--precision", "bfloat16"]) == 0
    assert capsys.readouterr().out == "small: trained 0, 2 were in the store, 2 of them in float32\n"


@pytest.mark.parametrize(
    "args, message",
    (
        (["sweep", "nope"], "digits, colab, cpu, thesis"),
        (["status", "digits", "--datasets", "svhn"], "has no datasets"),
        (["sweep", "digits", "--workers", "0"], "--workers 0"),
        (["sweep", "digits", "--stack", "0"], "--stack 0"),
        (["sweep", "digits", "--address", "auto"], "--engine ray"),
        (["sweep", "digits", "--engine", "ray", "--workers", "2"], "--workers"),
        (["data", "nope"], "unknown data set 'nope'"),
    ),
)
def test_expected_failures_are_one_message(args, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(args) == 1
    error = capsys.readouterr().err
    assert error.startswith("gffn: ") and message in error and "Traceback" not in error


def test_data_command(capsys):
    assert main(["data", "digits", "digits_0_4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    digits = datasets.load_dataset("digits")
    assert lines[1].split()[:5] == ["digits", "1294", "143", "360", digits.sha256[:12]]
    assert lines[1].endswith("Digits; scikit-learn")


def test_data_command_goes_on_after_a_failure(tmp_path, monkeypatch, capsys):
    def offline(name, scratch):
        raise OSError("offline")

    monkeypatch.setattr(datasets, "fetch_official", offline)
    monkeypatch.setattr(datasets, "MIRRORS", {})
    assert main(["data", "mnist", "digits", "--root", str(tmp_path)]) == 1
    out, error = capsys.readouterr()
    assert "official: OSError: offline" in error
    assert out.splitlines()[-1].startswith("digits ")


def test_interrupted_sweep_keeps_finished_runs(small, store, monkeypatch, capsys):
    """As by a batch system, whose signal ends it like Ctrl-C."""
    save, calls = Store.save, []

    def interrupted(self, result):
        if calls:
            signal.raise_signal(signal.SIGTERM)
        calls.append(1)
        return save(self, result)

    monkeypatch.setattr(Store, "save", interrupted)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main(["sweep", "small", "--results", str(store.root)]) == 130
    finally:
        signal.signal(signal.SIGTERM, before)
    assert f"finished runs are in '{store.root}'" in capsys.readouterr().err
    assert len(store.select(small.runs())) == 1


@pytest.mark.parametrize("name", cli.COMMANDS.choices)
def test_an_interrupted_command_says_what_it_kept(name, monkeypatch, capsys):
    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.COMMANDS.choices[name]._defaults, "command", interrupted)
    needs = {"data": [], "bench": [], "export": ["cpu", "table.csv"]}.get(name, ["cpu"])
    assert main([name, *needs]) == 130
    error = capsys.readouterr().err
    assert error.startswith("\ngffn: interrupted; ") and "{" not in error


COMMANDS = (
    ["status", "cpu"],
    ["claims", "cpu"],
    ["export", "cpu", "table.csv"],
    ["publish", "cpu"],
    ["verify", "cpu"],
    ["evaluate", "cpu"],
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("folder", ("missing", "", "file"))
def test_a_folder_without_results_is_named(command, folder, tmp_path, monkeypatch, capsys):
    """An empty store in its place would say of every run that it is missing."""
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    assert main([*command, "--results", folder]) == 1
    out, error = capsys.readouterr()
    assert not out and error.startswith(f"gffn: --results {folder!r}: ") and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("folder", ("", "file", "file/below", "closed"))
def test_a_sweep_that_cannot_write_is_refused_before_training(folder, small, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    monkeypatch.setattr("gffn_core.experiments.sweep.datasets_of", None)
    if folder == "closed":  # not to root, who runs some tests

        def refuse(dir):
            raise PermissionError(errno.EACCES, "Permission denied", str(dir / "scratch"))

        monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    assert main(["sweep", "small", "--results", folder]) == 1
    error = capsys.readouterr().err
    assert (
        error.startswith("gffn: ")
        and f"'{folder}" in error
        and "scratch" not in error
        and error.count("\n") == 1
    )


def test_verify_refuses_an_unwritable_second_store_before_training(
    small, store, tmp_path, monkeypatch, capsys
):
    assert sweep(small.runs(), store) == 2
    (tmp_path / "file").touch()
    monkeypatch.setattr("gffn_core.experiments.verify.repeat", None)
    where = ["--results", str(store.root), "--keep", str(tmp_path / "file")]
    assert main(["verify", "small", "--count", "1", *where]) == 1
    assert f"'{tmp_path / 'file'}" in capsys.readouterr().err


def test_a_full_disk_is_one_message_that_names_the_file(small, store, monkeypatch, capsys):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert main(["sweep", "small", "--results", str(store.root)]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("gffn: [Errno 28] No space left on device: ") and f"{store.runs}/" in last
    assert not list(store.runs.iterdir())


def test_an_empty_variable_is_no_folder(small, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GFFN_RESULTS", "")
    assert main(["status", "small"]) == 1
    assert "--results 'results': " in capsys.readouterr().err


def test_help_needs_nothing_that_is_slow_to_import():
    """What is for figures and tables is imported by the commands that draw or tabulate."""
    slow = ("pandas", "scipy", "matplotlib", "IPython", "sklearn", "torchvision", "ray")
    code = f"""import sys; sys.modules.update(dict.fromkeys({slow}))
from gffn_core.cli import main; main(["--help"])"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).resolve().parents[1],
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "100"},
    )
    assert done.returncode == 0, done.stderr
    for command in ("data", "sweep", "status", "publish", "verify", "evaluate", "claims", "bench"):
        assert f"\n    {command} " in done.stdout
