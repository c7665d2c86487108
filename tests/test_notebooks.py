"""The notebooks are what their sources say, and every chapter runs live on the embedded digits.

nbval compares the stored outputs with fresh ones; it collects the notebooks by itself.
"""

import copy
import io
import json
import re
import shutil
import subprocess
import sys
import types
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import nbformat
import numpy as np
import pandas as pd
import pytest
from conftest import HOSTILE, ROOT, execute

from gffn_core.data.files import sha256_of
from gffn_core.experiments import profiles, sweep, tables
from gffn_core.experiments.store import Store
from gffn_core.training.run import record_key


@pytest.mark.parametrize("source", execute.SOURCES, ids=lambda path: path.stem)
def test_stored_notebook_is_its_source_and_ran_through(source):
    stored, wanted = nbformat.read(source.with_suffix(".ipynb"), as_version=4), execute.notebook(source)
    nbformat.validate(stored)
    of = lambda book: [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in book.cells]
    assert of(stored) == of(wanted), "run `make notebooks`"
    # A live measurement is noise and would change the file with every rebuild.
    assert not any("nbval-ignore-output" in tags for *_, tags in of(wanted))
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not [o for o in outputs if o.output_type in ("error", "stream") and o.get("name") != "stdout"]
    text = "\n".join(o.get("data", {}).get("text/markdown", "") for o in outputs)
    text = re.sub("```.*?```", "", text, flags=re.DOTALL)
    assert not re.search(r"\{[a-z_][^{}]*:[+,.\d]+[fg]?\}", text)  # of a sentence that is no f-string


def test_sources_are_in_the_order_of_the_book_and_fit_a_screen():
    toc = (ROOT / "book/_toc.yml").read_text()
    places = [toc.index(str(source.relative_to(ROOT).with_suffix(""))) for source in execute.SOURCES]
    assert places == sorted(places)
    assert {*execute.SOURCES} == {ROOT / "book/intro.py", *ROOT.glob("notebooks/*.py")}
    for source in execute.SOURCES:
        assert not [line for line in source.read_text().splitlines() if len(line) > 110], source


def test_shown_code_is_as_narrow_as_the_page():
    """Longer lines would have to be scrolled to the side."""
    texts = [path.read_text() for path in ROOT.glob("book/*.md")]
    for source in execute.SOURCES:
        for cell in execute.notebook(source).cells:
            if cell.cell_type == "markdown":
                texts.append(cell.source)
            elif not {"hide-input", "hide-cell", "remove-input", "remove-cell"} & {
                *cell.metadata.get("tags", [])
            }:
                texts.append(f"```python\n{cell.source}\n```")
    code = "\n".join(part for text in texts for part in re.findall(r"^```\w+\n(.*?)^```", text, re.S | re.M))
    assert not [line for line in code.splitlines() if len(line) > 78]


def figures():
    """The markup of every figure that is stored in a notebook."""
    for source in execute.SOURCES:
        for cell in nbformat.read(source.with_suffix(".ipynb"), as_version=4).cells:
            for output in cell.get("outputs", []):
                page = output.get("data", {}).get("text/html", "")
                if "<svg" in page:
                    yield ET.fromstring(page.replace(' download="', ' file="'))


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


LONG = {  # name of the figure and perhaps of a column of its data
    "accuracy-long": lambda record: record["evaluations"]["long"]["test_accuracy"],
    "ece-long": lambda record: record["evaluations"]["long"]["ece"]["uniform10"],
    "ece-scaled": lambda record: record["evaluations"]["long"]["scaled"]["ece"]["uniform10"],
    "aurc-long": lambda record: record["evaluations"]["long"]["risk_coverage"]["aurc"],
    "auroc auroc_log_px": lambda record: record["evaluations"]["long"]["ood"]["scores"]["log_px"]["auroc"],
    "places below": lambda record: (
        1 - record["evaluations"]["long"]["ood"]["scores"]["log_px"]["fpr_at_95_tpr"]
    ),
}


def test_data_under_figures_are_those_of_the_records():
    cell = ["dataset", "batch_size", "loss"]
    runs = profiles.profile("cpu").runs()
    records = [record for record in Store(ROOT / "results").select(runs).values() if not record["diverged"]]
    under = {figure.get("id"): data(figure) for figure in figures()}
    for name, value in LONG.items():
        name, column = (*name.split(), "mean")[:2]
        wanted = pd.DataFrame({key: r["run"][key] for key in cell} | {column: value(r)} for r in records)
        found = under[name].set_index(cell)[column].sort_index()
        pd.testing.assert_series_equal(found, wanted.groupby(cell)[column].mean(), rtol=1e-5)
    drawn = under["headline"].query("panel == 'ECE'")
    means = tables.by_stopping(tables.frame(records), ["ece", "scaled_ece"])
    np.testing.assert_allclose(sorted(drawn["x"]), np.sort(means.to_numpy().ravel()), rtol=1e-5)
    curves = under["accuracy-curves"].set_index([*cell, "seed"]).sort_index()
    for record in records:
        here = tuple(record["run"][key] for key in (*cell, "seed"))
        if here in curves.index:
            np.testing.assert_allclose(
                curves.loc[[here], "value"], record["curves"]["val_accuracy"], rtol=1e-5
            )


@pytest.fixture(scope="module")
def live_store(tmp_path_factory):
    """One store for all chapters: the first trains the cheapest run, the others read.

    Its other records are hostile, and come from trainings of a few epochs at one batch size.
    """
    folder = tmp_path_factory.mktemp("results")
    (folder / "runs").mkdir()
    brief = {run: replace(run, batch_size=256, epochs=3) for run in profiles.profile("digits").runs()[:-1]}
    store = Store(folder / "brief")
    sweep.sweep([*set(brief.values())], store, device="cpu")
    trained = store.select([*brief.values()])
    for run, stand_in in brief.items():
        record = copy.deepcopy(trained[stand_in])
        record |= {"run": run.settings(), "key": record_key(run, record["data"]["sha256"])}
        ood = [found["ood"]["data"] for found in record["evaluations"].values() if "ood" in found]
        for data in (record["data"], *ood):
            data |= {"title": data["title"] + HOSTILE, "source": HOSTILE, "official": False}
        for data in ood:  # that of the record's own data says on which version the run was done
            data["sha256"] = HOSTILE
        record["provenance"] |= dict.fromkeys(("hardware", "code", "torch", "python", "finished"), HOSTILE)
        path = folder / f"runs/{record['key']}.json"
        path.write_text(json.dumps({"sha256": sha256_of(record), "record": record}))
    shutil.copytree(folder / "runs", folder / "again/runs")
    return folder


# Chapters about the runs of a profile; the others are executed as they are by nbval.
PROFILED = [
    source for source in execute.SOURCES[1:] + execute.SOURCES[:1] if "\nPROFILE = " in source.read_text()
]


@pytest.mark.parametrize("source", PROFILED, ids=lambda path: path.stem)
def test_chapter_runs_live_on_the_digits(source, live_store, tmp_path, rendered):
    target = tmp_path / f"{source.stem}.ipynb"
    execute.execute(
        source,
        target,
        {"PROFILE": "digits", "RESULTS": str(live_store), "TRAIN_MISSING": True, "DEVICE": "cpu"},
    )
    outputs = [o for c in nbformat.read(target, as_version=4).cells for o in c.get("outputs", [])]
    figures = [o["data"]["text/html"] for o in outputs if "<svg" in o.get("data", {}).get("text/html", "")]
    drawing = ("\npublish.show(", "\nchapter.by_batch_size(")
    assert len(figures) >= sum(source.read_text().count(call) for call in drawing)
    for figure in figures:
        assert 'role="img"' in figure and "<figcaption>" in figure
        assert "currentColor" in figure  # follows the page's colours
    check_harmless(outputs, rendered)


def check_harmless(outputs, rendered):
    """The hostile text of records is shown, and is text."""
    pages = [rendered(output["data"]) for output in outputs if "data" in output]
    assert any("alert(1)" in page.text for page in pages)
    for page in pages:
        assert not page.active and not {"img", "h1", "b"} & set(page.tags)


@pytest.mark.parametrize("chapter", ("speed", "cluster"))
def test_hostile_measurements_are_shown_as_text(chapter, tmp_path, rendered):
    shutil.copytree(ROOT / "results/published", tmp_path / "published")
    for path in (tmp_path / "published").glob("*.json"):
        found = json.loads(path.read_text())
        found["provenance"] |= dict.fromkeys(("hardware", "code", "torch"), HOSTILE)
        for row in found.get("contenders", ()):
            row["gffn"]["how"] = HOSTILE
        for row in found.get("precision", ()):
            row["metric"] = HOSTILE
        path.write_text(json.dumps(found))
    target = tmp_path / "chapter.ipynb"
    execute.execute(ROOT / f"notebooks/{chapter}.py", target, {"RESULTS": str(tmp_path)})
    check_harmless(
        [o for c in nbformat.read(target, as_version=4).cells for o in c.get("outputs", [])], rendered
    )


def test_failing_notebook_leaves_the_old_one(tmp_path):
    source = tmp_path / "chapter.py"
    source.write_text("# %%\nraise RuntimeError('broken')\n")
    target = tmp_path / "chapter.ipynb"
    target.write_text("old")
    with pytest.raises(execute.papermill.PapermillExecutionError):
        execute.execute(source, target)
    assert target.read_text() == "old"


def test_parameters_are_those_of_the_notebook_and_false_is_false(tmp_path):
    source, target = tmp_path / "chapter.py", tmp_path / "chapter.ipynb"
    source.write_text('# %% tags=["parameters"]\nTRAIN_MISSING = True\n')
    with pytest.raises(ValueError, match="no parameter TRAIN_MISING; it has TRAIN_MISSING"):
        execute.execute(source, target, {"TRAIN_MISING": False})
    found = [execute._value(text) for text in ("false", "No", "none", "null", "True", "3", "digits")]
    assert found == [False, False, None, None, True, 3, "digits"]


def test_a_source_that_is_not_there_is_one_message(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["execute.py", "notebooks/nothing.py"])
    with pytest.raises(SystemExit):
        execute.main()
    assert capsys.readouterr().err.endswith("error: argument sources: notebooks/nothing.py is not there\n")


def test_executing_all_records_one_code_version_and_changes_only_notebooks(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    sources = [tmp_path / "notebooks/b.py", tmp_path / "notebooks/a.py"]
    written = []
    monkeypatch.setattr(execute, "ROOT", tmp_path)
    monkeypatch.setattr(execute, "SOURCES", sources)
    monkeypatch.setattr(execute, "execute", lambda source, target, parameters: written.append(target))
    for place in (execute, sys.modules["gffn_core.training.provenance"]):
        monkeypatch.setattr(place, "code_version", lambda: "abc-dirty" if written else "abc", raising=False)
    monkeypatch.setattr(sys, "argv", ["execute.py"])
    execute.main()
    assert written == [source.with_suffix(".ipynb") for source in sources]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "_build/executed.json"]
    status = json.loads((tmp_path / "_build/executed.json").read_text())
    assert {chapter: where["code"] for chapter, where in status.items()} == {
        "notebooks/a": "abc",
        "notebooks/b": "abc",
    }


class Colab:
    """A machine with a folder ``content``, a repository to clone and a notebook opened from its branch ``topic/one``."""

    def __init__(self, folder, monkeypatch):
        self.content, self.origin, self.monkeypatch, self.installs = (
            folder / "content",
            folder / "origin",
            monkeypatch,
            0,
        )
        self.content.mkdir()
        self.git("init", "-q", "-b", "main", self.origin)
        self.commit("main")
        self.git("-C", self.origin, "checkout", "-q", "-b", "topic/one")
        self.commit("one")
        page = "fileId=https%3A//github.com/reader/fork/blob/topic/one/notebooks/theory.ipynb"
        monkeypatch.setattr(
            "urllib.request.urlopen", lambda address: io.StringIO(json.dumps([{"path": page}]))
        )
        monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
        monkeypatch.delenv("GFFN_REPOSITORY", raising=False)
        for name, value in {
            "COLAB_JUPYTER_IP": "172.28.0.2",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_VALUE_0": "https://github.com/reader/fork",
            "GIT_CONFIG_KEY_0": f"url.{self.origin}.insteadOf",
        }.items():
            monkeypatch.setenv(name, value)
        run = subprocess.run
        monkeypatch.setattr(
            subprocess,
            "run",
            lambda command, **how: self.install() if "pip" in command else run(command, **how),
        )

    def install(self):
        self.installs += 1

    def git(self, *command):
        subprocess.run(["git", *map(str, command)], check=True, capture_output=True)

    def commit(self, text):
        for folder in ("gffn_core", "notebooks"):
            (self.origin / folder).mkdir(exist_ok=True)
            (self.origin / folder / "text").write_text(text)
        self.git("-C", self.origin, "add", ".")
        how = "--amend" if text == "other" else "-q"
        author = "-c user.name=n -c user.email=n@n".split()
        self.git("-C", self.origin, *author, *f"commit -q {how} -m {text}".split())

    def restart(self):
        """Run the cell in a fresh kernel; what it finds of the package there."""
        self.monkeypatch.setattr(sys, "path", list(sys.path))
        self.monkeypatch.chdir(self.content)
        exec((ROOT / "book/colab.py").read_text().replace("/content", str(self.content)), {})
        assert Path.cwd() == self.content / "gffn/notebooks" and sys.path[0] == str(self.content / "gffn")
        return Path("../gffn_core/text").read_text()


@pytest.fixture
def colab(tmp_path, monkeypatch):
    return Colab(tmp_path, monkeypatch)


def test_colab_cell_survives_restarts_and_keeps_what_was_done(colab):
    assert colab.restart() == "one"  # of the notebook's branch
    (colab.content / "gffn/results").mkdir()
    Path("../results/run").write_text("trained")
    Path("../gffn_core/text").write_text("edited")
    assert [colab.restart(), colab.restart()] == ["edited", "edited"]
    assert Path("../results/run").read_text() == "trained"
    assert colab.installs == 1


@pytest.mark.parametrize("text", ["two", "other"], ids=["advanced", "rewritten"])
def test_colab_cell_follows_its_branch(colab, text):
    colab.restart()
    (colab.content / "gffn/results").mkdir()
    colab.commit(text)
    assert colab.restart() == text
    assert Path("../results").exists()


@pytest.mark.parametrize("left", ["folder", "locks", "no checkout", "other clone"])
def test_colab_cell_mends_a_clone_that_was_killed(colab, left):
    clone = colab.content / "gffn"
    if left == "folder":
        clone.mkdir()
    elif left == "locks":
        colab.git("init", "-q", clone)
        for name in ("index.lock", "shallow.lock", "HEAD.lock", "config.lock"):
            (clone / ".git" / name).touch()
    else:
        how = ["--no-checkout"] if left == "no checkout" else []
        colab.git(*"clone -q -b main".split(), *how, colab.origin, clone)
    assert colab.restart() == "one"
    assert colab.restart() == "one"
