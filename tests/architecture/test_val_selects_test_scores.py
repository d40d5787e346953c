"""`test` is recorded and nothing else: no function that decides can receive it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from checkout_files import PACKAGE, functions_of, tree_of

DECIDING = re.compile(
    r"(^|_)(select\w*|stop\w*|prun\w*|rank\w*|promot\w*|best|choos\w*|tun(e|ed|ing)|pick\w*|earl\w*"
    r"|objective|search\w*|improv\w*|patien\w*)(_|$)"
)
PACKAGES = (
    "training",
    "experiments",
    "runs",
    "guidance",
    "tracking",
    "models",
    "generation",
    "validation",
)

# Who may say "test", and to what end. A new line here needs a reason that is not a decision.
RECORDERS = {
    "runs/sources.py": "opens the sets that every epoch is scored on",
    "experiments/anatomy.py": "compares students on images that were held out, and scores probes",
    "experiments/layers.py": "counts the images that the comparison and the probes' scores are of",
    "runs/cell.py": "writes one row an image of the test set",
    "runs/running.py": "means and predictions over the last epochs, which the papers report",
    "experiments/probing.py": "scores finished probes, which val or held-out train images chose",
    "tracking/runs.py": "names the context of a run's image sets",
    "tracking/sweeps.py": "shows each child's score beside its parent, in the order of depths",
    "validation/rules.py": "images only, for the leakage check",
    "validation/gate.py": "images only, for the leakage check",
}
files = sorted(path for name in PACKAGES for path in (PACKAGE / name).rglob("*.py"))


@pytest.mark.parametrize("path", files, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_decides_never_sees_test(path):
    for function in functions_of(path):
        if DECIDING.search(function.name):
            assert not list(_mentions(function)), f"{path}:{function.lineno} {function.name}"


@pytest.mark.parametrize("path", files, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_only_recorders_say_test(path):
    name = path.relative_to(PACKAGE).as_posix()
    assert name in RECORDERS or not list(_mentions(tree_of(path))), (
        f"{name} mentions the test set; if it only records, say so in RECORDERS"
    )


def test_the_loop_stops_at_the_last_epoch_alone():
    """The loop knows no split by name, so that nothing in it can depend on one."""
    words = {"val", "test"}
    for path in (PACKAGE / "training").rglob("*.py"):
        said = {word for node in ast.walk(tree_of(path)) for word in _said(node)}
        assert not words & said, path


def test_a_decision_by_test_would_be_seen():
    bad = ast.parse("def best_epoch(epochs):\n    return max(epochs, key=lambda e: e['test/top1'])")
    assert list(_mentions(bad))
    assert DECIDING.search("best_epoch")
    assert DECIDING.search("_early_stop")
    assert not DECIDING.search("prefix")


def _mentions(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        yield from (word for word in _said(node) if word == "test" or word.startswith("test_"))


def _said(node: ast.AST) -> set[str]:
    """Names of splits that a node says: as text, parameter, variable or attribute."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = node.value
        return {text.partition("/")[0]} if re.fullmatch(r"[\w/]+", text) else set()
    if isinstance(node, ast.arg):
        return {node.arg}
    if isinstance(node, ast.Name):
        return {node.id}
    return {node.attr} if isinstance(node, ast.Attribute) else set()
