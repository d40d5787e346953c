import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from synthgap.errors import DataError
from synthgap.stage import reported

STAGE = """
from dataclasses import dataclass
from synthgap import stage

@dataclass(frozen=True)
class Shape:
    seed: int

def main(params, artifacts, log, depth):
    print(params.seed, artifacts.recipe, depth)

if __name__ == "__main__":
    stage.run(main, shape=Shape, coordinates={"depth": int})
"""


@pytest.fixture
def stage(tmp_path, checkout):
    shutil.copy(checkout / "params.yaml", tmp_path)
    script = tmp_path / "probe.py"
    script.write_text(STAGE)

    def run(*arguments):
        command = [sys.executable, str(script), *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


def test_a_stage_gets_its_sections_paths_and_coordinates(stage, tmp_path):
    done = stage("--depth", "3")
    assert done.returncode == 0, done.stderr
    seed, recipe, depth = done.stdout.split()
    assert (recipe, depth) == ("digits", "3")
    assert int(seed) > 0
    (times,) = (tmp_path / ".synthgap" / "times" / "stages").iterdir()
    noted = json.loads(times.read_text())
    assert noted["coordinates"] == {"depth": 3}
    assert noted["end"] > noted["start"]


def test_bad_params_are_one_message_and_exit_code_1(stage, tmp_path):
    params = tmp_path / "params.yaml"
    params.write_text(params.read_text().replace("seed:", "sead:", 1))
    done = stage("--depth", "3")
    assert done.returncode == 1
    assert done.stderr.startswith("synthgap: ")
    assert "sead" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_stage_imports_nothing_heavy_by_itself(stage):
    probe = "import sys, synthgap.stage; print([m for m in HEAVY if m in sys.modules])"
    heavy = "['torch', 'mlflow', 'diffusers', 'great_expectations', 'matplotlib', 'pandas', 'timm']"
    done = subprocess.run(
        [sys.executable, "-c", probe.replace("HEAVY", heavy)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (DataError("a/b.png: gone, expected an image; rerun"), "synthgap: a/b.png: gone"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/x/y"),
            "synthgap: /x/y: No space left on device; expected room to write",
        ),
    ],
)
def test_what_the_reader_can_mend_is_one_line(capsys, error, line):
    with pytest.raises(SystemExit) as stopped, reported():
        raise error
    assert stopped.value.code == 1
    output = capsys.readouterr().err
    assert output.startswith(line)
    assert output.count("\n") == 1


def test_our_own_bugs_keep_their_traceback():
    with pytest.raises(ZeroDivisionError), reported():
        raise ZeroDivisionError


def test_a_full_disk_stops_a_cell_with_one_line_and_keeps_what_was_there(tmp_path):
    """/dev/full answers every write with `no space left`, as a full disk does."""
    if not Path("/dev/full").exists():
        pytest.skip("/dev/full: not on this system")
    with pytest.raises(SystemExit), reported(), Path("/dev/full").open("wb", buffering=0) as full:
        full.write(b"x")
