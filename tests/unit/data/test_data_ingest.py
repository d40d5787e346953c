import re
from collections import Counter
from hashlib import sha256

import numpy as np
import pytest
from image_folders import REPOSITORY, mode_and_size, paint, paint_folder, tree, write_pins
from PIL import Image

from synthgap.data import ImageSet
from synthgap.data.ingest import IngestParams, ingest
from synthgap.data.splits import SPLITS
from synthgap.errors import DataError
from synthgap.jobs import Artifacts
from synthgap.params.sections import Data, Splits

COLUMNS = ["path", "label", "class_name", "sha256", "source_path", "source_sha256"]
COLUMNS += ["source_mode", "width", "height"]
SIZES = {"corpus": 4, "train": 4, "val": 1, "test": "rest"}


def params(seed=1, image_size=8, encoding="png", **splits):
    return IngestParams(seed, Data("mine", image_size, encoding, Splits(**SIZES | splits)))


def run(root, recipe="r", pin=True, **given):
    if pin:
        write_pins(root, "mine")
    artifacts = Artifacts(root, recipe)
    ingest(params(**given), artifacts)
    return {name: ImageSet.read(artifacts.image_set(name)) for name in SPLITS}


def refused(root, *words, **given):
    """One line that names these, and nothing written."""
    with pytest.raises(DataError) as caught:
        run(root, **given)
    line = str(caught.value)
    assert "\n" not in line
    for word in words:
        assert str(word) in line
    assert not (root / "artifacts").exists()
    work = root / ".synthgap" / "work"
    assert not work.exists() or all(path.suffix == ".lock" for path in work.iterdir())
    return line


def official(root, per_class=12, **folders):
    """data/mine with split folders; a number is images a class."""
    for index, (name, count) in enumerate(folders.items()):
        paint_folder(root / "data" / "mine" / name, per_class=count, start=100 * index)
    return root


@pytest.fixture
def root(tmp_path):
    paint_folder(tmp_path / "data" / "mine")
    return tmp_path


def test_splits_are_disjoint_stratified_and_complete(root, capsys):
    sets = run(root)
    sources = [path for one in sets.values() for path in one.rows().source_path]
    assert len(sources) == len(set(sources)) == 24
    for name, count in {"corpus": 4, "train": 4, "val": 1, "test": 3}.items():
        assert Counter(sets[name].labels.tolist()) == {0: count, 1: count}
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "mine train: 8 images, 4 to 4 a class"


def test_the_manifest_describes_every_image(root):
    one = run(root, image_size=16)["train"]
    rows = one.rows()
    assert list(rows.columns) == COLUMNS
    assert (one.kind, one.classes) == ("real", ("cat", "dog"))
    for row in rows.itertuples():
        stored = one.root / row.path
        source = root / "data" / "mine" / row.source_path
        assert sha256(stored.read_bytes()).hexdigest() == row.sha256
        assert sha256(source.read_bytes()).hexdigest() == row.source_sha256
        assert mode_and_size(stored) == ("RGB", (16, 16))
        assert (row.source_mode, row.width, row.height) == ("RGB", 8, 8)
        assert row.class_name == one.classes[row.label] == row.path.split("/")[0]
    on_disk = {path for path in tree(one.root) if path.endswith(".png")}
    assert on_disk == set(rows.path)
    assert list(rows.path) == sorted(rows.path)


def test_images_of_the_asked_size_keep_their_pixels(root):
    one = run(root)["test"]
    for index, source in enumerate(one.rows().source_path):
        original = np.asarray(Image.open(root / "data" / "mine" / source))
        assert np.array_equal(one.pixels(8)[index], original)


def test_greyscale_and_transparent_images_become_rgb(root):
    paint(root / "data" / "mine" / "cat" / "grey.png", 77, mode="L", size=(20, 10))
    paint(root / "data" / "mine" / "cat" / "clear.png", 78, mode="RGBA")
    sets = run(root)
    modes = {mode_and_size(one.root / path)[0] for one in sets.values() for path in one.paths}
    stated = {mode for one in sets.values() for mode in one.rows().source_mode}
    assert (modes, stated) == ({"RGB"}, {"L", "RGB", "RGBA"})


def test_original_keeps_the_files_bytes(root):
    sets = run(root, encoding="original")
    for one in sets.values():
        for path, source in zip(one.paths, one.rows().source_path, strict=True):
            assert (one.root / path).read_bytes() == (root / "data/mine" / source).read_bytes()


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(root):
    run(root)
    run(root, recipe="again")
    other = run(root, recipe="other", seed=2)
    sets = root / "artifacts" / "sets"
    assert tree(sets / "r") == tree(sets / "again")
    assert other["train"].digest != ImageSet.read(sets / "r" / "train").digest


def test_what_the_sets_hold_depends_on_nothing_but_the_splits(root):
    """Params of another split must not rerun what reads this one: no stamp lies in a set."""
    run(root)
    assert {path for path in tree(root / "artifacts/sets/r/val") if not path.endswith(".png")} == {
        "manifest.parquet"
    }


def test_a_new_class_moves_nobody(root):
    before = {name: set(one.rows().source_path) for name, one in run(root).items()}
    paint_folder(root / "data" / "mine", classes=("bee",), start=9000)
    after = run(root, recipe="more")
    for name, one in after.items():
        assert {path for path in one.rows().source_path if path[:3] != "bee"} == before[name]


def test_none_is_an_empty_set(root):
    empty = run(root, val="none")["val"]
    assert len(empty) == 0
    assert empty.classes == ("cat", "dog")
    assert empty.pixels(8).shape == (0, 8, 8, 3)
    assert empty.pixels(8, store=root / "store").shape == (0, 8, 8, 3)
    assert empty.labels.dtype == np.int64
    assert list(empty.rows().columns) == list(run(root, recipe="x")["train"].rows().columns)


def test_official_folders_stay_whole(tmp_path):
    sets = run(official(tmp_path, train=9, val=3, test=5), val="official", test="official")
    assert {path.split("/")[0] for path in sets["test"].rows().source_path} == {"test"}
    assert {path.split("/")[0] for path in sets["val"].rows().source_path} == {"val"}
    assert (len(sets["test"]), len(sets["val"]), len(sets["train"])) == (10, 6, 8)


def test_a_val_folder_that_is_not_val_joins_the_pool(tmp_path):
    root = official(tmp_path, train=9, val=3, test=5)
    sets = run(root, val="none", test="official", corpus="none", train="rest")
    assert len(sets["train"]) == 24
    # train/cat/000.png and val/cat/000.png are different images of one name
    assert len(set(sets["train"].sha256s)) == 24


def test_names_that_would_collide_are_both_kept(root):
    paint(root / "data" / "mine" / "cat" / "000.bmp", 555)
    sets = run(root, test="rest")
    kept = [path for one in sets.values() for path in one.paths if path.startswith("cat/000")]
    assert len(kept) == 2
    assert all(re.fullmatch(r"cat/000-[0-9a-f]{16}\.png", path) for path in kept)


def test_an_official_test_set_is_not_cut(tmp_path):
    refused(official(tmp_path, train=9, test=5), "stays whole", test=2)


def test_official_needs_its_folder(root):
    refused(root, root / "data" / "mine" / "test", "missing", test="official")


def test_missing_set(tmp_path):
    line = refused(tmp_path, tmp_path / "data" / "mine", "synthgap data import mine", pin=False)
    assert "missing" in line


def test_set_that_data_dvc_does_not_know(root):
    (root / "data.dvc").write_text("outs:\n- path: data\n")
    refused(root, root / "data" / "mine", "synthgap data pin mine", pin=False)


def test_tampering_is_one_line_with_the_number_of_files(root):
    run(root)
    before = tree(root / "artifacts")
    (root / "data" / "mine" / "cat" / "003.png").write_bytes(b"not even an image")
    (root / "data" / "mine" / "dog" / "004.png").unlink()
    paint(root / "data" / "mine" / "dog" / "new.png", 99)
    with pytest.raises(DataError) as caught:
        run(root, pin=False)
    assert "3 files differ (cat/003.png: changed)" in str(caught.value)
    assert "git checkout data.dvc && dvc checkout data.dvc" in str(caught.value)
    assert "synthgap data pin mine" in str(caught.value)
    assert tree(root / "artifacts") == before


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "empty"), (b"text", "not an image"), (None, "truncated")]
)
def test_bad_file(root, content, reason):
    path = root / "data" / "mine" / "dog" / "007.png"
    path.write_bytes(path.read_bytes()[:150] if content is None else content)
    refused(root, path, reason)


def test_class_without_images(root):
    (root / "data" / "mine" / "emu").mkdir()
    with pytest.raises(DataError, match="no images"):
        ingest(params(), Artifacts(root, "r"))


def test_too_few_images(root):
    for index in range(6, 12):
        (root / "data" / "mine" / "dog" / f"{index:03d}.png").unlink()
    refused(root, "class 'dog' has 6 images", "corpus 4, train 4, val 1, test 1")


def test_same_bytes_in_two_classes(root):
    mine = root / "data" / "mine"
    (mine / "dog" / "copy.png").write_bytes((mine / "cat" / "001.png").read_bytes())
    refused(root, mine / "dog" / "copy.png", mine / "cat" / "001.png", "another of the classes")


def test_same_bytes_in_train_and_test(tmp_path):
    mine = official(tmp_path, train=9, test=5) / "data" / "mine"
    (mine / "test" / "cat" / "x.png").write_bytes((mine / "train/cat/001.png").read_bytes())
    refused(tmp_path, "another of the splits", mine / "train/cat/001.png", test="official")


def test_same_bytes_twice_in_a_class_never_leak(root):
    mine = root / "data" / "mine"
    for index in range(12):
        copy = mine / "cat" / f"{index:03d}-copy.png"
        copy.write_bytes((mine / "cat" / f"{index:03d}.png").read_bytes())
    sets = run(root, val=2)
    for name, one in sets.items():
        others = {sha for other in SPLITS if other != name for sha in sets[other].sha256s}
        assert not others & set(one.sha256s)


def test_link_that_leaves_the_set(root):
    outside = paint(root / "outside.png", 5)
    (root / "data" / "mine" / "cat" / "link.png").symlink_to(outside)
    with pytest.raises(DataError, match="outside"):
        ingest(params(), Artifacts(root, "r"))


def test_a_rerun_replaces_what_a_killed_one_left(root):
    run(root)
    whole = tree(root / "artifacts")
    (root / "artifacts/sets/r/train/manifest.parquet").unlink()
    (root / "artifacts/sets/r/val/stray.png").write_bytes(b"half")
    run(root)
    assert tree(root / "artifacts") == whole


def test_synthetic_sets_beside_the_splits_are_left_alone(root):
    beside = root / "artifacts" / "sets" / "r" / "g2.0" / "x.png"
    beside.parent.mkdir(parents=True)
    beside.write_bytes(b"made elsewhere")
    run(root)
    assert beside.read_bytes() == b"made elsewhere"


def test_published_sets_are_taken_as_published(root, capsys, monkeypatch):
    from synthgap.data import checking

    monkeypatch.setattr(checking, "PUBLISHED", {"mine": None})
    mine = root / "data" / "mine"
    (mine / "dog" / "copy.png").write_bytes((mine / "cat" / "001.png").read_bytes())
    run(root)
    assert "1 pairs of equal images" in capsys.readouterr().err


def test_digits_split_as_shipped(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine").symlink_to(REPOSITORY / "embedded" / "digits")
    sets = run(tmp_path, corpus=60, train=60, val=10, image_size=16)
    assert {name: len(one) for name, one in sets.items()} == {
        "corpus": 600,
        "train": 600,
        "val": 100,
        "test": 497,
    }
    # Pinned: the frozen splits are the same on every machine and in every version.
    digests = {name: one.digest[:16] for name, one in sets.items()}
    assert digests == DIGITS_DIGESTS


DIGITS_DIGESTS = {
    "corpus": "2eb2942f2c185b52",
    "train": "271295826159e23a",
    "val": "6ffbedbf69f57557",
    "test": "c2acfa7e10420fe2",
}
