"""Tiny pipelines are saved once for all contracts of generators."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Read only: folders of every kind of generator, by name."""
    from tiny_pipelines import save_all

    return save_all(tmp_path_factory.mktemp("tiny"))
