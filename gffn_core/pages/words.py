"""The sentences that say what a table or figure rests on."""

import re
from collections import Counter
from collections.abc import Iterable

import pandas as pd

from gffn_core.experiments.tables import SEEDS, net
from gffn_core.model import WIDTHS


def basis(records: Iterable[dict], profile: str) -> str:
    """One line: which runs, seeds, net, data, hardware and code a figure shows."""
    records = list(records)
    runs = [record["run"] for record in records]
    seeds = Counter(run["seed"] for run in runs)
    most = max(seeds.values())
    named = ", ".join(str(s) if n == most else f"{s} ({n} of {most})" for s, n in sorted(seeds.items()))
    nets = {width: name for name, width in WIDTHS.items()}
    partial = sorted({r["data"]["title"] for r in records if not r["data"]["official"]})
    by_age = sorted(records, key=lambda record: record["provenance"]["finished"])
    codes = list(dict.fromkeys(record["provenance"]["code"] for record in by_age))
    versions = ", ".join(codes) if len(codes) < 3 else f"{codes[0]} to {codes[-1]} ({len(codes)} versions)"
    parts = [
        f"Profile {profile}, {len(records)} {'run' if len(records) == 1 else 'runs'}",
        f"{'seed' if len(seeds) == 1 else 'seeds'} {named}"
        + (
            f", bars: 95 % interval where a cell has {SEEDS} seeds or more"
            if len(seeds) >= SEEDS
            else ", too few for intervals"
        ),
        f"{' and '.join(sorted({nets.get(run['width'], str(run['width'])) for run in runs}))} net",
        *partial,
        "; ".join(sorted({r["provenance"]["hardware"] for r in records})),
        f"code {versions}",
    ]
    return " · ".join(parts)


def markdown_table(header: list[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; unlike a DataFrame's, its text wraps and may hold formulas and links.

    Cells are Markdown: text of records goes through ``escape``.
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def folded(summary: str, text: str) -> str:
    """Markdown that a click on ``summary`` opens."""
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"


def diagrams(records: Iterable[dict]) -> str:
    """What ``figures.reliability`` shows of each record, for those who cannot see it."""
    parts = []
    for record in records:
        found = record["evaluations"]["long"]
        count = found["calibration"]["uniform10"]["count"]
        parts.append(
            f"{net(record['run']['loss'])} net: ECE {found['ece']['uniform10']:.3f},"
            f" accuracy {found['test_accuracy']:.3f},"
            f" {percent(count[-1] / sum(count), 0)} of the images in the top bin"
        )
    return "; ".join(parts) + "."


def with_interval(effect: pd.Series, digits: int = 3, sign: str = "+") -> str:
    """Of ``rules.effect``: "+0.012 [+0.003, +0.021]"; sign "-": no plus, where the sentence says the way."""
    mean, low, high = (f"{effect[name]:{sign}.{digits}f}" for name in ("mean", "low", "high"))
    return f"{mean} [{low},\u00a0{high}]"  # an interval stays on one line


def with_half(mean: float, half: float, digits: int = 2) -> str:
    """An effect and its interval's half width: "+0.12 ± 0.03"; more digits where both would be alike."""
    while f"{abs(mean):.{digits}f}" == f"{half:.{digits}f}" and digits < 6:  # an end would be zero
        digits += 1
    return f"{signed(mean, digits)} ±\u00a0{half:.{digits}f}"


def signed(value: float, digits: int = 2) -> str:
    """+0.12, -0.03, but 0.00."""
    text = f"{value:+z.{digits}f}"
    return text if float(text) else text[1:]


def percent(fraction: float, digits: int = 1) -> str:
    """0.6853 -> "68.5 %"."""
    return f"{100 * fraction:.{digits}f} %"


def escape(text: str) -> str:
    """Text of a record (a title, a source, a machine) for Markdown and HTML: text alone, on one line.

    The functions here return text as it is: ``publish.show`` escapes it, what puts it into Markdown has to.
    """
    # As character references, which both read, and in which Markdown sees no markup.
    return re.sub(
        r"""[\\`*_{}\[\]<>&|$~#!^"']""", lambda match: f"&#{ord(match[0])};", " ".join(text.split())
    )
