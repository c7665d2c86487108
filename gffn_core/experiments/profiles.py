"""The experiments as plain data: grids of runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

from gffn_core.experiments import contest, tried
from gffn_core.model import WIDTHS
from gffn_core.training.run import Run


@dataclass(frozen=True)
class Profile:
    """A grid of runs: every data set, loss, batch size and seed with every other.

    epochs: batch size -> epochs of the long scheme. Large batches get more epochs, yet fewer steps
    (the thesis stopped by a time limit instead). epoch_factor: multiplies them for a data set.
    settings: further fields of ``Run``; each combination is a part of the grid. One that names a loss, a
    data set or a batch size is for that one alone; one that names epochs has those.
    """

    name: str
    datasets: tuple[str, ...]
    epochs: dict[int, int]
    seeds: tuple[int, ...] = (0,)
    losses: tuple[str, ...] = ("conditional", "joint")
    epoch_factor: dict[str, int] = field(default_factory=dict)
    settings: tuple[dict[str, object], ...] = ({},)

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        return tuple(self.epochs)

    def runs(
        self,
        datasets: Sequence[str] | None = None,
        *,
        batch_sizes: Sequence[int] | None = None,
        losses: Sequence[str] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> list[Run]:
        """The runs of the grid, or of the named part of it. ValueError for what the grid lacks."""
        chosen = {"datasets": datasets, "batch_sizes": batch_sizes, "losses": losses, "seeds": seeds}
        for axis, values in chosen.items():
            grid = getattr(self, axis)
            unknown = [value for value in values or () if value not in grid]
            if unknown:
                raise ValueError(f"profile {self.name!r} has no {axis} {unknown}; it has {grid}")
            chosen[axis] = grid if values is None else tuple(dict.fromkeys(values))
        return [
            Run(
                **{"epochs": self.epochs[batch_size] * self.epoch_factor.get(dataset, 1)} | place | settings,
                seed=seed,
            )
            for seed, batch_size, dataset, settings, loss in product(
                chosen["seeds"], chosen["batch_sizes"], chosen["datasets"], self.settings, chosen["losses"]
            )
            for place in [{"dataset": dataset, "loss": loss, "batch_size": batch_size}]
            if all(settings.get(name, value) == value for name, value in place.items())
        ]


THESIS_DATASETS = ("cifar10", "mnist", "fashion_mnist", "svhn")
_FEWER = ("cifar10_10000", "fashion_mnist_10000")  # of the training images, for what needs many nets
# The SVHN subset holds a sixth of the others' images, so an epoch has a sixth of their steps. Profiles that
# are trained where the official images can be fetched do without.
SUBSET_FACTOR = {"svhn": 4}
CPU_EPOCHS = {4: 10, 8: 12, 16: 15, 32: 20, 64: 30, 128: 45, 256: 60, 512: 90, 1024: 120, 2048: 200}


def _named(settings) -> dict:
    """Fields of a profile whose settings name their losses."""
    settings = tuple(settings)
    return {"losses": tuple(dict.fromkeys(one["loss"] for one in settings)), "settings": settings}


def _by_dataset(settings) -> dict:
    """Fields of a profile that has settings of each data set's own."""
    named = _named({"dataset": name} | one for name, chosen in settings.items() for one in chosen)
    return {"datasets": tuple(settings)} | named


def _contenders(contenders, fields=None):
    """All settings that contenders try, with ``fields`` beside them."""
    return _named(one | (fields or {}) for name in contenders for one in contest.settings(name))


# With 10,000 images, six settings each. Weight decay beside the joint loss has the value that it has there.
_LEADING = [
    *(one for name in contest.LEADERS for one in contest.settings(name, values=2)),
    *(one for one in contest.settings(contest.JOINT_DECAYED) if one["weight_decay"] == 0.5),
]
_TUNING = {"epochs": {128: 20}, "seeds": (0, 1)}
# Other seeds than those of the choice; at the other batch sizes the epochs of the profile cpu.
_FINAL = {"epochs": {8: 12, 128: 20, 2048: 200}, "seeds": (2, 3, 4, 5, 6, 7)}
_CONTEST = {"epochs": {64: 60}, "seeds": (1, 2, 3, 4, 5, 6)}
_OTHER_SEEDS = (8, 9, 10, 11, 12, 13)
_LARGE = {1024: CPU_EPOCHS[1024]}
# A small and a large batch of the profile cpu, for what differs from it in one choice.
_CHOICE = {"epochs": {64: 30, 1024: 120}, "seeds": (0, 1, 2)}
PROFILES = {
    profile.name: profile
    for profile in (
        Profile("digits", ("digits", "digits_0_4"), epochs={16: 20, 64: 40, 256: 60}, seeds=(0, 1, 2)),
        Profile("colab", THESIS_DATASETS, epochs={64: 3, 512: 6, 2048: 12}),
        Profile(
            "cpu", THESIS_DATASETS, epochs=CPU_EPOCHS, seeds=(0, 1, 2, 3, 4, 5), epoch_factor=SUBSET_FACTOR
        ),
        Profile(
            "thesis",
            THESIS_DATASETS,
            epochs={4: 10, 8: 12, 16: 15, 32: 20, 64: 25, 128: 30, 256: 40, 512: 60, 1024: 80, 2048: 100},
            seeds=(0, 1, 2, 3, 4),
            settings=({"width": WIDTHS["wide"], "patience": 5},),
        ),
        Profile(
            "binary",
            ("cifar10", "fashion_mnist"),
            epochs={size: CPU_EPOCHS[size] for size in (4, 16, 64, 256, 1024, 2048)},
            seeds=(0, 1, 2),
            settings=({"label_space": "binary"},),
        ),
        # On all images what could explain the results away: the rate, the width.
        Profile(
            "controls",
            ("cifar10",),
            epochs={64: CPU_EPOCHS[64]},
            seeds=(0, 1, 2, 3, 4, 5),
            settings=({"learning_rate": 3e-3}, {"learning_rate": 3e-4}, tried.WIDE),
        ),
        # The same on fewer images and two data sets, and a rate for each loss. Two seeds more, or others, as
        # two old records lack the weights of the lowest NLL.
        Profile(
            "rates", _FEWER, epochs={64: CPU_EPOCHS[64]}, seeds=(0, 1, 2, 3, 4, 5, 6, 7), settings=tried.RATES
        ),
        Profile("rates_large", _FEWER, epochs=_LARGE, seeds=(2, 3, 4, 5, 6, 7), settings=tried.RATES),
        Profile(
            "wide", _FEWER, epochs={64: CPU_EPOCHS[64]}, seeds=(0, 1, 2, 3, 4, 5), settings=(tried.WIDE,)
        ),
        Profile("fewer", ("cifar10_10000",), **_CHOICE),
        Profile(
            "weight",
            ("cifar10_10000",),
            **_CHOICE,
            **_named(tried.options("joint", kl_weight=(0.1, 0.3, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0))),
        ),
        # Does one intercept for all data make the joint loss's gain independent of the batch size?
        Profile(
            "any_batch",
            _FEWER,
            epochs={1: 8, 2: 9} | CPU_EPOCHS,
            seeds=(0, 1, 2, 3, 4, 5),
            losses=("conditional", "joint", "self_normalised"),
        ),
        # At the weight of ``tried.MECHANISM``: is it as good at other batch sizes, and on all images?
        Profile(
            "weighted",
            ("cifar10_10000", "cifar10"),
            epochs={1: 8, 2: 9} | CPU_EPOCHS,
            seeds=(0, 1, 2, 3, 4, 5),
            **_named(
                {"dataset": dataset, "batch_size": size} | one
                for dataset, sizes in (("cifar10_10000", (1, 2, *CPU_EPOCHS)), ("cifar10", (16, 256, 2048)))
                for size in sizes
                for one in tried.options("self_normalised", kl_weight=(5.0,))
            ),
        ),
        Profile("mechanism_tuning", _FEWER, **_TUNING, **_named(tried.EVENING + tried.CURBING)),
        Profile(
            "centred_tuning",
            ("cifar10_10000",),
            **_TUNING,
            **_named([one | {"centred": True} for one in tried.EVENING]),
        ),
        Profile(
            "contest_tuning",
            ("cifar10_1000", "fashion_mnist_1000"),
            epochs={64: 60},
            **_contenders(contest.CONTENDERS),
        ),
        Profile("contest", **_CONTEST, **_by_dataset(tried.CHOSEN)),
        # The same with ten times the images.
        Profile("contest_more_tuning", _FEWER, epochs={64: 60}, **_contenders(contest.CONTENDERS)),
        Profile("contest_more", **_CONTEST, **_by_dataset(tried.CHOSEN_MORE)),
        Profile(
            "combined_more_tuning",
            ("cifar10_10000",),
            epochs={64: 60},
            **_contenders([contest.JOINT_DECAYED]),
        ),
        Profile("combined_more", ("cifar10_10000",), **_CONTEST, **_named(tried.COMBINED_MORE)),
        # Its rate once more for the standard net alone, on the images that nothing else was chosen on.
        Profile("contest_svhn_tuning", ("svhn",), epochs={64: 60}, **_contenders([contest.STANDARD])),
        Profile(
            "contest_carried",
            ("cifar10", "svhn"),
            **_CONTEST,
            **_named(
                place | one
                for place in ({"dataset": "cifar10", "epochs": 25}, {"dataset": "svhn"})
                for one in tried.CARRIED
            ),
        ),
        # The leaders there in large batches, at twice the rates.
        Profile(
            "contest_large_tuning",
            ("cifar10_10000",),
            epochs=_LARGE,
            **_named(one | {"learning_rate": 2 * one["learning_rate"]} for one in _LEADING),
        ),
        Profile("contest_large", ("cifar10_10000",), **_CONTEST | {"epochs": _LARGE}, **_named(tried.LARGE)),
        # Would accuracy have chosen otherwise, and was the standard net's rate an unlucky choice?
        Profile(
            "contest_checks",
            tuple(tried.BY_ACCURACY),
            **_CONTEST,
            **_named(
                {"dataset": name} | one
                for name, chosen in tried.BY_ACCURACY.items()
                for one in chosen + contest.settings("standard")
            ),
        ),
        Profile(
            "combined_tuning",
            ("cifar10_1000",),
            epochs={64: 60},
            **_named(
                one | (tried.MOVED if "augmentation" in one else {})
                for name in (*contest.AUGMENTED, contest.JOINT_DECAYED)
                for one in contest.settings(name)
            ),
        ),
        Profile("combined", ("cifar10_1000",), **_CONTEST, **_named(tried.COMBINED)),
        # The contest of the narrow net's leaders, and the standard one, on the wide net.
        Profile(
            "contest_wide_tuning",
            ("cifar10_1000",),
            epochs={64: 60},
            **_contenders(contest.FINALISTS, tried.WIDE),
        ),
        Profile(
            "contest_wide",
            ("cifar10_1000",),
            **_CONTEST,
            **_named(one | tried.WIDE for one in tried.CHOSEN_WIDE),
        ),
        Profile(
            "combined_wide_tuning",
            ("cifar10_1000",),
            epochs={64: 60},
            **_contenders(contest.AUGMENTED, tried.MOVED | tried.WIDE),
        ),
        Profile(
            "combined_wide",
            ("cifar10_1000",),
            **_CONTEST,
            **_named(one | tried.MOVED | tried.WIDE for one in tried.COMBINED_WIDE),
        ),
        # The leaders once more, for nets that stop at their lowest NLL after a temperature
        # (``course.LOWEST_SCALED_NLL``). Other seeds, as the records of the first ones lack that epoch.
        Profile(
            "refined_tuning",
            tuple(tried.REFINED),
            epochs={64: 60},
            seeds=(7,),
            **_named(
                [
                    *(one for name in contest.LEADERS for one in contest.settings(name)),
                    *(one | {"dataset": "cifar10_1000"} for one in contest.settings(contest.JOINT_DROPPED)),
                    *(
                        one | tried.MOVED | {"dataset": "cifar10_1000"}
                        for name in contest.AUGMENTED
                        for one in contest.settings(name)
                    ),
                ]
            ),
        ),
        Profile("refined", epochs={64: 60}, seeds=_OTHER_SEEDS, **_by_dataset(tried.REFINED)),
        Profile(
            "refined_wide_tuning",
            ("cifar10_1000",),
            epochs={64: 60},
            seeds=(7,),
            **_contenders((*contest.FINALISTS, contest.JOINT_DROPPED), tried.WIDE),
        ),
        Profile(
            "refined_wide",
            ("cifar10_1000",),
            epochs={64: 60},
            seeds=_OTHER_SEEDS,
            **_named(one | tried.WIDE for one in tried.REFINED_WIDE),
        ),
        Profile(
            "refined_more_tuning",
            ("cifar10_10000",),
            epochs={64: 60},
            seeds=(7,),
            **_named(
                [
                    *(one for one in _LEADING if one["loss"] != "self_normalised"),
                    *contest.settings(contest.DROPOUT_DECAYED, values=2),
                ]
            ),
        ),
        Profile(
            "refined_more",
            ("cifar10_10000",),
            epochs={64: 60},
            seeds=_OTHER_SEEDS,
            **_named(tried.REFINED_MORE),
        ),
        # Is a large weight on any evenness of ln Z as good? Pairs of weights that are equal to second order.
        Profile(
            "contest_relatives",
            ("cifar10_1000",),
            **_CONTEST,
            **_named(
                [
                    *tried.options("joint", kl_weight=(25.0, 125.0)),
                    *tried.options("variance", weight=(25.0, 125.0)),
                    *tried.options("self_normalised", kl_weight=(25.0, 125.0)),
                    *tried.options("squared", weight=(25.0, 125.0)),
                    *tried.options("z_loss", weight=(12.5, 62.5)),
                ]
            ),
        ),
        Profile("references_tuning", ("cifar10_10000",), **_TUNING, **_named(tried.REFERENCES)),
        Profile("mechanism", **_FINAL, **_by_dataset(tried.MECHANISM)),
        Profile(
            "mechanism_wide",
            ("cifar10_10000",),
            epochs=_TUNING["epochs"],
            seeds=_FINAL["seeds"],
            **_named(one | tried.WIDE for one in tried.MECHANISM_WIDE),
        ),
        Profile(
            "centred",
            ("cifar10_10000",),
            **_FINAL,
            **_named([one | {"centred": True} for one in tried.CENTRED]),
        ),
        Profile("references", ("cifar10_10000",), **_FINAL, **_named(tried.REPAIRED)),
        Profile(
            "references_wide",
            ("cifar10_10000",),
            epochs=_TUNING["epochs"],
            seeds=_FINAL["seeds"],
            **_named(one | tried.WIDE for one in tried.options("joint", references=(tried.FOUR,))),
        ),
        # With background nets, for the likelihood ratio of Ren et al. (2019), and seeds for WAIC.
        Profile(
            "background",
            ("cifar10_10000",),
            epochs={128: _FINAL["epochs"][128]},
            seeds=_FINAL["seeds"],
            settings=({}, {"augmentation": "mutate"}),
        ),
        Profile(
            "gap_tuning",
            ("cifar10_10000",),
            epochs={32: 20, 2048: 60},
            seeds=(0, 1),
            **_named(loss | one for loss in tried.RIVALS for one in tried.CLOSING),
        ),
        Profile(
            "gap",
            ("cifar10_10000",),
            epochs={32: 20, 2048: 60},
            seeds=_FINAL["seeds"],
            **_named(loss | one for loss in tried.RIVALS for one in tried.NAMED + tried.GAP[loss["loss"]]),
        ),
        # At 32 what changes images for as many epochs as it has at 2048.
        Profile(
            "gap_longer",
            ("cifar10_10000",),
            epochs={32: 120},
            seeds=_FINAL["seeds"],
            **_named(
                loss | one | {"epochs": 120}
                for loss in tried.RIVALS
                for one in tried.GAP[loss["loss"]]
                if one["batch_size"] == 32 and "augmentation" in one
            ),
        ),
        # Is it the loss, or would a little dropout beside augmentation, more time, or the other's recipe do?
        Profile(
            "gap_control",
            ("cifar10_10000",),
            epochs={32: 120, 2048: 120},
            seeds=_FINAL["seeds"],
            **_named(
                [
                    *(
                        loss | {"batch_size": 32, "dropout": dropout} | tried.AUGMENTED
                        for loss in tried.RIVALS
                        for dropout in (0.2, 0.4)
                    ),
                    *(loss | tried.LOWER_RATE | tried.AUGMENTED | {"epochs": 360} for loss in tried.RIVALS),
                    tried.RIVALS[1] | tried.GAP["conditional"][-1],
                ]
            ),
        ),
    )
}


def profile(name: str) -> Profile:
    """A profile by name, or a ValueError that lists them."""
    if name not in PROFILES:
        raise ValueError(f"unknown profile {name!r}; use one of {', '.join(PROFILES)}")
    return PROFILES[name]


def evidence(name: str) -> list[Run]:
    """The runs that claims are tested on: those of the profile, for ``cpu`` also those on fewer images."""
    return profile(name).runs() + (profile("fewer").runs() if name == "cpu" else [])
