"""Contenders have equal budgets, and what is chosen is chosen on validation images."""

import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT

from gffn_core import cli
from gffn_core.data.datasets import load_dataset
from gffn_core.experiments import contest, ensembles
from gffn_core.experiments.profiles import PROFILES, Profile, profile
from gffn_core.experiments.store import Store
from gffn_core.experiments.sweep import sweep
from gffn_core.pages.contest import PREFERRED, by_stop
from gffn_core.training.course import LOWEST_NLL, LOWEST_SCALED_NLL
from gffn_core.training.run import Run


@pytest.mark.parametrize("values, rates", ((2, 2), (3, 2), (4, 3)))
def test_every_contender_has_as_many_settings(values, rates):
    """Learning rate and option together, and each setting is found to be its contender's."""
    run = Run("mine", "conditional", 16, 1)
    for name in contest.CONTENDERS:
        runs = {replace(run, **one) for one in contest.settings(name, values, rates)}
        assert len(runs) == values * rates and len({run.learning_rate for run in runs}) >= 2
        assert {contest.contender_of(run) for run in runs} == {name}


REFINED_MORE = (
    "standard",
    "weight decay",
    "dropout",
    "joint",
    contest.JOINT_DECAYED,
    contest.DROPOUT_DECAYED,
)


@pytest.mark.parametrize(
    "name, among, settings",
    (
        ("contest", contest.CONTENDERS, 12),
        ("combined", (*contest.AUGMENTED, contest.JOINT_DECAYED), 12),
        ("contest_more", contest.CONTENDERS, 12),
        ("combined_more", [contest.JOINT_DECAYED], 12),
        ("contest_large", (*contest.LEADERS, contest.JOINT_DECAYED), 6),
        ("contest_wide", contest.FINALISTS, 12),
        ("combined_wide", contest.AUGMENTED, 12),
        ("refined", (*contest.LEADERS, contest.JOINT_DROPPED, *contest.AUGMENTED), 12),
        ("refined_wide", (*contest.FINALISTS, contest.JOINT_DROPPED), 12),
        ("refined_more", REFINED_MORE, 6),
    ),
)
def test_the_profile_is_the_contest(name, among, settings):
    tuning = profile(f"{name}_tuning")
    runs = tuning.runs(tuning.datasets[:1])
    count = pd.Series(map(contest.contender_of, runs)).value_counts()
    assert count.eq(settings).all() and set(count.index) == set(among) and len(set(runs)) == len(runs)


def test_the_lowest_nll_on_validation_images_is_chosen_for_each_scheme(store):
    runs = [Run("digits", "joint", 256, 3, options={"kl_weight": weight}) for weight in (1.0, 5.0, 25.0)]
    sweep([*runs, Run("digits", "conditional", 256, 2)], store, device="cpu")
    table = contest.frame(store.records())
    assert table["contender"].value_counts().to_dict() == {"joint": 6, "standard": 2}
    best = contest.chosen(table).set_index(["contender", "scheme"])
    for scheme in contest.SCHEMES:
        of = table[(table["contender"] == "joint") & (table["scheme"] == scheme)].set_index("setting")
        assert best.loc[("joint", scheme), "setting"] == of["val_nll"].idxmin()
    record = store.select(runs[:1])[runs[0]]
    (nll,) = table[(table["kl_weight"] == 1) & (table["contender"] == "joint") & (table["scheme"] == "long")][
        "val_nll"
    ]
    assert nll == record["curves"]["val_nll"][-1]


def test_ensembles_are_measured_as_nets_are(tmp_path, monkeypatch, capsys):
    """One net alone as its record says, three as their mean probability; people's answers as a cross entropy."""
    store, digits = Store(tmp_path), load_dataset("digits")
    runs = [Run("digits", "joint", 256, 2, seed=seed) for seed in range(4)]
    sweep(runs, store, device="cpu")
    answers = torch.nn.functional.one_hot(digits.test_y, 10).double()
    np.save(tmp_path / "people.npy", answers.numpy())
    monkeypatch.setitem(PROFILES, "four", Profile("four", ("digits",), {256: 2}, (0, 1, 2, 3), ("joint",)))
    file = ["--people", str(tmp_path / "people.npy"), "--results", str(tmp_path)]
    assert cli.main(["ensembles", "four", *file]) == 0
    table = pd.read_csv(tmp_path / "published/ensembles_four.csv")
    assert table.groupby("size")["keys"].nunique().to_dict() == {1: 4, 3: 1}
    records = {record["key"]: record for record in store.records()}
    for row in table[table["size"] == 1].itertuples():
        found = records[row.keys]["evaluations"][row.scheme]
        assert row.nll == pytest.approx(found["nll"], abs=1e-3)
        assert row.scaled_nll == pytest.approx(found["scaled"]["nll"], abs=1e-3)
        assert row.ece_uniform15 == pytest.approx(found["ece"]["uniform15"], abs=1e-3)
        assert row.scaled_ece == pytest.approx(found["scaled"]["ece"]["uniform10"], abs=1e-3)
        assert row.scaled_brier == pytest.approx(found["scaled"]["brier"], abs=1e-3)
        assert row.aurc == pytest.approx(found["risk_coverage"]["aurc"], abs=1e-3)
        assert row.people == pytest.approx(row.scaled_nll, abs=1e-4)  # these people never err
    (three,) = table[(table["size"] == 3) & (table["scheme"] == "long")].itertuples()
    probs = [
        torch.from_numpy(store.logits(records[key])["long_test"]).double().softmax(-1)
        for key in three.keys.split("+")
    ]
    mean = torch.stack(probs).mean(0)
    assert three.nll == pytest.approx(-mean.gather(1, digits.test_y[:, None]).log().mean().item(), abs=1e-4)
    part = ["ensembles", "four", *file, "--seeds", "0", "--schemes", "long"]
    assert cli.main(part) == 0  # what was not measured now stays
    again = pd.read_csv(tmp_path / "published/ensembles_four.csv")
    pd.testing.assert_frame_equal(*(one.sort_values([*one]).reset_index(drop=True) for one in (table, again)))
    other = replace(digits, sha256="0" * 64)
    monkeypatch.setattr(ensembles, "load_dataset", lambda *args, **kwargs: other)
    assert cli.main(part) == 1
    assert "digits is not what the record was made from" in capsys.readouterr().err
    monkeypatch.setattr(ensembles, "load_dataset", load_dataset)
    np.save(tmp_path / "others.npy", answers.roll(1, 1).numpy())
    assert ensembles.people(tmp_path / "others.npy", digits) is None
    (tmp_path / "text.npy").write_text("0.1 0.9")
    for options, message in ((["--size", "0"], "size=0"), (["--people", tmp_path / "text.npy"], "text.npy")):
        assert cli.main([*map(str, ["ensembles", "four", *file, *options])]) == 1
        assert message in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "probmetrics", None)  # as where it is not installed
    assert cli.main(["ensembles", "four", "--recalibrate", *file]) == 1
    assert "pip install --no-deps probmetrics" in capsys.readouterr().err
    np.save(tmp_path / "people.npy", answers.numpy()[:, :9])
    assert cli.main(["ensembles", "four", *file]) == 1


def test_the_contest_has_the_settings_that_validation_images_chose():
    """Of the published tuning, on both data sets and for both schemes."""
    store = Store(ROOT / "results")
    tuned = store.select(profile("contest_tuning").runs(profile("contest").datasets))
    of_key = {record["key"]: run for run, record in tuned.items()}
    best = {of_key[key] for key in contest.chosen(contest.frame(tuned.values()))["key"]}
    assert {replace(run, seed=0) for run in profile("contest").runs()} == best
    accurate = contest.most_accurate(contest.frame(tuned.values(), ["early"]))
    rates = {run for run in of_key.values() if contest.contender_of(run) == "standard"}
    checks = {of_key[key] for key in accurate["key"]} | rates
    assert {replace(run, seed=0) for run in profile("contest_checks").runs()} == checks


@pytest.mark.parametrize(
    "name, scheme",
    (
        ("combined", LOWEST_NLL),
        ("contest_more", LOWEST_NLL),
        ("combined_more", LOWEST_NLL),
        ("contest_large", LOWEST_NLL),
        ("contest_wide", LOWEST_NLL),
        ("combined_wide", LOWEST_NLL),
        ("refined", LOWEST_SCALED_NLL),
        ("refined_wide", LOWEST_SCALED_NLL),
        ("refined_more", LOWEST_SCALED_NLL),
    ),
)
def test_others_have_the_settings_that_validation_images_chose(name, scheme):
    """Of the published tuning, for nets that stop."""
    store = Store(ROOT / "results")
    tuned = store.select(profile(f"{name}_tuning").runs(profile(name).datasets))
    of_key = {record["key"]: replace(run, seed=0) for run, record in tuned.items()}
    best = contest.chosen(contest.frame(tuned.values(), [scheme]))
    assert {replace(run, seed=0) for run in profile(name).runs()} == {of_key[key] for key in best["key"]}


@pytest.mark.parametrize("name, dataset", (("contest_wide", "cifar10_1000"), ("contest_carried", "svhn")))
def test_of_a_nets_epochs_the_preferred_one_has_the_best_validation_accuracy(name, dataset):
    """Of the published nets, each once, whatever its test images say."""
    nets = by_stop(Store(ROOT / "results"), name, dataset)
    kept = nets.drop(PREFERRED, level="scheme")["val_accuracy"].groupby(["contender", "seed"])
    preferred = nets.xs(PREFERRED, level="scheme")["val_accuracy"]
    assert len(preferred) == 4 * 6 and kept.size().eq(3).all()
    pd.testing.assert_series_equal(preferred, kept.max())
