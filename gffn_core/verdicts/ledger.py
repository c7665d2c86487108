"""The ledger: every claim with the verdict that our runs give it.

What a test rests on:

Pairs. The unit is a pair: the nets of both losses with the same data set, batch size and seed. Cells
(a data set at a batch size) are the fixed design, seeds are the random unit; see ``intervals``. Effects
have the direction of the claim: where it is one, positive means that the thesis is right.

The margin. One standard error of an accuracy on that many test images: what is smaller cannot be told from
luck with the test set. About 0.001 for MNIST, 0.005 for CIFAR-10; used for accuracies and for calibration
errors; 0.01 for areas under the ROC curve. For slopes it is divided by the nine doublings from B = 4 to
2048, so that a drift within the margin over the whole range counts as constant. So a claim that something
grows, is constant or falls names one of three regions, and only one of them can be reproduced.

Verdicts. One rule, see ``rules``. The interval is corrected (Holm) for the family: the thesis's claims are
confirmatory, our own (``BEYOND``) exploratory, and each family keeps its chance of any wrong decision at 5 %.

What is not testable here. Of SVHN we may have a part. A claim whose deciding effect rests on it has no
verdict if, without this part, the verdict is another one or the effect on the other side of the boundary.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from gffn_core.verdicts import opinion
from gffn_core.verdicts.claim import BEYOND, notes, rows_of
from gffn_core.verdicts.claims import accuracy, calibration, ood, theory
from gffn_core.verdicts.rules import Measured, decided
from gffn_core.verdicts.values import pairs_of

CHAPTERS = {"theory": theory, "accuracy": accuracy, "calibration": calibration, "ood": ood}
CLAIMS = [replace(one, chapter=name) for name, module in CHAPTERS.items() for one in module.CLAIMS]
UNTESTABLE = "not testable here"


def ledger(
    records: Iterable[dict], step_ratios: Sequence[float] = (), *, second_opinion: bool = False
) -> pd.DataFrame:
    """One row per claim, in the order of ``CLAIMS``: the claim, its verdict, and what it rests on.

    ``records`` are those of ``profiles.evidence``; runs that diverged are left out. ``effect`` and the
    interval ``low`` to ``high``, corrected for the family, are in ``unit``; ``above`` and ``below`` are the
    boundaries of what is claimed; ``runs`` counts the nets used; ``seeds`` is the number that would decide,
    see ``opinion.seeds_needed``. step_ratios: times of a step, joint over conditional, which
    ``tables.step_ratios`` reads. second_opinion: the p-values ``student``, ``sign_flip`` and
    ``mixed_model``, before correction (some 20 s), and ``other_methods``, where they disagree.
    """
    table = pairs_of(records)
    out, measured = _judged(table, step_ratios)
    official = table["official"].astype(bool).all(axis=1)
    if not official.all():
        without, others = _judged(table[official], step_ratios)
        for i, (one, other) in enumerate(zip(measured, others)):
            row, bare = out.loc[i], without.loc[i]
            if one is None or np.isclose(row["effect"], bare["effect"], rtol=1e-9, atol=0):
                continue
            if row["verdict"] != bare["verdict"]:
                hangs = f"{row['verdict']} with it, {bare['verdict']} without"
            elif (one.inside < one.outside) != (other.inside < other.outside):
                hangs = "on the other side without it"
            else:
                continue
            out.loc[i, ["note", "verdict"]] = f"{row['note']}; hangs on it: {hangs}", UNTESTABLE
    level = out.pop("level")
    known = {
        i: one
        for i, one in enumerate(measured)
        if one and one.estimate.terms is not None and one.estimate.error > 0
    }
    needed = {i: opinion.seeds_needed(one, level[i]) for i, one in known.items()}
    out["seeds"] = pd.Series(needed, out.index, float)
    if second_opinion:
        for name in ("student", "sign_flip", "mixed_model"):
            found = {i: getattr(opinion, name)(one) for i, one in known.items()}
            out[name] = pd.Series(found, out.index, float)
        out["other_methods"] = out.apply(opinion.disagreement, axis=1)
    return out


def _judged(table: pd.DataFrame, step_ratios: Sequence[float]) -> tuple[pd.DataFrame, list[Measured | None]]:
    """The ledger of a table of pairs, with the ``level`` of each test, and what was measured."""
    rows, measured = [], []
    for claim in CLAIMS:
        used = rows_of(table, claim) if claim.nets else table[:0]
        found = None
        if not claim.nets:
            found = claim.measure(step_ratios)
        elif len(used):
            found = claim.measure(used)
        row = {
            key: getattr(claim, key) for key in ("number", "chapter", "section", "statement", "test", "unit")
        }
        row["family"] = "ours" if claim.section == BEYOND else "thesis"
        row["runs"] = len(used) * len(claim.nets) if found else 0
        row["note"] = "; ".join(filter(None, (found.note, *notes(used, claim)))) if found else ""
        rows.append(row)
        measured.append(found)
    out = pd.DataFrame(rows)
    found = [
        decided([measured[i] for i in family.index]).set_index(family.index)
        for _, family in out.groupby("family")
    ]
    return out.join(pd.concat(found)), measured
