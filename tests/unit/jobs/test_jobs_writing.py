import pytest

from synthgap.jobs import (
    content_digest,
    differences,
    environment,
    folder_digest,
    read_json,
    whole_file,
    write_json,
)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "deep" / "file.json"
    write_json(path, {"a": 1})

    def fail():
        with whole_file(path) as partial:
            partial.write_text("half")
            raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError):
        fail()
    assert read_json(path) == {"a": 1}
    assert [entry.name for entry in path.parent.iterdir()] == ["file.json"]


def test_nan_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "file.json", {"a": float("nan")})
    assert not list(tmp_path.iterdir())


def test_digests_follow_content_and_names_only(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text("same")
    assert folder_digest(tmp_path / "one") == folder_digest(tmp_path / "two")
    (tmp_path / "two" / "a").rename(tmp_path / "two" / "b")
    assert folder_digest(tmp_path / "one") != folder_digest(tmp_path / "two")
    assert content_digest({"a": 1, "b": 2}) == content_digest({"b": 2, "a": 1})


def test_environments_differ_by_name():
    ours = environment(threads=1)
    assert differences(ours, environment(threads=1)) == []
    assert differences(ours, environment(threads=2)) == ["threads: 1 here, 2 there"]
