"""A figure becomes a part of the page."""

import html
import re
from collections.abc import Iterable
from urllib.parse import quote, unquote

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import display

from gffn_core.pages import phone, svg
from gffn_core.pages.style import STYLE

DATA = re.compile(r'href="data:text/csv;charset=utf-8,([^"]*)"')  # in the link that ``show`` writes


def show(
    figure: plt.Figure, *, name: str, data: pd.DataFrame, alt: str, caption: str, basis: str = ""
) -> None:
    """Display a figure as an inline SVG that takes its text colour from the page, light or dark.

    name: lower-case letters, digits and hyphens, unique over the book; the figure can be linked to
    as ``#name``. data: what is drawn, a row per point, offered as CSV. alt: what a reader who cannot
    see it must know. caption: what to see in it. basis: the runs it rests on (``words.basis``), which the
    page folds away.
    """
    if not re.fullmatch("[a-z][a-z0-9-]*", name):
        raise ValueError(
            f"figure name {name!r}: use lower-case letters, digits and hyphens, such as 'ece-long'"
        )
    with matplotlib.rc_context(STYLE):
        wide = svg.element(figure, name, alt, "max-width:100%;height:auto")
        phone.rearrange(figure)
        # Hidden, until a style sheet knows the screen's width.
        narrow = svg.element(figure, f"{name}-narrow", alt, "display:none")
    plt.close(figure)
    # In the page itself, so that it is there in Jupyter and Colab and from file:// alike.
    csv = quote(data.to_csv(index=False, float_format="%.6g", lineterminator="\n"), safe=",")
    links = (
        f'<p class="gffn-links"><a href="#{name}">link</a> · '
        f'<a href="data:text/csv;charset=utf-8,{csv}" download="{name}.csv">data (CSV)</a></p>'
    )
    runs = f"<details><summary>runs</summary>{html.escape(basis)}</details>" if basis else ""
    caption_and_links = f"<figcaption>{html.escape(caption)}{runs}{links}</figcaption>"
    markup = f'<figure class="gffn-figure" id="{name}">\n{wide}{narrow}{caption_and_links}\n</figure>'
    display(
        {"text/html": markup, "text/plain": "\n".join(filter(None, (f"Figure: {alt}", caption, basis)))},
        raw=True,
    )


def page_of(cells: Iterable[dict]) -> str:
    """The HTML that cells of an executed notebook show."""
    outputs = (output for cell in cells for output in cell.get("outputs", []))
    return "\n".join(output.get("data", {}).get("text/html", "") for output in outputs)


def drawings(page: str) -> dict[str, str]:
    """The figures of an HTML page by name, as SVG files in a grey that is legible on white and on black."""
    figures = re.findall(r'<figure class="gffn-figure" id="([^"]+)">\s*(<svg.*?</svg>)', page, re.DOTALL)
    return {
        name: drawing.replace("currentColor", "#7a7a7a").replace(svg.GROUND, "#fff")
        for name, drawing in figures
    }


def tables(page: str) -> dict[str, str]:
    """The data of an HTML page's figures by name, as CSV."""
    figures = re.findall(r'<figure class="gffn-figure" id="([^"]+)">(.*?)</figure>', page, re.DOTALL)
    return {name: unquote(DATA.search(figure)[1]) for name, figure in figures}
