"""Verdicts where the truth is known, and intervals that cover it as often as they say."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gffn_core.evaluation.scores import SCORES
from gffn_core.experiments.profiles import THESIS_DATASETS
from gffn_core.losses import conditional_nll
from gffn_core.pages import claims
from gffn_core.training.course import SCHEMES
from gffn_core.training.step import OBJECTIVES
from gffn_core.verdicts import intervals, ledger, rules
from gffn_core.verdicts.claims import calibration, theory

SIZES = (4, 16, 64, 256, 1024, 2048)
EDGES = np.linspace(0, 1, 11)
TITLES = {"svhn": "SVHN subset (9 train / 9 test)"}


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
    eces = {"uniform10": found["ece"], "uniform15": found["ece"], "quantile10": found["ece"]}
    return {
        **{key: found[key] for key in ("train_accuracy", "test_accuracy", "nll", "brier")},
        "epoch": 1,
        "step": 1,
        "val_accuracy": 0.8,
        "mce": 0.2,
        "ece": eces,
        "confidence": found["test_accuracy"] + found["ece"],
        "scaled": {"ece": {"uniform10": found["scaled_ece"]}, "temperature": 2.0, "nll": 0.8},
        "risk_coverage": {"aurc": found["aurc"]},
        "calibration": {"uniform10": {"edges": EDGES, "count": count, "accuracy": accuracy}},
        "ood": {"scores": {score: {"auroc": found[score]} for score in SCORES}},
    }


def grid(truth=lambda **cell: {}, datasets=THESIS_DATASETS, sizes=SIZES, seeds=(0, 1, 2), losses=OBJECTIVES):
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
    base = {"mnist": 0.99, "fashion_mnist": 0.9, "svhn": 0.85, "cifar10": 0.65}[dataset]
    accuracy = base + 0.02 * long
    if dataset == "mnist":
        accuracy = 0.99 - 0.0003 * x if long else 0.985 - 0.0005 * x + 0.001 * joint
        accuracy += joint * 0.0005 * x * long
    elif dataset == "fashion_mnist":
        accuracy -= 0.001 * (x - 4) ** 2 if long else 0.003 * x
        accuracy += joint * 0.001 * x
    elif dataset == "cifar10":
        accuracy -= 0.003 * x * (not (joint and long))
        accuracy += joint * (0.003 * x if not long else 0.002)
    else:
        accuracy -= 0.003 * x
    growth = {"mnist": 0.001, "fashion_mnist": 0.003, "svhn": 0, "cifar10": 0.01}[dataset]
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
        **bins,
    }


@pytest.fixture
def claims_alone(monkeypatch):
    """Numbers -> the ledger has these claims alone: enough where no p-value counts, which Holm corrects for all."""
    return lambda numbers: monkeypatch.setattr(
        ledger, "CLAIMS", [claim for claim in ledger.CLAIMS if claim.number in numbers.split()]
    )


@pytest.fixture(scope="module")
def right():
    return ledger.ledger(grid(thesis)).set_index("number")


def test_every_claim_says_what_it_is():
    numbers = [claim.number for claim in ledger.CLAIMS]
    assert len(set(numbers)) == len(numbers)
    assert {number.rstrip("abcdef") for number in numbers} >= {str(n) for n in range(1, 21)}
    for claim in ledger.CLAIMS:
        assert claim.chapter in ("theory", "accuracy", "calibration", "ood")
        assert claim.statement.endswith(".") and claim.test.endswith(".")
        assert claim.section and claim.unit
        assert "|" not in claim.statement + claim.test + claim.unit  # it would split a Markdown cell
        assert callable(claim.measure) and set(claim.nets) <= set(OBJECTIVES)


# Known truths


REPRODUCED = (
    "1 3a 3b 3c 3d 4a 4b 5a 5b 5c 7 9a 9b 9c 9d 10a 10b 10c 10d 10e 10f 11a 11b 11c 11d 12 13 14a 14b "
    "15a 15c 15d 15e 16a 16b 16c 17a 17c 19a 19b 20 21 22 23 24 27 28 30 B1a B1b B2a B2b B3 B4 B5"
).split()


def test_where_the_thesis_is_right_its_claims_are_reproduced(right):
    wrong = right.loc[[n for n in REPRODUCED if right.loc[n, "verdict"] != "reproduced"]]
    assert wrong.empty, wrong[["verdict", "effect", "low", "high", "p_holm"]]
    assert (right.loc[["4c", "4d", "29"], "low"] > 0).all()
    assert (right.loc[["5d", "17b", "18", "25"], "verdict"] == "not reproduced").all()


def test_the_claims_that_cannot_hold_with_those():
    def world(dataset, batch_size, loss, scheme):
        x, joint = np.log2(batch_size / 4), loss == "joint"
        accuracy = 0.8 - 0.01 * x + joint * 0.002 * (9 - x)
        log_px = 0.4 + 0.01 * x
        if dataset == "cifar10":
            log_px = 0.79 if batch_size == 2048 else 0.6
        return {
            "test_accuracy": accuracy,
            "train_accuracy": 0.9 + 0.05 * joint,
            "log_px": log_px,
            "noise": 0.002 / (1 + x),
        }

    table = ledger.ledger(grid(world, seeds=range(5))).set_index("number")
    for number in "5d 8 17b 18 25 26".split():
        assert table.loc[number, "verdict"] == "reproduced", table.loc[number]
    for number in "6b 19a".split():
        assert table.loc[number, "verdict"] != "reproduced", table.loc[number]
    assert (table.loc[["3c", "19b"], "verdict"] == "not reproduced").all()  # falls, and rises


MIRRORED = "4a 4b 5a 5b 5c 9a 9b 9c 9d 10a 10b 10c 10e 10f 11b 11d 15a 15d 15e B2a B2b B3 B5"


def test_with_the_losses_exchanged_claims_of_a_difference_are_not_reproduced(right, claims_alone):
    """Every sign, at once: the same records under the other loss's name."""
    claims_alone(MIRRORED)

    def swapped(loss, **cell):
        return thesis(loss="joint" if loss == "conditional" else "conditional", **cell)

    mirror = ledger.ledger(grid(swapped)).set_index("number")
    for number in MIRRORED.split():
        assert mirror.loc[number, "verdict"] == "not reproduced", mirror.loc[number]
    for number in "4b 5a 9c 10c 11b 15d 15e B2a B5".split():
        assert mirror.loc[number, "effect"] == pytest.approx(-right.loc[number, "effect"], abs=1e-3)


def test_of_equal_nets_only_equality_is_reproduced():
    table = ledger.ledger(grid(lambda **cell: {"noise": 5e-4})).set_index("number")
    for number in "4b 5a 5b 5c 5d 9c 9d 10a 10b 10c 11a 11b 24".split():
        assert table.loc[number, "verdict"] == "not reproduced", table.loc[number]
    for number in "3c 4a 5e 6a 10d 19a 19b 22 B1a".split():
        assert table.loc[number, "verdict"] == "reproduced", table.loc[number]
    assert not (table.loc["B2a B2b B3".split(), "verdict"] == "reproduced").any()


def test_noise_alone_is_inconclusive():
    noisy = ledger.ledger(grid(lambda **cell: {"noise": 0.05}, seeds=(0,))).set_index("number")
    undecided = "3c 4b 5a 5b 5c 5d 6a 9c 10a 10b 10c 10d 11a 11b B1a B2a B2b".split()
    assert (noisy.loc[undecided, "verdict"] == "inconclusive").mean() > 0.9
    assert not (noisy.loc[undecided, "verdict"] == "reproduced").any()


def test_a_single_cell_refutes_a_claim_about_all(claims_alone):
    def one_against(dataset, batch_size, loss, scheme):
        truth = thesis(dataset, batch_size, loss, scheme)
        if (dataset, batch_size, loss) == ("svhn", 64, "joint"):
            truth["ece"] += 0.1
        return truth

    claims_alone("9a")
    row = ledger.ledger(grid(one_against)).set_index("number").loc["9a"]
    assert row["verdict"] == "not reproduced" and "against it: SVHN 64" in row["note"]
    assert row["effect"] == pytest.approx(23 / 24) and row["low"] < row["effect"] < row["high"]


def cells(means, seeds=1, spread=0.0, margin=0.01, rng=None):
    rng = rng or np.random.default_rng(0)
    index = pd.MultiIndex.from_product(
        [["categorical"], ["mnist"], [2**i for i in range(len(means))], range(seeds)], names=intervals.PAIR
    )
    value = np.repeat(means, seeds) + spread * rng.standard_normal(len(means) * seeds)
    return pd.DataFrame({"value": value, "margin": margin}, index=index)


def test_a_cell_against_it_within_its_noise_makes_a_claim_about_all_inconclusive():
    assert not rules.everywhere(cells([0.1] * 8 + [-0.005])).p > 0.05
    near = rules.everywhere(cells([0.1] * 8 + [-0.02]))
    assert near.p == 1 and not near.refuted  # one seed, less than three margins
    assert rules.everywhere(cells([0.1] * 8 + [-0.04])).refuted
    values = cells([0.1] * 8 + [-0.02], seeds=3)
    assert rules.everywhere(values).refuted  # three seeds that agree
    values.iloc[-3:, 0] = (-0.1, 0.05, -0.01)
    assert not rules.everywhere(values).refuted


def test_a_claim_about_all_may_ask_for_no_loss_instead_of_a_gain():
    """Zero within the margin counts with ``about`` alone."""
    mixed, none = cells([0.1] * 8 + [-0.005]), cells([-0.002, 0.001, -0.001, 0.002, 0.0, -0.001])
    assert rules.everywhere(mixed).effect == pytest.approx(8 / 9)
    assert rules.everywhere(mixed, about=True).effect == 1
    assert rules.everywhere(none, about=True).p < 0.01 and rules.everywhere(none).p > 0.2
    beyond = rules.everywhere(cells([0.1] * 8 + [-0.02]), about=True)
    assert beyond.p == 1 and beyond.effect == pytest.approx(8 / 9) and beyond.note == "against it: MNIST 256"
    own = rules.everywhere(cells([0.1] * 8 + [-0.02]), margin=0.03, about=True)
    assert own.effect == 1 and own.p < 0.01 and not own.note  # the margin that is given, not the table's


def test_margins_are_of_the_whole_range():
    """The slope times the thesis's nine doublings is compared with the margin."""

    def line(slope, noise=1e-6):
        return cells(slope * np.arange(6) + noise * np.array([1, -1, 0, 0, -1, 1]))

    assert rules.constant(line(0.001)).p < 0.01  # 0.009 over the range
    assert rules.constant(line(0.0012)).refuted and rules.constant(line(-0.0012)).refuted
    assert rules.constant(line(0.0012), margin=0.02).p < 0.01
    assert rules.rises(line(0.001)).p < 0.01 and rules.rises(line(0.001)).refuted  # real, and nothing
    assert not rules.rises(line(0.0012)).refuted
    assert rules.rises(line(0.0)).p > 0.2 and rules.rises(line(-0.0012)).refuted


def test_a_mean_is_positive_equal_or_below_by_its_margin():
    values = cells([0.019, 0.021, 0.02, 0.02, 0.018, 0.022])  # the margin is 0.01
    assert rules.positive(values).p < 0.01 and not rules.positive(values).refuted
    assert rules.positive(values, margin=0.03).refuted  # real, and nothing
    assert rules.equal(values).refuted and rules.equal(values, margin=0.03).p < 0.01
    assert not rules.equal(values, margin=0.03, image_noise=0.02).p < 0.05
    assert rules.below(values, 0.03).p < 0.01 and rules.below(values, 0.01).refuted
    for empty in (rules.positive, rules.equal, rules.everywhere):
        assert empty(values[:0]) is None
    assert rules.below(values[:0], 1) is None


def test_one_value_gives_an_effect_and_no_verdict():
    found = rules.positive(cells([0.1]))
    assert (found.effect, found.p, found.refuted) == (pytest.approx(0.1), 1, False)
    assert np.isnan([found.low, found.high]).all() and "too few runs" in found.note
    assert rules.verdict(found.p, found.refuted) == "inconclusive"
    # Alone the noise of the images gives an interval.
    assert 0.02 < np.diff(interval(intervals.average(cells([0.1]), image_noise=0.01))) < 0.06


@pytest.mark.parametrize("n_cells, seeds", ((6, 1), (24, 1), (1, 6)))
def test_the_interval_of_a_mean_is_about_students(n_cells, seeds):
    """Of cells, and of the seeds of a single cell; a bootstrap of six alone would be a third narrower."""
    values = cells(np.zeros(n_cells), seeds, 1.0)
    value = values["value"]
    found = intervals.average(values)
    assert found.effect == pytest.approx(value.mean())
    expected = 2 * stats.t.ppf(0.975, len(value) - 1) * stats.sem(value)
    assert np.diff(interval(found)).item() == pytest.approx(expected, rel=0.1)


def test_all_parts_of_a_claim_hold_by_the_weakest():
    strong, weak = (rules.Measured(0.0, 0, 0, p, False) for p in (0.01, 0.2))
    against = rules.Measured(0.0, 0, 0, 0.1, True)
    assert rules.each(strong, weak) is weak and rules.each(weak, against) is against
    assert rules.each(strong, None) is None


def test_at_most_six_cells_are_named_the_lowest_first():
    values = cells(np.arange(8.0))["value"].droplevel("seed")
    assert rules.listed("lowest", values) == (
        "lowest: MNIST 1, MNIST 2, MNIST 4, MNIST 8, MNIST 16, MNIST 32 and 2 more"
    )
    assert rules.listed("lowest", values[:6]).endswith("MNIST 32") and not rules.listed("none", values[:0])


# Too little


def test_an_empty_store_has_no_data_save_for_what_needs_none():
    table = ledger.ledger([], [1.0, 1.001])
    measured = [claim.number for claim in ledger.CLAIMS if not claim.nets]
    assert table["number"].tolist() == [claim.number for claim in ledger.CLAIMS]
    assert table.set_index("number")["verdict"].drop(measured).eq("no data").all()
    assert table.set_index("number").loc[measured, "verdict"].eq("reproduced").all()
    assert (table["runs"] == 0).all()


def test_a_diverged_run_takes_its_pair_out(claims_alone):
    claims_alone("9a 5b 6a")
    records = grid(thesis, seeds=(0, 1))
    lost = next(r for r in records if r["run"]["dataset"] == "mnist" and r["run"]["loss"] == "joint")
    gone = lost | {"diverged": {"epoch": 1, "step": 1}, "evaluations": {}}
    table = ledger.ledger([gone if r is lost else r for r in records])
    pd.testing.assert_frame_equal(table, ledger.ledger([r for r in records if r is not lost]))
    runs = table.set_index("number")["runs"]
    assert runs["9a"] == len(records) - 2 and runs["5b"] == 24 and runs["6a"] == 12


# As a grid grows.
PARTS = {
    "one net": lambda: grid(thesis)[:1],
    "one loss": lambda: grid(thesis, losses=("joint",)),
    "one batch size": lambda: grid(thesis, sizes=(16,), seeds=(0,)),
    "two batch sizes": lambda: grid(thesis, sizes=(4, 16), seeds=(0,)),
    "every fifth net": lambda: grid(thesis)[::5],
    "other data sets": lambda: grid(datasets=("digits", "digits_0_4"), sizes=(16, 64, 256)),
}


@pytest.mark.parametrize("part", PARTS)
def test_any_part_of_a_grid_has_a_ledger(part):
    table = ledger.ledger(PARTS[part]())
    assert set(table["verdict"]) <= {"reproduced", "not reproduced", "inconclusive", "no data"}
    assert claims.text(table) and claims.short(table)
    found = table.set_index("number")
    verdicts = found["verdict"]
    if part == "one batch size":
        row = found.loc["22"]
        assert np.isnan(row["low"]) and row["verdict"] == "inconclusive" and "too few runs" in row["note"]
    elif part == "two batch sizes":
        assert (verdicts[["3a", "5a", "10c", "11a", "19a"]] == "no data").all()  # no trend
        assert verdicts["15a"] == "no data"  # seven doublings off are no stand-in
    elif part == "other data sets":
        assert verdicts["5a"] == verdicts["16a"] == "no data" != verdicts["9c"]


def test_notes_name_what_a_reader_has_to_know(claims_alone):
    claims_alone("9a 9b 10a 14a")

    def unfit(**cell):
        return thesis(**cell) | {"train_accuracy": 0.9 if cell["batch_size"] == 4 else 1.0}

    table = ledger.ledger(grid(unfit)).set_index("number")
    assert "B = 64 stands for 128" in table.loc["14a", "note"]
    assert "SVHN subset" in table.loc["9a", "note"] and "SVHN" not in table.loc["10a", "note"]
    assert "24 of 144 nets underfit" in table.loc["9a", "note"] and table.loc["9b", "runs"] == 120


# Statistics


def test_holm():
    p = np.array([0.01, np.nan, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(intervals.holm(p), [0.03, np.nan, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(intervals.holm(np.array([0.9, 0.8])), [1, 1])
    assert intervals.holm(np.array([])).shape == (0,)


def test_holm_agrees_with_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = np.random.default_rng(0).random(30) ** 3
    np.testing.assert_allclose(intervals.holm(p), multitest.multipletests(p, method="holm")[1])


@pytest.mark.parametrize(
    "p, refuted, wanted",
    [
        (0.01, False, "reproduced"),
        (0.2, False, "inconclusive"),
        (0.01, True, "not reproduced"),
        (1.0, True, "not reproduced"),
        (np.nan, False, "no data"),
    ],
)
def test_the_rule(p, refuted, wanted):
    assert rules.verdict(p, refuted) == wanted


def interval(estimate):
    return np.quantile(estimate.draws, (0.025, 0.975))


def test_the_slope_is_scipys():
    values = cells([0.1, 0.3, 0.2, 0.6, 0.5])
    line = stats.linregress(range(5), values["value"])
    half = stats.t.ppf(0.975, 3) * line.stderr
    found = intervals.slope(values)
    assert found.effect == pytest.approx(line.slope)
    np.testing.assert_allclose(interval(found), [line.slope - half, line.slope + half], atol=1e-3)


def test_intervals_of_means_cover():
    """95 % intervals of a mean whose truth is zero; 150 trials have a standard error of 1.8 %.

    Those of cells alone, or of seeds alone, are about Student's (see above), which are known to.
    """
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(150):
        values = cells(rng.standard_normal(6), 3, 1.0, rng=rng)
        low, high = interval(intervals.average(values))
        covered += low < 0 < high
    assert 0.91 < covered / 150 <= 0.995


def test_intervals_of_means_cover_data_sets_of_different_noise():
    rng = np.random.default_rng(0)
    names = "mnist", "svhn", "cifar10"
    values = pd.concat(cells(np.zeros(6)).rename(index={"mnist": name}, level="dataset") for name in names)
    covered = 0
    for _ in range(150):
        values["value"] = np.repeat((0.1, 0.3, 3), 6) * rng.standard_normal(18)
        low, high = interval(intervals.average(values))
        covered += low < 0 < high
    assert 0.91 < covered / 150 <= 0.99


def test_intervals_of_slopes_cover(seeds=3):
    """Also where all nets of a seed share an error, as those of one initialisation may; of one seed they are SciPy's."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(150):
        values = cells(0.3 * np.arange(6) + rng.standard_normal(6), seeds, 1.0, rng=rng)
        values["value"] += np.tile(rng.standard_normal(seeds), 6)
        low, high = interval(intervals.slope(values))
        covered += low < 0.3 < high
    assert 0.91 < covered / 150 <= 0.99


def test_luck_makes_no_diagram_fall():
    """Of standard nets that are monotone, one in twenty may look as if it were not."""
    rng = np.random.default_rng(0)
    count, accuracy = np.full(10, 300), np.linspace(0.5, 0.6, 10)
    small = []
    for _ in range(60):
        bins = {"count": count.tolist(), "accuracy": (rng.binomial(count, accuracy) / count).tolist()}
        p = pd.DataFrame({("bins", "conditional", "long"): [bins]})
        small.append(calibration.not_monotone(p).p < 0.05)
    assert np.mean(small) <= 0.1


# What is measured here and now


def test_a_wrong_constant_would_be_seen(monkeypatch):
    def shifted(logits, target, label_space):
        return 1e-6 + conditional_nll(logits, target, label_space=label_space)

    assert theory.batch_of_one(None).effect == 0 and theory.weighted_average(None).effect <= 1e-12
    monkeypatch.setattr(theory, "joint_nll", shifted)
    broken = theory.batch_of_one(None)
    assert rules.verdict(broken.p, broken.refuted) == "not reproduced"


@pytest.mark.parametrize(
    "ratios, expected",
    (
        ((1.001, 0.999, 1.002, 1.0), "reproduced"),
        ((1.1, 1.11, 1.09, 1.1), "not reproduced"),
        ((1.1, 0.9, 1.0), "inconclusive"),
        ((), "no data"),
    ),
)
def test_overhead(ratios, expected, claims_alone):
    claims_alone("2")
    table = ledger.ledger([], ratios).set_index("number")
    assert table.loc["2", "verdict"] == expected


# Display


def test_equal_records_give_an_equal_ledger_in_any_order(right):
    pd.testing.assert_frame_equal(ledger.ledger(grid(thesis)[::-1]).set_index("number"), right)


def test_the_ledger_as_text_and_markdown(right):
    table = right.reset_index()
    lines = claims.text(table).splitlines()
    assert lines[0].startswith(f"{(table['verdict'] == 'reproduced').sum()} reproduced")
    assert sum("Test: " in line for line in lines) == len(ledger.CLAIMS)
    assert "nan" not in claims.text(table) + claims.short(table)
    part = claims.markdown(table, "ood").splitlines()
    assert len(part) == 2 + sum(claim.chapter == "ood" for claim in ledger.CLAIMS)
    assert len({line.count("|") for line in part}) == 1


# Sharper


def both(svhn, mnist):
    """Values of two data sets, with a seed each."""
    return pd.concat([cells(svhn).rename(index={"mnist": "svhn"}, level="dataset"), cells(mnist)])


def satterthwaite(variances, df):
    """Half a 95 % interval of a sum with these variances, each known with so many degrees of freedom."""
    variances, df = np.array(variances), np.array(df)
    freedom = variances.sum() ** 2 / (variances**2 / df).sum()
    return stats.t.ppf(0.975, freedom) * np.sqrt(variances.sum())


@pytest.mark.parametrize("few, many, spread", ((3, 12, 0.01), (4, 12, 0.5), (4, 8, 0.3)))
def test_the_interval_of_a_mean_over_two_data_sets_is_about_satterthwaites(few, many, spread):
    """A few noisy cells and many quiet ones: the few decide how much is known."""
    rng = np.random.default_rng(0)
    parts = rng.standard_normal(few), spread * rng.standard_normal(many)
    found = intervals.average(both(*parts))
    assert found.effect == pytest.approx(np.concatenate(parts).mean())
    share = [(len(part) / (few + many)) ** 2 * part.var(ddof=1) / len(part) for part in parts]
    expected = 2 * satterthwaite(share, (few - 1, many - 1))
    assert np.diff(interval(found)).item() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    "n_cells, seeds, tolerance", ((2, 1, 0.15), (3, 1, 0.06), (4, 1, 0.06), (1, 2, 0.15), (1, 3, 0.06))
)
def test_the_interval_of_a_mean_of_very_few_is_about_students(n_cells, seeds, tolerance):
    values = cells(np.arange(n_cells) ** 1.5, seeds)
    values["value"] += np.tile(np.arange(seeds) ** 1.5, n_cells)
    expected = 2 * stats.t.ppf(0.975, len(values) - 1) * stats.sem(values["value"])
    assert np.diff(interval(intervals.average(values))).item() == pytest.approx(expected, rel=tolerance)


def test_the_slope_of_two_data_sets_is_their_mean():
    y = [0.1, 0.3, 0.2, 0.6, 0.5], [0.0, 0.4, 0.1]
    lines = [stats.linregress(range(len(part)), part) for part in y]
    found = intervals.slope(both(*y))
    assert found.effect == pytest.approx(np.mean([line.slope for line in lines]))
    half = satterthwaite([line.stderr**2 / 4 for line in lines], (3, 1))
    np.testing.assert_allclose(interval(found), [found.effect - half, found.effect + half], rtol=0.01)
    assert intervals.slope(both(y[0][:2], y[1][:2])) is None


def test_an_interval_refutes_only_from_outside():
    """Its ends are those of the middle 95 %; one that holds the limit decides nothing."""
    within = intervals.Estimate(0.5, np.linspace(0, 1, intervals.DRAWS))
    found = rules.between(within)
    assert (found.effect, found.low, found.high) == pytest.approx((0.5, 0.025, 0.975))
    for limits in ({"low": 0.5}, {"high": 0.5}, {"low": 0.03}, {"high": 0.97}, {"relevant": 0.97}):
        assert not rules.between(within, **limits).refuted
    for limits in ({"low": 0.98}, {"high": 0.02}, {"relevant": 0.98}):
        assert rules.between(within, **limits).refuted
    assert rules.between(within, low=0.02).p == pytest.approx(0.02, abs=0.001)
    assert rules.between(within, low=0.01, high=0.97).p == pytest.approx(0.03, abs=0.001)


def test_a_cell_on_the_margin_is_no_loss():
    on = rules.everywhere(cells([-0.01, 0.02, 0.03]), about=True)
    assert on.effect == 1 and not on.note and not on.refuted
