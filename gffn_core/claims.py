"""The claims of the thesis as data, each with its test, and the ledger of verdicts on our runs.

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

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gffn_core import report
from gffn_core.estimates import (
    NAMES, Measured, average, below, between, constant, each, equal, everywhere, holm, minus,
    positive, rises, verdict,
)
from gffn_core.evidence import (
    LUCK, above_chance, apart, baseline_lead, batch_of_one, below_chance_somewhere,
    best_at_small, diagram, difference, evenness, fluctuation, gain, largest_drop, lower, net,
    nets, not_monotone, on, opposite, overall_accuracy, overhead, pairs, peaks_inside,
    rank_agreement, same_accuracy, stands_out, top_accuracy, top_share, weighted_average,
)
from gffn_core.training import FITTED, LOSSES, SCHEMES

FAR = 2  # doublings: a batch size farther from the one a claim names does not stand for it
CLOSE = 0.05  # of areas under the ROC curve that the thesis calls close


@dataclass(frozen=True)
class Claim:
    """A testable statement of the thesis and its test.

    measure: table of pairs -> what was measured; None where there is too little. The table holds the
    pairs of ``datasets`` (none named: all) at the batch size nearest to ``batch_size`` (None: all),
    if that is within a factor of four.
    fitted: only pairs whose nets both fit their training images in the long scheme.
    nets: the losses whose nets are measured; none where the measurement needs no runs, and gets the
    step ratios instead of a table.
    """

    number: str
    chapter: str  # "theory", "batch size", "calibration" or "ood"
    section: str
    statement: str
    test: str
    unit: str
    measure: Callable[[pd.DataFrame], Measured | None]
    datasets: tuple[str, ...] = ()
    batch_size: int | None = None
    fitted: bool = False
    nets: tuple[str, ...] = tuple(LOSSES)


def ledger(records: Iterable[dict], step_ratios: Sequence[float] = ()) -> pd.DataFrame:
    """One row per claim, in the order of ``CLAIMS``: the claim, its verdict, and what it rests on.

    ``records`` are those of one profile; runs that diverged are left out. ``effect``, ``low`` and
    ``high`` (95 % interval) are in ``unit``; ``runs`` counts the nets used. step_ratios: times of a
    step, joint over conditional, which ``bench.step_ratios`` reads.
    """
    table = pairs(records)
    rows = []
    for claim in CLAIMS:
        used = evidence(table, claim)
        measured = None
        if not claim.nets:
            measured = claim.measure(step_ratios)
        elif len(used):
            measured = claim.measure(used)
        found = measured or Measured(np.nan, np.nan, np.nan, np.nan, False)
        row = {key: getattr(claim, key) for key in ("number", "chapter", "section", "statement", "test")}
        row |= {key: getattr(found, key) for key in ("effect", "low", "high", "p", "refuted")}
        row |= {"unit": claim.unit, "runs": len(used) * len(claim.nets) if measured else 0}
        notes = (found.note, *(_notes(used, claim) if measured else ()))
        row["note"] = "; ".join(filter(None, notes))
        rows.append(row)
    out = pd.DataFrame(rows)
    out["p_holm"] = holm(out.pop("p").to_numpy())
    out["verdict"] = [verdict(p, refuted) for p, refuted in zip(out["p_holm"], out.pop("refuted"))]
    return out[["number", "chapter", "section", "statement", "test", "verdict", "effect", "low", "high",
                "unit", "runs", "p_holm", "note"]]


def markdown(table: pd.DataFrame, chapter: str) -> str:
    """A chapter's part of the ledger, with tests and notes, as a Markdown table."""
    return report.markdown_table(
        ["claim and test", "verdict", "effect, 95 % interval"],
        (
            (f"**{row.number}** {row.statement} [{row.section}]<br>*Test:* {row.test}", f"**{row.verdict}**",
             "<br>".join(filter(None, (_effect(row), _runs(row), report.escape(row.note)))))
            for row in table[table["chapter"] == chapter].itertuples()
        ),
    )


def short(table: pd.DataFrame) -> str:
    """The whole ledger, without tests and notes, as a Markdown table."""
    return report.markdown_table(
        ["claim", "verdict", "effect, 95 % interval"],
        (
            (f"**{row.number}** {row.statement} [{row.section}]", row.verdict, _effect(row))
            for row in table.itertuples()
        ),
    )


def text(table: pd.DataFrame) -> str:
    """The ledger for the terminal: how many claims have which verdict, then three lines a claim."""
    counts = table["verdict"].value_counts()
    lines = [", ".join(f"{count} {name}" for name, count in counts.items())]
    for row in table.itertuples():
        p = "" if np.isnan(row.p_holm) else f", p {row.p_holm:.2g}"
        lines += ["", f"{row.number:>4}  {row.verdict.upper()}  {_effect(row)} ({_runs(row)}{p})"]
        lines += [f"      [{row.section}] {row.statement}", f"      Test: {row.test}"]
        lines += [f"      Note: {row.note}"] if row.note else []
    return "\n".join(lines)


def _effect(row):
    if np.isnan(row.effect):
        return "-"
    interval = "" if np.isnan(row.low) else f" [{_rounded(row.low)}, {_rounded(row.high)}]"
    return f"{_rounded(row.effect)}{interval} {row.unit}"


def _runs(row):
    return f"{row.runs} {'run' if row.runs == 1 else 'runs'}"


def _rounded(value):
    """Two digits of what is small, three decimals of what is not."""
    return "0" if abs(value) < 1e-6 else f"{value:.3f}" if abs(value) >= 0.01 else f"{value:.2g}"


def evidence(table: pd.DataFrame, claim: Claim) -> pd.DataFrame:
    """The rows of ``pairs`` that a claim is about and that have all the nets it needs."""
    used = table[table["key"][list(claim.nets)].notna().all(axis=1)]
    if claim.datasets:
        used = used[used.index.get_level_values("dataset").isin(claim.datasets)]
    if claim.fitted:
        fits = [used["train_accuracy", loss, "long"] >= FITTED for loss in claim.nets]
        used = used[np.logical_and.reduce(fits)]
    if claim.batch_size is not None and len(used):
        sizes = used.index.get_level_values("batch_size")
        distance = np.abs(np.log2(sizes.to_numpy(float) / claim.batch_size))
        # The smaller one of a tie: sizes are sorted within a data set.
        used = used[(sizes == sizes[distance.argmin()]) & (distance <= FAR)]
    return used


def _notes(used, claim):
    """What the reader of a verdict has to know of the runs under it."""
    if not claim.nets:
        return
    sizes = used.index.get_level_values("batch_size").unique()
    if claim.batch_size is not None and claim.batch_size not in sizes:
        yield f"B = {sizes[0]} stands for {claim.batch_size}"
    about = used.xs((claim.nets[0], "long"), axis=1, level=(1, 2))
    partial = about.loc[~about["official"].astype(bool), "title"]
    yield from sorted(partial.map(report.short_title).unique())
    if claim.chapter == "calibration" and not claim.fitted:
        underfit = sum((used["train_accuracy", loss, "long"] < FITTED).sum() for loss in claim.nets)
        if underfit:
            yield f"{underfit} of {len(used) * len(claim.nets)} nets underfit"

# The claims


MNIST, FASHION, CIFAR, SVHN = ("mnist",), ("fashion_mnist",), ("cifar10",), ("svhn",)
COLOURED = CIFAR + SVHN
BATCH, CALIBRATION, OOD = "batch size", "calibration", "ood"
BEYOND = "beyond the thesis"
DOUBLING = "per doubling of B"

CLAIMS = [
    Claim(
        "1", "theory", "4", "For a batch of one both approaches are identical.",
        "Largest difference of the losses and of their gradients over 100 random batches of one, both "
        "label spaces, float64: at most 1e-12.",
        "nats", batch_of_one, nets=(),
    ),
    Claim(
        "2", "theory", "4", "The joint loss has no relevant computational overhead.",
        "Ratio of the time of a training step, joint over conditional, minus 1, mean over batch sizes "
        "(`gffn bench`, narrow net, B = 4 to 2048): below 0.02.",
        "of a step's time", overhead, nets=(),
    ),
    Claim(
        "21", "theory", "4", "The gradient of the joint loss differs from the standard one only in that "
        "the partition functions enter as a weighted average, with weights p' from one softmax over the "
        "batch.",
        "Largest difference of automatic differentiation to (4.15) with (4.16), both label spaces, "
        "float64: at most 1e-12.",
        "nats", weighted_average, nets=(),
    ),

    Claim(
        "3a", BATCH, "5.1.1", "Generalisation gap: nets stopped early lose accuracy with the batch "
        "size.",
        "Slope of accuracy against log2 B, mean of both nets and of the data sets, early: negative.",
        f"accuracy lost {DOUBLING}", lambda p: rises(opposite(nets(p, "test_accuracy", "early"))),
    ),
    Claim(
        "3b", BATCH, "5.1.1", "Generalisation gap: so do the standard nets on CIFAR-10 and SVHN when "
        "trained longer.",
        "Slope of the standard net's accuracy against log2 B, long: negative on each of the two.",
        f"accuracy lost {DOUBLING}",
        lambda p: each(
            *(rises(opposite(net(on(p, name), "test_accuracy", "conditional"))) for name in COLOURED)
        ),
        datasets=COLOURED, nets=("conditional",),
    ),
    Claim(
        "3c", BATCH, "5.1.1", "The accuracy of MNIST nets trained longer is mostly constant.",
        "Slope of accuracy against log2 B, mean of both nets, long: within the margin.",
        f"accuracy {DOUBLING}", lambda p: constant(nets(p, "test_accuracy")), datasets=MNIST,
    ),
    Claim(
        "3d", BATCH, "5.1.1", "The accuracy of Fashion-MNIST nets trained longer first rises with B, "
        "then falls.",
        "A parabola in log2 B through the accuracies, mean of both nets, long: rises at the smallest "
        "and falls at the largest batch (the weaker of the two slopes is shown).",
        f"accuracy {DOUBLING}", lambda p: peaks_inside(nets(p, "test_accuracy")), datasets=FASHION,
    ),
    Claim(
        "4a", BATCH, "5.1.1", "The GFFN is better than the standard net or about equal in all "
        "experiments.",
        "Share of cells (both schemes) in which the GFFN's accuracy is not lower by more than the "
        "margin: all.",
        "of the cells",
        lambda p: everywhere(
            apart(SCHEMES, lambda scheme: gain(p, "test_accuracy", scheme)), about=True
        ),
    ),
    Claim(
        "4b", BATCH, "5.1.1", "The GFFN is mostly better.",
        "Gain in accuracy, mean over cells and both schemes: positive.",
        "accuracy gained", lambda p: positive(gain(p, "test_accuracy", *SCHEMES)),
    ),
    Claim(
        "4c", BATCH, "5.1.1", "The gain is largest on CIFAR-10.",
        "Gain on CIFAR-10 minus that on each other data set, paired, mean of both schemes: positive "
        "(the closest is shown).",
        "accuracy", lambda p: stands_out(p, lambda q: gain(q, "test_accuracy", *SCHEMES), "cifar10"),
        datasets=tuple(NAMES),
    ),
    Claim(
        "4d", BATCH, "5.1.1", "The gain is smallest on SVHN.",
        "Gain on each other data set minus that on SVHN, paired, mean of both schemes: positive (the "
        "closest is shown).",
        "accuracy",
        lambda p: stands_out(p, lambda q: opposite(gain(q, "test_accuracy", *SCHEMES)), "svhn"),
        datasets=tuple(NAMES),
    ),
    Claim(
        "5a", BATCH, "5.1.1", "The gain grows with the batch size on MNIST, trained longer.",
        "Slope of the gain in accuracy against log2 B, long: positive.",
        f"accuracy gained {DOUBLING}", lambda p: rises(gain(p, "test_accuracy", "long")), datasets=MNIST,
    ),
    Claim(
        "5b", BATCH, "5.1.1", "The gain grows with the batch size on CIFAR-10, stopped early.",
        "Slope of the gain in accuracy against log2 B, early: positive.",
        f"accuracy gained {DOUBLING}", lambda p: rises(gain(p, "test_accuracy", "early")),
        datasets=CIFAR,
    ),
    Claim(
        "5c", BATCH, "5.1.1", "The gain grows with the batch size on Fashion-MNIST, to some extent.",
        "Slope of the gain in accuracy, mean of both schemes, against log2 B: positive.",
        f"accuracy gained {DOUBLING}", lambda p: rises(gain(p, "test_accuracy", *SCHEMES)),
        datasets=FASHION,
    ),
    Claim(
        "5d", BATCH, "5.1.1", "The gain shrinks with the batch size on CIFAR-10, trained longer.",
        "Slope of the gain in accuracy against log2 B, long: negative.",
        f"accuracy lost {DOUBLING}", lambda p: rises(opposite(gain(p, "test_accuracy", "long"))),
        datasets=CIFAR,
    ),
    Claim(
        "5e", BATCH, "5.1.1", "Elsewhere (MNIST stopped early, SVHN) the gain does not depend on the "
        "batch size.",
        "Slope of the gain in accuracy against log2 B: within the margin in each of the three (the "
        "worst is shown).",
        f"accuracy gained {DOUBLING}",
        lambda p: each(
            constant(gain(on(p, "mnist"), "test_accuracy", "early")),
            *(constant(gain(on(p, "svhn"), "test_accuracy", scheme)) for scheme in SCHEMES),
        ),
        datasets=MNIST + SVHN,
    ),
    Claim(
        "6a", BATCH, "5.1.1", "The accuracy of GFFNs trained longer on CIFAR-10 is about constant over "
        "batch sizes.",
        "Slope of the GFFN's accuracy against log2 B, long: within the margin.",
        f"accuracy {DOUBLING}", lambda p: constant(net(p, "test_accuracy", "joint")),
        datasets=CIFAR, nets=("joint",),
    ),
    Claim(
        "6b", BATCH, "5.1.1", "That of the standard nets is not: it falls, faster than the GFFN's.",
        "Slope of the gain in accuracy against log2 B, long: positive (the opposite of 5d).",
        f"accuracy gained {DOUBLING}", lambda p: rises(gain(p, "test_accuracy", "long")), datasets=CIFAR,
    ),
    Claim(
        "7", BATCH, "5.1.1", "The absolute best accuracy is reached at a small batch.",
        "Share of data sets whose best cell (losses and schemes compete) has a batch size of at most "
        "64: all, with the margin.",
        "of the data sets", lambda p: best_at_small(p, "test_accuracy", max),
    ),
    Claim(
        "8", BATCH, "5.1.1", "The accuracies at small batch sizes fluctuate more.",
        "Slope against log2 B of the standard deviation of accuracy over seeds, mean of nets and "
        "schemes: negative.",
        f"accuracy (standard deviation) lost {DOUBLING}", fluctuation,
    ),
    Claim(
        "22", BATCH, "5.1.1", "At small batch sizes the two approaches hardly differ.",
        "Gain in accuracy at the smallest batch size, mean over data sets and schemes: within the "
        "margin.",
        "accuracy gained", lambda p: equal(gain(p, "test_accuracy", *SCHEMES)), batch_size=4,
    ),
    Claim(
        "23", BATCH, "5.1", "Training on after the training images are fitted can still improve "
        "accuracy.",
        "Accuracy, long minus early, mean over cells and both nets: positive.",
        "accuracy gained",
        lambda p: positive(minus(nets(p, "test_accuracy"), nets(p, "test_accuracy", "early"))),
    ),
    Claim(
        "24", BATCH, "5.1.1", "The GFFN regularises: it generalises with a smaller loss of accuracy.",
        "Training minus test accuracy, standard minus GFFN, long, mean over cells: positive.",
        "accuracy",
        lambda p: positive(minus(lower(p, "train_accuracy"), lower(p, "test_accuracy"))),
    ),
    Claim(
        "25", BATCH, "6", "The GFFN reaches better training accuracies.",
        "Gain in training accuracy, mean over cells and both schemes: positive.",
        "accuracy gained", lambda p: positive(gain(p, "train_accuracy", *SCHEMES)),
    ),
    Claim(
        "26", BATCH, "6", "In all experiments larger batch sizes lead to worse absolute results.",
        "Slope of accuracy against log2 B, mean of both nets: negative on each data set in each scheme "
        "(the weakest is shown).",
        f"accuracy lost {DOUBLING}",
        lambda p: each(
            *(
                rises(opposite(nets(on(p, name), "test_accuracy", scheme)))
                for name in p.index.get_level_values("dataset").unique() for scheme in SCHEMES
            )
        ),
    ),

    Claim(
        "9a", CALIBRATION, "5.2.2", "The ECE of the GFFN is lower for all models.",
        "Share of cells in which the GFFN's ECE is lower, long: no cell in which it is higher by the "
        "margin.",
        "of the cells", lambda p: everywhere(lower(p, "ece")),
    ),
    Claim(
        "9b", CALIBRATION, "5.2.2", "The ECE of the GFFN is lower for all models (fitted nets).",
        "As 9a, over the pairs whose nets both fit their training images.",
        "of the cells", lambda p: everywhere(lower(p, "ece")), fitted=True,
    ),
    Claim(
        "9c", CALIBRATION, "5.2.2", "Overall the GFFN's ECE is significantly lower.",
        "ECE, standard minus GFFN, long, mean over cells: positive.",
        "ECE saved", lambda p: positive(lower(p, "ece")),
    ),
    Claim(
        "9d", CALIBRATION, "5.2.2", "Overall the GFFN's ECE is significantly lower (fitted nets).",
        "As 9c, over the pairs whose nets both fit their training images.",
        "ECE saved", lambda p: positive(lower(p, "ece")), fitted=True,
    ),
    *(
        Claim(
            f"10{letter}", CALIBRATION, "5.2.2", "The difference in ECE grows with the batch size on "
            f"{NAMES[name]}.",
            "Slope of ECE, standard minus GFFN, against log2 B, long: positive.",
            f"ECE saved {DOUBLING}", lambda p: rises(lower(p, "ece")), datasets=(name,),
        )
        for letter, name in zip("abc", ("mnist", "fashion_mnist", "cifar10"))
    ),
    Claim(
        "10d", CALIBRATION, "5.2.2", "On SVHN it is about constant.",
        "Slope of ECE, standard minus GFFN, against log2 B, long: within the margin.",
        f"ECE saved {DOUBLING}", lambda p: constant(lower(p, "ece")), datasets=SVHN,
    ),
    Claim(
        "10e", CALIBRATION, "5.2.2", "On SVHN the GFFN is slightly better.",
        "ECE, standard minus GFFN, long, mean over batch sizes: positive.",
        "ECE saved", lambda p: positive(lower(p, "ece")), datasets=SVHN,
    ),
    Claim(
        "10f", CALIBRATION, "5.2.2", "The difference in ECE grows with the batch size on MNIST, "
        "Fashion-MNIST and CIFAR-10 (fitted nets).",
        "Slope of ECE, standard minus GFFN, against log2 B, long, mean of the data sets that have three "
        "batch sizes with fitted pairs: positive.",
        f"ECE saved {DOUBLING}", lambda p: rises(lower(p, "ece")),
        datasets=MNIST + FASHION + CIFAR, fitted=True,
    ),
    *(
        claim
        for letters, fitted, which in (("ab", False, ""), ("cd", True, " (fitted nets)"))
        for claim in (
            Claim(
                f"11{letters[0]}", CALIBRATION, "5.2.2", f"The ECE grows with the batch size{which}.",
                "Slope of ECE against log2 B, mean of both nets and of the data sets, long: positive.",
                f"ECE {DOUBLING}", lambda p: rises(nets(p, "ece")), fitted=fitted,
            ),
            Claim(
                f"11{letters[1]}", CALIBRATION, "5.2.2", f"It grows more slowly for the GFFN{which}.",
                "Slope of ECE, standard minus GFFN, against log2 B, mean of the data sets, long: "
                "positive.",
                f"ECE saved {DOUBLING}", lambda p: rises(lower(p, "ece")), fitted=fitted,
            ),
        )
    ),
    Claim(
        "12", CALIBRATION, "5.2.2", "Data sets with higher accuracy have lower ECE.",
        "Minus the rank correlation (Spearman) of accuracy and ECE over data sets, mean over batch "
        "sizes and nets, long: positive.",
        "- rho", rank_agreement,
    ),
    Claim(
        "13", CALIBRATION, "5.2.2", "Nets stopped early are strictly worse calibrated.",
        "Share of cells (each loss its own) in which the early net has the higher ECE: all, with the "
        "margin.",
        "of the cells",
        lambda p: everywhere(
            apart(LOSSES, lambda loss: minus(net(p, "ece", loss, "early"), net(p, "ece", loss, "long")))
        ),
    ),
    Claim(
        "14a", CALIBRATION, "5.2.2", "MNIST at B = 128: about 99 % of the answers are right.",
        "Accuracy minus 0.99, long: within 0.005 for both nets (the farther one is shown).",
        "accuracy",
        lambda p: each(
            *(
                between(difference(diagram(p, loss, overall_accuracy), 0.99), -0.005, 0.005)
                for loss in LOSSES
            )
        ),
        datasets=MNIST, batch_size=128,
    ),
    Claim(
        "14b", CALIBRATION, "5.2.2", "MNIST at B = 128: nearly all outputs have the highest confidence.",
        "Share of images in the bin from 0.9 to 1, long: above 0.95 for both nets (the lower one is "
        "shown).",
        "of the images",
        lambda p: each(*(between(diagram(p, loss, top_share), low=0.95) for loss in LOSSES)),
        datasets=MNIST, batch_size=128,
    ),
    Claim(
        "15a", CALIBRATION, "5.2.2", "CIFAR-10 at B = 2048: the standard net's accuracy does not rise "
        "steadily with confidence.",
        "Largest drop from a bin to a more confident one (bins with 1 % of the images): larger than "
        "luck with the images gives the nearest monotone diagram.",
        "accuracy", not_monotone, datasets=CIFAR, batch_size=2048, nets=("conditional",),
    ),
    Claim(
        "15b", CALIBRATION, "5.2.2", "CIFAR-10 at B = 2048: the standard net is as accurate at "
        "confidence 0.5 to 0.6 as at 0.8 to 0.9.",
        "Difference of the accuracies of the two bins: within 0.05.",
        "accuracy", lambda p: between(diagram(p, "conditional", same_accuracy), -0.05, 0.05),
        datasets=CIFAR, batch_size=2048, nets=("conditional",),
    ),
    Claim(
        "15c", CALIBRATION, "5.2.2", "CIFAR-10 at B = 2048: the GFFN's accuracy rises steadily with "
        "confidence.",
        "Largest drop from a bin to a more confident one (bins with 1 % of the images): below 0.05.",
        "accuracy", lambda p: between(diagram(p, "joint", largest_drop), high=0.05),
        datasets=CIFAR, batch_size=2048, nets=("joint",),
    ),
    Claim(
        "15d", CALIBRATION, "5.2.2", "CIFAR-10 at B = 2048: the GFFN's images are spread more evenly "
        "over the bins.",
        "Entropy of the distribution of images over bins, GFFN minus standard: positive.",
        "nats",
        lambda p: between(
            difference(diagram(p, "joint", evenness), diagram(p, "conditional", evenness)), low=0
        ),
        datasets=CIFAR, batch_size=2048,
    ),
    Claim(
        "15e", CALIBRATION, "5.2.2", "CIFAR-10 at B = 2048: the accuracy of the most confident bin is "
        "much higher.",
        "Accuracy at confidence 0.9 to 1, GFFN minus standard: positive, and not below 0.02.",
        "accuracy",
        lambda p: between(
            difference(diagram(p, "joint", top_accuracy), diagram(p, "conditional", top_accuracy)),
            low=0, relevant=0.02,
        ),
        datasets=CIFAR, batch_size=2048,
    ),
    Claim(
        "27", CALIBRATION, "5.2.2", "CIFAR-10 at B = 2048: the GFFN's confidence still exceeds its "
        "accuracy.",
        "Mean confidence minus accuracy of the GFFN, long: positive.",
        "confidence - accuracy",
        lambda p: between(average(net(p, "overconfidence", "joint"), image_noise=LUCK / 2), low=0),
        datasets=CIFAR, batch_size=2048, nets=("joint",),
    ),
    Claim(
        "28", CALIBRATION, "5.2.2", "CIFAR-10 has the largest ECE.",
        "ECE of both nets on CIFAR-10 minus that on each other data set, paired, long: positive (the "
        "closest is shown).",
        "ECE", lambda p: stands_out(p, lambda q: nets(q, "ece"), "cifar10"), datasets=tuple(NAMES),
    ),
    Claim(
        "29", CALIBRATION, "5.2.2", "The GFFN improves the ECE most on CIFAR-10.",
        "ECE saved on CIFAR-10 minus that on each other data set, paired, long: positive (the closest "
        "is shown).",
        "ECE saved", lambda p: stands_out(p, lambda q: lower(q, "ece"), "cifar10"),
        datasets=tuple(NAMES),
    ),
    Claim(
        "30", CALIBRATION, "5.2.2", "The best ECE is reached at a small batch.",
        "Share of data sets whose lowest ECE (losses compete), long, is at a batch size of at most 64: "
        "all, with the margin.",
        "of the data sets", lambda p: best_at_small(p, "ece", min),
    ),

    Claim(
        "16a", OOD, "5.3.2", "ln p(x) is a worse score than max softmax for both data sets and all "
        "batch sizes.",
        "Share of cells in which the GFFN's max softmax has the higher AUROC: no cell with a lower one "
        f"by {LUCK}.",
        "of the cells", lambda p: everywhere(baseline_lead(p), LUCK), datasets=COLOURED, nets=("joint",),
    ),
    Claim(
        "16b", OOD, "5.3.2", "The baseline works much better.",
        "AUROC of the GFFN's max softmax minus that of its ln p(x), mean over cells: positive, and not "
        f"below {CLOSE}.",
        "AUROC", lambda p: positive(baseline_lead(p), CLOSE), datasets=COLOURED, nets=("joint",),
    ),
    Claim(
        "16c", OOD, "6", "ln p(x) of the GFFN does not improve on what the standard net offers.",
        "AUROC of the standard net's max softmax minus that of the GFFN's ln p(x), mean over cells: "
        "positive.",
        "AUROC", lambda p: positive(baseline_lead(p, "conditional"), 0), datasets=COLOURED,
    ),
    Claim(
        "17a", OOD, "5.3.2", "ln p(x) is mostly not much better than chance.",
        "AUROC of the GFFN's ln p(x) minus 0.5, mean over cells: below 0.1.",
        "AUROC - 0.5", lambda p: below(above_chance(p), 0.1), datasets=COLOURED, nets=("joint",),
    ),
    Claim(
        "17b", OOD, "5.3.2", "In some cases it is worse than chance.",
        "0.5 minus the lowest AUROC of the GFFN's ln p(x) over the cells: positive.",
        "0.5 - AUROC", below_chance_somewhere, datasets=COLOURED, nets=("joint",),
    ),
    Claim(
        "17c", OOD, "5.3.2", "At large batch sizes it is better than chance.",
        "AUROC of the GFFN's ln p(x) minus 0.5, mean over the cells with B of 256 and more: positive.",
        "AUROC - 0.5",
        lambda p: positive(above_chance(p[p.index.get_level_values("batch_size") >= 256]), LUCK),
        datasets=COLOURED, nets=("joint",),
    ),
    Claim(
        "18", OOD, "5.3.2", "CIFAR-10 at B = 2048: ln p(x) comes close to the baseline.",
        f"AUROC of the GFFN's max softmax minus that of its ln p(x): within {CLOSE}.",
        "AUROC", lambda p: equal(baseline_lead(p), CLOSE, image_noise=LUCK / 2),
        datasets=CIFAR, batch_size=2048, nets=("joint",),
    ),
    *(
        Claim(
            f"19{letter}", OOD, "5.3.2", "How well ln p(x) works does not depend on the batch size "
            f"({NAMES[name]}).",
            f"Slope of the AUROC of the GFFN's ln p(x) against log2 B: within {CLOSE} over nine "
            "doublings.",
            f"AUROC {DOUBLING}", lambda p: constant(net(p, "auroc_log_px", "joint"), CLOSE),
            datasets=(name,), nets=("joint",),
        )
        for letter, name in zip("ab", COLOURED)
    ),
    Claim(
        "20", OOD, "5.3.2", "CIFAR-10 nets do not give SVHN images the higher likelihood.",
        "Share of cells in which the AUROC of the GFFN's ln p(x) is above 0.5: no cell below by "
        f"{LUCK}.",
        "of the cells", lambda p: everywhere(above_chance(p), LUCK), datasets=CIFAR, nets=("joint",),
    ),

    Claim(
        "B1a", CALIBRATION, BEYOND, "Temperature scaling closes the gap: scaled, both nets are "
        "calibrated equally well.",
        "ECE after temperature scaling on validation data, standard minus GFFN, long, mean over cells: "
        "within the margin.",
        "ECE saved", lambda p: equal(lower(p, "scaled_ece")),
    ),
    Claim(
        "B1b", CALIBRATION, BEYOND, "A scaled standard net is better calibrated than a GFFN as it is.",
        "ECE of the GFFN minus ECE of the scaled standard net, long, mean over cells: positive.",
        "ECE",
        lambda p: positive(minus(net(p, "ece", "joint"), net(p, "scaled_ece", "conditional"))),
    ),
    *(
        Claim(
            number, CALIBRATION, BEYOND, f"The GFFN has the lower {name}.",
            f"{name}, standard minus GFFN, long, mean over cells: positive.",
            unit, lambda p, metric=metric: positive(lower(p, metric), 0),
        )
        for number, metric, name, unit in (
            ("B2a", "nll", "negative log-likelihood of p(y given x)", "nats saved"),
            ("B2b", "brier", "Brier score", "Brier score saved"),
            ("B3", "aurc", "area under the risk-coverage curve", "AURC saved"),
        )
    ),
    Claim(
        "B4", OOD, BEYOND, "For GFFNs typicality is a better score than max softmax.",
        "AUROC of typicality minus that of max softmax, GFFN, long, mean over cells: positive.",
        "AUROC",
        lambda p: positive(
            minus(net(p, "auroc_typicality", "joint"), net(p, "auroc_max_softmax", "joint")), LUCK
        ),
        datasets=COLOURED, nets=("joint",),
    ),
    Claim(
        "B5", OOD, BEYOND, "ln p(x) of the GFFN is a better score than ln Z(x) of the standard net.",
        "AUROC of ln Z(x), GFFN minus standard, long, mean over cells: positive.",
        "AUROC gained", lambda p: positive(gain(p, "auroc_log_px", "long"), LUCK), datasets=COLOURED,
    ),
]
