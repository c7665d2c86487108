"""examples/distributed.py on two processes, against one that holds the whole batch; micro_batches.py."""

import contextlib
import importlib.util
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

EXAMPLE = Path(__file__).resolve().parents[1] / "examples/distributed.py"
LAUNCHER = "-m torch.distributed.run --standalone --local-addr 127.0.0.1 --nproc-per-node 2".split()
BOTH = ("global", "local")


def run_here(options, patch, path=EXAMPLE):
    """Run an example in this process, which has imported torch."""
    patch.setattr(sys, "argv", [str(path), *map(str, options)])
    spec = importlib.util.spec_from_file_location("example", path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    example.main()


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    """By number of processes: the results, the weights, and what was printed. Both run at once.

    The digits as a file of one's own, for whose sake each process would import scikit-learn.
    """
    folder, data = tmp_path_factory.mktemp("example"), tmp_path_factory.mktemp("data")
    arrays = {key: getattr(digits, key).numpy() for key in ("train_x", "train_y", "test_x", "test_y")}
    np.savez(data / "mnist.npz", **arrays)

    def options(processes):
        files = ("--json", folder / f"{processes}.json", "--weights", folder / f"{processes}.pt")
        return ["--dataset", "mnist", "--epochs", "1", "--float64", "--normalisation", *BOTH, *files]

    two = subprocess.Popen(
        [sys.executable, *LAUNCHER, EXAMPLE, *options(2)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"GFFN_DATA": str(data), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as one:
        patch.setenv("GFFN_DATA", str(data))
        patch.setattr(torch.cuda, "device_count", lambda: 0)
        run_here(options(1), patch)
    printed, errors = two.communicate(timeout=300)
    assert two.returncode == 0, errors
    assert sorted(path.name for path in folder.iterdir()) == ["1.json", "1.pt", "2.json", "2.pt"]
    return {
        processes: (
            json.loads((folder / f"{processes}.json").read_text()),
            torch.load(folder / f"{processes}.pt"),
            printed.splitlines(),
        )
        for processes, printed in ((1, one.getvalue()), (2, printed))
    }


def test_global_normalisation_trains_what_one_process_trains(trained):
    (one, weights_of_one, _), (two, weights_of_two, _) = trained[1], trained[2]
    torch.testing.assert_close(weights_of_two["global"], weights_of_one["global"], rtol=0, atol=1e-10)
    one, two = one["results"]["global"], two["results"]["global"]
    assert two["train_loss"] == pytest.approx(one["train_loss"], abs=1e-10)
    assert two["test"] == pytest.approx(one["test"], abs=1e-6)
    # One process has one part, which is the whole batch.
    torch.testing.assert_close(weights_of_one["local"], weights_of_one["global"], rtol=0, atol=1e-10)


def test_local_normalisation_trains_another_loss(trained):
    (one, weights_of_one, _), (two, weights_of_two, _) = trained[1], trained[2]
    difference = two["results"]["local"]["train_loss"][0] - one["results"]["global"]["train_loss"][0]
    assert abs(difference) > 1e-7
    pairs = zip(weights_of_two["local"].values(), weights_of_one["global"].values())
    assert max((a - b).abs().max() for a, b in pairs) > 1e-3


@pytest.mark.parametrize("processes", (1, 2))
def test_the_first_process_alone_reports(trained, processes):
    stored, _, printed = trained[processes]
    assert [line.split(":")[0] for line in printed] == [
        f"{normalisation}, {what}" for normalisation in BOTH for what in ("epoch 1", "test")
    ]
    assert (stored["processes"], stored["batch_size"], stored["dataset"]) == (processes, 32, "mnist")
    for line, normalisation in zip(printed[1::2], BOTH):
        accuracy, ece, nll = stored["results"][normalisation]["test"].values()
        assert line.endswith(f"accuracy {accuracy:.4f}, ece {ece:.4f}, nll {nll:.4f}")


@pytest.mark.parametrize(
    "options, message",
    (
        (["--batch-size", "33"], "--batch-size 33 does not divide over 2 processes"),
        (["--batch-size", "2000"], "--batch-size 2000 exceeds the 1294 images"),
        (["--epochs", "0"], "epochs=0 must be positive"),
        (["--normalisation", "none"], "invalid choice: 'none'"),
        (["--dataset", "mnist"], "run `gffn data mnist`"),
    ),
)
def test_wrong_options_are_named(options, message, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("GFFN_DATA", str(tmp_path))  # no data set has been fetched
    with pytest.raises(SystemExit) as stopped:
        run_here(options, monkeypatch)
    assert stopped.value.code == 2 and message in capsys.readouterr().err


MICRO_BATCHES = EXAMPLE.with_name("micro_batches.py")


def test_micro_batches_have_the_gradient_of_the_whole_batch(monkeypatch, capsys, tmp_path):
    file = tmp_path / "found.json"
    run_here(["--batch-size", 24, "--micro-batch", 7, "--json", file], monkeypatch, MICRO_BATCHES)
    found = json.loads(file.read_text())
    assert 0 < found["difference"] < 1e-10 and found["provenance"]["device"] == "cpu"
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in printed] == [
        "largest difference of the gradients",
        "whole",
        "micro-batches",
    ]
    assert all(found[way]["seconds"] > 0 for way in ("whole", "micro-batches"))


def test_micro_batches_larger_than_the_batch_are_refused(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run_here(["--batch-size", 4, "--micro-batch", 8], monkeypatch, MICRO_BATCHES)
    assert "--micro-batch 8 must be at least 1 and at most --batch-size 4" in capsys.readouterr().err
