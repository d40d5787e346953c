"""Tiny clones of this checkout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tiny_clone import Clone, copy_tree, make_tiny
from warm_dvc import WarmDvc


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmDvc]:
    """One process that has imported what stages share."""
    made = WarmDvc()
    yield made
    made.close()


@pytest.fixture(scope="session")
def clone_into(checkout: Path, warm: WarmDvc) -> Callable[[Path], Clone]:
    """Make a tiny clone of the working tree, committed, in an empty folder."""

    def make(root: Path) -> Clone:
        copy_tree(checkout, root)
        return make_tiny(root, warm)

    return make
