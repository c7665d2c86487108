"""Sphinx extension: what search engines and link previews say of a page: its first sentences."""

from html import escape

from docutils import nodes

MOST = 200  # characters


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
    context["metatags"] = context.get("metatags", "") + "".join(
        f'\n<meta {"property" if ":" in name else "name"}="{name}" content="{escape(value)}"/>'
        for name, value in values.items()
        if value
    )


def setup(app):
    app.connect("html-page-context", describe)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
