"""Public functions that take or give tensors or arrays name their shapes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from checkout_files import ROOT, python_files, tree_of

STATES = re.compile(r"(dict|Mapping)\[str, Tensor\]")  # a network's own, of all shapes
ARRAYS = re.compile(r"\b(Tensor|ndarray)\b")
SHAPE = re.compile(r"\([\w.]+(?: ?[*+/-] ?\w+)*,[\w\s.,*/+-]*\)|\bscalar\b")


def _public(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef, str]]:
    """(name, function, docstring it may rely on) of functions and methods that others call."""
    for inner in getattr(node, "body", []):
        if isinstance(inner, ast.ClassDef) and not inner.name.startswith("_"):
            for name, function, _ in _public(inner, f"{inner.name}."):
                yield name, function, ast.get_docstring(inner) or ""
        if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
            yield f"{prefix}{inner.name}", inner, ""


def _handles_arrays(function: ast.FunctionDef) -> bool:
    given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    annotations = [one.annotation for one in given] + [function.returns]
    texts = [STATES.sub("", ast.unparse(one)) for one in annotations if one is not None]
    return any(ARRAYS.search(text) for text in texts)


def _comments(path: Path, function: ast.FunctionDef) -> str:
    """Comments beside the arguments, which may say a shape, too."""
    first = function.body[0].lineno - 1
    lines = path.read_text(encoding="utf-8").splitlines()[function.lineno - 1 : first]
    return "\n".join(line.partition("#")[2] for line in lines)


def nameless() -> list[str]:
    found = []
    for path in python_files("src"):
        for name, function, around in _public(tree_of(path)):
            if not _handles_arrays(function):
                continue
            text = "\n".join([ast.get_docstring(function) or "", around, _comments(path, function)])
            if not SHAPE.search(text):
                found.append(f"{path.relative_to(ROOT)}:{function.lineno} {name}")
    return found


def test_tensors_and_arrays_have_shapes():
    assert not nameless()


def test_a_docstring_without_a_shape_would_be_seen():
    assert not SHAPE.search(
        "Encode the images (as the papers do).".replace("(as the papers do)", "")
    )
    assert SHAPE.search("uint8 (num_images, size, size, 3)")
    assert SHAPE.search("labels (num_images,)")
    assert SHAPE.search("float32 (batch, 3, height, width)")
    assert SHAPE.search("a scalar loss, with graph")
