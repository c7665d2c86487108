"""Contenders have equal budgets, and what is chosen is chosen on validation images."""

from dataclasses import replace

import pandas as pd
import pytest

from gffn_core.experiments import contest
from gffn_core.experiments.profiles import profile
from gffn_core.experiments.store import Store
from gffn_core.experiments.sweep import sweep
from gffn_core.training.run import Run


@pytest.mark.parametrize("values, rates", ((2, 2), (3, 2), (3, 3)))
def test_every_contender_has_as_many_settings(values, rates):
    """Learning rate and option together, and each setting is found to be its contender's."""
    run = Run("mine", "conditional", 16, 1)
    for name in contest.CONTENDERS:
        runs = {replace(run, **one) for one in contest.settings(name, values, rates)}
        assert len(runs) == values * rates and len({run.learning_rate for run in runs}) >= 2
        assert {contest.contender_of(run) for run in runs} == {name}


def test_the_profile_is_the_contest():
    runs = profile("contest_tuning").runs(["cifar10_1000"])
    assert pd.Series(map(contest.contender_of, runs)).value_counts().eq(9).all()


def test_the_lowest_nll_on_validation_images_is_chosen_for_each_scheme(tmp_path):
    store = Store(tmp_path)
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
