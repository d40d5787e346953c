import pickle
from hashlib import md5
from pathlib import Path

import numpy as np
import pytest
from image_folders import paint, paint_folder
from PIL import Image

from synthgap.data.layouts import find_layout
from synthgap.data.published import imagenet100_classes
from synthgap.errors import DataError


def placed(name, source, scratch):
    return {one.target: one.origin for one in find_layout(name, source, scratch)}


def test_image_folder_with_and_without_splits(tmp_path):
    plain = paint_folder(tmp_path / "plain", per_class=1)
    assert list(placed("mine", plain, tmp_path)) == ["cat/000.png", "dog/000.png"]
    for name in ("train", "validation"):
        paint_folder(tmp_path / "split" / name, per_class=1)
    found = placed("mine", tmp_path / "split", tmp_path)
    assert found["val/cat/000.png"] == tmp_path / "split" / "validation" / "cat" / "000.png"


@pytest.mark.parametrize("inside", ["", "oxford-iiit-pet"])
def test_pets(tmp_path, inside):
    base = tmp_path / inside
    for name in ("Abyssinian_1", "american_bulldog_10", "american_bulldog_2"):
        paint(base / "images" / f"{name}.jpg", 1)
    (base / "annotations").mkdir()
    (base / "annotations" / "trainval.txt").write_text("#head\nAbyssinian_1 1 1 1\n")
    (base / "annotations" / "test.txt").write_text("american_bulldog_10 2 2 1\n")
    assert placed("pets", tmp_path, tmp_path) == {
        "train/Abyssinian/Abyssinian_1.jpg": base / "images" / "Abyssinian_1.jpg",
        "test/american_bulldog/american_bulldog_10.jpg": base / "images/american_bulldog_10.jpg",
    }
    (base / "images" / "Abyssinian_1.jpg").unlink()
    with pytest.raises(DataError, match=r"Abyssinian_1\.jpg: missing"):
        placed("pets", tmp_path, tmp_path)


def test_cub(tmp_path):
    base = tmp_path / "CUB_200_2011"
    for name in ("001.A/x.jpg", "002.B/y.jpg"):
        paint(base / "images" / name, 1)
    (base / "images.txt").write_text("1 001.A/x.jpg\n2 002.B/y.jpg\n")
    (base / "train_test_split.txt").write_text("1 1\n2 0\n")
    assert list(placed("cub", tmp_path, tmp_path)) == ["train/001.A/x.jpg", "test/002.B/y.jpg"]


def test_a_listing_that_leads_out_of_the_folder_is_refused(tmp_path):
    paint(tmp_path / "evil.jpg", 1)
    (tmp_path / "set" / "images").mkdir(parents=True)
    (tmp_path / "set" / "images.txt").write_text("1 ../../evil.jpg\n")
    (tmp_path / "set" / "train_test_split.txt").write_text("1 1\n")
    with pytest.raises(DataError, match="leaves"):
        placed("cub", tmp_path / "set", tmp_path)


def test_flowers(tmp_path):
    from scipy.io import savemat

    for index in (1, 2, 3):
        paint(tmp_path / "jpg" / f"image_{index:05d}.jpg", index)
    savemat(tmp_path / "imagelabels.mat", {"labels": np.array([1, 2, 2])})
    ids = {"trnid": [[1]], "valid": [[2]], "tstid": [[3]]}
    savemat(tmp_path / "setid.mat", {key: np.array([*value, *value]) for key, value in ids.items()})
    assert list(placed("flowers", tmp_path, tmp_path)) == [
        "train/pink primrose/image_00001.jpg",
        "val/hard-leaved pocket orchid/image_00002.jpg",
        "test/hard-leaved pocket orchid/image_00003.jpg",
    ]


def test_imagenet_scores_on_the_official_val_and_100_takes_its_classes(tmp_path):
    inside = sorted(imagenet100_classes())[0]
    for split in ("train", "val"):
        paint_folder(tmp_path / split, classes=(inside, "n99999999"), per_class=1, suffix=".JPEG")
    (tmp_path / "test").mkdir()  # the unlabelled official test
    (tmp_path / "test" / "ILSVRC2012_test_1.JPEG").write_bytes(b"")
    everything = placed("imagenet1k", tmp_path, tmp_path)
    assert everything[f"test/{inside}/000.JPEG"] == tmp_path / "val" / inside / "000.JPEG"
    assert len(everything) == 4
    assert list(placed("imagenet100", tmp_path, tmp_path)) == [
        f"train/{inside}/000.JPEG",
        f"test/{inside}/000.JPEG",
    ]


def test_imagenet_as_kaggle_packs_it_says_that_val_is_unsorted(tmp_path):
    base = tmp_path / "ILSVRC" / "Data" / "CLS-LOC"
    paint_folder(base / "train", classes=("n01440764",), per_class=1)
    paint(base / "val" / "ILSVRC2012_val_1.png", 1)
    with pytest.raises(DataError, match="ILSVRC2012_val_1"):
        placed("imagenet1k", tmp_path, tmp_path)


def test_imagenet_without_val(tmp_path):
    paint_folder(tmp_path / "train", classes=("n01440764",), per_class=1)
    with pytest.raises(DataError, match=r"torchvision\.datasets\.ImageNet"):
        placed("imagenet1k", tmp_path, tmp_path)


def test_a_missing_folder(tmp_path):
    with pytest.raises(DataError, match="from-folder"):
        placed("pets", tmp_path / "none", tmp_path)


def batch(path: Path, pixels: np.ndarray, labels: list[int]) -> list[str]:
    path.write_bytes(pickle.dumps({"data": pixels.reshape(len(labels), -1), "labels": labels}))
    return [path.name, md5(path.read_bytes(), usedforsecurity=False).hexdigest()]


def test_cifar10_batches_are_checked_by_torchvision_and_become_pngs(tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR10

    base = tmp_path / "cifar-10-batches-py"
    base.mkdir()
    pixels = np.random.default_rng(1).integers(0, 256, (2, 3, 32, 32), dtype=np.uint8)
    names = pickle.dumps({"label_names": [f"class{index}" for index in range(10)]})
    (base / "batches.meta").write_bytes(names)
    meta_md5 = md5(names, usedforsecurity=False).hexdigest()
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": meta_md5})
    monkeypatch.setattr(CIFAR10, "train_list", [batch(base / "data_batch_1", pixels, [3, 0])])
    monkeypatch.setattr(CIFAR10, "test_list", [batch(base / "test_batch", pixels[:1], [9])])
    found = placed("cifar10", tmp_path, tmp_path / "scratch")
    assert list(found) == [
        "train/class3/00000.png",
        "train/class0/00001.png",
        "test/class9/00000.png",
    ]
    stored = np.asarray(Image.open(found["train/class0/00001.png"]))
    assert np.array_equal(stored, pixels[1].transpose(1, 2, 0))
    (base / "test_batch").write_bytes(b"tampered: never unpickled")
    with pytest.raises(DataError, match="corrupted"):
        placed("cifar10", tmp_path, tmp_path / "scratch2")
