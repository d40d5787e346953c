"""Real servers, stopped at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from postgresql_server import Server, binaries


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The url of a PostgreSQL server with an empty database."""
    programs = binaries()
    if programs is None:
        pytest.skip("/usr/lib/postgresql/*/bin/initdb: not there; `apt-get install postgresql`")
    pytest.importorskip("psycopg", reason="psycopg is not there (requirements-server.lock)")
    server = Server(programs)
    try:
        server.start()
        yield server.url
    finally:
        server.stop()


@pytest.fixture(scope="session")
def python() -> str:
    """This environment's interpreter."""
    return sys.executable
