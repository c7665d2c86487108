"""The examples: distributed.py on one process, micro_batches.py, own_data.py on files and folders."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT, load
from PIL import Image

from gffn_core.engine import workers

EXAMPLE = ROOT / "examples/distributed.py"
BOTH = ("global", "local")


def run_here(options, patch, path=EXAMPLE):
    """Run an example in this process, which has imported torch. path: of the file, or the loaded module."""
    patch.setattr(sys, "argv", ["example", *map(str, options)])
    (load(path) if isinstance(path, Path) else path).main()


def test_one_process_needs_no_launcher(files_of_digits, monkeypatch, capsys, tmp_path):
    """Two that are launched train the same: the chapter on several processes runs them, and asserts it."""
    monkeypatch.setenv("GFFN_DATA", str(files_of_digits))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    files = ["--json", tmp_path / "found.json", "--weights", tmp_path / "found.pt"]
    run_here(
        ["--dataset", "mnist", "--epochs", 1, "--float64", "--normalisation", *BOTH, *files], monkeypatch
    )
    found, weights = json.loads((tmp_path / "found.json").read_text()), torch.load(tmp_path / "found.pt")
    torch.testing.assert_close(
        weights["local"], weights["global"], rtol=0, atol=1e-10
    )  # its one part is the whole batch
    assert (found["processes"], found["batch_size"], found["dataset"]) == (1, 32, "mnist")
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in printed] == [
        f"{normalisation}, {what}" for normalisation in BOTH for what in ("epoch 1", "test")
    ]
    for line, normalisation in zip(printed[1::2], BOTH):
        accuracy, ece, nll = found["results"][normalisation]["test"].values()
        assert line.endswith(f"accuracy {accuracy:.4f}, ece {ece:.4f}, nll {nll:.4f}")


@pytest.mark.parametrize(
    "options, message",
    (
        (["--batch-size", "33"], "--batch-size 33 does not divide over 2 processes"),
        (["--batch-size", "2000"], "--batch-size 2000 exceeds the 1294 images"),
        (["--epochs", "0"], "epochs=0 must be positive"),
        (["--normalisation", "none"], "invalid choice: 'none'"),
        (["--dataset", "mnist"], "run `gffn data mnist`"),
        (["--json", "/proc/none/found.json"], "'/proc/none'"),
        (["--weights", "/proc/none/found.pt"], "'/proc/none'"),
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


@pytest.mark.parametrize(
    "options, message",
    (
        (
            ["--batch-size", 4, "--micro-batch", 8],
            "--micro-batch 8 must be at least 1 and at most --batch-size 4",
        ),
        (["--json", "/proc/none/found.json"], "'/proc/none'"),
    ),
)
def test_micro_batches_refuse_wrong_options_at_once(options, message, monkeypatch, capsys):
    with pytest.raises(SystemExit) as stopped:
        run_here(options, monkeypatch, MICRO_BATCHES)
    assert stopped.value.code == 2 and message in capsys.readouterr().err


OWN_DATA = EXAMPLE.with_name("own_data.py")


@pytest.fixture
def own_data(monkeypatch):
    """The example with three contenders, in this process."""
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    # To collect the garbage of all tests takes longer than to train one of these nets.
    monkeypatch.setattr(workers, "hand_back_freed_memory", lambda: None)
    example = load(OWN_DATA)
    example.CONTENDERS = ("standard", "joint")
    return example


@pytest.fixture
def mine(tmp_path):
    """mine.npz and the folder mine hold the same images: dark and bright ones, grey, in two classes."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", 60), ("test", 40)):
        arrays[f"{part}_y"] = np.arange(n) * 2 // n
        bright = 60 * arrays[f"{part}_y"][:, None, None]
        arrays[f"{part}_x"] = (bright + rng.integers(0, 190, (n, 8, 8))).astype(np.uint8)
        for number, (image, label) in enumerate(zip(arrays[f"{part}_x"], arrays[f"{part}_y"])):
            folder = tmp_path / "mine" / part / ("dark", "light")[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / f"{number:02}.png")
    np.savez(tmp_path / "mine.npz", **arrays)
    return tmp_path / "mine.npz"


def test_own_data_as_a_file_and_as_a_folder(own_data, mine, monkeypatch, capsys, tmp_path):
    """The same images give the same table, from the same nets: the second time nothing is trained."""
    options = "--quick --epochs 2 --batch-size 16 --unfamiliar".split()
    options += [mine, "--out", tmp_path / "nets.csv"]
    run_here([mine, *options], monkeypatch, own_data)
    first = capsys.readouterr()
    assert (
        "54 training, 6 validation, 40 test images of 2 classes\nThese are few" in first.out
        and "runs on" in first.err
    )
    run_here([tmp_path / "mine", "--size", 8, "--grey", *options], monkeypatch, own_data)
    second = capsys.readouterr()
    assert (
        second.out.partition("Test images:")[2] == first.out.partition("Test images:")[2] and not second.err
    )

    # What another size would make of the folder is another file.
    assert (tmp_path / "mine_results/grey_8/mine.npz").exists()

    nets = pd.read_csv(tmp_path / "nets.csv")
    tuned, tested = nets[nets["seed"] == 0], nets[nets["seed"] > 0]
    assert set(tested["contender"]) == {"standard", "standard, to the end", "joint"}
    assert tuned.groupby("contender").size().eq(4).all() and tested.groupby("contender").size().eq(3).all()
    chosen = tuned.loc[tuned.groupby("contender")["val_nll"].idxmin()].set_index("contender")["setting"]
    assert set(zip(tested["contender"], tested["setting"])) == set(chosen.items())
    # What is unfamiliar are the test images themselves here.
    assert tested["auroc"].eq(0.5).all() and tuned["auroc"].isna().all()
    (line,) = [line for line in first.out.splitlines() if line.startswith("standard  ")]
    standard = tested[tested["contender"] == "standard"][
        ["test_accuracy", "nll", "ece", "scaled_nll", "auroc"]
    ]
    assert [float(value) for value in line.split()[1:6]] == pytest.approx(standard.mean().tolist(), abs=5e-5)


def test_own_data_names_winners_and_where_ours_lose(capsys):
    """By hand: means of three seeds; half of the interval is 4.3027 standard errors."""
    example, seeds = load(OWN_DATA), pd.Series([1, 2, 3])
    values = {  # accuracy, NLL
        "standard": ([0.5, 0.6, 0.7], [1.0, 1.0, 1.1]),
        "stopped early": ([0.5, 0.7, 0.6], [0.899, 0.9, 1.0]),
        "z-loss": ([0.6, 0.6, 0.7], [0.9, 0.91, 0.99]),
        "joint": ([0.4, 0.51, 0.6], [1.0, 1.1, 1.0]),
    }
    parts = [
        pd.DataFrame(
            {"contender": name, "seed": seeds, "setting": "any", "test_accuracy": accuracy, "nll": nll}
            # Where all seeds agree, but for rounding, they tell nothing of the spread.
            | {"ece": seeds / 10 - 0.1 * (name == "joint")}
        )
        for name, (accuracy, nll) in values.items()
    ]
    example.report(pd.concat(parts))
    printed = capsys.readouterr().out.splitlines()
    assert ["standard", "0.6000", "1.0333", "0.2000", "any"] in [line.split() for line in printed]
    start = next(number for number, line in enumerate(printed) if line.startswith("Best by need"))
    assert [line.rstrip() for line in printed[start + 1 : start + 5]] == [
        "test_accuracy none seen to be better than the standard net",
        "              worse than the standard net: joint -0.0967 ± 0.0143 *",
        "nll           stopped early -0.1003 ± 0.0014 * (no difference seen to: z-loss; joint)",
        "ece           none seen to be better than the standard net",
    ]


def test_own_data_names_a_contender_that_always_diverged(own_data, mine, monkeypatch, capsys):
    settings = own_data.contest.settings
    monkeypatch.setattr(
        own_data.contest,
        "settings",
        lambda name, *how, **more: [
            one | {"learning_rate": 1e30} if name == "joint" else one for one in settings(name, *how, **more)
        ],
    )
    options = [mine, "--quick", "--epochs", 1, "--batch-size", 16]
    with pytest.raises(SystemExit) as stopped:
        run_here(options, monkeypatch, own_data)
    assert stopped.value.code == 2 and "every net of joint diverged" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, message",
    (
        (["nowhere.npz"], "nowhere.npz is not there"),
        (["mine.npz", "--batch-size", "64"], "--batch-size 64 exceeds the 54 training images"),
        (["mine.npz", "--seeds", "2"], "invalid choice: 2 (choose from 3, 4"),
        (["mine", "--size", "9", "--batch-size", "16"], "image_size=9 must be a positive even number"),
        (["mine.npz", "--unfamiliar", "others"], "others is not there, or neither"),
        (["mine.npz", "--batch-size", "16", "--epochs", "0"], "epochs=0 must be"),
        (["mine.npz", "--out", "nets.txt"], "nets.txt: the file's name must end in .csv or .parquet"),
        (["mine/train/dark"], "dark holds no folder of a class"),
        (["mine", "--results", "mine/found"], "mine, whose folders are classes; name another"),
    ),
)
def test_own_data_names_wrong_options(options, message, own_data, mine, monkeypatch, capsys):
    monkeypatch.chdir(mine.parent)
    with pytest.raises(SystemExit) as stopped:
        run_here(options, monkeypatch, own_data)
    assert stopped.value.code == 2 and message in capsys.readouterr().err
