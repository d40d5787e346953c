"""What every test stands on: this checkout, perhaps images beside it, nothing of the user's."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: spinning threads slow the other process
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of this checkout; tests only read it."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real images and published results beside the checkout; the test is skipped without them."""
    folder = Path(os.environ.get("SYNTHGAP_TEST_DATA", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"{folder}: not there; SYNTHGAP_TEST_DATA names the folder of test data")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _own_surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests off the user's MLflow, DVC caches and settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path_factory.mktemp("dvc-site")))
        patch.setenv("DVC_NO_ANALYTICS", "1")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("GX_ANALYTICS_ENABLED", "false")
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield


def pytest_collection_finish() -> None:
    """Leave what was imported out of every later garbage collection, which is then quick."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _leaks_surface_in_the_file_that_made_them() -> Iterator[None]:
    """Collect garbage after each file: an unclosed file is a ResourceWarning here, not later."""
    yield
    gc.collect()
