"""Finished image sets in the disposable cache `.synthgap/sets`, by the digest of their making."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def keep_set(finished: Path, place: Path) -> None:
    """Link a finished folder into the cache, whole or not at all; one that is there stays.

    Where it cannot be kept (another file system, a full disk) nothing is: it is only a cache.
    """
    if place.is_dir():
        return
    partial = place.with_name(f".{place.name}.{os.getpid()}.partial")
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copytree(finished, partial, copy_function=os.link)
        partial.rename(place)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)


def restore_set(place: Path, target: Path) -> bool:
    """Link what is kept at `place` into the new folder `target`; whether there was something."""
    if not place.is_dir():
        return False
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(place, target, copy_function=_linked)
    return True


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
