"""Verdicts where the truth is known, and intervals that cover it as often as they say."""

import itertools
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import HOSTILE
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from gffn_core.data.datasets import SUBSETS
from gffn_core.evaluation.scores import SCORES
from gffn_core.experiments.profiles import THESIS_DATASETS
from gffn_core.experiments.store import Store
from gffn_core.losses import conditional_nll
from gffn_core.pages import claims
from gffn_core.training.course import SCHEMES
from gffn_core.training.step import OBJECTIVES
from gffn_core.verdicts import intervals, ledger, opinion, predictions, rules, values
from gffn_core.verdicts.claim import notes, rows_of
from gffn_core.verdicts.claims import any_batch, gap, theory
from gffn_core.verdicts.intervals import evenly, per_doubling, small_minus_large

SIZES = (4, 32, 64, 128, 256, 2048)
EDGES = np.linspace(0, 1, 11)
TITLES = {"svhn": "SVHN subset (9 train / 9 test)"}
CLAIMS = {claim.number: claim for claim in ledger.CLAIMS}


def evaluation(rng, scheme, **truth):
    """What ``evaluate`` records, as far as the claims read it; ``truth`` overrides the defaults."""
    found = {
        "train_accuracy": 1.0,
        "test_accuracy": 0.8,
        "ece": 0.1,
        "scaled_ece": 0.01,
        "nll": 1.0,
        "brier": 0.3,
        "aurc": 0.1,
        "max_softmax": 0.8,
        "log_px": 0.55,
        "max_logit": 0.6,
        "typicality": 0.6,
        "scaled_nll": 0.8,
        "train_spread": 3.0,
        "noise": 1e-4,
    } | truth
    noise = found.pop("noise")
    found = {
        key: value + noise * rng.standard_normal() * (key != "train_accuracy")
        for key, value in found.items()
        if key not in ("count", "accuracy")
    }
    count = truth.get("count", [0, 0, 0, 1000, 1000, 1000, 1000, 1000, 1000, 4000])
    accuracy = truth.get("accuracy", [None, None, None, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.95])
    count = [images * (1 + noise * rng.standard_normal()) for images in count]
    accuracy = [rate and rate * (1 + noise * rng.standard_normal()) for rate in accuracy]
    eces = {"uniform10": found["ece"], "uniform15": found["ece"], "quantile10": found["ece"]}
    return {
        **{key: found[key] for key in ("train_accuracy", "test_accuracy", "nll", "brier")},
        "epoch": 1,
        "step": 1,
        "val_accuracy": 0.8,
        "mce": 0.2,
        "ece": eces,
        "confidence": found["test_accuracy"] + found["ece"],
        "scaled": {"ece": {"uniform10": found["scaled_ece"]}, "temperature": 2.0, "nll": found["scaled_nll"]},
        "train_log_px": {"std": found["train_spread"]},
        "risk_coverage": {"aurc": found["aurc"]},
        "calibration": {"uniform10": {"edges": EDGES, "count": count, "accuracy": accuracy}},
        "ood": {"scores": {score: {"auroc": found[score]} for score in SCORES}},
    }


def grid(truth=lambda **cell: {}, datasets=THESIS_DATASETS, sizes=SIZES, seeds=range(5), losses=values.NETS):
    """Records of a whole grid; ``truth``: (dataset, batch_size, loss, scheme) -> values of a net."""
    rng = np.random.default_rng(1)
    records = []
    for dataset, size, seed, loss in itertools.product(datasets, sizes, seeds, losses):
        run = {
            "dataset": dataset,
            "loss": loss,
            "label_space": "categorical",
            "batch_size": size,
            "seed": seed,
            "epochs": 1,
        }
        cell = {"dataset": dataset, "batch_size": size, "loss": loss}
        records.append(
            {
                "key": f"{dataset} {size} {seed} {loss}",
                "run": run,
                "diverged": None,
                "data": {
                    "title": TITLES.get(dataset, dataset),
                    "official": dataset not in TITLES,
                    "test": 10_000,
                },
                "evaluations": {
                    scheme: evaluation(rng, scheme, **truth(**cell, scheme=scheme)) for scheme in SCHEMES
                },
            }
        )
    return records


def thesis(dataset, batch_size, loss, scheme):
    """A world in which the thesis is right, as far as its claims can hold together."""
    x, joint, long = np.log2(batch_size / 4), loss == "joint", scheme == "long"
    base = {"mnist": 0.99, "fashion_mnist": 0.9, "svhn": 0.85, "cifar10": 0.65}.get(dataset, 0.5)
    accuracy = base + 0.02 * long
    if dataset == "mnist":
        accuracy = 0.99 - 0.0003 * x if long else 0.985 - 0.0005 * x + 0.001 * joint
        accuracy += joint * 0.0003 * x * long
    elif dataset == "fashion_mnist":
        accuracy -= 0.001 * (x - 3) ** 2 if long else 0.003 * x
        accuracy += joint * 0.001 * x
    elif dataset == "cifar10":
        accuracy -= 0.003 * x * (not (joint and long))
        accuracy += joint * (0.003 * x if not long else 0.002)
    elif dataset == "svhn":
        accuracy -= 0.003 * x
    else:
        accuracy += 0.05 * joint  # fewer images of CIFAR-10
    growth = {"mnist": 0.001, "fashion_mnist": 0.003, "svhn": 0, "cifar10": 0.01}.get(dataset, 0)
    ece = 0.4 * (1 - base) + 0.011 * x - joint * (0.005 + growth * x) + (0 if long else 0.1)
    falling = [None, None, None, 0.3, 0.4, 0.5, 0.6, 0.4, 0.5, 0.6]
    rising = [None, None, None, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    bins = {"accuracy": rising if joint else falling}
    if dataset == "mnist":
        bins = {"count": [0, 0, 0, 0, 0, 0, 0, 0, 100, 9900], "accuracy": [None] * 8 + [0.5, 0.995]}
    elif not joint:
        bins["count"] = [0, 0, 0, 500, 500, 500, 500, 500, 500, 7000]
    return {
        "test_accuracy": accuracy,
        "ece": ece,
        "nll": 1 - 0.1 * joint,
        "brier": 0.3 - 0.05 * joint,
        "aurc": 0.1 - 0.02 * joint,
        "typicality": 0.9,
        "log_px": 0.55 - 0.02 * (not joint),
        "noise": 3e-4 if batch_size <= intervals.SMALL else 1e-4,
        **bins,
    }


FEWER = grid(thesis, datasets=("cifar10_10000",), sizes=(64, 2048))
RECORDS = grid(thesis) + FEWER


@pytest.fixture(scope="module")
def right():
    """The ledger of a world in which the thesis is right, with the p-values before correction."""
    raw = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rules, "holm", lambda p: (raw.append(p), intervals.holm(p))[1])
        table = ledger.ledger(RECORDS, [1.0, 1.001, 1.002])
    families = [pd.Series(p, family.index) for p, (_, family) in zip(raw, table.groupby("family"))]
    return table.assign(raw=pd.concat(families)).set_index("number")


@pytest.fixture(scope="module")
def pairs():
    return values.pairs_of(RECORDS)


def verdicts(table, numbers):
    """What a table of pairs says of some claims, each tested alone."""
    found = {number: CLAIMS[number].measure(rows_of(table, CLAIMS[number])) for number in numbers.split()}
    return pd.Series({number: rules.verdict(one, one and one.p) for number, one in found.items()})


def test_every_claim_says_what_it_is():
    assert len(CLAIMS) == len(ledger.CLAIMS)  # a number appears once
    assert {number.rstrip("abcdef") for number in CLAIMS} >= {str(n) for n in range(1, 21)}
    for claim in ledger.CLAIMS:
        assert claim.chapter in ("theory", "accuracy", "calibration", "ood")
        assert claim.statement.endswith(".") and claim.test.endswith(".")
        assert claim.section and claim.unit
        assert "|" not in claim.statement + claim.test + claim.unit  # it would split a Markdown cell
        assert callable(claim.measure) and set(claim.nets) <= set(OBJECTIVES)


# Known truths

OF_SVHN = ["4d", "5e", "B9", "10d", "10e", "19b"]  # another verdict, or none, without it
WRONG = ["5d", "5f", "26", "B6", "17b", "18"]  # cannot hold together with the others


def test_where_the_thesis_is_right_its_claims_are_reproduced(right):
    found = right["verdict"]
    assert found.index[found == "not testable here"].tolist() == OF_SVHN
    assert (found[WRONG] == "not reproduced").all()
    assert found["23"] == "no data"  # which no net of ours can test
    rest = right.drop([*OF_SVHN, *WRONG, "23"])
    assert (rest["verdict"] == "reproduced").all(), rest[rest["verdict"] != "reproduced"].T
    for row in right.drop(OF_SVHN).dropna(subset="low").itertuples():
        inside = row.above <= row.low and row.high <= row.below
        outside = row.high <= row.above or row.low >= row.below
        assert (row.verdict == "reproduced", row.verdict == "not reproduced") == (inside, outside), row


def test_the_claims_that_cannot_hold_with_those():
    def world(dataset, batch_size, loss, scheme):
        x, joint = np.log2(batch_size / 4), loss == "joint"
        log_px = 0.4 + 0.01 * x if dataset == "svhn" else 0.79 if batch_size == 2048 else 0.6
        return {
            "test_accuracy": 0.8 - 0.01 * x + joint * 0.002 * (9 - x),
            "train_accuracy": 0.9 + 0.05 * joint,
            "log_px": log_px,
        }

    found = verdicts(values.pairs_of(grid(world)), "5d 17b 18 26 5f B6 3c 19b")
    assert found.tolist() == ["reproduced"] * 6 + ["not reproduced"] * 2


def test_with_the_losses_exchanged_claims_of_a_difference_are_not_reproduced():
    """Every sign, at once: the same records under the other loss's name."""
    other = {"joint": "conditional", "conditional": "joint"}
    mirror = [one | {"run": one["run"] | {"loss": other[one["run"]["loss"]]}} for one in RECORDS]
    mirrored = "4a 4b 5a 5b 5c 9a 9c 10a 10b 10c 10e 11b 15d 15e 24 29 31 B2a B2b B3 B5"
    found = verdicts(values.pairs_of(mirror), mirrored)
    assert (found == "not reproduced").all(), found


def test_predictions_of_any_batch_size_are_scored():
    def expected(dataset, batch_size, loss, scheme):
        gain, blind = loss != "conditional", loss == "joint" and batch_size == 1
        gain = gain and not blind
        return {
            "test_accuracy": 0.62 - 0.004 * math.log2(batch_size) + 0.006 * gain,
            "ece": 0.3 if not gain else 0.1 if loss == "self_normalised" else 0.15,
            "scaled_nll": 1.2 - 0.03 * gain,
            "train_spread": 0.6 if gain else 9.0,
        }

    def scored(world):
        records = grid(world, ("cifar10_10000",), (1, 4, 8, 16, 256, 2048), losses=any_batch.LOSSES)
        return predictions.score(any_batch.PREDICTIONS, values.pairs_of(records, any_batch.LOSSES))["came"]

    assert set(scored(expected)) == {"came true"}
    # With the conditional and the self-normalised loss exchanged what is said of all, or of none, stands.
    swap = {"conditional": "self_normalised", "self_normalised": "conditional"}
    mirror = scored(lambda loss, **cell: expected(loss=swap.get(loss, loss), **cell))
    assert set(mirror.drop([4, 8])) == {"failed"} and set(mirror[[4, 8]]) == {"came true"}


def test_predictions_of_closing_the_gap_are_scored():
    """In a world where all are right; where what is done gains the opposite; and where a run is missing."""

    def world(sign):
        rng = np.random.default_rng(0)
        gains = {
            gap.AUGMENTED: 0.05,
            gap.DROPOUT: 0.03,
            gap.GHOST: 0.02,
            gap.DECAY: 0.005,
            gap.TOGETHER: 0.06,
            gap.TOGETHER + gap.LONGER: 0.085,
            gap.AUGMENTED + gap.LONGER: 0.052,
            gap.AUGMENTED + gap.LONGEST: 0.06,
            gap.MILD[0.2]: 0.07,
            gap.MILD[0.4]: 0.082,
            gap.ALL_FOUR: 0.06,
        }
        leads = {
            gap.PLAIN: 0.015,
            gap.AUGMENTED: 0.004,
            gap.DROPOUT: 0.004,
            gap.AUGMENTED + gap.LONGER: 0.01,
            gap.AUGMENTED + gap.LONGEST: 0.01,
            gap.MILD[0.4]: 0.003,
        }
        rows, nets = gap.read(Store("nowhere")).index, {}
        ours, large = (
            rows.get_level_values("net") == gap.OURS,
            rows.get_level_values("batch_size") == gap.LARGE,
        )
        for way in (gap.PLAIN, gap.LONG, *gains, *gap.bases().values()):
            gained = sign * (gains.get(way, 0) + leads.get(way, 0) * ours)
            nets[gap.ACCURACY, way] = 0.6 + gained - 0.006 * large
            nets[gap.NLL, way] = 1.2 - gained + 0.02 * large + 0.1 * (way == gap.LONG)
        nets = pd.DataFrame(nets, index=rows)
        return nets + 1e-4 * rng.standard_normal(nets.shape)

    right, wrong = world(1), world(-1)
    assert set(predictions.score(gap.PREDICTIONS, right)["came"]) == {"came true"}
    mirror = predictions.score(gap.PREDICTIONS, wrong)["came"]
    assert set(mirror[[2, 6, 7]]) == {"failed"}
    right.iloc[0] = np.nan
    assert "no runs yet" in set(predictions.score(gap.PREDICTIONS, right)["came"])


@pytest.mark.parametrize("group", predictions.GROUPS)
def test_every_prediction_of_the_page_is_scored(group):
    """As many as the page numbers under the group's heading, from published results alone."""
    page = Path("book/predictions.md").read_text().split(f"\n## {group}\n")[1].split("\n## ")[0]
    found = predictions.scored(predictions.GROUPS[group], Store("results"))
    assert len(found) == len(re.findall(r"^\d{1,2}\. ", page, re.MULTILINE))
    assert (found["note"][found["came"] != "no runs yet"] != "").all()


@pytest.mark.parametrize(
    "means, came",
    [
        ({"mnist": 0.2}, "came true"),
        ({"mnist": 0.2, "cifar10": 0.3}, "came true"),
        ({"mnist": 0.2, "cifar10": -0.3}, "failed"),
        ({"mnist": 0.2, "cifar10": 1.3}, "failed"),
        ({"mnist": 0.2, "cifar10": 0.001}, "open"),
    ],
)
def test_a_prediction_holds_in_all_cells_or_fails_in_one(means, came):
    noise = 0.01 * np.random.default_rng(0).standard_normal((len(means), 6))
    cells = pd.DataFrame(noise + [[one] for one in means.values()], index=means).rename_axis("dataset")
    both = cells.stack().rename_axis(["dataset", "seed"])
    one = predictions.Prediction("", lambda nets: rules.in_all(nets, "ECE", 0, 1))
    found = predictions.score([one], both).loc[1]
    assert found["came"] == came and found["note"].startswith("ECE, ")
    if len(means) == 1:
        assert found["p"] < 0.05 and "MNIST" in found["note"]
        alone = predictions.score([one], both.droplevel("dataset")).loc[1]  # seeds of a single cell
        assert (alone["effect"], alone["low"]) == (found["effect"], found["low"])


def test_a_jackknife_of_a_mean_is_the_t_test():
    y = pd.Series(np.random.default_rng(0).standard_normal(6))
    found = intervals.jackknife((y.sum() - y) / 5)
    assert found.effect == pytest.approx(y.mean()) and found.error == pytest.approx(y.sem()) and found.df == 5


def test_two_seeds_give_no_interval_and_a_missing_one_no_verdict():
    two = pd.Series([0.3, 0.30001], pd.Index([1, 2], name="seed"))
    assert rules.in_all(two, "", low=0).p == 1
    assert rules.in_all(two.reindex([1, 2, 3]).rename_axis("seed"), "", low=0) is None
    with pytest.raises(ValueError, match="no region"):
        rules.fails(rules.between(intervals.Estimate(0.0, 1.0, 5), -1, 1))


def test_what_is_counted_has_no_interval_and_what_is_missing_no_verdict():
    two = rules.exactly(2, "of 4", low=3.5)
    found = rules.decided([two, rules.exactly(4, "of 4", low=3.5), None])
    assert found["verdict"].tolist() == ["not reproduced", "reproduced", "no data"]
    assert (found["low"] == found["high"])[:2].all() and two.note == "of 4"


def test_of_equal_nets_only_equality_is_reproduced():
    table = values.pairs_of(grid(lambda **cell: {"noise": 5e-4}))
    gains = verdicts(table, "4b 5a 5b 5c 5d 9c 10a 10b 10c 11a 11b 24 B7 B8")
    assert (gains == "not reproduced").all(), gains
    same = verdicts(table, "3c 4a 5e 5f 6a 9a 10d 19a 19b 22 B1a")
    assert (same == "reproduced").all(), same


def test_noise_alone_is_inconclusive():
    table = values.pairs_of(grid(lambda **cell: {"noise": 0.05}, seeds=range(3)))
    numbers = "3c 4b 5a 5b 5c 5d 5e 6a 9c 10a 10b 10c 10d 11a 11b B1a B2a B2b".split()
    p = [CLAIMS[number].measure(rows_of(table, CLAIMS[number])).p for number in numbers]
    assert (intervals.holm(p)[0] > 0.05).all()


def test_a_family_of_false_claims_has_one_confirmed_in_twenty_times():
    """Thirty claims whose truth lies on the boundary, 1000 times."""
    y = np.random.default_rng(0).standard_normal((1000, 30, 6))
    p = stats.ttest_1samp(y, 0, axis=-1).pvalue
    assert 0.03 < np.mean([(intervals.holm(one)[0] < 0.05).any() for one in p]) < 0.07


def test_families_are_corrected_apart(right):
    """Ours, which may grow, cost the thesis's claims nothing."""
    tested = right.dropna(subset="p")
    for ours, family in tested.groupby(tested["section"] == "beyond the thesis"):
        assert (family["family"] == ("ours" if ours else "thesis")).all()
        np.testing.assert_allclose(family["p"], multipletests(family["raw"], method="holm")[1])


# What is there, and what is not


def test_a_part_of_svhn_decides_nothing(right):
    """A verdict that the part makes, by itself or in a mean, is none; the note says what it would have been."""

    def world(dataset, **cell):
        told = thesis(dataset=dataset, **cell)
        return told | {"log_px": 0.99} if dataset == "svhn" else told

    svhn = ledger.ledger(grid(world)).set_index("number").loc[["16a", "16b", "17a", "9c"]]
    assert svhn["verdict"].tolist() == ["not testable here"] * 3 + ["reproduced"]
    assert svhn.loc["16b", "note"].endswith("hangs on it: not reproduced with it, reproduced without")
    official = [one | {"data": one["data"] | {"official": True}} for one in RECORDS]
    table = ledger.ledger(official, [1.0, 1.001, 1.002]).set_index("number")
    assert table.loc[OF_SVHN, "verdict"].tolist() == ["not reproduced", "reproduced"] * 2 + ["reproduced"] * 2
    same = ["effect", "low", "high", "p"]
    pd.testing.assert_frame_equal(table[same], right[same])


def test_other_records_leave_the_claims_untouched(pairs):
    """Those of a third loss, and for all claims but one those of a part of CIFAR-10."""
    focal = [one | {"run": one["run"] | {"loss": "focal"}} for one in RECORDS]
    pd.testing.assert_frame_equal(values.pairs_of(RECORDS + focal), pairs)
    assert [number for number, claim in CLAIMS.items() if set(claim.datasets) & set(SUBSETS)] == ["31"]
    whole = values.pairs_of(grid(thesis))
    for number in ("4b", "7", "9a", "16b", "22"):
        assert rows_of(pairs, CLAIMS[number]).equals(rows_of(whole, CLAIMS[number]))
    assert verdicts(whole, "31").tolist() == ["no data"]


def test_an_empty_store_has_no_data_save_for_what_needs_none():
    table = ledger.ledger([], [1.0, 1.001, 1.002]).set_index("number")
    measured = [claim.number for claim in ledger.CLAIMS if not claim.nets]
    assert table.index.tolist() == [*CLAIMS]
    assert table["verdict"].drop(measured).eq("no data").all() and (table["runs"] == 0).all()
    assert table.loc[measured, "verdict"].eq("reproduced").all()


def test_a_diverged_run_takes_its_pair_out(pairs):
    lost = RECORDS[7]
    gone = lost | {"diverged": {"epoch": 1, "step": 1}, "evaluations": {}}
    table = values.pairs_of([gone if one is lost else one for one in RECORDS])
    pd.testing.assert_frame_equal(table, values.pairs_of([one for one in RECORDS if one is not lost]))
    assert len(table[table["key"].notna().all(axis=1)]) == len(pairs) - 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "records",
    (
        RECORDS[:1],
        grid(thesis, sizes=(4, 2048), seeds=(0, 1))[1::2],
        grid(thesis, datasets=("cifar10", "svhn"), sizes=(4, 2048), seeds=(0,)),
        RECORDS[::3],
    ),
    ids=("one net", "one loss", "one seed", "holes"),
)
def test_any_part_of_a_grid_has_a_ledger(records):
    """As it grows, with no warning."""
    table = ledger.ledger(records)
    known = {"reproduced", "not reproduced", "inconclusive", "no data", "not testable here"}
    assert set(table["verdict"]) <= known and claims.text(table) and claims.short(table)
    if len({one["run"]["seed"] for one in records}) == 1:
        means = table[table["chapter"].isin(["accuracy", "calibration"])]
        assert not means["verdict"].str.contains("reproduced").any()


@pytest.mark.filterwarnings("error")
def test_a_metric_that_older_records_lack_is_left_out():
    def older(one):
        return one | {
            "evaluations": {
                name: found | {"ood": {}, "nll": None} for name, found in one["evaluations"].items()
            }
        }

    lone, half = (
        values.pairs_of(map(older, RECORDS)),
        values.pairs_of([*map(older, RECORDS[:20]), *RECORDS[20:]]),
    )
    assert verdicts(lone, "16b 17d B2a B5").tolist() == ["no data"] * 4
    for number in ("16b", "17d", "B2a", "B5"):
        found = CLAIMS[number].measure(rows_of(half, CLAIMS[number])).estimate
        assert np.isfinite(found[:3]).all() and found.terms["value"].notna().all()


def test_notes_name_what_a_reader_has_to_know():
    def unfit(**cell):
        return thesis(**cell) | {"train_accuracy": 0.9 if cell["batch_size"] == 4 else 1.0}

    table = values.pairs_of(grid(unfit, sizes=(4, 16, 64), seeds=range(3)))
    used = {
        number: rows_of(table, claim)
        for number, claim in CLAIMS.items()
        if number in ("9a", "10a", "B7", "15a")
    }
    said = {number: "; ".join(notes(used[number], CLAIMS[number])) for number in ("9a", "10a")}
    assert said["10a"] == "6 of 18 nets underfit"
    assert said["9a"] == "SVHN subset; 24 of 72 nets underfit" and len(used["B7"]) == 24
    lone = table.drop([("categorical", "mnist", 64, seed) for seed in (0, 1)])
    assert len(rows_of(lone, CLAIMS["B7"])) == 21  # a cell with one net shows no spread
    assert used["15a"].empty  # five doublings off are no stand-in
    near = rows_of(values.pairs_of(grid(sizes=(4, 1024))), CLAIMS["15a"])
    assert "B = 1024 stands for 2048" in notes(near, CLAIMS["15a"])


# Rules


def cells(means, seeds=6, spread=0.0, margin=0.01, dataset="mnist"):
    index = pd.MultiIndex.from_product(
        [["categorical"], [dataset], [2 ** (i + 2) for i in range(len(means))], range(seeds)],
        names=intervals.PAIR,
    )
    y = np.repeat(means, seeds) + spread * np.random.default_rng(0).standard_normal(len(index))
    return pd.DataFrame({"value": y, "margin": margin}, index=index)


def test_one_of_three_regions():
    """A trend grows, is constant or falls: each truth is reproduced by one claim, and refutes the others."""
    for slope, wanted in ((0.002, 0), (0.0, 1), (-0.002, 2)):
        line = cells(slope * np.arange(6), spread=1e-4)
        found = rules.rises(line), rules.constant(line), rules.rises(values.opposite(line))
        assert [rules.verdict(one, one.p) for one in found] == [
            "reproduced" if i == wanted else "not reproduced" for i in range(3)
        ]
    noisy = cells(np.zeros(6), spread=0.1)
    assert [rules.verdict(one, one.p) for one in (rules.rises(noisy), rules.constant(noisy))] == [
        "inconclusive"
    ] * 2


def test_margins_of_a_trend_are_of_the_whole_range():
    """The slope times the thesis's nine doublings is compared with the margin."""
    within, beyond = (cells(slope * np.arange(6), spread=1e-5) for slope in (0.0010, 0.0012))
    assert rules.constant(within).inside < 0.01 and rules.rises(within).outside < 0.01
    assert rules.constant(beyond).outside < 0.01 and rules.rises(beyond).inside < 0.01
    assert rules.constant(beyond, margin=0.02).inside < 0.01


numbers = st.floats(-3, 3).map(lambda x: round(x, 3))
sided = st.builds(
    lambda effect, error, df, bound, low: rules.between(
        intervals.Estimate(effect, error, df), **{"low" if low else "high": bound}
    ),
    numbers, st.floats(0.01, 1), st.integers(1, 30), numbers, st.booleans(),
)  # fmt: skip
regions = st.builds(
    lambda effect, error, df, low, width: rules.between(intervals.Estimate(effect, error, df), low, low + width),
    numbers, st.floats(0.01, 1), st.integers(1, 30), numbers, st.floats(0.1, 6),
)  # fmt: skip
several = st.lists(sided, min_size=1, max_size=5)
measurements = st.one_of(
    sided,
    regions,
    sided.map(rules.fails),
    several.map(rules.any_of),
    st.lists(st.one_of(sided, regions, several.map(rules.all_of)), min_size=1, max_size=25).map(rules.all_of),
)


@given(st.lists(measurements, min_size=1, max_size=8))
def test_a_verdict_is_what_the_corrected_interval_shows(found):
    corrected, level = intervals.holm([one.p for one in found])
    for one, p, alpha in zip(found, corrected, level):
        low, high = one.interval(alpha)
        inside, outside = one.low < low and high < one.high, high < one.low or one.high < low
        shown = "reproduced" if inside else "not reproduced" if outside else "inconclusive"
        assert rules.verdict(one, p) == shown


@given(several)
def test_opposites(parts):
    """A claim fails where its opposite holds; not all hold where one fails."""
    for one in parts:
        assert rules.fails(rules.fails(one)) == one
    every, none = rules.all_of(parts), rules.any_of(map(rules.fails, parts))
    assert (every.inside, every.outside, every.tests) == (none.outside, none.inside, none.tests)
    assert every.inside == max(one.inside for one in parts)
    assert every.outside == min(1, len(parts) * min(one.outside for one in parts))


def test_parts_that_are_missing_or_have_one_run():
    sure, alone = rules.positive(cells([0.1], 6, 0.01)), rules.positive(cells([0.1], 1))
    assert (
        rules.all_of([sure, None])
        is rules.any_of([sure, None])
        is rules.all_of([])
        is rules.fails(None)
        is None
    )
    assert rules.all_of([sure, alone]) is alone
    against = rules.fails(sure)
    assert rules.all_of([alone, against]).estimate is against.estimate
    assert rules.all_of([rules.all_of([against] * 2)] * 3).tests == 6


def test_claims_about_cells_name_them():
    spread = cells([0.1, -0.05, 0.1, -0.02], 6, 1e-3)
    found = rules.everywhere(spread)
    assert found.note == "shown: MNIST 8; against it: MNIST 8, MNIST 32" and found.outside < 1e-6
    assert "against" not in rules.everywhere(spread, margin=0.1).note
    assert rules.listed("lowest", {("mnist", i): i for i in range(8)}) == (
        "lowest: MNIST 0, MNIST 1, MNIST 2, MNIST 3, MNIST 4, MNIST 5 and 2 more"
    )
    for empty in (rules.positive, rules.equal, rules.everywhere, rules.rises):
        assert empty(spread[:0]) is None


@pytest.mark.parametrize("weights", (evenly, per_doubling))
def test_seeds_that_agree_are_counted(weights):
    """To the digit, or but for rounding: a sign test, as t would be certain."""
    same = cells([0.1, 0.2, 0.7], 6)
    found = rules.positive(same, 0, weights)
    assert found.inside == 2**-5 and found.estimate.error == 0
    assert rules.positive(same, 1.0, weights).outside == 2**-5
    both = pd.concat([same, cells([0.1, 0.2, 0.7], 6, dataset="svhn")])
    assert rules.positive(both, 0, weights).inside == 2**-11


@pytest.mark.parametrize("weights", (evenly, per_doubling, small_minus_large))
def test_a_single_seed_gives_an_effect_and_no_verdict(weights):
    found = rules.positive(cells(np.arange(6) * 0.1, 1, 0.01), 0, weights)
    assert np.isfinite(found.estimate.effect) and np.isnan(found.interval()).all()
    assert rules.verdict(found, found.p) == "inconclusive" and "too few runs" in found.note


# Statistics


def estimated(y, weights=evenly):
    """Of values (cells, seeds) of one data set."""
    table = cells(np.zeros(len(y)), y.shape[1])
    return intervals.estimate(table.assign(value=y.ravel()), weights)


def test_closed_forms():
    y = np.random.default_rng(0).standard_normal((7, 5))
    mean, by_seed = estimated(y), y.mean(0)
    assert mean[:3] == pytest.approx((y.mean(), stats.sem(by_seed), 4))
    slope = estimated(y, per_doubling)
    assert slope.effect == pytest.approx(stats.linregress(range(7), y.mean(1)).slope)
    shifted = estimated(y + np.arange(5.0), per_doubling)
    assert shifted[:3] == pytest.approx(slope[:3])
    assert estimated(y[:2], per_doubling) is estimated(y[:2], small_minus_large) is None
    # Two cells: the paired t test.
    pair = estimated(y[:2], lambda sizes: np.array([-1.0, 1.0]))
    assert pair[:3] == pytest.approx((np.mean(y[1] - y[0]), stats.sem(y[1] - y[0]), 4))
    # What is compared with itself is no value.
    assert estimated(y[:1], lambda sizes: np.zeros(1)) is None


def test_two_data_sets_have_satterthwaites_degrees_of_freedom():
    few, many = cells([0.0], 3, 1.0), cells(np.zeros(4), 9, 0.3, dataset="svhn")
    parts = [intervals.estimate(one) for one in (few, many)]
    found = intervals.estimate(pd.concat([few, many]))
    welch = stats.ttest_ind(few["value"], many["value"].groupby(level="seed").mean(), equal_var=False)
    assert found.effect == pytest.approx(np.mean([one.effect for one in parts]))
    assert found.error == pytest.approx(np.hypot(*(one.error for one in parts)) / 2)
    assert found.df == pytest.approx(welch.df)


@pytest.mark.parametrize("weights", (evenly, per_doubling, small_minus_large))
def test_the_order_of_rows_does_not_matter(weights):
    table = pd.concat([cells(np.arange(6), 4, 1.0), cells(np.arange(6), 3, 0.5, dataset="svhn")]).iloc[3:]
    shuffled = intervals.estimate(table.sample(frac=1, random_state=0), weights)
    assert shuffled[:3] == pytest.approx(intervals.estimate(table, weights)[:3])


def test_cells_without_common_seeds_are_compared_as_unpaired():
    apart = cells([0.0, 1.0], 8, 0.1).iloc[[0, 1, 2, 3, 12, 13, 14, 15]]
    found = intervals.estimate(apart, lambda sizes: np.array([-1.0, 1.0]))
    welch = stats.ttest_ind(apart["value"][4:], apart["value"][:4])
    assert found.effect == pytest.approx(np.diff(apart["value"].groupby(level="batch_size").mean()).item())
    assert found.effect / found.error == pytest.approx(welch.statistic)


def test_a_cell_with_one_seed_takes_the_spread_of_the_others():
    table = cells(np.zeros(6), 4, 1.0)
    lone = table.drop(table.index[1:4])
    for weights in (evenly, per_doubling, small_minus_large):
        assert 0.5 < intervals.estimate(lone, weights).error / intervals.estimate(table, weights).error < 3


WORLDS = {
    "seed noise": {},
    "fixed effects": {"fixed": 1.0},
    "crossed seeds": {"crossed": 1.0},
    "spread grows": {"growth": 5, "crossed": 1.0},
    "a seed has its own slope": {"slope": 0.5, "crossed": 1.0},
    "unbalanced": {"few": True, "crossed": 1.0},
}


def drawn(rng, draws, n_cells, seeds, fixed=0.0, crossed=0.0, slope=0.0, growth=1, few=False):
    """Values (draws, n), the cell and seed of each (n,), and the means of the cells."""
    cell, seed = np.divmod(np.arange(n_cells * seeds), seeds)
    means, spread = fixed * np.sin(np.arange(n_cells)), np.geomspace(1, growth, n_cells)
    y = means[cell] + spread[cell] * rng.standard_normal((draws, len(cell)))
    y += crossed * rng.standard_normal((draws, seeds))[:, seed]
    y += slope * rng.standard_normal((draws, seeds))[:, seed] * (cell - cell.mean())
    kept = (cell % 2 == 0) | (seed < seeds / 2) if few else slice(None)
    return y[:, kept], cell[kept], seed[kept], means


@pytest.mark.parametrize("sizes, seeds", ((2.0 ** np.arange(2, 12), 6), (np.array(SIZES, float), 3)))
@pytest.mark.parametrize("world", WORLDS)
def test_intervals_cover_as_often_as_they_say(world, sizes, seeds):
    """95 % within two points, of 3000 draws; somewhat more of three seeds."""
    rng = np.random.default_rng(0)
    table = {}
    for weights, parts in itertools.product((evenly, per_doubling, small_minus_large), (1, 4)):
        weight = weights(sizes)
        found = []
        for _ in range(parts):
            y, cell, seed, means = drawn(rng, 3000, len(sizes), seeds, **WORLDS[world])
            effect, variance, df = intervals._weighted_sum(y, cell, seed, weight)
            found.append((effect - weight @ means, variance, np.broadcast_to(df, effect.shape)))
        effect, variance, df = np.moveaxis(found, 0, -1)
        half = stats.t.ppf(0.975, intervals._degrees(variance, df)) * np.sqrt(variance.sum(-1))
        table[weights.__name__, parts] = (np.abs(effect.sum(-1)) < half).mean()
    print(
        f"{world}, {len(sizes)} x {seeds}:", *(f"{name} {n}: {100 * x:.1f}" for (name, n), x in table.items())
    )
    assert all(0.93 < covered < (0.97 if seeds > 3 else 0.985) for covered in table.values()), table


@pytest.mark.parametrize("weights", (evenly, per_doubling))
def test_an_estimate_is_what_was_simulated(weights):
    y, cell, seed, _ = drawn(np.random.default_rng(0), 5, 6, 4, few=True)
    table = cells(np.zeros(6), 4).reset_index().iloc[cell * 4 + seed].set_index(intervals.PAIR)
    effect, variance, df = intervals._weighted_sum(y, cell, seed, weights(2.0 ** np.arange(2, 8)))
    found = intervals.estimate(table.assign(value=y[2]), weights)
    assert found[:3] == pytest.approx((effect[2], np.sqrt(variance[2]), np.broadcast_to(df, 5)[2]))


def test_holm_agrees_with_statsmodels():
    rng = np.random.default_rng(0)
    for count in (1, 60):
        p = np.insert(rng.random(count) ** 5, count // 2, np.nan)
        adjusted, level = intervals.holm(p)
        tests = np.isfinite(p)
        assert np.isnan(adjusted[~tests]).all() and np.isnan(level[~tests]).all()
        np.testing.assert_allclose(adjusted[tests], multipletests(p[tests], method="holm")[1])
        assert ((p < level) == (adjusted < 0.05))[tests].all()
    assert intervals.holm([])[0].shape == (0,)


# Other opinions


def test_sign_flips_agree_with_scipy():
    y = 0.4 + np.random.default_rng(1).standard_normal((3, 8))
    found = rules.between(estimated(y), low=0.1)
    exact = stats.permutation_test((y.mean(0) - 0.1,), np.mean, permutation_type="samples", n_resamples=1000)
    assert opinion.sign_flip(found) == pytest.approx(exact.pvalue)
    assert opinion.student(found) == pytest.approx(stats.ttest_1samp(y.mean(0), 0.1).pvalue)
    assert np.isnan(opinion.sign_flip(rules.between(estimated(y[:, :5]), low=0.1)))
    drawn = rules.between(estimated(0.3 + np.random.default_rng(1).standard_normal((3, 15))), low=0.1)
    assert opinion.sign_flip(drawn) == pytest.approx(opinion.student(drawn), abs=0.02)
    # Of two data sets that are opposites the mean is at zero, and a flip of each alone would not see it.
    y = np.random.default_rng(0).standard_normal((1, 6)) / 10
    apart = [
        cells([0.0], dataset=name).assign(value=y[0] + sign) for name, sign in (("mnist", 1), ("svhn", -1))
    ]
    assert opinion.sign_flip(rules.positive(pd.concat(apart), 0)) == pytest.approx(
        stats.permutation_test((y[0],), np.mean, permutation_type="samples", n_resamples=100).pvalue
    )


@pytest.mark.parametrize("weights", (evenly, per_doubling))
def test_the_mixed_model_agrees_with_t_where_it_should(weights):
    """Many seeds, balanced; with effects of the seeds, too."""
    rng = np.random.default_rng(2)
    for crossed in (0, 1):
        y = 0.1 + rng.standard_normal((4, 60)) + crossed * rng.standard_normal(60)
        found = rules.between(estimated(y, weights), low=-0.1)
        assert opinion.mixed_model(found) == pytest.approx(opinion.student(found), rel=0.5, abs=0.01)
    assert np.isnan(opinion.mixed_model(rules.between(estimated(y[:1]), low=0)))


def test_that_many_seeds_decide_in_four_of_five_cases():
    rng = np.random.default_rng(0)
    pilot = rng.standard_normal(6)
    pilot = 0.8 + (pilot - pilot.mean()) / pilot.std(ddof=1)
    n = opinion.seeds_needed(rules.between(estimated(pilot[None]), low=0), 0.05)

    def power(n):
        return (stats.ttest_1samp(rng.normal(0.8, 1, (4000, int(n))), 0, axis=1).pvalue < 0.05).mean()

    assert power(n) > 0.78 and power(n - 1) < 0.82
    assert opinion.seeds_needed(rules.between(estimated(pilot[None]), low=0.8), 0.05) == np.inf


def test_the_ledger_says_where_others_disagree(monkeypatch):
    monkeypatch.setattr(opinion, "mixed_model", lambda measured: 0.4)
    table = ledger.ledger(
        grid(datasets=("digits", "digits_0_4"), sizes=(16, 64)), second_opinion=True
    ).set_index("number")
    assert table.loc[["5a", "16a"], "verdict"].tolist() == ["no data"] * 2
    said = table.loc[["B4", "24", "9c"], "other_methods"].sum()
    assert "before correction, against a mixed model (p 0.4)" in said


# What is measured here and now


def test_a_wrong_constant_would_be_seen(monkeypatch):
    def shifted(logits, target, label_space):
        return 1e-6 + conditional_nll(logits, target, label_space=label_space)

    monkeypatch.setattr(theory, "joint_nll", shifted)
    assert theory.batch_of_one(None).outside == 0


@pytest.mark.parametrize(
    "ratios, expected",
    (
        ((1.001, 0.999, 1.002, 1.0), "reproduced"),
        ((1.1, 1.11, 1.09, 1.1), "not reproduced"),
        ((1.1, 0.9, 1.0), "inconclusive"),
        ((), "no data"),
    ),
)
def test_overhead(ratios, expected):
    found = theory.overhead(ratios)
    assert rules.verdict(found, found and found.p) == expected


# Display


def test_equal_records_give_equal_pairs(pairs):
    pd.testing.assert_frame_equal(values.pairs_of(RECORDS[::-1]), pairs)


def test_the_ledger_as_text_and_markdown(right, rendered):
    table = right.reset_index()
    lines = claims.text(table).splitlines()
    counts = table["verdict"][table["family"] == "thesis"].value_counts()
    assert lines[0].startswith("thesis: ") and f"{counts['reproduced']} reproduced" in lines[0]
    assert lines[1].startswith("ours: ") and sum("Test: " in line for line in lines) == len(CLAIMS)
    assert "nan" not in claims.text(table) + claims.short(table)
    hostile = table.assign(note=HOSTILE)
    part = claims.markdown(hostile, "ood").splitlines()
    assert sum(line.startswith("| ") for line in part) == 2 + (table["chapter"] == "ood").sum()
    page = rendered({"text/markdown": "\n".join(part)})
    assert not page.active and page.tags.count("tr") == 1 + (table["chapter"] == "ood").sum()
    assert "alert(1)" in claims.text(hostile)
