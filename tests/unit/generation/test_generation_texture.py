import numpy as np
import pytest

from synthgap.generation.derived.style_pictures import made_patterns
from synthgap.generation.derived.texture import mean_contrast, shape_kept, texture_distance

PATTERNS = made_patterns(24, 32, seed=1)


def test_a_texture_is_the_same_wherever_it_lies():
    moved = np.roll(PATTERNS, (3, 5), axis=(1, 2))
    other = np.roll(PATTERNS, 1, axis=0)
    assert texture_distance(PATTERNS, PATTERNS) == 0
    assert texture_distance(PATTERNS, moved) < 0.2
    assert texture_distance(PATTERNS, other) > 0.4
    assert texture_distance(PATTERNS, other) == pytest.approx(texture_distance(other, PATTERNS))


def test_flat_colour_is_no_texture():
    grey = np.full_like(PATTERNS, 90)
    assert texture_distance(grey, np.full_like(PATTERNS, 200)) == pytest.approx(0, abs=1e-3)
    assert texture_distance(PATTERNS, grey) == pytest.approx(1, abs=1e-3)


def test_shape_survives_other_colours_and_inversion_but_not_another_shape():
    blobs = PATTERNS.mean(axis=3, keepdims=True).repeat(3, axis=3).astype(np.uint8)
    coloured = (255 - blobs * np.array([0.9, 0.2, 0.5])).round().astype(np.uint8)
    assert shape_kept(blobs, blobs) == pytest.approx(1)
    assert shape_kept(blobs, coloured) > 0.99
    assert shape_kept(blobs, np.roll(blobs, 1, axis=0)) < 0.2
    assert shape_kept(blobs, np.full_like(blobs, 90)) == pytest.approx(0, abs=1e-6)
    assert shape_kept(np.full_like(blobs, 90), blobs) == 1


def test_contrast_counts_within_images_alone():
    assert mean_contrast(np.stack([np.full((4, 4, 3), level, np.uint8) for level in (0, 255)])) == 0
    assert mean_contrast(PATTERNS) > 20
