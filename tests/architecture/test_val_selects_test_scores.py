"""`test` is recorded and nothing else: no function that decides can receive it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeGuard

from checkout_files import PACKAGE, functions_of, tree_of

DECIDING = re.compile(
    r"(^|_)(select\w*|stop\w*|prun\w*|rank\w*|promot\w*|best|choos\w*|tun(e|ed|ing)|pick\w*|earl\w*"
    r"|objective|search\w*|improv\w*|patien\w*)(_|$)"
)
PACKAGES = (
    "training",
    "experiments",
    "studies",
    "guidance",
    "tracking",
    "models",
    "generation",
    "validation",
)

# Who may say "test", and to what end. A new line here needs a reason that is not a decision.
RECORDERS = {
    "experiments/runs/sources.py": "opens the sets that every epoch is scored on",
    "experiments/layers.py": "compares students on held-out images, and scores probes",
    "experiments/runs/cell.py": "writes one row an image of the test set",
    "experiments/runs/run.py": "means and predictions over the last epochs, as the papers report",
    "experiments/linear_probe.py": "scores finished probes, chosen by val or held-out train images",
    "studies/trials/verdict.py": "scores a winner that the finals on val have chosen, once",
    "tracking/runs.py": "names the context of a run's image sets",
    "tracking/sweeps.py": "shows each child's score beside its parent, in the order of depths",
    "validation/rules.py": "images only, for the leakage check",
    "validation/gate.py": "images only, for the leakage check",
}
files = sorted(path for name in PACKAGES for path in (PACKAGE / name).rglob("*.py"))


def test_what_decides_never_sees_test():
    for path in files:
        for function in functions_of(path):
            if DECIDING.search(function.name):
                assert not list(_mentions(function)), f"{path}:{function.lineno} {function.name}"


def test_only_recorders_say_test():
    for path in files:
        name = path.relative_to(PACKAGE).as_posix()
        assert name in RECORDERS or not list(_mentions(tree_of(path))), (
            f"{name} mentions the test set; if it only records, say so in RECORDERS"
        )
    assert {name for name in RECORDERS if not (PACKAGE / name).is_file()} == set()


STUDIES = PACKAGE / "studies"
OPENERS = ("open_scored", "scored_on")  # of sets that something is scored on
ASKS, STAGE = "finalise", "tune"  # for a verdict
KEEPS = "study_record"  # a verdict in the study's record
SHOW = {"status"}  # tell how a study stands


def test_of_a_study_the_verdict_alone_names_test_or_opens_it():
    for path in STUDIES.rglob("*.py"):
        calls = {word for node in ast.walk(tree_of(path)) for word in _said(node)}
        opened = calls.intersection(OPENERS)  # a definition is no call
        assert path.stem == "verdict" or not [*_mentions(tree_of(path)), *opened], path


def test_no_function_of_a_study_that_decides_can_receive_what_the_verdict_saw():
    """Its one caller comes after the last decision, and hands it to the record alone."""
    asking = {path.stem for path in STUDIES.rglob("*.py") if "verdict" in _imported(path)}
    assert asking == {ASKS, STAGE}
    assert {path.stem for path in STUDIES.rglob("*.py") if ASKS in _imported(path)} <= SHOW
    assert not [path for path in STUDIES.rglob("*.py") if SHOW & _imported(path)]
    taking = {
        (path.stem, function.name)
        for path in STUDIES.rglob("*.py")
        if path.stem not in ("verdict", ASKS, STAGE)
        for function in functions_of(path)
        if {"verdict", "known"} & {one.arg for one in ast.walk(function.args) if _is_argument(one)}
    }
    assert taking == {("record", KEEPS)}
    (keeps,) = [one for one in functions_of(STUDIES / "trials" / "record.py") if one.name == KEEPS]
    calls = [node for node in ast.walk(keeps) if isinstance(node, ast.Call)]
    given = {ast.unparse(call.func) for call in calls if "verdict" in _names(call.args)}
    assert given == {"dict"}


def test_the_verdict_decides_nothing():
    imported = _imported(STUDIES / "trials" / "verdict.py")
    assert not imported & {"finals", "ranking", "record", "search", "workers", "samplers", ASKS}


def test_the_loop_stops_at_the_last_epoch_alone():
    """The loop knows no split by name, so that nothing in it can depend on one."""
    words = {"val", "test"}
    for path in (PACKAGE / "training").rglob("*.py"):
        output = {word for node in ast.walk(tree_of(path)) for word in _said(node)}
        assert not words & output, path


def test_a_decision_by_test_would_be_seen():
    bad = ast.parse("def best_epoch(epochs):\n    return max(epochs, key=lambda e: e['test/top1'])")
    assert list(_mentions(bad))
    assert DECIDING.search("best_epoch")
    assert DECIDING.search("_early_stop")
    assert not DECIDING.search("prefix")


def _imported(path: Path) -> set[str]:
    """Files of studies that a file imports, also inside functions."""
    prefix = "synthgap.studies"
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(prefix):
            found |= {(node.module or "").rpartition(".")[2], *(one.name for one in node.names)}
    return found


def _is_argument(node: ast.AST) -> TypeGuard[ast.arg]:
    return isinstance(node, ast.arg)


def _names(nodes: Iterable[ast.AST]) -> set[str]:
    return {one.id for node in nodes for one in ast.walk(node) if isinstance(one, ast.Name)}


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
