import errno
import functools
import os
import signal
import time
from pathlib import Path

import pytest

from synthgap.errors import DataError, SynthgapError, TrainingError
from synthgap.jobs.workers import run_all


def touch(path):
    path.write_text(str(os.getpid()))


def fail():
    raise DataError("images are gone; bring them back")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_task_runs_once(tmp_path, workers):
    tasks = [functools.partial(touch, tmp_path / str(index)) for index in range(4)]
    run_all(tasks, workers=workers)
    pids = {path.read_text() for path in tmp_path.iterdir()}
    assert len(pids) == (1 if workers == 1 else 4)


def test_a_childs_complaint_reaches_the_parent_in_its_words():
    with pytest.raises(SynthgapError, match="images are gone; bring them back"):
        run_all([fail, fail], workers=2)


def test_a_full_disk_reaches_the_parent_as_what_it_is():
    def fill():
        with Path("/dev/full").open("wb", buffering=0) as full:
            full.write(b"x")

    if not Path("/dev/full").exists():
        pytest.skip("/dev/full: not on this system")
    with pytest.raises(OSError, match="No space left") as refused:
        run_all([fill, fill], workers=2)
    assert refused.value.errno == errno.ENOSPC


def test_a_killed_child_stops_the_others(tmp_path):
    def sleep():
        touch(tmp_path / "sleeper")
        time.sleep(60)

    def die_after_the_other_started():
        while not (tmp_path / "sleeper").exists():
            time.sleep(0.01)
        die()

    with pytest.raises(TrainingError, match="ended with -9"):
        run_all([die_after_the_other_started, sleep], workers=2)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "sleeper").read_text()), 0)
