"""Sphinx extension: what search engines and link previews say of a page, its first sentences, and show of it.

The picture is the book's first figure. A preview needs its whole address, so it is named where the address
of the book is known (``html_baseurl``, see ``repository.py``).
"""

from html import escape
from pathlib import Path
from urllib.parse import urljoin

import matplotlib
import vl_convert
from docutils import nodes

MOST = 200  # characters
CARD = "_static/card.png"
SIZE = (1200, 630)  # pixels, as previews have it
FRAME = """<svg xmlns="http://www.w3.org/2000/svg" width="{}" height="{}">
<rect width="100%" height="100%" fill="#fff"/><g font-family="DejaVu Sans" fill="#222">
<text x="60" y="96" font-size="40" font-weight="bold">One changed line halves the calibration error</text>
<text x="60" y="152" font-size="28">A temperature does more. {}</text></g>{}</svg>"""


def first_words(doctree):
    """The beginning of the first paragraph that is a sentence, with no more than such formulas as ln p(x)."""
    for paragraph in doctree.findall(nodes.paragraph):
        text = " ".join(paragraph.astext().replace("\\ln", "ln").split())
        if isinstance(paragraph.parent, nodes.section) and "." in text and "\\" not in text:
            return text if len(text) <= MOST else text[:MOST].rsplit(" ", 1)[0] + " …"
    return ""


def describe(app, pagename, templatename, context, doctree):
    if doctree is None:
        return
    title = next((title.astext() for title in doctree.findall(nodes.title)), app.config.html_title)
    values = {"description": first_words(doctree), "og:title": title, "og:type": "article"}
    values |= {"og:description": values["description"], "og:site_name": app.config.html_title}
    if app.config.html_baseurl:
        values |= {"og:image": urljoin(app.config.html_baseurl, CARD), "twitter:card": "summary_large_image"}
    context["metatags"] = context.get("metatags", "") + "".join(
        f'\n<meta {"property" if name.startswith("og:") else "name"}="{name}" content="{escape(value)}"/>'
        for name, value in values.items()
        if value
    )


def draw_card(app, error):
    if error is None and app.builder.format == "html":
        figure = (Path(app.outdir) / "_static/headline.svg").read_text(encoding="utf-8")
        figure = figure.replace("#7a7a7a", "#222").replace("<svg ", '<svg x="60" y="210" ', 1)
        figure = figure.replace('width="864" height="298"', 'width="1080" height="372"', 1)
        vl_convert.register_font_directory(f"{matplotlib.get_data_path()}/fonts/ttf")
        card = FRAME.format(*SIZE, escape(app.config.html_title), figure)
        (Path(app.outdir) / CARD).write_bytes(vl_convert.svg_to_png(card))


def setup(app):
    app.connect("html-page-context", describe)
    app.connect("build-finished", draw_card)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
