"""A figure as an element of a page."""

import html
import io
import re
from collections import Counter

import matplotlib
import matplotlib.pyplot as plt

from gffn_core.pages.style import INK, PAPER

GROUND = "var(--pst-color-background, #fff)"  # of the book's pages; elsewhere white


def element(figure: plt.Figure, name: str, alt: str, css: str) -> str:
    """The ``<svg>`` of a figure as it is now, in the text colour of the page.

    name: its class, unique, which its rules of style and its ids are made of. alt: what it shows. css: its
    own style.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):  # so that no other drawing of a page has its ids
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    width, height = figure.get_size_inches() * 96
    return (
        _shared_styles(_slim(buffer.getvalue()), name)
        .replace(INK, "currentColor")
        .replace(PAPER, GROUND)
        .replace(
            "<svg ",
            f'<svg class="{name}" role="img" aria-label="{html.escape(alt)}" '
            f'width="{width:.0f}" height="{height:.0f}" style="{css}" ',
            1,
        )
    )


def _slim(svg):
    """The ``<svg>`` of a file of matplotlib's, a third smaller: nothing is lost that a reader could see."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' (width|height)="[^"]*pt"', "", svg, count=2)
    svg = _ungroup(re.sub(r'<g id="[^"]*"', "<g", svg))  # not unique on a page with several figures
    svg = re.sub(r' transform="rotate\(-0 [^"]*"', "", svg)
    svg = re.sub(r' (d|x|y|transform)="[^"]*"', lambda place: _terse(place[0]), svg)
    svg = svg.replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "").replace("xlink:href", "href")
    return re.sub(r"\s+", " ", re.sub(r">\s+<", "><", svg))


def _ungroup(svg):
    """Without the groups that say nothing."""
    parts, ends = [], []
    for part in re.split(r"(<g>|<g [^>]*>|</g>)", svg):
        if part.startswith("<g"):
            ends.append("" if part == "<g>" else "</g>")
        parts.append(ends.pop() if part == "</g>" else part.replace("<g>", ""))
    return "".join(parts)


def _shared_styles(svg, name):
    """A third smaller again: styles that elements share stand once, in the drawing's own sheet."""
    svg = re.sub(r' clip-path="([^"]*)" style="', r' style="clip-path: \1; ', svg)
    count = Counter(re.findall(r' style="([^"]*)"', svg))
    short = {style: f"s{i}" for i, (style, n) in enumerate(count.most_common()) if n > 1}
    svg = re.sub(
        r' style="([^"]*)"', lambda css: f' class="{short[css[1]]}"' if css[1] in short else css[0], svg
    )
    rules = "".join(f".{name} .{key}{{{style}}}" for style, key in short.items())
    return svg.replace("*{", f".{name} *{{", 1).replace("</style>", f"{rules}</style>", 1)


def _terse(place):
    """To a tenth of a point, of markers' shapes to a hundredth, and without spaces about a path's letters."""
    place = re.sub(r"\s*([A-Zz])\s*", r"\1", place)
    return re.sub(r"\d+\.\d{2,}", lambda number: _rounded(float(number[0])), place)


def _rounded(value):
    return f"{value:.{1 if value >= 10 else 2}f}".rstrip("0").rstrip(".")
