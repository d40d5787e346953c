from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

from synthgap import cli
from synthgap.errors import DataError


def ending(monkeypatch, run) -> int:
    """Exit code of a command whose function is `run`."""
    parser = argparse.ArgumentParser()
    parser.set_defaults(run=run)
    monkeypatch.setattr(cli, "_parser", lambda: parser)
    return cli.main([])


def test_success_is_0(monkeypatch):
    assert ending(monkeypatch, lambda _: 0) == 0


def test_what_the_reader_can_mend_is_one_line_and_1(monkeypatch, capsys):
    def run(_):
        raise DataError("data/cat/1.png: zero bytes, expected an image; replace it")

    assert ending(monkeypatch, run) == 1
    output = capsys.readouterr()
    assert output.err == "synthgap: data/cat/1.png: zero bytes, expected an image; replace it\n"
    assert output.out == ""


def test_an_interruption_is_130(monkeypatch, capsys):
    def run(_):
        raise KeyboardInterrupt

    assert ending(monkeypatch, run) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_our_own_bugs_keep_their_traceback(monkeypatch):
    def run(_):
        raise AssertionError("a bug")

    with pytest.raises(AssertionError):
        ending(monkeypatch, run)


def test_a_closed_pipe_is_quiet(checkout):
    command = f"{sys.executable} -c 'from synthgap.cli import main; raise SystemExit(main())'"
    ended = subprocess.run(
        ["bash", "-c", f"{command} recipe show digits | head -n 1; echo ${{PIPESTATUS[0]}}"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stderr == ""
    assert ended.stdout.splitlines()[-1] == "0"


@pytest.mark.parametrize("name", cli.MODULES)
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([name, "--help"])
    assert ended.value.code == 0
    assert f"synthgap {name}" in capsys.readouterr().out


def test_no_command_is_refused_with_usage(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    assert ended.value.code == 2
    assert "usage: synthgap" in capsys.readouterr().err
