"""Sizes, names, and what a reader is promised to find where."""

from __future__ import annotations

import ast
import re

from checkout_files import ROOT, functions_of, kept_files, python_files, tree_of

FOLDERS = ("src", "pipelines", "tests", "benchmarks")
MAX_FILE, MAX_FUNCTION, MAX_STAGE, MAX_BYTES = 300, 40, 40, 500_000
NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc"}
UNPICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def test_files_are_short():
    lengths = {
        path: path.read_text(encoding="utf-8").count("\n") for path in python_files(*FOLDERS)
    }
    limits = {
        path: MAX_STAGE if path.parent == ROOT / "pipelines" else MAX_FILE for path in lengths
    }
    assert not {str(path): n for path, n in lengths.items() if n > limits[path]}


def test_functions_are_short():
    long = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": _length(node)
        for path in python_files("src", "pipelines", "benchmarks")
        for node in functions_of(path)
        if _length(node) > MAX_FUNCTION
    }
    assert not long


def _length(node: ast.FunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_everything_has_a_name():
    parts = {name: re.split(r"[/._-]", name.lower()) for name in kept_files()}
    assert not [name for name, words in parts.items() if NAMELESS & set(words)]


def test_files_of_tests_have_names_of_their_own():
    """pytest imports them by bare name: of two that are alike, one hides the other."""
    stems = [path.stem for path in python_files("tests") if path.stem != "conftest"]
    assert not {stem for stem in stems if stems.count(stem) > 1}


def test_no_kept_file_is_large():
    sizes = {name: (ROOT / name).stat().st_size for name in kept_files()}
    assert not {name: size for name, size in sizes.items() if size > MAX_BYTES}


def test_nothing_unpickles():
    for path in python_files("src", "pipelines"):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert not UNPICKLERS & _imported(node), f"{path}:{node.lineno}"
            if isinstance(node, ast.Call):
                assert _loads_safely(node), f"{path}:{node.lineno}"


def _imported(node: ast.Import | ast.ImportFrom) -> set[str]:
    if isinstance(node, ast.ImportFrom):
        return {(node.module or "").partition(".")[0]}
    return {alias.name.partition(".")[0] for alias in node.names}


def _loads_safely(call: ast.Call) -> bool:
    given = {word.arg: ast.unparse(word.value) for word in call.keywords}
    if ast.unparse(call.func) == "torch.load":
        return given.get("weights_only") == "True"
    return given.get("allow_pickle", "False") == "False"


def test_the_readme_shows_the_real_tree():
    shown = _shown_tree()
    kept = {name.partition("/")[0] for name in kept_files()}
    made = {"data", "artifacts", "dvc.lock"}  # imported, or written by the stages
    kept = {name for name in kept if not name.startswith(".") or name == ".ci"}
    assert {name for name in shown if "/" not in name} - made == kept - made
    packages = {path.name for path in (ROOT / "src/synthgap").iterdir() if path.is_dir()}
    listed = {name.rpartition("/")[2] for name in shown if name.startswith("src/synthgap/")}
    assert listed == packages - {"__pycache__"}


def _shown_tree() -> set[str]:
    """Paths of the README's tree, whose folders' content is indented by two spaces."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- tree -->\n```\n(.*?)```", text, re.DOTALL)
    assert block, "README.md: no tree"
    parents: list[str] = []
    shown = set()
    for line in block[1].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0].rstrip("/")
        parents = [*parents[:depth], name]
        shown.add("/".join(parents))
    return shown
