"""What we predicted of reference inputs in the sum of the joint loss."""

import pandas as pd

from gffn_core.experiments import choice, profiles, tables
from gffn_core.experiments.store import Store
from gffn_core.verdicts.claim import Prediction
from gffn_core.verdicts.rules import Measured, all_of, in_all

FOUR = "references blur+mixed+shuffled8+noise"
NONE, BLUR = "", "references blur"  # settings, as ``choice.in_words`` calls them
ACCURACY = ("test_accuracy", "")
OWN = "own score"
ALONE, BLURRED, MENDED = "joint, no references", "joint, blur", "joint, four kinds"
EXPOSED, RIVAL = "outlier exposure, blur", "outlier exposure, four kinds"
WAYS = {  # in the order of the figure, from below: name, loss, setting
    "standard": ("conditional", ""),
    ALONE: ("joint", ""),
    BLURRED: ("joint", BLUR),
    MENDED: ("joint", FOUR),
    "joint, four kinds, weight 3": ("joint", f"kl_weight 3.0, {FOUR}"),
    "self-normalised, four kinds": ("self_normalised", FOUR),
    "energy margin, blur": ("energy_margin", f"{BLUR}, weight 0.03"),
    EXPOSED: ("outlier_exposure", f"{BLUR}, weight 2.0"),
    RIVAL: ("outlier_exposure", f"{FOUR}, weight 2.0"),
}
LOSSES = ("conditional", "joint", "self_normalised")


def read(store: Store) -> pd.DataFrame:
    """Nets of the profile ``references``, batch size 128: indexed by ``loss``, ``setting`` and ``seed``.

    Columns (score, set) are AUROCs, of the net's ``OWN`` score too; ``ACCURACY`` is that on test images.
    """
    records = store.select(profiles.profile("references").runs(batch_sizes=[128]))
    nets = tables.frame(records.values(), ("long",)).assign(setting=[*map(choice.in_words, records)])
    scored = scores(store)
    net = ["loss", "setting", "seed"]
    wide = scored.pivot(index=net, columns=["score", "set"], values="auroc")
    wide[ACCURACY] = nets.set_index(net)["test_accuracy"]
    return wide.sort_index()


def scores(store: Store) -> pd.DataFrame:
    """The published scores of those nets, as ``gffn detect`` has them; ``OWN`` is one, too."""
    scored = pd.read_csv(store.published / "detection_references.csv").fillna({"setting": ""})
    return pd.concat([scored, choice.own_score(scored).assign(score=OWN)])


def _of(nets, loss, setting, column):
    return nets.loc[(loss, setting), column]


def _auroc(nets, loss, setting, name, score=OWN):
    return _of(nets, loss, setting, (score, name))


def finds_svhn(nets: pd.DataFrame) -> Measured | None:
    ours = _auroc(nets, "joint", FOUR, "svhn")
    parts = [in_all(ours, "AUROC", low=0.8)]
    for loss in LOSSES:
        softmax = _auroc(nets, loss, NONE, "svhn", "max_softmax")
        parts.append(in_all(ours - softmax, f"AUROC, minus max softmax of the {tables.net(loss)} net", low=0))
    return all_of(parts)


def exposure_finds_what_is_like_references(nets: pd.DataFrame) -> Measured | None:
    parts = []
    for name, side in (("noise", "low"), ("shuffled", "low"), ("mnist", "high"), ("fashion_mnist", "high")):
        more = _auroc(nets, "outlier_exposure", FOUR, name) - _auroc(nets, "joint", FOUR, name)
        parts.append(in_all(more, f"AUROC on {name.replace('_', ' ')}", **{side: 0.0}))
    return all_of(parts)


def costs_little(nets: pd.DataFrame) -> Measured | None:
    ten = _of(nets, "joint", f"kl_weight 10.0, {FOUR}", ACCURACY) - _of(nets, "joint", NONE, ACCURACY)
    parts = [in_all(ten, "accuracy, weight 10", high=-0.02)]
    for loss in ("joint", "self_normalised"):
        one = _of(nets, loss, FOUR, ACCURACY) - _of(nets, loss, NONE, ACCURACY)
        parts.append(in_all(one, f"accuracy, weight 1, the {tables.net(loss)} net", -0.01))
    return all_of(parts)


def is_augmentation(nets: pd.DataFrame) -> Measured | None:
    labelled = _of(nets, "labelled", BLUR, ACCURACY) - _of(nets, "conditional", NONE, ACCURACY)
    in_the_sum = _of(nets, "joint", BLUR, ACCURACY) - _of(nets, "joint", NONE, ACCURACY)
    return in_all(labelled - in_the_sum, "accuracy, difference of the gains", -0.01, 0.01)


PREDICTIONS = [
    Prediction(
        "With all four kinds $\\ln p(x)$ tells SVHN with an AUROC above .8, and better than max softmax of"
        " any net without references.",
        finds_svhn,
    ),
    Prediction(
        "Outlier exposure with the same references is better than $\\ln p(x)$ on noise and on shuffled"
        " patches, and worse on MNIST and Fashion-MNIST.",
        exposure_finds_what_is_like_references,
    ),
    Prediction(
        "References cost less than .01 of accuracy at weight 1 of the KL term, and more than .02 at weight"
        " 10.",
        costs_little,
    ),
    Prediction(
        "Blurred images with their labels gain as much accuracy as blurred references in the sum.",
        is_augmentation,
    ),
]
