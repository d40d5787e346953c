"""One tiny generator and one teacher are trained for all tests; they copy them."""

from __future__ import annotations

import pytest
from generation_case import real_sets, taught, train, with_generator

from synthgap.jobs import Artifacts


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    """Read only: a root with real sets and a generator trained without interruption."""
    artifacts = real_sets(tmp_path_factory.mktemp("trained"))
    train(artifacts)
    return artifacts


@pytest.fixture(scope="session")
def learned(trained: Artifacts, tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    """Read only: the same with a teacher trained without interruption."""
    artifacts = with_generator(trained, tmp_path_factory.mktemp("learned"))
    taught(artifacts)
    return artifacts
