from __future__ import annotations

import pytest

from synthgap.errors import ParamsError
from synthgap.generation.prompts.prompt_files import read_captions, write_captions

ROWS = [
    {"class": "cat", "caption": "a cat,\n “asleep”", "model": "m"},
    {"class": "dog", "caption": "dog", "model": None},
    {"class": "cat", "caption": "cat 🐈", "model": "m"},
]


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "new" / "said.jsonl"
    assert write_captions(path, ROWS) == 3
    read = read_captions(path, ["cat", "dog"])
    assert read == {"cat": ("a cat, “asleep”", "cat 🐈"), "dog": ("dog",)}


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "said.jsonl"
    write_captions(path, ROWS[:1])
    before = path.read_bytes()

    def rows():
        yield ROWS[1]
        raise ParamsError("the model is gone")

    with pytest.raises(ParamsError, match="gone"):
        write_captions(path, rows())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_csv_may_have_other_columns_and_lines_within_quotes(tmp_path):
    path = tmp_path / "said.csv"
    path.write_text('\ufeffimage,class,caption\n1.png,cat,"a\ncat"\n2.png,dog,dog\n')
    assert read_captions(path, ["cat", "dog"]) == {"cat": ("a cat",), "dog": ("dog",)}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", '{"class": "cat", "caption": "x"', "line 1: no JSON"),
        ("a.jsonl", '{"class": "cat", "caption": " "}', "line 1: expected `class` and `caption`"),
        ("a.jsonl", "[1]", "line 1: expected `class` and `caption`"),
        ("a.jsonl", '{"class": "cta", "caption": "x"}', "'cta' is no class; did you mean `cat`"),
        ("a.jsonl", '\n{"class": "cat", "caption": "x"}', "no caption for class dog"),
        ("a.csv", "cat,a cat\n", "line 1: no column 'class', expected a heading `class,caption`"),
        ("a.csv", "class,caption\ncat\n", "line 2: expected `class` and `caption`"),
        ("a.csv", 'class,caption\ncat,"a', "no valid CSV"),
        ("a.txt", "a cat", "expected a file .jsonl or .csv"),
    ],
)
def test_what_is_wrong_with_a_file_is_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ParamsError, match=message) as refused:
        read_captions(tmp_path / name, ["cat", "dog"])
    assert "\n" not in str(refused.value)
