"""The public door to a registered prefix, as `synthgap.load_prefix`."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from synthgap.errors import CheckpointError
from synthgap.tracking.prefix import build, read_prefix
from synthgap.tracking.registry import pull

if TYPE_CHECKING:
    from torch import nn


def load_prefix(
    source: str | Path, num_classes: int | None = None, *, seed: int = 0, root: Path | None = None
) -> nn.Module:
    """Return a timm model whose first units are the prefix, frozen, and whose rest is fresh.

    `source` is a folder (pulled, or `artifacts/register/...`) or a registry reference `NAME@ALIAS`
    or `NAME/VERSION`, looked up in the store of the checkout at `root` (the current folder).
    Weights *and* batch-norm statistics of the prefix stay bit for bit, also in `train()` mode.
    `num_classes` defaults to the donor's; `seed` draws the fresh part. The model takes float32
    images (batch, 3, height, width), normalised as its `normalisation` in prefix.json says.

    Raises:
        CheckpointError: the files are damaged, or are not safetensors and JSON alone.
        TrackingError: the registry cannot be reached or knows no such reference.
    """
    folder = Path(source)
    if folder.is_dir():
        return build(read_prefix(folder), num_classes, seed=seed)
    if isinstance(source, Path) or not re.fullmatch(r"[\w.-]+(@[\w.-]+|/\d+)", source):
        raise CheckpointError(
            f"{source}: no such folder; expected a prefix folder, NAME@ALIAS or NAME/VERSION "
            "(see `synthgap registry list`)"
        )
    with TemporaryDirectory(prefix="synthgap-") as place:
        target = Path(place) / "prefix"
        pull(root or Path.cwd(), source, target)
        return build(read_prefix(target), num_classes, seed=seed)
