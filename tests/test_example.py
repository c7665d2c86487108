"""examples/distributed.py on two processes, against one that holds the whole batch."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

EXAMPLE = Path(__file__).resolve().parents[1] / "examples/distributed.py"
LAUNCHERS = {
    1: [sys.executable],
    2: [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--local-addr",
        "127.0.0.1",
        "--nproc-per-node",
        "2",
    ],
}
BOTH = ("global", "local")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """By number of processes: the results, the weights, and what was printed. Both run at once."""
    folder = tmp_path_factory.mktemp("example")
    started = {
        processes: subprocess.Popen(
            [
                *launcher,
                EXAMPLE,
                "--epochs",
                "1",
                "--float64",
                "--normalisation",
                *BOTH,
                "--json",
                folder / f"{processes}.json",
                "--weights",
                folder / f"{processes}.pt",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        )
        for processes, launcher in LAUNCHERS.items()
    }
    found = {}
    for processes, process in started.items():
        printed, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        stored = json.loads((folder / f"{processes}.json").read_text())
        found[processes] = stored, torch.load(folder / f"{processes}.pt"), printed.splitlines()
    assert sorted(path.name for path in folder.iterdir()) == ["1.json", "1.pt", "2.json", "2.pt"]
    return found


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
    assert abs(difference) > 1e-5
    pairs = zip(weights_of_two["local"].values(), weights_of_one["global"].values())
    assert max((a - b).abs().max() for a, b in pairs) > 1e-3


@pytest.mark.parametrize("processes", LAUNCHERS)
def test_the_first_process_alone_reports(trained, processes):
    stored, _, printed = trained[processes]
    assert [line.split(":")[0] for line in printed] == [
        f"{normalisation}, {what}" for normalisation in BOTH for what in ("epoch 1", "test")
    ]
    assert (stored["processes"], stored["batch_size"], stored["dataset"]) == (processes, 32, "digits")
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
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *options])
    spec = importlib.util.spec_from_file_location("distributed_example", EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    with pytest.raises(SystemExit) as stopped:
        example.main()
    assert stopped.value.code == 2 and message in capsys.readouterr().err
