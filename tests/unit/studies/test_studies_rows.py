import os
import signal
from math import nan

import pytest

from synthgap.studies.trials.rows import append_line, read_lines


def test_rows_come_back_as_they_were(tmp_path):
    rows = [{"a": 0.1 + 0.2, "b": ["é\n", None]}, {"c": {"1": 2}}]
    for row in rows:
        append_line(tmp_path / "rows", row)
    assert read_lines(tmp_path / "rows") == rows
    assert read_lines(tmp_path / "others") == []


@pytest.mark.parametrize("torn", [b'{"a": 2, "b', b'{"a": 2}', b"{", b"\xc3"])
def test_a_line_that_is_not_whole_never_was(tmp_path, torn):
    path = tmp_path / "rows"
    append_line(path, {"a": 1})
    with path.open("ab") as stream:
        stream.write(torn)
    assert read_lines(path) == [{"a": 1}]
    append_line(path, {"a": 3})
    assert read_lines(path) == [{"a": 1}, {"a": 3}]


def test_no_number_is_no_row(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        append_line(tmp_path / "rows", {"a": nan})
    assert read_lines(tmp_path / "rows") == []


def test_what_was_appended_outlives_a_kill(tmp_path):
    if not (child := os.fork()):
        append_line(tmp_path / "rows", {"a": 1})
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert read_lines(tmp_path / "rows") == [{"a": 1}]
