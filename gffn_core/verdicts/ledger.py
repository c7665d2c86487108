"""The ledger: every claim with the verdict that our runs give it.

What a test rests on:

Pairs. The unit is a pair: the nets of both losses with the same data set, batch size and seed. A
cell is a data set at a batch size; its seeds are averaged. Effects have the direction of the claim:
where it is one, positive means that the thesis is right.

Means over cells have a hierarchical bootstrap (cells, then seeds), see ``average``. Trends are the
slope against log2 B of the cells, with the t interval of the regression, see ``slope``.

The margin. Less than one standard error of an accuracy on that many test images counts as nothing:
it cannot be told from luck with the test set. About 0.001 for MNIST, 0.005 for CIFAR-10; used for
accuracies and for calibration errors. For slopes it is divided by the nine doublings from B = 4 to
2048, so that a drift within the margin over the whole range counts as constant.

Verdicts. *Not reproduced*: the 95 % interval lies outside what is claimed (a direction that is
claimed has to exceed the margin). Else *reproduced*: p < 0.05 after Holm's correction over the whole
ledger. Else *inconclusive*, or *no data*. p is the share of draws of the effect that contradict the
claim: one-sided for a direction, the larger of the two sides for an equality (TOST).
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from gffn_core.verdicts.claim import notes, rows_of
from gffn_core.verdicts.claims import accuracy, calibration, ood, theory
from gffn_core.verdicts.intervals import holm
from gffn_core.verdicts.rules import Measured, verdict
from gffn_core.verdicts.values import pairs_of

CLAIMS = [*theory.CLAIMS, *accuracy.CLAIMS, *calibration.CLAIMS, *ood.CLAIMS]


def ledger(records: Iterable[dict], step_ratios: Sequence[float] = ()) -> pd.DataFrame:
    """One row per claim, in the order of ``CLAIMS``: the claim, its verdict, and what it rests on.

    ``records`` are those of one profile; runs that diverged are left out. ``effect``, ``low`` and
    ``high`` (95 % interval) are in ``unit``; ``runs`` counts the nets used. step_ratios: times of a
    step, joint over conditional, which ``tables.step_ratios`` reads.
    """
    table = pairs_of(records)
    rows = []
    for claim in CLAIMS:
        used = rows_of(table, claim)
        measured = None
        if not claim.nets:
            measured = claim.measure(step_ratios)
        elif len(used):
            measured = claim.measure(used)
        found = measured or Measured(np.nan, np.nan, np.nan, np.nan, False)
        row = {key: getattr(claim, key) for key in ("number", "chapter", "section", "statement", "test")}
        row |= {key: getattr(found, key) for key in ("effect", "low", "high", "p", "refuted")}
        row |= {"unit": claim.unit, "runs": len(used) * len(claim.nets) if measured else 0}
        row["note"] = "; ".join(filter(None, (found.note, *(notes(used, claim) if measured else ()))))
        rows.append(row)
    out = pd.DataFrame(rows)
    out["p_holm"] = holm(out.pop("p").to_numpy())
    out["verdict"] = [verdict(p, refuted) for p, refuted in zip(out["p_holm"], out.pop("refuted"))]
    return out[
        [
            "number",
            "chapter",
            "section",
            "statement",
            "test",
            "verdict",
            "effect",
            "low",
            "high",
            "unit",
            "runs",
            "p_holm",
            "note",
        ]
    ]
