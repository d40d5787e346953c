"""dvc.lock is small and true: the cells of the shipped grid, each with what dvc.yaml says of it."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

from checkout_files import ROOT, stages
from ruamel.yaml import YAML

LOCK = ROOT / "dvc.lock"


def _read(name: str) -> Any:
    return YAML(typ="safe").load(ROOT / name)


def _filled(template: str, known: dict[str, Any]) -> str:
    return re.sub(r"\$\{([\w.]+)\}", lambda found: str(_at(known, found[1])), template)


def _at(tree: Any, path: str) -> Any:
    for name in path.split("."):
        tree = tree[name]
    return tree


def _cells() -> dict[str, tuple[str, dict[str, str]]]:
    """{name in the lock: (stage, matrix values)} of every cell that the shipped params make."""
    params, found = _read("params.yaml"), {}
    for name, stage in stages().items():
        matrix = stage.get("matrix")
        if matrix is None:
            found[name] = (name, {})
            continue
        values = [
            [_filled(value, params) for value in listed]
            if isinstance(listed, list)
            else [str(value) for value in _at(params, listed.strip("${}"))]
            for listed in matrix.values()
        ]
        for chosen in product(*values):
            found[f"{name}@{'-'.join(chosen)}"] = (name, dict(zip(matrix, chosen, strict=True)))
    return found


def test_the_lock_has_the_cells_of_the_grid_and_no_others():
    assert set(_read("dvc.lock")["stages"]) == set(_cells())


def test_a_locked_cell_depends_on_what_dvc_yaml_lists():
    params, locked = _read("params.yaml"), _read("dvc.lock")["stages"]
    for cell, (name, item) in _cells().items():
        known = {**params, "item": item}
        for kind in ("deps", "outs"):
            listed = [
                one if isinstance(one, str) else next(iter(one)) for one in stages()[name][kind]
            ]
            assert {one["path"] for one in locked[cell].get(kind, [])} == {
                _filled(one, known) for one in listed
            }, cell


def test_the_lock_is_small():
    """It was 228 kB in 50 cells when every cell repeated the sections of params.yaml."""
    assert LOCK.stat().st_size < 150_000
