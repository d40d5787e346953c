"""Spectra by their laws, and against the transform written slowly."""

import cmath
import math

import numpy as np
import pytest

from synthgap.errors import DataError
from synthgap.evaluation.spectra import LUMA, Spectrum


def _noise(count, size, seed=0):
    draw = np.random.default_rng(seed)
    return draw.integers(0, 256, (count, size, size, 3)).astype(np.uint8)


def _wave(size, across, down):
    rows, columns = np.mgrid[:size, :size]
    wave = 127 + 100 * np.cos(2 * np.pi * (across * columns + down * rows) / size)
    return np.repeat(wave.round().astype(np.uint8)[None, ..., None], 3, axis=-1)


def test_it_is_what_it_is_defined_to_be():
    size = 6
    image = _noise(1, size)
    fade = [0.5 - 0.5 * math.cos(2 * math.pi * (k + 1) / (size + 1)) for k in range(size)]
    bright = [[sum(w * v for w, v in zip(LUMA, image[0, r, c] / 255, strict=True))
               for c in range(size)] for r in range(size)]  # fmt: skip
    mean = sum(map(sum, bright)) / size**2
    rings: dict[int, list[float]] = {}
    for up in range(size):
        for along in range(size):
            value = sum(
                (bright[r][c] - mean) * fade[r] * fade[c]
                * cmath.exp(-2j * math.pi * (up * r + along * c) / size)
                for r in range(size) for c in range(size)
            )  # fmt: skip
            signed = [k if k < size / 2 else k - size for k in (up, along)]
            rings.setdefault(round(math.hypot(*signed)), []).append(abs(value) ** 2)
    found = Spectrum.of([image])
    assert found.frequencies.tolist() == [ring / size for ring in sorted(rings) if ring]
    slow = [np.mean(rings[ring]) for ring in sorted(rings) if ring]
    assert found.power == pytest.approx(slow, rel=1e-9)
    assert found.places.tolist() == [len(rings[ring]) for ring in sorted(rings) if ring]


@pytest.mark.parametrize(("across", "down", "ring"), [(3, 0, 3), (0, 5, 5), (3, 4, 5), (8, 8, 11)])
def test_a_wave_has_its_power_at_its_frequency_whatever_its_direction(across, down, ring):
    found = Spectrum.of([_wave(16, across, down)])
    assert found.frequencies[found.power.argmax()] == pytest.approx(ring / 16)


def test_noise_holds_as_much_of_every_frequency():
    found = Spectrum.of([_noise(400, 16)])
    assert found.power == pytest.approx(np.full(11, found.power.mean()), rel=0.15)
    places = found.places[found.frequencies > 0.3].sum() / found.places.sum()
    assert found.share_above(0.3) == pytest.approx(places, rel=0.05)


def test_a_blurred_image_holds_less_of_the_high_ones():
    sharp = _noise(20, 16)
    wide = np.concatenate([sharp, sharp[:, :1]], axis=1).astype(np.float64)
    blurred = ((wide[:, :-1] + wide[:, 1:]) / 2).astype(np.uint8)
    assert Spectrum.of([blurred]).share_above(0.4) < 0.8 * Spectrum.of([sharp]).share_above(0.4)


def test_batches_turns_and_brightness_change_nothing():
    images = _noise(9, 12) // 2
    whole = Spectrum.of([images]).power
    assert Spectrum.of([images[:2], images[2:]]).power == pytest.approx(whole, rel=1e-12)
    assert Spectrum.of([np.rot90(images, axes=(1, 2))]).power == pytest.approx(whole, rel=1e-9)
    assert Spectrum.of([images + 100]).power == pytest.approx(whole, rel=1e-9)


def test_contrast_raises_power_and_leaves_shares():
    images = _noise(9, 12) // 4
    one, double = Spectrum.of([images]), Spectrum.of([2 * images])
    assert double.power == pytest.approx(4 * one.power, rel=1e-9)
    assert double.share_above(0.25) == pytest.approx(one.share_above(0.25))
    assert double.log_power - one.log_power == pytest.approx(np.full(len(one.power), np.log10(4)))


def test_blank_images_have_no_power_and_no_share():
    found = Spectrum.of([np.full((3, 16, 16, 3), 77, np.uint8)])
    assert (found.power == 0).all()
    assert np.isneginf(found.log_power).all()
    assert math.isnan(found.share_above(0.25))


def test_no_images_are_refused():
    with pytest.raises(DataError, match="spectrum of no images"):
        Spectrum.of([])
