"""How well scores of the field find unfamiliar images, on nets that were trained here.

The nets are frozen. A score sees an image's logits, or its features before the last layer, and has the
settings that its authors or pytorch-ood give it. ``unfamiliar`` images are reported on, so nothing is chosen
by them; what is chosen, such as references, is chosen by those that are ``held_back``.
"""

import math
import zlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from gffn_core import metrics
from gffn_core.data.datasets import TITLES, Dataset, load_dataset
from gffn_core.data.sources import import_torchvision
from gffn_core.evaluation.scores import scores
from gffn_core.evaluation.standard import predict
from gffn_core.experiments.choice import in_words
from gffn_core.experiments.store import Store
from gffn_core.experiments.tables import score_points
from gffn_core.experiments.verify import check_data
from gffn_core.training.provenance import code_version
from gffn_core.training.run import Normalise, Run, initial_model
from gffn_core.variants.references import shuffled8

IMAGES = 2000  # of each set: an AUROC is then sure to about 0.01
OTHERS = ("svhn", "cifar10", "mnist", "fashion_mnist")
SETS = {name: TITLES[name] for name in OTHERS} | {"shuffled": "patches shuffled", "noise": "noise"}  # titles
FIELD = {  # detectors of pytorch-ood and what each is made from
    "GEN": lambda detectors, head: detectors.GEN(None),
    "Mahalanobis": lambda detectors, head: detectors.Mahalanobis(None),
    "relative Mahalanobis": lambda detectors, head: detectors.RMD(None),
    "ViM": lambda detectors, head: detectors.ViM(None, head.in_features // 2, head.weight, head.bias),
    "KNN": lambda detectors, head: detectors.KNN(None),
    "fDBD": lambda detectors, head: detectors.fDBD(None, head),
    "NCI": lambda detectors, head: detectors.NCI(None, head),
}


def unfamiliar(dataset: Dataset, root: str | Path | None) -> dict[str, Tensor]:
    """By name sets of ``IMAGES`` images like those of ``dataset`` in shape, uint8 (N, C, H, W).

    Test images of the other data sets, grey ones in as many colours and with a black border where they are
    smaller; its own with their patches of 8x8 pixels in random order; and independent uniform pixels.
    """
    _, channels, size, _ = dataset.test_x.shape
    random = torch.Generator().manual_seed(0)
    found = {}
    for name in OTHERS:
        images = load_dataset(name, root=root).test_x[:IMAGES]
        if dataset.name.startswith(name) or images.shape[1] > channels or images.shape[-1] > size:
            continue
        border = (size - images.shape[-1]) // 2
        found[name] = F.pad(images, [border] * 4).expand(-1, channels, -1, -1)
    own = dataset.test_x[-IMAGES:]
    bits = torch.randint(2**31, (1, len(own), (size // 2) ** 2), generator=random)
    found["shuffled"] = shuffled8(own[None], own[None], bits)[0]
    found["noise"] = torch.randint(256, own.shape, generator=random, dtype=torch.uint8)
    return found


def held_back(dataset: Dataset) -> dict[str, Tensor]:
    """By name sets of ``IMAGES`` unfamiliar images that nothing is reported on, shaped as in ``unfamiliar``.

    Crops of scikit-learn's two photographs; validation images with their frequencies' phases drawn at random;
    and discs of one colour on another.
    """
    from sklearn.datasets import load_sample_images

    _, channels, size, _ = dataset.test_x.shape
    random = np.random.default_rng(0)
    crops = np.empty((IMAGES, size, size, 3))
    photographs = load_sample_images().images
    for i in range(IMAGES):
        photograph = photographs[i % len(photographs)]
        top, left = (random.integers(n - size) for n in photograph.shape[:2])
        crops[i] = photograph[top : top + size, left : left + size]
    crops = crops if channels == 3 else crops.mean(-1, keepdims=True)
    amplitudes = np.abs(np.fft.rfft2(dataset.val_x[:IMAGES].numpy()))
    phases = np.angle(np.fft.rfft2(random.random((len(amplitudes), 1, size, size))))
    mixed = np.fft.irfft2(amplitudes * np.exp(1j * phases), s=(size, size))
    inside, outside = random.integers(0, 256, (2, IMAGES, channels, 1, 1))
    middle, radius = random.uniform(0.2, 0.8, (2, IMAGES, 1, 1, 1)) * size, random.uniform(0.1, 0.4, IMAGES)
    row, column = np.mgrid[:size, :size]
    far = np.hypot(row - middle[0], column - middle[1]) > radius[:, None, None, None] * size
    found = {
        "photographs": np.moveaxis(crops, -1, 1),
        "random phases": mixed.clip(0, 255),
        "discs": np.where(far, outside, inside),
    }
    return {name: torch.from_numpy(images.round().astype(np.uint8)) for name, images in found.items()}


def familiar(dataset: Dataset, choosing: bool) -> tuple[Tensor, Tensor]:
    """Images, and their labels, that unfamiliar ones are to be told from.

    The first test images; for choosing the last validation images, so that no test image chooses anything.
    """
    if choosing:
        return dataset.val_x[-IMAGES:], dataset.val_y[-IMAGES:]
    return dataset.test_x[:IMAGES], dataset.test_y[:IMAGES]


class Scored(NamedTuple):
    """What is known of a net's answers to familiar images and to each unfamiliar set (the sides)."""

    scores: dict[str, dict[str, Tensor]]  # by side and score, higher for what is familiar
    right: Tensor  # (N,) whether the answers to the familiar images are right
    level: float  # ln of the mean of Z(x) over the training images: what makes of ln Z(x) a log density


def examine(
    model: torch.nn.Module,
    label_space: str,
    dataset: Dataset,
    sides: dict[str, Tensor],
    labels: Tensor,
    prepare: Callable,
    field: dict[str, Callable] = FIELD,
) -> Scored:
    """The scores of each side's images by a frozen net.

    sides: "familiar", whose labels are ``labels``, and unfamiliar sets. field: which detectors of the field
    there are beside the scores of every evaluation.
    """
    if field:
        import_torchvision()  # which pytorch-ood imports
        from pytorch_ood import detector as detectors

    head = model.head[-1]
    if not isinstance(head, torch.nn.Linear):
        raise ValueError(f"the net ends in {head}, not in a linear layer: leave runs with centred logits out")
    body = torch.nn.Sequential(model.features, *model.head[:-1])
    train, *features = (predict(body, images, prepare) for images in (dataset.train_x, *sides.values()))
    features = dict(zip(sides, features))
    with torch.no_grad():
        ln_z = metrics.log_px(head(train), label_space=label_space)
        logits = {side: head(z) for side, z in features.items()}
        found = {side: scores(f, label_space, ln_z.mean().item()) for side, f in logits.items()}
        for name, make in field.items():
            detector = make(detectors, head)
            if name == "GEN":
                of = {side: detector.predict_logits(f) for side, f in logits.items()}
            else:
                detector.fit_features(train, dataset.train_y)
                of = {side: detector.predict_features(z) for side, z in features.items()}
            for side, values in of.items():
                found[side][name] = -values  # theirs are higher for what is unfamiliar
    for side, images in sides.items():
        found[side]["compressed size"] = torch.tensor(
            [float(len(zlib.compress(x.numpy().tobytes()))) for x in images]
        )
    right = logits["familiar"].argmax(-1) == labels
    return Scored(found, right, (ln_z.logsumexp(0) - math.log(len(ln_z))).item())


def between(nets: dict[Run, Scored]) -> Iterable[tuple[Run, Scored]]:
    """Of each net the scores that need others beside it, where ``nets`` has those.

    "likelihood ratio": ln Z(x) minus that of its background net, which was trained alike on mutated images
    (Ren et al., 2019). "mean ln p(x)": over the nets of all other seeds; "WAIC": that minus the variance
    (Choi et al., 2018).
    """
    for run, net in nets.items():
        background = nets.get(replace(run, augmentation="mutate")) if not run.augmentation else None
        others = [one for other, one in nets.items() if other != run and replace(other, seed=run.seed) == run]
        found = {side: {} for side in net.scores}
        for side, of_side in found.items():
            if background:
                of_side["likelihood ratio"] = net.scores[side]["log_px"] - background.scores[side]["log_px"]
            if len(others) > 1:
                density = torch.stack([one.scores[side]["log_px"] - one.level for one in others])
                of_side["mean ln p(x)"] = density.mean(0)
                of_side["WAIC"] = density.mean(0) - density.var(0)
        yield run, net._replace(scores=found)


def measure(net: Scored) -> Iterable[dict]:
    """Rows ``score``, ``set``, ``auroc``, ``fpr_at_95_tpr``, ``augrc``: familiar images against each set.

    For ``metrics.augrc`` fails what is unfamiliar, and what is familiar and classified wrongly.
    """
    for name, unknown in net.scores.items():
        if name == "familiar":
            continue
        for score, inside in net.scores["familiar"].items():
            correct = torch.cat([net.right, torch.zeros(len(unknown[score]), dtype=torch.bool)])
            yield {
                "score": score,
                "set": name,
                "auroc": metrics.auroc(inside, unknown[score]),
                "fpr_at_95_tpr": metrics.fpr_at_tpr(inside, unknown[score]),
                "augrc": metrics.augrc(torch.cat([inside, unknown[score]]), correct),
            }


def groups(record: dict, sizes: Iterable[int], count: int = 2000) -> pd.DataFrame:
    """Typicality of groups of images from one side (Nalisnick et al., 2019): a row per size ``M``.

    ``auroc``: ``count`` familiar groups against as many unfamiliar ones, by how far the mean of their ln p(x)
    lies from that of the training images; ``own``: from that of the familiar images; ``single``: of the
    images themselves. ``inside`` and ``outside``: how much lower than on training images it is. Groups are
    drawn, the same every time, from the histograms of a record, so to the width of their bins.
    """
    found = record["evaluations"]["long"]
    points = score_points(record)
    bins = points[points["panel"] == "histogram"].pivot(index="x", columns="series", values="y")
    middle = bins.index + np.diff(bins.index).mean() / 2
    trained, of_sides = found["train_log_px"]["mean"], bins.T @ middle
    random = np.random.default_rng(0)
    rows = []
    for size in sizes:
        drawn = [random.multinomial(size, bins[side], count) @ middle / size for side in bins]
        rates = (
            metrics.auroc(*(metrics.typicality(mean, at) for mean in drawn))
            for at in (trained, of_sides["inside"])
        )
        rows.append(dict(zip(("M", "auroc", "own"), (size, *rates))))
    single = found["ood"]["scores"]["typicality"]["auroc"]
    return pd.DataFrame(rows).assign(single=single, **(trained - of_sides))


def table(runs: Iterable[Run], store: Store, root: str | Path | None, *, choosing: bool) -> pd.DataFrame:
    """A row per net, score and set, of the long scheme's nets that are kept here; others are left out.

    The sets are ``unfamiliar``, with the scores of the field; or, for choosing, ``held_back``, without them.
    ValueError for nets that were trained on other data than is here.
    """
    rows, loaded, nets, made = [], {}, {}, {"code": code_version()}
    for run, record in store.select(list(runs)).items():
        if not store.has_weights(record):
            continue
        if run.dataset not in loaded:
            dataset = load_dataset(run.dataset, root=root)
            prepare = Normalise(dataset.train_x, "cpu")
            images, labels = familiar(dataset, choosing)
            sides = held_back(dataset) if choosing else unfamiliar(dataset, root)
            sides = {"familiar": images, **sides}
            loaded[run.dataset] = dataset, sides, labels, prepare
        dataset, sides, labels, prepare = loaded[run.dataset]
        check_data(record, dataset)
        model = initial_model(run, dataset).to(memory_format=torch.channels_last)
        store.load_into(model, record)
        net = examine(model, run.label_space, dataset, sides, labels, prepare, {} if choosing else FIELD)
        rows += [_named(run) | made | row for row in measure(net)]
        nets[run] = net._replace(scores={side: {"log_px": of["log_px"]} for side, of in net.scores.items()})
    rows += [_named(run) | made | row for run, net in between(nets) for row in measure(net)]
    return pd.DataFrame(rows)


def _named(run):
    fields = {name: getattr(run, name) for name in ("dataset", "loss", "batch_size", "seed", "augmentation")}
    return fields | {"setting": in_words(run)}
