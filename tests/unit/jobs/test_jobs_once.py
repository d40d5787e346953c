"""What a job makes is made once, whole, from where a killed one stopped."""

import pytest

from synthgap.jobs import Artifacts, read_json
from synthgap.jobs.once import FINISHED, RUN, make_once


@pytest.fixture
def artifacts(tmp_path):
    return Artifacts(tmp_path, "digits")


def _make(calls, content):
    def make(folder, finished):
        calls.append((folder / "checkpoint").is_file())
        (folder / "checkpoint").write_text("half")
        finished.mkdir()
        (finished / "weights").write_text("all")
        return content

    return make


def test_it_is_made_recorded_and_not_made_again(artifacts):
    calls, output = [], artifacts.stage("train")
    for _ in range(2):
        make_once(artifacts, {"a": 1}, output, _make(calls, {"runs": []}), stage="train")
    assert calls == [False]
    assert read_json(output / RUN) == {"runs": []}
    assert (output / "weights").read_text() == "all"
    assert not [path for path in artifacts.work.iterdir() if path.is_dir()]


def test_without_content_there_is_no_record(artifacts):
    output = artifacts.stage("train")
    make_once(artifacts, {"a": 1}, output, _make([], None), stage="train", threads=1)
    assert not (output / RUN).exists()


def test_a_killed_one_goes_on_and_what_its_save_left_is_gone(artifacts):
    calls, output = [], artifacts.stage("train")

    def killed(folder, finished):
        _make(calls, None)(folder, finished)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_once(artifacts, {"a": 1}, output, killed, stage="train")
    assert not output.exists()
    assert list(artifacts.work.glob(f"*/{FINISHED}/weights"))
    make_once(artifacts, {"a": 1}, output, _make(calls, None), stage="train")
    assert calls == [False, True]
