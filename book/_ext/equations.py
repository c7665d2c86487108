"""Sphinx extension: equations are numbered after their chapter, and get anchors to which mentions link.

A source writes ``\\tag{theory.12}`` and mentions it as ``(theory.12)``, by its page's name, in any order of
the book. Here both become (1.12), the number of the chapter in ``_toc.yml``; the anchor is ``eq-theory-12``.
"""

import re

from docutils import nodes
from sphinx.errors import ExtensionError

TAG = re.compile(r"\\tag\{([a-z_]+)\.(\d+)\}")
MENTION = re.compile(r"(\([a-z_]+\.\d+\))")
NOT_PROSE = (
    nodes.math,
    nodes.math_block,
    nodes.literal,
    nodes.literal_block,
    nodes.reference,
    nodes.title,
    nodes.raw,
)


def collect(app, doctree):
    if not hasattr(app.env, "gffn_equations"):
        app.env.gffn_equations = {}  # mention -> page, equation
    page = app.env.docname
    for node in doctree.findall(nodes.math_block):
        for name, equation in TAG.findall(node.astext()):
            if name != page.split("/")[-1] or f"({name}.{equation})" in app.env.gffn_equations:
                raise ExtensionError(
                    f"{page} holds \\tag{{{name}.{equation}}}: use the page's own name, and each number once"
                )
            node["ids"].append(f"eq-{name}-{equation}")
            app.env.gffn_equations[f"({name}.{equation})"] = (page, equation)


def forget(app, env, page):
    """A page that is read again."""
    found = getattr(env, "gffn_equations", {})
    env.gffn_equations = {mention: place for mention, place in found.items() if place[0] != page}


def number(app, doctree, page):
    def numbered(name, equation):
        target = app.env.gffn_equations[f"({name}.{equation})"][0]
        chapter = app.env.toc_secnumbers.get(target, {}).get("")
        if chapter is None:
            raise ExtensionError(
                f"{target} has equations but no number: `numbered` its part in book/_toc.yml"
            )
        return f"{chapter[0]}.{equation}"

    def link(mention):
        """The number and the address of a mention."""
        target, equation = app.env.gffn_equations[mention]
        name = target.split("/")[-1]
        here = target == page or app.builder.name == "singlehtml"
        uri = "" if here or app.builder.format != "html" else app.builder.get_relative_uri(page, target)
        return f"({numbered(name, equation)})", f"{uri}#eq-{name}-{equation}"

    def in_html(found):
        if found[0] not in app.env.gffn_equations:
            return found[0]
        text, uri = link(found[0])
        return f'<a href="{uri}">{text}</a>'

    def in_text(part):
        if part not in app.env.gffn_equations:
            return nodes.Text(part)
        text, uri = link(part)
        return nodes.reference("", text, refuri=uri, internal=True)

    for node in doctree.findall(nodes.math_block):
        if TAG.search(node.astext()):
            text = TAG.sub(lambda found: f"\\tag{{{numbered(*found.groups())}}}", node.astext())
            node.children = [nodes.Text(text)]
    for node in doctree.findall(nodes.raw):
        if node["format"] == "html" and MENTION.search(node.astext()):
            node.children = [nodes.Text(MENTION.sub(in_html, node.astext()))]
    for text in [node for node in doctree.findall(nodes.Text) if not isinstance(node.parent, NOT_PROSE)]:
        parts = MENTION.split(text.astext())
        if any(part in app.env.gffn_equations for part in parts):
            text.parent.replace(text, [in_text(part) for part in parts])


def setup(app):
    app.connect("doctree-read", collect)
    app.connect("env-purge-doc", forget)
    app.connect("doctree-resolved", number)
    # Readers in several processes would each keep equations of their own.
    return {"parallel_read_safe": False, "parallel_write_safe": True}
