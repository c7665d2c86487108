"""The notebooks are what their sources say, and every chapter runs live on the embedded digits.

nbval compares the stored outputs with fresh ones; it collects the notebooks by itself.
"""

import importlib.util
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("execute", ROOT / "book/execute.py")
execute = importlib.util.module_from_spec(spec)
spec.loader.exec_module(execute)


@pytest.mark.parametrize("source", execute.SOURCES, ids=lambda path: path.stem)
def test_notebook_is_in_step_with_its_source(source):
    stored = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    wanted = execute.notebook(source)
    assert [(c.cell_type, c.source, c.metadata.get("tags", [])) for c in stored.cells] == [
        (c.cell_type, c.source, c.metadata.get("tags", [])) for c in wanted.cells
    ], "run `make notebooks`"
    nbformat.validate(stored)


@pytest.mark.parametrize("source", execute.SOURCES, ids=lambda path: path.stem)
def test_stored_notebook_ran_through(source):
    stored = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [o for cell in code for o in cell.outputs if o.output_type in ("error", "stream") and o.get("name") != "stdout"]


@pytest.fixture(scope="module")
def live_store(tmp_path_factory):
    """One store for all chapters: the first trains, the others read."""
    return tmp_path_factory.mktemp("results")


# Chapters about the runs of a profile; the others are executed as they are by nbval.
PROFILED = [source for source in execute.SOURCES[1:] + execute.SOURCES[:1] if "\nPROFILE = " in source.read_text()]


@pytest.mark.parametrize("source", PROFILED, ids=lambda path: path.stem)
def test_chapter_runs_live_on_the_digits(source, live_store, tmp_path):
    target = tmp_path / f"{source.stem}.ipynb"
    execute.execute(
        source, target, {"PROFILE": "digits", "RESULTS": str(live_store), "TRAIN_MISSING": True, "DEVICE": "cpu"}
    )
    outputs = [o for c in nbformat.read(target, as_version=4).cells for o in c.get("outputs", [])]
    figures = [o["data"]["text/html"] for o in outputs if "<svg" in o.get("data", {}).get("text/html", "")]
    assert len(figures) >= source.read_text().count("\nplots.show(")
    for figure in figures:
        assert 'role="img"' in figure and "<figcaption>" in figure
        assert "currentColor" in figure  # follows the page's colours


def test_failing_notebook_leaves_the_old_one(tmp_path):
    source = tmp_path / "chapter.py"
    source.write_text("# %%\nraise RuntimeError('broken')\n")
    target = tmp_path / "chapter.ipynb"
    target.write_text("old")
    with pytest.raises(execute.papermill.PapermillExecutionError):
        execute.execute(source, target)
    assert target.read_text() == "old"
