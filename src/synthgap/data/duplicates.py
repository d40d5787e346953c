"""The same bytes where they must not be: in two classes, or on both sides of an official split."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from synthgap.data.folder import RawImage
from synthgap.data.published import PUBLISHED
from synthgap.errors import DataError


def refuse_duplicates(sha256s: Mapping[RawImage, str], name: str) -> None:
    """Stop at the first pair of equal files that contradict each other.

    Published sets are scored as published (ImageNet holds such pairs): there the pairs are counted
    on stderr, and the gate's leakage check sees them. Equal files of one class and folder are no
    contradiction; `splits.draw` keeps them together.

    Raises:
        DataError: the same bytes in two classes, or in two of train, val and test; names both.
    """
    found = list(_contradictions(sha256s))
    if found and name not in PUBLISHED:
        one, other = found[0]
        places = "classes" if one.class_name != other.class_name else "splits"
        raise DataError(
            f"{one.path}: same bytes as {other.path} in another of the {places} ({len(found)} such "
            f"pairs); expected each image once: remove one of them"
        )
    if found:
        one, other = found[0]
        print(  # noqa: T201 - progress
            f"{name}: {len(found)} pairs of equal images in two classes or splits, as published "
            f"(e.g. {one.source} and {other.source})",
            file=sys.stderr,
        )


def _contradictions(sha256s: Mapping[RawImage, str]) -> Iterator[tuple[RawImage, RawImage]]:
    first: dict[str, RawImage] = {}
    for raw, sha in sha256s.items():
        other = first.setdefault(sha, raw)
        if (other.class_name, other.split) != (raw.class_name, raw.split):
            yield raw, other
