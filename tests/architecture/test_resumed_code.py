"""Work in progress is dropped when code that it follows from has changed, and by nothing else."""

from __future__ import annotations

import ast

import grimp
import pytest
from checkout_files import PACKAGE, python_files, tree_of

GENERATION = "synthgap.generation"


def _parts(tree: ast.Module) -> tuple[str, ...] | None:
    """The module's `CODE`: the parts of the package that its digest of code is over."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CODE":
            return ast.literal_eval(node.value)
    return None


RESUMED = {
    path.relative_to(PACKAGE.parent).with_suffix("").as_posix().replace("/", "."): parts
    for path in python_files("src/synthgap/generation")
    if (parts := _parts(tree_of(path))) is not None
}


@pytest.mark.parametrize("module", RESUMED)
def test_the_digest_of_code_is_over_the_parts_that_are_reached(module):
    graph = grimp.build_graph("synthgap", exclude_type_checking_imports=True)
    reached = {module, *graph.find_upstream_modules(module)}
    deep = {name.removeprefix(f"{GENERATION}.") for name in reached if name.startswith(GENERATION)}
    assert RESUMED[module] == tuple(sorted({name.partition(".")[0] for name in deep}))


def test_every_work_in_progress_names_its_code():
    calls = [
        ast.unparse(node.args[0])
        for path in python_files("src/synthgap/generation")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "code_digest"
    ]
    assert calls == ["CODE"] * len(RESUMED)
    assert len(calls) == 6
