import os
import signal
import subprocess
import sys
import time

import pytest

from synthgap.errors import WorkError
from synthgap.jobs import discard, hold
from synthgap.jobs import work as work_module

HOLDER = """
import sys, time
from pathlib import Path
from synthgap.jobs import hold
root = Path(sys.argv[1])
with hold(root / "work", {"a": 1}, root / "out", stage=None, timeout_s=5) as work:
    (work.folder / "half").write_text("half")
    (root / "ready").write_text("")
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)])
    while not (tmp_path / "ready").exists():
        assert child.poll() is None
        time.sleep(0.02)
    yield child
    child.kill()
    child.wait()


def test_published_work_is_whole_stamped_and_gone_from_the_work_folder(tmp_path):
    with hold(tmp_path / "work", {"a": 1}, tmp_path / "out", stage=None, timeout_s=1) as work:
        (work.folder / "result").write_text("42")
        assert not work.finished
        work.publish()
    assert (tmp_path / "out" / "result").read_text() == "42"
    assert not work.folder.exists()
    with hold(tmp_path / "work", {"a": 1}, tmp_path / "out", stage=None, timeout_s=1) as again:
        assert again.finished
    with hold(tmp_path / "work", {"a": 2}, tmp_path / "out", stage=None, timeout_s=1) as other:
        assert not other.finished


def test_unfinished_work_is_found_again(tmp_path):
    with hold(tmp_path / "work", {"a": 1}, tmp_path / "out", stage=None, timeout_s=1) as work:
        (work.folder / "half").write_text("half")
    with hold(tmp_path / "work", {"a": 1}, tmp_path / "out", stage=None, timeout_s=1) as work:
        assert (work.folder / "half").read_text() == "half"
        discard(work)
        assert not list(work.folder.iterdir())


def test_a_second_starter_names_the_holder(tmp_path, holder):
    with (
        pytest.raises(WorkError, match=f"process {holder.pid} is already making it"),
        hold(tmp_path / "work", {"a": 1}, tmp_path / "out", stage=None, timeout_s=0.1),
    ):
        pass


def test_a_killed_holder_leaves_its_work_and_no_lock(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with hold(tmp_path / "work", {"a": 1}, tmp_path / "out", stage=None, timeout_s=5) as work:
        assert (work.folder / "half").read_text() == "half"


def test_a_failed_publication_keeps_the_work(tmp_path):
    (tmp_path / "out").write_text("a file where a folder is wanted")
    output = tmp_path / "out" / "deeper"
    with hold(tmp_path / "work", {"a": 1}, output, stage=None, timeout_s=1) as work:
        (work.folder / "result").write_text("42")
        with pytest.raises(OSError, match="File exists"):
            work.publish()
    assert (work.folder / "result").read_text() == "42"


def test_other_code_makes_the_work_again_but_leaves_the_same_stamp(tmp_path, monkeypatch):
    stamps = []
    for code in ("one", "two"):
        monkeypatch.setattr(work_module, "code_digest", {"train": code}.__getitem__)
        with hold(tmp_path / "work", {"a": 1}, tmp_path / "out", stage="train") as work:
            assert not work.finished
            work.publish()
        stamps.append((tmp_path / "out" / "work.json").read_bytes())
    assert stamps[0] == stamps[1]
