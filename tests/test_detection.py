"""The field's scores against their papers' formulas, and the images that they are tried on."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from gffn_core import cli
from gffn_core.data.datasets import load_dataset
from gffn_core.experiments import detection
from gffn_core.experiments.profiles import PROFILES, Profile
from gffn_core.experiments.store import Store
from gffn_core.model import ConvNet
from gffn_core.training.loop import train
from gffn_core.training.run import Normalise, Run


@pytest.fixture(scope="module")
def examined(tiny):
    """A net that was not trained, its features in float64, and the table of ``examine``."""
    torch.manual_seed(0)
    net = ConvNet(1, 8, 10).eval()
    # Fewer features than images, so that those beyond a principal space are not arbitrary.
    net.head = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(32, 24), torch.nn.ReLU(), torch.nn.Linear(24, 10)
    )
    prepare = Normalise(tiny.train_x, torch.device("cpu"))
    noise = torch.randint(256, tiny.test_x.shape, dtype=torch.uint8)
    sides = {"familiar": tiny.test_x, "noise": noise, "itself": tiny.test_x}
    rows = list(detection.measure(detection.examine(net, "categorical", tiny, sides, tiny.test_y, prepare)))
    body = torch.nn.Sequential(net.features, *net.head[:-1])
    with torch.no_grad():
        features = [body(prepare(x)).double().numpy() for x in (tiny.train_x, tiny.test_x, noise)]
    head = net.head[-1]
    weight, bias = head.weight.detach().double().numpy(), head.bias.detach().double().numpy()
    return {(row["score"], row["set"]): row["auroc"] for row in rows}, features, weight, bias


def softmax(f):
    e = np.exp(f - f.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def gen(z, train, y, weight, bias):  # Liu, Lochman and Zach, 2023: generalised entropy with gamma = 0.1
    p = softmax(z @ weight.T + bias)
    return -((p * (1 - p)) ** 0.1).sum(1)


def nearest(z, train, y, weight, bias):  # Sun et al., 2022: distance to the 50th neighbour on the sphere
    on_sphere = [a / np.linalg.norm(a, axis=1, keepdims=True) for a in (z, train)]
    return -np.sort(np.linalg.norm(on_sphere[0][:, None] - on_sphere[1][None], axis=2), axis=1)[:, 49]


def fdbd(z, train, y, weight, bias):  # Liu and Qin, 2024: distance to the boundaries over that to the mean
    f = z @ weight.T + bias
    top = f.argmax(1)
    gaps = np.linalg.norm(weight[top][:, None] - weight[None], axis=2)
    gaps[np.arange(len(z)), top] = np.inf
    return ((f.max(1, keepdims=True) - f) / gaps).sum(1) / 9 / np.linalg.norm(z - train.mean(0), axis=1)


def nci(z, train, y, weight, bias):  # Liu and Qin, 2025, without the norm: alignment with the class's weights
    top, centred = (z @ weight.T + bias).argmax(1), z - train.mean(0)
    return (centred * weight[top]).sum(1) / np.linalg.norm(centred, axis=1)


def vim(
    z, train, y, weight, bias
):  # Wang et al., 2022: ln Z minus a logit made of what the space leaves over
    origin = -np.linalg.pinv(weight) @ bias
    others = np.linalg.svd(train - origin)[2][train.shape[1] // 2 :]  # all but half of the dimensions
    left, of_train = (np.linalg.norm((a - origin) @ others.T, axis=1) for a in (z, train))
    alpha = (train @ weight.T + bias).max(1).sum() / of_train.sum()
    return np.log(np.exp(z @ weight.T + bias).sum(1)) - alpha * left


def distance(z, mean, centred):
    """Squared, by the covariance of ``centred``; as in pytorch-ood not divided by their number, which changes
    no order, and with 1e-6 on its diagonal, which does where a feature is 0 on all training images."""
    inverse = np.linalg.inv(centred.T @ centred + 1e-6 * np.eye(z.shape[1]))
    return np.einsum("ni,ij,nj->n", z - mean, inverse, z - mean)


def mahalanobis(z, train, y, weight, bias):  # Lee et al., 2018, of one layer, the images unchanged
    means = np.stack([train[y == k].mean(0) for k in range(10)])
    return -np.min([distance(z, mean, train - means[y]) for mean in means], axis=0)


def relative(z, train, y, weight, bias):  # Ren et al., 2021: less the distance from all classes together
    mean = train.mean(0)
    return mahalanobis(z, train, y, weight, bias) + distance(z, mean, train - mean)


FORMULAS = {
    "GEN": gen,
    "KNN": nearest,
    "fDBD": fdbd,
    "NCI": nci,
    "ViM": vim,
    "Mahalanobis": mahalanobis,
    "relative Mahalanobis": relative,
}


def test_every_detector_of_the_field_has_a_formula():
    assert set(FORMULAS) == set(detection.FIELD)


@pytest.mark.parametrize("name", FORMULAS)
def test_scores_are_those_of_their_papers(name, examined, tiny):
    aurocs, (train, *sides), weight, bias = examined
    inside, outside = (FORMULAS[name](z, train, tiny.train_y.numpy(), weight, bias) for z in sides)
    truth = np.repeat([1, 0], [len(inside), len(outside)])
    wanted = roc_auc_score(truth, np.concatenate([inside, outside]))
    assert aurocs[name, "noise"] == pytest.approx(wanted, abs=2e-3)
    assert abs(wanted - 0.5) > 0.01  # or the sign would not show


def test_no_score_tells_a_set_from_itself(examined):
    aurocs = examined[0]
    assert {score for score, _ in aurocs} >= {*FORMULAS, "max_softmax", "log_px", "compressed size"}
    assert all(auroc == 0.5 for (_, name), auroc in aurocs.items() if name == "itself")


def test_groups_are_told_by_how_far_their_mean_lies_from_that_of_the_training_images():
    """Of images at two places a side: a group of two has its mean at one of three, and two of those can tie."""
    histogram = {"low": 0, "high": 60}
    for side, places in (("inside", (10, 12)), ("outside", (8, 14))):
        histogram[side] = [30.0 * (k in places) for k in range(60)]
    curve = {"tpr_on_fpr_grid": [0.0] * 101}
    of = {"log_px": curve | {"histogram": histogram}, "typicality": curve | {"auroc": 0.7}}
    long = {"train_log_px": {"mean": 13.5}, "ood": {"scores": of}}
    found = detection.groups({"evaluations": {"long": long}}, (1, 2), 20_000).set_index("M")
    # From 11.5, the familiar mean, single images lie 1 and 3 away; of two half lie at it, on either side.
    np.testing.assert_allclose(found["own"], [1, 5 / 8], atol=0.01)
    # From 13.5: 3 and 1 against 5 and 1; groups 3, 2, 1 against 5, 2, 1 (the middle one twice as often).
    np.testing.assert_allclose(found["auroc"], [5 / 8, 1 / 4 + 1 / 2 * 1 / 2 + 1 / 4 * 1 / 8], atol=0.01)
    assert found["single"].eq(0.7).all() and found[["inside", "outside"]].eq(2).all(axis=None)


def test_scores_between_nets():
    """Against their definitions; a net's own ensemble is that of the other seeds, without background nets."""
    random = torch.Generator().manual_seed(0)
    ln_z = {
        seed: {side: torch.randn(30, generator=random) for side in ("familiar", "far")} for seed in range(4)
    }
    run = Run("digits", "joint", 32, 1)
    nets = {
        dataclasses.replace(run, seed=seed): detection.Scored(
            {side: {"log_px": of} for side, of in sides.items()},
            torch.ones(30, dtype=torch.bool),
            float(seed),
        )
        for seed, sides in ln_z.items()
    }
    spoilt = dataclasses.replace(run, augmentation="mutate")
    assert all("likelihood ratio" not in net.scores["far"] for _, net in detection.between(nets))
    found = dict(detection.between(nets | {spoilt: nets[dataclasses.replace(run, seed=3)]}))
    others = np.stack([ln_z[seed]["far"] - seed for seed in (1, 2, 3)])
    np.testing.assert_allclose(found[run].scores["far"]["WAIC"], others.mean(0) - others.var(0, ddof=1), 1e-4)
    np.testing.assert_allclose(found[run].scores["far"]["mean ln p(x)"], others.mean(0), 1e-4)
    ratio = ln_z[0]["familiar"] - ln_z[3]["familiar"]
    torch.testing.assert_close(found[run].scores["familiar"]["likelihood ratio"], ratio)
    assert not found[spoilt].scores["far"]  # nothing is measured of a background net that has no others
    assert list(detection.measure(found[spoilt])) == []


def test_unfamiliar_images_have_the_shape_of_the_familiar(tmp_path):
    rng = np.random.default_rng(0)
    shapes = {"svhn": (3, 32), "cifar10": (3, 32), "mnist": (1, 28), "fashion_mnist": (1, 28)}
    for name, (channels, size) in shapes.items():
        images = rng.integers(0, 256, (40, channels, size, size), dtype=np.uint8)
        parts = {
            "train_x": images,
            "train_y": np.arange(40) % 2,
            "test_x": images,
            "test_y": np.arange(40) % 2,
        }
        np.savez(tmp_path / f"{name}.npz", **parts)
    own = load_dataset("cifar10", root=tmp_path)
    sets = detection.unfamiliar(own, tmp_path)
    assert list(sets) == ["svhn", "mnist", "fashion_mnist", "shuffled", "noise"]
    assert all(x.shape == own.test_x.shape and x.dtype == torch.uint8 for x in sets.values())
    grey = sets["mnist"]
    assert (grey == grey[:, :1]).all() and not grey[..., :2].any() and grey[..., 2:-2, 2:-2].any()
    # Shuffled patches keep each image's pixels.
    assert (sets["shuffled"].flatten(2).sort(-1).values == own.test_x.flatten(2).sort(-1).values).all()
    assert list(detection.unfamiliar(load_dataset("mnist", root=tmp_path), tmp_path)) == [
        "fashion_mnist",
        "shuffled",
        "noise",
    ]


@pytest.mark.parametrize("channels", [1, 3])
def test_images_to_choose_by_are_shaped_like_the_familiar_and_are_always_the_same(tiny, channels):
    own = dataclasses.replace(
        tiny,
        test_x=tiny.test_x[:, :1].expand(-1, channels, -1, -1),
        val_x=torch.arange(50 * channels * 64).remainder(251).to(torch.uint8).view(50, channels, 8, 8),
    )
    sets, again = detection.held_back(own), detection.held_back(own)
    assert [*sets] == ["photographs", "random phases", "discs"]
    for name, images in sets.items():
        assert images.shape[1:] == own.test_x.shape[1:] and images.dtype == torch.uint8
        assert (images == again[name]).all() and images.float().std(0).min() > 1
    discs = sets["discs"].flatten(2)
    assert all(len(image.unique(dim=1).T) <= 2 for image in discs[:50])  # a colour, and one around it
    for choosing, images in ((True, own.val_x), (False, own.test_x)):
        found, labels = detection.familiar(own, choosing)
        assert (found == images).all() and len(labels) == len(found)


def test_random_phases_keep_how_much_there_is_of_each_frequency(tiny):
    random = np.random.default_rng(0)
    smooth = 128 + 10 * random.standard_normal((50, *tiny.test_x.shape[1:]))  # far from black and white
    own = dataclasses.replace(tiny, val_x=torch.from_numpy(smooth.clip(0, 255).astype(np.uint8)))
    before, after = (np.abs(np.fft.rfft2(x)) for x in (own.val_x, detection.held_back(own)["random phases"]))
    assert np.abs(after - before).max() < 0.5 * tiny.test_x[0, 0].numel()  # rounding to whole grey values


def test_without_nets_there_is_nothing_to_detect_with(tmp_path, capsys):
    assert cli.main(["detect", "digits", "--results", str(tmp_path)]) == 1
    assert "gffn sweep digits" in capsys.readouterr().err


def test_a_part_of_a_profile_or_other_data_takes_no_published_rows_away(tmp_path, tiny, monkeypatch, capsys):
    """Nets of two losses; the same rows may be written again, though a CSV file has no empty text."""
    store, path = Store(tmp_path), tmp_path / "published/held_back_two.csv"
    two = Profile("two", ("digits",), {50: 1})
    for run in two.runs():
        store.save(train(run, tiny))
    monkeypatch.setitem(PROFILES, "two", two)
    monkeypatch.setattr(detection, "IMAGES", 20)
    monkeypatch.setattr(detection, "load_dataset", lambda *args, **kwargs: tiny)
    monkeypatch.setattr(detection, "code_version", lambda: "420e193745")  # which is no number
    detect = ["detect", "two", "--held-back", "--results", str(tmp_path)]
    assert [cli.main(detect), cli.main(detect)] == [0, 0]
    before = path.read_text()
    assert cli.main([*detect, "--losses", "joint"]) == 0
    assert sorted(path.read_text().splitlines()) == sorted(before.splitlines())
    before = path.read_text()
    other = dataclasses.replace(tiny, sha256="0" * 64)
    monkeypatch.setattr(detection, "load_dataset", lambda *args, **kwargs: other)
    assert cli.main(detect) == 1 and path.read_text() == before
    assert "digits is not what the record was made from" in capsys.readouterr().err
