"""The recipes under "To add" in README.md, followed literally in a copy of the repository."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

PROFILE = 'Profile("tiny", ("digits", "stripes"), epochs={16: 2}, losses=("joint", "focal")),'
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("GFFN_", "PYTHON"))}

# Trains, publishes and exports the profile "tiny", and reads what was published before the steps were added.
USE = """
import json, sys, torch
torch.set_num_threads(1)
from gffn_core import cli
from gffn_core.experiments import profiles, tables
from gffn_core.experiments.store import Store
from gffn_core.verdicts.ledger import ledger

for command in (["data", "stripes"], ["sweep", "tiny", "--device", "cpu", "--results", "own"],
                ["evaluate", "tiny", "--results", "own"], ["publish", "tiny", "--results", "own"], ["export", "tiny", "tiny.csv", "--results", "own"]):
    assert cli.main(command) == 0
new = Store("own").records()
part = profiles.profile("cpu").runs(["fashion_mnist", "cifar10"], batch_sizes=[16, 64, 256], seeds=[0, 1])
old = list(Store(sys.argv[1]).select(part).values())
others = [record | {"run": record["run"] | {"loss": "focal"}} for record in old] + new
before, after = ledger(old), ledger([*old, *others])
both = tables.frame([*old, *new])
print(json.dumps({
    "losses": sorted(record["run"]["loss"] for record in new),
    "titles": sorted({record["data"]["title"] for record in new}),
    "unchanged": before.equals(after),
    "verdicts": int((after["verdict"] != "no data").sum()),
    "entropy": both["entropy"][-2 * len(new):].tolist(),
    "older": both["entropy"][:-2 * len(new)].isna().tolist(),
}))
"""


def add(file, line, after):
    """Write a line below the one (or the bracket that it opens) that ``after`` ends."""
    text = file.read_text()
    assert text.count(after) == 1, f"{after!r} in {file.name}"
    file.write_text(text.replace(after, after + line))


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """What came out where all recipes but the chapter's were followed, and the folder."""
    folder = tmp_path_factory.mktemp("copy")
    listed = subprocess.run(
        ["git", "ls-files", "gffn_core"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in listed.stdout.splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    package = folder / "gffn_core"
    add_loss(package)
    add_metric(package)
    add_data_set(package, folder / "data")
    add(package / "experiments/profiles.py", PROFILE, after="for profile in (\n")
    done = subprocess.run(
        [sys.executable, "-c", USE, ROOT / "results"],
        cwd=folder,
        capture_output=True,
        text=True,
        env=ENVIRONMENT | {"PYTHONPATH": str(folder), "GFFN_DATA": str(folder / "data")},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), folder


def add_loss(package):
    """A function, its name in OBJECTIVES, and in a profile's ``losses``."""
    with (package / "losses.py").open("a") as file:
        file.write('''

def focal_nll(logits, target, *, label_space="categorical", gamma=2.0):
    """Mean of (1 - p)^gamma times -ln p: ``(..., N, K)`` and ``(..., N)`` -> ``(...)``."""
    nll = -logits.log_softmax(-1).gather(-1, target.unsqueeze(-1)).squeeze(-1)
    return ((1 - (-nll).exp()) ** gamma * nll).mean(-1)
''')
    add(package / "training/step.py", '"focal": losses.focal_nll, ', after="OBJECTIVES = {")


def add_metric(package):
    """A function, a line in ``evaluate`` and one in COLUMNS."""
    with (package / "metrics.py").open("a") as file:
        file.write('''

def entropy(probs):
    """Mean entropy in nats of probabilities ``(N, K)``."""
    return torch.special.entr(probs).sum(-1).mean().item()
''')
    add(
        package / "evaluation/standard.py",
        '        "entropy": metrics.entropy(test.softmax(-1)),\n',
        after="    measured = {\n",
    )
    add(
        package / "experiments/tables.py",
        '\n    "entropy": ("mean entropy, test images", "nats", ".entropy"),',
        after="COLUMNS = {",
    )


def add_data_set(package, data):
    """``<name>.npz`` in the data folder and its title in TITLES: 40 + 10 grey images in two classes."""
    data.mkdir()
    rng = np.random.default_rng(0)
    arrays = {
        f"{part}_{kind}": values
        for part, n in (("train", 40), ("test", 10))
        for kind, values in (("x", rng.integers(0, 256, (n, 8, 8), dtype=np.uint8)), ("y", np.arange(n) % 2))
    }
    np.savez(data / "stripes.npz", **arrays)
    add(package / "data/datasets.py", '\n    "stripes": "Stripes",', after="TITLES = {")


def test_a_loss(followed):
    """It trains, and the ledger does not mind it."""
    found, _ = followed
    assert found["losses"] == ["focal"] * 2 + ["joint"] * 2
    assert found["unchanged"] and found["verdicts"] > 20


def test_a_metric(followed):
    """It is in records and tables; records that are older have NaN."""
    found, folder = followed
    assert len(found["entropy"]) == 8 and all(0 < value < np.log(10) for value in found["entropy"])
    assert found["older"] and all(found["older"])
    assert "entropy" in (folder / "tiny.csv").read_text().splitlines()[0].split(",")


def test_a_data_set(followed):
    """Its name is among those of the profile, and its title in the records."""
    found, _ = followed
    assert len(found["titles"]) == 2 and found["titles"][1] == "Stripes, own file (40 train / 10 test)"
