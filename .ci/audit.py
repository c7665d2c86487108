"""Say what pip-audit found. Its JSON on standard input, exit status 1 unless all are known and clean.

pip-audit --format json ... | python .ci/audit.py
"""

import json
import sys
from typing import TextIO


def verdict(answer: TextIO) -> tuple[str, bool]:
    """The lines to print, and whether something is vulnerable or could not be looked up."""
    packages = json.load(answer)["dependencies"]
    unknown = [package for package in packages if "skip_reason" in package]
    vulnerable = [package for package in packages if package.get("vulns")]
    lines = [
        f"{package['name']} {package['version']}: {found['id']}, "
        f"fixed in {', '.join(found['fix_versions']) or 'no version'}"
        for package in vulnerable
        for found in package["vulns"]
    ]
    clean = len(packages) - len(vulnerable) - len(unknown)
    lines.append(f"Nothing known against {clean} of {len(packages)} packages.")
    lines += [f"NOT LOOKED UP {package['name']}: {package['skip_reason']}" for package in unknown]
    return "\n".join(lines), bool(vulnerable or unknown)


if __name__ == "__main__":
    try:
        text, failed = verdict(sys.stdin)
    except ValueError:
        sys.exit("pip-audit gave no answer, so nothing was audited; its error stands above")
    print(text)
    sys.exit(failed)
