"""A checkout with an MLflow store in it; the tables, 7 s to make, are made once and copied."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fake_cells import transfer_runs, write_cell, write_donors, write_dvc_files
from registered import run_register

from synthgap.tracking.store import TrackingStore, open_store


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tables")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        open_store(root)
    return root / "mlruns"


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("SYNTHGAP_TRACKING", "off")


@pytest.fixture
def checkout(tmp_path: Path, tables: Path, quiet: None) -> Path:
    root = tmp_path / "checkout"
    root.mkdir()
    shutil.copytree(tables, root / "mlruns")
    write_dvc_files(root)
    return root


@pytest.fixture
def store(checkout: Path) -> TrackingStore:
    return open_store(checkout)


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Outputs of a register stage with three depths; nothing is published."""
    root = tmp_path_factory.mktemp("written")
    write_donors(root)
    for depth in (1, 2, 3):
        write_cell(root, transfer_runs(depth), depth)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYNTHGAP_TRACKING", "off")
        run_register(root, (1, 2, 3))
    return root


@pytest.fixture
def outputs(checkout: Path, written: Path) -> Path:
    shutil.copytree(written / "artifacts", checkout / "artifacts")
    return checkout
