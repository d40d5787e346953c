"""What lies in data/ and what could be brought there, as a text table."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from synthgap.data.folder import RawFolder, listing
from synthgap.data.published import FETCH, PUBLISHED
from synthgap.data.versioning import DATA_DVC, pins
from synthgap.errors import DataError


def overview(root: Path) -> str:
    """One line a set: classes, images by split folder, what data.dvc knows; opens no image."""
    pinned, data = pins(root), root / "data"
    present = [path.name for path in listing(data, data) if path.is_dir()] if data.is_dir() else []
    lines = [_line(data / name, pinned.get(name)) for name in sorted({*present, *pinned})]
    others = sorted(PUBLISHED.keys() - set(present))
    ways = [f"{name} ({_way(name)})" for name in others]
    return "\n".join(
        [*(lines or ["data/ holds no image set"]), f"can be imported: {', '.join(ways)}"]
    )


def _way(name: str) -> str:
    if name == "digits":
        return "built in"
    return "download" if name in FETCH else "from a folder"


def _line(folder: Path, pin: str | None) -> str:
    stated = (
        f"pinned {pin[:12]}" if pin else f"not in {DATA_DVC}: `synthgap data pin {folder.name}`"
    )
    if not folder.is_dir():
        return f"{folder.name}: not here, {stated}; `dvc checkout {DATA_DVC}` or import it"
    try:
        raw = RawFolder.read(folder)
    except DataError as error:
        return f"{folder.name}: {error}"
    counts = Counter(image.split for image in raw.images)
    images = ", ".join(f"{split} {counts[split]}".strip() for split in sorted(counts))
    return f"{folder.name}: {len(raw.classes)} classes, images: {images}; {stated}"
