"""What the parts of the package may know of each other, and what they need to be installed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = """losses metrics model evaluation.standard training.loop
    engine.stack engine.workers engine.tuning engine.cluster engine.bench""".split()
PUBLIC = """JointCrossEntropyLoss joint_nll conditional_nll log_partition ConvNet accuracy auroc brier_score
    expected_calibration_error fit_temperature negative_log_likelihood typicality""".split()
# Everything that is installed for data, figures, notebooks and the command.
OPTIONAL = """pandas matplotlib seaborn scipy sklearn torchvision tqdm platformdirs IPython PIL ray
    safetensors""".split()


def run(code):
    """Run code in a process of its own, where nothing but torch and numpy can be imported."""
    code = f"import sys; sys.modules.update(dict.fromkeys({OPTIONAL}))\n" + code
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)


def test_core_needs_torch_and_numpy_alone():
    """Someone who wants the loss in a project of their own installs nothing else, and can train."""
    done = run(f"""
import importlib

import gffn_core
for name in {PUBLIC}:
    assert callable(getattr(gffn_core, name)) and name in gffn_core.__all__
for name in {CORE}:
    importlib.import_module("gffn_core." + name)

import torch
torch.set_num_threads(1)
from gffn_core.data.datasets import Dataset
from gffn_core.training.loop import train
from gffn_core.training.run import Run

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


def test_no_function_is_longer_than_a_screen():
    """Fifty lines below its docstring."""
    for path in (ROOT / "gffn_core").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                code = node.body[1:] if ast.get_docstring(node) else node.body
                assert not code or node.end_lineno - code[0].lineno < 50, f"{path.name}: {node.name}"


COMMANDS = ("lint-imports", "ruff check", "ruff format --check")


@pytest.mark.parametrize("command", COMMANDS)
def test_code_keeps_to_what_pyproject_says(command):
    """Imports run downwards only, and all code has one style: ``ruff format`` makes it."""
    program, *arguments = command.split()
    done = subprocess.run(
        [Path(sys.executable).with_name(program), *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
