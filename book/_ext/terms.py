"""Sphinx extension: where a page first uses a term of the glossary, a link says on hover what it means."""

import re

from docutils import nodes

GLOSSARY = "book/glossary"
# Those that a reader may not know and that mean nothing else.
TERMS = ("logits", "ECE", "MCE", "NLL", "Brier score", "AUROC")
SIGNS = {r"\\ln\b": "ln", r"\\theta": "θ", r"\\[lr]vert|\\mid": "|", r"\\\w+|[{}]": ""}  # TeX as text


def definitions(env):
    """By term its anchor in the glossary and the first sentence of its definition."""
    found = {}
    for item in env.get_doctree(GLOSSARY).findall(nodes.definition_list_item):
        (term, *_), text = item.findall(nodes.term), item.children[-1].astext()
        for tex, sign in SIGNS.items():
            text = re.sub(tex, sign, text)
        sentence = re.split(r"(?<=[.;])\s", " ".join(text.split()))[0].rstrip(".;")
        found[term.astext()] = term["ids"][0], f"{sentence}."
    return {name: found[name[0].upper() + name[1:]] for name in TERMS}


def link(app, doctree, page):
    if app.builder.format != "html" or page == GLOSSARY:
        return
    left, glossary = definitions(app.env), app.builder.get_relative_uri(page, GLOSSARY)
    for text in [*doctree.findall(nodes.Text)]:
        paragraph = text.parent
        if not isinstance(paragraph, nodes.paragraph) or isinstance(paragraph.parent, nodes.citation):
            continue
        first = left and re.search(rf"\b({'|'.join(left)})\b", text)
        if first:
            anchor, sentence = left.pop(first[0])
            named = nodes.reference(
                "",
                first[0],
                internal=True,
                refuri=f"{glossary}#{anchor}",
                reftitle=sentence,
                classes=["gffn-term"],
            )
            before, after = nodes.Text(text[: first.start()]), nodes.Text(text[first.end() :])
            paragraph.replace(text, [before, named, after])


def setup(app):
    app.connect("doctree-resolved", link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
