import pytest
from experiments_world import make_world


@pytest.fixture(scope="session")
def prepared(tmp_path_factory, checkout):
    """Image sets and students; tests only read them."""
    return make_world(tmp_path_factory.mktemp("world"), checkout)
