"""The ledger of claims as Markdown and as text."""

import numpy as np
import pandas as pd

from gffn_core.pages import words
from gffn_core.verdicts.ledger import UNTESTABLE

VERDICTS = ["reproduced", "not reproduced", "inconclusive", UNTESTABLE, "no data"]


def markdown(table: pd.DataFrame, chapter: str) -> str:
    """A chapter's part of the ledger, with tests and notes, as a Markdown table."""
    rows = (
        (
            f"**{row.number}** {row.statement} [{row.section}]<br>*Test:* {row.test}",
            f"**{row.verdict}**",
            "<br>".join(filter(None, (_effect(row), _needs(row), _runs(row), words.escape(row.note)))),
        )
        for row in table[table["chapter"] == chapter].itertuples()
    )
    return _table("claim and test", rows)


def short(table: pd.DataFrame) -> str:
    """The whole ledger, without tests and notes, as a Markdown table; with other methods that disagree."""
    rows = (
        (
            f"**{row.number}** {row.statement} [{row.section}]",
            row.verdict,
            "; ".join(
                filter(
                    None,
                    (_effect(row), _shown(row), _needs(row), _runs(row), getattr(row, "other_methods", "")),
                )
            ),
        )
        for row in table.itertuples()
    )
    return _table("claim", rows)


def predictions(table: pd.DataFrame) -> str:
    """Of ``predictions.score`` what was predicted, what came, and the part that is furthest from true.

    Folded, as the chapter's text says what they come to. Those that await their runs stand below the table.
    """
    known = table["effect"].notna()
    rows = (
        (f"**{row.Index}** {row.statement}", f"**{row.came}**", f"{_interval(row)} {_part(row)}")
        for row in table[known].itertuples()
    )
    text = _table("predicted", rows, "what came")
    waiting = ", ".join(map(str, table.index[~known]))
    text += f"\n\nNot run yet: {waiting}." if waiting else ""
    rule = (
        "By [the rule of the verdicts](verdicts.ipynb), corrected for all that were written down together;"
        " *open*: the interval so corrected holds the boundary. Shown is the part that decides, or comes"
        " nearest to failing."
    )
    return words.folded("each prediction, and what came", f"{text}\n\n{rule}")


def _table(first, rows, verdict="verdict"):
    """Of a class of its own, as on a phone the claim stands above its verdict and effect."""
    table = words.markdown_table([first, verdict, "effect, corrected interval"], rows)
    return f'<div class="gffn-ledger">\n\n{table}\n\n</div>'


def filter_bar(table: pd.DataFrame) -> str:
    """HTML that claims.js turns into buttons, a verdict each, which leave only its claims on the page."""
    count = table["verdict"].value_counts()
    ours = sum(table["family"] != "thesis")
    every = f"all {len(table)} ({len(table) - ours} of the thesis, {ours} ours)"
    names = {"": every} | {one: f"{one} {count[one]}" for one in VERDICTS if one in count}
    button = '<button type="button" data-verdict="{}" aria-pressed="{}">{}</button>'
    buttons = " ".join(button.format(one, str(not one).lower(), label) for one, label in names.items())
    return f'<p class="gffn-filter" role="group" aria-label="claims shown" hidden>{buttons}</p>'


def text(table: pd.DataFrame) -> str:
    """The ledger for the terminal: how many claims have which verdict, then three lines a claim."""
    lines = []
    for family, part in table.groupby("family", sort=False):
        counts = part["verdict"].value_counts()
        lines.append(f"{family}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    for row in table.itertuples():
        p = "" if np.isnan(row.p) else f", p {row.p:.2g}"
        p += "" if np.isnan(row.seeds) or row.verdict != "inconclusive" else f", decided by {_seeds(row)}"
        lines += ["", f"{row.number:>4}  {row.verdict.upper()}  {_effect(row)} ({_runs(row)}{p})"]
        lines += [f"      [{row.section}] {row.statement}", f"      Test: {row.test}"]
        lines += [f"      Note: {note}" for note in (row.note, getattr(row, "other_methods", "")) if note]
    return "\n".join(lines)


def _effect(row):
    return "–" if np.isnan(row.effect) else f"{_interval(row)} {row.unit}"


def _interval(row):
    """An effect and, where it varies, its interval."""
    if np.isnan(row.low) or row.low == row.high:
        return f"{row.effect:g}" if row.effect % 1 == 0 else _rounded(row.effect)
    return f"{_rounded(row.effect)} [{_rounded(row.low)}, {_rounded(row.high)}]"


def _shown(row):
    """The cell that decides, where a claim is about all of them."""
    return "; ".join(words.escape(part) for part in row.note.split("; ") if part.startswith("shown: "))


def _part(row):
    """What the effect is of, and, of what has an interval, where it was predicted to lie."""
    note, where = words.escape(row.note), _where(row)
    return f"{note}; predicted: {where}" if where else note


def _needs(row):
    """Where an effect with an interval has to lie for the claim: often beyond a margin, not beyond zero."""
    where = _where(row)
    return f"reproduced if {where}" if where else ""


def _where(row):
    if np.isnan(row.low) or row.low == row.high:
        return ""
    if np.isinf(row.below):
        return f"above {row.above:.3g}"
    return f"below {row.below:.3g}" if np.isinf(row.above) else f"between {row.above:.3g} and {row.below:.3g}"


def _seeds(row):
    return "more than 100 seeds" if np.isinf(row.seeds) else f"{row.seeds:.0f} seeds"


def _runs(row):
    if row.verdict == "no data":
        return "needs runs that are not there yet"
    return f"{row.runs} {'run' if row.runs == 1 else 'runs'}" if row.runs else "no training"


def _rounded(value):
    """Two digits of what is small, three decimals of what is not."""
    if abs(value) >= 0.01:
        return f"{value:.3f}"
    return "0" if abs(value) < 1e-6 else np.format_float_positional(float(f"{value:.2g}"))
