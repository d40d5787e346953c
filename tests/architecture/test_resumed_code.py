"""Work in progress is dropped when code that its stage depends on has changed, by nothing else."""

from __future__ import annotations

import ast

from checkout_files import ROOT, functions_of, python_files, stages, tree_of

from synthgap.jobs.code import code_deps, code_digest

UNCODED = {"data/importing.py"}  # an import moves files; no stage
HOLDERS = {"hold", "hold_distributed", "make_once"}


def _calls() -> list[tuple[str, ast.Call]]:
    return [
        (str(path.relative_to(ROOT / "src" / "synthgap")), node)
        for path in python_files("src")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in HOLDERS
    ]


def test_every_work_in_progress_names_its_stage():
    calls = _calls()
    assert len(calls) > 10
    for place, call in calls:
        given = next((word.value for word in call.keywords if word.arg == "stage"), None)
        assert given is not None, f"{place}:{call.lineno}"
        if isinstance(given, ast.Constant):
            uncoded = given.value is None and place in UNCODED
            assert uncoded or given.value in stages(), f"{place}:{call.lineno}: {given.value}"


def test_every_stage_has_code_of_its_own():
    digests = {name: code_digest(name) for name in stages()}
    assert len(set(digests.values())) == len(digests)
    assert all(f"pipelines/{name}.py" in code_deps(name) for name in stages())


def test_no_list_of_code_stands_beside_dvc_yaml():
    """`folder_digest` over this package's files, or a name CODE, would be one."""
    for path in python_files("src"):
        if path.name == "code.py" and path.parent.name == "jobs":
            continue
        for node in functions_of(path):
            assert "*.py" not in ast.unparse(node), f"{path}: {node.name}"
        names = [
            ast.unparse(t)
            for n in tree_of(path).body
            if isinstance(n, ast.Assign)
            for t in n.targets
        ]
        assert "CODE" not in names, path
