"""Whatever stores a set, loose files or shards: one interface, the same answers and errors."""

import io
import tarfile
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import numpy as np
import pytest
from PIL import Image

from synthgap.data import ImageSet, write_manifest, write_png
from synthgap.data.export import export, pack
from synthgap.data.folder import RawFolder
from synthgap.data.packed import append, end_of, finish
from synthgap.errors import DataError

CLASSES = ("cat", "dog", "ünïcode " + "x" * 120)  # longer than a plain tar header holds
COUNT = 7
STORAGES = ("loose", "packed")


def pixels_of(number):
    return np.random.default_rng(number).integers(0, 256, (9, 12, 3), dtype=np.uint8)


def write_loose(root, count=COUNT):
    labels = [number % len(CLASSES) for number in range(count)]
    paths = [f"{CLASSES[label]}/{number:03d}.png" for number, label in enumerate(labels)]
    for label in set(labels):
        (root / CLASSES[label]).mkdir(parents=True)
    shas = [write_png(root / path, pixels_of(number)) for number, path in enumerate(paths)]
    columns = {"path": paths, "label": labels, "sha256": shas, "seed": list(range(count))}
    about = {"generator_real_labels": 5}
    write_manifest(root, kind="synthetic", classes=CLASSES, columns=columns, about=about)
    return ImageSet.read(root)


def build(storage, root, count=COUNT):
    if storage == "loose":
        return write_loose(root, count)
    return pack(write_loose(root.with_name("as-files"), count), root, images_a_shard=3)


@pytest.fixture(params=STORAGES)
def images(request, tmp_path):
    return build(request.param, tmp_path / "set")


def test_the_set_is_what_was_written(images):
    assert (images.kind, images.classes, len(images)) == ("synthetic", CLASSES, COUNT)
    assert images.about["generator_real_labels"] == 5
    assert images.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert images.paths[4] == "dog/004.png"
    assert images.rows()["seed"].tolist() == list(range(COUNT))


def test_every_image_is_the_one_the_manifest_names(images):
    for number in range(COUNT):
        assert sha256(images.content(number)).hexdigest() == images.sha256s[number]
        assert np.array_equal(np.asarray(images.image(number)), pixels_of(number))


def test_threads_read_what_one_reads(images):
    order = list(range(COUNT)) * 20
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(images.content, order))
    assert read == [images.content(number) for number in order]


def test_the_store_of_pixels_changes_nothing_but_time(images, tmp_path):
    plain = images.pixels(8)
    assert plain.shape == (COUNT, 8, 8, 3)
    for _ in range(2):
        assert np.array_equal(images.pixels(8, store=tmp_path / "store"), plain)


def test_storages_of_equal_images_have_equal_digests(tmp_path):
    loose, packed = (build(storage, tmp_path / storage / "set") for storage in STORAGES)
    assert loose.digest == packed.digest
    assert loose.pixels(9).tobytes() == packed.pixels(9).tobytes()
    assert build("packed", tmp_path / "fewer" / "set", COUNT - 1).digest != loose.digest


def test_an_empty_set_is_a_set(tmp_path):
    for storage in STORAGES:
        assert len(build(storage, tmp_path / storage / "set", 0)) == 0


def test_an_export_is_an_image_folder_of_the_same_bytes(images, tmp_path):
    export(images, tmp_path / "out")
    assert RawFolder.read(tmp_path / "out").classes == tuple(sorted(CLASSES))
    written = {path.relative_to(tmp_path / "out").as_posix() for path in tmp_path.glob("out/*/*")}
    assert written == set(images.paths)
    for number, path in enumerate(images.paths):
        assert (tmp_path / "out" / path).read_bytes() == images.content(number)


def test_an_export_is_whole_or_not_at_all(images, tmp_path):
    damage(images, 5)
    with pytest.raises(DataError, match=r"005\.png: bytes differ"):
        export(images, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "as-files") == ["set"]


def test_an_export_never_touches_what_is_there(images, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("precious")
    with pytest.raises(DataError, match="not empty"):
        export(images, tmp_path / "out")
    assert (tmp_path / "out" / "mine.txt").read_text() == "precious"


@pytest.mark.parametrize("path", ["../cat/000.png", "/cat/000.png", "dog/000.png", "cat/..", "x"])
def test_an_export_stays_inside_its_folder(tmp_path, path):
    columns = {"path": [path], "label": [0], "sha256": ["0" * 64]}
    write_manifest(tmp_path / "set", kind="real", classes=CLASSES, columns=columns)
    with pytest.raises(DataError, match="expected a file directly in cat/"):
        export(ImageSet.read(tmp_path / "set"), tmp_path / "out")


def file_of(images, number):
    """What holds an image, and where in it the image begins."""
    if images.ranges is None:
        return images.root / images.paths[number], 0
    return images.root / images.ranges.shard(number), int(images.ranges.offsets[number])


def damage(images, number):
    path, offset = file_of(images, number)
    content = bytearray(path.read_bytes())
    content[offset + 90] ^= 1
    path.write_bytes(content)


def test_damaged_bytes_are_refused_in_one_line(images):
    damage(images, 1)
    with pytest.raises(DataError, match=r"dog/001\.png: bytes differ .* rerun") as error:
        images.content(1)
    assert "\n" not in str(error.value)
    assert images.content(0)
    with pytest.raises(DataError, match="bytes differ"):
        images.pixels(8)


def test_a_missing_file_is_refused_in_one_line(images):
    path, _ = file_of(images, 4)
    path.unlink()
    with pytest.raises(DataError, match=r"No such file .*rerun|: No such file.*; rerun") as error:
        images.image(4)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_truncated_file_is_refused_in_one_line(images):
    path, offset = file_of(images, 4)
    path.write_bytes(path.read_bytes()[: offset + 20])
    message = (
        "bytes differ" if images.ranges is None else r"truncated, ends at byte \d+ inside dog/00"
    )
    with pytest.raises(DataError, match=message) as error:
        images.content(4)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_damaged_manifest_is_refused_in_one_line(images):
    manifest = images.root / "manifest.parquet"
    manifest.write_bytes(manifest.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"manifest\.parquet: damaged .* rerun") as error:
        ImageSet.read(images.root)
    assert "\n" not in str(error.value)


def test_what_is_no_image_is_refused_in_one_line(tmp_path):
    (tmp_path / "files" / "cat").mkdir(parents=True)
    (tmp_path / "files" / "cat" / "x.png").write_bytes(b"no image")
    columns = {"path": ["cat/x.png"], "label": [0], "sha256": [sha256(b"no image").hexdigest()]}
    write_manifest(tmp_path / "files", kind="real", classes=CLASSES, columns=columns)
    loose = ImageSet.read(tmp_path / "files")
    for images in (loose, pack(loose, tmp_path / "shards", images_a_shard=3)):
        with pytest.raises(DataError, match=r"cat/x\.png: unreadable image"):
            images.image(0)


def test_any_tar_reads_a_shard_as_an_image_folder(tmp_path):
    images = build("packed", tmp_path / "set")
    for shard in images.ranges.shards:
        with tarfile.open(tmp_path / "set" / shard) as archive:
            for member in archive:
                number = images.paths.index(member.name)
                assert images.ranges.shard(number) == shard
                assert archive.extractfile(member).read() == images.content(number)
                assert (member.mtime, member.uid, member.gid, member.mode) == (0, 0, 0, 0o644)
    assert len(images.ranges.shards) == 3


def test_a_shard_depends_on_its_images_alone(tmp_path):
    one, two = (build("packed", tmp_path / name / "set") for name in ("one", "two"))
    for shard in one.ranges.shards:
        assert (one.root / shard).read_bytes() == (two.root / shard).read_bytes()


def test_an_interrupted_shard_goes_on_where_its_last_whole_image_ends():
    whole, cut = io.BytesIO(), io.BytesIO()
    places = [append(whole, f"cat/{n}.png", bytes([n % 256]) * n) for n in (511, 512, 1)]
    finish(whole)
    cut.write(whole.getvalue()[: places[2][0] + 5])  # killed inside the third
    cut.truncate(cut.seek(end_of(*places[1])))
    assert append(cut, "cat/1.png", b"\1") == places[2]
    finish(cut)
    assert cut.getvalue() == whole.getvalue()


def test_images_of_a_set_are_read_as_rgb(tmp_path):
    buffer = io.BytesIO()
    Image.new("L", (4, 4), 7).save(buffer, "PNG")
    (tmp_path / "files" / "cat").mkdir(parents=True)
    (tmp_path / "files" / "cat" / "x.png").write_bytes(buffer.getvalue())
    columns = {
        "path": ["cat/x.png"],
        "label": [0],
        "sha256": [sha256(buffer.getvalue()).hexdigest()],
    }
    write_manifest(tmp_path / "files", kind="real", classes=CLASSES, columns=columns)
    loose = ImageSet.read(tmp_path / "files")
    for images in (loose, pack(loose, tmp_path / "shards", images_a_shard=1)):
        assert np.asarray(images.image(0)).tolist() == [[[7, 7, 7]] * 4] * 4
