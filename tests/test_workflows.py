"""The workflows call what exists, and the citation names this version."""

import io
import json
import re
import tomllib

import pytest
import yaml
from conftest import ROOT, load

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def steps(path):
    return [step for job in yaml.safe_load(path.read_text())["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_runs_commands_that_exist(path):
    targets = re.search(r"^\.PHONY: (.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    for step in steps(path):
        if "uses" in step:
            assert step["uses"].startswith("actions/")
        else:
            program, name = step["run"].split()[:2]
            assert (program == "make" and name in targets) or (
                program == "bash" and (ROOT / name).exists()
            ), step


def test_actions_are_pinned_to_one_commit_each_that_a_comment_names():
    used = [line for path in WORKFLOWS for line in path.read_text().splitlines() if "uses:" in line]
    pins = [
        re.fullmatch(r" *(?:- )?uses: (actions/[\w-]+)@([0-9a-f]{40})  # v\d+\.\d+\.\d+", line)
        for line in used
    ]
    assert all(pins), used  # a tag can be moved to other code
    assert len({pin.groups() for pin in pins}) == len({pin[1] for pin in pins})


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_job_hangs_for_hours(path):
    for name, job in yaml.safe_load(path.read_text())["jobs"].items():
        assert job.get("timeout-minutes", 360) <= 120, name


def test_both_ways_to_install_take_the_same_versions():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = project["dependencies"] + sum(project["optional-dependencies"].values(), [])
    ranges = [
        dict(re.match(r"([\w-]+)(.*)", line).groups() for line in lines if re.match(r"\w", line))
        for lines in (lists, (ROOT / "requirements.txt").read_text().splitlines())
    ]
    for name in ranges[0].keys() & ranges[1].keys():
        assert ranges[0][name] == ranges[1][name], name
    assert "<" in ranges[0]["torch"] and "<" in ranges[0]["torchvision"]


FINE = {"name": "numpy", "version": "2.1", "vulns": []}
BAD = {"name": "jinja2", "version": "1.0", "vulns": [{"id": "GHSA-1", "fix_versions": ["1.1"]}]}
UNKNOWN = {
    "name": "torch",
    "skip_reason": "Dependency not found on PyPI and could not be audited: torch (9.9)",
}


@pytest.mark.parametrize(
    ("found", "says", "fails"),
    [
        ([FINE], "Nothing known against 1 of 1 packages.", False),
        (
            [FINE, UNKNOWN],
            "Nothing known against 1 of 2 packages.\nNOT LOOKED UP torch: Dependency not found",
            True,
        ),
        (
            [BAD, UNKNOWN],
            "jinja2 1.0: GHSA-1, fixed in 1.1\nNothing known against 0 of 2 packages.\nNOT LOOKED UP torch",
            True,
        ),
    ],
    ids=["clean", "unknown", "vulnerable"],
)
def test_audit_tells_what_could_not_be_looked_up_from_what_is_clean(found, says, fails):
    audit = load(ROOT / ".ci/audit.py")
    text, failed = audit.verdict(io.StringIO(json.dumps({"dependencies": found, "fixes": []})))
    assert says in text and failed == fails


def test_every_supported_python_is_tested():
    tests = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())
    assert tests["jobs"]["tests"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]


def test_citations_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    readme = (ROOT / "README.md").read_text()
    assert citation["version"] == VERSION and f"{{Version {VERSION}}}" in readme
    for title in (citation["title"], citation["references"][0]["title"]):
        assert f"{{{title}}}" in readme
