"""What the parts of the package may know of each other, and what they need to be installed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "gffn_core"
CORE = ("losses", "metrics", "model", "training", "stack")
# Everything that is installed for data, figures, notebooks and the command.
OPTIONAL = (
    "pandas", "matplotlib", "seaborn", "scipy", "sklearn", "torchvision", "tqdm", "platformdirs",
    "IPython", "PIL", "ray",
)


def run(code):
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)


BLOCK = f"import sys; sys.modules.update(dict.fromkeys({OPTIONAL}))\n"


def test_core_needs_torch_and_numpy_alone():
    """Someone who wants the loss in a project of their own installs nothing else, and can train."""
    done = run(BLOCK + f"""
import importlib
for name in {CORE}:
    importlib.import_module("gffn_core." + name)

import torch
torch.set_num_threads(1)
from gffn_core.data import Dataset
from gffn_core.training import Run, train

def part(n):
    y = torch.arange(n) % 3
    noise = torch.randint(0, 50, (n, 1, 8, 8), generator=torch.Generator().manual_seed(n))
    return (noise + 80 * y[:, None, None, None]).to(torch.uint8), y

dataset = Dataset("synthetic", "Synthetic", "made up", False, "0", *part(48), *part(12), *part(12))
run = Run("synthetic", "joint", batch_size=16, epochs=10)
print(train(run, dataset, out_of_distribution=dataset).evaluations["long"]["test_accuracy"])
""")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0.9


def imported(module):
    """The modules of the package that a module imports, anywhere in its file."""
    found = set()
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} imports relatively"
            names = [node.module]
            if node.module == "gffn_core":
                names = [f"gffn_core.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("gffn_core.")}
    return found


@pytest.mark.parametrize(
    "module, allowed",
    (
        ("losses", set()),
        ("model", set()),
        ("files", set()),
        ("sources", set()),
        ("metrics", {"losses"}),
        ("data", {"files", "sources"}),
    ),
)
def test_foundations_import_nothing_above_them(module, allowed):
    assert imported(module) <= allowed


@pytest.mark.parametrize("module", ("evaluation", "training", "stack", "tuning"))
def test_training_knows_nothing_of_storage_and_display(module):
    assert not imported(module) & {"store", "experiments", "cli", "report", "plots"}
