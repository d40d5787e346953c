"""Every recipe gives a graph that DVC resolves: names, cells and files of each stage."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from synthgap.params import parse_params
from synthgap.params.recipes import recipe_names, resolve

ROOT = Path(__file__).resolve().parents[3]
MOST_CELLS = 60

# One process for every recipe: DVC takes a second to import. `status` would need data; `index` is
# what DVC itself resolves before it runs anything, overlaps and cycles included.
SCRIPT = """
import json, pathlib, shutil, sys
from dvc.repo import Repo
from synthgap.params import parse_params
found = {}
for name in sys.argv[1:]:
    shutil.copy(f"resolved/{name}.yaml", "params.yaml")
    pathlib.Path("data", parse_params(open("params.yaml").read(), place=name).data.name).mkdir(
        parents=True, exist_ok=True
    )
    with Repo(".") as repo:
        repo.index.check_graph()
        stages = [stage for stage in repo.index.stages if stage.path_in_repo == "dvc.yaml"]
        found[name] = {
            stage.addressing: {"cmd": stage.cmd, "outs": [str(out) for out in stage.outs]}
            for stage in stages
        }
        if name in ("digits", "folder"):  # the graph of the others is resolved the same way
            ran = repo.reproduce(dry=True, force=True)  # else it looks for files in its run cache
            assert {stage.addressing for stage in ran} >= set(found[name])
json.dump(found, open("found.json", "w"))
"""


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    if not (ROOT / "dvc.yaml").is_file():
        pytest.skip("dvc.yaml is not there yet")
    clone = tmp_path_factory.mktemp("clone")
    for name in ("dvc.yaml", "data.dvc", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, clone / name)
    for name in ("pipelines", "src", "embedded"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    (clone / "resolved").mkdir()
    for name in recipe_names(ROOT / "recipes"):
        (clone / "resolved" / f"{name}.yaml").write_text(resolve(ROOT / "recipes", name))
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"]):
        subprocess.run([*_module(command)], cwd=clone, check=True, capture_output=True)
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, *recipe_names(ROOT / "recipes")]
    ended = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    return json.loads((clone / "found.json").read_text())


def _module(command: list[str]) -> list[str]:
    return [sys.executable, "-m", *command] if command[0] == "dvc" else command


@pytest.mark.parametrize("name", recipe_names(ROOT / "recipes"))
def test_a_recipe_has_a_cell_for_every_point_of_its_grid(graphs, name):
    grid = parse_params(resolve(ROOT / "recipes", name), place=name).grid
    cells = [stage.partition("@")[0] for stage in graphs[name]]
    expected = {
        "train": len(grid.sets),
        "rivals": len(grid.rivals),
        "synthesize": len(grid.synthetic_sets),
        "clone": len(grid.clones),
        "transfer": len(grid.depths),
        "control": len(grid.control_depths),
        "reduce": len(grid.fractions),
        "ablate": len(grid.ablations),
        "layers": 1,
        "report": 1,
    }
    assert {stage: cells.count(stage) for stage in expected} == expected


@pytest.mark.parametrize("name", recipe_names(ROOT / "recipes"))
def test_nothing_stays_unresolved_and_everything_is_keyed_by_recipe(graphs, name):
    for stage, found in graphs[name].items():
        assert "${" not in found["cmd"]
        for out in found["outs"]:
            assert stage == "report" or name in Path(out).parts, out


def test_two_recipes_share_no_output(graphs):
    seen: dict[str, str] = {}
    for name, stages in graphs.items():
        for stage, found in stages.items():
            for out in found["outs"] if stage != "report" else ():
                assert seen.setdefault(out, name) == name


def test_two_recipes_share_no_entry_of_the_lock(graphs):
    names = [stage for stages in graphs.values() for stage in stages if stage != "report"]
    assert len(names) == len(set(names))


def test_the_default_stays_small(graphs):
    assert len(graphs["digits"]) < MOST_CELLS
