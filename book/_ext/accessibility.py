"""Sphinx extension: docutils calls a list of citations role="list", but its items stand in no list items."""


def repair(app, pagename, templatename, context, doctree):
    if "body" in context:
        context["body"] = context["body"].replace(
            '<div role="list" class="citation-list">', '<div class="citation-list">'
        )


def setup(app):
    app.connect("html-page-context", repair)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
