"""What is chosen of a tuning grid: by validation images, and by images that nothing is reported on."""

from dataclasses import replace
from functools import partial

import pandas as pd
import pytest

from gffn_core.experiments import choice, profiles
from gffn_core.experiments.store import Store
from gffn_core.training.run import Run


def run(loss="joint", **fields):
    return Run("cifar10_10000", loss, 128, epochs=20, **fields)


def record(val_nll=1.0, val_accuracy=0.6, diverged=None):
    return {"curves": {"val_nll": [9.0, val_nll], "val_accuracy": [0.1, val_accuracy]}, "diverged": diverged}


def test_the_mean_over_seeds_at_the_end_chooses():
    heavy = run(options={"kl_weight": 5.0})
    records = {
        run(): record(1.0),
        run(seed=1): record(1.4),
        heavy: record(1.3),
        replace(heavy, seed=1): record(1.0),
    }
    assert choice.by_val_nll(records) == [heavy]


def test_each_way_to_train_has_its_own_choice_and_what_diverged_has_none():
    decayed, centred = run("conditional", weight_decay=0.5), run("conditional", centred=True)
    broken = run(options={"kl_weight": 25.0})
    records = {
        run("conditional"): record(1.2),
        decayed: record(1.1),
        run("conditional", weight_decay=2.0): record(1.3),
        centred: record(1.5),
        broken: record(0.1, diverged={"epoch": 1, "step": 3}),
        run(): record(1.0),
    }
    assert set(choice.by_val_nll(records)) == {run("conditional"), decayed, centred, run()}


def test_each_batch_size_and_each_means_has_its_own_choice_where_nets_stop_at_their_best():
    """By the lowest value of a curve, which ``record`` ends with unless it is told to rise."""
    large = partial(replace, run(), batch_size=2048)
    rising = {"curves": {"val_nll": [1.0, 9.0], "val_accuracy": [0.1, 0.6]}, "diverged": None}
    ghost, strong, weak = large(norm="ghost"), run(dropout=0.7), run(dropout=0.3)
    records = {
        run(): rising,
        large(): record(1.5),
        ghost: record(1.4),
        strong: record(1.2),
        weak: record(1.1),
    }
    assert choice.by_val_nll(records, min) == [run(), weak, ghost, large()]
    assert choice.by_val_nll(records) == [weak, ghost, large(), run()]


def test_together_are_the_means_that_beat_the_plain_net():
    """At the rate of the best of them, with the most epochs; of each loss, where two or more do."""
    moved = replace(run(augmentation="flip"), epochs=40)
    ghost = run(norm="ghost", learning_rate=8e-3)
    records = {
        run(): record(1.3),
        run(learning_rate=3e-3): record(1.25),
        ghost: record(1.0),
        moved: record(1.1),
        run(augmentation="shift"): record(1.2),
        run(weight_decay=0.5): record(1.28),
        run("conditional"): record(1.3),
        run("conditional", dropout=0.5): record(1.2),
    }
    assert choice.together(records) == [replace(ghost, augmentation="flip", epochs=40)]


@pytest.fixture
def tried():
    """Three settings of one loss beside the standard net: validation accuracy, and AUROC of both scores."""
    blur, four = ({"references": kinds} for kinds in ("blur", "blur+mixed"))
    nets = {  # accuracy, AUROC of ln p(x) and of max softmax
        run("conditional"): (0.60, 0.9, 0.5),
        run(options=blur): (0.595, 0.7, 0.6),
        run(options=four): (0.591, 0.8, 0.5),
        run(options=blur | {"kl_weight": 10.0}): (0.55, 0.95, 0.99),
    }
    records = {one: record(val_accuracy=accuracy) for one, (accuracy, _, _) in nets.items()}
    table = pd.DataFrame(
        {"loss": one.loss, "setting": choice.in_words(one), "score": score, "set": "discs", "auroc": auroc}
        for one, (_, *aurocs) in nets.items()
        for score, auroc in zip(("log_px", "max_softmax"), aurocs)
    )
    return records, table


def test_the_best_own_score_wins_among_those_that_cost_little_accuracy(tried):
    records, table = tried
    standard, _, four, _ = records
    assert choice.by_detection(records, table) == [standard, four]


def test_where_all_settings_cost_too_much_accuracy_all_compete(tried):
    records, table = tried
    standard, *_, heavy = records
    records[standard] = record(val_accuracy=0.9)
    assert choice.by_detection(records, table) == [standard, heavy]


@pytest.mark.parametrize("name, of", [("mechanism", choice.LAST), ("centred", choice.LAST), ("gap", min)])
def test_a_profile_trains_what_its_tuning_chose(name, of):
    runs = profiles.profile(f"{name}_tuning").runs()
    tuned = Store("results").select(runs)
    assert len(tuned) == len(runs)
    trained = {replace(one, seed=0) for one in profiles.profile(name).runs()}
    assert {*choice.by_val_nll(tuned, of), *(choice.together(tuned, of) if name == "gap" else ())} <= trained
