"""DVC's own files say under which digest it knows a path."""

from pathlib import Path

import pytest
from fake_cells import hexed, write_dvc_files

from synthgap.errors import TrackingError
from synthgap.tracking.runs import dataset_digest, dvc_digests


def test_outputs_and_data_are_known_by_their_md5(tmp_path: Path):
    write_dvc_files(tmp_path)
    known = dvc_digests(tmp_path)
    assert known["data"] == f"{hexed('data')[:32]}.dir"
    assert known["artifacts/sets/digits/g2.0"] == f"{hexed('g2.0')[:32]}.dir"


def test_an_unknown_path_falls_back_to_the_head_of_our_digest(tmp_path: Path):
    own = hexed("val")
    assert dataset_digest("artifacts/sets/digits/val", own, dvc_digests(tmp_path)) == own[:36]


def test_a_part_of_data_is_known_from_what_depends_on_it(tmp_path: Path):
    (tmp_path / "dvc.lock").write_text(
        "stages:\n  ingest:\n    deps:\n    - {path: data/digits, md5: aaa.dir}\n"
    )
    assert dvc_digests(tmp_path) == {"data/digits": "aaa.dir"}


@pytest.mark.parametrize("content", ["[", "just words"])
def test_a_broken_lock_is_named(tmp_path: Path, content: str):
    (tmp_path / "dvc.lock").write_text(content)
    with pytest.raises(TrackingError, match=r"dvc\.lock"):
        dvc_digests(tmp_path)
