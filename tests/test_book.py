"""The book builds without a warning and needs nothing from the network."""

import re
import xml.etree.ElementTree as ET


def test_pages_load_nothing_from_elsewhere(html):
    for page in html.rglob("*.html"):
        text = page.read_text()
        loads = re.findall(r'<(?:script|img|iframe)[^>]*\bsrc="(https?:[^"]+)', text)
        loads += re.findall(r'<link[^>]*rel="(?:stylesheet|preload|icon)"[^>]*href="(https?:[^"]+)', text)
        assert not loads, (page.name, loads)


def test_links_inside_the_book_lead_somewhere(html):
    for page in [*html.glob("book/*.html"), *html.glob("notebooks/*.html")]:
        for link in re.findall(r'href="([^"#?]+\.(?:html|ipynb|py))["#?]', page.read_text()):
            if not link.startswith(("http", "_static")):
                assert (page.parent / link).resolve().exists(), (page.name, link)


def test_buttons_follow_the_readers_fork(html):
    page = (html / "notebooks/01_theory.html").read_text()
    assert "colab.research.google.com/github/reader/fork/blob/main/notebooks/01_theory.ipynb" in page
    assert 'href="https://github.com/reader/fork"' in page


def test_every_figure_leads_to_its_drawing_and_code(html):
    figures = 0
    for page in [*html.glob("book/*.html"), *html.glob("notebooks/*.html")]:
        for figure in re.findall(r'<figure class="gffn-figure".*?</figure>', page.read_text(), re.DOTALL):
            (name,), (drawing,), (code,) = (
                re.findall(pattern, figure) for pattern in ('^<figure [^>]*id="(.*?)"', 'href="([^"]*[.]svg)"', 'href="#(code-.*?)"')
            )
            assert code == f"code-{name}"
            assert f'id="{code}"' in page.read_text()
            assert ET.parse(page.parent / drawing).getroot().get("role") == "img"
            figures += 1
    assert figures == len(list(html.glob("_static/figures/*.svg"))) >= 21


def test_formulas_are_set_by_the_bundled_mathjax(html):
    page = (html / "notebooks/01_theory.html").read_text()
    assert re.search(r'src="\.\./_static/mathjax/tex-chtml\.js', page)
    assert (html / "_static/mathjax/tex-chtml.js").exists()
