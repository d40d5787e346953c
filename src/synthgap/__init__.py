"""Measure, explain and close the gap between training on generated and on real images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synthgap.tracking.registry import load_prefix

__all__ = ["load_prefix"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the lazy name is
    """Import the public door when it is first used: it reaches torch only when it is called."""
    if name == "load_prefix":
        from synthgap.tracking.registry import load_prefix

        return load_prefix
    raise AttributeError(f"module 'synthgap' has no attribute {name!r}")
