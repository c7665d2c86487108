"""The benchmark measures what it says; how fast anything is, no test decides."""

import copy
import os
from pathlib import Path

import pytest
import torch

from gffn_core.cli import main
from gffn_core.engine import bench
from gffn_core.engine.stack import Execution
from gffn_core.engine.tuning import first_step_again
from gffn_core.experiments import tables
from gffn_core.experiments.profiles import PROFILES
from gffn_core.pages import speed
from gffn_core.training.run import Run

RESULTS = Path(__file__).resolve().parents[1] / "results"


@pytest.fixture(scope="module")
def published():
    found = tables.benches(RESULTS)
    assert found
    return found


def test_text_shows_every_measurement(published):
    for found in published:
        lines = speed.text(found).splitlines()
        for row in found["contenders"]:
            line = next(line for line in lines if line.split()[:1] == [str(row["batch_size"])])
            for name in bench.CONTENDERS:
                assert f"{row[name]['images_a_second']:,.0f}" in line
        failed = copy.deepcopy(found)
        failed["contenders"][0]["torch.compile"] = {"failed": "no compiler"}
        assert "torch.compile: no compiler" in speed.text(failed)


def test_published_ratios_are_those_of_the_profiles_batch_sizes(published):
    ratios = tables.step_ratios(RESULTS)
    assert len(ratios) == len(published) * len(bench.BATCH_SIZES)
    assert all(0.5 < ratio < 2 for ratio in ratios)
    assert set(bench.BATCH_SIZES) <= set(PROFILES["thesis"].batch_sizes)


def test_contenders_are_measured_in_processes_of_their_own(monkeypatch):
    monkeypatch.setattr(bench, "CONTENDERS", {"plain loop": "", "gffn": ""})
    monkeypatch.setattr(os, "cpu_count", lambda: 2)  # each has to import torch
    monkeypatch.setattr(bench, "ROUNDS", 1)
    row = bench._contend("cpu", width=8, batch_size=4, seconds=0.05, report=lambda line: None)
    for name in bench.CONTENDERS:
        assert row[name]["images_a_second"] > 0 and row[name]["peak_memory"] > 2**20
    assert (row["gffn"]["processes"], row["plain loop"]["processes"]) == (2, 1)
    assert torch.get_num_threads() == 1  # of this process


def test_the_measured_step_is_a_training_step():
    """It changes the weights, and always sees the first batch."""
    dataset = bench.made_up(4)
    step = first_step_again([Run("random", "joint", 4, 1)], dataset, "cpu", Execution())
    stack = step.__closure__[0].cell_contents
    before = stack.state(0)
    for _ in range(30):
        step()
    after = stack.state(0)
    assert after["step"] == 30 and int(stack.position) == 0
    assert not torch.equal(before["weights"]["head.3.weight"], after["weights"]["head.3.weight"])
    assert stack.losses[0] < 1  # four images, learnt by heart


@pytest.mark.parametrize("seconds", ("0", "-1", "nan", "inf"))
def test_seconds_that_are_no_time_are_refused(seconds, monkeypatch, capsys):
    monkeypatch.setattr(bench, "_contend", None)
    assert main(["bench", f"--seconds={seconds}"]) == 1
    assert capsys.readouterr().err == f"gffn: seconds={float(seconds)} must be positive and finite\n"


@pytest.mark.parametrize("file", ("file/below.json", "folder"))
def test_a_file_that_cannot_be_written_is_refused_before_measuring(file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("folder").mkdir()
    monkeypatch.setattr(bench, "bench", None)
    assert main(["bench", "--json", file]) == 1
    assert file.split("/")[0] in capsys.readouterr().err
