"""The command line of `synthgap data`, on a checkout of its own."""

import argparse
import io
import shutil

import pytest
from image_folders import REPOSITORY, paint, paint_folder, tree

from synthgap.cli import data as command
from synthgap.data import write_manifest
from synthgap.errors import DataError
from synthgap.jobs import file_digest

# DVC 3.67 reads `pygtrie._NoneStep.value`, which pygtrie deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")


def run(*argv):
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers(required=True))
    arguments = parser.parse_args(["data", *argv])
    return arguments.run(arguments)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def here(imported, monkeypatch):
    monkeypatch.chdir(imported)
    return imported


def test_list_says_what_is_there_and_what_could_be(here, capsys):
    paint_folder(here / "data" / "loose", per_class=1)
    (here / "data" / "broken").mkdir()
    assert run("list") == 0
    output = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in output[1:4]] == ["digits", "loose", "mine"]
    assert "`synthgap data pin loose`" in output[2]
    assert "broken: empty" in output[0] or str(here / "data" / "broken") in output[0]
    assert "cifar10 (download)" in output[4]
    assert "cub (from a folder)" in output[4]


def test_list_in_a_fresh_clone(checkout, monkeypatch, capsys):
    monkeypatch.chdir(checkout)
    run("list")
    assert "digits: not here, pinned " in capsys.readouterr().out


def test_an_import_says_what_it_did_and_what_to_do_next(here, tmp_path, capsys):
    source = paint_folder(tmp_path / "other", start=5000)
    assert run("import", "other", "--from-folder", str(source)) == 0
    output = capsys.readouterr().out
    assert "data/other: 24 images in 2 classes, added" in output
    assert "git add data.dvc" in output


@pytest.mark.parametrize(
    ("terminal", "flags", "replaced"),
    [
        (io.StringIO("y\n"), [], False),  # nobody sits there to have been asked
        (Terminal("\n"), [], False),
        (Terminal("no\n"), [], False),
        (Terminal("yes\n"), [], True),
        (io.StringIO(""), ["--yes"], True),
    ],
)
def test_nothing_is_replaced_without_a_yes(here, tmp_path, monkeypatch, terminal, flags, replaced):
    monkeypatch.setattr("sys.stdin", terminal)
    before = tree(here / "data" / "mine")
    source = paint_folder(tmp_path / "new", start=5000)
    code = run("import", "mine", "--from-folder", str(source), *flags)
    assert code == (0 if replaced else 1)
    assert tree(here / "data" / "mine") == (tree(source) if replaced else before)


def test_pin(here, capsys):
    paint(here / "data" / "mine" / "cat" / "new.png", 4242)
    assert run("pin", "mine") == 0
    assert "data/mine: 25 images in 2 classes" in capsys.readouterr().out


def test_an_unknown_name_is_one_line(here):
    with pytest.raises(DataError, match="from-folder"):
        run("import", "unheard-of")


def test_export_writes_a_set_by_its_name_or_its_folder(tmp_path, monkeypatch, capsys):
    """As an image folder that can be imported again."""
    from synthgap.params import read_params

    monkeypatch.chdir(tmp_path)
    shutil.copy(REPOSITORY / "params.yaml", tmp_path / "params.yaml")
    recipe = read_params(tmp_path / "params.yaml").recipe
    sets = tmp_path / "artifacts" / "sets" / recipe
    paths = [paint(sets / "g2.0" / "cat" / f"{n}.png", n) for n in range(3)]
    columns = {
        "path": [f"cat/{path.name}" for path in paths],
        "label": [0] * 3,
        "sha256": [file_digest(path) for path in paths],
    }
    write_manifest(sets / "g2.0", kind="synthetic", classes=["cat"], columns=columns)
    assert run("export", "g2.0", "--to", str(tmp_path / "one")) == 0
    assert "3 images in 1 classes" in capsys.readouterr().out
    assert run("export", str(sets / "g2.0"), "--to", str(tmp_path / "two" / "deep")) == 0
    whole = {path: content for path, content in tree(sets / "g2.0").items() if "cat" in path}
    assert tree(tmp_path / "one") == tree(tmp_path / "two" / "deep") == whole
    with pytest.raises(DataError, match="not empty"):
        run("export", "g2.0", "--to", str(tmp_path / "one"))
    with pytest.raises(DataError, match=r"g9\.0/manifest\.parquet: missing"):
        run("export", "g9.0", "--to", str(tmp_path / "three"))
