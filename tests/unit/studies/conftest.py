"""Studies in storages on this machine's disk."""

from __future__ import annotations

import pytest
from study_world import SHORT

from synthgap.studies.storage import close_storage, create_study, open_storage


@pytest.fixture(params=["sqlite", "journal"])
def url(request, tmp_path):
    files = {"sqlite": f"sqlite:///{tmp_path}/s.db", "journal": f"journal://{tmp_path}/s.log"}
    return files[request.param]


@pytest.fixture
def open_study(url, tmp_path):
    opened = []

    def make(plan):
        opened.append(open_storage(url, tmp_path, SHORT))
        return create_study(plan, opened[-1])

    yield make
    for storage in opened:
        close_storage(storage)


@pytest.fixture
def journal(tmp_path):
    return f"journal://{tmp_path}/s.log"
