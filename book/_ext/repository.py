"""Sphinx extension: the address of the repository, for its button and the Colab links, and of the book.

No address is committed, so a fork's book links to the fork. Looked up in this order:

1. ``GFFN_REPOSITORY``: ``owner/name`` or a github.com address; set but empty, there are no buttons.
2. ``GITHUB_REPOSITORY``: ``owner/name``, which GitHub Actions sets.
3. ``git remote get-url origin``, if it is on github.com.

Where none is found, the book is built without these buttons. The book's own address, which link previews
need, is that of the repository's GitHub Pages, unless ``html.baseurl`` in ``_config.yml`` has another. The
branch is ``repository.branch``
in ``_config.yml``.
"""

import os
import re
import subprocess

from sphinx.util import logging

# Groups: host part (a user or token before "@" is dropped), owner, name.
ADDRESS = re.compile(
    r"((?:https?://|ssh://)?(?:[^@/\s]+@)?github\.com(?::\d+)?[:/])?([\w.-]+)/([\w.-]+?)(?:\.git)?/?"
)


def parse_address(text, *, need_host=False):
    """``https://github.com/owner/name`` for any spelling of a GitHub repository, else None."""
    match = ADDRESS.fullmatch(text.strip())
    if match is None or (need_host and match[1] is None):
        return None
    return f"https://github.com/{match[2]}/{match[3]}"


def find_repository(folder):
    """Address of the repository that ``folder`` belongs to, or None."""
    for name in ("GFFN_REPOSITORY", "GITHUB_REPOSITORY"):
        if name in os.environ:
            address = parse_address(os.environ[name])
            if address is None and os.environ[name].strip():
                raise ValueError(f"{name}={os.environ[name]!r} is no GitHub repository; use 'owner/name'")
            return address
    try:
        remote = subprocess.check_output(
            "git remote get-url origin".split(), cwd=folder, stderr=subprocess.DEVNULL, text=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):  # no git, no repository or no remote
        return None
    return parse_address(remote, need_host=True)


def set_theme_options(app, config):
    address = find_repository(app.confdir or app.srcdir)
    options = config.html_theme_options
    # Jupyter Book puts an address of its own here, so an empty one has to replace it.
    options["repository_url"] = address or ""
    options["use_repository_button"] = address is not None
    if address is None:
        options["launch_buttons"] = {}
    elif not config.html_baseurl:
        owner, name = address.split("/")[-2:]
        config.html_baseurl = f"https://{owner.lower()}.github.io/{name}/"
    logging.getLogger(__name__).info("repository: %s", address or "unknown, so no buttons for it")


def setup(app):
    app.connect("config-inited", set_theme_options)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
