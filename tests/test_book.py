"""The book builds without a warning and needs nothing from the network."""

import importlib
import re
import runpy
import types
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib.image
import pandas as pd
from conftest import ROOT

from gffn_core.experiments import tables
from gffn_core.experiments.profiles import profile
from gffn_core.experiments.store import Store


def test_pages_load_nothing_from_elsewhere(html):
    for page in html.rglob("*.html"):
        text = page.read_text()
        loads = re.findall(r'<(?:script|img|iframe)[^>]*\bsrc="(https?:[^"]+)', text)
        loads += re.findall(r'<link[^>]*rel="(?:stylesheet|preload|icon)"[^>]*href="(https?:[^"]+)', text)
        assert not loads, (page.name, loads)


def test_pages_say_what_they_are_about(html):
    """To search engines and in link previews: a sentence each, without formulas."""
    found = {}
    for page in [*html.glob("book/*.html"), *html.glob("notebooks/[!0-9]*.html")]:
        values = dict(
            re.findall(r'<meta (?:name|property)="([\w:]*description)" content="(.*?)"/>', page.read_text())
        )
        found[page.stem] = values.get("description")
        assert values.get("og:description") == values.get("description"), page.name
    assert not [name for name, text in found.items() if text and re.search(r"[$\\<]|:math:", text)]
    assert [name for name, text in found.items() if not text or len(text) < 40] == ["own"]
    assert len(set(found.values())) == len(found)


def test_pages_show_a_picture_in_link_previews(html):
    """By its whole address, which is that of the fork's pages."""
    page = (html / "notebooks/theory.html").read_text()
    assert '<meta property="og:image" content="https://reader.github.io/fork/_static/card.png"/>' in page
    assert '<link rel="canonical" href="https://reader.github.io/fork/notebooks/theory.html"' in page
    picture = matplotlib.image.imread(html / "_static/card.png")
    assert picture.shape[:2] == (630, 1200)
    assert (picture[:160, :, :3] < 0.5).any() and (picture[200:, :, :3] < 0.5).any()  # words, and the figure


def test_links_inside_the_book_lead_somewhere(html):
    for page in [*html.glob("book/*.html"), *html.glob("notebooks/[!0-9]*.html")]:
        for link in re.findall(
            r'href="([^"#?:]+\.(?:html|ipynb|py|svg|csv|parquet|json|gz))["#?]', page.read_text()
        ):
            assert (page.parent / link).resolve().exists(), (page.name, link)


def test_a_chapter_is_added_by_the_recipe(html):
    """``notebooks/<name>.py``, a line in ``_toc.yml``, ``make notebooks``, says README.md, and the fixture has done so."""
    assert "six times seven is 42" in (html / "notebooks/own.html").read_text()
    assert "notebooks/own.html" in (html / "index.html").read_text() + (html / "book/intro.html").read_text()


def chapter_numbers(html):
    """Of the numbered chapters: page -> number, as the navigation says."""
    sidebar = (html / "book/intro.html").read_text()
    return dict(re.findall(r'href="\.\./(notebooks/\w+)\.html">\s*(\d+)\. ', sidebar))


def test_equations_have_the_number_of_their_chapter(html):
    numbers, seen = chapter_numbers(html), []
    assert sorted(map(int, numbers.values())) == list(range(1, len(numbers) + 1))
    for page in [*html.glob("book/*.html"), *html.glob("notebooks/[!0-9]*.html")]:
        text = page.read_text()
        tags = re.findall(r"\\tag\{(.*?)\}", text)
        name = str(page.relative_to(html).with_suffix(""))
        assert all(re.fullmatch(rf"{numbers.get(name)}\.\d+", tag) for tag in tags), (name, tags)
        seen += tags
        prose = re.sub(r"<pre>.*?</pre>|<script.*?</script>", "", text, flags=re.DOTALL)
        assert not re.search(r"\([a-z_]+\.\d+\)", prose), name  # a mention that became no number
    assert len(seen) == len(set(seen)) >= 17


def test_mentions_of_equations_lead_to_them(html):
    numbers = chapter_numbers(html)
    page = (html / "notebooks/distributed.html").read_text()
    theory = numbers["notebooks/theory"]
    assert f'href="theory.html#eq-theory-12">({theory}.12)</a>' in page
    assert 'id="eq-theory-12"' in (html / "notebooks/theory.html").read_text()
    here = numbers["notebooks/distributed"]
    assert (
        f'two halves, <a class="reference internal" href="#eq-distributed-1">({here}.1)</a>' in page
    )  # a notebook's output


def test_buttons_follow_the_readers_fork(html):
    page = (html / "notebooks/theory.html").read_text()
    assert "colab.research.google.com/github/reader/fork/blob/main/notebooks/theory.ipynb" in page
    assert 'href="https://github.com/reader/fork"' in page


def test_the_bibliography_names_each_work_once(html):
    page = (html / "book/bibliography.html").read_text()
    labels = re.findall(r'<span class="fn-bracket">\[</span>(.*?)<', page)
    assert len(labels) == len(set(labels)) > 40


def test_every_figure_leads_to_its_drawing_and_code(html):
    figures = 0
    for page in [*html.glob("book/*.html"), *html.glob("notebooks/[!0-9]*.html")]:
        for figure in re.findall(r'<figure class="gffn-figure".*?</figure>', page.read_text(), re.DOTALL):
            (name,), (drawing,), (code,) = (
                re.findall(pattern, figure)
                for pattern in ('^<figure [^>]*id="(.*?)"', 'href="([^"]*[.]svg)"', 'href="#(code-.*?)"')
            )
            assert code == f"code-{name}"
            assert f'id="{code}"' in page.read_text()
            assert ET.parse(page.parent / drawing).getroot().get("role") == "img"
            figures += 1
    assert figures == len(list(html.glob("_static/figures/*.svg"))) >= 21


def test_downloads_are_what_they_claim(html):
    page = (html / "book/downloads.html").read_text()
    for path in [
        *html.glob("_static/chapters/*"),
        *html.glob("_static/data/*"),
        *html.glob("_static/figures/*"),
    ]:
        assert f'href="../{path.relative_to(html)}" download' in page
    records = Store(ROOT / "results").select(profile("cpu").runs()).values()
    for read, name in ((pd.read_csv, "cpu.csv"), (pd.read_parquet, "cpu.parquet")):
        pd.testing.assert_frame_equal(
            read(html / "_static/data" / name).fillna({"augmentation": ""}),
            tables.frame(records),
            check_dtype=False,
        )
    for name in tables.COLUMNS:
        assert f'<span class="pre">{name}</span>' in page


NOTEBOOKS = [*ROOT.glob("book/*.ipynb"), *ROOT.glob("notebooks/*.ipynb")]


def test_status_page_tells_what_was_executed_here(html):
    page = (html / "book/status.html").read_text()
    row = re.search(r"<tr(?:(?!</tr>).)*2031-02-01 04:05(?:(?!</tr>).)*</tr>", page, re.DOTALL)[0]
    for text in ("ood.html", "61 s", "Some processor, 2 cores", "Python 3.12.1, torch 2.13.0", "0123456789"):
        assert text in row
    # Two were executed by the fixture's word, and it adds a chapter of its own.
    assert page.count("<p>as committed</p>") == len(NOTEBOOKS) - 2 + 1


def test_a_term_is_explained_where_a_page_first_uses_it(html):
    page = (html / "notebooks/contest.html").read_text()
    terms = re.findall(r'<a class="gffn-term[^>]*#(term-[^"]+)" title="([^"]+)"', page)
    assert len(dict(terms)) == len(terms) >= 4
    assert dict(terms)["term-ECE"].startswith("Expected calibration error (5.4): the mean of |acc(B_m)")


def test_status_page_of_a_fresh_clone(monkeypatch):
    """Nothing was executed or tested there, and it says so."""
    monkeypatch.syspath_prepend(ROOT / "book/_ext")
    downloads = importlib.import_module("downloads")
    monkeypatch.setattr(downloads, "chapters", lambda app: ["notebooks/theory"])
    monkeypatch.setattr(downloads, "_title", lambda app, chapter: chapter)
    app = types.SimpleNamespace(srcdir="/nowhere")
    assert (
        downloads._status(app).splitlines()[-1]
        == "| notebooks/theory | as committed |  |  |  |  | not tested |"
    )


def test_status_page_runs_nothing_that_its_data_hold(html):
    for page in ("book/status.html", "print.html"):
        text = (html / page).read_text()
        assert "&lt;script&gt;alert(1)" in text, page
        assert not re.search('<script>alert|<img src=x|<svg onload|<h1>y|href="javascript', text), page


def test_status_page_tells_what_the_tests_said(html):
    page = (html / "book/status.html").read_text()
    assert page.count("1 of 2 on 2031-02-03") == 1
    assert page.count("not tested") == len(NOTEBOOKS) - 1 + 1


def test_the_whole_book_is_on_one_page(html):
    text = (html / "print.html").read_text()
    for page in [*html.glob("book/*.html"), *html.glob("notebooks/[!0-9]*.html")]:
        (title,) = re.findall(r"<h1>(.+?)<a", page.read_text())
        assert re.search(rf"<h\d>{re.escape(title)}<a", text), title
    for link in re.findall(r'(?:href|src)="([^"#?:]+\.\w+)["#?]', text):
        assert (html / link).exists(), link
    assert not set(re.findall(r'href="#([^"]+)"', text)) - set(re.findall(r'id="([^"]+)"', text))


def test_plain_sphinx_is_told_what_jupyter_book_tells_it():
    """``book/conf.py`` is the way out, should Jupyter Book stop working."""
    from jupyter_book.config import get_final_config  # takes seconds, which every process would spend

    wanted, _ = get_final_config(
        user_yaml=ROOT / "_config.yml", sourcedir=ROOT, cli_config={"latex_individualpages": False}
    )
    found = runpy.run_path(str(ROOT / "book/conf.py"))
    paths = ("bibtex_bibfiles", "html_static_path")
    found |= {name: [str(Path(path).relative_to(ROOT)) for path in found[name]] for name in paths}
    assert set(wanted["extensions"]) - set(found["extensions"]) == {
        "jupyter_book",
        "sphinx_comments",  # switched off
        "sphinx_jupyterbook_latex",
        "sphinx_multitoc_numbering",
    }
    names = wanted.keys() & found.keys()
    assert len(names) > 20
    assert [name for name in names if not is_part(found[name], wanted[name])] == []


def is_part(one, whole):
    """Whether all of ``one`` stands in ``whole``, which may hold more."""
    if isinstance(one, dict):
        return all(name in whole and is_part(value, whole[name]) for name, value in one.items())
    return set(one) <= set(whole) if isinstance(one, list) else one == whole


OLD = {
    "01_theory": "theory",
    "02_batch_size": "accuracy",
    "03_calibration": "calibration",
    "04_ood": "ood",
    "05_distributed": "distributed",
    "06_speed": "speed",
    "07_cluster": "cluster",
    "08_reproducibility": "reproducibility",
    "09_explorer": "explorer",
    "10_choices": "choices",
}


def test_old_addresses_lead_to_the_new_ones(html):
    for old, new in OLD.items():
        page = (html / f"notebooks/{old}.html").read_text()
        assert (html / f"notebooks/{new}.html").exists()
        for way in (
            f'url={new}.html"',
            f'rel="canonical" href="{new}.html"',
            f'<a href="{new}.html">',
            "location.hash",
        ):
            assert way in page, (old, way)


def test_formulas_are_set_by_the_bundled_mathjax(html):
    page = (html / "notebooks/theory.html").read_text()
    assert re.search(r'src="\.\./_static/mathjax/startup\.js', page)
    assert (html / "_static/mathjax/startup.js").exists()
