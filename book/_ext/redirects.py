"""Sphinx extension: the chapters' old addresses, which had numbers, lead to the new ones."""

from pathlib import Path

MOVED = {
    "01_theory": "theory",
    "02_batch_size": "accuracy",
    "03_calibration": "calibration",
    "04_ood": "ood",
    "05_distributed": "distributed",
    "06_speed": "speed",
    "07_cluster": "cluster",
    "08_reproducibility": "reproducibility",
    "09_explorer": "explorer",
    "10_choices": "choices",
}
# The script comes first, as it alone keeps what follows "#" and "?": a figure, a view of the explorer.
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>This page has moved</title>
<script>location.replace("{new}.html" + location.search + location.hash)</script>
<meta http-equiv="refresh" content="0; url={new}.html"><link rel="canonical" href="{new}.html"></head>
<body><p>This page has moved: <a href="{new}.html">{new}.html</a></p></body></html>
"""


def write(app, error):
    if error is None and app.builder.name == "html":
        for old, new in MOVED.items():
            (Path(app.outdir) / f"notebooks/{old}.html").write_text(PAGE.format(new=new))


def setup(app):
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
