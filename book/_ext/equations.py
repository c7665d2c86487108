"""Sphinx extension: numbered equations get anchors, and where a chapter says (1.12) it links there.

The number is the equation's own ``\\tag{1.12}``, its anchor ``eq-1-12``. Only notebooks are linked: the
pages beside them cite the thesis's numbers.
"""

import re

from docutils import nodes

TAG = re.compile(r"\\tag\{(\d+\.\d+)\}")
MENTION = re.compile(r"(\(\d+\.\d+\))")
NOT_PROSE = (nodes.math, nodes.math_block, nodes.literal, nodes.literal_block, nodes.reference, nodes.title, nodes.raw)


def anchor(number):
    return f"eq-{number.replace('.', '-')}"


def collect(app, doctree):
    if not hasattr(app.env, "gffn_equations"):
        app.env.gffn_equations = {}
    for node in doctree.findall(nodes.math_block):
        for number in TAG.findall(node.astext()):
            node["ids"].append(anchor(number))
            app.env.gffn_equations[f"({number})"] = (app.env.docname, anchor(number))


def link(app, doctree, page):
    if app.builder.format != "html" or not page.startswith("notebooks/"):
        return
    for text in [node for node in doctree.findall(nodes.Text) if not isinstance(node.parent, NOT_PROSE)]:
        parts = MENTION.split(text.astext())
        if not any(part in app.env.gffn_equations for part in parts):
            continue
        found = []
        for part in parts:
            if part in app.env.gffn_equations:
                target, name = app.env.gffn_equations[part]
                here = target == page or app.builder.name == "singlehtml"
                uri = "" if here else app.builder.get_relative_uri(page, target)
                found.append(nodes.reference("", part, refuri=f"{uri}#{name}", internal=True))
            else:
                found.append(nodes.Text(part))
        text.parent.replace(text, found)


def setup(app):
    app.connect("doctree-read", collect)
    app.connect("doctree-resolved", link)
    # Readers in several processes would each keep equations of their own.
    return {"parallel_read_safe": False, "parallel_write_safe": True}
