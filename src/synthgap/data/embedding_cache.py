"""What networks answered about an image set, kept in the disposable `.synthgap/embeddings`.

Deleting it changes time, never results: an entry is named by all that determines it, the code that
the asking stage depends on included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from synthgap.jobs import Artifacts, whole_file, work_digest


def cached_array(
    artifacts: Artifacts,
    key: str,
    identity: Mapping[str, Any],
    *,
    stage: str,
    compute: Callable[[], np.ndarray],
) -> np.ndarray:
    """Return what `compute` gives, of any shape (num_images, ...), from the cache where it is kept.

    `key` begins the entry's name, e.g. the image set's digest; `identity` is JSON-able.
    """
    name = f"{key}-{work_digest(identity, stage)}.npy"
    path = artifacts.root / ".synthgap" / "embeddings" / name
    if not path.is_file():
        found = compute()
        with whole_file(path) as partial, partial.open("wb") as file:
            np.save(file, found, allow_pickle=False)
    kept: np.ndarray = np.load(path)
    return kept
