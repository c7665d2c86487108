"""The book by plain Sphinx, should Jupyter Book 1 stop working: ``sphinx-build -c book . OUT``.

Run from the root of the repository. Everything that can be set is in ``_config.yml``, which this
file translates into Sphinx's names.
"""

import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
book = yaml.safe_load((ROOT / "_config.yml").read_text())
sys.path += [str(ROOT / folder) for folder in set(book["sphinx"]["local_extensions"].values())]

globals().update(book["sphinx"]["config"])
extensions = [name for name in extensions if name not in ("jupyter_book", "sphinx_comments")]
html_static_path = [str(ROOT / folder) for folder in html_static_path]
bibtex_bibfiles = [str(ROOT / file) for file in book["bibtex_bibfiles"]]

project = html_title = book["title"]
author, copyright = book["author"], book["copyright"]
exclude_patterns = book["exclude_patterns"]
external_toc_path = str(ROOT / "book/_toc.yml")
external_toc_exclude_missing = book["only_build_toc_files"]

html_theme = "sphinx_book_theme"
html_sourcelink_suffix = ""  # the notebooks keep their names for download
html_theme_options |= {
    "launch_buttons": book["launch_buttons"],
    "repository_branch": book["repository"]["branch"],
    "path_to_docs": book["repository"]["path_to_book"],
    "use_issues_button": book["html"]["use_issues_button"],
    "use_edit_page_button": book["html"]["use_edit_page_button"],
    "home_page_in_toc": book["html"]["home_page_in_navbar"],
}
nb_execution_mode = book["execute"]["execute_notebooks"]
myst_enable_extensions = book["parse"]["myst_enable_extensions"]
