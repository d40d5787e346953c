"""What a stage found beside its runs: files that hang under the sweep's parent in MLflow."""

from __future__ import annotations

from pathlib import Path

from synthgap.artifacts import content_digest, file_digest
from synthgap.tracking.store import Store

FILES = "synthgap.files"  # digest of what the parent holds
PATTERNS = {"gap": ("gap.json", "low-*.png", "high-*.png")}  # by experiment


def keep_files(store: Store, run_id: str, experiment: str, folder: Path) -> None:
    """Log the stage's files under its parent run, unless exactly these are there already."""
    found = [path for pattern in PATTERNS.get(experiment, ()) for path in folder.glob(pattern)]
    if not found:
        return
    digest = content_digest({path.name: file_digest(path) for path in sorted(found)})
    if store.client.get_run(run_id).data.tags.get(FILES) == digest:
        return
    for path in sorted(found):
        store.client.log_artifact(run_id, str(path))
    store.write(run_id, tags={FILES: digest})
