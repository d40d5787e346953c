import pytest
from image_folders import paint, paint_folder

from synthgap.data.folder import RawFolder
from synthgap.errors import DataError


def refused(root, *words):
    with pytest.raises(DataError) as caught:
        RawFolder.read(root)
    line = str(caught.value)
    assert "\n" not in line
    for word in words:
        assert str(word) in line


def test_class_folders(tmp_path):
    folder = RawFolder.read(paint_folder(tmp_path, per_class=3))
    assert folder.classes == ("cat", "dog")
    assert folder.splits == ()
    assert [raw.source for raw in folder.images][:2] == ["cat/000.png", "cat/001.png"]


def test_split_folders_and_their_long_name(tmp_path):
    for index, name in enumerate(("train", "validation", "test")):
        paint_folder(tmp_path / name, per_class=2, start=50 * index)
    folder = RawFolder.read(tmp_path)
    assert folder.splits == ("test", "train", "val")
    assert {raw.split for raw in folder.images} == {"train", "val", "test"}


def test_a_class_may_be_called_train(tmp_path):
    folder = RawFolder.read(paint_folder(tmp_path, classes=("car", "train"), per_class=1))
    assert folder.classes == ("car", "train")


def test_the_listing_order_of_the_file_system_changes_nothing(tmp_path, monkeypatch):
    paint_folder(tmp_path, classes=("b", "a", "c"), per_class=5)
    plain = RawFolder.read(tmp_path)
    listed = type(tmp_path).iterdir
    monkeypatch.setattr(type(tmp_path), "iterdir", lambda path: reversed(list(listed(path))))
    assert RawFolder.read(tmp_path) == plain


@pytest.mark.parametrize(
    "name", [".DS_Store", "Thumbs.db", "desktop.ini", ".ipynb_checkpoints/x", "__MACOSX/._000.png"]
)
def test_what_systems_leave_behind_is_no_part_of_a_set(tmp_path, name):
    paint_folder(tmp_path, per_class=2)
    plain = RawFolder.read(tmp_path)
    for place in (tmp_path, tmp_path / "cat"):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes(b"junk")
    assert RawFolder.read(tmp_path) == plain


def test_missing_folder(tmp_path):
    refused(tmp_path / "none", tmp_path / "none", "missing")


def test_empty_folder(tmp_path):
    refused(tmp_path, "empty")


def test_class_without_images(tmp_path):
    paint_folder(tmp_path)
    (tmp_path / "emu").mkdir()
    (tmp_path / "emu" / ".keep").touch()
    refused(tmp_path, tmp_path / "emu", "no images")


@pytest.mark.parametrize(("one", "other"), [("Cat", "cat"), ("caf\u00e9", "cafe\u0301")])
def test_names_that_collide(tmp_path, one, other):
    paint_folder(tmp_path, classes=(one, other), per_class=1)
    refused(tmp_path, "collides", repr(min(one, other)))


def test_file_beside_the_class_folders(tmp_path):
    paint_folder(tmp_path)
    (tmp_path / "README.txt").write_text("hello")
    refused(tmp_path, "README.txt", "beside")


def test_folder_inside_a_class(tmp_path):
    paint_folder(tmp_path)
    paint(tmp_path / "cat" / "more" / "x.png", 1)
    refused(tmp_path, tmp_path / "cat" / "more", "folder inside class 'cat'")


def test_two_validation_folders(tmp_path):
    for name in ("train", "val", "validation"):
        paint_folder(tmp_path / name, per_class=1)
    refused(tmp_path, "both val and validation")


def test_classes_that_differ_between_splits(tmp_path):
    root = tmp_path / "set"
    paint_folder(root / "train", classes=("cat", "dog"), per_class=1)
    paint_folder(root / "test", classes=("cat", "emu"), per_class=1)
    refused(root, root / "test" / "emu", "not a class")
    (root / "test" / "emu").rename(tmp_path / "elsewhere")
    refused(root, root / "test" / "dog", "missing")


@pytest.mark.parametrize("place", ["link", "cat/link.png"])
def test_link_that_leaves_the_folder(tmp_path, place):
    root = paint_folder(tmp_path / "set")
    outside = paint_folder(tmp_path / "outside", classes=("x",))
    (root / place).symlink_to(outside / "x" / "000.png" if "/" in place else outside / "x")
    refused(root, root / place, "outside")


def test_broken_link(tmp_path):
    root = paint_folder(tmp_path / "set")
    (root / "cat" / "link.png").symlink_to("nowhere.png")
    refused(root, "link.png", "broken")


def test_links_that_dvc_makes_to_its_cache_are_the_files_themselves(tmp_path):
    root = paint_folder(tmp_path / "set")
    plain = RawFolder.read(root)
    stored = tmp_path / "cache" / "files" / "md5" / "ab" / ("c" * 30)
    stored.parent.mkdir(parents=True)
    (root / "cat" / "000.png").rename(stored)
    (root / "cat" / "000.png").symlink_to(stored)
    assert RawFolder.read(root) == plain
