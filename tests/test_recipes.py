"""The recipes under "To add" in README.md, followed literally in a copy of the repository."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
TINY = 'Profile("tiny", ("{dataset}",), epochs={{16: 2}}, losses={losses}),'
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("GFFN_", "PYTHON"))}

# Trains, publishes and exports the profile "tiny", and reads what was published before its step was added.
USE = """
import json, torch
torch.set_num_threads(1)
from gffn_core import cli, experiments
from gffn_core.experiments import profiles, tables
from gffn_core.experiments.store import Store
from gffn_core.verdicts.ledger import ledger

for command in (["sweep", "tiny", "--device", "cpu"], ["publish", "tiny"], ["export", "tiny", "tiny.csv"]):
    assert cli.main([*command, "--results" , "own"]) == 0
new = Store("own").records()
part = profiles.profile("cpu").runs(["fashion_mnist", "cifar10"], batch_sizes=[16, 64, 256], seeds=[0, 1])
old = list(Store({results!r}).select(part).values())
assert len(new) == len(tables.frame(new)) / 2 > 0 and len(old) == len(tables.frame(old)) / 2 > 0
"""


@pytest.fixture
def copy(tmp_path):
    """A folder to which ``git ls-files`` of a pattern can be copied."""

    def copy(*patterns):
        listed = subprocess.run(
            ["git", "ls-files", *patterns], cwd=ROOT, check=True, capture_output=True, text=True
        )
        for name in listed.stdout.splitlines():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
        return tmp_path

    return copy


def add(file, line, after):
    """Write a line below the one (or the bracket that it opens) that ``after`` ends."""
    text = file.read_text()
    assert text.count(after) == 1, f"{after!r} in {file.name}"
    file.write_text(text.replace(after, after + line))


def add_profile(folder, dataset, losses=("conditional", "joint")):
    add(
        folder / "gffn_core/experiments/profiles.py",
        TINY.format(dataset=dataset, losses=losses),
        after="for profile in (\n",
    )


def run(folder, code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", USE.format(results=str(ROOT / "results")) + code],
        cwd=folder,
        capture_output=True,
        text=True,
        env=ENVIRONMENT | {"PYTHONPATH": str(folder)} | environment,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_loss(copy):
    """A function, its name in OBJECTIVES, and in a profile's ``losses``. The ledger does not mind."""
    folder = copy("gffn_core")
    with (folder / "gffn_core/losses.py").open("a") as file:
        file.write('''

def focal_nll(logits, target, *, label_space="categorical", gamma=2.0):
    """Mean of (1 - p)^gamma times -ln p: ``(..., N, K)`` and ``(..., N)`` -> ``(...)``."""
    nll = -logits.log_softmax(-1).gather(-1, target.unsqueeze(-1)).squeeze(-1)
    return ((1 - (-nll).exp()) ** gamma * nll).mean(-1)
''')
    add(folder / "gffn_core/training/step.py", '"focal": losses.focal_nll, ', after="OBJECTIVES = {")
    add_profile(folder, "digits", losses=("joint", "focal"))
    losses, unchanged, verdicts = run(
        folder,
        """
others = [record | {"run": record["run"] | {"loss": "focal"}} for record in old] + new
before, after = ledger(old), ledger([*old, *others])
print(json.dumps([[one["run"]["loss"] for one in new], before.equals(after), int((after["verdict"] != "no data").sum())]))
""",
    )
    assert sorted(losses) == ["focal", "joint"]
    assert unchanged and verdicts > 20


def test_a_metric(copy):
    """A function, a line in ``evaluate`` and one in COLUMNS; records that are older have NaN."""
    folder = copy("gffn_core")
    with (folder / "gffn_core/metrics.py").open("a") as file:
        file.write('''

def entropy(probs):
    """Mean entropy in nats of probabilities ``(N, K)``."""
    return torch.special.entr(probs).sum(-1).mean().item()
''')
    add(
        folder / "gffn_core/evaluation/standard.py",
        '        "entropy": metrics.entropy(probs),\n',
        after="    out = {\n",
    )
    add(
        folder / "gffn_core/experiments/tables.py",
        '\n    "entropy": ("mean entropy, test images", "nats", ".entropy"),',
        after="COLUMNS = {",
    )
    add_profile(folder, "digits")
    found, older, verdicts, exported = run(
        folder,
        """
both = tables.frame([*old, *new])["entropy"]
verdicts = ledger(old)["verdict"]
print(json.dumps([both[-2 * len(new):].tolist(), bool(both[:-2 * len(new)].isna().all()), int((verdicts != "no data").sum()),
                  open("tiny.csv").readline().strip().split(",")]))
""",
    )
    assert len(found) == 4 and all(0 < value < np.log(10) for value in found)
    assert older and verdicts > 20 and "entropy" in exported


def test_a_data_set(copy, arrays):
    """``<name>.npz`` in the data folder and its title in TITLES."""
    folder = copy("gffn_core")
    (folder / "data").mkdir()
    np.savez(folder / "data/stripes.npz", **arrays)
    add(folder / "gffn_core/data/datasets.py", '\n    "stripes": "Stripes",', after="TITLES = {")
    add_profile(folder, "stripes")
    titles, verdicts = run(
        folder,
        """
assert cli.main(["data", "stripes"]) == 0
print(json.dumps([tables.frame(new)["title"].tolist(), int((ledger([*old, *new])["verdict"] != "no data").sum())]))
""",
        GFFN_DATA=str(folder / "data"),
    )
    assert titles == ["Stripes, own file (40 train / 10 test)"] * 4
    assert verdicts > 20


def test_a_chapter(html):
    """``notebooks/<name>.py``, a line in ``_toc.yml``, ``make notebooks``: the book's fixture has taken these steps."""
    assert "six times seven is 42" in (html / "notebooks/own.html").read_text()
    assert "notebooks/own.html" in (html / "index.html").read_text() + (html / "book/intro.html").read_text()
