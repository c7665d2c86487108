"""Sphinx extension: JavaScript that only some pages load, and Vega-Lite, which one of them draws with.

The library comes out of the package vl-convert-python while the book is built: nothing of it is
committed and readers fetch nothing from elsewhere. All are classic scripts, because browsers load
no modules from file://.
"""

from pathlib import Path

import vl_convert

SCRIPTS = {
    "notebooks/theory": ["dial.js"],
    "notebooks/explorer": ["vega.js", "explorer.js"],
    "notebooks/weight": ["steps.js"],
    "notebooks/claims": ["claims.js"],
    "book/playground": ["playground.js"],
    "book/draw": ["draw.js"],  # which adds draw_nets.js
    "book/film": ["film_frames.js", "film.js"],
}
NOTICE = (
    "/* Vega, Vega-Lite and Vega-Embed: University of Washington Interactive Data Lab, BSD 3-clause;"
    " D3: Mike Bostock, ISC */\n"
)
# Formulas that scroll on a narrow screen, and only those, are stops of the keyboard.
FORMULAS = """addEventListener("load", () => window.MathJax?.startup.promise.then(() => {
  const reach = () => document.querySelectorAll("div.math, div.math > mjx-container").forEach((formula) => {
    if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
    else formula.removeAttribute("tabindex");
  });
  reach();
  addEventListener("resize", reach);
}));"""


def write_library(app):
    if app.builder.format == "html":
        # Wrapped, or its hundreds of short names would become global.
        bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
        path = Path(app.outdir) / "_static/vega.js"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{NOTICE}(() => {{{bundle}}})();\n", encoding="utf-8")


def add_scripts(app, pagename, templatename, context, doctree):
    for name in SCRIPTS.get(pagename, ()):
        app.add_js_file(name, loading_method="defer")


def setup(app):
    app.config.mathjax_path = "mathjax/startup.js"  # which loads the parts that _config.yml lists, not all
    # Before all others, which tell the console of every theme that is set and every button that is added.
    app.add_js_file(None, body="console.log = () => {};", priority=1)
    app.add_js_file(None, body=FORMULAS)
    app.connect("builder-inited", write_library)
    app.connect("html-page-context", add_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
