"""The notebooks are what their sources say, and every chapter runs live on the embedded digits.

nbval compares the stored outputs with fresh ones; it collects the notebooks by itself.
"""

import importlib.util
import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.request import urlopen

import nbformat
import numpy as np
import pandas as pd
import pytest

from gffn_core import experiments
from gffn_core.store import Store

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


def figures():
    """The markup of every figure that is stored in a notebook."""
    for source in execute.SOURCES:
        for cell in nbformat.read(source.with_suffix(".ipynb"), as_version=4).cells:
            for output in cell.get("outputs", []):
                page = output.get("data", {}).get("text/html", "")
                if "<svg" in page:
                    yield ET.fromstring(page.replace("xlink:", "").replace(' download="', ' file="'))


def data(figure):
    with urlopen(figure.find(".//a[@file]").get("href")) as answer:
        return pd.read_csv(answer)


def test_every_figure_has_name_caption_and_data():
    names = [figure.get("id") for figure in figures()]
    assert len(names) == len(set(names)) >= 21
    for figure in figures():
        name = figure.get("id")
        assert figure.find("figcaption").text.strip(), name
        assert figure.find(".//a[@file]").get("file") == f"{name}.csv"
        assert 1 < len(data(figure)) < 5000, name


LONG = {
    "headline": lambda record: record["evaluations"]["long"]["ece"]["uniform10"],
    "accuracy-long": lambda record: record["evaluations"]["long"]["test_accuracy"],
    "ece-long": lambda record: record["evaluations"]["long"]["ece"]["uniform10"],
    "ece-scaled": lambda record: record["evaluations"]["long"]["scaled"]["ece"]["uniform10"],
    "aurc-long": lambda record: record["evaluations"]["long"]["risk_coverage"]["aurc"],
}


def test_data_under_figures_are_those_of_the_records():
    cell = ["dataset", "batch_size", "loss"]
    runs = experiments.profile("cpu").runs()
    records = [record for record in Store(ROOT / "results").select(runs).values() if not record["diverged"]]
    under = {figure.get("id"): data(figure) for figure in figures()}
    for name, value in LONG.items():
        wanted = pd.DataFrame({key: r["run"][key] for key in cell} | {"mean": value(r)} for r in records)
        found = under[name].set_index(cell)["mean"].sort_index()
        pd.testing.assert_series_equal(found, wanted.groupby(cell)["mean"].mean(), rtol=1e-5)
    curves = under["accuracy-curves"].set_index([*cell, "seed"]).sort_index()
    for record in records:
        here = tuple(record["run"][key] for key in (*cell, "seed"))
        if here in curves.index:
            np.testing.assert_allclose(curves.loc[[here], "value"], record["curves"]["val_accuracy"], rtol=1e-5)


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
