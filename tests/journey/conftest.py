"""Tiny clones of this checkout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_clone import Clone, copy_tree, make_tiny


@pytest.fixture(scope="session")
def clone_into(checkout: Path) -> Callable[[Path], Clone]:
    """Make a tiny clone of the working tree, committed, in an empty folder."""

    def make(root: Path) -> Clone:
        copy_tree(checkout, root)
        return make_tiny(root)

    return make
