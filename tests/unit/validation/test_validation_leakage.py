"""Near-copies are found every time, and natural digits are not mistaken for them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from prepared_sets_case import LIMITS, Digits, recompressed

from synthgap.data import neighbours
from synthgap.data.neighbours import ShiftedDistance, near_threshold, nearest

LENS = ShiftedDistance(image_size=16, size_px=LIMITS.near_size_px, shift_px=LIMITS.near_shift_px)


def seen(images: np.ndarray, lens: ShiftedDistance = LENS) -> np.ndarray:
    return np.stack([lens.windows(Image.fromarray(image)) for image in images])


@pytest.fixture(scope="module")
def windows(digits: Digits) -> dict[str, np.ndarray]:
    return {name: seen(digits.images[rows]) for name, rows in digits.splits.items()}


@pytest.fixture(scope="module")
def threshold(windows: dict[str, np.ndarray]) -> float:
    within, _ = nearest(windows["corpus"], windows["corpus"], same=True)
    return near_threshold(within, quantile=LIMITS.near_quantile, margin=LIMITS.near_margin)


def test_natural_digits_pass(windows: dict[str, np.ndarray], threshold: float) -> None:
    closest = {
        (one, other): nearest(windows[one], windows[other], same=one == other)[0].min()
        for one in windows
        for other in windows
    }
    assert min(closest.values()) > threshold


@pytest.mark.parametrize("down", [-1, 0, 1])
@pytest.mark.parametrize("right", [-1, 0, 1])
@pytest.mark.parametrize("fill", ["roll", "blank"])
def test_every_one_pixel_shift_is_caught(
    digits: Digits, windows: dict[str, np.ndarray], down: int, right: int, fill: str
) -> None:
    moved = np.roll(digits.images[digits.splits["train"]], (down, right), axis=(1, 2))
    if fill == "blank":
        moved[:, [0 if down == 1 else -1][: abs(down)]] = 0
        moved[:, :, [0 if right == 1 else -1][: abs(right)]] = 0
    distances, found = nearest(seen(moved), windows["train"])
    assert (distances == 0).all()
    assert (found == np.arange(len(moved))).all()


@pytest.mark.parametrize("quality", [75, 80, 85, 90])
def test_every_recompressed_copy_is_caught(
    digits: Digits, windows: dict[str, np.ndarray], threshold: float, quality: int
) -> None:
    copies = np.stack(
        [recompressed(image, quality) for image in digits.images[digits.splits["train"]]]
    )
    distances, found = nearest(seen(copies), windows["train"])
    assert (distances <= threshold).mean() == 1.0
    assert (found == np.arange(len(copies))).all()


def test_a_shift_before_reduction_is_caught(digits: Digits) -> None:
    lens = ShiftedDistance(image_size=48, size_px=16, shift_px=1)
    images = [
        Image.fromarray(image).resize((48, 48), Image.Resampling.BICUBIC)
        for image in digits.images[:50]
    ]
    still = np.stack([lens.windows(image) for image in images])
    moved = seen(np.roll(np.stack([np.asarray(image) for image in images]), (1, -1), (1, 2)), lens)
    assert (nearest(moved, still)[0] == 0).all()


def test_distances_are_those_of_exact_arithmetic_whatever_the_blocks(
    digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = seen(digits.images[:60])
    apart = pixels[:, None, :, :].astype(np.int64) - pixels[None, :, 4:5, :]
    exact = (apart**2).sum(axis=-1).min(axis=-1)
    np.fill_diagonal(exact, np.iinfo(np.int64).max)
    expected = np.sqrt(exact.min(axis=1) / pixels.shape[-1])
    for rows, columns in [(512, 4096), (7, 11), (60, 1)]:
        monkeypatch.setattr(neighbours, "ROWS", rows)
        monkeypatch.setattr(neighbours, "COLUMNS", columns)
        distances, found = nearest(pixels, pixels, same=True)
        np.testing.assert_allclose(distances, expected, rtol=1e-6)
        assert (found == exact.argmin(axis=1)).all()


def test_nothing_is_near_an_empty_set() -> None:
    none = np.empty((0, 9, 196), dtype=np.uint8)
    distances, found = nearest(np.zeros((2, 9, 196), dtype=np.uint8), none)
    assert np.isinf(distances).all()
    assert (found == -1).all()
    assert near_threshold(np.array([np.inf]), quantile=0.05, margin=0.35) == 0.0


def test_exact_copies_do_not_tighten_the_threshold() -> None:
    apart = np.linspace(10, 20, 11)
    with_copies = np.concatenate([np.zeros(5), apart])
    settings = {"quantile": 0.5, "margin": 0.5}
    assert near_threshold(with_copies, **settings) == near_threshold(apart, **settings) == 7.5
