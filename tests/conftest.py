"""Settings, small data and the built book for the tests. None of it needs the network or a GPU."""

import dataclasses
import gc
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml
from filelock import FileLock
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]


def load(path):
    """The module in a file that no import finds, anew."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# The same examples every time, and no time limit: a failure here is a failure everywhere.
settings.register_profile("gffn", derandomize=True, deadline=None, database=None, max_examples=50)
settings.load_profile("gffn")


def pytest_configure(config):
    """Not in the process that hands the tests out to others, which start when it is there."""
    global execute, kernels
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        import kernels
        import torch

        kernels.install()
        execute = load(ROOT / "book/execute.py")
        # One thread, like the workers of a sweep: float32 sums depend on the number of threads.
        torch.set_num_threads(1)


# What a record's title, source or machine may hold, for whatever displays it.
HOSTILE = (
    """x"><script>alert(1)</script><img src=x onerror='alert(1)'> [x](javascript:alert(1)) $\\undefined$ **b** <b> """
    """| `|` {eval}`1` {{ status }}\n\n# y\n```{raw} html\n<svg onload=alert(1)>\n```\n"""
)


class Page(HTMLParser):
    """The tags and the text of a page, and what in it would run."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self.active = [], "", []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        runs = (
            tag in ("script", "iframe", "object", "embed")
            and dict(attributes).get("type") != "application/json"
        )
        runs |= any(
            name.startswith("on") or "javascript:" in (value or "") and name in ("href", "src")
            for name, value in attributes
        )
        if runs:
            self.active.append((tag, attributes))

    def handle_data(self, data):
        self.text += data


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A file's tests stay in one process, and those of the browser with the book's, which build it first."""
    from xdist.scheduler import LoadFileScheduling

    class Files(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return "book" if Path(file).stem in ("test_book", "test_browser") else file

    return Files(config, log)


@pytest.fixture(autouse=True, scope="session")
def server_of_processes():
    kernels.start()


@pytest.fixture(autouse=True, scope="module")
def young_garbage_only():
    """After each run the collector looks at all objects: half a second if the modules are among them."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def rendered():
    """Data of a notebook's output -> the page that the book makes of it."""
    from markdown_it.renderer import RendererHTML
    from myst_parser.config.main import MdParserConfig
    from myst_parser.parsers.mdit import create_md_parser

    extensions = yaml.safe_load((ROOT / "_config.yml").read_text())["parse"]["myst_enable_extensions"]
    markdown = create_md_parser(MdParserConfig(enable_extensions=set(extensions)), RendererHTML)
    return lambda data: Page(data.get("text/html") or markdown.render(data.get("text/markdown", "")))


@pytest.fixture(scope="session")
def digits():
    from gffn_core.data.datasets import load_dataset

    return load_dataset("digits")


@pytest.fixture(scope="session")
def tiny(digits):
    """A few digits of every class: an epoch takes milliseconds."""
    keep = {"train": 100, "val": 50, "test": 60}
    few = {
        f"{part}_{kind}": getattr(digits, f"{part}_{kind}")[:count]
        for part, count in keep.items()
        for kind in "xy"
    }
    return dataclasses.replace(digits, **few)


@pytest.fixture
def store(tmp_path):
    from gffn_core.experiments.store import Store

    return Store(tmp_path / "results")


@pytest.fixture(scope="session")
def files_of_digits(digits, tmp_path_factory):
    """The digits under other names, for whose sake a new process would import scikit-learn."""
    folder = tmp_path_factory.mktemp("data")
    arrays = {key: getattr(digits, key).numpy() for key in ("train_x", "train_y", "test_x", "test_y")}
    for name in ("mnist", "fashion_mnist"):
        np.savez(folder / f"{name}.npz", **arrays)
    return folder


@pytest.fixture
def arrays():
    """The arrays of a small file of one's own: 40 + 10 grey images in two classes."""
    rng = np.random.default_rng(0)
    return {
        "train_x": rng.integers(0, 256, (40, 8, 8), dtype=np.uint8),
        "train_y": np.arange(40) % 2,
        "test_x": rng.integers(0, 256, (10, 8, 8), dtype=np.uint8),
        "test_y": np.arange(10) % 2,
    }


# What `make test` leaves behind after a run in which a cell of one notebook gave something else.
TESTED = """<testsuites><testsuite name="pytest" timestamp="2031-02-03T04:05:06+00:00">
<testcase classname="notebooks.ood.ipynb" name="Cell 0"/>
<testcase classname="notebooks.ood.ipynb" name="Cell 1"><failure/></testcase>
<testcase classname="tests.test_losses" name="test_it"/>
</testsuite></testsuites>"""


# What book/execute.py leaves behind after it has executed one notebook.
EXECUTED = {
    "notebooks/ood": {
        "code": "0123456789",
        "python": "3.12.1",
        "torch": "2.13.0",
        "device": "cpu",
        "hardware": "Some processor, 2 cores",
        "threads": 2,
        "seconds": 61.2,
        "finished": "2031-02-01T04:05:06+00:00",
    },
    "book/intro": dict.fromkeys(("hardware", "code", "torch", "python", "finished"), HOSTILE)
    | {"seconds": 1.0},
}


# A chapter of one's own, by the recipe in the README.
OWN = """# %% [markdown]
# # My chapter

# %%
print("six times seven is", 6 * 7)
"""


@pytest.fixture(scope="session")
def html(tmp_path_factory):
    """The built book, once for all processes of the tests, from a copy so that the checkout's own build stays."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "book"
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "whole").exists():
            build(folder)
            (folder / "whole").touch()
    return folder / "_build/html"


def build(folder):
    shutil.rmtree(folder, ignore_errors=True)  # what a build that failed has left
    folder.mkdir()
    for part in ("_config.yml", "README.md"):
        shutil.copy(ROOT / part, folder)
    for part in ("book", "notebooks", "results/published"):
        shutil.copytree(ROOT / part, folder / part)
    (folder / "notebooks/own.py").write_text(OWN)
    toc = folder / "book/_toc.yml"
    toc.write_text(toc.read_text().rstrip() + "\n      - file: notebooks/own\n")
    sources = load(folder / "book/execute.py").SOURCES
    (own,) = set(sources) - {folder / source.relative_to(ROOT) for source in execute.SOURCES}
    execute.execute(own, own.with_suffix(".ipynb"))
    (folder / "_build").mkdir()
    (folder / "_build/tests.xml").write_text(TESTED)
    (folder / "_build/executed.json").write_text(json.dumps(EXECUTED))
    options = "build --all -W --keep-going --config _config.yml --toc book/_toc.yml .".split()
    done = subprocess.run(
        [Path(sys.executable).with_name("jupyter-book"), *options],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"GFFN_REPOSITORY": "reader/fork"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    html = folder / "_build/html"
    pages = toc.read_text().count("file:") + 1
    assert len([*html.glob("book/*.html"), *html.glob("notebooks/[!0-9]*.html")]) == pages


@pytest.fixture(scope="session")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    quiet = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=quiet)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, html):
    """Opens an address of the book in a new tab, for a reader with these wishes.

    Fails the test at a script's error, a warning on the console, which also tells of missing files, and a
    request that leaves the book.
    """
    faults, contexts = [], []

    def visit(address, wait_until="load", **wishes):
        contexts.append(browser.new_context(**wishes))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda m: m.type in ("error", "warning") and faults.append(m.text))
        page.on("request", lambda r: r.url.startswith(("file:", "data:", "blob:")) or faults.append(r.url))
        page.goto(f"{html.as_uri()}/{address}", wait_until=wait_until)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert not faults


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)
