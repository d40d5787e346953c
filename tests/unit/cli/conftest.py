"""Studies of the command line: a checkout for them, and one in which a study has ended."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from study_checkout import World, build

from synthgap.cli import main


@pytest.fixture
def world(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """In a checkout without studies."""
    build(tmp_path, checkout, monkeypatch)
    world = World.here(monkeypatch)  # a journal: made in a tenth of a database's time
    monkeypatch.setenv("SYNTHGAP_STUDIES", f"journal://{tmp_path}/studies.log")
    return world


@pytest.fixture(scope="session")
def _ended(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, int]:
    root = tmp_path_factory.mktemp("ended")
    with pytest.MonkeyPatch.context() as patch:
        build(root, checkout, patch)
        world = World.here(patch)
        output: list[str] = []
        patch.setattr("synthgap.cli.study_work._say", output.append)
        assert main(["study", "run", "quick"]) == 0
    return root, "\n".join(output), len(world.calls)


@pytest.fixture
def ended(_ended: tuple[Path, str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """In a copy of a checkout whose study `quick` has run to its end, and what was printed then."""
    root, output, num_calls = _ended
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    world = World.here(monkeypatch)
    world.output, world.num_calls = output, num_calls
    return world
