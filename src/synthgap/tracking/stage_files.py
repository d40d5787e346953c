"""What a stage found beside its runs: files that hang under the sweep's parent in MLflow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from synthgap.jobs import content_digest, file_digest
from synthgap.tracking.store import Store

FILES = "synthgap.files"  # digest of what the parent holds
PATTERNS = {  # by experiment
    "gap": ("gap.json", "low-*.png", "high-*.png"),
    "tune": ("run.json", "*.html", "figures/*.png"),
}
DRAWN = {"tune": ("tune-*.png",)}  # of a stage, among the report's figures


def keep_files(store: Store, run_id: str, experiment: str, folder: Path) -> None:
    """Log the stage's files under its parent run, unless exactly these are there already."""
    files = [*_drawn(store.root, experiment, folder), *_own(experiment, folder)]
    found = dict(sorted(files))
    if not found:
        return
    digest = content_digest({name: file_digest(path) for name, path in found.items()})
    if store.client.get_run(run_id).data.tags.get(FILES) == digest:
        return
    for name, path in found.items():
        place = Path(name).parent.as_posix()
        store.client.log_artifact(run_id, str(path), None if place == "." else place)
    store.write(run_id, tags={FILES: digest})


def _own(experiment: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """Files of the folder by their place in it."""
    for pattern in PATTERNS.get(experiment, ()):
        for path in folder.glob(pattern):
            yield path.relative_to(folder).as_posix(), path


def _drawn(root: Path, experiment: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """What the report draws of the stage, in `figures/`."""
    figures = root / "artifacts" / "report" / "figures" / folder.name
    if folder.parent.parent != root / "artifacts":  # a study of the command line draws its own
        return
    for pattern in DRAWN.get(experiment, ()):
        for path in figures.glob(pattern):
            yield f"figures/{path.name}", path
