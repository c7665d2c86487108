"""Sphinx extension: the files behind the book, and the tables of the pages that list them.

``_static/chapters`` gets each chapter's notebook and source, ``_static/data`` the published results,
``print.html`` the whole book on one page. ``book/downloads.md`` and ``book/status.md`` show the
tables by name: ``{{ chapters }}``.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import nbformat
from figures import chapters, files
from sphinx.errors import ExtensionError

from gffn_core.experiments import profiles, tables
from gffn_core.experiments.store import Store
from gffn_core.pages import words

# Permissive licences, and the Mozilla licence, which covers changed files of its own only.
COMPATIBLE = (
    r"\b(MIT|BSD|0BSD|Apache|ISC|PSF|Python Software Foundation|Mozilla|MPL|Zlib|CC0|HPND|Public Domain)\b"
)


def substitute(app, config):
    app.config.myst_substitutions |= {
        "chapters": _chapters(app),
        "data_files": _data_files(app),
        "data_dictionary": words.markdown_table(
            ["column", "meaning", "unit", "in the record"],
            (
                [f"`{name}`", meaning, unit, f"`{place}`" if isinstance(place, str) else "computed"]
                for name, (meaning, unit, place) in tables.COLUMNS.items()
            ),
        ),
        "status": _status(app),
        "licences": _licences(),
    }


def _chapters(app):
    rows = []
    for chapter, figures in files(app).items():
        base = Path(chapter).name
        sources = ", ".join(_file(f"chapters/{base}{suffix}", suffix) for suffix in (".ipynb", ".py"))
        drawn = ", ".join(
            f"{_file(f'figures/{name}.svg', name)} ({_file(f'figures/{name}.csv', 'CSV')})"
            for name in figures
        )
        rows.append([_title(app, chapter), sources, drawn])
    return words.markdown_table(["chapter", "files", "figures (SVG), and what they show (CSV)"], rows)


MEASURED = {  # what the files are about that hold no records, by the beginning of their names
    "bench": "measured times: training speed",
    "scaling": "measured times: the sweep on several workers",
    "micro_batches": "memory and time of the joint loss over micro-batches",
    "conformance": "metrics of six libraries on published predictions and on known cases",
    "detection": "AUROC of scores of unfamiliar images, a row per net, score and set",
    "held_back": "the same on the images that references are chosen by",
    "ensembles": "measures of nets one by one and of ensembles, raw and recalibrated",
}


def _published(app):
    return sorted((Path(app.srcdir) / "results/published").iterdir())


def _data_files(app):
    rows = []
    for path in _published(app):
        name = path.name.removesuffix(".jsonl.gz")
        if name != path.name:
            files = ", ".join(
                _file(f"data/{name}{suffix}", f"{name}{suffix}") for suffix in (".csv", ".parquet")
            )
            rows.append([files, f"results of profile `{name}`, a row per run and scheme"])
            what = "the records whole: curves, bins, histograms, provenance"
        else:
            kind = next((kind for kind in MEASURED if name.startswith(kind)), None)
            if kind is None:
                raise ExtensionError(f"{path} has no description; add its kind to MEASURED in {__file__}")
            what = MEASURED[kind]
        rows.append([_file(f"data/{path.name}", path.name), what])
    return words.markdown_table(["file", "what"], rows)


def _status(app):
    path = Path(app.srcdir) / "_build/executed.json"
    executed = json.loads(path.read_text()) if path.exists() else {}
    tested = _tested(app)
    rows = []
    for chapter in chapters(app):
        done = ["as committed", "", "", "", ""]
        if when := executed.get(chapter):
            done = [
                words.escape(when["finished"][:16].replace("T", " ")),
                f"{when['seconds']:.0f} s",
                words.escape(when["hardware"]),
                words.escape(f"Python {when['python']}, torch {when['torch']}"),
                f"`{words.escape(when['code'])}`",
            ]
        rows.append([_title(app, chapter), *done, tested.get(chapter, "not tested")])
    return words.markdown_table(
        ["page", "executed (UTC)", "took", "on", "with", "code", "cells the same"], rows
    )


def _tested(app):
    """What the last ``make test`` in this folder said of each notebook."""
    path = Path(app.srcdir) / "_build/tests.xml"
    if not path.exists():
        return {}
    suite = ElementTree.parse(path).getroot()[0]
    day = suite.get("timestamp")[:10]
    cells = {}  # of a chapter: whether each is as shown
    for case in suite.iter("testcase"):
        chapter = case.get("classname").removesuffix(".ipynb").replace(".", "/")
        cells.setdefault(chapter, []).append(case.find("failure") is None and case.find("error") is None)
    return {chapter: f"{sum(same)} of {len(same)} on {day}" for chapter, same in cells.items()}


def _licences():
    """The packages of this environment by licence, with those to look at named."""
    command = [sys.executable, "-m", "piplicenses", "--from=mixed", "--format=json"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    other = [
        f"{package['Name']} ({package['License']})"
        for package in found
        if "GPL" in package["License"] or not re.search(COMPATIBLE, package["License"])
    ]
    return (
        f"Of the {len(found)} packages in the environment that built this page, {len(found) - len(other)} "
        f"name a licence that goes with MIT. To look at by hand: {', '.join(other) or 'none'}."
    )


def _title(app, chapter):
    cells = nbformat.read(Path(app.srcdir) / f"{chapter}.ipynb", as_version=4).cells
    title = next(cell for cell in cells if cell.cell_type == "markdown").source.splitlines()[0][2:]
    return f"[{title}](/{chapter})".replace("|", "\\|")  # in a table


def _file(path, text):
    # As HTML: Sphinx would look for a Markdown link's file before this extension has written it.
    return f'<a href="../_static/{path}" download>{text}</a>'


def write(app, error):
    if error is not None or app.builder.name != "html":
        return
    static = Path(app.outdir) / "_static"
    (static / "chapters").mkdir(exist_ok=True)
    for chapter in chapters(app):
        for suffix in (".ipynb", ".py"):
            shutil.copy(Path(app.srcdir) / f"{chapter}{suffix}", static / "chapters")
    (static / "data").mkdir(exist_ok=True)
    store = Store(Path(app.srcdir) / "results")
    for path in _published(app):
        shutil.copy(path, static / "data")
        name = path.name.removesuffix(".jsonl.gz")
        if name != path.name:
            table = tables.frame(store.select(profiles.profile(name).runs()).values())
            for suffix in (".csv", ".parquet"):
                tables.write(table, static / f"data/{name}{suffix}")


def write_one_page(app, env):
    """From the pages as they were read, and before the others are written, which leave scripts of theirs
    behind."""
    if app.builder.name != "html":
        return
    usual, numbers = app.builder, (env.toc_secnumbers, env.toc_fignumbers)
    app.builder = app.registry.create_builder(app, "singlehtml", env)
    app.set_translator("singlehtml", app.registry.get_translator_class(usual), override=True)  # the theme's
    with tempfile.TemporaryDirectory() as scratch:
        app.builder.outdir = scratch
        app.builder.init()
        app.builder.write()
        page = (Path(scratch) / f"{app.config.root_doc}.html").read_text()
    app.builder, (env.toc_secnumbers, env.toc_fignumbers) = usual, numbers
    # Links to pages become links within this one, which stands at the top of the book.
    page = re.sub(r'href="(?:\.\./)?(?:book|notebooks)/\w+\.html#', 'href="#', page)
    page = page.replace('href="../', 'href="').replace(f'href="#document-{app.config.root_doc}"', 'href="#"')
    (Path(app.outdir) / "print.html").write_text(page)


def name_the_book(app, page, template, context, doctree):
    context["docstitle"] = app.config.html_title  # the builder of one page leaves it out


def setup(app):
    app.connect("config-inited", substitute)
    app.connect("html-page-context", name_the_book)
    app.connect("env-check-consistency", write_one_page)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
