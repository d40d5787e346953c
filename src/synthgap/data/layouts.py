"""Where the images of a set lie in what was downloaded: published layouts and ImageFolder.

A reader yields where each image goes (`train/<class>/<file>`, or `<class>/<file>`) and where it
comes from; it changes nothing outside its scratch folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from synthgap.data.folder import RawFolder
from synthgap.data.image_set import write_png
from synthgap.data.published import imagenet100_classes
from synthgap.errors import DataError


@dataclass(frozen=True)
class Placed:
    """One image: where it goes in the set (POSIX, relative) and the file it comes from."""

    target: str
    origin: Path


def find_layout(name: str, source: Path, scratch: Path) -> Iterator[Placed]:
    """Find the images of set `name` in `source`, as published or in ImageFolder layout.

    Raises:
        DataError: the layout is neither, or refers to files that are not there.
    """
    if not source.is_dir():
        raise DataError(f"{source}: missing, expected a folder or a .zip; check --from-folder")
    layout = LAYOUTS.get(name)
    base = _base(source, layout) if layout else None
    found = layout.read(base, scratch) if layout and base else _image_folder(source)
    for one in found:
        if ".." in one.target.split("/") or one.target.startswith("/"):
            raise DataError(f"{one.origin}: leaves {source}; expected paths inside it")
        yield one


@dataclass(frozen=True)
class Layout:
    """A published layout: known by `marker` in the folder itself, or in `inside` it."""

    marker: str
    inside: str
    read: Callable[[Path, Path], Iterator[Placed]]


def _base(source: Path, layout: Layout) -> Path | None:
    places = (source, source / layout.inside)
    return next((place for place in places if (place / layout.marker).exists()), None)


def _image_folder(source: Path) -> Iterator[Placed]:
    for raw in RawFolder.read(source).images:
        target = f"{raw.split}/{raw.class_name}" if raw.split else raw.class_name
        yield Placed(f"{target}/{raw.path.name}", raw.path)


def _cifar10(base: Path, scratch: Path) -> Iterator[Placed]:
    """The python batches, which torchvision checks by md5 before it unpickles them."""
    from torchvision.datasets import CIFAR10

    for split in ("train", "test"):
        try:
            batches = CIFAR10(root=str(base), train=split == "train", download=False)
        except RuntimeError as error:
            raise DataError(f"{base}: {error}; expected CIFAR-10's python batches") from error
        for index, (pixels, label) in enumerate(zip(batches.data, batches.targets, strict=True)):
            target = f"{split}/{batches.classes[label]}/{index:05d}.png"
            write_png(scratch / target, pixels)
            yield Placed(target, scratch / target)


def _pets(base: Path, scratch: Path) -> Iterator[Placed]:  # noqa: ARG001 - as every reader
    for split, listing in (("train", "trainval.txt"), ("test", "test.txt")):
        for line in _lines(base / "annotations" / listing):
            image = line.split()[0]
            class_name = image.rsplit("_", 1)[0]
            origin = _present(base / "images" / f"{image}.jpg")
            yield Placed(f"{split}/{class_name}/{image}.jpg", origin)


def _flowers(base: Path, scratch: Path) -> Iterator[Placed]:  # noqa: ARG001 - as every reader
    from scipy.io import loadmat  # type: ignore[import-untyped] # scipy ships no types
    from torchvision.datasets import Flowers102

    labels = loadmat(_present(base / "imagelabels.mat"), squeeze_me=True)["labels"]
    ids = loadmat(base / "setid.mat", squeeze_me=True)
    for split, key in (("train", "trnid"), ("val", "valid"), ("test", "tstid")):
        for index in ids[key].tolist():
            class_name = Flowers102.classes[int(labels[index - 1]) - 1].replace("/", "-")
            image = f"image_{index:05d}.jpg"
            yield Placed(f"{split}/{class_name}/{image}", _present(base / "jpg" / image))


def _cub(base: Path, scratch: Path) -> Iterator[Placed]:  # noqa: ARG001 - as every reader
    is_train = dict(line.split() for line in _lines(base / "train_test_split.txt"))
    for line in _lines(base / "images.txt"):
        index, image = line.split()
        split = "train" if is_train.get(index) == "1" else "test"
        yield Placed(f"{split}/{image}", _present(base / "images" / image))


def _imagenet(base: Path, wanted: frozenset[str] | None) -> Iterator[Placed]:
    """train/<wnid>/ and val/<wnid>/: the official val is our test, the unlabelled test is left."""
    held_out = "val" if (base / "val").is_dir() else "test"
    for split, inside in (("train", "train"), ("test", held_out)):
        if not (base / inside).is_dir():
            raise DataError(
                f"{base / inside}: missing, expected train/<wnid>/ and val/<wnid>/; "
                "torchvision.datasets.ImageNet unpacks the published archives so"
            )
        for raw in RawFolder.read(base / inside).images:
            if wanted is None or raw.class_name in wanted:
                yield Placed(f"{split}/{raw.source}", raw.path)


def _imagenet1k(base: Path, scratch: Path) -> Iterator[Placed]:  # noqa: ARG001 - as every reader
    return _imagenet(base, None)


def _imagenet100(base: Path, scratch: Path) -> Iterator[Placed]:  # noqa: ARG001 - as every reader
    return _imagenet(base, imagenet100_classes())


def _lines(path: Path) -> list[str]:
    """Lines of an annotation file, without comments and blank ones."""
    lines = _present(path).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def _present(path: Path) -> Path:
    if not path.is_file():
        raise DataError(f"{path}: missing, but the published layout has it; unpack the whole set")
    return path


LAYOUTS: Mapping[str, Layout] = {
    "cifar10": Layout("cifar-10-batches-py", "cifar10", _cifar10),
    "pets": Layout("annotations/trainval.txt", "oxford-iiit-pet", _pets),
    "flowers": Layout("setid.mat", "flowers-102", _flowers),
    "cub": Layout("train_test_split.txt", "CUB_200_2011", _cub),
    "imagenet1k": Layout("train", "ILSVRC/Data/CLS-LOC", _imagenet1k),
    "imagenet100": Layout("train", "ILSVRC/Data/CLS-LOC", _imagenet100),
}
