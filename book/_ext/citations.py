"""Sphinx extension: citations that cost a build little and are read aloud right."""

from functools import cache

from pybtex import plugin

# It searches all installed packages for the same few classes at every citation: a tenth of a build.
plugin._load_entry_point = cache(plugin._load_entry_point)


def repair(app, pagename, templatename, context, doctree):
    """docutils calls a list of citations role="list", but its items stand in no list items."""
    if "body" in context:
        context["body"] = context["body"].replace(
            '<div role="list" class="citation-list">', '<div class="citation-list">'
        )


def setup(app):
    app.connect("html-page-context", repair)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
