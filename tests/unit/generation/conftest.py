"""One tiny generator is trained for all tests; they copy it."""

from __future__ import annotations

import pytest
from generation_case import real_sets, train

from synthgap.artifacts import Artifacts


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    """Read only: a root with real sets and a generator trained without interruption."""
    artifacts = real_sets(tmp_path_factory.mktemp("trained"))
    train(artifacts)
    return artifacts
