"""Make the executed notebooks from their sources.

    python book/execute.py                                   all, each beside its source
    python book/execute.py notebooks/theory.py -p PROFILE digits --output DIR

A source is Python in jupytext's percent format; book/colab.py is put before its parameters. Its
notebook appears whole or not at all: papermill writes to a scratch file, which is moved into place
when every cell has passed.
"""

import argparse
import ast
import json
import sys
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
import papermill
import torch
from sphinx_external_toc.parsing import parse_toc_yaml

from gffn_core.data.files import write_atomically
from gffn_core.pages import publish
from gffn_core.training.provenance import code_version, provenance

ROOT = Path(__file__).resolve().parents[1]
PAGES = parse_toc_yaml(ROOT / "book/_toc.yml")
SOURCES = [ROOT / f"{page}.py" for page in PAGES if (ROOT / f"{page}.py").exists()]
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def notebook(source: Path) -> nbformat.NotebookNode:
    """The notebook of a source, not executed, with cell ids that stay the same from run to run."""
    found = jupytext.read(source, fmt="py:percent")
    # Colab has no gffn_core yet, so these lines have to stand in every notebook.
    start = next((i for i, c in enumerate(found.cells) if "parameters" in c.metadata.get("tags", [])), 1)
    colab = nbformat.v4.new_code_cell((ROOT / "book/colab.py").read_text().strip())
    colab.metadata["tags"] = ["remove-cell"]
    found.cells.insert(start, colab)
    found.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(found.cells):
        cell.id = f"{source.stem.replace('_', '-')}-{number:02d}"
        cell.metadata = nbformat.from_dict({k: v for k, v in cell.metadata.items() if k == "tags"})
    found.nbformat, found.nbformat_minor = 4, 5
    return found


def execute(source: Path, target: Path, parameters: dict | None = None) -> None:
    """Run a source from its own folder and write the notebook with its outputs to ``target``.

    ValueError for a parameter that it lacks.
    """
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / target.name
        nbformat.write(notebook(source), path)
        known = papermill.inspect_notebook(path) if parameters else {}
        if unknown := {*(parameters or ())} - {*known}:
            raise ValueError(f"it has no parameter {', '.join(sorted(unknown))}; it has {', '.join(known)}")
        done = papermill.execute_notebook(
            path,
            path,
            parameters,
            cwd=source.parent,
            kernel_name="python3",
            progress_bar=False,
            execution_timeout=3600,
            log_output=False,
            extra_arguments=["--IPKernelApp.log_level=40"],  # no warning that sockets are local
        )
    # What papermill notes (times, paths) would differ from run to run.
    done.metadata = nbformat.from_dict(METADATA)
    for cell in done.cells:
        cell.metadata = nbformat.from_dict({k: v for k, v in cell.metadata.items() if k == "tags" and v})
    text = nbformat.writes(done) + "\n"
    write_atomically(target, lambda file: file.write(text.encode()))


def write_status(source: Path, provenance: dict) -> None:
    """Note for the status page when, where and with what the notebook of a source was executed here."""
    path = ROOT / "_build/executed.json"  # outside git: a rebuild leaves the tree as it was
    path.parent.mkdir(exist_ok=True)
    status = json.loads(path.read_text()) if path.exists() else {}
    status[str(source.relative_to(ROOT).with_suffix(""))] = provenance
    text = json.dumps(status, indent=1, sort_keys=True) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def write_readme_figure(intro: Path) -> None:
    """Save the introduction's figure for the README."""
    cells = nbformat.read(intro, as_version=4).cells
    svg = publish.drawings(publish.page_of(cells))["headline"]
    write_atomically(ROOT / "book/_static/headline.svg", lambda file: file.write(svg.encode()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="*", type=_source, default=SOURCES)
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    parser.add_argument("--output", type=Path, metavar="DIR", help="default: beside the source")
    args = parser.parse_args()
    parameters = {name: _value(value) for name, value in args.p}
    code = code_version()  # once, because the first notebook written would make it "-dirty"
    for source in args.sources:
        source = source.resolve()
        target = (args.output or source.parent) / f"{source.stem}.ipynb"
        print(f"executing {source.relative_to(ROOT)}", flush=True)
        started = time.perf_counter()
        try:
            execute(source, target, parameters)
        except (papermill.PapermillExecutionError, ValueError) as error:
            sys.exit(f"{source.name} failed, {target} is unchanged:\n{error}")
        if args.output is None:
            where = provenance(torch.device("cpu"), time.perf_counter() - started)
            write_status(source, where | {"code": code})
        if target == ROOT / "book/intro.ipynb":
            write_readme_figure(target)


def _source(text):
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"{text} is not there")
    return Path(text)


def _value(text):
    """True, 3 or None from the command line as such, also as true or null; anything else as a string."""
    words = {"true": True, "yes": True, "false": False, "no": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


if __name__ == "__main__":
    main()
