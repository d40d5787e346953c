"""Lines wait whole, and one process reads them."""

import threading
import time
from pathlib import Path

from synthgap.tracking.spool import SendState, sender_lock, spool_of, spools, yield_requested


def test_lines_come_back_once_and_a_torn_one_is_passed_over(tmp_path: Path):
    spool = spool_of(tmp_path, "abc")
    spool.append({"event": "start"})
    events, offset = spool.unread(0)
    assert [event["event"] for event in events] == ["start"]
    with spool.lines.open("a") as stream:
        stream.write('{"event": "epo\n')
    spool.append({"event": "end"})
    events, behind = spool.unread(offset)
    assert [event["event"] for event in events] == ["end"]
    assert spool.unread(behind) == ([], behind)


def test_a_line_still_being_written_is_not_read(tmp_path: Path):
    spool = spool_of(tmp_path, "abc")
    spool.append({"event": "start"})
    _, offset = spool.unread(0)
    with spool.lines.open("a") as stream:
        stream.write('{"event": "epoch"')
    assert spool.unread(offset) == ([], offset)
    with spool.lines.open("a") as stream:
        stream.write("}\n")
    assert [event["event"] for event in spool.unread(offset)[0]] == ["epoch"]


def test_numbers_of_numpy_arrive_as_numbers(tmp_path: Path):
    import numpy as np

    spool = spool_of(tmp_path, "abc")
    spool.append({"event": "epoch", "metrics": {"loss": np.float32(0.5), "bad": float("nan")}})
    (event,), _ = spool.unread(0)
    assert event["metrics"]["loss"] == 0.5
    assert event["metrics"]["bad"] != event["metrics"]["bad"]


def test_news_are_what_was_not_sent(tmp_path: Path):
    spool = spool_of(tmp_path, "abc")
    assert not spool.has_news
    spool.append({"event": "start"})
    assert spool.has_news
    spool.record(SendState(uri="x", run_id="r", offset=spool.unread(0)[1]))
    assert not spool.has_news
    assert spool.sent().run_id == "r"
    spool.clear()
    assert spools(tmp_path) == []
    assert spool.sent() == SendState()


def test_only_one_sends_and_the_other_can_ask_it_to_leave(tmp_path: Path):
    entered, left = threading.Event(), threading.Event()

    def sender() -> None:
        with sender_lock(tmp_path, wait_s=0) as held:
            assert held
            entered.set()
            while not yield_requested(tmp_path):
                time.sleep(0.01)
        left.set()

    thread = threading.Thread(target=sender)
    thread.start()
    assert entered.wait(10)
    with sender_lock(tmp_path, wait_s=0) as held:
        assert not held
    with sender_lock(tmp_path, wait_s=10, hurry=True) as held:
        assert held
        assert left.is_set()
        assert not yield_requested(tmp_path)
    thread.join()
