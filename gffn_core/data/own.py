"""Images of one's own, in a file or in folders, as a data set."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from gffn_core.data.datasets import DATASETS, Dataset, canonical_images, load_dataset, read_npz, stratified
from gffn_core.data.files import write_atomically
from gffn_core.data.sources import import_torchvision


def load_own(path: Path, root: Path, size: int = 32, *, mode: str = "RGB") -> Dataset:
    """The data set ``path``, which is ``<root>/<name>.npz`` from then on.

    path: that file, see ``load_dataset``, or a folder, see ``split_folder``. Errors: those of the two, and
    ValueError for a path that is neither, for the name of a data set of the book, and for a folder whose file
    would take the place of one that was not made so.
    """
    _check_own(path)
    if path.is_dir():
        kept = root / f"{path.stem}.npz"
        if kept.exists() and not _made_of_a_folder(kept):
            raise ValueError(
                f"{kept} would be overwritten; move it away, or choose another folder of results"
            )
        arrays = split_folder(path, size, mode=mode)
        write_atomically(kept, lambda file: np.savez(file, folder=path.name, **arrays))
    return load_dataset(path.stem, root=root)


def _made_of_a_folder(path):
    """Whether ``load_own`` wrote the file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return "folder" in file.files
    except Exception:  # a damaged archive can raise almost anything
        return False


def _check_own(path):
    if not path.is_dir() and (path.suffix != ".npz" or not path.exists()):
        raise ValueError(f"{path} is not there, or neither an .npz file nor a folder of images")
    if path.stem in DATASETS:
        raise ValueError(f"{path}: {path.stem!r} is a data set of the book; give yours another name")


def images_like(dataset: Dataset, path: Path) -> Tensor:
    """Images (N, C, H, W) of the form of a data set's: all in a folder, made so, or ``test_x`` of a file.

    ValueError for a path that is neither, the name of a data set of the book, and images of another shape.
    """
    _check_own(path)
    _, channels, size, _ = dataset.test_x.shape
    if path.is_dir():
        mode = "L" if channels == 1 else "RGB"
        return torch.from_numpy(read_folder(path, size, mode=mode, classes=["."])[0])
    images = torch.from_numpy(canonical_images(read_npz(path, ["test_x"])["test_x"], f"{path}: test_x"))
    if images.shape[1:] != dataset.test_x.shape[1:]:
        shapes = [tuple(one.shape[1:]) for one in (images, dataset.test_x)]
        raise ValueError(f"{path} has images of shape {shapes[0]}, {dataset.name} of shape {shapes[1]}")
    return images


def split_folder(path: Path, size: int, *, mode: str) -> dict[str, np.ndarray]:
    """train_x, train_y, test_x and test_y, as ``load_dataset`` reads them from a file.

    path: holds train/ and test/ (or val/ in its place), each with a folder a class; or the classes' folders
    alone, of which a fifth, drawn at random but always the same, is for testing. Errors: those of
    ``read_folder``, and ValueError for a test folder that is missing or has other classes.
    """
    if not (path / "train").is_dir():
        x, y, _ = read_folder(path, size, mode=mode)
        test = stratified(y, 5)
        return {"train_x": x[~test], "train_y": y[~test], "test_x": x[test], "test_y": y[test]}
    held_out = next((path / name for name in ("test", "val") if (path / name).is_dir()), None)
    if held_out is None:
        raise ValueError(f"{path} has train/ but no test/ or val/; add one, or move the classes' folders up")
    train_x, train_y, classes = read_folder(path / "train", size, mode=mode)
    test_x, test_y, others = read_folder(held_out, size, mode=mode)
    if classes != others:
        raise ValueError(f"{held_out} has the classes {others}, train/ has {classes}; they must be the same")
    return {"train_x": train_x, "train_y": train_y, "test_x": test_x, "test_y": test_y}


def read_folder(
    path: Path, size: int, *, mode: str, classes: list[str] | None = None
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """uint8 images (N, 3, size, size), or (N, 1, size, size) in mode "L" (grey), labels (N,), class names.

    path: as for torchvision's ImageFolder. Of each image, turned as its EXIF data say, the largest square in
    the middle is resized. classes: their folders' names; default: all but hidden ones.
    ValueError for a file that is no image of 8 bits, FileNotFoundError for a folder without classes and for
    a class without images.
    """

    if size < 1:
        raise ValueError(f"size={size} must be at least 1 pixel")

    def square(file):
        try:
            with Image.open(file) as image:
                if image.mode[0] in "IF":  # which Pillow would cut off at 255
                    raise ValueError(f"its pixels have more than 8 bits, mode {image.mode}")
                return np.asarray(ImageOps.fit(ImageOps.exif_transpose(image).convert(mode), (size, size)))
        except Exception as error:  # a damaged image can raise almost anything
            raise ValueError(f"{file} cannot be read as an image ({error}); convert or remove it") from error

    folder = import_torchvision().datasets.folder
    classes = classes or sorted(one.name for one in path.iterdir() if one.is_dir() and one.name[0] != ".")
    if not classes:
        raise FileNotFoundError(f"{path} holds no folder of a class; put each class's images into its own")
    numbers = {name: number for number, name in enumerate(classes)}
    try:
        samples = folder.make_dataset(path, numbers, folder.IMG_EXTENSIONS)
    except FileNotFoundError as error:  # torchvision's text names classes alone
        raise FileNotFoundError(
            f"{path}: every folder of {', '.join(classes)} must hold an image, such as a .png ({error})"
        ) from error
    images, labels = zip(*((square(file), label) for file, label in samples))
    channels_last = np.stack(images).reshape(len(images), size, size, -1)
    return channels_last.transpose(0, 3, 1, 2), np.array(labels), classes
