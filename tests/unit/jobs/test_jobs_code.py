"""Which code a stage depends on is what dvc.yaml says."""

import pytest

from synthgap.jobs.code import code_deps, code_digest

DVC_YAML = """
stages:
  train:
    cmd: python pipelines/train.py
    deps: [pipelines/train.py, src/training, src/seeding.py, artifacts/sets, {src/models: {}}]
"""


@pytest.fixture
def checkout(tmp_path):
    for name in ("pipelines/train.py", "src/training/loop.py", "src/seeding.py", "src/models/a.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("one = 1\n")
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    return tmp_path


def _digest(checkout):
    code_digest.cache_clear()
    return code_digest("train", checkout)


def test_code_is_the_listed_files_and_folders(checkout):
    expected = ["pipelines/train.py", "src/models", "src/seeding.py", "src/training"]
    assert code_deps("train", checkout) == expected
    with pytest.raises(KeyError):
        code_deps("strain", checkout)


@pytest.mark.parametrize("name", ["pipelines/train.py", "src/training/loop.py", "src/models/a.py"])
def test_every_listed_file_counts(checkout, name):
    before = _digest(checkout)
    (checkout / name).write_text("one = 1  # a comment\n")
    assert _digest(checkout) != before


def test_nothing_else_counts(checkout):
    before = _digest(checkout)
    (checkout / "src/other.py").write_text("two = 2\n")
    (checkout / "src/training/notes.txt").write_text("no code")
    assert _digest(checkout) == before
    (checkout / "dvc.yaml").unlink()
    assert _digest(checkout) != before  # the whole installed package
    code_digest.cache_clear()
