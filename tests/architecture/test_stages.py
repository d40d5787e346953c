"""dvc.yaml, pipelines/ and the library agree: a changed line reruns what it can change, no more."""

from __future__ import annotations

import ast
import re
from dataclasses import is_dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import get_args, get_type_hints

import grimp
import pytest
from checkout_files import PACKAGE, ROOT, stage_files, stages, tree_of

from synthgap.params.sections import Params

# A log line, a page's colour or a message must not rerun a generator. A stage that lives in one of
# these packages counts it.
WITHOUT = {"stage", "cli", "tracking", "reporting", "errors", "params"}
FRAME = {"jobs"}
"""How stages hold work, write and start processes: never listed, even where a stage imports it."""
SHARED = {"seed", "runtime.threads", "data", "student", "training"}
"""What stage `settings` writes into one file, on which the cells of students depend."""

names = sorted({*stage_files(), *stages()})


def test_stages_are_files():
    assert set(stages()) == set(stage_files())


@pytest.mark.parametrize("name", names)
def test_a_stage_runs_its_file(name):
    assert stages()[name]["cmd"].split()[:2] == ["python", f"pipelines/{name}.py"]


@pytest.mark.parametrize("name", names)
def test_coordinates_are_the_options_of_the_command(name):
    given = set(re.findall(r"--([\w-]+)", stages()[name]["cmd"]))
    call = _run_call(name)
    dictionary = next((word.value for word in call.keywords if word.arg == "coordinates"), None)
    keys = dictionary.keys if isinstance(dictionary, ast.Dict) else []
    assert given == {key.value.replace("_", "-") for key in keys}


def test_outputs_only_feed_later_stages():
    earlier: list[str] = []
    for name, stage in stages().items():
        outputs = [_pattern(path) for path in _paths(stage.get("outs", []))]
        for dep in (_pattern(path) for path in _paths(stage["deps"])):
            if dep.startswith("artifacts/"):
                assert any(_touch(dep, out) for out in earlier), f"{name}: who makes {dep}?"
                for out in outputs:
                    assert dep != out, f"{name}: reads its own output {dep}"
        earlier += outputs


def test_outputs_are_written_once():
    outputs = [_pattern(path) for stage in stages().values() for path in _paths(stage["outs"])]
    assert len(outputs) == len(set(outputs))


@pytest.mark.parametrize("name", names)
def test_outputs_are_keyed_by_recipe(name):
    if name == "report":  # over every recipe
        return
    for path in _paths(stages()[name]["outs"]):
        assert "${item.recipe}" in path.split("/")


@pytest.mark.parametrize("name", names)
def test_deps_are_the_code_that_the_stage_reaches(name):
    deps = {
        path for path in _paths(stages()[name]["deps"]) if path.endswith(".py") or "src/" in path
    }
    assert f"pipelines/{name}.py" in deps
    listed = {ROOT / path for path in deps if path.startswith("src/")}
    reached = _reached(name)
    for module in sorted(reached):
        assert any(module.is_relative_to(path) for path in listed), (
            f"dvc.yaml, {name}: reaches {module.relative_to(ROOT)}, which no dep covers"
        )
    for path in sorted(listed):
        assert path.exists(), f"dvc.yaml, {name}: {path.relative_to(ROOT)} is not there"
        assert any(module.is_relative_to(path) for module in reached), (
            f"dvc.yaml, {name}: lists {path.relative_to(ROOT)}, which it does not reach"
        )


@pytest.mark.parametrize("name", names)
def test_params_are_the_fields_of_the_shape(name):
    stage = stages()[name]
    given = set(stage.get("params", []))
    wanted = _wanted(name, narrow="grid" not in given)
    lists = {param for param in given - wanted if f"${{{param}}}" in _templates(stage)}
    # `rivals.${item.rival}`: of a section of named entries, the cell's own alone
    sections = {re.sub(r"\.\$\{item\.\w+\}$", "", param) for param in given - lists}
    if any(path.endswith("settings/${item.recipe}/student.json") for path in _paths(stage["deps"])):
        sections |= SHARED if "training" in wanted else SHARED - {"training"}
    assert sections == wanted, f"dvc.yaml, {name}: {sorted(given)}, the shape has {sorted(wanted)}"
    assert all(param.startswith("grid.") for param in lists)


@pytest.mark.parametrize("name", names)
def test_a_stage_is_a_sentence(name):
    tree = tree_of(stage_files()[name])
    assert ast.get_docstring(tree)
    assert "\n" not in ast.get_docstring(tree)
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert functions == ["main"]
    branches = (ast.If, ast.For, ast.While, ast.Try, ast.With)
    body = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
    assert not [node for node in ast.walk(body) if isinstance(node, branches)]


def _run_call(name: str) -> ast.Call:
    for node in ast.walk(tree_of(stage_files()[name])):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "stage.run":
            return node
    raise AssertionError(f"pipelines/{name}.py does not call stage.run")


def _wanted(name: str, *, narrow: bool) -> set[str]:
    """What `params:` must list; `narrow` names the lists of `grid` that the library reads."""
    keyword = next(word.value for word in _run_call(name).keywords if word.arg == "shape")
    path, shape = _class(stage_files()[name], ast.unparse(keyword))
    fields = _fields(path, shape)
    narrowed = {"runtime": _runtime_values(name), **({"grid": _grid_lists(path)} if narrow else {})}
    return set().union(*(narrowed.get(field, {field}) for field in fields))


def _runtime_values(name: str) -> set[str]:
    """Of `runtime`, threads alone define a result, unless the stage's section has its own."""
    own = get_type_hints(Params).get(name)
    parts = [own, *get_args(own)]  # a section, or entries of one kind by name
    threads = [part for part in parts if is_dataclass(part) and "threads" in get_type_hints(part)]
    return set() if threads else {"runtime.threads"}


def _fields(path: Path, shape: ast.ClassDef) -> set[str]:
    """The dataclass's fields, inherited ones included."""
    targets = [node.target for node in shape.body if isinstance(node, ast.AnnAssign)]
    own = {target.id for target in targets if isinstance(target, ast.Name)}
    return own.union(*(_fields(*_class(path, ast.unparse(base))) for base in shape.bases))


def _grid_lists(path: Path) -> set[str]:
    """`grid.x` for every `params.grid.x` in the file; any other use needs the whole of grid."""
    nodes = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Attribute)]
    narrow = [node for node in nodes if ast.unparse(node.value).endswith(".grid")]
    whole = sum(node.attr == "grid" for node in nodes) > len(narrow)
    return {"grid"} if whole else {f"grid.{node.attr}" for node in narrow}


def _class(path: Path, name: str) -> tuple[Path, ast.ClassDef]:
    """The class that `name` means in `path`, followed through imports, and its file."""
    for node in tree_of(path).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return path, node
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            return _class(_file(node.module or ""), name)
    raise AssertionError(f"{path}: no class {name}")


def _file(module: str) -> Path:
    path = ROOT / "src" / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _graph() -> grimp.ImportGraph:
    graph = grimp.build_graph("synthgap", "pipelines", exclude_type_checking_imports=True)
    graph.remove_module("synthgap.stage")
    return graph


def _reached(name: str) -> set[Path]:
    """Files of synthgap whose code can change what the stage writes."""
    own = {module.split(".")[1] for module in _library(name)}
    reached = _graph().find_upstream_modules(f"pipelines.{name}")
    counted = {module for module in reached if module.startswith("synthgap.")}
    return {
        _file(module) for module in counted if module.split(".")[1] not in (WITHOUT - own) | FRAME
    }


def _library(name: str) -> set[str]:
    """Modules that the stage's own work is imported from."""
    imports = [
        node for node in tree_of(stage_files()[name]).body if isinstance(node, ast.ImportFrom)
    ]
    modules = {node.module for node in imports if node.module and node.module.count(".")}
    return {module for module in modules if module.startswith("synthgap.")}


def _paths(items: list[object]) -> list[str]:
    return [str(next(iter(item))) if isinstance(item, dict) else str(item) for item in items]


def _templates(stage: dict[str, object]) -> str:
    return f"{stage['cmd']} {stage.get('matrix', '')}"


def _pattern(path: str) -> str:
    return re.sub(r"\$\{[^}]*\}", "*", path)


def _touch(dep: str, out: str) -> bool:
    """Whether one of the two patterns lies at, in or around the other."""
    pairs = zip(dep.split("/"), out.split("/"), strict=False)
    return all(fnmatchcase(a, b) or fnmatchcase(b, a) for a, b in pairs)


def test_touching_patterns():
    assert _touch("artifacts/sets/*", "artifacts/sets/*/g*")
    assert _touch("artifacts/sets/*/*", "artifacts/sets/*/train")
    assert not _touch("artifacts/sets/*/train", "artifacts/sets/*/g*")
    assert PACKAGE.is_dir()
