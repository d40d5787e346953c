import shutil
import stat
import zipfile
from collections import namedtuple

import pytest
from image_folders import tree

from synthgap.data.archive import unpack
from synthgap.errors import DataError


def packed(path, *members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def test_files_come_out_and_what_systems_leave_behind_does_not(tmp_path):
    archive = packed(
        tmp_path / "x.zip", ("a/1.png", b"one"), ("a/.DS_Store", b"-"), ("__MACOSX/a/._1.png", b"-")
    )
    unpack(archive, tmp_path / "out")
    assert tree(tmp_path / "out") == {"a/1.png": b"one"}


@pytest.mark.parametrize(
    "name", ["../evil.png", "a/../../evil.png", "/evil.png", "C:/evil.png", "a\\..\\..\\evil.png"]
)
def test_a_member_that_leaves_the_folder_is_refused_before_anything_is_written(tmp_path, name):
    archive = packed(tmp_path / "x.zip", ("a/1.png", b"one"), (name, b"evil"))
    with pytest.raises(DataError, match="leaves the folder"):
        unpack(archive, tmp_path / "in" / "out")
    assert [path.name for path in tmp_path.rglob("*.png")] == []


def test_a_link_is_refused(tmp_path):
    link = zipfile.ZipInfo("a/link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = packed(tmp_path / "x.zip", (link, "/etc/passwd"))
    with pytest.raises(DataError, match="is a link"):
        unpack(archive, tmp_path / "out")


def test_a_repeated_member_is_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive = packed(tmp_path / "x.zip", ("a/1.png", b"one"), ("a/1.png", b"two"))
    with pytest.raises(DataError, match="twice"):
        unpack(archive, tmp_path / "out")


def test_an_encrypted_member_is_refused(tmp_path):
    archive = packed(tmp_path / "x.zip", ("a/1.png", b"one"))
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(DataError, match="encrypted"):
        unpack(archive, tmp_path / "out")


def test_damage_is_one_line(tmp_path):
    archive = packed(tmp_path / "x.zip", ("a/1.png", b"some bytes of a picture"))
    content = archive.read_bytes()
    archive.write_bytes(content.replace(b"some bytes", b"other byte"))
    with pytest.raises(DataError, match="damaged"):
        unpack(archive, tmp_path / "out")
    archive.write_bytes(content[:40])
    with pytest.raises(DataError, match="no zip"):
        unpack(archive, tmp_path / "out2")


def test_more_than_the_disk_holds_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    archive = packed(tmp_path / "x.zip", ("a/1.png", b"one"))
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 8, 2))
    with pytest.raises(DataError, match="3 bytes unpacked"):
        unpack(archive, tmp_path / "out")
    assert tree(tmp_path / "out") == {}
