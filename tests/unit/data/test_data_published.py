import pytest
from image_folders import paint_folder

from synthgap.data.folder import RawFolder
from synthgap.data.published import FETCH, PUBLISHED, PublishedSet, imagenet100_classes
from synthgap.errors import DataError

SMALL = PublishedSet(2, {"train": 6, "test": 4}, {"train": 3})


def folder(root, train=3, test=2, classes=("cat", "dog")):
    paint_folder(root / "train", classes=classes, per_class=train)
    paint_folder(root / "test", classes=classes, per_class=test, start=500)
    return root


def test_the_published_counts_pass(tmp_path):
    SMALL.check(RawFolder.read(folder(tmp_path)), "x")


def test_missing_images_classes_and_an_uneven_class_are_named(tmp_path):
    root = folder(tmp_path, test=1)
    with pytest.raises(DataError, match="2 images in test, expected the published 4"):
        SMALL.check(RawFolder.read(root), "x")
    root = folder(tmp_path / "three", classes=("a", "b", "c"))
    with pytest.raises(DataError, match="3 classes, expected the published 2"):
        SMALL.check(RawFolder.read(root), "x")
    root = folder(tmp_path / "uneven")
    (root / "train" / "cat" / "000.png").rename(root / "train" / "dog" / "moved.png")
    with pytest.raises(DataError, match="2 images in train/cat, expected the published 3"):
        SMALL.check(RawFolder.read(root), "x")


def test_a_split_that_was_not_published_is_refused(tmp_path):
    paint_folder(folder(tmp_path) / "val", per_class=1, start=900)
    with pytest.raises(DataError, match="2 images in val, expected the published 0"):
        SMALL.check(RawFolder.read(tmp_path), "x")


@pytest.mark.parametrize("name", PUBLISHED)
def test_per_class_counts_agree_with_the_totals(name):
    published = PUBLISHED[name]
    for split, count in published.per_class.items():
        assert count * published.num_classes == published.images[split]
    assert published.download == (name in FETCH)


def test_imagenet100_has_100_synsets():
    names = imagenet100_classes()
    assert len(names) == 100
    assert all(name[0] == "n" and len(name) == 9 and name[1:].isdigit() for name in names)
