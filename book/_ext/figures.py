"""Sphinx extension: under each figure of a notebook, links to its drawing and data as files and to its code.

``gffn_core.pages.publish.show`` gives a figure its name, caption and data. Here the drawing is written to
``_static/figures/NAME.svg``, the data, which a notebook carries in itself, to ``NAME.csv`` beside it, and the
cell that made it gets the anchor ``code-NAME``.
"""

from pathlib import Path

import nbformat
from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx_external_toc.parsing import parse_toc_yaml

from gffn_core.pages import publish

LINKS_END = "</p></figcaption>"


def chapters(app):
    """The notebooks of the book in its order, as paths without suffix below the source folder."""
    pages = parse_toc_yaml(Path(app.confdir or app.srcdir) / app.config.external_toc_path)
    return [page for page in pages if (Path(app.srcdir) / f"{page}.ipynb").exists()]


def files(app):
    """The files of all figures: {chapter: {name: {suffix: text}}}."""
    found, pages = {}, {}
    for chapter in chapters(app):
        cells = nbformat.read(Path(app.srcdir) / f"{chapter}.ipynb", as_version=4).cells
        html = publish.page_of(cells)
        svg, csv = publish.drawings(html), publish.tables(html)
        found[chapter] = {name: {"svg": svg[name], "csv": csv[name]} for name in svg}
        for name in found[chapter]:
            if name in pages:
                raise ExtensionError(
                    f"figures in {pages[name]} and {chapter} are both named {name!r}; rename one"
                )
            pages[name] = chapter
    return found


def link(app, doctree, page):
    if app.builder.format != "html":
        return
    static = app.builder.get_relative_uri(page, "_static").removesuffix(app.builder.link_suffix or "")
    for cell in doctree.findall(nodes.container):
        if cell.get("nb_element") != "cell_code":
            continue
        for output in cell.findall(nodes.raw):
            for name in publish.drawings(output.astext()):
                cell["ids"].append(f"code-{name}")
                start, end = output.astext().split(LINKS_END)
                links = (
                    f' · <a href="{static}/figures/{name}.svg" download>drawing (SVG)</a>'
                    f' · <a href="#code-{name}">code</a>'
                )
                start = publish.DATA.sub(f'href="{static}/figures/{name}.csv"', start)
                output.children[0] = nodes.Text(start + links + LINKS_END + end)


def write(app, error):
    if error is None and app.builder.format == "html":
        folder = Path(app.outdir) / "_static/figures"
        folder.mkdir(exist_ok=True)
        for found in files(app).values():
            for name, texts in found.items():
                for suffix, text in texts.items():
                    (folder / f"{name}.{suffix}").write_text(text)


def setup(app):
    app.connect("doctree-resolved", link)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
