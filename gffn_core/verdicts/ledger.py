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
"""

from collections.abc import Iterable, Sequence

import pandas as pd

from gffn_core.verdicts import opinion
from gffn_core.verdicts.claim import BEYOND, lacking, notes, rows_of
from gffn_core.verdicts.claims import accuracy, calibration, ood, theory
from gffn_core.verdicts.rules import decided
from gffn_core.verdicts.values import pairs_of

CLAIMS = [*theory.CLAIMS, *accuracy.CLAIMS, *calibration.CLAIMS, *ood.CLAIMS]
UNTESTABLE = "not testable here"


def ledger(
    records: Iterable[dict], step_ratios: Sequence[float] = (), *, second_opinion: bool = False
) -> pd.DataFrame:
    """One row per claim, in the order of ``CLAIMS``: the claim, its verdict, and what it rests on.

    ``records`` are those of ``profiles.evidence``; runs that diverged are left out. ``effect`` and the
    interval ``low`` to ``high``, corrected for the family, are in ``unit``; ``above`` and ``below`` are the
    boundaries of what is claimed; ``runs`` counts the nets used; ``seeds`` is the number that would decide,
    see ``opinion.seeds_needed``. step_ratios: times of a step, joint over conditional, which
    ``tables.step_ratios`` reads. second_opinion: ``other_methods`` says where they disagree (some 20 s).
    """
    table = pairs_of(records)
    rows, measured, untestable = [], [], []
    for claim in CLAIMS:
        used = rows_of(table, claim) if claim.nets else table[:0]
        partial = lacking(used, claim)
        found = None
        if not claim.nets:
            found = claim.measure(step_ratios)
        elif len(used) and not partial:
            found = claim.measure(used)
        row = {
            key: getattr(claim, key) for key in ("number", "chapter", "section", "statement", "test", "unit")
        }
        row["family"] = "ours" if claim.section == BEYOND else "thesis"
        row["runs"] = len(used) * len(claim.nets) if found else 0
        row["note"] = "; ".join(filter(None, (found.note, *notes(used, claim)))) if found else ""
        rows.append(row)
        measured.append(found)
        untestable.append(bool(partial))
    out = pd.DataFrame(rows)
    found = [
        decided([measured[i] for i in family.index]).set_index(family.index)
        for _, family in out.groupby("family")
    ]
    out = out.join(pd.concat(found))
    out.loc[untestable, "verdict"] = UNTESTABLE
    level = out.pop("level")
    known = [
        i
        for i, one in enumerate(measured)
        if one and one.estimate.terms is not None and one.estimate.error > 0
    ]
    out["seeds"] = pd.Series({i: opinion.seeds_needed(measured[i], level[i]) for i in known}, dtype=float)
    asked = known if second_opinion else []
    out["other_methods"] = pd.Series(
        {i: opinion.disagreement(measured[i]) for i in asked}, out.index, str
    ).fillna("")
    return out
