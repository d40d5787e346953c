"""Image sets: importing, checking, splitting, reading."""

from synthgap.data.image_set import MANIFEST, ImageSet, square, write_manifest, write_png

__all__ = ["MANIFEST", "ImageSet", "square", "write_manifest", "write_png"]
